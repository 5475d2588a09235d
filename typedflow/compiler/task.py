"""A task on its own: its name, its interface, what runs, and its terms."""

from __future__ import annotations

from dataclasses import dataclass

from typedflow import identifiers
from typedflow.compiler import diagnostics, images, interfaces, references, terms
from typedflow.compiler.report import Report, cut, short
from typedflow.compiler.result import Result
from typedflow.pb.diagnostics_pb2 import Diagnostic
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_TASK
from typedflow.pb.tasks_pb2 import PythonTarget, TaskTemplate


@dataclass(frozen=True, slots=True)
class CheckedTask:
    """A task as the compiler leaves it, what may be asked of it, and what is wrong with it."""

    template: TaskTemplate
    interface: interfaces.Checked
    diagnostics: tuple[Diagnostic, ...]


def compile_task(template: TaskTemplate) -> Result[TaskTemplate]:
    """Checks a task; gives it with its defaults converted to their types and its names sorted."""
    checked = check(template, interfaces.Types())
    return Result(None if checked.diagnostics else checked.template, checked.diagnostics)


def check(template: TaskTemplate, types: interfaces.Types) -> CheckedTask:
    """As `compile_task`, for whoever asks more of it; takes any message."""
    report = Report(template.id.name, template.position if template.HasField("position") else None)
    owner = f"task `{cut(short(template.id.name), 100)}`"
    made = TaskTemplate()
    made.CopyFrom(template)
    made.id.CopyFrom(references.check(template.id, ENTITY_KIND_TASK, report))
    interface = interfaces.check(template.interface, owner, types, report)
    made.interface.CopyFrom(interface.message)
    _check_target(template, interface, owner, report)
    if template.HasField("options"):
        made.options.CopyFrom(terms.check(template.options, interface.inputs, owner, report))
    return CheckedTask(made, interface, report.diagnostics())


def _check_target(template: TaskTemplate, interface: interfaces.Checked, owner: str, report: Report) -> None:
    match template.WhichOneof("target"):
        case "container":
            if template.dynamic:
                report.add(
                    diagnostics.INVALID_VALUE,
                    f"{owner} is dynamic and runs an image",
                    expected="a Python function, which alone can say what is to be run",
                    given="an image",
                )
            images.check(template.container, interface, owner, report)
        case _:
            _check_function(template.python, owner, report)


def _check_function(target: PythonTarget, owner: str, report: Report) -> None:
    if not target.module or not target.qualname:
        report.add(
            diagnostics.MISSING_TARGET,
            f"{owner} names nothing to run",
            expected="a function's module and qualified name, or an image",
            given=f"{target.module}:{target.qualname}".strip(":"),
        )
        return
    wrong = identifiers.check_name(target.module)
    if wrong:
        report.add(
            diagnostics.INVALID_NAME, f"the module of {owner} is not legal: {wrong}", given=target.module
        )
    if not target.qualname.isprintable() or len(target.qualname) > 1_000:
        report.add(
            diagnostics.INVALID_NAME, f"the qualified name of {owner} is not legal", given=target.qualname
        )
