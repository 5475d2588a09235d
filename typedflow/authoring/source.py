"""Where in the author's files something was written.

Reads frames, never files: an excerpt is the business of whoever shows a diagnostic.
"""

from __future__ import annotations

import functools
import linecache
import os
import sys
import time
from inspect import unwrap
from pathlib import Path
from types import CodeType, FrameType, FunctionType, TracebackType

from typedflow.fingerprint import names
from typedflow.pb import identifiers_pb2

FIRST_NS = time.time_ns()
"""When this was loaded; modules that define tasks were loaded later."""

_HERE = str(Path(__file__).absolute().parent.parent) + os.sep
_STANDARD_LIBRARY = str(Path(os.__file__).absolute().parent) + os.sep


def caller() -> identifiers_pb2.SourcePosition:
    """The innermost call that is not in typedflow itself."""
    frame = _outside(sys._getframe(1))
    return _at(frame) if frame else identifiers_pb2.SourcePosition()


def author() -> identifiers_pb2.SourcePosition:
    """The innermost line of the author's own that led here, past libraries; `caller()` where there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_authors(frame.f_code.co_filename):
        frame = frame.f_back
    return _at(frame) if frame else caller()


def raised_at(error: BaseException) -> TracebackType | None:
    """The innermost of the author's lines that an exception passed through."""
    found, trace = None, error.__traceback__
    while trace is not None:
        if is_authors(trace.tb_frame.f_code.co_filename):
            found = trace
        trace = trace.tb_next
    return found


def position(trace: TracebackType) -> identifiers_pb2.SourcePosition:
    """Of one line of a traceback."""
    code = trace.tb_frame.f_code
    return _position(code, code.co_filename, trace.tb_lasti)


@functools.lru_cache(maxsize=1024)
def is_authors(file: str) -> bool:
    """Whether a file is neither typedflow's, nor a library's, nor code that was made at run time."""
    installed = {"site-packages", "dist-packages"}.intersection(Path(file).parts)
    return not (installed or file.startswith(("<", _HERE, _STANDARD_LIBRARY)))


def _at(frame: FrameType) -> identifiers_pb2.SourcePosition:
    return _position(frame.f_code, frame.f_code.co_filename, frame.f_lasti)


def _outside(frame: FrameType | None) -> FrameType | None:
    while frame is not None and (frame.f_code.co_filename.startswith(_HERE) or _is_generated(frame.f_code)):
        frame = frame.f_back
    return frame


def _is_generated(code: CodeType) -> bool:
    """Whether this is a dataclass's `__init__`; what is run as `python -c` is also of a file `<string>`."""
    return code.co_filename == "<string>" and code.co_name == "__init__"


def definition(function: FunctionType) -> identifiers_pb2.SourcePosition:
    """The `def` line of a function, below its decorators."""
    code = unwrap(function).__code__
    lines = [line for _, _, line in code.co_lines() if line is not None and line > code.co_firstlineno]
    first = code.co_firstlineno
    return identifiers_pb2.SourcePosition(
        file=relative(code.co_filename),
        line=_def_line(code.co_filename, first, min(lines, default=first)),
        column=1,
    )


@functools.lru_cache(maxsize=4096)
def _position(code: CodeType, file: str, instruction: int) -> identifiers_pb2.SourcePosition:
    """Where an instruction is. Code objects are equal when they say the same, in whatever file that is."""
    line, column = _lines(code)[instruction // 2]
    if line is None or column is None:
        return identifiers_pb2.SourcePosition(file=relative(file), line=line or 0)
    before = linecache.getline(file, line).encode()[:column]  # Python counts bytes, people characters
    column = len(before.decode(errors="replace")) if len(before) == column else column
    return identifiers_pb2.SourcePosition(file=relative(file), line=line, column=column + 1)


@functools.lru_cache(maxsize=16)
def _lines(code: CodeType) -> list[tuple[int | None, int | None]]:
    """The line and column of each instruction: read once, or the positions of many calls would cost their square."""
    return [(line, column) for line, _, column, _ in code.co_positions()]


@functools.lru_cache(maxsize=256)
def relative(file: str) -> str:
    """A file's path under its import root, with `/`; as it is when it has none (`<stdin>`)."""
    path = Path(file)
    if not path.is_file():
        return file
    path = path.absolute()
    return path.relative_to(names.import_root(path)).as_posix()


def module_of(function: FunctionType) -> str:
    """The dotted name, under its import root, of the module that a function is written in, whatever wraps it."""
    return module_name(unwrap(function).__code__.co_filename, function.__module__ or "__main__")


def calling_module() -> str:
    """The dotted name of the module that the innermost call outside typedflow stands in."""
    frame = _outside(sys._getframe(1))
    return module_name(frame.f_code.co_filename, frame.f_globals.get("__name__", "")) if frame else ""


@functools.lru_cache(maxsize=256)
def module_name(file: str, otherwise: str) -> str:
    """By the file's place; what has no file (a notebook's cell, standard input) keeps the name that Python gave it."""
    return names.module_name(Path(file)) if Path(file).is_file() else otherwise


def _def_line(file: str, first: int, last: int) -> int:
    for number in range(first, last + 1):
        if linecache.getline(file, number).lstrip().startswith(("def ", "async def ")):
            return number
    return first
