"""Diagnostics as people read them, with the author's line, and as programs do.

Source comes through `read_source`, so that the same text is made from files on disk and from what a test has in memory.
Nothing that a template says can change what the terminal does: characters that do not print are written out.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typedflow.pb.diagnostics_pb2 import Diagnostic

    ReadSource = Callable[[str], str | None]

_CALLEE = re.compile(r"[\w.]+")
_LEAST = 40
_RED, _BLUE, _BOLD, _RESET = "\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"


def text(
    diagnostics: Sequence[Diagnostic],
    *,
    read_source: ReadSource = lambda _file: None,
    color: bool = False,
    width: int = 160,
    footer: str = "nothing registered",
) -> str:
    """All diagnostics, and their number with what became of it (`footer`). Ends with a line break.

    Args:
        diagnostics: in the order in which they are shown.
        read_source: the text of a file as it is named in a position; None when it can't be read.
        color: ANSI colours, for a terminal.
        width: columns; of an author's line that is longer, only what is near the place is shown.
        footer: as in ``1 error, nothing registered``.
    """
    paint = _Paint(color)
    lines: dict[str, list[str]] = {}

    def line_of(file: str, number: int) -> str | None:
        if file not in lines:
            lines[file] = (read_source(file) or "").split("\n") if file else []
        found = lines[file]
        return found[number - 1].rstrip("\r") if 0 < number <= len(found) else None

    blocks = ["\n".join(_block(each, line_of, paint, width)) for each in diagnostics]
    count = len(diagnostics)
    total = f"{count} error{'' if count == 1 else 's'}" + (f", {footer}" if footer else "")
    return "\n\n".join(blocks) + ("\n" if blocks else "") + total + "\n"


def as_json(diagnostics: Sequence[Diagnostic]) -> dict[str, list[dict[str, str | int | None]]]:
    """What `check -o json` prints; what is not known is null."""
    return {
        "diagnostics": [
            {
                "code": each.code,
                "message": each.message,
                "label": each.label or None,
                "workflow": each.workflow or None,
                "node": each.node or None,
                "file": each.position.file or None,
                "line": each.position.line or None,
                "column": each.position.column or None,
                "expected": each.expected or None,
                "given": each.given or None,
                "hint": each.hint or None,
            }
            for each in diagnostics
        ]
    }


def lines(diagnostics: Sequence[Diagnostic]) -> str:
    """One line for each, ``pipeline.py:31:13: error: what is wrong [MismatchingTypes]``, as linters have it.

    Ends with a line break, unless there is none to tell.
    """
    made = []
    for each in diagnostics:
        said = ": ".join(filter(None, (each.message, _said(each))))
        help_ = f" (help: {each.hint})" if each.hint else ""
        where = _place(each) or "-"
        made.append(f"{_printable(f'{where}: error: {said}{help_} [{each.code}]')}\n")
    return "".join(made)


class _Paint:
    """Colours, or none."""

    def __init__(self, color: bool) -> None:
        self._color = color

    def error(self, shown: str) -> str:
        return self._painted(shown, _RED)

    def frame(self, shown: str) -> str:
        return self._painted(shown, _BLUE)

    def bold(self, shown: str) -> str:
        return self._painted(shown, _BOLD)

    def _painted(self, shown: str, code: str) -> str:
        return f"{code}{shown}{_RESET}" if self._color and shown else shown


def _block(
    diagnostic: Diagnostic, line_of: Callable[[str, int], str | None], paint: _Paint, columns: int
) -> list[str]:
    position = diagnostic.position
    source = line_of(position.file, position.line)
    width = len(str(position.line)) if source is not None else 1
    edge = " " * width
    lines = [
        paint.error(f"error[{_printable(diagnostic.code)}]")
        + paint.bold(f": {_printable(diagnostic.message)}")
    ]
    where = _place(diagnostic)
    if where:
        lines.append(f"{edge}{paint.frame('-->')} {_printable(where)}")
    if source is not None:
        lines.append(f"{edge} {paint.frame('|')}")
        source, column = _near(source, position.column, max(columns - width - 3, _LEAST))
        lines.append(f"{paint.frame(f'{position.line} |')} {_shown(source)}".rstrip())
        shown = _underline(source, column, _printable(_said(diagnostic)))
        lines.append(f"{edge} {paint.frame('|')} {paint.error(shown)}".rstrip())
    else:
        for name, said in (
            ("expected", diagnostic.expected),
            ("given", diagnostic.given),
            ("note", "" if diagnostic.label == diagnostic.given else diagnostic.label),
        ):
            if said:
                lines.append(f"{edge} {paint.frame('=')} {paint.bold(f'{name}:')} {_printable(said)}")
    if diagnostic.hint:
        lines.append(f"{edge} {paint.frame('=')} {paint.bold('help:')} {_printable(diagnostic.hint)}")
    return lines


def _said(diagnostic: Diagnostic) -> str:
    """What is said at the place itself."""
    expected = diagnostic.expected
    told = not expected or expected in diagnostic.message
    return diagnostic.label or ("" if told else f"expected {expected}")


def _near(source: str, column: int, width: int) -> tuple[str, int]:
    """What of a line is shown, and the column in that: a line that is too long is cut on both sides of the place."""
    if len(source) <= width:
        return source, column
    begin = max(min(column - width // 3, len(source) - width), 0)
    shown = source[begin : begin + width]
    if begin + width < len(source):
        shown = f"{shown[:-3]}..."
    if begin:
        shown, column = f"...{shown[3:]}", column - begin
    return shown, column


def _place(diagnostic: Diagnostic) -> str:
    """`pipeline.py:31:13`; without a position the workflow and the node."""
    position = diagnostic.position
    if position.file:
        parts = [position.file, *(str(each) for each in (position.line, position.column) if each)]
        return ":".join(parts)
    if diagnostic.node:
        return f"{diagnostic.workflow}, node {diagnostic.node}"
    return diagnostic.workflow


def _underline(source: str, column: int, label: str) -> str:
    """Carets under the name that begins at a column (the first name when it is not known), and what is said there."""
    start = column - 1 if 0 < column <= len(source) else len(source) - len(source.lstrip())
    found = _CALLEE.match(source, start)
    end = found.end() if found else start + 1
    pad = " " * _width(_shown(source[:start]))
    carets = "^" * max(_width(_shown(source[start:end])), 1)
    return f"{pad}{carets} {label}".rstrip()


def _shown(source: str) -> str:
    """A line of source as it is printed: tabs are four spaces, what does not print is written out."""
    return _printable(source.replace("\t", "    "))


def _printable(said: str) -> str:
    """Without control characters, which could move the cursor or change the terminal's title."""
    return said if said.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in said)


def _width(shown: str) -> int:
    """Columns on a terminal: wide characters take two, combining ones none."""
    if shown.isascii():
        return len(shown)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in ("F", "W") else 1
        for c in shown
    )
