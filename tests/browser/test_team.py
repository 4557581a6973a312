"""Three people share a tenant: an owner asks an admin in, who chooses a password, and a viewer, for whom a provider
vouches. What one of them did the others see, somebody of another tenant sees none of it, and who is not let in is told
why."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from playwright.async_api import Page, expect
from wirekit import EngineProcess, Stage

from tests.alerting.receiver import Receiver, receiver
from tests.browser.looking import complaints, settled
from tests.browser.newcomer import PASSWORD, Newcomer
from tests.browser.test_dashboard import started, status_of_run
from tests.mailbox import Mailbox, mail_server
from tests.openid_provider.process import ProviderProcess


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


async def posted(page: Page, path: str, body: dict[str, Any]) -> Any:
    """What a request of this person is answered."""
    answer = await page.context.request.post(path, data=body)
    assert answer.ok, f"{path}: {await answer.text()}"
    return await answer.json()


async def test_three_people_share_a_tenant(
    page: Page,
    newcomer: Newcomer,
    hatchet: Hatchet,
    stage: Stage,
    provider: ProviderProcess,
    mail_port: int,
    key: str,
) -> None:
    mailbox = Mailbox()
    async with receiver() as hook, mail_server(mailbox, port=mail_port):
        await three_people(page, newcomer, hatchet, stage, provider, hook, mailbox, key)


async def three_people(
    page: Page,
    newcomer: Newcomer,
    hatchet: Hatchet,
    stage: Stage,
    provider: ProviderProcess,
    hook: Receiver,
    mailbox: Mailbox,
    key: str,
) -> None:
    amy, vic, eve = (f"{name}-{key}@example.com" for name in ("amy", "vic", "eve"))
    tenant, stable = (f"/api/v1/{part}tenants/{hatchet.tenant_id}" for part in ("", "stable/"))
    admin, viewer = await newcomer(width=390), await newcomer(width=390)
    await join(admin, await invite(page, amy, "ADMIN"))
    provider.ask("person", {"sub": f"vic-{key}", "email": vic, "email_verified": True, "name": "Vic"})
    link = await invite(page, vic, "VIEWER")
    await viewer.goto(link)
    await viewer.get_by_role("link", name="Sign in with Acme, then accept").click()
    await viewer.get_by_role("region", name="Invites for you").get_by_role("button", name="Accept").click()
    await expect(viewer.get_by_role("button", name="Menu")).to_be_visible()
    assert {(await mailbox.mails.get())["to"] for _ in range(2)} == {amy, vic}

    # The viewer sees the run, and is refused whatever changes something.
    run_id = await started(hatchet, "hold", Cue(key=key))
    await stage.heard(key, "started")
    await viewer.goto(f"/runs/{run_id}")
    await expect(status_of_run(viewer)).to_have_text("Running")
    await expect(viewer.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)
    refused = await viewer.context.request.post(f"{stable}/tasks/cancel", data={"externalIds": [run_id]})
    assert refused.status == 401 and "yours is VIEWER" in await refused.text()
    await viewer.goto("/settings/members")
    await expect(viewer.get_by_text("this needs the role ADMIN")).to_be_visible()
    await expect(viewer.get_by_role("button", name="Invite somebody")).to_have_count(0)

    # The admin cancels it, and is named.
    await admin.goto(f"/runs/{run_id}")
    await admin.get_by_role("button", name="Cancel", exact=True).click()
    await admin.get_by_role("button", name="Cancel it").click()
    await expect(status_of_run(admin)).to_have_text("Cancelled")
    await expect(admin.get_by_text(f"cancelled by {amy}").first).to_be_visible()

    for address, told in (("?action=run.cancel", amy), ("?refused=true", vic)):
        await settled(admin, f"/settings/audit{address}")
        await expect(admin.get_by_role("main").get_by_role("button", name=told).first).to_be_visible()

    # A workflow fails: a request and a mail say so, and later that it is over.
    channels = [
        (await posted(admin, f"{stable}/alert-channels", {"name": f"{kind}-{key}", "kind": kind, **where}))["metadata"][
            "id"
        ]
        for kind, where in (("WEBHOOK", {"url": hook.url}), ("EMAIL", {"addresses": [amy]}))
    ]
    rule = {"name": key, "kind": "RUN_FAILED", "workflow": "gives-up", "window": "12s", "channels": channels}
    await posted(admin, f"{stable}/alert-rules", rule)
    failed_id = await started(hatchet, "gives-up", Cue(key=key))
    for occasion in ("alert.fired", "alert.resolved"):
        told = await hook.next()
        assert told.json["type"] == occasion and msgspec.convert(told.json["data"], dict)["runId"] == failed_id
        mail = await mailbox.mails.get()
        assert mail["to"] == amy and "gives-up" in mail["subject"]
    await settled(viewer, "/settings/alerts")
    await expect(viewer.get_by_role("main").get_by_text("gives-up").first).to_be_visible()

    # Somebody of another tenant sees none of it.
    made = await posted(page, "/api/v1/tenants", {"name": f"Other {key}", "slug": f"other-{key}"})
    other = f"/api/v1/tenants/{made['metadata']['id']}"
    asked = await posted(page, f"{other}/invites", {"email": eve, "role": "ADMIN"})
    outsider = await newcomer(width=390)
    await join(outsider, asked["link"])
    for path in (f"{tenant}/members", f"{tenant}/audit", f"{stable}/alerts", f"/api/v1/stable/workflow-runs/{run_id}"):
        assert (await outsider.context.request.get(path)).status in (403, 404), path
    await outsider.goto(f"/runs/{run_id}")
    await expect(outsider.get_by_role("heading", name="There is no such run")).to_be_visible()
    for address, theirs in (
        ("audit", eve),
        ("members", eve),
        ("alerts", "Nothing to tell of"),
        ("tenant", f"Other {key}"),
    ):
        await settled(outsider, f"/settings/{address}")
        await expect(outsider.get_by_role("main").get_by_text(theirs).first).to_be_visible()
        for name in (amy, vic, "gives-up", "Default"):
            await expect(outsider.get_by_text(name)).to_have_count(0)

    # The link was for one person; another browser is told so.
    late = await newcomer(width=390)
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


async def test_who_is_not_let_in_is_told_why_and_may_try_again(
    newcomer: Newcomer, engine: EngineProcess, provider: ProviderProcess, key: str
) -> None:
    stranger = await newcomer(width=390)
    problem = stranger.get_by_role("alert")

    async def tried(name: str, why: str) -> None:
        await stranger.get_by_role("link", name=f"Sign in with {name}").click()
        await expect(problem).to_contain_text(f"You were not signed in: {why}")
        await expect(stranger.get_by_role("button", name="Sign in", exact=True)).to_be_enabled()

    await settled(stranger, "/login")
    await tried("Away", "Away cannot be reached")
    await tried("Odd", "Odd calls itself")
    assert await complaints(stranger, "/login") == []
    zoe = {"sub": f"zoe-{key}", "email": f"zoe-{key}@example.com", "email_verified": False, "name": "Zoe"}
    provider.ask("person", zoe)
    await tried("Acme", "Acme has not verified")
    # An answer that came before counts no more, and what was said is said once.
    back = f"{engine.url}/api/v1/stable/openid/acme/callback?code=old&state=old"
    await stranger.goto(back)
    await expect(problem).to_contain_text("You were not signed in")
    await stranger.reload()
    await expect(problem).to_have_count(0)
    provider.ask("person", zoe | {"email_verified": True})
    await stranger.get_by_role("link", name="Sign in with Acme").click()
    await expect(stranger.get_by_role("heading", name="No tenant to show")).to_be_visible()
    assert await complaints(stranger, "/") == []
    # Who signs out is signed out at the provider as well, which leads them back.
    await stranger.get_by_role("button", name="Sign out").click()
    await stranger.get_by_role("button", name="Yes, sign me out").click()
    await expect(stranger.get_by_role("heading", name="Sign in to Broadaxe")).to_be_visible()
    assert (await stranger.context.request.get("/api/v1/users/current")).status == 403
