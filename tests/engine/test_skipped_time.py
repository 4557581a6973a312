"""A clock that is moved on, and an engine that goes along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.commands.crons import CreateCron
from broadaxe.core.commands.schedules import ScheduleRuns
from broadaxe.core.durations import US_PER_S
from broadaxe.engine.sessions import Assignment, WorkerSession
from broadaxe.engine.skipped_time import SKIP_MAX_US, MovedClock, SkippedTime
from broadaxe.errors import InvalidArgument
from tests.core.world import task
from tests.engine.house import House, house

DAY_US = 86_400 * US_PER_S


class Shop:
    """A house whose clock can be moved, and a worker in it that does everything it is given."""

    def __init__(self, home: House, clock: MovedClock) -> None:
        self.home = home
        self.clock = clock
        self.time = SkippedTime(home.engine, clock)
        self.taken_at_us: list[int] = []

    async def work(self, session: WorkerSession) -> None:
        while (item := await session.next()) is not None:
            if isinstance(item, Assignment):
                # Before the report: once it is decided nothing goes on, and the clock may be moved at once.
                self.taken_at_us.append(self.clock.now_us())
                await self.home.report(item.attempt.task_id, Outcome.COMPLETED, "{}")


@asynccontextmanager
async def shop(database: str, pool: asyncpg.Pool, **options: Any) -> AsyncIterator[Shop]:
    clock = MovedClock()
    async with house(database, pool, clock=clock) as home:
        await home.put(task("a", **options))
        here = Shop(home, clock)
        working = asyncio.create_task(here.work(await home.session()))
        yield here
        working.cancel()


async def test_every_tick_on_the_way_is_done_at_its_instant(database: str, pool: asyncpg.Pool) -> None:
    async with shop(database, pool) as here:
        await here.home.submit(CreateCron(workflow_name="flow", name="nightly", expression="0 3 * * *", input="{}"))
        began_us = here.clock.now_us()
        await here.time.skip(30 * DAY_US)
        assert len(here.taken_at_us) == 30
        assert {at_us // US_PER_S % 86_400 // 60 for at_us in here.taken_at_us} == {3 * 60}, "each at three"
        assert here.clock.now_us() - began_us >= 30 * DAY_US
        assert await here.home.count("run") == 30


async def test_what_a_skip_starts_is_over_when_it_returns(database: str, pool: asyncpg.Pool) -> None:
    async with shop(database, pool) as here:
        at_us = here.clock.now_us() + DAY_US
        await here.home.submit(ScheduleRuns(workflow_name="flow", at_us=(at_us,), input="{}"))
        await here.time.skip(DAY_US - 60 * US_PER_S)
        assert here.taken_at_us == []
        await here.time.skip(60 * US_PER_S)
        assert len(here.taken_at_us) == 1


async def test_a_task_nobody_hears_of_is_timed_out_after_some_patience(database: str, pool: asyncpg.Pool) -> None:
    clock = MovedClock()
    async with house(database, pool, clock=clock) as home:
        await home.put(task("a", execution_timeout="10m"))
        await home.session()
        task_id = await home.trigger()
        await SkippedTime(home.engine, clock).skip(11 * 60 * US_PER_S, patience_s=0.05)
        assert await home.pool.fetchval("select status::text from broadaxe.task where id = $1", task_id) == "FAILED"


async def test_idle_is_where_no_run_is_left(database: str, pool: asyncpg.Pool) -> None:
    clock = MovedClock()
    async with house(database, pool, clock=clock) as home:
        await home.put(task("a", schedule_timeout="2h"))
        began_us = clock.now_us()
        await home.trigger()
        await SkippedTime(home.engine, clock).skip_until_idle()
        assert 2 * 3600 <= (clock.now_us() - began_us) / US_PER_S < 3 * 3600
        assert not home.tenant.has_runs()


@pytest.mark.parametrize("by_us", [-1, SKIP_MAX_US + 1])
async def test_time_goes_on_and_by_a_century_at_most(database: str, pool: asyncpg.Pool, by_us: int) -> None:
    clock = MovedClock()
    async with house(database, pool, clock=clock) as home:
        with pytest.raises(InvalidArgument, match="century"):
            await SkippedTime(home.engine, clock).skip(by_us)
