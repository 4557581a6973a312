"""Batch tasks: when a group goes, who goes with it, and what becomes of its items (semantics 2.10)."""

from __future__ import annotations

import msgspec
import pytest

from broadaxe.core.commands.attempts import Accepted, Outcome, RefuseDelivery, ReleaseSlot, ReportAttempt
from broadaxe.core.commands.ratelimits import PutRateLimit
from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.decision import StartBatch
from broadaxe.core.definition import BatchRule, RateLimitUse, WorkflowSpec
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskEventType, TaskStatus
from broadaxe.errors import InvalidArgument
from tests.core.world import World, task

QUEUED, RUNNING = TaskStatus.QUEUED, TaskStatus.RUNNING


def put(world: World, rule: BatchRule, *uses: RateLimitUse, retries: int = 0, schedule_timeout: str = "") -> None:
    spec = msgspec.structs.replace(
        task("a", retries=retries, schedule_timeout=schedule_timeout), batch=rule, rate_limits=uses
    )
    world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=(spec,))))


def run(world: World, key: str | int = "A", priority: int | None = None) -> str:
    return world.trigger(run_input=msgspec.json.encode({"k": key}).decode(), priority=priority)


def batches(world: World) -> list[tuple[str, str, list[str]]]:
    """(key, reason, task ids) of every batch sent."""
    return [
        (effect.key, effect.reason, [item.task_id for item in effect.items])
        for decision in world.decisions
        for effect in decision.effects
        if isinstance(effect, StartBatch)
    ]


def test_a_full_group_goes_at_once_and_takes_one_unit() -> None:
    world = World()
    put(world, BatchRule(max_size=3))
    worker_id = world.worker("a", slots={"default": 1})
    items = [run(world) for _ in range(3)]
    assert batches(world) == [("default", "batch is full", items)]
    assert world.tenant._state.workers[worker_id].free == {"default": 0}
    for item in items[:2]:
        world.complete(item)
    assert world.tenant._state.workers[worker_id].free == {"default": 0}, "held until the last item ends"
    world.complete(items[2])
    assert world.tenant._state.workers[worker_id].free == {"default": 1}


def test_a_group_goes_when_its_interval_is_over() -> None:
    world = World()
    put(world, BatchRule(max_size=3, interval_us=200_000))
    world.worker("a")
    item = run(world)
    world.advance(0.199)
    assert world.status(item) is QUEUED
    assert world.events(item)[-1] is TaskEventType.WAITING_FOR_BATCH
    world.advance(0.001)
    assert batches(world) == [("default", "interval elapsed", [item])]


def test_groups_do_not_mix() -> None:
    world = World()
    put(world, BatchRule(max_size=2, group_key_expression="input.k"))
    world.worker("a")
    a1, b1, a2, b2 = run(world, "A"), run(world, "B"), run(world, "A"), run(world, "B")
    assert batches(world) == [("A", "batch is full", [a1, a2]), ("B", "batch is full", [b1, b2])]


def test_a_group_key_that_is_no_text_fails_the_task_in_the_words_clients_look_for() -> None:
    world = World()
    put(world, BatchRule(max_size=2, group_key_expression="input.k"))
    world.worker("a")
    item = run(world, 123)
    assert world.status(item) is TaskStatus.FAILED
    assert "failed to parse batch group key expression" in (world.tasks[item].error or "")


def test_the_most_urgent_go_first() -> None:
    world = World()
    put(world, BatchRule(max_size=2))
    low, high, other = run(world), run(world, priority=3), run(world)
    world.worker("a")
    assert batches(world) == [("default", "batch is full", [high, low])]
    world.advance(1)
    assert batches(world)[1:] == [("default", "interval elapsed", [other])]


def test_only_so_many_batches_of_a_group_run_at_once() -> None:
    world = World()
    put(world, BatchRule(max_size=1, group_max_runs=1))
    world.worker("a")
    first, second = run(world), run(world)
    assert [world.status(i) for i in (first, second)] == [RUNNING, QUEUED]
    world.complete(first)
    assert world.status(second) is RUNNING


def test_units_of_a_limit_are_taken_when_an_item_gathers() -> None:
    world = World()
    world.do(PutRateLimit("k", 1, 10 * US_PER_S))
    put(world, BatchRule(max_size=2, interval_us=60 * US_PER_S), RateLimitUse(key="k"))
    world.worker("a")
    first, second = run(world), run(world)
    assert world.events(first)[-1] is TaskEventType.WAITING_FOR_BATCH
    assert world.events(second)[-1] is TaskEventType.REQUEUED_RATE_LIMIT
    world.advance(10)
    assert batches(world) == [("default", "batch is full", [first, second])]


def test_a_failed_item_gathers_again() -> None:
    world = World()
    put(world, BatchRule(max_size=2), retries=1)
    world.worker("a")
    first, second = run(world), run(world)
    world.fail(first)
    world.complete(second)
    world.advance(1)
    assert batches(world)[1:] == [("default", "interval elapsed", [first])]


