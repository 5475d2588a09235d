"""Instants with their time zones, days of the calendar, and spans of time.

An instant keeps the name of its zone, or its fixed offset where it has none. A zone that is neither is refused, and so
is a zone that this machine does not know: nothing falls back to another. Many are packed in bulk. Must never import
`zoneinfo` before a named zone is met: it reads where zones are, which takes milliseconds, and few have one.
"""

from __future__ import annotations

import datetime as dt
import itertools
import operator
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from typedflow import errors, literal_types, literals
from typedflow.pb import literals_pb2
from typedflow.type_engine import conversion, scalars
from typedflow.type_engine.conversion import Place
from typedflow.type_engine.data import Data

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_MICROSECOND = dt.timedelta(microseconds=1)
_SECOND = dt.timedelta(seconds=1)
_NAT = -(2**63)
_MANY = 1000
"""So many are worth handing to NumPy, where it is loaded already: it makes spans of time in a fifth of the time."""


class DatetimeConverter(conversion.Converter):
    """Instants with their time zone, to the microsecond. A naive datetime is refused.

    A wall-clock time that a zone skips comes back as the instant that it stands for.
    """

    type = literal_types.DATETIME
    kind, whole = dt.datetime, True

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        value = self._native(value, path)
        offset, zone = self._zone(value, path)
        moment = literals_pb2.Datetime(
            epoch_microseconds=(value - _EPOCH) // _MICROSECOND, offset_seconds=offset, zone=zone
        )
        return literals_pb2.Literal(datetime=moment)

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> dt.datetime:
        if literal.WhichOneof("value") != "datetime":
            raise conversion.mismatch(path, self.type, literal)
        moment = literal.datetime
        return _moments([moment.epoch_microseconds], [moment.offset_seconds], moment.zone, lambda _: path)[0]

    def is_exact(self, value: Any) -> bool:
        return isinstance(value, dt.datetime)

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        if not conversion.are_all(dt.datetime, values):
            values = [self._native(value, place(i)) for i, value in enumerate(values)]
        zone = values[0].tzinfo
        if list(map(_TZINFO, values)).count(zone) == len(values) and _fixed(zone) is not None:
            offset, name = self._zone(values[0], place(0))
            offsets, names = [offset], [name]
        else:
            pairs = [self._zone(self._native(value, place(i)), place(i)) for i, value in enumerate(values)]
            offsets, names = _once([offset for offset, _ in pairs]), _once([name for _, name in pairs])
        column = literals_pb2.List()
        spans = map(operator.sub, values, itertools.repeat(_EPOCH))
        column.datetimes.epoch_microseconds.extend(_microseconds(spans))
        column.datetimes.offset_seconds.extend(offsets)
        column.datetimes.zones.extend(names)
        return column

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") != "datetimes":
            return super().from_column(column, place, data)
        found = column.datetimes
        instants = found.epoch_microseconds[:]
        offsets, zones = found.offset_seconds, found.zones
        if len(zones) == 1 and (zones[0] or len(offsets) == 1):
            return _moments(instants, offsets, zones[0], place)
        count = len(instants)
        rows = zip(instants, _spread(offsets, count), _spread(zones, count), strict=True)
        return [
            _moments([instant], [offset], zone, lambda _, i=i: place(i))[0]  # type: ignore[misc]
            for i, (instant, offset, zone) in enumerate(rows)
        ]

    def _native(self, value: Any, path: str) -> dt.datetime:
        """A datetime of the standard library with a time zone."""
        if type(value) is not dt.datetime:
            if value != value:  # noqa: PLR0124 - NaT
                raise conversion.misfit(
                    path, self.type, value, "it is no time", "write None where that is meant"
                )
            if getattr(value, "nanosecond", 0):
                hint = "round it, as in value.floor('us')"
                raise conversion.misfit(path, self.type, value, "it has nanoseconds", hint)
            if not isinstance(value, dt.datetime):
                hint = (
                    "write datetime.combine(...) with a time and a zone" if isinstance(value, dt.date) else ""
                )
                raise conversion.misfit(path, self.type, value, hint=hint)
            if not hasattr(value, "to_pydatetime"):
                hint = "make it a plain datetime: a subclass would come back as one"
                raise conversion.misfit(path, self.type, value, hint=hint)
            value = value.to_pydatetime()
        if _offset_of(value) is None:
            reason = "it has no time zone, so it is no instant"
            if value.tzinfo is not None:
                reason = f"its time zone, a {conversion.class_name(value.tzinfo)}, does not tell how far it is from UTC"
            hint = "give it a time zone, as in datetime.now(timezone.utc)"
            raise conversion.misfit(path, self.type, value, reason, hint)
        return cast("dt.datetime", value)

    def _zone(self, value: dt.datetime, path: str) -> tuple[int, str]:
        """The offset in seconds at this instant, and the zone's name; no name for a fixed offset."""
        offset = _offset_of(value)
        assert offset is not None, "naive"
        seconds, rest = divmod(offset, _SECOND)
        if rest:
            reason = "its offset is not a whole number of seconds"
            raise conversion.misfit(path, self.type, value, reason)
        name = _name(value.tzinfo)
        if not name and _fixed(value.tzinfo) is None:
            reason = (
                f"its time zone is a {conversion.class_name(value.tzinfo)}, which has no name to travel under"
            )
            hint = 'use zoneinfo.ZoneInfo("Europe/Berlin"), or a fixed offset: datetime.timezone(...)'
            raise conversion.misfit(path, self.type, value, reason, hint)
        if name and type(value.tzinfo).__module__ != "zoneinfo":
            _known(name, path)  # what another library calls a zone may be none here
        return seconds, name


