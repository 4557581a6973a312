"""A node that is alone says so seldom that it lives, and as often as the others once there are some."""

from __future__ import annotations

import asyncpg

from broadaxe.cluster.members import ALONE_TTL_S, LEASE_TTL_S, Members
from broadaxe.storage.ids import new_id


async def _lasts_s(pool: asyncpg.Pool, members: Members) -> float:
    lasts_s: float = await pool.fetchval(
        "select round(extract(epoch from expires_at - renewed_at)) from broadaxe.node where id = $1", members.node_id
    )
    return float(lasts_s)


async def test_who_was_taken_for_dead_is_there_again_before_it_takes_a_tenant(pool: asyncpg.Pool) -> None:
    """Another node would take the tenant from it at once."""
    members = Members(pool, new_id(), "one:1")
    await members.register()
    await pool.execute("update broadaxe.node set expires_at = now() - interval '1 hour'")
    members._renewed_at_s -= 3_600
    await members.register()
    assert await pool.fetchval("select not broadaxe.is_gone($1)", members.node_id)
    await members.leave()


async def test_a_node_that_is_alone_renews_for_longer_until_another_comes(database: str, pool: asyncpg.Pool) -> None:
    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(database)

    one, two = Members(pool, new_id(), "one:1", connect=connect), Members(pool, new_id(), "two:1")
    try:
        await one.register()
        await one._renew()
        assert one.is_alone
        assert await _lasts_s(pool, one) == ALONE_TTL_S
        await two.register()
        await one._renew()
        assert not one.is_alone, "it knows of the other"
        assert await _lasts_s(pool, one) == LEASE_TTL_S, "before it says so"
    finally:
        await one.leave()
    await two._renew()
    await two._renew()
    assert await _lasts_s(pool, two) == LEASE_TTL_S, "who would not hear of another does not count on being alone"
    await two.leave()
