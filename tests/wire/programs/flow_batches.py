"""Batch tasks. Every invocation tells which items it was given."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

from gallery.cue import gate, tell, tell_now
from hatchet_sdk import Context, Hatchet, NonRetryableException
from hatchet_sdk.rate_limit import RateLimit, RateLimitDuration
from hatchet_sdk.runnables.types import TaskDefaults
from hatchet_sdk.runnables.workflow import BaseWorkflow
from programs.flow_cue import Flow

NEVER = timedelta(hours=1)
#: An interval that is over before a test is.
SOON = timedelta(milliseconds=200)


async def invoked(cues: dict[str, Flow], ctx: Context) -> Flow:
    """Tells of the invocation on behalf of all; returns one item's input."""
    one = next(iter(cues.values()))
    await tell(one, "invoked", ns=sorted(cue.n for cue in cues.values()), worker_id=ctx.worker_id)
    return one


def workflows(hatchet: Hatchet) -> list[BaseWorkflow[Any]]:
    @hatchet.batch_task(
        name="flow-batch",
        input_validator=Flow,
        batch_max_size=3,
        batch_max_interval=NEVER,
        batch_group_key="input.user",
        execution_timeout=NEVER,
    )
    async def batch(cues: dict[str, Flow], ctx: Context) -> dict[str, dict[str, Any]]:
        one = await invoked(cues, ctx)
        try:
            await gate(one, one.way)
        except asyncio.CancelledError:
            tell_now(one, "cancelled")
            raise
        return {item: {"n": cue.n, "of": len(cues)} for item, cue in cues.items()}

    @hatchet.batch_task(
        name="flow-batch-soon",
        input_validator=Flow,
        batch_max_size=100,
        batch_max_interval=SOON,
        batch_group_key="input.user",
    )
    async def batch_soon(cues: dict[str, Flow], ctx: Context) -> dict[str, dict[str, Any]]:
        await invoked(cues, ctx)
        return {item: {"n": cue.n} for item, cue in cues.items()}

    @hatchet.batch_task(
        name="flow-batch-broadcast",
        input_validator=Flow,
        batch_max_size=2,
        batch_max_interval=NEVER,
        batch_group_key="input.user",
        broadcast_output=True,
    )
    async def batch_broadcast(cues: dict[str, Flow], ctx: Context) -> dict[str, Any]:
        await invoked(cues, ctx)
        return {"sum": sum(cue.n for cue in cues.values())}

    @hatchet.batch_task(
        name="flow-batch-forgets",
        input_validator=Flow,
        batch_max_size=2,
        batch_max_interval=NEVER,
        batch_group_key="input.user",
    )
    async def batch_forgets(cues: dict[str, Flow], ctx: Context) -> dict[str, dict[str, Any]]:
        """Answers for the first item only."""
        await invoked(cues, ctx)
        return {item: {"n": cue.n} for item, cue in list(cues.items())[:1]}

    @hatchet.batch_task(
        name="flow-batch-limited",
        input_validator=Flow,
        batch_max_size=3,
        batch_max_interval=NEVER,
        batch_group_key="input.user",
        rate_limits=[RateLimit(dynamic_key="input.user", limit=3, duration=RateLimitDuration.MINUTE)],
    )
    async def batch_limited(cues: dict[str, Flow], ctx: Context) -> dict[str, dict[str, Any]]:
        await invoked(cues, ctx)
        return {item: {"n": cue.n} for item, cue in cues.items()}

    # A batch is not told the attempts of its items.
    invocations: Counter[str] = Counter()
    tries = hatchet.workflow(name="flow-batch-tries", input_validator=Flow, task_defaults=TaskDefaults(retries=1))

    @tries.batch_task(name="tries", batch_max_size=2, batch_max_interval=SOON, batch_group_key="input.user")
    async def tries_task(cues: dict[str, Flow], ctx: Context) -> dict[str, dict[str, Any]]:
        """Fails as a whole the first `fails` times it is invoked; with `fail`, for good."""
        one = await invoked(cues, ctx)
        invocations[one.key] += 1
        if one.fail:
            raise NonRetryableException("no use")
        if invocations[one.key] <= one.fails:
            raise RuntimeError("the batch fails")
        return {item: {"n": cue.n} for item, cue in cues.items()}

    return [batch, batch_soon, batch_broadcast, batch_forgets, batch_limited, tries]
