"""`typedflow run FILE --from-execution ID --node NODE`: one task of a file, here, on the real inputs of a node.

In this process, so that a debugger can stop in it; nothing of it is recorded, and no cache is asked.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from typedflow import errors, interface, literal_types, spelling, type_engine
from typedflow.authoring import loading, serialize
from typedflow.cli import connection, following, inputs, output, records
from typedflow.dataplane import objects
from typedflow.pb import catalog_pb2, interface_pb2, literals_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typedflow.authoring.task import Task
    from typedflow.client import Client
    from typedflow.pb.attempt_pb2 import AttemptSpec
    from typedflow.pb.interface_pb2 import Interface
    from typedflow.pb.literals_pb2 import LiteralMap


def run(file: str, execution_id: str, node: str, attempt: int, pairs: Sequence[str], form: str) -> None:
    """Runs it, and prints what it gives.

    Raises:
        NotFound: there is no such execution, node or attempt.
        UsageError: the file has no task of that name; an input is missing, unknown, or not of its type.
        Exception: what the task raises passes as it is.
    """
    from typedflow.client import fetching

    entities, mistakes = serialize.check([file])
    if mistakes:
        raise errors.CompileError(mistakes)
    # Kept: what the task gives may be files in there.
    folder = Path(tempfile.mkdtemp(prefix="typedflow-step-"))
    data = type_engine.Data(objects.open_store(str(folder / "objects")), folder / "values")
    with connection.open_client() as client:
        execution_id, node, spec = _told(client, execution_id, node, attempt)
        task = _task(entities, file, spec.task)
        read = task.template().interface
        chosen = _chosen(read, pairs, node)
        known = {each.name for each in read.inputs} - chosen.keys()
        kept = literals_pb2.LiteralMap(values=[each for each in spec.inputs.values if each.name in known])
        given = _bound(read, fetching.fetch(client, execution_id, node, kept, data.store), chosen)
    values = {
        each.name: task.signature.parameters[each.name].converter.from_literal(each.value, each.name, data)
        for each in given.values
    }
    click.echo(
        f"task {task.name} on the inputs of {node} in execution {execution_id}", err=form != output.TABLE
    )
    result = _called(task, values, Path(file))
    outputs = literals_pb2.LiteralMap()
    for variable, value in zip(task.signature.outputs, result, strict=True):
        outputs.values.add(
            name=variable.name,
            value=variable.converter.to_literal(value, f"outputs.{variable.name}", data),
        )
    shown = records.values(outputs, read.outputs)
    if form != output.TABLE:
        output.write({"inputs": records.values(given, read.inputs), "outputs": shown}, form)
    else:
        following.show_outputs(shown, [folder / "objects"])


def _told(client: Client, execution_id: str, node: str, attempt: int) -> tuple[str, str, AttemptSpec]:
    """What an attempt of the node was told, and where that was: a hit has none, but what made its entry has.

    That had the same inputs, since the key is the same; but for those that do not count.
    """
    try:
        return execution_id, node, client.attempt(execution_id, node, attempt).spec
    except errors.StateConflict as error:
        if error.code != "NoAttempt":
            raise
    try:
        kept = client.explain_cache(execution_id, node)
    except errors.StateConflict as error:  # it never started, or runs no task
        why = error.message.partition(": there is no key")[0]
        raise errors.StateConflict(why, hint=error.hint, code="NoAttempt") from None
    maker = kept.nearest
    if kept.status != catalog_pb2.CACHE_STATUS_HIT or not maker.execution_id:
        raise errors.StateConflict(
            f"node `{node}` was not tried", where=f"execution {execution_id}", code="NoAttempt"
        )
    try:
        spec = client.attempt(maker.execution_id, maker.node).spec
    except errors.NotFound:
        raise errors.StateConflict(
            f"node `{node}` was not tried: its outputs come from the cache, and what made them is gone",
            where=f"execution {execution_id}",
            code="NoAttempt",
        ) from None
    return maker.execution_id, maker.node, spec


def _called(  # type: ignore[explicit-any]  # of any arguments
    task: Task[..., object], values: Mapping[str, object], file: Path
) -> Sequence[object]:
    """What the task gives, an output each. Raises ExecutionFailed with the author's frames for what it raises."""
    from typedflow.run_task import failures  # noqa: PLC0415 - help and most mistakes do without

    try:
        return task.signature.values(task(**values), task.short_name)
    except errors.TypedflowError:
        raise
    except Exception as error:  # noqa: BLE001 - a task may raise anything
        failure = failures.of(error, [loading.root_of(file.absolute())])
        raise errors.ExecutionFailed(
            f"{failure.code}: {failure.message}", error=failure, where=f"task {task.name}"
        ) from None


def _task(  # type: ignore[explicit-any]  # of any arguments
    entities: serialize.Entities, file: str, name: str
) -> Task[..., object]:
    if name not in entities.tasks:
        near = spelling.nearest(name, list(entities.tasks))
        raise errors.UsageError(
            f"there is no task `{name}`, which the node ran",
            where=file,
            hint=f"did you mean `{near}`?" if near else "name the file that defines it",
            code="UnknownTask",
        )
    return entities.tasks[name]


def _chosen(read: Interface, pairs: Sequence[str], node: str) -> dict[str, object]:
    """What --input says, by the task's types."""
    types = {inputs.dashed(each.name): each for each in read.inputs}
    made: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        variable = types.get(inputs.dashed(name))
        if variable is None or not equals:
            listed = ", ".join(f"{each.name}: {literal_types.text(each.type)}" for each in read.inputs)
            raise errors.UsageError(
                f"`{pair}` gives no input of the task of {node}",
                where="--input",
                hint=f"write NAME=VALUE; there are {listed}",
                code="UnknownInput",
            )
        made[variable.name] = inputs.from_text(text, variable.type, f"--input {variable.name}")
    return made


def _bound(read: Interface, kept: LiteralMap, chosen: dict[str, object]) -> LiteralMap:
    """The inputs, complete; a Sensitive one is never sent, so it has to be given."""
    hidden = [
        each.name
        for each in read.inputs
        if literal_types.has_sensitive(each.type) and each.name not in chosen
    ]
    if hidden:
        raise errors.UsageError(
            f"{', '.join(f'`{name}`' for name in hidden)}: what is Sensitive is given to nobody",
            hint=f"give it, as in --input {hidden[0]}=...",
            code="MissingInput",
        )
    plain = interface_pb2.Interface()
    plain.CopyFrom(read)
    return interface.bind(plain, kept, json=chosen)
