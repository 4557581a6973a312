"""Concurrency: who gets a slot of a key, who waits and who loses, rule by rule (semantics 3)."""

from __future__ import annotations

import msgspec
import pytest

from broadaxe.core.commands.attempts import Outcome, ReportAttempt
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.definition import ConcurrencyRule, LimitStrategy, TaskSpec, WorkflowSpec
from broadaxe.core.lifecycle import RunStatus, TaskStatus
from broadaxe.errors import InvalidArgument
from tests.core.world import World, task

GRR = LimitStrategy.GROUP_ROUND_ROBIN
NEWEST = LimitStrategy.CANCEL_NEWEST
PROGRESS = LimitStrategy.CANCEL_IN_PROGRESS
QUEUED, RUNNING, CANCELLED = TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.CANCELLED


def rule(
    strategy: LimitStrategy = GRR, expression: str = "input.k", max_runs: int = 1, **more: object
) -> ConcurrencyRule:
    return msgspec.structs.replace(ConcurrencyRule(expression=expression, strategy=strategy, max_runs=max_runs), **more)


def put(world: World, *rules: ConcurrencyRule, workflow: tuple[ConcurrencyRule, ...] = (), name: str = "flow") -> None:
    """A workflow of one task `a` under `rules`."""
    spec = msgspec.structs.replace(task("a", retries=1), concurrency=rules)
    world.do(PutWorkflow(WorkflowSpec(name=name, tasks=(spec,), concurrency=workflow)))


def run(world: World, key: str, priority: int | None = None, name: str = "flow") -> str:
    return world.trigger(name, run_input=msgspec.json.encode({"k": key}).decode(), priority=priority)


def burst(world: World, *keys: str) -> list[str]:
    """All at once, in one batch."""
    requests = tuple(RunRequest(workflow_name="flow", input=msgspec.json.encode({"k": k}).decode()) for k in keys)
    (run_ids,) = world.round(TriggerRuns(requests))
    return list(run_ids)  # type: ignore[arg-type]


def statuses(world: World, *task_ids: str) -> list[TaskStatus]:
    return [world.status(task_id) for task_id in task_ids]


def test_each_key_has_its_own_slots() -> None:
    world = World()
    put(world, rule())
    world.worker("a")
    a1, a2, b1 = run(world, "A"), run(world, "A"), run(world, "B")
    assert statuses(world, a1, a2, b1) == [RUNNING, QUEUED, RUNNING]
    world.complete(a1)
    assert world.status(a2) is RUNNING


def test_those_who_wait_are_admitted_by_priority_then_age() -> None:
    world = World()
    put(world, rule())
    world.worker("a")
    first = run(world, "A")
    low, other_low, high = run(world, "A", 1), run(world, "A", 1), run(world, "A", 3)
    order = []
    running = first
    for _ in range(3):
        world.complete(running)
        (running,) = [i for i in (low, other_low, high) if world.status(i) is RUNNING]
        order.append(running)
    assert order == [high, low, other_low]


def test_waiting_for_a_worker_counts() -> None:
    world = World()
    put(world, rule())
    first, second = run(world, "A"), run(world, "A")
    world.worker("a", slots={"default": 5})
    assert statuses(world, first, second) == [RUNNING, QUEUED]


def test_cancel_newest_lets_the_oldest_of_a_burst_run() -> None:
    world = World()
    put(world, rule(NEWEST))
    world.worker("a")
    task_ids = burst(world, "A", "A", "A")
    assert statuses(world, *task_ids) == [RUNNING, CANCELLED, CANCELLED]
    assert "CANCEL_NEWEST" in world.history[task_ids[1]][-1].message


def test_cancel_in_progress_lets_the_newest_of_a_burst_run() -> None:
    world = World()
    put(world, rule(PROGRESS))
    world.worker("a")
    older = run(world, "A")
    task_ids = burst(world, "A", "A", "A")
    assert [cancel.task_id for cancel in world.cancels()] == [older]
    assert statuses(world, older, *task_ids) == [CANCELLED, CANCELLED, CANCELLED, RUNNING]


def test_a_less_urgent_newcomer_does_not_displace() -> None:
    world = World()
    put(world, rule(PROGRESS))
    world.worker("a")
    urgent, newcomer, as_urgent = run(world, "A", 3), run(world, "A", 1), run(world, "A", 3)
    assert statuses(world, urgent, newcomer, as_urgent) == [CANCELLED, CANCELLED, RUNNING]


