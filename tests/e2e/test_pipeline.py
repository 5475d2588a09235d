"""Values, caches, versions and policies, through real processes and back."""

import importlib
import io
import math
import os
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import pandas as pd
import pyarrow as pa
import pytest

from tests.e2e import machines
from typedflow import errors
from typedflow.catalog import MemoryCatalog
from typedflow.pb import catalog_pb2, catalog_pb2_grpc
from typedflow.testing import local

VALUES = """
    from dataclasses import dataclass
    from datetime import datetime
    from typing import NamedTuple
    from typedflow import task, workflow

    @dataclass
    class Inner:
        rate: float
        tags: list[str]

    @dataclass
    class Config:
        name: str
        inner: Inner
        note: str | None = None

    class All(NamedTuple):
        whole: int
        real: float
        zero: float
        text: str
        truth: bool
        moment: datetime
        numbers: list[int]
        nested: list[list[float | None]]
        maybe: str | None
        either: int | str
        config: Config
        nothing: None

    class Seen(NamedTuple):
        all: str
        whole: int
        real: float
        zero: float
        text: str
        truth: bool
        moment: datetime
        numbers: list[int]
        nested: list[list[float | None]]
        maybe: str | None
        either: int | str
        config: Config
        nothing: None

    @task
    def same(whole: int, real: float, zero: float, text: str, truth: bool, moment: datetime, numbers: list[int],
             nested: list[list[float | None]], maybe: str | None, either: int | str, config: Config) -> All:
        return All(whole, real, zero, text, truth, moment, numbers, nested, maybe, either, config, None)

    @task
    def see(whole: int, real: float, zero: float, text: str, truth: bool, moment: datetime, numbers: list[int],
            nested: list[list[float | None]], maybe: str | None, either: int | str, config: Config,
            nothing: None) -> str:
        return repr((whole, real, zero, text, truth, moment, numbers, nested, maybe, either, config, nothing))

    @workflow
    def trip(whole: int, real: float, zero: float, text: str, truth: bool, moment: datetime, numbers: list[int],
             nested: list[list[float | None]], maybe: str | None, either: int | str, config: Config) -> Seen:
        a = same(whole=whole, real=real, zero=zero, text=text, truth=truth, moment=moment, numbers=numbers,
                 nested=nested, maybe=maybe, either=either, config=config)
        seen = see(whole=a.whole, real=a.real, zero=a.zero, text=a.text, truth=a.truth, moment=a.moment,
                   numbers=a.numbers, nested=a.nested, maybe=a.maybe, either=a.either, config=a.config,
                   nothing=a.nothing)
        return Seen(seen, a.whole, a.real, a.zero, a.text, a.truth, a.moment, a.numbers, a.nested, a.maybe, a.either,
                    a.config, a.nothing)
"""
DATA = """
    from typing import Annotated, NamedTuple
    import pandas as pd
    import pandera.pandas as pan
    import pyarrow as pa
    from pandera.typing import DataFrame
    from typedflow import File, Format, task, workflow

    class Schema(pan.DataFrameModel):
        name: str
        size: float = pan.Field(ge=0)

    class Data(NamedTuple):
        page: Annotated[File, Format("html")]
        table: DataFrame[Schema]
        seen: str

    @task
    def render(source: File, table: pa.Table) -> Annotated[File, Format("html")]:
        with open("report.html", "w") as page:
            page.write(f"<p>{source.path.read_text()} in {source.name}: {table.num_rows} rows")
        return File("report.html")

    @task
    def clean(raw: pd.DataFrame) -> DataFrame[Schema]:
        return raw.dropna()

    @task
    def see(page: Annotated[File, Format("html")], table: DataFrame[Schema]) -> str:
        return f"{page.name} {page.format} {page.path.read_text()} {list(table.columns)} {table['size'].sum()}"

    @workflow
    def pages(source: File, raw: pd.DataFrame) -> Data:
        table = clean(raw=raw)
        page = render(source=source, table=table)
        return Data(page, table, see(page=page, table=table))
"""
CACHED = '''
    import os
    from pathlib import Path
    from typedflow import Cache, task, workflow

    def helper(n: int) -> int:
        return n + 1

    @task(cache=Cache(ignored_inputs=("verbosity",)))
    def grow(n: int, verbosity: int) -> int:
        """Grows."""
        return helper(n)

    @task(cache=True)
    def parity(n: int) -> str:
        return "odd" if n % 2 else "even"

    @task(cache=True)
    def label(parity: str) -> str:
        return f"it is {parity}"

    @task
    def never() -> int:
        return 1

    @workflow
    def labelled(n: int, verbosity: int = 0) -> str:
        never()
        return label(parity=parity(n=grow(n=n, verbosity=verbosity)))
'''
FILED = """
    from typedflow import File, task, workflow

    @task(cache=True)
    def written(n: int) -> File:
        with open("n.txt", "w") as file:
            file.write(str(n))
        return File("n.txt")

    @task(cache=True)
    def read(file: File, weights: list[float]) -> int:
        return int(file.path.read_text())

    @workflow
    def filed(n: int) -> int:
        return read(file=written(n=n), weights=[0.5, -0.0])
"""
NARROW = """
    from typing import Annotated
    import pandas as pd
    import pyarrow as pa
    from typedflow import Columns, task, workflow

    Own = Annotated[pa.Table, Columns(size=float, strict="filter")]

    @task
    def make(size: float, note: str) -> Annotated[pd.DataFrame, Columns(size=float, note=str)]:
        return pd.DataFrame({"size": [size], "note": [note]})

    @task(cache=True)
    def read(table: Own) -> str:
        return f"{table.column_names} {table['size'][0].as_py()}"

    @workflow
    def narrow(size: float, note: str) -> str:
        return read(table=make(size=size, note=note))

    @workflow
    def launched(table: Own) -> str:
        return read(table=table)
"""
POLICIES = """
    import time
    from pathlib import Path
    from typedflow import LaunchPlan, task, workflow

    @task
    def fails(where: str) -> int:
        while not Path(where, "begun").exists():
            time.sleep(0.01)
        raise ValueError("no good")

    @task
    def runs(where: str) -> int:
        Path(where, "begun").touch()
        while not Path(where, "go").exists():
            time.sleep(0.01)
        return 1

    @task
    def follows(n: int) -> int:
        return n

    @workflow
    def fast(where: str) -> int:
        follows.with_overrides(name="after-fails")(n=fails(where=where))
        return follows.with_overrides(name="after-runs")(n=runs(where=where))

    @workflow(failure_policy="fail_after_running")
    def patient(where: str) -> int:
        follows.with_overrides(name="after-fails")(n=fails(where=where))
        return follows.with_overrides(name="after-runs")(n=runs(where=where))
"""


