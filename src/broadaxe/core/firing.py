"""Runs that come by the clock: crons and schedules, how people change them, and what happens when they are due.

A cron's tick makes one run, and the cron remembers the tick in the same commit, so a tick comes at most once whatever
crashes. Ticks that nobody was there for, because the engine was down, its database away or the machine asleep, are
made up when they are found: each that is at most `LATE_US_MAX` old, and if there is none, the last one that is not
older than `State.cron_catch_up_us`. Not so those while the cron was disabled or its workflow paused with DROP.
Without catching up, only what was late and not what a load finds is made up.

A schedule makes one run and is gone, in the same commit. One that is overdue, because its instant was past when it was
made or because the engine was down, is due at once. One that the tenant has no room for waits for it (`quotas.py`).

Ticks of the past, those nobody was there for as well as those that came, are made runs of once more when somebody asks
for it: a backfill. It leaves the cron and its ticks to come as they are.

Nobody waits for these runs: when one cannot be made (its idempotency key is held), there is no run, and the tick or
schedule counts as done. Deleting a workflow deletes its crons and schedules.

Source: semantics 5.6, 5.7, 5.11, 1.2; grpc specification 9.5; REST specification 7.13.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final, assert_never

import msgspec
from msgspec import UNSET

from broadaxe.core import alerts, debounce, quotas, triggers
from broadaxe.core.calendar import (
    CRON_INPUT_BYTES_MAX,
    CRONS_MAX,
    INSTANT_US_MAX,
    INSTANT_US_MIN,
    PAGE_INPUT_BYTES_MAX,
    PAGE_SCHEDULES_MAX,
    Cron,
    Schedule,
    ScheduleKey,
    SchedulePage,
)
from broadaxe.core.commands.crons import BACKFILL_TICKS_MAX, BackfillCron, Backfilled, ChangeCron, CreateCron
from broadaxe.core.commands.quotas import Resource
from broadaxe.core.commands.schedules import Scheduled, ScheduleRuns
from broadaxe.core.commands.triggers import RunRequest
from broadaxe.core.commands.workflows import WhilePaused
from broadaxe.core.cron import CronExpression
from broadaxe.core.decision import CronRow, CronTick, FailureSource, ScheduleRow
from broadaxe.core.definition import check_priority
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import RunCause
from broadaxe.core.metadata import problem_of
from broadaxe.core.model import Run, Version, Workflow
from broadaxe.core.state import State
from broadaxe.core.timers import AlarmKind
from broadaxe.core.triggers import Collision, Refusal
from broadaxe.errors import (
    AlreadyExists,
    FailedPrecondition,
    IdempotencyCollision,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)

#: Of the ticks found late, each one that is no later than this is made up.
LATE_US_MAX: Final = 10 * US_PER_S
CRON_NAME_LENGTH_MAX: Final = 255
#: Schedules in one request, and the size of their inputs and metadata together.
SCHEDULES_MAX: Final = 1_000
SCHEDULES_INPUT_BYTES_MAX: Final = 64 * 1024 * 1024

#: The metadata of a run that a schedule made has the id of that schedule under this key.
SCHEDULE_ID_KEY: Final = "broadaxe__schedule_id"
#: The same of the runs that one backfill made.
BACKFILL_ID_KEY: Final = "broadaxe__backfill_id"
#: How far the instants of a backfill may be apart: what is looked through for the ticks of a rare expression.
BACKFILL_RANGE_US_MAX: Final = 3_660 * 86_400 * US_PER_S
#: The size of the inputs of its runs together.
BACKFILL_INPUT_BYTES_MAX: Final = 64 * 1024 * 1024

#: Why ticks were missed, for people.
_ABSENT: Final = "nobody was there for it, since the engine or its database was away"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


# Crons ----------------------------------------------------------------------------------------------------------------


def create_cron(state: State, command: CreateCron, now_us: int) -> str:
    """The new cron's id."""
    workflow, _ = _registered(state, command.workflow_name)
    _check_name(command.name)
    expression = CronExpression(command.expression, field="cronExpression")
    if command.priority is not None:
        check_priority(command.priority, field="priority")
    _check_metadata(command.additional_metadata)
    _check_only(workflow, state, command.name, expression.text, but=None)
    _check_room(state, 1, len(command.input))
    row = CronRow(
        state.new_id(),
        workflow.id,
        expression.text,
        command.name,
        False,
        command.input,
        command.additional_metadata,
        command.priority,
        command.is_enabled,
        None,
        now_us,
        now_us,
    )
    _add(state, Cron(row, workflow, expression), now_us)
    return row.id


