"""The libraries that code runs with: the Python minor version and the versions of the distributions it imports."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterable, Sequence

from typedflow.dataplane import digests
from typedflow.fingerprint.finder import OWN

ABSENT = "absent"


def python_version() -> str:
    """The running Python's minor version, as in "3.11"."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def distributions(modules: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Name and version of each distribution that provides one of the top-level modules, sorted.

    The standard library and typedflow itself are left out. A module that no distribution provides stands for itself
    with the version "absent": installing it later changes what the code does.
    """
    tops = sorted({*modules} - OWN - sys.stdlib_module_names - {"?"})
    if not tops:
        return ()
    found: dict[str, str] = {}
    for top in tops:
        for name in _providers().get(top) or (top,):
            found[_normalised(name)] = _version(name)
    return tuple(sorted(found.items()))


def digest(python: str, versions: Sequence[tuple[str, str]]) -> str:
    """The digest of an environment."""
    return digests.of_bytes(
        "".join(f"{name}=={version}\n" for name, version in [("python", python), *versions]).encode()
    )


@functools.cache
def _providers() -> dict[str, list[str]]:
    import importlib.metadata  # noqa: PLC0415  # takes 10 ms, and only cached tasks need it

    return {
        module: sorted(set(names)) for module, names in importlib.metadata.packages_distributions().items()
    }


@functools.cache
def _version(name: str) -> str:
    import importlib.metadata  # noqa: PLC0415

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ABSENT


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
