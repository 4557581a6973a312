"""From bytes to a document: title, main text as Markdown, heading anchors, links.

Owns what counts as the content of a page. The main content is found by trafilatura; headings keep the `id` they carry
in the page, so that an answer can point at the very section. Pure functions, safe to run in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urldefrag, urljoin

import trafilatura
from lxml import html as lxml_html

from rag_chat.errors import PageEmpty
from rag_chat.fetching import FetchedPage
from rag_chat.pdf import read_pdf

LINKS_MAX = 400
LINK_TEXT_CHARS_MAX = 160
TITLE_CHARS_MAX = 300
META_CHARSET = re.compile(rb"<meta[^>]+charset=[\"']?\s*([a-zA-Z0-9_\-:]+)", re.IGNORECASE)
LINE_LIKE_MARKUP = re.compile(r"^(#{1,6}(?=\s)|```+)", re.MULTILINE)
XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")


@dataclass(frozen=True, slots=True)
class Link:
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A page as the chat sees it. `anchors` maps a heading's normalised text to its ids, in page order."""

    url: str
    title: str
    markdown: str
    anchors: tuple[tuple[str, str], ...]
    links: tuple[Link, ...]


def extract(page: FetchedPage, text_chars_max: int, name: str | None = None) -> Document:
    """The document inside a fetched page; raises PageEmpty when there is no text to read. `name` is what a file is
    called, when its address does not say it."""
    match page.content_type:
        case "application/pdf":
            document = _extract_pdf(page, text_chars_max, name or page.url.rpartition("/")[2] or page.url)
        case "text/plain" | "text/markdown":
            text = _decode(page)
            document = Document(page.url, _plain_title(text, name or page.url), _clean(text), (), ())
        case _:
            document = _extract_html(page.url, _decode(page))
    if len(document.markdown) > text_chars_max:
        cut = document.markdown[:text_chars_max]
        document = Document(page.url, document.title, cut, document.anchors, document.links)
    if not document.markdown.strip() and not document.links:
        raise PageEmpty(no_text(page.url) if name is None else f"{name} has no text to read.")
    return document


def no_text(url: str) -> str:
    return f"{url} has no text to read. Pages that are built by scripts in the browser look empty to the chat."


def normalise_heading(text: str) -> str:
    """A heading reduced to what survives both HTML and Markdown: letters and digits, lower-case."""
    return re.sub(r"[^\w]+", " ", text.replace("_", " ")).strip().lower()


def _decode(page: FetchedPage) -> str:
    declared = META_CHARSET.search(page.body[:2_048])
    for charset in (page.charset, declared.group(1).decode("ascii") if declared else None):
        if charset is None:
            continue
        try:
            return page.body.decode(charset, errors="replace")
        except LookupError:
            continue
    return page.body.decode("utf-8", errors="replace")


def _extract_pdf(page: FetchedPage, text_chars_max: int, name: str) -> Document:
    found = read_pdf(page.body, name, text_chars_max)
    texts = [(number, _clean(text)) for number, text in enumerate(found.pages, start=1)]
    # A line that happens to begin like a heading of Markdown is none.
    markdown = "\n\n".join(f"## Page {number}\n\n{LINE_LIKE_MARKUP.sub('', text)}" for number, text in texts if text)
    return Document(
        url=page.url,
        title=(found.title or name)[:TITLE_CHARS_MAX],
        markdown=markdown,
        anchors=tuple((f"page {number}", f"page={number}") for number, _text in texts),
        links=(),
    )


def _extract_html(url: str, text: str) -> Document:
    text = XML_DECLARATION.sub("", text, count=1).replace("\x00", "")
    try:
        tree = lxml_html.document_fromstring(text)
    except (lxml_html.etree.ParserError, ValueError):
        raise PageEmpty(no_text(url)) from None
    # What a page says to browsers without scripts is no content: "You need to enable JavaScript" answers nothing.
    lxml_html.etree.strip_elements(tree, "noscript", with_tail=False)
    markdown = trafilatura.extract(
        lxml_html.tostring(tree, encoding="unicode"),
        url=url,
        output_format="markdown",
        include_comments=False,
        include_formatting=True,
        include_links=False,
        include_tables=True,
        favor_recall=True,
    )
    title = " ".join((tree.findtext(".//title") or "").split()) or _first_heading(tree) or url
    return Document(
        url=url,
        title=title[:TITLE_CHARS_MAX],
        markdown=_clean(markdown or ""),
        anchors=tuple(_anchors(tree)),
        links=tuple(_links(tree, url)),
    )


def _anchors(tree: lxml_html.HtmlElement) -> Iterator[tuple[str, str]]:
    for heading in tree.iter(*HEADINGS):
        name = normalise_heading("".join(heading.itertext()))
        anchor = heading.get("id") or _inner_anchor(heading) or _section_anchor(heading)
        if name and anchor and len(anchor) <= 200:
            yield name, anchor


def _inner_anchor(heading: lxml_html.HtmlElement) -> str | None:
    for inner in heading.iterdescendants("a", "span"):
        anchor = inner.get("id") or inner.get("name")
        if anchor:
            return str(anchor)
    return None


def _section_anchor(heading: lxml_html.HtmlElement) -> str | None:
    """The id of the section a heading opens, the way Sphinx and others write it."""
    parent = heading.getparent()
    if parent is None or parent.tag not in ("section", "div", "article") or parent.index(heading) != 0:
        return None
    anchor = parent.get("id")
    return str(anchor) if anchor else None


def _links(tree: lxml_html.HtmlElement, url: str) -> Iterator[Link]:
    seen: set[str] = set()
    base = urljoin(url, next((str(found.get("href")) for found in tree.iter("base") if found.get("href")), ""))
    for element in tree.iter("a"):
        href = (element.get("href") or "").strip()
        if not href or len(href) > 2_048 or "nofollow" in (element.get("rel") or "").lower():
            continue
        try:
            target = urldefrag(urljoin(base, href)).url
        except ValueError:
            continue
        if target in seen or not target.startswith(("http://", "https://")):
            continue
        seen.add(target)
        yield Link(target, " ".join("".join(element.itertext()).split())[:LINK_TEXT_CHARS_MAX])
        if len(seen) >= LINKS_MAX:
            return


def _first_heading(tree: lxml_html.HtmlElement) -> str:
    return next((" ".join("".join(heading.itertext()).split()) for heading in tree.iter("h1")), "")


def _plain_title(text: str, url: str) -> str:
    first = next((line.strip("# \t") for line in text.splitlines() if line.strip("# \t")), "")
    return first[:TITLE_CHARS_MAX] or url


def _clean(text: str) -> str:
    """Postgres stores no NUL, and runs of empty lines carry no meaning."""
    return re.sub(r"\n{3,}", "\n\n", text.replace("\x00", "").replace("\r\n", "\n").replace("\ufeff", "")).strip()
