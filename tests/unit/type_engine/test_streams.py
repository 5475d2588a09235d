"""Streams: written while the author's iterator runs, read as they are asked for, never all in memory."""

import struct
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from typedflow import current_context, errors, hashing, literal_types, literals, task, type_engine, workflow
from typedflow.dataplane import objects
from typedflow.pb import literals_pb2
from typedflow.type_engine import NO_DATA, Data, File, author_errors, streams

ENGINE = type_engine.standard()
INTS = ENGINE.converter(Iterator[int])
TEXTS = ENGINE.converter(Iterator[str])


@dataclass
class Point:
    x: int
    name: str | None


def publish(value: object, data: Data, converter: type_engine.Converter = INTS) -> literals_pb2.Stream:
    return converter.to_literal(value, "outputs.o0", data).stream


def receive(stream: literals_pb2.Stream, data: Data, converter: type_engine.Converter = INTS) -> Any:
    return converter.from_literal(literals_pb2.Literal(stream=stream), "inputs.xs", data)


@pytest.mark.parametrize("annotation", [Iterator[int], Iterable[int], Generator[int, None, None]], ids=repr)
def test_every_spelling_is_one_type_of_stream(annotation: Any) -> None:
    assert literal_types.equal(ENGINE.converter(annotation).type, INTS.type)
    assert literal_types.text(INTS.type) == "Iterator[int]"


ANYTHING = st.lists(st.integers(-(2**63), 2**63 - 1)) | st.lists(st.integers(0, 1), min_size=1, max_size=5000)


@given(values=ANYTHING)
def test_t2_a_stream_comes_back_element_by_element(values: list[int], data: Data) -> None:
    stream = publish(iter(values), data)
    assert stream.length == len(values)
    assert list(receive(stream, data)) == values


@given(values=st.lists(st.builds(Point, st.integers(0, 9), st.none() | st.text("ab", max_size=3))))
def test_t2_elements_of_any_type_come_back(values: list[Point], data: Data) -> None:
    points = ENGINE.converter(Iterator[Point])
    assert list(receive(publish(iter(values), data, points), data, points)) == values


def test_elements_may_be_files(data: Data, tmp_path: Path) -> None:
    files = ENGINE.converter(Iterator[File])

    def written() -> Iterator[File]:
        for i in range(3):
            (tmp_path / f"{i}.txt").write_text(str(i))
            yield File(tmp_path / f"{i}.txt")

    received = receive(publish(written(), data, files), data, files)
    assert [file.path.read_text() for file in received] == ["0", "1", "2"]


def test_a_consumer_gets_an_iterator_and_an_iterable_can_be_gone_through_again(data: Data) -> None:
    stream = publish(range(3), data)
    once = receive(stream, data)
    assert next(once) == 0
    assert list(once) == [1, 2]
    assert list(once) == []
    again = receive(stream, data, ENGINE.converter(Iterable[int]))
    assert [list(again), list(again)] == [[0, 1, 2], [0, 1, 2]]


def test_nothing_is_fetched_before_the_first_element_is_asked_for(data: Data) -> None:
    stream = publish(range(300, 303), data)
    waiting = receive(stream, data)
    stored = data.local_path(stream.blob)
    assert stored is not None
    stored.unlink()
    with pytest.raises(errors.IntegrityError, match="no longer there"):
        next(waiting)


