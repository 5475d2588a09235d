"""Types of values: build them, print them, and say whether a value of one may be given where another is asked for.

`LiteralType` messages are the model. Two types are the same when their structure is: the names of records and of
schemas, defaults of fields and descriptions are for people. A message whose `type` is unset is `Never`, which no
value has: it is the element of the list that is always empty. Nothing here looks at values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from typedflow import errors, spelling
from typedflow.pb import types_pb2
from typedflow.pb.types_pb2 import (
    Column,
    Field,
    FileType,
    FrameSchema,
    FrameType,
    ListType,
    LiteralType,
    RecordType,
    UnionType,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Shared messages: never mutate them.
NONE = LiteralType(simple=types_pb2.SIMPLE_TYPE_NONE)
BOOL = LiteralType(simple=types_pb2.SIMPLE_TYPE_BOOL)
INT = LiteralType(simple=types_pb2.SIMPLE_TYPE_INT)
FLOAT = LiteralType(simple=types_pb2.SIMPLE_TYPE_FLOAT)
STRING = LiteralType(simple=types_pb2.SIMPLE_TYPE_STRING)
DATETIME = LiteralType(simple=types_pb2.SIMPLE_TYPE_DATETIME)

MAX_DEPTH = 24
"""How deep types may be nested; the compiler refuses deeper ones."""

_LONGEST_BRIEF = 160
_MOST_LISTED = 10
_MOST_HINTED = 3

Structure: TypeAlias = "tuple[Structure | str | int | bool, ...]"
"""What two types share exactly when they are equal; hashable."""

_SIMPLE_NAMES = {
    types_pb2.SIMPLE_TYPE_UNSPECIFIED: "unspecified",
    types_pb2.SIMPLE_TYPE_NONE: "None",
    types_pb2.SIMPLE_TYPE_BOOL: "bool",
    types_pb2.SIMPLE_TYPE_INT: "int",
    types_pb2.SIMPLE_TYPE_FLOAT: "float",
    types_pb2.SIMPLE_TYPE_STRING: "str",
    types_pb2.SIMPLE_TYPE_DATETIME: "datetime",
}
_DTYPE_NAMES = {"int64": "int", "double": "float", "string": "str", "bool": "bool", "": "Any"}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a value of one type can't be given where another is asked for.

    `reason` is a clause about the source (``column `target` is missing``); `path` says where in the types, empty for
    the whole (`.layers[]`: in the elements of the field `layers`); `hint` is what to do, or empty.
    """

    reason: str
    path: str = ""
    hint: str = ""

    def within(self, step: str) -> Mismatch:
        """The same, as seen from one level further out."""
        return Mismatch(self.reason, step + self.path, self.hint)

    def __str__(self) -> str:
        return f"at `{self.path}`: {self.reason}" if self.path else self.reason


# Building


def list_of(t: LiteralType) -> LiteralType:
    """A list of `t`."""
    return LiteralType(list=ListType(element=t))


def optional(t: LiteralType) -> LiteralType:
    """`t | None`; `t` itself when it has None already."""
    if is_optional(t):
        return t
    return union(t, NONE)


def union(*ts: LiteralType) -> LiteralType:
    """One of several types, in declared order; unions among them are taken apart.

    Raises DefinitionError when a variant is there twice: a value could not say which it is.
    """
    variants: list[LiteralType] = []
    seen: dict[Structure, LiteralType] = {}
    for variant in (v for t in ts for v in (t.union.variants if t.HasField("union") else (t,))):
        shape = structure(variant)
        if shape in seen:
            raise errors.DefinitionError(
                f"`{text(seen[shape])}` and `{text(variant)}` have the same structure, so a union can't have both",
                hint="leave one out, or give one of them a field that the other lacks",
                code="UnsupportedType",
            )
        seen[shape] = variant
        variants.append(variant)
    if not variants:
        raise errors.DefinitionError("a union needs at least one type", code="UnsupportedType")
    if len(variants) == 1:
        return variants[0]
    return LiteralType(union=UnionType(variants=variants))


def record(name: str, fields: Mapping[str, LiteralType], *, defaults: Iterable[str] = ()) -> LiteralType:
    """Named fields in order; `defaults` names those that the author's class has defaults for."""
    optional_fields = frozenset(defaults)
    made = [Field(name=n, type=t, has_default=n in optional_fields) for n, t in fields.items()]
    return LiteralType(record=RecordType(name=name, fields=made))


def file(format: str = "") -> LiteralType:  # noqa: A002 - the field's name
    """A file; of one format (`csv`) when there is one."""
    return LiteralType(file=FileType(format=format))


def frame(
    columns: Sequence[Column] = (), strict: bool = False, schema: FrameSchema | None = None
) -> LiteralType:
    """A table; of unknown columns when there are none and it is not strict."""
    return LiteralType(frame=FrameType(columns=columns, strict=strict, schema=schema))


# Looking at one type


def is_optional(t: LiteralType) -> bool:
    """Whether None is a value of it."""
    return t == NONE or (t.HasField("union") and NONE in t.union.variants)


