"""What tests of the tables stand on: a tenant row, a lease, and a tenant's memory as a value that can be compared."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import asyncpg
import msgspec

from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.tenant import Tenant
from broadaxe.storage.journal import Journal
from broadaxe.storage.statements import statement

NODE = "10000000-0000-4000-8000-000000000001"
OTHER_NODE = "10000000-0000-4000-8000-000000000002"


async def make_tenant(pool: asyncpg.Pool) -> str:
    tenant_id = str(uuid4())
    await pool.execute("insert into broadaxe.tenant (id, name, slug) values ($1, 'test', $2)", tenant_id, tenant_id[:8])
    return tenant_id


async def take_lease(pool: asyncpg.Pool, tenant_id: str, node_id: str = NODE, ttl_s: float = 3600.0) -> int | None:
    epoch: int | None = await pool.fetchval(
        statement("leases/acquire"), tenant_id, node_id, "here:1", ttl_s, False, None
    )
    return epoch


async def make_journal(pool: asyncpg.Pool, tenant_id: str) -> Journal:
    epoch = await take_lease(pool, tenant_id)
    assert epoch is not None
    return Journal(pool, tenant_id, NODE, epoch)


async def contents(pool: asyncpg.Pool) -> dict[str, list[str]]:
    """Every row of every table of ours, as text. Nodes apart, which say all the time that they live."""
    tables = await pool.fetch(
        "select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname = 'broadaxe' and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'node' "
        "order by 1"
    )
    rows: dict[str, list[str]] = {}
    for table in tables:
        found = await pool.fetch(f"select t::text as row from broadaxe.{table['name']} as t order by 1")
        rows[table["name"]] = [row["row"] for row in found]
    return rows


def picture(tenant: Tenant, workers: set[str] | None = None) -> dict[str, Any]:
    """All of a tenant's memory that scheduling depends on.

    Not in it: streams and the clocks of silence and confirmation, which a load restarts on purpose; when a run
    started, which is derived when it ends; and, of workers, those not in `workers` (a load brings back some that were
    forgotten).
    """
    state = tenant._state
    waiting: dict[Any, list[tuple[int | None, str]]] = {}
    for queue in state.queues.values():
        for shape in queue.shapes.values():
            for lane in shape.lanes.values():
                for priority, level in lane._levels.items():
                    for fairness_key, line in level.items():
                        tasks = [entry.task for entry in line if entry.task is not None]
                        assert sorted(task.queued_at_us or 0 for task in tasks) == [task.queued_at_us for task in tasks]
                        if tasks:
                            # Whoever arrived in the same microsecond has no order a load must keep.
                            needs = (shape.key.workflow.id, shape.key[1:], lane.limits)
                            place = (queue.action_id, *needs, priority, fairness_key)
                            waiting[place] = sorted((task.queued_at_us, task.id) for task in tasks)
    return {
        "workflows": {
            name: (workflow.row(), workflow.latest.id if workflow.latest else None)
            for name, workflow in state.workflows_by_name.items()
        },
        "runs": {
            run.id: (
                msgspec.structs.replace(run.row, additional_metadata=_normal(run.row.additional_metadata)),
                run.status,
                run.finished_at_us,
                run.version.id,
                run.version.definition,
                tuple(None if task is None else task.id for task in run.tasks),
            )
            for run in state.runs.values()
        },
        "tasks": {
            task.id: (msgspec.structs.replace(task.state(), output=None), task.row(), dict(task.children or {}))
            for task in state.tasks.values()
        },
        "waiting": waiting,
        "workers": {
            worker.id: (
                worker.name,
                worker.actions,
                worker.slots,
                dict(worker.free),
                dict(worker.labels),
                worker.is_paused,
                worker.created_at_us,
                worker.listening_since_us,
                sorted(worker.running),
            )
            for worker in state.workers.values()
            if workers is None or worker.id in workers
        },
        "deadlines": sorted(
            (task.deadline_us, task.id)
            for task in state.tasks.values()
            if task.status not in (TaskStatus.WAITING,) and task.deadline_us is not None
        ),
    }


def _normal(metadata: str | None) -> Any:
    return None if metadata is None else msgspec.json.decode(metadata)
