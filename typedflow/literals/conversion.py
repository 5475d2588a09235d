"""Literals from one type to another: along an edge of a graph, and for constants that an author or a caller wrote.

`convert` knows the source's type and trusts it: it follows `literal_types.is_assignable` and can't fail where that
gave no mismatch. `constant` trusts nothing and looks at the value. What an offloaded literal stands for can't be seen
here, so it is passed on as it is (inside its union variant, where there is one) and converted by whoever fetches it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from typedflow import errors, literal_types
from typedflow.literals import columns, lists, scalars, soundness
from typedflow.pb import types_pb2
from typedflow.pb.literals_pb2 import FieldValue, Literal, Record, Union

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typedflow.pb.literals_pb2 import List, Records
    from typedflow.pb.types_pb2 import LiteralType, RecordType, UnionType
    from typedflow.pb.workflows_pb2 import PathStep

    Conversion: TypeAlias = Callable[[Literal], Literal]

SIMPLE_VALUES = {
    types_pb2.SIMPLE_TYPE_NONE: "none",
    types_pb2.SIMPLE_TYPE_BOOL: "boolean",
    types_pb2.SIMPLE_TYPE_INT: "integer",
    types_pb2.SIMPLE_TYPE_FLOAT: "float",
    types_pb2.SIMPLE_TYPE_STRING: "string",
    types_pb2.SIMPLE_TYPE_DATETIME: "datetime",
}
"""The field of a literal that has a value of the type."""

COLUMNS = {
    types_pb2.SIMPLE_TYPE_NONE: "nones",
    types_pb2.SIMPLE_TYPE_BOOL: "booleans",
    types_pb2.SIMPLE_TYPE_INT: "integers",
    types_pb2.SIMPLE_TYPE_FLOAT: "floats",
    types_pb2.SIMPLE_TYPE_STRING: "strings",
}
"""The column that has all elements of a simple type, and no others."""

_EXACT_INTS = 2**53


def follow(literal: Literal, path: Iterable[PathStep]) -> Literal:
    """The value at a path into a literal. Raises ConversionError that names the step that leads nowhere."""
    where = ""
    current = literal
    for step in path:
        if step.WhichOneof("step") == "index":
            current = _at_index(current, step.index, where)
            where += f"[{step.index}]"
        else:
            current = _at_field(current, step.field, where)
            where += f".{step.field}"
    return current


def _at_field(literal: Literal, name: str, where: str) -> Literal:
    if not literal.HasField("record"):
        raise errors.ConversionError(f"{scalars.describe(literal)} has no field `{name}`", where=where)
    for field in literal.record.fields:
        if field.name == name:
            return field.value
    raise errors.ConversionError(f"{scalars.describe(literal)} has no field `{name}`", where=where)


def _at_index(literal: Literal, index: int, where: str) -> Literal:
    if not literal.HasField("list"):
        raise errors.ConversionError(f"{scalars.describe(literal)} has no elements", where=where)
    try:
        return lists.element(literal.list, index)
    except IndexError as error:
        raise errors.ConversionError(str(error), where=where) from None


# Between types


def convert(literal: Literal, source: LiteralType, target: LiteralType) -> Literal:
    """A value of `source` as one of `target`, which `source` is assignable to; the same literal when they are equal.

    Raises ConversionError when the types are not assignable.
    """
    mismatch = literal_types.is_assignable(source, target)
    if mismatch:
        raise errors.ConversionError(
            f"expected {literal_types.brief(target)}, got {literal_types.brief(source)}: {mismatch}",
            hint=mismatch.hint,
        )
    conversion = _conversion(source, target)
    return conversion(literal) if conversion else literal


def _conversion(source: LiteralType, target: LiteralType) -> Conversion | None:
    """What makes values of `target` from values of `source`, decided once for all of them; None: they are the same."""
    if literal_types.equal(source, target):
        return None
    if source.HasField("union"):
        return _from_union(source.union, target)
    if target.HasField("union"):
        return _into_union(source, target.union)
    if source.HasField("list"):
        return _between_lists(source.list.element, target.list.element)
    if source.HasField("record"):
        return _between_records(target.record)
    return None


def _from_union(source: UnionType, target: LiteralType) -> Conversion:
    conversions = [_conversion(variant, target) for variant in source.variants]

    def apply(literal: Literal) -> Literal:
        if not literal.HasField("union"):
            return literal
        conversion = conversions[_variant(literal.union, source)]
        return conversion(literal.union.value) if conversion else literal.union.value

    return apply


def _into_union(source: LiteralType, target: UnionType) -> Conversion:
    place = literal_types.variant_for(source, target)
    assert place is not None, "assignable to a union, but to none of its variants"
    conversion = _conversion(source, target.variants[place])

    def apply(literal: Literal) -> Literal:
        return Literal(union=Union(variant=place, value=conversion(literal) if conversion else literal))

    return apply


def _between_lists(source: LiteralType, target: LiteralType) -> Conversion | None:
    conversion = None if source.WhichOneof("type") is None else _conversion(source, target)
    if conversion is None:
        return None

    def apply(literal: Literal) -> Literal:
        if not literal.HasField("list"):
            return literal
        if source.HasField("record") and target.HasField("record") and literal.list.HasField("records"):
            by_name = {c.name: c.values for c in literal.list.records.columns}
            kept = [(f.name, by_name[f.name]) for f in target.record.fields if f.name in by_name]
            return scalars.from_list(columns.records(literal.list.records.length, kept))
        return scalars.from_list(lists.pack([conversion(e) for e in lists.elements(literal.list)]))

    return apply


def _between_records(target: RecordType) -> Conversion:
    wanted = [f.name for f in target.fields]

    def apply(literal: Literal) -> Literal:
        if not literal.HasField("record"):
            return literal
        by_name = {f.name: f for f in literal.record.fields}
        return Literal(record=Record(fields=[by_name[name] for name in wanted if name in by_name]))

    return apply


def _variant(value: Union, of: UnionType) -> int:
    if value.variant >= len(of.variants):
        raise errors.ConversionError(f"variant {value.variant} of a union that has {len(of.variants)}")
    return value.variant


# Constants


def constant(literal: Literal, target: LiteralType, path: str) -> Literal:
    """A constant as a value of `target`: T to T | None, an int that is exact to a float, and the like.

    A union's value takes the variant that it names, else the equal one, else the first that takes it without loss.
    The same message when nothing changes. Raises ConversionError with the path to the first part that does not fit.
    """
    made = _fit(literal, target, path, exact=False)
    if isinstance(made, errors.ConversionError):
        raise made
    return literal if made == literal else made


def _fit(
    literal: Literal, target: LiteralType, path: str, *, exact: bool
) -> Literal | errors.ConversionError:
    kind = target.WhichOneof("type")
    if kind == "union":
        return _fit_union(literal, target, path, exact=exact)
    if literal.HasField("union"):
        return _fit(literal.union.value, target, path, exact=exact)
    if literal.HasField("offloaded"):
        return literal
    match kind:
        case "simple":
            return _fit_simple(literal, target, path, exact=exact)
        case "list" if literal.HasField("list"):
            return _fit_list(literal, target, path, exact=exact)
        case "record" if literal.HasField("record"):
            return _fit_record(literal, target, path, exact=exact)
        case "file" if literal.HasField("file"):
            source = literal_types.file(literal.file.format)
        case "frame" if literal.HasField("frame"):
            source = literal_types.frame(literal.frame.type.columns, strict=True)
        case _:
            return _misfit(literal, target, path)
    mismatch = literal_types.is_assignable(source, target)
    return _misfit(literal, target, path, mismatch.reason) if mismatch else literal


def _fit_simple(
    literal: Literal, target: LiteralType, path: str, *, exact: bool
) -> Literal | errors.ConversionError:
    kind = literal.WhichOneof("value")
    if kind == SIMPLE_VALUES.get(target.simple):
        return literal
    if kind == "integer" and target == literal_types.FLOAT and not exact:
        if is_exact(literal.integer):
            return scalars.from_float(float(literal.integer))
        return _misfit(literal, target, path, "it is not exact as a float")
    return _misfit(literal, target, path)


def _fit_list(
    literal: Literal, target: LiteralType, path: str, *, exact: bool
) -> Literal | errors.ConversionError:
    wrong = soundness.malformed(literal.list)
    if wrong:
        return errors.ConversionError(f"a list that contradicts itself: {wrong}", where=path)
    element = target.list.element
    column = literal.list.WhichOneof("column")
    if not columns.length(literal.list) or (
        element.HasField("simple") and column == COLUMNS.get(element.simple)
    ):
        return literal
    if element == literal_types.FLOAT and column == "integers" and not exact:
        values = literal.list.integers.values
        if min(values) >= -_EXACT_INTS and max(values) <= _EXACT_INTS:
            return scalars.from_list(columns.floats(map(float, values)))
    if element.HasField("record") and column == "records":
        fitted_columns = _fit_columns(literal.list.records, element.record, exact=exact)
        if fitted_columns is not None:
            return scalars.from_list(fitted_columns)
    made: list[Literal] = []
    for i, item in enumerate(lists.elements(literal.list)):
        fitted = _fit(item, element, f"{path}[{i}]", exact=exact)
        if isinstance(fitted, errors.ConversionError):
            return fitted
        made.append(fitted)
    return scalars.from_list(lists.pack(made))


def _fit_columns(found: Records, target: RecordType, *, exact: bool) -> List | None:
    """All records at once; None when one does not fit, which to say where is for a look at each."""
    given = {c.name: c.values for c in found.columns}
    made: list[tuple[str, List]] = []
    for field in target.fields:
        if field.name in given:
            column = scalars.from_list(given[field.name])
            fitted = _fit_list(column, literal_types.list_of(field.type), "", exact=exact)
            if isinstance(fitted, errors.ConversionError):
                return None
            made.append((field.name, fitted.list))
        elif not field.has_default:
            return None
    return columns.records(found.length, made)


def _fit_record(
    literal: Literal, target: LiteralType, path: str, *, exact: bool
) -> Literal | errors.ConversionError:
    given = {f.name: f.value for f in literal.record.fields}
    made: list[FieldValue] = []
    for field in target.record.fields:
        if field.name not in given:
            if field.has_default:
                continue
            return _misfit(literal, target, path, f"field `{field.name}` is missing")
        fitted = _fit(given[field.name], field.type, f"{path}.{field.name}", exact=exact)
        if isinstance(fitted, errors.ConversionError):
            return fitted
        made.append(FieldValue(name=field.name, value=fitted))
    return Literal(record=Record(fields=made))


def _fit_union(
    literal: Literal, target: LiteralType, path: str, *, exact: bool
) -> Literal | errors.ConversionError:
    variants = target.union.variants
    value = literal
    tried: list[errors.ConversionError] = []
    if literal.HasField("union"):
        value = literal.union.value
        if literal.union.variant < len(variants):
            fitted = _fit(value, variants[literal.union.variant], path, exact=True)
            if not isinstance(fitted, errors.ConversionError):
                return Literal(union=Union(variant=literal.union.variant, value=fitted))
    for strictly in (True,) if exact else (True, False):
        for i, variant in enumerate(variants):
            fitted = _fit(value, variant, path, exact=strictly)
            if not isinstance(fitted, errors.ConversionError):
                return Literal(union=Union(variant=i, value=fitted))
            if fitted.where != path:
                tried.append(fitted)
    # The variant that was gone into is the one that was meant; a mismatch at its very beginning says less.
    return tried[-1] if tried else _misfit(literal, target, path)


def _misfit(literal: Literal, target: LiteralType, path: str, reason: str = "") -> errors.ConversionError:
    message = f"expected {literal_types.brief(target)}, got {scalars.describe(literal)}"
    return errors.ConversionError(f"{message}: {reason}" if reason else message, where=path)


def is_exact(value: int) -> bool:
    """Whether an int is the same number as a float."""
    try:
        return int(float(value)) == value
    except OverflowError:
        return False
