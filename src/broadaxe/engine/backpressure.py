"""How much callers may have under way at one tenant: waiting, being decided, or held while the tenant is away.

Beyond the bounds a call is refused with ResourceExhausted at once, which costs nothing and loses nothing. No client may
have more than its share, so that one that floods a tenant does not get others refused.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from broadaxe.engine.inbox import HEAVY_CHARS
from broadaxe.errors import ResourceExhausted

__all__ = ["Backpressure"]

#: Commands of all clients, and of one.
UNDER_WAY_MAX: Final = 50_000
UNDER_WAY_OF_CLIENT_MAX: Final = 20_000
#: Characters in the payloads of heavy ones.
CHARS_UNDER_WAY_MAX: Final = 512 * 1024 * 1024


class Backpressure:
    def __init__(self) -> None:
        self._count = 0
        self._chars = 0
        self._by_client: Counter[str] = Counter()

    def enter(self, client: str, chars: int) -> None:
        """Counts a command of `client` with so many characters; ResourceExhausted when there is no room for it."""
        heavy = chars if chars > HEAVY_CHARS else 0
        if (
            self._count >= UNDER_WAY_MAX
            or self._by_client[client] >= UNDER_WAY_OF_CLIENT_MAX
            or (heavy and self._chars + heavy > CHARS_UNDER_WAY_MAX)
        ):
            raise ResourceExhausted("too many requests are waiting; slow down")
        self._count += 1
        self._chars += heavy
        self._by_client[client] += 1

    def leave(self, client: str, chars: int) -> None:
        """The command is answered."""
        self._count -= 1
        self._chars -= chars if chars > HEAVY_CHARS else 0
        left = self._by_client[client] - 1
        if left:
            self._by_client[client] = left
        else:
            del self._by_client[client]
