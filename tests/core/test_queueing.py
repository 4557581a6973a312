"""Who runs where and in which order: slots, priorities, pauses, heartbeats, and what stays in memory."""

from __future__ import annotations

import gc

import pytest

from broadaxe.core.affinity import HEARTBEAT_FRESH_US
from broadaxe.core.commands.attempts import FailDelivery, RefreshTimeout
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import (
    CloseStream,
    Heartbeat,
    PauseWorker,
    PutWorkerLabels,
    RegisterWorker,
    UnregisterWorker,
)
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskEventType, TaskStatus
from broadaxe.core.model import Run, Task
from broadaxe.errors import FailedPrecondition, InvalidArgument, NotFound
from tests.core.world import World, task

QUEUED, RUNNING, CANCELLED = TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.CANCELLED
NOBODY = "00000000-0000-7000-8000-000000000000"


def order_of_starts(world: World, since: int) -> list[str]:
    return [start.task_id for start in world.starts(last=len(world.decisions) - since)]


# Slots ---------------------------------------------------------------------------------------------------------------


def test_no_more_run_than_there_are_slots() -> None:
    world = World()
    world.put(task("a"))
    worker_id = world.worker("a", slots={"default": 2})
    runs = [world.trigger() for _ in range(5)]
    for finished in range(5):
        assert world.running(worker_id) == runs[finished : finished + 2]
        world.complete(runs[finished])


def test_all_requested_types_must_be_free_on_one_worker() -> None:
    world = World()
    world.put(
        task("both", slots={"cpu": 1, "gpu": 1}),
        name="both",
    )
    world.put(task("cpu", slots={"cpu": 1}), name="cpu")
    with_gpu = world.worker("both", "cpu", slots={"cpu": 1, "gpu": 1})
    without = world.worker("both", "cpu", slots={"cpu": 5})
    only_gpu = world.worker("both", slots={"gpu": 5})
    first, second = world.trigger("both"), world.trigger("both")
    assert world.tasks[first].worker_id == with_gpu
    assert world.status(second) is QUEUED
    assert world.tasks[world.trigger("cpu")].worker_id == without
    assert world.running(only_gpu) == []
    world.complete(first)
    assert world.tasks[second].worker_id == with_gpu


def test_a_costly_task_takes_its_units_and_gives_them_back() -> None:
    world = World()
    world.put(task("big", slots={"default": 2}), name="big")
    world.put(task("small"), name="small")
    worker_id = world.worker("big", "small", slots={"default": 3})
    big, small, waits = world.trigger("big"), world.trigger("small"), world.trigger("small")
    assert world.running(worker_id) == [big, small]
    world.complete(big)
    assert world.running(worker_id) == [small, waits]


def test_a_cost_above_every_worker_is_never_scheduled() -> None:
    world = World()
    world.put(task("a", slots={"default": 3}, schedule_timeout="5s"))
    world.worker("a", slots={"default": 2})
    run_id = world.trigger()
    assert world.events(run_id) == [TaskEventType.QUEUED, TaskEventType.REQUEUED_NO_WORKER]
    world.advance(5)
    assert world.status(run_id) is CANCELLED


def test_workers_take_turns() -> None:
    world = World()
    world.put(task("a"))
    workers = [world.worker("a") for _ in range(3)]
    runs = [world.trigger() for _ in range(6)]
    assert [world.tasks[run_id].worker_id for run_id in runs] == workers * 2


# Order ---------------------------------------------------------------------------------------------------------------


def test_priority_then_arrival_and_retries_first() -> None:
    world = World()
    world.put(task("a", retries=1))
    world.worker("a", slots={"default": 1})
    running = world.trigger(priority=1)
    low, high, middle, high_later = (world.trigger(priority=priority) for priority in (1, 3, 2, 3))
    since = len(world.decisions)
    world.fail(running)
    for run_id in (running, high, high_later, middle, low):
        assert world.status(run_id) is RUNNING
        world.complete(run_id)
    assert order_of_starts(world, since) == [running, high, high_later, middle, low]


def test_the_priority_comes_from_the_trigger_else_from_the_workflow() -> None:
    world = World()
    world.put(task("a"), default_priority=2)
    assert world.tasks[world.trigger()].queue_priority == 2
    assert world.tasks[world.trigger(priority=3)].queue_priority == 3


def test_tasks_of_one_batch_keep_their_order() -> None:
    world = World()
    world.put(task("a"))
    requests = tuple(RunRequest(workflow_name="flow", input="{}") for _ in range(10))
    run_ids = world.do(TriggerRuns(requests))
    worker_id = world.worker("a")
    assert world.running(worker_id) == list(run_ids)  # type: ignore[arg-type]


