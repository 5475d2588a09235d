"""Values compared exactly: a text for each, equal only where nothing at all differs.

Imported by child processes too, so that it imports no test library.
"""

import dataclasses
import datetime as dt
import decimal
import enum
import struct
import zoneinfo


def same(a: object, b: object) -> bool:
    """Whether both are the same value of the same types, to the last bit."""
    return exact(a) == exact(b)


def exact(value: object) -> str:
    """A value's types, bits, keys in their order and time zones."""
    return f"{type(value).__qualname__}:{_content(value)}"


def _content(value: object) -> str:
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
        case _ if dataclasses.is_dataclass(value):
            fields = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
            return ", ".join(f"{name}={exact(each)}" for name, each in fields).join("()")
        case _:
            return repr(value)


def _zone(zone: dt.tzinfo | None) -> str:
    return zone.key or "" if isinstance(zone, zoneinfo.ZoneInfo) else type(zone).__qualname__
