"""Replay (semantics 7.4): whole runs, single tasks with what depends on them, and what is left alone."""

from __future__ import annotations

import pytest

from broadaxe.core.commands.attempts import Outcome, ReportAttempt
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.decision import EntryCompleted, WaitAck
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import RunStatus, TaskEventType, TaskStatus
from broadaxe.core.model import RETRY_PRIORITY
from broadaxe.core.waits import Condition
from tests.core.test_durable import Program
from tests.core.world import World, task

COMPLETED, SKIPPED, FAILED, CANCELLED = (
    TaskStatus.COMPLETED,
    TaskStatus.SKIPPED,
    TaskStatus.FAILED,
    TaskStatus.CANCELLED,
)
QUEUED, RUNNING, WAITING = TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.WAITING


def chain(world: World) -> str:
    """A -> B -> C with D beside it and an on-failure task; all but the last completed."""
    world.put(task("a"), task("b", "a"), task("c", "b"), task("d"), on_failure=task("oops"))
    world.worker("a", "b", "c", "d", "oops")
    run_id = world.trigger()
    for name in "abcd":
        world.complete(world.task(run_id, name), f'{{"from":"{name}"}}')
    assert world.runs[run_id].status is RunStatus.COMPLETED
    return run_id


def test_a_single_task_run_starts_anew_with_a_full_budget() -> None:
    world = World()
    world.put(task("a", retries=1))
    world.worker("a")
    run_id = world.trigger(run_input='{"n":1}')
    world.fail(run_id)
    world.fail(run_id)
    assert world.status(run_id) is FAILED
    assert world.do(ReplayTasks((run_id,))) == (run_id,)
    state = world.tasks[run_id]
    assert (state.status, state.retry_count, state.app_retry_count) == (RUNNING, 2, 0)
    assert state.queue_priority == RETRY_PRIORITY
    assert (state.error, state.finished_at_us) == (None, None)
    assert world.runs[run_id].status is RunStatus.RUNNING
    assert world.runs[run_id].finished_at_us is None
    assert world.events(run_id)[-4:] == [
        TaskEventType.RETRIED_BY_USER,
        TaskEventType.QUEUED,
        TaskEventType.ASSIGNED,
        TaskEventType.SENT_TO_WORKER,
    ]
    world.fail(run_id)
    assert world.status(run_id) is RUNNING
    world.complete(run_id)
    assert world.runs[run_id].status is RunStatus.COMPLETED
    assert len(world.finishes) == 2


def test_an_internal_budget_is_full_again_too() -> None:
    world = World()
    world.put(task("a", schedule_timeout="1h"))
    world.worker("a")
    run_id = world.trigger()
    (worker_id,) = world.beating
    world.beating.clear()
    world.advance(31)
    assert world.tasks[run_id].internal_retry_count == 1
    world.do(CancelTasks((run_id,)))
    world.do(ReplayTasks((run_id,)))
    assert world.tasks[run_id].internal_retry_count == 0
    assert worker_id in world.workers


def test_a_whole_run_starts_at_its_roots_and_keeps_its_ids() -> None:
    world = World()
    run_id = chain(world)
    before = {name: world.task(run_id, name) for name in ("a", "b", "c", "d", "oops")}
    assert set(world.do(ReplayTasks((run_id,)))) == set(before.values())  # type: ignore[arg-type]
    assert world.statuses(run_id) == {"a": RUNNING, "b": WAITING, "c": WAITING, "d": RUNNING, "oops": WAITING}
    world.complete(before["a"], '{"again":true}')
    assert world.statuses(run_id)["b"] is RUNNING
    (start,) = world.starts()
    assert dict(start.parents) == {"a": before["a"]}
    for name in "bcd":
        world.complete(before[name])
    assert world.statuses(run_id) == {"a": COMPLETED, "b": COMPLETED, "c": COMPLETED, "d": COMPLETED, "oops": SKIPPED}
    assert world.runs[run_id].status is RunStatus.COMPLETED
    assert all(world.tasks[task_id].retry_count == 1 for task_id in before.values())
    assert {world.tasks[before[name]].queue_priority for name in "abcd"} == {RETRY_PRIORITY}


def test_one_task_replays_with_its_descendants_and_the_others_keep_their_outputs() -> None:
    world = World()
    run_id = chain(world)
    a, b, c, d = (world.task(run_id, name) for name in "abcd")
    world.do(ReplayTasks((b,)))
    assert world.statuses(run_id) == {"a": COMPLETED, "b": RUNNING, "c": WAITING, "d": COMPLETED, "oops": WAITING}
    assert [world.tasks[i].retry_count for i in (a, b, c, d)] == [0, 1, 1, 0]
    (start,) = world.starts()
    assert dict(start.parents) == {"a": a, "d": d}
    world.fail(b, "now it breaks")
    assert world.statuses(run_id) == {"a": COMPLETED, "b": FAILED, "c": CANCELLED, "d": COMPLETED, "oops": RUNNING}
    world.complete(world.task(run_id, "oops"))
    assert world.runs[run_id].status is RunStatus.FAILED


def test_what_is_active_is_skipped() -> None:
    world = World()
    world.put(task("a"), task("b", "a"))
    world.worker("a", "b")
    run_id = world.trigger()
    a = world.task(run_id, "a")
    assert world.do(ReplayTasks((run_id, a))) == ()
    world.complete(a)
    assert world.do(ReplayTasks((run_id, a))) == ()
    assert world.events(a).count(TaskEventType.RETRIED_BY_USER) == 0
    world.complete(world.task(run_id, "b"))
    assert world.do(ReplayTasks((a, a, run_id))) == (a, world.task(run_id, "b"))