def test_a_blocked_queue_does_not_block_another() -> None:
    world = World()
    world.put(task("a"), name="one")
    world.put(task("b"), name="two")
    world.worker("b")
    world.trigger("one")
    assert world.status(world.trigger("two")) is RUNNING


def test_a_task_cancelled_and_replayed_goes_to_the_end_of_its_level() -> None:
    world = World()
    world.put(task("a", retries=1))
    worker_id = world.worker("a", slots={"default": 2})
    first, second = world.trigger(), world.trigger()
    world.do(PauseWorker(worker_id, True))
    world.fail(first)
    world.fail(second)
    world.do(CancelTasks((first,)))
    world.do(ReplayTasks((first,)))
    since = len(world.decisions)
    world.do(PauseWorker(worker_id, False))
    world.complete(second)
    assert order_of_starts(world, since)[:2] == [second, first]


# Who may be given tasks ----------------------------------------------------------------------------------------------


def test_a_paused_worker_gets_nothing_and_goes_on_when_unpaused() -> None:
    world = World()
    world.put(task("a"))
    worker_id = world.worker("a")
    running = world.trigger()
    world.do(PauseWorker(worker_id, True))
    waiting = world.trigger()
    assert world.status(waiting) is QUEUED
    world.advance(20)
    assert world.complete(running)
    assert world.status(waiting) is QUEUED
    world.do(PauseWorker(worker_id, False))
    assert world.status(waiting) is RUNNING


def test_a_worker_needs_a_stream_and_fresh_heartbeats() -> None:
    world = World()
    world.put(task("a"))
    run_id = world.trigger()
    worker_id = world.do(RegisterWorker("w", ("flow:a",), {"default": 1}))
    assert isinstance(worker_id, str)
    world.do(Heartbeat(worker_id))
    assert world.status(run_id) is QUEUED
    world.open(worker_id)
    assert world.status(run_id) is RUNNING
    world.complete(run_id)
    world.advance(HEARTBEAT_FRESH_US / US_PER_S)
    assert world.status(world.trigger()) is RUNNING
    world.advance(0.000001)
    stale = world.trigger()
    assert world.status(stale) is QUEUED


def test_a_heartbeat_makes_a_stale_worker_take_what_waits() -> None:
    world = World()
    world.put(task("a"))
    worker_id = world.worker("a")
    world.beating.clear()
    world.advance(11)
    run_id = world.trigger()
    assert world.status(run_id) is QUEUED
    world.do(Heartbeat(worker_id))
    assert world.status(run_id) is RUNNING


def test_a_heartbeat_without_a_stream() -> None:
    world = World()
    worker_id = world.worker("a")
    session = world.sessions
    world.do(CloseStream(worker_id, session))
    with pytest.raises(FailedPrecondition):
        world.do(Heartbeat(worker_id))
    world.open(worker_id)
    world.do(Heartbeat(worker_id))
    world.do(CloseStream(worker_id, session))
    world.do(Heartbeat(worker_id))
    world.do(UnregisterWorker(worker_id))
    with pytest.raises(FailedPrecondition):
        world.do(Heartbeat(worker_id))
    with pytest.raises(NotFound):
        world.do(Heartbeat(NOBODY))


def test_an_older_stream_announced_late_does_not_replace_the_newer() -> None:
    world = World()
    world.put(task("a"))
    worker_id = world.worker("a")
    newest = world.open(worker_id)
    world.sessions = newest - 2
    world.open(worker_id)
    world.trigger()
    assert [start.session for start in world.starts()] == [newest]


def test_no_worker_is_recorded_once_per_wait() -> None:
    world = World()
    world.put(task("a", retries=1, schedule_timeout="1h"))
    run_id = world.trigger()
    world.trigger()
    for _ in range(5):
        world.worker("b")
        world.advance(10)
    assert world.events(run_id) == [TaskEventType.QUEUED, TaskEventType.REQUEUED_NO_WORKER]
    worker_id = world.worker("a")
    world.do(PauseWorker(worker_id, True))
    world.fail(run_id)
    assert world.events(run_id).count(TaskEventType.REQUEUED_NO_WORKER) == 2


@pytest.mark.parametrize(
    ("field", "command"),
    [
        ("worker_name", RegisterWorker("bad name", (), {})),
        ("actions[1]", RegisterWorker("w", ("a:b", "c"), {})),
        ("actions", RegisterWorker("w", tuple(f"a:b{n}" for n in range(10_001)), {})),
        ("slot_config", RegisterWorker("w", ("a:b",), {"default": -1})),
        ("slot_config", RegisterWorker("w", ("a:b",), {"default": 1_000_001})),
        ("labels", RegisterWorker("w", ("a:b",), {}, {f"l{n}": n for n in range(1_001)})),
    ],
)
def test_a_bad_registration_names_its_field_and_makes_nothing(field: str, command: RegisterWorker) -> None:
    world = World()
    with pytest.raises(InvalidArgument) as refused:
        world.do(command)
    assert refused.value.field == field
    assert world.tenant.counts()["workers"] == 0


