"""Asks the agent, prints what it says while it says it, and agrees to what it wants to do."""

import asyncio
import re
import sys

from broadaxe_pydantic_ai import answer
from hatchet_sdk import Hatchet
from pydantic import BaseModel
from pydantic_ai.tools import DeferredToolResults

hatchet = Hatchet()


class Question(BaseModel):
    prompt: str


ASKS = re.compile(r"waiting for an answer .* call (\S+): token (\w+)$")


async def listen(run_id: str) -> None:
    async for piece in hatchet.runs.subscribe_to_stream(run_id):
        print(piece, end="", flush=True)


async def agree(run_id: str) -> None:
    """Agrees to everything, where a shop would show the call to somebody and wait for a click."""
    agreed: set[str] = set()
    while True:
        for line in (await hatchet.logs.aio_list(run_id)).rows or []:
            found = ASKS.search(line.message)
            if found is not None and found[1] not in agreed:
                agreed.add(found[1])
                await answer(hatchet, found[2], DeferredToolResults(approvals={found[1]: True}))
        await asyncio.sleep(1)


async def main(prompt: str) -> None:
    support = hatchet.stubs.task(name="support", input_validator=Question)
    run = await support.aio_run(Question(prompt=prompt), wait_for_result=False)
    watching = [asyncio.create_task(listen(run.workflow_run_id)), asyncio.create_task(agree(run.workflow_run_id))]
    print("\n", await run.aio_result())
    for task in watching:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "My lamp arrived broken, order 17. I want my money back."))
