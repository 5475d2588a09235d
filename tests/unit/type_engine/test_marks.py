"""What an author's own function says that a value means (C3): `Annotated[T, HashMethod(f)]`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import pytest

from typedflow import (
    File,
    HashMethod,
    Sensitive,
    errors,
    hashing,
    literal_types,
    literals,
    map_task,
    task,
    workflow,
)
from typedflow.authoring import signature
from typedflow.catalog import MemoryCatalog
from typedflow.dataplane import objects, offload
from typedflow.testing import local
from typedflow.type_engine import NO_DATA, standard

Sized = Annotated[list[int], HashMethod(lambda values: str(len(values)))]


def length(values: list[int]) -> str:
    return str(len(values))


def converted(annotation: object, value: object):
    return standard().converter(annotation).to_literal(value, "inputs.x", NO_DATA)


def test_c3_what_the_function_gives_takes_the_place_of_the_digest():
    one, other = converted(Sized, [1, 2]), converted(Sized, [3, 4])
    assert hashing.of_literal(one) == hashing.of_literal(other) == hashing.of_said("2")
    assert hashing.of_value(one) != hashing.of_value(other)
    assert hashing.of_literal(converted(Sized, [1])) != hashing.of_literal(one)


def test_the_type_and_the_value_are_those_of_what_is_marked():
    marked, bare = standard().converter(Sized), standard().converter(list[int])
    assert literal_types.equal(marked.type, bare.type)
    assert marked.from_literal(converted(Sized, [1, 2]), "", NO_DATA) == [1, 2]
    with pytest.raises(errors.ConversionError, match="expected int"):
        converted(Sized, ["1"])


def test_what_a_converter_keeps_for_itself_is_not_marked():
    engine = standard()
    plain, marked = engine.converter(bool), engine.converter(Annotated[bool, HashMethod(lambda _: "any")])
    marked.to_literal(True, "", NO_DATA)
    assert plain.to_literal(True, "", NO_DATA).content == ""


def test_it_survives_being_stored_elsewhere(tmp_path: Path):
    store = objects.open_store(str(tmp_path))
    made = converted(Sized, list(range(10)))
    stands = offload.offload(made, store, limit=0)
    assert stands.HasField("offloaded")
    assert hashing.of_literal(stands) == hashing.of_said("10")
    assert stands.offloaded.content == hashing.of_value(made)
    assert offload.load(stands, store) == made


def test_it_goes_with_the_value_into_a_wider_type():
    made = converted(Sized, [1, 2])
    engine = standard()
    wider = literals.convert(made, engine.converter(list[int]).type, engine.converter(list[int] | None).type)
    assert wider.HasField("union")
    assert hashing.of_literal(wider) == hashing.of_said("2")


def test_inside_of_another_value_it_does_not_count():
    made, bare = converted(Sized, [1, 2]), converted(list[int], [1, 2])
    pair = [literals.from_record({"a": each}) for each in (made, bare)]
    assert hashing.of_literal(pair[0]) == hashing.of_literal(pair[1])


@pytest.mark.parametrize(
    "annotation",
    [list[Sized], dict[str, Sized], Sized | None, tuple[Sized, int], list[list[Sized]]],
    ids=["list", "dict", "union", "tuple", "deep"],
)
def test_a_part_of_a_type_is_not_marked(annotation: object):
    engine = standard()
    engine.converter(Sized)  # that it is known does not let it in
    with pytest.raises(errors.DefinitionError, match="a HashMethod is of whole inputs and outputs"):
        engine.converter(annotation)


def test_nor_is_a_field_of_a_record():
    @dataclasses.dataclass
    class Holder:
        values: Annotated[list[int], HashMethod(length)]

    with pytest.raises(errors.DefinitionError, match="a HashMethod is of whole inputs and outputs"):
        standard().converter(Holder)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ((HashMethod,), "given no function"),
        ((HashMethod(length), HashMethod(str)), "two HashMethods"),
    ],
)
def test_what_says_nothing_or_too_much_is_told(metadata: tuple[object, ...], message: str):
    with pytest.raises(errors.DefinitionError, match=message):
        standard().converter(Annotated[(list[int], *metadata)])
    with pytest.raises(errors.DefinitionError, match="no function"):
        HashMethod("md5")  # type: ignore[arg-type]  # tried


def test_a_stream_is_not_read_for_it():
    with pytest.raises(errors.DefinitionError, match="would be gone"):
        standard().converter(Annotated[Iterator[int], HashMethod(str)])


def fails(values: list[int]) -> str:
    raise KeyError("no")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (fails, r"HashMethod\(fails\) raised KeyError"),
        (lambda _: 3, "gave a int"),
        (lambda _: "", "an empty text"),
    ],
)
def test_a_function_that_gives_no_text_is_told_with_the_place(function, message: str):
    with pytest.raises(errors.ConversionError, match=message) as caught:
        converted(Annotated[list[int], HashMethod(function)], [1])
    assert caught.value.where == "inputs.x"


def test_nothing_of_a_sensitive_value_is_in_it():
    made = converted(Annotated[str, Sensitive, HashMethod(str)], "hunter2")
    assert "hunter2" not in made.content
    assert made.content == hashing.of_said("hunter2")


READ: list[list[int]] = []


class Parts(NamedTuple):
    rows: Annotated[list[int], HashMethod(length)]
    note: str


@task
def load(first: int) -> Parts:
    return Parts([first, 2], "made")


@task(cache=True)
def total(rows: list[int]) -> int:
    READ.append(rows)
    return sum(rows)


@workflow
def summed(first: int) -> int:
    return total(rows=load(first=first).rows)


@task(cache=True)
def said_of_an_input(rows: Annotated[list[int], HashMethod(length)]) -> int:
    READ.append(rows)
    return sum(rows)


@workflow
def given(rows: Annotated[list[int], HashMethod(length)]) -> int:
    return said_of_an_input(rows=rows)


def test_c3_a_consumer_hits_where_the_author_says_that_it_is_the_same():
    READ.clear()
    with local(cache=MemoryCatalog()):
        assert summed(first=1) == 3
        assert summed(first=5) == 3
        assert given(rows=[1, 2]) == 3
        assert given(rows=[3, 4]) == 3
        assert given(rows=[3]) == 3
    assert READ == [[1, 2], [1, 2], [3]]


def test_a_map_over_a_marked_input_has_the_elements_own_keys():
    @workflow
    def each(rows: list[list[int]]) -> list[int]:
        return map_task(said_of_an_input)(rows=rows)

    assert [node.WhichOneof("target") for node in each.compiled.workflow.nodes] == ["map"]
    assert map_task(said_of_an_input)(rows=[[1], [2, 3]]) == [1, 5]


def test_a_file_may_be_read_by_it(tmp_path: Path):
    def first_line(file: File) -> str:
        return Path(file).read_text().splitlines()[0]

    engine = signature.types()
    store = objects.open_store(str(tmp_path / "objects"))
    from typedflow.type_engine import Data

    made = []
    for n in (1, 2):
        (tmp_path / f"{n}.txt").write_text(f"same\n{n}")
        annotation = Annotated[File, HashMethod(first_line)]
        data = Data(store, tmp_path / "work")
        made.append(engine.converter(annotation).to_literal(File(tmp_path / f"{n}.txt"), "", data))
    assert made[0].file.content != made[1].file.content
    assert hashing.of_literal(made[0]) == hashing.of_literal(made[1])
