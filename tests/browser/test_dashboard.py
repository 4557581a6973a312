"""The dashboard as a person uses it: find a run, watch it go on, look inside it, stop it and start it again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from playwright.async_api import Locator, Page, expect
from wirekit import Stage


async def started(hatchet: Hatchet, name: str, cue: Cue) -> str:
    """Starts a run and returns its id."""
    workflow = hatchet.stubs.workflow(name=name, input_validator=Cue)
    reference = await workflow.aio_run(cue, wait_for_result=False)
    return reference.workflow_run_id


def row_of(page: Page, run_id: str) -> Locator:
    return page.locator(f"tr[data-run-id='{run_id}']")


def status_of_run(page: Page) -> Locator:
    return page.locator("header").filter(has=page.get_by_test_id("run-heading")).get_by_test_id("status")


async def mark(page: Page) -> None:
    """Leaves a mark that a reload would wipe out."""
    await page.evaluate("window.notReloaded = true")


async def is_marked(page: Page) -> Any:
    return await page.evaluate("window.notReloaded === true")


async def test_a_run_is_found_in_the_list_and_watched_to_its_end(
    page: Page, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    await page.goto("/runs")
    await expect(page.get_by_role("link", name="Workflows", exact=True)).to_be_visible()
    await mark(page)
    run_id = await started(hatchet, "hold", Cue(key=key, n=7))
    await expect(row_of(page, run_id)).to_contain_text("hold")
    await expect(row_of(page, run_id).get_by_test_id("status")).to_have_text("Running")
    await row_of(page, run_id).get_by_role("link").click()
    await expect(page.get_by_test_id("run-heading")).to_contain_text("hold")
    await expect(status_of_run(page)).to_have_text("Running")
    await expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_enabled()
    stage.open(key)
    await expect(status_of_run(page)).to_have_text("Completed")
    await expect(page.get_by_role("region", name="Output", exact=True)).to_contain_text('"n": 7')
    await page.get_by_role("navigation", name="Main").get_by_role("link", name="Runs").click()
    await expect(row_of(page, run_id).get_by_test_id("status")).to_have_text("Completed")
    assert await is_marked(page)


async def test_a_waiting_run_is_seen_to_start_and_to_end(page: Page, hatchet: Hatchet, stage: Stage, key: str) -> None:
    others = [await started(hatchet, "hold", Cue(key=key, n=n)) for n in range(2)]
    await stage.heard(key, "started", count=2)
    run_id = await started(hatchet, "echo", Cue(key=f"{key}-waits", text="at last"))
    await page.goto(f"/runs/{run_id}")
    await expect(status_of_run(page)).to_have_text("Queued")
    await mark(page)
    stage.open(key)
    await expect(status_of_run(page)).to_have_text("Completed")
    await expect(page.get_by_role("region", name="Output", exact=True)).to_contain_text("at last")
    assert await is_marked(page)
    for other in others:
        await page.goto(f"/runs/{other}")
        await expect(status_of_run(page)).to_have_text("Completed")


async def test_the_page_of_a_workflow_shows_graph_tasks_events_and_the_error(
    page: Page, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    run_id = await started(hatchet, "diamond", Cue(key=key, fail=True))
    await page.goto(f"/runs/{run_id}")
    cards = page.get_by_test_id("step-card")
    await expect(cards.filter(has_text="Running")).to_have_count(2)
    stage.open(key, "b")
    stage.open(key, "c")
    await expect(status_of_run(page)).to_have_text("Failed")
    tasks = page.get_by_role("table", name="Tasks")
    for name, status in (("a", "Completed"), ("b", "Failed"), ("c", "Completed"), ("mend", "Completed")):
        row = tasks.get_by_role("row", name=re.compile(rf"^{name}\b"))
        await expect(row.get_by_test_id("status")).to_have_text(status)
    panel = page.get_by_role("region", name="Task b")
    await expect(panel.get_by_role("region", name="Error")).to_contain_text("b is broken")
    await panel.get_by_role("tab", name="Events").click()
    await expect(panel.get_by_test_id("event").first).to_contain_text("Failed")
    await cards.filter(has_text="mend").click()
    await expect(page.get_by_role("region", name="Task mend")).to_contain_text('"mended"')
    data = page.get_by_role("region", name="Run input")
    await expect(data).to_contain_text(key)


async def test_a_run_is_cancelled_and_replayed(page: Page, hatchet: Hatchet, stage: Stage, key: str) -> None:
    run_id = await started(hatchet, "hold", Cue(key=key, n=3))
    await stage.heard(key, "started")
    await page.goto(f"/runs/{run_id}")
    await expect(page.get_by_role("button", name="Replay", exact=True)).to_be_disabled()
    await mark(page)
    await page.get_by_role("button", name="Cancel", exact=True).click()
    await page.get_by_role("button", name="Cancel it").click()
    await expect(status_of_run(page)).to_have_text("Cancelled")
    await expect(page.get_by_text(re.compile(r"cancelled by \S+@\S+")).first).to_be_visible()
    await stage.heard(key, "cancelled")
    await expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_disabled()
    await page.get_by_role("button", name="Replay", exact=True).click()
    await page.get_by_role("button", name="Replay 1 task").click()
    await stage.heard(key, "started", count=2)
    await expect(status_of_run(page)).to_have_text("Running")
    stage.open(key)
    await expect(status_of_run(page)).to_have_text("Completed")
    await expect(page.get_by_role("region", name="Output", exact=True)).to_contain_text('"n": 3')
    assert await is_marked(page)


async def test_an_address_of_no_run_says_so_and_leads_back(page: Page) -> None:
    await page.goto("/runs/00000000-0000-7000-8000-000000000000")
    await expect(page.get_by_role("heading", name="There is no such run")).to_be_visible()
    await page.get_by_role("link", name="Go to the runs").click()
    await expect(page).to_have_url(re.compile(r"/runs$|/runs\?"))


@pytest.mark.parametrize("path", ["/", "/docs/", "/docs/quickstart", "/api/docs"])
async def test_pages_get_along_with_the_policy_for_scripts(page: Page, path: str) -> None:
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
    answer = await page.goto(path)
    assert answer is not None and answer.ok
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    await expect(page.get_by_role("link").first).to_be_visible()
    assert refused == []
