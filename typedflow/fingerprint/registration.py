"""Whether importing a module may change what other modules' code does, by registering its definitions somewhere.

`@register("x") def f(): ...` makes `f` reachable without anybody naming it. A first-party decorator, a base class with
`__init_subclass__`, or a first-party function called for an assignment may do that; one that provably keeps nothing (it
and what it needs use no mutable variable of a module or class) does not. In doubt, it does.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from typedflow.fingerprint import bindings, sources
from typedflow.fingerprint.finder import OWN
from typedflow.fingerprint.references import Reference
from typedflow.fingerprint.resolution import Names, Node

_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_MUTABLE_BUILTINS = frozenset({"dict", "list", "set", "bytearray"})
# Modules of the standard library whose objects exist to be filled; the others' (loggers, patterns, paths) do not count.
_MUTABLE_LIBRARIES = frozenset({"collections", "weakref", "queue", "threading", "contextvars", "types"})


class _Needs(Protocol):
    @property
    def needs(self) -> tuple[Node, ...]: ...


class Registration:
    """Judges modules and statements; remembers what it found."""

    def __init__(self, names: Names, of_unit: Callable[[Path, sources.Unit], _Needs]) -> None:
        self._names = names
        self._of_unit = of_unit
        self._keeps: dict[Node, bool] = {}

    def is_registering(self, path: Path) -> bool:
        """Whether some definition of a module is handed to something first-party that may keep it."""
        return any(
            self._is_registered(path, node)
            for unit in self._names.source(path).units
            if not unit.is_script
            for node in _definitions(unit.node)
        )

    def is_call(self, path: Path, unit: sources.Unit) -> bool:
        """Whether an assignment calls a first-party function that may keep what it is given."""
        if unit.acts or unit.is_script or not isinstance(unit.node, ast.Assign | ast.AnnAssign):
            return False
        calls = (node for node in ast.walk(unit.node) if isinstance(node, ast.Call))
        chains = (chain for call in calls if (chain := bindings.chain_of(call.func)) is not None)
        return any(self._may_keep(path, chain, is_method_kept=False) for chain in chains)

    def _is_registered(self, path: Path, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
        for decorator in node.decorator_list:
            chain = bindings.chain_of(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if chain is None or self._may_keep(path, chain, is_method_kept=True):
                return True
        if not isinstance(node, ast.ClassDef):
            return False
        bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
        metaclasses = [keyword.value for keyword in node.keywords if keyword.arg == "metaclass"]
        return any(self._has_hook(path, base) for base in bases) or any(
            self._is_own(path, m) for m in metaclasses
        )

    def _may_keep(self, path: Path, chain: tuple[str, ...], *, is_method_kept: bool) -> bool:
        """Whether what `chain` names may keep what it is called with."""
        for hit in self._names.resolve(path, Reference(chain)):
            if hit.node is None:
                continue
            if hit.node.kind == "module":
                return True
            if hit.rest:
                if is_method_kept:
                    return True
            elif self._reaches_variable(hit.node):
                return True
        return False

    def _reaches_variable(self, start: Node) -> bool:
        """Whether a definition, or one that it needs, may write to a mutable variable of a module or class."""
        if start not in self._keeps:
            seen: set[Node] = set()
            pending = [start]
            while pending and not self._keeps.get(start):
                node = pending.pop()
                if node in seen or node.kind == "statements":
                    continue
                seen.add(node)
                self._keeps[start] = self._is_mutable(node)
                pending.extend(self._needs_of(node))
        return self._keeps[start]

    def _needs_of(self, node: Node) -> Iterable[Node]:
        if node.kind != "name":
            return ()
        units = self._names.source(node.path).units_of[node.name]
        return [need for unit in units for need in self._of_unit(node.path, unit).needs]

    def _is_mutable(self, node: Node) -> bool:
        if node.kind != "name":
            return True
        source = self._names.source(node.path)
        if any(chain[0] == node.name for chain in source.patched):
            return True
        for unit in source.units_of[node.name]:
            if isinstance(unit.node, ast.FunctionDef) and any(
                isinstance(d, _DISPLAYS) for d in unit.node.args.defaults
            ):
                return True
            statements = unit.node.body if isinstance(unit.node, ast.ClassDef) else [unit.node]
            for statement in statements:
                if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
                    if statement.value is not None and self._is_mutable_value(node.path, statement.value):
                        return True
                elif not isinstance(
                    statement, (*sources.DEFINITIONS, ast.Expr, ast.Pass, ast.Import, ast.ImportFrom)
                ):
                    return True
        return False

    def _is_mutable_value(self, path: Path, value: ast.expr) -> bool:
        if isinstance(value, _DISPLAYS):
            return True
        if not isinstance(value, ast.Call):
            return False
        chain = bindings.chain_of(value.func)
        if chain is None:
            return True
        hits = self._names.resolve(path, Reference(chain))
        tops = [hit.library.partition(".")[0] for hit in hits]
        if not hits:
            return chain[-1] in _MUTABLE_BUILTINS
        return any(
            top in _MUTABLE_LIBRARIES or (top not in OWN and top not in sys.stdlib_module_names)
            for top in tops
        )

    def _has_hook(self, path: Path, base: ast.expr) -> bool:
        """Whether a base class, or one of its own first-party bases, defines `__init_subclass__`."""
        pending: list[tuple[Path, ast.expr]] = [(path, base)]
        seen: set[Node] = set()
        while pending:
            where, expression = pending.pop()
            chain = bindings.chain_of(expression)
            for hit in self._names.resolve(where, Reference(chain)) if chain else ():
                if hit.node is None or hit.node in seen:
                    continue
                seen.add(hit.node)
                if hit.node.kind != "name":
                    return True
                for unit in self._names.source(hit.node.path).units_of[hit.node.name]:
                    if isinstance(unit.node, ast.ClassDef):
                        if any(getattr(item, "name", "") == "__init_subclass__" for item in unit.node.body):
                            return True
                        pending.extend((hit.node.path, inner) for inner in unit.node.bases)
        return False

    def _is_own(self, path: Path, expression: ast.expr) -> bool:
        chain = bindings.chain_of(expression)
        return chain is None or any(
            hit.node is not None for hit in self._names.resolve(path, Reference(chain))
        )


def _definitions(statement: ast.stmt) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """The functions and classes that a top-level statement defines in the module's own scope."""
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, sources.DEFINITIONS):
            yield node
        elif isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            pending.extend(ast.iter_child_nodes(node))
