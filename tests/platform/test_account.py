"""`broadaxe account`: how a second person gets into a tenant, with which role, and out again."""

from __future__ import annotations

import asyncpg
import pyotp
import pytest

from broadaxe.core.audit import Action
from broadaxe.errors import FailedPrecondition
from broadaxe.storage import accounts, audit, password_resets, second_factors
from broadaxe.storage.accounts import Role
from broadaxe.storage.audit import AuditFilter, command_line
from broadaxe.storage.vault import Vault
from tests.platform.test_tenant import PASSWORD, broadaxe, roles


@pytest.fixture
async def tenant(pool: asyncpg.Pool) -> accounts.Tenant:
    """A tenant that Ada owns."""
    ada = await accounts.register(pool, "Ada", "ada@example.com", PASSWORD)
    return await accounts.create_tenant(pool, "Billing", "billing", ada.id)


async def test_a_second_person_is_let_in_with_a_role_and_out_again(
    database: str, pool: asyncpg.Pool, tenant: accounts.Tenant
) -> None:
    add = ("account", "add", "Bob@example.com", "--tenant", "billing")
    done = broadaxe(database, *add, "--role", "viewer", BROADAXE_ACCOUNT_PASSWORD=PASSWORD)
    assert (done.returncode, done.stdout.strip()) == (0, "bob@example.com is VIEWER of billing"), done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert await roles(pool, "bob@example.com") == {"billing": "VIEWER"}
    assert (await accounts.login(pool, "bob@example.com", PASSWORD)).email == "bob@example.com"

    again = broadaxe(database, *add, "--role", "ADMIN")
    assert again.returncode == 0, again.stderr
    assert "with the password they have" in again.stdout
    assert await roles(pool, "bob@example.com") == {"billing": "ADMIN"}

    listed = broadaxe(database, "account", "list", "--tenant", tenant.id).stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["OWNER", "ADMIN"]
    assert listed[1].endswith("bob@example.com")

    removed = broadaxe(database, "account", "remove", "bob@example.com", "--tenant", "billing")
    assert removed.returncode == 0, removed.stderr
    assert await roles(pool, "bob@example.com") == {}
    twice = broadaxe(database, "account", "remove", "bob@example.com", "--tenant", "billing")
    assert (twice.returncode, len(twice.stderr.splitlines())) == (2, 1)


async def test_a_forgotten_password_is_set_anew_and_ends_all_sessions(
    database: str, pool: asyncpg.Pool, tenant: accounts.Tenant
) -> None:
    ada = await accounts.account_by_email(pool, "ada@example.com")
    assert ada is not None
    cookie = await accounts.open_session(pool, ada.id)
    done = broadaxe(database, "account", "password", "ada@example.com", BROADAXE_ACCOUNT_PASSWORD="Another-horse-8")
    assert done.returncode == 0, done.stderr
    assert (await accounts.login(pool, "ada@example.com", "Another-horse-8")).id == ada.id
    assert await accounts.person_of_session(pool, cookie) is None


async def test_a_link_sets_another_password_and_ends_all_sessions_at_once(
    database: str, pool: asyncpg.Pool, tenant: accounts.Tenant
) -> None:
    ada = await accounts.account_by_email(pool, "ada@example.com")
    assert ada is not None
    cookie = await accounts.open_session(pool, ada.id)
    done = broadaxe(database, "account", "reset", "Ada@example.com", "--public-url", "https://axe.example.com/")
    assert done.returncode == 0, done.stderr
    address, _, secret = done.stdout.strip().partition("#")
    assert address == "https://axe.example.com/reset-password"
    assert await accounts.person_of_session(pool, cookie) is None
    assert (await password_resets.use(pool, secret, "Another-horse-8", "")).id == ada.id
    assert (await accounts.login(pool, "ada@example.com", "Another-horse-8")).id == ada.id
    unknown = broadaxe(database, "account", "reset", "bob@example.com")
    assert (unknown.returncode, unknown.stdout) == (2, "")


