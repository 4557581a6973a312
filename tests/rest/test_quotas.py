"""Limits of a tenant over HTTP: how they are shown, and which status a refusal has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hatchet_sdk.clients.rest.models.tenant_resource_policy import TenantResourcePolicy

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.events import PushEvents
from broadaxe.core.commands.quotas import QuotaState, Resource, ShowQuotas
from broadaxe.core.commands.triggers import TriggerRuns
from broadaxe.errors import QuotaReached

if TYPE_CHECKING:
    from .conftest import Serve, Site

DAY_US = 86_400_000_000
PROVEN = {"X-Api-Key": "k3y-of-acme"}


def new_webhook(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "sourceName": "GENERIC",
        "eventKeyExpression": "input.key",
        "authType": "API_KEY",
        "auth": {"headerName": "X-Api-Key", "apiKey": "k3y-of-acme"},
    }


@pytest.fixture
async def limited(serve: Serve) -> Site:
    """A site whose engine enforces limits: one webhook, and no room for anything else."""
    site = await serve(secret_keys=(bytes(range(32)),), enforce_limits=True)

    async def answer(command: Command) -> Reply:
        if isinstance(command, ShowQuotas):
            return (
                QuotaState(Resource.TASK_RUN, 2_000, 17, DAY_US, 1_767_268_800_000_000),
                QuotaState(Resource.EVENT, 1_000, 0, DAY_US),
                QuotaState(Resource.WORKER, 3, 1),
                QuotaState(Resource.INCOMING_WEBHOOK, 1, 0),
            )
        assert isinstance(command, TriggerRuns | PushEvents)
        raise QuotaReached("the tenant's limit is reached")

    site.engine.answer = answer
    return site


async def test_limits_are_shown_with_what_is_used(limited: Site) -> None:
    answer = await limited.client.post(f"{limited.stable}/webhooks", json=new_webhook("one"))
    assert answer.status_code == 200, answer.text
    body = (await limited.client.get(f"{limited.tenant}/resource-policy")).json()
    shown = {limit.pop("resource"): limit for limit in body["limits"]}
    assert len({limit.pop("metadata")["id"] for limit in shown.values()}) == 4
    window = {"window": "24h0m0s", "lastRefill": "2026-01-01T12:00:00.000000Z"}
    assert shown["TASK_RUN"] == {"limitValue": 2_000, "value": 17, "alarmValue": 1_600, **window}
    assert shown["EVENT"] == {"limitValue": 1_000, "value": 0, "alarmValue": 800, "window": "24h0m0s"}
    assert shown["WORKER"] == {"limitValue": 3, "value": 1, "alarmValue": 2}
    assert shown["INCOMING_WEBHOOK"] == {"limitValue": 1, "value": 1, "alarmValue": 0}


async def test_limits_that_bind_show_what_the_engine_counts(limited: Site) -> None:
    body = (await limited.client.get(f"{limited.stable}/limits")).json()
    assert body["isEnforced"] is True
    shown = {limit.pop("resource"): limit for limit in body["limits"]}
    window = {"window": "24h0m0s", "lastRefill": "2026-01-01T12:00:00.000000Z"}
    common = {"isDefault": True, "isMore": False}
    assert shown["TASK_RUN"] == {"limitValue": 2_000, "value": 17, **common, **window}
    assert shown["WORKER"] == {"limitValue": 3, "value": 1, **common}
    assert shown["INCOMING_WEBHOOK"] == {"limitValue": 5, "value": 0, **common}


async def test_the_sdk_reads_them(limited: Site) -> None:
    body = (await limited.client.get(f"{limited.tenant}/resource-policy")).json()
    policy = TenantResourcePolicy.from_dict(body)
    assert policy is not None
    assert [limit.limit_value for limit in policy.limits] == [2_000, 1_000, 3, 1]


async def test_an_engine_that_does_not_enforce_limits_is_not_asked(site: Site) -> None:
    assert (await site.client.get(f"{site.tenant}/resource-policy")).json() == {"limits": []}
    assert site.engine.commands == []


async def test_a_run_too_many_is_a_bad_request(limited: Site) -> None:
    answer = await limited.client.post(
        f"{limited.stable}/workflow-runs/trigger", json={"workflowName": "greet", "input": {}}
    )
    assert (answer.status_code, answer.json()["message"]) == (400, "the tenant's limit is reached")


async def test_senders_of_webhooks_are_told_to_come_back(limited: Site) -> None:
    await limited.client.post(f"{limited.stable}/webhooks", json=new_webhook("hook"))
    answer = await limited.anonymous.post(f"{limited.stable}/webhooks/hook", json={"key": "k"}, headers=PROVEN)
    assert (answer.status_code, answer.json()["code"]) == (429, "QUOTA_REACHED")
    failures = (await limited.client.get(f"{limited.stable}/webhook-failures")).json()
    assert failures["rows"] == []


async def test_a_webhook_too_many_is_not_made(limited: Site) -> None:
    await limited.client.post(f"{limited.stable}/webhooks", json=new_webhook("one"))
    answer = await limited.client.post(f"{limited.stable}/webhooks", json=new_webhook("two"))
    assert answer.status_code == 400
    assert "INCOMING_WEBHOOK" in answer.json()["message"] and "delete one" in answer.json()["message"]
    assert len((await limited.client.get(f"{limited.stable}/webhooks")).json()["rows"]) == 1
