"""Limits of a tenant in a running engine: they come into force when people set them, and committed work waits."""

from __future__ import annotations

import asyncpg
import pytest

from broadaxe.core.commands.quotas import Resource
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.errors import QuotaReached
from broadaxe.storage.audit import command_line
from broadaxe.storage.outbox import OutboxListener
from broadaxe.storage.quotas import change_quotas
from tests.core.world import DAY_US
from tests.engine.house import ManualClock, Seen, house
from tests.storage.ground import make_tenant

NOW_US = 1_767_268_800_000_000


async def limit(pool: asyncpg.Pool, tenant_id: str, **limits: int) -> None:
    async with pool.acquire() as connection:
        await change_quotas(
            connection, tenant_id, command_line("root"), {Resource(name): value for name, value in limits.items()}
        )


async def enqueue(pool: asyncpg.Pool, tenant_id: str, count: int) -> list[str]:
    """Runs of one transaction, which keep their order whatever the outbox has heard of when."""
    async with pool.acquire() as connection, connection.transaction():
        call = "select broadaxe.enqueue('flow', '{}', tenant => $1)::text"
        return [await connection.fetchval(call, tenant_id) for _ in range(count)]


async def test_committed_work_waits_in_the_outbox_until_a_limit_is_raised(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    await limit(pool, tenant_id, TASK_RUN=1)
    seen = Seen()
    async with house(database, pool, tenant_id=tenant_id, observe=seen, enforce_quotas=True) as home:
        listener = OutboxListener(database, home.engine.outbox_told, home.engine.outbox_unsure, home.engine.quotas_told)
        await listener.start()
        try:
            await home.put()
            first = await home.trigger()
            assert await seen.next_runs(1) == [first]
            waiting = await enqueue(pool, tenant_id, 3)
            with pytest.raises(QuotaReached, match="TASK_RUN"):
                await home.trigger()
            assert await home.count("outbox") == 3
            await limit(pool, tenant_id, TASK_RUN=3)
            assert await seen.next_runs(2) == waiting[:2]
            await limit(pool, tenant_id, TASK_RUN=100)
            assert await seen.next_runs(1) == waiting[2:]
            assert await home.count("outbox_refused") == 0
        finally:
            await listener.stop()


async def test_what_was_used_survives_the_engine_and_ends_with_the_window(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    await limit(pool, tenant_id, TASK_RUN=2)
    clock = ManualClock(NOW_US)
    for made in (1, 2):
        async with house(database, pool, tenant_id=tenant_id, clock=clock, enforce_quotas=True) as home:
            await home.put()
            await home.trigger()
            assert await pool.fetchval("select value from broadaxe.quota_usage") == made
    async with house(database, pool, tenant_id=tenant_id, clock=clock, enforce_quotas=True) as home:
        with pytest.raises(QuotaReached):
            await home.trigger()
        clock.us += DAY_US
        requests = tuple(RunRequest(workflow_name="flow", input="{}") for _ in range(2))
        await home.engine.submit(tenant_id, TriggerRuns(requests))
        with pytest.raises(QuotaReached):
            await home.trigger()


async def test_an_engine_that_enforces_nothing_writes_nothing(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    await limit(pool, tenant_id, TASK_RUN=0)
    async with house(database, pool, tenant_id=tenant_id) as home:
        await home.put()
        await home.trigger()
    assert await pool.fetchval("select count(*) from broadaxe.quota_usage") == 0
