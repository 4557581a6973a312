"""One task's way through its attempts: retries, timeouts, lost workers, deliveries, cancellation, the fence."""

from __future__ import annotations

import pytest

from broadaxe.core import attempts
from broadaxe.core.attempts import CONFIRM_US, INTERNAL_RETRIES_MAX
from broadaxe.core.commands.asked import Asked, Initiator, InitiatorKind
from broadaxe.core.commands.attempts import (
    FailDelivery,
    Outcome,
    RefreshTimeout,
    RefuseDelivery,
    ReleaseSlot,
    ReportAttempt,
)
from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.commands.workers import CloseStream, Heartbeat, UnregisterWorker
from broadaxe.core.decision import Progress, TaskProgressed
from broadaxe.core.definition import TaskSpec
from broadaxe.core.durations import DURATION_US_MAX, US_PER_S
from broadaxe.core.lifecycle import RunStatus, TaskEventType, TaskStatus
from broadaxe.core.model import RETRY_PRIORITY
from broadaxe.errors import NotFound
from tests.core.world import START_US, World, task

QUEUED, BACKOFF, RUNNING = TaskStatus.QUEUED, TaskStatus.BACKOFF, TaskStatus.RUNNING
COMPLETED, FAILED, CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED


def one(world: World, spec: TaskSpec | None = None) -> str:
    """A running single-task run, with the worker that has it."""
    world.put(spec or task("a"))
    world.worker("a")
    return world.trigger()


# Failures and retries ------------------------------------------------------------------------------------------------


def test_retries_are_counted_and_recorded() -> None:
    world = World()
    run_id = one(world, task("a", retries=3))
    for attempt in range(4):
        assert world.tasks[run_id].retry_count == attempt
        world.fail(run_id, f"failure {attempt}")
    assert world.status(run_id) is FAILED
    assert world.tasks[run_id].error == "failure 3"
    assert world.tasks[run_id].app_retry_count == 3
    events = world.events(run_id)
    assert events.count(TaskEventType.FAILED) == 4
    assert events.count(TaskEventType.RETRYING) == 3
    assert events[:6] == [
        TaskEventType.QUEUED,
        TaskEventType.ASSIGNED,
        TaskEventType.SENT_TO_WORKER,
        TaskEventType.FAILED,
        TaskEventType.RETRYING,
        TaskEventType.QUEUED,
    ]
    assert [entry.error for entry in world.history[run_id] if entry.type is TaskEventType.FAILED] == [
        f"failure {attempt}" for attempt in range(4)
    ]


def test_a_retry_goes_ahead_of_every_user_priority() -> None:
    world = World()
    run_id = one(world, task("a", retries=1))
    world.fail(run_id)
    assert world.tasks[run_id].queue_priority == RETRY_PRIORITY


def test_backoff_waits_exactly_its_time_and_holds_nothing() -> None:
    world = World()
    run_id = one(world, task("a", retries=5, backoff_factor=2.0, backoff_max_s=10))
    for gap_s in (2, 4, 8, 10, 10):
        world.fail(run_id)
        assert world.status(run_id) is BACKOFF
        assert world.tasks[run_id].worker_id is None
        assert world.tasks[run_id].due_at_us == world.now_us + gap_s * US_PER_S
        world.advance(gap_s - 0.001)
        assert world.status(run_id) is BACKOFF
        world.advance(0.001)
        assert world.status(run_id) is RUNNING
    world.fail(run_id)
    assert world.status(run_id) is FAILED


def test_a_non_retryable_failure_is_final() -> None:
    world = World()
    run_id = one(world, task("a", retries=5))
    world.fail(run_id, is_retryable=False)
    assert world.status(run_id) is FAILED
    assert world.tasks[run_id].retry_count == 0
    assert TaskEventType.RETRYING not in world.events(run_id)


def test_a_worker_may_say_when_to_retry() -> None:
    world = World()
    run_id = one(world, task("a", retries=2, backoff_factor=10.0))
    world.fail(run_id, retry_after_us=3 * US_PER_S)
    assert world.tasks[run_id].due_at_us == world.now_us + 3 * US_PER_S
    world.advance(3)
    world.fail(run_id, retry_after_us=0)
    assert world.status(run_id) is RUNNING


