"""The database of an earlier version, as it was recorded (`record.py`), comes to this version's schema and goes on.

The engine's clock begins where the recorded one ended, so that it does not matter when this runs.
"""

from __future__ import annotations

import asyncio
import gzip
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.workers import RegisterWorker
from broadaxe.storage import accounts
from broadaxe.storage.embedded import postgres_bin_dir
from broadaxe.storage.migrate import Phase, migrate, schema_of
from broadaxe.storage.vault import Vault
from broadaxe.storage.webhooks import Webhooks
from tests.conftest import with_database
from tests.engine.house import House, ManualClock, assigned, house
from tests.engine.test_durable_outages import Talk
from tests.upgrade.record import KEY, PASSWORD

RECORDS = sorted(Path(__file__).parent.glob("*.sql.gz"))
HOUR_US = 3_600_000_000
TABLES = (
    "select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace "
    "where n.nspname = 'broadaxe' and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'migration' "
    "order by 1"
)
#: What a schema consists of, partitions apart: they depend on the day.
SHAPE = """
with ours as (
    select c.oid, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'broadaxe' and not c.relispartition
)
select 'column', relname, attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull || ' '
    || coalesce(pg_get_expr(adbin, adrelid), '')
from ours join pg_attribute a on attrelid = ours.oid left join pg_attrdef d on adrelid = ours.oid and adnum = attnum
where attnum > 0 and not attisdropped
union all
select 'constraint', relname, conname || ' ' || pg_get_constraintdef(k.oid)
from ours join pg_constraint k on conrelid = ours.oid
union all
select 'index', relname, pg_get_indexdef(indexrelid) from ours join pg_index on indrelid = ours.oid
union all
select 'trigger', relname, pg_get_triggerdef(t.oid)
from ours join pg_trigger t on tgrelid = ours.oid where not tgisinternal
union all
select 'function', proname, pg_get_functiondef(p.oid)
from pg_proc p join pg_namespace n on n.oid = pronamespace where nspname = 'broadaxe'
union all
select 'enum', typname, string_agg(enumlabel, ' ' order by enumsortorder)
from pg_type t join pg_enum on enumtypid = t.oid join pg_namespace n on n.oid = typnamespace where nspname = 'broadaxe'
group by typname
order by 1, 2, 3
"""


