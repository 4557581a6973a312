"""Paused workflows: what waits, what goes on, what grows too old (semantics 5.11)."""

from __future__ import annotations

import msgspec
import pytest

from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workflows import DeleteWorkflow, PauseWorkflow, PutWorkflow, UnpauseWorkflow, WhilePaused
from broadaxe.core.decision import StartAttempt, StartBatch
from broadaxe.core.definition import BatchRule, ConcurrencyRule, LimitStrategy, WorkflowSpec
from broadaxe.core.durations import DURATION_US_MAX, US_PER_S
from broadaxe.core.lifecycle import TaskEventType, TaskStatus
from broadaxe.errors import InvalidArgument, NotFound
from tests.core.world import World, task

QUEUED, RUNNING, COMPLETED, CANCELLED = (
    TaskStatus.QUEUED,
    TaskStatus.RUNNING,
    TaskStatus.COMPLETED,
    TaskStatus.CANCELLED,
)


def pause(world: World, workflow_id: str, ttl_s: float = 3_600) -> None:
    world.do(PauseWorkflow(workflow_id, round(ttl_s * US_PER_S), WhilePaused.QUEUE, WhilePaused.DROP))


def order_of_starts(world: World) -> list[str]:
    effects = (effect for decision in world.decisions for effect in decision.effects)
    return [effect.task_id for effect in effects if isinstance(effect, StartAttempt)]


def test_nothing_is_assigned_while_paused_and_unpausing_lets_it_go() -> None:
    world = World()
    workflow_id = world.put(task("a")).workflow_id
    world.worker("a")
    pause(world, workflow_id)
    runs = [world.trigger() for _ in range(3)]
    assert [world.status(run_id) for run_id in runs] == [QUEUED] * 3
    world.do(UnpauseWorkflow(workflow_id))
    assert order_of_starts(world) == runs


def test_running_tasks_go_on_and_their_successors_and_retries_wait() -> None:
    world = World()
    workflow_id = world.put(task("a"), task("b", "a"), task("c", retries=1)).workflow_id
    world.worker("a", "b", "c")
    run_id = world.trigger()
    pause(world, workflow_id)
    world.complete(world.task(run_id, "a"))
    world.fail(world.task(run_id, "c"))
    assert world.statuses(run_id) == {"a": COMPLETED, "b": QUEUED, "c": QUEUED}
    world.do(UnpauseWorkflow(workflow_id))
    assert world.statuses(run_id) == {"a": COMPLETED, "b": RUNNING, "c": RUNNING}


def test_other_workflows_of_the_same_action_go_on() -> None:
    world = World()
    paused_id = world.put(task("a"), name="flow").workflow_id
    world.put(task("a"), name="other")
    world.worker("a", slots={"default": 1})
    pause(world, paused_id)
    first, second = world.trigger("flow", priority=3), world.trigger("other")
    assert (world.status(first), world.status(second)) == (QUEUED, RUNNING)


def test_events_make_runs_that_wait() -> None:
    world = World()
    workflow_id = world.put(task("a"), event_triggers=("key",)).workflow_id
    world.worker("a")
    pause(world, workflow_id)
    (pushed,) = world.do(PushEvents((EventRequest(key="key", payload="{}"),)))  # type: ignore[misc]
    assert world.status(pushed.run_ids[0]) is QUEUED  # type: ignore[union-attr]


def test_a_task_older_than_the_queue_ttl_is_cancelled_to_the_instant() -> None:
    world = World()
    workflow_id = world.put(task("a")).workflow_id
    pause(world, workflow_id, ttl_s=600)
    run_id = world.trigger()
    world.advance(599.999)
    assert world.status(run_id) is QUEUED, "the schedule timeout of five minutes does not run"
    world.advance(0.001)
    assert world.status(run_id) is CANCELLED
    assert "queue TTL of 10m0s" in (world.tasks[run_id].error or "")
    assert world.events(run_id)[-1] is TaskEventType.CANCELLED


def test_the_age_counts_from_the_creation_also_before_the_pause() -> None:
    world = World()
    workflow_id = world.put(task("a", schedule_timeout="1h")).workflow_id
    old = world.trigger()
    world.advance(10)
    young = world.trigger()
    world.advance(5)
    pause(world, workflow_id, ttl_s=12)
    assert (world.status(old), world.status(young)) == (CANCELLED, QUEUED)
    world.advance(7)
    assert world.status(young) is CANCELLED


