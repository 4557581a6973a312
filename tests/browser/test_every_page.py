"""Every page of the console and of the documentation, with something on it: axe finds nothing, in the dark and in the
light; there is one main heading; a phone is not scrolled sideways.

The pages are those of the router: a new one is looked at without being named here, and one about a single thing fails
until somebody says which. Those for strangers are looked at in `test_first_start`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from playwright.async_api import Browser, BrowserContext, Page, expect
from wirekit import EngineProcess, Rest, Stage

from tests.browser.test_dashboard import started

ROOT = Path(__file__).resolve().parents[2]
ROUTES = ROOT / "web" / "dashboard" / "src" / "routes" / "tree.tsx"
NEEDED = ROOT / "web" / "dashboard" / "src" / "services" / "roles.ts"
AXE = ROOT / "web" / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
CHAPTERS = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
DOCS = (*(f"/docs/{name}" for name in CHAPTERS), "/docs/nothing", "/api/docs")
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
#: Uses every button of the page once, those that appear meanwhile too, and closes what it opens; tells of the dialogs
#: that send something. Stops where a button led to another page.
USE_ALL = """async () => {
    const forms = new Set();
    const used = new Set();
    const path = location.pathname;
    const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const told = (one) => (one.getAttribute('aria-label') || one.textContent).trim();
    while (location.pathname === path && used.size < 300) {
        const next = [...document.querySelectorAll('main button')].find(
            (one) => !one.disabled && !one.closest('dialog') && !used.has(told(one))
                && told(one) !== 'Download as a file' && one.checkVisibility({visibilityProperty: true}));
        if (next === undefined) break;
        used.add(told(next));
        next.click();
        await drawn();
        for (const dialog of document.querySelectorAll('dialog[open]')) {
            if (dialog.querySelector('form [type=submit]')) forms.add(dialog.querySelector('h2').textContent.trim());
            dialog.querySelector('[aria-label=Close]').click();
            await drawn();
        }
    }
    return [...forms];
}"""
#: What a page offers of acts that need a role.
OFFERED = "() => [...new Set([...document.querySelectorAll('[data-needs]')].map((one) => one.dataset.needs))].sort()"
OF_NO_TENANT = {"/login", "/setup", "/invite", "/forgot-password", "/reset-password"}
#: Dialogs that are everybody's: they change what is one's own, or what is looked at.
OWN_DIALOGS = {
    "Change password",
    "Compare with another run",
    "Create a tenant",
    "End this session?",
    "Runs that were made",
    "Save this view",
    "Sign out everywhere else?",
    "Turn a second factor on",
}
#: Rows with a colour of their own fade in; a page is looked at when it stands still.
STILL = "*, ::before, ::after { animation: none !important; transition: none !important; }"


def addresses(*, for_strangers: bool = False) -> list[str]:
    """The paths of the router, `$id` and all: of the pages behind the sign-in, or of those before it."""
    parent = "rootRoute" if for_strangers else "sessionRoute"
    routes = re.findall(r'getParentRoute: \(\) => (\w+),\s+path: "([^"]+)"', ROUTES.read_text(encoding="utf-8"))
    return sorted({path for above, path in routes if above == parent})


@pytest.fixture(scope="module")
def things(engine: EngineProcess, hatchet: Hatchet, stage: Stage) -> Iterator[dict[str, str]]:
    """One thing of each kind; the addresses of those that have a page of their own, by the path of that page."""
    yield asyncio.run(made(engine, hatchet, stage))
    # The run that was held: other tests need its slot.
    stage.open("every-page-held")


async def made(engine: EngineProcess, hatchet: Hatchet, stage: Stage) -> dict[str, str]:
    key = "every-page"
    failed = await started(hatchet, "diamond", Cue(key=key, fail=True))
    stage.open(key, "b")
    stage.open(key, "c")
    tenant = f"/api/v1/tenants/{hatchet.tenant_id}"
    stable = f"/api/v1/stable/tenants/{hatchet.tenant_id}"
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    headers = {"Authorization": f"Bearer {engine.token}"}
    async with (
        Rest(engine.url, engine.token, hatchet.tenant_id) as rest,
        httpx.AsyncClient(base_url=engine.url, headers=headers, timeout=60) as http,
    ):
        assert await rest.finished(failed) == "FAILED"
        echo = await started(hatchet, "echo", Cue(key=key, text="done"))
        await rest.finished(echo)
        await started(hatchet, "hold", Cue(key=f"{key}-held"))
        workflow_id = (await rest.workflow_version("echo"))["workflowId"]
        worker_id = (await rest.workers())[0]["metadata"]["id"]
        webhook = {
            "name": "every-page",
            "sourceName": "GENERIC",
            "eventKeyExpression": "input.key",
            "authType": "API_KEY",
            "auth": {"headerName": "X-Api-Key", "apiKey": "k3y-of-acme"},
        }
        posts: dict[str, dict[str, Any]] = {
            f"{tenant}/workflows/echo/crons": {
                "cronName": key,
                "cronExpression": "0 3 * * *",
                "input": {"key": key},
                "additionalMetadata": {},
            },
            f"{tenant}/workflows/echo/scheduled": {"triggerAt": soon, "input": {"key": key}, "additionalMetadata": {}},
            f"{tenant}/events": {"key": "wire:exact", "data": {"key": key}, "additionalMetadata": {"customer": "acme"}},
            f"{stable}/filters": {
                "workflowId": workflow_id,
                "scope": "acme",
                "expression": "input.n > 3",
                "payload": {},
            },
            f"{stable}/webhooks": webhook,
        }
        for path, body in posts.items():
            answer = await http.post(path, json=body)
            assert answer.status_code in (200, 201), f"{path}: {answer.text}"
        refused = await http.post(f"{stable}/webhooks/every-page", json={"key": "a:b"}, headers={"X-Api-Key": "wrong"})
        assert refused.status_code >= 400
        trace_id = (await rest.spans(failed))[0]["traceId"]
    return {
        "/runs/$id": f"/runs/{failed}",
        "/runs/$id/compare/$other": f"/runs/{failed}/compare/{echo}",
        "/workflows/$id": f"/workflows/{workflow_id}",
        "/workers/$id": f"/workers/{worker_id}",
        "/traces/$id": f"/traces/{trace_id}",
    }


def filled(path: str, things: dict[str, str]) -> str:
    """The address of a page: that of one thing where the page is about one."""
    if "$" not in path:
        return path
    assert path in things, f"{path}: say in the fixture `things` which one to look at"
    return things[path]


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
    width = await page.evaluate("document.documentElement.scrollWidth")
    if before is not None:
        await page.set_viewport_size(before)
    return [f"{address} is {width} px wide"] if width > PHONE["width"] else []


@pytest_asyncio.fixture(loop_scope="session", params=["light", "dark"])
async def reader(request: pytest.FixtureRequest, page: Page, engine: EngineProcess) -> AsyncIterator[Page]:
    """A page in one of the two looks, let in as the other fixture was."""
    browser: Browser | None = page.context.browser
    assert browser is not None
    context: BrowserContext = await browser.new_context(
        base_url=engine.url, viewport={"width": 1280, "height": 900}, color_scheme=request.param, bypass_csp=False
    )
    opened = await context.new_page()
    opened.set_default_timeout(60_000)
    await opened.goto(engine.dashboard_link)
    yield opened
    await context.close()


async def test_axe_finds_nothing_on_any_page(reader: Page, things: dict[str, str]) -> None:
    told: list[str] = []
    for path in addresses():
        address = filled(path, things)
        await settled(reader, address)
        told += await complaints(reader, address)
    for address in (*DOCS, "/no/such/page", "/runs/00000000-0000-7000-8000-000000000000"):
        await settled(reader, address)
        told += await complaints(reader, address)
    assert not told, "\n".join(told)


async def test_every_page_is_walked_by_keyboard(page: Page, things: dict[str, str]) -> None:
    """The Tab key reaches all that can be used, and one sees where it is."""
    missed: list[str] = []
    for number, path in enumerate(addresses()):
        address = filled(path, things)
        await settled(page, address)
        missed += await unreached(page, address, is_whole=number == 0)
    assert not missed, "\n".join(missed)


def needed_roles() -> dict[str, str]:
    """The role that each act needs, as the console knows it; tests/docs compares that with the routes."""
    return dict(re.findall(r'^  (\w+): "(\w+)",$', NEEDED.read_text(encoding="utf-8"), re.MULTILINE))


Joined = Callable[[str], Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="session")
async def joined(page: Page, engine: EngineProcess, hatchet: Hatchet, key: str) -> AsyncIterator[Joined]:
    """Lets somebody with a role into the tenant, and opens a page of theirs."""
    browser = page.context.browser
    assert browser is not None
    contexts: list[BrowserContext] = []

    async def let_in(role: str) -> Page:
        person = {"email": f"{role.lower()}-{key}@example.com", "role": role}
        made = await page.context.request.post(f"/api/v1/tenants/{hatchet.tenant_id}/invites", data=person)
        secret = (await made.json())["link"].partition("#")[2]
        context = await browser.new_context(base_url=engine.url, viewport={"width": 1280, "height": 900})
        contexts.append(context)
        newcomer = {"secret": secret, "name": role, "password": "Correct-horse-7"}
        answer = await context.request.post("/api/v1/stable/invites/join", data=newcomer)
        assert answer.ok, await answer.text()
        opened = await context.new_page()
        opened.set_default_timeout(60_000)
        return opened

    yield let_in
    for context in contexts:
        await context.close()


async def test_nobody_is_offered_what_their_role_is_refused(page: Page, joined: Joined, things: dict[str, str]) -> None:
    viewer, others = await joined("VIEWER"), {role: await joined(role) for role in ("MEMBER", "ADMIN")}
    sent: list[str] = []
    viewer.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    needed = needed_roles()
    reach = {"MEMBER": {"MEMBER"}, "ADMIN": {"MEMBER", "ADMIN"}}
    wrong: list[str] = []
    asked: set[str] = set()
    for address in (filled(path, things) for path in addresses() if path not in OF_NO_TENANT):
        await settled(page, address)
        offered = set(await page.evaluate(OFFERED))
        for role, somebody in others.items():
            theirs = sorted(act for act in offered if needed[act] in reach[role])
            if not offered:
                continue
            await settled(somebody, address)
            await somebody.wait_for_function(f"(acts) => acts.every((act) => ({OFFERED})().includes(act))", arg=theirs)
            found = await somebody.evaluate(OFFERED)
            wrong += [f"{address} offers {act} to a {role}" for act in found if needed[act] not in reach[role]]
        await settled(viewer, address)
        forms = set(await viewer.evaluate(USE_ALL))
        asked |= forms
        wrong += [f"{address} offers {act} to a VIEWER" for act in await viewer.evaluate(OFFERED)]
        wrong += [f"{address} asks a VIEWER: {title}" for title in forms - OWN_DIALOGS]
    wrong += [request for request in sent if not request.startswith("GET ")]
    assert wrong == [], "\n".join(wrong)
    assert {"Create a tenant", "Save this view"} <= asked, "the buttons were not used"


async def test_no_page_scrolls_a_phone_sideways(page: Page, things: dict[str, str]) -> None:
    await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    wide: list[str] = []
    for address in (*(filled(path, things) for path in addresses()), *DOCS, "/no/such/page"):
        await settled(page, address)
        wide += await wider_than_a_phone(page, address)
    assert not wide, "\n".join(wide)
