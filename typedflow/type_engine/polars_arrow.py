"""polars frames as Arrow tables and back, exactly.

Both have most of their types in common, so numbers are shared and not copied. What would come back as something else
is an error that names the column. Must never go through pandas.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typedflow import errors

_HINT = "give the column a type that Arrow has, as with pl.col(...).cast(...)"
_INTO_OTHERS = "read it as a pyarrow.Table or a pandas.DataFrame"


def to_table(frame: Any, path: str) -> Any:
    """A polars.DataFrame as a pyarrow.Table. Raises ConversionError naming what can't be carried exactly."""
    import polars as pl

    if frame.height and not frame.width:
        message = f"the frame has {frame.height} rows and no columns, which Arrow does not keep"
        raise errors.ConversionError(message, where=path, hint="give it a column")
    for name, dtype in frame.schema.items():
        if any(isinstance(part, pl.Object) for part in _parts(dtype)):
            message = "its values are Python objects, which Arrow does not have"
            raise errors.ConversionError(message, where=f"{path}[{name!r}]", hint=_HINT)
    if frame.n_chunks() > 1 and any(_holds_categories(dtype) for dtype in frame.dtypes):
        frame = frame.rechunk()  # the chunks of a list's categories may be numbered in different ways
    level = pl.CompatLevel.oldest()  # what every reader of Arrow knows
    empty = frame.clear()
    if _restored(empty, path) != dict(frame.schema):
        for name, dtype in frame.schema.items():
            back = _restored(empty.select(name), path)
            if back != {name: dtype}:
                message = (
                    f"{dtype} can't be carried exactly: Arrow would give back {back.get(name, 'nothing')}"
                )
                raise errors.ConversionError(message, where=f"{path}[{name!r}]", hint=_HINT)
    return frame.to_arrow(compat_level=level)


def _restored(empty: Any, path: str) -> dict[str, Any]:
    """The dtypes that would come back; none where Arrow has none for one of them."""
    import polars as pl
    import pyarrow as pa

    try:
        return dict(from_table(empty.to_arrow(compat_level=pl.CompatLevel.oldest()), path).schema)
    except (errors.ConversionError, pa.ArrowException):
        return {}


def from_table(table: Any, path: str) -> Any:
    """A polars.DataFrame of a table's values. Raises ConversionError for types that polars does not have.

    Ordered categories become an Enum; the order of others, and those that no value has, mean nothing to polars.
    """
    import polars as pl
    import pyarrow as pa

    table = table.replace_schema_metadata(None)
    for field in table.schema:
        if pa.types.is_decimal256(field.type) or pa.types.is_interval(field.type):
            message = f"polars has no {field.type}"
            raise errors.ConversionError(message, where=f"{path}[{field.name!r}]", hint=_INTO_OTHERS)
    ordered = {}
    for i, field in enumerate(table.schema):
        if _is_ordered_text(field.type):
            column = table.column(i).unify_dictionaries()
            values = column.chunk(0).dictionary if column.num_chunks else pa.array([], field.type.value_type)
            ordered[field.name] = pl.Enum(values.cast(pa.large_string()).to_pylist())
            table = table.set_column(
                i, field.name, column.cast(pa.dictionary(pa.uint32(), field.type.value_type))
            )
    try:
        frame: Any = pl.from_arrow(table, rechunk=False)
    except (pa.ArrowException, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        message = f"the frame can't be a polars one: {error}"
        raise errors.ConversionError(message, where=path, hint=_INTO_OTHERS) from None
    return frame.with_columns(pl.col(name).cast(dtype) for name, dtype in ordered.items())


def _is_ordered_text(t: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(
        types.is_dictionary(t)
        and t.ordered
        and (types.is_string(t.value_type) or types.is_large_string(t.value_type))
    )


def _parts(dtype: Any) -> Iterator[Any]:
    """A dtype and those inside it."""
    yield dtype
    if (inner := getattr(dtype, "inner", None)) is not None:
        yield from _parts(inner)
    for field in getattr(dtype, "fields", ()):
        yield from _parts(field.dtype)


def _holds_categories(dtype: Any) -> bool:
    import polars as pl

    return any(isinstance(part, (pl.Categorical, pl.Enum)) for part in _parts(dtype) if part is not dtype)
