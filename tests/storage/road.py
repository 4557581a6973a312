"""A road to PostgreSQL that can be closed: a relay of bytes before the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_PIECE_SIZE_BYTES = 65_536


class Road:
    """`dsn` leads over the road. While it is closed connections are refused and those there were are cut."""

    def __init__(self, server_dsn: str, directory: Path) -> None:
        parts = urlsplit(server_dsn)
        options = parse_qs(parts.query)
        self._port = options["port"][0]
        self._server = f"{options['host'][0]}/.s.PGSQL.{self._port}"
        self._here = directory / f".s.PGSQL.{self._port}"
        self.dsn = f"postgresql://{parts.netloc}{parts.path}?host={directory}&port={self._port}"
        self._listener: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._here.unlink(missing_ok=True)
        self._listener = await asyncio.start_unix_server(self._carry, self._here)

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._here.unlink(missing_ok=True)
        for end in list(self._ends):
            end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._server)
        self._ends |= {writer, back}
        await asyncio.gather(_pour(reader, back), _pour(there, writer))
        self._ends -= {writer, back}


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(_PIECE_SIZE_BYTES):
            target.write(piece)
            await target.drain()
    target.close()


@asynccontextmanager
async def road_to(server_dsn: str, directory: Path) -> AsyncIterator[Road]:
    """An open road."""
    road = Road(server_dsn, directory)
    await road.open()
    try:
        yield road
    finally:
        await road.close()
