"""Tenants, people, who belongs where, and who is logged in.

Owns the tables tenant, account, membership and session. Passwords are kept as argon2id hashes, computed in a thread
and at most `HASHES_AT_ONCE` at a time, because each takes tens of milliseconds and tens of megabytes. A session
cookie is 32 random bytes of which only the SHA-256 is stored. Refuses weak passwords, taken addresses and slugs, and
a wrong password with the same words (and after the same work) as an unknown address. Invariant: whoever creates a
tenant becomes its OWNER in the same transaction.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Final, NamedTuple

import argon2
import asyncpg
import msgspec

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator
from broadaxe.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from broadaxe.storage import audit
from broadaxe.storage.ids import new_id
from broadaxe.storage.pages import ByTime, Page, page_of_rows
from broadaxe.storage.statements import statement

__all__ = [
    "SESSION_LIFE_S",
    "Account",
    "Membership",
    "Person",
    "Role",
    "Session",
    "Standing",
    "Tenant",
    "account_by_email",
    "add_member",
    "change_member",
    "change_password",
    "check_password",
    "checked_email",
    "close_session",
    "cookie_hash",
    "create_tenant",
    "end_member",
    "end_other_sessions",
    "end_session",
    "ensure_account",
    "ensure_tenant",
    "hashed",
    "insert_tenant",
    "is_operator",
    "list_tenants",
    "login",
    "members_of_tenant",
    "memberships_of_account",
    "open_session",
    "person_of_account",
    "person_of_session",
    "put_member",
    "put_password",
    "register",
    "remove_member",
    "rename_tenant",
    "sessions_of_account",
    "set_operator",
    "set_password",
    "still_standing",
    "tenant",
    "tenant_id_by_slug",
]

Queryable = asyncpg.Pool | asyncpg.Connection | asyncpg.pool.PoolConnectionProxy
Transaction = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

SESSION_LIFE_S: Final = 30 * 86_400
PASSWORD_LENGTH_MIN: Final = 8
PASSWORD_LENGTH_MAX: Final = 64
NAME_LENGTH_MAX: Final = 255
EMAIL_LENGTH_MAX: Final = 254
TENANTS_PER_ACCOUNT_MAX: Final = 1_000
TENANTS_LISTED_MAX: Final = 10_000
MEMBERS_LISTED_MAX: Final = 10_000
SESSIONS_LISTED_MAX: Final = 1_000
DEVICE_LENGTH_MAX: Final = 300
HASHES_AT_ONCE: Final = 2

_SLUG: Final = re.compile(r"[a-zA-Z0-9._-]{1,255}")
_EMAIL: Final = re.compile(r"[^@\s\x00]+@[^@\s\x00]+")
_WRONG_LOGIN: Final = "the e-mail address or the password is wrong"
_LAST_OWNER: Final = "a tenant has at least one owner, and this is the last one; make somebody else an owner first"
_COOKIE_LENGTH_MAX: Final = 128


class Role(StrEnum):
    """Same members as the SQL type `broadaxe.member_role`, strongest first."""

    OWNER = "OWNER"
    ADMIN = "ADMIN"
    MEMBER = "MEMBER"
    VIEWER = "VIEWER"

    def reaches(self, needed: Role) -> bool:
        """Whether this role may do what `needed` may."""
        return _RANKS[self] <= _RANKS[needed]


_RANKS: Final = {role: rank for rank, role in enumerate(Role)}


class Tenant(msgspec.Struct, frozen=True):
    id: str
    name: str
    slug: str
    created_at: datetime
    updated_at: datetime


class Account(msgspec.Struct, frozen=True):
    id: str
    email: str
    name: str
    created_at: datetime
    updated_at: datetime


class Session(msgspec.Struct, frozen=True):
    """A browser that is logged in. `device` is what it called itself when it logged in; `last_used_at` is exact to ten
    minutes."""

    id: str
    device: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    is_current: bool


class Membership(msgspec.Struct, frozen=True):
    id: str
    role: Role
    account_id: str
    email: str
    account_name: str
    tenant: Tenant
    created_at: datetime
    updated_at: datetime


class Person(msgspec.Struct, frozen=True):
    """Somebody who is logged in, and their role in each of their tenants."""

    account: Account
    roles: dict[str, Role]


class Standing(NamedTuple):
    """By what somebody reads a tenant: a login and a role."""

    login: bytes | None
    """Hash of the session's cookie; None where nobody logs in."""
    account_id: str
    tenant_id: str
    role: Role


