"""A worker whose tasks charge in a step that commits with the charge (`python -m programs.charging_worker`)."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
from broadaxe_worker.steps import async_step
from gallery.cue import Cue, tell
from hatchet_sdk import Context, DurableContext, Hatchet

hatchet = Hatchet()


async def lifespan() -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(os.environ["SHOP_DATABASE_URL"], min_size=1, max_size=2) as pool:
        yield pool


async def charge(cue: Cue, ctx: Context) -> dict[str, Any]:
    async with ctx.lifespan.acquire() as connection, async_step(connection, ctx.task_run_id, "charge") as charging:
        if not charging.is_done:
            await connection.execute("insert into public.charge (who) values ($1)", cue.key)
            said = json.dumps({"attempt": ctx.retry_count})
            await connection.execute("select broadaxe.set_value($1, 'at', $2)", ctx.workflow_run_id, said)
            charging.result = ctx.retry_count
    await tell(cue, "charged", is_done=charging.is_done)
    if ctx.retry_count < cue.n:
        raise RuntimeError("the task failed after its step was done")
    return {"charged_in_attempt": charging.result}


@hatchet.task(name="charge", input_validator=Cue, retries=2)
async def charge_plainly(input: Cue, ctx: Context) -> dict[str, Any]:
    return await charge(input, ctx)


@hatchet.durable_task(name="charge-durably", input_validator=Cue, retries=2, execution_timeout=timedelta(minutes=5))
async def charge_durably(input: Cue, ctx: DurableContext) -> dict[str, Any]:
    await ctx.aio_now()
    charged = await charge(input, ctx)
    await ctx.aio_now()
    return charged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--slots", type=int, required=True)
    given = parser.parse_args()
    offers = [charge_plainly, charge_durably]
    hatchet.worker(given.name, slots=given.slots, durable_slots=5, workflows=offers, lifespan=lifespan).start()


if __name__ == "__main__":
    main()
