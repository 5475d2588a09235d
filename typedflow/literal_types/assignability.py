"""Whether a value of one type may be given where another is asked for; when not, why, and what to do.

`is_assignable(source, target)` is one pure function, and these are its rules; what they do not name is refused:

- equal types (`literal_types.equal`) always are;
- `T` to a union that has a variant for it, the equal one before the first that accepts it; a union to whatever takes
  each of its variants;
- `list[S]` to `list[T]`, `dict[str, S]` to `dict[str, T]` and `list[S]` to `Iterator[T]` when `S` is to `T`; the empty
  list and the empty dict (of `Never`) to any; `Iterator[S]` to `Iterator[T]` only when `S` and `T` are equal, because
  its elements are not touched on the way;
- a record to one whose fields are among its own, with equal types; a field that may be missing to one that may be; a
  field that may be missing need not be there at all;
- a tuple to one of as many elements, with equal types; never between tuples, records and lists;
- an enum to one that has all its values, and to a simple type that all its values are of (the value is what travels);
  a simple type to an enum never;
- a file, or a directory, of a format to one of the same or of any; never one to the other;
- an array to one that asks for the same element type and axes, or for none;
- a frame to one whose columns are among its own; to a strict one only what has no others for sure, because it is
  strict, or filtered itself;
- a custom type to one of the same name and representation;
- what is sensitive only to what is sensitive; what is not, to both. Inside what is sensitive the marks of parts do not
  matter: all of it is hidden.

It is reflexive, and whatever is assignable converts without loss (`literals.convert`). It is not transitive, and
nothing may rely on that: a record is assignable to a narrower one without some field, and that one to a record in
which the same field, of another type, may be missing, which the first is not assignable to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from typedflow import spelling
from typedflow.literal_types import building, identity, parts, printing
from typedflow.pb.types_pb2 import LiteralType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from typedflow.pb.types_pb2 import Column, Field, FrameType, RecordType, UnionType

_MOST_LISTED = 10
_MOST_HINTED = 3
_VALUE_TYPES = {
    "string": building.STRING,
    "integer": building.INT,
    "boolean": building.BOOL,
    "float": building.FLOAT,
    "bytes": building.BYTES,
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a value of one type can't be given where another is asked for.

    `reason` is a clause about the source (``column `target` is missing``); `path` says where in the types, empty for
    the whole (`.layers[]`: in the elements of the field `layers`, or in the values of a dict; `[0]`: the first of a
    tuple); `hint` is what to do, or empty.
    """

    reason: str
    path: str = ""
    hint: str = ""

    def within(self, step: str) -> Mismatch:
        """The same, as seen from one level further out."""
        return Mismatch(self.reason, step + self.path, self.hint)

    def __str__(self) -> str:
        if self.path == "[]":
            return f"inside it, {self.reason}"
        return f"at `{self.path}`: {self.reason}" if self.path else self.reason


def is_assignable(source: LiteralType, target: LiteralType) -> Mismatch | None:
    """Whether every value of `source` may be given where `target` is asked for: None, or the reason why not.

    Visits each pair of places at the same depth once, so its cost is at most the product of the sizes.
    """
    if target.sensitive:
        # Whatever is in it is hidden, so it does not matter what was before.
        return _mismatch(parts.bare(source), parts.bare(target))
    return _mismatch(source, target)


def variant_for(source: LiteralType, target: UnionType) -> int | None:
    """The place of the variant that takes values of `source`: the equal one, else the first it can be assigned to."""
    shape = identity.structure(source)
    for i, variant in enumerate(target.variants):
        if identity.structure(variant) == shape:
            return i
    for i, variant in enumerate(target.variants):
        if is_assignable(source, variant) is None:
            return i
    return None


