"""Finding runs among many, acting on what was found, and errors in groups."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest_asyncio
from gallery.cue import Cue
from hatchet_sdk import Hatchet, TriggerWorkflowOptions
from playwright.async_api import Page, expect
from wirekit import EngineProcess, Stage

from tests.browser.test_dashboard import row_of, status_of_run

CROWD = 100_000

# Finished runs of the last hour, of a workflow that is there, one in a thousand of each customer.
_FILL = """
insert into broadaxe.run (
    tenant_id, id, workflow_id, workflow_version_id, is_dag, display_name, status, priority, input, additional_metadata,
    created_at, started_at, finished_at
)
select
    v.tenant_id,
    (substr(broadaxe.id_floor(born.at)::text, 1, 14) || '7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
    v.workflow_id, v.id, false, 'hold-' || n, 'COMPLETED', 1, '{}',
    jsonb_build_object('crowd', 'yes', 'customer', 'c' || n % 1000), born.at, born.at, born.at
from (
    select v.*
    from broadaxe.workflow_version v
    join broadaxe.workflow w on w.tenant_id = v.tenant_id and w.id = v.workflow_id and w.name = 'hold'
    order by v.ordinal desc
    limit 1
) as v,
generate_series(1, $1::integer) as n,
lateral (select now() - interval '10 minutes' - n * interval '20 milliseconds' as at) as born
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def crowd(engine: EngineProcess, hatchet: Hatchet) -> AsyncIterator[None]:
    """Many finished runs, which are gone afterwards: the engine is everybody's."""
    connection = await asyncpg.connect(engine.env["BROADAXE_ENGINE_DATABASE_URL"])
    await connection.execute(_FILL, CROWD, timeout=300)
    await connection.execute("analyze broadaxe.run")
    yield
    await connection.execute('delete from broadaxe.run where additional_metadata @> \'{"crowd": "yes"}\'', timeout=300)
    await connection.close()


async def held(hatchet: Hatchet, key: str, number: int, customer: str) -> str:
    """A run that waits for its signal."""
    run = await hatchet.stubs.workflow(name="hold", input_validator=Cue).aio_run(
        Cue(key=f"{key}{number}", n=number),
        options=TriggerWorkflowOptions(additional_metadata={"customer": customer}),
        wait_for_result=False,
    )
    return run.workflow_run_id


async def search(page: Page, text: str) -> None:
    await page.get_by_role("combobox", name="Search runs").fill(text)
    await page.keyboard.press("Enter")


async def test_one_run_is_found_among_many_and_all_that_match_are_cancelled(
    page: Page, hatchet: Hatchet, stage: Stage, crowd: None, key: str, tmp_path: Path
) -> None:
    # The worker has two slots: the third run waits for one of them.
    other, *mine = [await held(hatchet, key, number, key if number else "other") for number in range(3)]
    await page.goto("/runs")
    await search(page, f"customer={key}")
    await expect(page.get_by_test_id("run-row")).to_have_count(2)
    for run_id in mine:
        await expect(row_of(page, run_id)).to_be_visible()

    await page.get_by_role("button", name="Save view…").click()
    await page.get_by_label("Name").fill("Mine")
    await page.get_by_role("button", name="Save", exact=True).click()

    # By its name and by the front of its id, one run is found as well; and a hundred by their customer.
    await search(page, f"id:{mine[0][:23]} workflow:hold")
    await expect(row_of(page, mine[0])).to_be_visible()
    await search(page, "customer=c7 status:completed")
    await expect(page.get_by_test_id("run-row")).to_have_count(50)
    await page.get_by_role("button", name="Show more").click()
    await expect(page.get_by_test_id("run-row")).to_have_count(100)

    await page.get_by_role("button", name="Export…").click()
    await page.get_by_label("Format").select_option("json")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Export", exact=True).click()
    saved = tmp_path / "runs.json"
    await (await download.value).save_as(saved)
    exported = json.loads(saved.read_text())
    assert len(exported) == CROWD // 1000
    assert {run["metadata"]["customer"] for run in exported} == {"c7"}
    await page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).last.click()

    await page.get_by_label("Saved view").select_option("Mine")
    await expect(page.get_by_test_id("run-row")).to_have_count(2)
    await page.get_by_role("button", name="Cancel all that match").click()
    await expect(page.get_by_role("dialog")).to_contain_text("2 runs that the search finds")
    await page.get_by_role("button", name="Cancel 2", exact=True).click()
    for run_id in mine:
        await expect(row_of(page, run_id).get_by_test_id("status")).to_have_text("Cancelled")
    await page.goto(f"/runs/{other}")
    await expect(status_of_run(page)).to_have_text("Running")
    stage.open(f"{key}0")
    await expect(status_of_run(page)).to_have_text("Completed")


