"""What waits to be decided for one tenant, and which of it is decided next.

Clients take turns: of each client that has something waiting the next round takes one command, then one more of each,
until it is full. So a client that floods the tenant waits for itself, and one that says little is in the next round.
A client's own commands stay in their order; what the engine tells of its own accord goes before everybody's. A command
whose caller has given up meanwhile is dropped, unless it is one that may be repeated: such a caller tries again, and
after an outage the second try would be made beside the first. What workers report counts, whoever still listens.

Refuses bounds on how much may wait (`backpressure.py`). Invariants: a round has at most `ROUND_MAX` commands, and its
heavy ones at most `ROUND_CHARS_MAX` characters unless it is one alone; a suspect is alone in its round.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from broadaxe.core.commands import Command, Reply

__all__ = ["HEAVY_CHARS", "ROUND_CHARS_MAX", "ROUND_MAX", "Inbox", "Waiting"]

#: Commands decided in one round.
ROUND_MAX: Final = 512
#: A command with more characters in its payloads is heavy. A round ends before its heavy ones have more than the second
#: together: what it writes is one statement, and PostgreSQL takes a gigabyte and closes the connection on more.
HEAVY_CHARS: Final = 64 * 1024
ROUND_CHARS_MAX: Final = 64 * 1024 * 1024


class Waiting:
    """A command and who waits for its reply."""

    __slots__ = ("chars", "command", "is_alone", "reply")

    def __init__(self, command: Command, reply: asyncio.Future[Reply], chars: int, is_alone: bool) -> None:
        self.command = command
        self.reply = reply
        self.chars = chars
        """Characters in the payloads it brings."""
        self.is_alone = is_alone
        """Whether it must be the only one of its round, because the tenant may break over it."""

    @property
    def is_given_up(self) -> bool:
        return self.reply.cancelled() and not self.command.is_repeatable


class Inbox:
    def __init__(self) -> None:
        self._own: deque[Waiting] = deque()
        self._lines: dict[str, deque[Waiting]] = {}
        """What waits of each client; nobody is here who has nothing waiting."""
        self._turns: deque[str] = deque()
        """Those clients; the first has the next turn."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, waiting: Waiting, client: str | None) -> None:
        """`client` is None for what the engine itself has to tell."""
        self._count += 1
        if client is None:
            self._own.append(waiting)
            return
        line = self._lines.get(client)
        if line is None:
            line = self._lines[client] = deque()
            self._turns.append(client)
        line.append(waiting)

    def take(self) -> list[Waiting]:
        """The next round; empty when nothing waits."""
        taken: list[Waiting] = []
        dropped = 0
        chars = 0
        while len(taken) < ROUND_MAX:
            if self._own:
                line = self._own
            elif self._turns:
                line = self._lines[self._turns[0]]
            else:
                break
            following = line[0]
            if following.is_given_up and line is not self._own:
                line.popleft()
                dropped += 1
                if not line:
                    del self._lines[self._turns.popleft()]
                continue
            heavy = following.chars if following.chars > HEAVY_CHARS else 0
            # What came before it goes first, in a round of its own.
            if taken and (following.is_alone or (heavy and chars + heavy > ROUND_CHARS_MAX)):
                break
            taken.append(line.popleft())
            chars += heavy
            if line is not self._own:
                self._end_turn(line)
            if following.is_alone:
                break
        self._count -= len(taken) + dropped
        return taken

    def drain(self) -> list[Waiting]:
        """Everything that waits; nothing does afterwards."""
        everything = [*self._own, *(waiting for line in self._lines.values() for waiting in line)]
        self._own.clear()
        self._lines.clear()
        self._turns.clear()
        self._count = 0
        return everything

    def _end_turn(self, line: deque[Waiting]) -> None:
        if not line:
            del self._lines[self._turns.popleft()]
        elif len(self._turns) > 1:
            self._turns.rotate(-1)