def caches(run):
    return {each.id: each.cache for each in run.nodes}


def entries(client):
    """All that is cached in the client's project, as the server lists it."""
    with grpc.insecure_channel(client.address) as channel:
        request = catalog_pb2.ListEntriesRequest(project=client.project, domain=client.domain)
        answer = catalog_pb2_grpc.CatalogStub(channel).ListEntries(request, metadata=client._metadata)
    return list(answer.entries)


# Values.


def test_t2_what_goes_in_comes_out_through_two_processes(author):
    author.register("values_module", VALUES)
    moment = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=ZoneInfo("Asia/Kathmandu"))
    config: dict[str, Any] = {
        "name": "großes „Modell“",
        "inner": {"rate": 1e-300, "tags": []},
        "note": "\x00\u2028😀",
    }
    given = {
        "whole": -(2**63),
        "real": math.nan,
        "zero": -0.0,
        "text": "naïve 漢字 😀 \n\t\\ \"'",
        "truth": True,
        "moment": moment,
        "numbers": [0, 2**63 - 1, -1],
        "nested": [[1.5, None], [], [math.inf, -math.inf]],
        "maybe": None,
        "either": 7,
        "config": config,
    }
    outputs = author.outputs("trip", **given)
    plain = {name: value for name, value in given.items() if name not in ("real", "config")}
    assert {name: vars(outputs)[name] for name in plain} == plain
    assert outputs.nothing is None
    assert math.isnan(outputs.real)
    assert math.copysign(1, outputs.zero) == -1
    assert repr(outputs.moment) == repr(moment)
    assert type(outputs.either) is int
    inner = SimpleNamespace(**config["inner"])
    assert outputs.config == SimpleNamespace(name=config["name"], inner=inner, note=config["note"])
    shown = [
        repr(given[name])
        for name in ("whole", "real", "zero", "text", "truth", "moment", "numbers", "nested")
    ]
    for each in (*shown, "None, 7, Config(name=", "Inner(rate=1e-300, tags=[])"):
        assert each in outputs.all


