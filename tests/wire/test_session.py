"""Our own worker on the session protocol: what its tasks and callers see is what they see of the official one."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from broadaxe_worker import Caller
from gallery.cue import Cue
from gallery.plain import Echoed
from hatchet_sdk import Hatchet
from hatchet_sdk.exceptions import FailedTaskRunExceptionGroup
from wirekit import EngineProcess, Rest, Stage, StartWorker

from tests.chaos.proxy import Proxy

HAPPY = ["QUEUED", "ASSIGNED", "SENT_TO_WORKER", "STARTED", "FINISHED"]


async def test_a_task_runs_with_the_same_history_as_on_the_official_worker(
    engine: EngineProcess, rest: Rest, start_worker: StartWorker, key: str
) -> None:
    _, worker_id = await start_worker(namespace=key, runtime="session")
    echo = engine.client(key).stubs.task(name="echo", input_validator=Cue, output_validator=Echoed)
    reference = await echo.aio_run(Cue(key=key, n=7, text="grüße"), wait_for_result=False)
    answer = await reference.aio_result()
    assert (answer.n, answer.text, answer.task_run_id) == (7, "grüße", reference.workflow_run_id)
    events = await rest.events(reference.workflow_run_id)
    assert [event["eventType"] for event in events] == HAPPY
    assert {event["workerId"] for event in events[1:]} == {worker_id}


async def test_what_finishes_while_the_engine_is_dead_arrives_once_when_it_is_back(
    own_engine: EngineProcess, stage: Stage, start_worker: StartWorker, key: str
) -> None:
    """`kill -9`, with 20 tasks that run; they end while nobody listens."""
    await start_worker(engine=own_engine, runtime="session")
    hatchet = own_engine.client()
    hold = hatchet.stubs.workflow(name="hold", input_validator=Cue)
    runs = [await hold.aio_run(Cue(key=key, n=n), wait_for_result=False) for n in range(20)]
    await stage.heard(key, "started", count=20)
    await own_engine.kill()
    stage.open(key)
    await stage.heard(key, "ended", count=20)
    await own_engine.start()
    async with Rest(own_engine.url, own_engine.token, hatchet.tenant_id) as rest:
        for n, run in enumerate(runs):
            assert await run.aio_result() == {"hold": {"n": n, "retry_count": 0}}
            events = [event["eventType"] for event in await rest.events(run.workflow_run_id)]
            assert events.count("FINISHED") == 1 and events.count("STARTED") == 1
    assert len(stage.told(key, "started")) == 20


async def test_a_caller_on_a_session_gets_what_it_gets_on_the_official_protocol(
    engine: EngineProcess, gallery: str, key: str
) -> None:
    hatchet = engine.client()
    echo = hatchet.stubs.task(name="echo", input_validator=Cue, output_validator=Echoed)
    fails = hatchet.stubs.workflow(name="always-fails", input_validator=Cue)
    with Caller(hatchet):
        answers = await echo.aio_run_many([echo.create_bulk_run_item(Cue(key=key, n=n)) for n in range(50)])
        assert [answer.n for answer in answers] == list(range(50))
        assert (await asyncio.to_thread(echo.run, Cue(key=key, n=51))).n == 51
        reference = await echo.aio_run(Cue(key=key, n=52), wait_for_result=False)
        assert (await reference.aio_result()).n == (await reference.aio_result()).n == 52
        with pytest.raises(FailedTaskRunExceptionGroup):
            await fails.aio_run(Cue(key=key))
        with pytest.raises(grpc.RpcError) as refused:
            await hatchet.stubs.workflow(name=f"none-{key}", input_validator=Cue).aio_run(Cue(key=key))
        official = await _refusal(engine.client(), key)
        assert (refused.value.code(), refused.value.details()) == official
    assert (await echo.aio_run(Cue(key=key, n=53))).n == 53


async def _refusal(hatchet: Hatchet, key: str) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as refused:
        await hatchet.stubs.workflow(name=f"none-{key}", input_validator=Cue).aio_run(Cue(key=key))
    return refused.value.code(), refused.value.details()


async def test_runs_that_are_awaited_are_told_of_after_the_engine_was_killed(
    own_engine: EngineProcess, stage: Stage, start_worker: StartWorker, key: str
) -> None:
    await start_worker(engine=own_engine, runtime="session")
    hatchet = own_engine.client()
    hold = hatchet.stubs.workflow(name="hold", input_validator=Cue)
    with Caller(hatchet):
        runs = [await hold.aio_run(Cue(key=key, n=n), wait_for_result=False) for n in range(5)]
        results = asyncio.gather(*(run.aio_result() for run in runs))
        await stage.heard(key, "started", count=5)
        await own_engine.kill()
        stage.open(key)
        await own_engine.start()
        assert await results == [{"hold": {"n": n, "retry_count": 0}} for n in range(5)]


async def test_every_result_arrives_once_over_a_line_that_breaks(
    engine: EngineProcess, rest: Rest, stage: Stage, start_worker: StartWorker, key: str
) -> None:
    line = Proxy(int(engine.address.rpartition(":")[2]))
    await line.start()
    try:
        environment = engine.worker_environment(key) | {"HATCHET_CLIENT_HOST_PORT": f"127.0.0.1:{line.port}"}
        await start_worker(namespace=key, slots=4, runtime="session", environment=environment)
        echo = engine.client(key).stubs.task(name="echo", input_validator=Cue, output_validator=Echoed)
        runs = [await echo.aio_run(Cue(key=key, n=n), wait_for_result=False) for n in range(40)]
        results = asyncio.gather(*(run.aio_result() for run in runs))
        for count in (5, 15, 25):
            await stage.heard(key, "echo", count=count)
            line.reset()
        assert [answer.n for answer in await results] == list(range(40))
        for run in runs:
            events = [event["eventType"] for event in await rest.events(run.workflow_run_id)]
            assert events.count("FINISHED") == 1
    finally:
        await line.stop()
