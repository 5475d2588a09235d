"""What commands print on standard output: tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ParamSpec

import click

P = ParamSpec("P")

TABLE = "table"
JSON = "json"
YAML = "yaml"
LINES = "lines"

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@-]*")
_NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")


def option(*forms: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Adds the option `-o`, whose value comes as `form`."""
    return click.option(
        "-o",
        "--output",
        "form",
        type=click.Choice(forms),
        default=TABLE,
        show_default=True,
        help="How it is printed.",
    )


def write(value: object, form: str) -> None:
    """Prints a plain value as JSON or YAML."""
    if form == JSON:
        click.echo(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))
    else:
        click.echo("\n".join(yaml_lines(value)))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints columns; nothing but the headings when there are no rows."""
    widths = [max([len(heading), *(len(row[i]) for row in rows)]) for i, heading in enumerate(headings)]
    click.secho(_line(headings, widths), bold=True)
    for row in rows:
        click.echo(_line(row, widths))


def fields(pairs: Mapping[str, str], *, indent: str = "  ") -> None:
    """Prints names and values below each other."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        click.echo(f"{indent}{click.style(name.ljust(width), dim=True)}  {value}")


def seconds(value: float) -> str:
    """A duration for people: `0.41 s`, `12.3 s`, `4 m 05 s`, `2 h 13 m`."""
    if value < 10:
        return f"{value:.2f} s"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} m"


def size(count: int) -> str:
    """A number of bytes for people: `512 B`, `1.5 GiB`."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_SIZES) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f} {_SIZES[unit]}" if unit else f"{count} B"


def printable(text: str) -> str:
    """The text with what does not print written out, so that it can't change what the terminal does."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def yaml_lines(value: object, indent: str = "") -> Iterator[str]:
    """A plain value in block style; text that YAML might read as something else is quoted."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _nested(f"{indent}{_scalar(str(key))}:", each, indent)
    elif isinstance(value, list) and value:
        for each in value:
            lines = list(yaml_lines(each, f"{indent}  "))
            yield f"{indent}- {lines[0].lstrip(' ')}"
            yield from lines[1:]
    else:
        yield indent + _scalar(value)


def _nested(head: str, value: object, indent: str) -> Iterator[str]:
    if isinstance(value, (dict, list)) and value:
        yield head
        yield from yaml_lines(value, indent + "  ")
    else:
        yield f"{head} {_scalar(value)}"


def _scalar(value: object) -> str:
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
            return value
        quoted = json.dumps(value, ensure_ascii=False)
        return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
    if isinstance(value, float) and math.isfinite(value):
        shown = repr(value)
        return shown if "." in shown or "e" not in shown else shown.replace("e", ".0e")
    return json.dumps(value)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