def test_t1_files_and_frames_travel_by_content_and_frames_are_checked_where_they_are_made(author):
    author.register("data_module", DATA)
    source = author.folder / "notes.txt"
    source.write_text("some text")
    raw = pd.DataFrame({"name": ["a", "b", None], "size": [1.5, 2.5, 3.5]})
    outputs = author.outputs("pages", source=source, raw=raw)
    page = b"<p>some text in notes.txt: 2 rows"
    assert outputs.page.read_bytes() == page
    assert outputs.page.save(author.folder / "saved.html").read_bytes() == page
    assert outputs.seen == f"report.html html {page.decode()} ['name', 'size'] 4.0"
    table = pa.ipc.open_file(io.BytesIO(outputs.table.read_bytes())).read_all()
    assert table.select(["name", "size"]).to_pydict() == {"name": ["a", "b"], "size": [1.5, 2.5]}

    refused = author.run("pages", source=source, raw=pd.DataFrame({"name": ["a"], "size": [-1.0]}))
    assert refused.phase == "FAILED"
    assert refused.message.error.node == "clean"
    assert "size" in refused.error
    assert "-1.0" in refused.error


def test_d2_a_large_list_travels_between_tasks_and_to_the_client(author):
    author.register(
        "large_module",
        """
        from typing import NamedTuple
        from typedflow import task, workflow

        class Large(NamedTuple):
            numbers: list[float]
            total: float

        @task
        def many(count: int) -> list[float]:
            return [i + 0.5 for i in range(count)]

        @task
        def total(numbers: list[float]) -> float:
            return sum(numbers)

        @workflow
        def large(count: int) -> Large:
            numbers = many(count=count)
            return Large(numbers, total(numbers=numbers))
        """,
    )
    outputs = author.outputs("large", count=300_000)
    assert outputs.total == sum(i + 0.5 for i in range(300_000))
    assert outputs.numbers == [i + 0.5 for i in range(300_000)]


def test_l1_all_that_is_wrong_with_a_launch_is_told_at_once(author):
    author.register("values_refused", VALUES)
    with pytest.raises(errors.ConversionError) as refused:
        author.client.launch("trip", inputs={"whole": 1.5, "reel": 1.0, "text": 3, "numbers": [1, "2"]})
    told = str(refused.value)
    for part in ("inputs.whole", "reel", "inputs.text", "inputs.numbers[1]", "inputs.truth"):
        assert part in told


# The cache.


def test_c1_the_second_launch_hits_and_a_changed_input_runs_what_depends_on_it(author):
    author.register("cached_first", CACHED)
    first = author.run("labelled", n=1)
    ran = {"grow": "POPULATED", "parity": "POPULATED", "label": "POPULATED", "never": "DISABLED"}
    assert caches(first) == ran
    assert first.outputs.o0 == "it is even"

    again = author.run("labelled", n=1)
    assert caches(again) == {"grow": "HIT", "parity": "HIT", "label": "HIT", "never": "DISABLED"}
    assert again.outputs.o0 == "it is even"
    hit = next(each.message for each in again.nodes if each.id == "grow")
    assert (hit.producer_execution_id, hit.producer_node, hit.producer_attempt) == (first.id, "grow", 1)
    assert hit.cache_key
    assert hit.cache_key == next(each.message.cache_key for each in first.nodes if each.id == "grow")
    assert hit.attempts == 0

    # An input that is ignored changes nothing; with another one, what comes out equal cuts the rest off.
    assert caches(author.run("labelled", n=1, verbosity=9))["grow"] == "HIT"
    changed = author.run("labelled", n=3)
    assert caches(changed) == {
        "grow": "POPULATED",
        "parity": "POPULATED",
        "label": "HIT",
        "never": "DISABLED",
    }


def test_c4_a_docstring_changes_no_key_and_c2_a_helper_changes_those_of_its_callers(author):
    author.register("cached_edited", CACHED)
    author.run("labelled", n=1)
    documented = CACHED.replace('"""Grows."""', '"""Grows a number by what the helper says."""')
    author.register("cached_edited", documented)
    assert set(caches(author.run("labelled", n=1)).values()) == {"HIT", "DISABLED"}
    author.register("cached_edited", documented.replace("return n + 1", "return n + 3"))
    helped = author.run("labelled", n=1)
    # 4 is as even as 2: what depends on the parity alone hits.
    assert caches(helped) == {"grow": "POPULATED", "parity": "POPULATED", "label": "HIT", "never": "DISABLED"}


