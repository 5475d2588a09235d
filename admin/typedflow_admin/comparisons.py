"""Two versions of an entity compared: their interfaces, and then everything else that an author would ask about.

Of a launch plan that is its own part and its workflow's; of a workflow its graph, its tasks' terms, and their code as
one: a function that ten tasks call is told once. Bundles, positions and descriptions are left out, and so is the
version where a reference means that of whoever refers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from typedflow import errors, interface
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_WORKFLOW
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
from typedflow.pb.registry_pb2 import CompareEntitiesRequest, CompareEntitiesResponse, Difference
from typedflow.pb.tasks_pb2 import Code, TaskTemplate
from typedflow.pb.workflows_pb2 import CompiledWorkflow
from typedflow_admin import activation, compilation, differences, names, registration, store
from typedflow_admin.wording import Words

MOST_DIFFERENCES = 1_000

Parts = list[compilation.Compiled]


class Comparisons:
    """Compares versions."""

    def __init__(self, database: store.Store) -> None:
        self._database = database

    async def compare(self, request: CompareEntitiesRequest) -> CompareEntitiesResponse:
        """What differs between two versions, and whom it concerns.

        Raises:
            NotFound: one of them is not there.
            UsageError: they are of different kinds.
        """
        if request.old.kind != request.new.kind:
            raise errors.UsageError(
                "only entities of one kind can be compared", where="new.kind", code="InvalidRequest"
            )

        def read(
            transaction: store.Transaction,
        ) -> tuple[
            tuple[store.EntityRow, store.EntityRow | None], tuple[store.EntityRow, store.EntityRow | None]
        ]:
            old, new = (
                names.find(transaction, request.old, "old"),
                names.find(transaction, request.new, "new"),
            )
            return (old, _workflow(transaction, old)), (new, _workflow(transaction, new))

        old, new = await self._database.read(read)
        response = await asyncio.to_thread(_compare, old, new)
        await self._database.read(
            lambda transaction: activation.name_affected(transaction, [response.interface])
        )
        return response


def _workflow(transaction: store.Transaction, row: store.EntityRow) -> store.EntityRow | None:
    """What a launch plan launches."""
    compiled = activation.compiled(row)
    if not isinstance(compiled, CompiledLaunchPlan):
        return None
    plan = compiled.launch_plan
    return names.find(transaction, registration.completed(plan.workflow, plan.id, ENTITY_KIND_WORKFLOW))


def _compare(
    old: tuple[store.EntityRow, store.EntityRow | None], new: tuple[store.EntityRow, store.EntityRow | None]
) -> CompareEntitiesResponse:
    before, after = ([activation.compiled(row) for row in rows if row is not None] for rows in (old, new))
    response = CompareEntitiesResponse(
        old=names.identifier(old[0]),
        new=names.identifier(new[0]),
        interface=interface.compare(*(compilation.interface_of(parts[0]) for parts in (before, after))),
    )
    response.interface.old.CopyFrom(response.old)
    response.interface.new.CopyFrom(response.new)
    for count, difference in enumerate(_differences(before, after), 1):
        response.differences_count = count
        if count <= MOST_DIFFERENCES:
            response.differences.append(difference)
    return response


def _differences(old: Parts, new: Parts) -> Iterator[Difference]:
    """Of entities with what belongs to them, part by part."""
    own = Words([*old, *new], left_out=("id", "interface", "code", "tasks", "launch_plans"))
    for before, after in zip(old, new, strict=True):
        yield from differences.between(before, after, own)
    terms = Words([*old, *new])
    tasks_before, tasks_after = list(_tasks(old)), list(_tasks(new))
    if not isinstance(old[0], TaskTemplate):
        yield from differences.of_lists(map(_terms, tasks_before), map(_terms, tasks_after), terms, "tasks")
    yield from differences.between(_code(tasks_before), _code(tasks_after), terms, "code")


def _tasks(parts: Parts) -> Iterator[TaskTemplate]:
    for each in parts:
        if isinstance(each, TaskTemplate):
            yield each
        elif isinstance(each, CompiledWorkflow):
            yield from each.tasks


def _terms(task: TaskTemplate) -> TaskTemplate:
    """A task without its code, which is told of all tasks together."""
    made = TaskTemplate()
    made.CopyFrom(task)
    made.ClearField("code")
    return made


def _code(tasks: Iterable[TaskTemplate]) -> Code:
    """The code of all tasks as one; the digest of the environment is that of what is told of it here."""
    listed = list(tasks)
    components = {each.name: each for task in listed for each in task.code.components}
    distributions = {each.name: each for task in listed for each in task.code.distributions}
    return Code(
        components=[components[name] for name in sorted(components)],
        python=", ".join(sorted({task.code.python for task in listed} - {""})),
        distributions=[distributions[name] for name in sorted(distributions)],
    )
