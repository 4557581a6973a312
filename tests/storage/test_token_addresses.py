"""A token that is used from a new address leaves one entry, whoever notices it and however often."""

from __future__ import annotations

import asyncpg
import pytest

from broadaxe.core.audit import Action
from broadaxe.core.commands.asked import TOKEN_NAME, Initiator, InitiatorKind
from broadaxe.loops import Loops
from broadaxe.storage import accounts, audit, token_addresses, tokens
from broadaxe.storage.audit import AuditFilter
from broadaxe.storage.token_addresses import TokenAddresses


@pytest.fixture
async def token(pool: asyncpg.Pool) -> tuple[str, str]:
    """A tenant and a token of it, by their ids."""
    owner, _ = await accounts.ensure_account(pool, "o", "owner@example.com", "Password1")
    tenant = await accounts.create_tenant(pool, "T", "t", owner.id)
    return tenant.id, (await tokens.create_token(pool, tenant.id, "laptop", 7_200, "http://x", "x:1")).id


class Process:
    """What one engine process notices."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._background = Loops("test")
        self.addresses = TokenAddresses(pool, self._background)

    async def uses(self, tenant_id: str, token_id: str, *addresses: str) -> int:
        """How many of these uses the table was asked about."""
        asked = 0
        for address in addresses:
            self.addresses.note(tenant_id, Initiator(InitiatorKind.TOKEN, token_id, TOKEN_NAME, address))
            asked += len(self._background)
            while len(self._background):
                await next(iter(self._background._tasks))
        return asked


async def told(pool: asyncpg.Pool, tenant_id: str) -> list[tuple[str, str]]:
    page = await audit.page(pool, tenant_id, AuditFilter(action=Action.TOKEN_USE), limit=100)
    return [(entry.row.object_name, entry.row.by_address) for entry in reversed(page.rows)]


async def test_each_new_address_is_told_once_and_the_first_is_not(pool: asyncpg.Pool, token: tuple[str, str]) -> None:
    first = Process(pool)
    assert await first.uses(*token, "10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2") == 2
    assert await told(pool, token[0]) == [("laptop", "10.0.0.2")]
    # Another process, or the same after a restart, asks the table, which knows.
    other = Process(pool)
    assert await other.uses(*token, "10.0.0.2", "10.0.0.1", "10.0.0.3") == 3
    assert await told(pool, token[0]) == [("laptop", "10.0.0.2"), ("laptop", "10.0.0.3")]


async def test_what_is_remembered_has_a_bound(
    pool: asyncpg.Pool, token: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_addresses, "PAIRS_MAX", 2)
    monkeypatch.setattr(token_addresses, "ADDRESSES_OF_A_TOKEN_MAX", 3)
    process = Process(pool)
    assert await process.uses(*token, *(f"10.0.0.{number}" for number in range(6))) == 6
    assert [address for _, address in await told(pool, token[0])] == ["10.0.0.1", "10.0.0.2"]
    assert await pool.fetchval("select count(*) from broadaxe.api_token_address") == 3
    # What was forgotten is asked about again, and is no news.
    assert await process.uses(*token, "10.0.0.5", "10.0.0.1") == 1
    assert len(await told(pool, token[0])) == 2


async def test_a_token_that_is_gone_takes_its_addresses_along(pool: asyncpg.Pool, token: tuple[str, str]) -> None:
    await Process(pool).uses(*token, "10.0.0.1")
    await pool.execute("delete from broadaxe.api_token where id = $1", token[1])
    assert await pool.fetchval("select count(*) from broadaxe.api_token_address") == 0
    await Process(pool).uses(*token, "10.0.0.2")
    assert await told(pool, token[0]) == []
