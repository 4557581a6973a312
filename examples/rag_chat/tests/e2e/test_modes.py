"""How much is done for an answer, through the whole chat: the plan and the children of a thorough one, the composer."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from playwright.async_api import Page as BrowserPage
from playwright.async_api import expect

from ..model_server import ModelServer
from ..watching import Watcher
from ..web_site import Page, WebSite, html
from .pages import PATIENCE_MS, complaints, pictures
from .stack import PATIENCE_S, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
UPGRADE = html(
    "Upgrade", "<h1>Upgrade</h1><p>Stop the zanzibar valve before anything is upgraded to a new release.</p>"
)
PLAN = ["How is it installed?", "How is it upgraded?"]


def linked(site: WebSite) -> str:
    """A page that links to another one; its address."""
    links = '<a href="upgrade.html">How to upgrade</a>'
    site.pages["/docs/start.html"] = Page(html("Start", f"<h1>Start</h1><p>Run pip to install broadaxe.</p>{links}"))
    site.pages["/docs/upgrade.html"] = Page(UPGRADE)
    return f"{site.address}/docs/start.html"


async def test_a_thorough_answer_reads_more_as_children_and_survives_a_killed_worker(
    site: WebSite, model_server: ModelServer, stack: Stack
) -> None:
    model_server.replies["Split"] = "\n".join(PLAN)
    url = linked(site)
    slow = site.pages["/docs/upgrade.html"]
    slow.gate = asyncio.Event()
    question = {"messages": [{"role": "user", "content": "How do I run it for years?"}], "url": url, "mode": "thorough"}
    async with httpx.AsyncClient(base_url=stack.chat_url, timeout=30) as client:
        accepted = (await client.post("/message", json=question)).json()
        watcher = Watcher(client, accepted["messageId"], 180)
        await asyncio.wait_for(slow.asked.wait(), PATIENCE_S)
        await asyncio.to_thread(stack.kill, "worker")
        slow.gate.set()
        stack.start_worker()
        result = await watcher.result()
    assert result["message"] == "Install it with pip [1]."
    assert result["searched_for"] == PLAN
    assert any("zanzibar" in passage["quote"] for passage in result["found"])
    steps = {step["step"]: step["notes"] for step in result["steps"]}
    assert steps["read_more"] == ["Read 1 of 1 further page."]
    assert list(steps) == ["start", "plan", "load_docs", "read_more", "reason_docs", "generate_response"]


async def test_a_quick_answer_is_given_less(site: WebSite, model_server: ModelServer, stack: Stack) -> None:
    question = {"messages": [{"role": "user", "content": "How do I install broadaxe?"}], "mode": "quick"}
    async with httpx.AsyncClient(base_url=stack.chat_url, timeout=30) as client:
        accepted = (await client.post("/message", json=question | {"url": f"{site.address}/docs/"})).json()
        result = await Watcher(client, accepted["messageId"], PATIENCE_S).result()
    assert (result["message"], result["given"]) == ("Install it with pip [1].", 3)


async def test_several_sources_and_a_mode_are_chosen_in_the_composer(
    page: BrowserPage, site: WebSite, model_server: ModelServer, stack: Stack
) -> None:
    model_server.replies = {"Split": "\n".join(PLAN), "Suggest": "How is it stopped?\nIs it fast?\nWhat does it need?"}
    url = linked(site)
    await page.get_by_label("About").fill(url)
    await page.get_by_label("About").press("Enter")
    await page.get_by_label("About").fill(f"{site.address}/docs/concepts.html")
    await page.get_by_role("button", name="Sources").click()
    notes = {"name": "notes.md", "mimeType": "text/markdown", "buffer": b"# Notes\n\nThe engine is called Broadaxe."}
    await page.get_by_label("Files to ask about").set_input_files(notes)  # type: ignore[arg-type]
    await expect(page.get_by_role("checkbox", name="notes.md").first).to_be_checked(timeout=PATIENCE_MS)
    await pictures(page, "picker")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Leave out notes.md")).to_be_visible()
    await page.get_by_text("Thorough", exact=True).click()
    await pictures(page, "composer")
    assert await complaints(page) == []
    model_server.gate, model_server.pieces_before_gate = asyncio.Event(), 1
    await page.get_by_label("Your question").fill("How do I install and upgrade it?")
    await page.get_by_label("Your question").press("Enter")
    await expect(page.get_by_text("Plan: 2 questions")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.get_by_test_id("answer")).to_contain_text("Install it", timeout=PATIENCE_MS)
    await pictures(page, "thorough-writing")
    model_server.gate.set()
    await expect(page.get_by_role("button", name="How is it stopped?")).to_be_visible(timeout=PATIENCE_MS)
    await pictures(page, "thorough")
    assert await complaints(page) == []
    # All of it is there again after a reload.
    await page.reload()
    await expect(page.get_by_role("radio", name="Thorough")).to_be_checked(timeout=PATIENCE_MS)
    await expect(page.get_by_role("button", name=f"Leave out {site.address}/docs/start.html")).to_be_visible()
    await expect(page.get_by_text("notes.md").first).to_be_visible()


async def test_that_the_sources_do_not_say_is_shown(
    page: BrowserPage, site: WebSite, model_server: ModelServer
) -> None:
    model_server.pieces = ["[0", "] ", "The pages do not say ", "who wrote it."]
    await page.get_by_label("About").fill(f"{site.address}/docs/")
    await page.get_by_label("Your question").fill("Who wrote broadaxe?")
    await page.get_by_label("Your question").press("Enter")
    await expect(page.get_by_text("The sources do not say", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    assert await page.get_by_test_id("answer").inner_text() == "The pages do not say who wrote it."
    await expect(page.get_by_role("heading", name="Sources")).to_have_count(0)
    await pictures(page, "not-said")