def _mismatch(source: LiteralType, target: LiteralType) -> Mismatch | None:
    """The same for a target that is not sensitive itself."""
    if identity.equal(source, target):
        return None
    if source.HasField("union"):
        return _from_union(source, target)
    if target.HasField("union"):
        return _into_union(source, target)
    if source.sensitive:
        return Mismatch(
            f"it is sensitive, and {printing.brief(target)} is not",
            hint=f"say `Annotated[{printing.brief(target)}, Sensitive]` where it goes",
        )
    kind, wanted = source.WhichOneof("type"), target.WhichOneof("type")
    rule = _RULES.get((kind or "", wanted or ""), _other)
    return rule(source, target)


# Unions


def _from_union(source: LiteralType, target: LiteralType) -> Mismatch | None:
    for variant in parts.variants(source):
        mismatch = is_assignable(variant, target)
        if mismatch is None:
            continue
        if building.plain(variant) == building.NONE and not variant.sensitive:
            return Mismatch(
                f"it may be None, which {printing.brief(target)} is not",
                hint=f"say `{printing.brief(target)} | None` where it goes",
            )
        if target.HasField("union") and str(mismatch) == _none_of(variant, target):
            return Mismatch(
                f"it may be {printing.brief(variant)}, which is none of {printing.brief(target)}",
                hint=mismatch.hint,
            )
        return Mismatch(f"it may be {printing.brief(variant)}: {mismatch}", hint=mismatch.hint)
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
    return Mismatch(_none_of(source, target), hint=hint)


def _none_of(source: LiteralType, target: LiteralType) -> str:
    return f"{printing.brief(source)} is none of {printing.brief(target)}"


# Of different kinds


def _enum_to_simple(source: LiteralType, target: LiteralType) -> Mismatch | None:
    of_other_types = [
        m for m in source.enum.members if _VALUE_TYPES.get(m.WhichOneof("value") or "") != target
    ]
    if not of_other_types:
        return None
    shown = printing.member(of_other_types[0])
    return Mismatch(f"its value {shown} is not {printing.brief(target)}")


def _other(source: LiteralType, target: LiteralType) -> Mismatch:
    return Mismatch(
        f"{printing.brief(source)} is not {printing.brief(target)}", hint=_how_to_get(source, target)
    )


def _how_to_get(source: LiteralType, target: LiteralType) -> str:
    match source.WhichOneof("type"), target.WhichOneof("type"):
        case "simple", "simple" if source == building.INT and target == building.FLOAT:
            return "only a constant int that is exact as a float converts by itself; make the upstream give a float"
        case "simple", "enum":
            return f"make the upstream give {printing.brief(target)}: which of its values it gives is not known before"
        case "stream", "list":
            return f"make the input `Iterator[{printing.brief(source.stream.element)}]`"
        case "file", "directory":
            return "make the upstream give a Directory"
        case "directory", "file":
            return "make the input a Directory"
        case "custom", _ if identity.equal(source.custom.representation, target):
            return f"make the input {printing.brief(source)}; nothing takes the place of a custom type"
        case _, "list" if is_assignable(source, target.list.element) is None:
            return "put it in a list"
        case "list", _ if is_assignable(source.list.element, target) is None:
            return "take one of its elements, as with `[0]`, or run the task for each of them with `map_task`"
        case "dict", _ if is_assignable(source.dict.value, target) is None:
            return 'take the value of one of its keys, as with `["key"]`'
        case _:
            return ""


# Of one kind


def _lists(source: LiteralType, target: LiteralType) -> Mismatch | None:
    return _elements(source.list.element, target.list.element)


def _dicts(source: LiteralType, target: LiteralType) -> Mismatch | None:
    return _elements(source.dict.value, target.dict.value)


def _list_to_stream(source: LiteralType, target: LiteralType) -> Mismatch | None:
    return _elements(source.list.element, target.stream.element)


def _elements(source: LiteralType, target: LiteralType) -> Mismatch | None:
    if source.WhichOneof("type") is None:
        return None
    mismatch = is_assignable(source, target)
    return mismatch.within("[]") if mismatch else None


