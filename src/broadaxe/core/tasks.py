"""What people do with tasks and runs that are there: cancel, replay, branch."""

from __future__ import annotations

from typing import Final

from broadaxe.core import attempts, dag, durable
from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.commands.tasks import BranchTask
from broadaxe.core.model import Run
from broadaxe.core.state import State
from broadaxe.errors import FailedPrecondition, NotFound

_SOMEBODY: Final = "a user"


def cancel(state: State, ids: tuple[str, ...], now_us: int) -> tuple[str, ...]:
    reason = f"cancelled by {state.asked_by_name or _SOMEBODY}"
    ended: list[str] = []
    for run_or_task_id in dict.fromkeys(ids):
        run = state.runs.get(run_or_task_id)
        if run is not None:
            ended += dag.cancel_run(state, run, reason, now_us)
            continue
        task = state.tasks.get(run_or_task_id)
        if task is not None and not task.is_terminal:
            attempts.cancel(state, task, reason, now_us)
            ended.append(task.id)
            dag.settle_task(state, task, now_us)
    return tuple(ended)


def replay(state: State, ids: tuple[str, ...], now_us: int) -> tuple[str, ...]:
    # Several tasks of a run start anew together: once the first has, what comes after both is active.
    wanted: dict[str, tuple[Run, set[int]]] = {}
    for run_or_task_id in dict.fromkeys(ids):
        found = _replayable(state, run_or_task_id)
        if found is not None:
            run, positions = found
            wanted.setdefault(run.row.id, (run, set()))[1].update(positions)
    replayed: list[str] = []
    for run, positions in wanted.values():
        was_over = run.finished_at_us is not None
        replayed += dag.replay(state, run, positions, now_us)
        if was_over:
            durable.child_replayed(state, run)
    return tuple(replayed)


def branch(state: State, command: BranchTask, now_us: int) -> EntryRef:
    task = state.tasks.get(command.task_id)
    if task is None:
        raise NotFound(f"there is no task run {command.task_id}", field="task_external_id")
    if not task.is_terminal:
        raise FailedPrecondition("the task is not over; cancel it first", field="task_external_id")
    if _replayable(state, task.id) is None:
        raise FailedPrecondition("tasks that come after it are not over; cancel them first", field="task_external_id")
    fork = durable.branch(state, task, command)
    replay(state, (task.id,), now_us)
    return fork


def _replayable(state: State, run_or_task_id: str) -> tuple[Run, set[int]] | None:
    """The run, and the positions in it that start anew; None when something of that is still active."""
    run = state.runs.get(run_or_task_id)
    positions: set[int] = set()
    if run is not None:
        positions = set(range(len(run.tasks)))
    else:
        task = state.tasks.get(run_or_task_id)
        if task is not None:
            run = task.run
            positions = dag.with_descendants(run, task.position)
    if run is None or any(task is None for task in run.tasks):
        return None
    on_failure = run.version.on_failure_position
    if on_failure is not None:
        positions.add(on_failure)
    if all((task := run.tasks[position]) is not None and task.is_terminal for position in positions):
        return run, positions
    return None
