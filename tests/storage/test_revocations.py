"""What open streams depend on is told of when it is taken away, and at no other time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import asyncpg
import pytest

from broadaxe.storage import accounts, tokens
from broadaxe.storage.accounts import Role
from broadaxe.storage.audit import command_line
from broadaxe.storage.revocations import CHANNEL

WITHIN_S = 20


@dataclass
class House:
    """A tenant with an owner, a member who is logged in, and a token; and what is heard on the channel."""

    pool: asyncpg.Pool
    tenant_id: str
    member_id: str
    cookie: str
    token: tokens.IssuedToken
    heard: asyncio.Queue[str]

    async def heard_before_the_end(self) -> list[str]:
        await self.pool.execute("select pg_notify($1, 'end')", CHANNEL)
        heard: list[str] = []
        async with asyncio.timeout(WITHIN_S):
            while (payload := await self.heard.get()) != "end":
                heard.append(payload)
        return heard


@pytest.fixture
async def house(pool: asyncpg.Pool, database: str) -> AsyncIterator[House]:
    owner, _ = await accounts.ensure_account(pool, "o", "owner@example.com", "Password1")
    member, _ = await accounts.ensure_account(pool, "m", "member@example.com", "Password1")
    tenant = await accounts.create_tenant(pool, "T", "t", owner.id)
    await accounts.add_member(pool, tenant.id, member.id, Role.MEMBER)
    cookie = await accounts.open_session(pool, member.id)
    token = await tokens.create_token(pool, tenant.id, "n", 7_200, "http://x", "x:1")
    heard: asyncio.Queue[str] = asyncio.Queue()
    connection = await asyncpg.connect(database)
    try:
        await connection.add_listener(CHANNEL, lambda _c, _pid, _channel, payload: heard.put_nowait(str(payload)))
        yield House(pool, tenant.id, member.id, cookie, token, heard)
    finally:
        await connection.close()


async def _token_revoked(house: House) -> None:
    await tokens.revoke_token(house.pool, house.token.id, command_line("root"))


async def _token_rotated(house: House) -> None:
    await house.pool.execute("update broadaxe.api_token set expires_at = now() + interval '1 minute'")


async def _member_removed(house: House) -> None:
    async with house.pool.acquire() as connection:
        await accounts.remove_member(connection, house.tenant_id, house.member_id)


async def _another_role(house: House) -> None:
    async with house.pool.acquire() as connection:
        await accounts.put_member(connection, house.tenant_id, house.member_id, Role.VIEWER)


async def _logged_out(house: House) -> None:
    await accounts.close_session(house.pool, house.cookie)


async def _tenant_deleted(house: House) -> None:
    await house.pool.execute("delete from broadaxe.tenant")


@pytest.mark.parametrize(
    "taken",
    [_token_revoked, _token_rotated, _member_removed, _another_role, _logged_out, _tenant_deleted],
    ids=lambda how: how.__name__,
)
async def test_whatever_is_taken_away_is_told(house: House, taken: Callable[[House], Awaitable[None]]) -> None:
    await taken(house)
    assert set(await house.heard_before_the_end()) == {""}


async def test_what_is_used_or_given_is_not_told(house: House) -> None:
    await house.pool.execute("update broadaxe.api_token set last_used_at = now()")
    await house.pool.execute("update broadaxe.session set last_used_at = now()")
    await tokens.create_token(house.pool, house.tenant_id, "another", 7_200, "http://x", "x:1")
    assert await house.heard_before_the_end() == []
