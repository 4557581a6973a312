"""Where other nodes reach the tenants of this one.

An edge like those for gRPC and HTTP: it translates frames into calls of the engine, and tells guests what concerns
them. Owns the listening socket, and of each connection the channels with their guests. At most `CALLS_MAX` calls of a
connection are under way at a time: a visitor bounds its own callers, and one that does not is hung up on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from broadaxe.core.commands import Reply
from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.decision import MessageRow, RunFinished, RunStarted, TaskProgressed, TopicGrew
from broadaxe.engine.changes import Kind as ChangeKind
from broadaxe.engine.durable_streams import Answer
from broadaxe.engine.engine import Engine
from broadaxe.engine.guests import Guest, RunNews
from broadaxe.engine.sessions import Outgoing
from broadaxe.engine.subscriptions import RunOutcome
from broadaxe.engine.topics import LIVE_BYTES_MAX
from broadaxe.errors import BroadaxeError, ConfigurationError, HeldElsewhere, Internal, ShuttingDown
from broadaxe.link.connection import Connection
from broadaxe.link.tls import LinkTls
from broadaxe.link.wire import (
    EPOCH,
    METADATA_MINOR,
    TOPICS_MINOR,
    Chunk,
    Fired,
    Frame,
    Kind,
    Over,
    Packed,
    pack,
    pack_answer,
    unpack,
)
from broadaxe.loops import Loops
from broadaxe.metrics import Tallies

__all__ = ["Host"]

CALLS_MAX: Final = 200_000

_log = structlog.get_logger(__name__)


class Host:
    def __init__(self, engine: Engine, secret: bytes, tallies: Tallies | None = None) -> None:
        """`tallies` are what this process has counted."""
        self._engine = engine
        self._tallies = tallies or Tallies()
        self._secret = secret
        self._servers: list[asyncio.Server] = []
        self._visits: set[_Visit] = set()

    async def start(self, host: str, port: int, tls: LinkTls | None = None) -> int:
        """Listens; returns the port. Raises ConfigurationError where it cannot."""
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(self._accept, host, port, ssl=None if tls is None else tls.accepting)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            message = f"cannot listen for the other nodes on {host} port {port}: {reason}; choose another --link-port"
            raise ConfigurationError(message, field="link_port") from None
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def start_for_edges(self, path: Path) -> None:
        """Listens on a socket of this machine; one that an earlier process left there is replaced."""
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_unix_server(lambda: self._accept(is_edge=True), path))

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for visit in list(self._visits):
            visit.connection.close("the node stops")
            await visit.closed()

    def _accept(self, *, is_edge: bool = False) -> Connection:
        connection = Connection(self._secret, is_caller=False)
        visit = _Visit(self._engine, connection, self._visits.discard, self._tallies, is_edge=is_edge)
        self._visits.add(visit)
        connection.on_proved = lambda: self._end_older(visit)
        return connection

    def _end_older(self, newest: _Visit) -> None:
        """A visitor makes a link when it has given up the one before. What that one still brings has been asked for
        again, or soon will be."""
        caller = newest.connection.caller
        older = [visit for visit in self._visits if visit is not newest and visit.connection.caller == caller]
        for visit in older if caller else ():
            visit.connection.close("the other node has a newer link")


class _Visit:
    """One connection, by which another node reaches tenants here."""

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        on_end: Callable[[_Visit], None],
        tallies: Tallies,
        *,
        is_edge: bool,
    ) -> None:
        self._engine = engine
        self._tallies = tallies
        self._is_edge = is_edge
        self.connection = connection
        self._on_end = on_end
        self._channels: dict[int, _Channel] = {}
        self._loops = Loops("link")
        connection.on_frame = self._take
        connection.on_end = self._end

    async def closed(self) -> None:
        await self._loops.close()

    def _take(self, frame: Frame) -> None:
        if frame.kind is Kind.ATTACH:
            channel = _Channel(self._engine, self.connection, frame.channel, frame.name, is_edge=self._is_edge)
            self._channels[frame.channel] = channel
            self._go(frame, channel.attach(frame))
            return
        if frame.kind is Kind.PREPARE:
            self._go(frame, self._prepare(frame.name))
            return
        if frame.kind is Kind.TALLIES:
            self._go(frame, self._count())
            return
        found = self._channels.get(frame.channel)
        if found is None:
            if frame.number:
                self.connection.post(Kind.AGAIN, frame.channel, frame.number)
            return
        if frame.kind is Kind.DETACH:
            del self._channels[frame.channel]
            found.end()
        elif frame.number == 0:
            found.note(frame)
        elif len(self._loops) >= CALLS_MAX:
            self.connection.close("too many calls are under way")
        else:
            self._go(frame, found.call(frame))

    def _go(self, frame: Frame, work: Coroutine[Any, Any, Packed]) -> None:
        self._loops.go(f"{frame.kind}", self._answer(frame, work))

    async def _count(self) -> Packed:
        return pack_answer(self._tallies.by_tenant())

    async def _prepare(self, tenant_id: str) -> Packed:
        return pack(await self._engine.prepare(tenant_id))

    async def _answer(self, frame: Frame, work: Coroutine[Any, Any, Packed]) -> None:
        try:
            packed, kind = await work, Kind.REPLY
        except (HeldElsewhere, ShuttingDown):
            packed, kind = ("", b"\xc0"), Kind.AGAIN
        except BroadaxeError as error:
            packed, kind = pack(error), Kind.ERROR
        except Exception:
            _log.exception("a call that came over a link failed", kind=frame.kind, name=frame.name)
            packed, kind = pack(Internal()), Kind.ERROR
        self.connection.post(kind, frame.channel, frame.number, packed)

    def _end(self, reason: str) -> None:
        self._on_end(self)
        for channel in self._channels.values():
            channel.end()
        self._channels.clear()


class _Channel:
    """One tenant on one connection: its calls, and what its guest is told (`guests.Audience`)."""

    def __init__(self, engine: Engine, connection: Connection, number: int, tenant_id: str, *, is_edge: bool) -> None:
        self._engine = engine
        self._connection = connection
        self._number = number
        self._tenant_id = tenant_id
        self._guest = Guest(self, is_edge=is_edge)
        self._has_ended = False
        self._following: asyncio.Task[None] | None = None

    async def attach(self, frame: Frame) -> Packed:
        await self._engine.welcome(self._tenant_id, self._guest, EPOCH.decode(frame.body))
        return "", b"\xc0"

    def end(self) -> None:
        """The visitor is gone, or needs the tenant no more."""
        if not self._has_ended:
            self._has_ended = True
            self._leave_changes()
            self._engine.part_with(self._tenant_id, self._guest)

    async def call(self, frame: Frame) -> Packed:
        engine, tenant_id = self._engine, self._tenant_id
        reply: Reply
        match frame.kind:
            case Kind.SUBMIT | Kind.OWN if self._has_ended:
                raise HeldElsewhere()
            case Kind.SUBMIT:
                command = unpack(frame.name, frame.body)
                reply = await engine.submit_for_guest(tenant_id, self._guest, command, frame.client)
            case Kind.OWN:
                reply = await engine.submit_of_guest(tenant_id, self._guest, unpack(frame.name, frame.body))
            case Kind.NUMBER:
                reply = await engine.next_number(tenant_id)
            case Kind.IS_LIVE:
                reply = await engine.is_live(tenant_id, unpack(frame.name, frame.body))
            case Kind.ASK:
                # The visitor knows of what type the answer to its question is.
                return pack_answer(await engine.ask(tenant_id, unpack(frame.name, frame.body)))
            case Kind.CHUNK:
                chunk = unpack(frame.name, frame.body)
                await engine.put_chunk(tenant_id, chunk.task_id, chunk.text, chunk.index)
                reply = None
            case Kind.CHECK:
                await engine.check_task(tenant_id, unpack(frame.name, frame.body))
                reply = None
            case _:
                raise Internal(f"a link asked for {frame.kind}, which is nothing to be asked for")
        return pack(reply)

    def note(self, frame: Frame) -> None:
        guest, body = self._guest, unpack(frame.name, frame.body)
        match frame.kind:
            case Kind.NOTE:
                for kind in body.kinds:
                    self._engine.note_change(self._tenant_id, kind, body.ids)
            case Kind.FOLLOW_CHANGES:
                self._follow_changes()
            case Kind.LEAVE_CHANGES:
                self._leave_changes()
            case Kind.WANT_OUTCOMES:
                guest.awaited.update(body)
                ended = self._engine.not_live(self._tenant_id, body)
                if ended:
                    self._post(Kind.WANT_OUTCOMES, pack(tuple(ended)))
            case Kind.WANT_NO_OUTCOME:
                guest.awaited.discard(body)
            case Kind.WANT_RUN:
                guest.runs.add(body)
            case Kind.WANT_NO_RUN:
                guest.runs.discard(body)
            case Kind.WANT_TOPIC:
                guest.topics.add(body)
                # What was committed until now has not been told there; it is in the tables.
                self.topic_grew(body, ())
            case Kind.WANT_NO_TOPIC:
                guest.topics.discard(body)
            case Kind.WANT_METADATA:
                guest.metadata.add(body)
                if self._connection.peer_minor >= METADATA_MINOR:
                    self._post(Kind.WANT_METADATA, pack(body))
            case Kind.WANT_NO_METADATA:
                guest.metadata.discard(body)
            case _:
                _log.warning("a visitor told what is unknown here", kind=frame.kind)

    # Changes -------------------------------------------------------------------------------------------------------

    def _follow_changes(self) -> None:
        if self._following is None and not self._has_ended:
            self._following = asyncio.create_task(self._tell_changes(), name="changes for a guest")

    def _leave_changes(self) -> None:
        if self._following is not None:
            self._following.cancel()
            self._following = None

    async def _tell_changes(self) -> None:
        subscription = self._engine.follow_changes(self._tenant_id)
        try:
            while (changes := await subscription.next()) is not None:
                if self._connection.peer_minor < TOPICS_MINOR:
                    changes = msgspec.structs.replace(changes, kinds=changes.kinds - {ChangeKind.STREAMS})
                self._post(Kind.CHANGES, pack(changes))
        finally:
            self._engine.unfollow_changes(self._tenant_id, subscription)

    # What the guest is told ----------------------------------------------------------------------------------------

    def send(self, worker_id: str, item: Outgoing) -> None:
        self._connection.post(Kind.SEND, self._number, packed=pack(item), client=worker_id)

    def replaced(self, worker_id: str, session: int) -> None:
        self._connection.post(Kind.REPLACED, self._number, session, client=worker_id)

    def answer(self, answer: Answer) -> None:
        self._post(Kind.ANSWER, pack(answer))

    def end_invocation(self, number: int, ref: EntryRef) -> None:
        self._post(Kind.INVOCATION_OVER, pack(Over(number, ref)))

    def fire(self, task_id: str, key: str, payload: str) -> None:
        self._post(Kind.FIRE, pack(Fired(task_id, key, payload)))

    def attempt_begins(self, task_id: str) -> None:
        self._post(Kind.BEGINS, pack(task_id))

    def news(self, news: RunNews) -> None:
        assert isinstance(news, TaskProgressed | RunStarted | RunFinished)
        self._post(Kind.NEWS, pack(news))

    def chunk(self, run_id: str, task_id: str, text: str, index: int | None, at_us: int, metadata: str | None) -> None:
        self._post(Kind.CHUNK, pack(Chunk(task_id, text, index, run_id, at_us, metadata)))

    def topic_grew(self, topic_id: str, messages: Sequence[MessageRow]) -> None:
        if sum(len(message.payload) for message in messages) > LIVE_BYTES_MAX:
            # More than readers take at once: they read it themselves.
            messages = ()
        self._post(Kind.TOPIC_GREW, pack(TopicGrew(topic_id, tuple(messages))))

    def outcome(self, outcome: RunOutcome) -> None:
        self._post(Kind.OUTCOME, pack(outcome))

    def shown_out(self, *, is_at_rest: bool) -> None:
        self._has_ended = True
        self._leave_changes()
        self._post(Kind.SHOWN_OUT, pack(is_at_rest))

    def hang_up(self) -> None:
        self._connection.close("the node cannot reach the database")

    def _post(self, kind: Kind, packed: Packed = ("", b"\xc0")) -> None:
        self._connection.post(kind, self._number, packed=packed)
