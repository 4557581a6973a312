"""What live memory says over HTTP: reasons, time to come, keys and queues, each tenant's own only."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from broadaxe.core.commands.asked import Asked, Initiator, InitiatorKind
from broadaxe.core.commands.crons import CreateCron
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import RegisterWorker
from broadaxe.core.commands.workflows import PauseWorkflow, WhilePaused
from broadaxe.core.definition import ConcurrencyRule, LimitStrategy, RateLimitUse
from broadaxe.core.durations import US_PER_S
from broadaxe.rest.routers.waiting import routes
from broadaxe.storage import accounts
from broadaxe.storage.ids import new_id
from broadaxe.storage.statements import statement
from tests.core.test_durable import Program, event, sleep
from tests.core.world import World, task

if TYPE_CHECKING:
    from .conftest import Site


@pytest.fixture
def world(site: Site) -> World:
    """The tenant's memory, at the present time."""
    world = World(now_us=round(datetime.now(UTC).timestamp() * US_PER_S))
    site.engine.memories[site.seeds.tenant_id] = world
    return world


async def stored(site: Site, run_id: str) -> None:
    """The run is in the tables as well, as far as routes look there."""
    await site.seeds.run(await site.seeds.single(f"w{run_id[-4:]}"), id=run_id, task={})


async def rows(site: Site, path: str, **params: Any) -> list[dict[str, Any]]:
    answer = await site.client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


async def reason(site: Site, task_id: str) -> dict[str, Any]:
    await stored(site, task_id)
    (row,) = await rows(site, f"/api/v1/stable/tasks/{task_id}/waiting")
    return row


async def test_a_task_that_waits_for_a_slot(site: Site, world: World) -> None:
    world.put(task("a"))
    worker_id = world.worker("a", slots={"default": 1})
    running, waits = world.trigger(), world.trigger()
    row = await reason(site, waits)
    assert row.pop("since") and row.pop("expiresAt")
    assert row == {
        "runId": waits,
        "taskId": waits,
        "taskName": "a",
        "status": "QUEUED",
        "reason": "SLOT",
        "message": "The only slot of worker is in use; first in line",
        "placeInLine": 1,
        "actionId": "flow:a",
        "slotType": "default",
        "slotsNeeded": 1,
        "slotsUsed": 1,
        "slotsTotal": 1,
        "workers": [{"id": worker_id, "name": "worker"}],
        "workerCount": 1,
    }
    await stored(site, running)
    assert await rows(site, f"/api/v1/stable/tasks/{running}/waiting") == [], "it runs"


async def test_the_worker_that_was_there_last_is_named_from_the_tables(site: Site, world: World) -> None:
    world.put(task("a"))
    run = world.trigger()
    seen = datetime.now(UTC) - timedelta(days=2)
    for name, days in (("older", 5), ("gpu-1", 2)):
        at = datetime.now(UTC) - timedelta(days=days)
        await site.seeds.worker(name=name, actions=["x:y", "flow:a"], last_heartbeat_at=at)
    await site.seeds.worker(name="another", actions=["flow:b"])
    row = await reason(site, run)
    assert row["reason"] == "NO_WORKER"
    assert row["message"].startswith(f"No worker has offered flow:a since {seen:%H:%M}")
    assert row["message"].endswith("; the last one was gpu-1")
    assert [found["name"] for found in row["workers"]] == ["gpu-1"]


async def test_a_paused_workflow_and_a_key(site: Site, world: World) -> None:
    rule = ConcurrencyRule(expression="input.k", strategy=LimitStrategy.GROUP_ROUND_ROBIN)
    flow = world.put(msgspec.structs.replace(task("a"), concurrency=(rule,))).workflow_id
    world.worker("a")
    holder, waits = (world.trigger(run_input='{"k": "acme"}') for _ in range(2))
    row = await reason(site, waits)
    assert (row["reason"], row["key"], row["expression"], row["held"], row["maxRuns"]) == (
        "KEY",
        "acme",
        "input.k",
        1,
        1,
    )
    assert [(found["runId"], found["isRunning"]) for found in row["holders"]] == [(holder, True)]
    pause = PauseWorkflow(flow, 3_600 * US_PER_S, WhilePaused.QUEUE, WhilePaused.DROP)
    world.do(Asked(pause, Initiator(InitiatorKind.ACCOUNT, "", "ann@example.com")))
    (row,) = await rows(site, f"/api/v1/stable/tasks/{waits}/waiting")
    assert (row["reason"], row["workflowId"], row["workflowName"]) == ("PAUSED", flow, "flow")
    assert row["pausedBy"] == "ann@example.com"


