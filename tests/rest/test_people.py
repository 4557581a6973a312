"""My account and the tenant's settings: sessions, when tokens were used, limits, retention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from broadaxe.storage import accounts, tokens
from broadaxe.storage.ids import new_id
from broadaxe.storage.token_verifier import TokenVerifier

if TYPE_CHECKING:
    from .conftest import Serve, Site

PASSWORD = "Correct-horse-7"
SESSIONS = "/api/v1/stable/users/sessions"


async def log_in(site: Site, device: str = "Browser/1") -> None:
    body = {"email": "ada@example.com", "password": PASSWORD}
    answer = await site.anonymous.post("/api/v1/users/login", json=body, headers={"User-Agent": device})
    assert answer.status_code == 200, answer.text


async def sessions_of(site: Site, **params: Any) -> dict[str, Any]:
    answer = await site.anonymous.get(SESSIONS, params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_sessions_are_listed_with_their_device_and_which_is_this_one(site: Site) -> None:
    await accounts.open_session(site.seeds.pool, site.owner.id, "Phone/2\x07" + "x" * 1_000)
    await log_in(site)
    rows = (await sessions_of(site))["rows"]
    assert [(row["device"][:9], row["isCurrent"]) for row in rows] == [("Browser/1", True), ("Phone/2xx", False)]
    assert len(rows[1]["device"]) == 299
    assert set(rows[0]) == {"id", "device", "createdAt", "lastUsedAt", "expiresAt", "isCurrent"}


async def test_sessions_are_read_page_by_page(site: Site) -> None:
    for number in range(4):
        await accounts.open_session(site.seeds.pool, site.owner.id, f"Phone/{number}")
    await log_in(site)
    found, cursor = [], None
    while True:
        page = await sessions_of(site, limit=2, **({} if cursor is None else {"cursor": cursor}))
        found += [row["device"] for row in page["rows"]]
        cursor = page.get("pagination", {}).get("next_cursor")
        if cursor is None:
            break
    assert found == ["Browser/1", "Phone/3", "Phone/2", "Phone/1", "Phone/0"]


async def test_one_session_is_ended_and_then_all_the_others(site: Site) -> None:
    phones = [await accounts.open_session(site.seeds.pool, site.owner.id, f"Phone/{number}") for number in range(3)]
    await log_in(site)
    rows = {row["device"]: row["id"] for row in (await sessions_of(site))["rows"]}
    assert (await site.anonymous.delete(f"{SESSIONS}/{rows['Phone/0']}")).status_code == 204
    assert await accounts.person_of_session(site.seeds.pool, phones[0]) is None
    assert await accounts.person_of_session(site.seeds.pool, phones[1]) is not None
    assert (await site.anonymous.delete(f"{SESSIONS}/{rows['Phone/0']}")).status_code == 404
    assert (await site.anonymous.delete(SESSIONS)).json() == {"ended": 2}
    assert await accounts.person_of_session(site.seeds.pool, phones[1]) is None
    assert [row["isCurrent"] for row in (await sessions_of(site))["rows"]] == [True]


async def test_sessions_of_somebody_else_are_out_of_reach(site: Site) -> None:
    eve = await site.seeds.account("Eve", "eve@example.com")
    theirs = await accounts.open_session(site.seeds.pool, eve.id, "Eve/1")
    their_id = await site.seeds.pool.fetchval("select id from broadaxe.session where account_id = $1", eve.id)
    await log_in(site)
    assert [row["device"] for row in (await sessions_of(site))["rows"]] == ["Browser/1"]
    assert (await site.anonymous.delete(f"{SESSIONS}/{their_id}")).status_code == 404
    assert (await site.anonymous.delete(SESSIONS)).json() == {"ended": 0}
    assert await accounts.person_of_session(site.seeds.pool, theirs) is not None


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_sessions_are_for_people_and_not_for_tokens(site: Site, method: str) -> None:
    assert (await site.client.request(method, SESSIONS)).status_code == 403
    assert (await site.client.delete(f"{SESSIONS}/{new_id()}")).status_code == 403


async def test_a_session_notes_its_use_once_in_ten_minutes(site: Site) -> None:
    await log_in(site)
    pool = site.seeds.pool
    fresh = (await sessions_of(site))["rows"][0]["lastUsedAt"]
    assert (await sessions_of(site))["rows"][0]["lastUsedAt"] == fresh
    await pool.execute("update broadaxe.session set last_used_at = now() - interval '11 minutes'")
    assert (await sessions_of(site))["rows"][0]["lastUsedAt"] > fresh


async def test_a_token_says_when_it_was_last_used(site: Site, pool: asyncpg.Pool) -> None:
    unused = await tokens.create_token(pool, site.seeds.tenant_id, "unused", 3600, site.url, "127.0.0.1:2")
    assert (await site.client.get(site.tenant)).status_code == 200
    await log_in(site)
    rows = {row["name"]: row for row in (await site.anonymous.get(f"{site.tenant}/api-tokens")).json()["rows"]}
    assert "lastUsedAt" in rows["tests"]
    assert "lastUsedAt" not in rows["unused"]
    # And once in ten minutes only, so that checking it stays a read.
    verifier = TokenVerifier(pool)
    try:
        await verifier.verify(unused.token)
        versions = [await pool.fetchval("select xmin::text from broadaxe.api_token where id = $1", unused.id)]
        verifier.forget(unused.id)
        await verifier.verify(unused.token)
        versions.append(await pool.fetchval("select xmin::text from broadaxe.api_token where id = $1", unused.id))
    finally:
        await verifier.stop()
    assert versions[0] == versions[1]


async def test_a_token_is_checked_while_somebody_else_changes_its_row(site: Site, pool: asyncpg.Pool) -> None:
    issued = await tokens.create_token(pool, site.seeds.tenant_id, "busy", 3600, site.url, "127.0.0.1:2")
    verifier = TokenVerifier(pool)
    try:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("update broadaxe.api_token set name = 'x' where id = $1", issued.id)
            assert (await verifier.verify(issued.token)).token_id == issued.id
    finally:
        await verifier.stop()


async def test_tokens_are_found_by_a_part_of_their_name(site: Site, pool: asyncpg.Pool) -> None:
    for name in ("Billing workers", "100% sure", "reports"):
        await tokens.create_token(pool, site.seeds.tenant_id, name, 3600, site.url, "127.0.0.1:2")
    await log_in(site)

    async def found(search: str) -> list[str]:
        answer = await site.anonymous.get(f"{site.tenant}/api-tokens", params={"search": search})
        return [row["name"] for row in answer.json()["rows"]]

    assert await found("WORK") == ["Billing workers"]
    assert await found("%") == ["100% sure"]
    assert await found("nothing") == []
    refused = await site.anonymous.get(f"{site.tenant}/api-tokens", params={"search": "a\0"})
    assert refused.status_code == 400


async def test_limits_tell_use_where_nobody_enforces_them(serve: Serve) -> None:
    site = await serve(retention_days=30)
    made = await site.seeds.single()
    await site.seeds.run(made, task={})
    for _ in range(3):
        await site.seeds.event("a:b")
    await site.seeds.worker(is_listening=True)
    await site.seeds.pool.execute(
        "insert into broadaxe.quota (tenant_id, resource, limit_value) values ($1, 'WORKER', null)",
        site.seeds.tenant_id,
    )
    body = (await site.client.get(f"{site.stable}/limits")).json()
    assert (body["isEnforced"], body["retentionDays"]) == (False, 30)
    shown = {row["resource"]: (row.get("limitValue"), row["isDefault"], row["value"]) for row in body["limits"]}
    assert shown == {
        "TASK_RUN": (2_000, True, 1),
        "EVENT": (1_000, True, 3),
        "WORKER": (None, False, 1),
        "WORKER_SLOT": (2_000, True, 10),
        "INCOMING_WEBHOOK": (5, True, 0),
    }
    assert site.engine.commands == []


async def test_limits_of_another_tenant_are_out_of_reach(site: Site) -> None:
    stranger = await site.seeds.account("Eve", "eve@example.com")
    theirs = await accounts.create_tenant(site.seeds.pool, "Eve's", "eve", stranger.id)
    assert (await site.client.get(f"/api/v1/stable/tenants/{theirs.id}/limits")).status_code == 403
