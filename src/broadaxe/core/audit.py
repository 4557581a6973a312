"""What goes into a tenant's audit log: the changes that somebody asked for, each with who it was.

Owns which commands leave an entry, and what it says of the object before and after. The entry is a row of the round
that does the thing, so there is never one without the other. A command that came to nothing (a definition that is the
same, tasks that had ended) leaves none; nor does one that was refused.

Programs do not fill the log with their work: of what they ask for, runs, events, crons and schedules leave no entry.
What people ask for leaves one always. What is changed past the core (tokens, webhooks, members) is written down by
`storage/audit.py` in the same form.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple, cast

import msgspec

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.alerts import DeleteAlertRule, PutAlertRule
from broadaxe.core.commands.asked import Asked, Initiator, InitiatorKind
from broadaxe.core.commands.crons import BackfillCron, Backfilled, ChangeCron, CreateCron, DeleteCron, RunCron
from broadaxe.core.commands.events import PushEvents
from broadaxe.core.commands.filters import ChangeFilter, CreateFilter, DeleteFilter
from broadaxe.core.commands.ratelimits import DeleteRateLimit, PauseRateLimit, PutRateLimit
from broadaxe.core.commands.schedules import DeleteSchedules, MoveSchedules, RunSchedule, Scheduled, ScheduleRuns
from broadaxe.core.commands.tasks import BranchTask, CancelTasks, ReplayTasks, RestoreTask
from broadaxe.core.commands.triggers import TriggerRuns
from broadaxe.core.commands.workers import PauseWorker
from broadaxe.core.commands.workflows import DeleteWorkflow, PauseWorkflow, PutWorkflow, UnpauseWorkflow
from broadaxe.core.decision import AuditRow
from broadaxe.core.state import State
from broadaxe.errors import IdempotencyCollision

__all__ = ["IDS_SHOWN_MAX", "TEXT_CHARS_MAX", "Action", "Subject", "Watched", "json_of", "watch"]

#: Of a text that changed.
TEXT_CHARS_MAX: Final = 500
#: Of many objects that one command names.
IDS_SHOWN_MAX: Final = 50


class Action(StrEnum):
    """What was done. Before the dot stands what it was done to."""

    ACCESS_REFUSED = "access.refused"
    ACCOUNT_ADD_SECOND_FACTOR = "account.add_second_factor"
    ACCOUNT_ASK_RESET = "account.ask_reset"
    ACCOUNT_CHANGE_PASSWORD = "account.change_password"
    ACCOUNT_END_SESSIONS = "account.end_sessions"
    ACCOUNT_LOG_IN = "account.log_in"
    ACCOUNT_LOG_OUT = "account.log_out"
    ACCOUNT_OPERATOR = "account.operator"
    ACCOUNT_REMOVE_SECOND_FACTOR = "account.remove_second_factor"
    ACCOUNT_RESET_PASSWORD = "account.reset_password"
    ALERT_CHANNEL_CHANGE = "alert_channel.change"
    ALERT_CHANNEL_CREATE = "alert_channel.create"
    ALERT_CHANNEL_DELETE = "alert_channel.delete"
    ALERT_RULE_CHANGE = "alert_rule.change"
    ALERT_RULE_CREATE = "alert_rule.create"
    ALERT_RULE_DELETE = "alert_rule.delete"
    CRON_BACKFILL = "cron.backfill"
    CRON_CHANGE = "cron.change"
    CRON_CREATE = "cron.create"
    CRON_DELETE = "cron.delete"
    CRON_RUN = "cron.run"
    EVENT_PUSH = "event.push"
    FILTER_CHANGE = "filter.change"
    FILTER_CREATE = "filter.create"
    FILTER_DELETE = "filter.delete"
    INVITE_ACCEPT = "invite.accept"
    INVITE_CHANGE = "invite.change"
    INVITE_CREATE = "invite.create"
    INVITE_REJECT = "invite.reject"
    INVITE_RENEW = "invite.renew"
    INVITE_REVOKE = "invite.revoke"
    LIMITS_CHANGE = "limits.change"
    MEMBER_ADD = "member.add"
    MEMBER_CHANGE = "member.change"
    MEMBER_REMOVE = "member.remove"
    NODE_DRAIN = "node.drain"
    NODE_UNDRAIN = "node.undrain"
    RATE_LIMIT_DELETE = "rate_limit.delete"
    RATE_LIMIT_PAUSE = "rate_limit.pause"
    RATE_LIMIT_PUT = "rate_limit.put"
    RUN_BRANCH = "run.branch"
    RUN_CANCEL = "run.cancel"
    RUN_REPLAY = "run.replay"
    RUN_RESTORE = "run.restore"
    RUN_TRIGGER = "run.trigger"
    SCHEDULE_CREATE = "schedule.create"
    SCHEDULE_DELETE = "schedule.delete"
    SCHEDULE_MOVE = "schedule.move"
    SCHEDULE_RUN = "schedule.run"
    TENANT_CHANGE = "tenant.change"
    TENANT_CREATE = "tenant.create"
    TENANT_DELETE = "tenant.delete"
    TOKEN_CREATE = "token.create"
    TOKEN_REVOKE = "token.revoke"
    TOKEN_ROTATE = "token.rotate"
    TOKEN_USE = "token.use"
    WEBHOOK_CHANGE = "webhook.change"
    WEBHOOK_CREATE = "webhook.create"
    WEBHOOK_DELETE = "webhook.delete"
    WORKER_PAUSE = "worker.pause"
    WORKER_UNPAUSE = "worker.unpause"
    WORKFLOW_DELETE = "workflow.delete"
    WORKFLOW_PAUSE = "workflow.pause"
    WORKFLOW_REGISTER = "workflow.register"
    WORKFLOW_UNPAUSE = "workflow.unpause"


Value = dict[str, object]


class Subject(NamedTuple):
    """An object as it is at this moment; `value` is None where there is none."""

    id: str
    name: str
    value: Value | None


class Watched(NamedTuple):
    """A command that leaves an entry, and its object before it."""

    action: Action
    before: Subject


_NOTHING: Final = Subject("", "", None)


def watch(state: State, asked: Asked) -> Watched | None:
    """Call before the command is decided. None when it leaves no entry, whatever comes of it."""
    command = asked.command
    action = _action_of(command, is_program=asked.by.kind is InitiatorKind.TOKEN)
    return None if action is None else Watched(action, _look(state, command))


def note(state: State, asked: Asked, watched: Watched, reply: Reply, now_us: int) -> None:
    """Call after it was decided: adds the entry to the round."""
    before, (object_id, name, after) = watched.before, _after(state, asked.command, watched.before, reply)
    if before.value == after:
        return
    state.ledger.add_audit(
        entry(
            state.new_id(),
            now_us,
            asked.by,
            watched.action,
            Subject(object_id or before.id, name or before.name, after),
            before=before.value,
        )
    )


def entry(
    entry_id: str, at_us: int, by: Initiator, action: Action, subject: Subject, *, before: Value | None = None
) -> AuditRow:
    """The row; `subject` is as it is afterwards, None of it when it is gone."""
    return AuditRow(
        entry_id,
        at_us,
        by.kind,
        by.id,
        by.name,
        by.address,
        action,
        subject.id,
        subject.name[:TEXT_CHARS_MAX],
        json_of(before),
        json_of(subject.value),
    )


def json_of(value: Value | None) -> str | None:
    """As it is stored: texts are cut, so that no entry is larger than a few of them."""
    return None if value is None else msgspec.json.encode({key: _cut(told) for key, told in value.items()}).decode()


def _cut(told: object) -> object:
    if isinstance(told, str) and len(told) > TEXT_CHARS_MAX:
        return f"{told[:TEXT_CHARS_MAX]}…"
    return told


def _action_of(command: Command, *, is_program: bool) -> Action | None:
    match command:
        case PutWorkflow():
            return Action.WORKFLOW_REGISTER
        case DeleteWorkflow():
            return Action.WORKFLOW_DELETE
        case PauseWorkflow():
            return Action.WORKFLOW_PAUSE
        case UnpauseWorkflow():
            return Action.WORKFLOW_UNPAUSE
        case PauseWorker():
            return Action.WORKER_PAUSE if command.is_paused else Action.WORKER_UNPAUSE
        case CancelTasks():
            return Action.RUN_CANCEL
        case ReplayTasks():
            return Action.RUN_REPLAY
        case BranchTask():
            return Action.RUN_BRANCH
        case PutRateLimit():
            return Action.RATE_LIMIT_PUT
        case DeleteRateLimit():
            return Action.RATE_LIMIT_DELETE
        case PutAlertRule(rule_id=rule_id):
            return Action.ALERT_RULE_CREATE if rule_id is None else Action.ALERT_RULE_CHANGE
        case DeleteAlertRule():
            return Action.ALERT_RULE_DELETE
        case CreateFilter():
            return Action.FILTER_CREATE
        case ChangeFilter():
            return Action.FILTER_CHANGE
        case DeleteFilter():
            return Action.FILTER_DELETE
    return None if is_program else _OF_PEOPLE.get(type(command))


_OF_PEOPLE: Final[dict[type, Action]] = {
    BackfillCron: Action.CRON_BACKFILL,
    ChangeCron: Action.CRON_CHANGE,
    CreateCron: Action.CRON_CREATE,
    DeleteCron: Action.CRON_DELETE,
    DeleteSchedules: Action.SCHEDULE_DELETE,
    MoveSchedules: Action.SCHEDULE_MOVE,
    PauseRateLimit: Action.RATE_LIMIT_PAUSE,
    PushEvents: Action.EVENT_PUSH,
    RestoreTask: Action.RUN_RESTORE,
    RunCron: Action.CRON_RUN,
    RunSchedule: Action.SCHEDULE_RUN,
    ScheduleRuns: Action.SCHEDULE_CREATE,
    TriggerRuns: Action.RUN_TRIGGER,
}


def _look(state: State, command: Command) -> Subject:
    """The one object that the command is about; nothing where it makes one, or is about several."""
    match command:
        case PutWorkflow(spec):
            found = state.workflows_by_name.get(spec.name)
            return Subject("", spec.name, None) if found is None else _workflow(state, found.id)
        case DeleteWorkflow(workflow_id) | PauseWorkflow(workflow_id=workflow_id) | UnpauseWorkflow(workflow_id):
            return _workflow(state, workflow_id)
        case PauseWorker(worker_id):
            return _worker(state, worker_id)
        case PutRateLimit(key) | DeleteRateLimit(key) | PauseRateLimit(key):
            return _rate_limit(state, key)
        case ChangeFilter(filter_id=filter_id) | DeleteFilter(filter_id):
            return _filter(state, filter_id)
        case ChangeCron(cron_id) | DeleteCron(cron_id):
            return _cron(state, cron_id)
        case PutAlertRule(rule_id=str(rule_id)) | DeleteAlertRule(rule_id):
            return _alert_rule(state, rule_id)
    return _NOTHING


def _after(state: State, command: Command, before: Subject, reply: Reply) -> Subject:
    match command:
        case CreateFilter():
            return _filter(state, str(reply))
        case PutAlertRule():
            return _alert_rule(state, str(reply))
        case CreateCron():
            return _cron(state, str(reply))
        case CancelTasks(ids) | ReplayTasks(ids):
            return _of_many(state, ids, {"tasks": len(cast(tuple[str, ...], reply))} if reply else None)
        case BranchTask(task_id=task_id):
            return _of_many(state, (task_id,), {"node": command.node_id, "branch": command.branch_id})
        case RestoreTask(task_id):
            return _of_many(state, (task_id,), {} if reply else None)
        case TriggerRuns(requests, is_again):
            ids = reply.started if isinstance(reply, IdempotencyCollision) else cast(tuple[str, ...], reply)
            if is_again:
                # Those that were there have their entry.
                ids = tuple(run_id for run_id in ids if state.ledger.makes(run_id))
            names = dict.fromkeys(request.workflow_name for request in requests)
            return _of_many(state, ids, {"workflows": list(names)[:IDS_SHOWN_MAX]} if ids else None)
        case PushEvents(events, is_again):
            if is_again:
                # Those that were there have their entry.
                here = {row.id for row in state.ledger.events()}
                events = tuple(event for event in events if event.promise is not None and event.promise.id in here)
                if not events:
                    return _NOTHING
            keys = dict.fromkeys(event.key for event in events)
            return Subject("", "", {"keys": list(keys)[:IDS_SHOWN_MAX], "count": len(events)})
        case ScheduleRuns():
            ids = reply.schedule_ids if isinstance(reply, Scheduled) else ()
            at_us = list(command.at_us[:IDS_SHOWN_MAX])
            return _of_many(state, ids, {"workflow": command.workflow_name, "at_us": at_us})
        case MoveSchedules(moves):
            moved = cast(tuple[str, ...], reply)
            at_us = [at_us for _, at_us in moves[:IDS_SHOWN_MAX]]
            return _of_many(state, moved, {"at_us": at_us} if moved else None)
        case DeleteSchedules():
            deleted = cast(tuple[str, ...], reply)
            return _of_many(state, deleted, {"deleted": len(deleted)} if deleted else None)
        case BackfillCron(cron_id):
            told: Value = {"since_us": command.since_us, "until_us": command.until_us}
            if isinstance(reply, Backfilled):
                told |= {"runs": reply.made, "id": reply.backfill_id}
            return _cron(state, cron_id)._replace(value=told)
        case RunCron(cron_id):
            cron = _cron(state, cron_id)
            return cron._replace(value={"run": str(reply)})
        case BackfillCron(cron_id, since_us, until_us):
            cron = _cron(state, cron_id)
            done = cast(Backfilled, reply)
            made: Value = {"backfill": done.backfill_id, "since_us": since_us, "until_us": until_us, "runs": done.made}
            return cron._replace(value=made)
        case RunSchedule(schedule_id):
            return Subject(schedule_id, "", {"run": str(reply)})
        case DeleteWorkflow():
            return before._replace(value=None)
    return _look(state, command)


def _of_many(state: State, ids: tuple[str, ...], value: Value | None) -> Subject:
    """One object is named in its own place, several in the value."""
    if value is None:
        return _NOTHING
    if len(ids) == 1:
        run = state.runs.get(ids[0])
        task = state.tasks.get(ids[0])
        name = run.row.display_name if run is not None else "" if task is None else task.definition.name
        return Subject(ids[0], name, value)
    return Subject("", "", {**value, "count": len(ids), "ids": list(ids[:IDS_SHOWN_MAX])})


def _workflow(state: State, workflow_id: str) -> Subject:
    workflow = state.workflows.get(workflow_id)
    if workflow is None or workflow.deleted_at_us is not None:
        return Subject(workflow_id, "", None)
    value: Value = {"version": 0 if workflow.latest is None else workflow.latest.ordinal}
    if workflow.pause is not None:
        pause = workflow.pause
        value |= {
            "paused_since_us": pause.since_us,
            "queue_ttl_us": pause.queue_ttl_us,
            "crons": pause.crons,
            "schedules": pause.schedules,
        }
    return Subject(workflow_id, workflow.name, value)


def _worker(state: State, worker_id: str) -> Subject:
    worker = state.workers.get(worker_id)
    if worker is None:
        return Subject(worker_id, "", None)
    return Subject(worker_id, worker.name, {"is_paused": worker.is_paused})


def _rate_limit(state: State, key: str) -> Subject:
    limit = state.limits.get(key)
    if limit is None:
        return Subject("", key, None)
    value: Value = {"limit": limit.limit, "window_us": limit.window_us, "is_dynamic": limit.is_dynamic}
    if limit.paused_until_us is not None:
        value["paused_until_us"] = limit.paused_until_us
    return Subject("", key, value)


def _filter(state: State, filter_id: str) -> Subject:
    found = state.filters.get(filter_id)
    if found is None:
        return Subject(filter_id, "", None)
    value: Value = {"scope": found.scope, "expression": found.expression, "payload": found.payload}
    return Subject(filter_id, found.workflow.name, value)


def _alert_rule(state: State, rule_id: str) -> Subject:
    rule = state.alerts.rules.get(rule_id)
    if rule is None:
        return Subject(rule_id, "", None)
    row = rule.row
    value: Value = {
        "kind": row.kind,
        "workflow": row.workflow,
        "threshold": row.threshold,
        "window_us": row.window_us,
        "quiet_us": row.quiet_us,
        "channels": list(row.channel_ids),
        "is_enabled": row.is_enabled,
        "template": row.template,
    }
    return Subject(rule_id, row.name, value)


def _cron(state: State, cron_id: str) -> Subject:
    cron = state.calendar.crons.get(cron_id)
    if cron is None:
        return Subject(cron_id, "", None)
    value: Value = {
        "workflow": cron.workflow.name,
        "expression": cron.expression.text,
        "is_enabled": cron.is_enabled,
        "input": cron.input,
        "priority": cron.priority,
    }
    if cron.additional_metadata is not None:
        value["additional_metadata"] = cron.additional_metadata
    return Subject(cron_id, cron.name or "", value)
