"""What is remembered of how a run came to be and of what holds for it, for people who look at one run.

Owns the questions that the run list has no room for: what triggered it, by which keys it is counted, which workers had
it. Refuses to guess: what the tables do not say is None. Invariants as in `reads.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from broadaxe.core.keys import RunKeys
from broadaxe.core.lifecycle import RunCause
from broadaxe.storage.ids import id_floor_of
from broadaxe.storage.read_replica import Queries
from broadaxe.storage.statements import statement

__all__ = ["RunFacts", "RunFactsRecord"]

WORKERS_MAX: Final = 1_000


class RunFactsRecord(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: str
    run_id: str
    priority: int
    idempotency_key: str | None
    keys: RunKeys | None
    """What its expressions said; None for a workflow without any."""
    desired_labels: list[dict[str, object]] | None
    """Those given with the trigger, instead of the tasks' own."""
    desired_worker_id: str | None
    cause: RunCause | None
    event_id: str | None
    event_key: str | None
    webhook_name: str | None
    """Of the webhook that pushed the event."""
    metadata: dict[str, object]
    parent_run_id: str | None
    parent_task_id: str | None
    parent_name: str | None
    """Gone with the parent's history, as are the next two."""
    parent_task_name: str | None
    parent_workflow_name: str | None
    child_index: int | None
    child_key: str | None
    version_label: str
    version_ordinal: int
    latest_ordinal: int
    workers: tuple[tuple[str, str], ...]
    """(id, name) of those that are still known."""


class RunFacts:
    """Holds nothing but the pool."""

    def __init__(self, pool: Queries) -> None:
        self._pool = pool

    async def of(self, tenant_ids: Sequence[str], run_id: str) -> RunFactsRecord | None:
        """None for an id that is not a run's."""
        row = await self._pool.fetchrow(statement("reads/run_facts"), tenant_ids, run_id)
        if row is None:
            return None
        workers = await self._pool.fetch(
            statement("reads/run_workers"), row["tenant_id"], run_id, id_floor_of([run_id]), WORKERS_MAX
        )
        return RunFactsRecord(
            tenant_id=str(row["tenant_id"]),
            run_id=str(row["id"]),
            priority=row["priority"],
            idempotency_key=row["idempotency_key"],
            keys=None if row["keys"] is None else msgspec.json.decode(row["keys"], type=RunKeys),
            desired_labels=None
            if row["desired_labels"] is None
            else msgspec.json.decode(row["desired_labels"], type=list[dict[str, object]]),
            desired_worker_id=_text(row["desired_worker_id"]),
            cause=None if row["cause"] is None else RunCause(row["cause"]),
            event_id=_text(row["triggering_event_id"]),
            event_key=row["triggering_event_key"],
            webhook_name=row["webhook_name"],
            metadata=msgspec.json.decode(row["metadata"] or "{}", type=dict[str, object]),
            parent_run_id=_text(row["parent_run_id"]),
            parent_task_id=_text(row["parent_task_id"]),
            parent_name=row["parent_name"],
            parent_task_name=row["parent_task_name"],
            parent_workflow_name=row["parent_workflow_name"],
            child_index=row["child_index"],
            child_key=row["child_key"],
            version_label=row["version_label"],
            version_ordinal=row["version_ordinal"],
            latest_ordinal=row["latest_ordinal"],
            workers=tuple((str(worker["id"]), worker["name"]) for worker in workers),
        )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
