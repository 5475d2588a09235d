"""Columns that an annotation names by itself: `Annotated[pd.DataFrame, Columns(a=int)]`, or a pyarrow.Schema.

They are a frame's type in interfaces, and are held against every frame that is given or received. A dtype is the name
of a logical Arrow type, whichever library the frame is of.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin

from typedflow import errors, literal_types, spelling
from typedflow.pb import types_pb2
from typedflow.type_engine import alternatives, frame_digest
from typedflow.type_engine.registry import Marker

_PLAIN = {"bool": "bool", "int": "int64", "float": "double", "str": "string", "bytes": "binary"}
_SHORT = {
    **_PLAIN,
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float16": "halffloat",
    "float32": "float",
    "float64": "double",
    "date": "date32[day]",
    "date32": "date32[day]",
    "date64": "date64[ms]",
}
_NAMES = {"null", "halffloat", "double", "string", "binary", *_SHORT, *_SHORT.values()}
_WITH_PARAMETERS = re.compile(
    r"timestamp\[(s|ms|us|ns)(, tz=[^\[\]<>,]+)?\]|duration\[(s|ms|us|ns)\]|time32\[(s|ms)\]|time64\[(us|ns)\]"
    r"|decimal(32|64|128|256)\(\d+, -?\d+\)|fixed_size_binary\[\d+\]"
    r"|(dictionary|list|struct|map|extension)<.+>(\[\d+\])?"
)
_INSTEAD = {
    "datetime.datetime": '"timestamp[us, tz=UTC]", with the unit and the zone that it has',
    "datetime.date": '"date32[day]"',
    "datetime.time": '"time64[us]"',
    "datetime.timedelta": '"duration[us]"',
    "decimal.Decimal": '"decimal128(12, 2)", with its digits and those after the point',
}


class Columns(Marker):
    """The columns of a frame: `Annotated[pd.DataFrame, Columns(a=int, b=str | None, c="timestamp[us]")]`.

    A column is a Python type (`int`, `float`, `str`, `bool`, `bytes`), the name of an Arrow type, a scalar type of
    NumPy's, or `Any`; `| None` after it, inside the name too ("date32[day] | None"), where it may have nulls. Names
    that are no identifiers go into a mapping: `Columns({"mean radius": float})`.

    Args:
        strict: True: the frame has these columns and no other. "filter": a consumer reads these columns only.

    Raises:
        DefinitionError: a column is of no type that is known, or there is none.
    """

    def __init__(
        self,
        columns: Mapping[str, Any] | None = None,
        /,
        *,
        strict: bool | Literal["filter"] = False,
        **more: Any,
    ) -> None:
        given = {**(columns or {}), **more}
        if strict not in (True, False, "filter"):
            hint = 'strict is True, False or "filter"; a column of that name goes into a mapping'
            raise errors.DefinitionError(
                f"{strict!r} says nothing about columns", hint=hint, code="UnsupportedType"
            )
        if twice := sorted(set(columns or {}) & set(more)):
            raise errors.DefinitionError(f"there are several columns {twice[0]!r}", code="UnsupportedType")
        if not given and strict is not True:
            hint = "name them, as in Columns(a=int), or leave it out"
            raise errors.DefinitionError("Columns() names no columns", hint=hint, code="UnsupportedType")
        self.columns: tuple[types_pb2.Column, ...] = tuple(
            _column(name, spec) for name, spec in given.items()
        )
        self.strict = strict

    def wanted(self, names: Sequence[str]) -> list[str]:
        """Those of a frame's columns that are named here."""
        own = {column.name for column in self.columns}
        return [name for name in names if name in own]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Columns) and self._told() == other._told()

    def __hash__(self) -> int:
        return hash(self._told())

    def __repr__(self) -> str:
        told = ", ".join(
            f"{name!r}: {dtype + ' | None' * nullable!r}" for name, dtype, nullable in self._told()[1:]
        )
        return f"Columns({{{told}}}{f', strict={self.strict!r}' if self.strict else ''})"

    def _told(self) -> tuple[Any, ...]:
        return (self.strict, *((each.name, each.dtype, each.nullable) for each in self.columns))


