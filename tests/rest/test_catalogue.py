"""Workflows, workers, events, logs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import pytest
from hatchet_sdk.clients.rest.models.v1_event import V1Event
from hatchet_sdk.clients.rest.models.v1_event_list import V1EventList
from hatchet_sdk.clients.rest.models.v1_log_line_list import V1LogLineList
from hatchet_sdk.clients.rest.models.worker import Worker
from hatchet_sdk.clients.rest.models.worker_list import WorkerList
from hatchet_sdk.clients.rest.models.workflow import Workflow
from hatchet_sdk.clients.rest.models.workflow_list import WorkflowList
from hatchet_sdk.clients.rest.models.workflow_version import WorkflowVersion

from broadaxe.core.definition import TaskSpec
from broadaxe.errors import InvalidArgument, Unavailable
from broadaxe.storage import log_reads
from broadaxe.storage.ids import new_id
from broadaxe.storage.logs import LogStore

if TYPE_CHECKING:
    from .conftest import Site


async def test_workflows_are_found_by_name_with_the_exact_one_first(site: Site) -> None:
    exact = await site.seeds.single("greet")
    await site.seeds.single("greet-more")
    await site.seeds.single("other_100")
    listed = WorkflowList.from_dict(
        (await site.client.get(f"{site.tenant}/workflows", params={"name": "greet"})).json()
    )
    assert listed is not None
    assert [row.name for row in listed.rows or []] == ["greet", "greet-more"]
    assert (listed.rows or [])[0].metadata.id == exact[0]
    wild = await site.client.get(f"{site.tenant}/workflows", params={"name": "_"})
    assert [row["name"] for row in wild.json()["rows"]] == ["other_100"]
    empty = await site.client.get(f"{site.tenant}/workflows", params={"name": "nothing"})
    assert empty.json() == {"pagination": {"current_page": 1, "next_page": 1, "num_pages": 0}, "rows": []}


async def test_the_newest_run_of_each_workflow_is_told(site: Site) -> None:
    first, second = await site.seeds.single("greet"), await site.seeds.single("idle")
    await site.seeds.run(first, status="FAILED", task={"status": "FAILED"})
    newest = await site.seeds.run(first, status="COMPLETED", task={"status": "COMPLETED"})
    asked = {"workflow_ids": [first[0], second[0]]}
    answer = await site.client.get(f"{site.stable}/last-runs", params=asked)
    (row,) = answer.json()["rows"]
    assert (row["workflowId"], row["runExternalId"], row["status"]) == (first[0], newest, "COMPLETED")
    assert (await site.client.get(f"{site.stable}/last-runs")).status_code == 400


async def test_a_workflow_and_its_version_decode(site: Site) -> None:
    workflow_id, version_id, _ = await site.seeds.workflow(
        "greet",
        (TaskSpec(name="greet", action_id="greet:greet", schedule_timeout="90s"),),
        event_triggers=("user:created",),
        input_json_schema='{"type":"object"}',
    )
    got = Workflow.from_dict((await site.client.get(f"/api/v1/workflows/{workflow_id}")).json())
    assert got is not None
    assert [version.metadata.id for version in got.versions or []] == [version_id]
    answer = await site.client.get(f"/api/v1/workflows/{workflow_id}/versions")
    version = WorkflowVersion.from_dict(answer.json())
    assert version is not None
    assert version.triggers is not None
    assert [trigger.event_key for trigger in version.triggers.events or []] == ["user:created"]
    assert (version.schedule_timeout, version.input_json_schema) == ("1m30s", {"type": "object"})
    assert "v1Concurrency" in answer.json()
    missing = await site.client.get(f"/api/v1/workflows/{workflow_id}/versions", params={"version": new_id()})
    assert missing.status_code == 404


async def test_workers_show_free_slots_and_derived_status(site: Site) -> None:
    made = await site.seeds.single()
    busy = await site.seeds.worker(last_heartbeat_at=site.seeds.now + timedelta(hours=1))
    await site.seeds.worker(last_heartbeat_at=site.seeds.now - timedelta(seconds=20), name="silent")
    # The row of a worker that is heard of does not get every heartbeat.
    seen = {name: site.seeds.now - timedelta(seconds=s) for name, s in (("connected", 6), ("frozen", 31))}
    connected, frozen = [
        await site.seeds.worker(last_heartbeat_at=at, is_listening=True, name=name, labels="{}")
        for name, at in seen.items()
    ]
    for worker_id, status in ((connected, "ACTIVE"), (frozen, "INACTIVE")):
        assert (await site.client.get(f"/api/v1/workers/{worker_id}")).json()["status"] == status
    await site.seeds.worker(
        last_heartbeat_at=site.seeds.now - timedelta(days=2), created_at=site.seeds.now - timedelta(days=3), name="gone"
    )
    run_id = await site.seeds.run(made, status="RUNNING", task={"status": "RUNNING", "worker_id": busy})
    await site.seeds.run(made, status="RUNNING", task={"status": "RUNNING", "worker_id": busy, "slot_released": True})
    listed = WorkerList.from_dict((await site.client.get(f"{site.tenant}/worker")).json())
    assert listed is not None
    assert {row.name: row.status for row in listed.rows or []} == {
        "worker-a": "ACTIVE",
        "silent": "INACTIVE",
        "connected": "ACTIVE",
        "frozen": "INACTIVE",
    }
    for query, names in (
        ({"statuses": "INACTIVE"}, ["frozen", "silent"]),
        ({"labels": "gpu:2"}, ["silent", "worker-a"]),
        ({"labels": "gpu:3"}, []),
        ({"labels": ["gpu:2", "gpu:3"]}, ["silent", "worker-a"]),
        ({"labels": ["gpu:3", "gpu:2"]}, ["silent", "worker-a"]),
        ({"labels": ["gpu:2", "zone:a"]}, []),
    ):
        rows = (await site.client.get(f"{site.tenant}/worker", params=query)).json()["rows"]
        assert sorted(row["name"] for row in rows) == names
    assert (await site.client.get(f"{site.tenant}/worker", params={"labels": "gpu"})).status_code == 400
    one = Worker.from_dict((await site.client.get(f"/api/v1/workers/{busy}")).json())
    assert one is not None
    assert one.slot_config is not None
    assert (one.slot_config["default"].limit, one.slot_config["default"].available) == (10, 9)
    assert [slot.step_run_id for slot in one.slots or []] == [run_id]
    assert [workflow.name for workflow in one.registered_workflows or []] == ["greet"]
    assert one.runtime_info is not None
    assert (one.runtime_info.language, one.runtime_info.sdk_version) == ("PYTHON", "1.43.1")


async def test_events_come_with_the_runs_they_started(site: Site) -> None:
    made = await site.seeds.single()
    event_id = await site.seeds.event("user:created", additional_metadata='{"k":"v"}', scope="acme")
    await site.seeds.event("user:deleted")
    run_id = await site.seeds.run(made, status="COMPLETED", triggering_event_id=event_id, task={"status": "COMPLETED"})
    listed = V1EventList.from_dict(
        (await site.client.get(f"{site.stable}/events", params={"keys": "user:created"})).json()
    )
    assert listed is not None
    [row] = listed.rows or []
    assert [str(run.workflow_run_id) for run in row.triggered_runs or []] == [run_id]
    assert row.workflow_run_summary.succeeded == 1
    assert row.payload == {"n": 1}
    for query, count in (
        ({"scopes": "acme"}, 1),
        ({"additionalMetadata": "k:v"}, 1),
        ({"workflowRunStatuses": "COMPLETED"}, 1),
        ({"workflowRunStatuses": "FAILED"}, 0),
        ({"workflowIds": made[0]}, 1),
        ({"eventIds": [event_id, new_id()]}, 1),
        ({}, 2),
    ):
        assert len((await site.client.get(f"{site.stable}/events", params=query)).json()["rows"]) == count, query
    assert (await site.client.get(f"{site.stable}/events/keys")).json() == {"rows": ["user:created", "user:deleted"]}
    assert V1Event.from_dict((await site.client.get(f"{site.stable}/events/{event_id}")).json()) is not None
    assert (await site.client.get(f"/api/v1/events/{event_id}/data")).json() == {"data": '{"n":1}'}
    triggered = await site.client.get(
        f"{site.stable}/workflow-runs",
        params={
            "since": "2025-01-01T00:00:00Z",
            "only_tasks": "false",
            "triggering_event_external_id": event_id,
        },
    )
    assert [entry["metadata"]["id"] for entry in triggered.json()["rows"]] == [run_id]


async def test_log_lines_are_stored_in_order_and_found_again(site: Site) -> None:
    made = await site.seeds.single()
    run_id = await site.seeds.run(made, task={})
    store = LogStore(site.seeds.pool)
    store.start()
    for number in range(3):
        store.add(
            site.seeds.tenant_id,
            run_id,
            number // 2,
            "ERROR" if number == 2 else None,
            f"line {number} 100%",
            '{"n":1}' if number == 0 else None,
            site.seeds.now + timedelta(seconds=number),
        )
    await store.flush()
    url = f"/api/v1/stable/tasks/{run_id}/logs"
    lines = V1LogLineList.from_dict((await site.client.get(url, params={"limit": 1000})).json())
    assert lines is not None
    assert [line.message for line in lines.rows or []] == ["line 0 100%", "line 1 100%", "line 2 100%"]
    assert [line.level for line in lines.rows or []] == ["INFO", "INFO", "ERROR"]
    assert (lines.rows or [])[0].metadata == {"n": 1}
    for query, numbers in (
        ({"order_by_direction": "DESC", "limit": 2}, [2, 1]),
        ({"levels": "ERROR"}, [2]),
        ({"attempt": 1}, [0, 1]),
        ({"search": "LINE 1"}, [1]),
        ({"search": "0%"}, [0, 1, 2]),
        ({"search": "e_1"}, []),
        ({"since": site.seeds.now.isoformat()}, [1, 2]),
        ({"until": (site.seeds.now + timedelta(seconds=1)).isoformat()}, [0]),
    ):
        for target in (url, f"{site.stable}/logs"):
            rows = (await site.client.get(target, params=query)).json()["rows"]
            assert [row["message"] for row in rows] == [f"line {number} 100%" for number in numbers], (target, query)
    only = await site.client.get(f"{site.stable}/logs", params={"taskExternalIds": new_id()})
    assert only.json()["rows"] == []
    points = (await site.client.get(f"{site.stable}/log-point-metrics")).json()["results"]
    assert sum(point["INFO"] for point in points) + sum(point["ERROR"] for point in points) >= 1
    await store.stop()
    with pytest.raises(Unavailable):
        store.add(site.seeds.tenant_id, run_id, 0, None, "late", None, site.seeds.now)


async def test_of_many_lines_the_latest_are_counted_and_since_when_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, now = LogStore(site.seeds.pool), site.seeds.now
    store.start()
    for age in range(4):
        level = "ERROR" if age == 3 else "INFO"
        store.add(site.seeds.tenant_id, new_id(), 0, level, f"{age}", None, now - timedelta(minutes=age))
    await store.stop()

    async def counted() -> tuple[int, int, str | None]:
        answer = (await site.client.get(f"{site.stable}/log-point-metrics")).json()
        sums = [sum(point[level] for point in answer["results"]) for level in ("INFO", "ERROR")]
        return sums[0], sums[1], answer.get("countedSince")

    assert await counted() == (3, 1, None)
    monkeypatch.setattr(log_reads, "LINES_LOOKED_AT_MAX", 2)
    infos, errors, since = await counted()
    assert (infos, errors) == (2, 0)
    assert since is not None
    assert datetime.fromisoformat(since) == now - timedelta(minutes=2)


async def test_a_line_postgres_cannot_hold_does_not_take_its_neighbours_along(pool: asyncpg.Pool, site: Site) -> None:
    store = LogStore(pool)
    task_id = new_id()
    for message, retry_count in (("a", 0), ("b", 2**31), ("c\0", 0)):
        store.add(site.seeds.tenant_id, task_id, retry_count, None, message, None, site.seeds.now)
    store.start()
    await store.stop()
    stored = await pool.fetch("select message from broadaxe.log_line order by id")
    assert [row["message"] for row in stored] == ["a", "c\N{REPLACEMENT CHARACTER}"]
    assert store.dropped == 1
    for level, message, metadata in (("LOUD", "x", None), ("INFO", "", None), ("INFO", "x", "[]")):
        with pytest.raises(InvalidArgument):
            LogStore(pool).add(site.seeds.tenant_id, task_id, 0, level, message, metadata, site.seeds.now)
