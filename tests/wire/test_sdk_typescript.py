"""The official TypeScript SDK: programs of our own, in a real Node process, against a real engine.

`tests/sdk_typescript` holds the programs. One process is worker and client of all tests here; a test names a scenario
and judges what it reports. `make sdk-typescript` compiles them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wirekit import EngineProcess, Rest, TypeScriptProgram


@pytest.fixture(scope="session")
def typescript(shared_engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TypeScriptProgram]:
    program = TypeScriptProgram(shared_engine, tmp_path_factory.mktemp("typescript"))
    try:
        asyncio.run(program.ready())
        yield program
    finally:
        program.dispose()


def message(said: str) -> str:
    """The message in a task's error, which the SDK sends as JSON with the stack beside it."""
    found = json.loads(said)
    assert "stack" in found
    return str(found["message"])


class TestRuns:
    async def test_task_gets_its_input_and_knows_its_run(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("echo", say="hallo, Welt", metadata={"who": "me"})
        assert seen["said"] == "hallo, Welt"
        assert seen["metadata"]["who"] == "me"
        assert set(seen["metadata"]) == {"who", "traceparent"}
        assert (seen["task"], seen["workflow"], seen["retryCount"], seen["priority"]) == ("ts-echo", "ts-echo", 0, 3)
        assert len(seen["runId"]) == len(seen["workerId"]) == 36

    async def test_task_without_a_result_gives_an_empty_one(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("silent") == {}

    async def test_run_by_name_gives_the_results_of_all_tasks(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("byName", say="x")
        assert seen["ts-echo"]["said"] == "x"

    async def test_unknown_name_is_refused_by_name(self, typescript: TypeScriptProgram) -> None:
        refused = await typescript.play("unknownName")
        assert "INVALID_ARGUMENT" in refused["said"][0]
        assert "'ts-nobody-knows'" in refused["said"][0]

    async def test_dag_hands_outputs_to_children_under_names_as_written(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("sum", start=5) == {
            "Load": {"value": 5},
            "double": {"value": 10},
            "triple": {"value": 15},
            "add": {"value": 25, "parents": ["Load", "double", "triple"]},
        }

    async def test_failed_attempts_are_repeated(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("flaky", failures=2) == {"attempt": 2}

    async def test_exhausted_retries_reject_with_the_last_error(self, typescript: TypeScriptProgram) -> None:
        [said] = (await typescript.play("exhausted"))["said"]
        assert message(said) == "attempt 3 fails"

    async def test_non_retryable_error_ends_the_task_at_once(self, typescript: TypeScriptProgram) -> None:
        [said] = (await typescript.play("hopeless"))["said"]
        assert message(said) == "no way, on attempt 0"

    async def test_on_failure_task_sees_the_errors(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("tidy", fail=True)
        assert seen["status"] == "FAILED"
        errors = seen["tasks"]["on-failure-task"]["output"]["errors"]
        assert {task: message(said) for task, said in errors.items()} == {"work": "the work failed"}

    async def test_on_success_task_runs_after_the_others(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("tidy", fail=False)
        assert seen["status"] == "COMPLETED"
        assert seen["result"] == {
            "work": {"done": True},
            "on-success-task": {"parents": ["work"]},
            "on-failure-task": {"skipped": True},
        }

    async def test_execution_timeout_aborts_and_rejects(self, typescript: TypeScriptProgram) -> None:
        [said] = (await typescript.play("slow"))["said"]
        assert "timed out" in said

    async def test_many_runs_answer_in_order(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("many", count=50) == [str(index) for index in range(50)]

    async def test_many_runs_have_options_of_their_own(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("runMany") == ["first", "second"]

    async def test_return_exceptions_tells_failed_runs_from_others(self, typescript: TypeScriptProgram) -> None:
        first, second, third = await typescript.play("returnExceptions")
        assert (first, third) == ({"number": 1}, {"number": 3})
        assert "2 is even" in second

    async def test_run_is_seen_at_once_and_its_details_in_the_end(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("readAfterWrite")
        assert seen["status"] in ("QUEUED", "RUNNING", "COMPLETED")
        assert seen["isListed"]
        assert (seen["details"]["status"], seen["details"]["input"]) == ("COMPLETED", {"say": "seen"})
        assert seen["details"]["taskRuns"]["ts-echo"]["output"]["said"] == "seen"

    async def test_workflow_in_the_old_form_of_the_sdk(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("legacy", number=4) == {"first": {"doubled": 8}, "second": {"seen": 8}}


class TestControl:
    async def test_cancel_aborts_the_task_and_rejects_the_run(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("cancel")
        assert seen["status"] == "CANCELLED"
        assert seen["refused"] == {"name": "Array", "said": ["cancelled by a user"]}

    async def test_cancel_by_filter_takes_all_that_match(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("cancelByFilter") == ["CANCELLED", "CANCELLED"]

    async def test_task_may_cancel_its_own_run(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("cancelItself") == "CANCELLED"

    async def test_replay_runs_it_again(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("replay") == {"started": [0, 1], "result": {"cancelled": False}}

    async def test_timeout_can_be_refreshed(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("refreshTimeout")
        assert seen["result"] == {"ok": True}
        assert "TIMEOUT_REFRESHED" in seen["events"]

    async def test_slot_can_be_released(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("releaseSlot") == {"ok": True}

    async def test_sigterm_lets_running_tasks_finish(self, engine: EngineProcess, rest: Rest, tmp_path: Path) -> None:
        program = TypeScriptProgram(engine, tmp_path, namespace="leaving")
        try:
            await program.ready()
            held = await program.play("hold")
            program.terminate()
            await rest.until_worker("leaving_typescript", status="INACTIVE")
            await program.play("release", key=held["key"])
            assert await program.ended() == 0
            assert await rest.finished(held["runId"]) == "COMPLETED"
        finally:
            program.dispose()


class TestChildren:
    async def test_children_alone_in_bulk_and_without_waiting(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("children", numbers=[2, 3], metadata={"who": "me"})
        assert seen["one"]["square"] == 4
        assert [one["ts-child"]["square"] for one in seen["many"]] == [4, 9]
        assert [one["ts-child"]["key"] for one in seen["many"]] == ["n2", "n3"]
        assert (seen["later"]["square"], seen["later"]["index"]) == (81, 3)
        assert seen["one"]["parent"] == seen["runId"]
        assert seen["one"]["metadata"]["who"] == "me"
        assert seen["one"]["metadata"]["hatchet__parent_workflow_run_id"] == seen["runId"]

    async def test_parent_that_is_tried_again_finds_its_children(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("childrenAgain")
        assert seen["squares"] == [1, 4]
        assert sorted(seen["ran"]) == [1, 2]

    async def test_failed_child_rejects_in_its_parent(self, typescript: TypeScriptProgram) -> None:
        assert message((await typescript.play("failedChild"))["caught"]) == "no way, on attempt 0"


class TestEvents:
    async def test_event_starts_a_run_that_knows_it(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("event", metadata={"who": "me"})
        assert seen["seen"]["eventKey"] == "ts:user:create"
        assert seen["seen"]["eventId"] == seen["eventId"]
        assert seen["seen"]["metadata"]["who"] == "me"
        assert len(seen["listed"]["triggeredRuns"]) == 1

    async def test_events_in_bulk(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("bulkEvents")
        assert seen["pushed"] == 2
        assert [one["number"] for one in seen["seen"]] == [1, 2]
        assert [one["metadata"]["nth"] for one in seen["seen"]] == ["one", "two"]

    async def test_default_filter_lets_through_what_it_matches(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("defaultFilter") == [{"size": 11, "payload": {"from": "the definition"}}]


class TestFlow:
    async def test_concurrency_lets_in_one_after_the_other(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("turns")
        assert seen["statuses"][0] == "QUEUED QUEUED RUNNING"
        assert all(statuses.count("RUNNING") == 1 for statuses in seen["statuses"])
        assert seen["numbers"] == [1, 2, 3]

    async def test_cancel_newest_turns_away_the_second(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("bouncer")
        assert seen["status"] == "CANCELLED"
        assert "CANCEL_NEWEST" in seen["refused"]["said"][0]
        assert seen["entered"] == [1]

    async def test_static_rate_limit_holds_the_third_back(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("rateLimit")
        assert seen["through"] == 2
        assert (seen["row"]["limitValue"], seen["row"]["value"]) == (2, 0)

    async def test_dynamic_rate_limit_counts_each_key(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("dynamicRateLimit") == [1, 1]

    async def test_batch_task_gets_its_members_together(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("batch") == [{"twice": twice, "size": 3} for twice in (2, 4, 6)]

    async def test_labels_choose_the_worker(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("labels") == {"labels": {"language": "typescript", "memory": 16}}

    async def test_task_that_no_worker_may_take_times_out(self, typescript: TypeScriptProgram) -> None:
        assert "schedule timeout of 1s" in (await typescript.play("impossible"))["said"][0]

    async def test_sticky_child_stays_with_its_parent(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("sticky")
        assert seen["mine"] == seen["childs"] != ""

    async def test_idempotency_key_that_is_held_names_the_run_that_holds_it(
        self, typescript: TypeScriptProgram
    ) -> None:
        seen = await typescript.play("idempotency")
        assert seen["existing"] == seen["runId"]
        assert seen["result"] == {"number": 1}


class TestSpeech:
    async def test_chunks_arrive_in_order_and_the_stream_ends(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("stream", words=["a", "ü", "c"])
        assert seen == {"chunks": ["a", "ü", "c", "¡fin!"], "result": {"count": 3}}

    async def test_events_of_a_run_end_with_its_end(self, typescript: TypeScriptProgram) -> None:
        types = await typescript.play("runStream", words=["a"])
        assert types.count("STEP_RUN_EVENT_TYPE_STREAM") == 2
        assert types[-2:] == ["STEP_RUN_EVENT_TYPE_COMPLETED", "WORKFLOW_RUN_EVENT_TYPE_COMPLETED"]

    async def test_log_lines_with_levels_and_metadata(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("logs") == [
            {"message": "a plain line", "level": "INFO", "metadata": {"colour": "green"}},
            {"message": "a warning", "level": "WARN", "metadata": {}},
            {"message": "an old way", "level": "INFO", "metadata": {}},
        ]


class TestLooking:
    async def test_run_before_and_after_its_end(self, typescript: TypeScriptProgram, key: str) -> None:
        seen = await typescript.play("run", metadata={"look": key})
        assert seen["during"] == {"status": "RUNNING", "tasks": 1, "shape": 2}
        assert seen["after"] == {"status": "COMPLETED", "tasks": ["COMPLETED", "COMPLETED"]}
        assert seen["found"] == [{"id": seen["id"], "output": {"at": "second"}}]
        assert seen["failed"] == 0

    async def test_workflow_by_name(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("workflow")
        assert seen["isListed"]
        assert seen["got"] == seen["viaDeclaration"]
        assert (seen["got"]["name"], seen["got"]["description"]) == ("ts-watched", "for looking at")

    async def test_deleted_workflow_cannot_be_run(self, typescript: TypeScriptProgram) -> None:
        assert "'ts-brief'" in (await typescript.play("deleteWorkflow"))["said"][0]

    async def test_worker_with_its_slots_and_labels(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("workers")
        assert seen["isPaused"] is False
        worker = seen["got"]
        assert {kind: slots["limit"] for kind, slots in worker["slotConfig"].items()} == {
            "default": 100,
            "durable": 100,
        }
        assert {label["key"]: label["value"] for label in worker["labels"]} == {
            "language": "typescript",
            "memory": "16",
        }
        assert "ts-sum:load" in worker["actions"]

    async def test_metrics(self, typescript: TypeScriptProgram) -> None:
        await typescript.play("echo", say="counted", metadata={})
        seen = await typescript.play("metrics")
        assert set(seen["tasks"]) == {"cancelled", "completed", "failed", "queued", "running"}
        assert seen["tasks"]["completed"] >= 1
        assert isinstance(seen["queues"]["queues"], dict)

    async def test_tenant(self, typescript: TypeScriptProgram) -> None:
        tenant: dict[str, Any] = await typescript.play("tenant")
        assert (tenant["slug"], tenant["version"]) == ("dev", "V1")
