"""Debounce: of a burst of triggers only the last runs, after a while of quiet or at the latest in time."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from broadaxe.core.commands.crons import CreateCron
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.schedules import ScheduleRuns
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workflows import PauseWorkflow, PutWorkflow, UnpauseWorkflow, WhilePaused
from broadaxe.core.decision import StartAttempt
from broadaxe.core.definition import ConcurrencyRule, LimitStrategy, WorkflowSpec
from broadaxe.core.durations import US_PER_MS, US_PER_S
from broadaxe.core.lifecycle import RunStatus, TaskEventType, TaskStatus
from broadaxe.errors import InvalidArgument
from tests.core.world import World, task

KEY, QUIET, MAX_WAIT = "broadaxe__debounce_key", "broadaxe__debounce_quiet_ms", "broadaxe__debounce_max_wait_ms"
BACKOFF, QUEUED, RUNNING, COMPLETED, CANCELLED = (
    TaskStatus.BACKOFF,
    TaskStatus.QUEUED,
    TaskStatus.RUNNING,
    TaskStatus.COMPLETED,
    TaskStatus.CANCELLED,
)


def wish(key: str = "k", quiet_ms: Any = 1_000, max_wait_ms: Any = None, **more: Any) -> str:
    metadata = {KEY: key, QUIET: quiet_ms, **more}
    return json.dumps(metadata if max_wait_ms is None else metadata | {MAX_WAIT: max_wait_ms})


def ready(*tasks: str) -> World:
    world = World()
    world.put(*(task(name) for name in tasks or ("a",)))
    world.worker(*(tasks or ("a",)))
    return world


def started(world: World) -> list[str]:
    effects = (effect for decision in world.decisions for effect in decision.effects)
    return [effect.run_id for effect in effects if isinstance(effect, StartAttempt)]


def test_a_lone_run_starts_when_it_has_been_quiet_long_enough() -> None:
    world = ready()
    run_id = world.trigger(additional_metadata=wish())
    assert (world.status(run_id), world.runs[run_id].status) == (BACKOFF, RunStatus.QUEUED)
    world.advance(0.999)
    assert world.status(run_id) is BACKOFF
    world.advance(0.001)
    assert world.status(run_id) is RUNNING
    assert world.events(run_id)[:2] == [TaskEventType.CREATED, TaskEventType.QUEUED]
    assert not world.tenant._state.bursts


def test_of_a_burst_only_the_last_runs_and_the_others_name_their_successor() -> None:
    world = ready()
    runs = []
    for _ in range(5):
        runs.append(world.trigger(additional_metadata=wish()))
        world.advance(0.9)
    assert started(world) == []
    world.advance(0.1)
    assert started(world) == runs[-1:]
    assert [world.status(run_id) for run_id in runs[:-1]] == [CANCELLED] * 4
    for earlier, later in pairwise(runs):
        assert f"superseded by run {later}" in (world.tasks[earlier].error or "")


def test_several_of_one_burst_in_one_request_keep_their_ids() -> None:
    world = ready()
    request = RunRequest(workflow_name="flow", input="{}", additional_metadata=wish())
    runs = world.do(TriggerRuns((request,) * 3))
    assert isinstance(runs, tuple)
    assert [world.status(str(run_id)) for run_id in runs] == [CANCELLED, CANCELLED, BACKOFF]
    world.advance(1)
    assert started(world) == [runs[-1]]


def test_no_burst_lasts_longer_than_its_longest_wait() -> None:
    world = ready()
    runs = []
    for _ in range(8):
        runs.append(world.trigger(additional_metadata=wish(quiet_ms=1_000, max_wait_ms=2_500)))
        world.advance(0.5)
    # At 0, 0.5 … 2.0 s the first burst; it went on at 2.5 s, when the sixth began the next.
    assert started(world) == runs[4:5]
    world.advance(1)
    assert started(world) == [runs[4], runs[7]]


def test_the_newest_trigger_s_times_count() -> None:
    world = ready()
    world.trigger(additional_metadata=wish(quiet_ms=60_000))
    run_id = world.trigger(additional_metadata=wish(quiet_ms=100))
    world.advance(0.1)
    assert started(world) == [run_id]


def test_keys_and_workflows_are_bursts_of_their_own() -> None:
    world = ready()
    world.put(task("a"), name="other")
    one = world.trigger(additional_metadata=wish("one"))
    two = world.trigger(additional_metadata=wish("two"))
    other = world.trigger("other", additional_metadata=wish("one"))
    world.advance(1)
    assert sorted(started(world)) == sorted([one, two, other])


def test_a_trigger_without_the_keys_is_no_part_of_a_burst() -> None:
    world = ready()
    waiting = world.trigger(additional_metadata=wish())
    plain = world.trigger(additional_metadata='{"a":1}')
    assert (world.status(waiting), world.status(plain)) == (BACKOFF, RUNNING)


def test_events_are_debounced_by_their_metadata() -> None:
    world = World()
    world.put(task("a"), event_triggers=("key",))
    world.worker("a")
    event = EventRequest(key="key", payload="{}", additional_metadata=wish())
    pushed = world.do(PushEvents((event, event)))
    first, second = (found.run_ids[0] for found in pushed)  # type: ignore[union-attr]
    assert (world.status(first), world.status(second)) == (CANCELLED, BACKOFF)
    world.advance(1)
    assert started(world) == [second]


def test_schedules_are_debounced_by_their_metadata() -> None:
    world = ready()
    at_us = tuple(world.now_us + second * US_PER_S for second in (1, 2))
    world.do(ScheduleRuns(workflow_name="flow", at_us=at_us, input="{}", additional_metadata=wish(quiet_ms=1_500)))
    world.advance(3)
    assert started(world) == []
    world.advance(0.5)
    assert [world.statuses(run_id) for run_id in world.runs] == [{"a": CANCELLED}, {"a": RUNNING}]


def test_children_do_not_inherit_the_wish() -> None:
    world = ready("a")
    parent = world.trigger(additional_metadata=wish(own=1))
    world.advance(1)
    child = world.trigger(parent_task_id=parent, child_index=0)
    assert world.status(child) is RUNNING
    metadata = json.loads(world.run_rows[child].additional_metadata or "")
    assert metadata["own"] == 1 and not any(name.startswith("broadaxe__") for name in metadata)


def test_all_roots_of_a_dag_wait_and_a_superseded_dag_ends_whole() -> None:
    world = World()
    world.put(task("a"), task("b"), task("c", "a", "b"), on_failure=task("oops"))
    world.worker("a", "b", "c", "oops")
    first = world.trigger(additional_metadata=wish())
    assert world.statuses(first) == {"a": BACKOFF, "b": BACKOFF}
    second = world.trigger(additional_metadata=wish())
    assert world.runs[first].status is RunStatus.CANCELLED
    assert world.statuses(first) == {"a": CANCELLED, "b": CANCELLED, "c": CANCELLED, "oops": TaskStatus.SKIPPED}
    world.advance(1)
    assert world.statuses(second) == {"a": RUNNING, "b": RUNNING}


def test_a_released_run_waits_with_its_own_priority() -> None:
    world = World()
    world.put(task("a"))
    low = world.trigger(additional_metadata=wish(), priority=1)
    world.advance(1)
    high = world.trigger(priority=2)
    assert world.status(low) is QUEUED
    world.worker("a", slots={"default": 1})
    world.complete(high)
    assert started(world) == [high, low]


def test_cancelling_the_run_that_waits_ends_the_burst() -> None:
    world = ready()
    first = world.trigger(additional_metadata=wish(quiet_ms=1_000, max_wait_ms=1_500))
    world.advance(0.9)
    world.do(CancelTasks((first,)))
    assert not world.tenant._state.bursts
    second = world.trigger(additional_metadata=wish(quiet_ms=1_000, max_wait_ms=1_500))
    world.advance(0.9)
    assert world.status(second) is BACKOFF, "the wait counts from the second, the first of its burst"
    world.advance(0.1)
    assert started(world) == [second]


def test_a_superseded_run_that_is_replayed_runs_at_once() -> None:
    world = ready()
    first = world.trigger(additional_metadata=wish())
    second = world.trigger(additional_metadata=wish())
    world.do(ReplayTasks((first,)))
    assert (world.status(first), world.status(second)) == (RUNNING, BACKOFF)


def test_slots_of_a_concurrency_limit_are_asked_for_after_the_wait() -> None:
    world = World()
    rule = ConcurrencyRule(expression="'all'", strategy=LimitStrategy.CANCEL_NEWEST, max_runs=1)
    world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=(task("a"),), concurrency=(rule,))))
    world.worker("a")
    waiting = world.trigger(additional_metadata=wish())
    plain = world.trigger()
    assert (world.status(waiting), world.status(plain)) == (BACKOFF, RUNNING)
    world.advance(1)
    assert world.status(waiting) is CANCELLED, "the slot is taken by then"


def test_a_burst_of_a_paused_workflow_ends_and_its_run_waits_on() -> None:
    world = ready()
    (workflow,) = world.tenant._state.workflows
    world.do(PauseWorkflow(workflow, 60 * US_PER_S, WhilePaused.QUEUE, WhilePaused.QUEUE))
    run_id = world.trigger(additional_metadata=wish())
    world.advance(5)
    assert world.status(run_id) is QUEUED
    world.do(UnpauseWorkflow(workflow))
    assert started(world) == [run_id]


def test_a_trigger_at_the_very_instant_of_the_release_begins_the_next_burst() -> None:
    world = ready()
    first = world.trigger(additional_metadata=wish())
    world.now_us += 1_000 * US_PER_MS
    second = world.trigger(additional_metadata=wish())
    assert (world.status(first), world.status(second)) == (RUNNING, BACKOFF)


def test_a_superseded_trigger_leaves_no_more_than_a_stale_alarm() -> None:
    world = ready()
    for _ in range(8_000):
        world.trigger(additional_metadata=wish(quiet_ms=60_000))
    counts = world.tenant.counts()
    assert (counts["runs"], counts["tasks"]) == (1, 1)
    assert counts["timers"] < 5_000


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({KEY: "k"}, QUIET),
        ({QUIET: 5}, KEY),
        ({MAX_WAIT: 5}, KEY),
        ({KEY: "", QUIET: 5}, KEY),
        ({KEY: "x" * 256, QUIET: 5}, KEY),
        ({KEY: 7, QUIET: 5}, KEY),
        ({KEY: "k", QUIET: 0}, QUIET),
        ({KEY: "k", QUIET: 86_400_001}, QUIET),
        ({KEY: "k", QUIET: "5s"}, QUIET),
        ({KEY: "k", QUIET: "\N{ARABIC-INDIC DIGIT FIVE}"}, QUIET),
        ({KEY: "k", QUIET: 1.5}, QUIET),
        ({KEY: "k", QUIET: True}, QUIET),
        ({KEY: "k", QUIET: 5, MAX_WAIT: -1}, MAX_WAIT),
        ({KEY: "k", QUIET: 5, MAX_WAIT: "9" * 500}, MAX_WAIT),
        ({KEY: "k", QUIET: 5, MAX_WAIT: 4}, MAX_WAIT),
    ],
    ids=[
        "no-quiet", "no-key", "only-max-wait", "empty-key", "long-key", "number-as-key", "no-time", "long-time",
        "duration-text", "other-digits", "fraction", "boolean", "negative", "endless-digits", "shorter-than-quiet",
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_changes_nothing(metadata: dict[str, Any], name: str) -> None:
    world = World()
    world.put(task("a"), event_triggers=("key",))
    text = json.dumps(metadata)
    with pytest.raises(InvalidArgument) as refused:
        world.do(TriggerRuns((RunRequest(workflow_name="flow", input="{}", additional_metadata=text),)))
    assert refused.value.field == f"workflows[0].additional_metadata.{name}"
    with pytest.raises(InvalidArgument) as refused:
        world.do(PushEvents((EventRequest(key="key", payload="{}", additional_metadata=text),)))
    assert refused.value.field == f"events[0].additional_metadata.{name}"
    cron = CreateCron(workflow_name="flow", name="c", expression="* * * * *", input="{}", additional_metadata=text)
    schedule = ScheduleRuns(workflow_name="flow", at_us=(world.now_us,), input="{}", additional_metadata=text)
    for command in (cron, schedule):
        with pytest.raises(InvalidArgument) as refused:
            world.do(command)
        assert refused.value.field == f"additionalMetadata.{name}"
    assert not world.runs and not world.pushed and not world.tenant._state.bursts


def test_times_may_be_digits_and_what_a_copy_says_of_an_earlier_burst_is_ignored() -> None:
    world = ready()
    text = wish(quiet_ms="1000", max_wait_ms="1500", broadaxe__debounce_first_at_us=1)
    run_id = world.trigger(additional_metadata=text)
    stored = json.loads(world.run_rows[run_id].additional_metadata or "")
    assert stored["broadaxe__debounce_first_at_us"] == world.now_us
    world.advance(1)
    assert started(world) == [run_id]
