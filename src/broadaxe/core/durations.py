"""Durations as people write them (``1h30m``, ``1.5s``) and as the core counts them: whole microseconds.

Source: grpc specification 12.3. ``d`` is accepted beside ms, s, m and h.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from broadaxe.errors import InvalidArgument

US_PER_MS: Final = 1_000
US_PER_S: Final = 1_000_000

#: Longest duration accepted: 292 years, what the protocol's own clients can express.
DURATION_US_MAX: Final = 292 * 365 * 86_400 * US_PER_S

_UNIT_US: Final = {"ms": US_PER_MS, "s": US_PER_S, "m": 60 * US_PER_S, "h": 3_600 * US_PER_S, "d": 86_400 * US_PER_S}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|s|m|h|d)")
_WHOLE: Final = re.compile(r"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ms|s|m|h|d))+")
_TEXT_LENGTH_MAX: Final = 64


def parse_duration(text: str, *, field: str) -> int:
    """Microseconds of a duration text; raises InvalidArgument naming `field`."""
    if len(text) > _TEXT_LENGTH_MAX or not _WHOLE.fullmatch(text):
        raise InvalidArgument(
            f"{text[:_TEXT_LENGTH_MAX]!r} is not a duration; write numbers with units ms, s, m or h, like 90s or 1h30m",
            field=field,
        )
    total = sum(int(Decimal(number) * _UNIT_US[unit]) for number, unit in _PART.findall(text))
    if total > DURATION_US_MAX:
        raise InvalidArgument(f"{text!r} is longer than 292 years", field=field)
    return total


def declared_duration(us: int) -> str:
    """The text by which clients declare it: one whole unit, ``5s``, ``90s``, ``2m``, ``1h``, where that can say it."""
    for unit in ("h", "m", "s"):
        if us and us % _UNIT_US[unit] == 0:
            return f"{us // _UNIT_US[unit]}{unit}"
    return format_duration(us)


def format_duration(us: int) -> str:
    """The usual text: ``250ms``, ``1.5s``, ``2m0s``, ``1h0m0.5s``."""
    if us < US_PER_S and us % US_PER_S:
        return f"{us / US_PER_MS:g}ms"
    seconds, rest_us = divmod(us, US_PER_S)
    fraction = f".{rest_us:06d}".rstrip("0") if rest_us else ""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}{fraction}s"
    return f"{minutes}m{seconds}{fraction}s" if minutes else f"{seconds}{fraction}s"
