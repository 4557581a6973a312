"""The carrier on real sockets, on asyncio's loop and on uvloop: TLS, strangers, windows, timers, bounds, the stop."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import grpc
import grpc.aio
import pytest
import trustme
import uvloop
from google.protobuf.empty_pb2 import Empty
from hpack import Decoder
from structlog.testing import capture_logs

from broadaxe.errors import ConfigurationError
from broadaxe.rpc.http2 import frames, link
from broadaxe.rpc.http2.carrier import Limits, server_tls_context
from broadaxe.rpc.http2.grpc import write_message
from broadaxe.rpc.http2.headers import write_block
from broadaxe.rpc.transport import BidiMethod, Call, ServerStreamMethod, UnaryMethod

Send = Callable[[bytes], Awaitable[None]]


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return request.param()


class RawClient:
    """HTTP/2 by hand: what well-behaved clients never do."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int, *, window: int = 65_535) -> RawClient:
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        client.tell(frames.PREFACE + frames.settings([(frames.Setting.INITIAL_WINDOW_SIZE, window)]))
        return client

    def tell(self, data: bytes) -> None:
        self.writer.write(data)

    def request(self, stream_id: int, method: str, *, ended: bool = False, **fields: str) -> None:
        named = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", f"/test.Carrier/{method}".encode())]
        named += [(b"content-type", b"application/grpc"), (b"te", b"trailers")]
        named += [(key.replace("_", "-").encode(), value.encode()) for key, value in fields.items()]
        block = write_block(named)
        self.tell(frames.headers(stream_id, block, ends_stream=ended, frame_size_bytes_max=16_384))

    def data(self, stream_id: int, payload: bytes, *, ended: bool = False) -> None:
        self.tell(frames.frame(frames.DATA, frames.END_STREAM if ended else 0, stream_id, payload))

    def message(self, stream_id: int, message: bytes, *, ended: bool = False) -> None:
        self.data(stream_id, b"\0" + len(message).to_bytes(4, "big") + message, ended=ended)

    async def frame(self) -> tuple[int, int, int, bytes]:
        """The next frame: kind, flags, stream, payload."""
        high, low, kind, flags, stream_id = frames.FRAME_HEADER.unpack(await self.reader.readexactly(9))
        return kind, flags, stream_id, await self.reader.readexactly(high << 8 | low)

    async def frame_of(self, wanted: int, stream_id: int | None = None) -> tuple[int, int, int, bytes]:
        async with asyncio.timeout(10):
            while True:
                frame = await self.frame()
                if frame[0] == wanted and stream_id in (None, frame[2]):
                    return frame

    async def fields(self, stream_id: int) -> dict[bytes, bytes]:
        """The next header block of a stream."""
        _, _, _, block = await self.frame_of(frames.HEADERS, stream_id)
        return {bytes(name): bytes(value) for name, value in Decoder().decode(block, raw=True)}

    async def ended(self) -> None:
        """Reads until the server closes."""
        async with asyncio.timeout(10):
            while await self.reader.read(65_536):
                pass

    async def settled(self) -> None:
        """Everything sent so far has been read by the server."""
        self.tell(frames.ping(b"settled?", is_answer=False))
        while True:
            _, flags, _, payload = await self.frame_of(frames.PING)
            if flags & frames.ACK and payload == b"settled?":
                return


# Strangers -----------------------------------------------------------------------------------------------------------


async def test_a_browser_is_told_what_this_port_is(serve) -> None:
    served = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    assert answer.startswith(b"HTTP/1.1 505 ")
    assert b"gRPC" in answer


async def test_a_client_that_speaks_tls_to_a_plaintext_port_is_noticed_once(serve) -> None:
    served = await serve()
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(OSError):
                await asyncio.open_connection("127.0.0.1", served.port, ssl=ssl.create_default_context())
    warnings = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert len(warnings) == 1
    assert "HATCHET_CLIENT_TLS_STRATEGY=none" in warnings[0]


