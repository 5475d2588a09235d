"""Classes of authors: enums, literals, dicts, tuples, NamedTuples, TypedDicts, dataclasses, generic ones, and names."""

import dataclasses
import datetime as dt
import enum
import typing
import zoneinfo
from collections import OrderedDict, UserDict, namedtuple
from collections.abc import Mapping, MutableMapping, Sequence
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Required,
    TypedDict,
    TypeVar,
)

import numpy as np
import pandas as pd
import pytest
import typing_extensions

from tests import exactness
from typedflow import errors, literal_types, type_engine
from typedflow.pb import literals_pb2
from typedflow.type_engine import NO_DATA

ENGINE = type_engine.standard()
T = TypeVar("T")
U = TypeVar("U")


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"
    CRIMSON = "red"  # noqa: PIE796 - an alias


class Level(enum.IntEnum):
    LOW = enum.auto()
    HIGH = enum.auto()


class Mode(enum.StrEnum):
    FAST = enum.auto()
    SAFE = enum.auto()


class Mixed(enum.Enum):
    ONE = 1
    HALF = 0.5
    NAN = float("nan")
    TEXT = "1"
    BYTES = b"1"


class Bits(enum.Flag):
    A = 1
    B = 2


class Point(enum.Enum):
    ORIGIN = (0, 0)


class Nothing(enum.Enum):
    pass


class Metrics(NamedTuple):
    accuracy: float
    name: str = "test"


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Partly(TypedDict, total=False):
    name: Required[str]
    size: "NotRequired[int]"
    tags: list[str]


class Fixed(typing_extensions.TypedDict):
    name: typing_extensions.ReadOnly[str]
    size: "typing_extensions.NotRequired[int]"


@dataclasses.dataclass
class Box(Generic[T]):
    item: T
    more: list[T] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Pair(Generic[T, U]):
    left: T
    right: dict[str, U]


@dataclasses.dataclass
class Labelled(Pair[int, U]):
    label: Annotated[str, "shown"] = ""


@dataclasses.dataclass
class Concrete(Labelled[float | None]):
    box: Box[str] = dataclasses.field(default_factory=lambda: Box("x"))


@dataclasses.dataclass
class Tree(Generic[T]):
    children: "list[Tree[T]]"


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    size: Final[int]


class GenericTuple(NamedTuple, Generic[T]):
    item: T


class GenericDict(TypedDict, Generic[T]):
    item: T


UserId = NewType("UserId", int)
Names = typing_extensions.TypeAliasType("Names", list[str])
Listed = typing_extensions.TypeAliasType("Listed", list[T], type_params=(T,))


def there_and_back(annotation: Any, value: Any) -> Any:
    converter = ENGINE.converter(annotation)
    literal = converter.to_literal(value, "inputs.x", NO_DATA)
    sent = literals_pb2.Literal.FromString(literal.SerializeToString())
    return converter.from_literal(sent, "inputs.x", NO_DATA)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Colour, Colour.GREEN),
        (Colour, Colour.CRIMSON),
        (list[Level], [Level.HIGH, Level.LOW]),
        (dict[str, Mode], {"b": Mode.SAFE, "a": Mode.FAST}),
        (list[Mixed], list(Mixed)),
        (Literal["a", 1, True, None], None),  # noqa: PYI061 - as authors may write it
        (list[Literal["a", 1, True, None]], [1, True, None, "a"]),  # noqa: PYI061
        (Literal[Colour.RED, "other"], Colour.RED),
        (Optional[Literal["a", None]], "a"),  # noqa: PYI061, UP045
        (Colour | str, Colour.RED),
        (str | Colour, Colour.RED),
        (Metrics, Metrics(0.5)),
        (list[Metrics], [Metrics(0.5), Metrics(1.0, "x")]),
        (Movie, {"title": "x"}),
        (list[Movie], [{"title": "x"}, {"title": "y", "year": 1}]),
        (Partly, {"name": "x", "tags": []}),
        (Fixed, {"name": "x"}),
        (Box[int], Box(1, [2])),
        (list[Box[str | None]], [Box[str | None]("a"), Box[str | None](None, ["b"])]),
        (Labelled[str], Labelled(1, {"a": "b"}, "c")),
        (Concrete, Concrete(1, {"a": None})),
        (Frozen, Frozen(3)),
        (GenericTuple[int], GenericTuple(1)),
        (GenericDict[int], {"item": 1}),
        (UserId, 7),
        (list[UserId], [UserId(7)]),
        (Names, ["a"]),
        (Listed[int], [1]),
        (Sequence[int], [1]),
        (Mapping[str, int], {"b": 1, "a": 2}),
        (MutableMapping[str, int], {}),
        (typing.Dict[str, int], {"a": 1}),  # noqa: UP006 - as authors may write it
        (typing.Tuple[int, str], (1, "a")),  # noqa: UP006
        (tuple[()], ()),
        (list[tuple[()]], [(), ()]),
        (tuple[int, ...], ()),
        (tuple[tuple[int, str], ...], ((1, "a"), (2, "b"))),
        (dict[str, dict[str, list[int]]], {"": {}, "a": {"b": [], "c": [1]}}),
        (list[Annotated[int, ["unhashable"]]], [1]),
    ],
    ids=str,
)
def test_t2_what_goes_in_comes_out(annotation: Any, value: Any) -> None:
    assert exactness.same(there_and_back(annotation, value), value)


