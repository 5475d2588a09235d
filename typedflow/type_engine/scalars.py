"""None, bool, int, float, str, bytes and Decimal.

A value converts when its exact type says so, or when it is a NumPy scalar of the same kind and the same value. Nothing
is rounded, parsed or guessed, and bool is not int. NumPy itself is never imported here.
"""

from __future__ import annotations

import decimal
import sys
from collections.abc import Sequence
from types import NoneType
from typing import Any

from typedflow import errors, literal_types, literals
from typedflow.pb import literals_pb2
from typedflow.type_engine import conversion
from typedflow.type_engine.conversion import Place
from typedflow.type_engine.data import Data

_LEAST, _MOST = -(2**63), 2**63 - 1


class NoneConverter(conversion.Converter):
    """None."""

    type = literal_types.NONE
    kind, whole = NoneType, True

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        if value is not None:
            raise conversion.misfit(path, self.type, value)
        return literals.from_none()

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> None:
        if literal.WhichOneof("value") != "none":
            raise conversion.mismatch(path, self.type, literal)

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not set(map(type, values)) <= {NoneType}:
            i = next(i for i, value in enumerate(values) if value is not None)
            raise conversion.misfit(place(i), self.type, values[i])
        return literals_pb2.List(nones=len(values))

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") == "nones":
            return [None] * column.nones
        return super().from_column(column, place, data)


class BoolConverter(conversion.FillingConverter):
    """True and False, not 1 and 0."""

    type = literal_types.BOOL
    kind, whole = bool, True

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        return literals_pb2.Literal(boolean=value if type(value) is bool else self._native(value, path))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> bool:
        if literal.WhichOneof("value") != "boolean":
            raise conversion.mismatch(path, self.type, literal)
        return literal.boolean

    def fill(self, column: literals_pb2.List, values: Sequence[Any], place: Place, data: Data) -> None:
        if not values:
            column.nones = 0
            return
        if not conversion.are_all(bool, values):
            values = [self._native(value, place(i)) for i, value in enumerate(values)]
        column.booleans.values.extend(values)

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") == "booleans":
            return column.booleans.values[:]
        return super().from_column(column, place, data)

    def _native(self, value: Any, path: str) -> bool:
        if type(value) is bool or is_numpy(value, "bool_"):
            return bool(value)
        raise conversion.misfit(path, self.type, value)


class IntConverter(conversion.FillingConverter):
    """Integers of 64 bits, signed."""

    type = literal_types.INT
    kind, whole = int, True

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

    def fill(self, column: literals_pb2.List, values: Sequence[Any], place: Place, data: Data) -> None:
        if not values:
            column.nones = 0
            return
        if not conversion.are_all(int, values):
            values = [self._native(value, place(i)) for i, value in enumerate(values)]
        try:
            column.integers.values.extend(values)
        except ValueError:
            i = next(i for i, value in enumerate(values) if not _LEAST <= value <= _MOST)
            raise self._out_of_range(place(i), values[i]) from None

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") == "integers":
            return column.integers.values[:]
        return super().from_column(column, place, data)

    def _native(self, value: Any, path: str) -> int:
        if self.is_exact(value):
            return int(value)
        hint = ""
        if isinstance(value, bool):
            hint = "bool is not int: write int(...) where that is meant"
        elif isinstance(value, int):
            hint = "write int(...): a subclass would come back as int"
        elif isinstance(value, float) and value.is_integer():
            hint = "write int(...) where a whole number is meant"
        raise conversion.misfit(path, self.type, value, hint=hint)

    def is_exact(self, value: Any) -> bool:
        # NumPy's timedelta64 is one of its integers.
        return type(value) is int or (is_numpy(value, "integer") and not is_numpy(value, "timedelta64"))

    def _out_of_range(self, path: str, value: Any) -> errors.ConversionError:
        return conversion.misfit(
            path, self.type, value, "it does not fit 64 bits", "use str for larger integers"
        )


_INT = IntConverter()


