"""API tokens: what an SDK carries to say which tenant it speaks for.

Owns issuing, listing and revoking them; `token_verifier` says which of them count. A token looks like a JWT because
SDKs read their tenant and addresses from its claims, but its authority is not a signature: the server knows a token by
the SHA-256 of its whole text, kept in `api_token.token_hash`. The third segment is an HMAC under a random key that is
thrown away at once, which makes it a 256-bit secret that nobody can compute again; so there is no signing key to keep,
rotate or leak, and a revoked or expired row is all it takes to end a token.

Invariant: the text of a token is never stored or logged.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator
from broadaxe.core.topics import check_name
from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.storage import audit
from broadaxe.storage.accounts import Role
from broadaxe.storage.ids import new_id
from broadaxe.storage.pages import ById, Page, page_of_rows
from broadaxe.storage.statements import statement

__all__ = [
    "TOKEN_ROLES",
    "ApiToken",
    "IssuedToken",
    "RotatedToken",
    "TopicName",
    "create_token",
    "delete_token",
    "hash_of",
    "keep_token",
    "list_tokens",
    "revoke_token",
    "rotate_token",
    "shape_token",
    "tenant_of_token",
    "topic_of",
]

Queryable = asyncpg.Pool | asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

DEFAULT_LIFE_S: Final = 90 * 86_400
LIFE_S_MAX: Final = 100 * 366 * 86_400
NAME_LENGTH_MAX: Final = 255
OVERLAP_S_MAX: Final = 30 * 86_400
TOKENS_LISTED_MAX: Final = 1_000
TOKEN_LENGTH_MAX: Final = 4_096
#: Not OWNER: owners are people.
TOKEN_ROLES: Final = (Role.ADMIN, Role.MEMBER, Role.VIEWER)

_HEADER: Final = {"alg": "HS256", "typ": "JWT"}


class TopicName(msgspec.Struct, frozen=True):
    """A topic as people call it."""

    namespace: str
    name: str


class IssuedToken(msgspec.Struct, frozen=True):
    """A new token. `token` is shown once and cannot be had again."""

    id: str
    token: str
    expires_at: datetime
    issued_at: datetime


class ApiToken(msgspec.Struct, frozen=True):
    """A token as it is listed: everything but the secret."""

    id: str
    tenant_id: str
    name: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    """When it was last checked, exact to ten minutes; None for never."""
    role: Role
    made_by: str
    """Who made it, for people to read; empty if nobody knows."""
    replaced_by: str | None
    """The token that took its place when it was rotated."""
    topic: TopicName | None
    """The one topic it reads, and nothing else; None for a token of the whole tenant."""


class RotatedToken(msgspec.Struct, frozen=True):
    """A token that takes the place of another one."""

    issued: IssuedToken
    name: str
    old_expires_at: datetime
    """Until when the other one goes on counting."""


async def create_token(
    db: Queryable,
    tenant_id: str,
    name: str,
    expires_in_s: int,
    server_url: str,
    grpc_address: str,
    *,
    role: Role = Role.ADMIN,
    topic: TopicName | None = None,
    by: Initiator | None = None,
) -> IssuedToken:
    """Issues a token for `tenant_id` that SDKs use to find `server_url` (REST) and `grpc_address` (host:port). One for
    a `topic` reads that durable stream over HTTP and does nothing else, and so has the role VIEWER. `by` is who makes
    it; None for the engine, which makes some for itself."""
    if topic is not None:
        check_name(topic.namespace, topic.name)
        if role is not Role.VIEWER:
            raise InvalidArgument("a token for one topic reads it, so its role is VIEWER", field="role")
    if role not in TOKEN_ROLES:
        raise InvalidArgument(f"a token has one of the roles {', '.join(TOKEN_ROLES)}", field="role")
    if not name.strip() or len(name) > NAME_LENGTH_MAX:
        raise InvalidArgument(f"give the token a name of 1 to {NAME_LENGTH_MAX} characters", field="name")
    if not 1 <= expires_in_s <= LIFE_S_MAX:
        raise InvalidArgument("a token lives between one second and a hundred years", field="expiresIn")
    shaped = shape_token(tenant_id, expires_in_s, server_url, grpc_address)
    await keep_token(db, tenant_id, name, shaped, role=role, topic=topic, by=by)
    return shaped


def shape_token(tenant_id: str, expires_in_s: int, server_url: str, grpc_address: str) -> IssuedToken:
    """A new token that nobody knows yet; `keep_token` makes it count."""
    token_id = new_id()
    issued_at = datetime.now(UTC).replace(microsecond=0)
    expires_at = issued_at + timedelta(seconds=expires_in_s)
    token = _jwt_shaped(
        {
            "sub": tenant_id,
            "server_url": server_url,
            "grpc_broadcast_address": grpc_address,
            "token_id": token_id,
            "aud": server_url,
            "iss": server_url,
            "iat": int(issued_at.timestamp()),
            "exp": int(expires_at.timestamp()),
        }
    )
    return IssuedToken(token_id, token, expires_at, issued_at)


async def keep_token(
    db: Queryable,
    tenant_id: str,
    name: str,
    shaped: IssuedToken,
    *,
    role: Role = Role.ADMIN,
    topic: TopicName | None = None,
    by: Initiator | None = None,
) -> None:
    try:
        async with audit.transaction(db) as connection:
            await connection.execute(
                statement("tokens/insert"),
                shaped.id,
                tenant_id,
                name,
                hash_of(shaped.token),
                shaped.issued_at,
                shaped.expires_at,
                role.value,
                "" if by is None else by.name,
                None if topic is None else topic.namespace,
                None if topic is None else topic.name,
            )
            if by is not None:
                made: dict[str, object] = {"role": role.value, "expires_at": shaped.expires_at.isoformat()}
                if topic is not None:
                    made |= {"namespace": topic.namespace, "topic": topic.name}
                subject = Subject(shaped.id, name, made)
                await audit.write(connection, tenant_id, by, Action.TOKEN_CREATE, subject)
    except asyncpg.ForeignKeyViolationError:
        raise NotFound(f"there is no tenant {tenant_id}", field="tenant") from None


async def list_tokens(
    db: Queryable,
    tenant_id: str,
    *,
    search: str | None = None,
    limit: int = TOKENS_LISTED_MAX,
    after: ById | None = None,
) -> Page[ApiToken, ById]:
    """The tokens of a tenant that are not revoked, newest first; with `search`, those whose names contain it."""
    rows = await db.fetch(statement("tokens/list"), tenant_id, limit, None if after is None else after.id, search)
    tokens = [
        ApiToken(
            id=str(row["id"]),
            tenant_id=str(row["tenant_id"]),
            name=row["name"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            expires_at=row["expires_at"],
            last_used_at=row["last_used_at"],
            role=Role(row["role"]),
            made_by=row["made_by"],
            replaced_by=None if row["replaced_by"] is None else str(row["replaced_by"]),
            topic=topic_of(row),
        )
        for row in rows
    ]
    return page_of_rows(rows, tokens, limit, lambda row: ById(str(row["id"])))


async def tenant_of_token(db: Queryable, token_id: str) -> str | None:
    tenant_id = await db.fetchval(statement("tokens/tenant_of"), token_id)
    return None if tenant_id is None else str(tenant_id)


async def revoke_token(db: Queryable, token_id: str, by: Initiator) -> None:
    """Ends a token for good. Verifiers of other processes notice within five seconds."""
    async with audit.transaction(db) as connection:
        row = await connection.fetchrow(statement("tokens/revoke"), token_id)
        if row is None:
            raise NotFound(f"there is no token {token_id}")
        if not row["was_revoked"]:
            subject = Subject(token_id, row["name"], None)
            told: dict[str, object] = {"role": row["role"]}
            await audit.write(connection, str(row["tenant_id"]), by, Action.TOKEN_REVOKE, subject, before=told)


async def rotate_token(
    db: Queryable, token_id: str, overlap_s: int, server_url: str, grpc_address: str, by: Initiator
) -> RotatedToken:
    """Issues another token with the name, role, topic and life of this one, which goes on counting for `overlap_s`, or
    as long as it would have. NotFound for one that does not count."""
    if not 0 <= overlap_s <= OVERLAP_S_MAX:
        raise InvalidArgument("the old token goes on counting for 0 s to 30 days", field="overlap")
    async with audit.transaction(db) as connection:
        row = await connection.fetchrow(statement("tokens/shorten"), token_id, overlap_s)
        if row is None:
            raise NotFound(f"there is no token {token_id} that counts")
        tenant_id, role, life_s = str(row["tenant_id"]), Role(row["role"]), max(1, row["life_s"])
        issued = await create_token(
            connection,
            tenant_id,
            row["name"],
            life_s,
            server_url,
            grpc_address,
            role=role,
            topic=topic_of(row),
            by=by,
        )
        await connection.execute(statement("tokens/replaced"), token_id, issued.id)
        told: dict[str, object] = {"expires_at": row["expires_at"].isoformat(), "replaced_by": issued.id}
        await audit.write(connection, tenant_id, by, Action.TOKEN_ROTATE, Subject(token_id, row["name"], told))
    return RotatedToken(issued, row["name"], row["expires_at"])


def topic_of(row: asyncpg.Record) -> TopicName | None:
    return None if row["topic"] is None else TopicName(row["topic_namespace"], row["topic"])


async def delete_token(db: Queryable, token_text: str) -> None:
    """Removes a token that nobody can have a use for any more, and that no list should go on showing."""
    await db.execute(statement("tokens/delete"), hash_of(token_text))


def _jwt_shaped(claims: dict[str, str | int]) -> str:
    signed = f"{_segment(json.dumps(_HEADER).encode())}.{_segment(json.dumps(claims).encode())}"
    secret = hmac.digest(secrets.token_bytes(32), signed.encode(), "sha256")
    return f"{signed}.{_segment(secret)}"


def _segment(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def hash_of(token_text: str) -> bytes:
    """What `api_token.token_hash` has for a token with this text."""
    return hashlib.sha256(token_text.encode("utf-8", "surrogatepass")).digest()
