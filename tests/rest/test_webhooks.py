"""Incoming webhooks: proofs as a table, the public door over real HTTP, secrets at rest, the SDK's own client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hatchet_sdk import ClientConfig, Hatchet
from hatchet_sdk.clients.rest.models.v1_event import V1Event
from hatchet_sdk.clients.rest.models.v1_webhook_api_key_auth import V1WebhookAPIKeyAuth
from hatchet_sdk.clients.rest.models.v1_webhook_basic_auth import V1WebhookBasicAuth
from hatchet_sdk.clients.rest.models.v1_webhook_hmac_algorithm import V1WebhookHMACAlgorithm
from hatchet_sdk.clients.rest.models.v1_webhook_hmac_auth import V1WebhookHMACAuth
from hatchet_sdk.clients.rest.models.v1_webhook_hmac_encoding import V1WebhookHMACEncoding
from hatchet_sdk.clients.rest.models.v1_webhook_source_name import V1WebhookSourceName

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.events import EventRequest, PushedEvent, PushEvents
from broadaxe.errors import ConfigurationError, FailedPrecondition, Unavailable
from broadaxe.rest.bursts import KEYS_MAX, Bursts
from broadaxe.rest.routers.webhooks import BODY_BYTES_MAX, BURST, FAILURES_BURST, Door
from broadaxe.rest.webhook_proofs import (
    REPLAY_WINDOWS_S,
    ApiKeyProof,
    BasicProof,
    HmacProof,
    MalformedProof,
    NotProven,
    Proof,
    check,
)
from broadaxe.secret_keys import key_from_file, parse_key
from broadaxe.storage import webhooks
from broadaxe.storage.ids import new_id
from broadaxe.storage.vault import Vault

if TYPE_CHECKING:
    from .conftest import Serve, Site

NOW_S = 1_800_000_000
BODY = b'{"action":"opened","n":1.10}'
SECRET = "a signing secret"
SVIX_SECRET = "whsec_" + base64.b64encode(b"twenty-four random bytes").decode()
KEY = bytes(range(32))


def sign(algorithm: str, message: bytes, key: bytes = SECRET.encode()) -> bytes:
    return hmac.new(key, message, getattr(hashlib, algorithm)).digest()


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def hmac_proof(
    algorithm: Any = "SHA256", encoding: Any = "HEX", header: str = "X-Sig", secret: str = SECRET
) -> HmacProof:
    return HmacProof(algorithm, encoding, header, secret)


def slack(body: bytes = BODY, at_s: int = NOW_S) -> dict[str, str]:
    signature = sign("sha256", b"v0:%d:" % at_s + body).hex()
    return {"x-slack-request-timestamp": str(at_s), "x-sig": f"v0={signature}"}


def stripe(body: bytes = BODY, at_s: int = NOW_S, more: str = "") -> dict[str, str]:
    return {"x-sig": f"t={at_s},{more}v1={sign('sha256', b'%d.' % at_s + body).hex()},v0=00"}


def svix(body: bytes = BODY, at_s: int = NOW_S, family: str = "svix", more: str = "") -> dict[str, str]:
    key = base64.b64decode(SVIX_SECRET.removeprefix("whsec_"))
    signature = base64.b64encode(sign("sha256", b"msg_1.%d." % at_s + body, key)).decode()
    return {
        f"{family}-id": "msg_1",
        f"{family}-timestamp": str(at_s),
        f"{family}-signature": f"{more}v1,{signature}",
    }


BASIC = BasicProof("ada", "pässword:7")
API_KEY = ApiKeyProof("X-Api-Key", "k3y-of-acme")
SVIX = hmac_proof(secret=SVIX_SECRET)

Case = tuple[str, Proof, str, dict[str, str], type[Exception] | None]

PROOFS: list[Case] = [
    ("basic, right", BASIC, "GENERIC", basic("ada", "pässword:7"), None),
    ("basic, wrong password", BASIC, "GENERIC", basic("ada", "password"), NotProven),
    ("basic, wrong user", BASIC, "GENERIC", basic("eve", "pässword:7"), NotProven),
    ("basic, missing", BASIC, "GENERIC", {}, NotProven),
    ("basic, another scheme", BASIC, "GENERIC", {"authorization": "Bearer x"}, NotProven),
    ("basic, not base64", BASIC, "GENERIC", {"authorization": "Basic ?"}, NotProven),
    ("basic, whatever the source", BASIC, "STRIPE", basic("ada", "pässword:7"), None),
    ("api key, right", API_KEY, "GITHUB", {"x-api-key": "k3y-of-acme"}, None),
    ("api key, wrong", API_KEY, "GITHUB", {"x-api-key": "k3y-of-ac?e"}, NotProven),
    ("api key, longer", API_KEY, "GITHUB", {"x-api-key": "k3y-of-acme2"}, NotProven),
    ("api key, missing", API_KEY, "GITHUB", {"x-other": "k3y-of-acme"}, NotProven),
    ("hmac, hex", hmac_proof(), "GENERIC", {"x-sig": sign("sha256", BODY).hex()}, None),
    ("hmac, upper-case hex", hmac_proof(), "GENERIC", {"x-sig": sign("sha256", BODY).hex().upper()}, None),
    ("hmac, sha1", hmac_proof("SHA1"), "GENERIC", {"x-sig": sign("sha1", BODY).hex()}, None),
    ("hmac, sha512", hmac_proof("SHA512"), "LINEAR", {"x-sig": sign("sha512", BODY).hex()}, None),
    ("hmac, md5", hmac_proof("MD5"), "GENERIC", {"x-sig": sign("md5", BODY).hex()}, None),
    ("hmac, github's prefix", hmac_proof(), "GITHUB", {"x-sig": f"sha256={sign('sha256', BODY).hex()}"}, None),
    (
        "hmac, base64",
        hmac_proof(encoding="BASE64"),
        "GENERIC",
        {"x-sig": base64.b64encode(sign("sha256", BODY)).decode()},
        None,
    ),
    (
        "hmac, base64url without padding",
        hmac_proof(encoding="BASE64URL"),
        "GENERIC",
        {"x-sig": base64.urlsafe_b64encode(sign("sha256", BODY)).decode().rstrip("=")},
        None,
    ),
    ("hmac, missing", hmac_proof(), "GENERIC", {}, NotProven),
    ("hmac, another body", hmac_proof(), "GENERIC", {"x-sig": sign("sha256", BODY + b" ").hex()}, NotProven),
    ("hmac, another key", hmac_proof(), "GENERIC", {"x-sig": sign("sha256", BODY, b"x").hex()}, NotProven),
    ("hmac, another algorithm", hmac_proof(), "GENERIC", {"x-sig": sign("sha1", BODY).hex()}, NotProven),
    ("hmac, cut short", hmac_proof(), "GENERIC", {"x-sig": sign("sha256", BODY).hex()[:-2]}, NotProven),
    ("hmac, no hex", hmac_proof(), "GENERIC", {"x-sig": "sha256=zz"}, MalformedProof),
    ("hmac, no base64", hmac_proof(encoding="BASE64"), "GENERIC", {"x-sig": "?"}, MalformedProof),
    ("slack, right", hmac_proof(), "SLACK", slack(), None),
    ("slack, nearly too old", hmac_proof(), "SLACK", slack(at_s=NOW_S - 300), None),
    ("slack, too old", hmac_proof(), "SLACK", slack(at_s=NOW_S - 301), NotProven),
    ("slack, too far ahead", hmac_proof(), "SLACK", slack(at_s=NOW_S + 301), NotProven),
    ("slack, another body", hmac_proof(), "SLACK", slack(b"{}"), NotProven),
    ("slack, another time", hmac_proof(), "SLACK", slack() | {"x-slack-request-timestamp": str(NOW_S - 1)}, NotProven),
    ("slack, no time", hmac_proof(), "SLACK", {"x-sig": slack()["x-sig"]}, NotProven),
    ("slack, no number", hmac_proof(), "SLACK", slack() | {"x-slack-request-timestamp": "now"}, MalformedProof),
    ("slack, no version", hmac_proof(), "SLACK", slack() | {"x-sig": slack()["x-sig"][3:]}, MalformedProof),
    ("slack, a plain signature", hmac_proof(), "SLACK", {"x-sig": sign("sha256", BODY).hex()}, NotProven),
    ("stripe, right", hmac_proof(), "STRIPE", stripe(), None),
    ("stripe, one of two", hmac_proof(), "STRIPE", stripe(more=f"v1={'00' * 32},"), None),
    ("stripe, nearly too old", hmac_proof(), "STRIPE", stripe(at_s=NOW_S - 600), None),
    ("stripe, too old", hmac_proof(), "STRIPE", stripe(at_s=NOW_S - 601), NotProven),
    ("stripe, another body", hmac_proof(), "STRIPE", stripe(b"{}"), NotProven),
    ("stripe, missing", hmac_proof(), "STRIPE", {}, NotProven),
    ("stripe, no signature", hmac_proof(), "STRIPE", {"x-sig": f"t={NOW_S}"}, MalformedProof),
    ("stripe, no time", hmac_proof(), "STRIPE", {"x-sig": "v1=00"}, MalformedProof),
    ("stripe, a time with a sign", hmac_proof(), "STRIPE", {"x-sig": "t=-1,v1=00"}, MalformedProof),
    ("svix, right", SVIX, "SVIX", svix(), None),
    ("svix, the standard's names", SVIX, "SVIX", svix(family="webhook"), None),
    ("svix, one of several", SVIX, "SVIX", svix(more=f"v1a,x v1,{'A' * 43}= "), None),
    ("svix, too old", SVIX, "SVIX", svix(at_s=NOW_S - 301), NotProven),
    ("svix, too far ahead", SVIX, "SVIX", svix(at_s=NOW_S + 301), NotProven),
    ("svix, another body", SVIX, "SVIX", svix(b"{}"), NotProven),
    ("svix, another id", SVIX, "SVIX", svix() | {"svix-id": "msg_2"}, NotProven),
    ("svix, no id", SVIX, "SVIX", {k: v for k, v in svix().items() if k != "svix-id"}, NotProven),
    ("svix, missing", SVIX, "SVIX", {}, NotProven),
    ("svix, no known version", SVIX, "SVIX", svix() | {"svix-signature": "v2,AAAA"}, MalformedProof),
    ("svix, no base64", SVIX, "SVIX", svix() | {"svix-signature": "v1,?"}, MalformedProof),
]


@pytest.mark.parametrize(("proof", "source", "headers", "refusal"), [c[1:] for c in PROOFS], ids=[c[0] for c in PROOFS])
def test_a_proof_is_checked(
    proof: Proof, source: str, headers: dict[str, str], refusal: type[Exception] | None
) -> None:
    if refusal is None:
        check(proof, source, headers, BODY, now_s=NOW_S)
        return
    with pytest.raises(refusal) as refused:
        check(proof, source, headers, BODY, now_s=NOW_S)
    for secret in ("pässword:7", "k3y-of-acme", SECRET, SVIX_SECRET, sign("sha256", BODY).hex()):
        assert secret not in str(refused.value)


# Secrets at rest ----------------------------------------------------------------------------------------------------


def test_a_sealed_secret_opens_in_its_place_with_its_key_only() -> None:
    vault = Vault([KEY])
    sealed = vault.seal("s3cret", place="webhook a")
    assert b"s3cret" not in sealed
    assert vault.open(sealed, place="webhook a") == "s3cret"
    assert vault.seal("s3cret", place="webhook a") != sealed
    for damaged in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b"", b"\x02" + sealed[1:]):
        with pytest.raises(Unavailable):
            vault.open(damaged, place="webhook a")
    with pytest.raises(Unavailable, match="belongs elsewhere"):
        vault.open(sealed, place="webhook b")
    newer = bytes(32)
    with pytest.raises(Unavailable, match="BROADAXE_SECRET_KEY"):
        Vault([newer]).open(sealed, place="webhook a")
    assert Vault([newer, KEY]).open(sealed, place="webhook a") == "s3cret"
    assert Vault([newer]).open(Vault([newer, KEY]).seal("x", place=""), place="") == "x"
    with pytest.raises(FailedPrecondition, match="openssl rand -base64 32"):
        Vault().seal("x", place="")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (base64.b64encode(KEY).decode(), KEY),
        (base64.urlsafe_b64encode(b"\xff" * 32).decode().rstrip("="), b"\xff" * 32),
        (base64.b64encode(b"short").decode(), None),
        ("no base64, though it is long enough to be a key", None),
        ("", None),
    ],
    ids=["base64", "url alphabet without padding", "too short", "not base64", "empty"],
)
def test_a_key_is_32_bytes_in_base64(text: str, key: bytes | None) -> None:
    if key is not None:
        assert parse_key(text) == key
        return
    with pytest.raises(ValueError, match="32 random bytes"):
        parse_key(text)


def test_the_key_file_is_made_once_and_is_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret.key"
    key = key_from_file(path)
    assert len(key) == 32
    assert key_from_file(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    path.write_text("gone")
    with pytest.raises(ConfigurationError, match=r"secret\.key"):
        key_from_file(path)
    assert path.read_text() == "gone"


# The buckets --------------------------------------------------------------------------------------------------------


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    now = 0.0
    bursts = Bursts(rate_per_s=50, burst=100, clock=lambda: now)
    assert [bursts.take("a") for _ in range(101)] == [True] * 100 + [False]
    assert bursts.take("b")
    now = 0.1
    assert [bursts.take("a") for _ in range(6)] == [True] * 5 + [False]
    now = 1000.0
    assert sum(bursts.take("a") for _ in range(200)) == 100


def test_the_buckets_of_the_longest_silent_make_room() -> None:
    bursts = Bursts(rate_per_s=0.0, burst=1, clock=lambda: 0.0)
    assert bursts.take("busy")
    for number in range(KEYS_MAX + 10):
        bursts.take(number)
        assert number % 1000 or not bursts.take("busy")
    assert len(bursts._left) == KEYS_MAX


# Over HTTP ----------------------------------------------------------------------------------------------------------


def new_webhook(name: str = "hook", source: str = "GENERIC", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "sourceName": source,
        "eventKeyExpression": "'hook:' + input.action",
        "authType": "API_KEY",
        "auth": {"headerName": "X-Api-Key", "apiKey": "k3y-of-acme"},
    } | fields


def signed(name: str, header: str = "X-Sig", source: str = "GENERIC", **fields: Any) -> dict[str, Any]:
    auth = {"algorithm": "SHA256", "encoding": "HEX", "signatureHeaderName": header, "signingSecret": SECRET}
    return new_webhook(name, source, authType="HMAC", auth=auth, **fields)


PROVEN = {"X-Api-Key": "k3y-of-acme"}


@pytest.fixture
async def doors(serve: Serve) -> Site:
    """A site whose engine stores events as rows."""
    site = await serve(secret_keys=(KEY,))

    async def store(command: Command) -> Reply:
        assert isinstance(command, PushEvents)
        [event] = command.events
        event_id = await site.seeds.event(event.key, payload=event.payload, scope=event.scope)
        return (PushedEvent(event_id, 0, ()),)

    site.engine.answer = store
    return site


def pushed(site: Site) -> list[EventRequest]:
    return [event for _, command in site.engine.commands if isinstance(command, PushEvents) for event in command.events]


async def make(site: Site, body: dict[str, Any]) -> str:
    answer = await site.client.post(f"{site.stable}/webhooks", json=body)
    assert answer.status_code == 200, answer.text
    return f"{site.stable}/webhooks/{quote(body['name'], safe='')}"


async def test_a_proven_request_becomes_an_event_and_is_answered_with_it(doors: Site) -> None:
    url = await make(
        doors, signed("hook", scopeExpression="headers['x-team']", staticPayload={"via": "hook", "action": "x"})
    )
    body = b'{"n": 1.10, "action": "opened", "tenant": "t", "v1-webhook": "w", "big": 123456789012345678901234567890}'
    headers = {"X-Sig": sign("sha256", body).hex(), "X-Team": "acme"}
    answer = await doors.anonymous.post(url, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"] == "ok"
    event = V1Event.from_dict(answer.json()["event"])
    assert event is not None
    assert (event.key, event.scope) == ("hook:x", "acme")
    [sent] = pushed(doors)
    assert sent.payload == '{"n":1.10,"action":"x","big":123456789012345678901234567890,"via":"hook"}'
    assert (sent.additional_metadata, sent.triggering_webhook_name) == (None, "hook")
    assert doors.engine.commands[0][0] == doors.seeds.tenant_id


async def test_a_webhook_may_keep_its_events_to_itself(doors: Site) -> None:
    url = await make(doors, new_webhook(returnEventAsResponsePayload=False))
    answer = await doors.anonymous.post(url, json={"action": "a"}, headers=PROVEN)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [event.key for event in pushed(doors)] == ["hook:a"]


@pytest.mark.parametrize("source", ["GENERIC", "GITHUB", "LINEAR"])
async def test_a_signed_request_that_is_sent_again_makes_no_second_event(doors: Site, source: str) -> None:
    url = await make(doors, signed("hook", source=source))
    body = b'{"action": "opened"}'
    first = await doors.anonymous.post(url, content=body, headers={"X-Sig": sign("sha256", body).hex()})
    other_form = {"X-Sig": f"sha256={sign('sha256', body).hex().upper()}", "X-GitHub-Delivery": new_id()}
    again = await doors.anonymous.post(url, content=body, headers=other_form)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    other = b'{"action": "closed"}'
    await doors.anonymous.post(url, content=other, headers={"X-Sig": sign("sha256", other).hex()})
    assert [event.key for event in pushed(doors)] == ["hook:opened", "hook:closed"]


async def test_the_same_request_to_another_webhook_is_another_request(doors: Site) -> None:
    headers = {"X-Sig": sign("sha256", BODY).hex()}
    for name in ("one", "two"):
        url = await make(doors, signed(name))
        assert (await doors.anonymous.post(url, content=BODY, headers=headers)).status_code == 200
    assert len(pushed(doors)) == 2


async def test_a_request_that_failed_may_be_sent_again(doors: Site) -> None:
    url = await make(doors, signed("hook", returnEventAsResponsePayload=False))
    headers = {"X-Sig": sign("sha256", BODY).hex()}
    store = doors.engine.answer

    async def refuse(command: Command) -> Reply:
        raise Unavailable("the engine is away")

    doors.engine.answer = refuse
    assert (await doors.anonymous.post(url, content=BODY, headers=headers)).status_code == 503
    doors.engine.answer = store
    statuses = [(await doors.anonymous.post(url, content=BODY, headers=headers)).status_code for _ in range(2)]
    assert statuses == [204, 200]
    assert len(pushed(doors)) == 2, "the refused one and the one that was taken"


async def test_copies_that_arrive_together_make_one_event(doors: Site) -> None:
    url = await make(doors, signed("hook"))
    headers = {"X-Sig": sign("sha256", BODY).hex()}
    answers = await asyncio.gather(*(doors.anonymous.post(url, content=BODY, headers=headers) for _ in range(5)))
    assert {answer.json()["event"]["metadata"]["id"] for answer in answers} == {
        answers[0].json()["event"]["metadata"]["id"]
    }
    assert len(pushed(doors)) == 1


async def test_a_request_is_forgotten_after_its_time(doors: Site) -> None:
    url = await make(doors, signed("hook"))
    headers = {"X-Sig": sign("sha256", BODY).hex()}
    for age_s, events in ((0, 1), (REPLAY_WINDOWS_S["GENERIC"] - 60, 1), (REPLAY_WINDOWS_S["GENERIC"] + 60, 2)):
        await doors.seeds.pool.execute(
            "update broadaxe.webhook_delivery set at = now() - make_interval(secs => $1)", float(age_s)
        )
        assert (await doors.anonymous.post(url, content=BODY, headers=headers)).status_code == 200
        assert len(pushed(doors)) == events


async def test_deliveries_are_kept_to_the_latest(doors: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "DELIVERIES_KEPT", 3)
    url = await make(doors, signed("hook"))
    for number in range(5):
        body = b'{"action":"%d"}' % number
        await doors.anonymous.post(url, content=body, headers={"X-Sig": sign("sha256", body).hex()})
    assert await doors.seeds.pool.fetchval("select count(*) from broadaxe.webhook_delivery") == 3
    await doors.client.delete(url)
    assert await doors.seeds.pool.fetchval("select count(*) from broadaxe.webhook_delivery") == 0


@pytest.mark.parametrize("proof", [BASIC, API_KEY])
def test_what_is_not_signed_has_nothing_to_tell_copies_by(proof: Proof) -> None:
    headers = basic("ada", "pässword:7") | {"x-api-key": "k3y-of-acme"}
    assert check(proof, "GENERIC", headers, BODY, now_s=NOW_S) is None


async def test_refusals_are_told_apart_and_kept_for_people_to_see(doors: Site) -> None:
    url = await make(doors, new_webhook())
    refusals: list[tuple[dict[str, Any], int, str]] = [
        ({"json": {"action": "a"}}, 403, "PROOF"),
        ({"json": {"action": "a"}, "headers": {"X-Api-Key": "wrong"}}, 403, "PROOF"),
        ({"json": [1], "headers": PROVEN}, 400, "BODY"),
        ({"content": b"{", "headers": PROVEN}, 400, "BODY"),
        ({"content": b'{"action":"\xff"}', "headers": PROVEN}, 400, "BODY"),
        ({"content": b'{"action":"\\u0000"}', "headers": PROVEN}, 400, "BODY"),
        ({"content": b"[" * 200_000, "headers": PROVEN}, 400, "BODY"),
        ({"json": {}, "headers": PROVEN}, 400, "EVENT_KEY"),
        ({"json": {"action": 1}, "headers": PROVEN}, 400, "EVENT_KEY"),
    ]
    for request, status, _ in refusals:
        answer = await doors.anonymous.post(url, **request)
        assert answer.status_code == status, (request, answer.text)
        assert answer.json()["errors"][0]["description"]
    assert pushed(doors) == []
    listed = (await doors.client.get(f"{doors.stable}/webhook-failures")).json()["rows"]
    assert [row["reason"] for row in reversed(listed)] == [reason for _, _, reason in refusals]
    assert {row["webhookName"] for row in listed} == {"hook"}
    assert all(row["message"] and row["at"] for row in listed)
    other = await doors.client.get(f"{doors.stable}/webhook-failures", params={"webhookNames": "other"})
    assert other.json() == {"rows": []}
    assert (await doors.anonymous.get(f"{doors.stable}/webhook-failures")).status_code == 403


async def test_an_empty_key_or_a_failing_scope_pushes_nothing(doors: Site) -> None:
    empty = await make(doors, new_webhook("empty", eventKeyExpression="''"))
    unscoped = await make(doors, new_webhook("unscoped", scopeExpression="headers['x-missing']"))
    for url in (empty, unscoped):
        answer = await doors.anonymous.post(url, json={"action": "a"}, headers=PROVEN)
        assert answer.status_code == 400, answer.text
    assert pushed(doors) == []


async def test_unknown_webhooks_and_tenants_look_alike(doors: Site) -> None:
    answers = [
        await doors.anonymous.post(f"{doors.stable}/webhooks/none", json={}),
        await doors.anonymous.post(f"/api/v1/stable/tenants/{new_id()}/webhooks/none", json={}),
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].json() == answers[1].json()
    assert (await doors.anonymous.post("/api/v1/stable/tenants/x/webhooks/none", json={})).status_code == 400


FORMS: list[tuple[str, str, str, str | None]] = [
    ("generic fields, the first of each", "GENERIC", "action=a&action=b&empty=", '{"action":"a","empty":""}'),
    ("slack's payload field", "SLACK", "payload=%7B%22action%22%3A%22a%22%7D&x=1", '{"action":"a"}'),
    ("slack's fields", "SLACK", "action=%2Fdeploy&tenant=x", '{"action":"/deploy"}'),
    ("slack's payload that is none", "SLACK", "payload=%5B%5D", None),
    ("github takes no forms", "GITHUB", "action=a", None),
]


@pytest.mark.parametrize(("source", "form", "payload"), [f[1:] for f in FORMS], ids=[f[0] for f in FORMS])
async def test_forms_are_taken_from_those_who_send_them(
    doors: Site, source: str, form: str, payload: str | None
) -> None:
    url = await make(doors, new_webhook(source=source))
    headers = PROVEN | {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = await doors.anonymous.post(url, content=form, headers=headers)
    assert answer.status_code == (400 if payload is None else 200), answer.text
    assert [event.payload for event in pushed(doors)] == ([] if payload is None else [payload])


async def test_slack_asks_before_it_can_prove_anything(doors: Site) -> None:
    url = await make(doors, signed("slack", source="SLACK"))
    answer = await doors.anonymous.post(url, json={"type": "url_verification", "challenge": "3eZbrw1a"})
    assert (answer.status_code, answer.json()) == (200, {"challenge": "3eZbrw1a"})
    assert (await doors.anonymous.post(url, json={"challenge": ""})).status_code == 403
    other = await make(doors, new_webhook("other"))
    assert (await doors.anonymous.post(other, json={"challenge": "x"})).status_code == 403
    assert pushed(doors) == []


async def test_a_flood_is_bounded_for_each_webhook(doors: Site) -> None:
    url = await make(doors, new_webhook())
    other = await make(doors, new_webhook("other"))
    doors.app.state.webhook_door = Door(clock=lambda: 0.0)
    statuses = [(await doors.anonymous.post(url, json={})).status_code for _ in range(BURST + 2)]
    assert statuses == [403] * BURST + [429] * 2
    assert (await doors.anonymous.post(other, json={"action": "a"}, headers=PROVEN)).status_code == 200
    kept = (await doors.client.get(f"{doors.stable}/webhook-failures", params={"limit": 1000})).json()["rows"]
    assert len(kept) == FAILURES_BURST, "a flood of strangers is not a flood of rows"


async def test_failures_are_kept_to_the_latest_hundred(doors: Site) -> None:
    await make(doors, new_webhook())
    webhooks = doors.app.state.context.webhooks
    record = await webhooks.get(doors.seeds.tenant_id, "hook")
    for number in range(120):
        await webhooks.record_failure(record, "PROOF", f"number {number}\0")
    rows = (await doors.client.get(f"{doors.stable}/webhook-failures", params={"limit": 1000})).json()["rows"]
    assert [row["message"] for row in rows] == [f"number {number}\ufffd" for number in range(119, 19, -1)]


async def test_a_large_body_is_refused_before_it_is_read_whole(doors: Site) -> None:
    url = await make(doors, new_webhook())

    async def stream() -> Any:
        for _ in range(BODY_BYTES_MAX // 65536 + 2):
            yield b" " * 65536

    assert (await doors.anonymous.post(url, content=stream(), headers=PROVEN)).status_code == 413


async def test_webhooks_are_made_changed_listed_and_deleted(doors: Site) -> None:
    client = doors.client
    url = await make(doors, signed("a/b c", scopeExpression="input.team", staticPayload={"k": 1}))
    await make(doors, new_webhook("other"))
    shown = (await client.get(url)).json()
    assert shown["name"] == "a/b c"
    assert SECRET not in json.dumps(shown)
    stored = await doors.seeds.pool.fetchval("select secret from broadaxe.webhook where name = 'a/b c'")
    assert SECRET.encode() not in stored
    changed = await client.patch(url, json={"scopeExpression": "", "returnEventAsResponsePayload": False})
    assert changed.status_code == 200
    assert "scopeExpression" not in changed.json()
    assert (changed.json()["returnEventAsResponsePayload"], changed.json()["staticPayload"]) == (False, {"k": 1})
    assert changed.json()["eventKeyExpression"] == shown["eventKeyExpression"]
    refused = await client.patch(url, json={"eventKeyExpression": "input."})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "eventKeyExpression")
    for query, names in (
        ({}, ["other", "a/b c"]),
        ({"limit": 1, "offset": 1}, ["a/b c"]),
        ({"webhookNames": ["a/b c", "none"]}, ["a/b c"]),
        ({"sourceNames": "STRIPE"}, []),
    ):
        rows = (await client.get(f"{doors.stable}/webhooks", params=query)).json()["rows"]
        assert [row["name"] for row in rows] == names, query
    deleted = await client.delete(url)
    assert (deleted.status_code, deleted.json()["name"]) == (200, "a/b c")
    for answer in (await client.get(url), await client.patch(url, json={}), await client.delete(url)):
        assert answer.status_code == 404
    assert (await doors.anonymous.post(url, json={})).status_code == 400


INVALID: list[tuple[str, dict[str, Any], str]] = [
    ("a taken name", {"name": "hook"}, "name"),
    ("no name", {"name": ""}, "name"),
    ("a blank name", {"name": "  "}, "name"),
    ("a name that cannot be shown", {"name": "a\nb"}, "name"),
    ("an unknown source", {"sourceName": "GITLAB"}, "sourceName"),
    ("an unknown kind of proof", {"authType": "NONE"}, ""),
    ("a proof of another kind", {"authType": "BASIC"}, "auth.username"),
    ("no expression", {"eventKeyExpression": ""}, "eventKeyExpression"),
    ("an expression that does not parse", {"eventKeyExpression": "input."}, "eventKeyExpression"),
    ("a name the environment lacks", {"eventKeyExpression": "payload.x"}, "eventKeyExpression"),
    ("a scope that does not parse", {"scopeExpression": "1 +"}, "scopeExpression"),
    ("a static payload that is no object", {"staticPayload": [1]}, "staticPayload"),
    ("a static payload that is too large", {"staticPayload": {"x": "y" * 70_000}}, "staticPayload"),
    ("no key", {"auth": {"headerName": "X", "apiKey": ""}}, "auth.apiKey"),
    ("a header that cannot be one", {"auth": {"headerName": "X Y", "apiKey": "k"}}, "auth.headerName"),
    (
        "a svix secret that is none",
        signed("svix", source="SVIX"),
        "auth.signingSecret",
    ),
    (
        "a user name with a colon",
        {"authType": "BASIC", "auth": {"username": "a:b", "password": "c"}},
        "auth.username",
    ),
]


@pytest.mark.parametrize(("fields", "blamed"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID])
async def test_a_webhook_that_cannot_work_is_refused(doors: Site, fields: dict[str, Any], blamed: str) -> None:
    await make(doors, new_webhook("hook"))
    answer = await doors.client.post(f"{doors.stable}/webhooks", json=new_webhook("new") | fields)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0].get("field", "") == blamed
    assert len((await doors.client.get(f"{doors.stable}/webhooks")).json()["rows"]) == 1


async def test_webhooks_of_others_are_out_of_reach(doors: Site) -> None:
    await make(doors, new_webhook())
    for answer in (
        await doors.anonymous.get(f"{doors.stable}/webhooks"),
        await doors.anonymous.post(f"{doors.stable}/webhooks", json=new_webhook("x")),
        await doors.anonymous.delete(f"{doors.stable}/webhooks/hook"),
        await doors.client.get(f"/api/v1/stable/tenants/{new_id()}/webhooks/hook"),
    ):
        assert answer.status_code == 403


async def test_without_a_key_no_webhook_can_be_made(serve: Serve) -> None:
    site = await serve()
    answer = await site.client.post(f"{site.stable}/webhooks", json=new_webhook())
    assert answer.status_code == 400
    assert "BROADAXE_SECRET_KEY" in answer.json()["message"]


async def test_a_webhook_whose_key_is_gone_says_so_to_its_owner_only(doors: Site) -> None:
    url = await make(doors, new_webhook())
    await doors.seeds.pool.execute("update broadaxe.webhook set secret = $1", Vault([bytes(32)]).seal("x", place="y"))
    answer = await doors.anonymous.post(url, json={"action": "a"}, headers=PROVEN)
    assert answer.status_code == 503
    assert "BROADAXE_SECRET_KEY" not in answer.text
    [row] = (await doors.client.get(f"{doors.stable}/webhook-failures")).json()["rows"]
    assert (row["reason"], "BROADAXE_SECRET_KEY" in row["message"]) == ("SECRET", True)


def auths() -> Iterator[tuple[str, Any]]:
    yield "basic", V1WebhookBasicAuth(username="ada", password="s3cret")
    yield "key", V1WebhookAPIKeyAuth(headerName="X-Key", apiKey="k")
    yield (
        "hmac",
        V1WebhookHMACAuth(
            algorithm=V1WebhookHMACAlgorithm.SHA256,
            encoding=V1WebhookHMACEncoding.HEX,
            signatureHeaderName="X-Hub-Signature-256",
            signingSecret="s",
        ),
    )


async def test_the_official_client_manages_webhooks(doors: Site) -> None:
    webhooks = Hatchet(config=ClientConfig(token=doors.token)).webhooks
    for name, auth in auths():
        made = await webhooks.aio_create(V1WebhookSourceName.GITHUB, name, "'github:' + input.action", auth)
        assert (made.name, made.auth_type) == (name, {"key": "API_KEY"}.get(name, name.upper()))
        assert made.return_event_as_response_payload is True
    assert [row.name for row in (await webhooks.aio_list()).rows or []] == ["hmac", "key", "basic"]
    some = await webhooks.aio_list(limit=10, webhook_names=["key"], source_names=[V1WebhookSourceName.GITHUB])
    assert [row.name for row in some.rows or []] == ["key"]
    updated = await webhooks.aio_update("key", scope_expression="input.team", static_payload={"a": 1})
    assert (updated.scope_expression, updated.static_payload) == ("input.team", {"a": 1})
    assert (await webhooks.aio_get("key")).scope_expression == "input.team"
    assert (await webhooks.aio_delete("key")).name == "key"
    assert len((await webhooks.aio_list()).rows or []) == 2
