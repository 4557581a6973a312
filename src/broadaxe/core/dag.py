"""What a run does when one of its tasks ends: downstream tasks, the on-failure task, the run's own end.

Default rules (section 1.6 and 1.7): a task is made once all its parents are terminal; one failed or cancelled parent
makes it CANCELLED at once, without waiting for the others; if every parent was skipped it is SKIPPED. The on-failure
task is queued at the first final failure and skipped if the run ends without one. A failure does not stop independent
branches.

Cost: O(children) per ended task, plus O(tasks of the run) when a DAG task ends (its run's status).
"""

from __future__ import annotations

from broadaxe.core import alerts, attempts, concurrency, conditions, idempotency, ratelimits, waits
from broadaxe.core.conditions import Decided, Gate
from broadaxe.core.debounce import Plan
from broadaxe.core.decision import RunFinished, TaskResult
from broadaxe.core.definition import ConditionAction
from broadaxe.core.keys import TaskKeys, with_answer
from broadaxe.core.lifecycle import (
    SHOWN_AS,
    TERMINAL,
    TERMINAL_RUN,
    RunStatus,
    Signal,
    TaskEventType,
    TaskStatus,
    run_status,
)
from broadaxe.core.model import RETRY_PRIORITY, Run, Task
from broadaxe.core.state import State

_DONE_WELL = (TaskStatus.COMPLETED, TaskStatus.SKIPPED)


def begin(state: State, run: Run, now_us: int, plan: Plan | None = None) -> None:
    """Creates the root tasks of a new run; those of a debounced one wait as `plan` says."""
    status = TaskStatus.QUEUED if plan is None else TaskStatus.BACKOFF
    for position, parents in enumerate(run.version.parents):
        if not parents and position != run.version.on_failure_position:
            if plan is None:
                _let_go_on(state, run, position, now_us)
            else:
                _bring(state, run, position, status, now_us, plan=plan)
    for task in list(run.existing()):
        if task.is_terminal:
            settle_task(state, task, now_us)


def let_in(state: State, task: Task, now_us: int) -> None:
    """A debounced run's time has come: its root tasks go on as those of any new run do."""
    if not task.definition.conditions:
        attempts.elapse_backoff(state, task, now_us)
        return
    attempts.end_postponement(state, task)
    _let_go_on(state, task.run, task.position, now_us)


def settle_task(state: State, task: Task, now_us: int) -> None:
    """Follows up on a task that has just changed. Whoever moves a task calls it when what follows shall come before
    anything else; what ended and was not followed up is at the end of the step."""
    run = task.run
    if run.version.is_dag:
        if task.status in TERMINAL:
            if task.position == run.version.key_position and task.output is not None:
                _take_answer(state, run, task.output)
            conditions.judge(run, task)
            _resolve_children(state, run, task.position, now_us)
            _resolve_on_failure(state, run, now_us)
        status = run_status(run.statuses())
        if status is RunStatus.QUEUED:
            # All its tasks wait again (a retry): a run that was under way stays so (section 1.5, rule 1).
            status = run.status
        if run.tickets or run.waiting_ticket is not None:
            _let_go(state, run)
        if status in TERMINAL_RUN:
            _stop_asking(state, run, now_us)
    else:
        status = SHOWN_AS[task.status]
    _set_status(state, run, status, now_us)


def _stop_asking(state: State, run: Run, now_us: int) -> None:
    """Nobody needs the run's key any more; its key task does not count as one of the run's."""
    key_position = run.version.key_position
    asking = None if key_position is None else run.tasks[key_position]
    if asking is not None and not asking.is_terminal:
        attempts.cancel(state, asking, "the run ended before its group key was known", now_us)


def cancel_run(state: State, run: Run, reason: str, now_us: int) -> list[str]:
    """Cancels whatever of the run is not terminal; tasks that do not exist yet follow by the rules above."""
    ended: list[str] = []
    for task in list(run.existing()):
        if not task.is_terminal:
            attempts.cancel(state, task, reason, now_us)
            ended.append(task.id)
            settle_task(state, task, now_us)
    return ended


def replay(state: State, run: Run, positions: set[int], now_us: int) -> list[str]:
    """Starts the tasks at `positions` anew; all of the run must exist and these tasks be terminal."""
    on_failure = run.version.on_failure_position
    if on_failure is not None:
        positions = positions | {on_failure}
    replayed: list[Task] = []
    for position in sorted(positions):
        task = run.tasks[position]
        assert task is not None
        _reset(state, task, now_us)
        replayed.append(task)
    run.started_at_us = run.finished_at_us = None
    for task in replayed:
        is_undecided = task.status is TaskStatus.WAITING and task.position != on_failure
        if is_undecided and _resolve(state, run, task.position, now_us):
            _resolve_children(state, run, task.position, now_us)
    _resolve_on_failure(state, run, now_us)
    _set_status(state, run, run_status(run.statuses()), now_us)
    return [task.id for task in replayed]


