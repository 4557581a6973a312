"""Workflows that fail, are retried, or run out of time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hatchet_sdk import Context, Hatchet, NonRetryableException
from hatchet_sdk.runnables.workflow import BaseWorkflow

from gallery.cue import Cue, gate, tell, tell_now


def workflows(hatchet: Hatchet) -> list[BaseWorkflow[Any]]:
    @hatchet.task(name="always-fails", input_validator=Cue, retries=3)
    async def always_fails(cue: Cue, ctx: Context) -> None:
        await tell(cue, "attempt", retry_count=ctx.retry_count)
        raise RuntimeError(f"attempt {ctx.retry_count} failed")

    @hatchet.task(name="fails-until", input_validator=Cue, retries=3)
    async def fails_until(cue: Cue, ctx: Context) -> dict[str, int]:
        """Succeeds at retry `n`; while it `fail`s, waits at the gate of its attempt first."""
        await tell(cue, "attempt", retry_count=ctx.retry_count, n=cue.n)
        if cue.fail:
            await gate(cue, str(ctx.retry_count))
        if ctx.retry_count < cue.n:
            raise RuntimeError("not yet")
        return {"retry_count": ctx.retry_count}

    @hatchet.task(name="backs-off", input_validator=Cue, retries=2, backoff_factor=1.5, backoff_max_seconds=2)
    async def backs_off(cue: Cue, ctx: Context) -> None:
        await tell(cue, "attempt", retry_count=ctx.retry_count)
        raise RuntimeError("again")

    @hatchet.task(name="waits-long", input_validator=Cue, retries=1, backoff_factor=1000, backoff_max_seconds=3600)
    async def waits_long(cue: Cue, ctx: Context) -> None:
        """Spends an hour in backoff after its first attempt."""
        await tell(cue, "attempt", retry_count=ctx.retry_count)
        raise RuntimeError("once")

    @hatchet.task(name="gives-up", input_validator=Cue, retries=5)
    async def gives_up(cue: Cue, ctx: Context) -> None:
        await tell(cue, "attempt", retry_count=ctx.retry_count)
        raise NonRetryableException("no use")

    @hatchet.task(name="too-slow", input_validator=Cue, retries=1, execution_timeout=timedelta(seconds=1))
    async def too_slow(cue: Cue, ctx: Context) -> None:
        await tell(cue, "attempt", retry_count=ctx.retry_count)
        try:
            await gate(cue, "never")
        except asyncio.CancelledError:
            tell_now(cue, "cancelled", retry_count=ctx.retry_count)
            raise

    @hatchet.task(name="asks-for-time", input_validator=Cue, execution_timeout=timedelta(seconds=1))
    async def asks_for_time(cue: Cue, ctx: Context) -> None:
        await tell(cue, "attempt", retry_count=ctx.retry_count)
        await ctx.aio_refresh_timeout(timedelta(seconds=2))
        await gate(cue, "never")

    @hatchet.task(name="tough", input_validator=Cue, retries=10, execution_timeout=timedelta(seconds=5))
    async def tough(cue: Cue, ctx: Context) -> dict[str, int]:
        """Gets there in the end, whatever happens to its reports."""
        await tell(cue, "attempt", n=cue.n, retry_count=ctx.retry_count)
        return {"n": cue.n}

    guarded = hatchet.workflow(name="guarded", input_validator=Cue)

    @guarded.task(name="work")
    async def work(cue: Cue, ctx: Context) -> dict[str, int]:
        if cue.fail:
            raise ValueError("work is broken")
        return {"n": cue.n}

    @guarded.on_failure_task(name="rescue")
    async def rescue(cue: Cue, ctx: Context) -> dict[str, Any]:
        error = ctx.get_task_run_error(work)
        await tell(cue, "rescue", errors=ctx.task_run_errors)
        return {"rescued": None if error is None else error.exc}

    return [always_fails, fails_until, backs_off, waits_long, gives_up, too_slow, asks_for_time, tough, guarded]
