"""One engine in the test's process for all of these tests, as `pytest --broadaxe` gives to users: real, on a PostgreSQL
of its own, and with a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from broadaxe.testing.engine_under_test import EngineUnderTest


@pytest.fixture(scope="session")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineUnderTest]:
    engine = EngineUnderTest(tmp_path_factory.mktemp("engine"))
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def engine(shared_engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineUnderTest]:
    """With nothing in it. Programs make clients when they are imported; those of other tests are not to find it."""
    for name, value in shared_engine.environment.items():
        monkeypatch.setenv(name, value)
    yield shared_engine
    shared_engine.empty()
