"""Three people share a tenant: an owner asks an admin and a viewer in, who join by their links alone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from playwright.async_api import Page, expect
from wirekit import EngineProcess, Stage

from tests.browser.test_dashboard import started, status_of_run
from tests.browser.test_every_page import complaints, settled

PASSWORD = "Correct-horse-7"

Newcomer = Callable[[], Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="session")
async def newcomer(page: Page, engine: EngineProcess) -> AsyncIterator[Newcomer]:
    """Opens a browser that nobody let in."""
    browser = page.context.browser
    assert browser is not None
    contexts = []

    async def opened() -> Page:
        context = await browser.new_context(base_url=engine.url, viewport={"width": 390, "height": 800})
        contexts.append(context)
        fresh = await context.new_page()
        fresh.set_default_timeout(60_000)
        return fresh

    yield opened
    for context in contexts:
        await context.close()


async def invite(owner: Page, email: str, role: str) -> str:
    """The link of an invite that the owner makes."""
    await owner.goto("/settings/members")
    await owner.get_by_role("button", name="Invite somebody").click()
    await owner.get_by_label("E-mail").fill(email)
    await owner.get_by_label("Role", exact=True).select_option(role)
    await owner.keyboard.press("Enter")
    link = await owner.get_by_role("region", name="Link").inner_text()
    found = re.search(r"http\S+", link)
    assert found is not None
    await owner.get_by_role("button", name="Done").click()
    return found[0]


async def join(page: Page, link: str) -> None:
    await settled(page, link)
    assert await complaints(page, "/invite") == []
    await page.get_by_label("Choose a password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Menu")).to_be_visible()


async def test_three_people_share_a_tenant(
    page: Page, newcomer: Newcomer, hatchet: Hatchet, stage: Stage, key: str
) -> None:
    amy, vic = f"amy-{key}@example.com", f"vic-{key}@example.com"
    admin, viewer = await newcomer(), await newcomer()
    await join(admin, await invite(page, amy, "ADMIN"))
    link = await invite(page, vic, "VIEWER")
    await join(viewer, link)

    # The viewer sees the run, and is refused whatever changes something.
    run_id = await started(hatchet, "hold", Cue(key=key))
    await stage.heard(key, "started")
    await viewer.goto(f"/runs/{run_id}")
    await viewer.get_by_role("button", name="Cancel", exact=True).click()
    await viewer.get_by_role("button", name="Cancel it").click()
    await expect(viewer.get_by_role("alert").filter(has_text="yours is VIEWER")).to_be_visible()
    await viewer.goto("/settings/members")
    await expect(viewer.get_by_text("this needs the role ADMIN")).to_be_visible()
    await expect(viewer.get_by_role("button", name="Invite somebody")).to_have_count(0)

    # The admin cancels it, and is named.
    await admin.goto(f"/runs/{run_id}")
    await admin.get_by_role("button", name="Cancel", exact=True).click()
    await admin.get_by_role("button", name="Cancel it").click()
    await expect(status_of_run(admin)).to_have_text("Cancelled")
    await expect(admin.get_by_text(f"cancelled by {amy}").first).to_be_visible()

    # The link was for one person; another browser is told so.
    late = await newcomer()
    await late.goto(link)
    await expect(late.get_by_role("heading", name="This link lets nobody in")).to_be_visible()

    # The owner makes the viewer a member, and then removes them: it counts at once.
    await settled(page, "/settings/members")
    assert await complaints(page, "/settings/members") == []
    await page.get_by_role("button", name=f"Change role of {vic}").click()
    await page.get_by_label("Role", exact=True).select_option("MEMBER")
    await page.get_by_role("button", name="Change", exact=True).click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await viewer.goto("/settings/tenant")
    await expect(viewer.get_by_text("MEMBER", exact=True)).to_be_visible()
    await page.get_by_role("button", name=f"Remove {vic}").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(page.get_by_text(vic)).to_have_count(0)
    await viewer.goto("/runs")
    await expect(viewer.get_by_role("heading", name="No tenant to show")).to_be_visible()