@pytest.mark.parametrize(
    ("strategy", "kept"),
    [(LimitStrategy.CANCEL_QUEUED_EXCEPT_NEWEST, 3), (LimitStrategy.CANCEL_QUEUED_EXCEPT_OLDEST, 1)],
)
def test_one_of_those_who_wait_is_kept(strategy: LimitStrategy, kept: int) -> None:
    world = World()
    put(world, rule(strategy))
    world.worker("a")
    task_ids = burst(world, "A", "A", "A", "A")
    waiting = [place for place, task_id in enumerate(task_ids) if world.status(task_id) is QUEUED]
    assert world.status(task_ids[0]) is RUNNING
    assert waiting == [kept]
    world.complete(task_ids[0])
    assert world.status(task_ids[kept]) is RUNNING


def test_slots_are_acquired_in_order_and_kept_while_waiting_for_the_next() -> None:
    world = World()
    put(world, rule(expression="'all'", max_runs=2), rule(expression="input.k"))
    world.worker("a")
    a1, a2, b1 = run(world, "A"), run(world, "A"), run(world, "B")
    # a2 waits for its key and keeps one of the two common slots meanwhile, so b1 waits though B is free.
    assert statuses(world, a1, a2, b1) == [RUNNING, QUEUED, QUEUED]
    world.do(CancelTasks((a2,)))
    assert world.status(b1) is RUNNING


def test_workflow_rules_come_before_the_tasks_own_in_a_single_task_run() -> None:
    world = World()
    put(world, rule(expression="input.k"), workflow=(rule(expression="'all'", max_runs=2),))
    world.worker("a")
    a1, a2, b1 = run(world, "A"), run(world, "A"), run(world, "B")
    assert statuses(world, a1, a2, b1) == [RUNNING, QUEUED, QUEUED]


def test_a_retry_lets_go_and_asks_again_with_the_rank_of_its_run() -> None:
    world = World()
    put(world, rule())
    world.worker("a")
    first, equal, urgent = run(world, "A"), run(world, "A"), run(world, "A", 3)
    world.fail(first)
    assert statuses(world, first, equal, urgent) == [QUEUED, QUEUED, RUNNING]
    world.complete(urgent)
    assert statuses(world, first, equal) == [RUNNING, QUEUED], "the older one goes first"
    assert world.tasks[first].retry_count == 1


def put_with_backoff(world: World, strategy: LimitStrategy, *, max_runs: int = 1, on_workflow: bool = False) -> None:
    """Attempts are 4 s apart."""
    limit = rule(strategy, max_runs=max_runs)
    spec = msgspec.structs.replace(task("a", retries=3), backoff_factor=4.0, backoff_max_s=4)
    if on_workflow:
        world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=(spec,), concurrency=(limit,))))
    else:
        world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=(msgspec.structs.replace(spec, concurrency=(limit,)),))))
    world.worker("a")


@pytest.mark.parametrize("is_loaded", [False, True])
@pytest.mark.parametrize("on_workflow", [False, True])
def test_a_run_that_is_tried_again_is_displaced_by_a_newer_one(on_workflow: bool, is_loaded: bool) -> None:
    world = World()
    put_with_backoff(world, PROGRESS, on_workflow=on_workflow)
    older = run(world, "A")
    world.fail(older)
    world.advance(4)
    assert world.tasks[older].retry_count == 1
    if is_loaded:
        world.restart()
    newer = run(world, "A")
    assert statuses(world, older, newer) == [CANCELLED, RUNNING]


@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_run_in_backoff_is_displaced_at_once_and_never_comes_back(is_loaded: bool) -> None:
    world = World()
    put_with_backoff(world, PROGRESS)
    older = run(world, "A")
    world.fail(older)
    assert world.status(older) is TaskStatus.BACKOFF
    if is_loaded:
        world.restart()
    newer = run(world, "A")
    assert statuses(world, older, newer) == [CANCELLED, RUNNING]
    world.complete(newer)
    world.advance(10)
    assert not world.tenant._state.groups


