"""Which worker takes a task: eligibility, labels, sticky rules, turns (sections 2.5 to 2.7).

Labels filter and rank also when a sticky strategy is set. `required` defaults to false. A label whose value has the
wrong type for the comparison is not met, whatever the comparator.

Cost: a look at every worker of the action that may have room (`crews.py`) for a task with labels, at one for others.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Final

from broadaxe.core.commands.workers import LabelValue
from broadaxe.core.definition import Comparator, LabelRequirement
from broadaxe.core.model import Worker
from broadaxe.core.queues import ActionQueue, Shape

#: A worker takes new tasks while its last heartbeat is at most this old. Clients send one every 4 s; the margin keeps a
#: single late one from stopping assignment (grpc specification 4.4).
HEARTBEAT_FRESH_US: Final = 10_000_000

_ORDERING: Final[dict[Comparator, Callable[[int, int], bool]]] = {
    Comparator.GREATER_THAN: gt,
    Comparator.GREATER_THAN_OR_EQUAL: ge,
    Comparator.LESS_THAN: lt,
    Comparator.LESS_THAN_OR_EQUAL: le,
}


def pick_worker(queue: ActionQueue, shape: Shape, now_us: int) -> Worker | None:
    """The worker that may take the next task of `shape`, None when there is none."""
    labels, sticky_worker = shape.key.labels, shape.key.sticky_worker
    if sticky_worker is not None:
        worker = queue.crew.find(sticky_worker)
        if worker is not None and _can_take(worker, shape, now_us) and score(worker, labels) is not None:
            return worker
        if shape.key.is_hard:
            return None
    best: Worker | None = None
    best_score = 0
    for worker in queue.crew.in_turn(shape.room):
        if not _can_take(worker, shape, now_us):
            queue.crew.rest(worker, shape.room)
            continue
        if not labels:
            return worker
        found = score(worker, labels)
        if found is not None and (best is None or found > best_score):
            best, best_score = worker, found
    return best


def is_schedulable(worker: Worker, now_us: int) -> bool:
    """Connected, not paused, and heard of lately (section 2.5)."""
    heartbeat = worker.last_heartbeat_at_us
    return (
        worker.session is not None
        and not worker.is_paused
        and heartbeat is not None
        and now_us - heartbeat <= HEARTBEAT_FRESH_US
    )


def score(worker: Worker, labels: tuple[LabelRequirement, ...]) -> int | None:
    """Sum of the weights of met labels; None when a required one is not met."""
    total = 0
    for label in labels:
        if is_met(worker.labels.get(label.key), label):
            total += label.weight
        elif label.required:
            return None
    return total


def is_met(value: LabelValue | None, label: LabelRequirement) -> bool:
    """Whether a worker's `value` ⟨comparator⟩ the desired value holds."""
    if value is None or type(value) is not type(label.value):
        return False
    if label.comparator is Comparator.EQUAL:
        return bool(eq(value, label.value))
    if label.comparator is Comparator.NOT_EQUAL:
        return bool(ne(value, label.value))
    if not isinstance(value, int) or not isinstance(label.value, int):
        return False
    return _ORDERING[label.comparator](value, label.value)


def _can_take(worker: Worker, shape: Shape, now_us: int) -> bool:
    if shape.key.is_durable and not worker.takes_durable_tasks:
        return False
    return is_schedulable(worker, now_us) and worker.has_room_for(shape.slots)
