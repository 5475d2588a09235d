"""Authors' files as modules, imported under the names and from the folders that they have for their author.

Whatever an author's file does while it is imported becomes a LoadError that names file and line.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from typedflow import errors, spelling
from typedflow.authoring import first_party, source
from typedflow.fingerprint import names

_SKIPPED = frozenset(
    {"__pycache__", "node_modules", "site-packages", "dist-packages", "build", "dist", "tests"}
)
_AS_SCRIPT = (
    "files are imported to find their tasks; keep what only a script does under `if __name__ == '__main__':`"
)
_MISCALLED = re.compile(
    r"(?P<name>\w+)(\.__\w+__)?\(\) "
    r"(got an unexpected keyword argument '(?P<argument>\w+)'|missing \d+ required|takes .* (was|were) given)"
)
_NO_PIPELINE = re.compile(r"(conftest|setup|noxfile|test_.*|.*_test)\.py")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Modules that hold entities, and the import roots that they came from."""

    modules: tuple[ModuleType, ...]
    roots: tuple[Path, ...]


class _SomeFailed(Exception):
    """Files could not be imported, so what was loaded before stays."""


def load(paths: Sequence[str | Path], failures: list[errors.TypedflowError]) -> Loaded:
    """Imports Python files, and the files under folders that mention typedflow; tests only when they are named.

    The import roots go to the front of `sys.path`. What was loaded before and has changed since is imported anew.

    Args:
        paths: of files and folders.
        failures: gets what is wrong with each file that is not Python, raises while it is imported, or has a name
            that is taken.

    Raises:
        LoadError: a path is not there.
    """
    files = list(_files(paths))
    roots = tuple(dict.fromkeys(map(root_of, files)))
    modules: dict[ModuleType, None] = {}
    _put_first(roots)
    with contextlib.suppress(_SomeFailed), first_party.fresh(roots):
        for file in files:
            try:
                modules[_import(file)] = None
            except errors.TypedflowError as error:
                failures.append(error)
        if failures:
            raise _SomeFailed
    return Loaded(tuple(modules), roots)


def roots_of(paths: Sequence[str | Path]) -> tuple[Path, ...]:
    """The folders from which `load` imports these files and folders."""
    return tuple(dict.fromkeys(map(root_of, _files(paths))))


def root_of(file: Path) -> Path:
    """The folder from which a file is imported."""
    return names.import_root(file)


def _files(paths: Sequence[str | Path]) -> Iterator[Path]:
    for given in paths:
        path = Path(os.path.abspath(given))
        if not path.exists():
            raise errors.LoadError(
                f"there is no file or folder `{given}`", hint="give the path of a Python file or a folder"
            )
        if not path.is_dir():
            yield path
            continue
        file = None
        for file in _files_below(path):
            yield file
        if file is None:
            raise errors.LoadError(
                f"no Python file under `{given}` mentions typedflow", hint="give the folder of your pipelines"
            )


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED
            and not name.startswith(".")
            and not Path(parent, name, "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            file = Path(parent, name)
            if name.endswith(".py") and not _NO_PIPELINE.fullmatch(name) and _mentions_typedflow(file):
                yield file


def _mentions_typedflow(file: Path) -> bool:
    try:
        return b"typedflow" in file.read_bytes()
    except OSError:  # a link to nowhere, or not ours to read: it can't be imported either
        return False


def _put_first(roots: Sequence[Path]) -> None:
    entries = [str(root) for root in roots]
    if sys.path[: len(entries)] != entries:
        sys.path[:] = [*entries, *(each for each in sys.path if each not in entries)]
        importlib.invalidate_caches()


def _import(file: Path) -> ModuleType:
    shown = _shown(file)
    if file.suffix != ".py":
        raise errors.LoadError(
            f"`{shown}` is not a Python file", hint="give a file whose name ends in .py, or a folder"
        )
    name = names.module_name(file)
    wrong = [part for part in name.split(".") if not part.isidentifier()]
    if wrong:
        raise errors.LoadError(
            f"`{shown}` can't be imported: `{wrong[0]}` is not a Python name",
            hint="use letters, digits and `_` in file names",
        )
    try:
        module = importlib.import_module(name)
    except (errors.DefinitionError, errors.CompileError, errors.LoadError):
        raise  # they name the author's line themselves
    except SyntaxError as error:
        parts = [_shown(Path(error.filename)), error.lineno, error.offset] if error.filename else [shown]
        place = ":".join(str(each) for each in parts if each)
        raise errors.LoadError(
            f"this is not Python: {error.msg}", where=place, hint="correct the syntax"
        ) from error
    except (Exception, SystemExit) as error:
        raise _raised(error, file) from error
    found = getattr(module, "__file__", None)
    if found is None or os.path.abspath(found) != str(file):
        raise errors.LoadError(
            f"`{shown}` would be module `{name}`, but that name belongs to {found or 'a built-in module'}",
            hint="rename the file, or put it in a package",
        )
    return module


def _raised(error: BaseException, file: Path) -> errors.LoadError:
    line = source.raised_at(error)
    where = _shown(file)
    if line:
        found = source.position(line)
        where = f"{_shown(Path(line.tb_frame.f_code.co_filename))}:{line.tb_lineno}"
        where += f":{found.column}" if found.column else ""
    return errors.LoadError(
        f"importing {_shown(file)} raised {type(error).__name__}: {error}",
        where=where,
        hint=_hint(error, file),
    )


def _hint(error: BaseException, file: Path) -> str:
    if isinstance(error, ModuleNotFoundError):
        root, first = root_of(file), (error.name or "").partition(".")[0]
        beside = root.parent / first
        if first and (beside.with_suffix(".py").is_file() or (beside / "__init__.py").is_file()):
            return f"put an `__init__.py` into `{_shown(root)}`: as a package it finds `{first}`, which is beside it"
        return f"install what provides `{error.name}` in this environment, or correct the name"
    if isinstance(error, ImportError):
        return "correct the name; modules that import each other may find each other half made"
    if isinstance(error, TypeError) and (called := _MISCALLED.match(str(error))):
        return _how_to_call(called["name"], called["argument"]) or _AS_SCRIPT
    return _AS_SCRIPT


def _how_to_call(name: str, argument: str | None) -> str:
    """What one of our own takes, where an author has called it with something else; empty: it is none of ours."""
    public = sys.modules["typedflow"]  # as the author's file sees it: no room imports the whole house
    if name not in public.__all__:
        return ""
    near = argument and spelling.nearest(argument, inspect.signature(getattr(public, name)).parameters)
    return f"did you mean `{near}`?" if near else f"`help(typedflow.{name})` says what it takes"


def _shown(file: Path) -> str:
    """Relative to the working folder where that is shorter."""
    relative = os.path.relpath(file)
    return str(file) if relative.startswith("..") else relative
