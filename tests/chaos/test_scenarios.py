"""Two short scenarios of the kill matrix; `make chaos` plays them all, and longer.

What depends on how quick the machine is, is left to that: ticks that were due while the engine came up, and attempts
that were given up because nobody confirmed them in time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.chaos.checker import FINDINGS
from tests.chaos.plan import Blow, Fault, Plan, Weather, make_calls
from tests.chaos.play import play

CALLS_S: Final = 6.0
PROMISED: Final = tuple(kind for kind in FINDINGS if kind not in ("overlapped", "missed"))

SCENARIOS: Final = {
    "the engine is killed and stopped": (Blow(2, Fault.ENGINE_KILLED), Blow(5, Fault.ENGINE_STOPPED)),
    "the lines break": (
        Blow(2, Fault.DATABASE_LINE, 0.7, Weather.DEAF),
        Blow(4, Fault.BACKENDS_ENDED),
        Blow(5, Fault.WORKER_LINE, 0.1, Weather.RESET),
        Blow(6, Fault.DATABASE_LINE, 0.1, Weather.RESET),
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_what_was_acknowledged_ends_once_and_right_though(name: str, database: str, tmp_path: Path) -> None:
    plan = Plan(name, 1, CALLS_S + 1, SCENARIOS[name], tuple(make_calls(name, CALLS_S)))
    report = await play(plan, tmp_path, database=database)
    found = {kind: report.verdict.found[kind] for kind in PROMISED if report.verdict.found[kind]}
    assert not found, f"{found}\n{report.logs}"
    assert report.verdict.counts["accepted"] > 10
