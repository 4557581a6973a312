"""The one sentence that tells a person why a task does not run.

Every edge shows this text as it is; what a program wants to know is in the fields of the reason. Instants of the next
minute are told as durations, later ones and past ones in UTC. Texts that users chose are cut to `_QUOTED_MAX`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

from broadaxe.core.definition import Comparator, LabelRequirement
from broadaxe.core.durations import US_PER_S
from broadaxe.core.questions import (
    IN_LINE_MAX,
    Absence,
    AbsentWorker,
    Backoff,
    Batch,
    Children,
    Conditions,
    ConditionSeen,
    Debounce,
    Evicted,
    InTurn,
    Key,
    Labels,
    NoWorker,
    Parents,
    Paused,
    RateLimit,
    Reason,
    Slot,
    StickyWorker,
    TooLarge,
    Unconfirmed,
    WaitSeen,
    WorkersAway,
)

_QUOTED_MAX: Final = 120
_NAMES_MAX: Final = 3
_SOON_US: Final = 60 * US_PER_S
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COMPARED: Final[dict[Comparator, str]] = {
    Comparator.EQUAL: "=",
    Comparator.NOT_EQUAL: "≠",
    Comparator.GREATER_THAN: ">",
    Comparator.GREATER_THAN_OR_EQUAL: "≥",
    Comparator.LESS_THAN: "<",
    Comparator.LESS_THAN_OR_EQUAL: "≤",
}
_ABSENT: Final[dict[Absence, str]] = {
    Absence.PAUSED: "is paused",
    Absence.DISCONNECTED: "is disconnected",
    Absence.SILENT: "sends no heartbeat",
    Absence.NO_DURABLE_STREAM: "has no stream for durable tasks yet",
    Absence.OTHER_LABELS: "lacks the labels it needs",
}
_AFTERWARDS: Final[dict[str, str]] = {"SKIP": "to be skipped", "CANCEL": "to be cancelled"}


def sentence(reason: Reason, now_us: int) -> str:
    """One line, beginning with a capital letter and without a full stop."""
    text = _say(reason, now_us)
    return text[:1].upper() + text[1:]


def _say(reason: Reason, now_us: int) -> str:
    match reason:
        case Slot():
            return _slot(reason)
        case NoWorker(action_id, None):
            return f"no worker offers {_cut(action_id)}"
        case NoWorker(action_id, worker, seen_at_us):
            assert worker is not None
            since = "" if seen_at_us is None else f" since {_clock(seen_at_us, now_us)}"
            return f"no worker has offered {_cut(action_id)}{since}; the last one was {_cut(worker.name)}"
        case WorkersAway():
            return _away(reason, now_us)
        case Labels(action_id, labels, _):
            wanted = " and ".join(map(_label, labels))
            return f"no worker of {_cut(action_id)} that takes tasks has the labels it needs: {wanted}"
        case TooLarge(action_id, slot_type, units, units_max, _):
            return f"it needs {_slots(units, slot_type)}, and no worker of {_cut(action_id)} has more than {units_max}"
        case StickyWorker():
            return _sticky(reason)
        case Key(key, max_runs=max_runs) if max_runs <= 0:
            return f"nobody may run under the key {_cut(key)!r}: its limit is {max_runs}"
        case Key(key, held=held, max_runs=max_runs, place=place):
            names = [holder.run_name for holder in reason.holders]
            by = f" held by {_names(names, held)}" if names else " held"
            run = " for its run" if reason.is_of_run else ""
            return f"key {_cut(key)!r}{run}: {held:,} of {max_runs:,}{by}{_in_line(place)}"
        case RateLimit():
            return _limit(reason, now_us)
        case Paused(_, name, since_us, by):
            whose = f" by {_cut(by)}" if by else ""
            return f"the workflow {_cut(name)} is paused{whose} since {_clock(since_us, now_us)}"
        case Batch():
            return _batch(reason, now_us)
        case Debounce(key, until_us):
            until = _coming(until_us, now_us)
            return f"debounced by the key {_cut(key)!r}: it goes on {until} unless another trigger comes"
        case Backoff(attempt, until_us):
            return f"attempt {attempt - 1} failed; attempt {attempt} begins {_coming(until_us, now_us)}"
        case Parents(parents, count):
            return f"waits for {_names([parent.name for parent in parents], count)}"
        case Conditions():
            return _conditions(reason, now_us)
        case Children(children, count, is_evicted):
            names = [f"{child.workflow_name or 'run'} {child.run_id}" for child in children]
            what = "the child run" if count == 1 else f"{count:,} child runs,"
            return f"{_evicted(is_evicted)}waits for {what} {_names(names, count)}"
        case Evicted():
            return "evicted from its worker; it comes back when what it waits for has come"
        case Unconfirmed(worker, until_us):
            name = "a worker" if worker is None else _cut(worker.name)
            return (
                f"given to {name}, which was cut off before it said that it had begun; it is given away anew "
                f"{_coming(until_us, now_us)}"
            )
        case InTurn():
            return "its turn has come: the engine is about to give it to a worker"
        case _:
            assert_never(reason)


def _slot(reason: Slot) -> str:
    names = _names([worker.name for worker in reason.workers], reason.worker_count)
    if reason.used >= reason.total:
        taken = "the only slot" if reason.total == 1 else f"all {_slots(reason.total, reason.slot_type)}"
        verb = "is" if reason.total == 1 else "are"
        return f"{taken} of {names} {verb} in use{_in_line(reason.place)}"
    needed = f"it needs {_slots(reason.units, reason.slot_type)} of one worker"
    return f"{needed}; {reason.used:,} of {reason.total:,} of {names} are in use{_in_line(reason.place)}"


def _away(reason: WorkersAway, now_us: int) -> str:
    states = [_absent(absent, now_us) for absent in reason.absent[:_NAMES_MAX]]
    left = reason.worker_count - len(states)
    more = f" and {left:,} more" if left else ""
    if reason.worker_count == 1:
        return f"the only worker of {_cut(reason.action_id)} takes no tasks: {states[0]}"
    action = _cut(reason.action_id)
    return f"none of the {reason.worker_count:,} workers of {action} takes tasks: {'; '.join(states)}{more}"


def _absent(absent: AbsentWorker, now_us: int) -> str:
    text = f"{_cut(absent.worker.name)} {_ABSENT[absent.why]}"
    is_lost = absent.why in (Absence.DISCONNECTED, Absence.SILENT)
    if is_lost and absent.seen_at_us is not None:
        text += f", last seen {_clock(absent.seen_at_us, now_us)}"
    return text


def _sticky(reason: StickyWorker) -> str:
    name = reason.worker_id if reason.worker is None else _cut(reason.worker.name)
    bound = f"it belongs to the worker {name}, which"
    if reason.absence is not None:
        return f"{bound} {_ABSENT[reason.absence]}"
    if reason.total:
        return f"{bound} has {reason.used:,} of {reason.total:,} slots in use"
    return f"{bound} is gone or does not offer {_cut(reason.action_id)}"


def _limit(reason: RateLimit, now_us: int) -> str:
    key = _cut(reason.key)
    if reason.limit is None:
        return f"there is no rate limit {key!r}; it goes on when somebody puts it"
    if reason.is_paused and reason.until_us is not None:
        return (
            f"the rate limit {key!r} is paused and goes on {_coming(reason.until_us, now_us)}{_in_line(reason.place)}"
        )
    if reason.until_us is None:
        return f"it needs {reason.units:,} units of the rate limit {key!r}, which never has more than {reason.limit:,}"
    wanted = "" if reason.units == 1 else f", {reason.units:,} needed"
    left = f"{max(0, reason.left):,} of {reason.limit:,} units left{wanted}"
    return f"rate limit {key!r}: {left}; refills {_coming(reason.until_us, now_us)}{_in_line(reason.place)}"


def _batch(reason: Batch, now_us: int) -> str:
    group = "" if reason.key == "default" else f" with the key {_cut(reason.key)!r}"
    if reason.running >= reason.running_max:
        return f"{reason.running:,} of {reason.running_max:,} batches{group} are running"
    flush = "" if reason.until_us is None else f" and goes {_coming(reason.until_us, now_us)} at the latest"
    return f"gathers in a batch{group}: it has {reason.count:,} of {reason.max_size:,} items{flush}"


def _conditions(reason: Conditions, now_us: int) -> str:
    told = [said for wait in reason.waits if (said := _wait(wait, now_us))][:_NAMES_MAX]
    left = reason.wait_count - len(told)
    more = f"; and {left:,} more" if left else ""
    return f"{_evicted(reason.is_evicted)}waits {'; '.join(told)}{more}"


def _wait(wait: WaitSeen, now_us: int) -> str:
    groups: dict[int, list[ConditionSeen]] = {}
    for condition in wait.conditions:
        groups.setdefault(condition.group, []).append(condition)
    opens = [group for group in groups.values() if not any(condition.is_met for condition in group)]
    text = " and ".join(" or ".join(_condition(condition, now_us) for condition in group) for group in opens)
    afterwards = _AFTERWARDS.get(wait.action)
    return text if afterwards is None or not text else f"{text} {afterwards}"


def _condition(condition: ConditionSeen, now_us: int) -> str:
    if condition.until_us is not None:
        return f"until its sleep is over {_coming(condition.until_us, now_us)}"
    scope = "" if condition.scope is None else f" in the scope {_cut(condition.scope)!r}"
    where = "" if not condition.expression else f" where {_cut(condition.expression)}"
    return f"for the event {_cut(condition.event_key)!r}{scope}{where}"


def _evicted(is_evicted: bool) -> str:
    return "evicted from its worker: " if is_evicted else ""


def _label(label: LabelRequirement) -> str:
    return f"{_cut(label.key)} {_COMPARED[label.comparator]} {_cut(str(label.value))}"


def _slots(count: int, slot_type: str) -> str:
    kind = "" if slot_type in ("", "default") else f" {slot_type}"
    return f"{count:,}{kind} slot{'' if count == 1 else 's'}"


def _in_line(place: int | None) -> str:
    if place is None:
        return ""
    if place > IN_LINE_MAX:
        return f"; more than {IN_LINE_MAX:,}th in line"
    return "; first in line" if place == 1 else f"; {_ordinal(place)} in line"


def _ordinal(number: int) -> str:
    last_two = number % 100
    ending = "th" if 11 <= last_two <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def _names(names: Sequence[str], count: int) -> str:
    """The first of `count` names, and how many more there are."""
    shown = [_cut(name) for name in names[:_NAMES_MAX]]
    left = count - len(shown)
    return f"{', '.join(shown)} and {left:,} more" if left > 0 else _and(shown)


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _QUOTED_MAX else f"{plain[: _QUOTED_MAX - 1]}…"


def _coming(at_us: int, now_us: int) -> str:
    left_us = at_us - now_us
    if left_us <= 0:
        return "now"
    if left_us < _SOON_US:
        return f"in {-(-left_us // US_PER_S)} s"
    return f"at {_clock(at_us, now_us)}"


def _clock(at_us: int, now_us: int) -> str:
    at, now = (_EPOCH + timedelta(microseconds=instant) for instant in (at_us, now_us))
    time = f"{at:%H:%M:%S} UTC"
    return time if at.date() == now.date() else f"{time} on {at.day} {at:%B} {at.year}"
