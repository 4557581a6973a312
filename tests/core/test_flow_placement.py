"""Where a task goes: labels, sticky workers, and keys that take turns when slots are scarce (semantics 2.2 to 2.7)."""

from __future__ import annotations

import msgspec
import pytest

from broadaxe.core.affinity import is_met
from broadaxe.core.commands.ratelimits import PutRateLimit
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import CloseStream, LabelValue, PutWorkerLabels, RegisterWorker
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.definition import (
    BatchRule,
    Comparator,
    ConcurrencyRule,
    LabelRequirement,
    LimitStrategy,
    RateLimitUse,
    Sticky,
    TaskSpec,
    WorkflowSpec,
)
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskEventType, TaskStatus
from tests.core.world import World, task

QUEUED, RUNNING = TaskStatus.QUEUED, TaskStatus.RUNNING


def worker(
    world: World, labels: dict[str, LabelValue], slots: int = 100, actions: tuple[str, ...] = ("flow:a",)
) -> str:
    worker_id = world.do(RegisterWorker("worker", actions, {"default": slots}, labels))
    assert isinstance(worker_id, str)
    world.open(worker_id)
    world.beating[worker_id] = None
    return worker_id


def put(world: World, *labels: LabelRequirement) -> None:
    world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=(msgspec.structs.replace(task("a"), labels=labels),))))


def worker_of(world: World, task_id: str) -> str | None:
    return world.tasks[task_id].worker_id


# Labels -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "comparator", "wanted", "met"),
    [
        ("x", Comparator.EQUAL, "x", True),
        ("x", Comparator.EQUAL, "y", False),
        ("x", Comparator.NOT_EQUAL, "y", True),
        (1, Comparator.NOT_EQUAL, "y", False),
        (None, Comparator.NOT_EQUAL, "y", False),
        (2, Comparator.GREATER_THAN, 1, True),
        (1, Comparator.GREATER_THAN, 1, False),
        (1, Comparator.GREATER_THAN_OR_EQUAL, 1, True),
        (0, Comparator.LESS_THAN, 1, True),
        (1, Comparator.LESS_THAN_OR_EQUAL, 1, True),
        (2, Comparator.LESS_THAN_OR_EQUAL, 1, False),
        ("2", Comparator.GREATER_THAN, 1, False),
        ("b", Comparator.GREATER_THAN, "a", False),
    ],
)
def test_a_label_is_compared_as_worker_value_to_wanted_value(
    value: LabelValue | None, comparator: Comparator, wanted: LabelValue, met: bool
) -> None:
    assert is_met(value, LabelRequirement(key="k", value=wanted, comparator=comparator)) is met


def test_a_required_label_waits_for_a_worker_that_has_it() -> None:
    world = World()
    put(world, LabelRequirement(key="gpu", value="a100", required=True))
    plain = worker(world, {})
    task_id = world.trigger()
    assert world.status(task_id) is QUEUED
    assert world.events(task_id)[-1] is TaskEventType.REQUEUED_NO_WORKER
    world.do(PutWorkerLabels(plain, {"gpu": "a100"}))
    assert worker_of(world, task_id) == plain


def test_a_blocked_shape_does_not_hold_up_another() -> None:
    world = World()
    put(world, LabelRequirement(key="gpu", value="a100", required=True))
    worker(world, {})
    blocked = world.trigger(priority=3)
    (free,) = world.do(TriggerRuns((RunRequest(workflow_name="flow", input="{}", desired_labels=()),)))  # type: ignore[misc]
    assert world.status(blocked) is QUEUED
    assert world.status(str(free)) is RUNNING


def test_weights_add_up_and_the_heaviest_worker_with_room_wins() -> None:
    world = World()
    put(
        world,
        LabelRequirement(key="zone", value="x", weight=50),
        LabelRequirement(key="memory", value=8, comparator=Comparator.GREATER_THAN_OR_EQUAL, weight=60),
    )
    worker(world, {"zone": "x"})
    large = worker(world, {"memory": 16}, slots=1)
    both = worker(world, {"zone": "x", "memory": 8}, slots=1)
    chosen = [worker_of(world, world.trigger()) for _ in range(2)]
    assert chosen == [both, large]


def test_equals_take_turns() -> None:
    world = World()
    put(world, LabelRequirement(key="zone", value="x"))
    twins = {worker(world, {"zone": "x"}), worker(world, {"zone": "x"})}
    worker(world, {})
    chosen = [worker_of(world, world.trigger()) for _ in range(4)]
    assert chosen[:2] == chosen[2:] and set(chosen) == twins


