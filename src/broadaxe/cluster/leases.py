"""Leases: which node owns a tenant, under which epoch.

A node takes a tenant by writing the lease row with a new epoch; every journal transaction checks that epoch, so a node
that lost its lease cannot write, whatever it believes. Leases last as long as their node: it keeps one row alive for
all of them, and holds a lock in a session of its own. So a process that dies is noticed when its session ends, at
once, and one that is frozen or cut off when its row has run out. A planned stop gives each lease back. Postgres' clock
is the only clock used.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import Final

import asyncpg
import structlog

from broadaxe.errors import HeldElsewhere
from broadaxe.loops import Loops
from broadaxe.storage.outage import OUTAGE
from broadaxe.storage.statements import statement

LEASE_TTL_S: Final = 4.0
RENEW_EVERY_S: Final = 1.3
#: How often it is looked whether somebody took a lease from a node that believes to have it. Nothing depends on it: the
#: next commit would say so.
LOOK_AT_LEASES_EVERY_S: Final = 5.0
LOCK_ID_MAX: Final = 2**31 - 1
SECRET_BYTES: Final = 32

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
        connect: Callable[[], Awaitable[asyncpg.Connection]] | None = None,
    ) -> None:
        """Noted with each lease: `enforces_limits` for people who ask what binds a tenant, `schema_known`, the newest
        migration this node has, for migrations that wait until older code is gone. `connect` opens the session that
        holds the node's lock; without it a death is noticed when the row has run out."""
        self._pool = pool
        self._node_id = node_id
        self._address = address
        self._on_lost = on_lost
        self._ttl_s = ttl_s
        self._enforces_limits = enforces_limits
        self._schema_known = schema_known
        self._link_address: str | None = None
        self._connect = connect
        self._epochs: dict[str, int] = {}
        self._loops = Loops("leases")
        self._registering = asyncio.Lock()
        self._is_registered = False
        self._lock_id = 1 + secrets.randbelow(LOCK_ID_MAX)
        self._lock: asyncpg.Connection | None = None

    @property
    def node_id(self) -> str:
        return self._node_id

    def reached_at(self, link_address: str) -> None:
        """Where other nodes reach the tenants of this one, said before the first lease is taken."""
        self._link_address = link_address

    async def link_secret(self) -> bytes:
        """What the nodes on this database prove to each other that they belong together by."""
        secret: bytes = await self._pool.fetchval(statement("leases/link_secret"), secrets.token_bytes(SECRET_BYTES))
        return secret

    async def acquire(self, tenant_id: str) -> int:
        """The new epoch. HeldElsewhere while another node holds the tenant, naming it and how long that may last."""
        await self._register()
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
            where = f"node {holder['address']} for another {holder['left_s']:.0f} s"
            raise HeldElsewhere(f"the tenant is held by {where}", link_address=holder["link_address"])
        self._epochs[tenant_id] = epoch
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
        await self._loops.close()
        for tenant_id in list(self._epochs):
            await self.release(tenant_id)
        if self._is_registered:
            await self._pool.execute(statement("leases/leave"), self._node_id)
        if self._lock is not None:
            self._lock.terminate()

    # The node ------------------------------------------------------------------------------------------------------

    async def _register(self) -> None:
        """The node's row is there before its first lease."""
        if self._is_registered:
            return
        async with self._registering:
            if not self._is_registered:
                await self._renew()
                self._is_registered = True
                self._loops.keep("renewal", self._renew_for_ever)
                self._loops.every("look at leases", LOOK_AT_LEASES_EVERY_S, self._look)

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                await self._renew()
            except OUTAGE as error:
                _log.warning("leases could not be renewed", error=str(error))

    async def _renew(self) -> None:
        await self._pool.execute(
            statement("leases/renew"),
            self._node_id,
            self._address,
            self._link_address,
            metadata.version("broadaxe"),
            self._lock_id if await self._is_locked() else None,
            self._ttl_s,
        )

    async def _is_locked(self) -> bool:
        """Holds the lock, or takes it anew; False when that cannot be, and only the row tells that the node lives."""
        if self._connect is None:
            return False
        try:
            if self._lock is None or self._lock.is_closed():
                self._lock = None
                connection = await self._connect()
                if not await connection.fetchval(statement("leases/lock"), self._lock_id):
                    connection.terminate()
                    return False
                self._lock = connection
            # Behind a pooler the session may be another one by now.
            return bool(await self._pool.fetchval(statement("leases/is_locked"), self._lock_id))
        except OUTAGE:
            return False

    async def _look(self) -> None:
        held = dict(self._epochs)
        if not held:
            return
        try:
            rows = await self._pool.fetch(statement("leases/held"), list(held), list(held.values()), self._node_id)
        except OUTAGE:
            return
        kept = {str(row["tenant_id"]) for row in rows}
        for tenant_id in held.keys() - kept:
            if self._epochs.get(tenant_id) == held[tenant_id]:
                self.forget(tenant_id)
                self._on_lost(tenant_id)