class FloatConverter(conversion.FillingConverter):
    """Floating point of 64 bits: NaN, infinities and -0.0 too. An int is taken when it is exact as a float."""

    type = literal_types.FLOAT
    kind, whole = float, True

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        return literals_pb2.Literal(float=value if type(value) is float else self._native(value, path))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> float:
        if literal.WhichOneof("value") != "float":
            raise conversion.mismatch(path, self.type, literal)
        return literal.float

    def fill(self, column: literals_pb2.List, values: Sequence[Any], place: Place, data: Data) -> None:
        if not values:
            column.nones = 0
            return
        if not conversion.are_all(float, values):
            values = [self._native(value, place(i)) for i, value in enumerate(values)]
        column.floats.values.extend(values)

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") == "floats":
            return column.floats.values[:]
        return super().from_column(column, place, data)

    def _native(self, value: Any, path: str) -> float:
        if type(value) is float:
            return value
        if is_numpy(value, "floating"):
            native = value.item()
            if type(native) is not float:  # longdouble stays what it is
                native = float(value)
            if native == value or value != value:  # noqa: PLR0124 - NaN
                return float(native)
        elif _INT.is_exact(value):
            whole = int(value)
            try:
                if float(whole) == whole:
                    return float(whole)
            except OverflowError:
                pass
            raise conversion.misfit(path, self.type, value, "this integer has no exact float")
        hint = "write float(...) where that is meant" if isinstance(value, (int, float)) else ""
        raise conversion.misfit(path, self.type, value, hint=hint)

    def is_exact(self, value: Any) -> bool:
        return type(value) is float or is_numpy(value, "floating")


class StringConverter(conversion.FillingConverter):
    """Text, as Unicode that can be encoded."""

    type = literal_types.STRING
    kind, whole = str, True

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

    def fill(self, column: literals_pb2.List, values: Sequence[Any], place: Place, data: Data) -> None:
        if not values:
            column.nones = 0
            return
        if not conversion.are_all(str, values):
            values = [self._native(value, place(i)) for i, value in enumerate(values)]
        try:
            column.strings.values.extend(values)
        except UnicodeEncodeError:
            for i, value in enumerate(values):
                self.to_literal(value, place(i), data)
            raise

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") == "strings":
            return column.strings.values[:]
        return super().from_column(column, place, data)

    def _native(self, value: Any, path: str) -> str:
        if type(value) is str or is_numpy(value, "str_"):
            return str(value)
        hint = "write str(...), or its .value, where text is meant" if isinstance(value, str) else ""
        raise conversion.misfit(path, self.type, value, hint=hint)

    def _surrogates(self, path: str, value: Any) -> errors.ConversionError:
        hint = "decode the bytes that it came from with their real encoding"
        return conversion.misfit(
            path, self.type, value, "it has lone surrogates, which no encoding can write", hint
        )


class BytesConverter(conversion.FillingConverter):
    """Bytes, and no other buffer: what comes back is `bytes`."""

    type = literal_types.BYTES
    kind, whole = bytes, True

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        return literals_pb2.Literal(bytes=value if type(value) is bytes else self._native(value, path))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> bytes:
        if literal.WhichOneof("value") != "bytes":
            raise conversion.mismatch(path, self.type, literal)
        return literal.bytes

    def fill(self, column: literals_pb2.List, values: Sequence[Any], place: Place, data: Data) -> None:
        if not values:
            column.nones = 0
            return
        if not conversion.are_all(bytes, values):
            values = [self._native(value, place(i)) for i, value in enumerate(values)]
        column.bytes.values.extend(values)

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") == "bytes":
            return column.bytes.values[:]
        return super().from_column(column, place, data)

    def _native(self, value: Any, path: str) -> bytes:
        if type(value) is bytes or is_numpy(value, "bytes_"):
            return bytes(value)
        hint = ""
        if isinstance(value, (bytes, bytearray, memoryview)):
            hint = "write bytes(...)"
        elif isinstance(value, str):
            hint = "write .encode()"
        raise conversion.misfit(path, self.type, value, hint=hint)


class DecimalConverter(conversion.Converter):
    """Decimal numbers with all their digits, exponents, signs of zero and payloads of NaN."""

    type = literal_types.DECIMAL
    kind, whole = decimal.Decimal, True

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        if type(value) is not decimal.Decimal:
            raise self._misfit(value, path)
        return literals.from_decimal(value)

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> decimal.Decimal:
        if literal.WhichOneof("value") != "decimal":
            raise conversion.mismatch(path, self.type, literal)
        return conversion.at(path, literals.to_decimal, literal.decimal)

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        if not conversion.are_all(decimal.Decimal, values):
            raise conversion.first(values, self.is_exact, self._misfit, place)
        return literals.decimals(values)

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") != "decimals":
            return super().from_column(column, place, data)
        values = column.decimals.values
        return [conversion.at(place, literals.to_decimal, value, i) for i, value in enumerate(values)]

    def _misfit(self, value: Any, path: str) -> errors.ConversionError:
        hint = "write Decimal(...) of its text" if isinstance(value, (int, float, str)) else ""
        return conversion.misfit(path, self.type, value, hint=hint)


def is_numpy(value: Any, kind: str) -> bool:
    """Whether it is a NumPy scalar of the kind; NumPy is not loaded to find out."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, getattr(numpy, kind))
