"""The tables of one tenant, in memory: written from `Writes` and read back as the loader does, both as the SQL says.

Owns nothing but rows. It refuses what the schema's constraints refuse. The differential test holds it against the real
journal and loader, so that thousands of simulated lives need no database and still mean something.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

import msgspec

from broadaxe.core import backlog, calendar
from broadaxe.core.backlog import ColdTasks
from broadaxe.core.calendar import SchedulePage
from broadaxe.core.claims import pack
from broadaxe.core.commands.events import PushedEvent
from broadaxe.core.commands.needs import EventQuery
from broadaxe.core.commands.quotas import Resource
from broadaxe.core.decision import (
    ClaimRow,
    CronRow,
    DurableBranchRow,
    DurableEntryRow,
    DurableTaskRow,
    EventRow,
    ExpressionFailureRow,
    FilterRow,
    GateRow,
    MessageRow,
    ProducerRow,
    QuotaUsageRow,
    RateLimitRow,
    RunRow,
    RunState,
    ScheduleRow,
    TaskEventRow,
    TaskRow,
    TaskState,
    TopicRow,
    VersionRow,
    WorkerRow,
    WorkflowRow,
    Writes,
)
from broadaxe.core.dormant import DormantTask, events_of
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TERMINAL, TERMINAL_RUN, EntryKind, RunStatus, TaskEventType, TaskStatus
from broadaxe.core.loaded import Loaded, LoadedLog, LoadedRun, Missing
from broadaxe.core.model import RETRY_PRIORITY
from broadaxe.core.topics import Position
from broadaxe.core.waits import PastEvent
from broadaxe.storage.topics import TopicPage

DAY_US = 86_400 * US_PER_S
#: Address of an entry within its log: branch and node.
Place = tuple[int, int]
#: What a child run came to: whether it failed, its result, its error.
Outcome = tuple[bool, str | None, str | None]
_replace = msgspec.structs.replace


class Store(Protocol):
    """What a tenant is kept in."""

    def commit(self, writes: Writes) -> None: ...

    def load_live(self, now_us: int, waiting_max: int) -> Loaded: ...

    def load_missing(self, missing: Missing) -> Loaded: ...

    def set_quotas(self, limits: dict[Resource, int | None]) -> None: ...


class Tables:
    def __init__(self) -> None:
        self.workflows: dict[str, WorkflowRow] = {}
        self.versions: dict[str, VersionRow] = {}
        self.workers: dict[str, WorkerRow] = {}
        self.run_rows: dict[str, RunRow] = {}
        self.runs: dict[str, RunState] = {}
        self.task_rows: dict[str, TaskRow] = {}
        self.tasks: dict[str, TaskState] = {}
        self.tasks_of: dict[str, list[str]] = defaultdict(list)
        self.history: dict[str, list[TaskEventRow]] = defaultdict(list)
        self.children_of: dict[str, list[str]] = defaultdict(list)
        self.pushed: dict[str, EventRow] = {}
        self.limits: dict[str, RateLimitRow] = {}
        self.quotas: dict[Resource, int | None] = {}
        self.quota_usage: dict[str, QuotaUsageRow] = {}
        self.claims: dict[bytes, ClaimRow] = {}
        self.filters: dict[str, FilterRow] = {}
        self.failures: list[ExpressionFailureRow] = []
        self.crons: dict[str, CronRow] = {}
        self.schedules: dict[str, ScheduleRow] = {}
        self.outputs: dict[tuple[str, int], str] = {}
        self.logs: dict[str, DurableTaskRow] = {}
        self.branches: dict[str, list[DurableBranchRow]] = defaultdict(list)
        self.entries: dict[str, dict[Place, DurableEntryRow]] = defaultdict(dict)
        """By durable task, then by (branch, node). The result of a child is beside it, in `outcomes`."""
        self.outcomes: dict[tuple[str, Place], Outcome] = {}
        self.gates: dict[str, GateRow] = {}
        self.news: dict[str, list[str]] = defaultdict(list)
        """Ids of events, by durable task."""
        self.topics: dict[str, TopicRow] = {}
        self.producers: dict[tuple[str, str], ProducerRow] = {}
        self.messages: dict[str, list[MessageRow]] = defaultdict(list)
        """By topic, in the order of their numbers."""
        self.live: dict[str, None] = {}
        """Ids of runs that have not finished."""

    # Writing, in the order of `storage/journal.py` -----------------------------------------------------------------

    def commit(self, writes: Writes) -> None:
        for workflow in writes.workflows:
            said = workflow.paused_queue_ttl_us, workflow.paused_crons, workflow.paused_schedules
            assert all((word is None) is (workflow.paused_at_us is None) for word in said), "workflow_pause_is_whole"
            assert workflow.paused_queue_ttl_us is None or workflow.paused_queue_ttl_us > 0
            self.workflows[workflow.id] = workflow
        names = [row.name for row in self.workflows.values() if row.deleted_at_us is None]
        assert len(names) == len(set(names)), "workflow_by_name is unique"
        for version in writes.versions:
            assert version.id not in self.versions
            self.versions[version.id] = version
        for worker in writes.workers:
            known = self.workers.get(worker.id)
            if known is not None:
                # What is fixed at registration stays.
                worker = _replace(
                    worker, name=known.name, actions=known.actions, slots=known.slots, runtime=known.runtime
                )
            self.workers[worker.id] = worker
        for event in writes.events:
            self.pushed[event.id] = event
        for limit in writes.rate_limits:
            assert limit.limit >= 0 and limit.window_us > 0
            self.limits[limit.key] = limit
        for key in writes.deleted_rate_limits:
            self.limits.pop(key, None)
        for usage in writes.quota_usage:
            assert usage.value >= 0
            self.quota_usage[usage.resource] = usage
        for filter_ in writes.filters:
            self.filters[filter_.id] = filter_
        for filter_id in writes.deleted_filters:
            self.filters.pop(filter_id, None)
        self.failures += writes.expression_failures
        for claim in writes.claims:
            self.claims[claim.digest] = claim
        for digest in writes.released_claims:
            self.claims.pop(digest, None)
        self._commit_calendar(writes)
        self._commit_topics(writes)
        for task_id in writes.archived_outputs:
            assert self.tasks[task_id].output is not None, "only a stored output can be archived"
        for keys in writes.run_keys:
            self.run_rows[keys.run_id] = _replace(self.run_rows[keys.run_id], keys=keys.keys)
        self._commit_runs(writes)
        for replaced in writes.replaced_outputs:
            self.outputs[replaced.task_id, replaced.retry_count] = replaced.output
        self._commit_durable(writes)

    def _commit_topics(self, writes: Writes) -> None:
        for topic in writes.topics:
            self.topics[topic.id] = topic
        for producer in writes.producers:
            self.producers[producer.topic_id, producer.name] = producer
        for message in writes.messages:
            kept = self.messages[message.topic_id]
            assert message.number == len(kept) + 1, "numbers of a topic have no gap"
            assert not kept or message.id > kept[-1].id, "ids of messages grow with their numbers"
            kept.append(message)

    def _commit_durable(self, writes: Writes) -> None:
        for log in writes.durable_tasks:
            self.logs[log.task_id] = log
            self.news.pop(log.task_id, None)
        for branch in writes.durable_branches:
            known = [row.branch_id for row in self.branches[branch.task_id]]
            assert branch.branch_id not in known, "a branch is taken once"
            self.branches[branch.task_id].append(branch)
        for entry in writes.durable_entries:
            place = entry.branch_id, entry.node_id
            before = self.entries[entry.task_id].get(place)
            if before is not None:
                entry = _replace(
                    before,
                    label=entry.label,
                    child_run_id=entry.child_run_id,
                    wait=entry.wait,
                    due_at_us=entry.due_at_us,
                    event_keys=entry.event_keys,
                    is_awaited=entry.is_awaited,
                    is_on_path=entry.is_on_path,
                    satisfied_at_us=entry.satisfied_at_us,
                    order=entry.order,
                    result=before.result if entry.result is None else entry.result,
                )
            self.entries[entry.task_id][place] = entry
        for memo in writes.memos:
            place = memo.branch_id, memo.node_id
            kept = self.entries[memo.task_id].get(place)
            if kept is not None and kept.kind is EntryKind.MEMO and kept.satisfied_at_us is None:
                self.entries[memo.task_id][place] = _replace(
                    kept, satisfied_at_us=memo.satisfied_at_us, result=memo.result
                )
        for gate in writes.gates:
            self.gates[gate.task_id] = gate
        for task_id, run_id in writes.finished_children:
            for entry in self._entries_of(task_id, run_id):
                place = entry.branch_id, entry.node_id
                run = self.runs[run_id]
                at_us = run.finished_at_us if entry.satisfied_at_us is None else entry.satisfied_at_us
                self.entries[task_id][place] = _replace(entry, satisfied_at_us=at_us)
                self.outcomes[task_id, place] = self._outcome(run)
        for task_id, run_id in writes.reopened_children:
            for entry in self._entries_of(task_id, run_id):
                place = entry.branch_id, entry.node_id
                self.entries[task_id][place] = _replace(entry, satisfied_at_us=None, order=None, result=None)
                self.outcomes.pop((task_id, place), None)

        for task_id, event_id in writes.news:
            self.news[task_id].append(event_id)

    def _entries_of(self, task_id: str, run_id: str) -> list[DurableEntryRow]:
        return [entry for entry in self.entries[task_id].values() if entry.child_run_id == run_id]

    def _outcome(self, run: RunState) -> Outcome:
        tasks = [self.tasks[i] for i in sorted(self.tasks_of[run.id])]
        if run.status is not RunStatus.COMPLETED:
            errors = [t.error for t in tasks if t.error is not None and t.status.value == run.status.value]
            return True, None, "\n".join(errors) or None
        if not self.run_rows[run.id].is_dag:
            return False, self.outputs.get((run.id, tasks[0].retry_count)), None
        names = {task.id: self.task_rows[task.id].name for task in tasks}
        given = {names[t.id]: t.output for t in tasks if t.output is not None}
        return (
            False,
            msgspec.json.encode({name: msgspec.Raw(text.encode()) for name, text in given.items()}).decode(),
            None,
        )

    def _commit_calendar(self, writes: Writes) -> None:
        for cron_id in writes.deleted_crons:
            self.crons.pop(cron_id, None)
        for cron in writes.crons:
            self.crons[cron.id] = cron
        names = {(row.workflow_id, row.expression, row.name) for row in self.crons.values()}
        assert len(names) == len(self.crons), "workflow, expression and name of a cron are unique"
        for tick in writes.cron_ticks:
            self.crons[tick.cron_id] = _replace(self.crons[tick.cron_id], last_tick_us=tick.at_us)
        for schedule in writes.schedules:
            self.schedules[schedule.id] = schedule
        for schedule_id in writes.deleted_schedules:
            self.schedules.pop(schedule_id, None)
        for row in list(self.schedules.values()):
            if row.workflow_id in writes.cleared_workflows:
                del self.schedules[row.id]

    def _commit_runs(self, writes: Writes) -> None:
        for new_run in writes.new_runs:
            assert new_run.row.id not in self.run_rows, "a run is made once"
            self.run_rows[new_run.row.id] = new_run.row
            self._put_run(new_run.state)
            if new_run.row.parent_task_id is not None:
                self.children_of[new_run.row.parent_task_id].append(new_run.row.id)
        for run in writes.runs:
            assert run.id in self.runs, "a run is made before it changes"
            self._put_run(run)
        for new_task in writes.new_tasks:
            assert new_task.row.id not in self.task_rows, "a task is made once"
            self.task_rows[new_task.row.id] = new_task.row
            self.tasks_of[new_task.row.run_id].append(new_task.row.id)
            self._put_task(new_task.state)
        for task in writes.tasks:
            assert task.id in self.tasks, "a task is made before it changes"
            self._put_task(task)
        for entry in writes.task_events:
            history = self.history[entry.task_id]
            assert entry.seq == len(history) + 1, f"history of {entry.task_id} has a gap"
            history.append(entry)

    def _put_run(self, run: RunState) -> None:
        assert (run.finished_at_us is not None) is (run.status in TERMINAL_RUN)
        self.runs[run.id] = run
        if run.finished_at_us is None:
            self.live[run.id] = None
        else:
            self.live.pop(run.id, None)

    def _put_task(self, task: TaskState) -> None:
        assert (task.finished_at_us is not None) is (task.status in TERMINAL)
        assert task.output is None or task.status in (TaskStatus.COMPLETED, TaskStatus.SKIPPED)
        assert task.status is not TaskStatus.RUNNING or task.assigned_at_us is not None
        assert 1 <= task.queue_priority <= 4
        self.tasks[task.id] = task
        if task.output is not None:
            self.outputs[task.id, task.retry_count] = task.output

    # Reading, as `storage/loader.py` -------------------------------------------------------------------------------

    def load_live(self, now_us: int, waiting_max: int) -> Loaded:
        asleep = [run_id for run_id in sorted(self.live) if self._sleeps(run_id)]
        live = sorted(set(self.live) - set(asleep))
        waiting = [run_id for run_id in live if self._only_waits(run_id)]
        is_long = len(waiting) > waiting_max
        hot = sorted(set(live) - set(waiting)) if is_long else live
        newest: dict[str, VersionRow] = {}
        for version in self.versions.values():
            known = newest.get(version.workflow_id)
            if known is None or version.ordinal > known.ordinal:
                newest[version.workflow_id] = version
        used = {self.run_rows[run_id].version_id for run_id in self.live} | {v.id for v in newest.values()}
        referred = {
            self.tasks[task_id].worker_id
            for run_id in self.live
            for task_id in self.tasks_of[run_id]
            if self.tasks[task_id].finished_at_us is None
        }
        workers = [row for row in self.workers.values() if row.updated_at_us > now_us - DAY_US or row.id in referred]
        return Loaded(
            workflows=tuple(sorted(self.workflows.values(), key=lambda row: row.id)),
            versions=tuple(
                sorted((self.versions[i] for i in used), key=lambda version: (version.workflow_id, version.ordinal))
            ),
            workers=tuple(sorted(workers, key=lambda row: row.id)),
            runs=tuple(self._run(run_id, may_have_spawned=_has_run) for run_id in hot),
            rate_limits=tuple(self.limits[key] for key in sorted(self.limits)),
            cold=self._cold(waiting) if is_long else (),
            quotas=dict(self.quotas),
            quota_usage=tuple(self.quota_usage[resource] for resource in sorted(self.quota_usage)),
            filters=tuple(self.filters[key] for key in sorted(self.filters)),
            crons=tuple(self.crons[i] for i in sorted(self.crons)),
            schedule_page=self._page((calendar.INSTANT_US_MIN - 1, "")),
            claims={claim.digest: pack(claim.run_id, claim.expires_at_us) for claim in self.claims.values()},
            dormant=tuple(map(self._sleeper, asleep)),
        )

    def set_quotas(self, limits: dict[Resource, int | None]) -> None:
        """As `storage/quotas.py`; the journal has no part in it."""
        self.quotas = dict(limits)

    def load_missing(self, missing: Missing) -> Loaded:
        run_ids = {i for i in missing.tasks if i in self.run_rows}
        run_ids |= {self.task_rows[i].run_id for i in missing.tasks if i in self.task_rows}
        versions = {self.run_rows[run_id].version_id for run_id in run_ids}
        return Loaded(
            versions=tuple(self.versions[i] for i in sorted(versions)),
            workers=tuple(self.workers[i] for i in sorted(missing.workers) if i in self.workers),
            runs=tuple(self._run(run_id, may_have_spawned=lambda _: True) for run_id in sorted(run_ids)),
            schedules=tuple(row for row in self._planned() if row.id in missing.schedules),
            schedule_page=None if missing.schedules_after is None else self._page(missing.schedules_after),
            events=tuple(event for query in sorted(missing.events, key=repr) for event in self._past(query)),
            pushed=tuple(self._pushed(self.pushed[i]) for i in sorted(missing.pushed) if i in self.pushed),
            topics=tuple(self.topics[i] for i in sorted(missing.topics) if i in self.topics),
            producers=tuple(self.producers[i] for i in sorted(missing.producers) if i in self.producers),
            topic_count=len(self.topics) if missing.counts_topics else None,
        )

    def topic_page(self, topic_id: str, after: Position | None) -> TopicPage:
        """As `storage/topics.py`, in pages of two."""
        if topic_id not in self.topics:
            return TopicPage((), None)
        kept = self.messages[topic_id]
        behind = 0 if after is None else after.number
        return TopicPage(tuple(kept[behind : behind + 2]), Position(kept[-1].number, kept[-1].id))

    def _pushed(self, event: EventRow) -> PushedEvent:
        run_ids = (row.id for row in self.run_rows.values() if row.triggering_event_id == event.id)
        return PushedEvent(event.id, event.seen_at_us, tuple(sorted(run_ids)))

    def _past(self, query: EventQuery) -> list[PastEvent]:
        found = [
            row
            for row in self.pushed.values()
            if (row.key, row.scope) == (query.key, query.scope) and row.seen_at_us >= query.since_us
        ]
        found.sort(key=lambda row: row.id, reverse=True)
        return [_past(row) for row in found[: query.count_max]]

    def _sleeps(self, run_id: str) -> bool:
        row = self.run_rows[run_id]
        return not row.is_dag and not row.keys and self.tasks[run_id].status is TaskStatus.EVICTED

    def _sleeper(self, task_id: str) -> DormantTask:
        told = self.logs[task_id].order_at_eviction
        entries = [entry for entry in self.entries[task_id].values() if entry.is_on_path]
        has_news = any(
            (
                entry.is_awaited
                and entry.satisfied_at_us is not None
                and (entry.order is None or told is None or entry.order > told)
            )
            or self.is_child_over(entry)
            for entry in entries
        )
        has_news = has_news or bool(self.news.get(task_id))
        due_at_us = min((entry.due_at_us for entry in entries if entry.due_at_us is not None), default=None)
        waits = [entry.wait for entry in entries if entry.event_keys and entry.wait is not None]
        return DormantTask(task_id, due_at_us, events_of(waits), has_news)

    def is_child_over(self, entry: DurableEntryRow) -> bool:
        """Whether the entry's child has ended and the log does not say so."""
        child = entry.child_run_id
        return child is not None and entry.satisfied_at_us is None and self.runs[child].finished_at_us is not None

    def has_started(self, task_id: str) -> bool:
        """Whether the worker has said that it began what it was assigned last."""
        return any(_starts(self.history[task_id], self.tasks[task_id]))

    def _log(self, task_id: str) -> LoadedLog:
        entries = sorted(self.entries[task_id].items())
        return LoadedLog(
            self.logs[task_id],
            tuple(self.branches[task_id]),
            tuple((_replace(entry, result=None), self.is_child_over(entry)) for _, entry in entries),
            tuple(_past(self.pushed[event_id]) for event_id in self.news.get(task_id, ())),
        )

    def _planned(self) -> list[ScheduleRow]:
        return sorted(self.schedules.values(), key=lambda row: (row.trigger_at_us, row.id))

    def _page(self, after: tuple[int, str]) -> SchedulePage:
        rows = [row for row in self._planned() if (row.trigger_at_us, row.id) > after]
        size = calendar.PAGE_SCHEDULES_MAX
        return SchedulePage(tuple(rows[:size]), is_last=len(rows) <= size)

    def _only_waits(self, run_id: str) -> bool:
        row = self.run_rows[run_id]
        if row.is_dag or row.keys or row.desired_labels or row.desired_worker_id:
            return False
        task = self.tasks[run_id]
        return (
            self.runs[run_id].status is RunStatus.QUEUED
            and task.status is TaskStatus.QUEUED
            and task.retry_count == 0
            and task.queue_priority < RETRY_PRIORITY
            and task.batch_id is None
        )

    def _cold(self, run_ids: list[str]) -> tuple[ColdTasks, ...]:
        """Segments of ids per queue and priority, as they fill up, then what is left."""
        open_: dict[tuple[str, int], list[tuple[TaskState, TaskRow]]] = {}
        closed: list[ColdTasks] = []
        for task in sorted((self.tasks[i] for i in run_ids), key=lambda task: (task.queued_at_us or 0, task.id)):
            row = self.task_rows[task.id]
            line = row.definition_id, task.queue_priority
            open_.setdefault(line, []).append((task, row))
            if len(open_[line]) == backlog.SEGMENT_TASKS_MAX:
                closed.append(_close(line, open_.pop(line)))
        closed += (_close(line, tasks) for line, tasks in open_.items())
        return tuple(closed)

    def _run(self, run_id: str, may_have_spawned: _Predicate) -> LoadedRun:
        task_ids = sorted(self.tasks_of[run_id])
        children = [
            (parent, _child_key(self.run_rows[child]), child)
            for parent in task_ids
            if may_have_spawned(self.tasks[parent])
            for child in self.children_of[parent]
            if self.run_rows[child].child_index is not None or self.run_rows[child].child_key
        ]
        return LoadedRun(
            self.run_rows[run_id],
            self.runs[run_id],
            tuple((self.task_rows[i], self._task(i)) for i in task_ids),
            tuple(sorted(children, key=lambda child: child[2])),
            # A log begins with the first assignment.
            tuple(self._log(i) for i in task_ids if i in self.logs and may_have_spawned(self.tasks[i])),
            tuple(self.gates[i] for i in task_ids if i in self.gates),
        )

    def _task(self, task_id: str) -> TaskState:
        """The row, with its output only if conditions look at it; of a running task, what only its history says is
        added."""
        task = self.tasks[task_id]
        row = self.task_rows[task_id]
        definition = self.versions[self.run_rows[row.run_id].version_id].definition
        if all(rule.parent != row.name for other in definition.tasks for rule in other.conditions):
            task = _replace(task, output=None)
        if task.status is not TaskStatus.RUNNING:
            return task
        history = self.history[task_id]
        started_at_us = task.started_at_us
        if started_at_us is None:
            started_at_us = max(_starts(history, task), default=None)
        return _replace(task, event_count=len(history), started_at_us=started_at_us)


class _Predicate(Protocol):
    def __call__(self, task: TaskState, /) -> bool: ...


def _close(line: tuple[str, int], tasks: list[tuple[TaskState, TaskRow]]) -> ColdTasks:
    due_at_us = min(task.due_at_us for task, _ in tasks if task.due_at_us is not None)
    created_at_us = min(row.created_at_us for _, row in tasks)
    return ColdTasks(*line, b"".join(UUID(task.id).bytes for task, _ in tasks), created_at_us, due_at_us)


def _has_run(task: TaskState) -> bool:
    return task.assigned_at_us is not None or task.retry_count > 0


def _child_key(row: RunRow) -> str:
    return row.child_key or str(row.child_index)


def _starts(history: Iterable[TaskEventRow], task: TaskState) -> Iterable[int]:
    """Of the present assignment."""
    assigned = max((e.seq for e in history if e.type is TaskEventType.ASSIGNED), default=0)
    return (
        e.at_us
        for e in history
        if e.type is TaskEventType.STARTED and e.retry_count == task.retry_count and e.seq > assigned
    )


def _past(row: EventRow) -> PastEvent:
    return PastEvent(row.key, row.scope, row.payload, row.seen_at_us)
