"""Reading pages and sites into the store."""

from __future__ import annotations

import dataclasses

import pytest

from rag_chat.errors import PageEmpty, PageError
from rag_chat.extraction import Link
from rag_chat.fetching import Fetcher
from rag_chat.page_store import PageStore
from rag_chat.reading import ReadPage, ReadSite, SiteReader, select_links
from rag_chat.settings import ReadingLimits

from .web_site import Page, WebSite, html


async def read(reader: SiteReader, url: str, question: str = "how do I install it?") -> ReadSite:
    async def report(detail: str) -> None:
        reports.append(detail)

    reports: list[str] = []
    site = await reader.read(url, question, report)
    assert reports[0] == f"Reading {url}"
    return site


async def test_an_index_page_brings_the_pages_below_it_and_only_those(reader: SiteReader, site: WebSite) -> None:
    found = await read(reader, f"{site.address}/docs/")
    assert {page.title for page in found.pages} == {"Docs", "Install", "Concepts"}
    assert set(site.paths()) == {"/docs/", "/robots.txt", "/docs/install.html", "/docs/concepts.html"}


async def test_a_single_page_is_read_alone(reader: SiteReader, site: WebSite) -> None:
    found = await read(reader, f"{site.address}/docs/install.html")
    assert [page.title for page in found.pages] == ["Install"]
    assert site.paths() == ["/docs/install.html"]


async def test_an_unchanged_page_is_not_indexed_twice(reader: SiteReader, site: WebSite) -> None:
    first = await read(reader, f"{site.address}/docs/install.html")
    site.pages["/docs/install.html"].etag = False
    again = await read(reader, f"{site.address}/docs/install.html")
    assert (first.pages[0].indexed, again.pages[0].indexed) == (True, False)
    assert first.pages[0].page_id == again.pages[0].page_id


async def test_a_known_page_is_asked_for_conditionally(reader: SiteReader, site: WebSite) -> None:
    await read(reader, f"{site.address}/docs/install.html")
    again = await read(reader, f"{site.address}/docs/install.html")
    assert "if-none-match" in site.requests[-1].headers
    assert not again.pages[0].indexed


async def test_a_changed_page_replaces_its_passages(reader: SiteReader, site: WebSite, store: PageStore) -> None:
    url = f"{site.address}/docs/install.html"
    [page] = (await read(reader, url)).pages
    site.pages["/docs/install.html"] = Page(
        html("Install", "<h1>Install</h1><p>It is now installed with conda only.</p>")
    )
    again = await read(reader, url)
    assert again.pages[0].indexed
    passages = await store.passages(await store.leads([page.page_id], 10))
    assert [passage.body for passage in passages] == ["It is now installed with conda only."]


async def test_a_fresh_page_is_not_asked_for_at_all(
    fetcher: Fetcher, store: PageStore, limits: ReadingLimits, site: WebSite
) -> None:
    reader = SiteReader(fetcher, store, dataclasses.replace(limits, fresh_for_s=60))
    await read(reader, f"{site.address}/docs/install.html")
    await read(reader, f"{site.address}/docs/install.html")
    assert site.paths() == ["/docs/install.html"]


async def test_a_redirected_index_still_brings_its_pages_the_second_time(reader: SiteReader, site: WebSite) -> None:
    site.pages["/docs"] = Page(b"", status=308, headers={"Location": "/docs/"}, etag=False)
    for _time in range(2):
        found = await read(reader, f"{site.address}/docs")
        assert len(found.pages) == 3


async def test_robots_txt_is_honoured_for_linked_pages(reader: SiteReader, site: WebSite) -> None:
    site.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /docs/concepts", content_type="text/plain")
    found = await read(reader, f"{site.address}/docs/")
    assert {page.title for page in found.pages} == {"Docs", "Install"}
    assert any("robots.txt" in sentence for sentence in found.skipped)
    assert "/docs/concepts.html" not in site.paths()


async def test_a_broken_linked_page_costs_only_itself(reader: SiteReader, site: WebSite) -> None:
    del site.pages["/docs/concepts.html"]
    found = await read(reader, f"{site.address}/docs/")
    assert {page.title for page in found.pages} == {"Docs", "Install"}
    assert any("HTTP 404" in sentence for sentence in found.skipped)


async def test_the_number_of_pages_is_bounded(reader: SiteReader, site: WebSite) -> None:
    links = "".join(f'<li><a href="p{n}.html">Page {n}</a></li>' for n in range(30))
    site.pages["/docs/"] = Page(html("Docs", f"<h1>Docs</h1><p>Many pages are listed here below.</p><ul>{links}</ul>"))
    site.pages |= {f"/docs/p{n}.html": Page(html(f"P{n}", f"<h1>P{n}</h1><p>Text of page {n}.</p>")) for n in range(30)}
    assert len((await read(reader, f"{site.address}/docs/")).pages) == 6


async def test_bytes_of_a_whole_site_are_bounded(
    fetcher: Fetcher, store: PageStore, limits: ReadingLimits, site: WebSite
) -> None:
    reader = SiteReader(fetcher, store, dataclasses.replace(limits, site_size_bytes_max=100))
    found = await read(reader, f"{site.address}/docs/")
    assert len(found.pages) == 1
    assert all("too large" in sentence for sentence in found.skipped)


async def test_a_page_that_cannot_be_read_says_why(reader: SiteReader, site: WebSite) -> None:
    with pytest.raises(PageError, match="there is no such page"):
        await read(reader, f"{site.address}/nothing")
    site.pages["/empty"] = Page(html("App", "<div id='root'></div><script>go()</script>"))
    with pytest.raises(PageEmpty, match="built by scripts"):
        await read(reader, f"{site.address}/empty")


def test_links_that_share_words_with_the_question_come_first() -> None:
    links = tuple(
        Link(f"https://e.org/docs/{name}", text)
        for name, text in [("a", "History"), ("b", "How to install"), ("c", "x")]
    )
    page = ReadPage(1, "https://e.org/docs/", "Docs", links, 0, True)
    assert [link.url[-1] for link in select_links(page, page.url, "install it", 2)] == ["b", "a"]
    assert select_links(page, page.url, "install it", 0) == []