async def test_runs_are_found_by_what_went_in_and_came_out_and_the_page_says_how_far_it_looked(
    page: Page, hatchet: Hatchet, crowd: None, key: str
) -> None:
    mine, other = [
        await hatchet.runs.aio_create("echo", {"key": key, "text": f"{key} {customer}", "customer": {"id": customer}})
        for customer in (key, f"{key}-other")
    ]
    await page.goto("/runs")
    await search(page, f"input:customer.id={key}")
    await expect(page.get_by_test_id("run-row")).to_have_count(1)
    await expect(row_of(page, mine.run.metadata.id)).to_be_visible()
    looked = page.get_by_role("status").filter(has_text="Looked into the payloads")
    await expect(looked).to_contain_text("newest 10,000 runs that match everything else")
    await expect(looked).to_contain_text("Older ones may match too")
    await page.get_by_role("button", name="Look further back").click()
    await expect(page.get_by_test_id("run-row")).to_have_count(0)
    # Where less is to be looked through all of it is.
    await page.goto(f"/runs?id={other.run.metadata.id}")
    await expect(row_of(page, other.run.metadata.id).get_by_test_id("status")).to_have_text("Completed")
    await page.goto("/runs")
    await search(page, f'workflow:echo output:text="{key} {key}-other"')
    await expect(row_of(page, other.run.metadata.id)).to_be_visible()
    await expect(page.get_by_test_id("run-row")).to_have_count(1)
    await expect(looked).to_contain_text(re.compile(r"payloads of all [\d,]+ runs that match everything else"))
    await search(page, "input:customer.id")
    await expect(page.get_by_text("Write a place and its value behind")).to_be_visible()


async def test_a_run_is_looked_at_beside_the_list_and_its_children_under_it(
    page: Page, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    parent = hatchet.stubs.workflow(name="parent", input_validator=Cue)
    run = await parent.aio_run(Cue(key=key, n=2), wait_for_result=False)
    await page.goto(f"/runs?id={run.workflow_run_id}")
    row = row_of(page, run.workflow_run_id)
    await expect(row.get_by_test_id("status")).to_have_text("Completed")
    await row.get_by_role("button", name="3 child runs of").click()
    await expect(page.get_by_test_id("run-row")).to_have_count(4)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    panel = page.get_by_role("complementary", name="Run details")
    await expect(panel.get_by_role("link", name="Parent")).to_be_visible()
    await page.reload()
    await expect(panel.get_by_role("link", name="Parent")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(panel).to_have_count(0)


async def test_failures_of_one_kind_are_replayed_together(page: Page, hatchet: Hatchet, stage: Stage, key: str) -> None:
    since = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    failing = hatchet.stubs.workflow(name="gives-up", input_validator=Cue)
    runs = [await failing.aio_run(Cue(key=key, n=number), wait_for_result=False) for number in range(2)]
    await page.goto(f"/errors?from={since}")
    card = page.get_by_role("region", name="NonRetryableException")
    await expect(card).to_contain_text("2 tasks")
    await expect(card.get_by_role("heading")).to_contain_text("gallery/failures.py:")
    await expect(card).to_contain_text("no use")
    await card.get_by_role("button", name="Replay all of").click()
    await page.get_by_role("button", name="Replay 2", exact=True).click()
    await expect(page.get_by_text("2 tasks were replayed.")).to_be_visible()
    await card.get_by_role("link", name="gives-up").click()
    for run in runs:
        await expect(row_of(page, run.workflow_run_id).get_by_test_id("status")).to_have_text("Failed")
