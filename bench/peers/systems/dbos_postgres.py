"""DBOS on PostgreSQL: a queue between a client and a worker process, a workflow without steps as the task.

PEERS_VARIANT is `default` (a queue looks for work once a second) or `quick` (every 10 ms, which the queue's own option
allows and which costs the database an empty query each time).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions

sys.path.insert(0, str(Path(__file__).parent.parent))
import probe

DSN = os.environ["PEERS_POSTGRES"]
POLL_S = 0.01 if os.environ.get("PEERS_VARIANT") == "quick" else 1.0
UNFINISHED = "select count(*) from dbos.workflow_status where status in ('ENQUEUED', 'PENDING')"
NOOP: EnqueueOptions = {"queue_name": "noop", "workflow_name": "noop"}


@DBOS.workflow(name="noop")
async def noop(index: int) -> int:
    probe.stamp(index)
    return index


class DbosPostgres:
    in_flight = 16
    pause_s = 5 * POLL_S if POLL_S < 0.1 else POLL_S

    def __init__(self) -> None:
        self._client = DBOSClient(system_database_url=DSN)
        self._engine = sa.create_engine(DSN.replace("postgresql://", "postgresql+psycopg://"))

    async def enqueue(self, index: int) -> None:
        await self._client.enqueue_async(NOOP, index)

    async def enqueue_many(self, indices: Sequence[int]) -> None:
        # It has no bulk call; many enqueues in one transaction are the nearest it offers.
        with self._engine.begin() as connection:
            for index in indices:
                self._client.enqueue_in_transaction(connection, NOOP, index)

    async def round_trip(self, index: int) -> None:
        handle: Any = await self._client.enqueue_async(NOOP, index)
        await handle.get_result(polling_interval_sec=min(POLL_S, 1.0))

    async def unfinished(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(sa.text(UNFINISHED)).scalar_one())


def work() -> None:
    logging.disable(logging.WARNING)
    config: DBOSConfig = {"name": "peers", "system_database_url": DSN, "application_version": "peers"}
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue("noop", polling_interval_sec=POLL_S)
    probe.say_ready()
    threading.Event().wait()


if __name__ == "__main__":
    probe.main(work, DbosPostgres)
