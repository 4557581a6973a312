"""The gRPC health service, asked as load balancers ask it: without a token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
import grpc.aio
import pytest
from wirekit import EngineProcess

from broadaxe.rpc._gen import health_pb2 as pb

SERVING: Final = pb.HealthCheckResponse.SERVING
NOT_SERVING: Final = pb.HealthCheckResponse.NOT_SERVING
UNKNOWN: Final = pb.HealthCheckResponse.SERVICE_UNKNOWN
PATIENCE_S: Final = 30.0


class Prober:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        encode, decode = pb.HealthCheckRequest.SerializeToString, pb.HealthCheckResponse.FromString
        self._check = channel.unary_unary("/grpc.health.v1.Health/Check", encode, decode)
        self._watch = channel.unary_stream("/grpc.health.v1.Health/Watch", encode, decode)

    async def check(self, service: str = "") -> int:
        return (await self._check(pb.HealthCheckRequest(service=service))).status

    def watch(self, service: str = "") -> Any:
        return self._watch(pb.HealthCheckRequest(service=service))


@asynccontextmanager
async def prober(engine: EngineProcess) -> AsyncIterator[Prober]:
    async with grpc.aio.insecure_channel(engine.address) as channel:
        yield Prober(channel)


async def told(watch: Any) -> Any:
    return await asyncio.wait_for(watch.read(), PATIENCE_S)


@pytest.mark.parametrize(
    "service",
    [
        "",
        "Dispatcher",
        "EventsService",
        "WorkflowService",
        "v1.AdminService",
        "v1.V1Dispatcher",
        "opentelemetry.proto.collector.trace.v1.TraceService",
        "grpc.health.v1.Health",
    ],
)
async def test_each_service_serves_and_nobody_has_to_say_who_asks(engine: EngineProcess, service: str) -> None:
    async with prober(engine) as ask:
        assert await ask.check(service) == SERVING
        assert (await told(ask.watch(service))).status == SERVING


async def test_a_service_that_is_not_here_is_not_found_and_may_be_watched(engine: EngineProcess) -> None:
    async with prober(engine) as ask:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask.check("Nonsense")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert (await told(ask.watch("Nonsense"))).status == UNKNOWN


async def test_other_services_still_ask_who_calls(engine: EngineProcess) -> None:
    async with grpc.aio.insecure_channel(engine.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary("/Dispatcher/GetVersion")(b"")
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_who_watches_learns_that_the_engine_stops_serving(own_engine: EngineProcess) -> None:
    async with prober(own_engine) as ask:
        watches = ask.watch(), ask.watch("Dispatcher"), ask.watch("Nonsense")
        assert [(await told(watch)).status for watch in watches] == [SERVING, SERVING, UNKNOWN]
        assert await own_engine.stop() == 0
        assert [(await told(watch)).status for watch in watches[:2]] == [NOT_SERVING, NOT_SERVING]
        # The streams end in order, which tells clients to connect again.
        assert [await told(watch) for watch in watches] == [grpc.aio.EOF] * 3
        assert {await watch.code() for watch in watches} == {grpc.StatusCode.OK}
