"""One engine in the test's process for all of these tests, as `pytest --broadaxe` gives to users: real, on a PostgreSQL
of its own, and with a clock that tests move."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from broadaxe.testing.engine_under_test import EngineUnderTest


@pytest.fixture(scope="session")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineUnderTest]:
    engine = EngineUnderTest(tmp_path_factory.mktemp("engine"))
    before = {name: os.environ.get(name) for name in engine.environment}
    # Programs make their clients when they are imported.
    os.environ.update(engine.environment)
    engine.start()
    yield engine
    engine.stop()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture
def engine(shared_engine: EngineUnderTest) -> Iterator[EngineUnderTest]:
    """With nothing in it."""
    yield shared_engine
    shared_engine.empty()
