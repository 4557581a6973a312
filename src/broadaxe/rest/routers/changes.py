"""What changes in a tenant, as a server-sent stream: pages that show something ask again when it has changed, and only
then.

Bounds: a message a second at most; a stream lives `STREAM_LIFE_S`, after which the browser opens it again and is asked
who it is; one that may not be read any more ends before (`open_streams.py`). Source: the WHATWG HTML standard,
"Server-sent events".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Final

import msgspec
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from broadaxe.engine.changes import Changes, ChangeSubscription
from broadaxe.rest.context import ContextDep
from broadaxe.rest.identity import ViewerScope
from broadaxe.rest.open_streams import OpenStreams
from broadaxe.rest.routers.route import STABLE, router

__all__ = ["EventStream", "routes"]

SPACING_S: Final = 1.0
#: Something is sent after so much silence, for proxies that end connections nobody uses.
KEEP_ALIVE_S: Final = 20.0
STREAM_LIFE_S: Final = 15 * 60.0
#: What a browser waits before it opens a stream again that has ended.
RECONNECT_MS: Final = 1_000

routes = router("changes")


@routes.get(
    f"{STABLE}/tenants/{{tenant}}/changes",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def follow_changes(request: Request, scope: ViewerScope, context: ContextDep) -> StreamingResponse:
    """Messages of JSON objects: `kinds` says what has changed since the last message (`runs`, `workers`, ...), `ids`
    which runs and tasks (missing when there are too many), `heartbeats` when workers were last heard of. The first
    message comes at once; its `kinds` changed a moment ago. The others come when something has changed, one a second
    at most."""
    subscription = context.engine.follow_changes(scope.tenant_id)
    open_streams: OpenStreams = request.app.state.open_streams
    leave = open_streams.enter(subscription, scope.caller, scope.tenant_id, context)

    def end() -> None:
        leave()
        context.engine.unfollow_changes(scope.tenant_id, subscription)

    return EventStream(_messages(subscription), end)


class EventStream(StreamingResponse):
    """Calls `on_end` however it ends, even if the reader was gone before it began."""

    def __init__(self, messages: AsyncIterator[bytes], on_end: Callable[[], None]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(messages, media_type="text/event-stream", headers=headers)
        self._on_end = on_end

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


async def _messages(subscription: ChangeSubscription) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    ends_at_s = loop.time() + STREAM_LIFE_S
    yield b"retry: %d\n\n" % RECONNECT_MS
    while loop.time() < ends_at_s:
        try:
            async with asyncio.timeout(KEEP_ALIVE_S):
                changes = await subscription.next()
        except TimeoutError:
            yield b": still here\n\n"
            continue
        if changes is None:
            return
        yield b"data: " + _json(changes) + b"\n\n"
        await asyncio.sleep(SPACING_S)


def _json(changes: Changes) -> bytes:
    message: dict[str, object] = {
        "kinds": sorted(changes.kinds),
        "heartbeats": {
            worker_id: datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds")
            for worker_id, at_us in changes.heartbeats.items()
        },
    }
    if changes.ids is not None:
        message["ids"] = sorted(changes.ids)
    return msgspec.json.encode(message)