def test_a_retry_delay_has_a_bound() -> None:
    world = World()
    run_id = one(world, task("a", retries=1))
    world.fail(run_id, retry_after_us=2**63 * 1000)
    assert world.tasks[run_id].due_at_us == world.now_us + DURATION_US_MAX


def test_every_failed_attempt_is_told_with_its_number() -> None:
    world = World()
    run_id = one(world, task("a", retries=1))
    world.fail(run_id, "first")
    told = [effect for effect in world.decisions[-1].effects if isinstance(effect, TaskProgressed)]
    assert [(t.progress, t.retry_count, t.retries, t.payload) for t in told] == [(Progress.FAILED, 0, 1, "first")]


# The fence -----------------------------------------------------------------------------------------------------------


def test_stale_reports_change_nothing() -> None:
    world = World()
    run_id = one(world, task("a", retries=1))
    world.fail(run_id)
    before = world.tasks[run_id], len(world.history[run_id])
    for outcome in Outcome:
        assert not world.report(run_id, outcome, "{}", retry_count=0)
        assert not world.report(run_id, outcome, "{}", retry_count=2)
    assert (world.tasks[run_id], len(world.history[run_id])) == before
    assert world.complete(run_id, retry_count=1)


def test_the_first_of_two_outcomes_wins() -> None:
    world = World()
    run_id = one(world)
    first, second = world.round(
        ReportAttempt(run_id, 0, Outcome.COMPLETED, '{"x":1}'), ReportAttempt(run_id, 0, Outcome.FAILED, "late")
    )
    assert (first.is_current, second.is_current) == (True, False)  # type: ignore[union-attr]
    assert world.status(run_id) is COMPLETED
    assert not world.complete(run_id)


def test_a_report_for_an_unknown_task_is_stale_not_an_error() -> None:
    assert not World().report("00000000-0000-7000-8000-000000000000", Outcome.COMPLETED, "{}", retry_count=0)


def test_a_report_without_a_number_is_about_the_present_attempt() -> None:
    world = World()
    run_id = one(world, task("a", retries=1))
    world.fail(run_id)
    world.do(ReportAttempt(run_id, None, Outcome.COMPLETED, '{"attempt":1}'))
    assert world.outputs == {(run_id, 1): '{"attempt":1}'}


def test_a_report_while_the_task_waits_for_its_next_attempt_is_stale() -> None:
    world = World()
    run_id = one(world, task("a", retries=1, backoff_factor=2.0))
    world.fail(run_id)
    assert not world.complete(run_id, retry_count=1)
    assert not world.complete(run_id, retry_count=0)
    assert world.status(run_id) is BACKOFF


def test_a_start_is_recorded_once() -> None:
    world = World()
    run_id = one(world)
    assert world.started(run_id)
    assert world.started(run_id)
    assert world.events(run_id).count(TaskEventType.STARTED) == 1


# Timeouts ------------------------------------------------------------------------------------------------------------


def test_execution_timeout_counts_from_assignment_and_is_a_retryable_failure() -> None:
    world = World()
    run_id = one(world, task("a", retries=1, execution_timeout="1s"))
    world.started(run_id)
    world.advance(0.999)
    assert world.tasks[run_id].retry_count == 0
    world.advance(0.001)
    assert world.tasks[run_id].retry_count == 1
    assert [cancel.retry_count for cancel in world.cancels(last=2)] == [0]
    world.advance(1)
    assert world.status(run_id) is FAILED
    assert world.events(run_id).count(TaskEventType.TIMED_OUT) == 2
    assert TaskEventType.FAILED not in world.events(run_id)
    assert "1s" in (world.tasks[run_id].error or "")


def test_refresh_adds_to_the_deadline_not_to_now() -> None:
    world = World()
    run_id = one(world, task("a", execution_timeout="1s"))
    assigned_at_us = world.now_us
    world.advance(0.5)
    assert world.do(RefreshTimeout(run_id, 2 * US_PER_S)) == assigned_at_us + 3 * US_PER_S
    assert world.do(RefreshTimeout(run_id, US_PER_S)) == assigned_at_us + 4 * US_PER_S
    assert world.do(RefreshTimeout(run_id, 0)) == assigned_at_us + 4 * US_PER_S
    world.advance(3.499)
    assert world.status(run_id) is RUNNING
    world.advance(0.001)
    assert world.status(run_id) is FAILED
    assert world.events(run_id).count(TaskEventType.TIMEOUT_REFRESHED) == 3


