"""Draws the lifecycle of a task into ARCHITECTURE.md, from the table in `core/lifecycle.py`.

python scripts/draw_lifecycle.py            writes the picture
python scripts/draw_lifecycle.py --check    exits with 1 if the page shows another one
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from broadaxe.core.lifecycle import INITIAL, TERMINAL, TRANSITIONS, TaskStatus

PAGE: Final = Path(__file__).resolve().parents[1] / "ARCHITECTURE.md"
BEGIN: Final = "<!-- lifecycle: drawn by scripts/draw_lifecycle.py -->\n"
END: Final = "<!-- lifecycle: end -->"


def picture() -> str:
    """A Mermaid state diagram: one arrow for all signals that lead from one state to another."""
    arrows: dict[tuple[TaskStatus, TaskStatus], list[str]] = {}
    for (before, signal), after in TRANSITIONS.items():
        arrows.setdefault((before, after), []).append(signal.lower().replace("_", " "))
    lines = ["```mermaid", "stateDiagram-v2", "    direction LR"]
    lines += [f"    [*] --> {status}" for status in TaskStatus if status in INITIAL]
    lines += [f"    {before} --> {after}: {', '.join(signals)}" for (before, after), signals in arrows.items()]
    lines += [f"    {status} --> [*]" for status in TaskStatus if status in TERMINAL]
    return "\n".join([*lines, "```", ""])


def drawn_into(page: str) -> str:
    """The page with the present picture between its marks."""
    head, rest = page.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n{picture()}\n{END}{tail}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    is_check = parser.parse_args().check
    page = PAGE.read_text()
    drawn = drawn_into(page)
    if is_check:
        return int(drawn != page)
    PAGE.write_text(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