def test_labels_given_with_the_trigger_replace_the_tasks_own() -> None:
    world = World()
    put(world, LabelRequirement(key="zone", value="x", required=True))
    here, there = worker(world, {"zone": "x"}), worker(world, {"zone": "y"})
    wanted = (LabelRequirement(key="zone", value="y", required=True),)
    (task_id,) = world.do(TriggerRuns((RunRequest(workflow_name="flow", input="{}", desired_labels=wanted),)))  # type: ignore[misc]
    assert worker_of(world, world.trigger()) == here
    assert worker_of(world, str(task_id)) == there


# Sticky -------------------------------------------------------------------------------------------------------------


def sticky_dag(world: World, sticky: Sticky) -> None:
    world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=(task("a"), task("b", "a")), sticky=sticky)))


@pytest.mark.parametrize("sticky", list(Sticky))
def test_a_downstream_task_goes_where_its_parent_ran(sticky: Sticky) -> None:
    world = World()
    sticky_dag(world, sticky)
    for _ in range(3):
        worker(world, {}, actions=("flow:a", "flow:b"))
    run_ids = [world.trigger() for _ in range(6)]
    for run_id in run_ids:
        world.complete(world.task(run_id, "a"))
        assert worker_of(world, world.task(run_id, "b")) == worker_of(world, world.task(run_id, "a"))


@pytest.mark.parametrize("sticky", list(Sticky))
def test_a_full_worker_is_waited_for_only_when_hard(sticky: Sticky) -> None:
    world = World()
    tasks = (task("a"), task("b", "a", slots={"default": 2}))
    world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=tasks, sticky=sticky)))
    first = worker(world, {}, slots=2, actions=("flow:a", "flow:b"))
    run_id, busy = world.trigger(), world.trigger()
    other = worker(world, {}, slots=2, actions=("flow:b",))
    world.complete(world.task(run_id, "a"))
    waiting = world.task(run_id, "b")
    assert worker_of(world, waiting) == (None if sticky is Sticky.HARD else other)
    world.fail(world.task(busy, "a"))
    if sticky is Sticky.HARD:
        assert worker_of(world, waiting) == first


def test_a_hard_worker_that_is_gone_is_waited_for_until_the_schedule_timeout() -> None:
    world = World()
    sticky_dag(world, Sticky.HARD)
    first = worker(world, {}, actions=("flow:a", "flow:b"))
    run_id = world.trigger()
    world.complete(world.task(run_id, "a"))
    world.fail(world.task(run_id, "b"))
    del world.beating[first]
    run_id = world.trigger()
    world.complete(world.task(run_id, "a"))
    world.advance(31)
    worker(world, {}, actions=("flow:a", "flow:b"))
    task_id = world.task(run_id, "b")
    assert world.status(task_id) is QUEUED
    world.advance(301)
    assert world.events(task_id)[-1] is TaskEventType.SCHEDULING_TIMED_OUT


def test_the_sticky_worker_is_remembered_when_it_is_not_in_memory() -> None:
    """A finished run that is read back for a replay names workers that memory has forgotten."""
    world = World()
    sticky_dag(world, Sticky.HARD)
    first = worker(world, {}, actions=("flow:a", "flow:b"))
    run_id = world.trigger()
    world.complete(world.task(run_id, "a"))
    world.fail(world.task(run_id, "b"))
    del world.beating[first]
    world.do(CloseStream(first, world.sessions))
    world.advance(40)
    assert first not in world.tenant._state.workers
    other = worker(world, {}, actions=("flow:a", "flow:b"))
    world.do(ReplayTasks((world.task(run_id, "b"),)))
    assert world.status(world.task(run_id, "b")) is QUEUED, f"it belongs to {first}, not to {other}"
    assert worker_of(world, world.task(run_id, "a")) == first


# Turns of keys ------------------------------------------------------------------------------------------------------


def keyed(world: World, *uses: RateLimitUse, slots: dict[str, int] | None = None, name: str = "flow") -> None:
    rule = ConcurrencyRule(expression="input.k", max_runs=50, strategy=LimitStrategy.GROUP_ROUND_ROBIN)
    spec = TaskSpec(name="a", action_id="flow:a", concurrency=(rule,), rate_limits=uses, slots=slots or {})
    world.do(PutWorkflow(WorkflowSpec(name=name, tasks=(spec,))))


def key_run(world: World, key: str, name: str = "flow") -> str:
    return world.trigger(name, run_input=msgspec.json.encode({"k": key}).decode())


def served(world: World, keys: dict[str, str], count: int) -> str:
    """The keys of the next `count` tasks, one slot, each completed when it runs."""
    order = ""
    for _ in range(count):
        (running,) = [i for i in keys if world.status(i) is RUNNING]
        order += keys[running]
        world.complete(running)
    return order


