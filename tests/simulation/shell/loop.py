"""An event loop without a world: time jumps to the next timer when nothing is ready, and nothing is read or written.

A life of hours takes milliseconds, and the same seed lives it again. Sockets are those of a `Network`, if there is one;
threads and signals are refused. A loop that goes round without time passing is called broken instead of hanging.

Whatever runs on behalf of a process (`running_in`) can be frozen with it: it waits, in its order, until the process
goes on.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from asyncio import base_events, events
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from tests.simulation.shell.network import Network

#: Turns of the loop within one instant.
TURNS_MAX: Final = 200_000
#: Timers within less are due together.
RESOLUTION_S: Final = 1e-9


class Runner(Protocol):
    """A process as the loop knows it."""

    name: str
    is_frozen: bool
    is_over: bool
    """It was killed: its timers do nothing any more."""
    tasks: dict[asyncio.Task[Any], None]
    parked: list[events.Handle]
    """What would have run while it was frozen."""


running_in: contextvars.ContextVar[Runner | None] = contextvars.ContextVar("running_in", default=None)
#: The context of the world: nothing in it belongs to a process.
WORLD: Final = contextvars.Context()


def _must_not_run(handle: events.Handle) -> bool:
    context: contextvars.Context = handle._context  # type: ignore[attr-defined]
    runner = context.get(running_in)
    if runner is None or not (runner.is_frozen or runner.is_over):
        return False
    if not runner.is_over:
        runner.parked.append(handle)
    return True


class _Handle(events.Handle):
    __slots__ = ()

    def _run(self) -> None:
        if not _must_not_run(self):
            super()._run()


class _TimerHandle(events.TimerHandle):
    __slots__ = ()

    def _run(self) -> None:
        if not _must_not_run(self):
            super()._run()


class Standstill(Exception):
    """Nothing is ready and no timer is armed: nothing will ever happen. Or the loop spins."""


class VirtualLoop(base_events.BaseEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._turns = 0
        self._clock_resolution = RESOLUTION_S
        # What the base class asks how long it may sleep.
        self._selector = self
        self.network: Network | None = None
        self._ready: Any
        self._scheduled: Any

    def time(self) -> float:
        return self._now_s

    def stand_still(self, seconds: float) -> None:
        """The process does nothing for so long; what became due meanwhile is late."""
        self._now_s += seconds

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Standstill("nothing is ready and no timer is armed")
        if timeout > 0:
            self._turns = 0
            self._now_s += timeout
        else:
            self._turns += 1
            if self._turns > TURNS_MAX:
                raise Standstill("the loop goes round and time does not pass")
        return []

    def go_on(self, runner: Runner) -> None:
        """A frozen process wakes: what was ready and what became due meanwhile runs now."""
        parked = runner.parked.copy()
        runner.is_frozen = False
        runner.parked.clear()
        # Before what came after it.
        self._ready.extendleft(reversed(parked))

    # A network instead of sockets ------------------------------------------------------------------------------------

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: str, port: int, ssl: None = None
    ) -> Any:
        assert self.network is not None
        return self.network.listen(protocol_factory, host)

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: str, port: int
    ) -> Any:
        assert self.network is not None
        return await self.network.connect(protocol_factory, host)

    # What the base class does, with handles that can be parked --------------------------------------------------------

    def _call_soon(
        self, callback: Callable[..., object], args: Any, context: contextvars.Context | None
    ) -> events.Handle:
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> events.TimerHandle:
        timer = _TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class LoopClock:
    """The engine's clock: the loop's time since an instant."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start_us: int) -> None:
        self._loop = loop
        self._start_us = start_us
        self.jumps = 0

    def now_us(self) -> int:
        return self._start_us + int(self._loop.time() * 1_000_000)
