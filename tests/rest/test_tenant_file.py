"""A tenant as one file: what is in it, what is not, who may have it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from broadaxe.rest.routers import tenant_files
from broadaxe.storage import accounts
from broadaxe.storage.ids import new_id
from tests.rest.conftest import Site


async def lines_of(site: Site) -> list[dict[str, Any]]:
    answer = await site.client.get(f"/api/v1/stable/tenants/{site.seeds.tenant_id}/file")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="default.jsonl"'
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_everything_of_one_tenant_is_in_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = site.seeds
    made = await seeds.single()
    ids = [new_id() for _ in range(5)]
    for number, run_id in enumerate(ids):
        done = {"status": "COMPLETED", "output": json.dumps({"n": number})} if number else {"status": "QUEUED"}
        await seeds.run(
            made,
            id=run_id,
            status=done["status"],
            input=json.dumps({"n": number, "pad": "x" * 400}),
            created_at=seeds.now + timedelta(seconds=number),
            task=done,
            metadata={"team": "a"},
            priority=3,
        )
    tenant = f"/api/v1/tenants/{seeds.tenant_id}"
    other = await accounts.create_tenant(seeds.pool, "Other", "other", site.owner.id)
    await seeds.pool.execute(
        "insert into broadaxe.rate_limit (tenant_id, key, limit_value, value, window_us, last_refill_at)"
        " values ($1, 'theirs', 1, 1, 1000000, now()), ($2, 'ours', 7, 7, 60000000, now())",
        other.id,
        seeds.tenant_id,
    )
    # One or two runs a page, whatever they hold.
    monkeypatch.setattr(tenant_files, "PAGE", 2)
    monkeypatch.setattr(tenant_files, "PAGE_BYTES", 500)
    head, *rows, end = await lines_of(site)
    assert (head["format"], head["form"]) == ("broadaxe-tenant", 1)
    assert head["tenant"] == {"id": seeds.tenant_id, "name": "Default", "slug": "default"}
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for line in rows:
        by_kind.setdefault(line["kind"], []).append(line["row"])
    assert end == {"kind": "end", "row": {kind: len(found) for kind, found in by_kind.items()}}
    assert [row["workflowRunExternalId"] for row in by_kind["run"]] == ids[::-1]
    newest, oldest = by_kind["run"][0], by_kind["run"][-1]
    assert (newest["status"], newest["input"]["n"], newest["output"]["n"]) == ("COMPLETED", 4, 4)
    assert (oldest["status"], oldest["priority"], oldest["additionalMetadata"]) == ("QUEUED", 3, {"team": "a"})
    assert [row["name"] for row in by_kind["workflow"]] == ["greet"]
    assert by_kind["workflow-version"][0]["workflowId"] == by_kind["workflow"][0]["metadata"]["id"]
    assert [(row["key"], row["limitValue"]) for row in by_kind["rate-limit"]] == [("ours", 7)]
    assert [row["user"]["email"] for row in by_kind["member"]] == [site.owner.email]
    assert other.id not in json.dumps(rows)
    assert (await site.anonymous.get(f"/api/v1/stable{tenant[7:]}/file")).status_code == 403
