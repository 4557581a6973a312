"""The first start: the code from the log makes the first account and tenant, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from broadaxe.storage import accounts, setup

if TYPE_CHECKING:
    from .conftest import Serve, Site

SETUP = "/api/v1/stable/setup"
BODY = {
    "name": "Grace",
    "email": "grace@example.com",
    "password": "Correct-horse-7",
    "tenantName": "Navy",
    "tenantSlug": "navy",
}


@pytest.fixture
async def fresh(serve: Serve) -> tuple[Site, str]:
    """A server without accounts, and a code."""
    site = await serve()
    await site.seeds.pool.execute("delete from broadaxe.account")
    code = await setup.new_code(site.seeds.pool)
    assert code is not None
    return site, code


async def needs_setup(site: Site) -> bool:
    return (await site.anonymous.get("/api/v1/meta")).json().get("setupNeeded", False)


async def test_the_code_makes_the_first_account_and_tenant(fresh: tuple[Site, str]) -> None:
    site, code = fresh
    assert await needs_setup(site)
    assert code not in str(await site.seeds.pool.fetch("select * from broadaxe.setup_code"))
    made = await site.anonymous.post(SETUP, json=BODY | {"code": code.lower().replace("-", " ")})
    assert made.status_code == 200, made.text
    (membership,) = (await site.anonymous.get("/api/v1/users/memberships")).json()["rows"]
    assert (membership["role"], membership["tenant"]["slug"]) == ("OWNER", "navy")
    account = await accounts.account_by_email(site.seeds.pool, "grace@example.com")
    assert account is not None and await accounts.is_operator(site.seeds.pool, account.id)
    assert not await needs_setup(site)
    again = await site.anonymous.post(SETUP, json=BODY | {"code": code, "email": "eve@example.com"})
    assert (again.status_code, "set up already" in again.text) == (400, True)
    assert await setup.new_code(site.seeds.pool) is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"code": "AAAA-AAAA-AAAA-AAAA"}, "code"),
        ({"code": "x" * 5_000}, "code"),
        ({"email": "nobody"}, "email"),
        ({"password": "short"}, "password"),
        ({"tenantName": " "}, "tenantName"),
        ({"tenantSlug": "not a slug"}, "tenantSlug"),
        ({"name": "x" * 300}, "name"),
    ],
    ids=["code", "long code", "email", "password", "tenant", "slug", "name"],
)
async def test_what_is_wrong_is_named_and_nothing_is_made(
    fresh: tuple[Site, str], wrong: dict[str, Any], field: str
) -> None:
    site, code = fresh
    refused = await site.anonymous.post(SETUP, json=BODY | {"code": code} | wrong)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)
    assert await needs_setup(site)


async def test_of_two_at_once_one_is_first(fresh: tuple[Site, str]) -> None:
    site, code = fresh
    other = await setup.new_code(site.seeds.pool)
    bodies = [BODY | {"code": code}, BODY | {"code": other, "email": "eve@example.com", "tenantSlug": "eve"}]
    answers = await asyncio.gather(*(site.anonymous.post(SETUP, json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 400]
    assert await site.seeds.pool.fetchval("select count(*) from broadaxe.account") == 1


async def test_an_old_code_does_not_count(fresh: tuple[Site, str]) -> None:
    site, code = fresh
    await site.seeds.pool.execute("update broadaxe.setup_code set expires_at = now()")
    assert (await site.anonymous.post(SETUP, json=BODY | {"code": code})).status_code == 400
