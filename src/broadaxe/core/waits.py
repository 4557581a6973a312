"""Waits: what is waited for, whether it has come, and what it brought.

A wait is a list of conditions, each a sleep or a user event. Conditions of one group are alternatives, all groups are
required; a condition that came true stays true. Durable tasks wait (`durable.py`), and so do the tasks of a DAG that
declare conditions (`conditions.py`): the owner of a wait is told by being found in `State.advanced`.

A wait is *armed* while its owner may still be moved by it. An armed wait is found by the events it still needs
(`interests.py`), and has one alarm, for the earliest sleep it still needs. An event satisfies every wait it matches.

Cost: arming and disarming O(conditions); an event costs O(waits that may want it).

Source: semantics 6.3, 6.4 and 6.8, grpc specification 7.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from broadaxe.core.durations import DURATION_US_MAX
from broadaxe.core.interests import Interest, Shown, place_of
from broadaxe.core.timers import AlarmKind
from broadaxe.errors import InvalidArgument

if TYPE_CHECKING:
    from broadaxe.core.conditions import Gate
    from broadaxe.core.durable_log import DurableLog, Entry
    from broadaxe.core.state import State

#: Conditions of one wait.
CONDITIONS_MAX: Final = 1_000
#: Stored events of a key and scope among which one that makes an expression true is looked for, the newest first.
#: Every one of them is read and evaluated while the tenant waits.
PAST_EVENTS_MAX: Final = 1_000


class Condition(msgspec.Struct, frozen=True, array_like=True):
    """One thing to wait for. Exactly one of `sleep` and `event_key` is given."""

    group: int
    """Conditions with the same number are alternatives."""
    data_key: str
    """Under which name its data is handed over."""
    sleep: str = ""
    """The duration as it was asked for; it is handed back in the same words."""
    sleep_us: int = 0
    event_key: str = ""
    scope: str | None = None
    """Only events pushed with this scope count; None for any."""
    expression: str = ""
    """CEL over the event's payload; empty is true."""
    since_us: int | None = None
    """Events stored since then count too, the newest first. Only together with a scope."""

    @property
    def is_sleep(self) -> bool:
        return not self.event_key

    @property
    def interest(self) -> Interest:
        """What it wants of an event. Only of a condition that is no sleep."""
        return Interest(self.event_key, self.scope, self.expression)


class ConditionState(msgspec.Struct, frozen=True, array_like=True):
    """A condition and how far it is, as it is kept in a row. `data` is the JSON text it brought."""

    condition: Condition
    due_at_us: int | None
    """When the sleep is over, or when the event came."""
    data: str | None


class PastEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that was stored before the wait began."""

    key: str
    scope: str | None
    payload: str
    seen_at_us: int


class Wait:
    """Conditions and how far they are: `due` is when a sleep is over, and when an event came; `data` what came true
    brought. `due_at_us` is the earliest sleep still needed, None without one."""

    __slots__ = ("conditions", "data", "due", "due_at_us", "is_armed", "owner")

    def __init__(self, owner: Entry | Gate, conditions: Sequence[Condition], now_us: int) -> None:
        self.owner = owner
        self.conditions = tuple(conditions)
        self.due: list[int | None] = [
            min(now_us + max(0, condition.sleep_us), now_us + DURATION_US_MAX) if condition.is_sleep else None
            for condition in self.conditions
        ]
        self.data: list[str | None] = [None] * len(self.conditions)
        self.due_at_us: int | None = None
        self.is_armed = False

    @classmethod
    def restored(cls, owner: Entry | Gate, kept: str) -> Wait:
        """A wait as its row keeps it."""
        states = msgspec.json.decode(kept, type=tuple[ConditionState, ...])
        wait = cls(owner, [part.condition for part in states], 0)
        wait.due = [part.due_at_us for part in states]
        wait.data = [part.data for part in states]
        return wait

    def kept(self) -> str:
        """The text its row keeps; `restored` reads it."""
        parts = zip(self.conditions, self.due, self.data, strict=True)
        return encoded([ConditionState(*part) for part in parts])

    def is_over(self) -> bool:
        """Whether every group has a condition that came true."""
        return self.over_at_us() is not None

    def over_at_us(self) -> int | None:
        """When the last group had one that came true; None while a group has none."""
        first: dict[int, int] = {}
        for condition, due_at_us, data in zip(self.conditions, self.due, self.data, strict=True):
            if data is not None:
                at_us = due_at_us or 0
                first[condition.group] = min(at_us, first.get(condition.group, at_us))
        if any(condition.group not in first for condition in self.conditions):
            return None
        return max(first.values(), default=0)

    def open_events(self) -> list[Interest]:
        """The events it still needs, in the order of the conditions."""
        pairs = zip(self.conditions, self.data, strict=True)
        return [condition.interest for condition, data in pairs if data is None and not condition.is_sleep]

    def earliest_us(self) -> int | None:
        """When the next sleep it still needs is over."""
        pairs = zip(self.due, self.data, strict=True)
        return min((due for due, data in pairs if data is None and due is not None), default=None)

    def fired(self) -> dict[str, list[msgspec.Raw]]:
        """What the conditions that came true brought, by data key."""
        brought: dict[str, list[msgspec.Raw]] = {}
        for condition, data in zip(self.conditions, self.data, strict=True):
            if data is not None:
                brought.setdefault(condition.data_key, []).append(msgspec.Raw(data.encode()))
        return brought


def open_events(kept: str) -> list[Interest]:
    """The events a wait still needs, from the text its row keeps."""
    states = msgspec.json.decode(kept, type=tuple[ConditionState, ...])
    return [p.condition.interest for p in states if p.data is None and not p.condition.is_sleep]


def check(conditions: Sequence[Condition], *, field: str) -> None:
    """Raises InvalidArgument unless this can be waited for."""
    if not conditions:
        raise InvalidArgument("a wait needs at least one condition", field=field)
    if len(conditions) > CONDITIONS_MAX:
        raise InvalidArgument(f"at most {CONDITIONS_MAX} conditions in one wait", field=field)


def identity(conditions: Iterable[Condition]) -> str:
    """Hex digest of what makes two waits the same operation of a program (section 6.2)."""
    parts = sorted([c.is_sleep, c.sleep_us, c.event_key, c.expression, c.data_key] for c in conditions)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def past_events_max(condition: Condition) -> int:
    """How many stored events have to be looked at: without an expression the newest one fits."""
    return PAST_EVENTS_MAX if condition.expression.strip() else 1


def arm(state: State, wait: Wait) -> None:
    """Idempotent."""
    if wait.is_armed:
        return
    wait.is_armed = True
    for interest in wait.open_events():
        state.waits_for_events.add(wait, interest)
    _set_alarm(state, wait)


def disarm(state: State, wait: Wait) -> None:
    """Idempotent."""
    if not wait.is_armed:
        return
    wait.is_armed = False
    for condition in wait.conditions:
        if not condition.is_sleep:
            state.waits_for_events.remove(wait, condition.interest)
    if wait.due_at_us is not None:
        wait.due_at_us = None
        state.timers.disarm()


def disarm_log(state: State, log: DurableLog) -> None:
    """The log's task has ended or sleeps outside memory: nothing in it is waited for here."""
    for entry in log.all_entries():
        if entry.wait is not None:
            disarm(state, entry.wait)
    if log.stalled_at_us is not None:
        log.stalled_at_us = None
        state.timers.disarm()


