"""Promises in and out of values: parts of a promise, and records, dicts, tuples and lists that hold some."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

import pytest

from typedflow import Workflow, errors, task, workflow


@dataclass
class Layer:
    width: int
    name: str = "dense"


@dataclass
class Config:
    rate: float
    layers: list[Layer] = field(default_factory=list)


class Point(NamedTuple):
    x: int
    y: int


ORIGIN = Point(0, 0)


class Options(TypedDict):
    seed: int
    tag: NotRequired[str]


@task
def number(n: int) -> int:
    return n


@task
def config(n: int) -> Config:
    return Config(n / 2, [Layer(n), Layer(n + 1)])


@task
def options(n: int) -> Options:
    return {"seed": n}


@task
def counts(n: int) -> dict[str, int]:
    return {"a": n, "b": n + 1}


@task
def shown(
    *,
    value: Config | None = None,
    table: dict[str, list[int]] | None = None,
    pair: tuple[int, str] = (0, ""),
    many: tuple[int, ...] = (),
    point: Point = ORIGIN,
    chosen: Options | None = None,
    either: list[str] | list[int] | None = None,
) -> str:
    return repr((value, table, pair, many, point, chosen, either))


def shows(of: Any) -> str:
    @workflow
    def showing(n: int) -> str:
        return of(n)

    return showing(n=3)


def test_a_record_holds_promises():
    assert "Config(rate=4.0, layers=[Layer(width=3, name='dense'), Layer(width=7, name='x')])" in shows(
        lambda n: shown(value=Config(rate=4, layers=[Layer(number(n=n)), Layer(7, "x")]))
    )


def test_a_dict_a_tuple_and_a_named_tuple_hold_promises():
    assert "{'a': [3, 1], 'b': []}" in shows(lambda n: shown(table={"a": [number(n=n), 1], "b": []}))
    assert "(3, 'x')" in shows(lambda n: shown(pair=(number(n=n), "x")))
    assert "(3, 2)" in shows(lambda n: shown(many=(number(n=n), 2)))
    assert "Point(x=3, y=9)" in shows(lambda n: shown(point=Point(number(n=n), 9)))
    assert "{'seed': 3}" in shows(lambda n: shown(chosen={"seed": number(n=n)}))


def test_a_list_in_a_union_is_of_the_variant_that_takes_all_of_it():
    assert "[3, 4])" in shows(lambda n: shown(either=[number(n=n), 4]))


def test_parts_of_promises_are_taken_by_field_key_and_index():
    @workflow
    def parts(n: int) -> tuple[float, int, int, int, str]:
        made = config(n=n)
        return (
            made.rate,
            made.layers[1].width,
            counts(n=n)["b"],
            options(n=n)["seed"],
            made.layers[0]["name"],
        )

    assert parts(n=3) == (1.5, 4, 4, 3, "dense")


def test_a_tuple_that_is_one_value_is_unpacked():
    @task
    def nested(n: int) -> list[tuple[int, str]]:
        return [(n, "x")]

    @workflow
    def unpacks(n: int) -> tuple[int, str]:
        first, second = nested(n=n)[0]
        return first, second

    assert unpacks(n=2) == (2, "x")


@pytest.mark.parametrize(
    ("of", "message", "hint"),
    [
        (lambda n: config(n=n).rates, "has no `.rates`", "did you mean `rate`?"),
        (lambda n: config(n=n).layers[0].wide, "has no `.wide`", "did you mean `width`?"),
        (lambda n: options(n=n)["sed"], "has no `.sed`", "did you mean `seed`?"),
        (lambda n: counts(n=n).a, "has no `.a`", "take the value of a key: `['a']`"),
        (lambda n: counts(n=n)[0], "has no `[0]`", "inside a task"),
    ],
)
def test_a_part_that_is_not_there_is_told_once_with_the_nearest(of: Any, message: str, hint: str):
    @workflow
    def broken(n: int) -> int:
        return number(n=of(n))

    with pytest.raises(errors.CompileError) as caught:
        broken.compiled  # noqa: B018 - compiles
    (mistake,) = caught.value.diagnostics
    assert mistake.code == "FieldNotFound"
    assert message in mistake.message
    assert hint in mistake.hint


@pytest.mark.parametrize(
    ("of", "place"),
    [
        (
            lambda n: shown(value=Config(rate=1.0, layers=[Layer("x"), Layer(n)])),
            "at `width`: expected int, got 'x'",
        ),
        (lambda n: shown(table={"a": [n, "x"]}), "['a'][1]"),
        (lambda n: shown(pair=(n, 3)), "[1]"),
        (lambda n: shown(point=Point(n, "x")), ".y"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place_among_promises(of: Any, place: str):
    @workflow
    def broken(n: int) -> str:
        return of(n)

    with pytest.raises(errors.CompileError) as caught:
        broken.compiled  # noqa: B018 - compiles
    assert any(place in f"{mistake.message}: {mistake.label}" for mistake in caught.value.diagnostics)


def test_annotations_of_parts_are_those_of_the_author():
    built = Workflow("built")
    made = built.add_node(config, n=built.add_input("n", Annotated[int, "seed"]))
    built.add_output("layers", made.layers)
    built.add_output("first", made.layers[0])
    assert built(n=1) == ([Layer(1), Layer(2)], Layer(1))
