"""The sans-I/O core, frame by frame, without sockets or clocks."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from broadaxe.rpc.http2 import frames
from broadaxe.rpc.http2.connection import (
    IDLE_FRAMES_MAX,
    Connection,
    ConnectionEnded,
    DataReceived,
    Event,
    Limits,
    RequestReceived,
    Stream,
    StreamEnded,
)
from broadaxe.rpc.http2.frames import ErrorCode, Setting
from broadaxe.rpc.http2.headers import write_block

REQUEST = write_block([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/s/m")])
RESPONSE = write_block([(b":status", b"200")])
TRAILERS = write_block([(b"grpc-status", b"0")])
SMALL = Limits(concurrent_streams_max=3, stream_window_size_bytes=1_000, connection_window_size_bytes=100_000)


@dataclass(frozen=True)
class Frame:
    kind: int
    flags: int
    stream_id: int
    payload: bytes


def read(output: bytes | bytearray) -> list[Frame]:
    found, at = [], 0
    while at < len(output):
        high, low, kind, flags, stream_id = frames.FRAME_HEADER.unpack_from(output, at)
        end = at + 9 + (high << 8 | low)
        found.append(Frame(kind, flags, stream_id, bytes(output[at + 9 : end])))
        at = end
    assert at == len(output)
    return found


class Peer:
    """A client that has shaken hands with a connection, and a clock in its hand."""

    def __init__(self, limits: Limits = SMALL, **announced: int) -> None:
        self.now = 0.0
        self.connection = Connection(limits, self.now)
        self.tell(frames.PREFACE + frames.settings((Setting[name], value) for name, value in announced.items()))
        self.hear()

    def tell(self, data: bytes) -> list[Event]:
        return self.connection.receive(data, self.now)

    def hear(self) -> list[Frame]:
        return read(self.connection.take_output())

    def request(self, stream_id: int = 1, *, ended: bool = False, block: bytes = REQUEST) -> Stream:
        (event,) = self.tell(headers(stream_id, block, ended=ended))
        assert isinstance(event, RequestReceived)
        return event.stream

    def broken(self, data: bytes) -> ErrorCode:
        """The code with which the connection ends because of `data`; GOAWAY must say the same."""
        event = self.tell(data)[-1]
        assert isinstance(event, ConnectionEnded), event
        goaway = self.hear()[-1]
        assert goaway.kind == frames.GOAWAY
        assert struct.unpack(">L", goaway.payload[4:8])[0] == event.code
        assert goaway.payload[8:].decode() == event.reason
        assert self.tell(frames.ping(b"12345678", is_answer=False)) == []
        assert self.hear() == []
        return event.code

    def reset(self, data: bytes) -> ErrorCode:
        """The code with which a stream ends because of `data`."""
        self.tell(data)
        (reset,) = [frame for frame in self.hear() if frame.kind == frames.RST_STREAM]
        return ErrorCode(int.from_bytes(reset.payload, "big"))


def headers(stream_id: int, block: bytes = REQUEST, *, ended: bool = False) -> bytes:
    return frames.headers(stream_id, block, ends_stream=ended, frame_size_bytes_max=16_384)


def data(stream_id: int, payload: bytes, *, ended: bool = False) -> bytes:
    return frames.frame(frames.DATA, frames.END_STREAM if ended else 0, stream_id, payload)


# Opening -------------------------------------------------------------------------------------------------------------


def test_server_speaks_first_and_acknowledges_settings() -> None:
    connection = Connection(SMALL, 0.0)
    settings, growth = read(connection.take_output())
    assert (settings.kind, growth.kind) == (frames.SETTINGS, frames.WINDOW_UPDATE)
    connection.receive(frames.PREFACE + frames.settings([]), 0.0)
    assert read(connection.take_output()) == [Frame(frames.SETTINGS, frames.ACK, 0, b"")]


def test_session_may_arrive_byte_by_byte() -> None:
    session = frames.PREFACE + frames.settings([]) + headers(1) + data(1, b"hello", ended=True)
    connection, events = Connection(SMALL, 0.0), []
    for at in range(len(session)):
        events += connection.receive(session[at : at + 1], 0.0)
    request, body = events
    assert isinstance(request, RequestReceived) and request.head.path == b"/s/m" and not request.is_ended
    assert isinstance(body, DataReceived) and (body.data, body.is_ended) == (b"hello", True)


@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"]
)
def test_anything_but_the_preface_ends_the_connection(start: bytes) -> None:
    connection = Connection(SMALL, 0.0)
    (event,) = connection.receive(start, 0.0)
    assert isinstance(event, ConnectionEnded) and event.code is ErrorCode.PROTOCOL_ERROR


def test_first_frame_must_be_settings() -> None:
    connection = Connection(SMALL, 0.0)
    (event,) = connection.receive(frames.PREFACE + frames.ping(b"12345678", is_answer=False), 0.0)
    assert isinstance(event, ConnectionEnded)


# Answers -------------------------------------------------------------------------------------------------------------


def test_whole_answer_is_three_frames_and_ends_the_stream() -> None:
    peer = Peer()
    stream = peer.request(ended=True)
    peer.connection.answer(stream, RESPONSE, b"body", TRAILERS)
    assert peer.hear() == [
        Frame(frames.HEADERS, frames.END_HEADERS, 1, RESPONSE),
        Frame(frames.DATA, 0, 1, b"body"),
        Frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, TRAILERS),
    ]
    assert not peer.connection.streams


def test_answer_before_the_request_has_ended_tells_the_client_to_stop() -> None:
    peer = Peer()
    stream = peer.request()
    peer.connection.answer(stream, RESPONSE, b"body", TRAILERS)
    assert peer.hear()[-1] == Frame(frames.RST_STREAM, 0, 1, bytes(4))
    # What was on its way meanwhile is nobody's fault.
    assert peer.tell(data(1, b"late", ended=True) + frames.window_update(1, 5) + headers(1, TRAILERS, ended=True)) == []
    assert peer.hear() == []


def test_body_waits_for_the_streams_window_and_trailers_wait_for_the_body() -> None:
    peer = Peer(INITIAL_WINDOW_SIZE=10)
    stream = peer.request(ended=True)
    peer.connection.answer(stream, RESPONSE, b"x" * 25, TRAILERS)
    assert [frame.payload for frame in peer.hear() if frame.kind == frames.DATA] == [b"x" * 10]
    assert peer.connection.unsent_size_bytes == 15
    peer.tell(frames.window_update(1, 15))
    assert [(frame.kind, len(frame.payload)) for frame in peer.hear()] == [(0, 15), (1, len(TRAILERS))]
    assert peer.connection.unsent_size_bytes == 0
    assert not peer.connection.streams


def test_send_says_whether_it_is_out_and_drained_names_the_stream_later() -> None:
    peer = Peer(INITIAL_WINDOW_SIZE=10)
    stream = peer.request()
    peer.connection.open_response(stream, RESPONSE)
    assert peer.connection.send(stream, b"x" * 10) is True
    assert peer.connection.send(stream, b"y" * 10) is False
    peer.hear()
    assert peer.connection.take_drained() == []
    peer.tell(frames.window_update(1, 10))
    assert peer.hear()[-1].payload == b"y" * 10
    assert peer.connection.take_drained() == [stream]


def test_streams_take_turns_when_the_connections_window_is_short() -> None:
    peer = Peer(Limits(), INITIAL_WINDOW_SIZE=1_000_000)
    streams = [peer.request(number, ended=True) for number in (1, 3, 5)]
    for stream in streams:
        peer.connection.answer(stream, RESPONSE, b"x" * 100_000, TRAILERS)
    order = [frame.stream_id for frame in peer.hear() if frame.kind == frames.DATA]
    assert order == [1, 3, 5, 1]  # 65,535 bytes in frames of 16 KiB
    peer.tell(frames.window_update(0, 10_000_000))
    last = [frame.stream_id for frame in peer.hear() if frame.kind == frames.HEADERS]
    assert sorted(last) == [1, 3, 5]


def test_stream_without_window_does_not_hold_up_another() -> None:
    peer = Peer(INITIAL_WINDOW_SIZE=0)
    stalled, lively = peer.request(1, ended=True), peer.request(3, ended=True)
    peer.connection.answer(stalled, RESPONSE, b"s", TRAILERS)
    peer.connection.answer(lively, RESPONSE, b"l", TRAILERS)
    peer.tell(frames.window_update(3, 1))
    assert [frame.payload for frame in peer.hear() if frame.kind == frames.DATA] == [b"l"]


def test_smaller_initial_window_makes_open_windows_negative() -> None:
    peer = Peer(INITIAL_WINDOW_SIZE=100)
    stream = peer.request(ended=True)
    assert peer.connection.send(stream, b"x" * 80)
    peer.tell(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 50)]))
    assert stream.send_window == -30
    assert not peer.connection.send(stream, b"y" * 5)
    peer.tell(frames.window_update(1, 30))
    assert [frame for frame in peer.hear() if frame.payload.startswith(b"y")] == []
    peer.tell(frames.window_update(1, 5))
    assert peer.hear()[-1].payload == b"y" * 5


def test_larger_initial_window_lets_waiting_bodies_out() -> None:
    peer = Peer(INITIAL_WINDOW_SIZE=0)
    stream = peer.request(ended=True)
    peer.connection.answer(stream, RESPONSE, b"body", TRAILERS)
    peer.tell(frames.settings([(Setting.INITIAL_WINDOW_SIZE, 10)]))
    assert b"body" in [frame.payload for frame in peer.hear()]


def test_socket_that_is_full_holds_bodies_back_and_nothing_else() -> None:
    peer = Peer()
    stream = peer.request(ended=True)
    peer.connection.writable = False
    peer.connection.answer(stream, RESPONSE, b"body", TRAILERS)
    peer.tell(frames.ping(b"12345678", is_answer=False))
    assert [frame.kind for frame in peer.hear()] == [frames.HEADERS, frames.PING]
    assert not peer.connection.has_output
    peer.connection.writable = True
    assert peer.connection.has_output
    assert [frame.kind for frame in peer.hear()] == [frames.DATA, frames.HEADERS]


def test_large_header_block_is_continued() -> None:
    peer = Peer()
    stream = peer.request(ended=True)
    block = write_block([(b":status", b"200"), (b"k", b"v" * 40_000)])
    peer.connection.finish(stream, block)
    first, *middle, last = peer.hear()
    assert (first.kind, first.flags) == (frames.HEADERS, frames.END_STREAM)
    assert [(frame.kind, frame.flags) for frame in middle] == [(frames.CONTINUATION, 0)]
    assert (last.kind, last.flags) == (frames.CONTINUATION, frames.END_HEADERS)
    assert b"".join(frame.payload for frame in (first, *middle, last)) == block


def test_smaller_header_table_is_acknowledged_in_the_next_block() -> None:
    peer = Peer(HEADER_TABLE_SIZE=100)
    stream = peer.request(ended=True)
    peer.connection.answer(stream, RESPONSE, b"body", TRAILERS)
    assert [frame.payload for frame in peer.hear()] == [b"\x20" + RESPONSE, b"body", TRAILERS]


def test_reset_drops_what_waits() -> None:
    peer = Peer(INITIAL_WINDOW_SIZE=0)
    stream = peer.request()
    peer.connection.send(stream, b"x" * 50)
    peer.connection.reset(stream, ErrorCode.CANCEL)
    assert peer.connection.unsent_size_bytes == 0
    peer.tell(frames.window_update(1, 100))
    assert [frame.kind for frame in peer.hear()] == [frames.RST_STREAM]


def test_nothing_is_said_on_a_stream_that_is_gone() -> None:
    peer = Peer()
    stream = peer.request()
    peer.tell(frames.rst_stream(1, ErrorCode.CANCEL))
    connection = peer.connection
    connection.open_response(stream, RESPONSE)
    assert connection.send(stream, b"x")
    connection.answer(stream, RESPONSE, b"body", TRAILERS)
    connection.finish(stream, TRAILERS)
    connection.reset(stream, ErrorCode.CANCEL)
    connection.consumed(stream, 1_000)
    assert peer.hear() == []


# Requests ------------------------------------------------------------------------------------------------------------


def test_padding_is_taken_off_and_its_window_given_back() -> None:
    peer = Peer()
    stream = peer.request()
    padded = frames.frame(frames.DATA, frames.PADDED, 1, b"\xc8" + b"body" + bytes(200))
    for _ in range(20):  # Far more padding than the window has room for.
        (event,) = peer.tell(padded)
        assert isinstance(event, DataReceived) and event.data == b"body"
    assert sum(int.from_bytes(frame.payload, "big") for frame in peer.hear() if frame.stream_id == 1) >= 3_000
    assert stream.receive_window > 0


def test_stream_window_is_given_back_as_the_body_is_consumed() -> None:
    peer = Peer()
    stream = peer.request()
    peer.tell(data(1, b"x" * 1_000))
    assert [frame for frame in peer.hear() if frame.stream_id == 1] == []
    peer.connection.consumed(stream, 400)
    assert peer.hear() == [], "updates are batched"
    peer.connection.consumed(stream, 100)
    assert peer.hear() == [Frame(frames.WINDOW_UPDATE, 0, 1, (500).to_bytes(4, "big"))]
    assert peer.tell(data(1, b"x" * 500)) != []
    assert peer.reset(data(1, b"x")) is ErrorCode.FLOW_CONTROL_ERROR


def test_connections_window_is_given_back_whoever_reads() -> None:
    peer = Peer(Limits(stream_window_size_bytes=50_000, connection_window_size_bytes=100_000))
    for number in range(1, 9, 2):
        peer.request(number)
        for _ in range(4):
            peer.tell(data(number, b"x" * 12_500))
    updates = [int.from_bytes(frame.payload, "big") for frame in peer.hear() if frame.kind == frames.WINDOW_UPDATE]
    assert sum(updates) == 200_000
    assert len(updates) <= 4


def test_connections_window_is_enforced() -> None:
    peer = Peer(Limits(stream_window_size_bytes=10**6, connection_window_size_bytes=65_535))
    peer.connection._announce_at = 10**9
    peer.request(1)
    peer.tell(data(1, b"x" * 16_384) * 3)
    assert peer.broken(data(1, b"x" * 16_384)) is ErrorCode.FLOW_CONTROL_ERROR


def test_trailers_of_a_request_end_it() -> None:
    peer = Peer()
    peer.request()
    (event,) = peer.tell(headers(1, write_block([(b"k", b"v")]), ended=True))
    assert isinstance(event, DataReceived) and (event.data, event.is_ended) == (b"", True)


@pytest.mark.parametrize(
    "more",
    [
        headers(1, write_block([(b"k", b"v")])),
        headers(1, write_block([(b":path", b"/")]), ended=True),
        headers(1, write_block([(b"Key", b"v")]), ended=True),
    ],
    ids=["not the end", "pseudo-header", "upper case"],
)
def test_wrong_trailers_end_the_stream(more: bytes) -> None:
    peer = Peer()
    peer.request()
    assert peer.reset(more) is ErrorCode.PROTOCOL_ERROR
    assert not peer.connection.has_ended


@pytest.mark.parametrize("body", [data(1, b"12", ended=True), data(1, b"1234"), headers(1, TRAILERS, ended=True)])
def test_body_of_another_length_than_announced_ends_the_stream(body: bytes) -> None:
    peer = Peer()
    peer.request(block=REQUEST + write_block([(b"content-length", b"3")]))
    assert peer.reset(body) is ErrorCode.PROTOCOL_ERROR


def test_malformed_request_ends_its_stream_only() -> None:
    peer = Peer()
    assert peer.reset(headers(1, REQUEST + write_block([(b"connection", b"close")]))) is ErrorCode.PROTOCOL_ERROR
    peer.request(3)


def test_more_streams_than_agreed_are_refused_and_room_is_made_by_endings() -> None:
    peer = Peer()
    streams = [peer.request(number, ended=True) for number in (1, 3, 5)]
    assert peer.reset(headers(7)) is ErrorCode.REFUSED_STREAM
    peer.connection.answer(streams[0], RESPONSE, b"", TRAILERS)
    peer.request(9)


def test_requests_are_refused_while_too_much_is_unread_by_the_client() -> None:
    peer = Peer(Limits(unsent_size_bytes_max=100), INITIAL_WINDOW_SIZE=0)
    stream = peer.request(1, ended=True)
    peer.connection.answer(stream, RESPONSE, b"x" * 101, TRAILERS)
    peer.hear()
    assert peer.reset(headers(3)) is ErrorCode.REFUSED_STREAM
    peer.tell(frames.window_update(1, 101))
    peer.hear()
    peer.request(5)


def test_client_that_resets_ends_its_stream() -> None:
    peer = Peer()
    stream = peer.request()
    (event,) = peer.tell(frames.rst_stream(1, ErrorCode.CANCEL))
    assert event == StreamEnded(stream, ErrorCode.CANCEL)
    assert not peer.connection.streams


def test_unknown_frames_and_settings_are_ignored() -> None:
    peer = Peer()
    assert peer.tell(frames.frame(200, 255, 77, b"whatever") + frames.settings([(0x99, 1)])) == []
    peer.request(1)


# Going away ----------------------------------------------------------------------------------------------------------


def test_drain_names_the_last_stream_finishes_it_and_ignores_new_ones() -> None:
    peer = Peer()
    stream = peer.request(1, ended=True)
    peer.connection.go_away()
    peer.connection.go_away()
    (goaway,) = peer.hear()
    assert struct.unpack(">LL", goaway.payload[:8]) == (1, ErrorCode.NO_ERROR)
    late = headers(3) + data(3, b"body", ended=True) + frames.window_update(3, 1) + frames.rst_stream(3, 8)
    assert peer.tell(late) == []
    peer.connection.answer(stream, RESPONSE, b"body", TRAILERS)
    assert [frame.stream_id for frame in peer.hear()] == [1, 1, 1]


def test_block_ignored_after_goaway_still_counts_for_the_table() -> None:
    peer = Peer()
    peer.request(1)
    peer.connection.go_away()
    peer.tell(headers(3, REQUEST + b"\x40\x01k\x01v"))
    # Trailers that refer to what the ignored block inserted: they would break the connection if it was not decoded.
    (event,) = peer.tell(headers(1, b"\xbe", ended=True))
    assert isinstance(event, DataReceived)


def test_client_that_goes_away_is_served_to_the_end() -> None:
    peer = Peer()
    stream = peer.request(ended=True)
    assert peer.tell(frames.goaway(0, ErrorCode.NO_ERROR)) == []
    peer.connection.answer(stream, RESPONSE, b"body", TRAILERS)
    assert len(peer.hear()) == 3


# What ends a connection ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (data(0, b""), ErrorCode.PROTOCOL_ERROR),
        (data(5, b""), ErrorCode.PROTOCOL_ERROR),
        (headers(0), ErrorCode.PROTOCOL_ERROR),
        (headers(2), ErrorCode.PROTOCOL_ERROR),
        (headers(3) + headers(7) + headers(5), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.PUSH_PROMISE, 4, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.CONTINUATION, 4, 1, b""), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.HEADERS, 0, 3, REQUEST) + data(1, b""), ErrorCode.PROTOCOL_ERROR),
        (
            frames.frame(frames.HEADERS, 0, 3, REQUEST) + frames.frame(frames.CONTINUATION, 4, 5),
            ErrorCode.PROTOCOL_ERROR,
        ),
        (frames.frame(frames.DATA, frames.PADDED, 1, b"\x05body"), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.DATA, frames.PADDED, 1, b""), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.HEADERS, frames.PADDED, 3, b"\x05abc"), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.HEADERS, frames.PRIORITISED, 3, b"abc"), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.PRIORITY, 0, 0, bytes(5)), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.PRIORITY, 0, 1, bytes(4)), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame(frames.RST_STREAM, 0, 1, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
        (frames.rst_stream(0, 8), ErrorCode.PROTOCOL_ERROR),
        (frames.rst_stream(9, 8), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.SETTINGS, 0, 0, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame(frames.SETTINGS, frames.ACK, 0, bytes(6)), ErrorCode.FRAME_SIZE_ERROR),
        (frames.settings([(Setting.ENABLE_PUSH, 2)]), ErrorCode.PROTOCOL_ERROR),
        (frames.settings([(Setting.MAX_FRAME_SIZE, 100)]), ErrorCode.PROTOCOL_ERROR),
        (frames.settings([(Setting.MAX_FRAME_SIZE, 2**24)]), ErrorCode.PROTOCOL_ERROR),
        (frames.settings([(Setting.INITIAL_WINDOW_SIZE, 2**31)]), ErrorCode.FLOW_CONTROL_ERROR),
        (
            frames.window_update(1, 1) + frames.settings([(Setting.INITIAL_WINDOW_SIZE, 2**31 - 1)]),
            ErrorCode.FLOW_CONTROL_ERROR,
        ),
        (frames.frame(frames.PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
        (frames.frame(frames.PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
        (frames.frame(frames.GOAWAY, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
        (frames.window_update(0, 0), ErrorCode.PROTOCOL_ERROR),
        (frames.window_update(9, 1), ErrorCode.PROTOCOL_ERROR),
        (frames.window_update(0, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
        (frames.frame(frames.WINDOW_UPDATE, 0, 0, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
        (frames.FRAME_HEADER.pack(0x40, 1, frames.DATA, 0, 1), ErrorCode.FRAME_SIZE_ERROR),
        (headers(3, b"\xff\xff\xff\xff\xff\xff\xff"), ErrorCode.COMPRESSION_ERROR),
        (headers(3, b"\xc8"), ErrorCode.COMPRESSION_ERROR),
        (headers(3, ended=True) + frames.rst_stream(3, 8) + headers(3), ErrorCode.STREAM_CLOSED),
    ],
)
def test_broken_protocol_ends_the_connection_with_the_right_code(sent: bytes, code: ErrorCode) -> None:
    peer = Peer()
    peer.request(1)
    assert peer.broken(sent) is code
    assert not peer.connection.streams


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frames.window_update(1, 0), ErrorCode.PROTOCOL_ERROR),
        (frames.window_update(1, 2**31 - 1), ErrorCode.FLOW_CONTROL_ERROR),
        (frames.frame(frames.PRIORITY, 0, 1, b"\0\0\0\1\0"), ErrorCode.PROTOCOL_ERROR),
        (data(1, b"", ended=True) + data(1, b"more"), ErrorCode.STREAM_CLOSED),
        (data(1, b"", ended=True) + headers(1), ErrorCode.STREAM_CLOSED),
        (headers(3, ended=True) + frames.rst_stream(3, 8) + data(3, b"late"), ErrorCode.STREAM_CLOSED),
    ],
)
def test_mistake_on_one_stream_ends_that_stream(sent: bytes, code: ErrorCode) -> None:
    peer = Peer()
    peer.request(1)
    assert peer.reset(sent) is code
    assert not peer.connection.has_ended
    peer.request(11)


# Hostility -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        frames.ping(b"12345678", is_answer=False),
        frames.settings([]),
        frames.SETTINGS_ACK,
        frames.frame(frames.PRIORITY, 0, 3, bytes(5)),
        frames.frame(222, 0, 0, b""),
        data(1, b""),
        frames.frame(frames.DATA, frames.PADDED, 1, b"\0"),
        frames.window_update(0, 1),
        frames.window_update(1, 1),
        data(3, b""),
    ],
    ids=[
        "ping",
        "settings",
        "ack",
        "priority",
        "unknown",
        "empty data",
        "padding",
        "window",
        "stream window",
        "late data",
    ],
)
def test_flood_of_frames_that_carry_nothing_ends_the_connection(frame: bytes) -> None:
    peer = Peer(Limits())
    peer.request(1)
    peer.request(3)
    peer.tell(frames.rst_stream(3, 8))
    sent = 0
    while not peer.connection.has_ended:
        peer.tell(frame * 100)
        sent += 100
        assert sent <= 3 * IDLE_FRAMES_MAX, "a flood is let through"
        last = peer.hear()[-1:]
    assert int.from_bytes(last[0].payload[4:8], "big") == ErrorCode.ENHANCE_YOUR_CALM


def test_keepalive_pings_without_calls_are_answered_for_days() -> None:
    peer = Peer()
    for number in range(30_000):
        peer.now += 10.0
        assert peer.tell(frames.ping(number.to_bytes(8, "big"), is_answer=False)) == []
        assert peer.hear() == [Frame(frames.PING, frames.ACK, 0, number.to_bytes(8, "big"))]


def test_frames_that_go_with_work_are_never_a_flood() -> None:
    peer = Peer(Limits())
    for number in range(1, 30_001, 2):
        stream = peer.request(number, ended=True)
        peer.connection.answer(stream, RESPONSE, b"body", TRAILERS)
        peer.tell(
            frames.window_update(0, 4) + frames.ping(b"12345678", is_answer=False) + frames.window_update(number, 4)
        )
        peer.hear()
    assert not peer.connection.has_ended


@pytest.mark.parametrize(
    "calling_off",
    [
        lambda number: frames.rst_stream(number, ErrorCode.CANCEL),
        lambda number: frames.window_update(number, 0),
        lambda number: frames.window_update(number, frames.WINDOW_MAX),
        lambda number: headers(number, REQUEST),
        lambda number: data(number, b"", ended=True) + data(number, b"more"),
    ],
    ids=["by the client", "window by nothing", "window too large", "second headers", "data after the end"],
)
def test_rapid_resets_end_the_connection_whoever_sends_them(calling_off: Callable[[int], bytes]) -> None:
    peer = Peer(Limits(concurrent_streams_max=100))
    number = 1
    while not peer.connection.has_ended:
        peer.tell(headers(number) + calling_off(number))
        number += 2
        assert number < 1_000, "a flood is let through"
    assert int.from_bytes(peer.hear()[-1].payload[4:8], "big") == ErrorCode.ENHANCE_YOUR_CALM


def test_client_may_call_off_all_it_has_at_once_and_again_later() -> None:
    peer = Peer(Limits(concurrent_streams_max=2_000))
    number = 1
    for _ in range(5):
        for _ in range(2_000):
            peer.request(number)
            number += 2
        peer.tell(b"".join(frames.rst_stream(each, ErrorCode.CANCEL) for each in range(number - 4_000, number, 2)))
        assert not peer.connection.has_ended
        peer.now += 10.0


@pytest.mark.parametrize("piece", [b"", b"\x00", b"\x00\x01k\x7f\x80\x7f" + b"v" * 16_000])
def test_header_block_without_end_ends_the_connection(piece: bytes) -> None:
    peer = Peer()
    peer.tell(frames.frame(frames.HEADERS, 0, 1, b""))
    for sent in range(100):
        if peer.connection.has_ended:
            break
        assert sent * len(piece) <= 2 * 65_536, "a flood is let through"
        peer.tell(frames.frame(frames.CONTINUATION, 0, 1, piece))
    assert int.from_bytes(peer.hear()[-1].payload[4:8], "big") == ErrorCode.ENHANCE_YOUR_CALM


def test_client_that_asks_and_never_reads_is_let_go() -> None:
    peer = Peer(Limits(control_size_bytes_max=10_000))
    peer.connection.writable = False
    for _ in range(2_000):
        peer.tell(frames.ping(b"12345678", is_answer=False))
        if peer.connection.has_ended:
            break
    assert peer.connection.has_ended
    assert peer.connection.output_size_bytes < 11_000


def test_resets_that_are_remembered_are_bounded() -> None:
    peer = Peer(Limits())
    malformed = write_block([(b":method", b"POST")])
    for number in range(1, 9_001, 2):
        peer.tell(headers(number, malformed))
        peer.now += 1.0
        peer.hear()
    assert not peer.connection.has_ended
    assert len(peer.connection._reset) <= 2_048
