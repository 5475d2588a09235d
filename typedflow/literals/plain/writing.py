"""Literals as plain JSON values."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from typedflow import errors, literal_types
from typedflow.literals import columns, lists, scalars
from typedflow.literals.plain import forms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from typedflow.pb.literals_pb2 import Blob, List, Literal, Record, Union
    from typedflow.pb.types_pb2 import LiteralType


def to_json(literal: Literal, type: LiteralType | None = None) -> object:  # noqa: A002 - what it is
    """The plain value of a literal. With its type, `from_json` gives the same literal back, except what is outside.

    A Sensitive value is `"***"`, which takes its type to know: whoever shows values to people passes the type.
    """
    return _plain(literal, type)


def _plain(literal: Literal, of: LiteralType | None) -> object:
    if of is None:
        return _parts(literal, None)
    if of.sensitive:
        return forms.HIDDEN
    match of.WhichOneof("type"):
        case "custom":
            return _plain(literal, of.custom.representation)
        case "enum":
            return _member(literal, of)
        case "list" | "stream" | "dict" | "record" | "union" as kind:
            if literal.WhichOneof("value") in _LITERALS[kind]:
                return _parts(literal, of)
            return _astray(literal, of)
        case _:
            return _parts(literal, None)


def _astray(literal: Literal, of: LiteralType) -> object:
    """A value that is not of the type that it should be of: shown, unless something in the type is Sensitive."""
    return forms.HIDDEN if literal_types.has_sensitive(of) else _parts(literal, None)


def _parts(literal: Literal, of: LiteralType | None) -> object:
    """The same for a type that is this value's kind."""
    match literal.WhichOneof("value"):
        case "list":
            return _elements(literal.list, _element(of))
        case "union":
            return _variant(literal.union, of)
        case "record":
            return _fields(literal.record, of)
        case "dict":
            values = _elements(literal.dict.values, None if of is None else of.dict.value)
            return dict(zip(literal.dict.keys, values, strict=False))
        case "file" | "directory" | "frame" | "array" | "stream" | "offloaded":
            return _outside(literal)
        case None:  # as `redacted` leaves it
            return forms.HIDDEN
        case _:
            return forms.scalar_form(literal)


def _element(of: LiteralType | None) -> LiteralType | None:
    if of is None:
        return None
    return of.list.element if of.HasField("list") else of.stream.element


def _elements(found: List, of: LiteralType | None) -> list[object]:
    """The plain values of a list's elements, of which `of` is the type; column by column where that can be."""
    while of is not None and of.HasField("custom") and not of.sensitive:
        of = of.custom.representation
    if of is not None and of.sensitive:
        return [forms.HIDDEN] * columns.length(found)
    made = _column(found) if of is None or of.HasField("simple") else _nested(found, of)
    return [_plain(e, of) for e in lists.elements(found)] if made is None else made


def _column(found: List) -> list[object] | None:
    match found.WhichOneof("column"):
        case "booleans":
            return [*found.booleans.values]
        case "integers":
            return [*found.integers.values]
        case "floats":
            return [forms.float_form(v) for v in found.floats.values]
        case "strings":
            return [*found.strings.values]
        case _:
            return None


def _nested(found: List, of: LiteralType) -> list[object] | None:
    """The same for elements that have parts; None where they are not what the type says."""
    match found.WhichOneof("column"), of.WhichOneof("type"):
        case "lists", "list":
            values = _elements(found.lists.elements, of.list.element)
            ends = [*itertools.accumulate(found.lists.lengths, initial=0)]
            return [values[start:end] for start, end in itertools.pairwise(ends)]
        case "records", "record":
            types = {f.name: f.type for f in of.record.fields}
            names = [column.name for column in found.records.columns]
            if not names or not types.keys() >= set(names):
                return None
            fields = [_elements(column.values, types[column.name]) for column in found.records.columns]
            rows = zip(*fields, strict=True)
            if of.record.positional:
                return [[*row] for row in rows]
            return [dict(zip(names, row, strict=True)) for row in rows]
        case "unions", "union":
            if len(found.unions.columns) > len(of.union.variants):
                return None
            pairs = zip(found.unions.columns, of.union.variants, strict=False)
            return _alternatives(found.unions.variants, [_elements(*pair) for pair in pairs], of)
        case _:
            return None


