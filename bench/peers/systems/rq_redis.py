"""RQ on Redis, with its SimpleWorker, which runs jobs in its own process: the default one forks for each job."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis
from rq import Queue, SimpleWorker

sys.path.insert(0, str(Path(__file__).parent.parent))
import probe


def connection() -> Any:
    return redis.Redis(unix_socket_path=os.environ["PEERS_REDIS"])


def noop(index: int) -> None:
    probe.stamp(index)


def answer(index: int) -> int:
    probe.stamp(index)
    return index


class RqRedis:
    in_flight = 1
    pause_s = probe.PAUSE_S

    def __init__(self) -> None:
        self._redis = connection()
        self._queue = Queue(connection=self._redis)

    async def enqueue(self, index: int) -> None:
        self._queue.enqueue("rq_redis.noop", index, result_ttl=0)

    async def enqueue_many(self, indices: Sequence[int]) -> None:
        self._queue.enqueue_many([Queue.prepare_data("rq_redis.noop", (index,), result_ttl=0) for index in indices])

    async def round_trip(self, index: int) -> None:
        job = self._queue.enqueue("rq_redis.answer", index)
        assert job.latest_result(timeout=30) is not None

    async def unfinished(self) -> int:
        return int(self._queue.count) + int(self._redis.zcard("rq:wip:default"))


def work() -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    worker = SimpleWorker(["default"], connection=connection())
    probe.say_ready()
    worker.work(logging_level="WARNING")


if __name__ == "__main__":
    probe.main(work, RqRedis)
