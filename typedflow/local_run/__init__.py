"""Workflows and tasks run in this process, on the engine that runs them everywhere.

For tests and notebooks: tasks run one after another, each with its own copy of every value; pauses are virtual, and
timeouts are judged when a task returns. Must never talk to a server.
"""

from typedflow.local_run.runner import LocalRunner
from typedflow.local_run.told import local, mocked

__all__ = ["LocalRunner", "local", "mocked"]
