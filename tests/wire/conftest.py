"""Fixtures of the wire tests: the official SDK against a real engine process.

One engine and one gallery worker serve all tests of a test process; a test that stops, starves or counts workers uses
a namespace of its own, and one that stops the engine an engine of its own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import uuid4

import pytest
from hatchet_sdk import Hatchet

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [
    str(HERE),
    *(str(ROOT / place) for place in ("bench", "worker/src", "integrations/pydantic_ai/src")),
]

from lean_client import LeanClient  # noqa: E402 the path to it has only now been laid
from wirekit import EngineProcess, Rest, Stage, StartWorker, WorkerProcess  # noqa: E402

T = TypeVar("T")

#: The program of the workflows about flow control.
FLOW: Final = "programs.flow_worker"


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="session")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    engine = EngineProcess(tmp_path_factory.mktemp("engine"))
    _run(engine.start())
    yield engine
    _run(engine.dispose())


@contextmanager
def _worker(engine: EngineProcess, stage: Stage, directory: Path, name: str, **options: Any) -> Iterator[str]:
    worker = WorkerProcess(engine, stage, directory, name=name, **options)

    async def ready() -> str:
        async with Rest(engine.url, engine.token, engine.client().tenant_id) as rest:
            return await worker.ready(rest)

    try:
        yield _run(ready())
    finally:
        _run(worker.dispose())


@pytest.fixture(scope="module")
def worker_for(
    shared_engine: EngineProcess, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., AbstractContextManager[str]]:
    """Starts workers of a file's own; called with a name and the options of `WorkerProcess`."""

    def of(name: str, **options: Any) -> AbstractContextManager[str]:
        return _worker(shared_engine, stage, tmp_path_factory.mktemp(name), name, **options)

    return of


@pytest.fixture(scope="session")
def gallery(shared_engine: EngineProcess, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The shared worker's id. Its workflows have no namespace."""
    with _worker(shared_engine, stage, tmp_path_factory.mktemp("gallery"), "gallery") as worker_id:
        yield worker_id


@pytest.fixture(scope="session")
def _flow(shared_engine: EngineProcess, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("flow")
    with _worker(shared_engine, stage, directory, "flow", program=FLOW) as worker_id:
        yield worker_id


@pytest.fixture(scope="session")
def _durable(shared_engine: EngineProcess, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("durable")
    with _worker(shared_engine, stage, directory, "durable", program="programs.durable_worker") as worker_id:
        yield worker_id


@pytest.fixture
def flow(engine: EngineProcess, _flow: str) -> Hatchet:
    """A client of the shared engine, with a worker of 100 slots there to serve the workflows about flow control."""
    return engine.client()


@pytest.fixture(scope="session")
def _narrow(shared_engine: EngineProcess, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("narrow")
    with _worker(shared_engine, stage, directory, "flow", namespace="narrow", slots=1, program=FLOW) as worker_id:
        yield worker_id


@pytest.fixture
def narrow(engine: EngineProcess, _narrow: str) -> tuple[Hatchet, str]:
    """A client in a namespace whose only worker for the workflows about flow control has one slot, and its id."""
    return engine.client("narrow"), _narrow


@pytest.fixture(scope="session")
def _twins(
    shared_engine: EngineProcess, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    directory = tmp_path_factory.mktemp("twins")
    with (
        _worker(shared_engine, stage, directory, "one", namespace="twins", slots=5, program=FLOW) as one,
        _worker(shared_engine, stage, directory, "two", namespace="twins", slots=5, program=FLOW) as two,
    ):
        yield one, two


@pytest.fixture
def twins(engine: EngineProcess, _twins: tuple[str, str]) -> tuple[Hatchet, frozenset[str]]:
    """A client in a namespace with two alike workers for the workflows about flow control, and the workers' ids."""
    return engine.client("twins"), frozenset(_twins)


@pytest.fixture(scope="session")
def _single(shared_engine: EngineProcess, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("single")
    with _worker(shared_engine, stage, directory, "worker", namespace="single", slots=1) as worker_id:
        yield worker_id


@pytest.fixture(scope="session")
def _pair(shared_engine: EngineProcess, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("pair")
    labels = {"region": "eu", "model": "none"}
    with _worker(shared_engine, stage, directory, "worker", namespace="pair", slots=2, labels=labels) as worker_id:
        yield worker_id


@pytest.fixture
def single(engine: EngineProcess, _single: str) -> Hatchet:
    """A client in a namespace whose only worker has one slot."""
    return engine.client("single")


@pytest.fixture
def pair(engine: EngineProcess, _pair: str) -> tuple[Hatchet, str]:
    """A client in a namespace whose only worker has two slots and two labels, and that worker's id."""
    return engine.client("pair"), _pair


@pytest.fixture
def engine(shared_engine: EngineProcess) -> EngineProcess:
    return shared_engine


@pytest.fixture
async def own_engine(database: str, tmp_path: Path) -> AsyncIterator[EngineProcess]:
    """An engine for one test, which may do to it what it likes. Its database is on the test run's server."""
    async for engine in _engine_for_one_test(EngineProcess(tmp_path, database)):
        yield engine


@pytest.fixture
async def embedded_engine(tmp_path: Path) -> AsyncIterator[EngineProcess]:
    """An engine for one test that brings its own PostgreSQL along, which a killed one leaves running."""
    async for engine in _engine_for_one_test(EngineProcess(tmp_path)):
        yield engine


async def _engine_for_one_test(engine: EngineProcess) -> AsyncIterator[EngineProcess]:
    try:
        await engine.start()
        yield engine
    finally:
        await engine.dispose()


@pytest.fixture
def key() -> str:
    """Whose signals these are; also good as part of a name."""
    return f"k{uuid4().hex[:12]}"


@pytest.fixture
def hatchet(engine: EngineProcess, gallery: str) -> Hatchet:
    """A client of the shared engine, with the gallery worker there to serve it."""
    return engine.client()


@pytest.fixture
async def rest(engine: EngineProcess) -> AsyncIterator[Rest]:
    async with Rest(engine.url, engine.token, engine.client().tenant_id) as rest:
        yield rest


@pytest.fixture
async def lean(engine: EngineProcess) -> AsyncIterator[LeanClient]:
    """The bare wire, for what no SDK would send."""
    async with LeanClient(engine.address, engine.token, gzip=True) as client:
        yield client


@pytest.fixture
async def start_worker(shared_engine: EngineProcess, stage: Stage, tmp_path: Path) -> AsyncIterator[StartWorker]:
    """Starts workers that end with the test."""
    async with AsyncExitStack() as ends:

        async def start(
            name: str = "worker",
            *,
            namespace: str = "",
            slots: int = 100,
            labels: Mapping[str, str] | None = None,
            engine: EngineProcess | None = None,
            program: str = "gallery",
            python: str = sys.executable,
            environment: Mapping[str, str] | None = None,
            runtime: str | None = None,
        ) -> tuple[WorkerProcess, str]:
            host = engine or shared_engine
            worker = WorkerProcess(
                host,
                stage,
                tmp_path,
                name=name,
                namespace=namespace,
                slots=slots,
                labels=labels,
                program=program,
                python=python,
                environment=environment,
                runtime=runtime,
            )
            dispose: Callable[[], Awaitable[None]] = worker.dispose
            ends.push_async_callback(dispose)
            async with Rest(host.url, host.token, host.client().tenant_id) as rest:
                return worker, await worker.ready(rest)

        yield start
