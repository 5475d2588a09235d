"""Values compared exactly: a text for each, equal only where nothing at all differs.

Imported by child processes and authors' tasks too, so that it imports no test library, and no library of frames.
"""

import collections.abc
import dataclasses
import datetime as dt
import decimal
import enum
import os
import struct
import zoneinfo
from pathlib import Path
from typing import Any


def same(a: object, b: object) -> bool:
    """Whether both are the same value of the same types, to the last bit."""
    return exact(a) == exact(b)


def checked(value: Any, expected: object) -> Any:
    """The value, which is exactly the other one; of an iterator, another that gives the same. Raises ValueError."""
    if isinstance(value, collections.abc.Iterator):
        given, expected = list(value), list(expected)  # type: ignore[call-overload]  # an iterator, too
        return iter(checked(given, expected))
    if not same(value, expected):
        raise ValueError(f"{exact(value)} is not {exact(expected)}")
    return value


def differences(values: dict[str, Any], expected: dict[str, object]) -> dict[str, str]:
    """What is wrong with each value that is not exactly the one expected under its name."""
    found: dict[str, str] = {}
    for name, value in values.items():
        try:
            checked(value, expected[name])
        except ValueError as error:
            found[name] = str(error)
    return found


def exact(value: object) -> str:
    """A value's types, bits, keys in their order and time zones."""
    return f"{type(value).__qualname__}:{_content(value)}"


def _content(value: Any) -> str:
    match value:
        case enum.Enum():
            return value.name
        case float():
            return struct.pack("<d", value).hex()
        case dt.datetime():
            return f"{value.replace(tzinfo=None).isoformat()} {value.fold} {value.utcoffset()} {_zone(value.tzinfo)}"
        case decimal.Decimal():
            return f"{value.as_tuple()}"
        case dict():
            return ", ".join(f"{exact(key)}={exact(each)}" for key, each in value.items()).join("{}")
        case list() | tuple():
            return ", ".join(map(exact, value)).join("[]")
        case os.PathLike():
            path = Path(value)
            inside = sorted(path.rglob("*")) if path.is_dir() else [path]
            return f"{path.name}{[_on_disk(each, path) for each in inside]}"
        case collections.abc.Iterator():
            return exact(list(value))
        case _ if type(value).__module__.partition(".")[0] in ("numpy", "pandas", "polars", "pyarrow"):
            return _table(value)
        case _ if dataclasses.is_dataclass(value):
            fields = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
            return ", ".join(f"{name}={exact(each)}" for name, each in fields).join("()")
        case _:
            return repr(value)


def _on_disk(path: Path, root: Path) -> tuple[str, bool, bytes | None]:
    executable = bool(path.stat().st_mode & 0o100)
    return str(path.relative_to(root)), executable, None if path.is_dir() else path.read_bytes()


def _table(value: Any) -> str:
    """Arrays and frames: their types, and every value."""
    match type(value).__module__.partition(".")[0]:
        case "numpy":
            return f"{value.dtype!r} {value.shape} {value.tobytes()!r}"
        case "pandas":
            columns = [
                repr(list(value[name])) for name in value
            ]  # UTC may be another class, of the same name
            return f"{value.dtypes.to_dict()} {value.index!r} {value.columns!r} {columns}"
        case "polars":
            return f"{value.schema} {exact(value.to_dict(as_series=False))}"
        case _:
            return f"{value.schema.remove_metadata()} {exact(value.to_pydict())}"


def _zone(zone: dt.tzinfo | None) -> str:
    return zone.key or "" if isinstance(zone, zoneinfo.ZoneInfo) else type(zone).__qualname__
