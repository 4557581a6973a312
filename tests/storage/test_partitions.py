"""However old an engine grows: never too many partitions, nothing lost on the way, the same cost for what it does."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from broadaxe.core.decision import RunState, Writes
from broadaxe.core.lifecycle import RunStatus
from broadaxe.storage import retention
from broadaxe.storage.ids import ID_MAX, id_floor
from broadaxe.storage.loader import load_live
from broadaxe.storage.migrate import migrate
from broadaxe.storage.partitions import PARTITIONS_MAX, Span, _surplus, ensure_partitions, merge_old_days
from broadaxe.storage.reads import POOL_SETTINGS
from broadaxe.storage.statements import statement
from tests.storage.ground import contents, make_journal, make_tenant
from tests.storage.test_journal_plan import lock_counts
from tests.storage.test_retention import Past

KINDS = 14
EVER = 0
TODAY = datetime(2031, 5, 20, 15, 30, tzinfo=UTC)


async def _names(pool: asyncpg.Pool, parent: str = "run") -> list[str]:
    rows = await pool.fetch(
        "select name from broadaxe.partition where parent = $1 and first_day >= '2030-01-01' order by 1", parent
    )
    return [row["name"] for row in rows]


async def _make_days(pool: asyncpg.Pool, parent: str, first: date, count: int) -> None:
    for offset in range(count):
        day = first + timedelta(days=offset)
        assert await pool.fetchval("select broadaxe.make_partition($1, $2, $3)", parent, day, day + timedelta(days=1))


async def test_history_that_is_kept_for_long_is_partitioned_by_month(pool: asyncpg.Pool) -> None:
    for retention_days in (EVER, 63, 4000):
        assert await ensure_partitions(pool, TODAY, retention_days) in (0, KINDS)
    assert await _names(pool) == ["run_203105"]
    # On the day before the next month begins.
    assert await ensure_partitions(pool, datetime(2031, 5, 30, tzinfo=UTC), EVER) == KINDS
    assert await _names(pool) == ["run_203105", "run_203106"]


async def test_a_month_that_began_by_days_goes_on_by_days(pool: asyncpg.Pool) -> None:
    assert await ensure_partitions(pool, TODAY, 62) == 4 * KINDS
    assert await ensure_partitions(pool, TODAY + timedelta(days=2), EVER) == 2 * KINDS
    assert await ensure_partitions(pool, datetime(2031, 6, 1, tzinfo=UTC), EVER) == 2 * KINDS
    names = await _names(pool)
    assert names == [f"run_203105{day}" for day in (19, 20, 21, 22, 23, 24, 31)] + ["run_203106"]
    # Back to a short retention: what there is for these days is good enough.
    assert await ensure_partitions(pool, datetime(2031, 6, 29, tzinfo=UTC), 30) == KINDS
    assert (await _names(pool))[-2:] == ["run_203106", "run_20310701"]


async def test_rows_without_a_month_of_their_own_leave_the_days(pool: asyncpg.Pool) -> None:
    past = Past(pool, await make_tenant(pool))
    await past.run(15, finished=True)
    assert await ensure_partitions(pool, TODAY, EVER) == 4 * 5 + (KINDS - 5)


def test_only_past_months_are_merged_and_no_more_than_needed() -> None:
    first = date(2026, 1, 1)
    days = [Span(first + timedelta(days=n), first + timedelta(days=n + 1)) for n in range(100)]
    today = date(2026, 4, 10)
    assert _surplus(days, today, 100) == []
    assert _surplus(days, today, 99) == [date(2026, 1, 1)]
    assert _surplus(days, today, 69) == [date(2026, 1, 1), date(2026, 2, 1)]
    assert _surplus(days, today, 1) == [date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)]
    # Yesterday is still written to.
    assert _surplus(days[:91], date(2026, 4, 1), 1) == [date(2026, 1, 1), date(2026, 2, 1)]


async def test_days_become_a_month_and_nothing_is_lost(database: str, pool: asyncpg.Pool) -> None:
    # A day without a partition (13 April) is in the default one.
    past = Past(pool, await make_tenant(pool))
    for parent in ("run", "task", "task_event"):
        await _make_days(pool, parent, date(2031, 4, 10), 3)
        await _make_days(pool, parent, date(2031, 4, 14), 3)
    runs = {await past.run(days_ago, finished=days_ago % 2 == 0) for days_ago in range(34, 42)}
    before = await contents(pool)
    connection = await asyncpg.connect(database)
    try:
        assert await merge_old_days(connection, TODAY, partitions_max=4) >= 3
        assert await merge_old_days(connection, TODAY, partitions_max=4) == 0
    finally:
        await connection.close()
    assert await contents(pool) == before
    assert await past.left() == runs
    for parent in ("run", "task", "task_event"):
        assert await _names(pool, parent) == [f"{parent}_203104"]
        assert await pool.fetchval(f"select count(*) from broadaxe.{parent}_203104") == 8
        assert await pool.fetchval(f"select count(*) from broadaxe.{parent}_default") == 0
        indexes = "select count(*) from pg_index i where i.indrelid = $1::text::regclass"
        checks = "select count(*) from pg_constraint where conrelid = $1::text::regclass and contype = 'c'"
        for query in (indexes, checks):
            of_parent = await pool.fetchval(query, f"broadaxe.{parent}")
            assert await pool.fetchval(query, f"broadaxe.{parent}_203104") == of_parent


@pytest.mark.parametrize("is_done", [True, False], ids=["done", "interrupted"])
async def test_a_run_of_an_old_day_ends_while_its_month_is_merged(
    database: str, pool: asyncpg.Pool, is_done: bool
) -> None:
    tenant_id = await make_tenant(pool)
    journal, past = await make_journal(pool, tenant_id), Past(pool, tenant_id)
    await _make_days(pool, "run", date(2031, 4, 10), 2)
    run_id = await past.run(40, finished=False)
    merging = await asyncpg.connect(database)
    transaction = merging.transaction()
    await transaction.start()
    await merging.execute("select broadaxe.merge_month('run', '2031-04-01')")
    writes = Writes()
    writes.runs.append(RunState(run_id, RunStatus.COMPLETED, 1, 2, 0))
    ending = asyncio.create_task(journal.commit(writes))
    while not await pool.fetchval("select exists (select 1 from pg_locks where not granted)"):
        assert not ending.done()
    await (transaction.commit() if is_done else transaction.rollback())
    await merging.close()
    await ending
    row = await pool.fetchrow(
        "select r.status::text, c.relname::text from broadaxe.run r join pg_class c on c.oid = r.tableoid"
    )
    assert row is not None
    assert tuple(row) == ("COMPLETED", "run_203104" if is_done else "run_20310410")


async def test_a_month_goes_when_its_last_day_has_expired(pool: asyncpg.Pool) -> None:
    past = Past(pool, await make_tenant(pool))
    for now in (datetime(2031, 3, 10, tzinfo=UTC), datetime(2031, 4, 10, tzinfo=UTC), TODAY):
        await ensure_partitions(pool, now, EVER)
    march = {await past.run(60, finished=True)}
    live = await past.run(61, finished=False)
    april = {await past.run(48, finished=True), await past.run(25, finished=True)}
    assert "run_203103" in await retention.enforce(pool, TODAY, 45)
    assert await past.left() == april | {live}
    assert march
    # April's last day ended on 1 May.
    assert await retention.enforce(pool, datetime(2031, 5, 30, tzinfo=UTC), 30) == []
    gone = await retention.enforce(pool, datetime(2031, 5, 31, tzinfo=UTC), 30)
    assert sorted(gone) == sorted(name.replace("run", kind) for name in ["run_203104"] for kind in _kinds(gone))
    assert len(gone) == KINDS - 2  # but for those of topics' messages, which have a retention of their own
    assert await past.left() == {live}
    await past.end(live, days_ago=50)
    await retention.enforce(pool, datetime(2031, 5, 31, tzinfo=UTC), 30)
    assert await past.left() == set()


def _kinds(names: list[str]) -> set[str]:
    return {name.rpartition("_")[0] for name in names}


async def test_a_load_waits_until_rows_that_move_have_arrived(database: str, pool: asyncpg.Pool) -> None:
    await ensure_partitions(pool, TODAY, 30)
    past = Past(pool, await make_tenant(pool))
    live = await past.run(0, finished=False)
    mover = await asyncpg.connect(database)
    transaction = mover.transaction()
    await transaction.start()
    await mover.execute("select broadaxe.drop_partition('run', 'run_20310520', $1)", TODAY)
    loading = asyncio.create_task(load_live(pool, past.tenant_id, 0))
    while not await pool.fetchval("select exists (select 1 from pg_locks where not granted)"):
        assert not loading.done()
    await transaction.commit()
    await mover.close()
    assert [run.row.id for run in (await loading).runs] == [live]


async def _age(pool: asyncpg.Pool, days: int, now: datetime) -> None:
    """As if an engine that keeps everything had run for so long."""
    for back in range(days, 0, -25):
        await ensure_partitions(pool, now - timedelta(days=back), EVER)


@pytest.mark.timeout(600)
async def test_two_thousand_days_cost_what_one_does(database: str, pool: asyncpg.Pool) -> None:
    now = datetime.now(UTC)
    tenant_id = await make_tenant(pool)
    await make_journal(pool, tenant_id)
    young = await lock_counts(database, tenant_id)
    young_load = await _locks_of_a_load(database, tenant_id, now)
    await _age(pool, 2_000, now)
    assert 66 <= await pool.fetchval("select count(*) from broadaxe.partition where parent = 'run'") <= PARTITIONS_MAX
    assert await lock_counts(database, tenant_id) == young
    old_load = await _locks_of_a_load(database, tenant_id, now)
    # One statement of a load looks for the oldest live run everywhere; a server has room for some 7,000 locks.
    assert old_load - young_load < 66 * 15
    # Starting again finds nothing to do.
    assert await migrate(database, EVER) == []


class _Watched:
    """A pool of one connection that counts its locks behind every statement."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.locks = 0

    def acquire(self) -> _Watched:
        return self

    async def __aenter__(self) -> _Watched:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetch(self, *arguments: object) -> object:
        rows = await self._connection.fetch(*arguments)
        count = await self._connection.fetchval("select count(*) from pg_locks where pid = pg_backend_pid()")
        self.locks = max(self.locks, count)
        return rows