def test_refresh_of_what_does_not_run_is_not_found() -> None:
    world = World()
    world.put(task("a"))
    run_id = world.trigger()
    with pytest.raises(NotFound) as refused:
        world.do(RefreshTimeout(run_id, 1))
    assert refused.value.field == "task_run_external_id"


def test_a_deadline_has_a_bound_however_often_it_is_refreshed() -> None:
    world = World()
    run_id = one(world)
    for _ in range(3):
        assert world.do(RefreshTimeout(run_id, DURATION_US_MAX)) <= world.now_us + DURATION_US_MAX  # type: ignore[operator]


def test_schedule_timeout_is_a_cancellation_without_a_retry() -> None:
    world = World()
    world.put(task("a", schedule_timeout="1s", retries=3))
    run_id = world.trigger()
    world.advance(1)
    assert world.status(run_id) is CANCELLED
    assert world.runs[run_id].status is RunStatus.CANCELLED
    assert world.tasks[run_id].retry_count == 0
    assert world.events(run_id)[-1] is TaskEventType.SCHEDULING_TIMED_OUT
    assert world.events(run_id).count(TaskEventType.CANCELLED) == 0


def test_the_schedule_timeout_starts_anew_with_every_attempt() -> None:
    world = World()
    run_id = one(world, task("a", schedule_timeout="10s", retries=1, slots={"default": 100}))
    world.advance(8)
    other = world.trigger(priority=3)
    world.fail(run_id)
    assert world.status(run_id) is RUNNING
    assert world.tasks[other].due_at_us == world.now_us + 10 * US_PER_S
    world.advance(10)
    assert world.status(other) is CANCELLED


def test_a_schedule_timeout_of_nothing_still_takes_a_free_slot() -> None:
    world = World()
    run_id = one(world, task("a", schedule_timeout="0s"))
    assert world.status(run_id) is RUNNING
    late = World()
    late.put(task("a", schedule_timeout="0s"))
    assert late.status(late.trigger()) is CANCELLED


# Lost workers --------------------------------------------------------------------------------------------------------


def test_thirty_seconds_of_silence_reassign_without_using_up_retries() -> None:
    world = World()
    world.put(task("a"))
    lost = world.worker("a")
    run_id = world.trigger()
    world.started(run_id)
    del world.beating[lost]
    other = world.worker("a")
    world.advance(29.999)
    assert world.tasks[run_id].worker_id == lost
    world.advance(0.001)
    assert world.tasks[run_id].worker_id == other
    assert (world.tasks[run_id].retry_count, world.tasks[run_id].app_retry_count) == (1, 0)
    assert TaskEventType.REASSIGNED in world.events(run_id)
    assert not world.complete(run_id, retry_count=0)
    assert world.complete(run_id, retry_count=1)


def test_a_heartbeat_postpones_the_loss() -> None:
    world = World()
    run_id = one(world, task("a", execution_timeout="1h"))
    world.started(run_id)
    (worker_id,) = world.beating
    world.beating.clear()
    world.advance(29)
    world.do(Heartbeat(worker_id))
    world.advance(29.9)
    assert world.status(run_id) is RUNNING
    assert world.tasks[run_id].retry_count == 0
    world.advance(0.1)
    assert world.status(run_id) is QUEUED


def test_the_eleventh_loss_fails_the_task_whatever_its_retries() -> None:
    world = World()
    world.put(task("a", retries=5, schedule_timeout="1h"))
    run_id = world.trigger()
    for loss in range(INTERNAL_RETRIES_MAX + 1):
        assert world.tasks[run_id].retry_count == loss
        lost = world.worker("a")
        world.started(run_id)
        del world.beating[lost]
        world.advance(30)
    assert world.status(run_id) is FAILED
    assert world.events(run_id).count(TaskEventType.REASSIGNED) == INTERNAL_RETRIES_MAX
    assert world.events(run_id)[-1] is TaskEventType.FAILED
    assert world.tasks[run_id].app_retry_count == 0


def test_a_released_slot_is_free_at_once_and_its_task_survives_the_worker() -> None:
    world = World()
    world.put(task("a", execution_timeout="1h"))
    worker_id = world.worker("a", slots={"default": 1})
    first, second = world.trigger(), world.trigger()
    assert (world.status(first), world.status(second)) == (RUNNING, QUEUED)
    world.do(ReleaseSlot(first))
    world.do(ReleaseSlot(first))
    assert (world.status(first), world.status(second)) == (RUNNING, RUNNING)
    assert world.events(first).count(TaskEventType.SLOT_RELEASED) == 1
    world.beating.clear()
    world.advance(31)
    assert (world.status(first), world.status(second)) == (RUNNING, QUEUED)
    assert world.tasks[first].worker_id == worker_id
    assert world.complete(first)


