"""Links lead somewhere: between the files, and on the site as the engine serves it."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx
import pytest
from fastapi import FastAPI

from broadaxe.rest.docs_site import DocsSite


def anchors(page: Any) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    found: dict[str, int] = {}
    names = set()
    for _, words in page.headings:
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        count = found[slug] = found.get(slug, 0) + 1
        names.add(slug if count == 1 else f"{slug}-{count - 1}")
    return names


def test_links_between_files_resolve_with_their_anchors(pages: list[Any], page_at: Callable[[Path], Any]) -> None:
    broken = []
    checked = 0
    for page in pages:
        for link in page.links:
            if urlsplit(link).scheme:
                continue
            checked += 1
            target, anchor = urldefrag(link)
            path = (page.path.parent / target).resolve() if target else page.path
            if not path.exists() or (anchor and anchor not in anchors(page_at(path))):
                broken.append(f"{page.name}: {link}")
    assert not broken
    assert checked > 30


def test_pages_of_the_site_link_only_to_each_other(docs: dict[str, Any]) -> None:
    # The site has nothing else: a link to the repository's README would lead nowhere.
    for page in docs.values():
        for link in page.links:
            target, _ = urldefrag(link)
            assert urlsplit(link).scheme or not target or target.removesuffix(".md") in docs, f"{page.name}: {link}"


def test_the_front_page_links_to_every_page(docs: dict[str, Any]) -> None:
    linked = {urldefrag(link)[0].removesuffix(".md") for link in docs["index"].links}
    assert linked >= docs.keys() - {"index"}


def test_every_page_has_one_title_and_it_comes_first(pages: list[Any]) -> None:
    for page in pages:
        levels = [level for level, _ in page.headings]
        assert levels[0] == 1, page.name
        assert levels.count(1) == 1, page.name


def test_no_heading_skips_a_level(pages: list[Any]) -> None:
    for page in pages:
        levels = [level for level, _ in page.headings]
        for before, after in pairwise(levels):
            assert after <= before + 1, f"{page.name}: a level {after} heading follows a level {before} one"


def test_pictures_are_there_shown_and_small(docs: dict[str, Any], root: Path) -> None:
    shown = {
        name for page in docs.values() for name in re.findall(r"!\[[^\]]+\]\(pictures/([\w-]+\.webp)\)", page.text)
    }
    files = {path.name: path.stat().st_size for path in (root / "docs" / "pictures").iterdir()}
    assert shown == files.keys()
    assert sum(files.values()) < 1_000_000


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif name == "href" and value and tag == "a":
                self.links.append(value)
            elif value and (name == "src" or (name == "href" and tag == "link")):
                self.sources.append(value)


async def served(docs: dict[str, Any], root: Path) -> dict[str, _Html]:
    """The pages of the site as the engine serves them, by address."""
    app = FastAPI(docs_url=None, redoc_url=None)
    site = DocsSite(root / "docs")
    app.add_api_route("/docs/{name:path}", site.page, methods=["GET"])
    parsed: dict[str, _Html] = {}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://docs.test") as client:
        for name in docs:
            address = "/docs/" if name == "index" else f"/docs/{name}"
            response = await client.get(address)
            assert response.status_code == 200, address
            parsed[address] = _Html()
            parsed[address].feed(response.text)
    return parsed


@pytest.mark.asyncio
async def test_the_served_site_has_no_dead_link_and_loads_nothing_from_elsewhere(
    docs: dict[str, Any], root: Path
) -> None:
    parsed = await served(docs, root)
    for address, page in parsed.items():
        for link in page.links:
            target, anchor = urldefrag(urljoin(address, link))
            if urlsplit(target).scheme or not target.startswith("/docs/"):
                continue
            assert target in parsed, f"{address}: {link}"
            assert not anchor or anchor in parsed[target].ids, f"{address}: {link}"
        assert all(not urlsplit(source).netloc for source in page.sources), address


@pytest.mark.asyncio
async def test_pages_of_the_console_link_to_chapters_that_are_there(docs: dict[str, Any], root: Path) -> None:
    parsed = await served(docs, root)
    source = root / "web" / "dashboard" / "src"
    link = re.compile(r"""(?:docs="|docs: "|DocsLink to="|["`]/docs/)([a-z0-9-]*(?:#[a-z0-9-]*)?)["`]""")
    checked = 0
    for path in sorted(source.rglob("*.tsx")):
        for target in link.findall(path.read_text(encoding="utf-8")):
            checked += 1
            page, _, anchor = target.partition("#")
            assert f"/docs/{page}" in parsed, f"{path.name}: /docs/{target}"
            assert not anchor or anchor in parsed[f"/docs/{page}"].ids, f"{path.name}: /docs/{target}"
    assert checked > 15


def test_every_page_of_the_console_links_to_its_chapter(root: Path) -> None:
    source = root / "web" / "dashboard" / "src"
    # The header of a run's page is a component of its own.
    parts = {"RunPage.tsx": source / "components" / "run" / "RunHeader.tsx"}
    pages = {path.name: path for path in (source / "routes").glob("[A-Z]*Page.tsx")} | parts
    link = re.compile(r"docs=|/docs/|<DocsLink")
    silent = {name for name, path in pages.items() if not link.search(path.read_text(encoding="utf-8"))}
    # Who is not signed in yet has nothing to read up on.
    assert silent == {
        "ForgotPasswordPage.tsx",
        "InvitePage.tsx",
        "LoginPage.tsx",
        "ResetPasswordPage.tsx",
        "SetupPage.tsx",
    }
