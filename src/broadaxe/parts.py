"""One node in several processes: what a process needs to know to be a part of it.

The *engine process* decides and commits; *edges* end connections, check tokens, parse and assemble, own nothing, and
reach the engine process by a link over a socket in a directory that only this user can enter.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """`edge` is the number of an edge, from 1 on, and None for the engine process."""

    directory: Path
    node_id: str
    """Of the engine process, over its restarts: one that is started again gets its own leases back."""
    edge: int | None = None

    @property
    def name(self) -> str:
        return "engine" if self.edge is None else f"edge-{self.edge}"

    @property
    def socket(self) -> Path:
        return self.directory / "engine.sock"

    @property
    def link_address(self) -> str:
        """Where edges reach the engine process."""
        return f"unix:{self.socket}"

    def say_ready(self) -> None:
        """Leaves the number of this process where the other parts find it."""
        new = self.ready_file.with_suffix(".new")
        new.write_text(str(os.getpid()), encoding="ascii")
        new.replace(self.ready_file)

    def running(self) -> dict[str, int]:
        """The parts that are ready, or were before they died: numbers of processes by name."""
        found: dict[str, int] = {}
        for file in sorted(self.directory.glob("*.ready")):
            with contextlib.suppress(OSError, ValueError):
                found[file.stem] = int(file.read_text(encoding="ascii"))
        return found

    @property
    def ready_file(self) -> Path:
        """There once this part is ready."""
        return self.directory / f"{self.name}.ready"
