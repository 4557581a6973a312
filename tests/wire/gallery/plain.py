"""Workflows that work: single tasks, held tasks, a diamond, and outputs of all kinds."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hatchet_sdk import Context, Hatchet
from hatchet_sdk.runnables.workflow import BaseWorkflow
from pydantic import BaseModel

from gallery.cue import Cue, gate, gate_now, tell, tell_now


class Echoed(BaseModel):
    n: int
    text: str
    workflow_run_id: str
    task_run_id: str
    metadata: dict[str, Any]
    parent_workflow_run_id: str | None


def workflows(hatchet: Hatchet) -> list[BaseWorkflow[Any]]:
    @hatchet.task(name="echo", input_validator=Cue, on_events=["wire:order.*", "wire:exact"])
    async def echo(cue: Cue, ctx: Context) -> Echoed:
        await tell(cue, "echo", n=cue.n, event=ctx.triggering_event_key, priority=ctx.priority)
        return Echoed(
            n=cue.n,
            text=cue.text,
            workflow_run_id=ctx.workflow_run_id,
            task_run_id=ctx.task_run_id,
            metadata=dict(ctx.additional_metadata),
            parent_workflow_run_id=ctx.parent_workflow_run_id or None,
        )

    @hatchet.task(name="echo-too", input_validator=Cue, on_events=["wire:*"])
    async def echo_too(cue: Cue, ctx: Context) -> dict[str, int]:
        await tell(cue, "echo-too", n=cue.n, event=ctx.triggering_event_key, metadata=dict(ctx.additional_metadata))
        return {"n": cue.n}

    @hatchet.task(name="hold", input_validator=Cue, execution_timeout=timedelta(minutes=5))
    async def hold(cue: Cue, ctx: Context) -> dict[str, Any]:
        """Runs until the test lets it go."""
        await tell(cue, "started", n=cue.n, retry_count=ctx.retry_count, worker_id=ctx.worker_id)
        try:
            await gate(cue)
        except asyncio.CancelledError:
            tell_now(cue, "cancelled", n=cue.n, retry_count=ctx.retry_count)
            raise
        await tell(cue, "ended", n=cue.n, retry_count=ctx.retry_count)
        return {"n": cue.n, "retry_count": ctx.retry_count}

    @hatchet.task(name="hold-sync", input_validator=Cue, execution_timeout=timedelta(minutes=5))
    def hold_sync(cue: Cue, ctx: Context) -> dict[str, Any]:
        tell_now(cue, "started", n=cue.n, retry_count=ctx.retry_count)
        gate_now(cue)
        return {"n": cue.n, "is_cancelled": ctx.is_cancelled}

    @hatchet.task(name="release", input_validator=Cue, execution_timeout=timedelta(minutes=5))
    async def release(cue: Cue, ctx: Context) -> dict[str, Any]:
        """Gives its slot away in the middle, and runs on."""
        await tell(cue, "started", n=cue.n)
        await ctx.aio_release_slot()
        await tell(cue, "released", n=cue.n)
        await gate(cue)
        return {"n": cue.n}

    @hatchet.task(name="nothing", input_validator=Cue)
    async def nothing(cue: Cue, ctx: Context) -> None:
        await tell(cue, "ran")

    @hatchet.task(name="a-list", input_validator=Cue)
    async def a_list(cue: Cue, ctx: Context) -> Any:
        await tell(cue, "ran")
        return [1, 2, 3]

    @hatchet.task(name="a-nul", input_validator=Cue)
    async def a_nul(cue: Cue, ctx: Context) -> dict[str, str]:
        await tell(cue, "ran")
        return {"text": "before\x00after"}

    @hatchet.task(name="label", input_validator=Cue)
    async def label(cue: Cue, ctx: Context) -> dict[str, Any]:
        await ctx.aio_upsert_worker_labels({"model": cue.text, "memory": cue.n})
        return {"worker_id": ctx.worker_id}

    diamond = hatchet.workflow(name="diamond", input_validator=Cue)

    @diamond.task(name="a")
    async def a(cue: Cue, ctx: Context) -> dict[str, str]:
        await tell(cue, "a")
        return {"letter": "A"}

    @diamond.task(name="b", parents=[a])
    async def b(cue: Cue, ctx: Context) -> dict[str, str]:
        await tell(cue, "b")
        await gate(cue, "b")
        if cue.fail:
            raise ValueError("b is broken")
        return {"letter": ctx.task_output(a)["letter"] + "B"}

    @diamond.task(name="c", parents=[a], execution_timeout=timedelta(minutes=5))
    async def c(cue: Cue, ctx: Context) -> dict[str, str]:
        await tell(cue, "c")
        await gate(cue, "c")
        return {"letter": ctx.task_output(a)["letter"] + "C"}

    @diamond.task(name="d", parents=[b, c])
    async def d(cue: Cue, ctx: Context) -> dict[str, Any]:
        await tell(cue, "d")
        outputs = {name: ctx.data.parents[name]["letter"] for name in ("a", "b", "c")}
        return {"letter": ctx.task_output(b)["letter"] + ctx.task_output(c)["letter"], "seen": outputs}

    @diamond.on_failure_task(name="mend")
    async def mend(cue: Cue, ctx: Context) -> dict[str, Any]:
        await tell(cue, "mend", errors=ctx.task_run_errors)
        return {"mended": sorted(ctx.task_run_errors)}

    return [echo, echo_too, hold, hold_sync, release, nothing, a_list, a_nul, label, diamond]