def test_finishing_a_task_with_a_released_slot_frees_nothing_twice() -> None:
    world = World()
    world.put(task("a"))
    world.worker("a", slots={"default": 1})
    first, second, third = (world.trigger() for _ in range(3))
    world.do(ReleaseSlot(first))
    assert world.status(second) is RUNNING
    world.complete(first)
    assert world.status(third) is QUEUED


def test_a_task_with_a_released_slot_is_still_stopped_on_its_worker_even_if_that_came_back() -> None:
    world = World()
    world.put(task("a", execution_timeout="1h"))
    worker_id = world.worker("a")
    run_id = world.trigger()
    world.do(ReleaseSlot(run_id))
    world.beating.clear()
    world.do(CloseStream(worker_id, world.sessions))
    world.advance(31)
    assert world.tenant.counts()["workers"] == 0
    session = world.open(worker_id)
    world.do(CancelTasks((run_id,)))
    assert [(cancel.worker_id, cancel.session) for cancel in world.cancels()] == [(worker_id, session)]


# Deliveries ----------------------------------------------------------------------------------------------------------


def test_an_undelivered_attempt_is_sent_again_after_a_growing_pause() -> None:
    world = World()
    run_id = one(world)
    pauses_s = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5, 5]
    for retry_count, pause_s in enumerate(pauses_s):
        world.do(FailDelivery(run_id, retry_count, "no stream"))
        assert world.status(run_id) is BACKOFF
        world.advance(pause_s - 0.001)
        assert world.status(run_id) is BACKOFF
        world.advance(0.001)
        assert world.status(run_id) is RUNNING
    world.do(FailDelivery(run_id, 10, "no stream"))
    assert world.status(run_id) is FAILED
    assert world.events(run_id).count(TaskEventType.COULD_NOT_SEND_TO_WORKER) == 11
    assert world.tasks[run_id].app_retry_count == 0


def test_a_failed_delivery_of_an_older_attempt_is_ignored() -> None:
    world = World()
    run_id = one(world, task("a", retries=1))
    world.fail(run_id)
    world.do(FailDelivery(run_id, 0, "no stream"))
    assert world.status(run_id) is RUNNING
    assert world.tasks[run_id].internal_retry_count == 0


def test_an_attempt_unconfirmed_when_its_stream_closes_is_sent_again_after_a_moment() -> None:
    world = World()
    run_id = one(world)
    (worker_id,) = world.beating
    world.beating.clear()
    world.do(CloseStream(worker_id, world.sessions))
    world.open(worker_id)
    world.advance(CONFIRM_US / US_PER_S - 0.001)
    assert world.tasks[run_id].retry_count == 0
    world.advance(0.001)
    assert world.status(run_id) is RUNNING
    assert world.tasks[run_id].retry_count == 1
    assert world.tasks[run_id].internal_retry_count == 1


def test_an_attempt_that_started_outlives_its_stream() -> None:
    world = World()
    run_id = one(world)
    (worker_id,) = world.beating
    world.beating.clear()
    world.started(run_id)
    world.do(CloseStream(worker_id, world.sessions))
    world.advance(10)
    world.open(worker_id)
    world.advance(10)
    assert world.tasks[run_id].retry_count == 0
    assert world.complete(run_id)


@pytest.mark.parametrize("sign", ["start", "end", "release"])
def test_a_sign_of_life_in_time_confirms_the_attempt(sign: str) -> None:
    world = World()
    run_id = one(world)
    (worker_id,) = world.beating
    world.open(worker_id)
    world.advance(4)
    match sign:
        case "start":
            world.started(run_id)
        case "end":
            world.complete(run_id)
        case _:
            world.do(ReleaseSlot(run_id))
    world.advance(2)
    assert world.tasks[run_id].retry_count == 0


def test_a_replaced_stream_makes_only_unconfirmed_attempts_doubtful() -> None:
    world = World()
    world.put(task("a"))
    worker_id = world.worker("a")
    confirmed, doubtful = world.trigger(), world.trigger()
    world.started(confirmed)
    world.open(worker_id)
    fresh = world.trigger()
    world.advance(6)
    assert [world.tasks[i].retry_count for i in (confirmed, doubtful, fresh)] == [0, 1, 0]