async def _locks_of_a_load(dsn: str, tenant_id: str, now: datetime) -> int:
    connection = await asyncpg.connect(dsn, server_settings=POOL_SETTINGS)
    try:
        watched = _Watched(connection)
        await load_live(watched, tenant_id, int(now.timestamp() * 1e6))  # type: ignore[arg-type]
    finally:
        await connection.close()
    return watched.locks


async def test_an_id_of_any_day_finds_its_partition(pool: asyncpg.Pool) -> None:
    await ensure_partitions(pool, TODAY, EVER)
    put = (
        "insert into broadaxe.event (tenant_id, id, key, payload, seen_at) values (gen_random_uuid(), $1, 'k', '{}', "
        "now()) returning (select c.relname::text from pg_class as c where c.oid = event.tableoid)"
    )
    assert await pool.fetchval(put, id_floor(datetime(2031, 5, 1, tzinfo=UTC))) == "event_203105"
    last = id_floor(datetime(2031, 5, 31, 23, 59, 59, 999_000, tzinfo=UTC))[:23] + "-ffffffffffff"
    assert await pool.fetchval(put, last) == "event_203105"


async def _blocks(dsn: str, name: str, *arguments: object) -> int:
    connection = await asyncpg.connect(dsn, server_settings=POOL_SETTINGS)
    try:
        plan = await connection.fetchval(f"explain (analyze, buffers, format json) {statement(name)}", *arguments)
    finally:
        await connection.close()
    top = json.loads(plan)[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


async def test_a_load_leaves_old_versions_and_silent_workers_alone(database: str, pool: asyncpg.Pool) -> None:
    tenant_id, now = await make_tenant(pool), datetime.now(UTC)
    await pool.execute(
        "with made as (insert into broadaxe.workflow (tenant_id, id, name, created_at, updated_at) "
        "select $1, gen_random_uuid(), 'w' || n, $2, $2 from generate_series(1, 3) n returning id) "
        "insert into broadaxe.workflow_version (tenant_id, id, workflow_id, ordinal, checksum, definition, created_at) "
        "select $1, gen_random_uuid(), made.id, n, '', '{}', $2 from made, generate_series(1, 2000) n",
        tenant_id,
        now,
    )
    await pool.execute(
        "insert into broadaxe.worker (tenant_id, id, name, actions, slots, created_at, updated_at, last_heartbeat_at) "
        "select $1, gen_random_uuid(), 'w', '{}', '{}', at, at, at from generate_series(0, 19999) n, "
        "lateral (select $2::timestamptz - n * interval '1 hour' as at) as seen",
        tenant_id,
        now,
    )
    await pool.execute("analyze broadaxe.workflow, broadaxe.workflow_version, broadaxe.worker")
    assert await _blocks(database, "loader/versions", tenant_id, ID_MAX) < 60
    assert await _blocks(database, "loader/workers", tenant_id, now, ID_MAX) < 120
    assert len(await pool.fetch(statement("loader/versions"), tenant_id, ID_MAX)) == 3
    assert len(await pool.fetch(statement("loader/workers"), tenant_id, now, ID_MAX)) == 24


async def test_what_an_earlier_version_made_is_merged_before_an_engine_starts(
    database: str, pool: asyncpg.Pool
) -> None:
    today = datetime.now(UTC).date()
    await _make_days(pool, "log_line", today - timedelta(days=132), 131)
    await migrate(database)
    rows = await pool.fetch("select first_day, end_day from broadaxe.partition where parent = 'log_line' order by 1")
    spans = [(row["first_day"], row["end_day"]) for row in rows if row["first_day"] is not None]
    assert 60 < len(spans) <= PARTITIONS_MAX
    # No day is missing, and none is there twice.
    assert spans[0][0] <= today - timedelta(days=132)
    assert all(end == first for (_, end), (first, _) in pairwise(spans))
