"""Commands whose options come from an interface: `run` and `launch`.

What such a command takes is known only once it has looked its workflow up, so it reads its own options first and keeps
the rest, which `inputs` reads. Its help is made of both.
"""

from __future__ import annotations

import inspect
from collections import deque
from typing import TYPE_CHECKING

import click

from typedflow import literal_types
from typedflow.cli import inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typedflow.pb.interface_pb2 import Interface
    from typedflow.pb.types_pb2 import LiteralType

REST = "rest"
EVERY = "*"
_MANY = "--overwrite-cache"


class InputCommand(click.Command):
    """Adds what such commands have in common: `--input`, `--inputs-file`, `--overwrite-cache`, `--help`."""

    def __init__(self, name: str | None, **attributes: object) -> None:
        attributes["context_settings"] = {
            "ignore_unknown_options": True,
            "token_normalize_func": inputs.dashed,
        }
        super().__init__(name, **attributes, add_help_option=False)  # type: ignore[arg-type]  # click's own
        self.params += [
            click.Argument([REST], nargs=-1, type=click.UNPROCESSED, metavar="[INPUTS]"),
            click.Option(
                ["--input", "pairs"], multiple=True, metavar="NAME=VALUE", help="An input, whatever its name."
            ),
            click.Option(
                ["--inputs-file"],
                default="",
                metavar="FILE",
                help="YAML, JSON or TOML; - is YAML or JSON on standard input.",
            ),
            click.Option(
                [_MANY],
                multiple=True,
                metavar="[NODE]...",
                help="Run these although the cache has their results; without a name, all.",
            ),
            click.Option(["--help", "help_wanted"], is_flag=True, help="Show this message and exit."),
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the command's own options."""
        return super().parse_args(ctx, _one_by_one(args))


def own_options(context: click.Context) -> set[str]:
    """The names of the running command's own options, which inputs can't have."""
    return {
        inputs.dashed(form.lstrip("-"))
        for param in context.command.params
        for form in [*param.opts, *param.secondary_opts]
        if form.startswith("--")
    }


def show_help(
    context: click.Context, usage: str, interface: Interface | None = None, about: str = ""
) -> None:
    """Prints the command's help, with its inputs where they are known, and exits."""
    formatter = context.make_formatter()
    formatter.write_usage(context.parent.command_path if context.parent else "", usage)
    if text := inspect.cleandoc((context.command.help or "") if interface is None else about):
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text)
    if interface is not None:
        _write_inputs(context, formatter, interface)
    own = [param for param in context.command.params if isinstance(param, click.Option)]
    rows = [row for option in own if (row := option.get_help_record(context)) is not None]
    with formatter.section("Options"):
        formatter.write_dl(rows)
    click.echo(formatter.getvalue().rstrip())
    context.exit()


def _write_inputs(context: click.Context, formatter: click.HelpFormatter, interface: Interface) -> None:
    taken = own_options(context)
    options = inputs.options(interface, taken)
    rows = [row for option in options if (row := option.get_help_record(context)) is not None]
    rows += [
        (
            f"--input {variable.name}=...",
            f"{variable.description}  (`--{variable.name}` is an option of the command)",
        )
        for variable in interface.inputs
        if inputs.dashed(variable.name) in taken
    ]
    if rows:
        with formatter.section("Inputs"):
            formatter.write_dl(rows)
    if types := list(_named_types(interface)):
        with formatter.section("Types"):
            formatter.write_dl(types)


def _named_types(interface: Interface) -> Iterator[tuple[str, str]]:
    """What the names in the inputs' types stand for, outer ones first; ` = ...` is after what may be left out."""
    waiting = deque(variable.type for variable in interface.inputs)
    seen: set[str] = set()
    while waiting:
        type_ = waiting.popleft()
        name, meaning = _meaning(literal_types.plain(type_))
        if name in seen:
            continue
        if name:
            seen.add(name)
            yield name, meaning
        waiting.extend(literal_types.children(type_))


def _meaning(type_: LiteralType) -> tuple[str, str]:
    """The name of a type that is printed as one, and what is behind it; otherwise nothing."""
    match type_.WhichOneof("type"):
        case "record" if not type_.record.positional:
            fields = type_.record.fields
            return type_.record.name, ", ".join(
                f"{each.name}: {literal_types.text(each.type)}{' = ...' * (each.has_default or each.optional)}"
                for each in fields
            )
        case "enum" if type_.enum.name:
            return type_.enum.name, inputs.choices(type_.enum)
        case "custom":
            return type_.custom.name, literal_types.text(type_.custom.representation)
        case _:
            return "", ""


def _one_by_one(args: Sequence[str]) -> list[str]:
    """`--overwrite-cache a b` as two options with one name each, and alone as that of every node."""
    result: list[str] = []
    at = 0
    while at < len(args):
        word = args[at]
        at += 1
        if inputs.dashed(word) != _MANY:
            result.append(word)
            continue
        nodes = []
        while at < len(args) and not args[at].startswith("-"):
            nodes.append(args[at])
            at += 1
        for node in nodes or [EVERY]:
            result += [_MANY, node]
    return result