def test_announcing_the_present_stream_again_doubts_nothing() -> None:
    world = World()
    run_id = one(world)
    (worker_id,) = world.beating
    world.sessions -= 1
    world.open(worker_id)
    world.advance(6)
    assert world.tasks[run_id].retry_count == 0


# Cancellation --------------------------------------------------------------------------------------------------------


def queued(world: World) -> str:
    world.put(task("a"))
    return world.trigger()


def backing_off(world: World) -> str:
    run_id = one(world, task("a", retries=1, backoff_factor=2.0))
    world.fail(run_id)
    return run_id


def running(world: World) -> str:
    return one(world)


def released(world: World) -> str:
    run_id = one(world)
    world.do(ReleaseSlot(run_id))
    return run_id


def reassigned(world: World) -> str:
    run_id = one(world)
    world.beating.clear()
    world.advance(31)
    assert world.status(run_id) is QUEUED
    return run_id


@pytest.mark.parametrize(
    ("by", "error"), [("", "cancelled by a user"), ("ann@example.com", "cancelled by ann@example.com")]
)
def test_a_cancelled_task_says_by_whom(by: str, error: str) -> None:
    world = World()
    world.put(task("a"))
    run_id = world.trigger()
    command = CancelTasks((run_id,))
    world.do(Asked(command, Initiator(InitiatorKind.ACCOUNT, "", by)) if by else command)
    assert world.tasks[run_id].error == error


@pytest.mark.parametrize(
    "place", [queued, backing_off, running, released, reassigned], ids=lambda place: place.__name__
)
def test_a_task_is_cancelled_wherever_it_is_and_never_starts_again(place: object) -> None:
    world = World()
    run_id = place(world)  # type: ignore[operator]
    was_running = world.status(run_id) is RUNNING
    assert world.do(CancelTasks((run_id, run_id))) == (run_id,)
    assert world.status(run_id) is CANCELLED
    assert world.runs[run_id].status is RunStatus.CANCELLED
    assert [cancel.task_id for cancel in world.cancels()] == ([run_id] if was_running else [])
    assert not world.complete(run_id)
    told = len(world.decisions)
    world.worker("a")
    world.advance(400)
    assert world.starts(last=len(world.decisions) - told) == []
    assert world.status(run_id) is CANCELLED
    assert world.do(CancelTasks((run_id,))) == ()


def test_a_cancelled_task_frees_its_slot_at_once() -> None:
    world = World()
    world.put(task("a"))
    world.worker("a", slots={"default": 1})
    first, second = world.trigger(), world.trigger()
    world.do(CancelTasks((first,)))
    assert world.status(second) is RUNNING


def test_a_task_may_cancel_itself() -> None:
    world = World()
    run_id = one(world, task("a", retries=3))
    assert world.report(run_id, Outcome.CANCELLED)
    assert world.status(run_id) is CANCELLED


def test_unknown_ids_are_skipped() -> None:
    world = World()
    run_id = one(world)
    assert world.do(CancelTasks(("00000000-0000-7000-8000-000000000000", run_id))) == (run_id,)


def test_goodbye_leaves_running_attempts_to_report() -> None:
    world = World()
    run_id = one(world)
    (worker_id,) = world.beating
    world.beating.clear()
    world.do(UnregisterWorker(worker_id))
    assert world.status(world.trigger()) is QUEUED
    assert world.complete(run_id)


# Too large ------------------------------------------------------------------------------------------------------------


def test_an_assignment_larger_than_its_worker_takes_fails_at_once_whatever_its_retries() -> None:
    world = World()
    task_id = one(world, task("a", retries=3))
    world.do(RefuseDelivery(task_id, 0, 9_000_000, 4_194_304))
    state = world.tasks[task_id]
    assert (state.status, state.retry_count) == (FAILED, 0)
    assert "9000000 bytes" in (state.error or "") and "4194304" in (state.error or "")
    assert world.runs[task_id].status is RunStatus.FAILED
    (worker,) = world.tenant._state.workers.values()
    assert worker.free == worker.slots


