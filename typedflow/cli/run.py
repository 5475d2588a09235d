"""`typedflow run`: a workflow of a file, run on this machine as a server runs it, with this machine's cache."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from typedflow import compiler, errors, literal_types, literals, settings, spelling, type_engine
from typedflow.authoring import serialize
from typedflow.cli import (
    connection,
    failures,
    following,
    input_command,
    inputs,
    local_server,
    output,
    single_step,
)
from typedflow.cli import launch as launching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typedflow.authoring.signature import Signature
    from typedflow.client import Client, Run
    from typedflow.pb.interface_pb2 import Interface
    from typedflow.pb.types_pb2 import LiteralType

_TRIES = 3  # of servers: the one that another process had may end with it


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is launched: a launch plan, by its full name."""

    name: str
    interface: Interface
    description: str
    signature: Signature


@click.command(cls=input_command.InputCommand)
@click.argument("file", required=False)
@click.argument("workflow", required=False)
@click.option("--remote", is_flag=True, help="Register and launch at TYPEDFLOW_ADMIN instead.")
@click.option(
    "--from-execution",
    metavar="ID",
    help="Run one task of FILE here, on the real inputs of this execution's --node.",
)
@click.option("--node", metavar="NODE", help="With --from-execution: its path, as in prep.train or train[7].")
@click.option("--attempt", type=click.IntRange(1), help="With --node: which one.  [default: the latest]")
@click.option(
    "--home", type=click.Path(path_type=Path), help="Of the cache and executions.  [default: TYPEDFLOW_HOME]"
)
@connection.options
@output.option(output.TABLE, output.JSON, output.YAML)
def run(
    *,
    file: str | None,
    workflow: str | None,
    remote: bool,
    from_execution: str | None,
    node: str | None,
    attempt: int | None,
    home: Path | None,
    form: str,
    rest: tuple[str, ...],
    pairs: tuple[str, ...],
    inputs_file: str,
    overwrite_cache: tuple[str, ...],
    help_wanted: bool,
) -> None:
    """Run a workflow, or a launch plan, of a file: typed, cached, each task in a process of its own.

    Its inputs are options: `typedflow run FILE WORKFLOW --help` lists them.
    """
    context = click.get_current_context()
    usage = "run FILE WORKFLOW [INPUTS] [OPTIONS]"
    if file is None or file.startswith("-"):
        if help_wanted:
            input_command.show_help(context, usage)
        raise click.UsageError("Say what to run: FILE and WORKFLOW come first.", context)
    if (from_execution is None) != (node is None):
        raise click.UsageError("--from-execution and --node go together.", context)
    if from_execution is not None and node is not None:
        words = [each for each in (workflow, *rest) if each]
        if words or remote or inputs_file:
            raise click.UsageError(
                f"One task is run: there is no place for {words[0] if words else 'other options'}; --input NAME=VALUE "
                "gives an input another value.",
                context,
            )
        single_step.run(file, from_execution, node, attempt or 0, pairs, form)
        return
    if not remote and connection.has_admin():
        raise click.UsageError("--admin says where to run, which needs --remote.", context)
    if remote and home is not None:
        raise click.UsageError(
            "--home is that of a run on this machine, so it does not go with --remote.", context
        )
    entities, mistakes = serialize.check([file])
    if mistakes:
        raise errors.CompileError(mistakes)
    wanted = _wanted(entities, file, workflow)
    if help_wanted:
        shown = usage.replace("FILE WORKFLOW", f"{file} {workflow}")
        input_command.show_help(context, shown, wanted.interface, wanted.description)
    values = inputs.parse(
        context,
        wanted.interface,
        rest,
        subject=f"{file} {workflow}",
        taken=input_command.own_options(context),
        pairs=pairs,
        file=inputs_file,
    )
    folder = (home or settings.load().home).absolute()
    _check_classes(values, wanted.signature, folder)
    collected = serialize.collect([file])
    if remote:
        with connection.open_client() as client:
            version = client.register_collected(collected).version
            started = client.launch(
                wanted.name, version=version, inputs=values, overwrite_cache=overwrite_cache
            )
            launching.follow(started, form)
        return
    _here(folder, collected, wanted.name, values, overwrite_cache, form)


