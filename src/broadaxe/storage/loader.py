"""A tenant's memory from its tables: at activation everything live, later whatever a command names.

Owns reading rows back as the types the journal wrote. Decides nothing. All of one load comes from one snapshot, and
from the partitions that can hold what it is about: those since the oldest live run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from broadaxe.core.backlog import SEGMENT_TASKS_MAX, ColdTasks
from broadaxe.core.calendar import (
    INSTANT_US_MIN,
    PAGE_INPUT_BYTES_MAX,
    PAGE_SCHEDULES_MAX,
    ScheduleKey,
    SchedulePage,
)
from broadaxe.core.commands.events import PushedEvent
from broadaxe.core.commands.needs import EventQuery
from broadaxe.core.commands.quotas import Resource
from broadaxe.core.commands.workers import LabelValue
from broadaxe.core.commands.workflows import WhilePaused
from broadaxe.core.decision import (
    AlertRow,
    AlertRuleRow,
    CronRow,
    DurableBranchRow,
    DurableEntryRow,
    DurableTaskRow,
    FilterRow,
    GateRow,
    ProducerRow,
    QuotaUsageRow,
    RateLimitRow,
    RunRow,
    RunState,
    ScheduleRow,
    TaskRow,
    TaskState,
    TopicRow,
    VersionRow,
    WorkerRow,
    WorkflowRow,
)
from broadaxe.core.definition import WorkflowDefinition
from broadaxe.core.dormant import DormantTask, events_of
from broadaxe.core.lifecycle import EntryKind, RunCause, RunStatus, TaskStatus
from broadaxe.core.loaded import Loaded, LoadedLog, LoadedRun, Missing
from broadaxe.core.queues import ID_BYTES
from broadaxe.core.waits import PastEvent
from broadaxe.storage.ids import ID_MAX, id_floor_of
from broadaxe.storage.quotas import quotas_of
from broadaxe.storage.statements import statement

CLAIMS_PAGE_ROWS: Final = 5_000
#: Callers wait for a load, and 16 bytes are read sooner than a row. The front of a longer backlog is thawed after it.
LOADED_WAITING_MAX: Final = SEGMENT_TASKS_MAX
#: Schedules fetched at a time while a page is put together: their inputs may be large.
SCHEDULES_FETCHED: Final = 50
#: Before every schedule there is.
_BEFORE_ALL: Final[ScheduleKey] = (INSTANT_US_MIN - 1, "00000000-0000-0000-0000-000000000000")

_RUN_ROW_FIELDS = len(RunRow.__struct_fields__)
_TASK_ROW_FIELDS = len(TaskRow.__struct_fields__)
#: Where an entry's event keys are among its columns after the kind.
_EVENT_KEYS = DurableEntryRow.__struct_fields__.index("event_keys") - 4
_CHANNEL_IDS: Final = AlertRuleRow.__struct_fields__.index("channel_ids")
_RUN_CAUSE = {cause.value: cause for cause in RunCause}
_RUN_STATUS = {status.value: status for status in RunStatus}
_TASK_STATUS = {status.value: status for status in TaskStatus}


async def load_live(
    pool: asyncpg.Pool,
    tenant_id: str,
    now_us: int,
    waiting_max: int = LOADED_WAITING_MAX,
    *,
    with_quotas: bool = False,
    asks_everything: bool = False,
) -> Loaded:
    """Definitions, workers and every run that has not finished. Of a backlog longer than `waiting_max` only the ids.
    Limits of the tenant and what it has used only `with_quotas`. `asks_everything`: also of tables that have nothing of
    the tenant."""
    own: dict[Resource, int | None] = {}
    usage: tuple[QuotaUsageRow, ...] = ()
    runs: list[Any] = []
    tasks: list[Any] = []
    children: list[Any] = []
    sleepers: list[Any] = []
    cold: tuple[ColdTasks, ...] = ()
    run_ids: list[str] = []
    logs: dict[str, LoadedLog] = {}
    gates: dict[str, list[GateRow]] = {}
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now_us)
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):

        async def rows_if(there: bool, name: str) -> list[Any]:
            return await connection.fetch(statement(name), tenant_id) if there or asks_everything else []

        await connection.execute(statement("loader/hold_partitions"))
        (outline,) = await connection.fetch(statement("loader/outline"), tenant_id)
        oldest = outline["oldest_live"]
        floor = ID_MAX if oldest is None else id_floor_of([oldest])
        workflows = await connection.fetch(statement("loader/workflows"), tenant_id)
        versions = await connection.fetch(statement("loader/versions"), tenant_id, floor)
        workers = await connection.fetch(statement("loader/workers"), tenant_id, now, floor)
        limits = await rows_if(outline["has_rate_limits"], "loader/rate_limits")
        filters = await rows_if(outline["has_filters"], "loader/filters")
        if with_quotas:
            own = await quotas_of(connection, tenant_id)
            rows = await connection.fetch(statement("loader/quota_usage"), tenant_id)
            usage = tuple(QuotaUsageRow(*row) for row in rows)
        alert_rules = await rows_if(outline["has_alert_rules"], "loader/alert_rules")
        alerts = await rows_if(outline["has_alert_rules"], "loader/alerts")
        claims: dict[bytes, bytes] = {}
        if outline["has_claims"] or asks_everything:
            claims = {digest: packed async for digest, packed in _claims(connection, tenant_id)}
        definitions = [_version(row) for row in versions]
        if oldest is not None or asks_everything:
            waiting = await connection.fetchval(statement("loader/backlog_count"), tenant_id, waiting_max + 1, floor)
            is_long = waiting > waiting_max
            watched = _watched(definitions)
            if is_long or asks_everything:
                cold, run_ids = await _backlog(connection, tenant_id, floor)
                runs = await connection.fetch(statement("loader/runs_by_id"), tenant_id, run_ids)
                tasks = await connection.fetch(statement("loader/tasks_of_runs"), tenant_id, run_ids, watched, floor)
            if not is_long:
                runs = await connection.fetch(statement("loader/live_runs"), tenant_id, floor)
                tasks = await connection.fetch(statement("loader/live_tasks"), tenant_id, watched, floor)
            # Whatever ran at some time may have spawned children, and may be asked for the same ones again.
            parents = [row["id"] for row in tasks if row["assigned_at_us"] is not None or row["retry_count"] > 0]
            if parents or asks_everything:
                children = await connection.fetch(statement("loader/children_of_tasks"), tenant_id, parents, floor)
                logs = await _logs(connection, tenant_id, parents)
            gates = await _gates(connection, tenant_id, definitions, tasks)
            sleepers = await connection.fetch(statement("loader/sleepers"), tenant_id, floor)
        crons = await rows_if(outline["has_crons"], "loader/crons")
        page = SchedulePage((), is_last=True)
        if outline["has_schedules"] or asks_everything:
            page = await _schedule_page(connection, tenant_id, _BEFORE_ALL)
    return Loaded(
        tuple(map(_workflow, workflows)),
        tuple(definitions),
        tuple(map(_worker, workers)),
        _runs(runs, tasks, children, logs, gates),
        tuple(RateLimitRow(*row) for row in limits),
        cold,
        tuple(FilterRow(*row) for row in filters),
        claims,
        tuple(CronRow(*row) for row in crons),
        schedule_page=page,
        dormant=tuple(DormantTask(row[0], row[1], events_of(row[2]), row[3]) for row in sleepers),
        quotas=own,
        quota_usage=usage,
        alert_rules=tuple(map(_alert_rule, alert_rules)),
        alerts=tuple(AlertRow(*row) for row in alerts),
    )


async def _claims(connection: Any, tenant_id: str) -> AsyncIterator[tuple[bytes, bytes]]:
    """Packed claims by digest, never more than a page of rows in memory beside them."""
    rows = connection.cursor(statement("loader/idempotency_claims"), tenant_id, prefetch=CLAIMS_PAGE_ROWS)
    async for digest, packed in rows:
        yield digest, packed


async def _backlog(connection: Any, tenant_id: str, floor: str) -> tuple[tuple[ColdTasks, ...], list[str]]:
    """The backlog in segments per queue and priority, each in queue order, and the ids of the live runs that are not of
    it."""
    waiting: list[ColdTasks] = []
    others: list[str] = []
    for definition_id, *columns in await connection.fetch(
        statement("loader/backlog"), tenant_id, floor, SEGMENT_TASKS_MAX
    ):
        if definition_id is not None:
            waiting.append(ColdTasks(definition_id, *columns))
            continue
        packed: bytes = columns[1]
        others += (str(UUID(bytes=packed[at : at + ID_BYTES])) for at in range(0, len(packed), ID_BYTES))
    return tuple(waiting), others


async def _schedule_page(connection: Any, tenant_id: str, after: ScheduleKey) -> SchedulePage:
    """The next schedules by instant and id: a page of them, fewer if their inputs are large."""
    rows: list[ScheduleRow] = []
    input_bytes = 0
    found = connection.cursor(
        statement("loader/schedules_after"), tenant_id, *after, PAGE_SCHEDULES_MAX + 1, prefetch=SCHEDULES_FETCHED
    )
    async for columns in found:
        row = ScheduleRow(*columns)
        input_bytes += len(row.input)
        if len(rows) == PAGE_SCHEDULES_MAX or (rows and input_bytes > PAGE_INPUT_BYTES_MAX):
            return SchedulePage(tuple(rows), is_last=False)
        rows.append(row)
    return SchedulePage(tuple(rows), is_last=True)


async def load_missing(pool: asyncpg.Pool, tenant_id: str, missing: Missing) -> Loaded:
    """The runs behind the ids (with their versions and children), the workers, schedules and the next page of them;
    topics and producers; unknown ids give nothing."""
    of_topics = await _topics(pool, tenant_id, missing) if missing.is_of_topics else Loaded()
    if not missing.is_of_others:
        return of_topics
    schedules: tuple[ScheduleRow, ...] = ()
    page: SchedulePage | None = None
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(statement("loader/hold_partitions"))
        workers = await connection.fetch(statement("loader/workers_by_id"), tenant_id, list(missing.workers))
        found = await connection.fetch(statement("loader/runs_of_ids"), tenant_id, list(missing.tasks))
        run_ids = [row["id"] for row in found]
        versions = await connection.fetch(statement("loader/versions_of_runs"), tenant_id, run_ids)
        runs = await connection.fetch(statement("loader/runs_by_id"), tenant_id, run_ids)
        definitions = [_version(row) for row in versions]
        floor = id_floor_of(run_ids) if run_ids else ID_MAX
        watched = _watched(definitions)
        tasks = await connection.fetch(statement("loader/tasks_of_runs"), tenant_id, run_ids, watched, floor)
        task_ids = [row["id"] for row in tasks]
        children = await connection.fetch(statement("loader/children_of_tasks"), tenant_id, task_ids, floor)
        if missing.schedules:
            named = await connection.fetch(statement("loader/schedules_by_id"), tenant_id, list(missing.schedules))
            schedules = tuple(ScheduleRow(*row) for row in named)
        if missing.schedules_after is not None:
            page = await _schedule_page(connection, tenant_id, missing.schedules_after)
        logs = await _logs(connection, tenant_id, task_ids)
        gates = await _gates(connection, tenant_id, definitions, tasks)
        events = await _past_events(connection, tenant_id, sorted(missing.events, key=repr))
        pushed: list[Any] = []
        if missing.pushed:
            ids = sorted(missing.pushed)
            pushed = await connection.fetch(statement("loader/pushed_events"), tenant_id, ids, id_floor_of(ids))
    return Loaded(
        versions=tuple(definitions),
        workers=tuple(map(_worker, workers)),
        runs=_runs(runs, tasks, children, logs, gates),
        schedules=schedules,
        schedule_page=page,
        events=events,
        pushed=tuple(PushedEvent(row["id"], row["seen_at_us"], tuple(row["run_ids"])) for row in pushed),
        topics=of_topics.topics,
        producers=of_topics.producers,
        topic_count=of_topics.topic_count,
    )


async def _topics(pool: asyncpg.Pool, tenant_id: str, missing: Missing) -> Loaded:
    """Nobody but the tenant's owner changes them, so they need no snapshot of their own."""
    async with pool.acquire() as connection:
        topics, producers, count = [], [], None
        if missing.topics:
            topics = await connection.fetch(statement("loader/topics"), tenant_id, list(missing.topics))
        if missing.producers:
            pairs = zip(*missing.producers, strict=True)
            producers = await connection.fetch(statement("loader/producers"), tenant_id, *pairs)
        if missing.counts_topics:
            count = await connection.fetchval(statement("loader/topic_count"), tenant_id)
    return Loaded(
        topics=tuple(TopicRow(*row) for row in topics),
        producers=tuple(ProducerRow(*row) for row in producers),
        topic_count=count,
    )


