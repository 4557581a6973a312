"""What happens to a task from being queued to its end: every move of `lifecycle.py`'s table is made here.

Invariants: a task holds worker units exactly while it is RUNNING and its slot was not released; a task's deadline is
armed exactly while it is not terminal and not WAITING; an outcome, the units it frees and what follows from it are one
decision. Everything a finished task sets in motion downstream is in `dag.py`.

Source: semantics 1.9 to 1.12.
"""

from __future__ import annotations

from typing import Final

from broadaxe.core import concurrency, conditions, families, waits
from broadaxe.core.batching import UNITS, Batch, BatchGroup
from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.decision import CancelAttempt, InvocationOver, Progress, StartAttempt, StartBatch, TaskProgressed
from broadaxe.core.definition import LabelRequirement, Sticky, TaskDefinition
from broadaxe.core.durable_log import DurableLog
from broadaxe.core.durations import DURATION_US_MAX, US_PER_MS, US_PER_S, declared_duration, format_duration
from broadaxe.core.keys import fairness_key
from broadaxe.core.lifecycle import Signal, TaskEventType, TaskStatus, next_status
from broadaxe.core.model import RETRY_PRIORITY, Task, Worker, Workflow
from broadaxe.core.queues import LimitNeeds, ShapeKey
from broadaxe.core.state import State
from broadaxe.core.timers import AlarmKind

#: Re-attempts after lost workers and failed deliveries before the task fails (section 1.11).
INTERNAL_RETRIES_MAX: Final = 10
DELIVERY_BACKOFF_MIN_US: Final = 100 * US_PER_MS
DELIVERY_BACKOFF_MAX_US: Final = 5 * US_PER_S
#: How long after it was cut off from the engine the failure of a durable task's attempt is put down to that. Longer
#: than clients wait for the answer to an operation before they let it fail (60 s).
CUT_OFF_US: Final = 90 * US_PER_S
#: How long after it was cut off an attempt is not timed out: its worker may be about to say what came of it. As long
#: as workers have to be heard of again.
REPORT_US: Final = 30 * US_PER_S
#: How long a worker may take to say it started an attempt that was sent on a stream now gone.
CONFIRM_US: Final = 5 * US_PER_S

SKIPPED_OUTPUT: Final = '{"skipped": true}'


def move(task: Task, signal: Signal) -> None:
    """The one place where a task's status changes, by the table."""
    after = next_status(task.status, signal)
    assert after is not None, f"{signal} is illegal for a task that is {task.status}"
    task.status = after


def wait(state: State, task: Task, now_us: int) -> None:
    """A task that is WAITING waits for its conditions."""
    state.ledger.touch_task(task)
    state.ledger.record(task, TaskEventType.CREATED, now_us, message="waits for its conditions")


def enqueue(state: State, task: Task, now_us: int, priority: int | None = None) -> None:
    """A task that is QUEUED by now asks for its concurrency slots, or enters its action's queue if it needs none."""
    if priority is not None:
        task.queue_priority = priority
    task.queued_at_us = now_us
    task.was_requeued = task.was_limited = False
    _set_due(state, task, now_us + task.definition.schedule_timeout_us)
    state.ledger.touch_task(task)
    state.ledger.record(task, TaskEventType.QUEUED, now_us)
    if concurrency.enter(state, task):
        make_ready(state, task)


def make_ready(state: State, task: Task) -> None:
    """Puts a task that holds all its concurrency slots into its action's queue."""
    run, definition = task.run, task.definition
    limits: LimitNeeds = ()
    if run.keys is not None:
        limits = tuple((limit.key, limit.units) for limit in run.keys.tasks[task.position].limits)
        task.fairness_key = fairness_key(run.version, task.position, run.keys)
    sticky = run.version.definition.sticky
    worker_id = None if sticky is None else _sticky_worker(task)
    labels = definition.labels if run.labels is None else run.labels
    is_hard = worker_id is not None and sticky is Sticky.HARD
    shape = shape_of(run.version.workflow, definition, labels, worker_id, is_hard)
    queue = state.queue(definition.action_id)
    lane = queue.push(task, shape, limits)
    if run.row.parent_task_id is not None:
        families.joined(state, task)
    if lane.hot > state.hot_tasks_max:
        state.freezable.append(task)
    state.heat(queue)


