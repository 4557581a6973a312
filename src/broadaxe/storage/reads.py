"""Reads for people: runs, tasks, their history, logs, events and counts, straight from the tables.

Owns the questions that dashboards, SDK clients and waiters ask about what the engine has committed. Refuses to decide
anything: it shows rows as they are, with three allowances of the schema made good here. A RUNNING task's start is taken
from its history, because the row learns it with the next change of state. A FINISHED entry's output is taken from
the task row while it still holds it. And an older attempt is put together from its entries.

Invariants: every query is confined to the tenants it is given, to an id range wherever ids carry time (so partitions
prune), and to a limit. Ids are lower-case UUID text, instants aware datetimes in UTC, payloads JSON text as stored.

Use a pool with `POOL_SETTINGS`: the optional filters need a plan for their actual values.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from broadaxe.core.decision import FailureSource
from broadaxe.core.lifecycle import SHOWN_AS, RunStatus, TaskEventType, TaskStatus
from broadaxe.storage.ids import CLOCK_SLACK, ID_MAX, id_floor, id_time
from broadaxe.storage.statements import statement

__all__ = [
    "LIVE_RUN",
    "POOL_SETTINGS",
    "EventFilter",
    "EventRecord",
    "EventRun",
    "ExpressionFailureRecord",
    "FilterRecord",
    "FinishedBucket",
    "HistoryEntry",
    "LiveGroupCount",
    "LiveTaskCount",
    "LogBucket",
    "LogFilter",
    "LogRecord",
    "MetadataQueueSize",
    "QueueSize",
    "RateLimitRecord",
    "Reads",
    "RunFilter",
    "RunRecord",
    "RunResult",
    "SpanRecord",
    "TaskRecord",
    "TaskResultRow",
    "metadata_arguments",
]

POOL_SETTINGS: Final = {"plan_cache_mode": "force_custom_plan", "jit": "off"}

COUNT_MAX: Final = 20_000
PREFILTER_OBJECTS_MAX: Final = 64
TASKS_PER_ANSWER_MAX: Final = 20_000
EVENTS_PER_RUN_MAX: Final = 5_000
QUEUES_MAX: Final = 1_000
LIVE_DEFINITIONS_MAX: Final = 10_000
LIVE_GROUPS_MAX: Final = 10_000
WAITING_LOOKED_AT_MAX: Final = 100_000
EVENT_KEYS_MAX: Final = 1_000
RUNS_PER_EVENT_MAX: Final = 500

#: Spans of a trace that were sent before the run was made are still found when they are younger than this.
TRACE_BEFORE_RUN: Final = timedelta(days=1)

_texts: Final = msgspec.json.Decoder(dict[str, str])
LIVE_RUN: Final = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})


class TaskRecord(msgspec.Struct, frozen=True, gc=False):
    """A task run as of its latest attempt, or of an older one when that was asked for."""

    id: str
    run_id: str
    definition_id: str
    name: str
    action_id: str
    display_name: str
    status: TaskStatus
    retry_count: int
    worker_id: str | None
    output: str | None
    error: str | None
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    spawned_children: int


class RunRecord(msgspec.Struct, frozen=True):
    """A run with its tasks in the order they were made. A single-task run has the id of its task."""

    tenant_id: str
    id: str
    workflow_id: str
    workflow_name: str
    version_id: str
    is_dag: bool
    display_name: str
    status: RunStatus
    input: str | None
    additional_metadata: str | None
    parent_task_id: str | None
    idempotency_key: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    tasks: tuple[TaskRecord, ...]


class TaskResultRow(msgspec.Struct, frozen=True, gc=False):
    id: str
    name: str
    status: TaskStatus
    output: str | None
    error: str | None


class RunResult(msgspec.Struct, frozen=True):
    """How a finished run ended, for those who wait for it."""

    id: str
    status: RunStatus
    tasks: tuple[TaskResultRow, ...]


class RateLimitRecord(msgspec.Struct, frozen=True, gc=False):
    """A rate limit with the units it has left now."""

    key: str
    limit: int
    value: int
    window_us: int
    last_refill_at: datetime
    paused_until: datetime | None


class HistoryEntry(msgspec.Struct, frozen=True, gc=False):
    task_id: str
    task_display_name: str
    seq: int
    type: TaskEventType
    at: datetime
    retry_count: int
    worker_id: str | None
    message: str
    error: str | None
    output: str | None


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    task_id: str
    task_display_name: str
    retry_count: int
    level: str
    message: str
    metadata: str | None
    created_at: datetime


class SpanRecord(msgspec.Struct, frozen=True):
    """A span a client sent; `trace_id` with 32 hex digits, span ids with 16, kinds and codes by their OTLP numbers."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    retry_count: int
    name: str
    kind: int
    service_name: str
    status_code: int
    status_message: str
    started_at: datetime
    duration_ns: int
    attributes: dict[str, str]
    resource_attributes: dict[str, str]
    scope_name: str
    scope_version: str


