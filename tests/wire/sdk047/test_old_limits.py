"""Limits in the form of 2025: concurrency by function and by expression, rate limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from wirekit import EngineProcess, Rest, Stage, StartWorker, eventually

from .conftest import PROGRAM, CallFailed, environment

if TYPE_CHECKING:
    from .conftest import Caller


async def test_a_function_tells_the_group_and_the_limit_is_kept(
    old: Caller, stage: Stage, rest: Rest, key: str
) -> None:
    runs = [await old("run", workflow="OldAsked", input={"key": key, "n": n}) for n in range(4)]
    await stage.heard(key, "asked", count=4)
    await stage.heard(key, "holding", count=2)
    # All four are asked at once, and whoever's answer comes first is in the group first.
    first, second = [told.data["n"] for told in stage.told(key, "holding")]
    waiting = {0, 1, 2, 3} - {first, second}
    assert [await rest.status(runs[n]) for n in waiting] == ["QUEUED"] * 2
    stage.open(key, f"go-{first}")
    await stage.heard(key, "holding", count=3)
    third = stage.told(key, "holding")[2].data["n"]
    assert third in waiting
    (fourth,) = waiting - {third}
    assert await rest.status(runs[fourth]) == "QUEUED"
    for n in (second, third, fourth):
        stage.open(key, f"go-{n}")
    for n, run_id in enumerate(runs):
        assert await rest.finished(run_id) == "COMPLETED"
        assert await old("result_of", run_id=run_id) == {"hold": {"n": n}, "after": {"held": n}}
    assert len(stage.told(key, "asked")) == 4


async def test_the_question_is_listed_only_when_it_is_why_the_run_failed(
    old: Caller, stage: Stage, rest: Rest, key: str
) -> None:
    since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    well = await old("run", workflow="OldAsked", input={"key": key, "n": 0})
    await stage.heard(key, "holding")
    stage.open(key, "go-0")
    assert await rest.finished(well) == "COMPLETED"
    ill = await old("run", workflow="OldAsked", input={"key": key, "n": 5, "fail": True})
    assert await rest.finished(ill) == "FAILED"
    tasks = await rest.runs(since=since, only_tasks="true")
    listed = {(row["workflowRunExternalId"], row["displayName"].rsplit("-", 1)[0]) for row in tasks}
    assert {name for run_id, name in listed if run_id == well} == {"hold", "after"}
    assert "(group key)" in {name for run_id, name in listed if run_id == ill}


async def test_the_newest_run_of_a_group_displaces_the_oldest(old: Caller, stage: Stage, rest: Rest, key: str) -> None:
    first = await old("run", workflow="OldLatest", input={"key": key, "n": 0})
    await stage.heard(key, "holding")
    second = await old("run", workflow="OldLatest", input={"key": key, "n": 1})
    assert await rest.finished(first) == "CANCELLED"
    stage.open(key, "go-1")
    assert await rest.finished(second) == "COMPLETED"


async def test_a_function_that_raises_fails_its_run_with_its_words(old: Caller, stage: Stage, key: str) -> None:
    with pytest.raises(CallFailed, match="no key for 5"):
        await old("result", workflow="OldAsked", input={"key": key, "n": 5, "fail": True})
    assert not stage.told(key, "holding")


async def test_a_function_that_returns_nothing_fails_its_run(old: Caller, key: str) -> None:
    with pytest.raises(CallFailed, match="no key"):
        await old("result", workflow="OldAsked", input={"key": key, "n": 5, "text": "nothing"})


async def test_the_question_outlives_the_worker_it_was_put_to(
    old: Caller, engine: EngineProcess, stage: Stage, rest: Rest, start_worker: StartWorker, old_python: str, key: str
) -> None:
    options = {"program": PROGRAM, "python": old_python, "environment": environment(engine, key), "namespace": key}
    first, _ = await start_worker("first", **options)
    run_id = await old("run", workflow=f"{key}_OldAsked", input={"key": key, "n": 0, "text": "slow"})
    await stage.heard(key, "asked")
    await first.kill()
    await start_worker("second", **options)
    await stage.heard(key, "asked", count=2)
    stage.open(key, "key-0")
    stage.open(key, "go-0")
    assert await rest.finished(run_id) == "COMPLETED"


async def test_what_was_answered_outlives_the_engine(
    own_engine: EngineProcess, stage: Stage, start_worker: StartWorker, old_python: str, key: str
) -> None:
    options = {"program": PROGRAM, "python": old_python, "engine": own_engine}
    await start_worker("old", environment=environment(own_engine), **options)
    client = own_engine.client()
    async with Rest(own_engine.url, own_engine.token, client.tenant_id) as rest:
        workflow = client.stubs.workflow(name="OldAsked")
        runs = []
        for n in (0, 2, 4):
            text = "slow" if n == 4 else ""
            ref = await workflow.aio_run({"key": key, "n": n, "text": text}, wait_for_result=False)
            runs.append(ref.workflow_run_id)
            await stage.heard(key, "asked", count=len(runs))
        await stage.heard(key, "holding")
        await own_engine.kill()
        await own_engine.start()
        stage.open(key, "key-4")
        stage.open(key, "go-0")
        await stage.heard(key, "holding", count=2)
        # Its question is answered by now, or soon: the answer may have been on its way while the engine was dead.
        await eventually(lambda: rest.status(runs[2]), until="QUEUED".__eq__, what="the third one waits for its turn")
        stage.open(key, "go-2")
        stage.open(key, "go-4")
        for run_id in runs:
            status = await rest.finished(run_id)
            assert status == "COMPLETED", [task.get("errorMessage") for task in (await rest.run(run_id))["tasks"]]
    assert [told.data["n"] for told in stage.told(key, "holding")] == [0, 2, 4]


async def test_an_expression_is_understood_as_today(old: Caller, stage: Stage, rest: Rest, key: str) -> None:
    runs = [await old("run", workflow="OldTurns", input={"key": key, "n": n}) for n in range(2)]
    await stage.heard(key, "holding")
    assert await rest.status(runs[1]) == "QUEUED"
    for n in range(2):
        stage.open(key, f"go-{n}")
    assert [await rest.finished(run_id) for run_id in runs] == ["COMPLETED", "COMPLETED"]


async def test_static_and_dynamic_rate_limits(old: Caller, plain: Caller, stage: Stage, rest: Rest, key: str) -> None:
    await plain("put_rate_limit", key="old-static", limit=2)
    runs = [await old("run", workflow="OldStaticLimit", input={"key": f"{key}s"}) for _ in range(3)]
    runs += [await old("run", workflow="OldDynamicLimit", input={"key": f"{key}d", "n": 1}) for _ in range(2)]
    await stage.heard(f"{key}s", "used", count=2)
    await stage.heard(f"{key}d", "used", count=1)
    statuses = [await rest.until_status(run_id, "QUEUED", "COMPLETED") for run_id in runs]
    waiting = [run_id for run_id, status in zip(runs, statuses, strict=True) if status == "QUEUED"]
    assert len(waiting) == 2
    await rest.cancel(*waiting)
