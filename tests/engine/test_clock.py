"""What the engine makes of a wall clock that is set."""

from __future__ import annotations

import asyncio

import asyncpg
from structlog.testing import capture_logs

from broadaxe.core.durations import US_PER_S
from broadaxe.engine.clock import STEP_NS, SystemClock
from tests.core.world import task
from tests.engine.house import PATIENCE_S, house

NS_PER_S = 1_000_000_000
HOUR_S = 3_600
#: Some instant of 2026.
BEGIN_S = 1_780_000_000


class Machine:
    """Its two clocks: seconds go by on both, and somebody sets the wall clock."""

    def __init__(self) -> None:
        self.wall_ns = BEGIN_S * NS_PER_S
        self.monotonic_ns = 5 * NS_PER_S
        self.clock = SystemClock(lambda: self.wall_ns, lambda: self.monotonic_ns)

    def run(self, seconds: float, readings: int = 100) -> None:
        step_ns = round(seconds * NS_PER_S / readings)
        for _ in range(readings):
            self.wall_ns += step_ns
            self.monotonic_ns += step_ns
            self.clock.now_us()

    def set(self, by_s: float) -> None:
        self.wall_ns += round(by_s * NS_PER_S)

    def now_s(self) -> float:
        """Since the beginning."""
        return self.clock.now_us() / US_PER_S - BEGIN_S


def test_an_undisturbed_clock_is_the_wall_clock() -> None:
    machine = Machine()
    machine.run(HOUR_S)
    assert machine.now_s() == HOUR_S
    assert machine.clock.jumps == 0


def test_a_jump_forward_is_followed_at_once_and_told_of_once() -> None:
    machine = Machine()
    machine.run(1)
    machine.set(40)
    assert machine.now_s() == 41
    machine.run(10)
    assert machine.now_s() == 51
    assert machine.clock.jumps == 1


def test_small_corrections_are_no_jumps() -> None:
    machine = Machine()
    with capture_logs() as logs:
        for _ in range(20):
            machine.set(STEP_NS / NS_PER_S - 0.1)
            machine.run(60)
            machine.set(-0.5)
            machine.run(60)
    assert machine.clock.jumps == 0
    assert logs == []


def test_time_goes_on_when_the_wall_clock_is_set_forward_and_back() -> None:
    machine = Machine()
    machine.set(HOUR_S)
    machine.run(25)
    machine.set(-HOUR_S)
    before_s = machine.now_s()
    machine.run(10)
    assert 9.5 <= machine.now_s() - before_s <= 10


def test_time_never_steps_back_and_agrees_with_the_wall_clock_again() -> None:
    machine = Machine()
    machine.run(10)
    machine.set(-2)
    last_s = machine.now_s()
    for _ in range(100):
        machine.run(1, readings=7)
        assert last_s + 0.96 <= machine.now_s() <= last_s + 1.000_001
        last_s = machine.now_s()
    assert machine.now_s() == machine.wall_ns / NS_PER_S - BEGIN_S


def test_many_readings_do_not_make_time_slower() -> None:
    machine = Machine()
    machine.set(-HOUR_S)
    before_s = machine.now_s()
    machine.run(1, readings=200_000)
    assert machine.now_s() - before_s >= 0.96


def test_a_machine_that_was_suspended_while_its_clock_was_behind_is_noticed() -> None:
    machine = Machine()
    machine.set(-HOUR_S)
    machine.run(10)
    machine.set(600)
    machine.run(1)
    assert machine.clock.jumps == 1


def test_being_set_back_is_said_once() -> None:
    machine = Machine()
    with capture_logs() as logs:
        machine.set(-HOUR_S)
        machine.run(60)
    (entry,) = logs
    assert entry["log_level"] == "warning"
    assert entry["seconds"] == entry["ahead_seconds"] == HOUR_S


async def test_timers_of_an_engine_ring_after_the_clock_was_set_forward_and_back(
    database: str, pool: asyncpg.Pool
) -> None:
    shift_ns = 0
    clock = SystemClock(lambda: BEGIN_S * NS_PER_S + loop_ns() + shift_ns, loop_ns)
    async with house(database, pool, clock=clock) as home:
        await home.put(task("a", schedule_timeout="1s"))
        shift_ns = HOUR_S * NS_PER_S
        clock.now_us()
        shift_ns = 0
        run_id = await home.trigger()
        assert await ended(pool, run_id) == "CANCELLED"


async def test_what_came_due_while_the_machine_was_suspended_is_due_at_once(database: str, pool: asyncpg.Pool) -> None:
    suspended_ns = 0
    clock = SystemClock(lambda: BEGIN_S * NS_PER_S + loop_ns() + suspended_ns, loop_ns)
    async with house(database, pool, clock=clock) as home:
        await home.put(task("a", schedule_timeout="30m"))
        run_id = await home.trigger()
        suspended_ns = HOUR_S * NS_PER_S
        assert await ended(pool, run_id) == "CANCELLED"


def loop_ns() -> int:
    return round(asyncio.get_event_loop().time() * NS_PER_S)


async def ended(pool: asyncpg.Pool, run_id: str) -> str:
    """How the run ended, as soon as it has."""
    query = "select status::text from broadaxe.run where id = $1 and finished_at is not null"
    async with asyncio.timeout(PATIENCE_S):
        while (status := await pool.fetchval(query, run_id)) is None:
            pass
    return str(status)
