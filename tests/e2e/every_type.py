"""A value of every type of rule T1: what an author writes for it, and what programs read of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

DEFINITIONS = """
from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, NotRequired, TypedDict

import numpy as np
import pandas as pd
import pandera.pandas as pan
import pandera.typing
import pyarrow as pa
import pydantic
from numpy.typing import NDArray

import exactness
from typedflow import Columns, Directory, File, Format, Pickle, Sensitive
from typedflow import Transformer, register_transformer, task, workflow


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Inner:
    rate: float
    tags: list[str]


@dataclass(frozen=True)
class Config:
    name: str
    inner: Inner
    color: Color = Color.RED
    steps: dict[str, Inner] = field(default_factory=dict)
    note: str | None = None


class Point(NamedTuple):
    x: int
    y: float = 0.5


class Options(TypedDict):
    depth: int
    seed: NotRequired[int]


class Model(pydantic.BaseModel):
    layers: list[int]
    rate: float = 0.1
    inner: Inner | None = None


class Measured(pan.DataFrameModel):
    name: str
    size: float = pan.Field(ge=0)


@dataclass
class Parts:
    page: File
    tables: dict[str, pd.DataFrame]
    weights: list[np.ndarray]


class Molecule:
    def __init__(self, formula):
        self.formula = formula

    def __repr__(self):
        return self.formula


@register_transformer
class AsText(Transformer[Molecule, str]):
    name = "every.Molecule"

    def encode(self, value):
        return value.formula

    def decode(self, raw):
        return Molecule(raw)


class Ball:
    def __init__(self, formula):
        self.formula = formula

    def __repr__(self):
        return self.formula


@register_transformer
class InFile(Transformer[Ball, File]):
    name = "every.Ball"

    def encode(self, value):
        path = self.new_folder() / "ball.txt"
        path.write_text(value.formula)
        return File(path)

    def decode(self, raw):
        return Ball(raw.path.read_text())


class Fitted:
    def __init__(self, weights):
        self.weights = weights

    def __repr__(self):
        return f"Fitted({self.weights})"


def a_file(name="page.html", text="<p>so"):
    Path(name).write_text(text)
    return File(name)


def a_folder():
    folder = Path("folder")
    (folder / "deep" / "empty").mkdir(parents=True, exist_ok=True)
    (folder / "a.csv").write_text("a,b")
    (folder / "deep" / "run.sh").write_text("true")
    (folder / "deep" / "run.sh").chmod(0o755)
    return Directory(folder)


def pandas_frame():
    return pd.DataFrame(
        {"name": ["a", "b"], "size": [1.5, -0.0], "kind": pd.Categorical(["x", "y"], ordered=True),
         "when": pd.to_datetime(["2024-03-31 02:30", None]).tz_localize("UTC")},
        index=pd.Index([3, 1], name="id"),
    )


def arrow_table():
    return pa.table({"name": ["a", None], "sizes": [[1, 2], []]})


def measured():
    return pd.DataFrame({"name": ["a", "b"], "size": [1.5, 0.0]})


def rows():
    yield from ({"n": n, "text": "x" * n} for n in range(3))
"""
POLARS_DEFINITIONS = """
from __future__ import annotations

from typing import NamedTuple

import pandera.polars as pap
import polars as pl
from pandera.typing.polars import DataFrame

import exactness
from typedflow import task, workflow


class Measured(pap.DataFrameModel):
    name: str
    size: float = pap.Field(ge=0)


def polars_frame():
    return pl.DataFrame({"name": ["a", None], "size": [1.5, -0.0], "days": [[1], []]})


def measured():
    return pl.DataFrame({"name": ["a", "b"], "size": [1.5, 0.0]})
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """A type, an expression that makes a value of it, and the value as programs read it."""

    name: str
    annotation: str
    value: str
    json: object


class Stored:
    """Equal to the JSON of a value whose bytes are kept elsewhere: what identifies it, and a digest and an address."""

    def __init__(self, **known: object) -> None:
        self.known = known

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, dict):
            return False
        there = {name: other.get(name) for name in self.known}
        return there == self.known and str(other.get("digest")).startswith("b3:")

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"Stored({self.known})"


