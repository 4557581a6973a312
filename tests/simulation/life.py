"""One simulated life: a tenant, its store, its workers and its users, all moved by one seed.

Every step decides a round of a few random commands at a random instant and commits it, unless the engine crashes
before the commit, after it, or half-way through telling the world; then memory is dropped and loaded again. After
every commit the books are checked. At the end the world is healed and everything acknowledged must come to its end.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import msgspec

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
from broadaxe.core.commands.crons import DeleteCron
from broadaxe.core.commands.durable import CompleteMemo, DurableRequest, EntryRef, RegisterSignal, ReportWaiting
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.filters import ChangeFilter, CreateFilter, DeleteFilter
from broadaxe.core.commands.quotas import Resource, SetQuotas
from broadaxe.core.commands.ratelimits import DeleteRateLimit, ForgetRateLimits, PauseRateLimit, PutRateLimit
from broadaxe.core.commands.tasks import BranchTask, CancelTasks, ReplayTasks, RestoreTask
from broadaxe.core.commands.triggers import TriggerRuns
from broadaxe.core.commands.workers import (
    CloseStream,
    Heartbeat,
    OpenStream,
    PauseWorker,
    PutWorkerLabels,
    RegisterWorker,
    UnregisterWorker,
)
from broadaxe.core.commands.workflows import DeleteWorkflow, PutWorkflow, UnpauseWorkflow
from broadaxe.core.decision import (
    CancelAttempt,
    Decision,
    DropInvocation,
    DurableEffect,
    Effect,
    EntryCompleted,
    EvictionAck,
    StartAttempt,
    StartBatch,
)
from broadaxe.core.definition import KEY_TASK_NAME
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TERMINAL, TERMINAL_RUN, TaskStatus
from broadaxe.core.loaded import Missing
from broadaxe.core.state import HOT_TASKS_MAX
from broadaxe.core.tenant import Tenant
from broadaxe.errors import BroadaxeError, IdempotencyCollision
from tests.simulation import almanac
from tests.simulation.almanac import Almanac
from tests.simulation.books import Books, hold
from tests.simulation.chances import ACTIONS, CONDITION_KEYS, NAMES, STATIC_LIMITS, Chances
from tests.simulation.durable_books import DurableBooks
from tests.simulation.gate_books import GateBooks
from tests.simulation.memory import check_empty, check_logs, check_timers, compare, demand_all, picture
from tests.simulation.programs import EVENT_KEYS, Invocation, Program, Transcripts, Worker, program, some_conditions
from tests.simulation.quota_books import QuotaBooks
from tests.simulation.reasons import check_pages, check_reasons
from tests.simulation.tables import DAY_US, Store, Tables
from tests.simulation.undisturbed import Stories, Twin

#: 1 January 2026, noon, UTC.
START_US = 1_767_268_800 * US_PER_S
BEAT_US = 4 * US_PER_S
DRAIN_TURNS_MAX = 8_000
SETTLES_MAX = 200


class Crash(Enum):
    """Where the engine dies in a step."""

    NOWHERE = auto()
    BEFORE_COMMIT = auto()
    AFTER_COMMIT = auto()
    """Nothing was told to anybody."""
    WHILE_TELLING = auto()
    """Some effects went out."""


@dataclass(slots=True)
class Peer:
    """A worker process, as it is outside of the engine."""

    id: str
    worker: Worker
    """Its durable tasks."""
    session: int | None = None
    """The stream it listens on."""
    opened: int = 0
    """The newest stream the engine was told of; a broken connection may go unnoticed there."""
    is_alive: bool = True
    heard_at_us: int = 0
    attempts: list[tuple[str, int]] = field(default_factory=list)
    """What it was sent and has not reported the end of."""


class Life:
    def __init__(self, seed: int, make_store: Callable[[Tables], Store] | None = None) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.chances = Chances(self.random)
        self.tables = Tables()
        self.store: Store = self.tables if make_store is None else make_store(self.tables)
        self.books = Books(self.tables)
        self.quotas = QuotaBooks(self.tables, self.books, seed)
        self.almanac = Almanac(self.tables, self.quotas)
        self.transcripts = Transcripts(self.tables)
        self.durable_books = DurableBooks(self.tables, self.transcripts)
        self.stories = Stories(self.tables, self.transcripts)
        self.twins: list[Twin] = []
        self.gate_books = GateBooks(self.tables, self.books)
        self.now_us = START_US
        self.ids = 0
        self.sessions = 0
        self.across_queues = self.random.random() < 0.15
        self.hot_tasks_max = self.random.choice((HOT_TASKS_MAX, HOT_TASKS_MAX, 0, 1, 4))
        self.books.across_queues = self.across_queues
        self.books.has_backlog = self.hot_tasks_max < HOT_TASKS_MAX
        self.tenant = self.new_tenant()
        self.peers: dict[str, Peer] = {}
        self.attempts: list[tuple[str, int]] = []
        """Every attempt anybody was ever sent, of tasks that are not durable."""
        self.durables: list[str] = []
        """Durable tasks that were ever started."""
        self.said: list[DurableRequest] = []
        """Messages of invocations of durable tasks."""
        self.streams = 0
        self.heard_at_us = START_US
        """When workers had read everything that was sent to them."""
        self.acknowledged: set[str] = set()
        self.undelivered: list[tuple[str, int]] = []
        self.trace: deque[str] = deque(maxlen=40)
        self.steps = 0
        self.rang = False
        """Whether deadlines were due in the latest round, once its commands were decided."""
        self.commands = 0
        self.crashes = 0

    def new_id(self) -> str:
        self.ids += 1
        digits = f"{self.now_us // 1000:012x}70008000{self.ids:012x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def new_tenant(self) -> Tenant:
        return Tenant(
            self.new_id,
            prioritise_across_queues=self.across_queues,
            hot_tasks_max=self.hot_tasks_max,
            enforce_quotas=self.quotas.is_enforced,
            quota_window_us=self.quotas.window_us,
        )

    # The whole life ------------------------------------------------------------------------------------------------

    def live(self, steps: int) -> None:
        self.set_quotas(self.quotas.limits())
        self.act([self.put_workflow(name) for name in self.random.sample(NAMES, 2)])
        for _ in range(steps):
            self.step()
        self.drain()
        self.depart()
        self.twins = self.stories.tell_again(self.program)

    def set_quotas(self, command: SetQuotas) -> None:
        """People change limits in the tables, and the engine hears of it."""
        if self.quotas.is_enforced:
            self.tables.set_quotas(command.limits)
            if self.store is not self.tables:
                self.store.set_quotas(command.limits)
            self.act([command])

    def step(self) -> None:
        chance = self.random
        crash = chance.choices(list(Crash), (94, 2, 2, 2))[0]
        self.pass_time()
        if chance.random() < 0.02:
            self.stand_still()
        if self.now_us - self.heard_at_us >= 5 * US_PER_S:
            # Messages take no longer than that.
            self.hear(1)
        if self.quotas.random.random() < 0.04:
            self.set_quotas(self.quotas.limits())
        commands = [*self.heartbeats(), *self.quotas.commands(self.now_us)]
        commands += [command for _ in range(chance.choice((0, 1, 1, 2, 3, 6))) if (command := self.command())]
        if self.durables:
            commands += self.durable_commands()
        self.act(commands, crash)
        self.hear(0.8)
        if chance.random() < 0.1:
            self.send_stale_report()
        if chance.random() < 0.1:
            self.send_stale_message()
        if chance.random() < 0.1:
            check_timers(self.tenant)
            check_pages(self.tenant, self.now_us)
            check_logs(self.tenant, self.tables, self.tables.logs)

    def said_us(self) -> int | None:
        """What a worker's clock says, which may go otherwise than ours."""
        return self.random.choice((None, self.now_us, self.now_us - 1_000, self.now_us + 9_000_000, 0))

    def stand_still(self) -> None:
        """The process is stopped, or its database; the engine notices, and memory is as it was."""
        self.now_us += self.random.choice((4, 20, 40, 300)) * US_PER_S
        self.tenant.resume(self.now_us)
        self.books.stood_still(self.now_us)

    def pass_time(self) -> None:
        chance = self.random
        if chance.random() < self.chances.leaps * 0.5:
            self.now_us = almanac.leap(self.chances, self.now_us)
            return
        due_us = self.tenant.next_due_us() or self.now_us
        match chance.randint(0, 11):
            case 0 | 1 | 2:
                pass
            case 3 | 4:
                self.now_us = max(self.now_us, due_us)
            case 5:
                self.now_us = max(self.now_us, due_us - 1)
            case 6:
                self.now_us = max(self.now_us, due_us + 1)
            case 7:
                self.now_us += 1
            case 8 | 9:
                self.now_us += chance.choice((1_000, 200_000, US_PER_S))
            case 10:
                self.now_us += chance.choice((3, 6, 11)) * US_PER_S
            case _:
                self.now_us += chance.choice((0, 31, 70, 400)) * US_PER_S

    # Deciding and committing ---------------------------------------------------------------------------------------

    def act(self, commands: list[Command], crash: Crash = Crash.NOWHERE) -> list[Reply | BroadaxeError]:
        """One round, as the actor makes it; afterwards whatever is due at the same instant."""
        self.steps += 1
        self.commands += len(commands)
        self.trace.append(f"step {self.steps} +{self.now_us - START_US}us {crash.name} {commands}")
        before = self.picture_of(self.tenant) if crash is Crash.BEFORE_COMMIT else None
        self.read_missing(commands)
        expected = self.is_current(commands[0]) if commands else None
        marks: list[tuple[int, int]] = []
        decision = self.tenant.decide(self.one_by_one(commands, marks), self.now_us)
        rang, replies = self.rang, list(decision.replies)
        for place, (command, reply) in enumerate(zip(commands, replies, strict=True)):
            if isinstance(reply, BroadaxeError):
                hold(place != 0 or not self.may_have_signals(command), "a signal is refused", command, reply)
                continue
            if isinstance(command, ReportWaiting):
                self.durable_books.list(command)
            is_right = place != 0 or not isinstance(reply, Accepted) or reply.is_current is expected
            hold(is_right, "fence", command)
        if before is not None:
            self.load(before)
            return []
        self.commit(decision, commands, replies, rang, marks)
        if crash is Crash.NOWHERE or crash is Crash.WHILE_TELLING:
            self.heed(commands, replies)
        effects = decision.effects
        if crash is Crash.WHILE_TELLING:
            effects = effects[: self.random.randint(0, len(effects))]
        if crash is not Crash.AFTER_COMMIT:
            self.tell(effects)
        if crash is not Crash.NOWHERE:
            self.load(self.picture_of(self.tenant))
            return replies
        for _ in range(SETTLES_MAX):
            wanted = self.tenant.wanted()
            due_us = self.tenant.next_due_us()
            if wanted:
                self.tenant.thaw(self.store.load_missing(wanted), self.now_us)
            elif due_us is None or due_us > self.now_us:
                break
            decision = self.tenant.decide(self.one_by_one([], []), self.now_us)
            self.commit(decision, [], [], self.rang, [])
            self.tell(decision.effects)
        else:
            hold(False, "settling does not come to rest")
        check_reasons(self.tenant, self.tables, self.now_us)
        return replies

    def one_by_one(self, commands: list[Command], marks: list[tuple[int, int]]) -> Iterator[Command]:
        """The commands, and how much history and how many events there were after each of them."""
        ledger = self.tenant._state.ledger
        for command in commands:
            yield command
            marks.append((len(ledger._task_events), len(ledger._events)))
        due_us = self.tenant._state.timers.next_due_us()
        self.rang = due_us is not None and due_us <= self.now_us

    def read_missing(self, commands: list[Command]) -> None:
        missing = Missing()
        for command in commands:
            missing |= self.tenant.missing(command)
        if missing:
            if missing.tasks:
                # One of the backlog that is named joins its line anew.
                self.books.keeps_order = self.books.keeps_order and not self.tenant._state.cold_lanes
            self.tenant.adopt(self.store.load_missing(missing), self.now_us)

    def is_due(self) -> bool:
        due_us = self.tenant.next_due_us()
        return due_us is not None and due_us <= self.now_us

    def commit(
        self,
        decision: Decision,
        commands: list[Command],
        replies: list[Reply | BroadaxeError],
        rang: bool,
        marks: list[tuple[int, int]],
    ) -> None:
        if decision.writes:
            self.tables.commit(decision.writes)
            if self.store is not self.tables:
                self.store.commit(decision.writes)
        replayed: set[str] = set()
        told: set[str] = set()
        collisions: list[IdempotencyCollision] = []
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(command, ReplayTasks) and isinstance(reply, tuple):
                replayed |= {self.tables.task_rows[i].run_id for i in reply if isinstance(i, str)}
            if isinstance(command, BranchTask) and isinstance(reply, EntryRef):
                replayed.add(self.tables.task_rows[reply.task_id].run_id)
            if isinstance(command, PutRateLimit | DeleteRateLimit | PauseRateLimit):
                told.add(command.key)
            if isinstance(reply, IdempotencyCollision):
                collisions.append(reply)
        if any(isinstance(command, ForgetRateLimits) for command in commands):
            forgotten = set(decision.writes.deleted_rate_limits) - told
            self.quotas.check_forgotten(forgotten & self.books.limits.keys(), self.now_us)
            told |= forgotten
        self.quotas.observe(decision, commands, replies, self.now_us)
        is_at_rest = not self.tenant.wanted() and not self.is_due()
        self.books.observe(decision, self.now_us, replayed=replayed, limits_told=told, is_at_rest=is_at_rest, rang=rang)
        self.durable_books.observe(decision, replayed=replayed, is_at_rest=is_at_rest)
        check_logs(self.tenant, self.tables, {entry.task_id for entry in decision.writes.durable_entries})
        self.stories.observe(decision, commands, replies, self.now_us)
        self.gate_books.observe(decision, commands, marks, self.now_us, is_at_rest=is_at_rest)
        for collision in collisions:
            self.books.triggers.check_collision(collision, self.now_us)
        self.almanac.observe(decision, commands, self.now_us, is_at_rest=is_at_rest)
        self.check_deadlines()

    def check_deadlines(self) -> None:
        """The tenant wakes up no later than the first deadline its rows carry."""
        tables = self.tables
        deadlines = [
            self.books.deadline_us(task_id)
            for run_id in tables.live
            for task_id in tables.tasks_of[run_id]
            if (task := tables.tasks[task_id]).due_at_us is not None and task.status not in TERMINAL
        ]
        lacking = [row for row in tables.schedules.values() if self.quotas.lacks_room(row.workflow_id, self.now_us)]
        if not any(row.trigger_at_us <= self.now_us for row in lacking):
            deadlines += [row.trigger_at_us for row in tables.schedules.values()]
        elif not all(self.quotas.never_fits(row.workflow_id) for row in lacking):
            deadlines.append(self.quotas.room_at_us())
        if (first_due_us := self.durable_books.first_due_us()) is not None:
            deadlines.append(first_due_us)
        if (first_due_us := self.gate_books.first_due_us(self.now_us)) is not None:
            deadlines.append(first_due_us)
        if deadlines:
            due_us = self.tenant.next_due_us()
            first_us = min(deadlines)
            is_awake = bool(self.tenant.wanted()) or (due_us is not None and due_us <= first_us)
            hold(is_awake, "sleeps past a deadline", due_us, first_us)
        for run_id in self.acknowledged:
            hold(run_id in tables.runs, "an acknowledged run is lost", run_id)

    def load(self, before: dict[str, object]) -> None:
        """The engine comes back from what was committed; its workers have lost their streams."""
        self.crashes += 1
        if not self.chances.durables and self.random.random() < 0.3:
            # A story told again knows nothing of absences: what was due in one ended later than it tells.
            self.now_us += self.random.choice((1, 3, 20, 90, 1_200, 4_000)) * US_PER_S
        loaded = self.store.load_live(self.now_us, self.hot_tasks_max)
        twin, self.tenant = self.new_tenant(), self.new_tenant()
        twin.adopt(loaded, self.now_us)
        compare(self.without_long_silent(before), self.picture_of(twin))
        self.tenant.adopt(loaded, self.now_us)
        self.books.forget_memory(self.now_us)
        self.durable_books.forget_memory()
        self.books.keeps_order = self.hot_tasks_max == HOT_TASKS_MAX
        self.undelivered.clear()
        for peer in self.peers.values():
            peer.session = None
            peer.worker.lose_stream()
        self.act([])
        for peer in list(self.peers.values()):
            if peer.is_alive and self.random.random() < 0.8:
                self.act([self.open(peer)])

    def without_long_silent(self, before: dict[str, Any]) -> dict[str, Any]:
        """Workers that nothing was heard of for a day are not loaded; memory may still know one after a leap."""
        long_ago_us = self.now_us - DAY_US
        workers = {
            i: seen for i, seen in before["workers"].items() if self.tables.workers[i].updated_at_us > long_ago_us
        }
        return before | {"workers": workers}

    def picture_of(self, tenant: Tenant) -> dict[str, object]:
        """With all of its backlog and all that sleeps in memory."""
        demand_all(tenant)
        while wanted := tenant.wanted():
            tenant.thaw(self.store.load_missing(wanted), self.now_us)
        while (after := tenant._state.calendar.horizon) is not None:
            tenant.thaw(self.store.load_missing(Missing(schedules_after=after)), self.now_us)
        return picture(tenant)

    # The world's side ----------------------------------------------------------------------------------------------

    def heed(self, commands: list[Command], replies: list[Reply | BroadaxeError]) -> None:
        """What callers learn."""
        for command, reply in zip(commands, replies, strict=True):
            match command, reply:
                case TriggerRuns(), tuple():
                    self.acknowledged |= {str(run_id) for run_id in reply}
                case TriggerRuns(), IdempotencyCollision():
                    self.acknowledged |= set(reply.started)
                case PushEvents(), tuple():
                    self.acknowledged |= {i for event in reply if not isinstance(event, str) for i in event.run_ids}
                case RegisterWorker(), str():
                    self.peers[reply] = Peer(reply, Worker(self.transcripts, reply), heard_at_us=self.now_us)
                case RegisterSignal(task_id, key), None:
                    self.durable_books.signals.add((task_id, key))
                case DurableRequest(task_id=task_id, invocation_count=number), BroadaxeError():
                    for peer in self.peers.values():
                        peer.worker.refuse((task_id, number), str(reply))

    def tell(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case StartAttempt():
                    self.deliver(effect)
                case StartBatch():
                    for item in effect.items:
                        self.deliver(item)
                case CancelAttempt():
                    peer = self.peers.get(effect.worker_id)
                    attempt = effect.task_id, effect.retry_count
                    if peer is not None and effect.invocation_count is not None and self.random.random() < 0.8:
                        peer.worker.drop(effect.task_id, effect.invocation_count)
                    if peer is not None and attempt in peer.attempts and self.random.random() < 0.8:
                        peer.attempts.remove(attempt)
                case DurableEffect():
                    for peer in self.peers.values():
                        if peer.worker.stream == effect.stream:
                            is_twice = isinstance(effect, EntryCompleted) and self.random.random() < 0.05
                            peer.worker.inbox += [effect] * (1 + is_twice)

    def deliver(self, start: StartAttempt) -> None:
        attempt = start.task_id, start.retry_count
        peer = self.peers.get(start.worker_id)
        hold(peer is not None and peer.opened == start.session, "sent on a stream that is not the newest", attempt)
        assert peer is not None
        if start.invocation_count is not None:
            self.durables.append(start.task_id)
        else:
            self.attempts.append(attempt)
        if peer.session != start.session:
            return
        match self.random.randint(0, 49):
            case 0:
                pass  # Written to a dead connection; nobody will ever hear of it.
            case 1:
                self.undelivered.append(attempt)
            case _ if start.invocation_count is not None:
                steps = self.program(start.task_id)
                peer.worker.start(start.task_id, start.retry_count, start.invocation_count, steps)
            case _:
                peer.attempts.append(attempt)

    def program(self, task_id: str) -> Program:
        """What a durable task does. Children have no children."""
        run = self.tables.run_rows[self.tables.task_rows[task_id].run_id]
        return program(task_id, NAMES if run.parent_run_id is None else ())

    def is_current(self, command: Command) -> bool | None:
        """Whether a report must be accepted, from the rows."""
        if not isinstance(command, ReportAttempt):
            return None
        task = self.tables.tasks.get(command.task_id)
        if task is None or task.status is not TaskStatus.RUNNING:
            return False
        if command.task_id in self.tables.logs and command.worker in self.tenant._state.workers:
            return command.worker == task.worker_id and command.retry_count == task.retry_count
        return command.retry_count is None or command.retry_count == task.retry_count

    def may_have_signals(self, command: Command) -> bool:
        """Whether a signal must be taken, from the rows: also one of a task that sleeps."""
        if not isinstance(command, RegisterSignal) or command.task_id not in self.tables.logs:
            return False
        return self.tables.tasks[command.task_id].status not in TERMINAL

    def send_stale_report(self) -> None:
        """A report about an attempt that is over changes nothing at all."""
        if not self.attempts:
            return
        task_id, retry_count = self.random.choice(self.attempts)
        outcome = self.random.choice(list(Outcome))
        command = ReportAttempt(task_id, retry_count, outcome, "{}")
        if self.is_current(command) is False:
            decision = self.tenant.decide((command,), self.now_us)
            hold(decision.replies == (Accepted(is_current=False),), "a stale report was accepted", command)
            hold(not decision.writes and not decision.effects, "a stale report changed something", command, decision)

    def send_stale_message(self) -> None:
        """A message of an invocation that is over changes nothing, and its worker is told to drop it."""
        if not self.said:
            return
        message = self.random.choice(self.said)
        task, log = self.tables.tasks[message.task_id], self.tables.logs[message.task_id]
        if task.status is TaskStatus.RUNNING and log.invocation_count == message.invocation_count:
            return
        if isinstance(message, CompleteMemo):
            entry = self.tables.entries[message.task_id].get((message.branch_id, message.node_id))
            if entry is not None and entry.satisfied_at_us is None:
                # The value of a memo counts whatever has become of its invocation.
                return
        self.read_missing([message])
        decision = self.tenant.decide((message,), self.now_us)
        if isinstance(message, CompleteMemo):
            decision.writes.memos.clear()  # What is kept already stays.
            is_silent = all(isinstance(effect, DropInvocation) for effect in decision.effects)
            hold(is_silent and not decision.writes, "a stale memo changed something", message, decision)
            return
        answers = [*(reply for reply in decision.replies if reply is not None), *decision.effects]
        # An eviction that is asked for once more has been done.
        is_dropped = len(answers) == 1 and isinstance(answers[0], DropInvocation | EvictionAck)
        hold(is_dropped and not decision.writes, "a stale message changed something", message, answers, decision.writes)

    def durable_commands(self) -> list[Command]:
        """What workers say about their durable tasks, what reaches them as events, and what people do to them."""
        chance = self.random
        commands: list[Command] = []
        for peer in self.peers.values():
            if not peer.is_alive or not peer.worker.invocations:
                continue
            worker = peer.worker
            if worker.stream is None:
                if chance.random() < 0.5:
                    self.open_stream(worker)
            elif chance.random() < 0.02:
                worker.lose_stream()
            elif chance.random() < 0.1:
                worker.list_again()
            commands += self.say(worker, chance.choice((0, 1, 1, 3)), chance.random)
        if chance.random() < 0.15:
            commands.append(self.event(chance.choice(EVENT_KEYS), self.chances.payload()))
        if chance.random() < 0.06:
            asleep = [i for i in self.durables if self.tables.tasks[i].status is TaskStatus.EVICTED]
            task_id = chance.choice(asleep if asleep and chance.random() < 0.5 else self.durables)
            commands.insert(0, RegisterSignal(task_id, chance.choice("xyz"), some_conditions(chance, self.now_us)))
        if chance.random() < 0.06:
            task_id = chance.choice(self.durables)
            match chance.randint(0, 4):
                case 4:
                    asleep = [i for i in self.durables if self.tables.tasks[i].status is TaskStatus.EVICTED]
                    if asleep:
                        commands.append(CancelTasks((chance.choice(asleep),)))
                case 0:
                    commands.append(RestoreTask(task_id))
                case 1:
                    commands.append(BranchTask(task_id, chance.randint(1, 4), chance.randint(1, 2)))
                case 2:
                    commands.append(ReplayTasks((task_id,)))
                case _:
                    children = [i for entry in self.tables.entries[task_id].values() if (i := entry.child_run_id)]
                    if children:
                        commands.append(ReplayTasks((chance.choice(children),)))
        return commands

    def say(self, worker: Worker, count: int, roll: Callable[[], float]) -> list[Command]:
        """Messages of a worker: at most `count` on its stream, and how its tasks are."""
        for invocation in worker.invocations.values():
            may_leave = invocation.is_suspended and not invocation.is_leaving and worker.stream is not None
            if may_leave and roll() < 0.1:
                worker.leave(invocation, "ttl")
        sent = worker.send(count, self.now_us)
        self.said += [message for message in sent if isinstance(message, DurableRequest)]
        commands: list[Command] = list(sent)
        for invocation in list(worker.invocations.values()):
            commands += self.report_of(worker, invocation, roll)
        return commands

    def report_of(self, worker: Worker, invocation: Invocation, roll: Callable[[], float]) -> list[Command]:
        task_id, retry_count = invocation.task_id, invocation.retry_count
        if not invocation.has_started and roll() < 0.8:
            invocation.has_started = True
            return [ReportAttempt(task_id, retry_count, Outcome.STARTED)]
        if invocation.outcome is not None and roll() < 0.7:
            row, log = self.tables.tasks[task_id], self.tables.logs[task_id]
            if row.status is not TaskStatus.RUNNING or log.invocation_count != invocation.number:
                worker.drop(task_id, invocation.number)
            outcome = Outcome.FAILED if invocation.outcome else Outcome.COMPLETED
            payload = invocation.outcome or invocation.output()
            name = worker.id if roll() < 0.7 else "worker"
            return [ReportAttempt(task_id, retry_count, outcome, payload, worker=name)]
        if invocation.outcome is None and roll() < 0.01:
            return [ReleaseSlot(task_id)]
        return []

    def hear(self, probability: float) -> None:
        """Workers read what was sent to them."""
        for peer in self.peers.values():
            inbox = peer.worker.inbox
            while inbox and self.random.random() < probability:
                peer.worker.hear(inbox.popleft())
        if not any(peer.worker.inbox for peer in self.peers.values()):
            self.heard_at_us = self.now_us

    def open_stream(self, worker: Worker) -> None:
        self.streams += 1
        worker.open(self.streams)

    def event(self, key: str, payload: str) -> PushEvents:
        return PushEvents((EventRequest(key=key, payload=payload, scope=self.random.choice((None, "S", "T"))),))

    def heartbeats(self) -> list[Command]:
        """Living workers beat every 4 s; now and then one is late."""
        beats: list[Command] = []
        for peer in self.peers.values():
            is_due = self.now_us - peer.heard_at_us >= BEAT_US
            if peer.is_alive and peer.session is not None and is_due and self.random.random() < 0.9:
                peer.heard_at_us = self.now_us
                beats.append(Heartbeat(peer.id))
        return beats

    def open(self, peer: Peer) -> OpenStream:
        self.sessions += 1
        if peer.session is not None and self.random.random() < 0.5:
            # What was on its way on the old stream never arrived.
            peer.attempts = [attempt for attempt in peer.attempts if self.random.random() < 0.5]
        peer.session = peer.opened = self.sessions
        peer.heard_at_us = self.now_us
        return OpenStream(peer.id, self.sessions)

    # Choosing commands ---------------------------------------------------------------------------------------------

    def put_workflow(self, name: str) -> PutWorkflow:
        spec = self.chances.workflow(name)
        if self.random.random() < self.chances.plans:
            spec = msgspec.structs.replace(spec, cron_triggers=almanac.expressions(self.chances))
        return PutWorkflow(spec)

    def command(self) -> Command | None:
        chance, chances = self.random, self.chances
        if chance.random() < chances.plans * 0.3:
            return almanac.command(chances, self.tables, self.now_us, f"mark-{self.ids}-{chance.random()}")
        if chances.at(chances.gates * 0.3):
            return self.event(chance.choice(CONDITION_KEYS), chances.payload())
        roll = chance.randint(0, 99)
        if roll < 28:
            names = chance.choices(NAMES[:2] if chance.random() < 0.8 else NAMES, k=chance.choice((1, 1, 2, 4)))
            workers = list(self.peers)
            return TriggerRuns(tuple(chances.request(name, self.parent(), workers) for name in names))
        if roll < 31:
            payload, priority, metadata = chances.payload(), chance.choice((None, 3)), chances.metadata()
            return PushEvents(
                (
                    EventRequest(
                        key="key",
                        payload=payload,
                        priority=priority,
                        additional_metadata=metadata,
                        scope=chance.choice((None, "S", "S", "T")),
                    ),
                )
            )
        if roll < 35:
            return self.put_workflow(chance.choice(NAMES))
        if chances.at(chances.filters * 0.1) and self.tables.workflows:
            return self.filter_command()
        if roll < 36 and self.tables.workflows:
            return DeleteWorkflow(chance.choice(list(self.tables.workflows))) if chance.random() < 0.3 else None
        if roll < 38 and self.tables.workflows and chance.random() < chances.pauses:
            return chances.pause(chance.choice(list(self.tables.workflows)))
        if roll < 42:
            return self.limit_command()
        if roll < 47 and len(self.peers) < 30:
            actions = tuple(chance.sample(ACTIONS, chance.randint(1, 3)))
            return RegisterWorker("worker", actions, chances.worker_slots(), chances.worker_labels())
        if roll < 60:
            return self.worker_command()
        if roll < 92:
            return self.report()
        return self.user_command()

    def parent(self) -> str | None:
        if self.attempts and self.random.random() < 0.1:
            return self.random.choice(self.attempts)[0]
        if self.durables and self.random.random() < 0.02:
            return self.random.choice(self.durables)
        return None

    def filter_command(self) -> Command:
        chance = self.random
        if self.tables.filters and chance.random() < 0.6:
            filter_id = chance.choice(list(self.tables.filters))
            if chance.random() < 0.5:
                return DeleteFilter(filter_id)
            changed = self.chances.filter()
            return ChangeFilter(filter_id=filter_id, scope=changed.scope, payload=changed.payload)
        made = self.chances.filter()
        workflow_id = chance.choice(list(self.tables.workflows))
        return CreateFilter(workflow_id=workflow_id, scope=made.scope, expression=made.expression, payload=made.payload)

    def limit_command(self) -> Command:
        chance = self.random
        key = chance.choice((*STATIC_LIMITS, *self.tables.limits))
        match chance.randint(0, 5):
            case 0:
                return DeleteRateLimit(key)
            case 1:
                return PauseRateLimit(key, self.now_us + chance.choice((0, 1, 10)) * US_PER_S)
            case _:
                return PutRateLimit(key, chance.choice((0, 1, 2, 3, 10)), chance.choice((1, 10, 60)) * US_PER_S)

    def worker_command(self) -> Command | None:
        chance = self.random
        if not self.peers:
            return None
        peer = chance.choice(list(self.peers.values()))
        if peer.session is None and peer.is_alive and chance.random() < 0.9:
            return self.open(peer)
        match chance.randint(0, 9):
            case 0 | 1:
                return self.open(peer)
            case 2:
                session, peer.session = peer.session, None
                return CloseStream(peer.id, session or 0)
            case 3:
                return CloseStream(peer.id, (peer.session or 1) - 1)
            case 4:
                return PauseWorker(peer.id, True)
            case 5:
                return PauseWorker(peer.id, False)
            case 6:
                return PutWorkerLabels(peer.id, self.chances.worker_labels())
            case 7:
                # Who stops in good order has its waiting tasks evicted first.
                if peer.worker.leave_all("shutdown"):
                    return None
                peer.session = None
                return UnregisterWorker(peer.id)
            case 8:
                # Killed: nothing is heard of it any more, its stream breaks.
                peer.is_alive = False
                peer.attempts.clear()
                peer.worker = Worker(self.transcripts, peer.id)
                session, peer.session = peer.session, None
                return CloseStream(peer.id, session) if session is not None and chance.random() < 0.7 else None
            case _:
                peer.heard_at_us = self.now_us
                return Heartbeat(peer.id)

    def report(self) -> Command | None:
        chance = self.random
        if self.undelivered and chance.random() < 0.8:
            task_id, retry_count = self.undelivered.pop()
            if chance.random() < 0.1:
                return RefuseDelivery(task_id, retry_count, chance.choice((3_000_000, 5_000_000)), 4_194_304)
            return FailDelivery(task_id, retry_count, "the stream was gone")
        busy = [peer for peer in self.peers.values() if peer.attempts]
        if self.attempts and (not busy or chance.random() < 0.15):
            task_id, retry_count = chance.choice(self.attempts)
            outcome = chance.choice(list(Outcome))
            return ReportAttempt(task_id, chance.choice((retry_count, retry_count, None)), outcome, "{}")
        if not busy:
            return None
        peer = chance.choice(busy)
        attempt = chance.choice(peer.attempts)
        task_id, retry_count = attempt
        match chance.randint(0, 19):
            case 0 | 1 | 2 | 3 | 4:
                return ReportAttempt(task_id, retry_count, Outcome.STARTED, at_us=self.said_us())
            case 5:
                return ReleaseSlot(task_id)
            case 6:
                return RefreshTimeout(task_id, chance.choice((1, US_PER_S, 100 * US_PER_S)))
            case 7:
                # The report is lost on its way, for good.
                peer.attempts.remove(attempt)
                return None
        if chance.random() < 0.9:
            peer.attempts.remove(attempt)  # Else it will be told twice.
        match chance.randint(0, 9):
            case 0:
                return ReportAttempt(task_id, retry_count, Outcome.CANCELLED, at_us=self.said_us())
            case 1 | 2 | 3:
                after_us = chance.choice((None, None, 0, US_PER_S))
                is_retryable, at_us = chance.random() < 0.8, self.said_us()
                return ReportAttempt(task_id, retry_count, Outcome.FAILED, "broke", is_retryable, after_us, at_us=at_us)
            case _:
                is_asked = self.tables.task_rows[task_id].name == KEY_TASK_NAME
                output = self.chances.answer() if is_asked else self.chances.output()
                return ReportAttempt(task_id, retry_count, Outcome.COMPLETED, output, at_us=self.said_us())

    def user_command(self) -> Command | None:
        chance = self.random
        tasks = list(self.tables.tasks)
        if not tasks:
            return None
        task_id = chance.choice(tasks[-30:])
        chosen = self.tables.task_rows[task_id].run_id if chance.random() < 0.5 else task_id
        return CancelTasks((chosen,)) if chance.random() < 0.5 else ReplayTasks((chosen,))

    # The end -------------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Healthy workers do whatever they are sent, and the clock runs: everything ends."""
        self.set_quotas(SetQuotas(dict.fromkeys(Resource)))
        for _ in range(3):
            labels = self.chances.worker_labels()
            (worker_id,) = self.act([RegisterWorker("healthy", ACTIONS, {"default": 20, "gpu": 20}, labels)])
            assert isinstance(worker_id, str)
            self.act([self.open(self.peers[worker_id])])
        for workflow in list(self.tables.workflows.values()):
            # The tasks of those that stay paused grow too old.
            if workflow.deleted_at_us is None and self.random.random() < 0.7:
                self.act([UnpauseWorkflow(workflow.id)])
        self.act([DeleteCron(cron_id) for cron_id in self.tables.crons])
        for _ in range(DRAIN_TURNS_MAX):
            if not self.tables.live and not self.tables.schedules:
                break
            if self.drain_durables():
                continue
            done = [attempt for peer in self.peers.values() for attempt in peer.attempts]
            for peer in self.peers.values():
                peer.attempts.clear()
            said = self.chances.output
            self.act([ReportAttempt(task_id, retry, Outcome.COMPLETED, said()) for task_id, retry in done])
            if not done:
                due_us = self.tenant.next_due_us()
                wanted = self.wanted_events()
                if not self.tables.live:
                    # Nothing but schedules is left, which may be months away.
                    due_us = min(row.trigger_at_us for row in self.tables.schedules.values())
                hold(due_us is not None or bool(wanted), "nothing will ever happen", list(self.tables.live))
                self.now_us = max(self.now_us, due_us or 0)
                self.act([*self.heartbeats(), *wanted])
        hold(not self.tables.live, "runs do not end", list(self.tables.live))
        hold(not self.tables.schedules, "schedules do not fire", self.tables.schedules)
        for run_id, run in self.tables.runs.items():
            hold(run.status in TERMINAL_RUN, "a run without an end", run_id, run.status)
            statuses = self.books._statuses(run_id)
            hold(all(status in TERMINAL for status in statuses), "a task without an end", run_id, statuses)

    def drain_durables(self) -> bool:
        """Healthy workers run their programs; whether any of them went on."""
        commands: list[Command] = []
        for peer in self.peers.values():
            worker = peer.worker
            if not peer.is_alive or not worker.invocations:
                continue
            if worker.stream is None:
                self.open_stream(worker)
            commands += self.say(worker, 100, lambda: 0.5)
        if commands:
            self.act(commands)
        self.hear(1)
        return bool(commands)

    def wanted_events(self) -> list[Command]:
        """Workers list what they wait for, and whatever can be waited for is pushed."""
        for peer in self.peers.values():
            peer.worker.list_again()
        keys = {
            (key, scope)
            for task_id in self.durable_books.live
            for entry in self.tables.entries[task_id].values()
            for key in entry.event_keys
            for scope in ("S", "T")
        }
        conditions = self.gate_books.wanted()
        # Those that wait for what starts workflows would never come to an end.
        endless = conditions.pop(CONDITION_KEYS[-1], set())
        keys |= {(key, "S") for key in conditions}
        payload = '{"k":"A","u":"x","n":2,"nowhere":1}'
        pushes = [PushEvents((EventRequest(key=key, payload=payload, scope=scope),)) for key, scope in sorted(keys)]
        return [*pushes, *([CancelTasks(tuple(sorted(endless)))] if endless else [])]

    def depart(self) -> None:
        """All workers go; what is left in memory is what a tenant at rest may hold."""
        for peer in self.peers.values():
            self.act([CloseStream(peer.id, peer.opened)])
            peer.session = None
            peer.is_alive = False
        for _ in range(SETTLES_MAX):
            due_us = self.tenant.next_due_us()
            if due_us is None:
                break
            self.now_us = max(self.now_us, due_us)
            self.act([])
        else:
            hold(False, "a tenant at rest keeps waking up")
        check_empty(self.tenant)
        hold(not self.tenant._state.workers, "workers left in memory")