def test_a_refusal_of_an_older_attempt_is_stale() -> None:
    world = World()
    task_id = one(world, task("a", retries=3))
    world.fail(task_id)
    world.do(RefuseDelivery(task_id, 0, 9_000_000, 4_194_304))
    assert world.status(task_id) is RUNNING


# Whose clock ---------------------------------------------------------------------------------------------------------

MS = 1_000


def reported(started_us: int, ended_us: int, *, is_loaded: bool = False, outcome: Outcome = Outcome.COMPLETED) -> World:
    """A world in which a worker says by its clock when it started and ended a task, which was assigned at 0 and whose
    reports both come 60 ms later, in one batch unless the engine is loaded between them."""
    world = World()
    world.put(task("a"))
    world.worker("a")
    task_id = world.trigger()
    zero_us = world.now_us
    world.now_us += 60 * MS
    started = ReportAttempt(task_id, 0, Outcome.STARTED, at_us=zero_us + started_us)
    ended = ReportAttempt(task_id, 0, outcome, "{}", at_us=zero_us + ended_us)
    if is_loaded:
        world.do(started)
        world.restart()
        world.do(ended)
    else:
        world.round(started, ended)
    return world


def times(world: World) -> tuple[int, int]:
    """When its only task started and ended, in ms after it was assigned."""
    (state,) = world.tasks.values()
    assert state.assigned_at_us is not None and state.started_at_us is not None and state.finished_at_us is not None
    return (state.started_at_us - state.assigned_at_us) // MS, (state.finished_at_us - state.assigned_at_us) // MS


@pytest.mark.parametrize("outcome", [Outcome.COMPLETED, Outcome.FAILED, Outcome.CANCELLED])
def test_the_times_of_an_attempt_are_those_of_its_worker(outcome: Outcome) -> None:
    world = reported(4 * MS, 54 * MS, outcome=outcome)
    assert times(world) == (4, 54)
    (history,) = world.history.values()
    by_type = {entry.type: entry.at_us - START_US for entry in history}
    ended = {Outcome.COMPLETED: "FINISHED", Outcome.FAILED: "FAILED", Outcome.CANCELLED: "CANCELLED"}[outcome]
    assert by_type[TaskEventType.STARTED] == 4 * MS
    assert by_type[TaskEventType(ended)] == 54 * MS


@pytest.mark.parametrize("ahead_s", [-3_600, -1, 1, 3_600])
def test_a_worker_whose_clock_is_wrong_tells_durations_all_the_same(ahead_s: int) -> None:
    ahead_us = ahead_s * US_PER_S
    assert times(reported(4 * MS + ahead_us, 54 * MS + ahead_us)) == (0, 50)


@pytest.mark.parametrize("ahead_s", [-3_600, 3_600])
def test_times_that_cannot_be_are_the_engines(ahead_s: int) -> None:
    assert times(reported(4 * MS, 54 * MS + ahead_s * US_PER_S)) == (4, 60)


def test_times_are_the_workers_also_over_a_load() -> None:
    assert times(reported(4 * MS, 54 * MS, is_loaded=True)) == (4, 54)


def test_deadlines_go_by_the_engines_clock_whatever_workers_say() -> None:
    world = World()
    world.put(task("a", execution_timeout="10s", retries=1, backoff_factor=2.0))
    world.worker("a")
    task_id = world.trigger()
    world.do(ReportAttempt(task_id, 0, Outcome.STARTED, at_us=world.now_us + 3_600 * US_PER_S))
    world.advance(5)
    world.do(ReportAttempt(task_id, 0, Outcome.FAILED, "broke", at_us=0))
    due_at_us = world.tasks[task_id].due_at_us
    assert due_at_us == world.now_us + 2 * US_PER_S


# Following up --------------------------------------------------------------------------------------------------------


def test_what_follows_from_an_end_cannot_be_forgotten() -> None:
    """Whoever ends a task need not know what else there is to do."""
    world = World()
    world.put(task("a"), task("b", "a"))
    world.worker("a", "b")
    run_id = world.trigger()
    state = world.tenant._state
    attempts.complete(state, state.tasks[world.task(run_id, "a")], "{}", world.now_us)
    assert state.ended
    world.decide()
    assert world.status(world.task(run_id, "b")) is TaskStatus.RUNNING
    attempts.fail(state, state.tasks[world.task(run_id, "b")], "no", world.now_us)
    world.decide()
    assert world.runs[run_id].status is RunStatus.FAILED
    assert state.ended == {}
