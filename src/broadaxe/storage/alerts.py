"""Alerts as they are stored: channels with their sealed targets, and for people to read rules, alerts and messages.

Owns the rows of channels and their bounds, and which messages are given to whom and when. Rules and alerts are the
tenant's own, written by the journal with what it decides. Refuses names that are taken, and to delete what a rule
uses. Knows nothing of targets: they are texts that `alerting/` reads, and leave the database sealed (`vault.py`).

A message that is taken (`claim`) is due again after a while, so that none is lost with whoever took it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec

from broadaxe.core.alert_texts import AlertMessage
from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.alerts import AlertFact
from broadaxe.core.commands.asked import Initiator
from broadaxe.errors import AlreadyExists, FailedPrecondition, NotFound
from broadaxe.storage import audit
from broadaxe.storage.ids import new_id
from broadaxe.storage.pages import ById, Page, page_of_rows
from broadaxe.storage.statements import statement
from broadaxe.storage.vault import Vault

__all__ = [
    "CHANNEL",
    "AlertChannelRecord",
    "AlertDeliveryRecord",
    "AlertRecord",
    "AlertRuleRecord",
    "Alerts",
    "ClaimedDelivery",
]

#: Engines are told here that messages wait.
CHANNEL: Final = "broadaxe_alert"
CHANNELS_MAX: Final = 100
ERROR_CHARS_MAX: Final = 500


class AlertChannelRecord(msgspec.Struct, frozen=True):
    """A channel; `target` is sealed, `shown` what people may read of it, `rules` the names of rules that use it."""

    tenant_id: str
    id: str
    name: str
    kind: str
    target: bytes
    shown: str
    created_at: datetime
    updated_at: datetime
    rules: tuple[str, ...] = ()


class AlertRuleRecord(msgspec.Struct, frozen=True):
    id: str
    name: str
    kind: str
    workflow: str
    threshold: int
    window_us: int
    quiet_us: int
    channel_ids: tuple[str, ...]
    is_enabled: bool
    template: str
    created_at: datetime
    updated_at: datetime
    firing: int
    """How many of its alerts are not over."""


class AlertRecord(msgspec.Struct, frozen=True):
    id: str
    rule_id: str
    rule_name: str
    kind: str
    subject: str
    status: str
    opened_at: datetime
    last_at: datetime
    resolved_at: datetime | None
    count: int
    run_id: str | None
    error: str | None


class AlertDeliveryRecord(msgspec.Struct, frozen=True):
    """A message for a channel. `channel_name` is None when the channel is gone."""

    id: str
    alert_id: str
    channel_id: str
    channel_name: str | None
    occasion: str
    message: AlertMessage
    status: str
    attempts: int
    next_at: datetime
    created_at: datetime
    ended_at: datetime | None
    error: str | None


class ClaimedDelivery(msgspec.Struct, frozen=True):
    """A message that is to be given now, for the `attempts`th time. `kind` and `target` are None when its channel is
    gone."""

    tenant_id: str
    tenant_name: str
    id: str
    attempts: int
    message: AlertMessage
    channel_id: str
    kind: str | None
    target: bytes | None


class Alerts:
    def __init__(self, pool: asyncpg.Pool, vault: Vault) -> None:
        self._pool = pool
        self._vault = vault

    # Channels ------------------------------------------------------------------------------------------------------

    async def create_channel(
        self, tenant_id: str, *, name: str, kind: str, target: str, shown: str, by: Initiator
    ) -> AlertChannelRecord:
        """AlreadyExists for a taken name; FailedPrecondition at `CHANNELS_MAX`, or without a key to seal with."""
        channel_id = new_id()
        sealed = self._vault.seal(target, place=_place(tenant_id, channel_id))
        async with self._pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(
                statement("alerts/channel_insert"), tenant_id, channel_id, name, kind, sealed, shown, CHANNELS_MAX
            )
            assert row is not None, "the statement answers one row always"
            if row["id"] is not None:
                made = _channel(row)
                await audit.write(connection, tenant_id, by, Action.ALERT_CHANNEL_CREATE, _subject(made))
                return made
        if row["channels"] >= CHANNELS_MAX:
            raise FailedPrecondition(
                f"the tenant has {CHANNELS_MAX} alert channels, which is the most; delete one first"
            )
        raise _taken(name)

    async def channels(self, tenant_id: str, ids: Sequence[str] | None = None) -> list[AlertChannelRecord]:
        """All by name, or those of these ids that are there."""
        return [_channel(row) for row in await self._pool.fetch(statement("alerts/channels"), tenant_id, ids)]

    async def channel(self, tenant_id: str, channel_id: str) -> AlertChannelRecord:
        """NotFound if absent."""
        return _found(await self.channels(tenant_id, [channel_id]), channel_id)

    async def change_channel(
        self,
        tenant_id: str,
        channel_id: str,
        *,
        name: str | None,
        target: str | None,
        shown: str | None,
        by: Initiator,
    ) -> AlertChannelRecord:
        """None keeps. NotFound if absent, AlreadyExists for a taken name."""
        sealed = None if target is None else self._vault.seal(target, place=_place(tenant_id, channel_id))
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                rows = await connection.fetch(statement("alerts/channels"), tenant_id, [channel_id])
                before = _subject(_found([_channel(row) for row in rows], channel_id))
                await connection.fetchrow(
                    statement("alerts/channel_update"), tenant_id, channel_id, name, sealed, shown
                )
                (row,) = await connection.fetch(statement("alerts/channels"), tenant_id, [channel_id])
                changed = _channel(row)
                subject = _subject(changed)
                if sealed is not None or subject != before:
                    await audit.write(
                        connection, tenant_id, by, Action.ALERT_CHANNEL_CHANGE, subject, before=before.value
                    )
        except asyncpg.UniqueViolationError:
            raise _taken(name or "") from None
        return changed

    async def delete_channel(self, tenant_id: str, channel_id: str, by: Initiator) -> None:
        """NotFound if absent; FailedPrecondition while a rule uses it."""
        async with self._pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(statement("alerts/channels"), tenant_id, [channel_id])
            gone = _found([_channel(row) for row in rows], channel_id)
            if gone.rules:
                named = ", ".join(repr(name) for name in gone.rules[:5])
                raise FailedPrecondition(
                    f"the channel {gone.name!r} is used by the rules {named}; give them another channel first"
                )
            await connection.execute(statement("alerts/channel_delete"), tenant_id, channel_id)
            subject = _subject(gone)
            await audit.write(
                connection,
                tenant_id,
                by,
                Action.ALERT_CHANNEL_DELETE,
                subject._replace(value=None),
                before=subject.value,
            )

    async def tenant_of(self, tenant_ids: Sequence[str], channel_id: str, kind: str) -> str | None:
        """Which of these tenants a channel of this kind belongs to."""
        found: str | None = await self._pool.fetchval(statement("alerts/channel_tenant"), tenant_ids, channel_id, kind)
        return found

    def target_of(self, tenant_id: str, channel_id: str, sealed: bytes) -> str:
        """Unavailable when this engine cannot open it."""
        return self._vault.open(sealed, place=_place(tenant_id, channel_id))

    # For people ----------------------------------------------------------------------------------------------------

    async def rules(self, tenant_id: str) -> list[AlertRuleRecord]:
        """All by name."""
        return [_rule(row) for row in await self._pool.fetch(statement("alerts/rules"), tenant_id, None)]

    async def rule(self, tenant_id: str, rule_id: str) -> AlertRuleRecord:
        """NotFound if absent."""
        rows = await self._pool.fetch(statement("alerts/rules"), tenant_id, rule_id)
        if not rows:
            raise NotFound(f"there is no alert rule {rule_id}", field="rule")
        return _rule(rows[0])

    async def page(
        self, tenant_id: str, *, rule_id: str | None, status: str | None, limit: int, after: ById | None = None
    ) -> Page[AlertRecord, ById]:
        """Alerts, newest first."""
        place = None if after is None else after.id
        rows = await self._pool.fetch(statement("alerts/list"), tenant_id, rule_id, status, limit, place)
        return page_of_rows(rows, [_alert(row) for row in rows], limit, lambda row: ById(str(row["id"])))

    async def deliveries(
        self, tenant_id: str, *, alert_id: str | None, channel_id: str | None, limit: int, after: ById | None = None
    ) -> Page[AlertDeliveryRecord, ById]:
        """Messages, newest first."""
        place = None if after is None else after.id
        rows = await self._pool.fetch(statement("alerts/deliveries"), tenant_id, alert_id, channel_id, limit, place)
        return page_of_rows(rows, [_delivery(row) for row in rows], limit, lambda row: ById(str(row["id"])))

    # Looking for the tenants ---------------------------------------------------------------------------------------

    async def facts(self, facts_max: int) -> list[tuple[str, str, tuple[AlertFact, ...]]]:
        """(tenant, rule, what is wrong now) for rules of tokens and nodes of which anything is, or was told."""
        return [
            (
                row["tenant_id"],
                row["rule_id"],
                tuple(map(AlertFact, row["subjects"] or (), row["said"] or ())),
            )
            for row in await self._pool.fetch(statement("alerts/facts"), facts_max)
        ]

    # Giving --------------------------------------------------------------------------------------------------------

    async def add(self, tenant_id: str, channel_id: str, message: AlertMessage) -> str:
        """A message past the core: the test of a channel. Its id."""
        delivery_id = new_id()
        await self._pool.execute(
            statement("journal/insert_alert_deliveries"),
            tenant_id,
            [delivery_id],
            [message.alert_id],
            [channel_id],
            [message.occasion],
            [msgspec.json.encode(message).decode()],
            [message.at_us],
        )
        return delivery_id

    async def claim(self, for_s: float, but: Sequence[str] = ()) -> ClaimedDelivery | None:
        """A message that is due, of any tenant `but` these. It is due again after `for_s` unless settled before."""
        row = await self._pool.fetchrow(statement("alerts/claim"), for_s, list(but))
        if row is None:
            return None
        return ClaimedDelivery(
            str(row["tenant_id"]),
            row["tenant_name"],
            str(row["id"]),
            row["attempts"],
            msgspec.json.decode(row["message"], type=AlertMessage),
            str(row["channel_id"]),
            row["kind"],
            row["target"],
        )

    async def delivered(self, taken: ClaimedDelivery, note: str | None = None) -> None:
        """`note` stands where errors do: what people should know of it although it was taken."""
        await self._settle(taken, "DELIVERED", note, 0.0)

    async def try_again(self, taken: ClaimedDelivery, error: str, in_s: float) -> None:
        await self._settle(taken, "WAITING", error, in_s)

    async def give_up(self, taken: ClaimedDelivery, error: str) -> None:
        await self._settle(taken, "FAILED", error, 0.0)

    async def count_mail(self, tenant_id: str, hour: datetime) -> int:
        """The how manieth mail of this hour of the clock one is that is about to be sent."""
        number: int = await self._pool.fetchval(statement("alerts/mail_count"), tenant_id, hour)
        return number

    async def uncount_mail(self, tenant_id: str, hour: datetime) -> None:
        """One that was counted was not sent."""
        await self._pool.execute(statement("alerts/mail_uncount"), tenant_id, hour)

    async def next_in_s(self, but: Sequence[str] = ()) -> float | None:
        """When the next message is due, of any tenant `but` these; None when none waits."""
        found: float | None = await self._pool.fetchval(statement("alerts/next"), list(but))
        return found

    async def _settle(self, taken: ClaimedDelivery, status: str, error: str | None, in_s: float) -> None:
        kept = None if error is None else error.replace("\0", "\N{REPLACEMENT CHARACTER}")[:ERROR_CHARS_MAX]
        await self._pool.execute(
            statement("alerts/settle"), taken.tenant_id, taken.id, status, kept, in_s, taken.attempts
        )


def _place(tenant_id: str, channel_id: str) -> str:
    return f"alert channel {tenant_id} {channel_id}"


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"there is an alert channel named {name!r} already; choose another name", field="name")


def _found(records: list[AlertChannelRecord], channel_id: str) -> AlertChannelRecord:
    if not records:
        raise NotFound(f"there is no alert channel {channel_id}", field="channel")
    return records[0]


def _subject(record: AlertChannelRecord) -> Subject:
    return Subject(record.id, record.name, {"name": record.name, "kind": record.kind, "target": record.shown})


def _channel(row: Any) -> AlertChannelRecord:
    return AlertChannelRecord(
        str(row["tenant_id"]),
        str(row["id"]),
        row["name"],
        row["kind"],
        row["target"],
        row["shown"],
        row["created_at"],
        row["updated_at"],
        tuple(row.get("rules") or ()),
    )


def _rule(row: Any) -> AlertRuleRecord:
    return AlertRuleRecord(
        str(row["id"]),
        row["name"],
        row["kind"],
        row["workflow"],
        row["threshold"],
        row["window_us"],
        row["quiet_us"],
        tuple(map(str, row["channel_ids"])),
        row["is_enabled"],
        row["template"],
        row["created_at"],
        row["updated_at"],
        row["firing"],
    )


def _alert(row: Any) -> AlertRecord:
    return AlertRecord(
        str(row["id"]),
        str(row["rule_id"]),
        row["rule_name"],
        row["kind"],
        row["subject"],
        row["status"],
        row["opened_at"],
        row["last_at"],
        row["resolved_at"],
        row["count"],
        None if row["run_id"] is None else str(row["run_id"]),
        row["error"],
    )


def _delivery(row: Any) -> AlertDeliveryRecord:
    return AlertDeliveryRecord(
        str(row["id"]),
        str(row["alert_id"]),
        str(row["channel_id"]),
        row["channel_name"],
        row["occasion"],
        msgspec.json.decode(row["message"], type=AlertMessage),
        row["status"],
        row["attempts"],
        row["next_at"],
        row["created_at"],
        row["ended_at"],
        row["error"],
    )
