"""Sending an answer through the engine's stream while it is being made.

Owns the pace: one message is in flight at a time, and what the model says meanwhile waits for the next one, so a slow
engine makes larger pieces rather than a queue. Now and then the whole draft is sent, because the engine keeps no
history: whoever attached late or lost a piece catches up with it. Sending never fails the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType

from rag_chat.messages import DraftChunk, TokenChunk

DRAFT_EVERY_S = 2.0
PAUSE_BETWEEN_PIECES_S = 0.03
LAST_PIECES_TIMEOUT_S = 5.0

Send = Callable[[str], Awaitable[None]]


class TokenStream:
    """An async context manager; `add` never waits. Leaving it sends what is left, within LAST_PIECES_TIMEOUT_S."""

    def __init__(self, send: Send, attempt: int) -> None:
        self._send = send
        self._attempt = attempt
        self._text = ""
        self._sent_chars = 0
        self._draft_at = 0.0
        self._more = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def text(self) -> str:
        return self._text

    def add(self, piece: str) -> None:
        self._text += piece
        self._more.set()

    async def __aenter__(self) -> TokenStream:
        self._draft_at = asyncio.get_running_loop().time() + DRAFT_EVERY_S
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._closing = True
        self._more.set()
        if error is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, LAST_PIECES_TIMEOUT_S)
        else:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._more.wait()
            self._more.clear()
            if self._sent_chars < len(self._text):
                piece = self._text[self._sent_chars :]
                chunk = TokenChunk(attempt=self._attempt, offset=self._sent_chars, text=piece)
                self._sent_chars += len(piece)
                await self._send(chunk.model_dump_json())
            if loop.time() >= self._draft_at:
                self._draft_at = loop.time() + DRAFT_EVERY_S
                draft = DraftChunk(attempt=self._attempt, text=self._text[: self._sent_chars])
                await self._send(draft.model_dump_json())
            if self._closing and self._sent_chars == len(self._text):
                return
            if not self._closing:
                await asyncio.sleep(PAUSE_BETWEEN_PIECES_S)
            elif self._sent_chars < len(self._text):
                self._more.set()
