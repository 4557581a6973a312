"""Who uses the engine in a shell's life: workers with the habits of SDKs, and callers who wait to be told.

A player has its own randomness, so what one does changes nothing for the others. Each tells the books what it was
promised and what it was told.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from broadaxe.core.commands import Command
from broadaxe.core.commands.attempts import Outcome, ReportAttempt
from broadaxe.core.commands.durable import RegisterSignal
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.commands.topics import MessageRequest, PublishMessages
from broadaxe.core.commands.triggers import Promise, RunRequest, TriggerRuns
from broadaxe.core.commands.workers import Heartbeat, RegisterWorker, UnregisterWorker
from broadaxe.core.decision import CancelAttempt, EntryCompleted, MessageRow, StartAttempt
from broadaxe.core.topics import Position, topic_id
from broadaxe.core.waits import Condition
from broadaxe.engine.durable_streams import Answer
from broadaxe.engine.engine import Engine
from broadaxe.engine.sessions import Assignment, BatchAssignment, Outgoing
from broadaxe.engine.subscriptions import LiveEvent, RunOutcome
from broadaxe.errors import BroadaxeError, FailedPrecondition, NotFound, Unavailable
from tests.simulation.books import hold
from tests.simulation.programs import Invocation, Worker, program
from tests.simulation.shell import handlers
from tests.simulation.shell.books import ChunkReader
from tests.simulation.shell.database import TENANT, durable_result, outcome_of
from tests.simulation.shell.process import Process, Stream, call

if TYPE_CHECKING:
    from tests.simulation.shell.life import ShellLife

ACTIONS: Final = ("s:a", "s:b", "s:d")
WORKFLOWS: Final = ("w0", "w1", "w2", "w3")
TOPICS: Final = ("t0", "t1")
BEAT_S: Final = 4.0
BEAT_PATIENCE_S: Final = 5.0
#: How long a client waits for an answer.
PATIENCE_S: Final = 60.0
#: How late a durable stream is opened again.
DURABLE_AGAIN_S: Final = (2.0, 4.0)

Key = tuple[str, int]
T = TypeVar("T")


class Player:
    def __init__(self, life: ShellLife, name: str) -> None:
        self.life = life
        self.name = name
        self.random = random.Random(f"{life.seed}/{name}")
        self._at = self.random.randrange(len(life.nodes))
        """The node it is connected to."""
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def go(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.life.watch(work)
        self._tasks[task] = None
        task.add_done_callback(lambda task: self._tasks.pop(task, None))
        return task

    async def end(self) -> None:
        """Nothing of the player goes on."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def node(self) -> Process | None:
        """The process it is connected to: another one once that is gone, and now and then for no reason."""
        nodes = self.life.nodes
        node = nodes[self._at]
        if node is None or not node.is_listening or self.random.random() < self.life.wandering:
            self.turn_away()
        return nodes[self._at]

    def turn_away(self) -> None:
        """Whoever is next may be another one."""
        self._at = self.random.randrange(len(self.life.nodes))

    async def call(self, work: Callable[[Engine], Awaitable[T]], give_up_after_s: float = PATIENCE_S) -> T:
        self.life.commands += 1
        try:
            return await call(self.node(), self.random, work, give_up_after_s)
        except TimeoutError:
            self.turn_away()
            raise

    async def submit(self, command: Command, give_up_after_s: float = PATIENCE_S) -> Any:
        return await self.call(handlers.submitting(command, self.name), give_up_after_s)

    async def insist(self, command: Command) -> Any:
        """Asks until there is an answer."""
        while True:
            try:
                return await self.submit(command)
            except (Unavailable, TimeoutError):
                await asyncio.sleep(self.random.uniform(0.2, 2))

    async def open(self, handler: handlers.Handler, hear: Any) -> Stream[Any]:
        """A stream to whatever process there is; now and then the client leaves while it is being opened."""
        while True:
            await asyncio.sleep(self.random.uniform(0, 0.01))
            process = self.node()
            if process is None or not process.is_listening:
                await asyncio.sleep(self.random.uniform(0.1, 1))
                continue
            is_hasty = self.random.random() < self.life.haste
            stream: Stream[Any] = Stream(process, self.random, handler, _ignore if is_hasty else hear)
            if is_hasty:
                try:
                    if self.random.random() < 0.5:
                        for _ in range(self.random.randint(0, 12)):
                            await asyncio.sleep(0)
                    else:
                        await asyncio.sleep(self.random.uniform(0, 0.02))
                finally:
                    # Also when the client dies meanwhile.
                    stream.leave(0)
                await asyncio.sleep(self.random.choice((0.0, 1.0, 4.0)))
                continue
            return stream


