"""Entries of the audit log that somebody could make any number of: what was refused.

Owns how many of them become entries of their own: of each caller the first `ENTRIES_AT_ONCE` in a window of `WINDOW_S`.
The others are counted, and one entry at the end of the window says how many there were and what the last one was.
Refuses to let a refusal fail because it could not be written down. Invariants: at most `ENTRIES_AT_ONCE + 1` entries
per caller and window; at most `CALLERS_MAX` callers are told apart, all others count as one. In memory, so it holds per
process, and a process that stops forgets what it had counted in its last window.
"""

from __future__ import annotations

import asyncio
from asyncio import sleep
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

import asyncpg
import structlog

from broadaxe.core.audit import Subject
from broadaxe.storage.audit import Queryable

__all__ = ["AuditGroups", "Write"]

WINDOW_S: Final = 60.0
ENTRIES_AT_ONCE: Final = 3
CALLERS_MAX: Final = 1_000

Write = Callable[[Queryable, Subject, str], Awaitable[None]]
"""Writes an entry about a subject, with the words of the refusal."""

_log = structlog.get_logger(__name__)


class _Window:
    __slots__ = ("counted", "last", "written")

    def __init__(self) -> None:
        self.written = 0
        self.counted = 0
        self.last: tuple[Write, Subject, str] | None = None


class AuditGroups:
    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._windows: dict[Hashable, _Window] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def note(self, caller: Hashable, write: Write, subject: Subject, refusal: str) -> None:
        """Something was refused to this caller."""
        if caller not in self._windows and len(self._windows) >= CALLERS_MAX:
            caller = None
        window = self._windows.get(caller)
        if window is None:
            window = self._windows[caller] = _Window()
            closing = asyncio.create_task(self._close_later(caller, window), name="refusals of a caller")
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        if window.written < ENTRIES_AT_ONCE:
            window.written += 1
            await self._write(write, subject, refusal)
        else:
            window.counted += 1
            window.last = write, subject, refusal

    def close(self) -> None:
        for closing in self._closing:
            closing.cancel()

    async def _close_later(self, caller: Hashable, window: _Window) -> None:
        await sleep(WINDOW_S)
        if self._windows.get(caller) is window:
            del self._windows[caller]
        if window.last is not None:
            write, subject, refusal = window.last
            told = Subject(subject.id, subject.name, {"count": window.counted})
            await self._write(write, told, f"{window.counted} more within a minute, the last one: {refusal}")

    async def _write(self, write: Write, subject: Subject, refusal: str) -> None:
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await write(connection, subject, refusal)
        except Exception as error:
            # Whatever it is: what was refused stays refused.
            _log.warning("a refusal could not be written into the audit log", refusal=refusal, error=str(error))
