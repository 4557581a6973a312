"""The documentation as a web site: `docs/*.md`, rendered on request.

Owns turning Markdown into pages: headings with anchors, tables, code, links between the files, a navigation made from
the files' titles, the contents of each page, its neighbours, and the index that the page's own script searches. Serves
the pictures of `pictures/` beside them, and for language models each page as the Markdown it is made of, with `.md`
behind its address, and a list of them at `/llms.txt`. Refuses names that are not plain file names, raw HTML, and files
larger than `PAGE_BYTES_MAX`. A page is rendered again only when a file of the directory has changed. Invariant: what is
served loads nothing from elsewhere.

A file may begin with a block of `key: value` lines between two lines of `---`. `title` names the page (else its first
heading does), `order` places it (else it comes after those that have one, by title); `index` always comes first.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from broadaxe.places import find_directory
from broadaxe.rest.page import SCRIPT_PATH, STYLE_PATH, Heading, Link, render_page, script, style

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["DocsSite"]

PAGE_BYTES_MAX: Final = 1024 * 1024
PICTURE_BYTES_MAX: Final = 4 * 1024 * 1024
PAGES_MAX: Final = 500

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
_FRONT: Final = re.compile(r"---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)
_HEADING: Final = re.compile(r"^#\s+(.+?)\s*#*$", re.MULTILINE)
_LINK: Final = re.compile(r"(?:\./)?([a-zA-Z0-9][a-zA-Z0-9._-]*)\.md(#.*)?")
_LAST: Final = 10_000
_PICTURES: Final = {".webp": "image/webp", ".png": "image/png"}


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    title: str
    order: int
    markdown: str
    changed_at: datetime

    @property
    def address(self) -> str:
        return "/docs/" if self.name == "index" else f"/docs/{self.name}"


@dataclass(frozen=True, slots=True)
class _Section:
    page: str
    heading: str
    address: str
    texts: list[str]


class DocsSite:
    def __init__(self, directory: Path | None) -> None:
        self._given = directory
        self._state: tuple[tuple[str, int, int], ...] | None = None
        self._sources: dict[str, _Source] = {}
        self._pages: dict[str, str] = {}
        self._index: bytes | None = None

    def routes(self) -> list[Route]:
        """Where it stands in an application."""
        return [
            Route("/docs", self.to_index),
            Route(STYLE_PATH, style),
            Route(SCRIPT_PATH, script),
            Route("/docs/search.json", self.search_index),
            Route("/docs/pictures/{name}", self.picture),
            Route("/docs/{name:path}", self.page),
            Route("/llms.txt", self.for_models),
        ]

    async def to_index(self, request: Request) -> Response:
        return RedirectResponse("/docs/", status_code=308)

    async def page(self, request: Request) -> Response:
        await asyncio.to_thread(self._refresh)
        name: str = request.path_params["name"] or "index"
        source = self._sources.get(name.removesuffix(".md"))
        if source is None:
            return HTMLResponse(self._not_found(), status_code=404)
        if name.endswith(".md"):
            return _answer(request, source.markdown.lstrip().encode(), "text/markdown", source.changed_at)
        html = self._pages.get(source.name)
        if html is None:
            html = self._pages[source.name] = self._render(source)
        return _answer(request, html.encode(), "text/html", source.changed_at)

    async def for_models(self, request: Request) -> Response:
        """Where every page is as Markdown, by the convention of https://llmstxt.org."""
        await asyncio.to_thread(self._refresh)
        links = [f"- [{source.title}](/docs/{source.name}.md)" for source in self._sources.values()]
        text = "\n".join(["# Broadaxe", "", "> A durable task and workflow engine.", "", "## Docs", "", *links, ""])
        return _answer(request, text.encode(), "text/plain", self._changed_at())

    async def search_index(self, request: Request) -> Response:
        """Every section of every page as `{page, heading, address, text}`; see `site/site.js`."""
        await asyncio.to_thread(self._refresh)
        if self._index is None:
            sections = [section for source in self._sources.values() for section in self._sections(source)]
            self._index = msgspec.json.encode(
                [
                    {"page": part.page, "heading": part.heading, "address": part.address, "text": " ".join(part.texts)}
                    for part in sections
                ]
            )
        return _answer(request, self._index, "application/json", self._changed_at())

    async def picture(self, request: Request) -> Response:
        name = request.path_params["name"]
        media_type = _PICTURES.get(Path(name).suffix)
        directory = self._directory()
        if directory is None or media_type is None or not _NAME.fullmatch(name):
            return HTMLResponse(self._not_found(), status_code=404)
        path = directory / "pictures" / name
        if not path.is_file() or path.stat().st_size > PICTURE_BYTES_MAX:
            return HTMLResponse(self._not_found(), status_code=404)
        changed_at = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
        return _answer(request, await asyncio.to_thread(path.read_bytes), media_type, changed_at)

    def _changed_at(self) -> datetime:
        return max((source.changed_at for source in self._sources.values()), default=datetime.now(UTC))

    def _directory(self) -> Path | None:
        return find_directory(self._given, in_checkout="docs", in_package="_docs")

    @cached_property
    def _markdown(self) -> MarkdownIt:
        # Imported with the first page: not every engine is read to, and every start would wait for it.
        from markdown_it import MarkdownIt

        return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])

    def _refresh(self) -> None:
        """Reads the directory again if anything in it has changed."""
        directory = self._directory()
        paths = [] if directory is None else sorted(directory.glob("*.md"))[:PAGES_MAX]
        stats = [(path, path.stat()) for path in paths if _NAME.fullmatch(path.stem)]
        state = tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in stats)
        if state == self._state:
            return
        sources = [
            _read(path, datetime.fromtimestamp(int(stat.st_mtime), UTC))
            for path, stat in stats
            if stat.st_size <= PAGE_BYTES_MAX
        ]
        sources.sort(key=lambda source: (source.name != "index", source.order, source.title.lower()))
        self._sources = {source.name: source for source in sources}
        self._pages = {}
        self._index = None
        self._state = state

    def _links(self) -> list[Link]:
        return [Link(source.address, source.title) for source in self._sources.values()]

    def _render(self, source: _Source) -> str:
        tokens = self._markdown.parse(source.markdown)
        headings = _add_anchors(tokens)
        _turn_links(tokens, self._sources)
        _let_scroll(tokens)
        body = self._markdown.renderer.render(tokens, self._markdown.options, {})
        links = self._links()
        at = [link.address for link in links].index(source.address)
        neighbours = (links[at - 1] if at > 0 else None, links[at + 1] if at + 1 < len(links) else None)
        contents = [heading for heading in headings if heading.level in (2, 3)]
        return render_page(source.title, body, links, source.address, contents, neighbours)

    def _sections(self, source: _Source) -> list[_Section]:
        """The page cut at its headings, the first part under its title."""
        tokens = self._markdown.parse(source.markdown)
        headings = iter(_add_anchors(tokens))
        sections: list[_Section] = []
        texts: list[str] = []

        def begin(heading: Heading | None) -> None:
            nonlocal texts
            texts = []
            is_title = heading is None or heading.level == 1
            anchor = "" if heading is None or is_title else f"#{heading.anchor}"
            name = source.title if heading is None or is_title else heading.text
            sections.append(_Section(source.title, name, source.address + anchor, texts))

        begin(None)
        is_heading = False
        for token in tokens:
            if token.type == "heading_open":
                begin(next(headings))
                is_heading = True
            elif token.type == "heading_close":
                is_heading = False
            elif token.type in ("fence", "code_block"):
                texts.append(token.content)
            elif token.type == "inline" and not is_heading:
                texts.append(_plain(token))
        return [section for section in sections if section.texts or section.heading != source.title]

    def _not_found(self) -> str:
        body = "<h1>No such page</h1><p>"
        body += "Choose one on the left." if self._sources else "The documentation is not part of this installation."
        return render_page("No such page", body + "</p>", self._links(), "")


