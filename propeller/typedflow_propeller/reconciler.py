"""One execution, for as long as the claim holds: it is driven, and whenever its journal has moved on it is driven anew.

Level-triggered: what came is kept until a commit consumed it, and after a conflict everything begins again from the
journal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from typedflow.pb import events_pb2, propeller_pb2
from typedflow_propeller import doors, drive

_log = logging.getLogger(__name__)


class Reconciler:
    """See the module. Everything but the event loop that it runs on is behind the doors."""

    def __init__(self, claim: propeller_pb2.Claim, behind: doors.Doors) -> None:
        self.claim = claim
        self._doors = behind
        self._inbox: dict[int, events_pb2.Event] = {}  # rows that no commit has consumed, in order
        self._consumed_to = 0
        self._wake = asyncio.Event()

    def deliver(self, rows: Sequence[propeller_pb2.InboxRow]) -> None:
        """Rows of the inbox; they may come again and again."""
        for row in rows:
            if row.sequence > self._consumed_to:
                self._inbox.setdefault(row.sequence, row.event)
        self._wake.set()

    async def run(self) -> None:
        """Returns when the execution has ended or is not ours any more."""
        while True:
            driven = drive.Drive(self.claim, self._doors, self._inbox, self._wake)
            try:
                await driven.load()
                await driven.go()
                return
            except drive.Reload:
                _log.info("execution %s: the journal has moved on; loading it again", self.claim.execution_id)
            finally:
                driven.close()
                self._consumed_to = max(self._consumed_to, driven.consumed_to)
