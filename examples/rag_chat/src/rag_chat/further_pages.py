"""Which pages a thorough answer reads beyond those it was given: what these link to, the most promising first.

Owns the choice alone; the rule of what belongs to a site is that of `crawling`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from rag_chat.crawling import belonging, robots_rules
from rag_chat.library_store import source_id_in
from rag_chat.reading import ReadSite, SiteReader

LINKS_MAX = 2_000


async def further_pages(reader: SiteReader, addresses: Sequence[str], site: ReadSite, words: str) -> list[str]:
    """Addresses of pages that belong to one of the sites that were named and have not been read; those whose links
    share most of the `words` come first. At most as many as the reader's limits say."""
    limit = reader.limits.further_pages_max
    if limit == 0:
        return []
    known = [page.url for page in site.pages]
    texts: dict[str, str] = {}
    for page in site.pages:
        for link in page.links:
            texts[link.url] = f"{texts.get(link.url, '')} {link.text}"
    chosen: list[str] = []
    for address in addresses:
        if source_id_in(address) is not None:
            continue
        rules = robots_rules(await reader.robots_text(address))
        chosen += belonging(texts, address, rules, [*known, *chosen], LINKS_MAX)
    wanted = _words(words)

    def shared(url: str) -> int:
        return len(wanted & _words(f"{texts.get(url, '')} {urlsplit(url).path}"))

    return sorted(chosen, key=shared, reverse=True)[:limit]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w{3,}", text.lower()))
