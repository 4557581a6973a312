"""The frame of the pages the engine renders itself: documentation and API reference.

Owns the layout; its style sheet and its script are files in `site/`, served at `STYLE_PATH` and `SCRIPT_PATH`. Loads
nothing from elsewhere, and can be read without the script.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

from fastapi import Request
from starlette.responses import Response

__all__ = ["SCRIPT_PATH", "STYLE_PATH", "Heading", "Link", "render_page", "script", "style"]

STYLE_PATH: Final = "/docs/site.css"
SCRIPT_PATH: Final = "/docs/site.js"

_SITE: Final = Path(__file__).parent / "site"
#: With fewer sections than this the contents of a page say nothing that the page does not.
_CONTENTS_MIN: Final = 3

_MARK: Final = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" '
    'aria-hidden="true"><path d="M5 21 14 8"/><path d="M11 3c4 0 8 3 9 8-3 0-5 0-7 2-2-2-4-4-5-6 1-1 2-2 3-4z" '
    'fill="currentColor"/></svg>'
)
_SEARCH: Final = (
    '<form class="search" role="search"><label class="sr" for="search">Search the documentation</label>'
    '<input id="search" type="search" placeholder="Search (press /)" autocomplete="off" spellcheck="false" '
    'maxlength="200"><div class="found" id="found" hidden></div></form>'
)


class Link(NamedTuple):
    address: str
    label: str


class Heading(NamedTuple):
    """A section of a page; `level` 2 or 3."""

    level: int
    anchor: str
    text: str


def render_page(
    title: str,
    body_html: str,
    links: Sequence[Link],
    current: str,
    contents: Sequence[Heading] = (),
    neighbours: tuple[Link | None, Link | None] = (None, None),
) -> str:
    """A whole page. `body_html` is trusted; titles and addresses are escaped. `neighbours` are the pages before and
    after it."""
    items = "".join(
        f'<li><a href="{escape(link.address)}"{" aria-current=page" if link.address == current else ""}>'
        f"{escape(link.label)}</a></li>"
        for link in links
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{escape(title)} · Broadaxe</title><link rel="stylesheet" href="{STYLE_PATH}?{_digest("site.css")}">'
        f'<script src="{SCRIPT_PATH}?{_digest("site.js")}" defer></script></head><body>'
        '<a class="skip" href="#content">Skip to content</a><div class="frame"><header class="side">'
        f'<div class="brand"><div class="mark">{_MARK}Broadaxe</div>'
        '<button class="menu" type="button" aria-expanded="false" aria-controls="pages">Menu</button></div>'
        f'{_SEARCH}<nav class="pages" id="pages" aria-label="Pages"><ul>{items}</ul><hr>'
        '<ul><li><a href="/">Dashboard</a></li><li><a href="/api/docs">HTTP API</a></li></ul></nav></header>'
        f'<div class="text">{_contents(contents)}<main id="content">{body_html}</main>{_neighbours(*neighbours)}'
        "</div></div></body></html>\n"
    )


def _contents(headings: Sequence[Heading]) -> str:
    """Twice, for wide and for narrow screens; each is hidden from everybody where the other is shown."""
    if len(headings) < _CONTENTS_MIN:
        return ""
    items = "".join(
        f'<li{" class=deeper" if heading.level > 2 else ""}><a href="#{escape(heading.anchor)}">'
        f"{escape(heading.text)}</a></li>"
        for heading in headings
    )
    label = 'aria-label="On this page"'
    return (
        f'<nav class="contents narrow" {label}><details><summary>On this page</summary><ul>{items}</ul></details></nav>'
        f'<nav class="contents wide" {label}><strong>On this page</strong><ul>{items}</ul></nav>'
    )


def _neighbours(before: Link | None, after: Link | None) -> str:
    parts = [
        f'<a class="{rel}" rel="{rel}" href="{escape(link.address)}"><small>{word}</small>{escape(link.label)}</a>'
        for link, rel, word in ((before, "prev", "Previous"), (after, "next", "Next"))
        if link is not None
    ]
    return f'<nav class="neighbours" aria-label="Previous and next page">{"".join(parts)}</nav>' if parts else ""


async def style(request: Request) -> Response:
    return _file(request, "site.css", "text/css")


async def script(request: Request) -> Response:
    return _file(request, "site.js", "text/javascript")


def _file(request: Request, name: str, media_type: str) -> Response:
    tag = f'"{_digest(name)}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(_content(name), media_type=media_type, headers=headers)


@cache
def _content(name: str) -> bytes:
    return (_SITE / name).read_bytes()


@cache
def _digest(name: str) -> str:
    """Changes with the file, so that a page of a new version never wears the look of an old one."""
    return sha256(_content(name)).hexdigest()[:16]