def test_unpausing_gives_everyone_a_whole_schedule_timeout() -> None:
    world = World()
    workflow_id = world.put(task("a", schedule_timeout="10s")).workflow_id
    early = world.trigger()
    world.advance(9)
    pause(world, workflow_id)
    world.advance(100)
    late = world.trigger()
    world.do(UnpauseWorkflow(workflow_id))
    world.advance(9.999)
    assert (world.status(early), world.status(late)) == (QUEUED, QUEUED)
    world.advance(0.001)
    assert (world.status(early), world.status(late)) == (CANCELLED, CANCELLED)
    assert world.events(early)[-1] is TaskEventType.SCHEDULING_TIMED_OUT


def test_an_execution_timeout_that_falls_on_the_row_s_old_deadline_is_kept() -> None:
    """The alarm of a task that waited through a pause stood elsewhere than its row says."""
    world = World()
    workflow_id = world.put(task("a", schedule_timeout="100s", execution_timeout="40s")).workflow_id
    run_id = world.trigger()
    world.advance(30)
    pause(world, workflow_id)
    world.do(UnpauseWorkflow(workflow_id))
    world.advance(30)
    world.worker("a")
    assert world.status(run_id) is RUNNING
    world.advance(40)
    assert world.status(run_id) is TaskStatus.FAILED


def test_pausing_again_replaces_what_was_said() -> None:
    world = World()
    workflow_id = world.put(task("a")).workflow_id
    run_id = world.trigger()
    pause(world, workflow_id, ttl_s=10)
    since_us = world.now_us
    world.advance(1)
    world.do(PauseWorkflow(workflow_id, 20 * US_PER_S, WhilePaused.DROP, WhilePaused.QUEUE))
    found = world.tenant._state.workflows[workflow_id].pause
    assert found is not None
    assert (found.since_us, found.crons, found.schedules) == (since_us, WhilePaused.DROP, WhilePaused.QUEUE)
    world.advance(18)
    assert world.status(run_id) is QUEUED
    world.advance(1)
    assert world.status(run_id) is CANCELLED


def test_paused_items_can_be_cancelled_and_replayed() -> None:
    world = World()
    workflow_id = world.put(task("a")).workflow_id
    world.worker("a")
    pause(world, workflow_id)
    run_id = world.trigger()
    world.do(CancelTasks((run_id,)))
    assert world.status(run_id) is CANCELLED
    world.do(ReplayTasks((run_id,)))
    assert world.status(run_id) is QUEUED
    world.do(UnpauseWorkflow(workflow_id))
    assert world.status(run_id) is RUNNING
    assert len(order_of_starts(world)) == 1


def test_a_concurrency_slot_held_by_a_paused_task_is_given_back() -> None:
    world = World()
    rule = ConcurrencyRule(
        expression="'all'", strategy=LimitStrategy.GROUP_ROUND_ROBIN, max_runs=1, name="shared", is_tenant_scoped=True
    )
    ids: dict[str, str] = {}
    for name in ("flow", "other"):
        reply = world.do(PutWorkflow(WorkflowSpec(name=name, tasks=(task("a"),), concurrency=(rule,))))
        ids[name] = reply.workflow_id  # type: ignore[union-attr]
    world.worker("a")
    pause(world, ids["flow"], ttl_s=10)
    held, waits = world.trigger("flow"), world.trigger("other")
    assert (world.status(held), world.status(waits)) == (QUEUED, QUEUED)
    world.advance(10)
    assert (world.status(held), world.status(waits)) == (CANCELLED, RUNNING)


def test_a_ripe_batch_is_sent_when_the_workflow_goes_on() -> None:
    world = World()
    spec = msgspec.structs.replace(task("a"), batch=BatchRule(max_size=2))
    workflow_id = world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=(spec,)))).workflow_id  # type: ignore[union-attr]
    first = world.trigger()
    pause(world, workflow_id)
    second = world.trigger()
    world.worker("a")
    world.advance(5)
    assert (world.status(first), world.status(second)) == (QUEUED, QUEUED), "though the interval is over"
    world.do(UnpauseWorkflow(workflow_id))
    world.advance(5)
    sent = [effect for decision in world.decisions for effect in decision.effects if isinstance(effect, StartBatch)]
    assert [[item.task_id for item in batch.items] for batch in sent] == [[first], [second]]


