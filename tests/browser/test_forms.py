"""Starting, planning and pausing in a browser: the generated form, a cron with its next ticks, a pause, the palette."""

from __future__ import annotations

from gallery.cue import Cue
from hatchet_sdk import Hatchet
from playwright.async_api import Page, expect
from wirekit import Stage

from tests.browser.looking import complaints
from tests.browser.test_dashboard import status_of_run


async def test_a_run_is_started_with_the_form_of_its_schema_and_seen_to_complete(
    page: Page, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    await page.goto("/workflows?search=hold")
    await page.get_by_role("link", name="hold", exact=True).click()
    started = page.url
    await page.get_by_role("button", name="Run", exact=True).click()
    dialog = page.get_by_role("dialog")
    form = dialog.get_by_role("group", name="Input, as a form")
    await form.get_by_label("N", exact=True).fill("5")
    await dialog.get_by_role("button", name="Run", exact=True).click()
    # The key is missing: it is said at its field, the focus is there, and nothing was started.
    field = form.get_by_label("Key")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_be_focused()
    await expect(form.get_by_role("alert")).to_have_text("Is missing.")
    assert page.url == started
    await field.fill(key)
    # The same value stands in the editor beside it.
    await expect(dialog.get_by_role("textbox", name="Input, as JSON")).to_contain_text(f'"{key}"')
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_test_id("run-heading")).to_contain_text("hold")
    await expect(status_of_run(page)).not_to_have_text("Completed")
    stage.open(key)
    await expect(status_of_run(page)).to_have_text("Completed")


async def test_a_cron_is_made_with_its_next_ticks_in_sight_and_edited(page: Page, hatchet: Hatchet, key: str) -> None:
    await page.goto("/crons")
    await page.get_by_role("button", name="Create a cron").click()
    await page.get_by_role("dialog").get_by_role("button", name="hold", exact=True).click()
    dialog = page.get_by_role("dialog", name="Run hold")
    await dialog.get_by_label("Key").fill(key)
    await dialog.get_by_label("Name of the cron").fill(key)
    expression = dialog.get_by_label("Expression")
    await expression.fill("61 * * * *")
    await expect(dialog.get_by_role("alert")).to_contain_text("61")
    await expression.fill("CRON_TZ=Asia/Tokyo 30 7 * * *")
    ticks = dialog.get_by_role("table", name="Next ticks")
    await expect(ticks).to_contain_text("in Asia/Tokyo")
    await expect(ticks.get_by_role("row")).to_have_count(6)
    await dialog.get_by_role("button", name="Create cron").click()
    row = page.get_by_role("row").filter(has_text=key)
    await expect(row).to_contain_text("in ")
    await page.get_by_role("button", name=f"More for {key}").click()
    await page.get_by_role("menuitem", name="Edit…").click()
    await page.get_by_role("dialog").get_by_label("Expression").fill("0 3 * * *")
    await page.get_by_role("button", name="Save").click()
    await expect(row).to_contain_text("0 3 * * *")
    await page.get_by_role("button", name=f"More for {key}").click()
    await page.get_by_role("menuitem", name="Delete…").click()
    await page.get_by_role("button", name="Delete it").click()
    await expect(row).to_have_count(0)


async def test_ticks_of_the_past_are_made_up_for_after_saying_how_many(page: Page, hatchet: Hatchet, key: str) -> None:
    await hatchet.cron.aio_create("echo", key, "0 3 * * *", {"key": key}, {})
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto("/crons")
    await page.get_by_role("button", name=f"More for {key}").click()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    assert await complaints(page, "the menu of a cron") == []
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("menuitem", name="Backfill…")).to_be_focused()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    assert await complaints(page, "the backfill of a cron") == []
    since, until = dialog.get_by_label("From"), dialog.get_by_label("To", exact=True)
    makes = dialog.get_by_role("button", name="Make", exact=False)
    # A day has one; of years the first thousand are offered, and one cannot ask for more.
    await expect(dialog.get_by_role("status")).to_contain_text("1 tick, at ")
    await since.fill("2019-01-01T00:00")
    await expect(dialog.get_by_role("status")).to_contain_text("More than 1000 ticks. Make them in parts")
    await expect(makes).to_be_disabled()
    await until.fill("2018-01-01T00:00")
    await expect(until).to_have_attribute("aria-invalid", "true")
    await until.fill("2019-01-03T12:00")
    await expect(makes).to_have_text("Make 3 runs")
    await makes.click()
    await expect(page.get_by_role("dialog", name="3 runs made")).to_be_visible()
    await page.get_by_role("link", name="Show the runs of this backfill").click()
    await expect(page.get_by_test_id("run-row")).to_have_count(3)
    await expect(page.get_by_test_id("run-row").get_by_test_id("status")).to_have_text(["Completed"] * 3)


async def test_a_workflow_is_paused_with_its_choices_and_its_run_waits_until_it_goes_on(
    page: Page, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    await page.goto("/workflows?search=hold")
    await page.get_by_role("link", name="hold", exact=True).click()
    address = page.url
    await page.get_by_role("button", name="Pause", exact=True).click()
    await page.get_by_label("A cron's tick meanwhile").select_option("QUEUE")
    await page.get_by_role("button", name="Pause it").click()
    await expect(page.get_by_role("status").filter(has_text="It is paused")).to_contain_text("make runs that wait")
    run = await hatchet.stubs.workflow(name="hold", input_validator=Cue).aio_run(
        Cue(key=key, n=1), wait_for_result=False
    )
    stage.open(key)
    await page.goto(f"/runs/{run.workflow_run_id}")
    await expect(status_of_run(page)).to_have_text("Queued")
    await page.goto(address)
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    await page.goto(f"/runs/{run.workflow_run_id}")
    await expect(status_of_run(page)).to_have_text("Completed")


async def test_the_palette_is_used_by_keyboard_alone_and_a_dialog_gives_the_focus_back(
    page: Page, hatchet: Hatchet
) -> None:
    await page.goto("/runs")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("combobox", name="Commands")).to_be_focused()
    await page.keyboard.type("theme dark")
    await page.keyboard.press("Enter")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert await page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("combobox", name="Commands")).to_be_focused()
    await page.keyboard.type("hold")
    await expect(page.get_by_role("option", name="hold", exact=True)).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("hold")
    run = page.get_by_role("button", name="Run", exact=True)
    await run.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(run).to_be_focused()