def _alert_rule(row: Any) -> AlertRuleRow:
    columns = list(row)
    columns[_CHANNEL_IDS] = tuple(columns[_CHANNEL_IDS])
    return AlertRuleRow(*columns)


def _workflow(row: Any) -> WorkflowRow:
    crons, schedules = row["paused_crons"], row["paused_schedules"]
    return WorkflowRow(
        row["id"],
        row["name"],
        row["description"],
        row["created_at_us"],
        row["updated_at_us"],
        row["deleted_at_us"],
        row["paused_at_us"],
        row["paused_queue_ttl_us"],
        None if crons is None else WhilePaused(crons),
        None if schedules is None else WhilePaused(schedules),
        row["unpaused_at_us"],
        row["paused_by"],
    )


def _watched(versions: Iterable[VersionRow]) -> list[str]:
    """Ids of task definitions whose outputs the conditions of others look at."""
    watched: list[str] = []
    for version in versions:
        named = {rule.parent for task in version.definition.tasks for rule in task.conditions if rule.parent}
        watched += (task.id for task in version.definition.tasks if task.name in named)
    return watched


async def _gates(
    connection: Any, tenant_id: str, versions: Iterable[VersionRow], tasks: Iterable[Any]
) -> dict[str, list[GateRow]]:
    """Conditions of those of the tasks that have any, by run."""
    with_conditions = {task.id for version in versions for task in version.definition.tasks if task.conditions}
    run_of = {row["id"]: row["run_id"] for row in tasks if row["definition_id"] in with_conditions}
    gates: dict[str, list[GateRow]] = defaultdict(list)
    if run_of:
        for row in await connection.fetch(statement("loader/gates"), tenant_id, list(run_of)):
            gates[run_of[row["task_id"]]].append(GateRow(*row))
    return gates


