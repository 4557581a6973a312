"""Messages that are put together from several legal parts, and may be larger than clients take.

A client that is sent more than `SEND_SIZE_BYTES_MAX` breaks its stream, and everything on it with it. So what is built
here or in `outbound.py` and has no bound of its own is made to fit, or is told as an error that names the sizes.
"""

from __future__ import annotations

from typing import Final

from broadaxe.core.batching import ITEM_BYTES
from broadaxe.engine.sessions import Assignment
from broadaxe.errors import ResourceExhausted
from broadaxe.rpc import assignments
from broadaxe.rpc._gen import dispatcher_pb2 as pb
from broadaxe.rpc._gen import durable_pb2 as durable
from broadaxe.rpc._gen.admin_pb2 import GetRunDetailsResponse
from broadaxe.rpc._gen.events_pb2 import Events
from broadaxe.rpc.transport import SEND_SIZE_BYTES_MAX

ERROR_CHARS_MAX: Final = 2_000
#: What the ids and numbers of a message take at most.
ENVELOPE_BYTES: Final = 4_096


def is_oversize(action: pb.AssignedAction) -> bool:
    """Whether no client takes the message. Only what has no bound of its own is counted, unless it comes near."""
    chars = len(action.action_payload) + len(action.additional_metadata) + len(action.child_workflow_key)
    # Four bytes are the most that a character takes.
    return chars > (SEND_SIZE_BYTES_MAX - ENVELOPE_BYTES) // 4 and action.ByteSize() > SEND_SIZE_BYTES_MAX


def size_bytes_in_batch(item: Assignment) -> int:
    """What an item adds to the message of its batch."""
    return len(assignments.payload(item).encode()) + ITEM_BYTES


def fit_run_details(response: GetRunDetailsResponse) -> GetRunDetailsResponse:
    """Without its input and metadata if it is larger than clients take: who asks for it wants to know what came of the
    run. ResourceExhausted if its outputs alone are."""
    if response.ByteSize() > SEND_SIZE_BYTES_MAX:
        response.ClearField("input")
        response.ClearField("additional_metadata")
        size_bytes = response.ByteSize()
        if size_bytes > SEND_SIZE_BYTES_MAX:
            raise ResourceExhausted(
                f"the results of this run have {size_bytes} bytes, more than the {SEND_SIZE_BYTES_MAX} a client "
                "receives; read them task by task over HTTP, and pass large data by reference"
            )
    return response


def fit_events(events: Events) -> Events:
    """What was pushed, as it is known now. Clients know what they pushed: if the answer is larger than they take, it
    goes without that."""
    if events.ByteSize() > SEND_SIZE_BYTES_MAX - ENVELOPE_BYTES:
        for event in events.events:
            event.ClearField("payload")
            event.ClearField("additional_metadata")
    return events


def fit_durable_response(response: durable.DurableTaskResponse) -> durable.DurableTaskResponse:
    """A result that no client takes is an error that says so: the stream would break over it, each time anew."""
    size_bytes = response.ByteSize()
    if size_bytes <= SEND_SIZE_BYTES_MAX:
        return response
    message = f"the result has {size_bytes} bytes, more than the {SEND_SIZE_BYTES_MAX} a worker receives"
    if response.HasField("entry_completed"):
        completed = response.entry_completed
        if completed.is_failure:
            message = cut(completed.error_message, ERROR_CHARS_MAX)
        completed.ClearField("payload")
        completed.is_failure, completed.error_message = True, message
    elif response.HasField("error"):
        response.error.error_message = cut(response.error.error_message, ERROR_CHARS_MAX)
    elif response.HasField("memo_ack"):
        error = durable.DurableError(ref=response.memo_ack.ref, error_message=message)
        return durable.DurableTaskResponse(error=error)
    return response


def cut(error: str, chars: int) -> str:
    return error if len(error) <= chars else error[:chars] + "\n… the rest is too long to send; see the run's page"
