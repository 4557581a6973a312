"""The library through the whole chat: a site read by children of a durable task, and what is killed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from ..watching import Watcher
from ..web_site import Page, WebSite
from .stack import PATIENCE_S, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.chat_url, timeout=30) as opened:
        yield opened


async def ended(client: httpx.AsyncClient, path: str) -> dict[str, object]:
    """What stands at `path` once it is not being worked on any more."""
    async with asyncio.timeout(150):
        while True:
            shown: dict[str, object] = (await client.get(path)).json()
            if shown["status"] not in ("reading", "running"):
                return shown
            await asyncio.sleep(0.2)


async def test_reading_a_site_survives_a_killed_worker(client: httpx.AsyncClient, site: WebSite, stack: Stack) -> None:
    slow = site.pages["/docs/concepts.html"]
    slow.gate = asyncio.Event()
    given = (await client.post("/sources", json={"url": f"{site.address}/docs/", "site": True})).json()
    await asyncio.wait_for(slow.asked.wait(), PATIENCE_S)
    await asyncio.to_thread(stack.kill, "worker")
    slow.gate.set()
    stack.start_worker()
    source = await ended(client, f"/sources/{given['sourceId']}")
    assert (source["status"], source["pages"], source["found"]) == ("ready", 3, 3), (source, stack.said("worker"))
    assert site.paths().count("/docs/install.html") <= 2, "what was read is not read again from the start"
    asked = {"messages": [{"role": "user", "content": "How are retries made?"}], "url": source["address"]}
    accepted = (await client.post("/message", json=asked)).json()
    result = await Watcher(client, accepted["messageId"], PATIENCE_S).result()
    assert "exponential backoff" in result["message"]


async def test_an_evaluation_measures_what_words_find(client: httpx.AsyncClient, site: WebSite) -> None:
    questions = [
        {"question": "How do I install it with pip?", "pages": ["install"]},
        {"question": "How often is a failing task tried again?", "pages": ["concepts"]},
        {"question": "Which zanzibar is this?", "pages": ["zanzibar"]},
    ]
    begun = (await client.post("/evaluations", json={"url": f"{site.address}/docs/", "questions": questions})).json()
    shown = await ended(client, f"/evaluations/{begun['evaluationId']}")
    assert (shown["status"], shown["done"]) == ("complete", 3), shown
    assert shown["summaries"]["words"]["found"] == 2  # type: ignore[index]


async def test_a_site_that_forbids_readers_says_so(client: httpx.AsyncClient, site: WebSite) -> None:
    site.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /", content_type="text/plain")
    given = (await client.post("/sources", json={"url": f"{site.address}/docs/", "site": True})).json()
    source = await ended(client, f"/sources/{given['sourceId']}")
    assert (source["status"], "robots.txt" in str(source["error"])) == ("failed", True)