async def _logs(connection: Any, tenant_id: str, task_ids: list[str]) -> dict[str, LoadedLog]:
    """The logs of those of the tasks that are durable, by task."""
    rows = await connection.fetch(statement("loader/durable_tasks"), tenant_id, task_ids)
    if not rows:
        return {}
    durable_ids = [row["task_id"] for row in rows]
    branches: dict[str, list[DurableBranchRow]] = defaultdict(list)
    for row in await connection.fetch(statement("loader/durable_branches"), tenant_id, durable_ids):
        branches[row["task_id"]].append(DurableBranchRow(*row))
    entries: dict[str, list[tuple[DurableEntryRow, bool]]] = defaultdict(list)
    for row in await connection.fetch(statement("loader/durable_entries"), tenant_id, durable_ids):
        task_id, branch_id, node_id, kind, *rest, is_child_over = row
        rest[_EVENT_KEYS] = tuple(rest[_EVENT_KEYS])
        entry = DurableEntryRow(task_id, branch_id, node_id, EntryKind(kind), *rest)
        entries[task_id].append((entry, is_child_over))
    news: dict[str, list[PastEvent]] = defaultdict(list)
    for task_id, *event in await connection.fetch(statement("loader/news"), tenant_id, durable_ids):
        news[task_id].append(PastEvent(*event))
    return {
        row["task_id"]: LoadedLog(
            DurableTaskRow(*row),
            tuple(branches[row["task_id"]]),
            tuple(entries[row["task_id"]]),
            tuple(news[row["task_id"]]),
        )
        for row in rows
    }


