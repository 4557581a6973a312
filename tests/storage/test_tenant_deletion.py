"""A tenant that is deleted: nothing of it is left in any table, of others everything, and engines let go of it."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from broadaxe.core.commands.crons import CreateCron
from broadaxe.core.commands.filters import CreateFilter
from broadaxe.core.commands.schedules import ScheduleRuns
from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.storage import audit, tenant_deletion
from broadaxe.storage.audit import command_line
from broadaxe.storage.outbox import OutboxListener
from broadaxe.storage.tokens import create_token
from tests.engine.house import house
from tests.storage.ground import make_tenant

BY = command_line("root")
WITH_TENANT = """
    select c.oid::regclass::text as name
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    where c.relnamespace = 'broadaxe'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    order by 1
"""

CHECKS = """
    select c.conrelid::regclass::text as name, c.conname
    from pg_constraint c
    where c.connamespace = 'broadaxe'::regnamespace and c.contype = 'c' and c.coninhcount = 0 and c.conrelid <> 0
"""


async def rows_of(pool: asyncpg.Pool, tenant_id: str) -> dict[str, int]:
    counts = {}
    for row in await pool.fetch(WITH_TENANT):
        counts[row["name"]] = await pool.fetchval(f"select count(*) from {row['name']} where tenant_id = $1", tenant_id)
    return counts


async def fill(pool: asyncpg.Pool, tenant_id: str) -> None:
    """Puts a row of the tenant into every table that has tenants, whatever it says: the checks of this test's database
    are dropped."""
    async with pool.acquire() as connection:
        for check in await connection.fetch(CHECKS):
            await connection.execute(f'alter table {check["name"]} drop constraint "{check["conname"]}"')
        for row in await connection.fetch(WITH_TENANT):
            columns = await connection.fetch(
                """
                select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, t.typtype as kind
                from pg_attribute a join pg_type t on t.oid = a.atttypid
                where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                    and a.attidentity = '' and a.attname <> 'tenant_id' and (a.attnotnull and not a.atthasdef)
                """,
                row["name"],
            )
            values = ["$1::uuid"]
            for column in columns:
                if column["kind"] == b"e":
                    values.append(f"enum_first(null::{column['type']})")
                else:
                    values.append(SAMPLES[column["type"]])
            names = ", ".join(["tenant_id", *(f'"{column["name"]}"' for column in columns)])
            async with connection.transaction():
                # Neither foreign keys nor triggers: the rows belong to nothing.
                await connection.execute("set local session_replication_role = replica")
                await connection.execute(
                    f"insert into {row['name']} ({names}) values ({', '.join(values)}) on conflict do nothing",
                    tenant_id,
                )


#: Today's ids, so that there is a partition.
ID = (
    "(lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '70008000'"
    " || substr(md5(random()::text), 1, 12))::uuid"
)
SAMPLES = {
    "uuid": ID,
    "text": "'1'",
    "name": "'x'",
    "bytea": "'x'",
    "bigint": "1",
    "integer": "1",
    "smallint": "1",
    "boolean": "true",
    "double precision": "1",
    "jsonb": "'{}'",
    "timestamp with time zone": "now()",
    "interval": "'1 minute'",
    "text[]": "'{}'",
    "uuid[]": "'{}'",
    "bigint[]": "'{}'",
    "integer[]": "'{}'",
    "xid8": "pg_current_xact_id()",
    "date": "current_date",
    "jsonpath": "'$'",
}


async def test_no_table_keeps_a_row_of_a_deleted_tenant_and_others_keep_theirs(pool: asyncpg.Pool) -> None:
    tenant_id, other_id = await make_tenant(pool), await make_tenant(pool)
    for each in (tenant_id, other_id):
        await fill(pool, each)
    before = await rows_of(pool, tenant_id)
    assert min(before.values()) >= 1, before
    others = await rows_of(pool, other_id)
    slug = await pool.fetchval("select slug from broadaxe.tenant where id = $1", tenant_id)
    with pytest.raises(InvalidArgument, match=slug):
        await tenant_deletion.delete_tenant(pool, tenant_id, "another", BY)
    assert await rows_of(pool, tenant_id) == before
    await tenant_deletion.delete_tenant(pool, tenant_id, slug, BY)
    with pytest.raises(NotFound):
        await tenant_deletion.delete_tenant(pool, tenant_id, slug, BY)
    # Somebody may still write past the lease for a moment, so it is looked at again.
    assert await tenant_deletion.sweep(pool, settle_s=3600) == 1
    assert set((await rows_of(pool, tenant_id)).values()) == {0}
    assert await tenant_deletion.sweep(pool, settle_s=-1) == 0
    assert await pool.fetchval("select count(*) from broadaxe.deleted_tenant") == 0
    assert await rows_of(pool, other_id) == others
    (entry,) = (await audit.page(pool, audit.INSTALLATION, audit.AuditFilter(), limit=9)).rows
    assert (entry.row.action, entry.row.object_id, entry.row.by_name) == ("tenant.delete", tenant_id, "root")


async def test_an_engine_lets_go_of_it(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    slug = await pool.fetchval("select slug from broadaxe.tenant where id = $1", tenant_id)
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with house(database, pool, tenant_id=tenant_id) as home:

        def deleted(gone_id: str) -> None:
            home.engine.tenant_deleted(gone_id)
            heard.put_nowait(gone_id)

        listener = OutboxListener(database, home.engine.outbox_told, home.engine.outbox_unsure, on_deleted=deleted)
        await listener.start()
        try:
            await home.put()
            await home.trigger()
            workflow_id = str(await pool.fetchval("select id from broadaxe.workflow where tenant_id = $1", tenant_id))
            for command in (
                CreateCron(workflow_name="flow", name="c", expression="* * * * *", input="{}"),
                ScheduleRuns(workflow_name="flow", at_us=(4_000_000_000_000_000,), input="{}"),
                CreateFilter(workflow_id=workflow_id, scope="s", expression="true"),
            ):
                await home.engine.submit(tenant_id, command)
            await create_token(pool, tenant_id, "t", 3600, "http://h", "h:1")
            await tenant_deletion.delete_tenant(pool, tenant_id, slug, BY)
            assert await heard.get() == tenant_id
            with pytest.raises(NotFound):
                await home.trigger()
            assert home.engine._activations[tenant_id].present is None
        finally:
            await listener.stop()
