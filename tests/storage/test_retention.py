"""The end of history: old days go, and what still lives stays."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import asyncpg
import pytest

from broadaxe import app
from broadaxe.config import Settings
from broadaxe.storage import retention
from broadaxe.storage.ids import id_floor
from broadaxe.storage.partitions import ensure_partitions
from tests.storage.ground import make_tenant

NOW = datetime(2031, 5, 20, 15, 30, tzinfo=UTC)
KINDS = (
    "run",
    "task",
    "task_event",
    "event",
    "log_line",
    "span",
    "durable_task",
    "durable_branch",
    "durable_entry",
    "task_step",
    "run_value",
    "gate",
)


def _id(at: datetime, number: int) -> str:
    return id_floor(at)[:24] + f"{number:012x}"


class Past:
    """Rows of one tenant, made on the days a test says."""

    def __init__(self, pool: asyncpg.Pool, tenant_id: str) -> None:
        self.pool = pool
        self.tenant_id = tenant_id
        self._count = 0

    async def run(
        self, days_ago: int, *, finished: bool, parent: str | None = None, task_days_ago: int | None = None
    ) -> str:
        """A run of one task, with one entry in its history."""
        self._count += 1
        at = NOW - timedelta(days=days_ago)
        run_id = _id(at, self._count)
        ended = at if finished else None
        status = "COMPLETED" if finished else "RUNNING"
        await self.pool.execute(
            "insert into broadaxe.run (tenant_id, id, workflow_id, workflow_version_id, is_dag, display_name, status, "
            "priority, input, created_at, finished_at, parent_run_id) values "
            "($1, $2, $1, $1, false, 'd', $3::text::broadaxe.run_status, 1, '{}', $4, $5, $6)",
            self.tenant_id,
            run_id,
            status,
            at,
            ended,
            parent,
        )
        task_at = at if task_days_ago is None else NOW - timedelta(days=task_days_ago)
        task_id = _id(task_at, self._count)
        await self.pool.execute(
            "insert into broadaxe.task (tenant_id, id, run_id, workflow_id, definition_id, name, action_id, "
            "display_name, status, queue_priority, event_count, created_at, assigned_at, finished_at) values "
            "($1, $2, $3, $1, $1, 't', 'f:t', 'd', $4::text::broadaxe.task_status, 1, 1, $5, $5, $6)",
            self.tenant_id,
            task_id,
            run_id,
            status,
            task_at,
            ended and task_at,
        )
        await self.pool.execute(
            "insert into broadaxe.task_event (tenant_id, task_id, seq, type, at, retry_count) "
            "values ($1, $2, 1, 'QUEUED', $3, 0)",
            self.tenant_id,
            task_id,
            task_at,
        )
        await self.pool.execute(
            "insert into broadaxe.task_step (tenant_id, task_id, name, result, completed_at) "
            "values ($1, $2, 'paid', '{}', $3)",
            self.tenant_id,
            task_id,
            task_at,
        )
        await self.pool.execute(
            "insert into broadaxe.run_value (tenant_id, run_id, name, value, set_at) values ($1, $2, 'done', '1', $3)",
            self.tenant_id,
            run_id,
            at,
        )
        return run_id

    async def line(self, days_ago: int) -> None:
        self._count += 1
        at = NOW - timedelta(days=days_ago)
        await self.pool.execute(
            "insert into broadaxe.log_line (tenant_id, id, task_id, retry_count, level, message, created_at) "
            "values ($1, $2, $1, 0, 'INFO', 'm', $3)",
            self.tenant_id,
            _id(at, self._count),
            at,
        )

    async def end(self, run_id: str, days_ago: int = 40) -> None:
        ended, at = "status = 'COMPLETED', finished_at = $2", NOW - timedelta(days=days_ago)
        await self.pool.execute(f"update broadaxe.run set {ended} where id = $1", run_id, at)
        await self.pool.execute(f"update broadaxe.task set {ended} where run_id = $1", run_id, at)

    async def left(self) -> set[str]:
        """Runs that are there; each with exactly its value, its task, and that one's entry and step."""
        rows = await self.pool.fetch(
            "select r.id, count(t.id) as tasks, count(e.task_id) as entries, count(s.task_id) as steps, "
            "count(v.run_id) as said from broadaxe.run r "
            "left join broadaxe.task t on t.run_id = r.id left join broadaxe.task_event e on e.task_id = t.id "
            "left join broadaxe.task_step s on s.task_id = t.id left join broadaxe.run_value v on v.run_id = r.id "
            "group by r.id"
        )
        assert all((row["tasks"], row["entries"], row["steps"], row["said"]) == (1, 1, 1, 1) for row in rows)
        for table in ("task", "task_event", "task_step", "run_value"):
            assert await self.pool.fetchval(f"select count(*) from broadaxe.{table}") == len(rows)
        return {str(row["id"]) for row in rows}


async def _past(pool: asyncpg.Pool, *days_ago: int) -> Past:
    for days in days_ago:
        await ensure_partitions(pool, NOW - timedelta(days=days))
    return Past(pool, await make_tenant(pool))


