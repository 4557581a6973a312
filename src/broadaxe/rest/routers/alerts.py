"""Alerts: rules, the channels they tell, what they told of, and each message with what came of it.

Rules are commands of the tenant (`core/alerts.py`); channels are rows, whose secrets are sealed and never shown again.
"""

from __future__ import annotations

import time
from typing import Annotated, Final, Literal, cast

import msgspec
from fastapi import Query, Request
from pydantic import Field

from broadaxe.alerting import targets
from broadaxe.alerting.addresses import place_of
from broadaxe.alerting.sending import NO_MAIL
from broadaxe.alerting.targets import EmailTarget, PagerDutyTarget, SlackTarget, Target, WebhookTarget, new_secret
from broadaxe.core.alert_texts import AlertMessage, AlertOccasion
from broadaxe.core.commands.alerts import AlertKind, DeleteAlertRule, PutAlertRule
from broadaxe.core.durations import parse_duration
from broadaxe.engine.changes import Kind
from broadaxe.errors import FailedPrecondition, Internal, InvalidArgument, NotFound, ResourceExhausted, Unavailable
from broadaxe.rest.bursts import Bursts
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import AdminScope, Scope, ViewerScope
from broadaxe.rest.parameters import Body, Id, Limit, PathId, plain_text
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import alerts as shapes
from broadaxe.rest.wire import NIL_UUID
from broadaxe.storage.pages import ById

#: Tests of a tenant's channels, in each process: so many at once, and this many a second.
TESTS_BURST: Final = 10
TESTS_PER_S: Final = 0.1
NAME_LENGTH_MAX: Final = 200

_ALERTS: Final = Listing(ById, "alerts")
_DELIVERIES: Final = Listing(ById, "alert deliveries")

routes = router("alerts")

Name = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX)]
Url = Annotated[str, Field(min_length=1, max_length=2_048)]
#: `targets.check` says how many there may be; this only keeps a body from being all addresses.
Addresses = Annotated[list[str], Field(max_length=1_000)]


class NewAlertRule(Body):
    """`threshold`, `window` and `quiet` have values of the kind's own if they are left out."""

    name: Name
    kind: AlertKind
    channels: Annotated[list[Id], Field(max_length=100)]
    workflow: str = ""
    threshold: int | None = None
    window: str | None = None
    quiet: str = "1h"
    is_enabled: bool = True
    template: str = ""


class AlertRuleChange(Body):
    name: Name | None = None
    channels: Annotated[list[Id], Field(max_length=100)] | None = None
    workflow: str | None = None
    threshold: int | None = None
    window: str | None = None
    quiet: str | None = None
    is_enabled: bool | None = None
    template: str | None = None


class NewWebhookChannel(Body):
    """`secret` signs the requests, as Standard Webhooks have it; left out, one is made and shown in the answer."""

    kind: Literal["WEBHOOK"]
    name: Name
    url: Url
    secret: Annotated[str, Field(max_length=200)] | None = None

    def target(self) -> Target:
        return WebhookTarget(self.url, self.secret or new_secret())


class NewSlackChannel(Body):
    kind: Literal["SLACK"]
    name: Name
    url: Url

    def target(self) -> Target:
        return SlackTarget(self.url)


class NewPagerDutyChannel(Body):
    """`url` is for what understands the same events; left out, PagerDuty's own."""

    kind: Literal["PAGERDUTY"]
    name: Name
    routing_key: Annotated[str, Field(max_length=200)]
    url: Url | None = None

    def target(self) -> Target:
        return PagerDutyTarget(self.routing_key, self.url or targets.PAGERDUTY_URL)


class NewEmailChannel(Body):
    """Each mail goes to all of the addresses, who see each other."""

    kind: Literal["EMAIL"]
    name: Name
    addresses: Addresses

    def target(self) -> Target:
        return EmailTarget(_addresses(self.addresses))


NewChannel = Annotated[
    NewWebhookChannel | NewSlackChannel | NewPagerDutyChannel | NewEmailChannel, Field(discriminator="kind")
]


