"""Rate limits put over HTTP: what reaches the engine, and what is refused naming its field."""

from __future__ import annotations

import pytest

from broadaxe.core.commands.ratelimits import PutRateLimit
from tests.rest.conftest import Site


async def test_a_limit_is_put_with_its_window(site: Site) -> None:
    path = f"/api/v1/stable/tenants/{site.seeds.tenant_id}/rate-limits"
    answer = await site.client.put(path, json={"key": "mail", "limit": 10, "window": "1m30s"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert [command for _, command in site.engine.commands] == [PutRateLimit("mail", 10, 90_000_000)]


@pytest.mark.parametrize(
    "change",
    [
        {"key": ""},
        {"key": "a\x00"},
        {"limit": -1},
        {"limit": 2**31},
        {"limit": "many"},
        {"window": "0s"},
        {"window": "soon"},
    ],
    ids=str,
)
async def test_a_limit_that_cannot_be_names_its_field(site: Site, change: dict[str, object]) -> None:
    path = f"/api/v1/stable/tenants/{site.seeds.tenant_id}/rate-limits"
    answer = await site.client.put(path, json={"key": "mail", "limit": 10, "window": "1m"} | change)
    assert answer.status_code == 400 and site.engine.commands == []
    assert answer.json()["errors"][0]["field"] == next(iter(change))