@pytest.mark.parametrize(("changed", "status"), [({"content_type": "application/json"}, b"415"), ({}, b"405")])
async def test_http2_without_grpc_gets_an_http_status(serve, changed: dict[str, str], status: bytes) -> None:
    served = await serve()
    client = await RawClient.connect(served.port)
    method = b"GET" if status == b"405" else b"POST"
    fields = [(b":method", method), (b":scheme", b"http"), (b":path", b"/")]
    fields += [(b"content-type", changed.get("content_type", "application/grpc").encode())]
    client.tell(frames.headers(1, write_block(fields), ends_stream=False, frame_size_bytes_max=16_384))
    client.data(1, b"body", ended=True)
    assert (await client.fields(1))[b":status"] == status
    _, _, _, body = await client.frame_of(frames.DATA, 1)
    assert b"gRPC" in body


async def test_an_endless_body_that_nobody_wants_is_cut_short(serve) -> None:
    served = await serve()
    client = await RawClient.connect(served.port)
    fields = [(b":method", b"PUT"), (b":scheme", b"http"), (b":path", b"/"), (b"content-type", b"text/plain")]
    client.tell(frames.headers(1, write_block(fields), ends_stream=False, frame_size_bytes_max=16_384))
    for _ in range(6):
        client.data(1, b"x" * 16_384)
    assert (await client.fields(1))[b":status"] == b"415"
    _, _, _, code = await client.frame_of(frames.RST_STREAM, 1)
    assert int.from_bytes(code, "big") == frames.ErrorCode.NO_ERROR


async def test_a_client_that_breaks_the_protocol_is_told_and_let_go_and_its_handlers_with_it(serve) -> None:
    served = await serve()
    client = await RawClient.connect(served.port)
    client.request(1, "HangStream")
    await client.frame_of(frames.DATA, 1)
    client.tell(frames.frame(frames.PUSH_PROMISE, 4, 1, bytes(8)))
    _, _, _, goaway = await client.frame_of(frames.GOAWAY)
    assert struct.unpack(">L", goaway[4:8])[0] == frames.ErrorCode.PROTOCOL_ERROR
    await asyncio.wait_for(served.methods.let_go.wait(), 10)
    await client.ended()


async def test_connections_are_bounded(serve) -> None:
    served = await serve(connections_max=2)
    kept = [await RawClient.connect(served.port) for _ in range(2)]
    for client in kept:
        await client.settled()
    third = await RawClient.connect(served.port)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await third.settled()
    kept[0].writer.close()
    await kept[0].writer.wait_closed()
    async with grpc.aio.insecure_channel(served.address) as channel:
        assert await channel.unary_unary("/test.Carrier/Echo")(b"x", wait_for_ready=True, timeout=10) == b"x"


# A client that floods ------------------------------------------------------------------------------------------------


def _burst(calls: int) -> bytes:
    """As many calls as one write of a client that does not wait for answers."""
    named = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/test.Carrier/Flood")]
    block = write_block([*named, (b"content-type", b"application/grpc"), (b"te", b"trailers")])
    return b"".join(
        frames.headers(stream_id, block, ends_stream=False, frame_size_bytes_max=16_384)
        + frames.frame(frames.DATA, frames.END_STREAM, stream_id, write_message(b""))
        for stream_id in range(1, 2 * calls, 2)
    )


async def test_a_client_that_floods_has_its_calls_begun_a_few_at_a_time(serve) -> None:
    """Counted in passes of the loop, which everybody shares: whatever one connection has sent, others have their turn
    after a few of its calls, and all of them are answered in the end."""
    calls, done, turn = 2_000, asyncio.Event(), 0
    begun: Counter[int] = Counter()
    loop = asyncio.get_running_loop()

    def next_turn() -> None:
        nonlocal turn
        turn += 1
        if not done.is_set():
            loop.call_soon(next_turn)

    async def flood(frame: bytes, call: Call) -> bytes:
        begun[turn] += 1
        if begun.total() == calls:
            done.set()
        return b""

    served = await serve(UnaryMethod("/test.Carrier/Flood", Empty, Empty, flood))
    client = await RawClient.connect(served.port)
    await client.settled()
    next_turn()
    client.tell(_burst(calls))
    async with asyncio.timeout(10):
        await done.wait()
    # From one of its own turns to the next it may see the end of one pass and the beginning of the next.
    assert max(begun.values()) <= 2 * link.BEGUN_AT_ONCE_MAX
    await client.frame_of(frames.HEADERS, 2 * calls - 1)


