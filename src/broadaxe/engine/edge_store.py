"""The store of a process that decides nothing: it reads, and says where each tenant is decided."""

from __future__ import annotations

from typing import Final

import asyncpg

from broadaxe.engine.postgres_store import PostgresStore, PostgresTenantStore, outage_is_unavailable
from broadaxe.errors import HeldElsewhere
from broadaxe.storage.statements import statement

__all__ = ["EdgeStore"]

_SAID: Final = "the tenant is decided by another process"


class EdgeStore(PostgresStore):
    def __init__(self, *, pool: asyncpg.Pool, node_id: str, link_address: str) -> None:
        """The node this process is a part of, and where its engine process is reached."""
        super().__init__(journal_pool=pool, pool=pool, node_id=node_id, address="")
        self._node_id = node_id
        self._link_address = link_address

    async def open(self, tenant_id: str, *, here: bool = False) -> PostgresTenantStore:
        """Raises HeldElsewhere: by another node if one holds the tenant, else it is for the engine process to take."""
        async with outage_is_unavailable():
            elsewhere = await self._pool.fetchval(statement("leases/elsewhere"), tenant_id, self._node_id)
        raise HeldElsewhere(_SAID, link_address=elsewhere or self._link_address)

    async def tenants_with_work(self) -> list[str]:
        """None: who decides looks after them."""
        return []
