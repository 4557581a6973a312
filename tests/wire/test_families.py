"""Runs started by tasks and by events."""

from __future__ import annotations

import asyncio

from gallery.cue import Cue
from hatchet_sdk import Hatchet
from hatchet_sdk.clients.events import BulkPushEventWithMetadata
from wirekit import Rest, Stage, eventually


async def test_a_task_starts_children_and_gets_their_results(hatchet: Hatchet, rest: Rest, key: str) -> None:
    parent = hatchet.stubs.workflow(name="parent", input_validator=Cue)
    result = (await parent.aio_run(Cue(key=key, n=3), additional_metadata={"customer": "acme", "own": "parent"}))[
        "parent"
    ]
    children = result["children"]
    assert [child["n"] for child in children] == [0, 1, 2]
    assert len({child["run_id"] for child in children}) == 3
    for child in [*children, result["keyed"]]:
        assert child["parent_run_id"] == result["run_id"]
        assert child["metadata"]["customer"] == "acme"
        assert child["metadata"]["hatchet__parent_workflow_run_id"] == result["run_id"]
    assert result["keyed"]["metadata"]["own"] == "child"
    row = (await rest.run(children[0]["run_id"]))["run"]
    assert row["parentTaskExternalId"] == result["run_id"]


async def test_a_key_names_one_child(hatchet: Hatchet, stage: Stage, key: str) -> None:
    parent = hatchet.stubs.workflow(name="parent", input_validator=Cue)
    result = (await parent.aio_run(Cue(key=key)))["parent"]
    assert result["again"] == result["keyed"]
    assert (result["keyed"]["n"], result["keyed"]["child_key"]) == (100, "the-one")
    assert len(stage.told(key, "child")) == 1


async def test_a_retried_parent_finds_the_children_it_had(hatchet: Hatchet, stage: Stage, key: str) -> None:
    parent = hatchet.stubs.workflow(name="parent", input_validator=Cue)
    await parent.aio_run(Cue(key=key, n=3, fail=True))
    first, second = stage.told(key, "parent")
    assert (first.data["retry_count"], second.data["retry_count"]) == (0, 1)
    assert first.data["ids"] == second.data["ids"] and first.data["keyed"] == second.data["keyed"]
    assert len(stage.told(key, "child")) == 4, "no child ran twice"


async def test_the_failure_of_a_child_can_be_caught(hatchet: Hatchet, key: str) -> None:
    sad = hatchet.stubs.workflow(name="sad-parent", input_validator=Cue)
    result = (await sad.aio_run(Cue(key=key)))["sad-parent"]
    assert result["caught"] == ["no use"]


async def test_an_event_starts_every_workflow_that_listens_for_it(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    pushed = await hatchet.event.aio_push(
        "wire:order.created.now", {"key": key, "n": 5}, additional_metadata={"source": "shop"}
    )
    (plain,) = await stage.heard(key, "echo")
    (wild,) = await stage.heard(key, "echo-too")
    assert plain.data["event"] == wild.data["event"] == "wire:order.created.now"
    assert plain.data["n"] == wild.data["n"] == 5
    metadata = wild.data["metadata"]
    assert metadata["source"] == "shop"
    assert metadata["hatchet__event_id"] == pushed.event_id
    assert metadata["hatchet__event_key"] == "wire:order.created.now"
    listed = next(row for row in await rest.user_events() if row["metadata"]["id"] == pushed.event_id)
    assert listed["key"] == "wire:order.created.now"


async def test_patterns_match_whole_keys_only(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    """`echo` listens for `wire:order.*` and `wire:exact`, `echo-too` for `wire:*`."""
    for n, event_key in enumerate(("wire:order.", "wire:exact", "wire:exactly", "wire:orders", "else:wire:exact")):
        await hatchet.event.aio_push(event_key, {"key": key, "n": n})
    await stage.heard(key, "echo", count=2)
    await stage.heard(key, "echo-too", count=4)
    assert sorted(signal.data["n"] for signal in stage.told(key, "echo")) == [0, 1]
    assert sorted(signal.data["n"] for signal in stage.told(key, "echo-too")) == [0, 1, 2, 3]
    assert "else:wire:exact" in [row["key"] for row in await rest.user_events()], "kept though nobody listens"


async def test_events_can_be_pushed_in_bulk(hatchet: Hatchet, stage: Stage, key: str) -> None:
    pushed = await hatchet.event.aio_bulk_push(
        [
            BulkPushEventWithMetadata(
                key="wire:exact", payload={"key": key, "n": n}, additional_metadata={}, priority=3
            )
            for n in range(5)
        ]
    )
    assert len({event.event_id for event in pushed}) == 5
    signals = await stage.heard(key, "echo", count=5)
    assert sorted(signal.data["n"] for signal in signals) == [0, 1, 2, 3, 4]
    assert {signal.data["priority"] for signal in signals} == {3}


async def test_the_synchronous_client_pushes_events_too(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    event = await asyncio.to_thread(hatchet.event.push, "wire:exact", {"key": key})
    await stage.heard(key, "echo")

    async def runs_of_event() -> list[dict[str, object]]:
        found = await rest.runs(since="2020-01-01T00:00:00Z", only_tasks="false", limit="200")
        return [row for row in found if (row["additionalMetadata"] or {}).get("hatchet__event_id") == event.event_id]

    rows = await eventually(runs_of_event, until=lambda rows: len(rows) == 2, what="both runs are listed")
    assert {row["workflowName"] for row in rows} == {"echo", "echo-too"}
