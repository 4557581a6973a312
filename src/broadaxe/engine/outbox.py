"""The pump of one active tenant: from the outbox to the tenant's actor, a page at a time.

Owns what is known to wait: transactions that were notified, or "everything" after an activation and whenever
notifications may have been missed. Refuses to decide: the core does, and the commit that does what a row asks for
removes it. A page is read only after the commit of the one before, so no row is handed over twice; were one, the commit
would find it gone and fail as a whole.

While a page is in flight, more transactions gather for the next one: many small transactions share a read and a commit.
Cost: a round trip per page. Bounds: one page, `TOLD_MAX` transactions that wait to be read.

A row over which the tenant breaks would break it again after every load. So whatever was in hand when it broke is
suspect, and tried alone from then on; what breaks it `TRIES_MAX` times alone is put aside with the refused ones, and
everything else goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from typing import Final, Protocol

import structlog

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.outbox import OutboxRequest, RefusedRequest, TakeOutbox
from broadaxe.engine.actor import Broken
from broadaxe.engine.store import Store
from broadaxe.errors import Unavailable
from broadaxe.storage.outbox import OutboxPage

#: Transactions remembered one by one. With more of them everything is read, which is cheaper then.
TOLD_MAX: Final = 10_000
#: Transactions in one read.
READ_TRANSACTIONS_MAX: Final = 100
READ_AGAIN_AFTER_S: Final = 0.5
#: How often a row may break the tenant, alone in its round.
TRIES_MAX: Final = 3

_log = structlog.get_logger(__name__)


class Submit(Protocol):
    def __call__(self, command: TakeOutbox, *, is_alone: bool) -> Awaitable[Reply]: ...


class Suspects:
    """Rows that were in hand when the tenant broke, and how often each was alone then. Outlives the pumps."""

    def __init__(self) -> None:
        self._broke: dict[str, int] = {}

    def blame(self, commands: Sequence[Command]) -> None:
        """The tenant broke over these commands, which were one round."""
        for command in commands:
            if isinstance(command, TakeOutbox):
                was_alone = len(commands) == 1 and len(command.requests) == 1
                for request in command.requests:
                    self._broke[_id(request)] = self._broke.get(_id(request), 0) + was_alone

    def clear(self, request: OutboxRequest) -> None:
        """It is done, or put aside."""
        self._broke.pop(_id(request), None)

    def parted(self, requests: Sequence[OutboxRequest]) -> Iterator[tuple[TakeOutbox, bool]]:
        """Commands for these requests in their order, each with whether it must be alone in its round."""
        blameless: list[OutboxRequest] = []
        for request in requests:
            times = self._broke.get(_id(request))
            if times is None:
                blameless.append(request)
                continue
            if blameless:
                yield TakeOutbox(tuple(blameless)), False
                blameless = []
            if times < TRIES_MAX:
                yield TakeOutbox((request,)), True
            else:
                reason = f"the engine broke over it {times} times; its log has the details"
                yield TakeOutbox((), (RefusedRequest(_id(request), reason),)), True
        if blameless:
            yield TakeOutbox(tuple(blameless)), False


def _id(request: OutboxRequest) -> str:
    assert request.promise is not None
    return request.promise.id


class OutboxPump:
    def __init__(self, tenant_id: str, store: Store, suspects: Suspects, submit: Submit) -> None:
        self._tenant_id = tenant_id
        self._store = store
        self._suspects = suspects
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
                except Unavailable as error:
                    _log.warning("the outbox could not be read; trying again", tenant=self._tenant_id, error=str(error))
                except Broken:
                    # What was not done is still in the outbox, and whoever activates the tenant again reads it.
                    self._is_closed = True
                    return
                except Exception:
                    _log.exception("the outbox was not done; trying again", tenant=self._tenant_id)
                else:
                    continue
                self._is_unsure = True
                await asyncio.sleep(READ_AGAIN_AFTER_S)
        finally:
            self._task = None

    async def _take_everything(self) -> None:
        # Whoever is told of from here on may be read twice, which finds nothing the second time.
        self._is_unsure = False
        self._told.clear()
        after = (0, 0)
        while True:
            page = await self._store.outbox_waiting(self._tenant_id, after)
            await self._take(page)
            if page.is_last:
                return
            after = page.last

    async def _take_told(self) -> None:
        transactions = dict(list(self._told.items())[:READ_TRANSACTIONS_MAX])
        page = await self._store.outbox_told(self._tenant_id, transactions)
        await self._take(page)
        transaction, position = page.last
        for read in transactions:
            if read == transaction and not page.is_last:
                self._told[read] = position
                return
            # Told of again while it was read? A transaction commits once, so there is nothing more of it.
            self._told.pop(read, None)

    async def _take(self, page: OutboxPage) -> None:
        for command, is_alone in self._suspects.parted(page.requests):
            refused = await self._submit(command, is_alone=is_alone)
            assert isinstance(refused, tuple)
            for request in refused:
                assert isinstance(request, RefusedRequest)
                _log.warning(
                    "an enqueued request was refused and put aside",
                    tenant=self._tenant_id,
                    id=request.id,
                    reason=request.reason,
                )
        for taken in page.requests:
            self._suspects.clear(taken)
