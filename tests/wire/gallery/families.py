"""Tasks that start runs of other workflows."""

from __future__ import annotations

from typing import Any

from hatchet_sdk import Context, Hatchet
from hatchet_sdk.exceptions import FailedTaskRunExceptionGroup
from hatchet_sdk.runnables.workflow import BaseWorkflow

from gallery.cue import Cue, tell


def workflows(hatchet: Hatchet) -> list[BaseWorkflow[Any]]:
    @hatchet.task(name="child", input_validator=Cue)
    async def child(cue: Cue, ctx: Context) -> dict[str, Any]:
        await tell(cue, "child", n=cue.n, run_id=ctx.workflow_run_id)
        return {
            "n": cue.n,
            "run_id": ctx.workflow_run_id,
            "parent_run_id": ctx.parent_workflow_run_id,
            "child_index": ctx.child_index,
            "child_key": ctx.child_key,
            "metadata": dict(ctx.additional_metadata),
        }

    @hatchet.task(name="parent", input_validator=Cue, retries=1)
    async def parent(cue: Cue, ctx: Context) -> dict[str, Any]:
        """Starts `n` children and one with a key; with `fail`, its first attempt fails after that."""
        children = await child.aio_run_many(
            [child.create_bulk_run_item(Cue(key=cue.key, n=n)) for n in range(cue.n)], wait_for_result=True
        )
        keyed = await child.aio_run(Cue(key=cue.key, n=100), child_key="the-one", additional_metadata={"own": "child"})
        again = await child.aio_run(Cue(key=cue.key, n=200), child_key="the-one")
        ids = [made["run_id"] for made in children]
        await tell(cue, "parent", retry_count=ctx.retry_count, ids=ids, keyed=keyed["run_id"], again=again["run_id"])
        if cue.fail and ctx.retry_count == 0:
            raise RuntimeError("after the children")
        return {"children": children, "keyed": keyed, "again": again, "run_id": ctx.workflow_run_id}

    @hatchet.task(name="sad-parent", input_validator=Cue)
    async def sad_parent(cue: Cue, ctx: Context) -> dict[str, Any]:
        """Its child fails, which it catches."""
        failing = hatchet.stubs.workflow(name="gives-up", input_validator=Cue)
        try:
            await failing.aio_run(cue)
        except FailedTaskRunExceptionGroup as error:
            return {"caught": [failure.exc for failure in error.exceptions]}
        return {"caught": None}

    @hatchet.task(name="spawn-named", input_validator=Cue)
    async def spawn_named(cue: Cue, ctx: Context) -> dict[str, Any]:
        """Runs the workflow that `text` names, wherever that is, and returns what it returned or raised."""
        named = hatchet.stubs.workflow(name=cue.text, input_validator=Cue)
        try:
            return {"result": await named.aio_run(Cue(key=cue.key, n=cue.n, fail=cue.fail))}
        except FailedTaskRunExceptionGroup as error:
            return {"caught": [failure.exc for failure in error.exceptions]}

    return [child, parent, sad_parent, spawn_named]
