"""A real carrier on a real port, and a real grpc.aio channel to it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import grpc
import grpc.aio
import pytest

from broadaxe.rpc.http2.carrier import Http2Carrier
from broadaxe.rpc.transport import Authenticate, Metadata, Method, Principal, Watch

PRINCIPAL = Principal(tenant_id=str(uuid.UUID(int=1)), token_id=str(uuid.UUID(int=2)))


async def let_everyone_in(_: Metadata) -> Principal:
    return PRINCIPAL


@dataclass(frozen=True, slots=True)
class Served:
    carrier: Http2Carrier
    port: int
    channel: grpc.aio.Channel


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def start(
            *methods: Method, authenticate: Authenticate = let_everyone_in, watch: Watch | None = None
        ) -> Served:
            carrier = Http2Carrier(methods, authenticate, "127.0.0.1", 0, watch=watch)
            port = await carrier.start()
            stack.push_async_callback(carrier.stop, 0.0)
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            stack.push_async_callback(channel.close)
            return Served(carrier, port, channel)

        yield start