def _wanted(entities: serialize.Entities, file: str, name: str | None) -> _Wanted:
    """The workflow or launch plan of a name, full or its last part."""
    launchable = {**entities.workflows, **entities.launch_plans}
    if not launchable:
        raise errors.UsageError(
            f"`{file}` defines no workflow", hint="decorate a function that calls tasks with @workflow"
        )
    listed = ", ".join(f"`{each.rpartition('.')[2]}`" for each in launchable)
    if name is None or name.startswith("-"):
        raise errors.UsageError("say which workflow to run", where=file, hint=f"it has {listed}")
    matching = [full for full in launchable if full == name or full.endswith(f".{name}")]
    if len(matching) != 1:
        if any(task == name or task.endswith(f".{name}") for task in entities.tasks):
            raise errors.UsageError(
                f"`{name}` is a task", where=file, hint=f"run a workflow that calls it; there are {listed}"
            )
        near = spelling.nearest(name, [each.rpartition(".")[2] for each in launchable])
        what = f"`{name}` may be {' or '.join(matching)}" if matching else f"there is no workflow `{name}`"
        raise errors.UsageError(
            what,
            where=file,
            hint=f"did you mean `{near}`?" if near else f"it has {listed}",
            code="UnknownWorkflow",
        )
    full = matching[0]
    if full in entities.workflows:
        template = entities.workflows[full].traced.template
        return _Wanted(full, template.interface, template.description, entities.workflows[full].signature)
    plan = entities.launch_plans[full]
    compiled = compiler.compile_launch_plan(plan.template(), plan.workflow.compiled)
    if compiled.value is None:
        raise errors.CompileError(compiled.diagnostics)
    return _Wanted(full, compiled.value.interface, plan.description, plan.signature)


def _check_classes(values: Mapping[str, object], signature: Signature, home: Path) -> None:
    """Makes the values that are whole here as a task will, so that what an author's class refuses starts nothing.

    Raises:
        ConversionError: what the classes refuse, of every input.
    """
    from typedflow.dataplane import objects  # noqa: PLC0415 - help and most mistakes do without

    data = type_engine.Data(objects.open_store(str(home / "objects")), home)
    problems: list[tuple[str, str]] = []
    for name, value in values.items():
        converter = signature.parameters[name].converter
        if _is_kept_apart(converter.type):
            continue
        try:
            converter.from_literal(literals.from_json(value, converter.type, name), name, data)
        except errors.ConversionError as error:
            problems += error.problems
    if problems:
        raise errors.ConversionError.of(problems)


def _is_kept_apart(type_: LiteralType) -> bool:
    """Whether some of a value's bytes are kept outside of its literal."""
    waiting = [type_]
    while waiting:
        each = waiting.pop()
        if each.WhichOneof("type") in ("file", "directory", "frame", "array", "stream"):
            return True
        waiting += literal_types.children(each)
    return False


def _here(
    home: Path,
    collected: serialize.Registration,
    name: str,
    values: Mapping[str, object],
    overwrite_cache: tuple[str, ...],
    form: str,
) -> None:
    """Runs it on this home's server. When that server ends meanwhile, goes on with one of our own."""
    id_ = f"run-{secrets.token_hex(8)}"
    for last in (*[False] * (_TRIES - 1), True):
        try:
            with (
                local_server.found_or_started(home) as server,
                connection.open_client_of(server.grpc, server.token) as client,
            ):
                version = client.register_collected(collected).version
                started = client.launch(
                    name, version=version, inputs=values, overwrite_cache=overwrite_cache, id=id_
                )
                _wait(client, started, form)
                following.finish(started, form)
                return
        except errors.ServerUnreachable:
            if last:
                raise
            failures.say("the server has ended; going on with another")


def _wait(client: Client, started: Run, form: str) -> None:
    following.announce(started, form)
    try:
        following.wait(started, form)
    except KeyboardInterrupt:
        with contextlib.suppress(errors.ServerUnreachable):
            client.abort(started.id, "interrupted")
        raise failures.Interrupted(
            "aborted; what had finished is in the cache, so the same command goes on from there"
        ) from None
