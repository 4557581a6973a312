"""The rows of the nodes, as people read them and tell one to drain.

Whoever asks needs only the database, as `broadaxe migrate` does. Owns no row: each is its node's
(`cluster/members.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator
from broadaxe.errors import InvalidArgument, NotFound
from broadaxe.storage import audit
from broadaxe.storage.statements import statement

__all__ = ["CHANNEL", "NodeRow", "drain_node", "nodes", "tell_nodes"]

#: Where all nodes hear that one has come, goes, or is to drain.
CHANNEL: Final = "broadaxe_nodes"
NODES_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class NodeRow:
    id: str
    address: str
    """Where it serves gRPC, as it says itself."""
    link_address: str | None
    version: str
    started_at: datetime
    renewed_ago_s: float
    """Since its row was last renewed, by the database's clock."""
    draining_at: datetime | None
    tenants: int
    """How many it owns, counted from the leases."""
    load: float
    """How many cores its process keeps busy."""
    is_lost: bool
    """Its process has ended without saying so, or nothing was heard of it for as long as a lease lasts."""


async def nodes(pool: asyncpg.Pool | asyncpg.Connection) -> list[NodeRow]:
    """Those that live and those that were lost within the last day, the oldest first."""
    return [
        NodeRow(
            str(row["id"]),
            row["address"],
            row["link_address"],
            row["version"],
            row["started_at"],
            row["renewed_ago_s"],
            row["draining_at"],
            row["tenants"],
            row["load"],
            row["is_lost"],
        )
        for row in await pool.fetch(statement("nodes/list"), NODES_MAX)
    ]


async def drain_node(
    pool: asyncpg.Pool | asyncpg.Connection, node: str, by: Initiator | None = None, *, is_undone: bool = False
) -> NodeRow:
    """Tells a node to hand its tenants over and to take none, or that it may own again. `node` is its id or enough of
    its beginning; `by` is who wants it, for the audit log. Returns it as it was. NotFound for none that lives;
    InvalidArgument when several begin so."""
    if not node:
        raise InvalidArgument("which node? `broadaxe cluster nodes` lists them", field="node")
    found = [row for row in await nodes(pool) if row.id.startswith(node.lower()) and not row.is_lost]
    if not found:
        raise NotFound(f"there is no live node {node}; `broadaxe cluster nodes` lists them", field="node")
    if len(found) > 1:
        raise InvalidArgument(f"{len(found)} nodes begin with {node}; say more of the id", field="node")
    row = found[0]
    async with audit.transaction(pool) as connection:
        await connection.execute(statement("nodes/drain"), row.id, is_undone)
        await tell_nodes(connection, row.id)
        if by is not None and is_undone != (row.draining_at is None):
            action = Action.NODE_UNDRAIN if is_undone else Action.NODE_DRAIN
            subject = Subject(row.id, row.address, {"is_draining": not is_undone})
            before: dict[str, object] = {"is_draining": is_undone}
            await audit.write(connection, audit.INSTALLATION, by, action, subject, before=before)
    return row


async def tell_nodes(pool: audit.Queryable, node_id: str) -> None:
    await pool.execute(statement("nodes/tell"), node_id)