def test_c11_a_launch_may_make_nodes_anew(author):
    author.register("cached_anew", CACHED)
    author.run("labelled", n=1)
    some = author.client.launch("labelled", inputs={"n": 1}, overwrite_cache=["parity"]).wait(
        machines.PATIENCE_S
    )
    assert caches(some) == {"grow": "HIT", "parity": "POPULATED", "label": "HIT", "never": "DISABLED"}
    all_ = author.client.launch("labelled", inputs={"n": 1}, overwrite_cache=["*"]).wait(machines.PATIENCE_S)
    assert set(caches(all_).values()) == {"POPULATED", "DISABLED"}


def test_c2_a_cache_version_replaces_the_code(author):
    text = """
        from typedflow import Cache, task, workflow

        @task(cache=Cache(version="1"))
        def made() -> int:
            return 1

        @workflow
        def versioned() -> int:
            return made()
    """
    author.register("versioned_module", text)
    assert author.outputs("versioned").o0 == 1
    author.register("versioned_module", text.replace("return 1", "return 2"))
    kept = author.run("versioned")
    assert (kept.outputs.o0, caches(kept)) == (1, {"made": "HIT"})
    author.register("versioned_module", text.replace("return 1", "return 2").replace('"1"', '"2"'))
    new = author.run("versioned")
    assert (new.outputs.o0, caches(new)) == (2, {"made": "POPULATED"})


def test_c3_a_cached_task_that_filters_runs_again_only_when_its_own_columns_change(author):
    author.register("narrow_module", NARROW)
    runs = [author.run("narrow", size=size, note=note) for size, note in [(1.0, "a"), (1.0, "b"), (2.0, "b")]]
    assert [run.outputs.o0 for run in runs] == ["['size'] 1.0", "['size'] 1.0", "['size'] 2.0"]
    assert [caches(run)["read"] for run in runs] == ["POPULATED", "HIT", "POPULATED"]
    for more in ({}, {"other": [1]}, {"note": ["c"], "other": [2]}):
        run = author.run("launched", table=pd.DataFrame({"size": [1.0], **more}))
        assert (run.outputs.o0, caches(run)["read"]) == ("['size'] 1.0", "HIT")


def test_c5_a_run_in_this_process_has_the_keys_that_the_server_has(author, monkeypatch):
    for name, value in (("PROJECT", author.client.project), ("DOMAIN", author.client.domain)):
        monkeypatch.setenv(f"TYPEDFLOW_{name}", value)
    monkeypatch.chdir(author.folder)
    author.register("cached_here", CACHED)
    author.register("filed_here", FILED)
    for name in ("labelled", "filed"):
        author.outputs(name, n=1)
    kept = MemoryCatalog()
    with local(cache=kept):
        importlib.import_module("cached_here").labelled(n=1)
        importlib.import_module("filed_here").filed(n=1)
    there = {each.key: each.manifest for each in entries(author.client)}
    here = {key: each.manifest for key, each in kept._entries.items()}
    assert len(here) == 5
    assert here == there


# Versions and code.


def test_d4_the_registered_code_runs_whatever_becomes_of_the_files(author):
    author.write("constants_of_bundle", "ANSWER = 1\n")
    text = """
        import constants_of_bundle
        from typedflow import task, workflow

        @task
        def answer() -> int:
            return constants_of_bundle.ANSWER

        @workflow
        def answered() -> int:
            return answer()
    """
    first = author.register("bundled_module", text).version
    author.write("constants_of_bundle", "ANSWER = 2\n")
    assert author.outputs("answered").o0 == 1
    author.register("bundled_module", text)
    assert author.outputs("answered").o0 == 2
    author.write("constants_of_bundle", "raise RuntimeError('never imported')\n")
    old = author.client.launch("answered", version=first).wait(machines.PATIENCE_S)
    assert old.outputs.o0 == 1


def test_l1_going_back_to_older_code_makes_it_the_newest(author):
    text = """
        from typedflow import task, workflow

        @task
        def letter() -> str:
            return "A"

        @workflow
        def lettered() -> str:
            return letter()
    """
    first = author.register("lettered_module", text).version
    assert author.register("lettered_module", text.replace('"A"', '"B"')).version != first
    assert author.outputs("lettered").o0 == "B"
    assert author.register("lettered_module", text).version == first
    assert author.outputs("lettered").o0 == "A"


