"""Time to come: what the tenant's one heap of deadlines holds, in order (`timers.py`).

Refuses to change the heap: it is read in its order without being taken apart. Told is what people planned or wait for;
alarms of the engine's own upkeep (silence of workers, unconfirmed deliveries, claims, the outbox) are not.

Cost: a page near the front looks at O(rows) alarms, O(log rows) each. Once `_LOOKED_AT_MAX` were looked at in vain,
because the page is far back or its kinds are rare, one pass over the whole heap finds the rest: 100,000 alarms take
25 to 60 ms.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec

from broadaxe.core.batching import BatchGroup
from broadaxe.core.calendar import Cron, Schedule
from broadaxe.core.conditions import Gate
from broadaxe.core.dormant import Dormant
from broadaxe.core.heaps import in_order
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.model import Task, Workflow
from broadaxe.core.questions import PAGE_MAX, Coming, ComingKind, ComingPage, TimeToCome
from broadaxe.core.queues import Lane, Segment
from broadaxe.core.state import State
from broadaxe.core.timers import Alarm, AlarmKind, Subject, is_valid
from broadaxe.core.waits import Wait

_LOOKED_AT_MAX: Final = 5_000

_TOLD_AS: Final[dict[AlarmKind, frozenset[ComingKind]]] = {
    AlarmKind.TASK_DUE: frozenset(
        (
            ComingKind.SCHEDULE_TIMEOUT,
            ComingKind.EXECUTION_TIMEOUT,
            ComingKind.RETRY,
            ComingKind.DEBOUNCE,
        )
    ),
    AlarmKind.CRON_DUE: frozenset((ComingKind.CRON,)),
    AlarmKind.SCHEDULE_DUE: frozenset((ComingKind.SCHEDULE,)),
    AlarmKind.WAIT_DUE: frozenset((ComingKind.SLEEP,)),
    AlarmKind.DORMANT_DUE: frozenset((ComingKind.SLEEP,)),
    AlarmKind.SEGMENT_DUE: frozenset((ComingKind.SCHEDULE_TIMEOUT,)),
    AlarmKind.BATCH_INTERVAL: frozenset((ComingKind.BATCH,)),
    AlarmKind.LIMIT_REFILLED: frozenset((ComingKind.RATE_LIMIT,)),
}


def time_to_come(state: State, question: TimeToCome) -> ComingPage:
    limit = min(question.limit, PAGE_MAX)
    rows = _first(state, question, limit + 1)
    horizon = state.calendar.horizon
    return ComingPage(tuple(rows[:limit]), len(rows) > limit, None if horizon is None else horizon[0])


def _first(state: State, question: TimeToCome, count: int) -> list[Coming]:
    after, kinds = question.after or (-(1 << 62), 0), question.kinds
    heap = state.timers.alarms()
    near = islice(in_order(heap), _LOOKED_AT_MAX)
    found = list(islice(_told(near, after, kinds, set()), count))
    if len(found) == count or len(heap) <= _LOOKED_AT_MAX:
        return found
    at_us, number = after
    alarm_kinds = frozenset(kind for kind, told_as in _TOLD_AS.items() if not kinds or kinds & told_as)
    told = {(at_us, id(alarm[3])) for alarm in heap if alarm[0] == at_us and alarm[1] <= number}
    left = [a for a in heap if (a[0] > at_us or (a[0] == at_us and a[1] > number)) and a[2] in alarm_kinds]
    heapq.heapify(left)
    return list(islice(_told(in_order(left), after, kinds, told), count))


def _told(
    alarms: Iterable[Alarm], after: tuple[int, int], kinds: frozenset[ComingKind], told: set[tuple[int, int]]
) -> Iterator[Coming]:
    """What is told of alarms in order. One that was disarmed and armed for the same instant again is there twice, and
    told once: by the first. `told` are those of the instant of `after` that were."""
    for alarm in alarms:
        at_us, number, _, subject = alarm
        if at_us < after[0]:
            continue
        kind = _kind(alarm)
        is_wanted = kind is not None and (not kinds or kind in kinds) and is_valid(alarm)
        if kind is None or not is_wanted or (at_us, id(subject)) in told:
            continue
        told.add((at_us, id(subject)))
        if (at_us, number) > after:
            yield _row(at_us, number, kind, subject)


def _kind(alarm: Alarm) -> ComingKind | None:
    kind, subject = alarm[2], alarm[3]
    if kind is not AlarmKind.TASK_DUE or not isinstance(subject, Task):
        return next(iter(_TOLD_AS.get(kind, ())), None)
    match subject.status:
        case TaskStatus.QUEUED:
            return ComingKind.SCHEDULE_TIMEOUT
        case TaskStatus.RUNNING:
            return ComingKind.EXECUTION_TIMEOUT
        case TaskStatus.BACKOFF:
            return ComingKind.DEBOUNCE if subject.retry_count == 0 else ComingKind.RETRY
        case _:
            return None


def _row(at_us: int, number: int, kind: ComingKind, subject: Subject) -> Coming:
    match subject:
        case Task():
            return _of_task(at_us, number, kind, subject)
        case Wait():
            owner = subject.owner
            return _of_task(at_us, number, kind, owner.task if isinstance(owner, Gate) else owner.log.task)
        case Dormant():
            return Coming(at_us, number, kind, run_id=subject.task_id, task_id=subject.task_id)
        case Schedule():
            return Coming(at_us, number, kind, schedule_id=subject.row.id, workflow_id=subject.row.workflow_id)
        case Cron():
            row = Coming(at_us, number, kind, cron_id=subject.id, key=subject.expression.text)
            return _of(subject.workflow, row)
        case Lane():
            row = Coming(at_us, number, kind, key=subject.waits_for, count=len(subject))
            return _of(subject.shape.key.workflow, row)
        case BatchGroup():
            row = Coming(at_us, number, kind, key=subject.id[1], count=subject.count)
            return _of(subject.shape.key.workflow, row)
        case Segment():
            return _of(subject.lane.shape.key.workflow, Coming(at_us, number, kind, count=len(subject)))
        case _:
            raise AssertionError(f"nobody is told of alarms for a {type(subject).__name__}")


def _of_task(at_us: int, number: int, kind: ComingKind, task: Task) -> Coming:
    run, burst = task.run, task.run.burst
    key = burst.id[1] if kind is ComingKind.DEBOUNCE and burst is not None else None
    row = Coming(at_us, number, kind, run_id=run.id, task_id=task.id, task_name=task.definition.name, key=key)
    return _of(run.version.workflow, row)


def _of(workflow: Workflow, row: Coming) -> Coming:
    return msgspec.structs.replace(row, workflow_id=workflow.id, workflow_name=workflow.name)
