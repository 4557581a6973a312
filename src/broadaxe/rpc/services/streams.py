"""`v1.V1Streams`: messages of topics, published and read from a cursor on. Source: streams specification.

A message is answered when it is committed, and a reader gets it from that commit. A reader that nothing comes for is
hung up on after a while, and one that is there when the server stops: both come again with the cursor they were told.
Refuses to keep anything between the engine and the wire: the next page is asked for when the last one is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from broadaxe.core.commands.topics import MessageRequest, PublishMessages
from broadaxe.core.decision import MessageRow
from broadaxe.core.topics import BEGINNING, Position, check_name, cursor_of, position_of, topic_id
from broadaxe.engine.port import EnginePort
from broadaxe.rpc import outbound
from broadaxe.rpc._gen import streams_pb2 as pb
from broadaxe.rpc.draining import closed_by_stop
from broadaxe.rpc.transport import Call, Method, Send, server_stream, unary
from broadaxe.storage.topics import StreamPayloads

__all__ = ["StreamsService"]

#: A reader that nothing came for since then is hung up on.
IDLE_S: Final = 300.0
#: Payloads of one response together, but for one alone.
RESPONSE_BYTES_MAX: Final = 1024 * 1024


class StreamsService:
    def __init__(self, engine: EnginePort, payloads: StreamPayloads, idle_s: float = IDLE_S) -> None:
        self._engine = engine
        self._payloads = payloads
        self._idle_s = idle_s

    def methods(self) -> list[Method]:
        return [
            unary("/v1.V1Streams/Publish", pb.PublishRequest, pb.PublishResponse, self.publish),
            server_stream(
                "/v1.V1Streams/Subscribe", pb.SubscribeRequest, pb.SubscribeResponse, self.subscribe, is_reading=True
            ),
        ]

    async def publish(self, request: pb.PublishRequest, call: Call) -> pb.PublishResponse:
        tenant_id = call.principal.tenant_id
        message = MessageRequest(
            namespace=request.namespace,
            topic=request.topic,
            payload=request.payload,
            payload_ref=request.payload_ref,
            producer_id=request.producer_id,
            producer_seq=request.producer_seq,
        )
        message = await self._payloads.settled(tenant_id, message)
        await self._engine.submit(tenant_id, PublishMessages((message,)), client=call.peer)
        return pb.PublishResponse()

    async def subscribe(self, request: pb.SubscribeRequest, call: Call, send: Send[pb.SubscribeResponse]) -> None:
        check_name(request.namespace, request.topic)
        topic = topic_id(request.namespace, request.topic)
        # An empty cursor is what a client has that was told none.
        after = position_of(topic, request.cursor) if request.cursor else None
        tenant_id = call.principal.tenant_id
        subscription = await self._engine.follow_topic(tenant_id, topic, after)
        try:
            async with closed_by_stop(call, subscription.close):
                try:
                    while True:
                        async with asyncio.timeout(self._idle_s):
                            messages = await subscription.next()
                        if not messages:
                            break
                        for response in _responses(topic, messages):
                            await send(response)
                except TimeoutError:
                    pass
                after = subscription.after
                cursor = request.cursor if after == BEGINNING else cursor_of(topic, after)
                await send(pb.SubscribeResponse(hangup=True, cursor=cursor))
        finally:
            self._engine.unfollow_topic(tenant_id, subscription)


def _responses(topic: str, messages: Iterable[MessageRow]) -> Iterator[pb.SubscribeResponse]:
    response, size_bytes = pb.SubscribeResponse(), 0
    for message in messages:
        if response.entries and size_bytes + len(message.payload) > RESPONSE_BYTES_MAX:
            yield response
            response, size_bytes = pb.SubscribeResponse(), 0
        response.cursor = cursor_of(topic, Position(message.number, message.id))
        response.entries.add(
            payload=message.payload,
            cursor=response.cursor,
            created_at=outbound.timestamp(message.created_at_us),
            payload_ref=message.payload_ref,
        )
        size_bytes += len(message.payload)
    if response.entries:
        yield response
