"""Tasks, workflows and launch plans in all their versions: registers whole sets of them, finds and lists them.

A version never changes: other content under one that exists is refused. A registration whose version was made of its
content says "this is what I have now": its versions become the newest of their names even if they were there already.
One that names a version that is there repeats what was said before, and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass

from typedflow import errors, identifiers
from typedflow.pb.identifiers_pb2 import (
    ENTITY_KIND_LAUNCH_PLAN,
    ENTITY_KIND_TASK,
    ENTITY_KIND_WORKFLOW,
    Identifier,
)
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
from typedflow.pb.registry_pb2 import (
    CHANGE_CHANGED,
    CHANGE_NEW,
    CHANGE_UNCHANGED,
    Change,
    Entity,
    EntitySummary,
    ListEntitiesRequest,
    ListEntitiesResponse,
    RegisteredEntity,
    RegisterRequest,
    RegisterResponse,
)
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import CompiledWorkflow
from typedflow_admin import (
    activation,
    compilation,
    differences,
    names,
    pages,
    principals,
    registration,
    store,
)
from typedflow_admin.wording import Words


class Registry:
    """Registers, finds and lists entities."""

    def __init__(self, database: store.Store, clock_us: Callable[[], int]) -> None:
        self._database = database
        self._clock_us = clock_us

    async def register(self, requests: AsyncIterable[RegisterRequest]) -> RegisterResponse:
        """Registers everything in the stream, or nothing.

        Raises:
            UsageError: what was sent is no registration.
            CompileError: with every mistake in it.
            StateConflict: a bundle that is not there.
            VersionConflict: other content under a version that exists.
            BreakingChange: a launch plan that is to be activated breaks what the active version promises.
        """
        sent = await registration.receive(requests)
        version = await asyncio.to_thread(registration.complete, sent)
        wanted = await asyncio.to_thread(registration.references, sent)
        there = await self._database.read(
            lambda transaction: known(transaction, wanted, sent.header.project, sent.header.domain)
        )
        checked = await asyncio.to_thread(compilation.compile_all, sent, there)
        rows = await asyncio.to_thread(self._rows, checked)
        referred = await asyncio.to_thread(_referred, checked, rows)
        bundles = sorted({task.python.bundle for task in sent.tasks if task.python.bundle})
        header, now, principal = sent.header, self._clock_us(), principals.current()

        def store_all(transaction: store.Transaction) -> list[RegisteredEntity]:
            if not header.dry_run:
                check_bundles(transaction, bundles)
            plan = _plan(transaction, checked, rows, "" if header.version else version)
            compared = activation.compare_registered(transaction, checked, rows)
            if header.activate and not header.allow_breaking:
                activation.check(compared)
            if not header.dry_run:
                transaction.entities.place(plan.placed)
                transaction.entities.insert(plan.new)
                transaction.entities.refer({row.version_key: referred[row.version_key] for row in plan.new})
                if header.activate:
                    launch_plans = [row.version_key for row in rows if row.kind == ENTITY_KIND_LAUNCH_PLAN]
                    transaction.entities.activate(launch_plans, now, principal)
            return [
                RegisteredEntity(id=one.id, change=change, interface=each.comparison if each else None)
                for one, change, each in zip(checked, plan.changes, compared, strict=True)
            ]

        run = self._database.read if header.dry_run else self._database.write
        return RegisterResponse(version=version, entities=await run(store_all))

    async def get(self, id_: Identifier) -> Entity:
        """The entity that `id_` names.

        Raises:
            NotFound: there is none.
            UsageError: the name is the last part of several, or malformed.
        """
        row = await self._database.read(lambda transaction: names.find(transaction, id_))
        return _entity(row)

    async def page(self, request: ListEntitiesRequest) -> ListEntitiesResponse:
        """A page of the newest versions of each name, or of the versions of one."""
        if request.kind == 0:
            raise errors.UsageError("say which kind of entity to list", where="kind", code="InvalidRequest")
        limit = pages.size(request.page_size)
        filters = ("entities", request.kind, request.project, request.domain, request.name)
        if request.name:
            before = pages.number(request.page_token, *filters)
            rows, active = await self._database.read(
                lambda transaction: _with_active(
                    transaction, _versions(transaction, request, before, limit + 1)
                )
            )
            page, token = pages.cut(rows, limit, store.weight, lambda row: row.place, *filters)
        else:
            after = pages.name(request.page_token, *filters)
            rows, active = await self._database.read(
                lambda transaction: _with_active(
                    transaction,
                    transaction.entities.newest(
                        request.kind, request.project, request.domain, after, limit + 1
                    ),
                )
            )
            page, token = pages.cut(rows, limit, store.weight, lambda row: row.name, *filters)
        return ListEntitiesResponse(
            entities=[_summary(row, active.get(row.key)) for row in page], next_page_token=token
        )

    def _rows(self, checked: Sequence[compilation.Checked]) -> list[store.EntityRow]:
        now, principal = self._clock_us(), principals.current()
        return [
            store.EntityRow(
                kind=one.id.kind,
                project=one.id.project,
                domain=one.id.domain,
                name=one.id.name,
                version=one.id.version,
                digest=one.digest,
                content=one.content,
                template=one.compiled.SerializeToString(deterministic=True),
                description=one.template.description,
                signature=one.signature,
                created_at_us=now,
                principal=principal,
            )
            for one in checked
        ]


def _referred(
    checked: Sequence[compilation.Checked], rows: Sequence[store.EntityRow]
) -> dict[store.EntityVersion, list[store.EntityVersion]]:
    return {
        row.version_key: [names.version_key(id_) for id_ in registration.referred(one.template)]
        for one, row in zip(checked, rows, strict=True)
    }


def known(
    transaction: store.Transaction, wanted: Sequence[Identifier], project: str, domain: str
) -> compilation.Known:
    """What is registered of what is wanted; of kinds where some is not, the project's names, for hints."""
    tasks, workflows, launch_plans = {}, {}, {}
    for row in transaction.entities.exact([names.version_key(id_) for id_ in wanted]):
        key = identifiers.key(names.identifier(row))
        if row.kind == ENTITY_KIND_TASK:
            tasks[key] = TaskTemplate.FromString(row.template)
        elif row.kind == ENTITY_KIND_WORKFLOW:
            workflows[key] = CompiledWorkflow.FromString(row.template)
        else:
            launch_plans[key] = CompiledLaunchPlan.FromString(row.template)
    found = tasks.keys() | workflows.keys() | launch_plans.keys()
    missing = sorted({id_.kind for id_ in wanted if identifiers.key(id_) not in found})
    hinted = {kind: transaction.entities.names(kind, project, domain) for kind in missing}
    return compilation.Known(tasks, workflows, launch_plans, hinted)


