"""Workflows of the SDK of 2025, unmodified: registration, DAGs, events, results, streams, failures, children."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wirekit import Rest, Stage

if TYPE_CHECKING:
    from .conftest import Caller


async def test_steps_get_their_parents_output_under_the_name_they_use(old: Caller, stage: Stage, key: str) -> None:
    outputs = await old("result", workflow="OldDag", input={"key": key, "n": 1})
    assert outputs == {
        "stepone": {"n": 2, "by_event": False},
        "step_two": {"n": 11},
        "sum": {"total": 13},
    }
    (told,) = stage.told(key, "sum")
    assert told.data["same"] == outputs["stepone"]


async def test_a_result_can_be_awaited_without_asyncio(plain: Caller, key: str) -> None:
    outputs = await plain("sync_result", workflow="OldDag", input={"key": key, "n": 0})
    assert outputs["sum"] == {"total": 11}


async def test_many_runs_in_one_request(old: Caller, key: str) -> None:
    results = await old("results_of_many", workflow="OldDag", inputs=[{"key": key, "n": n} for n in range(5)])
    assert [found["sum"]["total"] for found in results] == [11 + 2 * n for n in range(5)]


async def test_an_event_starts_the_workflow(old: Caller, stage: Stage, rest: Rest, key: str) -> None:
    await old("push", key="old:greeting", payload={"key": key, "n": 5})
    (told,) = await stage.heard(key, "sum")
    assert told.data["total"] == 21
    assert told.data["same"]["by_event"] is True
