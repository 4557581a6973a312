"""Ids of rows that the core does not make: UUIDv7, and the id ranges that let Postgres skip partitions.

Owns the layout of an id (48 bits of milliseconds since the Unix epoch, then randomness) and its counterpart of the
SQL function `broadaxe.id_floor`. Refuses times before 1970 by clamping them. Invariant: ids made by one process in
different milliseconds sort by time.
"""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["CLOCK_SLACK", "ID_MAX", "id_floor", "id_time", "is_id", "new_id"]

#: An id may be this much older or younger than the `created_at` of its row: clocks, and ids drawn ahead of a batch.
CLOCK_SLACK: Final = timedelta(minutes=1)
ID_MAX: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"

_MS_MAX: Final = (1 << 48) - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def new_id() -> str:
    """A fresh UUIDv7."""
    now_ms = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (now_ms & _MS_MAX) << 80 | 0x7 << 76 | (random_bits >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | random_bits & ((1 << 62) - 1)
    return str(uuid.UUID(int=value))


def id_floor(at: datetime) -> str:
    """The smallest id that can have been made at `at`."""
    ms = (at - _EPOCH) // timedelta(milliseconds=1)
    return str(uuid.UUID(int=min(max(ms, 0), _MS_MAX) << 80))


def id_time(id_text: str) -> datetime:
    """When an id was made, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=uuid.UUID(id_text).int >> 80)


def is_id(text: str) -> bool:
    """Whether `text` is a UUID of 36 characters with hyphens, in either case."""
    if len(text) != 36:
        return False
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
