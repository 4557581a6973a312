"""A long backlog: out of memory, in its place. Whatever is frozen, nobody outside can tell."""

from __future__ import annotations

import random

import pytest

from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.decision import StartAttempt
from broadaxe.core.lifecycle import TaskStatus
from tests.core.world import World, task

HOT = 4


def filled(
    count: int, hot_tasks_max: int = HOT, priority: int | None = None, **options: str
) -> tuple[World, list[str]]:
    world = World(hot_tasks_max=hot_tasks_max)
    world.put(task("go", **options), name="flow")
    runs: list[str] = []
    for _ in range(count):
        request = RunRequest(workflow_name="flow", input="{}", priority=priority)
        (run_id,) = world.do(TriggerRuns((request,)))  # type: ignore[misc]
        runs.append(str(run_id))
    return world, runs


def order_of_starts(world: World) -> list[str]:
    return [
        effect.task_id
        for decision in world.decisions
        for effect in decision.effects
        if isinstance(effect, StartAttempt)
    ]


def test_what_joins_a_long_queue_leaves_memory() -> None:
    world, runs = filled(50)
    assert world.tenant.counts()["tasks"] == HOT
    assert not world.tenant.is_live(runs[-1])
    assert world.tenant.is_live(runs[0])
    assert world.tasks[runs[-1]].status is TaskStatus.QUEUED


def test_frozen_tasks_run_in_the_order_they_came() -> None:
    world, runs = filled(50)
    world.worker("flow:go", slots={"default": 1})
    for run_id in runs:
        world.complete(run_id)
    assert order_of_starts(world) == runs
    assert all(world.tasks[run_id].status is TaskStatus.COMPLETED for run_id in runs)
    assert world.tenant.counts()["tasks"] == 0


def test_a_higher_priority_goes_ahead_of_a_frozen_backlog() -> None:
    world, _ = filled(50, priority=1)
    (urgent,) = world.do(TriggerRuns((RunRequest(workflow_name="flow", input="{}", priority=3),)))  # type: ignore[misc]
    world.worker("flow:go", slots={"default": 1})
    assert order_of_starts(world) == [urgent]


def test_frozen_tasks_time_out_in_the_queue_when_they_are_due() -> None:
    world, runs = filled(50, schedule_timeout="10s")
    world.advance(9.999)
    assert all(world.tasks[run_id].status is TaskStatus.QUEUED for run_id in runs)
    world.advance(0.001)
    assert all(world.tasks[run_id].status is TaskStatus.CANCELLED for run_id in runs)
    assert world.tenant.counts()["tasks"] == 0


def test_a_frozen_task_can_be_cancelled_and_never_starts() -> None:
    world, runs = filled(30)
    world.do(CancelTasks((runs[20], runs[25])))
    assert world.tasks[runs[20]].status is TaskStatus.CANCELLED
    world.worker("flow:go", slots={"default": 1})
    left = [run_id for run_id in runs if run_id not in (runs[20], runs[25])]
    for run_id in left:
        world.complete(run_id)
    assert order_of_starts(world) == left


@pytest.mark.parametrize("seed", range(20))
def test_a_tenant_that_freezes_decides_as_one_that_does_not(seed: int) -> None:
    """Random triggers of mixed priority, a worker that comes late, completions, cancels: the same starts in order."""

    def live(hot_tasks_max: int) -> tuple[list[int], list[TaskStatus]]:
        rng = random.Random(seed)
        world, runs = filled(0, hot_tasks_max)
        running: list[str] = []
        for step in range(120):
            if step == 30:
                world.worker("flow:go", slots={"default": 2})
            choice = rng.random()
            if choice < 0.5:
                requests = tuple(
                    RunRequest(workflow_name="flow", input="{}", priority=rng.choice((1, 1, 2, 3)))
                    for _ in range(rng.randint(1, 6))
                )
                runs += [str(run_id) for run_id in world.do(TriggerRuns(requests))]  # type: ignore[union-attr]
            elif choice < 0.6 and runs:
                world.do(CancelTasks((rng.choice(runs),)))
            else:
                running = [i for i in runs if world.tasks[i].status is TaskStatus.RUNNING]
                if running:
                    world.complete(running[rng.randrange(len(running))])
        while running := [i for i in runs if world.tasks[i].status is TaskStatus.RUNNING]:
            world.complete(running[0])
        place = {run_id: number for number, run_id in enumerate(runs)}
        assert world.tenant.counts()["tasks"] == 0
        return [place[run_id] for run_id in order_of_starts(world)], [world.tasks[run_id].status for run_id in runs]

    assert live(HOT) == live(10_000)
