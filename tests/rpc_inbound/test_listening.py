"""The older assignment stream, which stands for its worker's heartbeats."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from broadaxe.core.commands import Command, Heartbeat
from broadaxe.engine.clock import SystemClock
from broadaxe.engine.sessions import WorkerSession
from broadaxe.errors import Unavailable
from broadaxe.rpc._gen import dispatcher_pb2 as pb
from broadaxe.rpc.services import dispatcher
from broadaxe.rpc.services.dispatcher import DispatcherService
from broadaxe.rpc.transport import Call, Principal

WORKER = "0b1d2c3e-0000-4000-8000-000000000001"


class MoodyPort:
    """An engine that takes the third beat only."""

    def __init__(self) -> None:
        self.session = WorkerSession(WORKER, 1)
        self.refusals: list[Exception] = [Unavailable(), RuntimeError("a mistake of ours")]
        self.has_taken_a_beat = asyncio.Event()

    async def submit(self, tenant_id: str, command: Command) -> None:
        assert command == Heartbeat(WORKER)
        if self.refusals:
            raise self.refusals.pop()
        self.has_taken_a_beat.set()

    async def open_session(self, tenant_id: str, worker_id: str) -> WorkerSession:
        return self.session

    def close_session(self, tenant_id: str, session: WorkerSession) -> None:
        session.close()


async def test_a_refused_beat_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "LISTEN_HEARTBEAT_S", 0.0)
    port = MoodyPort()
    service = DispatcherService(cast(Any, port), cast(Any, None), SystemClock())
    call = Call("/Dispatcher/Listen", {}, "here", Principal("t", "k"), asyncio.Event())

    async def send(message: object) -> None:
        raise AssertionError("nothing was assigned")

    listening = asyncio.create_task(service.listen_with_heartbeat(pb.WorkerListenRequest(worker_id=WORKER), call, send))
    async with asyncio.timeout(10):
        await port.has_taken_a_beat.wait()
        port.session.close()
        await listening
