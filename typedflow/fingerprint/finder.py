"""Where the modules of an import statement are: first-party source files, or libraries.

First-party is what lies under the roots, however it is put on the import path (a root itself, the folder of a script,
an editable install), except what is installed there by a package manager. Looks at the file system; imports nothing.
"""

from __future__ import annotations

import importlib.machinery
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from typedflow.fingerprint import names
from typedflow.fingerprint.bindings import Import

OWN = frozenset({"typedflow", "typedflow_admin", "typedflow_propeller"})
_INSTALLED = frozenset({"site-packages", "dist-packages", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Library:
    """A module that is not first-party, by its dotted name."""

    name: str

    @property
    def top(self) -> str:
        """The top-level module."""
        return self.name.partition(".")[0]


class Finder:
    """Finds modules for one set of roots. What it has found it remembers."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(dict.fromkeys(Path(os.path.abspath(root)) for root in roots))
        self._standard = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
        on_path = (Path(os.path.abspath(entry)) for entry in sys.path if entry)
        self._path = tuple(dict.fromkeys([*self.roots, *filter(self.is_first_party, on_path)]))
        self._found: dict[tuple[Path, str], Path | Library] = {}
        self._names: dict[Path, str] = {}

    def is_first_party(self, path: Path) -> bool:
        """Whether a file or folder lies under a root, and is not installed there."""
        if any(path.is_relative_to(folder) for folder in self._standard):
            return False
        root = names.innermost(path, self.roots)
        return root is not None and not _INSTALLED.intersection(path.relative_to(root).parts)

    def first_party_file(self, filename: str) -> Path | None:
        """The path of a source file, as seen from the roots; None if it is not first-party."""
        path = Path(os.path.abspath(filename))
        if self.is_first_party(path) and path.is_file():
            return path
        # A root or a folder above it may be a symbolic link, or the file may be known by where a link leads.
        real = Path(os.path.realpath(filename))
        for root in self.roots:
            real_root = Path(os.path.realpath(root))
            if real.is_relative_to(real_root):
                path = root / real.relative_to(real_root)
                return path if self.is_first_party(path) and path.is_file() else None
        return None

    def name_of(self, path: Path) -> str:
        """The dotted name of a first-party module file or namespace folder."""
        if path not in self._names:
            self._names[path] = names.module_name(path / "__init__.py" if path.is_dir() else path, self.roots)
        return self._names[path]

    def module(self, target: Import, importer: Path) -> Path | Library:
        """The module that an import names (not its attribute): a file, a namespace package's folder, or a library."""
        if target.level:
            folder = importer.parent
            for _ in range(target.level - 1):
                folder = folder.parent
            parts = target.module.split(".") if target.module else []
            return _descend(folder, parts) or Library(".".join(["?", *parts]))
        key = (importer.parent, target.module)
        if key not in self._found:
            self._found[key] = self._absolute(target.module, importer)
        return self._found[key]

    def submodule(self, package: Path, name: str) -> Path | None:
        """The module `name` of a package, given as its `__init__.py` or its folder; None if there is none."""
        if package.name == "__init__.py":
            return _module_in(package.parent, name)
        return _module_in(package, name) if package.is_dir() else None

    def packages_of(self, path: Path) -> Iterator[Path]:
        """The `__init__.py` of every package that a module is in, which importing it runs first."""
        folder = path.parent.parent if path.name == "__init__.py" else path.parent
        while (init := folder / "__init__.py").is_file() and self.is_first_party(init):
            yield init
            folder = folder.parent

    def below(self, package: Path) -> Iterator[Path]:
        """Every module of a package (an `__init__.py` or a folder), in order; of a plain module, itself."""
        if package.is_file() and package.name != "__init__.py":
            yield package
            return
        folder = package if package.is_dir() else package.parent
        yield from sorted(path for path in folder.rglob("*.py") if self.is_first_party(path))

    def neighbours(self, path: Path) -> Iterator[Path]:
        """What a module may import by a name that it makes: its top package's modules, or those beside a script."""
        packages = list(self.packages_of(path))
        if path.name == "__init__.py":
            packages.insert(0, path)
        if packages:
            yield from self.below(packages[-1])
        else:
            yield from sorted(path.parent.glob("*.py"))

    def _absolute(self, name: str, importer: Path) -> Path | Library:
        parts = name.split(".")
        if parts[0] in OWN or parts[0] in sys.builtin_module_names:
            return Library(name)
        # A folder without `__init__.py` is a package only if no other place has a module of that name.
        namespace: Path | None = None
        for folder in self._folders(importer):
            found = _descend(folder, parts)
            if found is not None and found.is_file() and self.is_first_party(found):
                return found
            namespace = namespace or found
        if (loaded := self._loaded(parts)) is not None:
            return loaded
        if namespace is not None and self.is_first_party(namespace) and not _is_installed(parts[0]):
            return namespace
        return Library(name)

    def _folders(self, importer: Path) -> Iterator[Path]:
        yield names.import_root(importer)
        yield from self._path

    def _loaded(self, parts: list[str]) -> Path | None:
        """An editable install may put a package on no path at all: then the loaded module says where it is."""
        file = getattr(sys.modules.get(parts[0]), "__file__", None)
        top = self.first_party_file(file) if file else None
        if top is None or top.suffix != ".py":
            return None
        return _descend(top.parent, parts[1:]) if top.name == "__init__.py" else top


def _is_installed(top: str) -> bool:
    """Whether a regular module of this name is on the import path: it wins over a folder without `__init__.py`."""
    try:
        spec = importlib.machinery.PathFinder.find_spec(top)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


def _descend(folder: Path, parts: list[str]) -> Path | None:
    """The module that `parts` lead to from a folder; from no parts, the package that the folder is."""
    current = folder
    for index, part in enumerate(parts):
        found = _module_in(current, part)
        if found is None or (found.is_file() and found.name != "__init__.py" and index < len(parts) - 1):
            return None
        current = found.parent if found.name == "__init__.py" else found
    init = current / "__init__.py"
    return init if init.is_file() else current


def _module_in(folder: Path, name: str) -> Path | None:
    for candidate in (folder / name / "__init__.py", folder / f"{name}.py"):
        if candidate.is_file():
            return candidate
    directory = folder / name
    return directory if directory.is_dir() and not _INSTALLED.intersection((name,)) else None
