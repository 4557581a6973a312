"""One call from its head to its status: the promises of `transport`, kept on one HTTP/2 stream.

Owns the task of a handler, its deadline, the messages it has not read yet, and the one place where a call ends
(`end`). Refuses: sockets, frames, and which error means what (`statuses` knows).

A call is **over** once nobody waits for its outcome: its status was written, its caller left, its deadline passed, or
the carrier ended it. It has **let go** once its handler's task is finished too. Between the two the handler has been
cancelled and cleans up; it still counts as open, for the bound on open calls and for an orderly stop.

Invariants: a call that is not over when its handler ends gets a status, also when the handler raised `CancelledError`
without having been asked to; that status is never CANCELLED. After a call is over nothing is written to its stream.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Final

import structlog

from broadaxe.errors import PermissionDenied
from broadaxe.rpc import statuses
from broadaxe.rpc.http2 import grpc
from broadaxe.rpc.http2.connection import Stream
from broadaxe.rpc.http2.frames import ErrorCode
from broadaxe.rpc.transport import (
    NOBODY,
    SEND_SIZE_BYTES_MAX,
    Authenticate,
    BidiMethod,
    Call,
    Code,
    Method,
    RpcError,
    ServerStreamMethod,
    UnaryMethod,
    Watch,
    Witness,
)

if TYPE_CHECKING:
    from broadaxe.rpc.http2.link import Link

log = structlog.get_logger(__name__)

GOING_AWAY: Final = RpcError(Code.UNAVAILABLE, "the engine is going away; connect again")
_DEADLINE_PASSED: Final = RpcError(Code.DEADLINE_EXCEEDED, "the deadline passed before the answer was there")
_NOT_TRUSTED_ANY_MORE: Final = RpcError(
    Code.UNAUTHENTICATED, "the token of this stream was revoked or has expired; connect with a valid one"
)
_MESSAGE_OVERDUE: Final = RpcError(Code.DEADLINE_EXCEEDED, "the request's message did not arrive in time")
_NO_MESSAGE: Final = RpcError(
    Code.INVALID_ARGUMENT, "the request ended without a complete message; exactly one is needed"
)
_SECOND_MESSAGE: Final = RpcError(Code.INVALID_ARGUMENT, "the request has more than one message; exactly one is needed")
_CUT_OFF: Final = RpcError(Code.INVALID_ARGUMENT, "the request stream ended in the middle of a message")
_TOO_MUCH_UNREAD: Final = RpcError(
    Code.RESOURCE_EXHAUSTED, "this connection has too many unread request bytes; send fewer large requests at a time"
)


class Serving:
    """What all calls of one carrier share."""

    __slots__ = ("all_let_go", "authenticate", "draining", "methods", "open_calls", "watch", "witness")

    def __init__(
        self,
        methods: Mapping[str, Method],
        authenticate: Authenticate,
        watch: Watch | None,
        witness: Witness | None = None,
    ) -> None:
        self.methods = methods
        self.authenticate = authenticate
        self.watch = watch
        self.witness = witness
        self.draining = asyncio.Event()
        self.open_calls = 0
        self.all_let_go = asyncio.Event()
        """Set while there is no open call."""
        self.all_let_go.set()

    def call_opened(self) -> None:
        self.open_calls += 1
        if self.open_calls == 1:
            self.all_let_go.clear()

    def call_let_go(self) -> None:
        self.open_calls -= 1
        if self.open_calls == 0:
            self.all_let_go.set()


class CallerGone(Exception):
    """The stream is closed. Stops a handler that still has something to send."""


class ServerCall:
    """See the module's text. Made when the head of a request has arrived; `begin` comes next."""

    __slots__ = (
        "_ahead",
        "_awaited",
        "_began_at",
        "_deadline",
        "_deadline_at",
        "_has_opened",
        "_inbox",
        "_is_ended",
        "_is_over",
        "_is_started",
        "_link",
        "_method",
        "_reader",
        "_request",
        "_room",
        "_single",
        "_stream",
        "_task",
        "_unread",
        "_unwatch",
    )

    def __init__(self, link: Link, stream: Stream, request: grpc.Request, method: Method) -> None:
        self._link = link
        self._stream = stream
        self._request = request
        self._method = method
        self._reader = grpc.MessageReader()
        self._inbox: deque[tuple[bool, bytes, int]] = deque()
        """Complete messages not read yet: whether compressed, the message, what reading it gives back to the window."""
        self._ahead = 0
        """How much of the incomplete message was given back to the window already."""
        self._unread = 0
        """Our share of `link.unread_size_bytes`."""
        self._is_ended = False
        self._awaited: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._has_opened = False
        self._is_over = False
        self._is_started = False
        self._single: tuple[bool, bytes] | None = None
        """Whether compressed, and the message that the handler has yet to begin with."""
        self._task: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._deadline_at: float | None = None
        self._began_at = link.read_at
        self._unwatch: Callable[[], None] | None = None

        link.serving.call_opened()
        if request.timeout_s is not None:
            self._deadline_at = link.loop.time() + request.timeout_s
            self._deadline = link.loop.call_at(self._deadline_at, self._on_deadline)

    # What happens to it --------------------------------------------------------------------------------------------

    def begin(self, is_ended: bool) -> None:
        self._is_ended = is_ended
        if isinstance(self._method, BidiMethod):
            self._task = self._link.loop.create_task(self._serve_bidi(self._method))
        elif is_ended:
            self.end(_NO_MESSAGE)

    def receive(self, data: bytes, is_ended: bool) -> None:
        if self._is_over:
            return
        try:
            messages = self._reader.feed(data)
        except RpcError as error:
            self.end(error)
            return
        self._is_ended = is_ended
        method = self._method
        is_plain = is_ended and len(messages) == 1 and not (self._inbox or self._reader.partial_size_bytes)
        if is_plain and not isinstance(method, BidiMethod):
            # Nearly always: the one message came whole.
            self._single = messages[0]
            self._link.begin_in_turn(self)
            return
        self._keep(messages, len(data))
        if self._is_over:
            return
        if is_ended and self._reader.partial_size_bytes:
            self.end(_CUT_OFF)
        elif isinstance(method, BidiMethod):
            if self._awaited is not None and not self._awaited.done():
                self._awaited.set_result(None)
        elif len(self._inbox) > 1:
            self.end(_SECOND_MESSAGE)
        elif is_ended and not self._inbox:
            self.end(_NO_MESSAGE)
        elif is_ended:
            is_compressed, message, _ = self._inbox.popleft()
            self._single = is_compressed, message
            self._link.begin_in_turn(self)

    def begin_handler(self) -> None:
        """Its message is there, and it is the connection's turn."""
        single, self._single = self._single, None
        if single is None or self._is_over:
            return
        is_compressed, message = single
        if self._unread:
            self._count_unread(-self._unread)
        method = self._method
        if isinstance(method, UnaryMethod):
            self._task = self._link.loop.create_task(self._serve_unary(method, message, is_compressed))
        elif isinstance(method, ServerStreamMethod):
            self._task = self._link.loop.create_task(self._serve_server_stream(method, message, is_compressed))

    def caller_left(self) -> None:
        """The client called it off or the connection is gone: nobody waits for an answer."""
        if not self._is_over:
            self._close()
            self._cancel()

    def room_opened(self) -> None:
        """What `send` was waiting to get rid of is on its way."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def end(self, error: RpcError) -> None:
        """Ends the call with this status, whatever its handler is doing; the handler is cancelled."""
        if self._is_over:
            return
        connection, stream = self._link.connection, self._stream
        if stream.pending and error.code is Code.DEADLINE_EXCEEDED:
            # Trailers would have to wait for the rest of a message that nobody is going to read.
            connection.reset(stream, ErrorCode.CANCEL)
        else:
            self._write_status(error)
        self._close()
        self._cancel()

    def end_if_owed_since(self, before: float) -> None:
        """Ends the call if its client began it before this instant and still owes the message without which it cannot
        start."""
        if self._task is None and self._single is None and self._began_at < before:
            self.end(_MESSAGE_OVERDUE)

    def _on_deadline(self) -> None:
        self.end(_DEADLINE_PASSED)

    def _on_distrust(self) -> None:
        self.end(_NOT_TRUSTED_ANY_MORE)

    # The handler's side --------------------------------------------------------------------------------------------

    async def send(self, frame: bytes) -> None:
        """`transport.Send` of this call."""
        if self._is_over:
            raise CallerGone
        _refuse_oversize(frame)
        link = self._link
        connection = link.connection
        if not self._has_opened:
            self._has_opened = True
            connection.open_response(self._stream, grpc.RESPONSE_HEADERS)
        is_out = connection.send(self._stream, grpc.write_message(frame))
        link.flush_soon()
        if not is_out:
            self._room = link.loop.create_future()
            try:
                await self._room
            finally:
                self._room = None

    async def _frames(self) -> AsyncIterator[bytes]:
        inbox = self._inbox
        while True:
            while not inbox:
                if self._is_ended:
                    return
                self._awaited = self._link.loop.create_future()
                try:
                    await self._awaited
                finally:
                    self._awaited = None
            is_compressed, message, owed = inbox.popleft()
            self._count_unread(-len(message) - grpc.PREFIX_SIZE_BYTES)
            self._give_back(owed)
            yield grpc.decompress(message, self._request.encoding) if is_compressed else message

    async def _serve_unary(self, method: UnaryMethod, message: bytes, is_compressed: bool) -> None:
        self._is_started = True
        try:
            call = await self._admit()
            if is_compressed:
                message = grpc.decompress(message, self._request.encoding)
            answer = await method.serve(message, call)
            _refuse_oversize(answer)
        except (Exception, asyncio.CancelledError) as error:
            self._failed(error)
        else:
            if not self._is_over:
                self._link.connection.answer(
                    self._stream, grpc.RESPONSE_HEADERS, grpc.write_message(answer), grpc.TRAILERS_OK
                )
                self._close()
        finally:
            self._let_go()

    async def _serve_server_stream(self, method: ServerStreamMethod, message: bytes, is_compressed: bool) -> None:
        self._is_started = True
        try:
            call = await self._admit_stream()
            if is_compressed:
                message = grpc.decompress(message, self._request.encoding)
            await method.serve(message, call, self.send)
        except (Exception, asyncio.CancelledError) as error:
            self._failed(error)
        else:
            self._succeeded()
        finally:
            self._let_go()

    async def _serve_bidi(self, method: BidiMethod) -> None:
        self._is_started = True
        try:
            await method.serve(self._frames(), await self._admit_stream(), self.send)
        except (Exception, asyncio.CancelledError) as error:
            self._failed(error)
        else:
            self._succeeded()
        finally:
            self._let_go()

    async def _admit(self) -> Call:
        request, link = self._request, self._link
        serving = link.serving
        method = self._method
        principal = NOBODY if method.is_public else await serving.authenticate(request.metadata)
        call = Call(request.path, request.metadata, link.peer, principal, serving.draining, link, self._deadline_at)
        if principal.token_id != link.token_id and serving.witness is not None and not method.is_public:
            link.token_id = principal.token_id
            serving.witness.token_used(call)
        if not principal.may_change and not method.is_reading and not method.is_public:
            error = PermissionDenied(
                f"this token only reads (its role is VIEWER), and {request.path} changes something"
            )
            if serving.witness is not None:
                serving.witness.refused(call, error)
            raise error
        return call

    async def _admit_stream(self) -> Call:
        """A stream outlives the check of its caller, so it is told when the answer changes."""
        call = await self._admit()
        watch = self._link.serving.watch
        if watch is not None and not self._is_over and not self._method.is_public:
            self._unwatch = watch(call.principal, self._on_distrust)
        return call

    def _succeeded(self) -> None:
        if not self._is_over:
            connection = self._link.connection
            if not self._has_opened:
                connection.finish(self._stream, grpc.EMPTY_RESPONSE)
            else:
                connection.finish(self._stream, grpc.TRAILERS_OK)
            self._close()

    def _failed(self, error: BaseException) -> None:
        if self._is_over:
            # Nobody is left to tell. Cleaning up after a cancellation may fail in its own way, which is no news.
            if not isinstance(error, asyncio.CancelledError | CallerGone):
                log.debug("rpc handler failed after its call was over", path=self._request.path, error=repr(error))
            return
        if isinstance(error, asyncio.CancelledError):
            self._write_status(GOING_AWAY)
        else:
            if statuses.is_unforeseen(error):
                log.error("rpc handler failed", path=self._request.path, exc_info=error)
            self._write_status(statuses.status_of(error))
        self._close()

    # The end -------------------------------------------------------------------------------------------------------

    def _write_status(self, error: RpcError) -> None:
        connection = self._link.connection
        size_bytes_max = self._link.trailers_size_bytes_max
        try:
            if self._has_opened:
                block = grpc.error_trailers(error, size_bytes_max)
            else:
                block = grpc.trailers_only(error, size_bytes_max)
        except ValueError as fault:
            log.error(
                "rpc handler gave trailing metadata that cannot be sent", path=self._request.path, error=str(fault)
            )
            self._write_status(RpcError(error.code, error.message))
            return
        connection.finish(self._stream, block)

    def _close(self) -> None:
        """The call is over. Its handler may still be at work."""
        self._is_over = True
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        if self._inbox:
            self._inbox.clear()
        if self._unread:
            self._count_unread(-self._unread)
        self._link.flush_soon()

    def _cancel(self) -> None:
        if self._task is None:
            self._let_go()
        elif not self._task.done():
            self._task.cancel()
            if not self._is_started:
                # A task that is cancelled before its first step never runs at all, not even its `finally`.
                self._let_go()

    def _let_go(self) -> None:
        self._link.call_let_go(self._stream.id)
        self._link.serving.call_let_go()

    # Windows -------------------------------------------------------------------------------------------------------

    def _keep(self, messages: list[tuple[bool, bytes]], size_bytes: int) -> None:
        for is_compressed, message in messages:
            size = grpc.PREFIX_SIZE_BYTES + len(message)
            self._inbox.append((is_compressed, message, size - self._ahead))
            self._ahead = 0
        self._count_unread(size_bytes)
        if self._link.unread_size_bytes > self._link.unread_size_bytes_max:
            self.end(_TOO_MUCH_UNREAD)
        else:
            self._give_back(0)

    def _give_back(self, size_bytes: int) -> None:
        """Lets the client send on: what was read, and, when nothing complete is left, the rest of what is incomplete.

        The latter because a message may be larger than the window, and nobody can read half of it.
        """
        if not self._inbox:
            partial = self._reader.partial_size_bytes
            size_bytes += partial - self._ahead
            self._ahead = partial
        if size_bytes:
            self._link.connection.consumed(self._stream, size_bytes)
            self._link.flush_soon()

    def _count_unread(self, growth: int) -> None:
        self._unread += growth
        self._link.unread_size_bytes += growth


def _refuse_oversize(frame: bytes) -> None:
    if len(frame) > SEND_SIZE_BYTES_MAX:
        raise RpcError(
            Code.RESOURCE_EXHAUSTED,
            f"the answer is {len(frame)} bytes, more than the {SEND_SIZE_BYTES_MAX} a client accepts; ask for less",
        )
