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

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import asyncpg
import msgspec

from broadaxe.core.lifecycle import SHOWN_AS, RunCause, RunStatus, TaskEventType, TaskStatus
from broadaxe.storage.ids import (
    id_after,
    id_floor,
    id_floor_of,
    id_range,
    id_time,
    ids_surely_between,
    ids_with_prefix,
)
from broadaxe.storage.metadata import metadata_arguments
from broadaxe.storage.pages import ById, ByKey, ByNumber, BySeq, BySpan, ByTaskEvent, Page, page_of_rows
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.statements import statement

__all__ = [
    "LIVE_RUN",
    "POOL_SETTINGS",
    "FinishedBucket",
    "LiveGroupCount",
    "LiveTaskCount",
    "MetadataQueueSize",
    "QueueSize",
    "RateLimitOrder",
    "RateLimitRecord",
    "Reads",
    "RunFilter",
    "RunRecord",
    "RunResult",
    "SpanRecord",
    "TaskEventRecord",
    "TaskRecord",
    "TaskResultRow",
    "span_of_row",
]

POOL_SETTINGS: Final = {"plan_cache_mode": "force_custom_plan", "jit": "off"}

COUNT_MAX: Final = 20_000
TASKS_PER_ANSWER_MAX: Final = 20_000
EVENTS_PER_RUN_MAX: Final = 5_000
QUEUES_MAX: Final = 1_000
LIVE_DEFINITIONS_MAX: Final = 10_000
LIVE_GROUPS_MAX: Final = 10_000
WAITING_LOOKED_AT_MAX: Final = 100_000

#: Spans of a trace that were sent before the run was made are still found when they are younger than this.
TRACE_BEFORE_RUN: Final = timedelta(days=1)

_texts: Final = msgspec.json.Decoder(dict[str, str])
#: A field and a direction.
RateLimitOrder = Literal["key asc", "key desc", "value asc", "value desc", "limitValue asc", "limitValue desc"]

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
    priority: int
    cause: RunCause | None
    """None for a run that is older than the memory of it."""
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


