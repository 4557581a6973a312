"""The caller's side on a session: the same `run`, `run_many`, `aio_run` and `result`, many to a message.

    with Caller(hatchet):
        results = await greet.aio_run_many([...])

What is asked through the client is sent on one stream, and the ends of runs come back on it. A start that was on its
way when the session was cut fails with UNAVAILABLE, on which the SDK tries again, as it does on the official protocol;
runs that are awaited are asked for again.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import logging
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import grpc

from broadaxe_worker import session_pb2 as pb
from broadaxe_worker.sdk import CallFailed, check_version, connection_of, redirect
from broadaxe_worker.session import PROTOCOL, Session

if TYPE_CHECKING:
    from hatchet_sdk import Hatchet

__all__ = ["Caller"]

#: Runs started here of which it is known that they are; the sync client asks for their details until they are over.
OWN_RUNS_MAX: Final = 10_000
_CODES: Final[dict[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}
_RunWaiter = tuple[asyncio.AbstractEventLoop | None, Any]

_log = logging.getLogger("broadaxe_worker")


class Caller:
    def __init__(self, hatchet: Hatchet) -> None:
        check_version()
        self._hatchet = hatchet
        self._session = Session(*connection_of(hatchet), pb.Hello(protocol=PROTOCOL), self)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._starts: dict[int, concurrent.futures.Future[Sequence[str]]] = {}
        self._waiters: defaultdict[str, list[_RunWaiter]] = defaultdict(list)
        self._own: OrderedDict[str, threading.Event] = OrderedDict()
        self._gathered: dict[asyncio.AbstractEventLoop, list[str]] = {}
        self._back: Callable[[], None] | None = None

    def start(self) -> None:
        """From here on the client's calls go on the session. WorkerError when there is none to be had."""
        self._session.start()
        self._back = redirect(self._hatchet, self)

    def stop(self) -> None:
        """The client is as it was before. What is under way fails."""
        if self._back is not None:
            self._back()
            self._back = None
        self._session.stop()
        self.cut()
        for waiters in self._take_waiters():
            _settle([(waiter, None) for waiter in waiters])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # What the client asks ------------------------------------------------------------------------------------------

    def start_one(self, request: bytes) -> str:
        return self._start(pb.Trigger(one=request))[0]

    def start_many(self, request: bytes) -> Sequence[str]:
        return self._start(pb.Trigger(many=request))

    def _start(self, trigger: pb.Trigger) -> Sequence[str]:
        started: concurrent.futures.Future[Sequence[str]] = concurrent.futures.Future()
        with self._lock:
            trigger.number = next(self._numbers)
            self._starts[trigger.number] = started
        self._session.outbox.trigger(trigger)
        run_ids = started.result()
        with self._lock:
            for run_id in run_ids:
                self._own.setdefault(run_id, threading.Event())
            while len(self._own) > OWN_RUNS_MAX:
                self._own.popitem(last=False)
        return run_ids

    async def finished(self, run_id: str) -> bytes:
        """The event of the run's end, as the official subscription has it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()
        with self._lock:
            is_new = run_id not in self._waiters
            self._waiters[run_id].append((loop, future))
        if is_new:
            gathered = self._gathered.get(loop)
            if gathered is None:
                gathered = self._gathered[loop] = []
                loop.call_soon(self._ask, loop)
            gathered.append(run_id)
        return await future

    def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        self._session.outbox.wait_for(self._gathered.pop(loop))

    def await_own(self, run_id: str, at_most_s: float) -> None:
        """Waits for the end of a run that was started here; returns at once for any other, and the second time."""
        with self._lock:
            over = self._own.get(run_id)
            if over is None or over.is_set():
                return
            is_new = run_id not in self._waiters
            waiter = (None, over)
            if waiter not in self._waiters[run_id]:
                self._waiters[run_id].append(waiter)
        if is_new:
            self._session.outbox.wait_for([run_id])
        over.wait(at_most_s)

    # What the session hears, on its thread -------------------------------------------------------------------------

    def welcomed(self, welcome: pb.Welcome, is_again: bool) -> None:
        if is_again:
            with self._lock:
                awaited = list(self._waiters)
            self._session.outbox.wait_for(awaited)

    def heard(self, frame: pb.EngineFrame) -> None:
        for triggered in frame.triggered:
            with self._lock:
                started = self._starts.pop(triggered.number, None)
            if started is None:
                continue
            if triggered.code:
                code = _CODES.get(triggered.code, grpc.StatusCode.UNKNOWN)
                started.set_exception(CallFailed(code, triggered.message, triggered.status_details))
            else:
                started.set_result(list(triggered.run_ids))
        if frame.finished_runs:
            self._tell(frame.finished_runs)

    def _tell(self, events: Sequence[bytes]) -> None:
        told: list[tuple[_RunWaiter, bytes | None]] = []
        for event in events:
            run_id = _run_id(event)
            with self._lock:
                waiters = self._waiters.pop(run_id, [])
            told += [(waiter, event) for waiter in waiters]
        _settle(told)

    def cut(self) -> None:
        with self._lock:
            starts, self._starts = self._starts, {}
        for started in starts.values():
            started.set_exception(CallFailed(grpc.StatusCode.UNAVAILABLE, "the session with the engine was cut"))

    def _take_waiters(self) -> list[list[_RunWaiter]]:
        with self._lock:
            waiters = list(self._waiters.values())
            self._waiters.clear()
        return waiters


def _run_id(event: bytes) -> str:
    """The first field of a WorkflowRunEvent, without reading the rest: a tag, a length below 128, the text."""
    if len(event) < 2 or event[0] != 0x0A or event[1] > 0x7F:
        raise ValueError("the engine told of the end of a run without its id")
    return event[2 : 2 + event[1]].decode()


def _settle(told: Sequence[tuple[_RunWaiter, bytes | None]]) -> None:
    """Each loop is woken once. None: it will not be told any more."""
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[tuple[Any, bytes | None]]] = defaultdict(list)
    for (loop, waiter), event in told:
        if loop is None:
            waiter.set()
        else:
            by_loop[loop].append((waiter, event))
    for loop, futures in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_on_loop, futures)
        except RuntimeError:
            _log.debug("results for a loop that is closed")


def _settle_on_loop(futures: Sequence[tuple[asyncio.Future[bytes], bytes | None]]) -> None:
    for future, event in futures:
        if future.done():
            continue
        if event is None:
            future.set_exception(CallFailed(grpc.StatusCode.CANCELLED, "the caller was stopped"))
        else:
            future.set_result(event)
