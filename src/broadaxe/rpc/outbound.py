"""What goes onto the wire: the core's words turned into messages."""

from __future__ import annotations

from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from broadaxe.core.decision import CancelAttempt, Progress
from broadaxe.core.lifecycle import RunStatus
from broadaxe.core.tracing import attempt_metadata
from broadaxe.engine.sessions import Assignment, BatchAssignment, Outgoing
from broadaxe.engine.subscriptions import LiveEvent, LiveKind, RunOutcome
from broadaxe.rpc._gen import dispatcher_pb2 as pb

#: Larger result messages lose their outputs, larger ones still their error texts (grpc specification 6.1).
RESULT_SIZE_BYTES_MAX: Final = 3 * 1024 * 1024
ERROR_CHARS_MAX: Final = 2_000

_PROGRESS: Final = {
    Progress.STARTED: pb.RESOURCE_EVENT_TYPE_STARTED,
    Progress.COMPLETED: pb.RESOURCE_EVENT_TYPE_COMPLETED,
    Progress.FAILED: pb.RESOURCE_EVENT_TYPE_FAILED,
    Progress.CANCELLED: pb.RESOURCE_EVENT_TYPE_CANCELLED,
    Progress.TIMED_OUT: pb.RESOURCE_EVENT_TYPE_TIMED_OUT,
}
_FINISHED: Final = {
    RunStatus.COMPLETED: pb.RESOURCE_EVENT_TYPE_COMPLETED,
    RunStatus.FAILED: pb.RESOURCE_EVENT_TYPE_FAILED,
    RunStatus.CANCELLED: pb.RESOURCE_EVENT_TYPE_CANCELLED,
}


def timestamp(at_us: int) -> Timestamp:
    seconds, us = divmod(at_us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=us * 1000)


def assigned_action(tenant_id: str, item: Outgoing) -> pb.AssignedAction:
    match item:
        case CancelAttempt():
            return _cancel(tenant_id, item)
        case BatchAssignment():
            return _start_batch(tenant_id, item)
        case _:
            return _start(tenant_id, item)


def _start_batch(tenant_id: str, item: BatchAssignment) -> pb.AssignedAction:
    batch = item.batch
    size = len(batch.items)
    return pb.AssignedAction(
        tenant_id=tenant_id,
        action_id=batch.action_id,
        action_type=pb.START_BATCH,
        action_payload=item.payload,
        batch_id=batch.batch_id,
        batch_size=size,
        batch_key=batch.key,
        batch_start_payload=pb.BatchStartPayload(
            trigger_reason=batch.reason, trigger_time=timestamp(batch.at_us), expected_size=size
        ),
    )


def _start(tenant_id: str, item: Assignment) -> pb.AssignedAction:
    attempt = item.attempt
    action = pb.AssignedAction(
        tenant_id=tenant_id,
        workflow_run_id=attempt.run_id,
        job_id=attempt.definition_id,
        job_name=attempt.workflow_name,
        job_run_id=attempt.task_id,
        task_id=attempt.definition_id,
        task_run_external_id=attempt.task_id,
        action_id=attempt.action_id,
        action_type=pb.START_STEP_RUN,
        action_payload=item.payload,
        task_name=attempt.task_name,
        retry_count=attempt.retry_count,
        priority=attempt.priority,
        workflow_id=attempt.workflow_id,
        workflow_version_id=attempt.version_id,
        task_inserted_at=timestamp(attempt.created_at_us),
        additional_metadata=attempt_metadata(
            attempt.additional_metadata, attempt.run_id, attempt.task_id, attempt.retry_count
        ),
    )
    if attempt.parent_run_id:
        action.parent_workflow_run_id = attempt.parent_run_id
        action.child_workflow_index = attempt.child_index or 0
        if attempt.child_key:
            action.child_workflow_key = attempt.child_key
    if attempt.triggering_event_id:
        action.triggering_event_external_id = attempt.triggering_event_id
        action.triggering_event_key = attempt.triggering_event_key or ""
    return action


def _cancel(tenant_id: str, item: CancelAttempt) -> pb.AssignedAction:
    return pb.AssignedAction(
        tenant_id=tenant_id,
        workflow_run_id=item.run_id,
        job_id=item.definition_id,
        job_run_id=item.task_id,
        task_id=item.definition_id,
        task_run_external_id=item.task_id,
        action_id=item.action_id,
        action_type=pb.CANCEL_STEP_RUN,
        task_name=item.task_name,
        retry_count=item.retry_count,
    )


def run_event(outcome: RunOutcome, run_id: str, at_us: int) -> pb.WorkflowRunEvent:
    """`run_id` is the text the client asked with, which it also looks the answer up by."""
    event = pb.WorkflowRunEvent(
        workflow_run_id=run_id,
        event_type=pb.WORKFLOW_RUN_EVENT_TYPE_FINISHED,
        event_timestamp=timestamp(at_us),
    )
    for task in outcome.tasks:
        result = event.results.add(task_run_external_id=task.task_id, task_name=task.name, job_run_id=task.task_id)
        if task.error is not None:
            result.error = task.error
        elif task.output is not None:
            result.output = task.output
    if event.ByteSize() > RESULT_SIZE_BYTES_MAX:
        for result in event.results:
            result.ClearField("output")
            if result.HasField("error") and len(result.error) > ERROR_CHARS_MAX:
                result.error = result.error[:ERROR_CHARS_MAX] + "\n… the rest is too long to send; see the run's page"
    return event


def live_event(event: LiveEvent) -> pb.WorkflowEvent:
    message = pb.WorkflowEvent(
        workflow_run_id=event.run_id,
        resource_id=event.resource_id,
        event_timestamp=timestamp(event.at_us),
        event_payload=event.payload,
        hangup=event.is_last,
    )
    if event.kind is LiveKind.FINISHED:
        message.resource_type = pb.RESOURCE_TYPE_WORKFLOW_RUN
        message.event_type = finished_type(event.status or RunStatus.COMPLETED)
        return message
    message.resource_type = pb.RESOURCE_TYPE_STEP_RUN
    if event.kind is LiveKind.CHUNK:
        message.event_type = pb.RESOURCE_EVENT_TYPE_STREAM
        if event.index is not None:
            message.event_index = event.index
    else:
        assert event.progress is not None
        message.event_type = _PROGRESS[event.progress]
        message.task_retries = event.retries
        message.retry_count = event.retry_count
    return message


def finished_type(status: RunStatus) -> pb.ResourceEventType:
    return _FINISHED[status]
