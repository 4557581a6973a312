"""Invites: somebody is asked into a tenant, by a link.

Owns the table invite. The link has a secret of 32 random bytes of which only the SHA-256 is stored, so whoever reads
the database cannot use it. Refuses invites for members and for who has one already, and whatever has expired, was used
or revoked, in the same words. Invariants: an invite lets one account in, once, and that is the account with its
address; what is done here is in the audit log in the same transaction.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator
from broadaxe.errors import AlreadyExists, FailedPrecondition, NotFound, ResourceExhausted
from broadaxe.storage import accounts, audit
from broadaxe.storage.accounts import Account, Queryable, Role, checked_email
from broadaxe.storage.ids import new_id
from broadaxe.storage.statements import statement

__all__ = [
    "INVITES_MAX",
    "Invite",
    "accept",
    "change",
    "drop",
    "for_email",
    "make",
    "of_email_by_id",
    "of_tenant",
    "of_tenant_by_id",
    "renew",
    "with_secret",
]

LIFE_S: Final = 7 * 86_400
#: Of a tenant, and of an address.
INVITES_MAX: Final = 1_000
SECRET_LENGTH_MAX: Final = 128

_GONE: Final = "this invite does not count any more: it has expired, was used, or was revoked; ask for another one"


class Invite(msgspec.Struct, frozen=True):
    id: str
    tenant_id: str
    tenant_name: str
    email: str
    role: Role
    made_by: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime


async def make(pool: asyncpg.Pool, tenant_id: str, email: str, role: Role, by: Initiator) -> tuple[Invite, str]:
    """An invite and the secret for its link, which is stored nowhere. AlreadyExists for a member, and for somebody who
    has an invite that counts."""
    email = checked_email(email)
    secret = _new_secret()
    invite_id = new_id()
    async with pool.acquire() as connection, connection.transaction():
        if await connection.fetchval(statement("accounts/membership_of_email"), tenant_id, email):
            raise AlreadyExists(f"{email} belongs to this tenant already", field="email")
        made = await connection.fetchval(
            statement("invites/insert"),
            invite_id,
            tenant_id,
            email,
            role.value,
            _hash(secret),
            by.name,
            LIFE_S,
            INVITES_MAX,
        )
        if made is None:
            if len(await of_tenant(connection, tenant_id)) >= INVITES_MAX:
                raise ResourceExhausted(f"a tenant has at most {INVITES_MAX} invites; revoke some")
            raise AlreadyExists(f"{email} is invited already; send that invite again, or revoke it", field="email")
        invite = await of_tenant_by_id(connection, tenant_id, invite_id)
        await _note(connection, by, Action.INVITE_CREATE, invite, after={"role": role.value})
    return invite, secret


async def of_tenant(db: Queryable, tenant_id: str) -> list[Invite]:
    """Those that count, newest first."""
    return [_invite(row) for row in await db.fetch(statement("invites/list"), tenant_id, None, INVITES_MAX)]


async def for_email(db: Queryable, email: str) -> list[Invite]:
    """Those of somebody that count, newest first."""
    return [_invite(row) for row in await db.fetch(statement("invites/list"), None, email, INVITES_MAX)]


async def of_tenant_by_id(connection: Queryable, tenant_id: str, invite_id: str) -> Invite:
    """The invite of this tenant, locked, also when it has expired. NotFound if there is none."""
    row = await connection.fetchrow(statement("invites/found"), invite_id, None, True)
    if row is None or str(row["tenant_id"]) != tenant_id:
        raise NotFound(f"there is no invite {invite_id}")
    return _invite(row)


async def of_email_by_id(connection: Queryable, email: str, invite_id: str) -> Invite:
    """The invite for this address, locked. FailedPrecondition if it does not count any more."""
    row = await connection.fetchrow(statement("invites/found"), invite_id, None, False)
    if row is None or row["email"] != email:
        raise FailedPrecondition(_GONE)
    return _invite(row)


async def with_secret(connection: Queryable, secret: str) -> Invite:
    """The invite whose link has this secret, locked. FailedPrecondition if it does not count any more."""
    row = None
    if len(secret) <= SECRET_LENGTH_MAX:
        row = await connection.fetchrow(statement("invites/found"), None, _hash(secret), False)
    if row is None:
        raise FailedPrecondition(_GONE)
    return _invite(row)


async def accept(connection: Queryable, invite: Invite, account: Account, by: Initiator) -> None:
    """Makes the account a member; one who became it meanwhile keeps their role. For the transaction of whoever opened
    the invite. FailedPrecondition if it is for somebody else."""
    if account.email != invite.email:
        raise FailedPrecondition(f"this invite is for {invite.email}; you are logged in as {account.email}")
    await connection.execute(statement("invites/delete"), invite.id)
    await accounts.add_member(connection, invite.tenant_id, account.id, invite.role)
    await _note(connection, by, Action.INVITE_ACCEPT, invite, after={"role": invite.role.value})


async def drop(connection: Queryable, invite: Invite, action: Action, by: Initiator) -> None:
    """Ends an invite that was rejected or revoked, in the transaction of whoever opened it."""
    await connection.execute(statement("invites/delete"), invite.id)
    await _note(connection, by, action, invite, before={"role": invite.role.value})


async def change(connection: Queryable, invite: Invite, role: Role, by: Initiator) -> Invite:
    """Gives it another role, in the transaction of whoever opened it."""
    row = await connection.fetchrow(statement("invites/change"), invite.id, role.value, None, LIFE_S)
    assert row is not None  # It is locked.
    changed = msgspec.structs.replace(invite, role=role, updated_at=row["updated_at"])
    if invite.role is not role:
        before: dict[str, object] = {"role": invite.role.value}
        await _note(connection, by, Action.INVITE_CHANGE, changed, before=before, after={"role": role.value})
    return changed


async def renew(connection: Queryable, invite: Invite, by: Initiator) -> tuple[Invite, str]:
    """Gives it another secret, and its whole life anew; the link it had ends. In the transaction of whoever opened
    it."""
    secret = _new_secret()
    row = await connection.fetchrow(statement("invites/change"), invite.id, None, _hash(secret), LIFE_S)
    assert row is not None
    renewed = msgspec.structs.replace(invite, updated_at=row["updated_at"], expires_at=row["expires_at"])
    await _note(connection, by, Action.INVITE_RENEW, renewed, after={"role": invite.role.value})
    return renewed, secret


async def _note(
    connection: Queryable,
    by: Initiator,
    action: Action,
    invite: Invite,
    *,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    subject = Subject(invite.id, invite.email, after)
    await audit.write(connection, invite.tenant_id, by, action, subject, before=before)


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _invite(row: asyncpg.Record) -> Invite:
    return Invite(
        id=str(row["id"]),
        tenant_id=str(row["tenant_id"]),
        tenant_name=row["tenant_name"],
        email=row["email"],
        role=Role(row["role"]),
        made_by=row["made_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        expires_at=row["expires_at"],
    )
