"""Every page of the console and of the documentation, with something on it, is looked at as `looking` says.

The pages are those of the router: a new one is looked at without being named here, and one about a single thing fails
until somebody says which. Those for strangers are looked at in `test_first_start`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from playwright.async_api import Page
from wirekit import EngineProcess, Rest, Stage

from tests.browser.looking import settled, wrong_with
from tests.browser.newcomer import PASSWORD, Newcomer
from tests.browser.test_dashboard import started

ROOT = Path(__file__).resolve().parents[2]
ROUTES = ROOT / "web" / "dashboard" / "src" / "routes" / "tree.tsx"
NEEDED = ROOT / "web" / "dashboard" / "src" / "services" / "roles.ts"
CHAPTERS = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
DOCS = (*(f"/docs/{name}" for name in CHAPTERS), "/docs/nothing", "/api/docs")
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


async def test_nothing_is_wrong_with_any_page(page: Page, things: dict[str, str]) -> None:
    told: list[str] = []
    elsewhere = ("/no/such/page", "/runs/00000000-0000-7000-8000-000000000000")
    for number, address in enumerate((*(filled(path, things) for path in addresses()), *elsewhere)):
        await settled(page, address)
        told += await wrong_with(page, address, is_whole=number == 0)
    assert not told, "\n".join(told)


async def test_nothing_is_wrong_with_the_documentation(page: Page) -> None:
    told: list[str] = []
    for address in DOCS:
        await settled(page, address)
        told += await wrong_with(page, address, is_walked=False)
    assert not told, "\n".join(told)


def needed_roles() -> dict[str, str]:
    """The role that each act needs, as the console knows it; tests/docs compares that with the routes."""
    return dict(re.findall(r'^  (\w+): "(\w+)",$', NEEDED.read_text(encoding="utf-8"), re.MULTILINE))


Joined = Callable[[str], Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="session")
async def joined(page: Page, newcomer: Newcomer, hatchet: Hatchet, key: str) -> Joined:
    """Lets somebody with a role into the tenant, and opens a page of theirs."""

    async def let_in(role: str) -> Page:
        person = {"email": f"{role.lower()}-{key}@example.com", "role": role}
        made = await page.context.request.post(f"/api/v1/tenants/{hatchet.tenant_id}/invites", data=person)
        secret = (await made.json())["link"].partition("#")[2]
        opened = await newcomer()
        joining = {"secret": secret, "name": role, "password": PASSWORD}
        answer = await opened.context.request.post("/api/v1/stable/invites/join", data=joining)
        assert answer.ok, await answer.text()
        return opened

    return let_in


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
