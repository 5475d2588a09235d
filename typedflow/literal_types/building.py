"""Types from their parts, as an annotation is read. Never a type that means something else than was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import errors
from typedflow.literal_types import identity, printing
from typedflow.pb import types_pb2
from typedflow.pb.types_pb2 import (
    ArrayType,
    CustomType,
    DictType,
    DirectoryType,
    EnumMember,
    EnumType,
    Field,
    FileType,
    FrameType,
    ListType,
    LiteralType,
    RecordType,
    StreamType,
    UnionType,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from typedflow.literal_types.identity import EnumValue, Structure
    from typedflow.pb.types_pb2 import Column, FrameSchema

# Shared messages: never mutate them.
NONE = LiteralType(simple=types_pb2.SIMPLE_TYPE_NONE)
BOOL = LiteralType(simple=types_pb2.SIMPLE_TYPE_BOOL)
INT = LiteralType(simple=types_pb2.SIMPLE_TYPE_INT)
FLOAT = LiteralType(simple=types_pb2.SIMPLE_TYPE_FLOAT)
STRING = LiteralType(simple=types_pb2.SIMPLE_TYPE_STRING)
BYTES = LiteralType(simple=types_pb2.SIMPLE_TYPE_BYTES)
DATETIME = LiteralType(simple=types_pb2.SIMPLE_TYPE_DATETIME)
DATE = LiteralType(simple=types_pb2.SIMPLE_TYPE_DATE)
DURATION = LiteralType(simple=types_pb2.SIMPLE_TYPE_DURATION)
DECIMAL = LiteralType(simple=types_pb2.SIMPLE_TYPE_DECIMAL)


# Containers


def list_of(t: LiteralType) -> LiteralType:
    """A list of `t`."""
    return LiteralType(list=ListType(element=t))


def dict_of(value: LiteralType) -> LiteralType:
    """A dict with text keys and values of `value`, in an order of its own."""
    return LiteralType(dict=DictType(value=value))


def stream_of(element: LiteralType) -> LiteralType:
    """An iterator over elements of `element`, never all in memory."""
    return LiteralType(stream=StreamType(element=element))


def tuple_of(*elements: LiteralType) -> LiteralType:
    """A tuple of exactly these: a record whose fields go by their places."""
    fields = [Field(name=str(i), type=t) for i, t in enumerate(elements)]
    return LiteralType(record=RecordType(fields=fields, positional=True))


def record(
    name: str,
    fields: Mapping[str, LiteralType],
    *,
    defaults: Iterable[str] = (),
    optional: Iterable[str] = (),
) -> LiteralType:
    """Named fields in order.

    `defaults` names those that the author's class has defaults for, `optional` those that a value may be without.
    """
    with_default, may_be_missing = frozenset(defaults), frozenset(optional)
    made = [
        Field(name=n, type=t, has_default=n in with_default, optional=n in may_be_missing)
        for n, t in fields.items()
    ]
    return LiteralType(record=RecordType(name=name, fields=made))


EXECUTION_ERROR = record("ExecutionError", dict.fromkeys(("code", "kind", "message", "node"), STRING))
"""Why an execution failed, as what runs then is given it."""


# One of several


def is_optional(t: LiteralType) -> bool:
    """Whether None is a value of it."""
    return plain(t) == NONE or (t.HasField("union") and any(plain(v) == NONE for v in t.union.variants))


def optional(t: LiteralType) -> LiteralType:
    """`t | None`; `t` itself when it has None already."""
    if is_optional(t):
        return t
    return union(t, NONE)


def union(*ts: LiteralType) -> LiteralType:
    """One of several types, in declared order.

    Unions among them are taken apart, each variant as sensitive as its union.
    Raises DefinitionError when a variant is there twice: a value could not say which it is.
    """
    variants: list[LiteralType] = []
    seen: dict[Structure, LiteralType] = {}
    for variant in (v for t in ts for v in _apart(t)):
        shape = identity.structure(variant)
        if shape in seen:
            one, other = printing.text(seen[shape]), printing.text(variant)
            raise errors.DefinitionError(
                f"`{one}` and `{other}` have the same structure, so a union can't have both",
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


def _apart(t: LiteralType) -> Sequence[LiteralType]:
    if not t.HasField("union"):
        return (t,)
    return [sensitive(v) for v in t.union.variants] if t.sensitive else t.union.variants


def enum(name: str, members: Mapping[str, EnumValue]) -> LiteralType:
    """One of the members of an `Enum` class, by their values.

    Raises DefinitionError for a value that can't travel, for one that is there twice, and when there is none.
    """
    return _enum(name, members.items())


def choice(*values: EnumValue) -> LiteralType:
    """One of these values, as `Literal["a", "b"]` has it. Raises DefinitionError as `enum` does."""
    return _enum("", [("", v) for v in values])


def _enum(name: str, members: Iterable[tuple[str, EnumValue]]) -> LiteralType:
    whole = f"`{name}`" if name else "a Literal"
    made = [
        _member(member, value, f"`{name}.{member}`" if name else repr(value)) for member, value in members
    ]
    if not made:
        raise errors.DefinitionError(f"{whole} has no values", code="UnsupportedType")
    seen: set[object] = set()
    for member in made:
        key = identity.member_key(member)
        if key in seen:
            message = f"{whole} has the value {identity.member_value(member)!r:.60} twice"
            raise errors.DefinitionError(message, hint="leave one out", code="UnsupportedType")
        seen.add(key)
    return LiteralType(enum=EnumType(name=name, members=made))


def _member(name: str, value: EnumValue, shown: str) -> EnumMember:
    try:
        match value:
            case bool():
                return EnumMember(name=name, boolean=value)
            case int():
                return EnumMember(name=name, integer=int(value))
            case float():
                return EnumMember(name=name, float=float(value))
            case str():
                return EnumMember(name=name, string=str.__str__(value))
            case bytes():
                return EnumMember(name=name, bytes=bytes(value))
    except ValueError:
        reason = "is outside 64 bits" if isinstance(value, int) else "has half a surrogate pair"
        raise errors.DefinitionError(f"the value of {shown} {reason}", code="UnsupportedType") from None
    raise errors.DefinitionError(  # what an author's class may hold
        f"the value of {shown} is a {type(value).__name__}",
        hint="values of members are str, int, bool, float or bytes",
        code="UnsupportedType",
    )


# What is kept outside


def file(format: str = "") -> LiteralType:  # noqa: A002 - the field's name
    """A file; of one format (`csv`) when there is one."""
    return LiteralType(file=FileType(format=format))


def directory(format: str = "") -> LiteralType:  # noqa: A002 - the field's name
    """A tree of files; all of one format when there is one."""
    return LiteralType(directory=DirectoryType(format=format))


def frame(
    columns: Sequence[Column] = (),
    strict: bool = False,
    schema: FrameSchema | None = None,
    *,
    filtered: bool = False,
) -> LiteralType:
    """A table; of unknown columns when there are none and it is not strict. Filtered: others are left out."""
    return LiteralType(frame=FrameType(columns=columns, strict=strict, schema=schema, filter=filtered))


def array(dtype: str = "", dimensions: int | None = None) -> LiteralType:
    """A NumPy array; of any element type, and with any number of axes, where none is given."""
    return LiteralType(array=ArrayType(dtype=dtype, dimensions=dimensions))


def custom(name: str, representation: LiteralType) -> LiteralType:
    """What a transformer takes under a name: values of the representation to anybody else."""
    return LiteralType(custom=CustomType(name=name, representation=representation))


# The mark


def sensitive(t: LiteralType) -> LiteralType:
    """The type with the mark that its values are shown to nobody."""
    if t.sensitive:
        return t
    made = LiteralType()
    made.CopyFrom(t)
    made.sensitive = True
    return made


def plain(t: LiteralType) -> LiteralType:
    """The type without its own mark; those of its parts stay."""
    if not t.sensitive:
        return t
    made = LiteralType()
    made.CopyFrom(t)
    made.sensitive = False
    return made
