"""The edge behind a real socket, with a scripted run in place of the engine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI

from rag_chat.api import close_edge, create_app, open_edge
from rag_chat.database import open_database
from rag_chat.edge import Edge
from rag_chat.settings import Settings

from .scripted_run import ScriptedRun

ANSWER: dict[str, object] = {
    "status": "complete",
    "message": "With pip [1].",
    "citations": [
        {
            "index": 1,
            "title": "Install",
            "heading": "With pip",
            "url": "https://e.org/i#pip",
            "quote": "pip",
            "page_id": 7,
            "passage_id": 70,
            "score": 0.9,
        }
    ],
    "model": "tiny-chat",
    "extractive": False,
    "notices": [],
    "reasoning": "",
}
ORIGIN = "https://chat.example"


@asynccontextmanager
async def serving(settings: Settings, run: ScriptedRun) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the running edge; more may be opened at its `base_url`."""
    edges: list[Edge] = []

    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        edge = open_edge(settings, await open_database(settings.database_url), run)
        app.state.edge = edge
        edges.append(edge)
        await edge.feeds.resume()
        yield
        await close_edge(edge)

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(settings, lifespan), log_level="warning"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=10) as client:
            await client.get("/health")
            yield client
    finally:
        for edge in edges:
            edge.closing.set()
        server.should_exit = True
        await task


def body(question: str = "How do I install it?", **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}], "url": "https://example.org/docs/", **more}


async def ask(client: httpx.AsyncClient, question: str = "How do I install it?", **more: object) -> dict[str, str]:
    response = await client.post("/message", json=body(question, **more))
    assert response.status_code == 202, response.text
    accepted: dict[str, str] = response.json()
    return accepted