@pytest.mark.parametrize(
    ("annotation", "value", "where", "words"),
    [
        (Colour, "red", "inputs.x", "write Colour.RED"),
        (Colour, Mode.FAST, "inputs.x", "expected Colour"),
        (Literal["fast", "safe"], "fsat", "inputs.x", "did you mean 'fast'?"),
        (Literal[1], True, "inputs.x", "got True (bool)"),
        (Literal[0], 0.0, "inputs.x", "got 0.0 (float)"),
        (Literal["red"], Colour.RED, "inputs.x", "expected Literal['red']"),
        (Literal["a"], np.str_("a"), "inputs.x", "numpy.str_"),
        (list[Colour], [Colour.RED, "green"], "inputs.x[1]", "write Colour.GREEN"),
        (dict[str, int], {"a": "b"}, 'inputs.x["a"]', "expected int"),
        (dict[str, int], {"a b": True}, 'inputs.x["a b"]', "expected int"),
        (dict[str, list[int]], {'a"\n': [1, None]}, 'inputs.x["a\\"\\n"][1]', "expected int"),
        (list[dict[str, int]], [{}, {"a": 1, "b": None}], 'inputs.x[1]["b"]', "expected int"),
        (dict[str, int], {1: 1}, "inputs.x", "the key 1 (int)"),
        (dict[str, int], {np.str_("a"): 1}, "inputs.x", "numpy.str_"),
        (dict[str, int], OrderedDict(a=1), "inputs.x", "write dict(...)"),
        (dict[str, int], UserDict(a=1), "inputs.x", "write dict(...)"),
        (dict[str, int], {"\ud800": 1}, "inputs.x", "surrogates"),
        (list[dict[str, int]], [{"a": 1}, {"\ud800": 1}], "inputs.x[1]", "surrogates"),
        (tuple[int, str], (1,), "inputs.x", "it must have 2 elements, not 1"),
        (tuple[int, str], [1, "a"], "inputs.x", "write tuple(...)"),
        (tuple[float, str], Metrics(0.5), "inputs.x", "write tuple(...)"),
        (tuple[int, str], (1, 2), "inputs.x[1]", "expected str"),
        (tuple[int, ...], [1], "inputs.x", "write tuple(...)"),
        (Sequence[int], (1,), "inputs.x", "write list(...)"),
        (Metrics, (0.5, "x"), "inputs.x", "expected Metrics"),
        (list[Metrics], [Metrics(0.5), Metrics("x")], "inputs.x[1].accuracy", "expected float"),  # type: ignore[arg-type]
        (Movie, {"titel": "x"}, "inputs.x.titel", "did you mean `title`?"),
        (Movie, {"title": "x", 3: 1}, "inputs.x[3]", "no such key"),
        (Movie, {"year": 1}, "inputs.x", "key `title` of Movie is missing"),
        (list[Movie], [{"title": "x"}, {"title": "y", "year": None}], "inputs.x[1].year", "expected int"),
        (Partly, {}, "inputs.x", "key `name` of Partly is missing"),
        (Box[int], Box("a"), "inputs.x.item", "expected int"),
        (Concrete, Concrete(1, {"a": "b"}), 'inputs.x.right["a"]', "expected float | None"),  # type: ignore[dict-item]
        (bytes, bytearray(b"x"), "inputs.x", "write bytes(...)"),
        (list[bytes], [b"x", "y"], "inputs.x[1]", "write .encode()"),
        (dt.date, dt.datetime(2024, 1, 2, tzinfo=dt.UTC), "inputs.x", "write .date()"),
        (list[dt.date], [dt.date.max, None], "inputs.x[1]", "expected date"),
        (dt.datetime, dt.date.max, "inputs.x", "expected datetime"),
        (dt.timedelta, dt.timedelta.max, "inputs.x", "more microseconds than 64 bits hold"),
        (list[dt.timedelta], [dt.timedelta(1), dt.timedelta.min], "inputs.x[1]", "64 bits"),
        (dt.timedelta, 5, "inputs.x", "write timedelta(seconds=...)"),
        (dt.timedelta, pd.Timedelta(1, "ns"), "inputs.x", "nanoseconds"),
        (Decimal, 1.5, "inputs.x", "write Decimal(...)"),
        (list[Decimal], [Decimal(1), 1], "inputs.x[1]", "expected Decimal"),
    ],
    ids=str,
)  # fmt: skip
def test_t2_what_does_not_fit_is_told_with_its_path(
    annotation: Any, value: Any, where: str, words: str
) -> None:
    with pytest.raises(errors.ConversionError) as caught:
        ENGINE.converter(annotation).to_literal(value, "inputs.x", NO_DATA)
    assert (caught.value.where, words in str(caught.value)) == (where, True), str(caught.value)


