"""Groups whose key a worker is asked for: the limit of the SDKs of 2025 (grpc specification 5.4)."""

from __future__ import annotations

from typing import Final

import pytest

from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.workers import CloseStream
from broadaxe.core.decision import TaskProgressed
from broadaxe.core.definition import KEY_TASK_NAME, ConcurrencyRule, LimitStrategy, Sticky, TaskSpec
from broadaxe.core.lifecycle import RunStatus, TaskStatus
from broadaxe.errors import InvalidArgument
from tests.core.world import World, task

KEY: Final = "flow:key"


def asked(world: World, *tasks: TaskSpec, max_runs: int = 1, **options: object) -> None:
    strategy = options.pop("strategy", LimitStrategy.GROUP_ROUND_ROBIN)
    assert isinstance(strategy, LimitStrategy)
    rule = ConcurrencyRule(expression="", max_runs=max_runs, strategy=strategy)
    key_task = TaskSpec(name="key", action_id=KEY, execution_timeout="60s", schedule_timeout="10s")
    world.put(*(tasks or (task("only"),)), concurrency=(rule,), key_task=key_task, **options)  # type: ignore[arg-type]


def key_of(world: World, run_id: str) -> str:
    return world.task(run_id, KEY_TASK_NAME)


def test_the_run_waits_for_its_key_and_for_its_turn() -> None:
    world = World()
    asked(world)
    world.worker("only", "key")
    first, second, other = (world.trigger() for _ in range(3))
    assert [start.asks_for_key for start in world.starts(3)] == [True, True, True]
    assert world.task_of(first, "only") is None
    for run_id, key in ((first, '"a"'), (second, '"a"'), (other, '"b"')):
        assert world.runs[run_id].status is RunStatus.QUEUED
        world.complete(key_of(world, run_id), key)
    assert world.statuses(first)["only"] is TaskStatus.RUNNING
    assert world.statuses(second)["only"] is TaskStatus.QUEUED
    assert world.statuses(other)["only"] is TaskStatus.RUNNING
    assert world.runs[second].status is RunStatus.QUEUED
    world.complete(world.task(first, "only"))
    assert world.statuses(second)["only"] is TaskStatus.RUNNING
    assert world.runs[first].status is RunStatus.COMPLETED


def test_nobody_is_told_about_the_question() -> None:
    world = World()
    asked(world, task("one"), task("two", "one"))
    world.worker("one", "two", "key")
    run_id = world.trigger()
    world.started(key_of(world, run_id))
    world.complete(key_of(world, run_id), '"a"')
    world.complete(world.task(run_id, "one"), '{"n":1}')
    (start,) = world.starts()
    assert [name for name, _ in start.parents] == ["one"]
    world.complete(world.task(run_id, "two"))
    (finish,) = world.finishes
    assert [result.name for result in finish.results] == ["one", "two"]
    told = [effect for decision in world.decisions for effect in decision.effects if isinstance(effect, TaskProgressed)]
    assert key_of(world, run_id) not in {effect.task_id for effect in told}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ('"7"', "7", True),
        ('{"a":1}', '{"a":1}', True),
        ('"a"', '"A"', False),
        ('""', '"x"', False),
        ("true", "1", False),
    ],
    ids=["number", "object", "case", "empty", "bool"],
)
def test_any_answer_makes_a_key(first: str, second: str, same: bool) -> None:
    world = World()
    asked(world)
    world.worker("only", "key")
    runs = [world.trigger(), world.trigger()]
    for run_id, answer in zip(runs, (first, second), strict=True):
        world.complete(key_of(world, run_id), answer)
    assert (world.statuses(runs[1])["only"] is TaskStatus.QUEUED) is same


def test_a_question_that_fails_fails_the_run_and_says_why() -> None:
    world = World()
    asked(world, on_failure=task("mend"))
    world.worker("only", "mend", "key")
    run_id = world.trigger()
    world.fail(key_of(world, run_id), "no key in this input")
    assert world.statuses(run_id)["only"] is TaskStatus.CANCELLED
    assert world.statuses(run_id)["mend"] is TaskStatus.RUNNING
    world.complete(world.task(run_id, "mend"))
    (finish,) = world.finishes
    assert finish.status is RunStatus.FAILED
    assert (KEY_TASK_NAME, "no key in this input") in {(result.name, result.error) for result in finish.results}


def test_nobody_to_ask_cancels_the_run_in_time() -> None:
    world = World()
    asked(world)
    world.worker("only")
    run_id = world.trigger()
    world.advance(9.9)
    assert world.runs[run_id].status is RunStatus.QUEUED
    world.advance(0.2)
    assert world.runs[run_id].status is RunStatus.CANCELLED


