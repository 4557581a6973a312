"""The nodes on this database, as each of them knows the others.

A node keeps one row alive, and the statement that does so returns the rows of all that live: nobody polls beyond that.
It also holds a lock in a session of its own, so that a process that dies is missing from the next answer, and listens
there for news: a node that comes, one that goes, one that is to hand its tenants over. Without such a session, behind a
pooler that pools transactions, news are heard with the next renewal.

Owns the row of this node and what it knows of the others. Postgres' clock is the only clock used.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from importlib import metadata
from typing import Any, Final

import asyncpg
import structlog

from broadaxe.cluster.placement import Member, owners, place
from broadaxe.loops import Loops
from broadaxe.storage.nodes import CHANNEL, tell_nodes
from broadaxe.storage.outage import OUTAGE
from broadaxe.storage.statements import statement

__all__ = ["LEASE_TTL_S", "RENEW_EVERY_S", "Members"]

LEASE_TTL_S: Final = 4.0
RENEW_EVERY_S: Final = 1.3
#: The same of a node that is alone, and hears at once when another one comes: nobody waits for its tenants meanwhile.
ALONE_TTL_S: Final = 15.0
RENEW_ALONE_EVERY_S: Final = 5.0
#: The shortest time between two renewals, however much news there is.
RENEW_PAUSE_S: Final = 0.1
#: How long a renewal may take, before it is begun anew.
ANSWER_S: Final = 3.0
LOCK_ID_MAX: Final = 2**31 - 1

_log = structlog.get_logger(__name__)


class Members:
    """`on_change` is called when nodes have come, gone, or begun or ceased to drain."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        node_id: str,
        address: str,
        ttl_s: float = LEASE_TTL_S,
        *,
        connect: Callable[[], Awaitable[asyncpg.Connection]] | None = None,
    ) -> None:
        """`connect` opens the session that holds the node's lock; without it a death is noticed when the row has run
        out."""
        self.node_id = node_id
        self.link_address: str | None = None
        """Where other nodes reach the tenants of this one; set before the node is registered."""
        self.on_change: Callable[[], None] = lambda: None
        self.is_draining = False
        """Whether this node hands its tenants over and takes none."""
        self._pool = pool
        self._address = address
        self._ttl_s = ttl_s
        self._connect = connect
        self._steps_down = False
        self._all: tuple[Member, ...] = ()
        self._renewed_at_s = float("-inf")
        self._lasts_s = ttl_s
        """How long the row lasts after the last renewal."""
        self.was_late = False
        """Whether the row had run out before it was renewed, so that others may have taken what this node had."""
        self._cpu_s, self._cpu_at_s = time.process_time(), time.monotonic()
        self._load = 0.0
        self._loops = Loops("members")
        self._registering = asyncio.Lock()
        self._is_registered = False
        self._renewing = asyncio.Lock()
        self._news = asyncio.Event()
        self._lock_id = 1 + secrets.randbelow(LOCK_ID_MAX)
        self._lock: asyncpg.Connection | None = None

    @property
    def all(self) -> tuple[Member, ...]:
        """Those that live, as of the last renewal, this one among them."""
        return self._all

    def is_alive(self) -> bool:
        """Whether the others see this node live: its row was renewed within the time it lasts."""
        return time.monotonic() - self._renewed_at_s < self._lasts_s

    @property
    def is_alone(self) -> bool:
        """Whether no other node was there at the last renewal, and this one would hear of one."""
        return len(self._all) == 1 and self._lock is not None

    def place(self, tenant_id: str, without: Collection[str | None] = ()) -> Member | None:
        """The other node that the tenant belongs to; None when it belongs here, or nowhere else. `without` are nodes
        known to be gone."""
        if self.link_address is None:
            return None
        chosen = place(tenant_id, owners(member for member in self._all if member.id not in without))
        return None if chosen is None or chosen.id == self.node_id else chosen

    def named(self, node_id: str | None) -> Member | None:
        """Another node that lives, by its id."""
        return next((m for m in self._all if m.id == node_id and m.id != self.node_id), None)

    async def register(self) -> None:
        """The node's row is there before a lease is taken: the next node would take that from one without."""
        if self._is_registered and self.is_alive():
            return
        async with self._registering:
            if not self.is_alive():
                await self._renew()
            if not self._is_registered:
                self._is_registered = True
                self._loops.keep("renewal", self._renew_for_ever)
                await tell_nodes(self._pool, self.node_id)

    def look(self) -> None:
        """Something has happened: looks who lives without waiting for the next renewal."""
        self._news.set()

    async def step_down(self) -> None:
        """Tells everybody that this node hands its tenants over and takes none."""
        self._steps_down = True
        if self._is_registered:
            await self._renew()
            await tell_nodes(self._pool, self.node_id)

    async def leave(self) -> None:
        await self._loops.close()
        if self._is_registered:
            await self._pool.execute(statement("nodes/leave"), self.node_id)
            await tell_nodes(self._pool, self.node_id)
        if self._lock is not None:
            self._lock.terminate()

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(RENEW_PAUSE_S)
            try:
                every_s = RENEW_ALONE_EVERY_S if self.is_alone else RENEW_EVERY_S
                async with asyncio.timeout(every_s - RENEW_PAUSE_S):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            try:
                await self._renew()
            except OUTAGE as error:
                _log.warning("leases could not be renewed", error=str(error))

    async def _renew(self) -> None:
        async with self._renewing:
            await self._hold_lock()
            if self.is_alone:
                rows = await self._say_alive(max(ALONE_TTL_S, self._ttl_s))
            if not self.is_alone or len(rows) > 1:
                rows = await self._say_alive(self._ttl_s)
        before, self._all = _standing(self._all), tuple(_member(row) for row in rows)
        self.is_draining = self._all[0].is_draining
        if _standing(self._all) != before:
            self.on_change()

    async def _say_alive(self, lasts_s: float) -> list[Any]:
        """Keeps the row for so long; returns those of all that live."""
        sent_at_s = time.monotonic()
        self._weigh(sent_at_s)
        rows: list[Any] = await self._pool.fetch(
            statement("nodes/renew"),
            self.node_id,
            self._address,
            self.link_address,
            metadata.version("broadaxe"),
            None if self._lock is None else self._lock_id,
            lasts_s,
            self._steps_down,
            self._load,
            timeout=ANSWER_S,
        )
        self.was_late = self.was_late or (self._is_registered and sent_at_s - self._renewed_at_s >= self._lasts_s)
        self._renewed_at_s, self._lasts_s = sent_at_s, lasts_s
        return rows

    def _weigh(self, now_s: float) -> None:
        cpu_s = time.process_time()
        if now_s - self._cpu_at_s >= RENEW_EVERY_S / 2:
            self._load = (cpu_s - self._cpu_s) / (now_s - self._cpu_at_s)
            self._cpu_s, self._cpu_at_s = cpu_s, now_s

    async def _hold_lock(self) -> None:
        """Takes the lock anew if its session is gone; without one only the row tells that the node lives."""
        if self._connect is None or (self._lock is not None and not self._lock.is_closed()):
            return
        self._lock = None
        try:
            connection = await self._connect()
            if not await connection.fetchval(statement("nodes/lock"), self._lock_id):
                connection.terminate()
                return
            await connection.add_listener(CHANNEL, self._heard)
            self._lock = connection
        except OUTAGE:
            return

    def _heard(self, _connection: Any, _pid: int, _channel: str, _payload: object) -> None:
        self.look()


def _standing(members: tuple[Member, ...]) -> frozenset[tuple[str, bool]]:
    return frozenset((member.id, member.is_draining) for member in members)


def _member(row: asyncpg.Record) -> Member:
    return Member(
        str(row["id"]),
        row["address"],
        row["link_address"],
        row["version"],
        row["started_at"],
        row["age_s"],
        row["is_draining"],
        row["load"],
    )
