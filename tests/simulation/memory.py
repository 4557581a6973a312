"""A tenant's memory as a value: what a crash must bring back, and what must be gone when everything has ended.

Knows the inside of `Tenant`, because these promises are about memory. Not in the picture: streams, the clocks of
silence and confirmation, and where lanes are parked, which a load restarts on purpose; when a run started, which is
derived when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from broadaxe.core.backlog import demand
from broadaxe.core.batching import BatchGroup
from broadaxe.core.concurrency import Group, Ticket
from broadaxe.core.decision import CronRow, ScheduleRow
from broadaxe.core.durable_log import DurableLog, Entry
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.model import Run, Task
from broadaxe.core.queues import Lane
from broadaxe.core.tenant import Tenant
from broadaxe.core.timers import AlarmKind, is_valid
from broadaxe.core.waits import Wait
from tests.simulation.books import hold
from tests.simulation.tables import Tables


def picture(tenant: Tenant) -> dict[str, Any]:
    """Everything about a tenant that decides what it does next, in a form that can be compared."""
    state = tenant._state
    return {
        "workflows": {
            name: (workflow.id, workflow.latest.id if workflow.latest else None, workflow.row())
            for name, workflow in state.workflows_by_name.items()
        },
        "runs": {
            run.id: (
                run.status,
                run.finished_at_us,
                run.held,
                [None if task is None else task.id for task in run.tasks],
                sorted(run.held_back),
                run.keys,
                run.labels,
            )
            for run in state.runs.values()
        },
        "tasks": {
            task.id: (msgspec.structs.replace(task.state(), output=None), task.deadline_us, dict(task.children or {}))
            for task in state.tasks.values()
        },
        "groups": {
            group.id: (
                group.strategy,
                sorted(map(_holder, group.filled)),
                sorted(map(_holder, _waiting(group))),
                sorted(map(_holder, group.resting)),
            )
            for group in state.groups.values()
            if not group.is_empty()
        },
        "lanes": {
            (action_id, shape.key.workflow.id, shape.key[1:], lane.limits): sorted(_in_lane(lane))
            for action_id, queue in state.queues.items()
            for shape in queue.shapes.values()
            for lane in shape.lanes.values()
            if len(lane)
        },
        "gatherings": {
            group.id: (sorted(_gathered(group)), sorted(group.running))
            for group in state.batch_groups.values()
            if group.count or group.running
        },
        "batches": {batch.id: (sorted(batch.live), batch.worker.id) for batch in state.batches.values()},
        "workers": {
            worker.id: (dict(worker.free), sorted(worker.running), dict(worker.labels), worker.is_paused)
            for worker in state.workers.values()
        },
        "bursts": {burst.id: (burst.run.id, burst.first_at_us, burst.release_at_us) for burst in state.bursts.values()},
        "limits": {limit.key: limit.row() for limit in state.limits.values()},
        "used": {
            resource.value: (window.value, window.since_us)
            for resource, window in ({} if state.quotas is None else state.quotas.windows).items()
        },
        "tenant limits": {} if state.quotas is None else dict(state.quotas.limits),
        "crons": {cron.id: _plain(cron.row()) for cron in state.calendar.crons.values()},
        "schedules": {schedule.row.id: _plain(schedule.row) for schedule in state.calendar.schedules.values()},
        "logs": {task.id: _log(task.log) for task in state.tasks.values() if task.log is not None},
        "waits": {place: sorted(map(_owner, waiting)) for place, waiting in state.waits_for_events._waiters.items()},
        # One that was disarmed and armed again for the same instant is there twice, and rings once.
        "alarms of waits": {
            (alarm[0], _owner(alarm[3])): True
            for alarm in state.timers._heap
            if is_valid(alarm) and isinstance(alarm[3], Wait)
        },
        "gates": {task.id: task.gate.row() for task in state.tasks.values() if task.gate is not None},
        "verdicts": {run.id: sorted(run.verdicts or ()) for run in state.runs.values()},
        "claims": dict(state.claims.items()),
        "event patterns": state.event_patterns.known(),
        "filters": {filter_.id: filter_.row() for filter_ in state.filters.values()},
        "filters of workflows": {
            workflow.id: {scope: list(chosen) for scope, chosen in workflow.filters.items()}
            for workflow in state.workflows.values()
        },
    }


def _plain(row: CronRow | ScheduleRow) -> dict[str, Any]:
    """With its metadata as a value: the tables keep it in a form of their own."""
    plain: dict[str, Any] = msgspec.to_builtins(row)
    return plain | {"additional_metadata": msgspec.json.decode(row.additional_metadata or "null")}


def demand_all(tenant: Tenant) -> None:
    """The whole backlog and all sleepers shall be read back."""
    state = tenant._state
    state.waking |= dict.fromkeys(state.dormant)
    for lane in state.cold_lanes:
        for line in lane.cold_lines():
            demand(state, line.segments[-1])


def compare(before: dict[str, Any], after: dict[str, Any]) -> None:
    """A load may bring back workers that memory had forgotten; everything else is the same."""
    for name, was in before.items():
        now = after[name]
        for key in {*was, *now}:
            if name == "workers" and key not in was:
                continue
            hold(was.get(key) == now.get(key), "after a crash", name, key, "was", was.get(key), "is", now.get(key))


def check_logs(tenant: Tenant, tables: Tables, task_ids: Iterable[str]) -> None:
    """The logs in memory are those of the tables, entry by entry; a result is in the tables alone."""
    for task_id in task_ids:
        task = tenant._state.tasks.get(task_id)
        if task is None or task.log is None:
            continue
        log = task.log
        hold(log.row() == tables.logs[task_id], "a log and its row", log.row(), tables.logs[task_id])
        rows = {place: msgspec.structs.replace(row, result=None) for place, row in tables.entries[task_id].items()}
        own = {(entry.branch_id, entry.node_id): entry.row() for entry in log.all_entries()}
        hold(own == rows, "entries and their rows", task_id, own, rows)
        places = sorted((row.order, place) for place, row in rows.items() if row.order is not None and row.is_on_path)
        queue = [(entry.order, (entry.branch_id, entry.node_id)) for entry in log.queue]
        hold(queue == places, "the order of results", task_id, queue, places)


def check_timers(tenant: Tenant) -> None:
    """Every deadline that somebody carries is armed, and every wait that can still move its task."""
    state = tenant._state
    armed = {(alarm[2], id(alarm[3])) for alarm in state.timers._heap if is_valid(alarm)}
    for task in state.tasks.values():
        for entry in [] if task.log is None else task.log.all_entries():
            if entry.wait is not None:
                is_open = entry.is_on_path and not entry.is_satisfied and not task.is_terminal
                hold(entry.wait.is_armed is is_open, "a wait is armed", task.id, entry.node_id, entry.wait.is_armed)
        must = task.status in (TaskStatus.QUEUED, TaskStatus.BACKOFF, TaskStatus.RUNNING)
        hold((task.due_at_us is not None) is must, "a deadline", task.id, task.status, task.due_at_us)
        hold(not must or (AlarmKind.TASK_DUE, id(task)) in armed, "an alarm for", task.id)
    for cron in state.calendar.crons.values():
        hold((cron.next_tick_us is not None) is cron.is_enabled, "the next tick of a cron", cron.row())
        hold(not cron.is_enabled or (AlarmKind.CRON_DUE, id(cron)) in armed, "an alarm for", cron.row())
    for schedule in state.calendar.schedules.values():
        hold((AlarmKind.SCHEDULE_DUE, id(schedule)) in armed, "an alarm for", schedule.row)


def check_empty(tenant: Tenant) -> None:
    """Nothing is left of runs that have ended."""
    state = tenant._state
    left = {
        "crons": state.calendar.crons,
        "schedules": state.calendar.schedules,
        "schedules behind the horizon": state.calendar.beyond,
        "runs": state.runs,
        "tasks": state.tasks,
        "groups": state.groups,
        "undecided groups": state.undecided,
        "batches": state.batches,
        "bursts": state.bursts,
        "batch groups": state.batch_groups,
        "hot queues": state.hot,
        "shapes": [shape.key for queue in state.queues.values() for shape in queue.shapes.values()],
        "ripe groups": [group for queue in state.queues.values() for group in queue.ripe],
        "waiting": [queue.action_id for queue in state.queues.values() if len(queue)],
        "cold lanes": [lane for lane in state.cold_lanes if lane.cold],
        "wanted segments": state.wanted,
        "freezable tasks": state.freezable,
        "lanes without limit": state.lanes_without_limit,
        "sleepers": state.dormant,
        "sleepers by event": state.dormant_for_events._waiters,
        "sleepers that wake up": state.waking,
        "waits by event": state.waits_for_events._waiters,
        "waits that went on": state.advanced,
        "ended children": state.ended_children,
        "evicted tasks": state.evicted,
        "past events": state.past_events,
        "alarms of waits": [alarm for alarm in state.timers._heap if is_valid(alarm) and isinstance(alarm[3], Wait)],
        "lanes of limits": [limit.key for limit in state.limits.values() if limit.lanes],
        "claims": dict(state.claims.items()),
        "workers' attempts": [worker.id for worker in state.workers.values() if worker.running],
        "workers' units": [worker.id for worker in state.workers.values() if worker.free != worker.slots],
    }
    for name, found in left.items():
        hold(not found, "left in memory:", name, found)


def _log(log: DurableLog) -> object:
    """Without how far the invocation has come, which a load forgets."""
    return (
        log.row(),
        dict(log.branches),
        {
            (entry.branch_id, entry.node_id): (
                msgspec.structs.replace(entry.row(), result=None),
                entry.wait is not None and entry.wait.is_armed,
            )
            for entry in log.all_entries()
        },
        [(entry.branch_id, entry.node_id) for entry in log.queue],
        sorted(log.by_child),
    )


def _owner(wait: Wait) -> tuple[str, ...]:
    owner = wait.owner
    if isinstance(owner, Entry):
        return owner.log.task.id, str(owner.branch_id), str(owner.node_id)
    return owner.task.id, str(next(action for action, own in owner.waits.items() if own is wait))


def _holder(ticket: Ticket) -> str:
    holder = ticket.holder
    assert isinstance(holder, Task | Run)
    return f"{type(holder).__name__} {holder.id}"


def _waiting(group: Group) -> list[Ticket]:
    return group._waiting()


def _in_lane(lane: Lane) -> list[str]:
    lines = (line for level in lane._levels.values() for line in level.values())
    return [waiting.task.id for line in lines for waiting in line if waiting.task is not None]


def _gathered(group: BatchGroup) -> list[str]:
    return [gathering.task.id for _, _, gathering in group._items if gathering.task is not None]
