"""Where a live function, class, module or closed-over value comes from in the source.

The only part that looks at objects instead of files: a task is given as a function, and what a nested function closed
over is nowhere in its source. Reads attributes; calls nothing of the author's.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from typedflow import errors
from typedflow.dataplane import digests
from typedflow.fingerprint import canonical
from typedflow.fingerprint.finder import OWN, Finder
from typedflow.fingerprint.graph import Graph
from typedflow.fingerprint.resolution import Node

_REMEDY = "pass it to the task as an input, or give the task Cache(version=...) and vouch for it yourself"


@dataclass(frozen=True, slots=True)
class Origins:
    """Where objects come from: nodes of the graph, libraries, and the canonical bytes of plain values."""

    nodes: tuple[Node, ...]
    libraries: tuple[str, ...] = ()
    values: bytes = b""


def of_function(function: object, graph: Graph) -> tuple[str, Origins]:
    """A task's function: its name under its root, and where it and what it closes over come from.

    Raises:
        DefinitionError: when its source is not first-party or can't be read, or it closes over what has no source.
    """
    inner = inspect.unwrap(function) if callable(function) else function
    if not isinstance(inner, types.FunctionType):
        inner = getattr(inner, "__func__", inner)
    if not isinstance(inner, types.FunctionType):
        raise _unfollowed(f"a {type(function).__name__} is not a function", "")
    path = _file_of(inner, graph.finder)
    if path is None:
        raise _unfollowed(
            f"the source of `{inner.__qualname__}` is not under the roots "
            f"({', '.join(map(str, graph.finder.roots)) or 'none given'})",
            inner.__code__.co_filename,
            "keep it under the folder that is registered, or give the task Cache(version=...)",
        )
    objects = _Objects(graph)
    objects.add(inner, inner.__qualname__)
    return f"{graph.finder.name_of(path)}.{inner.__qualname__}", objects.origins()


def of_dependency(dependency: object, graph: Graph) -> Origins:
    """What `depends_on` names: a function, class or module, or any value that `of_function` could close over."""
    objects = _Objects(graph)
    if isinstance(dependency, types.ModuleType):
        objects.add_package(dependency)
    else:
        objects.add(dependency, "depends_on")
    return objects.origins()


class _Objects:
    """Collects where objects come from, through the containers and closures that hold them."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes: list[Node] = []
        self._libraries: list[str] = []
        self._values = bytearray()
        self._has_values = False
        self._seen: dict[int, object] = {}

    def origins(self) -> Origins:
        """What was collected. Where all of it has a source, there are no values."""
        return Origins(
            tuple(self._nodes), tuple(self._libraries), bytes(self._values) if self._has_values else b""
        )

    def add(self, value: object, where: str) -> None:
        """Adds an object. Its label goes into the values' bytes, so that two that swap places are noticed."""
        self._values += canonical.constant(where)
        unwrapped = inspect.unwrap(value) if callable(value) else value
        if isinstance(unwrapped, types.MethodType):
            self.add(unwrapped.__self__, f"{where}.__self__")
            unwrapped = unwrapped.__func__
        if isinstance(unwrapped, types.FunctionType):
            self._function(unwrapped, where)
        elif isinstance(unwrapped, types.BuiltinFunctionType | types.MethodWrapperType):
            self._values += canonical.constant(f"{unwrapped.__module__}.{unwrapped.__qualname__}")
            self._libraries.append((unwrapped.__module__ or "builtins").partition(".")[0])
        elif isinstance(unwrapped, type):
            self._class(unwrapped, where)
        elif isinstance(unwrapped, types.ModuleType):
            self._module(unwrapped)
        else:
            self._value(unwrapped, where)

    def add_package(self, module: types.ModuleType) -> None:
        """Adds a module and, of a package, every module in it."""
        path = self._graph.finder.first_party_file(getattr(module, "__file__", None) or "")
        if path is None:
            self._module(module)
            return
        self._nodes.extend(Node("module", file) for file in self._graph.finder.below(path))

    def _module(self, module: types.ModuleType) -> None:
        path = self._graph.finder.first_party_file(getattr(module, "__file__", None) or "")
        self._values += canonical.constant(
            module.__name__ if path is None else self._graph.finder.name_of(path)
        )
        if path is None:
            self._libraries.append(module.__name__.partition(".")[0])
        else:
            self._nodes.append(Node("module", path))

    def _function(self, function: types.FunctionType, where: str) -> None:
        if self._is_seen(function):
            return
        path = _file_of(function, self._graph.finder)
        if path is None:
            self._of_library(function.__module__, function.__qualname__, where)
        else:
            self._nodes.extend(self._definition(path, function))
            self._values += canonical.constant(f"{self._graph.finder.name_of(path)}.{function.__qualname__}")
        if path is None or "<locals>" in function.__qualname__:
            self._closed_over(function, where)

    def _closed_over(self, function: types.FunctionType, where: str) -> None:
        """What a nested function got from where it was made: its free variables and its defaults."""
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:  # a variable that is not set yet
                continue
            self._has_values = True
            self.add(value, f"{where}.{name}")
        for index, value in enumerate(function.__defaults__ or ()):
            self.add(value, f"{where}.default{index}")
        for name, value in sorted((function.__kwdefaults__ or {}).items()):
            self.add(value, f"{where}.default.{name}")

    def _definition(self, path: Path, function: types.FunctionType) -> Iterator[Node]:
        """The module's name that a function is, or is inside; failing that, the whole module."""
        source = self._graph.names.source(path)
        line = function.__code__.co_firstlineno
        top = function.__qualname__.partition(".")[0]
        if top in source.units_of:
            yield Node("name", path, top)
            return
        names = [min(unit.names) for unit in source.units if line in unit.lines and unit.names]
        yield from (Node("name", path, name) for name in names) if names else [Node("module", path)]

    def _class(self, cls: type, where: str) -> None:
        module = sys.modules.get(cls.__module__)
        path = self._graph.finder.first_party_file(getattr(module, "__file__", None) or "")
        if path is None or cls.__module__.partition(".")[0] in OWN:
            self._of_library(cls.__module__, cls.__qualname__, where)
            return
        top = cls.__qualname__.partition(".")[0]
        known = top in self._graph.names.source(path).units_of
        self._nodes.append(Node("name", path, top) if known else Node("module", path))
        self._values += canonical.constant(f"{self._graph.finder.name_of(path)}.{cls.__qualname__}")

    def _of_library(self, module: str | None, qualname: str, where: str) -> None:
        if not module or module == "__main__" or module not in sys.modules:
            raise _unfollowed(f"`{where}` is `{qualname}`, which has no source file", where)
        self._libraries.append(module.partition(".")[0])
        self._values += canonical.constant(f"{module}.{qualname}")

    def _value(self, value: object, where: str) -> None:
        self._has_values = True
        if isinstance(value, Enum):
            self._class(type(value), where)
            self._values += canonical.constant(value.name)
        elif value is None or value is ... or type(value) in (bool, int, float, complex, str, bytes):
            self._values += canonical.constant(value)
        elif self._is_seen(value):
            return
        elif isinstance(value, functools.partial):
            self._items("partial", [value.func, value.args, value.keywords], where)
        elif isinstance(value, list | tuple) and type(value) in (list, tuple):
            self._items(type(value).__name__, list(value), where)
        elif isinstance(value, dict) and type(value) is dict:
            self._items("dict", [item for pair in value.items() for item in pair], where)
        elif isinstance(value, set | frozenset):
            self._set(value, where)
        elif isinstance(value, Path):
            self._values += canonical.constant(str(value))
        elif hasattr(value, "__dict__") and self._is_first_party(type(value)):
            self._class(type(value), where)
            self._items("object", [item for pair in sorted(vars(value).items()) for item in pair], where)
        else:
            raise _unfollowed(
                f"`{where}` is a {type(value).__module__}.{type(value).__qualname__}, whose content can't be "
                "told from its source",
                where,
            )

    def _items(self, kind: str, items: list[object], where: str) -> None:
        self._values += canonical.constant(f"{kind}:{len(items)}")
        for index, item in enumerate(items):
            self.add(item, f"{where}[{index}]")

    def _set(self, value: set[object] | frozenset[object], where: str) -> None:
        """In the order of their digests: a set has none of its own."""
        parts: list[tuple[str, _Objects]] = []
        for item in value:
            part = _Objects(self._graph)
            part.add(item, f"{where}{{}}")
            parts.append((digests.of_bytes(bytes(part._values)), part))
        for digest, part in sorted(parts, key=lambda pair: pair[0]):
            self._values += canonical.constant(digest)
            self._nodes.extend(part.origins().nodes)
            self._libraries.extend(part.origins().libraries)

    def _is_first_party(self, cls: type) -> bool:
        file = getattr(sys.modules.get(cls.__module__), "__file__", None)
        return isinstance(file, str) and self._graph.finder.first_party_file(file) is not None

    def _is_seen(self, value: object) -> bool:
        """Whether an object was added before; then only its place among those seen counts, so that cycles end."""
        if id(value) in self._seen:
            self._values += canonical.constant(list(self._seen).index(id(value)))
            return True
        self._seen[id(value)] = value
        return False


def _file_of(function: types.FunctionType, finder: Finder) -> Path | None:
    module = sys.modules.get(function.__module__ or "")
    own = (function.__module__ or "").partition(".")[0] in OWN
    if own and "<locals>" in function.__qualname__:
        return None  # typedflow's own wrapper: what it wraps is in its closure
    for filename in (function.__code__.co_filename, getattr(module, "__file__", None) or ""):
        path = finder.first_party_file(filename) if filename.endswith(".py") else None
        if path is not None:
            return path
    return None


def _unfollowed(message: str, where: str, hint: str = _REMEDY) -> errors.DefinitionError:
    return errors.DefinitionError(
        f"can't fingerprint the code: {message}", where=where, hint=hint, code="Fingerprint"
    )
