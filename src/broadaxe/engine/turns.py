"""Who may load a tenant now: a few at a time, and those that somebody waits for before all others.

After a node is lost, another one may have a thousand tenants to load, and the first caller of one of them must not
stand behind all the others. Owns the order; refuses to know what is done in a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Turns"]


class Turns:
    def __init__(self, at_once_max: int) -> None:
        self._free = at_once_max
        self._waiting: dict[str, asyncio.Future[None]] = {}
        """By tenant, in the order they came."""
        self._hurried: dict[str, asyncio.Future[None]] = {}
        """Those of them that somebody waits for."""

    def hurry(self, tenant_id: str) -> None:
        """Somebody waits for this tenant."""
        if (waiter := self._waiting.pop(tenant_id, None)) is not None:
            self._hurried[tenant_id] = waiter

    @asynccontextmanager
    async def turn(self, tenant_id: str, *, is_hurried: bool) -> AsyncIterator[None]:
        """A tenant waits for one turn at a time."""
        if self._free:
            self._free -= 1
        else:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            (self._hurried if is_hurried else self._waiting)[tenant_id] = waiter
            try:
                await waiter
            except BaseException:
                self._hurried.pop(tenant_id, None)
                self._waiting.pop(tenant_id, None)
                if waiter.done() and not waiter.cancelled():
                    self._end()
                raise
        try:
            yield
        finally:
            self._end()

    def _end(self) -> None:
        for line in (self._hurried, self._waiting):
            while line:
                waiter = line.pop(next(iter(line)))
                if not waiter.done():
                    waiter.set_result(None)
                    return
        self._free += 1
