"""What people do in the settings and the documentation: sign in, choose a tenant, change a password, look things up."""

from __future__ import annotations

import asyncio
import os
import re
import sys

import httpx
import pytest_asyncio
from hatchet_sdk import Hatchet
from playwright.async_api import Page, expect
from wirekit import EngineProcess

from tests.browser.newcomer import PASSWORD, Newcomer, sign_in

SECOND = "Another-horse-8"


@pytest_asyncio.fixture(loop_scope="session")
async def colleague(newcomer: Newcomer, engine: EngineProcess, key: str) -> tuple[Page, str]:
    """A browser that nobody let in, and the address of somebody who was let into the tenant on the command line."""
    email = f"{key}@example.com"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BROADAXE_")}
    words = ("account", "add", email, "--role", "ADMIN", "--data-dir", str(engine.data_dir))
    adding = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "broadaxe.cli.main", *words),
        env=environment | {"BROADAXE_ACCOUNT_PASSWORD": PASSWORD},
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await adding.communicate()
    assert adding.returncode == 0, complaint.decode()
    return await newcomer(), email


async def test_a_second_person_signs_in_to_where_they_wanted_and_changes_their_password(
    colleague: tuple[Page, str], engine: EngineProcess
) -> None:
    page, email = colleague
    await page.goto("/workflows?search=hold#content")
    await expect(page.get_by_role("heading", name="Sign in to Broadaxe")).to_be_visible()
    await sign_in(page, email, PASSWORD)
    await expect(page.get_by_role("heading", name="Workflows", level=1)).to_be_visible()
    assert page.url.endswith("/workflows?search=hold#content")

    # The same person elsewhere.
    elsewhere = httpx.AsyncClient(base_url=engine.url, timeout=60)
    body = {"email": email, "password": PASSWORD}
    assert (await elsewhere.post("/api/v1/users/login", json=body)).status_code == 200
    await page.goto("/settings/account")
    rows = page.get_by_role("table", name="Sessions").get_by_role("row")
    await expect(rows).to_have_count(3)
    await page.get_by_role("button", name="End the session of python-httpx").click()
    await page.get_by_role("button", name="End it").click()
    await expect(rows).to_have_count(2)
    assert (await elsewhere.get("/api/v1/users/current")).status_code == 403
    await elsewhere.aclose()

    await page.get_by_role("button", name="Change password").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Current password").fill("wrong")
    await dialog.get_by_label("New password", exact=True).fill(SECOND)
    await dialog.get_by_label("New password again").fill(SECOND)
    await dialog.get_by_role("button", name="Change").click()
    await expect(dialog).to_contain_text("the current password is wrong")
    await dialog.get_by_label("Current password").fill(PASSWORD)
    await dialog.get_by_role("button", name="Change").click()
    await dialog.get_by_role("button", name="Done").click()
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, email, PASSWORD)
    await expect(page.get_by_role("alert")).to_contain_text("is wrong")
    await sign_in(page, email, SECOND)
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()


async def test_a_session_that_is_ended_elsewhere_comes_back_to_the_same_place(colleague: tuple[Page, str]) -> None:
    page, email = colleague
    # Told of nothing: what another test does would make the page ask, and find out before the click below.
    await page.route("**/changes", lambda _: None)
    await page.goto("/login")
    await sign_in(page, email, PASSWORD)
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    await page.goto("/events?key=wire%3A*")
    await expect(page.get_by_role("heading", name="Events", level=1)).to_be_visible()
    await page.context.clear_cookies()
    await page.get_by_role("link", name="Limits", exact=True).click()
    await expect(page.get_by_role("heading", name="Sign in to Broadaxe")).to_be_visible()
    await sign_in(page, email, PASSWORD)
    await expect(page.get_by_role("heading", name="Limits", level=1)).to_be_visible()


