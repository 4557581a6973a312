"""What people ask about one run beside its tasks: how it came to be, and what its tasks stream while they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from fastapi import Request
from fastapi.responses import StreamingResponse

from broadaxe.core.lifecycle import TERMINAL_RUN
from broadaxe.engine.subscriptions import EventSubscription, LiveKind
from broadaxe.errors import ResourceExhausted
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.identity import CallerDep, missing
from broadaxe.rest.parameters import PathId
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.run_facts import RunFactsAnswer, facts_of
from broadaxe.rest.wire import format_instant
from broadaxe.storage.run_facts import RunFacts

#: Streams of chunks that are open at a time, of all tenants.
STREAMS_MAX: Final = 500
#: A stream without news says so this often, so that proxies keep it open and we notice who has left.
SILENCE_S: Final = 15.0

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

routes = router("runs")


@routes.get(f"{STABLE}/workflow-runs/{{run}}/facts")
async def get_run_facts(run: PathId, caller: CallerDep, context: ContextDep) -> RunFactsAnswer:
    """How a run came to be and what holds for it: what triggered it, its parent, version, priority, concurrency keys,
    limits, and the workers that had it. What a run does not remember is left out: one made by a schedule does not know
    which, and nobody knows which person asked for one."""
    record = await RunFacts(context.pool).of(caller.tenant_ids, run)
    if record is None:
        raise missing("run", run)
    found = await context.reads.runs_by_id([record.tenant_id], [run])
    version_id = found[0].version_id if found else ""
    definitions = await context.catalogue.definitions(record.tenant_id, [version_id])
    return facts_of(record, definitions.get(version_id))


@routes.get(
    f"{STABLE}/workflow-runs/{{run}}/chunks",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events."}},
)
async def follow_chunks(run: PathId, caller: CallerDep, context: ContextDep, request: Request) -> StreamingResponse:
    """What the tasks of a run stream, as server-sent events: `chunk` with `taskExternalId`, `text`, `index` and `at`,
    and `end` when the run is over. Chunks are not kept: what was streamed before is not told."""
    found = await context.reads.runs_by_id(caller.tenant_ids, [run])
    if not found:
        raise missing("run", run)
    open_streams: set[EventSubscription] = request.app.state.chunk_streams
    if len(open_streams) >= STREAMS_MAX:
        raise ResourceExhausted(f"{STREAMS_MAX} streams of chunks are open already; close some")
    tenant_id = found[0].tenant_id
    subscription = await context.engine.watch_run(tenant_id, run)
    open_streams.add(subscription)
    return StreamingResponse(
        _chunks(context, tenant_id, run, subscription, open_streams),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _chunks(
    context: Context, tenant_id: str, run_id: str, subscription: EventSubscription, open_streams: set[EventSubscription]
) -> AsyncIterator[bytes]:
    try:
        # Looked at after subscribing: a run that ended before nobody tells of.
        found = await context.reads.runs_by_id([tenant_id], [run_id])
        if not found or found[0].status in TERMINAL_RUN:
            yield _event("end", {})
            return
        yield b": follows\n\n"
        while True:
            try:
                event = await asyncio.wait_for(subscription.next(), SILENCE_S)
            except TimeoutError:
                yield b": nothing new\n\n"
                continue
            if event is None or event.is_last:
                yield _event("end", {})
                return
            if event.kind is LiveKind.CHUNK:
                at = format_instant(_EPOCH + timedelta(microseconds=event.at_us))
                chunk = {"taskExternalId": event.resource_id, "text": event.payload, "index": event.index, "at": at}
                yield _event("chunk", chunk)
    finally:
        open_streams.discard(subscription)
        with suppress(Exception):
            context.engine.unwatch(tenant_id, subscription)


def _event(name: str, data: Mapping[str, object]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
