"""What happens to a mistake in a definition: it is raised on the author's line, or noted when many are wanted at once.

`typedflow check` and `register` read whole files and want to show every mistake, so while they import the author's
modules the decorators note what is wrong and go on. Everybody else meets the first mistake as an exception.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from typedflow import errors
from typedflow.pb import diagnostics_pb2, identifiers_pb2

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


def place(position: identifiers_pb2.SourcePosition) -> str:
    """`file:line:column` as far as it is known."""
    parts = [position.file] + [str(n) for n in (position.line, position.column) if n]
    return ":".join(parts) if position.file else ""
