"""E15: each scenario has the same results through a direct call, `typedflow run` and a server."""

import importlib
import json
import sys
import threading

import pytest

from tests.e2e import control_flow, machines, terminals
from typedflow import errors
from typedflow.testing import local

pytestmark = pytest.mark.parametrize(
    "scenario", control_flow.SCENARIOS, ids=lambda scenario: scenario.id.replace(" ", "-")
)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory):
    """A machine with a server whose tasks note what they do."""
    folder = tmp_path_factory.mktemp("control")
    machine = machines.Machine(folder)
    machine.announced(machine.start("up", "--port", "0", "--http-port", "0", NOTES=str(folder / "notes")))
    yield terminals.Terminal(machine)
    machine.close()


@pytest.fixture(scope="module")
def file(terminal):
    return terminal.machine.write("control", control_flow.SOURCE)


@pytest.fixture(scope="module")
def registered(terminal, file):
    """A client of the server, which knows the workflows."""
    with terminal.machine.client() as client:
        client.register(file)
        yield client


@pytest.fixture
def notes(terminal):
    """What the tasks of a test have noted, sorted."""
    path = terminal.machine.folder / "notes"
    path.write_text("")
    return lambda: tuple(sorted(path.read_text().splitlines()))


def check_notes(scenario, noted):
    """Some scenarios stop what runs beside a failure, so that how much of it ran is chance."""
    if scenario.notes:
        assert noted == scenario.notes


def code_of(error):
    if isinstance(error, errors.ExecutionFailed):
        assert error.error is not None
        return error.error.code
    return error.code if isinstance(error, errors.TypedflowError) else type(error).__name__


def plain(value):
    """A Python value as JSON has it."""
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def test_a_direct_call(scenario, file, notes, monkeypatch, tmp_path):
    monkeypatch.setenv("NOTES", str(file.parent.parent / "notes"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(file.parent))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    workflow = getattr(importlib.import_module("control"), scenario.workflow)
    with local(signals=scenario.signals):
        if scenario.error is None:
            assert plain(workflow(**scenario.inputs)) == scenario.outputs
        else:
            with pytest.raises(Exception) as raised:  # noqa: PT011 - which it is is compared
                workflow(**scenario.inputs)
            code, node = scenario.error
            error = raised.value
            assert code_of(error) == code
            said = [str(getattr(error, "where", "")), *getattr(error, "__notes__", [])]
            assert any(node in each for each in said), said
    check_notes(scenario, notes())


def test_a_server(scenario, registered, notes):
    run = registered.launch(scenario.workflow, inputs=scenario.inputs)
    answer(registered, run.id, scenario)
    run.wait(machines.PATIENCE_S, check=False)
    if scenario.error is None:
        assert run.phase == "SUCCEEDED", run.error
        assert plain(list(vars(run.outputs).values())) == plain(as_outputs(scenario))
    else:
        assert run.phase in ("FAILED", "TIMED_OUT")
        assert (run.message.error.code, run.message.error.node) == scenario.error
    check_notes(scenario, notes())


@pytest.mark.slow
def test_typedflow_run(scenario, terminal, file, notes):
    words = [f"--input={name}={json.dumps(value)}" for name, value in scenario.inputs.items()]
    with terminal.machine.client() as client:
        before = {run.id for run in client.runs()}
        if scenario.signals:
            threading.Thread(target=answer_newest, args=(client, before, scenario), daemon=True).start()
        code = 0 if scenario.error is None else 1
        record = terminal.read("run", str(file), scenario.workflow, *words, code=code)
    if scenario.error is None:
        assert list(record["outputs"].values()) == plain(as_outputs(scenario))
    else:
        assert (record["error"]["code"], record["error"]["node"] or "") == scenario.error
    check_notes(scenario, notes())


def as_outputs(scenario):
    """One value for each output: a tuple of several is several outputs."""
    several = {"unfolds", "ordered", "thorough"}
    return scenario.outputs if scenario.workflow in several else [scenario.outputs]


def answer(client, id_, scenario):
    for node, value in scenario.signals.items():
        if value is True:
            client.approve(id_, node)
        elif value is False:
            client.reject(id_, node, "no")
        else:
            client.signal(id_, node, value)


def answer_newest(client, before, scenario):
    found: list[str] = []

    def is_there():
        found[:] = [run.id for run in client.runs() if run.id not in before]
        return bool(found)

    machines.until(is_there, "the run is launched")
    answer(client, found[0], scenario)
