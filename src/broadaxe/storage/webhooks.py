"""Incoming webhooks as they are stored: settings, sealed secrets, latest deliveries and refusals.

Owns the rows and their bounds: at most `WEBHOOKS_MAX` per tenant, and `DELIVERIES_KEPT` deliveries and `FAILURES_KEPT`
refusals per webhook, whoever knocks. Refuses names that are taken. Knows nothing of requests: the secret is a text that
`rest/` reads, and it leaves the database sealed (`vault.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg
import msgspec

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator
from broadaxe.errors import AlreadyExists, FailedPrecondition
from broadaxe.storage import audit
from broadaxe.storage.ids import new_id
from broadaxe.storage.pages import ById, BySlot, Page, page_of_rows
from broadaxe.storage.statements import statement
from broadaxe.storage.vault import Vault

__all__ = ["WebhookFailure", "WebhookRecord", "Webhooks"]

WEBHOOKS_MAX: Final = 1_000
FAILURES_KEPT: Final = 100
DELIVERIES_KEPT: Final = 10_000
MESSAGE_LENGTH_MAX: Final = 1_000


class WebhookRecord(msgspec.Struct, frozen=True):
    """A webhook. `proof` is BASIC, API_KEY or HMAC; `secret` is sealed."""

    tenant_id: str
    id: str
    name: str
    source: str
    proof: str
    secret: bytes
    event_key_expression: str
    scope_expression: str | None
    static_payload: str | None
    returns_event: bool
    created_at: datetime
    updated_at: datetime


class WebhookFailure(msgspec.Struct, frozen=True, gc=False):
    """A request that a webhook refused."""

    webhook_name: str
    reason: str
    message: str
    at: datetime


class Webhooks:
    def __init__(self, pool: asyncpg.Pool, vault: Vault) -> None:
        self._pool = pool
        self._vault = vault

    async def create(
        self,
        tenant_id: str,
        *,
        name: str,
        source: str,
        proof: str,
        secret: str,
        event_key_expression: str,
        scope_expression: str | None,
        static_payload: str | None,
        returns_event: bool,
        by: Initiator,
        webhooks_max: int = WEBHOOKS_MAX,
    ) -> WebhookRecord:
        """AlreadyExists for a taken name, FailedPrecondition at `webhooks_max`, which is the tenant's bound if that is
        lower than everybody's, or without a key to seal with."""
        bound = min(webhooks_max, WEBHOOKS_MAX)
        webhook_id = new_id()
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(
                statement("webhooks/insert"),
                tenant_id,
                webhook_id,
                name,
                source,
                proof,
                self._vault.seal(secret, place=_place(tenant_id, webhook_id)),
                event_key_expression,
                scope_expression or None,
                static_payload,
                bound,
                returns_event,
            )
            assert row is not None, "the statement answers one row always"
            if row["id"] is not None:
                made = _webhook(row)
                await audit.write(connection, tenant_id, by, Action.WEBHOOK_CREATE, _subject(made))
                return made
        if row["webhooks"] >= bound:
            limit = "" if bound == WEBHOOKS_MAX else " by its limit INCOMING_WEBHOOK (see `broadaxe tenant limits`)"
            raise FailedPrecondition(
                f"the tenant has {row['webhooks']} webhooks, and {bound} is the most{limit}; delete one first"
            )
        raise AlreadyExists(f"there is a webhook named {name!r} already; choose another name", field="name")

    async def get(self, tenant_id: str, name: str) -> WebhookRecord | None:
        row = await self._pool.fetchrow(statement("webhooks/by_name"), tenant_id, name)
        return None if row is None else _webhook(row)

    async def count(self, tenant_id: str) -> int:
        """How many webhooks the tenant has."""
        found: int = await self._pool.fetchval(statement("webhooks/count"), tenant_id)
        return found

    async def page(
        self,
        tenant_id: str,
        *,
        sources: Sequence[str] | None,
        names: Sequence[str] | None,
        limit: int,
        offset: int = 0,
        after: ById | None = None,
    ) -> Page[WebhookRecord, ById]:
        """Webhooks, newest first; None means no filter."""
        place = None if after is None else after.id
        rows = await self._pool.fetch(statement("webhooks/list"), tenant_id, sources, names, limit, offset, place)
        return page_of_rows(rows, [_webhook(row) for row in rows], limit, lambda row: ById(str(row["id"])))

    async def change(
        self,
        tenant_id: str,
        name: str,
        *,
        event_key_expression: str | None,
        scope_expression: str | None,
        static_payload: str | None,
        returns_event: bool | None,
        by: Initiator,
    ) -> WebhookRecord | None:
        """None keeps a value; an empty scope expression clears it. None when there is no such webhook."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(statement("webhooks/by_name"), tenant_id, name)
            if row is None:
                return None
            before = _subject(_webhook(row))
            row = await connection.fetchrow(
                statement("webhooks/update"),
                tenant_id,
                name,
                event_key_expression,
                scope_expression,
                static_payload,
                returns_event,
            )
            if row is None:
                return None
            changed = _webhook(row)
            subject = _subject(changed)
            if subject != before:
                await audit.write(connection, tenant_id, by, Action.WEBHOOK_CHANGE, subject, before=before.value)
        return changed

    async def delete(self, tenant_id: str, name: str, by: Initiator) -> WebhookRecord | None:
        """What was deleted; None when there was no such webhook."""
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(statement("webhooks/delete"), tenant_id, name)
            if row is None:
                return None
            gone = _webhook(row)
            subject = _subject(gone)
            await audit.write(
                connection, tenant_id, by, Action.WEBHOOK_DELETE, subject._replace(value=None), before=subject.value
            )
        return gone

    def secret_of(self, record: WebhookRecord) -> str:
        """Unavailable when this engine cannot open it."""
        return self._vault.open(record.secret, place=_place(record.tenant_id, record.id))

    async def delivered(self, record: WebhookRecord, digest: bytes, window_s: float) -> str | None:
        """The event that this delivery made within the last `window_s`, or None."""
        found = await self._pool.fetchval(statement("webhooks/delivery"), record.tenant_id, record.id, digest, window_s)
        return None if found is None else str(found)

    async def remember_delivery(self, record: WebhookRecord, digest: bytes, event_id: str) -> None:
        """Keeps it among the latest `DELIVERIES_KEPT` of the webhook."""
        await self._pool.execute(
            statement("webhooks/remember_delivery"), record.tenant_id, record.id, digest, event_id, DELIVERIES_KEPT
        )

    async def record_failure(self, record: WebhookRecord, reason: str, message: str) -> None:
        """Keeps it among the latest `FAILURES_KEPT` of the webhook."""
        kept = message.replace("\0", "\N{REPLACEMENT CHARACTER}")[:MESSAGE_LENGTH_MAX]
        await self._pool.execute(
            statement("webhooks/record_failure"), record.tenant_id, record.id, reason, kept, FAILURES_KEPT
        )

    async def failures(
        self,
        tenant_id: str,
        *,
        names: Sequence[str] | None,
        limit: int,
        offset: int = 0,
        after: BySlot | None = None,
    ) -> Page[WebhookFailure, BySlot]:
        """Refused requests, newest first."""
        place = (None, None, None) if after is None else (after.at, after.webhook_id, after.slot)
        rows = await self._pool.fetch(statement("webhooks/failures"), tenant_id, names, limit, offset, *place)
        return page_of_rows(
            rows,
            [WebhookFailure(row["name"], row["reason"], row["message"], row["at"]) for row in rows],
            limit,
            lambda row: BySlot(row["at"], str(row["webhook_id"]), row["slot"]),
        )


def _place(tenant_id: str, webhook_id: str) -> str:
    return f"webhook {tenant_id} {webhook_id}"


def _subject(record: WebhookRecord) -> Subject:
    """What the audit log says of it: everything but the secret."""
    return Subject(
        record.id,
        record.name,
        {
            "source": record.source,
            "proof": record.proof,
            "event_key_expression": record.event_key_expression,
            "scope_expression": record.scope_expression,
            "static_payload": record.static_payload,
            "returns_event": record.returns_event,
        },
    )


def _webhook(row: asyncpg.Record) -> WebhookRecord:
    return WebhookRecord(
        tenant_id=str(row["tenant_id"]),
        id=str(row["id"]),
        name=row["name"],
        source=row["source"],
        proof=row["proof"],
        secret=row["secret"],
        event_key_expression=row["event_key_expression"],
        scope_expression=row["scope_expression"],
        static_payload=row["static_payload"],
        returns_event=row["returns_event"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