def _records(source: LiteralType, target: LiteralType) -> Mismatch | None:
    given, wanted = source.record, target.record
    if given.positional != wanted.positional:
        one, other = ("a tuple", "has named fields") if given.positional else ("no tuple", "is one")
        return Mismatch(f"{printing.brief(source)} is {one}, and {printing.brief(target)} {other}")
    if given.positional and len(given.fields) != len(wanted.fields):
        return Mismatch(f"it has {_counted(given)}, not {len(wanted.fields)}")
    by_name = {f.name: f for f in given.fields}
    missing = [f.name for f in wanted.fields if f.name not in by_name and not f.optional]
    if missing:
        return Mismatch(_are_missing("field", missing), hint=_did_you_mean(missing, by_name, wanted.fields))
    for field in wanted.fields:
        found = by_name.get(field.name)
        step = f"[{field.name}]" if wanted.positional else f".{field.name}"
        mismatch = _field(found, field) if found else None
        if mismatch:
            return mismatch.within(step)
    return None


def _field(found: Field, wanted: Field) -> Mismatch | None:
    if found.optional and not wanted.optional:
        hint = f"make `{wanted.name}` NotRequired in the input, or required in the upstream"
        return Mismatch("it may be missing", hint=hint)
    if identity.equal(found.type, wanted.type):
        return None
    inner = is_assignable(found.type, wanted.type)
    if inner and inner.path:
        return inner
    reason = f"it is {printing.brief(found.type)}, not {printing.brief(wanted.type)}"
    return Mismatch(reason, hint=inner.hint if inner else "fields of records need equal types")


def _counted(t: RecordType) -> str:
    return "1 element" if len(t.fields) == 1 else f"{len(t.fields)} elements"


def _enums(source: LiteralType, target: LiteralType) -> Mismatch | None:
    wanted = {identity.member_key(m) for m in target.enum.members}
    extra = [printing.member(m) for m in source.enum.members if identity.member_key(m) not in wanted]
    if not extra:
        return None
    shown = ", ".join(extra[:_MOST_LISTED])
    if len(extra) > _MOST_LISTED:
        shown += f" and {len(extra) - _MOST_LISTED} more"
    return Mismatch(f"it may be {shown}, which {printing.brief(target)} is not")


def _files(source: LiteralType, target: LiteralType) -> Mismatch | None:
    return _formats("file", source.file.format, target.file.format)


def _directories(source: LiteralType, target: LiteralType) -> Mismatch | None:
    return _formats("directory", source.directory.format, target.directory.format)


def _formats(noun: str, source: str, target: str) -> Mismatch | None:
    if target in ("", source):
        return None
    if not source:
        name = "File" if noun == "file" else "Directory"
        hint = f'annotate the upstream with `Annotated[{name}, Format("{target}")]`'
        return Mismatch(f"a {noun} of any format is not a {noun} of format `{target}`", hint=hint)
    return Mismatch(f"a {noun} of format `{source}` is not one of format `{target}`")


def _arrays(source: LiteralType, target: LiteralType) -> Mismatch | None:
    given, wanted = source.array, target.array
    hint = f"annotate the upstream as {printing.brief(target)}"
    if wanted.dtype and not given.dtype:
        return Mismatch(f"its element type is not known, and `{wanted.dtype}` is asked for", hint=hint)
    if wanted.dtype not in ("", given.dtype):
        return Mismatch(f"its elements are `{given.dtype}`, not `{wanted.dtype}`")
    if not wanted.HasField("dimensions") or (
        given.HasField("dimensions") and given.dimensions == wanted.dimensions
    ):
        return None
    if not given.HasField("dimensions"):
        return Mismatch(
            f"how many axes it has is not known, and {wanted.dimensions} are asked for", hint=hint
        )
    axes = "1 axis" if given.dimensions == 1 else f"{given.dimensions} axes"
    return Mismatch(f"it has {axes}, not {wanted.dimensions}")