def declare(state: State, version: Version, now_us: int) -> None:
    """Makes the declared crons of a workflow those of its latest version. One that stays keeps its place in time."""
    workflow, definition = version.workflow, version.definition
    run_input = definition.cron_input or "{}"
    known = {
        cron.expression.text: cron
        for cron in state.calendar.crons_of.get(workflow.id, {}).values()
        if cron.is_declared
    }  # fmt: skip
    for text, cron in known.items():
        if text not in definition.cron_triggers:
            _drop(state, cron)
        elif cron.input != run_input:
            state.calendar.cron_input_bytes += len(run_input) - len(cron.input)
            cron.input, cron.updated_at_us = run_input, now_us
            state.ledger.touch_cron(cron)
    for text in definition.cron_triggers:
        if text not in known:
            expression = CronExpression(text, field="cron_triggers")
            row = CronRow(
                state.new_id(), workflow.id, text, None, True, run_input, None, None, True, None, now_us, now_us
            )
            _add(state, Cron(row, workflow, expression), now_us)


def check_declared(state: State, workflow: Workflow | None, expressions: Iterable[str], run_input: str | None) -> None:
    """Refuses a definition whose crons the tenant has no room for. Changes nothing."""
    known = {} if workflow is None else state.calendar.crons_of.get(workflow.id, {})
    declared = {cron.expression.text for cron in known.values() if cron.is_declared}
    new = sum(1 for text in expressions if text not in declared)
    if new:
        _check_room(state, new, new * len(run_input or "{}"))


def change_cron(state: State, command: ChangeCron, now_us: int) -> None:
    """Enables or disables it, or makes another one of it, whose first tick is the first after now."""
    cron = _cron(state, command.cron_id)
    before = cron.row()
    after = _changed(state, cron, command)
    if after == before:
        return
    cron.name, cron.input, cron.is_enabled = after.name, after.input, after.is_enabled
    cron.additional_metadata, cron.priority = after.additional_metadata, after.priority
    cron.updated_at_us = now_us
    state.calendar.cron_input_bytes += len(after.input) - len(before.input)
    is_rearmed = after.is_enabled is not before.is_enabled
    if after.expression != before.expression:
        cron.expression, is_rearmed = CronExpression(after.expression, field="cronExpression"), True
    if (after.expression, after.name) == (before.expression, before.name):
        state.ledger.touch_cron(cron)
    else:
        state.ledger.rewrite_cron(cron)
    if is_rearmed:
        _arm(state, cron, now_us if cron.is_enabled else None)


def _changed(state: State, cron: Cron, command: ChangeCron) -> CronRow:
    """The row as the command wants it. Changes nothing, and refuses what cannot be."""
    row = cron.row()
    is_enabled = row.is_enabled if command.is_enabled is None else command.is_enabled
    name = row.name if command.name is None else command.name
    expression = row.expression if command.expression is None else command.expression
    run_input = row.input if command.input is None else command.input
    metadata = row.additional_metadata if command.additional_metadata is UNSET else command.additional_metadata
    priority = row.priority if command.priority is UNSET else command.priority
    wanted = msgspec.structs.replace(
        row,
        is_enabled=is_enabled,
        name=name,
        expression=expression,
        input=run_input,
        additional_metadata=metadata,
        priority=priority,
    )
    if wanted == msgspec.structs.replace(row, is_enabled=is_enabled):
        return wanted
    if cron.is_declared or name is None:
        raise FailedPrecondition(
            "its workflow declares this cron; change it in the code and register the workflow again", field="cron"
        )
    _check_name(name)
    CronExpression(expression, field="cronExpression")
    if priority is not None:
        check_priority(priority, field="priority")
    if metadata != row.additional_metadata:
        _check_metadata(metadata)
    _check_only(cron.workflow, state, name, expression, but=cron)
    if len(run_input) > len(row.input):
        _check_room(state, 0, len(run_input) - len(row.input))
    return wanted


