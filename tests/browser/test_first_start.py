"""From an empty installation to a second person with a second factor: the pages of whoever is not signed in yet.

The walks over the router's pages (`test_every_page`) are those of somebody who is let in, whom `/setup` and `/login`
send away. Here each of these pages is looked at as it stands for a stranger: by axe in both looks, by keyboard, on a
phone; and then does what it is there for.
"""

from __future__ import annotations

import asyncio
import re
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pyotp
import pytest_asyncio
from playwright.async_api import Page, expect
from wirekit import EngineProcess
from wirekit.engine_process import START_WITHIN_S

from tests.browser.looking import settled, wrong_with
from tests.browser.newcomer import PASSWORD, Newcomer, sign_in
from tests.browser.test_every_page import addresses
from tests.mailbox import Mailbox, mail_server

SECOND = "Another-horse-8"
GRACE, ADA = "grace@example.com", "ada@example.com"
LOOKED_AT = {"/setup", "/login", "/forgot-password", "/reset-password", "/invite"}


class EmptyInstallation(EngineProcess):
    """`broadaxe serve` on a database without accounts."""

    def __init__(self, directory: Path, database_url: str, flags: tuple[str, ...]) -> None:
        # Second factors are sealed.
        super().__init__(directory, database_url, flags, {"BROADAXE_SECRET_KEY": b64encode(bytes(32)).decode()})
        self.code = ""

    async def start(self) -> None:
        assert self._database_url is not None
        ports = ("--grpc-port", str(self._grpc_port), "--http-port", str(self._http_port))
        self._process = self._spawn(["serve", "--database-url", self._database_url, *ports, *self._flags])
        deadline = time.monotonic() + START_WITHIN_S
        while (said := re.search(r"\b(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}\b", self.log())) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the engine did not start:\n{self.log()}")
            await asyncio.sleep(0.02)
        self.code = said[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http_port}"


@pytest_asyncio.fixture(loop_scope="session")
async def mailbox() -> AsyncIterator[Mailbox]:
    box = Mailbox()
    async with mail_server(box):
        yield box


@pytest_asyncio.fixture(loop_scope="session")
async def empty(database: str, mailbox: Mailbox, tmp_path: Path) -> AsyncIterator[EmptyInstallation]:
    flags = ("--smtp-url", mailbox.url, "--mail-from", "broadaxe@example.com")
    installation = EmptyInstallation(tmp_path, database, flags)
    await installation.start()
    yield installation
    await installation.dispose()


@pytest_asyncio.fixture(loop_scope="session")
async def stranger(newcomer: Newcomer, empty: EmptyInstallation) -> Page:
    return await newcomer(base_url=empty.url)


async def looked_at(page: Page, name: str) -> None:
    """Nothing is wrong with the page as it stands, in either look, by keyboard, and on a phone."""
    told = await wrong_with(page, name, is_whole=True)
    assert not told, "\n".join(told)


async def mailed_link(mailbox: Mailbox) -> str:
    mail = await asyncio.wait_for(mailbox.mails.get(), 60)
    body = mail.get_body(("plain",))
    assert body is not None
    found = re.search(r"http://\S+#[\w-]+", body.get_content())
    assert found is not None
    return found[0]


def test_every_page_for_strangers_is_looked_at_here() -> None:
    assert set(addresses(for_strangers=True)) == LOOKED_AT


async def test_from_an_empty_installation_to_a_second_person(
    stranger: Page, empty: EmptyInstallation, mailbox: Mailbox
) -> None:
    page = stranger

    # Whoever opens the console is led to the setup.
    await settled(page, "/")
    await expect(page.get_by_role("heading", name="Set up Broadaxe")).to_be_visible()
    await looked_at(page, "/setup")
    for label, value in (
        ("Code from the log", "AAAA-AAAA-AAAA-AAAA"),
        ("E-mail", GRACE),
        ("Name of the tenant", "Navy"),
    ):
        await page.get_by_label(label).fill(value)
    await page.get_by_label("Choose a password").fill(PASSWORD)
    await page.get_by_role("button", name="Set up").click()
    await expect(page.get_by_role("alert")).to_contain_text("code")
    await looked_at(page, "/setup, refused")
    await page.get_by_label("Code from the log").fill(empty.code)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()

    # A second factor, whose recovery code is for later.
    await settled(page, "/settings/account")
    card = page.get_by_role("region", name="Second factor")
    await card.get_by_role("button", name="Turn on").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Your password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    key = await dialog.get_by_role("region", name="Key").inner_text()
    await looked_at(page, "/settings/account, a new second factor")
    await dialog.get_by_label("Code that the app shows").fill(pyotp.TOTP(key.strip()).now())
    await dialog.get_by_role("button", name="Turn on").click()
    codes = (await dialog.get_by_role("region", name="Recovery codes").inner_text()).split()
    await looked_at(page, "/settings/account, recovery codes")
    await dialog.get_by_role("button", name="Done").click()
    await expect(card).to_contain_text("recovery codes are left")

    # Somebody else is asked in, by mail.
    await settled(page, "/settings/members")
    await page.get_by_role("button", name="Invite somebody").click()
    await page.get_by_label("E-mail").fill(ADA)
    await page.keyboard.press("Enter")
    invite = await mailed_link(mailbox)
    await page.get_by_role("button", name="Done").click()
    await page.get_by_role("button", name="Sign out").click()

    await expect(page.get_by_role("heading", name="Sign in to Broadaxe")).to_be_visible()
    await looked_at(page, "/login")
    await page.get_by_role("link", name="Forgotten your password?").click()
    await expect(page.get_by_role("heading", name="Forgotten password")).to_be_visible()
    await expect(page.get_by_label("E-mail")).to_be_visible()
    await looked_at(page, "/forgot-password")
    await page.get_by_label("E-mail").fill(GRACE)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("on its way")
    await looked_at(page, "/forgot-password, asked")
    await settled(page, await mailed_link(mailbox))
    await looked_at(page, "/reset-password")
    await page.locator("[name=password]").fill(SECOND)
    await page.get_by_label("New password again").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("not the same")
    await looked_at(page, "/reset-password, refused")
    await page.get_by_label("New password again").fill(SECOND)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Password changed")).to_be_visible()
    await looked_at(page, "/reset-password, done")
    await page.get_by_role("link", name="Sign in").click()
    await sign_in(page, GRACE, SECOND)
    await expect(page.get_by_label("Code")).to_be_visible()
    await looked_at(page, "/login, with a code")
    await page.get_by_label("Code").fill(codes[0])
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()

    # The invite as whoever it is not for, then as the one it is for.
    await settled(page, invite)
    await expect(page.get_by_text("this invite is for somebody else")).to_be_visible()
    await looked_at(page, "/invite, somebody else's")
    await page.get_by_role("button", name="Sign out and go on").click()
    await expect(page.get_by_label("Choose a password")).to_be_visible()
    await looked_at(page, "/invite")
    await page.get_by_label("Choose a password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in to Broadaxe")).to_be_visible()
    await settled(page, invite)
    await expect(page.get_by_role("heading", name="This link lets nobody in")).to_be_visible()
    await looked_at(page, "/invite, used")
