"""Results of a durable task's entries: when they are sent to its invocation, and in which order.

They reach an invocation in the order in which they came true the first time (`durable_log.py`): one that is out of turn
is held back until those before it were asked for. If that takes `STALL_US`, the invocation is dropped and the task
starts again (`durable.stall`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from broadaxe.core import attempts
from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.decision import EntryCompleted
from broadaxe.core.durable_log import DurableLog, Entry
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import EntryKind, TaskStatus
from broadaxe.core.state import State
from broadaxe.core.timers import AlarmKind

#: How long a result is held back for one that should come before it.
STALL_US: Final = 60 * US_PER_S


def want(state: State, log: DurableLog, entry: Entry, now_us: int) -> None:
    """The program waits for the entry in this invocation."""
    if entry.wanted_by != log.invocation_count:
        entry.wanted_by = log.invocation_count
        log.wanted_ahead += entry.order is not None and entry.sent_by != log.invocation_count
    if entry.kind is EntryKind.MEMO:
        if entry.is_satisfied:
            send(state, log, entry, now_us)
        return
    if not entry.is_awaited:
        entry.is_awaited = True
        state.ledger.touch_entry(entry)
        if entry.is_satisfied:
            take_place(log, entry)
    if entry.is_satisfied:
        if entry.sent_by == log.invocation_count:
            send(state, log, entry, now_us)
        else:
            _send_in_order(state, log, now_us)


def satisfy(state: State, entry: Entry, result: str | None, now_us: int) -> None:
    log = entry.log
    entry.satisfied_at_us = now_us
    entry.result = result
    state.ledger.touch_entry(entry)
    if not entry.is_on_path:
        return
    if entry.is_awaited:
        take_place(log, entry)
    task = log.task
    if task.status is TaskStatus.EVICTED:
        attempts.restore(state, task, now_us)
    elif task.status is TaskStatus.RUNNING:
        _send_in_order(state, log, now_us)


def send(state: State, log: DurableLog, entry: Entry, now_us: int) -> None:
    if entry.order is not None:
        log.told_order, log.told_at_us = entry.order, now_us
    if log.stream is not None:
        state.ledger.emit(EntryCompleted(stream=log.stream, ref=ref(entry), order=entry.order, payload=entry.result))


def received(log: DurableLog, order: int) -> None:
    """The worker has had results up to `order` in this invocation."""
    while log.next < len(log.queue) and (log.queue[log.next].order or 0) <= order:
        log.wanted_ahead -= log.queue[log.next].wanted_by == log.invocation_count
        log.queue[log.next].sent_by = log.invocation_count
        log.next += 1


def take_back(log: DurableLog, order: int) -> None:
    """The invocation has not been sent the results after `order`, whatever was thought."""
    while log.next and (log.queue[log.next - 1].order or 0) > order:
        log.next -= 1
        log.queue[log.next].sent_by = 0
        log.wanted_ahead += log.queue[log.next].wanted_by == log.invocation_count


def in_order(entry: Entry) -> tuple[bool, int]:
    """What has a place already comes before what gets one now."""
    return entry.order is None, entry.order or 0


def take_place(log: DurableLog, entry: Entry) -> None:
    log.order_count += 1
    entry.order = log.order_count
    log.queue.append(entry)
    log.wanted_ahead += entry.wanted_by == log.invocation_count


def sort_queue(log: DurableLog) -> None:
    log.queue = sorted(
        (entry for entry in log.entries.values() if entry.order is not None and entry.is_on_path),
        key=lambda entry: entry.order or 0,
    )


def is_holding(log: DurableLog) -> bool:
    """Whether a result that is waited for is held back by one that is not."""
    is_first_wanted = log.has_news() and log.queue[log.next].wanted_by == log.invocation_count
    return log.wanted_ahead > is_first_wanted


def calm(state: State, log: DurableLog) -> None:
    if log.stalled_at_us is not None:
        log.stalled_at_us = None
        state.timers.disarm()


def unasked_news(log: DurableLog) -> list[Entry]:
    """Children that have ended and nobody is known to wait for. Not every client lists what it waits for before it is
    evicted, so the task is restored for them, once."""
    return [
        entry
        for entry in log.by_child.values()
        if entry.is_on_path and entry.is_satisfied and not entry.is_awaited and not entry.has_woken
    ]


def mark_woken(entries: Sequence[Entry]) -> None:
    for entry in entries:
        entry.has_woken = True


def ref(entry: Entry) -> EntryRef:
    log = entry.log
    return EntryRef(log.task.id, log.invocation_count, entry.branch_id, entry.node_id)


def _send_in_order(state: State, log: DurableLog, now_us: int) -> None:
    """Sends results from the front of the order for as long as this invocation waits for them. While its stream is away
    they stay where they are."""
    if log.stream is None:
        return
    queue = log.queue
    start = log.next
    while log.next < len(queue) and queue[log.next].wanted_by == log.invocation_count:
        queue[log.next].sent_by = log.invocation_count
        log.wanted_ahead -= 1
        send(state, log, queue[log.next], now_us)
        log.next += 1
    if log.next != start or not is_holding(log):
        calm(state, log)
    if log.stalled_at_us is None and is_holding(log):
        log.stalled_at_us = now_us + STALL_US
        state.timers.arm(log.stalled_at_us, AlarmKind.ORDER_STALLED, log)
