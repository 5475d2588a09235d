"""`typedflow launch`: starts an execution of what is registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from typedflow import errors
from typedflow.cli import connection, failures, following, input_command, inputs, output, records
from typedflow.pb import identifiers_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typedflow.client import Run
    from typedflow.pb.launch_plans_pb2 import LaunchPlanTemplate


@click.command(cls=input_command.InputCommand)
@click.argument("name", required=False)
@click.option(
    "--version",
    default="",
    metavar="TEXT",
    help="Of the launch plan.  [default: the active one, else the newest]",
)
@click.option("--wait", is_flag=True, help="Show progress until it has ended; exit with 1 if it fails.")
@click.option(
    "--max-parallelism",
    type=click.IntRange(0),
    default=0,
    help="Tasks of it that may run at once; 0 is no limit.",
)
@connection.options
@output.option(output.TABLE, output.JSON, output.YAML)
def launch(
    *,
    name: str | None,
    version: str,
    wait: bool,
    max_parallelism: int,
    form: str,
    rest: tuple[str, ...],
    pairs: tuple[str, ...],
    inputs_file: str,
    overwrite_cache: tuple[str, ...],
    help_wanted: bool,
) -> None:
    """Launch a launch plan. Every workflow has one of its own name; the last part of a name is enough.

    Its inputs are options: `typedflow launch NAME --help` lists them.
    """
    context = click.get_current_context()
    usage = "launch NAME [INPUTS] [OPTIONS]"
    if name is None or name.startswith("-"):
        if help_wanted:
            input_command.show_help(context, usage)
        raise click.UsageError("Say what to launch: NAME comes first.", context)
    with connection.open_client() as client:
        entity = client.entity(identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN, name, version)
        plan = entity.launch_plan
        if help_wanted:
            about = plan.launch_plan.description
            input_command.show_help(context, usage.replace("NAME", name), plan.interface, about)
        check_fixed(plan.launch_plan, (*rest, *(f"--{pair}" for pair in pairs)))
        values = inputs.parse(
            context,
            plan.interface,
            rest,
            subject=name,
            taken=input_command.own_options(context),
            pairs=pairs,
            file=inputs_file,
        )
        run = client.launch(
            entity.id.name,
            version=entity.id.version,
            inputs=values,
            overwrite_cache=overwrite_cache,
            max_parallelism=max_parallelism,
        )
        if wait:
            follow(run, form)
        elif form != output.TABLE:
            output.write(records.execution(run.message), form)
        else:
            click.echo(f"launched {click.style(run.id, bold=True)} of {entity.id.name} {entity.id.version}")
            click.echo(
                f"  `typedflow watch {run.id}` shows its progress, `typedflow logs {run.id}` what its tasks write"
            )


def check_fixed(plan: LaunchPlanTemplate, arguments: Sequence[str]) -> None:
    """An input that the launch plan has fixed is not unknown to its user."""
    given = {inputs.dashed(word.partition("=")[0]) for word in arguments if word.startswith("--")}
    for each in plan.fixed_inputs.values:
        if f"--{inputs.dashed(each.name)}" in given:
            raise errors.UsageError(
                f"input `{each.name}` is fixed by launch plan `{plan.id.name}`",
                hint=f"leave it out, or launch `{plan.workflow.name}`, which takes it",
                code="FixedInputOverridden",
            )


def follow(run: Run, form: str) -> None:
    """Waits for an execution that goes on when its user stops waiting.

    Raises:
        ExecutionFailed: it did not succeed.
        Interrupted: Ctrl-C.
    """
    following.announce(run, form)
    try:
        following.wait(run, form)
    except KeyboardInterrupt:
        raise failures.Interrupted(
            f"execution {run.id} goes on; `typedflow watch {run.id}` shows it, `typedflow abort {run.id}` ends it"
        ) from None
    except errors.ServerUnreachable as error:
        raise errors.ServerUnreachable(
            error.message,
            where=error.where,
            hint=f"when the server is up again the execution goes on, and `typedflow watch {run.id}` shows it",
        ) from None
    following.finish(run, form)
