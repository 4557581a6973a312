"""The way from this node to tenants that others own.

One connection to each node, made when the first tenant of it is asked for and given up with the last one. What comes
from the owner is told to the tenant's streams here, as a commit of our own would be. Implements `engine/remote.py`.

When a connection breaks, everything that waits for an answer hears `Broken`: what was not answered may have been
decided, and whether it may be submitted again is for its record to say.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

import structlog

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.asked import Asked
from broadaxe.core.commands.topics import PublishMessages, ResetTopic
from broadaxe.core.questions import AnswerT, Question
from broadaxe.engine import changes
from broadaxe.engine.actor import Broken
from broadaxe.engine.sessions import attempts_of
from broadaxe.engine.streams import TenantStreams
from broadaxe.errors import BroadaxeError, HeldElsewhere, Unavailable
from broadaxe.link.connection import Connection
from broadaxe.link.tls import LinkTls
from broadaxe.link.wire import TALLIES, TOPICS_MINOR, Chunk, Frame, Kind, Packed, answer_of, pack, unpack
from broadaxe.loops import Loops
from broadaxe.metrics import Tally

__all__ = ["Visitor"]

CONNECT_S: Final = 1.0
#: Pauses before a link that is kept is made again: the first, doubled each time up to the second.
KEEP_AGAIN_FIRST_S: Final = 0.05
KEEP_AGAIN_MAX_S: Final = 1.0
#: What the addresses of sockets of this machine begin with.
UNIX: Final = "unix:"

_log = structlog.get_logger(__name__)


class Visitor:
    """Opens ways to tenants (`remote.Connect`)."""

    def __init__(self, secret: bytes, tls: LinkTls | None = None) -> None:
        """`tls` is for links to other machines; sockets of this one go without."""
        self._secret = secret
        self._name = secrets.token_hex(8)
        """By it the other nodes know that a link follows on one of ours."""
        self._tls = tls
        self._links: dict[str, _Link] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._loops = Loops("links")
        self._kept: frozenset[str] = frozenset()
        self._keeping: set[str] = set()
        self._on_kept_gone: Callable[[], None] = lambda: None

    async def __call__(
        self,
        link_address: str,
        tenant_id: str,
        streams: TenantStreams,
        on_lost: Callable[[bool], None],
        unchanged_epoch: int | None = None,
    ) -> _Remote:
        link = await self._link(link_address)
        return await link.attach(tenant_id, streams, on_lost, unchanged_epoch)

    async def prepare(self, link_address: str, tenant_id: str) -> bool:
        link = await self._link(link_address)
        if link.connection.peer_minor < 1:
            return False
        try:
            frame = await link.call(Kind.PREPARE, 0, (tenant_id, b"\xc0"))
        except Broken as broken:
            raise broken.reason from None
        return frame.kind is Kind.REPLY and bool(unpack(frame.name, frame.body))

    async def reach(self, link_address: str) -> None:
        await self._link(link_address)

    def is_open(self, link_address: str) -> bool:
        link = self._links.get(link_address)
        return link is not None and link.connection.is_open

    def keep(self, link_addresses: Collection[str], on_gone: Callable[[], None]) -> None:
        self._kept, self._on_kept_gone = frozenset(link_addresses), on_gone
        for address in self._kept - self._keeping:
            self._keeping.add(address)
            self._loops.go(f"keep the link to {address}", self._keep(address))
        for link in list(self._links.values()):
            link.close_unused()

    async def _keep(self, address: str) -> None:
        pause_s = KEEP_AGAIN_FIRST_S
        try:
            while address in self._kept:
                try:
                    link = await self._link(address)
                except Unavailable as error:
                    _log.debug("a node cannot be reached", link=address, reason=str(error))
                else:
                    pause_s = KEEP_AGAIN_FIRST_S
                    await link.gone_away.wait()
                if address in self._kept:
                    self._on_kept_gone()
                    await asyncio.sleep(pause_s)
                    pause_s = min(KEEP_AGAIN_MAX_S, 2 * pause_s)
        finally:
            self._keeping.discard(address)

    async def tallies(self, link_address: str) -> dict[str, Tally]:
        """What the process there has counted, by tenant. Unavailable when it cannot be asked."""
        link = await self._link(link_address)
        try:
            frame = await link.call(Kind.TALLIES, 0, ("", b"\xc0"))
        except Broken as broken:
            raise broken.reason from None
        return TALLIES.decode(frame.body)

    async def close(self) -> None:
        await self._loops.close()
        for link in list(self._links.values()):
            link.connection.close("this node stops")

    async def _link(self, address: str) -> _Link:
        async with self._opening.setdefault(address, asyncio.Lock()):
            link = self._links.get(address)
            if link is not None and link.connection.is_open:
                return link
            try:
                async with asyncio.timeout(CONNECT_S):
                    connection = await self._connection(address)
                    await connection.proved
            except (OSError, TimeoutError, ValueError) as error:
                reason = str(error) or "it did not answer in time"
                raise Unavailable(f"the node at {address} cannot be reached: {reason}") from None
            link = self._links[address] = _Link(address, connection, self._gone, self._is_kept)
            return link

    def _is_kept(self, address: str) -> bool:
        return address in self._kept

    async def _connection(self, address: str) -> Connection:
        loop = asyncio.get_running_loop()
        connection = Connection(self._secret, is_caller=True, caller=self._name)
        if address.startswith(UNIX):
            await loop.create_unix_connection(lambda: connection, address.removeprefix(UNIX))
        else:
            host, _, port = address.rpartition(":")
            host = host.strip("[]")
            if self._tls is None:
                await loop.create_connection(lambda: connection, host, int(port))
            else:
                tls = self._tls.connecting
                await loop.create_connection(lambda: connection, host, int(port), ssl=tls, server_hostname=host)
        return connection

    def _gone(self, link: _Link) -> None:
        if self._links.get(link.address) is link:
            del self._links[link.address]


class _Link:
    def __init__(
        self,
        address: str,
        connection: Connection,
        on_gone: Callable[[_Link], None],
        is_kept: Callable[[str], bool],
    ) -> None:
        """One that is not kept closes when no tenant is needed over it."""
        self.address = address
        self.connection = connection
        self.gone_away = asyncio.Event()
        self._on_gone = on_gone
        self._is_kept = is_kept
        self._channels: dict[int, _Remote] = {}
        self._waiting: dict[int, tuple[int, asyncio.Future[Frame]]] = {}
        """By number: the channel, and who waits."""
        self._count = 0
        connection.on_frame = self._take
        connection.on_end = self._end
        if not connection.is_open:
            self._end("the connection was closed")

    async def attach(
        self,
        tenant_id: str,
        streams: TenantStreams,
        on_lost: Callable[[bool], None],
        unchanged_epoch: int | None,
    ) -> _Remote:
        self._count += 1
        remote = _Remote(self, self._count, streams, on_lost)
        # In place before the answer: what follows it at once is told already.
        self._channels[remote.channel] = remote
        try:
            frame = await self.call(Kind.ATTACH, remote.channel, (tenant_id, pack(unchanged_epoch)[1]))
        except Broken as broken:
            raise Unavailable(str(broken)) from None
        if frame.kind is not Kind.REPLY:
            self._channels.pop(remote.channel, None)
            error = unpack(frame.name, frame.body) if frame.kind is Kind.ERROR else HeldElsewhere("the tenant moves")
            assert isinstance(error, BroadaxeError)
            raise error
        return remote

    def call(self, kind: Kind, channel: int, packed: Packed, client: str = "") -> asyncio.Future[Frame]:
        """A future of the frame that answers. Raises Broken when the connection is gone."""
        if not self.connection.is_open:
            raise Broken(Unavailable(f"the link to the node at {self.address} is gone"), is_undecided=True)
        self._count += 1
        waiter: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[self._count] = (channel, waiter)
        self.connection.post(kind, channel, self._count, packed, client)
        return waiter

    def detach(self, remote: _Remote) -> None:
        if self._channels.pop(remote.channel, None) is not None:
            self.connection.post(Kind.DETACH, remote.channel)
            self._give_up(remote.channel, "nobody needs the tenant here any more")
        self.close_unused()

    def close_unused(self) -> None:
        if not self._channels and not self._is_kept(self.address):
            self.connection.close("no tenant of the node is needed here any more")

    def gone(self, remote: _Remote) -> None:
        """The owner says that it has the tenant no more."""
        if self._channels.pop(remote.channel, None) is not None:
            self.connection.post(Kind.DETACH, remote.channel)
            remote.lost(is_at_rest=False)

    # What comes ----------------------------------------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        if frame.kind in (Kind.REPLY, Kind.ERROR, Kind.AGAIN):
            _, waiter = self._waiting.pop(frame.number, (0, None))
            if waiter is not None and not waiter.done():
                waiter.set_result(frame)
            return
        remote = self._channels.get(frame.channel)
        if remote is None:
            return
        if frame.kind is Kind.SHOWN_OUT:
            del self._channels[frame.channel]
            # Frames under way are answered still: the owner goes on with what it has taken.
            remote.lost(is_at_rest=bool(unpack(frame.name, frame.body)))
            return
        try:
            remote.take(frame)
        except Exception:
            # One frame that cannot be told must not take the others with it.
            _log.exception("something an owner told could not be told on", link=self.address, kind=frame.kind)

    def _end(self, reason: str) -> None:
        _log.info("a link has ended", link=self.address, reason=reason)
        self.gone_away.set()
        self._on_gone(self)
        remotes = list(self._channels.values())
        self._channels.clear()
        self._give_up(None, f"the link to the node at {self.address} has ended: {reason}")
        for remote in remotes:
            remote.lost(is_at_rest=False)

    def _give_up(self, channel: int | None, reason: str) -> None:
        for number, (of, waiter) in list(self._waiting.items()):
            if channel is None or of == channel:
                del self._waiting[number]
                if not waiter.done():
                    waiter.set_exception(Broken(Unavailable(reason), is_undecided=False))
                    # Whoever stopped waiting does not ask for it.
                    waiter.exception()


class _Remote:
    """One tenant over one link (`engine/remote.py`)."""

    def __init__(self, link: _Link, channel: int, streams: TenantStreams, on_lost: Callable[[bool], None]) -> None:
        self._link = link
        self.channel = channel
        self._streams = streams
        self._on_lost = on_lost
        self.is_lost = False

    # Calls ---------------------------------------------------------------------------------------------------------

    def submit(
        self, command: Command, *, client: str | None, chars: int = 0, is_alone: bool = False
    ) -> asyncio.Future[Reply]:
        kind = Kind.OWN if client is None else Kind.SUBMIT
        if isinstance(command, Asked) and self._link.connection.peer_minor < 1:
            # It keeps no audit log.
            command = command.command
        inner = command.command if isinstance(command, Asked) else command
        if isinstance(inner, PublishMessages | ResetTopic) and not self.knows_topics:
            raise Unavailable("the owner of the tenant is of an older version and has no topics; try again")
        answered = self._link.call(kind, self.channel, pack(command), client or "")
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def hand_on(answered: asyncio.Future[Frame]) -> None:
            if reply.done():
                return
            try:
                reply.set_result(self._reply(answered.result()))
            except Unavailable as error:
                # Its database is away, or it was lost over there: whether to ask again is for the command to say.
                reply.set_exception(Broken(error, is_undecided=False))
            except (BroadaxeError, Broken) as error:
                reply.set_exception(error)

        answered.add_done_callback(hand_on)
        return reply

    @property
    def knows_promises(self) -> bool:
        return self._link.connection.peer_minor >= 1

    @property
    def knows_topics(self) -> bool:
        return self._link.connection.peer_minor >= TOPICS_MINOR

    async def next_number(self) -> int:
        number = await self._ask(Kind.NUMBER, ("", b"\xc0"))
        assert isinstance(number, int)
        return number

    async def is_live(self, run_or_task_id: str) -> bool:
        return bool(await self._ask(Kind.IS_LIVE, pack(run_or_task_id)))

    async def ask(self, question: Question[AnswerT]) -> AnswerT:
        answer: AnswerT = answer_of(question).decode((await self._answered(Kind.ASK, pack(question))).body)
        return answer

    async def put_chunk(self, task_id: str, text: str, index: int | None) -> None:
        await self._ask(Kind.CHUNK, pack(Chunk(task_id, text, index)))

    async def check_task(self, task_id: str) -> None:
        await self._ask(Kind.CHECK, pack(task_id))

    async def _ask(self, kind: Kind, packed: Packed) -> Any:
        return self._reply(await self._answered(kind, packed))

    async def _answered(self, kind: Kind, packed: Packed) -> Frame:
        try:
            frame = await self._link.call(kind, self.channel, packed)
            if frame.kind is not Kind.REPLY:
                self._reply(frame)
        except Broken as broken:
            raise broken.reason from None
        return frame

    def _reply(self, frame: Frame) -> Reply:
        """The reply in a frame. Raises the error that it is, and Broken when the tenant is not there any more."""
        if frame.kind is Kind.AGAIN:
            self._link.gone(self)
            raise Broken(Unavailable("the tenant moves to another node"), is_undecided=True)
        if frame.kind is Kind.ERROR:
            error = unpack(frame.name, frame.body)
            assert isinstance(error, BroadaxeError)
            raise error
        reply: Reply = unpack(frame.name, frame.body)
        return reply

    # What is wanted ------------------------------------------------------------------------------------------------

    def note_change(self, kind: changes.Kind, ids: Iterable[str] | None) -> None:
        told = changes.Changes(frozenset((kind,)), None if ids is None else frozenset(ids), {})
        self._post(Kind.NOTE, pack(told))

    def follow_changes(self, is_followed: bool) -> None:
        self._post(Kind.FOLLOW_CHANGES if is_followed else Kind.LEAVE_CHANGES)

    def want_outcomes(self, run_ids: Collection[str]) -> None:
        self._post(Kind.WANT_OUTCOMES, pack(tuple(run_ids)))

    def want_no_outcome(self, run_id: str) -> None:
        self._post(Kind.WANT_NO_OUTCOME, pack(run_id))

    def want_run(self, run_id: str) -> None:
        self._post(Kind.WANT_RUN, pack(run_id))

    def want_no_run(self, run_id: str) -> None:
        self._post(Kind.WANT_NO_RUN, pack(run_id))

    def want_metadata(self, key: str, value: str) -> None:
        self._post(Kind.WANT_METADATA, pack((key, value)))

    def want_no_metadata(self, key: str, value: str) -> None:
        self._post(Kind.WANT_NO_METADATA, pack((key, value)))

    def want_topic(self, topic_id: str) -> None:
        self._post(Kind.WANT_TOPIC, pack(topic_id))

    def want_no_topic(self, topic_id: str) -> None:
        self._post(Kind.WANT_NO_TOPIC, pack(topic_id))

    def close(self) -> None:
        self._link.detach(self)

    def _post(self, kind: Kind, packed: Packed = ("", b"\xc0")) -> None:
        self._link.connection.post(kind, self.channel, packed=packed)

    # What comes ----------------------------------------------------------------------------------------------------

    def lost(self, *, is_at_rest: bool) -> None:
        self.is_lost = True
        self._on_lost(is_at_rest)

    def take(self, frame: Frame) -> None:
        streams, body = self._streams, unpack(frame.name, frame.body)
        match frame.kind:
            case Kind.SEND:
                if not streams.send(frame.client, body):
                    streams.give_back(attempts_of(body), "the worker's stream is closed")
            case Kind.REPLACED:
                streams.replaced(frame.client, frame.number)
            case Kind.ANSWER:
                streams.answer(body)
            case Kind.INVOCATION_OVER:
                streams.end_invocation(body.stream, body.ref)
            case Kind.FIRE:
                streams.fire(body.task_id, body.key, body.payload)
            case Kind.BEGINS:
                streams.hub.attempt_begins(body)
            case Kind.NEWS:
                streams.news(body)
            case Kind.CHUNK:
                streams.chunk(body.run_id, body.task_id, body.text, body.index, body.at_us, body.metadata)
            case Kind.OUTCOME:
                streams.deliver(body)
            case Kind.WANT_OUTCOMES:
                streams.hub.found_ended(list(body))
            case Kind.WANT_METADATA:
                streams.hub.metadata_wanted(*body)
            case Kind.TOPIC_GREW:
                streams.topic_grew(body.topic_id, body.messages)
            case Kind.CHANGES:
                streams.changes.note_changes(body)
            case _:
                _log.warning("an owner told what is unknown here", kind=frame.kind)
