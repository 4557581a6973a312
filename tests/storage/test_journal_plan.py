"""The journal's statements go to the rows in question and to no other partition, and no kind of rows is forgotten."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from broadaxe.core.decision import ReplacedOutput, RunKeysRow, RunState, TaskEventRow, TaskState, Writes
from broadaxe.core.lifecycle import RunStatus, TaskEventType, TaskStatus
from broadaxe.errors import Internal, InvalidArgument
from broadaxe.storage import journal
from broadaxe.storage.ids import new_id
from broadaxe.storage.journal import CONNECTION_SETTINGS, Journal
from broadaxe.storage.partitions import ensure_partitions
from broadaxe.storage.statements import statement
from tests.storage.ground import NODE, contents, make_journal, make_tenant

SETTINGS = {name: str(value) for name, value in CONNECTION_SETTINGS.items()}


def _relations(plan: dict[str, Any]) -> Iterator[str]:
    if "Relation Name" in plan and plan["Node Type"] != "ModifyTable":
        yield plan["Relation Name"]
    for child in plan.get("Plans", []):
        yield from _relations(child)


@pytest.mark.parametrize("name", ["commit_runs", "commit_new", "commit_changes"])
async def test_a_batch_looks_into_no_table(database: str, name: str) -> None:
    text = statement(f"journal/{name}")
    connection = await asyncpg.connect(database, server_settings=SETTINGS)
    try:
        await connection.execute(f"prepare journal as {text}")
        arguments = ", ".join(["null"] * len(set(re.findall(r"\$\d+", text))))
        plan = json.loads(await connection.fetchval(f"explain (format json) execute journal({arguments})"))
        assert list(_relations(plan[0]["Plan"])) == []
        for _ in range(8):
            await connection.execute(f"execute journal({arguments})")
        row = await connection.fetchrow("select generic_plans, custom_plans from pg_prepared_statements")
        assert row is not None
        assert row["custom_plans"] <= 6, "the statement of every batch is planned again and again"
    finally:
        await connection.close()


def _ending(run_id: str) -> Writes:
    writes = Writes()
    writes.runs.append(RunState(run_id, RunStatus.COMPLETED, 1, 2, 0))
    writes.tasks.append(
        TaskState(
            *(run_id, TaskStatus.COMPLETED, 0, 0, 0, 1, None, False, 2),
            *(1, 1, 1, 2, None, '{"done": 1}', None, 0, None),
        )
    )
    writes.task_events.append(TaskEventRow(run_id, 2, TaskEventType.FINISHED, 2, 0, None, "", None))
    return writes


async def test_rows_that_are_not_there_undo_the_batch(pool: asyncpg.Pool) -> None:
    journal_ = await make_journal(pool, await make_tenant(pool))
    before = await contents(pool)
    for field in ("runs", "tasks"):
        writes = _ending(new_id())
        setattr(writes, "tasks" if field == "runs" else "runs", [])
        with pytest.raises(Internal, match=f"1 {field} of the batch are not there"):
            await journal_.commit(writes)
        assert await contents(pool) == before
    writes = Writes()
    writes.taken.append(new_id())
    with pytest.raises(Internal, match="1 outbox rows of the batch are not there"):
        await journal_.commit(writes)
    assert await contents(pool) == before


@pytest.mark.parametrize(
    "run_id",
    [f"{new_id()},{new_id()}", "NULL", "{}", "", '"', "x"],
    ids=["two", "null", "braces", "none", "quote", "x"],
)
async def test_what_is_no_id_is_refused(pool: asyncpg.Pool, run_id: str) -> None:
    """Ids are sent as they are, many in one text."""
    journal_ = await make_journal(pool, await make_tenant(pool))
    before = await contents(pool)
    with pytest.raises((InvalidArgument, Internal)):
        await journal_.commit(_ending(run_id))
    assert await contents(pool) == before


async def lock_counts(dsn: str, tenant_id: str, epoch: int = 1) -> dict[str, int]:
    """How many locks the transaction of each kind of rows takes, besides those of an empty one."""
    now, old = new_id(), "00000001-0000-7000-8000-000000000000"
    found = {}
    kinds: dict[str, Any] = {
        "archived_outputs": [now],
        "replaced_outputs": [ReplacedOutput(now, 0, "{}")],
        "run_keys": [RunKeysRow(now, "{}")],
        "finished_children": [(now, now)],
        "reopened_children": [(now, now)],
        "news": [(now, now)],
        "task_events": [TaskEventRow(now, 2, TaskEventType.FINISHED, 2, 0, None, "", None)],
        "old task_events": [TaskEventRow(old, 2, TaskEventType.FINISHED, 2, 0, None, "", None)],
    }
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1, server_settings=SETTINGS) as connections:
        for kind, rows in kinds.items():
            async with connections.acquire() as connection:
                writes = Writes()
                setattr(writes, kind.removeprefix("old "), rows)
                transaction = connection.transaction()
                await transaction.start()
                await Journal(_Lent(connection), tenant_id, NODE, epoch).commit(writes)  # type: ignore[arg-type]
                found[kind] = await connection.fetchval("select count(*) from pg_locks where pid = pg_backend_pid()")
                await transaction.rollback()
    return found


class _Lent:
    """A pool of one connection whose transaction is somebody else's."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def acquire(self) -> _Lent:
        return self

    async def __aenter__(self) -> Any:
        return self._connection

    async def __aexit__(self, *error: object) -> None:
        pass


async def test_no_statement_locks_more_the_more_days_there_are(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    await make_journal(pool, tenant_id)
    few = await lock_counts(database, tenant_id)
    for weeks in range(1, 4):
        await ensure_partitions(pool, datetime.now(UTC) - timedelta(weeks=weeks))
    assert await lock_counts(database, tenant_id) == few


def test_every_kind_of_rows_has_its_place() -> None:
    steps = [*journal.BEFORE_RUNS, *journal.AFTER_RUNS]
    named = [journal.AUDIT, *journal.RUNS, *(step.field for step in steps)]
    assert sorted(named) == sorted(Writes.__struct_fields__)
    for step in steps:
        writes = Writes()
        setattr(writes, step.field, ["row"])
        assert any(journal._rare(writes)), step.field
