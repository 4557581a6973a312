"""Runs the HTTP application inside the engine's event loop.

Owns one listening socket and uvicorn around it. Refuses a port that is taken, with a message that names it. Unlike
uvicorn by itself it installs no signal handlers and no log configuration. Invariants: `start` returns when requests are
accepted; `stop` returns within `GRACE_S` and a moment, whatever open streams do, and may be called twice.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import uvicorn

from broadaxe import shared_ports
from broadaxe.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["HttpServer"]

GRACE_S: Final = 5
BACKLOG: Final = 1024
#: Request line and headers together. A list of a thousand ids in an address takes about 60 kB.
HEADERS_BYTES_MAX: Final = 256 * 1024


class HttpServer:
    def __init__(self, *, grace_s: int = GRACE_S) -> None:
        self._grace_s = grace_s
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, app: ASGIApp, host: str, port: int, *, shares_port: bool = False) -> int:
        """Listens on `host` and `port` (0 picks a free one) and returns the port. `shares_port`: other processes that
        say the same may listen on it too, and each gets a part of the connections."""
        assert self._task is None, "an HttpServer starts once"
        listener = _listen(host, port, shares_port)
        config = uvicorn.Config(
            app,
            loop="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=HEADERS_BYTES_MAX,
            timeout_graceful_shutdown=self._grace_s,
        )
        self._server = _Server(config)
        self._task = asyncio.get_running_loop().create_task(self._server.serve([listener]), name="http-server")
        started = asyncio.create_task(self._server.is_started.wait())
        await asyncio.wait({started, self._task}, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if self._task.done():
            await self._task
            raise ConfigurationError(f"the HTTP server on port {port} ended before it started; see the log")
        bound: int = listener.getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stops accepting, lets requests finish within the grace period, then cancels what is left."""
        task, server = self._task, self._server
        if task is None or server is None:
            return
        server.should_exit = True
        done, _ = await asyncio.wait({task}, timeout=self._grace_s + 1)
        if not done:
            server.force_exit = True
            done, _ = await asyncio.wait({task}, timeout=1)
        if not done:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        self._task = None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_started = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_started.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals belong to the command line, which stops the parts in order.
        yield


def _listen(host: str, port: int, shares_port: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off only where it is: without it every answer on a
    # connection that is used again waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares_port:
            shared_ports.share(listener)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        reason = "is taken by another process" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
        raise ConfigurationError(f"HTTP port {port} on {host} {reason}; choose another", field="http_port") from None
    return listener