def test_c3_the_content_is_that_of_the_elements_and_not_of_the_chunks(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = ["a" * i for i in range(300)]
    wanted = publish(iter(values), data, TEXTS)
    monkeypatch.setattr(streams, "_FIRST_ELEMENTS", 7)
    monkeypatch.setattr(streams, "_CHUNK", 500)
    other = publish(iter(values), data, TEXTS)
    assert other.blob != wanted.blob
    assert other.content == wanted.content
    assert list(receive(other, data, TEXTS)) == values
    assert publish(values, data, TEXTS).content == wanted.content
    assert publish(reversed(values), data, TEXTS).content != wanted.content
    assert publish(values[:-1], data, TEXTS).content != wanted.content


def test_c3_the_content_of_a_stream_is_what_the_page_says(data: Data) -> None:
    parts = [
        b"typedflow.stream.1\0",
        b"i",
        struct.pack("<q", 5),
        b"i",
        struct.pack("<q", 6),
    ]
    assert publish([5, 6], data).content == "b3:" + blake3(b"".join(parts)).hexdigest()
    whole = hashing.Elements()
    whole.add(literals.integers([5, 6]))
    split = hashing.Elements()
    split.add(literals.integers([5]))
    split.add(literals.pack([literals.from_int(6)]))
    assert whole.digest() == split.digest()


def test_chunks_hold_about_a_mebibyte_however_large_the_elements_are(data: Data) -> None:
    for size, count in [(10, 5000), (100_000, 60), (3_000_000, 4)]:
        stream = publish(("x" * size for _ in range(count)), data, TEXTS)
        assert all(length < 1_500_000 + size for length in chunk_lengths(stream, data))
    mixed = publish(("x" * (1 if i < 3000 else 500_000) for i in range(3010)), data, TEXTS)
    assert max(chunk_lengths(mixed, data)) < 2_500_000


def chunk_lengths(stream: literals_pb2.Stream, data: Data) -> list[int]:
    content = data.store.read_bytes(stream.blob)
    lengths, at = [], 0
    while at < len(content):
        lengths.append(int.from_bytes(content[at : at + 8], "little"))
        at += 8 + lengths[-1]
    return lengths


def test_an_element_that_does_not_fit_is_told_with_its_place(data: Data) -> None:
    closed = []

    def numbers(bad_at: int) -> Iterator[Any]:
        try:
            for i in range(5000):
                yield i if i != bad_at else "x"
        finally:
            closed.append(bad_at)

    for bad_at in (0, 17, 3000):
        with pytest.raises(errors.ConversionError, match="expected int, got 'x'") as caught:
            publish(numbers(bad_at), data)
        assert caught.value.where == f"outputs.o0[{bad_at}]"
    assert closed == [0, 17, 3000]
    stream = publish(["1", "2"], data, TEXTS)
    with pytest.raises(errors.ConversionError) as caught:
        list(receive(stream, data))
    assert caught.value.where.startswith("inputs.xs[")


def test_a_list_is_taken_where_a_stream_is_expected(data: Data) -> None:
    literal = literals_pb2.Literal(list=literals.integers([1, 2]))
    assert list(INTS.from_literal(literal, "inputs.xs", data)) == [1, 2]
    assert INTS.to_literal([1, 2], "xs", NO_DATA) == literal
    assert INTS.to_literal((), "xs", NO_DATA).HasField("list")
    with pytest.raises(errors.ConversionError, match="can't be written here as a constant"):
        INTS.to_literal(iter([1]), "xs", NO_DATA)


def test_what_is_no_stream_is_told_what_to_write(data: Data) -> None:
    async def later() -> AsyncIterator[int]:
        yield 1

    for value, words in [
        ("abc", "iter("),
        ({"a": 1}, "iter("),
        ({1, 2}, "sorted("),
        (later(), "without `async`"),
        (5, ""),
        (None, ""),
    ]:
        with pytest.raises(errors.ConversionError, match="expected Iterator") as caught:
            publish(value, data)
        assert words in caught.value.hint
    for annotation, words in [
        (Iterator, "as in Iterator[int]"),
        (Generator[int, str, None], "Iterator[T]"),
        (AsyncIterator[int], "Iterator[T]"),
    ]:
        with pytest.raises(errors.DefinitionError, match="is not a supported type") as refused:
            ENGINE.converter(annotation)
        assert words in refused.value.hint


def test_what_the_authors_iterator_raises_is_raised_as_it_is(data: Data) -> None:
    def failing() -> Iterator[int]:
        yield 1
        try:
            raise KeyError("the reason")
        except KeyError as error:
            raise OSError("the author's disk") from error

    with pytest.raises(OSError, match="the author's disk") as caught:
        author_errors.as_they_are(lambda: publish(failing(), data))
    assert isinstance(caught.value.__cause__, KeyError)
    shown = "".join(traceback.format_exception(caught.value))
    assert "in failing" in shown
    assert "Raised" not in shown


def test_damaged_bytes_and_what_is_no_stream_are_told(data: Data) -> None:
    stream = publish(range(100), data)
    longer = literals_pb2.Stream()
    longer.CopyFrom(stream)
    longer.length = 101
    with pytest.raises(errors.IntegrityError, match="has 100 elements, not 101"):
        list(receive(longer, data))
    for content in (
        b"\x05",
        b"\xff" * 8,
        (3).to_bytes(8, "little") + b"\xff\xff\xff",
        (9).to_bytes(8, "little"),
    ):
        bad = literals_pb2.Stream(blob=data.put_bytes(content), length=1)
        with pytest.raises(errors.IntegrityError, match="is not a stream") as caught:
            list(receive(bad, data))
        assert caught.value.where == bad.blob.uri
    stored = data.local_path(stream.blob)
    assert stored is not None
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-1])
    with pytest.raises(errors.IntegrityError, match="not what its name says") as caught:
        next(receive(stream, data))
    assert caught.value.where == str(stored)


