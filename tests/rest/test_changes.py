"""The stream of changes as a browser reads it: its form, who may read it, and when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from broadaxe.engine.changes import Changes, Kind
from broadaxe.rest.routers import changes as changes_route
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
