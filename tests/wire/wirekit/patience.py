"""Waiting for a condition that nobody announces, with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

POLL_S: Final = 0.05
#: How long things may take that nobody promised to be quick: what a machine with too much to do needs, and then some.
PATIENCE_S: Final = 90.0

T = TypeVar("T")


async def eventually(
    look: Callable[[], Awaitable[T]], *, until: Callable[[T], bool] = bool, what: str, within_s: float = PATIENCE_S
) -> T:
    """Looks again and again until `until` holds for what was seen; fails naming `what` and the last sight."""
    deadline = time.monotonic() + within_s
    while True:
        seen = await look()
        if until(seen):
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within_s:g} s; last seen {seen!r}")
        await asyncio.sleep(POLL_S)
