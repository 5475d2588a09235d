"""What runs inside an attempt, called directly."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from typedflow import literals, run_task
from typedflow.dataplane import objects, offload
from typedflow.pb import attempt_pb2, errors_pb2, literals_pb2, tasks_pb2
from typedflow.run_task import failures

CODE = """
    import sys
    from collections.abc import Iterator
    from dataclasses import dataclass
    from typing import NamedTuple
    from typedflow import File, NonRecoverable, current_context, task

    @dataclass
    class Config:
        rate: float
        layers: list[int]

    class Scores(NamedTuple):
        best: float
        name: str

    @task
    def score(config: Config, names: list[str], tag: str | None = None) -> Scores:
        return Scores(config.rate * sum(config.layers), ",".join(names) + str(tag))

    @task
    def nothing(n: int) -> None:
        pass

    @task
    def pair(n: int) -> tuple[int, str]:
        return n, "x"

    @task
    def short(n: int) -> tuple[int, str]:
        return (n,)

    @task
    def not_none(n: int) -> None:
        return n

    @task
    def wrong_inside(n: int) -> list[Config]:
        return [Config(0.5, [1]), Config(0.5, [1, "2"])]

    @task
    def chained(n: int) -> int:
        try:
            return {}["k"]
        except KeyError as error:
            raise RuntimeError("no k") from error

    @task
    def deep(n: int) -> int:
        raise ValueError("it began well " + "and went on " * n + "and ended badly")

    class Unprintable(Exception):
        def __str__(self):
            raise ValueError

    @task
    def unprintable(n: int) -> int:
        raise Unprintable

    @task
    def quits(n: int) -> int:
        sys.exit("bye")

    @task
    def where(n: int) -> list[str]:
        context = current_context()
        return [context.execution_id, context.node, str(context.attempt), context.project, context.domain]

    @task
    def write(n: int) -> File:
        with open("out.txt", "w") as out:
            out.write("x" * n)
        return File("out.txt")

    @task
    def read(f: File) -> int:
        with open(f) as source:
            return len(source.read())

    @task
    def counted(n: int) -> Iterator[int]:
        for i in range(n):
            if current_context().node != "prep.n" or i == 5:
                raise OSError("no disk of mine")
            yield i

    @task
    def summed(xs: Iterator[int]) -> int:
        return sum(xs)

    @task
    def calls_another(n: int) -> int:
        return pair(n=n)[0] + 1

    not_a_task = 5
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An import root with a module of tasks, which is forgotten afterwards."""
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "attempt_steps.py").write_text(textwrap.dedent(CODE), "utf-8")
    (folder / "attempt_broken.py").write_text("def f(:\n", "utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    yield folder
    for name in ("attempt_steps", "attempt_broken"):
        sys.modules.pop(name, None)


def execute(root: Path, task: str, *, module: str = "attempt_steps", **inputs: literals_pb2.Literal):
    spec = attempt_pb2.AttemptSpec(
        id=attempt_pb2.AttemptId(execution_id="e", node="prep.n", attempt=2),
        python=tasks_pb2.PythonTarget(module=module, qualname=task),
        inputs=literals.as_map(inputs),
        project="p",
        domain="d",
    )
    store = objects.open_store(str(root.parent / "objects"))
    return run_task.execute(spec, roots=[root], folder=root.parent / "work", store=store)


def one(outcome):
    assert not outcome.HasField("error"), outcome.error
    (value,) = outcome.outputs.values
    return literals.to_json(value.value)


def test_inputs_are_converted_and_outputs_are_named(root):
    config = literals_pb2.Literal()
    config.record.fields.add(name="rate", value=literals.from_float(0.5))
    layers = literals_pb2.Literal(list=literals.pack([literals.from_int(1), literals.from_int(3)]))
    config.record.fields.add(name="layers", value=layers)
    names = literals_pb2.Literal(list=literals.pack([literals.from_str("a"), literals.from_str("b")]))
    tag = literals_pb2.Literal(union=literals_pb2.Union(variant=1, value=literals.from_none()))
    outcome = execute(root, "score", config=config, names=names, tag=tag)
    assert not outcome.HasField("error"), outcome.error
    assert {each.name: literals.to_json(each.value) for each in outcome.outputs.values} == {
        "best": 2.0,
        "name": "a,bNone",
    }


def test_a_task_may_return_nothing(root):
    outcome = execute(root, "nothing", n=literals.from_int(1))
    assert outcome.HasField("outputs")
    assert len(outcome.outputs.values) == 0


def test_a_tuple_gives_numbered_outputs(root):
    outcome = execute(root, "pair", n=literals.from_int(1))
    assert [each.name for each in outcome.outputs.values] == ["o0", "o1"]


@pytest.mark.parametrize(
    ("task", "code", "words"),
    [
        ("short", "InvalidValue", "2 values"),
        ("not_none", "InvalidValue", "annotated to return None"),
        ("wrong_inside", "InvalidValue", "outputs.o0[1].layers[1]"),
        ("chained", "RuntimeError", "no k"),
        ("unprintable", "Unprintable", "Unprintable"),
        ("quits", "SystemExit", "'bye'"),
        ("absent", "TaskNotFound", "has no task `absent`"),
        ("not_a_task", "TaskNotFound", "has no task `not_a_task`"),
    ],
)
def test_what_goes_wrong_is_a_failure_of_the_users(root, task, code, words):
    error = execute(root, task, n=literals.from_int(1)).error
    assert error.kind == errors_pb2.ERROR_KIND_USER
    assert error.code == code
    assert words in error.message
    assert error.node == "prep.n"


def test_a_module_that_is_not_python_says_where(root):
    error = execute(root, "f", module="attempt_broken").error
    assert error.code == "SyntaxError"
    assert 'File "attempt_broken.py", line 1' in error.traceback


def test_a_module_that_is_not_there_is_named(root):
    error = execute(root, "f", module="attempt_absent").error
    assert error.code == "ModuleNotFoundError"
    assert "attempt_absent" in error.message


def test_an_input_that_does_not_fit_names_its_path(root):
    error = execute(root, "pair", n=literals.from_str("x")).error
    assert error.code == "InvalidValue"
    assert "inputs.n" in error.message


def test_an_input_that_is_missing_names_its_path(root):
    error = execute(root, "pair").error
    assert "inputs.n" in error.message


def test_a_chain_of_exceptions_keeps_the_authors_frames_of_each(root):
    error = execute(root, "chained", n=literals.from_int(1)).error
    assert error.traceback.count('File "attempt_steps.py"') == 2
    assert "direct cause" in error.traceback
    assert str(root) not in error.traceback


def test_an_endless_message_keeps_both_ends(root):
    error = execute(root, "deep", n=literals.from_int(100_000)).error
    assert error.code == "ValueError"
    assert len(error.message) < 20_000
    assert error.message.startswith("it began well")
    assert error.message.endswith("and ended badly")
    assert "left out" in error.message


def test_a_task_knows_its_attempt(root):
    assert one(execute(root, "where", n=literals.from_int(1))) == ["e", "prep.n", "2", "p", "d"]


def test_a_task_may_call_another_as_a_function(root):
    assert one(execute(root, "calls_another", n=literals.from_int(1))) == 2


def test_a_file_is_published_and_fetched(root):
    written = execute(root, "write", n=literals.from_int(1000))
    assert not written.HasField("error"), written.error
    assert one(execute(root, "read", f=written.outputs.values[0].value)) == 1000


CHILD = """
import sys
import threading
from pathlib import Path
import typedflow.run_task.__main__
from typedflow import literals, run_task
from typedflow.dataplane import objects, s3
from typedflow.type_engine import files
from typedflow.pb import attempt_pb2, literals_pb2, tasks_pb2
from typedflow.run_task import code, warm

