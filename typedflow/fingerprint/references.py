"""What a piece of code refers to outside itself: names of its module, and modules that it imports.

Follows Python's scoping: a parameter or local variable hides a module's name. Where it can't tell, it reports the name.
Purely syntactic: what a reference leads to is for `graph` to find out. Nothing is ever imported or run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from typedflow.fingerprint import bindings

OptionKind = Literal["decorator", "options", "description"]

_DYNAMIC_NAMES = frozenset({"eval", "exec", "globals", "__import__"})
_DYNAMIC_IMPORTS = frozenset(
    {
        "import_module",
        "__import__",
        "iter_modules",
        "walk_packages",
        "run_module",
        "run_path",
        "spec_from_file_location",
        "exec_module",
        "load_module",
    }
)
_DESCRIPTIONS = frozenset({"description", "title"})


@dataclass(frozen=True, slots=True)
class Reference:
    """A dotted chain of names that starts outside the code.

    `imports` is what an import inside the code binds the first name to; empty when the name is the module's own.
    `is_store` marks `a.b = ...` and `del a.b`.
    """

    chain: tuple[str, ...]
    imports: tuple[bindings.Import, ...] = ()
    is_store: bool = False


@dataclass(frozen=True, slots=True)
class DynamicImport:
    """A module that is imported by a name made at run time. `name` is the constant part; `is_exact` if that is all."""

    name: str
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Options:
    """Sub-trees that do not count if `trigger` turns out to be typedflow's (or, for descriptions, a schema library's).

    `references` holds what only they refer to.
    """

    kind: OptionKind
    trigger: Reference
    nodes: tuple[ast.AST, ...]
    parent: int


@dataclass(slots=True)
class Found:
    """Everything a piece of code refers to. `references` pairs each with the index of its `options`, -1 for none."""

    references: dict[tuple[Reference, int], None] = field(default_factory=dict)
    options: list[Options] = field(default_factory=list)
    loaded: list[bindings.Import] = field(default_factory=list)
    dynamic_imports: list[DynamicImport] = field(default_factory=list)
    is_dynamic: bool = False


def of_code(nodes: Iterable[ast.AST]) -> Found:
    """What module-level statements refer to, with everything inside them."""
    collector = _Collector()
    for node in nodes:
        collector.push(node, None, -1)
    collector.run()
    return collector.found


@dataclass(slots=True)
class _Scope:
    """A function's, class body's or comprehension's names. The module's own scope is None."""

    bound: bindings.Bound
    parent: _Scope | None
    is_class: bool = False


class _Collector:
    """Walks code with an explicit stack, since real code nests deeper than Python recurses."""

    def __init__(self) -> None:
        self.found = Found()
        self._stack: list[tuple[ast.AST, _Scope | None, int]] = []

    def push(self, node: ast.AST | None, scope: _Scope | None, options: int) -> None:
        if node is not None:
            self._stack.append((node, scope, options))

    def run(self) -> None:
        while self._stack:
            node, scope, options = self._stack.pop()
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                    self._function(node, scope, options)
                case ast.ClassDef():
                    self._class(node, scope, options)
                case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                    self._comprehension(node, scope, options)
                case ast.Attribute() | ast.Name():
                    self._chain(node, scope, options)
                case ast.Call():
                    self._call(node, scope, options)
                case ast.AnnAssign():
                    self._annotation(node.annotation, scope, options)
                    self._children([node.target, node.value], scope, options)
                case ast.Import() | ast.ImportFrom():
                    self.found.loaded.extend(bindings.of_block([node]).loaded)
                case _:
                    self._children(ast.iter_child_nodes(node), scope, options)

    def _children(self, nodes: Iterable[ast.AST | None], scope: _Scope | None, options: int) -> None:
        for node in nodes:
            self.push(node, scope, options)

    def _function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: _Scope | None, options: int
    ) -> None:
        parameters = bindings.of_parameters(node.args)
        self._children([*node.args.defaults, *node.args.kw_defaults], scope, options)
        body: Sequence[ast.AST]
        if isinstance(node, ast.Lambda):
            body = [node.body]
        else:
            body = node.body
            self._decorators(node.decorator_list, scope, options)
            for annotation in (node.returns, *(parameter.annotation for parameter in parameters)):
                self._annotation(annotation, scope, options)
        inner = _Scope(bindings.of_block(body), scope)
        for parameter in parameters:
            inner.bound.bind(parameter.arg)
        self._type_parameters(node, inner, options)
        self._children(body, inner, options)

    def _class(self, node: ast.ClassDef, scope: _Scope | None, options: int) -> None:
        self._decorators(node.decorator_list, scope, options)
        self._children([*node.bases, *node.keywords], scope, options)
        inner = _Scope(bindings.of_block(node.body), scope, is_class=True)
        self._type_parameters(node, inner, options)
        self._children(node.body, inner, options)

    def _type_parameters(self, node: ast.AST, scope: _Scope, options: int) -> None:
        for parameter in getattr(node, "type_params", ()):
            scope.bound.bind(parameter.name)
            self.push(parameter, scope, options)

    def _comprehension(
        self,
        node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp,
        scope: _Scope | None,
        options: int,
    ) -> None:
        inner = _Scope(bindings.of_block(generator.target for generator in node.generators), scope)
        self.push(node.generators[0].iter, scope, options)
        for index, generator in enumerate(node.generators):
            self._children([generator.target, *generator.ifs], inner, options)
            self.push(generator.iter if index else None, inner, options)
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._children(results, inner, options)

    def _decorators(self, decorators: list[ast.expr], scope: _Scope | None, options: int) -> None:
        for decorator in decorators:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            self.push(decorator, scope, self._open("decorator", called, (decorator,), scope, options))

    def _call(self, node: ast.Call, scope: _Scope | None, options: int) -> None:
        chain = bindings.chain_of(node.func)
        if chain is not None and chain[-1] in _DYNAMIC_IMPORTS:
            self.found.dynamic_imports.append(_dynamic_import(node))
        if chain == ("vars",) and not node.args:
            self.found.is_dynamic = True
        if chain == ("getattr",) and self._constant_getattr(node, scope, options):
            return
        for keyword in node.keywords:
            kind: OptionKind = "description" if keyword.arg in _DESCRIPTIONS else "options"
            self.push(keyword.value, scope, self._open(kind, node.func, (keyword,), scope, options))
        self._children([node.func, *node.args], scope, options)

    def _constant_getattr(self, node: ast.Call, scope: _Scope | None, options: int) -> bool:
        """`getattr(module, "name")` is `module.name`."""
        match node.args:
            case [target, ast.Constant(value=str(name)), *rest] if name.isidentifier():
                self.push(ast.Attribute(target, name, ast.Load()), scope, options)
                self._children(rest, scope, options)
                return True
            case _:
                return False

    def _open(
        self,
        kind: OptionKind,
        called: ast.expr,
        nodes: tuple[ast.AST, ...],
        scope: _Scope | None,
        parent: int,
    ) -> int:
        """Starts a group of sub-trees that may not count; gives its index, or the parent's if it surely counts."""
        chain = bindings.chain_of(called)
        trigger = None if chain is None else self._outside(chain, scope)
        if trigger is None:
            return parent
        self.found.options.append(Options(kind, trigger, nodes, parent))
        return len(self.found.options) - 1

    def _chain(self, node: ast.Attribute | ast.Name, scope: _Scope | None, options: int) -> None:
        chain = bindings.chain_of(node)
        if chain is None:
            self._children(ast.iter_child_nodes(node), scope, options)
            return
        is_store = isinstance(node.ctx, ast.Store | ast.Del)
        if is_store and len(chain) == 1:
            if scope is not None and chain[0] in scope.bound.global_names:
                self.found.references[Reference(chain), options] = None
            return
        reference = self._outside(chain, scope, is_store)
        if reference is None:
            return
        self.found.references[reference, options] = None
        if (not reference.imports and chain[0] in _DYNAMIC_NAMES) or chain[-1] == "__subclasses__":
            self.found.is_dynamic = True

    def _outside(
        self, chain: tuple[str, ...], scope: _Scope | None, is_store: bool = False
    ) -> Reference | None:
        """The reference that a chain is, seen from a scope; None if its first name is a local variable."""
        name = chain[0]
        from_class = True
        while scope is not None:
            bound = scope.bound
            if name in bound.global_names:
                break
            if (
                name in bound.names
                and name not in bound.nonlocal_names
                and (from_class or not scope.is_class)
            ):
                if name in bound.imports:
                    return Reference(chain, tuple(bound.imports[name]), is_store)
                if not scope.is_class:
                    return None
            from_class = False
            scope = scope.parent
        return Reference(chain, (), is_store)

    def _annotation(self, node: ast.expr | None, scope: _Scope | None, options: int) -> None:
        """Also follows names inside the strings of an annotation, except where a string is a value."""
        if node is None:
            return
        self.push(node, scope, options)
        pending: list[ast.expr] = [node]
        while pending:
            part = pending.pop()
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                self.push(_parsed(part.value), scope, options)
            elif isinstance(part, ast.Subscript):
                name = (bindings.chain_of(part.value) or ("",))[-1]
                if name == "Literal":
                    continue
                is_pair = name == "Annotated" and isinstance(part.slice, ast.Tuple)
                pending.append(
                    part.slice.elts[0] if is_pair and isinstance(part.slice, ast.Tuple) else part.slice
                )
            else:
                pending.extend(child for child in ast.iter_child_nodes(part) if isinstance(child, ast.expr))


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _dynamic_import(node: ast.Call) -> DynamicImport:
    """What is known of the name of the module that a call imports."""
    match node.args[:1]:
        case [ast.Constant(value=str(name))]:
            return DynamicImport(name, is_exact=True)
        case [ast.JoinedStr(values=[ast.Constant(value=str(name)), *_])]:
            return DynamicImport(name, is_exact=False)
        case [ast.BinOp(left=ast.Constant(value=str(name)))]:
            return DynamicImport(name, is_exact=False)
        case _:
            return DynamicImport("", is_exact=False)