def _ignore(_: object) -> None:
    """Whoever leaves hears nothing."""


# Workers -------------------------------------------------------------------------------------------------------------


class WorkerPlayer(Player):
    def __init__(self, life: ShellLife, number: int) -> None:
        super().__init__(life, f"worker-{number}")
        self.id = ""
        self.is_leaving = False
        self.forgets = self.random.random() < 0.4
        """Whether one report that is refused for now makes it forget all that are under way."""
        self.lists_again = self.random.random() < 0.3
        """Whether it lists what its durable tasks wait for again and again. No answer may depend on it."""
        self.stream: Stream[Outgoing] | None = None
        self._half_open: list[Stream[Outgoing]] = []
        """Those that were cut, of which the server may still believe in one."""
        self.attempts: dict[Key, asyncio.Task[None]] = {}
        self.confirmed: set[Key] = set()
        self.doubtful: set[Key] = set()
        """Attempts whose loss the engine may believe: it did not hear of the worker for long."""
        self.durable = Worker(life.transcripts, "")
        self.durable_stream: Stream[Any] | None = None
        self.spoke_until_s = -1e9
        """When its durable stream was open last."""
        self._speaks_durably = False
        self._reporting: set[tuple[str, int]] = set()
        self._started: set[tuple[str, int]] = set()
        self._has_started: set[tuple[str, int]] = set()
        """Invocations of which the engine has heard that they began."""
        self._under_way: dict[Key, asyncio.Task[None]] = {}
        self._is_awake = asyncio.Event()
        self._is_awake.set()

    def start(self) -> None:
        self.go(self._live())

    async def _live(self) -> None:
        slots = self.random.choice((1, 2, 4, 8))
        command = RegisterWorker(self.name, ACTIONS, {"default": slots, "durable": slots})
        self.id = await self.insist(command)
        self.durable.id = self.id
        self.life.workers_by_id[self.id] = self
        self.go(self._beat_for_ever())
        self.go(self._tick_for_ever())
        while not self.is_leaving:
            stream = self.stream = await self.open(handlers.listen(self.id), self._hear)
            error = await stream.ended
            hold(not isinstance(error, NotFound), "a worker is not known any more", self.name)
            await asyncio.sleep(self.random.uniform(0.05, 2))

    async def _beat_for_ever(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            await self._is_awake.wait()
            try:
                await self.submit(Heartbeat(self.id), BEAT_PATIENCE_S)
            except FailedPrecondition:
                if self.stream is not None:
                    self.stream.leave(self.random.uniform(0, 1))
            except TimeoutError:
                # Its connection is of no use any more.
                if self.stream is not None and self.stream.process.is_frozen:
                    self.stream.leave(0)
            except Unavailable:
                continue

    @property
    def is_frozen(self) -> bool:
        return not self._is_awake.is_set()

    # Faults ----------------------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """A connection breaks, and the server may not notice for a while."""
        noticed_after_s = self.random.choice((0.0, 0.0, 1.0, 20.0))
        if self.random.random() < 0.5 and self.durable_stream is not None:
            self.durable_stream.leave(noticed_after_s)
        elif self.stream is not None:
            # Not by itself: it is over when the worker has a newer one, or dies. Not all that were begun came to be.
            self._half_open.append(self.stream)
            self.stream.leave(self.random.choice((noticed_after_s, None)))

    async def freeze(self, seconds: float) -> None:
        self.doubtful.update(self.attempts)
        self._is_awake.clear()
        await asyncio.sleep(seconds)
        self.doubtful.update(self.attempts)
        self._is_awake.set()

    async def die(self) -> None:
        noticed_after_s = self.random.choice((0.0, 0.5, 5.0, 40.0))
        for stream in (self.stream, self.durable_stream, *self._half_open):
            if stream is not None:
                stream.leave(noticed_after_s)
        await self.end()
        self.attempts.clear()
        self.durable = Worker(self.life.transcripts, self.id)
        self.life.workers_by_id.pop(self.id, None)

    async def say_goodbye(self) -> None:
        """Ends when it has nothing in hand."""
        self.is_leaving = True
        await self.insist(UnregisterWorker(self.id))
        await self.call(self._end_sessions)
        for stream in (self.stream, self.durable_stream):
            if stream is not None:
                stream.leave(0)
        await self.end()

    async def _end_sessions(self, engine: Any) -> None:
        engine.end_sessions(TENANT, self.id)

    # Attempts --------------------------------------------------------------------------------------------------------

    def has(self, task_id: str) -> bool:
        """Whether an attempt or invocation of the task is in its hands."""
        return any(key[0] == task_id for key in (*self.attempts, *self.durable.invocations))

    def holding(self, task_id: str) -> str:
        """What it has of the task, in words."""
        found = [f"attempt {key[1]}" for key in self.attempts if key[0] == task_id]
        for invocation in self.durable.invocations.values():
            if invocation.task_id == task_id:
                doing = invocation.asks or invocation.sent or invocation.takes
                found.append(f"invocation {invocation.number}: {doing}, waiting for {list(invocation.waiting)}")
        return f"{self.name}: {found}" if found else ""

    def _hear(self, item: Outgoing) -> None:
        self.life.note(self.name, "hears", item)
        match item:
            case Assignment(attempt):
                self._begin(item, attempt)
            case BatchAssignment(_, items):
                for one in items:
                    self._begin(one, one.attempt)
            case CancelAttempt(task_id=task_id, retry_count=retry_count, invocation_count=invocation):
                if invocation is not None:
                    self.durable.drop(task_id, invocation)
                task = self.attempts.pop((task_id, retry_count), None)
                if task is not None:
                    task.cancel()

    def _begin(self, item: Assignment, attempt: StartAttempt) -> None:
        hold(attempt.worker_id == self.id, "an assignment for another worker", attempt)
        hold(item.run_input == self.life.database.inputs[attempt.run_id], "another input", item)
        self.life.books.check_outputs(item)
        key = attempt.task_id, attempt.retry_count
        if attempt.invocation_count is not None:
            self.life.books.durables.add(attempt.task_id)
            self._begin_durable(attempt)
            return
        self.life.books.check_alone(self, key)
        if key not in self.attempts:
            self.attempts[key] = self.go(self._work(key, attempt, item.run_input))

    async def _work(self, key: Key, attempt: StartAttempt, run_input: str) -> None:
        chance = self.random
        started = self.go(self._report(ReportAttempt(*key, Outcome.STARTED, worker=self.id), key))
        duration_s = chance.choice((0.0, 0.01, 0.5, 3.0, 8.0))
        for index in range(chance.choice((0, 0, 3))):
            await asyncio.sleep(duration_s / 4)
            self.go(self._stream_out(key, index))
        await asyncio.sleep(duration_s)
        await self._is_awake.wait()
        await asyncio.wait((started,))
        self.attempts.pop(key, None)
        if must_fail(run_input, attempt):
            report = ReportAttempt(*key, Outcome.FAILED, "broke")
        else:
            report = ReportAttempt(*key, Outcome.COMPLETED, msgspec.json.encode({"of": attempt.task_id}).decode())
        self.go(self._report(report, key))

    async def _stream_out(self, key: Key, index: int) -> None:
        task_id, retry_count = key
        text = f"attempt-{retry_count} chunk-{index} {self.life.loop.time()}"

        async def put(engine: Any) -> None:
            await engine.put_chunk(TENANT, task_id, text, index)

        try:
            await self.call(put)
        except (Unavailable, TimeoutError):
            return

    async def _report(self, report: ReportAttempt, key: Key) -> None:
        """Says how an attempt is. After UNAVAILABLE some forget it, and what else is under way on the connection."""
        me = asyncio.current_task()
        assert me is not None
        self._under_way[key] = me
        try:
            while True:
                try:
                    reply = await self.submit(report)
                except (Unavailable, TimeoutError):
                    if self.forgets:
                        self._forget(report, key)
                        return
                    await asyncio.sleep(self.random.uniform(0.5, 3))
                    continue
                if report.outcome is Outcome.STARTED and reply.is_current:
                    self.confirmed.add(key)
                return
        except asyncio.CancelledError:
            self.life.books.forgotten.add(key)
            raise
        finally:
            if self._under_way.get(key) is me:
                del self._under_way[key]

    def _forget(self, report: ReportAttempt, key: Key) -> None:
        if report.outcome is not Outcome.STARTED:
            self.life.books.forgotten.add(key)
        for other in self._under_way.values():
            if other is not asyncio.current_task():
                other.cancel()

    # Durable tasks ---------------------------------------------------------------------------------------------------

    def _begin_durable(self, attempt: StartAttempt) -> None:
        assert attempt.invocation_count is not None
        run = self.life.database.tables.run_rows[attempt.run_id]
        steps = program(attempt.task_id, WORKFLOWS if run.parent_run_id is None else ())
        self.durable.start(attempt.task_id, attempt.retry_count, attempt.invocation_count, steps)
        if not self._speaks_durably:
            self._speaks_durably = True
            self.go(self._converse_for_ever())
        self._pump()

    async def _converse_for_ever(self) -> None:
        number = 0
        while True:
            self.durable_stream = await self.open(handlers.converse(self.id, self.name), self._hear_durable)
            await self.durable_stream.ended
            if self.durable.stream is not None:
                self.spoke_until_s = self.life.loop.time()
            self.durable.lose_stream()
            self._pump()
            number += 1
            await asyncio.sleep(self.random.uniform(*DURABLE_AGAIN_S))

    def _hear_durable(self, item: Answer | handlers.Refused | handlers.Opened) -> None:
        self.life.note(self.name, "hears", item)
        match item:
            case handlers.Opened():
                self.spoke_until_s = self.life.loop.time()
                self.durable.open(1)
            case handlers.Refused(task_id, invocation, message):
                self.durable.refuse((task_id, invocation), message)
            case Answer(effect):
                if isinstance(effect, EntryCompleted):
                    self._check_result(item)
                self.durable.hear(effect)
        self._pump()

    def _check_result(self, answer: Answer) -> None:
        ref = answer.effect.ref
        if ref.task_id not in self.life.transcripts.forked:
            place = ref.task_id, ref.branch_id, ref.node_id
            result, is_failure, error = durable_result(self.life.database.tables, place)
            expected = result, is_failure, error
            hold((answer.payload, answer.is_failure, answer.error) == expected, "another result", answer, expected)

    async def _tick_for_ever(self) -> None:
        """Evictions, lists of what is waited for, and whatever else an SDK does without being asked."""
        while True:
            await asyncio.sleep(self.random.uniform(0.5, 2))
            await self._is_awake.wait()
            for invocation in self.durable.invocations.values():
                may_leave = invocation.is_suspended and not invocation.is_leaving and self.durable.stream is not None
                may_leave = may_leave and invocation.key in self._has_started
                if may_leave and self.random.random() < self.life.evictions:
                    self.durable.leave(invocation, "ttl")
            if self.lists_again:
                self.durable.list_again()
            self._pump()

    def _pump(self) -> None:
        """Sends what there is to say."""
        worker = self.durable
        if self.durable_stream is not None and not self.durable_stream.is_broken:
            for message in worker.send(1_000, self.life.clock.now_us()):
                self.life.note(self.name, "says", message)
                self.durable_stream.ask(message)
        for invocation in list(worker.invocations.values()):
            if invocation.key not in self._started:
                self._started.add(invocation.key)
                self.go(self._say_started(invocation))
            if invocation.outcome is not None and invocation.key not in self._reporting:
                self._reporting.add(invocation.key)
                self.go(self._end_invocation(invocation))

    async def _say_started(self, invocation: Invocation) -> None:
        """It names no invocation: what is on its way when the next one is assigned to this worker would be taken for
        that one's. So nothing is evicted before."""
        key = invocation.task_id, invocation.retry_count
        await self.insist(ReportAttempt(*key, Outcome.STARTED, worker=self.id))
        self._has_started.add(invocation.key)

    async def _end_invocation(self, invocation: Invocation) -> None:
        outcome = Outcome.FAILED if invocation.outcome else Outcome.COMPLETED
        payload = invocation.outcome or invocation.output()
        await self.insist(ReportAttempt(invocation.task_id, invocation.retry_count, outcome, payload, worker=self.id))
        self.durable.drop(*invocation.key)


def must_fail(run_input: str, attempt: StartAttempt) -> bool:
    """What the code of a task does: for one workflow, some inputs always fail and some the first time."""
    n = msgspec.json.decode(run_input).get("n")
    return attempt.workflow_name == "w3" and (n == 0 or (n == 2 and attempt.retry_count == 0))


# Callers -------------------------------------------------------------------------------------------------------------


class Caller(Player):
    """Triggers runs and waits for them, in one of the ways there are."""

    def __init__(self, life: ShellLife, number: int) -> None:
        super().__init__(life, f"caller-{number}")
        self.waiting: set[str] = set()
        """Runs it wants the result of."""
        self.outcomes: dict[str, RunOutcome] = {}
        self.results: Stream[RunOutcome] | None = None
        self.follows: dict[str, Stream[Any] | None] = {}
        """Runs it follows, with the stream they are followed on; None once told of the end."""
        self.metadata_stream: Stream[Any] | None = None
        self.metadata_run: str | None = None
        self.is_told_of_metadata = False
        self.signals: Stream[tuple[str, str, str]] | None = None
        self.wants: set[tuple[str, str]] = set()
        self.heard: set[tuple[str, str]] = set()
        self.topic: str | None = None
        """The one it reads."""
        self.topic_stream: Stream[MessageRow] | None = None
        self.reads_for_good = False
        self.read: list[MessageRow] = []

    def start(self) -> None:
        chance = self.random
        kinds = (self._wait, self._wait, self._wait, self._bulk, self._follow, self._follow_metadata, self._push)
        kinds += (self._enqueue, self._cancel, self._listen, self._publish, self._read_topic)
        self.go(chance.choice(kinds)())

    def _request(self, name: str | None = None, metadata: dict[str, str] | None = None) -> RunRequest:
        chance = self.random
        self.life.markers += 1
        run_input = {"k": chance.choice("AB"), "u": "x", "n": chance.choice((0, 1, 2)), "mark": self.life.markers}
        return RunRequest(
            workflow_name=name or chance.choice(WORKFLOWS),
            input=msgspec.json.encode(run_input).decode(),
            additional_metadata=msgspec.json.encode(metadata).decode() if metadata else None,
        )

    async def _trigger(self, *requests: RunRequest) -> tuple[str, ...]:
        """Ids of the runs; none when nobody can tell whether they began."""
        try:
            run_ids = await self.submit(TriggerRuns(requests))
        except (Unavailable, TimeoutError):
            return ()
        self.life.books.acknowledge(zip(run_ids, requests, strict=True))
        return tuple(run_ids)

    async def _wait(self) -> None:
        await self._wait_for(*await self._trigger(self._request()))

    async def _bulk(self) -> None:
        requests = [self._request() for _ in range(self.random.randint(2, 6))]
        await self._wait_for(*await self._trigger(*requests))

    async def _wait_for(self, *run_ids: str) -> None:
        self.waiting.update(run_ids)
        while self.waiting:
            self.results = await self.open(handlers.results, self._hear_result)
            for run_id in sorted(self.waiting):
                self.results.ask(run_id)
            await self.results.ended
            await asyncio.sleep(self.random.uniform(0.1, 1))

    def _hear_result(self, outcome: RunOutcome) -> None:
        self.life.note(self.name, "is told", outcome)
        self.life.books.check_outcome(outcome)
        self.waiting.discard(outcome.run_id)
        self.outcomes[outcome.run_id] = outcome
        if not self.waiting and self.results is not None:
            self.results.leave(0)

    async def _follow(self) -> None:
        reader = ChunkReader()
        ended = False

        def hear(event: LiveEvent) -> None:
            nonlocal ended
            self.life.books.check_event(event, reader)
            ended = ended or event.is_last

        for run_id in await self._trigger(self._request()):
            while True:
                reader.open()
                self.follows[run_id] = stream = await self.open(handlers.follow_run(run_id), hear)
                error = await stream.ended
                if ended:
                    self.follows[run_id] = None
                    return
                hold(not isinstance(error, TimeoutError), "an acknowledged run cannot be followed", run_id)
                await asyncio.sleep(self.random.uniform(0.1, 1))

    async def _follow_metadata(self) -> None:
        value = f"{self.name}"
        opened = asyncio.Event()
        reader = ChunkReader()

        def hear(event: LiveEvent | handlers.Opened) -> None:
            if isinstance(event, handlers.Opened):
                opened.set()
                return
            self.life.books.check_event(event, reader)
            self.is_told_of_metadata = self.is_told_of_metadata or event.is_last

        stream = await self.open(handlers.follow_metadata("who", value), hear)
        waiting = asyncio.ensure_future(opened.wait())
        await asyncio.wait((waiting, stream.ended), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not opened.is_set():
            return
        self.metadata_stream = stream
        for run_id in await self._trigger(self._request(metadata={"who": value})):
            self.metadata_run = run_id
        await stream.ended

    async def _push(self) -> None:
        event = EventRequest(key="begin", payload=self._request().input)
        try:
            (pushed,) = await self.submit(PushEvents((event,)))
        except (Unavailable, TimeoutError):
            return
        requests = [RunRequest(workflow_name="w0", input=event.payload)] * len(pushed.run_ids)
        hold(len(pushed.run_ids) == 1, "an event starts its workflow once", pushed)
        self.life.books.acknowledge(zip(pushed.run_ids, requests, strict=True))
        await self._wait_for(*pushed.run_ids)

    async def _enqueue(self) -> None:
        """An application asks in its own transaction, and waits by the id it was promised."""
        life = self.life
        life.transactions += 1
        promised: list[str] = []
        for position in range(self.random.choice((1, 1, 5))):
            request = self._request("w0")
            promise = Promise(life.fresh_id(), life.clock.now_us())
            request = msgspec.structs.replace(request, promise=promise)
            life.database.outbox[promise.id] = (life.transactions, position + 1), request
            promised.append(promise.id)
            life.books.acknowledge([(promise.id, request)])
        transaction = life.transactions
        for node in life.listening():
            if self.random.random() < 0.8:
                node.run(lambda engine: engine.outbox_told(TENANT, transaction))
        await self._wait_for(*promised)

    async def _cancel(self) -> None:
        run_ids = await self._trigger(self._request())
        await asyncio.sleep(self.random.uniform(0, 5))
        if run_ids:
            self.life.books.cancelled.update(run_ids)
            await self.insist(CancelTasks(run_ids))
            await self._wait_for(*run_ids)

    async def _listen(self) -> None:
        """Waits of the older protocol, for a durable task of anybody's."""
        if not self.life.books.durables:
            return
        task_id = self.random.choice(sorted(self.life.books.durables))
        key = self.random.choice("xyz")
        wait = self.random.choice(
            (
                Condition(group=0, data_key="k", event_key="go"),
                Condition(group=0, data_key="k", sleep="3s", sleep_us=3_000_000),
            )
        )
        try:
            await self.insist(RegisterSignal(task_id, key, (wait,)))
        except BroadaxeError:
            # The task is over.
            return
        self.wants.add((task_id, key))
        while self.wants - self.heard:
            self.signals = await self.open(handlers.signals, self._hear_signal)
            self.signals.ask((task_id, key))
            await self.signals.ended
            await asyncio.sleep(self.random.uniform(0.1, 1))

    def _hear_signal(self, told: tuple[str, str, str]) -> None:
        task_id, key, _ = told
        hold((task_id, key) not in self.heard, "a signal is told twice", told)
        self.heard.add((task_id, key))
        if not self.wants - self.heard and self.signals is not None:
            self.signals.leave(0)

    async def _publish(self) -> None:
        """A producer that numbers its messages, and says each of them until it is answered."""
        topic = self.random.choice(TOPICS)
        for seq in range(1, self.random.randint(2, 8)):
            text = f"{self.name} {seq}"
            message = MessageRequest(topic=topic, payload=text.encode(), producer_id=self.name, producer_seq=seq)
            await self.insist(PublishMessages((message,)))
            self.life.books.published[topic].add(text)
            await asyncio.sleep(self.random.choice((0.0, 0.01, 1.0)))

    async def _read_topic(self) -> None:
        """Reads a topic from the beginning: until it has read whatever was acknowledged, or for good."""
        self.topic = topic = self.random.choice(TOPICS)
        self.reads_for_good = self.random.random() < 0.5
        while self.reads_for_good or self.unread():
            after = Position(self.read[-1].number, self.read[-1].id) if self.read else None
            stream = await self.open(handlers.follow_topic(topic_id("", topic), after), self._hear_message)
            self.topic_stream = stream
            await stream.ended
            await asyncio.sleep(self.random.uniform(0.1, 1))
        self.topic_stream = None

    def _hear_message(self, message: MessageRow) -> None:
        self.life.books.check_message(message, len(self.read))
        self.read.append(message)
        if not self.reads_for_good and not self.unread() and self.topic_stream is not None:
            self.topic_stream.leave(0)
            self.topic_stream = None

    def unread(self) -> set[str]:
        """What was acknowledged in its topic, and it has not read."""
        return self.life.books.published[self.topic or ""] - {row.payload.decode() for row in self.read}

    def streams(self) -> tuple[Stream[Any] | None, ...]:
        return self.results, self.signals, self.metadata_stream, self.topic_stream, *self.follows.values()

    def is_waiting_for_finished(self) -> str | None:
        """What this caller should know by now, from the tables; None when it knows everything."""
        tables = self.life.database.tables
        for run_id in sorted(self.waiting):
            if outcome_of(tables, run_id) is not None:
                return f"the result of {run_id}"
        for run_id, stream in self.follows.items():
            if stream is not None and outcome_of(tables, run_id) is not None:
                return f"the end of {run_id}"
        run_id = self.metadata_run or ""
        is_open = self.metadata_stream is not None and not self.metadata_stream.is_broken
        if is_open and not self.is_told_of_metadata and outcome_of(tables, run_id) is not None:
            return f"the end of {run_id}, which it follows by its metadata"
        if self.topic_stream is not None and self.unread():
            return f"messages of {self.topic}: {self.unread()}"
        return None