def arm_log(state: State, log: DurableLog) -> None:
    """The log's task lives: what is open in it is waited for."""
    for entry in log.all_entries():
        if entry.wait is not None and entry.is_on_path and not entry.is_satisfied:
            arm(state, entry.wait)


def encoded(data: object) -> str:
    return msgspec.json.encode(data).decode()


def ring(state: State, wait: Wait, now_us: int) -> None:
    """A sleep of the wait is over: every one that is due by now."""
    wait.due_at_us = None
    look_at_sleeps(wait, now_us)
    _set_alarm(state, wait)
    state.advanced.append(wait)


def look_at_once(state: State, wait: Wait, past: Sequence[PastEvent], now_us: int) -> None:
    """What a new wait finds satisfied already: sleeps of no length, and stored events it looks back at."""
    look_at_sleeps(wait, now_us)
    for position, condition in enumerate(wait.conditions):
        if condition.since_us is None or condition.scope is None:
            continue
        events = [
            event for event in past if event.key == condition.event_key and event.seen_at_us >= condition.since_us
        ]
        for event in sorted(events, key=lambda event: event.seen_at_us, reverse=True):
            if _is_met(condition, Shown(event.key, event.scope, event.payload)):
                wait.due[position], wait.data[position] = now_us, event.payload
                break
    state.advanced.append(wait)


def offer(state: State, event: Shown, now_us: int) -> None:
    """Shows an event that is pushed now to every armed wait that may want it. A sleep that was over before came first,
    even if the engine was held up and has not rung it yet."""
    for wait in state.waits_for_events.candidates(event):
        look_at_sleeps(wait, now_us - 1)
        over_at_us = wait.over_at_us()
        if over_at_us is not None and over_at_us < now_us:
            state.advanced.append(wait)
        else:
            _show(state, wait, event, now_us)


def show_past(state: State, log: DurableLog, events: Iterable[PastEvent]) -> None:
    """Shows the log's armed waits the events that came while its task was not in memory, in their order, as if it had
    been there: a sleep that was over before an event came first, and what a wait that was over did not see is nothing
    to it. Events of one instant are one round, which a wait sees whole.
    """
    waiting = [entry.wait for entry in log.all_entries() if entry.wait is not None and entry.wait.is_armed]
    at_us: int | None = None
    for past in events:
        if past.seen_at_us != at_us:
            at_us = past.seen_at_us
            for wait in waiting:
                look_at_sleeps(wait, at_us - 1)
            waiting = [wait for wait in waiting if not wait.is_over()]
        event = Shown(past.key, past.scope, past.payload)
        for wait in waiting:
            _show(state, wait, event, at_us)


def _show(state: State, wait: Wait, event: Shown, at_us: int) -> None:
    met = [
        position
        for position, condition in enumerate(wait.conditions)
        if wait.data[position] is None and _is_met(condition, event)
    ]
    if not met:
        return
    for position in met:
        wait.due[position], wait.data[position] = at_us, event.payload
    # Conditions that are still open may be found at the place of one that was met.
    still_open = {place_of(interest) for interest in wait.open_events()}
    for position in met:
        interest = wait.conditions[position].interest
        if place_of(interest) not in still_open:
            state.waits_for_events.remove(wait, interest)
    state.advanced.append(wait)


def _is_met(condition: Condition, event: Shown) -> bool:
    return not condition.is_sleep and event.meets(condition.event_key, condition.scope, condition.expression)


def look_at_sleeps(wait: Wait, now_us: int) -> None:
    """What the wait slept for is over by now."""
    for position, condition in enumerate(wait.conditions):
        due_at_us = wait.due[position]
        if due_at_us is not None and due_at_us <= now_us and wait.data[position] is None:
            wait.data[position] = encoded({"sleep_duration": condition.sleep})


def _set_alarm(state: State, wait: Wait) -> None:
    wait.due_at_us = wait.earliest_us()
    if wait.due_at_us is not None:
        state.timers.arm(wait.due_at_us, AlarmKind.WAIT_DUE, wait)