class EventRun(msgspec.Struct, frozen=True, gc=False):
    """A run that an event started, and the filter that let the event through."""

    run_id: str
    filter_id: str | None


class EventRecord(msgspec.Struct, frozen=True):
    tenant_id: str
    id: str
    key: str
    payload: str
    additional_metadata: str | None
    scope: str | None
    webhook_name: str | None
    seen_at: datetime
    runs: tuple[EventRun, ...]
    """The first `RUNS_PER_EVENT_MAX` of them."""
    run_counts: dict[RunStatus, int]


class FilterRecord(msgspec.Struct, frozen=True, gc=False):
    """An event filter."""

    id: str
    workflow_id: str
    scope: str
    expression: str
    payload: str
    is_declared: bool
    created_at: datetime
    updated_at: datetime


class ExpressionFailureRecord(msgspec.Struct, frozen=True, gc=False):
    """An expression that failed where nobody waited to be told."""

    id: str
    source: FailureSource
    message: str
    workflow_id: str | None
    event_id: str | None
    at: datetime


class FinishedBucket(msgspec.Struct, frozen=True, gc=False):
    starts_at: datetime
    succeeded: int
    failed: int


class LiveTaskCount(msgspec.Struct, frozen=True, gc=False):
    """Tasks of one definition that wait for a worker, or run, with `held` slots of concurrency rules each."""

    definition_id: str
    name: str
    action_id: str
    is_running: bool
    held: int
    tasks: int
    oldest_at: datetime | None
    oldest_first_attempt_at: datetime | None
    """Of those in their first attempt."""
    some_run_id: str


class LiveGroupCount(msgspec.Struct, frozen=True, gc=False):
    """Tasks of one definition under the same concurrency keys, in the order of the rules."""

    definition_id: str
    is_running: bool
    run_held: int
    held: int
    run_keys: tuple[str, ...]
    keys: tuple[str, ...]
    tasks: int


class QueueSize(msgspec.Struct, frozen=True, gc=False):
    action_id: str
    workflow_name: str
    tasks: int


class MetadataQueueSize(msgspec.Struct, frozen=True, gc=False):
    action_id: str
    key: str
    value: str
    tasks: int


