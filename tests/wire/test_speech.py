"""Streams and logs."""

from __future__ import annotations

import asyncio
import warnings

from gallery.cue import Cue
from hatchet_sdk import Hatchet
from hatchet_sdk.clients.listeners.run_event_listener import StepRunEventType
from wirekit import Rest, Stage, eventually


async def test_chunks_arrive_in_order_and_the_stream_ends_with_the_run(
    hatchet: Hatchet, stage: Stage, key: str
) -> None:
    speak = hatchet.stubs.workflow(name="speak", input_validator=Cue)
    reference = await speak.aio_run(Cue(key=key, n=100), wait_for_result=False)
    early: list[str] = []
    late: list[str] = []

    async def listen(heard: list[str], gate: str) -> None:
        async for chunk in hatchet.runs.subscribe_to_stream(reference.workflow_run_id):
            stage.open(key, gate)
            heard.append(chunk)

    first = asyncio.create_task(listen(early, "first"))
    await stage.heard(key, "spoke")
    second = asyncio.create_task(listen(late, "last"))
    await asyncio.wait_for(asyncio.gather(first, second), 30)
    assert [chunk for chunk in early if chunk != "probe"] == [*(f"chunk {n}" for n in range(100)), "the end"]
    # Chunks are not kept: who comes late hears only what comes after.
    assert [chunk for chunk in late if chunk != "probe"] == ["the end"]
    # And the stream of a run that has ended ends at once.
    await asyncio.wait_for(listen(nothing := [], "never"), 10)
    assert nothing == []
    assert (await reference.aio_result())["speak"] == {"spoken": 100}


async def test_a_chunk_may_be_as_large_as_a_message(hatchet: Hatchet, stage: Stage, key: str) -> None:
    size = 3_900_000
    shout = hatchet.stubs.workflow(name="shout", input_validator=Cue)
    reference = await shout.aio_run(Cue(key=key, n=size), wait_for_result=False)
    heard: list[str] = []

    async def listen() -> None:
        async for chunk in hatchet.runs.subscribe_to_stream(reference.workflow_run_id):
            stage.open(key, "first")
            if chunk != "probe":
                heard.append(chunk)

    await asyncio.wait_for(listen(), 60)
    assert heard[0] == "x" * size
    # What is no text is three times as large when it has become text, and comes in parts.
    assert "".join(heard[1:]) == "\N{REPLACEMENT CHARACTER}" * size
    await reference.aio_result()


async def test_a_reference_streams_what_happens_to_its_run(hatchet: Hatchet, stage: Stage, key: str) -> None:
    speak = hatchet.stubs.workflow(name="speak", input_validator=Cue)
    reference = await speak.aio_run(Cue(key=key, n=3), wait_for_result=False)
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        stream = reference.stream()
    async for event in stream:
        stage.open(key, "first")
        stage.open(key, "last")
        if event.payload != "probe":
            seen.append(event)
    chunks = [event.payload for event in seen if event.type is StepRunEventType.STEP_RUN_EVENT_TYPE_STREAM]
    assert chunks == ["chunk 0", "chunk 1", "chunk 2", "the end"]
    assert seen[-1].type is StepRunEventType.STEP_RUN_EVENT_TYPE_COMPLETED


async def test_runs_can_be_followed_by_their_metadata(hatchet: Hatchet, stage: Stage, key: str) -> None:
    speak = hatchet.stubs.workflow(name="speak", input_validator=Cue)
    await speak.aio_run(Cue(key=key, n=2), wait_for_result=False, additional_metadata={"call": key})
    await speak.aio_run(Cue(key=f"{key}-other", n=2), wait_for_result=False, additional_metadata={"call": "other"})
    stage.open(f"{key}-other", "first")
    await stage.heard(f"{key}-other", "spoke")
    heard = []
    async for event in hatchet.listener.stream_by_additional_metadata("call", key):
        stage.open(key, "first")
        stage.open(key, "last")
        if event.type is StepRunEventType.STEP_RUN_EVENT_TYPE_STREAM and event.payload != "probe":
            heard.append(event.payload)
    stage.open(f"{key}-other", "last")
    assert heard == ["chunk 0", "chunk 1", "the end"]


async def test_a_tasks_log_can_be_read_and_searched(hatchet: Hatchet, rest: Rest, key: str) -> None:
    log = hatchet.stubs.workflow(name="log", input_validator=Cue)
    reference = await log.aio_run(Cue(key=key, n=10_001, text=key), wait_for_result=False)
    await reference.aio_result()
    run_id = reference.workflow_run_id

    async def written() -> list[str]:
        return [line["message"] for line in await rest.logs(run_id)]

    # Lines may arrive after the task has completed.
    lines = await eventually(written, until=lambda lines: len(lines) >= 3, what="three lines")
    assert lines[:2] == [f"a needle {key}", "some hay"]
    assert lines[2] == "x" * 10_000
    assert [line["message"] for line in await rest.logs(run_id, search="needle")] == [f"a needle {key}"]
    assert await rest.logs(run_id, search="no such text") == []
