"""Dramatiq on Redis, one worker process of eight threads, as its command line starts by default for each process."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

sys.path.insert(0, str(Path(__file__).parent.parent))
import probe

SOCKET = os.environ["PEERS_REDIS"]
broker: Any = RedisBroker(url=f"unix://{SOCKET}")
broker.add_middleware(Results(backend=RedisBackend(url=f"unix://{SOCKET}?db=1")))
dramatiq.set_broker(broker)


@dramatiq.actor
def noop(index: int) -> None:
    probe.stamp(index)


@dramatiq.actor(store_results=True)
def answer(index: int) -> int:
    probe.stamp(index)
    return index


class DramatiqRedis:
    in_flight = 1
    pause_s = 1.0  # An idle consumer asks Redis less and less often, down to about once a second.

    def __init__(self) -> None:
        self._redis: Any = redis.Redis(unix_socket_path=SOCKET)

    async def enqueue(self, index: int) -> None:
        noop.send(index)

    async def enqueue_many(self, indices: Sequence[int]) -> None:
        raise NotImplementedError  # A group enqueues its messages one by one.

    async def round_trip(self, index: int) -> None:
        answer.send(index).get_result(block=True, timeout=30_000)

    async def unfinished(self) -> int:
        # Every message is in this hash from its enqueue to its acknowledgement.
        return int(self._redis.hlen("dramatiq:default.msgs"))


def work() -> None:
    worker = dramatiq.Worker(broker, worker_threads=8)
    worker.start()
    probe.say_ready()
    threading.Event().wait()


if __name__ == "__main__":
    probe.main(work, DramatiqRedis)
