"""Fixtures of the browser tests: the built dashboard in a real Chromium, over a real engine with a real SDK worker.

Engine, worker and stage are those of the wire tests. Tests wait for what a reader would see; a page is never reloaded
to see it. One browser serves all tests of a test process, each with cookies and storage of its own; so these tests and
their fixtures share an event loop.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
import pytest_asyncio
from hatchet_sdk import Hatchet
from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "wire")]

from wirekit import EngineProcess, Rest, Stage, WorkerProcess, free_port  # noqa: E402 the path to it has only now been laid

from tests.browser.newcomer import Newcomer  # noqa: E402
from tests.openid_provider.process import SECRET, ProviderProcess  # noqa: E402

T = TypeVar("T")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: How long a page may take for anything: a bound on hanging, not a wait.
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    shares_the_loop = pytest.mark.asyncio(loop_scope="session")
    for item in items:
        if here in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(shares_the_loop, append=False)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="session")
def provider() -> Iterator[ProviderProcess]:
    """Who vouches for people besides their passwords."""
    provider = ProviderProcess()
    yield provider
    provider.stop()


@pytest.fixture(scope="session")
def mail_port() -> int:
    """Where the engine sends mails to; a test that wants them listens there."""
    return free_port()


def trusted(provider: ProviderProcess) -> str:
    """The file that names it, another that is away, and one that calls itself otherwise."""
    known = {
        "acme": provider.issuer,
        "away": "http://127.0.0.1:9",
        "odd": provider.issuer.replace("127.0.0.1", "localhost"),
    }
    return "\n".join(
        f"[[provider]]\nid = '{name}'\nname = '{name.capitalize()}'\nissuer = '{issuer}'\nclient_id = 'broadaxe'\n"
        f"client_secret = '{SECRET}'\ncreates_accounts = true\n"
        for name, issuer in known.items()
    )


@pytest.fixture(scope="session")
def engine(
    tmp_path_factory: pytest.TempPathFactory, provider: ProviderProcess, mail_port: int
) -> Iterator[EngineProcess]:
    built = ROOT / "web" / "dashboard" / "dist" / "index.html"
    assert built.exists(), "the dashboard is not built; run `make setup`"
    directory = tmp_path_factory.mktemp("engine")
    (directory / "providers.toml").write_text(trusted(provider), encoding="utf-8")
    flags = {
        "--alert-networks": "127.0.0.1",
        "--openid-providers": str(directory / "providers.toml"),
        "--smtp-url": f"smtp://127.0.0.1:{mail_port}",
        "--mail-from": "broadaxe@example.com",
    }
    engine = EngineProcess(directory, flags=tuple(part for flag in flags.items() for part in flag))
    _run(engine.start())
    provider.ask("redirects", [f"{engine.url}/api/v1/stable/openid/acme/callback"])
    yield engine
    _run(engine.dispose())


@pytest.fixture(scope="session")
def hatchet(engine: EngineProcess, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hatchet]:
    """A client of the engine, with a worker of two slots there to serve it."""
    worker = WorkerProcess(engine, stage, tmp_path_factory.mktemp("worker"), name="gallery", slots=2)

    async def ready() -> None:
        async with Rest(engine.url, engine.token, engine.client().tenant_id) as rest:
            await worker.ready(rest)

    try:
        _run(ready())
        yield engine.client()
    finally:
        _run(worker.dispose())


@pytest.fixture
def key() -> str:
    """Whose signals these are."""
    return f"k{uuid4().hex[:12]}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    named = os.environ.get("BROADAXE_CHROMIUM")
    chromium = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    assert chromium, "no browser: install Chromium, or name one in BROADAXE_CHROMIUM"
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def newcomer(browser: Browser, engine: EngineProcess) -> AsyncIterator[Newcomer]:
    async with AsyncExitStack() as contexts:

        async def opened(*, width: int = 1280, base_url: str | None = None) -> Page:
            viewport: ViewportSize = {"width": width, "height": 900}
            context = await browser.new_context(base_url=base_url or engine.url, viewport=viewport)
            contexts.push_async_callback(context.close)
            page = await context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            return page

        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def page(newcomer: Newcomer, engine: EngineProcess) -> AsyncIterator[Page]:
    """A page that was let in, in a context of its own. The test fails if the page's own code did."""
    mistakes: list[str] = []
    opened = await newcomer()
    opened.on("pageerror", lambda error: mistakes.append(str(error)))
    await opened.goto(engine.dashboard_link)
    yield opened
    assert mistakes == []