@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_newcomer_is_refused_while_an_older_run_is_in_backoff(is_loaded: bool) -> None:
    world = World()
    put_with_backoff(world, NEWEST)
    older = run(world, "A")
    world.fail(older)
    if is_loaded:
        world.restart()
    newer = run(world, "A", 3)
    assert statuses(world, older, newer) == [TaskStatus.BACKOFF, CANCELLED]
    world.advance(4)
    assert world.status(older) is RUNNING
    world.complete(older)
    assert world.status(run(world, "A")) is RUNNING


def test_a_retry_at_once_goes_before_a_more_urgent_newcomer_that_would_be_refused() -> None:
    world = World()
    put(world, rule(NEWEST))
    world.worker("a")
    older = run(world, "A")
    request = RunRequest(workflow_name="flow", input='{"k": "A"}', priority=3)
    replies = world.round(ReportAttempt(older, 0, Outcome.FAILED, "it broke"), TriggerRuns((request,)))
    (newer,) = replies[1]  # type: ignore[misc]
    assert isinstance(newer, str)
    assert statuses(world, older, newer) == [RUNNING, CANCELLED]


def test_who_waits_for_a_slot_does_not_wait_for_a_backoff() -> None:
    world = World()
    put_with_backoff(world, GRR)
    older = run(world, "A")
    world.fail(older)
    newer = run(world, "A")
    assert statuses(world, older, newer) == [TaskStatus.BACKOFF, RUNNING]
    world.advance(4)
    assert statuses(world, older, newer) == [QUEUED, RUNNING]
    world.complete(newer)
    assert world.status(older) is RUNNING


@pytest.mark.parametrize(
    ("strategy", "kept"),
    [(LimitStrategy.CANCEL_QUEUED_EXCEPT_NEWEST, "newer"), (LimitStrategy.CANCEL_QUEUED_EXCEPT_OLDEST, "older")],
)
@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_retry_that_queues_is_as_old_as_its_run(strategy: LimitStrategy, kept: str, is_loaded: bool) -> None:
    world = World()
    put_with_backoff(world, strategy)
    older = run(world, "A")
    world.fail(older)
    running, newer = run(world, "A"), run(world, "A")
    assert statuses(world, older, running, newer) == [TaskStatus.BACKOFF, RUNNING, QUEUED]
    if is_loaded:
        world.restart()
    world.advance(4)
    left = {"older": world.status(older), "newer": world.status(newer)}
    assert left == {"older": CANCELLED, "newer": CANCELLED} | {kept: QUEUED}


def test_a_retry_does_not_take_back_the_word_of_a_newer_run() -> None:
    world = World()
    put(world, rule(max_runs_expression="input.limit"))
    world.worker("a")
    older, newer = (
        world.trigger(run_input=msgspec.json.encode({"k": "A", "limit": limit}).decode()) for limit in (1, 3)
    )
    world.fail(older)
    third = world.trigger(run_input='{"k": "A", "limit": 3}')
    assert statuses(world, older, newer, third) == [RUNNING, RUNNING, RUNNING]


def test_a_reassigned_attempt_does_not_displace_a_newer_run() -> None:
    world = World()
    put(world, rule(PROGRESS, max_runs=2))
    lost = world.worker("a", slots={"default": 1})
    older = run(world, "A")
    world.worker("a")
    newer = run(world, "A")
    del world.beating[lost]
    world.advance(31)
    assert world.tasks[older].internal_retry_count == 1
    newest = run(world, "A")
    assert statuses(world, older, newer, newest) == [CANCELLED, RUNNING, RUNNING]


def test_a_dag_run_holds_one_slot_until_its_last_task_ends() -> None:
    world = World()
    spec = WorkflowSpec(name="flow", tasks=(task("a"), task("b", "a")), concurrency=(rule(),))
    world.do(PutWorkflow(spec))
    world.worker("a", "b")
    first, second = run(world, "A"), run(world, "A")
    assert world.status(world.task(second, "a")) is QUEUED
    world.complete(world.task(first, "a"))
    assert world.status(world.task(first, "b")) is RUNNING, "the slot is the run's, not the task's"
    assert world.status(world.task(second, "a")) is QUEUED
    world.complete(world.task(first, "b"))
    assert world.status(world.task(second, "a")) is RUNNING


