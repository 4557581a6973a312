"""One whole chat for all end-to-end tests; whoever kills a part starts it again."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright

from rag_chat.model import LOOK_FRESH_FOR_S

from ..model_server import ModelServer
from ..web_site import WebSite
from .pages import PATIENCE_MS
from .stack import Stack

WEB = Path(__file__).parents[2] / "web"


@pytest.fixture(scope="session")
def stack(postgres_url: str) -> Iterator[Stack]:
    if not (WEB / "dist" / "index.html").exists():
        for command in (["npm", "ci"], ["npm", "run", "build"]):
            subprocess.run(command, cwd=WEB, check=True, stdout=subprocess.DEVNULL)
    database_url = urlunsplit(urlsplit(postgres_url)._replace(path="/rag_chat_e2e"))
    # A folder of its own: those of pytest are closed to everybody else again by another pytest that begins beside it.
    with tempfile.TemporaryDirectory(prefix="rag-chat-e2e-", ignore_cleanup_errors=True) as folder:
        # The engine's Postgres gives up root's rights, and still has to find its way to its data.
        Path(folder).chmod(0o755)
        started = Stack(Path(folder), database_url)
        try:
            started.start_engine()
            started.start_worker()
            started.start_edge()
            yield started
        finally:
            started.close()


@pytest.fixture
async def site(stack: Stack) -> AsyncIterator[WebSite]:
    async with WebSite(stack.site_port) as started:
        yield started


@pytest.fixture
async def model_server(stack: Stack) -> AsyncIterator[ModelServer]:
    async with ModelServer(stack.model_port) as started:
        yield started


@pytest.fixture
async def no_model() -> None:
    """There is none, and nobody believes there is: what edge and worker have seen of a model, in a test before this,
    counts for so long, and whoever asks meanwhile waits for it to come back."""
    await asyncio.sleep(LOOK_FRESH_FOR_S)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium = os.environ.get("RAG_CHAT_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "no browser: install Chromium, or set RAG_CHAT_TEST_CHROMIUM to its path"
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        await opened.close()


@pytest.fixture
async def page(browser: Browser, stack: Stack) -> AsyncIterator[Page]:
    """The chat in a browser of its own, which must not complain."""
    opened = await browser.new_page(viewport={"width": 1_200, "height": 800})
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.set_default_timeout(PATIENCE_MS)
    await opened.goto(stack.chat_url)
    yield opened
    assert complaints == []
    await opened.close()
