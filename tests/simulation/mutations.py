"""Protections taken away one at a time: the simulation has to see that each of them is gone."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock  # noqa: TID251 - what is replaced here is what is to be missed

from typedflow_propeller import drive, reconciler

from tests.simulation import admin, wider
from typedflow import engine
from typedflow.pb import propeller_pb2


@contextlib.contextmanager
def persist_before_perform() -> Iterator[None]:
    """Actions are performed first, and committed then."""
    persist = drive.Drive._persist_and_perform

    async def perform_first(self: drive.Drive) -> None:
        step = self._step
        actions = list(step.actions)
        step.actions.clear()
        for action in actions:
            await self._perform(step, action)
        await persist(self)

    with mock.patch.object(drive.Drive, "_persist_and_perform", perform_first):
        yield


@contextlib.contextmanager
def fencing_by_epoch() -> Iterator[None]:
    """Whoever knows the length of the journal may commit."""

    def check(
        self: admin.Admin, row: admin.Row, holder: str, part: propeller_pb2.ExecutionCommit
    ) -> propeller_pb2.CommitStatus.ValueType:
        if row.ended:
            return admin.FENCED
        return admin.OK if len(row.journal) == part.expected_version else admin.CONFLICT

    with mock.patch.object(admin.Admin, "check", check):
        yield


@contextlib.contextmanager
def one_runner_for_an_attempt() -> Iterator[None]:
    """A second runner is admitted as the first is."""
    with mock.patch.object(admin.Admin, "may_admit", return_value=True):
        yield


@contextlib.contextmanager
def consumed_rows_of_the_inbox() -> Iterator[None]:
    """Rows that a commit has consumed are taken again when they come again."""

    def deliver(self: reconciler.Reconciler, rows: Sequence[propeller_pb2.InboxRow]) -> None:
        for row in rows:
            self._inbox.setdefault(row.sequence, row.event)
        self._wake.set()

    take = drive.Drive._take

    def take_again(self: drive.Drive) -> None:
        again = [number for number in self._inbox if number <= self.consumed_to]
        self._taken_to = min([self._taken_to, *(number - 1 for number in again)])
        take(self)

    with (
        mock.patch.object(reconciler.Reconciler, "deliver", deliver),
        mock.patch.object(drive.Drive, "_take", take_again),
    ):
        yield


@contextlib.contextmanager
def pending_actions() -> Iterator[None]:
    """Whoever takes an execution over does nothing of what is pending."""

    def pending(graph: engine.Graph, state: engine.State) -> list[Any]:
        return [engine.FinishExecution()] if state.done else []

    with mock.patch.object(engine, "pending", pending):
        yield


@contextlib.contextmanager
def fencing_of_reservations() -> Iterator[None]:
    """Who has lost a reservation publishes all the same."""
    with mock.patch.object(wider.Cache, "may_publish", return_value=True):
        yield


@contextlib.contextmanager
def inquiries() -> Iterator[None]:
    """An executor is not asked after attempts that it has for executions which another propeller drives."""
    with mock.patch.object(admin.Admin, "inquire"):
        yield


ALL = (
    persist_before_perform,
    fencing_by_epoch,
    one_runner_for_an_attempt,
    consumed_rows_of_the_inbox,
    pending_actions,
    fencing_of_reservations,
    inquiries,
)
