"""Strangers and enemies: an independent HTTP/2 client with random habits, mutated sessions, and plain noise.

The core must agree with the client on every byte, and with the others it must never raise, never hang and never keep
more than its limits allow. Seeds are fixed, so a failure comes back; the seed is the test's parameter.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadaxe.rpc.http2 import frames
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
from broadaxe.rpc.http2.headers import write_block

RESPONSE = write_block([(b":status", b"200")])
TRAILERS = write_block([(b"grpc-status", b"0")])
LIMITS = Limits(
    concurrent_streams_max=20,
    header_list_size_bytes_max=4_096,
    stream_window_size_bytes=30_000,
    connection_window_size_bytes=80_000,
    unsent_size_bytes_max=200_000,
    control_size_bytes_max=50_000,
)


@dataclass
class Exchange:
    """One stream as both sides should have seen it."""

    stream: Stream | None = None
    uploaded: bytes = b""
    arrived: bytes = b""
    has_upload_ended: bool = False
    answered: bytes = b""
    received: bytes = b""
    is_answering: bool = False
    is_answered: bool = False
    is_reset: bool = False
    is_over: bool = False


@dataclass
class Session:
    """A connection of ours, an independent client, and chance."""

    chance: random.Random
    server: Connection = field(default_factory=lambda: Connection(LIMITS, 0.0))
    exchanges: dict[int, Exchange] = field(default_factory=dict)
    now: float = 0.0

    def __post_init__(self) -> None:
        config = h2.config.H2Configuration(client_side=True, header_encoding=None)
        self.client = h2.connection.H2Connection(config)
        self.client.initiate_connection()
        window = self.chance.choice((0, 1, 100, 65_535, 10**6))
        self.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})

    def run(self, steps: int) -> None:
        actions = (self.open, self.upload, self.upload, self.answer, self.answer, self.widen, self.reset, self.settle)
        for _ in range(steps):
            self.chance.choice(actions)()
            if self.chance.random() < 0.5:
                self.carry()
        for _ in range(1_000):
            self.finish()
            self.carry()
            if all(exchange.is_over or exchange.is_reset for exchange in self.exchanges.values()):
                return
        raise AssertionError("the session does not come to an end")

    def open(self) -> None:
        if sum(not (each.is_over or each.is_reset) for each in self.exchanges.values()) < 15:
            number = self.client.get_next_available_stream_id()
            fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"h")]
            fields += [(b":path", b"/s/m%d" % self.chance.randrange(5))]
            fields += [(b"k%d" % self.chance.randrange(3), b"v" * self.chance.randrange(60))]
            self.client.send_headers(number, fields)
            self.exchanges[number] = Exchange()

    def upload(self) -> None:
        for number, exchange in self._some(lambda each: not each.has_upload_ended):
            size = min(self.chance.choice((0, 5, 700, 20_000)), self.client.local_flow_control_window(number), 16_000)
            padding = self.chance.choice((None, None, 0, 200))
            room = self.client.local_flow_control_window(number)
            data, is_last = self.chance.randbytes(size), self.chance.random() < 0.2
            if padding is not None and size + padding + 1 > room:
                padding = None
            self.client.send_data(number, data, end_stream=is_last, pad_length=padding)
            exchange.uploaded += data
            exchange.has_upload_ended = is_last

    def answer(self) -> None:
        for _, exchange in self._some(lambda each: each.stream is not None and not each.is_answered):
            stream = exchange.stream
            assert stream is not None
            if not exchange.is_answering:
                exchange.is_answering = True
                self.server.open_response(stream, RESPONSE)
            if not stream.pending:
                body = self.chance.randbytes(self.chance.choice((1, 100, 5_000, 70_000)))
                exchange.answered += body
                self.server.send(stream, body)
            if self.chance.random() < 0.3:
                exchange.is_answered = True
                self.server.finish(stream, self.chance.choice((TRAILERS, b"")))

    def widen(self) -> None:
        self.client.increment_flow_control_window(self.chance.choice((1, 1_000, 50_000)))
        for number, exchange in self._some(lambda each: not each.is_over):
            if not exchange.is_reset:
                self.client.increment_flow_control_window(self.chance.choice((1, 999, 40_000)), number)

    def reset(self) -> None:
        if self.chance.random() < 0.2:
            for number, exchange in self._some(lambda each: not each.is_over):
                self.client.reset_stream(number, ErrorCode.CANCEL)
                exchange.is_reset = True

    def settle(self) -> None:
        if self.chance.random() < 0.3:
            window = self.chance.choice((0, 50, 30_000, 65_535))
            self.client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        if self.chance.random() < 0.3:
            self.client.ping(self.chance.randbytes(8))

    def finish(self) -> None:
        """Everybody reads and writes to the end."""
        self.client.increment_flow_control_window(100_000)
        for number, exchange in self.exchanges.items():
            if exchange.is_over or exchange.is_reset:
                continue
            self.client.increment_flow_control_window(100_000, number)
            if not exchange.has_upload_ended:
                self.client.end_stream(number)
                exchange.has_upload_ended = True
            if exchange.stream is not None and not exchange.is_answered:
                exchange.is_answered = True
                if not exchange.is_answering:
                    self.server.open_response(exchange.stream, RESPONSE)
                self.server.finish(exchange.stream, TRAILERS)

    def carry(self) -> None:
        """Moves bytes both ways, cut anywhere. The client raises if we break the protocol, windows included."""
        sent = self.client.data_to_send()
        while sent:
            size = self.chance.choice((1, 10, 1_000, 10**6)) if len(sent) < 300 else 10**6
            piece, sent = sent[:size], sent[size:]
            self._serve(piece)
        self.server.writable = self.chance.random() < 0.8
        while output := self.server.take_output():
            for event in self.client.receive_data(bytes(output)):
                self._note(event)

    def _serve(self, piece: bytes) -> None:
        for event in self.server.receive(piece, self.now):
            match event:
                case RequestReceived(stream=stream):
                    self.exchanges[stream.id].stream = stream
                case DataReceived(stream=stream, data=data):
                    self.exchanges[stream.id].arrived += data
                    self.server.consumed(stream, len(data))
                case StreamEnded(stream=stream):
                    assert self.exchanges[stream.id].is_reset
                case ConnectionEnded():
                    raise AssertionError(f"a well-behaved client was turned out: {event}")

    def _note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.DataReceived():
                self.exchanges[event.stream_id].received += event.data
                assert len(event.data) <= 16_384
            case h2.events.StreamEnded():
                exchange = self.exchanges[event.stream_id]
                assert exchange.received == exchange.answered
                assert exchange.uploaded.startswith(exchange.arrived)
                if exchange.stream is not None and exchange.stream.is_remote_closed:
                    assert exchange.arrived == exchange.uploaded
                exchange.is_over = True
            case h2.events.StreamReset():
                # NO_ERROR after a complete answer; REFUSED_STREAM when too much waits for this client.
                assert event.error_code in (ErrorCode.NO_ERROR, ErrorCode.REFUSED_STREAM), event
                assert event.error_code == ErrorCode.REFUSED_STREAM or self.exchanges[event.stream_id].is_over
                self.exchanges[event.stream_id].is_over = True
            case h2.events.ConnectionTerminated():
                raise AssertionError(f"a well-behaved client was turned out: {event}")

    def _some(self, wanted) -> list[tuple[int, Exchange]]:  # type: ignore[no-untyped-def]
        open_now = [
            (number, each)
            for number, each in self.exchanges.items()
            if not (each.is_over or each.is_reset) and wanted(each)
        ]
        return self.chance.sample(open_now, min(len(open_now), 2))


@pytest.mark.parametrize("seed", range(150))
def test_an_independent_client_and_the_core_agree_on_every_byte(seed: int) -> None:
    session = Session(random.Random(seed))
    session.run(150)
    assert not session.server.streams
    assert session.server.unsent_size_bytes == 0
    assert not session.server._ready


def recorded(seed: int) -> bytes:
    """What a client sends in a valid session."""
    chance = random.Random(seed)
    session = Session(chance)
    sent: list[bytes] = []
    serve = session._serve
    session._serve = lambda piece: (sent.append(piece), serve(piece))[1]  # type: ignore[method-assign]
    session.run(40)
    return b"".join(sent)


def check_bounds(connection: Connection) -> None:
    assert len(connection._unread) <= 9 + 16_384
    assert connection._block is None or len(connection._block) <= LIMITS.header_list_size_bytes_max + 16_384
    assert len(connection.streams) <= LIMITS.concurrent_streams_max
    assert connection.output_size_bytes <= LIMITS.control_size_bytes_max + 100_000
    assert len(connection._ready) <= len(connection.streams)
    assert len(connection._reset) <= 2_048
    assert connection.unsent_size_bytes == sum(stream.pending_size_bytes for stream in connection.streams.values())


def play(connection: Connection, data: bytes, chance: random.Random) -> None:
    """Feeds bytes in pieces to a core whose server answers at random, and checks what must hold after each."""
    now = 0.0
    while data:
        size = chance.choice((1, 9, 300, 20_000, 100_000))
        piece, data = data[:size], data[size:]
        now += chance.choice((0.0, 0.001))
        events = connection.receive(piece, now)
        assert sum(isinstance(event, ConnectionEnded) for event in events) <= 1
        for event in events:
            match event:
                case RequestReceived(stream=stream) | DataReceived(stream=stream, is_ended=True):
                    if chance.random() < 0.5:
                        connection.answer(stream, RESPONSE, chance.randbytes(chance.choice((1, 40_000))), TRAILERS)
                case DataReceived(stream=stream, data=body):
                    connection.consumed(stream, len(body))
        if chance.random() < 0.7:
            connection.writable = chance.random() < 0.7
            connection.take_output()
            connection.take_drained()
        check_bounds(connection)


@pytest.mark.parametrize("seed", range(200))
def test_mutated_sessions_never_raise_and_stay_within_bounds(seed: int) -> None:
    chance = random.Random(seed)
    session = bytearray(recorded(seed % 10))
    for _ in range(chance.choice((1, 3, 30))):
        at = chance.randrange(24 if chance.random() < 0.9 else 0, len(session))
        match chance.randrange(4):
            case 0:
                session[at] = chance.randrange(256)
            case 1:
                del session[at : at + chance.randrange(1, 40)]
            case 2:
                session[at:at] = chance.randbytes(chance.randrange(1, 40))
            case _:
                length = chance.randrange(1, 400)
                session[at:at] = session[at : at + length] * chance.choice((1, 20))
    play(Connection(LIMITS, 0.0), bytes(session), chance)


@pytest.mark.parametrize("seed", range(200))
def test_frames_of_noise_never_raise_and_stay_within_bounds(seed: int) -> None:
    """Well-cut frames of random kind and content reach deeper than bytes that are noise throughout."""
    chance = random.Random(seed)
    block = write_block([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/s/m")])
    out = bytearray(frames.PREFACE + frames.settings([]))
    for _ in range(600):
        kind = chance.choice((*range(11), frames.HEADERS, frames.DATA))
        stream_id = chance.choice((0, 1, 2, *range(1, 80, 2)))
        flags = chance.choice((0, 1, 4, 5, 8, 13, 32, 37, 255))
        payload = chance.choice((block, b"", bytes(4), bytes(5), bytes(8), chance.randbytes(chance.randrange(60))))
        out += frames.frame(kind, flags, stream_id, payload)
    at = 0
    # A connection lives until the first grave mistake; the rest of the noise goes to the next one.
    while at < len(out):
        play(Connection(LIMITS, 0.0), frames.PREFACE + frames.settings([]) + bytes(out[at : at + 2_000]), chance)
        at += 500


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=20), st.booleans())
def test_noise_never_raises(pieces: list[bytes], has_preface: bool) -> None:
    connection = Connection(LIMITS, 0.0)
    if has_preface:
        connection.receive(frames.PREFACE + frames.settings([]), 0.0)
    for piece in pieces:
        connection.receive(piece, 0.0)
        check_bounds(connection)


def test_megabytes_of_noise_are_over_in_a_moment() -> None:
    chance = random.Random(1)
    began_at = time.process_time()
    for kind in range(12):
        connection = Connection(LIMITS, 0.0)
        connection.receive(frames.PREFACE + frames.settings([]), 0.0)
        body = frames.frame(kind, chance.randrange(256), 1, chance.randbytes(200))
        connection.receive(body * 20_000, 0.0)
        check_bounds(connection)
    assert time.process_time() - began_at < 20
