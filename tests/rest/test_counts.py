"""Counts for autoscalers and for the Prometheus of one tenant."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hatchet_sdk import ClientConfig, Hatchet
from hatchet_sdk.clients.rest.models.task_stat import TaskStat
from hatchet_sdk.clients.rest.models.workflow_version import WorkflowVersion

from broadaxe.core.definition import ConcurrencyRule, LimitStrategy, Sticky, TaskSpec
from broadaxe.core.lifecycle import RunStatus
from broadaxe.metrics import OTHER_WORKFLOWS, WORKFLOWS_MAX, Tallies, Tally
from broadaxe.rest.metrics import Metrics
from broadaxe.storage.ids import new_id

if TYPE_CHECKING:
    from .conftest import Site

CUSTOMER = ConcurrencyRule(expression="input.customer", max_runs=1, strategy=LimitStrategy.GROUP_ROUND_ROBIN)
REGION = ConcurrencyRule(expression="input.region", max_runs=5, strategy=LimitStrategy.CANCEL_NEWEST)


def keys(*customers: str, run: tuple[str, ...] = ()) -> str:
    """`core/keys.py`'s RunKeys for a workflow with one task."""
    return json.dumps([[[key, 1] for key in run], [[[[key, 1] for key in customers], [], None, "default"]]])


async def stats(site: Site, **query: Any) -> dict[str, TaskStat]:
    answer = await site.client.get(f"{site.tenant}/task-stats", params=query)
    assert answer.status_code == 200, answer.text
    found = {name: TaskStat.from_dict(stat) for name, stat in answer.json().items()}
    return {name: stat for name, stat in found.items() if stat is not None}


async def test_tasks_that_wait_and_run_are_counted_by_name_and_queue(site: Site) -> None:
    now = site.seeds.now
    greet = await site.seeds.single()
    for age_s, retry_count in ((5, 0), (60, 1)):
        queued_at = now - timedelta(seconds=age_s)
        await site.seeds.run(greet, task={"queued_at": queued_at, "retry_count": retry_count})
    started = now - timedelta(seconds=30)
    await site.seeds.run(greet, status="RUNNING", task={"status": "RUNNING", "assigned_at": started})
    for status in ("COMPLETED", "FAILED"):
        await site.seeds.run(greet, status=status, task={"status": status})
    await site.seeds.run(greet, task={"status": "BACKOFF"})
    found = await stats(site)
    assert found.keys() == {"greet"}
    queued, running = found["greet"].queued, found["greet"].running
    assert queued is not None and running is not None
    assert (queued.total, queued.queues, queued.concurrency) == (2, {"greet:greet": 2}, [])
    assert (queued.oldest, queued.oldest_excluding_retries) == (
        now - timedelta(seconds=60),
        now - timedelta(seconds=5),
    )
    assert (running.total, running.queues, running.oldest) == (1, {"greet:greet": 1}, started)


async def test_names_that_were_asked_for_are_there_even_when_nothing_lives(site: Site) -> None:
    greet = await site.seeds.single()
    await site.seeds.run(greet, task={})
    assert await stats(site, taskNames="a,b") == await stats(site, taskNames=["a", "b"])
    found = (await site.client.get(f"{site.tenant}/task-stats", params={"taskNames": ["none,greet", ""]})).json()
    zero = {"total": 0, "queues": {}, "concurrency": []}
    assert found["none"] == {"queued": zero, "running": zero}
    assert found["greet"]["queued"]["total"] == 1
    assert found.keys() == {"none", "greet"}
    assert (await stats(site)).keys() == {"greet"}


async def test_a_task_that_waits_for_a_limit_is_counted_under_its_key(site: Site) -> None:
    made = await site.seeds.workflow(
        "w", (TaskSpec(name="t", action_id="w:t", concurrency=(REGION,)),), concurrency=(CUSTOMER,)
    )
    for customer, held, status in (
        ("a", 0, "QUEUED"),
        ("a", 0, "QUEUED"),
        ("a", 2, "RUNNING"),
        ("b", 1, "QUEUED"),
        ("c", 2, "QUEUED"),
    ):
        task = {"concurrency_held": held, "status": status}
        await site.seeds.run(made, status=status, keys=keys(customer, "eu"), task=task)
    stat = (await stats(site))["t"]
    assert stat.queued is not None and stat.running is not None
    assert (stat.queued.total, stat.queued.queues) == (4, {"w:t": 1})
    assert [(c.expression, c.type, c.keys) for c in stat.queued.concurrency or []] == [
        ("input.customer", "GROUP_ROUND_ROBIN", {"a": 2}),
        ("input.region", "CANCEL_NEWEST", {"eu": 1}),
    ]
    assert (stat.running.total, stat.running.queues) == (1, {"w:t": 1})
    assert [(c.expression, c.keys) for c in stat.running.concurrency or []] == [
        ("input.customer", {"a": 1}),
        ("input.region", {"eu": 1}),
    ]


