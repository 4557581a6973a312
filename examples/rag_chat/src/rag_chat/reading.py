"""Reading what a question is about: one page, or the part of a site below an index page.

Owns which pages are read and in which order, and the bounds over all of them together (pages, bytes, seconds, parallel
requests). The page the person named must be readable, otherwise the reason is raised; pages it links to are read on a
best-effort basis, only on the same host, only below the same path, only as robots.txt allows.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from rag_chat.errors import ChatError, PageEmpty
from rag_chat.extraction import Link, extract, no_text
from rag_chat.fetching import ROBOTS_NAME, TEXT_TYPES, XML_TYPES, FetchedPage, Fetcher, NotModified
from rag_chat.page_store import PageStore
from rag_chat.settings import ReadingLimits

INDEX_PATH = re.compile(r"/(index\.[a-z]{3,5})?$", re.IGNORECASE)
UNREADABLE_SUFFIX = re.compile(
    r"\.(png|jpe?g|gif|svg|webp|ico|css|js|json|xml|pdf|zip|gz|tar|whl|mp4|mp3|woff2?|ttf|exe|dmg)$", re.IGNORECASE
)

#: What a reader that was widened reads of one site.
SITE_BYTES_MAX = 100_000_000
#: How often a person is told that a page is still waited for.
WAIT_TOLD_EVERY_S = 5.0

Report = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ReadPage:
    page_id: int
    url: str
    title: str
    links: tuple[Link, ...]
    size_bytes: int
    indexed: bool


@dataclass(frozen=True, slots=True)
class ReadSite:
    """What was read. `skipped` says in sentences which linked pages were not."""

    pages: tuple[ReadPage, ...]
    skipped: tuple[str, ...]


class SiteReader:
    def __init__(self, fetcher: Fetcher, store: PageStore, limits: ReadingLimits) -> None:
        self._fetcher = fetcher
        self._store = store
        self._limits = limits

    @property
    def limits(self) -> ReadingLimits:
        return self._limits

    def widened(self, pages_max: int, time_s_max: float) -> SiteReader:
        """A reader for more of a site than one question reads, for work that nobody waits for."""
        wider = replace(
            self._limits, site_pages_max=pages_max, site_time_s_max=time_s_max, site_size_bytes_max=SITE_BYTES_MAX
        )
        return SiteReader(self._fetcher, self._store, wider)

    async def read(self, url: str, question: str, report: Report, attempt: int = 1) -> ReadSite:
        """Read a page, and the pages below it when it is an index; raises ChatError when the page cannot be read."""
        await report(f"Reading {url}" if attempt == 1 else f"Reading {url}, try {attempt}")
        telling = asyncio.create_task(self._tell_of_waiting(url, report))
        try:
            first = await self.read_page(url)
        finally:
            telling.cancel()
        links = select_links(first, url, question, self._limits.site_pages_max - 1)
        if not links:
            if not await self._store.leads([first.page_id], 1):
                raise PageEmpty(no_text(url))
            return ReadSite((first,), ())
        site = await self._read_links(first, links, report)
        if not await self._store.leads([page.page_id for page in site.pages], 1):
            raise PageEmpty(f"Neither {url} nor the pages it links to have text to read.")
        return site

    async def _tell_of_waiting(self, url: str, report: Report) -> None:
        """Says now and then that the page has not come yet, and how long it gets."""
        waited_s = 0.0
        while True:
            await asyncio.sleep(WAIT_TOLD_EVERY_S)
            waited_s += WAIT_TOLD_EVERY_S
            given_s = self._limits.page_time_s_max
            await report(f"Waiting for {url}: nothing complete after {waited_s:g} s, and it gets {given_s:g} s")

    async def _read_links(self, first: ReadPage, links: Sequence[Link], report: Report) -> ReadSite:
        found: dict[int, ReadPage] = {}
        skipped: list[str] = []
        size_bytes = first.size_bytes
        gate = asyncio.Semaphore(self._limits.parallel_requests_max)

        async def read_link(rank: int, link: Link) -> None:
            nonlocal size_bytes
            async with gate:
                if size_bytes > self._limits.site_size_bytes_max:
                    skipped.append(f"{link.url} was not read: the site's pages together are too large.")
                    return
                try:
                    page = await self.read_page(link.url)
                except ChatError as error:
                    skipped.append(str(error))
                    return
                size_bytes += page.size_bytes
                found[rank] = page
                await report(f"Read {len(found) + 1} of {len(links) + 1} pages: {page.title}")

        try:
            async with asyncio.timeout(self._limits.site_time_s_max):
                robots = await self._robots(first.url)
                allowed = [link for link in links if robots.can_fetch(ROBOTS_NAME, link.url)]
                skipped += [
                    f"{link.url} was not read: robots.txt asks readers not to." for link in links if link not in allowed
                ]
                async with asyncio.TaskGroup() as group:
                    for rank, link in enumerate(allowed):
                        group.create_task(read_link(rank, link))
        except TimeoutError:
            skipped.append(f"Reading stopped after {self._limits.site_time_s_max:g} s.")
        pages = {first.page_id: first} | {found[rank].page_id: found[rank] for rank in sorted(found)}
        return ReadSite(tuple(pages.values()), tuple(skipped))

    async def read_page(self, url: str) -> ReadPage:
        """Read one page and nothing it links to; raises ChatError."""
        known = await self._store.find(url)
        if known is not None and known.age_s < self._limits.fresh_for_s:
            return ReadPage(known.page_id, known.final_url, known.title, known.links, 0, indexed=False)
        answer = await self._fetcher.fetch(
            url,
            etag=known.etag if known is not None else None,
            last_modified=known.last_modified if known is not None else None,
        )
        if isinstance(answer, NotModified):
            if known is None:
                raise PageEmpty(f"{url} says it did not change, but was never read before.")
            await self._store.touch(known.page_id)
            return ReadPage(known.page_id, known.final_url, known.title, known.links, 0, indexed=False)
        document = await asyncio.to_thread(extract, answer, self._limits.text_chars_max)
        page_id, indexed = await self._store.put(url, document, answer.etag, answer.last_modified, known)
        return ReadPage(page_id, answer.url, document.title, document.links, len(answer.body), indexed)

    async def keep(self, address: str, found: FetchedPage, name: str) -> int:
        """Index a document that did not come from the web, under an address of its own; returns its page's id."""
        document = await asyncio.to_thread(extract, found, self._limits.text_chars_max, name)
        known = await self._store.find(address)
        page_id, _indexed = await self._store.put(address, document, None, None, known)
        return page_id

    async def robots_text(self, url: str) -> str:
        """The site's rules for readers as they stand; nothing when there are none that can be read."""
        parts = urlsplit(url)
        found = await self._fetch_if_there(f"{parts.scheme}://{parts.netloc}/robots.txt", TEXT_TYPES)
        if found is None or found.content_type != "text/plain":
            return ""
        return found.body[:100_000].decode("utf-8", errors="replace")

    async def fetch_if_there(self, url: str) -> bytes:
        """The bytes of an XML document, such as a sitemap; nothing when it cannot be had."""
        found = await self._fetch_if_there(url, XML_TYPES)
        return b"" if found is None else found.body

    async def _fetch_if_there(self, url: str, content_types: tuple[str, ...]) -> FetchedPage | None:
        try:
            answer = await self._fetcher.fetch(url, content_types=content_types)
        except ChatError:
            return None
        return answer if isinstance(answer, FetchedPage) else None

    async def _robots(self, url: str) -> RobotFileParser:
        """The site's rules for readers; a site without readable rules allows reading."""
        rules = RobotFileParser()
        rules.parse((await self.robots_text(url)).splitlines())
        return rules


def select_links(page: ReadPage, asked_url: str, question: str, limit: int) -> list[Link]:
    """Pages below an index page, those that share words with the question first; nothing when the page is no index."""
    parts = urlsplit(page.url)
    if limit <= 0 or not INDEX_PATH.search(parts.path or "/"):
        return []
    folder = (parts.path or "/").rpartition("/")[0] + "/"
    words = set(re.findall(r"\w{3,}", question.lower()))
    chosen: dict[str, Link] = {}
    for link in page.links:
        target = urlsplit(link.url)
        same_site = (target.scheme, target.netloc.lower()) == (parts.scheme, parts.netloc.lower())
        if not same_site or target.query or not target.path.startswith(folder) or UNREADABLE_SUFFIX.search(target.path):
            continue
        if (
            link.url.rstrip("/") in (page.url.rstrip("/"), asked_url.rstrip("/"))
            or INDEX_PATH.sub("/", target.path) == folder
        ):
            continue
        chosen.setdefault(link.url, link)

    def shared_words(link: Link) -> int:
        return -len(words & set(re.findall(r"\w{3,}", f"{link.text} {urlsplit(link.url).path}".lower())))

    return sorted(chosen.values(), key=shared_words)[:limit]
