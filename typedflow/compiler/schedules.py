"""Schedules of launch plans: what can't work is told before a tick is missed.

The time zones are those of the machine's own database (or of the `tzdata` distribution): that is the one table outside
the template that is looked into.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING, Final

import cronsim

from typedflow import literal_types
from typedflow.compiler import diagnostics
from typedflow.compiler.promises import some_of
from typedflow.compiler.report import cut, listed

if TYPE_CHECKING:
    from collections.abc import Collection

    from typedflow.compiler.report import Report
    from typedflow.pb.interface_pb2 import Interface
    from typedflow.pb.launch_plans_pb2 import CronSchedule, Schedule
    from typedflow.pb.types_pb2 import LiteralType

SHORTEST_MS: Final = 1_000
LONGEST_MS: Final = 10 * 365 * 24 * 60 * 60 * 1_000

_FIELDS: Final = ("minute", "hour", "day of month", "month", "day of week")
_LONGEST_EXPRESSION: Final = 1_000
# Any will do: an expression is legal at all times or never.
_SOMETIME: Final = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def check(schedule: Schedule, free: Interface, fixed: Collection[str], plan: str, report: Report) -> None:
    """Notes what is wrong with the schedule of a launch plan (`plan` is as in ``launch plan `nightly` ``).

    Args:
        free: the launch plan's own interface.
        fixed: the inputs that it fixes.
    """
    match schedule.WhichOneof("schedule"):
        case "cron":
            _check_cron(schedule.cron, plan, report)
        case "rate":
            _check_rate(schedule.rate.period_ms, plan, report)
        case None:
            _invalid(report, f"the schedule of {plan} is neither a cron expression nor a rate")
    kickoff = schedule.kickoff_time_input
    if kickoff:
        _check_kickoff(kickoff, free, fixed, plan, report)
    missing = [each.name for each in free.inputs if not each.HasField("default") and each.name != kickoff]
    if missing:
        _invalid(
            report,
            f"{plan} has a schedule, and nobody to give {listed(missing)} at its ticks",
            expected="a default or a fixed value for every input",
            given=some_of(missing),
            hint="give them in `default_inputs` or `fixed_inputs`",
        )


def _check_cron(cron: CronSchedule, plan: str, report: Report) -> None:
    wrong = _wrong_expression(cron.expression)
    if wrong:
        _invalid(
            report,
            f"the cron expression of {plan} is not legal: {wrong}",
            expected=f"five fields ({', '.join(_FIELDS)}), as in `0 2 * * *`",
            given=cron.expression,
        )
    if cron.timezone and not _is_zone(cron.timezone):
        _invalid(
            report,
            f"the time zone of {plan} is `{cut(cron.timezone, 100)}`, which there is not",
            expected="an IANA name, as in `Europe/Berlin`",
            given=cron.timezone,
            hint=report.did_you_mean(cron.timezone, sorted(zoneinfo.available_timezones())),
        )


def _wrong_expression(expression: str) -> str:
    """What is wrong with a cron expression; empty when nothing is."""
    fields = expression[:_LONGEST_EXPRESSION].split()
    if len(expression) > _LONGEST_EXPRESSION:
        return f"it has more than {_LONGEST_EXPRESSION:,} characters"
    if len(fields) != len(_FIELDS):
        return f"it has {len(fields)} {'field' if len(fields) == 1 else 'fields'}, not {len(_FIELDS)}"
    if not expression.isascii():
        return "it has characters other than ASCII"
    for place, name in enumerate(_FIELDS):
        alone = ["*"] * len(_FIELDS)
        alone[place] = fields[place]
        if not _is_legal(" ".join(alone)):
            return f"`{cut(fields[place], 50)}` is no {name}"
    return "" if _is_legal(expression) else "there is no such day in the months that it names"


def _is_legal(expression: str) -> bool:
    try:
        cronsim.CronSim(expression, _SOMETIME)
    except (cronsim.CronSimError, AssertionError, ValueError):  # it asserts what it takes for granted
        return False
    return True


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # a folder of the database is an OSError
        return False
    return True


def _check_rate(period_ms: int, plan: str, report: Report) -> None:
    if not SHORTEST_MS <= period_ms <= LONGEST_MS:
        _invalid(
            report,
            f"the period of {plan} is out of range",
            expected="from a second to ten years",
            given=f"{period_ms} ms",
        )


def _check_kickoff(name: str, free: Interface, fixed: Collection[str], plan: str, report: Report) -> None:
    """The time of the tick goes to an input of type datetime that is not fixed."""
    of = f"input `{cut(name, 100)}`, which is to be given the time of each tick of {plan},"
    found = next((each for each in free.inputs if each.name == name), None)
    if found is not None:
        if not _takes_datetime(found.type):
            given = report.text(found.type)
            _invalid(report, f"{of} is {given}", expected="datetime", given=given)
    elif name in fixed:
        _invalid(report, f"{of} is fixed", given=name, hint="take it out of `fixed_inputs`")
    else:
        names = [each.name for each in free.inputs]
        hint = report.did_you_mean(name, names)
        _invalid(report, f"{of} is not there", expected=some_of(names), given=name, hint=hint)


def _takes_datetime(type_: LiteralType) -> bool:
    return literal_types.is_assignable(literal_types.DATETIME, type_) is None


def _invalid(report: Report, message: str, *, expected: str = "", given: str = "", hint: str = "") -> None:
    report.add(diagnostics.INVALID_SCHEDULE, message, expected=expected, given=given, hint=hint)
