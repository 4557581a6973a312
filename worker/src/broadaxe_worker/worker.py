"""A worker: begins, runs tasks until it is told to stop, and ends without losing any.

    from broadaxe_worker import Worker

    Worker(hatchet, "mail", workflows=[send_mail]).start()

One process: tasks that are `async def` run on one loop, `def` tasks on threads, and the session with the engine has
threads of its own. Stopping (SIGTERM, Ctrl-C, `stop`) takes no new tasks, lets those that run finish, tells the engine
what became of them and leaves; whoever asks twice gets it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from broadaxe_worker import session_pb2 as pb
from broadaxe_worker.errors import EngineTooOld, WorkerError
from broadaxe_worker.sdk import Program, SessionRunner, check_version
from broadaxe_worker.session import PROTOCOL, Session
from broadaxe_worker.watching import LoopWatch

if TYPE_CHECKING:
    from hatchet_sdk import Hatchet

__all__ = ["Worker"]

#: How long the last reports may take to be committed after the last task has ended.
TELL_S: Final = 30.0
#: After how long a blocked loop is named.
BLOCKED_S: Final = 2.0

_log = logging.getLogger("broadaxe_worker")


class Worker:
    def __init__(
        self,
        hatchet: Hatchet,
        name: str,
        *,
        workflows: Sequence[Any],
        slots: int | None = None,
        durable_slots: int | None = None,
        labels: Mapping[str, str | int] | None = None,
        lifespan: Callable[[], AsyncGenerator[Any, None]] | None = None,
        stop_limit_s: float | None = None,
    ) -> None:
        """The arguments are those of `hatchet.worker`. `stop_limit_s`: how long a stop waits for running tasks; None:
        as long as they take. `Mistake` for workflows that cannot be offered together."""
        check_version()
        self._begin(
            Program(
                hatchet,
                name,
                workflows,
                slots=slots,
                durable_slots=durable_slots,
                labels=labels,
                lifespan=lifespan,
            ),
            stop_limit_s,
        )

    @classmethod
    def of(cls, official: Any, *, stop_limit_s: float | None = None) -> Worker:
        """A worker for what `hatchet.worker(...)` returned, instead of starting that."""
        check_version()
        worker = cls.__new__(cls)
        worker._begin(Program.of(official), stop_limit_s)
        return worker

    def _begin(self, program: Program, stop_limit_s: float | None) -> None:
        self._program = program
        self._stop_limit_s = stop_limit_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._runner: SessionRunner | None = None
        self._session: Session | None = None
        self._lifespan_context: Any = None
        self._worker_id = ""
        self._problem: Exception | None = None
        self._stops = 0
        self._is_told_to_stop = False
        self.is_ready = threading.Event()
        """Set once the engine knows the worker and may give it tasks."""

    def start(self) -> None:
        """Blocks until the worker has stopped. Falls back to the SDK's own worker at an engine that knows no
        sessions. WorkerError when it cannot begin."""
        try:
            has_ended = asyncio.run(self.run(handles_signals=True))
        except EngineTooOld as error:
            _log.warning("%s; going on with the official protocol, at its speed", error)
            # As far as can be told from here.
            self.is_ready.set()
            self._program.official().start()
            return
        if not has_ended:
            # Threads cannot be ended from outside, and the interpreter would wait for them.
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)

    def stop(self) -> None:
        """Asks the worker to stop, from any thread. One that has not started yet stops as soon as it has."""
        self._is_told_to_stop = True
        if (loop := self._loop) is not None:
            loop.call_soon_threadsafe(self._asked_to_stop)

    async def run(self, *, handles_signals: bool = False) -> bool:
        """Runs in the present loop until the worker is told to stop. False if tasks were left behind. Cancelling it
        leaves at once; the engine gives what was running to others."""
        program = self._program
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        if self._is_told_to_stop:
            self._stopping.set()
        hello = program.hello(PROTOCOL)
        if handles_signals:
            self._handle_signals()
        async with contextlib.AsyncExitStack() as stack:
            if program.lifespan is not None:
                self._lifespan_context = await stack.enter_async_context(_lifespan(program.lifespan))
            self._session = session = Session(*program.connection(), hello, self)
            watch = LoopWatch(self._loop, BLOCKED_S)
            try:
                await asyncio.to_thread(session.start)
                watch.start()
                has_ended = True

                async def main() -> None:
                    nonlocal has_ended
                    has_ended = await self._serve(session)

                await program.with_captured_logs(session.outbox, main)
                return has_ended
            finally:
                watch.stop()
                await asyncio.shield(asyncio.to_thread(session.stop))

    async def _serve(self, session: Session) -> bool:
        assert self._stopping is not None
        program = self._program
        runner = self._runner
        if runner is None:
            raise WorkerError(
                f"this release of hatchet-sdk is not understood ({self._problem}); "
                "start the worker with the SDK's own worker.start()"
            ) from self._problem
        _log.info("worker %s has %d actions and waits for tasks", program.name, len(program.tasks))
        await self._stopping.wait()
        session.outbox.goodbye()
        running = runner.running()
        if running:
            _log.info("stopping; %d tasks finish first (stop again to end at once)", len(running))
        await runner.evict_all_waiting_durable_runs()
        give_up_at_s = None if self._stop_limit_s is None else time.monotonic() + self._stop_limit_s
        while under_way := [*runner.tasks.values(), *runner.running_tasks]:
            remaining_s = None if give_up_at_s is None else give_up_at_s - time.monotonic()
            if remaining_s is not None and remaining_s <= 0:
                break
            await asyncio.wait(under_way, timeout=remaining_s)
        # Reports are gathered by the turn of the loop.
        await asyncio.sleep(0)
        left = runner.running()
        if left:
            _log.warning(
                "%d tasks did not finish in %g s and are left to other workers: %s",
                len(left),
                self._stop_limit_s,
                ", ".join(left[:10]),
            )
        is_told = await asyncio.to_thread(session.leave, TELL_S)
        if not is_told:
            _log.error("the engine could not be told of %d finished tasks in time", len(session.outbox.untold()))
        return not left

    # What the session hears, on its thread --------------------------------------------------------------------------

    def welcomed(self, welcome: pb.Welcome, is_again: bool) -> None:
        self._post(self._welcomed, welcome, is_again)

    def heard(self, frame: pb.EngineFrame) -> None:
        if frame.assignments or frame.durable_answers or frame.refusals:
            self._post(self._heard, frame)

    def cut(self) -> None:
        self._post(self._cut)

    def _post(self, what: Callable[..., None], *arguments: Any) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(what, *arguments)

    # The same, on the loop -----------------------------------------------------------------------------------------

    def _welcomed(self, welcome: pb.Welcome, is_again: bool) -> None:
        self._worker_id = welcome.worker_id
        if self._runner is None:
            assert self._session is not None
            try:
                runner = SessionRunner(
                    self._program, self._session.outbox, welcome.engine_version, self._lifespan_context
                )
                runner.begin(welcome.worker_id)
            except Exception as error:
                # Of a release of the SDK that is built in another way.
                self._problem = error
                return
            self._runner = runner
        self.is_ready.set()

    def _heard(self, frame: pb.EngineFrame) -> None:
        for refusal in frame.refusals:
            _log.error("the engine refuses a report for good: %s", refusal.message)
        runner = self._runner
        if runner is None:
            return
        if frame.durable_answers:
            runner.answered(frame.durable_answers)
        if frame.assignments:
            runner.take(frame.assignments, self._worker_id)
            tasks_max = self._program.tasks_max
            if tasks_max and self._program.tasks_begun() >= tasks_max:
                self._asked_to_stop()

    def _cut(self) -> None:
        if self._runner is not None:
            self._runner.cut()

    # Stopping ------------------------------------------------------------------------------------------------------

    def _handle_signals(self) -> None:
        assert self._loop is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._loop.add_signal_handler(number, self._signalled)
            except NotImplementedError:  # Windows: its loop hears no signals
                signal.signal(number, lambda *_: self._post(self._signalled))

    def _signalled(self) -> None:
        self._stops += 1
        if self._stops > 1 or self._program.shuts_down_at_once:
            logging.shutdown()
            os._exit(130)
        self._asked_to_stop()

    def _asked_to_stop(self) -> None:
        if self._stopping is not None:
            self._stopping.set()


@contextlib.asynccontextmanager
async def _lifespan(lifespan: Callable[[], AsyncGenerator[Any, None]]) -> AsyncGenerator[Any, None]:
    """The SDK's: a generator that yields once, what is to be found in `context.lifespan`."""
    generator = lifespan()
    try:
        context = await anext(generator)
    except StopAsyncIteration:
        yield None
        return
    try:
        yield context
    finally:
        with contextlib.suppress(StopAsyncIteration):
            await anext(generator)
