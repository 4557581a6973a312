"""Why a task does not run: one exact reason for every place where it can be held, and one sentence for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from broadaxe.core.commands.asked import Asked, Initiator, InitiatorKind
from broadaxe.core.commands.ratelimits import PutRateLimit
from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import CloseStream, PauseWorker, RegisterWorker, UnregisterWorker
from broadaxe.core.commands.workflows import PauseWorkflow, PutWorkflow, WhilePaused
from broadaxe.core.definition import (
    BatchRule,
    ConcurrencyRule,
    ConditionAction,
    ConditionRule,
    LabelRequirement,
    LimitStrategy,
    RateLimitUse,
    Sticky,
    TaskSpec,
    WorkflowSpec,
)
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.questions import (
    IN_LINE_MAX,
    Children,
    Conditions,
    Evicted,
    Key,
    NoWorker,
    Reason,
    Slot,
    Waiting,
    WaitingTasks,
    WhyWaiting,
    WorkerName,
)
from broadaxe.core.sentences import sentence
from tests.core.test_durable import Program, event, sleep
from tests.core.world import START_US, World, task


def ask(world: World, *ids: str) -> WaitingTasks:
    return world.tenant.answer(WhyWaiting(ids), world.now_us)


def row_of(world: World, task_id: str) -> Waiting:
    (row,) = ask(world, task_id).tasks
    return row


def reason_of(world: World, task_id: str) -> Reason:
    return row_of(world, task_id).reason


def said(world: World, task_id: str) -> str:
    return sentence(reason_of(world, task_id), world.now_us)


def put(world: World, spec: TaskSpec, **fields: Any) -> str:
    return world.put(msgspec.structs.replace(spec, **fields)).workflow_id


def worker(world: World, name: str, slots: int = 1, **labels: Any) -> str:
    worker_id = world.do(RegisterWorker(name, ("flow:a",), {"default": slots}, labels))
    assert isinstance(worker_id, str)
    world.open(worker_id)
    world.beating[worker_id] = None
    return worker_id


# Workers -------------------------------------------------------------------------------------------------------------


def test_slots_that_are_all_in_use_are_counted_and_the_place_in_line_told() -> None:
    world = World()
    world.put(task("a"))
    worker(world, "orders-1", 2)
    worker(world, "orders-2", 2)
    runs = [world.trigger() for _ in range(7)]
    urgent = world.trigger(priority=3)
    assert said(world, runs[-1]) == "All 4 slots of orders-1 and orders-2 are in use; 4th in line"
    assert said(world, urgent) == "All 4 slots of orders-1 and orders-2 are in use; first in line"
    row = row_of(world, runs[-1])
    assert (row.status, row.task_name, row.since_us) == (TaskStatus.QUEUED, "a", world.now_us)
    assert row.expires_at_us is not None and row.expires_at_us > world.now_us
    world.complete(runs[0])
    assert ask(world, urgent).tasks == (), "it runs"
    assert said(world, runs[-1]).endswith("3rd in line")


def test_a_place_far_behind_is_bounded() -> None:
    world = World()
    world.put(task("a"))
    worker(world, "w")
    requests = tuple(RunRequest(workflow_name="flow", input="{}") for _ in range(IN_LINE_MAX + 5))
    world.do(TriggerRuns(requests))
    queued = [task_id for task_id in world.tasks if world.status(task_id) is TaskStatus.QUEUED]
    waiting = ask(world, queued[0], queued[IN_LINE_MAX - 1], queued[IN_LINE_MAX], queued[-1])
    places = [row.reason.place for row in waiting.tasks if isinstance(row.reason, Slot)]
    assert places == [1, IN_LINE_MAX, IN_LINE_MAX + 1, IN_LINE_MAX + 1]
    assert said(world, queued[-1]).endswith("more than 1,000th in line")


def test_keys_that_take_turns_are_counted_in_the_order_in_which_they_go() -> None:
    world = World()
    rule = ConcurrencyRule(expression="input.k", max_runs=100, strategy=LimitStrategy.GROUP_ROUND_ROBIN)
    put(world, task("a"), concurrency=(rule,))
    worker_id = worker(world, "w")
    first = world.trigger(run_input='{"k": "A"}')
    flood = [world.trigger(run_input='{"k": "A"}') for _ in range(5)]
    other = [world.trigger(run_input='{"k": "B"}') for _ in range(2)]
    waiting = {row.task_id: row.reason for row in ask(world, *flood, *other).tasks}
    told = sorted(waiting, key=lambda i: waiting[i].place)  # type: ignore[union-attr, arg-type, return-value]
    order = []
    world.complete(first)
    while running := world.running(worker_id):
        order += running
        world.complete(running[0])
    assert told == order


def test_a_task_larger_than_what_is_free_and_one_larger_than_any_worker() -> None:
    world = World()
    world.put(task("a", slots={"gpu": 2}))
    worker_id = world.worker("a", slots={"gpu": 3})
    world.trigger()
    assert said(world, world.trigger()) == (
        "It needs 2 gpu slots of one worker; 2 of 3 of worker are in use; first in line"
    )
    world.do(UnregisterWorker(worker_id))
    world.worker("a", slots={"gpu": 1})
    world.put(task("b", slots={"gpu": 2}), name="other")
    world.worker("b", slots={"gpu": 1})
    assert said(world, world.trigger("other")) == "It needs 2 gpu slots, and no worker of flow:b has more than 1"


def test_without_a_worker_the_last_one_may_be_named_by_whoever_knows() -> None:
    world = World()
    world.put(task("a"))
    run = world.trigger()
    assert said(world, run) == "No worker offers flow:a"
    found = NoWorker("flow:a", WorkerName("w", "gpu-1"), START_US)
    assert sentence(found, START_US) == "No worker has offered flow:a since 12:00:00 UTC; the last one was gpu-1"
    tomorrow = START_US + 86_400 * US_PER_S
    assert "since 12:00:00 UTC on 1 January 2026;" in sentence(found, tomorrow)


def test_workers_that_take_nothing_are_told_with_what_keeps_them() -> None:
    world = World()
    world.put(task("a"))
    paused = worker(world, "orders-1")
    world.do(PauseWorker(paused, is_paused=True))
    run = world.trigger()
    assert said(world, run) == "The only worker of flow:a takes no tasks: orders-1 is paused"
    gone = worker(world, "orders-2")
    world.do(CancelTasks((run,)))
    world.do(CloseStream(gone, world.sessions))
    assert said(world, world.trigger()) == (
        "None of the 2 workers of flow:a takes tasks: orders-1 is paused; "
        "orders-2 is disconnected, last seen 12:00:00 UTC"
    )


def test_a_silent_worker_is_told() -> None:
    world = World()
    world.put(task("a"))
    silent = worker(world, "orders-1")
    del world.beating[silent]
    world.advance(12)
    assert said(world, world.trigger()) == (
        "The only worker of flow:a takes no tasks: orders-1 sends no heartbeat, last seen 12:00:00 UTC"
    )


def test_labels_that_nobody_has() -> None:
    world = World()
    gpu = LabelRequirement("gpu", "a100", required=True)
    put(world, task("a"), labels=(gpu, LabelRequirement("zone", 1, required=True)))
    worker(world, "w", 5, gpu="t4", zone=1)
    assert said(world, world.trigger()) == ("No worker of flow:a that takes tasks has the labels it needs: gpu = a100")


def test_a_sticky_task_names_its_worker() -> None:
    world = World()
    world.put(task("a"), task("b", "a", slots={"other": 1}), sticky=Sticky.HARD)
    worker_id = world.worker("a", "b", slots={"default": 9, "other": 1})
    first, second = world.trigger(), world.trigger()
    world.complete(world.task(first, "a"))
    world.complete(world.task(second, "a"))
    b = world.task(second, "b")
    assert said(world, b) == "It belongs to the worker worker, which has 1 of 1 slots in use"
    world.do(PauseWorker(worker_id, is_paused=True))
    assert said(world, b) == "It belongs to the worker worker, which is paused"


# What comes before the workers ---------------------------------------------------------------------------------------


def test_a_key_names_its_holders_and_the_place_in_line() -> None:
    world = World()
    rule = ConcurrencyRule(expression="input.k", strategy=LimitStrategy.GROUP_ROUND_ROBIN)
    put(world, task("a"), concurrency=(rule,))
    world.worker("a")
    holder, second, third = (world.trigger(run_input='{"k": "acme"}') for _ in range(3))
    assert said(world, third) == f"Key 'acme': 1 of 1 held by a-{START_US // 1000}; 2nd in line"
    reason = reason_of(world, second)
    assert isinstance(reason, Key)
    assert (reason.expression, reason.strategy, reason.place) == ("input.k", LimitStrategy.GROUP_ROUND_ROBIN, 1)
    assert [(held.run_id, held.task_id, held.is_running) for held in reason.holders] == [(holder, holder, True)]


def test_a_run_that_waits_for_a_key_as_a_whole() -> None:
    world = World()
    rule = ConcurrencyRule(expression="'all'", strategy=LimitStrategy.GROUP_ROUND_ROBIN)
    world.put(task("a"), task("b", "a"), concurrency=(rule,))
    world.worker("a", "b")
    holder, held_back = world.trigger(), world.trigger()
    by_name = {row.task_name: row for row in ask(world, held_back).tasks}
    reason = by_name["a"].reason
    assert isinstance(reason, Key) and reason.is_of_run
    assert [(found.run_id, found.task_id) for found in reason.holders] == [(holder, None)]
    assert sentence(reason, world.now_us).startswith("Key 'all' for its run: 1 of 1 held by flow-")
    assert (by_name["b"].task_id, sentence(by_name["b"].reason, world.now_us)) == (None, "Waits for a")


@pytest.mark.parametrize(
    ("units", "limit", "expected"),
    [
        (1, 1, "Rate limit 'mail': 0 of 1 units left; refills in 10 s; 2nd in line"),
        (3, 4, "Rate limit 'mail': 1 of 4 units left, 3 needed; refills in 10 s; 2nd in line"),
        (5, 4, "It needs 5 units of the rate limit 'mail', which never has more than 4"),
        (1, None, "There is no rate limit 'mail'; it goes on when somebody puts it"),
    ],
)
def test_a_rate_limit_tells_what_is_left_and_when_it_refills(units: int, limit: int | None, expected: str) -> None:
    world = World()
    if limit is not None:
        world.do(PutRateLimit("mail", limit, 10 * US_PER_S))
    put(world, task("a"), rate_limits=(RateLimitUse(key="mail", units=units),))
    world.worker("a")
    runs = [world.trigger() for _ in range(3)]
    assert said(world, runs[-1]) == expected


def test_a_paused_workflow_holds_all_that_is_queued() -> None:
    world = World()
    workflow_id = world.put(task("a")).workflow_id
    world.worker("a")
    world.do(PauseWorkflow(workflow_id, 3_600 * US_PER_S, WhilePaused.QUEUE, WhilePaused.DROP))
    row = row_of(world, world.trigger())
    assert sentence(row.reason, world.now_us) == "The workflow flow is paused since 12:00:00 UTC"
    pause = PauseWorkflow(workflow_id, 3_600 * US_PER_S, WhilePaused.QUEUE, WhilePaused.DROP)
    world.do(Asked(pause, Initiator(InitiatorKind.ACCOUNT, "", "ann@example.com")))
    row = row_of(world, world.trigger())
    assert sentence(row.reason, world.now_us) == "The workflow flow is paused by ann@example.com since 12:00:00 UTC"
    assert row.expires_at_us == world.now_us + 3_600 * US_PER_S


def test_a_batch_that_gathers_and_one_that_may_not_run_yet() -> None:
    world = World()
    spec = msgspec.structs.replace(task("a"), batch=BatchRule(max_size=2, interval_us=5 * US_PER_S, group_max_runs=1))
    world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=(spec,))))
    world.worker("a")
    first = world.trigger()
    assert said(world, first) == "Gathers in a batch: it has 1 of 2 items and goes in 5 s at the latest"
    world.trigger()
    assert ask(world, first).tasks == ()
    assert said(world, world.trigger()) == "1 of 1 batches are running"


def test_a_debounced_run_and_a_retry_tell_their_instant() -> None:
    world = World()
    world.put(task("a", retries=1, backoff_factor=8.0, backoff_max_s=60))
    world.worker("a")
    metadata = '{"broadaxe__debounce_key": "k", "broadaxe__debounce_quiet_ms": 3000}'
    burst = world.trigger(additional_metadata=metadata)
    assert said(world, burst) == "Debounced by the key 'k': it goes on in 3 s unless another trigger comes"
    failed = world.trigger()
    world.fail(failed)
    assert said(world, failed) == "Attempt 1 failed; attempt 2 begins in 8 s"


def test_parents_that_are_not_over_are_named() -> None:
    world = World()
    world.put(task("a"), task("b"), task("c", "a", "b"))
    world.worker("a")
    run = world.trigger()
    by_name = {row.task_name: sentence(row.reason, world.now_us) for row in ask(world, run).tasks}
    assert by_name == {"b": "No worker offers flow:b", "c": "Waits for a and b"}


def test_the_conditions_of_a_task_of_a_dag() -> None:
    world = World()
    wait = ConditionRule(action=ConditionAction.QUEUE, group=0, event_key="go", expression="input.x == 1")
    until = ConditionRule(action=ConditionAction.QUEUE, group=0, sleep="30s", sleep_us=30 * US_PER_S)
    skip = ConditionRule(action=ConditionAction.SKIP, group=0, event_key="stop")
    world.put(task("a"), task("b", "a", conditions=(wait, until, skip)))
    world.worker("a", "b")
    run = world.trigger()
    world.complete(world.task(run, "a"))
    assert said(world, world.task(run, "b")) == (
        "Waits until its sleep is over in 30 s or for the event 'go' where input.x == 1; "
        "for the event 'stop' to be skipped"
    )


# Durable tasks -------------------------------------------------------------------------------------------------------


def test_a_durable_task_that_runs_tells_what_it_waits_for() -> None:
    program = Program()
    world = program.world
    assert ask(world, program.id).tasks == (), "it runs"
    program.wait(sleep(5, group=0), event("go", group=1, scope="s", expression="input.x == 1"))
    row = row_of(world, program.id)
    assert row.status is TaskStatus.RUNNING
    assert sentence(row.reason, world.now_us) == (
        "Waits until its sleep is over in 5 s and for the event 'go' in the scope 's' where input.x == 1"
    )
    world.advance(6)
    assert said(world, program.id) == "Waits for the event 'go' in the scope 's' where input.x == 1"
    program.push("go", '{"x": 1}', scope="s")
    assert ask(world, program.id).tasks == ()


def test_an_evicted_task_tells_what_it_sleeps_for_though_it_is_not_in_memory() -> None:
    program = Program()
    program.wait(event("go"))
    program.evict()
    assert program.id in program.world.tenant._state.dormant
    reason = reason_of(program.world, program.id)
    assert isinstance(reason, Conditions) and reason.is_evicted
    assert sentence(reason, program.world.now_us) == "Evicted from its worker: waits for the event 'go'"


def test_a_task_that_waits_for_its_children_names_them() -> None:
    program = Program()
    program.spawn("{}", key="one")
    program.list_waiting(1)
    reason = reason_of(program.world, program.id)
    assert isinstance(reason, Children)
    child = program.entry(1).child_run_id
    assert [seen.run_id for seen in reason.children] == [child]
    assert sentence(reason, program.world.now_us) == f"Waits for the child run kid {child}"
    program.evict()
    assert isinstance(reason_of(program.world, program.id), Children | Evicted)


# What is not there ---------------------------------------------------------------------------------------------------


def test_a_frozen_backlog_is_explained_too_and_the_finished_and_unknown_are_not_live() -> None:
    world = World(hot_tasks_max=4)
    world.put(task("a"))
    worker(world, "w")
    running, *runs = [world.trigger() for _ in range(12)]
    assert not world.tenant.is_live(runs[-1])
    row = row_of(world, runs[-1])
    assert (row.task_id, row.status, isinstance(row.reason, Slot)) == (runs[-1], TaskStatus.QUEUED, True)
    world.complete(running)
    answer = ask(world, running, "00000000-0000-7000-8000-00000000dead", "no id", runs[0])
    assert answer.live == {runs[0]}
    assert answer.tasks == (), "that one runs"


def test_asking_changes_nothing() -> None:
    world = World()
    world.put(task("a"))
    worker(world, "w")
    runs = [world.trigger() for _ in range(5)]
    assert ask(world, *runs) == ask(world, *runs)
    order = []
    for run in runs:
        order.append(world.running(next(iter(world.beating)))[0])
        world.complete(run)
    assert order == runs
