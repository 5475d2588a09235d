"""Authors' modules as templates: entities found, traced, fingerprinted, bundled and compiled.

What comes out is what a server gets; the compiler has seen it, so that whoever registers learns of every mistake
without one.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from typedflow import errors, fingerprint
from typedflow.authoring import definitions, loading
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
    roots = import_roots(paths)
    bundle = bundles.build(first_party(roots), roots=roots, include=include)
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
    for module in modules:
        for value in list(vars(module).values()):
            if isinstance(value, Task) and value.module == module.__name__ and not value.broken:
                found.tasks.setdefault(value.name, value)
            elif isinstance(value, Workflow) and value.module == module.__name__ and not value.broken:
                found.workflows.setdefault(value.name, value)
            elif isinstance(value, LaunchPlan) and not value.broken:
                found.launch_plans.setdefault(value.name, value)
    for plan in found.launch_plans.values():
        found.workflows.setdefault(plan.workflow.name, plan.workflow)
    for each in found.workflows.values():
        for name, task in each.traced.tasks.items():
            found.tasks.setdefault(name, task)
    return found


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


def import_roots(paths: Sequence[str | Path]) -> tuple[Path, ...]:
    """Of the files and folders themselves, and of the editable installs whose modules are loaded."""
    roots = dict.fromkeys(loading.root_of(Path(path)) for path in paths)
    return (*roots, *(root for root in _editable_roots() if root not in roots and any(_modules_under(root))))


def first_party(roots: Sequence[Path]) -> list[ModuleType]:
    """Modules that are loaded from under the roots."""
    return [module for root in roots for module in _modules_under(root)]


def _modules_under(root: Path) -> Iterable[ModuleType]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if (
            file
            and Path(file).is_relative_to(root)
            and not {"site-packages", "dist-packages"} & set(Path(file).parts)
        ):
            yield module


@functools.cache
def _editable_roots() -> tuple[Path, ...]:
    """Folders of projects that are installed editable, typedflow's own left out."""
    from importlib import metadata  # noqa: PLC0415 - brings email and csv, and a check asks for no distribution

    roots: list[Path] = []
    for distribution in metadata.distributions():
        text = distribution.read_text("direct_url.json")
        if not text or distribution.name == "typedflow":
            continue
        url = json.loads(text)
        if url.get("dir_info", {}).get("editable"):
            folder = Path(unquote(urlsplit(url["url"]).path))
            roots.extend(each for each in (folder / "src", folder) if each.is_dir())
    return tuple(roots)


def _mistakes_of(each: Workflow[..., Any]) -> Sequence[diagnostics_pb2.Diagnostic]:
    mistakes = [_not_importable(task) for task in each.traced.tasks.values() if not _is_importable(task)]
    try:
        each.compiled  # noqa: B018 - compiles
    except errors.CompileError as error:
        return [*error.diagnostics, *mistakes]
    return mistakes


def _is_importable(task: Task[..., Any]) -> bool:
    value: Any = sys.modules.get(task.module)
    for part in task.function.__qualname__.split("."):
        value = getattr(value, part, None)
    return isinstance(value, Task)


def _not_importable(task: Task[..., Any]) -> diagnostics_pb2.Diagnostic:
    return diagnostics_pb2.Diagnostic(
        code=diagnostics.INVALID_NAME,
        message=f"task `{task.short_name}` can't be imported: `{task.module}` does not have it under its name",
        workflow=task.name,
        position=task.template().position,
        hint="define it at the top level of a module, and keep its name",
    )
