"""The audit log in a browser: who cancels a run is named there, and the filters lead to what they did."""

from __future__ import annotations

import re

from gallery.cue import Cue
from hatchet_sdk import Hatchet
from playwright.async_api import Page, expect
from wirekit import Stage

from tests.browser.test_dashboard import started, status_of_run


async def test_who_cancels_a_run_is_named_in_the_audit_log(
    page: Page, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    run_id = await started(hatchet, "hold", Cue(key=key))
    await stage.heard(key, "started")
    await page.goto(f"/runs/{run_id}")
    await page.get_by_role("button", name="Cancel", exact=True).click()
    await page.get_by_role("button", name="Cancel it").click()
    await expect(status_of_run(page)).to_have_text("Cancelled")

    await page.get_by_role("link", name="Audit log", exact=True).click()
    await page.get_by_role("combobox", name="Action").select_option("run: cancel")
    log = page.get_by_role("table", name="Audit log")
    row = log.locator("tbody tr").first
    await expect(row.get_by_role("button", name=re.compile(r"\S+@\S+"))).to_be_visible()
    await row.get_by_title("Show only what was done to it").click()
    await expect(page).to_have_url(re.compile(rf"what={run_id}"))
    await expect(log.locator("tbody tr")).to_have_count(1)
