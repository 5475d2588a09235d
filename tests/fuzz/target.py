"""Feeds bytes to what takes messages from anybody: the compiler, and the checks and conversions of values.

Whatever the bytes are, each of these answers with a value, with diagnostics of known codes, or with one of typedflow's
own errors, soon and within memory. Anything else is a finding: the bytes are kept, and `scripts/fuzz FILE` runs them
again.

The first byte says what the rest is: a registration, a value and a type, or plain JSON and a type. Most mutations are
of messages, so that they get further than the parser.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(
    include=["typedflow.compiler", "typedflow.literals", "typedflow.literal_types"]
):
    from typedflow import compiler, errors, hashing, literal_types, literals

    # What the package loads when it is used is loaded here, where it is instrumented.
    from typedflow.compiler import compile, explanations, launch_plan, task, wellformed  # noqa: A004

from google.protobuf.message import DecodeError, Message

from typedflow.pb.identifiers_pb2 import Identifier
from typedflow.pb.interface_pb2 import Variable
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
from typedflow.pb.registry_pb2 import RegisterRequest
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import CompiledWorkflow

REGISTRATION, VALUE, JSON = b"r", b"v", b"j"
CODES = {each.code for each in explanations.EXPLANATIONS}
UNIT = Path(__file__).parent.parent / "unit" / "compiler"


# What is done with the bytes


def one(data: bytes) -> None:
    """Runs one input; raises for a finding."""
    kind, rest = data[:1], data[1:]
    try:
        if kind == REGISTRATION:
            register(RegisterRequest.FromString(rest))
        elif kind == VALUE:
            convert(Variable.FromString(rest))
        elif kind == JSON:
            size = int.from_bytes(rest[:2], "little")
            read(Variable.FromString(rest[2 : 2 + size]), rest[2 + size :])
    except DecodeError:
        return


class Known:
    """A resolver for what is in one registration."""

    def __init__(self, request: RegisterRequest) -> None:
        self.tasks = {each.id.name: each for each in request.tasks}
        self.workflows: dict[str, CompiledWorkflow] = {}
        self.launch_plans: dict[str, CompiledLaunchPlan] = {}

    def task(self, identifier: Identifier, /) -> TaskTemplate | None:
        return self.tasks.get(identifier.name)

    def task_names(self) -> Sequence[str]:
        return list(self.tasks)

    def workflow(self, identifier: Identifier, /) -> CompiledWorkflow | None:
        return self.workflows.get(identifier.name)

    def workflow_names(self) -> Sequence[str]:
        return list(self.workflows)

    def launch_plan(self, identifier: Identifier, /) -> CompiledLaunchPlan | None:
        return self.launch_plans.get(identifier.name)

    def launch_plan_names(self) -> Sequence[str]:
        return list(self.launch_plans)


def register(request: RegisterRequest) -> None:
    """As a server does: tasks, launch plans of what came before, workflows in turn."""
    known = Known(request)
    for each in request.tasks:
        told(task.compile_task(each))
    for workflow in request.workflows:
        for plan in request.launch_plans:
            launched = launch_plan.compile_launch_plan(plan, known.workflow(plan.workflow))
            told(launched)
            if launched.value is not None:
                known.launch_plans[plan.id.name] = launched.value
        result = compile.compile_workflow(workflow, known)
        told(result)
        if result.value is not None:
            known.workflows[workflow.id.name] = result.value
            again = compile.compile_workflow(result.value.workflow, known).value
            first = result.value.workflow.SerializeToString(deterministic=True)
            if again is None or again.workflow.SerializeToString(deterministic=True) != first:
                raise AssertionError("what was compiled does not compile to itself")


def told(result: compiler.Result[Any]) -> None:
    if (result.value is None) != bool(result.diagnostics):
        raise AssertionError("a value and diagnostics, or neither")
    unknown = {each.code for each in result.diagnostics} - CODES
    if unknown:
        raise AssertionError(f"unknown codes: {unknown}")
    if result.value is not None:
        result.value.SerializeToString(deterministic=True)


def convert(variable: Variable) -> None:
    """A value and a type, of which the type is looked at first, as everywhere."""
    if wellformed.mistake(variable.type) is not None:
        return
    try:
        literal = literals.constant(variable.default, variable.type, "")
    except errors.ConversionError:
        literals.misfit(variable.default, variable.type, "")
        return
    wrong = literals.misfit(literal, variable.type, "")
    if wrong:
        raise AssertionError(f"a constant was converted to what is no value of its type: {wrong}")
    try:
        hashing.of_literal(literal)
        plain = literals.to_json(literal, variable.type)
    except errors.ConversionError:
        return  # a digest that is none; what has no form in JSON
    json.dumps(plain, allow_nan=False)


def read(variable: Variable, text: bytes) -> None:
    """Plain JSON for a type."""
    if wellformed.mistake(variable.type) is not None:
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    try:
        literal = literals.from_json(value, variable.type, "")
    except errors.ConversionError:
        return
    wrong = literals.misfit(literal, variable.type, "")
    if wrong:
        raise AssertionError(f"JSON was read as what is no value of its type: {wrong}")


# What it begins with


def seeds() -> Iterator[bytes]:
    """A registration for every code, and values and plain JSON of every kind of type."""
    build = loaded("conftest").Build
    diagnostics = loaded("test_diagnostics")
    for make in diagnostics.BROKEN:
        made = make(build)
        if not isinstance(made, tuple) and len(made.template.nodes) < 100:
            yield REGISTRATION + registration(made).SerializeToString()
    rich = loaded("test_compiler_properties").rich
    for number in range(30):
        yield REGISTRATION + registration(rich(build, random.Random(number))).SerializeToString()
    for literal in VALUES:
        for type_ in TYPES:
            variable = Variable(name="x", type=type_, default=literal)
            yield VALUE + variable.SerializeToString()
    for type_ in TYPES:
        written = Variable(name="x", type=type_).SerializeToString()
        for value in (None, True, 1, 1.5, "a", "2026-01-02", [1, 2], {"a": 1}, [["a"], {}]):
            yield JSON + len(written).to_bytes(2, "little") + written + json.dumps(value).encode()


def registration(made) -> RegisterRequest:
    """Of a template of the compiler's tests; workflows that it calls and launches come before it."""
    request = RegisterRequest(tasks=made.tasks.values())
    request.workflows.extend(each.workflow for each in made.workflows.values())
    request.launch_plans.extend(each.launch_plan for each in made.launch_plans.values())
    request.workflows.append(made.template)
    return request


