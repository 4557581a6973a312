"""A node of the arena: an engine process with a line to everybody it speaks with.

callers, workers --(client_line)--> engine --(database_line)--> PostgreSQL
              other nodes --(link_line)--> engine
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from tests.chaos.proxy import Proxy

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "wire"), str(ROOT / "bench")]

from wirekit import EngineProcess, Rest  # noqa: E402 the path to it has only now been laid
from wirekit.engine_process import free_port  # noqa: E402


class Node:
    """Called by its `name` in logs; `directory` is for it alone."""

    def __init__(self, name: str, directory: Path, dsn: str, clock: Path, standby: int | None = None) -> None:
        """`standby` is the port of the server that may be promoted."""
        self.name = name
        self._directory = directory
        self._dsn = dsn
        self._clock = clock
        self.database_line = Proxy(_server_of(dsn))
        self._standby_line = None if standby is None else Proxy(standby)
        self._link_port = free_port()
        self.link_line = Proxy(self._link_port)
        self.client_line: Proxy
        self.engine: EngineProcess

    async def start(self, sources: Path) -> None:
        """With the engine of this source tree."""
        await self.database_line.start()
        if self._standby_line is not None:
            await self._standby_line.start()
        await self.link_line.start()
        link = {"BROADAXE_LINK_PORT": str(self._link_port), "BROADAXE_PUBLIC_LINK": self.link_address}
        self.engine = self._new_engine(self._directory, sources, link)
        await self.engine.start()
        self.client_line = Proxy(self.port)
        await self.client_line.start()

    async def stop(self) -> None:
        # What a failed start did not bring up needs no end.
        with suppress(AttributeError):
            self.engine.resume()
            await self.engine.dispose()
            await self.client_line.stop()
        await self.link_line.stop()
        await self.database_line.stop()
        if self._standby_line is not None:
            await self._standby_line.stop()

    def newer_engine(self, directory: Path, sources: Path) -> EngineProcess:
        """Not started yet. It is to take over from the one that runs: on the same lines, but with a link of its own."""
        return self._new_engine(directory, sources, {})

    def _new_engine(self, directory: Path, sources: Path, link: Mapping[str, str]) -> EngineProcess:
        directory.mkdir(parents=True, exist_ok=True)
        shift = Path(__file__).parent / "clock_shift"
        return EngineProcess(
            directory,
            _through(self._dsn, self.database_line, self._standby_line),
            environment={"CHAOS_CLOCK": str(self._clock), "PYTHONPATH": python_path(shift, sources), **link},
        )

    @property
    def port(self) -> int:
        return int(self.engine.address.rpartition(":")[2])

    @property
    def link_address(self) -> str:
        """Where the other nodes reach it."""
        return f"127.0.0.1:{self.link_line.port}"

    @property
    def client_address(self) -> str:
        """Where workers and callers reach it."""
        return f"127.0.0.1:{self.client_line.port}"

    def rest(self) -> Rest:
        return Rest(self.engine.url, self.engine.token, self.engine.client().tenant_id)


def python_path(*first: Path) -> str:
    return os.pathsep.join(filter(None, (*map(str, first), os.environ.get("PYTHONPATH"))))


def _server_of(dsn: str) -> int | str:
    """The server's port, or the path of its socket: an embedded server has no other way in."""
    parts = urlsplit(dsn)
    if parts.port is not None:
        return parts.port
    query = parse_qs(parts.query)
    return f"{query['host'][0]}/.s.PGSQL.{query.get('port', ['5432'])[0]}"


def _through(dsn: str, line: Proxy, standby: Proxy | None) -> str:
    """The same database, over these lines."""
    parts = urlsplit(dsn)
    netloc = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{line.port}"
    if standby is None:
        return urlunsplit(parts._replace(netloc=netloc, query=""))
    return urlunsplit(
        parts._replace(netloc=f"{netloc},127.0.0.1:{standby.port}", query="target_session_attrs=read-write")
    )
