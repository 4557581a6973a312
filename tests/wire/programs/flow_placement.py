"""Workflows about which worker runs a task: units, labels, sticky strategies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gallery.cue import tell
from hatchet_sdk import Context, Hatchet
from hatchet_sdk.runnables.workflow import BaseWorkflow
from hatchet_sdk.types.labels import DesiredWorkerLabel, WorkerLabelComparator
from hatchet_sdk.types.sticky import StickyStrategy
from programs.flow_cue import Flow, brief, held

LONG = timedelta(minutes=5)


def workflows(hatchet: Hatchet) -> list[BaseWorkflow[Any]]:
    @hatchet.task(name="flow-hold", input_validator=Flow, execution_timeout=LONG, retries=1)
    async def hold(cue: Flow, ctx: Context) -> dict[str, Any]:
        return await held(cue, ctx)

    @hatchet.task(name="flow-wide", input_validator=Flow, execution_timeout=LONG, slot_cost=2)
    async def wide(cue: Flow, ctx: Context) -> dict[str, Any]:
        return await held(cue, ctx, "wide")

    @hatchet.task(name="flow-backoff", input_validator=Flow, retries=1, backoff_factor=8, backoff_max_seconds=8)
    async def backoff(cue: Flow, ctx: Context) -> dict[str, Any]:
        return await brief(cue, ctx)

    @hatchet.task(
        name="flow-labelled",
        input_validator=Flow,
        desired_worker_labels=[DesiredWorkerLabel(key="gpu", value="yes", required=True)],
    )
    async def labelled(cue: Flow, ctx: Context) -> dict[str, Any]:
        return await brief(cue, ctx)

    @hatchet.task(
        name="flow-weighed",
        input_validator=Flow,
        execution_timeout=LONG,
        desired_worker_labels=[
            DesiredWorkerLabel(
                key="memory", value=16, weight=10, comparator=WorkerLabelComparator.GREATER_THAN_OR_EQUAL
            ),
            DesiredWorkerLabel(key="region", value="eu", weight=5),
        ],
    )
    async def weighed(cue: Flow, ctx: Context) -> dict[str, Any]:
        return await held(cue, ctx)

    @hatchet.task(name="flow-relabel", input_validator=Flow)
    async def relabel(cue: Flow, ctx: Context) -> None:
        """Gives the worker it runs on the label `text`."""
        await ctx.aio_upsert_worker_labels({cue.text: "yes"})

    soft = hatchet.workflow(name="flow-soft", input_validator=Flow, sticky=StickyStrategy.SOFT)
    hard = hatchet.workflow(name="flow-hard", input_validator=Flow, sticky=StickyStrategy.HARD)
    for chain in (soft, hard):

        @chain.task(name="first", execution_timeout=LONG)
        async def first(cue: Flow, ctx: Context) -> dict[str, Any]:
            return await held(cue, ctx, "first")

        @chain.task(name="second", execution_timeout=LONG, parents=[first])
        async def second(cue: Flow, ctx: Context) -> dict[str, Any]:
            await tell(cue, "second", worker_id=ctx.worker_id, n=cue.n)
            return {"worker_id": ctx.worker_id}

    @hatchet.task(name="flow-child", input_validator=Flow, sticky=StickyStrategy.HARD)
    async def child(cue: Flow, ctx: Context) -> dict[str, Any]:
        return await brief(cue, ctx)

    @hatchet.task(name="flow-parent", input_validator=Flow, execution_timeout=LONG)
    async def parent(cue: Flow, ctx: Context) -> dict[str, Any]:
        """Four children, each asked to stay on the parent's worker."""
        children = [await child.aio_run(Flow(key=cue.key, n=n), sticky=True) for n in range(4)]
        return {"worker_id": ctx.worker_id, "children": [made["worker_id"] for made in children]}

    return [hold, wide, backoff, labelled, weighed, relabel, soft, hard, child, parent]
