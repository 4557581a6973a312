"""Input of the workflows about flow control, and the body most of their tasks share."""

from __future__ import annotations

import asyncio
from typing import Any

from gallery.cue import Cue, gate, tell, tell_now
from hatchet_sdk import Context


class Flow(Cue):
    """`user` and `other` are keys of limits, made unique by the test; `way` is the gate the task waits at."""

    user: str = ""
    other: str = ""
    way: str = "go"
    units: int = 1
    limit: int = 1
    fails: int = 0
    """The first so many attempts fail, after the gate."""


async def held(cue: Flow, ctx: Context, task: str = "") -> dict[str, Any]:
    """Tells that it started, waits at its gate, tells that it ended."""
    said = {"n": cue.n, "task": task, "retry_count": ctx.retry_count, "worker_id": ctx.worker_id, "user": cue.user}
    await tell(cue, "started", **said)
    try:
        await gate(cue, cue.way)
    except asyncio.CancelledError:
        tell_now(cue, "cancelled", **said)
        raise
    if ctx.retry_count < cue.fails:
        await tell(cue, "failed", **said)
        raise RuntimeError(f"attempt {ctx.retry_count} fails")
    await tell(cue, "ended", **said)
    return {"n": cue.n, "retry_count": ctx.retry_count, "worker_id": ctx.worker_id}


async def brief(cue: Flow, ctx: Context) -> dict[str, Any]:
    """Tells that it started and is done; fails as `held` does."""
    await tell(cue, "started", n=cue.n, retry_count=ctx.retry_count, worker_id=ctx.worker_id, user=cue.user)
    if ctx.retry_count < cue.fails:
        raise RuntimeError(f"attempt {ctx.retry_count} fails")
    return {"n": cue.n, "retry_count": ctx.retry_count, "worker_id": ctx.worker_id}
