"""Which names a block of statements binds, and what its imports bind them to.

A block is what Python compiles as one scope: a module, a class body or a function body. Blocks inside it have their own
names and are not entered. Pure: looks at syntax trees only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Import:
    """What an import statement refers to: a module, or a name in it.

    `module` is as written and `level` counts the leading dots. Without `attribute` it is the module itself.
    """

    module: str
    level: int = 0
    attribute: str | None = None


@dataclass(slots=True)
class Bound:
    """What one block binds.

    `names` holds every name, `imports` those that an import binds (one may be in both ways), `loaded` every module that
    an import statement loads, `stars` the modules of `from m import *`.
    """

    names: set[str] = field(default_factory=set)
    imports: dict[str, list[Import]] = field(default_factory=dict)
    loaded: list[Import] = field(default_factory=list)
    stars: list[Import] = field(default_factory=list)
    global_names: set[str] = field(default_factory=set)
    nonlocal_names: set[str] = field(default_factory=set)
    otherwise: set[str] = field(default_factory=set)

    def bind(self, name: str) -> None:
        """Binds a name other than by an import."""
        self.names.add(name)
        self.otherwise.add(name)

    def bind_import(self, name: str, target: Import) -> None:
        """Binds a name by an import."""
        self.names.add(name)
        self.imports.setdefault(name, []).append(target)


def of_block(nodes: Iterable[ast.AST], skip_imports_of: frozenset[int] = frozenset()) -> Bound:
    """What the statements (or expressions) of a block bind.

    Args:
        nodes: the block's statements.
        skip_imports_of: ids of import statements that run no code: they bind, but are left out of `loaded`.
    """
    bound = Bound()
    stack: list[tuple[ast.AST, bool]] = [(node, False) for node in nodes]
    while stack:
        node, in_comprehension = stack.pop()
        _bind(node, bound, in_comprehension, id(node) in skip_imports_of)
        inner = in_comprehension or isinstance(node, _COMPREHENSIONS)
        stack.extend((child, inner) for child in _in_same_block(node))
    return bound


def of_parameters(arguments: ast.arguments) -> list[ast.arg]:
    """All parameters of a function, in no particular order."""
    extra = [arg for arg in (arguments.vararg, arguments.kwarg) if arg is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra]


def chain_of(node: ast.AST) -> tuple[str, ...] | None:
    """`a.b.c` as ("a", "b", "c"); None when it does not start with a name."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return (node.id, *reversed(attributes))


def _bind(node: ast.AST, bound: Bound, in_comprehension: bool, unloaded: bool) -> None:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) if not in_comprehension:
            bound.bind(name)
        case ast.NamedExpr(target=ast.Name(id=name)):
            bound.bind(name)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            bound.bind(name)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            bound.bind(name)
        case ast.MatchMapping(rest=str(name)):
            bound.bind(name)
        case ast.Global(names=names):
            bound.global_names.update(names)
        case ast.Nonlocal(names=names):
            bound.nonlocal_names.update(names)
        case ast.Import(names=aliases):
            _bind_import(aliases, bound, unloaded)
        case ast.ImportFrom():
            _bind_import_from(node, bound, unloaded)
        case _:
            pass


def _bind_import(aliases: list[ast.alias], bound: Bound, unloaded: bool) -> None:
    for alias in aliases:
        if alias.asname:
            bound.bind_import(alias.asname, Import(alias.name))
        else:
            top = alias.name.partition(".")[0]
            bound.bind_import(top, Import(top))
        if not unloaded:
            bound.loaded.append(Import(alias.name))


def _bind_import_from(node: ast.ImportFrom, bound: Bound, unloaded: bool) -> None:
    module = node.module or ""
    if module == "__future__" and not node.level:
        return
    for alias in node.names:
        if alias.name == "*":
            bound.stars.append(Import(module, node.level))
            target = Import(module, node.level)
        else:
            target = Import(module, node.level, alias.name)
            bound.bind_import(alias.asname or alias.name, target)
        if not unloaded:
            bound.loaded.append(target)


def _in_same_block(node: ast.AST) -> Iterable[ast.AST]:
    """The children of a node that are compiled in the same block as it is."""
    if isinstance(node, (*_FUNCTIONS, ast.Lambda)):
        defaults = [
            *node.args.defaults,
            *(default for default in node.args.kw_defaults if default is not None),
        ]
        return defaults if isinstance(node, ast.Lambda) else [*defaults, *node.decorator_list]
    if isinstance(node, ast.ClassDef):
        return [*node.bases, *node.keywords, *node.decorator_list]
    return ast.iter_child_nodes(node)