def of_schema(schema: Any) -> Columns:
    """The columns of a pyarrow.Schema: exactly its fields' types; other columns are kept."""
    made = Columns.__new__(Columns)
    names = schema.names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise errors.DefinitionError(f"there are several columns {twice!r}", code="UnsupportedType")
    made.strict = False
    made.columns = tuple(
        types_pb2.Column(
            name=field.name, dtype=frame_digest.logical_type(field.type), nullable=field.nullable
        )
        for field in schema
    )
    return made


def misfits(actual: Sequence[types_pb2.Column], wanted: Columns, path: str) -> list[tuple[str, str]]:
    """All that keeps a frame of the actual columns from having those that are wanted: paths and messages."""
    given = {column.name: column for column in actual}
    problems = []
    for column in wanted.columns:
        found, where = given.get(column.name), f"{path}[{column.name!r}]"
        if found is None:
            near = spelling.nearest(column.name, given)
            problems.append((where, "the column is missing" + (f": did you mean `{near}`?" if near else "")))
        elif column.dtype not in ("", found.dtype):
            problems.append((where, f"expected a column of {column.dtype}, got one of {found.dtype}"))
        elif found.nullable and not column.nullable:
            problems.append(
                (where, f"expected no nulls: write `{column.dtype or 'Any'} | None` where they are meant")
            )
    if wanted.strict is True:
        own = {column.name for column in wanted.columns}
        problems += [
            (f"{path}[{name!r}]", "this column must not be there") for name in given if name not in own
        ]
    return problems


def frame_type(wanted: Columns) -> types_pb2.LiteralType:
    """The type that travels in interfaces."""
    return literal_types.frame(
        wanted.columns, strict=wanted.strict is True, filtered=wanted.strict == "filter"
    )


def _column(name: Any, spec: Any) -> types_pb2.Column:
    if not isinstance(name, str):
        raise errors.DefinitionError(
            f"a column's name is a string, not {name!r}",
            hint="df.columns = df.columns.map(str)",
            code="UnsupportedType",
        )
    nullable = spec is Any
    if get_origin(spec) in (Union, types.UnionType):
        inner = [each for each in get_args(spec) if each is not type(None)]
        if len(inner) != 1 or len(inner) == len(get_args(spec)):
            raise _unknown(name, spec, "a column has one type, and may have nulls: `int | None`")
        spec, nullable = inner[0], True
    elif isinstance(spec, str) and spec.endswith(" | None"):
        spec, nullable = spec.removesuffix(" | None"), True
    return types_pb2.Column(name=name, dtype=_dtype(name, spec), nullable=nullable)


def _dtype(name: str, spec: Any) -> str:
    if spec is Any:
        return ""
    if isinstance(spec, str):
        if spec in _NAMES or _WITH_PARAMETERS.fullmatch(spec):
            return _SHORT.get(spec, spec)
        near = spelling.nearest(spec, sorted(_NAMES))
        raise _unknown(
            name, spec, f"did you mean {near!r}?" if near else 'write it as Arrow does, as in "timestamp[us]"'
        )
    qualified = alternatives.qualified_name(spec)
    if qualified.startswith("builtins.") and spec.__name__ in _PLAIN:
        return _PLAIN[spec.__name__]
    if qualified.startswith("numpy.") and (dtype := _SHORT.get(spec.__name__.rstrip("_"))):
        return dtype
    if alternatives.qualified_name(type(spec)).startswith("pyarrow.lib."):
        return frame_digest.logical_type(spec)
    hint = (
        f"write {_INSTEAD[qualified]}"
        if qualified in _INSTEAD
        else 'name an Arrow type, as in "timestamp[us]"'
    )
    raise _unknown(name, spec, hint)


def _unknown(name: str, spec: Any, hint: str) -> errors.DefinitionError:
    message = f"column {name!r}: {alternatives.text(spec)} is no type of a column"
    return errors.DefinitionError(message, hint=hint, code="UnsupportedType")
