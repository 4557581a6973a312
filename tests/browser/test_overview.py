"""The first page as a newcomer and as an operator use it, and the pages of workers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from playwright.async_api import Page, expect
from wirekit import EngineProcess, Stage

from tests.browser.test_dashboard import row_of, started

#: A program of its own imports the SDK first, which takes its time on a busy machine.
PROGRAM_MS = 180_000


@pytest_asyncio.fixture(loop_scope="session")
async def empty(page: Page, tmp_path: Path) -> AsyncIterator[Page]:
    """A page of an engine in which nothing ever ran."""
    engine = EngineProcess(tmp_path)
    await engine.start()
    try:
        await page.goto(engine.dashboard_link)
        await expect(page.get_by_role("heading", name="Your first run", level=1)).to_be_visible()
        yield page
    finally:
        await engine.dispose()


@contextlib.asynccontextmanager
async def program(path: Path, environment: dict[str, str]) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(path), env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def test_a_newcomer_makes_a_token_and_runs_the_program_of_the_page_with_it(empty: Page, tmp_path: Path) -> None:
    await empty.get_by_role("button", name="Make a token").click()
    lines = (await empty.get_by_role("region", name="Environment").inner_text()).splitlines()
    variables = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    code = await empty.get_by_role("region", name="hello.py").inner_text()
    path = tmp_path / "hello.py"
    path.write_text(code.replace("\xa0", " "))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HATCHET_")}
    async with program(path, clean | variables):
        run = empty.get_by_role("button", name="Run hello")
        await expect(run).to_be_enabled(timeout=PROGRAM_MS)
        # The run is started by a program, not by the page, which has to hear of it.
        starting = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from hello import hello; hello.run()"
        called = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", starting], env=clean | variables, capture_output=True, timeout=60
        )
        assert called.returncode == 0, called.stderr
        first = empty.get_by_role("region", name="Your first run")
        await expect(first.get_by_role("link")).to_contain_text("hello")
        await expect(first.get_by_test_id("status")).to_have_text("Completed")
    await first.get_by_role("button", name="Go to the overview").click()
    await expect(empty.get_by_role("heading", name="Overview", level=1)).to_be_visible()


async def test_the_example_runs_with_one_click(empty: Page) -> None:
    await empty.get_by_role("button", name="Run an example").click()
    first = empty.get_by_role("region", name="Your first run")
    await expect(first.get_by_test_id("status")).to_have_text("Completed", timeout=PROGRAM_MS)
    await first.get_by_role("link").click()
    await expect(empty.get_by_test_id("run-heading")).to_contain_text("example")


async def test_dragging_over_the_chart_shows_the_runs_of_that_time(
    page: Page, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    failing = await started(hatchet, "diamond", Cue(key=key, fail=True))
    stage.open(key, "b")
    stage.open(key, "c")
    await page.goto("/runs")
    await expect(row_of(page, failing).get_by_test_id("status")).to_have_text("Failed")
    await page.goto("/?range=1h")
    failed = page.get_by_role("region", name="Failed", exact=True)
    await expect(failed.get_by_role("link", name=re.compile("^diamond")).first).to_be_visible()
    await expect(failed.get_by_text("b is broken").first).to_be_visible()
    ended = page.get_by_role("region", name="Tasks that ended")
    await ended.get_by_role("button", name="Succeeded").click()
    await ended.get_by_role("button", name="Cancelled").click()
    plot = ended.locator("svg.recharts-surface").first
    box = await plot.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    await page.mouse.move(box["x"] + 80, middle)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] / 2, middle, steps=5)
    await page.mouse.move(box["x"] + box["width"] - 12, middle, steps=5)
    await page.mouse.up()
    await expect(page).to_have_url(re.compile(r"/runs\?.*from=.*to=.*"))
    assert "FAILED" in page.url
    await expect(row_of(page, failing)).to_be_visible()


async def test_a_worker_has_a_page_of_its_own(page: Page, hatchet: Hatchet, stage: Stage, key: str) -> None:
    run_id = await started(hatchet, "hold", Cue(key=key, n=1))
    await stage.heard(key, "started")
    await page.goto("/workers")
    await page.get_by_role("link", name="gallery", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("gallery")
    running = page.get_by_role("region", name="Running now")
    await expect(running.locator(f"a[href='/runs/{run_id}']")).to_be_visible()
    stage.open(key)
