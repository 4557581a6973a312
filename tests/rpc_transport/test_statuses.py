"""Which status a caller sees, with a real client on the other side."""

from __future__ import annotations

import asyncio

import asyncpg
import grpc
import grpc.aio
import pytest
from google.rpc.status_pb2 import Status as GoogleStatus
from hatchet_sdk.contracts.v1 import workflows_pb2 as official
from structlog.testing import capture_logs

from broadaxe import errors
from broadaxe.rpc import statuses
from broadaxe.rpc._gen.dispatcher_pb2 import AssignedAction, GetVersionRequest, GetVersionResponse, WorkerListenRequest
from broadaxe.rpc.transport import Call, Code, Metadata, Principal, RpcError, Send, server_stream, unary

VERSION = "/Dispatcher/GetVersion"
LISTEN = "/Dispatcher/ListenV2"


def failing(error: BaseException):
    async def handler(request: GetVersionRequest, call: Call) -> GetVersionResponse:
        raise error

    return unary(VERSION, GetVersionRequest, GetVersionResponse, handler)


async def outcome(served, request: bytes = b"") -> grpc.aio.UnaryUnaryCall:
    call = served.channel.unary_unary(VERSION, None, None)(request, timeout=10)
    await call.code()
    return call


def test_every_error_of_the_tree_has_a_status() -> None:
    ours = {error for error in errors.all_error_types() if error.__module__ == "broadaxe.errors"}
    assert ours == set(statuses.CODE_BY_ERROR)


def test_only_the_unimplemented_error_becomes_unimplemented() -> None:
    assert [e for e, code in statuses.CODE_BY_ERROR.items() if code is Code.UNIMPLEMENTED] == [errors.Unimplemented]


def test_no_error_of_ours_becomes_cancelled() -> None:
    assert Code.CANCELLED not in statuses.CODE_BY_ERROR.values()


def test_our_codes_are_the_codes_of_grpc() -> None:
    assert {code.name: code.value for code in Code} == {code.name: code.value[0] for code in grpc.StatusCode}


