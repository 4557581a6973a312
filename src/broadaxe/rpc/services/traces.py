"""`TraceService` of OpenTelemetry: spans that workers and callers export, beside the engine's own.

Source: grpc specification 11 and semantics 8.5. A request is never refused for what one span says: a span that is not
valid, or that finds no room, is left out and counted in the partial success that OTLP has for it. Events and links of
spans are not kept.

Bounds: `SPANS_PER_REQUEST_MAX` spans of a request; of a span `ATTRIBUTES_MAX` attributes and `ATTRIBUTES_CHARS_MAX`
characters in them, each value cut at `VALUE_CHARS_MAX`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final
from uuid import UUID

import msgspec

from broadaxe.rpc._gen import otlp_pb2 as pb
from broadaxe.rpc.transport import Call, Method, unary
from broadaxe.storage.ids import is_id
from broadaxe.storage.spans import SentSpan, SpanStore

SPANS_PER_REQUEST_MAX: Final = 4_096
ATTRIBUTES_MAX: Final = 128
ATTRIBUTES_CHARS_MAX: Final = 64 * 1024
KEY_CHARS_MAX: Final = 256
VALUE_CHARS_MAX: Final = 16 * 1024
NAME_CHARS_MAX: Final = 1_000
MESSAGE_CHARS_MAX: Final = 4_000
#: How deep lists and maps in a value are told; what is deeper is shown as null.
VALUE_DEPTH_MAX: Final = 6
#: Other calls get a turn after so many spans.
SPANS_AT_ONCE: Final = 256

_NS_MAX: Final = 2**63 - 1
_RETRY_COUNT_MAX: Final = 2**31 - 1

#: How a value that is not a text looks before it is written as JSON.
_Plain = str | bool | int | float | list["_Plain"] | dict[str, "_Plain"] | None


class TraceService:
    def __init__(self, spans: SpanStore) -> None:
        self._spans = spans

    def methods(self) -> list[Method]:
        return [
            unary(
                "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                pb.ExportTraceServiceRequest,
                pb.ExportTraceServiceResponse,
                self.export,
            )
        ]

    async def export(self, request: pb.ExportTraceServiceRequest, call: Call) -> pb.ExportTraceServiceResponse:
        tenant_id = call.principal.tenant_id
        taken = surplus = invalid = without_room = 0
        for batch in request.resource_spans:
            resource = _texts(batch.resource.attributes)
            resource_text = _json(resource)
            for group in batch.scope_spans:
                for start in range(0, len(group.spans), SPANS_AT_ONCE):
                    wire_spans = group.spans[start : start + SPANS_AT_ONCE]
                    room = max(SPANS_PER_REQUEST_MAX - taken, 0)
                    surplus += max(len(wire_spans) - room, 0)
                    wire_spans = wire_spans[:room]
                    taken += len(wire_spans)
                    found = [_sent(span, group.scope, resource, resource_text) for span in wire_spans]
                    spans = [span for span in found if span is not None]
                    invalid += len(found) - len(spans)
                    without_room += self._spans.add(tenant_id, spans)
                    await asyncio.sleep(0)
        return _answer(surplus, invalid, without_room)


def _answer(surplus: int, invalid: int, without_room: int) -> pb.ExportTraceServiceResponse:
    reasons = []
    if surplus:
        reasons.append(f"{surplus} beyond the {SPANS_PER_REQUEST_MAX} that one request may have")
    if invalid:
        reasons.append(f"{invalid} without valid trace id, span id and times")
    if without_room:
        reasons.append(f"{without_room} for which there was no room; the database cannot keep up")
    if not reasons:
        return pb.ExportTraceServiceResponse()
    message = "spans left out: " + "; ".join(reasons)
    return pb.ExportTraceServiceResponse(
        partial_success=pb.ExportTracePartialSuccess(
            rejected_spans=surplus + invalid + without_room, error_message=message
        )
    )


def _sent(
    span: pb.Span, scope: pb.InstrumentationScope, resource: dict[str, str], resource_text: str
) -> SentSpan | None:
    """The span as it is stored; None if it is not a valid one."""
    start_ns, end_ns = span.start_time_unix_nano, span.end_time_unix_nano
    parent = span.parent_span_id
    if (
        not (len(span.trace_id) == 16 and any(span.trace_id))
        or not (len(span.span_id) == 8 and any(span.span_id))
        or len(parent) not in (0, 8)
        or not 0 < start_ns <= _NS_MAX
        or end_ns > _NS_MAX
    ):
        return None
    attributes = _texts(span.attributes)
    return SentSpan(
        trace_id=str(UUID(bytes=span.trace_id)),
        span_id=span.span_id,
        parent_span_id=parent if any(parent) else None,
        run_id=_id(attributes.get("hatchet.workflow_run_id")),
        task_id=_id(attributes.get("hatchet.step_run_id")),
        retry_count=_retry_count(attributes.get("hatchet.retry_count")),
        name=_text(span.name, NAME_CHARS_MAX),
        kind=span.kind if 0 <= span.kind <= 5 else 0,
        service_name=_text(resource.get("service.name", ""), NAME_CHARS_MAX),
        status_code=span.status.code if 0 <= span.status.code <= 2 else 0,
        status_message=_text(span.status.message, MESSAGE_CHARS_MAX),
        started_at_ns=start_ns,
        duration_ns=max(end_ns - start_ns, 0),
        attributes=_json(attributes),
        resource_attributes=resource_text,
        scope_name=_text(scope.name, NAME_CHARS_MAX),
        scope_version=_text(scope.version, NAME_CHARS_MAX),
    )


def _texts(pairs: Iterable[pb.KeyValue]) -> dict[str, str]:
    """Attributes as texts, within the bounds: what comes first is kept."""
    texts: dict[str, str] = {}
    room = ATTRIBUTES_CHARS_MAX
    for pair in pairs:
        if len(texts) >= ATTRIBUTES_MAX or room <= 0:
            break
        key = pair.key[:KEY_CHARS_MAX]
        value = pair.value
        text = value.string_value if value.HasField("string_value") else _written(_plain(value, VALUE_DEPTH_MAX))
        text = _cut(text, min(VALUE_CHARS_MAX, room))
        texts[key] = text
        room -= len(key) + len(text)
    return texts


def _plain(value: pb.AnyValue, depth: int) -> _Plain:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bytes_value":
            return value.bytes_value[:VALUE_CHARS_MAX].hex()
        case "array_value" if depth:
            return [_plain(item, depth - 1) for item in value.array_value.values]
        case "kvlist_value" if depth:
            return {pair.key: _plain(pair.value, depth - 1) for pair in value.kvlist_value.values}
        case _:
            return None


def _written(value: _Plain) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: _Plain | dict[str, str]) -> str:
    return msgspec.json.encode(value).decode()


def _cut(text: str, length_max: int) -> str:
    return text if len(text) <= length_max else text[: max(length_max - 1, 0)] + "…"


def _text(text: str, length_max: int) -> str:
    """PostgreSQL stores no NUL in text."""
    return _cut(text.replace("\0", "\N{REPLACEMENT CHARACTER}"), length_max)


def _id(text: str | None) -> str | None:
    return text.lower() if text is not None and is_id(text) else None


def _retry_count(text: str | None) -> int:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 10:
        return 0
    return min(int(text), _RETRY_COUNT_MAX)
