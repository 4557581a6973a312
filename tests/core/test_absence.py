"""What a tenant makes of its own absence: a load, or a process that stood still (semantics 1.11, 1.12)."""

from __future__ import annotations

import pytest

from broadaxe.core.attempts import CONFIRM_US, INTERNAL_RETRIES_MAX
from broadaxe.core.commands.attempts import ReleaseSlot
from broadaxe.core.commands.workers import Arrivals, CloseStream, Heartbeat, OpenStream
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import RunStatus, TaskEventType, TaskStatus
from tests.core.world import World, task

RUNNING, FAILED = TaskStatus.RUNNING, TaskStatus.FAILED


def busy(execution_timeout: str = "60s") -> tuple[World, str, str]:
    """A world, its worker, and a task that runs there and is tried again by nobody's wish."""
    world = World()
    world.put(task("a", execution_timeout=execution_timeout))
    worker_id = world.worker("a")
    task_id = world.trigger()
    world.started(task_id)
    return world, worker_id, task_id


def load(world: World) -> None:
    world.restart()


def stand_still(world: World) -> None:
    """For forty seconds; what came meanwhile is read afterwards."""
    world.now_us += 40 * US_PER_S
    world.tenant.resume(world.now_us)
    world.decide()


def was_away(world: World, how: str) -> None:
    load(world) if how == "load" else stand_still(world)


# A report may be lost -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["load", "pause"])
def test_an_attempt_that_was_cut_off_and_times_out_is_done_again_outside_the_users_retries(how: str) -> None:
    world, _, task_id = busy()
    world.advance(10)
    was_away(world, how)
    world.advance(60)
    assert world.status(task_id) is RUNNING
    state = world.tasks[task_id]
    assert (state.retry_count, state.internal_retry_count, state.app_retry_count) == (1, 1, 0)
    assert TaskEventType.REASSIGNED in world.events(task_id)
    assert TaskEventType.TIMED_OUT not in world.events(task_id)
    world.complete(task_id)
    assert world.runs[task_id].status is RunStatus.COMPLETED


def test_the_worker_of_an_attempt_that_is_done_again_is_told_to_stop() -> None:
    world, worker_id, task_id = busy()
    load(world)
    world.advance(61)
    stopped = [(c.worker_id, c.task_id, c.retry_count) for c in world.cancels(last=20)]
    assert stopped == [(worker_id, task_id, 0)]


def test_one_absence_excuses_one_timeout() -> None:
    world, _, task_id = busy()
    load(world)
    world.advance(61)
    world.started(task_id)
    world.advance(61)
    assert world.status(task_id) is FAILED
    assert "Task exceeded timeout of 1m" in (world.tasks[task_id].error or "")
    assert world.tasks[task_id].retry_count == 1


def test_absences_do_not_excuse_timeouts_for_ever() -> None:
    world, _, task_id = busy()
    for _ in range(INTERNAL_RETRIES_MAX):
        world.started(task_id)
        load(world)
        world.advance(61)
    assert world.tasks[task_id].retry_count == INTERNAL_RETRIES_MAX
    world.started(task_id)
    load(world)
    world.advance(61)
    assert world.status(task_id) is FAILED


def test_an_absence_before_the_attempt_excuses_nothing() -> None:
    world = World()
    world.put(task("a", execution_timeout="60s"))
    task_id = world.trigger()
    load(world)
    world.worker("a")
    world.started(task_id)
    world.advance(61)
    assert world.status(task_id) is FAILED


@pytest.mark.parametrize("how", ["load", "pause"])
def test_a_worker_has_its_moment_to_report_what_it_did_while_nobody_listened(how: str) -> None:
    world, _, task_id = busy()
    world.now_us += 90 * US_PER_S
    was_away(world, how)
    assert world.status(task_id) is RUNNING, "its deadline passed when nobody could be told"
    world.advance(29)
    assert world.complete(task_id, '{"done":true}')
    assert world.outputs[task_id, 0] == '{"done":true}'


def test_an_attempt_whose_slot_was_released_is_excused_as_well() -> None:
    world, _, task_id = busy()
    world.do(ReleaseSlot(task_id))
    load(world)
    world.advance(61)
    assert world.tasks[task_id].internal_retry_count == 1


# Nobody was silent ----------------------------------------------------------------------------------------------------


