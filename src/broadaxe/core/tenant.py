"""The aggregate: one tenant as a deterministic state machine.

`decide` is one round: it decides commands one after another, fires due timers, makes every possible assignment and
hands over all that came of it. Same commands, same instants, same ids: same decisions. No I/O, no clock, no randomness
happen here; the instant is an argument and ids come from the source given at construction.

A command either applies whole or is refused with a `BroadaxeError` and changes nothing. A report whose fence is stale
is not an error: it is answered `Accepted(is_current=False)`.

Not everything a command may name is in memory: only live runs and recent workers are. `missing` says what has to be
read first and `adopt` takes it in (`adoption.py`); both are pure, the reading is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never, cast

from broadaxe.core import (
    admission,
    adoption,
    alert_levels,
    alerts,
    attempts,
    audit,
    backlog,
    dag,
    dormant,
    durable,
    filters,
    firing,
    fleet,
    idempotency,
    occupancy,
    outlook,
    pausing,
    publishing,
    quotas,
    ratelimits,
    reports,
    skipping,
    tasks,
    triggers,
    waits,
    why,
    workflows,
)
from broadaxe.core.alerts import Rule, Watch
from broadaxe.core.batching import BatchGroup
from broadaxe.core.calendar import Cron, Schedule
from broadaxe.core.claims import Claims
from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.alerts import DeleteAlertRule, NoteAlertFacts, PutAlertRule
from broadaxe.core.commands.asked import Asked
from broadaxe.core.commands.attempts import (
    FailDelivery,
    RefreshTimeout,
    RefuseDelivery,
    ReleaseSlot,
    ReportAttempt,
    ReportAttempts,
)
from broadaxe.core.commands.crons import BackfillCron, ChangeCron, CreateCron, DeleteCron, RunCron
from broadaxe.core.commands.durable import (
    BeginMemo,
    BeginWait,
    CompleteMemo,
    EvictInvocation,
    FindPlace,
    RegisterSignal,
    ReportWaiting,
    ResumeInvocations,
    SpawnChildren,
)
from broadaxe.core.commands.events import PushEvents
from broadaxe.core.commands.filters import ChangeFilter, CreateFilter, DeleteFilter
from broadaxe.core.commands.needs import NOTHING
from broadaxe.core.commands.outbox import TakeOutbox
from broadaxe.core.commands.quotas import SetQuotas, ShowQuotas
from broadaxe.core.commands.ratelimits import DeleteRateLimit, ForgetRateLimits, PauseRateLimit, PutRateLimit
from broadaxe.core.commands.schedules import DeleteSchedules, MoveSchedules, RunSchedule, ScheduleRuns
from broadaxe.core.commands.tasks import BranchTask, CancelTasks, ReplayTasks, RestoreTask
from broadaxe.core.commands.topics import PublishMessages, ResetTopic
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
from broadaxe.core.commands.workflows import DeleteWorkflow, PauseWorkflow, PutWorkflow, UnpauseWorkflow
from broadaxe.core.decision import Decision
from broadaxe.core.dormant import Dormant
from broadaxe.core.durable_log import DurableLog, Entry
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.loaded import NOTHING_MISSING, Loaded, Missing
from broadaxe.core.model import Task, Worker
from broadaxe.core.questions import AnswerT, KeysInUse, LimitUsers, Question, QueuesInUse, TimeToCome, WhyWaiting
from broadaxe.core.queues import Lane, Segment
from broadaxe.core.quotas import WINDOW_US, Quotas
from broadaxe.core.state import CRON_CATCH_UP_US, HOT_TASKS_MAX, State
from broadaxe.core.timers import AlarmKind, Subject
from broadaxe.core.waits import PastEvent, Wait
from broadaxe.errors import BroadaxeError


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

    def has_runs(self) -> bool:
        """Whether a run is live, also one that sleeps outside memory."""
        return bool(self._state.runs or self._state.dormant)

    def next_skip_us(self) -> int | None:
        """The next instant that time may be skipped to (`skipping.py`); None when nothing is planned."""
        return skipping.next_due_us(self._state)

    def listening(self) -> set[str]:
        """Ids of the workers whose streams are open."""
        return skipping.listening(self._state)

    def is_settled(self) -> bool:
        """Whether no task runs but for those that wait for something."""
        return skipping.is_settled(self._state)

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
            return NOTHING_MISSING
        state = self._state
        named = needs.tasks
        if state.cold_lanes or state.dormant:
            named |= needs.live_tasks
        absent = frozenset(i for i in named if i not in state.tasks and i not in state.runs)
        if needs.children:
            absent |= durable.absent_children(state, needs.children)
        if needs.topics:
            return publishing.missing(state, needs.topics, needs.producers)
        schedules = state.calendar.schedules
        return Missing(
            absent,
            needs.workers - state.workers.keys(),
            frozenset(i for i in needs.schedules if i not in schedules),
            events=needs.events,
            pushed=needs.pushed,
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
                return reports.report(state, command, now_us)
            case ReportAttempts(said):
                for each in said:
                    reports.report(state, each, now_us)
                    if state.ended:
                        self._settle_ended(now_us)
            case TriggerRuns(requests):
                return triggers.trigger(state, requests, now_us)
            case PushEvents(events):
                return triggers.push(state, events, now_us)
            case PublishMessages():
                return publishing.publish(state, command, now_us)
            case ResetTopic():
                publishing.reset(state, command)
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
                return workflows.put(state, command, now_us)
            case DeleteWorkflow(workflow_id):
                workflows.delete(state, workflow_id, now_us)
            case PauseWorkflow():
                pausing.pause(state, command, now_us)
            case UnpauseWorkflow(workflow_id):
                pausing.unpause(state, workflow_id, now_us)
            case RegisterWorker():
                return fleet.register(state, command, now_us)
            case OpenStream(worker_id, session, arrived):
                fleet.open_stream(state, fleet.find(state, worker_id), session, now_us, arrived)
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
                return attempts.refresh_timeout(state, reports.running(state, task_id), by_us, now_us)
            case ReleaseSlot(task_id):
                attempts.release_slot(state, reports.running(state, task_id), now_us)
            case CancelTasks(ids):
                return tasks.cancel(state, ids, now_us)
            case ReplayTasks(ids):
                return tasks.replay(state, ids, now_us)
            case PutRateLimit(key, limit, window_us):
                ratelimits.put(state, key, limit, window_us, now_us)
            case DeleteRateLimit(key):
                ratelimits.delete(state, key)
            case ForgetRateLimits(unused_since_us):
                return ratelimits.forget_unused(state, min(unused_since_us, now_us))
            case PauseRateLimit(key, until_us):
                return ratelimits.pause(state, key, until_us, now_us)
            case SetQuotas(limits):
                quotas.set_limits(state, limits, now_us)
            case ShowQuotas():
                return quotas.show(state, now_us)
            case PutAlertRule():
                return alerts.put(state, command, now_us)
            case DeleteAlertRule(rule_id):
                alerts.delete(state, rule_id, now_us)
            case NoteAlertFacts(rule_id, facts):
                alert_levels.note(state, rule_id, facts, now_us)
            case CreateCron():
                return firing.create_cron(state, command, now_us)
            case ChangeCron():
                firing.change_cron(state, command, now_us)
            case DeleteCron(cron_id):
                firing.delete_cron(state, cron_id)
            case RunCron(cron_id):
                return firing.run_cron(state, cron_id, now_us)
            case BackfillCron():
                return firing.backfill_cron(state, command, now_us)
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
                return tasks.branch(state, command, now_us)
            case FailDelivery():
                reports.fail_delivery(state, command, now_us)
            case RefuseDelivery():
                reports.refuse_delivery(state, command, now_us)
            case Asked():
                return self._apply_asked(command, now_us)
            case _:
                assert_never(command)
        return None

    def _apply_asked(self, asked: Asked, now_us: int) -> Reply:
        state = self._state
        watched = audit.watch(state, asked)
        state.asked_by = asked.by
        try:
            reply = self._apply(asked.command, now_us)
        finally:
            state.asked_by = None
        if watched is not None:
            audit.note(state, asked, watched, reply, now_us)
        return reply

    def _settle(self, replies: tuple[Reply | BroadaxeError, ...], now_us: int) -> Decision:
        """Assigns what can be assigned, fires what is due, and hands over everything decided since the last round."""
        state = self._state
        # Assigning comes first: a task that finds a free slot at once has not waited too long, whatever its timeout.
        self._follow_up(now_us)
        for kind, subject in state.timers.pop_due(now_us):
            self._ring(kind, subject, now_us)
        self._follow_up(now_us)
        if state.alerts.patrols:
            alert_levels.stir(state, now_us)
        decision = state.ledger.drain(replies)
        state.past_events = ()
        state.pushed.clear()
        state.forget_finished()
        backlog.freeze(state)
        backlog.want(state)
        firing.trim(state)
        state.topics.trim()
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
        return adoption.wanted(self._state)

    def thaw(self, loaded: Loaded, now_us: int) -> None:
        """Takes back in what `wanted` named. Whatever follows from it is for the next round, which is due at once."""
        adoption.thaw(self._state, loaded, now_us)

    def adopt(self, loaded: Loaded, now_us: int) -> None:
        """Takes in what was read from the tables: at the start everything live, later whatever `missing` named.

        Deadlines stay as they were. Attempts that were running keep running; a worker has 30 s to be heard of again.
        """
        adoption.adopt(self._state, loaded, now_us)

    def resume(self, now_us: int) -> None:
        """Tells that nobody decided for a while although memory is as it was: the process stood still (a suspended
        machine, SIGSTOP), or the database did. Nobody could be heard meanwhile, so what counts the silence of others
        begins anew, as after a load. Then `decide`. O(tasks and workers in memory)."""
        adoption.resume(self._state, now_us)

    def skip(self, now_us: int) -> None:
        """Tells that time was moved on to `now_us` on purpose. Then `decide`."""
        skipping.skip(self._state, now_us)

    def _ring(self, kind: AlarmKind, subject: Subject, now_us: int) -> None:
        state = self._state
        match subject:
            case Task():
                self._ring_task(kind, subject, now_us)
            case Worker() if kind is AlarmKind.DURABLE_STREAM_MISSED:
                fleet.miss_durable_stream(state, subject, now_us)
            case Worker():
                fleet.check_silence(state, subject, now_us)
            case Lane():
                state.unpark(subject)
            case Segment():
                subject.due_at_us = None
                backlog.demand(state, subject)
            case Cron():
                firing.tick(state, subject, now_us)
            case Schedule():
                firing.fire(state, subject, now_us)
            case Wait():
                waits.ring(state, subject, now_us)
            case DurableLog():
                durable.stall(state, subject, now_us)
            case Dormant():
                subject.due_at_us = None
                state.waking[subject.task_id] = None
            case BatchGroup():
                admission.ripen(state, subject)
            case Quotas():
                quotas.ring(state, subject)
            case Claims():
                idempotency.sweep(state, now_us)
            case Watch():
                alerts.ring(state, subject, now_us)
            case Rule():
                alert_levels.ring_rule(state, subject, now_us)
            case _:
                assert_never(subject)

    def _ring_task(self, kind: AlarmKind, task: Task, now_us: int) -> None:
        state = self._state
        if kind is AlarmKind.DELIVERY_UNCONFIRMED:
            task.confirm_by_us = None
            attempts.stop_on_worker(state, task)
            attempts.reassign(state, task, "the worker never confirmed the assignment", now_us)
        else:
            task.due_at_us = None
            match task.status:
                case TaskStatus.QUEUED:
                    attempts.time_out_in_queue(state, task, now_us)
                case TaskStatus.BACKOFF if task.retry_count == 0:
                    dag.let_in(state, task, now_us)
                case TaskStatus.BACKOFF:
                    attempts.elapse_backoff(state, task, now_us)
                case TaskStatus.RUNNING:
                    attempts.time_out(state, task, now_us)
                case _:
                    raise AssertionError(f"a task that is {task.status} has no deadline")
        dag.settle_task(state, task, now_us)

    def _past_events(self) -> list[PastEvent]:
        """Events of this round, the newest first, and stored ones that were read for it."""
        pushed = reversed(self._state.ledger.events())
        return [*(PastEvent(e.key, e.scope, e.payload, e.seen_at_us) for e in pushed), *self._state.past_events]
