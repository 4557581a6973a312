"""The shapes of the nodes that share a database."""

from __future__ import annotations

from datetime import datetime

from broadaxe.rest.wire import Wire


class Node(Wire):
    """One engine process. Of tenants it says how many, never which."""

    id: str
    address: str
    """Where it serves gRPC, as it says itself."""
    version: str
    started_at: datetime
    renewed_seconds_ago: float
    """Since its last sign of life."""
    draining_at: datetime | None = None
    """Since when it hands its tenants over and takes none."""
    tenants: int
    load: float
    """How many cores its process keeps busy."""
    is_lost: bool
    """It ended without saying so, or was not heard of for as long as a lease lasts."""


class Nodes(Wire):
    rows: list[Node]
