"""Spans of clients' traces: batched straight into their table, past the core.

Owns the record of a span and how it is stored; `rpc/services/traces.py` decides what of a request becomes one. The
buffer in front of the table is that of `batches.py`; a span that finds it full is counted back to its sender. A span
sent twice (an exporter that heard no answer) is stored twice and told once: readers go by trace and span id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import asyncpg
import msgspec

from broadaxe.storage.batches import BatchWriter
from broadaxe.storage.ids import new_id
from broadaxe.storage.statements import statement

__all__ = ["SentSpan", "SpanStore"]


class SentSpan(msgspec.Struct, frozen=True, gc=False):
    """A span as it was sent, checked and cut to size. `attributes` and `resource_attributes` are JSON objects of texts;
    kinds and status codes are numbered as OpenTelemetry does."""

    trace_id: str
    """A UUID's text made of the 16 bytes."""
    span_id: bytes
    parent_span_id: bytes | None
    run_id: str | None
    task_id: str | None
    retry_count: int
    name: str
    kind: int
    service_name: str
    status_code: int
    status_message: str
    started_at_ns: int
    duration_ns: int
    attributes: str
    resource_attributes: str
    scope_name: str
    scope_version: str


class _Row(msgspec.Struct, frozen=True, gc=False):
    tenant_id: str
    id: str
    span: SentSpan

    @property
    def size_bytes(self) -> int:
        span = self.span
        return len(span.attributes) + len(span.resource_attributes) + len(span.status_message) + 500


class SpanStore:
    """Takes spans from the gRPC edge and writes them in batches. `start` it before use, `stop` it to drain."""

    def __init__(self, pool: asyncpg.Pool, on_stored: Callable[[str, Iterable[str]], None] = lambda *_: None) -> None:
        """`on_stored` hears of tenants and their tasks whose new spans can be read."""
        self._pool = pool
        self._hear = on_stored
        self._writer = BatchWriter("spans", self._insert, self._stored)
        self.start = self._writer.start
        self.flush = self._writer.flush
        self.stop = self._writer.stop

    def add(self, tenant_id: str, spans: Iterable[SentSpan]) -> int:
        """Buffers spans; returns how many there was no room for."""
        return sum(not self._writer.add(_Row(tenant_id, new_id(), span)) for span in spans)

    def _stored(self, batch: Sequence[_Row]) -> None:
        tasks: defaultdict[str, set[str]] = defaultdict(set)
        for row in batch:
            tasks[row.tenant_id].update(id_ for id_ in (row.span.run_id, row.span.task_id) if id_ is not None)
        for tenant_id, ids in tasks.items():
            self._hear(tenant_id, ids)

    async def _insert(self, batch: Sequence[_Row]) -> None:
        fields = zip(*(msgspec.structs.astuple(row.span) for row in batch), strict=True)
        await self._pool.execute(
            statement("spans/insert"), [row.tenant_id for row in batch], [row.id for row in batch], *map(list, fields)
        )