async def test_an_event_that_is_waited_for_comes_with_a_payload_that_fits(site: Site, world: World) -> None:
    world.put(task("deep", service="deep", is_durable=True), name="deep")
    world.worker("deep:deep", slots={"durable": 1, "default": 1})
    program = Program(world)
    hard = "input.items.exists(i, i.ok)"
    program.wait(
        sleep(60, group=0), event("go", group=0, scope="s", expression="input.n > 4"), event("no", 1, expression=hard)
    )
    row = await reason(site, program.id)
    assert (row["reason"], row["status"], row["isEvicted"]) == ("CONDITION", "RUNNING", False)
    nap, go, no = row["waits"][0]["conditions"]
    assert nap["until"] == row["until"]
    assert go | {"group": 0} == {
        "group": 0,
        "isMet": False,
        "eventKey": "go",
        "scope": "s",
        "expression": "input.n > 4",
        "payload": '{"n":5}',
        "isPayloadTrue": True,
    }
    assert (no["payload"], no["isPayloadTrue"]) == ("{}", False)


async def test_a_run_tells_every_task_that_waits(site: Site, world: World) -> None:
    world.put(task("a"), task("b", "a"))
    run = world.trigger()
    await stored(site, run)
    found = await rows(site, f"/api/v1/stable/workflow-runs/{run}/waiting")
    assert [(row["taskName"], row["reason"], "taskId" in row) for row in found] == [
        ("a", "NO_WORKER", True),
        ("b", "PARENTS", False),
    ]
    several = await rows(site, f"{site.stable}/waiting", ids=[run, new_id()])
    assert several == found
    too_many = await site.client.get(f"{site.stable}/waiting", params={"ids": [new_id() for _ in range(101)]})
    assert too_many.status_code == 400


async def test_time_to_come_is_read_page_by_page_and_by_kind(site: Site, world: World) -> None:
    flow = world.put(task("a", schedule_timeout="2m")).workflow_id
    runs = [world.trigger() for _ in range(5)]
    await stored(site, runs[0])
    world.do(CreateCron(workflow_name="flow", name="tick", expression="*/5 * * * *", input="{}"))
    whole = await rows(site, f"{site.stable}/upcoming")
    assert sorted(row["kind"] for row in whole) == ["CRON", *["SCHEDULE_TIMEOUT"] * 5]
    walked: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {"limit": 4} | ({} if cursor is None else {"cursor": cursor})
        page = (await site.client.get(f"{site.stable}/upcoming", params=params)).json()
        walked += page["rows"]
        cursor = page["pagination"].get("next_cursor")
        if cursor is None:
            break
    assert walked == whole
    (cron,) = await rows(site, f"{site.stable}/upcoming", kinds=["CRON"])
    assert (cron["workflowId"], cron["workflowName"], cron["key"]) == (flow, "flow", "*/5 * * * *")
    by_run = {row.get("runId"): row for row in whole}
    assert by_run[runs[0]]["runName"] == f"w{runs[0][-4:]}-1", "its name is read from the tables"
    page = (await site.client.get(f"{site.stable}/upcoming", params={"limit": 1})).json()
    other_cursor = page["pagination"]["next_cursor"]
    other = await site.client.get(f"{site.stable}/upcoming", params={"kinds": "CRON", "cursor": other_cursor})
    assert other.status_code == 400
    unknown = await site.client.get(f"{site.stable}/upcoming", params={"kinds": "LUNCH"})
    assert unknown.status_code == 400


async def test_keys_and_queues_in_use(site: Site, world: World) -> None:
    rule = ConcurrencyRule(expression="input.k", strategy=LimitStrategy.GROUP_ROUND_ROBIN)
    flow = world.put(msgspec.structs.replace(task("a"), concurrency=(rule,))).workflow_id
    world.worker("a")
    for key in ("acme", "acme", "zenith"):
        world.trigger(run_input=json.dumps({"k": key}))
    world.put(task("b"), name="other")
    world.trigger("other")
    acme, zenith = await rows(site, f"{site.stable}/concurrency-keys")
    assert (acme["key"], acme["held"], acme["waiting"], acme["workflowName"], acme["taskName"]) == (
        "acme",
        1,
        1,
        "flow",
        "a",
    )
    assert (len(acme["holders"]), len(acme["waiters"])) == (1, 1)
    first = (await site.client.get(f"{site.stable}/concurrency-keys", params={"limit": 1})).json()
    cursor = first["pagination"]["next_cursor"]
    assert await rows(site, f"{site.stable}/concurrency-keys", limit=1, cursor=cursor) == [zenith]
    assert await rows(site, f"{site.stable}/concurrency-keys", search="ZEN", workflowId=flow) == [zenith]
    assert await rows(site, f"{site.stable}/concurrency-keys", workflowId=new_id()) == []
    (queue,) = await rows(site, f"{site.stable}/queues")
    assert queue.pop("oldest")
    assert queue == {"actionId": "flow:b", "waiting": 1, "workers": 0, "workersReady": 0}


