"""Debounce: of a burst of triggers only the last one runs, once there has been quiet for a while.

A trigger asks for it with reserved keys of its metadata (`Wish`), so it works however a run comes to be. Runs with the
same workflow and debounce key that follow each other closely are a *burst*. Each of them is made and stored at once,
with its root tasks in BACKOFF until the burst is released; each one that comes ends the one before it, whose message
names its successor. The last one goes on when `quiet` has passed since it, or `max_wait` since the first, which ends
the burst.

Nothing but the run is stored: the time the burst began is noted in the run's metadata, its release is the deadline of
its tasks. So a burst and its run are one commit, and a load finds both again.

Invariants: at most one run of a burst waits; a burst is in memory exactly while a task of that run does; once its
release is due it takes no more triggers.

Cost: O(1) and one alarm for each root task, per trigger. Triggers without the keys are only searched for them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from broadaxe.core.durations import US_PER_MS, format_duration
from broadaxe.core.model import Run
from broadaxe.core.state import State
from broadaxe.errors import InvalidArgument

_PREFIX: Final = "broadaxe__debounce_"
KEY: Final = f"{_PREFIX}key"
QUIET: Final = f"{_PREFIX}quiet_ms"
MAX_WAIT: Final = f"{_PREFIX}max_wait_ms"
#: Written by the engine: when the first run of the burst was triggered, in microseconds.
FIRST_AT: Final = f"{_PREFIX}first_at_us"

KEY_CHARS_MAX: Final = 255
WAIT_MS_MAX: Final = 86_400_000


class Wish(msgspec.Struct, frozen=True):
    """What a trigger asks for."""

    key: str
    quiet_us: int
    max_wait_us: int | None


class Burst:
    """The run of a burst that waits, the only one that does."""

    __slots__ = ("first_at_us", "id", "release_at_us", "run")

    def __init__(self, burst_id: tuple[str, str], run: Run, first_at_us: int, release_at_us: int) -> None:
        self.id = burst_id
        """(workflow id, debounce key)"""
        self.run = run
        self.first_at_us = first_at_us
        self.release_at_us = release_at_us


class Plan(msgspec.Struct, frozen=True):
    """What a trigger's wish comes to."""

    key: str
    first_at_us: int
    release_at_us: int
    metadata: str
    """The run's, with the time the burst began."""
    superseded: Run | None

    @property
    def message(self) -> str:
        return f"debounced by the key {self.key!r}"


def check(metadata: str | None, *, field: str) -> None:
    """InvalidArgument naming the key when the metadata asks for a debounce that cannot be. For whoever takes metadata
    from outside."""
    _read(metadata, field)


def plan(state: State, workflow_id: str, metadata: str | None, now_us: int) -> Plan | None:
    """None when no debounce is asked for. What `check` would refuse asks for nothing: here nobody is left to tell."""
    try:
        wish = _read(metadata, "")
    except InvalidArgument:
        return None
    if wish is None:
        return None
    burst = state.bursts.get((workflow_id, wish.key))
    if burst is not None and burst.release_at_us <= now_us:
        burst = None  # It is over; its run goes on before this instant ends.
    first_at_us = now_us if burst is None else burst.first_at_us
    release_at_us = now_us + wish.quiet_us
    if wish.max_wait_us is not None:
        release_at_us = max(now_us, min(release_at_us, first_at_us + wish.max_wait_us))
    assert metadata is not None
    # The object has keys already, and of equal ones the last counts.
    text = f'{metadata.rstrip()[:-1]},"{FIRST_AT}":{first_at_us}}}'
    return Plan(wish.key, first_at_us, release_at_us, text, None if burst is None else burst.run)


def join(state: State, run: Run, plan_: Plan) -> None:
    """The run is the one of its burst that waits from now on, unless it failed at birth."""
    if run.is_postponed:
        _put(state, Burst((run.row.workflow_id, plan_.key), run, plan_.first_at_us, plan_.release_at_us))


def restore(state: State, run: Run, release_at_us: int) -> None:
    """After a load: the run's root tasks wait for this instant again."""
    metadata = run.row.additional_metadata
    wish = _read(metadata, "")
    assert wish is not None
    _put(state, Burst((run.row.workflow_id, wish.key), run, _decode(metadata)[FIRST_AT], release_at_us))


def superseded_by(run: Run, plan_: Plan) -> str:
    """What a run is told that a later trigger of its burst has ended."""
    return f"superseded by run {run.id}, a later trigger with the debounce key {plan_.key!r}"


def _put(state: State, burst: Burst) -> None:
    earlier = state.bursts.get(burst.id)
    if earlier is not None:
        earlier.run.burst = None
    state.bursts[burst.id] = burst.run.burst = burst


def _read(metadata: str | None, field: str) -> Wish | None:
    if metadata is None or _PREFIX not in metadata:
        return None
    found = _decode(metadata)
    if not found.keys() & {KEY, QUIET, MAX_WAIT}:
        return None
    key = found.get(KEY)
    if not isinstance(key, str) or not 1 <= len(key) <= KEY_CHARS_MAX:
        raise InvalidArgument(f"{KEY} must be a text of 1 to {KEY_CHARS_MAX} characters", field=f"{field}.{KEY}")
    quiet_us = _wait_us(found, QUIET, field)
    if quiet_us is None:
        raise InvalidArgument(f"{KEY} needs {QUIET}, the milliseconds of quiet to wait for", field=f"{field}.{QUIET}")
    max_wait_us = _wait_us(found, MAX_WAIT, field)
    if max_wait_us is not None and max_wait_us < quiet_us:
        raise InvalidArgument(
            f"{MAX_WAIT} of {format_duration(max_wait_us)} is shorter than {QUIET} of {format_duration(quiet_us)}",
            field=f"{field}.{MAX_WAIT}",
        )
    return Wish(key, quiet_us, max_wait_us)


def _wait_us(metadata: dict[str, Any], name: str, field: str) -> int | None:
    value = metadata.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(WAIT_MS_MAX)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= WAIT_MS_MAX:
        raise InvalidArgument(
            f"{name} must be a whole number of milliseconds from 1 to {WAIT_MS_MAX}", field=f"{field}.{name}"
        )
    return value * US_PER_MS


def _decode(metadata: str | None) -> dict[str, Any]:
    return msgspec.json.decode(metadata, type=dict[str, Any]) if metadata else {}
