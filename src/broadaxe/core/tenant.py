"""The aggregate: one tenant as a deterministic state machine.

`decide` is one round: it decides commands one after another, fires due timers, makes every possible assignment and
hands over all that came of it. Same commands, same instants, same ids: same decisions. No I/O, no clock, no randomness
happen here; the instant is an argument and ids come from the source given at construction.

A command either applies whole or is refused with a `BroadaxeError` and changes nothing. A report whose fence is stale
is not an error: it is answered `Accepted(is_current=False)`.

Not everything a command may name is in memory: only live runs and recent workers are. `missing` says what has to be
read first and `adopt` takes it in; both are pure, the reading is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, assert_never, cast

import msgspec

from broadaxe.core import (
    admission,
    attempts,
    backlog,
    concurrency,
    conditions,
    dag,
    debounce,
    dormant,
    durable,
    filters,
    firing,
    fleet,
    idempotency,
    occupancy,
    outlook,
    pausing,
    quotas,
    ratelimits,
    triggers,
    waits,
    why,
)
from broadaxe.core.backlog import ColdTasks
from broadaxe.core.batching import UNITS, Batch, BatchGroup
from broadaxe.core.calendar import Cron, Schedule, ScheduleKey, SchedulePage
from broadaxe.core.claims import Claims
from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.attempts import (
    Accepted,
    FailDelivery,
    Outcome,
    RefreshTimeout,
    RefuseDelivery,
    ReleaseSlot,
    ReportAttempt,
)
from broadaxe.core.commands.crons import ChangeCron, CreateCron, DeleteCron, RunCron
from broadaxe.core.commands.durable import (
    BeginMemo,
    BeginWait,
    CompleteMemo,
    EntryRef,
    EvictInvocation,
    FindPlace,
    RegisterSignal,
    ReportWaiting,
    ResumeInvocations,
    SpawnChildren,
)
from broadaxe.core.commands.events import PushEvents
from broadaxe.core.commands.filters import ChangeFilter, CreateFilter, DeleteFilter
from broadaxe.core.commands.needs import NOTHING, EventQuery
from broadaxe.core.commands.outbox import TakeOutbox
from broadaxe.core.commands.quotas import Resource, SetQuotas, ShowQuotas
from broadaxe.core.commands.ratelimits import DeleteRateLimit, ForgetRateLimits, PauseRateLimit, PutRateLimit
from broadaxe.core.commands.schedules import DeleteSchedules, MoveSchedules, RunSchedule, ScheduleRuns
from broadaxe.core.commands.tasks import BranchTask, CancelTasks, ReplayTasks, RestoreTask
from broadaxe.core.commands.triggers import TriggerRuns
from broadaxe.core.commands.workers import (
    CloseDurableStream,
    CloseStream,
    Heartbeat,
    OpenDurableStream,
    OpenStream,
    PauseWorker,
    PutWorkerLabels,
    RegisterWorker,
    UnregisterWorker,
)
from broadaxe.core.commands.workflows import (
    DeleteWorkflow,
    PauseWorkflow,
    PutWorkflow,
    PutWorkflowReply,
    UnpauseWorkflow,
)
from broadaxe.core.decision import (
    CronRow,
    Decision,
    DurableBranchRow,
    DurableEntryRow,
    DurableTaskRow,
    FilterRow,
    GateRow,
    QuotaUsageRow,
    RateLimitRow,
    RunRow,
    RunState,
    ScheduleRow,
    TaskRow,
    TaskState,
    VersionRow,
    WorkerRow,
    WorkflowRow,
)
from broadaxe.core.definition import LabelRequirement, checksum, normalise
from broadaxe.core.dormant import Dormant, DormantTask
from broadaxe.core.durable_log import DurableLog, Entry
from broadaxe.core.keys import RunKeys
from broadaxe.core.lifecycle import TERMINAL_RUN, TaskStatus
from broadaxe.core.model import Run, Task, Version, Worker, Workflow
from broadaxe.core.questions import AnswerT, KeysInUse, LimitUsers, Question, QueuesInUse, TimeToCome, WhyWaiting
from broadaxe.core.queues import Lane, Segment
from broadaxe.core.quotas import WINDOW_US, Quotas
from broadaxe.core.state import CRON_CATCH_UP_US, HOT_TASKS_MAX, State
from broadaxe.core.timers import AlarmKind, Subject
from broadaxe.core.waits import PastEvent, Wait
from broadaxe.errors import BroadaxeError, FailedPrecondition, Internal, InvalidArgument, NotFound

_CANCELLED_BY_USER = "cancelled by a user"
_CANCELLED_BY_WORKER = "cancelled from within the task"
#: Length of an error that is quoted in the reason for another attempt.
_REASON_CHARS_MAX = 1_000


#: Sleeping tasks read back at a time.
_WAKE_MAX = 1_000


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
    quotas: dict[Resource, int | None] = {}
    """The tenant's own limits; None for no limit."""
    quota_usage: tuple[QuotaUsageRow, ...] = ()


