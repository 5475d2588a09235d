"""Parts of values, taken from them and put together again, through a server and its processes and in a direct call."""

import importlib

import pytest

from typedflow import File, errors, literals
from typedflow.dataplane import digests as blobs
from typedflow.pb import literals_pb2

PARTS = """
    import enum
    from dataclasses import dataclass
    from datetime import date
    from typing import NamedTuple, NotRequired, TypedDict

    from typedflow import File, task, workflow

    class Color(enum.Enum):
        RED = "red"

    class Point(NamedTuple):
        x: int
        y: float

    @dataclass
    class Inner:
        day: date
        color: Color
        points: list[Point]

    @dataclass
    class Config:
        inner: Inner
        pair: tuple[int, str]
        by_name: dict[str, Inner]
        page: File

    class Options(TypedDict):
        depth: int
        seed: NotRequired[int]

    class Taken(NamedTuple):
        x: int
        y: float
        day: date
        color: Color
        text: str
        page: File
        depth: int
        shown: str

    @task(cache=True)
    def make(text: str) -> Config:
        with open("page.txt", "w") as page:
            page.write(text)
        inner = Inner(date(2024, 2, 29), Color.RED, [Point(1, 0.5), Point(2, -0.0)])
        return Config(inner, (7, text), {"a b": inner}, File("page.txt"))

    @task
    def options() -> Options:
        return {"depth": 3}

    @task
    def show(xs: list[int], by_name: dict[str, Inner | None], point: Point, pair: tuple[str, date], config: Config,
             options: Options, pages: list[File], either: list[int] | dict[str, float]) -> str:
        read = [page.path.read_text() for page in pages]
        return repr((xs, by_name, point, pair, config.pair, config.page.path.read_text(), options, read, either))

    @workflow
    def parts(text: str, given: Config) -> Taken:
        c = make(text=text)
        o = options()
        shown = show(
            xs=[c.inner.points[0].x, c.pair[0], 9],
            by_name={"z": c.by_name["a b"], "a": None},
            point=Point(c.inner.points[-1].x, 1.5),
            pair=(c.pair[1], c.inner.day),
            config=Config(c.by_name["a b"], (given.pair[0], "new"), {}, given.page),
            options={"depth": o["depth"]},
            pages=[c.page, given.page],
            either={"y": c.inner.points[0].y},
        )
        return Taken(c.inner.points[1].x, c.inner.points[1].y, c.by_name["a b"].day, c.inner.color, c.pair[1],
                     given.page, o["depth"], shown)

    @workflow
    def beyond(n: int) -> str:
        return make(text="x").by_name["b"].color

    @workflow
    def absent(n: int) -> int:
        return options()["seed"]
"""


def test_parts_of_all_containers_feed_and_make_others(author, tmp_path, monkeypatch):
    author.register("parts_module", PARTS)
    module = importlib.import_module("parts_module")
    page = tmp_path / "given.txt"
    page.write_text("given")
    inner = module.Inner(module.date(1, 1, 1), module.Color.RED, [])
    given = module.Config(inner, (5, "p"), {}, File(page))
    there = author.outputs("parts", text="τ", given=given)
    monkeypatch.chdir(tmp_path)
    here = module.parts(text="τ", given=given)
    assert (there.x, there.y, there.day, there.text, there.depth) == (2, -0.0, here.day, "τ", 3)
    assert (here.x, here.y, here.color, here.text, here.depth) == (2, -0.0, module.Color.RED, "τ", 3)
    assert there.color == "red"
    assert there.page.read_bytes() == here.page.path.read_bytes() == b"given"
    assert there.shown == here.shown
    point = module.Point
    expected = (
        [1, 7, 9],
        {"z": module.Inner(here.day, here.color, [point(1, 0.5), point(2, -0.0)]), "a": None},
        point(2, 1.5),
        ("τ", here.day),
        (5, "new"),
        "given",
        {"depth": 3},
        ["τ", "given"],
        {"y": 0.5},
    )
    assert here.shown == repr(expected)


def test_a_part_that_is_not_there_fails_with_its_place(author, tmp_path, monkeypatch):
    author.register("absent_module", PARTS)
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module("absent_module")
    for name, said in (("beyond", 'has no key "b"'), ("absent", "`seed`")):
        run = author.run(name, n=1)
        assert run.phase == "FAILED"
        with pytest.raises(errors.ExecutionFailed) as here:
            getattr(module, name)(n=1)
        assert said in here.value.message
        assert here.value.where == f"workflow absent_module.{name}"
        assert run.message.error.message == here.value.message


LARGE = """
    from dataclasses import dataclass
    from typing import Annotated, NamedTuple

    from typedflow import File, Sensitive, task, workflow

    @dataclass
    class Large:
        numbers: list[float]
        page: File

    @dataclass
    class Secret:
        large: Large
        token: Annotated[str, Sensitive]
        key: Annotated[File, Sensitive]

    class Taken(NamedTuple):
        total: float
        whole: Large
        secret: Secret

    @task(cache=True)
    def make(count: int) -> Large:
        with open("page.txt", "w") as page:
            page.write("in a large value")
        return Large([i + 0.5 for i in range(count)], File("page.txt"))

    @task
    def hide(large: Large) -> Secret:
        with open("key.txt", "w") as key:
            key.write("hunter2 in a file")
        return Secret(large, "hunter2", File("key.txt"))

    @task
    def total(numbers: list[float], by_name: dict[str, Large], secret: Secret) -> float:
        assert secret.token + " in a file" == secret.key.path.read_text()
        return sum(numbers) + sum(by_name["a"].numbers)

    @workflow
    def large(count: int) -> Taken:
        made = make(count=count)
        secret = hide(large=made)
        return Taken(total(numbers=made.numbers, by_name={"a": made}, secret=secret), made, secret)
"""


@pytest.fixture
def large(author):
    """An execution of values that are stored elsewhere, some of which are Sensitive."""
    author.register("large_parts", LARGE)
    return author.run("large", count=200_000)


def test_d2_parts_of_a_large_value_are_values_as_others(large):
    assert large.outputs.total == 200_000**2
    assert large.outputs.whole.numbers[-1] == 199_999.5
    assert large.outputs.whole.page.read_bytes() == b"in a large value"


def objects_in(author, run, node, variable, digest=""):
    return b"".join(author.client.get_value(run.id, variable, node=node, digest=digest))


def test_s3_what_is_sensitive_in_a_nodes_values_does_not_leave_the_server(large, author):
    assert large.outputs.secret == "***"
    nodes = list(author.client.nodes(large.id))
    watched = [node for change in author.client.watch(large.id) for node in change.nodes]
    assert [node.id for node in nodes] == ["make", "hide", "total"]
    assert [node.HasField("outputs") for node in watched] == [True] * 3
    shown = {node.id: literals.get(node.outputs, "o0") for node in nodes}
    assert shown["hide"] == literals_pb2.Literal()
    assert next(node for node in watched if node.id == "hide").outputs == nodes[1].outputs
    assert nodes[0].outputs.values[0].value.HasField("offloaded")
    digests = {
        name: blobs.of_bytes(text)
        for name, text in (("page", b"in a large value"), ("key", b"hunter2 in a file"))
    }
    for node in ("", "hide"):
        variable = "o0" if node else "secret"
        assert objects_in(author, large, node, variable, digests["page"]) == b"in a large value"
        for digest in (digests["key"], ""):
            with pytest.raises(errors.NotFound, match="Sensitive"):
                objects_in(author, large, node, variable, digest)
    with pytest.raises(errors.NotFound):
        objects_in(author, large, "total", "secret", digests["key"])
