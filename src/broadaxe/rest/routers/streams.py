"""Durable streams: topics listed, published to, and read as server-sent events, with the event's id as the cursor.

Topics and payloads by reference are of the protocol (source: streams specification, REST); an address for each topic is
ours. In it the namespace that is empty is spelled `-`, and a topic's name may have slashes. Payloads are bytes, events
are text: a payload that is no text, or has a carriage return in it, comes in Base64 as an event `binary`, and one by
reference as an event `reference`.

Bounds: uploads of `UPLOADS_AT_ONCE_MAX` payloads at a time; a stream lives `STREAM_LIFE_S`, after which the browser
opens it again behind what it has read, and ends like all others with what its reader was let in by.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from broadaxe.core.commands.topics import MessageRequest, PublishedMessage, PublishMessages, ResetTopic
from broadaxe.core.decision import MessageRow
from broadaxe.core.topics import Position, check_name, cursor_of, position_of, topic_id
from broadaxe.engine.topics import TopicSubscription
from broadaxe.errors import BroadaxeError, Internal, InvalidArgument
from broadaxe.rest.context import ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import AdminScope, MemberScope, TopicReaderScope, ViewerScope
from broadaxe.rest.open_streams import OpenStreams
from broadaxe.rest.parameters import NO_NAMESPACE, Body, Offset
from broadaxe.rest.routers.changes import KEEP_ALIVE_S, RECONNECT_MS, STREAM_LIFE_S, EventStream
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import streams as shapes
from broadaxe.storage.pages import ByTopic
from broadaxe.storage.topics import RETENTION_HOURS_MAX, before_last, set_retention

__all__ = ["UPLOADS_AT_ONCE_MAX", "routes"]

#: Payloads of up to 64 MiB that are in memory at a time.
UPLOADS_AT_ONCE_MAX: Final = 4
TOPICS_ON_PAGE_MAX: Final = 1_000
#: Of the latest messages that somebody begins with.
LAST_MAX: Final = 10_000

_STREAMS: Final = f"{STABLE}/tenants/{{tenant}}/streams"
_TOPIC: Final = f"{_STREAMS}/{{namespace}}/{{topic:path}}"
_TOPICS: Final = Listing(ByTopic, "topics")
_BYTES: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}

routes = router("durable streams")

Namespace = Annotated[str, Path(description="The namespace; `-` for the empty one.")]
Topic = Annotated[str, Path(description="The topic; slashes belong to its name.")]


class TopicQuery(BaseModel):
    offset: Offset = 0
    limit: int = Field(default=50, ge=1, le=TOPICS_ON_PAGE_MAX)
    cursor: Cursor = None
    search: str = Field(default="", max_length=1_000, description="A part of the name or the namespace.")


@routes.get(f"{_STREAMS}/topics")
async def list_topics(
    scope: ViewerScope, context: ContextDep, query: Annotated[TopicQuery, Query()]
) -> shapes.TopicList:
    """Topics in the order of their names, with how many of their messages are kept."""
    reads, tenant_id = context.topic_reads, scope.tenant_id
    rows, pagination = await _TOPICS.read(
        query,
        lambda limit, offset, after: reads.topics_page(
            tenant_id, query.search, limit=limit, offset=offset, after=after
        ),
        lambda: reads.count(tenant_id, query.search),
    )
    hours = await reads.retention_hours(tenant_id)
    return shapes.TopicList(pagination=pagination, retention_hours=hours, rows=[shapes.topic(row) for row in rows])


class NewRetention(Body):
    retention_hours: int = Field(ge=1, le=RETENTION_HOURS_MAX, description="For how long messages are kept.")


@routes.put(f"{_STREAMS}/retention")
async def put_retention(body: NewRetention, scope: AdminScope, context: ContextDep) -> shapes.Retention:
    """How long messages of this tenant are kept; older ones are not shown from now on."""
    await set_retention(context.pool, scope.tenant_id, body.retention_hours, scope.caller.by)
    return shapes.Retention(retention_hours=body.retention_hours)


@routes.post(f"{_STREAMS}/payloads", openapi_extra=_BYTES)
async def put_payload(request: Request, scope: MemberScope, context: ContextDep) -> shapes.StoredPayload:
    """Stores a payload of up to 64 MiB; the reference stands for it in messages that are published within a day."""
    uploads: asyncio.Semaphore = request.app.state.stream_uploads
    async with uploads:
        return shapes.StoredPayload(ref=await context.stream_payloads.put(scope.tenant_id, await request.body()))


@routes.get(f"{_STREAMS}/payloads", response_class=Response)
async def get_payload(scope: ViewerScope, context: ContextDep, ref: Annotated[str, Query(max_length=100)]) -> Response:
    """The bytes that a reference stands for."""
    content = await context.stream_payloads.get(scope.tenant_id, ref)
    # Whoever published it chose the bytes: no browser shall take them for a page of ours.
    headers = {"Content-Disposition": "attachment", "Cache-Control": "private, max-age=3600"}
    return Response(content, media_type="application/octet-stream", headers=headers)


class NewMessage(BaseModel):
    payload_ref: str = Field(default="", alias="payloadRef", max_length=100, description="Instead of a body.")
    producer_id: str = Field(default="", alias="producerId", description="Who numbers its messages.")
    producer_seq: int | None = Field(
        default=None,
        alias="producerSeq",
        ge=0,
        le=2**63 - 1,
        description="The number of this message. One that is not higher than the producer's last is not stored again.",
    )


@routes.post(_TOPIC, openapi_extra=_BYTES)
async def publish(
    namespace: Namespace,
    topic: Topic,
    request: Request,
    scope: MemberScope,
    context: ContextDep,
    query: Annotated[NewMessage, Query()],
) -> shapes.PublishedMessage:
    """Publishes the body as a message. It is stored when this is answered. With `producerId` and `producerSeq` the same
    request may be sent again."""
    if bool(query.producer_id) != (query.producer_seq is not None):
        raise InvalidArgument("producerId and producerSeq go together", field="producerSeq")
    message = MessageRequest(
        namespace=_namespace(namespace),
        topic=topic,
        payload=await request.body(),
        payload_ref=query.payload_ref,
        producer_id=query.producer_id,
        producer_seq=query.producer_seq or 0,
    )
    message = await context.stream_payloads.settled(scope.tenant_id, message)
    reply = await context.engine.submit(scope.tenant_id, PublishMessages((message,)))
    if not isinstance(reply, tuple) or not isinstance(reply[0], PublishedMessage):
        raise Internal(f"the engine answered {type(reply).__name__} where a message was due")
    return shapes.PublishedMessage(cursor=reply[0].cursor, number=reply[0].number)


class NewStart(Body):
    cursor: str | None = Field(default=None, max_length=100, description="Behind this message; missing: the latest.")


@routes.put(_TOPIC, status_code=204)
async def reset_topic(
    namespace: Namespace, topic: Topic, body: NewStart, scope: MemberScope, context: ContextDep
) -> Response:
    """Says where readers begin that come without a cursor. Those that read already go on."""
    await context.engine.submit(scope.tenant_id, ResetTopic(_namespace(namespace), topic, body.cursor))
    return Response(status_code=204)


@routes.get(
    _TOPIC,
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
        410: {"description": "Messages behind this cursor are not kept any more."},
    },
)
async def read_topic(
    namespace: Namespace,
    topic: Topic,
    request: Request,
    scope: TopicReaderScope,
    context: ContextDep,
    cursor: Annotated[
        str, Query(max_length=100, description="Read behind this message, unless `Last-Event-ID` says where.")
    ] = "",
    last: Annotated[
        int | None, Query(ge=0, le=LAST_MAX, description="Begin with so many of the latest messages, if neither says.")
    ] = None,
    last_event_id: Annotated[str, Header(max_length=100)] = "",
) -> StreamingResponse:
    """Messages as server-sent events, the kept ones first and then the others as they are published. The event's id is
    the message's cursor: a browser that lost its connection goes on behind the last one by itself."""
    names = _namespace(namespace), topic
    check_name(*names)
    topic_key = topic_id(*names)
    given = last_event_id or cursor
    after = position_of(topic_key, given) if given else None
    if not given and last is not None:
        after = await before_last(context.pool, scope.tenant_id, topic_key, last)
    subscription = await context.engine.follow_topic(scope.tenant_id, topic_key, after)
    open_streams: OpenStreams = request.app.state.open_streams
    try:
        leave = open_streams.enter(subscription, scope.caller, scope.tenant_id, context)
    except BaseException:
        context.engine.unfollow_topic(scope.tenant_id, subscription)
        raise

    def end() -> None:
        leave()
        context.engine.unfollow_topic(scope.tenant_id, subscription)

    try:
        # So that a cursor that is too old is refused, which ends a browser's tries.
        await subscription.check()
    except BaseException:
        end()
        raise
    return EventStream(_events(topic_key, subscription), end)


async def _events(topic: str, subscription: TopicSubscription) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    ends_at_s = loop.time() + STREAM_LIFE_S
    yield b"retry: %d\n\n" % RECONNECT_MS
    while loop.time() < ends_at_s:
        try:
            async with asyncio.timeout(KEEP_ALIVE_S):
                messages = await subscription.next()
        except TimeoutError:
            yield b": still here\n\n"
            continue
        except BroadaxeError:
            # The browser comes again with its cursor, and is told.
            return
        if not messages:
            return
        for message in messages:
            yield _event(topic, message)


def _event(topic: str, message: MessageRow) -> bytes:
    cursor = cursor_of(topic, Position(message.number, message.id)).encode()
    if message.payload_ref:
        return b"id: %b\nevent: reference\ndata: %b\n\n" % (cursor, message.payload_ref.encode())
    if not _is_text(message.payload):
        return b"id: %b\nevent: binary\ndata: %b\n\n" % (cursor, base64.b64encode(message.payload))
    return b"id: %b\ndata: %b\n\n" % (cursor, message.payload.replace(b"\n", b"\ndata: "))


def _is_text(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return b"\r" not in payload


def _namespace(spelled: str) -> str:
    return "" if spelled == NO_NAMESPACE else spelled