def with_descendants(run: Run, position: int) -> set[int]:
    """`position` and every position downstream of it."""
    found = {position}
    frontier = [position]
    while frontier:
        for child in run.version.children[frontier.pop()]:
            if child not in found:
                found.add(child)
                frontier.append(child)
    return found


def _reset(state: State, task: Task, now_us: int) -> None:
    if task.status in _DONE_WELL:
        state.ledger.archive_output(task)
    attempts.move(task, Signal.REPLAY)
    task.retry_count += 1
    task.app_retry_count = task.internal_retry_count = 0
    task.worker = task.worker_id = None
    task.slot_released = False
    task.assigned_at_us = task.started_at_us = task.finished_at_us = task.queued_at_us = None
    task.error = task.output = None
    if task.position == task.run.version.key_position:
        _take_answer(state, task.run, None)
    if task.log is not None:
        waits.arm_log(state, task.log)
    if task.gate is not None:
        conditions.forget_fired(state, task.gate)
    conditions.forget_verdicts(task.run, task)
    state.ledger.touch_task(task)
    state.ledger.record(task, TaskEventType.RETRIED_BY_USER, now_us)


def _take_answer(state: State, run: Run, answer: str | None) -> None:
    """The key task has told the run's group, or is to tell it anew (None)."""
    assert run.keys is not None
    run.keys = with_answer(run.version, run.keys, answer)
    state.ledger.touch_keys(run)


def _let_go(state: State, run: Run) -> None:
    """The run's own slots are kept until every counted task exists and has ended (section 3.2)."""
    on_failure = run.version.on_failure_position
    counted = (task for position, task in enumerate(run.tasks) if position != on_failure)
    if all(task is not None and task.status in TERMINAL for task in counted):
        concurrency.leave(state, run)
        state.ledger.touch_run(run)


def _is_pending(task: Task | None) -> bool:
    return task is None or task.status is TaskStatus.WAITING


def _resolve_children(state: State, run: Run, position: int, now_us: int) -> None:
    """Decides what waits on the ended task at `position`, and goes on downstream from whatever that ends."""
    ended = [position]
    while ended:
        for child in run.version.children[ended.pop()]:
            if _is_pending(run.tasks[child]) and _resolve(state, run, child, now_us):
                ended.append(child)


def _resolve(state: State, run: Run, position: int, now_us: int) -> bool:
    """Decides a pending task from its parents; True when that ended it."""
    pending = run.tasks[position]
    if pending is not None and pending.gate is not None and pending.gate.is_open:
        return False
    parents = [run.tasks[parent] for parent in run.version.parents[position]]
    unhappy = next(
        (p for p in parents if p is not None and p.status in (TaskStatus.FAILED, TaskStatus.CANCELLED)), None
    )
    if unhappy is not None:
        verb = "failed" if unhappy.status is TaskStatus.FAILED else "was cancelled"
        _bring(state, run, position, TaskStatus.CANCELLED, now_us, f"its parent {unhappy.definition.name} {verb}")
        return True
    if any(parent is None or parent.status not in TERMINAL for parent in parents):
        return False
    are_skipped = parents and all(parent is not None and parent.status is TaskStatus.SKIPPED for parent in parents)
    if are_skipped and not run.version.definitions[position].skips_by_parent:
        _bring(state, run, position, TaskStatus.SKIPPED, now_us)
        return True
    _let_go_on(state, run, position, now_us)
    task = run.tasks[position]
    return task is not None and task.is_terminal


def pass_gate(state: State, gate: Gate, now_us: int) -> None:
    """A condition came true that the task behind the gate has."""
    task = gate.task
    action = gate.verdict(now_us) if gate.is_open else None
    if action is None:
        if gate.is_open:
            state.ledger.touch_gate(gate)
        return
    conditions.open_up(state, gate, action)
    _carry_out(state, task.run, task.position, action, now_us)
    settle_task(state, task, now_us)


def _let_go_on(state: State, run: Run, position: int, now_us: int) -> None:
    """The task's parents are well over: its conditions decide, at once or later."""
    if not run.version.definitions[position].conditions:
        _bring(state, run, position, TaskStatus.QUEUED, now_us)
        return
    found = conditions.weigh(run, position)
    if isinstance(found, Decided):
        _carry_out(state, run, position, found.action, now_us)
    else:
        conditions.close_in(state, _bring(state, run, position, TaskStatus.WAITING, now_us), found, now_us)


