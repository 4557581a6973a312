"""How whoever watches open streams hears that a token, a log-in or a role was taken away, by whatever process.

Triggers of the tables tell on a channel when the transaction commits (migration `revocations_are_told`), and the
connection that listens to the outbox listens to it as well. What ends by the clock ends unheard: watchers know when.

Invariant: while nobody listens (the connection is lost, a pooler leaves none, an edge has none) watchers look by
themselves every few seconds; while somebody does, they look when told, and else once in `HEARD_EVERY_S`, should a
notification have gone astray.
"""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["CHANNEL", "HEARD_EVERY_S", "Revocations"]

CHANNEL: Final = "broadaxe_revocation"
HEARD_EVERY_S: Final = 60.0


class Revocations:
    """On one event loop."""

    def __init__(self) -> None:
        self.is_heard = False
        """Whether somebody listens."""
        self._watchers: list[asyncio.Event] = []

    def watcher(self) -> asyncio.Event:
        """Set when something may have been taken away; whoever waits for it clears it."""
        event = asyncio.Event()
        self._watchers.append(event)
        return event

    def tell(self) -> None:
        """Something was taken away."""
        for event in self._watchers:
            event.set()

    def listens(self, is_heard: bool) -> None:
        """Somebody listens from now on, or nobody does; something may have been missed either way."""
        self.is_heard = is_heard
        self.tell()

    def pause_s(self, unheard_every_s: float) -> float:
        """How long a watcher may wait for its event."""
        return HEARD_EVERY_S if self.is_heard else unheard_every_s
