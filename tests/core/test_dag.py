"""How a run goes from task to task (semantics 1.5 to 1.8)."""

from __future__ import annotations

import msgspec

from broadaxe.core.attempts import SKIPPED_OUTPUT
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.lifecycle import RunStatus, TaskEventType, TaskStatus
from tests.core.world import World, task

COMPLETED, SKIPPED, FAILED, CANCELLED = (
    TaskStatus.COMPLETED,
    TaskStatus.SKIPPED,
    TaskStatus.FAILED,
    TaskStatus.CANCELLED,
)
QUEUED, RUNNING = TaskStatus.QUEUED, TaskStatus.RUNNING


def diamond(world: World, *, with_on_failure: bool = False) -> str:
    """A -> {B, C} -> D with a worker for all of them; returns the run."""
    world.put(
        task("a"),
        task("b", "a"),
        task("c", "a"),
        task("d", "b", "c"),
        on_failure=task("oops") if with_on_failure else None,
    )
    world.worker("a", "b", "c", "d", "oops")
    return world.trigger()


def test_a_single_task_run_is_its_task() -> None:
    world = World()
    world.put(task("a"))
    world.worker("a")
    run_id = world.trigger()
    assert world.task(run_id, "a") == run_id
    assert world.runs[run_id].status is RunStatus.RUNNING
    world.started(run_id)
    world.complete(run_id, '{"x":1}')
    assert world.runs[run_id].status is RunStatus.COMPLETED
    assert world.tasks[run_id].output == '{"x":1}'
    assert world.events(run_id) == [
        TaskEventType.QUEUED,
        TaskEventType.ASSIGNED,
        TaskEventType.SENT_TO_WORKER,
        TaskEventType.STARTED,
        TaskEventType.FINISHED,
    ]


def test_a_task_with_on_failure_is_a_dag() -> None:
    world = World()
    world.put(task("a"), on_failure=task("oops"))
    world.worker("a", "oops")
    run_id = world.trigger()
    only = world.task(run_id, "a")
    assert only != run_id
    world.complete(only)
    assert world.statuses(run_id) == {"a": COMPLETED, "oops": SKIPPED}
    assert world.tasks[world.task(run_id, "oops")].output == SKIPPED_OUTPUT
    assert world.runs[run_id].status is RunStatus.COMPLETED


def test_a_task_exists_only_once_its_parents_are_done() -> None:
    world = World()
    run_id = diamond(world)
    assert world.statuses(run_id) == {"a": RUNNING}
    world.complete(world.task(run_id, "a"))
    assert world.statuses(run_id) == {"a": COMPLETED, "b": RUNNING, "c": RUNNING}
    world.complete(world.task(run_id, "c"))
    assert world.task_of(run_id, "d") is None
    world.complete(world.task(run_id, "b"))
    assert world.status(world.task(run_id, "d")) is RUNNING
    world.complete(world.task(run_id, "d"))
    assert world.runs[run_id].status is RunStatus.COMPLETED
    assert [finish.run_id for finish in world.finishes] == [run_id]


def test_a_task_is_sent_the_outputs_of_all_completed_tasks_of_the_run() -> None:
    world = World()
    run_id = diamond(world)
    for name in "abc":
        world.complete(world.task(run_id, name))
    (start,) = world.starts()
    assert start.parents == tuple((name, world.task(run_id, name)) for name in "abc")
    assert start.errors == ()


def test_a_failed_parent_cancels_its_descendants_at_once_and_no_one_else() -> None:
    world = World()
    world.put(task("a"), task("b"), task("both", "a", "b"), task("last", "both"), task("free", "b"))
    world.worker("a", "b", "both", "last", "free")
    run_id = world.trigger()
    world.fail(world.task(run_id, "a"))
    assert world.statuses(run_id) == {"a": FAILED, "b": RUNNING, "both": CANCELLED, "last": CANCELLED}
    assert world.runs[run_id].status is RunStatus.RUNNING
    world.complete(world.task(run_id, "b"))
    assert world.status(world.task(run_id, "free")) is RUNNING
    world.complete(world.task(run_id, "free"))
    assert world.runs[run_id].status is RunStatus.FAILED
    assert "a failed" in (world.tasks[world.task(run_id, "both")].error or "")


def test_a_failure_with_a_retry_left_decides_nothing_downstream() -> None:
    world = World()
    world.put(task("a", retries=1), task("b", "a"), on_failure=task("oops"))
    world.worker("a", "b", "oops")
    run_id = world.trigger()
    world.fail(world.task(run_id, "a"))
    assert world.statuses(run_id) == {"a": RUNNING}
    world.fail(world.task(run_id, "a"))
    assert world.statuses(run_id) == {"a": FAILED, "b": CANCELLED, "oops": RUNNING}


