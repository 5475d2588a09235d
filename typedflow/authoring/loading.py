"""Authors' files as modules, imported under the names and from the folders that they have for their author.

Whatever an author's file does while it is imported becomes a LoadError that names file and line.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from typedflow import errors
from typedflow.authoring import source
from typedflow.fingerprint import names

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages", "build", "dist"})


@dataclass(frozen=True, slots=True)
class Loaded:
    """Modules that hold entities, and the import roots that they came from."""

    modules: tuple[ModuleType, ...]
    roots: tuple[Path, ...]


def load(paths: Sequence[str | Path]) -> Loaded:
    """Imports Python files, and the files under folders that mention typedflow.

    The import root of each goes to the front of `sys.path`.

    Raises:
        LoadError: a path is not there, is not Python, raises while it is imported, or has a name that is taken.
    """
    modules: dict[str, ModuleType] = {}
    roots: dict[Path, None] = {}
    for given in paths:
        path = Path(os.path.abspath(given))
        if not path.exists():
            raise errors.LoadError(
                f"there is no file or folder `{given}`", hint="give the path of a Python file or a folder"
            )
        root = root_of(path)
        if root not in roots:
            roots[root] = None
            _prepend(root)
        files = list(_files_of(path)) if path.is_dir() else [path]
        if not files:
            raise errors.LoadError(
                f"no Python file under `{given}` mentions typedflow", hint="give the folder of your pipelines"
            )
        for file in files:
            module = _import(file, root)
            modules[module.__name__] = module
    return Loaded(tuple(modules.values()), tuple(roots))


def root_of(path: Path) -> Path:
    """The folder from which a file, or the files of a folder, are imported."""
    path = Path(os.path.abspath(path))
    return names.import_root(path / "__init__.py" if path.is_dir() else path)


def _files_of(folder: Path) -> Iterator[Path]:
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
            if name.endswith(".py") and b"typedflow" in file.read_bytes():
                yield file


def _prepend(root: Path) -> None:
    entry = str(root)
    if sys.path[:1] != [entry]:
        sys.path[:] = [entry, *(each for each in sys.path if each != entry)]
        importlib.invalidate_caches()


def _import(file: Path, root: Path) -> ModuleType:
    shown = _shown(file)
    if file.suffix != ".py":
        raise errors.LoadError(
            f"`{shown}` is not a Python file", hint="give a file whose name ends in .py, or a folder"
        )
    name = names.module_name(file, [root])
    wrong = [part for part in name.split(".") if not part.isidentifier()]
    if wrong:
        raise errors.LoadError(
            f"`{shown}` can't be imported: `{wrong[0]}` is not a Python name",
            hint="use letters, digits and `_` in file names",
        )
    try:
        module = importlib.import_module(name)
    except errors.TypedflowError:
        raise
    except SyntaxError as error:
        place = f"{_shown(Path(error.filename))}:{error.lineno}" if error.filename else shown
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
    where = f"{_shown(Path(line.tb_frame.f_code.co_filename))}:{line.tb_lineno}" if line else _shown(file)
    return errors.LoadError(
        f"importing {_shown(file)} raised {type(error).__name__}: {error}",
        where=where,
        hint="files are imported to find their tasks; keep what only a script does under `if __name__ == '__main__':`",
    )


def _shown(file: Path) -> str:
    """Relative to the working folder where that is shorter."""
    relative = os.path.relpath(file)
    return str(file) if relative.startswith("..") else relative
