"""pandera's models as frame types, and their checks.

What a model says of columns goes into the interface, where wiring is checked; all that it checks goes into a digest, by
which a consumer knows that the producer has checked it already. Must never decide by itself whether a frame is valid:
that is pandera's.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from blake3 import blake3

from typedflow import errors
from typedflow.pb import types_pb2
from typedflow.type_engine import frame_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHOWN_FAILURES = 10
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Schema:
    """A pandera schema.

    Attributes:
        type: its columns, strictness and digest, as an interface has them.
        strict: True: no other columns than its own; "filter": it reads its own only.
    """

    def __init__(self, name: str, schema: Any, dtypes: Mapping[str, str]) -> None:
        self._schema = schema
        self.strict: bool | str = schema.strict
        self._patterns = [column.name for column in schema.columns.values() if column.regex]
        columns = [
            types_pb2.Column(
                name=str(key),
                dtype=dtypes.get(key, ""),
                nullable=bool(column.nullable),
                optional=not column.required,
            )
            for key, column in schema.columns.items()
            if not column.regex
        ]
        # A pattern stands for columns that only a value can name.
        strict = schema.strict is True and not self._patterns
        filters = schema.strict == "filter" and bool(columns) and not self._patterns
        described = types_pb2.FrameSchema(name=name, digest=_digest(schema))
        self.type = types_pb2.FrameType(columns=columns, strict=strict, schema=described, filter=filters)

    @property
    def digest(self) -> str:
        """Of everything that it checks."""
        return self.type.schema.digest

    def wanted(self, names: Sequence[str]) -> list[str]:
        """Those columns of a frame that it says something about."""
        own = {column.name for column in self.type.columns}
        return [
            name
            for name in names
            if name in own or any(re.match(pattern, name) for pattern in self._patterns)
        ]

    def validate(self, frame: Any, path: str) -> Any:
        """The frame as pandera gives it back: checked, coerced and filtered as the schema says.

        Raises:
            ConversionError: tells the first failures as a table.
        """
        from pandera import errors as pandera_errors

        try:
            return self._schema.validate(frame, lazy=True)
        except pandera_errors.SchemaErrors as error:
            raise self._failed(_rows(error.failure_cases), path) from None
        except pandera_errors.SchemaError as error:
            raise self._failed([{"check": error.check, "failure_case": str(error)}], path) from None

    def _failed(self, failures: Sequence[Mapping[str, Any]], path: str) -> errors.ConversionError:
        count, name = len(failures), self.type.schema.name
        title = f"the frame does not fit {name}: {count} failure{'s' if count != 1 else ''}"
        shown = [_cells(failure, name) for failure in failures[:_SHOWN_FAILURES]]
        lines = [("column", "check", "value", "row"), *shown]
        widths = [max(len(line[i]) for line in lines) for i in range(4)]
        table = [
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        if count > _SHOWN_FAILURES:
            table.append(f"  ... and {count - _SHOWN_FAILURES} more")
        return errors.ConversionError("\n".join((title, *table)), where=path)


def pandas_schema(annotation: Any) -> Schema:
    """The schema of `pandera.typing.DataFrame[Model]`. Raises DefinitionError."""
    model = _model(annotation, "DataFrame")
    schema = _schema_of(model)
    dtypes = {key: _pandas_dtype(column.dtype) for key, column in schema.columns.items()}
    return Schema(model.__name__, schema, dtypes)


def polars_schema(annotation: Any) -> Schema:
    """The schema of `pandera.typing.polars.DataFrame[Model]`. Raises DefinitionError."""
    model = _model(annotation, "DataFrame")
    schema = _schema_of(model)
    dtypes = {key: _polars_dtype(column.dtype) for key, column in schema.columns.items()}
    return Schema(model.__name__, schema, dtypes)


def arrow_schema(annotation: Any) -> Schema:
    """The schema of `pandera.typing.pyarrow.Table[Model]`. Raises DefinitionError."""
    model = _model(annotation, "Table")
    schema = _schema_of(model)
    try:
        dtypes = {field.name: frame_digest.logical_type(field.type) for field in model.empty().schema}
    except (TypeError, ValueError, NotImplementedError):
        dtypes = {}  # a model with a column of any type can't make an empty table; pandera still checks the values
    return Schema(model.__name__, schema, dtypes)


def _model(annotation: Any, generic: str) -> Any:
    arguments = get_args(annotation)
    if not arguments or not hasattr(arguments[0], "to_schema"):
        message = f"pandera's {generic} must name a model"
        raise errors.DefinitionError(message, hint=f"write it as {generic}[Model]", code="UnsupportedType")
    return arguments[0]


def _schema_of(model: Any) -> Any:
    from pandera import errors as pandera_errors

    try:
        schema = model.to_schema()
    except (
        pandera_errors.SchemaInitError,
        pandera_errors.SchemaDefinitionError,
        ImportError,
        TypeError,
    ) as error:
        message = f"pandera can't make a schema of `{model.__name__}`: {error}"
        raise errors.DefinitionError(message, code="UnsupportedType") from None
    return schema


def _pandas_dtype(dtype: Any) -> str:
    """The logical Arrow type of a pandera dtype; empty when it leaves the values' type open."""
    import pandas as pd
    import pyarrow as pa

    native = getattr(dtype, "type", None)
    if dtype is None or native is None:
        return ""
    categories: Any = native.categories if isinstance(native, pd.CategoricalDtype) else ()
    if categories is None:
        return ""
    try:
        make: Any = pd.Series  # its overloads know no dtype that is found at run time
        series = make(dtype=native)
        arrow = pa.null() if series.dtype == "object" else pa.array(series, from_pandas=True).type
    except (TypeError, ValueError, NotImplementedError, pa.ArrowException):
        return ""
    return "" if pa.types.is_null(arrow) else frame_digest.logical_type(arrow)


