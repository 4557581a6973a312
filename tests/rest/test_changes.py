"""The stream of changes as a browser reads it: its form, who may read it, and when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from broadaxe.engine.changes import Kind
from broadaxe.storage.tokens import create_token, revoke_token
from tests.rest.conftest import Site

PATIENCE_S = 20.0


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
        await revoke_token(seeds.pool, issued.id)
        assert [message async for message in told] == []