def ready_since_us(task: Task) -> int:
    """When a queued task began its present wait: what its row says of its deadline tells."""
    assert task.due_at_us is not None
    return task.due_at_us - task.definition.schedule_timeout_us


def shape_of(
    workflow: Workflow,
    definition: TaskDefinition,
    labels: tuple[LabelRequirement, ...],
    sticky_worker: str | None,
    is_hard: bool,
) -> ShapeKey:
    """What a task needs of a worker; items of a batch task are on their way to their group and need nothing yet."""
    if definition.batch is not None:
        return ShapeKey(workflow, (), (), None, False, gathers=True)
    slots = tuple(sorted(definition.slots.items()))
    return ShapeKey(workflow, slots, labels, sticky_worker, is_hard, is_durable=definition.is_durable)


def restart_schedule_timeout(state: State, task: Task, now_us: int) -> None:
    """The clock starts anew when a task moves on from a concurrency queue (section 1.12)."""
    _set_due(state, task, now_us + task.definition.schedule_timeout_us)
    state.ledger.touch_task(task)


def gather(state: State, task: Task, group: BatchGroup, now_us: int) -> None:
    """Puts an item of a batch task into its group, with a fresh schedule timeout."""
    group.add(task)
    restart_schedule_timeout(state, task, now_us)
    message = f"{group.count} of {group.rule.max_size} items, key {group.id[1]!r}"
    state.ledger.record(task, TaskEventType.WAITING_FOR_BATCH, now_us, message=message)


def assign(state: State, task: Task, worker: Worker, now_us: int) -> None:
    """Gives the attempt to `worker`, which has been checked to have room."""
    worker.take(task.definition.slots)
    state.ledger.emit(_begin(state, task, worker, now_us))


def assign_batch(state: State, batch: Batch, items: list[Task], reason: str, now_us: int) -> None:
    """Gives the attempts to the batch's worker as one unit."""
    group, worker = batch.group, batch.worker
    assert worker.session is not None
    worker.take(UNITS)
    message = f"batch {batch.id}, {len(items)} of {group.rule.max_size} items, {reason}"
    starts: list[StartAttempt] = []
    for task in items:
        task.batch, task.batch_id = batch, batch.id
        batch.live.add(task.id)
        state.ledger.record(task, TaskEventType.BATCH_FLUSHED, now_us, message=message)
        starts.append(_begin(state, task, worker, now_us))
    action_id = group.shape.queue.action_id
    state.ledger.emit(
        StartBatch(worker.id, worker.session, batch.id, group.id[1], reason, action_id, now_us, tuple(starts))
    )


def _begin(state: State, task: Task, worker: Worker, now_us: int) -> StartAttempt:
    move(task, Signal.ASSIGN)
    task.worker, task.worker_id = worker, worker.id
    task.slot_released = False
    task.assigned_at_us = now_us
    task.started_at_us = task.cut_off_at_us = None
    task.worker_behind_us = 0
    worker.running[task.id] = task
    if len(worker.turns) > 1:
        action_id = task.definition.action_id
        worker.turns.pop(action_id, None)
        worker.turns[action_id] = worker.turn_count
        worker.turn_count += 1
    _set_due(state, task, now_us + task.definition.execution_timeout_us)
    ledger = state.ledger
    ledger.touch_task(task)
    if task.definition.is_durable:
        _begin_invocation(state, task)
    ledger.record(task, TaskEventType.ASSIGNED, now_us, worker=worker)
    ledger.record(task, TaskEventType.SENT_TO_WORKER, now_us, worker=worker)
    return _start_effect(task, worker)


def _begin_invocation(state: State, task: Task) -> None:
    if task.log is None:
        task.log = DurableLog(task)
    task.log.begin_invocation()
    state.ledger.touch_log(task.log)


