"""What the browser tests do with the chat's page."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.async_api import Page, expect

from .stack import PATIENCE_S

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE_MS = 1_000 * PATIENCE_S
expect.set_options(timeout=PATIENCE_MS)


async def picture(page: Page, name: str) -> None:
    """Keep what a person would see, where RAG_CHAT_TEST_PICTURES names a folder."""
    folder = os.environ.get("RAG_CHAT_TEST_PICTURES")
    if folder:
        await page.screenshot(path=Path(folder) / f"{name}.png")


async def pictures(page: Page, name: str) -> None:
    """The same at the width of a desk and of a phone, in the light and in the dark; then as it was."""
    if not os.environ.get("RAG_CHAT_TEST_PICTURES"):
        return
    before = page.viewport_size
    for width, height in ((1440, 900), (390, 844)):
        await page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await picture(page, f"{name}-{width}-{scheme}")
    await page.emulate_media(color_scheme="light")
    if before is not None:
        await page.set_viewport_size(before)


async def ask(page: Page, question: str, url: str | None = None) -> None:
    if url is not None:
        await page.get_by_label("About").fill(url)
    await page.get_by_label("Your question").fill(question)
    await page.locator(".composer").get_by_role("button", name="Ask", exact=True).click()


async def complaints(page: Page) -> list[str]:
    """What is hard for some people about the page: what axe says in both looks, and whether a phone holds it."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    told: list[str] = []
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        violations = await page.evaluate(
            "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
        )
        told += [
            f"{scheme}: {rule['id']}: {node['html'][:160]} ({' '.join(node['failureSummary'].split())[:200]})"
            for rule in violations
            for node in rule["nodes"][:3]
        ]
    await page.emulate_media(color_scheme="light")
    before = page.viewport_size
    await page.set_viewport_size({"width": 390, "height": 844})
    width = await page.evaluate("document.documentElement.scrollWidth")
    if before is not None:
        await page.set_viewport_size(before)
    return told if width <= 390 else [*told, f"{width} pixels wide on a phone of 390"]
