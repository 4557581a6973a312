"""Tasks that stream and log."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hatchet_sdk import Context, Hatchet
from hatchet_sdk.runnables.workflow import BaseWorkflow

from gallery.cue import Cue, gate, tell


def workflows(hatchet: Hatchet) -> list[BaseWorkflow[Any]]:
    @hatchet.task(name="speak", input_validator=Cue, execution_timeout=timedelta(minutes=5))
    async def speak(cue: Cue, ctx: Context) -> dict[str, int]:
        """Streams probes until the test hears one, then `n` chunks, probes again, and a last word."""
        await _probe(cue, ctx, "first")
        for position in range(cue.n):
            await ctx.aio_put_stream(f"chunk {position}")
        await tell(cue, "spoke")
        await _probe(cue, ctx, "last")
        await ctx.aio_put_stream("the end")
        return {"spoken": cue.n}

    @hatchet.task(name="shout", input_validator=Cue, execution_timeout=timedelta(minutes=5))
    async def shout(cue: Cue, ctx: Context) -> None:
        """Streams one chunk of `n` characters and one of `n` bytes that are no text, once the test listens."""
        await _probe(cue, ctx, "first")
        await ctx.aio_put_stream("x" * cue.n)
        await ctx.aio_put_stream(b"\xff" * cue.n)

    @hatchet.task(name="log", input_validator=Cue)
    async def log(cue: Cue, ctx: Context) -> None:
        ctx.log(f"a needle {cue.text}")
        ctx.log("some hay")
        ctx.log("x" * cue.n)

    return [speak, shout, log]


async def _probe(cue: Cue, ctx: Context, name: str) -> None:
    """Nothing tells a task that somebody listens, so it speaks until the listener opens the gate."""
    opened = asyncio.create_task(gate(cue, name))
    while not opened.done():
        await ctx.aio_put_stream("probe")
        await asyncio.wait({opened}, timeout=0.05)
    await opened
