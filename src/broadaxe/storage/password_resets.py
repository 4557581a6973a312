"""Forgotten passwords: a link with which somebody sets another one.

Owns the table password_reset. A link has a secret of 32 random bytes, of which only the SHA-256 is stored, counts for
`LIFE_S` and once. Refuses links that were used, have expired, or whose password was changed since, in the same words.
Invariants: a new password ends every session and every other link of its account in the same transaction, and both the
link and the password are in the audit log.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

import asyncpg

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator, InitiatorKind
from broadaxe.errors import FailedPrecondition
from broadaxe.storage import accounts, audit
from broadaxe.storage.accounts import Account, Queryable
from broadaxe.storage.statements import statement

__all__ = ["LIFE_S", "make", "use"]

LIFE_S: Final = 3600
SECRET_LENGTH_MAX: Final = 128

_GONE: Final = "this link does not count any more: it has expired or was used; ask for another one"


async def make(db: Queryable, account: Account, by: Initiator) -> str:
    """The secret for a link of the account, which is stored nowhere. `by` is who asked."""
    secret = secrets.token_urlsafe(32)
    async with audit.transaction(db) as connection:
        await connection.execute(statement("password_resets/insert"), _hash(secret), account.id, LIFE_S)
        subject = Subject(account.id, account.email, {})
        await audit.write_of_account(connection, account.id, by, Action.ACCOUNT_ASK_RESET, subject)
    return secret


async def use(pool: asyncpg.Pool, secret: str, new_password: str, address: str) -> Account:
    """Gives the account of the link another password. `address` is where that came from. InvalidArgument for a weak
    password, FailedPrecondition for a link that does not count."""
    hashed = await accounts.hashed(new_password, field="newPassword")
    async with pool.acquire() as connection, connection.transaction():
        found = None
        if len(secret) <= SECRET_LENGTH_MAX:
            found = await connection.fetchrow(statement("password_resets/found"), _hash(secret))
        if found is None:
            raise FailedPrecondition(_GONE)
        account_id = str(found["id"])
        by = Initiator(InitiatorKind.ACCOUNT, account_id, found["email"], address)
        return await accounts.put_password(connection, account_id, hashed, None, by, Action.ACCOUNT_RESET_PASSWORD)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
