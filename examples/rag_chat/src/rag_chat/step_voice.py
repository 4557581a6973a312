"""What a step says while it runs, and how its failures reach the engine.

Owns telling those who watch when a step begins, what it does and how it ends, and which failures are final.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

from hatchet_sdk import Context, NonRetryableException

from rag_chat.errors import ChatError
from rag_chat.messages import STATUS_WHILE, Citation, ProgressChunk, Step, StepChunk

TELL_TIMEOUT_S = 3.0
RETELL_EVERY_S = 1.0


class StepVoice:
    """Tells people who watch what a step does, and tells it again now and then, because the stream has no history.

    An engine that is away for a moment never holds up the step.
    """

    def __init__(self, ctx: Context, step: Step, status_after: str) -> None:
        self._ctx = ctx
        self._step = step
        self._status_after = status_after
        self._detail: str | None = None
        self._begun = asyncio.get_running_loop().time()
        # What a finished step hands to those who watch: its passages, what is searched for.
        self.citations: list[Citation] | None = None
        self.searched_for: list[str] | None = None

    def seconds(self) -> float:
        """Since the step began."""
        return round(asyncio.get_running_loop().time() - self._begun, 3)

    async def progress(self, detail: str) -> None:
        self._ctx.log(detail)
        self._detail = detail
        await self._send(ProgressChunk(step=self._step, detail=detail))

    async def tell(self, phase: Literal["started", "finished", "retrying"], detail: str | None = None) -> None:
        ended = phase == "finished"
        await self._send(
            StepChunk(
                step=self._step,
                phase=phase,
                attempt=self._ctx.attempt_number,
                status=self._status_after if ended else STATUS_WHILE[self._step],
                detail=detail,
                citations=self.citations if ended else None,
                searched_for=self.searched_for if ended else None,
            )
        )

    async def repeat(self) -> None:
        while True:
            await asyncio.sleep(RETELL_EVERY_S)
            await self.tell("started")
            if self._detail is not None:
                await self._send(ProgressChunk(step=self._step, detail=self._detail))

    async def _send(self, chunk: StepChunk | ProgressChunk) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TELL_TIMEOUT_S):
                await self._ctx.aio_put_stream(chunk.model_dump_json())


@asynccontextmanager
async def step_of(ctx: Context, step: Step, status_after: str) -> AsyncIterator[StepVoice]:
    """Tell the browser when a step begins and ends, and the engine which failures are final. `status_after` is the word
    for what comes next."""
    voice = StepVoice(ctx, step, status_after)
    await voice.tell("started")
    repeating = asyncio.create_task(voice.repeat())
    try:
        yield voice
    except ChatError as error:
        if not error.retryable:
            raise NonRetryableException(str(error)) from None
        if ctx.attempt_number < ctx.max_attempts:
            ctx.log(f"{error} Trying again.")
            await voice.tell("retrying", str(error))
        raise
    finally:
        repeating.cancel()
    if step is not Step.GENERATE_RESPONSE:
        # The end of the last step is the answer itself, which the edge reads from the run's result.
        await voice.tell("finished")
