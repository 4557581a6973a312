"""Rate limits: windows, units, and who waits for what (semantics 4)."""

from __future__ import annotations

import msgspec
import pytest

from broadaxe.core.commands.ratelimits import DeleteRateLimit, ForgetRateLimits, PauseRateLimit, PutRateLimit
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.decision import RateLimitRow
from broadaxe.core.definition import RateLimitUse, WorkflowSpec
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskEventType, TaskStatus
from broadaxe.errors import InvalidArgument, NotFound
from tests.core.world import World, task

QUEUED, RUNNING = TaskStatus.QUEUED, TaskStatus.RUNNING


def put(world: World, *uses: RateLimitUse, name: str = "flow", schedule_timeout: str = "") -> None:
    """A workflow of one task `a` under these limits."""
    spec = msgspec.structs.replace(task("a", retries=1, schedule_timeout=schedule_timeout), rate_limits=uses)
    world.do(PutWorkflow(WorkflowSpec(name=name, tasks=(spec,))))


def limit(world: World, units: int, window_s: float = 10, key: str = "k") -> None:
    world.do(PutRateLimit(key, units, round(window_s * US_PER_S)))


def run(world: World, priority: int | None = None, **values: object) -> str:
    return world.trigger(run_input=msgspec.json.encode(values).decode(), priority=priority)


def row(world: World, key: str = "k") -> RateLimitRow:
    """The bucket as it was last committed."""
    return next(row for decision in reversed(world.decisions) for row in decision.writes.rate_limits if row.key == key)


def running(world: World, task_ids: list[str]) -> int:
    return sum(world.status(task_id) is RUNNING for task_id in task_ids)


def test_a_window_gives_out_its_units_and_the_next_one_all_again() -> None:
    world = World()
    limit(world, 3)
    put(world, RateLimitUse(key="k"))
    world.worker("a")
    task_ids = [run(world) for _ in range(7)]
    counts = [running(world, task_ids)]
    for _ in range(2):
        world.advance(10)
        counts.append(running(world, task_ids))
    assert counts == [3, 6, 7]


def test_the_wait_is_recorded_once_with_what_was_wanted() -> None:
    world = World()
    limit(world, 1)
    put(world, RateLimitUse(key="k"))
    world.worker("a")
    _, waits = run(world), run(world)
    entries = [entry for entry in world.history[waits] if entry.type is TaskEventType.REQUEUED_RATE_LIMIT]
    assert [entry.message for entry in entries] == ["rate limit 'k': 1 units wanted, 0 left"]


def test_units_are_taken_in_the_same_commit_as_the_assignment_and_never_without_one() -> None:
    world = World()
    limit(world, 5)
    put(world, RateLimitUse(key="k", units=2))
    run(world)
    assert row(world).value == 5, "no worker, no units"
    world.worker("a")
    assert row(world).value == 3
    assert any(entry.type is TaskEventType.ASSIGNED for entry in world.decisions[-1].writes.task_events)


def test_the_window_starts_with_its_first_use() -> None:
    world = World()
    limit(world, 1)
    put(world, RateLimitUse(key="k"))
    world.worker("a")
    world.advance(25)
    first, second = run(world), run(world)
    world.advance(9.9)
    assert [world.status(i) for i in (first, second)] == [RUNNING, QUEUED]
    world.advance(0.1)
    assert world.status(second) is RUNNING


def test_a_refused_use_starts_no_window() -> None:
    world = World()
    limit(world, 1, key="scarce", window_s=100)
    limit(world, 5)
    put(world, RateLimitUse(key="k"), RateLimitUse(key="scarce"))
    world.worker("a")
    run(world)
    committed = row(world)
    world.advance(20)
    run(world)
    assert row(world) == committed, "the first limit had units, the second had none: nothing was taken"


def test_all_limits_or_none() -> None:
    world = World()
    limit(world, 1, key="a")
    limit(world, 0, key="b")
    put(world, RateLimitUse(key="a"), RateLimitUse(key="b"))
    world.worker("a")
    waits = run(world)
    assert world.status(waits) is QUEUED
    assert row(world, "a").value == 1
    limit(world, 1, key="b")
    world.advance(10)
    assert world.status(waits) is RUNNING


