"""The page about the audit log names every action that leaves an entry."""

from __future__ import annotations

import re
from pathlib import Path

from broadaxe.core.audit import Action

PAGE = Path(__file__).resolve().parents[2] / "docs/audit.md"


def test_the_page_lists_the_actions_there_are() -> None:
    assert re.findall(r"^\| `([a-z_.]+)` \|", PAGE.read_text(), re.MULTILINE) == list(Action)
