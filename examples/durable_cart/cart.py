"""A cart that lives in a durable task: others ask it to take something in, and get to know what is in it then."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
from broadaxe_worker.steps import async_step
from hatchet_sdk import DurableContext, EmptyModel, EvictionPolicy, Hatchet

hatchet = Hatchet()

REQUESTS = """
create table if not exists public.cart_request (
    id bigint generated always as identity primary key,
    run_id uuid not null,
    item text not null,
    answer jsonb
)
"""


async def lifespan() -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(os.environ["SHOP_DATABASE_URL"], min_size=1, max_size=5) as pool:
        yield pool


async def answer(connection: asyncpg.Connection, run_id: str, items: list[str]) -> list[str]:
    """Answers what was asked and is not answered, in the step's transaction; returns what was taken in."""
    taken: list[str] = []
    for row in await connection.fetch(
        "select id, item from public.cart_request where run_id = $1 and answer is null order by id for update", run_id
    ):
        taken.append(row["item"])
        there = json.dumps(items + taken)
        await connection.execute("update public.cart_request set answer = $2 where id = $1", row["id"], there)
    return taken


@hatchet.durable_task(eviction_policy=EvictionPolicy(ttl=timedelta(seconds=30)), retries=3)
async def cart(input: EmptyModel, ctx: DurableContext) -> dict[str, list[str]]:
    items: list[str] = []
    for turn in range(10_000):
        # The wait begins before the look, so that whoever asks from then on is heard. `aio_now` comes back when it has.
        asked = ctx.aio_wait_for_event("cart:asked", f"input.run_id == '{ctx.workflow_run_id}'")
        waiting = asyncio.create_task(asked)
        await asyncio.sleep(0)
        await ctx.aio_now()
        async with ctx.lifespan.acquire() as db, async_step(db, ctx.task_run_id, f"turn {turn}") as step:
            if not step.is_done:
                step.result = await answer(db, ctx.workflow_run_id, items)
        items += step.result
        if "the bill" in items:
            waiting.cancel()
            break
        await waiting
    return {"items": items}


async def ask(connection: asyncpg.Connection, run_id: str, item: str) -> list[str]:
    """Puts an item into the cart of a run, and returns what is in it then."""
    async with connection.transaction():
        request_id = await connection.fetchval(
            "insert into public.cart_request (run_id, item) values ($1, $2) returning id", run_id, item
        )
        await connection.execute("select broadaxe.push_event('cart:asked', $1)", json.dumps({"run_id": run_id}))
    while True:
        there = await connection.fetchval("select answer from public.cart_request where id = $1", request_id)
        if there is not None:
            return json.loads(there)
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    hatchet.worker("carts", workflows=[cart], lifespan=lifespan).start()