MOMENT = 'dt.datetime(2024, 10, 27, 2, 30, 0, 7, zoneinfo.ZoneInfo("Europe/Berlin"), fold=1)'
MOMENT_JSON = "2024-10-27T02:30:00.000007+01:00[Europe/Berlin]"
FIXED = "dt.datetime(2024, 2, 29, 23, 59, 59, 999999, dt.timezone(dt.timedelta(hours=-9, minutes=-30)))"
FIXED_JSON = "2024-02-29T23:59:59.999999-09:30"
CONFIG = 'Config("c", Inner(1e-300, []), Color.BLUE, {"z": Inner(0.5, ["t"]), "a": Inner(math.inf, [])})'
CONFIG_JSON = {
    "name": "c",
    "inner": {"rate": 1e-300, "tags": []},
    "color": "blue",
    "steps": {"z": {"rate": 0.5, "tags": ["t"]}, "a": {"rate": "Infinity", "tags": []}},
    "note": None,
}
PAGE = Stored(size=5, format="html")

CASES = [
    Case("nothing", "list[None]", "[None, None]", [None, None]),
    Case("truth", "bool", "True", True),
    Case("whole", "int", "-(2**63)", -(2**63)),
    Case("real", "float", "1e-323", 1e-323),
    Case("no_number", "float", "math.nan", "NaN"),
    Case("zero", "float", "-0.0", -0.0),
    Case("text", "str", r"'naïve 漢字 😀\x00\u2028'", "naïve 漢字 😀\x00\u2028"),
    Case("raw", "bytes", r"b'\x00\xff'", "AP8="),
    Case("day", "dt.date", "dt.date(1, 1, 1)", "0001-01-01"),
    Case("moment", "dt.datetime", MOMENT, MOMENT_JSON),
    Case("fixed", "dt.datetime", FIXED, FIXED_JSON),
    Case("span", "dt.timedelta", "dt.timedelta(days=-1, microseconds=1)", "-PT23H59M59.999999S"),
    Case("money", "decimal.Decimal", "decimal.Decimal('1.50E+9')", "1.50E+9"),
    Case("color", "Color", "Color.BLUE", "blue"),
    Case("level", "Level", "Level.HIGH", 2),
    Case("choice", "Literal['a', 2, True]", "2", 2),
    Case("numbers", "list[int]", "[2**63 - 1, -1]", [2**63 - 1, -1]),
    Case("empties", "list[list[float | None]]", "[[], [None, -0.0]]", [[], [None, -0.0]]),
    Case("moments", "list[dt.datetime]", f"[{MOMENT}, {FIXED}]", [MOMENT_JSON, FIXED_JSON]),
    Case("keyed", "dict[str, int]", "{'z': 1, '': 2, 'a': 3}", {"z": 1, "": 2, "a": 3}),
    Case(
        "deep",
        "dict[str, list[dict[str, Color]]]",
        "{'k': [{'r': Color.RED}, {}]}",
        {"k": [{"r": "red"}, {}]},
    ),
    Case("pair", "tuple[int, str, None]", "(1, 'x', None)", [1, "x", None]),
    Case("same", "tuple[float, ...]", "(1.0, -0.0)", [1.0, -0.0]),
    Case(
        "point",
        "list[Point]",
        "[Point(1), Point(2, math.inf)]",
        [{"x": 1, "y": 0.5}, {"x": 2, "y": "Infinity"}],
    ),
    Case("maybe", "str | None", "None", None),
    Case("either", "int | str | list[int]", "[1]", [1]),
    Case(
        "clash",
        "list[dt.date | str]",
        "['2024-01-01', dt.date(2024, 1, 1)]",
        [{"$type": "str", "value": "2024-01-01"}, "2024-01-01"],
    ),
    Case("config", "Config", CONFIG, CONFIG_JSON),
    Case("options", "Options", "{'depth': 2}", {"depth": 2}),
    Case(
        "both",
        "list[Options]",
        "[{'depth': 2}, {'depth': 3, 'seed': 1}]",
        [{"depth": 2}, {"depth": 3, "seed": 1}],
    ),
    Case(
        "model",
        "Model",
        "Model(layers=[3], inner=Inner(1.0, []))",
        {"layers": [3], "rate": 0.1, "inner": {"rate": 1.0, "tags": []}},
    ),
    Case("file", "Annotated[File, Format('html')]", "a_file()", PAGE),
    Case("files", "list[File]", "[a_file(), a_file('b', '')]", [Stored(size=5), Stored(size=0)]),
    Case("folder", "Directory", "a_folder()", Stored(files=2, size=7)),
    Case("pandas", "pd.DataFrame", "pandas_frame()", Stored(rows=2)),
    Case("arrow", "pa.Table", "arrow_table()", Stored(rows=2)),
    Case("measured", "pandera.typing.DataFrame[Measured]", "measured()", Stored(rows=2)),
    Case("columns", "Annotated[pd.DataFrame, Columns(name=str, size=float)]", "measured()", Stored(rows=2)),
    Case(
        "array", "np.ndarray", "np.arange(6, dtype='>i2').reshape(2, 3)", Stored(dtype="int16", shape=[2, 3])
    ),
    Case("floats", "NDArray[np.float64]", "np.array([np.nan, -0.0])", Stored(dtype="float64", shape=[2])),
    Case("stream", "Iterator[dict[str, int | str]]", "rows()", Stored(length=3)),
    Case(
        "parts",
        "Parts",
        "Parts(a_file(), {'t': measured()}, [np.zeros(1)])",
        {"page": Stored(size=5), "tables": {"t": Stored(rows=2)}, "weights": [Stored(shape=[1])]},
    ),
    Case("maybe_file", "File | None", "a_file()", Stored(size=5)),
    Case("secret", "Annotated[str, Sensitive]", "'hunter2'", "***"),
    Case("secrets", "dict[str, Annotated[str, Sensitive]]", "{'a': 'hunter2'}", {"a": "***"}),
    Case("pickled", "Annotated[Fitted, Pickle]", "Fitted([1, None])", Stored(format="pickle")),
    Case("molecule", "Molecule", "Molecule('H2O')", "H2O"),
    Case("balls", "list[Ball]", "[Ball('O2')]", [Stored(size=2)]),
]
# Apart, since a process that has loaded polars has threads and is not forked: each of these tasks imports it.
POLARS = [
    Case("polars", "pl.DataFrame", "polars_frame()", Stored(rows=2)),
    Case("measured_polars", "DataFrame[Measured]", "measured()", Stored(rows=2)),
]

