"""Pages are told what has changed: they ask for it then, and for nothing while nothing changes."""

from __future__ import annotations

from pathlib import Path

from gallery.cue import Cue
from hatchet_sdk import Hatchet
from playwright.async_api import Page, Request, expect
from wirekit import EngineProcess, Stage

from tests.browser.test_dashboard import is_marked, mark


async def test_an_open_page_asks_for_nothing_while_workers_only_live(page: Page, hatchet: Hatchet) -> None:
    await page.goto("/workers")
    # Other rows may be workers of tests before this one, which live no more.
    heartbeat = page.get_by_role("row").filter(has_text="gallery").locator("time").first
    await expect(heartbeat).to_be_visible()
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    async def hear() -> None:
        heard = await heartbeat.get_attribute("datetime")
        await expect(heartbeat).not_to_have_attribute("datetime", heard or "")

    # A worker tells every four seconds that it is there: after two of them the page has been open and idle.
    await hear()
    page.on("request", note)
    await hear()
    # A worker of a test before this one, which is gone, is told of once more half a minute later.
    for _ in range(8):
        if not asked:
            break
        asked.clear()
        await hear()
    assert asked == []


async def test_a_run_appears_and_ends_on_the_list_by_itself(
    page: Page, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    await page.goto("/runs")
    await expect(page.get_by_role("heading", level=1, name="Runs")).to_be_visible()
    run = await hatchet.stubs.workflow(name="hold", input_validator=Cue).aio_run(
        Cue(key=key, n=1), wait_for_result=False
    )
    row = page.get_by_role("row").filter(has=page.locator(f'a[href*="{run.workflow_run_id}"]'))
    await expect(row).to_contain_text("Running")
    stage.open(key)
    await expect(row).to_contain_text("Completed")


async def test_while_the_engine_is_away_the_page_stays_says_so_and_goes_on_by_itself(
    page: Page, tmp_path: Path
) -> None:
    engine = EngineProcess(tmp_path)
    await engine.start()
    try:
        await page.goto(engine.dashboard_link)
        await page.goto(f"{engine.url}/events")
        empty = page.get_by_text("No events in the")
        await expect(empty).to_be_visible()
        await mark(page)
        away = page.get_by_text("The engine does not answer; this page goes on when it does")
        await engine.kill()
        await expect(away).to_be_visible()
        await expect(empty).to_be_visible()
        # A page that was not visited before waits in its place.
        await page.get_by_role("link", name="Webhooks", exact=True).click()
        await expect(page.get_by_text("could not be loaded yet")).to_be_visible()
        await page.get_by_role("link", name="Events", exact=True).click()
        await expect(empty).to_be_visible()
        await engine.start()
        await engine.client().event.aio_push("parcel:sent", {"n": 1})
        await expect(page.get_by_role("table", name="Events")).to_contain_text("parcel:sent")
        await expect(away).to_have_count(0)
        assert await is_marked(page)
    finally:
        await engine.dispose()
