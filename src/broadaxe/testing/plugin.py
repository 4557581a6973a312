"""The pytest plugin: `pytest --broadaxe`.

Owns the fixtures, and the environment that clients read when users' modules are imported: it is there before any of
them is. The engine starts with the first test that wants it; a run without such tests starts nothing. Every process of
a parallel run has an engine of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from hatchet_sdk import Hatchet

    from broadaxe.testing.assertions import RunAssertion
    from broadaxe.testing.engine_under_test import Clock, EngineUnderTest
    from broadaxe.testing.worker_under_test import WorkerUnderTest

_FLAG: Final = "--broadaxe"
_SLOTS: Final = 20
_engine: EngineUnderTest | None = None


def engine_in_use() -> EngineUnderTest:
    """RuntimeError when no test of this run has one."""
    if _engine is None or not _engine.is_running:
        raise RuntimeError(f"there is no engine; run pytest with {_FLAG} and use the fixture `engine` or `worker`")
    return _engine


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("broadaxe", "workflows on a real Broadaxe engine")
    group.addoption(
        _FLAG, action="store_true", help="provide the fixtures engine, clock, worker and hatchet; see docs/testing.md"
    )
    group.addoption(
        f"{_FLAG}-dir", metavar="DIR", help="where their PostgreSQL lives; by default in pytest's cache directory"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # Modules of users make their clients when they are imported, which the first conftest may already do.
    global _engine
    options = early_config.known_args_namespace
    if not getattr(options, "broadaxe", False):
        return
    from broadaxe.testing.engine_under_test import EngineUnderTest

    given = options.broadaxe_dir
    _engine = EngineUnderTest(
        Path(given) if given else Path(early_config.rootpath) / ".pytest_cache" / "d" / "broadaxe"
    )
    os.environ.update(_engine.environment)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("broadaxe"):
        config.pluginmanager.register(_Fixtures(), "broadaxe fixtures")


def pytest_unconfigure() -> None:
    if _engine is not None:
        _engine.stop()


class _Fixtures:
    @pytest.fixture
    def engine(self) -> Iterator[EngineUnderTest]:
        """The engine, with nothing in it."""
        assert _engine is not None
        _engine.start()
        yield _engine
        _engine.start()
        _engine.empty()

    @pytest.fixture
    def clock(self, engine: EngineUnderTest) -> Clock:
        """The engine's clock: `await clock.advance(days=30)`."""
        return engine.clock

    @pytest.fixture
    def hatchet(self, engine: EngineUnderTest) -> Hatchet:
        """A client of the engine. Clients that your own modules made work as well."""
        from hatchet_sdk import Hatchet

        return Hatchet()

    @pytest.fixture
    def worker(self, hatchet: Hatchet) -> Iterator[Callable[..., WorkerUnderTest]]:
        """Starts a worker: `worker(workflow, another)`; `slots`, `name` and the rest as of `hatchet.worker`. They end
        with the test."""
        from broadaxe.testing.worker_under_test import WorkerUnderTest

        started: list[WorkerUnderTest] = []

        def start(*workflows: Any, name: str = "", slots: int = _SLOTS, **options: Any) -> WorkerUnderTest:
            if not workflows:
                raise TypeError("name the workflows that the worker offers: worker(workflow, another)")
            found = WorkerUnderTest(
                hatchet, workflows, name=name or f"worker-{len(started) + 1}", slots=slots, **options
            )
            started.append(found)
            found.wait_until_ready()
            return found

        yield start
        for found in started:
            found.kill()

    @pytest.fixture
    def replay(self, engine: EngineUnderTest, worker: Callable[..., WorkerUnderTest]) -> Callable[..., RunAssertion]:
        """Does a recorded run again with the present code: `replay("recordings/remind.json", remind)`. AssertionError,
        with both sides, when that does other operations than were recorded, or (unless `same_result=False`) comes to
        another end. ValueError for a file that is no recording. Returns the new run, for further checks."""
        from broadaxe.testing.assertions import assert_that
        from broadaxe.testing.recordings import Recording, difference

        def again(recording: str | Path, workflow: Any, *, same_result: bool = True) -> RunAssertion:
            recorded = Recording(recording)
            # The engine knows the workflow by then, and nobody takes the run before it has its log.
            worker(workflow).stop()
            run_id = engine.rest.trigger(workflow.name, recorded)
            engine.put_recording(run_id, recorded)
            present = worker(workflow)
            done = assert_that(run_id)
            told = difference(recorded, engine.rest.run(run_id), same_result=same_result)
            # Before the next one is replayed with other code.
            present.kill()
            if told:
                raise AssertionError(f"{workflow.name} does not do what was recorded: {told}")
            return done

        return again
