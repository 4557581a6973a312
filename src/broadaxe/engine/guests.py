"""Other nodes that hold streams of a tenant which is decided here.

A guest is one such node, for one tenant. It has streams of its own (`streams.py`, under the same rule) and is told what
concerns them: assignments of workers that are connected there, answers to durable tasks, how runs go that somebody
there follows. What it wants to hear it says once; what workers and durable streams it has is read off the commands that
come from it. Everything is told after the commit, like what is told here.

When the tenant is loaded anew every guest is shown out: it comes back, announces its streams and says what it wants.
Owns who hears what. Refuses to know how a guest is reached: that is the business of `link/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from broadaxe.core.commands import Command
from broadaxe.core.commands.durable import EntryRef
from broadaxe.core.commands.workers import CloseDurableStream, CloseStream, OpenDurableStream, OpenStream
from broadaxe.core.decision import MessageRow, RunFinished, RunStarted, TaskProgressed
from broadaxe.engine.changes import ChangeSubscription
from broadaxe.engine.durable_streams import Answer
from broadaxe.engine.sessions import Outgoing
from broadaxe.engine.subscriptions import RunOutcome, as_text

__all__ = ["Audience", "Guest", "Guests", "RunNews"]

RunNews = TaskProgressed | RunStarted | RunFinished


class Audience(Protocol):
    """The way to a guest. Nothing here waits and nothing raises: what cannot be delivered ends the guest."""

    def send(self, worker_id: str, item: Outgoing) -> None: ...

    def replaced(self, worker_id: str, session: int) -> None:
        """The worker has opened a newer stream elsewhere; this one ends."""
        ...

    def answer(self, answer: Answer) -> None: ...

    def end_invocation(self, number: int, ref: EntryRef) -> None: ...

    def fire(self, task_id: str, key: str, payload: str) -> None: ...

    def news(self, news: RunNews) -> None: ...

    def attempt_begins(self, task_id: str) -> None: ...

    def chunk(
        self, run_id: str, task_id: str, text: str, index: int | None, at_us: int, metadata: str | None
    ) -> None: ...

    def topic_grew(self, topic_id: str, messages: Sequence[MessageRow]) -> None:
        """No messages: some may have been told to nobody."""
        ...

    def outcome(self, outcome: RunOutcome) -> None: ...

    def shown_out(self, *, is_at_rest: bool) -> None:
        """The tenant is not decided here any more, or anew. `is_at_rest`: it was put away, and nobody needs it."""
        ...

    def hang_up(self) -> None:
        """Nothing can be decided here, and another node may have the tenant by now: the way ends, and with it what was
        asked over it."""
        ...


class Guest:
    """What one node wants to hear of the tenant."""

    def __init__(self, audience: Audience, *, is_edge: bool = False) -> None:
        """`is_edge`: it is a part of this node, and does not say that the tenant belongs here."""
        self.audience = audience
        self.is_edge = is_edge
        self.runs: set[str] = set()
        """Runs whose events somebody follows there."""
        self.metadata: set[tuple[str, str]] = set()
        """Keys and values of metadata that somebody follows there."""
        self.awaited: set[str] = set()
        """Runs whose outcome somebody waits for there."""
        self.topics: set[str] = set()
        """Topics that somebody reads there."""
        self.changes: ChangeSubscription | None = None

    @property
    def is_interested(self) -> bool:
        return bool(self.runs or self.metadata or self.awaited or self.topics)

    def follows(self, run_id: str, metadata: str | None) -> bool:
        if run_id in self.runs:
            return True
        if not self.metadata or not metadata:
            return False
        found = msgspec.json.decode(metadata, type=dict[str, Any])
        return any(key in found and as_text(found[key]) == value for key, value in self.metadata)


class Guests:
    """The guests of one tenant."""

    def __init__(self) -> None:
        self._all: dict[Guest, None] = {}
        self._sessions: dict[str, tuple[Guest, int]] = {}
        """By worker, where its stream is and its number."""
        self._streams: dict[int, tuple[Guest, str]] = {}
        """By the number of a durable stream, where it is and for which worker."""

    def __bool__(self) -> bool:
        return bool(self._all)

    def has(self, guest: Guest) -> bool:
        """Whether it was welcomed and neither left nor was shown out."""
        return guest in self._all

    def are_idle(self) -> bool:
        """Whether none of them has a stream or follows a run."""
        return not (self._sessions or self._streams or any(guest.is_interested for guest in self._all))

    def welcome(self, guest: Guest) -> None:
        self._all[guest] = None

    def leave(self, guest: Guest) -> list[Command]:
        """The way to the guest is gone. Returns what the tenant has to hear: its streams are closed."""
        self._all.pop(guest, None)
        commands: list[Command] = []
        for worker_id, (owner, number) in list(self._sessions.items()):
            if owner is guest:
                del self._sessions[worker_id]
                commands.append(CloseStream(worker_id, number))
        for number, (owner, worker_id) in list(self._streams.items()):
            if owner is guest:
                del self._streams[number]
                commands.append(CloseDurableStream(worker_id, number))
        return commands

    def show_out(self, *, is_at_rest: bool = False) -> None:
        guests = list(self._all)
        self._all.clear()
        self._sessions.clear()
        self._streams.clear()
        for guest in guests:
            guest.audience.shown_out(is_at_rest=is_at_rest)

    def hang_up(self) -> None:
        """On those that are other nodes'."""
        for guest in [guest for guest in self._all if not guest.is_edge]:
            guest.audience.hang_up()

    # What comes from a guest ---------------------------------------------------------------------------------------

    def heard(self, guest: Guest, command: Command) -> list[Command]:
        """Called before the command is submitted: the round that opens a stream may already assign to it.

        Returns what the tenant has to hear before it. A stream may be announced over a new way before it is noticed
        that the older way is gone; what was told on that one may never have arrived, as with a stream that closes.
        """
        match command:
            case OpenStream(worker_id, number):
                newest = self._sessions.get(worker_id)
                if newest is not None and newest[1] > number:
                    guest.audience.replaced(worker_id, number)
                elif newest is not None and newest[1] == number and newest[0] is not guest:
                    self._sessions[worker_id] = (guest, number)
                    return [CloseStream(worker_id, number)]
                else:
                    self.replace(worker_id, number)
                    self._sessions[worker_id] = (guest, number)
            case CloseStream(worker_id, number):
                if self._sessions.get(worker_id) == (guest, number):
                    del self._sessions[worker_id]
            case OpenDurableStream(worker_id, number):
                older = self._streams.get(number)
                self._streams[number] = (guest, worker_id)
                if older is not None and older[0] is not guest:
                    return [CloseDurableStream(worker_id, number)]
            case CloseDurableStream(worker_id, number):
                if self._streams.get(number) == (guest, worker_id):
                    del self._streams[number]
            case _:
                pass
        return []

    def replace(self, worker_id: str, number: int) -> None:
        """The worker has opened the stream of this number: an older one of another node ends."""
        older = self._sessions.get(worker_id)
        if older is not None and older[1] != number:
            del self._sessions[worker_id]
            older[0].audience.replaced(worker_id, older[1])

    # What is told --------------------------------------------------------------------------------------------------

    def send(self, worker_id: str, item: Outgoing) -> bool:
        """False when no guest has a stream of the worker."""
        found = self._sessions.get(worker_id)
        if found is None:
            return False
        found[0].audience.send(worker_id, item)
        return True

    def answer(self, answer: Answer) -> None:
        found = self._streams.get(answer.effect.stream)
        if found is not None:
            found[0].audience.answer(answer)

    def end_invocation(self, number: int, ref: EntryRef) -> None:
        found = self._streams.get(number)
        if found is not None:
            found[0].audience.end_invocation(number, ref)

    def fire(self, task_id: str, key: str, payload: str) -> None:
        for guest in self._all:
            guest.audience.fire(task_id, key, payload)

    def attempt_begins(self, task_id: str, run_id: str) -> None:
        for guest in self._all:
            if guest.metadata or run_id in guest.runs:
                guest.audience.attempt_begins(task_id)

    def news(self, news: RunNews) -> None:
        for guest in self._all:
            if guest.follows(news.run_id, news.additional_metadata):
                guest.audience.news(news)
                if isinstance(news, RunFinished):
                    guest.runs.discard(news.run_id)

    def chunk(self, run_id: str, task_id: str, text: str, index: int | None, at_us: int, metadata: str | None) -> None:
        for guest in self._all:
            if guest.follows(run_id, metadata):
                guest.audience.chunk(run_id, task_id, text, index, at_us, metadata)

    def topic_grew(self, topic_id: str, messages: Sequence[MessageRow]) -> None:
        for guest in self._all:
            if topic_id in guest.topics:
                guest.audience.topic_grew(topic_id, messages)

    def has_waiter(self, run_id: str) -> bool:
        return any(run_id in guest.awaited for guest in self._all)

    def deliver(self, outcome: RunOutcome) -> None:
        for guest in self._all:
            if outcome.run_id in guest.awaited:
                guest.awaited.discard(outcome.run_id)
                guest.audience.outcome(outcome)