def evict(state: State, task: Task, reason: str, now_us: int) -> None:
    """Takes a waiting durable task off its worker. It keeps its concurrency slots and has no deadline (section 6.6)."""
    worker = task.worker
    move(task, Signal.EVICT)
    _free_units(state, task)
    _stop_confirming(state, task)
    task.worker = task.worker_id = None
    task.slot_released = False
    _clear_due(state, task)
    state.evicted.append(task)
    state.ledger.touch_task(task)
    state.ledger.record(task, TaskEventType.DURABLE_EVICTED, now_us, worker=worker, message=reason)


def restore(state: State, task: Task, now_us: int) -> None:
    """Queues an evicted task again, before others, with the slots it kept."""
    move(task, Signal.RESTORE)
    task.queue_priority = RETRY_PRIORITY
    task.queued_at_us = now_us
    task.was_requeued = task.was_limited = False
    _set_due(state, task, now_us + task.definition.schedule_timeout_us)
    state.ledger.touch_task(task)
    state.ledger.record(task, TaskEventType.DURABLE_RESTORING, now_us)
    make_ready(state, task)


def start(state: State, task: Task, now_us: int, said_us: int | None = None) -> None:
    """The worker says the attempt runs, since `said_us` by its clock. Writes history only: the task's row follows with
    its next change."""
    if task.started_at_us is not None:
        return
    at_us = now_us
    if said_us is not None:
        assigned_at_us = task.assigned_at_us or 0
        # Of a clock that is wrong only the difference to its next word counts, and for that there must be room.
        at_us = said_us if assigned_at_us <= said_us <= now_us else assigned_at_us
        task.worker_behind_us = at_us - said_us
    task.started_at_us = at_us
    _stop_confirming(state, task)
    run = task.run
    if run.started_at_us is None and task.position != run.version.key_position:
        run.started_at_us = at_us
    state.ledger.record(task, TaskEventType.STARTED, at_us, worker=task.worker)
    _publish(state, task, Progress.STARTED, "", at_us)


def ended_at_us(task: Task, said_us: int | None, now_us: int) -> int:
    """When the attempt ended that a worker says ended at `said_us` by its clock. That one may be wrong: it counts from
    when it said the attempt began, and not at all if what comes out cannot be."""
    if said_us is None:
        return now_us
    at_us = said_us + task.worker_behind_us
    began_at_us = task.started_at_us or task.assigned_at_us or 0
    return at_us if began_at_us <= at_us <= now_us else now_us


def complete(state: State, task: Task, output: str, now_us: int, at_us: int | None = None) -> None:
    """`at_us`: when it was done, if that is known to have been before now."""
    at_us = now_us if at_us is None else at_us
    move(task, Signal.COMPLETE)
    worker = task.worker
    _end(state, task, at_us)
    task.output = output
    state.ledger.record(task, TaskEventType.FINISHED, at_us, worker=worker)
    _publish(state, task, Progress.COMPLETED, output, at_us)


def skip(state: State, task: Task, now_us: int) -> None:
    """Ends a task that never ran. A new task is made SKIPPED; an existing one must be WAITING."""
    if task.status is not TaskStatus.SKIPPED:
        move(task, Signal.SKIP)
    _end(state, task, now_us)
    task.output = SKIPPED_OUTPUT
    state.ledger.record(task, TaskEventType.SKIPPED, now_us)
    _publish(state, task, Progress.COMPLETED, SKIPPED_OUTPUT, now_us)


def fail_at_birth(state: State, task: Task, error: str, now_us: int) -> None:
    """The task cannot run at all: an expression of its definition failed on the run's input (section 3.1)."""
    if task.status is not TaskStatus.FAILED:
        move(task, Signal.FAIL)
    _end(state, task, now_us)
    task.error = error
    state.ledger.record(task, TaskEventType.FAILED, now_us, error=error)
    _publish(state, task, Progress.FAILED, error, now_us)


