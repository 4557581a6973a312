"""`broadaxe cluster` and `broadaxe account operator`: what whoever has the database says of nodes, and who else may."""

from __future__ import annotations

import asyncio
import json

import asyncpg

from broadaxe.storage import accounts
from broadaxe.storage.ids import new_id
from tests.platform.test_tenant import PASSWORD, broadaxe


async def test_nodes_are_listed_and_drained_by_the_beginning_of_their_id(database: str, pool: asyncpg.Pool) -> None:
    assert "no engine has run" in broadaxe(database, "cluster", "nodes").stdout
    for node_id, version in (("aa" + new_id()[2:], "1.4.2"), ("ab" + new_id()[2:], "1.5.0")):
        await pool.execute(
            "insert into broadaxe.node (id, address, link_address, version, load, expires_at)"
            " values ($1, 'here:7077', 'here:7079', $2, 0.25, now() + interval '1 hour')",
            node_id,
            version,
        )
    several = broadaxe(database, "cluster", "drain", "a")
    assert (several.returncode, "2 nodes begin with a" in several.stderr) == (2, True)
    nobody = broadaxe(database, "cluster", "drain", "ff")
    assert (nobody.returncode, "there is no live node ff" in nobody.stderr) == (2, True)
    assert "hands over its tenants" in broadaxe(database, "cluster", "drain", "AA").stdout
    rows = {row["version"]: row for row in json.loads(broadaxe(database, "cluster", "nodes", "--json").stdout)}
    assert rows["1.4.2"]["drainingAt"] is not None
    assert rows["1.5.0"]["drainingAt"] is None
    assert (rows["1.4.2"]["load"], rows["1.4.2"]["isLost"], rows["1.4.2"]["tenants"]) == (0.25, False, 0)
    assert "  drained   1.4.2" in broadaxe(database, "cluster", "nodes").stdout
    assert "may own tenants again" in broadaxe(database, "cluster", "drain", "aa", "--undo").stdout
    assert await pool.fetchval("select count(*) from broadaxe.node where draining_at is not null") == 0


async def test_an_account_becomes_an_operator_and_ceases_to_be_one(database: str, pool: asyncpg.Pool) -> None:
    account, _ = await accounts.ensure_account(pool, "Ada", "ada@example.com", PASSWORD)
    assert not await accounts.is_operator(pool, account.id)
    assert "is an operator" in broadaxe(database, "account", "operator", "ada@example.com").stdout
    assert await accounts.is_operator(pool, account.id)
    assert "no operator any more" in broadaxe(database, "account", "operator", "ada@example.com", "--undo").stdout
    assert not await accounts.is_operator(pool, account.id)


async def test_two_engines_that_make_the_same_account_at_once_have_the_same_one(pool: asyncpg.Pool) -> None:
    made = await asyncio.gather(*(accounts.ensure_account(pool, "Ada", "ada@example.com", PASSWORD) for _ in range(2)))
    assert len({account.id for account, _ in made}) == 1
    assert sorted(is_new for _, is_new in made) == [False, True]
