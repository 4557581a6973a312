"""`broadaxe tenant`: what a fresh database of one's own needs before anybody can log in or issue a token."""

from __future__ import annotations

import os
import subprocess
import sys

import asyncpg
import pytest

from broadaxe.cli.tenant import slug_of
from broadaxe.errors import InvalidArgument
from broadaxe.storage import accounts

PASSWORD = "Correct-horse-7"


def broadaxe(database: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BROADAXE_")}
    return subprocess.run(
        [sys.executable, "-m", "broadaxe.cli.main", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        env={**clean, "BROADAXE_DATABASE_URL": database, **environment},
    )


async def roles(pool: asyncpg.Pool, email: str) -> dict[str, str]:
    """The slugs of the tenants somebody belongs to, each with their role."""
    account = await accounts.account_by_email(pool, email)
    assert account is not None
    return {entry.tenant.slug: entry.role for entry in await accounts.memberships_of_account(pool, account.id)}


async def test_a_fresh_database_gets_a_tenant_an_owner_and_a_token(database: str, pool: asyncpg.Pool) -> None:
    refused = broadaxe(database, "token", "create", "--name", "workers")
    assert refused.returncode == 1
    assert "broadaxe tenant create" in refused.stderr
    assert "no tenants" in broadaxe(database, "tenant", "list").stdout

    made = broadaxe(
        database,
        "tenant",
        "create",
        "Acme Billing",
        "--owner-email",
        "Ada@example.com",
        BROADAXE_OWNER_PASSWORD=PASSWORD,
    )
    assert made.returncode == 0, made.stderr
    assert PASSWORD not in made.stdout + made.stderr
    assert (await accounts.login(pool, "ada@example.com", PASSWORD)).email == "ada@example.com"
    assert await roles(pool, "ada@example.com") == {"acme-billing": "OWNER"}

    listed = broadaxe(database, "tenant", "list").stdout
    assert "acme-billing" in listed and "Acme Billing" in listed and "1 member " in listed
    token = broadaxe(database, "token", "create", "--tenant", "acme-billing", "--name", "workers")
    assert token.returncode == 0, token.stderr
    assert token.stdout.count(".") == 2
    other = broadaxe(database, "token", "list", "--tenant", "acme")
    assert (other.returncode, "acme-billing" in other.stderr) == (1, True)


async def test_an_existing_account_is_made_owner_without_a_password(database: str, pool: asyncpg.Pool) -> None:
    await accounts.register(pool, "Ada", "ada@example.com", PASSWORD)
    done = broadaxe(database, "tenant", "create", "Two", "--slug", "second", "--owner-email", "ada@example.com")
    assert done.returncode == 0, done.stderr
    assert await roles(pool, "ada@example.com") == {"second": "OWNER"}
    assert (await accounts.login(pool, "ada@example.com", PASSWORD)).name == "Ada"


async def test_a_new_owner_without_terminal_and_variable_is_refused_and_nothing_is_made(
    database: str, pool: asyncpg.Pool
) -> None:
    done = broadaxe(database, "tenant", "create", "Acme", "--owner-email", "ada@example.com")
    assert done.returncode == 2
    assert "BROADAXE_OWNER_PASSWORD" in done.stderr
    assert await accounts.list_tenants(pool) == []


@pytest.mark.parametrize(
    ("arguments", "password", "blamed"),
    [
        (("Acme", "--owner-email", "ada@example.com"), "weak", "the password"),
        (("Acme", "--owner-email", "nobody"), PASSWORD, "--owner-email"),
        (("Acme", "--slug", "a slug"), PASSWORD, "--slug"),
        (("!!",), PASSWORD, "--slug"),
        (("Taken",), PASSWORD, "--slug"),
    ],
)
async def test_a_mistake_is_one_line_that_names_it_and_nothing_is_made(
    database: str, pool: asyncpg.Pool, arguments: tuple[str, ...], password: str, blamed: str
) -> None:
    await accounts.insert_tenant(pool, "First", "taken")
    done = broadaxe(database, "tenant", "create", *arguments, BROADAXE_OWNER_PASSWORD=password)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert blamed in done.stderr
    assert [tenant.slug for tenant, _ in await accounts.list_tenants(pool)] == ["taken"]
    assert await accounts.account_by_email(pool, "ada@example.com") is None


async def test_a_weaker_member_becomes_owner(pool: asyncpg.Pool) -> None:
    account = await accounts.register(pool, "Ada", "ada@example.com", PASSWORD)
    made = await accounts.insert_tenant(pool, "Acme", "acme")
    await accounts.add_member(pool, made.id, account.id, accounts.Role.VIEWER)
    await accounts.put_member(pool, made.id, account.id, accounts.Role.OWNER)
    assert await roles(pool, "ada@example.com") == {"acme": "OWNER"}


@pytest.mark.parametrize(
    ("name", "slug"), [("Acme Billing (EU)", "acme-billing-eu"), ("v1.2", "v1.2"), ("Ünïq", "n-q")]
)
def test_slug_is_made_from_the_name(name: str, slug: str) -> None:
    assert slug_of(name) == slug


def test_no_slug_from_a_name_without_letters() -> None:
    with pytest.raises(InvalidArgument, match="--slug"):
        slug_of("!!!")
