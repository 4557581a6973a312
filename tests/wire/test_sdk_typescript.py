"""The official TypeScript SDK: programs of our own, in a real Node process, against a real engine.

`tests/sdk_typescript` holds the programs. One process is worker and client of all tests here; a test names a scenario
and judges what it reports. `make sdk-typescript` compiles them.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wirekit import EngineProcess, Rest, TypeScriptProgram, eventually
from wirekit.typescript_program import PROGRAMS, check_built, node


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
    async def test_cancel_aborts_the_task_and_is_no_error_of_the_run(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("cancel")
        assert seen["status"] == "CANCELLED"
        assert seen["refused"] is None

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

    async def test_filters_are_made_changed_and_removed(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("filters")
        assert (seen["listed"], seen["got"]) == (1, True)
        assert seen["expression"] == "input.size < payload.limit + 1"
        assert seen["seen"] == [{"size": 5, "payload": {"limit": 5}}]
        assert "404" in seen["gone"]["said"][0]

    async def test_expression_is_tried_out(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("cel")
        assert seen["right"] == {"status": "SUCCESS", "output": True}
        assert seen["wrong"]["status"] == "ERROR"


class TestFlow:
    async def test_concurrency_lets_in_one_after_the_other(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("turns")
        assert seen["statuses"][0] == "QUEUED QUEUED RUNNING"
        assert all(statuses.count("RUNNING") == 1 for statuses in seen["statuses"])
        assert seen["numbers"] == [1, 2, 3]

    async def test_cancel_newest_turns_away_the_second(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("bouncer")
        assert seen["status"] == "CANCELLED"
        assert seen["refused"] is None
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
        assert await typescript.play("impossible") == "CANCELLED"

    async def test_sticky_child_stays_with_its_parent(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("sticky")
        assert seen["mine"] == seen["childs"] != ""

    async def test_idempotency_key_that_is_held_names_the_run_that_holds_it(
        self, typescript: TypeScriptProgram
    ) -> None:
        seen = await typescript.play("idempotency")
        assert seen["existing"] == seen["runId"]
        assert seen["result"] == {"number": 1}


class TestDurable:
    async def test_sleep_is_slept_and_the_clock_is_remembered(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("sleep")
        assert (seen["slept"], seen["invocation"]) == (1000, 1)
        assert seen["passed"] >= 1000

    async def test_evicted_task_goes_on_with_what_it_had(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("eviction")
        assert seen["result"]["child"] == 42
        assert [began["invocation"] for began in seen["began"]] == [1, 2]
        assert {began["first"] for began in seen["began"]} == {seen["result"]["first"]}

    async def test_evicted_task_can_be_restored_early(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("restore") == {"requeued": True, "refused": None}

    async def test_wait_for_an_event_that_matches(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("durableEvent")
        assert seen["event"]["number"] == 2

    async def test_of_two_waits_the_first_decides(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("choiceOfSleep") == {"won": {"CREATE": {"slept": [{"sleep_duration": "1s"}]}}}
        seen = await typescript.play("choiceOfEvent")
        assert list(seen["won"]["CREATE"]) == ["chosen"]

    async def test_children_of_a_durable_task(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("durableChildren", numbers=[1, 2]) == {
            "one": {"doubled": 2},
            "many": [{"doubled": 2}, {"doubled": 4}],
        }

    async def test_durable_task_in_a_dag(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("durableInDag")
        assert seen == {"start": {"value": 1}, "nap": {"value": 2}, "end": {"value": 3}}

    async def test_sleeper_can_be_cancelled(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("cancelAsleep")
        assert seen["status"] == "CANCELLED"
        assert seen["refused"] is None

    async def test_sleeper_of_a_worker_that_leaves_wakes_on_another(
        self, engine: EngineProcess, rest: Rest, tmp_path: Path
    ) -> None:
        first = TypeScriptProgram(engine, tmp_path, namespace="dozing")
        second = None
        try:
            await first.ready()
            asleep = await first.play("dozeOff")
            first.terminate()
            assert await first.ended() == 0
            second = TypeScriptProgram(engine, tmp_path, namespace="dozing")
            await second.ready()
            assert await rest.finished(asleep["runId"]) == "COMPLETED"
            [task] = (await rest.run(asleep["runId"]))["tasks"]
            assert task["output"]["slept"] == 3000
            assert task["output"]["invocation"] == 2
        finally:
            first.dispose()
            if second is not None:
                second.dispose()


class TestConditions:
    @pytest.mark.parametrize(("number", "skipped"), [(70, "low"), (30, "high")], ids=["above", "below"])
    async def test_task_is_skipped_by_its_parents_output(
        self, typescript: TypeScriptProgram, number: int, skipped: str
    ) -> None:
        seen = await typescript.play("skips", number=number)
        ran = {"low", "high"} - {skipped}
        assert seen[skipped] == {"skipped": True}
        assert [seen[name] for name in ran] == [{"ran": True}]
        assert seen["both"] == {"low": seen["low"], "high": seen["high"]}

    async def test_task_waits_for_an_event_and_sees_it(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("waitsForEvent")
        assert seen["second"]["triggers"]["ts:go"]["go"] is True

    async def test_task_is_cancelled_by_its_parents_output(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("cancels")
        assert seen["status"] == "CANCELLED"


class TestTimes:
    async def test_declared_cron_is_listed(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("declaredCron") == [
            {"cron": "30 12 31 12 *", "method": "DEFAULT", "enabled": True, "workflowName": "ts-yearly"}
        ]

    async def test_cron_starts_runs_until_it_is_deleted(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("cron")
        assert seen["got"]["cron"] == "* * * * * *"
        assert (seen["got"]["method"], seen["got"]["priority"], seen["got"]["input"]) == ("API", 3, "tick")
        assert seen["isListed"]
        assert "404" in seen["gone"]["said"][0]
        assert (seen["first"]["say"], seen["first"]["priority"]) == ("tick", 3)
        assert seen["first"]["metadata"]["by"] == "cron"

    async def test_cron_of_a_declaration(self, typescript: TypeScriptProgram) -> None:
        assert (await typescript.play("cronOfDeclaration"))["cron"] == "0 0 1 1 *"

    async def test_cron_that_cannot_be_read_is_refused(self, typescript: TypeScriptProgram) -> None:
        assert "'whenever' is not a cron expression" in (await typescript.play("badCron"))["said"][0]

    async def test_scheduled_run_starts_at_its_time(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("schedule")
        assert seen["got"] == {"workflow": "ts-timed", "input": "in a moment"}
        assert seen["seen"]["say"] == "in a moment"
        assert seen["seen"]["metadata"]["by"] == "schedule"

    async def test_scheduled_runs_are_moved_and_deleted(self, typescript: TypeScriptProgram) -> None:
        assert await typescript.play("scheduleChanges") == {
            "listed": 3,
            "isSame": True,
            "bulkUpdated": 1,
            "bulkDeleted": 1,
            "left": 0,
            "said": 1,
        }

    async def test_delayed_run(self, typescript: TypeScriptProgram) -> None:
        assert (await typescript.play("delay"))["say"] == "late"


class TestLoss:
    async def test_work_under_way_survives_a_killed_engine(self, own_engine: EngineProcess, tmp_path: Path) -> None:
        program = TypeScriptProgram(own_engine, tmp_path)
        try:
            await program.ready()
            held = await program.play("hold")
            async with Rest(own_engine.url, own_engine.token, own_engine.client().tenant_id) as rest:
                # The SDK says STARTED while the task runs already. An engine killed before that tries another attempt.
                await eventually(
                    lambda: rest.event_types(held["runId"]), until=lambda types: "STARTED" in types, what="it started"
                )
                await own_engine.kill()
                await own_engine.start()
                await program.play("release", key=held["key"])
                assert await rest.finished(held["runId"], within_s=40) == "COMPLETED"
                [task] = (await rest.run(held["runId"]))["tasks"]
                assert task["retryCount"] == 0
            assert (await program.play("echo", say="still there", metadata={}))["said"] == "still there"
        finally:
            program.dispose()


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
        assert "# TYPE hatchet_tenant_succeeded_tasks" in seen["prometheus"]

    async def test_webhooks(self, typescript: TypeScriptProgram) -> None:
        seen = await typescript.play("webhooks")
        assert (seen["made"], seen["listed"]) == (True, 1)
        assert (seen["updated"], seen["got"]) == ("'ts:filtered'", "GENERIC")
        assert "404" in seen["gone"]["said"][0]

    async def test_tenant(self, typescript: TypeScriptProgram) -> None:
        tenant: dict[str, Any] = await typescript.play("tenant")
        assert (tenant["slug"], tenant["version"]) == ("dev", "V1")


class TestEmbedded:
    async def test_sdk_starts_the_engine_uses_it_and_stops_it(self, tmp_path: Path) -> None:
        check_built()
        program = tmp_path / "broadaxe-embedded"
        program.write_text(
            f"#!{sys.executable}\nfrom broadaxe.cli.main import main_embedded\nmain_embedded()\n", encoding="utf-8"
        )
        program.chmod(0o755)
        foreign = ("HATCHET_", "BROADAXE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        done = await asyncio.to_thread(
            subprocess.run,
            [node(), PROGRAMS / "embedded.js", tmp_path / "data"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=90,
            env=environment | {"HATCHET_CLIENT_EMBEDDED_BINARY_PATH": str(program)},
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["result"] == {"said": "axe"}
        assert not (tmp_path / "data" / "postgres" / "cluster" / "postmaster.pid").exists()