class LogBucket(msgspec.Struct, frozen=True, gc=False):
    starts_at: datetime
    debug: int
    info: int
    warn: int
    error: int


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs (or tasks) are meant. None and the empty metadata mean no filter; both times are inclusive."""

    tenant_id: str
    since: datetime
    until: datetime
    statuses: frozenset[RunStatus] | None = None
    workflow_ids: tuple[str, ...] | None = None
    worker_id: str | None = None
    parent_task_id: str | None = None
    event_id: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    """Pairs compared as text with the metadata value rendered as text; any of them, or all with `match_all`."""
    match_all: bool = False
    idempotency_keys: tuple[str, ...] | None = None
    evicted: bool | None = None
    """Of the RUNNING ones, those whose live tasks are all evicted (true), or the others (false)."""


class LogFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which log lines are meant. Both times are exclusive; `search` is found in any case; `retry_count` from 0."""

    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    levels: tuple[str, ...] | None = None
    retry_count: int | None = None
    workflow_ids: tuple[str, ...] | None = None
    definition_ids: tuple[str, ...] | None = None


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which pushed events are meant; both times are inclusive, and all metadata pairs must match as text."""

    tenant_id: str
    since: datetime
    until: datetime
    keys: tuple[str, ...] | None = None
    event_ids: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    workflow_ids: tuple[str, ...] | None = None
    run_statuses: frozenset[RunStatus] | None = None


class Reads:
    """Every question about runs. Holds nothing but the pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    # Lists of runs and tasks ------------------------------------------------------------------------------------

    async def runs_page(self, wanted: RunFilter, *, limit: int, offset: int, with_payloads: bool) -> list[RunRecord]:
        """Runs newest first, with their tasks."""
        rows = await self._pool.fetch(
            statement("reads/run_list"), *_run_arguments(wanted), with_payloads, limit, offset
        )
        tasks = await self._tasks_by_run(wanted.tenant_id, [str(row["id"]) for row in rows], with_payloads)
        return [_run(row, tasks.get(str(row["id"]), ())) for row in rows]

    async def count_runs(self, wanted: RunFilter) -> int:
        """How many runs pass, counting no further than `COUNT_MAX`."""
        count: int = await self._pool.fetchval(statement("reads/run_count"), *_run_arguments(wanted), COUNT_MAX)
        return count

    async def run_ids(self, wanted: RunFilter, *, limit: int) -> list[str]:
        rows = await self._pool.fetch(statement("reads/run_ids"), *_run_arguments(wanted), limit)
        return [str(row["id"]) for row in rows]

    async def run_status_counts(self, wanted: RunFilter) -> tuple[dict[RunStatus, int], int]:
        """Runs by status, every status being there, with 0 if need be; and how many of the RUNNING ones are evicted."""
        rows = await self._pool.fetch(statement("reads/run_status_counts"), *_run_arguments(wanted))
        counts = dict.fromkeys(RunStatus, 0) | {RunStatus(row["status"]): row["runs"] for row in rows}
        return counts, sum(row["evicted"] for row in rows)

    async def tasks_page(
        self, wanted: RunFilter, *, limit: int, offset: int, with_payloads: bool
    ) -> list[tuple[RunRecord, TaskRecord]]:
        """Tasks newest first, each with its run (whose `tasks` are those of this page)."""
        name, arguments = _task_question(wanted, "task_list")
        rows = await self._pool.fetch(statement(name), *arguments, with_payloads, limit, offset)
        tasks = [_task(row) for row in rows]
        runs = await self._runs([wanted.tenant_id], {task.run_id for task in tasks}, _by_run(tasks), with_payloads)
        return [(runs[task.run_id], task) for task in tasks if task.run_id in runs]

    async def count_tasks(self, wanted: RunFilter) -> int:
        """How many tasks pass, counting no further than `COUNT_MAX`."""
        name, arguments = _task_question(wanted, "task_count")
        count: int = await self._pool.fetchval(statement(name), *arguments, COUNT_MAX)
        return count

    async def runs_by_id(self, tenant_ids: Sequence[str], run_ids: Sequence[str]) -> list[RunRecord]:
        """Runs without tasks and inputs, in the order asked for; unknown ids are left out."""
        found = await self._runs(tenant_ids, set(run_ids), {}, False)
        return [found[run_id] for run_id in dict.fromkeys(run_ids) if run_id in found]

    # One run, one task -----------------------------------------------------------------------------------------

    async def run(self, tenant_ids: Sequence[str], run_id: str, *, with_payloads: bool = True) -> RunRecord | None:
        """A run with all its tasks; None for an id that is not a run's, a DAG member's included."""
        rows = await self._pool.fetch(statement("reads/runs_by_id"), tenant_ids, [run_id], with_payloads)
        if not rows:
            return None
        tasks = await self._tasks_by_run(str(rows[0]["tenant_id"]), [run_id], with_payloads)
        return _run(rows[0], tasks.get(run_id, ()))

    async def task(self, tenant_ids: Sequence[str], task_id: str) -> tuple[RunRecord, TaskRecord] | None:
        """A task with its run and all of its siblings; None for an id that is not a task's, a DAG run's included."""
        row = await self._pool.fetchrow(statement("reads/run_of_task"), tenant_ids, task_id)
        if row is None:
            return None
        run = await self.run([str(row["tenant_id"])], str(row["run_id"]))
        if run is None:
            return None
        task = next((task for task in run.tasks if task.id == task_id), None)
        return None if task is None else (run, task)

    async def tenant_of_task(self, tenant_ids: Sequence[str], task_id: str) -> str | None:
        row = await self._pool.fetchrow(statement("reads/run_of_task"), tenant_ids, task_id)
        return None if row is None else str(row["tenant_id"])

    async def run_details(self, tenant_id: str, run_or_task_id: str) -> RunRecord | None:
        """The run with this id, or the run of the task with this id: status, tasks, input, metadata."""
        run = await self.run([tenant_id], run_or_task_id)
        if run is not None:
            return run
        found = await self.task([tenant_id], run_or_task_id)
        return None if found is None else found[0]

    async def run_results(self, tenant_id: str, run_ids: Sequence[str]) -> list[RunResult]:
        """How those of the runs that are finished have ended. Unfinished and unknown ids are left out."""
        if not run_ids:
            return []
        rows = await self._pool.fetch(statement("reads/run_result_tasks"), tenant_id, run_ids, _tasks_floor(run_ids))
        results: dict[str, tuple[RunStatus, list[TaskResultRow]]] = {}
        for row in rows:
            _, tasks = results.setdefault(str(row["run_id"]), (RunStatus(row["run_status"]), []))
            tasks.append(
                TaskResultRow(str(row["id"]), row["name"], TaskStatus(row["status"]), row["output"], row["error"])
            )
        return [RunResult(run_id, status, tuple(tasks)) for run_id, (status, tasks) in results.items()]

    # History ----------------------------------------------------------------------------------------------------

    async def task_events(self, tenant_id: str, task_id: str, *, limit: int, offset: int = 0) -> list[HistoryEntry]:
        """What happened to a task, newest first."""
        rows = await self._pool.fetch(statement("reads/task_events"), tenant_id, task_id, None, limit, offset)
        return [_entry(row) for row in rows]

    async def run_events(self, tenant_id: str, task_ids: Sequence[str]) -> list[HistoryEntry]:
        """What happened to these tasks, oldest first; at most the newest `EVENTS_PER_RUN_MAX` entries."""
        rows = await self._pool.fetch(statement("reads/run_events"), tenant_id, task_ids, EVENTS_PER_RUN_MAX)
        return [_entry(row) for row in reversed(rows)]

    async def attempt(self, tenant_id: str, latest: TaskRecord, retry_count: int) -> TaskRecord | None:
        """The task as an older attempt left it; None when there was no such attempt."""
        if retry_count == latest.retry_count:
            return latest
        rows = await self._pool.fetch(
            statement("reads/task_events"), tenant_id, latest.id, retry_count, EVENTS_PER_RUN_MAX, 0
        )
        return attempt_from_history(latest, retry_count, [_entry(row) for row in reversed(rows)]) if rows else None

    # Counts -----------------------------------------------------------------------------------------------------

    async def finished_buckets(
        self, tenant_id: str, since: datetime, until: datetime, width: timedelta, retention: timedelta
    ) -> list[FinishedBucket]:
        """Finished tasks per bucket. The caller aligns `since`; tasks made `retention` before it are not looked at."""
        rows = await self._pool.fetch(
            statement("reads/finished_buckets"), tenant_id, id_floor(since - retention), since, until, width
        )
        return [FinishedBucket(row["starts_at"], row["succeeded"], row["failed"]) for row in rows]

    async def queue_counts(self, tenant_id: str) -> dict[str, int]:
        """Waiting tasks per action."""
        rows = await self._pool.fetch(statement("reads/queue_counts"), tenant_id, QUEUES_MAX)
        return {row["action_id"]: row["tasks"] for row in rows}

    async def live_task_counts(self, tenant_id: str) -> list[LiveTaskCount]:
        """Tasks that wait for a worker, or run, by definition. Tasks of paused workflows do not wait for a worker."""
        rows = await self._pool.fetch(statement("reads/live_task_counts"), tenant_id, LIVE_DEFINITIONS_MAX)
        return [
            LiveTaskCount(
                definition_id=str(row["definition_id"]),
                name=row["name"],
                action_id=row["action_id"],
                is_running=row["is_running"],
                held=row["held"],
                tasks=row["tasks"],
                oldest_at=row["oldest_at"],
                oldest_first_attempt_at=row["oldest_first_attempt_at"],
                some_run_id=str(row["some_run"]),
            )
            for row in rows
        ]

    async def live_group_counts(self, tenant_id: str, places: Mapping[str, int]) -> list[LiveGroupCount]:
        """Under which keys live tasks wait or run, for definitions with concurrency rules, by their place in their
        workflow; the most frequent keys if there are more than `LIVE_GROUPS_MAX`."""
        rows = await self._pool.fetch(
            statement("reads/live_group_counts"), tenant_id, list(places), list(places.values()), LIVE_GROUPS_MAX
        )
        return [
            LiveGroupCount(
                definition_id=str(row["definition_id"]),
                is_running=row["is_running"],
                run_held=row["run_held"],
                held=row["held"],
                run_keys=_keys(row["run_groups"]),
                keys=_keys(row["groups"]),
                tasks=row["tasks"],
            )
            for row in rows
        ]

    async def queue_sizes(self, tenant_id: str) -> list[QueueSize]:
        """Waiting tasks per action and workflow."""
        rows = await self._pool.fetch(statement("reads/queue_sizes"), tenant_id, QUEUES_MAX)
        return [QueueSize(row["action_id"], row["workflow_name"], row["tasks"]) for row in rows]

    async def queue_sizes_by_metadata(self, tenant_id: str) -> list[MetadataQueueSize]:
        """Waiting tasks by the value of metadata keys that begin with `prom_`, among the oldest waiting ones."""
        rows = await self._pool.fetch(
            statement("reads/queue_sizes_by_metadata"), tenant_id, WAITING_LOOKED_AT_MAX, QUEUES_MAX
        )
        return [MetadataQueueSize(row["action_id"], row["key"], row["value"], row["tasks"]) for row in rows]

    async def rate_limits_page(
        self, tenant_id: str, search: str, order: str, *, limit: int, offset: int
    ) -> tuple[list[RateLimitRecord], int]:
        """Rate limits whose key contains `search`, and how many there are, counting no further than `COUNT_MAX`.

        `order` is a field and a direction.
        """
        rows = await self._pool.fetch(
            statement("reads/rate_limits"), tenant_id, search, order, limit, offset, COUNT_MAX
        )
        records = [
            RateLimitRecord(
                row["key"],
                row["limit_value"],
                row["value"],
                row["window_us"],
                row["last_refill_at"],
                row["paused_until"],
            )
            for row in rows
        ]
        return records, rows[0]["total"] if rows else 0

    # Traces -----------------------------------------------------------------------------------------------------

    async def spans(self, tenant_id: str, trace_id: str, run_id: str, *, limit: int) -> list[SpanRecord]:
        """Spans that clients sent of the trace (32 hex digits) or about the run, by their start, each told once."""
        floor = id_floor(id_time(run_id) - TRACE_BEFORE_RUN)
        rows = await self._pool.fetch(statement("reads/spans"), tenant_id, trace_id, run_id, floor, limit)
        return list({(row["trace_id"], row["span_id"]): _span(row) for row in rows}.values())

    # Logs -------------------------------------------------------------------------------------------------------

    async def task_logs(
        self, tenant_id: str, task_ids: Sequence[str], wanted: LogFilter, *, newest_first: bool, limit: int, offset: int
    ) -> list[LogRecord]:
        rows = await self._pool.fetch(
            statement("reads/task_logs"),
            tenant_id,
            task_ids,
            _tasks_floor(task_ids),
            wanted.since,
            wanted.until,
            _like_escaped(wanted.search),
            wanted.levels,
            wanted.retry_count,
            newest_first,
            limit,
            offset,
        )
        return [_log_line(row) for row in rows]

    async def tenant_logs(
        self, tenant_id: str, floor: datetime, wanted: LogFilter, *, newest_first: bool, limit: int, offset: int
    ) -> list[LogRecord]:
        """Lines of all tasks that were stored since `floor`."""
        rows = await self._pool.fetch(
            statement("reads/tenant_logs"),
            tenant_id,
            id_floor(floor - CLOCK_SLACK),
            wanted.since,
            wanted.until,
            _like_escaped(wanted.search),
            wanted.levels,
            wanted.retry_count,
            wanted.workflow_ids,
            wanted.definition_ids,
            newest_first,
            limit,
            offset,
        )
        return [_log_line(row) for row in rows]

    async def log_buckets(
        self,
        tenant_id: str,
        since: datetime,
        until: datetime,
        width: timedelta,
        wanted: LogFilter,
        task_ids: Sequence[str] | None,
    ) -> list[LogBucket]:
        """Log lines per bucket and level; `since` is aligned by the caller. The times of `wanted` are not used."""
        rows = await self._pool.fetch(
            statement("reads/log_buckets"),
            tenant_id,
            id_floor(since - CLOCK_SLACK),
            since,
            until,
            width,
            task_ids,
            _like_escaped(wanted.search),
            wanted.levels,
            wanted.workflow_ids,
            wanted.definition_ids,
        )
        return [LogBucket(row["starts_at"], row["debug"], row["info"], row["warn"], row["error"]) for row in rows]

    # Pushed events ----------------------------------------------------------------------------------------------

    async def events_page(self, wanted: EventFilter, *, limit: int, offset: int) -> list[EventRecord]:
        """Events newest first, each with the runs it started."""
        rows = await self._pool.fetch(statement("reads/event_list"), *_event_arguments(wanted), limit, offset)
        return await self._events(wanted.tenant_id, rows)

    async def count_events(self, wanted: EventFilter) -> int:
        """How many events pass, counting no further than `COUNT_MAX`."""
        count: int = await self._pool.fetchval(statement("reads/event_count"), *_event_arguments(wanted), COUNT_MAX)
        return count

    async def event(self, tenant_ids: Sequence[str], event_id: str) -> EventRecord | None:
        row = await self._pool.fetchrow(statement("reads/events_by_id"), tenant_ids, [event_id])
        if row is None:
            return None
        (record,) = await self._events(str(row["tenant_id"]), [row])
        return record

    async def events_by_id(self, tenant_id: str, event_ids: Sequence[str]) -> list[EventRecord]:
        """Events with the runs they started, in the order asked for; unknown ids are left out."""
        rows = await self._pool.fetch(statement("reads/events_by_id"), [tenant_id], event_ids)
        found = {record.id: record for record in await self._events(tenant_id, rows)}
        return [found[event_id] for event_id in event_ids if event_id in found]

    async def event_keys(self, tenant_id: str, since: datetime) -> list[str]:
        """The distinct keys of events since then, sorted."""
        rows = await self._pool.fetch(statement("reads/event_keys"), tenant_id, id_floor(since), EVENT_KEYS_MAX)
        return [row["key"] for row in rows]

    # Event filters, and expressions that failed ------------------------------------------------------------------

    async def filters_page(
        self,
        tenant_id: str,
        workflow_ids: Sequence[str] | None,
        scopes: Sequence[str] | None,
        *,
        limit: int,
        offset: int,
    ) -> list[FilterRecord]:
        """Event filters, newest first; None means all workflows, all scopes."""
        rows = await self._pool.fetch(statement("reads/filter_list"), tenant_id, workflow_ids, scopes, limit, offset)
        return [_filter(row) for row in rows]

    async def count_filters(
        self, tenant_id: str, workflow_ids: Sequence[str] | None, scopes: Sequence[str] | None
    ) -> int:
        """How many event filters pass, counting no further than `COUNT_MAX`."""
        count: int = await self._pool.fetchval(
            statement("reads/filter_count"), tenant_id, workflow_ids, scopes, COUNT_MAX
        )
        return count

    async def filter(self, tenant_id: str, filter_id: str) -> FilterRecord | None:
        row = await self._pool.fetchrow(statement("reads/filter_by_id"), tenant_id, filter_id)
        return None if row is None else _filter(row)

    async def expression_failures(
        self, tenant_id: str, sources: Sequence[str] | None, *, limit: int, offset: int
    ) -> list[ExpressionFailureRecord]:
        """The newest first; None means all sources."""
        rows = await self._pool.fetch(statement("reads/expression_failures"), tenant_id, sources, limit, offset)
        return [
            ExpressionFailureRecord(
                str(row["id"]),
                FailureSource(row["source"]),
                row["message"],
                _optional(row["workflow_id"]),
                _optional(row["event_id"]),
                row["at"],
            )
            for row in rows
        ]

    # -------------------------------------------------------------------------------------------------------------

    async def _tasks_by_run(
        self, tenant_id: str, run_ids: Sequence[str], with_payloads: bool
    ) -> dict[str, tuple[TaskRecord, ...]]:
        if not run_ids:
            return {}
        rows = await self._pool.fetch(
            statement("reads/tasks_of_runs"),
            tenant_id,
            run_ids,
            _tasks_floor(run_ids),
            with_payloads,
            TASKS_PER_ANSWER_MAX,
        )
        return _by_run(_task(row) for row in rows)

    async def _runs(
        self,
        tenant_ids: Sequence[str],
        run_ids: Collection[str],
        tasks: dict[str, tuple[TaskRecord, ...]],
        with_payloads: bool,
    ) -> dict[str, RunRecord]:
        if not run_ids:
            return {}
        rows = await self._pool.fetch(statement("reads/runs_by_id"), tenant_ids, list(run_ids), with_payloads)
        return {str(row["id"]): _run(row, tasks.get(str(row["id"]), ())) for row in rows}

    async def _events(self, tenant_id: str, rows: Sequence[asyncpg.Record]) -> list[EventRecord]:
        """The events with the runs they started."""
        event_ids = [str(row["id"]) for row in rows]
        if not event_ids:
            return []
        floor = _tasks_floor(event_ids)
        runs: dict[str, list[EventRun]] = {}
        started = await self._pool.fetch(statement("reads/event_runs"), tenant_id, event_ids, floor, RUNS_PER_EVENT_MAX)
        for row in started:
            run = EventRun(str(row["id"]), _optional(row["filter_id"]))
            runs.setdefault(str(row["event_id"]), []).append(run)
        counts: dict[str, dict[RunStatus, int]] = {}
        if runs:
            for row in await self._pool.fetch(statement("reads/event_run_counts"), tenant_id, list(runs), floor):
                counts.setdefault(str(row["event_id"]), {})[RunStatus(row["status"])] = row["runs"]
        return [_event(row, tenant_id, runs.get(str(row["id"]), []), counts.get(str(row["id"]), {})) for row in rows]