class Vouched(NamedTuple):
    """Which OpenID provider let a session in."""

    provider: str
    id_token: bytes | None
    """What it gave then, sealed; None if that is not kept."""


# Tenants ------------------------------------------------------------------------------------------------------------


async def create_tenant(
    pool: asyncpg.Pool, name: str, slug: str, owner_account_id: str, by: Initiator | None = None
) -> Tenant:
    """Makes a tenant and its first owner. AlreadyExists if the slug is taken. `by` is None for the engine's own."""
    async with pool.acquire() as connection, connection.transaction():
        made = await insert_tenant(connection, name, slug)
        await add_member(connection, made.id, owner_account_id, Role.OWNER)
        if by is not None:
            subject = Subject(made.id, made.name, {"slug": made.slug, "owner": by.name})
            await audit.write(connection, made.id, by, Action.TENANT_CREATE, subject)
    return made


async def insert_tenant(db: Queryable, name: str, slug: str) -> Tenant:
    """Makes a tenant without members. AlreadyExists if the slug is taken. For callers that add the owner themselves."""
    _check_tenant_name(name)
    if not _SLUG.fullmatch(slug):
        raise InvalidArgument("use 1 to 255 letters, digits, '.', '_' or '-'", field="slug")
    row = await db.fetchrow(statement("accounts/tenant_insert"), new_id(), name, slug)
    if row is None:
        raise AlreadyExists(f"the slug {slug!r} is taken; choose another", field="slug")
    return _tenant(row)


async def list_tenants(db: Queryable) -> list[tuple[Tenant, int]]:
    """Tenants by slug, each with the number of its members; at most `TENANTS_LISTED_MAX`."""
    rows = await db.fetch(statement("accounts/tenant_list"), TENANTS_LISTED_MAX)
    return [(_tenant(row), int(row["members"])) for row in rows]


async def ensure_tenant(db: Queryable, name: str, slug: str) -> Tenant:
    """The tenant with this slug, made if it is not there. For set-up commands; it has no members of its own."""
    row = await db.fetchrow(statement("accounts/tenant_insert"), new_id(), name, slug)
    if row is None:
        row = await db.fetchrow(statement("accounts/tenant_by_slug"), slug)
    if row is None:
        raise NotFound(f"tenant {slug!r} was deleted just now; try again")
    return _tenant(row)


async def tenant(db: Queryable, tenant_id: str) -> Tenant | None:
    row = await db.fetchrow(statement("accounts/tenant_by_id"), tenant_id)
    return None if row is None else _tenant(row)


async def tenant_id_by_slug(db: Queryable, slug: str) -> str | None:
    row = await db.fetchrow(statement("accounts/tenant_by_slug"), slug)
    return None if row is None else str(row["id"])


async def rename_tenant(db: Queryable, tenant_id: str, name: str | None, by: Initiator) -> Tenant:
    """Gives a tenant another display name; None leaves it."""
    if name is not None:
        _check_tenant_name(name)
    async with audit.transaction(db) as connection:
        before = await tenant(connection, tenant_id)
        row = await connection.fetchrow(statement("accounts/tenant_rename"), tenant_id, name)
        if row is None or before is None:
            raise NotFound(f"there is no tenant {tenant_id}")
        renamed = _tenant(row)
        if renamed.name != before.name:
            subject = Subject(tenant_id, renamed.name, {"name": renamed.name})
            told: dict[str, object] = {"name": before.name}
            await audit.write(connection, tenant_id, by, Action.TENANT_CHANGE, subject, before=told)
    return renamed


async def add_member(db: Queryable, tenant_id: str, account_id: str, role: Role) -> None:
    """Makes an account a member; one who is already keeps their role."""
    await db.execute(statement("accounts/membership_insert"), new_id(), tenant_id, account_id, role.value)


