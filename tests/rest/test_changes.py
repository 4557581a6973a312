"""The stream of changes as a browser reads it: its form, who may read it, and when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import asyncpg
import httpx
import pytest

from broadaxe.engine.changes import Changes, Kind
from broadaxe.rest import open_streams
from broadaxe.rest.routers import changes as changes_route
from broadaxe.storage import accounts
from broadaxe.storage.accounts import Role
from broadaxe.storage.audit import command_line
from broadaxe.storage.tokens import create_token, revoke_token
from tests.rest.conftest import Serve, Site

PATIENCE_S = 20.0


class CountingPool:
    """A pool that remembers what it was asked for."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in ("acquire", "execute", "executemany", "fetch", "fetchmany", "fetchrow", "fetchval"):
            self.asked.append(name)
        return getattr(self._pool, name)


@pytest.fixture
def counting(pool: asyncpg.Pool) -> CountingPool:
    return CountingPool(pool)


def path(site: Site) -> str:
    return f"/api/v1/stable/tenants/{site.seeds.tenant_id}/changes"


async def messages(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    async for line in lines:
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


async def test_changes_are_told_as_they_come(site: Site) -> None:
    async with asyncio.timeout(PATIENCE_S), site.client.stream("GET", path(site)) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = messages(answer.aiter_lines())
        # A feed that was just made does not know what came before it.
        first = await anext(told)
        assert set(first["kinds"]) == set(Kind) and "ids" not in first
        site.engine.feed.note(Kind.RUNS, ["r", "t"])
        assert await anext(told) == {"kinds": ["runs"], "ids": ["r", "t"], "heartbeats": {}}
    await asyncio.wait_for(site.engine.is_unfollowed.wait(), PATIENCE_S)


async def test_it_ends_with_the_token(site: Site) -> None:
    seeds = site.seeds
    issued = await create_token(seeds.pool, seeds.tenant_id, "short", 3600, site.url, "127.0.0.1:1")
    async with (
        asyncio.timeout(PATIENCE_S),
        site.client.stream("GET", path(site), headers={"Authorization": f"Bearer {issued.token}"}) as answer,
    ):
        told = messages(answer.aiter_lines())
        await anext(told)
        await revoke_token(seeds.pool, issued.id, command_line("root"))
        assert [message async for message in told] == []


async def _removed(site: Site, person: accounts.Account, cookie: str) -> None:
    async with site.seeds.pool.acquire() as connection:
        await accounts.remove_member(connection, site.seeds.tenant_id, person.id)


async def _given_another_role(site: Site, person: accounts.Account, cookie: str) -> None:
    async with site.seeds.pool.acquire() as connection:
        await accounts.put_member(connection, site.seeds.tenant_id, person.id, Role.VIEWER)


async def _logged_out(site: Site, person: accounts.Account, cookie: str) -> None:
    await accounts.close_session(site.seeds.pool, cookie)


@pytest.mark.parametrize("sent_out", [_removed, _given_another_role, _logged_out], ids=lambda how: how.__name__)
async def test_it_ends_with_what_let_a_person_in(
    site: Site, monkeypatch: pytest.MonkeyPatch, sent_out: Callable[[Site, accounts.Account, str], Awaitable[None]]
) -> None:
    monkeypatch.setattr(open_streams, "WATCH_EVERY_S", 0.05)
    pool = site.seeds.pool
    leaves, stays = await site.seeds.account("L", "l@example.com"), await site.seeds.account("S", "s@example.com")
    cookies = {}
    for person in (leaves, stays):
        await accounts.add_member(pool, site.seeds.tenant_id, person.id, Role.ADMIN)
        cookies[person.id] = await accounts.open_session(pool, person.id)

    def opened(person: accounts.Account) -> AbstractAsyncContextManager[httpx.Response]:
        return site.anonymous.stream("GET", path(site), headers={"cookie": f"hatchet={cookies[person.id]}"})

    async with asyncio.timeout(PATIENCE_S), opened(stays) as other, opened(leaves) as answer:
        told, told_other = messages(answer.aiter_lines()), messages(other.aiter_lines())
        await anext(told)
        await anext(told_other)
        await sent_out(site, leaves, cookies[leaves.id])
        assert [message async for message in told] == []
        # Whoever stays is told on.
        site.engine.feed.note(Kind.RUNS, ["r"])
        assert (await anext(told_other))["ids"] == ["r"]


def test_whoever_is_sent_out_reads_for_five_seconds_at_most() -> None:
    assert open_streams.WATCH_EVERY_S + changes_route.SPACING_S < 5 - 0.5


async def test_an_open_page_costs_no_query_however_much_is_pushed(
    serve: Serve, counting: CountingPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_route, "SPACING_S", 0.0)
    site = await serve(through=counting)
    async with asyncio.timeout(PATIENCE_S), site.client.stream("GET", path(site)) as answer:
        told = messages(answer.aiter_lines())
        await anext(told)
        assert counting.asked, "who opens a page is looked up"
        counting.asked.clear()
        for beat in range(1, 101):
            site.engine.feed.note_changes(Changes(frozenset({Kind.RUNS}), frozenset({f"run-{beat}"}), {"worker": beat}))
            assert (await anext(told))["ids"] == [f"run-{beat}"]
    assert counting.asked == []