async def test_tasks_that_ask_for_units_of_a_rate_limit(site: Site, world: World) -> None:
    named, worked_out = (
        RateLimitUse(key="mail", units=2),
        RateLimitUse(key_expression="input.k", limit_expression="10", units_expression="input.n"),
    )
    flow = world.put(msgspec.structs.replace(task("a"), rate_limits=(named,)), task("b")).workflow_id
    world.put(msgspec.structs.replace(task("c"), rate_limits=(worked_out,)), name="another")
    first, second = await rows(site, f"{site.stable}/rate-limit-users", key="mail")
    assert first == {"workflowId": flow, "workflowName": "flow", "taskName": "a", "units": 2}
    assert (second["workflowName"], second["keyExpression"], "units" in second) == ("another", "input.k", False)
    assert [row["taskName"] for row in await rows(site, f"{site.stable}/rate-limit-users", key="other")] == ["c"]


async def test_a_finished_task_waits_for_nothing_and_an_unknown_one_is_not_there(site: Site) -> None:
    run = await site.seeds.run(await site.seeds.single(), status="COMPLETED", task={"status": "COMPLETED"})
    for kind in ("tasks", "workflow-runs"):
        assert await rows(site, f"/api/v1/stable/{kind}/{run}/waiting") == []
        unknown = await site.client.get(f"/api/v1/stable/{kind}/{new_id()}/waiting")
        assert unknown.status_code == 404


async def test_every_route_is_closed_to_other_tenants(site: Site, world: World) -> None:
    world.put(task("a"))
    run = world.trigger()
    await stored(site, run)
    stranger = await site.seeds.account("Eve", "eve@example.com")
    theirs = await accounts.create_tenant(site.seeds.pool, "Eve's", "eve", stranger.id)
    login = {"email": "eve@example.com", "password": "Correct-horse-7"}
    assert (await site.anonymous.post("/api/v1/users/login", json=login)).status_code == 200
    paths = [route.path for route in routes.routes]  # type: ignore[attr-defined]
    assert len(paths) == 7
    for path in paths:
        asked = path.format(task=run, run=run, tenant=site.seeds.tenant_id)
        params = {"ids": run} if asked.endswith(f"{site.seeds.tenant_id}/waiting") else {"key": "k"}
        answer = await site.anonymous.get(asked, params=params)
        assert answer.status_code == (403 if "{tenant}" in path else 404), path
    own = await site.anonymous.get(f"/api/v1/stable/tenants/{theirs.id}/waiting", params={"ids": run})
    assert own.json()["rows"] == [], "its own memory does not know the run"


async def test_many_dead_workers_are_not_all_read(site: Site, world: World) -> None:
    world.put(task("a"))
    await site.seeds.pool.execute(
        """
        insert into broadaxe.worker (tenant_id, id, name, actions, slots, created_at, updated_at, last_heartbeat_at)
        select $1, gen_random_uuid(), 'w' || i, array['flow:a'], '{}', now(), now(), now() - i * interval '1 hour'
        from generate_series(1, 20000) as i
        """,
        site.seeds.tenant_id,
    )
    await site.seeds.pool.execute("vacuum analyze broadaxe.worker")
    text = await site.seeds.pool.fetchval(
        f"explain (analyze, buffers, format json) {statement('reads/last_workers')}", site.seeds.tenant_id, ["flow:a"]
    )
    plan = json.loads(text)[0]["Plan"]
    assert plan["Actual Rows"] == 1
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 60, text


async def test_a_backlog_is_told_by_page_and_not_by_task(site: Site, world: World) -> None:
    world.put(task("a"))
    world.do(RegisterWorker("w", ("flow:a",), {"default": 1}))
    world.do(TriggerRuns(tuple(RunRequest(workflow_name="flow", input="{}") for _ in range(300))))
    page = (await site.client.get(f"{site.stable}/upcoming", params={"limit": 500})).json()
    assert (len(page["rows"]), "next_cursor" in page["pagination"]) == (300, False)
    assert (await site.client.get(f"{site.stable}/upcoming", params={"limit": 501})).status_code == 400
