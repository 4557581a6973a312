"""Engine processes, and the wire between them and everybody else.

A process is an `Engine` with everything that runs on its behalf, so that it can be killed: nothing of it runs on, and
whoever was connected sees the connection go. Calls and streams take a moment each way; a client may leave at any
await, and what was on its way on a broken stream never arrives. What handlers do here is what `rpc/services/` does.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from asyncio import events
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from broadaxe.core.decision import Decision
from broadaxe.engine.clock import Clock
from broadaxe.engine.engine import Engine
from broadaxe.errors import Unavailable
from broadaxe.link.host import Host
from broadaxe.link.visitor import Visitor
from tests.simulation.shell.database import Database, ProcessStore
from tests.simulation.shell.loop import WORLD, VirtualLoop, running_in
from tests.simulation.shell.network import Network

T = TypeVar("T")

#: Longest way of a message.
LATENCY_S: Final = 0.01
#: How often what a killed process left is ended again.
KILLS_MAX: Final = 50
#: Messages of one stream are never due at one instant: timers of one instant have no order.
STEP_S: Final = 1e-6
FOR_EVER: Final = float("inf")
#: What the nodes prove to each other.
SECRET: Final = bytes(32)


def track_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Lets every process know the asyncio tasks that run on its behalf."""

    def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
        context: contextvars.Context | None = options.get("context")
        process = running_in.get() if context is None else context.get(running_in)
        if process is not None:
            process.tasks[task] = None
            task.add_done_callback(lambda task: process.tasks.pop(task, None))
        return task

    loop.set_task_factory(make)


class Presences:
    """Which workers have a stream of some kind here, as far as the engine was told, and until when others had one."""

    def __init__(self) -> None:
        self._until_s: dict[str, dict[object, float]] = {}

    def begin(self, worker_id: str, stream: object) -> None:
        self._until_s.setdefault(worker_id, {})[stream] = FOR_EVER

    def end(self, worker_id: str, stream: object) -> None:
        if stream in self._until_s.get(worker_id, {}):
            self._until_s[worker_id][stream] = asyncio.get_running_loop().time()

    def was_there(self, worker_id: str, since_s: float) -> bool:
        """Whether the worker had one at some instant since then."""
        return any(until_s >= since_s for until_s in self._until_s.get(worker_id, {}).values())


