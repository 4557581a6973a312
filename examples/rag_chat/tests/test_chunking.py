"""Documents become passages that can be found, quoted and linked."""

from __future__ import annotations

import pytest

from rag_chat.chunking import PASSAGE_CHARS_MAX, PASSAGES_MAX, split_into_passages, text_fragment
from rag_chat.errors import PageEmpty
from rag_chat.extraction import Document, extract
from rag_chat.fetching import FetchedPage

from .web_site import INDEX_PAGE, INSTALL_PAGE, html

URL = "https://example.org/docs/install.html"


def page(body: bytes, content_type: str = "text/html", charset: str | None = None) -> FetchedPage:
    return FetchedPage(URL, content_type, charset, body, None, None)


def document(markdown: str) -> Document:
    return Document(URL, "Title", markdown, (), ())


def test_a_page_becomes_title_text_and_anchors() -> None:
    extracted = extract(page(INSTALL_PAGE), 100_000)
    assert extracted.title == "Install"
    assert "pip install broadaxe\nbroadaxe dev" in extracted.markdown
    assert ("with pip", "with-pip") in extracted.anchors


def test_links_are_absolute_and_without_fragments() -> None:
    links = [link.url for link in extract(page(INDEX_PAGE), 100_000).links]
    assert links[:2] == ["https://example.org/docs/concepts.html", "https://example.org/docs/install.html"]


def test_passages_carry_their_headings_and_lead_to_their_section() -> None:
    passages = split_into_passages(extract(page(INSTALL_PAGE), 100_000))
    with_pip = next(passage for passage in passages if "pip install" in passage.body)
    assert with_pip.heading == "Install Broadaxe / With pip"
    assert with_pip.url == f"{URL}#with-pip"
    assert "```" in with_pip.body


def test_a_section_without_an_id_is_found_by_its_words() -> None:
    passages = split_into_passages(extract(page(INSTALL_PAGE), 100_000))
    requirements = passages[-1]
    assert requirements.url == f"{URL}#:~:text=You%20need%20Python%203.11%20or%20newer%3B%20a%20PostgreSQL"


def test_text_fragments_escape_what_browsers_would_read_as_syntax() -> None:
    assert text_fragment("- **well-known** things, and more") == "#:~:text=well%2Dknown%20things%2C%20and%20more"
    assert text_fragment("```\n") == ""


def test_repeated_headings_lead_to_their_own_places() -> None:
    body = "".join(
        f'<h2 id="e{n}">Example</h2><p>This is the text of example number {n}, long enough to stay.</p>' for n in (1, 2)
    )
    passages = split_into_passages(extract(page(html("Examples", "<h1>Examples</h1>" + body)), 100_000))
    assert [passage.url.rpartition("#")[2] for passage in passages] == ["e1", "e2"]


def test_no_passage_is_longer_than_the_bound_and_nothing_is_lost() -> None:
    words = " ".join(f"word{n}" for n in range(4_000))
    code = "```\n" + "\n".join(f"line {n}" for n in range(1_000)) + "\n```"
    passages = split_into_passages(document(f"# One\n\n{words}\n\n# Two\n\n{code}"))
    assert max(len(passage.body) for passage in passages) <= PASSAGE_CHARS_MAX
    together = " ".join(passage.body for passage in passages)
    assert all(f"line {n}" in together for n in range(1_000))
    assert together.count("```") % 2 == 0
    assert "word3999" in together.replace("\n", "")


def test_the_number_of_passages_is_bounded() -> None:
    assert len(split_into_passages(document("\n\n".join(f"# H{n}\n\ntext {n}" for n in range(2_000))))) == PASSAGES_MAX


def test_short_paragraphs_share_a_passage_but_headings_separate() -> None:
    passages = split_into_passages(document("# A\n\none\n\ntwo\n\n# B\n\nthree"))
    assert [(passage.heading, passage.body) for passage in passages] == [("A", "one\n\ntwo"), ("B", "three")]


def test_a_hash_inside_code_is_no_heading() -> None:
    passages = split_into_passages(document("# A\n\n```\n# comment\nrun\n```"))
    assert [passage.heading for passage in passages] == ["A"]


def test_plain_text_and_other_charsets_are_read() -> None:
    assert extract(page(b"# Notes\n\nhello", "text/markdown"), 1_000).title == "Notes"
    latin = html("Café", "<p>Le café est fermé aujourd'hui, revenez demain.</p>").decode().encode("latin-1")
    assert "fermé" in extract(page(latin, charset="iso-8859-1"), 1_000).markdown


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"<html><body><script>render()</script></body></html>"])
def test_a_page_without_text_is_said_to_be_empty(body: bytes) -> None:
    with pytest.raises(PageEmpty, match="no text to read"):
        extract(page(body), 1_000)


def test_text_is_cut_at_the_bound() -> None:
    assert len(extract(page(b"a" * 5_000, "text/plain"), 1_000).markdown) == 1_000


def test_the_link_a_heading_carries_to_itself_is_not_part_of_it() -> None:
    text = "Install the package with pip, into a virtual environment of its own, and start the engine. " * 4
    body = f'<h1>Guide</h1><h2 id="pip">With pip<a href="#pip">#</a></h2><p>{text}</p>'
    [passage] = split_into_passages(extract(page(html("Guide", body)), 100_000))
    assert (passage.heading, passage.url) == ("Guide / With pip", f"{URL}#pip")
