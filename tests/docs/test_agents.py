"""The page about durable agents shows the example that runs (tests/wire/test_agents.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "durable_agent"


def test_the_page_shows_the_example(docs: dict[str, Any]) -> None:
    shown = [fence.text.strip() for fence in docs["agents"].fences if fence.language == "python"]
    for name in ("support.py", "ask.py"):
        assert (EXAMPLE / name).read_text().strip() in shown, f"docs/agents.md: {name}"
