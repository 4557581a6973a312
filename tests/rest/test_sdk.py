"""The real SDK's own REST clients against the real server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hatchet_sdk import ClientConfig, Hatchet
from hatchet_sdk.clients.rest.models.v1_task_summary_list import V1TaskSummaryList
from hatchet_sdk.clients.rest.models.v1_webhook_list import V1WebhookList

from broadaxe.core.commands import Command
from broadaxe.core.commands.workers import PauseWorker
from broadaxe.storage.ids import new_id

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


async def test_the_official_client_reads_lists_that_tell_a_cursor(site: Site) -> None:
    made = await site.seeds.single()
    run_ids = [
        await site.seeds.run(made, status="COMPLETED", task={"status": "COMPLETED", "output": "{}"}) for _ in range(2)
    ]
    event_ids = [await site.seeds.event("user:created") for _ in range(2)]
    hatchet = Hatchet(config=ClientConfig(token=site.token))
    since = site.seeds.now - timedelta(hours=1)
    runs = await hatchet.runs.aio_list(since=since, limit=1)
    assert ([row.metadata.id for row in runs.rows], runs.pagination.num_pages) == (run_ids[1:], 2)
    events = await hatchet.event.aio_list(limit=1)
    assert [row.metadata.id for row in events.rows or []] == event_ids[1:]
    assert events.pagination is not None and events.pagination.num_pages == 2
    assert [row.name for row in (await hatchet.workflows.aio_list(limit=1)).rows or []] == ["greet"]
    # It can read what it does not ask for itself: a page without numbers, and lists that had no pagination.
    wanted = {"since": since.isoformat(), "only_tasks": "false", "limit": "1"}
    first = (await site.client.get(f"{site.stable}/workflow-runs", params=wanted)).json()
    wanted["cursor"] = first["pagination"]["next_cursor"]
    second = V1TaskSummaryList.from_dict((await site.client.get(f"{site.stable}/workflow-runs", params=wanted)).json())
    assert second is not None
    assert [row.metadata.id for row in second.rows] == run_ids[:1]
    for number in range(2):
        insert = (
            "insert into broadaxe.webhook (tenant_id, id, name, source, proof, secret, event_key_expression) "
            "values ($1, $2, $3, 'GENERIC', 'BASIC', '', $4)"
        )
        await site.seeds.pool.execute(insert, site.seeds.tenant_id, new_id(), f"hook-{number}", "'k'")
    body = (await site.client.get(f"{site.stable}/webhooks", params={"limit": 1})).json()
    webhooks = V1WebhookList.from_dict(body)
    assert webhooks is not None
    assert [row.name for row in webhooks.rows or []] == ["hook-1"]
    assert set(body["pagination"]) == {"next_cursor"}
