"""Annotations of any shape, together with values of them, as Python source.

As source, so that another process can import the same definitions, and so that a failure prints what to paste. A value
is a tree of terms, so that one leaf of it can be made wrong.
"""

import hashlib
import keyword
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis import strategies as st

HEADER = """
import dataclasses, datetime, decimal, enum, struct, typing, zoneinfo
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, TypedDict, Union

class Odd: pass

def bits(text): return struct.unpack("<d", bytes.fromhex(text))[0]

def moment(microseconds, zone):
    instant = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=microseconds)
    if isinstance(zone, str):
        return instant.astimezone(zoneinfo.ZoneInfo(zone))
    return instant.astimezone(datetime.timezone(datetime.timedelta(seconds=zone)) if zone else datetime.UTC)
"""
WRONG = "Odd()"
"""A value that no type takes."""


@dataclass(frozen=True)
class Term:
    """A value's source: a leaf's text, or what is around its parts; of each, what goes before it and its step."""

    head: str
    parts: tuple[tuple[str, str, "Term"], ...] = ()
    tail: str = ""

    def source(self) -> str:
        return self.head + ", ".join(before + part.source() for before, _, part in self.parts) + self.tail

    def leaves(self, path: str = "") -> Iterator[tuple[str, "Term"]]:
        """The path of each leaf, and the whole with that leaf made wrong."""
        if not self.parts and not self.tail:
            yield path, Term(WRONG)
        for i, (before, step, part) in enumerate(self.parts):
            for inner, wrong in part.leaves(path + step):
                yield (
                    inner,
                    replace(self, parts=(*self.parts[:i], (before, step, wrong), *self.parts[i + 1 :])),
                )


@dataclass(frozen=True)
class Shape:
    """An annotation: what must be defined before it, its expression, and its values.

    `kind` is what two variants of a union must not share.
    """

    expression: str
    values: st.SearchStrategy[Term]
    kind: str
    definitions: tuple[str, ...] = ()

    def module(self) -> str:
        """The source of a module that defines `ANNOTATION`."""
        return "\n".join([HEADER, *dict.fromkeys(self.definitions), f"ANNOTATION = {self.expression}", ""])


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INT64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, -1, -(2**63), 2**63 - 1])
FLOATS = st.floats() | st.sampled_from([0.0, -0.0, float("nan"), float("inf")])
_YEARS = st.integers(-62_000_000_000 * 10**6, 253_000_000_000 * 10**6)
_ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC", 0, 3600, -12_600, 20_700, 45_296]
)
_DECIMALS = st.decimals().map(str) | st.sampled_from(
    ["NaN123", "-NaN", "sNaN7", "-0", "0E+3", "0E-400", "1E+1000", "-Infinity", "1.10", "1" * 40]
)


def _leaves(values: st.SearchStrategy[str]) -> st.SearchStrategy[Term]:
    return values.map(Term)


_SCALARS = {
    "None": st.just("None"),
    "bool": st.booleans().map(repr),
    "int": INT64.map(repr),
    "float": FLOATS.map(lambda x: f"bits({struct.pack('<d', x).hex()!r})"),
    "str": TEXT.map(repr),
    "bytes": st.binary(max_size=8).map(repr),
    "datetime.datetime": st.builds(lambda at, zone: f"moment({at}, {zone!r})", _YEARS, _ZONES),
    "datetime.date": st.dates().map(lambda day: f"datetime.date({day.year}, {day.month}, {day.day})"),
    "datetime.timedelta": INT64.map(lambda n: f"datetime.timedelta(microseconds={n})"),
    "decimal.Decimal": _DECIMALS.map(lambda text: f"decimal.Decimal({text!r})"),
}
SCALARS = [Shape(name, _leaves(values), name) for name, values in _SCALARS.items()]

_MEMBERS = st.one_of(
    st.lists(TEXT, min_size=1, max_size=4, unique=True),
    st.lists(INT64, min_size=1, max_size=4, unique=True),
    # Mixed, and no two of them equal to each other as Python has it: `1 == True` makes an alias.
    st.permutations(["a", b"b", 7, 0.5, True, "c\n"]).map(lambda values: values[:4]),
)


@st.composite
def enums(draw: st.DrawFn) -> Shape:
    """An Enum class of its own, with an alias."""
    values = draw(_MEMBERS)
    lines = [f"    M{i} = {value!r}" for i, value in enumerate(values)]
    name = _named("Kind", lines)
    definition = "\n".join([f"class {name}(enum.Enum):", *lines, "    ALIAS = M0"])
    members = st.integers(0, len(values) - 1).map(lambda i: f"{name}.M{i}")
    return Shape(name, _leaves(members), "choice", (definition,))


@st.composite
def literals(draw: st.DrawFn) -> Shape:
    """A `Literal[...]`, perhaps with None in it, in which `1` and `True` are two."""
    values = draw(
        st.lists(
            st.sampled_from(["a", "b", "", 1, True, 0, False, b"a", None]),
            min_size=1,
            max_size=5,
            unique_by=lambda each: (type(each), each),
        )
    )
    texts = list(map(repr, values))
    return Shape(f"Literal[{', '.join(texts)}]", _leaves(st.sampled_from(texts)), "choice")


def _named(kind: str, content: list[str]) -> str:
    """A class's name: another one for other content."""
    return f"{kind}{hashlib.sha256(repr(content).encode()).hexdigest()[:12]}"


_FIELDS = st.lists(
    st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name)),
    unique=True,
    max_size=4,
)


