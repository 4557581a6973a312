"""Three people share a tenant: an owner asks an admin and a viewer in, who join by their links alone."""

from __future__ import annotations

import re

from axe_playwright_python.async_playwright import Axe  # noqa: F401
from playwright.async_api import BrowserContext, Page, expect
from wirekit import EngineProcess
