"""A carrier on grpcio's asyncio server: what `carrier.py` compares ours with. No part of the product.

It keeps the promises of `broadaxe.rpc.transport`, passed the tests of `tests/rpc_transport` while the engine ran on it,
and is configured as the engine configured it, so the comparison is with the real alternative and not with a toy.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Final, NoReturn, TypeAlias, TypeVar, cast

import grpc
import grpc.aio
import structlog

from broadaxe.errors import ConfigurationError
from broadaxe.rpc import statuses
from broadaxe.rpc.transport import (
    RECEIVE_SIZE_BYTES_MAX,
    SEND_SIZE_BYTES_MAX,
    Authenticate,
    BidiMethod,
    Call,
    Code,
    Method,
    RpcError,
    ServerStreamMethod,
    UnaryMethod,
)

__all__ = ["GrpcioCarrier"]

log = structlog.get_logger(__name__)

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
ResultT = TypeVar("ResultT")

_STATUS_BY_CODE: Final[Mapping[Code, grpc.StatusCode]] = {Code(status.value[0]): status for status in grpc.StatusCode}

# A status message travels percent-encoded in a header block of which C-core clients accept 8 KiB. A letter outside
# ASCII takes up to twelve bytes there.
_STATUS_MESSAGE_CHARS_MAX: Final = 600

# After the grace, how long a cancelled handler may take to let go before its connection is cut.
_LET_GO_S: Final = 1.0

_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_send_message_length", SEND_SIZE_BYTES_MAX),
    ("grpc.max_receive_message_length", RECEIVE_SIZE_BYTES_MAX),
    # Streams of one connection. A worker holds a handful; a process that follows runs one by one may hold thousands.
    ("grpc.max_concurrent_streams", 16_384),
    # SDKs ping every 10 s, idle or not. Without these C-core answers with GOAWAY too_many_pings after a few.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    # Our own pings find workers whose host vanished without a FIN.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.max_pings_without_data", 0),
)


class GrpcioCarrier:
    """Serves `methods` on `host:port`, in plaintext; port 0 lets the system choose."""

    def __init__(self, methods: Iterable[Method], authenticate: Authenticate, host: str, port: int) -> None:
        self._methods: dict[str, Method] = {}
        for method in methods:
            if method.path in self._methods:
                raise ValueError(f"two methods are registered for the path {method.path}")
            self._methods[method.path] = method
        self._authenticate = authenticate
        self._host = host
        self._port = port
        self._server: grpc.aio.Server | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._draining = asyncio.Event()
        self._grace_is_over = False
        self._open_calls: set[asyncio.Task[object]] = set()

    async def start(self) -> int:
        """Listens and returns the port. Raises `ConfigurationError` when the address cannot be had."""
        if self._server is not None:
            raise RuntimeError("this carrier was started before; make a new one")
        await _refuse_taken_address(self._host, self._port)
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((_Router({path: self._handler(m) for path, m in self._methods.items()}),))
        address = f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"
        try:
            port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise ConfigurationError(
                f"cannot listen for gRPC on {address}: another program took the port just now; choose another one"
            ) from error
        await server.start()
        self._server = server
        return port

    async def stop(self, grace_s: float) -> None:
        """See `transport.Carrier.stop`. Takes at most about `grace_s` and two seconds."""
        if self._server is None:
            return
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(self._server, grace_s))
        await asyncio.shield(self._stopping)

    async def _stop(self, server: grpc.aio.Server, grace_s: float) -> None:
        closing = asyncio.create_task(server.stop(grace_s + 2 * _LET_GO_S))
        await asyncio.sleep(0)  # One turn of the loop: grpcio refuses new calls from here on.
        self._draining.set()
        if self._open_calls:
            await asyncio.wait(self._open_calls, timeout=grace_s)
        self._grace_is_over = True
        stubborn = list(self._open_calls)
        if stubborn:
            log.warning("rpc calls outlived the shutdown grace and are ended", calls=len(stubborn), grace_s=grace_s)
            for task in stubborn:
                task.cancel()
            await asyncio.wait(stubborn, timeout=_LET_GO_S)
        await closing

    def _handler(self, method: Method) -> Handler:
        match method:
            case UnaryMethod():
                return self._unary_handler(method)
            case ServerStreamMethod():
                return self._server_stream_handler(method)
            case BidiMethod():
                return self._bidi_handler(method)

    def _unary_handler(self, method: UnaryMethod) -> Handler:
        async def behaviour(frame: bytes, context: Context) -> bytes:
            async def serve(call: Call, _: _Sender) -> bytes:
                answer = await method.serve(frame, call)
                _refuse_oversize(answer)
                return answer

            return await self._run(method.path, context, serve)

        return cast(Handler, grpc.unary_unary_rpc_method_handler(behaviour))

    def _server_stream_handler(self, method: ServerStreamMethod) -> Handler:
        async def behaviour(frame: bytes, context: Context) -> None:
            await self._run(method.path, context, lambda call, send: method.serve(frame, call, send))

        return cast(Handler, grpc.unary_stream_rpc_method_handler(behaviour))

    def _bidi_handler(self, method: BidiMethod) -> Handler:
        async def behaviour(_: object, context: Context) -> None:
            await self._run(method.path, context, lambda call, send: method.serve(_frames(context), call, send))

        return cast(Handler, grpc.stream_stream_rpc_method_handler(behaviour))

    async def _run(self, path: str, context: Context, serve: Callable[[Call, _Sender], Awaitable[ResultT]]) -> ResultT:
        """One call from admission to its status. Raises only what grpcio expects: its own abort, or a cancellation."""
        task = _current_task()
        self._open_calls.add(task)
        task.add_done_callback(self._open_calls.discard)
        send = _Sender(context)
        try:
            return await serve(await self._admit(path, context), send)
        except asyncio.CancelledError:
            if task.cancelling() and not self._grace_is_over:
                raise
            error = _GOING_AWAY
        except Exception as caught:
            if send.caller_is_gone or (task.cancelling() and not self._grace_is_over):
                # Nobody is left to tell. Cleaning up after a cancellation may fail in its own way, which is no news.
                log.debug("rpc handler failed after its caller had gone", path=path, error=repr(caught))
                raise asyncio.CancelledError from caught
            error = _GOING_AWAY if task.cancelling() else statuses.status_of(caught)
            if statuses.is_unforeseen(caught):
                log.error("rpc handler failed", path=path, exc_info=caught)
        # A cancellation that was answered is over.
        while task.cancelling():
            task.uncancel()
        return await _abort(context, error)

    async def _admit(self, path: str, context: Context) -> Call:
        metadata = dict(cast(Iterable[tuple[str, str | bytes]], context.invocation_metadata() or ()))
        principal = await self._authenticate(metadata)
        remaining_s = cast(float | None, context.time_remaining())
        return Call(
            path=path,
            metadata=metadata,
            peer=context.peer(),
            principal=principal,
            draining=self._draining,
            connection=self,  # grpcio does not tell them apart
            deadline_at=None if remaining_s is None else asyncio.get_running_loop().time() + remaining_s,
        )


_GOING_AWAY: Final = RpcError(Code.UNAVAILABLE, "the engine is going away; connect again")


class _CallerGone(Exception):
    """The stream is closed. Stops a handler that still has something to send."""


class _Sender:
    """Sends the frames of one call, and remembers whether anybody is still there to receive them."""

    __slots__ = ("_context", "caller_is_gone")

    def __init__(self, context: Context) -> None:
        self._context = context
        self.caller_is_gone = False

    async def __call__(self, frame: bytes) -> None:
        _refuse_oversize(frame)
        try:
            await self._context.write(frame)
        except grpc.aio.BaseError as error:
            # grpcio notices a dead stream in the write a moment before it cancels the handler.
            self.caller_is_gone = True
            raise _CallerGone from error


class _Router(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic only in its stubs
    """Finds the handler of a path; None makes grpcio answer UNIMPLEMENTED."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        return self._handlers.get(handler_call_details.method)


