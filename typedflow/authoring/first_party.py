"""The author's modules that this process has loaded: which they are, and whether they are what their files say now.

A bundle and fingerprints are made from files, wiring from modules in memory. So before anything is made of them,
modules that differ from their files, or were loaded from another project's, give way to new ones.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import linecache
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

from typedflow.authoring import source

_known: dict[str, tuple[int, int]] = {}
"""The files that modules were loaded from, each with its time and size at that moment."""


def all_roots(roots: Sequence[Path]) -> tuple[Path, ...]:
    """These import roots, and those of the editable installs whose modules are loaded."""
    return (*roots, *(root for root in _editable() if root not in roots and any(_under(root))))


def modules(roots: Sequence[Path]) -> list[ModuleType]:
    """Modules that are loaded from under the roots."""
    return [module for root in roots for _, module in _under(root)]


@contextmanager
def fresh(roots: Sequence[Path]) -> Iterator[None]:
    """While it is open, importing gives what the files say now.

    When a module has changed since it was imported, all that are loaded from under the roots are imported anew, as
    each may hold on to parts of others. Nothing is, when nothing has changed. What nobody imports again stays as it
    was; when the block raises, all of them do.
    """
    began = time.time_ns()
    stale = {name: module for name, module in _python_modules() if not _is_current(str(module.__file__))}
    replaced = _outdated(roots, stale)
    for name, module in replaced.items():
        del sys.modules[name]
        if name in stale:
            # Python compares whole seconds, so the compiled file may pass for that of a source written just now.
            Path(importlib.util.cache_from_source(str(module.__file__))).unlink(missing_ok=True)
    linecache.checkcache()
    importlib.invalidate_caches()
    try:
        yield
    except BaseException:
        sys.modules.update(replaced)
        raise
    for name, module in replaced.items():
        if name not in sys.modules:
            _put_back(name, module)
    for name, module in _python_modules():
        if stale.get(name) is not module:
            _remember(str(module.__file__), began)


def _outdated(roots: Sequence[Path], stale: Mapping[str, ModuleType]) -> dict[str, ModuleType]:
    """What has to be imported anew: nothing, or all that is under the roots and what stands in its way."""
    displacing = {
        name: module
        for name, module in _python_modules()
        if not _is_under(str(module.__file__), roots)
        and any(_holds(root, name.partition(".")[0]) for root in roots)
    }
    if not stale and not displacing:
        return {}
    wide = all_roots(roots)
    if not displacing and not any(_is_under(str(module.__file__), wide) for module in stale.values()):
        return {}
    return displacing | {
        name: module for name, module in _python_modules() if _is_under(str(module.__file__), wide)
    }


def _python_modules() -> Iterator[tuple[str, ModuleType]]:
    """The author's modules that can be imported again."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if (
            isinstance(file, str)
            and file.endswith(".py")
            and name not in ("__main__", "__mp_main__")
            and source.is_authors(file)
        ):
            yield name, module


def _is_current(file: str) -> bool:
    """Whether a module is what its file says. Without a stamp it is, unless the file was written since we began."""
    found = _stamp(file)
    return found is not None and (found == _known[file] if file in _known else found[0] <= source.FIRST_NS)


def _holds(root: Path, top: str) -> bool:
    return (root / f"{top}.py").is_file() or (root / top / "__init__.py").is_file()


def _put_back(name: str, module: ModuleType) -> None:
    sys.modules[name] = module
    parent, _, attribute = name.rpartition(".")
    if parent in sys.modules and not hasattr(sys.modules[parent], attribute):
        setattr(sys.modules[parent], attribute, module)


def _remember(file: str, began: int) -> None:
    found = _stamp(file)
    if found is not None and found[0] <= began:  # else it was written while it was imported
        _known[file] = found


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _is_under(file: str, roots: Sequence[Path]) -> bool:
    return file.startswith(tuple(f"{root}{os.sep}" for root in roots)) and source.is_authors(file)


def _under(root: Path) -> Iterator[tuple[str, ModuleType]]:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and _is_under(file, [root]):
            yield name, module


@functools.cache
def _editable() -> tuple[Path, ...]:
    """Folders of projects that are installed editable, typedflow's own left out."""
    from importlib import metadata  # noqa: PLC0415 - brings email, zipfile and csv, and most definitions need none

    roots: list[Path] = []
    for distribution in metadata.distributions():
        text = distribution.read_text("direct_url.json")
        if not text or distribution.name == "typedflow":
            continue
        url = json.loads(text)
        if url.get("dir_info", {}).get("editable"):
            folder = Path(unquote(urlsplit(url["url"]).path))
            roots.extend(each for each in (folder / "src", folder) if each.is_dir())
    return tuple(roots)