def test_a_lost_worker_is_not_waited_for() -> None:
    world = World()
    asked(world)
    lost = world.worker("only", "key")
    run_id = world.trigger()
    del world.beating[lost]
    world.do(CloseStream(lost, world.sessions))
    world.worker("only", "key")
    world.advance(40)
    key_task = key_of(world, run_id)
    assert world.tasks[key_task].retry_count == 1
    assert world.report(key_task, Outcome.COMPLETED, '"late"', retry_count=0) is False
    world.complete(key_task, '"a"')
    assert world.statuses(run_id)["only"] is TaskStatus.RUNNING


def test_an_answer_that_may_be_lost_with_its_stream_is_asked_for_again() -> None:
    world = World()
    asked(world)
    worker = world.worker("only", "key")
    run_id = world.trigger()
    key_task = key_of(world, run_id)
    world.started(key_task)
    world.do(CloseStream(worker, world.sessions))
    world.open(worker)
    world.advance(4.9)
    assert world.tasks[key_task].retry_count == 0
    world.advance(0.2)
    assert world.tasks[key_task].retry_count == 1
    world.complete(key_task, '"a"')
    assert world.statuses(run_id)["only"] is TaskStatus.RUNNING


def test_the_newest_of_a_group_displaces_the_oldest() -> None:
    world = World()
    asked(world, strategy=LimitStrategy.CANCEL_IN_PROGRESS)
    world.worker("only", "key")
    first, second = world.trigger(), world.trigger()
    world.complete(key_of(world, first), '"a"')
    world.complete(key_of(world, second), '"a"')
    assert world.runs[first].status is RunStatus.CANCELLED
    assert world.statuses(second)["only"] is TaskStatus.RUNNING


def test_a_replay_asks_again() -> None:
    world = World()
    asked(world)
    world.worker("only", "key")
    run_id = world.trigger()
    world.complete(key_of(world, run_id), '"a"')
    world.complete(world.task(run_id, "only"))
    world.do(ReplayTasks((run_id,)))
    assert world.statuses(run_id) == {KEY_TASK_NAME: TaskStatus.RUNNING, "only": TaskStatus.WAITING}
    world.complete(key_of(world, run_id), '"b"')
    assert world.statuses(run_id)["only"] is TaskStatus.RUNNING
    assert '"b"' in (world.run_rows[run_id].keys or "")


def test_a_run_that_ends_before_its_key_is_known_stops_asking() -> None:
    world = World()
    asked(world)
    world.worker("only", "key")
    run_id = world.trigger()
    world.complete(key_of(world, run_id), '"a"')
    only = world.task(run_id, "only")
    world.complete(only)
    world.do(ReplayTasks((run_id,)))
    world.do(CancelTasks((only,)))
    assert world.runs[run_id].status is RunStatus.CANCELLED
    assert world.statuses(run_id) == {KEY_TASK_NAME: TaskStatus.CANCELLED, "only": TaskStatus.CANCELLED}
    assert [effect.task_id for effect in world.cancels()] == [key_of(world, run_id)]
    assert world.tenant.counts()["tasks"] == 0


def test_the_rest_can_be_replayed_under_the_same_key() -> None:
    world = World()
    asked(world, task("one"), task("two", "one"))
    world.worker("one", "two", "key")
    run_id = world.trigger()
    world.complete(key_of(world, run_id), '"a"')
    world.complete(world.task(run_id, "one"))
    world.fail(world.task(run_id, "two"))
    world.do(ReplayTasks((world.task(run_id, "two"),)))
    assert world.statuses(run_id)["two"] is TaskStatus.RUNNING
    assert world.statuses(run_id)[KEY_TASK_NAME] is TaskStatus.COMPLETED


def test_cancelling_the_run_takes_the_question_back() -> None:
    world = World()
    asked(world)
    world.worker("only", "key")
    run_id = world.trigger()
    world.do(CancelTasks((run_id,)))
    assert [cancel.asks_for_key for cancel in world.cancels()] == [True]
    assert world.runs[run_id].status is RunStatus.CANCELLED


def test_who_is_asked_says_nothing_about_where_the_run_sticks() -> None:
    world = World()
    asked(world, sticky=Sticky.HARD)
    world.worker("key")
    works = world.worker("only")
    run_id = world.trigger()
    world.complete(key_of(world, run_id), '"a"')
    assert world.tasks[world.task(run_id, "only")].worker_id == works


def test_there_is_no_second_rule_beside_it() -> None:
    world = World()
    rules = (ConcurrencyRule(expression=""), ConcurrencyRule(expression="'x'"))
    with pytest.raises(InvalidArgument):
        world.put(task("only"), concurrency=rules, key_task=TaskSpec(name="key", action_id=KEY))
    with pytest.raises(InvalidArgument):
        world.put(task("only"), concurrency=(ConcurrencyRule(expression=""),))
