"""Crons and scheduled runs with the official SDK, and what a killed engine does to them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any

import grpc
import pytest
from gallery.cue import Cue
from google.protobuf.timestamp_pb2 import Timestamp
from hatchet_sdk import Hatchet
from hatchet_sdk.clients.rest.exceptions import ApiException, BadRequestException, NotFoundException
from hatchet_sdk.clients.rest.models.scheduled_workflows_bulk_update_item import ScheduledWorkflowsBulkUpdateItem
from hatchet_sdk.contracts.workflows_pb2 import ScheduleWorkflowRequest, WorkflowVersion
from hatchet_sdk.types.priority import Priority
from lean_client import LeanClient, Task
from wirekit import PATIENCE_S, EngineProcess, Rest, Stage, StartWorker, eventually

SECOND = timedelta(seconds=1)
#: Up to this age every tick that was missed is made up for.
LATE_MAX = 10 * SECOND
TICK = "hatchet__cron_scheduled_at"

instant = datetime.fromisoformat


def now() -> datetime:
    return datetime.now(UTC)


def declare(client: Hatchet, name: str, **options: Any) -> None:
    """Registers a workflow that nobody serves."""
    workflow = client.workflow(name=name, input_validator=Cue, **options)

    @workflow.task(name="only")
    async def only(cue: Cue, ctx: object) -> None: ...

    client._client.admin.put_workflow(workflow.to_proto())


async def runs_of(rest: Rest, workflow_id: str, least: int = 1, within_s: float = PATIENCE_S) -> list[dict[str, Any]]:
    """The workflow's runs, oldest first, as soon as there are so many."""
    since = (now() - timedelta(hours=1)).isoformat()

    async def look() -> list[dict[str, Any]]:
        return await rest.runs(since=since, only_tasks="false", workflow_ids=workflow_id)

    rows = await eventually(
        look, until=lambda rows: len(rows) >= least, what=f"{least} runs of {workflow_id}", within_s=within_s
    )
    return sorted(rows, key=lambda row: row["createdAt"])


# Crons ----------------------------------------------------------------------------------------------------------------


async def test_a_declared_cron_runs_with_its_input_and_says_which_tick_it_was(
    engine: EngineProcess, rest: Rest, key: str
) -> None:
    """Every two seconds: checklist line 40."""
    client = engine.client()
    declare(client, key, on_crons=["*/2 * * * * *"], cron_input=Cue(key=key, n=7))
    (cron,) = (await client.cron.aio_list(workflow_name=key)).rows or []
    assert (cron.cron, cron.method, cron.enabled, cron.name) == ("*/2 * * * * *", "DEFAULT", True, None)
    assert cron.input is not None and cron.input["n"] == 7
    rows = (await runs_of(rest, cron.workflow_id, 3))[:3]
    ticks = [datetime.fromisoformat(row["additionalMetadata"]["hatchet__cron_scheduled_at"]) for row in rows]
    assert all(tick.second % 2 == 0 and tick.microsecond == 0 for tick in ticks)
    assert [after - before for before, after in pairwise(ticks)] == [2 * SECOND] * 2
    for row, tick in zip(rows, ticks, strict=True):
        assert timedelta(0) <= datetime.fromisoformat(row["createdAt"]) - tick < 2 * SECOND
        assert row["additionalMetadata"]["hatchet__cron_expression"] == "*/2 * * * * *"
        assert row["input"]["key"] == key
    await client.cron.aio_delete(cron.metadata.id)


