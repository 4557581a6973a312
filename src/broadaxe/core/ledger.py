"""Collects what a round decides: which objects changed, what history says, which effects follow.

An object is noted once however often it changes; `drain` takes its final state. That makes one row per object and
round, which is what lets the journal write with one statement per kind of row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from broadaxe.core.claims import expires_at_us, run_id_of
from broadaxe.core.commands import Reply
from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.commands.outbox import RefusedRequest
from broadaxe.core.decision import (
    AlertDeliveryRow,
    AlertRow,
    AlertRuleRow,
    AuditRow,
    ClaimRow,
    CronTick,
    Decision,
    DurableBranchRow,
    Effect,
    EntryCompleted,
    EventRow,
    ExpressionFailureRow,
    MemoRow,
    MessageRow,
    NewRun,
    NewTask,
    ProducerRow,
    ReplacedOutput,
    RunKeysRow,
    ScheduleRow,
    TaskEventRow,
    TopicGrew,
    VersionRow,
    Writes,
)
from broadaxe.core.lifecycle import TaskEventType
from broadaxe.core.model import Filter, Run, Task, Worker, Workflow
from broadaxe.errors import BroadaxeError

if TYPE_CHECKING:
    from broadaxe.core.alerts import Watch
    from broadaxe.core.calendar import Cron
    from broadaxe.core.conditions import Gate
    from broadaxe.core.durable_log import DurableLog, Entry
    from broadaxe.core.quotas import Window
    from broadaxe.core.ratelimits import Limit
    from broadaxe.core.topics import Topic

#: Failed expressions that one round records.
FAILURES_MAX: Final = 100


class Ledger:
    __slots__ = (
        "_alert_deliveries", "_alert_rules", "_alerts", "_archived_outputs", "_audit", "_branches", "_claims",
        "_cleared_workflows", "_cron_ticks", "_crons", "_deleted_alert_rules", "_deleted_alerts", "_deleted_crons",
        "_deleted_filters", "_deleted_limits", "_deleted_schedules", "_effects", "_entries", "_events", "_failures",
        "_filters", "_finished_children", "_gates", "_keys", "_limits", "_logs", "_memos", "_messages", "_new_runs",
        "_news", "_producers", "_refused", "_reopened_children", "_replaced_outputs", "_runs", "_schedules", "_taken",
        "_task_events", "_tasks", "_topics", "_versions", "_watches", "_windows", "_workers", "_workflows",
    )  # fmt: skip

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._workflows: dict[str, Workflow] = {}
        self._versions: list[VersionRow] = []
        self._workers: list[Worker] = []
        self._limits: list[Limit] = []
        self._deleted_limits: list[str] = []
        self._windows: list[Window] = []
        self._new_runs: list[tuple[Run, str]] = []
        self._runs: list[Run] = []
        self._tasks: list[Task] = []
        self._task_events: list[TaskEventRow] = []
        self._events: list[EventRow] = []
        self._filters: list[Filter] = []
        self._deleted_filters: list[str] = []
        self._claims: dict[bytes, bytes | None] = {}
        self._failures: list[ExpressionFailureRow] = []
        self._keys: dict[str, Run] = {}
        self._archived_outputs: list[str] = []
        self._replaced_outputs: list[ReplacedOutput] = []
        self._crons: dict[str, Cron] = {}
        self._cron_ticks: dict[str, CronTick] = {}
        self._deleted_crons: list[str] = []
        self._schedules: dict[str, ScheduleRow] = {}
        self._deleted_schedules: list[str] = []
        self._cleared_workflows: list[str] = []
        self._taken: dict[str, None] = {}
        self._refused: list[RefusedRequest] = []
        self._logs: list[DurableLog] = []
        self._branches: list[DurableBranchRow] = []
        self._entries: list[Entry] = []
        self._finished_children: dict[tuple[str, str], None] = {}
        self._reopened_children: dict[tuple[str, str], None] = {}
        self._gates: list[Gate] = []
        self._memos: dict[tuple[str, int, int], MemoRow] = {}
        self._news: dict[tuple[str, str], None] = {}
        self._audit: list[AuditRow] = []
        self._alert_rules: dict[str, AlertRuleRow] = {}
        self._deleted_alert_rules: list[str] = []
        self._watches: list[Watch] = []
        self._alerts: list[AlertRow] = []
        self._deleted_alerts: list[str] = []
        self._alert_deliveries: list[AlertDeliveryRow] = []
        self._topics: list[Topic] = []
        self._producers: dict[tuple[str, str], ProducerRow] = {}
        self._messages: dict[str, list[MessageRow]] = {}
        self._effects: list[Effect] = []

    def touch_workflow(self, workflow: Workflow) -> None:
        self._workflows[workflow.id] = workflow

    def add_version(self, row: VersionRow) -> None:
        self._versions.append(row)

    def touch_worker(self, worker: Worker) -> None:
        if not worker.is_touched:
            worker.is_touched = True
            self._workers.append(worker)

    def touch_limit(self, limit: Limit) -> None:
        if not limit.is_touched:
            limit.is_touched = True
            self._limits.append(limit)
            if limit.key in self._deleted_limits:
                # Deleted and put again in one batch: the journal deletes after it puts.
                self._deleted_limits.remove(limit.key)

    def forget_limit(self, limit: Limit) -> None:
        if limit in self._limits:
            self._limits.remove(limit)
        self._deleted_limits.append(limit.key)

    def touch_window(self, window: Window) -> None:
        if not window.is_touched:
            window.is_touched = True
            self._windows.append(window)

    def touch_cron(self, cron: Cron) -> None:
        self._crons[cron.id] = cron

    def rewrite_cron(self, cron: Cron) -> None:
        """What makes it the only one of its kind has changed: its row makes room for that of another, which may take
        its place in the same batch, before it comes back."""
        self.delete_cron(cron.id)
        self.touch_cron(cron)

    def tick_cron(self, tick: CronTick) -> None:
        """Of several ticks the last one is what is remembered."""
        self._cron_ticks[tick.cron_id] = tick

    def delete_cron(self, cron_id: str) -> None:
        self._crons.pop(cron_id, None)
        self._cron_ticks.pop(cron_id, None)
        self._deleted_crons.append(cron_id)

    def put_schedule(self, row: ScheduleRow) -> None:
        self._schedules[row.id] = row

    def delete_schedule(self, schedule_id: str) -> None:
        self._schedules.pop(schedule_id, None)
        self._deleted_schedules.append(schedule_id)

    def clear_schedules(self, workflow_id: str) -> None:
        """All of the workflow's, also those that are not in memory."""
        self._cleared_workflows.append(workflow_id)

    def add_run(self, run: Run, run_input: str) -> None:
        run.is_touched = True
        self._new_runs.append((run, run_input))

    def makes(self, run_id: str) -> bool:
        """Whether the run is made in this round. O(runs made in it)."""
        return any(run.id == run_id for run, _ in self._new_runs)

    def touch_run(self, run: Run) -> None:
        if not run.is_touched:
            run.is_touched = True
            self._runs.append(run)

    def touch_keys(self, run: Run) -> None:
        """The run's keys changed after it was made."""
        self._keys[run.id] = run

    def touch_task(self, task: Task) -> None:
        if not task.is_touched:
            task.is_touched = True
            self._tasks.append(task)

    def add_event(self, row: EventRow) -> None:
        self._events.append(row)

    def touch_filter(self, filter_: Filter) -> None:
        if not filter_.is_touched:
            filter_.is_touched = True
            self._filters.append(filter_)

    def forget_filter(self, filter_: Filter) -> None:
        """Its id never comes back, so the journal may delete after it puts."""
        self._deleted_filters.append(filter_.id)

    def touch_claim(self, digest: bytes, packed: bytes | None) -> None:
        """The claim as it stands now (`claims.pack`), None when it ended."""
        self._claims[digest] = packed

    def add_failure(self, row: ExpressionFailureRow) -> None:
        """One round keeps the first `FAILURES_MAX`: an expression that fails tends to fail every time."""
        if len(self._failures) < FAILURES_MAX:
            self._failures.append(row)

    def take(self, outbox_id: str) -> bool:
        """The row of the outbox goes with this round; False if it does already."""
        if outbox_id in self._taken:
            return False
        self._taken[outbox_id] = None
        return True

    def leave(self, outbox_id: str) -> None:
        """The row stays in the outbox after all."""
        del self._taken[outbox_id]

    def refuse(self, refused: RefusedRequest) -> None:
        """A row that is taken is put aside instead of done."""
        self._refused.append(refused)

    def events(self) -> Sequence[EventRow]:
        """Events pushed since the last drain."""
        return self._events

    def touch_log(self, log: DurableLog) -> None:
        if not log.is_touched:
            log.is_touched = True
            self._logs.append(log)

    def add_branch(self, row: DurableBranchRow) -> None:
        self._branches.append(row)

    def touch_entry(self, entry: Entry) -> None:
        if not entry.is_touched:
            entry.is_touched = True
            self._entries.append(entry)

    def touch_gate(self, gate: Gate) -> None:
        if not gate.is_touched:
            gate.is_touched = True
            self._gates.append(gate)

    def keep_memo(self, row: MemoRow) -> None:
        """Of a task that is not in memory. The first value counts."""
        self._memos.setdefault((row.task_id, row.branch_id, row.node_id), row)

    def note_news(self, task_id: str, event_id: str) -> None:
        """The event is for a task that is not in memory, and is shown to it when it is read back."""
        self._news[task_id, event_id] = None

    def add_audit(self, row: AuditRow) -> None:
        self._audit.append(row)

    def put_alert_rule(self, row: AlertRuleRow) -> None:
        self._alert_rules[row.id] = row

    def delete_alert_rule(self, rule_id: str) -> None:
        self._alert_rules.pop(rule_id, None)
        self._deleted_alert_rules.append(rule_id)

    def touch_alert(self, watch: Watch) -> None:
        if not watch.is_touched:
            watch.is_touched = True
            self._watches.append(watch)

    def add_alert(self, row: AlertRow) -> None:
        """One that is over. Its watch goes on under another id."""
        self._alerts.append(row)

    def forget_alert(self, watch: Watch) -> None:
        """Its id never comes back, so the journal may delete after it puts."""
        if watch.is_touched:
            watch.is_touched = False
            self._watches.remove(watch)
        self._deleted_alerts.append(watch.id)

    def add_alert_delivery(self, row: AlertDeliveryRow) -> None:
        self._alert_deliveries.append(row)

    def touch_topic(self, topic: Topic) -> None:
        if not topic.is_touched:
            topic.is_touched = True
            self._topics.append(topic)

    def put_producer(self, row: ProducerRow) -> None:
        self._producers[row.topic_id, row.name] = row

    def add_message(self, row: MessageRow) -> None:
        self._messages.setdefault(row.topic_id, []).append(row)

    def finish_child(self, task_id: str, run_id: str) -> None:
        """The run is over: its outcome goes into the log of the durable task that spawned it."""
        child = task_id, run_id
        self._reopened_children.pop(child, None)
        self._finished_children[child] = None

    def reopen_child(self, task_id: str, run_id: str) -> None:
        """The run was replayed: the outcome in the log is none any more."""
        child = task_id, run_id
        self._finished_children.pop(child, None)
        self._reopened_children[child] = None

    def archive_output(self, task: Task) -> None:
        """Call before the task's output and retry count change."""
        if task.output is None:
            self._archived_outputs.append(task.id)
        else:
            self._replaced_outputs.append(ReplacedOutput(task.id, task.retry_count, task.output))

    def record(
        self,
        task: Task,
        event_type: TaskEventType,
        at_us: int,
        *,
        retry_count: int | None = None,
        message: str = "",
        error: str | None = None,
        worker: Worker | None = None,
    ) -> None:
        """Appends to the task's history. The caller also touches the task unless the entry may be its only trace."""
        task.event_count += 1
        self._task_events.append(
            TaskEventRow(
                task.id,
                task.event_count,
                event_type,
                at_us,
                task.retry_count if retry_count is None else retry_count,
                None if worker is None else worker.id,
                message,
                error,
            )
        )

    def emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def withdraw(self, ref: EntryRef) -> None:
        """The entry has no result any more: what was to be sent of it in this round has nothing to say."""
        self._effects = [e for e in self._effects if not (isinstance(e, EntryCompleted) and e.ref == ref)]

    def drain(self, replies: tuple[Reply | BroadaxeError, ...]) -> Decision:
        """The final state of everything noted since the last drain."""
        writes = Writes()
        writes.workflows = [workflow.row() for workflow in self._workflows.values()]
        writes.versions = self._versions
        for worker in self._workers:
            worker.is_touched = False
            writes.workers.append(worker.row())
        for limit in self._limits:
            limit.is_touched = False
            writes.rate_limits.append(limit.row())
        writes.deleted_rate_limits = self._deleted_limits
        for window in self._windows:
            window.is_touched = False
            writes.quota_usage.append(window.row())
        writes.crons = [cron.row() for cron in self._crons.values()]
        writes.cron_ticks = list(self._cron_ticks.values())
        writes.deleted_crons = self._deleted_crons
        writes.schedules = list(self._schedules.values())
        writes.deleted_schedules = self._deleted_schedules
        writes.cleared_workflows = self._cleared_workflows
        for run, run_input in self._new_runs:
            run.is_touched = False
            writes.new_runs.append(NewRun(run.row, run.state(), run_input))
        for run in self._runs:
            run.is_touched = False
            writes.runs.append(run.state())
        for task in self._tasks:
            task.is_touched = False
            if task.is_new:
                task.is_new = False
                writes.new_tasks.append(NewTask(task.row(), task.state()))
            else:
                writes.tasks.append(task.state())
            task.output = None
        writes.task_events = self._task_events
        writes.events = self._events
        writes.archived_outputs = self._archived_outputs
        writes.replaced_outputs = self._replaced_outputs
        for filter_ in self._filters:
            filter_.is_touched = False
            writes.filters.append(filter_.row())
        writes.deleted_filters = self._deleted_filters
        for digest, packed in self._claims.items():
            if packed is None:
                writes.released_claims.append(digest)
            else:
                writes.claims.append(ClaimRow(digest, run_id_of(packed), expires_at_us(packed)))
        writes.expression_failures = self._failures
        writes.taken = list(self._taken)
        writes.refused = self._refused
        writes.run_keys = [RunKeysRow(run.id, msgspec.json.encode(run.keys).decode()) for run in self._keys.values()]
        for log in self._logs:
            log.is_touched = False
            writes.durable_tasks.append(log.row())
        for entry in self._entries:
            entry.is_touched = False
            writes.durable_entries.append(entry.row())
            entry.result = None
        for gate in self._gates:
            gate.is_touched = False
            writes.gates.append(gate.row())
        writes.durable_branches = self._branches
        writes.finished_children = list(self._finished_children)
        writes.reopened_children = list(self._reopened_children)
        writes.memos = list(self._memos.values())
        writes.news = list(self._news)
        writes.audit = self._audit
        writes.alert_rules = list(self._alert_rules.values())
        writes.deleted_alert_rules = self._deleted_alert_rules
        writes.alerts = self._alerts
        for watch in self._watches:
            watch.is_touched = False
            writes.alerts.append(watch.row())
        writes.deleted_alerts = self._deleted_alerts
        writes.alert_deliveries = self._alert_deliveries
        for topic in self._topics:
            topic.is_touched = False
            writes.topics.append(topic.row)
        writes.producers = list(self._producers.values())
        for topic_id, messages in self._messages.items():
            writes.messages += messages
            self._effects.append(TopicGrew(topic_id, tuple(messages)))
        decision = Decision(writes, self._effects, replies)
        self._clear()
        return decision