async def test_the_limit_of_a_whole_run_holds_its_tasks_back(site: Site) -> None:
    tasks = (TaskSpec(name="one", action_id="w:one"), TaskSpec(name="two", action_id="w:two", parents=("one",)))
    made = await site.seeds.workflow("w", tasks, concurrency=(CUSTOMER,))
    groups = json.dumps([[["a", 1]], [[[], [], None, "default"]] * 2])
    for held in (0, 1):
        run_id = await site.seeds.run(made, keys=groups, concurrency_held=held)
        await site.seeds.task(made, run_id, "one")
    stat = (await stats(site))["one"]
    assert stat.queued is not None
    assert (stat.queued.total, stat.queued.queues) == (2, {"w:one": 1})
    assert [(c.expression, c.keys) for c in stat.queued.concurrency or []] == [("input.customer", {"a": 1})]


async def test_a_paused_workflow_asks_for_no_workers(site: Site) -> None:
    made = await site.seeds.workflow("w", (TaskSpec(name="t", action_id="w:t"),), concurrency=(CUSTOMER,))
    await site.seeds.run(made, keys=keys("a"), task={})
    await site.seeds.run(made, status="RUNNING", keys=keys("a"), task={"status": "RUNNING", "concurrency_held": 1})
    await site.seeds.pool.execute(
        "update broadaxe.workflow set paused_at = now(), paused_queue_ttl_us = 1, paused_crons = 'DROP', "
        "paused_schedules = 'DROP'"
    )
    stat = (await stats(site))["t"]
    assert stat.queued is not None and stat.running is not None
    assert (stat.queued.total, stat.queued.concurrency, stat.running.total) == (0, [], 1)


async def test_old_clients_get_counts_of_the_old_shape(site: Site) -> None:
    greet = await site.seeds.single()
    await site.seeds.run(greet, task={})
    await site.seeds.run(greet, status="RUNNING", task={"status": "RUNNING"})
    counts = (await site.client.get(f"{site.tenant}/queue-metrics")).json()
    assert counts["total"] == {"numQueued": 1, "numRunning": 1, "numPending": 0}
    assert (counts["queues"], counts["workflow"]) == ({"greet:greet": 1}, {})
    groups = await site.client.get(f"/api/v1/workflows/{greet[0]}/metrics", params={"status": "QUEUED"})
    assert groups.json() == {"groupKeyRunsCount": 0, "groupKeyCount": 0}
    assert (await site.client.get(f"/api/v1/workflows/{new_id()}/metrics")).status_code == 404


async def test_a_version_shows_its_limits_in_words_that_clients_know(site: Site) -> None:
    task_rules = tuple(
        ConcurrencyRule(expression=f"'{strategy}'", strategy=strategy, max_runs=2) for strategy in LimitStrategy
    )
    made = await site.seeds.workflow(
        "w", (TaskSpec(name="t", action_id="w:t", concurrency=task_rules),), concurrency=(CUSTOMER,), sticky=Sticky.SOFT
    )
    version = WorkflowVersion.from_dict((await site.client.get(f"/api/v1/workflows/{made[0]}/versions")).json())
    assert version is not None
    assert version.sticky == "soft"
    of_workflow, *of_task = version.v1_concurrency or []
    assert (of_workflow.scope, of_workflow.step_readable_id, of_workflow.max_runs) == ("WORKFLOW", None, 1)
    assert {(setting.scope, setting.step_readable_id, setting.max_runs) for setting in of_task} == {("TASK", "t", 2)}
    assert len(of_task) == len(LimitStrategy)


# Prometheus ---------------------------------------------------------------------------------------------------------


def samples(text: str) -> dict[str, float]:
    """Values by name and labels, as they are exposed."""
    return {name: float(value) for name, value in re.findall(r"^([^#\s]\S*(?:\{.*\})?) (\S+)$", text, re.MULTILINE)}


