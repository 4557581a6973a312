"""Puts the built dashboard and the documentation into the wheel.

An editable install needs neither, because a checkout serves them from where they are; a real wheel without them would
be a broken product, so building one fails with what to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

INCLUDED = {"docs": "broadaxe/_docs", "web/dashboard/dist": "broadaxe/_dashboard"}


class WheelContents(BuildHookInterface[Any]):
    """Adds the directories above to the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds; `version` is `standard` or `editable`."""
        if version != "standard":
            return
        for source, target in INCLUDED.items():
            path = Path(self.root) / source
            if not path.is_dir():
                raise FileNotFoundError(f"{source} is not there. Run `make setup` first, then `make dist`.")
            build_data["force_include"][str(path)] = target
