"""Where in the author's files something was written.

Reads frames, and a file's text only where a frame does not say: an excerpt is the business of whoever shows a
diagnostic.
"""

from __future__ import annotations

import ast
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
    return _defined(unwrap(function).__code__)


def _defined(code: CodeType) -> identifiers_pb2.SourcePosition:
    lines = [line for _, _, line in code.co_lines() if line is not None and line > code.co_firstlineno]
    first = code.co_firstlineno
    line = _def_line(code.co_filename, first, min(lines, default=first))
    text = linecache.getline(code.co_filename, line)
    return identifiers_pb2.SourcePosition(
        file=relative(code.co_filename), line=line, column=len(text) - len(text.lstrip()) + 1
    )


def declaration(function: FunctionType, parameter: str) -> identifiers_pb2.SourcePosition:
    """Where a parameter is declared ("return": what is returned); the function's line where that can't be found."""
    code = unwrap(function).__code__
    found = _syntax(code)
    if found is None:
        return _defined(code)
    if parameter == "return":
        return _of_syntax(code, found.returns)
    of = found.args
    named = (*of.posonlyargs, *of.args, *of.kwonlyargs, *(each for each in (of.vararg, of.kwarg) if each))
    return _of_syntax(code, next((each for each in named if each.arg == parameter), None))


def returned(code: CodeType) -> identifiers_pb2.SourcePosition:
    """Where a function says what it returns, if it does so once; else the function's line."""
    found = _syntax(code)
    todo: list[ast.AST] = [*found.body] if found else []
    returns = []
    for each in todo:  # grows meanwhile
        if isinstance(each, ast.Return):
            returns.append(each)
        elif not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            todo.extend(ast.iter_child_nodes(each))
    return _of_syntax(code, returns[0].value or returns[0] if len(returns) == 1 else None)


def _syntax(code: CodeType) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """A function as it is written; None when its source is not there, or has changed."""
    functions = _functions("".join(linecache.getlines(code.co_filename)))
    return functions.get((code.co_name, code.co_firstlineno))


@functools.lru_cache(maxsize=4)
def _functions(text: str) -> dict[tuple[str, int], ast.FunctionDef | ast.AsyncFunctionDef]:
    """By name and first line, which is that of the first decorator."""
    try:
        parsed = ast.parse(text)
    except (SyntaxError, ValueError):  # a file that has changed since it was imported
        return {}
    return {
        (each.name, min([each.lineno, *(decorator.lineno for decorator in each.decorator_list)])): each
        for each in ast.walk(parsed)
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def _of_syntax(code: CodeType, node: ast.expr | ast.stmt | ast.arg | None) -> identifiers_pb2.SourcePosition:
    if node is None:
        return _defined(code)
    file = code.co_filename
    return identifiers_pb2.SourcePosition(
        file=relative(file), line=node.lineno, column=_characters(file, node.lineno, node.col_offset) + 1
    )


def _characters(file: str, line: int, column: int) -> int:
    """A place in a line in characters, as people count them; Python counts bytes."""
    before = linecache.getline(file, line).encode()[:column]
    return len(before.decode(errors="replace")) if len(before) == column else column


@functools.lru_cache(maxsize=4096)
def _position(code: CodeType, file: str, instruction: int) -> identifiers_pb2.SourcePosition:
    """Where an instruction is. Code objects are equal when they say the same, in whatever file that is."""
    line, column = _lines(code)[instruction // 2]
    if line is None or column is None:
        return identifiers_pb2.SourcePosition(file=relative(file), line=line or 0)
    return identifiers_pb2.SourcePosition(
        file=relative(file), line=line, column=_characters(file, line, column) + 1
    )


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
