"""The first start: whoever reads the engine's log makes the first account and tenant.

Owns the table setup_code. A code has 78 random bits, of which only the SHA-256 is stored, counts for a day, and is
worth nothing once there is an account. Refuses a wrong code, and any when there is an account. Invariant: of many who
set up at once, one does.
"""

from __future__ import annotations

from typing import Final

import asyncpg

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator, InitiatorKind
from broadaxe.errors import FailedPrecondition, InvalidArgument
from broadaxe.storage import accounts, audit, typed_codes
from broadaxe.storage.accounts import Account, Queryable, Role
from broadaxe.storage.statements import statement
from broadaxe.storage.typed_codes import CODE_CHARS_MAX, code_hash

__all__ = ["complete", "is_needed", "new_code"]

CODE_LIFE_S: Final = 86_400

_NOT_NEEDED: Final = "this server is set up already; log in, or let an admin invite you"


async def is_needed(db: Queryable) -> bool:
    """Whether there is no account yet."""
    return bool(await db.fetchval(statement("setup/is_needed")))


async def new_code(db: Queryable) -> str | None:
    """A code for whoever reads the log; None if there is an account."""
    code = typed_codes.new_code()
    return code if await db.fetchval(statement("setup/insert"), code_hash(code), CODE_LIFE_S) else None


async def complete(
    pool: asyncpg.Pool, code: str, name: str, email: str, password: str, tenant_name: str, slug: str, address: str
) -> Account:
    """Makes the first account, an operator of the installation, and the first tenant, which it owns. `address` is where
    that came from. InvalidArgument for a wrong code or a bad value, FailedPrecondition if there is an account."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(statement("setup/lock"))
        if not await is_needed(connection):
            raise FailedPrecondition(_NOT_NEEDED)
        if len(code) > CODE_CHARS_MAX or not await connection.fetchval(statement("setup/is_right"), code_hash(code)):
            raise InvalidArgument(
                "this code does not count; the engine's log has the one of its latest start", field="code"
            )
        account = await accounts.register(connection, name, email, password)
        await accounts.set_operator(connection, account.id, True)
        made = await accounts.insert_tenant(connection, tenant_name, slug)
        await accounts.add_member(connection, made.id, account.id, Role.OWNER)
        await connection.execute(statement("setup/delete"))
        by = Initiator(InitiatorKind.ACCOUNT, account.id, account.email, address)
        subject = Subject(made.id, made.slug, {"name": made.name, "owner": account.email})
        await audit.write(connection, made.id, by, Action.TENANT_CREATE, subject)
    return account