def fail(
    state: State,
    task: Task,
    error: str,
    now_us: int,
    *,
    is_retryable: bool = True,
    retry_after_us: int | None = None,
    timed_out: bool = False,
    at_us: int | None = None,
) -> None:
    """An application failure: the attempt ended at `at_us` (now, if that is not known), and another follows while the
    retry budget lasts."""
    at_us = now_us if at_us is None else at_us
    definition = task.definition
    ledger = state.ledger
    ledger.record(
        task,
        TaskEventType.TIMED_OUT if timed_out else TaskEventType.FAILED,
        at_us,
        worker=task.worker,
        error=error,
        message=f"the attempt ran longer than {format_duration(definition.execution_timeout_us)}" if timed_out else "",
    )
    _publish(state, task, Progress.TIMED_OUT if timed_out else Progress.FAILED, error, at_us)
    if is_retryable and task.app_retry_count < definition.retries:
        task.app_retry_count += 1
        delay_us = (
            definition.backoff_us(task.app_retry_count)
            if retry_after_us is None
            else min(retry_after_us, DURATION_US_MAX)
        )
        message = f"retry {task.app_retry_count} of {definition.retries}"
        if delay_us:
            message += f" after {format_duration(delay_us)}"
        _retry(state, task, now_us, delay_us, TaskEventType.RETRYING, message)
        return
    move(task, Signal.FAIL)
    _end(state, task, at_us)
    task.error = error


def is_cut_off_failure(task: Task, now_us: int) -> bool:
    """Whether a failure reported now says nothing of the program: an operation of a durable task fails in its client
    when the engine or the stream goes away under it. The log is there to do the attempt again, which costs no retry of
    the user's, once for each attempt."""
    return (
        task.definition.is_durable
        and task.cut_off_at_us is not None
        and now_us - task.cut_off_at_us < CUT_OFF_US
        and task.internal_retry_count < INTERNAL_RETRIES_MAX
    )


def reassign(state: State, task: Task, reason: str, now_us: int) -> None:
    """The worker is lost: the next attempt goes elsewhere, outside the user's retry budget (section 1.11)."""
    if task.internal_retry_count >= INTERNAL_RETRIES_MAX:
        _give_up(state, task, now_us)
        return
    task.internal_retry_count += 1
    _retry(state, task, now_us, 0, TaskEventType.REASSIGNED, reason)


def fail_delivery(state: State, task: Task, reason: str, now_us: int) -> None:
    """The assignment never reached its worker's stream."""
    state.ledger.record(task, TaskEventType.COULD_NOT_SEND_TO_WORKER, now_us, worker=task.worker, message=reason)
    if task.internal_retry_count >= INTERNAL_RETRIES_MAX:
        _give_up(state, task, now_us)
        return
    task.internal_retry_count += 1
    delay_us = min(DELIVERY_BACKOFF_MAX_US, DELIVERY_BACKOFF_MIN_US << (task.internal_retry_count - 1))
    _retry(state, task, now_us, delay_us, TaskEventType.RETRYING, "the assignment is sent again")


def refuse_delivery(state: State, task: Task, size_bytes: int, size_bytes_max: int, now_us: int) -> None:
    """The assignment is larger than its worker takes. By itself: then it always will be, and no attempt helps. In its
    batch: then it is sent again, in a batch that is cut with what is known now."""
    if size_bytes > size_bytes_max:
        error = (
            f"the assignment is too large to be sent: with the run's input and the outputs of earlier tasks it has "
            f"{size_bytes} bytes, and a worker receives at most {size_bytes_max}; pass large data by reference"
        )
        fail(state, task, error, now_us, is_retryable=False)
        return
    task.run.input_bytes = size_bytes
    fail_delivery(state, task, f"its batch had more than the {size_bytes_max} bytes a worker receives", now_us)


def cancel(
    state: State, task: Task, reason: str, at_us: int, event_type: TaskEventType = TaskEventType.CANCELLED
) -> None:
    """Ends a task from outside, wherever it waits or runs. A new task is made CANCELLED."""
    worker = task.worker
    was_postponed = task.status is TaskStatus.BACKOFF and task.retry_count == 0
    if task.status is TaskStatus.RUNNING:
        stop_on_worker(state, task)
    if task.status is not TaskStatus.CANCELLED:
        move(task, Signal.CANCEL)
    if was_postponed and not task.run.is_postponed:
        state.end_burst(task.run)
    _end(state, task, at_us)
    task.error = reason
    state.ledger.record(task, event_type, at_us, worker=worker, message=reason)
    _publish(state, task, Progress.CANCELLED, reason, at_us)


