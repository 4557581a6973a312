"""Whether this process stood still: SIGSTOP, a sleeping laptop, a paused or starved machine.

While it stood, workers spoke and nobody listened, so their silence means nothing. A loop beats once in `BEAT_S`;
whoever decides looks at the pulse first, and a beat that is more than `STALL_S` overdue is a stall. Of a jump of the
wall clock the clock itself tells. Cost: one timer a second for the whole process.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

__all__ = ["STALL_S", "Pulse"]

BEAT_S: Final = 1.0
#: Longer than a busy machine keeps an event loop waiting, much shorter than any silence that has consequences.
STALL_S: Final = 3.0

_log = structlog.get_logger(__name__)


class Pulse:
    def __init__(self) -> None:
        self._beat_at_s: float | None = None
        self._stalls = 0

    async def beat_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        self._beat_at_s = loop.time()
        while True:
            await asyncio.sleep(BEAT_S)
            self.stalls()

    def stalls(self) -> int:
        """How often the process has stood still, a stall that has just ended included."""
        now_s = asyncio.get_running_loop().time()
        if self._beat_at_s is not None:
            stood_s = now_s - self._beat_at_s - BEAT_S
            if stood_s > STALL_S:
                self._stalls += 1
                _log.warning("this process stood still; workers get their time anew", seconds=round(stood_s, 1))
            self._beat_at_s = now_s
        return self._stalls
