"""Workflows of the SDK of 2025, unmodified: registration, DAGs, events, results, streams, failures, children."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from gallery.cue import Cue
from hatchet_sdk import Hatchet
from lean_client import LeanClient
from wirekit import EngineProcess, Rest, Stage, StartWorker, eventually

from .conftest import PROGRAM, CallFailed, environment

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


async def test_followers_hear_the_steps_and_what_they_stream(old: Caller, stage: Stage, key: str) -> None:
    run_id = await old("run", workflow="OldSpeech", input={"key": key, "text": "clears its throat"})
    following = asyncio.create_task(old("stream", run_id=run_id, key=key))
    await stage.heard(key, "heard hm")
    stage.open(key)
    await stage.heard(key, "heard two")
    stage.open(key, "end")
    heard = await following
    types = [kind for kind, _ in heard]
    assert [payload for kind, payload in heard if kind.endswith("STREAM") and payload != "hm"] == ["one", "two"]
    assert types[-1].endswith("COMPLETED")
    assert await old("result_of", run_id=run_id) == {"speak": {"tone": "calm"}}


async def test_runs_are_followed_by_metadata(old: Caller, stage: Stage, key: str) -> None:
    said = {"key": key, "text": "clears its throat"}
    await old("run", workflow="OldSpeech", input=said, additional_metadata={"chat": key})
    following = asyncio.create_task(old("stream_by_metadata", name="chat", value=key, key=key))
    await stage.heard(key, "heard hm")
    stage.open(key)
    await stage.heard(key, "heard two")
    stage.open(key, "end")
    heard = await following
    assert [payload for kind, payload in heard if kind.endswith("STREAM") and payload != "hm"] == ["one", "two"]
    assert heard[-1][0].endswith("COMPLETED")


@pytest.mark.parametrize(
    ("text", "output"), [("text", "just text"), ("list", [1, 2]), ("number", 7), ("nothing", {})], ids=str
)
async def test_outputs_need_not_be_objects(old: Caller, key: str, text: str, output: object) -> None:
    result = await old("result", workflow="OldOutputs", input={"key": key, "text": text})
    assert result == {"first": output, "second": {"seen": output}}


async def test_an_output_that_is_no_json_fails_its_step(old: Caller, key: str) -> None:
    with pytest.raises(CallFailed, match="not valid JSON"):
        await old("result", workflow="OldOutputs", input={"key": key, "text": "set"})


async def test_steps_are_tried_again(old: Caller, stage: Stage, key: str) -> None:
    assert await old("result", workflow="OldRetries", input={"key": key, "n": 2}) == {"falter": {"retry_count": 2}}
    assert [told.data["retry_count"] for told in stage.told(key, "attempt")] == [0, 1, 2]


async def test_the_last_failure_reaches_the_caller(old: Caller, key: str) -> None:
    with pytest.raises(CallFailed, match=f"attempt 3 of {key}"):
        await old("result", workflow="OldRetries", input={"key": key, "n": 9})


async def test_the_on_failure_step_learns_what_failed(old: Caller, stage: Stage, key: str) -> None:
    with pytest.raises(CallFailed, match="fell on purpose"):
        await old("result", workflow="OldFailure", input={"key": key})
    (told,) = await stage.heard(key, "mended")
    assert "fell on purpose" in told.data["errors"]["fall"]
    assert [failure["step_run_action_name"] for failure in told.data["failures"]] == ["oldfailure:fall"]
    assert "fell on purpose" in told.data["failures"][0]["error"]


async def test_children_are_spawned_once_whatever_happens_to_their_parent(old: Caller, stage: Stage, key: str) -> None:
    result = await old("result", workflow="OldParent", input={"key": key, "n": 2, "fail": True})
    spawned = result["spawn"]
    assert [found["work"]["n"] for found in spawned["results"]] == [0, 1, 100, 101]
    assert len(set(spawned["runs"])) == 4
    told = {signal.data["n"]: signal.data for signal in stage.told(key, "child")}
    assert len(stage.told(key, "child")) == 4
    assert told[0]["index"] != told[1]["index"] and told[100]["child_key"] == "bulk-0"
    assert told[0]["metadata"]["of"] == "one"
    assert "hatchet__parent_step_run_id" in told[100]["metadata"]


async def test_a_childs_failure_reaches_its_parent(old: Caller, key: str) -> None:
    result = await old("result", workflow="OldSpawner", input={"key": key, "text": "OldChild", "n": 3, "fail": True})
    assert "child 3 failed" in result["spawn"]["error"]


async def test_sticky_children_stay_with_their_parents_worker(
    old: Caller, engine: EngineProcess, start_worker: StartWorker, old_python: str, key: str
) -> None:
    options = {"program": PROGRAM, "python": old_python, "environment": environment(engine, key), "namespace": key}
    workers = {(await start_worker(name, **options))[1] for name in ("one", "two")}
    result = await old("result", workflow=f"{key}_OldStickyParent", input={"key": key, "n": 4})
    spawn = result["spawn"]
    assert spawn["own"] in workers
    assert set(spawn["children"]) == {spawn["own"]} and result["after"]["own"] == spawn["own"]


async def test_functions(old: Caller, key: str) -> None:
    assert await old("result", workflow="oldfunction", input={"key": key, "n": 4}) == {"oldfunction": {"n": 8}}
    result = await old("result", workflow="olddurable", input={"key": key, "n": 5})
    assert result == {"olddurable": {"child": {"n": 10}}}


async def test_events_one_by_one_and_in_bulk(old: Caller, plain: Caller, stage: Stage, key: str) -> None:
    await plain("push", key="old:fan", payload={"key": key}, additional_metadata={"who": "me"})
    (told,) = await stage.heard(key, "fanned")
    assert told.data["metadata"]["who"] == "me" and told.data["metadata"]["hatchet__event_key"] == "old:fan"
    pushed = await plain("bulk_push", key="old:fan", payloads=[{"key": key}] * 3)
    assert len(set(pushed)) == 3
    await stage.heard(key, "fanned", count=4)


async def test_a_run_is_cancelled_where_it_runs(old: Caller, plain: Caller, stage: Stage, rest: Rest, key: str) -> None:
    run_id = await old("run", workflow="OldWaiter", input={"key": key})
    await stage.heard(key, "waiting")
    await plain("cancel_run", run_id=run_id)
    await stage.heard(key, "cancelled")
    stage.open(key)
    assert await rest.status(run_id) == "CANCELLED"


async def test_time_can_be_had_and_slots_given_back(old: Caller, stage: Stage, rest: Rest, key: str) -> None:
    run_id = await old("run", workflow="OldTimeout", input={"key": key})
    await stage.heard(key, "refreshed")
    task_id = (await rest.tasks(run_id))["refresh"]["taskExternalId"]
    types = await rest.event_types(task_id)
    assert "TIMEOUT_REFRESHED" in types and "SLOT_RELEASED" in types
    stage.open(key)
    assert await rest.finished(run_id) == "COMPLETED"


async def test_a_step_that_takes_too_long_fails(old: Caller, key: str) -> None:
    with pytest.raises(CallFailed, match="timed out"):
        await old("result", workflow="OldTimeout", input={"key": key, "fail": True})


async def test_log_lines_and_labels(old: Caller, stage: Stage, rest: Rest, key: str) -> None:
    run_id = await old("run", workflow="OldSpeech", input={"key": key})
    assert await rest.finished(run_id) == "COMPLETED"
    task_id = (await rest.tasks(run_id))["speak"]["taskExternalId"]
    lines = await eventually(lambda: rest.logs(task_id), until=lambda rows: len(rows) == 2, what="two lines")
    assert [line["message"] for line in lines] == ["one", "two"]


async def test_a_lost_worker_loses_no_run(
    old: Caller, engine: EngineProcess, stage: Stage, rest: Rest, start_worker: StartWorker, old_python: str, key: str
) -> None:
    options = {"program": PROGRAM, "python": old_python, "environment": environment(engine, key), "namespace": key}
    first, _ = await start_worker("first", **options)
    run_id = await old("run", workflow=f"{key}_OldTurns", input={"key": key, "n": 0})
    await stage.heard(key, "holding")
    await first.kill()
    await start_worker("second", **options)
    await stage.heard(key, "holding", count=2)
    stage.open(key, "go-0")
    assert await rest.finished(run_id) == "COMPLETED"


async def test_a_worker_that_is_told_to_end_finishes_what_it_has(
    old: Caller, engine: EngineProcess, stage: Stage, rest: Rest, start_worker: StartWorker, old_python: str, key: str
) -> None:
    options = {"program": PROGRAM, "python": old_python, "environment": environment(engine, key), "namespace": key}
    worker, _ = await start_worker("ending", **options)
    run_id = await old("run", workflow=f"{key}_OldTurns", input={"key": key, "n": 0})
    await stage.heard(key, "holding")
    worker.terminate()

    async def log() -> str:
        return worker.log()

    await eventually(log, until=lambda text: "waiting for 1 tasks" in text, what="the worker waits for its task")
    stage.open(key, "go-0")
    assert await rest.finished(run_id) == "COMPLETED"
    await worker.ended()


async def test_a_worker_that_comes_back_registers_the_same_version(
    engine: EngineProcess, rest: Rest, start_worker: StartWorker, old_python: str, key: str
) -> None:
    options = {"program": PROGRAM, "python": old_python, "environment": environment(engine, key), "namespace": key}
    first, _ = await start_worker("first", **options)
    before = await rest.workflow_version(f"{key}_OldDag")
    await first.kill()
    await start_worker("second", **options)
    assert await rest.workflow_version(f"{key}_OldDag") == before


# Both generations in one tenant ---------------------------------------------------------------------------------------


async def test_old_code_runs_new_workflows(old: Caller, hatchet: Hatchet, key: str) -> None:
    assert (await old("result", workflow="echo", input={"key": key, "n": 3}))["echo"]["n"] == 3
    spawned = await old("result", workflow="OldSpawner", input={"key": key, "n": 4, "text": "child"})
    assert spawned["spawn"]["result"]["child"]["n"] == 4
    failed = await old("result", workflow="OldSpawner", input={"key": key, "text": "gives-up"})
    assert "error" in failed["spawn"]


async def test_new_code_runs_old_workflows(old: Caller, hatchet: Hatchet, key: str) -> None:
    stub = hatchet.stubs.workflow(name="OldDag", input_validator=Cue)
    assert (await stub.aio_run(Cue(key=key, n=1)))["sum"] == {"total": 13}
    spawner = hatchet.stubs.workflow(name="spawn-named", input_validator=Cue)
    result = await spawner.aio_run(Cue(key=key, n=6, text="OldChild"))
    assert result["spawn-named"]["result"] == {"work": {"n": 6}}
    result = await spawner.aio_run(Cue(key=key, n=6, text="OldChild", fail=True))
    assert result["spawn-named"]["caught"] != []


async def test_new_code_may_take_over_an_old_workflow(
    old: Caller,
    hatchet: Hatchet,
    lean: LeanClient,
    rest: Rest,
    start_worker: StartWorker,
    engine: EngineProcess,
    old_python: str,
    key: str,
) -> None:
    options = {"program": PROGRAM, "python": old_python, "environment": environment(engine, key), "namespace": key}
    await start_worker("old", **options)
    before = await rest.workflow_version(f"{key}_OldChild")
    workflow = engine.client(key).workflow(name="OldChild", input_validator=Cue)

    @workflow.task(name="work")
    async def work(cue: Cue, ctx: object) -> dict[str, int]:
        return {"n": cue.n}

    engine.client()._client.admin.put_workflow(workflow.to_proto())
    after = await rest.workflow_version(f"{key}_OldChild")
    assert after["workflowId"] == before["workflowId"]
    assert after["metadata"]["id"] != before["metadata"]["id"]
    assert await old("result", workflow=f"{key}_OldChild", input={"key": key, "n": 9}) == {"work": {"n": 9}}
