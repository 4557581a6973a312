"""The end of a loop on a thread: what is left on it is ended first, so that nothing of it ends later, elsewhere."""

from __future__ import annotations

import asyncio

__all__ = ["close"]


def close(loop: asyncio.AbstractEventLoop) -> None:
    """Call on the loop's thread, once it does not run any more. Threads that still work for it are not waited for."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