class Remote(objects.FolderStore):
    """A store without files on this machine."""

    def local_path(self, blob: literals_pb2.Blob) -> None:  # noqa: ARG002
        return None


def test_reading_a_stream_lays_nothing_on_this_machine(tmp_path: Path) -> None:
    data = Data(Remote(tmp_path / "store"), tmp_path / "files")
    stream = publish(range(10), data)
    assert list(receive(stream, data)) == list(range(10))
    half_read = receive(stream, data)
    assert next(half_read) == 0
    half_read.close()
    assert not data.folder.exists()


@task
def numbers(n: int, fail_at: int = -1) -> Iterator[int]:
    for i in range(n):
        assert current_context().node
        if i == fail_at:
            raise OSError("the author's disk")
        yield i


@task
def doubled(xs: Iterator[int]) -> Iterator[int]:
    for x in xs:
        yield 2 * x


@task
def total(xs: Iterator[int]) -> int:
    return sum(xs)


@workflow
def sum_of_doubles(n: int, fail_at: int = -1) -> int:
    return total(xs=doubled(xs=numbers(n=n, fail_at=fail_at)))


@workflow
def sum_of(xs: Iterator[int]) -> int:
    return total(xs=xs)


def test_generators_are_tasks() -> None:
    assert sum_of_doubles(n=3000) == 2 * sum(range(3000))
    assert list(numbers(n=3)) == [0, 1, 2]
    assert sum_of(xs=(i for i in range(4))) == sum_of(xs=iter([1, 2, 3])) == total(xs=iter([6])) == 6


def test_what_a_generator_raises_is_its_tasks_failure() -> None:
    with pytest.raises(OSError, match="the author's disk") as caught:
        sum_of_doubles(n=3000, fail_at=2000)
    assert any("node `numbers`" in note for note in caught.value.__notes__)
    with pytest.raises(OSError, match="the author's disk"):
        list(numbers(n=3, fail_at=2))


def test_a_generator_whose_annotation_says_otherwise_is_refused() -> None:
    with pytest.raises(errors.DefinitionError, match="is a generator") as caught:

        @task
        def wrong(n: int) -> list[int]:  # type: ignore[misc]
            yield n

    assert "Iterator[int]" in str(caught.value)


@pytest.mark.slow
def test_d1_half_a_gibibyte_goes_through_without_being_in_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 150 * 1024, "KiB more than before"


GROWTH = """
import pathlib, resource, sys
from collections.abc import Iterator
from typedflow import type_engine
from typedflow.dataplane import objects
folder = pathlib.Path(sys.argv[1])
data = type_engine.Data(objects.FolderStore(folder / "store"), folder / "files")
converter = type_engine.standard().converter(Iterator[str])
list(converter.from_literal(converter.to_literal(iter("ab"), "o0", data), "xs", data))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
literal = converter.to_literal((f"{i:1024}" for i in range(500_000)), "o0", data)
count = sum(1 for text in converter.from_literal(literal, "xs", data))
assert count == 500_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