def time_out_in_queue(state: State, task: Task, now_us: int) -> None:
    """The schedule timeout passed: a cancellation by another name (section 1.12). Or, while the workflow is paused,
    the task has grown too old."""
    pause = task.run.version.workflow.pause
    if pause is not None:
        limit = format_duration(pause.queue_ttl_us)
        cancel(state, task, f"older than the queue TTL of {limit} while its workflow was paused", now_us)
        return
    limit = format_duration(task.definition.schedule_timeout_us)
    reason = f"no worker took the task within its schedule timeout of {limit}"
    cancel(state, task, reason, now_us, TaskEventType.SCHEDULING_TIMED_OUT)


def time_out(state: State, task: Task, now_us: int) -> None:
    """The execution timeout passed: the worker is told to stop, and the attempt counts as failed. Unless it was cut off
    from the engine while it ran: its worker may have done the work, and its report be lost."""
    limit = format_duration(task.definition.execution_timeout_us)
    if task.cut_off_at_us is not None and task.internal_retry_count < INTERNAL_RETRIES_MAX:
        may_report_until_us = task.cut_off_at_us + REPORT_US
        if now_us < may_report_until_us:
            _set_due(state, task, may_report_until_us)
            state.ledger.touch_task(task)
            return
        stop_on_worker(state, task)
        reason = f"no report within {limit}, but the attempt was cut off from the engine meanwhile: it may be lost"
        reassign(state, task, reason, now_us)
        return
    stop_on_worker(state, task)
    # Clients look for these words (section 13.1).
    declared = declared_duration(task.definition.execution_timeout_us)
    fail(state, task, f"Task exceeded timeout of {declared}: execution timed out", now_us, timed_out=True)


def refresh_timeout(state: State, task: Task, by_us: int, now_us: int) -> int:
    """Adds to the current deadline (not to now), up to the longest duration there is; returns the new one."""
    assert task.due_at_us is not None
    due_at_us = min(task.due_at_us + by_us, now_us + DURATION_US_MAX)
    _set_due(state, task, due_at_us)
    state.ledger.touch_task(task)
    state.ledger.record(
        task,
        TaskEventType.TIMEOUT_REFRESHED,
        now_us,
        worker=task.worker,
        message=f"the execution deadline moved by {format_duration(by_us)}",
    )
    return due_at_us


def release_slot(state: State, task: Task, now_us: int) -> None:
    """Frees the worker's units while the attempt runs on; lost workers no longer take this attempt with them."""
    if task.slot_released or task.worker is None:
        return
    state.ledger.record(task, TaskEventType.SLOT_RELEASED, now_us, worker=task.worker)
    _free_units(state, task)
    _stop_confirming(state, task)
    task.slot_released = True
    state.ledger.touch_task(task)


def postpone(state: State, task: Task, until_us: int, reason: str, now_us: int) -> None:
    """A new task in BACKOFF, the root of a debounced run, waits until then before it is queued at all."""
    _set_due(state, task, until_us)
    state.ledger.touch_task(task)
    state.ledger.record(task, TaskEventType.CREATED, now_us, message=reason)


def end_postponement(state: State, task: Task) -> None:
    """The root of a debounced run waits for its conditions from now on."""
    move(task, Signal.HOLD)
    state.end_burst(task.run)
    _clear_due(state, task)


def elapse_backoff(state: State, task: Task, now_us: int) -> None:
    move(task, Signal.ENQUEUE)
    if task.retry_count == 0:
        state.end_burst(task.run)
        enqueue(state, task, now_us)
    else:
        enqueue(state, task, now_us, RETRY_PRIORITY)


def expect_confirmation(state: State, task: Task, now_us: int) -> None:
    """The stream the attempt was sent on is gone before the worker confirmed it: give it a moment, then send again.

    A question for a group key counts as unconfirmed until it is answered: the SDKs that know it send the answer once,
    and it is lost with the connection."""
    is_unconfirmed = task.started_at_us is None or task.position == task.run.version.key_position
    if is_unconfirmed and task.confirm_by_us is None and not task.slot_released:
        task.confirm_by_us = now_us + CONFIRM_US
        state.timers.arm(task.confirm_by_us, AlarmKind.DELIVERY_UNCONFIRMED, task)


