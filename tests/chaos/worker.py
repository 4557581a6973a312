"""A worker on the official SDK that journals beginning and end of every attempt (`python -m tests.chaos.worker`).

No task of it fails for good by itself: `flaky` fails its first attempt, which its retries cover.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from hatchet_sdk import ConcurrencyExpression, ConcurrencyLimitStrategy, Context, DurableContext, Hatchet
from hatchet_sdk.runnables.eviction import EvictionPolicy
from pydantic import BaseModel

from tests.chaos.journal import Journal
from tests.chaos.mix import CHUNKS, NARROW_MAX, TICK_S, answer

LONG: Final = timedelta(minutes=10)
#: An SDK gives a report up when the engine is away for some seconds, and at once when another one on its channel is
#: refused meanwhile (it closes the channel). What it reported of stays running until this ends, and is then done again.
WORK_TIMEOUT: Final = timedelta(seconds=30)
FAMILY_TIMEOUT: Final = timedelta(seconds=75)


class Cue(BaseModel):
    key: str = ""
    ms: int = 0
    group: str = ""
    sleep_s: float = 0.0
    due_in_s: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--journal", type=Path, required=True)
    given = parser.parse_args()
    hatchet = Hatchet()
    journal = Journal(given.journal)
    offers = _workflows(hatchet, journal, given.name)
    hatchet.worker(given.name, slots=20, durable_slots=100, workflows=offers).start()


def _workflows(hatchet: Hatchet, journal: Journal, worker: str) -> list[Any]:
    @contextmanager
    def attempt(kind: str, cue: Cue, ctx: Context) -> Iterator[None]:
        same = {
            "task": ctx.task_run_id,
            "retry": ctx.retry_count,
            "key": cue.key,
            "kind": kind,
            "group": cue.group,
            "worker": worker,
        }
        journal.note("begins", **same)
        try:
            yield
        finally:
            journal.note("ends", **same)

    patience: dict[str, Any] = {"execution_timeout": WORK_TIMEOUT, "schedule_timeout": LONG}
    alone: dict[str, Any] = {"input_validator": Cue, **patience}

    @hatchet.task(name="long", **(alone | {"execution_timeout": LONG}))
    async def long(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("long", cue, ctx):
            await asyncio.sleep(cue.ms / 1000)
            return {"value": answer(cue.key)}

    @hatchet.task(name="work", **alone)
    async def work(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("work", cue, ctx):
            await asyncio.sleep(cue.ms / 1000)
            return {"value": answer(cue.key)}

    @hatchet.task(name="block", **alone)
    def block(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("block", cue, ctx):
            time.sleep(cue.ms / 1000)
            return {"value": answer(cue.key)}

    @hatchet.task(name="flaky", retries=3, **alone)
    async def flaky(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("flaky", cue, ctx):
            if ctx.attempt_number == 1:
                raise RuntimeError("the first attempt fails")
            return {"value": answer(cue.key)}

    diamond = hatchet.workflow(name="diamond", input_validator=Cue)

    @diamond.task(name="top", **patience)
    async def top(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("diamond", cue, ctx):
            await asyncio.sleep(cue.ms / 1000)
            return {"value": answer(cue.key)}

    @diamond.task(name="left", parents=[top], **patience)
    async def left(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("diamond", cue, ctx):
            return {"value": ctx.task_output(top)["value"] + 1}

    @diamond.task(name="right", parents=[top], **patience)
    async def right(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("diamond", cue, ctx):
            return {"value": ctx.task_output(top)["value"] + 2}

    @diamond.task(name="bottom", parents=[left, right], **patience)
    async def bottom(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("diamond", cue, ctx):
            return {"value": ctx.task_output(left)["value"] + ctx.task_output(right)["value"]}

    @hatchet.task(
        name="narrow",
        concurrency=ConcurrencyExpression(
            expression="input.group",
            max_runs=NARROW_MAX,
            limit_strategy=ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN,
        ),
        **alone,
    )
    async def narrow(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("narrow", cue, ctx):
            await asyncio.sleep(min(cue.ms, 300) / 1000)
            return {"value": answer(cue.key)}

    @hatchet.task(name="family", **(alone | {"execution_timeout": FAMILY_TIMEOUT}))
    async def family(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("family", cue, ctx):
            children = await work.aio_run_many(
                [work.create_bulk_run_item(Cue(key=f"{cue.key}/{n}", ms=cue.ms)) for n in range(2)]
            )
            return {"value": sum(child["value"] for child in children)}

    eviction = EvictionPolicy(ttl=timedelta(seconds=2))
    durable: dict[str, Any] = alone | {"execution_timeout": FAMILY_TIMEOUT, "eviction_policy": eviction}

    @hatchet.durable_task(name="sleeper", **durable)
    async def sleeper(cue: Cue, ctx: DurableContext) -> dict[str, int]:
        with attempt("sleeper", cue, ctx):
            journal.note("sleeps", key=cue.key)
            await ctx.aio_sleep_for(timedelta(seconds=cue.sleep_s))
            journal.note("wakes", key=cue.key)
            return {"value": answer(cue.key)}

    @hatchet.durable_task(name="waiter", **durable)
    async def waiter(cue: Cue, ctx: DurableContext) -> dict[str, int]:
        with attempt("waiter", cue, ctx):
            await ctx.aio_wait_for_event(f"wake:{cue.key}")
            return {"value": answer(cue.key)}

    @hatchet.durable_task(name="story", **durable)
    async def story(cue: Cue, ctx: DurableContext) -> dict[str, int]:
        with attempt("story", cue, ctx):
            first = await work.aio_run(Cue(key=f"{cue.key}/0", ms=cue.ms))
            await ctx.aio_sleep_for(timedelta(seconds=cue.sleep_s))
            second = await work.aio_run(Cue(key=f"{cue.key}/1", ms=cue.ms))
            return {"value": first["value"] + second["value"]}

    @hatchet.task(name="stream", **alone)
    async def stream(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("stream", cue, ctx):
            for n in range(CHUNKS):
                await ctx.aio_put_stream(f"{n},")
                await asyncio.sleep(0.05)
            return {"value": answer(cue.key)}

    @hatchet.task(name="on-event", on_events=["chaos:start"], **alone)
    async def on_event(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("event", cue, ctx):
            return {"value": answer(cue.key)}

    @hatchet.task(name="scheduled", **alone)
    async def scheduled(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("scheduled", cue, ctx):
            return {"value": answer(cue.key)}

    @hatchet.task(name="ticker", on_crons=[f"*/{TICK_S} * * * * *"], **alone)
    async def ticker(cue: Cue, ctx: Context) -> dict[str, int]:
        with attempt("ticker", cue, ctx):
            return {"value": answer("")}

    return [
        work, long, block, flaky, diamond, narrow, family, sleeper, waiter, story, stream, on_event, scheduled, ticker
    ]  # fmt: skip


if __name__ == "__main__":
    main()