async def put_member(connection: Transaction, tenant_id: str, account_id: str, role: Role) -> None:
    """Makes an account a member with this role, whatever role it had before. FailedPrecondition if the tenant would be
    left without an owner."""
    async with connection.transaction():
        await connection.execute(statement("accounts/tenant_lock"), tenant_id)
        put = await connection.fetchval(
            statement("accounts/membership_put"), new_id(), tenant_id, account_id, role.value
        )
        if put is None:
            raise FailedPrecondition(_LAST_OWNER)


async def remove_member(connection: Transaction, tenant_id: str, account_id: str) -> bool:
    """Ends a membership; whether there was one. FailedPrecondition if the tenant would be left without an owner."""
    async with connection.transaction():
        await connection.execute(statement("accounts/tenant_lock"), tenant_id)
        gone = await connection.fetchrow(statement("accounts/membership_delete"), tenant_id, account_id)
        if gone is not None and not gone["has_owner"]:
            raise FailedPrecondition(_LAST_OWNER)
    return gone is not None


async def change_member(
    pool: asyncpg.Pool, tenant_id: str, member_id: str, role: Role, by: Initiator, by_role: Role
) -> Membership:
    """Gives a member another role. NotFound if there is none, PermissionDenied for what only owners may and for the
    role of oneself, FailedPrecondition if the tenant would be left without an owner."""
    async with pool.acquire() as connection, connection.transaction():
        member = await _member(connection, tenant_id, member_id, by, by_role)
        if role is Role.OWNER and by_role is not Role.OWNER:
            raise PermissionDenied("only an owner makes somebody an owner")
        await put_member(connection, tenant_id, member.account_id, role)
        if member.role is not role:
            subject = Subject(member.account_id, member.email, {"role": role.value})
            before: dict[str, object] = {"role": member.role.value}
            await audit.write(connection, tenant_id, by, Action.MEMBER_CHANGE, subject, before=before)
    return msgspec.structs.replace(member, role=role, updated_at=datetime.now(UTC))


async def end_member(pool: asyncpg.Pool, tenant_id: str, member_id: str, by: Initiator, by_role: Role) -> Membership:
    """Ends a membership, and answers what it was. Raises what `change_member` raises."""
    async with pool.acquire() as connection, connection.transaction():
        member = await _member(connection, tenant_id, member_id, by, by_role)
        await remove_member(connection, tenant_id, member.account_id)
        before: dict[str, object] = {"role": member.role.value}
        subject = Subject(member.account_id, member.email, None)
        await audit.write(connection, tenant_id, by, Action.MEMBER_REMOVE, subject, before=before)
    return member


async def _member(connection: Transaction, tenant_id: str, member_id: str, by: Initiator, by_role: Role) -> Membership:
    """A member whom somebody with this role may change; nobody else changes members until the transaction ends."""
    await connection.execute(statement("accounts/tenant_lock"), tenant_id)
    row = await connection.fetchrow(statement("accounts/membership_by_id"), tenant_id, member_id)
    if row is None:
        raise NotFound(f"there is no member {member_id}")
    member = _membership(row)
    if member.account_id == by.id:
        raise PermissionDenied("your own role and membership are changed by somebody else")
    if member.role is Role.OWNER and by_role is not Role.OWNER:
        raise PermissionDenied("only an owner changes what an owner may")
    return member


async def memberships_of_account(db: Queryable, account_id: str) -> list[Membership]:
    rows = await db.fetch(statement("accounts/memberships_of_account"), account_id, TENANTS_PER_ACCOUNT_MAX)
    return [_membership(row) for row in rows]


async def members_of_tenant(
    db: Queryable, tenant_id: str, *, limit: int = MEMBERS_LISTED_MAX, after: ByTime | None = None
) -> Page[Membership, ByTime]:
    """Who belongs to a tenant, in the order they joined."""
    place = (None, None) if after is None else (after.at, after.id)
    rows = await db.fetch(statement("accounts/members_of_tenant"), tenant_id, limit, *place)
    return page_of_rows(
        rows, [_membership(row) for row in rows], limit, lambda row: ByTime(row["created_at"], str(row["id"]))
    )


