"""Ages on the command line: `30d`, `12h`, `90m`, `2w`."""

from __future__ import annotations

import re
from datetime import timedelta

import click

_AGE = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse(ctx: click.Context, option: click.Parameter, value: str | None) -> timedelta | None:
    """An option's callback: a whole number and a unit as an age.

    Raises:
        BadParameter: it is no age, or none at all.
    """
    if value is None:
        return None
    found = _AGE.fullmatch(value.strip())
    if found is None or not int(found[1]):
        raise click.BadParameter(
            f"`{value}` is no age: write a number and s, m, h, d or w, as in 30d.", ctx, option
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
