"""Alerts over HTTP: channels whose secrets stay secret, addresses that are refused, rules, history and messages."""

from __future__ import annotations

import base64
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.alerts import AlertKind, DeleteAlertRule, PutAlertRule
from broadaxe.core.durations import US_PER_S
from broadaxe.mail import Mailer, parse_smtp_url
from broadaxe.rest.routers.alerts import TESTS_BURST
from broadaxe.storage import accounts
from broadaxe.storage.accounts import Role
from broadaxe.storage.ids import new_id
from broadaxe.storage.tokens import create_token

if TYPE_CHECKING:
    from .conftest import Serve, Site

KEY = bytes(range(32))
LOOPBACK = (ip_network("127.0.0.0/8"),)
WEBHOOK = {"kind": "WEBHOOK", "name": "team", "url": "http://127.0.0.1:9/hook?key=hidden"}


async def open_site(serve: Serve) -> Site:
    return await serve(secret_keys=(KEY,), alert_networks=LOOPBACK)


async def make(site: Site, **body: object) -> dict[str, Any]:
    answer = await site.client.post(f"{site.stable}/alert-channels", json=WEBHOOK | body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refusal(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json()["errors"][0].get("field")


async def put_rule(site: Site, channel_id: str, **columns: object) -> str:
    row = {
        "id": new_id(),
        "name": "failures",
        "kind": "RUN_FAILED",
        "workflow": "",
        "threshold": 2,
        "window_us": 300 * US_PER_S,
        "quiet_us": 3600 * US_PER_S,
        "channel_ids": [channel_id],
        "is_enabled": True,
        "template": "",
        "created_at": site.seeds.now,
        "updated_at": site.seeds.now,
    } | columns
    await site.seeds._insert("alert_rule", **row)
    return str(row["id"])


async def test_a_channels_secret_is_shown_once(serve: Serve) -> None:
    site = await open_site(serve)
    made = await make(site)
    assert len(base64.b64decode(made["secret"].removeprefix("whsec_"))) == 32
    assert made["target"] == "http://127.0.0.1:9/hook"
    listed = await site.client.get(f"{site.stable}/alert-channels")
    one = await site.client.get(f"{site.stable}/alert-channels/{made['metadata']['id']}")
    for answer in (listed, one):
        assert made["secret"] not in answer.text
        assert "hidden" not in answer.text
    stored = await site.seeds.pool.fetchval("select target from broadaxe.alert_channel")
    assert b"hidden" not in stored


async def test_what_a_channel_leads_to_is_shown_in_part(serve: Serve) -> None:
    site = await open_site(serve)
    slack = await make(site, kind="SLACK", name="slack", url="http://127.0.0.1/services/T0/B0/secret")
    assert slack["target"] == "http://127.0.0.1/…"
    assert "secret" not in str(slack)
    duty = await make(site, kind="PAGERDUTY", name="duty", url="http://127.0.0.1/", routingKey="0123456789abcdef")
    assert duty["target"] == "routing key …cdef at http://127.0.0.1/"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://10.1.2.3/"}, "url"),
        ({"url": "http://[::1]/"}, "url"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "url"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "http://nowhere.invalid/"}, "url"),
        ({"url": "ftp://127.0.0.1/"}, "url"),
        ({"url": "http://user:word@127.0.0.1/"}, "url"),
        ({"url": "http://127.0.0.1/\u0000"}, "url"),
        ({"secret": "whsec_short"}, "secret"),
        ({"secret": "not one"}, "secret"),
        ({"name": ""}, "name"),
        ({"kind": "PAGERDUTY", "routingKey": "no"}, "routingKey"),
        ({"kind": "PIGEON"}, None),
    ],
    ids=str,
)
async def test_a_channel_that_leads_nowhere_or_inside_is_refused(
    serve: Serve, body: dict[str, object], field: str | None
) -> None:
    site = await open_site(serve)
    answer = await site.client.post(f"{site.stable}/alert-channels", json=WEBHOOK | body)
    assert answer.status_code == 400, answer.text
    assert field is None or refusal(answer)[1] in (field, f"WEBHOOK.{field}")
    assert (await site.client.get(f"{site.stable}/alert-channels")).json()["rows"] == []


EMAIL = {"kind": "EMAIL", "name": "mail", "addresses": ["ada@example.com", " bob@example.com"]}


async def test_a_channel_for_mails_needs_a_server_that_takes_them(serve: Serve) -> None:
    site = await open_site(serve)
    answer = await site.client.post(f"{site.stable}/alert-channels", json=EMAIL)
    assert refusal(answer) == (400, "kind")
    assert "--smtp-url" in answer.text


