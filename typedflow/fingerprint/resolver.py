"""From a live function to its fingerprint: one project's tasks, each walked over one shared graph.

Reads files and installed versions; what it gives depends on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from typedflow import errors
from typedflow.dataplane import digests
from typedflow.fingerprint import environment, origins
from typedflow.fingerprint.finder import Finder
from typedflow.fingerprint.graph import Graph

_FORMAT = "typedflow fingerprint 1"


@dataclass(frozen=True, slots=True)
class Component:
    """One piece of what a fingerprint covers, such as `pipeline.helpers.scale`, `pipeline.conf:module` or
    `conf/a.yaml`, and the digest of it alone.
    """

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A task's code: `digest` over its sorted components, and the environment that it runs in, apart from it.

    `distributions` are names and versions of what the code imports, `python` the minor version; `environment` is the
    digest of both.
    """

    digest: str
    components: tuple[Component, ...]
    environment: str
    distributions: tuple[tuple[str, str], ...]
    python: str


def fingerprint(function: object, *, roots: Sequence[Path], depends_on: Sequence[object] = ()) -> Fingerprint:
    """The fingerprint of one function, as its files are now. For many, use one `Resolver`."""
    return Resolver(roots).fingerprint(function, depends_on=depends_on)


class Resolver:
    """Fingerprints the tasks of one project, looking at each module and definition once.

    It is a snapshot: a file that changes after it was first read is not read again. `roots` are the folders whose
    source is first-party.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._finder = Finder(roots)
        self._graph = Graph(self._finder)

    def fingerprint(self, function: object, *, depends_on: Sequence[object] = ()) -> Fingerprint:
        """The fingerprint of a function.

        Args:
            function: a function, or what wraps one and has `__wrapped__`.
            depends_on: functions, classes and modules that count too, and globs of files, relative to a root.

        Raises:
            DefinitionError: when its source is not under the roots, or it closes over what has no source; when a glob
                matches nothing.
            LoadError: when a module that it needs is not Python.
        """
        name, own = origins.of_function(function, self._graph)
        found = [own]
        files: list[tuple[str, str]] = []
        for dependency in depends_on:
            if isinstance(dependency, str | PurePath):
                files.extend(self._files(str(dependency)))
            else:
                found.append(origins.of_dependency(dependency, self._graph))
        reached = self._graph.walk(node for origin in found for node in origin.nodes)
        code = ((label, facts.digest) for label, facts in reached if facts.digest is not None)
        components = tuple(Component(*pair) for pair in sorted({*files, *code, *_values(name, found)}))
        libraries = {library for origin in found for library in origin.libraries}
        libraries.update(*(facts.libraries for _, facts in reached))
        versions = environment.distributions(libraries)
        python = environment.python_version()
        digest = _digest(name, components)
        return Fingerprint(digest, components, environment.digest(python, versions), versions, python)

    def _files(self, pattern: str) -> list[tuple[str, str]]:
        path = PurePosixPath(pattern)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise errors.DefinitionError(
                "a pattern in depends_on is relative to a root and stays below it",
                where=pattern,
                hint="write it like `conf/*.yaml`",
                code="Fingerprint",
            )
        found = [
            (file.relative_to(root).as_posix(), digests.of_file(file).digest)
            for root in self._finder.roots
            for file in root.glob(pattern)
            if file.is_file() and "__pycache__" not in file.parts
        ]
        if not found:
            raise errors.DefinitionError(
                "no file matches this pattern in depends_on",
                where=pattern,
                code="Fingerprint",
                hint=f"it is relative to {' or '.join(map(str, self._finder.roots))}",
            )
        return found


def _values(name: str, found: Iterable[origins.Origins]) -> Iterable[tuple[str, str]]:
    """Closed-over values, which no source shows."""
    values = [origin.values for origin in found if origin.values]
    if values:
        yield f"{name}:values", digests.of_bytes("\n".join(map(digests.of_bytes, values)).encode())


def _digest(name: str, components: Iterable[Component]) -> str:
    lines = [_FORMAT, name, *(f"{component.name} {component.digest}" for component in components)]
    return digests.of_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
