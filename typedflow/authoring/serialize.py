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

from typedflow import compiler, errors, fingerprint, hashing
from typedflow.authoring import definitions, first_party, loading
from typedflow.authoring.called import Called
from typedflow.authoring.container import ContainerTask
from typedflow.authoring.launch_plan import LaunchPlan
from typedflow.authoring.task import FunctionTask, Task
from typedflow.authoring.wiring import Wiring
from typedflow.compiler import diagnostics
from typedflow.pb import diagnostics_pb2, launch_plans_pb2, tasks_pb2, workflows_pb2

if TYPE_CHECKING:
    from typedflow.dataplane import bundles


@dataclass(frozen=True, slots=True)
class Entities:
    """What was found in modules, each by its full name, in the order of definition."""

    tasks: dict[str, Task[..., Any]] = field(default_factory=dict)
    workflows: dict[str, Wiring[..., Any]] = field(default_factory=dict)
    launch_plans: dict[str, LaunchPlan[..., Any]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.tasks or self.workflows or self.launch_plans)


@dataclass(frozen=True, slots=True)
class Registration:
    """Everything that a registration sends: templates without project, domain and version, and the code."""

    tasks: tuple[tasks_pb2.TaskTemplate, ...]
    workflows: tuple[workflows_pb2.WorkflowTemplate, ...]
    launch_plans: tuple[launch_plans_pb2.LaunchPlanTemplate, ...]
    bundle: bundles.Bundle


def check(paths: Sequence[str | Path]) -> tuple[Entities, list[diagnostics_pb2.Diagnostic]]:
    """Loads authors' files and gives what they define, and every mistake in them, in a stable order.

    A file that can't be imported is a mistake too, and the others are looked at all the same.

    Raises:
        LoadError: there is no such file.
    """
    entities, mistakes, _ = _check(paths)
    return entities, mistakes


def _check(
    paths: Sequence[str | Path],
) -> tuple[Entities, list[diagnostics_pb2.Diagnostic], list[errors.TypedflowError]]:
    """The same, and what kept files from being imported."""
    failures: list[errors.TypedflowError] = []
    with definitions.noting() as mistakes:
        loaded = loading.load(paths, failures)
    mistakes.extend(_of_failures(failures))
    entities = find(loaded.modules)
    if not failures:  # else what was loaded before is back in its place
        defined = (each for each in _defined(loaded.modules) if isinstance(each, FunctionTask))
        called = (task for each in entities.workflows.values() for task in _called_by(each))
        tasks = dict.fromkeys(each for each in (*defined, *called) if isinstance(each, FunctionTask))
        mistakes.extend(
            diagnostics.unique(_not_importable(each) for each in tasks if not _is_importable(each))
        )
    for each in entities.workflows.values():
        mistakes.extend(_mistakes_of(each))
    for task in entities.tasks.values():
        if isinstance(task, ContainerTask):  # whatever else a task says has been checked where it is written
            mistakes.extend(compiler.compile_task(task.template()).diagnostics)
    for plan in entities.launch_plans.values():
        mistakes.extend(_mistakes_of_plan(plan))
    return entities, definitions.in_order(definitions.once(diagnostics.unique(mistakes))), failures


def _of_failures(failures: Iterable[errors.TypedflowError]) -> Iterable[diagnostics_pb2.Diagnostic]:
    """Each once: a file that fails, fails again for every other that imports it."""
    found: dict[object, diagnostics_pb2.Diagnostic] = {}
    for each in (each for failure in failures for each in definitions.as_diagnostics(failure)):
        at = each.position
        found.setdefault(
            (each.code, at.file, at.line, at.column) if at.line else (each.code, each.message), each
        )
    return found.values()


def collect(paths: Sequence[str | Path], *, include: Sequence[str] = ()) -> Registration:
    """Loads authors' files and makes of them all that a registration sends.

    Args:
        paths: files and folders.
        include: globs, relative to the import roots, of files that go into the bundle too.

    Raises:
        LoadError: a file that is not there, or can't be imported and that is all.
        CompileError: mistakes; all of them.
        UsageError: there is nothing to register.
        BundleError: the code can't be bundled.
    """
    from typedflow.dataplane import bundles  # noqa: PLC0415 - brings zipfile and tarfile, and a check packs nothing

    entities, mistakes, failures = _check(paths)
    if failures and len(mistakes) == 1:
        raise failures[0]
    if mistakes:
        raise errors.CompileError(mistakes)
    if not entities:
        raise nothing_in(paths)
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


