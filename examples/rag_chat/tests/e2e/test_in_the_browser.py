"""A person at a browser: asks, watches, reads, reloads, stops."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Browser, Page, expect

from ..model_server import ModelServer
from ..web_site import WebSite
from .pages import PATIENCE_MS, ask, picture
from .stack import PATIENCE_S, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.mark.usefixtures("no_model")
async def test_the_given_page_answers_without_a_model(page: Page, stack: Stack) -> None:
    await expect(page.get_by_label("About")).to_have_value(stack.docs_url)
    await picture(page, "1-welcome")
    await ask(page, "How do I install broadaxe?")
    await expect(page.get_by_text("Quoted passages, no language model")).to_be_visible(timeout=PATIENCE_MS)
    answer = page.get_by_test_id("answer")
    await expect(answer).to_contain_text("No language model is reachable, so here are the passages")
    await expect(answer.get_by_role("link", name=re.compile("^Source 1")).first).to_have_attribute(
        "href", re.compile(f"^{re.escape(stack.docs_url)}")
    )
    await picture(page, "2-extractive")


async def test_a_streamed_answer_with_citations_survives_a_reload(
    page: Page, site: WebSite, model_server: ModelServer, stack: Stack
) -> None:
    model_server.gate, model_server.pieces_before_gate = asyncio.Event(), 2
    await ask(page, "How do I install broadaxe?", f"{site.address}/docs/")
    answer = page.get_by_test_id("answer")
    await expect(answer).to_contain_text("Install it with pip", timeout=PATIENCE_MS)
    await expect(page.locator('[aria-current="step"]')).to_have_text("writing")
    await picture(page, "3-writing")

    # In the middle of the answer: what was written is there again, and the rest arrives.
    await page.reload()
    await expect(answer).to_contain_text("Install it with pip")
    model_server.gate.set()
    chip = page.get_by_role("link", name="Source 1: Install")
    await expect(chip).to_have_attribute("href", f"{site.address}/docs/install.html#with-pip")
    axe = page.get_by_role("link", name="Show the run behind this answer")
    await expect(axe).to_have_attribute("href", re.compile(f"^{re.escape(stack.engine_url)}/runs/[0-9a-f-]{{36}}$"))
    await expect(page.get_by_text("Answered by tiny-chat")).to_be_visible()
    await picture(page, "4-answered")

    await page.reload()
    await expect(answer).to_contain_text("Install it with pip")
    await expect(page.get_by_role("link", name="Source 1: Install")).to_be_visible()


async def test_the_steps_change_while_the_person_watches(page: Page, site: WebSite, model_server: ModelServer) -> None:
    site.pages["/docs/"].gate = asyncio.Event()
    site.pages["/docs/"].etag = False
    model_server.gate, model_server.pieces_before_gate = asyncio.Event(), 1
    await ask(page, "What are retries?", f"{site.address}/docs/")
    now = page.locator('[aria-current="step"]')
    await expect(now).to_have_text("reading", timeout=PATIENCE_MS)
    await expect(page.get_by_text(f"Reading {site.address}/docs/")).to_be_visible()
    await picture(page, "5-reading")
    site.pages["/docs/"].gate.set()
    await expect(now).to_have_text("writing", timeout=PATIENCE_MS)
    await expect(page.locator('[data-stage="making sense"]')).to_contain_text("done")
    model_server.gate.set()
    await expect(page.get_by_text("Answered by tiny-chat")).to_be_visible(timeout=PATIENCE_MS)


async def test_the_stop_button_stops(page: Page, site: WebSite, model_server: ModelServer) -> None:
    model_server.gate = asyncio.Event()
    await ask(page, "How do I install broadaxe?", f"{site.address}/docs/")
    await expect(page.get_by_test_id("answer")).to_contain_text("Install it", timeout=PATIENCE_MS)
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_text("Stopped", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    await asyncio.wait_for(model_server.hung_up.wait(), PATIENCE_S)
    await expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()


async def test_a_page_that_is_not_there_is_explained(page: Page, site: WebSite) -> None:
    await ask(page, "Anything?", f"{site.address}/missing")
    await expect(page.get_by_role("alert")).to_contain_text("there is no such page", timeout=PATIENCE_MS)
    await picture(page, "6-error")


async def test_the_page_fits_a_phone_and_the_dark(browser: Browser, stack: Stack) -> None:
    phone = await browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="dark")
    await phone.goto(stack.chat_url)
    await expect(phone.get_by_label("About")).to_have_value(stack.docs_url)
    await ask(phone, "How do I install broadaxe?")
    await expect(phone.get_by_text("Quoted passages, no language model")).to_be_visible(timeout=PATIENCE_MS)
    width = await phone.evaluate("document.documentElement.scrollWidth")
    assert width == 360
    await picture(phone, "7-phone")
    await phone.close()
