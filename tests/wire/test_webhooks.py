"""A request of another service becomes a run, on a real engine that keeps the webhook's secret over a restart."""

from __future__ import annotations

import hashlib
import hmac
import json
import stat

import httpx
from hatchet_sdk import Hatchet
from hatchet_sdk.clients.rest.models.v1_webhook_hmac_algorithm import V1WebhookHMACAlgorithm
from hatchet_sdk.clients.rest.models.v1_webhook_hmac_auth import V1WebhookHMACAuth
from hatchet_sdk.clients.rest.models.v1_webhook_hmac_encoding import V1WebhookHMACEncoding
from hatchet_sdk.clients.rest.models.v1_webhook_source_name import V1WebhookSourceName
from wirekit import PATIENCE_S, EngineProcess, Rest, Stage

SECRET = "a signing secret"


def make_webhook(hatchet: Hatchet, name: str, event_key: str) -> str:
    """The webhook's address."""
    hatchet.webhooks.create(
        V1WebhookSourceName.GITHUB,
        name,
        event_key,
        V1WebhookHMACAuth(
            algorithm=V1WebhookHMACAlgorithm.SHA256,
            encoding=V1WebhookHMACEncoding.HEX,
            signatureHeaderName="X-Hub-Signature-256",
            signingSecret=SECRET,
        ),
    )
    return f"/api/v1/stable/tenants/{hatchet.tenant_id}/webhooks/{name}"


def signed(body: bytes) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}


async def test_a_webhook_request_starts_the_workflows_that_listen_for_its_event(
    engine: EngineProcess, hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    url = make_webhook(hatchet, key, "'wire:order.' + headers['x-github-event']")
    body = json.dumps({"key": key, "n": 7}).encode()
    async with httpx.AsyncClient(base_url=engine.url, timeout=PATIENCE_S) as stranger:
        forged = await stranger.post(url, content=body, headers=signed(body + b" ") | {"X-GitHub-Event": "push"})
        assert forged.status_code == 403
        answer = await stranger.post(url, content=body, headers=signed(body) | {"X-GitHub-Event": "push"})
    assert answer.status_code == 200, answer.text
    (plain,) = await stage.heard(key, "echo")
    assert (plain.data["n"], plain.data["event"]) == (7, "wire:order.push")
    event = answer.json()["event"]
    listed = next(row for row in await rest.user_events() if row["metadata"]["id"] == event["metadata"]["id"])
    assert (listed["key"], listed["payload"]) == ("wire:order.push", {"key": key, "n": 7})
    assert len(stage.told(key, "echo")) == 1, "the forged request started nothing"


async def test_a_webhook_survives_a_restart_with_its_secret(embedded_engine: EngineProcess) -> None:
    url = make_webhook(embedded_engine.client(), "hook", "'k'")
    key_file = embedded_engine.data_dir / "secret.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    await embedded_engine.kill()
    await embedded_engine.start()
    async with httpx.AsyncClient(base_url=embedded_engine.url, timeout=PATIENCE_S) as stranger:
        assert (await stranger.post(url, content=b"{}", headers=signed(b"{}"))).status_code == 200
        assert (await stranger.post(url, content=b"{}", headers=signed(b"{ }"))).status_code == 403
