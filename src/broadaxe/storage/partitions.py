"""Partitions of the tables that hold history: which there shall be, and never too many.

A partition is for one day (UTC, as the ids tell it) where history is kept for two months at most, so that it ends to
the day; where it is kept for longer or for ever, one for a month, of which five years make sixty. What an engine does
all day goes straight to the partition of an id and costs the same with any number of them; lists over long windows,
loading a tenant and changes of the schema look into all. So a table that has more than `PARTITIONS_MAX` gets its oldest
days merged into months before an engine starts.

Owns which partitions are made and merged; `retention.py` drops them. Each is made, or each month merged, in a
transaction of its own: what was interrupted is found again, however long nobody made any.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

import asyncpg
import structlog

from broadaxe.config import DEFAULT_RETENTION_DAYS
from broadaxe.storage.statements import statement

__all__ = ["BY_DAY_DAYS_MAX", "DAYS_AHEAD", "PARTITIONS_MAX", "ensure_partitions", "merge_old_days"]

#: Partitions kept ready ahead of today.
DAYS_AHEAD: Final = 2
#: History kept for longer than this is partitioned by month.
BY_DAY_DAYS_MAX: Final = 62
#: More than an engine makes by itself, whatever its retention was and is, within two years of months.
PARTITIONS_MAX: Final = 100

_log = structlog.get_logger(__name__)


class Span(NamedTuple):
    """Whole days, from the first to before the end."""

    first_day: date
    end_day: date


async def ensure_partitions(
    db: asyncpg.Pool | asyncpg.Connection, now: datetime | None = None, retention_days: int = DEFAULT_RETENTION_DAYS
) -> int:
    """Makes the partitions from yesterday to a few days ahead; returns how many were new. `retention_days` 0 is for
    ever."""
    today = (now or datetime.now(UTC)).date()
    days = [today + timedelta(days=offset) for offset in range(-1, DAYS_AHEAD + 1)]
    is_by_month = retention_days == 0 or retention_days > BY_DAY_DAYS_MAX
    made = 0
    for parent, spans in (await _spans(db)).items():
        for day in days:
            if any(span.first_day <= day < span.end_day for span in spans):
                continue
            for wanted in (_month_of(day), _day_of(day)) if is_by_month else (_day_of(day),):
                if await db.fetchval(statement("partitions/make"), parent, *wanted):
                    spans.append(wanted)
                    made += 1
                    break
    return made


async def merge_old_days(
    connection: asyncpg.Connection, now: datetime | None = None, partitions_max: int = PARTITIONS_MAX
) -> int:
    """Merges the oldest days into months, one after the other, until no table has too many partitions or only the
    present month is left by days; returns how many months there are instead. Copies the rows, so it takes its time."""
    today = (now or datetime.now(UTC)).date()
    merged = 0
    for parent, spans in (await _spans(connection)).items():
        for month in _surplus(spans, today, partitions_max):
            _log.info("days of old history become one month", table=parent, month=f"{month:%Y-%m}")
            await connection.execute(statement("partitions/merge_month"), parent, month)
            merged += 1
    return merged


async def _spans(db: asyncpg.Pool | asyncpg.Connection) -> dict[str, list[Span]]:
    """What each table has, beside its default partition."""
    spans: dict[str, list[Span]] = defaultdict(list)
    for row in await db.fetch(statement("partitions/list")):
        of_table = spans[row["parent"]]
        if row["first_day"] is not None:
            of_table.append(Span(row["first_day"], row["end_day"]))
    return spans


def _surplus(spans: Sequence[Span], today: date, partitions_max: int) -> list[date]:
    """First days of the months whose days shall be merged, the oldest first."""
    days_of: dict[date, int] = defaultdict(int)
    for span in spans:
        if span.end_day - span.first_day == timedelta(days=1):
            days_of[span.first_day.replace(day=1)] += 1
    months: list[date] = []
    count = len(spans)
    # Yesterday may be a day of the month before, and is still written to.
    for month in sorted(days_of):
        if count <= partitions_max or _month_of(month).end_day >= today:
            break
        if days_of[month] > 1:
            count -= days_of[month] - 1
            months.append(month)
    return months


def _day_of(day: date) -> Span:
    return Span(day, day + timedelta(days=1))


def _month_of(day: date) -> Span:
    first_day = day.replace(day=1)
    return Span(first_day, (first_day + timedelta(days=31)).replace(day=1))
