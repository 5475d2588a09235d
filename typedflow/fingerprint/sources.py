"""A module's source as the pieces that a fingerprint counts: definitions by name, and statements that only act.

A `Unit` is one top-level statement. Reads and parses files; never imports them.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typedflow import errors
from typedflow.fingerprint import bindings

# `type X = ...` and `try: ... except* ...` have no class in every Python that we run on.
_TYPE_ALIAS: tuple[type[ast.AST], ...] = tuple(filter(None, [getattr(ast, "TypeAlias", None)]))
_ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One top-level statement.

    `names` are those it binds. `acts` is true of one that does more than bind names: it runs when the module is
    imported, and what it does can't be told from the names. `is_script` marks `if __name__ == "__main__":`, which an
    import skips.
    """

    node: ast.stmt
    names: frozenset[str]
    acts: bool
    is_script: bool

    @property
    def lines(self) -> range:
        """The source lines that it takes up, decorators included."""
        decorators = getattr(self.node, "decorator_list", ())
        first = min([self.node.lineno, *(decorator.lineno for decorator in decorators)])
        return range(first, (self.node.end_lineno or self.node.lineno) + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A parsed module.

    `units_of` gives the units that bind a name, in order. `rebound` are names that some function rebinds by `global`,
    `patched` the chains `a.b.c` that are assigned to anywhere, `mentioned` every name that is used at all.
    """

    units: tuple[Unit, ...]
    units_of: dict[str, tuple[Unit, ...]]
    bound: bindings.Bound
    rebound: frozenset[str]
    patched: tuple[tuple[str, ...], ...]
    mentioned: frozenset[str]


def read(path: Path) -> Source:
    """The module in a file.

    Raises:
        LoadError: when the file can't be read or is not Python.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise errors.LoadError(f"can't read the module: {error.strerror}", where=str(path)) from None
    try:
        return _parsed(data)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise errors.LoadError(
            f"not valid Python: {getattr(error, 'msg', error)}",
            where=f"{path}:{line}" if line else str(path),
            hint="a cached task's code has to be readable; fix the file, or give the task Cache(version=...)",
        ) from None


@functools.lru_cache(maxsize=4096)
def _parsed(data: bytes) -> Source:
    """Keyed by the bytes themselves: equal files are parsed once, and an edit is never missed."""
    tree = ast.parse(data)
    type_checking: set[int] = set()
    units = tuple(_units(tree, type_checking))
    units_of: dict[str, list[Unit]] = {}
    for unit in units:
        for name in unit.names:
            units_of.setdefault(name, []).append(unit)
    rebound: set[str] = set()
    patched: dict[tuple[str, ...], None] = {}
    mentioned: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Global(names=names):
                rebound.update(names)
            case ast.Name(id=name, ctx=ast.Load()):
                mentioned.add(name)
            case ast.Attribute(ctx=ast.Store() | ast.Del()) if chain := bindings.chain_of(node):
                patched[chain] = None
            case _:
                pass
    return Source(
        units,
        {name: tuple(found) for name, found in units_of.items()},
        bindings.of_block(tree.body, frozenset(type_checking)),
        frozenset(rebound),
        tuple(patched),
        frozenset(mentioned),
    )


def _units(tree: ast.Module, unloaded: set[int]) -> Iterator[Unit]:
    """The module's units; adds to `unloaded` the ids of import statements that importing the module does not run."""
    for node in tree.body:
        is_script = isinstance(node, ast.If) and _is_script_guard(node.test) and not node.orelse
        is_typing = isinstance(node, ast.If) and _is_type_checking(node.test)
        if isinstance(node, ast.If) and (is_script or is_typing):
            inside = (inner for statement in node.body for inner in ast.walk(statement))
            unloaded.update(id(inner) for inner in inside if isinstance(inner, ast.Import | ast.ImportFrom))
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Pass) or _is_text(node):
            continue
        bound = bindings.of_block([node])
        bound_names = frozenset(bound.otherwise if is_typing else bound.names)
        yield Unit(node, bound_names, not is_script and _acts(node), is_script)


def _acts(node: ast.stmt) -> bool:
    """Whether a statement does more than bind names."""
    if isinstance(node, ast.ClassDef):
        return any(isinstance(inner, ast.Expr) and not _is_text(inner) for inner in node.body)
    if isinstance(node, (*DEFINITIONS, *_TYPE_ALIAS, ast.Import, ast.ImportFrom, ast.Pass)) or _is_text(node):
        return False
    if isinstance(node, _ASSIGNMENTS):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(
            isinstance(inner, ast.Attribute | ast.Subscript) and isinstance(inner.ctx, ast.Store)
            for target in targets
            for inner in ast.walk(target)
        )
    if isinstance(node, ast.If):
        return any(map(_acts, [*node.body, *node.orelse]))
    if isinstance(node, ast.Try):
        handled = [statement for handler in node.handlers for statement in handler.body]
        return any(map(_acts, [*node.body, *handled, *node.orelse, *node.finalbody]))
    return True


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_script_guard(test: ast.expr) -> bool:
    match test:
        case ast.Compare(
            left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]
        ):
            return True
        case _:
            return False


def _is_type_checking(test: ast.expr) -> bool:
    return (bindings.chain_of(test) or ("",))[-1] == "TYPE_CHECKING"