root, store = Path(sys.argv[1]), objects.open_store(sys.argv[1] + "/store")
code.enter([root])
import moments
warm.up("s3://bucket/prefix")
loaded = set(sys.modules)
s3._connect("s3://bucket/prefix")
assert threading.active_count() == 1
blob = store.put_bytes(b"x")
inputs = {
    "file": literals_pb2.Literal(file=literals_pb2.File(content=files.content(blob.digest, ""), blob=blob, name="in")),
    "at": literals_pb2.Literal(datetime=literals_pb2.Datetime(zone="UTC")),
}
spec = attempt_pb2.AttemptSpec(
    python=tasks_pb2.PythonTarget(module="moments", qualname="stamp"), inputs=literals.as_map(inputs)
)
outcome = run_task.execute(spec, roots=[root], folder=root / "attempt", store=store)
assert not outcome.HasField("error"), outcome
print(*sorted(set(sys.modules) - loaded))
"""


def test_an_attempt_imports_nothing_that_its_template_could_have_imported(tmp_path):
    (tmp_path / "moments.py").write_text(
        textwrap.dedent("""
            from datetime import datetime
            from typedflow import File, task

            @task
            def stamp(file: File, at: datetime) -> tuple[File, datetime]:
                file.path.write_bytes(b"y")
                return file, at
        """)
    )
    done = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == []


def test_e5_a_file_that_is_gone_is_the_platforms_failure(root):
    written = execute(root, "write", n=literals.from_int(1000)).outputs.values[0].value
    (root.parent / "objects" / written.file.blob.uri).unlink()
    error = execute(root, "read", f=written).error
    assert error.kind == errors_pb2.ERROR_KIND_SYSTEM
    assert error.code == "ObjectMissing"


def test_e5_a_store_that_cannot_be_written_is_the_platforms_failure(root):
    (root.parent / "objects").write_text("in the way")
    error = execute(root, "write", n=literals.from_int(1000)).error
    assert (error.kind, error.code) == (errors_pb2.ERROR_KIND_SYSTEM, "StorageError")


def test_a_failure_that_cannot_be_encoded_still_travels():
    error = failures.of(ValueError("lone \ud800 surrogate"), [])
    assert error.SerializeToString()
    assert "lone" in error.message


def test_d2_small_values_stay_inline_and_large_ones_are_loaded_wherever_they_are(tmp_path):
    store = objects.open_store(str(tmp_path))
    small, large = literals.from_str("x" * 100), literals.from_str("x" * offload.LIMIT)
    assert offload.offload(small, store) is small
    away = offload.offload(large, store)
    assert away.HasField("offloaded")
    assert offload.offload(away, store) is away
    assert offload.load(away, store) == large
    assert offload.load(small, store) is small

    listed = literals_pb2.Literal()
    listed.list.literals.values.extend([small, away])
    record = literals_pb2.Literal()
    record.record.fields.add(
        name="f", value=literals_pb2.Literal(union=literals_pb2.Union(variant=1, value=listed))
    )
    loaded = offload.load(record, store)
    assert loaded.record.fields[0].value.union.value.list.literals.values[1] == large
    assert record.record.fields[0].value.union.value.list.literals.values[1] == away


def test_values_that_are_large_together_are_offloaded_from_the_largest_on(tmp_path):
    store = objects.open_store(str(tmp_path))
    sizes = {"a": 500_000, "b": 10, "c": 600_000, "d": 100_000}
    values = literals.as_map({name: literals.from_str(name * size) for name, size in sizes.items()})
    offload.offload_all(values, store)
    assert [each.name for each in values.values if each.value.HasField("offloaded")] == ["c"]
    offload.offload_all(values, store, limit=0)
    assert [each.name for each in values.values if each.value.HasField("offloaded")] == ["a", "c"]
    assert {each.name: len(offload.load(each.value, store).string) for each in values.values} == sizes


def test_a_generator_runs_inside_its_attempt(root):
    made = execute(root, "counted", n=literals.from_int(4))
    assert not made.HasField("error"), made.error
    assert one(execute(root, "summed", xs=made.outputs.values[0].value)) == 6


def test_what_a_generator_raises_is_a_failure_of_the_users_and_none_of_the_store(root):
    error = execute(root, "counted", n=literals.from_int(6)).error
    assert (error.kind, error.code) == (errors_pb2.ERROR_KIND_USER, "OSError")
    assert error.message == "no disk of mine"
    assert 'File "attempt_steps.py"' in error.traceback
    assert "in counted" in error.traceback
    assert "Raised" not in error.traceback


def test_a_stream_that_is_lost_fails_its_reader_as_the_platforms(root):
    stream = execute(root, "counted", n=literals.from_int(4)).outputs.values[0].value
    for stored in (root.parent / "objects" / "b3").rglob("*"):
        if stored.is_file():
            stored.unlink()
    error = execute(root, "summed", xs=stream).error
    assert (error.kind, error.code) == (errors_pb2.ERROR_KIND_SYSTEM, "ObjectMissing")