class TaskEventRecord(msgspec.Struct, frozen=True, gc=False):
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


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs (or tasks) are meant. None and the empty metadata mean no filter; both times are inclusive."""

    tenant_id: str
    since: datetime
    until: datetime
    statuses: frozenset[RunStatus] | None = None
    workflow_ids: tuple[str, ...] | None = None
    worker_id: str | None = None
    """Tasks on this worker; runs with one among the newest 10,000 that it took."""
    parent_task_id: str | None = None
    event_id: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    """Pairs compared as text with the metadata value rendered as text: any of them, or any for each key with
    `match_all`."""
    match_all: bool = False
    idempotency_keys: tuple[str, ...] | None = None
    evicted: bool | None = None
    """Of the RUNNING ones, those whose live tasks are all evicted (true), or the others (false)."""
    id_prefix: str | None = None
    """The first hexadecimal digits of the id, without hyphens."""
    parent_id: str | None = None
    """The run, or the task, that started it."""
    causes: frozenset[RunCause] | None = None


class Reads:
    """Every question about runs. Holds nothing but the pool."""

    def __init__(self, pool: Queries) -> None:
        self._pool = pool

    # Lists of runs and tasks ------------------------------------------------------------------------------------

    async def runs_page(
        self,
        wanted: RunFilter,
        *,
        limit: int,
        offset: int = 0,
        after: ById | None = None,
        with_payloads: bool,
        oldest_first: bool = False,
    ) -> Page[RunRecord, ById]:
        """Runs in the order of their creation, with their tasks."""
        arguments = _run_arguments(wanted, after, oldest_first=oldest_first)
        rows = await self._pool.fetch(
            statement("reads/run_list"), *arguments, with_payloads, limit, offset, oldest_first
        )
        tasks = await self._tasks_by_run(wanted.tenant_id, [str(row["id"]) for row in rows], with_payloads)
        return page_of_rows(rows, [_run(row, tasks.get(str(row["id"]), ())) for row in rows], limit, _by_id)

    async def count_runs(self, wanted: RunFilter) -> int:
        """How many runs pass, counting no further than `COUNT_MAX`."""
        count: int = await self._pool.fetchval(statement("reads/run_count"), *_run_arguments(wanted), COUNT_MAX)
        return count

    async def run_ids(self, wanted: RunFilter, *, limit: int) -> list[str]:
        rows = await self._pool.fetch(statement("reads/run_ids"), *_run_arguments(wanted), limit)
        return [str(row["id"]) for row in rows]

    async def known_ids(self, tenant_id: str, ids: Sequence[str]) -> list[str]:
        """Those of them that are runs or tasks of the tenant, in the same order."""
        rows = await self._pool.fetch(statement("reads/known_ids"), tenant_id, list(ids))
        return [str(row["id"]) for row in rows]

    async def run_status_counts(self, wanted: RunFilter) -> tuple[dict[RunStatus, int], int]:
        """Runs by status, every status being there, with 0 if need be; and how many of the RUNNING ones are evicted."""
        name, arguments = _status_question(wanted)
        rows = await self._pool.fetch(statement(name), *arguments)
        counts = dict.fromkeys(RunStatus, 0) | {RunStatus(row["status"]): row["runs"] for row in rows}
        return counts, sum(row["evicted"] for row in rows)

    async def tasks_page(
        self, wanted: RunFilter, *, limit: int, offset: int = 0, after: ById | None = None, with_payloads: bool
    ) -> Page[tuple[RunRecord, TaskRecord], ById]:
        """Tasks newest first, each with its run (whose `tasks` are those of this page)."""
        name, arguments, runs_end = _task_question(wanted, "task_list", after)
        rows = await self._pool.fetch(statement(name), *arguments, with_payloads, limit, offset, *runs_end)
        tasks = [_task(row) for row in rows]
        runs = await self._runs([wanted.tenant_id], {task.run_id for task in tasks}, _by_run(tasks), with_payloads)
        pairs = [(runs[task.run_id], task) for task in tasks if task.run_id in runs]
        return page_of_rows(rows, pairs, limit, _by_id)

    async def count_tasks(self, wanted: RunFilter) -> int:
        """How many tasks pass, counting no further than `COUNT_MAX`."""
        name, arguments, _ = _task_question(wanted, "task_count")
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
        rows = await self._pool.fetch(statement("reads/run_result_tasks"), tenant_id, run_ids, id_floor_of(run_ids))
        results: dict[str, tuple[RunStatus, list[TaskResultRow]]] = {}
        for row in rows:
            _, tasks = results.setdefault(str(row["run_id"]), (RunStatus(row["run_status"]), []))
            tasks.append(
                TaskResultRow(str(row["id"]), row["name"], TaskStatus(row["status"]), row["output"], row["error"])
            )
        return [RunResult(run_id, status, tuple(tasks)) for run_id, (status, tasks) in results.items()]

    # History ----------------------------------------------------------------------------------------------------

    async def task_events(
        self, tenant_id: str, task_id: str, *, limit: int, offset: int = 0, after: BySeq | None = None
    ) -> Page[TaskEventRecord, BySeq]:
        """What happened to a task, newest first."""
        rows = await self._pool.fetch(
            statement("reads/task_events"),
            tenant_id,
            task_id,
            None,
            limit,
            offset,
            None if after is None else after.seq,
        )
        return page_of_rows(rows, [_entry(row) for row in rows], limit, lambda row: BySeq(row["seq"]))

    async def run_events(self, tenant_id: str, task_ids: Sequence[str]) -> list[TaskEventRecord]:
        """What happened to these tasks, oldest first; at most the newest `EVENTS_PER_RUN_MAX` entries."""
        return (await self.run_events_page(tenant_id, task_ids, limit=EVENTS_PER_RUN_MAX)).rows

    async def run_events_page(
        self, tenant_id: str, task_ids: Sequence[str], *, limit: int, after: ByTaskEvent | None = None
    ) -> Page[TaskEventRecord, ByTaskEvent]:
        """The newest `limit` entries of these tasks, oldest first; the page behind it has what happened before."""
        place = (None, None, None) if after is None else (after.at, after.task_id, after.seq)
        rows = await self._pool.fetch(statement("reads/run_events"), tenant_id, task_ids, limit, *place)
        entries = [_entry(row) for row in reversed(rows)]
        return page_of_rows(rows, entries, limit, lambda row: ByTaskEvent(row["at"], str(row["task_id"]), row["seq"]))

    async def attempt(self, tenant_id: str, latest: TaskRecord, retry_count: int) -> TaskRecord | None:
        """The task as an older attempt left it; None when there was no such attempt."""
        if retry_count == latest.retry_count:
            return latest
        rows = await self._pool.fetch(
            statement("reads/task_events"), tenant_id, latest.id, retry_count, EVENTS_PER_RUN_MAX, 0, None
        )
        return attempt_from_history(latest, retry_count, [_entry(row) for row in reversed(rows)]) if rows else None

    # Counts -----------------------------------------------------------------------------------------------------

    async def finished_buckets(
        self, tenant_id: str, since: datetime, until: datetime, width: timedelta
    ) -> list[FinishedBucket]:
        """Finished tasks per bucket; `since` is aligned by the caller."""
        rows = await self._pool.fetch(statement("reads/finished_buckets"), tenant_id, since, until, width)
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
        self,
        tenant_id: str,
        search: str,
        order: RateLimitOrder,
        *,
        limit: int,
        offset: int,
        after: ByKey | ByNumber | None = None,
    ) -> tuple[Page[RateLimitRecord, ByKey | ByNumber], int]:
        """Rate limits whose key contains `search`, and how many there are, counting no further than `COUNT_MAX`.

        They are not counted for a page behind a place, which is a `ByKey` in the orders by key.
        """
        rows = await self._pool.fetch(
            statement("reads/rate_limits"),
            tenant_id,
            search,
            order,
            limit,
            offset,
            COUNT_MAX if after is None else 0,
            None if after is None else after.key,
            after.number if isinstance(after, ByNumber) else None,
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
        return page_of_rows(rows, records, limit, _rate_limit_place(order)), rows[0]["total"] if rows else 0

    # Traces -----------------------------------------------------------------------------------------------------

    async def spans(
        self, tenant_id: str, trace_id: str, run_id: str, *, limit: int, after: BySpan | None = None
    ) -> Page[SpanRecord, BySpan]:
        """Spans that clients sent of the trace (32 hex digits) or about the run, by their start, each told once."""
        floor = id_floor(id_time(run_id) - TRACE_BEFORE_RUN)
        place = (None, None) if after is None else (after.at, bytes.fromhex(after.span_id))
        rows = await self._pool.fetch(statement("reads/spans"), tenant_id, trace_id, run_id, floor, limit, *place)
        spans = list({(row["trace_id"], row["span_id"]): span_of_row(row) for row in rows}.values())
        return page_of_rows(rows, spans, limit, lambda row: BySpan(row["started_at"], row["span_id"].hex()))

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
            id_floor_of(run_ids),
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


def attempt_from_history(latest: TaskRecord, retry_count: int, entries: Sequence[TaskEventRecord]) -> TaskRecord:
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


def _run_arguments(wanted: RunFilter, after: ById | None = None, *, oldest_first: bool = False) -> tuple[object, ...]:
    first, end = _ids(wanted)
    if after is not None and oldest_first:
        first = max(first, id_after(after.id))
    elif after is not None:
        end = min(end, after.id)
    if wanted.parent_id is not None:
        # A child is no older than what started it, so older partitions are left alone.
        first = max(first, id_floor_of([wanted.parent_id]))
    return (
        wanted.tenant_id,
        first,
        end,
        wanted.since,
        wanted.until,
        None if wanted.statuses is None else [status.value for status in wanted.statuses],
        wanted.statuses is not None and wanted.statuses <= LIVE_RUN,
        wanted.workflow_ids,
        wanted.parent_task_id,
        wanted.event_id,
        *metadata_arguments(wanted.metadata, match_all=wanted.match_all),
        *_later_traits(wanted),
        wanted.evicted,
        wanted.worker_id,
    )


def _later_traits(wanted: RunFilter) -> tuple[object, ...]:
    """The last arguments of `run_traits`."""
    causes = None if wanted.causes is None else sorted(wanted.causes)
    return wanted.idempotency_keys, wanted.parent_id, causes


def _ids(wanted: RunFilter) -> tuple[str, str]:
    """The smallest id that is asked for, and one that is greater than all of them."""
    first, end = id_range(wanted.since, wanted.until)
    if wanted.id_prefix is None:
        return first, end
    from_prefix, to_prefix = ids_with_prefix(wanted.id_prefix)
    return max(first, from_prefix), min(end, to_prefix)


def _status_question(wanted: RunFilter) -> tuple[str, tuple[object, ...]]:
    """The statement that counts runs by status, and its arguments: it only reads runs if something is asked of them."""
    tenant_id, since, until, workflow_ids = wanted.tenant_id, wanted.since, wanted.until, wanted.workflow_ids
    if wanted != RunFilter(tenant_id=tenant_id, since=since, until=until, workflow_ids=workflow_ids):
        return "reads/run_status_counts", _run_arguments(wanted)
    ids = *id_range(since, until), since, until, *ids_surely_between(since, until)
    return "reads/run_status_counts_of_window", (tenant_id, *ids, workflow_ids)


def _task_question(
    wanted: RunFilter, name: str, after: ById | None = None
) -> tuple[str, tuple[object, ...], tuple[str, ...]]:
    """The statement for what is asked about tasks, and its arguments: it only looks at runs if something is asked of
    them. Then the last of what is given here, the end of their ids, goes behind the arguments of a list."""
    statuses = None
    if wanted.statuses is not None or wanted.evicted is not None:
        shown_as = RunStatus if wanted.statuses is None else wanted.statuses
        statuses = [
            status.value
            for status, shown in SHOWN_AS.items()
            if shown in shown_as
            and (shown is not RunStatus.RUNNING or wanted.evicted in (None, status is TaskStatus.EVICTED))
        ]
    first, end = _ids(wanted)
    of_task = (
        wanted.tenant_id,
        first,
        end if after is None else min(end, after.id),
        wanted.since,
        wanted.until,
        statuses,
        wanted.statuses is not None and wanted.statuses <= LIVE_RUN,
        wanted.workflow_ids,
        wanted.worker_id,
    )
    if (wanted.event_id, *_later_traits(wanted)) == (None,) * 4 and not wanted.metadata:
        return f"reads/{name}", of_task, ()
    metadata = metadata_arguments(wanted.metadata, match_all=wanted.match_all)
    # A run may be a little younger by its id than a task of its own, if their engines' clocks differ.
    runs_until = wanted.until if after is None else min(wanted.until, id_time(after.id))
    _, runs_end = id_range(wanted.since, runs_until)
    return f"reads/{name}_of_runs", (*of_task, wanted.event_id, *metadata, *_later_traits(wanted)), (runs_end,)


def _by_id(row: asyncpg.Record) -> ById:
    return ById(str(row["id"]))


def _rate_limit_place(order: RateLimitOrder) -> Callable[[asyncpg.Record], ByKey | ByNumber]:
    if order.startswith("key"):
        return lambda row: ByKey(row["key"])
    column = "value" if order.startswith("value") else "limit_value"
    return lambda row: ByNumber(row[column], row["key"])


def _by_run(tasks: Iterable[TaskRecord]) -> dict[str, tuple[TaskRecord, ...]]:
    grouped: dict[str, list[TaskRecord]] = {}
    for task in tasks:
        grouped.setdefault(task.run_id, []).append(task)
    return {run_id: tuple(members) for run_id, members in grouped.items()}


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
        priority=row["priority"],
        cause=None if row["cause"] is None else RunCause(row["cause"]),
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


def _entry(row: asyncpg.Record) -> TaskEventRecord:
    return TaskEventRecord(
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


def span_of_row(row: asyncpg.Record) -> SpanRecord:
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