def test_a_flood_on_one_key_delays_another_by_one_turn() -> None:
    world = World()
    keyed(world)
    worker(world, {}, slots=1)
    keys = {key_run(world, "A"): "A" for _ in range(6)}
    keys |= {key_run(world, "B"): "B" for _ in range(2)}
    assert served(world, keys, 8) == "AABABAAA"


def test_keys_under_limits_of_their_own_take_turns_too() -> None:
    """Each key waits in another lane here, since its rate limit is another one."""
    world = World()
    keyed(world, RateLimitUse(key_expression="input.k", limit_expression="100", window_us=US_PER_S))
    worker(world, {}, slots=1)
    keys = {key_run(world, "A"): "A" for _ in range(6)}
    keys |= {key_run(world, "B"): "B" for _ in range(2)}
    assert served(world, keys, 8) == "AABABAAA"


def test_items_that_gather_for_a_batch_take_no_turn_from_tasks_that_wait_for_a_slot() -> None:
    world = World()
    keyed(world)
    rule = ConcurrencyRule(expression="input.k", max_runs=50, strategy=LimitStrategy.GROUP_ROUND_ROBIN)
    batch = BatchRule(max_size=100, interval_us=3_600 * US_PER_S)
    spec = TaskSpec(name="a", action_id="flow:a", concurrency=(rule,), batch=batch)
    world.do(PutWorkflow(WorkflowSpec(name="batches", tasks=(spec,))))
    worker(world, {}, slots=1)
    keys = {key_run(world, "A"): "A" for _ in range(5)}
    keys |= {key_run(world, "B"): "B" for _ in range(4)}
    order = ""
    for _ in range(8):
        key_run(world, "A", "batches")
        order += served(world, keys, 1)
    assert order == "AABABABA"


def test_a_key_comes_in_its_turn_when_the_first_of_another_is_cancelled() -> None:
    world = World()
    keyed(world)
    worker(world, {}, slots=1)
    keys = {key_run(world, "A"): "A" for _ in range(3)}
    gone = key_run(world, "B")
    last = key_run(world, "A")
    keys[last] = "A"
    first = next(iter(keys))
    world.complete(first)
    world.do(CancelTasks((gone,)))
    del keys[first]
    assert served(world, keys, 3) == "AAA"


def test_a_parked_lane_lets_an_older_task_of_another_shape_go_first() -> None:
    world = World()
    world.do(PutRateLimit("k", 0, US_PER_S))
    spec = TaskSpec(name="a", action_id="flow:a", rate_limits=(RateLimitUse(key="k"),))
    world.do(PutWorkflow(WorkflowSpec(name="limited", tasks=(spec,))))
    world.do(PutWorkflow(WorkflowSpec(name="costly", tasks=(task("a", slots={"default": 2}),))))
    world.do(PutWorkflow(WorkflowSpec(name="plain", tasks=(task("a"),))))
    world.trigger("limited")
    costly, plain = world.trigger("costly"), world.trigger("plain")
    worker(world, {}, slots=2)
    assert [world.status(costly), world.status(plain)] == [RUNNING, QUEUED]


# Families -----------------------------------------------------------------------------------------------------------


def test_tasks_that_wait_for_children_do_not_take_the_last_slots_from_them() -> None:
    world = World()
    for name in ("parent", "work"):
        world.put(task("a", service=name), name=name)
    parents = [world.trigger("parent") for _ in range(20)]
    for _ in range(60):
        world.trigger("work")
    worker_id = world.worker("parent:a", "work:a", slots={"default": 4})
    children: dict[str, list[str]] = {}
    while running := world.running(worker_id):
        for task_id in running:
            if task_id in parents and task_id not in children:
                children[task_id] = [world.trigger("work", parent_task_id=task_id) for _ in range(2)]
        done = [
            task_id
            for task_id in world.running(worker_id)
            if all(world.status(child) is TaskStatus.COMPLETED for child in children.get(task_id, ()))
        ]
        assert done, "every slot is held by a task that waits for a child"
        world.complete(done[0])
    assert set(children) == set(parents)
    assert all(task.status is TaskStatus.COMPLETED for task in world.tasks.values())


def test_who_stands_back_is_served_when_nobody_else_can_be() -> None:
    world = World()
    for name in ("parent", "work"):
        world.put(task("a", service=name), name=name)
    worker_id = world.worker("parent:a", slots={"default": 2})
    other_id = world.worker("work:a", slots={"default": 1})
    first, second = world.trigger("parent"), world.trigger("parent")
    world.trigger("work")
    for _ in range(3):
        world.trigger("work", parent_task_id=first)
    third = world.trigger("parent")
    world.complete(second)
    assert set(world.running(worker_id)) == {first, third}
    assert len(world.running(other_id)) == 1