# People -------------------------------------------------------------------------------------------------------------


async def register(db: Queryable, name: str, email: str, password: str) -> Account:
    """Makes an account. InvalidArgument for a weak password or a bad address, AlreadyExists for a taken one."""
    email = checked_email(email)
    if len(name) > NAME_LENGTH_MAX or "\0" in name:
        raise InvalidArgument(f"a name has at most {NAME_LENGTH_MAX} characters", field="name")
    password_hash = await hashed(password, field="password")
    row = await db.fetchrow(statement("accounts/account_insert"), new_id(), email, name, password_hash)
    if row is None:
        raise AlreadyExists("an account with this e-mail address exists already; log in instead", field="email")
    return _account(row)


async def ensure_account(db: Queryable, name: str, email: str, password: str) -> tuple[Account, bool]:
    """The account with this address, made with this password if it is not there; and whether it was made."""
    row = await db.fetchrow(statement("accounts/account_by_email"), checked_email(email))
    if row is None:
        try:
            return await register(db, name, email, password), True
        except AlreadyExists:
            # Another engine on the same database was quicker.
            row = await db.fetchrow(statement("accounts/account_by_email"), checked_email(email))
            if row is None:
                raise
    return _account(row), False


async def account_by_email(db: Queryable, email: str) -> Account | None:
    """The account with this address. InvalidArgument for what cannot be one."""
    row = await db.fetchrow(statement("accounts/account_by_email"), checked_email(email))
    return None if row is None else _account(row)


async def login(db: Queryable, email: str, password: str) -> Account:
    """The account, if the password is right. InvalidArgument in the same words whatever is wrong."""
    if len(email) > EMAIL_LENGTH_MAX or len(password) > 4 * PASSWORD_LENGTH_MAX or "\0" in email:
        raise InvalidArgument(_WRONG_LOGIN)
    row = await db.fetchrow(statement("accounts/account_by_email"), email.strip().lower())
    if not await _is_password(None if row is None else row["password_hash"], password) or row is None:
        raise InvalidArgument(_WRONG_LOGIN)
    return _account(row)


async def change_password(
    db: Queryable,
    account_id: str,
    password: str,
    new_password: str,
    *,
    by: Initiator,
    keep_cookie: str | None = None,
) -> Account:
    """Replaces a password and ends the account's other sessions."""
    await check_password(db, account_id, password)
    new_hash = await hashed(new_password, field="newPassword")
    kept = None if keep_cookie is None else cookie_hash(keep_cookie)
    return await put_password(db, account_id, new_hash, kept, by, Action.ACCOUNT_CHANGE_PASSWORD)


async def check_password(db: Queryable, account_id: str, password: str) -> None:
    """Raises InvalidArgument unless it is the account's password."""
    row = await db.fetchrow(statement("accounts/account_by_id"), account_id)
    if row is None:
        raise NotFound("this account is gone")
    if len(password) > 4 * PASSWORD_LENGTH_MAX or not await _is_password(row["password_hash"], password):
        raise InvalidArgument("the current password is wrong", field="password")


async def put_password(
    db: Queryable, account_id: str, password_hash: str, kept_cookie: bytes | None, by: Initiator, action: Action
) -> Account:
    """Replaces a password by one that `hashed` made of it, and ends the account's sessions but the one whose cookie has
    the hash `kept_cookie`."""
    async with audit.transaction(db) as connection:
        row = await connection.fetchrow(statement("accounts/account_password"), account_id, password_hash, kept_cookie)
        if row is None:
            raise NotFound("this account is gone")
        account = _account(row)
        await audit.write_of_account(connection, account_id, by, action, Subject(account_id, account.email, {}))
    return account


async def is_operator(pool: Queryable, account_id: str) -> bool:
    """Whether the account may see and change what concerns the whole installation."""
    found: bool | None = await pool.fetchval(statement("accounts/operator"), account_id)
    return bool(found)