def trust_delivery(state: State, task: Task) -> None:
    """The stream the attempt was sent on is open, and it came there. An answer to a question for a group key may be
    lost all the same."""
    if task.position != task.run.version.key_position:
        _stop_confirming(state, task)


def resume(state: State, task: Task, now_us: int) -> None:
    """The engine was away while the attempt ran: its report may be lost, and its confirmation gets a moment anew."""
    task.cut_off_at_us = now_us
    if task.confirm_by_us is not None:
        _stop_confirming(state, task)
        expect_confirmation(state, task, now_us)


def stop_on_worker(state: State, task: Task) -> None:
    """Tells the worker that holds the attempt to stop it."""
    # A worker that was forgotten and came back is another object by now.
    worker = None if task.worker is None else state.workers.get(task.worker.id)
    if worker is not None and worker.session is not None:
        definition = task.definition
        state.ledger.emit(
            CancelAttempt(
                worker.id,
                worker.session,
                task.id,
                task.run.id,
                definition.id,
                definition.name,
                definition.action_id,
                task.retry_count,
                task.position == task.run.version.key_position,
                None if task.log is None else task.log.invocation_count,
            )
        )


def _hang_up(state: State, task: Task) -> None:
    """What the task's present invocation was told of is nothing to its stream any more."""
    log = task.log
    if log is not None and log.stream is not None:
        ref = EntryRef(task.id, log.invocation_count, 0, 0)
        state.ledger.emit(InvocationOver(stream=log.stream, ref=ref))
        log.stream = None


def _retry(state: State, task: Task, now_us: int, delay_us: int, event_type: TaskEventType, message: str) -> None:
    _free_units(state, task)
    _stop_confirming(state, task)
    _hang_up(state, task)
    concurrency.leave(state, task)
    concurrency.rest(state, task)
    task.retry_count += 1
    task.worker = task.worker_id = None
    task.slot_released = False
    task.batch_id = None
    task.assigned_at_us = task.started_at_us = task.cut_off_at_us = None
    state.ledger.touch_task(task)
    state.ledger.record(task, event_type, now_us, message=message)
    if delay_us > 0:
        move(task, Signal.RETRY_LATER)
        _set_due(state, task, now_us + delay_us)
    else:
        move(task, Signal.RETRY_NOW)
        enqueue(state, task, now_us, RETRY_PRIORITY)


def _give_up(state: State, task: Task, now_us: int) -> None:
    error = f"the task was given to another worker {INTERNAL_RETRIES_MAX} times, the most allowed, and lost each time"
    state.ledger.record(task, TaskEventType.FAILED, now_us, worker=task.worker, error=error)
    _publish(state, task, Progress.FAILED, error, now_us)
    move(task, Signal.FAIL)
    _end(state, task, now_us)
    task.error = error


def _end(state: State, task: Task, at_us: int) -> None:
    state.ended.setdefault(task.run.id, []).append(task)
    _free_units(state, task)
    _stop_confirming(state, task)
    if task.waiting is not None and state.families:
        families.left(state, task)
    state.leave_queue(task)
    if task.gathering is not None:
        group = task.gathering.group
        group.remove(task)
        state.tidy_batch_group(group)
    concurrency.leave(state, task)
    if task.started_at_us is None and task.status is TaskStatus.COMPLETED:
        task.started_at_us = task.assigned_at_us
    task.batch_id = None
    task.finished_at_us = at_us
    _clear_due(state, task)
    if task.log is not None:
        waits.disarm_log(state, task.log)
        _hang_up(state, task)
    if task.gate is not None:
        conditions.open_up(state, task.gate, None)
    state.ledger.touch_task(task)


