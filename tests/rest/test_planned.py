"""Crons and schedules over HTTP: shapes, lists and filters, which names win, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.crons import BackfillCron, Backfilled, ChangeCron, CreateCron, DeleteCron, RunCron
from broadaxe.core.commands.schedules import DeleteSchedules, MoveSchedules, RunSchedule, Scheduled, ScheduleRuns
from broadaxe.core.definition import TaskSpec
from broadaxe.errors import AlreadyExists, NotFound, ResourceExhausted
from broadaxe.rest.routers import schedules as routes
from broadaxe.storage.ids import new_id
from tests.rest.conftest import Seeds, Site

AT = datetime(2030, 1, 1, 12, tzinfo=UTC)
NOBODY = "00000000-0000-4000-8000-00000000ffff"


async def cron(seeds: Seeds, made: tuple[str, str, Any], **columns: Any) -> str:
    row: dict[str, Any] = {
        "id": new_id(),
        "workflow_id": made[0],
        "expression": "0 * * * *",
        "name": "nightly",
        "is_declared": False,
        "input": '{"n":1}',
        "is_enabled": True,
        "created_at": seeds.now,
        "updated_at": seeds.now,
    } | columns
    await seeds._insert("cron", **row)
    return str(row["id"])


async def schedule(seeds: Seeds, made: tuple[str, str, Any], **columns: Any) -> str:
    row: dict[str, Any] = {
        "id": new_id(),
        "workflow_id": made[0],
        "trigger_at": AT,
        "input": '{"n":1}',
        "created_at": seeds.now,
        "updated_at": seeds.now,
    } | columns
    await seeds._insert("schedule", **row)
    return str(row["id"])


def answering(site: Site, reply: Reply | Exception) -> None:
    async def answer(command: Command) -> Reply:
        if isinstance(reply, Exception):
            raise reply
        return reply

    site.engine.answer = answer


def commands(site: Site) -> list[Command]:
    return [command for _, command in site.engine.commands]


async def ids(site: Site, path: str, **query: Any) -> list[str]:
    answer = await site.client.get(f"{site.tenant}/workflows/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return [row["metadata"]["id"] for row in answer.json()["rows"]]


# Crons ----------------------------------------------------------------------------------------------------------------


async def test_a_cron_has_the_documented_shape(site: Site) -> None:
    made = await site.seeds.workflow("etl", (TaskSpec(name="etl", action_id="etl:etl"),), default_priority=3)
    cron_id = await cron(site.seeds, made, additional_metadata='{"a": 1}', priority=2)
    declared_id = await cron(site.seeds, made, name=None, is_declared=True, is_enabled=False)
    found = (await site.client.get(f"{site.tenant}/workflows/crons/{cron_id}")).json()
    at = found["metadata"]["createdAt"]
    assert at.endswith("Z") and found == {
        "metadata": {"id": cron_id, "createdAt": at, "updatedAt": at},
        "tenantId": site.seeds.tenant_id,
        "workflowVersionId": made[1],
        "workflowId": made[0],
        "workflowName": "etl",
        "cron": "0 * * * *",
        "enabled": True,
        "method": "API",
        "name": "nightly",
        "input": {"n": 1},
        "additionalMetadata": {"a": 1},
        "priority": 2,
    }
    declared = (await site.client.get(f"{site.tenant}/workflows/crons/{declared_id}")).json()
    assert (declared["method"], declared["enabled"], declared["priority"]) == ("DEFAULT", False, 3)
    assert "name" not in declared and declared["additionalMetadata"] == {}


async def test_crons_are_listed_newest_first_and_filtered(site: Site) -> None:
    etl, other = await site.seeds.single("etl"), await site.seeds.single("other")
    one = await cron(site.seeds, etl, name="b", additional_metadata='{"k": "v", "n": 1}')
    two = await cron(site.seeds, etl, name="a", additional_metadata='{"k": "v"}')
    three = await cron(site.seeds, other, name="c")
    assert await ids(site, "crons") == [three, two, one]
    assert await ids(site, "crons", orderByField="name", orderByDirection="ASC") == [two, one, three]
    assert await ids(site, "crons", orderByField="createdAt", orderByDirection="ASC") == [one, two, three]
    assert await ids(site, "crons", workflowId=etl[0]) == [two, one]
    assert await ids(site, "crons", workflowName="other") == [three]
    assert await ids(site, "crons", workflowName="oth") == []
    assert await ids(site, "crons", cronName="a") == [two]
    assert await ids(site, "crons", additionalMetadata=["k:v"]) == [two, one]
    assert await ids(site, "crons", additionalMetadata=["k:v", "n:1"]) == [one]
    assert await ids(site, "crons", additionalMetadata=["k:v", "k:w", "n:1", "n:2"]) == [one]
    assert await ids(site, "crons", additionalMetadata=["k:v", "n:2", "n:3"]) == []
    answer = (await site.client.get(f"{site.tenant}/workflows/crons", params={"limit": 2, "offset": 2})).json()
    assert [row["metadata"]["id"] for row in answer["rows"]] == [one]
    assert answer["pagination"] == {"current_page": 2, "next_page": 2, "num_pages": 2}


async def test_a_cron_is_made_by_the_workflow_s_name(site: Site) -> None:
    made = await site.seeds.single("ns_My.Flow-1")
    cron_id = await cron(site.seeds, made)
    answering(site, cron_id)
    body = {
        "cronName": "nightly",
        "cronExpression": "0 * * * *",
        "input": {"n": 1},
        "additionalMetadata": {},
        "priority": None,
    }
    for name in ("ns_My.Flow-1", "ns%5FMy%2EFlow%2D1", "ns_my.flow-1"):
        answer = await site.client.post(f"{site.tenant}/workflows/{name}/crons", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["metadata"]["id"] == cron_id
    assert commands(site) == [
        CreateCron(workflow_name="ns_My.Flow-1", name="nightly", expression="0 * * * *", input='{"n":1}')
    ] * 3  # fmt: skip


async def test_a_name_in_its_own_case_wins(site: Site) -> None:
    await site.seeds.single("Flow")
    exact = await site.seeds.single("flow")
    answering(site, await cron(site.seeds, exact))
    body = {"cronName": "n", "cronExpression": "* * * * *", "input": {}, "additionalMetadata": {"a": "b"}}
    await site.client.post(f"{site.tenant}/workflows/flow/crons", json=body)
    await site.client.post(f"{site.tenant}/workflows/FLOW/crons", json=body)
    assert [command.workflow_name for command in commands(site) if isinstance(command, CreateCron)] == ["flow", "Flow"]


@pytest.mark.parametrize("name", ["crons", "scheduled"])
async def test_workflows_may_be_named_like_the_fixed_words(site: Site, name: str) -> None:
    made = await site.seeds.single(name)
    answering(site, await cron(site.seeds, made))
    body = {"cronName": "n", "cronExpression": "* * * * *", "input": {}, "additionalMetadata": {}}
    answer = await site.client.post(f"{site.tenant}/workflows/{name}/crons", json=body)
    assert answer.status_code == 200, answer.text
    answering(site, scheduled(made))
    body = {"triggerAt": "2030-01-01T12:00:00Z", "input": {}, "additionalMetadata": {}}
    answer = await site.client.post(f"{site.tenant}/workflows/{name}/scheduled", json=body)
    assert answer.status_code == 200, answer.text


async def test_crons_are_changed_run_and_deleted(site: Site) -> None:
    cron_id = await cron(site.seeds, await site.seeds.single())
    path = f"{site.tenant}/workflows/crons/{cron_id}"
    for body, is_enabled in (({"enabled": False}, False), ({"enabled": True}, True), ({}, None)):
        answer = await site.client.patch(path, json=body)
        assert (answer.status_code, answer.content) == (204, b"")
        assert commands(site)[-1] == ChangeCron(cron_id, is_enabled)
    answer = await site.client.patch(
        path,
        json={
            "cronName": "n",
            "cronExpression": "@daily",
            "input": {"n": 2},
            "additionalMetadata": {},
            "priority": None,
        },
    )
    assert answer.status_code == 204
    assert commands(site)[-1] == ChangeCron(
        cron_id, None, name="n", expression="@daily", input='{"n":2}', additional_metadata=None, priority=None
    )
    answering(site, NOBODY)
    answer = await site.client.post(path)
    assert (answer.status_code, answer.json()) == (200, {"externalId": NOBODY})
    assert commands(site)[-1] == RunCron(cron_id)
    answer = await site.client.delete(path)
    assert (answer.status_code, answer.json()) == (200, {})
    assert commands(site)[-1] == DeleteCron(cron_id)


async def test_a_backfill_is_previewed_and_made(site: Site) -> None:
    cron_id = await cron(site.seeds, await site.seeds.single(), expression="CRON_TZ=Europe/Berlin 0 9 * * *")
    path = f"/api/v1/stable/tenants/{site.seeds.tenant_id}/crons/{cron_id}/backfill"
    january = {"since": "2025-01-01T00:00:00Z", "until": "2025-01-03T08:00:00Z"}
    assert (await site.client.get(path, params=january)).json() == {
        "count": 3,
        "countMax": 1_000,
        "isTooMany": False,
        "first": "2025-01-01T08:00:00.000000Z",
        "last": "2025-01-03T08:00:00.000000Z",
    }
    empty = (await site.client.get(path, params=january | {"until": "2025-01-01T01:00:00Z"})).json()
    assert (empty["count"], empty.keys() & {"first", "last"}) == (0, set())
    many = (await site.client.get(path, params=january | {"since": "2020-01-01T00:00:00Z"})).json()
    assert (many["count"], many["isTooMany"], many["first"]) == (1_000, True, "2020-01-01T08:00:00.000000Z")
    assert commands(site) == []
    answering(site, Backfilled("b", 2, 1))
    answer = await site.client.post(path, json=january)
    assert (answer.status_code, answer.json()) == (200, {"backfillId": "b", "made": 2, "skipped": 1})
    assert commands(site) == [BackfillCron(cron_id, 1_735_689_600_000_000, 1_735_891_200_000_000)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"since": "2026-01-01T00:00:00Z"}, "until"),
        ({"until": "2990-01-01T00:00:00Z"}, "until"),
        ({"since": "x"}, "since"),
        ({"since": "1001-01-01T00:00:00Z"}, "since"),
    ],
    ids=["reversed", "ahead", "no-time", "years"],
)
async def test_a_range_that_cannot_be_backfilled_names_its_field(
    site: Site, change: dict[str, str], field: str
) -> None:
    cron_id = await cron(site.seeds, await site.seeds.single())
    path = f"/api/v1/stable/tenants/{site.seeds.tenant_id}/crons/{cron_id}/backfill"
    january = {"since": "2025-01-01T00:00:00Z", "until": "2025-01-02T00:00:00Z"}
    answer = await site.client.get(path, params=january | change)
    assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == field


async def test_the_next_ticks_of_expressions_are_told_with_their_zone(site: Site) -> None:
    path = f"/api/v1/stable/tenants/{site.seeds.tenant_id}/cron-ticks"
    asked = ["0 0 1 1 *", "CRON_TZ=Europe/Berlin 30 7 * * *"]
    rows = (await site.client.get(path, params={"expression": asked, "count": 2})).json()["rows"]
    assert [(row["expression"], row["timeZone"]) for row in rows] == list(
        zip(asked, ("UTC", "Europe/Berlin"), strict=True)
    )
    first, second = (datetime.fromisoformat(tick) for tick in rows[0]["ticks"])
    assert second.year == first.year + 1 and (first.month, first.day, first.hour) == (1, 1, 0)
    assert first > datetime.now(UTC)
    assert {datetime.fromisoformat(tick).astimezone(ZoneInfo("Europe/Berlin")).hour for tick in rows[1]["ticks"]} == {7}


@pytest.mark.parametrize("text", ["61 * * * *", "* * * *", "", "0 0 30 2 *", "CRON_TZ=Mars/Base * * * * *"])
async def test_what_is_wrong_with_an_expression_is_said_before_it_is_used(site: Site, text: str) -> None:
    path = f"/api/v1/stable/tenants/{site.seeds.tenant_id}/cron-ticks"
    answer = await site.client.get(path, params={"expression": text})
    assert answer.status_code == 400 and answer.json()["errors"][0]["field"] == "expression"
    assert len(answer.json()["errors"][0]["description"]) > 10


@pytest.mark.parametrize(
    ("error", "status"), [(AlreadyExists("twice"), 400), (ResourceExhausted("full"), 429), (NotFound("gone"), 400)]
)
async def test_what_the_engine_says_to_a_new_cron_has_its_status(site: Site, error: Exception, status: int) -> None:
    await site.seeds.single()
    answering(site, error)
    body = {"cronName": "n", "cronExpression": "* * * * *", "input": {}, "additionalMetadata": {}}
    answer = await site.client.post(f"{site.tenant}/workflows/greet/crons", json=body)
    assert answer.status_code == status


@pytest.mark.parametrize(
    "change",
    [
        {"input": None},
        {"input": []},
        {"input": {"a": "\x00"}},
        {"additionalMetadata": None},
        {"cronName": None},
        {"cronName": "a\x00b"},
        {"cronExpression": "* * * * \x00"},
        {"cronExpression": None},
        {"priority": "high"},
    ],
    ids=str,
)
async def test_a_malformed_cron_names_its_field(site: Site, change: dict[str, Any]) -> None:
    await site.seeds.single()
    body = {"cronName": "n", "cronExpression": "* * * * *", "input": {}, "additionalMetadata": {}} | change
    answer = await site.client.post(f"{site.tenant}/workflows/greet/crons", json=body)
    assert answer.status_code == 400 and commands(site) == []
    assert answer.json()["errors"][0]["field"] == next(iter(change))


async def test_unknown_names_are_400_and_unknown_ids_404(site: Site) -> None:
    body = {"cronName": "n", "cronExpression": "* * * * *", "input": {}, "additionalMetadata": {}}
    assert (await site.client.post(f"{site.tenant}/workflows/nobody/crons", json=body)).status_code == 400
    body = {"triggerAt": "2030-01-01T12:00:00Z", "input": {}, "additionalMetadata": {}}
    assert (await site.client.post(f"{site.tenant}/workflows/nobody/scheduled", json=body)).status_code == 400
    for path in ("crons", "scheduled"):
        assert (await site.client.get(f"{site.tenant}/workflows/{path}/{NOBODY}")).status_code == 404
        assert (await site.client.get(f"{site.tenant}/workflows/{path}/nonsense")).status_code == 400


async def test_nobody_sees_or_touches_what_another_tenant_plans(site: Site) -> None:
    other = Seeds(site.seeds.pool, new_id())
    await site.seeds.pool.execute(
        "insert into broadaxe.tenant (id, name, slug) values ($1, 'other', 'other')", other.tenant_id
    )
    made = await other.single()
    cron_id, schedule_id = await cron(other, made), await schedule(other, made)
    assert await ids(site, "crons") == [] and await ids(site, "scheduled") == []
    assert (await site.client.get(f"{site.tenant}/workflows/crons/{cron_id}")).status_code == 404
    assert (await site.client.get(f"{site.tenant}/workflows/scheduled/{schedule_id}")).status_code == 404
    mine = f"/api/v1/stable/tenants/{site.seeds.tenant_id}/crons/{cron_id}/backfill"
    january = {"since": "2025-01-01T00:00:00Z", "until": "2025-01-02T00:00:00Z"}
    assert (await site.client.get(mine, params=january)).status_code == 404
    foreign = f"/api/v1/tenants/{other.tenant_id}/workflows"
    for path in (f"crons/{cron_id}", f"scheduled/{schedule_id}"):
        assert (await site.client.get(f"{foreign}/{path}")).status_code == 403
        assert (await site.client.delete(f"{foreign}/{path}")).status_code == 403


# Schedules ------------------------------------------------------------------------------------------------------------


def scheduled(made: tuple[str, str, Any], *schedule_ids: str) -> Scheduled:
    return Scheduled(made[1], 1, "v1", made[0], 0, 0, 1_767_268_800_000_000, 2, schedule_ids or (NOBODY,))


async def test_a_schedule_has_the_documented_shape(site: Site) -> None:
    made = await site.seeds.single("etl")
    schedule_id = await schedule(site.seeds, made, additional_metadata='{"a": 1}')
    found = (await site.client.get(f"{site.tenant}/workflows/scheduled/{schedule_id}")).json()
    at = found["metadata"]["createdAt"]
    assert found == {
        "metadata": {"id": schedule_id, "createdAt": at, "updatedAt": at},
        "tenantId": site.seeds.tenant_id,
        "workflowVersionId": made[1],
        "workflowId": made[0],
        "workflowName": "etl",
        "triggerAt": "2030-01-01T12:00:00.000000Z",
        "method": "API",
        "input": {"n": 1},
        "additionalMetadata": {"a": 1},
        "priority": 1,
    }


async def test_a_new_schedule_is_answered_even_if_it_is_triggered_already(site: Site) -> None:
    made = await site.seeds.single("etl")
    answering(site, scheduled(made))
    body = {
        "triggerAt": "2020-01-01T12:00:00.5+02:00",
        "input": {"n": 1},
        "additionalMetadata": {"a": 1},
        "priority": 2,
    }
    answer = await site.client.post(f"{site.tenant}/workflows/ETL/scheduled", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "metadata": {
            "id": NOBODY,
            "createdAt": "2026-01-01T12:00:00.000000Z",
            "updatedAt": "2026-01-01T12:00:00.000000Z",
        },
        "tenantId": site.seeds.tenant_id,
        "workflowVersionId": made[1],
        "workflowId": made[0],
        "workflowName": "etl",
        "triggerAt": "2020-01-01T10:00:00.500000Z",
        "method": "API",
        "input": {"n": 1},
        "additionalMetadata": {"a": 1},
        "priority": 2,
    }
    assert commands(site) == [
        ScheduleRuns(
            workflow_name="etl",
            at_us=(1_577_872_800_500_000,),
            input='{"n":1}',
            additional_metadata='{"a":1}',
            priority=2,
        )
    ]


async def test_schedules_are_listed_last_first_and_filtered(site: Site) -> None:
    etl, other = await site.seeds.single("etl"), await site.seeds.single("other")
    parent, task = new_id(), new_id()
    one = await schedule(site.seeds, etl, trigger_at=AT, additional_metadata='{"k": "v", "n": 1}')
    two = await schedule(site.seeds, etl, trigger_at=AT + timedelta(days=1), additional_metadata='{"k": "v"}')
    three = await schedule(
        site.seeds, other, trigger_at=AT - timedelta(days=1), parent_run_id=parent, parent_task_id=task
    )
    assert await ids(site, "scheduled") == [two, one, three]
    assert await ids(site, "scheduled", orderByDirection="ASC") == [three, one, two]
    assert await ids(site, "scheduled", orderByField="createdAt") == [three, two, one]
    assert await ids(site, "scheduled", orderByField="createdAt", orderByDirection="ASC") == [one, two, three]
    assert await ids(site, "scheduled", workflowId=etl[0]) == [two, one]
    assert await ids(site, "scheduled", parentWorkflowRunId=parent) == [three]
    assert await ids(site, "scheduled", parentStepRunId=task) == [three]
    assert await ids(site, "scheduled", additionalMetadata=["k:v", "n:1"]) == [one]
    assert await ids(site, "scheduled", additionalMetadata=["k:v", "k:w", "n:1", "n:2"]) == [one]
    assert await ids(site, "scheduled", additionalMetadata=["k:v", "n:2", "n:3"]) == []
    assert await ids(site, "scheduled", statuses=["SCHEDULED", "FAILED"]) == [two, one, three]
    assert await ids(site, "scheduled", statuses=["SUCCEEDED"]) == []
    answer = (await site.client.get(f"{site.tenant}/workflows/scheduled", params={"limit": 2, "offset": 2})).json()
    assert [row["metadata"]["id"] for row in answer["rows"]] == [three]
    assert answer["pagination"] == {"current_page": 2, "next_page": 2, "num_pages": 2}


async def test_schedules_are_changed_run_and_deleted(site: Site) -> None:
    made = await site.seeds.single()
    schedule_id = await schedule(site.seeds, made)
    path = f"{site.tenant}/workflows/scheduled/{schedule_id}"
    answering(site, (schedule_id,))
    answer = await site.client.patch(path, json={"triggerAt": "2031-01-01T00:00:00Z"})
    assert answer.status_code == 200 and answer.json()["triggerAt"] == "2031-01-01T00:00:00.000000Z"
    assert commands(site)[-1] == MoveSchedules(((schedule_id, 1_924_992_000_000_000),))
    answer = await site.client.delete(path)
    assert (answer.status_code, answer.json()) == (200, {})
    assert commands(site)[-1] == DeleteSchedules((schedule_id,))
    answering(site, NOBODY)
    answer = await site.client.post(path)
    assert (answer.status_code, answer.json()) == (200, {"externalId": NOBODY})
    assert commands(site)[-1] == RunSchedule(schedule_id)


async def test_what_was_triggered_meanwhile_cannot_be_changed(site: Site) -> None:
    schedule_id = await schedule(site.seeds, await site.seeds.single())
    path = f"{site.tenant}/workflows/scheduled/{schedule_id}"
    answering(site, ())
    assert (await site.client.patch(path, json={"triggerAt": "2031-01-01T00:00:00Z"})).status_code == 400
    assert (await site.client.delete(path)).status_code == 404
    gone = f"{site.tenant}/workflows/scheduled/{NOBODY}"
    assert (await site.client.patch(gone, json={"triggerAt": "2031-01-01T00:00:00Z"})).status_code == 404


async def test_bulk_changes_tell_which_ones_are_gone(site: Site) -> None:
    known = new_id()
    answering(site, (known,))
    error = {"id": NOBODY, "error": "there is no such schedule; it may have been triggered"}
    path = f"{site.tenant}/workflows/scheduled"
    answer = await site.client.post(f"{path}/bulk-delete", json={"scheduledWorkflowRunIds": [known, NOBODY, known]})
    assert answer.json() == {"deletedIds": [known], "errors": [error]}
    updates = [{"id": i, "triggerAt": "2031-01-01T00:00:00Z"} for i in (known, NOBODY)]
    answer = await site.client.post(f"{path}/bulk-update", json={"updates": updates})
    assert answer.json() == {"updatedIds": [known], "errors": [error]}


async def test_bulk_deletion_by_filter_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made, other = await site.seeds.single("one"), await site.seeds.single("two")
    mine = [await schedule(site.seeds, made, trigger_at=AT + timedelta(days=n)) for n in range(5)]
    await schedule(site.seeds, other)

    async def delete(command: Command) -> Reply:
        assert isinstance(command, DeleteSchedules)
        return command.ids

    site.engine.answer = delete
    path = f"{site.tenant}/workflows/scheduled/bulk-delete"
    answer = await site.client.post(path, json={"filter": {"workflowId": made[0]}})
    assert answer.json() == {"deletedIds": mine, "errors": []}
    monkeypatch.setattr(routes, "BULK_MAX", 2)
    monkeypatch.setattr(routes, "BY_FILTER_MAX", 3)
    answer = await site.client.post(path, json={"filter": {"workflowId": made[0]}})
    assert answer.json()["deletedIds"] == mine[:3] and len(answer.json()["errors"]) == 1
    assert [command.ids for command in commands(site)[1:] if isinstance(command, DeleteSchedules)] == [
        tuple(mine[:2]),
        tuple(mine[2:3]),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"scheduledWorkflowRunIds": []},
        {"filter": {}},
        {"scheduledWorkflowRunIds": [NOBODY], "filter": {"workflowId": NOBODY}},
        {"scheduledWorkflowRunIds": ["nonsense"]},
        {"scheduledWorkflowRunIds": [NOBODY] * 501},
        {"filter": {"additionalMetadata": ["no-colon"]}},
    ],
    ids=["nothing", "no-ids", "no-condition", "both", "no-uuid", "too-many", "no-pair"],
)
async def test_a_malformed_bulk_deletion_is_refused(site: Site, body: dict[str, Any]) -> None:
    answer = await site.client.post(f"{site.tenant}/workflows/scheduled/bulk-delete", json=body)
    assert answer.status_code == 400 and commands(site) == []


@pytest.mark.parametrize("count", [0, 501])
async def test_a_bulk_update_has_one_to_500_items(site: Site, count: int) -> None:
    updates = [{"id": NOBODY, "triggerAt": "2031-01-01T00:00:00Z"}] * count
    answer = await site.client.post(f"{site.tenant}/workflows/scheduled/bulk-update", json={"updates": updates})
    assert answer.status_code == 400 and commands(site) == []
