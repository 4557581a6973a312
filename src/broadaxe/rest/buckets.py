"""How a time window is cut for a chart. Pure. Source: REST specification 7.6."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from broadaxe.errors import InvalidArgument

__all__ = ["window"]

BUCKETS_MAX: Final = 2_000
DEFAULT_SPAN: Final = timedelta(hours=24)

_WIDTHS: Final = (
    (timedelta(minutes=61), timedelta(minutes=1)),
    (timedelta(hours=12), timedelta(minutes=5)),
    (timedelta(hours=48), timedelta(minutes=30)),
    (timedelta(days=8), timedelta(hours=8)),
)
_WIDEST: Final = timedelta(hours=24)
_ORIGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)


def window(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime, timedelta]:
    """(start aligned to the bucket width, end, width); by default the last 24 hours."""
    end = until or datetime.now(UTC)
    start = since or end - DEFAULT_SPAN
    if start > end:
        raise InvalidArgument("the window ends before it begins", field="createdAfter")
    span = end - start
    width = next((width for below, width in _WIDTHS if span < below), _WIDEST)
    if span // width > BUCKETS_MAX:
        raise InvalidArgument(f"the window is longer than {BUCKETS_MAX} days", field="createdAfter")
    return start - (start - _ORIGIN) % width, end, width