async def _past_events(connection: Any, tenant_id: str, queries: list[EventQuery]) -> tuple[PastEvent, ...]:
    if not queries:
        return ()
    keys, scopes, since, counts = zip(*map(msgspec.structs.astuple, queries), strict=True)
    rows = await connection.fetch(statement("loader/past_events"), tenant_id, keys, scopes, since, counts)
    return tuple(PastEvent(*row) for row in rows)


def _version(row: Any) -> VersionRow:
    definition = msgspec.json.decode(row["definition"], type=WorkflowDefinition)
    return VersionRow(
        row["id"],
        row["workflow_id"],
        row["ordinal"],
        row["label"],
        row["checksum"],
        definition,
        row["created_at_us"],
    )


def _worker(row: Any) -> WorkerRow:
    return WorkerRow(
        row["id"],
        row["name"],
        tuple(row["actions"]),
        msgspec.json.decode(row["slots"], type=dict[str, int]),
        msgspec.json.decode(row["labels"], type=dict[str, LabelValue]),
        msgspec.json.decode(row["runtime"], type=dict[str, str]),
        row["is_paused"],
        row["is_listening"],
        row["created_at_us"],
        row["updated_at_us"],
        row["last_heartbeat_at_us"],
        row["listening_since_us"],
        row["speaks_durably"],
        row["paused_by"],
    )


