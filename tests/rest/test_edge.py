"""The HTTP edge before its application is there: nobody is turned away, and nothing said meanwhile is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from broadaxe.rest.app import create_http_app
from broadaxe.rest.edge import HttpEdge
from broadaxe.rest.settings import Entry, HttpSettings
from broadaxe.storage.token_verifier import TokenVerifier

from .conftest import RecordingEngine

SETTINGS = HttpSettings(server_url="http://127.0.0.1:1", grpc_address="127.0.0.1:2")


@pytest.fixture
def make(pool: asyncpg.Pool) -> Callable[[HttpSettings], FastAPI]:
    return lambda settings: create_http_app(
        pool=pool, engine=RecordingEngine(), verifier=TokenVerifier(pool), settings=settings
    )


def asker(edge: HttpEdge) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=edge), base_url="http://127.0.0.1:1")


async def test_early_requests_wait_and_find_what_was_said_meanwhile(make: Callable[[HttpSettings], FastAPI]) -> None:
    asked, go_on, made = asyncio.Event(), threading.Event(), 0
    loop = asyncio.get_running_loop()

    def build(settings: HttpSettings) -> FastAPI:
        nonlocal made
        made += 1
        app = make(settings)
        loop.call_soon_threadsafe(asked.set)
        assert go_on.wait(60)
        return app

    edge = HttpEdge(SETTINGS, build)
    async with asker(edge) as client:
        requests = [asyncio.create_task(client.get("/api/v1/meta")) for _ in range(3)]
        await asked.wait()
        edge.admit(Entry("nobody", "key"), "cookie")
        edge.readdress(server_url="http://127.0.0.1:3", grpc_address="127.0.0.1:4")
        requests.pop().cancel()
        go_on.set()
        answers = await asyncio.gather(*requests)
        assert [answer.json()["entryLinkPrinted"] for answer in answers] == [True, True]
        assert edge.load().result().state.context.settings.grpc_address == "127.0.0.1:4"
        edge.readdress(server_url="http://127.0.0.1:3", grpc_address="127.0.0.1:5")
        assert edge.load().result().state.context.settings.grpc_address == "127.0.0.1:5"
    assert made == 1


async def test_streams_of_an_edge_that_ended_before_it_was_there_end_at_once(
    make: Callable[[HttpSettings], FastAPI],
) -> None:
    edge = HttpEdge(SETTINGS, make)
    edge.end_streams()
    app = await edge.load()
    assert app.state.open_streams._is_closed


async def test_an_application_that_cannot_be_made_fails_requests_and_not_the_engine() -> None:
    def build(settings: HttpSettings) -> FastAPI:
        raise ImportError("a file is missing")

    edge = HttpEdge(SETTINGS, build)
    async with asker(edge) as client:
        for _ in range(2):
            with pytest.raises(ImportError, match="a file is missing"):
                await client.get("/api/v1/meta")


async def test_a_supervisor_hears_that_the_process_lives_before_there_is_an_application() -> None:
    def build(settings: HttpSettings) -> FastAPI:
        raise AssertionError("nobody needs it for that")

    async with asker(HttpEdge(SETTINGS, build)) as client:
        answer = await client.get("/api/live")
    assert (answer.status_code, answer.content) == (200, b"")