class AlertChannelChange(Body):
    """What is left out stays. `secret` is a webhook's, `routingKey` PagerDuty's, `addresses` those of mails."""

    name: Name | None = None
    url: Url | None = None
    secret: Annotated[str, Field(max_length=200)] | None = None
    routing_key: Annotated[str, Field(max_length=200)] | None = None
    addresses: Addresses | None = None


#: (threshold, window) of a rule that does not say.
_USUAL: Final[dict[AlertKind, tuple[int, str]]] = {
    AlertKind.RUN_FAILED: (1, "5m"),
    AlertKind.FAILURE_RATE: (20, "1h"),
    AlertKind.CRON_MISSED: (1, "1h"),
    AlertKind.QUEUE_AGE: (1, "10m"),
    AlertKind.NO_WORKER: (1, "5m"),
    AlertKind.LIMIT_NEARLY_USED: (80, "5m"),
    AlertKind.TOKEN_EXPIRING: (1, "168h"),
    AlertKind.NODE_LOST: (1, "1m"),
}


# Rules --------------------------------------------------------------------------------------------------------------


@routes.get(f"{STABLE}/tenants/{{tenant}}/alert-rules")
async def list_alert_rules(scope: ViewerScope, context: ContextDep) -> shapes.AlertRuleList:
    """All rules, by name."""
    return shapes.AlertRuleList(rows=[shapes.rule(record) for record in await context.alerts.rules(scope.tenant_id)])


@routes.post(f"{STABLE}/tenants/{{tenant}}/alert-rules")
async def create_alert_rule(body: NewAlertRule, scope: AdminScope, context: ContextDep) -> shapes.AlertRule:
    """Makes a rule: from now on its channels are told."""
    threshold, window = _USUAL[body.kind]
    return await _put(
        context,
        scope,
        PutAlertRule(
            name=plain_text(body.name, field="name"),
            kind=body.kind,
            workflow=plain_text(body.workflow, field="workflow"),
            threshold=threshold if body.threshold is None else body.threshold,
            window_us=parse_duration(body.window or window, field="window"),
            quiet_us=parse_duration(body.quiet, field="quiet"),
            channel_ids=tuple(body.channels),
            is_enabled=body.is_enabled,
            template=plain_text(body.template, field="template"),
        ),
    )


@routes.get(f"{STABLE}/tenants/{{tenant}}/alert-rules/{{rule}}")
async def get_alert_rule(rule: PathId, scope: ViewerScope, context: ContextDep) -> shapes.AlertRule:
    return shapes.rule(await context.alerts.rule(scope.tenant_id, rule))


@routes.patch(f"{STABLE}/tenants/{{tenant}}/alert-rules/{{rule}}")
async def change_alert_rule(
    rule: PathId, body: AlertRuleChange, scope: AdminScope, context: ContextDep
) -> shapes.AlertRule:
    """What is left out stays. With another workflow, threshold or window counting begins anew."""
    before = await context.alerts.rule(scope.tenant_id, rule)
    return await _put(
        context,
        scope,
        PutAlertRule(
            rule_id=rule,
            name=before.name if body.name is None else plain_text(body.name, field="name"),
            kind=AlertKind(before.kind),
            workflow=before.workflow if body.workflow is None else plain_text(body.workflow, field="workflow"),
            threshold=before.threshold if body.threshold is None else body.threshold,
            window_us=before.window_us if body.window is None else parse_duration(body.window, field="window"),
            quiet_us=before.quiet_us if body.quiet is None else parse_duration(body.quiet, field="quiet"),
            channel_ids=before.channel_ids if body.channels is None else tuple(body.channels),
            is_enabled=before.is_enabled if body.is_enabled is None else body.is_enabled,
            template=before.template if body.template is None else plain_text(body.template, field="template"),
        ),
    )