def test_the_on_failure_task_does_not_hold_the_runs_slot() -> None:
    world = World()
    spec = WorkflowSpec(name="flow", tasks=(task("a"),), on_failure=task("oops"), concurrency=(rule(),))
    world.do(PutWorkflow(spec))
    world.worker("a", "oops")
    first, second = run(world, "A"), run(world, "A")
    world.fail(world.task(first, "a"))
    assert world.status(world.task(first, "oops")) is RUNNING
    assert world.status(world.task(second, "a")) is RUNNING


def test_a_displaced_dag_run_is_cancelled_as_a_whole() -> None:
    world = World()
    tasks = (task("a"), task("b"), task("c", "a", "b"))
    world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=tasks, concurrency=(rule(PROGRESS),))))
    world.worker("a", "b", "c")
    first, second = run(world, "A"), run(world, "A")
    assert set(world.statuses(first).values()) == {CANCELLED}
    assert world.runs[first].status is RunStatus.CANCELLED
    assert world.statuses(second) == {"a": RUNNING, "b": RUNNING}


def test_a_shared_rule_counts_across_workflows() -> None:
    world = World()
    shared = rule(expression="'all'", name="db", is_tenant_scoped=True)
    put(world, shared, name="one")
    put(world, shared, name="two")
    world.worker("a")
    first, second = run(world, "A", name="one"), run(world, "A", name="two")
    assert statuses(world, first, second) == [RUNNING, QUEUED]
    world.complete(first)
    assert world.status(second) is RUNNING


def test_limits_belong_to_a_version() -> None:
    world = World()
    put(world, rule())
    world.worker("a")
    old = run(world, "A")
    put(world, rule(max_runs=1), rule(expression="'x'"))
    new = run(world, "A")
    assert statuses(world, old, new) == [RUNNING, RUNNING]


def test_no_slots_at_all_admit_nobody() -> None:
    world = World()
    put(world, rule(max_runs_expression="0"))
    world.worker("a")
    task_id = run(world, "A")
    assert world.status(task_id) is QUEUED
    world.advance(301)
    assert world.status(task_id) is CANCELLED


def test_a_key_that_cannot_be_computed_fails_the_task_without_a_retry() -> None:
    world = World()
    put(world, rule(expression="input.missing"))
    task_id = run(world, "A")
    assert world.status(task_id) is TaskStatus.FAILED
    assert "input.missing" in (world.tasks[task_id].error or "")
    assert world.tasks[task_id].retry_count == 0


def test_the_schedule_timeout_starts_anew_when_the_slot_is_there() -> None:
    world = World()
    put(world, rule())
    first, second = run(world, "A"), run(world, "A")
    world.advance(200)
    world.do(CancelTasks((first,)))
    world.advance(200)
    assert world.status(second) is QUEUED
    world.advance(101)
    assert world.status(second) is CANCELLED


def test_one_who_waits_and_is_cancelled_leaves_no_trace() -> None:
    world = World()
    put(world, rule())
    world.worker("a")
    first, second, third = run(world, "A"), run(world, "A"), run(world, "A")
    world.do(CancelTasks((second,)))
    world.complete(first)
    assert world.status(third) is RUNNING
    world.complete(third)
    assert not world.tenant._state.groups


def test_a_replayed_task_asks_for_its_slot_again() -> None:
    world = World()
    put(world, rule())
    world.worker("a")
    first = run(world, "A")
    world.complete(first)
    second = run(world, "A")
    world.do(ReplayTasks((first,)))
    assert statuses(world, first, second) == [QUEUED, RUNNING]
    world.complete(second)
    assert world.status(first) is RUNNING


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (rule(expression=""), "tasks[0].concurrency[0].expression"),
        (rule(expression="input."), "tasks[0].concurrency[0].expression"),
        (rule(expression="output.x"), "tasks[0].concurrency[0].expression"),
        (rule(max_runs_expression="1 +"), "tasks[0].concurrency[0].max_runs_expression"),
        (rule(is_tenant_scoped=True), "tasks[0].concurrency[0].name"),
    ],
)
def test_a_bad_rule_names_its_field(bad: ConcurrencyRule, field: str) -> None:
    spec = TaskSpec(name="a", action_id="s:a", concurrency=(bad,))
    with pytest.raises(InvalidArgument) as refused:
        World().do(PutWorkflow(WorkflowSpec(name="flow", tasks=(spec,))))
    assert refused.value.field == field
