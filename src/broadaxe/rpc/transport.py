"""The transport interface: what a gRPC service may know about the wire under it.

Owns the vocabulary shared by services and carriers: status codes, `RpcError`, `Call`, the three call shapes, `Method`
and `Carrier`. Services are lists of methods; a carrier (a gRPC server of any make) serves them. Neither imports the
other.

    service:   unary("/Dispatcher/Heartbeat", HeartbeatRequest, HeartbeatResponse, self.heartbeat)
    carrier:   reads a frame -> authenticates -> method.serve(frame, call) -> writes a frame -> status

A method carries bytes, not messages: the constructors `unary`, `server_stream` and `bidi` wrap a typed handler so that
parsing and serialising happen on the service's side of the line. A carrier therefore needs no protobuf, a node that
does not own a tenant can forward frames unread, and a handler may hand over bytes it has serialised already (one frame
sent to many streams is serialised once).

What a carrier promises to every handler:

- `authenticate` has run and `call.principal` is its answer; if it raised, the handler is never called. A public method
  needs no caller that is known. A caller who only reads reaches only methods that are `is_reading`.
- A client that cancels, goes away, or whose deadline passes, cancels the handler's task: `asyncio.CancelledError` is
  the one signal. A handler that must not be torn in half moves that part into a task which somebody else owns.
- `await send(frame)` returns when the transport has room for more. That is the only backpressure there is, so a handler
  reads its source one step at a time and keeps no queue of its own in front of `send`. Sends of one call never
  overlap: one task sends, and others reach it through a bounded queue.
- A stream whose caller loses their right while it is open is ended with UNAUTHENTICATED, like a call that was refused.
- Requests of a stream are read when the handler asks for the next one, not before. The iterator ends when the client
  half-closes.
- Returning ends the call with OK. Raising ends it with the status that `statuses.status_of` gives.
- At shutdown `call.draining` is set. A stream that returns then ends with OK, which tells SDKs to connect again; one
  that is still open when the grace is over is ended by the carrier with UNAVAILABLE. Never with CANCELLED: SDKs take
  that for their own wish and stop reconnecting, or reconnect in a hot loop.

Refuses: grpcio types, tenant logic, retries. There is no client-streaming shape because no method of the protocol has
it.

Invariants: metadata keys are lower-case; a path is served by one method; a message of more than
`SEND_SIZE_BYTES_MAX` never leaves, because SDKs refuse it and lose the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final, Protocol, TypeAlias, TypeVar

from google.protobuf.message import DecodeError, Message

from broadaxe.core.commands.asked import TOKEN_NAME, Initiator, InitiatorKind
from broadaxe.errors import BroadaxeError

__all__ = [
    "NOBODY",
    "RECEIVE_SIZE_BYTES_MAX",
    "SEND_SIZE_BYTES_MAX",
    "Authenticate",
    "BidiMethod",
    "Call",
    "Carrier",
    "Code",
    "Metadata",
    "Method",
    "Principal",
    "RpcError",
    "Send",
    "ServerStreamMethod",
    "UnaryMethod",
    "Watch",
    "Witness",
    "bidi",
    "server_stream",
    "unary",
]

SEND_SIZE_BYTES_MAX = 4 * 1024 * 1024
"""The largest message SDKs accept by default."""

RECEIVE_SIZE_BYTES_MAX = 5 * 1024 * 1024
"""SDKs fill messages up to 4 MiB by their own estimate; the rest is slack for what they did not count."""

Metadata: TypeAlias = Mapping[str, str | bytes]
"""Call metadata with lower-case keys; bytes for keys that end in `-bin`. Of a repeated key the last value counts."""


class Code(IntEnum):
    """The gRPC status codes, by their numbers on the wire."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class RpcError(Exception):
    """Ends a call with exactly this status. `trailing` is metadata sent beside it; keys are lower-case."""

    def __init__(self, code: Code, message: str, trailing: tuple[tuple[str, str | bytes], ...] = ()) -> None:
        if code is Code.OK:
            raise ValueError("OK is not an error; return instead")
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message
        self.trailing = trailing


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: the tenant is always the token's, it is named nowhere else on the wire."""

    tenant_id: str
    token_id: str
    expires_at: datetime | None = None
    may_change: bool = True
    """Whether the token may call what is not `is_reading`."""


NOBODY: Final = Principal("", "")
"""Who calls a public method."""

Authenticate: TypeAlias = Callable[[Metadata], Awaitable[Principal]]
"""Runs before every handler. Raises `Unauthenticated` (or `RpcError`) to turn the caller away."""

Watch: TypeAlias = Callable[[Principal, Callable[[], None]], Callable[[], None]]
"""Asked for every stream that was let in: calls its second argument when the caller is not to be trusted any more, and
returns what ends the watch."""