Untyped = namedtuple("Untyped", "a b")  # noqa: PYI024 - as authors may write it


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Bits, "Flag"),
        (Point, "the value of `Point.ORIGIN` is a tuple"),
        (Nothing, "`Nothing` has no members"),
        (Literal["red", Colour.RED], "twice"),
        (dict[int, str], "the keys of dict[int, str] are int"),
        (dict[Colour, str], "only str travels"),
        (Untyped, "`Untyped.a` has no type"),
        (Box, "`Box.item`"),
        (Pair[int, T], "`Pair[int, ~T].right`"),  # type: ignore[valid-type]
        (Tree[int], "holds itself"),
        (typing.Tuple, "a tuple must say what it holds"),  # noqa: UP006
        (tuple, "a tuple must say what it holds"),
        (list, "a list must say what it holds"),
        (dict, "a dict must say what it holds"),
        (Sequence, "a list must say what it holds"),
        (Any, "not a supported type"),
        (object, "not a supported type"),
        (set[int], "not a supported type"),
    ],
    ids=str,
)
def test_t3_what_could_not_come_back_is_refused_at_definition(annotation: Any, words: str) -> None:
    with pytest.raises(errors.DefinitionError) as caught:
        ENGINE.converter(annotation)
    assert words in caught.value.message, caught.value.message
    assert caught.value.code == "UnsupportedType"
    assert caught.value.hint


def test_an_enum_comes_back_as_the_very_member() -> None:
    assert there_and_back(Colour, Colour.CRIMSON) is Colour.RED
    assert all(a is b for a, b in zip(there_and_back(list[Mixed], list(Mixed)), Mixed, strict=True))


def test_a_value_that_is_no_members_is_an_illegal_enum_value() -> None:
    literal = literals_pb2.Literal(string="rde")
    with pytest.raises(errors.ConversionError) as caught:
        ENGINE.converter(Colour).from_literal(literal, "inputs.x", NO_DATA)
    assert (caught.value.code, caught.value.hint) == ("IllegalEnumValue", "did you mean 'red'?")
    listed = literals_pb2.Literal()
    listed.list.strings.values.extend(["red", "blue"])
    with pytest.raises(errors.ConversionError, match=r"inputs.x\[1\]: 'blue' is not the value"):
        ENGINE.converter(list[Colour]).from_literal(listed, "inputs.x", NO_DATA)


