"""Background work with a name and an owner.

Owns every asyncio task that nobody awaits: whoever starts one asks a `Loops` to. Refuses to let one die silently: a
loop whose body raises is started again after a pause, a single piece of work that raises is reported, and both are
counted by name. Invariants: after `close` nothing of it runs any more; nothing is started after `close`.

An error that only says that the database is away is a warning without a stack trace; anything else is our mistake.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import structlog

from broadaxe.errors import BroadaxeError
from broadaxe.storage.outage import OUTAGE

__all__ = ["Loops"]

#: Pauses before a loop that failed is started again: the first, doubled each time up to the second.
RESTART_FIRST_S: Final = 0.1
RESTART_MAX_S: Final = 5.0

_log = structlog.get_logger(__name__)


class Loops:
    """The background work of one owner, who closes it."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.failures: Counter[str] = Counter()
        """How often work of each name raised."""

    def __len__(self) -> int:
        return len(self._tasks)

    def go(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Runs `work` once; None after `close`, when it is dropped."""
        if self._is_closed:
            work.close()
            return None
        task = asyncio.create_task(self._once(name, work), name=f"{self._owner}: {name}")
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            # A task that is cancelled before its first step has not awaited it.
            work.close()

        task.add_done_callback(ended)
        return task

    def keep(self, name: str, body: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs `body` for as long as this is open: when it returns or raises it is called again."""
        self.go(name, self._again(name, body))

    def every(self, name: str, seconds: float, turn: Callable[[], Awaitable[None]]) -> None:
        """Calls `turn`, then waits so long, for ever; the first time at once."""

        async def body() -> None:
            while True:
                await turn()
                await asyncio.sleep(seconds)

        self.keep(name, body)

    async def close(self) -> None:
        """Ends everything and waits for it. A second call waits for the rest."""
        self._is_closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _once(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            self._report(name, error)

    async def _again(self, name: str, body: Callable[[], Coroutine[Any, Any, None]]) -> None:
        pause_s = RESTART_FIRST_S
        loop = asyncio.get_running_loop()
        while True:
            began_at_s = loop.time()
            try:
                await body()
            except Exception as error:
                self._report(name, error)
            if loop.time() - began_at_s > RESTART_MAX_S:
                pause_s = RESTART_FIRST_S
            await asyncio.sleep(pause_s)
            pause_s = min(RESTART_MAX_S, 2 * pause_s)

    def _report(self, name: str, error: Exception) -> None:
        self.failures[name] += 1
        if isinstance(error, OUTAGE) or (isinstance(error, BroadaxeError) and error.retryable):
            _log.warning("background work was held up", owner=self._owner, work=name, error=str(error))
        else:
            _log.error("background work failed", owner=self._owner, work=name, exc_info=error)
