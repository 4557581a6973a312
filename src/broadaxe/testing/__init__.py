"""Tests of workflows against the real engine: in the test's own process, with a clock that tests move.

    pytest --broadaxe

Fixtures: `engine`, `clock`, `worker`, `hatchet` (`plugin.py`). Docs: docs/testing.md.
"""

from broadaxe.testing.assertions import assert_that
from broadaxe.testing.engine_under_test import Clock, EngineUnderTest
from broadaxe.testing.worker_under_test import WorkerUnderTest

__all__ = ["Clock", "EngineUnderTest", "WorkerUnderTest", "assert_that"]
