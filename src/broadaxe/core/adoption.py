"""How what was read from the tables becomes memory: the whole tenant at its start, later what a command or the time to
come needs.

Deadlines stay as they were, and nothing is decided here: what follows from it is for the next round.
"""

from __future__ import annotations

from typing import Final

import msgspec

from broadaxe.core import (
    admission,
    alerts,
    attempts,
    backlog,
    concurrency,
    conditions,
    debounce,
    dormant,
    durable,
    durable_restore,
    filters,
    firing,
    fleet,
    idempotency,
    publishing,
    quotas,
    ratelimits,
)
from broadaxe.core.batching import UNITS, Batch
from broadaxe.core.decision import TaskState
from broadaxe.core.definition import LabelRequirement
from broadaxe.core.keys import RunKeys
from broadaxe.core.lifecycle import TERMINAL_RUN, TaskStatus
from broadaxe.core.loaded import Loaded, LoadedRun, Missing
from broadaxe.core.model import Run, Task, Version, Worker, Workflow
from broadaxe.core.state import State
from broadaxe.core.timers import AlarmKind
from broadaxe.errors import Internal

#: Sleeping tasks read back at a time.
_WAKE_MAX: Final = 1_000


def adopt(state: State, loaded: Loaded, now_us: int) -> None:
    """Takes in what was read from the tables: at the start everything live, later whatever `missing` named.

    Deadlines stay as they were. Attempts that were running keep running; a worker has 30 s to be heard of again.
    """
    for row in loaded.workflows:
        workflow = state.workflows[row.id] = Workflow(row)
        if row.deleted_at_us is None:
            state.workflows_by_name[row.name] = workflow
    _adopt_versions(state, loaded)
    workers = [Worker(row) for row in loaded.workers if row.id not in state.workers]
    for worker in workers:
        fleet.adopt(state, worker)
    for limit_row in loaded.rate_limits:
        state.limits.setdefault(limit_row.key, ratelimits.Limit(limit_row))
    if loaded.quotas or loaded.quota_usage:
        quotas.adopt(state, loaded.quotas, loaded.quota_usage)
    filters.adopt(state, loaded.filters)
    if loaded.alert_rules:
        alerts.adopt(state, loaded.alert_rules, loaded.alerts, now_us)
    if loaded.topics or loaded.producers or loaded.topic_count is not None:
        publishing.adopt(state, loaded)
    if loaded.claims:
        idempotency.adopt(state, loaded.claims)
    live: list[tuple[Task, TaskState]] = []
    for loaded_run in loaded.runs:
        if loaded_run.row.id not in state.runs:
            dormant.remove(state, loaded_run.row.id)
            live += _adopt_run(state, loaded_run)
            for log in loaded_run.logs:
                task = state.tasks.get(log.row.task_id)
                if task is not None:
                    durable_restore.restore_log(state, task, log.row, log.branches, log.entries, log.news, now_us)
                    assert task.log is not None
                    durable_restore.restore_indexes(task.log, loaded_run.children)
    live.sort(key=lambda pair: (pair[0].queued_at_us or 0, pair[0].id))
    ready: list[tuple[Task, TaskState]] = []
    dormant.place(state, loaded.dormant)
    state.past_events += loaded.events
    state.pushed.update((event.event_id, event) for event in loaded.pushed)
    for task, task_state in live:
        if task.status is TaskStatus.RUNNING:
            attempts.resume(state, task, now_us)
        concurrency.restore(state, task, task_state.concurrency_held)
        if task.status is TaskStatus.QUEUED and concurrency.enter(state, task):
            ready.append((task, task_state))
    ready.sort(key=lambda pair: attempts.ready_since_us(pair[0]))
    for task, task_state in ready:
        if task_state.batch_id is None:
            attempts.make_ready(state, task)
        else:
            admission.gather_again(state, task)
    for task, _ in live:
        durable.wake(state, task, now_us)
        if task.status is TaskStatus.EVICTED:
            # What it was read back for did not end its wait; it goes back to sleep.
            state.evicted.append(task)
    if loaded.cold:
        definitions = {
            definition.id: (version.workflow, definition)
            for version in state.versions.values()
            for definition in version.definitions
        }
        backlog.place(state, loaded.cold, definitions)
    for worker in workers:
        fleet.adopted(state, worker, now_us)
    firing.adopt_crons(state, loaded.crons, now_us)
    firing.adopt_schedules(state, loaded.schedules)
    if loaded.schedule_page is not None:
        firing.adopt_page(state, loaded.schedule_page)


def wanted(state: State) -> Missing:
    """Tasks of the backlog and schedules before they are needed, sleepers that wake up."""
    waking = [task_id for task_id, _ in zip(state.waking, range(_WAKE_MAX), strict=False)]
    return Missing(tasks=backlog.wanted_ids(state).union(waking), schedules_after=firing.wanted_after(state))


