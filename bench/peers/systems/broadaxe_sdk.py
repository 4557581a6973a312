"""Broadaxe with the official hatchet-sdk on both sides; as variant "session" the same program on `broadaxe_worker`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
from broadaxe_worker import Caller, Worker
from hatchet_sdk import Context, Hatchet
from pydantic import BaseModel

sys.path.insert(0, str(Path(__file__).parent.parent))
import probe

logging.disable(logging.WARNING)
ON_SESSION = os.environ.get("PEERS_VARIANT") == "session"
hatchet = Hatchet()


class Given(BaseModel):
    index: int


@hatchet.task(name="noop", input_validator=Given)
async def noop(given: Given, context: Context) -> dict[str, int]:
    probe.stamp(given.index)
    return {"index": given.index}


class BroadaxeSdk:
    in_flight = 32
    pause_s = probe.PAUSE_S

    def __init__(self) -> None:
        self._database: asyncpg.Connection | None = None
        if ON_SESSION:
            Caller(hatchet).start()

    async def enqueue(self, index: int) -> None:
        await noop.aio_run_no_wait(Given(index=index))

    async def enqueue_many(self, indices: Sequence[int]) -> None:
        await noop.aio_run_many_no_wait([noop.create_bulk_run_item(Given(index=index)) for index in indices])

    async def round_trip(self, index: int) -> None:
        await noop.aio_run(Given(index=index))

    async def unfinished(self) -> int:
        if self._database is None:
            self._database = await asyncpg.connect(os.environ["PEERS_POSTGRES"])
        return int(await self._database.fetchval(os.environ["PEERS_UNFINISHED"]))


def work() -> None:
    if ON_SESSION:
        worker: Any = Worker(hatchet, "peers", slots=100, workflows=[noop])
    else:
        worker = hatchet.worker("peers", slots=100, workflows=[noop])
    probe.say_ready()
    worker.start()


if __name__ == "__main__":
    probe.main(work, BroadaxeSdk)