def delete_cron(state: State, cron_id: str) -> None:
    _drop(state, _cron(state, cron_id))


def run_cron(state: State, cron_id: str, now_us: int) -> str:
    """Makes a run of it now, whether or not it is enabled; the id. Its ticks go on as they would have."""
    cron = _cron(state, cron_id)
    if state.quotas is not None:
        quotas.check(state, Resource.TASK_RUN, quotas.tasks_of(cron.workflow), now_us)
    return _made(_make_cron_run(state, cron, None, now_us)).id


def backfill_ticks(expression: CronExpression, since_us: int, until_us: int, now_us: int) -> list[int]:
    """The ticks of a past time range, in order; one more than may be made runs of when there are more.

    InvalidArgument for a range that is none, is too long or is not past.
    """
    if since_us > until_us:
        raise InvalidArgument("the range ends before it begins", field="until")
    if until_us > now_us:
        raise InvalidArgument("the range has to be past; ticks to come make their runs by themselves", field="until")
    if until_us - since_us > BACKFILL_RANGE_US_MAX:
        raise InvalidArgument("the range may have at most 3660 days", field="since")
    return list(islice(expression.ticks_between(since_us, until_us), BACKFILL_TICKS_MAX + 1))


def backfill_cron(state: State, command: BackfillCron, now_us: int) -> Backfilled:
    """All of its runs or, when the tenant has no room for them, none."""
    cron = _cron(state, command.cron_id)
    ticks = backfill_ticks(cron.expression, command.since_us, command.until_us, now_us)
    if not ticks:
        raise InvalidArgument("the cron has no tick in this range", field="since")
    if len(ticks) > BACKFILL_TICKS_MAX:
        raise InvalidArgument(
            f"this range has more than {BACKFILL_TICKS_MAX} ticks; backfill it in parts: tick number "
            f"{BACKFILL_TICKS_MAX} is at {_instant(ticks[BACKFILL_TICKS_MAX - 1])}",
            field="until",
        )
    if len(ticks) * len(cron.input) > BACKFILL_INPUT_BYTES_MAX:
        raise InvalidArgument(
            f"each of the {len(ticks)} runs keeps a copy of the input; together they may have "
            f"{BACKFILL_INPUT_BYTES_MAX} bytes: backfill the range in parts",
            field="until",
        )
    if state.quotas is not None:
        quotas.check(state, Resource.TASK_RUN, len(ticks) * quotas.tasks_of(cron.workflow), now_us)
    backfill_id = state.new_id()
    made = 0
    for tick_us in ticks:
        run = _make_cron_run(state, cron, tick_us, now_us, backfill_id=backfill_id)
        made += isinstance(run, Run)
    if not made:
        _made(run)
    return Backfilled(backfill_id, made, len(ticks) - made)


def tick(state: State, cron: Cron, now_us: int) -> None:
    """Its alarm rang."""
    tick_us = cron.next_tick_us
    assert tick_us is not None
    cron.next_tick_us = None
    if now_us - tick_us > LATE_US_MAX:
        made_up_us = _to_make_up(state, cron, max(tick_us - 1, cron.workflow.unpaused_at_us or 0), now_us)
        if made_up_us != tick_us:
            alerts.cron_missed(state, cron, _ABSENT, now_us)
            _arm_for(state, cron, made_up_us)
            return
    cron.last_tick_us = tick_us
    state.ledger.tick_cron(CronTick(cron.id, tick_us))
    pause = cron.workflow.pause
    if pause is None or pause.crons is WhilePaused.QUEUE:
        lack = quotas.lacks(state, Resource.TASK_RUN, quotas.tasks_of(cron.workflow), now_us)
        if lack is not None:
            quotas.miss(state, cron, lack, now_us)
            alerts.cron_missed(state, cron, "a limit of the tenant leaves no room", now_us)
        else:
            _make_cron_run(state, cron, tick_us, now_us)
    else:
        alerts.cron_missed(state, cron, "its workflow is paused", now_us)
    _arm(state, cron, tick_us)


