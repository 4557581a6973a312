"""The real SDK's own REST clients against the real server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hatchet_sdk import ClientConfig, Hatchet

from broadaxe.core.commands import Command, PauseWorker

if TYPE_CHECKING:
    from .conftest import Site


async def test_the_official_client_pauses_workers_and_lists_rate_limits(site: Site) -> None:
    async def pause(command: Command) -> None:
        assert isinstance(command, PauseWorker)
        change = "update broadaxe.worker set is_paused = $1 where id = $2"
        await site.seeds.pool.execute(change, command.is_paused, command.worker_id)

    site.engine.answer = pause
    worker_id = await site.seeds.worker()
    hatchet = Hatchet(config=ClientConfig(token=site.token))
    assert (await hatchet.workers.aio_pause(worker_id)).status == "PAUSED"
    assert (await hatchet.workers.aio_unpause(worker_id)).status == "ACTIVE"
    insert = (
        "insert into broadaxe.rate_limit (tenant_id, key, limit_value, value, window_us, last_refill_at) "
        "values ($1, $2, 10, $3, 3600000000, now())"
    )
    for key, value in (("openai", 7), ("other", 1)):
        await site.seeds.pool.execute(insert, site.seeds.tenant_id, key, value)
    limits = (await hatchet.rate_limits.aio_list()).rows or []
    assert [(row.key, row.limit_value, row.value) for row in limits] == [("openai", 10, 7), ("other", 10, 1)]
    assert [row.key for row in (await hatchet.rate_limits.aio_list(search="pena")).rows or []] == ["openai"]


async def test_the_official_client_reads_everything_it_offers(site: Site) -> None:
    made = await site.seeds.single()
    run_id = await site.seeds.run(
        made,
        status="COMPLETED",
        metadata={"customer": "acme"},
        task={"status": "COMPLETED", "output": '{"text":"hi"}'},
    )
    worker_id = await site.seeds.worker()
    event_id = await site.seeds.event("user:created")
    hatchet = Hatchet(config=ClientConfig(token=site.token))
    since = site.seeds.now - timedelta(hours=1)
    runs = await hatchet.runs.aio_list(since=since, additional_metadata={"customer": "acme"})
    assert [row.metadata.id for row in runs.rows] == [run_id]
    assert await hatchet.runs.aio_get_status(run_id) == "COMPLETED"
    assert await hatchet.runs.aio_get_result(run_id) == {"text": "hi"}
    assert (await hatchet.runs.aio_get_task_run(run_id)).task_external_id == run_id
    await hatchet.runs.aio_cancel(run_id)
    assert len(site.engine.commands) == 1
    assert [row.name for row in (await hatchet.workflows.aio_list()).rows or []] == ["greet"]
    assert (await hatchet.workflows.aio_get(made[0])).name == "greet"
    assert (await hatchet.workflows.aio_get_version(made[0])).workflow_id == made[0]
    assert (await hatchet.workers.aio_get(worker_id)).name == "worker-a"
    assert [row.metadata.id for row in (await hatchet.workers.aio_list()).rows or []] == [worker_id]
    assert (await hatchet.metrics.aio_get_task_metrics()).completed == 1
    assert await hatchet.metrics.aio_get_queue_metrics() == {}
    assert (await hatchet.logs.aio_list(run_id)).rows == []
    assert [row.metadata.id for row in (await hatchet.event.aio_list()).rows or []] == [event_id]
