"""Schedules: when a launch plan launches by itself, while it is active."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from typedflow import errors
from typedflow.authoring import definitions, source
from typedflow.authoring.options import milliseconds
from typedflow.compiler import diagnostics
from typedflow.pb import launch_plans_pb2


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times of a cron expression.

    Args:
        expression: minute, hour, day of month, month, day of week, as in `0 2 * * *`.
        timezone: by its IANA name, as in `Europe/Berlin`; empty is UTC. Days on which clocks change are kept right.
        kickoff_time_input: the input of type datetime that is given the time of the tick; empty: none is.

    Example:
        >>> Cron("0 2 * * *", timezone="Europe/Berlin").expression
        '0 2 * * *'
    """

    expression: str
    timezone: str = ""
    kickoff_time_input: str = ""

    def __post_init__(self) -> None:
        for name, other in (("expression", "@daily"), ("timezone", ""), ("kickoff_time_input", "")):
            with definitions.forgiving(self, **{name: other}):
                if not isinstance(getattr(self, name), str):
                    raise _invalid(f"Cron({name}={getattr(self, name)!r:.80}) is not a text")

    def message(self) -> launch_plans_pb2.Schedule:
        """The same on the wire."""
        cron = launch_plans_pb2.CronSchedule(expression=self.expression, timezone=self.timezone)
        return launch_plans_pb2.Schedule(cron=cron, kickoff_time_input=self.kickoff_time_input)


@dataclass(frozen=True, slots=True)
class FixedRate:
    """Again and again after the same time.

    Args:
        period: from one launch to the next.
        kickoff_time_input: the input of type datetime that is given the time of the tick; empty: none is.

    Example:
        >>> FixedRate(timedelta(minutes=15)).period
        datetime.timedelta(seconds=900)
    """

    period: timedelta
    kickoff_time_input: str = ""

    def __post_init__(self) -> None:
        with definitions.forgiving(self, period=timedelta(hours=1)):
            if milliseconds("FixedRate(...)", self.period) < 1:
                raise _invalid(f"FixedRate({self.period!r:.80}) must be at least a millisecond")
        with definitions.forgiving(self, kickoff_time_input=""):
            if not isinstance(self.kickoff_time_input, str):
                raise _invalid(f"FixedRate(kickoff_time_input={self.kickoff_time_input!r:.80}) is not a name")

    def message(self) -> launch_plans_pb2.Schedule:
        """The same on the wire."""
        rate = launch_plans_pb2.RateSchedule(period_ms=milliseconds("FixedRate(...)", self.period))
        return launch_plans_pb2.Schedule(rate=rate, kickoff_time_input=self.kickoff_time_input)


def _invalid(message: str) -> errors.DefinitionError:
    where = definitions.place(source.caller())
    return errors.DefinitionError(message, where=where, code=diagnostics.INVALID_SCHEDULE)