def _polars_dtype(dtype: Any) -> str:
    """The same of a pandera dtype for polars."""
    import polars as pl
    import pyarrow as pa

    native = getattr(dtype, "type", None)
    if native is None:
        return ""
    try:
        empty = pl.Series("", [], dtype=native)
        return frame_digest.logical_type(empty.to_arrow(compat_level=pl.CompatLevel.oldest()).type)
    except (TypeError, ValueError, pl.exceptions.PolarsError, pa.ArrowException):
        return ""


# What a schema checks


def _digest(schema: Any) -> str:
    told = {
        "flavour": type(schema).__module__.split(".")[2],
        "columns": [[str(key), _component(column)] for key, column in schema.columns.items()],
        "index": _index(getattr(schema, "index", None)),
        **_attributes(
            schema,
            (
                "strict",
                "ordered",
                "unique",
                "coerce",
                "dtype",
                "unique_column_names",
                "add_missing_columns",
                "drop_invalid_rows",
            ),
        ),
        "checks": [_check(check) for check in schema.checks],
        "parsers": [_check(parser) for parser in schema.parsers],
    }
    return "b3:" + blake3(json.dumps(told, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def _component(component: Any) -> dict[str, Any]:
    return {
        **_attributes(
            component,
            ("dtype", "nullable", "unique", "coerce", "required", "regex", "default", "drop_invalid_rows"),
        ),
        "checks": [_check(check) for check in component.checks or ()],
        "parsers": [_check(parser) for parser in getattr(component, "parsers", None) or ()],
    }


def _index(index: Any) -> Any:
    if index is None:
        return None
    levels = getattr(index, "indexes", None) or [index]
    return [[level.name, _component(level)] for level in levels]


def _attributes(described: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: _text(getattr(described, name, None)) for name in names}


def _check(check: Any) -> dict[str, Any]:
    """A check or a parser: its options, and the source of its function."""
    names = (
        "name",
        "statistics",
        "_check_kwargs",
        "element_wise",
        "ignore_na",
        "groupby",
        "groups",
        "raise_warning",
    )
    function = getattr(check, "_check_fn", None) or getattr(check, "_parser_fn", None)
    return {**_attributes(check, names), "function": _function(function)}


def _function(function: Any, depth: int = 0) -> Any:
    """What a function does, as far as it can be told: its source without comments, and what it closes over."""
    if isinstance(function, functools.partial):
        return [_function(function.func, depth), _text(function.args), _text(function.keywords)]
    function = inspect.unwrap(getattr(function, "__func__", function)) if callable(function) else function
    if not inspect.isfunction(function):
        inner = getattr(function, "check_fn", None) or getattr(function, "parser_fn", None)
        return _function(inner, depth + 1) if inner is not None and depth < 5 else _text(function)
    if function.__module__.startswith("pandera."):
        cells = [
            cell.cell_contents
            for cell in function.__closure__ or ()
            if not isinstance(cell.cell_contents, type)
        ]
        return [function.__qualname__, [_function(cell, depth + 1) for cell in cells] if depth < 5 else []]
    closure = inspect.getclosurevars(function).nonlocals if depth < 5 else {}
    return [
        _source(function),
        _text(function.__defaults__),
        {
            name: _function(value, depth + 1)
            for name, value in sorted(closure.items())
            if not isinstance(value, type)
        },
    ]


def _source(function: Callable[..., Any]) -> str:
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        code = function.__code__
        return hashlib.sha256(code.co_code + repr(code.co_consts).encode()).hexdigest()
    try:
        tree = ast.parse(text)
    except SyntaxError:  # a lambda inside a longer expression
        return text.strip()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _text(value: Any) -> Any:
    """A value in words that are the same in every process."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, Mapping):
        return {str(key): _text(each) for key, each in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, map(_text, value)))
    if isinstance(value, (list, tuple)):
        return [_text(each) for each in value]
    if inspect.isfunction(value) or isinstance(value, functools.partial):
        return _function(value, 1)
    if isinstance(value, re.Pattern):
        return [value.pattern, value.flags]
    return _ADDRESS.sub("", str(value))


# What a failed check tells


def _rows(failure_cases: Any) -> list[Mapping[str, Any]]:
    """Pandera's failure cases, which are a frame of the checked frame's own library."""
    if hasattr(failure_cases, "to_pylist"):
        return list(failure_cases.to_pylist())
    if hasattr(failure_cases, "to_dicts"):
        return list(failure_cases.to_dicts())
    return list(failure_cases.to_dict("records"))


def _cells(failure: Mapping[str, Any], schema: str) -> tuple[str, str, str, str]:
    column = failure.get("column")
    column = "" if column in (None, schema) else str(column)
    row = failure.get("index")
    known = row is not None and row == row  # noqa: PLR0124 - NaN
    if known and isinstance(row, float) and row.is_integer():
        row = int(row)
    return (
        column,
        str(failure.get("check") or "")[:60],
        str(failure.get("failure_case"))[:40],
        str(row) if known else "",
    )