def test_labels_are_added_and_replaced() -> None:
    world = World()
    worker_id = world.worker("a")
    world.do(PutWorkerLabels(worker_id, {"model": "small", "gpus": 1}))
    world.do(PutWorkerLabels(worker_id, {"gpus": 2}))
    assert world.workers[worker_id].labels == {"model": "small", "gpus": 2}


# Memory --------------------------------------------------------------------------------------------------------------


def tasks_in_memory() -> int:
    gc.collect()
    return sum(type(thing) in (Task, Run) for thing in gc.get_objects())


def test_finished_runs_leave_memory() -> None:
    before = tasks_in_memory()
    world = World()
    world.put(task("a"), task("b", "a"), on_failure=task("oops"))
    world.worker("a", "b", "oops")
    for _ in range(1_500):
        run_id = world.trigger()
        world.complete(world.task(run_id, "a"))
        world.complete(world.task(run_id, "b"))
    assert world.tenant.counts()["tasks"] == 0
    # Stale alarms keep some of the last thousand.
    assert tasks_in_memory() - before < 3_000
    assert world.tenant.counts()["timers"] < 3_000


def test_tasks_cancelled_in_a_queue_nobody_looks_at_leave_memory() -> None:
    before = tasks_in_memory()
    world = World()
    world.put(task("a", schedule_timeout="200h"))
    run_ids = [world.trigger() for _ in range(4_000)]
    survivor = world.trigger()
    world.do(CancelTasks(tuple(run_ids)))
    assert world.tenant.counts()["tasks"] == 1
    assert tasks_in_memory() - before < 3 * 1_100
    world.worker("a")
    assert world.status(survivor) is RUNNING


def test_a_deadline_moved_very_often_does_not_fill_the_heap() -> None:
    world = World()
    world.put(task("a", execution_timeout="1h"))
    world.worker("a")
    run_id = world.trigger()
    for _ in range(10_000):
        world.do(RefreshTimeout(run_id, 1_000))
    assert world.tenant.counts()["timers"] < 3_000


def test_a_rebuilt_heap_keeps_every_valid_alarm_in_order() -> None:
    world = World()
    world.put(task("a", execution_timeout="1h"))
    world.worker("a", slots={"default": 3_000})
    run_ids = [world.trigger() for _ in range(3_000)]
    for position, run_id in enumerate(run_ids):
        world.do(RefreshTimeout(run_id, (3_000 - position) * 1_000))
    # A whole hour passes at once; whoever has the earliest deadline ends first.
    world.advance(3_601)
    ended = [
        entry.task_id
        for decision in world.decisions
        for entry in decision.writes.task_events
        if entry.type is TaskEventType.TIMED_OUT
    ]
    assert ended == run_ids[:-1001:-1]


def test_workers_that_are_gone_are_forgotten_and_come_back_from_their_row() -> None:
    world = World()
    world.put(task("a"))
    gone = [world.worker("a") for _ in range(50)]
    stays = world.worker("a")
    for number, worker_id in enumerate(gone, 1):
        del world.beating[worker_id]
        world.do(CloseStream(worker_id, number))
    never_opened = world.do(RegisterWorker("w", ("flow:a",), {"default": 1}))
    world.advance(31)
    assert world.tenant.counts()["workers"] == 1
    assert never_opened not in world.beating
    world.do(PauseWorker(stays, True))
    world.open(gone[0])
    assert world.tasks[world.trigger()].worker_id == gone[0]


def test_a_worker_with_a_stream_is_kept_however_silent() -> None:
    world = World()
    world.put(task("a"))
    worker_id = world.worker("a")
    world.beating.clear()
    world.advance(100)
    assert world.tenant.counts()["workers"] == 1
    world.do(Heartbeat(worker_id))
    assert world.status(world.trigger()) is RUNNING
    world.do(CloseStream(worker_id, world.sessions))
    world.advance(31)
    assert world.tenant.counts()["workers"] == 0


def test_an_undeliverable_attempt_does_not_hold_its_slot() -> None:
    world = World()
    world.put(task("a"))
    world.worker("a", slots={"default": 1})
    first, second = world.trigger(), world.trigger()
    world.do(FailDelivery(first, 0, "no stream"))
    assert world.status(second) is RUNNING