def test_a_task_behind_a_limit_does_not_hold_up_one_without() -> None:
    world = World()
    limit(world, 0)
    put(world, RateLimitUse(key="k"))
    put(world, name="free")
    world.worker("a")
    waits, free = run(world, priority=3), world.trigger("free")
    assert [world.status(waits), world.status(free)] == [QUEUED, RUNNING]


def test_dynamic_keys_have_buckets_of_their_own() -> None:
    world = World()
    put(world, RateLimitUse(key_expression="input.user", limit_expression="1", window_us=10 * US_PER_S))
    world.worker("a")
    x1, x2, y1 = run(world, user="x"), run(world, user="x"), run(world, user="y")
    assert [world.status(i) for i in (x1, x2, y1)] == [RUNNING, QUEUED, RUNNING]
    world.advance(10)
    assert world.status(x2) is RUNNING


def test_units_by_expression() -> None:
    world = World()
    limit(world, 5)
    put(world, RateLimitUse(key="k", units_expression="input.pages"))
    world.worker("a")
    big, small, none = run(world, pages=4), run(world, pages=2), run(world, pages=1)
    assert [world.status(i) for i in (big, small, none)] == [RUNNING, QUEUED, RUNNING]


def test_more_units_than_the_limit_wait_for_their_schedule_timeout() -> None:
    world = World()
    limit(world, 2)
    put(world, RateLimitUse(key="k", units=3), schedule_timeout="30s")
    world.worker("a")
    task_id = run(world)
    world.advance(30)
    assert world.status(task_id) is TaskStatus.CANCELLED


def test_a_key_that_was_never_put_waits_until_it_is() -> None:
    world = World()
    put(world, RateLimitUse(key="k"))
    world.worker("a")
    task_id = run(world)
    world.advance(60)
    assert world.status(task_id) is QUEUED
    limit(world, 1)
    assert world.status(task_id) is RUNNING


def test_raising_adds_nothing_before_the_refill_and_lowering_takes_away() -> None:
    world = World()
    limit(world, 4)
    put(world, RateLimitUse(key="k"))
    world.worker("a")
    task_ids = [run(world)]
    limit(world, 9)
    assert row(world).value == 3
    limit(world, 1)
    assert row(world).value == 1
    task_ids += [run(world), run(world)]
    assert running(world, task_ids) == 2


def test_every_attempt_takes_units() -> None:
    world = World()
    limit(world, 1)
    put(world, RateLimitUse(key="k"))
    world.worker("a")
    task_id = run(world)
    world.fail(task_id)
    assert world.status(task_id) is QUEUED
    world.advance(10)
    assert (world.status(task_id), world.tasks[task_id].retry_count) == (RUNNING, 1)


def test_a_pause_gives_nothing_out_and_never_gets_shorter() -> None:
    world = World()
    limit(world, 5)
    put(world, RateLimitUse(key="k"))
    world.worker("a")
    until_us = world.now_us + 30 * US_PER_S
    assert world.do(PauseRateLimit("k", until_us)) == until_us
    assert world.do(PauseRateLimit("k", world.now_us)) == until_us
    task_id = run(world)
    world.advance(29)
    assert world.status(task_id) is QUEUED
    world.advance(1)
    assert world.status(task_id) is RUNNING


def test_a_deleted_limit_lets_nobody_through_until_it_is_put_again() -> None:
    world = World()
    limit(world, 1)
    put(world, RateLimitUse(key="k"))
    world.worker("a")
    run(world)
    waits = run(world)
    world.do(DeleteRateLimit("k"))
    world.advance(20)
    assert world.status(waits) is QUEUED
    limit(world, 1)
    assert world.status(waits) is RUNNING
    with pytest.raises(NotFound):
        world.do(DeleteRateLimit("other"))


