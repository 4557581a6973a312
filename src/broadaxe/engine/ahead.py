"""What a node has read of a tenant that another node is about to hand over to it.

    the owner   has it read here, lets go of the tenant, and says in which epoch nothing was committed since
    this node   takes the next epoch, and need not read again if that is the one after it

So nothing has to be done for the first time while callers wait, and nothing at all where nothing was committed.
"""

from __future__ import annotations

import asyncio
from typing import Final

from broadaxe.core.loaded import Loaded
from broadaxe.engine.clock import Clock
from broadaxe.engine.store import Store
from broadaxe.engine.turns import Turns

__all__ = ["ReadAhead"]

#: How long it is kept.
AHEAD_S: Final = 15.0


class ReadAhead:
    def __init__(self, tenant_id: str, store: Store, clock: Clock, loads: Turns) -> None:
        self._tenant_id = tenant_id
        self._store = store
        self._clock = clock
        self._loads = loads
        self._loaded: Loaded | None = None
        self._count = 0
        """How often it was begun: an earlier one that ends late must not stand for a later one."""
        self._unchanged_epoch: int | None = None

    async def read(self) -> bool:
        """Whether the tenant has been read. Unavailable."""
        self._count += 1
        count, self._loaded = self._count, None
        async with self._loads.turn(f"{self._tenant_id}, ahead", is_hurried=False):
            loaded = await self._store.read_ahead(self._tenant_id, self._clock.now_us())
        if loaded is None or count != self._count:
            return False
        self._loaded = loaded
        asyncio.get_running_loop().call_later(AHEAD_S, self._forget, count)
        return True

    def _forget(self, count: int) -> None:
        if count == self._count:
            self._loaded = None

    def unchanged_in(self, epoch: int) -> None:
        """Nothing was committed since it was read, by the word of who had the tenant in this epoch."""
        self._unchanged_epoch = epoch

    def take(self, epoch: int) -> Loaded | None:
        """What was read, if it is what the tenant is at the beginning of this epoch; used up either way."""
        loaded, self._loaded = self._loaded, None
        unchanged_epoch, self._unchanged_epoch = self._unchanged_epoch, None
        # Whoever had it in the epoch before this one has committed nothing since, and nobody else can have.
        is_unchanged = unchanged_epoch is not None and epoch == unchanged_epoch + 1
        return loaded if is_unchanged else None
