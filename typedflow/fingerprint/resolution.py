"""Where a name leads: to a definition of a first-party module, to a whole module, or out to a library.

Follows imports, re-exports, star imports and attributes of modules by their source. What is looked for in a module and
not found there leads to the whole module, so that nothing a task can reach is missed.
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from typedflow.fingerprint import sources
from typedflow.fingerprint.bindings import Import
from typedflow.fingerprint.finder import Finder, Library
from typedflow.fingerprint.references import Reference

NodeKind = Literal["name", "module", "statements"]


class Node(NamedTuple):
    """Something that counts: a module's name, a whole module, or the statements that run when it is imported."""

    kind: NodeKind
    path: Path
    name: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """One end of a reference: a node or a library's dotted name, and the attributes of it that are left to look up."""

    node: Node | None
    library: str
    rest: tuple[str, ...] = ()


class Names:
    """Looks names up in first-party modules. Reads each module once."""

    def __init__(self, finder: Finder) -> None:
        self.finder = finder
        self._sources: dict[Path, sources.Source] = {}
        self._hits: dict[tuple[Path, Reference], tuple[Hit, ...]] = {}

    def source(self, path: Path) -> sources.Source:
        """The parsed module in a file."""
        found = self._sources.get(path)
        if found is None:
            found = self._sources[path] = sources.read(path)
        return found

    def resolve(self, path: Path, reference: Reference) -> tuple[Hit, ...]:
        """Everything that a reference in a module may lead to; nothing for a builtin."""
        key = (path, reference)
        if key not in self._hits:
            lookup = _Lookup(self)
            chain = reference.chain[:-1] if reference.is_store else reference.chain
            if reference.imports:
                for target in reference.imports:
                    lookup.imported(target, chain[1:], path)
            else:
                lookup.global_name(path, chain[0], chain[1:])
            self._hits[key] = tuple(dict.fromkeys(lookup.hits))
        return self._hits[key]

    def loaded(self, target: Import, importer: Path) -> tuple[list[Path], str]:
        """The first-party modules that an import statement runs, outermost first, and the library it is of or ""."""
        module = self.finder.module(target, importer)
        if isinstance(module, Library):
            return [], module.top
        paths = [module]
        if target.attribute and (submodule := self.finder.submodule(module, target.attribute)):
            paths.append(submodule)
        files = [path for path in paths if path.is_file()]
        packages = [package for path in files for package in self.finder.packages_of(path)]
        return list(dict.fromkeys([*packages, *files])), ""


class _Lookup:
    """One reference on its way through modules; collects where it leads."""

    def __init__(self, modules: Names) -> None:
        self.hits: list[Hit] = []
        self._modules = modules
        self._seen: set[tuple[Path, str]] = set()

    def imported(self, target: Import, rest: tuple[str, ...], importer: Path) -> None:
        """Follows what an import statement binds, and then `rest`."""
        module = self._modules.finder.module(target, importer)
        attributes = (target.attribute, *rest) if target.attribute else rest
        if isinstance(module, Library):
            self.hits.append(Hit(None, ".".join([module.name, *attributes])))
        else:
            self._in_module(module, attributes)

    def global_name(self, path: Path, name: str, rest: tuple[str, ...]) -> bool:
        """Follows a name of a module's own; False if the module does not have it."""
        if (path, name) in self._seen:
            return False
        self._seen.add((path, name))
        source = self._modules.source(path)
        known = False
        if name in source.rebound:
            self.hits.append(Hit(Node("module", path), "", rest))
            known = True
        if name in source.units_of:
            self.hits.append(Hit(Node("name", path, name), "", rest))
            known = True
        for target in source.bound.imports.get(name, ()):
            self.imported(target, rest, path)
            known = True
        return known or self._starred(path, name, rest)

    def _starred(self, path: Path, name: str, rest: tuple[str, ...]) -> bool:
        """Looks for a name in the modules of `from m import *`."""
        known = False
        for target in self._modules.source(path).bound.stars:
            module = self._modules.finder.module(target, path)
            if isinstance(module, Library):
                if not hasattr(builtins, name):
                    self.hits.append(Hit(None, ".".join([module.name, name, *rest])))
                    known = True
            elif module.is_file() and self.global_name(module, name, rest):
                known = True
        return known

    def _in_module(self, path: Path, attributes: tuple[str, ...]) -> None:
        """Follows attributes of a module; the module itself, used as a value, is all of it."""
        if not attributes:
            if path.is_file():
                self.hits.append(Hit(Node("module", path), ""))
            return
        name, rest = attributes[0], attributes[1:]
        if path.is_file() and self.global_name(path, name, rest):
            return
        submodule = self._modules.finder.submodule(path, name)
        if submodule is not None:
            self._in_module(submodule, rest)
        elif path.is_file() and (not _is_metadata(name)):
            self.hits.append(Hit(Node("module", path), "", attributes))


def _is_metadata(name: str) -> bool:
    """`__name__`, `__file__` and the like say nothing about what a module's code does; `__dict__` is all of it."""
    return name in ("__name__", "__file__", "__doc__", "__package__", "__path__", "__spec__", "__loader__")
