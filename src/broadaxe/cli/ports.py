"""Which ports are free, and who holds those that are not.

Owns the check before anything is started, so that a taken port costs the user one line and no half-started engine.
It cannot promise that a port stays free until the server binds it; the server's own error covers that instant.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from broadaxe import shared_ports
from broadaxe.config import Settings
from broadaxe.errors import ConfigurationError

__all__ = ["WantedPort", "claim", "holder_of", "kept", "wanted_ports"]


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A port somebody is going to listen on; number 0 stands for any free one."""

    number: int
    purpose: str
    flag: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that listens on a port."""

    pid: int
    description: str


def wanted_ports(settings: Settings) -> tuple[WantedPort, WantedPort, WantedPort]:
    """Those of an engine: gRPC, HTTP, link."""
    return (
        WantedPort(settings.grpc_port, "gRPC", "--grpc-port"),
        WantedPort(settings.http_port, "HTTP", "--http-port"),
        WantedPort(settings.link_port, "link", "--link-port"),
    )


def claim(host: str, wanted: Sequence[WantedPort]) -> list[int]:
    """The numbers to use, in the order asked for. Raises ConfigurationError that names every port that is taken, by
    another process or by one asked for before it."""
    mistakes: list[str] = []
    numbers: list[int] = []
    with contextlib.ExitStack() as held:
        # All are held until the last is found, so that two zeros get two different ports.
        for port in wanted:
            if port.number in numbers:
                mistakes.append(f"port {port.number} ({port.purpose}) is wanted twice; choose another with {port.flag}")
                continue
            try:
                listener = held.enter_context(_bound(host, port.number))
            except OSError as error:
                mistakes.append(_explained(host, port, error))
            else:
                numbers.append(int(listener.getsockname()[1]))
    if mistakes:
        raise ConfigurationError("\nbroadaxe: ".join(mistakes), field=wanted[0].flag)
    return numbers


@contextlib.contextmanager
def kept(host: str, numbers: Sequence[int]) -> Iterator[None]:
    """Keeps ports for processes of this user that share them (SO_REUSEPORT), whether or not one listens."""
    with contextlib.ExitStack() as held:
        for number in numbers:
            held.enter_context(_bound(host, number, is_shared=True))
        yield


def holder_of(number: int) -> Holder | None:
    """The process that listens on a port, if it can be seen from here."""
    import psutil

    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return None
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        if connection.laddr.port == number and connection.pid:
            with contextlib.suppress(psutil.Error):
                words = psutil.Process(connection.pid).cmdline()
                text = " ".join(words) or psutil.Process(connection.pid).name()
                return Holder(connection.pid, text if len(text) <= 80 else text[:77] + "...")
            return Holder(connection.pid, "")
    return None


def _bound(host: str, number: int, *, is_shared: bool = False) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # Connections of an engine that stopped a moment ago must not count as a port in use.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            shared_ports.share(listener)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _explained(host: str, port: WantedPort, error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"this machine has no address {host!r} to listen on; choose another with --host"
    if error.errno == errno.EACCES:
        return f"port {port.number} ({port.purpose}) needs privileges; choose one above 1023 with {port.flag}"
    if error.errno != errno.EADDRINUSE:
        return f"cannot listen on {host} port {port.number} ({port.purpose}): {error.strerror}; see {port.flag}"
    holder = holder_of(port.number)
    who = "taken by another process" if holder is None else f"taken by process {holder.pid} ({holder.description})"
    return f"port {port.number} ({port.purpose}) is {who}; stop it, or choose another port with {port.flag}"
