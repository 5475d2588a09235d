"""What a running task leaves beside its outputs: a checkpoint for the attempts after it, and a report for people.

Neither is part of a cache key. Both cost nothing until they are asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typedflow.authoring.checkpoint import Checkpoint, Keep
    from typedflow.pb.literals_pb2 import Literal
    from typedflow.type_engine import Data

LARGEST_PAGE: Final = 16 * 1024 * 1024
"""Bytes of a report; what is beyond is left out, and the report says so."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1b1b1f }
nav a { margin-right: 1rem } section { margin: 2rem 0; overflow-x: auto } pre { white-space: pre-wrap }
h2 { border-bottom: 1px solid #ddd } table { border-collapse: collapse }
td, th { border: 1px solid #ddd; padding: .25em .5em }
"""


class Section:
    """One deck of a report: pieces of HTML, in order."""

    __slots__ = ("_report", "name", "parts")

    def __init__(self, name: str, report: SideOutputs) -> None:
        self.name: str = name
        self.parts: list[str] = []
        self._report = report

    def append(self, piece: str) -> None:
        """Adds HTML, unless the report is full."""
        if self._report.has_room(piece):
            self.parts.append(piece)


class SideOutputs:
    """Of one call of one task.

    Args:
        data: where a checkpoint's bytes go to and come from.
        found: the checkpoint of an attempt before this one.
        keep: records a checkpoint that was stored.
        guard: what is around storing and fetching a checkpoint, and not around the task's body.
    """

    __slots__ = ("_bytes", "_checkpoint", "_data", "_found", "_guard", "_keep", "_left_out", "sections")

    def __init__(
        self,
        data: Data,
        found: Literal | None = None,
        keep: Keep = lambda _: None,
        guard: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._data = data
        self._found = found
        self._keep = keep
        self._guard = guard
        self._checkpoint: Checkpoint | None = None
        self.sections: dict[str, Section] = {}
        self._bytes = 0
        self._left_out = 0

    @property
    def checkpoint(self) -> Checkpoint:
        """The task's checkpoint."""
        if self._checkpoint is None:
            from typedflow.authoring import checkpoint  # noqa: PLC0415 - brings the family of files in

            self._checkpoint = checkpoint.Checkpoint(self._data, self._found, self._keep, self._guard)
        return self._checkpoint

    def section(self, name: str) -> Section:
        """The section with this name; a new one goes behind the others."""
        return self.sections.setdefault(name, Section(name, self))

    def has_room(self, piece: str) -> bool:
        """Counts a piece that is to be added; False when it has to be left out."""
        size = len(piece) if piece.isascii() else len(piece.encode("utf-8", "replace"))
        if self._bytes + size > LARGEST_PAGE:
            self._left_out += 1
            return False
        self._bytes += size
        return True

    def page(self, title: str) -> bytes:
        """The report as one page of HTML; empty when the task has written none."""
        written = [each for each in self.sections.values() if each.parts]
        if not written and not self._left_out:
            return b""
        import html  # noqa: PLC0415 - most tasks write no report

        heading = html.escape(title)
        names = [html.escape(each.name) for each in written]
        head = f"<head><meta charset='utf-8'><title>{heading}</title><style>{_STYLE}</style></head>"
        page = [f"<!DOCTYPE html>\n<html>{head}<body><h1>{heading}</h1>"]
        if len(written) > 1:
            links = "".join(f"<a href='#deck-{n}'>{name}</a>" for n, name in enumerate(names))
            page.append(f"<nav>{links}</nav>")
        for n, (section, name) in enumerate(zip(written, names, strict=True)):
            page += [f"<section id='deck-{n}'><h2>{name}</h2>", *section.parts, "</section>"]
        if self._left_out:
            most = LARGEST_PAGE // (1024 * 1024)
            page.append(
                f"<p><b>{self._left_out} pieces were left out: a report has at most {most} MiB.</b></p>"
            )
        page.append("</body></html>\n")
        return "\n".join(page).encode("utf-8", "replace")
