"""The shapes of the protocol's own requests for alerts, made from channels and rules. Source: REST spec 5.14."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from broadaxe.core.commands.alerts import AlertKind
from broadaxe.core.durations import declared_duration
from broadaxe.rest.wire import Instant, Metadata, Pagination, Wire, metadata_of
from broadaxe.storage.accounts import Tenant
from broadaxe.storage.alerts import AlertChannelRecord, AlertRuleRecord

#: How often people are told at most where no rule says.
USUAL_FREQUENCY = "1h"


class TenantAlertingSettings(Wire):
    metadata: Metadata
    max_alerting_frequency: str
    alert_member_emails: bool
    enable_workflow_run_failure_alerts: bool
    enable_expiring_token_alerts: bool
    enable_tenant_resource_limit_alerts: bool
    last_alerted_at: Instant | None = None


class TenantAlertEmailGroup(Wire):
    metadata: Metadata
    emails: list[str]


class TenantAlertEmailGroupList(Wire):
    pagination: Pagination
    rows: list[TenantAlertEmailGroup]


class SlackWebhook(Wire):
    """We know a channel's name and no more of Slack; its ids are the channel's."""

    metadata: Metadata
    tenant_id: str
    team_name: str
    team_id: str
    channel_name: str
    channel_id: str


class ListSlackWebhooks(Wire):
    pagination: Pagination
    rows: list[SlackWebhook]


def settings(
    tenant: Tenant, rules: Sequence[AlertRuleRecord], last_alerted_at: datetime | None
) -> TenantAlertingSettings:
    """What the rules come to in the protocol's words: a kind is enabled if a rule of it watches the whole tenant."""
    whole = [rule for rule in rules if rule.is_enabled and not rule.workflow]
    kinds = {rule.kind for rule in whole}
    quiet = [rule.quiet_us for rule in whole if rule.quiet_us]
    return TenantAlertingSettings(
        metadata=metadata_of(tenant.id, tenant.created_at, tenant.updated_at),
        max_alerting_frequency=declared_duration(min(quiet)) if quiet else USUAL_FREQUENCY,
        alert_member_emails=False,
        enable_workflow_run_failure_alerts=AlertKind.RUN_FAILED in kinds,
        enable_expiring_token_alerts=AlertKind.TOKEN_EXPIRING in kinds,
        enable_tenant_resource_limit_alerts=AlertKind.LIMIT_NEARLY_USED in kinds,
        last_alerted_at=last_alerted_at,
    )


def email_group(record: AlertChannelRecord, emails: Sequence[str]) -> TenantAlertEmailGroup:
    return TenantAlertEmailGroup(
        metadata=metadata_of(record.id, record.created_at, record.updated_at), emails=list(emails)
    )


def slack(record: AlertChannelRecord) -> SlackWebhook:
    return SlackWebhook(
        metadata=metadata_of(record.id, record.created_at, record.updated_at),
        tenant_id=record.tenant_id,
        team_name=record.shown,
        team_id=record.id,
        channel_name=record.name,
        channel_id=record.id,
    )