async def test_calls_that_wait_for_their_turn_can_be_called_off_and_end_with_a_stop(serve) -> None:
    begun, has_begun = 0, asyncio.Event()

    async def flood(frame: bytes, call: Call) -> bytes:
        nonlocal begun
        begun += 1
        has_begun.set()
        return await served.methods.hang(frame, call)

    served = await serve(UnaryMethod("/test.Carrier/Flood", Empty, Empty, flood))
    client = await RawClient.connect(served.port)
    client.tell(_burst(200) + frames.rst_stream(399, frames.ErrorCode.CANCEL))
    async with asyncio.timeout(10):
        await has_begun.wait()
        await served.carrier.stop(0.0)
        await client.ended()
    assert begun < 200 and not served.methods.hanging and not served.carrier._serving.open_calls


# Requests that are wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", b"3"),
        (b"\0\0\0\0\5abc", b"3"),
        (b"\0\0\0\0\1a\0\0\0\0\1b", b"3"),
        (b"\7\0\0\0\1a", b"13"),
        (b"\1\0\0\0\1a", b"13"),
    ],
    ids=["none", "half a message", "two messages", "not a message", "compressed without encoding"],
)
@pytest.mark.parametrize("cuts", [1, 1_000])
async def test_unary_request_of_other_than_one_message_is_refused(serve, body: bytes, status: bytes, cuts: int) -> None:
    served = await serve()
    client = await RawClient.connect(served.port)
    client.request(1, "Echo")
    for at in range(0, len(body), cuts):
        client.data(1, body[at : at + cuts])
    client.data(1, b"", ended=True)
    fields = await client.fields(1)
    assert fields[b":status"] == b"200"
    assert fields[b"grpc-status"] == status


async def test_unary_request_that_ends_with_its_headers_is_refused(serve) -> None:
    served = await serve()
    client = await RawClient.connect(served.port)
    client.request(1, "Echo", ended=True)
    assert (await client.fields(1))[b"grpc-status"] == b"3"


async def test_stream_that_ends_in_the_middle_of_a_message_is_refused(serve) -> None:
    served = await serve()
    client = await RawClient.connect(served.port)
    client.request(1, "HangStream")
    await client.frame_of(frames.DATA, 1)
    client.data(1, b"\0\0\0\0\5abc", ended=True)
    assert (await client.fields(1))[b"grpc-status"] == b"3"
    await asyncio.wait_for(served.methods.let_go.wait(), 10)


async def test_timeout_that_is_none_is_refused(serve) -> None:
    served = await serve()
    client = await RawClient.connect(served.port)
    client.request(1, "Echo", grpc_timeout="soon")
    fields = await client.fields(1)
    assert fields[b"grpc-status"] == b"3"
    assert b"grpc-timeout" in fields[b"grpc-message"]


# Windows -------------------------------------------------------------------------------------------------------------


async def test_requests_that_the_handler_does_not_read_stay_with_the_client(serve) -> None:
    reading = asyncio.Event()

    async def slow(requests: AsyncIterator[bytes], call: Call, send: Send) -> None:
        await anext(requests)
        await reading.wait()
        await send(str(sum([len(request) async for request in requests])).encode())

    served = await serve(
        BidiMethod("/test.Carrier/Slow", Empty, Empty, slow), limits=Limits(stream_window_size_bytes=50_000)
    )
    client = await RawClient.connect(served.port)
    client.request(1, "Slow")
    for _ in range(4):
        client.message(1, b"x" * 10_000)
    await client.settled()
    client.message(1, b"y" * 9_900)  # Still within what was granted; the first 10,000 alone were read.
    await client.settled()
    reading.set()
    _, _, _, grown = await client.frame_of(frames.WINDOW_UPDATE, 1)
    assert int.from_bytes(grown, "big") >= 25_000
    client.data(1, b"", ended=True)
    _, _, _, answer = await client.frame_of(frames.DATA, 1)
    assert answer[5:] == b"39900"


