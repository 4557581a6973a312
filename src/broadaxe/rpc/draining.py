"""What a stream does about a stop of the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from broadaxe.rpc.transport import Call

__all__ = ["closed_by_stop"]


@contextlib.asynccontextmanager
async def closed_by_stop(call: Call, close: Callable[[], object]) -> AsyncIterator[None]:
    """Calls `close` when the server begins to stop while the body runs: what the body waits for must end with it."""

    async def wait() -> None:
        await call.draining.wait()
        close()

    waiting = asyncio.create_task(wait(), name=f"stop of {call.path}")
    try:
        yield
    finally:
        waiting.cancel()
