"""Messages that would be larger than clients take: what becomes of them."""

from __future__ import annotations

import pytest

from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.decision import DurableRefusal, EntryCompleted, MemoAck
from broadaxe.core.lifecycle import RunStatus
from broadaxe.engine.durable_streams import Answer
from broadaxe.engine.subscriptions import RunOutcome, TaskOutcome
from broadaxe.errors import ResourceExhausted
from broadaxe.rpc import fitting, outbound
from broadaxe.rpc._gen import dispatcher_pb2 as pb
from broadaxe.rpc._gen.admin_pb2 import GetRunDetailsResponse
from broadaxe.rpc._gen.events_pb2 import Event, Events
from broadaxe.rpc.transport import SEND_SIZE_BYTES_MAX

REF = EntryRef("0b1d2c3e-0000-4000-8000-000000000001", 1, 1, 2)
TOO_MUCH = '{"text":"' + "x" * SEND_SIZE_BYTES_MAX + '"}'
HALF = "x" * (SEND_SIZE_BYTES_MAX // 2)


@pytest.mark.parametrize(
    ("text", "is_oversize"),
    [("x" * 1_000_000, False), ("x" * 4_190_000, False), ("x" * 4_194_304, True), ("€" * 1_400_000, True)],
    ids=["small", "near", "more", "more-in-bytes"],
)
def test_an_assignment_is_measured_in_bytes(text: str, is_oversize: bool) -> None:
    assert fitting.is_oversize(pb.AssignedAction(action_payload=text)) is is_oversize


def test_several_fields_count_together() -> None:
    assert fitting.is_oversize(pb.AssignedAction(action_payload=HALF, additional_metadata=HALF))


def test_details_go_without_what_was_put_in() -> None:
    response = GetRunDetailsResponse(input=HALF.encode(), additional_metadata=b"{}")
    response.task_runs["a"].output = HALF.encode()
    fitted = fitting.fit_run_details(response)
    assert fitted.ByteSize() <= SEND_SIZE_BYTES_MAX
    assert (fitted.input, fitted.task_runs["a"].output) == (b"", HALF.encode())


def test_details_that_are_too_large_by_themselves_are_refused_with_their_size() -> None:
    response = GetRunDetailsResponse()
    for name in ("a", "b"):
        response.task_runs[name].output = HALF.encode()
    with pytest.raises(ResourceExhausted, match=rf"{response.ByteSize()} bytes.*{SEND_SIZE_BYTES_MAX}"):
        fitting.fit_run_details(response)


def test_pushed_events_keep_their_ids() -> None:
    events = Events(events=[Event(event_id=str(n), payload=HALF, additional_metadata="{}") for n in range(2)])
    fitted = fitting.fit_events(events)
    assert [event.event_id for event in fitted.events] == ["0", "1"]
    assert fitted.ByteSize() < 1_000


def test_small_answers_stay_as_they_are() -> None:
    events = Events(events=[Event(event_id="1", payload="{}")])
    assert fitting.fit_events(events).events[0].payload == "{}"
    details = GetRunDetailsResponse(input=b"{}")
    assert fitting.fit_run_details(details).input == b"{}"


def test_a_result_too_large_for_a_durable_stream_is_a_failure_that_says_so() -> None:
    effect = EntryCompleted(stream=1, ref=REF, payload=None, order=7)
    response = outbound.durable_response(Answer(effect, TOO_MUCH))
    completed = response.entry_completed
    assert completed.is_failure and completed.satisfied_order == 7
    assert str(SEND_SIZE_BYTES_MAX) in completed.error_message
    assert response.ByteSize() < 1_000


def test_a_memo_too_large_for_a_durable_stream_is_an_error_of_its_operation() -> None:
    response = outbound.durable_response(Answer(MemoAck(stream=1, ref=REF, is_kept=True, payload=None), TOO_MUCH))
    assert response.error.ref.node_id == REF.node_id
    assert str(SEND_SIZE_BYTES_MAX) in response.error.error_message


@pytest.mark.parametrize("is_failure", [True, False])
def test_texts_of_errors_are_cut(is_failure: bool) -> None:
    if is_failure:
        effect = EntryCompleted(stream=1, ref=REF, payload=None, order=1)
        answer = Answer(effect, None, True, TOO_MUCH)
    else:
        answer = Answer(DurableRefusal(stream=1, ref=REF, message=TOO_MUCH), None)
    response = outbound.durable_response(answer)
    message = response.entry_completed.error_message if is_failure else response.error.error_message
    assert message.startswith(TOO_MUCH[: fitting.ERROR_CHARS_MAX])
    assert response.ByteSize() < 10_000


def test_the_errors_of_many_tasks_fit_together() -> None:
    tasks = tuple(TaskOutcome(REF.task_id, f"task-{n}", None, "e" * 5_000) for n in range(10_000))
    event = outbound.run_event(RunOutcome(REF.task_id, RunStatus.FAILED, tasks), REF.task_id, 0)
    assert event.ByteSize() <= SEND_SIZE_BYTES_MAX
    assert all(result.error.startswith("eee") for result in event.results)