class AtRunTime:
    """Describes tasks as a registration has them, where a dynamic task calls them and its bundle is unpacked.

    Args:
        roots: the import roots of the unpacked bundle.
        bundle: its digest.
    """

    def __init__(self, roots: Sequence[Path], bundle: str) -> None:
        self._bundle = bundle
        self._resolver = fingerprint.Resolver(roots)

    def __call__(self, task: Task[..., Any]) -> tasks_pb2.TaskTemplate:
        """The task's template. Raises CompileError for one that no other process can import."""
        if isinstance(task, FunctionTask) and not _is_importable(task):
            raise errors.CompileError([_not_importable(task)])
        return task.template(code_of(task, self._resolver), self._bundle)


def nothing_in(paths: Sequence[str | Path]) -> errors.UsageError:
    """That files have nothing to work with."""
    shown = ", ".join(f"`{path}`" for path in paths)
    return errors.UsageError(
        f"{shown} defines no task, workflow or launch plan",
        hint="decorate a function with @task or @workflow",
    )


def find(modules: Iterable[ModuleType]) -> Entities:
    """The entities that modules define, and those that these refer to."""
    found = Entities()
    todo: list[Called[..., Any]] = list(_defined(modules))
    for each in todo:  # grows meanwhile
        match each:
            case FunctionTask() | ContainerTask():
                found.tasks.setdefault(each.name, each)
            case Wiring() if each.name not in found.workflows:
                found.workflows[each.name] = each
                todo.extend(_called_by(each))
            case LaunchPlan() if each.name not in found.launch_plans:
                found.launch_plans[each.name] = each
                todo.append(each.workflow)
    return found


def _defined(modules: Iterable[ModuleType]) -> Iterator[Called[..., Any]]:
    """What modules define themselves, and every launch plan that they hold."""
    for module in modules:
        for value in list(vars(module).values()):
            own = isinstance(value, FunctionTask | ContainerTask | Wiring) and value.module == module.__name__
            if (own or isinstance(value, LaunchPlan)) and not value.broken:
                yield value


def code_of(task: Task[..., Any], resolver: fingerprint.Resolver) -> tasks_pb2.Code:
    """What a task's code is to its cache key."""
    if not isinstance(task, FunctionTask):
        digest = hashing.of_content(task.template().container)
        component = tasks_pb2.CodeComponent(name="container", digest=digest)
        return tasks_pb2.Code(fingerprint=digest, components=[component], environment=digest)
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


def _mistakes_of(each: Wiring[..., Any]) -> Sequence[diagnostics_pb2.Diagnostic]:
    try:
        each.compiled  # noqa: B018 - compiles
    except errors.CompileError as error:
        return error.diagnostics
    except definitions.AlreadyTold:
        return ()
    except errors.DefinitionError as error:
        return error.diagnostics
    return ()


def _mistakes_of_plan(plan: LaunchPlan[..., Any]) -> Sequence[diagnostics_pb2.Diagnostic]:
    """What only the compiler knows of, such as a schedule that never comes; its workflow's mistakes are its own."""
    template = workflows_pb2.WorkflowTemplate(
        id=plan.workflow.reference(), interface=plan.workflow.signature.interface
    )
    known = workflows_pb2.CompiledWorkflow(workflow=template)
    return compiler.compile_launch_plan(plan.template(), known).diagnostics


def _called_by(each: Wiring[..., Any]) -> Iterable[Called[..., Any]]:
    try:
        return each.traced.called.values()
    except definitions.AlreadyTold:
        return ()


def _is_importable(task: FunctionTask[..., Any]) -> bool:
    value: Any = sys.modules.get(task.module)
    for part in task.function.__qualname__.split("."):
        value = getattr(value, part, None)
    return isinstance(value, FunctionTask) and value.is_same(task)


def _not_importable(task: FunctionTask[..., Any]) -> diagnostics_pb2.Diagnostic:
    return diagnostics_pb2.Diagnostic(
        code=diagnostics.INVALID_NAME,
        message=f"task `{task.short_name}` can't be imported: `{task.module}` does not have it under its name",
        workflow=task.name,
        position=task.template().position,
        hint="define it once, at the top level of its module, and keep its name",
    )
