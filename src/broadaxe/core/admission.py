"""From queued to assigned: concurrency groups are decided, what they admit is queued, what a worker can take is given.

The loop ends when nothing moves any more: a group that cancels frees slots, a freed slot admits, an admitted task may
be assigned. Each pass only looks at groups and queues that something happened to.
"""

from __future__ import annotations

import heapq

from broadaxe.core import affinity, attempts, concurrency, dag, families, ratelimits
from broadaxe.core.batching import UNITS, Batch, BatchGroup
from broadaxe.core.definition import LimitStrategy
from broadaxe.core.keys import DEFAULT_BATCH
from broadaxe.core.lifecycle import TaskEventType
from broadaxe.core.model import Run, Task, Worker
from broadaxe.core.queues import ActionQueue, Lane, Shape, ShapeKey
from broadaxe.core.state import State
from broadaxe.core.timers import AlarmKind


def settle(state: State, now_us: int) -> None:
    """Admits and assigns until nothing more can be."""
    while state.undecided or state.hot:
        while state.undecided:
            _decide(state, state.undecided.pop(next(iter(state.undecided))), now_us)
        _assign(state, now_us)


def _decide(state: State, group: concurrency.Group, now_us: int) -> None:
    verdict = group.decide()
    for ticket in verdict.losers:
        if ticket.holder is not None:
            _cancel(state, ticket.holder, group.strategy, now_us)
    for ticket in verdict.admitted:
        if ticket.holder is None:
            continue
        holder = concurrency.admit(ticket)
        if isinstance(holder, Run):
            state.ledger.touch_run(holder)
            if concurrency.proceed_run(state, holder):
                held_back = list(holder.held_back.values())
                holder.held_back.clear()
                for task in held_back:
                    _proceed(state, task, now_us)
        else:
            state.ledger.touch_task(holder)
            _proceed(state, holder, now_us)
    if group.is_empty():
        state.groups.pop(group.id, None)


def _proceed(state: State, task: Task, now_us: int) -> None:
    if concurrency.proceed(state, task):
        attempts.restart_schedule_timeout(state, task, now_us)
        attempts.make_ready(state, task)


def _cancel(state: State, holder: concurrency.Holder, strategy: LimitStrategy, now_us: int) -> None:
    reason = f"cancelled by the concurrency strategy {strategy}"
    if isinstance(holder, Run):
        dag.cancel_run(state, holder, reason, now_us)
    else:
        attempts.cancel(state, holder, reason, now_us)
        dag.settle_task(state, holder, now_us)


def _assign(state: State, now_us: int) -> None:
    """One task per queue in turn, so that a long queue does not keep a short one from a worker they share."""
    hot = state.hot
    while hot:
        queue = _next_queue(state)
        del hot[queue.action_id]
        if _assign_one(state, queue, now_us):
            hot[queue.action_id] = queue


def _next_queue(state: State) -> ActionQueue:
    """The queue in turn, of those that need not stand back if there are any; with priority across tasks, the one whose
    first task is the most urgent."""
    hot = state.hot
    if len(hot) == 1 or not (state.prioritise_across_queues or state.families):
        return next(iter(hot.values()))
    if state.prioritise_across_queues:
        return min(hot.values(), key=lambda queue: (_urgency(queue), families.stands_back(state, queue)))
    return next((queue for queue in hot.values() if not families.stands_back(state, queue)), next(iter(hot.values())))


def _urgency(queue: ActionQueue) -> int:
    shapes = queue.open_shapes()
    return shapes[0][0][0] if shapes else 0


def _assign_one(state: State, queue: ActionQueue, now_us: int) -> bool:
    """Gives one task of the queue away, the first in order that can go. True when the queue must be looked at again."""
    if queue.ripe and not queue.are_batches_blocked and _flush_one(state, queue, now_us):
        return True
    shapes = queue.open_shapes()
    while shapes:
        _, number, shape = heapq.heappop(shapes)
        if _assign_first(state, shape, now_us):
            return True
        # Its first lane may have been parked: the next may stand behind another shape's.
        found = None if shape.is_blocked else shape.peek()
        if found is not None:
            heapq.heappush(shapes, (found[0], number, shape))
        if shapes and state.prioritise_across_queues:
            return True  # What comes next here may be less urgent than another queue's first.
    return False


def _assign_first(state: State, shape: Shape, now_us: int) -> bool:
    """Gives the first task of the shape away. If that cannot be, blocks the shape or parks the task's lane."""
    found = shape.peek()
    assert found is not None
    _, lane, task = found
    gathers = shape.key.gathers
    worker = None if gathers else affinity.pick_worker(shape.queue, shape, now_us)
    if worker is None and not gathers:
        shape.is_blocked = True
        _note_no_worker(state, task, now_us)
        return False
    reason = ratelimits.denial(state, lane.limits, now_us) if lane.limits else None
    if reason is not None:
        _note_limited(state, task, reason, now_us)
        _park(state, lane, reason)
        return False
    if lane.limits:
        ratelimits.consume(state, lane.limits, now_us)
    shape.take(lane)
    if state.families:
        families.left(state, task)
    if worker is None:
        _gather(state, task, shape.queue, now_us)
    else:
        shape.queue.crew.had_its_turn(worker)
        attempts.assign(state, task, worker, now_us)
        dag.settle_task(state, task, now_us)
    return True


