"""Reads for people about what there is to run and who runs it: workflows, their versions, workers.

Owns decoding a stored definition back into `WorkflowDefinition` and the derived state of a worker. A version never
changes, so definitions are kept in memory, at most `DEFINITIONS_KEPT_MAX` of them. Refuses to decide: a worker's status
here is for display, the tenant has its own. Invariants as in `reads.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import asyncpg
import msgspec

from broadaxe.core.commands.workers import LabelValue
from broadaxe.core.commands.workflows import WhilePaused
from broadaxe.core.definition import TaskDefinition, WorkflowDefinition
from broadaxe.core.lifecycle import RunStatus
from broadaxe.storage.pages import ByMatch, ByTime, Page, page_of_rows
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.run_names import NameSearch
from broadaxe.storage.statements import like_escaped, statement

__all__ = [
    "Catalogue",
    "LastRunRecord",
    "RunningTask",
    "VersionRecord",
    "WorkerRecord",
    "WorkerStatus",
    "WorkflowRecord",
]

DEFINITIONS_KEPT_MAX: Final = 512
RUNNING_MAX: Final = 20_000
WORKFLOWS_OF_WORKER_MAX: Final = 1_000
WORKFLOWS_NAMED_MAX: Final = 1_000

#: A worker without a stream that has been silent for longer is inactive (semantics 2.9).
HEARTBEAT_FRESH: Final = timedelta(seconds=5)
#: One with a stream: its row does not get every heartbeat (`core/fleet.py`).
HEARTBEAT_KEPT: Final = timedelta(seconds=30)
#: A worker that has been silent for longer is no longer listed.
WORKER_LISTED: Final = timedelta(hours=24)

WorkerStatus = Literal["ACTIVE", "INACTIVE", "PAUSED"]


class WorkflowRecord(msgspec.Struct, frozen=True, gc=False):
    tenant_id: str
    id: str
    name: str
    description: str
    created_at: datetime
    updated_at: datetime
    is_paused: bool
    paused_crons: WhilePaused | None
    """These three are set while it is paused."""
    paused_schedules: WhilePaused | None
    paused_at: datetime | None
    paused_by: str
    """Empty if nobody knows, and while it is not paused."""


class LastRunRecord(msgspec.Struct, frozen=True, gc=False):
    workflow_id: str
    run_id: str
    status: RunStatus
    created_at: datetime
    finished_at: datetime | None


class VersionRecord(msgspec.Struct, frozen=True):
    id: str
    workflow_id: str
    ordinal: int
    label: str
    definition: WorkflowDefinition
    created_at: datetime


class RunningTask(msgspec.Struct, frozen=True):
    """A task that holds slots of a worker: how many of each type."""

    id: str
    run_id: str
    action_id: str
    slots: dict[str, int]
    assigned_at: datetime | None
    due_at: datetime | None


class WorkerRecord(msgspec.Struct, frozen=True):
    tenant_id: str
    id: str
    name: str
    actions: tuple[str, ...]
    slots: dict[str, int]
    labels: dict[str, LabelValue]
    runtime: dict[str, str]
    status: WorkerStatus
    created_at: datetime
    updated_at: datetime
    last_heartbeat_at: datetime | None
    listening_since: datetime | None
    paused_by: str
    """Empty if nobody knows, and while it is not paused."""
    running: tuple[RunningTask, ...]

    def slots_used(self, slot_type: str) -> int:
        return sum(task.slots.get(slot_type, 0) for task in self.running)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Catalogue:
    """Every question about workflows and workers."""

    def __init__(self, pool: Queries, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self._pool = pool
        self._clock = clock
        self._definitions: dict[str, WorkflowDefinition] = {}

    async def workflows_page(
        self, tenant_id: str, *, name: str | None, limit: int, offset: int, after: ByMatch | None = None
    ) -> tuple[Page[WorkflowRecord, ByMatch], int]:
        """Workflows whose name contains `name` in any case, an exact match first, then newest first; and how many
        (behind `after`)."""
        part = None if not name else like_escaped(name)
        place = (None,) * 4 if after is None else (after.is_exact, after.is_alike, after.at, after.id)
        rows = await self._pool.fetch(statement("reads/workflow_list"), tenant_id, part, name, limit, offset, *place)
        page = page_of_rows(
            rows,
            [_workflow(row) for row in rows],
            limit,
            lambda row: ByMatch(row["is_exact"], row["is_alike"], row["created_at"], str(row["id"])),
        )
        return page, rows[0]["total"] if rows else 0

    async def workflows_named(self, tenant_id: str, names: Sequence[str]) -> tuple[str, ...]:
        """The ids of workflows with any of these names, deleted ones included; at most `WORKFLOWS_NAMED_MAX`."""
        rows = await self._pool.fetch(
            statement("reads/workflows_named"), tenant_id, list(names), None, None, WORKFLOWS_NAMED_MAX
        )
        return tuple(str(row["id"]) for row in rows)

    async def workflows_of_search(self, tenant_id: str, search: NameSearch) -> tuple[tuple[str, ...], bool]:
        """The ids of workflows whose runs may be meant, at most `WORKFLOWS_NAMED_MAX`, and whether the birth of these
        runs counts as well: it does when no workflow's name contains the text as a whole."""
        rows = await self._pool.fetch(
            statement("reads/workflows_named"),
            tenant_id,
            [],
            like_escaped(search.contains),
            None if search.ends_with is None else like_escaped(search.ends_with),
            WORKFLOWS_NAMED_MAX,
        )
        containing = tuple(str(row["id"]) for row in rows if row["is_containing"])
        return (containing, False) if containing else (tuple(str(row["id"]) for row in rows), True)

    async def last_runs(self, tenant_id: str, workflow_ids: Sequence[str]) -> list[LastRunRecord]:
        """The newest run of each; those that never ran are left out."""
        rows = await self._pool.fetch(statement("reads/last_runs"), tenant_id, list(set(workflow_ids)))
        return [
            LastRunRecord(
                str(row["workflow_id"]), str(row["id"]), RunStatus(row["status"]), row["created_at"], row["finished_at"]
            )
            for row in rows
        ]

    async def workflow(self, tenant_ids: Sequence[str], workflow_id: str) -> WorkflowRecord | None:
        row = await self._pool.fetchrow(statement("reads/workflow_by_id"), tenant_ids, workflow_id)
        return None if row is None else _workflow(row)

    async def version(self, tenant_id: str, workflow_id: str, version_id: str | None = None) -> VersionRecord | None:
        """One version of a workflow, the latest unless `version_id` is given."""
        row = await self._pool.fetchrow(statement("reads/version_of_workflow"), tenant_id, workflow_id, version_id)
        if row is None:
            return None
        return VersionRecord(
            id=str(row["id"]),
            workflow_id=str(row["workflow_id"]),
            ordinal=row["ordinal"],
            label=row["label"],
            definition=self._keep(str(row["id"]), row["definition"]),
            created_at=row["created_at"],
        )

    async def definitions(self, tenant_id: str, version_ids: Iterable[str]) -> dict[str, WorkflowDefinition]:
        """The definitions of these versions, from memory where possible. The caller has checked the tenant's right."""
        wanted = set(version_ids)
        found = {version_id: self._definitions[version_id] for version_id in wanted if version_id in self._definitions}
        missing = [version_id for version_id in wanted if version_id not in found]
        if missing:
            for row in await self._pool.fetch(statement("reads/definitions"), tenant_id, missing):
                version_id = str(row["id"])
                found[version_id] = self._keep(version_id, row["definition"])
        return found

    async def workers_page(
        self,
        tenant_id: str,
        *,
        statuses: Sequence[WorkerStatus] | None,
        labels: Sequence[tuple[str, str]],
        limit: int,
        offset: int,
        after: ByTime | None = None,
    ) -> tuple[Page[WorkerRecord, ByTime], int]:
        """Workers seen in the last day, newest first; and how many (behind `after`)."""
        now = self._clock()
        rows = await self._pool.fetch(
            statement("reads/worker_list"),
            tenant_id,
            now - WORKER_LISTED,
            statuses,
            now - HEARTBEAT_FRESH,
            _values_by_key(labels) if labels else None,
            limit,
            offset,
            *((None, None) if after is None else (after.at, after.id)),
            now - HEARTBEAT_KEPT,
        )
        running = await self._running(tenant_id, [str(row["id"]) for row in rows])
        page = page_of_rows(
            rows,
            [_worker(row, running.get(str(row["id"]), [])) for row in rows],
            limit,
            lambda row: ByTime(row["created_at"], str(row["id"])),
        )
        return page, rows[0]["total"] if rows else 0

    async def worker(self, tenant_ids: Sequence[str], worker_id: str) -> WorkerRecord | None:
        now = self._clock()
        row = await self._pool.fetchrow(
            statement("reads/worker_by_id"), tenant_ids, worker_id, now - HEARTBEAT_FRESH, now - HEARTBEAT_KEPT
        )
        if row is None:
            return None
        running = await self._running(str(row["tenant_id"]), [worker_id])
        return _worker(row, running.get(worker_id, []))

    async def workflows_of_actions(self, tenant_id: str, actions: Sequence[str]) -> list[tuple[str, str]]:
        """(id, name) of the workflows that have a task with one of these actions, by name."""
        rows = await self._pool.fetch(
            statement("reads/workflows_of_actions"), tenant_id, actions, WORKFLOWS_OF_WORKER_MAX
        )
        return [(str(row["id"]), row["name"]) for row in rows]

    async def _running(self, tenant_id: str, worker_ids: Sequence[str]) -> dict[str, list[RunningTask]]:
        if not worker_ids:
            return {}
        rows = await self._pool.fetch(statement("reads/worker_running"), tenant_id, worker_ids, RUNNING_MAX)
        definitions = await self.definitions(tenant_id, {str(row["workflow_version_id"]) for row in rows})
        running: dict[str, list[RunningTask]] = {}
        for row in rows:
            definition = definitions.get(str(row["workflow_version_id"]))
            running.setdefault(str(row["worker_id"]), []).append(
                RunningTask(
                    id=str(row["id"]),
                    run_id=str(row["run_id"]),
                    action_id=row["action_id"],
                    slots=_slots(definition, str(row["definition_id"])),
                    assigned_at=row["assigned_at"],
                    due_at=row["due_at"],
                )
            )
        return running

    def _keep(self, version_id: str, stored: str) -> WorkflowDefinition:
        definition = self._definitions.get(version_id)
        if definition is None:
            definition = msgspec.json.decode(stored, type=WorkflowDefinition)
            while len(self._definitions) >= DEFINITIONS_KEPT_MAX:
                del self._definitions[next(iter(self._definitions))]
            self._definitions[version_id] = definition
        return definition


