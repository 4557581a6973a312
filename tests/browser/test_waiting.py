"""Why a run waits, what is to come and who holds a key, read in the browser; and the event a run waits for, sent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from playwright.async_api import Locator, Page, expect
from programs.flow_cue import Flow
from wirekit import EngineProcess, Rest, Stage, WorkerProcess, eventually

from tests.browser.test_dashboard import started, status_of_run


def serving(engine: EngineProcess, stage: Stage, directory: Path, program: str, name: str) -> Iterator[None]:
    worker = WorkerProcess(engine, stage, directory, name=name, slots=5, program=program)

    async def ready() -> None:
        async with Rest(engine.url, engine.token, engine.client().tenant_id) as rest:
            await worker.ready(rest)

    try:
        asyncio.run(ready())
        yield
    finally:
        asyncio.run(worker.dispose())


@pytest.fixture(scope="module")
def durable(engine: EngineProcess, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield from serving(engine, stage, tmp_path_factory.mktemp("durable"), "programs.durable_worker", "durable")


@pytest.fixture(scope="module")
def flow(engine: EngineProcess, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield from serving(engine, stage, tmp_path_factory.mktemp("flow"), "programs.flow_worker", "flow")


async def until_reason(engine: EngineProcess, run_id: str, reason: str) -> None:
    """Until the engine says that the run waits for that: from then on a page that is opened shows it."""
    headers = {"Authorization": f"Bearer {engine.token}"}
    async with httpx.AsyncClient(base_url=engine.url, headers=headers, timeout=30) as client:

        async def reasons() -> list[Any]:
            answer = await client.get(f"/api/v1/stable/workflow-runs/{run_id}/waiting")
            return [row["reason"] for row in answer.raise_for_status().json()["rows"]]

        await eventually(reasons, until=lambda found: reason in found, what=f"the run waits for {reason}")


def why(page: Page) -> Locator:
    return page.get_by_role("region", name="Why it does not run")


async def test_a_run_that_finds_no_free_slot_says_whose_slots_are_taken(
    page: Page, engine: EngineProcess, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    for number in range(2):
        await started(hatchet, "hold", Cue(key=f"{key}{number}", n=number))
    run_id = await started(hatchet, "hold", Cue(key=f"{key}2", n=2))
    await until_reason(engine, run_id, "SLOT")
    await page.goto(f"/runs/{run_id}")
    await expect(why(page)).to_contain_text("All 2 slots of gallery are in use; first in line.")
    await why(page).get_by_role("link", name="gallery").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("gallery")
    await page.goto("/concurrency")
    await expect(page.get_by_role("table", name="Queues")).to_contain_text("hold")
    await page.goto(f"/runs/{run_id}")
    for number in range(3):
        stage.open(f"{key}{number}")
    await expect(status_of_run(page)).to_have_text("Completed")
    await expect(why(page)).to_have_count(0)


async def test_runs_of_a_workflow_that_is_paused_in_the_page_say_so(
    page: Page, engine: EngineProcess, hatchet: Hatchet, key: str
) -> None:
    await page.goto("/workflows?search=label")
    await page.get_by_role("link", name="label", exact=True).click()
    await page.get_by_role("button", name="Pause", exact=True).click()
    await page.get_by_role("button", name="Pause it").click()
    await expect(page.get_by_role("button", name=re.compile("Resume|Unpause"))).to_be_visible()
    run_id = await started(hatchet, "label", Cue(key=key))
    await until_reason(engine, run_id, "PAUSED")
    await page.goto(f"/runs/{run_id}")
    await expect(why(page)).to_contain_text(re.compile("The workflow label is paused by .*@.* since"))
    await expect(why(page)).to_contain_text("it is given up at")
    await why(page).get_by_role("link", name="label").click()
    await page.get_by_role("button", name=re.compile("Resume|Unpause")).click()
    await expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    await page.goto(f"/runs/{run_id}")
    await expect(status_of_run(page)).to_have_text("Completed")


async def test_the_event_a_run_waits_for_is_sent_from_its_page_and_the_run_goes_on(
    page: Page, engine: EngineProcess, hatchet: Hatchet, durable: None, key: str
) -> None:
    expression = "input.amount > 100 && input.currency == 'EUR'"
    run_id = await started(hatchet, "durable-waiter", Cue(key=key, text=expression))
    await until_reason(engine, run_id, "CONDITION")
    await page.goto(f"/runs/{run_id}")
    await expect(why(page)).to_contain_text(f"Waits for the event 'durable:{key}' where {expression}.")
    await page.get_by_role("button", name="Send the event").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("Key")).to_have_value(f"durable:{key}")
    await expect(dialog.get_by_label("Payload")).to_have_value(re.compile(r'"amount": 101,\s+"currency": "EUR"'))
    await expect(dialog.get_by_role("status")).to_contain_text("It is true of this payload")
    await dialog.get_by_label("Payload").fill('{"amount": 5, "currency": "EUR"}')
    await expect(dialog.get_by_role("status")).to_contain_text("It is not true of this payload")
    await dialog.get_by_label("Payload").fill('{"amount": 500, "currency": "EUR"}')
    await expect(dialog.get_by_role("status")).to_contain_text("It is true of this payload")
    await dialog.get_by_role("button", name="Send", exact=True).click()
    await expect(status_of_run(page)).to_have_text("Completed")
    await expect(page.get_by_role("region", name="Output", exact=True)).to_contain_text("500")
    await expect(why(page)).to_have_count(0)


async def test_time_to_come_has_the_sleep_of_a_task_and_leads_to_it(
    page: Page, engine: EngineProcess, hatchet: Hatchet, durable: None, key: str
) -> None:
    run_id = await started(hatchet, "durable-sleeper", Cue(key=key, n=3_000))
    await until_reason(engine, run_id, "CONDITION")
    await page.goto("/upcoming")
    await page.get_by_role("button", name="Sleeps").click()
    await expect(page).to_have_url(re.compile("kind=.*SLEEP"))
    row = page.get_by_role("row").filter(has=page.locator(f"a[href*='{run_id}']"))
    await expect(row).to_contain_text("A sleep is over")
    await expect(row).to_contain_text("durable-sleeper")
    await row.locator(f"a[href*='{run_id}']").click()
    at = datetime.now(UTC) + timedelta(seconds=3_000)
    await expect(why(page)).to_contain_text(
        re.compile(rf"its sleep is over at ({at:%H}|{at - timedelta(hours=1):%H}):")
    )
    await page.get_by_role("button", name="Cancel", exact=True).click()
    await page.get_by_role("button", name=re.compile("Cancel (it|this run|the run)|^Cancel \\d")).click()
    await expect(status_of_run(page)).to_have_text("Cancelled")


async def test_a_key_is_found_with_its_holder_and_whoever_waits(
    page: Page, engine: EngineProcess, hatchet: Hatchet, flow: None, stage: Stage, key: str
) -> None:
    workflow = hatchet.stubs.workflow(name="flow-turns", input_validator=Flow)
    holder, waits = [
        (await workflow.aio_run(Flow(key=f"{key}{n}", user=key), wait_for_result=False)).workflow_run_id for n in (1, 2)
    ]
    await until_reason(engine, waits, "KEY")
    await page.goto(f"/runs/{waits}")
    await expect(why(page)).to_contain_text(f"Key '{key}': 1 of 1 held by flow-turns")
    await why(page).get_by_role("link", name="Everybody under this key").click()
    row = page.get_by_role("row").filter(has_text=key)
    await expect(row).to_contain_text("1 of 1")
    await expect(row.locator(f"a[href*='{waits}']")).to_be_visible()
    await row.locator(f"a[href*='{holder}']").click()
    await expect(page).to_have_url(re.compile(holder))
    for n in (1, 2):
        stage.open(f"{key}{n}")
    await expect(status_of_run(page)).to_have_text("Completed")
