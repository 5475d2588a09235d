"""Authors' modules as templates: entities found, traced, fingerprinted, bundled and compiled.

What comes out is what a server gets; the compiler has seen it, so that whoever registers learns of every mistake
without one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from typedflow import errors, fingerprint
from typedflow.authoring import definitions, first_party, loading
from typedflow.authoring.launch_plan import LaunchPlan
from typedflow.authoring.task import Task
from typedflow.authoring.workflow import Workflow
from typedflow.compiler import diagnostics
from typedflow.pb import diagnostics_pb2, launch_plans_pb2, tasks_pb2, workflows_pb2

if TYPE_CHECKING:
    from typedflow.dataplane import bundles


@dataclass(frozen=True, slots=True)
class Entities:
    """What was found in modules, each by its full name, in the order of definition."""

    tasks: dict[str, Task[..., Any]] = field(default_factory=dict)
    workflows: dict[str, Workflow[..., Any]] = field(default_factory=dict)
    launch_plans: dict[str, LaunchPlan] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Registration:
    """Everything that a registration sends: templates without project, domain and version, and the code."""

    tasks: tuple[tasks_pb2.TaskTemplate, ...]
    workflows: tuple[workflows_pb2.WorkflowTemplate, ...]
    launch_plans: tuple[launch_plans_pb2.LaunchPlanTemplate, ...]
    bundle: bundles.Bundle


def check(paths: Sequence[str | Path]) -> tuple[Entities, list[diagnostics_pb2.Diagnostic]]:
    """Loads authors' files and gives what they define, and every mistake in it, in a stable order.

    Raises:
        LoadError: a file that can't be imported.
    """
    with definitions.noting() as mistakes:
        loaded = loading.load(paths)
    entities = find(loaded.modules)
    defined = (each for each in _defined(loaded.modules) if isinstance(each, Task))
    called = (task for each in entities.workflows.values() for task in _tasks_of(each))
    tasks = dict.fromkeys([*defined, *called])
    mistakes.extend(diagnostics.unique(_not_importable(each) for each in tasks if not _is_importable(each)))
    for each in entities.workflows.values():
        mistakes.extend(_mistakes_of(each))
    return entities, mistakes


def collect(paths: Sequence[str | Path], *, include: Sequence[str] = ()) -> Registration:
    """Loads authors' files and makes of them all that a registration sends.

    Args:
        paths: files and folders.
        include: globs, relative to the import roots, of files that go into the bundle too.

    Raises:
        LoadError: a file that can't be imported.
        CompileError: mistakes; all of them.
        UsageError: there is nothing to register.
        BundleError: the code can't be bundled.
    """
    from typedflow.dataplane import bundles  # noqa: PLC0415 - brings zipfile and tarfile, and a check packs nothing

    entities, mistakes = check(paths)
    if mistakes:
        raise errors.CompileError(mistakes)
    if not (entities.tasks or entities.workflows or entities.launch_plans):
        shown = ", ".join(f"`{path}`" for path in paths)
        raise errors.UsageError(
            f"{shown} defines no task, workflow or launch plan",
            hint="decorate a function with @task or @workflow",
        )
    roots = first_party.all_roots(loading.roots_of(paths))
    bundle = bundles.build(first_party.modules(roots), roots=roots, include=include)
    resolver = fingerprint.Resolver(roots)
    return Registration(
        tasks=tuple(
            each.template(code_of(each, resolver), bundle.digest) for each in entities.tasks.values()
        ),
        workflows=tuple(each.traced.template for each in entities.workflows.values()),
        launch_plans=tuple(each.template() for each in entities.launch_plans.values()),
        bundle=bundle,
    )


def find(modules: Iterable[ModuleType]) -> Entities:
    """The entities that modules define, and those that these refer to."""
    found = Entities()
    for each in _defined(modules):
        if isinstance(each, Task):
            found.tasks.setdefault(each.name, each)
        elif isinstance(each, Workflow):
            found.workflows.setdefault(each.name, each)
        else:
            found.launch_plans.setdefault(each.name, each)
    for plan in found.launch_plans.values():
        found.workflows.setdefault(plan.workflow.name, plan.workflow)
    for workflow in found.workflows.values():
        for task in _tasks_of(workflow):
            found.tasks.setdefault(task.name, task)
    return found


def _defined(modules: Iterable[ModuleType]) -> Iterator[Task[..., Any] | Workflow[..., Any] | LaunchPlan]:
    """What modules define themselves, and every launch plan that they hold."""
    for module in modules:
        for value in list(vars(module).values()):
            own = isinstance(value, Task | Workflow) and value.module == module.__name__
            if (own or isinstance(value, LaunchPlan)) and not value.broken:
                yield value


def code_of(task: Task[..., Any], resolver: fingerprint.Resolver) -> tasks_pb2.Code:
    """What a task's code is to its cache key."""
    depends_on = task.cache.depends_on if task.cache else ()
    found = resolver.fingerprint(task.function, depends_on=depends_on)
    return tasks_pb2.Code(
        fingerprint=found.digest,
        components=[tasks_pb2.CodeComponent(name=each.name, digest=each.digest) for each in found.components],
        environment=found.environment,
        python=found.python,
        distributions=[
            tasks_pb2.Distribution(name=name, version=version) for name, version in found.distributions
        ],
    )


def _mistakes_of(each: Workflow[..., Any]) -> Sequence[diagnostics_pb2.Diagnostic]:
    try:
        each.compiled  # noqa: B018 - compiles
    except errors.CompileError as error:
        return error.diagnostics
    except definitions.AlreadyTold:
        return ()
    return ()


def _tasks_of(each: Workflow[..., Any]) -> Iterable[Task[..., Any]]:
    try:
        return each.traced.tasks.values()
    except definitions.AlreadyTold:
        return ()


def _is_importable(task: Task[..., Any]) -> bool:
    value: Any = sys.modules.get(task.module)
    for part in task.function.__qualname__.split("."):
        value = getattr(value, part, None)
    return isinstance(value, Task) and value.is_same(task)


def _not_importable(task: Task[..., Any]) -> diagnostics_pb2.Diagnostic:
    return diagnostics_pb2.Diagnostic(
        code=diagnostics.INVALID_NAME,
        message=f"task `{task.short_name}` can't be imported: `{task.module}` does not have it under its name",
        workflow=task.name,
        position=task.template().position,
        hint="define it once, at the top level of its module, and keep its name",
    )