def _alternatives(variants: Iterable[int], values: Sequence[list[object]], of: LiteralType) -> list[object]:
    rest = [*map(iter, values)]
    plainly: dict[tuple[int, type], bool] = {}  # where the kind of value alone says which variant it is of
    made = []
    for variant in variants:
        plain = next(rest[variant])
        known = (variant, type(plain))
        if known not in plainly:
            plainly[known] = known[1] in forms.BY_KIND and forms.places(of, plain) == [variant]
        made.append(plain if plainly[known] else _told(plain, of, variant))
    return made


def _fields(found: Record, of: LiteralType | None) -> object:
    if of is None:
        made = {f.name: _plain(f.value, None) for f in found.fields}
        by_place = made and [*made] == [*map(str, range(len(made)))]
        return [*made.values()] if by_place else made
    types = {f.name: f.type for f in of.record.fields}
    made = {
        f.name: _plain(f.value, types[f.name]) if f.name in types else _astray(f.value, of)
        for f in found.fields
    }
    return [*made.values()] if of.record.positional else made


def _variant(found: Union, of: LiteralType | None) -> object:
    if of is None:
        return _plain(found.value, None)
    if found.variant >= len(of.union.variants):
        return _astray(found.value, of)
    return _told(_plain(found.value, of.union.variants[found.variant]), of, found.variant)


def _told(plain: object, of: LiteralType, variant: int) -> object:
    """The value of a variant, with what says which where it would be read as another's."""
    if of.union.variants[variant].sensitive or not _is_read_as_another(plain, of, variant):
        return plain
    return {forms.TYPE: forms.tag(variant, of.union), forms.VALUE: plain}


def _is_read_as_another(plain: object, of: LiteralType, variant: int) -> bool:
    if forms.is_tagged(plain):
        return True
    if forms.places(of, plain) == [variant]:
        return False
    from typedflow.literals.plain import fields

    try:
        return fields.read(plain, of, "").union.variant != variant
    except errors.ConversionError:
        return False


def _member(literal: Literal, of: LiteralType) -> object:
    plain = forms.scalar_form(literal)
    if not isinstance(plain, str):
        return plain
    first = forms.member_forms(of.enum).get(forms.key(plain))
    if first is None or scalars.from_member(first).WhichOneof("value") == literal.WhichOneof("value"):
        return plain
    kind = {"string": "str", "float": "float", "bytes": "bytes"}[literal.WhichOneof("value") or "string"]
    return {forms.TYPE: kind, forms.VALUE: plain}


def _outside(literal: Literal) -> dict[str, object]:
    """What is kept outside: what it is, and where."""
    match literal.WhichOneof("value"):
        case "file":
            return {**_blob(literal.file.blob), "format": literal.file.format}
        case "directory":
            tree = literal.directory
            blobs = [entry.blob for entry in tree.entries if entry.HasField("blob")]
            size = sum(blob.size for blob in blobs)
            return {"digest": tree.content, "files": len(blobs), "size": size, "format": tree.format}
        case "frame":
            types = [{"name": c.name, "dtype": c.dtype} for c in literal.frame.type.columns]
            return {**_address(literal.frame.blob), "rows": literal.frame.rows, "columns": types}
        case "array":
            array = literal.array
            return {**_address(array.blob), "dtype": array.dtype, "shape": [*array.shape]}
        case "stream":
            return {**_address(literal.stream.blob), "length": literal.stream.length}
        case _:
            return _blob(literal.offloaded.blob)


def _address(blob: Blob) -> dict[str, object]:
    return {"uri": blob.uri, "digest": blob.digest}


def _blob(blob: Blob) -> dict[str, object]:
    return {**_address(blob), "size": blob.size}


_LITERALS: Mapping[str, frozenset[str]] = {
    "list": frozenset({"list", "offloaded"}),
    "stream": frozenset({"list", "stream", "offloaded"}),
    "dict": frozenset({"dict", "offloaded"}),
    "record": frozenset({"record", "offloaded"}),
    "union": frozenset({"union", "offloaded"}),
}
"""What values of a type that has parts are."""
