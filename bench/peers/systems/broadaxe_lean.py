"""Broadaxe with the bench's lean client on both sides: the SDK's wire, without the SDK's own weight.

A task costs its worker one call: unlike the SDK it does not also report that it has started, which the protocol allows.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent.parent))
import probe
from lean_client import LeanClient, RunSubscription, Task

from broadaxe.rpc._gen.dispatcher_pb2 import AssignedAction


def client() -> LeanClient:
    return LeanClient(os.environ["HATCHET_CLIENT_HOST_PORT"], os.environ["HATCHET_CLIENT_TOKEN"])


class BroadaxeLean:
    in_flight = 64
    pause_s = probe.PAUSE_S

    def __init__(self) -> None:
        self._client = client()
        self._database: asyncpg.Connection | None = None
        self._runs: RunSubscription | None = None

    async def enqueue(self, index: int) -> None:
        await self._client.trigger("noop", {"index": index})

    async def enqueue_many(self, indices: Sequence[int]) -> None:
        await self._client.bulk_trigger("noop", [{"index": index} for index in indices])

    async def round_trip(self, index: int) -> None:
        if self._runs is None:
            self._runs = await self._client.subscribe_runs()
        await self._runs.add(await self._client.trigger("noop", {"index": index}))
        await anext(self._runs)

    async def unfinished(self) -> int:
        if self._database is None:
            self._database = await asyncpg.connect(os.environ["PEERS_POSTGRES"])
        return int(await self._database.fetchval(os.environ["PEERS_UNFINISHED"]))


def received(action: AssignedAction) -> None:
    probe.stamp(json.loads(action.action_payload)["input"]["index"])


def work() -> None:
    async def run() -> None:
        async with client() as connection:
            await connection.put_workflow("noop", [Task("noop")])
            probe.say_ready()
            await connection.run_noop_worker(["noop:noop"], 200, on_received=received)

    uvloop.run(run())


if __name__ == "__main__":
    probe.main(work, BroadaxeLean)