async def test_tasks_are_told_what_made_their_run(
    engine: EngineProcess, lean: LeanClient, rest: Rest, key: str
) -> None:
    """grpc specification 5.2: SDKs compare `triggered_by` with `cron`, `event` and `schedule`."""
    await lean.put_workflow(key, [Task("only")])
    client = engine.client()
    actions = lean.listen(await lean.register([f"{key}:only"], 3))
    cron = await client.cron.aio_create(key, "told", "0 0 1 1 *", {}, {"a": ["hatchet__cron_expression"]})
    await lean.trigger(key, {"text": '"hatchet__cron_expression":'})
    by_hand = await asyncio.wait_for(anext(actions), 10)
    assert json.loads(by_hand.action_payload)["triggered_by"] == "manual"
    await rest._post(f"/api/v1/tenants/{client.tenant_id}/workflows/crons/{cron.metadata.id}", {})
    by_cron = await asyncio.wait_for(anext(actions), 10)
    assert json.loads(by_cron.action_payload)["triggered_by"] == "cron"
    await client.cron.aio_delete(cron.metadata.id)
    await client.scheduled.aio_create(key, now(), {}, {})
    by_schedule = await asyncio.wait_for(anext(actions), 10)
    assert json.loads(by_schedule.action_payload)["triggered_by"] == "schedule"
    shown = [
        (await rest.run(action.workflow_run_id))["run"]["triggeredBy"] for action in (by_hand, by_cron, by_schedule)
    ]
    assert shown == ["MANUAL", "CRON", "SCHEDULE"]


async def test_a_cron_by_api_is_made_listed_switched_off_and_deleted(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    made = await hatchet.cron.aio_create(
        "echo", key, "* * * * * *", {"key": key, "n": 1}, {"customer": key}, priority=Priority.HIGH
    )
    assert (made.workflow_name, made.name, made.cron, made.method, made.enabled) == (
        "echo", key, "* * * * * *", "API", True,
    )  # fmt: skip
    assert (made.priority, made.additional_metadata) == (3, {"customer": key})
    (signal, *_) = await stage.heard(key, "echo", count=2)
    assert signal.data["n"] == 1
    listed = await hatchet.cron.aio_list(cron_name=key, additional_metadata={"customer": key})
    assert [row.metadata.id for row in listed.rows or []] == [made.metadata.id]
    assert (await hatchet.cron.aio_get(made.metadata.id)).name == key
    with pytest.raises(BadRequestException):
        await hatchet.cron.aio_create("echo", key, "* * * * * *", {}, {})
    run = (await rest.runs(since=made.metadata.created_at.isoformat(), only_tasks="false"))[0]
    assert run["additionalMetadata"]["hatchet__cron_name"] == key
    await hatchet.cron.aio_delete(made.metadata.id)
    with pytest.raises(NotFoundException):
        await asyncio.wait_for(hatchet.cron.aio_get(made.metadata.id), 120)


async def test_a_disabled_cron_is_silent_and_can_be_run_by_hand(
    engine: EngineProcess, lean: LeanClient, rest: Rest, key: str
) -> None:
    ids = await lean.put_workflow(key, [Task("only")])
    client = engine.client()
    cron = await client.cron.aio_create(key, "by-hand", "* * * * * *", {}, {})
    path = f"/api/v1/tenants/{client.tenant_id}/workflows/crons/{cron.metadata.id}"
    assert (await rest._http.patch(path, json={"enabled": False})).status_code == 204
    silent_since = len(await runs_of(rest, ids.workflow_id, 0))
    # Another cron shows that the time has passed: two of its ticks come after the disabled one would have had its own.
    await lean.put_workflow(f"{key}-watch", [Task("only")])
    watch = await client.cron.aio_create(f"{key}-watch", "watch", "* * * * * *", {}, {})
    await runs_of(rest, watch.workflow_id, 3)
    assert len(await runs_of(rest, ids.workflow_id, 0)) == silent_since
    run_id = (await rest._post(path, {}))["externalId"]
    assert run_id in {row["metadata"]["id"] for row in await runs_of(rest, ids.workflow_id, silent_since + 1)}
    assert (await rest._http.patch(path, json={"enabled": True})).status_code == 204
    await runs_of(rest, ids.workflow_id, silent_since + 2)
    for made in (cron, watch):
        await client.cron.aio_delete(made.metadata.id)


async def test_a_new_version_replaces_declared_crons_and_keeps_those_of_the_api(
    engine: EngineProcess, key: str
) -> None:
    client = engine.client()
    declare(client, key, on_crons=["0 0 1 1 *", "CRON_TZ=Europe/Berlin 30 2 * * *"])
    await client.cron.aio_create(key, "mine", "@yearly", {}, {})
    declare(client, key, on_crons=["0 0 2 1 *"])
    rows = (await client.cron.aio_list(workflow_name=key)).rows or []
    assert {(row.cron, row.method) for row in rows} == {("0 0 2 1 *", "DEFAULT"), ("@yearly", "API")}
    assert len({row.workflow_version_id for row in rows}) == 1


async def test_a_cron_that_cannot_be_read_refuses_the_registration(engine: EngineProcess, key: str) -> None:
    with pytest.raises(grpc.RpcError, match=r"cron_triggers\[1\]") as refused:
        declare(engine.client(), key, on_crons=["* * * * *", "0 0 30 2 *"])
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("workflow", "name", "expression"),
    [("nobody", "n", "* * * * *"), ("echo", "", "* * * * *"), ("echo", "n", "99 * * * *")],
)
async def test_a_bad_cron_is_refused(hatchet: Hatchet, workflow: str, name: str, expression: str) -> None:
    with pytest.raises(BadRequestException):
        await hatchet.cron.aio_create(workflow, name, expression, {}, {})