def depth(t: LiteralType) -> int:
    """How many lists, unions and records are around its innermost type: 0 for int, 1 for list[int].

    Without recursion, so that it can be asked of any message.
    """
    deepest = 0
    todo = [(t, 0)]
    while todo:
        current, level = todo.pop()
        deepest = max(deepest, level)
        todo.extend((child, level + 1) for child in _children(current))
    return deepest


def _children(t: LiteralType) -> list[LiteralType]:
    match t.WhichOneof("type"):
        case "list":
            return [t.list.element]
        case "union":
            return list(t.union.variants)
        case "record":
            return [f.type for f in t.record.fields]
        case _:
            return []


def field(t: LiteralType, name: str) -> Field | None:
    """The field of a record type; None when there is none of the name."""
    return next((f for f in t.record.fields if f.name == name), None)


def text(t: LiteralType) -> str:
    """The type as Python prints it: `list[int | None]`, `dataframe[mean_radius: float]`, `File[csv]`, `Config`."""
    match t.WhichOneof("type"):
        case "simple":
            return _SIMPLE_NAMES.get(t.simple, "unspecified")
        case "list":
            return f"list[{text(t.list.element)}]"
        case "union":
            return " | ".join(text(v) for v in t.union.variants)
        case "record":
            if t.record.name:
                return t.record.name
            return f"record{{{', '.join(f'{f.name}: {text(f.type)}' for f in t.record.fields)}}}"
        case "file":
            return f"File[{t.file.format}]" if t.file.format else "File"
        case "frame":
            return _frame_text(t.frame)
        case None:
            return "Never"


def brief(t: LiteralType) -> str:
    """The text of a type for a sentence: cut when it is long."""
    shown = text(t)
    return shown if len(shown) <= _LONGEST_BRIEF else f"{shown[: _LONGEST_BRIEF - 3]}..."


def _frame_text(t: FrameType) -> str:
    kind = "strict dataframe" if t.strict else "dataframe"
    if not t.columns:
        return f"{kind}[]" if t.strict else kind
    return f"{kind}[{', '.join(map(_column_text, t.columns))}]"


def _column_text(c: Column) -> str:
    name = f"{c.name}?" if c.optional else c.name
    dtype = _DTYPE_NAMES.get(c.dtype, c.dtype)
    return f"{name}: {dtype} | None" if c.nullable else f"{name}: {dtype}"


def structure(t: LiteralType) -> Structure:
    """All of a type that matters, as nested tuples: without names for people, descriptions and defaults of fields."""
    match t.WhichOneof("type"):
        case "simple":
            return ("simple", int(t.simple))
        case "list":
            return ("list", structure(t.list.element))
        case "union":
            return ("union", *(structure(v) for v in t.union.variants))
        case "record":
            return ("record", *((f.name, structure(f.type)) for f in t.record.fields))
        case "file":
            return ("file", t.file.format)
        case "frame":
            columns = ((c.name, c.dtype, c.nullable, c.optional) for c in t.frame.columns)
            return ("frame", t.frame.strict, t.frame.schema.digest, *columns)
        case None:
            return ("never",)


def equal(a: LiteralType, b: LiteralType) -> bool:
    """Whether both have the same structure."""
    return a == b or structure(a) == structure(b)


# Assignability


def is_assignable(source: LiteralType, target: LiteralType) -> Mismatch | None:
    """Whether every value of `source` may be given where `target` is asked for: None, or the reason why not.

    Reflexive. Visits each pair of places at the same depth once, so its cost is at most the product of the sizes.
    """
    if equal(source, target):
        return None
    if source.HasField("union"):
        return _from_union(source, target)
    if target.HasField("union"):
        return _into_union(source, target)
    kind = source.WhichOneof("type")
    if kind is None or kind == "simple" or kind != target.WhichOneof("type"):
        return _other_kind(source, target)
    match kind:
        case "list":
            if source.list.element.WhichOneof("type") is None:
                return None
            mismatch = is_assignable(source.list.element, target.list.element)
            return mismatch.within("[]") if mismatch else None
        case "record":
            return _record_mismatch(source.record, target.record)
        case "file":
            return _file_mismatch(source.file, target.file)
        case _:
            return _frame_mismatch(source.frame, target.frame)


def variant_for(source: LiteralType, target: UnionType) -> int | None:
    """The place of the variant that takes values of `source`: the equal one, else the first it can be assigned to."""
    shape = structure(source)
    for i, variant in enumerate(target.variants):
        if structure(variant) == shape:
            return i
    for i, variant in enumerate(target.variants):
        if is_assignable(source, variant) is None:
            return i
    return None


def _from_union(source: LiteralType, target: LiteralType) -> Mismatch | None:
    for variant in source.union.variants:
        mismatch = is_assignable(variant, target)
        if mismatch is None:
            continue
        if variant == NONE:
            return Mismatch(
                f"it may be None, which {brief(target)} is not",
                hint=f"make the input `{brief(target)} | None`",
            )
        if target.HasField("union"):
            return Mismatch(
                f"it may be {brief(variant)}, which is none of {brief(target)}", hint=mismatch.hint
            )
        return Mismatch(f"it may be {brief(variant)}: {mismatch}", hint=mismatch.hint)
    return None


