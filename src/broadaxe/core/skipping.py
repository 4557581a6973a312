"""Time that is skipped: a test moves the clock, and what is planned follows without anybody waiting for it.

The instants in between never were, so nobody was silent in them: workers with an open stream count as heard of at the
new instant. A worker whose stream has ended is missed as time goes, skipped or not, and so is everything else that has
a deadline.

Only tests skip time (`broadaxe.testing`). Cost: O(tasks, workers and alarms in memory) each time.
"""

from __future__ import annotations

from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.model import Task, Worker
from broadaxe.core.state import State
from broadaxe.core.timers import Alarm, AlarmKind, is_valid


def next_due_us(state: State) -> int | None:
    """The earliest deadline that may be skipped to; None when nothing is planned."""
    planned = (alarm[0] for alarm in state.timers.alarms() if is_valid(alarm) and _may_be_skipped_to(alarm))
    return min(planned, default=None)


def is_settled(state: State) -> bool:
    """Whether nothing goes on that takes time of its own: no task runs, but for those that wait for something."""
    if state.waking or any(worker.speech_due_at_us is not None for worker in state.workers.values()):
        # A task is being read back, or a worker is about to open its second stream.
        return False
    parents = {run.row.parent_task_id for run in state.runs.values()}
    return not any(
        task.status is TaskStatus.RUNNING and task.id not in parents and not _waits(task)
        for task in state.tasks.values()
    )


def listening(state: State) -> set[str]:
    """Ids of the workers that may be given tasks of each kind they offer: those whose streams are open."""
    return {worker.id for worker in state.workers.values() if worker.session is not None and worker.takes_durable_tasks}


def skip(state: State, now_us: int) -> None:
    """Tells that time went on to `now_us` without passing. Then `decide`."""
    for worker in state.workers.values():
        if worker.session is not None:
            worker.last_heartbeat_at_us = now_us


def _may_be_skipped_to(alarm: Alarm) -> bool:
    kind, subject = alarm[2], alarm[3]
    if kind is AlarmKind.WORKER_SILENT:
        return isinstance(subject, Worker) and subject.session is None
    return kind is not AlarmKind.DURABLE_STREAM_MISSED


def _waits(task: Task) -> bool:
    log = task.log
    return log is not None and any(log.awaits(entry, is_evicted=False) for entry in log.all_entries())