# Schedules ------------------------------------------------------------------------------------------------------------


async def test_a_scheduled_run_comes_at_its_instant(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    echo = hatchet.stubs.workflow(name="echo", input_validator=Cue)
    at = now() + 2 * SECOND
    version = await echo.aio_schedule(at, Cue(key=key, n=5), additional_metadata={"customer": key})
    (planned,) = version.scheduled_workflows
    assert version.workflow_id and version.order >= 1
    row = await hatchet.scheduled.aio_get(planned.id)
    assert row.workflow_name == "echo" and row.workflow_run_id is None and row.method == "API"
    assert abs(row.trigger_at - at) < SECOND / 1000
    (signal,) = await stage.heard(key, "echo")
    assert signal.data["n"] == 5
    (run,) = await rest.runs(since=at.isoformat(), only_tasks="false", additional_metadata=f"customer:{key}")
    assert timedelta(0) <= datetime.fromisoformat(run["createdAt"]) - at < SECOND
    listed = await hatchet.scheduled.aio_list(additional_metadata={"customer": key})
    assert listed.rows == []


async def test_a_past_instant_is_now_and_only_once(hatchet: Hatchet, stage: Stage, key: str) -> None:
    """Checklist line 41."""
    planned = await hatchet.scheduled.aio_create("ECHO", now() - timedelta(days=3), {"key": key}, {})
    assert planned.workflow_name == "echo"
    await stage.heard(key, "echo")
    later = await hatchet.scheduled.aio_create("echo", now() + SECOND, {"key": f"{key}-later"}, {})
    await stage.heard(f"{key}-later", "echo")
    assert len(stage.told(key, "echo")) == 1 and later.metadata.id != planned.metadata.id


async def test_schedules_are_moved_deleted_and_listed(hatchet: Hatchet, stage: Stage, key: str) -> None:
    far, tag = now() + timedelta(days=30), {"tag": key}
    planned = [
        await hatchet.scheduled.aio_create("echo", far + n * SECOND, {"key": f"{key}-{n}"}, tag) for n in range(6)
    ]
    ids = [row.metadata.id for row in planned]
    listed = await hatchet.scheduled.aio_list(additional_metadata=tag)
    assert [row.metadata.id for row in listed.rows or []] == ids[::-1]
    soon = now() + SECOND / 2
    assert (await hatchet.scheduled.aio_update(ids[0], soon)).metadata.id == ids[0]
    gone = "00000000-0000-4000-8000-00000000ffff"
    updated = await hatchet.scheduled.aio_bulk_update(
        [
            ScheduledWorkflowsBulkUpdateItem(id=ids[1], triggerAt=soon),
            ScheduledWorkflowsBulkUpdateItem(id=gone, triggerAt=soon),
        ]
    )
    assert updated.updated_ids == [ids[1]] and [error.id for error in updated.errors] == [gone]
    await stage.heard(f"{key}-0", "echo")
    await stage.heard(f"{key}-1", "echo")
    await hatchet.scheduled.aio_delete(ids[2])
    deleted = await hatchet.scheduled.aio_bulk_delete(scheduled_ids=[ids[3], ids[0]])
    assert deleted.deleted_ids == [ids[3]] and [error.id for error in deleted.errors] == [ids[0]]
    deleted = await hatchet.scheduled.aio_bulk_delete(additional_metadata=tag)
    assert sorted(deleted.deleted_ids) == sorted(ids[4:]) and deleted.errors == []
    assert (await hatchet.scheduled.aio_list(additional_metadata=tag)).rows == []
    with pytest.raises(ApiException):
        await hatchet.scheduled.aio_update(ids[5], soon)


async def test_many_instants_in_one_request_keep_their_order(lean: LeanClient, engine: EngineProcess, key: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    schedule = lean._unary("/WorkflowService/ScheduleWorkflow", WorkflowVersion)
    at = [Timestamp(seconds=2_000_000_000 + n) for n in (3, 1, 2)]
    reply = await schedule(ScheduleWorkflowRequest(name=key, schedules=at, input="{}"))
    assert [planned.trigger_at for planned in reply.scheduled_workflows] == at
    rows = (await engine.client().scheduled.aio_list(workflow_id=reply.workflow_id)).rows or []
    assert [row.metadata.id for row in rows] == [reply.scheduled_workflows[n].id for n in (0, 2, 1)]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "nobody"}, grpc.StatusCode.NOT_FOUND),
        ({"name": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"schedules": []}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"input": "[1]"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"additional_metadata": "1"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"priority": 9}, grpc.StatusCode.INVALID_ARGUMENT),
        (
            {
                "parent_id": "00000000-0000-4000-8000-00000000ffff",
                "parent_task_run_external_id": "00000000-0000-4000-8000-00000000ffff",
                "child_index": 0,
                "child_key": "a\x00b",
            },
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        ({"parent_id": "00000000-0000-4000-8000-00000000ffff"}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_cannot_be_scheduled_is_refused(
    lean: LeanClient, key: str, change: dict[str, Any], code: grpc.StatusCode
) -> None:
    await lean.put_workflow(key, [Task("only")])
    request: dict[str, Any] = {"name": key, "schedules": [Timestamp(seconds=2_000_000_000)], "input": "{}"} | change
    schedule = lean._unary("/WorkflowService/ScheduleWorkflow", WorkflowVersion)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await schedule(ScheduleWorkflowRequest(**request))
    assert refused.value.code() is code


# The engine dies ------------------------------------------------------------------------------------------------------


async def test_the_engine_killed_round_ticks_makes_no_tick_twice_and_makes_up_for_missed_ones(
    own_engine: EngineProcess, key: str
) -> None:
    """A tick may be passed over only when it is older than ten seconds when the next one is decided, which the
    run's own row tells: how long a start or a commit takes does not matter."""
    client = own_engine.client()
    declare(client, key, on_crons=["* * * * * *"])
    (cron,) = (await client.cron.aio_list(workflow_name=key)).rows or []
    query = {"since": (now() - timedelta(hours=1)).isoformat(), "only_tasks": "false", "limit": "1000"}

    async def ticks_until(wanted: datetime) -> list[tuple[datetime, datetime]]:
        """Every tick and when it was decided, in the order of ticks, as soon as one has come that is not before that
        instant."""

        async def look() -> list[tuple[datetime, datetime]]:
            rows = await rest.runs(workflow_ids=cron.workflow_id, **query)
            return sorted((instant(row["additionalMetadata"][TICK]), instant(row["createdAt"])) for row in rows)

        async with Rest(own_engine.url, own_engine.token, client.tenant_id) as rest:
            return await eventually(
                look, until=lambda ticks: bool(ticks) and ticks[-1][0] >= wanted, what=f"a tick at {wanted}"
            )

    back_at = now()
    for round_ in range(3):
        # Killed at the very moment of a tick, or a little before or after it.
        (last, _) = (await ticks_until(back_at))[-1]
        await asyncio.sleep(max(0.0, (last + 2 * SECOND - now()).total_seconds()) + round_ / 500)
        await own_engine.kill()
        await own_engine.start()
        back_at = now()
    decided = await ticks_until(back_at)
    assert all(before[0] < after[0] for before, after in pairwise(decided)), "a tick came twice"
    for (before, _), (after, decided_at) in pairwise(decided):
        is_passed_over = after - before > SECOND
        assert not is_passed_over or decided_at - (after - SECOND) > LATE_MAX, f"not made up for after {before}"


async def test_a_schedule_that_came_due_while_the_engine_was_away_runs_once(
    own_engine: EngineProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    await start_worker(engine=own_engine)
    client = own_engine.client()
    at = now() + SECOND
    await client.scheduled.aio_create("echo", at, {"key": key}, {})
    await own_engine.kill()
    await asyncio.sleep(max(0.0, (at - now()).total_seconds()))
    await own_engine.start()
    await stage.heard(key, "echo")
    await own_engine.kill()
    await own_engine.start()
    await client.scheduled.aio_create("echo", now(), {"key": f"{key}-after"}, {})
    await stage.heard(f"{key}-after", "echo")
    assert len(stage.told(key, "echo")) == 1


async def test_acknowledged_schedules_each_run_once_whatever_is_killed(own_engine: EngineProcess, key: str) -> None:
    """Schedules pour in, due within a second or two, while the engine is killed three times."""
    acknowledged: dict[str, int] = {}
    numbers = count()
    async with LeanClient(own_engine.address, own_engine.token) as client:
        workflow_id = (await client.put_workflow(key, [Task("only")])).workflow_id

    async def pour(client: LeanClient, goal: int, enough: asyncio.Event) -> None:
        schedule = client._unary("/WorkflowService/ScheduleWorkflow", WorkflowVersion)
        while True:
            n = next(numbers)
            at = Timestamp()
            at.FromDatetime(now() + (n % 20) * SECOND / 10)
            request = ScheduleWorkflowRequest(name=key, schedules=[at], input=f'{{"n":{n}}}')
            try:
                reply = await schedule(request)
            except grpc.aio.AioRpcError as error:
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), error
                return
            acknowledged[reply.scheduled_workflows[0].id] = n
            if len(acknowledged) >= goal:
                enough.set()

    for goal in (100, 200, 300):
        enough = asyncio.Event()
        async with LeanClient(own_engine.address, own_engine.token) as client, asyncio.TaskGroup() as group:
            for _ in range(10):
                group.create_task(pour(client, goal, enough))
            await enough.wait()
            await own_engine.kill()
        await own_engine.start()

    sdk = own_engine.client()
    async with Rest(own_engine.url, own_engine.token, sdk.tenant_id) as rest:
        await eventually(
            lambda: sdk.scheduled.aio_list(workflow_id=workflow_id),
            until=lambda listed: not listed.rows,
            what="every schedule has fired",
        )
        since = (now() - timedelta(hours=1)).isoformat()
        rows: list[dict[str, Any]] = []
        while len(page := await rest.runs(
            since=since, only_tasks="false", workflow_ids=workflow_id, limit="500", offset=str(len(rows)),
        )) > 0:  # fmt: skip
            rows += page
    made = Counter(row["input"]["n"] for row in rows)
    assert set(made.values()) == {1}, "each schedule made one run"
    assert set(acknowledged.values()) <= set(made)
    # One may have been committed without its answer getting out: at most one per caller and crash.
    assert len(made) - len(acknowledged) <= 3 * 10
