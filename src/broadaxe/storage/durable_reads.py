"""Reads of durable logs for people and for clients of the older protocol, straight from the tables.

Owns what `GET …/durable-tasks/{task}` shows (REST specification 7.16) and which signals have fired. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from broadaxe.core.lifecycle import EntryKind
from broadaxe.core.waits import Condition, ConditionState
from broadaxe.storage.pages import ByNode, Page, page_of_rows
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.statements import statement


class DurableEntryRecord(msgspec.Struct, frozen=True):
    """An entry of a durable log. `conditions` are those of a wait, `workflow_name` that of a child."""

    node_id: int
    branch_id: int
    kind: EntryKind
    satisfied_at: datetime | None
    created_at: datetime
    label: str
    conditions: tuple[Condition, ...]
    workflow_name: str | None
    task_display_name: str


class RecordedOperation(msgspec.Struct, frozen=True):
    """What an operation of a durable task came to. `result` is JSON text; `place` its place in the order of results."""

    node_id: int
    branch_id: int
    identity: str
    child_run_id: str | None
    child_key: str | None
    is_awaited: bool
    is_satisfied: bool
    place: int | None
    result: str | None
    is_failure: bool
    error: str | None


class DurableReads:
    def __init__(self, pool: Queries) -> None:
        self._pool = pool

    async def log(
        self, tenant_id: str, task_id: str, *, limit: int, offset: int = 0, after: ByNode | None = None
    ) -> Page[DurableEntryRecord, ByNode]:
        """By branch and node; empty for a task without a log."""
        place = (None, None) if after is None else (after.branch_id, after.node_id)
        rows = await self._pool.fetch(statement("reads/durable_log"), tenant_id, task_id, limit, offset, *place)
        records = [
            DurableEntryRecord(
                row["node_id"],
                row["branch_id"],
                EntryKind(row["kind"]),
                row["satisfied_at"],
                row["created_at"],
                row["label"],
                _conditions(row["wait"]),
                row["workflow_name"],
                row["display_name"],
            )
            for row in rows
        ]
        return page_of_rows(rows, records, limit, lambda row: ByNode(row["branch_id"], row["node_id"]))

    async def recorded(self, tenant_id: str, task_id: str, limit: int) -> list[RecordedOperation]:
        """Those of the path that the task took last, in the order of the path."""
        rows = await self._pool.fetch(statement("reads/recorded_log"), tenant_id, task_id, limit)
        return [RecordedOperation(**row) for row in rows]

    async def signals(self, tenant_id: str, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
        """(task id, key, data) of those of the wanted signals that have fired."""
        rows = await self._pool.fetch(statement("reads/signals"), tenant_id, *zip(*wanted, strict=True))
        return [tuple(row) for row in rows]


def _conditions(wait: str | None) -> tuple[Condition, ...]:
    if wait is None:
        return ()
    return tuple(part.condition for part in msgspec.json.decode(wait, type=tuple[ConditionState, ...]))
