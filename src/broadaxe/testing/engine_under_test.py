"""A real engine on a thread of the test's process, which tests stop, start again, cut off from its database, and whose
time they move.

Its database is its own, and so is its event loop: a test, a worker and the engine never wait for each other's loop. It
keeps its address and its token from one life to the next, so clients that were made before it started work, and go on
after a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from broadaxe import logs
from broadaxe.config import Settings
from broadaxe.engine.skipped_time import PATIENCE_S, SKIP_MAX_US, MovedClock, SkippedTime
from broadaxe.storage.ids import new_id
from broadaxe.storage.tokens import shape_token
from broadaxe.testing import loops
from broadaxe.testing.assertions import RunAssertion
from broadaxe.testing.recordings import Recording
from broadaxe.testing.rest import Rest
from broadaxe.testing.server import Server

if TYPE_CHECKING:
    from broadaxe.app import App

__all__ = ["Clock", "EngineUnderTest", "Pending"]

T = TypeVar("T")
_HOST: Final = "127.0.0.1"
_TOKEN_LIFE_S: Final = 30 * 86_400
#: How long anything may take that the engine does for a test.
_GIVE_UP_S: Final = 120.0
#: How long workers are waited for after a restart.
_COME_BACK_S: Final = 30.0


class Pending(Generic[T]):
    """Something that has begun on the engine's thread: `await` it, or wait for it with `result()` where nothing can be
    awaited."""

    def __init__(self, future: Future[T]) -> None:
        self._future = future

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self._future).__await__()

    def result(self) -> T:
        return self._future.result()


class Clock:
    """The engine's clock. It goes as the machine's does, and can be moved on."""

    def __init__(self, engine: EngineUnderTest) -> None:
        self._engine = engine
        self.moved = MovedClock()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.moved.now_us() / 1e6, UTC)

    def advance(
        self, by: timedelta | None = None, *, patience: timedelta = timedelta(seconds=PATIENCE_S), **units: float
    ) -> Pending[None]:
        """Moves time on: `await clock.advance(days=30)`. Sleeps, crons, schedules, timeouts, retries and limits that
        come due on the way do so at their instant and in their order, and what they start is finished before time
        goes on. Returns when that is done.

        A task that runs and is not heard of for `patience` on the machine's clock does not hold time up any longer:
        that is how an execution timeout is tested. InvalidArgument for less than nothing, or more than a century.
        """
        span = (by or timedelta()) + timedelta(**units)
        by_us = span // timedelta(microseconds=1)
        return self._engine.begin(lambda time: time.skip(by_us, patience.total_seconds()))

    def run_until_idle(
        self, within: timedelta | None = None, *, patience: timedelta = timedelta(seconds=PATIENCE_S)
    ) -> Pending[None]:
        """Moves time on until no run is left, at most by `within` (a century unless given)."""
        within_us = SKIP_MAX_US if within is None else within // timedelta(microseconds=1)
        return self._engine.begin(lambda time: time.skip_until_idle(within_us, patience.total_seconds()))

    def settle(self, *, patience: timedelta = timedelta(seconds=PATIENCE_S)) -> Pending[None]:
        """Lets what goes on come to its end, without moving time."""
        return self._engine.begin(lambda time: time.settle(patience.total_seconds()))


class EngineUnderTest:
    def __init__(self, directory: Path) -> None:
        """`directory` is where the PostgreSQL server of all test runs lives. Nothing starts here, but the addresses and
        the token are there for clients to be made with."""
        self._directory = directory
        grpc_port, http_port = _free_ports()
        self.grpc_address = f"{_HOST}:{grpc_port}"
        self.http_url = f"http://{_HOST}:{http_port}"
        self.tenant_id = new_id()
        self._shaped = shape_token(self.tenant_id, _TOKEN_LIFE_S, self.http_url, self.grpc_address)
        self.rest = Rest(self.http_url, self.token)
        self._ports = grpc_port, http_port
        self.clock = Clock(self)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: Server | None = None
        self._app: App | None = None
        self._time: SkippedTime | None = None

    @property
    def token(self) -> str:
        return self._shaped.token

    @property
    def environment(self) -> dict[str, str]:
        """The variables that SDKs read."""
        return {
            "HATCHET_CLIENT_TOKEN": self.token,
            "HATCHET_CLIENT_HOST_PORT": self.grpc_address,
            "HATCHET_CLIENT_SERVER_URL": self.http_url,
            "HATCHET_CLIENT_TLS_STRATEGY": "none",
        }

    @property
    def database_url(self) -> str:
        """Of its database, as the role that owns it: for tests of transactional enqueue. RuntimeError while it does not
        run."""
        if self._server is None:
            raise RuntimeError("the engine does not run")
        return self._server.dsn

    def runs(self, workflow: str | None = None) -> list[RunAssertion]:
        """The runs there are, of one workflow or of all, the oldest first: at most a thousand."""
        return [RunAssertion(run_id, self.rest) for run_id in self.rest.run_ids(workflow)]

    # Life ----------------------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        return self._app is not None

    def start(self) -> None:
        """Returns once workers can connect. Does nothing if it runs."""
        logs.leave_to_the_program()
        if self._thread is None:
            loop = self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run, args=(loop,), name="broadaxe engine", daemon=True)
            self._thread.start()
        if self._app is None:
            self._do(self._start())

    def stop(self) -> None:
        """Stops in order, and the database with it. Does nothing if it does not run."""
        if self._loop is None or self._thread is None:
            return
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_GIVE_UP_S)
        self._loop = self._thread = None

    def restart(self) -> None:
        """A planned stop and a new start, on the same database."""
        self._do(self._restart())

    def crash(self) -> None:
        """An end without a goodbye, as by `kill -9`, and a new start: nothing that was not committed is left."""
        self._do(self._crash())

    @contextlib.contextmanager
    def database_away(self) -> Iterator[None]:
        """Within it the engine has no database: connections are cut, and new ones refused."""
        self._do(self._on_server(lambda server: server.set_away(True)))
        try:
            yield
        finally:
            self._do(self._on_server(lambda server: server.set_away(False)))

    def empty(self) -> None:
        """Forgets everything but the tenant: for the next test."""
        self._do(self._empty())

    def put_recording(self, run_id: str, recording: Recording) -> None:
        """Gives the task of a run that nobody has taken yet the log of a recorded one. RuntimeError when somebody
        has."""
        task_id = self.rest.run(run_id)["tasks"][0]["taskExternalId"]
        self._do(self._put_recording(task_id, recording))

    def begin(self, work: Callable[[SkippedTime], Coroutine[Any, Any, T]]) -> Pending[T]:
        """Begins something on the engine's thread."""
        if self._loop is None or self._time is None:
            raise RuntimeError("the engine does not run")
        return Pending(asyncio.run_coroutine_threadsafe(work(self._time), self._loop))

    # On its thread -------------------------------------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_GIVE_UP_S)

    async def _start(self) -> None:
        from broadaxe.app import App

        if self._server is None:
            self._server = await Server(self._directory).__aenter__()
            await self._server.let_in(self.tenant_id, self._shaped)
        grpc_port, http_port = self._ports
        settings = Settings(
            database_url=self._server.dsn,
            data_dir=self._directory,
            grpc_port=grpc_port,
            http_port=http_port,
            retention_days=0,
        )
        app = await App.start(settings, clock=self.clock.moved)
        self._app, self._time = app, SkippedTime(app.engine, self.clock.moved)

    async def _restart(self) -> None:
        async with self._workers_come_back():
            await self._stop_app()

    async def _crash(self) -> None:
        async with self._workers_come_back():
            # Whatever a stop does for those who are connected, nothing of it reaches the database any more.
            await self._on_server(lambda server: server.set_away(True))
            try:
                await self._stop_app()
            finally:
                await self._on_server(lambda server: server.set_away(False))

    @contextlib.asynccontextmanager
    async def _workers_come_back(self) -> AsyncIterator[None]:
        """Starts the engine again afterwards. Time that is skipped before the workers are there would pass them by."""
        assert self._time is not None
        workers = self._time.listening()
        yield
        await self._start()
        await self._time.wait_for(workers, _COME_BACK_S)

    async def _stop(self) -> None:
        await self._stop_app()
        server, self._server = self._server, None
        if server is not None:
            await server.__aexit__(None, None, None)

    async def _stop_app(self) -> None:
        app, self._app, self._time = self._app, None, None
        if app is not None:
            await app.stop()

    async def _on_server(self, work: Callable[[Server], Coroutine[Any, Any, None]]) -> None:
        assert self._server is not None
        await work(self._server)

    async def _put_recording(self, task_id: str, recording: Recording) -> None:
        assert self._app is not None and self._server is not None
        if not await self._server.put_recording(self.tenant_id, task_id, recording):
            raise RuntimeError("another worker has taken the run; stop those that offer the workflow before the replay")
        # Read with the tenant, which is loaded again for whoever is connected.
        await self._app.engine.put_all_away()

    async def _empty(self) -> None:
        if self._app is not None and self._server is not None:
            await self._app.engine.put_all_away()
            await self._server.empty()
            # A worker that was killed a moment ago may have brought back what is deleted now.
            await self._app.engine.put_all_away()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loops.close(loop)


def _free_ports() -> tuple[int, int]:
    """Two that were free a moment ago; the engine listens there later."""
    with socket.create_server((_HOST, 0)) as one, socket.create_server((_HOST, 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]