async def test_a_tenant_is_made_and_another_chosen_on_the_same_page(page: Page, key: str) -> None:
    await page.goto("/settings/tenant")
    await page.get_by_role("button", name="Create a tenant").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill(f"Tenant {key}")
    await expect(dialog.get_by_label("Slug")).to_have_value(f"tenant-{key}")
    await dialog.get_by_role("button", name="Create", exact=True).click()
    chosen = page.get_by_role("combobox", name="Tenant")
    await expect(chosen.locator("option:checked")).to_have_text(f"Tenant {key}")
    await page.get_by_role("link", name="Workflows", exact=True).click()
    await expect(page.get_by_role("heading", name="Workflows", level=1)).to_be_visible()
    await expect(page.get_by_role("link", name="hold", exact=True)).to_have_count(0)
    # It holds in a new tab and after a reload, until another one is chosen.
    await page.reload()
    await expect(chosen.locator("option:checked")).to_have_text(f"Tenant {key}")
    other = await page.context.new_page()
    await other.goto("/workflows")
    await expect(other.get_by_role("combobox", name="Tenant").locator("option:checked")).to_have_text(f"Tenant {key}")
    await other.get_by_role("combobox", name="Tenant").select_option(index=0)
    await expect(other.get_by_role("combobox", name="Tenant").locator("option:checked")).not_to_have_text(
        f"Tenant {key}"
    )
    assert other.url.endswith("/workflows")
    await page.reload()
    await expect(chosen.locator("option:checked")).to_have_text(f"Tenant {key}")
    await other.close()


async def test_limits_say_that_they_are_not_enforced(page: Page) -> None:
    await page.goto("/settings/limits")
    await expect(page.get_by_text("Not enforced.")).to_be_visible()
    await expect(page.get_by_role("region", name="Limits and use")).to_contain_text("of 2,000")
    await expect(page.get_by_text("kept for 30 days")).to_be_visible()


async def test_the_engine_is_drained_and_owns_again_on_a_phone(page: Page, hatchet: Hatchet) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto("/settings/cluster")
    await expect(page.get_by_role("table", name="Engines")).to_contain_text("live")
    await page.get_by_role("button", name="Drain: ").click()
    await page.get_by_role("button", name="Drain it").click()
    # There is no other engine to take its tenants, so it keeps them.
    await expect(page.get_by_role("table", name="Engines")).to_contain_text("draining")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.get_by_role("button", name="Own again: ").click()
    await page.get_by_role("button", name="Let it own again").click()
    await expect(page.get_by_role("button", name="Drain: ")).to_be_visible()


async def test_a_page_that_cannot_be_loaded_leaves_the_console_alone(page: Page) -> None:
    await page.goto("/")
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    await page.evaluate("window.notReloaded = true")
    await page.context.set_offline(True)
    await page.get_by_role("link", name="Limits", exact=True).click()
    await expect(page.get_by_text("could not be loaded yet")).to_be_visible()
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    await page.context.set_offline(False)
    await expect(page.get_by_role("heading", name="Limits", level=1)).to_be_visible()
    assert await page.evaluate("window.notReloaded === true")


async def test_the_documentation_is_searched_on_a_phone(page: Page) -> None:
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto("/docs/")
    pages = page.get_by_role("navigation", name="Pages")
    await expect(pages).to_be_hidden()
    menu = page.get_by_role("button", name="Menu")
    await menu.click()
    await expect(menu).to_have_attribute("aria-expanded", "true")
    await expect(pages.get_by_role("link", name="Quickstart")).to_be_visible()
    await menu.click()
    box = page.get_by_role("searchbox", name="Search the documentation")
    await box.fill("idempotency ttl")
    found = page.locator("#found")
    await expect(found.get_by_role("status")).to_contain_text(re.compile("section"))
    await expect(found.get_by_role("link").first).to_contain_text("Triggers: Idempotency keys")
    await box.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Idempotency keys", level=2)).to_be_in_viewport()
    await box.fill("wordthatisnowhere")
    await expect(found).to_contain_text("Nothing has “wordthatisnowhere” in it.")
    await page.keyboard.press("Escape")
    await expect(found).to_be_hidden()
    assert refused == []


async def test_code_in_the_documentation_is_copied_and_pages_follow_each_other(page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto("/docs/quickstart")
    code = page.locator("main .code").first
    await code.get_by_role("button", name="Copy this code").click()
    await expect(code.get_by_role("button", name="Copied")).to_be_visible()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == ((await code.locator("pre").text_content()) or "").removesuffix("\n")
    contents = page.get_by_role("navigation", name="On this page")
    last = contents.get_by_role("link").last
    heading = await last.text_content()
    await last.click()
    await expect(page.get_by_role("heading", name=heading or "")).to_be_in_viewport()
    await page.get_by_role("navigation", name="Previous and next page").get_by_role("link", name="Next").click()
    await expect(page).not_to_have_url(re.compile("quickstart"))
    await page.get_by_role("link", name="Previous").click()
    await expect(page).to_have_url(re.compile("quickstart"))
