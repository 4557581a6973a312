"""Engines that are too old, and engines that are not there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from broadaxe_worker import EngineTooOld, Worker, WorkerError
from broadaxe_worker import session_pb2 as pb
from broadaxe_worker.session import PROTOCOL, Session
from hatchet_sdk import ClientConfig, Context, EmptyModel, Hatchet


async def greet(_: EmptyModel, ctx: Context) -> dict[str, str]:
    return {}


class Nobody:
    def welcomed(self, welcome: pb.Welcome, is_again: bool) -> None: ...

    def heard(self, frame: pb.EngineFrame) -> None: ...

    def cut(self) -> None: ...


def session(address: str) -> Session:
    return Session(lambda: grpc.insecure_channel(address), address, (), pb.Hello(protocol=PROTOCOL), Nobody())


@pytest.fixture
def old_engine() -> Iterator[str]:
    """A gRPC server that knows no sessions, nor anything else."""
    server = grpc.server(ThreadPoolExecutor(2))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def test_an_engine_that_knows_no_sessions_is_told_apart(old_engine: str) -> None:
    with pytest.raises(EngineTooOld, match=f"{old_engine} does not speak the session protocol"):
        session(old_engine).start()


def test_an_engine_that_is_not_there_is_named(old_engine: str) -> None:
    with pytest.raises(
        WorkerError, match=r"no engine answers at 127.0.0.1:1; start it, or set HATCHET_CLIENT_HOST_PORT"
    ):
        session("127.0.0.1:1").start(within_s=0.2)


def test_a_worker_goes_on_with_the_official_protocol(
    old_engine: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from hatchet_sdk.worker.worker import Worker as OfficialWorker

    started: list[Any] = []
    monkeypatch.setattr(OfficialWorker, "start", lambda official: started.append(official))
    hatchet = Hatchet(config=ClientConfig(host_port=old_engine, server_url="http://127.0.0.1:1"))
    workflow = hatchet.task(name="greet")(greet)
    with caplog.at_level(logging.WARNING, "broadaxe_worker"):
        Worker(hatchet, "mail", workflows=[workflow], slots=3, labels={"region": "eu"}).start()
    (official,) = started
    assert (official.name, official._slot_config, official._workflows) == ("mail", {"default": 3}, [workflow])
    assert "going on with the official protocol" in caplog.text