#: How far each entry moves an attempt: within one attempt the status only moves up this order (semantics 1.4).
_ATTEMPT_STATUS: Final[dict[TaskEventType, tuple[int, TaskStatus]]] = {
    TaskEventType.ASSIGNED: (1, TaskStatus.RUNNING),
    TaskEventType.SENT_TO_WORKER: (1, TaskStatus.RUNNING),
    TaskEventType.ACKNOWLEDGED: (1, TaskStatus.RUNNING),
    TaskEventType.STARTED: (1, TaskStatus.RUNNING),
    TaskEventType.SLOT_RELEASED: (1, TaskStatus.RUNNING),
    TaskEventType.TIMEOUT_REFRESHED: (1, TaskStatus.RUNNING),
    TaskEventType.BATCH_FLUSHED: (1, TaskStatus.RUNNING),
    TaskEventType.DURABLE_EVICTED: (1, TaskStatus.RUNNING),
    TaskEventType.DURABLE_RESTORING: (1, TaskStatus.RUNNING),
    TaskEventType.CANCELLED: (2, TaskStatus.CANCELLED),
    TaskEventType.FAILED: (3, TaskStatus.FAILED),
    TaskEventType.TIMED_OUT: (3, TaskStatus.FAILED),
    TaskEventType.SCHEDULING_TIMED_OUT: (3, TaskStatus.FAILED),
    TaskEventType.RATE_LIMIT_ERROR: (3, TaskStatus.FAILED),
    TaskEventType.COULD_NOT_SEND_TO_WORKER: (3, TaskStatus.FAILED),
    TaskEventType.FINISHED: (4, TaskStatus.COMPLETED),
    TaskEventType.SKIPPED: (4, TaskStatus.SKIPPED),
}


