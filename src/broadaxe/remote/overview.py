"""What a tenant is doing at this moment: runs by how they stand, what waits, who works, the newest runs.

Read in four questions, and again only when the server says that something of it has changed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from broadaxe.remote import resources, runs
from broadaxe.remote.run_query import RunQuery
from broadaxe.remote.server import Server

__all__ = ["KINDS", "Overview", "Queue", "read"]

#: Kinds of changes that an overview shows.
KINDS: Final = frozenset({"runs", "workers"})
WORKERS_SHOWN_MAX: Final = 100


class Queue(msgspec.Struct, frozen=True):
    """Live tasks of one name."""

    task: str
    waiting: int
    running: int


class Overview(msgspec.Struct, frozen=True):
    counts: dict[str, int]
    """Runs by status."""
    queues: tuple[Queue, ...]
    """Those where most waits first."""
    workers: tuple[dict[str, Any], ...]
    newest: tuple[dict[str, Any], ...]


class _Count(msgspec.Struct, frozen=True):
    status: str
    count: int


class _Live(msgspec.Struct, frozen=True):
    total: int = 0


class _Stat(msgspec.Struct, frozen=True):
    queued: _Live = _Live()
    running: _Live = _Live()


def read(server: Server, query: RunQuery, runs_max: int) -> Overview:
    """Unavailable when the server is away; ConfigurationError when it takes the token no more."""
    asked = query.parameters(datetime.now(UTC))
    counts = server.get(f"{server.stable}/task-metrics", list[_Count], asked)
    stats = server.get(f"{server.tenant}/task-stats", dict[str, _Stat])
    queues = [Queue(name, stat.queued.total, stat.running.total) for name, stat in stats.items()]
    workers = resources.find(server, "workers", WORKERS_SHOWN_MAX)
    return Overview(
        counts={each.status: each.count for each in counts},
        queues=tuple(sorted(queues, key=lambda queue: (-queue.waiting, -queue.running, queue.task))),
        workers=tuple(sorted(workers, key=lambda row: (row.get("status") != "ACTIVE", str(row["name"])))),
        newest=tuple(runs.find(server, query, runs_max)),
    )
