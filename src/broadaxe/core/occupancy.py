"""Who holds what, and who waits for it: concurrency keys, the queues of actions, rate limits.

Refuses to change anything. Cost: one pass over the keys in use, or over the lanes and workers of the queues in use;
only what a page shows is looked at more closely.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import islice
from typing import Final, TypeAlias

from broadaxe.core import affinity
from broadaxe.core.concurrency import Group, Ticket
from broadaxe.core.model import Run
from broadaxe.core.questions import PAGE_MAX, KeyPage, KeySeen, KeysInUse, LimitUser, LimitUsers, QueueSeen
from broadaxe.core.queues import ActionQueue
from broadaxe.core.state import State
from broadaxe.core.why import holder_of, rule_of

#: Holders and waiters of a key that a page names beside their number.
_SHOWN_MAX: Final = 10
#: Lines of a queue that are looked at for the task that waits longest.
_LINES_MAX: Final = 5_000

_Place: TypeAlias = tuple[int, int, tuple[str, str, str]]


def keys_in_use(state: State, question: KeysInUse) -> KeyPage:
    limit = min(question.limit, PAGE_MAX)
    text = question.search.casefold()
    places = (
        _place(group)
        for group in state.groups.values()
        if (not text or text in group.id[2].casefold()) and _is_of(group, question.workflow_id)
    )
    wanted = (place for place in places if (place[0] or place[1]) and (not question.after or place > question.after))
    found = heapq.nsmallest(limit + 1, wanted)
    rows = [row for place in found[:limit] if (row := _key(state.groups[place[2]])) is not None]
    return KeyPage(tuple(rows), len(found) > limit)


def queues_in_use(state: State, now_us: int) -> tuple[QueueSeen, ...]:
    longest = heapq.nlargest(PAGE_MAX, (queue for queue in state.waited_in.values() if len(queue)), key=_length)
    return tuple(_queue(queue, now_us) for queue in longest)


def limit_users(state: State, question: LimitUsers) -> tuple[LimitUser, ...]:
    latest = (
        (workflow, workflow.latest.definition) for workflow in state.workflows_by_name.values() if workflow.latest
    )
    found = [
        LimitUser(
            workflow.id,
            workflow.name,
            task.name,
            None if use.units_expression else use.units,
            use.key_expression,
        )
        for workflow, definition in latest
        for task in (*definition.tasks, *filter(None, (definition.on_failure,)))
        for use in task.rate_limits
        if use.key_expression or use.key == question.key
    ]
    found.sort(key=lambda user: (bool(user.key_expression), user.workflow_name, user.task_name))
    return tuple(found[:PAGE_MAX])


def place_of(row: KeySeen) -> _Place:
    """Where a page ends whose last row this is."""
    return -row.waiting, -row.held, row.id


def _place(group: Group) -> _Place:
    return -group.waiting_count, -len(group.filled), group.id


def _is_of(group: Group, workflow_id: str | None) -> bool:
    if workflow_id is None:
        return True
    first = next(iter(_tickets(group)), None)
    return first is not None and _run_of(first).version.workflow.id == workflow_id


def _tickets(group: Group) -> Iterable[Ticket]:
    yield from (ticket for ticket in group.filled if ticket.holder is not None)
    yield from group.waiting_in_order()


def _run_of(ticket: Ticket) -> Run:
    assert ticket.holder is not None
    return ticket.holder if isinstance(ticket.holder, Run) else ticket.holder.run


def _key(group: Group) -> KeySeen | None:
    """None for a key that only tasks between two attempts are under."""
    first = next(iter(_tickets(group)), None)
    if first is None:
        return None
    rule, task_name = rule_of(group, first)
    workflow = _run_of(first).version.workflow
    held = (ticket for ticket in group.filled if ticket.holder is not None)
    return KeySeen(
        group.id,
        group.id[2],
        rule.expression,
        group.strategy,
        group.max_runs,
        rule.is_tenant_scoped,
        rule.name,
        workflow.id,
        workflow.name,
        task_name,
        len(group.filled),
        group.waiting_count,
        tuple(map(holder_of, islice(held, _SHOWN_MAX))),
        tuple(map(holder_of, islice(group.waiting_in_order(), _SHOWN_MAX))),
    )


def _length(queue: ActionQueue) -> int:
    return len(queue)


def _queue(queue: ActionQueue, now_us: int) -> QueueSeen:
    lines = islice(
        (line for shape in queue.shapes.values() for lane in shape.lanes.values() for _, line in lane.lines()),
        _LINES_MAX,
    )
    firsts = (next((place for _, place in line.places()), None) for line in lines)
    queued = [place.task.queued_at_us for place in firsts if place is not None and place.task is not None]
    oldest = [at_us for at_us in queued if at_us is not None]
    heads = (group.head() for group in queue.ripe.values())
    oldest += [head.queued_at_us for head in heads if head is not None and head.queued_at_us is not None]
    crew = list(queue.crew)
    ready = sum(affinity.is_schedulable(worker, now_us) for worker in crew)
    return QueueSeen(queue.action_id, len(queue), min(oldest, default=None), len(crew), ready)
