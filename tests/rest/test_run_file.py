"""How a run came to be, its stream of chunks, and the run as one file with the viewer that shows it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from broadaxe.core.definition import ConcurrencyRule, TaskSpec
from broadaxe.core.keys import GroupKey, LimitKey, RunKeys, TaskKeys
from broadaxe.core.lifecycle import RunStatus
from broadaxe.engine.subscriptions import EventSubscription, LiveEvent, LiveKind
from broadaxe.errors import InvalidArgument
from broadaxe.rest import run_viewer
from broadaxe.rest.routers import run_files
from broadaxe.storage.ids import new_id
from tests.rest.conftest import Site


async def _facts(site: Site, run_id: str) -> dict[str, Any]:
    answer = await site.client.get(f"/api/v1/stable/workflow-runs/{run_id}/facts")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_run_tells_what_made_it(site: Site) -> None:
    made = await site.seeds.single()
    event_id = await site.seeds.event("order:placed", triggering_webhook_name="shop")
    parent = await site.seeds.run(made, task={})
    cron = {"hatchet__cron_name": "nightly", "hatchet__cron_expression": "0 3 * * *"}
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({}, {"kind": "UNKNOWN"}),
        ({"cause": "MANUAL"}, {"kind": "TRIGGER"}),
        # Which schedule it was, the run does not remember; what only looks like a cron's name is not one.
        ({"cause": "SCHEDULE", "metadata": cron}, {"kind": "SCHEDULE"}),
        (
            {"cause": "CRON", "metadata": cron},
            {"kind": "CRON", "cronName": "nightly", "cronExpression": "0 3 * * *"},
        ),
        (
            {"cause": "EVENT", "triggering_event_id": event_id, "triggering_event_key": "order:placed"},
            {"kind": "WEBHOOK", "eventId": event_id, "eventKey": "order:placed", "webhookName": "shop"},
        ),
        (
            {"cause": "MANUAL", "parent_run_id": parent, "parent_task_id": parent, "child_index": 0, "child_key": "k"},
            {
                "kind": "PARENT",
                "parentRunId": parent,
                "parentTaskId": parent,
                "parentName": "greet-1",
                "parentTaskName": "greet",
                "parentWorkflowName": "greet",
                "childIndex": 0,
                "childKey": "k",
            },
        ),
    ]
    for columns, expected in cases:
        run_id = await site.seeds.run(made, task={}, **columns)
        assert (await _facts(site, run_id))["origin"] == expected


async def test_a_run_tells_its_keys_limits_version_and_workers(site: Site) -> None:
    rule = ConcurrencyRule(expression="input.customer", max_runs=2)
    tasks = (TaskSpec(name="a", action_id="w:a"), TaskSpec(name="b", action_id="w:b", parents=("a",)))
    made = await site.seeds.workflow("w", tasks, concurrency=(rule,))
    keys = RunKeys(
        (GroupKey("acme", 2),), (TaskKeys(), TaskKeys((), (LimitKey("mail", 3, None, 1_000_000),), None, "default"))
    )
    run_id = await site.seeds.run(made, priority=3, idempotency_key="once", keys=msgspec.json.encode(keys).decode())
    worker_id, stranger_id = await site.seeds.worker(name="orders-1"), await site.seeds.worker(name="other")
    task_id = await site.seeds.task(made, run_id, "a")
    await site.seeds.history(task_id, ("QUEUED", 0), ("ASSIGNED", 0, {"worker_id": worker_id}))
    facts = await _facts(site, run_id)
    assert facts["priority"] == 3
    assert facts["idempotencyKey"] == "once"
    assert (facts["version"], facts["versionOrder"], facts["isLatestVersion"]) == ("v1", 1, True)
    assert facts["concurrency"] == [
        {"key": "acme", "maxRuns": 2, "expression": "input.customer", "strategy": "CANCEL_IN_PROGRESS"}
    ]
    assert facts["rateLimits"] == [{"task": "b", "key": "mail", "units": 3}]
    assert facts["workers"] == [{"id": worker_id, "name": "orders-1"}]
    assert stranger_id not in str(facts)


@pytest.mark.parametrize("part", ["facts", "file", "chunks", "values"])
async def test_other_tenants_and_unknown_runs_are_not_found(site: Site, part: str) -> None:
    run_id = await site.seeds.run(await site.seeds.single(), task={})
    theirs = await site.anonymous.get(f"/api/v1/stable/workflow-runs/{run_id}/{part}", headers=await site.stranger())
    assert theirs.status_code == 404
    assert (await site.client.get(f"/api/v1/stable/workflow-runs/{new_id()}/{part}")).status_code == 404
    assert (await site.anonymous.get(f"/api/v1/stable/workflow-runs/{run_id}/{part}")).status_code == 403


async def test_chunks_of_a_live_run_are_streamed_until_it_ends(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = await site.seeds.run(await site.seeds.single(), task={})
    subscription, unwatched = EventSubscription(), []

    async def watch_run(tenant_id: str, wanted: str) -> EventSubscription:
        assert (tenant_id, wanted) == (site.seeds.tenant_id, run_id)
        return subscription

    monkeypatch.setattr(site.engine, "watch_run", watch_run, raising=False)
    monkeypatch.setattr(site.engine, "unwatch", lambda _, given: unwatched.append(given), raising=False)
    subscription.deliver(LiveEvent(LiveKind.PROGRESS, run_id, run_id, 0))
    subscription.deliver(LiveEvent(LiveKind.CHUNK, run_id, run_id, 1_000_000, "two\nlines", index=0))
    subscription.deliver(LiveEvent(LiveKind.FINISHED, run_id, run_id, 2, status=RunStatus.COMPLETED, is_last=True))
    answer = await site.client.get(f"/api/v1/stable/workflow-runs/{run_id}/chunks")
    assert answer.headers["content-type"].startswith("text/event-stream")
    chunk = {"taskExternalId": run_id, "text": "two\nlines", "index": 0, "at": "1970-01-01T00:00:01.000000Z"}
    events = [part for part in answer.text.split("\n\n") if part and not part.startswith(":")]
    assert events[0].startswith("event: chunk\ndata: ")
    assert json.loads(events[0].partition("data: ")[2]) == chunk
    assert events[1] == "event: end\ndata: {}"
    assert unwatched == [subscription]


async def test_the_stream_of_a_run_that_is_over_ends_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = await site.seeds.run(await site.seeds.single(), status="COMPLETED", task={"status": "COMPLETED"})

    async def watch_run(*_: str) -> EventSubscription:
        return EventSubscription()

    monkeypatch.setattr(site.engine, "watch_run", watch_run, raising=False)
    monkeypatch.setattr(site.engine, "unwatch", lambda *_: None, raising=False)
    answer = await site.client.get(f"/api/v1/stable/workflow-runs/{run_id}/chunks")
    assert answer.text == "event: end\ndata: {}\n\n"


async def _told(site: Site) -> tuple[str, dict[str, Any]]:
    """A failed run of two attempts, with a child and two lines of log, and its file."""
    made = await site.seeds.single()
    run_id = await site.seeds.run(
        made, status="FAILED", input='{"n": 1}', task={"status": "FAILED", "retry_count": 1, "error": "ValueError: 2"}
    )
    await site.seeds.history(
        run_id,
        ("QUEUED", 0),
        ("STARTED", 0),
        ("FAILED", 0, {"error": "ValueError: 1"}),
        ("RETRYING", 1),
        ("STARTED", 1),
        ("FAILED", 1, {"error": "ValueError: 2"}),
    )
    await site.seeds.run(made, parent_task_id=run_id, parent_run_id=run_id, task={})
    for number, message in enumerate(("first", "second")):
        at = site.seeds.now + timedelta(seconds=number)
        await site.seeds._insert(
            "log_line", id=new_id(), task_id=run_id, retry_count=0, level="WARN", message=message, created_at=at
        )
    answer = await site.client.get(f"/api/v1/stable/workflow-runs/{run_id}/file")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == 'attachment; filename="greet-1.json"'
    return run_id, answer.json()


async def test_a_run_is_told_whole_in_one_file(site: Site) -> None:
    run_id, told = await _told(site)
    assert (told["format"], told["form"], told["cut"]) == ("broadaxe-run", 1, [])
    assert told["run"]["run"]["input"] == {"n": 1}
    assert [event["eventType"] for event in told["run"]["taskEvents"]].count("FAILED") == 2
    assert [(row["attempt"], row["errorMessage"]) for row in told["attempts"]] == [(1, "ValueError: 1")]
    assert [line["message"] for line in told["logs"]] == ["first", "second"]
    assert [child["parentTaskExternalId"] for child in told["children"]] == [run_id]
    assert told["spans"]
    assert told["facts"]["versionOrder"] == 1
    assert told["tenant"]["name"] == "Default"
    assert site.token not in json.dumps(told)


async def test_what_does_not_fit_into_the_file_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_files, "PAYLOAD_CHARS_MAX", 5)
    monkeypatch.setattr(run_files, "LINES_MAX", 1)
    monkeypatch.setattr(run_files, "ATTEMPTS_MAX", 0)
    _, told = await _told(site)
    assert told["run"]["run"]["input"] == {}
    assert [line["message"] for line in told["logs"]] == ["second"]
    assert told["attempts"] == []
    assert {sentence.split(" ")[0] for sentence in told["cut"]} == {"the", "of"}
    assert any("input of the run" in sentence for sentence in told["cut"])
    assert any("newest 1 lines" in sentence for sentence in told["cut"])


@pytest.fixture
async def viewer(site: Site, tmp_path: Path) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    run_id, told = await _told(site)
    file = tmp_path / "run.json"
    file.write_text(json.dumps(told))
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").write_text("<h1>the dashboard</h1>")
    app = run_viewer.create_viewer(run_viewer.read_run_file(file), "run.json", tmp_path / "dist")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as client:
        yield run_id, client


async def test_the_viewer_answers_what_the_page_of_the_run_asks(viewer: tuple[str, httpx.AsyncClient]) -> None:
    run_id, client = viewer
    meta = (await client.get("/api/v1/meta")).json()
    assert (meta["authDisabled"], meta["openedFile"]) == (True, "run.json")
    (row,) = (await client.get("/api/v1/users/memberships")).json()["rows"]
    tenant = f"/api/v1/stable/tenants/{row['tenant']['metadata']['id']}"
    run = f"/api/v1/stable/workflow-runs/{run_id}"
    assert (await client.get(run)).json()["run"]["status"] == "FAILED"
    assert (await client.get(f"{run}/facts")).json()["versionOrder"] == 1
    first = (await client.get(f"/api/v1/stable/tasks/{run_id}", params={"attempt": 1})).json()
    assert first["errorMessage"] == "ValueError: 1"
    assert (await client.get(f"/api/v1/stable/tasks/{run_id}")).json()["errorMessage"] == "ValueError: 2"
    query = {"taskExternalIds": run_id, "order_by_direction": "DESC", "limit": 1}
    page = (await client.get(f"{tenant}/logs", params=query)).json()
    assert [line["message"] for line in page["rows"]] == ["second"]
    query["cursor"] = page["pagination"]["next_cursor"]
    assert [line["message"] for line in (await client.get(f"{tenant}/logs", params=query)).json()["rows"]] == ["first"]
    found = await client.get(f"{tenant}/logs", params={"search": "SECO", "levels": "WARN"})
    assert len(found.json()["rows"]) == 1
    assert (await client.get(f"{tenant}/traces", params={"run_external_id": run_id})).json()["rows"]
    assert (await client.get(f"{tenant}/durable-tasks/{run_id}")).json() == []
    children = await client.get(f"{tenant}/workflow-runs", params={"parent_task_external_id": run_id})
    assert len(children.json()["rows"]) == 1
    assert "<h1" in (await client.get("/docs/console")).text, "the pages link to their chapters"
    page = await client.get(f"/runs/{run_id}")
    assert "the dashboard" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


async def test_the_viewer_changes_nothing_and_answers_this_machine_only(viewer: tuple[str, httpx.AsyncClient]) -> None:
    _, client = viewer
    refused = await client.post(f"/api/v1/stable/tenants/{new_id()}/tasks/cancel", json={"externalIds": []})
    assert refused.status_code == 401
    assert "file" in refused.json()["errors"][0]["description"]
    assert (await client.get(f"/api/v1/tenants/{new_id()}/worker")).status_code == 404
    for path in ("/api/v1/meta", "/runs/x"):
        assert (await client.get(path, headers={"Host": "evil.example"})).status_code == 403


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{not json", "not JSON"),
        ("[1]", "not the file of a run"),
        ('{"format": "broadaxe-run", "form": 2}', "newer Broadaxe"),
        ('{"format": "broadaxe-run", "form": 1, "run": {}}', "'tenant'"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_file_of_a_run_is_refused_by_name(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "given.json"
    file.write_text(text)
    with pytest.raises(InvalidArgument) as refused:
        run_viewer.read_run_file(file)
    assert complaint in refused.value.message
    assert "given.json" in refused.value.message
    with pytest.raises(InvalidArgument):
        run_viewer.read_run_file(tmp_path / "missing.json")


def test_the_app_knows_the_routes(site: Site) -> None:
    app: FastAPI = site.app
    described = app.openapi()["paths"]
    assert {"facts", "file", "chunks"} <= {path.rpartition("/")[2] for path in described}
