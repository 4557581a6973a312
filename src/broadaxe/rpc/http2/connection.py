"""One HTTP/2 connection, server's side, without I/O (RFC 9113 as far as gRPC needs it).

    receive(bytes, now) -> events          take_output() -> bytes to write
    open_response, send, finish, reset, consumed, ping, go_away            what the server wants to say

Owns the frame reader, the states of streams, both directions of flow control, what peers announced, and the meters
that tell a busy peer from a hostile one. Refuses: sockets, clocks (`now` is an argument), tasks, and the meaning of
headers and bodies.

**Streams.** A stream is in `streams` while either side may still send on it. The server ends its side with `finish`;
if the client has not ended its own by then, the stream is reset with NO_ERROR, which tells it to stop (section 8.1).
A stream that is not in the table and not above the highest id seen is closed. Three kinds of closed are told apart,
because the RFC answers each differently: we reset it (late frames are expected and ignored), its id was skipped and it
never lived (using it is a connection error), or it ended the ordinary way.

**Sending.** `send` writes at once if the stream's window, the connection's window and the socket have room; that is
the ordinary case and touches nothing else. What does not fit waits in the stream, and streams with something waiting
and an open window stand in one queue, from which each takes one frame in turn. So a stream that nobody reads costs its
own pending bytes and nobody else's time. The caller keeps pending bytes bounded by not sending again before
`take_drained` has named the stream; new requests are refused while `unsent_size_bytes_max` is exceeded all the same.

**Receiving.** The connection's window is restored as data arrives, so no stream can starve the others. A stream's own
window is restored only by `consumed`: that is how a slow handler slows its client down.

**Hostility.** Frames that cost us work and carry none (pings, settings, empty frames, frames for closed streams) and
resets are metered. Allowances are far above what any client does and grow back with time and with useful frames; who
exceeds them gets GOAWAY with ENHANCE_YOUR_CALM. Keepalive pings on an idle connection never come near.

Invariants: `receive` never raises, whatever the bytes; after `ConnectionEnded` it ignores everything; every `Stream` it
named in `RequestReceived` leaves through `finish`, `reset`, `StreamEnded` or `ConnectionEnded`, once.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, NoReturn, TypeAlias

import msgspec

from broadaxe.rpc.http2 import frames
from broadaxe.rpc.http2.frames import ErrorCode, Setting
from broadaxe.rpc.http2.headers import CompressionBroken, Head, HeaderDecoder, HeaderListTooLarge, Malformed

#: The output gathered from pending streams in one `take_output`, so that one call never runs long.
OUTPUT_SIZE_BYTES_MAX: Final = 256 * 1024
#: Frames we write are no larger than this, however large the peer would take them: streams take turns by the frame.
SENT_FRAME_SIZE_BYTES_MAX: Final = 64 * 1024

_HEADER_TABLE_SIZE_DEFAULT: Final = 4_096
#: The first byte of a header block that sets the dynamic table's size to nothing.
_TABLE_SIZE_UPDATE_TO_NOTHING: Final = b"\x20"

# Allowances, see "Hostility" above.
IDLE_FRAMES_MAX: Final = 5_000
IDLE_FRAMES_PER_S: Final = 100.0
IDLE_FRAMES_PER_USEFUL_FRAME: Final = 4
CONTINUATIONS_MAX: Final = 64
_REMEMBERED_RESETS_MAX: Final = 2_048
_REMEMBERED_GAPS_MAX: Final = 16


class Limits(msgspec.Struct, frozen=True):
    """What a peer may ask of one connection."""

    concurrent_streams_max: int = 10_000
    header_list_size_bytes_max: int = 64 * 1024
    stream_window_size_bytes: int = 512 * 1024
    connection_window_size_bytes: int = 16 * 1024 * 1024
    unsent_size_bytes_max: int = 64 * 1024 * 1024
    """Bytes handed to `send` that no window has let out yet. More, and new requests are refused."""
    unread_size_bytes_max: int = 128 * 1024 * 1024
    """Request bytes that wait for a handler or for the rest of their message. More, and the call that adds to them
    ends."""
    control_size_bytes_max: int = 4 * 1024 * 1024
    """Output that no window holds back (answers to pings, resets, trailers) for a peer that does not read."""

    @property
    def resets_max(self) -> int:
        """A client that goes down may cancel everything it has, at once."""
        return max(100, self.concurrent_streams_max)


class Stream:
    """One request and its response, as far as HTTP/2 knows."""

    __slots__ = (
        "closing",
        "content_length",
        "id",
        "is_local_closed",
        "is_remote_closed",
        "pending",
        "pending_at",
        "receive_window",
        "received_size_bytes",
        "send_window",
        "unannounced",
    )

    def __init__(self, stream_id: int, send_window: int, receive_window: int, content_length: int | None) -> None:
        self.id = stream_id
        self.send_window = send_window
        self.receive_window = receive_window
        self.unannounced = 0
        """Bytes consumed for which no WINDOW_UPDATE has been sent."""
        self.pending = b""
        self.pending_at = 0
        self.closing: bytes | None = None
        """The trailers that follow once nothing is pending; empty for none; None while the response goes on."""
        self.content_length = content_length
        self.received_size_bytes = 0
        self.is_remote_closed = False
        self.is_local_closed = False

    @property
    def pending_size_bytes(self) -> int:
        return len(self.pending) - self.pending_at


class RequestReceived(msgspec.Struct, frozen=True, gc=False):
    stream: Stream
    head: Head
    is_ended: bool


class DataReceived(msgspec.Struct, frozen=True, gc=False):
    """`data` may be empty when `is_ended`."""

    stream: Stream
    data: bytes
    is_ended: bool


class StreamEnded(msgspec.Struct, frozen=True, gc=False):
    """The stream is gone before its response was complete: the peer reset it, or we did because of what it sent."""

    stream: Stream
    code: int


class ConnectionEnded(msgspec.Struct, frozen=True, gc=False):
    """The peer broke the protocol. GOAWAY is in the output; nothing more will be read, and all streams are gone."""

    code: ErrorCode
    reason: str


Event: TypeAlias = RequestReceived | DataReceived | StreamEnded | ConnectionEnded


class _Broken(Exception):
    """The peer broke the protocol in a way that ends the connection."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Connection:
    """See the module's text. `writable` is the socket's word, set from outside: while it is False no body leaves."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.streams: dict[int, Stream] = {}
        self.writable = True
        self.has_ended = False
        self.is_going_away = False
        self.has_settings = False
        """Whether the peer has shown that it speaks HTTP/2."""
        self.headers = HeaderDecoder(limits.header_list_size_bytes_max)
        self.incomplete_since: float | None = None
        """Since when the peer owes the rest of a frame or of a head; one that is complete ends the wait."""
        self.trailers_size_bytes_max: int | None = None
        """The largest header list the peer accepts, if it said so."""

        self._out = bytearray()
        self._drained: list[Stream] = []
        self._events: list[Event] = []
        self._unread = b""
        self._has_preface = False
        self._last_stream_id = 0
        self._skipped: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED_GAPS_MAX)
        self._reset: OrderedDict[int, None] = OrderedDict()

        self._block: bytearray | None = None
        self._block_stream_id = 0
        self._block_is_last = False
        self._block_depends_on_itself = False
        self._block_continuations = 0

        self._ready: OrderedDict[int, Stream] = OrderedDict()
        self._unsent = 0
        self._send_window = frames.WINDOW_DEFAULT
        self._peer_stream_window = frames.WINDOW_DEFAULT
        self._frame_size = frames.FRAME_SIZE_BYTES_MIN
        self._block_prefix = b""

        self._receive_window = limits.connection_window_size_bytes
        self._unannounced = 0
        self._announce_at = limits.connection_window_size_bytes // 2
        self._announce_stream_at = limits.stream_window_size_bytes // 2

        self._now = now
        self._useful = 0
        self._idle = 0
        self._idle_since = now
        self._resets = 0
        self._resets_since = now

        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            frames.PRIORITY: self._on_priority,
            frames.RST_STREAM: self._on_rst_stream,
            frames.SETTINGS: self._on_settings,
            frames.PUSH_PROMISE: self._on_push_promise,
            frames.PING: self._on_ping,
            frames.GOAWAY: self._on_goaway,
            frames.WINDOW_UPDATE: self._on_window_update,
            frames.CONTINUATION: self._on_continuation,
        }
        self._out += frames.settings(
            (
                (Setting.MAX_CONCURRENT_STREAMS, limits.concurrent_streams_max),
                (Setting.INITIAL_WINDOW_SIZE, limits.stream_window_size_bytes),
                (Setting.MAX_HEADER_LIST_SIZE, limits.header_list_size_bytes_max),
            )
        )
        growth = limits.connection_window_size_bytes - frames.WINDOW_DEFAULT
        if growth > 0:
            self._out += frames.window_update(0, growth)

    # What the server says ------------------------------------------------------------------------------------------

    @property
    def output_size_bytes(self) -> int:
        return len(self._out)

    @property
    def has_output(self) -> bool:
        """Whether `take_output` would return anything now."""
        return bool(self._out) or (self.writable and self._send_window > 0 and bool(self._ready))

    @property
    def unsent_size_bytes(self) -> int:
        return self._unsent

    def take_output(self) -> bytearray:
        """Everything to be written, at most about `OUTPUT_SIZE_BYTES_MAX` of it bodies. Empty when there is nothing."""
        if self._ready and self.writable and self._send_window > 0:
            self._pump()
        output, self._out = self._out, bytearray()
        return output

    def take_drained(self) -> list[Stream]:
        """Streams whose pending bytes are all out, since the last time this was asked."""
        drained, self._drained = self._drained, []
        return drained

    def open_response(self, stream: Stream, block: bytes) -> None:
        """Response headers, by which the response is not ended."""
        if not stream.is_local_closed:
            self._write_headers(stream.id, block, ends_stream=False)

    def send(self, stream: Stream, data: bytes) -> bool:
        """A piece of the response's body. Whether it is out; if not, `take_drained` will name the stream once it is."""
        size = len(data)
        if stream.is_local_closed or not size:
            return True
        self._useful += 1
        if (
            size <= self._frame_size
            and size <= stream.send_window
            and size <= self._send_window
            and self.writable
            and not self._ready
            and not stream.pending
        ):
            stream.send_window -= size
            self._send_window -= size
            self._out += frames.FRAME_HEADER.pack(size >> 8, size & 0xFF, frames.DATA, 0, stream.id)
            self._out += data
            return True
        stream.pending = stream.pending[stream.pending_at :] + data if stream.pending else data
        stream.pending_at = 0
        self._unsent += size
        self._enqueue(stream)
        return False

    def finish(self, stream: Stream, trailers: bytes) -> None:
        """Ends the response with these trailers once the body is out; with none if they are empty."""
        if stream.is_local_closed or stream.closing is not None:
            return
        if stream.pending:
            stream.closing = trailers
            return
        if trailers:
            self._write_headers(stream.id, trailers, ends_stream=True)
        else:
            self._out += frames.frame(frames.DATA, frames.END_STREAM, stream.id)
        self._close_local(stream)

    def answer(self, stream: Stream, headers: bytes, body: bytes, trailers: bytes) -> None:
        """A whole response: the same as `open_response`, `send` and `finish`, and the shortest way for a small one."""
        size = len(body)
        stream_id = stream.id
        if (
            size > self._frame_size
            or size > stream.send_window
            or size > self._send_window
            or not self.writable
            or self._ready
            or self._block_prefix
            or stream.is_local_closed
            or stream.pending
            or stream.closing is not None
        ):
            self.open_response(stream, headers)
            self.send(stream, body)
            self.finish(stream, trailers)
            return
        self._useful += 1
        self._send_window -= size
        pack = frames.FRAME_HEADER.pack
        self._out += b"".join(
            (
                pack(0, len(headers), frames.HEADERS, frames.END_HEADERS, stream_id),
                headers,
                pack(size >> 8, size & 0xFF, frames.DATA, 0, stream_id),
                body,
                pack(0, len(trailers), frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream_id),
                trailers,
            )
        )
        self._close_local(stream)

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """Ends the stream at once; what is pending is dropped."""
        if not stream.is_local_closed:
            self._forget(stream)
            self._write_reset(stream.id, code)

    def consumed(self, stream: Stream, size_bytes: int) -> None:
        """The handler has taken this much of the request's body, padding aside: the client may send as much again."""
        stream.unannounced += size_bytes
        if stream.unannounced >= self._announce_stream_at and not (stream.is_remote_closed or stream.is_local_closed):
            self._out += frames.window_update(stream.id, stream.unannounced)
            stream.receive_window += stream.unannounced
            stream.unannounced = 0

    def ping(self, opaque: bytes) -> None:
        self._out += frames.ping(opaque, is_answer=False)

    def go_away(self) -> None:
        """No new streams from here on; those that are open may end in peace."""
        if not (self.is_going_away or self.has_ended):
            self.is_going_away = True
            self._out += frames.goaway(self._last_stream_id, ErrorCode.NO_ERROR, "the server is going away")

    # What the peer says --------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Takes bytes as they came from the socket. Never raises."""
        if self.has_ended:
            return []
        self._now = now
        events: list[Event] = []
        self._events = events
        buffer = self._unread + data if self._unread else data
        try:
            self._read(buffer)
            if self._block is None and not self._unread:
                self.incomplete_since = None
            elif self.incomplete_since is None or (self._block is None and len(self._unread) < len(buffer)):
                self.incomplete_since = now
            if len(self._out) > self.limits.control_size_bytes_max and not self.writable:
                _broken(ErrorCode.ENHANCE_YOUR_CALM, "the answers to your frames pile up unread")
        except _Broken as broken:
            self._out += frames.goaway(self._last_stream_id, broken.code, broken.reason)
            self.has_ended = True
            self._unread = b""
            self._block = None
            for stream in self.streams.values():
                stream.is_local_closed = stream.is_remote_closed = True
                stream.pending = b""
            self.streams.clear()
            self._ready.clear()
            self._unsent = 0
            events.append(ConnectionEnded(broken.code, broken.reason))
        return events

    def _read(self, buffer: bytes) -> None:
        at, size = 0, len(buffer)
        if not self._has_preface:
            preface = frames.PREFACE
            if size < len(preface):
                if not preface.startswith(buffer):
                    _broken(ErrorCode.PROTOCOL_ERROR, "this is not an HTTP/2 connection preface")
                self._unread = buffer
                return
            if not buffer.startswith(preface):
                _broken(ErrorCode.PROTOCOL_ERROR, "this is not an HTTP/2 connection preface")
            self._has_preface = True
            at = len(preface)
        unpack = frames.FRAME_HEADER.unpack_from
        while size - at >= 9:
            high, low, kind, flags, stream_id = unpack(buffer, at)
            length = high << 8 | low
            if length > frames.FRAME_SIZE_BYTES_MIN:
                _broken(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {length} bytes; at most 16384 were agreed on")
            start = at + 9
            end = start + length
            if end > size:
                break
            at = end
            stream_id &= 0x7FFFFFFF
            if self._block is not None and (kind != frames.CONTINUATION or stream_id != self._block_stream_id):
                _broken(ErrorCode.PROTOCOL_ERROR, "a header block was interrupted by another frame")
            if not self.has_settings and kind != frames.SETTINGS:
                _broken(ErrorCode.PROTOCOL_ERROR, "the first frame must be SETTINGS")
            if kind == frames.DATA:
                self._on_data(stream_id, flags, buffer, start, end)
            elif kind == frames.HEADERS:
                self._on_headers(stream_id, flags, buffer[start:end])
            else:
                handler = self._handlers.get(kind)
                if handler is None:
                    self._charge()
                else:
                    handler(stream_id, flags, buffer[start:end])
        self._unread = buffer[at:] if at < size else b""

    def _on_data(self, stream_id: int, flags: int, buffer: bytes, start: int, end: int) -> None:
        length = end - start
        self._receive_window -= length
        if self._receive_window < 0:
            _broken(ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection's window allows")
        self._unannounced += length
        if self._unannounced >= self._announce_at:
            self._out += frames.window_update(0, self._unannounced)
            self._receive_window += self._unannounced
            self._unannounced = 0
        stream = self.streams.get(stream_id)
        if stream is None or stream.is_remote_closed:
            self._on_data_after_end(stream_id, stream)
            return
        stream.receive_window -= length
        if stream.receive_window < 0:
            self._fail(stream, ErrorCode.FLOW_CONTROL_ERROR)
            return
        if flags & frames.PADDED:
            if not length or (padding := buffer[start] + 1) > length:
                _broken(ErrorCode.PROTOCOL_ERROR, "padding longer than its DATA frame")
            data = buffer[start + 1 : end - padding + 1]
            self.consumed(stream, padding)
        else:
            data = buffer[start:end]
        is_ended = bool(flags & frames.END_STREAM)
        if data:
            self._useful += 1
        elif not is_ended:
            self._charge()
            return
        stream.received_size_bytes += len(data)
        if stream.content_length is not None and (
            stream.received_size_bytes > stream.content_length
            or (is_ended and stream.received_size_bytes != stream.content_length)
        ):
            self._fail(stream, ErrorCode.PROTOCOL_ERROR)
            return
        if is_ended:
            stream.is_remote_closed = True
        self._events.append(DataReceived(stream, data, is_ended))

    def _on_data_after_end(self, stream_id: int, stream: Stream | None) -> None:
        if self._is_idle(stream_id):
            _broken(ErrorCode.PROTOCOL_ERROR, "DATA on a stream that was never opened")
        self._charge()
        if stream is not None:
            self._fail(stream, ErrorCode.STREAM_CLOSED)
        elif stream_id not in self._reset and not self._is_beyond_goaway(stream_id):
            self._write_reset(stream_id, ErrorCode.STREAM_CLOSED)

    def _on_headers(self, stream_id: int, flags: int, payload: bytes) -> None:
        if stream_id == 0:
            _broken(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0")
        depends_on_itself = False
        if flags & (frames.PADDED | frames.PRIORITISED):
            at, end = 0, len(payload)
            if flags & frames.PADDED:
                if not end:
                    _broken(ErrorCode.FRAME_SIZE_ERROR, "a padded HEADERS frame without a padding length")
                end -= payload[0]
                at = 1
            if flags & frames.PRIORITISED:
                depends_on_itself = int.from_bytes(payload[at : at + 4], "big") & 0x7FFFFFFF == stream_id
                at += 5
            if at > end:
                _broken(ErrorCode.PROTOCOL_ERROR, "padding longer than its HEADERS frame")
            payload = payload[at:end]
        is_last = bool(flags & frames.END_STREAM)
        if flags & frames.END_HEADERS:
            self._on_block(stream_id, payload, is_last, depends_on_itself)
        else:
            self._block = bytearray(payload)
            self._block_stream_id = stream_id
            self._block_is_last = is_last
            self._block_depends_on_itself = depends_on_itself
            self._block_continuations = 0

    def _on_continuation(self, stream_id: int, flags: int, payload: bytes) -> None:
        block = self._block
        if block is None:
            _broken(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS before it")
        block += payload
        self._block_continuations += 1
        if len(block) > self.limits.header_list_size_bytes_max or self._block_continuations > CONTINUATIONS_MAX:
            _broken(ErrorCode.ENHANCE_YOUR_CALM, "a header block without end")
        if flags & frames.END_HEADERS:
            self._block = None
            self._on_block(stream_id, bytes(block), self._block_is_last, self._block_depends_on_itself)

    def _on_block(self, stream_id: int, block: bytes, is_last: bool, depends_on_itself: bool) -> None:
        try:
            if stream_id > self._last_stream_id and stream_id & 1:
                self._on_request(stream_id, self.headers.request(block), is_last, depends_on_itself)
            else:
                self._on_later_block(stream_id, block, is_last)
        except HeaderListTooLarge as error:
            _broken(ErrorCode.ENHANCE_YOUR_CALM, str(error))
        except CompressionBroken as error:
            _broken(ErrorCode.COMPRESSION_ERROR, str(error))

    def _on_request(self, stream_id: int, head: Head | Malformed, is_last: bool, depends_on_itself: bool) -> None:
        if self.is_going_away:
            # It is beyond the id that GOAWAY named: the client knows that it was not looked at.
            self._charge()
            return
        if stream_id > self._last_stream_id + 2:
            self._skipped.append((self._last_stream_id + 1, stream_id - 1))
        self._last_stream_id = stream_id
        if isinstance(head, Malformed) or depends_on_itself:
            self._charge()
            self._write_reset(stream_id, ErrorCode.PROTOCOL_ERROR)
            return
        if is_last and head.content_length:
            self._charge()
            self._write_reset(stream_id, ErrorCode.PROTOCOL_ERROR)
            return
        if len(self.streams) >= self.limits.concurrent_streams_max or self._unsent > self.limits.unsent_size_bytes_max:
            self._charge()
            self._write_reset(stream_id, ErrorCode.REFUSED_STREAM)
            return
        self._useful += 1
        stream = Stream(stream_id, self._peer_stream_window, self.limits.stream_window_size_bytes, head.content_length)
        stream.is_remote_closed = is_last
        self.streams[stream_id] = stream
        self._events.append(RequestReceived(stream, head, is_last))

    def _on_later_block(self, stream_id: int, block: bytes, is_last: bool) -> None:
        """A header block that opens no stream: trailers, or a mistake. It is decoded in any case, for the table."""
        fault = self.headers.trailers(block)
        if not stream_id & 1:
            _broken(ErrorCode.PROTOCOL_ERROR, "clients open streams with odd numbers")
        stream = self.streams.get(stream_id)
        if stream is None:
            if stream_id in self._reset:
                self._charge()
                return
            if any(first <= stream_id <= last for first, last in self._skipped):
                _broken(ErrorCode.PROTOCOL_ERROR, "a new stream's number must be higher than all before")
            _broken(ErrorCode.STREAM_CLOSED, "HEADERS on a stream that has ended")
        if stream.is_remote_closed:
            self._fail(stream, ErrorCode.STREAM_CLOSED)
        elif fault is not None or not is_last or stream.content_length not in (None, stream.received_size_bytes):
            self._fail(stream, ErrorCode.PROTOCOL_ERROR)
        else:
            stream.is_remote_closed = True
            self._events.append(DataReceived(stream, b"", True))

    def _on_priority(self, stream_id: int, flags: int, payload: bytes) -> None:
        if stream_id == 0:
            _broken(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0")
        if len(payload) != 5:
            _broken(ErrorCode.FRAME_SIZE_ERROR, "a PRIORITY frame has five bytes")
        self._charge()
        if int.from_bytes(payload[:4], "big") & 0x7FFFFFFF == stream_id:
            # Priorities are obsolete and ignored, but this was never allowed.
            stream = self.streams.get(stream_id)
            if stream is not None:
                self._fail(stream, ErrorCode.PROTOCOL_ERROR)
            else:
                _broken(ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself")

    def _on_rst_stream(self, stream_id: int, flags: int, payload: bytes) -> None:
        if len(payload) != 4:
            _broken(ErrorCode.FRAME_SIZE_ERROR, "an RST_STREAM frame has four bytes")
        if stream_id == 0 or self._is_idle(stream_id):
            _broken(ErrorCode.PROTOCOL_ERROR, "RST_STREAM on a stream that was never opened")
        stream = self.streams.get(stream_id)
        if stream is None:
            self._charge()
            return
        self._charge_reset()
        self._forget(stream)
        self._events.append(StreamEnded(stream, int.from_bytes(payload, "big")))

    def _on_settings(self, stream_id: int, flags: int, payload: bytes) -> None:
        if stream_id != 0:
            _broken(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & frames.ACK:
            if payload:
                _broken(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS is empty")
            if not self.has_settings:
                _broken(ErrorCode.PROTOCOL_ERROR, "the first frame must be SETTINGS")
            self._charge()
            return
        if len(payload) % 6:
            _broken(ErrorCode.FRAME_SIZE_ERROR, "a SETTINGS frame has six bytes per setting")
        if self.has_settings:
            # Each may touch every stream.
            self._charge(1 + len(self.streams) // 64)
        self.has_settings = True
        stream_window = self._peer_stream_window
        for at in range(0, len(payload), 6):
            key, value = int.from_bytes(payload[at : at + 2], "big"), int.from_bytes(payload[at + 2 : at + 6], "big")
            if key == Setting.INITIAL_WINDOW_SIZE:
                if value > frames.WINDOW_MAX:
                    _broken(ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE above 2^31-1")
                stream_window = value
            elif key == Setting.MAX_FRAME_SIZE:
                if not frames.FRAME_SIZE_BYTES_MIN <= value <= frames.FRAME_SIZE_BYTES_MAX:
                    _broken(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE out of its range")
                self._frame_size = min(value, SENT_FRAME_SIZE_BYTES_MAX)
            elif key == Setting.ENABLE_PUSH:
                if value > 1:
                    _broken(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1")
            elif key == Setting.MAX_HEADER_LIST_SIZE:
                self.trailers_size_bytes_max = value
            elif key == Setting.HEADER_TABLE_SIZE and value < _HEADER_TABLE_SIZE_DEFAULT:
                # Our blocks use no table, but the next one has to say so (RFC 7541, section 4.2).
                self._block_prefix = _TABLE_SIZE_UPDATE_TO_NOTHING
        self._resize_stream_windows(stream_window - self._peer_stream_window)
        self._peer_stream_window = stream_window
        self._out += frames.SETTINGS_ACK

    def _resize_stream_windows(self, growth: int) -> None:
        if growth == 0:
            return
        for stream in self.streams.values():
            stream.send_window += growth
            if stream.send_window > frames.WINDOW_MAX:
                _broken(ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE makes a stream's window too large")
            self._enqueue(stream)

    def _on_push_promise(self, stream_id: int, flags: int, payload: bytes) -> None:
        _broken(ErrorCode.PROTOCOL_ERROR, "a client cannot push")

    def _on_ping(self, stream_id: int, flags: int, payload: bytes) -> None:
        if stream_id != 0:
            _broken(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            _broken(ErrorCode.FRAME_SIZE_ERROR, "a PING frame has eight bytes")
        self._charge()
        if not flags & frames.ACK:
            self._out += frames.ping(payload, is_answer=True)

    def _on_goaway(self, stream_id: int, flags: int, payload: bytes) -> None:
        # The client will open no more streams. Those that are open are served as ever.
        if stream_id != 0:
            _broken(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            _broken(ErrorCode.FRAME_SIZE_ERROR, "a GOAWAY frame has at least eight bytes")
        self._charge()

    def _on_window_update(self, stream_id: int, flags: int, payload: bytes) -> None:
        if len(payload) != 4:
            _broken(ErrorCode.FRAME_SIZE_ERROR, "a WINDOW_UPDATE frame has four bytes")
        increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
        self._charge()
        if stream_id == 0:
            if not increment:
                _broken(ErrorCode.PROTOCOL_ERROR, "a WINDOW_UPDATE by nothing")
            self._send_window += increment
            if self._send_window > frames.WINDOW_MAX:
                _broken(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window is beyond 2^31-1")
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            if self._is_idle(stream_id):
                _broken(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that was never opened")
            return
        if not increment:
            self._fail(stream, ErrorCode.PROTOCOL_ERROR)
            return
        stream.send_window += increment
        if stream.send_window > frames.WINDOW_MAX:
            self._fail(stream, ErrorCode.FLOW_CONTROL_ERROR)
        else:
            self._enqueue(stream)

    # Inside --------------------------------------------------------------------------------------------------------

    def _is_idle(self, stream_id: int) -> bool:
        """Whether nobody can have sent on it yet. Streams of even number are the server's, and it opens none."""
        if not stream_id & 1:
            return True
        return stream_id > self._last_stream_id and not self.is_going_away

    def _is_beyond_goaway(self, stream_id: int) -> bool:
        return self.is_going_away and stream_id > self._last_stream_id

    def _enqueue(self, stream: Stream) -> None:
        if stream.pending and stream.send_window > 0:
            self._ready[stream.id] = stream

    def _pump(self) -> None:
        """Writes bodies that waited: one frame of each ready stream in turn, while the connection's window lasts."""
        ready, budget = self._ready, OUTPUT_SIZE_BYTES_MAX
        while ready and budget > 0 and self._send_window > 0:
            _, stream = ready.popitem(last=False)
            size = min(stream.pending_size_bytes, stream.send_window, self._send_window, self._frame_size)
            if size <= 0:  # Its window shrank while it stood in the queue.
                continue
            at = stream.pending_at
            self._out += frames.FRAME_HEADER.pack(size >> 8, size & 0xFF, frames.DATA, 0, stream.id)
            self._out += memoryview(stream.pending)[at : at + size]
            stream.pending_at = at + size
            stream.send_window -= size
            self._send_window -= size
            self._unsent -= size
            self._useful += 1
            budget -= size
            if stream.pending_size_bytes:
                self._enqueue(stream)
                continue
            stream.pending, stream.pending_at = b"", 0
            if stream.closing is None:
                self._drained.append(stream)
            else:
                trailers, stream.closing = stream.closing, None
                self.finish(stream, trailers)

    def _write_headers(self, stream_id: int, block: bytes, *, ends_stream: bool) -> None:
        if self._block_prefix:
            block, self._block_prefix = self._block_prefix + block, b""
        self._out += frames.headers(
            stream_id, block, ends_stream=ends_stream, frame_size_bytes_max=frames.FRAME_SIZE_BYTES_MIN
        )

    def _write_reset(self, stream_id: int, code: int) -> None:
        self._out += frames.rst_stream(stream_id, code)
        self._reset[stream_id] = None
        if len(self._reset) > _REMEMBERED_RESETS_MAX:
            self._reset.popitem(last=False)

    def _close_local(self, stream: Stream) -> None:
        self._forget(stream)
        if not stream.is_remote_closed:
            self._write_reset(stream.id, ErrorCode.NO_ERROR)

    def _fail(self, stream: Stream, code: ErrorCode) -> None:
        # A client that makes us reset its streams gets no further than one that resets them itself.
        self._charge_reset()
        self._forget(stream)
        self._write_reset(stream.id, code)
        self._events.append(StreamEnded(stream, code))

    def _forget(self, stream: Stream) -> None:
        stream.is_local_closed = True
        if stream.pending:
            self._unsent -= stream.pending_size_bytes
            stream.pending, stream.pending_at = b"", 0
            self._ready.pop(stream.id, None)
        self.streams.pop(stream.id, None)

    def _charge(self, cost: int = 1) -> None:
        """A frame that was work and brought none."""
        self._idle += cost
        if self._idle > IDLE_FRAMES_MAX:
            allowed = (self._now - self._idle_since) * IDLE_FRAMES_PER_S + self._useful * IDLE_FRAMES_PER_USEFUL_FRAME
            self._idle = max(0, self._idle - int(allowed))
            self._idle_since = self._now
            self._useful = 0
            if self._idle > IDLE_FRAMES_MAX:
                _broken(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that carry nothing")

    def _charge_reset(self) -> None:
        """A request that was called off: cheap to send, and its handler was started for nothing."""
        self._resets += 1
        resets_max = self.limits.resets_max
        if self._resets > resets_max:
            self._resets = max(0, self._resets - int((self._now - self._resets_since) * resets_max / 10))
            self._resets_since = self._now
            if self._resets > resets_max:
                _broken(ErrorCode.ENHANCE_YOUR_CALM, "too many requests called off")


def _broken(code: ErrorCode, reason: str) -> NoReturn:
    raise _Broken(code, reason)
