"""pandas frames as Arrow tables and back, exactly.

Arrow's pandas metadata carries index and labels; what it would bring back as something else is written down beside it
(`typedflow.pandas` in the schema's metadata) and restored from there. Whether all comes back is checked before a frame
is stored: what would not is an error that names the column. A frame's `attrs` and `flags` do not travel.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

from typedflow import errors
from typedflow.type_engine import conversion, frame_digest

_KEY = b"typedflow.pandas"
_HINT = "give the column one type that Arrow has, as with astype(...)"


def to_table(frame: Any, path: str) -> Any:
    """A pandas.DataFrame as a pyarrow.Table. Raises ConversionError naming what can't be carried exactly."""
    import pyarrow as pa

    _check_labels(frame, path)
    if frame.attrs:
        frame = frame.copy(deep=False)
        frame.attrs = {}
    try:
        # A range is kept as metadata, but a table without any column has no rows.
        table = pa.Table.from_pandas(frame, preserve_index=None if len(frame.columns) else True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        reason = "; ".join(str(each) for each in error.args)
        raise errors.ConversionError(
            f"the frame can't be carried exactly: {reason}", where=path, hint=_HINT
        ) from None
    restore: dict[str, Any] = {"columns": {}, "index": {}}
    for i, (label, dtype) in enumerate(zip(frame.columns, frame.dtypes, strict=True)):
        values = frame.iloc[:, i] if _is_object(dtype) else None
        if note := _note(dtype, values, f"{path}[{label!r}]"):
            restore["columns"][table.schema.names[i]] = note
    for level, name in enumerate(index_columns(table)):
        values = _level(frame, level)
        if note := _note(values.dtype, values, f"{path}.index"):
            restore["index"][name] = note
    if (freq := getattr(frame.index, "freq", None)) is not None:
        restore["freq"] = freq.freqstr
    table = _with_notes(table, restore)
    _check_restored(frame, table, path)
    return table


def to_frame(table: Any) -> Any:
    """A private, writable pandas.DataFrame of a table's values, as it was when it was stored."""
    import pandas as pd

    notes = _notes(table)
    frame = table.to_pandas(split_blocks=False)
    if not all(map(_is_writable, frame._mgr.blocks)):  # noqa: SLF001 - columns' own views are always read-only
        frame = frame.copy()
    columns, own = notes.get("columns", {}), set(index_columns(table))
    for i, name in enumerate(name for name in table.schema.names if name not in own):
        if name in columns and _fits(table.schema.field(name).type, columns[name]):
            frame.isetitem(i, _restored(table.column(name), columns[name], frame.index))
    if index := notes.get("index"):
        levels = [frame.index.get_level_values(level) for level in range(frame.index.nlevels)]
        for level, name in enumerate(index_columns(table)):
            if name in index and _fits(table.schema.field(name).type, index[name]):
                values = _restored(table.column(name), index[name], None)
                levels[level] = pd.Index(values, dtype=values.dtype, name=levels[level].name)
        frame.index = levels[0] if len(levels) == 1 else pd.MultiIndex.from_arrays(levels)
    if "freq" in notes:
        with contextlib.suppress(ValueError, AttributeError):  # rows or the index were taken out meanwhile
            frame.index.freq = notes["freq"]
    return frame


def _fits(t: Any, note: dict[str, Any]) -> bool:
    """Whether a note is still about this column: an Arrow task may have put another in its place."""
    import pyarrow as pa

    return "string" not in note or pa.types.is_string(t) or pa.types.is_large_string(t)


def _is_writable(block: Any) -> bool:
    """Whether a frame's block is memory of its own; Arrow lends its own, which may be the store's file, read-only."""
    array = getattr(block.values, "_ndarray", block.values)
    return not hasattr(array, "flags") or bool(array.flags.writeable)


def described(table: Any) -> frame_digest.Described:
    """What pandas adds to a table, in canonical form and without versions of libraries.

    The index other than one that counts the rows; of each column the kind of its label, where that is no plain string,
    and its dtype, where Arrow's type would not give it by itself.
    """
    metadata = table.schema.pandas_metadata or {}
    if not metadata:
        return frame_digest.Described()
    index, notes = index_columns(table), _notes(table)
    labels = [(each.get("name"), each.get("pandas_type")) for each in metadata.get("column_indexes", ())]
    usual_labels = labels in ([], [(None, "unicode")], [(None, "string")])
    plain = table.drop_columns(index).replace_schema_metadata(None).slice(0, 0).to_pandas()
    given = to_frame(table.slice(0, 0))
    columns = {}
    for name, dtype, usual in zip(plain.columns, given.dtypes, plain.dtypes, strict=True):
        told: dict[str, Any] = {} if usual_labels else {"labels": labels}
        if dtype != usual:
            told["dtype"] = str(dtype)
        if note := notes.get("columns", {}).get(name):
            told["note"] = note
        columns[name] = _canonical(told)
    return frame_digest.Described(index, columns, _canonical(_described_index(table, metadata, index, notes)))


def _described_index(
    table: Any, metadata: dict[str, Any], columns: list[str], notes: dict[str, Any]
) -> dict[str, Any]:
    told: dict[str, Any] = {key: notes[key] for key in ("index", "freq") if notes.get(key)}
    noted = [
        each for each in metadata.get("index_columns", ()) if not isinstance(each, str) or each in columns
    ]
    levels = [_index_column(each, table.num_rows) for each in noted]
    if levels not in ([], ["default"]):  # without any, rows are counted as well
        told["levels"] = levels
        told["names"] = _index_names(noted, metadata)
    names = table.schema.names
    if names[len(names) - len(columns) :] != columns:  # to Arrow they are columns, at these places
        told["places"] = [names.index(each) for each in columns]
    return told


def _canonical(told: dict[str, Any]) -> bytes:
    return json.dumps(told, sort_keys=True).encode() if told else b""


def index_columns(table: Any) -> list[str]:
    """The names of the columns of a table, or of its schema, that are a pandas index and no columns of the frame."""
    schema = getattr(table, "schema", table)
    noted = (schema.pandas_metadata or {}).get("index_columns", ())
    return [each for each in noted if isinstance(each, str) and each in schema.names]


def _index_column(described_index: Any, rows: int) -> Any:
    if isinstance(described_index, str):
        return described_index
    start, stop, step = (described_index[key] for key in ("start", "stop", "step"))
    return (
        "default"
        if (start, stop, step, described_index["name"]) == (0, rows, 1, None)
        else [start, stop, step]
    )


def _index_names(noted: list[Any], metadata: dict[str, Any]) -> list[Any]:
    names = {column["field_name"]: column["name"] for column in metadata.get("columns", ())}
    return [names.get(each) if isinstance(each, str) else each["name"] for each in noted]


def _check_labels(frame: Any, path: str) -> None:
    labels = frame.columns
    if not labels.is_unique:
        twice = labels[labels.duplicated()][0]
        raise errors.ConversionError(
            f"there are several columns {twice!r}", where=path, hint="give each a name of its own"
        )
    kinds = {type(label).__name__ for label in labels}
    if len(kinds) > 1:
        message = f"the columns' labels are of several types: {', '.join(sorted(kinds))}"
        raise errors.ConversionError(
            message, where=path, hint="make them strings: df.columns = df.columns.map(str)"
        )
    names = [name for name in frame.index.names if not isinstance(name, str | None)]
    if names:
        message = f"the index's name {names[0]!r} is no string"
        raise errors.ConversionError(message, where=f"{path}.index", hint="make it one: df.index.names = ...")


def _note(dtype: Any, values: Any, where: str) -> dict[str, Any] | None:
    """A dtype that Arrow's metadata would not restore, as it is written down."""
    import pandas as pd

    if isinstance(dtype, pd.ArrowDtype):
        return {"arrow": True}
    if isinstance(dtype, pd.StringDtype) and (dtype.storage != "pyarrow" or dtype.na_value is pd.NA):
        return {"string": [dtype.storage, "NA" if dtype.na_value is pd.NA else "nan"]}
    return {"object": _missing(values, where)} if _is_object(dtype) else None


def _missing(values: Any, where: str) -> str:
    """How an object column says that a value is missing, which Arrow does not keep."""
    import pandas as pd

    found = {_missing_name(value, pd) for value in values[values.isna()]}
    if len(found) > 1:
        message = f"missing values are written in several ways: {', '.join(sorted(found))}"
        raise errors.ConversionError(
            message, where=where, hint="write them in one way, as with .where(x.notna(), None)"
        )
    return found.pop() if found else "None"


def _missing_name(value: Any, pd: Any) -> str:
    if value is None:
        return "None"
    if value is pd.NA:
        return "NA"
    return "NaT" if value is pd.NaT else "nan"


def _restored(column: Any, note: dict[str, Any], index: Any) -> Any:
    import pandas as pd

    if "arrow" in note:
        return pd.Series(pd.arrays.ArrowExtensionArray(column), index=index)
    if "string" in note:
        storage, missing = note["string"]
        dtype: Any = pd.StringDtype(storage, na_value=pd.NA if missing == "NA" else float("nan"))
        return pd.Series(dtype.__from_arrow__(column), index=index)
    marker = {"None": None, "nan": float("nan"), "NA": pd.NA, "NaT": pd.NaT}[note["object"]]
    values = column.to_pylist()
    if marker is not None:
        values = [marker if value is None else value for value in values]
    return pd.Series(_objects(values), index=index, dtype=object)


def _objects(values: list[Any]) -> Any:
    import numpy as np

    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array


def _with_notes(table: Any, notes: dict[str, Any]) -> Any:
    """The table with what is to be restored in its schema's metadata."""
    metadata = dict(table.schema.metadata)
    told = json.loads(metadata[b"pandas"])
    noted = {*notes["columns"], *notes["index"]}
    for column in told["columns"]:
        if column["field_name"] in noted:
            column["numpy_type"] = "object"  # pandas does not read the names of all dtypes that it writes
    metadata |= {b"pandas": json.dumps(told).encode(), _KEY: json.dumps(notes, sort_keys=True).encode()}
    return table.replace_schema_metadata(metadata)


def _notes(table: Any) -> dict[str, Any]:
    notes: dict[str, Any] = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
    return notes


def _check_restored(frame: Any, table: Any, path: str) -> None:
    """Compares what would come back with what is there: types, labels, and the values where Arrow has to guess."""
    back = to_frame(table.slice(0, 0))
    if not back.columns.equals(frame.columns) or list(back.columns.names) != list(frame.columns.names):
        message = f"the columns' labels would come back as {conversion.shown(list(back.columns))}"
        raise errors.ConversionError(
            message, where=path, hint="make them strings: df.columns = df.columns.map(str)"
        )
    for i, (label, dtype, restored) in enumerate(zip(frame.columns, frame.dtypes, back.dtypes, strict=True)):
        _check_dtype(dtype, restored, f"{path}[{label!r}]")
        if _is_object(dtype):
            _check_objects(frame.iloc[:, i], table.column(i), f"{path}[{label!r}]")
    _check_index(frame, back, table, f"{path}.index")


def _check_index(frame: Any, back: Any, table: Any, where: str) -> None:
    # A range is a line of metadata, and is not made again for a table without rows.
    columns = index_columns(table)
    for level, column in enumerate(columns):
        _check_dtype(_level(frame, level).dtype, _level(back, level).dtype, where)
        if _is_object(_level(frame, level).dtype):
            _check_objects(_level(frame, level), table.column(column), where)


def _level(frame: Any, level: int) -> Any:
    return frame.index.get_level_values(level)


def _is_object(dtype: Any) -> bool:
    return bool(dtype == "object")


def _check_dtype(dtype: Any, back: Any, where: str) -> None:
    if dtype != back:
        message = f"{dtype} can't be carried exactly: Arrow would give back {back}"
        raise errors.ConversionError(message, where=where, hint=_HINT)


def _check_objects(values: Any, column: Any, where: str) -> None:
    import pandas as pd

    if pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty"):
        return
    for i, (value, back) in enumerate(zip(values, column.to_pylist(), strict=True)):
        if back is None:
            continue
        if type(value) is not type(back) or not bool(value == back):
            kinds = f"{type(value).__name__}, not {type(back).__name__}"
            message = (
                f"{conversion.shown(value)} would come back as {conversion.shown(back)}: it is a {kinds}"
            )
            raise errors.ConversionError(message, where=f"{where}[{i}]", hint=_HINT)
