"""Time that is skipped: nobody was silent in it, and whatever is planned can be skipped to."""

from __future__ import annotations

from broadaxe.core.commands.workers import CloseStream
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskEventType, TaskStatus
from tests.core.test_durable import Program, sleep
from tests.core.world import DAY_US, START_US, World, task


def skip(world: World, by_us: int) -> None:
    world.now_us += by_us
    world.tenant.skip(world.now_us)
    world.decide()


def test_a_worker_with_a_stream_was_not_silent_in_time_that_never_was() -> None:
    world = World()
    world.put(task("a", execution_timeout="24h"))
    worker_id = world.worker("a")
    first = world.trigger()
    skip(world, DAY_US // 2)
    assert world.running(worker_id) == [first]
    assert TaskEventType.REASSIGNED not in world.events(first)
    second = world.trigger()
    assert world.running(worker_id) == [first, second], "it is given tasks as well"


def test_a_worker_whose_stream_has_ended_is_missed_in_skipped_time_too() -> None:
    world = World()
    world.put(task("a"))
    worker_id, task_id = world.worker("a"), ""
    task_id = world.trigger()
    world.started(task_id)
    world.do(CloseStream(worker_id, world.sessions))
    due_us = world.tenant.next_skip_us()
    assert due_us is not None and due_us <= world.now_us + 30 * US_PER_S
    skip(world, 31 * US_PER_S)
    assert TaskEventType.REASSIGNED in world.events(task_id)
    assert world.status(task_id) is TaskStatus.QUEUED


def test_the_silence_of_a_worker_with_a_stream_is_nothing_to_skip_to() -> None:
    world = World()
    world.put(task("a"))
    world.worker("a")
    assert world.tenant.next_due_us() is not None
    assert world.tenant.next_skip_us() is None


def test_a_task_that_runs_takes_its_time_and_one_that_waits_does_not() -> None:
    program = Program(execution_timeout="24h")
    tenant = program.world.tenant
    assert not tenant.is_settled(), "its program is under way"
    program.wait(sleep(3600))
    assert tenant.is_settled()
    assert tenant.next_skip_us() == START_US + 3600 * US_PER_S
    skip(program.world, 3600 * US_PER_S)
    assert not tenant.is_settled(), "it was told, and goes on"
    program.world.complete(program.id)
    assert tenant.is_settled()
    assert not tenant.has_runs()


def test_a_parent_waits_for_its_children() -> None:
    world = World()
    world.put(task("a"))
    world.put(task("kid", retries=1, backoff_factor=60.0, backoff_max_s=60), name="kid")
    world.worker("a", "kid")
    parent = world.trigger()
    child = world.trigger("kid", parent_task_id=parent, child_index=0)
    assert not world.tenant.is_settled(), "the child runs"
    world.fail(child)
    assert world.status(child) is TaskStatus.BACKOFF
    assert world.tenant.is_settled()


def test_an_evicted_task_sleeps_on_through_skipped_time() -> None:
    program = Program()
    program.wait(sleep(3600))
    program.evict()
    assert program.world.tenant.has_runs(), "it sleeps outside memory"
    skip(program.world, 3600 * US_PER_S)
    assert program.status is TaskStatus.RUNNING
