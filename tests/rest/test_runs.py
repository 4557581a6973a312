"""Run lists and run pages, decoded with the real SDK's strict models."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hatchet_sdk.clients.rest.models.v1_task_event_list import V1TaskEventList
from hatchet_sdk.clients.rest.models.v1_task_run_metric import V1TaskRunMetric
from hatchet_sdk.clients.rest.models.v1_task_summary import V1TaskSummary
from hatchet_sdk.clients.rest.models.v1_task_summary_list import V1TaskSummaryList
from hatchet_sdk.clients.rest.models.v1_task_timing_list import V1TaskTimingList
from hatchet_sdk.clients.rest.models.v1_workflow_run_details import V1WorkflowRunDetails
from hatchet_sdk.clients.rest.models.v1_workflow_run_display_name_list import V1WorkflowRunDisplayNameList

from broadaxe.core.definition import TaskSpec
from broadaxe.storage.ids import new_id

if TYPE_CHECKING:
    from .conftest import Site

DIAMOND = (
    TaskSpec(name="extract", action_id="etl:extract"),
    TaskSpec(name="left", action_id="etl:left", parents=("extract",)),
    TaskSpec(name="right", action_id="etl:right", parents=("extract",)),
    TaskSpec(name="load", action_id="etl:load", parents=("left", "right")),
)


async def _list(site: Site, **query: object) -> V1TaskSummaryList:
    since = (site.seeds.now - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    answer = await site.client.get(
        f"{site.stable}/workflow-runs", params={"since": since, "only_tasks": "false"} | query
    )
    assert answer.status_code == 200, answer.text
    found = V1TaskSummaryList.from_dict(answer.json())
    assert found is not None
    return found


async def test_a_finished_single_task_run_shows_input_output_and_times(site: Site) -> None:
    made = await site.seeds.single()
    run_id = await site.seeds.run(
        made,
        status="COMPLETED",
        input='{"name":"Ada","deep":{"nothing":null}}',
        metadata={"customer": "acme"},
        task={"status": "COMPLETED", "output": '{"text":"hi","none":null}', "retry_count": 1},
    )
    page = await _list(site)
    row = page.rows[0]
    assert (row.metadata.id, row.task_external_id, row.workflow_run_external_id) == (run_id,) * 3
    assert (row.type, row.status, row.attempt, row.duration) == ("DAG", "COMPLETED", 2, 2000)
    assert row.input == {"name": "Ada", "deep": {"nothing": None}}
    assert row.output == {"text": "hi", "none": None}
    assert row.additional_metadata == {"customer": "acme"}
    assert row.children is None
    assert page.pagination.num_pages == 1

    details = await site.client.get(f"/api/v1/stable/workflow-runs/{run_id}")
    decoded = V1WorkflowRunDetails.from_dict(details.json())
    assert decoded is not None
    assert decoded.run.output == {"text": "hi", "none": None}
    assert decoded.tasks[0].input == {"name": "Ada", "deep": {"nothing": None}}
    assert [item.task_external_id for item in decoded.shape] == [run_id]
    assert (await site.client.get(f"/api/v1/stable/workflow-runs/{run_id}/status")).json() == "COMPLETED"


@pytest.mark.parametrize("levels", [200, 201, 900, 100_000], ids=str)
async def test_a_payload_however_deep_does_not_take_the_list_with_it(site: Site, levels: int) -> None:
    made = await site.seeds.single()
    deep = '{"a":' * levels + "1" + "}" * levels
    run_id = await site.seeds.run(made, input=deep, status="COMPLETED", task={"status": "COMPLETED", "output": deep})
    await site.seeds.run(made, input='{"b":1}', task={})
    plain, shown = sorted((await _list(site)).rows, key=lambda row: "b" not in row.input)
    assert plain.input == {"b": 1}
    details = await site.client.get(f"/api/v1/stable/workflow-runs/{run_id}")
    assert details.status_code == 200
    value, seen = shown.input, 0
    while isinstance(value, dict) and value:
        value, seen = value["a"], seen + 1
    match levels:
        case 200:
            assert (value, seen) == (1, 200)
        case 201 | 900:
            assert (value, seen) == ('{"a":' * (levels - 200) + "1" + "}" * (levels - 200), 200)
        case _:
            # Nothing that deep gets in; if it were there, nobody could read it.
            assert shown.input == {}


async def test_instants_have_six_digits_and_z(site: Site) -> None:
    made = await site.seeds.single()
    run_id = await site.seeds.run(made, created_at=site.seeds.now.replace(microsecond=0), task={})
    run = (await site.client.get(f"/api/v1/stable/workflow-runs/{run_id}")).json()["run"]
    assert run["createdAt"].endswith(".000000Z")
    assert "startedAt" not in run
    assert "finishedAt" not in run


async def test_a_dag_shows_its_members_and_the_shape_of_what_is_still_to_come(site: Site) -> None:
    made = await site.seeds.workflow("etl", DIAMOND)
    run_id = await site.seeds.run(made, status="RUNNING", input='{"n":1}')
    first = await site.seeds.task(made, run_id, "extract", status="COMPLETED", output='{"rows":3}')
    left = await site.seeds.task(made, run_id, "left", status="RUNNING")
    await site.seeds.history(left, ("QUEUED", 0), ("ASSIGNED", 0), ("STARTED", 0))
    answer = await site.client.get(f"/api/v1/stable/workflow-runs/{run_id}")
    details = V1WorkflowRunDetails.from_dict(answer.json())
    assert details is not None
    assert {item.task_name: item.task_external_id for item in details.shape} == {
        "extract": first,
        "left": left,
        "right": "00000000-0000-0000-0000-000000000000",
        "load": "00000000-0000-0000-0000-000000000000",
    }
    by_name = {item.task_name: item for item in details.shape}
    assert set(by_name["extract"].children_step_ids) == {by_name["left"].step_id, by_name["right"].step_id}
    assert by_name["load"].children_step_ids == []
    running = next(task for task in details.tasks if task.task_external_id == left)
    assert running.input == {"input": {"n": 1}, "parents": {"extract": {"rows": 3}}}
    assert running.started_at == site.seeds.now + timedelta(seconds=3), "taken from the history while running"
    assert [event.event_type for event in details.task_events] == ["QUEUED", "ASSIGNED", "STARTED"]
    assert len({event.id for event in details.task_events}) == 3

    row = (await _list(site)).rows[0]
    assert (row.task_id, row.step_id) == (0, "00000000-0000-0000-0000-000000000000")
    assert [child.type for child in row.children or []] == ["TASK", "TASK"]

    assert (await site.client.get(f"/api/v1/stable/tasks/{run_id}")).status_code == 404
    assert (await site.client.get(f"/api/v1/stable/workflow-runs/{left}")).status_code == 404
    children = (
        await site.client.get("/api/v1/stable/dags/tasks", params={"dag_ids": run_id, "tenant": site.seeds.tenant_id})
    ).json()
    assert [child["taskExternalId"] for child in children[0]["children"]] == [first, left]


async def test_internal_statuses_are_shown_as_public_ones(site: Site) -> None:
    made = await site.seeds.workflow("etl", DIAMOND)
    run_id = await site.seeds.run(made, status="RUNNING")
    await site.seeds.task(made, run_id, "extract", status="BACKOFF", due_at=site.seeds.now)
    await site.seeds.task(made, run_id, "left", status="SKIPPED", output='{"skipped":true}')
    rows = (await _list(site, only_tasks="true")).rows
    assert {row.display_name: row.status for row in rows} == {"extract-1": "QUEUED", "left-1": "COMPLETED"}
    assert [row.display_name for row in (await _list(site, only_tasks="true", statuses="QUEUED")).rows] == ["extract-1"]
    assert [row.display_name for row in (await _list(site, only_tasks="true", statuses="COMPLETED")).rows] == ["left-1"]


async def test_filters_narrow_the_list(site: Site) -> None:
    greet, other = await site.seeds.single("greet"), await site.seeds.single("other")
    done = await site.seeds.run(
        greet, status="COMPLETED", metadata={"a": "1", "b": "x:y"}, task={"status": "COMPLETED"}
    )
    queued = await site.seeds.run(other, metadata={"a": 2}, task={})
    child = await site.seeds.run(greet, parent_task_id=done, task={})

    async def ids(**query: object) -> set[str]:
        return {row.metadata.id for row in (await _list(site, **query)).rows}

    assert await ids() == {done, queued, child}
    assert await ids(statuses="COMPLETED") == {done}
    assert await ids(statuses=["QUEUED", "RUNNING"]) == {queued, child}
    assert await ids(workflow_ids=other[0]) == {queued}
    assert await ids(parent_task_external_id=done) == {child}
    assert await ids(additional_metadata=["b:x:y"]) == {done}
    assert await ids(additional_metadata=["a:1", "a:2"]) == {done, queued}, "any of the values of a key will do"
    assert await ids(additional_metadata=["a:2", "b:x:y"]) == {done, queued}
    assert await ids(additional_metadata=["a:1", "b:x:y"], additional_metadata_operator="AND") == {done}
    assert await ids(additional_metadata=["a:2", "b:x:y"], additional_metadata_operator="AND") == set()
    assert await ids(additional_metadata=["nocolon"]) == {done, queued, child}
    assert await ids(until=(site.seeds.now - timedelta(seconds=1)).isoformat()) == set()
    assert await ids(until=site.seeds.now.isoformat()) == {done, queued, child}, "both ends belong to the window"
    since = (site.seeds.now - timedelta(hours=1)).isoformat()
    listed = await site.client.get(f"{site.stable}/workflow-runs/external-ids", params={"since": since})
    assert set(listed.json()) == {done, queued, child}
    counted = await site.client.get(f"{site.stable}/workflow-runs/count", params={"since": since, "statuses": "QUEUED"})
    assert counted.json() == {"count": 2}
    summary = (await _list(site, statuses="COMPLETED")).rows[0]
    assert summary.num_spawned_children == 1


async def test_running_runs_are_told_apart_by_what_is_evicted(site: Site) -> None:
    """A run is evicted when nothing of it is live that is not; runs that do not run are in every list."""
    greet, dag = await site.seeds.single(), await site.seeds.workflow("etl", DIAMOND)
    evicted = await site.seeds.run(greet, status="RUNNING", task={"status": "EVICTED"})
    working = await site.seeds.run(greet, status="RUNNING", task={"status": "RUNNING"})
    queued = await site.seeds.run(greet, task={})
    done = await site.seeds.run(greet, status="COMPLETED", task={"status": "COMPLETED"})
    dags = [await site.seeds.run(dag, status="RUNNING") for _ in range(3)]
    for run_id, statuses in zip(
        dags,
        (("COMPLETED", "EVICTED", "EVICTED"), ("COMPLETED", "EVICTED", "RUNNING"), ("EVICTED", "WAITING")),
        strict=True,
    ):
        for name, status in zip(("extract", "left", "right"), statuses, strict=False):
            await site.seeds.task(dag, run_id, name, status=status)

    async def ids(**query: object) -> set[str]:
        listed = {row.metadata.id for row in (await _list(site, **query)).rows}
        window = {"since": (site.seeds.now - timedelta(hours=1)).isoformat(), **query}
        named = await site.client.get(f"{site.stable}/workflow-runs/external-ids", params=window)
        counted = await site.client.get(f"{site.stable}/workflow-runs/count", params=window)
        assert (set(named.json()), counted.json()["count"]) == (listed, len(listed)), "all three ask the same"
        return listed

    assert await ids(running_filter="EVICTED", statuses="RUNNING") == {evicted, dags[0]}
    assert await ids(running_filter="ON_WORKER", statuses="RUNNING") == {working, dags[1], dags[2]}
    assert await ids(running_filter="EVICTED") == {evicted, dags[0], queued, done}
    assert await ids(running_filter="ON_WORKER") == {working, dags[1], dags[2], queued, done}
    assert await ids(running_filter="ALL", statuses="RUNNING") == {evicted, working, *dags}
    rows = (await _list(site, statuses="RUNNING")).rows
    assert {row.metadata.id for row in rows if row.is_evicted} == {evicted, dags[0]}, "the rows say the same"

    async def names(**query: object) -> list[str]:
        return sorted(row.display_name for row in (await _list(site, only_tasks="true", **query)).rows)

    assert await names(running_filter="EVICTED", statuses="RUNNING") == [
        "extract-1",
        "greet-1",
        "left-1",
        "left-1",
        "right-1",
    ]
    assert await names(running_filter="ON_WORKER", statuses="RUNNING") == ["greet-1", "right-1"]
    assert await names(running_filter="ON_WORKER", statuses="QUEUED") == ["greet-1", "left-1"]

    since = (site.seeds.now - timedelta(hours=1)).isoformat()
    answer = (await site.client.get(f"{site.stable}/task-metrics", params={"since": since})).json()
    (running,) = [entry for entry in answer if entry["status"] == "RUNNING"]
    assert running == {"status": "RUNNING", "count": 5, "runningDetailCount": {"evicted": 2, "onWorker": 3}}


async def test_payloads_can_be_left_out(site: Site) -> None:
    made = await site.seeds.single()
    await site.seeds.run(made, status="COMPLETED", input='{"a":1}', task={"status": "COMPLETED", "output": '{"b":2}'})
    row = (await _list(site, include_payloads="false")).rows[0]
    assert (row.input, row.output) == ({}, {})
    row = (await _list(site)).rows[0]
    assert (row.input, row.output) == ({"a": 1}, {"b": 2}), "tokens get payloads unless they decline"


async def test_pages_follow_each_other(site: Site) -> None:
    made = await site.seeds.single()
    runs = [
        await site.seeds.run(made, created_at=site.seeds.now + timedelta(milliseconds=n), task={}) for n in range(5)
    ]
    seen: list[str] = []
    for offset in (0, 2, 4):
        page = await _list(site, limit=2, offset=offset)
        assert page.pagination.num_pages == 3
        assert page.pagination.current_page == offset // 2 + 1
        seen += [row.metadata.id for row in page.rows]
    assert sorted(seen) == sorted(runs)


async def test_output_that_is_not_an_object_is_shown_as_an_empty_one(site: Site) -> None:
    made = await site.seeds.single()
    await site.seeds.run(made, status="COMPLETED", task={"status": "COMPLETED", "output": "[1,2]"})
    assert (await _list(site)).rows[0].output == {}


async def test_an_older_attempt_can_be_asked_for(site: Site) -> None:
    made = await site.seeds.single()
    run_id = await site.seeds.run(
        made, status="COMPLETED", task={"status": "COMPLETED", "output": '{"ok":true}', "retry_count": 1}
    )
    await site.seeds.history(
        run_id,
        ("QUEUED", 0),
        ("ASSIGNED", 0),
        ("STARTED", 0),
        ("FAILED", 0, {"error": "boom"}),
        ("RETRYING", 0),
        ("QUEUED", 1),
        ("STARTED", 1),
        ("FINISHED", 1),
    )
    url = f"/api/v1/stable/tasks/{run_id}"
    first = V1TaskSummary.from_dict((await site.client.get(url, params={"attempt": 1})).json())
    assert first is not None
    assert (first.status, first.error_message, first.attempt, first.output) == ("FAILED", "boom", 1, {})
    assert first.duration == 1000
    latest = V1TaskSummary.from_dict((await site.client.get(url)).json())
    assert latest is not None
    assert (latest.status, latest.output, latest.attempt) == ("COMPLETED", {"ok": True}, 2)
    assert (await site.client.get(url, params={"attempt": 3})).status_code == 404
    assert (await site.client.get(url, params={"attempt": 0})).status_code == 400

    events = V1TaskEventList.from_dict((await site.client.get(f"{url}/task-events", params={"limit": 50})).json())
    assert events is not None
    assert [event.event_type for event in events.rows or []][:2] == ["FINISHED", "STARTED"]
    assert (events.rows or [])[0].output == '{"ok":true}', "the task row still holds it"
    newest = (await site.client.get(f"{url}/task-events", params={"limit": 1})).json()["rows"]
    assert [event["eventType"] for event in newest] == ["FINISHED"]


async def test_status_counts_always_name_all_five(site: Site) -> None:
    made = await site.seeds.single()
    await site.seeds.run(made, status="RUNNING", task={"status": "RUNNING"})
    answer = await site.client.get(
        f"{site.stable}/task-metrics", params={"since": (site.seeds.now - timedelta(hours=1)).isoformat()}
    )
    metrics = [V1TaskRunMetric.from_dict(entry) for entry in answer.json()]
    counts = {metric.status: metric.count for metric in metrics if metric is not None}
    assert counts == {"CANCELLED": 0, "COMPLETED": 0, "FAILED": 0, "QUEUED": 0, "RUNNING": 1}


async def test_names_timings_and_queues(site: Site) -> None:
    made = await site.seeds.single()
    run_id = await site.seeds.run(made, task={})
    child = await site.seeds.run(made, parent_task_id=run_id, task={})
    names = V1WorkflowRunDisplayNameList.from_dict(
        (
            await site.client.get(
                f"{site.stable}/workflow-runs/display-names", params={"external_ids": [run_id, new_id()]}
            )
        ).json()
    )
    assert names is not None
    assert [row.metadata.id for row in names.rows] == [run_id]
    url = f"/api/v1/stable/workflow-runs/{run_id}/task-timings"
    timings = V1TaskTimingList.from_dict((await site.client.get(url, params={"depth": 2})).json())
    assert timings is not None
    assert [(row.task_external_id, row.depth) for row in timings.rows] == [(run_id, 0), (child, 1)]
    queues = await site.client.get(f"{site.tenant}/step-run-queue-metrics")
    assert queues.json() == {"queues": {"greet:greet": 2}}
    points = (await site.client.get(f"{site.stable}/task-point-metrics")).json()["results"]
    assert len(points) == 49, "24 hours in steps of 30 minutes, both ends included"
    assert (await site.client.get(f"{site.stable}/durable-tasks/{run_id}")).json() == []


async def test_bad_parameters_are_refused_by_name(site: Site) -> None:
    url = f"{site.stable}/workflow-runs"
    good = {"since": "2025-01-31T09:15:00Z", "only_tasks": "false"}
    for query, name in (
        ({"only_tasks": "false"}, "since"),
        ({"since": "2025-01-31T09:15:00Z"}, "only_tasks"),
        (good | {"since": "yesterday"}, "since"),
        (good | {"limit": "0"}, "limit"),
        (good | {"offset": "-1"}, "offset"),
        (good | {"workflow_ids": "x"}, "workflow_ids.0"),
        (good | {"statuses": "DONE"}, "statuses.0"),
    ):
        answer = await site.client.get(url, params=query)
        assert answer.status_code == 400, query
        body = answer.json()
        assert body["errors"][0]["field"] == name
        assert body["errors"][0]["description"] == body["message"]
    for accepted in ("2025-01-31T09:15:00+0000", "2025-01-31 09:15:00.123456789Z", "2025-01-31T09:15:00-02:30"):
        assert (await site.client.get(url, params=good | {"since": accepted})).status_code == 200
    assert (await site.client.get("/api/v1/stable/workflow-runs/nope")).status_code == 400
    assert (await site.client.get(f"{url}?since=2025-01-31T09:15:00Z&only_tasks=false&x=%00")).status_code == 400
