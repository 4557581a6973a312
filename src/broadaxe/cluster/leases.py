"""Leases: which node owns a tenant, under which epoch.

A node takes a tenant by writing the lease row with a new epoch; every journal transaction checks that epoch, so a node
that lost its lease cannot write, whatever it believes. A lease that is not renewed runs out; a planned stop gives it
back at once. Postgres' clock is the only clock used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import asyncpg
import structlog

from broadaxe.errors import Unavailable
from broadaxe.storage.outage import OUTAGE
from broadaxe.storage.statements import statement

LEASE_TTL_S: Final = 15.0
RENEW_EVERY_S: Final = 5.0

_log = structlog.get_logger(__name__)


class Leases:
    """The leases of one node. `on_lost` is told of a tenant whose lease somebody else took."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        node_id: str,
        address: str,
        on_lost: Callable[[str], None],
        ttl_s: float = LEASE_TTL_S,
        *,
        enforces_limits: bool = False,
        schema_known: str | None = None,
    ) -> None:
        """Noted with each lease: `enforces_limits` for people who ask what binds a tenant, `schema_known`, the newest
        migration this node has, for migrations that wait until older code is gone."""
        self._pool = pool
        self._node_id = node_id
        self._address = address
        self._on_lost = on_lost
        self._ttl_s = ttl_s
        self._enforces_limits = enforces_limits
        self._schema_known = schema_known
        self._epochs: dict[str, int] = {}
        self._renewing: asyncio.Task[None] | None = None

    @property
    def node_id(self) -> str:
        return self._node_id

    async def acquire(self, tenant_id: str) -> int:
        """The new epoch. Unavailable while another node holds the tenant, naming it and how long that may last."""
        epoch: int | None = await self._pool.fetchval(
            statement("leases/acquire"),
            tenant_id,
            self._node_id,
            self._address,
            self._ttl_s,
            self._enforces_limits,
            self._schema_known,
        )
        if epoch is None:
            holder = await self._pool.fetchrow(statement("leases/holder"), tenant_id)
            where = f"node {holder['address']} for another {holder['left_s']:.0f} s" if holder else "another node"
            raise Unavailable(f"the tenant is held by {where}")
        self._epochs[tenant_id] = epoch
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew_for_ever(), name="lease renewal")
        return epoch

    async def release(self, tenant_id: str) -> None:
        epoch = self._epochs.pop(tenant_id, None)
        if epoch is not None:
            await self._pool.execute(statement("leases/release"), tenant_id, self._node_id, epoch)

    def forget(self, tenant_id: str) -> None:
        """The lease is known to be lost."""
        self._epochs.pop(tenant_id, None)

    async def stop(self) -> None:
        """Ends renewal and gives back what is still held."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
            self._renewing = None
        for tenant_id in list(self._epochs):
            await self.release(tenant_id)

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            held = dict(self._epochs)
            if not held:
                continue
            try:
                rows = await self._pool.fetch(
                    statement("leases/renew"), list(held), list(held.values()), self._node_id, self._ttl_s
                )
            except OUTAGE as error:
                _log.warning("leases could not be renewed", error=str(error))
                continue
            except Exception:
                # Whatever it is: a renewal that ended would cost every tenant its lease.
                _log.exception("leases could not be renewed; trying again")
                continue
            renewed = {str(row["tenant_id"]) for row in rows}
            for tenant_id in held.keys() - renewed:
                if self._epochs.get(tenant_id) == held[tenant_id]:
                    self.forget(tenant_id)
                    self._on_lost(tenant_id)
