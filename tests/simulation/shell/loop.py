"""An event loop without a world: time jumps to the next timer when nothing is ready, and nothing is read or written.

A life of hours takes milliseconds, and the same seed lives it again. Refuses sockets, threads and signals. A loop that
goes round without time passing is called broken instead of hanging.
"""

from __future__ import annotations

import asyncio
from asyncio import base_events
from typing import Any, Final

#: Turns of the loop within one instant.
TURNS_MAX: Final = 200_000
#: Timers within less are due together.
RESOLUTION_S: Final = 1e-9


class Standstill(Exception):
    """Nothing is ready and no timer is armed: nothing will ever happen. Or the loop spins."""


class VirtualLoop(base_events.BaseEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._turns = 0
        self._clock_resolution = RESOLUTION_S
        # What the base class asks how long it may sleep.
        self._selector = self

    def time(self) -> float:
        return self._now_s

    def stand_still(self, seconds: float) -> None:
        """The process does nothing for so long; what became due meanwhile is late."""
        self._now_s += seconds

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Standstill("nothing is ready and no timer is armed")
        if timeout > 0:
            self._turns = 0
            self._now_s += timeout
        else:
            self._turns += 1
            if self._turns > TURNS_MAX:
                raise Standstill("the loop goes round and time does not pass")
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class LoopClock:
    """The engine's clock: the loop's time since an instant."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start_us: int) -> None:
        self._loop = loop
        self._start_us = start_us
        self.jumps = 0

    def now_us(self) -> int:
        return self._start_us + int(self._loop.time() * 1_000_000)
