"""`typedflow plan`: what a launch would do, before it is launched."""

from __future__ import annotations

import click

from typedflow.cli import connection, input_command, inputs, output, planned
from typedflow.cli import launch as launching
from typedflow.pb import identifiers_pb2


@click.command(cls=input_command.InputCommand)
@click.argument("name", required=False)
@click.option(
    "--version",
    default="",
    metavar="TEXT",
    help="Of the launch plan.  [default: the active one, else the newest]",
)
@connection.options
@output.option(output.TABLE, output.JSON, output.YAML)
def plan(
    *,
    name: str | None,
    version: str,
    form: str,
    rest: tuple[str, ...],
    pairs: tuple[str, ...],
    inputs_file: str,
    overwrite_cache: tuple[str, ...],
    help_wanted: bool,
) -> None:
    """Say for each node what a launch would do, and why: RUN, HIT (the cache has it) or WAIT (it depends on what runs).

    Nothing is launched. Inputs are options, as of `typedflow launch`.
    """
    context = click.get_current_context()
    usage = "plan NAME [INPUTS] [OPTIONS]"
    if name is None or name.startswith("-"):
        if help_wanted:
            input_command.show_help(context, usage)
        raise click.UsageError("Say what would be launched: NAME comes first.", context)
    with connection.open_client() as client:
        entity = client.entity(identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN, name, version)
        launched = entity.launch_plan
        if help_wanted:
            about = launched.launch_plan.description
            input_command.show_help(context, usage.replace("NAME", name), launched.interface, about)
        launching.check_fixed(launched.launch_plan, (*rest, *(f"--{pair}" for pair in pairs)))
        values = inputs.parse(
            context,
            launched.interface,
            rest,
            subject=name,
            taken=input_command.own_options(context),
            pairs=pairs,
            file=inputs_file,
        )
        nodes = client.plan(
            entity.id.name, version=entity.id.version, inputs=values, overwrite_cache=overwrite_cache
        )
    if form != output.TABLE:
        output.write({"nodes": [planned.record(node) for node in nodes]}, form)
    else:
        planned.show(nodes)