def test_a_cancelled_parent_cancels_its_descendants() -> None:
    world = World()
    run_id = diamond(world, with_on_failure=True)
    world.complete(world.task(run_id, "a"))
    assert world.do(CancelTasks((world.task(run_id, "b"),))) == (world.task(run_id, "b"),)
    assert world.statuses(run_id) == {"a": COMPLETED, "b": CANCELLED, "c": RUNNING, "d": CANCELLED}
    world.complete(world.task(run_id, "c"))
    assert world.status(world.task(run_id, "oops")) is SKIPPED
    assert world.runs[run_id].status is RunStatus.CANCELLED


def test_on_failure_starts_at_the_first_failure_with_the_errors_so_far_and_once() -> None:
    world = World()
    run_id = diamond(world, with_on_failure=True)
    world.complete(world.task(run_id, "a"))
    world.fail(world.task(run_id, "b"), "b is broken")
    (start,) = world.starts()
    assert start.task_name == "oops"
    assert start.errors == (("b", "b is broken"),)
    assert world.status(world.task(run_id, "c")) is RUNNING
    world.fail(world.task(run_id, "c"), "c too")
    assert world.starts() == []
    world.complete(world.task(run_id, "oops"))
    assert world.statuses(run_id) == {"a": COMPLETED, "b": FAILED, "c": FAILED, "d": CANCELLED, "oops": COMPLETED}
    assert world.runs[run_id].status is RunStatus.FAILED
    assert world.events(world.task(run_id, "oops")).count(TaskEventType.QUEUED) == 1


def test_a_failing_on_failure_task_fails_the_run_and_does_not_call_itself() -> None:
    world = World()
    world.put(task("a"), on_failure=task("oops"))
    world.worker("a", "oops")
    run_id = world.trigger()
    world.fail(world.task(run_id, "a"))
    world.fail(world.task(run_id, "oops"))
    assert world.statuses(run_id) == {"a": FAILED, "oops": FAILED}
    assert world.runs[run_id].status is RunStatus.FAILED


def test_schedule_timeout_cancels_downstream_and_does_not_call_on_failure() -> None:
    world = World()
    world.put(task("a", schedule_timeout="1s", retries=3), task("b", "a"), on_failure=task("oops"))
    world.worker("oops", "b")
    run_id = world.trigger()
    world.advance(0.999)
    assert world.statuses(run_id) == {"a": QUEUED}
    world.advance(0.001)
    assert world.statuses(run_id) == {"a": CANCELLED, "b": CANCELLED, "oops": SKIPPED}
    assert world.events(world.task(run_id, "a"))[-1] is TaskEventType.SCHEDULING_TIMED_OUT
    assert world.tasks[world.task(run_id, "a")].retry_count == 0
    assert world.runs[run_id].status is RunStatus.CANCELLED


def test_a_run_keeps_its_status_while_all_its_tasks_wait_again() -> None:
    world = World()
    world.put(task("a", retries=1, backoff_factor=2.0), task("b", "a"))
    world.worker("a", "b")
    run_id = world.trigger()
    assert world.runs[run_id].status is RunStatus.RUNNING
    world.fail(world.task(run_id, "a"))
    assert world.status(world.task(run_id, "a")) is TaskStatus.BACKOFF
    assert world.runs[run_id].status is RunStatus.RUNNING


def test_a_run_that_nobody_works_on_is_queued() -> None:
    world = World()
    world.put(task("a"), task("b", "a"))
    assert world.runs[world.trigger()].status is RunStatus.QUEUED


def test_a_run_lasts_from_its_first_start_to_its_last_end() -> None:
    world = World()
    run_id = diamond(world)
    begun = world.now_us
    for name in "abcd":
        world.started(world.task(run_id, name))
        world.advance(1)
        world.complete(world.task(run_id, name))
    assert world.runs[run_id].started_at_us == begun
    assert world.runs[run_id].finished_at_us == begun + 4_000_000


def test_the_end_of_a_run_tells_every_task_by_name() -> None:
    world = World()
    run_id = diamond(world)
    world.fail(world.task(run_id, "a"), "no")
    (finish,) = world.finishes
    assert finish.is_dag
    assert finish.status is RunStatus.FAILED
    assert [(result.name, result.status) for result in finish.results] == [
        ("a", FAILED),
        ("b", CANCELLED),
        ("c", CANCELLED),
        ("d", CANCELLED),
    ]
    assert finish.results[0].error == "no"


