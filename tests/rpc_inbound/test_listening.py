"""The older assignment stream, which stands for its worker's heartbeats, and how many runs one stream waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from broadaxe.core.commands import Command
from broadaxe.core.commands.workers import Heartbeat
from broadaxe.core.lifecycle import RunStatus
from broadaxe.engine.clock import SystemClock
from broadaxe.engine.sessions import WorkerSession
from broadaxe.engine.subscriptions import Hub, ResultSubscription, RunOutcome
from broadaxe.errors import ResourceExhausted, Unavailable
from broadaxe.loops import Loops
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

    async def submit(self, tenant_id: str, command: Command, *, client: str) -> None:
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
    call = Call("/Dispatcher/Listen", {}, "here", Principal("t", "k"), asyncio.Event(), connection=object())

    async def send(message: object) -> None:
        raise AssertionError("nothing was assigned")

    listening = asyncio.create_task(service.listen_with_heartbeat(pb.WorkerListenRequest(worker_id=WORKER), call, send))
    async with asyncio.timeout(10):
        await port.has_taken_a_beat.wait()
        port.session.close()
        await listening


async def test_a_stream_waits_for_a_bounded_number_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "RUNS_AWAITED_MAX", 2)
    loops = Loops("test")
    hub = Hub(nothing_found, cast(Any, None), lambda run_id: True, lambda: True, lambda: 7, loops)
    service = DispatcherService(cast(Any, HubPort(hub)), cast(Any, None), SystemClock())
    call = Call(
        "/Dispatcher/SubscribeToWorkflowRuns", {}, "here", Principal("t", "k"), asyncio.Event(), connection=object()
    )
    runs = [f"0b1d2c3e-0000-4000-8000-{number:012}" for number in range(4)]
    sent: asyncio.Queue[pb.WorkflowRunEvent] = asyncio.Queue()

    async def asked() -> AsyncIterator[pb.SubscribeToWorkflowRunsRequest]:
        for run_id in (runs[0], runs[1], runs[0], "malformed"):
            yield pb.SubscribeToWorkflowRunsRequest(workflow_run_id=run_id)
        hub.deliver(RunOutcome(runs[0], RunStatus.COMPLETED, ()))
        assert (await sent.get()).workflow_run_id == runs[0]
        for run_id in (runs[2], runs[3]):
            yield pb.SubscribeToWorkflowRunsRequest(workflow_run_id=run_id)

    with pytest.raises(ResourceExhausted, match="waits for at most 2 runs at a time"):
        async with asyncio.timeout(10):
            await service.subscribe_to_runs(asked(), call, sent.put)
    await loops.close()


async def nothing_found(run_ids: list[str]) -> list[RunOutcome]:
    return []


class HubPort:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def results(self, tenant_id: str) -> ResultSubscription:
        return self._hub.results()
