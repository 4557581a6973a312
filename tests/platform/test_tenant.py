"""`broadaxe tenant`: what a fresh database of one's own needs before anybody can log in or issue a token."""

from __future__ import annotations

import os
import subprocess
import sys

import asyncpg
import pytest

from broadaxe.cli.tenant import slug_of
from broadaxe.cluster.leases import Leases
from broadaxe.core.commands.quotas import Resource
from broadaxe.errors import InvalidArgument
from broadaxe.storage import accounts
from broadaxe.storage.ids import new_id
from broadaxe.storage.quotas import quotas_of

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
    assert refused.returncode == 2
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
    assert (other.returncode, "acme-billing" in other.stderr) == (2, True)


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
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert blamed in done.stderr
    assert [tenant.slug for tenant, _ in await accounts.list_tenants(pool)] == ["taken"]
    assert await accounts.account_by_email(pool, "ada@example.com") is None


async def test_limits_are_shown_and_set(database: str, pool: asyncpg.Pool) -> None:
    tenant = await accounts.insert_tenant(pool, "Acme", "acme")
    shown = broadaxe(database, "tenant", "limits", "acme")
    assert shown.returncode == 0, shown.stderr
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[0] == ["TASK_RUN", "2000", "(default)", "0", "in", "the", "last", "24", "hours"]
    assert lines[2] == ["WORKER", "3", "(default)", "0", "now"]
    assert shown.stdout.splitlines()[-1].startswith("not enforced: no engine has had this tenant yet")

    done = broadaxe(database, "tenant", "limits", tenant.id, "TASK_RUN=50000", "WORKER=none", "EVENT=5")
    assert done.returncode == 0, done.stderr
    done = broadaxe(database, "tenant", "limits", "acme", "EVENT=default")
    limits = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[:-1]}
    assert limits == {
        "TASK_RUN": "50000",
        "EVENT": "1000",
        "WORKER": "none",
        "WORKER_SLOT": "2000",
        "INCOMING_WEBHOOK": "5",
    }
    assert await quotas_of(pool, tenant.id) == {Resource.TASK_RUN: 50_000, Resource.WORKER: None}


@pytest.mark.parametrize(("enforces", "words"), [(True, "enforced: the engine"), (False, "not enforced: the engine")])
async def test_limits_say_what_is_used_and_whether_they_bind(
    database: str, pool: asyncpg.Pool, enforces: bool, words: str
) -> None:
    tenant = await accounts.insert_tenant(pool, "Acme", "acme")
    await pool.execute("insert into broadaxe.quota_usage values ($1, 'EVENT', 12, '2026-01-01T12:00Z')", tenant.id)
    insert = "insert into broadaxe.event (tenant_id, id, key, payload, seen_at) values ($1, $2, 'k', '{}', now())"
    await pool.executemany(insert, [(tenant.id, new_id()) for _ in range(1_003)])
    leases = Leases(pool, new_id(), "one:7077", lambda tenant_id: None, enforces_limits=enforces)
    await leases.acquire(tenant.id)
    await leases.stop()
    *lines, last = broadaxe(database, "tenant", "limits", "acme").stdout.splitlines()
    used = "12 used since 2026-01-01 12:00 UTC" if enforces else "1003 in the last 24 hours"
    assert lines[1].split() == ["EVENT", "1000", "(default)", *used.split()]
    assert last.startswith(words)


@pytest.mark.parametrize(
    ("change", "blamed"),
    [
        ("TASKS=5", "TASK_RUN"),
        ("TASK_RUN", "TASK_RUN=50000"),
        ("TASK_RUN=-1", "TASK_RUN=50000"),
        ("TASK_RUN=99999999999999999999", "TASK_RUN=50000"),
    ],
)
async def test_a_wrong_limit_is_named_and_nothing_is_set(
    database: str, pool: asyncpg.Pool, change: str, blamed: str
) -> None:
    await accounts.insert_tenant(pool, "Acme", "acme")
    done = broadaxe(database, "tenant", "limits", "acme", "EVENT=1", change)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert blamed in done.stderr
    assert await pool.fetchval("select count(*) from broadaxe.quota") == 0


@pytest.mark.parametrize(
    "words",
    [
        ("token", "create", "--name", "t", "--tenant", "acme", "--expires-in", "5q"),
        ("token", "create", "--name", "", "--tenant", "acme"),
        ("token", "revoke", "abc"),
        ("token", "rotate", "abc"),
        ("token", "rotate", "0199b6a2-7c1e-7f00-8000-0123456789ab"),
        ("token", "revoke", "0199b6a2-7c1e-7f00-8000-0123456789ab"),
        ("tenant", "limits", "nope"),
        ("account", "list", "--tenant", "nope"),
    ],
)
async def test_what_the_user_has_to_correct_ends_with_2(
    database: str, pool: asyncpg.Pool, words: tuple[str, ...]
) -> None:
    await accounts.insert_tenant(pool, "Acme", "acme")
    done = broadaxe(database, *words)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr


async def test_a_weaker_member_becomes_owner(pool: asyncpg.Pool) -> None:
    account = await accounts.register(pool, "Ada", "ada@example.com", PASSWORD)
    made = await accounts.insert_tenant(pool, "Acme", "acme")
    await accounts.add_member(pool, made.id, account.id, accounts.Role.VIEWER)
    async with pool.acquire() as connection:
        await accounts.put_member(connection, made.id, account.id, accounts.Role.OWNER)
    assert await roles(pool, "ada@example.com") == {"acme": "OWNER"}


@pytest.mark.parametrize(
    ("name", "slug"), [("Acme Billing (EU)", "acme-billing-eu"), ("v1.2", "v1.2"), ("Ünïq", "n-q")]
)
def test_slug_is_made_from_the_name(name: str, slug: str) -> None:
    assert slug_of(name) == slug


def test_no_slug_from_a_name_without_letters() -> None:
    with pytest.raises(InvalidArgument, match="--slug"):
        slug_of("!!!")