def test_cancelling_a_run_ends_all_of_it_and_nothing_new_starts() -> None:
    world = World()
    run_id = diamond(world, with_on_failure=True)
    world.complete(world.task(run_id, "a"))
    ended = world.do(CancelTasks((run_id,)))
    assert ended == (world.task(run_id, "b"), world.task(run_id, "c"))
    assert world.statuses(run_id) == {"a": COMPLETED, "b": CANCELLED, "c": CANCELLED, "d": CANCELLED, "oops": SKIPPED}
    assert {cancel.task_id for cancel in world.cancels()} == {world.task(run_id, "b"), world.task(run_id, "c")}
    assert world.starts() == []
    assert world.do(CancelTasks((run_id,))) == ()


def test_a_skipped_on_failure_runs_when_a_replay_fails() -> None:
    world = World()
    world.put(task("a"), task("b"), on_failure=task("oops"))
    world.worker("a", "b", "oops")
    run_id = world.trigger()
    for name in "ab":
        world.complete(world.task(run_id, name))
    assert world.status(world.task(run_id, "oops")) is SKIPPED
    world.do(ReplayTasks((world.task(run_id, "a"),)))
    assert world.statuses(run_id) == {"a": RUNNING, "b": COMPLETED, "oops": TaskStatus.WAITING}
    world.fail(world.task(run_id, "a"), "this time")
    (start,) = world.starts()
    assert start.task_name == "oops"
    assert start.errors == (("a", "this time"),)
    world.complete(world.task(run_id, "oops"))
    assert world.runs[run_id].status is RunStatus.FAILED


def test_tasks_of_one_run_that_are_replayed_together_start_together() -> None:
    world = World()
    run_id = diamond(world, with_on_failure=True)
    world.complete(world.task(run_id, "a"))
    world.fail(world.task(run_id, "b"), "no")
    world.fail(world.task(run_id, "c"), "no")
    world.complete(world.task(run_id, "oops"))
    replayed = world.do(ReplayTasks((world.task(run_id, "b"), world.task(run_id, "c"))))
    assert set(replayed) == {world.task(run_id, name) for name in ("b", "c", "d", "oops")}
    assert world.statuses(run_id) | {"d": None, "oops": None} == {
        "a": COMPLETED, "b": RUNNING, "c": RUNNING, "d": None, "oops": None,
    }  # fmt: skip
    for name in "bcd":
        world.complete(world.task(run_id, name))
    assert world.runs[run_id].status is RunStatus.COMPLETED


def test_a_wide_run_ends_once() -> None:
    world = World()
    names = [f"t{n}" for n in range(200)]
    world.put(*(task(name) for name in names), task("join", *names))
    world.worker(*names, "join", slots={"default": 1000})
    run_id = world.trigger()
    for name in names:
        world.complete(world.task(run_id, name))
    world.complete(world.task(run_id, "join"))
    assert len(world.finishes) == 1
    assert world.tenant.counts() == {"runs": 0, "tasks": 0, "workers": 1, "timers": world.tenant.counts()["timers"]}


def test_a_task_is_skipped_if_all_its_parents_were_and_runs_if_one_was_not() -> None:
    world = World()
    world.put(task("p"), task("q"), task("child", "p", "q"), task("grandchild", "child"))
    world.worker("p", "q", "child", "grandchild")
    run_id = world.trigger()
    for name in ("p", "q", "child", "grandchild"):
        world.complete(world.task(run_id, name))
    child = world.task(run_id, "child")
    skip(world, run_id, "p")
    world.do(ReplayTasks((child,)))
    assert world.status(child) is RUNNING
    world.complete(child)
    world.complete(world.task(run_id, "grandchild"))
    skip(world, run_id, "q")
    world.do(ReplayTasks((child,)))
    assert world.statuses(run_id) == {"p": SKIPPED, "q": SKIPPED, "child": SKIPPED, "grandchild": SKIPPED}
    assert world.tasks[child].output == SKIPPED_OUTPUT
    assert world.runs[run_id].status is RunStatus.COMPLETED


def skip(world: World, run_id: str, name: str) -> None:
    """Rewrites a stored task as skipped: only conditions skip tasks with children, and they are not there yet."""
    task_id = world.task(run_id, name)
    world.tasks[task_id] = msgspec.structs.replace(world.tasks[task_id], status=SKIPPED, output=SKIPPED_OUTPUT)
