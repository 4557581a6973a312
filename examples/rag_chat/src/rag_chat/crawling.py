"""Which pages belong to a site: by its sitemap where it has one, by its links otherwise.

Owns the rule: the same host, below the folder of the address that was given, no query, nothing that is no page, only as
robots.txt allows. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from lxml import etree

from rag_chat.fetching import ROBOTS_NAME
from rag_chat.reading import UNREADABLE_SUFFIX

SITEMAPS_MAX = 20
ENTRIES_MAX = 50_000


def robots_rules(text: str) -> RobotFileParser:
    """What robots.txt allows; a text that says nothing allows everything."""
    rules = RobotFileParser()
    rules.parse(text.splitlines())
    return rules


def sitemaps_in(robots: str, url: str) -> list[str]:
    """Where the sitemaps of a site may be: as robots.txt says, else at the usual place."""
    named = [
        line.partition(":")[2].strip() for line in robots.splitlines() if line.strip().lower().startswith("sitemap:")
    ]
    return [urljoin(url, each) for each in named[:SITEMAPS_MAX]] or [urljoin(url, "/sitemap.xml")]


def read_sitemap(body: bytes) -> tuple[list[str], list[str]]:
    """The pages and the further sitemaps a sitemap names; nothing when it is none."""
    # Nothing outside of the text is loaded, and no entity grows.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, recover=True)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        return [], []
    if root is None:
        return [], []
    places = [(element.getparent(), (element.text or "").strip()) for element in root.iter("{*}loc") if element.text][
        :ENTRIES_MAX
    ]
    pages = [text for parent, text in places if _name(parent) == "url"]
    return pages, [text for parent, text in places if _name(parent) == "sitemap"]


def belonging(links: Iterable[str], url: str, rules: RobotFileParser, known: Sequence[str], limit: int) -> list[str]:
    """The links that belong to the site at `url` and are not known yet, in their order, at most `limit`."""
    home = urlsplit(url)
    folder = (home.path or "/").rpartition("/")[0] + "/"
    seen = {each.rstrip("/") for each in known}
    chosen: list[str] = []
    for link in links:
        if len(chosen) >= limit:
            break
        target = urldefrag(link).url
        parts = urlsplit(target)
        if (parts.scheme, parts.netloc.lower()) != (home.scheme, home.netloc.lower()) or parts.query:
            continue
        if not (parts.path or "/").startswith(folder) or UNREADABLE_SUFFIX.search(parts.path):
            continue
        if target.rstrip("/") in seen or not rules.can_fetch(ROBOTS_NAME, target):
            continue
        seen.add(target.rstrip("/"))
        chosen.append(target)
    return chosen


def _name(element: etree._Element | None) -> str:
    return "" if element is None else etree.QName(element).localname
