"""How often one address may try a password.

Owns a count per client address over a sliding window. Refuses the attempt over the limit with ResourceExhausted.
Invariants: at most `ATTEMPTS_MAX` attempts per address in `WINDOW_S`; at most `ADDRESSES_MAX` addresses are remembered,
the longest silent one makes room.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Final, cast

from fastapi import Depends, Request

from broadaxe.errors import ResourceExhausted

__all__ = ["Attempts", "AttemptsDep"]

ATTEMPTS_MAX: Final = 10
WINDOW_S: Final = 300.0
ADDRESSES_MAX: Final = 10_000


class Attempts:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_address: dict[str, list[float]] = {}

    def count(self, request: Request) -> None:
        """Counts an attempt from this client; raises when it is one too many."""
        now = self._clock()
        address = _address(request)
        recent = [at for at in self._by_address.pop(address, []) if at > now - WINDOW_S]
        allowed = len(recent) < ATTEMPTS_MAX
        if allowed:
            recent.append(now)
        while len(self._by_address) >= ADDRESSES_MAX:
            del self._by_address[next(iter(self._by_address))]
        self._by_address[address] = recent
        if not allowed:
            wait_s = int(recent[0] + WINDOW_S - now) + 1
            raise ResourceExhausted(f"too many attempts from this address; try again in {wait_s} s")

    def forgive(self, request: Request) -> None:
        """A right password takes the last attempt back, so that working scripts are not locked out."""
        recent = self._by_address.get(_address(request))
        if recent:
            recent.pop()


def _address(request: Request) -> str:
    return "" if request.client is None else request.client.host


def _attempts(request: Request) -> Attempts:
    return cast(Attempts, request.app.state.attempts)


AttemptsDep = Annotated[Attempts, Depends(_attempts)]
