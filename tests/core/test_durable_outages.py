"""Durable tasks and an engine or a stream that was away: what was lost is told again, and nothing fails for it."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from broadaxe.core.commands.durable import (
    BeginWait,
    EntryRef,
    EvictInvocation,
    FindPlace,
    Place,
    ReportWaiting,
    ResumeInvocations,
    Told,
)
from broadaxe.core.commands.tasks import RestoreTask
from broadaxe.core.commands.workers import CloseDurableStream, CloseStream, OpenDurableStream
from broadaxe.core.decision import EntryCompleted, WaitAck
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskEventType, TaskStatus
from broadaxe.errors import NotFound
from tests.core.test_durable import STREAM, Program, event, sleep
from tests.core.world import World, task


def durable_world() -> tuple[World, str]:
    """A world with a worker for a durable task and another one in the same kind of slots."""
    world = World()
    world.put(task("deep", service="deep", is_durable=True, slots={"default": 1}), name="deep")
    world.put(task("shallow", service="deep"), name="shallow")
    return world, world.worker("deep:deep", "deep:shallow", slots={"default": 4})


def test_a_result_whose_message_was_lost_with_the_engine_wakes_the_task_that_is_evicted_next() -> None:
    program = Program()
    program.wait(sleep(5))
    program.world.advance(10)
    program.world.restart()
    program.world.advance(3)
    program.evict()
    assert program.status is TaskStatus.RUNNING
    assert program.invocation == 2


def test_an_invocation_that_has_listed_what_it_waits_for_since_a_load_may_be_evicted() -> None:
    program = Program()
    program.wait(event("past"))
    program.push("past")
    program.wait(event("later"))
    program.world.restart()
    program.list_waiting(2)
    program.evict()
    assert program.status is TaskStatus.EVICTED


def test_an_invocation_that_has_shown_what_it_received_since_a_load_may_be_evicted() -> None:
    program = Program()
    program.wait(event("past"))
    program.push("past")
    program.world.restart()
    program.world.do(ReportWaiting(program.stream, (), ((program.id, program.invocation, 1),)))
    program.evict()
    assert program.status is TaskStatus.EVICTED


@pytest.mark.parametrize(("seconds", "status"), [(0.9, TaskStatus.RUNNING), (1.0, TaskStatus.EVICTED)])
def test_of_a_client_that_shows_nothing_an_older_result_is_taken_to_have_arrived(
    seconds: float, status: TaskStatus
) -> None:
    program = Program()
    program.wait(event("go"))
    program.push("go")
    worker = program.world.tenant._state.tasks[program.id].worker
    assert worker is not None
    worker.runtime = {"language": "TYPESCRIPT"}
    program.world.now_us += round(seconds * US_PER_S)
    program.evict()
    assert program.status is status


@pytest.mark.parametrize(("arrived_order", "status"), [(0, TaskStatus.RUNNING), (1, TaskStatus.EVICTED)])
def test_a_result_that_was_let_out_late_may_have_passed_the_eviction_however_old_it_is(
    arrived_order: int, status: TaskStatus
) -> None:
    program = Program()
    program.wait(event("go"))
    program.push("go")
    worker = program.world.tenant._state.tasks[program.id].worker
    assert worker is not None
    worker.runtime = {"language": "TYPESCRIPT"}
    program.world.now_us += 5 * US_PER_S
    program.world.do(
        EvictInvocation(
            stream=program.stream,
            task_id=program.id,
            invocation_count=program.invocation,
            arrived_order=arrived_order,
        )
    )
    assert program.status is status


def test_a_client_that_shows_what_it_received_is_doubted_once_for_an_older_result() -> None:
    program = Program()
    program.world.started(program.id)
    program.wait(event("go"))
    program.push("go")
    program.world.now_us += 2 * US_PER_S
    program.evict()
    assert (program.status, program.invocation) == (TaskStatus.RUNNING, 2)
    program.wait(event("go"))
    program.world.now_us += 10 * US_PER_S
    program.evict()
    assert program.status is TaskStatus.EVICTED


def test_a_result_that_passes_the_eviction_again_restores_the_task_again() -> None:
    program = Program()
    program.wait(event("go"))
    program.push("go")
    for invocation in (2, 3, 4):
        program.evict()
        assert (program.status, program.invocation) == (TaskStatus.RUNNING, invocation)
        program.wait(event("go"))


def test_a_failure_after_an_absence_is_an_attempt_more_and_the_next_one_counts() -> None:
    program = Program()
    program.wait(sleep(600))
    program.world.restart()
    assert program.world.fail(program.id, "durable stream error")
    assert program.status is TaskStatus.RUNNING
    assert program.world.tasks[program.id].internal_retry_count == 1
    assert program.world.tasks[program.id].app_retry_count == 0
    reassigned = [e for e in program.world.history[program.id] if e.type is TaskEventType.REASSIGNED]
    assert "durable stream error" in reassigned[0].message
    assert not program.world.fail(program.id, "durable stream error", retry_count=0), "it is stale by now"
    program.world.fail(program.id)
    assert program.status is TaskStatus.FAILED


def test_a_failure_long_after_an_absence_is_the_program_s() -> None:
    program = Program(execution_timeout="1h")
    program.world.restart()
    program.world.advance(90)
    program.world.fail(program.id)
    assert program.status is TaskStatus.FAILED


def test_a_failure_that_shall_not_be_tried_again_is_not_after_an_absence_either() -> None:
    program = Program()
    program.world.restart()
    program.world.fail(program.id, is_retryable=False)
    assert program.status is TaskStatus.FAILED


def test_a_failure_of_an_invocation_that_began_after_the_absence_is_the_program_s() -> None:
    program = Program()
    program.wait(sleep(600))
    program.world.restart()
    program.list_waiting(1)
    program.evict()
    program.world.do(RestoreTask(program.id))
    program.world.fail(program.id)
    assert program.status is TaskStatus.FAILED


def test_a_task_that_is_not_durable_fails_as_ever_after_an_absence() -> None:
    program = Program()
    run_id = program.world.trigger("kid")
    program.world.restart()
    program.world.fail(run_id)
    assert program.status is TaskStatus.RUNNING
    assert program.world.status(run_id) is TaskStatus.FAILED


def test_engines_that_die_all_the_time_do_not_repeat_a_task_for_ever() -> None:
    program = Program()
    for _ in range(10):
        program.world.restart()
        program.world.fail(program.id)
        assert program.status is TaskStatus.RUNNING
    program.world.restart()
    program.world.fail(program.id, "the last one")
    assert program.status is TaskStatus.FAILED
    assert program.world.tasks[program.id].error == "the last one"


def test_doing_a_long_log_again_costs_the_same_for_each_operation() -> None:
    def steps_per_operation(count: int) -> float:
        program = Program()
        for _ in range(count):
            program.wait(sleep(0))
        program.evict()
        if program.status is TaskStatus.EVICTED:
            program.world.do(RestoreTask(program.id))
        steps = 0

        def count_steps(frame: FrameType, kind: str, _: Any) -> None:
            nonlocal steps
            steps += kind == "call"

        sys.setprofile(count_steps)
        try:
            for _ in range(count):
                program.wait(sleep(0))
        finally:
            sys.setprofile(None)
        return steps / count

    assert steps_per_operation(2_000) < 1.2 * steps_per_operation(200)


# Streams ---------------------------------------------------------------------------------------------------------


def test_a_worker_that_has_had_a_durable_stream_gets_durable_tasks_only_while_it_has_one() -> None:
    world, worker_id = durable_world()
    first = world.trigger("deep")
    assert world.status(first) is TaskStatus.RUNNING, "one that never had any is given them"
    world.do(OpenDurableStream(worker_id, STREAM))
    world.do(CloseDurableStream(worker_id, STREAM))
    second, shallow = world.trigger("deep"), world.trigger("shallow")
    assert world.status(second) is TaskStatus.QUEUED
    assert world.status(shallow) is TaskStatus.RUNNING, "other tasks do not need it"
    world.do(OpenDurableStream(worker_id, STREAM + 1))
    assert world.status(second) is TaskStatus.RUNNING


def test_a_worker_that_has_had_a_durable_stream_is_known_after_a_restart() -> None:
    world, worker_id = durable_world()
    world.do(OpenDurableStream(worker_id, STREAM))
    world.restart()
    run_id = world.trigger("deep")
    assert world.status(run_id) is TaskStatus.QUEUED
    world.do(OpenDurableStream(worker_id, 1))
    assert world.status(run_id) is TaskStatus.RUNNING


def test_a_durable_task_goes_to_a_worker_whose_stream_is_there() -> None:
    world, worker_id = durable_world()
    world.do(OpenDurableStream(worker_id, STREAM))
    world.do(CloseDurableStream(worker_id, STREAM))
    other = world.worker("deep:deep", slots={"durable": 2, "default": 2})
    world.do(OpenDurableStream(other, STREAM + 1))
    runs = [world.trigger("deep") for _ in range(2)]
    assert sorted(world.running(other)) == sorted(runs)


def test_a_worker_that_stays_without_its_durable_stream_is_given_durable_tasks_in_the_end() -> None:
    world, worker_id = durable_world()
    world.do(OpenDurableStream(worker_id, STREAM))
    world.do(CloseDurableStream(worker_id, STREAM))
    run_id = world.trigger("deep")
    world.advance(14)
    assert world.status(run_id) is TaskStatus.QUEUED
    world.advance(1)
    assert world.status(run_id) is TaskStatus.RUNNING
    world.restart()
    assert world.status(world.trigger("deep")) is TaskStatus.RUNNING


def test_the_time_without_a_durable_stream_counts_while_there_is_an_assignment_stream() -> None:
    world, worker_id = durable_world()
    world.do(OpenDurableStream(worker_id, STREAM))
    session = world.open(worker_id)
    world.do(CloseStream(worker_id, session))
    world.do(CloseDurableStream(worker_id, STREAM))
    world.now_us += 16 * US_PER_S
    world.open(worker_id)
    run_id = world.trigger("deep")
    assert world.status(run_id) is TaskStatus.QUEUED


def test_the_end_of_an_older_durable_stream_is_nothing_to_a_newer_one() -> None:
    world, worker_id = durable_world()
    world.do(OpenDurableStream(worker_id, STREAM + 1))
    world.do(OpenDurableStream(worker_id, STREAM))
    world.do(CloseDurableStream(worker_id, STREAM))
    assert world.status(world.trigger("deep")) is TaskStatus.RUNNING


def test_a_durable_stream_of_an_unknown_worker_is_refused() -> None:
    world, _ = durable_world()
    with pytest.raises(NotFound):
        world.do(OpenDurableStream("00000000-0000-7000-8000-000000000000", STREAM))


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_failure_after_the_end_of_its_stream_is_an_attempt_more(is_replaced: bool) -> None:
    program = Program()
    worker_id = program.world.tasks[program.id].worker_id
    assert worker_id is not None
    program.world.do(OpenDurableStream(worker_id, STREAM))
    program.wait(sleep(600))
    gone = OpenDurableStream(worker_id, STREAM + 1) if is_replaced else CloseDurableStream(worker_id, STREAM)
    program.world.do(gone)
    program.world.fail(program.id, "durable stream error")
    assert program.status is (TaskStatus.RUNNING if is_replaced else TaskStatus.QUEUED)
    assert program.world.tasks[program.id].internal_retry_count == 1


def test_a_result_that_comes_while_the_stream_is_away_is_told_on_the_next_one() -> None:
    program = Program()
    worker_id = program.world.tasks[program.id].worker_id
    assert worker_id is not None
    program.world.do(OpenDurableStream(worker_id, STREAM))
    program.wait(event("go"))
    program.world.do(CloseDurableStream(worker_id, STREAM))
    program.push("go")
    assert program.world.answers() == []
    program.stream = STREAM + 1
    program.world.do(OpenDurableStream(worker_id, program.stream))
    (told,) = program.list_waiting(1)
    assert isinstance(told, EntryCompleted)
    assert told.stream == program.stream


def test_a_result_that_comes_while_the_stream_is_away_restores_what_is_evicted_unlisted() -> None:
    program = Program()
    worker_id = program.world.tasks[program.id].worker_id
    assert worker_id is not None
    program.world.do(OpenDurableStream(worker_id, STREAM))
    program.wait(event("go"))
    program.world.do(CloseDurableStream(worker_id, STREAM))
    program.push("go")
    program.world.do(OpenDurableStream(worker_id, STREAM + 1))
    program.stream = STREAM + 1
    program.evict()
    assert (program.status, program.invocation) == (TaskStatus.RUNNING, 2)


def test_an_invocation_that_had_begun_before_a_load_is_told_all_results_in_their_order() -> None:
    program = Program()
    program.wait(event("a"))
    program.wait(event("b"))
    program.list_waiting(1, 2)
    program.push("b")
    program.evict()
    program.push("a")
    assert program.invocation == 2
    program.world.restart()
    # Its stream knows that nothing was asked and told in it yet: what came second waits for what came first.
    (ack,) = program.ask(BeginWait, conditions=(event("a"),), after=0, told=0)
    assert isinstance(ack, WaitAck)
    _, *told = program.ask(BeginWait, conditions=(event("b"),), after=1, told=0)
    assert [(answer.order, answer.ref.node_id) for answer in told] == [(1, 2), (2, 1)]


def _fresh_invocation_whose_stream_was_replaced() -> tuple[Program, Place]:
    """Its operations are a wait for `slow`, whose result came second, and one for a sleep, whose came first. Nothing of
    that was sent to it yet, which is known by the place alone."""
    program = Program()
    world = program.world
    program.wait(event("slow"))
    program.wait(sleep(1))
    world.advance(2)
    program.push("slow")
    assert [program.entry(node).order for node in (1, 2)] == [2, 1]
    program.evict()
    world.do(RestoreTask(program.id))
    assert program.invocation == 2
    worker_id = world.tasks[program.id].worker_id
    assert worker_id is not None
    world.do(OpenDurableStream(worker_id, STREAM))
    world.do(OpenDurableStream(worker_id, STREAM + 1))
    program.stream = STREAM + 1
    place = world.do(FindPlace(program.id, 2))
    assert place == Place(0, None, 0)
    return program, place


def test_what_was_never_sent_before_a_load_keeps_its_order_after_it() -> None:
    """The tenant is loaded before the first operation is decided."""
    program, place = _fresh_invocation_whose_stream_was_replaced()
    program.world.restart()
    told = {"invocation": 2, "after": 0, "told": place.sent_at_most, "number": 1}
    first = program.ask(BeginWait, conditions=(event("slow"),), **told)
    assert [type(answer) for answer in first] == [WaitAck]
    second = program.ask(BeginWait, conditions=(sleep(1),), invocation=2, number=2)
    assert [answer.ref.node_id for answer in second if isinstance(answer, EntryCompleted)] == [2, 1]


def test_what_was_never_sent_keeps_its_order_where_a_load_comes_after_the_first_operation() -> None:
    program, place = _fresh_invocation_whose_stream_was_replaced()
    asked = {"invocation": 2, "after": 0, "told": place.sent_at_most, "number": 1}
    assert [type(answer) for answer in program.ask(BeginWait, conditions=(event("slow"),), **asked)] == [WaitAck]
    program.world.restart()
    resumed = Told(program.id, 2, 1, place.order, 0, ((1, 1),), place.sent_at_most)
    program.world.do(ResumeInvocations(program.stream, (resumed,)))
    assert program.world.answers() == [], "the result of the other wait came first"
    told = program.ask(BeginWait, conditions=(sleep(1),), invocation=2, after=1, told=place.sent_at_most, number=2)
    assert [answer.ref.node_id for answer in told if isinstance(answer, EntryCompleted)] == [2, 1]


def test_what_an_invocation_has_received_is_believed_when_it_lists_what_it_waits_for_after_a_load() -> None:
    """Before its stream has told of its place: the list may have been on its way to the memory that is gone."""
    program = Program()
    for key in ("first", "slow", "quick"):
        program.wait(event(key))
    for key in ("first", "quick", "slow"):
        program.push(key)
    assert [program.entry(node).order for node in (1, 2, 3)] == [1, 3, 2]
    program.evict()
    program.world.do(RestoreTask(program.id))
    program.ask(BeginWait, conditions=(event("first"),), invocation=2, number=1)
    program.ask(BeginWait, conditions=(event("slow"),), invocation=2, number=2)
    program.world.restart()
    waiting = EntryRef(program.id, 2, 1, 2)
    program.world.do(ReportWaiting(program.stream, (waiting,), ((program.id, 2, 1),)))
    assert program.world.answers() == [], "the result of the third wait came before"
    told = program.ask(BeginWait, conditions=(event("quick"),), invocation=2, after=2, told=1, number=3)
    assert [answer.ref.node_id for answer in told if isinstance(answer, EntryCompleted)] == [3, 2]
