"""What is asked of every page of the console, as it stands: axe finds nothing, in the dark and in the light; there is
one main heading; the Tab key reaches all that can be used, and one sees where it is; a phone is not scrolled sideways.
"""

from __future__ import annotations

import re
from pathlib import Path

from playwright.async_api import Page, expect

AXE = Path(__file__).resolve().parents[2] / "web" / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"width": 390, "height": 844}
#: Notes where the keyboard goes from here on. The walk begins in the part of the page that is its own: the frame around
#: it, walked once, is on every page.
WALK = """(isWhole) => {
    if (!isWhole) {
        const main = document.querySelector('main');
        if (!main.hasAttribute('tabindex')) main.tabIndex = -1;
        main.focus();
    }
    window.walked = new Set();
    window.unseen = new Set();
    document.addEventListener('focusin', ({target}) => {
        window.walked.add(target);
        const look = getComputedStyle(target);
        if (look.outlineStyle === 'none' && look.boxShadow === 'none') window.unseen.add(target);
    }, true);
}"""
#: What can be used on the page as it is now (of radio buttons the chosen one is, and arrows lead to the others) and was
#: not come by; where one did not see that one was; and what looks as if a click did something but takes no focus.
MISSED = """(isWhole) => {
    const told = (one) => (one.getAttribute('aria-label') || one.textContent || one.outerHTML).trim().slice(0, 60);
    const takesFocus = 'a[href], button, input, select, textarea, summary, label, [tabindex]';
    // A dialog is all there is while it is open.
    const root = document.querySelector('dialog[open]') ?? (isWhole ? document : document.querySelector('main'));
    const usable = [...root.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter(
        (one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({visibilityProperty: true})
            && !(one.type === 'radio' && !one.checked && document.querySelector(`[name="${one.name}"]:checked`)));
    const pointed = [...root.querySelectorAll('*')].filter(
        (one) => getComputedStyle(one).cursor === 'pointer' && !one.closest(takesFocus));
    return [
        ...usable.filter((one) => !window.walked.has(one)).map((one) => `not reached: ${told(one)}`),
        ...[...window.unseen].filter((one) => one.isConnected).map((one) => `not seen: ${told(one)}`),
        ...pointed.map((one) => `for the mouse alone: ${told(one)}`),
    ];
}"""
#: How wide the page is, once what is drawn another way on a phone is so: a moment later.
WIDTH = """async (most) => {
    const until = performance.now() + 20_000;
    const width = () => document.documentElement.scrollWidth;
    while (width() > most && performance.now() < until) await new Promise(requestAnimationFrame);
    return width();
}"""
#: Rows with a colour of their own fade in; a page is looked at when it stands still.
STILL = "*, ::before, ::after { animation: none !important; transition: none !important; }"


async def settled(page: Page, address: str) -> None:
    """Opens a page and waits until nothing on it is still being read."""
    await page.goto(address)
    await expect(page.get_by_role("heading", level=1).first).to_be_visible()
    await expect(page.get_by_role("status").filter(has_text=re.compile("^Loading"))).to_have_count(0)
    await page.add_style_tag(content=STILL)


async def complaints(page: Page, address: str) -> list[str]:
    """What axe has to say of the page as it stands, and what else is wrong with it."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    told = [
        f"{address}: {rule['id']}: {node['html'][:160]} ({' '.join(node['failureSummary'].split())[:200]})"
        for rule in found
        for node in rule["nodes"][:3]
    ]
    headings = await page.get_by_role("heading", level=1).count()
    return told if headings == 1 else [*told, f"{address}: {headings} main headings"]


async def unreached(page: Page, address: str, *, is_whole: bool) -> list[str]:
    """What the Tab key does not come by on the page as it stands, or where one does not see that it is there."""
    await page.evaluate(WALK, is_whole)
    found: list[str] = await page.evaluate(MISSED, is_whole)
    # Pages go on growing, a graph that is loaded late for instance: the walk is gone on with as often as that.
    for _ in range(3):
        for _ in range(len(found) + 2):
            await page.keyboard.press("Tab")
        found = await page.evaluate(MISSED, is_whole)
        if not found:
            break
    return [f"{address}: {complaint}" for complaint in found]


async def wider_than_a_phone(page: Page, address: str) -> list[str]:
    """Whether the page as it stands would be scrolled sideways at 390 px."""
    before = page.viewport_size
    await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    width = await page.evaluate(WIDTH, PHONE["width"])
    if before is not None:
        await page.set_viewport_size(before)
    return [f"{address} is {width} px wide"] if width > PHONE["width"] else []


async def wrong_with(page: Page, address: str, *, is_walked: bool = True, is_whole: bool = False) -> list[str]:
    """What is wrong with the page as it stands: in either look, by keyboard (unless it is not walked; all of it, or the
    part that is its own), and on a phone."""
    told: list[str] = []
    for look in ("light", "dark"):
        await page.emulate_media(color_scheme="light" if look == "light" else "dark")
        told += await complaints(page, f"{address}, {look}")
    if is_walked:
        told += await unreached(page, address, is_whole=is_whole)
    return [*told, *await wider_than_a_phone(page, address)]