def check_bundles(transaction: store.Transaction, digests: Sequence[str]) -> None:
    """Refuses code that was not uploaded.

    Raises:
        StateConflict: some was not.
    """
    there = transaction.entities.bundles(digests)
    missing = [digest for digest in digests if digest not in there]
    if missing:
        raise errors.StateConflict(
            f"the code bundle {missing[0]} is not here",
            hint="upload it with Data.PutBundle first",
            code="BundleMissing",
        )


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a registration does: new rows, numbers of rows that become the newest again, what is said of each."""

    new: list[store.EntityRow]
    placed: list[int]
    changes: list[Change.ValueType]


def _plan(
    transaction: store.Transaction,
    checked: Sequence[compilation.Checked],
    rows: Sequence[store.EntityRow],
    made_of_content: str,
) -> _Plan:
    """What to do; raises VersionConflict for rows that are there with other content.

    Args:
        transaction: where they may be.
        checked: what is registered.
        rows: the same, as it will be stored.
        made_of_content: the version that nobody named; empty when somebody did.
    """
    there = {
        (row.key, row.version): row
        for row in transaction.entities.exact([(row.key, row.version) for row in rows])
    }
    newest = transaction.entities.newest_of([row.key for row in rows])
    plan = _Plan([], [], [])
    moved = False
    for one, row in zip(checked, rows, strict=True):
        old, top = there.get((row.key, row.version)), newest.get(row.key)
        if old is None:
            plan.new.append(row)
        elif old.content != row.content:
            raise _conflict(one, old)
        elif row.version == made_of_content:
            plan.placed.append(old.number)
            moved |= top is not None and top.number != old.number
        changes = old is None or row.version == made_of_content
        plan.changes.append(
            CHANGE_NEW
            if top is None
            else CHANGE_CHANGED
            if changes and top.digest != row.digest
            else CHANGE_UNCHANGED
        )
    if not moved:
        plan.placed.clear()
    return plan


def _conflict(one: compilation.Checked, old: store.EntityRow) -> errors.VersionConflict:
    before = activation.compiled(old)
    difference = differences.describe(before, one.compiled, Words([before, one.compiled], everything=True))
    return errors.VersionConflict(
        f"version `{old.version}` of {names.word(one.id.kind)} `{old.name}` exists with other content"
        + (f": {difference}" if difference else ""),
        hint="versions never change: register under a new one, or without one to have it made of the content",
    )


def _versions(
    transaction: store.Transaction, request: ListEntitiesRequest, before: int, limit: int
) -> list[store.EntityRow]:
    row = names.find(
        transaction,
        Identifier(kind=request.kind, project=request.project, domain=request.domain, name=request.name),
        "name",
    )
    return transaction.entities.versions(row.key, before, limit)


def _entity(row: store.EntityRow) -> Entity:
    entity = Entity(
        id=names.identifier(row),
        digest=row.digest,
        created_at_us=row.created_at_us,
        principal=row.principal,
        active=row.active,
    )
    if row.kind == ENTITY_KIND_TASK:
        entity.task.MergeFromString(row.template)
    elif row.kind == ENTITY_KIND_WORKFLOW:
        entity.workflow.MergeFromString(row.template)
    else:
        entity.launch_plan.MergeFromString(row.template)
    return entity


def _with_active(
    transaction: store.Transaction, rows: list[store.EntityRow]
) -> tuple[list[store.EntityRow], dict[store.EntityKey, store.EntityRow]]:
    """The rows, and the active versions of those that are launch plans."""
    launch_plans = {row.key for row in rows if row.kind == ENTITY_KIND_LAUNCH_PLAN}
    return rows, transaction.entities.active_of(launch_plans)


def _summary(row: store.EntityRow, active: store.EntityRow | None) -> EntitySummary:
    return EntitySummary(
        id=names.identifier(row),
        description=row.description,
        signature=row.signature,
        created_at_us=row.created_at_us,
        active=row.active,
        active_version=active.version if active is not None else "",
    )