async def test_whoever_lost_their_second_factor_signs_in_without_it_again(
    database: str, pool: asyncpg.Pool, tenant: accounts.Tenant
) -> None:
    ada = await accounts.account_by_email(pool, "ada@example.com")
    assert ada is not None
    reset = ("account", "reset", "ada@example.com", "--second-factor")
    without = broadaxe(database, *reset)
    assert (without.returncode, len(without.stderr.splitlines())) == (2, 1)
    assert "has no second factor" in without.stderr
    vault, now_s = Vault((bytes(32),)), 1_800_000_000.0
    secret, _ = await second_factors.begin(pool, vault, ada)
    code = pyotp.TOTP(secret).at(int(now_s))
    await second_factors.confirm(pool, vault, ada, code, now_s, command_line("root"))
    assert await second_factors.is_on(pool, ada.id)
    cookie = await accounts.open_session(pool, ada.id)
    done = broadaxe(database, *reset)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "ada@example.com has no second factor any more, and is signed out everywhere"
    assert not await second_factors.is_on(pool, ada.id)
    assert await pool.fetchval("select count(*) from broadaxe.recovery_code") == 0
    assert await accounts.person_of_session(pool, cookie) is None
    # The password is the one they have.
    assert (await accounts.login(pool, "ada@example.com", PASSWORD)).id == ada.id
    page = await audit.page(pool, tenant.id, AuditFilter(action=Action.ACCOUNT_REMOVE_SECOND_FACTOR), limit=10)
    assert [entry.row.by_kind for entry in page.rows] == ["CLI"]


@pytest.mark.parametrize(
    ("arguments", "password", "blamed"),
    [
        (("add", "bob@example.com", "--tenant", "billing"), "weak", "the password"),
        (("add", "bob@example.com", "--tenant", "billing"), "", "BROADAXE_ACCOUNT_PASSWORD"),
        (("add", "nobody", "--tenant", "billing"), PASSWORD, "EMAIL"),
        (("add", "bob@example.com", "--tenant", "bills"), PASSWORD, "bills"),
        (("remove", "bob@example.com", "--tenant", "billing"), PASSWORD, "bob@example.com"),
        (("password", "ada@example.com"), "weak", "the password"),
    ],
)
async def test_a_mistake_is_one_line_that_names_it_and_changes_nothing(
    database: str,
    pool: asyncpg.Pool,
    tenant: accounts.Tenant,
    arguments: tuple[str, ...],
    password: str,
    blamed: str,
) -> None:
    done = broadaxe(database, "account", *arguments, BROADAXE_ACCOUNT_PASSWORD=password)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert blamed in done.stderr
    assert await accounts.account_by_email(pool, "bob@example.com") is None
    assert (await accounts.login(pool, "ada@example.com", PASSWORD)).name == "Ada"


async def test_a_tenant_keeps_its_last_owner(database: str, pool: asyncpg.Pool, tenant: accounts.Tenant) -> None:
    for arguments in (("remove", "ada@example.com"), ("add", "ada@example.com", "--role", "VIEWER")):
        done = broadaxe(database, "account", *arguments, "--tenant", "billing")
        assert (done.returncode, "last one" in done.stderr) == (1, True), done.stderr
    assert await roles(pool, "ada@example.com") == {"billing": "OWNER"}


async def test_two_owners_cannot_remove_each_other_at_once(pool: asyncpg.Pool, tenant: accounts.Tenant) -> None:
    ada = await accounts.account_by_email(pool, "ada@example.com")
    bob = await accounts.register(pool, "Bob", "bob@example.com", PASSWORD)
    assert ada is not None
    async with pool.acquire() as first, pool.acquire() as second:
        await accounts.put_member(first, tenant.id, bob.id, Role.OWNER)
        async with first.transaction():
            assert await accounts.remove_member(first, tenant.id, ada.id)
            with pytest.raises(TimeoutError):
                # It waits for the other one's end, and sees then what is left.
                await second.execute("set lock_timeout = '100ms'")
                try:
                    await accounts.remove_member(second, tenant.id, bob.id)
                except asyncpg.LockNotAvailableError:
                    raise TimeoutError from None
        with pytest.raises(FailedPrecondition, match="last one"):
            await accounts.remove_member(second, tenant.id, bob.id)
    assert await roles(pool, "bob@example.com") == {"billing": "OWNER"}
