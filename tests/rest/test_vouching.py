"""How providers of sign-ins are asked, whatever they answer."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from broadaxe.errors import Unavailable
from broadaxe.rest.server import HttpServer
from broadaxe.rest.vouching import ask, provider_http


@pytest.fixture
async def provider() -> AsyncIterator[str]:
    app, server = FastAPI(), HttpServer(grace_s=1)

    @app.get("/cookies")
    async def cookies(request: Request) -> Response:
        answer = JSONResponse(dict(request.cookies))
        answer.set_cookie("session", "of-the-first")
        return answer

    @app.get("/text")
    async def text() -> Response:
        return PlainTextResponse("<html>", 403)

    @app.get("/deep")
    async def deep() -> Response:
        return Response("[" * 100_000, media_type="application/json")

    yield f"http://127.0.0.1:{await server.start(app, '127.0.0.1', 0)}"
    await server.stop()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with provider_http() as client:
        yield client


async def test_no_cookie_of_one_person_goes_out_with_the_next(provider: str, http: httpx.AsyncClient) -> None:
    for _ in range(2):
        assert (await ask(http, "Acme", "GET", f"{provider}/cookies")).json == {}


@pytest.mark.parametrize(("path", "status"), [("text", 403), ("deep", 200)])
async def test_what_is_no_json_is_the_providers_fault(
    provider: str, http: httpx.AsyncClient, path: str, status: int
) -> None:
    with pytest.raises(Unavailable, match=f"Acme answers HTTP {status} without JSON"):
        await ask(http, "Acme", "GET", f"{provider}/{path}")


async def test_a_token_that_no_header_can_have_is_the_providers_fault(provider: str, http: httpx.AsyncClient) -> None:
    with pytest.raises(Unavailable, match="Acme gave an access token with characters"):
        await ask(http, "Acme", "GET", f"{provider}/text", headers={"authorization": "Bearer ü"})
