"""The other nodes, as the engine needs to know them.

Two implementations: `postgres_store.py`, by what `cluster/` knows, and the simulation's. An engine that has none is
alone, and everything belongs to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Nodes", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """Another node that lives and can be reached."""

    node_id: str
    link_address: str
    age_s: float
    """Since it has come."""


class Nodes(Protocol):
    """Unavailable when the database is away."""

    def watch(self, on_change: Callable[[], None]) -> None:
        """Who is told that nodes have come or gone, or begun or ceased to drain."""
        ...

    async def join(self) -> None:
        """Makes this node known to the others."""
        ...

    async def step_down(self) -> None:
        """This node takes no tenant from here on, as long as there is another one to take it."""
        ...

    def place(self, tenant_id: str) -> Place | None:
        """The other node that a tenant belongs to; None when it belongs here, or nowhere else."""
        ...

    def others(self) -> list[Place]: ...

    def look(self) -> None:
        """A node may be gone: looks who lives."""
        ...

    def is_draining(self) -> bool:
        """Whether this node is to hand its tenants over."""
        ...

    def is_alive(self) -> bool:
        """Whether the leases of this node last at this moment, as far as it knows."""
        ...
