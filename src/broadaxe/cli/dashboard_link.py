"""The link that lets a person into the dashboard, and the file that keeps it.

Owns the file `dashboard.url` in the data directory, which only its owner can read. Refuses to let the link's key into
a log: it is printed on terminals only.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from broadaxe.cli import appearing_file

__all__ = ["keep", "kept_link", "shown"]

FILE: Final = "dashboard.url"


def keep(data_dir: Path, link: str) -> None:
    """Writes the link where `kept_link` finds it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    appearing_file.write(data_dir / FILE, f"{link}\n")


def kept_link(data_dir: Path) -> str | None:
    """The link of the engine that was started last on this data directory."""
    try:
        return (data_dir / FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def shown(data_dir: Path, link: str, url: str) -> str:
    """What to print: the link on a terminal, elsewhere the bare address and where the link is."""
    return link if sys.stdout.isatty() else f"{url}  (let in by the link in {data_dir / FILE})"
