"""The compiler's view of the tasks, workflows and launch plans that are objects in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typedflow import identifiers
from typedflow.authoring.called import Called
from typedflow.authoring.trace import Key
from typedflow.pb import identifiers_pb2, launch_plans_pb2, tasks_pb2, workflows_pb2


class LocalResolver:
    """Finds what was called, by the keys of identifiers; each gives its own message."""

    def __init__(self, called: Mapping[Key, Called[..., Any]]) -> None:
        self._called = {key: each for key, each in called.items() if not each.broken}

    def task(self, id: identifiers_pb2.Identifier, /) -> tasks_pb2.TaskTemplate | None:  # noqa: A002 - as in the protocol
        found = self._message(id)
        return found if isinstance(found, tasks_pb2.TaskTemplate) else None

    def workflow(self, id: identifiers_pb2.Identifier, /) -> workflows_pb2.CompiledWorkflow | None:  # noqa: A002
        found = self._message(id)
        return found if isinstance(found, workflows_pb2.CompiledWorkflow) else None

    def launch_plan(self, id: identifiers_pb2.Identifier, /) -> launch_plans_pb2.CompiledLaunchPlan | None:  # noqa: A002
        found = self._message(id)
        return found if isinstance(found, launch_plans_pb2.CompiledLaunchPlan) else None

    def task_names(self) -> Sequence[str]:
        return self._names(identifiers_pb2.ENTITY_KIND_TASK)

    def workflow_names(self) -> Sequence[str]:
        return self._names(identifiers_pb2.ENTITY_KIND_WORKFLOW)

    def launch_plan_names(self) -> Sequence[str]:
        return self._names(identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN)

    def _message(self, id: identifiers_pb2.Identifier) -> object:  # noqa: A002
        found = self._called.get(identifiers.key(id))
        return None if found is None else found.resolved()

    def _names(self, kind: int) -> list[str]:
        return [each.name for key, each in self._called.items() if key[0] == kind]