def lists(element: Shape) -> Shape:
    """`list[T]`"""
    values = st.lists(element.values, max_size=4).map(lambda terms: _sequence("[", terms, "]"))
    return Shape(f"list[{element.expression}]", values, "sequence", element.definitions)


def long_tuples(element: Shape) -> Shape:
    """`tuple[T, ...]`"""
    values = st.lists(element.values, max_size=4).map(lambda terms: _sequence("tuple([", terms, "])"))
    return Shape(f"tuple[{element.expression}, ...]", values, "sequence", element.definitions)


def tuples(elements: list[Shape]) -> Shape:
    """`tuple[A, B]`"""
    expression = ", ".join(each.expression for each in elements) or "()"
    values = st.tuples(*(each.values for each in elements)).map(
        lambda terms: _sequence("tuple([", list(terms), "])")
    )
    return Shape(f"tuple[{expression}]", values, "tuple", _definitions(elements))


def _sequence(head: str, terms: list[Term], tail: str) -> Term:
    return Term(head, tuple(("", f"[{i}]", term) for i, term in enumerate(terms)), tail)


def dicts(value: Shape) -> Shape:
    """`dict[str, T]`"""
    values = st.dictionaries(TEXT | _FIELDS.map("_".join), value.values, max_size=4).map(
        lambda terms: Term(
            "{", tuple((f"{key!r}: ", key_step(key), term) for key, term in terms.items()), "}"
        )
    )
    return Shape(f"dict[str, {value.expression}]", values, "dict", value.definitions)


def key_step(key: str) -> str:
    """What a key adds to a path."""
    quoted = {'"': '\\"', "\\": "\\\\"}
    shown = (each if each.isprintable() else each.encode("unicode_escape").decode() for each in key)
    return '["' + "".join(quoted.get(each, each) for each in shown) + '"]'


def optionals(value: Shape) -> Shape:
    """`T | None`"""
    if "None" in value.expression.removeprefix("Literal"):
        return value
    return Shape(
        f"Optional[{value.expression}]", value.values | st.just(Term("None")), value.kind, value.definitions
    )


@st.composite
def records(draw: st.DrawFn, shapes: st.SearchStrategy[Shape]) -> Shape:
    """A class of its own with fields: a dataclass, a NamedTuple or a TypedDict."""
    names = draw(_FIELDS)
    fields = {name: draw(shapes) for name in names}
    said = [f"{field}: {shape.expression}" for field, shape in fields.items()]
    match draw(st.sampled_from(["dataclass", "named tuple", "typed dict"])):
        case "dataclass":
            options = ", ".join(
                f"{option}={draw(st.booleans())}" for option in ("frozen", "slots", "kw_only")
            )
            name = _named("Data", [options, *said])
            head = f"@dataclasses.dataclass({options})\nclass {name}:"
            return _record(name, head, fields, f"{name}(", ")", "dataclass")
        case "named tuple":
            name = _named("Named", said)
            return _record(name, f"class {name}(NamedTuple):", fields, f"{name}(", ")", "named tuple")
        case _:
            absent = frozenset(draw(st.sets(st.sampled_from(sorted(fields))))) if fields else frozenset()
            name = _named("Keyed", [*said, *sorted(absent)])
            return _record(name, f"class {name}(TypedDict):", fields, "dict(", ")", "dict", absent)


def _record(  # noqa: PLR0917 - what is written around the fields, and the fields
    name: str,
    head: str,
    fields: dict[str, Shape],
    opened: str,
    closed: str,
    kind: str,
    absent: frozenset[str] = frozenset(),
) -> Shape:
    lines = [
        f"    {field}: NotRequired[{shape.expression}]"
        if field in absent
        else f"    {field}: {shape.expression}"
        for field, shape in fields.items()
    ]
    definition = "\n".join([head, *(lines or ["    pass"])])
    values = st.fixed_dictionaries(
        {
            field: shape.values | st.none() if field in absent else shape.values
            for field, shape in fields.items()
        }
    ).map(
        lambda terms: Term(
            opened,
            # In declared order, which is that in which a record's fields come back.
            tuple((f"{field}=", f".{field}", term) for field in fields if (term := terms[field]) is not None),
            closed,
        )
    )
    return Shape(name, values, kind, (*_definitions(list(fields.values())), definition))


def unions(variants: list[Shape]) -> Shape:
    """`A | B`"""
    return Shape(
        f"Union[{', '.join(each.expression for each in variants)}]",
        st.one_of(*(each.values for each in variants)),
        "union",
        _definitions(variants),
    )


def _definitions(parts: list[Shape]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line for part in parts for line in part.definitions))


def _extended(shapes: st.SearchStrategy[Shape]) -> st.SearchStrategy[Shape]:
    return st.one_of(
        shapes.map(lists),
        shapes.map(long_tuples),
        st.lists(shapes, max_size=3).map(tuples),
        shapes.map(dicts),
        shapes.map(optionals),
        records(shapes),
    )


def _with_unions(shapes: st.SearchStrategy[Shape]) -> st.SearchStrategy[Shape]:
    variants = st.lists(
        shapes.filter(lambda shape: shape.kind != "union"),
        min_size=2,
        max_size=4,
        unique_by=lambda shape: shape.kind,
    )
    return _extended(shapes) | variants.map(unions)


LEAVES = st.sampled_from(SCALARS) | enums() | literals()
SHAPES = st.recursive(LEAVES, _with_unions, max_leaves=8)
"""Annotations of any shape."""
PLAIN_SHAPES = st.recursive(LEAVES, _extended, max_leaves=8)
"""Those without unions other than Optional, in which a wrong leaf has one path."""