class Missing(msgspec.Struct, frozen=True):
    """What has to be read: ids that are not in memory, stored events, and the key after which the next schedules are
    wanted. `tasks` may hold run ids and task ids alike."""

    tasks: frozenset[str] = frozenset()
    workers: frozenset[str] = frozenset()
    schedules: frozenset[str] = frozenset()
    schedules_after: ScheduleKey | None = None
    events: frozenset[EventQuery] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.tasks or self.workers or self.schedules or self.schedules_after or self.events)

    def __or__(self, other: Missing) -> Missing:
        return Missing(
            self.tasks | other.tasks,
            self.workers | other.workers,
            self.schedules | other.schedules,
            self.schedules_after or other.schedules_after,
            self.events | other.events,
        )


_NOTHING_MISSING: Final = Missing()


class Tenant:
    __slots__ = ("_state",)

    def __init__(
        self,
        new_id: Callable[[], str],
        *,
        prioritise_across_queues: bool = False,
        hot_tasks_max: int = HOT_TASKS_MAX,
        enforce_quotas: bool = False,
        quota_window_us: int = WINDOW_US,
        cron_catch_up_us: int = CRON_CATCH_UP_US,
    ) -> None:
        """`prioritise_across_queues`: the most urgent task goes first also among different tasks of one worker.
        `hot_tasks_max`: how many waiting tasks of a lane are kept in memory. `enforce_quotas`: whether the tenant is
        held to its limits. `cron_catch_up_us`: how old a tick may be that is made up after an absence; 0 for none."""
        self._state = State(new_id)
        self._state.cron_catch_up_us = cron_catch_up_us
        self._state.hot_tasks_max = hot_tasks_max
        self._state.prioritise_across_queues = prioritise_across_queues
        if enforce_quotas:
            self._state.quotas = Quotas(quota_window_us)

    # Reading -------------------------------------------------------------------------------------------------------

    def next_due_us(self) -> int | None:
        """When the next round is due even if no command comes: at once (0) when something was taken in since the last
        one that may be assigned, or changes what is."""
        return 0 if self._state.is_restless else self._state.timers.next_due_us()

    def is_live(self, run_or_task_id: str) -> bool:
        return run_or_task_id in self._state.runs or run_or_task_id in self._state.tasks

    def is_at_rest(self) -> bool:
        """Whether nothing will happen here unless somebody asks: no live run, no deadline of any kind."""
        return not self._state.runs and self._state.timers.next_due_us() is None

    def run_of_task(self, task_id: str) -> str | None:
        """The run a live task belongs to."""
        task = self._state.tasks.get(task_id)
        return None if task is None else task.run.id

    def metadata_of_run(self, run_id: str) -> str | None:
        run = self._state.runs.get(run_id)
        return None if run is None else run.row.additional_metadata

    def answer(self, question: Question[AnswerT], now_us: int) -> AnswerT:
        """What live memory says. Call between two rounds; changes nothing."""
        return cast(AnswerT, self._answer(question, now_us))

    def _answer(self, question: object, now_us: int) -> object:
        match question:
            case WhyWaiting():
                return why.why(self._state, question, now_us)
            case TimeToCome():
                return outlook.time_to_come(self._state, question)
            case KeysInUse():
                return occupancy.keys_in_use(self._state, question)
            case QueuesInUse():
                return occupancy.queues_in_use(self._state, now_us)
            case LimitUsers():
                return occupancy.limit_users(self._state, question)
            case _:
                raise AssertionError(f"nobody answers {type(question).__name__}")

    def counts(self) -> dict[str, int]:
        """Gauges for metrics: live runs and tasks, workers, armed timers."""
        state = self._state
        return {
            "runs": len(state.runs),
            "tasks": len(state.tasks),
            "workers": len(state.workers),
            "timers": len(state.timers),
        }

    def missing(self, command: Command) -> Missing:
        """What has to be adopted before `command` can be decided."""
        needs = command.needs
        if needs is NOTHING:
            return _NOTHING_MISSING
        state = self._state
        named = needs.tasks
        if state.cold_lanes or state.dormant:
            named |= needs.live_tasks
        absent = frozenset(i for i in named if i not in state.tasks and i not in state.runs)
        if needs.children:
            absent |= durable.absent_children(state, needs.children)
        schedules = state.calendar.schedules
        return Missing(
            absent,
            needs.workers - state.workers.keys(),
            frozenset(i for i in needs.schedules if i not in schedules),
            events=needs.events,
        )

    # Deciding ------------------------------------------------------------------------------------------------------

    def decide(self, commands: Iterable[Command], now_us: int) -> Decision:
        """One round. The commands are drawn one at a time, each after the one before it was decided."""
        replies: list[Reply | BroadaxeError] = []
        for command in commands:
            try:
                replies.append(self._apply(command, now_us))
            except BroadaxeError as error:
                replies.append(error)
            if self._state.ended:
                self._settle_ended(now_us)
        return self._settle(tuple(replies), now_us)

    def _apply(self, command: Command, now_us: int) -> Reply:
        state = self._state
        match command:
            case ReportAttempt():
                return self._report(command, now_us)
            case TriggerRuns(requests):
                return triggers.trigger(state, requests, now_us)
            case PushEvents(events):
                return triggers.push(state, events, now_us)
            case CreateFilter(workflow_id=workflow_id, scope=scope, expression=expression, payload=payload):
                return filters.create(state, workflow_id, scope, expression, payload, now_us)
            case ChangeFilter():
                filters.change(state, command.filter_id, command.scope, command.expression, command.payload, now_us)
            case DeleteFilter(filter_id):
                filters.delete(state, filter_id)
            case TakeOutbox(requests, hopeless):
                return triggers.take_outbox(state, requests, hopeless, now_us)
            case Heartbeat(worker_id):
                fleet.heartbeat(state, fleet.find(state, worker_id), now_us)
            case PutWorkflow():
                return self._put_workflow(command, now_us)
            case DeleteWorkflow(workflow_id):
                self._delete_workflow(workflow_id, now_us)
            case PauseWorkflow():
                pausing.pause(state, command, now_us)
            case UnpauseWorkflow(workflow_id):
                pausing.unpause(state, workflow_id, now_us)
            case RegisterWorker():
                return fleet.register(state, command, now_us)
            case OpenStream(worker_id, session):
                fleet.open_stream(state, fleet.find(state, worker_id), session, now_us)
            case CloseStream(worker_id, session):
                worker = state.workers.get(worker_id)
                if worker is not None:
                    fleet.close_stream(state, worker, session, now_us)
            case OpenDurableStream(worker_id, stream):
                durable.open_stream(state, fleet.find(state, worker_id), stream, now_us)
            case CloseDurableStream(worker_id, stream):
                worker = state.workers.get(worker_id)
                if worker is not None:
                    durable.close_stream(state, worker, stream, now_us)
            case UnregisterWorker(worker_id):
                fleet.unregister(state, fleet.find(state, worker_id), now_us)
            case PutWorkerLabels(worker_id, labels):
                fleet.put_labels(state, fleet.find(state, worker_id), labels, now_us)
            case PauseWorker(worker_id, is_paused):
                fleet.pause(state, fleet.find(state, worker_id), is_paused, now_us)
            case RefreshTimeout(task_id, by_us):
                return attempts.refresh_timeout(state, self._running(task_id), by_us, now_us)
            case ReleaseSlot(task_id):
                attempts.release_slot(state, self._running(task_id), now_us)
            case CancelTasks(ids):
                return self._cancel(ids, now_us)
            case ReplayTasks(ids):
                return self._replay(ids, now_us)
            case PutRateLimit(key, limit, window_us):
                self._put_rate_limit(key, limit, window_us, now_us)
            case DeleteRateLimit(key):
                self._delete_rate_limit(key)
            case ForgetRateLimits(unused_since_us):
                return ratelimits.forget_unused(state, min(unused_since_us, now_us))
            case PauseRateLimit(key, until_us):
                if key not in state.limits:
                    raise NotFound(f"there is no rate limit {key!r}", field="key")
                return ratelimits.pause(state, key, until_us, now_us)
            case SetQuotas(limits):
                quotas.set_limits(state, limits, now_us)
            case ShowQuotas():
                return quotas.show(state, now_us)
            case CreateCron():
                return firing.create_cron(state, command, now_us)
            case ChangeCron():
                firing.change_cron(state, command, now_us)
            case DeleteCron(cron_id):
                firing.delete_cron(state, cron_id)
            case RunCron(cron_id):
                return firing.run_cron(state, cron_id, now_us)
            case ScheduleRuns():
                return firing.schedule(state, command, now_us)
            case MoveSchedules(moves):
                return firing.move(state, moves, now_us)
            case DeleteSchedules(ids):
                return firing.delete(state, ids)
            case RunSchedule(schedule_id):
                return firing.run_schedule(state, schedule_id, now_us)
            case BeginMemo():
                durable.begin_memo(state, command, now_us)
            case CompleteMemo():
                durable.complete_memo(state, command, now_us)
            case BeginWait():
                durable.begin_wait(state, command, self._past_events(), now_us)
            case SpawnChildren():
                durable.spawn(state, command, now_us)
            case EvictInvocation():
                durable.evict(state, command, now_us)
            case ReportWaiting():
                durable.report_waiting(state, command, now_us)
            case FindPlace():
                return durable.find_place(state, command)
            case ResumeInvocations():
                durable.resume(state, command, now_us)
            case RegisterSignal():
                durable.register_signal(state, command, self._past_events(), now_us)
            case RestoreTask(task_id):
                return durable.restore_by_user(state, task_id, now_us)
            case BranchTask():
                return self._branch(command, now_us)
            case FailDelivery(task_id, retry_count, reason):
                task = self._current(task_id, retry_count)
                if task is not None:
                    attempts.fail_delivery(state, task, reason, now_us)
                    dag.settle_task(state, task, now_us)
            case RefuseDelivery(task_id, retry_count, size_bytes, size_bytes_max):
                task = self._current(task_id, retry_count)
                if task is not None:
                    attempts.refuse_delivery(state, task, size_bytes, size_bytes_max, now_us)
                    dag.settle_task(state, task, now_us)
            case _:
                assert_never(command)
        return None

    def _settle(self, replies: tuple[Reply | BroadaxeError, ...], now_us: int) -> Decision:
        """Assigns what can be assigned, fires what is due, and hands over everything decided since the last round."""
        state = self._state
        # Assigning comes first: a task that finds a free slot at once has not waited too long, whatever its timeout.
        self._follow_up(now_us)
        for kind, subject in state.timers.pop_due(now_us):
            self._ring(kind, subject, now_us)
        self._follow_up(now_us)
        decision = state.ledger.drain(replies)
        state.past_events = ()
        state.forget_finished()
        backlog.freeze(state)
        backlog.want(state)
        firing.trim(state)
        dormant.fall_asleep(state)
        return decision

    def _follow_up(self, now_us: int) -> None:
        """Tells waits' owners and children's parents, and makes every assignment that is possible."""
        state = self._state
        while True:
            self._settle_ended(now_us)
            while state.advanced or state.ended_children:
                advanced, state.advanced = state.advanced, []
                for wait in advanced:
                    owner = wait.owner
                    if isinstance(owner, Entry):
                        durable.advance(state, owner, now_us)
                    else:
                        dag.pass_gate(state, owner, now_us)
                ended, state.ended_children = state.ended_children, []
                for run in ended:
                    if run.finished_at_us is not None:
                        durable.child_finished(state, run, now_us)
            admission.settle(state, now_us)
            if not state.advanced and not state.ended_children and not state.ended:
                return

    def _settle_ended(self, now_us: int) -> None:
        """What nobody has followed up on: the run of a task that ended goes on, or ends, whoever ended the task."""
        ended = self._state.ended
        while ended:
            for task in ended.pop(next(iter(ended))):
                dag.settle_task(self._state, task, now_us)

    def wanted(self) -> Missing:
        """What shall be read now: tasks of the backlog and schedules before they are needed, sleepers that wake up.
        Hand it to `thaw`."""
        state = self._state
        waking = [task_id for task_id, _ in zip(state.waking, range(_WAKE_MAX), strict=False)]
        return Missing(tasks=backlog.wanted_ids(state).union(waking), schedules_after=firing.wanted_after(state))

    def thaw(self, loaded: Loaded, now_us: int) -> None:
        """Takes back in what `wanted` named. Whatever follows from it is for the next round, which is due at once."""
        state = self._state
        awake = [loaded_run for loaded_run in loaded.runs if loaded_run.row.id in state.waking]
        for task_id in list(state.waking)[:_WAKE_MAX]:
            dormant.remove(state, task_id)
        if awake:
            self.adopt(Loaded(versions=loaded.versions, runs=tuple(awake)), now_us)
        by_id = {loaded_run.row.id: loaded_run for loaded_run in loaded.runs}
        self._adopt_versions(loaded)

        def adopt_run(task_id: str) -> Task | None:
            found = by_id.get(task_id)
            if found is None or found.state.status in TERMINAL_RUN or task_id in self._state.runs:
                return None
            task = self._adopt_run(found)[0][0]
            return task if task.status is TaskStatus.QUEUED else None

        backlog.thaw(self._state, adopt_run)
        if loaded.schedule_page is not None:
            firing.adopt_page(self._state, loaded.schedule_page)

    def adopt(self, loaded: Loaded, now_us: int) -> None:
        """Takes in what was read from the tables: at the start everything live, later whatever `missing` named.

        Deadlines stay as they were. Attempts that were running keep running; a worker has 30 s to be heard of again.
        """
        state = self._state
        for row in loaded.workflows:
            workflow = state.workflows[row.id] = Workflow(row)
            if row.deleted_at_us is None:
                state.workflows_by_name[row.name] = workflow
        self._adopt_versions(loaded)
        workers = [Worker(row) for row in loaded.workers if row.id not in state.workers]
        for worker in workers:
            fleet.adopt(state, worker)
        for limit_row in loaded.rate_limits:
            state.limits.setdefault(limit_row.key, ratelimits.Limit(limit_row))
        if loaded.quotas or loaded.quota_usage:
            quotas.adopt(state, loaded.quotas, loaded.quota_usage)
        filters.adopt(state, loaded.filters)
        if loaded.claims:
            idempotency.adopt(state, loaded.claims)
        live: list[tuple[Task, TaskState]] = []
        for loaded_run in loaded.runs:
            if loaded_run.row.id not in state.runs:
                dormant.remove(state, loaded_run.row.id)
                live += self._adopt_run(loaded_run)
                for log in loaded_run.logs:
                    task = state.tasks.get(log.row.task_id)
                    if task is not None:
                        durable.restore_log(state, task, log.row, log.branches, log.entries, log.news, now_us)
                        assert task.log is not None
                        durable.restore_indexes(task.log, loaded_run.children)
        live.sort(key=lambda pair: (pair[0].queued_at_us or 0, pair[0].id))
        ready: list[tuple[Task, TaskState]] = []
        dormant.place(state, loaded.dormant)
        state.past_events += loaded.events
        for task, task_state in live:
            if task.status is TaskStatus.RUNNING:
                attempts.resume(state, task, now_us)
            concurrency.restore(state, task, task_state.concurrency_held)
            if task.status is TaskStatus.QUEUED and concurrency.enter(state, task):
                ready.append((task, task_state))
        ready.sort(key=lambda pair: attempts.ready_since_us(pair[0]))
        for task, task_state in ready:
            if task_state.batch_id is None:
                attempts.make_ready(state, task)
            else:
                admission.gather_again(state, task)
        for task, _ in live:
            durable.wake(state, task, now_us)
            if task.status is TaskStatus.EVICTED:
                # What it was read back for did not end its wait; it goes back to sleep.
                state.evicted.append(task)
        if loaded.cold:
            definitions = {
                definition.id: (version.workflow, definition)
                for version in state.versions.values()
                for definition in version.definitions
            }
            backlog.place(state, loaded.cold, definitions)
        for worker in workers:
            fleet.adopted(state, worker, now_us)
        firing.adopt_crons(state, loaded.crons, now_us)
        firing.adopt_schedules(state, loaded.schedules)
        if loaded.schedule_page is not None:
            firing.adopt_page(state, loaded.schedule_page)

    def resume(self, now_us: int) -> None:
        """Tells that nobody decided for a while although memory is as it was: the process stood still (a suspended
        machine, SIGSTOP), or the database did. Nobody could be heard meanwhile, so what counts the silence of others
        begins anew, as after a load. Then `decide`. O(tasks and workers in memory)."""
        state = self._state
        for worker in state.workers.values():
            fleet.resume(state, worker, now_us)
        for task in state.tasks.values():
            if task.status is TaskStatus.RUNNING:
                attempts.resume(state, task, now_us)

    def _adopt_versions(self, loaded: Loaded) -> None:
        state = self._state
        for row in loaded.versions:
            if row.id in state.versions:
                continue
            version = Version(row, state.workflows[row.workflow_id])
            state.versions[version.id] = version
            latest = version.workflow.latest
            if latest is None or version.ordinal > latest.ordinal:
                version.workflow.latest = version
                state.event_patterns.put(version.workflow)

    def _ring(self, kind: AlarmKind, subject: Subject, now_us: int) -> None:
        state = self._state
        if isinstance(subject, Lane):
            state.unpark(subject)
            return
        if isinstance(subject, Segment):
            subject.due_at_us = None
            backlog.demand(state, subject)
            return
        if isinstance(subject, Cron):
            firing.tick(state, subject, now_us)
            return
        if isinstance(subject, Schedule):
            firing.fire(state, subject, now_us)
            return
        if isinstance(subject, Wait):
            waits.ring(state, subject, now_us)
            return
        if isinstance(subject, DurableLog):
            durable.stall(state, subject, now_us)
            return
        if isinstance(subject, Dormant):
            subject.due_at_us = None
            state.waking[subject.task_id] = None
            return
        if isinstance(subject, BatchGroup):
            admission.ripen(state, subject)
            return
        if isinstance(subject, Quotas):
            quotas.ring(state, subject)
            return
        if isinstance(subject, Claims):
            idempotency.sweep(state, now_us)
            return
        if kind is AlarmKind.DURABLE_STREAM_MISSED:
            assert isinstance(subject, Worker)
            fleet.miss_durable_stream(state, subject, now_us)
            return
        if isinstance(subject, Worker):
            fleet.check_silence(state, subject, now_us)
            return
        if kind is AlarmKind.DELIVERY_UNCONFIRMED:
            subject.confirm_by_us = None
            attempts.stop_on_worker(state, subject)
            attempts.reassign(state, subject, "the worker never confirmed the assignment", now_us)
        else:
            subject.due_at_us = None
            match subject.status:
                case TaskStatus.QUEUED:
                    attempts.time_out_in_queue(state, subject, now_us)
                case TaskStatus.BACKOFF if subject.retry_count == 0:
                    dag.let_in(state, subject, now_us)
                case TaskStatus.BACKOFF:
                    attempts.elapse_backoff(state, subject, now_us)
                case TaskStatus.RUNNING:
                    attempts.time_out(state, subject, now_us)
                case _:
                    raise AssertionError(f"a task that is {subject.status} has no deadline")
        dag.settle_task(state, subject, now_us)

    # Commands ------------------------------------------------------------------------------------------------------

    def _report(self, command: ReportAttempt, now_us: int) -> Accepted:
        task = self._current(command.task_id, command.retry_count, command.batch_id)
        if task is None or self._is_of_former_worker(task, command.worker):
            return Accepted(is_current=False)
        state = self._state
        at_us = attempts.ended_at_us(task, command.at_us, now_us)
        match command.outcome:
            case Outcome.STARTED:
                attempts.start(state, task, now_us, command.at_us)
                return Accepted(is_current=True)
            case Outcome.COMPLETED:
                attempts.complete(state, task, command.payload, now_us, at_us)
            case Outcome.FAILED if command.is_retryable and attempts.is_cut_off_failure(task, now_us):
                reason = (
                    f"the attempt failed after it was cut off from the engine: {command.payload[:_REASON_CHARS_MAX]}"
                )
                attempts.reassign(state, task, reason, now_us)
            case Outcome.FAILED:
                attempts.fail(
                    state,
                    task,
                    command.payload,
                    now_us,
                    is_retryable=command.is_retryable,
                    retry_after_us=command.retry_after_us,
                    at_us=at_us,
                )
            case Outcome.CANCELLED:
                attempts.cancel(state, task, _CANCELLED_BY_WORKER, at_us)
            case _:
                assert_never(command.outcome)
        dag.settle_task(state, task, now_us)
        return Accepted(is_current=True)

    def _current(self, task_id: str, retry_count: int | None, batch_id: str | None = None) -> Task | None:
        """The fence: the task if it runs and `retry_count`, or the batch, is its current attempt."""
        task = self._state.tasks.get(task_id)
        if task is None or task.status is not TaskStatus.RUNNING:
            return None
        if batch_id is not None:
            # A task goes into a batch once per attempt, so the batch names the attempt.
            return task if task.batch_id == batch_id else None
        return task if retry_count is None or retry_count == task.retry_count else None

    def _is_of_former_worker(self, task: Task, worker: str) -> bool:
        """Whether the report is from a worker that had an earlier invocation of the same attempt (section 6.6)."""
        return task.log is not None and worker != task.worker_id and worker in self._state.workers

    def _running(self, task_id: str) -> Task:
        task = self._state.tasks.get(task_id)
        if task is None or task.status is not TaskStatus.RUNNING:
            raise NotFound(f"task run {task_id} is not running", field="task_run_external_id")
        return task

    def _cancel(self, ids: tuple[str, ...], now_us: int) -> tuple[str, ...]:
        state = self._state
        ended: list[str] = []
        for run_or_task_id in dict.fromkeys(ids):
            run = state.runs.get(run_or_task_id)
            if run is not None:
                ended += dag.cancel_run(state, run, _CANCELLED_BY_USER, now_us)
                continue
            task = state.tasks.get(run_or_task_id)
            if task is not None and not task.is_terminal:
                attempts.cancel(state, task, _CANCELLED_BY_USER, now_us)
                ended.append(task.id)
                dag.settle_task(state, task, now_us)
        return tuple(ended)

    def _replay(self, ids: tuple[str, ...], now_us: int) -> tuple[str, ...]:
        state = self._state
        # Several tasks of a run start anew together: once the first has, what comes after both is active.
        wanted: dict[str, tuple[Run, set[int]]] = {}
        for run_or_task_id in dict.fromkeys(ids):
            found = self._replayable(run_or_task_id)
            if found is not None:
                run, positions = found
                wanted.setdefault(run.row.id, (run, set()))[1].update(positions)
        replayed: list[str] = []
        for run, positions in wanted.values():
            was_over = run.finished_at_us is not None
            replayed += dag.replay(state, run, positions, now_us)
            if was_over:
                durable.child_replayed(state, run)
        return tuple(replayed)

    def _replayable(self, run_or_task_id: str) -> tuple[Run, set[int]] | None:
        """The run, and the positions in it that start anew; None when something of that is still active."""
        run = self._state.runs.get(run_or_task_id)
        positions: set[int] = set()
        if run is not None:
            positions = set(range(len(run.tasks)))
        else:
            task = self._state.tasks.get(run_or_task_id)
            if task is not None:
                run = task.run
                positions = dag.with_descendants(run, task.position)
        if run is None or any(task is None for task in run.tasks):
            return None
        on_failure = run.version.on_failure_position
        if on_failure is not None:
            positions.add(on_failure)
        if all((task := run.tasks[position]) is not None and task.is_terminal for position in positions):
            return run, positions
        return None

    def _branch(self, command: BranchTask, now_us: int) -> EntryRef:
        task = self._state.tasks.get(command.task_id)
        if task is None:
            raise NotFound(f"there is no task run {command.task_id}", field="task_external_id")
        if not task.is_terminal:
            raise FailedPrecondition("the task is not over; cancel it first", field="task_external_id")
        if self._replayable(task.id) is None:
            raise FailedPrecondition(
                "tasks that come after it are not over; cancel them first", field="task_external_id"
            )
        fork = durable.branch(self._state, task, command)
        self._replay((task.id,), now_us)
        return fork

    def _past_events(self) -> list[PastEvent]:
        """Events of this round, the newest first, and stored ones that were read for it."""
        pushed = reversed(self._state.ledger.events())
        return [*(PastEvent(e.key, e.scope, e.payload, e.seen_at_us) for e in pushed), *self._state.past_events]

    def _put_rate_limit(self, key: str, limit: int, window_us: int, now_us: int) -> None:
        if not key:
            raise InvalidArgument("a rate limit needs a key", field="key")
        if limit < 0:
            raise InvalidArgument(f"a limit must not be negative, as {limit} is", field="limit")
        ratelimits.put(self._state, key, limit, window_us, now_us)

    def _delete_rate_limit(self, key: str) -> None:
        state = self._state
        limit = state.limits.get(key)
        if limit is None:
            raise NotFound(f"there is no rate limit {key!r}", field="key")
        ratelimits.forget(state, limit)

    def _put_workflow(self, command: PutWorkflow, now_us: int) -> PutWorkflowReply:
        state = self._state
        definition = normalise(command.spec, state.new_id)
        filters.check_declared(command.spec.default_filters)
        digest = checksum(definition)
        workflow = state.workflows_by_name.get(definition.name)
        latest = None if workflow is None else workflow.latest
        if definition.cron_triggers:
            firing.check_declared(state, workflow, definition.cron_triggers, definition.cron_input)
        if workflow is not None and latest is not None and latest.checksum == digest:
            filters.declare(state, workflow, command.spec.default_filters, now_us)
            if definition.cron_triggers:
                firing.declare(state, latest, now_us)
            return PutWorkflowReply(workflow.id, latest.id, latest.ordinal, workflow.updated_at_us)
        if workflow is None:
            workflow = Workflow(
                WorkflowRow(state.new_id(), definition.name, definition.description, now_us, now_us, None)
            )
            state.workflows[workflow.id] = state.workflows_by_name[workflow.name] = workflow
        workflow.description = definition.description
        workflow.updated_at_us = now_us
        ordinal = 1 if latest is None else latest.ordinal + 1
        row = VersionRow(state.new_id(), workflow.id, ordinal, definition.label, digest, definition, now_us)
        version = workflow.latest = state.versions[row.id] = Version(row, workflow)
        state.event_patterns.put(workflow)
        state.ledger.touch_workflow(workflow)
        state.ledger.add_version(row)
        filters.declare(state, workflow, command.spec.default_filters, now_us)
        firing.declare(state, version, now_us)
        quotas.look_again(state, now_us)
        return PutWorkflowReply(workflow.id, version.id, ordinal, now_us)

    def _delete_workflow(self, workflow_id: str, now_us: int) -> None:
        state = self._state
        workflow = state.workflows.get(workflow_id)
        if workflow is None or workflow.deleted_at_us is not None:
            raise NotFound(f"there is no workflow {workflow_id}", field="workflow")
        workflow.deleted_at_us = workflow.updated_at_us = now_us
        del state.workflows_by_name[workflow.name]
        state.event_patterns.put(workflow)
        filters.forget_all(state, workflow)
        state.ledger.touch_workflow(workflow)
        firing.forget_workflow(state, workflow)

    # Loading -------------------------------------------------------------------------------------------------------

    def _adopt_run(self, loaded: LoadedRun) -> list[tuple[Task, TaskState]]:
        """Puts a loaded run into memory; returns its live tasks as they were."""
        state = self._state
        version = state.versions.get(loaded.row.version_id)
        if version is None:
            raise Internal(f"run {loaded.row.id} belongs to version {loaded.row.version_id}, which was not loaded")
        run = Run(loaded.row, version)
        run.status = loaded.state.status
        run.started_at_us = loaded.state.started_at_us
        run.finished_at_us = loaded.state.finished_at_us
        if loaded.row.keys is not None:
            run.keys = msgspec.json.decode(loaded.row.keys, type=RunKeys)
        if loaded.row.desired_labels is not None:
            run.labels = msgspec.json.decode(loaded.row.desired_labels, type=tuple[LabelRequirement, ...])
        state.add_run(run)
        concurrency.restore(state, run, loaded.state.concurrency_held)
        positions = {definition.id: position for position, definition in enumerate(version.definitions)}
        live: list[tuple[Task, TaskState]] = []
        for row, task_state in loaded.tasks:
            task = Task(row.id, run, positions[row.definition_id], task_state.status, row.created_at_us)
            _restore(state, task, task_state)
            state.add_task(task)
            if task.status is TaskStatus.BACKOFF and task.retry_count == 0 and task.due_at_us is not None:
                debounce.restore(state, run, task.due_at_us)
            deadline_us = task.deadline_us
            if deadline_us is not None:
                state.timers.arm(deadline_us, AlarmKind.TASK_DUE, task)
            if task_state.output is not None:
                task.output = task_state.output
                conditions.judge(run, task)
                task.output = None
            if not task.is_terminal:
                live.append((task, task_state))
            if task.status is TaskStatus.RUNNING:
                task.batch_id = task_state.batch_id
            if task.status is TaskStatus.RUNNING and task.worker is not None and not task.slot_released:
                task.worker.running[task.id] = task
                if task_state.batch_id is None:
                    task.worker.take(task.definition.slots)
                else:
                    self._adopt_batch(task, task.worker, task_state.batch_id)
        for gate in loaded.gates:
            conditions.restore_gate(state, state.tasks[gate.task_id], gate)
        # Children of a log are told apart by it; which keys stand for them it knows itself.
        in_logs = {entry.child_run_id for log in loaded.logs for entry, _ in log.entries}
        for task_id, key, run_id in loaded.children:
            if run_id in in_logs:
                continue
            task = state.tasks[task_id]
            if task.children is None:
                task.children = {}
            task.children[key] = run_id
        if run.status in TERMINAL_RUN:
            state.finished[run.id] = run
        return live

    def _adopt_batch(self, task: Task, worker: Worker, batch_id: str) -> None:
        """Puts a running item back into its batch."""
        state = self._state
        batch = state.batches.get(batch_id)
        if batch is None:
            group = admission.batch_group(state, task, state.queue(task.definition.action_id))
            batch = state.batches[batch_id] = Batch(batch_id, group, worker)
            group.running.add(batch_id)
            worker.take(UNITS)
        task.batch = batch
        batch.live.add(task.id)


def _restore(state: State, task: Task, loaded: TaskState) -> None:
    task.is_new = False
    task.retry_count = loaded.retry_count
    task.app_retry_count = loaded.app_retry_count
    task.internal_retry_count = loaded.internal_retry_count
    task.queue_priority = loaded.queue_priority
    task.worker_id = loaded.worker_id
    task.worker = None if loaded.worker_id is None else state.workers.get(loaded.worker_id)
    task.slot_released = loaded.slot_released
    task.event_count = loaded.event_count
    task.queued_at_us = loaded.queued_at_us
    task.assigned_at_us = loaded.assigned_at_us
    task.started_at_us = loaded.started_at_us
    task.finished_at_us = loaded.finished_at_us
    task.due_at_us = loaded.due_at_us
    task.error = loaded.error
