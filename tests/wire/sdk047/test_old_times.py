"""Crons and scheduled runs, asked for by the SDK of 2025."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirekit import Stage

if TYPE_CHECKING:
    from .conftest import Caller


async def test_a_workflows_own_crons_come_with_its_registration(plain: Caller) -> None:
    workflow = await plain("workflow_named", name="OldYearly")
    crons = await plain("rest", method="cron_list", workflow_id=workflow["metadata"]["id"])
    assert [(row["cron"], row["method"]) for row in crons["rows"]] == [("0 0 1 1 *", "DEFAULT")]


async def test_a_cron_is_made_found_and_deleted(plain: Caller, key: str) -> None:
    made = await plain("make_cron", workflow="OldFan", name=key, expression="30 4 * * *", input={"key": key})
    assert (made["name"], made["cron"], made["input"]) == (key, "30 4 * * *", {"key": key})
    cron_id = made["metadata"]["id"]
    assert (await plain("rest", method="cron_get", cron_trigger_id=cron_id))["name"] == key
    await plain("delete_cron", cron_id=cron_id)
    crons = await plain("rest", method="cron_list")
    assert cron_id not in {row["metadata"]["id"] for row in crons["rows"] or []}


async def test_a_scheduled_run_starts_when_it_is_due(plain: Caller, old: Caller, stage: Stage, key: str) -> None:
    await plain("schedule", workflow="OldFan", input={"key": key}, in_s=0)
    await stage.heard(key, "fanned")
    made = await plain("make_schedule", workflow="OldFan", input={"key": f"{key}-late"}, in_s=3_600)
    schedule_id = made["metadata"]["id"]
    found = await plain("rest", method="schedule_get", scheduled_trigger_id=schedule_id)
    assert found["workflowName"] == "OldFan"
    await plain("delete_schedule", schedule_id=schedule_id)
    soon = await plain("make_schedule", workflow="OldFan", input={"key": f"{key}-soon"}, in_s=0.2)
    assert soon["metadata"]["id"] != schedule_id
    await stage.heard(f"{key}-soon", "fanned")
    assert not stage.told(f"{key}-late")