def _into_union(source: LiteralType, target: LiteralType) -> Mismatch | None:
    mismatches = []
    for variant in target.union.variants:
        mismatch = is_assignable(source, variant)
        if mismatch is None:
            return None
        if variant.WhichOneof("type") == source.WhichOneof("type"):
            mismatches.append((variant, mismatch))
    # One variant of the same kind is what the author meant, so its reason says more than the whole union's.
    if len(mismatches) == 1 and not source.HasField("simple"):
        return mismatches[0][1]
    hint = next((m.hint for _, m in mismatches if m.hint), "")
    return Mismatch(f"{brief(source)} is none of {brief(target)}", hint=hint)


def _other_kind(source: LiteralType, target: LiteralType) -> Mismatch:
    hint = ""
    if source == INT and target == FLOAT:
        hint = (
            "only a constant int that is exact as a float converts by itself; make the upstream give a float"
        )
    elif target.HasField("list") and is_assignable(source, target.list.element) is None:
        hint = "put it in a list"
    return Mismatch(f"{brief(source)} is not {brief(target)}", hint=hint)


def _record_mismatch(source: RecordType, target: RecordType) -> Mismatch | None:
    given = {f.name: f.type for f in source.fields}
    missing = [f.name for f in target.fields if f.name not in given]
    if missing:
        return Mismatch(_are_missing("field", missing), hint=_did_you_mean(missing, given))
    for wanted in target.fields:
        actual = given[wanted.name]
        if not equal(actual, wanted.type):
            inner = is_assignable(actual, wanted.type)
            reason = f"it is {brief(actual)}, not {brief(wanted.type)}"
            if inner is None:
                return Mismatch(reason, f".{wanted.name}", "fields of records need equal types")
            if inner.path:
                return inner.within(f".{wanted.name}")
            return Mismatch(reason, f".{wanted.name}", inner.hint)
    return None


def _file_mismatch(source: FileType, target: FileType) -> Mismatch | None:
    if target.format in ("", source.format):
        return None
    if not source.format:
        hint = f'annotate the upstream with `Annotated[File, Format("{target.format}")]`'
        return Mismatch(f"a file of any format is not a file of format `{target.format}`", hint=hint)
    return Mismatch(f"a file of format `{source.format}` is not one of format `{target.format}`")


def _frame_mismatch(source: FrameType, target: FrameType) -> Mismatch | None:
    if not source.columns and not source.strict and (target.columns or target.strict):
        wanted = LiteralType(frame=target)
        return Mismatch("its columns are not known", hint=f"annotate the upstream as {brief(wanted)}")
    given = {c.name: c for c in source.columns}
    missing = [c.name for c in target.columns if c.name not in given and not c.optional]
    problems = [_are_missing("column", missing)] if missing else []
    for wanted_column in target.columns:
        actual = given.get(wanted_column.name)
        problem = _column_problem(actual, wanted_column) if actual else ""
        if problem:
            problems.append(f"column `{wanted_column.name}` {problem}")
    hint = _did_you_mean(missing, given)
    if target.strict:
        wanted_names = {c.name for c in target.columns}
        extra = [name for name in given if name not in wanted_names]
        if extra:
            noun = "column" if len(extra) == 1 else "columns"
            problems.append(f"{noun} {_listed(extra)} must not be there")
        elif not source.strict:
            problems.append("it may have further columns, which a strict schema refuses")
            hint = hint or "make the upstream's schema strict too"
    if len(problems) > _MOST_LISTED:
        problems[_MOST_LISTED:] = [f"and {len(problems) - _MOST_LISTED} more"]
    return Mismatch("; ".join(problems), hint=hint) if problems else None


def _column_problem(actual: Column, wanted: Column) -> str:
    if wanted.dtype not in ("", actual.dtype):
        return f"is {_DTYPE_NAMES.get(actual.dtype, actual.dtype)}, not {_DTYPE_NAMES.get(wanted.dtype, wanted.dtype)}"
    if actual.nullable and not wanted.nullable:
        return "may have nulls"
    if actual.optional and not wanted.optional:
        return "may be missing"
    return ""


def _are_missing(noun: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{noun} `{names[0]}` is missing"
    return f"{noun}s {_listed(names)} are missing"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{n}`" for n in names[:_MOST_LISTED])
    return shown if len(names) <= _MOST_LISTED else f"{shown} and {len(names) - _MOST_LISTED} more"


def _did_you_mean(missing: Sequence[str], given: Iterable[str]) -> str:
    candidates = list(given)
    pairs = [(name, spelling.nearest(name, candidates)) for name in missing[:_MOST_HINTED]]
    found = [f"`{near}` for `{name}`" for name, near in pairs if near]
    return f"did you mean {', '.join(found)}?" if found else ""
