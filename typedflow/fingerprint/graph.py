"""What each piece of first-party code is, and which other pieces it needs: the graph that a fingerprint walks.

The digest of a node covers its own syntax and what its names lead to, not what those are: that is the walk's work. So a
node is looked at once, whichever and however many tasks reach it, and cycles need no care.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from typedflow.dataplane import digests
from typedflow.fingerprint import canonical, references, registration, sources
from typedflow.fingerprint.bindings import Import
from typedflow.fingerprint.finder import OWN, Finder
from typedflow.fingerprint.references import Found, Options
from typedflow.fingerprint.resolution import Names, Node

_ENTITY_DECORATORS = frozenset({"task", "workflow", "dynamic"})
# A description is metadata there; in other libraries (pydantic, for one) it may be a prompt.
_SCHEMA_LIBRARIES = frozenset({"pandera"})


@dataclass(frozen=True, slots=True)
class Facts:
    """A node's digest (None when there is nothing in it), the nodes it needs and the libraries it imports."""

    digest: str | None
    needs: tuple[Node, ...]
    libraries: frozenset[str]


class Graph:
    """The nodes of one project. Reads a module when something first leads there."""

    def __init__(self, finder: Finder) -> None:
        self.finder = finder
        self.names = Names(finder)
        self._facts: dict[Node, Facts] = {}
        self._numbers: dict[Node, int] = {}
        self._nodes: list[Node] = []
        self._steps: dict[int, tuple[str, Facts, tuple[int, ...]]] = {}
        self._units: dict[tuple[Path, sources.Unit], Facts] = {}
        self._registration = registration.Registration(self.names, self.of_unit)

    def label(self, node: Node) -> str:
        """A node's name in a fingerprint: `pipeline.helpers.scale`, `pipeline.conf:module`."""
        module = self.finder.name_of(node.path)
        return f"{module}.{node.name}" if node.kind == "name" else f"{module}:{node.kind}"

    def facts(self, node: Node) -> Facts:
        """What a node is; worked out once."""
        found = self._facts.get(node)
        if found is None:
            match node.kind:
                case "name":
                    found = self._of_name(node)
                case "module":
                    found = self._of_module(node)
                case "statements":
                    found = self._of_statements(node)
            self._facts[node] = found
        return found

    def walk(self, starts: Iterable[Node]) -> list[tuple[str, Facts]]:
        """Every node that the given ones need and they themselves, each with its label."""
        pending = list({self._number(node): None for node in starts})
        reached = set(pending)
        walked: list[tuple[str, Facts]] = []
        while pending:
            number = pending.pop()
            step = self._steps.get(number)
            if step is None:
                node = self._nodes[number]
                facts = self.facts(node)
                step = (self.label(node), facts, tuple(map(self._number, facts.needs)))
                self._steps[number] = step
            walked.append((step[0], step[1]))
            for need in step[2]:
                if need not in reached:
                    reached.add(need)
                    pending.append(need)
        return walked

    def _number(self, node: Node) -> int:
        """A node's number in this graph: a task's walk compares numbers, since paths are slow to compare."""
        number = self._numbers.get(node)
        if number is None:
            number = self._numbers[node] = len(self._nodes)
            self._nodes.append(node)
        return number

    def of_unit(self, path: Path, unit: sources.Unit) -> Facts:
        """What one top-level statement is, without what importing its module runs."""
        key = (path, unit)
        if key not in self._units:
            self._units[key] = self._look_at(path, unit)
        return self._units[key]

    def _of_name(self, node: Node) -> Facts:
        units = self.names.source(node.path).units_of[node.name]
        return self._together(node.path, units, needs=[Node("statements", node.path)])

    def _of_module(self, node: Node) -> Facts:
        source = self.names.source(node.path)
        units = [unit for unit in source.units if not unit.is_script]
        needs = [Node("statements", node.path)]
        libraries: set[str] = set()
        for name in source.bound.imports:
            hits = self.names.resolve(node.path, references.Reference((name,)))
            needs.extend(hit.node for hit in hits if hit.node is not None and hit.node.kind == "name")
        for target in source.bound.loaded:
            libraries.add(self.names.loaded(target, node.path)[1])
        libraries.discard("")
        return self._together(node.path, units, needs=needs, libraries=libraries)

    def _of_statements(self, node: Node) -> Facts:
        """What importing the module runs: its own statements, its packages', and those of what it imports."""
        path, source = node.path, self.names.source(node.path)
        units = [unit for unit in source.units if unit.acts or self._registration.is_call(path, unit)]
        needs = [Node("statements", package) for package in self.finder.packages_of(path)]
        libraries: set[str] = set()
        for target in source.bound.loaded:
            paths, library = self.names.loaded(target, path)
            needs.extend(Node("statements", loaded) for loaded in paths)
            if library and self._is_for_effect(source, target):
                libraries.add(library)
        for chain in source.patched:
            hits = self.names.resolve(path, references.Reference(chain, is_store=True))
            needs.extend(hit.node for hit in hits if hit.node is not None and hit.node.kind == "module")
        if self._registration.is_registering(path):
            needs.append(Node("module", path))
        facts = self._together(path, units, needs=needs, libraries=libraries)
        return facts if units else Facts(None, facts.needs, facts.libraries)

    def _is_for_effect(self, source: sources.Source, target: Import) -> bool:
        """Whether nothing in the module uses what a top-level import binds: then it is there for what it does."""
        if target in source.bound.stars:
            return True
        top = target.module.partition(".")[0]
        bound = [
            name
            for name, targets in source.bound.imports.items()
            if target in targets or Import(top) in targets
        ]
        return source.mentioned.isdisjoint(bound)

    def _together(
        self,
        path: Path,
        units: Iterable[sources.Unit],
        *,
        needs: Iterable[Node],
        libraries: Iterable[str] = (),
    ) -> Facts:
        found = [self.of_unit(path, unit) for unit in units]
        all_needs = dict.fromkeys([*needs, *(need for facts in found for need in facts.needs)])
        all_libraries = {*libraries, *(library for facts in found for library in facts.libraries)} - {""}
        digest = digests.of_bytes("\n".join(facts.digest or "" for facts in found).encode())
        return Facts(digest, tuple(all_needs), frozenset(all_libraries))

    def _look_at(self, path: Path, unit: sources.Unit) -> Facts:
        found = references.of_code([unit.node])
        dropped = self._dropped(path, found.options)
        omit = {id(node) for index in dropped for node in found.options[index].nodes}
        needs: dict[Node, None] = {}
        libraries: set[str] = set()
        links: set[str] = set()
        for reference, group in found.references:
            if group in dropped:
                continue
            for hit in self.names.resolve(path, reference):
                target = hit.library if hit.node is None else self.label(hit.node)
                links.add(f"{'.'.join(reference.chain)}={target}")
                if hit.node is None:
                    libraries.add(hit.library.partition(".")[0])
                else:
                    needs[hit.node] = None
        exact = [dynamic.name for dynamic in found.dynamic_imports if dynamic.is_exact]
        for module in (*found.loaded, *(Import(name) for name in exact if not name.startswith("."))):
            paths, library = self.names.loaded(module, path)
            needs.update((Node("statements", loaded), None) for loaded in paths)
            libraries.add(library)
        needs.update(dict.fromkeys(self._unfollowed(path, found)))
        libraries.discard("")
        code = canonical.encode([unit.node], omit)
        data = len(code).to_bytes(8, "big") + code + "\n".join(sorted(links)).encode()
        return Facts(digests.of_bytes(data), tuple(needs), frozenset(libraries))

    def _dropped(self, path: Path, options: list[Options]) -> set[int]:
        """The groups of options that do not count: typedflow's own, and descriptions in schemas."""
        dropped: set[int] = set()
        for index, group in enumerate(options):
            hits = self.names.resolve(path, group.trigger)
            called = [hit.library for hit in hits if hit.node is None]
            if group.parent in dropped or (hits and len(called) == len(hits) and _is_ignored(group, called)):
                dropped.add(index)
        return dropped

    def _unfollowed(self, path: Path, found: Found) -> Iterable[Node]:
        """The whole modules that stand in for what can't be followed in a piece of code."""
        if found.is_dynamic or any(not dynamic.is_exact for dynamic in found.dynamic_imports):
            yield Node("module", path)
        for dynamic in found.dynamic_imports:
            stem = dynamic.name if dynamic.is_exact else dynamic.name.rpartition(".")[0]
            if not stem.strip("."):
                yield from (Node("module", neighbour) for neighbour in self.finder.neighbours(path))
                continue
            level = len(stem) - len(stem.lstrip("."))
            module = self.finder.module(Import(stem.lstrip("."), level), path)
            if isinstance(module, Path):
                modules = [module] if dynamic.is_exact and module.is_file() else self.finder.below(module)
                yield from (Node("module", file) for file in modules)


def _is_ignored(group: Options, called: list[str]) -> bool:
    tops = {name.partition(".")[0] for name in called}
    match group.kind:
        case "decorator":
            return tops <= OWN
        case "options":
            return tops <= OWN and all(name.rpartition(".")[2] in _ENTITY_DECORATORS for name in called)
        case "description":
            return tops <= _SCHEMA_LIBRARIES
