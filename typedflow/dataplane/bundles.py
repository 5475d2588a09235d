"""Code bundles: the author's own modules and their data files, as one reproducible archive named by its content.

The same files give the same bytes, wherever, whenever and by whom they are bundled. A bundle is a gzipped tar whose
digest is that of the tar; under `roots/<n>/` lie the files of each import root, and `bundle.json` lists the roots.
Secrets never get in (`.env`, keys, `.git`), and what comes out is checked before it is unpacked. Nothing here imports
or runs what it packs.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import secrets
import shutil
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType

from typedflow import errors
from typedflow.dataplane import digests

SIZE_LIMIT = 64 * 1024 * 1024
MANIFEST = "bundle.json"
_FORMAT = 1
_EXCLUDED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
_SECRET = re.compile(
    r"\.env.*|\.netrc|.*\.(pem|key|p12|pfx|jks|keystore)|id_(rsa|dsa|ecdsa|ed25519).*", re.IGNORECASE
)
_COMPILED = (".pyc", ".pyo")


@dataclass(frozen=True, slots=True)
class Bundle:
    """An archive of code: its digest, its bytes, the files in it with their sizes, and its import roots.

    `roots` are folders inside it, in the order in which they go on the import path.
    """

    digest: str
    data: bytes
    files: tuple[tuple[str, int], ...]
    roots: tuple[str, ...]


def build(
    modules: Iterable[ModuleType | Path], *, roots: Sequence[Path], include: Sequence[str] = ()
) -> Bundle:
    """Bundles modules with the data files of their packages.

    Args:
        modules: first-party modules, or their files; namespace packages and modules outside `roots` are left out.
        roots: the import roots. A module belongs to the innermost one that holds it.
        include: globs relative to each root, for what is in no package.

    Raises:
        BundleError: a root is the home folder or `/`, or everything together is over 64 MiB.
    """
    folders = [_checked_root(root) for root in roots]
    chosen: dict[str, Path] = {}
    for path in _files(modules, folders, include):
        index = _root_of(path, folders)
        if index is not None and path.is_file() and _is_wanted(path.relative_to(folders[index])):
            if _SECRET.fullmatch(path.resolve().name):  # a link to a secret is one
                continue
            chosen[f"roots/{index}/{path.relative_to(folders[index]).as_posix()}"] = path
    sizes = sorted((name, path.stat().st_size) for name, path in chosen.items())
    _check_size(sizes)
    inner = tuple(f"roots/{index}" for index in range(len(folders)))
    manifest = json.dumps({"format": _FORMAT, "roots": inner}, separators=(",", ":"), sort_keys=True).encode()
    archive = _archive([(MANIFEST, manifest, False), *((name, *_read(chosen[name])) for name, _ in sizes)])
    return Bundle(
        digests.of_bytes(archive), gzip.compress(archive, compresslevel=6, mtime=0), tuple(sizes), inner
    )


def unpack(data: bytes, digest: str, destination: Path) -> tuple[Path, ...]:
    """Unpacks a bundle below `destination`, in a folder named by its digest; gives its import roots.

    What is there already is used as it is. Any number of processes may unpack the same bundle at once.

    Raises:
        IntegrityError: the bytes are not the bundle that `digest` names.
        BundleError: it holds something that a bundle can't: a link, a device, a path that leads out of it.
    """
    if not digests.is_digest(digest):
        raise errors.BundleError(f"`{digest}` is not a digest", hint="a digest is `b3:` and 64 hex digits")
    folder = destination / digest.removeprefix(digests.PREFIX)
    if not folder.is_dir():
        archive = _checked_archive(data, digest)
        destination.mkdir(parents=True, exist_ok=True)
        temporary = destination / f".{secrets.token_hex(16)}"
        try:
            _extract(archive, temporary)
            _roots_in(temporary)
            _publish(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return _roots_in(folder)


def check(data: bytes, digest: str) -> None:
    """Checks that `data` is the bundle that `digest` names.

    Raises:
        IntegrityError: it is not.
        BundleError: it holds more than is allowed.
    """
    _checked_archive(data, digest)


def _files(
    modules: Iterable[ModuleType | Path], roots: Sequence[Path], include: Sequence[str]
) -> Iterator[Path]:
    packages: dict[Path, None] = {}
    for module in modules:
        file = module if isinstance(module, Path) else getattr(module, "__file__", None)
        if file is None:
            continue
        path = Path(os.path.abspath(file))
        if path.suffix in _COMPILED:
            continue
        yield path
        folder = path.parent
        while (
            (folder / "__init__.py").is_file()
            and _root_of(folder, roots) is not None
            and folder not in packages
        ):
            packages[folder] = None
            folder = folder.parent
    for package in packages:
        yield package / "__init__.py"
        yield from _data_files(package)
    for pattern in include:
        yield from _included(pattern, roots)


def _data_files(package: Path) -> Iterator[Path]:
    """The files of a package's folder that are not Python, and of its folders that are not packages themselves."""
    for entry in os.scandir(package):
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            if (
                entry.name not in _EXCLUDED_FOLDERS
                and not entry.name.startswith(".")
                and not (path / "__init__.py").exists()
            ):
                yield from _data_files(path)
        elif entry.is_file() and path.suffix not in (".py", *_COMPILED):
            yield path


