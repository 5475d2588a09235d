"""What a program gives is what tasks get, and what they give is what it gets, whatever the type."""

from __future__ import annotations

import enum
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from typedflow import Directory, client, errors, literals, services
from typedflow.client import runs
from typedflow.pb import executions_pb2, literals_pb2

PIPELINE = """
import enum
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple

import numpy as np
from typedflow import Directory, Sensitive, task, workflow

class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

class Point(NamedTuple):
    x: int
    y: float

@dataclass
class Config:
    day: date
    amounts: list[Decimal]
    colour: Colour
    point: Point
    data: bytes

class All(NamedTuple):
    data: bytes
    day: date
    at: datetime
    span: timedelta
    amount: Decimal
    colour: Colour
    mode: Literal["a", 1]
    pair: tuple[int, str]
    numbers: dict[str, list[int | None]]
    config: Config
    folder: Directory
    array: np.ndarray
    secret: Annotated[str, Sensitive]

@task
def passes(
    data: bytes, day: date, at: datetime, span: timedelta, amount: Decimal, colour: Colour, mode: Literal["a", 1],
    pair: tuple[int, str], numbers: dict[str, list[int | None]], config: Config, folder: Directory, array: np.ndarray,
    secret: Annotated[str, Sensitive],
) -> All:
    assert isinstance(config.point, Point) and isinstance(colour, Colour) and isinstance(pair, tuple)
    return All(data, day, at, span, amount, colour, mode, pair, numbers, config, folder, array, secret)

@workflow
def everything(
    data: bytes, day: date, at: datetime, span: timedelta, amount: Decimal, colour: Colour, mode: Literal["a", 1],
    pair: tuple[int, str], numbers: dict[str, list[int | None]], config: Config, folder: Directory, array: np.ndarray,
    secret: Annotated[str, Sensitive],
) -> All:
    return passes(
        data=data, day=day, at=at, span=span, amount=amount, colour=colour, mode=mode, pair=pair, numbers=numbers,
        config=config, folder=folder, array=array, secret=secret,
    )
"""


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(NamedTuple):
    x: int
    y: float


@dataclass
class Config:
    day: date
    amounts: list[Decimal]
    colour: Colour
    point: Point
    data: bytes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.Client]:
    with (
        services.embedded(tmp_path_factory.mktemp("home")) as running,
        client.Client(running.grpc, token=running.token) as connected,
    ):
        file = tmp_path_factory.mktemp("project") / "every_type.py"
        file.write_text(PIPELINE, "utf-8")
        connected.register(file)
        yield connected


def test_t2_every_type_goes_in_and_comes_out(server: client.Client, tmp_path: Path):
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "a.txt").write_bytes(b"a")
    (tree / "run.sh").write_text("#!/bin/sh\n")
    (tree / "run.sh").chmod(0o755)
    plain = {
        "data": b"\x00\xff",
        "day": date(2024, 2, 29),
        "at": datetime(2024, 2, 29, 12, tzinfo=UTC),
        "span": timedelta(days=1, microseconds=1),
        "amount": Decimal("1.10"),
        "mode": 1,
        "pair": (1, "x"),
        "numbers": {"z": [1, None], "a": []},
    }
    config = Config(date(1, 1, 1), [Decimal("0E+3")], Colour.BLUE, Point(1, 0.5), b"\xfe")
    array = np.arange(6, dtype=np.int16).reshape(2, 3)
    inputs = {
        **plain,
        "colour": Colour.RED,
        "config": config,
        "folder": tree,
        "array": array,
        "secret": "hunter2",
    }
    outputs = server.launch("everything", inputs=inputs).wait(timeout=60).outputs
    assert {name: getattr(outputs, name) for name in plain} == plain
    assert str(outputs.amount) == "1.10"
    assert list(outputs.numbers) == ["z", "a"]
    assert (outputs.colour, outputs.secret) == ("red", "***")
    assert outputs.config == SimpleNamespace(
        day=config.day,
        amounts=config.amounts,
        colour="blue",
        point=SimpleNamespace(x=1, y=0.5),
        data=b"\xfe",
    )
    assert (np.load(io.BytesIO(outputs.array.read_bytes())) == array).all()
    saved = outputs.folder.save(tmp_path / "saved")
    assert sorted(outputs.folder.files) == ["run.sh", "sub/a.txt"]
    assert (saved / "sub" / "a.txt").read_bytes() == b"a"
    assert (saved / "run.sh").stat().st_mode & 0o100


def test_a_directory_object_is_uploaded_as_a_folder_is(server: client.Client, tmp_path: Path):
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(errors.ConversionError) as caught:
        server.launch("everything", inputs={"folder": Directory(tmp_path)})
    assert "inputs.folder" not in str(caught.value)
    assert "inputs.data" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([{1, 2}], r"^numbers\[0\]: set is not a supported type"),
        ({1: 2}, "^numbers: the key 1 is no str"),
        ({"a b": Config}, r'^numbers\["a b"\]: type is not a supported type'),
        ({"a": [Path("x")]}, r'  inputs\.numbers\["a"\]\[0\]: there is no file x'),
        ([b"x"], r"^\d+ values do not fit:\n(.*\n)*  inputs\.numbers: expected dict"),
        ({"a": [1, b"x"]}, r'  inputs\.numbers\["a"\]\[1\]: expected int \| None'),
    ],
)
def test_what_can_not_travel_is_told_with_its_place(server: client.Client, value: object, said: str):
    with pytest.raises(errors.ConversionError, match=said):
        server.launch("everything", inputs={"numbers": value})


def test_what_holds_itself_is_told(server: client.Client):
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(errors.ConversionError, match="it holds itself"):
        server.launch("everything", inputs={"numbers": {"a": loop}})
    shared = [1]
    with pytest.raises(errors.ConversionError, match=r"inputs\.data"):
        server.launch("everything", inputs={"numbers": {"a": shared, "b": shared}})


@pytest.mark.parametrize("path", ["../a", "/a", "a/../../b"])
def test_s5_a_directory_does_not_lead_out_of_its_folder(tmp_path: Path, path: str):
    message = executions_pb2.Execution(id="e", phase=executions_pb2.PHASE_SUCCEEDED)
    value = literals_pb2.Literal()
    value.directory.entries.add(path=path)
    message.outputs.CopyFrom(literals.as_map({"o0": value}))
    run = runs.Run(None, message)  # type: ignore[arg-type]  # asks nobody
    with pytest.raises(errors.IntegrityError, match="leads out of it"):
        run.outputs.o0.save(tmp_path / "folder")
