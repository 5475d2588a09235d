"""The control plane: registry, executions, schedules, catalog, API and console."""
