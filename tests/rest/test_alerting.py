"""The protocol's own requests for alerts, on the bare wire and as the official SDK reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hatchet_sdk.clients.rest.models.list_slack_webhooks import ListSlackWebhooks
from hatchet_sdk.clients.rest.models.tenant_alert_email_group import TenantAlertEmailGroup
from hatchet_sdk.clients.rest.models.tenant_alert_email_group_list import TenantAlertEmailGroupList
from hatchet_sdk.clients.rest.models.tenant_alerting_settings import TenantAlertingSettings

from broadaxe.core.audit import Action
from broadaxe.core.durations import US_PER_S
from broadaxe.mail import Mailer, parse_smtp_url
from broadaxe.storage import accounts
from broadaxe.storage.ids import new_id
from broadaxe.storage.tokens import create_token
from tests.rest.test_alerts import KEY, LOOPBACK, make, put_rule, refusal
from tests.rest.test_members import written

if TYPE_CHECKING:
    from .conftest import Serve, Site

API = "/api/v1"
EMAILS = ["ada@example.com", "bob@example.com"]


async def mailing(serve: Serve) -> Site:
    mailer = Mailer(parse_smtp_url("smtp://127.0.0.1:9"), "b@example.com")
    return await serve(secret_keys=(KEY,), alert_networks=LOOPBACK, mailer=mailer)


def groups(site: Site) -> str:
    return f"{API}/tenants/{site.seeds.tenant_id}/alerting-email-groups"


async def make_group(site: Site) -> TenantAlertEmailGroup:
    answer = await site.client.post(groups(site), json={"emails": EMAILS})
    assert answer.status_code == 201, answer.text
    made = TenantAlertEmailGroup.from_json(answer.text)
    assert made is not None
    return made


async def test_a_group_of_addresses_is_a_channel_for_mails(serve: Serve) -> None:
    site = await mailing(serve)
    made = await make_group(site)
    assert made.emails == EMAILS
    channels = (await site.client.get(f"{site.stable}/alert-channels")).json()["rows"]
    assert [(row["metadata"]["id"], row["kind"], row["name"]) for row in channels] == [
        (made.metadata.id, "EMAIL", "ada@example.com, bob@example.com")
    ]
    url = f"{API}/alerting-email-groups/{made.metadata.id}"
    changed = TenantAlertEmailGroup.from_json((await site.client.patch(url, json={"emails": ["eve@example.com"]})).text)
    listed = TenantAlertEmailGroupList.from_json((await site.client.get(groups(site))).text)
    assert changed is not None and listed is not None and listed.rows is not None
    assert [row.emails for row in listed.rows] == [changed.emails] == [["eve@example.com"]]
    rule_id = await put_rule(site, made.metadata.id)
    assert (await site.client.delete(url)).status_code == 400
    await site.seeds.pool.execute("delete from broadaxe.alert_rule where id = $1", rule_id)
    gone = await site.client.delete(url)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await site.client.delete(url)).status_code == 404
    assert (await site.client.get(groups(site))).json()["rows"] == []
    assert [action for action, _, _ in await written(site)] == [
        Action.ALERT_CHANNEL_CREATE,
        Action.ALERT_CHANNEL_CHANGE,
        Action.ALERT_CHANNEL_DELETE,
    ]


async def test_groups_that_cannot_be_are_refused_by_field(serve: Serve) -> None:
    site = await mailing(serve)
    made = await make_group(site)
    url = f"{API}/alerting-email-groups/{made.metadata.id}"
    for emails in ([], ["ada"], ["a@x.org", "A@x.org"], [f"{number}@x.org" for number in range(21)]):
        assert refusal(await site.client.post(groups(site), json={"emails": emails})) == (400, "emails")
        assert refusal(await site.client.patch(url, json={"emails": emails})) == (400, "emails")
    assert refusal(await site.client.post(groups(site), json={"emails": EMAILS})) == (400, "emails")
    assert len((await site.client.get(groups(site))).json()["rows"]) == 1


async def test_a_group_needs_a_server_that_takes_mails(serve: Serve) -> None:
    site = await serve(secret_keys=(KEY,))
    answer = await site.client.post(groups(site), json={"emails": EMAILS})
    assert answer.status_code == 400 and "--smtp-url" in answer.text
    assert (await site.client.get(f"{API}/meta/integrations")).json()[0] == {"name": "email", "enabled": False}


async def test_slack_webhooks_are_channels_for_slack(serve: Serve) -> None:
    site = await mailing(serve)
    channel = await make(site, kind="SLACK", name="team", url="http://127.0.0.1/services/T0/B0/secret")
    await make_group(site)
    answer = await site.client.get(f"{API}/tenants/{site.seeds.tenant_id}/slack")
    assert "secret" not in answer.text
    listed = ListSlackWebhooks.from_json(answer.text)
    assert listed is not None
    assert [(row.metadata.id, row.channel_name) for row in listed.rows] == [(channel["metadata"]["id"], "team")]
    # Neither is the other.
    assert (await site.client.delete(f"{API}/alerting-email-groups/{channel['metadata']['id']}")).status_code == 404
    assert (await site.client.delete(f"{API}/slack/{channel['metadata']['id']}")).status_code == 204
    assert (await site.client.get(f"{API}/tenants/{site.seeds.tenant_id}/slack")).json()["rows"] == []


async def read_settings(site: Site) -> TenantAlertingSettings:
    found = TenantAlertingSettings.from_json(
        (await site.client.get(f"{API}/tenants/{site.seeds.tenant_id}/alerting/settings")).text
    )
    assert found is not None
    return found


async def test_settings_say_what_the_rules_come_to(serve: Serve) -> None:
    site = await mailing(serve)
    before = await read_settings(site)
    assert (before.max_alerting_frequency, before.last_alerted_at) == ("1h", None)
    made = await make_group(site)
    others: dict[str, Any] = {"quiet_us": 7200 * US_PER_S}
    await put_rule(site, made.metadata.id, name="one", workflow="flow", **others)
    await put_rule(site, made.metadata.id, name="off", kind="LIMIT_NEARLY_USED", is_enabled=False, **others)
    await put_rule(site, made.metadata.id, name="tokens", kind="TOKEN_EXPIRING", **others)
    found = await read_settings(site)
    enabled = (
        found.enable_workflow_run_failure_alerts,
        found.enable_expiring_token_alerts,
        found.enable_tenant_resource_limit_alerts,
        found.alert_member_emails,
    )
    assert enabled == (False, True, False, False)
    assert found.max_alerting_frequency == "2h"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"enableWorkflowRunFailureAlerts": True}, "enableWorkflowRunFailureAlerts"),
        ({"maxAlertingFrequency": "5m", "name": "Other"}, "maxAlertingFrequency"),
        ({"alertMemberEmails": False, "maxAlertingFrequency": "1h", "name": "Other"}, None),
    ],
    ids=["switched on", "frequency", "as it is"],
)
async def test_settings_are_not_changed_behind_the_rules_back(
    serve: Serve, body: dict[str, object], field: str | None
) -> None:
    site = await mailing(serve)
    url = f"{API}/tenants/{site.seeds.tenant_id}"
    answer = await site.client.patch(url, json=body)
    if field is None:
        assert (answer.status_code, answer.json()["name"]) == (200, "Other")
    else:
        assert refusal(answer) == (400, field)
        assert (await site.client.get(url)).json()["name"] == "Default"


async def test_nobody_reaches_the_groups_of_others(serve: Serve) -> None:
    site = await mailing(serve)
    made = await make_group(site)
    other = await accounts.create_tenant(site.seeds.pool, "Other", "other", site.owner.id)
    token = (await create_token(site.seeds.pool, other.id, "t", 3600, site.url, "127.0.0.1:2")).token
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=site.url, headers=headers, timeout=60) as stranger:
        url = f"{API}/alerting-email-groups/{made.metadata.id}"
        assert (await stranger.get(groups(site))).status_code == 403
        assert (await stranger.patch(url, json={"emails": ["eve@example.com"]})).status_code == 404
        assert (await stranger.delete(url)).status_code == 404
        assert (await stranger.delete(f"{API}/slack/{new_id()}")).status_code == 404
    assert (await site.client.get(groups(site))).json()["rows"][0]["emails"] == EMAILS