def _make_cron_run(
    state: State, cron: Cron, tick_us: int | None, now_us: int, *, backfill_id: str | None = None
) -> Run | Collision | Refusal:
    metadata = _cron_metadata(cron, tick_us, backfill_id)
    return _make(state, cron.workflow, cron.input, cron.priority, metadata, RunCause.CRON, now_us)


def _cron(state: State, cron_id: str) -> Cron:
    cron = state.calendar.crons.get(cron_id)
    if cron is None:
        raise NotFound(f"there is no cron {cron_id}", field="cron")
    return cron


def _check_name(name: str) -> None:
    if not name or len(name) > CRON_NAME_LENGTH_MAX:
        raise InvalidArgument(f"a cron needs a name of 1 to {CRON_NAME_LENGTH_MAX} characters", field="cronName")


def _check_only(workflow: Workflow, state: State, name: str, expression: str, *, but: Cron | None) -> None:
    for cron in state.calendar.crons_of.get(workflow.id, {}).values():
        if cron is not but and cron.name == name and cron.expression.text == expression:
            raise AlreadyExists(
                f"workflow {workflow.name!r} has a cron {name!r} with this expression", field="cronName"
            )


def _check_room(state: State, count: int, input_bytes: int) -> None:
    calendar = state.calendar
    if len(calendar.crons) + count > CRONS_MAX:
        raise ResourceExhausted(f"a tenant may have at most {CRONS_MAX} crons")
    if calendar.cron_input_bytes + input_bytes > CRON_INPUT_BYTES_MAX:
        raise ResourceExhausted(f"the inputs of a tenant's crons may have at most {CRON_INPUT_BYTES_MAX} bytes")


def _add(state: State, cron: Cron, now_us: int) -> None:
    state.calendar.add_cron(cron)
    state.ledger.touch_cron(cron)
    _arm(state, cron, now_us if cron.is_enabled else None)


def _drop(state: State, cron: Cron) -> None:
    _arm(state, cron, None)
    state.calendar.drop_cron(cron)
    state.ledger.delete_cron(cron.id)


def _arm(state: State, cron: Cron, after_us: int | None) -> None:
    """Its next tick is the first one after that instant and after the last one that came; None for no more ticks."""
    if cron.next_tick_us is not None:
        cron.next_tick_us = None
        state.timers.disarm()
    if after_us is None:
        return
    if cron.last_tick_us is not None:
        # The clock may have gone back since; a tick that came does not come again.
        after_us = max(after_us, cron.last_tick_us)
    _arm_for(state, cron, cron.expression.next_after(after_us))


def _arm_for(state: State, cron: Cron, tick_us: int | None) -> None:
    cron.next_tick_us = tick_us
    if tick_us is not None:
        state.timers.arm(tick_us, AlarmKind.CRON_DUE, cron)


def _to_make_up(state: State, cron: Cron, since_us: int, now_us: int) -> int | None:
    """The tick to go on with when none after `since_us` was looked at: one that nobody was there for, or the next.
    O(log of the time that is caught up with)."""
    since_us = max(since_us, cron.last_tick_us or 0)
    next_after = cron.expression.next_after
    found_us = next_after(max(since_us, now_us - LATE_US_MAX - 1))
    if found_us is not None and found_us <= now_us:
        return found_us
    has_tick_s = max(since_us, now_us - state.cron_catch_up_us) // US_PER_S
    last_us = next_after(has_tick_s * US_PER_S)
    if last_us is None or last_us > now_us or state.cron_catch_up_us == 0:
        return found_us
    # The later one looks, the fewer ticks are left until now: the last one comes after the latest look that finds any.
    has_none_s = now_us // US_PER_S
    while has_none_s - has_tick_s > 1:
        middle_s = (has_tick_s + has_none_s) // 2
        later_us = next_after(middle_s * US_PER_S)
        if later_us is not None and later_us <= now_us:
            has_tick_s, last_us = middle_s, later_us
        else:
            has_none_s = middle_s
    return last_us


