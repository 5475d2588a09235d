"""What authors write with: tasks, workflows, launch plans, and the tracing that turns them into templates."""