async def _abort(context: Context, error: RpcError) -> NoReturn:
    message = error.message[:_STATUS_MESSAGE_CHARS_MAX]
    await context.abort(_STATUS_BY_CODE[error.code], message, trailing_metadata=error.trailing)


async def _frames(context: Context) -> AsyncIterator[bytes]:
    while True:
        frame: object = await context.read()
        if not isinstance(frame, bytes):  # grpcio's end-of-stream mark
            return
        yield frame


def _refuse_oversize(frame: bytes) -> None:
    if len(frame) > SEND_SIZE_BYTES_MAX:
        raise RpcError(
            Code.RESOURCE_EXHAUSTED,
            f"the answer is {len(frame)} bytes, more than the {SEND_SIZE_BYTES_MAX} a client accepts; ask for less",
        )


async def _refuse_taken_address(host: str, port: int) -> None:
    """Binds and lets go at once, because grpcio's own failure names no reason."""
    try:
        candidates = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise ConfigurationError(f"cannot listen for gRPC: {host} is not an address of this machine") from error
    for family, kind, protocol, _, address in candidates:
        with socket.socket(family, kind, protocol) as probe:
            # As a server would: connections of the last process in TIME_WAIT do not count, a listening one does.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
                probe.listen(1)
            except OSError as error:
                raise ConfigurationError(_bind_advice(host, port, error)) from error


def _bind_advice(host: str, port: int, error: OSError) -> str:
    place = f"cannot listen for gRPC on {host} port {port}: "
    match error.errno:
        case errno.EADDRINUSE:
            return place + "the port is taken; stop the program that has it, or choose another port"
        case errno.EACCES:
            return place + "this user may not use that port; choose one above 1023"
        case errno.EADDRNOTAVAIL:
            return place + "that is not an address of this machine"
        case _:
            return place + os.strerror(error.errno) if error.errno else place + str(error)


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None, "grpcio runs every handler in a task"
    return task
