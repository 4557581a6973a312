"""What people ask about one run beside its tasks: how it came to be, and what its tasks stream while they run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from fastapi import Request
from fastapi.responses import StreamingResponse

from broadaxe.core.lifecycle import TERMINAL_RUN
from broadaxe.engine.subscriptions import EventSubscription, LiveKind
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.identity import ViewerCaller, missing
from broadaxe.rest.open_streams import OpenStreams
from broadaxe.rest.parameters import PathId
from broadaxe.rest.routers.changes import KEEP_ALIVE_S, STREAM_LIFE_S, EventStream
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes.run_facts import RunFactsAnswer, facts_of
from broadaxe.rest.wire import format_instant
from broadaxe.storage.run_facts import RunFacts

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

routes = router("runs")


@routes.get(f"{STABLE}/workflow-runs/{{run}}/facts")
async def get_run_facts(run: PathId, caller: ViewerCaller, context: ContextDep) -> RunFactsAnswer:
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
async def follow_chunks(run: PathId, caller: ViewerCaller, context: ContextDep, request: Request) -> StreamingResponse:
    """What the tasks of a run stream, as server-sent events: `chunk` with `taskExternalId`, `text`, `index` and `at`,
    and `end` when the run is over. Chunks are not kept: what was streamed before is not told."""
    found = await context.reads.runs_by_id(caller.tenant_ids, [run])
    if not found:
        raise missing("run", run)
    tenant_id = found[0].tenant_id
    subscription = await context.engine.watch_run(tenant_id, run)
    open_streams: OpenStreams = request.app.state.open_streams
    leave = open_streams.enter(subscription, caller, tenant_id, context)

    def end() -> None:
        leave()
        context.engine.unwatch(tenant_id, subscription)

    return EventStream(_chunks(context, tenant_id, run, subscription), end)


async def _chunks(
    context: Context, tenant_id: str, run_id: str, subscription: EventSubscription
) -> AsyncIterator[bytes]:
    # Looked at after subscribing: of a run that ended before nobody tells.
    found = await context.reads.runs_by_id([tenant_id], [run_id])
    if not found or found[0].status in TERMINAL_RUN:
        yield _event("end", {})
        return
    loop = asyncio.get_running_loop()
    ends_at_s = loop.time() + STREAM_LIFE_S
    yield b": follows\n\n"
    while loop.time() < ends_at_s:
        try:
            async with asyncio.timeout(KEEP_ALIVE_S):
                event = await subscription.next()
        except TimeoutError:
            yield b": still here\n\n"
            continue
        if event is None:
            return
        if event.is_last:
            yield _event("end", {})
            return
        if event.kind is LiveKind.CHUNK:
            at = format_instant(_EPOCH + timedelta(microseconds=event.at_us))
            yield _event(
                "chunk", {"taskExternalId": event.resource_id, "text": event.payload, "index": event.index, "at": at}
            )


def _event(name: str, data: Mapping[str, object]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
