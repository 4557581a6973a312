"""The carrier of the engine: gRPC over HTTP/2 on asyncio, with nothing under it but sockets and HPACK.

Owns the listening sockets, TLS, the set of connections, and an orderly stop. Refuses: knowing any service, parsing any
message, deciding which error means what (`statuses` does).

Invariants beyond those of `transport`:

- calls are refused before handlers are told to drain. In the other order a client whose stream just ended would find
  the door still open and come back at once, again and again.
- two processes share a port only if both say so: a second engine fails to start instead of stealing calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog

from broadaxe import shared_ports
from broadaxe.errors import ConfigurationError
from broadaxe.rpc.http2.calls import GOING_AWAY, Serving
from broadaxe.rpc.http2.connection import Limits
from broadaxe.rpc.http2.link import Link
from broadaxe.rpc.transport import Authenticate, Method, Watch, Witness

__all__ = ["Http2Carrier", "Limits", "server_tls_context"]

log = structlog.get_logger(__name__)

CONNECTIONS_MAX: Final = 10_000
_BACKLOG: Final = 1_024
#: After the grace, how long cancelled handlers may take to let go, and then clients to take the last bytes.
_LET_GO_S: Final = 1.0
_LAST_BYTES_S: Final = 1.0
_TLS_WARNING_EVERY_S: Final = 60.0


class Http2Carrier:
    """Serves `methods` on `host:port`; port 0 lets the system choose. In plaintext unless `tls` is given."""

    def __init__(
        self,
        methods: Iterable[Method],
        authenticate: Authenticate,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        watch: Watch | None = None,
        witness: Witness | None = None,
        limits: Limits | None = None,
        connections_max: int = CONNECTIONS_MAX,
        shares_port: bool = False,
    ) -> None:
        """`shares_port`: other processes that say the same may listen on it too, and each gets a part of the
        connections."""
        by_path: dict[str, Method] = {}
        for method in methods:
            if method.path in by_path:
                raise ValueError(f"two methods are registered for the path {method.path}")
            by_path[method.path] = method
        self._serving = Serving(by_path, authenticate, watch, witness)
        self._host = host
        self._port = port
        self._tls = tls
        self._limits = limits or Limits()
        self._connections_max = connections_max
        self._shares_port = shares_port
        self._servers: list[asyncio.Server] | None = None
        self._links: set[Link] = set()
        self._all_lost = asyncio.Event()
        self._all_lost.set()
        self._stopping: asyncio.Task[None] | None = None
        self._is_refusing = False
        self._tls_warned_at: float | None = None

    async def start(self) -> int:
        """Listens and returns the port. Raises `ConfigurationError` when the address cannot be had."""
        if self._servers is not None:
            raise RuntimeError("this carrier was started before; make a new one")
        loop = asyncio.get_running_loop()
        listeners = await _listen(self._host, self._port, self._shares_port)
        port: int = listeners[0].getsockname()[1]
        self._servers = [
            await loop.create_server(
                lambda: Link(self, self._serving, self._limits, loop), sock=listener, ssl=self._tls, backlog=_BACKLOG
            )
            for listener in listeners
        ]
        return port

    async def stop(self, grace_s: float) -> None:
        """See `transport.Carrier.stop`. Takes at most about `grace_s` and two seconds."""
        if self._servers is None:
            return
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(self._servers, grace_s))
        await asyncio.shield(self._stopping)

    async def _stop(self, servers: list[asyncio.Server], grace_s: float) -> None:
        self._is_refusing = True
        for server in servers:
            server.close()
        for link in list(self._links):
            link.go_away()
        self._serving.draining.set()
        await _wait(self._serving.all_let_go, grace_s)
        stubborn = sum(link.end_calls(GOING_AWAY) for link in list(self._links))
        if stubborn:
            log.warning("rpc calls outlived the shutdown grace and are ended", calls=stubborn, grace_s=grace_s)
            await _wait(self._serving.all_let_go, _LET_GO_S)
        for link in list(self._links):
            link.close()
        await _wait(self._all_lost, _LAST_BYTES_S)
        for link in list(self._links):
            link.abort()
        await _wait(self._all_lost, _LAST_BYTES_S)

    # What connections say ------------------------------------------------------------------------------------------

    def admits(self, link: Link) -> bool:
        """Called by a connection when it is made. One that is not admitted must close, and is not counted."""
        if self._is_refusing:
            return False
        if len(self._links) >= self._connections_max:
            log.warning("a gRPC connection was refused", peer=link.peer, connections_max=self._connections_max)
            return False
        self._links.add(link)
        self._all_lost.clear()
        return True

    def link_lost(self, link: Link) -> None:
        self._links.discard(link)
        if not self._links:
            self._all_lost.set()

    def warn_of_tls(self, peer: str) -> None:
        """The most frequent mistake of new users; SDKs only say that they cannot connect, and go on trying."""
        now = asyncio.get_running_loop().time()
        if self._tls_warned_at is None or now - self._tls_warned_at >= _TLS_WARNING_EVERY_S:
            self._tls_warned_at = now
            log.warning(
                "a client speaks TLS to this plaintext port; set HATCHET_CLIENT_TLS_STRATEGY=none for it", peer=peer
            )


def server_tls_context(certificate: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """A context for `Http2Carrier(tls=...)`; with `client_ca`, clients must show a certificate that it signed.

    Raises `ConfigurationError` when a file is missing or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    for file in (certificate, key, client_ca):
        if file is not None and not file.is_file():
            raise ConfigurationError(f"cannot serve gRPC over TLS: there is no file {file}")
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"cannot serve gRPC over TLS: {certificate} and {key} are not a certificate chain and its key in PEM"
        ) from error
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(f"cannot check gRPC clients: {client_ca} holds no certificates in PEM") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout_s)


async def _listen(host: str, port: int, shares_port: bool) -> list[socket.socket]:
    """A bound socket for every address of `host`, all on one port."""
    try:
        candidates = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as error:
        raise ConfigurationError(f"cannot listen for gRPC: {host} is not an address of this machine") from error
    listeners: list[socket.socket] = []
    families = {family for family, *_ in candidates}
    try:
        for family, kind, protocol, _, address in dict.fromkeys(candidates):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setblocking(False)
            # Connections of the last process in TIME_WAIT do not count as taking the port; a listening one does.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shares_port:
                shared_ports.share(listener)
            if family == socket.AF_INET6 and socket.AF_INET in families:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if len(listeners) > 1:
                # The system chose a port for the first; the others follow.
                address = (address[0], listeners[0].getsockname()[1], *address[2:])
            listener.bind(address)
            listener.listen(_BACKLOG)
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise ConfigurationError(_bind_advice(host, port, error)) from error
    return listeners


def _bind_advice(host: str, port: int, error: OSError) -> str:
    place = f"cannot listen for gRPC on {host} port {port}: "
    match error.errno:
        case errno.EADDRINUSE:
            return place + "the port is taken; stop the program that has it, or choose another port"
        case errno.EACCES:
            return place + "this user may not use that port; choose one above 1023"
        case errno.EADDRNOTAVAIL:
            return place + "that is not an address of this machine"
        case _:
            return place + (os.strerror(error.errno) if error.errno else str(error))