def _cron_metadata(cron: Cron, tick_us: int | None, backfill_id: str | None) -> str:
    metadata: dict[str, Any] = {}
    if cron.additional_metadata is not None:
        metadata = msgspec.json.decode(cron.additional_metadata, type=dict[str, Any])
    metadata["hatchet__cron_expression"] = cron.expression.text
    metadata["hatchet__cron_name"] = cron.name or ""
    if tick_us is not None:
        metadata["hatchet__cron_scheduled_at"] = _instant(tick_us)
    if backfill_id is not None:
        metadata[BACKFILL_ID_KEY] = backfill_id
    return msgspec.json.encode(metadata).decode()


def _instant(at_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# Schedules ------------------------------------------------------------------------------------------------------------


def schedule(state: State, command: ScheduleRuns, now_us: int) -> Scheduled:
    """One schedule per instant, in order."""
    workflow, version = _registered(state, command.workflow_name)
    count = len(command.at_us)
    if not 1 <= count <= SCHEDULES_MAX:
        raise InvalidArgument(f"give 1 to {SCHEDULES_MAX} instants, not {count}", field="schedules")
    if count * (len(command.input) + len(command.additional_metadata or "")) > SCHEDULES_INPUT_BYTES_MAX:
        raise InvalidArgument(
            "each instant keeps a copy of the input and the metadata; together they may have "
            f"{SCHEDULES_INPUT_BYTES_MAX} bytes",
            field="input",
        )
    if command.priority is not None:
        check_priority(command.priority, field="priority")
    _check_metadata(command.additional_metadata)
    for at_us in command.at_us:
        check_instant(at_us)
    ids: list[str] = []
    for at_us in command.at_us:
        row = ScheduleRow(
            state.new_id(),
            workflow.id,
            at_us,
            command.input,
            command.additional_metadata,
            command.priority,
            command.parent_run_id,
            command.parent_task_id,
            command.child_index,
            command.child_key,
            now_us,
            now_us,
        )
        ids.append(row.id)
        _keep(state, Schedule(row))
        state.ledger.put_schedule(row)
    return Scheduled(
        version.id,
        version.ordinal,
        version.definition.label,
        workflow.id,
        workflow.created_at_us,
        workflow.updated_at_us,
        now_us,
        command.priority or version.definition.default_priority,
        tuple(ids),
    )


def move(state: State, moves: tuple[tuple[str, int], ...], now_us: int) -> tuple[str, ...]:
    """Gives schedules another instant; the ids of those that are still there to be moved."""
    for _, at_us in moves:
        check_instant(at_us)
    moved: list[str] = []
    for schedule_id, at_us in moves:
        found = state.calendar.schedules.get(schedule_id)
        if found is None:
            continue
        _forget(state, found)
        row = msgspec.structs.replace(found.row, trigger_at_us=at_us, updated_at_us=now_us)
        _keep(state, Schedule(row))
        state.ledger.put_schedule(row)
        moved.append(schedule_id)
    return tuple(dict.fromkeys(moved))


def delete(state: State, ids: Iterable[str]) -> tuple[str, ...]:
    """The ids of those that were there to be deleted."""
    deleted: list[str] = []
    for schedule_id in dict.fromkeys(ids):
        found = state.calendar.schedules.get(schedule_id)
        if found is not None:
            _forget(state, found)
            state.ledger.delete_schedule(schedule_id)
            deleted.append(schedule_id)
    return tuple(deleted)


def run_schedule(state: State, schedule_id: str, now_us: int) -> str:
    """Makes its run now instead of at its instant; the id."""
    found = state.calendar.schedules.get(schedule_id)
    if found is None:
        raise NotFound(f"there is no schedule {schedule_id}; it may have been triggered", field="scheduled")
    if state.quotas is not None:
        quotas.check(state, Resource.TASK_RUN, quotas.tasks_of(state.workflows[found.row.workflow_id]), now_us)
    run = _made(_make_scheduled(state, found.row, now_us))
    _forget(state, found)
    state.ledger.delete_schedule(schedule_id)
    return run.id


def fire(state: State, due: Schedule, now_us: int) -> None:
    """Its alarm rang."""
    due.due_at_us = None
    workflow = state.workflows[due.row.workflow_id]
    is_made = workflow.pause is None or workflow.pause.schedules is WhilePaused.QUEUE
    lack = quotas.lacks(state, Resource.TASK_RUN, quotas.tasks_of(workflow), now_us) if is_made else None
    if lack is not None and lack.room_at_us is not None:
        due.due_at_us = lack.room_at_us
        state.timers.arm(due.due_at_us, AlarmKind.SCHEDULE_DUE, due)
        return
    state.calendar.drop_schedule(due)
    state.ledger.delete_schedule(due.row.id)
    if lack is not None:
        message = f"a scheduled run was not made: {lack.message}"
        state.record_failure(FailureSource.TENANT_LIMIT, message, now_us, workflow_id=workflow.id)
    elif is_made:
        _make_scheduled(state, due.row, now_us)


def _check_metadata(metadata: str | None) -> None:
    """What cannot be read, or asks for what cannot be, is refused now: when it is due nobody is left to tell."""
    problem = None if metadata is None else problem_of(metadata)
    if problem is not None:
        raise InvalidArgument(problem, field="additionalMetadata")
    debounce.check(metadata, field="additionalMetadata")


def check_instant(at_us: int) -> None:
    if not INSTANT_US_MIN <= at_us <= INSTANT_US_MAX:
        raise InvalidArgument("the instant is out of range", field="triggerAt")


def _make_scheduled(state: State, row: ScheduleRow, now_us: int) -> Run | Collision | Refusal:
    metadata = _scheduled_metadata(row)
    workflow = state.workflows[row.workflow_id]
    run = _make(state, workflow, row.input, row.priority, metadata, RunCause.SCHEDULE, now_us)
    if isinstance(run, Run) and row.parent_task_id is not None:
        # It shows as a child of the task that scheduled it, which need not be in memory any more; the key by which
        # children are deduplicated stays empty, because schedules are not.
        run.row = msgspec.structs.replace(
            run.row, parent_run_id=row.parent_run_id, parent_task_id=row.parent_task_id
        )  # fmt: skip
    return run


def _scheduled_metadata(row: ScheduleRow) -> str:
    """The row is gone when the run is there: only this tells which it was."""
    metadata: dict[str, Any] = {}
    if row.additional_metadata is not None:
        metadata = msgspec.json.decode(row.additional_metadata, type=dict[str, Any])
    metadata[SCHEDULE_ID_KEY] = row.id
    return msgspec.json.encode(metadata).decode()


def _keep(state: State, added: Schedule) -> None:
    calendar = state.calendar
    calendar.add_schedule(added)
    if calendar.holds(added.key):
        _arm_schedule(state, added)
    else:
        calendar.beyond[added.row.id] = added


def _forget(state: State, gone: Schedule) -> None:
    if gone.due_at_us is not None:
        gone.due_at_us = None
        state.timers.disarm()
    state.calendar.drop_schedule(gone)


def _arm_schedule(state: State, armed: Schedule) -> None:
    armed.due_at_us = armed.row.trigger_at_us
    state.timers.arm(armed.due_at_us, AlarmKind.SCHEDULE_DUE, armed)


# Both -----------------------------------------------------------------------------------------------------------------


def forget_workflow(state: State, workflow: Workflow) -> None:
    """The workflow was deleted: nothing of it fires any more."""
    calendar = state.calendar
    for cron in list(calendar.crons_of.get(workflow.id, {}).values()):
        _drop(state, cron)
    for planned in [found for found in calendar.schedules.values() if found.row.workflow_id == workflow.id]:
        _forget(state, planned)
        state.ledger.delete_schedule(planned.row.id)
    state.ledger.clear_schedules(workflow.id)


def _registered(state: State, name: str) -> tuple[Workflow, Version]:
    workflow = state.workflows_by_name.get(name)
    if workflow is None or workflow.latest is None:
        raise NotFound(
            f"no workflow is registered as {name!r}; start a worker that registers it, or check the namespace",
            field="name",
        )
    return workflow, workflow.latest


def _make(
    state: State,
    workflow: Workflow,
    run_input: str,
    priority: int | None,
    metadata: str | None,
    cause: RunCause,
    now_us: int,
) -> Run | Collision | Refusal:
    """A run of the workflow's latest version."""
    version = workflow.latest
    assert version is not None, "what is planned goes with its workflow"
    request = RunRequest(workflow_name=workflow.name, input=run_input, priority=priority)
    return triggers.create(state, version, request, metadata, now_us, cause=cause)


def _made(run: Run | Collision | Refusal) -> Run:
    """For somebody who waits for the run."""
    match run:
        case Run():
            return run
        case Collision(existing_run_id, run_id):
            raise IdempotencyCollision(
                f"run {existing_run_id} holds the idempotency key", collisions=((existing_run_id, run_id),)
            )
        case Refusal(message):
            raise InvalidArgument(message, field="input")
        case _:
            assert_never(run)


# Memory ---------------------------------------------------------------------------------------------------------------


def adopt_crons(state: State, rows: Iterable[CronRow], now_us: int) -> None:
    """After a load: ticks go on, with what was missed while nobody was there if that shall be made up."""
    for row in rows:
        try:
            expression = CronExpression(row.expression, field="cron")
        except InvalidArgument:
            # A version that cannot read what an earlier one took has nothing to go by.
            state.ledger.delete_cron(row.id)
            continue
        cron = Cron(row, state.workflows[row.workflow_id], expression)
        state.calendar.add_cron(cron)
        if not cron.is_enabled:
            continue
        known_us = max(cron.updated_at_us, cron.workflow.unpaused_at_us or 0)
        first_us = expression.next_after(max(known_us, cron.last_tick_us or 0)) if state.alerts.rules else None
        if state.cron_catch_up_us:
            _arm_for(state, cron, _to_make_up(state, cron, known_us, now_us))
        else:
            _arm(state, cron, now_us)
        if first_us is not None and first_us <= now_us and first_us != cron.next_tick_us:
            alerts.cron_missed(state, cron, _ABSENT, now_us)


def adopt_schedules(state: State, rows: Iterable[ScheduleRow]) -> None:
    """Those a command names; they leave memory again after the round."""
    for row in rows:
        if row.id not in state.calendar.schedules:
            _keep(state, Schedule(row))


def adopt_page(state: State, page: SchedulePage) -> None:
    """The next schedules, or after a load the first."""
    calendar = state.calendar
    calendar.is_changed = True
    last = page.rows[-1] if page.rows else None
    calendar.horizon = None if page.is_last or last is None else (last.trigger_at_us, last.id)
    for row in page.rows:
        if row.id not in calendar.schedules:
            _keep(state, Schedule(row))


def trim(state: State) -> None:
    """Forgets schedules that do not belong into memory. Call after their rows were handed over for the commit."""
    calendar = state.calendar
    if not calendar.is_changed:
        return
    for visitor in list(calendar.beyond.values()):
        calendar.drop_schedule(visitor)
    if len(calendar.schedules) > 2 * PAGE_SCHEDULES_MAX or calendar.schedule_input_bytes > 2 * PAGE_INPUT_BYTES_MAX:
        _shorten(state)
    calendar.is_changed = False


def wanted_after(state: State) -> ScheduleKey | None:
    """The key behind which the next page of schedules shall be read now; None when those in memory will do."""
    calendar = state.calendar
    is_short = not calendar.schedules or (
        len(calendar.schedules) <= PAGE_SCHEDULES_MAX // 4
        and calendar.schedule_input_bytes <= PAGE_INPUT_BYTES_MAX // 4
    )
    return calendar.horizon if is_short else None


def _shorten(state: State) -> None:
    """Keeps a page of the nearest schedules, at least one."""
    in_order = sorted(state.calendar.schedules.values(), key=lambda planned: planned.key)
    kept = kept_bytes = 0
    for planned in in_order[:PAGE_SCHEDULES_MAX]:
        kept_bytes += len(planned.row.input)
        if kept and kept_bytes > PAGE_INPUT_BYTES_MAX:
            break
        kept += 1
    for planned in in_order[kept:]:
        _forget(state, planned)
    state.calendar.horizon = in_order[kept - 1].key
