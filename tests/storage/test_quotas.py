"""What a tenant used comes back after a load, and limits that people set reach engines."""

from __future__ import annotations

import asyncio
import time

import asyncpg

from broadaxe.core.commands.quotas import Resource, SetQuotas
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.decision import QuotaUsageRow
from broadaxe.core.definition import WorkflowSpec
from broadaxe.core.tenant import Tenant
from broadaxe.storage.audit import command_line
from broadaxe.storage.ids import new_id
from broadaxe.storage.loader import load_live
from broadaxe.storage.outbox import OutboxListener
from broadaxe.storage.quotas import CHANNEL, change_quotas, quotas_of, usage_of
from tests.core.world import task
from tests.storage.ground import make_journal, make_tenant

PATIENCE_S = 20.0


async def test_counters_are_written_with_what_they_count(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    journal = await make_journal(pool, tenant_id)
    tenant = Tenant(new_id, enforce_quotas=True)
    now_us = time.time_ns() // 1000
    spec = WorkflowSpec(name="flow", tasks=(task("a"), task("b")))
    await journal.commit(tenant.decide((PutWorkflow(spec),), now_us).writes)
    for value in (2, 4):
        trigger = TriggerRuns((RunRequest(workflow_name="flow", input="{}"),))
        await journal.commit(tenant.decide((trigger,), now_us).writes)
        loaded = await load_live(pool, tenant_id, now_us, with_quotas=True)
        assert loaded.quota_usage == (QuotaUsageRow("TASK_RUN", value, now_us),)
    async with pool.acquire() as connection:
        assert (await usage_of(connection, tenant_id))[Resource.TASK_RUN].value == 4
    assert (await load_live(pool, tenant_id, now_us)).quota_usage == ()


async def test_limits_are_set_and_taken_back(pool: asyncpg.Pool) -> None:
    tenant_id, other_id = await make_tenant(pool), await make_tenant(pool)
    async with pool.acquire() as connection:
        await change_quotas(connection, tenant_id, command_line("root"), {Resource.EVENT: None, Resource.WORKER: 7})
        await change_quotas(connection, tenant_id, command_line("root"), {Resource.WORKER: 8})
        await change_quotas(connection, other_id, command_line("root"), {Resource.WORKER: 1})
        assert await quotas_of(pool, tenant_id) == {Resource.EVENT: None, Resource.WORKER: 8}
        await change_quotas(connection, tenant_id, command_line("root"), {}, frozenset((Resource.EVENT,)))
    loaded = await load_live(pool, tenant_id, 0, with_quotas=True)
    assert loaded.quotas == {Resource.WORKER: 8}
    tenant = Tenant(new_id, enforce_quotas=True)
    tenant.adopt(loaded, 0)
    assert tenant.decide((SetQuotas(loaded.quotas),), 0).replies == (None,)


async def test_engines_hear_of_a_change_when_it_commits(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = OutboxListener(database, lambda *_: None, lambda: None, heard.put_nowait)
    await listener.start()
    try:
        async with pool.acquire() as connection:
            await connection.execute("select pg_notify($1, 'no tenant')", CHANNEL)
            await change_quotas(connection, tenant_id, command_line("root"), {Resource.EVENT: 1})
        async with asyncio.timeout(PATIENCE_S):
            assert await heard.get() == tenant_id
    finally:
        await listener.stop()
