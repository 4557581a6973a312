"""What is counted: every name that people's dashboards rely on, and what moves it (REST 7.7, semantics 8.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from broadaxe.core.commands.ratelimits import PutRateLimit
from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.commands.workers import CloseStream
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.definition import RateLimitUse, WorkflowSpec
from broadaxe.core.durations import US_PER_S
from broadaxe.metrics import Tallies, Tally, observer
from tests.core.world import World, task

if TYPE_CHECKING:
    from .conftest import Site

COUNTERS = frozenset(
    [
        "queue_invocations",
        "created_tasks",
        "retried_tasks",
        "succeeded_tasks",
        "failed_tasks",
        "skipped_tasks",
        "cancelled_tasks",
        "assigned_tasks",
        "reassigned_tasks",
        "scheduling_timed_out",
        "rate_limited",
        "queued_to_assigned",
        "queued_to_assigned_by_workflow",
    ]
)
HISTOGRAMS = frozenset(
    ["workflow_duration_milliseconds", "queued_to_assigned_time_seconds", "queued_to_assigned_time_seconds_by_workflow"]
)
GAUGES = frozenset(
    [
        "worker_slots",
        "used_worker_slots",
        "available_worker_slots",
        "worker_label_slots",
        "used_worker_label_slots",
        "available_worker_label_slots",
        "queue_size",
        "additional_metadata_queue_size",
    ]
)


async def test_every_documented_name_is_exposed(site: Site) -> None:
    text = (await site.client.get(f"{site.tenant}/prometheus-metrics")).text
    kinds: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            kinds[name.removeprefix("hatchet_tenant_")] = kind
    assert {name for name, kind in kinds.items() if kind == "histogram"} == HISTOGRAMS
    assert {name for name, kind in kinds.items() if kind == "gauge"} == GAUGES
    assert kinds.keys() == COUNTERS | HISTOGRAMS | GAUGES


def counted(world: World) -> Tally:
    tallies = Tallies()
    observe = observer(tallies)
    for decision in world.decisions:
        observe("t", decision)
    return tallies.tenant("t")


def test_outcomes_are_counted_once() -> None:
    world = World()
    world.put(task("a", retries=1), task("b", "a"), on_failure=task("mend"))
    world.worker("a", "b", "mend")
    run_id = world.trigger()
    world.fail(world.task(run_id, "a"))
    world.complete(world.task(run_id, "a"))
    world.do(CancelTasks((world.task(run_id, "b"),)))
    failing = world.trigger()
    world.fail(world.task(failing, "a"), is_retryable=False)
    world.complete(world.task(failing, "mend"))
    tally = counted(world)
    assert (tally.created_tasks, tally.succeeded_tasks, tally.failed_tasks) == (6, 2, 1)
    assert (tally.retried_tasks, tally.cancelled_tasks, tally.skipped_tasks) == (1, 2, 1)
    assert (tally.assigned_tasks, tally.queued_to_assigned, tally.queue_invocations) == (5, 5, 5)
    assert sum(tally.workflows["flow"].queued_to_assigned_s.counts) == 5


def test_what_holds_tasks_back_is_counted() -> None:
    world = World()
    world.put(task("a", schedule_timeout="5s"))
    world.trigger()
    world.advance(6)
    lost = world.worker("a")
    world.trigger()
    del world.beating[lost]
    world.do(CloseStream(lost, world.sessions))
    world.advance(40)
    limited = msgspec.structs.replace(task("l"), rate_limits=(RateLimitUse(key="k"),))
    world.do(PutRateLimit("k", 1, 60 * US_PER_S))
    world.do(PutWorkflow(WorkflowSpec(name="limited", tasks=(limited,))))
    world.worker("l")
    world.trigger("limited")
    world.trigger("limited")
    tally = counted(world)
    assert (tally.reassigned_tasks, tally.rate_limited) == (1, 1)
    # The second time it was the lost worker's task, which found no other in time.
    assert (tally.scheduling_timed_out, tally.cancelled_tasks) == (2, 2)