def _carry_out(state: State, run: Run, position: int, action: ConditionAction, now_us: int) -> None:
    match action:
        case ConditionAction.QUEUE:
            _bring(state, run, position, TaskStatus.QUEUED, now_us)
        case ConditionAction.SKIP:
            _bring(state, run, position, TaskStatus.SKIPPED, now_us)
        case ConditionAction.CANCEL:
            _bring(state, run, position, TaskStatus.CANCELLED, now_us, "a condition to cancel it was fulfilled")


def _resolve_on_failure(state: State, run: Run, now_us: int) -> None:
    position = run.version.on_failure_position
    if position is None or not _is_pending(run.tasks[position]):
        return
    others = [task for index, task in enumerate(run.tasks) if index != position]
    if any(task is not None and task.status is TaskStatus.FAILED for task in others):
        _bring(state, run, position, TaskStatus.QUEUED, now_us)
    elif all(task is not None and task.status in TERMINAL for task in others):
        _bring(state, run, position, TaskStatus.SKIPPED, now_us)


def _bring(
    state: State,
    run: Run,
    position: int,
    status: TaskStatus,
    now_us: int,
    reason: str = "",
    plan: Plan | None = None,
) -> Task:
    """Brings a pending task to `status`, making it first if it does not exist."""
    task = run.tasks[position]
    would_run = status in (TaskStatus.QUEUED, TaskStatus.BACKOFF)
    error = run.keys.tasks[position].error if would_run and run.keys is not None else None
    is_new = task is None
    if task is None:
        task = _bear(state, run, position, status if error is None else TaskStatus.FAILED, now_us)
    if error is not None:
        attempts.fail_at_birth(state, task, error, now_us)
        return task
    match status:
        case TaskStatus.QUEUED | TaskStatus.BACKOFF:
            if not is_new:
                attempts.move(task, Signal.ENQUEUE)
            is_first = task.retry_count == 0
            if run.keys is not None:
                _put_limits(state, run.keys.tasks[position], now_us, is_first=is_first)
            if plan is None:
                attempts.enqueue(state, task, now_us, None if is_first else RETRY_PRIORITY)
            else:
                attempts.postpone(state, task, plan.release_at_us, plan.message, now_us)
        case TaskStatus.SKIPPED:
            attempts.skip(state, task, now_us)
            # Its children may be decided before anybody follows up on it.
            conditions.judge(run, task)
        case TaskStatus.WAITING:
            attempts.wait(state, task, now_us)
        case _:
            attempts.cancel(state, task, reason, now_us)
    return task


def _bear(state: State, run: Run, position: int, status: TaskStatus, now_us: int) -> Task:
    if run.version.is_dag:
        task = Task(state.new_id(), run, position, status, now_us)
    else:
        task = Task(run.id, run, position, status, run.row.created_at_us)
    state.add_task(task)
    return task


def _put_limits(state: State, keys: TaskKeys, now_us: int, *, is_first: bool) -> None:
    """A task's dynamic limits come into force when it is queued first. A replay may be the first time, of a task that
    ended before, or come after they were forgotten: it puts those that are not there."""
    for limit in keys.limits:
        if limit.limit is not None and (is_first or limit.key not in state.limits):
            ratelimits.put_dynamic(state, limit.key, limit.limit, limit.window_us, now_us)


def _set_status(state: State, run: Run, status: RunStatus, now_us: int) -> None:
    state.ended.pop(run.id, None)
    if status in TERMINAL_RUN:
        if run.finished_at_us is not None:
            return
        run.finished_at_us = now_us
        told = tuple(run.told())
        started = [task.started_at_us for task in told if task.started_at_us is not None]
        run.started_at_us = min(started, default=None)
        run.status = status
        if run.row.idempotency_key is not None:
            idempotency.release(state, run)
        state.finished[run.id] = run
        if run.row.parent_task_id is not None:
            state.ended_children.append(run)
        state.ledger.touch_run(run)
        if state.alerts.rules:
            alerts.run_finished(state, run, now_us)
        state.ledger.emit(
            RunFinished(
                run.id,
                status,
                run.version.is_dag,
                run.row.additional_metadata,
                tuple(TaskResult(t.id, t.definition.name, t.status, t.error) for t in told),
                now_us,
                run.version.workflow.name,
                run.started_at_us,
            )
        )
    elif status is not run.status or run.finished_at_us is not None:
        run.status = status
        state.ledger.touch_run(run)
