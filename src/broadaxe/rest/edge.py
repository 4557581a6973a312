"""The HTTP edge of a running engine: open at once, with its code coming after.

Importing the application (FastAPI, the shapes of every answer, the routes) takes two thirds of what a start costs, and
workers and callers over gRPC need none of it. So the port is open from the beginning; the application is imported and
built in a thread, when the engine has nothing better to do or when the first request comes, whichever is earlier.
Owns the settings of the edge until then and afterwards. Invariant: a request is answered by the application or, if
that cannot be built, by an error; none is refused because it came early. Only whether the process is alive is answered
here until then: whoever watches it asks early, and does not wait long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import structlog

from broadaxe.importing import giving_way, kept
from broadaxe.rest.settings import Entry, HttpSettings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

__all__ = ["HttpEdge"]

#: Where a supervisor asks whether the process can answer at all.
LIVE: Final = "/api/live"

_log = structlog.get_logger(__name__)


class HttpEdge:
    """An ASGI application. `build` makes the real one and is called in a thread, once."""

    def __init__(self, settings: HttpSettings, build: Callable[[HttpSettings], FastAPI]) -> None:
        self._settings = settings
        self._build = build
        self._app: FastAPI | None = None
        self._loading: asyncio.Task[FastAPI] | None = None
        self._has_ended = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if app is None and scope["type"] == "http" and scope["path"] == LIVE:
            await _alive(send)
            return
        if app is None:
            # Shielded: others wait for it too, if this request is given up.
            app = await asyncio.shield(self.load())
        await app(scope, receive, send)

    def load(self) -> asyncio.Task[FastAPI]:
        """Begin to import and build the application, unless that was begun already."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), name="http-edge")
        return self._loading

    def readdress(self, *, server_url: str, grpc_address: str) -> None:
        """Tells the application its addresses once they are known, when it listens on a port the system picked."""
        self._change(server_url=server_url, grpc_address=grpc_address)

    def admit(self, entry: Entry, cookie_name: str) -> None:
        """Lets browsers in by a link from here on. Browsers do not tell the ports of a host apart, so engines that
        share a host need cookies of different names."""
        self._change(entry=entry, cookie_name=cookie_name)

    def end_streams(self) -> None:
        """Ends what would never end by itself, before a stop waits for requests."""
        self._has_ended = True
        if self._app is not None:
            from broadaxe.rest.app import end_streams

            end_streams(self._app)

    def _change(self, **changes: Any) -> None:
        self._settings = replace(self._settings, **changes)
        if self._app is not None:
            from broadaxe.rest.app import settle

            settle(self._app, self._settings)

    async def _load(self) -> FastAPI:
        try:
            app = await asyncio.to_thread(self._made)
        except Exception:
            _log.exception("the HTTP application could not be loaded; every request will fail")
            raise
        self._app = app
        self._change()
        if self._has_ended:
            self.end_streams()
        return app

    def _made(self) -> FastAPI:
        with giving_way(), kept():
            return self._build(self._settings)


async def _alive(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
