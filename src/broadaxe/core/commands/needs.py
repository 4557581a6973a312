"""What a command names, so that it is in memory before the command is decided."""

from __future__ import annotations

from typing import Final

import msgspec

from broadaxe.core.waits import Condition, past_events_max


class EventQuery(msgspec.Struct, frozen=True):
    """Stored events with this key and scope, since then, the newest first and at most so many."""

    key: str
    scope: str
    since_us: int
    count_max: int


class Needs(msgspec.Struct, frozen=True):
    """What a command names. Whatever of it is not in memory is read first, if there is such a thing."""

    tasks: frozenset[str] = frozenset()
    """Run ids and task ids alike."""
    live_tasks: frozenset[str] = frozenset()
    """The same, of no account once they have ended."""
    children: frozenset[tuple[str, str]] = frozenset()
    """(task id, child key): the run that the key stands for."""
    workers: frozenset[str] = frozenset()
    schedules: frozenset[str] = frozenset()
    events: frozenset[EventQuery] = frozenset()
    pushed: frozenset[str] = frozenset()
    """Ids of events that may have been pushed already."""
    topics: frozenset[tuple[str, str]] = frozenset()
    """(namespace, name) of topics."""
    producers: frozenset[tuple[str, str, str]] = frozenset()
    """(namespace, name, producer) of who numbers its messages there."""


NOTHING: Final = Needs()


def looked_back_at(conditions: tuple[Condition, ...]) -> frozenset[EventQuery]:
    return frozenset(
        EventQuery(condition.event_key, condition.scope, condition.since_us, past_events_max(condition))
        for condition in conditions
        if condition.since_us is not None and condition.scope is not None
    )