@routes.delete(f"{STABLE}/tenants/{{tenant}}/alert-rules/{{rule}}")
async def delete_alert_rule(rule: PathId, scope: AdminScope, context: ContextDep) -> shapes.AlertRule:
    """Answers what was deleted. What it told of stays in the history."""
    before = await context.alerts.rule(scope.tenant_id, rule)
    await context.engine.submit(scope.tenant_id, DeleteAlertRule(rule), by=scope.caller.by)
    return shapes.rule(before)


async def _put(context: Context, scope: Scope, command: PutAlertRule) -> shapes.AlertRule:
    there = {record.id for record in await context.alerts.channels(scope.tenant_id, list(command.channel_ids))}
    for channel_id in command.channel_ids:
        if channel_id not in there:
            raise NotFound(f"there is no alert channel {channel_id}", field="channels")
    rule_id = await context.engine.submit(scope.tenant_id, command, by=scope.caller.by)
    if not isinstance(rule_id, str):
        raise Internal(f"the engine answered {type(rule_id).__name__} where an id was due")
    return shapes.rule(await context.alerts.rule(scope.tenant_id, rule_id))


# Channels -----------------------------------------------------------------------------------------------------------


@routes.get(f"{STABLE}/tenants/{{tenant}}/alert-channels")
async def list_alert_channels(scope: ViewerScope, context: ContextDep) -> shapes.AlertChannelList:
    """All channels, by name. Secrets are never shown."""
    return shapes.AlertChannelList(
        rows=[shapes.channel(record) for record in await context.alerts.channels(scope.tenant_id)]
    )


@routes.post(f"{STABLE}/tenants/{{tenant}}/alert-channels")
async def create_alert_channel(body: NewChannel, scope: AdminScope, context: ContextDep) -> shapes.NewAlertChannel:
    """Makes a channel. A private web address is refused unless whoever runs the engine allows it; so is a channel for
    mails while this server sends none."""
    target = body.target()
    await _check(context, target)
    record = await context.alerts.create_channel(
        scope.tenant_id,
        name=plain_text(body.name, field="name"),
        kind=body.kind,
        target=_text(target),
        shown=targets.shown(target),
        by=scope.caller.by,
    )
    _changed(context, scope)
    return shapes.new_channel(record, target.secret if isinstance(target, WebhookTarget) else None)


@routes.get(f"{STABLE}/tenants/{{tenant}}/alert-channels/{{channel}}")
async def get_alert_channel(channel: PathId, scope: ViewerScope, context: ContextDep) -> shapes.AlertChannel:
    return shapes.channel(await context.alerts.channel(scope.tenant_id, channel))


@routes.patch(f"{STABLE}/tenants/{{tenant}}/alert-channels/{{channel}}")
async def change_alert_channel(
    channel: PathId, body: AlertChannelChange, scope: AdminScope, context: ContextDep
) -> shapes.AlertChannel:
    """What is left out stays. Messages that wait go where it leads from now on."""
    before = await context.alerts.channel(scope.tenant_id, channel)
    target: Target | None = None
    if any(given is not None for given in (body.url, body.secret, body.routing_key, body.addresses)):
        text = context.alerts.target_of(scope.tenant_id, channel, before.target)
        target = _changed_target(msgspec.json.decode(text, type=Target), body)
        await _check(context, target)
    record = await context.alerts.change_channel(
        scope.tenant_id,
        channel,
        name=None if body.name is None else plain_text(body.name, field="name"),
        target=None if target is None else _text(target),
        shown=None if target is None else targets.shown(target),
        by=scope.caller.by,
    )
    _changed(context, scope)
    return shapes.channel(record)


@routes.delete(f"{STABLE}/tenants/{{tenant}}/alert-channels/{{channel}}")
async def delete_alert_channel(channel: PathId, scope: AdminScope, context: ContextDep) -> shapes.AlertChannel:
    """Answers what was deleted. One that a rule uses is kept."""
    record = await context.alerts.channel(scope.tenant_id, channel)
    await context.alerts.delete_channel(scope.tenant_id, channel, scope.caller.by)
    _changed(context, scope)
    return shapes.channel(record)


