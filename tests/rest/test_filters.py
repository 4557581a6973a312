"""Event filters, recorded failures, idempotency keys of runs, and events as the HTTP API shows and takes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hatchet_sdk.clients.rest.models.v1_event import V1Event
from hatchet_sdk.clients.rest.models.v1_filter import V1Filter
from hatchet_sdk.clients.rest.models.v1_filter_list import V1FilterList

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.events import PushedEvent, PushEvents
from broadaxe.core.commands.filters import ChangeFilter, CreateFilter, DeleteFilter
from broadaxe.errors import NotFound
from broadaxe.storage.ids import new_id

if TYPE_CHECKING:
    from .conftest import Site


async def put_filter(site: Site, workflow_id: str, scope: str, **columns: object) -> str:
    row = {
        "id": new_id(),
        "workflow_id": workflow_id,
        "scope": scope,
        "expression": "true",
        "payload": '{"p":1}',
        "is_declared": False,
        "created_at": site.seeds.now,
        "updated_at": site.seeds.now,
    } | columns
    await site.seeds._insert("event_filter", **row)
    return str(row["id"])


async def test_filters_are_listed_newest_first_in_pages_from_zero(site: Site) -> None:
    one, _, _ = await site.seeds.single("one")
    two, _, _ = await site.seeds.single("two")
    ids = [await put_filter(site, workflow, scope) for workflow, scope in ((one, "a"), (one, "b"), (two, "a"))]
    url = f"{site.stable}/filters"
    listed = V1FilterList.from_dict((await site.client.get(url)).json())
    assert listed is not None
    assert [row.metadata.id for row in listed.rows or []] == ids[::-1]
    page = (await site.client.get(url, params={"limit": 2, "offset": 2})).json()
    assert page["pagination"] == {"current_page": 1, "next_page": 2, "num_pages": 2}
    for query, expected in (
        ({"workflowIds": one}, [ids[1], ids[0]]),
        ({"scopes": ["b", "c"]}, [ids[1]]),
        ({"workflowIds": two, "scopes": "b"}, []),
    ):
        rows = (await site.client.get(url, params=query)).json()["rows"]
        assert [row["metadata"]["id"] for row in rows] == expected


async def test_a_filter_is_shown_made_changed_and_deleted(site: Site) -> None:
    workflow_id, _, _ = await site.seeds.single()
    filter_id = await put_filter(site, workflow_id, "acme", is_declared=True)

    async def answer(command: Command) -> Reply:
        return filter_id if isinstance(command, CreateFilter) else None

    site.engine.answer = answer
    url = f"{site.stable}/filters"
    shown = (await site.client.get(f"{url}/{filter_id}")).json()
    parsed = V1Filter.from_dict(shown)
    assert parsed is not None
    assert (parsed.scope, parsed.expression, parsed.payload, parsed.is_declarative) == ("acme", "true", {"p": 1}, True)
    made = await site.client.post(url, json={"workflowId": workflow_id, "expression": "true", "scope": "s"})
    assert (made.status_code, made.json()) == (200, shown)
    changed = await site.client.patch(f"{url}/{filter_id}", json={"payload": {"q": [1]}, "expression": None})
    assert (changed.status_code, changed.json()) == (200, shown)
    deleted = await site.client.delete(f"{url}/{filter_id}")
    assert (deleted.status_code, deleted.json()) == (200, shown)
    assert [command for _, command in site.engine.commands] == [
        CreateFilter(workflow_id=workflow_id, scope="s", expression="true", payload="{}"),
        ChangeFilter(filter_id=filter_id, payload='{"q":[1]}'),
        DeleteFilter(filter_id),
    ]


async def test_filters_that_are_not_there(site: Site) -> None:
    async def answer(command: Command) -> Reply:
        raise NotFound("there is no workflow", field="workflowId")

    site.engine.answer = answer
    url = f"{site.stable}/filters/{new_id()}"
    for verb in ("GET", "PATCH", "DELETE"):
        assert (await site.client.request(verb, url, json={} if verb == "PATCH" else None)).status_code == 404, verb
    body = {"workflowId": new_id(), "expression": "true", "scope": "s"}
    assert (await site.client.post(f"{site.stable}/filters", json=body)).status_code == 404
    assert (await site.client.get(f"{site.stable}/filters/nonsense")).status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"expression": "true", "scope": "s"}, "workflowId"),
        ({"workflowId": "x", "expression": "true", "scope": "s"}, "workflowId"),
        ({"workflowId": new_id(), "expression": 1, "scope": "s"}, "expression"),
        ({"workflowId": new_id(), "expression": "true", "scope": "s", "payload": []}, "payload"),
        ({"workflowId": new_id(), "expression": "true", "scope": "s", "payload": {"a": "\x00"}}, "payload"),
        ({"workflowId": new_id(), "expression": "true", "scope": "\ud800"}, "scope"),
    ],
    ids=["no workflow", "no id", "number", "list", "NUL", "lone surrogate"],
)
async def test_bad_filters_are_refused_by_field(site: Site, body: dict[str, object], field: str) -> None:
    answer = await site.client.post(
        f"{site.stable}/filters", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert site.engine.commands == []


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("input.n > payload.least && additional_metadata.user == 'u'", {"status": "SUCCESS", "output": True}),
        ("input.n == 0", {"status": "SUCCESS", "output": False}),
        ("input.n", "expected bool"),
        ("input.none == 1", "none"),
        ("input.", "does not compile"),
        ("output.n == 1", "undeclared"),
        ("event_key == 'k'", "event_key has no value"),
    ],
)
async def test_an_expression_is_tried_out(site: Site, expression: str, expected: dict[str, object] | str) -> None:
    body = {
        "expression": expression,
        "input": {"n": 2},
        "filterPayload": {"least": 1},
        "additionalMetadata": {"user": "u"},
    }
    answer = await site.client.post(f"{site.stable}/cel/debug", json=body)
    assert answer.status_code == 200
    said = answer.json()
    if isinstance(expected, dict):
        assert said == expected
    else:
        assert said["status"] == "ERROR"
        assert expected in said["error"]
        assert "output" not in said


async def test_failures_are_listed_newest_first(site: Site) -> None:
    workflow_id, _, _ = await site.seeds.single()
    ids = [new_id() for _ in range(3)]
    for failure_id, source in zip(ids, ("FILTER", "IDEMPOTENCY_KEY", "FILTER"), strict=True):
        await site.seeds._insert(
            "expression_failure",
            id=failure_id,
            source=source,
            message=f"no {source}",
            workflow_id=workflow_id,
            at=site.seeds.now,
        )
    url = f"{site.stable}/cel/failures"
    rows = (await site.client.get(url)).json()["rows"]
    assert [row["metadata"]["id"] for row in rows] == ids[::-1]
    assert {key: rows[0][key] for key in ("source", "message", "workflowId")} == {
        "source": "FILTER",
        "message": "no FILTER",
        "workflowId": workflow_id,
    }
    assert "eventId" not in rows[0]
    rows = (await site.client.get(url, params={"sources": "IDEMPOTENCY_KEY"})).json()["rows"]
    assert [row["metadata"]["id"] for row in rows] == [ids[1]]
    assert len((await site.client.get(url, params={"limit": 1, "offset": 2})).json()["rows"]) == 1
    assert (await site.client.get(url, params={"sources": "NONSENSE"})).status_code == 400


# Runs ----------------------------------------------------------------------------------------------------------------


async def test_runs_are_found_by_idempotency_key(site: Site) -> None:
    made = await site.seeds.single()
    keyed = await site.seeds.run(made, idempotency_key="order-1", task={})
    other = await site.seeds.run(made, idempotency_key="order-2", task={})
    await site.seeds.run(made, task={})
    url = f"{site.stable}/workflow-runs"
    query = {"since": "2025-01-01T00:00:00Z"}
    for only_tasks in ("false", "true"):
        for keys, expected in ((["order-1"], [keyed]), (["order-1", "order-2", "x"], [other, keyed]), (["order"], [])):
            params = query | {"only_tasks": only_tasks, "idempotency_keys": keys}
            answer = (await site.client.get(url, params=params)).json()
            assert [row["metadata"]["id"] for row in answer["rows"]] == expected, (only_tasks, keys)
            assert answer["pagination"]["num_pages"] == len(expected[:1])
    rows = (await site.client.get(url, params=query | {"only_tasks": "false"})).json()["rows"]
    assert [row.get("idempotencyKey") for row in rows] == [None, "order-2", "order-1"]
    assert (await site.client.get(f"/api/v1/stable/tasks/{keyed}")).json()["idempotencyKey"] == "order-1"
    ids = (await site.client.get(f"{url}/external-ids", params=query | {"idempotency_keys": "order-2"})).json()
    assert ids == [other]


# Events --------------------------------------------------------------------------------------------------------------


async def test_an_event_tells_which_filter_and_webhook_had_a_part_in_it(site: Site) -> None:
    made = await site.seeds.single()
    event_id = await site.seeds.event("k", triggering_webhook_name="shop", scope="s")
    filter_id = new_id()
    filtered = await site.seeds.run(made, triggering_event_id=event_id, filter_id=filter_id, task={})
    plain = await site.seeds.run(made, triggering_event_id=event_id, status="FAILED", task={"status": "FAILED"})
    shown = (await site.client.get(f"{site.stable}/events/{event_id}")).json()
    assert shown["triggeringWebhookName"] == "shop"
    assert shown["triggeredRuns"] == [
        {"workflowRunId": filtered, "filterId": filter_id},
        {"workflowRunId": plain},
    ]
    assert shown["workflowRunSummary"] == {"running": 0, "queued": 1, "succeeded": 0, "failed": 1, "cancelled": 0}
    assert V1Event.from_dict(shown) is not None


async def test_the_summary_counts_runs_that_are_not_listed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadaxe.storage.event_reads.RUNS_PER_EVENT_MAX", 2)
    made = await site.seeds.single()
    event_ids = [await site.seeds.event("k") for _ in range(2)]
    for event_id in event_ids:
        for _ in range(3):
            await site.seeds.run(made, triggering_event_id=event_id, task={})
    rows = (await site.client.get(f"{site.stable}/events")).json()["rows"]
    assert [(len(row["triggeredRuns"]), row["workflowRunSummary"]["queued"]) for row in rows] == [(2, 3), (2, 3)]


@pytest.mark.parametrize(
    ("pairs", "is_found"),
    [
        (["n:5"], True),
        (["on:true"], True),
        (["text:five"], True),
        (["list:[1, 2]"], True),
        (["n:5", "on:true"], True),
        (["n:5", "on:false"], False),
        (["none:"], False),
        (["missing:x"], False),
        (["n:5.0"], False),
    ],
)
async def test_metadata_of_any_kind_is_compared_as_text(site: Site, pairs: list[str], is_found: bool) -> None:
    metadata = '{"n":5,"on":true,"text":"five","list":[1,2],"none":null}'
    event_id = await site.seeds.event("k", additional_metadata=metadata)
    await site.seeds.event("k")
    answer = (await site.client.get(f"{site.stable}/events", params={"additionalMetadata": pairs})).json()
    assert [row["metadata"]["id"] for row in answer["rows"]] == [event_id] * is_found
    assert answer["pagination"]["num_pages"] == int(is_found)


async def test_events_are_pushed_one_or_many_at_a_time(site: Site) -> None:
    async def store(command: Command) -> Reply:
        assert isinstance(command, PushEvents)
        pushed = [
            PushedEvent(await site.seeds.event(event.key, payload=event.payload, scope=event.scope), 0, ())
            for event in command.events
        ]
        return tuple(pushed)

    site.engine.answer = store
    url = f"{site.tenant}/events"
    body = {"key": "k", "data": {"n": 7}, "additionalMetadata": {"m": 1}, "priority": 3, "scope": "s"}
    one = await site.client.post(url, json=body)
    assert one.status_code == 200, one.text
    assert (one.json()["key"], one.json()["payload"], one.json()["scope"]) == ("k", {"n": 7}, "s")
    (_, command) = site.engine.commands[-1]
    assert isinstance(command, PushEvents)
    (event,) = command.events
    assert (event.key, event.payload, event.additional_metadata, event.priority, event.scope) == (
        "k",
        '{"n":7}',
        '{"m":1}',
        3,
        "s",
    )
    many = await site.client.post(f"{url}/bulk", json={"events": [{"key": f"k{n}", "data": {}} for n in range(3)]})
    assert [row["key"] for row in many.json()["events"]] == ["k0", "k1", "k2"]
    for path, bad, field in (
        (url, {"key": "", "data": {}}, "key"),
        (url, {"key": "k\x00", "data": {}}, "key"),
        (url, {"key": "k", "data": []}, "data"),
        (f"{url}/bulk", {"events": []}, "events"),
        (f"{url}/bulk", {"events": [{"key": "k", "data": {}}] * 1_001}, "events"),
        (f"{url}/bulk", {"events": [{"key": "k", "data": {}}, {"key": "k", "data": {"a": "\x00"}}]}, "events[1].data"),
    ):
        refused = await site.client.post(path, json=bad)
        assert refused.status_code == 400, bad
        assert refused.json()["errors"][0]["field"] == field
