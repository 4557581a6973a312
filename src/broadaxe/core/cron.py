"""Cron expressions: what they may look like, and the next instant one names.

Owns the grammar, the time zones and what daylight saving does. Pure but for the time zone data, which `zoneinfo` reads
once per zone. Refuses whatever it cannot read, naming the part, and an expression that can never come true.

Grammar: five fields (minute, hour, day of month, month, day of week) or six (seconds first), separated by blanks. A
field is a list (``1,15``) of ``*``, values, ranges (``1-5``) and steps (``*/15``, ``10-40/5``, ``7/10`` up to the
end). Months and days of the week have English three-letter names; Sunday is 0 or 7. ``?`` stands for ``*`` in the two
day fields. When both day fields are restricted (do not begin with ``*`` or ``?``), a day that meets either will do.
``@yearly``, ``@annually``, ``@monthly``, ``@weekly``, ``@daily``, ``@midnight`` and ``@hourly`` are short for the
obvious. ``CRON_TZ=<zone>`` or ``TZ=<zone>`` before it reads the fields as wall time of that zone; otherwise UTC.

Daylight saving, in a zone that has it:

- An expression whose hour field begins with ``*`` follows the wall clock as it is: what the clock skips never comes,
  and what it shows twice comes twice. So ``0 * * * *`` comes once in every real hour.
- One that names its hours comes once for every wall time it names: a tick in the skipped hour comes at the instant
  the clock jumps (several of them together once), one in the doubled hour only the first time.

Source: semantics 5.6, grpc specification 12.3; the two daylight-saving rules are ours.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from broadaxe.core.durations import US_PER_S
from broadaxe.errors import InvalidArgument

EXPRESSION_LENGTH_MAX: Final = 255

_DAY_S: Final = 86_400
#: Nothing that any expression can name is rarer: 29 February on one day of the week, across a century without it.
_YEARS_MAX: Final = 41
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_LAST_S: Final = (date(9999, 12, 29).toordinal() - _EPOCH_DAY) * _DAY_S

_ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
_WEEKDAYS: Final = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_ZONE: Final = re.compile(r"(?:CRON_TZ|TZ)=(\S*)\s*(.*)", re.DOTALL)
_ZONE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]*(?:/[A-Za-z0-9_+\-]+)*")
_NO_ZONES: Final = frozenset({"Local", "localtime", "posixrules", "posix", "right"})
_PART: Final = re.compile(r"(\*|\?|[A-Za-z0-9]+)(?:-([A-Za-z0-9]+))?(?:/([0-9]+))?")

_FIELDS: Final[tuple[tuple[str, int, int, dict[str, int]], ...]] = (
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _WEEKDAYS),
)


class CronExpression:
    """A parsed expression. Immutable; equal texts name equal ticks."""

    __slots__ = (
        "_days", "_either_day", "_hours", "_is_every_hour", "_minutes", "_months", "_seconds", "_weekdays", "_zone",
        "text",
    )  # fmt: skip

    def __init__(self, expression: str, *, field: str) -> None:
        """Raises InvalidArgument naming `field`."""
        self.text = expression
        if len(expression) > EXPRESSION_LENGTH_MAX:
            raise InvalidArgument(f"a cron expression has at most {EXPRESSION_LENGTH_MAX} characters", field=field)
        text = expression.strip()
        self._zone: ZoneInfo | None = None
        match = _ZONE.fullmatch(text)
        if match is not None:
            self._zone, text = _zone(match[1], field), match[2]
        if text.startswith("@"):
            text = _unabbreviated(text, field)
        fields = text.split()
        if len(fields) == 5:
            fields.insert(0, "0")
        if len(fields) != 6:
            raise InvalidArgument(
                f"{expression!r} is not a cron expression; write five fields (minute, hour, day of month, month, day "
                "of week), or six with seconds first",
                field=field,
            )
        seconds, minutes, hours, days, months, weekdays = (
            _values(text, *bounds, field) for text, bounds in zip(fields, _FIELDS, strict=True)
        )
        self._seconds, self._minutes, self._hours = sorted(seconds), sorted(minutes), sorted(hours)
        self._days, self._months = days, months
        self._weekdays = frozenset(day % 7 for day in weekdays)
        self._is_every_hour = fields[2].startswith("*")
        self._either_day = not fields[3].startswith(("*", "?")) and not fields[5].startswith(("*", "?"))
        # 2000 had a 29 February on a Tuesday; whatever can be comes again within the years that are looked through.
        if self._next_wall(_seconds_of(date(2000, 1, 1))) is None:
            raise InvalidArgument(f"{expression!r} never comes: there is no such day", field=field)

    @property
    def zone_name(self) -> str:
        """Whose wall time the fields are."""
        return "UTC" if self._zone is None else self._zone.key

    def next_after(self, at_us: int) -> int | None:
        """The first tick later than `at_us`, in microseconds since the epoch; None after the year 9999.

        O(1) but for the days it passes over, and for looking up when the clock changes.
        """
        at_s = at_us // US_PER_S
        if at_s >= _LAST_S:
            return None
        tick_s = self._next_wall(at_s + 1) if self._zone is None else self._next_in(self._zone, at_s)
        return None if tick_s is None or tick_s >= _LAST_S else tick_s * US_PER_S

    def ticks_between(self, since_us: int, until_us: int) -> Iterator[int]:
        """The ticks from `since_us` to `until_us`, both included, in order."""
        tick_us = self.next_after(since_us - 1)
        while tick_us is not None and tick_us <= until_us:
            yield tick_us
            tick_us = self.next_after(tick_us)

    # The wall clock, in seconds since 1 January 1970 as it would show them --------------------------------------------

    def _next_wall(self, from_s: int) -> int | None:
        """The first wall time at `from_s` or later that the fields name."""
        day, time_s = divmod(from_s, _DAY_S)
        on = date.fromordinal(day + _EPOCH_DAY)
        if self._has_day(on):
            found_s = self._next_time(time_s)
            if found_s is not None:
                return day * _DAY_S + found_s
        next_day = self._next_day(on + timedelta(days=1))
        if next_day is None:
            return None
        first_s = self._hours[0] * 3_600 + self._minutes[0] * 60 + self._seconds[0]
        return _seconds_of(next_day) + first_s

    def _next_time(self, time_s: int) -> int | None:
        """The first time of a day, in seconds since its midnight, at `time_s` or later."""
        hour, minute, second = time_s // 3_600, time_s // 60 % 60, time_s % 60
        hours, minutes, seconds = self._hours, self._minutes, self._seconds
        place = bisect_left(hours, hour)
        if place < len(hours) and hours[place] == hour:
            at = bisect_left(minutes, minute)
            if at < len(minutes) and minutes[at] == minute:
                second_at = bisect_left(seconds, second)
                if second_at < len(seconds):
                    return hour * 3_600 + minute * 60 + seconds[second_at]
                at += 1
            if at < len(minutes):
                return hour * 3_600 + minutes[at] * 60 + seconds[0]
            place += 1
        if place == len(hours):
            return None
        return hours[place] * 3_600 + minutes[0] * 60 + seconds[0]

    def _has_day(self, on: date) -> bool:
        if on.month not in self._months:
            return False
        is_day, is_weekday = on.day in self._days, on.isoweekday() % 7 in self._weekdays
        return is_day or is_weekday if self._either_day else is_day and is_weekday

    def _next_day(self, on: date) -> date | None:
        last_year = min(9999, on.year + _YEARS_MAX)
        while True:
            if on.month not in self._months:
                on = date(on.year + on.month // 12, on.month % 12 + 1, 1)
            elif self._has_day(on):
                return on
            else:
                on += timedelta(days=1)
            if on.year > last_year or on >= date(9999, 12, 1):
                return None

    # The real clock, in seconds since the epoch -----------------------------------------------------------------------

    def _next_in(self, zone: ZoneInfo, after_s: int) -> int | None:
        """From one change of the clock to the next: between two of them wall time is real time plus an offset."""
        at_s, least_s = after_s, 1
        if not self._is_every_hour:
            end_s = _end_of_second_pass(zone, at_s)
            if end_s > at_s:
                at_s, least_s = end_s, 0
        while True:
            offset_s = _offset_s(zone, at_s)
            wall_s = self._next_wall(at_s + least_s + offset_s)
            if wall_s is None:
                return None
            tick_s = wall_s - offset_s
            if tick_s - at_s > 4 * _DAY_S:
                # Nothing is named until then, however the clock changes meanwhile.
                at_s, least_s = tick_s - 2 * _DAY_S, 0
                continue
            change_s = _first_change(zone, at_s, tick_s)
            if change_s is None:
                return tick_s
            new_offset_s, least_s = _offset_s(zone, change_s), 0
            if self._is_every_hour:
                at_s = change_s
            elif new_offset_s > offset_s:
                if wall_s < change_s + new_offset_s:
                    return change_s
                at_s = change_s
            else:
                at_s = change_s + offset_s - new_offset_s


def _offset_s(zone: ZoneInfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)


def _first_change(zone: ZoneInfo, from_s: int, to_s: int) -> int | None:
    """The first second after `from_s`, up to `to_s`, from which another offset holds. No two changes on one day."""
    offset_s = _offset_s(zone, from_s)
    while from_s < to_s:
        until_s = min(to_s, from_s + _DAY_S)
        if _offset_s(zone, until_s) != offset_s:
            while until_s - from_s > 1:
                middle_s = (from_s + until_s) // 2
                if _offset_s(zone, middle_s) == offset_s:
                    from_s = middle_s
                else:
                    until_s = middle_s
            return until_s
        from_s = until_s
    return None


def _end_of_second_pass(zone: ZoneInfo, at_s: int) -> int:
    """If the wall clock shows `at_s` for the second time: when it is past what it showed before. Else `at_s`."""
    if not datetime.fromtimestamp(at_s, zone).fold:
        return at_s
    before_s = at_s - _DAY_S
    change_s = _first_change(zone, before_s, at_s)
    return at_s if change_s is None else change_s + _offset_s(zone, before_s) - _offset_s(zone, change_s)


def _seconds_of(on: date) -> int:
    return (on.toordinal() - _EPOCH_DAY) * _DAY_S


def _unabbreviated(text: str, field: str) -> str:
    known = _ALIASES.get(text.lower())
    if known is None:
        names = ", ".join(_ALIASES)
        raise InvalidArgument(f"{text[:40]!r} is not an abbreviation; there are {names}", field=field)
    return known


def _zone(name: str, field: str) -> ZoneInfo | None:
    """None for UTC, which needs no looking up."""
    if name in ("UTC", "Etc/UTC", "GMT"):
        return None
    if _ZONE_NAME.fullmatch(name) and name.split("/")[0] not in _NO_ZONES:
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            pass
    raise InvalidArgument(f"{name[:80]!r} is not a time zone; write one like Europe/Berlin", field=field)


def _values(text: str, name: str, least: int, most: int, names: dict[str, int], field: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None or (match[1] == "?" and not name.startswith("day")):
            raise InvalidArgument(f"{part!r} cannot be read as a {name}", field=field)
        first, last, step = match.groups()
        if first in ("*", "?"):
            if last is not None:
                raise InvalidArgument(f"{part!r} is not a range of a {name}", field=field)
            # Sunday is once in every week, not at both ends of it.
            start, end = least, 6 if names is _WEEKDAYS else most
        else:
            start = _value(first, name, least, most, names, field)
            end = start if step is None else (6 if names is _WEEKDAYS and start < 7 else most)
            if last is not None:
                end = _value(last, name, least, most, names, field)
                if names is _WEEKDAYS and end == 0 < start:
                    end = 7
        every = 1 if step is None else int(step)
        if not 1 <= every <= most:
            raise InvalidArgument(f"the step of {part!r} must be between 1 and {most}", field=field)
        if start > end:
            raise InvalidArgument(f"{part!r} ends before it begins, as a {name}", field=field)
        found.update(range(start, end + 1, every))
    return frozenset(found)


def _value(text: str, name: str, least: int, most: int, names: dict[str, int], field: str) -> int:
    value = names.get(text.lower())
    if value is None and text.isascii() and text.isdigit() and len(text) <= 4:
        value = int(text)
    if value is None or not least <= value <= most:
        named = f", or one of {', '.join(names)}" if names else ""
        raise InvalidArgument(f"{text!r} is not a {name}; write {least} to {most}{named}", field=field)
    return value
