"""What happens to a mistake in a definition: it is raised on the author's line, or noted when many are wanted at once.

`typedflow check` and `register` read whole files and want to show every mistake, so while they import the author's
modules the decorators note what is wrong and go on. Everybody else meets the first mistake as an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from typedflow import errors
from typedflow.compiler.diagnostics import MISMATCHING_TYPES
from typedflow.pb import diagnostics_pb2, identifiers_pb2

_PLACE = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?::(?P<column>\d+))?")
_noted: ContextVar[list[diagnostics_pb2.Diagnostic] | None] = ContextVar(
    "typedflow_noted_mistakes", default=None
)


@contextmanager
def noting() -> Iterator[list[diagnostics_pb2.Diagnostic]]:
    """While it is open, mistakes in definitions go into the list that it gives."""
    mistakes: list[diagnostics_pb2.Diagnostic] = []
    token = _noted.set(mistakes)
    try:
        yield mistakes
    finally:
        _noted.reset(token)


def report(mistakes: list[diagnostics_pb2.Diagnostic]) -> None:
    """Notes the mistakes, or raises them as one DefinitionError."""
    if not mistakes:
        return
    noted = _noted.get()
    if noted is not None:
        noted.extend(mistakes)
        return
    raise as_error(mistakes)


@contextmanager
def forgiving(of: object = None, **instead: object) -> Iterator[None]:
    """A mistake in a definition that is raised in it is noted, and what comes after it is done; or it is raised.

    Args:
        of: what is being defined, if it is to go on with other attributes.
        instead: these.
    """
    try:
        yield
    except errors.DefinitionError as error:
        forgive(error)
        for name, value in instead.items():
            object.__setattr__(of, name, value)


def forgive(error: errors.DefinitionError) -> None:
    """Notes the mistake, or raises it."""
    noted = _noted.get()
    if noted is None:
        raise error
    noted.extend(as_diagnostics(error))


class AlreadyTold(errors.DefinitionError):
    """Something is used whose definition has mistakes, which were noted when it was defined."""


def as_error(mistakes: list[diagnostics_pb2.Diagnostic]) -> errors.DefinitionError:
    """One error that tells all of them."""
    first = mistakes[0]
    error = errors.DefinitionError(
        "; ".join(m.message + (f": {m.label}" if m.label else "") for m in mistakes),
        where=place(first.position),
        hint=first.hint,
        code=first.code,
    )
    error.diagnostics = tuple(mistakes)
    return error


def as_diagnostics(error: errors.TypedflowError) -> list[diagnostics_pb2.Diagnostic]:
    """What an error tells of an author's file: its diagnostics, or one that is made of it."""
    if isinstance(error, errors.DefinitionError | errors.CompileError) and error.diagnostics:
        return list(error.diagnostics)
    found = _PLACE.fullmatch(error.where)
    position = identifiers_pb2.SourcePosition(file=error.where)
    if found:
        position.file = found["file"]
        position.line = int(found["line"])
        position.column = int(found["column"] or 0)
    if isinstance(error, errors.LoadError) and Path(position.file).exists():
        position.file = str(Path(position.file).absolute())  # it is named from the working folder
    return [
        diagnostics_pb2.Diagnostic(code=error.code, message=error.message, hint=error.hint, position=position)
    ]


def in_order(found: Iterable[diagnostics_pb2.Diagnostic]) -> list[diagnostics_pb2.Diagnostic]:
    """As an author reads: files in the order in which they come, each from its first line to its last."""
    diagnostics = list(found)
    files = {file: i for i, file in enumerate(dict.fromkeys(each.position.file for each in diagnostics))}
    return sorted(
        diagnostics,
        key=lambda each: (files[each.position.file], each.position.line, each.position.column),
    )


def once(found: Iterable[diagnostics_pb2.Diagnostic]) -> list[diagnostics_pb2.Diagnostic]:
    """Without what is said again of the same words of an author's.

    A loop makes a call many times, and a workflow's body runs for itself and in every workflow that calls it.
    """
    diagnostics = list(found)
    of_entities = {(each.code, each.message) for each in diagnostics if not each.node}
    first: dict[object, diagnostics_pb2.Diagnostic] = {}
    for i, each in enumerate(diagnostics):
        if each.node and (each.code, each.message) in of_entities:
            continue  # `the result of workflow ...`: the workflow itself tells
        at = each.position
        # What a constant is does not matter, what a result is does: each may come of another place.
        said = (each.message.partition(": ")[0], each.given if each.code == MISMATCHING_TYPES else "")
        first.setdefault((each.code, at.file, at.line, at.column, *said) if at.column else i, each)
    return list(first.values())


def place(position: identifiers_pb2.SourcePosition) -> str:
    """`file:line:column` as far as it is known."""
    parts = [position.file] + [str(n) for n in (position.line, position.column) if n]
    return ":".join(parts) if position.file else ""
