"""`typedflow activate` and `typedflow deactivate`: which version of a launch plan is launched when none is named."""

from __future__ import annotations

import click

from typedflow.cli import comparison, connection


@click.command()
@click.argument("launch_plan")
@click.argument("version")
@click.option("--allow-breaking", is_flag=True, help="Even if it breaks what the active version promises.")
@connection.options
def activate(launch_plan: str, version: str, allow_breaking: bool) -> None:
    """Make VERSION the active one of LAUNCH_PLAN: the one that is launched when no version is named.

    What takes or gives less than the version that is active now is refused, with those whom it concerns.
    """
    with connection.open_client() as client:
        done = client.activate(launch_plan, version, allow_breaking=allow_breaking)
    was = done.replaced.version if done.HasField("replaced") else ""
    if was == done.id.version:
        click.echo(f"version {was} of {done.id.name} is active already")
        return
    replaced = f", in place of {was}" if was else ""
    click.echo(f"version {click.style(done.id.version, bold=True)} of {done.id.name} is active{replaced}")
    for line in comparison.lines(done.interface):
        click.echo(line)


@click.command()
@click.argument("launch_plan")
@click.argument("version", default="")
@connection.options
def deactivate(launch_plan: str, version: str) -> None:
    """Leave LAUNCH_PLAN without an active version: its newest one is launched when none is named.

    With VERSION only if that is the active one.
    """
    with connection.open_client() as client:
        done = client.deactivate(launch_plan, version)
    if done.HasField("deactivated"):
        was = done.deactivated
        click.echo(
            f"version {was.version} of {was.name} is not active any more; its newest one is launched now"
        )
    else:
        click.echo(f"no version of {launch_plan} was active")
