"""What is written here is registered, referred to from another file, and launched."""

from __future__ import annotations

from pathlib import Path

import pytest

from typedflow import Client, errors

FLOW = """
from typedflow import *

@task
def big(n: int) -> int:
    return n

@task
def notify(n: int, error: ExecutionError) -> None: ...

tool = ContainerTask("tool", image="registry/tool:1", inputs={"n": int}, outputs={"m": int})

@workflow(on_failure=notify)
def inner(n: int = 1) -> int:
    return conditional("c").if_(n > 1).then(tool(n=n)).else_().then(n)

plan = LaunchPlan(inner, name="plan", schedule=Cron("0 2 * * *"))

def make():
    made = Workflow("built")
    made.add_output("m", made.add_node(big, n=made.add_input("n", int)))
    return made

built = make()

@workflow
def outer(n: int) -> int:
    first = plan(n=n)
    listed = map_task(big)(n=[first, built(n=first)])
    return approve(listed[0], "ok")

@workflow
def simple(n: int) -> int:
    return built(n=n)

mild = LaunchPlan(simple, name="mild")
"""
REFERRING = """
from typedflow import *

@reference_workflow(name="told_flow.simple", version="v1")
def simple(n: int) -> int: ...

@reference_task(name="told_flow.big", version="v1")
def big(n: int) -> int: ...

@reference_launch_plan(name="told_flow.mild", version="v1")
def mild(n: int) -> int: ...

@workflow
def uses(n: int) -> int:
    return big(n=simple(n=n))

@workflow
def launches(n: int) -> int:
    return mild(n=n)
"""


def test_what_is_registered_is_referred_to_and_launched(typedflow_server: Client, tmp_path: Path):
    (tmp_path / "told_flow.py").write_text(FLOW)
    (tmp_path / "told_referring.py").write_text(REFERRING)
    typedflow_server.register(str(tmp_path / "told_flow.py"), version="v1")
    typedflow_server.register(str(tmp_path / "told_referring.py"), version="v1")
    run = typedflow_server.launch("told_referring.uses", inputs={"n": 3})
    run.wait()
    assert run.outputs.o0 == 3
    assert [each.id for each in run.nodes] == ["simple.built.big", "big"]
    run = typedflow_server.launch("told_referring.launches", inputs={"n": 4}).wait(60)
    assert run.outputs.o0 == 4
    run = typedflow_server.launch("told_flow.outer", inputs={"n": 3}).wait(60, check=False)
    assert run.phase == "FAILED"
    assert "runs an image" in run.error


def test_a_stub_that_says_other_than_what_is_registered_is_told_by_the_server(
    typedflow_server: Client, tmp_path: Path
):
    (tmp_path / "told_flow.py").write_text(FLOW)
    wrong = REFERRING.replace("def simple(n: int)", "def simple(n: str)").replace(
        "simple(n=n)", "simple(n='x')"
    )
    (tmp_path / "told_wrongly.py").write_text(wrong)
    typedflow_server.register(str(tmp_path / "told_flow.py"), version="v1")
    with pytest.raises(errors.CompileError) as caught:
        typedflow_server.register(str(tmp_path / "told_wrongly.py"), version="v1")
    (mistake,) = caught.value.diagnostics
    assert (mistake.code, mistake.node, mistake.position.line) == ("InvalidValue", "simple", 15)
