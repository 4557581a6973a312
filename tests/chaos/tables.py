"""What the tables say at the end of a run, as the checker wants it."""

from __future__ import annotations

import json
from typing import Any

import asyncpg

from tests.chaos.checker import RunRow, TaskRow

LIVE = """
select
    (
        select count(*) from broadaxe.run r
        join broadaxe.workflow w on w.tenant_id = r.tenant_id and w.id = r.workflow_id
        where r.finished_at is null and w.name <> 'ticker'
    ) + (select count(*) from broadaxe.schedule)
"""

RUNS = """
select r.id::text, w.name, r.status::text, r.input::text, r.triggering_event_id::text as event_id,
       extract(epoch from r.created_at)::float8 as created_at, r.additional_metadata::text as metadata
from broadaxe.run r
join broadaxe.workflow w on w.tenant_id = r.tenant_id and w.id = r.workflow_id
"""

TASKS = """
select t.id::text, t.run_id::text, t.name, t.status::text, t.output::text, t.error,
       (select count(*) from broadaxe.task_event e
        where e.tenant_id = t.tenant_id and e.task_id = t.id and e.type = 'FINISHED') as finishes,
       array(select extract(epoch from e.at)::float8 from broadaxe.task_event e
        where e.tenant_id = t.tenant_id and e.task_id = t.id and e.type = 'DURABLE_EVICTED') as evicted_at
from broadaxe.task t
"""


OWNER = """
select n.link_address from broadaxe.lease l join broadaxe.node n on n.id = l.node_id
where l.tenant_id = $1 and l.expires_at = 'infinity'
"""


async def owner_of(dsn: str, tenant_id: str) -> str | None:
    """Where other nodes reach the one that has the tenant; None while nobody has it."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        address: str | None = await connection.fetchval(OWNER, tenant_id)
        return address
    finally:
        await connection.close()


async def live_runs(dsn: str) -> int | None:
    """Runs that have not ended, and those that are planned; ticks do not count, they come for ever. None while the
    database does not answer."""
    try:
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            count: int = await connection.fetchval(LIVE)
            return count
        finally:
            await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return None


async def end_backends(dsn: str) -> None:
    """Ends every connection to the database but the one it asks on."""
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where pid <> pg_backend_pid() and datname = current_database() and backend_type = 'client backend'"
        )
    finally:
        await connection.close()


async def read_tables(dsn: str) -> tuple[list[RunRow], list[TaskRow]]:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            runs = [_run(row) for row in await connection.fetch(RUNS)]
            tasks = [_task(row) for row in await connection.fetch(TASKS)]
    finally:
        await connection.close()
    return runs, tasks


def _run(row: asyncpg.Record) -> RunRow:
    metadata = json.loads(row["metadata"] or "{}")
    return RunRow(
        id=row["id"],
        workflow=row["name"],
        status=row["status"],
        key=json.loads(row["input"] or "{}").get("key", ""),
        event_id=row["event_id"],
        created_at=row["created_at"],
        tick=metadata.get("hatchet__cron_scheduled_at"),
    )


def _task(row: asyncpg.Record) -> TaskRow:
    output: Any = json.loads(row["output"]) if row["output"] else None
    return TaskRow(
        id=row["id"],
        run_id=row["run_id"],
        name=row["name"],
        status=row["status"],
        value=output.get("value") if isinstance(output, dict) else None,
        error=row["error"] or "",
        finishes=row["finishes"],
        evicted_at=tuple(row["evicted_at"]),
    )
