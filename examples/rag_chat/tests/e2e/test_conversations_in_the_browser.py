"""A person at a browser who comes back: finds what was asked, asks it in other words, shares it, deletes it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page, expect

from ..model_server import ModelServer
from ..web_site import WebSite
from .pages import ask, complaints, pictures
from .stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def answered(page: Page, times: int = 1) -> None:
    await expect(page.get_by_text("Answered by tiny-chat")).to_have_count(times)


async def test_conversations_have_addresses_and_are_found_again(
    page: Page, site: WebSite, model_server: ModelServer, stack: Stack
) -> None:
    await expect(page.get_by_role("list", name="Examples").get_by_role("button")).to_have_count(3)
    assert await complaints(page) == []
    await pictures(page, "welcome")
    await ask(page, "How do I install broadaxe?", f"{site.address}/docs/")
    await answered(page)
    await expect(page).to_have_url(re.compile(f"^{re.escape(stack.chat_url)}/c/[0-9a-f-]{{36}}$"))
    first = page.url
    await ask(page, "And what does Zaphod need?")
    await answered(page, 2)
    await page.get_by_role("link", name="New conversation").click()
    await expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()
    await ask(page, "What are retries?")
    await answered(page)

    rows = page.get_by_role("navigation", name="Conversations").get_by_role("link")
    await expect(rows).to_have_text(["What are retries?", "How do I install broadaxe?"])
    await page.keyboard.press("Control+k")
    await page.keyboard.type("zaphod")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("And what does Zaphod need?")
    assert await complaints(page) == []
    await pictures(page, "search")
    await rows.click()
    await expect(page).to_have_url(first)
    await expect(page.get_by_test_id("answer")).to_have_count(2)
    # The address alone brings it back, about the same page.
    await page.reload()
    await expect(page.get_by_test_id("answer")).to_have_count(2)
    await expect(page.get_by_label("About")).to_have_value(f"{site.address}/docs/")
    await expect(page).to_have_title(re.compile("^How do I install broadaxe"))

    await page.get_by_role("button", name="Rename").click()
    await page.keyboard.type("Installing")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1, name="Installing")).to_be_visible()
    await expect(page.get_by_role("button", name="Rename")).to_be_focused()
    async with page.expect_download() as saving:
        await page.get_by_role("button", name="Save as Markdown").click()
    assert (await saving.value).suggested_filename == "installing.md"
    await page.go_back()
    await expect(page.get_by_role("heading", level=1, name="What are retries?")).to_be_visible()


async def test_a_question_is_edited_and_an_answer_made_again_and_all_versions_stay(
    page: Page, site: WebSite, model_server: ModelServer
) -> None:
    await ask(page, "How do I install broadaxe?", f"{site.address}/docs/")
    await answered(page)
    await page.get_by_role("button", name="Ask again").click()
    answers = page.get_by_role("group", name="Versions of the answer")
    await expect(answers).to_contain_text("2/2")
    await answered(page)
    await page.get_by_role("button", name="Edit the question").click()
    await page.get_by_label("The question in other words").fill("How do I install it with pip?")
    await page.get_by_role("button", name="Ask", exact=True).first.click()
    questions = page.get_by_role("group", name="Versions of the question")
    await expect(questions).to_contain_text("2/2")
    await answered(page)
    await ask(page, "And what does Zaphod need?")
    await answered(page, 2)
    await page.get_by_role("button", name="A good answer").first.click()
    assert await complaints(page) == []
    await pictures(page, "versions")

    await questions.get_by_role("button", name="Earlier version").click()
    await expect(page.get_by_test_id("answer")).to_have_count(1)
    await expect(questions.get_by_role("button", name="Earlier version")).to_be_focused()
    # The branch is in the address, and what was thought of an answer is kept.
    await page.reload()
    await expect(questions).to_contain_text("1/2")
    await expect(answers).to_contain_text("2/2")
    await questions.get_by_role("button", name="Later version").click()
    await expect(page.get_by_test_id("answer")).to_have_count(2)
    await expect(page.get_by_role("button", name="A good answer").first).to_have_attribute("aria-pressed", "true")


async def test_a_citation_opens_the_passage_where_it_stands(
    page: Page, site: WebSite, model_server: ModelServer
) -> None:
    await ask(page, "How do I install broadaxe?", f"{site.address}/docs/")
    await answered(page)
    await page.get_by_role("link", name="Source 1: Install").first.click()
    panel = page.get_by_role("complementary", name="Sources", exact=True)
    passage = panel.get_by_role("region", name="The passage")
    await expect(passage).to_contain_text("pip install broadaxe")
    await expect(panel).to_contain_text("nothing else to set up on the machine")
    words = "Create%20a%20virtual%20environment%20and%20install%20the%20package"
    original = panel.get_by_role("link", name="Open the page at this passage")
    place = f"{site.address}/docs/install.html#with-pip"
    await expect(original).to_have_attribute("href", f"{place}:~:text={words}")
    await expect(panel.get_by_role("heading", name="Source 1")).to_be_focused()
    assert await complaints(page) == []
    await pictures(page, "passage")
    await page.reload()
    await expect(passage).to_contain_text("pip install broadaxe")
    await panel.get_by_role("button", name="All sources").click()
    await expect(panel.get_by_role("heading", name="The answer refers to")).to_be_visible()
    assert await complaints(page) == []
    await pictures(page, "sources")
    await page.keyboard.press("Escape")
    await expect(panel).to_have_count(0)

    steps = page.locator("details", has_text="4 steps in")
    await steps.locator("summary").click()
    await expect(steps).to_contain_text("Read 3 pages")
    await pictures(page, "steps")
    await page.get_by_role("list", name="Questions that might come next").get_by_role("button").first.click()
    await answered(page, 2)


async def test_a_conversation_is_shared_read_by_others_and_deleted(
    page: Page, browser: Browser, site: WebSite, model_server: ModelServer, stack: Stack
) -> None:
    await ask(page, "How do I install broadaxe?", f"{site.address}/docs/")
    await answered(page)
    mine = page.url
    await page.get_by_role("button", name="Share").click()
    await page.get_by_role("button", name="Make a link").click()
    link = await page.get_by_label("Link", exact=True).input_value()
    assert await complaints(page) == []
    await pictures(page, "share")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Share")).to_be_focused()

    other = await browser.new_page(viewport={"width": 1_200, "height": 800})
    await other.goto(mine)
    await expect(other.get_by_text("There is no such conversation")).to_be_visible()
    await other.goto(link)
    await expect(other.get_by_test_id("answer")).to_contain_text("Install it with pip")
    await expect(other.get_by_label("Your question")).to_have_count(0)
    assert await complaints(other) == []
    await pictures(other, "shared")

    await page.get_by_role("button", name="Delete").click()
    await pictures(page, "delete")
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page).to_have_url(f"{stack.chat_url}/")
    await expect(page.get_by_text("What you ask is kept here")).to_be_visible()
    await other.reload()
    await expect(other.get_by_text("This link leads nowhere")).to_be_visible()
    await other.close()
