"""Cutting a document into passages that can be found, quoted and linked.

A passage never crosses a heading, never splits a code block that fits, and carries the address of the place it came
from: the section's `#id` where the page has one, otherwise a text fragment (`#:~:text=`), which browsers scroll to.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from rag_chat.extraction import Document, normalise_heading

PASSAGE_CHARS_TARGET = 900
PASSAGE_CHARS_MAX = 1_400
PASSAGES_MAX = 600
HEADING = re.compile(r"^(#{1,6})\s+(.*)$")
FENCE = "```"
# The mark many sites put behind a heading as a link to itself.
PERMALINK = re.compile(r"\s*[#\u00b6\u00a7\U0001f517]$")
# Full-width punctuation ends sentences in Chinese and Japanese, without a space after it.
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a page. `heading` is its path of headings, `url` leads to the place."""

    position: int
    heading: str
    url: str
    body: str


@dataclass(frozen=True, slots=True)
class _Section:
    headings: tuple[str, ...]
    anchor: str | None
    blocks: tuple[str, ...]


def split_into_passages(document: Document) -> tuple[Passage, ...]:
    """All passages of a document, in reading order, at most PASSAGES_MAX."""
    passages: list[Passage] = []
    for section in _sections(document):
        heading = " / ".join(section.headings)
        for body in _pack(section.blocks):
            if len(passages) == PASSAGES_MAX:
                return tuple(passages)
            place = "#" + quote(section.anchor, safe="/=") if section.anchor else text_fragment(body)
            url = document.url + place
            passages.append(Passage(len(passages), heading or document.title, url, body))
    return tuple(passages)


def text_fragment(body: str) -> str:
    """A `#:~:text=` fragment for the first words of a passage; nothing when a browser could not find them."""
    line = next((line for line in body.splitlines() if _is_prose(line)), "")
    words = re.sub(r"[*_`>#|]+", "", re.sub(r"^\s*([-+*]|\d+\.)\s+", "", line)).split()[:8]
    text = " ".join(words).rstrip(".,:;!?")
    return "#:~:text=" + quote(text, safe="").replace("-", "%2D") if len(text) >= 8 else ""


def _is_prose(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith((FENCE, "|", "#"))


def _sections(document: Document) -> Iterator[_Section]:
    anchors: dict[str, list[str]] = {}
    for name, anchor in document.anchors:
        anchors.setdefault(name, []).append(anchor)
    path: list[tuple[int, str]] = []
    current_anchor: str | None = None
    blocks: list[str] = []
    for block in _blocks(document.markdown):
        match = None if block.startswith(FENCE) else HEADING.match(block)
        if match is None:
            blocks.append(block)
            continue
        if blocks:
            yield _Section(tuple(text for _, text in path), current_anchor, tuple(blocks))
            blocks = []
        level, text = len(match.group(1)), PERMALINK.sub("", match.group(2).strip().strip("*"))
        path = [entry for entry in path if entry[0] < level] + [(level, text)]
        known = anchors.get(normalise_heading(text), [])
        # Repeated headings ("Example", "Example") come in the same order in the text as in the page.
        current_anchor = (known.pop(0) if len(known) > 1 else known[0]) if known else None
    if blocks:
        yield _Section(tuple(text for _, text in path), current_anchor, tuple(blocks))


def _blocks(markdown: str) -> Iterator[str]:
    """Paragraphs, lists, tables and fenced code, each whole; a heading is a block of its own."""
    lines: list[str] = []
    fenced = False
    for line in markdown.split("\n"):
        if line.lstrip().startswith(FENCE):
            if not fenced and lines:
                yield "\n".join(lines)
                lines = []
            lines.append(line)
            if fenced:
                yield "\n".join(lines)
                lines = []
            fenced = not fenced
        elif fenced:
            lines.append(line)
        elif not line.strip() or HEADING.match(line):
            if lines:
                yield "\n".join(lines)
                lines = []
            if line.strip():
                yield line.strip()
        else:
            lines.append(line)
    if lines:
        yield "\n".join([*lines, FENCE] if fenced else lines)


def _pack(blocks: tuple[str, ...]) -> Iterator[str]:
    """Join neighbouring blocks up to the target; cut only a block that is too long by itself."""
    packed = ""
    for block in blocks:
        for piece in _cut(block):
            if packed and len(packed) + len(piece) + 2 > PASSAGE_CHARS_TARGET and not _belongs_to(packed, piece):
                yield packed
                packed = piece
            else:
                packed = f"{packed}\n\n{piece}" if packed else piece
    if packed:
        yield packed


def _belongs_to(packed: str, piece: str) -> bool:
    """Code stays with the sentence that announces it, as long as both fit in one passage."""
    return piece.startswith(FENCE) and len(packed) + len(piece) + 2 <= PASSAGE_CHARS_MAX


def _cut(block: str) -> Iterator[str]:
    if len(block) <= PASSAGE_CHARS_MAX:
        yield block
        return
    fenced = block.startswith(FENCE)
    text = block.removeprefix(FENCE).removesuffix(FENCE).strip("\n") if fenced else block
    pieces = text.split("\n") if "\n" in text else re.split(SENTENCE_END, text)
    joiner = "\n" if "\n" in text else " "
    packed = ""
    for whole in pieces:
        for piece in (
            whole[start : start + PASSAGE_CHARS_TARGET] for start in range(0, len(whole), PASSAGE_CHARS_TARGET)
        ):
            if packed and len(packed) + len(piece) + 1 > PASSAGE_CHARS_TARGET:
                yield f"{FENCE}\n{packed}\n{FENCE}" if fenced else packed
                packed = piece
            else:
                packed = f"{packed}{joiner}{piece}" if packed else piece
    if packed:
        yield f"{FENCE}\n{packed}\n{FENCE}" if fenced else packed
