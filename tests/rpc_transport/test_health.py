"""What the health service says while an engine is not ready, and how many may watch."""

from __future__ import annotations

import asyncio

import pytest

from broadaxe.errors import ResourceExhausted
from broadaxe.rpc._gen import health_pb2 as pb
from broadaxe.rpc.services import health
from broadaxe.rpc.services.health import HealthService
from broadaxe.rpc.transport import NOBODY, Call

ASKED = pb.HealthCheckRequest()


def a_call() -> Call:
    return Call("/", {}, "here", NOBODY, asyncio.Event(), object())


class Reader:
    def __init__(self) -> None:
        self.told: asyncio.Queue[int] = asyncio.Queue()

    async def send(self, message: pb.HealthCheckResponse | bytes) -> None:
        assert isinstance(message, pb.HealthCheckResponse)
        self.told.put_nowait(message.status)


async def test_an_engine_that_is_not_ready_does_not_serve() -> None:
    service = HealthService(lambda: False, [])
    assert (await service.check(ASKED, a_call())).status == pb.HealthCheckResponse.NOT_SERVING


async def test_a_draining_server_does_not_serve() -> None:
    service = HealthService(lambda: True, [])
    call = a_call()
    call.draining.set()
    assert (await service.check(ASKED, call)).status == pb.HealthCheckResponse.NOT_SERVING


async def test_watches_are_bounded_and_make_room_when_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "WATCHES_MAX", 1)
    service = HealthService(lambda: True, [])
    for _ in range(2):
        reader = Reader()
        watching = asyncio.create_task(service.watch(ASKED, a_call(), reader.send))
        assert await reader.told.get() == pb.HealthCheckResponse.SERVING
        with pytest.raises(ResourceExhausted):
            await service.watch(ASKED, a_call(), reader.send)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
