"""Pages of ordered lists, and the places in them that pages begin behind.

Owns the kinds of places, one for each set of columns that a list is ordered by, and what a page is. A place names a
position, not a row: the row it was taken from may be gone, and rows may have come before it, and still the page behind
it has exactly what comes after. Refuses to know how a place travels (`rest/cursors.py`).

A statement compares its ordering columns with the place instead of counting rows off, so a page costs the same wherever
it begins. It compares the leading one with nothing else on the same side: the scan of an index begins at one bound
only, and may choose the one that is further away.

Invariants: every list here is ordered by columns that tell all of its rows apart. What a place can hold PostgreSQL can
take, because places come back from clients: texts without NUL, ids that are UUIDs, instants within the calendar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Final, Generic, TypeVar

import asyncpg
import msgspec

__all__ = [
    "ByAlarm",
    "ById",
    "ByKey",
    "ByMatch",
    "ByName",
    "ByNode",
    "ByNumber",
    "BySeq",
    "BySlot",
    "BySpan",
    "ByTaskEvent",
    "ByTime",
    "ByTopic",
    "ByUse",
    "Page",
    "page_of_rows",
]

#: Years whose instants no time zone moves out of the calendar.
_YEAR_MIN: Final = 2
_YEAR_MAX: Final = 9998

IdText = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
Text = Annotated[str, msgspec.Meta(pattern=r"\A[^\0]*\Z")]
SpanId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{16}\Z")]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Big = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Small = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class _Place(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Where a page ends; the next one begins behind it."""

    def __post_init__(self) -> None:
        at = getattr(self, "at", None)
        if at is not None and not _YEAR_MIN <= at.year <= _YEAR_MAX:
            raise ValueError("an instant beyond the calendar")


class ById(_Place, frozen=True, gc=False):
    """In lists of which ids tell the order, as they do of creation."""

    id: IdText


class ByTime(_Place, frozen=True, gc=False):
    at: Moment
    id: IdText


class ByName(_Place, frozen=True, gc=False):
    """`name` is None for rows without one, which come last in ascending order."""

    name: Text | None
    id: IdText


class ByKey(_Place, frozen=True, gc=False):
    key: Text


class ByNumber(_Place, frozen=True, gc=False):
    number: Big
    key: Text


class ByMatch(_Place, frozen=True, gc=False):
    """How well a name matches what was looked for: letter by letter, or but for their case; then by time."""

    is_exact: bool
    is_alike: bool
    at: Moment
    id: IdText


class ByAlarm(_Place, frozen=True, gc=False):
    """Among the deadlines in a tenant's memory."""

    at_us: Big
    number: Big


class ByUse(_Place, frozen=True, gc=False):
    """Among concurrency keys in use: the most waited for first. `id` is the group's."""

    waiting: Big
    held: Big
    id: tuple[Text, Text, Text]


class ByTopic(_Place, frozen=True, gc=False):
    namespace: Text
    name: Text


class BySeq(_Place, frozen=True, gc=False):
    """In the history of one task."""

    seq: Small


class ByTaskEvent(_Place, frozen=True, gc=False):
    """In the history of several tasks."""

    at: Moment
    task_id: IdText
    seq: Small


class BySlot(_Place, frozen=True, gc=False):
    """Among the requests that webhooks refused."""

    at: Moment
    webhook_id: IdText
    slot: Small


class ByNode(_Place, frozen=True, gc=False):
    """In the log of a durable task."""

    branch_id: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    node_id: Small


class BySpan(_Place, frozen=True, gc=False):
    """In a trace; the span's id with 16 hex digits."""

    at: Moment
    span_id: SpanId


Row = TypeVar("Row")
Place = TypeVar("Place", bound=_Place)


class Page(msgspec.Struct, Generic[Row, Place], frozen=True):
    """Rows of a list in its order. `end` is the place of the last one, or None when no more rows can follow."""

    rows: list[Row]
    end: Place | None


def page_of_rows(
    found: Sequence[asyncpg.Record], rows: list[Row], limit: int, place: Callable[[asyncpg.Record], Place]
) -> Page[Row, Place]:
    """The page that a statement with this limit found: `rows` is what became of what it found."""
    return Page(rows, place(found[-1]) if found and len(found) >= limit else None)