def attempt_from_history(latest: TaskRecord, retry_count: int, entries: Sequence[HistoryEntry]) -> TaskRecord:
    """The record that the entries of one attempt, oldest first, add up to."""
    rank, status = 0, TaskStatus.QUEUED
    worker_id = output = error = None
    queued_at = started_at = finished_at = None
    for entry in entries:
        worker_id = entry.worker_id or worker_id
        error = entry.error or error
        output = entry.output or output
        if entry.type is TaskEventType.QUEUED:
            queued_at = entry.at
        elif entry.type is TaskEventType.STARTED:
            started_at = entry.at
        entry_rank, entry_status = _ATTEMPT_STATUS.get(entry.type, (0, TaskStatus.QUEUED))
        if entry_rank > rank:
            rank, status = entry_rank, entry_status
            finished_at = entry.at if rank > 1 else None
    return msgspec.structs.replace(
        latest,
        status=status,
        retry_count=retry_count,
        worker_id=worker_id,
        output=output,
        error=error,
        queued_at=queued_at,
        started_at=started_at,
        finished_at=finished_at,
    )


def _run_arguments(wanted: RunFilter) -> tuple[object, ...]:
    return (
        *_range_arguments(wanted),
        None if wanted.statuses is None else [status.value for status in wanted.statuses],
        wanted.statuses is not None and wanted.statuses <= LIVE_RUN,
        wanted.workflow_ids,
        wanted.parent_task_id,
        wanted.event_id,
        *metadata_arguments(wanted.metadata, match_all=wanted.match_all),
        wanted.idempotency_keys,
        wanted.evicted,
    )


