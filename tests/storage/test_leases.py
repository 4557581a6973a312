"""Leases: one owner at a time, a new epoch for each, back at once when given back."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from broadaxe.cluster.leases import LEASE_TTL_S, Leases
from broadaxe.errors import Unavailable
from broadaxe.storage.journal import CONNECTION_SETTINGS
from broadaxe.storage.outage import OUTAGE
from broadaxe.storage.statements import statement
from tests.storage.ground import NODE, OTHER_NODE, make_tenant


def never(tenant_id: str) -> None:
    raise AssertionError(f"the lease of {tenant_id} was not lost")


async def test_a_held_tenant_is_refused_and_its_holder_named(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    ours, theirs = Leases(pool, NODE, "one:7077", never), Leases(pool, OTHER_NODE, "two:7077", never)
    try:
        assert await ours.acquire(tenant_id) == 1
        with pytest.raises(Unavailable, match=r"one:7077"):
            await theirs.acquire(tenant_id)
        assert await ours.acquire(tenant_id) == 2, "a node that starts anew shuts out its own past"
    finally:
        await ours.stop()
        await theirs.stop()


async def test_a_released_tenant_is_free_at_once(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    ours, theirs = Leases(pool, NODE, "one:7077", never), Leases(pool, OTHER_NODE, "two:7077", never)
    try:
        await ours.acquire(tenant_id)
        await ours.stop()
        assert await theirs.acquire(tenant_id) == 2
        await ours.release(tenant_id)
        with pytest.raises(Unavailable):
            await ours.acquire(tenant_id)
    finally:
        await ours.stop()
        await theirs.stop()


async def test_a_lease_that_ran_out_is_taken(pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    ours, theirs = Leases(pool, NODE, "one:7077", never, ttl_s=0.0), Leases(pool, OTHER_NODE, "two:7077", never)
    try:
        await ours.acquire(tenant_id)
        assert await theirs.acquire(tenant_id) == 2
        await ours.release(tenant_id)
        with pytest.raises(Unavailable, match=r"two:7077"):
            await ours.acquire(tenant_id)
    finally:
        await ours.stop()
        await theirs.stop()


async def test_who_was_cut_off_in_the_middle_of_a_commit_keeps_nobody_from_the_tenant(
    pool: asyncpg.Pool, database: str
) -> None:
    """It holds the lease's row in its transaction. The real limit is shorter than a lease lasts."""
    limit = "idle_in_transaction_session_timeout"
    assert float(CONNECTION_SETTINGS[limit].removesuffix("s")) < LEASE_TTL_S
    tenant_id = await make_tenant(pool)
    ours, theirs = Leases(pool, NODE, "one:7077", never, ttl_s=0.0), Leases(pool, OTHER_NODE, "two:7077", never)
    cut_off = await asyncpg.connect(database, server_settings={**CONNECTION_SETTINGS, limit: "50ms"})
    try:
        epoch = await ours.acquire(tenant_id)
        await cut_off.execute("begin")
        assert await cut_off.fetchval(statement("journal/fence"), tenant_id, NODE, epoch) == 1
        async with asyncio.timeout(20):
            assert await theirs.acquire(tenant_id) == epoch + 1
        with pytest.raises(OUTAGE):
            await cut_off.execute("commit")
    finally:
        cut_off.terminate()
        await ours.stop()
        await theirs.stop()


async def test_an_unknown_tenant_has_no_lease(pool: asyncpg.Pool) -> None:
    leases = Leases(pool, NODE, "one:7077", never)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await leases.acquire(OTHER_NODE)
    await leases.stop()
