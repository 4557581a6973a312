"""Where a tenant belongs: the same answer at every node that sees the same nodes.

Rendezvous hashing: of every node the hash of node and tenant together, and the highest wins. So a node that comes takes
its share from all the others and nothing else moves, and what one leaves is spread over all that stay.

Only nodes that may own count: reachable, not draining, and of the generation (the first two numbers of the version)
that most nodes are of, the newer one of two that are equally many. So an upgrade, one node after another, moves
each tenant to the new generation once, when half of the nodes are of it. Pure: what is known of the nodes is an
argument.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

__all__ = ["Member", "generation", "owners", "place"]

_HASH_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Member:
    """A node that lives, as its row says."""

    id: str
    address: str
    link_address: str | None
    """Where other nodes reach its tenants; None for one that cannot be reached, which owns nothing."""
    version: str
    started_at: datetime
    age_s: float
    """By the database's clock, when the row was read."""
    is_draining: bool
    load: float
    """How many cores its process keeps busy."""


def generation(version: str) -> tuple[int, ...]:
    """What counts of a version: `1.4.2` is of the generation (1, 4). A version of another form is older than all."""
    numbers = version.split(".")[:2]
    return tuple(int(number) for number in numbers) if all(number.isdecimal() for number in numbers) else ()


def owners(members: Iterable[Member]) -> list[Member]:
    """Those that may own tenants."""
    able = [member for member in members if member.link_address is not None and not member.is_draining]
    counts = Counter(generation(member.version) for member in able)
    if not counts:
        return []
    chosen = max(counts, key=lambda which: (counts[which], which))
    return [member for member in able if generation(member.version) == chosen]


def place(tenant_id: str, owners: Collection[Member]) -> Member | None:
    """The one of the nodes that the tenant belongs to; None when there is none."""
    return max(owners, key=lambda member: (_weight(tenant_id, member.id), member.id), default=None)


def _weight(tenant_id: str, node_id: str) -> bytes:
    return hashlib.blake2b(f"{tenant_id} {node_id}".encode(), digest_size=_HASH_BYTES).digest()