def _task_question(wanted: RunFilter, name: str) -> tuple[str, tuple[object, ...]]:
    """The statement for what is asked about tasks, and its arguments: it only looks at runs if something is asked of
    them."""
    statuses = None
    if wanted.statuses is not None or wanted.evicted is not None:
        shown_as = RunStatus if wanted.statuses is None else wanted.statuses
        statuses = [
            status.value
            for status, shown in SHOWN_AS.items()
            if shown in shown_as
            and (shown is not RunStatus.RUNNING or wanted.evicted in (None, status is TaskStatus.EVICTED))
        ]
    of_task = (
        *_range_arguments(wanted),
        statuses,
        wanted.statuses is not None and wanted.statuses <= LIVE_RUN,
        wanted.workflow_ids,
        wanted.worker_id,
    )
    if wanted.event_id is None and not wanted.metadata and wanted.idempotency_keys is None:
        return f"reads/{name}", of_task
    metadata = metadata_arguments(wanted.metadata, match_all=wanted.match_all)
    return f"reads/{name}_of_runs", (*of_task, wanted.event_id, *metadata, wanted.idempotency_keys)


def _range_arguments(wanted: RunFilter | EventFilter) -> tuple[object, ...]:
    # The id range only prunes partitions and bounds the index scan; the exact times are compared beside it.
    until_id = _ceiling(wanted.until)
    return wanted.tenant_id, id_floor(_before(wanted.since)), until_id, wanted.since, wanted.until


