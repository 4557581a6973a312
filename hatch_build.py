"""Puts the built dashboard, the documentation and the name of the commit into what is distributed.

An editable install needs none of it, because a checkout serves them from where they are; a real wheel without them
would be a broken product, so building one fails with what to do. A source distribution has all of it where a checkout
has it, so that a wheel can be built from it without Node.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INCLUDED = {"docs": "broadaxe/_docs", "web/dashboard/dist": "broadaxe/_dashboard"}
COMMIT = "broadaxe/_commit"


class DistributedContents(BuildHookInterface[Any]):
    """Adds the directories above to the wheel, and the commit to both."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds; `version` is `standard` or `editable`."""
        if version != "standard":
            return
        root = Path(self.root)
        for source in INCLUDED:
            if not (root / source).is_dir():
                raise FileNotFoundError(f"{source} is not there. Run `make setup` first, then `make dist`.")
        include = build_data["force_include"]
        is_wheel = self.target_name == "wheel"
        if is_wheel:
            include.update({str(root / source): target for source, target in INCLUDED.items()})
        commit = _commit(root)
        if commit is not None:
            written = Path(tempfile.mkdtemp(), "commit")
            written.write_text(commit)
            include[str(written)] = COMMIT if is_wheel else f"src/{COMMIT}"


def _commit(root: Path) -> str | None:
    """What is built from; None in a source distribution, which says so itself. An image has no git and is told."""
    told = os.environ.get("BROADAXE_COMMIT")
    if told:
        return told
    if not (root / ".git").exists():
        return None
    asked = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None
