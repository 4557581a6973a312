"""What the documentation tests look at: every Markdown page people read, and the code in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fence:
    """A block of code. `line` is where it begins in its page. `mark` is what stands behind the language: `theirs` for
    code of another system, which is shown beside ours, read by a compiler, and not run."""

    language: str
    text: str
    line: int
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A Markdown page: what it says, links to, and shows as code."""

    path: Path
    text: str
    headings: tuple[tuple[int, str], ...]
    links: tuple[str, ...]
    fences: tuple[Fence, ...]
    spans: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def code_lines(self) -> list[str]:
        """Every line of shell code and every inline span; continued lines are joined."""
        lines = [
            line
            for fence in self.fences
            if fence.language == "bash"
            for line in re.sub(r"\\\n\s*", "", fence.text).split("\n")
        ]
        return [*lines, *self.spans]


def read_page(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    body = FRONT_MATTER.sub(lambda match: "\n" * match[0].count("\n"), text)
    headings: list[tuple[int, str]] = []
    links: list[str] = []
    fences: list[Fence] = []
    spans: list[str] = []
    tokens = MarkdownIt("commonmark").enable(["table"]).parse(body)
    for position, token in enumerate(tokens):
        if token.type == "heading_open":
            children = tokens[position + 1].children or []
            words = "".join(child.content for child in children if child.type in ("text", "code_inline"))
            headings.append((int(token.tag[1]), words))
        elif token.type == "fence":
            language, _, mark = token.info.strip().partition(" ")
            fences.append(Fence(language, token.content, (token.map or [0])[0] + 1, mark))
        for child in token.children or []:
            if child.type == "link_open":
                links.append(str(child.attrs["href"]))
            elif child.type == "code_inline":
                spans.append(child.content)
    return Page(path, text, tuple(headings), tuple(links), tuple(fences), tuple(spans))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def docs(root: Path) -> dict[str, Page]:
    """The pages of the documentation site, by file name without `.md`."""
    return {path.stem: read_page(path) for path in sorted((root / "docs").glob("*.md"))}


@pytest.fixture(scope="session")
def pages(root: Path, docs: dict[str, Page]) -> list[Page]:
    """All pages: the site's and those at the root of the repository."""
    return [*docs.values(), *(read_page(path) for path in sorted(root.glob("*.md")))]


@pytest.fixture(scope="session")
def page_at() -> Callable[[Path], Page]:
    """Reads any Markdown file."""
    return read_page