@pytest.fixture(params=RECORDS, ids=lambda path: path.name.partition(".")[0])
async def earlier(request: pytest.FixtureRequest, postgres: str) -> AsyncIterator[str]:
    """The DSN of a database that an earlier version left."""
    name = f"test_{uuid4().hex}"
    dsn = with_database(postgres, name)
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute(f"create database {name}")
        psql = [postgres_bin_dir() / "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={dsn}"]
        script = gzip.decompress(request.param.read_bytes())
        done = await asyncio.to_thread(subprocess.run, psql, input=script, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        yield dsn
        await connection.execute(f"drop database {name} with (force)")
    finally:
        await connection.close()


@pytest.fixture
async def old(earlier: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(earlier, min_size=1, max_size=5) as connections:
        yield connections


async def rows(pool: asyncpg.Pool) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for table in await pool.fetch(TABLES):
        name = table["name"]
        found[name] = [dict(row) for row in await pool.fetch(f"select * from broadaxe.{name} as t order by t::text")]
    return found


async def test_no_row_is_lost_or_changed_in_either_phase(earlier: str, old: asyncpg.Pool) -> None:
    before = await rows(old)
    filled = {name for name, kept in before.items() if kept}
    assert filled >= {"run", "task", "task_event", "event", "worker", "workflow", "cron", "schedule"}
    assert filled >= {"webhook", "account", "membership", "api_token", "durable_task", "durable_entry", "lease"}
    for phase in Phase:
        await migrate(earlier, phase=phase)
        after = await rows(old)
        for name, kept in before.items():
            columns = kept[0].keys() if kept else ()
            still = [{column: row[column] for column in columns} for row in after[name]]
            assert sorted(map(repr, still)) == sorted(map(repr, kept)), f"{name} after {phase}"
    assert (await schema_of(earlier)).lacks == []


async def test_the_schema_that_is_reached_is_that_of_a_new_database(
    earlier: str, old: asyncpg.Pool, pool: asyncpg.Pool
) -> None:
    for phase in Phase:
        await migrate(earlier, phase=phase)
    reached = [tuple(row) for row in await old.fetch(SHAPE)]
    assert reached == [tuple(row) for row in await pool.fetch(SHAPE)]


async def test_work_goes_on_where_it_was(earlier: str, old: asyncpg.Pool) -> None:
    await migrate(earlier)
    tenant_id = str(await old.fetchval("select id from broadaxe.tenant"))
    recorded_us = await old.fetchval("select broadaxe.to_us(max(created_at)) from broadaxe.run")
    clock = ManualClock(recorded_us + 1_000_000)
    async with house(earlier, old, tenant_id=tenant_id, clock=clock) as home:
        (running,) = await runs(old, "running")
        worker_id = str(await old.fetchval("select worker_id from broadaxe.task where id = $1", running))
        await home.engine.open_session(tenant_id, worker_id)
        assert await home.report(running, Outcome.COMPLETED, '{"n": 2}', retry_count=0)
        assert not await home.report(running, Outcome.COMPLETED, '{"n": 3}', retry_count=1)

        session = await home.session("queued:a")
        taken = [(await assigned(session)).attempt.task_id for _ in range(3)]
        assert taken == await runs(old, "queued")
        for run_id in taken:
            await home.report(run_id, Outcome.STARTED)
            assert await home.report(run_id, Outcome.COMPLETED, "{}")

        await wake(home, (await runs(old, "asleep"))[0])
    statuses = await old.fetch("select status::text, count(*) from broadaxe.run group by 1 order by 1")
    assert [tuple(row) for row in statuses] == [("COMPLETED", 5), ("FAILED", 1), ("RUNNING", 1)]


async def test_what_was_planned_comes_once(earlier: str, old: asyncpg.Pool) -> None:
    await migrate(earlier)
    tenant_id = str(await old.fetchval("select id from broadaxe.tenant"))
    recorded_us = await old.fetchval("select broadaxe.to_us(max(created_at)) from broadaxe.run")
    for _ in range(2):
        clock = ManualClock(recorded_us + 2 * HOUR_US)
        async with house(earlier, old, tenant_id=tenant_id, clock=clock) as home:
            await home.session("planned:a")
        assert len(await runs(old, "schedule")) == 1
    assert await old.fetchval("select count(*) from broadaxe.schedule") == 0
    assert await old.fetchval("select expression from broadaxe.cron") == "0 0 1 1 *"


async def test_people_and_webhooks_come_in_as_before(earlier: str, old: asyncpg.Pool) -> None:
    await migrate(earlier)
    tenant_id = str(await old.fetchval("select id from broadaxe.tenant"))
    assert (await accounts.login(old, "ann@example.com", PASSWORD)).email == "ann@example.com"
    webhooks = Webhooks(old, Vault((KEY,)))
    hook = await webhooks.get(tenant_id, "hook")
    assert hook is not None
    assert "swordfish" in webhooks.secret_of(hook)


async def runs(pool: asyncpg.Pool, of: str) -> list[str]:
    found = await pool.fetch(
        "select id::text from broadaxe.run where input::jsonb ->> 'of' = $1 order by broadaxe.run.id", of
    )
    return [row["id"] for row in found]


async def wake(home: House, asleep: str) -> None:
    register = RegisterWorker("sleepy-again", ("asleep:a",), {"default": 5, "durable": 5})
    worker_id = await home.engine.submit(home.tenant_id, register)
    assert isinstance(worker_id, str)
    session = await home.engine.open_session(home.tenant_id, worker_id)
    talk = Talk(home)
    await talk.register(worker_id)
    await home.engine.submit(home.tenant_id, PushEvents((EventRequest(key="wake", payload="{}"),)))
    assert (await assigned(session)).attempt.task_id == asleep
    talk.serving.cancel()
    await asyncio.gather(talk.serving, return_exceptions=True)