async def test_a_tenant_scrapes_its_own_figures(site: Site) -> None:
    greet = await site.seeds.single()
    busy = await site.seeds.worker()
    await site.seeds.worker(last_heartbeat_at=site.seeds.now - timedelta(minutes=1), name="silent")
    for model in ("big", "big", "small"):
        await site.seeds.run(greet, task={}, metadata={"prom_model": model, "customer": "acme"})
    await site.seeds.run(greet, status="RUNNING", task={"status": "RUNNING", "worker_id": busy})
    tally = site.app.state.metrics.tallies.tenant(site.seeds.tenant_id)
    tally.created_tasks += 4
    tally.workflow("greet").ended(RunStatus.COMPLETED, 70.0)
    tally.workflow("greet").queued_to_assigned_s.observe(0.03)
    site.app.state.metrics.tallies.tenant(new_id()).created_tasks += 3
    text = await Hatchet(config=ClientConfig(token=site.token)).metrics.aio_scrape_tenant_prometheus_metrics()
    found = samples(text)
    t = f'tenant_id="{site.seeds.tenant_id}"'

    def of(name: str, labels: str = "") -> float:
        return found[f"hatchet_tenant_{name}{{{labels}}}"]

    assert of("created_tasks", t) == 4
    assert of("failed_tasks", t) == 0
    worker = f'{t},worker_id="{busy}",worker_name="worker-a"'
    slots = (of("worker_slots", worker), of("used_worker_slots", worker), of("available_worker_slots", worker))
    assert slots == (10, 1, 9)
    label = f'label_key="gpu",label_value="2",slot_type="default",{t}'
    assert (of("worker_label_slots", label), of("available_worker_label_slots", label)) == (10, 9)
    assert of("queue_size", f'queue="greet:greet",{t},workflow_name="greet"') == 3
    metadata = f'key="prom_model",queue="greet:greet",{t},value='
    sizes = (of("additional_metadata_queue_size", f'{metadata}"{model}"') for model in ("big", "small"))
    assert tuple(sizes) == (2, 1)
    assert "customer" not in text
    ended = f'status="COMPLETED",{t},workflow_name="greet"'
    assert of("workflow_duration_milliseconds_sum", ended) == 70
    assert of("workflow_duration_milliseconds_bucket", f'le="50.0",{ended}') == 0
    assert of("workflow_duration_milliseconds_bucket", f'le="100.0",{ended}') == 1
    assert of("queued_to_assigned_by_workflow", f'{t},workflow_name="greet"') == 1
    assert not any("silent" in name for name in found)
    page = samples((await site.anonymous.get("/metrics")).text)
    assert page["hatchet_created_tasks_total"] == 7, "the process shows the sum over its tenants"
    answer = await site.client.get(f"{site.tenant}/prometheus-metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert (await site.anonymous.get(f"{site.tenant}/prometheus-metrics")).status_code == 403


def test_a_histogram_counts_each_value_once_at_its_bound() -> None:
    metrics = Metrics(Tallies())
    waits = metrics.tallies.tenant("t").queued_to_assigned_s
    for value in (0.01, 0.011, 15.0, 16.0):
        waits.observe(value)
    found = samples(metrics.render().decode())
    bucket = "hatchet_queued_to_assigned_time_seconds_bucket"
    values = [found[f'{bucket}{{le="{bound}"}}'] for bound in ("0.01", "0.02", "5.0", "15.0", "+Inf")]
    assert values == [1, 2, 2, 3, 4]
    assert found["hatchet_queued_to_assigned_time_seconds_count"] == 4


def test_figures_by_workflow_are_bounded() -> None:
    tally = Tally()
    for number in range(WORKFLOWS_MAX + 5):
        tally.workflow(f"w{number}").ended(RunStatus.FAILED, 1.0)
    assert len(tally.workflows) == WORKFLOWS_MAX + 1
    assert sum(tally.workflow(OTHER_WORKFLOWS).durations_ms[RunStatus.FAILED].counts) == 5
    assert tally.workflow("w0") is tally.workflows["w0"]


@pytest.mark.parametrize("path", ["task-stats", "queue-metrics", "step-run-queue-metrics", "prometheus-metrics"])
async def test_counts_are_the_tenants_own(site: Site, path: str) -> None:
    assert (await site.client.get(f"/api/v1/tenants/{new_id()}/{path}")).status_code == 403
