"""A line between two parties whose weather can be changed while they talk: a TCP proxy in the harness' event loop."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from contextlib import suppress
from typing import Final

from tests.chaos.plan import Weather

LATENCY_S: Final = (0.02, 0.08)
PIECE_BYTES: Final = 61
CHUNK_BYTES: Final = 65_536


class Proxy:
    """Listens on a port of its own and forwards to `target`, a port of this machine or the path of a socket."""

    def __init__(self, target: int | str) -> None:
        self._target = target
        self._random = random.Random(0)
        self._weather = Weather.CALM
        self._clear = asyncio.Event()
        self._clear.set()
        self._conversations: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    def become(self, weather: Weather) -> None:
        """From now on the line is like this. `RESET` breaks all connections at once, and each new one."""
        self._weather = weather
        if weather.cuts:
            self._clear.clear()
        else:
            self._clear.set()
        if weather is Weather.RESET:
            self.reset()

    def lead_to(self, target: int | str) -> None:
        """From now on connections that are made go there; those there are stay where they are."""
        self._target = target

    def reset(self) -> None:
        for writer in self._writers:
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation is not None
        self._conversations.add(conversation)
        try:
            await self._converse(reader, writer)
        except asyncio.CancelledError:
            pass  # the proxy stops; asyncio would report a handler that ends in a cancellation
        finally:
            self._conversations.discard(conversation)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._weather is Weather.BLACKHOLE:
            await self._clear.wait()
        try:
            if self._weather is Weather.RESET:
                raise ConnectionResetError
            far_reader, far_writer = await self._open()
        except OSError:
            _reset(writer)
            return
        self._writers |= {writer, far_writer}
        there = asyncio.create_task(self._carry(reader, far_writer, Weather.HALF_OPEN))
        back = asyncio.create_task(self._carry(far_reader, writer, Weather.DEAF))
        try:
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in (there, back):
                way.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            self._writers -= {writer, far_writer}
            for end in (writer, far_writer):
                end.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, int):
            return await asyncio.open_connection("127.0.0.1", self._target)
        return await asyncio.open_unix_connection(self._target)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, one_way: Weather) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                while self._weather in (Weather.BLACKHOLE, one_way):
                    await self._clear.wait()
                if self._weather is Weather.SLOW:
                    await asyncio.sleep(self._random.uniform(*LATENCY_S))
                if self._weather is Weather.TRICKLE:
                    for start in range(0, len(data), PIECE_BYTES):
                        writer.write(data[start : start + PIECE_BYTES])
                        await writer.drain()
                        await asyncio.sleep(0)
                else:
                    writer.write(data)
                    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection as a crash does: the other side is told RST, and what was under way is lost."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.family == socket.AF_INET:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
