"""Which version of a launch plan is the active one, and the gate before it: nobody's launches break by accident.

The active version is what is launched when no version is named, so a new one is compared with it. What breaks is
refused unless whoever asks says that it may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from typedflow import errors, interface
from typedflow.pb.identifiers_pb2 import (
    ENTITY_KIND_LAUNCH_PLAN,
    ENTITY_KIND_TASK,
    ENTITY_KIND_WORKFLOW,
    Identifier,
)
from typedflow.pb.interface_pb2 import Interface
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
from typedflow.pb.registry_pb2 import (
    COMPATIBILITY_BREAKING,
    COMPATIBILITY_SAME,
    ActivateLaunchPlanRequest,
    ActivateLaunchPlanResponse,
    DeactivateLaunchPlanResponse,
    InterfaceComparison,
)
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import CompiledWorkflow
from typedflow_admin import compilation, names, principals, store

MOST_AFFECTED = 100
"""As many of those who refer to something are named."""

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Compared:
    """A version against the one that is there; `with_active` says that this is the active one."""

    comparison: InterfaceComparison
    with_active: bool


class LaunchPlans:
    """Activates and deactivates launch plans."""

    def __init__(self, database: store.Store, clock_us: Callable[[], int]) -> None:
        self._database = database
        self._clock_us = clock_us

    async def activate(self, request: ActivateLaunchPlanRequest) -> ActivateLaunchPlanResponse:
        """Makes a version the active one of its name.

        Raises:
            NotFound: there is no such version.
            UsageError: no version is named.
            BreakingChange: it breaks what the active version promises, and that is not allowed.
        """
        id_ = _launch_plan(request.id)
        if not id_.version:
            raise errors.UsageError(
                "say which version to activate", where="id.version", code="InvalidRequest"
            )

        now, principal = self._clock_us(), principals.current()

        def swap(transaction: store.Transaction) -> ActivateLaunchPlanResponse:
            row = names.find(transaction, id_)
            response = ActivateLaunchPlanResponse(id=names.identifier(row))
            active = transaction.entities.active_of([row.key]).get(row.key)
            if active is not None:
                [before] = transaction.entities.exact([active.version_key])
                comparison = _compare(before, row)
                name_affected(transaction, [comparison])
                if not request.allow_breaking:
                    check([Compared(comparison, with_active=True)])
                response.replaced.CopyFrom(comparison.old)
                response.interface.CopyFrom(comparison)
            transaction.entities.activate([row.version_key], now, principal)
            return response

        return await self._database.write(swap)

    async def deactivate(self, id_: Identifier) -> DeactivateLaunchPlanResponse:
        """Leaves a launch plan without an active version; one that has none stays as it is.

        Raises:
            NotFound: there is no such launch plan.
            StateConflict: the version that is named is not the active one.
        """
        wanted = _launch_plan(id_)

        def leave(transaction: store.Transaction) -> DeactivateLaunchPlanResponse:
            row = names.find(transaction, wanted)
            active = transaction.entities.active_of([row.key]).get(row.key)
            if active is None:
                return DeactivateLaunchPlanResponse()
            if active.version != row.version:
                raise errors.StateConflict(
                    f"version `{row.version}` of launch plan `{row.name}` is not active, `{active.version}` is",
                    hint="name that one, or none",
                )
            transaction.entities.deactivate([row.key])
            return DeactivateLaunchPlanResponse(deactivated=names.identifier(active))

        return await self._database.write(leave)


def compare_registered(
    transaction: store.Transaction,
    checked: Sequence[compilation.Checked],
    rows: Sequence[store.EntityRow],
) -> list[Compared | None]:
    """Each entity that is registered against the active version of its name, else the newest; None for a first one.

    `rows` are the same entities as they will be stored, which they are not yet.
    """
    keys = [row.key for row in rows]
    active = transaction.entities.active_of([key for key in keys if key.kind == ENTITY_KIND_LAUNCH_PLAN])
    before = transaction.entities.newest_of(keys) | active
    # An equal digest says that the interface is equal too, but for a launch plan, whose interface is its workflow's.
    wanted = [
        old.version_key
        for row in rows
        if (old := before.get(row.key)) is not None
        and (row.kind == ENTITY_KIND_LAUNCH_PLAN or old.digest != row.digest)
    ]
    whole = {row.version_key: row for row in transaction.entities.exact(wanted)}
    compared: list[Compared | None] = []
    for one, row in zip(checked, rows, strict=True):
        old = before.get(row.key)
        if old is None:
            compared.append(None)
            continue
        there = whole.get(old.version_key)
        comparison = (
            interface.compare(interface_of(there), one.interface)
            if there is not None
            else InterfaceComparison(compatibility=COMPATIBILITY_SAME)
        )
        comparison.old.CopyFrom(names.identifier(old))
        comparison.new.CopyFrom(one.id)
        compared.append(Compared(comparison, with_active=old.active))
    name_affected(transaction, [each.comparison for each in compared if each is not None])
    return compared


def check(compared: Iterable[Compared | None]) -> None:
    """The gate.

    Raises:
        BreakingChange: with everything that breaks what an active version promises.
    """
    breaking = [
        each.comparison
        for each in compared
        if each is not None and each.with_active and each.comparison.compatibility == COMPATIBILITY_BREAKING
    ]
    if breaking:
        raise errors.BreakingChange(
            "; ".join(map(_broken, breaking[:_SHOWN]))
            + (f"; and {len(breaking) - _SHOWN} more launch plans" if len(breaking) > _SHOWN else ""),
            comparisons=breaking,
            hint="allow it (`allow_breaking`) if those who launch it know, or register it under a new name",
        )


def name_affected(transaction: store.Transaction, comparisons: Iterable[InterfaceComparison]) -> None:
    """Names those who refer to the old version of what breaks."""
    breaking = {
        names.version_key(each.old): each
        for each in comparisons
        if each.compatibility == COMPATIBILITY_BREAKING
    }
    for version, found in transaction.entities.referrers(breaking, MOST_AFFECTED).items():
        breaking[version].affected.extend(map(names.identifier_of, found.first))
        breaking[version].affected_count = found.count


def interface_of(row: store.EntityRow) -> Interface:
    """What a stored entity takes and gives."""
    return compilation.interface_of(compiled(row))


def compiled(row: store.EntityRow) -> compilation.Compiled:
    """A stored entity."""
    match row.kind:
        case kind if kind == ENTITY_KIND_TASK:
            return TaskTemplate.FromString(row.template)
        case kind if kind == ENTITY_KIND_WORKFLOW:
            return CompiledWorkflow.FromString(row.template)
        case _:
            return CompiledLaunchPlan.FromString(row.template)


def _compare(old: store.EntityRow, new: store.EntityRow) -> InterfaceComparison:
    comparison = interface.compare(interface_of(old), interface_of(new))
    comparison.old.CopyFrom(names.identifier(old))
    comparison.new.CopyFrom(names.identifier(new))
    return comparison


def _broken(comparison: InterfaceComparison) -> str:
    new = comparison.new
    reasons = [
        f"{'output' if each.output else 'input'} `{each.name}`: {each.reason}"
        for each in comparison.variables
        if each.compatibility == COMPATIBILITY_BREAKING
    ]
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    return (
        f"version `{new.version}` of launch plan `{new.name}` breaks what the active version"
        f" `{comparison.old.version}` promises: {'; '.join(reasons[:_SHOWN])}{more}"
    )


def _launch_plan(id_: Identifier) -> Identifier:
    made = Identifier()
    made.CopyFrom(id_)
    made.kind = ENTITY_KIND_LAUNCH_PLAN
    return made
