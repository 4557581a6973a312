"""PDF documents: what is read of them, where a passage leads, and the sentences for those that cannot be read."""

from __future__ import annotations

import io

import pytest
from pypdf import PdfWriter

from rag_chat.chunking import split_into_passages
from rag_chat.errors import PageEmpty, PageError, PageTooLarge
from rag_chat.extraction import extract
from rag_chat.fetching import FetchedPage, Fetcher
from rag_chat.page_store import PageStore
from rag_chat.reading import SiteReader

from .pdf_document import pdf
from .web_site import Page, WebSite

URL = "https://e.org/manual.pdf"


def fetched(body: bytes) -> FetchedPage:
    return FetchedPage(URL, "application/pdf", None, body, None, None)


def test_a_passage_leads_to_its_page() -> None:
    document = extract(fetched(pdf("Install it with pip.", "", "A car needs fuel.", title="The manual")), 10_000)
    assert document.title == "The manual"
    passages = split_into_passages(document)
    assert [(passage.url, passage.heading, passage.body) for passage in passages] == [
        (f"{URL}#page=1", "Page 1", "Install it with pip."),
        (f"{URL}#page=3", "Page 3", "A car needs fuel."),
    ]


def test_lines_that_look_like_markdown_are_text() -> None:
    [passage] = split_into_passages(extract(fetched(pdf("# 1 is the first\n``` and so on")), 10_000))
    assert passage.heading == "Page 1"
    assert "1 is the first" in passage.body


def test_a_document_without_a_title_has_the_name_of_its_file() -> None:
    assert extract(fetched(pdf("Text.")), 100).title == "manual.pdf"


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"%PDF-1.4\n", pdf("Text.")[:200]], ids=["empty", "text", "head", "cut"]
)
def test_a_damaged_document_is_a_sentence(body: bytes) -> None:
    with pytest.raises(PageError, match="damaged, or no PDF"):
        extract(fetched(body), 1_000)


def test_a_scanned_document_says_so() -> None:
    with pytest.raises(PageEmpty, match="scanned"):
        extract(fetched(pdf("", "")), 1_000)


def test_a_protected_document_says_so() -> None:
    writer = PdfWriter(io.BytesIO(pdf("Secret.")))
    writer.encrypt("password", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    with pytest.raises(PageError, match="password"):
        extract(fetched(out.getvalue()), 1_000)


def test_pages_and_text_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(extract(fetched(pdf("word " * 100, "more")), 50).markdown) <= 50
    monkeypatch.setattr("rag_chat.pdf.PAGES_MAX", 1)
    with pytest.raises(PageError, match="has 2 pages"):
        extract(fetched(pdf("One.", "Two.")), 1_000)


def test_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_chat.pdf.TIME_S_MAX", -1.0)
    with pytest.raises(PageError, match="too complicated"):
        extract(fetched(pdf("One.")), 1_000)


async def test_a_document_is_read_from_the_web_and_may_be_larger_than_a_page(
    reader: SiteReader, site: WebSite, store: PageStore, fetcher: Fetcher
) -> None:
    body = pdf("Install it with pip.") + b"%" + b"x" * 61_000
    site.pages["/manual.pdf"] = Page(body, content_type="application/pdf")

    async def report(detail: str) -> None:
        pass

    [page] = (await reader.read(f"{site.address}/manual.pdf", "install", report)).pages
    [passage] = await store.passages(await store.leads([page.page_id], 5))
    assert (passage.url, passage.body) == (f"{site.address}/manual.pdf#page=1", "Install it with pip.")
    site.pages["/page.html"] = Page(b"x" * 61_000)
    with pytest.raises(PageTooLarge):
        await fetcher.fetch(f"{site.address}/page.html")
