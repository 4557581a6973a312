"""Second factors: what somebody has besides their password, an authenticator app (TOTP, RFC 6238) and recovery codes.

Owns the tables second_factor and recovery_code. The secret that is shared with the app is sealed (`storage/vault.py`),
of recovery codes only hashes are stored. A factor counts once a code of it has confirmed it. Refuses a code that was
used, and codes of time steps other than this one and its neighbours. Invariants: of many who send the same code, one is
let in; what is turned on or off is in the audit log in the same transaction.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Final

import asyncpg
import msgspec
import pyotp

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator
from broadaxe.errors import FailedPrecondition, InvalidArgument
from broadaxe.storage import audit
from broadaxe.storage.accounts import Account, Queryable
from broadaxe.storage.statements import statement
from broadaxe.storage.typed_codes import CODE_CHARS_MAX, code_hash, new_code
from broadaxe.storage.vault import Vault

__all__ = ["RECOVERY_CODES", "SecondFactor", "begin", "check", "confirm", "find", "is_on", "remove"]

ISSUER: Final = "Broadaxe"
STEP_S: Final = 30
#: How far the clock of a telephone may be off, in steps.
STEPS_OFF_MAX: Final = 1
RECOVERY_CODES: Final = 10

WRONG_CODE: Final = "this code is not right, or was used already; wait for the next one"


class SecondFactor(msgspec.Struct, frozen=True):
    secret: bytes
    """Sealed."""
    since: datetime | None
    """None while it is not confirmed."""
    codes_left: int


async def find(db: Queryable, account_id: str) -> SecondFactor | None:
    row = await db.fetchrow(statement("second_factors/found"), account_id)
    return None if row is None else SecondFactor(row["secret"], row["confirmed_at"], int(row["codes_left"]))


async def is_on(db: Queryable, account_id: str) -> bool:
    """Whether the account is asked for a code when it logs in."""
    found = await find(db, account_id)
    return found is not None and found.since is not None


async def begin(db: Queryable, vault: Vault, account: Account) -> tuple[str, str]:
    """A new secret, in base32, and the `otpauth:` address for an app. It counts once it is confirmed.
    FailedPrecondition if the account has a factor, or this engine no key to keep secrets with."""
    secret = pyotp.random_base32()
    sealed = vault.seal(secret, place=_place(account.id))
    if not await db.fetchval(statement("second_factors/put"), account.id, sealed):
        raise FailedPrecondition("a second factor is on already; turn it off first")
    return secret, pyotp.TOTP(secret).provisioning_uri(name=account.email, issuer_name=ISSUER)


async def confirm(
    pool: asyncpg.Pool, vault: Vault, account: Account, code: str, now_s: float, by: Initiator
) -> list[str]:
    """Turns the factor on that was begun, and answers its recovery codes, which are stored nowhere. InvalidArgument for
    a wrong code."""
    found = await find(pool, account.id)
    if found is None or found.since is not None:
        raise FailedPrecondition("there is no second factor to confirm; begin again")
    step = _step_of(vault, account.id, found, code, now_s)
    codes = [new_code() for _ in range(RECOVERY_CODES)]
    async with pool.acquire() as connection, connection.transaction():
        if step is None or not await connection.fetchval(statement("second_factors/take_step"), account.id, step, True):
            raise InvalidArgument(WRONG_CODE, field="code")
        await connection.execute(statement("second_factors/insert_codes"), account.id, list(map(code_hash, codes)))
        subject = Subject(account.id, account.email, {})
        await audit.write_of_account(connection, account.id, by, Action.ACCOUNT_ADD_SECOND_FACTOR, subject)
    return codes


async def check(db: Queryable, vault: Vault, account_id: str, code: str, now_s: float) -> str:
    """Takes a code of the app or a recovery code, and answers which of the two it was: `code` or `recovery code`.
    InvalidArgument for a wrong one."""
    found = await find(db, account_id)
    if found is not None and found.since is not None and len(code) <= CODE_CHARS_MAX:
        step = _step_of(vault, account_id, found, code, now_s)
        if step is not None:
            if await db.fetchval(statement("second_factors/take_step"), account_id, step, False):
                return "code"
        elif await db.fetchval(statement("second_factors/take_code"), account_id, code_hash(code)):
            return "recovery code"
    raise InvalidArgument(WRONG_CODE, field="code")


async def remove(db: Queryable, account: Account, by: Initiator) -> bool:
    """Turns the factor off, with its recovery codes; whether there was one."""
    async with audit.transaction(db) as connection:
        was_on: bool | None = await connection.fetchval(statement("second_factors/delete"), account.id)
        if was_on:
            subject = Subject(account.id, account.email, {})
            await audit.write_of_account(connection, account.id, by, Action.ACCOUNT_REMOVE_SECOND_FACTOR, subject)
    return bool(was_on)


def _step_of(vault: Vault, account_id: str, found: SecondFactor, code: str, now_s: float) -> int | None:
    """The time step that the code is of; None if it is of none that counts now."""
    plain = "".join(code.split())
    if len(plain) != 6 or not plain.isascii() or not plain.isdigit():
        return None
    app = pyotp.TOTP(vault.open(found.secret, place=_place(account_id)), interval=STEP_S)
    now = int(now_s) // STEP_S
    steps = range(now - STEPS_OFF_MAX, now + STEPS_OFF_MAX + 1)
    return next((step for step in steps if hmac.compare_digest(app.generate_otp(step), plain)), None)


def _place(account_id: str) -> str:
    return f"second factor {account_id}"