async def set_operator(pool: Queryable, account_id: str, is_one: bool, by: Initiator | None = None) -> None:
    """`by` is None for what the engine does by itself."""
    async with audit.transaction(pool) as connection:
        email = await connection.fetchval(statement("accounts/account_operator"), account_id, is_one)
        if by is not None and email is not None:
            subject = Subject(account_id, email, {"is_operator": is_one})
            before: dict[str, object] = {"is_operator": not is_one}
            await audit.write(connection, audit.INSTALLATION, by, Action.ACCOUNT_OPERATOR, subject, before=before)


async def set_password(db: Queryable, account_id: str, new_password: str, by: Initiator) -> Account:
    """Gives an account another password without asking for the old one, and ends all its sessions."""
    new_hash = await hashed(new_password, field="newPassword")
    return await put_password(db, account_id, new_hash, None, by, Action.ACCOUNT_RESET_PASSWORD)


# Sessions -----------------------------------------------------------------------------------------------------------


async def open_session(db: Queryable, account_id: str, device: str = "", vouched: Vouched | None = None) -> str:
    """Opens a session of `SESSION_LIFE_S` and returns the value for the cookie, which is stored nowhere. `device` is
    what the browser calls itself, cut to `DEVICE_LENGTH_MAX`; `vouched` which provider let it in, if one did."""
    cookie = secrets.token_urlsafe(32)
    expires_at = datetime.now(UTC) + timedelta(seconds=SESSION_LIFE_S)
    provider = (None, None) if vouched is None else vouched
    insert = statement("accounts/session_insert")
    await db.execute(insert, cookie_hash(cookie), account_id, expires_at, _device(device), *provider)
    return cookie


async def close_session(db: Queryable, cookie: str, by: Initiator | None = None) -> Vouched | None:
    """Ends the session of this cookie, if there is one; the provider that had let it in, if one had. `by` is who logs
    out; None when nobody does."""
    async with audit.transaction(db) as connection:
        row = await connection.fetchrow(statement("accounts/session_delete"), cookie_hash(cookie))
        if row is None:
            return None
        if by is not None:
            subject = Subject(str(row["account_id"]), by.name, {})
            await audit.write_of_account(connection, str(row["account_id"]), by, Action.ACCOUNT_LOG_OUT, subject)
    return None if row["provider"] is None else Vouched(row["provider"], row["id_token"])


async def person_of_session(db: Queryable, cookie: str) -> Person | None:
    """Who this cookie stands for, or None when it is unknown or expired."""
    if len(cookie) > _COOKIE_LENGTH_MAX:
        return None
    found = await db.fetch(statement("accounts/session_person"), cookie_hash(cookie), TENANTS_PER_ACCOUNT_MAX)
    if found and found[0]["is_noted_long_ago"]:
        await db.execute(statement("accounts/session_used"), cookie_hash(cookie))
    return _person(found)


async def sessions_of_account(
    db: Queryable, account_id: str, cookie: str | None, *, limit: int = SESSIONS_LISTED_MAX, after: ByTime | None = None
) -> Page[Session, ByTime]:
    """Where an account is logged in, newest first; the session of `cookie` is the current one."""
    place = (None, None) if after is None else (after.at, after.id)
    current = None if cookie is None else cookie_hash(cookie)
    rows = await db.fetch(statement("accounts/session_list"), account_id, current, limit, *place)
    sessions = [
        Session(
            id=str(row["id"]),
            device=row["device"],
            created_at=row["created_at"],
            last_used_at=row["last_used_at"],
            expires_at=row["expires_at"],
            is_current=row["is_current"],
        )
        for row in rows
    ]
    return page_of_rows(rows, sessions, limit, lambda row: ByTime(row["created_at"], str(row["id"])))


async def end_session(db: Queryable, account_id: str, session_id: str, by: Initiator) -> bool:
    """Ends a session of the account; False if it has none with this id."""
    async with audit.transaction(db) as connection:
        device = await connection.fetchval(statement("accounts/session_end"), account_id, session_id)
        if device is not None:
            subject = Subject(account_id, by.name, {"sessions": 1, "device": device})
            await audit.write_of_account(connection, account_id, by, Action.ACCOUNT_END_SESSIONS, subject)
    return device is not None


