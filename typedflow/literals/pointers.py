"""The bytes that a value points at: found wherever they are in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from typedflow.pb.literals_pb2 import Blob, List, Literal, LiteralMap


def blobs(values: LiteralMap) -> Iterator[Blob]:
    """Every object that a map of values points at, in order."""
    for value in values.values:
        yield from blobs_of(value.value)


def blobs_of(literal: Literal) -> Iterator[Blob]:
    """Every object that a literal points at, in order.

    What an offloaded literal holds, or a stream, is not looked into.
    """
    match literal.WhichOneof("value"):
        case "file":
            yield literal.file.blob
        case "frame":
            yield literal.frame.blob
        case "array":
            yield literal.array.blob
        case "stream":
            yield literal.stream.blob
        case "offloaded":
            yield literal.offloaded.blob
        case "directory":
            yield from (entry.blob for entry in literal.directory.entries if entry.HasField("blob"))
        case "union":
            yield from blobs_of(literal.union.value)
        case "record":
            for field in literal.record.fields:
                yield from blobs_of(field.value)
        case "dict":
            yield from _of_list(literal.dict.values)
        case "list":
            yield from _of_list(literal.list)
        case _:
            pass


def _of_list(column: List) -> Iterator[Blob]:
    for element in _loose(column):
        yield from blobs_of(element)


def _loose(column: List) -> Iterable[Literal]:
    """The elements of a list, and of the columns that it is made of, that may point at something."""
    match column.WhichOneof("column"):
        case "literals":
            yield from column.literals.values
        case "records":
            for field in column.records.columns:
                yield from _loose(field.values)
        case "lists":
            yield from _loose(column.lists.elements)
        case "dicts":
            yield from _loose(column.dicts.values)
        case "unions":
            for variant in column.unions.columns:
                yield from _loose(variant)
        case _:
            pass
