"""Streams: iterators as inputs and outputs, written and read chunk by chunk, so that memory never holds all elements.

What a stream is does not depend on how it was cut into chunks. Must never read ahead of what is asked for by more than
a chunk, nor take for its own what the author's iterator raises.
"""

from __future__ import annotations

import collections.abc
import functools
import itertools
import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, get_args, get_origin

from google.protobuf import message

from typedflow import errors, hashing, literal_types, literals
from typedflow.pb import literals_pb2
from typedflow.type_engine import alternatives, author_errors, conversion
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine

_CHUNK = 1024 * 1024
"""About so many bytes are in a chunk."""
_MOST_ELEMENTS = 1024
_FIRST_ELEMENTS = 64
_LENGTH = 8


def stream_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of `Iterator[T]`, `Iterable[T]` or `Generator[T, None, None]`."""
    arguments = get_args(annotation)
    shown = alternatives.text(annotation)
    if not arguments:
        hint = "say what it gives, as in Iterator[int]"
        raise errors.DefinitionError(f"{shown} is not a supported type", hint=hint, code="UnsupportedType")
    if any(each not in (None, type(None)) for each in arguments[1:]):
        hint = "a stream only gives elements: annotate it as Iterator[T]"
        raise errors.DefinitionError(f"{shown} is not a supported type", hint=hint, code="UnsupportedType")
    is_iterable = (get_origin(annotation) or annotation) is collections.abc.Iterable
    return StreamConverter(engine.converter(arguments[0]), again=is_iterable)


class StreamConverter(conversion.Converter):
    """Elements one after another. A consumer gets them as it asks for them; from an `Iterable` more than once.

    A stream is written while the author's iterator runs, so this must be called where the task's context is.
    """

    def __init__(self, element: conversion.Converter, *, again: bool) -> None:
        self._element = element
        self._again = again
        self.type = literal_types.stream_of(element.type)

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        self._check(value, path)
        if type(value) in (list, tuple) and not data.has_store:  # a constant of a definition
            return literals_pb2.Literal(list=self._element.to_column(value, lambda i: f"{path}[{i}]", data))
        data.require(path, "a stream")
        made = literals_pb2.Stream()
        elements = hashing.Elements()

        def written() -> Iterator[bytes]:
            for column in self._columns(value, path, data):
                content = column.SerializeToString(deterministic=True)
                yield len(content).to_bytes(_LENGTH, "little")
                yield content
                elements.add(column)
                made.length += literals.length(column)

        made.blob.CopyFrom(data.put_chunks(written()))
        made.content = elements.digest()
        return literals_pb2.Literal(stream=made)

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        match literal.WhichOneof("value"):
            case "list":
                read = functools.partial(self._listed, literal.list, path, data)
            case "stream":
                read = functools.partial(self._read, literal.stream, path, data)
            case _:
                raise conversion.mismatch(path, self.type, literal)
        return _Elements(read) if self._again else read()

    def is_exact(self, value: Any) -> bool:
        return isinstance(value, collections.abc.Iterator)

    def _check(self, value: Any, path: str) -> None:
        hint = ""
        if isinstance(value, (str, bytes, bytearray, Mapping)):
            hint = "a text or a mapping is one value: write iter(...) of what is meant"
        elif isinstance(value, (set, frozenset)):
            hint = "a set has no order: write sorted(...)"
        elif hasattr(value, "__aiter__"):
            hint = "an asynchronous iterator can't be a stream: make it a generator with `yield`, without `async`"
        elif isinstance(value, collections.abc.Iterable):
            return
        raise conversion.misfit(path, self.type, value, hint=hint)

    def _columns(self, value: Any, path: str, data: Data) -> Iterator[literals_pb2.List]:
        start, most = 0, _FIRST_ELEMENTS
        iterator = _started(value)
        try:
            while batch := _batch(iterator, most):
                column = self._element.to_column(batch, _place(path, start), data)
                yield column
                start += len(batch)
                most = max(1, min(_MOST_ELEMENTS, len(batch) * _CHUNK // max(1, column.ByteSize())))
        finally:
            if isinstance(iterator, collections.abc.Generator):
                iterator.close()  # what it holds is given back where its task still runs

    def _listed(self, column: literals_pb2.List, path: str, data: Data) -> Generator[Any, None, None]:
        yield from self._element.from_column(column, _place(path, 0), data)

    def _read(self, stream: literals_pb2.Stream, path: str, data: Data) -> Generator[Any, None, None]:
        start = 0
        with data.open(stream.blob) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            while (column := _next(file, size - file.tell(), stream)) is not None:
                yield from self._element.from_column(column, _place(path, start), data)
                start += literals.length(column)
        if start != stream.length:
            told = f"the stored stream has {start} elements, not {stream.length}"
            raise errors.IntegrityError(told, where=stream.blob.uri)


class _Elements:
    """A received stream that can be gone through more than once."""

    def __init__(self, read: Callable[[], Generator[Any, None, None]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[Any]:
        return self._read()


def _place(path: str, start: int) -> conversion.Place:
    return lambda i: f"{path}[{start + i}]"


def _started(value: Any) -> Iterator[Any]:
    """The author's iterator. Raises Raised: what making it raised."""
    try:
        return iter(value)
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        raise author_errors.Raised(error) from None


def _batch(iterator: Iterator[Any], most: int) -> list[Any]:
    """The next elements: at most so many, and fewer where they are large. Raises Raised: what the iterator raised."""
    batch: list[Any] = []
    weight = 0
    try:
        for element in itertools.islice(iterator, most):
            batch.append(element)
            weight += sys.getsizeof(element)
            if weight > _CHUNK:
                break
    except Exception as error:  # noqa: BLE001 - as above
        raise author_errors.Raised(error) from None
    return batch


def _next(file: BinaryIO, left: int, stream: literals_pb2.Stream) -> literals_pb2.List | None:
    """The next chunk of a stream, of whose file so many bytes are left; None at its end."""
    if not left:
        return None
    length = int.from_bytes(file.read(_LENGTH), "little")
    if length + _LENGTH <= left:
        try:
            return literals_pb2.List.FromString(file.read(length))
        except message.DecodeError:
            pass
    raise errors.IntegrityError("the object is not a stream", where=stream.blob.uri)
