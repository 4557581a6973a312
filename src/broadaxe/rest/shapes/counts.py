"""The shapes of counts; how tasks are counted for autoscalers is in `rest/task_stats.py`."""

from __future__ import annotations

from broadaxe.core.lifecycle import RunStatus
from broadaxe.rest.wire import Instant, SnakeWire, Wire


class RunningDetail(Wire):
    evicted: int
    on_worker: int


class StatusCount(Wire):
    status: RunStatus
    count: int
    running_detail_count: RunningDetail | None = None


class FinishedPoint(SnakeWire):
    time: Instant
    SUCCEEDED: int
    FAILED: int


class FinishedPoints(Wire):
    results: list[FinishedPoint]


class QueueCounts(Wire):
    queues: dict[str, int]


class ConcurrencyStat(Wire):
    """How many tasks wait or run under each key of a concurrency rule."""

    expression: str
    type: str
    keys: dict[str, int]


class LiveTasks(Wire):
    total: int = 0
    queues: dict[str, int] = {}
    concurrency: list[ConcurrencyStat] = []
    oldest: Instant | None = None
    oldest_excluding_retries: Instant | None = None


class TaskStat(Wire):
    queued: LiveTasks
    running: LiveTasks


class LegacyCounts(Wire):
    num_queued: int = 0
    num_running: int = 0
    num_pending: int = 0


class LegacyQueueCounts(Wire):
    total: LegacyCounts
    workflow: dict[str, LegacyCounts] = {}
    queues: dict[str, int]


class LegacyWorkflowCounts(Wire):
    group_key_runs_count: int = 0
    group_key_count: int = 0
