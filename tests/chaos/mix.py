"""The mix of work: what is called for, and what comes of it when everything goes well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Kinds of calls and their weights. All but `event` and `scheduled` are names of workflows of `worker.py`.
KINDS: Final[Mapping[str, int]] = {
    "work": 35,
    "block": 6,
    "flaky": 6,
    "diamond": 10,
    "narrow": 10,
    "family": 6,
    "sleeper": 8,
    "waiter": 4,
    "story": 6,
    "stream": 3,
    "event": 6,
    "scheduled": 4,
}

#: How far ticks of the cron are apart.
TICK_S: Final = 2
#: How many attempts of a group of `narrow` may run at once.
NARROW_MAX: Final = 2
#: What a stream says.
CHUNKS: Final = 10


def answer(key: str) -> int:
    """What a task of this key returns."""
    return sum(key.encode()) * 7 % 1009


def expected(kind: str, key: str) -> int:
    """What the run of a call returns."""
    if kind == "diamond":
        return 2 * answer(key) + 3
    if kind in ("family", "story"):
        return answer(f"{key}/0") + answer(f"{key}/1")
    return answer(key)