def thaw(state: State, loaded: Loaded, now_us: int) -> None:
    """Takes back in what `wanted` named. Whatever follows from it is for the next round, which is due at once."""
    awake = [loaded_run for loaded_run in loaded.runs if loaded_run.row.id in state.waking]
    for task_id in list(state.waking)[:_WAKE_MAX]:
        dormant.remove(state, task_id)
    if awake:
        adopt(state, Loaded(versions=loaded.versions, runs=tuple(awake)), now_us)
    by_id = {loaded_run.row.id: loaded_run for loaded_run in loaded.runs}
    _adopt_versions(state, loaded)

    def adopt_run(task_id: str) -> Task | None:
        found = by_id.get(task_id)
        if found is None or found.state.status in TERMINAL_RUN or task_id in state.runs:
            return None
        task = _adopt_run(state, found)[0][0]
        return task if task.status is TaskStatus.QUEUED else None

    backlog.thaw(state, adopt_run)
    if loaded.schedule_page is not None:
        firing.adopt_page(state, loaded.schedule_page)


def resume(state: State, now_us: int) -> None:
    """Tells that nobody decided for a while although memory is as it was: the process stood still (a suspended
    machine, SIGSTOP), or the database did. Nobody could be heard meanwhile, so what counts the silence of others
    begins anew, as after a load. Then `decide`. O(tasks and workers in memory)."""
    for worker in state.workers.values():
        fleet.resume(state, worker, now_us)
    for task in state.tasks.values():
        if task.status is TaskStatus.RUNNING:
            attempts.resume(state, task, now_us)


def _adopt_versions(state: State, loaded: Loaded) -> None:
    for row in loaded.versions:
        if row.id in state.versions:
            continue
        version = Version(row, state.workflows[row.workflow_id])
        state.versions[version.id] = version
        latest = version.workflow.latest
        if latest is None or version.ordinal > latest.ordinal:
            version.workflow.latest = version
            state.event_patterns.put(version.workflow)


def _adopt_run(state: State, loaded: LoadedRun) -> list[tuple[Task, TaskState]]:
    """Puts a loaded run into memory; returns its live tasks as they were."""
    version = state.versions.get(loaded.row.version_id)
    if version is None:
        raise Internal(f"run {loaded.row.id} belongs to version {loaded.row.version_id}, which was not loaded")
    run = Run(loaded.row, version)
    run.status = loaded.state.status
    run.started_at_us = loaded.state.started_at_us
    run.finished_at_us = loaded.state.finished_at_us
    if loaded.row.keys is not None:
        run.keys = msgspec.json.decode(loaded.row.keys, type=RunKeys)
    if loaded.row.desired_labels is not None:
        run.labels = msgspec.json.decode(loaded.row.desired_labels, type=tuple[LabelRequirement, ...])
    state.add_run(run)
    concurrency.restore(state, run, loaded.state.concurrency_held)
    positions = {definition.id: position for position, definition in enumerate(version.definitions)}
    live: list[tuple[Task, TaskState]] = []
    for row, task_state in loaded.tasks:
        task = Task(row.id, run, positions[row.definition_id], task_state.status, row.created_at_us)
        _restore(state, task, task_state)
        state.add_task(task)
        if task.status is TaskStatus.BACKOFF and task.retry_count == 0 and task.due_at_us is not None:
            debounce.restore(state, run, task.due_at_us)
        deadline_us = task.deadline_us
        if deadline_us is not None:
            state.timers.arm(deadline_us, AlarmKind.TASK_DUE, task)
        if task_state.output is not None:
            task.output = task_state.output
            conditions.judge(run, task)
            task.output = None
        if not task.is_terminal:
            live.append((task, task_state))
        if task.status is TaskStatus.RUNNING:
            task.batch_id = task_state.batch_id
        if task.status is TaskStatus.RUNNING and task.worker is not None and not task.slot_released:
            task.worker.running[task.id] = task
            if task_state.batch_id is None:
                task.worker.take(task.definition.slots)
            else:
                _adopt_batch(state, task, task.worker, task_state.batch_id)
    for gate in loaded.gates:
        conditions.restore_gate(state, state.tasks[gate.task_id], gate)
    # Children of a log are told apart by it; which keys stand for them it knows itself.
    in_logs = {entry.child_run_id for log in loaded.logs for entry, _ in log.entries}
    for task_id, key, run_id in loaded.children:
        if run_id in in_logs:
            continue
        task = state.tasks[task_id]
        if task.children is None:
            task.children = {}
        task.children[key] = run_id
    if run.status in TERMINAL_RUN:
        state.finished[run.id] = run
    return live


def _adopt_batch(state: State, task: Task, worker: Worker, batch_id: str) -> None:
    """Puts a running item back into its batch."""
    batch = state.batches.get(batch_id)
    if batch is None:
        group = admission.batch_group(state, task, state.queue(task.definition.action_id))
        batch = state.batches[batch_id] = Batch(batch_id, group, worker)
        group.running.add(batch_id)
        worker.take(UNITS)
    task.batch = batch
    batch.live.add(task.id)


def _restore(state: State, task: Task, loaded: TaskState) -> None:
    task.is_new = False
    task.retry_count = loaded.retry_count
    task.app_retry_count = loaded.app_retry_count
    task.internal_retry_count = loaded.internal_retry_count
    task.queue_priority = loaded.queue_priority
    task.worker_id = loaded.worker_id
    task.worker = None if loaded.worker_id is None else state.workers.get(loaded.worker_id)
    task.slot_released = loaded.slot_released
    task.event_count = loaded.event_count
    task.queued_at_us = loaded.queued_at_us
    task.assigned_at_us = loaded.assigned_at_us
    task.started_at_us = loaded.started_at_us
    task.finished_at_us = loaded.finished_at_us
    task.due_at_us = loaded.due_at_us
    task.error = loaded.error
