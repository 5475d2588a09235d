"""None, bool, int, float, str and datetime.

A value converts when its exact type says so, or when it is a NumPy scalar of the same kind and the same value. Nothing
is rounded, parsed or guessed, and bool is not int. NumPy itself is never imported here.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Sequence
from typing import Any

from typedflow import errors, literal_types, literals
from typedflow.pb import literals_pb2
from typedflow.type_engine import conversion
from typedflow.type_engine.conversion import Place
from typedflow.type_engine.data import Data

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_LEAST, _MOST = -(2**63), 2**63 - 1


class NoneConverter(conversion.Converter):
    """None."""

    type = literal_types.NONE

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        if value is not None:
            raise conversion.misfit(path, self.type, value)
        return literals.from_none()

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> None:
        if literal.WhichOneof("value") != "none":
            raise conversion.mismatch(path, self.type, literal)

    def is_exact(self, value: Any) -> bool:
        return value is None


class BoolConverter(conversion.Converter):
    """True and False, not 1 and 0."""

    type = literal_types.BOOL

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        return literals_pb2.Literal(boolean=value if type(value) is bool else self._native(value, path))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> bool:
        if literal.WhichOneof("value") != "boolean":
            raise conversion.mismatch(path, self.type, literal)
        return literal.boolean

    def is_exact(self, value: Any) -> bool:
        return type(value) is bool

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        if set(map(type, values)) != {bool}:
            values = [self._native(value, place(i)) for i, value in enumerate(values)]
        return literals_pb2.List(booleans=literals_pb2.Booleans(values=values))

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") == "booleans":
            return list(column.booleans.values)
        return super().from_column(column, place, data)

    def _native(self, value: Any, path: str) -> bool:
        if type(value) is bool or _is_numpy(value, "bool_"):
            return bool(value)
        raise conversion.misfit(path, self.type, value)


class IntConverter(conversion.Converter):
    """Integers of 64 bits, signed."""

    type = literal_types.INT

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        try:
            return literals_pb2.Literal(integer=value if type(value) is int else self._native(value, path))
        except ValueError as error:
            if isinstance(error, errors.ConversionError):
                raise
            raise self._out_of_range(path, value) from None

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> int:
        if literal.WhichOneof("value") != "integer":
            raise conversion.mismatch(path, self.type, literal)
        return literal.integer

    def is_exact(self, value: Any) -> bool:
        return type(value) is int

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        if set(map(type, values)) != {int}:
            values = [self._native(value, place(i)) for i, value in enumerate(values)]
        try:
            return literals_pb2.List(integers=literals_pb2.Integers(values=values))
        except ValueError:
            i = next(i for i, value in enumerate(values) if not _LEAST <= value <= _MOST)
            raise self._out_of_range(place(i), values[i]) from None

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") == "integers":
            return list(column.integers.values)
        return super().from_column(column, place, data)

    def _native(self, value: Any, path: str) -> int:
        # NumPy's timedelta64 is one of its integers.
        if type(value) is int or (_is_numpy(value, "integer") and not _is_numpy(value, "timedelta64")):
            return int(value)
        hint = ""
        if isinstance(value, bool):
            hint = "bool is not int: write int(...) where that is meant"
        elif isinstance(value, float) and value.is_integer():
            hint = "write int(...) where a whole number is meant"
        raise conversion.misfit(path, self.type, value, hint=hint)

    def _out_of_range(self, path: str, value: Any) -> errors.ConversionError:
        return conversion.misfit(
            path, self.type, value, "it does not fit 64 bits", "use str for larger integers"
        )


class FloatConverter(conversion.Converter):
    """Floating point of 64 bits: NaN, infinities and -0.0 too. An int is taken when it is exact as a float."""

    type = literal_types.FLOAT

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        return literals_pb2.Literal(float=value if type(value) is float else self._native(value, path))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> float:
        if literal.WhichOneof("value") != "float":
            raise conversion.mismatch(path, self.type, literal)
        return literal.float

    def is_exact(self, value: Any) -> bool:
        return type(value) is float

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        if set(map(type, values)) != {float}:
            values = [self._native(value, place(i)) for i, value in enumerate(values)]
        return literals_pb2.List(floats=literals_pb2.Floats(values=values))

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") == "floats":
            return list(column.floats.values)
        return super().from_column(column, place, data)

    def _native(self, value: Any, path: str) -> float:
        if type(value) is float:
            return value
        if _is_numpy(value, "floating"):
            native = value.item()
            if type(native) is not float:  # longdouble stays what it is
                native = float(value)
            if native == value or value != value:  # noqa: PLR0124 - NaN
                return float(native)
        elif type(value) is int or (_is_numpy(value, "integer") and not _is_numpy(value, "timedelta64")):
            whole = int(value)
            try:
                if float(whole) == whole:
                    return float(whole)
            except OverflowError:
                pass
            raise conversion.misfit(path, self.type, value, "this integer has no exact float")
        raise conversion.misfit(path, self.type, value)


class StringConverter(conversion.Converter):
    """Text, as Unicode that can be encoded."""

    type = literal_types.STRING

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        native = value if type(value) is str else self._native(value, path)
        try:
            return literals_pb2.Literal(string=native)
        except UnicodeEncodeError:
            raise self._surrogates(path, value) from None

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> str:
        if literal.WhichOneof("value") != "string":
            raise conversion.mismatch(path, self.type, literal)
        return literal.string

    def is_exact(self, value: Any) -> bool:
        return type(value) is str

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        if set(map(type, values)) != {str}:
            values = [self._native(value, place(i)) for i, value in enumerate(values)]
        try:
            return literals_pb2.List(strings=literals_pb2.Strings(values=values))
        except UnicodeEncodeError:
            for i, value in enumerate(values):
                self.to_literal(value, place(i), data)
            raise

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") == "strings":
            return list(column.strings.values)
        return super().from_column(column, place, data)

    def _native(self, value: Any, path: str) -> str:
        if type(value) is str or _is_numpy(value, "str_"):
            return str(value)
        hint = "write str(...), or its .value, where text is meant" if isinstance(value, str) else ""
        raise conversion.misfit(path, self.type, value, hint=hint)

    def _surrogates(self, path: str, value: Any) -> errors.ConversionError:
        hint = "decode the bytes that it came from with their real encoding"
        return conversion.misfit(
            path, self.type, value, "it has lone surrogates, which no encoding can write", hint
        )


class DatetimeConverter(conversion.Converter):
    """Instants with their time zone, to the microsecond. A naive datetime is refused."""

    type = literal_types.DATETIME

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        if not isinstance(value, dt.datetime):
            raise conversion.misfit(path, self.type, value)
        if getattr(value, "nanosecond", 0):
            raise conversion.misfit(
                path, self.type, value, "it has nanoseconds", "round it, as in value.floor('us')"
            )
        if type(value) is not dt.datetime:
            if not hasattr(value, "to_pydatetime") or value != value:  # noqa: PLR0124 - NaT
                raise conversion.misfit(path, self.type, value)
            value = value.to_pydatetime()
        if value.utcoffset() is None:
            hint = "give it a time zone, as in datetime.now(timezone.utc)"
            raise conversion.misfit(path, self.type, value, "it has no time zone, so it is no instant", hint)
        try:
            return literals.from_datetime(value)
        except errors.ConversionError as error:
            raise conversion.misfit(path, self.type, value, error.message, error.hint) from None

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> dt.datetime:
        if literal.WhichOneof("value") != "datetime":
            raise conversion.mismatch(path, self.type, literal)
        message = literal.datetime
        try:
            return (_EPOCH + message.epoch_microseconds * _MICROSECOND).astimezone(_zone(message))
        except (KeyError, ValueError, OSError):  # zoneinfo.ZoneInfoNotFoundError is a KeyError
            hint = "install the package tzdata, or correct the name"
            raise errors.ConversionError(
                f"the time zone {message.zone!r} is not known here", where=path, hint=hint
            ) from None
        except OverflowError:
            raise errors.ConversionError(
                "the instant is outside of the years 1 to 9999", where=path
            ) from None

    def is_exact(self, value: Any) -> bool:
        return isinstance(value, dt.datetime)


def _zone(message: literals_pb2.Datetime) -> dt.tzinfo:
    if message.zone:
        import zoneinfo  # noqa: PLC0415 - it reads where zones are, which takes milliseconds, and few have one

        return zoneinfo.ZoneInfo(message.zone)
    return dt.timezone(dt.timedelta(seconds=message.offset_seconds)) if message.offset_seconds else dt.UTC


def _is_numpy(value: Any, kind: str) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, getattr(numpy, kind))
