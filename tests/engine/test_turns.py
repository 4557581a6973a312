"""Loads: a few at a time, and whoever is asked for goes before a thousand that nobody asks for."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from broadaxe.core.commands.crons import CreateCron
from broadaxe.engine.engine import LOADS_AT_ONCE_MAX
from broadaxe.engine.postgres_store import PostgresStore, PostgresTenantStore
from broadaxe.engine.turns import Turns
from tests.engine.house import House, house
from tests.storage.ground import make_tenant


async def test_who_is_asked_for_goes_next() -> None:
    turns = Turns(2)
    began: list[str] = []
    ends = {f"t{n}": asyncio.Event() for n in range(1_000)}

    async def load(tenant_id: str) -> None:
        async with turns.turn(tenant_id, is_hurried=False):
            began.append(tenant_id)
            await ends[tenant_id].wait()

    loads = [asyncio.ensure_future(load(tenant_id)) for tenant_id in ends]
    await asyncio.sleep(0)
    assert began == ["t0", "t1"]
    turns.hurry("t900")
    turns.hurry("t800")
    turns.hurry("t0")
    for tenant_id in ("t1", "t0", "t900"):
        ends[tenant_id].set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert began == ["t0", "t1", "t900", "t800", "t2"]
    for end in ends.values():
        end.set()
    await asyncio.gather(*loads)
    assert len(began) == len(set(began)) == 1_000


async def test_a_load_that_is_given_up_leaves_its_turn_to_the_next() -> None:
    turns = Turns(1)
    first = asyncio.Event()
    done: list[str] = []

    async def load(tenant_id: str, until: asyncio.Event | None = None) -> None:
        async with turns.turn(tenant_id, is_hurried=False):
            if until is not None:
                await until.wait()
            done.append(tenant_id)

    loads = [asyncio.ensure_future(work) for work in (load("a", first), load("b"), load("c"))]
    await asyncio.sleep(0)
    loads[1].cancel()
    first.set()
    await asyncio.gather(*loads, return_exceptions=True)
    assert done == ["a", "c"]
    async with turns.turn("d", is_hurried=True):
        done.append("d")
    assert done == ["a", "c", "d"]


async def test_the_first_caller_after_a_loss_does_not_wait_for_all_other_tenants(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order in which the engine opens tenants at its start, while somebody asks for the last one."""
    async with house(database, pool) as home:
        tenants = [await make_tenant(pool) for _ in range(40)]
        for tenant_id in tenants:
            await House(home.engine, tenant_id, pool).put()
            cron = CreateCron(workflow_name="flow", name="yearly", expression="0 0 1 1 *", input="{}")
            await home.engine.submit(tenant_id, cron)
        asked = (await home.engine._store.tenants_with_work())[-1]
    order: list[str] = []
    opened = PostgresStore.open

    async def open_and_note(store: PostgresStore, tenant_id: str, *, here: bool = False) -> PostgresTenantStore:
        order.append(tenant_id)
        return await opened(store, tenant_id, here=here)

    monkeypatch.setattr(PostgresStore, "open", open_and_note)
    async with house(database, pool) as home:
        await House(home.engine, asked, pool).trigger()
        assert order.index(asked) <= 2 * LOADS_AT_ONCE_MAX
