"""What a module is called: its dotted path under its import root, whatever name it was loaded by.

A file that is run as `__main__`, imported by pytest under a name of pytest's, or imported as part of its package
has one name here, because only its place in the file system is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def import_root(module_file: Path) -> Path:
    """The folder that has to be on the import path for this file: its first ancestor without `__init__.py`."""
    folder = Path(os.path.abspath(module_file)).parent
    while (folder / "__init__.py").is_file() and folder != folder.parent:
        folder = folder.parent
    return folder


def module_name(file: Path, roots: Iterable[Path] = ()) -> str:
    """The dotted name of a module's file under the innermost of `roots` that holds it, else under its import root."""
    path = Path(os.path.abspath(file))
    root = innermost(path, roots) or import_root(path)
    parts = path.relative_to(root).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1] or (root.name,)
    return ".".join(parts)


def innermost(path: Path, roots: Iterable[Path]) -> Path | None:
    """The deepest of `roots` that holds `path`; None if none does."""
    holding = [root for root in map(_absolute, roots) if path.is_relative_to(root)]
    return max(holding, key=lambda root: len(root.parts), default=None)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))