def _before(at: datetime) -> datetime:
    try:
        return at - CLOCK_SLACK
    except OverflowError:
        return at


def _ceiling(at: datetime) -> str:
    try:
        return id_floor(at + CLOCK_SLACK)
    except OverflowError:
        return ID_MAX


def metadata_arguments(pairs: Sequence[tuple[str, str]], *, match_all: bool) -> tuple[object, ...]:
    """Candidates for an index on the metadata, keys, values and whether all must match, as `run_list` takes them."""
    if not pairs:
        return None, None, None, None
    candidates = _prefilter(pairs, match_all=match_all)
    return candidates, [key for key, _ in pairs], [value for _, value in pairs], match_all


def _prefilter(pairs: Sequence[tuple[str, str]], *, match_all: bool) -> list[str]:
    """JSON objects one of which any match contains, for the index to find; the statement then compares the texts.

    Each pair stands for its value as a JSON string and as the JSON it may have been. With `match_all` an object has
    several pairs, as many as keep the number of objects small: the further ones are left to the comparison.
    """
    if not match_all:
        return [_object({key: one}) for key, value in pairs for one in _as_json(value)]
    found: list[dict[str, msgspec.Raw]] = [{}]
    for key, value in pairs:
        options = _as_json(value)
        if len(found) * len(options) > PREFILTER_OBJECTS_MAX:
            break
        found = [chosen | {key: option} for chosen in found for option in options]
    return [_object(chosen) for chosen in found]


