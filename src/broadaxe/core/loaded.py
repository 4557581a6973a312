"""What is read from the tables for a tenant's memory, and what has to be read.

The core names it (`Missing`), the engine has storage read it, and `adoption.py` takes it in (`Loaded`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from broadaxe.core.backlog import ColdTasks
from broadaxe.core.calendar import ScheduleKey, SchedulePage
from broadaxe.core.commands.events import PushedEvent
from broadaxe.core.commands.needs import EventQuery
from broadaxe.core.commands.quotas import Resource
from broadaxe.core.decision import (
    AlertRow,
    AlertRuleRow,
    CronRow,
    DurableBranchRow,
    DurableEntryRow,
    DurableTaskRow,
    FilterRow,
    GateRow,
    ProducerRow,
    QuotaUsageRow,
    RateLimitRow,
    RunRow,
    RunState,
    ScheduleRow,
    TaskRow,
    TaskState,
    TopicRow,
    VersionRow,
    WorkerRow,
    WorkflowRow,
)
from broadaxe.core.dormant import DormantTask
from broadaxe.core.waits import PastEvent


class LoadedLog(msgspec.Struct, frozen=True):
    """The log of a durable task, read back from its rows. The flag beside an entry says its child run has ended; `news`
    are events that came while the task was not in memory."""

    row: DurableTaskRow
    branches: tuple[DurableBranchRow, ...] = ()
    entries: tuple[tuple[DurableEntryRow, bool], ...] = ()
    news: tuple[PastEvent, ...] = ()


class LoadedRun(msgspec.Struct, frozen=True):
    """A run read back from its rows. `children` are (task id, dedupe key, child run id)."""

    row: RunRow
    state: RunState
    tasks: tuple[tuple[TaskRow, TaskState], ...]
    children: tuple[tuple[str, str, str], ...] = ()
    logs: tuple[LoadedLog, ...] = ()
    gates: tuple[GateRow, ...] = ()


class Loaded(msgspec.Struct, frozen=True):
    """What the loader read. Versions come before the runs that use them."""

    workflows: tuple[WorkflowRow, ...] = ()
    versions: tuple[VersionRow, ...] = ()
    workers: tuple[WorkerRow, ...] = ()
    runs: tuple[LoadedRun, ...] = ()
    rate_limits: tuple[RateLimitRow, ...] = ()
    cold: tuple[ColdTasks, ...] = ()
    filters: tuple[FilterRow, ...] = ()
    claims: dict[bytes, bytes] = {}
    """Packed claims (`claims.pack`) by the digest of their key."""
    crons: tuple[CronRow, ...] = ()
    schedules: tuple[ScheduleRow, ...] = ()
    """Those that were asked for by id."""
    schedule_page: SchedulePage | None = None
    dormant: tuple[DormantTask, ...] = ()
    events: tuple[PastEvent, ...] = ()
    pushed: tuple[PushedEvent, ...] = ()
    """Stored events that were asked for by id, as whoever pushed them was answered."""
    quotas: dict[Resource, int | None] = {}
    """The tenant's own limits; None for no limit."""
    quota_usage: tuple[QuotaUsageRow, ...] = ()
    alert_rules: tuple[AlertRuleRow, ...] = ()
    alerts: tuple[AlertRow, ...] = ()
    """Those that are not over."""
    topics: tuple[TopicRow, ...] = ()
    producers: tuple[ProducerRow, ...] = ()
    topic_count: int | None = None
    """How many topics the tenant has, if that was asked for."""


class Missing(msgspec.Struct, frozen=True):
    """What has to be read: ids that are not in memory, stored events, and the key after which the next schedules are
    wanted. `tasks` may hold run ids and task ids alike."""

    tasks: frozenset[str] = frozenset()
    workers: frozenset[str] = frozenset()
    schedules: frozenset[str] = frozenset()
    schedules_after: ScheduleKey | None = None
    events: frozenset[EventQuery] = frozenset()
    pushed: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    producers: frozenset[tuple[str, str]] = frozenset()
    """(topic id, producer)."""
    counts_topics: bool = False

    def __bool__(self) -> bool:
        return self.is_of_topics or self.is_of_others

    @property
    def is_of_topics(self) -> bool:
        return bool(self.topics or self.producers)

    @property
    def is_of_others(self) -> bool:
        """Whether anything but topics has to be read."""
        return bool(self.tasks or self.workers or self.schedules or self.schedules_after or self.events or self.pushed)

    def __or__(self, other: Missing) -> Missing:
        return Missing(
            self.tasks | other.tasks,
            self.workers | other.workers,
            self.schedules | other.schedules,
            self.schedules_after or other.schedules_after,
            self.events | other.events,
            self.pushed | other.pushed,
            self.topics | other.topics,
            self.producers | other.producers,
            self.counts_topics or other.counts_topics,
        )


NOTHING_MISSING: Final = Missing()
