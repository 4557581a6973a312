"""Fixtures shared by all tests: one real PostgreSQL per test run, a fresh migrated database per test.

The server is the embedded one, or the one that BROADAXE_TEST_POSTGRES names, as a superuser (`make test-postgres`).
With several test processes they share it: whoever comes first starts the embedded one, whoever leaves last stops it.
Databases are copied from a migrated template, which takes tens of milliseconds, because this server alone does not wait
for the disk, and keeps its files in memory if it can: what it holds need not outlive the machine, only the processes
tests kill.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest
import structlog

from broadaxe.storage.embedded import EmbeddedPostgres
from broadaxe.storage.migrate import migrate
from tests.shared_server import shared_directory
from tests.sharing_out import TogetherScheduling, begins_at

TEMPLATE = "broadaxe_template"
#: With these, making and dropping a database takes a tenth of the time on a busy disk. A killed server loses nothing by
#: them: the operating system has what was written.
NO_WAIT = ("fsync", "synchronous_commit", "full_page_writes")

# The default draws every local variable of every frame, which holds an event loop up for seconds.
structlog.configure(processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])
T = TypeVar("T")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TogetherScheduling | None:
    return TogetherScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("PYTEST_XDIST_WORKER"):
        items.sort(key=lambda item: begins_at(item.nodeid.split("::", 1)[0]))


class _LoopThread:
    """An event loop of its own, for fixtures that live longer than a test's loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fixtures", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(280)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture(scope="session")
def _fixture_loop() -> Iterator[_LoopThread]:
    loop = _LoopThread()
    yield loop
    loop.close()


@pytest.fixture(scope="session")
def postgres(_fixture_loop: _LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of the test run's server, with a migrated template database on it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    given = os.environ.get("BROADAXE_TEST_POSTGRES")
    if given:
        _fixture_loop.run(_provide_template(given, shared))
        yield given
        return

    def stop_server_in(place: Path) -> None:
        _fixture_loop.run(_stop_server_in(place))

    with shared_directory(shared, stop_server_in) as place:
        server = _fixture_loop.run(EmbeddedPostgres.start(place / "postgres"))
        _fixture_loop.run(_provide_template(server.dsn, place))
        yield server.dsn
        _fixture_loop.run(server.stop())


async def _stop_server_in(place: Path) -> None:
    # Whoever leaves last stops it, so one has to come first. A run that was killed before it had a cluster left none.
    if (place / "postgres" / "cluster" / "PG_VERSION").exists():
        await (await EmbeddedPostgres.start(place / "postgres")).stop()


async def _provide_template(dsn: str, place: Path) -> None:
    """Makes the template unless another process has; `place` is as old as the server."""
    with (place / "template.lock").open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        ready = place / "template.ready"
        if not ready.exists():
            await _make_template(dsn)
            ready.touch()


async def _make_template(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for setting in NO_WAIT:
            await connection.execute(f"alter system set {setting} = off")
        # Its files may be in memory.
        await connection.execute("alter system set min_wal_size = '80MB'")
        await connection.execute("alter system set max_wal_size = '256MB'")
        await connection.execute("select pg_reload_conf()")
        await connection.execute(f"drop database if exists {TEMPLATE}")
        await connection.execute(f"create database {TEMPLATE}")
    finally:
        await connection.close()
    await migrate(with_database(dsn, TEMPLATE))


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[str]:
    """The DSN of a fresh, migrated database."""
    async with _fresh_database(postgres) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def common_database(postgres: str, _fixture_loop: _LoopThread) -> Iterator[str]:
    """The DSN of a migrated database that tests with a tenant each may have in common. A file whose tests all are like
    that makes it its `database`."""
    fresh = _fresh_database(postgres)
    yield _fixture_loop.run(fresh.__aenter__())
    _fixture_loop.run(fresh.__aexit__(None, None, None))


@asynccontextmanager
async def _fresh_database(server: str) -> AsyncIterator[str]:
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(server)
    try:
        # Files are copied rather than logged: the template is small and the disk is not waited for.
        await connection.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
        yield with_database(server, name)
        await connection.execute(f"drop database {name} with (force)")
    finally:
        await connection.close()


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to `database`."""
    async with asyncpg.create_pool(database, min_size=1, max_size=5) as connections:
        yield connections


def with_database(dsn: str, name: str) -> str:
    """The same server, another database."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(path=f"/{name}"))
