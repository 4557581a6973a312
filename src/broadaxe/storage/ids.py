"""Ids of all rows: UUIDv7, and the id ranges that let Postgres skip partitions.

Owns the layout of an id (48 bits of milliseconds since the Unix epoch, then randomness) and its counterpart of the
SQL function `broadaxe.id_floor`. Refuses times before 1970 by clamping them. Invariant: ids of one clock sort in the
order they were made.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from random import getrandbits
from typing import Final

__all__ = [
    "CLOCK_SLACK",
    "ID_MAX",
    "drawn_by",
    "id_after",
    "id_floor",
    "id_floor_of",
    "id_range",
    "id_time",
    "ids_surely_between",
    "ids_with_prefix",
    "is_id",
    "new_id",
]

#: An id may be this much older or younger than the `created_at` of its row: clocks, and ids drawn ahead of a batch.
CLOCK_SLACK: Final = timedelta(minutes=1)
ID_MAX: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"

_MS_MAX: Final = (1 << 48) - 1

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9999, 12, 30, tzinfo=UTC)
_LAST_MS: Final = (_LAST - _EPOCH) // timedelta(milliseconds=1)


def drawn_by(now_us: Callable[[], int]) -> Callable[[], str]:
    """Makes fresh UUIDv7 of a clock that tells microseconds since the Unix epoch, each greater than every one before.

    Lists look for the rows of a time among the ids of that time: whoever stamps rows by a clock of its own draws their
    ids by it too.
    """
    last = 0

    def draw() -> str:
        # 48 bits of milliseconds, then the 74 that are neither version nor variant.
        nonlocal last
        fresh = (now_us() // 1000) << 74 | getrandbits(73)
        # Within a millisecond, or after the clock stepped back, count on in random steps.
        last = fresh if fresh > last else last + 1 + getrandbits(32)
        start, middle = f"{last >> 74:012x}", f"{last >> 62 & 0xFFF:03x}"
        end = f"{0x8000 | last >> 48 & 0x3FFF:04x}-{last & 0xFFFF_FFFF_FFFF:012x}"
        return f"{start[:8]}-{start[8:]}-7{middle}-{end}"

    return draw


#: A fresh id by the machine's clock.
new_id: Final = drawn_by(lambda: time.time_ns() // 1000)


def id_floor(at: datetime) -> str:
    """The smallest id that can have been made at `at`."""
    ms = (at - _EPOCH) // timedelta(milliseconds=1)
    return str(uuid.UUID(int=min(max(ms, 0), _MS_MAX) << 80))


def id_floor_of(ids: Iterable[str]) -> str:
    """The smallest id that anything made after the oldest of these can have."""
    return id_floor(id_time(min(ids)) - CLOCK_SLACK)


def id_range(since: datetime, until: datetime, before: str = ID_MAX) -> tuple[str, str]:
    """The smallest id of rows made between these instants, and one that is greater than all of theirs, but no greater
    than `before`."""
    try:
        first = id_floor(since - CLOCK_SLACK)
    except OverflowError:
        first = id_floor(since)
    try:
        return first, min(id_floor(until + CLOCK_SLACK), before)
    except OverflowError:
        return first, before


def ids_surely_between(since: datetime, until: datetime) -> tuple[str, str]:
    """The smallest id of rows that were certainly made between these instants, and the first that is greater than all
    of theirs; only the times of others in `id_range` need to be compared."""
    first, end = id_floor(min(since, _LAST) + CLOCK_SLACK), id_floor(max(until, _EPOCH) - CLOCK_SLACK)
    return first, max(first, end)


def ids_with_prefix(digits: str) -> tuple[str, str]:
    """The smallest id that begins with these hexadecimal digits (1 to 32, without hyphens), and one that is greater
    than all that do, or the greatest that there is."""
    first = uuid.UUID(hex=digits.ljust(32, "0"))
    return str(first), id_after(str(uuid.UUID(hex=digits.ljust(32, "f"))))


def id_after(id_text: str) -> str:
    """The next greater one; of the greatest it is itself."""
    return str(uuid.UUID(int=min(uuid.UUID(id_text).int + 1, (1 << 128) - 1)))


def id_time(id_text: str) -> datetime:
    """When an id was made, to the millisecond. One that is not ours may tell a time after all dates; then the last."""
    return _EPOCH + timedelta(milliseconds=min(uuid.UUID(id_text).int >> 80, _LAST_MS))


def is_id(text: str) -> bool:
    """Whether `text` is a UUID of 36 characters with hyphens, in either case."""
    if len(text) != 36:
        return False
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