def _included(pattern: str, roots: Sequence[Path]) -> list[Path]:
    path = PurePosixPath(pattern)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise errors.BundleError(
            "a pattern in include is relative to a root and stays below it", where=pattern
        )
    found = [file for root in roots for file in root.glob(pattern)]
    if not found:
        raise errors.BundleError(
            "no file matches this pattern in include",
            where=pattern,
            hint=f"it is relative to {' or '.join(map(str, roots))}",
        )
    folders = [file for file in found if file.is_dir()]
    return [*found, *(file for folder in folders for file in folder.rglob("*"))]


def _is_wanted(path: Path) -> bool:
    """Whether a file, given relative to its root, may be in a bundle. What is hidden or secret never is."""
    folders = path.parts[:-1]
    if any(part in _EXCLUDED_FOLDERS or part.startswith(".") for part in folders):
        return False
    return not (path.name.startswith(".git") or _SECRET.fullmatch(path.name) or path.suffix in _COMPILED)


def _root_of(path: Path, roots: Sequence[Path]) -> int | None:
    holding = [(len(root.parts), -index) for index, root in enumerate(roots) if path.is_relative_to(root)]
    return -max(holding)[1] if holding else None


def _checked_root(root: Path) -> Path:
    path = Path(os.path.abspath(root))
    if path in (Path("/"), Path.home()) or path == Path(path.anchor):
        raise errors.BundleError(
            "this folder is not a project: it would put private files in the bundle",
            where=str(path),
            hint="move the code to a folder of its own",
        )
    if not path.is_dir():
        raise errors.BundleError("there is no such folder", where=str(path))
    return path


def _check_size(sizes: Sequence[tuple[str, int]]) -> None:
    total = sum(size for _, size in sizes)
    if total <= SIZE_LIMIT:
        return
    largest = sorted(sizes, key=lambda item: (-item[1], item[0]))[:10]
    lines = "".join(f"\n    {size / 2**20:8.1f} MiB  {name.split('/', 2)[2]}" for name, size in largest)
    limit = SIZE_LIMIT // 2**20
    raise errors.BundleError(
        f"the code bundle is {total / 2**20:.1f} MiB, more than {limit} MiB; the largest files are:{lines}",
        hint="keep data out of the packages' folders and pass it to tasks as File inputs",
        code="BundleTooLarge",
    )


def _read(path: Path) -> tuple[bytes, bool]:
    try:
        with path.open("rb") as file:
            return file.read(), bool(os.fstat(file.fileno()).st_mode & 0o100)
    except OSError as error:
        raise errors.BundleError(
            f"can't read a file of the bundle: {error.strerror}", where=str(path)
        ) from None


def _archive(entries: Iterable[tuple[str, bytes, bool]]) -> bytes:
    """A tar of (name, content, executable), which depends on nothing else."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content, is_executable in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755 if is_executable else 0o644
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _checked_archive(data: bytes, digest: str) -> bytes:
    """The tar in a bundle's bytes. Reads no more than a bundle can hold, however far the bytes would expand."""
    limit = SIZE_LIMIT + SIZE_LIMIT // 4
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            archive = file.read(limit + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise errors.IntegrityError(f"the bundle is damaged: {error}", where=digest) from None
    if len(archive) > limit:
        raise errors.BundleError(
            f"the bundle holds more than {SIZE_LIMIT // 2**20} MiB", where=digest, code="BundleTooLarge"
        )
    found = digests.of_bytes(archive)
    if found != digest:
        raise errors.IntegrityError(
            f"the bundle is not what its name says: its bytes are {found}",
            where=digest,
            hint="register again",
        )
    return archive


def _extract(archive: bytes, folder: Path) -> None:
    folder.mkdir()
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if (
                    not member.isreg()
                    or path.is_absolute()
                    or ".." in path.parts
                    or "\\" in member.name
                    or not path.parts
                ):
                    raise errors.BundleError(
                        "the bundle holds something other than a file below its folder",
                        where=member.name,
                        hint="it was not made by typedflow",
                    )
                target = folder.joinpath(*path.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                with target.open("xb") as file:
                    file.write(content.read() if content is not None else b"")
                target.chmod(0o755 if member.mode & 0o100 else 0o644)
    except tarfile.TarError as error:
        raise errors.BundleError(f"not a bundle: {error}") from None
    except FileExistsError as error:
        raise errors.BundleError("the bundle holds a file twice", where=str(error.filename)) from None
    except NotADirectoryError as error:
        raise errors.BundleError("the bundle holds a file inside a file", where=str(error.filename)) from None


def _publish(temporary: Path, folder: Path) -> None:
    """Gives an unpacked bundle its name. Whoever comes second finds the same content and drops its own."""
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


def _roots_in(folder: Path) -> tuple[Path, ...]:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        names = manifest["roots"]
        is_valid = manifest["format"] == _FORMAT and all(re.fullmatch(r"roots/\d+", name) for name in names)
    except (OSError, ValueError, KeyError, TypeError):
        is_valid, names = False, []
    if not is_valid:
        raise errors.BundleError(
            f"not a bundle that this version can read: its {MANIFEST} is missing or of another format",
            where=str(folder),
            hint="upgrade typedflow where it is unpacked, or register again",
        )
    return tuple(folder / name for name in names)
