"""Leases: which node owns a tenant, under which epoch.

A node takes a tenant by writing the lease row with a new epoch; every journal transaction checks that epoch, so a node
that lost its lease cannot write, whatever it believes. Leases last as long as their node (`members.py`). A tenant that
nobody has is taken where it belongs (`placement.py`), unless the one who asks insists. A planned stop gives each lease
back, and names whom it is for. Postgres' clock is the only clock used.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import asyncpg

from broadaxe.cluster.members import LEASE_TTL_S, Members
from broadaxe.errors import HeldElsewhere
from broadaxe.loops import Loops
from broadaxe.storage.outage import OUTAGE
from broadaxe.storage.statements import statement

__all__ = ["LEASE_TTL_S", "Leases"]

#: How often it is looked whether somebody took a lease from a node that believes to have it. Nothing depends on it: the
#: next commit would say so.
LOOK_AT_LEASES_EVERY_S: Final = 5.0
SECRET_BYTES: Final = 32


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
        connect: Callable[[], Awaitable[asyncpg.Connection]] | None = None,
    ) -> None:
        """Noted with each lease: `enforces_limits` for people who ask what binds a tenant, `schema_known`, the newest
        migration this node has, for migrations that wait until older code is gone. `connect` as of `Members`."""
        self._pool = pool
        self._node_id = node_id
        self._address = address
        self._on_lost = on_lost
        self._enforces_limits = enforces_limits
        self._schema_known = schema_known
        self._epochs: dict[str, int] = {}
        self._loops = Loops("leases")
        self._is_looking = False
        self.members = Members(pool, node_id, address, ttl_s, connect=connect)

    @property
    def node_id(self) -> str:
        return self._node_id

    def reached_at(self, link_address: str) -> None:
        """Where other nodes reach the tenants of this one, said before the first lease is taken."""
        self.members.link_address = link_address

    async def link_secret(self) -> bytes:
        """What the nodes on this database prove to each other that they belong together by."""
        secret: bytes = await self._pool.fetchval(statement("nodes/link_secret"), secrets.token_bytes(SECRET_BYTES))
        return secret

    async def acquire(self, tenant_id: str, *, here: bool = False) -> int:
        """The new epoch. HeldElsewhere while another node holds the tenant, or, with `is_free`, when nobody does and it
        belongs to another one: `here` takes it all the same, unless this node drains."""
        await self.members.register()
        if (not here or self.members.is_draining) and self.members.place(tenant_id) is not None:
            await self._leave_to_another(tenant_id)
        epoch: int | None = await self._pool.fetchval(
            statement("leases/acquire"),
            tenant_id,
            self._node_id,
            self._address,
            None,
            self._enforces_limits,
            self._schema_known,
        )
        if epoch is None:
            holder = await self._pool.fetchrow(statement("leases/holder"), tenant_id)
            if holder is None:
                raise HeldElsewhere("the tenant is held by another node")
            raise _held(holder)
        self._epochs[tenant_id] = epoch
        if not self._is_looking:
            self._is_looking = True
            self._loops.every("look at leases", LOOK_AT_LEASES_EVERY_S, self._look)
        return epoch

    async def _leave_to_another(self, tenant_id: str) -> None:
        """Raises HeldElsewhere when another node holds the tenant or should."""
        members = self.members
        holder = await self._pool.fetchrow(statement("leases/holder"), tenant_id)
        gone: tuple[str | None, ...] = ()
        if holder is not None:
            holder_id = str(holder["node_id"])
            if holder_id == self._node_id and not holder["is_free"]:
                return
            if not holder["is_free"]:
                raise _held(holder)
            if holder["had_to_the_end"]:
                # It had the tenant to its end: whoever it was, it is gone.
                gone = (holder_id,)
                members.look()
        successor = None if holder is None or holder["successor"] is None else str(holder["successor"])
        if successor == self._node_id and not members.is_draining:
            return
        place = members.named(successor) or members.place(tenant_id, without=gone)
        if place is not None:
            raise HeldElsewhere(
                f"the tenant belongs to node {place.address}", link_address=place.link_address, is_free=True
            )

    async def release(self, tenant_id: str, successor: str | None = None) -> None:
        """Gives the lease back, for the node of this id or for anybody."""
        epoch = self._epochs.pop(tenant_id, None)
        if epoch is not None:
            await self._pool.execute(statement("leases/release"), tenant_id, self._node_id, epoch, successor)

    def forget(self, tenant_id: str) -> None:
        """The lease is known to be lost."""
        self._epochs.pop(tenant_id, None)

    async def stop(self) -> None:
        """Ends renewal and gives back what is still held."""
        await self._loops.close()
        for tenant_id in list(self._epochs):
            await self.release(tenant_id)
        await self.members.leave()

    async def _look(self) -> None:
        held = dict(self._epochs)
        # While this node is alone, and was all the time, nobody can have taken one.
        if not held or (self.members.is_alone and not self.members.was_late):
            return
        self.members.was_late = False
        try:
            rows = await self._pool.fetch(statement("leases/held"), list(held), list(held.values()), self._node_id)
        except OUTAGE:
            self.members.was_late = True
            return
        kept = {str(row["tenant_id"]) for row in rows}
        for tenant_id in held.keys() - kept:
            if self._epochs.get(tenant_id) == held[tenant_id]:
                self.forget(tenant_id)
                self._on_lost(tenant_id)


def _held(holder: asyncpg.Record) -> HeldElsewhere:
    where = f"node {holder['address']} for another {holder['left_s']:.0f} s"
    return HeldElsewhere(f"the tenant is held by {where}", link_address=holder["link_address"])
