"""Large literals travel by reference: they are objects of the store, and `Offloaded` stands for them.

What stands for a literal carries its content digest, so cache keys are the same either way. Only whole values of inputs
and outputs are offloaded, but one may end up inside another value (a list of promises), so loading looks everywhere.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from google.protobuf import message

from typedflow import errors, hashing, literals
from typedflow.pb import interface_pb2, literals_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typedflow.dataplane.objects import ObjectStore

LIMIT = 1024 * 1024
"""The most bytes of a serialized literal that travels inline."""

_SMALL = 128 * 1024
"""Never offloaded among outputs: shorter strings have other digests inside other values (see `hashing`)."""


def offload_all(
    values: literals_pb2.LiteralMap, store: ObjectStore, *, limit: int = LIMIT, small: int = _SMALL
) -> None:
    """Offloads the largest of the values, in place, until what travels inline is at most `limit` bytes.

    Args:
        small: literals of no more bytes stay, so that many of them may exceed the limit together.
    """
    sizes = [each.value.ByteSize() for each in values.values]
    inline = sum(sizes)
    for number in sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True):
        if inline <= limit or sizes[number] <= small:
            return
        value = values.values[number].value
        value.CopyFrom(offload(value, store, limit=0))
        inline -= sizes[number]


def offload(literal: literals_pb2.Literal, store: ObjectStore, *, limit: int = LIMIT) -> literals_pb2.Literal:
    """The literal itself if it is small, else one that stands for it."""
    if literal.WhichOneof("value") == "offloaded" or literal.ByteSize() <= limit:
        return literal
    blob = store.put_bytes(literal.SerializeToString(deterministic=True))
    offloaded = literals_pb2.Offloaded(content=hashing.of_value(literal), blob=blob)
    return literals_pb2.Literal(offloaded=offloaded, content=literal.content)


def load(literal: literals_pb2.Literal, store: ObjectStore) -> literals_pb2.Literal:
    """The literal with everything in it that was offloaded; the same object when nothing was.

    Raises:
        IntegrityError: an object is gone, or is not what its digest says.
    """
    if not _has_offloaded(literal):
        return literal
    whole = literals_pb2.Literal()
    whole.CopyFrom(literal)
    _load_in_place(whole, store)
    return whole


def load_inputs(
    values: literals_pb2.LiteralMap, variables: Iterable[interface_pb2.Variable], store: ObjectStore
) -> literals_pb2.LiteralMap:
    """The inputs of a task with everything in them that was offloaded.

    What is elsewhere is of any type until it is here, so what comes from there is held against the input's.

    Raises:
        IntegrityError: an object is gone, or is not what its digest says.
        ConversionError: what was offloaded is not of its input's type; names the place in it.
    """
    types = {each.name: each.type for each in variables}
    loaded = literals_pb2.LiteralMap()
    for each in values.values:
        whole = load(each.value, store)
        if whole is not each.value and each.name in types:
            where = f"inputs.{each.name}"
            if wrong := literals.misfit(whole, types[each.name], where):
                place, _, message = wrong.partition(": ")
                raise errors.ConversionError(message or wrong, where=place if message else where)
        loaded.values.add(name=each.name).value.CopyFrom(whole)
    return loaded


def _has_offloaded(literal: literals_pb2.Literal) -> bool:
    return literal.WhichOneof("value") == "offloaded" or any(map(_has_offloaded, _parts(literal)))


def _load_in_place(literal: literals_pb2.Literal, store: ObjectStore) -> None:
    if literal.WhichOneof("value") == "offloaded":
        blob = literal.offloaded.blob
        uri, data = blob.uri, store.read_bytes(blob)
        try:
            literal.ParseFromString(data)
        except message.DecodeError:
            raise errors.IntegrityError("the object is not an offloaded value", where=uri) from None
    for part in _parts(literal):
        _load_in_place(part, store)


def _parts(literal: literals_pb2.Literal) -> Iterable[literals_pb2.Literal]:
    """The literals in a literal. What is packed in a column is none of them, and nothing packed is offloaded."""
    match literal.WhichOneof("value"):
        case "union":
            return (literal.union.value,)
        case "record":
            return (field.value for field in literal.record.fields)
        case "list":
            return _loose_elements(literal.list)
        case "dict":
            return _loose_elements(literal.dict.values)
        case _:
            return ()


def _loose_elements(values: literals_pb2.List) -> Iterable[literals_pb2.Literal]:
    """The literals in a list's columns."""
    match values.WhichOneof("column"):
        case "literals":
            return values.literals.values
        case "records":
            columns = [column.values for column in values.records.columns]
        case "unions":
            columns = [*values.unions.columns]
        case "lists":
            return _loose_elements(values.lists.elements)
        case "dicts":
            return _loose_elements(values.dicts.values)
        case _:
            return ()
    return itertools.chain.from_iterable(map(_loose_elements, columns))
