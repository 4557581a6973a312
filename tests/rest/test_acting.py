"""Trigger, cancel, replay, pause, delete: what reaches the engine and what comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hatchet_sdk.clients.rest.models.v1_cancelled_tasks import V1CancelledTasks
from hatchet_sdk.clients.rest.models.v1_workflow_run_details import V1WorkflowRunDetails
from hatchet_sdk.clients.rest.models.workflow import Workflow

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.asked import TOKEN_NAME, InitiatorKind
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.triggers import TriggerRuns
from broadaxe.core.commands.workers import PauseWorker
from broadaxe.core.commands.workflows import DeleteWorkflow, PauseWorkflow, UnpauseWorkflow, WhilePaused
from broadaxe.core.definition import TaskSpec
from broadaxe.core.durations import US_PER_S
from broadaxe.errors import NotFound
from broadaxe.storage.ids import new_id

if TYPE_CHECKING:
    from .conftest import Site


async def test_trigger_submits_the_input_and_answers_the_new_run(site: Site) -> None:
    made = await site.seeds.single()

    async def start(command: Command) -> Reply:
        assert isinstance(command, TriggerRuns)
        return (await site.seeds.run(made, input=command.requests[0].input, task={}),)

    site.engine.answer = start
    answer = await site.client.post(
        f"{site.stable}/workflow-runs/trigger",
        json={
            "workflowName": "greet",
            "input": {"name": "Zoë", "n": 12345678901234567890},
            "additionalMetadata": {"k": "v"},
            "priority": 3,
            "return_only_id": True,
        },
    )
    assert answer.status_code == 200, answer.text
    details = V1WorkflowRunDetails.from_dict(answer.json())
    assert details is not None
    assert details.run.input == {"name": "Zoë", "n": 12345678901234567890}
    [(tenant_id, command)] = site.engine.commands
    assert tenant_id == site.seeds.tenant_id
    assert isinstance(command, TriggerRuns)
    assert command.requests[0].additional_metadata == '{"k":"v"}'
    assert command.requests[0].priority == 3


async def test_trigger_of_an_unknown_workflow_is_a_bad_request(site: Site) -> None:
    async def refuse(command: Command) -> Reply:
        raise NotFound("there is no workflow 'nope'")

    site.engine.answer = refuse
    answer = await site.client.post(f"{site.stable}/workflow-runs/trigger", json={"workflowName": "nope", "input": {}})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"description": "there is no workflow 'nope'", "field": "workflowName"}]


async def test_bodies_that_cannot_be_right_never_reach_the_engine(site: Site) -> None:
    url = f"{site.stable}/workflow-runs/trigger"
    for body, name in (
        ({"workflowName": "greet", "input": []}, "input"),
        ({"workflowName": "greet"}, "input"),
        ({"workflowName": "greet", "input": {"a": "\0"}}, "input"),
        ({"workflowName": "greet", "input": {}, "priority": 9}, "priority"),
    ):
        answer = await site.client.post(url, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, name)
    not_json = await site.client.post(url, content=b"{", headers={"content-type": "application/json"})
    assert not_json.status_code == 400
    assert "not valid JSON" in not_json.json()["message"]
    huge = await site.client.post(url, content=b'{"x":"' + b"a" * (7 * 1024 * 1024) + b'"}')
    assert huge.status_code == 413
    assert site.engine.commands == []


async def test_cancel_echoes_ids_and_replay_answers_what_was_queued(site: Site) -> None:
    dag = await site.seeds.workflow("w", (TaskSpec(name="a", action_id="w:a"), TaskSpec(name="b", action_id="w:b")))
    run_id = await site.seeds.run(dag)
    one, two = await site.seeds.task(dag, run_id, "a"), await site.seeds.run(await site.seeds.single(), task={})
    nobodys = new_id()
    asked = [one, run_id, nobodys, two, one]
    answer = await site.client.post(f"{site.stable}/tasks/cancel", json={"externalIds": asked, "filter": None})
    decoded = V1CancelledTasks.from_dict(answer.json())
    assert decoded is not None
    assert [str(identifier) for identifier in decoded.ids or []] == [one, run_id, two]
    assert site.engine.commands[-1][1] == CancelTasks((one, run_id, nobodys, two))

    async def queued(command: Command) -> Reply:
        return (two,)

    site.engine.answer = queued
    replayed = await site.client.post(f"{site.stable}/tasks/replay", json={"externalIds": [one, two]})
    assert replayed.json() == {"ids": [two]}
    assert site.engine.commands[-1][1] == ReplayTasks((one, two))


async def test_cancel_by_filter_finds_the_runs(site: Site) -> None:
    made = await site.seeds.single()
    wanted = await site.seeds.run(made, metadata={"k": "v"}, task={})
    await site.seeds.run(made, metadata={"k": "w"}, task={})
    since = (site.seeds.now - timedelta(hours=1)).isoformat()
    answer = await site.client.post(
        f"{site.stable}/tasks/cancel", json={"filter": {"since": since, "additionalMetadata": ["k:v"]}}
    )
    assert answer.json() == {"ids": [wanted]}
    other = await site.seeds.run(made, metadata={"k": "x"}, task={})
    either = await site.client.post(
        f"{site.stable}/tasks/cancel", json={"filter": {"since": since, "additionalMetadata": ["k:v", "k:x"]}}
    )
    assert sorted(either.json()["ids"]) == sorted([wanted, other])
    both = await site.client.post(
        f"{site.stable}/tasks/cancel", json={"externalIds": [wanted], "filter": {"since": since}}
    )
    assert both.status_code == 400
    malformed = await site.client.post(
        f"{site.stable}/tasks/cancel", json={"filter": {"since": since, "additionalMetadata": ["kv"]}}
    )
    assert malformed.json()["errors"][0]["field"] == "filter.additionalMetadata"


async def test_pausing_a_worker_and_deleting_a_workflow_reach_the_engine(site: Site) -> None:
    worker_id = await site.seeds.worker()
    made = await site.seeds.single()

    async def apply(command: Command) -> Reply:
        if isinstance(command, PauseWorker):
            await site.seeds.pool.execute(
                "update broadaxe.worker set is_paused = $1, paused_by = $2", command.is_paused, "ann"
            )
        return None

    site.engine.answer = apply
    answer = await site.client.patch(f"/api/v1/workers/{worker_id}", json={"isPaused": True})
    assert (answer.status_code, answer.json()["status"]) == (200, "PAUSED")
    assert answer.json()["pausedBy"] == "ann"
    deleted = await site.client.delete(f"/api/v1/workflows/{made[0]}")
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert [command for _, command in site.engine.commands] == [
        PauseWorker(worker_id, True),
        DeleteWorkflow(made[0]),
    ]
    assert [(by.kind, by.name) for by in site.engine.asked_by if by] == [(InitiatorKind.TOKEN, TOKEN_NAME)] * 2


async def test_pausing_a_workflow_reaches_the_engine_and_shows(site: Site) -> None:
    workflow_id, _, _ = await site.seeds.single()

    async def apply(command: Command) -> Reply:
        if isinstance(command, PauseWorkflow):
            await site.seeds.pool.execute(
                "update broadaxe.workflow set paused_at = now(), paused_queue_ttl_us = $1, paused_crons = $2,"
                " paused_schedules = $3, paused_by = $4",
                command.queue_ttl_us,
                command.crons,
                command.schedules,
                "ann",
            )
        return None

    site.engine.answer = apply
    words = {"pausedWorkflowCronRunQueueBehavior": "DROP", "pausedWorkflowScheduledRunQueueBehavior": "QUEUE"}
    answer = await site.client.patch(
        f"/api/v1/workflows/{workflow_id}",
        json={"pause": {"action": "pause", "pausedWorkflowQueueTTL": "7d"} | words},
    )
    assert answer.status_code == 200, answer.text
    shown = Workflow.from_dict(answer.json())
    assert shown is not None
    assert shown.is_paused is True
    assert {key: answer.json()[key] for key in words} == words
    assert answer.json()["pausedBy"] == "ann"
    assert answer.json()["pausedAt"] is not None
    (listed,) = (await site.client.get(f"{site.tenant}/workflows")).json()["rows"]
    assert {key: listed[key] for key in ("isPaused", *words)} == words | {"isPaused": True}
    await site.client.patch(f"/api/v1/workflows/{workflow_id}", json={"pause": {"action": "unpause"}})
    assert [command for _, command in site.engine.commands] == [
        PauseWorkflow(workflow_id, 7 * 86_400 * US_PER_S, WhilePaused.DROP, WhilePaused.QUEUE),
        UnpauseWorkflow(workflow_id),
    ]


async def test_old_clients_pause_with_a_flag(site: Site) -> None:
    workflow_id, _, _ = await site.seeds.single()
    url = f"/api/v1/workflows/{workflow_id}"
    for body in ({"isPaused": False}, {}, {"isPaused": None}):
        answer = await site.client.patch(url, json=body)
        assert (answer.status_code, answer.json()["isPaused"]) == (200, False)
    assert site.engine.commands == [], "it was not paused before"
    await site.client.patch(url, json={"isPaused": True})
    thirty_days_us = 30 * 86_400 * US_PER_S
    assert [command for _, command in site.engine.commands] == [
        PauseWorkflow(workflow_id, thirty_days_us, WhilePaused.QUEUE, WhilePaused.QUEUE)
    ]


_WHOLE = {
    "action": "pause",
    "pausedWorkflowCronRunQueueBehavior": "DROP",
    "pausedWorkflowScheduledRunQueueBehavior": "QUEUE",
    "pausedWorkflowQueueTTL": "1h",
}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"action": "stop"}, "pause.action"),
        ({"pausedWorkflowCronRunQueueBehavior": None}, "pause.pausedWorkflowCronRunQueueBehavior"),
        ({"pausedWorkflowScheduledRunQueueBehavior": None}, "pause.pausedWorkflowScheduledRunQueueBehavior"),
        ({"pausedWorkflowScheduledRunQueueBehavior": "KEEP"}, "pause.pausedWorkflowScheduledRunQueueBehavior"),
        ({"pausedWorkflowQueueTTL": None}, "pause.pausedWorkflowQueueTTL"),
        ({"pausedWorkflowQueueTTL": "soon"}, "pause.pausedWorkflowQueueTTL"),
        ({"pausedWorkflowQueueTTL": 60}, "pause.pausedWorkflowQueueTTL"),
    ],
    ids=["action", "no-crons", "no-schedules", "unknown-behaviour", "no-ttl", "odd-ttl", "number-as-ttl"],
)
async def test_a_pause_that_is_not_whole_names_what_is_wrong(site: Site, wrong: dict[str, object], field: str) -> None:
    workflow_id, _, _ = await site.seeds.single()
    answer = await site.client.patch(f"/api/v1/workflows/{workflow_id}", json={"pause": _WHOLE | wrong})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    assert site.engine.commands == []


async def test_a_nul_in_a_text_is_a_bad_request_not_a_crash(site: Site) -> None:
    since = site.seeds.now.isoformat()
    answer = await site.client.post(
        f"{site.stable}/tasks/cancel", json={"filter": {"since": since, "additionalMetadata": ["k:\0"]}}
    )
    assert answer.status_code == 400
    login = await site.anonymous.post("/api/v1/users/login", json={"email": "a\0@b", "password": "x"})
    assert login.status_code == 400
