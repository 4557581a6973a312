"""The library and the evaluation as a person uses them, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from ..pdf_document import pdf
from ..web_site import WebSite
from .pages import PATIENCE_MS
from .stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def test_a_file_is_given_read_and_asked_about(browser: Browser, stack: Stack, tmp_path: Path) -> None:
    manual = tmp_path / "manual.pdf"
    manual.write_bytes(pdf("The zanzibar valve is opened with a spanner."))
    page = await browser.new_page()
    await page.goto(f"{stack.chat_url}/library")
    await page.get_by_label("A PDF, Markdown or text file").set_input_files(manual)
    await expect(page.get_by_role("heading", name="manual.pdf")).to_be_visible(timeout=PATIENCE_MS)
    await page.get_by_role("link", name="manual.pdf").click(timeout=PATIENCE_MS)
    await expect(page.get_by_text("The zanzibar valve is opened with a spanner.")).to_be_visible()
    await page.go_back()
    await page.get_by_role("link", name="Ask about it").click()
    await page.get_by_label("Your question").fill("How is the zanzibar valve opened?")
    await page.get_by_label("Your question").press("Enter")
    await expect(page.get_by_text("is opened with a spanner").first).to_be_visible(timeout=PATIENCE_MS)


async def test_a_site_is_read_page_by_page(browser: Browser, stack: Stack, site: WebSite) -> None:
    page = await browser.new_page()
    await page.goto(f"{stack.chat_url}/library")
    await page.get_by_label("Address").fill(f"{site.address}/docs/")
    await page.get_by_role("button", name="Read", exact=True).click()
    # Sources of other tests are in the list as well.
    await expect(page).to_have_url(re.compile("source="), timeout=PATIENCE_MS)
    await expect(page.get_by_role("main").get_by_text("3 pages", exact=True).first).to_be_visible(timeout=PATIENCE_MS)
    await page.reload()
    await expect(page.get_by_role("link", name="Concepts")).to_be_visible(timeout=PATIENCE_MS)
