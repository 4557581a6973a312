"""Reads for people: runs, tasks and their history, straight from the tables.

Owns the questions that dashboards, SDK clients and waiters ask about what the engine has committed. Refuses to decide
anything: it shows rows as they are, with three allowances of the schema made good here. A RUNNING task's start is taken
from its history, because the row learns it with the next change of state. A FINISHED entry's output is taken from
the task row while it still holds it. And an older attempt is put together from its entries.

Invariants: every query is confined to the tenants it is given, to an id range wherever ids carry time (so partitions
prune), and to a limit. Ids are lower-case UUID text, instants aware datetimes in UTC, payloads JSON text as stored.

Use a pool with `POOL_SETTINGS`: the optional filters need a plan for their actual values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from broadaxe.core.lifecycle import RunCause, RunStatus, TaskEventType, TaskStatus
from broadaxe.storage.ids import id_floor_of
from broadaxe.storage.pages import ById, BySeq, ByTaskEvent, Page, page_of_rows
from broadaxe.storage.payload_search import LOOKED_AT_BYTES_MAX, LOOKED_AT_MAX, PayloadSearch, Searched
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.run_filter import RunFilter, run_arguments, status_question, task_question
from broadaxe.storage.statements import statement

__all__ = [
    "POOL_SETTINGS",
    "Reads",
    "RunRecord",
    "RunResult",
    "TaskEventRecord",
    "TaskRecord",
    "TaskResultRow",
]

POOL_SETTINGS: Final = {"plan_cache_mode": "force_custom_plan", "jit": "off"}

COUNT_MAX: Final = 20_000
TASKS_PER_ANSWER_MAX: Final = 20_000
EVENTS_PER_RUN_MAX: Final = 5_000


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
        arguments = run_arguments(wanted, after, oldest_first=oldest_first)
        rows = await self._pool.fetch(
            statement("reads/run_list"), *arguments, with_payloads, limit, offset, oldest_first
        )
        tasks = await self._tasks_by_run(wanted.tenant_id, [str(row["id"]) for row in rows], with_payloads)
        return page_of_rows(rows, [_run(row, tasks.get(str(row["id"]), ())) for row in rows], limit, _by_id)

    async def count_runs(self, wanted: RunFilter) -> int:
        """How many runs pass, counting no further than `COUNT_MAX`."""
        count: int = await self._pool.fetchval(statement("reads/run_count"), *run_arguments(wanted), COUNT_MAX)
        return count

    async def run_ids(self, wanted: RunFilter, *, limit: int) -> list[str]:
        rows = await self._pool.fetch(statement("reads/run_ids"), *run_arguments(wanted), limit)
        return [str(row["id"]) for row in rows]

    async def runs_by_payload(self, wanted: RunFilter, search: PayloadSearch) -> Searched:
        """Those of the newest `LOOKED_AT_MAX` runs that pass the filter which have the values in their payloads."""
        row = await self._pool.fetchrow(
            statement("reads/runs_by_payload"),
            *run_arguments(wanted),
            LOOKED_AT_MAX,
            [term.place for term in search.inputs],
            [term.value for term in search.inputs],
            [term.place for term in search.outputs],
            [term.value for term in search.outputs],
            LOOKED_AT_BYTES_MAX,
        )
        assert row is not None, "it counts"
        is_cut = row["found"] >= LOOKED_AT_MAX or row["looked_at"] < row["found"]
        return Searched(tuple(map(str, row["ids"])), row["looked_at"], row["oldest"], is_cut)

    async def known_ids(self, tenant_id: str, ids: Sequence[str]) -> list[str]:
        """Those of them that are runs or tasks of the tenant, in the same order."""
        rows = await self._pool.fetch(statement("reads/known_ids"), tenant_id, list(ids))
        return [str(row["id"]) for row in rows]

    async def run_status_counts(self, wanted: RunFilter) -> tuple[dict[RunStatus, int], int]:
        """Runs by status, every status being there, with 0 if need be; and how many of the RUNNING ones are evicted."""
        name, arguments = status_question(wanted)
        rows = await self._pool.fetch(statement(name), *arguments)
        counts = dict.fromkeys(RunStatus, 0) | {RunStatus(row["status"]): row["runs"] for row in rows}
        return counts, sum(row["evicted"] for row in rows)

    async def tasks_page(
        self, wanted: RunFilter, *, limit: int, offset: int = 0, after: ById | None = None, with_payloads: bool
    ) -> Page[tuple[RunRecord, TaskRecord], ById]:
        """Tasks newest first, each with its run (whose `tasks` are those of this page)."""
        name, arguments, runs_end = task_question(wanted, "task_list", after)
        rows = await self._pool.fetch(statement(name), *arguments, with_payloads, limit, offset, *runs_end)
        tasks = [_task(row) for row in rows]
        runs = await self._runs([wanted.tenant_id], {task.run_id for task in tasks}, _by_run(tasks), with_payloads)
        pairs = [(runs[task.run_id], task) for task in tasks if task.run_id in runs]
        return page_of_rows(rows, pairs, limit, _by_id)

    async def count_tasks(self, wanted: RunFilter) -> int:
        """How many tasks pass, counting no further than `COUNT_MAX`."""
        name, arguments, _ = task_question(wanted, "task_count")
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


def _by_id(row: asyncpg.Record) -> ById:
    return ById(str(row["id"]))


def _by_run(tasks: Iterable[TaskRecord]) -> dict[str, tuple[TaskRecord, ...]]:
    grouped: dict[str, list[TaskRecord]] = {}
    for task in tasks:
        grouped.setdefault(task.run_id, []).append(task)
    return {run_id: tuple(members) for run_id, members in grouped.items()}


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
