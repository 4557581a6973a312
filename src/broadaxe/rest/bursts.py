"""How often one thing may be done: a token bucket for each.

Owns a bucket per key, full at the first sight of it. Costs one dictionary entry per key; at most `KEYS_MAX` are
remembered, the one that was silent longest makes room. Invariant: in any span of `s` seconds a remembered key is
let through at most `burst + s * rate_per_s` times. In memory, so it holds per process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final

__all__ = ["Bursts"]

KEYS_MAX: Final = 10_000


class Bursts:
    def __init__(self, *, rate_per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_per_s = rate_per_s
        self._burst = float(burst)
        self._clock = clock
        self._left: dict[Hashable, tuple[float, float]] = {}

    def take(self, key: Hashable) -> bool:
        """Whether it may be done once more now."""
        now = self._clock()
        left, since = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate_per_s)
        allowed = left >= 1
        while len(self._left) >= KEYS_MAX:
            del self._left[next(iter(self._left))]
        self._left[key] = (left - 1 if allowed else left, now)
        return allowed