def ripen(state: State, group: BatchGroup) -> None:
    """The group's interval is over. An empty one is forgotten."""
    group.flush_at_us = None
    group.is_over = True
    if group.count:
        _check_ripe(state, group)
    else:
        state.tidy_batch_group(group)


def batch_group(state: State, task: Task, queue: ActionQueue) -> BatchGroup:
    """The group `task` belongs to, made if there is none."""
    definition, keys = task.definition, task.run.keys
    assert definition.batch is not None
    group_id = (definition.id, DEFAULT_BATCH if keys is None else keys.tasks[task.position].batch)
    group = state.batch_groups.get(group_id)
    if group is None:
        slots, is_durable = tuple(UNITS.items()), definition.is_durable
        key = ShapeKey(task.run.version.workflow, slots, definition.labels, None, False, is_durable=is_durable)
        shape = Shape(queue, key)
        group = state.batch_groups[group_id] = BatchGroup(group_id, shape, definition.batch)
    return group


def gather_again(state: State, task: Task) -> None:
    """After a load: the item is back in its group; nothing is taken or told again. Whatever was left of the interval
    is not known any more, so it counts from the arrival of the group's first item."""
    group = batch_group(state, task, state.queue(task.definition.action_id))
    group.add(task)
    arrived_at_us = attempts.ready_since_us(task)
    if group.flush_at_us is None or arrived_at_us + group.rule.interval_us < group.flush_at_us:
        _start_interval(state, group, arrived_at_us)
    _check_ripe(state, group)


def _gather(state: State, task: Task, queue: ActionQueue, now_us: int) -> None:
    group = batch_group(state, task, queue)
    if group.flush_at_us is None and not group.is_over:
        _start_interval(state, group, now_us)
    attempts.gather(state, task, group, now_us)
    _check_ripe(state, group)


def _check_ripe(state: State, group: BatchGroup) -> None:
    queue = group.shape.queue
    if group.reason_to_flush() is not None and group.id not in queue.ripe:
        queue.ripe[group.id] = group
        queue.are_batches_blocked = False
        state.heat(queue)


def _flush_one(state: State, queue: ActionQueue, now_us: int) -> bool:
    for group in list(queue.ripe.values()):
        reason = group.reason_to_flush()
        head = group.head()
        if reason is None or head is None:
            del queue.ripe[group.id]
            continue
        if group.shape.key.workflow.pause is not None:
            continue
        worker = affinity.pick_worker(queue, group.shape, now_us)
        if worker is None:
            _note_no_worker(state, head, now_us)
            continue
        _flush(state, group, worker, reason, now_us)
        return True
    queue.are_batches_blocked = bool(queue.ripe)
    return False


def _flush(state: State, group: BatchGroup, worker: Worker, reason: str, now_us: int) -> None:
    queue = group.shape.queue
    queue.crew.had_its_turn(worker)
    batch = Batch(state.new_id(), group, worker)
    state.batches[batch.id] = batch
    group.running.add(batch.id)
    items = group.take()
    attempts.assign_batch(state, batch, items, reason, now_us)
    _start_interval(state, group, now_us)
    if group.reason_to_flush() is None:
        del queue.ripe[group.id]
    for task in items:
        dag.settle_task(state, task, now_us)


def _start_interval(state: State, group: BatchGroup, now_us: int) -> None:
    was_armed = group.flush_at_us is not None
    group.is_over = False
    group.flush_at_us = now_us + group.rule.interval_us
    if was_armed:
        state.timers.disarm()
    state.timers.arm(group.flush_at_us, AlarmKind.BATCH_INTERVAL, group)


def _park(state: State, lane: Lane, reason: ratelimits.Denial) -> None:
    state.wait_for_limit(lane, reason.key)
    state.park(lane, reason.until_us)


def _note_no_worker(state: State, task: Task, now_us: int) -> None:
    if not task.was_requeued:
        task.was_requeued = True
        state.ledger.touch_task(task)
        message = "no worker with a free slot fits this task"
        state.ledger.record(task, TaskEventType.REQUEUED_NO_WORKER, now_us, message=message)


def _note_limited(state: State, task: Task, reason: ratelimits.Denial, now_us: int) -> None:
    if not task.was_limited:
        task.was_limited = True
        state.ledger.touch_task(task)
        message = f"rate limit {reason.key!r}: {reason.wanted} units wanted, {reason.left} left"
        state.ledger.record(task, TaskEventType.REQUEUED_RATE_LIMIT, now_us, message=message)
