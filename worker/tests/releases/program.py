"""What `try_releases.py` runs on every release: a task of each kind that the oldest of them has."""

from __future__ import annotations

from datetime import timedelta

from hatchet_sdk import Context, DurableContext, EmptyModel, Hatchet
from pydantic import BaseModel

hatchet = Hatchet()


class Given(BaseModel):
    n: int = 0


@hatchet.task(name="release-async", input_validator=Given)
async def in_loop(given: Given, ctx: Context) -> dict[str, int]:
    ctx.log("in the loop")
    return {"n": given.n}


@hatchet.task(name="release-def", input_validator=Given)
def on_thread(given: Given, ctx: Context) -> dict[str, int]:
    ctx.put_stream("piece")
    return {"n": given.n}


@hatchet.task(name="release-retry", input_validator=Given, retries=1)
async def second_time(given: Given, ctx: Context) -> dict[str, int]:
    if ctx.retry_count == 0:
        raise ValueError("not the first time")
    return {"n": ctx.attempt_number}


@hatchet.task(name="release-fails", input_validator=Given)
async def fails(given: Given, ctx: Context) -> dict[str, int]:
    raise ValueError("never")


@hatchet.task(name="release-parent", input_validator=Given)
async def parent(given: Given, ctx: Context) -> dict[str, int]:
    child = await in_loop.aio_run(Given(n=given.n + 1))
    return {"n": child["n"]}


@hatchet.durable_task(name="release-durable", input_validator=Given)
async def durable(given: Given, ctx: DurableContext) -> dict[str, int]:
    await ctx.aio_sleep_for(timedelta(milliseconds=1))
    return {"n": given.n}


dag = hatchet.workflow(name="release-dag")


@dag.task()
async def first(_: EmptyModel, ctx: Context) -> dict[str, int]:
    return {"n": 20}


@dag.task(parents=[first])
def last(_: EmptyModel, ctx: Context) -> dict[str, int]:
    return {"n": ctx.task_output(first)["n"] + 1}
