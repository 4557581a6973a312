"""What workers say of attempts, and what could not be delivered to them: the fence, and what follows from an outcome.

A report whose fence is stale changes nothing, and is answered all the same.
"""

from __future__ import annotations

from typing import Final, assert_never

from broadaxe.core import attempts, dag
from broadaxe.core.commands.attempts import Accepted, FailDelivery, Outcome, RefuseDelivery, ReportAttempt
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.model import Task
from broadaxe.core.state import State
from broadaxe.errors import NotFound

_CANCELLED_BY_WORKER: Final = "cancelled from within the task"
#: Length of an error that is quoted in the reason for another attempt.
_REASON_CHARS_MAX: Final = 1_000


def report(state: State, command: ReportAttempt, now_us: int) -> Accepted:
    task = _current(state, command.task_id, command.retry_count, command.batch_id)
    if task is None or _is_of_former_worker(state, task, command.worker):
        return Accepted(is_current=False)
    at_us = attempts.ended_at_us(task, command.at_us, now_us)
    match command.outcome:
        case Outcome.STARTED:
            attempts.start(state, task, now_us, command.at_us)
            return Accepted(is_current=True)
        case Outcome.COMPLETED:
            attempts.complete(state, task, command.payload, now_us, at_us)
        case Outcome.FAILED if command.is_retryable and attempts.is_cut_off_failure(task, now_us):
            reason = f"the attempt failed after it was cut off from the engine: {command.payload[:_REASON_CHARS_MAX]}"
            attempts.reassign(state, task, reason, now_us)
        case Outcome.FAILED:
            attempts.fail(
                state,
                task,
                command.payload,
                now_us,
                is_retryable=command.is_retryable,
                retry_after_us=command.retry_after_us,
                at_us=at_us,
            )
        case Outcome.CANCELLED:
            attempts.cancel(state, task, _CANCELLED_BY_WORKER, at_us)
        case _:
            assert_never(command.outcome)
    dag.settle_task(state, task, now_us)
    return Accepted(is_current=True)


def running(state: State, task_id: str) -> Task:
    task = state.tasks.get(task_id)
    if task is None or task.status is not TaskStatus.RUNNING:
        raise NotFound(f"task run {task_id} is not running", field="task_run_external_id")
    return task


def fail_delivery(state: State, command: FailDelivery, now_us: int) -> None:
    task = _current(state, command.task_id, command.retry_count)
    if task is not None:
        attempts.fail_delivery(state, task, command.reason, now_us)
        dag.settle_task(state, task, now_us)


def refuse_delivery(state: State, command: RefuseDelivery, now_us: int) -> None:
    task = _current(state, command.task_id, command.retry_count)
    if task is not None:
        attempts.refuse_delivery(state, task, command.size_bytes, command.size_bytes_max, now_us)
        dag.settle_task(state, task, now_us)


def _current(state: State, task_id: str, retry_count: int | None, batch_id: str | None = None) -> Task | None:
    """The fence: the task if it runs and `retry_count`, or the batch, is its current attempt."""
    task = state.tasks.get(task_id)
    if task is None or task.status is not TaskStatus.RUNNING:
        return None
    if batch_id is not None:
        # A task goes into a batch once per attempt, so the batch names the attempt.
        return task if task.batch_id == batch_id else None
    return task if retry_count is None or retry_count == task.retry_count else None


def _is_of_former_worker(state: State, task: Task, worker: str) -> bool:
    """Whether the report is from a worker that had an earlier invocation of the same attempt (section 6.6)."""
    return task.log is not None and worker != task.worker_id and worker in state.workers