def test_deleting_and_putting_in_one_batch_keeps_the_row() -> None:
    world = World()
    limit(world, 1)
    world.round(DeleteRateLimit("k"), PutRateLimit("k", 7, US_PER_S))
    writes = world.decisions[-1].writes
    assert ([row.limit for row in writes.rate_limits], writes.deleted_rate_limits) == ([7], [])


def test_an_emptied_lane_does_not_take_a_new_one_with_it() -> None:
    """A lane that waited for a key, emptied and was made anew: waking the old one must not lose the new one's tasks."""
    world = World()
    limit(world, 1)
    put(world, RateLimitUse(key="k"))
    world.worker("a", slots={"default": 1})
    first, second = run(world), run(world)
    world.advance(10)  # the lane of `second` is looked at again, finds no worker, and stays
    world.complete(first)
    world.complete(second)
    third, fourth = run(world), run(world)
    world.advance(20)
    world.complete(third)
    limit(world, 5)
    assert world.status(fourth) is RUNNING


def test_nothing_waits_for_a_limit_in_memory_when_everything_is_cancelled() -> None:
    world = World()
    limit(world, 0)
    put(world, RateLimitUse(key="k"), RateLimitUse(key="never"), schedule_timeout="5s")
    world.worker("a")
    for _ in range(3):
        run(world)
    world.advance(5)
    state = world.tenant._state
    assert not state.tasks and not state.lanes_without_limit and not state.limits["k"].lanes
    assert all(not queue.shapes for queue in state.queues.values())


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (RateLimitUse(), "tasks[0].rate_limits[0].key"),
        (RateLimitUse(key_expression="input.k"), "tasks[0].rate_limits[0].limit_values_expr"),
        (RateLimitUse(key_expression="input.", limit_expression="1"), "tasks[0].rate_limits[0].key_expr"),
        (RateLimitUse(key="k", units=-1), "tasks[0].rate_limits[0].units"),
        (RateLimitUse(key="k", units_expression="parents.a"), "tasks[0].rate_limits[0].units_expr"),
    ],
)
def test_a_bad_limit_names_its_field(bad: RateLimitUse, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        put(World(), bad)
    assert refused.value.field == field


def per_user(window_s: float) -> RateLimitUse:
    return RateLimitUse(
        key_expression="input.user", limit_expression="1", units=1, window_us=round(window_s * US_PER_S)
    )


def test_dynamic_limits_nobody_used_for_long_are_forgotten() -> None:
    world = World()
    put(world, per_user(60))
    world.worker("a")
    used_at_us = world.now_us
    old = run(world, user="old")
    limit(world, 1, key="static")
    world.complete(old)
    world.advance(100)
    run(world, user="new")
    # Its window must be over before then.
    assert world.do(ForgetRateLimits(used_at_us + 60 * US_PER_S)) == 0
    assert world.do(ForgetRateLimits(used_at_us + 60 * US_PER_S + 1)) == 1
    assert world.decisions[-1].writes.deleted_rate_limits == ["old"]
    assert set(world.tenant._state.limits) == {"new", "static"}


def test_a_forgotten_limit_is_there_again_for_a_replay() -> None:
    world = World()
    put(world, per_user(1))
    worker_id = world.worker("a")
    run_id = run(world, user="ada")
    world.complete(run_id)
    world.advance(10)
    assert world.do(ForgetRateLimits(world.now_us)) == 1
    assert world.do(ReplayTasks((run_id,))) == (run_id,)
    assert world.running(worker_id) == [run_id]
    made = row(world, "ada")
    assert (made.limit, made.value, made.is_dynamic) == (1, 0, True)


def test_a_dynamic_limit_that_somebody_waits_for_or_put_stays() -> None:
    world = World()
    put(world, per_user(1))
    run_id = run(world, user="ada")
    world.advance(10)
    assert world.do(ForgetRateLimits(world.now_us)) == 0
    world.do(CancelTasks((run_id,)))
    limit(world, 3, window_s=1, key="ada")
    world.advance(10)
    assert world.do(ForgetRateLimits(world.now_us)) == 0
    assert not row(world, "ada").is_dynamic