@pytest.mark.parametrize(
    "addresses",
    [
        [],
        ["ada"],
        ["ada@example.com\r\nBcc: eve@example.com"],
        ["Ada <ada@example.com>"],
        ["a@x.org", "A@x.org"],
        ["@example.com"],
        ["a@" + "x" * 254],
        [f"{number}@example.com" for number in range(21)],
    ],
    ids=range(8),
)
async def test_a_channel_for_mails_to_nobody_is_refused(serve: Serve, addresses: list[str]) -> None:
    site = await serve(secret_keys=(KEY,), mailer=Mailer(parse_smtp_url("smtp://127.0.0.1:9"), "b@example.com"))
    answer = await site.client.post(f"{site.stable}/alert-channels", json=EMAIL | {"addresses": addresses})
    assert refusal(answer) == (400, "addresses"), answer.text
    assert (await site.client.get(f"{site.stable}/alert-channels")).json()["rows"] == []


async def test_a_channel_for_mails_shows_its_addresses_and_changes_them(serve: Serve) -> None:
    site = await serve(secret_keys=(KEY,), mailer=Mailer(parse_smtp_url("smtp://127.0.0.1:9"), "b@example.com"))
    made = (await site.client.post(f"{site.stable}/alert-channels", json=EMAIL)).json()
    assert (made["kind"], made["target"]) == ("EMAIL", "ada@example.com, bob@example.com")
    url = f"{site.stable}/alert-channels/{made['metadata']['id']}"
    assert (await site.client.patch(url, json={"addresses": ["eve@example.com"]})).json()["target"] == "eve@example.com"
    assert refusal(await site.client.patch(url, json={"url": "http://127.0.0.1/"})) == (400, "url")
    assert refusal(await site.client.patch(url, json={"addresses": ["no"]})) == (400, "addresses")


async def test_a_channel_is_changed_with_what_is_given(serve: Serve) -> None:
    site = await open_site(serve)
    made = await make(site)
    url = f"{site.stable}/alert-channels/{made['metadata']['id']}"
    changed = (await site.client.patch(url, json={"name": "others", "url": "http://127.0.0.1:9/else"})).json()
    assert (changed["name"], changed["target"]) == ("others", "http://127.0.0.1:9/else")
    assert refusal(await site.client.patch(url, json={"url": "http://10.0.0.1/"})) == (400, "url")
    assert refusal(await site.client.patch(url, json={"routingKey": "0123456789"})) == (400, "routingKey")
    await make(site, name="taken")
    assert refusal(await site.client.patch(url, json={"name": "taken"})) == (400, "name")
    await put_rule(site, made["metadata"]["id"])
    assert (await site.client.delete(url)).status_code == 400
    await site.seeds.pool.execute("delete from broadaxe.alert_rule")
    assert (await site.client.delete(url)).json()["name"] == "others"
    assert (await site.client.get(url)).status_code == 404


async def test_rules_are_commands_of_the_tenant(serve: Serve) -> None:
    site = await open_site(serve)
    channel_id = (await make(site))["metadata"]["id"]
    rule_id = await put_rule(site, channel_id)

    async def answer(command: Command) -> Reply:
        return rule_id if isinstance(command, PutAlertRule) else None

    site.engine.answer = answer
    body = {"name": "failures", "kind": "RUN_FAILED", "channels": [channel_id], "window": "10m"}
    made = (await site.client.post(f"{site.stable}/alert-rules", json=body)).json()
    assert (made["threshold"], made["window"], made["quiet"], made["firing"]) == (2, "5m", "1h", 0)
    _, put = site.engine.commands[-1]
    assert put == PutAlertRule(
        name="failures",
        kind=AlertKind.RUN_FAILED,
        threshold=1,
        window_us=600 * US_PER_S,
        quiet_us=3600 * US_PER_S,
        channel_ids=(channel_id,),
    )
    url = f"{site.stable}/alert-rules/{rule_id}"
    await site.client.patch(url, json={"isEnabled": False})
    _, put = site.engine.commands[-1]
    assert isinstance(put, PutAlertRule)
    assert (put.rule_id, put.is_enabled, put.threshold, put.channel_ids) == (rule_id, False, 2, (channel_id,))
    await site.client.delete(url)
    assert site.engine.commands[-1] == (site.seeds.tenant_id, DeleteAlertRule(rule_id))


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"window": "soon"}, 400, "window"),
        ({"quiet": "never"}, 400, "quiet"),
        ({"channels": ["10000000-0000-7000-8000-000000000001"]}, 404, "channels"),
        ({"kind": "RAIN"}, 400, "kind"),
    ],
    ids=str,
)
async def test_a_rule_that_cannot_be_is_refused_by_name(
    serve: Serve, body: dict[str, object], status: int, field: str
) -> None:
    site = await open_site(serve)
    channel_id = (await make(site))["metadata"]["id"]
    usual = {"name": "failures", "kind": "RUN_FAILED", "channels": [channel_id]}
    answer = await site.client.post(f"{site.stable}/alert-rules", json=usual | body)
    assert refusal(answer) == (status, field)
    assert site.engine.commands == []


