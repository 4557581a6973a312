"""The pages about durable agents and steps show the examples that run (tests/wire/test_agents.py, test_steps.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize(
    ("page", "example"),
    [
        ("agents", "durable_agent/support.py"),
        ("agents", "durable_agent/ask.py"),
        ("transactions", "durable_cart/cart.py"),
    ],
)
def test_the_page_shows_the_example(docs: dict[str, Any], page: str, example: str) -> None:
    shown = [fence.text.strip() for fence in docs[page].fences if fence.language == "python"]
    assert (EXAMPLES / example).read_text().strip() in shown, f"docs/{page}.md: {example}"