def test_a_run_with_tasks_that_do_not_exist_yet_is_skipped() -> None:
    world = World()
    world.put(task("a"), task("b"), task("c", "b"))
    world.worker("a", "b")
    run_id = world.trigger()
    world.complete(world.task(run_id, "a"))
    assert world.do(ReplayTasks((world.task(run_id, "a"),))) == ()


def test_an_unknown_id_is_skipped() -> None:
    assert World().do(ReplayTasks(("00000000-0000-7000-8000-000000000000",))) == ()


def test_part_of_a_run_replays_while_another_branch_still_runs() -> None:
    world = World()
    world.put(task("a"), task("b"))
    world.worker("a", "b")
    run_id = world.trigger()
    a, b = world.task(run_id, "a"), world.task(run_id, "b")
    world.complete(a)
    assert world.do(ReplayTasks((a,))) == (a,)
    assert world.statuses(run_id) == {"a": RUNNING, "b": RUNNING}
    world.complete(b)
    assert world.finishes == []
    world.complete(a)
    assert [finish.status for finish in world.finishes] == [RunStatus.COMPLETED]


def test_replaying_below_a_failure_is_cancelled_again() -> None:
    world = World()
    world.put(task("a"), task("b", "a"), task("c", "b"))
    world.worker("a", "b", "c")
    run_id = world.trigger()
    world.fail(world.task(run_id, "a"))
    b = world.task(run_id, "b")
    world.do(ReplayTasks((b,)))
    assert world.statuses(run_id) == {"a": FAILED, "b": CANCELLED, "c": CANCELLED}
    assert world.tasks[b].retry_count == 1
    assert world.runs[run_id].status is RunStatus.FAILED


def test_a_replayed_run_can_be_cancelled_with_all_that_waits() -> None:
    world = World()
    run_id = chain(world)
    world.do(ReplayTasks((run_id,)))
    world.do(CancelTasks((run_id,)))
    assert world.statuses(run_id) == {"a": CANCELLED, "b": CANCELLED, "c": CANCELLED, "d": CANCELLED, "oops": SKIPPED}
    assert world.runs[run_id].status is RunStatus.CANCELLED


def test_a_stored_output_moves_to_the_history() -> None:
    world = World()
    run_id = chain(world)
    a = world.task(run_id, "a")
    world.do(ReplayTasks((a,)))
    archived = world.decisions[-1].writes.archived_outputs
    assert a in archived
    assert world.task(run_id, "d") not in archived
    assert world.tasks[a].output is None


def test_an_output_replayed_in_its_own_batch_is_not_lost() -> None:
    world = World()
    world.put(task("a"))
    world.worker("a")
    run_id = world.trigger()
    world.round(ReportAttempt(run_id, 0, Outcome.COMPLETED, '{"kept":1}'), ReplayTasks((run_id,)))
    writes = world.decisions[-1].writes
    assert writes.archived_outputs == []
    assert [(kept.retry_count, kept.output) for kept in writes.replaced_outputs] == [(0, '{"kept":1}')]
    assert world.status(run_id) is RUNNING


def test_a_replay_runs_on_the_version_of_the_run() -> None:
    world = World()
    version = world.put(task("a")).version_id
    world.worker("a")
    run_id = world.trigger()
    world.complete(run_id)
    assert world.put(task("a", retries=2)).version_id != version
    world.do(ReplayTasks((run_id,)))
    assert [start.version_id for start in world.starts()] == [version]


def test_a_report_about_the_attempt_before_the_replay_is_stale() -> None:
    world = World()
    world.put(task("a"))
    world.worker("a")
    run_id = world.trigger()
    world.do(CancelTasks((run_id,)))
    world.do(ReplayTasks((run_id,)))
    assert not world.complete(run_id, retry_count=0)
    assert world.status(run_id) is RUNNING


@pytest.mark.parametrize("ends", ["cancelled", "failed"])
def test_a_replayed_durable_task_goes_on_with_its_log(ends: str) -> None:
    """What was done is given back, and a sleep that is not over keeps the instant it was to end at."""
    program = Program()
    world = program.world
    program.wait(Condition(group=0, data_key="sleep:1s", sleep="1s", sleep_us=US_PER_S))
    world.advance(1)
    long = Condition(group=0, data_key="sleep:600s", sleep="600s", sleep_us=600 * US_PER_S)
    program.wait(long)
    due_us = program.entry(2).due_at_us
    if ends == "cancelled":
        program.evict()
        world.do(CancelTasks((program.id,)))
    else:
        world.fail(program.id)
    world.advance(100)
    assert program.entry(2).satisfied_at_us is None, "who waits for nothing is not woken"
    world.restart()
    assert world.do(ReplayTasks((program.id,))) == (program.id,)
    assert (program.status, world.tasks[program.id].retry_count, program.invocation) == (TaskStatus.RUNNING, 1, 2)
    _, done = program.wait(Condition(group=0, data_key="sleep:1s", sleep="1s", sleep_us=US_PER_S))
    assert isinstance(done, EntryCompleted)
    (ack,) = program.wait(long)
    assert isinstance(ack, WaitAck)
    program.evict()
    world.advance(499)
    assert program.status is TaskStatus.EVICTED
    world.advance(1)
    assert (program.status, program.entry(2).satisfied_at_us) == (TaskStatus.RUNNING, due_us)
