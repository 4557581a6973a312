"""One life of the shell: an `Engine` on a virtual loop and an unreliable database, moved by one seed.

Workers, callers and applications do what they do for some minutes while the weather kills and stops processes, takes
the database away, loses answers to commits, takes the lease, stops time, and breaks, freezes and kills workers. Then
the world is healed, and everything that was acknowledged must end as it should, and everybody be told.

With several nodes everybody is connected to any of them, and the weather breaks, cuts and slows the links between them,
freezes one, cuts it off from the database, or lets it be taken for dead while it lives.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import hashlib
import random
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import msgspec

from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.decision import Decision, StartAttempt
from broadaxe.core.definition import TaskSpec, WorkflowSpec
from broadaxe.errors import Unavailable
from tests.simulation.books import Broken, hold
from tests.simulation.life import START_US
from tests.simulation.programs import EVENT_KEYS, Transcripts
from tests.simulation.shell.books import ShellBooks
from tests.simulation.shell.database import Database
from tests.simulation.shell.loop import LoopClock, VirtualLoop
from tests.simulation.shell.network import LATENCY_S, Network
from tests.simulation.shell.players import Caller, Player, WorkerPlayer
from tests.simulation.shell.process import Process, track_tasks

Disturbance = Callable[[random.Random, Database], Awaitable[None]]

#: Disturbances of a life, unless told otherwise.
STEPS: Final = 20
#: How long after the healing every running task is in somebody's hands.
HANDS_S: Final = 50.0
#: How long an attempt may be on its way to a worker then.
ON_ITS_WAY_S: Final = 1.0
#: How long after the healing everything has ended; execution timeouts of forgotten attempts included.
END_S: Final = 900.0
#: How long whoever is owed something may wait for it.
TELL_S: Final = 8.0
#: How long after a fault between nodes they know everything of each other: the silence of a link, the lease of a node,
#: and what it takes to attach and announce.
LINKED_S: Final = 12.0
EXECUTION_TIMEOUT: Final = "5m"

_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7000-8000-0*([0-9a-f]+)")
_UNSAID: Final = {"definition_id", "workflow_id", "version_id", "created_at_us", "run_input", "at_us", "priority"}


class ShellLife:
    def __init__(self, seed: int, nodes: int = 1) -> None:
        """`nodes`: of so many nodes on one database, linked if there are several."""
        self.seed = seed
        self.random = random.Random(f"{seed}/weather")
        self.loop = VirtualLoop()
        self.clock = LoopClock(self.loop, START_US)
        self.database = Database(seed)
        self.transcripts = Transcripts(self.database.tables)
        self.books = ShellBooks(self)
        self.nodes: list[Process | None] = [None] * nodes
        self.kind = "cluster" if nodes > 1 else "shell"
        self.network = Network(seed) if nodes > 1 else None
        self.loop.network = self.network
        self.workers: list[WorkerPlayer] = []
        self.workers_by_id: dict[str, WorkerPlayer] = {}
        self.callers: list[Caller] = []
        self.haste = self.random.choice((0.0, 0.1, 0.4))
        """How often a client leaves while its stream is being opened."""
        self.evictions = self.random.choice((0.0, 0.05, 0.3))
        # A life has its own leaning: what is healed by the next restart stays broken where there is none.
        kinds: tuple[Disturbance, ...] = (
            self._outage,
            self._lose_answers,
            self._fail_reads,
            self._fail_anything,
            self._take_lease,
            self._kill_process,
            self._stop_process,
            self._stand_still,
            self._disturb_worker,
            self._disturb_worker,
        )
        if nodes > 1:
            kinds += (self._break_links, self._cut_links, self._slow_links, self._freeze_node, self._freeze_node)
            kinds += (self._cut_off_database, self._lose_lock, self._drain_node, self._drain_node)
            kinds += (self._kill_process, self._stop_process)
        self.wandering = self.random.choice((0.0, 0.02, 0.2)) if nodes > 1 else 0.0
        """How often a client turns to another node for no reason."""
        self.weather = (self._nothing, self._nothing, *self.random.sample(kinds, self.random.randint(2, 6)))
        self.trace: deque[tuple[float, tuple[object, ...]]] = deque(maxlen=60)
        """When what happened: records are put into words only when somebody reads them."""
        self.digest: hashlib._Hash | None = None
        """Of everything that happened, if somebody wants to know."""
        self.troubles = 0
        """Disturbances so far."""
        self.steps = 0
        self.commands = 0
        self.crashes = 0
        self.markers = 0
        self.transactions = 0
        self._ids = 0
        self._processes = 0
        self._starting: dict[int, asyncio.Task[None]] = {}
        self.unlinked_until_s = 0.0
        """Until when nodes may be cut off, frozen or on their way to each other."""
        self._failure: asyncio.Future[None]
        self._outside = contextvars.copy_context()
        self._watched: dict[asyncio.Task[Any], None] = {}

    def fresh_id(self) -> str:
        self._ids += 1
        digits = f"{self.clock.now_us() // 1000:012x}70008000{self._ids:012x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    # Running ---------------------------------------------------------------------------------------------------------

    def live(self, steps: int = STEPS) -> None:
        loop = self.loop
        track_tasks(loop)
        loop.set_exception_handler(self._asyncio_complains)
        self._failure = loop.create_future()
        try:
            living = loop.create_task(self._live(steps))
            loop.run_until_complete(asyncio.wait((living, self._failure), return_when=asyncio.FIRST_COMPLETED))
            if self._failure.done():
                self._failure.result()
            living.result()
            del living
            gc.collect()
            if self._failure.done():
                self._failure.result()
        finally:
            self._end_everything()

    def _end_everything(self) -> None:
        """What a broken life leaves."""
        loop = self.loop
        loop.set_exception_handler(lambda *_: None)
        for _ in range(20):
            tasks = asyncio.all_tasks(loop)
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.wait(tasks, timeout=1_000))
        if self._failure.done():
            self._failure.exception()
        loop.close()

    def fail(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    def mistake(self, words: str) -> None:
        """The engine logs what must never happen."""
        self.fail(Broken(f"the engine says: {words}"))

    def _asyncio_complains(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        task = context.get("task") or context.get("future")
        self.fail(Broken(f"asyncio: {context.get('message')}: {error!r} {task!r}"))

    def watch(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of the world; its failure is a broken promise."""

        async def watched() -> None:
            try:
                await work
            except Exception as error:
                self.fail(error)

        # Whatever a process delivers is no reason to belong to it.
        task = self.loop.create_task(watched(), context=self._outside.copy())
        self._watched[task] = None
        task.add_done_callback(lambda task: self._watched.pop(task, None))
        return task

    def note(self, *words: object) -> None:
        line = self.loop.time(), words
        self.trace.append(line)
        if self.digest is not None:
            self.digest.update(in_words(line).encode())

    def listening(self) -> list[Process]:
        return [node for node in self.nodes if node is not None and node.is_listening]

    @property
    def is_linked(self) -> bool:
        """Whether all nodes have heard of each other for long enough to know everything."""
        return self.loop.time() > self.unlinked_until_s + LINKED_S

    def _observe(self, process: Process, decision: Decision) -> None:
        try:
            for effect in decision.effects:
                self.note("process", process.number, "committed", effect)
            self.books.observe(process, decision)
            self._leave_at_the_worst_moment(decision)
        except Exception as error:
            self.fail(error)

    def _leave_at_the_worst_moment(self, decision: Decision) -> None:
        """A worker's connection breaks while the batch is let out that opens its stream and assigns to it."""
        for effect in decision.effects:
            worker = self.workers_by_id.get(effect.worker_id) if isinstance(effect, StartAttempt) else None
            stream = None if worker is None else worker.stream
            if stream is not None and not (stream.is_open or stream.is_broken) and self.random.random() < self.haste:
                stream.leave(0)

    # The life --------------------------------------------------------------------------------------------------------

    async def _live(self, steps: int) -> None:
        for slot in range(len(self.nodes)):
            self._start(slot, 0)
        author = Player(self, "author")
        for spec in workflows():
            await author.insist(PutWorkflow(spec))
        for _ in range(self.random.randint(2, 4)):
            self._add_worker()
        pushing = self.watch(self._push_for_ever(Player(self, "applications")))
        for _ in range(steps):
            self.steps += 1
            for _ in range(self.random.choice((0, 1, 1, 2, 4))):
                self._add_caller()
            await asyncio.sleep(self.random.choice((0.1, 0.5, 2.0, 5.0, 9.0)))
            await self._disturb()
        await self._heal()
        await asyncio.sleep(HANDS_S)
        suspects = self.books.out_of_hands()
        await asyncio.sleep(ON_ITS_WAY_S)
        for attempt, task in self.books.out_of_hands().items():
            hold(attempt not in suspects, "a task runs and nobody has it", task)
        tables = self.database.tables
        until_s = self.loop.time() + END_S
        while tables.live or self.database.outbox:
            hold(self.loop.time() < until_s, "runs do not end", [self._story_of(run_id) for run_id in tables.live])
            await asyncio.sleep(2)
        await asyncio.sleep(TELL_S)
        self.books.check_ends()
        self.books.check_told()
        self.books.check_engines()
        pushing.cancel()
        await self._depart()

    def _story_of(self, run_id: str) -> object:
        tables = self.database.tables
        tasks = [tables.tasks[task_id] for task_id in tables.tasks_of[run_id]]
        hands = [worker.holding(task.id) for worker in self.workers_by_id.values() for task in tasks]
        return brief(tasks), "in the hands of", [hand for hand in hands if hand]

    async def _depart(self) -> None:
        """Everybody goes, then the processes; nothing is left."""
        for caller in self.callers:
            for stream in caller.streams():
                if stream is not None:
                    stream.leave(0)
            await caller.end()
        for worker in self.workers:
            await worker.say_goodbye()
        await asyncio.sleep(45)
        for process in self.listening():
            self.books.check_gone(process)
        for process in self.listening():
            await process.spawn(process.engine.leave())
            await process.spawn(process.close())
            process.is_listening = False
            await asyncio.sleep(0.1)
            left = [task for task in process.tasks if not task.done()]
            hold(not left, "asyncio tasks outlive the engine", left)
        hold(self.database.is_given_back, "the lease is not given back", self.database.holder)

    def _add_worker(self) -> None:
        worker = WorkerPlayer(self, len(self.workers) + self.crashes)
        self.workers.append(worker)
        worker.start()

    def _add_caller(self) -> None:
        caller = Caller(self, len(self.callers))
        self.callers.append(caller)
        caller.start()

    async def _push_for_ever(self, player: Player) -> None:
        """Whatever durable tasks wait for happens now and then."""
        while True:
            await asyncio.sleep(player.random.uniform(1, 6))
            key, scope = player.random.choice(EVENT_KEYS), player.random.choice("ST")
            event = EventRequest(key=key, payload='{"k":"A","u":"x","n":2,"nowhere":1}', scope=scope)
            try:
                await player.submit(PushEvents((event,)))
            except (Unavailable, TimeoutError):
                continue

    # The weather -----------------------------------------------------------------------------------------------------

    async def _disturb(self) -> None:
        disturbance = self.random.choice(self.weather)
        self.troubles += disturbance != self._nothing
        self.note("weather:", disturbance.__name__)
        await disturbance(self.random, self.database)

    async def _nothing(self, chance: random.Random, database: Database) -> None:
        database.heal()

    async def _outage(self, chance: random.Random, database: Database) -> None:
        database.is_silent = chance.random() < 0.5
        database.away_until_s = self.loop.time() + chance.choice((0.2, 2.0, 10.0, 45.0))

    async def _lose_answers(self, chance: random.Random, database: Database) -> None:
        database.unheard = chance.choice((0.1, 0.3, 0.7))
        await asyncio.sleep(chance.choice((1.0, 5.0, 15.0)))
        database.unheard = 0.0

    async def _fail_reads(self, chance: random.Random, database: Database) -> None:
        database.reads_failing = chance.choice((0.2, 0.6, 1.0))
        await asyncio.sleep(chance.choice((1.0, 5.0, 15.0)))
        database.reads_failing = 0.0

    async def _fail_anything(self, chance: random.Random, database: Database) -> None:
        database.failing = chance.choice((0.05, 0.3))
        database.latency_s = chance.choice((0.002, 0.2))

    async def _take_lease(self, chance: random.Random, database: Database) -> None:
        database.take_lease("another node", chance.choice((0.5, 3.0, 12.0)))

    async def _kill_process(self, chance: random.Random, database: Database) -> None:
        slot = chance.randrange(len(self.nodes))
        process, self.nodes[slot] = self.nodes[slot], None
        if process is None:
            return
        self.crashes += 1
        self._unlink(0.0)
        await process.kill(silently=self.network is not None and chance.random() < 0.3)
        self._start(slot, chance.choice((0.3, 2.0, 20.0)))

    async def _stop_process(self, chance: random.Random, database: Database) -> None:
        slot = chance.randrange(len(self.nodes))
        process = self.nodes[slot]
        if process is None or not process.is_listening or process.is_frozen:
            return
        self._unlink(0.0)
        await process.stop()
        self.nodes[slot] = None
        self._unlink(0.0)
        self._start(slot, chance.choice((0.1, 2.0)))

    async def _stand_still(self, chance: random.Random, database: Database) -> None:
        """Every process is paused; workers live on and are heard when they wake."""
        seconds = chance.choice((2.0, 29.0, 31.0, 70.0))
        self.loop.stand_still(seconds)
        self._unlink(0.0)

    async def _disturb_worker(self, chance: random.Random, database: Database) -> None:
        worker = chance.choice(self.workers)
        match chance.randint(0, 6):
            case 0 | 1 | 2 | 3:
                worker.cut()
            case 4 | 5:
                self.watch(worker.freeze(chance.choice((5.0, 28.0, 40.0))))
            case _:
                self.workers.remove(worker)
                self.crashes += 1
                await worker.die()
                self._add_worker()

    def _start(self, slot: int, after_s: float) -> None:
        self._starting[slot] = self.watch(self._start_process(slot, after_s))

    async def _start_process(self, slot: int, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while True:
            self._processes += 1
            number, observe, note_sent = self._processes, self._observe, self.books.note_sent
            process = Process(self.database, number, self.clock, self.fresh_id, observe, note_sent, self.network)
            self.nodes[slot] = process
            try:
                await process.start()
                break
            except Unavailable:
                # Whoever watches over it starts it anew.
                await process.kill()
                await asyncio.sleep(1.0)
                if self.nodes[slot] is not process:
                    # It was killed meanwhile, and the next one is under way.
                    return
        self._unlink(0.0)
        # It may have been killed while it started.
        if self.nodes[slot] is process:
            process.run(lambda engine: engine.outbox_unsure())

    # The weather between nodes ---------------------------------------------------------------------------------------

    def _unlink(self, seconds: float) -> None:
        self.unlinked_until_s = max(self.unlinked_until_s, self.loop.time() + seconds)

    def _two_nodes(self, chance: random.Random) -> list[Process]:
        found = self.listening()
        return chance.sample(found, 2) if len(found) > 1 else []

    async def _break_links(self, chance: random.Random, database: Database) -> None:
        if self.network is not None and (two := self._two_nodes(chance)):
            for _ in range(chance.choice((1, 1, 3))):
                self.network.break_connections(two[0].name, two[1].name)
                self._unlink(0.0)
                await asyncio.sleep(chance.choice((0.0, 0.01, 0.5)))

    async def _cut_links(self, chance: random.Random, database: Database) -> None:
        """Two nodes do not reach each other, and both reach the database."""
        if self.network is not None and (two := self._two_nodes(chance)):
            seconds = chance.choice((0.5, 2.5, 6.0, 20.0))
            self.network.cut(two[0].name, two[1].name, self.loop.time() + seconds)
            self._unlink(seconds)

    async def _slow_links(self, chance: random.Random, database: Database) -> None:
        if self.network is not None:
            self.network.latency_s = chance.choice((0.05, 0.5))
            seconds = chance.choice((2.0, 10.0))
            self._unlink(seconds)
            await asyncio.sleep(seconds)
            self.network.latency_s = LATENCY_S

    async def _freeze_node(self, chance: random.Random, database: Database) -> None:
        if found := self.listening():
            node = chance.choice(found)
            seconds = chance.choice((0.5, 3.0, 6.0, 12.0, 40.0))
            self._unlink(seconds)
            node.freeze()
            self.watch(self._go_on(node, seconds))

    async def _go_on(self, node: Process, seconds: float) -> None:
        self._doubt_workers_at(node)
        await asyncio.sleep(seconds)
        self._doubt_workers_at(node)
        node.go_on()
        self._unlink(0.0)

    def _doubt_workers_at(self, node: Process) -> None:
        """The engine may believe in the loss of who is connected there."""
        for worker in self.workers:
            if worker.stream is not None and worker.stream.process is node:
                worker.doubtful.update(worker.attempts)

    async def _cut_off_database(self, chance: random.Random, database: Database) -> None:
        """One node does not reach the database; the others do."""
        if found := self.listening():
            node = chance.choice(found)
            seconds = chance.choice((0.5, 3.0, 6.0, 20.0))
            database.is_silent = chance.random() < 0.5
            database.cut_until_s[node.name] = self.loop.time() + seconds
            self._unlink(seconds)

    async def _drain_node(self, chance: random.Random, database: Database) -> None:
        """Somebody drains a node, and may undo it."""
        for row in database.nodes.values():
            row.is_draining = False
        if found := self.listening():
            database.nodes[chance.choice(found).name].is_draining = True
        self._unlink(0.0)
        database.tell_nodes()
        await asyncio.sleep(chance.choice((0.0, 0.05, 1.0, 10.0)))
        if chance.random() < 0.7:
            for row in database.nodes.values():
                row.is_draining = False
            database.tell_nodes()

    async def _lose_lock(self, chance: random.Random, database: Database) -> None:
        """The session that tells of a node's death ends, and the node lives."""
        rows = [row for row in database.nodes.values() if row.has_lock]
        if rows:
            chance.choice(rows).is_locked = False
            self._unlink(0.0)

    async def _heal(self) -> None:
        self.note("the world is healed")
        self.database.heal()
        for row in self.database.nodes.values():
            row.is_draining = False
        if self.network is not None:
            self.network.heal()
        for node in self.listening():
            node.go_on()
        for starting in list(self._starting.values()):
            await starting
        hold(len(self.listening()) == len(self.nodes), "a node does not start", self.nodes)
        self._unlink(0.0)
        # Durable tasks that wait for each other's places would wait for ever if nobody was evicted.
        self.haste, self.evictions, self.wandering = 0.0, 0.05, 0.0
        # Whoever listens for notifications has connected anew.
        for node in self.listening():
            node.run(lambda engine: engine.outbox_unsure())


def in_words(line: tuple[float, tuple[object, ...]]) -> str:
    at_s, words = line
    return f"{at_s:.4f} " + " ".join(map(brief, words))


def brief(word: object) -> str:
    """A record without what is empty, ids by their ends."""
    if isinstance(word, list | tuple):
        return f"[{', '.join(map(brief, word))}]"
    if not isinstance(word, msgspec.Struct):
        return _ID.sub(r"\1", str(word))
    fields = {name: getattr(word, name) for name in word.__struct_fields__ if name not in _UNSAID}
    said = (f"{name}={brief(value)}" for name, value in fields.items() if value not in (None, "", (), False, {}))
    return f"{type(word).__name__}({', '.join(said)})"


def workflows() -> list[WorkflowSpec]:
    def task(name: str, *parents: str, action: str = "s:a", retries: int = 0, is_durable: bool = False) -> TaskSpec:
        return TaskSpec(
            name=name,
            action_id=action,
            parents=parents,
            execution_timeout="2h" if is_durable else EXECUTION_TIMEOUT,
            schedule_timeout="1h",
            retries=retries,
            is_durable=is_durable,
            slots={"durable": 1} if is_durable else {},
        )

    return [
        WorkflowSpec(name="w0", tasks=(task("a"),), event_triggers=("begin",)),
        WorkflowSpec(name="w1", tasks=(task("a"), task("b", "a", action="s:b"), task("c", "a"), task("d", "b", "c"))),
        WorkflowSpec(name="w2", tasks=(task("d", action="s:d", retries=100, is_durable=True),)),
        WorkflowSpec(name="w3", tasks=(task("f", action="s:b", retries=2),)),
    ]