async def end_other_sessions(db: Queryable, account_id: str, cookie: str | None, by: Initiator) -> int:
    """Ends the account's sessions but the one of `cookie`; how many there were."""
    kept = None if cookie is None else cookie_hash(cookie)
    async with audit.transaction(db) as connection:
        ended = int(await connection.fetchval(statement("accounts/session_end_others"), account_id, kept))
        if ended:
            subject = Subject(account_id, by.name, {"sessions": ended})
            await audit.write_of_account(connection, account_id, by, Action.ACCOUNT_END_SESSIONS, subject)
    return ended


async def still_standing(db: Queryable, people: Collection[Standing]) -> set[Standing]:
    """Those of them who are still logged in and have the same role in the tenant."""
    asked = list(people)
    if not asked:
        return set()
    logins, account_ids, tenant_ids, roles = zip(*asked, strict=True)
    rows = await db.fetch(statement("accounts/still_standing"), logins, account_ids, tenant_ids, roles)
    return {asked[row["place"] - 1] for row in rows}


async def person_of_account(db: Queryable, account_id: str) -> Person | None:
    return _person(await db.fetch(statement("accounts/account_person"), account_id, TENANTS_PER_ACCOUNT_MAX))


# ----------------------------------------------------------------------------------------------------------------------

# Two threads of our own bound the memory and leave the loop's default pool to others.
_hashing: Final = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="argon2")
# The cost OWASP asks of argon2id at least; more would let a few logins a second starve the engine beside them.
_hasher: Final = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@cache
def _nobodys_hash() -> str:
    """Checked when the address is unknown, so that the answer takes as long as for a known one."""
    return _hasher.hash(secrets.token_hex(16))


async def hashed(password: str, *, field: str) -> str:
    """A password as it is stored. InvalidArgument, which names `field`, for a weak one."""
    _check_password(password, field=field)
    return await asyncio.get_running_loop().run_in_executor(_hashing, _hasher.hash, password)


async def _is_password(password_hash: str | None, password: str) -> bool:
    def check() -> bool:
        try:
            return _hasher.verify(password_hash or _nobodys_hash(), password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    return await asyncio.get_running_loop().run_in_executor(_hashing, check)


def _check_password(password: str, *, field: str) -> None:
    long_enough = PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX
    kinds = (str.isupper, str.islower, str.isdigit)
    if not long_enough or not all(any(is_kind(letter) for letter in password) for is_kind in kinds):
        raise InvalidArgument(
            f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters, "
            "among them an upper-case letter, a lower-case letter and a digit",
            field=field,
        )


def checked_email(email: str) -> str:
    email = email.strip().lower()
    if len(email) > EMAIL_LENGTH_MAX or not _EMAIL.fullmatch(email):
        raise InvalidArgument("this is not an e-mail address", field="email")
    return email


def _check_tenant_name(name: str) -> None:
    if not name.strip() or len(name) > NAME_LENGTH_MAX or "\0" in name:
        raise InvalidArgument(f"a tenant has a name of 1 to {NAME_LENGTH_MAX} characters", field="name")


def cookie_hash(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).digest()


def _device(text: str) -> str:
    return "".join(letter for letter in text[:DEVICE_LENGTH_MAX] if letter.isprintable())


def _tenant(row: asyncpg.Record) -> Tenant:
    return Tenant(str(row["id"]), row["name"], row["slug"], row["created_at"], row["updated_at"])


def _account(row: asyncpg.Record) -> Account:
    return Account(str(row["id"]), row["email"], row["name"], row["created_at"], row["updated_at"])


def _membership(row: asyncpg.Record) -> Membership:
    return Membership(
        id=str(row["id"]),
        role=Role(row["role"]),
        account_id=str(row["account_id"]),
        email=row["email"],
        account_name=row["account_name"],
        tenant=Tenant(
            str(row["tenant_id"]),
            row["tenant_name"],
            row["tenant_slug"],
            row["tenant_created_at"],
            row["tenant_updated_at"],
        ),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _person(rows: Sequence[asyncpg.Record]) -> Person | None:
    if not rows:
        return None
    roles = {str(row["tenant_id"]): Role(row["role"]) for row in rows if row["tenant_id"] is not None}
    return Person(_account(rows[0]), roles)