async def test_days_older_than_the_retention_are_dropped(pool: asyncpg.Pool) -> None:
    past = await _past(pool, 40, 30, 0)
    await past.run(40, finished=True)
    await past.run(31, finished=True)
    kept = {await past.run(30, finished=True), await past.run(0, finished=True)}
    await past.line(31)
    await past.line(30)
    # The days of the real present, which every database has, are old by then as well.
    gone = [name for name in await retention.enforce(pool, NOW, 30) if name.rpartition("_")[2] > "2031"]
    assert await past.left() == kept
    assert await pool.fetchval("select count(*) from broadaxe.log_line") == 1
    days = sorted({name.rpartition("_")[2] for name in gone})
    assert days == ["20310409", "20310410", "20310411", "20310412", "20310419"]
    assert sorted(gone) == sorted(f"{kind}_{day}" for kind in KINDS for day in days)
    assert await retention.enforce(pool, NOW, 30) == []


async def test_a_run_that_lives_is_kept_with_what_it_needs(pool: asyncpg.Pool) -> None:
    past = await _past(pool, 42, 40)
    live = await past.run(42, finished=False, task_days_ago=40)
    child = await past.run(40, finished=True, parent=live)
    await past.run(40, finished=True, parent=await past.run(42, finished=True))
    assert await retention.enforce(pool, NOW, 30)
    assert await past.left() == {live, child}
    # The engine goes on writing to it by its id, and once it is over the next round takes it and its child.
    await past.end(live)
    assert await past.left() == {live, child}
    await retention.enforce(pool, NOW, 30)
    assert await past.left() == set()


@pytest.mark.parametrize("has_moved", [False, True], ids=["in-its-day", "moved-aside"])
async def test_a_run_is_kept_for_as_long_from_its_end(pool: asyncpg.Pool, has_moved: bool) -> None:
    past = await _past(pool, 60)
    long = await past.run(60, finished=False)
    if has_moved:
        await retention.enforce(pool, NOW - timedelta(days=20), 30)
    await past.end(long, days_ago=5)
    await retention.enforce(pool, NOW, 30)
    assert await past.left() == {long}
    await retention.enforce(pool, NOW + timedelta(days=25), 30)
    assert await past.left() == {long}
    await retention.enforce(pool, NOW + timedelta(days=26), 30)
    assert await past.left() == set()


async def test_rows_of_days_without_a_partition_go_too(pool: asyncpg.Pool) -> None:
    past = await _past(pool, 0)
    await past.run(50, finished=True)
    kept = {await past.run(50, finished=False), await past.run(20, finished=True)}
    await past.line(50)
    await retention.enforce(pool, NOW, 30)
    assert await past.left() == kept
    assert await pool.fetchval("select count(*) from broadaxe.log_line") == 0


async def test_workers_go_that_were_silent_for_as_long(pool: asyncpg.Pool) -> None:
    past = await _past(pool, 40)
    task_id = await past.run(40, finished=False)
    names = {"gone": 31, "never heard of": None, "kept": 30, "busy": 35}
    for name, days_ago in names.items():
        heard_at = None if days_ago is None else NOW - timedelta(days=days_ago)
        await pool.execute(
            "insert into broadaxe.worker (tenant_id, id, name, actions, slots, created_at, updated_at, "
            "last_heartbeat_at) values ($1, gen_random_uuid(), $2, '{}', '{}', $3, $3, $4)",
            past.tenant_id,
            name,
            NOW - timedelta(days=90),
            heard_at,
        )
    await pool.execute(
        "update broadaxe.task set worker_id = (select id from broadaxe.worker where name = 'busy') where id = $1",
        task_id,
    )
    await retention.enforce(pool, NOW, 30)
    assert {row["name"] for row in await pool.fetch("select name from broadaxe.worker")} == {"kept", "busy"}
    await past.end(task_id)
    await retention.enforce(pool, NOW, 30)
    assert {row["name"] for row in await pool.fetch("select name from broadaxe.worker")} == {"kept"}


async def test_workers_go_in_parts(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "WORKERS_AT_ONCE_MAX", 2)
    await pool.execute(
        "insert into broadaxe.worker (tenant_id, id, name, actions, slots, created_at, updated_at) "
        "select $1, gen_random_uuid(), 'w', '{}', '{}', $2, $2 from generate_series(1, 5)",
        await make_tenant(pool),
        NOW - timedelta(days=40),
    )
    await retention.enforce(pool, NOW, 30)
    assert await pool.fetchval("select count(*) from broadaxe.worker") == 0


async def test_a_day_in_use_is_left_for_later(pool: asyncpg.Pool) -> None:
    past = await _past(pool, 40)
    await past.run(40, finished=True)
    reader = await pool.acquire()
    transaction = reader.transaction()
    await transaction.start()
    await reader.execute("select from broadaxe.run")
    assert await retention.enforce(pool, NOW, 30) == []
    assert len(await past.left()) == 1
    await transaction.rollback()
    await pool.release(reader)
    assert await retention.enforce(pool, NOW, 30)
    assert await past.left() == set()


async def test_partitions_are_made_again_after_an_error_of_any_kind(
    pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[Exception] = [asyncpg.InternalClientError("a connection died"), RuntimeError("a mistake of ours")]
    has_made = asyncio.Event()

    async def ensure(*_: object) -> int:
        if errors:
            raise errors.pop()
        has_made.set()
        return 0

    monkeypatch.setattr(app, "ensure_partitions", ensure)
    monkeypatch.setattr(app, "PARTITIONS_AGAIN_AFTER_S", 0.0)
    keeping = asyncio.create_task(app._keep_partitions(pool, cast(Any, None), Settings(retention_days=0)))
    async with asyncio.timeout(10):
        await has_made.wait()
    keeping.cancel()
