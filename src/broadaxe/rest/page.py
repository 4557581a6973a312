"""The frame of the pages the engine renders itself: documentation and API reference.

Owns one small style sheet and one layout, light and dark by the reader's preference. Loads nothing from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

__all__ = ["render_page"]

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1d2329;--soft:#5a6672;--line:#dfe3e8;--paper:#fff;--side:#f6f7f9;--code:#f2f4f6;
--accent:#9a4a16}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ec;--soft:#9aa5b1;--line:#2c343c;--paper:#14181c;--side:#191e23;
--code:#20262c;--accent:#e39a63}} *{box-sizing:border-box}html{scroll-padding-top:1rem} body{margin:0;font:16px/1.65
system-ui,-apple-system,"Segoe UI",sans-serif;color:var(--ink);background:var(--paper)}
.frame{display:grid;grid-template-columns:16rem minmax(0,1fr);min-height:100vh}
nav{background:var(--side);border-right:1px solid var(--line);padding:1.5rem 1rem;position:sticky;top:0;height:100vh;
overflow:auto} nav
.mark{display:flex;gap:.6rem;align-items:center;font-weight:650;font-size:1.1rem;color:var(--ink);margin:0 .6rem 1rem}
nav .mark svg{width:1.5rem;height:1.5rem;color:var(--accent)} nav ul{list-style:none;margin:0;padding:0} nav li
a{display:block;padding:.3rem .6rem;border-radius:6px;color:var(--soft);text-decoration:none} nav li
a:hover{color:var(--ink)}nav li a[aria-current]{background:var(--line);color:var(--ink);font-weight:600} nav
hr{border:0;border-top:1px solid var(--line);margin:1rem .6rem} main{padding:2.5rem clamp(1rem,5vw,4rem)
5rem;max-width:54rem;width:100%} a{color:var(--accent)}h1,h2,h3,h4{line-height:1.25;margin:2em 0
.6em}h1{margin-top:0;font-size:2rem} h2{font-size:1.4rem;padding-bottom:.3rem;border-bottom:1px solid
var(--line)}h3{font-size:1.12rem}
.anchor::before{content:"#"}
.anchor{margin-left:.4rem;color:var(--soft);text-decoration:none;opacity:0}:is(h1,h2,h3,h4):hover .anchor,
.anchor:focus{opacity:1} code{background:var(--code);padding:.12em .35em;border-radius:4px;font:.9em/1.5
ui-monospace,Menlo,Consolas,monospace} pre{background:var(--code);border:1px solid
var(--line);border-radius:8px;padding:1rem;overflow:auto} pre code{background:none;padding:0}
table{border-collapse:collapse;display:block;overflow:auto;margin:1rem 0} th,td{border:1px solid
var(--line);padding:.4rem .7rem;text-align:left;vertical-align:top}th{background:var(--side)} blockquote{margin:1rem
0;padding:.1rem 1rem;border-left:4px solid var(--accent);background:var(--side)} img{max-width:100%}
.verb{display:inline-block;min-width:4.2rem;font:600 .8rem ui-monospace,monospace;color:var(--accent)}
details{border:1px solid var(--line);border-radius:8px;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer;overflow-wrap:anywhere}summary code{background:none}summary small{color:var(--soft)}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--paper);padding:.5rem}
@media(max-width:48rem){.frame{display:block}nav{position:static;height:auto;border-right:0; border-bottom:1px solid
var(--line)}} @media print{nav{display:none}.frame{display:block}}
"""

_MARK: Final = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" '
    'aria-hidden="true"><path d="M5 21 14 8"/><path d="M11 3c4 0 8 3 9 8-3 0-5 0-7 2-2-2-4-4-5-6 1-1 2-2 3-4z" '
    'fill="currentColor"/></svg>'
)


def render_page(title: str, body_html: str, links: Sequence[tuple[str, str]], current: str) -> str:
    """A whole page. `body_html` is trusted; titles and addresses are escaped."""
    items = "".join(
        f'<li><a href="{escape(address)}"{" aria-current=page" if address == current else ""}>{escape(label)}</a></li>'
        for address, label in links
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)} · Broadaxe</title><style>{_STYLE}</style></head><body>"
        '<a class="skip" href="#content">Skip to content</a><div class="frame">'
        f'<nav aria-label="Pages"><div class="mark">{_MARK}Broadaxe</div><ul>{items}</ul><hr>'
        '<ul><li><a href="/">Dashboard</a></li><li><a href="/api/docs">HTTP API</a></li></ul></nav>'
        f'<main id="content">{body_html}</main></div></body></html>\n'
    )