def _streams(source: LiteralType, target: LiteralType) -> Mismatch:
    given, wanted = source.stream.element, target.stream.element
    inner = is_assignable(given, wanted)
    if inner and inner.path:
        return inner.within("[]")
    reason = f"its elements are {printing.brief(given)}, not {printing.brief(wanted)}"
    return Mismatch(reason, "[]", inner.hint if inner else "elements of iterators need equal types")


def _customs(source: LiteralType, target: LiteralType) -> Mismatch:
    if source.custom.name != target.custom.name:
        return Mismatch(f"{printing.brief(source)} is not {printing.brief(target)}")
    given, wanted = source.custom.representation, target.custom.representation
    return Mismatch(
        f"its {source.custom.name} travels as {printing.brief(given)}, not as {printing.brief(wanted)}",
        hint="use the same version of its transformer on both sides",
    )


# Frames


def _frames(source: LiteralType, target: LiteralType) -> Mismatch | None:
    return _frame_columns(source.frame, target.frame)


def _frame_columns(source: FrameType, target: FrameType) -> Mismatch | None:
    if not source.columns and not source.strict and (target.columns or target.strict):
        wanted = printing.brief(LiteralType(frame=target))
        return Mismatch("its columns are not known", hint=f"annotate the upstream as {wanted}")
    given = {c.name: c for c in source.columns}
    missing = [c.name for c in target.columns if c.name not in given and not c.optional]
    problems = [_are_missing("column", missing)] if missing else []
    for wanted_column in target.columns:
        actual = given.get(wanted_column.name)
        problem = _column(actual, wanted_column) if actual else ""
        if problem:
            problems.append(f"column `{wanted_column.name}` {problem}")
    hint = _did_you_mean(missing, given, target.columns)
    if target.strict:
        wanted_names = {c.name for c in target.columns}
        extra = [name for name in given if name not in wanted_names]
        if extra:
            noun = "column" if len(extra) == 1 else "columns"
            problems.append(f"{noun} {_listed(extra)} must not be there")
        elif not source.strict and not source.filter:
            problems.append("it may have further columns, which a strict schema refuses")
            hint = hint or "make the upstream's schema strict too"
    if len(problems) > _MOST_LISTED:
        problems[_MOST_LISTED:] = [f"and {len(problems) - _MOST_LISTED} more"]
    return Mismatch("; ".join(problems), hint=hint) if problems else None


def _column(actual: Column, wanted: Column) -> str:
    if wanted.dtype not in ("", actual.dtype):
        return f"is {printing.dtype(actual.dtype)}, not {printing.dtype(wanted.dtype)}"
    if actual.nullable and not wanted.nullable:
        return "may have nulls"
    if actual.optional and not wanted.optional:
        return "may be missing"
    return ""


# Names


def _are_missing(noun: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{noun} `{names[0]}` is missing"
    return f"{noun}s {_listed(names)} are missing"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{n}`" for n in names[:_MOST_LISTED])
    return shown if len(names) <= _MOST_LISTED else f"{shown} and {len(names) - _MOST_LISTED} more"


def _did_you_mean(missing: Sequence[str], given: Iterable[str], wanted: Iterable[Field | Column]) -> str:
    """A name that is wanted itself was not meant for another."""
    taken = {each.name for each in wanted}
    candidates = [name for name in given if name not in taken]
    pairs = [(name, spelling.nearest(name, candidates)) for name in missing[:_MOST_HINTED]]
    found = [f"`{near}` for `{name}`" for name, near in pairs if near]
    return f"did you mean {', '.join(found)}?" if found else ""


_RULES: Mapping[tuple[str, str], Callable[[LiteralType, LiteralType], Mismatch | None]] = {
    ("list", "list"): _lists,
    ("dict", "dict"): _dicts,
    ("list", "stream"): _list_to_stream,
    ("stream", "stream"): _streams,
    ("record", "record"): _records,
    ("enum", "enum"): _enums,
    ("enum", "simple"): _enum_to_simple,
    ("file", "file"): _files,
    ("directory", "directory"): _directories,
    ("array", "array"): _arrays,
    ("frame", "frame"): _frames,
    ("custom", "custom"): _customs,
}
