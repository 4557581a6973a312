"""Where the engine reads the time. The core never does: it is told."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now_us(self) -> int:
        """Microseconds since the Unix epoch."""
        ...

    @property
    def jumps(self) -> int:
        """How often the wall clock was seen to jump forward."""
        ...


class SystemClock:
    """The machine's wall clock, never stepping back within a process."""

    __slots__ = ("_last_us", "jumps")

    def __init__(self) -> None:
        self._last_us = 0
        self.jumps = 0

    def now_us(self) -> int:
        self._last_us = max(self._last_us, time.time_ns() // 1000)
        return self._last_us