def test_a_cancelled_item_leaves_its_group() -> None:
    world = World()
    put(world, BatchRule(max_size=2))
    world.worker("a")
    first = run(world)
    world.do(CancelTasks((first,)))
    second, third = run(world), run(world)
    assert batches(world) == [("default", "batch is full", [second, third])]


def test_cancelling_a_running_item_leaves_the_others_running() -> None:
    world = World()
    put(world, BatchRule(max_size=2))
    world.worker("a")
    first, second = run(world), run(world)
    world.do(CancelTasks((first,)))
    assert [world.status(i) for i in (first, second)] == [TaskStatus.CANCELLED, RUNNING]
    assert [cancel.task_id for cancel in world.cancels()] == [first]


def test_an_item_waits_for_its_group_no_longer_than_its_schedule_timeout() -> None:
    world = World()
    put(world, BatchRule(max_size=2, interval_us=60 * US_PER_S), schedule_timeout="5s")
    world.worker("a")
    item = run(world)
    world.advance(5)
    assert world.events(item)[-1] is TaskEventType.SCHEDULING_TIMED_OUT


@pytest.mark.parametrize("is_released", [False, True])
def test_empty_groups_leave_memory(is_released: bool) -> None:
    world = World()
    put(world, BatchRule(max_size=3, interval_us=200_000, group_max_runs=1))
    world.worker("a")
    first = run(world)
    world.advance(0.2)
    late = run(world)
    world.advance(1)
    world.do(CancelTasks((late,)))
    world.advance(1)
    if is_released:
        world.do(ReleaseSlot(first))
    else:
        world.complete(first)
    state = world.tenant._state
    assert not state.batch_groups and not state.batches
    assert all(not len(queue) for queue in state.queues.values())


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (BatchRule(max_size=0), "tasks[0].batch.batch_max_size"),
        (BatchRule(max_size=1, interval_us=0), "tasks[0].batch.batch_max_interval_ms"),
        (BatchRule(max_size=1, group_max_runs=0), "tasks[0].batch.batch_group_max_runs"),
        (BatchRule(max_size=1, group_key_expression="input."), "tasks[0].batch.batch_group_key"),
    ],
)
def test_a_bad_batch_rule_names_its_field(rule: BatchRule, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        put(World(), rule)
    assert refused.value.field == field


@pytest.mark.parametrize("is_loaded", [False, True])
@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_late_report_of_a_lost_batch_is_stale_also_when_the_slot_was_released(
    outcome: Outcome, is_loaded: bool
) -> None:
    world = World()
    put(world, BatchRule(max_size=1))
    lost = world.worker("a")
    item = run(world)
    (first,) = batch_ids(world)
    del world.beating[lost]
    world.advance(31)
    world.worker("a")
    second = batch_ids(world)[-1]
    assert second != first
    world.do(ReleaseSlot(item))
    if is_loaded:
        world.restart()
    late = world.do(ReportAttempt(item, None, outcome, '{"by":"lost"}', batch_id=first, worker=lost))
    assert late == Accepted(is_current=False)
    assert world.status(item) is RUNNING
    present = world.do(ReportAttempt(item, None, Outcome.COMPLETED, '{"by":"present"}', batch_id=second))
    assert present == Accepted(is_current=True)
    assert world.outputs[item, 1] == '{"by":"present"}'


def batch_ids(world: World) -> list[str]:
    return [e.batch_id for decision in world.decisions for e in decision.effects if isinstance(e, StartBatch)]


def heavy(world: World, size: int) -> str:
    return world.trigger(run_input=msgspec.json.encode({"text": "x" * size}).decode())


def test_a_batch_is_cut_before_it_weighs_more_than_a_message() -> None:
    world = World()
    put(world, BatchRule(max_size=10, interval_us=1_000))
    world.worker("a")
    items = [heavy(world, 1_500_000) for _ in range(4)]
    world.advance(1)
    assert [sent for _, _, sent in batches(world)] == [items[:2], items[2:]]


def test_an_item_too_heavy_for_company_goes_alone() -> None:
    world = World()
    put(world, BatchRule(max_size=2))
    world.worker("a")
    light, large = run(world), heavy(world, 3_999_990)
    world.advance(1)
    assert [sent for _, _, sent in batches(world)] == [[light], [large]]


def test_a_batch_that_was_too_large_is_sent_again_in_parts() -> None:
    world = World()
    put(world, BatchRule(max_size=3, interval_us=1_000))
    world.worker("a")
    items = [run(world) for _ in range(3)]
    # What they get of their parents was not known.
    world.round(*(RefuseDelivery(item, 0, 2_500_000, 4_194_304) for item in items))
    world.advance(1)
    assert [sent for _, _, sent in batches(world)][1:] == [[item] for item in items]
    assert {world.status(item) for item in items} == {RUNNING}
    assert {world.tasks[item].app_retry_count for item in items} == {0}
