"""What goes onto the wire: the core's words turned into messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.decision import (
    CancelAttempt,
    ChildrenAck,
    DropInvocation,
    DurableRefusal,
    EntryCompleted,
    EvictionAck,
    MemoAck,
    NonDeterminism,
    Progress,
    WaitAck,
)
from broadaxe.core.lifecycle import RunStatus
from broadaxe.core.tracing import traced_metadata
from broadaxe.engine.durable_streams import Answer
from broadaxe.engine.sessions import Assignment, BatchAssignment, Outgoing
from broadaxe.engine.subscriptions import LiveEvent, LiveKind, RunOutcome
from broadaxe.rpc import assignments, fitting
from broadaxe.rpc._gen import dispatcher_pb2 as pb
from broadaxe.rpc._gen import durable_pb2 as durable
from broadaxe.rpc.transport import SEND_SIZE_BYTES_MAX

#: Larger result messages lose their outputs, larger ones still their error texts (grpc specification 6.1).
RESULT_SIZE_BYTES_MAX: Final = 3 * 1024 * 1024
#: What a live event's payload may take of a message; the rest of the message is ids and numbers.
LIVE_PAYLOAD_BYTES_MAX: Final = SEND_SIZE_BYTES_MAX - fitting.ENVELOPE_BYTES

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
        action_payload=assignments.batch_payload(item),
        batch_id=batch.batch_id,
        batch_size=size,
        batch_key=batch.key,
        batch_start_payload=pb.BatchStartPayload(
            trigger_reason=batch.reason, trigger_time=timestamp(batch.at_us), expected_size=size
        ),
    )


def _start(tenant_id: str, item: Assignment) -> pb.AssignedAction:
    attempt = item.attempt
    if attempt.asks_for_key:
        return _ask_for_key(tenant_id, item)
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
        action_payload=assignments.payload(item),
        task_name=attempt.task_name,
        retry_count=attempt.retry_count,
        priority=attempt.priority,
        workflow_id=attempt.workflow_id,
        workflow_version_id=attempt.version_id,
        task_inserted_at=timestamp(attempt.created_at_us),
        additional_metadata=traced_metadata(attempt.additional_metadata, attempt.run_id),
    )
    if attempt.invocation_count is not None:
        action.durable_task_invocation_count = attempt.invocation_count
    if attempt.parent_run_id:
        action.parent_workflow_run_id = attempt.parent_run_id
        action.child_workflow_index = attempt.child_index or 0
        if attempt.child_key:
            action.child_workflow_key = attempt.child_key
    if attempt.triggering_event_id:
        action.triggering_event_external_id = attempt.triggering_event_id
        action.triggering_event_key = attempt.triggering_event_key or ""
    return action


def _ask_for_key(tenant_id: str, item: Assignment) -> pb.AssignedAction:
    """The older SDKs' way to be asked for a run's group key (grpc specification 5.4); the payload is the bare input."""
    attempt = item.attempt
    return pb.AssignedAction(
        tenant_id=tenant_id,
        workflow_run_id=attempt.run_id,
        get_group_key_run_id=key_run_id(attempt.task_id, attempt.retry_count),
        action_id=attempt.action_id,
        action_type=pb.START_GET_GROUP_KEY,
        action_payload=assignments.payload(item),
        retry_count=attempt.retry_count,
    )


def key_run_id(task_id: str, retry_count: int) -> str:
    """The id under which a worker is asked for a group key. Its answer carries nothing else that names the attempt."""
    return f"{task_id}/{retry_count}"


def _cancel(tenant_id: str, item: CancelAttempt) -> pb.AssignedAction:
    if item.asks_for_key:
        return pb.AssignedAction(
            tenant_id=tenant_id,
            workflow_run_id=item.run_id,
            get_group_key_run_id=key_run_id(item.task_id, item.retry_count),
            action_id=item.action_id,
            action_type=pb.CANCEL_STEP_RUN,
            retry_count=item.retry_count,
        )
    action = pb.AssignedAction(
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
    if item.invocation_count is not None:
        action.durable_task_invocation_count = item.invocation_count
    return action


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
            if result.HasField("error"):
                result.error = fitting.cut(result.error, fitting.ERROR_CHARS_MAX)
        room_chars = max(100, RESULT_SIZE_BYTES_MAX // 8 // max(1, len(event.results)))
        if room_chars < fitting.ERROR_CHARS_MAX and event.ByteSize() > RESULT_SIZE_BYTES_MAX:
            for result in event.results:
                if result.HasField("error"):
                    result.error = fitting.cut(result.error, room_chars)
    return event


def live_events(event: LiveEvent) -> Iterator[pb.WorkflowEvent]:
    """The event as messages that clients accept.

    A chunk too large for one (bytes that are no text grow when they become text) is sent in parts with the same index,
    which readers put together by reading on. An output or error too large is left out; the run's page has it.
    """
    # Four bytes are the most that a character takes.
    if len(event.payload) <= LIVE_PAYLOAD_BYTES_MAX // 4 or len(event.payload.encode()) <= LIVE_PAYLOAD_BYTES_MAX:
        yield _live_event(event, event.payload)
    elif event.kind is LiveKind.CHUNK:
        for start in range(0, len(event.payload), LIVE_PAYLOAD_BYTES_MAX // 4):
            yield _live_event(event, event.payload[start : start + LIVE_PAYLOAD_BYTES_MAX // 4])
    else:
        yield _live_event(event, "")


def _live_event(event: LiveEvent, payload: str) -> pb.WorkflowEvent:
    message = pb.WorkflowEvent(
        workflow_run_id=event.run_id,
        resource_id=event.resource_id,
        event_timestamp=timestamp(event.at_us),
        event_payload=payload,
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


def durable_response(answer: Answer) -> durable.DurableTaskResponse:
    """An answer on a durable stream (grpc specification 7.3)."""
    return fitting.fit_durable_response(_durable_response(answer))


def _durable_response(answer: Answer) -> durable.DurableTaskResponse:
    effect = answer.effect
    ref = _entry_ref(effect.ref)
    match effect:
        case MemoAck():
            ack = durable.DurableMemoAck(ref=ref, memo_already_existed=effect.is_kept)
            if effect.is_kept:
                ack.memo_result_payload = (answer.payload or "").encode()
            return durable.DurableTaskResponse(memo_ack=ack)
        case ChildrenAck():
            return durable.DurableTaskResponse(
                trigger_runs_ack=durable.DurableTriggerRunsAck(
                    durable_task_external_id=effect.ref.task_id,
                    invocation_count=effect.ref.invocation_count,
                    run_entries=[
                        durable.DurableRunEntry(branch_id=branch, node_id=node, workflow_run_external_id=run_id)
                        for branch, node, run_id in effect.children
                    ],
                )
            )
        case WaitAck():
            return durable.DurableTaskResponse(wait_for_ack=durable.DurableWaitForAck(ref=ref))
        case EntryCompleted():
            completed = durable.DurableEntryCompleted(ref=ref, is_failure=answer.is_failure)
            if effect.order is not None:
                completed.satisfied_order = effect.order
            if answer.is_failure:
                completed.error_message = answer.error or "the child run failed"
            elif answer.payload:
                completed.payload = json_object_text(answer.payload).encode()
            return durable.DurableTaskResponse(entry_completed=completed)
        case NonDeterminism():
            return durable.DurableTaskResponse(
                error=durable.DurableError(
                    ref=ref, error_type=durable.DURABLE_ERROR_TYPE_NONDETERMINISM, error_message=effect.message
                )
            )
        case DurableRefusal():
            return durable.DurableTaskResponse(error=durable.DurableError(ref=ref, error_message=effect.message))
        case EvictionAck():
            return durable.DurableTaskResponse(
                eviction_ack=durable.DurableEvictionAck(
                    durable_task_external_id=effect.ref.task_id, invocation_count=effect.ref.invocation_count
                )
            )
        case DropInvocation():
            return durable.DurableTaskResponse(
                server_evict=durable.DurableServerEvict(
                    durable_task_external_id=effect.ref.task_id,
                    invocation_count=effect.ref.invocation_count,
                    reason=effect.reason,
                )
            )


def json_object_text(text: str) -> str:
    """A result as durable clients need it: one that is not an object is put into one."""
    return text if text.lstrip().startswith("{") else f'{{"value":{text}}}'


def _entry_ref(ref: EntryRef) -> durable.DurableEventLogEntryRef:
    return durable.DurableEventLogEntryRef(
        durable_task_external_id=ref.task_id,
        invocation_count=ref.invocation_count,
        branch_id=ref.branch_id,
        node_id=ref.node_id,
    )