NOT_GIVEN = {"pickled", "clash"}
"""What no launch takes as it is: pickled values, and texts that would be dates as well, which are read as JSON is."""

_CASE = """

@task(cache=True)
def make_{name}() -> {annotation}:
    return {value}


@task(cache=True)
def check_{name}(x: {annotation}) -> {annotation}:
    return exactness.checked(x, {value})

"""


def write(folder: Path) -> Path:
    """Writes the modules `every` and `every_polars`, with what they compare values by; gives the path of the first."""
    comparison = (Path(__file__).resolve().parent.parent / "exactness.py").read_text("utf-8")
    (folder / "exactness.py").write_text(comparison, "utf-8")
    (folder / "every_polars.py").write_text(_module("every_polars", POLARS_DEFINITIONS, POLARS), "utf-8")
    path = folder / "every.py"
    path.write_text(_module("every", DEFINITIONS, CASES), "utf-8")
    return path


def _module(name: str, definitions: str, cases: list[Case]) -> str:
    """A module with two tasks for each type, one that makes a value and one that compares it, and a workflow of all."""
    lines = [definitions, *(_CASE.format(**dataclasses.asdict(each)) for each in cases)]
    lines.append("\n\nclass Every(NamedTuple):\n")
    lines += [f"    {each.name}: {each.annotation}\n" for each in cases]
    lines.append('\n\n@workflow(failure_policy="fail_after_running")\n')
    lines.append(f"def {name}() -> Every:\n    return Every(\n")
    lines += [f"        {each.name}=check_{each.name}(x=make_{each.name}()),\n" for each in cases]
    lines.append("    )\n")
    given = [each for each in cases if each.name not in NOT_GIVEN]
    plain = [each for each in cases if each.name in plainly_given(cases)]
    return "".join(lines) + _taking("given", given) + _taking("plain", plain)


def plainly_given(cases: list[Case]) -> dict[str, object]:
    """The values that can be written down, as people write them."""
    shown = {"secret": "hunter2", "secrets": {"a": "hunter2"}}
    return {each.name: shown.get(each.name, each.json) for each in cases if not _is_stored(each.json)}


def _is_stored(shown: object) -> bool:
    inner = shown if isinstance(shown, list) else [*shown.values()] if isinstance(shown, dict) else []
    return isinstance(shown, Stored) or any(map(_is_stored, inner))


def _taking(name: str, cases: list[Case]) -> str:
    """A workflow of as many inputs, that gives what is wrong with those that are not exactly as expected."""
    given = ", ".join(f"{each.name}: {each.annotation}" for each in cases)
    passed = ", ".join(f"{each.name}={each.name}" for each in cases)
    expected = "".join(f"        {each.name}={each.value},\n" for each in cases)
    return (
        f"\n\ndef {name}() -> dict:\n    return dict(\n{expected}    )\n"
        f"\n\n@task(cache=True)\ndef take_{name}({given}) -> dict[str, str]:\n"
        f"    return exactness.differences(dict({passed}), {name}())\n"
        f"\n\n@workflow\ndef taking_{name}({given}) -> dict[str, str]:\n    return take_{name}({passed})\n"
    )
