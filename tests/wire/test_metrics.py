"""What the SDK's metrics client reads from a real engine."""

from __future__ import annotations

from gallery.cue import Cue
from hatchet_sdk import Hatchet
from wirekit import Stage, eventually


async def test_the_sdk_sees_what_ran_and_what_runs(hatchet: Hatchet, stage: Stage, key: str) -> None:
    echo = hatchet.stubs.workflow(name="echo", input_validator=Cue)
    await echo.aio_run(Cue(key=key))
    text = await hatchet.metrics.aio_scrape_tenant_prometheus_metrics()
    tenant = f'tenant_id="{hatchet.tenant_id}"'

    def value(name: str, labels: str) -> float:
        prefix = f"hatchet_tenant_{name}{{{labels}}} "
        return float(next(line for line in text.splitlines() if line.startswith(prefix)).removeprefix(prefix))

    assert value("succeeded_tasks", tenant) >= 1
    assert value("queued_to_assigned_by_workflow", f'{tenant},workflow_name="echo"') >= 1
    ended = f'status="COMPLETED",{tenant},workflow_name="echo"'
    assert value("workflow_duration_milliseconds_count", ended) >= 1
    assert value("workflow_duration_milliseconds_sum", ended) < 60_000

    hold = hatchet.stubs.workflow(name="hold", input_validator=Cue)
    reference = await hold.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "started")
    stat = (await hatchet.metrics.aio_get_task_stats())["hold"]
    assert stat.running is not None and stat.running.oldest is not None
    assert (stat.running.queues or {})["hold:hold"] == stat.running.total == 1
    stage.open(key)
    await reference.aio_result()

    async def live() -> bool:
        return "hold" in await hatchet.metrics.aio_get_task_stats()

    await eventually(live, until=lambda is_live: not is_live, what="the task is not live any more")