def test_absent_keys_stay_absent_and_their_fields_are_optional() -> None:
    fields = ENGINE.converter(Partly).type.record.fields
    assert [(each.name, each.optional) for each in fields] == [
        ("name", False),
        ("size", True),
        ("tags", True),
    ]
    assert [each.optional for each in ENGINE.converter(Fixed).type.record.fields] == [False, True]


def test_a_generic_class_is_named_with_its_arguments() -> None:
    assert literal_types.text(ENGINE.converter(Box[int]).type) == "Box[int]"
    assert (
        literal_types.text(ENGINE.converter(Concrete).type.record.fields[1].type) == "dict[str, float | None]"
    )


def test_zones_survive_with_their_names_and_folds() -> None:
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    late = dt.datetime(2024, 10, 27, 2, 30, tzinfo=berlin, fold=1)
    early = late.replace(fold=0)
    mixed = [late, early, dt.datetime(2024, 1, 1, tzinfo=dt.UTC), late]
    assert exactness.same(there_and_back(list[dt.datetime], mixed), mixed)
    assert exactness.same(there_and_back(dt.datetime, late), late)
    assert there_and_back(dt.datetime, late) - there_and_back(dt.datetime, early) == dt.timedelta(
        0
    )  # wall clocks
    assert there_and_back(list[dt.datetime], [late, early])[0].utcoffset() == dt.timedelta(hours=1)


def test_a_zone_that_is_not_known_here_is_an_error_and_not_another_zone() -> None:
    literal = ENGINE.converter(dt.datetime).to_literal(dt.datetime.now(dt.UTC), "x", NO_DATA)
    literal.datetime.zone = "Mars/Olympus"
    with pytest.raises(errors.ConversionError, match="'Mars/Olympus' is not known here"):
        ENGINE.converter(dt.datetime).from_literal(literal, "inputs.x", NO_DATA)


def test_a_zone_without_a_name_that_changes_its_offset_is_refused() -> None:
    class Lunar(dt.tzinfo):
        def utcoffset(self, when: dt.datetime | None) -> dt.timedelta | None:
            return dt.timedelta(hours=when.month) if when else None

        dst = tzname = utcoffset  # type: ignore[assignment]  # nobody asks

    with pytest.raises(errors.ConversionError, match="Lunar, which has no name to travel under"):
        ENGINE.converter(dt.datetime).to_literal(dt.datetime(2024, 1, 1, tzinfo=Lunar()), "inputs.x", NO_DATA)


def test_an_instant_outside_of_the_calendar_is_told_with_its_place() -> None:
    converter = ENGINE.converter(list[dt.datetime])
    literal = converter.to_literal([dt.datetime(2024, 1, 1, tzinfo=dt.UTC)] * 3, "x", NO_DATA)
    literal.list.datetimes.epoch_microseconds[1] = 2**62
    with pytest.raises(errors.ConversionError, match=r"inputs.x\[1\]: 4611686018427387904 .* is no datetime"):
        converter.from_literal(literal, "inputs.x", NO_DATA)


def test_a_union_whose_columns_contradict_it_is_an_error() -> None:
    converter = ENGINE.converter(list[int | None])
    literal = converter.to_literal([1, None, 2], "x", NO_DATA)
    literal.list.unions.columns[0].integers.values.append(3)
    with pytest.raises(errors.ConversionError, match="contradict"):
        converter.from_literal(literal, "inputs.x", NO_DATA)
    literal.list.unions.variants[1] = 200
    with pytest.raises(errors.ConversionError, match=r"inputs.x\[1\]: int \| None has no variant 200"):
        converter.from_literal(literal, "inputs.x", NO_DATA)


def test_a_list_of_a_union_with_a_wrong_element_names_that_one() -> None:
    with pytest.raises(errors.ConversionError) as caught:
        ENGINE.converter(list[int | list[str] | None]).to_literal([1, None, ["a"], ["b", 2]], "x", NO_DATA)
    assert caught.value.where == "x[3][1]"
