"""Conditions of a DAG's tasks: each line of section 6.8."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.definition import (
    ConcurrencyRule,
    ConditionAction,
    ConditionRule,
    LimitStrategy,
    RateLimitUse,
    TaskSpec,
    WorkflowSpec,
)
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import RunStatus, TaskStatus
from broadaxe.core.timers import is_valid
from broadaxe.core.waits import Wait
from broadaxe.errors import InvalidArgument
from tests.core.world import World, task

WAIT, SKIP, CANCEL = ConditionAction.QUEUE, ConditionAction.SKIP, ConditionAction.CANCEL
C, S, X, W, R = (
    TaskStatus.COMPLETED,
    TaskStatus.SKIPPED,
    TaskStatus.CANCELLED,
    TaskStatus.WAITING,
    TaskStatus.RUNNING,
)


def on(action: ConditionAction, group: int = 0, **fields: Any) -> ConditionRule:
    return ConditionRule(action=action, group=group, **fields)


def sleep(action: ConditionAction, seconds: int, group: int = 0) -> ConditionRule:
    return on(action, group, sleep=f"{seconds}s", sleep_us=seconds * US_PER_S, data_key=f"sleep:{seconds}s")


def event(action: ConditionAction, key: str, group: int = 0, expression: str = "") -> ConditionRule:
    return on(action, group, event_key=key, expression=expression, data_key=key)


def parent(action: ConditionAction, expression: str, group: int = 0, name: str = "a") -> ConditionRule:
    return on(action, group, parent=name, expression=expression)


class Flow:
    """`a`, then `b` with the conditions, then `c`."""

    def __init__(self, *conditions: ConditionRule, **options: Any) -> None:
        self.world = World()
        self.world.put(task("a"), task("b", "a", conditions=conditions, **options), task("c", "b"))
        self.world.worker("a", "b", "c")
        self.run = self.world.trigger()

    def end_a(self, output: str = "{}") -> None:
        self.world.complete(self.world.task(self.run, "a"), output)

    def push(self, key: str, payload: str = "{}") -> None:
        self.world.do(PushEvents((EventRequest(key=key, payload=payload),)))

    @property
    def b(self) -> TaskStatus:
        return self.world.status(self.world.task(self.run, "b"))

    @property
    def all(self) -> dict[str, TaskStatus]:
        return self.world.statuses(self.run)


def test_a_sleep_begins_when_the_parents_are_over() -> None:
    flow = Flow(sleep(WAIT, 10))
    flow.world.advance(20)
    flow.end_a()
    assert flow.b is W
    flow.world.advance(9)
    assert flow.b is W
    flow.world.advance(1)
    assert flow.b is R


def test_an_event_counts_only_from_then_on() -> None:
    flow = Flow(event(WAIT, "go"))
    flow.push("go")
    flow.end_a()
    assert flow.b is W
    flow.push("go")
    assert flow.b is R


def test_what_fired_reaches_the_worker() -> None:
    flow = Flow(event(WAIT, "go", expression="input.n > 1"))
    flow.end_a()
    flow.push("go", '{"n": 1}')
    assert flow.b is W
    flow.push("go", '{"n": 2}')
    (start,) = flow.world.starts()
    assert start.fired == '{"go":{"n": 2}}'


@pytest.mark.parametrize(
    ("conditions", "ends"),
    [
        ((parent(SKIP, "output.n == 1"),), S),
        ((parent(SKIP, "output.n == 2"),), R),
        ((parent(CANCEL, "output.n == 1"),), X),
        ((parent(CANCEL, "output.n == 1"), parent(SKIP, "true")), X),
        ((parent(WAIT, "output.n == 1"),), R),
        ((parent(WAIT, "output.n == 2"),), S),
        ((parent(WAIT, "output.absent == 2"),), S),
        ((parent(WAIT, ""),), R),
        ((parent(WAIT, "output.n == 2", 0), parent(WAIT, "output.n == 1", 0)), R),
        ((parent(WAIT, "output.n == 2", 0), parent(WAIT, "output.n == 1", 1)), S),
        ((parent(WAIT, "output.n == 2", 0), event(WAIT, "go", 0)), W),
        ((parent(WAIT, "output.n == 1", 0), event(WAIT, "go", 0)), R),
        ((parent(WAIT, "output.n == 1", 0), event(WAIT, "never", 0), sleep(WAIT, 0, 1)), R),
        ((parent(SKIP, "output.n == 2", 0), sleep(SKIP, 5, 1)), R),
        ((event(WAIT, "go"), parent(SKIP, "output.n == 2", 0), sleep(SKIP, 0, 1)), W),
        ((event(WAIT, "go"), parent(SKIP, "output.n == 1", 0), sleep(SKIP, 0, 1)), S),
        ((sleep(SKIP, 0),), R),
        ((sleep(WAIT, 0),), R),
    ],
)
def test_conditions_on_parents_decide_at_once(conditions: tuple[ConditionRule, ...], ends: TaskStatus) -> None:
    flow = Flow(*conditions)
    flow.end_a('{"n": 1}')
    assert flow.b is ends


def test_the_first_list_that_is_fulfilled_decides() -> None:
    for first, ends in (("go", R), ("skip", S), ("stop", X)):
        flow = Flow(event(WAIT, "go"), event(SKIP, "skip"), event(CANCEL, "stop"))
        flow.end_a()
        flow.push(first)
        assert flow.b is ends
        for later in ("go", "skip", "stop"):
            flow.push(later)
        assert flow.b is ends


def test_at_the_same_instant_cancel_goes_before_skip_and_skip_before_going_on() -> None:
    flow = Flow(sleep(WAIT, 5), sleep(SKIP, 5), sleep(CANCEL, 5))
    flow.end_a()
    flow.world.advance(5)
    assert flow.b is X
    flow = Flow(sleep(WAIT, 5), sleep(SKIP, 5))
    flow.end_a()
    flow.world.advance(5)
    assert flow.all == {"a": C, "b": S, "c": S}


@pytest.mark.parametrize(
    ("conditions", "pushed", "ends"),
    [
        ((sleep(WAIT, 5), sleep(SKIP, 20), sleep(CANCEL, 30)), None, R),
        ((sleep(WAIT, 20), sleep(SKIP, 5), sleep(CANCEL, 30)), None, S),
        ((sleep(WAIT, 5, 0), sleep(WAIT, 30, 1), sleep(SKIP, 20)), None, S),
        ((sleep(WAIT, 5, 0), sleep(WAIT, 30, 0), sleep(SKIP, 20)), None, R),
        ((event(WAIT, "go"), sleep(SKIP, 20)), "go", S),
        ((event(CANCEL, "go"), sleep(WAIT, 20)), "go", R),
        ((event(WAIT, "go", 0), sleep(WAIT, 1, 1), sleep(SKIP, 20)), "go", S),
    ],
)
@pytest.mark.parametrize("is_restarted", [False, True], ids=["late", "restarted"])
def test_the_first_list_decides_also_when_the_engine_looks_late(
    conditions: tuple[ConditionRule, ...], pushed: str | None, ends: TaskStatus, is_restarted: bool
) -> None:
    flow = Flow(*conditions)
    flow.end_a()
    if is_restarted:
        flow.world.restart()
    flow.world.now_us += 60 * US_PER_S
    if pushed is not None:
        flow.push(pushed)
    flow.world.decide()
    # The worker was silent meanwhile.
    assert flow.b in ((R, TaskStatus.QUEUED) if ends is R else (ends,))


def test_an_event_that_came_before_the_last_sleep_does_not_count_as_late() -> None:
    flow = Flow(event(WAIT, "go"), event(SKIP, "x", 0), sleep(SKIP, 5, 1), sleep(CANCEL, 7))
    flow.end_a()
    flow.push("x")
    flow.world.restart()
    flow.world.now_us += 60 * US_PER_S
    flow.world.decide()
    assert flow.b is S


def test_all_groups_are_needed_and_what_came_true_stays_true() -> None:
    flow = Flow(event(WAIT, "x", 0), event(WAIT, "y", 1))
    flow.end_a()
    flow.push("x")
    assert flow.b is W
    flow.world.restart()
    flow.push("y")
    assert flow.b in (R, TaskStatus.QUEUED)


@pytest.mark.parametrize("expressions", [("", "input.n > 1"), ("input.n < 5", "input.n == 1 || input.n == 9")])
def test_two_conditions_on_one_event_wait_each_for_its_own(expressions: tuple[str, str]) -> None:
    flow = Flow(*(event(WAIT, "go", group, expression) for group, expression in enumerate(expressions)))
    flow.end_a()
    flow.push("go", '{"n":0}')
    assert flow.b is W
    flow.push("go", '{"n":9}')
    assert flow.b is R


def test_a_parent_that_failed_cancels_whatever_the_conditions_say() -> None:
    flow = Flow(parent(SKIP, "true"), sleep(WAIT, 5))
    flow.world.fail(flow.world.task(flow.run, "a"))
    assert flow.b is X


def test_skipped_parents_skip_unless_the_task_says_itself_when_to_skip() -> None:
    for rule, ends in ((None, S), (parent(SKIP, "output.skipped == false", name="b"), R)):
        world = World()
        conditions = () if rule is None else (rule,)
        world.put(task("a"), task("b", "a", conditions=(parent(SKIP, "true"),)), task("c", "b", conditions=conditions))
        world.worker("a", "b", "c")
        run = world.trigger()
        world.complete(world.task(run, "a"))
        assert world.statuses(run)["c"] is ends


@pytest.mark.parametrize(
    ("conditions", "ends"),
    [
        ((parent(SKIP, "output.skipped", name="b"),), S),
        ((parent(CANCEL, "output.skipped", name="b"), parent(SKIP, "false", name="b")), X),
        ((parent(WAIT, "output.skipped", name="b"), parent(SKIP, "false", name="b")), R),
    ],
)
@pytest.mark.parametrize("is_replayed", [False, True], ids=["once", "replayed"])
def test_a_skipped_parent_says_that_it_was(
    conditions: tuple[ConditionRule, ...], ends: TaskStatus, is_replayed: bool
) -> None:
    world = World()
    world.put(task("a"), task("b", "a", conditions=(parent(SKIP, "true"),)), task("c", "b", conditions=conditions))
    world.worker("a", "b", "c")
    run = world.trigger()
    world.complete(world.task(run, "a"))
    if is_replayed:
        world.do(CancelTasks((run,)))
        world.do(ReplayTasks((world.task(run, "b"),)))
    assert world.statuses(run)["c"] is ends


def test_a_run_does_not_wait_for_a_slot_while_its_tasks_wait_for_conditions() -> None:
    """The task that was queued has ended; the other one holds no slot and asks for none yet."""
    world = World()
    rule = ConcurrencyRule(expression="'all'", strategy=LimitStrategy.GROUP_ROUND_ROBIN, max_runs=1)
    waits = task("b", conditions=(event(WAIT, "go"),))
    world.put(task("a", schedule_timeout="5s"), waits, concurrency=(rule,))
    world.worker("a", "b")
    first, second, third = world.trigger(), world.trigger(), world.trigger()
    world.advance(1)
    assert world.statuses(first)["a"] is R
    world.advance(10)
    assert world.statuses(second) == {"a": X, "b": W}
    world.do(CancelTasks((first,)))
    fourth = world.trigger()
    assert world.runs[second].concurrency_held == world.runs[third].concurrency_held == 0
    assert world.statuses(fourth)["a"] is R
    world.do(CancelTasks((fourth,)))
    world.do(PushEvents((EventRequest(key="go", payload="{}"),)))
    assert world.statuses(second)["b"] is R
    assert world.runs[second].concurrency_held == 1


def test_a_replay_puts_dynamic_limits_of_a_task_that_never_was_queued() -> None:
    world = World()
    use = RateLimitUse(key_expression="'user'", limit_expression="1", units=1)
    spec = msgspec.structs.replace(task("b", "a"), rate_limits=(use,))
    world.put(task("a"), spec)
    world.worker("a", "b")
    run = world.trigger()
    world.fail(world.task(run, "a"))
    assert world.statuses(run)["b"] is X
    world.do(ReplayTasks((run,)))
    world.complete(world.task(run, "a"))
    assert world.statuses(run)["b"] is R


def test_a_root_waits_for_its_conditions_from_the_start() -> None:
    world = World()
    world.put(task("only", conditions=(sleep(WAIT, 30),)))
    world.worker("only")
    run = world.trigger()
    assert world.status(run) is W
    assert world.runs[run].status is RunStatus.QUEUED
    world.advance(30)
    assert world.status(run) is R


def test_the_root_of_a_debounced_run_waits_when_its_burst_is_over() -> None:
    world = World()
    world.put(task("only", conditions=(event(WAIT, "go"),)))
    world.worker("only")
    burst = '{"broadaxe__debounce_key": "k", "broadaxe__debounce_quiet_ms": 2000}'
    run = world.trigger(additional_metadata=burst)
    world.do(PushEvents((EventRequest(key="go", payload="{}"),)))
    assert world.status(run) is TaskStatus.BACKOFF
    world.advance(2)
    assert world.status(run) is W
    world.do(PushEvents((EventRequest(key="go", payload="{}"),)))
    assert world.status(run) is R


def test_what_no_expression_can_read_makes_none_true() -> None:
    beyond = '{"n":1e999}'
    flow = Flow(event(WAIT, "k", expression="true"))
    flow.end_a()
    flow.push("k", beyond)
    assert flow.b is W
    flow.push("k", '{"n":1}')
    assert flow.b is R
    flow = Flow(parent(SKIP, "true"))
    flow.end_a(beyond)
    assert flow.b is R


def test_waiting_for_conditions_takes_no_slot_and_no_timeout() -> None:
    flow = Flow(event(WAIT, "go"), schedule_timeout="5s")
    flow.end_a()
    flow.world.advance(600)
    assert flow.b is W
    assert flow.world.runs[flow.run].status is RunStatus.RUNNING


def test_cancelling_the_run_cancels_who_waits() -> None:
    flow = Flow(event(WAIT, "go"))
    flow.end_a()
    flow.world.do(CancelTasks((flow.run,)))
    assert flow.all == {"a": C, "b": X, "c": X}
    assert flow.world.runs[flow.run].status is RunStatus.CANCELLED
    flow.push("go")
    assert flow.b is X


def test_a_restart_keeps_what_is_waited_for_and_what_parents_said() -> None:
    flow = Flow(sleep(WAIT, 60))
    flow.end_a()
    flow.world.advance(30)
    flow.world.restart()
    flow.world.advance(29)
    assert flow.b is W
    flow.world.advance(1)
    assert flow.b in (R, TaskStatus.QUEUED)
    world = World()
    world.put(task("a"), task("x"), task("b", "a", "x", conditions=(parent(SKIP, "output.n == 1"),)), name="two")
    world.worker("a", "x", "b")
    run = world.trigger("two")
    world.complete(world.task(run, "a"), '{"n": 1}')
    world.restart()
    world.complete(world.task(run, "x"))
    assert world.statuses(run)["b"] is S


def test_a_replay_waits_anew() -> None:
    flow = Flow(sleep(WAIT, 10))
    flow.end_a()
    flow.world.advance(10)
    for name in ("b", "c"):
        flow.world.complete(flow.world.task(flow.run, name))
    flow.world.do(ReplayTasks((flow.run,)))
    flow.end_a()
    assert flow.b is W
    flow.world.advance(10)
    assert flow.b is R


def test_a_replay_does_not_know_what_was_waited_for_before() -> None:
    """The parent says something else now, so the list that skipped the task is out of play."""
    flow = Flow(event(WAIT, "go"), event(SKIP, "x", 0), parent(SKIP, "output.n == 1", 1))
    flow.end_a('{"n": 1}')
    flow.push("x")
    assert flow.all == {"a": C, "b": S, "c": S}
    flow.world.do(ReplayTasks((flow.run,)))
    flow.end_a('{"n": 2}')
    assert flow.b is W
    flow.push("x")
    assert flow.b is W
    flow.push("go")
    assert flow.b is R


@pytest.mark.parametrize("is_restarted", [False, True], ids=["at once", "restarted"])
def test_a_replay_forgets_what_fired(is_restarted: bool) -> None:
    """This time the parent lets the task through by itself."""
    flow = Flow(parent(WAIT, "output.n == 1", 0), event(WAIT, "go", 0))
    flow.end_a('{"n": 2}')
    flow.push("go", '{"x": 1}')
    for name in ("b", "c"):
        flow.world.complete(flow.world.task(flow.run, name))
    flow.world.do(ReplayTasks((flow.run,)))
    if is_restarted:
        flow.world.restart()
    flow.end_a('{"n": 1}')
    (start,) = flow.world.starts()
    assert (start.task_id, start.retry_count, start.fired) == (flow.world.task(flow.run, "b"), 1, None)


def test_a_replay_that_ends_a_parent_at_once_opens_one_gate() -> None:
    world = World()
    waits = task("c", "a", "b", conditions=(event(WAIT, "go"), event(SKIP, "x")))
    world.put(task("a"), task("b", "a", conditions=(parent(SKIP, "true"),)), waits)
    world.worker("a", "b", "c")
    run = world.trigger()
    world.complete(world.task(run, "a"))
    world.do(CancelTasks((world.task(run, "c"),)))
    world.do(ReplayTasks((world.task(run, "b"),)))
    assert world.statuses(run) == {"a": C, "b": S, "c": W}
    world.do(PushEvents((EventRequest(key="go", payload="{}"),)))
    assert world.statuses(run)["c"] is R
    assert not world.tenant._state.waits_for_events


def test_a_task_that_waits_for_a_worker_keeps_what_fired_over_a_restart() -> None:
    world = World()
    world.put(task("b", conditions=(event(WAIT, "go"),)))
    run = world.trigger()
    world.do(PushEvents((EventRequest(key="go", payload='{"x": 1}'),)))
    assert world.status(run) is TaskStatus.QUEUED
    world.restart()
    world.worker("b")
    (start,) = world.starts()
    assert start.fired == '{"go":{"x": 1}}'


def test_only_what_let_the_task_through_is_told() -> None:
    flow = Flow(event(WAIT, "go"), event(SKIP, "x", 0), event(SKIP, "y", 1))
    flow.end_a()
    flow.push("x", '{"x": 1}')
    flow.push("go")
    (start,) = flow.world.starts()
    assert start.fired == '{"go":{}}'


@pytest.mark.parametrize("is_restarted", [False, True], ids=["at once", "restarted"])
@pytest.mark.parametrize("decided", ["go", "skip", "stop", ""])
def test_nothing_is_waited_for_once_it_is_decided(decided: str, is_restarted: bool) -> None:
    conditions = (event(WAIT, "go"), event(SKIP, "skip"), event(CANCEL, "stop"))
    flow = Flow(*conditions, sleep(WAIT, 1_000), sleep(SKIP, 1_000), sleep(CANCEL, 1_000))
    flow.end_a()
    if decided:
        flow.push(decided)
    else:
        flow.world.do(CancelTasks((flow.world.task(flow.run, "b"),)))
    if is_restarted:
        flow.world.restart()
    state = flow.world.tenant._state
    assert not state.waits_for_events
    assert not any(is_valid(alarm) and isinstance(alarm[3], Wait) for alarm in state.timers._heap)


@pytest.mark.parametrize(("second_group", "seconds"), [(0, 5), (1, 50)], ids=["either", "both"])
def test_sleeps_of_one_list_end_one_after_the_other(second_group: int, seconds: int) -> None:
    flow = Flow(sleep(WAIT, 5, 0), sleep(WAIT, 50, second_group))
    flow.end_a()
    flow.world.advance(seconds - 1)
    assert flow.b is W
    flow.world.advance(1)
    assert flow.b is R


def test_what_came_half_way_is_kept_as_it_came() -> None:
    """Over a restart, and though the event comes once more for another condition."""
    world = World()
    world.put(task("b", conditions=(event(WAIT, "x", 0), event(WAIT, "x", 1, "input.n > 5"))))
    run = world.trigger()
    world.do(PushEvents((EventRequest(key="x", payload='{"n": 1}'),)))
    world.restart()
    world.do(PushEvents((EventRequest(key="x", payload='{"n": 9}'),)))
    assert world.status(run) is TaskStatus.QUEUED
    world.worker("b")
    (start,) = world.starts()
    assert start.fired == '{"x":{"n": 1}}'


def test_an_event_that_came_twice_is_told_of_as_it_came_first() -> None:
    flow = Flow(event(WAIT, "x", 0), event(WAIT, "y", 1))
    flow.end_a()
    flow.push("x", '{"n": 1}')
    flow.push("x", '{"n": 2}')
    flow.push("y")
    (start,) = flow.world.starts()
    assert start.fired == '{"x":{"n": 1},"y":{}}'


def test_ended_and_replayed_in_one_batch_writes_its_conditions_once() -> None:
    flow = Flow(event(WAIT, "go"))
    flow.end_a()
    flow.push("go")
    for name in ("b", "c"):
        flow.world.complete(flow.world.task(flow.run, name))
    flow.world.do(ReplayTasks((flow.run,)))
    flow.end_a()
    flow.world.round(CancelTasks((flow.run,)), ReplayTasks((flow.world.task(flow.run, "b"),)))
    (gate,) = flow.world.decisions[-1].writes.gates
    assert (gate.is_open, gate.fired) == (True, None)
    assert flow.b is W
    flow.push("go")
    assert flow.b is R


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (task("b", conditions=(parent(SKIP, "true"),)), "tasks"),
        (task("b", "a", conditions=(parent(SKIP, "1 +"),)), "tasks"),
    ],
    ids=["no parent", "no expression"],
)
def test_what_cannot_be_a_condition_is_refused(spec: TaskSpec, field: str) -> None:
    world = World()
    with pytest.raises(InvalidArgument) as refused:
        world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=(task("a"), spec))))
    assert refused.value.field is not None
    assert refused.value.field.startswith(field)


def test_the_order_and_numbers_of_groups_make_no_new_version() -> None:
    world = World()
    first = world.put(task("a"), task("b", "a", conditions=(event(WAIT, "x", 3), event(SKIP, "y", 9))))
    again = world.put(task("a"), task("b", "a", conditions=(event(SKIP, "y", 0), event(WAIT, "x", 1))))
    assert first.version_id == again.version_id
