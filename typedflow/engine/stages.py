"""The stages of a unit: finer than the phases that are shown. docs/engine.md has the transitions.

Plain integers, because a state keeps them in an array of bytes. From SUCCEEDED on a unit has ended.
"""

from typing import Final

NEW: Final = 0  # waits for the nodes before it, or for the case that it is in
CHECKING: Final = 1  # the cache is asked
READY: Final = 2  # waits for a place to run
BACKOFF: Final = 3  # pauses before a retry
PLACING: Final = 4  # an attempt has one of the execution's places, and waits for a wider one
STARTING: Final = 5  # an attempt was asked for
RUNNING: Final = 6  # an attempt runs
STOPPING: Final = 7  # an attempt was told to stop
RESOLVING: Final = 8  # what follows from values that are stored elsewhere was asked for
WAITING: Final = 9  # for a signal, an approval, or a time
LAUNCHING: Final = 10  # another execution was asked for
CHILD: Final = 11  # another execution is under way
CHILD_STOPPING: Final = 12  # another execution was told to stop
OPEN: Final = 13  # what is inside of it is under way: slots, a case's members, a dynamic task's graph
SUCCEEDED: Final = 14
FAILED: Final = 15
ABORTED: Final = 16
TIMED_OUT: Final = 17
SKIPPED: Final = 18

UNDER_WAY: Final = (STARTING, RUNNING, STOPPING)
"""There is an attempt of which events can tell."""

IN_FLIGHT: Final = (PLACING, *UNDER_WAY)
"""An attempt takes a place."""

SHOWN_RUNNING: Final = bytes(stage in (RUNNING, STOPPING, OPEN) for stage in range(SKIPPED + 1))
"""Of each stage whether a slot in it counts as running."""
