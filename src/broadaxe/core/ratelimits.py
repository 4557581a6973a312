"""Rate limits: fixed windows with a lazy full refill (section 4.2), exact to the microsecond.

A limit's window starts at the first use after the last one ran out. Units are taken when a task is assigned and in the
same commit, never otherwise; a task under several limits takes all or none. A static key that was never put lets
nobody through until it is. A dynamic limit that was not used for long is forgotten (`forget_unused`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from broadaxe.core.decision import RateLimitRow
from broadaxe.core.queues import Lane, LimitNeeds
from broadaxe.core.state import State
from broadaxe.errors import InvalidArgument, NotFound

#: Limits that one command forgets.
FORGOTTEN_AT_ONCE_MAX: Final = 10_000


class Limit:
    """A key's bucket, and the lanes that wait for it."""

    __slots__ = (
        "is_dynamic",
        "is_touched",
        "key",
        "lanes",
        "last_refill_us",
        "limit",
        "paused_until_us",
        "put_at_us",
        "value",
        "window_us",
    )

    def __init__(self, row: RateLimitRow) -> None:
        self.key = row.key
        self.limit = row.limit
        self.value = row.value
        self.window_us = row.window_us
        self.last_refill_us = row.last_refill_us
        self.paused_until_us = row.paused_until_us
        self.is_dynamic = row.is_dynamic
        self.put_at_us = 0
        self.is_touched = False
        self.lanes: dict[Lane, None] = {}

    def row(self) -> RateLimitRow:
        return RateLimitRow(
            self.key,
            self.limit,
            self.value,
            self.window_us,
            self.last_refill_us,
            self.paused_until_us,
            self.is_dynamic,
        )

    def is_over(self, now_us: int) -> bool:
        """Whether the window has run out: the next use starts a new one."""
        return now_us - self.last_refill_us >= self.window_us

    def units_left(self, now_us: int) -> int:
        """What a use now would find."""
        return self.limit if self.is_over(now_us) else self.value

    def take(self, units: int, now_us: int) -> None:
        if self.is_over(now_us):
            self.value = self.limit
            self.last_refill_us = now_us
        self.value -= units


class Denial(NamedTuple):
    """Why a lane must wait: the limit that lacks units, and until when (None: until the limit is put or changed)."""

    key: str
    wanted: int
    left: int
    until_us: int | None


def denial(state: State, needs: LimitNeeds, now_us: int) -> Denial | None:
    """None when every limit has the units wanted. A refusal is no use: it starts no window and changes nothing."""
    for key, units in needs:
        limit = state.limits.get(key)
        if limit is None:
            return Denial(key, units, 0, None)
        left = limit.units_left(now_us)
        if limit.paused_until_us is not None and limit.paused_until_us > now_us:
            return Denial(key, units, left, limit.paused_until_us)
        if left < units:
            until_us = limit.last_refill_us + limit.window_us if units <= limit.limit else None
            return Denial(key, units, left, until_us)
    return None


def consume(state: State, needs: LimitNeeds, now_us: int) -> None:
    """Takes the units; `denial` must just have said None."""
    for key, units in needs:
        limit = state.limits[key]
        limit.take(units, now_us)
        state.ledger.touch_limit(limit)


def put(state: State, key: str, limit: int, window_us: int, now_us: int) -> None:
    """Creates or changes a limit, which is static from then on. Raising it adds no units before the next refill;
    lowering it takes some away."""
    if not key:
        raise InvalidArgument("a rate limit needs a key", field="key")
    if limit < 0:
        raise InvalidArgument(f"a limit must not be negative, as {limit} is", field="limit")
    _put(state, key, limit, window_us, now_us)
    state.limits[key].is_dynamic = False


def _put(state: State, key: str, limit: int, window_us: int, now_us: int) -> None:
    found = state.limits.get(key)
    if found is None:
        found = state.limits[key] = Limit(RateLimitRow(key, limit, limit, window_us, now_us, None, is_dynamic=True))
    else:
        found.limit, found.window_us = limit, window_us
        found.value = min(found.value, limit)
    found.put_at_us = now_us
    state.ledger.touch_limit(found)
    wake(state, found)


def put_dynamic(state: State, key: str, limit: int, window_us: int, now_us: int) -> None:
    """What a task's own expression says of a key. Of those at the same instant the lower limit and the longer window
    win; a negative limit changes nothing."""
    if limit < 0:
        return
    found = state.limits.get(key)
    if found is not None and found.put_at_us == now_us:
        limit, window_us = min(limit, found.limit), max(window_us, found.window_us)
    if found is None or (found.limit, found.window_us) != (limit, window_us):
        _put(state, key, limit, window_us, now_us)
    found = state.limits[key]
    found.put_at_us = now_us


def pause(state: State, key: str, until_us: int, now_us: int) -> int:
    """Gives no units out until then; an earlier instant never shortens a pause. Returns the instant in force."""
    limit = _find(state, key)
    limit.paused_until_us = max(limit.paused_until_us or 0, until_us)
    state.ledger.touch_limit(limit)
    return limit.paused_until_us


def delete(state: State, key: str) -> None:
    forget(state, _find(state, key))


def _find(state: State, key: str) -> Limit:
    limit = state.limits.get(key)
    if limit is None:
        raise NotFound(f"there is no rate limit {key!r}", field="key")
    return limit


def forget(state: State, limit: Limit) -> None:
    """The limit is deleted; whoever waits for it waits until it is put again."""
    del state.limits[limit.key]
    for lane in list(limit.lanes):
        state.wait_for_limit(lane, limit.key)
    state.ledger.forget_limit(limit)


def forget_unused(state: State, since_us: int) -> int:
    """Forgets dynamic limits of which no window was open since, and that no live run needs; says how many, at most
    `FORGOTTEN_AT_ONCE_MAX`.

    One whose window is over has all its units, so it is as good as none: the next task that names it makes it anew, and
    so does a replay. One that somebody put, or paused until later, stays. O(limits), and O(live runs) if any may go.
    """
    unused = {
        limit.key: limit
        for limit in state.limits.values()
        if limit.is_dynamic
        and limit.last_refill_us + limit.window_us < since_us
        and (limit.paused_until_us is None or limit.paused_until_us < since_us)
    }
    # Runs with rate limits never leave memory before they end.
    for run in state.runs.values() if unused else ():
        for task in run.keys.tasks if run.keys is not None else ():
            for need in task.limits:
                unused.pop(need.key, None)
    gone = list(unused.values())[:FORGOTTEN_AT_ONCE_MAX]
    for limit in gone:
        forget(state, limit)
    return len(gone)


def wake(state: State, limit: Limit) -> None:
    """The limit has changed: lanes that wait for it are looked at again."""
    for lane in state.lanes_of_limit(limit.key):
        state.unpark(lane)
