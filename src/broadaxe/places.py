"""Where files that are not Python live: beside the sources in a checkout, inside the package when installed."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

__all__ = ["checkout", "find_directory"]


def find_directory(given: Path | None, *, in_checkout: str, in_package: str) -> Path | None:
    """The directory given, else the checkout's, else the package's; None when none of them is there."""
    if given is not None:
        return given if given.is_dir() else None
    root = checkout()
    candidates = [] if root is None else [root / in_checkout]
    candidates.append(Path(str(files("broadaxe"))) / in_package)
    return next((candidate for candidate in candidates if candidate.is_dir()), None)


@cache
def checkout() -> Path | None:
    """The root of the repository that this runs from, if it does."""
    # src/broadaxe/places.py -> the directory that holds src. A wheel has no src above the package.
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "src" / "broadaxe").is_dir() else None