@routes.post(f"{STABLE}/tenants/{{tenant}}/alert-channels/{{channel}}/test")
async def test_alert_channel(
    channel: PathId, scope: AdminScope, context: ContextDep, request: Request
) -> shapes.AlertTest:
    """Sends a message that says it is a test. What came of it is among the channel's messages."""
    record = await context.alerts.channel(scope.tenant_id, channel)
    if not cast(Bursts, request.app.state.alert_tests).take((scope.tenant_id, b"")):
        raise ResourceExhausted(f"more than {TESTS_BURST} tests at once; wait a moment")
    now_us = time.time_ns() // 1_000
    message = AlertMessage(
        occasion=AlertOccasion.TEST,
        title=f"Test of the channel {record.name}",
        text=f"{scope.caller.name} wants to see whether this channel works. It does.",
        rule="",
        rule_id=NIL_UUID,
        alert_id=NIL_UUID,
        kind=AlertKind.RUN_FAILED,
        subject="",
        count=0,
        opened_at_us=now_us,
        at_us=now_us,
    )
    delivery_id = await context.alerts.add(scope.tenant_id, channel, message)
    _changed(context, scope)
    return shapes.AlertTest(id=delivery_id)


def _changed(context: Context, scope: Scope) -> None:
    context.engine.note_change(scope.tenant_id, Kind.ALERTS)


def _addresses(given: list[str]) -> tuple[str, ...]:
    return tuple(address.strip() for address in given)


def _text(target: Target) -> str:
    return msgspec.json.encode(target).decode()


def _changed_target(target: Target, body: AlertChannelChange) -> Target:
    addresses = None if body.addresses is None else _addresses(body.addresses)
    for field, given in (
        ("secret", body.secret),
        ("routingKey", body.routing_key),
        ("url", body.url),
        ("addresses", addresses),
    ):
        if given is None:
            continue
        name = "routing_key" if field == "routingKey" else field
        if not hasattr(target, name):
            raise InvalidArgument("channels of this kind have none", field=field)
        target = msgspec.structs.replace(target, **{name: given})
    return target


async def _check(context: Context, target: Target) -> None:
    targets.check(target)
    if isinstance(target, EmailTarget):
        if context.mailer is None:
            raise FailedPrecondition(NO_MAIL, field="kind")
        return
    try:
        await place_of(target.url, context.settings.alert_networks)
    except Unavailable as error:
        # An answer that tells to try again would be wrong: it is the address that is.
        raise InvalidArgument(error.message, field="url") from None


# What was told ------------------------------------------------------------------------------------------------------


@routes.get(f"{STABLE}/tenants/{{tenant}}/alerts")
async def list_alerts(
    scope: ViewerScope,
    context: ContextDep,
    rule: Annotated[Id | None, Query()] = None,
    status: Annotated[Literal["FIRING", "RESOLVED"] | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> shapes.AlertList:
    """Alerts, newest first."""
    page = await context.alerts.page(
        scope.tenant_id, rule_id=rule, status=status, limit=limit, after=_ALERTS.after(cursor)
    )
    return shapes.AlertList(
        rows=[shapes.alert(record) for record in page.rows], pagination=_ALERTS.only_cursor(page.end)
    )


@routes.get(f"{STABLE}/tenants/{{tenant}}/alert-deliveries")
async def list_alert_deliveries(
    scope: ViewerScope,
    context: ContextDep,
    alert: Annotated[Id | None, Query()] = None,
    channel: Annotated[Id | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> shapes.AlertDeliveryList:
    """Messages, newest first, with what came of each."""
    page = await context.alerts.deliveries(
        scope.tenant_id, alert_id=alert, channel_id=channel, limit=limit, after=_DELIVERIES.after(cursor)
    )
    return shapes.AlertDeliveryList(
        rows=[shapes.delivery(record) for record in page.rows], pagination=_DELIVERIES.only_cursor(page.end)
    )
