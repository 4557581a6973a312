"""Browsers of people whom nobody has let in yet, and how those who have a password sign in."""

from __future__ import annotations

from typing import Protocol

from playwright.async_api import Page

PASSWORD = "Correct-horse-7"


class Newcomer(Protocol):
    """The fixture `newcomer`."""

    async def __call__(self, *, width: int = 1280, base_url: str | None = None) -> Page:
        """A page in a browser of its own, of the engine that all share unless `base_url` names another."""


async def sign_in(page: Page, email: str, password: str) -> None:
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in", exact=True).click()
