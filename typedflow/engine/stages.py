"""The stages of a node: finer than the phases that are shown. docs/engine.md has the transitions.

Plain integers, because a state keeps them in an array of bytes. From SUCCEEDED on a node has ended.
"""

from typing import Final

NEW: Final = 0  # waits for the nodes before it
CHECKING: Final = 1  # the cache is asked
READY: Final = 2  # waits for a place to run
BACKOFF: Final = 3  # pauses before a retry
STARTING: Final = 4  # an attempt was asked for
RUNNING: Final = 5  # an attempt runs
STOPPING: Final = 6  # an attempt was told to stop
SUCCEEDED: Final = 7
FAILED: Final = 8
ABORTED: Final = 9
TIMED_OUT: Final = 10
SKIPPED: Final = 11

IN_FLIGHT: Final = (STARTING, RUNNING, STOPPING)
"""An attempt takes a place."""