# Policies.


def test_e5_retries_are_counted_and_non_recoverable_ends_them(author):
    author.register(
        "retried_module",
        """
        from pathlib import Path
        from typedflow import NonRecoverable, current_context, task, workflow

        @task(retries=2)
        def third_time() -> int:
            print("attempt", current_context().attempt)
            if current_context().attempt < 3:
                raise ConnectionError("not yet")
            return 3

        @task(retries=1)
        def never() -> int:
            raise ConnectionError("not ever")

        @task(retries=5)
        def hopeless() -> int:
            raise NonRecoverable("give up")

        @workflow
        def persists() -> int:
            return third_time()

        @workflow
        def exhausted() -> int:
            return never()

        @workflow
        def resigned() -> int:
            return hopeless()
        """,
    )
    persists = author.run("persists")
    assert (persists.outputs.o0, persists.nodes[0].attempts) == (3, 3)
    assert author.log(persists, "third_time") == b"attempt 3\n"
    assert author.log(persists, "third_time", attempt=1) == b"attempt 1\n"
    exhausted = author.run("exhausted")
    assert (exhausted.phase, exhausted.nodes[0].attempts) == ("FAILED", 2)
    assert (exhausted.message.error.code, exhausted.message.error.message) == ("ConnectionError", "not ever")
    resigned = author.run("resigned")
    assert (resigned.phase, resigned.nodes[0].attempts) == ("FAILED", 1)
    assert resigned.message.error.message == "give up"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two tasks run at once here")
def test_e7_fail_fast_stops_what_runs_and_fail_after_running_does_not(author):
    author.register("policies_module", POLICIES)
    places = {name: author.folder / name for name in ("fast", "patient")}
    for place in places.values():
        place.mkdir()

    fast = author.run("fast", where=str(places["fast"]))
    assert fast.phase == "FAILED"
    assert {each.id: (each.phase, each.reason) for each in fast.nodes} == {
        "fails": ("FAILED", ""),
        "runs": ("ABORTED", "aborted"),
        "after-fails": ("SKIPPED", "upstream_failed"),
        "after-runs": ("SKIPPED", "aborted"),
    }

    patient = author.client.launch("patient", inputs={"where": str(places["patient"])})
    machines.until(lambda: "FAILED" in {each.phase for each in patient.nodes}, "a node has failed")
    assert not patient.refresh().is_done
    (places["patient"] / "go").touch()
    patient.wait(machines.PATIENCE_S, check=False)
    assert patient.phase == "FAILED"
    assert patient.message.error.node == "fails"
    assert {each.id: (each.phase, each.reason) for each in patient.nodes} == {
        "fails": ("FAILED", ""),
        "runs": ("SUCCEEDED", ""),
        "after-fails": ("SKIPPED", "upstream_failed"),
        "after-runs": ("SUCCEEDED", ""),
    }


def test_l1_defaults_may_be_overridden_and_fixed_inputs_may_not(author):
    author.register(
        "plans_module",
        """
        from typedflow import LaunchPlan, task, workflow

        @task
        def shown(a: int, b: int, c: int) -> str:
            return f"{a} {b} {c}"

        @workflow
        def planned(a: int, b: int, c: int = 3) -> str:
            return shown(a=a, b=b, c=c)

        plan = LaunchPlan(planned, name="plan", default_inputs={"a": 10}, fixed_inputs={"b": 20})
        """,
    )
    assert author.outputs("plan").o0 == "10 20 3"
    assert author.outputs("plan", a=1, c=2).o0 == "1 20 2"
    with pytest.raises(errors.UsageError, match=r"inputs\.b: fixed by the launch plan"):
        author.client.launch("plan", inputs={"b": 1})


def test_repeated_launches_with_one_id_launch_once(author):
    author.register("cached_once", CACHED)
    ids = {author.client.launch("labelled", inputs={"n": 1}, id="nightly-1").id for _ in range(2)}
    assert ids == {"nightly-1"}
    assert [each.id for each in author.client.runs()] == ["nightly-1"]
    with pytest.raises(errors.TypedflowError, match="nightly-1"):
        author.client.launch("labelled", inputs={"n": 2}, id="nightly-1")