def test_ok_cannot_be_raised() -> None:
    with pytest.raises(ValueError, match="OK"):
        RpcError(Code.OK, "")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError("no"),
        asyncpg.CannotConnectNowError("the database system is in recovery mode"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.TooManyConnectionsError("sorry, too many clients already"),
        asyncpg.InternalClientError("got result for unknown protocol state 3"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_database_that_is_away_is_a_reason_to_try_again(serve, error: Exception) -> None:
    served = await serve(failing(error))
    with capture_logs() as logs:
        call = await outcome(served)
    assert await call.code() is grpc.StatusCode.UNAVAILABLE
    assert "try again" in await call.details()
    assert not [line for line in logs if line["log_level"] == "error"]


async def test_domain_error_reaches_the_caller_with_its_text(serve) -> None:
    served = await serve(failing(errors.NotFound("there is no run r1", field="workflow_run_id")))
    call = await outcome(served)
    assert await call.code() is grpc.StatusCode.NOT_FOUND
    assert await call.details() == "workflow_run_id: there is no run r1"


async def test_rpc_error_reaches_the_caller_with_trailing_metadata(serve) -> None:
    trailing = (("reason", "text"), ("detail-bin", b"\x00\x01"))
    served = await serve(failing(RpcError(Code.FAILED_PRECONDITION, "not now", trailing)))
    call = await outcome(served)
    assert await call.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert dict(await call.trailing_metadata()) == dict(trailing)


async def test_unforeseen_error_is_internal_hidden_and_logged(serve) -> None:
    served = await serve(failing(KeyError("secret")))
    with capture_logs() as logs:
        call = await outcome(served)
    assert await call.code() is grpc.StatusCode.INTERNAL
    assert await call.details() == statuses.INTERNAL_MESSAGE
    assert [(entry["log_level"], entry["path"], repr(entry["exc_info"])) for entry in logs] == [
        ("error", VERSION, "KeyError('secret')")
    ]


async def test_error_out_of_a_task_group_keeps_its_status(serve) -> None:
    group = ExceptionGroup("unhandled errors in a TaskGroup", [errors.NotFound("no such worker")])
    call = await outcome(await serve(failing(group)))
    assert (await call.code(), await call.details()) == (grpc.StatusCode.NOT_FOUND, "no such worker")


async def test_unforeseen_error_in_a_task_group_hides_the_foreseen_one(serve) -> None:
    group = ExceptionGroup("", [errors.NotFound("no such worker"), ValueError("secret")])
    call = await outcome(await serve(failing(group)))
    assert (await call.code(), await call.details()) == (grpc.StatusCode.INTERNAL, statuses.INTERNAL_MESSAGE)


async def test_long_message_does_not_break_the_header_block(serve) -> None:
    call = await outcome(await serve(failing(errors.InvalidArgument("\N{AXE}" * 100_000))))
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert set(await call.details()) == {"\N{AXE}"}


async def test_cancelled_error_nobody_asked_for_is_answered_with_unavailable(serve) -> None:
    call = await outcome(await serve(failing(asyncio.CancelledError())))
    assert await call.code() is grpc.StatusCode.UNAVAILABLE


async def test_malformed_request_is_invalid_argument(serve) -> None:
    async def never(request: WorkerListenRequest, call: Call) -> GetVersionResponse:
        raise AssertionError("the handler must not run")

    served = await serve(unary(VERSION, WorkerListenRequest, GetVersionResponse, never))
    call = await outcome(served, b"\x0a\xff")
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "WorkerListenRequest" in await call.details()


async def test_unknown_path_is_unimplemented(serve) -> None:
    served = await serve(failing(errors.NotFound()))
    call = served.channel.unary_unary("/Dispatcher/NoSuchMethod", None, None)(b"")
    assert await call.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_caller_turned_away_never_reaches_the_handler(serve) -> None:
    reached: list[str] = []

    async def handler(request: GetVersionRequest, call: Call) -> GetVersionResponse:
        reached.append(call.path)
        return GetVersionResponse()

    async def stream(request: WorkerListenRequest, call: Call, send: Send[AssignedAction]) -> None:
        reached.append(call.path)

    async def authenticate(metadata: Metadata) -> Principal:
        raise errors.Unauthenticated()

    served = await serve(
        unary(VERSION, GetVersionRequest, GetVersionResponse, handler),
        server_stream(LISTEN, WorkerListenRequest, AssignedAction, stream),
        authenticate=authenticate,
    )
    assert await (await outcome(served)).code() is grpc.StatusCode.UNAUTHENTICATED
    assert await served.channel.unary_stream(LISTEN, None, None)(b"").code() is grpc.StatusCode.UNAUTHENTICATED
    assert reached == []


async def test_idempotency_collision_is_read_by_the_official_messages(serve) -> None:
    call = await outcome(await serve(failing(statuses.idempotency_collision("run-1", "run-2"))))
    assert (await call.code(), await call.details()) == (grpc.StatusCode.ALREADY_EXISTS, "idempotency key collision")
    detail = official.IdempotencyCollisionError()
    assert _only_detail(await call.trailing_metadata()).Unpack(detail)
    assert (detail.existing_run_external_id, detail.colliding_run_external_id) == ("run-1", "run-2")


async def test_bulk_idempotency_collision_is_read_by_the_official_messages(serve) -> None:
    collision = statuses.bulk_idempotency_collision(["run-1"], [("run-2", "run-3")])
    call = await outcome(await serve(failing(collision)))
    detail = official.BulkTriggerIdempotencyCollisionError()
    assert _only_detail(await call.trailing_metadata()).Unpack(detail)
    assert list(detail.successful_workflow_run_external_ids) == ["run-1"]
    assert [(c.existing_run_external_id, c.colliding_run_external_id) for c in detail.collisions] == [
        ("run-2", "run-3")
    ]


def _only_detail(trailing: grpc.aio.Metadata):
    status = GoogleStatus.FromString(dict(trailing)["grpc-status-details-bin"])
    assert (status.code, status.message) == (6, "idempotency key collision")
    (detail,) = status.details
    return detail
