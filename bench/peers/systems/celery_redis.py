"""Celery on Redis, one worker process with eight threads.

PEERS_VARIANT is `default`, or `durable`: acknowledged after the task, and Redis writes every command to disk.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
from celery import Celery, group
from celery.signals import worker_ready

sys.path.insert(0, str(Path(__file__).parent.parent))
import probe

SOCKET = os.environ["PEERS_REDIS"]
DURABLE = os.environ.get("PEERS_VARIANT") == "durable"

app = Celery("celery_redis", broker=f"redis+socket://{SOCKET}", backend=f"redis+socket://{SOCKET}?virtual_host=1")
app.conf.update(
    task_acks_late=DURABLE,
    task_reject_on_worker_lost=DURABLE,
    worker_prefetch_multiplier=16,  # The default of 4 leaves threads waiting when tasks are this short.
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task(ignore_result=True)
def noop(index: int) -> None:
    probe.stamp(index)


@app.task
def answer(index: int) -> int:
    probe.stamp(index)
    return index


class CeleryRedis:
    # A blocking client. Where each enqueue waits for the disk, its users would use threads, so the durable one does.
    in_flight = 8 if DURABLE else 1
    pause_s = probe.PAUSE_S

    def __init__(self) -> None:
        self._redis: Any = redis.Redis(unix_socket_path=SOCKET)

    async def enqueue(self, index: int) -> None:
        if DURABLE:
            await asyncio.to_thread(noop.delay, index)
        else:
            noop.delay(index)

    async def enqueue_many(self, indices: Sequence[int]) -> None:
        # A group is a loop of single enqueues over one connection: Celery has no bulk call on Redis.
        group(noop.s(index) for index in indices).apply_async()

    async def round_trip(self, index: int) -> None:
        await asyncio.to_thread(lambda: answer.delay(index).get(timeout=30, interval=0.005))

    async def unfinished(self) -> int:
        waiting, unacknowledged = self._redis.llen("celery"), self._redis.hlen("unacked")
        return int(waiting) + int(unacknowledged)


@worker_ready.connect  # type: ignore[untyped-decorator]
def on_ready(**_: object) -> None:
    probe.say_ready()


def work() -> None:
    pool = (
        "--pool",
        "threads",
        "--concurrency",
        "8",
    )  # Quicker than processes for tasks this short
    app.worker_main(["worker", *pool, "--loglevel", "WARNING", "--without-gossip", "--without-mingle"])


if __name__ == "__main__":
    sys.modules["celery_redis"] = sys.modules["__main__"]
    probe.main(work, CeleryRedis)
