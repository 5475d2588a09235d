"""What it costs to make a value into bytes and back, typed and checked, beside msgpack of the same data.

One run is: Python value to literal, literal to bytes, bytes to literal, literal to Python value. msgpack's run is
`packb` and `unpackb`, which check nothing and know no classes, so that it has dicts where typedflow has dataclasses.
NumPy is loaded, as in most processes that run tasks: without it many datetimes take 4 times msgpack's time.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import numpy as np  # noqa: F401 - see above

from benchmarks import measure
from typedflow import literals, type_engine
from typedflow.pb import literals_pb2


@dataclasses.dataclass
class Layer:
    """A record as configurations have them."""

    name: str
    width: int
    rate: float
    tags: list[str]
    bias: bool = True


def figures() -> Iterator[measure.Figure]:
    """Each case at a tenth of its size and at its whole size; then conversion alone, checking and looking up."""
    engine = type_engine.standard()
    for name, annotation, make, size, packable in CASES:
        for count in (size // 10, size):
            values = make(count)
            plain = packable(values)
            figure = measure.compare(
                f"{count:,} {name}: there and back",
                _times(size // count, lambda v=values, a=annotation: _there_and_back(engine, a, v)),
                _times(size // count, lambda v=plain: _packed_and_unpacked(v)),
                unit="ms/1000",
                baseline_name="msgpack, packb and unpackb",
                count=size // 1000,
            )
            yield dataclasses.replace(figure, goal=MOST * figure.baseline)
    yield from _beside_python(engine)
    yield _looking_up(engine)


def _times(count: int, work: measure.Work) -> measure.Work:
    """The same so many times, so that what is small is measured as long as what is large."""
    return lambda: [work() for _ in range(count)]


def _packed_and_unpacked(value: Any) -> Any:
    return msgpack.unpackb(msgpack.packb(value, datetime=True), strict_map_key=False, timestamp=3)


def _there_and_back(engine: type_engine.TypeEngine, annotation: Any, value: Any) -> Any:
    converter = engine.converter(annotation)
    sent = converter.to_literal(value, "inputs.x", type_engine.NO_DATA).SerializeToString()
    return converter.from_literal(literals_pb2.Literal.FromString(sent), "inputs.x", type_engine.NO_DATA)


def _beside_python(engine: type_engine.TypeEngine) -> Iterator[measure.Figure]:
    """Against the private copy that handing a value over within a process would take, and of checking what came."""
    nowhere = type_engine.NO_DATA
    for name, annotation, make, size, *_ in CASES:
        values = make(size)
        converter = engine.converter(annotation)
        literal = converter.to_literal(values, "inputs.x", nowhere)
        copied: Callable[[Any], Any] = copy.copy if name == "ints" else copy.deepcopy
        works: dict[str, measure.Work] = {
            "to a literal and back": lambda c=converter, v=values: c.from_literal(
                c.to_literal(v, "inputs.x", nowhere), "inputs.x", nowhere
            ),
            "checked as received": lambda c=converter, o=literal: literals.misfit(o, c.type, "inputs.x"),
        }
        for what, work in works.items():
            yield measure.compare(
                f"{size:,} {name}: {what}",
                work,
                lambda v=values, copied=copied: copied(v),
                unit="ms/1000",
                baseline_name=f"copy.{copied.__name__}",
                count=size // 1000,
                rounds=3,
            )


def _looking_up(engine: type_engine.TypeEngine) -> measure.Figure:
    known = {Layer: 1}
    return measure.compare(
        "converter of a known annotation",
        lambda: [engine.converter(Layer) for _ in range(1_000_000)],
        lambda: [known.get(Layer) for _ in range(1_000_000)],
        unit="ms/1000",
        baseline_name="dict.get",
        count=1000,
        rounds=3,
    )


def _ints(count: int) -> list[int]:
    return [i * 7919 - count for i in range(count)]


def _optional(count: int) -> list[int | None]:
    return [None if i % 3 == 0 else i * 7919 for i in range(count)]


def _strings(count: int) -> dict[str, str]:
    return {f"key {i}": f"the value of {i}" for i in range(count)}


def _layers(count: int) -> list[Layer]:
    return [Layer(f"layer {i}", i, i / 7, ["dense", "wide"], bool(i % 2)) for i in range(count)]


def _moments(count: int) -> list[dt.datetime]:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return [start + dt.timedelta(microseconds=1_234_567 * i) for i in range(count)]


def _same(values: Any) -> Any:
    return values


def _dicts(values: Any) -> Any:
    return [dataclasses.asdict(value) for value in values]


MOST = 3.0
"""How many times msgpack's time a case may take."""

# What it is, its annotation, what makes so many of it, how many, and what msgpack gets.
CASES: tuple[tuple[str, Any, Callable[[int], Any], int, Callable[[Any], Any]], ...] = (
    ("ints", list[int], _ints, 1_000_000, _same),
    ("strings in a dict", dict[str, str], _strings, 100_000, _same),
    ("dataclasses", list[Layer], _layers, 10_000, _dicts),
    ("ints or None", list[int | None], _optional, 1_000_000, _same),
    ("datetimes", list[dt.datetime], _moments, 100_000, _same),
)
