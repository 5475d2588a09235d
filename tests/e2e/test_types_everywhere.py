"""T1, T2: every type, through a direct call, the command line and a server, is the same to the last bit."""

import importlib
import json
import sys

import pytest
import yaml

from tests.e2e import every_type, machines, terminals
from typedflow.catalog import MemoryCatalog
from typedflow.testing import local

MODULES = {"every": every_type.CASES, "every_polars": every_type.POLARS}


@pytest.fixture(scope="module")
def terminal(tmp_path_factory):
    """A machine with a server, and the module."""
    machine = machines.Machine(tmp_path_factory.mktemp("types"))
    machine.up()
    yield terminals.Terminal(machine)
    machine.close()


@pytest.fixture(scope="module")
def folder(terminal):
    """Where the modules are, which may be imported here, too."""
    made = every_type.write(terminal.machine._code).parent
    before = sys.dont_write_bytecode, sys.path
    sys.dont_write_bytecode, sys.path = True, [str(made), *sys.path]
    yield made
    sys.dont_write_bytecode, sys.path = before
    for name in (*MODULES, "exactness"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def client(terminal):
    with terminal.machine.client() as made:
        yield made


@pytest.fixture(scope="module", params=["every", pytest.param("every_polars", marks=pytest.mark.slow)])
def module(request, folder):
    return request.param


def nodes_of(module):
    return {f"{step}_{each.name}" for each in MODULES[module] for step in ("make", "check")}


@pytest.fixture(scope="module")
def ran(terminal, folder, module):
    """What `typedflow run` says, each task of which compared what it was given."""
    return terminal.read("run", str(folder / f"{module}.py"), module)


def test_every_task_is_given_exactly_what_another_process_made(ran, module):
    told = {each["id"]: each["error"] for each in ran["nodes"] if each["phase"] != "SUCCEEDED"}
    assert told == {}
    assert {each["id"]: each["cache"] for each in ran["nodes"]} == dict.fromkeys(
        nodes_of(module), "POPULATED"
    )


def test_programs_read_each_value_in_the_form_of_its_type(ran, module, terminal):
    read = terminal.read("get", "executions", ran["id"])["outputs"]
    assert read == ran["outputs"]
    expected = {each.name: each.json for each in MODULES[module]}
    assert {name: value for name, value in read.items() if value != expected[name]} == {}


def test_c5_a_program_and_a_direct_call_have_the_keys_that_the_command_line_had(
    ran, module, folder, client, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where files are made that tasks make here
    client.register(folder / f"{module}.py")
    again = client.launch(module).wait(machines.PATIENCE_S)
    assert {each.id: each.cache for each in again.nodes} == dict.fromkeys(nodes_of(module), "HIT")
    kept = MemoryCatalog()
    with local(cache=kept):
        getattr(importlib.import_module(module), module)()
    here = {each.node: key for key, each in kept._entries.items()}
    assert here == {each.id: each.message.cache_key for each in again.nodes}


def test_t2_a_program_gives_values_of_every_type_to_a_launch(module, folder, client, tmp_path, monkeypatch):
    version = client.register(folder / f"{module}.py").version
    monkeypatch.chdir(tmp_path)
    authored = importlib.import_module(module)
    run = client.launch("taking_given", version=version, inputs=authored.given()).wait(machines.PATIENCE_S)
    assert run.outputs.o0 == {}
    assert authored.taking_given(**authored.given()) == {}


def test_t2_values_are_the_same_however_they_are_written(terminal, client, folder, tmp_path, monkeypatch):
    """C5: they have one key, so that all but the first find what that has left."""
    client.register(folder / "every.py", version="plain")
    launch = ("launch", "taking_plain", "--version", "plain", "--wait")
    written = every_type.plainly_given(every_type.CASES)
    as_json, as_yaml = tmp_path / "inputs.json", tmp_path / "inputs.yaml"
    as_json.write_text(json.dumps(written), "utf-8")
    as_yaml.write_text(yaml.safe_dump(written, allow_unicode=True, sort_keys=False), "utf-8")
    typed = {name: value if isinstance(value, str) else json.dumps(value) for name, value in written.items()}
    # A command line can hold no NUL.
    options = [f"--{name}={text}" for name, text in typed.items() if name not in ("truth", "text")]
    as_rest = tmp_path / "rest.json"
    as_rest.write_text(json.dumps({"text": written["text"]}), "utf-8")
    first = terminal.read(*launch, "--inputs-file", str(as_json))
    assert (first["outputs"], first["nodes"][0]["cache"]) == ({"o0": {}}, "POPULATED")
    for arguments in (
        ("--inputs-file", str(as_yaml)),
        (*options, "--truth", "--inputs-file", str(as_rest)),
    ):
        again = terminal.read(*launch, *arguments)
        assert (again["outputs"], again["nodes"][0]["cache"]) == ({"o0": {}}, "HIT")
    given = importlib.import_module("every").plain()
    given["clash"] = written["clash"]
    run = client.launch("taking_plain", version="plain", inputs=given).wait(machines.PATIENCE_S)
    assert [each.cache for each in run.nodes] == ["HIT"]
