"""A tenant with a clock one can set, ids one can foresee, and tables that are dictionaries.

Owns driving `Tenant` the way the engine does (apply, settle) and keeping what its decisions would have written: the
latest row of every object and the whole history. Refuses to decide anything. Invariant: the same calls on two worlds
give the same decisions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from broadaxe.core.calendar import PAGE_SCHEDULES_MAX, SchedulePage
from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.attempts import Accepted, Outcome, ReportAttempt
from broadaxe.core.commands.events import PushedEvent
from broadaxe.core.commands.needs import EventQuery
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import Heartbeat, OpenStream, RegisterWorker
from broadaxe.core.commands.workflows import PutWorkflow, PutWorkflowReply
from broadaxe.core.decision import (
    AlertRow,
    AlertRuleRow,
    CancelAttempt,
    ClaimRow,
    CronRow,
    Decision,
    DurableAnswer,
    DurableBranchRow,
    DurableEntryRow,
    DurableTaskRow,
    EventRow,
    ExpressionFailureRow,
    FilterRow,
    GateRow,
    RunFinished,
    RunRow,
    RunState,
    ScheduleRow,
    StartAttempt,
    TaskEventRow,
    TaskRow,
    TaskState,
    VersionRow,
    WorkerRow,
    WorkflowRow,
    Writes,
)
from broadaxe.core.definition import (
    ConcurrencyRule,
    ConditionRule,
    FilterSpec,
    IdempotencyRule,
    Sticky,
    TaskSpec,
    WorkflowSpec,
)
from broadaxe.core.dormant import DormantTask, events_of
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import EntryKind, TaskEventType, TaskStatus
from broadaxe.core.loaded import Loaded, LoadedLog, LoadedRun, Missing
from broadaxe.core.state import CRON_CATCH_UP_US, HOT_TASKS_MAX
from broadaxe.core.tenant import Tenant
from broadaxe.core.waits import PastEvent
from broadaxe.errors import BroadaxeError

#: 1 January 2026, noon, UTC.
START_US = 1_767_268_800 * US_PER_S
BEAT_US = 4 * US_PER_S
DAY_US = 86_400 * US_PER_S


class Ids:
    """UUIDv7 texts that count: the time of the world, then 1, 2, 3…"""

    def __init__(self, world: World) -> None:
        self._world = world
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        ms = self._world.now_us // 1000
        digits = f"{ms:012x}7000{0x8000:04x}{self._count:012x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class World:
    def __init__(
        self,
        now_us: int = START_US,
        hot_tasks_max: int = HOT_TASKS_MAX,
        cron_catch_up_us: int = CRON_CATCH_UP_US,
    ) -> None:
        self.now_us = now_us
        self.ids = Ids(self)
        self._cron_catch_up_us = cron_catch_up_us
        self.tenant = Tenant(self.ids, hot_tasks_max=hot_tasks_max, cron_catch_up_us=cron_catch_up_us)
        self.sessions = 0
        self.beating: dict[str, None] = {}
        """Workers that `advance` keeps alive with a heartbeat every 4 s."""
        self.decisions: list[Decision] = []
        self.workflows: dict[str, WorkflowRow] = {}
        self.versions: dict[str, VersionRow] = {}
        self.run_rows: dict[str, RunRow] = {}
        self.runs: dict[str, RunState] = {}
        self.task_rows: dict[str, TaskRow] = {}
        self.tasks: dict[str, TaskState] = {}
        self.workers: dict[str, WorkerRow] = {}
        self.pushed: dict[str, EventRow] = {}
        self.history: dict[str, list[TaskEventRow]] = defaultdict(list)
        self.outputs: dict[tuple[str, int], str] = {}
        """Every output an attempt ever had, by (task id, retry count)."""
        self.finishes: list[RunFinished] = []
        self.claims: dict[bytes, ClaimRow] = {}
        self.filters: dict[str, FilterRow] = {}
        self.failures: list[ExpressionFailureRow] = []
        self.logs: dict[str, DurableTaskRow] = {}
        self.news: dict[str, list[str]] = defaultdict(list)
        self.branches: dict[str, list[DurableBranchRow]] = defaultdict(list)
        self.entries: dict[tuple[str, int, int], DurableEntryRow] = {}
        self.gates: dict[str, GateRow] = {}
        self.read_back: list[set[str]] = []
        """Tasks that were read again because the tenant wanted them."""
        self.crons: dict[str, CronRow] = {}
        self.schedules: dict[str, ScheduleRow] = {}
        self.alert_rules: dict[str, AlertRuleRow] = {}
        self.alerts: dict[str, AlertRow] = {}

    # Driving -------------------------------------------------------------------------------------------------------

    def do(self, command: Command) -> Reply:
        """A round of one command. Raises what it is refused with."""
        return self.round(command)[0]

    def round(self, *commands: Command) -> list[Reply]:
        """A round of these commands, none of which may be refused; what they name and memory has forgotten is read back
        first."""
        replies: list[Reply] = []
        for reply in self.decide(*commands).replies:
            if isinstance(reply, BroadaxeError):
                raise reply
            replies.append(reply)
        return replies

    def decide(self, *commands: Command) -> Decision:
        """One round, and whatever follows from it at the same instant."""
        for command in commands:
            missing = self.tenant.missing(command)
            if missing:
                self.tenant.adopt(self.read(missing), self.now_us)
        decision = self.tenant.decide(commands, self.now_us)
        self.decisions.append(decision)
        self._write(decision.writes)
        self.finishes += [effect for effect in decision.effects if isinstance(effect, RunFinished)]
        wanted = self.tenant.wanted()
        if wanted:
            self.read_back.append(set(wanted.tasks))
            self.tenant.thaw(self.read(wanted), self.now_us)
            self.decide()
        return decision

    def advance(self, by_s: float) -> None:
        """Lets time pass, settling at every deadline on the way; workers that beat do so every 4 s."""
        until_us = self.now_us + round(by_s * US_PER_S)
        next_beat_us = self.now_us + BEAT_US
        while True:
            due_us = self.tenant.next_due_us()
            stop_us = min(until_us, next_beat_us, max(self.now_us, until_us if due_us is None else due_us))
            self.now_us = stop_us
            if stop_us == next_beat_us:
                next_beat_us += BEAT_US
                self.round(*(Heartbeat(worker_id) for worker_id in self.beating))
            else:
                self.decide()
            due_us = self.tenant.next_due_us()
            if self.now_us >= until_us and (due_us is None or due_us > until_us):
                return

    # Making things -------------------------------------------------------------------------------------------------

    def put(
        self,
        *tasks: TaskSpec,
        name: str = "flow",
        on_failure: TaskSpec | None = None,
        event_triggers: tuple[str, ...] = (),
        default_priority: int | None = None,
        idempotency: IdempotencyRule | None = None,
        default_filters: tuple[FilterSpec, ...] = (),
        cron_triggers: tuple[str, ...] = (),
        cron_input: str | None = None,
        concurrency: tuple[ConcurrencyRule, ...] = (),
        key_task: TaskSpec | None = None,
        sticky: Sticky | None = None,
    ) -> PutWorkflowReply:
        spec = WorkflowSpec(
            name=name,
            tasks=tasks,
            on_failure=on_failure,
            event_triggers=event_triggers,
            default_priority=default_priority,
            idempotency=idempotency,
            default_filters=default_filters,
            cron_triggers=cron_triggers,
            cron_input=cron_input,
            concurrency=concurrency,
            key_task=key_task,
            sticky=sticky,
        )
        reply = self.do(PutWorkflow(spec))
        assert isinstance(reply, PutWorkflowReply)
        return reply

    def worker(self, *tasks: str, slots: dict[str, int] | None = None, service: str = "flow") -> str:
        """A registered worker with an open stream, which beats; `tasks` are the names it can run."""
        actions = tuple(task if ":" in task else f"{service}:{task}" for task in tasks)
        worker_id = self.do(RegisterWorker("worker", actions, {"default": 100} if slots is None else slots))
        assert isinstance(worker_id, str)
        self.open(worker_id)
        self.beating[worker_id] = None
        return worker_id

    def open(self, worker_id: str) -> int:
        self.sessions += 1
        self.do(OpenStream(worker_id, self.sessions))
        return self.sessions

    def trigger(
        self,
        workflow: str = "flow",
        *,
        run_input: str = "{}",
        additional_metadata: str | None = None,
        priority: int | None = None,
        parent_task_id: str | None = None,
        child_index: int | None = None,
        child_key: str | None = None,
    ) -> str:
        request = RunRequest(
            workflow_name=workflow,
            input=run_input,
            additional_metadata=additional_metadata,
            priority=priority,
            parent_task_id=parent_task_id,
            child_index=child_index,
            child_key=child_key,
        )
        (run_id,) = self.do(TriggerRuns((request,)))  # type: ignore[misc]
        assert isinstance(run_id, str)
        return run_id

    # Reporting -----------------------------------------------------------------------------------------------------

    def started(self, task_id: str, retry_count: int | None = None) -> bool:
        return self.report(task_id, Outcome.STARTED, retry_count=retry_count)

    def complete(self, task_id: str, output: str = "{}", retry_count: int | None = None) -> bool:
        return self.report(task_id, Outcome.COMPLETED, output, retry_count=retry_count)

    def fail(
        self,
        task_id: str,
        error: str = "it broke",
        *,
        retry_count: int | None = None,
        is_retryable: bool = True,
        retry_after_us: int | None = None,
    ) -> bool:
        return self.report(
            task_id,
            Outcome.FAILED,
            error,
            retry_count=retry_count,
            is_retryable=is_retryable,
            retry_after_us=retry_after_us,
        )

    def report(
        self,
        task_id: str,
        outcome: Outcome,
        payload: str = "",
        *,
        retry_count: int | None = None,
        is_retryable: bool = True,
        retry_after_us: int | None = None,
    ) -> bool:
        """Whether the report was current. Without a retry count it is about the attempt the tables show."""
        if retry_count is None and task_id in self.tasks:
            retry_count = self.tasks[task_id].retry_count
        reply = self.do(ReportAttempt(task_id, retry_count, outcome, payload, is_retryable, retry_after_us))
        assert isinstance(reply, Accepted)
        return reply.is_current

    # Looking -------------------------------------------------------------------------------------------------------

    def task_of(self, run_id: str, name: str) -> str | None:
        """The id of a run's task, None while it does not exist."""
        return next((row.id for row in self.task_rows.values() if row.run_id == run_id and row.name == name), None)

    def task(self, run_id: str, name: str) -> str:
        task_id = self.task_of(run_id, name)
        assert task_id is not None, f"the run has no task {name} yet"
        return task_id

    def status(self, task_id: str) -> TaskStatus:
        return self.tasks[task_id].status

    def statuses(self, run_id: str) -> dict[str, TaskStatus]:
        """Task name -> status, of the tasks that exist."""
        return {row.name: self.tasks[row.id].status for row in self.task_rows.values() if row.run_id == run_id}

    def events(self, task_id: str) -> list[TaskEventType]:
        return [entry.type for entry in self.history[task_id]]

    def starts(self, last: int = 1) -> list[StartAttempt]:
        """Assignments sent by the last few decisions."""
        return [effect for effect in self._effects(last) if isinstance(effect, StartAttempt)]

    def cancels(self, last: int = 1) -> list[CancelAttempt]:
        return [effect for effect in self._effects(last) if isinstance(effect, CancelAttempt)]

    def running(self, worker_id: str) -> list[str]:
        return [
            task.id for task in self.tasks.values() if task.worker_id == worker_id and task.status is TaskStatus.RUNNING
        ]

    def answers(self, last: int = 1) -> list[DurableAnswer]:
        """What durable streams were told by the last few decisions."""
        return [effect for effect in self._effects(last) if isinstance(effect, DurableAnswer)]

    def _effects(self, last: int) -> Iterable[object]:
        return (effect for decision in self.decisions[-last:] for effect in decision.effects)

    # The tables ----------------------------------------------------------------------------------------------------

    def read(self, missing: Missing) -> Loaded:
        """What the loader would find for these ids."""
        run_ids = {i for i in missing.tasks if i in self.run_rows}
        run_ids |= {self.task_rows[i].run_id for i in missing.tasks if i in self.task_rows}
        return Loaded(
            versions=tuple(self.versions[self.run_rows[i].version_id] for i in sorted(run_ids)),
            workers=tuple(self.workers[i] for i in sorted(missing.workers) if i in self.workers),
            runs=tuple(map(self._read_run, sorted(run_ids))),
            schedules=tuple(self.schedules[i] for i in sorted(missing.schedules) if i in self.schedules),
            schedule_page=None if missing.schedules_after is None else self._page(missing.schedules_after),
            events=tuple(event for query in missing.events for event in self._past(query)),
            pushed=tuple(self._pushed(self.pushed[i]) for i in sorted(missing.pushed) if i in self.pushed),
        )

    def _pushed(self, event: EventRow) -> PushedEvent:
        run_ids = (row.id for row in self.run_rows.values() if row.triggering_event_id == event.id)
        return PushedEvent(event.id, event.seen_at_us, tuple(sorted(run_ids)))

    def _past(self, query: EventQuery) -> list[PastEvent]:
        found = [
            event
            for event in self.pushed.values()
            if (event.key, event.scope) == (query.key, query.scope) and event.seen_at_us >= query.since_us
        ]
        found.sort(key=lambda event: event.id, reverse=True)
        return [PastEvent(e.key, e.scope, e.payload, e.seen_at_us) for e in found[: query.count_max]]

    def restart(self) -> None:
        """The engine dies and comes back: everything from the rows; sleepers stay asleep, workers connect again."""
        self.tenant = Tenant(self.ids, cron_catch_up_us=self._cron_catch_up_us)
        live = [run_id for run_id, run in self.runs.items() if run.finished_at_us is None]
        asleep = [run_id for run_id in live if self._is_asleep(run_id)]
        loaded = Loaded(
            workflows=tuple(self.workflows.values()),
            versions=tuple(self.versions.values()),
            workers=tuple(self.workers.values()),
            runs=tuple(self._read_run(run_id) for run_id in live if run_id not in asleep),
            crons=tuple(self.crons.values()),
            schedule_page=self._page((-1 << 60, "")),
            alert_rules=tuple(self.alert_rules.values()),
            alerts=tuple(row for row in self.alerts.values() if row.resolved_at_us is None),
            dormant=tuple(map(self._read_sleeper, asleep)),
        )
        self.tenant.adopt(loaded, self.now_us)
        self.decide()
        for worker_id in self.beating:
            self.open(worker_id)

    def _is_asleep(self, run_id: str) -> bool:
        row = self.run_rows[run_id]
        return not row.is_dag and row.keys is None and self.tasks[run_id].status is TaskStatus.EVICTED

    def _read_sleeper(self, task_id: str) -> DormantTask:
        entries = [entry for entry in self.entries.values() if entry.task_id == task_id and entry.is_on_path]
        told = self.logs[task_id].order_at_eviction
        has_news = any(
            (
                entry.is_awaited
                and entry.satisfied_at_us is not None
                and (entry.order is None or told is None or entry.order > told)
            )
            or self._is_child_over(entry)
            for entry in entries
        )
        return DormantTask(
            task_id,
            min((entry.due_at_us for entry in entries if entry.due_at_us is not None), default=None),
            events_of([entry.wait for entry in entries if entry.event_keys and entry.wait is not None]),
            has_news or bool(self.news[task_id]),
        )

    def _is_child_over(self, entry: DurableEntryRow) -> bool:
        child = entry.child_run_id
        return child is not None and entry.satisfied_at_us is None and self.runs[child].finished_at_us is not None

    def _read_log(self, task_id: str) -> LoadedLog:
        entries = [entry for entry in self.entries.values() if entry.task_id == task_id]
        return LoadedLog(
            self.logs[task_id],
            tuple(self.branches[task_id]),
            tuple((msgspec.structs.replace(entry, result=None), self._is_child_over(entry)) for entry in entries),
            tuple(
                PastEvent(row.key, row.scope, row.payload, row.seen_at_us)
                for row in (self.pushed[event_id] for event_id in self.news[task_id])
            ),
        )

    def _page(self, after: tuple[int, str]) -> SchedulePage:
        rows = sorted(self.schedules.values(), key=lambda row: (row.trigger_at_us, row.id))
        rows = [row for row in rows if (row.trigger_at_us, row.id) > after]
        return SchedulePage(tuple(rows[:PAGE_SCHEDULES_MAX]), len(rows) <= PAGE_SCHEDULES_MAX)

    def _read_run(self, run_id: str) -> LoadedRun:
        tasks = [row for row in self.task_rows.values() if row.run_id == run_id]
        members = {row.id for row in tasks}
        children = [
            (row.parent_task_id, row.child_key or str(row.child_index), row.id)
            for row in self.run_rows.values()
            if row.parent_task_id in members and (row.child_key or row.child_index is not None)
        ]
        return LoadedRun(
            self.run_rows[run_id],
            self.runs[run_id],
            tuple((row, self._state_of(row)) for row in tasks),
            tuple((parent, key, child) for parent, key, child in children if parent is not None),
            tuple(self._read_log(row.id) for row in tasks if row.id in self.logs),
            tuple(self.gates[row.id] for row in tasks if row.id in self.gates),
        )

    def _state_of(self, row: TaskRow) -> TaskState:
        """Without its output, unless conditions look at it. The start of a running attempt is in its history only."""
        version = self.versions[self.run_rows[row.run_id].version_id].definition
        watched = {rule.parent for definition in version.tasks for rule in definition.conditions}
        state = self.tasks[row.id]
        if state.status is TaskStatus.RUNNING:
            history = self.history[row.id]
            started_at_us = state.started_at_us
            for entry in reversed(history):
                if entry.type is TaskEventType.ASSIGNED or started_at_us is not None:
                    break
                started_at_us = entry.at_us if entry.type is TaskEventType.STARTED else None
            state = msgspec.structs.replace(state, event_count=len(history), started_at_us=started_at_us)
        return state if row.name in watched else msgspec.structs.replace(state, output=None)

    def _write(self, writes: Writes) -> None:
        self.alert_rules |= {row.id: row for row in writes.alert_rules}
        self.alerts |= {row.id: row for row in writes.alerts}
        for gone in writes.deleted_alert_rules:
            self.alert_rules.pop(gone, None)
        for gone in writes.deleted_alerts:
            self.alerts.pop(gone, None)
        self._write_calendar(writes)
        for version in writes.versions:
            self.versions[version.id] = version
        for row in writes.workers:
            self.workers[row.id] = row
        for workflow in writes.workflows:
            self.workflows[workflow.id] = workflow
        for event in writes.events:
            self.pushed[event.id] = event
        for log in writes.durable_tasks:
            self.logs[log.task_id] = log
            self.news.pop(log.task_id, None)
        for task_id, event_id in writes.news:
            self.news[task_id].append(event_id)
        for branch in writes.durable_branches:
            self.branches[branch.task_id].append(branch)
        for entry in writes.durable_entries:
            address = (entry.task_id, entry.branch_id, entry.node_id)
            before = self.entries.get(address)
            if entry.result is None and before is not None:
                entry = msgspec.structs.replace(entry, result=before.result)
            self.entries[address] = entry
        for memo in writes.memos:
            address = (memo.task_id, memo.branch_id, memo.node_id)
            kept = self.entries.get(address)
            if kept is not None and kept.kind is EntryKind.MEMO and kept.satisfied_at_us is None:
                self.entries[address] = msgspec.structs.replace(
                    kept, satisfied_at_us=memo.satisfied_at_us, result=memo.result
                )
        for gate in writes.gates:
            self.gates[gate.task_id] = gate
        for filter_ in writes.filters:
            self.filters[filter_.id] = filter_
        for filter_id in writes.deleted_filters:
            del self.filters[filter_id]
        for claim in writes.claims:
            self.claims[claim.digest] = claim
        for digest in writes.released_claims:
            self.claims.pop(digest, None)
        self.failures += writes.expression_failures
        for new_run in writes.new_runs:
            assert new_run.row.id not in self.run_rows, "a run is made once"
            self.run_rows[new_run.row.id] = new_run.row
            self.runs[new_run.row.id] = new_run.state
        for run in writes.runs:
            assert run.id in self.runs, "a run is made before it changes"
            self.runs[run.id] = run
        for keys in writes.run_keys:
            self.run_rows[keys.run_id] = msgspec.structs.replace(self.run_rows[keys.run_id], keys=keys.keys)
        for task_id in writes.archived_outputs:
            assert self.tasks[task_id].output is not None, "only a stored output can be archived"
        for new_task in writes.new_tasks:
            assert new_task.row.id not in self.task_rows, "a task is made once"
            self.task_rows[new_task.row.id] = new_task.row
            self._put_task(new_task.state)
        for task in writes.tasks:
            assert task.id in self.tasks, "a task is made before it changes"
            self._put_task(task)
        for entry in writes.task_events:
            history = self.history[entry.task_id]
            assert entry.seq == len(history) + 1, "history has no gaps"
            history.append(entry)
        for replaced in writes.replaced_outputs:
            self.outputs[replaced.task_id, replaced.retry_count] = replaced.output

    def _write_calendar(self, writes: Writes) -> None:
        for cron_id in writes.deleted_crons:
            self.crons.pop(cron_id, None)
        for cron in writes.crons:
            self.crons[cron.id] = cron
        for tick in writes.cron_ticks:
            self.crons[tick.cron_id] = msgspec.structs.replace(self.crons[tick.cron_id], last_tick_us=tick.at_us)
        for schedule in writes.schedules:
            self.schedules[schedule.id] = schedule
        for schedule_id in writes.deleted_schedules:
            self.schedules.pop(schedule_id, None)
        for workflow_id in writes.cleared_workflows:
            gone = [row.id for row in self.schedules.values() if row.workflow_id == workflow_id]
            for schedule_id in gone:
                del self.schedules[schedule_id]

    def _put_task(self, task: TaskState) -> None:
        self.tasks[task.id] = task
        if task.output is not None:
            self.outputs[task.id, task.retry_count] = task.output


def task(
    name: str,
    *parents: str,
    service: str = "flow",
    retries: int = 0,
    execution_timeout: str = "",
    schedule_timeout: str = "",
    backoff_factor: float | None = None,
    backoff_max_s: int | None = None,
    slots: dict[str, int] | None = None,
    is_durable: bool = False,
    conditions: tuple[ConditionRule, ...] = (),
) -> TaskSpec:
    """The declaration of a task with action `<service>:<name>`."""
    return TaskSpec(
        name=name,
        action_id=f"{service}:{name}",
        parents=parents,
        retries=retries,
        execution_timeout=execution_timeout,
        schedule_timeout=schedule_timeout,
        backoff_factor=backoff_factor,
        backoff_max_s=backoff_max_s,
        slots=slots or {},
        is_durable=is_durable,
        conditions=conditions,
    )
