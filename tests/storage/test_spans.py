"""Spans on their way into their table: what is kept of them, and what is left out and told so."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from broadaxe.rpc._gen import otlp_pb2 as pb
from broadaxe.rpc.services import traces
from broadaxe.rpc.services.traces import TraceService
from broadaxe.rpc.transport import Call, Principal
from broadaxe.storage import batches
from broadaxe.storage.ids import new_id
from broadaxe.storage.spans import SpanStore
from broadaxe.storage.trace_reads import TraceReads
from tests.storage.ground import make_tenant

TRACE = bytes(range(16))
NOW_NS = time.time_ns()


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _span(number: int = 1, **fields: object) -> Span:
    given: dict[str, object] = {
        "trace_id": TRACE,
        "span_id": number.to_bytes(8),
        "name": f"span {number}",
        "start_time_unix_nano": NOW_NS,
        "end_time_unix_nano": NOW_NS + 1_500,
    }
    return Span(**(given | fields))  # type: ignore[arg-type]


class Desk:
    """The service on a real store, asked the way an exporter asks."""

    def __init__(self, pool: asyncpg.Pool, tenant_id: str) -> None:
        self.pool = pool
        self.tenant_id = tenant_id
        self.store = SpanStore(pool)
        self.service = TraceService(self.store)
        self.reads = TraceReads(pool)

    async def export(self, *spans: Span, resource: tuple[KeyValue, ...] = ()) -> pb.ExportTracePartialSuccess:
        batch = ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])
        batch.resource.attributes.extend(resource)
        sent = ExportTraceServiceRequest(resource_spans=[batch]).SerializeToString()
        call = Call("/Export", {}, "here", Principal(self.tenant_id, new_id()), asyncio.Event(), self)
        answer = await self.service.export(pb.ExportTraceServiceRequest.FromString(sent), call)
        return answer.partial_success

    async def kept(self, run_id: str | None = None) -> dict[str, dict[str, str]]:
        """Attributes of the stored spans, by name."""
        await self.store.flush()
        spans = await self.reads.spans(self.tenant_id, TRACE.hex(), run_id or new_id(), limit=10_000)
        return {span.name: span.attributes for span in spans.rows}


@pytest.fixture
async def desk(pool: asyncpg.Pool) -> AsyncIterator[Desk]:
    desk = Desk(pool, await make_tenant(pool))
    desk.store.start()
    yield desk
    await desk.store.stop()


async def test_a_span_is_kept_with_what_it_says(desk: Desk) -> None:
    run_id, task_id = new_id(), new_id()
    span = _span(
        parent_span_id=b"parent-8",
        kind=Span.SPAN_KIND_CLIENT,
        status=Status(code=Status.STATUS_CODE_ERROR, message="lost\0it"),
        attributes=[
            _text("hatchet.workflow_run_id", run_id),
            _text("hatchet.step_run_id", task_id.upper()),
            KeyValue(key="hatchet.retry_count", value=AnyValue(int_value=3)),
            KeyValue(key="yes", value=AnyValue(bool_value=True)),
            KeyValue(key="half", value=AnyValue(double_value=0.5)),
            KeyValue(key="raw", value=AnyValue(bytes_value=b"\x01\xff")),
            KeyValue(key="list", value=AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue()]))),
            KeyValue(key="map", value=AnyValue(kvlist_value=KeyValueList(values=[_text("a", "b")]))),
            KeyValue(key="nothing"),
        ],
    )
    assert (await desk.export(span, resource=(_text("service.name", "shop"),))).rejected_spans == 0
    await desk.store.flush()
    (found,) = (await desk.reads.spans(desk.tenant_id, UUID(int=7).hex, run_id, limit=10)).rows
    assert (found.trace_id, found.span_id, found.parent_span_id) == (TRACE.hex(), f"{1:016x}", b"parent-8".hex())
    assert (found.name, found.kind, found.status_code, found.retry_count) == ("span 1", 3, 2, 3)
    assert found.status_message == "lost\N{REPLACEMENT CHARACTER}it"
    assert (found.service_name, found.resource_attributes) == ("shop", {"service.name": "shop"})
    assert found.duration_ns == 1_500
    assert found.started_at.timestamp() == pytest.approx(NOW_NS / 1e9, abs=1e-5)
    rest = {key: value for key, value in found.attributes.items() if not key.startswith("hatchet.")}
    assert rest == {
        "yes": "true",
        "half": "0.5",
        "raw": "01ff",
        "list": "[1,null]",
        "map": '{"a":"b"}',
        "nothing": "null",
    }


async def test_another_tenants_spans_are_not_seen(desk: Desk, pool: asyncpg.Pool) -> None:
    await desk.export(_span())
    assert list(await desk.kept()) == ["span 1"]
    desk.tenant_id = await make_tenant(pool)
    assert await desk.kept() == {}


async def test_a_span_sent_twice_is_told_once(desk: Desk) -> None:
    run_id = new_id()
    span = _span(attributes=[_text("hatchet.workflow_run_id", run_id)])
    await desk.export(span, _span(2))
    await desk.export(span)
    await desk.store.flush()
    found = (await desk.reads.spans(desk.tenant_id, TRACE.hex(), run_id, limit=10)).rows
    assert sorted(span.name for span in found) == ["span 1", "span 2"]


@pytest.mark.parametrize(
    "fields",
    [
        {"trace_id": b""},
        {"trace_id": bytes(16)},
        {"trace_id": b"short"},
        {"span_id": bytes(8)},
        {"span_id": b"longer than eight"},
        {"parent_span_id": b"odd"},
        {"start_time_unix_nano": 0},
        {"start_time_unix_nano": 2**63},
        {"end_time_unix_nano": 2**64 - 1},
    ],
    ids=lambda fields: "-".join(f"{key}={str(value)[:12]}" for key, value in fields.items()),
)
async def test_a_span_that_is_not_valid_does_not_take_its_neighbours_along(
    desk: Desk, fields: dict[str, object]
) -> None:
    answer = await desk.export(_span(1), _span(2, **fields), _span(3))
    assert answer.rejected_spans == 1
    assert "without valid trace id" in answer.error_message
    assert list(await desk.kept()) == ["span 1", "span 3"]


async def test_odd_numbers_and_ids_are_read_leniently(desk: Desk) -> None:
    attributes = [_text("hatchet.workflow_run_id", "nonsense"), _text("hatchet.retry_count", "many")]
    span = _span(end_time_unix_nano=NOW_NS - 5, attributes=attributes)
    span.kind = 77  # type: ignore[assignment]
    assert (await desk.export(span)).rejected_spans == 0
    await desk.store.flush()
    (found,) = (await desk.reads.spans(desk.tenant_id, TRACE.hex(), new_id(), limit=10)).rows
    assert (found.kind, found.duration_ns, found.retry_count) == (0, 0, 0)


async def test_attributes_are_bounded(desk: Desk) -> None:
    many = _span(1, attributes=[_text(f"key {n}", "v") for n in range(500)])
    long = _span(2, attributes=[_text("a", "x" * 100_000), _text("b", "\0" * 100_000), _text("k" * 9_999, "v")])
    deep = AnyValue(string_value="core")
    for _ in range(40):
        deep = AnyValue(array_value=ArrayValue(values=[deep]))
    await desk.export(many, long, _span(3, attributes=[KeyValue(key="deep", value=deep)]))
    kept = await desk.kept()
    assert len(kept["span 1"]) == traces.ATTRIBUTES_MAX
    assert {len(key): len(value) for key, value in kept["span 2"].items()} == {1: traces.VALUE_CHARS_MAX, 256: 1}
    assert kept["span 2"]["a"].endswith("x…")
    assert json.loads(kept["span 3"]["deep"]) == [[[[[[None]]]]]]


async def test_a_request_of_too_many_spans_is_cut(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "SPANS_PER_REQUEST_MAX", 3)
    monkeypatch.setattr(traces, "SPANS_AT_ONCE", 2)
    answer = await desk.export(*(_span(n) for n in range(1, 9)))
    assert answer.rejected_spans == 5
    assert "5 beyond the 3" in answer.error_message
    assert list(await desk.kept()) == ["span 1", "span 2", "span 3"]


async def test_spans_that_find_no_room_are_counted(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "ROWS_MAX", 2)
    answer = await desk.export(*(_span(n) for n in range(1, 4)))
    assert answer.rejected_spans == 1
    assert "no room" in answer.error_message
    assert list(await desk.kept()) == ["span 1", "span 2"]