async def test_message_larger_than_its_window_gets_through(serve) -> None:
    served = await serve(limits=Limits(stream_window_size_bytes=20_000))
    message = bytes(range(256)) * 4_000
    async with grpc.aio.insecure_channel(served.address) as channel:
        assert await channel.unary_unary("/test.Carrier/Echo")(message, timeout=20) == message
        chat = channel.stream_stream("/test.Carrier/Chat")(timeout=20)
        await chat.write(message)
        assert await chat.read() == message


async def test_unread_requests_of_a_connection_are_bounded(serve) -> None:
    served = await serve(limits=Limits(unread_size_bytes_max=100_000))
    client = await RawClient.connect(served.port)
    for stream_id in range(1, 9, 2):
        client.request(stream_id, "Echo")
        client.data(stream_id, b"\0\0\1\0\0" + b"x" * 16_000)
        client.data(stream_id, b"x" * 14_000)
    fields = await client.fields(7)
    assert fields[b"grpc-status"] == b"8"
    assert b"unread" in fields[b"grpc-message"]
    # What was refused made room again, and what is called off does.
    for stream_id in (1, 3, 5):
        client.tell(frames.rst_stream(stream_id, frames.ErrorCode.CANCEL))
    for stream_id in (11, 13, 15):
        client.request(stream_id, "Echo")
        client.data(stream_id, b"\0\0\0\x75\x30" + b"x" * 16_000)
        client.data(stream_id, b"x" * 14_000, ended=True)
        assert (await client.fields(stream_id)).get(b"grpc-status") is None


async def test_stream_that_nobody_reads_waits_and_the_others_go_on(serve) -> None:
    sent = 0

    async def endless(frame: bytes, call: Call, send: Send) -> None:
        nonlocal sent
        while True:
            await send(b"x" * 1_000)
            sent += 1

    served = await serve(ServerStreamMethod("/test.Carrier/Endless", Empty, Empty, endless))
    client = await RawClient.connect(served.port, window=10_000)
    client.request(1, "Endless")
    client.message(1, b"", ended=True)
    await client.settled()
    assert sent == 9
    for stream_id in range(3, 203, 2):
        client.request(stream_id, "Echo")
        client.message(stream_id, b"hello", ended=True)
        _, _, _, answer = await client.frame_of(frames.DATA, stream_id)
        assert answer[5:] == b"hello"
    assert sent == 9
    client.tell(frames.window_update(1, 2_010))
    await client.settled()
    assert sent == 11


async def test_deadline_of_a_stream_that_nobody_reads_frees_it(serve) -> None:
    ended = asyncio.Event()

    async def endless(frame: bytes, call: Call, send: Send) -> None:
        try:
            while True:
                await send(b"x" * 1_000)
        finally:
            ended.set()

    served = await serve(ServerStreamMethod("/test.Carrier/Endless", Empty, Empty, endless))
    client = await RawClient.connect(served.port, window=1_500)
    client.request(1, "Endless", grpc_timeout="100m")
    client.message(1, b"", ended=True)
    _, _, _, code = await client.frame_of(frames.RST_STREAM, 1)
    assert int.from_bytes(code, "big") == frames.ErrorCode.CANCEL
    await asyncio.wait_for(ended.wait(), 10)


async def test_client_that_does_not_read_its_socket_costs_a_bounded_amount(serve) -> None:
    """The client's windows are huge, so that only the socket holds the server back."""
    sent, blocked = 0, asyncio.Event()

    async def endless(frame: bytes, call: Call, send: Send) -> None:
        nonlocal sent
        while True:
            sending = asyncio.ensure_future(send(b"x" * 100_000))
            # A send without progress for this long waits for the reader.
            if not (await asyncio.wait({sending}, timeout=0.5))[0]:
                blocked.set()
            await sending
            sent += 100_000

    served = await serve(ServerStreamMethod("/test.Carrier/Endless", Empty, Empty, endless))
    client = await RawClient.connect(served.port, window=frames.WINDOW_MAX)
    client.tell(frames.window_update(0, frames.WINDOW_MAX - frames.WINDOW_DEFAULT))
    client.request(1, "Endless")
    client.message(1, b"", ended=True)
    await asyncio.wait_for(blocked.wait(), 30)
    (connected,) = served.carrier._links
    assert connected._transport.get_write_buffer_size() < 1_000_000
    assert connected.connection.unsent_size_bytes <= 100_005
    client.writer.transport.abort()


