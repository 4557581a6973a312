"""An HTTP receiver on this machine that does what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

PATIENCE_S = 60.0


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        return msgspec.json.decode(self.body, type=dict[str, object])


@dataclass
class Receiver:
    """`answers` are given in their order, the last one for ever; None is no answer at all."""

    port: int = 0
    answers: list[int | None] = field(default_factory=lambda: [200])
    requests: asyncio.Queue[Request] = field(default_factory=asyncio.Queue)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, those that got no answer get 200."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?team=1"

    async def next(self) -> Request:
        async with asyncio.timeout(PATIENCE_S):
            return await self.requests.get()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                lines = (line.partition(": ") for line in head[1:] if line)
                headers = {name.lower(): value for name, _, value in lines}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                self.requests.put_nowait(Request(head[0].split(" ")[1], headers, body))
                if answer is None:
                    await self.let_go.wait()
                    answer = 200
                where = f"location: http://127.0.0.1:{self.port}/elsewhere\r\n" if answer in (302, 307) else ""
                text = "no \x00 luck" if answer >= 400 else ""
                writer.write(f"HTTP/1.1 {answer} X\r\n{where}content-length: {len(text)}\r\n\r\n{text}".encode())
                await writer.drain()
        writer.close()


@asynccontextmanager
async def receiver(*answers: int | None) -> AsyncIterator[Receiver]:
    found = Receiver()
    if answers:
        found.answers = list(answers)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        found.let_go.set()
        server.close()
