"""What runs inside an attempt: import the task, convert its inputs, call it, convert its outputs.

This is where users' code runs, so nothing here may import grpc or a database, and nothing here may let an exception
of the user's pass: whatever happens becomes an `Outcome`. `python -m typedflow.run_task` is how an executor starts it.
"""

from typedflow.run_task.attempt import execute

__all__ = ["execute"]