def _as_json(value: str) -> list[msgspec.Raw]:
    """The value as a JSON string, and as the JSON that it may be the text of."""
    options = [msgspec.Raw(msgspec.json.encode(value))]
    with contextlib.suppress(msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        msgspec.json.decode(value)
        options.append(msgspec.Raw(value.encode()))
    return options


def _object(pairs: dict[str, msgspec.Raw]) -> str:
    return msgspec.json.encode(pairs).decode()


def _event_arguments(wanted: EventFilter) -> tuple[object, ...]:
    return (
        *_range_arguments(wanted),
        wanted.keys,
        wanted.event_ids,
        wanted.scopes,
        _prefilter(wanted.metadata, match_all=True) if wanted.metadata else None,
        [key for key, _ in wanted.metadata] or None,
        [value for _, value in wanted.metadata],
        wanted.workflow_ids,
        None if wanted.run_statuses is None else [status.value for status in wanted.run_statuses],
    )


def _tasks_floor(ids: Sequence[str]) -> str:
    """The smallest id that anything made after the oldest of these can have."""
    return id_floor(id_time(min(ids)) - CLOCK_SLACK)


def _by_run(tasks: Iterable[TaskRecord]) -> dict[str, tuple[TaskRecord, ...]]:
    grouped: dict[str, list[TaskRecord]] = {}
    for task in tasks:
        grouped.setdefault(task.run_id, []).append(task)
    return {run_id: tuple(members) for run_id, members in grouped.items()}


def _like_escaped(text: str | None) -> str | None:
    if not text:
        return None
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _keys(groups: str | None) -> tuple[str, ...]:
    """The keys of concurrency groups as they are stored; see `core/keys.py`."""
    return () if groups is None else tuple(key for key, _ in msgspec.json.decode(groups, type=list[tuple[str, int]]))


def _optional(value: object) -> str | None:
    return None if value is None else str(value)


def _run(row: asyncpg.Record, tasks: tuple[TaskRecord, ...]) -> RunRecord:
    started_at = row["started_at"]
    if started_at is None:
        # Like a task's, a run's start reaches its row with the next change of state.
        started_at = min((task.started_at for task in tasks if task.started_at is not None), default=None)
    return RunRecord(
        tenant_id=str(row["tenant_id"]),
        id=str(row["id"]),
        workflow_id=str(row["workflow_id"]),
        workflow_name=row["workflow_name"],
        version_id=str(row["workflow_version_id"]),
        is_dag=row["is_dag"],
        display_name=row["display_name"],
        status=RunStatus(row["status"]),
        input=row["input"],
        additional_metadata=row["additional_metadata"],
        parent_task_id=_optional(row["parent_task_id"]),
        idempotency_key=row["idempotency_key"],
        created_at=row["created_at"],
        started_at=started_at,
        finished_at=row["finished_at"],
        tasks=tasks,
    )


def _task(row: asyncpg.Record) -> TaskRecord:
    return TaskRecord(
        id=str(row["id"]),
        run_id=str(row["run_id"]),
        definition_id=str(row["definition_id"]),
        name=row["name"],
        action_id=row["action_id"],
        display_name=row["display_name"],
        status=TaskStatus(row["status"]),
        retry_count=row["retry_count"],
        worker_id=_optional(row["worker_id"]),
        output=row["output"],
        error=row["error"],
        created_at=row["created_at"],
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        spawned_children=row["spawned_children"],
    )


def _entry(row: asyncpg.Record) -> HistoryEntry:
    return HistoryEntry(
        task_id=str(row["task_id"]),
        task_display_name=row["display_name"],
        seq=row["seq"],
        type=TaskEventType(row["type"]),
        at=row["at"],
        retry_count=row["retry_count"],
        worker_id=_optional(row["worker_id"]),
        message=row["message"],
        error=row["error"],
        output=row["output"],
    )


def _log_line(row: asyncpg.Record) -> LogRecord:
    return LogRecord(
        task_id=str(row["task_id"]),
        task_display_name=row["display_name"],
        retry_count=row["retry_count"],
        level=row["level"],
        message=row["message"],
        metadata=row["metadata"],
        created_at=row["created_at"],
    )


def _span(row: asyncpg.Record) -> SpanRecord:
    parent: bytes | None = row["parent_span_id"]
    return SpanRecord(
        trace_id=row["trace_id"].hex,
        span_id=row["span_id"].hex(),
        parent_span_id=None if parent is None else parent.hex(),
        retry_count=row["retry_count"],
        name=row["name"],
        kind=row["kind"],
        service_name=row["service_name"],
        status_code=row["status_code"],
        status_message=row["status_message"],
        started_at=row["started_at"],
        duration_ns=row["duration_ns"],
        attributes=_texts.decode(row["attributes"]),
        resource_attributes=_texts.decode(row["resource_attributes"]),
        scope_name=row["scope_name"],
        scope_version=row["scope_version"],
    )


def _event(row: asyncpg.Record, tenant_id: str, runs: list[EventRun], run_counts: dict[RunStatus, int]) -> EventRecord:
    return EventRecord(
        tenant_id=tenant_id,
        id=str(row["id"]),
        key=row["key"],
        payload=row["payload"],
        additional_metadata=row["additional_metadata"],
        scope=row["scope"],
        webhook_name=row["triggering_webhook_name"],
        seen_at=row["seen_at"],
        runs=tuple(runs),
        run_counts=run_counts,
    )


def _filter(row: asyncpg.Record) -> FilterRecord:
    return FilterRecord(
        str(row["id"]),
        str(row["workflow_id"]),
        row["scope"],
        row["expression"],
        row["payload"],
        row["is_declared"],
        row["created_at"],
        row["updated_at"],
    )