def _read(path: Path, changed_at: datetime) -> _Source:
    text = path.read_text(encoding="utf-8", errors="replace")
    front: dict[str, str] = {}
    match = _FRONT.match(text)
    if match is not None:
        text = text[match.end() :]
        lines = (line.split(":", 1) for line in match[1].splitlines() if ":" in line)
        front = {key.strip(): value.strip().strip("\"'") for key, value in lines}
    heading = _HEADING.search(text)
    title = front.get("title") or (heading[1].replace("`", "") if heading else path.stem)
    order = front.get("order", "")
    return _Source(path.stem, title, int(order) if order.isdecimal() else _LAST, text, changed_at)


def _answer(request: Request, body: bytes, media_type: str, changed_at: datetime) -> Response:
    """The body, or that the reader has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "ETag": tag,
        "Last-Modified": format_datetime(changed_at, usegmt=True),
        "Cache-Control": "no-cache",
    }
    if _is_known(request, tag, changed_at):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _add_anchors(tokens: list[Token]) -> list[Heading]:
    """Gives every heading an id made from its text, unique within the page, and a link to itself. Returns them all.

    The link has no text: its sign is drawn by the style sheet, so that whoever reads the page's text reads the heading.
    """
    from markdown_it.token import Token

    seen: dict[str, int] = {}
    headings: list[Heading] = []
    for position, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        inline = tokens[position + 1]
        words = _plain(inline)
        slug = _slug(words)
        count = seen[slug] = seen.get(slug, 0) + 1
        anchor = slug if count == 1 else f"{slug}-{count}"
        token.attrSet("id", anchor)
        headings.append(Heading(int(token.tag[1]), anchor, words))
        opening = Token("link_open", "a", 1)
        opening.attrs = {"class": "anchor", "href": f"#{anchor}", "aria-label": "Link to this section"}
        inline.children = [*(inline.children or []), opening, Token("link_close", "a", -1)]
    return headings


def _let_scroll(tokens: list[Token]) -> None:
    """Lets the keyboard reach what may be wider than the screen, so that it can be scrolled: code, and tables, which
    get a frame that scrolls in their place."""
    from markdown_it.token import Token

    for position in reversed(range(len(tokens))):
        token = tokens[position]
        if token.type in ("fence", "code_block"):
            token.attrSet("tabindex", "0")
        elif token.type == "table_open":
            tokens.insert(position, Token("frame_open", "div", 1, attrs={"class": "table", "tabindex": "0"}))
        elif token.type == "table_close":
            tokens.insert(position + 1, Token("frame_close", "div", -1))


def _turn_links(tokens: list[Token], sources: dict[str, _Source]) -> None:
    """Points links between the files at the pages."""
    for token in tokens:
        _turn_links(token.children or [], sources)
        target = token.attrs.get("href")
        match = _LINK.fullmatch(target) if isinstance(target, str) else None
        if match is not None and match[1] in sources:
            token.attrs["href"] = sources[match[1]].address + (match[2] or "")


def _plain(inline: Token) -> str:
    return "".join(child.content for child in inline.children or [] if child.type in ("text", "code_inline"))


def _slug(text: str) -> str:
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", text.lower())).strip("-") or "section"


def _is_known(request: Request, tag: str, changed_at: datetime) -> bool:
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or tag in [part.strip().removeprefix("W/") for part in tags.split(",")]
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        return changed_at <= parsedate_to_datetime(since)
    except (ValueError, TypeError):
        return False