def test_a_worker_that_could_not_be_heard_keeps_its_attempts_and_is_given_more() -> None:
    world, worker_id, task_id = busy(execution_timeout="1h")
    stand_still(world)
    assert world.cancels() == []
    world.do(Heartbeat(worker_id))
    world.advance(120)
    assert world.tasks[task_id].retry_count == 0
    assert world.status(world.trigger()) is RUNNING


def test_a_worker_that_died_while_the_engine_stood_still_is_noticed_thirty_seconds_later() -> None:
    world, worker_id, task_id = busy(execution_timeout="1h")
    other = world.worker("a")
    del world.beating[worker_id]
    stand_still(world)
    world.advance(29.9)
    assert world.tasks[task_id].retry_count == 0
    world.advance(0.1)
    assert world.running(other) == [task_id]


def test_a_worker_without_a_stream_is_forgotten_only_when_it_had_its_time_to_come_back() -> None:
    world, worker_id, task_id = busy(execution_timeout="1h")
    del world.beating[worker_id]
    world.do(CloseStream(worker_id, world.sessions))
    stand_still(world)
    world.advance(20)
    world.open(worker_id)
    assert world.tasks[task_id].retry_count == 0


def test_an_attempt_nobody_confirmed_has_its_moment_from_the_return_on() -> None:
    world = World()
    world.put(task("a", execution_timeout="1h"))
    worker_id = world.worker("a")
    task_id = world.trigger()
    world.do(CloseStream(worker_id, world.sessions))
    world.open(worker_id)
    stand_still(world)
    world.advance(CONFIRM_US / US_PER_S - 0.1)
    assert world.started(task_id)
    world.advance(10)
    assert world.tasks[task_id].retry_count == 0


@pytest.fixture
def away() -> tuple[World, str, list[str]]:
    """A tenant that was loaded anew with three attempts that nobody confirmed, assigned one after the other to a worker
    whose stream has stayed open."""
    world = World()
    world.put(task("a", execution_timeout="1h"))
    worker_id = world.worker("a")
    tasks = []
    for _ in range(3):
        tasks.append(world.trigger())
        world.advance(1)
    del world.beating[worker_id]
    load(world)
    return world, worker_id, tasks


def announce(world: World, worker_id: str, came: list[str]) -> None:
    assigned = [(task_id, world.tasks[task_id].assigned_at_us or 0) for task_id in came]
    world.do(OpenStream(worker_id, world.sessions, Arrivals(tuple(assigned), min(at_us for _, at_us in assigned))))


def test_what_is_known_to_have_come_is_with_its_worker_and_what_is_known_to_be_lost_goes_out_at_once(
    away: tuple[World, str, list[str]],
) -> None:
    world, worker_id, (first, second, third) = away
    announce(world, worker_id, [first, third])
    world.beating[worker_id] = None
    world.advance(1)
    assert [world.tasks[task_id].retry_count for task_id in (first, second, third)] == [0, 1, 0]
    assert world.starts(last=20)[-1].task_id == second
    world.advance(CONFIRM_US / US_PER_S)
    assert [world.tasks[task_id].retry_count for task_id in (first, second, third)] == [0, 1, 0]


def test_what_was_assigned_before_all_that_is_known_to_have_come_has_its_moment(
    away: tuple[World, str, list[str]],
) -> None:
    """It may have come on an older stream."""
    world, worker_id, (first, second, third) = away
    announce(world, worker_id, [second])
    assert [world.tasks[task_id].retry_count for task_id in (first, second, third)] == [0, 0, 1]
    assert world.started(first)
    world.advance(CONFIRM_US / US_PER_S)
    assert [world.tasks[task_id].retry_count for task_id in (first, second, third)] == [0, 0, 1]


def test_another_assignment_of_the_same_attempt_is_not_the_one_that_came(away: tuple[World, str, list[str]]) -> None:
    """A durable task that was evicted and restored is the same attempt in another invocation."""
    world, worker_id, (first, second, third) = away
    at_us = world.tasks[first].assigned_at_us or 0
    arrived = Arrivals(((second, at_us), (third, at_us)), at_us)
    world.do(OpenStream(worker_id, world.sessions, arrived))
    assert [world.tasks[task_id].retry_count for task_id in (first, second, third)] == [0, 1, 1]


def test_standing_still_twice_starts_the_clocks_twice() -> None:
    world, worker_id, task_id = busy(execution_timeout="1h")
    del world.beating[worker_id]
    for _ in range(5):
        stand_still(world)
        world.advance(20)
    assert world.tasks[task_id].retry_count == 0
