"""How often somebody may try a password.

Owns a count per account and client address over a sliding window. Refuses the attempt over the limit with
ResourceExhausted. Counting both together keeps a stranger from locking others out: neither everybody behind one
address, nor an account for everybody. Invariants: at most `ATTEMPTS_MAX` attempts for an account from an address in
`WINDOW_S`; at most `PAIRS_MAX` of these pairs are remembered, the longest silent one makes room.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Final, cast

from fastapi import Depends, Request

from broadaxe.errors import ResourceExhausted
from broadaxe.rest.client_address import client_network
from broadaxe.rest.context import Context

__all__ = ["Attempts", "AttemptsDep"]

ATTEMPTS_MAX: Final = 10
WINDOW_S: Final = 300.0
PAIRS_MAX: Final = 10_000
#: An e-mail address has fewer characters; what is longer is no account.
EMAIL_CHARS_MAX: Final = 320


class Attempts:
    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_pair: dict[tuple[str, str], list[float]] = {}

    def count(self, request: Request, email: str) -> None:
        """Counts an attempt of this client at this account, or at none; raises when it is one too many."""
        now = self._clock()
        pair = _pair(request, email)
        recent = [at for at in self._by_pair.pop(pair, []) if at > now - WINDOW_S]
        allowed = len(recent) < ATTEMPTS_MAX
        if allowed:
            recent.append(now)
        while len(self._by_pair) >= PAIRS_MAX:
            del self._by_pair[next(iter(self._by_pair))]
        self._by_pair[pair] = recent
        if not allowed:
            wait_s = int(recent[0] + WINDOW_S - now) + 1
            raise ResourceExhausted(f"too many attempts at this account from this address; try again in {wait_s} s")

    def forgive(self, request: Request, email: str) -> None:
        """A right password takes the last attempt back, so that working scripts are not locked out."""
        recent = self._by_pair.get(_pair(request, email))
        if recent:
            recent.pop()


def _pair(request: Request, email: str) -> tuple[str, str]:
    context: Context = request.app.state.context
    return client_network(request, context.settings.trusted_proxies), email.strip().lower()[:EMAIL_CHARS_MAX]


def _attempts(request: Request) -> Attempts:
    return cast(Attempts, request.app.state.attempts)


AttemptsDep = Annotated[Attempts, Depends(_attempts)]
