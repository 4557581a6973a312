"""One client's socket: an asyncio protocol round a `connection.Connection`.

Owns the transport, the calls of one connection, writing (everything that one pass of the loop produced goes out in one
`write`), and the timers that notice a client which never spoke, does not finish what it begins, or has vanished.
Refuses: frames, gRPC, statuses.

Invariants: what waits for a socket is bounded (`Limits`), and `send` of every call waits while the socket is full; a
connection that is lost cancels every handler it had; a connection that is draining closes once its last call is done;
of one connection at most `BEGUN_AT_ONCE_MAX` calls are begun in one pass of the loop, and while others wait for theirs
nothing more is read from it. One read brings thousands of small calls, a client that floods sends one read after the
other, and everybody else would wait for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import structlog

from broadaxe.rpc.http2 import grpc
from broadaxe.rpc.http2.calls import ServerCall, Serving
from broadaxe.rpc.http2.connection import (
    Connection,
    ConnectionEnded,
    DataReceived,
    Limits,
    RequestReceived,
    Stream,
    StreamEnded,
)
from broadaxe.rpc.http2.frames import ErrorCode
from broadaxe.rpc.transport import Code, RpcError

if TYPE_CHECKING:
    from broadaxe.rpc.http2.carrier import Http2Carrier

log = structlog.get_logger(__name__)

#: How long a new connection may take to show that it speaks HTTP/2.
HANDSHAKE_S: Final = 20.0
#: After this long without a byte from the client we ask whether it is still there, and give it so long to answer.
KEEPALIVE_S: Final = 30.0
KEEPALIVE_TIMEOUT_S: Final = 20.0
#: How long one frame or head may take to arrive, and the one message of a call that is no stream of them. The timer for
#: quiet clients looks at them, so it may be `KEEPALIVE_S` more.
INCOMPLETE_S: Final = 30.0
REQUEST_S: Final = 60.0
#: How long a connection may go without a single request.
FIRST_REQUEST_S: Final = 120.0
#: How long a client may take to read the last bytes and close its side.
CLOSING_S: Final = 2.0

#: A timer that rings so much later than it should says that we stood still (SIGSTOP, a starved machine). What clients
#: said meanwhile waits in their sockets, and after so long it has been read.
LATE_S: Final = 3.0
READ_AFTER_S: Final = 1.0

#: A few milliseconds of work, and enough for the rounds of a tenant to stay full.
BEGUN_AT_ONCE_MAX: Final = 128

#: The socket's buffer above which it counts as full.
_WRITE_BUFFER_SIZE_BYTES: Final = 256 * 1024
#: Output that is not left to gather any longer.
_FLUSH_AT_SIZE_BYTES: Final = 64 * 1024
#: A request body that nobody will read is taken in up to here before it is answered.
_UNWANTED_BODY_SIZE_BYTES_MAX: Final = 64 * 1024

_HTTP_1: Final = re.compile(rb"[A-Z]{3,8} [^ \r\n]{1,8000} HTTP/1\.[01]\r?\n")
_TLS_HELLO: Final = b"\x16\x03"
_HTTP_1_TEXT: Final = b"This port speaks gRPC over HTTP/2. Point an SDK at it; people use the HTTP port.\n"
_HTTP_1_ANSWER: Final = (
    b"HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_HTTP_1_TEXT), _HTTP_1_TEXT)
)


class Link(asyncio.Protocol):
    """See the module's text. Made by the carrier for every connection that is accepted."""

    def __init__(
        self, carrier: Http2Carrier, serving: Serving, limits: Limits, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.serving = serving
        self.loop = loop
        self.connection = Connection(limits, loop.time())
        self.peer = "unknown"
        self.token_id = ""
        """Of the last token that was new to this connection."""
        self.unread_size_bytes = 0
        """Request bytes of this connection that wait for a handler, or for the rest of their message."""
        self.unread_size_bytes_max = limits.unread_size_bytes_max
        self._carrier = carrier
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._calls: dict[int, ServerCall] = {}
        self._unwanted: dict[int, grpc.NotGrpc] = {}
        """Requests that are not gRPC, to be answered when they have ended."""
        self._to_begin: deque[ServerCall] = deque()
        """Calls whose one message is there, and that wait for the next pass of the loop; nothing is read meanwhile."""
        self._begun = 0
        """How many were begun in this pass."""
        self._is_flush_due = False
        self._is_closing = False
        self.read_at = 0.0
        """When the client was last heard, on the loop's clock."""
        self._made_at = 0.0
        self._has_asked = False
        self._asked_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._check_at = 0.0
        """When the timer should ring."""

    @property
    def trailers_size_bytes_max(self) -> int:
        announced = self.connection.trailers_size_bytes_max
        # C-core refuses at random between half of what it announces and all of it.
        return grpc.TRAILERS_SIZE_BYTES_DEFAULT if announced is None else min(announced // 2, 64 * 1024)

    # What asyncio says ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER_SIZE_BYTES)
        self.peer = _peer(transport.get_extra_info("peername"))
        if not self._carrier.admits(self):
            self._transport.abort()
            return
        tls = transport.get_extra_info("ssl_object")
        if isinstance(tls, ssl.SSLObject | ssl.SSLSocket) and tls.selected_alpn_protocol() != "h2":
            log.debug("a TLS client did not ask for HTTP/2", peer=self.peer)
            self._transport.abort()
            return
        self.read_at = self._made_at = self.loop.time()
        self._check_in(HANDSHAKE_S)
        # Our SETTINGS wait for the client's first bytes, which come at once, in case it turns out to be a browser.

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            return
        self.read_at = now = self.loop.time()
        connection = self.connection
        for event in connection.receive(data, now):
            # In the order of how often they come.
            if isinstance(event, RequestReceived):
                self._on_request(event)
            elif isinstance(event, DataReceived):
                call = self._calls.get(event.stream.id)
                if call is not None:
                    call.receive(event.data, event.is_ended)
                elif event.stream.id in self._unwanted:
                    self._on_unwanted(event.stream, event.is_ended)
            elif isinstance(event, StreamEnded):
                self._unwanted.pop(event.stream.id, None)
                call = self._calls.get(event.stream.id)
                if call is not None:
                    call.caller_left()
            else:
                self._on_broken(event, data)
                return
        if connection.has_output:
            self.flush()

    def eof_received(self) -> bool:
        return False  # Close. A gRPC client that has nothing more to say has nobody to hear the answers.

    def pause_writing(self) -> None:
        self.connection.writable = False

    def resume_writing(self) -> None:
        self.connection.writable = True
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closing = True
        if self._timer is not None:
            self._timer.cancel()
        for call in list(self._calls.values()):
            call.caller_left()
        self._to_begin.clear()
        self._unwanted.clear()
        self._carrier.link_lost(self)

    # What calls and the carrier say --------------------------------------------------------------------------------

    def begin_in_turn(self, call: ServerCall) -> None:
        """Begins its handler in this pass of the loop, or in one of the next."""
        if not self._begun:
            self.loop.call_soon(self._next_turn)
        if self._begun < BEGUN_AT_ONCE_MAX:
            self._begun += 1
            call.begin_handler()
            return
        if not self._to_begin:
            self._set_reading(False)
        self._to_begin.append(call)

    def flush_soon(self) -> None:
        """Lets output gather until this pass of the loop is through."""
        if not self._is_flush_due:
            if self.connection.output_size_bytes >= _FLUSH_AT_SIZE_BYTES:
                self.flush()
            elif not self._is_closing:
                self._is_flush_due = True
                self.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Writes what there is, as far as the socket takes it."""
        self._is_flush_due = False
        connection, transport = self.connection, self._transport
        if transport is None:
            return
        while connection.writable and (output := connection.take_output()):
            if not transport.is_closing():
                transport.write(output)
        for stream in connection.take_drained():
            call = self._calls.get(stream.id)
            if call is not None:
                call.room_opened()
        if connection.is_going_away and not (self._calls or connection.streams or self._is_closing):
            self.close()

    def call_let_go(self, stream_id: int) -> None:
        del self._calls[stream_id]
        if self.connection.is_going_away and not self._calls:
            self.flush_soon()

    def go_away(self) -> None:
        """Refuses new calls; closes when those that are open are done."""
        self.connection.go_away()
        self.flush()

    def end_calls(self, error: RpcError) -> int:
        """Ends every call that is still open, and says how many those were."""
        calls = list(self._calls.values())
        for call in calls:
            call.end(error)
        self.flush()
        return len(calls)

    def close(self) -> None:
        """Closes once the client has taken what was written and has closed too; cuts the line if it does not.

        Closing a socket while bytes of the client lie unread in it resets the connection, and what the client has not
        read by then is lost to it: a status of OK, say. So only our side is closed, and its last bytes are read.
        """
        if self._is_closing or self._transport is None:
            return
        if self._to_begin:
            # Their bytes are in. What comes now has to be read for its end to be seen.
            self._set_reading(True)
        self._is_closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(CLOSING_S, self.abort)
        if self._transport.can_write_eof() and not self._transport.is_closing():
            with contextlib.suppress(OSError):  # The client has closed, and we are about to learn of it.
                self._transport.write_eof()
                return
        self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Inside --------------------------------------------------------------------------------------------------------

    def _on_request(self, event: RequestReceived) -> None:
        self._has_asked = True
        stream, connection = event.stream, self.connection
        request = event.head.request or grpc.read_request(event.head)
        method = self.serving.methods.get(request.path)
        fault = request.fault
        if fault is None and method is not None:
            if len(self._calls) >= self._limits.concurrent_streams_max:
                # Handlers that were cancelled and have not let go count: calling off must not make room for more.
                connection.reset(stream, ErrorCode.REFUSED_STREAM)
                return
            call = self._calls[stream.id] = ServerCall(self, stream, request, method)
            call.begin(event.is_ended)
        elif isinstance(fault, grpc.NotGrpc):
            self._unwanted[stream.id] = fault
            self._on_unwanted(stream, event.is_ended)
        else:
            if fault is None:
                fault = RpcError(Code.UNIMPLEMENTED, f"there is no method {request.path[:200]}")
            connection.finish(stream, grpc.trailers_only(fault, self.trailers_size_bytes_max))

    def _next_turn(self) -> None:
        waiting, self._begun = self._to_begin, 0
        if not waiting:
            return
        for _ in range(min(BEGUN_AT_ONCE_MAX, len(waiting))):
            waiting.popleft().begin_handler()
        self._begun = BEGUN_AT_ONCE_MAX
        self.loop.call_soon(self._next_turn)
        if not waiting:
            self._set_reading(True)

    def _set_reading(self, is_on: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or self._is_closing:
            return
        if is_on:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def _on_unwanted(self, stream: Stream, is_ended: bool) -> None:
        if is_ended or stream.received_size_bytes > _UNWANTED_BODY_SIZE_BYTES_MAX:
            headers, body = grpc.plain_response(self._unwanted.pop(stream.id))
            self.connection.open_response(stream, headers)
            self.connection.send(stream, body)
            self.connection.finish(stream, b"")

    def _on_broken(self, event: ConnectionEnded, data: bytes) -> None:
        level = log.warning if event.code is ErrorCode.ENHANCE_YOUR_CALM else log.debug
        level("a gRPC client broke the protocol", peer=self.peer, code=event.code.name, reason=event.reason)
        transport = self._transport
        assert transport is not None, "bytes came from somewhere"
        output = self.connection.take_output()
        if not self.connection.has_settings:
            if data.startswith(_TLS_HELLO):
                self._carrier.warn_of_tls(self.peer)
            elif _HTTP_1.match(data):
                output = bytearray(_HTTP_1_ANSWER)
        transport.write(output)
        for call in list(self._calls.values()):
            call.caller_left()
        self.close()

    def _check_in(self, delay_s: float) -> None:
        self._check_at = self.loop.time() + delay_s
        self._timer = self.loop.call_later(delay_s, self._on_check)

    def _on_check(self) -> None:
        """One timer per connection, moved on when there was traffic: nothing is done per frame but noting the time."""
        now = self.loop.time()
        if now - self._check_at > LATE_S:
            self._check_in(READ_AFTER_S)
            return
        if not self.connection.has_settings:
            log.debug("a client connected and did not speak HTTP/2 in time", peer=self.peer)
            self.abort()
            return
        if self._asked_at is not None and self.read_at < self._asked_at:
            log.debug("a client does not answer pings", peer=self.peer)
            self.abort()
            return
        if not self._is_getting_on(now):
            return
        self._asked_at = None
        due_in_s = KEEPALIVE_S - (now - self.read_at)
        if due_in_s <= 0:
            self._asked_at = now
            self.connection.ping(b"broadaxe")
            self.flush()
            due_in_s = KEEPALIVE_TIMEOUT_S
        self._check_in(due_in_s)

    def _is_getting_on(self, now: float) -> bool:
        """Whether the client finishes what it begins; parts with one that does not, or that wants nothing."""
        since = self.connection.incomplete_since
        if since is not None and now - since >= INCOMPLETE_S:
            log.debug("a client did not finish what it began to send", peer=self.peer)
            self.abort()
            return False
        if not self._has_asked and now - self._made_at >= FIRST_REQUEST_S:
            # It connects again when it has something to ask.
            log.debug("a client connected and asked nothing", peer=self.peer)
            self.go_away()
            return False
        for call in list(self._calls.values()):
            call.end_if_owed_since(now - REQUEST_S)
        return True


def _peer(address: object) -> str:
    """A socket's address in the form gRPC logs use."""
    match address:
        case (str() as host, int() as port):
            return f"ipv4:{host}:{port}"
        case (str() as host, int() as port, _, _):
            return f"ipv6:[{host}]:{port}"
        case _:
            return "unknown"