def loaded(name: str):
    """A module of the compiler's tests."""
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", UNIT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


INT, STRING = literal_types.INT, literal_types.STRING
POINT = literal_types.record("Point", {"x": INT, "y": STRING}, optional=["y"])
TYPES = [
    literal_types.NONE,
    literal_types.BOOL,
    INT,
    literal_types.FLOAT,
    STRING,
    literal_types.BYTES,
    literal_types.DATE,
    literal_types.DATETIME,
    literal_types.DURATION,
    literal_types.DECIMAL,
    literal_types.list_of(literal_types.optional(INT)),
    literal_types.dict_of(literal_types.list_of(STRING)),
    literal_types.tuple_of(INT, STRING),
    literal_types.list_of(POINT),
    literal_types.union(INT, STRING, POINT),
    literal_types.choice("a", 1, True),
    literal_types.file("csv"),
    literal_types.directory(),
    literal_types.frame(),
    literal_types.array("float64", 2),
    literal_types.stream_of(INT),
    literal_types.custom("a.B", POINT),
    literal_types.sensitive(literal_types.dict_of(STRING)),
]
VALUES = [
    literals.from_none(),
    literals.from_int(1),
    literals.from_float(float("nan")),
    literals.from_str("a"),
    literals.from_bytes(b"a"),
    literals.from_list(literals.integers([1, 2])),
    literals.from_dict({"a": literals.from_str("b")}),
    literals.from_record({"x": literals.from_int(1)}),
    literals.from_list(literals.pack([literals.from_int(1), literals.from_none()])),
    literals.from_list(literals.pack([literals.from_record({"x": literals.from_int(i)}) for i in range(2)])),
]


# How it goes on


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Changes the message that the bytes are; bytes that are none, and some others, as bytes."""
    rng = random.Random(seed)
    message: Message = RegisterRequest() if data[:1] == REGISTRATION else Variable()
    if data[:1] not in (REGISTRATION, VALUE) or rng.random() < 0.2:
        return bytes(atheris.Mutate(data, most))
    try:
        message.ParseFromString(data[1:])
        for _ in range(rng.randint(1, 4)):
            DAMAGE(message, rng)
        changed = data[:1] + message.SerializeToString()
    except (DecodeError, ValueError):  # it became too deep to be encoded
        return bytes(atheris.Mutate(data, most))
    return changed if len(changed) <= most else data


DAMAGE = loaded("test_compiler_properties").damage


def main() -> None:
    """Arguments are libFuzzer's; `--seeds FOLDER` writes what to begin with and ends."""
    if sys.argv[1:2] == ["--seeds"]:
        folder = Path(sys.argv[2])
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds()):
            (folder / f"seed-{number:04}").write_bytes(seed)
        return
    atheris.Setup(sys.argv, one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
