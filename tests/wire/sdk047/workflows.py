"""Workflows written as people wrote them in 2025. Runs in the environment of `hatchet-sdk` 0.47.1."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from gallery.cue import Cue, gate, gate_now, tell, tell_now
from hatchet_sdk import (
    ChildTriggerWorkflowOptions,
    ConcurrencyExpression,
    ConcurrencyLimitStrategy,
    Context,
    StickyStrategy,
)
from hatchet_sdk import Hatchet as HatchetOfClasses
from hatchet_sdk.rate_limit import RateLimit, RateLimitDuration
from hatchet_sdk.v2.hatchet import Hatchet

hatchet = HatchetOfClasses()
hatchet_v2 = Hatchet()


def cue_of(ctx: Context) -> Cue:
    return Cue(**ctx.workflow_input())


@hatchet.workflow(on_events=["old:greeting"], timeout="2m", schedule_timeout="1m")
class OldDag:
    """Its steps call their parents by the names of their methods, capitals and all."""

    @hatchet.step(timeout="30s")
    def StepOne(self, ctx: Context) -> dict[str, Any]:
        return {"n": cue_of(ctx).n + 1, "by_event": ctx.triggered_by_event()}

    @hatchet.step(timeout="30s")
    async def step_two(self, context: Context) -> dict[str, Any]:
        return {"n": cue_of(context).n + 10}

    @hatchet.step(parents=["StepOne", "step_two"], retries=2)
    async def Sum(self, context: Context) -> dict[str, Any]:
        total = context.step_output("StepOne")["n"] + context.step_output("step_two")["n"]
        await tell(cue_of(context), "sum", total=total, same=context.step_output("stepone"))
        return {"total": total}


@hatchet.workflow()
class OldSpeech:
    @hatchet.step()
    async def speak(self, ctx: Context) -> dict[str, Any]:
        cue = cue_of(ctx)
        while cue.text == "clears its throat":
            # Until the test knows that somebody listens.
            ctx.put_stream("hm")
            with suppress(TimeoutError):
                await asyncio.wait_for(gate(cue), 0.1)
                break
        for word in ("one", "two"):
            ctx.put_stream(word)
            ctx.log(word)
        if cue.text:
            # What is streamed travels beside the result, and may come after it.
            await gate(cue, "end")
        return {"tone": ctx.playground("tone", "calm")}


@hatchet.workflow()
class OldOutputs:
    """Returns whatever the input names: 0.47 takes any JSON value, and some things that are none."""

    @hatchet.step()
    def first(self, ctx: Context) -> Any:
        text = cue_of(ctx).text
        return {"text": "just text", "list": [1, 2], "nothing": None, "set": {1}, "number": 7}[text]

    @hatchet.step(parents=["first"])
    def second(self, ctx: Context) -> Any:
        return {"seen": ctx.step_output("first")}


@hatchet.workflow()
class OldRetries:
    @hatchet.step(retries=3, backoff_factor=1.0, backoff_max_seconds=1)
    async def falter(self, ctx: Context) -> dict[str, Any]:
        cue = cue_of(ctx)
        await tell(cue, "attempt", retry_count=ctx.retry_count())
        if ctx.retry_count() < cue.n:
            raise ValueError(f"attempt {ctx.retry_count()} of {cue.key}")
        return {"retry_count": ctx.retry_count()}


@hatchet.workflow()
class OldFailure:
    @hatchet.step()
    async def fall(self, ctx: Context) -> None:
        raise RuntimeError("fell on purpose")

    @hatchet.step(parents=["fall"])
    async def never(self, ctx: Context) -> None: ...

    @hatchet.on_failure_step()
    async def mend(self, ctx: Context) -> dict[str, Any]:
        failures = await asyncio.to_thread(ctx.fetch_run_failures)
        await tell(cue_of(ctx), "mended", errors=ctx.step_run_errors(), failures=failures)
        return {"mended": True}


@hatchet.workflow()
class OldChild:
    @hatchet.step()
    async def work(self, ctx: Context) -> dict[str, Any]:
        cue = cue_of(ctx)
        if cue.fail:
            raise ValueError(f"child {cue.n} failed")
        await tell(
            cue,
            "child",
            n=cue.n,
            run=ctx.workflow_run_id(),
            worker=ctx.worker.id(),
            index=ctx.child_index(),
            child_key=ctx.child_key(),
            metadata=ctx.additional_metadata(),
        )
        return {"n": cue.n}


@hatchet.workflow(timeout="2m")
class OldParent:
    """Spawns `n` children one by one and as many in bulk, and fails once after that if told to."""

    @hatchet.step(timeout="2m", retries=1)
    async def spawn(self, ctx: Context) -> dict[str, Any]:
        cue = cue_of(ctx)
        refs = [
            await ctx.aio.spawn_workflow(
                "OldChild", {"key": cue.key, "n": n}, options={"additional_metadata": {"of": "one"}}
            )
            for n in range(cue.n)
        ]
        refs += await ctx.aio.spawn_workflows(
            [
                {
                    "workflow_name": "OldChild",
                    "input": {"key": cue.key, "n": 100 + n},
                    "key": f"bulk-{n}",
                    "options": {},
                }
                for n in range(cue.n)
            ]
        )
        results = await asyncio.gather(*(ref.result() for ref in refs))
        if cue.fail and ctx.retry_count() == 0:
            raise RuntimeError("the parent fails after its children")
        return {"results": results, "runs": [ref.workflow_run_id for ref in refs]}


@hatchet.workflow()
class OldSpawner:
    """Runs the workflow its input names as a child, and returns what that returned or raised."""

    @hatchet.step(timeout="1m")
    async def spawn(self, ctx: Context) -> dict[str, Any]:
        cue = cue_of(ctx)
        child = await ctx.aio.spawn_workflow(cue.text, {"key": cue.key, "n": cue.n, "fail": cue.fail})
        try:
            return {"result": await child.result()}
        except Exception as error:
            return {"error": str(error)}


@hatchet.workflow(sticky=StickyStrategy.HARD)
class OldStickyParent:
    @hatchet.step()
    async def spawn(self, ctx: Context) -> dict[str, Any]:
        cue = cue_of(ctx)
        options: ChildTriggerWorkflowOptions = {"sticky": True}
        children = [
            await ctx.aio.spawn_workflow("OldStickyChild", {"key": cue.key, "n": n}, options=options)
            for n in range(cue.n)
        ]
        results = [(await child.result())["stay"]["worker"] for child in children]
        return {"own": ctx.worker.id(), "children": results}

    @hatchet.step(parents=["spawn"])
    async def after(self, ctx: Context) -> dict[str, Any]:
        return {"own": ctx.worker.id()}


@hatchet.workflow(sticky=StickyStrategy.HARD)
class OldStickyChild:
    @hatchet.step()
    async def stay(self, ctx: Context) -> dict[str, Any]:
        return {"worker": ctx.worker.id()}


@hatchet.workflow()
class OldWaiter:
    """Waits at a gate; says how it ended."""

    @hatchet.step(timeout="2m")
    async def wait(self, ctx: Context) -> dict[str, Any]:
        cue = cue_of(ctx)
        await tell(cue, "waiting", worker=ctx.worker.id(), run=ctx.workflow_run_id())
        try:
            await gate(cue)
        except asyncio.CancelledError:
            tell_now(cue, "cancelled")
            raise
        return {"done": True}

    @hatchet.step(timeout="2m")
    def wait_in_thread(self, ctx: Context) -> dict[str, Any]:
        gate_now(cue_of(ctx))
        return {"exit": ctx.exit_flag}


@hatchet.workflow()
class OldTimeout:
    @hatchet.step(timeout="1s")
    async def refresh(self, ctx: Context) -> dict[str, Any]:
        cue = cue_of(ctx)
        if cue.fail:
            await tell(cue, "overdue")
            await gate(cue, "never")
        ctx.refresh_timeout("60s")
        ctx.release_slot()
        await tell(cue, "refreshed")
        await gate(cue)
        return {"done": True}


@hatchet.workflow()
class OldStaticLimit:
    @hatchet.step(rate_limits=[RateLimit(static_key="old-static", units=1)])
    async def use(self, ctx: Context) -> None:
        await tell(cue_of(ctx), "used")


@hatchet.workflow()
class OldDynamicLimit:
    @hatchet.step(
        rate_limits=[RateLimit(dynamic_key="input.key", units=1, limit="input.n", duration=RateLimitDuration.HOUR)]
    )
    async def use(self, ctx: Context) -> None:
        await tell(cue_of(ctx), "used")


@hatchet.workflow(
    concurrency=ConcurrencyExpression(
        expression="input.key", max_runs=1, limit_strategy=ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN
    )
)
class OldTurns:
    @hatchet.step()
    async def hold(self, ctx: Context) -> dict[str, Any]:
        cue = cue_of(ctx)
        await tell(cue, "holding", n=cue.n)
        await gate(cue, f"go-{cue.n}")
        return {"n": cue.n}


@hatchet.workflow()
class OldAsked:
    """The limit's key comes from a function, as before there were expressions."""

    @hatchet.concurrency(max_runs=1, limit_strategy=ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN)
    def group(self, ctx: Context) -> Any:
        cue = cue_of(ctx)
        tell_now(cue, "asked", n=cue.n)
        gate_now(cue, f"key-{cue.n}") if cue.text == "slow" else None
        if cue.fail:
            raise ValueError(f"no key for {cue.n}")
        return None if cue.text == "nothing" else f"{cue.key}/{cue.n % 2}"

    @hatchet.step(timeout="2m")
    async def hold(self, ctx: Context) -> dict[str, Any]:
        cue = cue_of(ctx)
        await tell(cue, "holding", n=cue.n)
        await gate(cue, f"go-{cue.n}")
        return {"n": cue.n}

    @hatchet.step(parents=["hold"])
    async def after(self, ctx: Context) -> dict[str, Any]:
        return {"held": ctx.step_output("hold")["n"]}


