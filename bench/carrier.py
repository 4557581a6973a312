"""Measures our gRPC carrier beside grpc.aio: server CPU per call and per message, memory per idle stream, latency.

    .venv/bin/python bench/carrier.py             both carriers, about a minute
    .venv/bin/python bench/carrier.py --json      for scripts

Each carrier serves the same trivial methods in a process of its own, on uvloop as the engine does. The client is the
same for both and as lean as can be: it writes prepared HTTP/2 frames and only looks for the ends of streams, so that it
can keep either server busy from one core. Its header blocks are what a C-core client sends: references to fields it has
sent before, and the token as a literal. The row "deadlines that differ" is the worst case for our header memory: every
call brings a block that was never seen.

Client and server share the machine. Compare numbers within one run only; nothing here decides a test.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import uvloop
from hpack import Encoder, NeverIndexedHeaderTuple

from broadaxe.rpc._gen.dispatcher_pb2 import AssignedAction, WorkerListenRequest
from broadaxe.rpc._gen.events_pb2 import Event, PushEventRequest
from broadaxe.rpc.http2 import frames
from broadaxe.rpc.http2.carrier import Http2Carrier
from broadaxe.rpc.transport import Call, Metadata, Method, Principal, Send, server_stream, unary

UNARY: Final = "/EventsService/Push"
MESSAGES: Final = "/Dispatcher/ListenV2"
SILENCE: Final = "/Dispatcher/ListenV1"
CARRIERS: Final = ("http2", "grpcio")

MESSAGE_SIZE_BYTES: Final = 200
_PRINCIPAL: Final = Principal("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002")


# The server ----------------------------------------------------------------------------------------------------------


async def _authenticate(metadata: Metadata) -> Principal:
    assert metadata["authorization"]
    return _PRINCIPAL


async def _push(request: PushEventRequest, call: Call) -> Event:
    return Event(key=request.key, payload=request.payload)


async def _messages(request: WorkerListenRequest, call: Call, send: Send[AssignedAction]) -> None:
    frame = AssignedAction(action_payload="x" * MESSAGE_SIZE_BYTES).SerializeToString()
    for _ in range(int(request.worker_id)):
        await send(frame)


async def _silence(request: WorkerListenRequest, call: Call, send: Send[AssignedAction]) -> None:
    await call.draining.wait()


def _methods() -> tuple[Method, ...]:
    return (
        unary(UNARY, PushEventRequest, Event, _push),
        server_stream(MESSAGES, WorkerListenRequest, AssignedAction, _messages),
        server_stream(SILENCE, WorkerListenRequest, AssignedAction, _silence),
    )


async def _serve(name: str) -> None:
    if name == "http2":
        port = await Http2Carrier(_methods(), _authenticate, "127.0.0.1", 0).start()
    else:
        from grpcio_carrier import GrpcioCarrier

        other = GrpcioCarrier(_methods(), _authenticate, "127.0.0.1", 0)
        port = await other.start()
    print(port, flush=True)
    await asyncio.Event().wait()


@contextmanager
def server(name: str) -> Iterator[tuple[psutil.Process, int]]:
    """A server process of one carrier, and its port."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        yield psutil.Process(process.pid), int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


# The client ----------------------------------------------------------------------------------------------------------


