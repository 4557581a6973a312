"""Where the engine reads the time. The core never does: it is told.

What is planned for an instant is planned by the wall clock, but wall clocks are set: by people, by NTP, by a host that
wakes a suspended machine. What the engine goes by never steps back and never stands still:

- When the wall clock is ahead, it is followed at once. A suspended machine looks like that, and what came due meanwhile
  is due. Whoever measures how long others were silent has to know: `jumps` counts the times.
- When the wall clock was set back, time goes on from where it was, a little slower than true, until both agree.
  Standing still until then would stop every timer for as long as the clock was wrong; going back would do twice what is
  planned. A second is made good in half a minute, and no timer notices. After an hour the engine is ahead for more than
  a day, and crons and schedules come early by what is left; a restart goes by the wall clock at once, and the log says
  so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

__all__ = ["Clock", "SystemClock"]

#: A step of the wall clock against the monotonic one that is told of: longer than NTP makes, shorter than any silence
#: that has consequences.
STEP_NS: Final = 3_000_000_000
#: While it waits for the wall clock, time goes slower by this part: 3 percent. No timeout is noticeably late by it.
SLOWER_BY: Final = 32

_log = structlog.get_logger(__name__)


class Clock(Protocol):
    def now_us(self) -> int:
        """Microseconds since the Unix epoch."""
        ...

    @property
    def jumps(self) -> int:
        """How often the wall clock was seen to jump forward."""
        ...


class SystemClock:
    """The machine's wall clock, as long as it goes forward."""

    __slots__ = ("_monotonic_ns", "_now_ns", "_read_monotonic_ns", "_read_wall_ns", "_wall_ns", "jumps")

    def __init__(
        self, read_wall_ns: Callable[[], int] | None = None, read_monotonic_ns: Callable[[], int] | None = None
    ) -> None:
        self._read_wall_ns = read_wall_ns or time.time_ns
        self._read_monotonic_ns = read_monotonic_ns or time.monotonic_ns
        self._wall_ns = self._now_ns = self._read_wall_ns()
        self._monotonic_ns = self._read_monotonic_ns()
        self.jumps = 0

    def now_us(self) -> int:
        """Looks at both clocks."""
        wall_ns, monotonic_ns = self._read_wall_ns(), self._read_monotonic_ns()
        passed_ns = monotonic_ns - self._monotonic_ns
        step_ns = wall_ns - self._wall_ns - passed_ns
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._now_ns = max(wall_ns, self._now_ns + passed_ns - passed_ns // SLOWER_BY)
        if step_ns > STEP_NS:
            self.jumps += 1
            _log.warning("the wall clock jumped forward", seconds=_seconds(step_ns))
        elif step_ns < -STEP_NS:
            _log.warning(
                "the wall clock was set back; the engine's time goes on a little slower until they agree. A restart "
                "goes by the wall clock at once",
                seconds=_seconds(-step_ns),
                ahead_seconds=_seconds(self._now_ns - wall_ns),
                agree_in_seconds=_seconds((self._now_ns - wall_ns) * SLOWER_BY),
            )
        return self._now_ns // 1000


def _seconds(ns: int) -> float:
    return round(ns / 1e9, 1)