class Process:
    def __init__(
        self,
        database: Database,
        number: int,
        clock: Clock,
        fresh_id: Callable[[], str],
        observe: Callable[[Process, Decision], None],
        sent: Callable[[object], None],
        network: Network | None = None,
    ) -> None:
        """`observe` hears of every commit, `sent` of everything that is written to a stream. `network` joins it with
        other nodes."""
        self.sent = sent
        self.number = number
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.name = f"node-{number}"
        self.is_frozen = False
        self.is_over = False
        self.parked: list[events.Handle] = []
        self.store = ProcessStore(database, self.name)
        self._network = network
        self._visitor = Visitor(SECRET) if network is not None else None
        self.dead: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.draining = asyncio.Event()
        self.engine = Engine(
            self.store,
            clock=clock,
            observe=lambda _, decision: observe(self, decision),
            fresh_id=fresh_id,
            connect=self._visitor,
            nodes=self.store.members if network is not None else None,
        )
        self._host = Host(self.engine, SECRET) if network is not None else None
        self.is_listening = False
        self.sessions = Presences()
        """Of assignment streams, and of durable ones."""
        self.durable_streams = Presences()
        self._context = contextvars.copy_context()
        self._context.run(running_in.set, self)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task of this process."""
        return asyncio.get_running_loop().create_task(work, context=self._context)

    def run(self, work: Callable[[Engine], None]) -> None:
        """Tells the engine something."""
        self._context.run(work, self.engine)

    async def start(self) -> None:
        """Serves when it has the tenants with work. Unavailable when it cannot."""
        if self._host is not None:
            await self.spawn(self._host.start(self.name, 0))
            self.store.members.link_address = f"{self.name}:1"
        loops = self.store.members.renew_for_ever(), self.store.look_at_leases_for_ever()
        self.store.loops = tuple(self.spawn(loop) for loop in loops)
        await self.spawn(self.engine.start())
        self.is_listening = True

    async def stop(self) -> None:
        """A planned stop: the tenant goes to another node, streams are drained, what was accepted is done."""
        await self.spawn(self.engine.leave())
        self.draining.set()
        await self.spawn(self.close())
        self.is_listening = False
        await self.kill()

    async def close(self) -> None:
        await self.engine.stop()
        if self._host is not None and self._visitor is not None:
            await self._host.stop()
            await self._visitor.close()

    def freeze(self) -> None:
        """Nothing of it runs until it goes on."""
        self.is_frozen = True

    def go_on(self) -> None:
        if self.is_frozen:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop.go_on(self)

    async def kill(self, *, silently: bool = False) -> None:
        """`silently`: with its machine, so that nobody learns of it but by the silence."""
        self.is_listening = False
        self.store.is_dead = True
        if self._network is not None:
            self._network.kill(self.name, silently=silently)
        database = self.store.database
        row = database.nodes.get(self.name)
        if row is not None and not silently:
            row.is_locked = False
        if self.store.members.look in database.listeners:
            database.listeners.remove(self.store.members.look)
        self.go_on()
        if not self.dead.done():
            self.dead.set_result(None)
        for _ in range(KILLS_MAX):
            tasks = list(self.tasks)
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for _ in range(3):
            # Whoever is told of an error hears it.
            await asyncio.sleep(0)
        self.is_over = True


class Stream(Generic[T]):
    """One stream between a client and a handler in a process. `hear` is called with what arrives at the client."""

    def __init__(
        self,
        process: Process,
        chance: random.Random,
        handler: Callable[[Process, Stream[T]], Coroutine[Any, Any, None]],
        hear: Callable[[T], None],
    ) -> None:
        self.process = process
        self._chance = chance
        self._hear = hear
        self._arrives_at_s = 0.0
        self._asked_at_s = 0.0
        self.is_broken = False
        """The client has gone, or the process has."""
        self.is_open = False
        """The engine knows it."""
        self.ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        """The client has learnt of the end, with the error it ended by, if any."""
        self.requests: asyncio.Queue[Any] = asyncio.Queue()
        self.task = process.spawn(handler(process, self))
        self.task.add_done_callback(self._handler_done)
        process.dead.add_done_callback(self._process_died)

    # The client's side -----------------------------------------------------------------------------------------------

    def ask(self, request: Any) -> None:
        """Sends a message; messages arrive in order."""
        loop = asyncio.get_running_loop()
        self._asked_at_s = max(self._asked_at_s + STEP_S, loop.time() + self._chance.uniform(0, LATENCY_S))
        loop.call_at(self._asked_at_s, self._put, request, context=WORLD)

    def leave(self, noticed_after_s: float | None) -> None:
        """The client goes, in a way that the server notices so much later, or never (None): nothing arrives then."""
        self.is_broken = True
        self._end(None)
        if noticed_after_s:
            asyncio.get_running_loop().call_later(noticed_after_s, self.task.cancel)
        elif noticed_after_s is not None:
            self.task.cancel()

    # The server's side -----------------------------------------------------------------------------------------------

    async def send(self, item: T) -> None:
        await asyncio.sleep(0)
        self.process.sent(item)
        loop = asyncio.get_running_loop()
        self._arrives_at_s = max(self._arrives_at_s + STEP_S, loop.time() + self._chance.uniform(0, LATENCY_S))
        loop.call_at(self._arrives_at_s, self._arrive, item, context=WORLD)

    def _put(self, request: Any) -> None:
        if not self.is_broken:
            self.requests.put_nowait(request)

    def _arrive(self, item: T) -> None:
        if not self.is_broken:
            self._hear(item)

    def _handler_done(self, task: asyncio.Task[None]) -> None:
        error = Unavailable("the stream was cancelled") if task.cancelled() else task.exception()
        if not self.is_broken:
            loop = asyncio.get_running_loop()
            self._arrives_at_s = max(self._arrives_at_s + STEP_S, loop.time() + self._chance.uniform(0, LATENCY_S))
            loop.call_at(self._arrives_at_s, self._end, error, context=WORLD)

    def _process_died(self, _: object) -> None:
        self.is_broken = True
        self._end(Unavailable("the connection was reset"))

    def _end(self, error: BaseException | None) -> None:
        self.is_broken = True
        if not self.ended.done():
            self.ended.set_result(error)


async def call(
    process: Process | None, chance: random.Random, work: Callable[[Engine], Awaitable[T]], give_up_after_s: float
) -> T:
    """A unary call. Unavailable when the process cannot be reached, or dies on the way; TimeoutError when the client
    gives up, which cancels the handler."""
    await asyncio.sleep(chance.uniform(0, LATENCY_S))
    if process is None or not process.is_listening:
        raise Unavailable("the connection was refused")

    async def handle() -> T:
        return await work(process.engine)

    handling = process.spawn(handle())
    handling.add_done_callback(_heard)
    try:
        await asyncio.wait((handling, process.dead), timeout=give_up_after_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not handling.done():
            handling.cancel()
    if process.dead.done():
        raise Unavailable("the connection was reset")
    if not handling.done():
        raise TimeoutError
    await asyncio.sleep(chance.uniform(0, LATENCY_S))
    if process.dead.done():
        raise Unavailable("the connection was reset")
    return handling.result()


def _heard(task: asyncio.Task[Any]) -> None:
    """A caller that is gone hears no error."""
    if not task.cancelled():
        task.exception()
