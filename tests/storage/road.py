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
        self._host = options["host"][0] if "host" in options else parts.hostname or "127.0.0.1"
        self._port = options["port"][0] if "port" in options else str(parts.port or 5432)
        self._here = directory / f".s.PGSQL.{self._port}"
        # A host before the path would be asked instead of the one behind it.
        user = parts.netloc.rpartition("@")[0]
        self.dsn = f"postgresql://{user}@{parts.path}?host={directory}&port={self._port}"
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
        if self._host.startswith("/"):
            there, back = await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        else:
            there, back = await asyncio.open_connection(self._host, int(self._port))
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
