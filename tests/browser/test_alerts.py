"""Alerts in a browser: a channel and a rule are made, a test arrives, a workflow fails, and the page tells of it."""

from __future__ import annotations

import re
import time

from gallery.cue import Cue
from hatchet_sdk import Hatchet
from playwright.async_api import Page, expect

from broadaxe.rest.webhook_proofs import HmacProof, check
from tests.alerting.receiver import Request, receiver
from tests.browser.looking import PHONE, complaints, settled
from tests.browser.test_dashboard import started


def prove(request: Request, secret: str) -> None:
    proof = HmacProof("SHA256", "BASE64", "webhook-signature", secret)
    check(proof, "SVIX", request.headers, request.body, now_s=time.time())


async def test_a_channel_a_rule_and_a_workflow_that_fails(page: Page, hatchet: Hatchet, key: str) -> None:
    async with receiver() as hook:
        await page.get_by_role("link", name="Alerts", exact=True).click()
        await expect(page.get_by_role("button", name="Create a rule")).to_be_disabled()
        await page.get_by_role("button", name="Create a channel").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name").fill("team")
        await dialog.get_by_label("Address").fill("http://10.9.8.7/hook")
        await dialog.get_by_role("button", name="Create").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("private address")
        await dialog.get_by_label("Address").fill(hook.url)
        await dialog.get_by_role("button", name="Create").click()
        secret = await dialog.get_by_text(re.compile("^whsec_")).inner_text()
        await dialog.get_by_role("button", name="Close").click()

        await page.get_by_role("tab", name="Channels").click()
        await page.get_by_role("button", name="Test team").click()
        tried = await hook.next()
        prove(tried, secret)
        assert tried.json["type"] == "alert.test"
        await page.get_by_role("link", name="See what comes of it").click()
        messages = page.get_by_role("table", name="Messages")
        await expect(messages.locator("tbody tr").first).to_contain_text("taken")

        await page.get_by_role("button", name="Create a rule").click()
        await dialog.get_by_label("Name").fill("any failure")
        await dialog.get_by_label("Workflow").select_option("always-fails")
        await dialog.get_by_label("Message").fill("{what} broke")
        await dialog.get_by_role("button", name="Create").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("'{what}'")
        await dialog.get_by_label("Message").fill("{workflow} broke: {error}")
        await dialog.get_by_role("button", name="Create").click()
        await expect(dialog).to_have_count(0)
        run_id = await started(hatchet, "always-fails", Cue(key=key))
        fired = await hook.next()
        prove(fired, secret)
        data = fired.json["data"]
        assert isinstance(data, dict)
        assert (fired.json["type"], data["runId"]) == ("alert.fired", run_id)
        assert str(data["text"]).startswith("always-fails broke: ")

        # Told by itself, whatever is open.
        await expect(messages.locator("tbody tr").first).to_contain_text("always-fails: a run failed")
        for tab in ("Rules", "Channels", "Messages", "History"):
            await page.get_by_role("tab", name=tab).click()
            await expect(page.get_by_role("tabpanel").get_by_role("table", name=tab)).to_be_visible()
        row = page.get_by_role("table", name="History").locator("tbody tr").first
        await expect(row).to_contain_text("goes on")
        await expect(row.get_by_role("link")).to_have_attribute("href", f"/runs/{run_id}")
        for tab in ("rules", "channels", "messages", "history"):
            address = f"/settings/alerts?tab={tab}"
            await settled(page, address)
            assert await complaints(page, address) == []
        await page.set_viewport_size(PHONE)
        await settled(page, "/settings/alerts?tab=rules")
        assert await complaints(page, "/settings/alerts?tab=rules") == []
        await page.get_by_role("button", name="Delete any failure").click()
        await page.get_by_role("button", name="Delete it").click()
        await expect(page.get_by_text("No rules")).to_be_visible()
