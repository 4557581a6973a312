"""Batch tasks: when a batch goes, who is in it, and what becomes of its items."""

from __future__ import annotations

import asyncio

import pytest
from hatchet_sdk import Hatchet
from hatchet_sdk.exceptions import FailedTaskRunExceptionGroup
from programs.flow_cue import Flow
from programs.flow_places import start, start_many, until_event
from wirekit import Rest, Stage


def invocations(stage: Stage, key: str) -> list[list[int]]:
    return [signal.data["ns"] for signal in stage.told(key, "invoked")]


async def test_a_full_batch_is_one_invocation_with_a_result_each(
    flow: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    stage.open(key)
    references = [await start(flow, "flow-batch", Flow(key=key, n=n, user=key)) for n in range(3)]
    results = await asyncio.gather(*(reference.aio_result() for reference in references))
    assert results == [{"flow-batch": {"n": n, "of": 3}} for n in range(3)]
    assert invocations(stage, key) == [[0, 1, 2]]
    assert len({reference.workflow_run_id for reference in references}) == 3
    for reference in references:
        types = await rest.event_types(reference.workflow_run_id)
        assert types == [
            "QUEUED", "WAITING_FOR_BATCH", "BATCH_FLUSHED", "ASSIGNED", "SENT_TO_WORKER", "STARTED", "FINISHED",
        ]  # fmt: skip
    flushed = (await rest.events(references[0].workflow_run_id))[2]
    assert "batch is full" in flushed["message"]


async def test_the_interval_sends_a_batch_that_is_not_full(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    references = await start_many(flow, "flow-batch-soon", [Flow(key=key, n=n, user=key) for n in range(2)])
    await asyncio.gather(*(reference.aio_result() for reference in references))
    assert invocations(stage, key) == [[0, 1]]
    flushed = (await rest.events(references[0].workflow_run_id))[2]
    assert "interval" in flushed["message"]


async def test_a_batch_takes_no_more_than_its_size(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    stage.open(key)
    references = await start_many(flow, "flow-batch", [Flow(key=key, n=n, user=key) for n in range(8)])
    await asyncio.gather(*(reference.aio_result() for reference in references[:6]))
    assert sorted(invocations(stage, key)) == [[0, 1, 2], [3, 4, 5]]
    for reference in references[6:]:
        await until_event(rest, reference.workflow_run_id, "WAITING_FOR_BATCH")
    await rest.cancel(*(reference.workflow_run_id for reference in references[6:]))


async def test_groups_do_not_mix(flow: Hatchet, stage: Stage, key: str) -> None:
    stage.open(key)
    cues = [Flow(key=key, n=n, user=f"{key}-{'ab'[n % 2]}") for n in range(6)]
    references = await start_many(flow, "flow-batch", cues)
    await asyncio.gather(*(reference.aio_result() for reference in references))
    assert sorted(invocations(stage, key)) == [[0, 2, 4], [1, 3, 5]]


async def test_one_output_can_be_for_all(flow: Hatchet, stage: Stage, key: str) -> None:
    references = await start_many(flow, "flow-batch-broadcast", [Flow(key=key, n=n, user=key) for n in (20, 22)])
    results = await asyncio.gather(*(reference.aio_result() for reference in references))
    assert results == [{"flow-batch-broadcast": {"sum": 42}}] * 2


async def test_a_missing_output_fails_all_items(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    references = await start_many(flow, "flow-batch-forgets", [Flow(key=key, n=n, user=key) for n in range(2)])
    for reference in references:
        with pytest.raises(FailedTaskRunExceptionGroup) as failed:
            await reference.aio_result()
        assert "1 outputs for 2 inputs" in failed.value.exceptions[0].exc
        assert await rest.status(reference.workflow_run_id) == "FAILED"


async def test_failed_items_are_retried_and_gather_again(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    references = await start_many(flow, "flow-batch-tries", [Flow(key=key, n=n, user=key, fails=1) for n in range(2)])
    results = await asyncio.gather(*(reference.aio_result() for reference in references))
    assert results == [{"tries": {"n": n}} for n in range(2)]
    assert invocations(stage, key) == [[0, 1], [0, 1]]
    types = await rest.event_types(references[0].workflow_run_id)
    once = ["QUEUED", "WAITING_FOR_BATCH", "BATCH_FLUSHED", "ASSIGNED", "SENT_TO_WORKER", "STARTED"]
    assert types == [*once, "FAILED", "RETRYING", *once, "FINISHED"]


async def test_a_failure_for_good_is_not_retried(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    references = await start_many(flow, "flow-batch-tries", [Flow(key=key, n=n, user=key, fail=True) for n in range(2)])
    for reference in references:
        assert await rest.finished(reference.workflow_run_id) == "FAILED"
        assert "RETRYING" not in await rest.event_types(reference.workflow_run_id)
    assert invocations(stage, key) == [[0, 1]]


async def test_a_cancelled_item_leaves_the_others_running(flow: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    references = await start_many(flow, "flow-batch", [Flow(key=key, n=n, user=key) for n in range(3)])
    await stage.heard(key, "invoked")
    await rest.cancel(references[1].workflow_run_id)
    assert await rest.status(references[1].workflow_run_id) == "CANCELLED"
    stage.open(key)
    await asyncio.gather(references[0].aio_result(), references[2].aio_result())
    assert await rest.status(references[1].workflow_run_id) == "CANCELLED"


async def test_a_batch_uses_one_slot(narrow: tuple[Hatchet, str], rest: Rest, stage: Stage, key: str) -> None:
    """A worker of one unit runs a batch of three, and the next batch once that has ended."""
    client, worker_id = narrow
    first = await start_many(client, "flow-batch", [Flow(key=key, n=n, user=key, way="first") for n in range(3)])
    await stage.heard(key, "invoked")
    second = await start_many(client, "flow-batch", [Flow(key=key, n=n, user=key) for n in range(3, 6)])
    assert (await rest.worker(worker_id))["availableRuns"] == 0
    assert [await rest.status(reference.workflow_run_id) for reference in first + second] == [
        *["RUNNING"] * 3,
        *["QUEUED"] * 3,
    ]
    stage.open(key, "first")
    stage.open(key)
    await asyncio.gather(*(reference.aio_result() for reference in first + second))
    assert invocations(stage, key) == [[0, 1, 2], [3, 4, 5]]
    assert (await rest.worker(worker_id))["availableRuns"] == 1
