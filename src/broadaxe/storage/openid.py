"""People who sign in through an OpenID provider: sign-ins under way, who an account is to a provider, roles by groups.

Owns the tables openid_sign_in and openid_identity. A sign-in is bound to the browser that began it, counts for `LIFE_S`
and once; of its state and the browser's cookie only hashes are stored. Refuses whoever the provider does not vouch for
with a verified address of an allowed domain. Invariants: somebody is found by issuer and subject, never by an address
alone once they were there; what a sign-in changes in memberships is in the audit log in the same transaction.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from typing import Final

import asyncpg
import msgspec

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator, InitiatorKind
from broadaxe.errors import FailedPrecondition, InvalidArgument
from broadaxe.openid_providers import OpenIdProvider
from broadaxe.storage import accounts, audit
from broadaxe.storage.accounts import Account, Queryable, Role
from broadaxe.storage.ids import new_id
from broadaxe.storage.statements import statement

__all__ = ["LIFE_S", "SignIn", "begin", "enter", "take"]

LIFE_S: Final = 600
STATE_LENGTH_MAX: Final = 128
SUBJECT_LENGTH_MAX: Final = 255

_log = logging.getLogger(__name__)


class SignIn(msgspec.Struct, frozen=True):
    """One that is under way."""

    nonce: str
    verifier: str
    next: str
    """Where the browser goes afterwards."""


async def begin(db: Queryable, provider_id: str, browser: str, next_path: str) -> tuple[str, SignIn]:
    """The state of a new sign-in of the browser with this cookie, and what goes with it."""
    state = secrets.token_urlsafe(32)
    made = SignIn(secrets.token_urlsafe(32), secrets.token_urlsafe(48), next_path)
    await db.execute(
        statement("openid/begin"),
        _hash(state),
        _hash(browser),
        provider_id,
        made.nonce,
        made.verifier,
        made.next,
        LIFE_S,
    )
    return state, made


async def take(db: Queryable, provider_id: str, browser: str, state: str) -> SignIn:
    """The sign-in with this state, which is over then. InvalidArgument if this browser began none, or it was used."""
    row = None
    if len(state) <= STATE_LENGTH_MAX and len(browser) <= STATE_LENGTH_MAX:
        row = await db.fetchrow(statement("openid/take"), _hash(state), _hash(browser), provider_id)
    if row is None:
        raise InvalidArgument("this sign-in does not count: it was used, took too long, or began in another browser")
    return SignIn(row["nonce"], row["verifier"], row["next"])


async def enter(
    pool: asyncpg.Pool,
    provider: OpenIdProvider,
    subject: str,
    email: str,
    is_verified: bool,
    name: str,
    groups: frozenset[str],
    address: str,
) -> Account:
    """The account of whom the provider vouches for, with the roles of their groups. `address` is where they are.
    FailedPrecondition, in words for them, for who is not let in."""
    _check(provider, subject, email, is_verified)
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(statement("openid/account"), provider.issuer, subject)
        if row is None:
            account = await accounts.account_by_email(connection, email)
            if account is None:
                if not provider.creates_accounts:
                    raise FailedPrecondition(f"there is no account for {email}; let an admin invite you first")
                made = await connection.fetchrow(statement("openid/insert_account"), new_id(), email, name)
                assert made is not None
                account = _account(made)
            await connection.execute(statement("openid/insert"), provider.issuer, subject, account.id)
        else:
            account = _account(row)
        by = Initiator(InitiatorKind.ACCOUNT, account.id, account.email, address)
        await _follow_groups(connection, provider, account, groups, by)
    return account


def _check(provider: OpenIdProvider, subject: str, email: str, is_verified: bool) -> None:
    if not subject or len(subject) > SUBJECT_LENGTH_MAX or "\0" in subject:
        raise FailedPrecondition(f"{provider.name} does not say who you are")
    if not email:
        raise FailedPrecondition(f"{provider.name} does not say your e-mail address; it needs the scope email")
    accounts.checked_email(email)
    if not is_verified:
        raise FailedPrecondition(f"{provider.name} has not verified the address {email}; have it verified there first")
    if provider.domains and email.rpartition("@")[2] not in provider.domains:
        raise FailedPrecondition(f"{email} is not of a domain that may sign in through {provider.name}")


async def _follow_groups(
    connection: accounts.Transaction, provider: OpenIdProvider, account: Account, groups: frozenset[str], by: Initiator
) -> None:
    """In each tenant that the provider has groups for: the strongest role of the person's groups, or none."""
    wanted: dict[str, Role | None] = dict.fromkeys((mapped.tenant for mapped in provider.roles), None)
    for mapped in provider.roles:
        role, strongest = Role(mapped.role), wanted[mapped.tenant]
        if mapped.group in groups and (strongest is None or role.reaches(strongest)):
            wanted[mapped.tenant] = role
    if not wanted:
        return
    person = await accounts.person_of_account(connection, account.id)
    for slug, wanted_role in sorted(wanted.items()):
        tenant_id = await accounts.tenant_id_by_slug(connection, slug)
        if tenant_id is None:
            _log.warning("provider %s has groups for the tenant %r, which is not there", provider.id, slug)
            continue
        before = None if person is None else person.roles.get(tenant_id)
        if before is wanted_role:
            continue
        told: dict[str, object] | None = None if before is None else {"role": before.value}
        try:
            if wanted_role is None:
                await accounts.remove_member(connection, tenant_id, account.id)
                subject, action = Subject(account.id, account.email, None), Action.MEMBER_REMOVE
            else:
                await accounts.put_member(connection, tenant_id, account.id, wanted_role)
                after: dict[str, object] = {"role": wanted_role.value, "by_group": provider.id}
                action = Action.MEMBER_ADD if before is None else Action.MEMBER_CHANGE
                subject = Subject(account.id, account.email, after)
        except FailedPrecondition as error:
            # The last owner stays one, whatever a group says.
            _log.warning("the groups of %s in %s were not followed: %s", account.email, slug, error.message)
            continue
        await audit.write(connection, tenant_id, by, action, subject, before=told)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _account(row: asyncpg.Record) -> Account:
    return Account(str(row["id"]), row["email"], row["name"], row["created_at"], row["updated_at"])
