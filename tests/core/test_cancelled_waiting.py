"""Wherever a task waits: once it is cancelled it never starts, whatever comes to pass that it waited for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import pytest

from broadaxe.core.commands.durable import BeginWait, EvictInvocation, SpawnChildren
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.ratelimits import PutRateLimit
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks, RestoreTask
from broadaxe.core.commands.triggers import RunRequest
from broadaxe.core.commands.workflows import PauseWorkflow, PutWorkflow, UnpauseWorkflow, WhilePaused
from broadaxe.core.decision import StartAttempt, StartBatch
from broadaxe.core.definition import (
    KEY_TASK_NAME,
    BatchRule,
    ConcurrencyRule,
    ConditionAction,
    ConditionRule,
    LimitStrategy,
    RateLimitUse,
    TaskSpec,
    WorkflowSpec,
)
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import RunStatus, TaskStatus
from broadaxe.core.waits import Condition
from tests.core.world import World, task

#: Yields a run that waits there; what comes after the yield takes away what held it.
Place = Callable[[World], Iterator[str]]

MINUTE_US: Final = 60 * US_PER_S
#: After this everything that waits here would have started (`test_it_would_have_started`).
LONG_ENOUGH_S: Final = 180
ONE_AT_A_TIME: Final = ConcurrencyRule(expression="'all'", strategy=LimitStrategy.GROUP_ROUND_ROBIN, max_runs=1)


def no_worker(world: World) -> Iterator[str]:
    world.put(task("a"))
    yield world.trigger()
    world.worker("a")


def no_room(world: World) -> Iterator[str]:
    world.put(task("a"))
    world.worker("a", slots={"default": 1})
    first = world.trigger()
    yield world.trigger()
    world.complete(first)


def frozen(world: World) -> Iterator[str]:
    """Behind a backlog, out of memory."""
    world.put(task("a"))
    runs = [world.trigger() for _ in range(20)]
    assert not world.tenant.is_live(runs[15])
    yield runs[15]
    world.worker("a")


def backoff(world: World) -> Iterator[str]:
    world.put(task("a", retries=3, backoff_factor=2.0, backoff_max_s=60))
    world.worker("a")
    run_id = world.trigger()
    world.fail(run_id)
    assert world.status(run_id) is TaskStatus.BACKOFF
    yield run_id


def rate_limit(world: World) -> Iterator[str]:
    world.do(PutRateLimit("k", 1, 60 * US_PER_S))
    world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=(limited(task("a")),))))
    world.worker("a")
    world.trigger()
    yield world.trigger()


def limited(spec: TaskSpec) -> TaskSpec:
    return msgspec.structs.replace(spec, rate_limits=(RateLimitUse(key="k"),))


def concurrency(world: World) -> Iterator[str]:
    world.put(task("a"), concurrency=(ONE_AT_A_TIME,))
    world.worker("a")
    first = world.trigger()
    yield world.trigger()
    world.complete(first)


def batch(world: World) -> Iterator[str]:
    spec = msgspec.structs.replace(task("a"), batch=BatchRule(max_size=2, interval_us=5 * US_PER_S))
    world.do(PutWorkflow(WorkflowSpec(name="flow", tasks=(spec,))))
    world.worker("a")
    yield world.trigger()
    world.trigger()
    world.trigger()


def paused(world: World) -> Iterator[str]:
    workflow_id = world.put(task("a")).workflow_id
    world.worker("a")
    world.do(PauseWorkflow(workflow_id, MINUTE_US, WhilePaused.QUEUE, WhilePaused.QUEUE))
    yield world.trigger()
    world.do(UnpauseWorkflow(workflow_id))


def debounced(world: World) -> Iterator[str]:
    world.put(task("a"))
    world.worker("a")
    wish = {"broadaxe__debounce_key": "k", "broadaxe__debounce_quiet_ms": 1_000}
    yield world.trigger(additional_metadata=json.dumps(wish))


def key_unasked(world: World) -> Iterator[str]:
    """Nobody is there to be asked for its group key."""
    asks_for_keys(world)
    world.worker("a")
    run_id = world.trigger()
    yield run_id
    world.worker("key")
    world.complete(world.task(run_id, KEY_TASK_NAME), '"a"')


def key_asked(world: World) -> Iterator[str]:
    """A worker was asked for its group key and has not answered."""
    asks_for_keys(world)
    world.worker("a", "key")
    run_id = world.trigger()
    yield run_id
    world.complete(world.task(run_id, KEY_TASK_NAME), '"a"')


def key_taken(world: World) -> Iterator[str]:
    """Its group key is known, and another run holds it."""
    asks_for_keys(world)
    world.worker("a", "key")
    first, second = world.trigger(), world.trigger()
    for run_id in (first, second):
        world.complete(world.task(run_id, KEY_TASK_NAME), '"a"')
    yield second
    world.complete(world.task(first, "a"))


def asks_for_keys(world: World) -> None:
    rule = ConcurrencyRule(expression="", max_runs=1, strategy=LimitStrategy.GROUP_ROUND_ROBIN)
    key_task = TaskSpec(name="key", action_id="flow:key", execution_timeout="60s", schedule_timeout="600s")
    world.put(task("a"), concurrency=(rule,), key_task=key_task)


def root_condition(world: World) -> Iterator[str]:
    """The first task waits for an event or an hour."""
    conditions = (
        ConditionRule(action=ConditionAction.QUEUE, group=0, event_key="go", data_key="go"),
        ConditionRule(action=ConditionAction.QUEUE, group=0, sleep="60s", sleep_us=MINUTE_US, data_key="sleep:60s"),
    )
    world.put(task("a", conditions=conditions), task("b", "a"))
    world.worker("a", "b")
    yield world.trigger()
    push(world, "go")


def later_condition(world: World) -> Iterator[str]:
    """What comes after the first task waits for an event."""
    rule = ConditionRule(action=ConditionAction.QUEUE, group=0, event_key="go", data_key="go")
    world.put(task("a"), task("b", "a", conditions=(rule,)))
    world.worker("a", "b")
    run_id = world.trigger()
    world.complete(world.task(run_id, "a"))
    yield run_id
    push(world, "go")


def asleep(world: World) -> Iterator[str]:
    run_id = durable(world)
    world.do(BeginWait(stream=1, task_id=run_id, invocation_count=1, conditions=(SLEEP,)))
    evict(world, run_id)
    yield run_id


def awaits_event(world: World) -> Iterator[str]:
    run_id = durable(world)
    world.do(
        BeginWait(
            stream=1,
            task_id=run_id,
            invocation_count=1,
            conditions=(Condition(group=0, data_key="go", event_key="go"),),
        )
    )
    evict(world, run_id)
    yield run_id
    push(world, "go")


def awaits_child(world: World) -> Iterator[str]:
    run_id = durable(world)
    world.do(
        SpawnChildren(
            stream=1, task_id=run_id, invocation_count=1, requests=(RunRequest(workflow_name="kid", input="{}"),)
        )
    )
    evict(world, run_id)
    yield run_id
    (child,) = (row.id for row in world.run_rows.values() if row.parent_task_id == run_id)
    world.complete(child)


def restoring(world: World) -> Iterator[str]:
    """It was evicted, what it waited for came, and no worker is there to go on with it."""
    run_id = durable(world)
    world.do(BeginWait(stream=1, task_id=run_id, invocation_count=1, conditions=(SLEEP,)))
    evict(world, run_id)
    world.beating.clear()
    world.advance(31)
    world.do(RestoreTask(run_id))
    assert world.status(run_id) is TaskStatus.QUEUED
    yield run_id
    world.worker("a", slots={"durable": 5})


SLEEP: Final = Condition(group=0, data_key="sleep:60s", sleep="60s", sleep_us=MINUTE_US)


def durable(world: World) -> str:
    world.put(task("kid"), name="kid")
    world.put(task("a", is_durable=True))
    world.worker("a", slots={"durable": 5, "default": 5})
    world.worker("kid")
    return world.trigger()


def evict(world: World, run_id: str) -> None:
    world.do(EvictInvocation(stream=1, task_id=run_id, invocation_count=1))
    assert world.status(run_id) is TaskStatus.EVICTED


def push(world: World, key: str) -> None:
    world.do(PushEvents((EventRequest(key=key, payload="{}"),)))


PLACES: Final[dict[str, Place]] = {
    "no worker": no_worker,
    "no room": no_room,
    "out of memory": frozen,
    "backoff": backoff,
    "rate limit": rate_limit,
    "concurrency": concurrency,
    "batch": batch,
    "paused": paused,
    "debounced": debounced,
    "nobody to ask for its key": key_unasked,
    "asked for its key": key_asked,
    "key taken": key_taken,
    "condition of a root": root_condition,
    "condition of a later task": later_condition,
    "evicted asleep": asleep,
    "evicted, awaits an event": awaits_event,
    "evicted, awaits a child": awaits_child,
    "to be restored": restoring,
}


def started(world: World, run_id: str) -> list[str]:
    """Task ids of this run in the order they were sent, keys asked for not counted."""
    sent: list[str] = []
    for decision in world.decisions:
        for effect in decision.effects:
            if isinstance(effect, StartAttempt) and not effect.asks_for_key:
                sent += [effect.task_id]
            elif isinstance(effect, StartBatch):
                sent += [item.task_id for item in effect.items]
    return [task_id for task_id in sent if world.task_rows[task_id].run_id == run_id]


@pytest.mark.parametrize("forgets", [False, True], ids=["in memory", "after a restart"])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_a_cancelled_task_never_starts(place: Place, forgets: bool) -> None:
    """Semantics section 11, line 59. Afterwards it can be replayed."""
    world = World(hot_tasks_max=4)
    filled = place(world)
    run_id = next(filled)
    before = started(world, run_id)
    if forgets:
        world.restart()
    world.do(CancelTasks((run_id,)))
    assert world.runs[run_id].status is RunStatus.CANCELLED
    assert set(world.statuses(run_id).values()) <= {TaskStatus.COMPLETED, TaskStatus.CANCELLED}
    if forgets:
        world.restart()
    next(filled, None)
    world.advance(LONG_ENOUGH_S)
    assert started(world, run_id) == before
    assert world.runs[run_id].status is RunStatus.CANCELLED
    assert not world.tenant.is_live(run_id)

    replayed = world.do(ReplayTasks((run_id,)))
    assert replayed, "what was cancelled can be replayed"
    assert world.runs[run_id].status is not RunStatus.CANCELLED


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
def test_it_would_have_started(place: Place) -> None:
    """The places are what they say: who is not cancelled starts."""
    world = World(hot_tasks_max=4)
    filled = place(world)
    run_id = next(filled)
    before = started(world, run_id)
    next(filled, None)
    world.advance(LONG_ENOUGH_S)
    assert len(started(world, run_id)) > len(before)
