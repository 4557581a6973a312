"""Durable tasks and an engine or a stream that was away: what was lost is told again, and nothing fails for it."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from broadaxe.core.commands import ReportWaiting, RestoreTask
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskEventType, TaskStatus
from tests.core.test_durable import Program, event, sleep


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
def test_a_result_of_a_moment_ago_may_have_passed_the_eviction_and_an_older_one_has_arrived(
    seconds: float, status: TaskStatus
) -> None:
    program = Program()
    program.wait(event("go"))
    program.push("go")
    program.world.now_us += round(seconds * US_PER_S)
    program.evict()
    assert program.status is status


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
