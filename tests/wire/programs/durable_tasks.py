"""Durable tasks of every kind of operation."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from gallery.cue import Cue, gate, tell
from hatchet_sdk import Context, DurableContext, Hatchet, SleepCondition, UserEventCondition, or_
from hatchet_sdk.exceptions import NonDeterminismError
from hatchet_sdk.runnables.eviction import EvictionPolicy
from hatchet_sdk.runnables.workflow import BaseWorkflow

SHORT = EvictionPolicy(ttl=timedelta(seconds=1))
LONG = timedelta(minutes=10)


def workflows(hatchet: Hatchet) -> list[BaseWorkflow[Any]]:
    @hatchet.task(name="durable-kid", input_validator=Cue)
    async def kid(cue: Cue, ctx: Context) -> dict[str, int]:
        await tell(cue, "kid", n=cue.n)
        if cue.fail:
            raise ValueError("the kid is unlucky")
        if cue.text == "held":
            await gate(cue, f"kid-{cue.n}")
        return {"n": cue.n}

    pair = hatchet.workflow(name="durable-kid-pair", input_validator=Cue)

    @pair.task(name="left")
    async def left(cue: Cue, ctx: Context) -> dict[str, int]:
        return {"n": cue.n}

    @pair.task(name="right", parents=[left])
    async def right(cue: Cue, ctx: Context) -> dict[str, int]:
        return {"n": cue.n + 1}

    @hatchet.durable_task(name="durable-sleeper", input_validator=Cue, execution_timeout=LONG, eviction_policy=SHORT)
    async def sleeper(cue: Cue, ctx: DurableContext) -> dict[str, Any]:
        """Notes the time, sleeps `n` seconds."""
        began = await ctx.aio_now()
        await tell(cue, "invocation", count=ctx.invocation_count)
        await ctx.aio_sleep_for(timedelta(seconds=cue.n))
        return {"began": began.isoformat(), "invocation": ctx.invocation_count}

    @hatchet.durable_task(name="durable-waiter", input_validator=Cue, execution_timeout=LONG, retries=1)
    async def waiter(cue: Cue, ctx: DurableContext) -> dict[str, Any]:
        """Waits for the event named like the cue; `text` is an expression."""
        await tell(cue, "waiting", n=cue.n)
        got = await ctx.aio_wait_for_event(f"durable:{cue.key}", cue.text or None)
        return {"got": got}

    @hatchet.durable_task(name="durable-looker", input_validator=Cue, execution_timeout=LONG)
    async def looker(cue: Cue, ctx: DurableContext) -> dict[str, Any]:
        window = timedelta(minutes=5)
        got = await ctx.aio_wait_for_event(f"durable:{cue.key}", scope="mine", lookback_window=window)
        return {"got": got}

    @hatchet.durable_task(name="durable-either", input_validator=Cue, execution_timeout=LONG)
    async def either(cue: Cue, ctx: DurableContext) -> dict[str, Any]:
        event = UserEventCondition(event_key=f"durable:{cue.key}")
        await tell(cue, "waiting")
        return {"fired": await ctx.aio_wait_for("either", or_(SleepCondition(timedelta(seconds=cue.n)), event))}

    @hatchet.durable_task(name="durable-parent", input_validator=Cue, execution_timeout=LONG, retries=1)
    async def parent(cue: Cue, ctx: DurableContext) -> dict[str, Any]:
        """Ten kids, a DAG, an unlucky one, and one that nobody waits for."""
        await tell(cue, "invocation", count=ctx.invocation_count)
        forgotten = await kid.aio_run(Cue(key=f"{cue.key}-forgotten", n=99), wait_for_result=False)
        kids = await kid.aio_run_many(
            [
                kid.create_bulk_run_item(Cue(key=f"{cue.key}-kids", n=n, text="held" if n == 9 else ""))
                for n in range(10)
            ]
        )
        both = await pair.aio_run(Cue(key=cue.key, n=5))
        try:
            await kid.aio_run(Cue(key=f"{cue.key}-unlucky", fail=True))
            caught = ""
        except Exception as error:
            caught = str(error)
        await ctx.aio_sleep_for(timedelta(seconds=1))
        sum_of_kids = sum(answer["n"] if isinstance(answer, dict) else answer.n for answer in kids)  # type: ignore[attr-defined]
        return {
            "sum": sum_of_kids,
            "both": both,
            "caught": "unlucky" in caught,
            "invocation": ctx.invocation_count,
            "forgotten": forgotten.workflow_run_id,
        }

    @hatchet.durable_task(name="durable-fickle", input_validator=Cue, execution_timeout=LONG, retries=1)
    async def fickle(cue: Cue, ctx: DurableContext) -> dict[str, Any]:
        """Sleeps in its first attempt, waits for an event in its second."""
        try:
            if ctx.attempt_number == 1:
                await ctx.aio_sleep_for(timedelta(milliseconds=1000))
                raise ValueError("once more")
            await ctx.aio_wait_for_event("never")
        except NonDeterminismError as error:
            return {"node": error.node_id, "invocation": error.invocation_count}
        return {}

    @hatchet.durable_task(name="durable-three-sleeps", input_validator=Cue, execution_timeout=LONG)
    async def three_sleeps(cue: Cue, ctx: DurableContext) -> dict[str, Any]:
        for number in (1, 2, 3):
            await ctx.aio_sleep_for(timedelta(seconds=1), label=f"sleep {number}")
            await tell(cue, "slept", number=number, invocation=ctx.invocation_count)
        return {"invocation": ctx.invocation_count}

    @hatchet.durable_task(name="durable-racer", input_validator=Cue, execution_timeout=LONG)
    async def racer(cue: Cue, ctx: DurableContext) -> dict[str, Any]:
        """Waits for two events at once; tells in which order they came."""
        order: list[str] = []

        async def one(name: str) -> None:
            await ctx.aio_wait_for_event(f"{name}:{cue.key}")
            order.append(name)
            await tell(cue, "came", name=name)

        await tell(cue, "waiting")
        await asyncio.gather(one("a"), one("b"))
        return {"order": order}

    @hatchet.durable_task(
        name="durable-never-evicted",
        input_validator=Cue,
        execution_timeout=LONG,
        eviction_policy=EvictionPolicy(ttl=None),
    )
    async def never_evicted(cue: Cue, ctx: DurableContext) -> dict[str, Any]:
        await tell(cue, "waiting")
        await ctx.aio_sleep_for(timedelta(seconds=cue.n))
        return {"invocation": ctx.invocation_count}

    durable = [sleeper, waiter, looker, either, parent, fickle, three_sleeps, racer, never_evicted]
    return [kid, pair, *durable]
