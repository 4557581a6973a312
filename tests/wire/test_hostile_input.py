"""What no well-meaning client sends: each is refused by name, and the tenant's other clients notice nothing.

A value that only the database refuses would end the transaction of everybody whose command shares it, and the tenant
would be loaded anew; the error would then be UNAVAILABLE, which clients take as an invitation to try again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from lean_client import LeanClient, Task

from broadaxe.rpc._gen import admin_pb2, conditions_pb2, dispatcher_pb2, durable_pb2, events_pb2
from broadaxe.rpc._gen import triggers_pb2 as triggers
from broadaxe.rpc._gen import workflows_pb2 as workflows

NUL = "a\x00b"
SOME_ID = "0b1d2c3e-0000-4000-8000-000000000001"
FAR = Timestamp(seconds=2**62)

PUT = ("/v1.AdminService/PutWorkflow", admin_pb2.CreateWorkflowVersionResponse)
PUT_OLD = ("/WorkflowService/PutWorkflow", workflows.WorkflowVersion)
REGISTER = ("/Dispatcher/Register", dispatcher_pb2.WorkerRegisterResponse)
TRIGGER = ("/WorkflowService/TriggerWorkflow", workflows.TriggerWorkflowResponse)
SCHEDULE = ("/WorkflowService/ScheduleWorkflow", workflows.WorkflowVersion)
CANCEL = ("/v1.AdminService/CancelTasks", admin_pb2.CancelTasksResponse)
PUT_LIMIT = ("/WorkflowService/PutRateLimit", workflows.PutRateLimitResponse)
PAUSE_LIMIT = ("/WorkflowService/PauseRateLimit", workflows.PauseRateLimitResponse)
PUSH = ("/EventsService/Push", events_pb2.Event)
SIGNAL = ("/v1.V1Dispatcher/RegisterDurableEvent", durable_pb2.RegisterDurableEventResponse)

Build = Callable[[str], Message]


def definition(task: dict[str, Any] | None = None, **fields: Any) -> Build:
    def build(name: str) -> Message:
        only = admin_pb2.CreateTaskOpts(**({"readable_id": "a", "action": f"{name}:a"} | (task or {})))
        return admin_pb2.CreateWorkflowVersionRequest(**({"name": name, "tasks": [only]} | fields))

    return build


def old_definition(name: str) -> Message:
    step = workflows.CreateWorkflowStepOpts(readable_id="a", action=f"{name}:a")
    jobs = [workflows.CreateWorkflowJobOpts(name="job", steps=[step])]
    options = workflows.CreateWorkflowVersionOpts(name=name, description=NUL, jobs=jobs)
    return workflows.PutWorkflowRequest(opts=options)


def worker(**fields: Any) -> Build:
    return lambda name: dispatcher_pb2.WorkerRegisterRequest(worker_name="worker", **fields)


def run(**fields: Any) -> Build:
    return lambda name: triggers.TriggerWorkflowRequest(name=name, input="{}", **fields)


def schedule(at: Timestamp, **fields: Any) -> Build:
    return lambda name: workflows.ScheduleWorkflowRequest(name=name, input="{}", schedules=[at], **fields)


def event(**fields: Any) -> Build:
    return lambda name: events_pb2.PushEventRequest(**({"key": name, "payload": "{}"} | fields))


def cancel(pair: str) -> Build:
    chosen = admin_pb2.TasksFilter(since=Timestamp(seconds=1), additional_metadata=[pair])
    return lambda name: admin_pb2.CancelTasksRequest(filter=chosen)


def limit(key: str) -> Build:
    return lambda name: workflows.PutRateLimitRequest(key=key, limit=1)


def signal(key: str = "signal", **fields: Any) -> Build:
    awaited = conditions_pb2.UserEventMatchCondition(**({"user_event_key": "key", "event_scope": "scope"} | fields))
    conditions = conditions_pb2.DurableEventListenerConditions(user_event_conditions=[awaited])
    return lambda name: durable_pb2.RegisterDurableEventRequest(task_id=SOME_ID, signal_key=key, conditions=conditions)


def label(value: str = "x") -> triggers.DesiredWorkerLabels:
    return triggers.DesiredWorkerLabels(str_value=value)


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def unlike_each_other(count: int) -> str:
    """Letters that no index can make smaller."""
    return "".join(chr(0x4E00 + position * 7919 % 20_000) for position in range(count))


HOSTILE: dict[str, tuple[tuple[str, type[Message]], Build, str]] = {
    "workflow-description": (PUT, definition(description=NUL), "description"),
    "workflow-label": (PUT, definition(version=NUL), "version"),
    "workflow-event": (PUT, definition(event_triggers=["fine", NUL]), "event_triggers"),
    "workflow-cron": (PUT, definition(cron_triggers=["* * * * *\x00"]), "cron_triggers"),
    "task-action": (PUT, definition({"action": "flow:a\x00"}), "tasks[0].action"),
    "task-label": (PUT, definition({"worker_labels": {NUL: label()}}), "tasks[0].worker_labels"),
    "task-label-value": (
        PUT,
        definition({"worker_labels": {"k": label(NUL)}}),
        "tasks[0].worker_labels['k'].str_value",
    ),
    "task-limit": (
        PUT,
        definition({"rate_limits": [admin_pb2.CreateTaskRateLimit(key=NUL, units=1)]}),
        "tasks[0].rate_limits[0].key",
    ),
    "rule-name": (
        PUT,
        definition(concurrency_arr=[admin_pb2.Concurrency(expression="'k'", name=NUL)]),
        "concurrency_arr[0].name",
    ),
    "old-workflow": (PUT_OLD, old_definition, "opts.description"),
    "worker-action": (REGISTER, worker(actions=["flow:a\x00"]), "actions"),
    "worker-label": (REGISTER, worker(labels={NUL: dispatcher_pb2.WorkerLabels(str_value="x")}), "labels"),
    "worker-slots": (REGISTER, worker(slot_config={NUL: 1}), "slot_config"),
    "worker-runtime": (REGISTER, worker(runtime_info=dispatcher_pb2.RuntimeInfo(os=NUL)), "runtime_info.os"),
    "run-label": (TRIGGER, run(desired_worker_labels={"k": label(NUL)}), "desired_worker_labels['k'].str_value"),
    "run-metadata-nul": (TRIGGER, run(additional_metadata='{"a\\u0000":1}'), "additional_metadata"),
    "run-metadata-surrogate": (TRIGGER, run(additional_metadata='{"a":"\\ud800"}'), "additional_metadata"),
    "run-metadata-too-small": (TRIGGER, run(additional_metadata='{"a":1e-20000}'), "additional_metadata"),
    "run-metadata-nothing-at-length": (TRIGGER, run(additional_metadata='{"a":0e-999999999}'), "additional_metadata"),
    "run-metadata-many-digits": (TRIGGER, run(additional_metadata=f'{{"a":0.{"1" * 20_000}}}'), "additional_metadata"),
    "run-metadata-too-large": (TRIGGER, run(additional_metadata='{"a":1e400}'), "additional_metadata"),
    "run-metadata-too-deep": (TRIGGER, run(additional_metadata=nested(101)), "additional_metadata"),
    "schedule-beyond-time": (SCHEDULE, schedule(FAR), "schedules[0]"),
    "schedule-metadata-too-deep": (
        SCHEDULE,
        schedule(Timestamp(seconds=253_402_300_700), additional_metadata=nested(101)),
        "additional_metadata",
    ),
    "event-metadata-too-deep": (PUSH, event(additional_metadata=nested(101)), "additional_metadata"),
    "cancel-by-metadata": (CANCEL, cancel(f"key:{NUL}"), "filter.additional_metadata"),
    "limit-key": (PUT_LIMIT, limit(NUL), "key"),
    "limit-key-too-long": (PUT_LIMIT, limit(unlike_each_other(3_000)), "key"),
    "pause-beyond-time": (
        PAUSE_LIMIT,
        lambda name: workflows.PauseRateLimitRequest(key=name, paused_until=FAR),
        "paused_until",
    ),
    "signal-key": (SIGNAL, signal(NUL), "signal_key"),
    "signal-event": (
        SIGNAL,
        signal(user_event_key=NUL, consider_events_since=Timestamp(seconds=1)),
        "conditions.user_event_conditions[0].user_event_key",
    ),
    "signal-beyond-time": (
        SIGNAL,
        signal(consider_events_since=FAR),
        "conditions.user_event_conditions[0].consider_events_since",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_cannot_be_stored_is_refused_by_name(lean: LeanClient, key: str, name: str) -> None:
    await lean.put_workflow(key, [Task("a")], event_triggers=[key])
    (path, answer), build, field = HOSTILE[name]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await lean._unary(path, answer)(build(key))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.value.details() or "").startswith(f"{field}:")
    await lean.trigger(key, {})


async def test_the_key_of_a_limit_that_fits_into_no_index_fails_the_task(lean: LeanClient, key: str) -> None:
    use = admin_pb2.CreateTaskRateLimit(key_expr="input.key", limit_values_expr="10", units=1)
    request = definition({"rate_limits": [use]})(key)
    assert isinstance(request, admin_pb2.CreateWorkflowVersionRequest)
    await lean.put_definition(request)
    runs = await lean.subscribe_runs()
    run_id = await lean.trigger(key, {"key": unlike_each_other(3_000)})
    await runs.add(run_id)
    finished = await anext(runs)
    assert "checksum()" in finished.results[0].error


@pytest.mark.parametrize("output", [nested(5_000), "[" * 50_000], ids=["deep", "deep-and-broken"])
async def test_an_output_too_deep_to_be_read_fails_its_task(lean: LeanClient, key: str, output: str) -> None:
    await lean.put_workflow(key, [Task("a")])
    actions = lean.listen(await lean.register([f"{key}:a"], 1))
    runs = await lean.subscribe_runs()
    run_id = await lean.trigger(key, {})
    await runs.add(run_id)
    await lean.report((await anext(actions)).task_run_external_id, 0, dispatcher_pb2.STEP_EVENT_TYPE_COMPLETED, output)
    finished = await anext(runs)
    assert "not valid JSON" in finished.results[0].error
