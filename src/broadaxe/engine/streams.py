"""Every open stream of one tenant on this node, under one rule.

A stream outlives the tenant's memory: **after a load it is announced to the new actor, or asked for again in the
tables, or ended; it is never left waiting for what nobody will say.**

    worker's assignments     announced (`OpenStream`); ended when the worker is not known any more
    durable tasks            announced, with what has been told on it (`DurableStream.announcement`)
    signals                  every wanted signal is looked up
    results, live events     every run that is not live is looked up; live ones are told by the new actor
    changes                  everything is told as changed
    topics                   every reader goes on from the tables

A newer assignment stream of a worker replaces the older one. Owns the map from workers and numbers to streams; what is
in a stream that closes goes back to the tenant.

The tenant may be decided by another node: then that one tells what is told here, and the rule is the same, each time
it or another one takes the tenant up. The streams that other nodes have of a tenant decided here are its guests'
(`guests.py`).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.attempts import FailDelivery
from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.commands.workers import CloseDurableStream, CloseStream, OpenDurableStream, OpenStream
from broadaxe.core.decision import MessageRow, RunFinished, RunStarted, StartAttempt, TaskProgressed
from broadaxe.engine.changes import ChangeFeed
from broadaxe.engine.durable_streams import Answer, DurableStream, SignalSubscription
from broadaxe.engine.guests import Guest, Guests, RunNews
from broadaxe.engine.sessions import Outgoing, WorkerSession
from broadaxe.engine.store import Store
from broadaxe.engine.subscriptions import Hub, RunOutcome
from broadaxe.engine.topics import TopicFeed
from broadaxe.errors import NotFound

__all__ = ["TenantStreams"]


class TenantStreams:
    def __init__(self, tenant_id: str, store: Store, hub: Hub, tell: Callable[[Command], None]) -> None:
        """`tell` submits a command of the engine's own to the tenant, if it is in memory: what is told to nobody is
        said by the announcement that follows the next load."""
        self._tenant_id = tenant_id
        self._store = store
        self._tell = tell
        self.hub = hub
        self.changes = ChangeFeed(time.monotonic)
        self.topics = TopicFeed(lambda topic_id, after: store.topic_page(tenant_id, topic_id, after))
        self.guests = Guests()
        self._sessions: dict[str, WorkerSession] = {}
        self._durable: dict[int, DurableStream] = {}
        self._signals: set[SignalSubscription] = set()

    def are_closed(self) -> bool:
        """Whether nobody needs the tenant in memory. Who follows its changes does not."""
        is_followed = self.hub.is_followed() or self.topics.is_followed()
        is_empty = not (self._sessions or self._durable or self._signals or is_followed)
        return is_empty and self.guests.are_idle()

    # After a load --------------------------------------------------------------------------------------------------

    def announcements(self) -> list[Command]:
        """What a new actor has to be told before anything else. Guests come back with what they have to announce."""
        self.guests.show_out()
        commands: list[Command] = [session.announcement() for session in self._sessions.values()]
        for stream in self._durable.values():
            commands += stream.announcement()
        return commands

    async def look_again(self) -> None:
        """Asks the tables for what the last round before the load may have had to tell. Unavailable when they are
        away."""
        self.hub.look_again()
        self.topics.look_again()
        self.changes.note_everything()
        await self.look_up_signals(self._signals)

    def refused(self, announcement: Command) -> None:
        """The new actor does not know whom an announcement is about: the stream ends."""
        if isinstance(announcement, OpenDurableStream) and announcement.stream in self._durable:
            self._durable[announcement.stream].close()
        if isinstance(announcement, OpenStream):
            session = self._sessions.get(announcement.worker_id)
            if session is not None and session.number == announcement.session:
                self.close_session(session)

    # Workers -------------------------------------------------------------------------------------------------------

    async def open_session(self, session: WorkerSession, submit: Callable[[Command], Awaitable[Reply]]) -> None:
        """Opens the worker's stream; an older one ends. If that fails, the older one goes on with what was assigned
        meanwhile, and the tenant hears which of the two is open: the command may have been decided all the same."""
        older = self._sessions.get(session.worker_id)
        self.guests.replace(session.worker_id, session.number)
        # In place before the command: the round that opens the stream may already assign to it.
        self._sessions[session.worker_id] = session
        try:
            await submit(OpenStream(session.worker_id, session.number))
        except BaseException:
            self._call_off(session, older)
            raise
        if older is not None:
            self._hand_back(older)

    def _call_off(self, session: WorkerSession, older: WorkerSession | None) -> None:
        is_latest = self._sessions.get(session.worker_id) is session
        can_go_on = older is not None and not older.is_closed
        if is_latest and older is not None and can_go_on:
            session.move_to(older)
            self._sessions[session.worker_id] = older
        elif is_latest:
            del self._sessions[session.worker_id]
        self._hand_back(session)
        self._tell(CloseStream(session.worker_id, session.number))
        if is_latest and older is not None and can_go_on:
            self._tell(OpenStream(older.worker_id, older.number))
        elif older is not None:
            self._hand_back(older)

    def close_session(self, session: WorkerSession) -> None:
        """The stream ended. What it had not sent goes back to the queue."""
        self._hand_back(session)
        if self._sessions.get(session.worker_id) is session:
            del self._sessions[session.worker_id]
        self._tell(CloseStream(session.worker_id, session.number))

    def end_session(self, worker_id: str) -> None:
        """The worker said goodbye: its stream ends."""
        session = self._sessions.get(worker_id)
        if session is not None:
            self._hand_back(session)

    def send(self, worker_id: str, item: Outgoing) -> bool:
        """False when the worker has no open stream, here or at a guest."""
        session = self._sessions.get(worker_id)
        if session is not None and session.put(item):
            return True
        return self.guests.send(worker_id, item)

    def heard_of_guest(self, guest: Guest, command: Command) -> list[Command]:
        """A command that a guest's engine submits, before it is: its newer stream of a worker ends the one here. An
        older one ends itself: its node was away while the worker came back elsewhere. Returns what the tenant has to
        hear first."""
        if isinstance(command, OpenStream) and (session := self._sessions.get(command.worker_id)) is not None:
            if session.number > command.session:
                guest.audience.replaced(command.worker_id, command.session)
                return []
            del self._sessions[command.worker_id]
            self._hand_back(session)
        return self.guests.heard(guest, command)

    def replaced(self, worker_id: str, number: int) -> None:
        """The worker has opened a newer stream at another node."""
        session = self._sessions.get(worker_id)
        if session is not None and session.number == number:
            self.close_session(session)

    def _hand_back(self, session: WorkerSession) -> None:
        self.give_back(session.close(), "the worker's stream closed before it was sent")

    def give_back(self, attempts: Iterable[StartAttempt], reason: str) -> None:
        for attempt in attempts:
            self._tell(FailDelivery(attempt.task_id, attempt.retry_count, reason))

    # Durable tasks -------------------------------------------------------------------------------------------------

    def put_durable(self, stream: DurableStream) -> None:
        self._durable[stream.number] = stream

    async def register_durable(
        self, stream: DurableStream, worker_id: str, submit: Callable[[Command], Awaitable[Reply]]
    ) -> None:
        # Said before the command: should the tenant be loaded anew meanwhile, the stream is announced to it.
        stream.worker_id = worker_id
        try:
            await submit(OpenDurableStream(worker_id, stream.number))
        except NotFound:
            stream.worker_id = None
            raise

    def close_durable(self, stream: DurableStream) -> None:
        stream.close()
        if self._durable.pop(stream.number, None) is not None and stream.worker_id is not None:
            self._tell(CloseDurableStream(stream.worker_id, stream.number))

    def answer(self, answer: Answer) -> None:
        stream = self._durable.get(answer.effect.stream)
        if stream is not None:
            stream.put(answer)
        else:
            self.guests.answer(answer)

    def end_invocation(self, number: int, ref: EntryRef) -> None:
        stream = self._durable.get(number)
        if stream is not None:
            stream.forget(ref)
        else:
            self.guests.end_invocation(number, ref)

    def put_signals(self, subscription: SignalSubscription) -> None:
        self._signals.add(subscription)

    def close_signals(self, subscription: SignalSubscription) -> None:
        self._signals.discard(subscription)

    def fire(self, task_id: str, key: str, payload: str) -> None:
        for subscription in self._signals:
            subscription.fire(task_id, key, payload)
        self.guests.fire(task_id, key, payload)

    async def look_up_signals(self, subscriptions: Iterable[SignalSubscription]) -> None:
        asking = list(subscriptions)
        wanted: Sequence[tuple[str, str]] = sorted({pair for s in asking for pair in s.wanted})
        if wanted:
            for fired in await self._store.signals(self._tenant_id, wanted):
                for subscription in asking:
                    subscription.fire(*fired)

    # Runs ----------------------------------------------------------------------------------------------------------

    def has_waiter(self, run_id: str) -> bool:
        return self.hub.has_waiter(run_id) or self.guests.has_waiter(run_id)

    def deliver(self, outcome: RunOutcome) -> None:
        self.hub.deliver(outcome)
        self.guests.deliver(outcome)

    def attempt_begins(self, attempt: StartAttempt) -> None:
        self.hub.attempt_begins(attempt.task_id)
        if self.guests:
            self.guests.attempt_begins(attempt.task_id, attempt.run_id)

    def news(self, news: RunNews) -> None:
        match news:
            case TaskProgressed():
                self.hub.progressed(news)
            case RunStarted():
                self.hub.run_started(news)
            case RunFinished():
                self.hub.run_finished(news)
        if self.guests:
            self.guests.news(news)

    def chunk(self, run_id: str, task_id: str, text: str, index: int | None, at_us: int, metadata: str | None) -> None:
        self.hub.chunk(run_id, task_id, text, index, at_us, metadata)
        if self.guests:
            self.guests.chunk(run_id, task_id, text, index, at_us, metadata)

    def topic_grew(self, topic_id: str, messages: Sequence[MessageRow]) -> None:
        self.topics.told(topic_id, messages)
        if self.guests:
            self.guests.topic_grew(topic_id, messages)

    # Ending --------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """A planned stop: worker streams end, so that workers look for another node. The tenant hears of it: what is
        decided last must not be assigned to them."""
        for session in list(self._sessions.values()):
            self.close_session(session)
        for stream in list(self._durable.values()):
            self.close_durable(stream)
        self.changes.close()
        self.topics.close()
