"""The engine's own spans, put together from the history of a run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hatchet_sdk.clients.rest.models.otel_span_list import OtelSpanList

from broadaxe.core.definition import TaskSpec
from broadaxe.core.tracing import attempt_span_id, queued_span_id, run_span_id
from broadaxe.storage import trace_reads
from broadaxe.storage.ids import new_id
from broadaxe.storage.spans import SentSpan, SpanStore
from tests.rest.conftest import Site


async def _spans(site: Site, run_id: str) -> list[dict[str, Any]]:
    answer = await site.client.get(f"{site.stable}/traces", params={"run_external_id": run_id})
    assert answer.status_code == 200, answer.text
    assert OtelSpanList.from_dict(answer.json()) is not None
    rows: list[dict[str, Any]] = answer.json()["rows"]
    return rows


async def test_each_attempt_has_a_wait_and_a_work_span(site: Site) -> None:
    made = await site.seeds.single()
    run_id = await site.seeds.run(made, status="COMPLETED", task={"status": "COMPLETED", "retry_count": 2})
    await site.seeds.history(
        run_id,
        ("QUEUED", 0),
        ("ASSIGNED", 0),
        ("SENT_TO_WORKER", 0),
        ("STARTED", 0),
        ("FAILED", 0, {"error": "broken"}),
        ("RETRYING", 1, {"message": "retry 1 of 2"}),
        ("QUEUED", 1),
        ("SENT_TO_WORKER", 1),
        ("REASSIGNED", 2, {"message": "its worker is lost"}),
        ("QUEUED", 2),
        ("SENT_TO_WORKER", 2),
        ("STARTED", 2),
        ("FINISHED", 2),
    )
    rows = await _spans(site, run_id)
    told = [(r["spanName"].rpartition(".")[2], r["retryCount"], r["durationNs"] / 1e9, r["statusCode"]) for r in rows]
    assert told == [
        ("workflow_run", 0, 0, "OK"),
        ("queued", 0, 2, "OK"),
        ("start_step_run", 0, 1, "ERROR"),
        ("queued", 1, 1, "OK"),
        ("start_step_run", 1, 1, "ERROR"),
        ("queued", 2, 1, "OK"),
        ("start_step_run", 2, 1, "OK"),
    ]
    assert [row.get("statusMessage") for row in rows if row["statusCode"] == "ERROR"] == [
        "broken",
        "its worker is lost",
    ]
    assert {row["traceId"] for row in rows} == {run_id.replace("-", "")}
    assert rows[0]["spanId"] == run_span_id(run_id)
    assert rows[1]["spanId"] == queued_span_id(run_id, 0)
    assert rows[6]["spanId"] == attempt_span_id(run_id, 2)
    assert {row["parentSpanId"] for row in rows[1:]} == {run_span_id(run_id)}
    assert "parentSpanId" not in rows[0]
    attributes = rows[6]["spanAttributes"]
    assert attributes["hatchet.step_run_id"] == attributes["hatchet.workflow_run_id"] == run_id
    assert (attributes["hatchet.step_name"], attributes["hatchet.retry_count"]) == ("greet", "2")


async def test_what_is_under_way_has_no_span_and_what_never_ran_no_work_span(site: Site) -> None:
    made = await site.seeds.workflow(
        "pair", tuple(TaskSpec(name=name, action_id=f"pair:{name}") for name in ("runs", "expires"))
    )
    run_id = await site.seeds.run(made, status="RUNNING")
    runs = await site.seeds.task(made, run_id, "runs", status="RUNNING")
    await site.seeds.history(runs, ("QUEUED", 0), ("SENT_TO_WORKER", 0), ("STARTED", 0))
    expires = await site.seeds.task(made, run_id, "expires", status="CANCELLED")
    await site.seeds.history(expires, ("QUEUED", 0), ("SCHEDULING_TIMED_OUT", 0, {"message": "nobody came"}))
    rows = await _spans(site, run_id)
    told = {(row["spanName"].rpartition(".")[2], row["spanAttributes"].get("hatchet.step_name")) for row in rows}
    assert told == {("workflow_run", None), ("queued", "runs"), ("queued", "expires")}
    expired = next(row for row in rows if row["spanAttributes"].get("hatchet.step_name") == "expires")
    assert (expired["statusCode"], expired["statusMessage"]) == ("ERROR", "nobody came")


async def test_children_and_the_event_belong_to_the_trace(site: Site) -> None:
    made = await site.seeds.single()
    event_id = await site.seeds.event("order:created")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    metadata = {
        "hatchet__event_id": event_id,
        "hatchet__event_key": "order:created",
        "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
    }
    run_id = await site.seeds.run(made, status="RUNNING", metadata=metadata, task={"status": "RUNNING"})
    child_id = await site.seeds.run(
        made,
        parent_run_id=run_id,
        parent_task_id=run_id,
        metadata={"traceparent": f"00-{trace}-{attempt_span_id(run_id, 0)}-01"},
        created_at=site.seeds.now + timedelta(seconds=3),
        task={},
    )
    rows = await _spans(site, run_id)
    assert {row["traceId"] for row in rows} == {trace}
    by_run = {
        (row["spanName"].rpartition(".")[2], row["spanAttributes"]["hatchet.workflow_run_id"]): row for row in rows
    }
    assert set(by_run) == {("event", run_id), ("workflow_run", run_id), ("workflow_run", child_id)}
    assert by_run["workflow_run", run_id]["parentSpanId"] == "00f067aa0ba902b7"
    assert by_run["event", run_id]["spanAttributes"]["hatchet.event_key"] == "order:created"
    assert by_run["workflow_run", child_id]["parentSpanId"] == attempt_span_id(run_id, 0)


async def test_events_that_a_run_pushed_are_in_its_trace(site: Site) -> None:
    made = await site.seeds.single()
    run_id = await site.seeds.run(made, status="RUNNING", task={"status": "RUNNING"})
    source = {"hatchet__source_workflow_run_id": run_id, "hatchet__source_step_run_id": run_id}
    event_id = await site.seeds.event("order:paid", additional_metadata=json.dumps(source))
    await site.seeds.event("order:paid", additional_metadata=json.dumps(source | {next(iter(source)): new_id()}))
    rows = await _spans(site, run_id)
    (emitted,) = [row for row in rows if row["spanName"] == "hatchet.engine.event_emitted"]
    assert emitted["parentSpanId"] == run_span_id(run_id)
    assert emitted["traceId"] == run_id.replace("-", "")
    attributes = emitted["spanAttributes"]
    assert (attributes["hatchet.event_id"], attributes["hatchet.event_key"]) == (event_id, "order:paid")
    assert attributes["hatchet.step_run_id"] == run_id


async def test_an_unknown_run_has_no_trace(site: Site) -> None:
    answer = await site.client.get(f"{site.stable}/traces", params={"run_external_id": new_id()})
    assert answer.status_code == 404
    answer = await site.client.get(f"{site.stable}/traces", params={"run_external_id": "nonsense"})
    assert answer.status_code == 400


# The list of traces -------------------------------------------------------------------------------------------------


def _span(trace: int, span: int, **changes: Any) -> SentSpan:
    fields: dict[str, Any] = {
        "trace_id": str(UUID(int=trace)),
        "span_id": span.to_bytes(8, "big"),
        "parent_span_id": None if span == 1 else (1).to_bytes(8, "big"),
        "run_id": None,
        "task_id": None,
        "retry_count": 0,
        "name": f"span {span}",
        "kind": 1,
        "service_name": "shop",
        "status_code": 1,
        "status_message": "",
        "started_at_ns": 1_700_000_000_000_000_000 + span * 1_000_000,
        "duration_ns": 5_000_000,
        "attributes": "{}",
        "resource_attributes": "{}",
        "scope_name": "",
        "scope_version": "",
    }
    return SentSpan(**fields | changes)


@pytest.fixture
async def send(site: Site) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    store = SpanStore(site.seeds.pool)
    store.start()

    async def sent(*spans: SentSpan) -> None:
        store.add(site.seeds.tenant_id, spans)
        await store.flush()

    yield sent
    await store.stop()


async def _traces(site: Site, **query: Any) -> tuple[list[int], str | None]:
    answer = await site.client.get(f"{site.stable}/trace-summaries", params=query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [int(row["traceId"], 16) for row in body["rows"]], body["pagination"].get("next_cursor")


async def test_traces_are_listed_with_what_their_spans_say(site: Site, send: Any) -> None:
    run_id = await site.seeds.run(await site.seeds.single(), status="COMPLETED", task={"status": "COMPLETED"})
    await send(
        _span(1, 2, name="charge", service_name="bank", status_code=2, duration_ns=90_000_000),
        _span(1, 1, name="POST /order", run_id=run_id),
        _span(1, 1, name="POST /order", run_id=run_id),
    )
    rows = (await site.client.get(f"{site.stable}/trace-summaries")).json()["rows"]
    assert [(row["name"], row["serviceNames"], row["spans"], row["errors"], row["durationMs"]) for row in rows] == [
        ("POST /order", ["bank", "shop"], 2, 1, 91)
    ]
    assert rows[0]["runExternalId"] == run_id
    assert rows[0]["traceId"] == f"{1:032x}"


async def test_traces_are_found_by_a_span_that_passes_every_filter(site: Site, send: Any) -> None:
    await send(_span(1, 1, name="GET /a_b"), _span(1, 2, status_code=2), _span(2, 1, service_name="bank"))
    await send(_span(3, 1, duration_ns=2_000_000_000))
    for query, expected in (
        ({}, [3, 2, 1]),
        ({"name": "get"}, [1]),
        ({"name": "a%b"}, []),
        ({"service": "bank"}, [2]),
        ({"status": "ERROR"}, [1]),
        ({"status": "ERROR", "service": "bank"}, []),
        ({"minDurationMs": 2_000}, [3]),
        ({"since": "2999-01-01T00:00:00Z"}, []),
    ):
        assert (await _traces(site, **query))[0] == expected, query
    refused = await site.client.get(f"{site.stable}/trace-summaries", params={"status": "BAD"})
    assert refused.status_code == 400


async def test_a_trace_stands_on_one_page_only_however_long_its_spans_took(
    site: Site, send: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(_span(1, 1), _span(2, 1))
    await send(_span(1, 2), _span(3, 1))
    await send(_span(3, 2))
    found, cursor = [], None
    while True:
        page, cursor = await _traces(site, limit=1, **({} if cursor is None else {"cursor": cursor}))
        found += page
        if cursor is None:
            break
    assert found == [3, 1, 2]
    # What is rare is looked for among some spans at a time, and the page says where to go on.
    monkeypatch.setattr(trace_reads, "SPANS_LOOKED_AT_MAX", 2)
    page, cursor = await _traces(site, name="nowhere")
    assert (page, cursor is not None) == ([], True)


async def test_a_trace_is_shown_by_its_id_with_the_engines_spans_if_it_is_a_runs(site: Site, send: Any) -> None:
    run_id = await site.seeds.run(await site.seeds.single(), status="COMPLETED", task={"status": "COMPLETED"})
    own = run_id.replace("-", "")
    await send(_span(UUID(run_id).int, 1, run_id=run_id), _span(7, 1))
    names = [row["spanName"] for row in (await site.client.get(f"{site.stable}/traces/{own}")).json()["rows"]]
    assert set(names) == {"span 1", "hatchet.engine.workflow_run"}
    alone = await site.client.get(f"{site.stable}/traces/{7:032x}")
    assert OtelSpanList.from_dict(alone.json()) is not None
    assert [row["spanName"] for row in alone.json()["rows"]] == ["span 1"]
    assert (await site.client.get(f"{site.stable}/traces/{8:032x}")).status_code == 404
    assert (await site.client.get(f"{site.stable}/traces/xyz")).status_code == 400