_TZINFO: Callable[[Any], dt.tzinfo] = operator.attrgetter("tzinfo")


def _name(zone: dt.tzinfo | None) -> str:
    """The IANA name, as `zoneinfo` and pytz have it; nothing for what has none."""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    return name if isinstance(name, str) else ""


def _fixed(zone: dt.tzinfo | None) -> dt.timedelta | None:
    """The offset of a zone that has one for all times and no name."""
    if zone is None or _name(zone):
        return None
    try:
        return zone.utcoffset(None)
    except Exception:  # noqa: BLE001 - of a class that takes only what has a time
        return None


def _offset_of(value: dt.datetime) -> dt.timedelta | None:
    """From UTC; None for a naive one, and for one whose zone can't tell."""
    try:
        return value.utcoffset()
    except Exception:  # noqa: BLE001 - a zone is a class that anybody may write
        return None


def _once(values: list[Any]) -> list[Any]:
    return values[:1] if values.count(values[0]) == len(values) else values


def _spread(values: Sequence[Any], count: int) -> Iterable[Any]:
    """As many as `count`: the one that stands for all of them, or those that are there."""
    return itertools.repeat(values[0], count) if len(values) == 1 else values


def _microseconds(spans: Iterable[dt.timedelta]) -> list[int]:
    return [(span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds for span in spans]


def _moments(instants: Sequence[int], offsets: Sequence[int], name: str, place: Place) -> list[dt.datetime]:
    """Instants of one zone. Raises ConversionError with the place of the first that can't be."""
    zone = _known(name, place(0)) if name else _offset(offsets[0], place(0))
    try:
        if name:
            return [(_EPOCH + span).astimezone(zone) for span in _spans(instants)]
        start = _EPOCH.astimezone(zone)
        return [start + span for span in _spans(instants)]
    except (OverflowError, ValueError):
        each = zip(instants, _spread(offsets, len(instants)), strict=True)
        return [_moment(instant, offset, zone, place, i) for i, (instant, offset) in enumerate(each)]


def _moment(instant: int, offset: int, zone: dt.tzinfo, place: Place, i: int) -> dt.datetime:
    """One of which it is not sure that UTC has it in the years 1 to 9999, where its own zone may have it."""
    try:
        return (_EPOCH + instant * _MICROSECOND).astimezone(zone)
    except (OverflowError, ValueError):
        moment = literals_pb2.Datetime(epoch_microseconds=instant, offset_seconds=offset)
        return conversion.at(place, literals.to_datetime, moment, i).replace(tzinfo=zone)


def _spans(microseconds: Sequence[int]) -> Iterable[dt.timedelta]:
    numpy = sys.modules.get("numpy")
    if numpy is not None and len(microseconds) >= _MANY:
        counts = numpy.array(microseconds, dtype="int64")
        if counts.min() > _NAT:
            spans = counts.view("timedelta64[us]")
            pieces = range(0, len(spans), _MANY)
            return itertools.chain.from_iterable(spans[at : at + _MANY].tolist() for at in pieces)
    return map(operator.mul, microseconds, itertools.repeat(_MICROSECOND))


def _known(name: str, path: str) -> dt.tzinfo:
    import zoneinfo  # noqa: PLC0415 - it reads where zones are, which takes milliseconds, and few have one

    try:
        return zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        message = f"the time zone {name!r} is not known here"
        hint = "install the package tzdata, or correct the name"
        raise errors.ConversionError(message, where=path, hint=hint) from None


def _offset(seconds: int, path: str) -> dt.tzinfo:
    try:
        return dt.timezone(dt.timedelta(seconds=seconds)) if seconds else dt.UTC
    except ValueError:
        message = f"an offset of {seconds} seconds is not between -24 and 24 hours"
        raise errors.ConversionError(message, where=path) from None


class DateConverter(conversion.Converter):
    """Days of the calendar; a datetime is none."""

    type = literal_types.DATE
    kind, whole = dt.date, True

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        day = value if type(value) is dt.date else self._native(value, path)
        return literals_pb2.Literal(date=day.toordinal() - _EPOCH_DAY)

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> dt.date:
        if literal.WhichOneof("value") != "date":
            raise conversion.mismatch(path, self.type, literal)
        return conversion.at(path, literals.to_date, literal.date)

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        if not conversion.are_all(dt.date, values):
            values = [self._native(value, place(i)) for i, value in enumerate(values)]
        days = [value.toordinal() - _EPOCH_DAY for value in values]
        return literals_pb2.List(dates=literals_pb2.Dates(days=days))

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") != "dates":
            return super().from_column(column, place, data)
        days = column.dates.days[:]
        try:
            return [dt.date.fromordinal(_EPOCH_DAY + day) for day in days]
        except (ValueError, OverflowError):
            return [conversion.at(place, literals.to_date, day, i) for i, day in enumerate(days)]

    def _native(self, value: Any, path: str) -> dt.date:
        if type(value) is dt.date:
            return value
        if scalars.is_numpy(value, "datetime64") and type(day := value.item()) is dt.date:
            return day
        hint = "write .date()" if isinstance(value, dt.datetime) else ""
        raise conversion.misfit(path, self.type, value, hint=hint)


class DurationConverter(conversion.Converter):
    """Spans of time, to the microsecond, of as many of them as 64 bits hold."""

    type = literal_types.DURATION
    kind, whole = dt.timedelta, True

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        span = value if type(value) is dt.timedelta else self._native(value, path)
        return literals_pb2.Literal(duration=self._exact(span, path))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> dt.timedelta:
        if literal.WhichOneof("value") != "duration":
            raise conversion.mismatch(path, self.type, literal)
        return literal.duration * _MICROSECOND

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        if not conversion.are_all(dt.timedelta, values):
            values = [self._native(value, place(i)) for i, value in enumerate(values)]
        try:
            column = literals_pb2.Durations(microseconds=_microseconds(values))
        except ValueError:
            for i, value in enumerate(values):
                self._exact(value, place(i))
            raise
        return literals_pb2.List(durations=column)

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") != "durations":
            return super().from_column(column, place, data)
        return list(_spans(column.durations.microseconds[:]))

    def _native(self, value: Any, path: str) -> dt.timedelta:
        if type(value) is dt.timedelta:
            return value
        if scalars.is_numpy(value, "timedelta64") and type(span := value.item()) is dt.timedelta:
            return span
        if getattr(value, "nanoseconds", 0):
            hint = "round it, as in value.floor('us')"
            raise conversion.misfit(path, self.type, value, "it has nanoseconds", hint)
        if not isinstance(value, dt.timedelta) or not hasattr(value, "to_pytimedelta") or value != value:  # noqa: PLR0124
            hint = "write timedelta(seconds=...)" if type(value) in (int, float) else ""
            raise conversion.misfit(path, self.type, value, hint=hint)
        return cast("dt.timedelta", value.to_pytimedelta())

    def _exact(self, value: dt.timedelta, path: str) -> int:
        try:
            return literals.from_duration(value).duration
        except errors.ConversionError:
            reason = "it has more microseconds than 64 bits hold"
            raise conversion.misfit(path, self.type, value, reason) from None
