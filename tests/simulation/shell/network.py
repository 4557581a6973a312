"""The network between the nodes of a shell's life, under the real `link` code.

A connection delivers bytes in order and cut anywhere, each direction with its own delays; nothing is ordered between
connections. It may break, which both sides learn at times of their own or never, and two nodes may be cut off from each
other: then what is written waits, as a kernel would send it again, and who connects waits until it gives up. What a
frozen process is sent waits for it.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any, Final, cast

from tests.simulation.shell.loop import WORLD, running_in

#: Longest way of a piece, unless the network is slow.
LATENCY_S: Final = 0.004
#: Pieces of one direction are never due at one instant: timers of one instant have no order.
STEP_S: Final = 1e-6
PIECES_MAX: Final = 4

Factory = Callable[[], asyncio.BaseProtocol]


class Network:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(f"{seed}/network")
        self.latency_s = LATENCY_S
        self.splitting = 0.2
        """The part of writes that arrive in pieces."""
        self.bytes = 0
        """Written so far."""
        self._servers: dict[str, _Server] = {}
        self._ends: dict[_End, None] = {}
        self._cut_until_s: dict[frozenset[str], float] = {}

    # Faults ----------------------------------------------------------------------------------------------------------

    def cut(self, one: str, other: str, until_s: float) -> None:
        """No packet passes between the two until then."""
        self._cut_until_s[frozenset((one, other))] = until_s

    def cut_until_s(self, one: str, other: str) -> float:
        return self._cut_until_s.get(frozenset((one, other)), 0.0)

    def heal(self) -> None:
        self._cut_until_s.clear()
        self.latency_s = LATENCY_S

    def break_connections(self, one: str, other: str) -> None:
        """All connections between the two are reset; now and then a side learns of it late, or only by the silence."""
        for end in list(self._ends):
            if end.name == one and end.peer.name == other:
                end.reset(self._noticed_after_s())
                end.peer.reset(self._noticed_after_s())

    def _noticed_after_s(self) -> float | None:
        return self.random.choice((0.0, 0.0, 0.0, 0.5, None))

    def kill(self, name: str, *, silently: bool) -> None:
        """The process is gone, and with it its sockets; `silently`: with its machine, so that nobody is told."""
        self._servers.pop(name, None)
        for end in list(self._ends):
            if end.name == name:
                end.die()
                end.peer.reset(None if silently else self.random.uniform(0, self.latency_s))

    # Sockets ----------------------------------------------------------------------------------------------------------

    def listen(self, factory: Factory, name: str) -> _Server:
        server = self._servers[name] = _Server(self, name, factory)
        return server

    def unlisten(self, server: _Server) -> None:
        if self._servers.get(server.name) is server:
            del self._servers[server.name]

    async def connect(self, factory: Factory, name: str) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        runner = running_in.get()
        assert runner is not None
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.random.uniform(0, self.latency_s))
        if (until_s := self.cut_until_s(runner.name, name)) > loop.time():
            await asyncio.sleep(until_s - loop.time() + self.random.uniform(0, 1))
        server = self._servers.get(name)
        if server is None:
            raise ConnectionRefusedError(f"nobody listens at {name}")
        near, far = _End(self, runner.name), _End(self, name)
        near.peer, far.peer = far, near
        self._ends[near] = self._ends[far] = None
        far.begin(server.factory, server.context)
        await asyncio.sleep(self.random.uniform(0, self.latency_s))
        if near.is_closing():
            raise ConnectionResetError("the connection was reset")
        protocol = near.begin_here(factory)
        return near, protocol

    def forget(self, end: _End) -> None:
        self._ends.pop(end, None)

    def pieces(self, data: bytes) -> list[bytes]:
        self.bytes += len(data)
        if self.random.random() >= self.splitting or len(data) < 2:
            return [data]
        count = self.random.randint(1, PIECES_MAX - 1)
        places = sorted({0, *(self.random.randrange(1, len(data)) for _ in range(count)), len(data)})
        return [data[start:end] for start, end in itertools.pairwise(places)]


class _Server:
    def __init__(self, network: Network, name: str, factory: Factory) -> None:
        self._network = network
        self.name = name
        self.factory = factory
        self.context = contextvars.copy_context()
        self.sockets = [self]

    def getsockname(self) -> tuple[str, int]:
        return self.name, 1

    def close(self) -> None:
        self._network.unlisten(self)


class _End(asyncio.Transport):
    """One side of a connection."""

    peer: _End

    def __init__(self, network: Network, name: str) -> None:
        super().__init__()
        self._network = network
        self.name = name
        self._protocol: asyncio.Protocol | None = None
        self._context = contextvars.copy_context()
        self._sent: deque[bytes | None] = deque()
        """On its way to the peer; None is the end."""
        self._early: list[bytes] = []
        """What came before whoever connects had its protocol."""
        self._waiting_bytes = 0
        self._due_at_s = 0.0
        self._is_closed = False
        """Nothing is written any more, and nothing is heard."""

    # As a transport ---------------------------------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        if not self._is_closed:
            self._waiting_bytes += len(data)
            for piece in self._network.pieces(bytes(data)):
                self._send(piece)

    def get_write_buffer_size(self) -> int:
        return self._waiting_bytes

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._send(None)
            self._tell(self._lose, None)

    def is_closing(self) -> bool:
        return self._is_closed

    # As the network has it --------------------------------------------------------------------------------------------

    def begin(self, factory: Factory, context: contextvars.Context) -> None:
        """A connection is accepted, when the process gets to it."""
        self._context = context
        self._tell(self.begin_here, factory)

    def begin_here(self, factory: Factory) -> asyncio.BaseProtocol:
        protocol = factory()
        self._protocol = cast(asyncio.Protocol, protocol)
        protocol.connection_made(self)
        early, self._early = self._early, []
        for piece in early:
            self._hear(piece)
        return protocol

    def reset(self, noticed_after_s: float | None) -> None:
        """What is on its way is lost, and nothing is sent any more."""
        self._sent.clear()
        self._waiting_bytes = 0
        self._network.forget(self)
        if noticed_after_s is not None:
            asyncio.get_running_loop().call_later(noticed_after_s, self._be_reset, context=WORLD)

    def die(self) -> None:
        """Its process is gone: nobody hears of anything."""
        self._is_closed = True
        self._sent.clear()
        self._network.forget(self)

    def _be_reset(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._tell(self._lose, ConnectionResetError("the connection was reset"))

    def _send(self, piece: bytes | None) -> None:
        if self not in self._network._ends:
            # Nobody is there; that is noticed by the silence.
            return
        self._sent.append(piece)
        loop = asyncio.get_running_loop()
        self._due_at_s = max(self._due_at_s + STEP_S, loop.time() + self._network.random.uniform(0, self._latency_s()))
        loop.call_at(self._due_at_s, self._arrive, context=WORLD)

    def _latency_s(self) -> float:
        return self._network.latency_s

    def _arrive(self) -> None:
        """One piece gets there, the one that was sent first."""
        loop = asyncio.get_running_loop()
        until_s = self._network.cut_until_s(self.name, self.peer.name)
        if until_s > loop.time():
            loop.call_at(until_s + self._network.random.uniform(0, 1), self._arrive, context=WORLD)
            return
        if not self._sent:
            return
        piece = self._sent.popleft()
        if piece is None:
            self._network.forget(self)
            self.peer._tell(self.peer._hear_end)
        else:
            self._waiting_bytes -= len(piece)
            self.peer._tell(self.peer._hear, piece)

    def _tell(self, what: Callable[..., object], *arguments: object) -> None:
        asyncio.get_running_loop().call_soon(what, *arguments, context=self._context)

    def _hear(self, piece: bytes) -> None:
        if self._is_closed:
            return
        if self._protocol is None:
            self._early.append(piece)
        else:
            self._protocol.data_received(piece)

    def _hear_end(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._network.forget(self)
            self._lose(None)

    def _lose(self, error: Exception | None) -> None:
        if self._protocol is not None:
            self._protocol.connection_lost(error)
