"""The pump of one active tenant: from the outbox to the tenant's actor, a page at a time.

Owns what is known to wait: transactions that were notified, or "everything" after an activation and whenever
notifications may have been missed. Refuses to decide: the core does, and the commit that does what a row asks for
removes it. A page is read only after the commit of the one before, so no row is handed over twice; were one, the commit
would find it gone and fail as a whole.

While a page is in flight, more transactions gather for the next one: many small transactions share a read and a commit.
Cost: a round trip per page. Bounds: one page, `TOLD_MAX` transactions that wait to be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from broadaxe.core.commands import RefusedRequest, Reply, TakeOutbox
from broadaxe.engine.actor import Undecided
from broadaxe.errors import BroadaxeError
from broadaxe.storage.outbox import DATABASE_AWAY, Outbox, OutboxPage

#: Transactions remembered one by one. With more of them everything is read, which is cheaper then.
TOLD_MAX: Final = 10_000
#: Transactions in one read.
READ_TRANSACTIONS_MAX: Final = 100
READ_AGAIN_AFTER_S: Final = 0.5

_log = structlog.get_logger(__name__)


class OutboxPump:
    def __init__(self, tenant_id: str, outbox: Outbox, submit: Callable[[TakeOutbox], Awaitable[Reply]]) -> None:
        self._tenant_id = tenant_id
        self._outbox = outbox
        self._submit = submit
        self._told: dict[int, int] = {}
        """Transactions in the order they committed, each with the position it has been read up to."""
        self._is_unsure = False
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def tell(self, transaction: int) -> None:
        """A transaction has committed that left something for this tenant."""
        if len(self._told) < TOLD_MAX:
            self._told.setdefault(transaction, 0)
        else:
            self._is_unsure = True
        self._go()

    def read_everything(self) -> None:
        """There may be rows that nobody told of."""
        self._is_unsure = True
        self._go()

    async def close(self) -> None:
        """Ends the pump; what is in flight is left to the actor."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def abandon(self) -> None:
        """The actor broke: whoever activates the tenant again reads everything."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()

    def _go(self) -> None:
        if self._task is None and not self._is_closed:
            self._task = asyncio.create_task(self._pump(), name=f"outbox {self._tenant_id}")

    async def _pump(self) -> None:
        try:
            while self._is_unsure or self._told:
                try:
                    if self._is_unsure:
                        await self._take_everything()
                    else:
                        await self._take_told()
                except DATABASE_AWAY as error:
                    _log.warning("the outbox could not be read; trying again", tenant=self._tenant_id, error=str(error))
                    self._is_unsure = True
                    await asyncio.sleep(READ_AGAIN_AFTER_S)
        except (BroadaxeError, Undecided):
            # The actor broke or stops. What was not done is still in the outbox.
            self._is_closed = True
        finally:
            self._task = None

    async def _take_everything(self) -> None:
        # Whoever is told of from here on may be read twice, which finds nothing the second time.
        self._is_unsure = False
        self._told.clear()
        after = (0, 0)
        while True:
            page = await self._outbox.waiting(self._tenant_id, after)
            await self._take(page)
            if page.is_last:
                return
            after = page.last

    async def _take_told(self) -> None:
        transactions = dict(list(self._told.items())[:READ_TRANSACTIONS_MAX])
        page = await self._outbox.told(self._tenant_id, transactions)
        await self._take(page)
        transaction, position = page.last
        for read in transactions:
            if read == transaction and not page.is_last:
                self._told[read] = position
                return
            # Told of again while it was read? A transaction commits once, so there is nothing more of it.
            self._told.pop(read, None)

    async def _take(self, page: OutboxPage) -> None:
        if not page.requests:
            return
        refused = await self._submit(TakeOutbox(page.requests))
        assert isinstance(refused, tuple)
        for request in refused:
            assert isinstance(request, RefusedRequest)
            _log.warning(
                "an enqueued request was refused and put aside",
                tenant=self._tenant_id,
                id=request.id,
                reason=request.reason,
            )
