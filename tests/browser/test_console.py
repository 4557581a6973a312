"""The console's daily work in a browser: a token, a run started by hand, one found by metadata among others."""

from __future__ import annotations

import json
import re

import httpx
from gallery.cue import Cue
from hatchet_sdk import ClientConfig, Hatchet, TriggerWorkflowOptions
from playwright.async_api import Page, expect
from wirekit import EngineProcess, Stage

from tests.browser.test_dashboard import row_of, status_of_run


async def test_a_token_made_in_the_page_lets_a_program_in(
    page: Page, engine: EngineProcess, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    await page.goto("/settings/tokens")
    await page.get_by_role("button", name="Create a token").click()
    await page.get_by_role("textbox", name="Name").fill("browser")
    await page.get_by_role("button", name="Create", exact=True).click()
    shown = await page.get_by_role("region", name="Environment").text_content()
    variables = dict(line.split("=", 1) for line in (shown or "").splitlines())
    assert variables["HATCHET_CLIENT_HOST_PORT"] == engine.client().config.host_port
    config = ClientConfig(token=variables["HATCHET_CLIENT_TOKEN"], tls_config=engine.client().config.tls_config)
    client = Hatchet(config=config)
    run = await client.stubs.workflow(name="hold", input_validator=Cue).aio_run(
        Cue(key=key, n=1), wait_for_result=False
    )
    stage.open(key)
    await page.goto(f"/runs/{run.workflow_run_id}")
    await expect(status_of_run(page)).to_have_text("Completed")
    await page.goto("/settings/tokens")
    await page.get_by_role("button", name="Revoke browser").click()
    await page.get_by_role("button", name="Revoke it").click()
    await expect(page.get_by_role("button", name="Revoke browser")).to_have_count(0)


async def test_a_token_for_one_topic_made_in_the_page_reads_that_and_nothing_else(
    page: Page, engine: EngineProcess, hatchet: Hatchet
) -> None:
    await page.goto("/settings/tokens")
    await page.get_by_role("button", name="Create a token").click()
    await page.get_by_role("textbox", name="Name", exact=True).fill("one topic")
    await page.get_by_role("combobox", name="Role").select_option("One topic")
    await page.get_by_role("textbox", name="Topic").fill("x" * 255)
    await page.get_by_role("textbox", name="Namespace").fill("acme")
    await page.get_by_role("button", name="Create", exact=True).click()
    shown = await page.get_by_role("region", name="Header").text_content()
    name, _, value = (shown or "").partition(": ")
    streams = f"/api/v1/stable/tenants/{hatchet.tenant_id}/streams"
    async with httpx.AsyncClient(base_url=engine.url, headers={name: value}, timeout=30) as reader:
        async with reader.stream("GET", f"{streams}/acme/{'x' * 255}") as read:
            assert read.status_code == 200
        assert (await reader.get(f"{streams}/topics")).status_code == 401
    await page.get_by_role("button", name="Done").click()
    await expect(page.get_by_role("row", name="one topic")).to_contain_text(f"reads {'x' * 255} in acme")


async def test_a_workflow_is_run_from_its_page_and_the_run_is_watched(
    page: Page, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    await page.goto("/workflows?search=hold")
    await page.get_by_role("link", name="hold", exact=True).click()
    await page.get_by_role("button", name="Run", exact=True).click()
    dialog = page.get_by_role("dialog")
    editor = dialog.get_by_role("textbox", name="Input, as JSON")
    await editor.fill("{not json")
    await dialog.get_by_role("button", name="Run", exact=True).click()
    # A form that had not yet read the text may complain of its own fields as well.
    await expect(dialog.get_by_role("alert").filter(has_text="This is not JSON")).to_be_visible()
    await editor.fill(json.dumps({"key": key, "n": 5}))
    await dialog.get_by_role("button", name="Run", exact=True).click()
    await expect(page.get_by_test_id("run-heading")).to_contain_text("hold")
    stage.open(key)
    await expect(status_of_run(page)).to_have_text("Completed")
    await expect(page.get_by_role("region", name="Output", exact=True)).to_contain_text('"n": 5')
    # And again, with another input.
    await page.get_by_role("button", name="Run again").click()
    again = f"{key}b"
    await dialog.get_by_label("Key").fill(again)
    await dialog.get_by_label("N", exact=True).fill("6")
    await dialog.get_by_role("button", name="Run", exact=True).click()
    await expect(status_of_run(page)).to_have_text(re.compile("Queued|Running"))
    stage.open(again)
    await expect(page.get_by_role("region", name="Output", exact=True)).to_contain_text('"n": 6')


async def test_runs_are_found_by_metadata_and_all_of_them_cancelled(
    page: Page, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    workflow = hatchet.stubs.workflow(name="hold", input_validator=Cue)
    runs = [
        await workflow.aio_run(
            Cue(key=f"{key}{number}", n=number),
            options=TriggerWorkflowOptions(additional_metadata={"customer": key if number else "other"}),
            wait_for_result=False,
        )
        for number in range(3)
    ]
    other, *mine = (run.workflow_run_id for run in runs)
    await page.goto("/runs")
    await page.get_by_role("combobox", name="Search runs").fill(f"customer={key}")
    await page.keyboard.press("Enter")
    await expect(row_of(page, mine[0])).to_be_visible()
    await expect(row_of(page, other)).to_have_count(0)
    await page.get_by_role("button", name="Cancel all that match").click()
    await page.get_by_role("button", name="Cancel 2", exact=True).click()
    for run_id in mine:
        await expect(row_of(page, run_id).get_by_test_id("status")).to_have_text("Cancelled")
    await page.goto(f"/runs/{other}")
    await expect(status_of_run(page)).to_have_text("Running")
    stage.open(f"{key}0")
    await expect(status_of_run(page)).to_have_text("Completed")