async def test_a_test_is_a_message_like_others_and_not_without_end(serve: Serve) -> None:
    site = await open_site(serve)
    channel_id = (await make(site))["metadata"]["id"]
    url = f"{site.stable}/alert-channels/{channel_id}/test"
    made = (await site.client.post(url)).json()
    listed = (await site.client.get(f"{site.stable}/alert-deliveries", params={"channel": channel_id})).json()["rows"]
    assert [(row["id"], row["occasion"], row["status"]) for row in listed] == [(made["id"], "TEST", "WAITING")]
    assert listed[0]["title"] == "Test of the channel team"
    answers = [(await site.client.post(url)).status_code for _ in range(TESTS_BURST)]
    assert answers[-1] == 429


async def test_history_is_read_page_by_page(serve: Serve) -> None:
    site = await open_site(serve)
    rule_id = new_id()
    for number in range(3):
        await site.seeds._insert(
            "alert",
            id=new_id(),
            rule_id=rule_id,
            rule_name="failures",
            kind="RUN_FAILED",
            subject=f"flow{number}",
            status="RESOLVED" if number else "FIRING",
            opened_at=site.seeds.now,
            last_at=site.seeds.now,
            resolved_at=site.seeds.now if number else None,
            count=number + 1,
            state=None if number else "{}",
        )
    first = (await site.client.get(f"{site.stable}/alerts", params={"limit": 2})).json()
    cursor = first["pagination"]["next_cursor"]
    second = (await site.client.get(f"{site.stable}/alerts", params={"limit": 2, "cursor": cursor})).json()
    assert [row["subject"] for row in first["rows"] + second["rows"]] == ["flow2", "flow1", "flow0"]
    firing = (await site.client.get(f"{site.stable}/alerts", params={"status": "FIRING", "rule": rule_id})).json()
    assert [row["subject"] for row in firing["rows"]] == ["flow0"]


async def test_tenants_see_nothing_of_each_other(serve: Serve) -> None:
    site = await open_site(serve)
    channel_id = (await make(site))["metadata"]["id"]
    rule_id = await put_rule(site, channel_id)
    other = await accounts.create_tenant(site.seeds.pool, "Other", "other", site.owner.id)
    token = (await create_token(site.seeds.pool, other.id, "t", 3600, site.url, "127.0.0.1:2")).token
    theirs = f"/api/v1/stable/tenants/{other.id}"
    async with httpx.AsyncClient(
        base_url=site.url, headers={"Authorization": f"Bearer {token}"}, timeout=60
    ) as stranger:
        for path in ("alert-rules", "alert-channels", "alerts", "alert-deliveries"):
            assert (await stranger.get(f"{site.stable}/{path}")).status_code == 403
            assert (await stranger.get(f"{theirs}/{path}")).json()["rows"] == []
        assert (await stranger.get(f"{theirs}/alert-rules/{rule_id}")).status_code == 404
        assert (await stranger.get(f"{theirs}/alert-channels/{channel_id}")).status_code == 404
        assert (await stranger.post(f"{theirs}/alert-channels/{channel_id}/test")).status_code == 404
        body = {"name": "x", "kind": "RUN_FAILED", "channels": [channel_id]}
        assert refusal(await stranger.post(f"{theirs}/alert-rules", json=body)) == (404, "channels")


async def test_who_only_reads_changes_nothing(serve: Serve) -> None:
    site = await open_site(serve)
    channel_id = (await make(site))["metadata"]["id"]
    issued = await create_token(
        site.seeds.pool, site.seeds.tenant_id, "t", 3600, site.url, "127.0.0.1:2", role=Role.MEMBER
    )
    headers = {"Authorization": f"Bearer {issued.token}"}
    assert (await site.anonymous.get(f"{site.stable}/alert-channels", headers=headers)).status_code == 200
    for path in ("alert-channels", f"alert-channels/{channel_id}/test", "alert-rules"):
        answer = await site.anonymous.post(f"{site.stable}/{path}", headers=headers, json=WEBHOOK)
        assert answer.status_code == 401, path
