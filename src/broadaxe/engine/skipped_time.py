"""Time that tests skip: a clock that can be moved on, and how an engine goes along.

Between two instants at which something is planned nothing happens of its own accord, so the clock jumps from one to the
next, and at each the engine does what it does at that instant: decides, commits, tells. Before each jump whatever runs
gets its time: a clock that ran ahead of a worker would end by timeout what takes the worker a millisecond.

Refuses to slow anything down: between jumps the clock goes as the machine's. Production has `SystemClock`.
"""

from __future__ import annotations

import asyncio
from typing import Final

from broadaxe.core.durations import US_PER_S
from broadaxe.engine.clock import SystemClock
from broadaxe.engine.engine import Engine
from broadaxe.errors import InvalidArgument

__all__ = ["PATIENCE_S", "SKIP_MAX_US", "MovedClock", "SkippedTime"]

#: How long a task may run, on the machine's clock, without a sign of it, before time goes on all the same.
PATIENCE_S: Final = 2.0
#: A century. What is planned later than that is a mistake.
SKIP_MAX_US: Final = 36_525 * 86_400 * US_PER_S
#: Nobody announces that nothing goes on; a commit takes about as long as this.
LOOK_EVERY_S: Final = 0.002


class MovedClock(SystemClock):
    """The machine's clock, ahead by what was skipped."""

    __slots__ = ("skipped_us",)

    def __init__(self) -> None:
        super().__init__()
        self.skipped_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.skipped_us


class SkippedTime:
    """Moves the clock of a running engine on. One move at a time, on the engine's loop."""

    def __init__(self, engine: Engine, clock: MovedClock) -> None:
        self._engine = engine
        self._clock = clock
        self._moving = asyncio.Lock()

    async def skip(self, by_us: int, patience_s: float = PATIENCE_S) -> None:
        """Returns once everything planned for the time up to then was done, as far as that needs no more time.

        InvalidArgument for a time that is not ahead, or more than a century.
        """
        if not 0 <= by_us <= SKIP_MAX_US:
            raise InvalidArgument("time only goes on, and by a century at most", field="by")
        async with self._moving:
            until_us = self._clock.now_us() + by_us
            await self._settle(patience_s)
            while (due_us := self._next_us()) is not None and due_us < until_us:
                await self._move_to(due_us, patience_s)
            await self._move_to(until_us, patience_s)

    async def skip_until_idle(self, within_us: int = SKIP_MAX_US, patience_s: float = PATIENCE_S) -> None:
        """Goes from one planned instant to the next until no run is left, or the next one is more than `within_us`
        away."""
        async with self._moving:
            until_us = self._clock.now_us() + within_us
            await self._settle(patience_s)
            while any(actor.tenant.has_runs() for actor in self._engine.actors()):
                due_us = self._next_us()
                if due_us is None or due_us > until_us:
                    return
                await self._move_to(due_us, patience_s)

    def listening(self) -> set[str]:
        """Ids of the workers whose streams are open."""
        return {worker_id for actor in self._engine.actors() for worker_id in actor.tenant.listening()}

    async def wait_for(self, workers: set[str], patience_s: float) -> None:
        """Returns once the streams of each of them are open. Whoever has not come by then has gone."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + patience_s
        while workers - self.listening():
            if loop.time() > until_s:
                return
            await asyncio.sleep(LOOK_EVERY_S)

    async def settle(self, patience_s: float = PATIENCE_S) -> None:
        """Returns once nothing goes on that needs no more time."""
        async with self._moving:
            await self._settle(patience_s)

    def _next_us(self) -> int | None:
        planned = (actor.tenant.next_skip_us() for actor in self._engine.actors())
        return min((due_us for due_us in planned if due_us is not None), default=None)

    async def _move_to(self, at_us: int, patience_s: float) -> None:
        self._clock.skipped_us += max(0, at_us - self._clock.now_us())
        for actor in self._engine.actors():
            actor.skip(self._clock.now_us())
        await self._settle(patience_s)

    async def _settle(self, patience_s: float) -> None:
        loop = asyncio.get_running_loop()
        seen, heard_at_s = self._decided(), loop.time()
        while not self._is_settled():
            await asyncio.sleep(LOOK_EVERY_S)
            if self._engine.is_loading():
                # It would sleep through what is planned for it.
                heard_at_s = loop.time()
            elif (decided := self._decided()) != seen:
                seen, heard_at_s = decided, loop.time()
            elif loop.time() - heard_at_s > patience_s:
                return

    def _is_settled(self) -> bool:
        now_us = self._clock.now_us()
        return not self._engine.is_loading() and all(actor.is_settled(now_us) for actor in self._engine.actors())

    def _decided(self) -> int:
        return sum(actor.rounds_count for actor in self._engine.actors())
