"""What of a tenant has changed, for people who look at it: which kinds of rows, and which runs and tasks.

Told after the commit, from the rows that were written, so that nobody has to ask the database whether there is
something new. What is told is gathered until the reader comes for it and then forgotten. A reader who just came is told
what has changed a moment ago, since they may have read their page before it; after a load everything counts as changed.
A worker that only says that it is alive changes nothing: its time is told beside.

Bounds: `FOLLOWERS_MAX` readers of a tenant, `IDS_MAX` ids each; of more, only the kind is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

import msgspec

from broadaxe.core.decision import WorkerRow, Writes
from broadaxe.errors import ResourceExhausted

__all__ = ["ChangeFeed", "ChangeSubscription", "Changes", "Kind"]

FOLLOWERS_MAX: Final = 200
IDS_MAX: Final = 500
WORKERS_KNOWN_MAX: Final = 10_000
#: How old a change may be to be told to whoever comes after it: longer than a page takes to load.
RECENT_S: Final = 10.0


class Kind(StrEnum):
    """What people look at. Every run, task, event of a task and entry of a durable log is of the kind `RUNS`."""

    RUNS = "runs"
    WORKERS = "workers"
    WORKFLOWS = "workflows"
    CRONS = "crons"
    SCHEDULES = "schedules"
    EVENTS = "events"
    FILTERS = "filters"
    RATE_LIMITS = "rate-limits"
    LIMITS = "limits"
    ALERTS = "alerts"
    """Rules, channels, alerts and messages."""
    STREAMS = "streams"
    """Topics, when something was published."""
    LOGS = "logs"
    TRACES = "traces"
    NODES = "nodes"
    """Of no tenant: told to all that are followed at the node that noticed."""


class Changes(msgspec.Struct, frozen=True):
    kinds: frozenset[Kind]
    ids: frozenset[str] | None
    """Runs and tasks that changed, got a line in their log or a span; None when there are too many to tell."""
    heartbeats: dict[str, int]
    """When workers were last heard of, by id, in microseconds."""


class ChangeSubscription:
    def __init__(self, kinds: Iterable[Kind]) -> None:
        """`kinds` are told at once, without ids."""
        self._kinds: set[Kind] = set(kinds)
        self._ids: set[str] | None = None if self._kinds else set()
        self._heartbeats: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._is_closed = False
        # The first answer tells that the reader is being told, even if it is of nothing.
        self._wake.set()

    def note(self, kinds: Iterable[Kind], ids: Iterable[str] | None) -> None:
        self._kinds.update(kinds)
        if ids is None:
            self._ids = None
        elif self._ids is not None:
            self._ids.update(ids)
            if len(self._ids) > IDS_MAX:
                self._ids = None
        self._wake.set()

    def note_heartbeat(self, worker_id: str, at_us: int) -> None:
        self._heartbeats[worker_id] = at_us
        self._wake.set()

    async def next(self) -> Changes | None:
        """What has changed since the last call; waits until something has, except the first time. None once closed."""
        await self._wake.wait()
        if self._is_closed:
            return None
        changes = Changes(frozenset(self._kinds), None if self._ids is None else frozenset(self._ids), self._heartbeats)
        self._kinds, self._ids, self._heartbeats = set(), set(), {}
        self._wake.clear()
        return changes

    def close(self) -> None:
        self._is_closed = True
        self._wake.set()


class ChangeFeed:
    """The readers of one tenant. They do not keep it in memory: what is put away does not change."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """`now_s`: any clock that only goes forward."""
        self._now_s = now_s
        self._followers: set[ChangeSubscription] = set()
        # What happened before this was made is not known here.
        self._changed_at_s: dict[Kind, float] = dict.fromkeys(Kind, now_s())
        self._workers: dict[str, WorkerRow] = {}
        """As the followers know them."""
        self.on_followed: Callable[[bool], None] = lambda _: None
        """Hears when somebody follows, and when nobody does any more."""

    def is_followed(self) -> bool:
        return bool(self._followers)

    def follow(self) -> ChangeSubscription:
        if len(self._followers) >= FOLLOWERS_MAX:
            raise ResourceExhausted(f"{FOLLOWERS_MAX} readers follow the changes of this tenant already; close some")
        since_s = self._now_s() - RECENT_S
        subscription = ChangeSubscription(kind for kind, at_s in self._changed_at_s.items() if at_s >= since_s)
        self._followers.add(subscription)
        if len(self._followers) == 1:
            self.on_followed(True)
        return subscription

    def unfollow(self, subscription: ChangeSubscription) -> None:
        was_followed = self.is_followed()
        self._followers.discard(subscription)
        if was_followed and not self._followers:
            self._workers.clear()
            self.on_followed(False)

    def note(self, kind: Kind, ids: Iterable[str] | None) -> None:
        self._tell({kind}, ids)

    def note_heartbeat(self, worker_id: str, at_us: int) -> None:
        for follower in self._followers:
            follower.note_heartbeat(worker_id, at_us)

    def note_everything(self) -> None:
        self._tell(set(Kind), None)

    def note_changes(self, changes: Changes) -> None:
        """What another node tells, which owns the tenant."""
        for worker_id, at_us in changes.heartbeats.items():
            self.note_heartbeat(worker_id, at_us)
        if changes.kinds:
            self._tell(set(changes.kinds), changes.ids)

    def note_writes(self, writes: Writes) -> None:
        kinds = _kinds_of(writes)
        if not self._followers:
            if writes.workers:
                kinds.add(Kind.WORKERS)
            self._mark(kinds)
            return
        for row in writes.workers:
            if self._is_only_alive(row):
                self.note_heartbeat(row.id, row.last_heartbeat_at_us or row.updated_at_us)
            else:
                kinds.add(Kind.WORKERS)
        if kinds:
            self._tell(kinds, _ids_of(writes))

    def close(self) -> None:
        for follower in self._followers:
            follower.close()

    def _is_only_alive(self, row: WorkerRow) -> bool:
        bare = msgspec.structs.replace(row, updated_at_us=0, last_heartbeat_at_us=None)
        known = self._workers.get(row.id)
        if known is None and len(self._workers) >= WORKERS_KNOWN_MAX:
            self._workers.clear()
        self._workers[row.id] = bare
        return known == bare

    def _tell(self, kinds: set[Kind], ids: Iterable[str] | None) -> None:
        self._mark(kinds)
        if self._followers:
            told = None if ids is None else set(ids)
            for follower in self._followers:
                follower.note(kinds, told)

    def _mark(self, kinds: set[Kind]) -> None:
        now_s = self._now_s()
        for kind in kinds:
            self._changed_at_s[kind] = now_s


def _kinds_of(writes: Writes) -> set[Kind]:
    """All but the workers, whose rows are also written to say that they are alive."""
    kinds: set[Kind] = set()
    if writes.new_runs or writes.runs or writes.new_tasks or writes.tasks or writes.task_events or writes.run_keys:
        kinds.add(Kind.RUNS)
    if writes.durable_tasks or writes.durable_branches or writes.durable_entries or writes.gates:
        kinds.add(Kind.RUNS)
    if writes.workflows or writes.versions:
        kinds.add(Kind.WORKFLOWS)
    if writes.crons or writes.cron_ticks or writes.deleted_crons or writes.cleared_workflows:
        kinds.add(Kind.CRONS)
    if writes.schedules or writes.deleted_schedules or writes.cleared_workflows:
        kinds.add(Kind.SCHEDULES)
    if writes.events or writes.expression_failures:
        kinds.add(Kind.EVENTS)
    if writes.filters or writes.deleted_filters:
        kinds.add(Kind.FILTERS)
    if writes.topics:
        kinds.add(Kind.STREAMS)
    if writes.rate_limits or writes.deleted_rate_limits:
        kinds.add(Kind.RATE_LIMITS)
    if writes.quota_usage:
        kinds.add(Kind.LIMITS)
    if writes.alert_rules or writes.deleted_alert_rules or writes.alerts or writes.alert_deliveries:
        kinds.add(Kind.ALERTS)
    return kinds


def _ids_of(writes: Writes) -> set[str]:
    ids = {run.row.id for run in writes.new_runs}
    ids.update(run.id for run in writes.runs)
    for task in writes.new_tasks:
        ids.add(task.row.id)
        ids.add(task.row.run_id)
    ids.update(task.id for task in writes.tasks)
    ids.update(event.task_id for event in writes.task_events)
    ids.update(keys.run_id for keys in writes.run_keys)
    ids.update(row.task_id for row in writes.durable_tasks)
    ids.update(row.task_id for row in writes.durable_branches)
    ids.update(row.task_id for row in writes.durable_entries)
    ids.update(row.task_id for row in writes.gates)
    return ids