@dataclass(slots=True)
class Call:
    """One call in progress. Made by the carrier, read by the handler."""

    path: str
    metadata: Metadata
    peer: str
    """The caller's address as the carrier knows it: what tells one connection from another."""
    principal: Principal
    draining: asyncio.Event
    """Set once, when the carrier begins to stop."""
    connection: object
    """The same for all calls of one connection, and gone when it is: a key for weak references, and nothing else."""
    deadline_at: float | None = None
    """On the clock of the running loop (`loop.time()`); None when the caller set no deadline."""

    @property
    def by(self) -> Initiator:
        """Who calls, to the audit log."""
        host, _, _ = self.peer.removeprefix("ipv4:").removeprefix("ipv6:").rpartition(":")
        return Initiator(InitiatorKind.TOKEN, self.principal.token_id, TOKEN_NAME, host.strip("[]"))

    def remaining_s(self) -> float | None:
        """Seconds until the caller's deadline, never negative; None without a deadline."""
        if self.deadline_at is None:
            return None
        return max(0.0, self.deadline_at - asyncio.get_running_loop().time())


class Witness(Protocol):
    """Who is told of what callers do, for the audit log. Called on the way of a call: must neither wait nor raise."""

    def token_used(self, call: Call) -> None:
        """The first call of a connection with this token."""

    def refused(self, call: Call, error: BroadaxeError) -> None:
        """The caller's role does not allow the call."""


RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)
SendT_contra = TypeVar("SendT_contra", contravariant=True)


class Send(Protocol[SendT_contra]):
    """Sends one message, or the bytes of one, and returns when there is room for the next."""

    def __call__(self, message: SendT_contra | bytes, /) -> Awaitable[None]: ...


SendBytes: TypeAlias = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class UnaryMethod:
    """One request, one response."""

    path: str
    request_type: type[Message]
    response_type: type[Message]
    serve: Callable[[bytes, Call], Awaitable[bytes]]
    is_public: bool = False
    """Whether anybody may call it. `authenticate` is not asked then, and the caller is `NOBODY`."""
    is_reading: bool = False
    """Whether it changes nothing, so that a token which only reads may call it."""


@dataclass(frozen=True, slots=True)
class ServerStreamMethod:
    """One request, any number of responses."""

    path: str
    request_type: type[Message]
    response_type: type[Message]
    serve: Callable[[bytes, Call, SendBytes], Awaitable[None]]
    is_public: bool = False
    is_reading: bool = False


@dataclass(frozen=True, slots=True)
class BidiMethod:
    """Any number of requests, any number of responses, in no fixed order."""

    path: str
    request_type: type[Message]
    response_type: type[Message]
    serve: Callable[[AsyncIterator[bytes], Call, SendBytes], Awaitable[None]]
    is_public: bool = False
    is_reading: bool = False


Method: TypeAlias = UnaryMethod | ServerStreamMethod | BidiMethod


def unary(
    path: str,
    request_type: type[RequestT],
    response_type: type[ResponseT],
    handler: Callable[[RequestT, Call], Awaitable[ResponseT | bytes]],
    *,
    is_public: bool = False,
    is_reading: bool = False,
) -> UnaryMethod:
    """A method served by `async (request, call) -> response`. The response may be bytes of a `response_type`."""

    async def serve(frame: bytes, call: Call) -> bytes:
        return _serialise(await handler(_parse(request_type, frame), call))

    return UnaryMethod(path, request_type, response_type, serve, is_public, is_reading)


def server_stream(
    path: str,
    request_type: type[RequestT],
    response_type: type[ResponseT],
    handler: Callable[[RequestT, Call, Send[ResponseT]], Awaitable[None]],
    *,
    is_public: bool = False,
    is_reading: bool = False,
) -> ServerStreamMethod:
    """A method served by `async (request, call, send) -> None`."""

    async def serve(frame: bytes, call: Call, send: SendBytes) -> None:
        await handler(_parse(request_type, frame), call, lambda message: send(_serialise(message)))

    return ServerStreamMethod(path, request_type, response_type, serve, is_public, is_reading)


def bidi(
    path: str,
    request_type: type[RequestT],
    response_type: type[ResponseT],
    handler: Callable[[AsyncIterator[RequestT], Call, Send[ResponseT]], Awaitable[None]],
    *,
    is_reading: bool = False,
) -> BidiMethod:
    """A method served by `async (requests, call, send) -> None`."""

    async def serve(frames: AsyncIterator[bytes], call: Call, send: SendBytes) -> None:
        async def parsed() -> AsyncIterator[RequestT]:
            async for frame in frames:
                yield _parse(request_type, frame)

        await handler(parsed(), call, lambda message: send(_serialise(message)))

    return BidiMethod(path, request_type, response_type, serve, is_reading=is_reading)


class Carrier(Protocol):
    """A running gRPC server. Its maker takes the methods, the address and `authenticate`."""

    async def start(self) -> int:
        """Listens and returns the port. Raises `ConfigurationError` when the address cannot be had."""
        ...

    async def stop(self, grace_s: float) -> None:
        """Refuses new calls, sets `draining`, gives open calls `grace_s` to end, then ends them with UNAVAILABLE.

        Safe before `start` and when called again.
        """
        ...


def _parse(message_type: type[RequestT], frame: bytes) -> RequestT:
    try:
        return message_type.FromString(frame)
    except DecodeError as error:
        raise RpcError(
            Code.INVALID_ARGUMENT, f"the request is not a valid {message_type.DESCRIPTOR.name} message"
        ) from error


def _serialise(message: Message | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()
