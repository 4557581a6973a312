"""Which Broadaxe this is: its version, and the commit that it was built from."""

from __future__ import annotations

import subprocess
from importlib import metadata, resources

from broadaxe.places import checkout

__all__ = ["describe"]


def describe() -> str:
    """The version, with the commit when it is known: `0.2.0 (commit 5df1c3a8b92e)`."""
    version = metadata.version("broadaxe")
    commit = _commit()
    return version if commit is None else f"{version} (commit {commit})"


def _commit() -> str | None:
    """What the package was built from; of a checkout, what is checked out."""
    built_from = resources.files("broadaxe") / "_commit"
    if built_from.is_file():
        return built_from.read_text().strip()
    root = checkout()
    if root is None:
        return None
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None
