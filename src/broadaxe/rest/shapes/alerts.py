"""The shapes of alert rules, channels, alerts and messages, made from stored records."""

from __future__ import annotations

from typing import Literal, cast

from broadaxe.core.alert_texts import AlertOccasion
from broadaxe.core.alerts import AlertStatus
from broadaxe.core.commands.alerts import AlertKind
from broadaxe.core.durations import declared_duration
from broadaxe.rest.wire import Instant, Metadata, Pagination, Wire, metadata_of
from broadaxe.storage.alerts import AlertChannelRecord, AlertDeliveryRecord, AlertRecord, AlertRuleRecord

ChannelKind = Literal["WEBHOOK", "SLACK", "PAGERDUTY", "EMAIL"]


class AlertRule(Wire):
    metadata: Metadata
    name: str
    kind: AlertKind
    workflow: str
    """Empty for every workflow."""
    threshold: int
    window: str
    quiet: str
    channels: list[str]
    is_enabled: bool
    template: str
    firing: int
    """How many of its alerts are not over."""


class AlertRuleList(Wire):
    rows: list[AlertRule]


class AlertChannel(Wire):
    """`target` is what may be shown of where it leads."""

    metadata: Metadata
    name: str
    kind: ChannelKind
    target: str
    rules: list[str]
    """Names of the rules that use it."""


class NewAlertChannel(AlertChannel):
    secret: str | None = None
    """What signs the requests of a webhook. Shown this once."""


class AlertChannelList(Wire):
    rows: list[AlertChannel]


class Alert(Wire):
    id: str
    rule_id: str
    rule: str
    kind: AlertKind
    subject: str
    status: Literal["FIRING", "RESOLVED"]
    opened_at: Instant
    last_at: Instant
    resolved_at: Instant | None = None
    count: int
    run_id: str | None = None
    error: str | None = None


class AlertList(Wire):
    rows: list[Alert]
    pagination: Pagination | None = None


class AlertDelivery(Wire):
    """A message for a channel; `nextAt` says when one that waits is tried again."""

    id: str
    alert_id: str | None = None
    channel_id: str
    channel: str | None = None
    occasion: AlertOccasion
    title: str
    text: str
    status: Literal["WAITING", "DELIVERED", "FAILED"]
    attempts: int
    created_at: Instant
    next_at: Instant | None = None
    ended_at: Instant | None = None
    error: str | None = None


class AlertDeliveryList(Wire):
    rows: list[AlertDelivery]
    pagination: Pagination | None = None


class AlertTest(Wire):
    id: str
    """Of the message, which is among the channel's messages."""


def rule(record: AlertRuleRecord) -> AlertRule:
    return AlertRule(
        metadata=metadata_of(record.id, record.created_at, record.updated_at),
        name=record.name,
        kind=AlertKind(record.kind),
        workflow=record.workflow,
        threshold=record.threshold,
        window=declared_duration(record.window_us),
        quiet=declared_duration(record.quiet_us),
        channels=list(record.channel_ids),
        is_enabled=record.is_enabled,
        template=record.template,
        firing=record.firing,
    )


def channel(record: AlertChannelRecord) -> AlertChannel:
    return AlertChannel(**_channel(record))  # type: ignore[arg-type]


def new_channel(record: AlertChannelRecord, secret: str | None) -> NewAlertChannel:
    return NewAlertChannel(secret=secret, **_channel(record))  # type: ignore[arg-type]


def _channel(record: AlertChannelRecord) -> dict[str, object]:
    return {
        "metadata": metadata_of(record.id, record.created_at, record.updated_at),
        "name": record.name,
        "kind": record.kind,
        "target": record.shown,
        "rules": list(record.rules),
    }


def alert(record: AlertRecord) -> Alert:
    return Alert(
        id=record.id,
        rule_id=record.rule_id,
        rule=record.rule_name,
        kind=AlertKind(record.kind),
        subject=record.subject,
        status=cast(Literal["FIRING", "RESOLVED"], AlertStatus(record.status).value),
        opened_at=record.opened_at,
        last_at=record.last_at,
        resolved_at=record.resolved_at,
        count=record.count,
        run_id=record.run_id,
        error=record.error,
    )


def delivery(record: AlertDeliveryRecord) -> AlertDelivery:
    waits = record.status == "WAITING"
    is_test = record.occasion == AlertOccasion.TEST
    return AlertDelivery(
        id=record.id,
        alert_id=None if is_test else record.alert_id,
        channel_id=record.channel_id,
        channel=record.channel_name,
        occasion=AlertOccasion(record.occasion),
        title=record.message.title,
        text=record.message.text,
        status=cast(Literal["WAITING", "DELIVERED", "FAILED"], record.status),
        attempts=record.attempts,
        created_at=record.created_at,
        next_at=record.next_at if waits else None,
        ended_at=record.ended_at,
        error=record.error,
    )
