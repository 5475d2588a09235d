"""What a call of a task or a workflow means where it stands: the one ContextVar of typedflow.

While a workflow is traced, a call makes a node. In a task's body, a call is a plain call. Elsewhere it runs here.
What a running task can know of itself, and leave beside its outputs, it reaches from here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from typedflow import errors
from typedflow.authoring.side_outputs import SideOutputs
from typedflow.authoring.tracing import Tracing

if TYPE_CHECKING:
    from typedflow.authoring.checkpoint import Checkpoint
    from typedflow.authoring.trace import Trace


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a running task may ask about itself; `current_context()` gives it.

    Attributes:
        execution_id: of the execution; `local` when the workflow was called directly.
        node: the node's path, as in `prep.train`.
        attempt: from 1.
        project: the execution's project.
        domain: the execution's domain.
        working_folder: a folder of this attempt alone; it is there.
        checkpoint: what survives this attempt when it fails, is killed or is lost; see `Checkpoint`.
        deck: the first section of the task's report; see `Deck`.
    """

    execution_id: str
    node: str
    attempt: int
    project: str
    domain: str
    working_folder: Path
    side_outputs: SideOutputs = field(repr=False, compare=False)

    @property
    def checkpoint(self) -> Checkpoint:
        """What an attempt before this one has saved, and where this one saves."""
        return self.side_outputs.checkpoint

    @property
    def deck(self) -> Deck:
        """The report's first section, named `report`."""
        with entered(self):
            return Deck("report")


_current: ContextVar[Tracing | TaskContext | None] = ContextVar("typedflow_context", default=None)


def tracing() -> Trace | None:
    """The trace under way, if there is one."""
    current = _current.get()
    # The one class of this kind: a trace knows this module, so this one can't know its class.
    return cast("Trace", current) if isinstance(current, Tracing) else None


def in_task() -> bool:
    """Whether this is a task's body."""
    return isinstance(_current.get(), TaskContext)


def _running() -> TaskContext | None:
    """Of the task whose body this is, also where that body says what is to be run."""
    current = _current.get()
    found = current.running if isinstance(current, Tracing) else current
    return found if isinstance(found, TaskContext) else None


def current_context() -> TaskContext:
    """What the running task may know of itself.

    Raises:
        StateConflict: this is no task's body.

    Example:
        >>> from typedflow import File, task
        >>> @task
        ... def note(text: str) -> File:
        ...     target = current_context().working_folder / "note.txt"
        ...     target.write_text(text)
        ...     return File(target)
        >>> note(text="hello").name
        'note.txt'
    """
    current = _running()
    if current is None:
        raise errors.StateConflict("current_context() works in the body of a running task only")
    current.working_folder.mkdir(parents=True, exist_ok=True)  # not before: most tasks never ask
    return current


@contextmanager
def entered(current: Tracing | TaskContext) -> Iterator[None]:
    """While it is open, calls mean what they mean there."""
    token = _current.set(current)
    try:
        yield
    finally:
        _current.reset(token)


class Deck:
    """A section of the report that the running task leaves: one page of HTML, shown with its node.

    The same name is the same section, wherever in the task it is used. A report is kept when the task succeeds and
    when it raises, and has at most 16 MiB; it is no output, and in no cache key: a hit shows that of the attempt
    that made it.

    Raises:
        StateConflict: this is no task's body.

    Example:
        >>> from typedflow import Deck, task
        >>> @task
        ... def train(epochs: int) -> float:
        ...     losses = Deck("losses")
        ...     for epoch in range(epochs):
        ...         losses.append_text(f"epoch {epoch}: {1 / (epoch + 1):.2f}")
        ...     losses.append("<b>done</b>")
        ...     return 1 / epochs
        >>> train(epochs=2)
        0.5
    """

    __slots__ = ("_section",)

    def __init__(self, name: str) -> None:
        given: object = name
        if not isinstance(given, str) or not given.strip():
            raise errors.UsageError(f"a deck's name is a text, not {given!r}", hint='as in Deck("losses")')
        running = _running()
        if running is None:
            raise errors.StateConflict("Deck(...) works in the body of a running task only", where=name)
        self._section = running.side_outputs.section(name)

    @property
    def name(self) -> str:
        """Its heading."""
        return self._section.name

    def append(self, html: object) -> None:
        """Adds HTML as it is (a text), or anything that shows itself as HTML in a notebook, such as a data frame.

        What comes from elsewhere, such as a column's name, must be escaped by whoever writes it into HTML.

        Raises:
            UsageError: it is neither.
        """
        # Not a protocol with `_repr_html_`: what type checkers are told of data frames has no such method.
        given = html
        if not isinstance(given, str):
            show = getattr(given, "_repr_html_", None)
            shown = show() if callable(show) else None
            if not isinstance(shown, str):
                raise errors.UsageError(
                    f"a {type(given).__name__} can't show itself as HTML",
                    where=f"Deck({self.name!r})",
                    hint="write it as HTML, or use append_text(str(value))",
                )
            given = shown
        self._section.append(given)

    def append_text(self, text: str) -> None:
        """Adds text as it is to be read: `<` is shown, lines stay lines."""
        import html  # noqa: PLC0415 - a definition needs none

        self._section.append(f"<pre>{html.escape(str(text))}</pre>")

    def __repr__(self) -> str:
        return f"Deck({self.name!r})"
