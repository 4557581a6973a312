"""What the tests of the HTTP/2 carrier share: a server whose methods are plain bytes, and word of a missing Go."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty

from broadaxe.rpc.http2.carrier import Http2Carrier
from broadaxe.rpc.transport import (
    BidiMethod,
    Call,
    Code,
    Metadata,
    Method,
    Principal,
    RpcError,
    ServerStreamMethod,
    UnaryMethod,
)

PRINCIPAL = Principal("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002")

if shutil.which("go") is None:
    # Go is not asked of a machine that only builds Broadaxe. Everything else here runs without it.
    collect_ignore = ["test_interop_go.py"]
    warnings.warn("NO GO TOOLCHAIN: grpc-go and h2spec are NOT run against the carrier", stacklevel=1)


async def let_everyone_in(_: Metadata) -> Principal:
    return PRINCIPAL


@dataclass(slots=True)
class Methods:
    """The methods that every client plays with. Messages are raw bytes."""

    rendezvous_size: int = 2000
    hanging: int = 0
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no handler hangs any more."""
    _waiting: int = 0
    _all_there: asyncio.Event = field(default_factory=asyncio.Event)

    def all(self) -> tuple[Method, ...]:
        return (
            UnaryMethod("/test.Carrier/Echo", Empty, Empty, self.echo),
            UnaryMethod("/test.Carrier/Fail", Empty, Empty, self.fail),
            UnaryMethod("/test.Carrier/Hang", Empty, Empty, self.hang),
            UnaryMethod("/test.Carrier/Metadata", Empty, Empty, self.metadata),
            UnaryMethod("/test.Carrier/Rendezvous", Empty, Empty, self.rendezvous),
            ServerStreamMethod("/test.Carrier/Count", Empty, Empty, self.count),
            BidiMethod("/test.Carrier/Chat", Empty, Empty, self.chat),
            BidiMethod("/test.Carrier/Collect", Empty, Empty, self.collect),
            BidiMethod("/test.Carrier/FailLater", Empty, Empty, self.fail_later),
            BidiMethod("/test.Carrier/HangStream", Empty, Empty, self.hang_stream),
        )

    async def echo(self, frame: bytes, call: Call) -> bytes:
        return frame

    async def fail(self, frame: bytes, call: Call) -> bytes:
        raise RpcError(Code.FAILED_PRECONDITION, "naïve: 100 % \N{AXE}\n", (("detail-bin", b"\x00\xff\x10"),))

    async def metadata(self, frame: bytes, call: Call) -> bytes:
        trace = call.metadata["trace-bin"]
        assert isinstance(trace, bytes)
        return f"{call.metadata['authorization']} {trace.hex()}".encode()

    async def rendezvous(self, frame: bytes, call: Call) -> bytes:
        self._waiting += 1
        if self._waiting == self.rendezvous_size:
            self._waiting = 0
            self._all_there.set()
            self._all_there = asyncio.Event()
        else:
            await self._all_there.wait()
        return b""

    async def hang(self, frame: bytes, call: Call) -> bytes:
        self.hanging += 1
        self.let_go.clear()
        try:
            await asyncio.Event().wait()
        finally:
            self.hanging -= 1
            if not self.hanging:
                self.let_go.set()
        return b""

    async def count(self, frame: bytes, call: Call, send: Callable[[bytes], Awaitable[None]]) -> None:
        for number in range(int.from_bytes(frame, "big")):
            await send(number.to_bytes(4, "big") + b"x" * 500)

    async def chat(self, frames: AsyncIterator[bytes], call: Call, send: Callable[[bytes], Awaitable[None]]) -> None:
        async for frame in frames:
            await send(frame)
        await send(b"bye")

    async def collect(self, frames: AsyncIterator[bytes], call: Call, send: Callable[[bytes], Awaitable[None]]) -> None:
        sizes = [len(frame) async for frame in frames]
        await send(f"{len(sizes)} messages, {sum(sizes)} bytes".encode())

    async def fail_later(
        self, frames: AsyncIterator[bytes], call: Call, send: Callable[[bytes], Awaitable[None]]
    ) -> None:
        await send(b"one")
        await self.fail(b"", call)

    async def hang_stream(
        self, frames: AsyncIterator[bytes], call: Call, send: Callable[[bytes], Awaitable[None]]
    ) -> None:
        await send(b"started")
        await self.hang(b"", call)


@dataclass(frozen=True, slots=True)
class Served:
    carrier: Http2Carrier
    port: int
    methods: Methods

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a carrier with `Methods` and more, on a free port; takes what `Http2Carrier` takes."""
    async with AsyncExitStack() as stack:

        async def start(*more: Method, **options: object) -> Served:
            methods = Methods()
            carrier = Http2Carrier((*methods.all(), *more), let_everyone_in, "127.0.0.1", 0, **options)  # type: ignore[arg-type]
            port = await carrier.start()
            stack.push_async_callback(carrier.stop, 0.0)
            return Served(carrier, port, methods)

        yield start


#: What every client program under `clients/` plays.
CASES = {
    "unary",
    "empty",
    "gzip",
    "largest",
    "server stream",
    "client stream",
    "bidi",
    "failure",
    "failure in stream",
    "metadata",
    "unknown method",
    "deadline",
    "cancellation",
    "2000 at once",
}


@pytest.fixture
def failures() -> Callable[[str], dict[str, str]]:
    """Reads what a client program printed: the cases that failed, and those of `CASES` that it never played."""

    def read(output: str) -> dict[str, str]:
        told = {line["case"]: line["failure"] for line in map(json.loads, output.splitlines())}
        return {name: failure for name, failure in told.items() if failure} | dict.fromkeys(
            CASES - told.keys(), "was not played"
        )

    return read


Run = Callable[..., Awaitable[str]]


@pytest.fixture
def run() -> Run:
    """Runs a command that must succeed, and gives its standard output."""

    async def go(*command: str | Path, cwd: Path | None = None, timeout_s: float = 100.0, **env: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env={**os.environ, **env},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, errors = await asyncio.wait_for(process.communicate(), timeout_s)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        assert process.returncode == 0, f"{command[0]} failed:\n{out.decode()}\n{errors.decode()}"
        return out.decode()

    return go