async def test_handlers_that_do_not_let_go_count_as_open(serve) -> None:
    """Calling off must not make room for more work than was agreed."""
    release, started = asyncio.Event(), 0

    async def stubborn(frame: bytes, call: Call) -> bytes:
        nonlocal started
        started += 1
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return b""

    served = await serve(
        UnaryMethod("/test.Carrier/Stubborn", Empty, Empty, stubborn), limits=Limits(concurrent_streams_max=5)
    )
    client = await RawClient.connect(served.port)
    for stream_id in range(1, 41, 2):
        client.request(stream_id, "Stubborn")
        client.message(stream_id, b"", ended=True)
        await client.settled()
        client.tell(frames.rst_stream(stream_id, frames.ErrorCode.CANCEL))
    await client.settled()
    assert started == 5
    release.set()


# Timers --------------------------------------------------------------------------------------------------------------


async def test_quiet_client_is_asked_and_kept_while_it_answers(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HANDSHAKE_S", 0.02), ("KEEPALIVE_S", 0.02), ("KEEPALIVE_TIMEOUT_S", 0.5)):
        monkeypatch.setattr(link, name, value)
    served = await serve()
    client = await RawClient.connect(served.port)
    for _ in range(3):
        _, flags, _, opaque = await client.frame_of(frames.PING)
        assert not flags & frames.ACK
        client.tell(frames.ping(opaque, is_answer=True))
    await client.settled()


async def test_quiet_client_that_does_not_answer_is_let_go_and_its_calls_with_it(
    serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve()
    for name in ("HANDSHAKE_S", "KEEPALIVE_S", "KEEPALIVE_TIMEOUT_S"):
        monkeypatch.setattr(link, name, 0.1)
    client = await RawClient.connect(served.port)
    client.request(1, "HangStream")
    await client.frame_of(frames.DATA, 1)
    await asyncio.wait_for(served.methods.let_go.wait(), 10)
    await _lost(client)


async def test_client_that_says_nothing_is_let_go(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "HANDSHAKE_S", 0.05)
    served = await serve()
    _, writer = connected = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(frames.PREFACE[:10])
    await _lost(RawClient(*connected))


def _lively(monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
    """Looks at clients all the time."""
    for name, value in {"HANDSHAKE_S": 0.02, "KEEPALIVE_S": 0.05, "KEEPALIVE_TIMEOUT_S": 0.5, **limits}.items():
        monkeypatch.setattr(link, name, value)


async def _drip(client: RawClient, *pieces: bytes) -> None:
    """Sends a little at a time until the connection is gone: somebody who is heard of, and never finishes."""
    with suppress(OSError):
        for piece in pieces:
            client.tell(piece)
            await client.writer.drain()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("unfinished", ["block", "frame"])
async def test_a_head_that_is_never_finished_ends_its_connection(
    serve, monkeypatch: pytest.MonkeyPatch, unfinished: str
) -> None:
    _lively(monkeypatch, INCOMPLETE_S=0.2)
    served = await serve()
    client = await RawClient.connect(served.port)
    if unfinished == "block":
        pieces = [frames.frame(frames.HEADERS, 0, 1, b"x"), *[frames.frame(frames.CONTINUATION, 0, 1, b"x")] * 60]
    else:
        whole = frames.frame(frames.HEADERS, frames.END_HEADERS, 1, bytes(9_000))
        pieces = [whole[at : at + 1] for at in range(8_000)]
    dripping = asyncio.create_task(_drip(client, *pieces))
    await _lost(client)
    dripping.cancel()


@pytest.mark.parametrize("stood_still", [True, False])
async def test_an_engine_that_stood_still_reads_before_it_judges(
    serve, monkeypatch: pytest.MonkeyPatch, stood_still: bool
) -> None:
    """The rest of a frame may lie in the socket of a process that was stopped in the middle of it, and on uvloop timers
    ring before anything is read."""
    monkeypatch.setattr(link, "INCOMPLETE_S", 0.0)
    served = await serve()
    client = await RawClient.connect(served.port)
    await client.settled()
    (served_link,) = served.carrier._links
    ping = frames.ping(b"settled?", is_answer=False)
    client.tell(ping + ping[:4])
    await client.frame_of(frames.PING)
    assert served_link.connection.incomplete_since is not None
    served_link._check_at = served_link.loop.time() - (2 * link.LATE_S if stood_still else 0)
    served_link._on_check()
    if not stood_still:
        await _lost(client)
        return
    client.tell(ping[4:])
    await client.frame_of(frames.PING)


async def test_a_long_upload_of_whole_frames_is_no_unfinished_one(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    _lively(monkeypatch, INCOMPLETE_S=0.2)
    served = await serve()
    client = await RawClient.connect(served.port)
    client.request(1, "Echo")
    message = write_message(bytes(2_495))
    body = b"".join(
        frames.frame(frames.DATA, frames.END_STREAM if at + 10 >= len(message) else 0, 1, message[at : at + 10])
        for at in range(0, len(message), 10)
    )
    # Cut across frames, so that one is nearly always incomplete; it takes longer than a single one may.
    for at in range(0, len(body), 131):
        client.tell(body[at : at + 131])
        await asyncio.sleep(0.01)
    await client.frame_of(frames.DATA, 1)


async def test_a_message_that_never_comes_ends_its_call_and_nothing_else(
    serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lively(monkeypatch, REQUEST_S=0.2)
    served = await serve()
    client = await RawClient.connect(served.port)
    chatting = asyncio.create_task(_drip(client, *[frames.ping(b"hereIam!", is_answer=False)] * 2_000))
    client.request(1, "HangStream")
    client.request(3, "Echo")
    await client.frame_of(frames.DATA, 1)
    _, flags, _, _ = await client.frame_of(frames.HEADERS, 3)
    assert flags & frames.END_STREAM
    assert served.methods.hanging == 1, "a stream may say nothing for as long as it likes"
    chatting.cancel()


async def test_a_connection_without_a_request_is_told_to_go(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    _lively(monkeypatch, FIRST_REQUEST_S=0.2)
    served = await serve()
    client, asking = [await RawClient.connect(served.port) for _ in range(2)]
    chatting = [
        asyncio.create_task(_drip(each, *[frames.ping(b"hereIam!", is_answer=False)] * 2_000))
        for each in (client, asking)
    ]
    asking.request(1, "HangStream")
    _, _, _, goaway = await client.frame_of(frames.GOAWAY)
    assert struct.unpack(">LL", goaway[:8]) == (0, frames.ErrorCode.NO_ERROR)
    await _lost(client)
    await asking.frame_of(frames.DATA, 1)
    assert served.methods.hanging == 1
    for task in chatting:
        task.cancel()


# The stop ------------------------------------------------------------------------------------------------------------


async def test_stop_says_goaway_lets_calls_end_and_closes(serve) -> None:
    served = await serve()
    served.methods.rendezvous_size = 2
    client = await RawClient.connect(served.port)
    client.request(1, "Rendezvous")
    client.message(1, b"")
    client.request(3, "Rendezvous")
    client.message(3, b"", ended=True)
    await client.settled()
    stopping = asyncio.create_task(served.carrier.stop(30))
    _, _, _, goaway = await client.frame_of(frames.GOAWAY)
    assert struct.unpack(">LL", goaway[:8]) == (3, frames.ErrorCode.NO_ERROR)
    client.request(5, "Echo")
    client.message(5, b"too late", ended=True)
    client.data(1, b"", ended=True)
    answered = set()
    while len(answered) < 2:
        _, flags, stream_id, _ = await client.frame_of(frames.HEADERS)
        assert stream_id != 5
        if flags & frames.END_STREAM:
            answered.add(stream_id)
    await client.ended()
    client.writer.close()
    await asyncio.wait_for(stopping, 10)


async def test_stop_closes_idle_connections_at_once(serve) -> None:
    served = await serve()
    client = await RawClient.connect(served.port)
    await client.settled()
    stopping = asyncio.create_task(served.carrier.stop(30))
    await client.ended()
    client.writer.close()
    await asyncio.wait_for(stopping, 10)


async def test_stop_does_not_wait_for_a_client_that_never_closes(serve) -> None:
    served = await serve()
    client = await RawClient.connect(served.port)
    await client.settled()
    await asyncio.wait_for(served.carrier.stop(30), 10)
    await client.ended()


async def test_messages_sent_before_the_end_of_a_stream_arrive_although_the_connection_closes(serve) -> None:
    """A socket closed with unread bytes in it would take the last answers back."""

    async def last_words(frame: bytes, call: Call, send: Send) -> None:
        await call.draining.wait()
        for number in range(200):
            await send(number.to_bytes(4, "big") * 100)

    served = await serve(ServerStreamMethod("/test.Carrier/LastWords", Empty, Empty, last_words))
    async with grpc.aio.insecure_channel(served.address) as channel:
        streams = [channel.unary_stream("/test.Carrier/LastWords")(b"") for _ in range(20)]
        await channel.unary_unary("/test.Carrier/Echo")(b"")
        await served.carrier.stop(30)
        for stream in streams:
            assert len([message async for message in stream]) == 200
            assert await stream.code() is grpc.StatusCode.OK


# TLS -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path]:
    issued = authority.issue_cert("localhost")
    chain, key = tmp_path / "server.pem", tmp_path / "server.key"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return chain, key


async def test_calls_over_tls(serve, authority: trustme.CA, certificate: tuple[Path, Path]) -> None:
    served = await serve(tls=server_tls_context(*certificate))
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    async with grpc.aio.secure_channel(f"localhost:{served.port}", credentials) as channel:
        message = b"x" * 2_000_000
        assert await channel.unary_unary("/test.Carrier/Echo")(message, timeout=20) == message
        count = channel.unary_stream("/test.Carrier/Count")((5_000).to_bytes(4, "big"), timeout=20)
        assert len([each async for each in count]) == 5_000
        hanging = channel.unary_unary("/test.Carrier/Hang")(b"")
        await channel.unary_unary("/test.Carrier/Echo")(b"", timeout=20)
        await served.carrier.stop(0.1)
        assert await hanging.code() is grpc.StatusCode.UNAVAILABLE


async def test_mtls_asks_for_a_certificate_of_its_authority(
    serve, authority: trustme.CA, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    served = await serve(tls=server_tls_context(*certificate, client_ca=ca))
    mine, stranger = authority.issue_cert("client"), trustme.CA().issue_cert("client")
    for shown, is_welcome in ((mine, True), (stranger, False), (None, False)):
        pair = {}
        if shown is not None:
            pair = {
                "private_key": shown.private_key_pem.bytes(),
                "certificate_chain": b"".join(blob.bytes() for blob in shown.cert_chain_pems),
            }
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes(), **pair)
        options = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.secure_channel(f"localhost:{served.port}", credentials, options=options) as channel:
            call = channel.unary_unary("/test.Carrier/Echo")(b"x", timeout=10)
            assert await call.code() is (grpc.StatusCode.OK if is_welcome else grpc.StatusCode.UNAVAILABLE)


async def test_tls_without_http2_is_refused(serve, authority: trustme.CA, certificate: tuple[Path, Path]) -> None:
    served = await serve(tls=server_tls_context(*certificate))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    connected = await asyncio.open_connection("localhost", served.port, ssl=context)
    await _lost(RawClient(*connected))


def test_certificates_that_cannot_be_used_are_named(
    authority: trustme.CA, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    chain, key = certificate
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    with pytest.raises(ConfigurationError, match=r"no file .*missing"):
        server_tls_context(tmp_path / "missing", key)
    with pytest.raises(ConfigurationError, match=r"nonsense\.pem"):
        server_tls_context(nonsense, key)
    with pytest.raises(ConfigurationError, match=r"server\.pem"):
        server_tls_context(key, chain)
    with pytest.raises(ConfigurationError, match=r"cannot check gRPC clients"):
        server_tls_context(chain, key, client_ca=nonsense)


async def _lost(client: RawClient) -> None:
    try:
        await client.ended()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        client.writer.transport.abort()
