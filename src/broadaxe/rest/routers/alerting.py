"""The protocol's own requests for alerts, answered from our channels and rules: a group of addresses is a channel that
sends mail, a Slack webhook a channel for Slack, and the settings say what the rules come to.

Groups and webhooks get what rules send them; the protocol has no rules, so nobody is told through them before a rule
names the channel. Source: REST specification 5.14, semantics 8.6.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import Response
from pydantic import Field

from broadaxe.alerting import targets
from broadaxe.alerting.sending import NO_MAIL
from broadaxe.alerting.targets import EmailTarget, Target
from broadaxe.core.alert_texts import AlertOccasion
from broadaxe.engine.changes import Kind
from broadaxe.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.identity import AdminCaller, AdminScope, Caller, ViewerScope, missing
from broadaxe.rest.parameters import Body, PathId
from broadaxe.rest.routers.route import API, router
from broadaxe.rest.shapes import alerting as shapes
from broadaxe.rest.wire import Pagination
from broadaxe.storage import accounts
from broadaxe.storage.alerts import AlertChannelRecord

NAME_LENGTH_MAX = 200
#: Messages that are looked through for the last one that was no test.
MESSAGES_LOOKED_AT = 50

routes = router("alerts")


class EmailGroup(Body):
    emails: Annotated[list[str], Field(max_length=1_000, default_factory=list)]

    def target(self) -> EmailTarget:
        found = EmailTarget(tuple(email.strip() for email in self.emails))
        targets.check_addresses(found.addresses, field="emails")
        return found


@routes.get(f"{API}/tenants/{{tenant}}/alerting/settings")
async def alerting_settings(scope: ViewerScope, context: ContextDep) -> shapes.TenantAlertingSettings:
    """What the rules come to. They are changed by the requests for `alert-rules`."""
    return await settings_of(context, scope.tenant_id)


async def settings_of(context: Context, tenant_id: str) -> shapes.TenantAlertingSettings:
    tenant = await accounts.tenant(context.pool, tenant_id)
    if tenant is None:
        raise missing("tenant", tenant_id)
    newest = await context.alerts.deliveries(tenant_id, alert_id=None, channel_id=None, limit=MESSAGES_LOOKED_AT)
    told = (row.created_at for row in newest.rows if row.occasion != AlertOccasion.TEST)
    return shapes.settings(tenant, await context.alerts.rules(tenant_id), next(told, None))


@routes.get(f"{API}/tenants/{{tenant}}/alerting-email-groups")
async def list_alert_email_groups(scope: ViewerScope, context: ContextDep) -> shapes.TenantAlertEmailGroupList:
    """The channels that send mail."""
    records = [record for record in await context.alerts.channels(scope.tenant_id) if record.kind == "EMAIL"]
    return shapes.TenantAlertEmailGroupList(
        pagination=Pagination(), rows=[shapes.email_group(record, _emails(context, record)) for record in records]
    )


@routes.post(f"{API}/tenants/{{tenant}}/alerting-email-groups", status_code=201)
async def create_alert_email_group(
    body: EmailGroup, scope: AdminScope, context: ContextDep
) -> shapes.TenantAlertEmailGroup:
    """Makes a channel that sends mail, named by its addresses. A rule has to name it before anybody is told."""
    target = body.target()
    if context.mailer is None:
        raise FailedPrecondition(NO_MAIL)
    shown = targets.shown(target)
    try:
        record = await context.alerts.create_channel(
            scope.tenant_id,
            name=shown[:NAME_LENGTH_MAX],
            kind="EMAIL",
            target=msgspec.json.encode(target).decode(),
            shown=shown,
            by=scope.caller.by,
        )
    except AlreadyExists:
        raise AlreadyExists("there is a group of these addresses already", field="emails") from None
    context.engine.note_change(scope.tenant_id, Kind.ALERTS)
    return shapes.email_group(record, target.addresses)


@routes.patch(f"{API}/alerting-email-groups/{{group}}")
async def change_alert_email_group(
    group: PathId, body: EmailGroup, caller: AdminCaller, context: ContextDep
) -> shapes.TenantAlertEmailGroup:
    """Gives it other addresses; its name stays."""
    tenant_id = await _tenant_of(context, caller, group, "EMAIL", "group of addresses")
    target = body.target()
    record = await context.alerts.change_channel(
        tenant_id,
        group,
        name=None,
        target=msgspec.json.encode(target).decode(),
        shown=targets.shown(target),
        by=caller.by,
    )
    context.engine.note_change(tenant_id, Kind.ALERTS)
    return shapes.email_group(record, target.addresses)


@routes.delete(f"{API}/alerting-email-groups/{{group}}", status_code=204)
async def delete_alert_email_group(group: PathId, caller: AdminCaller, context: ContextDep) -> Response:
    """One that a rule uses is kept."""
    await _delete(context, caller, group, "EMAIL", "group of addresses")
    return Response(status_code=204)


@routes.get(f"{API}/tenants/{{tenant}}/slack")
async def list_slack_webhooks(scope: ViewerScope, context: ContextDep) -> shapes.ListSlackWebhooks:
    """The channels for Slack. They are made by the requests for `alert-channels`."""
    records = [record for record in await context.alerts.channels(scope.tenant_id) if record.kind == "SLACK"]
    return shapes.ListSlackWebhooks(pagination=Pagination(), rows=[shapes.slack(record) for record in records])


@routes.delete(f"{API}/slack/{{slack}}", status_code=204)
async def delete_slack_webhook(slack: PathId, caller: AdminCaller, context: ContextDep) -> Response:
    """One that a rule uses is kept."""
    await _delete(context, caller, slack, "SLACK", "Slack webhook")
    return Response(status_code=204)


def _emails(context: Context, record: AlertChannelRecord) -> tuple[str, ...]:
    text = context.alerts.target_of(record.tenant_id, record.id, record.target)
    target = msgspec.json.decode(text, type=Target)
    if not isinstance(target, EmailTarget):
        raise InvalidArgument("this channel sends no mail")
    return target.addresses


async def _tenant_of(context: Context, caller: Caller, channel_id: str, kind: str, named: str) -> str:
    """The tenant of the caller's that the channel belongs to. NotFound for one that is nobody's or somebody else's."""
    tenant_id = await context.alerts.tenant_of(list(caller.roles), channel_id, kind)
    if tenant_id is None:
        raise missing(named, channel_id)
    caller.enter(tenant_id)
    return tenant_id


async def _delete(context: Context, caller: Caller, channel_id: str, kind: str, named: str) -> None:
    tenant_id = await _tenant_of(context, caller, channel_id, kind, named)
    await context.alerts.delete_channel(tenant_id, channel_id, caller.by)
    context.engine.note_change(tenant_id, Kind.ALERTS)
