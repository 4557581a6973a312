"""Debounced triggers with the official SDK: of a burst the last one runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from itertools import pairwise
from typing import Any

import grpc.aio
import pytest
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from lean_client import LeanClient, Task
from wirekit import EngineProcess, Rest, Stage


def wish(key: str, quiet_ms: int, **more: Any) -> dict[str, Any]:
    return {"broadaxe__debounce_key": key, "broadaxe__debounce_quiet_ms": quiet_ms, **more}


async def test_only_the_last_of_a_burst_runs(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    echo = hatchet.stubs.workflow(name="echo", input_validator=Cue)
    references = [
        await echo.aio_run(Cue(key=key, n=n), wait_for_result=False, additional_metadata=wish(key, 1_000))
        for n in range(4)
    ]
    assert (await references[-1].aio_result())["echo"]["n"] == 3
    assert [signal.data["n"] for signal in stage.told(key, "echo")] == [3]
    run_ids = [reference.workflow_run_id for reference in references]
    for earlier, later in pairwise(run_ids):
        (task,) = (await rest.run(earlier))["tasks"]
        assert (task["status"], later in task["errorMessage"]) == ("CANCELLED", True)
    events = await rest.events(run_ids[-1])
    assert [event["eventType"] for event in events][:3] == ["CREATED", "QUEUED", "ASSIGNED"]
    waited = _instant(events[1]) - _instant(events[0])
    assert 1 <= waited.total_seconds() < 1.5


async def test_a_steady_stream_goes_on_at_the_longest_wait(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    """The first trigger begins the wait; one that would prolong it does not."""
    echo = hatchet.stubs.workflow(name="echo", input_validator=Cue)
    metadata = wish(key, 1_500, broadaxe__debounce_max_wait_ms=1_500)
    for n in range(3):
        await echo.aio_run(Cue(key=key, n=n), wait_for_result=False, additional_metadata=metadata)
    first = await stage.heard(key, "echo")
    assert [signal.data["n"] for signal in first] == [2]


async def test_pushed_events_are_debounced_too(hatchet: Hatchet, stage: Stage, key: str) -> None:
    for n in range(3):
        await hatchet.event.aio_push("wire:exact", {"key": key, "n": n}, additional_metadata=wish(key, 500))
    assert [signal.data["n"] for signal in await stage.heard(key, "echo")] == [2]
    assert [signal.data["n"] for signal in await stage.heard(key, "echo-too")] == [2]


async def test_a_wish_that_cannot_be_is_refused_by_name(hatchet: Hatchet, lean: LeanClient, key: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await lean.trigger(key, {}, additional_metadata={"broadaxe__debounce_key": "k"})
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "broadaxe__debounce_quiet_ms" in (refused.value.details() or "")


async def test_a_burst_survives_a_killed_engine(own_engine: EngineProcess, key: str) -> None:
    """Killed in the middle: the burst goes on, and its last run is the only one that runs."""
    async with LeanClient(own_engine.address, own_engine.token) as lean:
        await lean.put_workflow(key, [Task("only")])
        # However long the engine is away, the burst is not over when it is back; the last trigger makes it short.
        runs = [await lean.trigger(key, {"n": n}, additional_metadata=wish(key, 3_600_000)) for n in range(20)]
        await own_engine.kill()
    await own_engine.start()
    received: Counter[str] = Counter()
    async with (
        LeanClient(own_engine.address, own_engine.token) as lean,
        Rest(own_engine.url, own_engine.token, own_engine.client().tenant_id) as rest,
    ):
        runs += [await lean.trigger(key, {"n": n}, additional_metadata=wish(key, 3_600_000)) for n in range(4)]
        runs.append(await lean.trigger(key, {}, additional_metadata=wish(key, 1_000)))
        worker = asyncio.create_task(
            lean.run_noop_worker(
                [f"{key}:only"], slots=5, on_received=lambda action: received.update([action.workflow_run_id])
            )
        )
        assert await rest.finished(runs[-1], within_s=30) == "COMPLETED"
        worker.cancel()
        assert [await rest.status(run_id) for run_id in runs[:-1]] == ["CANCELLED"] * 24
        found = [(await rest.run(run_id))["run"]["additionalMetadata"] for run_id in runs]
        begun = {metadata["broadaxe__debounce_first_at_us"] for metadata in found}
        assert len(begun) == 1, "they were one burst, also across the crash"
        events = await rest.events(runs[-1])
        assert (_instant(events[1]) - _instant(events[0])).total_seconds() >= 1
    assert received == Counter([runs[-1]])


def _instant(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["timestamp"])
