"""Intervening: cancelling wherever a task may be, and replaying what has ended."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
import pytest
from gallery.cue import Cue
from google.protobuf.timestamp_pb2 import Timestamp
from hatchet_sdk import Hatchet
from hatchet_sdk.clients.rest.models.v1_task_status import V1TaskStatus
from hatchet_sdk.contracts.v1 import workflows_pb2 as pb
from hatchet_sdk.contracts.v1.workflows_pb2_grpc import AdminServiceStub
from hatchet_sdk.exceptions import FailedTaskRunExceptionGroup
from hatchet_sdk.features.runs import BulkCancelReplayOpts, RunFilter
from lean_client import LeanClient, Task
from wirekit import EngineProcess, Rest, Stage, eventually


async def test_a_cancelled_waiting_task_never_starts(lean: LeanClient, rest: Rest, key: str) -> None:
    await lean.put_workflow(key, [Task("only")])
    cancelled, kept = await lean.bulk_trigger(key, [{}, {}])
    await rest.cancel(cancelled)
    assert await rest.finished(cancelled) == "CANCELLED"
    received: list[str] = []
    worker = asyncio.create_task(
        lean.run_noop_worker(
            [f"{key}:only"], slots=10, on_received=lambda action: received.append(action.workflow_run_id)
        )
    )
    assert await rest.finished(kept) == "COMPLETED"
    worker.cancel()
    assert received == [kept]
    assert (await rest.event_types(cancelled))[-1] == "CANCELLED"


async def test_a_cancelled_running_task_is_stopped_on_its_worker(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    hold = hatchet.stubs.workflow(name="hold", input_validator=Cue)
    reference = await hold.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "started")
    waiting = asyncio.create_task(reference.aio_result())
    await hatchet.runs.aio_cancel(reference.workflow_run_id)
    await stage.heard(key, "cancelled")
    assert await waiting == {}, "a cancelled run is no error"
    assert await rest.status(reference.workflow_run_id) == "CANCELLED"
    with pytest.raises(ValueError, match="cancelled"):
        await asyncio.to_thread(reference.result)
    assert stage.told(key, "ended") == []


async def test_a_task_cancelled_in_backoff_is_not_tried_again(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    workflow = hatchet.stubs.workflow(name="waits-long", input_validator=Cue)
    reference = await workflow.aio_run(Cue(key=key), wait_for_result=False)
    await eventually(
        lambda: rest.event_types(reference.workflow_run_id),
        until=lambda types: types[-1:] == ["RETRYING"],
        what="the first attempt failed",
    )
    assert await rest.status(reference.workflow_run_id) == "QUEUED"
    await rest.cancel(reference.workflow_run_id)
    assert await rest.finished(reference.workflow_run_id) == "CANCELLED"
    assert (await rest.event_types(reference.workflow_run_id))[-1] == "CANCELLED"
    assert len(stage.told(key, "attempt")) == 1


async def test_cancelling_a_dag_ends_all_of_it(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    diamond = hatchet.stubs.workflow(name="diamond", input_validator=Cue)
    reference = await diamond.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "b")
    await stage.heard(key, "c")
    await hatchet.runs.aio_cancel(reference.workflow_run_id)
    assert await rest.finished(reference.workflow_run_id) == "CANCELLED"
    statuses = {name: row["status"] for name, row in (await rest.tasks(reference.workflow_run_id)).items()}
    # Nothing failed, so on_failure is skipped, which counts as completed.
    assert statuses == {
        "a": "COMPLETED",
        "b": "CANCELLED",
        "c": "CANCELLED",
        "d": "CANCELLED",
        "mend-on-failure": "COMPLETED",
    }
    assert stage.told(key, "mend") == []


async def test_a_failed_run_can_be_replayed(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    workflow = hatchet.stubs.workflow(name="fails-until", input_validator=Cue)
    reference = await workflow.aio_run(Cue(key=key, n=4), wait_for_result=False)
    with pytest.raises(FailedTaskRunExceptionGroup):
        await reference.aio_result()
    await hatchet.runs.aio_replay(reference.workflow_run_id)
    await stage.heard(key, "attempt", count=5)
    assert await rest.until_status(reference.workflow_run_id, "COMPLETED") == "COMPLETED"
    again = hatchet.runs.get_run_ref(reference.workflow_run_id)
    assert await again.aio_result() == {"fails-until": {"retry_count": 4}}
    assert [signal.data["retry_count"] for signal in stage.told(key, "attempt")] == [0, 1, 2, 3, 4]


async def test_a_cancelled_run_can_be_replayed(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    hold = hatchet.stubs.workflow(name="hold", input_validator=Cue)
    reference = await hold.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "started")
    await rest.cancel(reference.workflow_run_id)
    await stage.heard(key, "cancelled")
    await hatchet.runs.aio_replay(reference.workflow_run_id)
    await stage.heard(key, "started", count=2)
    stage.open(key)
    assert await reference.aio_result() == {"hold": {"n": 0, "retry_count": 1}}


async def test_a_completed_run_can_be_replayed_and_keeps_its_ids(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    echo = hatchet.stubs.workflow(name="echo", input_validator=Cue)
    reference = await echo.aio_run(Cue(key=key, n=9), wait_for_result=False)
    first = await reference.aio_result()
    assert await rest.replay(reference.workflow_run_id) == [reference.workflow_run_id]
    await stage.heard(key, "echo", count=2)
    await rest.until_status(reference.workflow_run_id, "COMPLETED")
    assert await reference.aio_result() == first
    types = await rest.event_types(reference.workflow_run_id)
    whole = ["QUEUED", "ASSIGNED", "SENT_TO_WORKER", "STARTED", "FINISHED"]
    assert types == [*whole, "RETRIED_BY_USER", *whole]


async def test_replaying_one_task_of_a_dag_runs_it_and_what_follows(
    hatchet: Hatchet, rest: Rest, stage: Stage, key: str
) -> None:
    diamond = hatchet.stubs.workflow(name="diamond", input_validator=Cue)
    stage.open(key, "b")
    stage.open(key, "c")
    reference = await diamond.aio_run(Cue(key=key), wait_for_result=False)
    await reference.aio_result()
    tasks = await rest.tasks(reference.workflow_run_id)
    replayed = await rest.replay(tasks["b"]["taskExternalId"])
    assert {tasks[name]["taskExternalId"] for name in ("b", "d")} <= set(replayed)
    assert tasks["a"]["taskExternalId"] not in replayed and tasks["c"]["taskExternalId"] not in replayed
    await stage.heard(key, "d", count=2)
    await rest.until_status(reference.workflow_run_id, "COMPLETED")
    assert {name: len(stage.told(key, name)) for name in "abcd"} == {"a": 1, "b": 2, "c": 1, "d": 2}
    assert (await reference.aio_result())["d"]["letter"] == "ABAC"


async def test_replaying_a_dag_runs_all_of_it(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    """The first time round a side fails; replayed, everything runs again, on_failure included."""
    diamond = hatchet.stubs.workflow(name="diamond", input_validator=Cue)
    stage.open(key, "b")
    stage.open(key, "c")
    reference = await diamond.aio_run(Cue(key=key, fail=True), wait_for_result=False)
    with pytest.raises(FailedTaskRunExceptionGroup):
        await reference.aio_result()
    before = await rest.tasks(reference.workflow_run_id)
    assert len(await rest.replay(reference.workflow_run_id)) == 5
    for name in ("a", "b", "c", "mend"):
        await stage.heard(key, name, count=2)
    await rest.until_status(reference.workflow_run_id, "FAILED")
    after = await rest.tasks(reference.workflow_run_id)
    assert {name: row["taskExternalId"] for name, row in after.items()} == {
        name: row["taskExternalId"] for name, row in before.items()
    }
    assert {name: (row["status"], row["retryCount"]) for name, row in after.items()} == {
        "a": ("COMPLETED", 1),
        "b": ("FAILED", 1),
        "c": ("COMPLETED", 1),
        "d": ("CANCELLED", 1),
        "mend-on-failure": ("COMPLETED", 1),
    }


async def test_replaying_a_running_run_does_nothing(hatchet: Hatchet, rest: Rest, stage: Stage, key: str) -> None:
    hold = hatchet.stubs.workflow(name="hold", input_validator=Cue)
    reference = await hold.aio_run(Cue(key=key), wait_for_result=False)
    await stage.heard(key, "started")
    assert await rest.replay(reference.workflow_run_id) == []
    stage.open(key)
    assert await reference.aio_result() == {"hold": {"n": 0, "retry_count": 0}}
    assert len(stage.told(key, "started")) == 1


async def test_runs_are_cancelled_and_replayed_by_a_filter(
    hatchet: Hatchet, lean: LeanClient, rest: Rest, key: str
) -> None:
    await lean.put_workflow(key, [Task("only")])
    await lean.put_workflow(f"{key}-other", [Task("only")])
    mine, tagged = await lean.bulk_trigger(key, [{}, {}], additional_metadata={"batch": key})
    (plain,) = await lean.bulk_trigger(key, [{}])
    (other,) = await lean.bulk_trigger(f"{key}-other", [{}], additional_metadata={"batch": key})
    workflow_id = (await rest.run(mine))["run"]["workflowId"]
    since = datetime.now(UTC) - timedelta(hours=1)

    async def statuses() -> list[str]:
        return [await rest.status(run_id) for run_id in (mine, tagged, plain, other)]

    chosen = RunFilter(since=since, workflow_ids=[workflow_id], additional_metadata={"batch": key})
    await hatchet.runs.aio_bulk_cancel(BulkCancelReplayOpts(filters=chosen))
    assert await statuses() == ["CANCELLED", "CANCELLED", "QUEUED", "QUEUED"]
    by_status = RunFilter(since=since, workflow_ids=[workflow_id], statuses=[V1TaskStatus.COMPLETED])
    await hatchet.runs.aio_bulk_replay(BulkCancelReplayOpts(filters=by_status))
    assert await statuses() == ["CANCELLED", "CANCELLED", "QUEUED", "QUEUED"]
    await hatchet.runs.aio_bulk_replay(BulkCancelReplayOpts(filters=chosen))
    assert await statuses() == ["QUEUED", "QUEUED", "QUEUED", "QUEUED"]
    await hatchet.runs.aio_bulk_cancel(BulkCancelReplayOpts(ids=[mine, plain, plain, str(uuid4())]))
    assert await statuses() == ["CANCELLED", "QUEUED", "CANCELLED", "QUEUED"]
    await hatchet.runs.aio_bulk_cancel_by_filters_with_pagination(sleep_time=0, since=since, workflow_ids=[workflow_id])
    assert await statuses() == ["CANCELLED", "CANCELLED", "CANCELLED", "QUEUED"]
    await hatchet.runs.aio_bulk_replay_by_filters_with_pagination(
        sleep_time=0, since=since, workflow_ids=[workflow_id], statuses=[V1TaskStatus.CANCELLED]
    )
    assert await statuses() == ["QUEUED"] * 4
    await rest.cancel(mine, tagged, plain, other)


async def test_ids_and_a_filter_at_once_are_refused(rest: Rest) -> None:
    body = {"externalIds": [str(uuid4())], "filter": {"since": datetime.now(UTC).isoformat()}}
    for action in ("cancel", "replay"):
        answer = await rest.try_post(f"tasks/{action}", body)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "filter"


async def test_the_admin_service_cancels_and_replays_too(
    engine: EngineProcess, lean: LeanClient, rest: Rest, key: str
) -> None:
    await lean.put_workflow(key, [Task("a"), Task("b", parents=["a"])])
    first, second = await lean.bulk_trigger(key, [{}, {}], additional_metadata={"batch": key})
    workflow_id = (await rest.run(first))["run"]["workflowId"]
    since = Timestamp()
    since.FromDatetime(datetime.now(UTC) - timedelta(minutes=5))
    auth = (("authorization", f"Bearer {engine.token}"),)
    async with grpc.aio.insecure_channel(engine.address) as channel:
        admin = AdminServiceStub(channel)
        cancelled = await admin.CancelTasks(pb.CancelTasksRequest(external_ids=[first, str(uuid4())]), metadata=auth)
        # Of a DAG only the tasks that exist can be ended; what follows from it is not repeated.
        tasks = await rest.tasks(first)
        assert list(cancelled.cancelled_tasks) == [tasks["a"]["taskExternalId"]]
        again = await admin.CancelTasks(pb.CancelTasksRequest(external_ids=[first]), metadata=auth)
        assert list(again.cancelled_tasks) == []
        chosen = pb.TasksFilter(since=since, workflow_ids=[workflow_id], additional_metadata=[f"batch:{key}"])
        cancelled = await admin.CancelTasks(pb.CancelTasksRequest(filter=chosen), metadata=auth)
        assert list(cancelled.cancelled_tasks) == [(await rest.tasks(second))["a"]["taskExternalId"]]
        chosen.statuses.append("CANCELLED")
        replayed = await admin.ReplayTasks(pb.ReplayTasksRequest(filter=chosen), metadata=auth)
        assert len(replayed.replayed_tasks) == 4
        assert [await rest.status(run_id) for run_id in (first, second)] == ["QUEUED", "QUEUED"]
        again = await admin.ReplayTasks(pb.ReplayTasksRequest(external_ids=[first]), metadata=auth)
        assert list(again.replayed_tasks) == []

        for request in (
            pb.CancelTasksRequest(),
            pb.CancelTasksRequest(external_ids=[first], filter=chosen),
            pb.CancelTasksRequest(external_ids=["nonsense"]),
            pb.CancelTasksRequest(filter=pb.TasksFilter()),
            pb.CancelTasksRequest(filter=pb.TasksFilter(since=Timestamp(seconds=-5))),
            pb.CancelTasksRequest(filter=pb.TasksFilter(since=since, statuses=["LOST"])),
            pb.CancelTasksRequest(filter=pb.TasksFilter(since=since, additional_metadata=["no pair"])),
            pb.CancelTasksRequest(filter=pb.TasksFilter(since=since, workflow_ids=["w"])),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await admin.CancelTasks(request, metadata=auth)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, request
        await admin.CancelTasks(pb.CancelTasksRequest(external_ids=[first, second]), metadata=auth)
