"""The tree of commands: names and one line each here, the commands themselves in modules that are loaded when called.

The services' own commands, `admin` and `propeller`, are found by entry point.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence

import click

import typedflow as package
from typedflow import services, spelling


class LazyGroup(click.Group):
    """A group that knows its commands' names and help before their modules.

    Args:
        lazy: by name, the module under `typedflow.cli` that holds the command, its name there, and its line of help.
        services: whether the installed services' commands belong to it too.
    """

    def __init__(
        self,
        name: str,
        lazy: Mapping[str, tuple[str, str, str]],
        *,
        help: str,  # noqa: A002 - click's name
        params: Sequence[click.Parameter] = (),
        services: bool = False,
    ) -> None:
        super().__init__(name, help=help, params=[*params], no_args_is_help=True)
        self._lazy = lazy
        self._services = services

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which people meet them."""
        return [*self._lazy, *(sorted(services.commands()) if self._services else ())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Loads a command."""
        loaded: object = None
        if cmd_name in self._lazy:
            module, attribute, _ = self._lazy[cmd_name]
            loaded = getattr(importlib.import_module(f"typedflow.cli.{module}"), attribute)
        elif self._services and (entry := services.commands().get(cmd_name)):
            loaded = entry.load()
        if not isinstance(loaded, click.Command):
            return None
        if loaded.help:  # docstrings are raw, as linters want; click looks for the character
            loaded.help = loaded.help.replace("\\b\n", "\b\n")
        return loaded

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command, or says which one was probably meant."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            near = spelling.nearest(name, self.list_commands(ctx))
            hint = f" Did you mean '{near}'?" if near else ""
            ctx.fail(f"No such command '{name}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without loading the lazy ones."""
        rows = [(name, line) for name, (_, _, line) in self._lazy.items()]
        for name in self.list_commands(ctx)[len(rows) :]:
            command = self.get_command(ctx, name)
            if command is not None:
                rows.append((name, command.get_short_help_str(80)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _show_version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"typedflow {package.__version__}")
        ctx.exit()


get = LazyGroup(
    "get",
    {
        "tasks": ("get", "tasks", "Tasks, or the versions of one."),
        "workflows": ("get", "workflows", "Workflows, or the versions of one."),
        "launch-plans": ("get", "launch_plans", "Launch plans, or the versions of one."),
        "executions": ("get", "executions", "Executions, newest first, or one with its nodes."),
        "nodes": ("get", "nodes", "The nodes of an execution."),
    },
    help="Look at what is registered and at what ran.",
)

cache = LazyGroup(
    "cache",
    {
        "explain": ("cache", "explain", "Why a node hit or missed: what of its key differs."),
        "ls": ("cache", "ls", "What the cache has, newest first."),
        "stats": ("cache", "stats", "What the cache saved, by task and launch plan."),
        "evict": ("cache", "evict", "Forget entries."),
    },
    help="Look into the cache.",
)

typedflow = LazyGroup(
    "typedflow",
    {
        "demo": ("demo", "demo", "See it work: a real pipeline, launched three times."),
        "run": ("run", "run", "Run a workflow of a file on this machine, cached."),
        "check": ("check", "check", "Compile files and tell every mistake; needs no server."),
        "up": ("up", "up", "Start a server on this machine."),
        "register": ("register", "register", "Register what files and folders define."),
        "launch": ("launch", "launch", "Launch a launch plan."),
        "activate": ("activate", "activate", "Make a version of a launch plan the active one."),
        "deactivate": ("activate", "deactivate", "Leave a launch plan without an active version."),
        "diff": ("diff", "diff", "What differs between two versions."),
        "plan": ("plan", "plan", "Say what a launch would run, and what the cache has."),
        "get": ("commands", "get", "Look at what is registered and at what ran."),
        "watch": ("executions", "watch", "Show an execution's progress until it has ended."),
        "logs": ("executions", "logs", "What tasks wrote."),
        "deck": ("deck", "deck", "The report that a task wrote."),
        "signal": ("signal", "signal", "Answer a node that waits for somebody."),
        "abort": ("executions", "abort", "Abort an execution."),
        "recover": ("again", "recover", "Launch again, reusing what succeeded."),
        "relaunch": ("again", "relaunch", "Launch again with the same inputs."),
        "cache": ("commands", "cache", "Look into the cache."),
        "gc": ("gc", "gc", "Make room: forget what is old, remove what nothing refers to."),
        "explain": ("explain", "explain", "Say what a code in an error means."),
        "version": ("version", "version", "Print the version."),
    },
    help="Strongly typed workflows with cached, versioned tasks.",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Print the version.",
        )
    ],
    services=True,
)
