"""The answers of this edge that stay open, and when they end: with a stop, and with what their readers were let in by.

A token's stream ends when the token does (`storage/token_verifier.py`). A person's ends when they log out or are logged
out, are taken out of the tenant, or get another role there: all that are open are asked about together when something
of the kind is told (`storage/revocations.py`), where nobody hears of that once every `WATCH_EVERY_S`, and not at all
while there are none. A browser opens its stream again and is asked who it is. While the database is away nobody is sent
out.

Invariant: nothing is told over a stream for more than five seconds after its reader was taken what let them in; that is
`WATCH_EVERY_S`, one question, and what a stream waits between two messages. A log-in that ends by the clock is noticed
within a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

import asyncpg
import structlog

from broadaxe.errors import ResourceExhausted
from broadaxe.rest.context import Context
from broadaxe.rest.identity import Caller
from broadaxe.storage.accounts import Standing, still_standing
from broadaxe.storage.outage import OUTAGE
from broadaxe.storage.revocations import Revocations

__all__ = ["OpenStreams"]

WATCH_EVERY_S: Final = 3.0
QUESTION_TIMEOUT_S: Final = 5.0
#: Streams of one token for one topic that are open here at a time.
NARROWED_MAX: Final = 100

_log = structlog.get_logger(__name__)


class _Closable(Protocol):
    def close(self) -> None: ...


class OpenStreams:
    def __init__(self, pool: asyncpg.Pool, revocations: Revocations) -> None:
        self._pool = pool
        self._revocations = revocations
        self._is_due = revocations.watcher()
        self._streams: set[_Closable] = set()
        self._people: dict[_Closable, Standing] = {}
        self._narrowed: Counter[str] = Counter()
        """Open streams of tokens for one topic."""
        self._watching: asyncio.Task[None] | None = None
        self._is_closed = False

    def enter(self, subscription: _Closable, caller: Caller, tenant_id: str, context: Context) -> Callable[[], None]:
        """Closes the subscription when the server stops or the caller may not read the tenant any more; returns what
        takes it out again. ResourceExhausted for a token of one topic, which strangers may have, that has
        `NARROWED_MAX` already."""
        narrowed = caller.token.token_id if caller.token is not None and caller.token.topic is not None else None
        if narrowed is not None:
            if self._narrowed[narrowed] >= NARROWED_MAX:
                raise ResourceExhausted(f"{NARROWED_MAX} streams are open with this token already; close some")
            self._narrowed[narrowed] += 1
        self._streams.add(subscription)
        if self._is_closed:
            subscription.close()
        token, account = caller.token, caller.account
        unwatch = None
        if token is not None:
            unwatch = context.verifier.watch(token.token_id, token.expires_at, subscription.close)
        elif account is not None and not self._is_closed:
            self._people[subscription] = Standing(caller.login, account.id, tenant_id, caller.roles[tenant_id])
            if self._watching is None:
                self._watching = asyncio.create_task(self._watch(), name="watch over people's open streams")

        def leave() -> None:
            if unwatch is not None:
                unwatch()
            self._people.pop(subscription, None)
            if narrowed is not None and subscription in self._streams:
                self._narrowed[narrowed] -= 1
                if not self._narrowed[narrowed]:
                    del self._narrowed[narrowed]
            self._streams.discard(subscription)

        return leave

    def close(self) -> None:
        self._is_closed = True
        if self._watching is not None:
            self._watching.cancel()
        for subscription in self._streams:
            subscription.close()

    async def _watch(self) -> None:
        """One turn after the other until nobody reads."""
        try:
            pause_s = WATCH_EVERY_S
            while self._people:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._is_due.wait(), pause_s)
                self._is_due.clear()
                pause_s = WATCH_EVERY_S
                try:
                    await self._look()
                    pause_s = self._revocations.pause_s(WATCH_EVERY_S)
                except OUTAGE as error:
                    _log.debug("the readers of open streams cannot be looked up", error=str(error))
                except Exception:
                    # Whatever it is: who was sent out must not go on reading because of it.
                    _log.exception("the readers of open streams could not be looked up; trying again")
        finally:
            self._watching = None

    async def _look(self) -> None:
        asked = dict(self._people)
        async with asyncio.timeout(QUESTION_TIMEOUT_S):
            standing = await still_standing(self._pool, set(asked.values()))
        for subscription, reader in asked.items():
            if reader not in standing and self._people.pop(subscription, None) is not None:
                subscription.close()