class LeanHttp2(asyncio.Protocol):
    """One connection that has calls in flight and knows when each of them ended."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._unread = b""
        self._out = bytearray()
        self._window = frames.WINDOW_DEFAULT
        self._next_id = 1
        self._ended: dict[int, asyncio.Future[None]] = {}
        self._encoder = Encoder()
        self._blocks: dict[str, bytes] = {}
        self.messages = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._out += frames.PREFACE
        self._out += frames.settings([(frames.Setting.INITIAL_WINDOW_SIZE, frames.WINDOW_MAX)])
        self._out += frames.window_update(0, frames.WINDOW_MAX - frames.WINDOW_DEFAULT)
        self.flush()

    def data_received(self, data: bytes) -> None:
        data = self._unread + data if self._unread else data
        at, size = 0, len(data)
        while size - at >= 9:
            high, low, kind, flags, stream_id = frames.FRAME_HEADER.unpack_from(data, at)
            end = at + 9 + (high << 8 | low)
            if end > size:
                break
            if kind == frames.DATA:
                self.messages += 1
            elif kind == frames.WINDOW_UPDATE and stream_id == 0:
                self._window += int.from_bytes(data[at + 9 : end], "big")
            elif kind == frames.PING and not flags & frames.ACK:
                self._out += frames.ping(data[at + 9 : end], is_answer=True)
            elif kind == frames.SETTINGS and not flags & frames.ACK:
                self._out += frames.SETTINGS_ACK
            elif kind in (frames.RST_STREAM, frames.GOAWAY) and data[end - 4 : end] != b"\0\0\0\0":
                raise AssertionError(f"the server gave up: {data[at:end]!r}")
            if flags & frames.END_STREAM and kind in (frames.HEADERS, frames.DATA):
                self._ended.pop(stream_id).set_result(None)
            at = end
        self._unread = data[at:]
        if self._out:
            self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        for ended in self._ended.values():
            ended.cancel()

    def call(self, path: str, message: bytes, timeout: str | None = None) -> asyncio.Future[None]:
        """Starts a call; the future is done when its stream has ended. Call `flush` after a batch."""
        body = b"\0" + len(message).to_bytes(4, "big") + message
        self._window -= len(body)
        assert self._window >= 0, "the bench outran the server's window"
        stream_id, self._next_id = self._next_id, self._next_id + 2
        block = self._block(path) if timeout is None else self._block(path) + self._timeout(timeout)
        self._out += frames.frame(frames.HEADERS, frames.END_HEADERS, stream_id, block)
        self._out += frames.frame(frames.DATA, frames.END_STREAM, stream_id, body)
        ended = self._ended[stream_id] = asyncio.get_running_loop().create_future()
        return ended

    def flush(self) -> None:
        self._transport.write(bytes(self._out))
        self._out.clear()

    def close(self) -> None:
        self._transport.abort()

    def _block(self, path: str) -> bytes:
        # The first call of a method inserts its fields into the table, the later ones refer to them.
        block = self._blocks.get(path)
        if block is None:
            self._blocks.clear()
            fields = [
                (b":method", b"POST"),
                (b":scheme", b"http"),
                (b":path", path.encode()),
                (b":authority", b"127.0.0.1:7077"),
                (b"te", b"trailers"),
                (b"content-type", b"application/grpc"),
                (b"user-agent", b"grpc-python-asyncio/1.85.1 grpc-c/53.0.0 (linux; chttp2)"),
                (b"grpc-accept-encoding", b"identity, deflate, gzip"),
                NeverIndexedHeaderTuple(b"authorization", b"bearer " + b"x" * 420),
            ]
            first = self._encoder.encode(fields, huffman=False)
            self._blocks[path] = self._encoder.encode(fields, huffman=False)
            return first
        return block

    def _timeout(self, timeout: str) -> bytes:
        return b"\x00\x0cgrpc-timeout" + bytes((len(timeout),)) + timeout.encode()


async def connect(port: int) -> LeanHttp2:
    _, client = await asyncio.get_running_loop().create_connection(LeanHttp2, "127.0.0.1", port)
    return client


# The measurements ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    unit: str
    values: dict[str, float]
    """By carrier."""
    is_less_better: bool = True

    def line(self) -> str:
        ours, theirs = (self.values[name] for name in CARRIERS)
        better, worse = (ours, theirs) if self.is_less_better else (theirs, ours)
        # CPU time is counted in ticks, and a short run may take none.
        ratio = worse / max(better, 0.1)
        return f"| {self.name} | {ours:,.1f} {self.unit} | {theirs:,.1f} {self.unit} | {ratio:.1f}x |"


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


async def _unary(
    process: psutil.Process, port: int, calls: int, in_flight: int, *, with_deadlines: bool = False
) -> tuple[float, list[float], float]:
    """CPU microseconds per call, latencies in milliseconds, calls per second."""
    client = await connect(port)
    message = PushEventRequest(key="user:create", payload="x" * MESSAGE_SIZE_BYTES).SerializeToString()
    latencies_ms: list[float] = []
    left = calls

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            began_at = time.perf_counter()
            ended = client.call(UNARY, message, f"{60_000_000 - left}u" if with_deadlines else None)
            client.flush()
            await ended
            latencies_ms.append((time.perf_counter() - began_at) * 1e3)

    for _ in range(50):  # warm-up
        ended = client.call(UNARY, message)
        client.flush()
        await ended
    cpu_s, began_at = _cpu_s(process), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    took_s, cpu_s = time.perf_counter() - began_at, _cpu_s(process) - cpu_s
    client.close()
    return cpu_s / calls * 1e6, latencies_ms, calls / took_s


async def _stream(process: psutil.Process, port: int, messages: int) -> float:
    """CPU microseconds per message of a server stream."""
    client = await connect(port)
    cpu_s = _cpu_s(process)
    ended = client.call(MESSAGES, WorkerListenRequest(worker_id=str(messages)).SerializeToString())
    client.flush()
    await ended
    cpu_s = _cpu_s(process) - cpu_s
    # grpc.aio sends a message as one DATA frame or more.
    assert client.messages >= messages, f"{client.messages} of {messages} messages arrived"
    client.close()
    return cpu_s / messages * 1e6


async def _idle(process: psutil.Process, port: int, streams: int, connections: int) -> float:
    """Kibibytes of resident memory per stream that is open and silent."""
    clients = [await connect(port) for _ in range(connections)]
    message = WorkerListenRequest(worker_id="w").SerializeToString()
    before = process.memory_info().rss
    opened: list[asyncio.Future[None]] = []
    while len(opened) < streams:
        # In small waves, because grpc's server sheds calls when very many come at once.
        for client in clients:
            opened += [client.call(SILENCE, message) for _ in range(5)]
            # Streams of a connection are read in order: this answer shows that those before it are there.
            ended = client.call(UNARY, b"")
            client.flush()
            await ended
    grown = process.memory_info().rss - before
    assert not any(ended.done() for ended in opened)
    for client in clients:
        client.close()
    await asyncio.gather(*opened, return_exceptions=True)
    return grown / len(opened) / 1024


async def _measure(name: str, scale: float) -> dict[str, tuple[str, float, bool]]:
    figures: dict[str, tuple[str, float, bool]] = {}
    with server(name) as (process, port):
        figures["memory per idle stream"] = ("KiB", await _idle(process, port, 2_000, 20), True)
    with server(name) as (process, port):
        for in_flight, calls in ((1, 3_000), (64, 15_000), (1000, 15_000)):
            cpu_us, latencies_ms, per_s = await _unary(process, port, int(calls * scale), in_flight)
            figures[f"unary, {in_flight} in flight: server CPU per call"] = ("µs", cpu_us, True)
            figures[f"unary, {in_flight} in flight: calls per second"] = ("", per_s, False)
            figures[f"unary, {in_flight} in flight: p50"] = ("ms", _percentile(latencies_ms, 0.5), True)
            figures[f"unary, {in_flight} in flight: p99"] = ("ms", _percentile(latencies_ms, 0.99), True)
        cpu_us, _, _ = await _unary(process, port, int(10_000 * scale), 64, with_deadlines=True)
        figures["unary, 64 in flight, deadlines that differ: server CPU per call"] = ("µs", cpu_us, True)
        figures["server stream: server CPU per message"] = (
            "µs",
            await _stream(process, port, int(50_000 * scale)),
            True,
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--scale", type=float, default=1.0, help="how many calls, relative to the default")
    parser.add_argument("--only", choices=CARRIERS, help="measure one carrier and print its figures")
    parser.add_argument("--serve", choices=CARRIERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(_serve(arguments.serve))
        return
    measured = {
        name: uvloop.run(_measure(name, arguments.scale)) for name in CARRIERS if arguments.only in (None, name)
    }
    if arguments.only:
        for name, (unit, value, _) in measured[arguments.only].items():
            print(f"{name}: {value:,.1f} {unit}")
        return
    rows = [
        Row(name, unit, {carrier: measured[carrier][name][1] for carrier in CARRIERS}, is_less_better)
        for name, (unit, _, is_less_better) in measured[CARRIERS[0]].items()
    ]
    if arguments.json:
        print(json.dumps([{"name": row.name, "unit": row.unit} | row.values for row in rows]))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {_cpu_model()}\n")
    print("| | ours | grpc.aio | better by |\n|---|---|---|---|")
    for row in rows:
        print(row.line())


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")


if __name__ == "__main__":
    main()
