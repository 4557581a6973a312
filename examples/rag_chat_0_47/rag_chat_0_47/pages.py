"""What a page says, as passages that fit into a prompt."""

from __future__ import annotations

import re

import httpx
from bs4 import BeautifulSoup

PAGE_BYTES_MAX = 2_000_000
PASSAGE_CHARS_MAX = 800
PASSAGES_MAX = 400


async def passages_of(url: str) -> list[str]:
    """Loads the page and cuts its text at paragraphs. Raises for a page that is not there or is no text."""
    async with httpx.AsyncClient(follow_redirects=True, timeout=20) as client, client.stream("GET", url) as response:
        response.raise_for_status()
        body = b""
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > PAGE_BYTES_MAX:
                raise ValueError(f"{url} has more than {PAGE_BYTES_MAX} bytes")
    page = BeautifulSoup(body, "html.parser")
    for noise in page(["script", "style", "nav", "footer"]):
        noise.decompose()
    passages: list[str] = []
    for line in filter(None, (line.strip() for line in page.get_text("\n").splitlines())):
        if passages and len(passages[-1]) + len(line) < PASSAGE_CHARS_MAX:
            passages[-1] += f" {line}"
        else:
            passages.append(line[:PASSAGE_CHARS_MAX])
    return passages[:PASSAGES_MAX]


def closest(passages: list[str], question: str, count: int = 4) -> list[str]:
    """The passages that share most words with the question, in the order of the page."""
    wanted = _words(question)
    ranked = sorted(range(len(passages)), key=lambda place: -len(wanted & _words(passages[place])))
    return [passages[place] for place in sorted(ranked[:count])]


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", text.lower()) if len(word) > 2}
