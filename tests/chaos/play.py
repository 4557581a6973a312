"""Plays a plan: start, load and faults at the same time, drain, read everything, judge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.chaos.arena import Arena
from tests.chaos.checker import Evidence, Verdict, judge
from tests.chaos.journal import read_journals
from tests.chaos.plan import Plan
from tests.chaos.tables import read_tables

#: Longer than the silence after which a worker's tasks go to another (30 s), and than the time after which a task is
#: done again whose report its worker gave up, with another such time for the task that waits for it.
DRAIN_S: Final = 150.0


@dataclass(frozen=True, slots=True)
class Report:
    plan: Plan
    verdict: Verdict
    took_s: float
    drained_s: float
    logs: str = ""


async def play(
    plan: Plan,
    directory: Path,
    *,
    database: str | None = None,
    before: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Report:
    """`directory` is for this play alone. `database` is the DSN of a database on a server that is not to be struck,
    `before` the source tree of the version that the engine begins as."""
    began = time.monotonic()
    arena = Arena(directory, database, before, plan.nodes, has_standby=plan.has_standby)
    try:
        await arena.start()
        await arena.call(plan.calls)
        since = asyncio.get_running_loop().time()
        down: list[str] = []
        for blow in plan.blows:
            await asyncio.sleep(max(0.0, since + blow.at_s - asyncio.get_running_loop().time()))
            say(f"{plan.scenario}: {blow}")
            try:
                struck = await arena.strike(blow)
            except AssertionError as error:
                down.append(f"after {blow}: {error}")
            else:
                if struck:
                    say(f"{plan.scenario}: {struck}")
        await asyncio.sleep(max(0.0, since + plan.seconds - asyncio.get_running_loop().time()))
        loaded = time.monotonic()
        await arena.until_drained(DRAIN_S)
        drained_s = time.monotonic() - loaded
        ended_at = time.time()
        runs, tasks = await read_tables(arena.dsn)
        calls, work = (list(read_journals(*paths)) for paths in arena.journals())
        evidence = Evidence(
            calls=calls,
            work=work,
            runs=runs,
            tasks=tasks,
            ended_at=ended_at,
            killed=arena.killed,
            away=arena.away,
            cuts=arena.cuts,
            down=down,
            moved_clock=plan.moves_clock,
            is_planned=plan.is_planned,
        )
        return Report(plan, judge(evidence), time.monotonic() - began, drained_s, arena.logs())
    finally:
        await arena.stop()