def tasks_of(definition: WorkflowDefinition) -> tuple[TaskDefinition, ...]:
    """All tasks of a definition, the on-failure task and the key task last."""
    extra = (definition.on_failure, definition.key_task)
    return (*definition.tasks, *(task for task in extra if task is not None))


def _slots(definition: WorkflowDefinition | None, task_definition_id: str) -> dict[str, int]:
    if definition is None:
        return {}
    return next((task.slots for task in tasks_of(definition) if task.id == task_definition_id), {})


def _values_by_key(pairs: Sequence[tuple[str, str]]) -> str:
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return msgspec.json.encode(values).decode()


def _workflow(row: asyncpg.Record) -> WorkflowRecord:
    return WorkflowRecord(
        tenant_id=str(row["tenant_id"]),
        id=str(row["id"]),
        name=row["name"],
        description=row["description"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        is_paused=row["is_paused"],
        paused_crons=None if row["paused_crons"] is None else WhilePaused(row["paused_crons"]),
        paused_schedules=None if row["paused_schedules"] is None else WhilePaused(row["paused_schedules"]),
        paused_at=row["paused_at"],
        paused_by=row["paused_by"],
    )


def _worker(row: asyncpg.Record, running: list[RunningTask]) -> WorkerRecord:
    return WorkerRecord(
        tenant_id=str(row["tenant_id"]),
        id=str(row["id"]),
        name=row["name"],
        actions=tuple(row["actions"]),
        slots=msgspec.json.decode(row["slots"], type=dict[str, int]),
        labels=msgspec.json.decode(row["labels"], type=dict[str, LabelValue]),
        runtime=msgspec.json.decode(row["runtime"], type=dict[str, str]),
        status=row["status"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_heartbeat_at=row["last_heartbeat_at"],
        listening_since=row["listening_since"],
        paused_by=row["paused_by"],
        running=tuple(running),
    )