def _sticky_worker(task: Task) -> str | None:
    """The worker a sticky task belongs to: that of a parent, or the one asked for with the trigger."""
    run = task.run
    key_position = run.version.key_position
    if task.position == key_position:
        return None
    for position in run.version.parents[task.position]:
        parent = run.tasks[position]
        if position != key_position and parent is not None and parent.worker_id is not None:
            return parent.worker_id
    return run.row.desired_worker_id


def _free_units(state: State, task: Task) -> None:
    worker = task.worker
    if worker is not None and worker.running.pop(task.id, None) is not None:
        if task.batch is not None:
            _leave_batch(state, task, task.batch)
        else:
            worker.give_back(task.definition.slots)
        state.heat_worker(worker)


def _leave_batch(state: State, task: Task, batch: Batch) -> None:
    """The batch's unit is given back, and its group may send another, when its last item has ended."""
    task.batch = None
    batch.live.discard(task.id)
    if not batch.live:
        batch.worker.give_back(UNITS)
        batch.group.running.discard(batch.id)
        state.batches.pop(batch.id, None)
        queue = batch.group.shape.queue
        if batch.group.reason_to_flush() is not None:
            queue.ripe[batch.group.id] = batch.group
            state.heat(queue)
        else:
            state.tidy_batch_group(batch.group)


def _clear_due(state: State, task: Task) -> None:
    if task.due_at_us is not None:
        task.due_at_us = None
        state.timers.disarm()


def _set_due(state: State, task: Task, due_at_us: int) -> None:
    was_paused = task.run.version.workflow.was_paused
    # What a pause has moved is armed for another instant than the row says.
    if task.due_at_us == due_at_us and not was_paused:
        return
    was_armed = task.due_at_us is not None
    task.due_at_us = due_at_us
    if was_armed:
        state.timers.disarm()
    deadline_us = task.deadline_us if was_paused else due_at_us
    assert deadline_us is not None
    state.timers.arm(deadline_us, AlarmKind.TASK_DUE, task)


def _stop_confirming(state: State, task: Task) -> None:
    if task.confirm_by_us is not None:
        task.confirm_by_us = None
        state.timers.disarm()


def _publish(state: State, task: Task, progress: Progress, payload: str, now_us: int) -> None:
    """Tells those who follow the run. That a worker was asked for the run's group key is nobody's business."""
    if task.position == task.run.version.key_position:
        return
    row = task.run.row
    retries = task.definition.retries
    state.ledger.emit(
        TaskProgressed(row.id, task.id, progress, task.retry_count, retries, payload, now_us, row.additional_metadata)
    )


def _start_effect(task: Task, worker: Worker) -> StartAttempt:
    run = task.run
    row = run.row
    version = run.version
    definition = task.definition
    parents: tuple[tuple[str, str], ...] = ()
    errors: tuple[tuple[str, str], ...] = ()
    key_position = version.key_position
    if version.is_dag:
        parents = tuple(
            (other.definition.name, other.id)
            for other in run.existing()
            if other.status in (TaskStatus.COMPLETED, TaskStatus.SKIPPED) and other.position != key_position
        )
        if version.spellings:
            done = {task_id for _, task_id in parents}
            parents += tuple(
                (spelling, other.id)
                for spelling, position in version.spellings
                if (other := run.tasks[position]) is not None and other.id in done
            )
        if task.position == version.on_failure_position:
            errors = tuple(
                (other.definition.name, other.error or "")
                for other in run.existing()
                if other.status is TaskStatus.FAILED
            )
    assert worker.session is not None
    return StartAttempt(
        worker.id,
        worker.session,
        task.id,
        row.id,
        definition.id,
        definition.name,
        definition.action_id,
        version.workflow.name,
        version.workflow.id,
        version.id,
        task.retry_count,
        row.priority,
        row.additional_metadata,
        row.parent_run_id,
        row.child_index,
        row.child_key,
        row.triggering_event_id,
        row.triggering_event_key,
        task.created_at_us,
        parents,
        errors,
        row.filter_payload,
        task.position == key_position,
        None if task.log is None else task.log.invocation_count,
        None if task.gate is None else task.gate.fired,
        version.definition.takes_any_output,
        row.cause,
        task.assigned_at_us or 0,
    )