@hatchet.workflow()
class OldLatest:
    """The decorator's own strategy: the newest takes the place of the oldest."""

    @hatchet.concurrency(max_runs=1)
    async def group(self, ctx: Context) -> str:
        return cue_of(ctx).key

    @hatchet.step(timeout="2m")
    async def hold(self, ctx: Context) -> dict[str, Any]:
        cue = cue_of(ctx)
        await tell(cue, "holding", n=cue.n)
        await gate(cue, f"go-{cue.n}")
        return {"n": cue.n}


@hatchet.workflow(on_crons=["0 0 1 1 *"])
class OldYearly:
    @hatchet.step()
    async def celebrate(self, ctx: Context) -> None: ...


@hatchet.workflow(on_events=["old:fan"], default_priority=2)
class OldFan:
    @hatchet.step()
    async def one(self, ctx: Context) -> dict[str, Any]:
        await tell(cue_of(ctx), "fanned", metadata=ctx.additional_metadata())
        return {}


@hatchet_v2.function(name="OldFunction", retries=1)
def old_function(ctx: Context) -> dict[str, Any]:
    return {"n": cue_of(ctx).n * 2}


@hatchet_v2.durable(name="OldDurable")
async def old_durable(ctx: Any) -> dict[str, Any]:
    cue = cue_of(ctx)
    child = await ctx.run("oldfunction", {"key": cue.key, "n": cue.n}).result()
    return {"child": child}


WORKFLOWS = (
    OldDag, OldSpeech, OldOutputs, OldRetries, OldFailure, OldChild, OldParent, OldSpawner, OldStickyParent,
    OldStickyChild, OldWaiter, OldTimeout, OldStaticLimit, OldDynamicLimit, OldTurns, OldAsked, OldLatest,
    OldYearly, OldFan,
)  # fmt: skip
FUNCTIONS = (old_function, old_durable)