def _runs(
    runs: Sequence[Any],
    tasks: Iterable[Any],
    children: Iterable[Any],
    logs: Mapping[str, LoadedLog],
    gates: Mapping[str, Sequence[GateRow]],
) -> tuple[LoadedRun, ...]:
    tasks_of: dict[str, list[tuple[TaskRow, TaskState]]] = defaultdict(list)
    run_of: dict[str, str] = {}
    for row in tasks:
        columns = tuple(row)
        task_id, status, *rest = columns[0], *columns[_TASK_ROW_FIELDS:]
        tasks_of[columns[1]].append(
            (TaskRow(*columns[:_TASK_ROW_FIELDS]), TaskState(task_id, _TASK_STATUS[status], *rest))
        )
        run_of[task_id] = columns[1]
    children_of: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for task_id, key, run_id in children:
        children_of[run_of[task_id]].append((task_id, key, run_id))
    loaded = []
    for row in runs:
        columns = tuple(row)
        run_id, status, *rest = columns[0], *columns[_RUN_ROW_FIELDS:]
        loaded.append(
            LoadedRun(
                RunRow(*(*columns[: _RUN_ROW_FIELDS - 1], _RUN_CAUSE[columns[_RUN_ROW_FIELDS - 1]])),
                RunState(run_id, _RUN_STATUS[status], *rest),
                tuple(tasks_of.get(run_id, ())),
                tuple(children_of.get(run_id, ())),
                tuple(logs[row.id] for row, _ in tasks_of.get(run_id, ()) if row.id in logs) if logs else (),
                tuple(gates.get(run_id, ())),
            )
        )
    return tuple(loaded)
