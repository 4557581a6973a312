"""Evicted tasks that sleep outside memory.

A durable task that was evicted is only waiting. Its rows hold all there is, so the tenant forgets the objects with the
round that evicted it and keeps of each its id, the instant of its earliest sleep and the events it waits for. When
one of these comes, when a child of it ends, or when a command names it, the task is read back
(`Tenant.wanted`, `Tenant.missing`) and goes on as if it had never left. An event is noted with the rows of those it is
for, in the commit that stores it, and shown to each when it is read back.

Only the single task of a run without concurrency slots sleeps outside memory; others stay.

Cost: about 350 bytes per task that sleeps, 900 per task that waits for an event with an expression of its own; falling
asleep and waking O(entries of the log).

Source: semantics 6.6.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from broadaxe.core import waits
from broadaxe.core.interests import Interest, Shown
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.model import Task
from broadaxe.core.state import State
from broadaxe.core.timers import AlarmKind


class DormantTask(msgspec.Struct, frozen=True, gc=False):
    """A task that was asleep when the tenant was loaded. `has_news`: something it waits for has come, or may have."""

    task_id: str
    due_at_us: int | None
    events: tuple[Interest, ...]
    has_news: bool


class Dormant:
    __slots__ = ("due_at_us", "events", "task_id")

    def __init__(self, task_id: str, due_at_us: int | None, events: tuple[Interest, ...]) -> None:
        self.task_id = task_id
        self.due_at_us = due_at_us
        self.events = events


def fall_asleep(state: State) -> None:
    """Forgets the tasks evicted in this round and those read back in vain. Call after rows were handed over for the
    commit."""
    for task in state.evicted:
        if _may_leave(state, task):
            assert task.log is not None
            open_waits = [e.wait for e in task.log.all_entries() if e.wait is not None and e.wait.is_armed]
            due_at_us = min((w.due_at_us for w in open_waits if w.due_at_us is not None), default=None)
            events = tuple(dict.fromkeys(interest for wait in open_waits for interest in wait.open_events()))
            waits.disarm_log(state, task.log)
            del state.tasks[task.id]
            del state.runs[task.run.id]
            add(state, task.id, due_at_us, events)
    state.evicted.clear()


def events_of(kept: Iterable[str]) -> tuple[Interest, ...]:
    """The events that open waits still need, from what their rows keep."""
    return tuple(dict.fromkeys(interest for text in kept for interest in waits.open_events(text)))


def add(state: State, task_id: str, due_at_us: int | None, events: tuple[Interest, ...]) -> None:
    dormant = state.dormant[task_id] = Dormant(task_id, due_at_us, events)
    for interest in events:
        state.dormant_for_events.add(dormant, interest)
    if due_at_us is not None:
        state.timers.arm(due_at_us, AlarmKind.DORMANT_DUE, dormant)


def place(state: State, tasks: Iterable[DormantTask]) -> None:
    """After a load: the sleepers take their places without having been in memory."""
    for task in tasks:
        add(state, task.task_id, task.due_at_us, task.events)
        if task.has_news:
            state.waking[task.task_id] = None


def offer(state: State, event_id: str, event: Shown) -> None:
    """Notes a pushed event for every sleeper that waits for it. They are read back in their time, a portion after the
    other, and are shown it then: an event may be for a hundred thousand of them. What an event has met is asked for no
    more."""
    for dormant in state.dormant_for_events.candidates(event):
        unmet = tuple(i for i in dormant.events if not event.meets(i.key, i.scope, i.expression))
        if len(unmet) == len(dormant.events):
            continue
        for interest in dormant.events:
            state.dormant_for_events.remove(dormant, interest)
        for interest in unmet:
            state.dormant_for_events.add(dormant, interest)
        dormant.events = unmet
        state.ledger.note_news(dormant.task_id, event_id)
        state.waking[dormant.task_id] = None


def remove(state: State, task_id: str) -> None:
    """The task is in memory again, or gone. Idempotent."""
    state.waking.pop(task_id, None)
    dormant = state.dormant.pop(task_id, None)
    if dormant is None:
        return
    for interest in dormant.events:
        state.dormant_for_events.remove(dormant, interest)
    if dormant.due_at_us is not None:
        dormant.due_at_us = None
        state.timers.disarm()


def _may_leave(state: State, task: Task) -> bool:
    run = task.run
    return (
        task.status is TaskStatus.EVICTED
        and state.tasks.get(task.id) is task
        and not run.version.is_dag
        and run.keys is None
    )
