"""What all runs of a graph share: the graph as the engine has it, and the objects that its nodes call.

Descriptions of tasks, with their code's fingerprints, are made when a cache first asks for a key.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typedflow import engine, errors, fingerprint, hashing, identifiers, settings
from typedflow.authoring import first_party, loading, serialize
from typedflow.authoring.called import Called
from typedflow.authoring.task import FunctionTask, Task
from typedflow.authoring.trace import Key
from typedflow.authoring.wiring import Traced
from typedflow.local_run import signals
from typedflow.pb import tasks_pb2, workflows_pb2


class Wired:
    """What the nodes of a compiled graph call.

    Attributes:
        compiled: the graph.
        questions: by the names of gates, the annotations of what they are given.
    """

    def __init__(self, compiled: workflows_pb2.CompiledWorkflow, traced: Traced) -> None:
        self.compiled = compiled
        self.questions = traced.questions()
        tasks: Mapping[Key, Task[..., Any]] = traced.tasks()
        plans: Mapping[Key, Called[..., Any]] = traced.launch_plans()
        self.tasks: list[Task[..., Any] | None] = []
        self.launch_plans: dict[int, Called[..., Any]] = {}
        known: dict[bytes, Task[..., Any]] = {}
        for i, node in enumerate(compiled.workflow.nodes):
            kind = node.WhichOneof("target")
            task = None
            if kind in {"task", "map"}:
                reference = node.task.task if kind == "task" else node.map.task
                text = reference.SerializeToString()
                task = known.get(text) or known.setdefault(text, tasks[identifiers.key(reference)])
            elif kind == "launch_plan":
                self.launch_plans[i] = plans[identifiers.key(node.launch_plan.launch_plan)]
            elif kind == "workflow":
                raise errors.UsageError(
                    f"node `{node.id}` is a workflow that is registered elsewhere, so it can't run here",
                    where=compiled.workflow.id.name,
                    hint="launch the workflow where that one is registered",
                    code="NotHere",
                )
            self.tasks.append(task)

    def gates(self, what: str, prefix: str) -> signals.Gates:
        """What its gates wait for; `prefix` is what comes before its nodes' names in signals."""
        return signals.Gates.of(self.compiled, self.questions, what, prefix)


class Plan:
    """What every run of a workflow shares."""

    def __init__(self, compiled: workflows_pb2.CompiledWorkflow, traced: Traced, what: str) -> None:
        self.compiled = compiled
        self.wired = Wired(compiled, traced)
        self.graph = engine.Graph(compiled)
        self.what = what
        self._recipes: dict[tuple[str, int, bytes], hashing.Recipe] = {}
        self._templates: dict[tuple[str, int], tasks_pb2.TaskTemplate] = {}
        self._resolvers: dict[tuple[Path, ...], fingerprint.Resolver] = {}

    def template(self, task: Task[..., Any]) -> tasks_pb2.TaskTemplate:
        """The task, complete as a server has it, so that a key made here is a server's."""
        known = (task.name, id(task.original))  # which something that the plan holds on to keeps alive
        made = self._templates.get(known)
        if made is None:
            files = (
                [inspect.unwrap(task.function).__code__.co_filename] if isinstance(task, FunctionTask) else []
            )
            roots = first_party.all_roots([loading.root_of(Path(file)) for file in files])
            resolver = self._resolvers.get(roots)
            if resolver is None:
                resolver = self._resolvers[roots] = fingerprint.Resolver(roots)
            made = task.template(serialize.code_of(task, resolver))
            found = settings.load()
            made.id.project, made.id.domain = found.project, found.domain
            self._templates[known] = made
        return made

    def recipe(self, task: Task[..., Any], options: tasks_pb2.TaskOptions) -> hashing.Recipe:
        """Of the keys of the task's calls on these terms."""
        known = (task.name, id(task.original), options.SerializeToString(deterministic=True))
        made = self._recipes.get(known)
        if made is None:
            made = self._recipes[known] = hashing.Recipe(self.template(task), options)
        return made
