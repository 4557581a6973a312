"""The nodes of a cluster's life, as `cluster/members.py` and `cluster/leases.py` have them, on the life's database.

Where a tenant belongs is decided by the real `cluster/placement.py`. News travel as fast as notifications do, and now
and then are lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from broadaxe.cluster import placement
from broadaxe.cluster.members import LEASE_TTL_S, RENEW_EVERY_S, RENEW_PAUSE_S
from broadaxe.cluster.placement import Member
from broadaxe.engine.nodes import Place
from broadaxe.errors import Unavailable

if TYPE_CHECKING:
    from tests.simulation.shell.database import Database

_BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)


class NodeRow:
    """A node as the database knows it."""

    def __init__(self, node: str, link_address: str | None, until_s: float) -> None:
        self.node = node
        self.link_address = link_address
        self.started_at_s = asyncio.get_running_loop().time()
        self.until_s = until_s
        self.has_lock = link_address is not None
        """Whether it tells of its death by a lock."""
        self.is_locked = True
        self.is_draining = False

    def lives(self) -> bool:
        return self.until_s >= asyncio.get_running_loop().time() and (self.is_locked or not self.has_lock)

    def member(self) -> Member:
        age_s = asyncio.get_running_loop().time() - self.started_at_s
        started_at = _BEGINNING + timedelta(seconds=self.started_at_s)
        return Member(self.node, self.node, self.link_address, "1.0", started_at, age_s, self.is_draining, 0.0)


class Members:
    """What one node knows of all, and its own row. Implements `engine/nodes.py`."""

    def __init__(self, database: Database, node: str) -> None:
        self.node = node
        self.link_address: str | None = None
        self._database = database
        self._all: tuple[Member, ...] = ()
        self._on_change: Callable[[], None] = lambda: None
        self._news = asyncio.Event()
        self._registering = asyncio.Lock()
        self._is_registered = False
        self._is_draining = False
        self._steps_down = False
        self._renewed_at_s = float("-inf")

    # As the engine asks -----------------------------------------------------------------------------------------------

    def watch(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change

    async def join(self) -> None:
        async with self._registering:
            if not self.is_alive():
                await self._renew()
            if not self._is_registered:
                self._is_registered = True
                self._database.tell_nodes()

    async def step_down(self) -> None:
        self._steps_down = True
        if self._is_registered:
            await self._renew()
            self._database.tell_nodes()

    def place(self, tenant_id: str) -> Place | None:
        member = self.member_for(tenant_id)
        if member is None:
            return None
        assert member.link_address is not None
        return Place(member.id, member.link_address, member.age_s)

    def others(self) -> list[Place]:
        return [
            Place(member.id, member.link_address, member.age_s)
            for member in self._all
            if member.id != self.node and member.link_address is not None
        ]

    def look(self) -> None:
        self._news.set()

    def is_draining(self) -> bool:
        return self._is_draining

    def is_alive(self) -> bool:
        return asyncio.get_running_loop().time() - self._renewed_at_s < LEASE_TTL_S

    # As leases ask ----------------------------------------------------------------------------------------------------

    def member_for(self, tenant_id: str, without: Collection[str | None] = ()) -> Member | None:
        if self.link_address is None:
            return None
        owners = placement.owners(member for member in self._all if member.id not in without)
        chosen = placement.place(tenant_id, owners)
        return None if chosen is None or chosen.id == self.node else chosen

    def named(self, node: str | None) -> Member | None:
        return next((m for m in self._all if m.id == node and m.id != self.node), None)

    # The row ----------------------------------------------------------------------------------------------------------

    async def renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(RENEW_PAUSE_S)
            try:
                async with asyncio.timeout(RENEW_EVERY_S - RENEW_PAUSE_S):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            if self._is_registered:
                try:
                    await self._renew()
                except Unavailable:
                    continue

    async def _renew(self) -> None:
        sent_at_s = asyncio.get_running_loop().time()
        await self._database.reach(self.node, is_read=False)
        nodes = self._database.nodes
        row = nodes.get(self.node)
        if row is None:
            row = nodes[self.node] = NodeRow(self.node, self.link_address, 0.0)
        row.until_s, row.is_locked = asyncio.get_running_loop().time() + LEASE_TTL_S, True
        row.is_draining = row.is_draining or self._steps_down
        others = [other.member() for other in nodes.values() if other is not row and other.lives()]
        rows = (row.member(), *others)
        await self._database.reach(self.node, is_read=False)
        self._renewed_at_s = sent_at_s
        before, self._all = _standing(self._all), rows
        self._is_draining = rows[0].is_draining
        if _standing(rows) != before:
            self._on_change()


def _standing(members: tuple[Member, ...]) -> frozenset[tuple[str, bool]]:
    return frozenset((member.id, member.is_draining) for member in members)