def test_a_frozen_backlog_waits_grows_old_and_goes_on_in_order() -> None:
    world = World(hot_tasks_max=4)
    workflow_id = world.put(task("a", schedule_timeout="10s")).workflow_id
    pause(world, workflow_id, ttl_s=100)
    runs = []
    for _ in range(30):
        runs.append(world.trigger())
        world.advance(1)
    assert world.tenant.counts()["tasks"] == 4
    world.advance(75)
    old = [run_id for run_id in runs if world.status(run_id) is CANCELLED]
    assert old == runs[:6], "made 100 s ago or earlier"
    world.do(UnpauseWorkflow(workflow_id))
    world.advance(9)
    assert all(world.status(run_id) is QUEUED for run_id in runs[6:])
    world.worker("a", slots={"default": 1})
    for run_id in runs[6:]:
        world.complete(run_id)
    assert order_of_starts(world) == runs[6:]


def test_a_frozen_backlog_that_finds_no_worker_times_out_a_schedule_timeout_after_the_pause() -> None:
    world = World(hot_tasks_max=4)
    workflow_id = world.put(task("a", schedule_timeout="10s")).workflow_id
    runs = [world.trigger() for _ in range(30)]
    pause(world, workflow_id)
    world.advance(50)
    assert world.tenant.counts()["tasks"] == 4, "neither pausing nor waiting brings them into memory"
    world.do(UnpauseWorkflow(workflow_id))
    world.advance(9.999)
    assert world.tenant.counts()["tasks"] == 4
    assert all(world.status(run_id) is QUEUED for run_id in runs)
    world.advance(0.001)
    assert all(world.status(run_id) is CANCELLED for run_id in runs)


def test_pausing_writes_one_row_whatever_waits() -> None:
    world = World()
    workflow_id = world.put(task("a")).workflow_id
    world.do(TriggerRuns(tuple(RunRequest(workflow_name="flow", input="{}") for _ in range(100))))
    pause(world, workflow_id)
    world.do(UnpauseWorkflow(workflow_id))
    for decision in world.decisions[-2:]:
        assert [row.id for row in decision.writes.workflows] == [workflow_id]
        assert not decision.writes.tasks and not decision.writes.task_events


def test_pausing_again_and_again_does_not_gather_alarms() -> None:
    world = World()
    workflow_id = world.put(task("a")).workflow_id
    runs = [world.trigger() for _ in range(20)]
    for _ in range(1_000):
        pause(world, workflow_id)
    assert world.tenant.counts()["timers"] < 5_000
    world.advance(3_600)
    assert [world.status(run_id) for run_id in runs] == [CANCELLED] * 20


@pytest.mark.parametrize("ttl_us", [0, -1, DURATION_US_MAX + 1])
def test_a_queue_ttl_out_of_bounds_is_refused(ttl_us: int) -> None:
    world = World()
    workflow_id = world.put(task("a")).workflow_id
    with pytest.raises(InvalidArgument) as refused:
        world.do(PauseWorkflow(workflow_id, ttl_us, WhilePaused.QUEUE, WhilePaused.QUEUE))
    assert refused.value.field == "pause.pausedWorkflowQueueTTL"
    assert world.tenant._state.workflows[workflow_id].pause is None


def test_a_workflow_that_is_gone_cannot_be_paused_or_unpaused() -> None:
    world = World()
    workflow_id = world.put(task("a")).workflow_id
    world.do(DeleteWorkflow(workflow_id))
    for command in (
        PauseWorkflow(workflow_id, US_PER_S, WhilePaused.QUEUE, WhilePaused.QUEUE),
        UnpauseWorkflow(workflow_id),
    ):
        with pytest.raises(NotFound):
            world.do(command)


def test_a_new_version_of_a_paused_workflow_is_paused_too() -> None:
    world = World()
    workflow_id = world.put(task("a")).workflow_id
    world.worker("a")
    pause(world, workflow_id)
    assert world.put(task("a", retries=3)).workflow_id == workflow_id
    assert world.status(world.trigger()) is QUEUED
