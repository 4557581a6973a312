"""One fetch: its bounds, its manners, and what it refuses."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from rag_chat.errors import AddressRefused, PageError, PageTooLarge, PageUnavailable
from rag_chat.fetching import FetchedPage, Fetcher, NotModified

from .web_site import Page, WebSite, html


async def test_a_page_is_fetched_with_a_name_and_a_host(fetcher: Fetcher, site: WebSite) -> None:
    page = await fetcher.fetch(f"{site.address}/docs/install.html#with-pip")
    assert isinstance(page, FetchedPage)
    assert page.url == f"{site.address}/docs/install.html"
    assert (page.content_type, page.charset) == ("text/html", "utf-8")
    assert b"pip install broadaxe" in page.body
    assert site.requests[0].headers["user-agent"].startswith("rag-chat/")
    assert site.requests[0].headers["host"] == f"127.0.0.1:{site.port}"


async def test_a_page_that_is_known_and_unchanged_is_not_sent_again(fetcher: Fetcher, site: WebSite) -> None:
    page = await fetcher.fetch(f"{site.address}/docs/")
    assert isinstance(page, FetchedPage)
    again = await fetcher.fetch(page.url, etag=page.etag)
    assert isinstance(again, NotModified)


async def test_redirects_are_followed(fetcher: Fetcher, site: WebSite) -> None:
    site.pages["/old"] = Page(b"", status=301, headers={"Location": "/docs/install.html"})
    page = await fetcher.fetch(f"{site.address}/old")
    assert page.url == f"{site.address}/docs/install.html"


async def test_a_redirect_into_a_private_network_is_refused_before_anything_is_sent(
    fetcher: Fetcher, site: WebSite
) -> None:
    async with WebSite() as inner:
        inner.pages["/secret"] = Page(html("Secret", "<p>secret</p>"))
        site.pages["/out"] = Page(b"", status=302, headers={"Location": f"{inner.address}/secret"})
        with pytest.raises(AddressRefused, match="private network"):
            await fetcher.fetch(f"{site.address}/out")
        assert inner.requests == []


async def test_endless_redirects_end(fetcher: Fetcher, site: WebSite) -> None:
    site.pages["/loop"] = Page(b"", status=302, headers={"Location": "/loop"})
    with pytest.raises(PageError, match="redirects more than 5 times"):
        await fetcher.fetch(f"{site.address}/loop")
    assert len(site.requests) == 6


async def test_a_page_that_declares_too_much_is_refused(fetcher: Fetcher, site: WebSite) -> None:
    site.pages["/big"] = Page(b"x" * 70_000)
    with pytest.raises(PageTooLarge, match=r"larger than 0\.06 MB"):
        await fetcher.fetch(f"{site.address}/big")


async def test_a_page_that_declares_nothing_is_cut_off_at_the_limit(fetcher: Fetcher, site: WebSite) -> None:
    site.pages["/big"] = Page(b"x" * 70_000, headers={"Content-Length": ""})
    with pytest.raises(PageTooLarge):
        await fetcher.fetch(f"{site.address}/big")


async def test_a_compressed_page_is_read_and_a_bomb_is_not(fetcher: Fetcher, site: WebSite) -> None:
    site.pages["/zip"] = Page(gzip.compress(html("Zip", "<p>hello</p>")), headers={"Content-Encoding": "gzip"})
    site.pages["/bomb"] = Page(gzip.compress(b"0" * 20_000_000), headers={"Content-Encoding": "gzip"})
    page = await fetcher.fetch(f"{site.address}/zip")
    assert isinstance(page, FetchedPage)
    assert b"hello" in page.body
    with pytest.raises(PageTooLarge):
        await fetcher.fetch(f"{site.address}/bomb")


async def test_what_is_not_text_is_refused(fetcher: Fetcher, site: WebSite) -> None:
    site.pages["/x.pdf"] = Page(b"%PDF", content_type="image/png")
    with pytest.raises(PageError, match="image/png; the chat reads HTML"):
        await fetcher.fetch(f"{site.address}/x.pdf")


@pytest.mark.parametrize(
    ("status", "error"), [(404, PageError), (403, PageError), (503, PageUnavailable), (429, PageUnavailable)]
)
async def test_a_bad_status_is_final_or_worth_another_try(
    fetcher: Fetcher, site: WebSite, status: int, error: type[Exception]
) -> None:
    site.pages["/bad"] = Page(b"", status=status)
    with pytest.raises(error, match=f"HTTP {status}"):
        await fetcher.fetch(f"{site.address}/bad")


async def test_a_page_that_never_answers_is_given_up(fetcher: Fetcher, site: WebSite) -> None:
    site.pages["/slow"] = Page(b"", gate=asyncio.Event())
    with pytest.raises(PageUnavailable, match="within 3 s"):
        await fetcher.fetch(f"{site.address}/slow")


async def test_nothing_listening_is_said_plainly(limits, unused_tcp_port: int) -> None:  # type: ignore[no-untyped-def]
    fetcher = Fetcher(limits, frozenset({("127.0.0.1", unused_tcp_port)}))
    with pytest.raises(PageUnavailable, match="nothing accepts connections there"):
        await fetcher.fetch(f"http://127.0.0.1:{unused_tcp_port}/")
    await fetcher.close()
