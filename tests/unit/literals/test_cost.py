"""What types and values cost as they grow: counted in calls and not timed, so that it is the same on every machine."""

import sys
from collections.abc import Callable

import pytest

from typedflow import errors, hashing, literal_types, literals
from typedflow.pb.literals_pb2 import Literal, Union
from typedflow.pb.types_pb2 import LiteralType


def calls(of: Callable[[], object]) -> int:
    """How many functions are called, Python's and C's."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        of()
    finally:
        sys.setprofile(before)
    return count


def numbers_and_none(count: int) -> Literal:
    present = literals.integers(range(count))
    return literals.from_list(literals.unions([0, 1] * count, [present, literals.nones(count)]))


def dicts(count: int) -> Literal:
    return literals.from_list(literals.dicts([1] * count, ["a"] * count, literals.integers(range(count))))


def nested(count: int) -> Literal:
    return literals.from_list(literals.join([literals.integers([i, i]) for i in range(count)]))


def loose(count: int) -> Literal:
    return literals.from_list(
        literals.pack([literals.from_int(i) for i in range(count)] + [literals.from_none()])
    )


def attempt(of: Callable[..., object], *arguments: object) -> object:
    try:
        return of(*arguments)
    except errors.ConversionError as error:
        return error


OPTIONAL = literal_types.optional(literal_types.INT)
LONG = {
    "unions": (numbers_and_none, literal_types.list_of(OPTIONAL)),
    "dicts": (dicts, literal_types.list_of(literal_types.dict_of(literal_types.INT))),
    "lists": (nested, literal_types.list_of(literal_types.list_of(literal_types.INT))),
    "literals": (loose, literal_types.list_of(literal_types.INT)),
}
WORK: dict[str, Callable[[Literal, LiteralType], object]] = {
    "misfit": lambda value, t: literals.misfit(value, t, "x"),
    "constant": lambda value, t: attempt(literals.constant, value, t, "x"),
    "constant of another type": lambda value, t: attempt(
        literals.constant, value, literal_types.list_of(literal_types.optional(t.list.element)), "x"
    ),
    "convert": lambda value, t: literals.convert(
        value, t, literal_types.list_of(literal_types.union(literal_types.STRING, t.list.element))
    ),
    "elements": lambda value, _: list(literals.elements(value.list)),
    "pack": lambda value, _: literals.pack(list(literals.elements(value.list))),
    "split": lambda value, _: list(literals.split(value.list, [1] * literals.length(value.list))),
    "digest": lambda value, _: hashing.of_literal(value),
}


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("kind", LONG)
def test_twice_the_elements_are_at_most_twice_the_work(work: str, kind: str):
    make, t = LONG[kind]
    do = WORK[work]
    short, long = make(1_000), make(2_000)
    do(short, t)
    assert calls(lambda: do(long, t)) <= 2.1 * calls(lambda: do(short, t)) + 100


def test_what_to_do_is_found_without_trying_everything():
    def towers(levels: int) -> tuple[LiteralType, LiteralType]:
        source, target = literal_types.INT, literal_types.STRING
        for _ in range(levels):
            source = literal_types.union(literal_types.custom("a.B", source), literal_types.BOOL)
            target = literal_types.union(literal_types.list_of(target), literal_types.BYTES)
        return source, target

    def cost(levels: int) -> int:
        source, target = towers(levels)
        return calls(lambda: literal_types.is_assignable(source, target))

    assert cost(10) <= 10 * cost(5)


def test_unions_in_unions_are_gone_into_once_for_each_variant():
    def tower(levels: int, innermost: LiteralType) -> LiteralType:
        t = innermost
        for _ in range(levels):
            t = literal_types.union(literal_types.list_of(t), literal_types.STRING)
        return t

    def value(levels: int) -> Literal:
        made = literals.from_none()
        for _ in range(levels):
            made = Literal(union=Union(variant=0, value=literals.from_list(literals.pack([made]))))
        return made

    def cost(levels: int) -> int:
        made, t = value(levels), tower(levels, OPTIONAL)
        return calls(lambda: attempt(literals.constant, made, t, "x"))

    assert cost(10) <= 5 * cost(5)
