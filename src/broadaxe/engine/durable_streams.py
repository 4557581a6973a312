"""Open durable streams: what has been committed and waits to be written to a worker's durable tasks.

One stream per worker process. It outlives the tenant's memory, and is announced to a tenant that was loaded anew with
what was told and asked on it. What is lost with the stream itself is asked for again: clients list what they wait for
when they come back. A stream that is not read is closed when `ITEMS_MAX` answers wait in it.

Signals are the older protocol's way: whoever listens for (task, key) is told once, from the table if it happened
before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.durable import (
    BeginMemo,
    BeginWait,
    CompleteMemo,
    EntryRef,
    EvictInvocation,
    FindPlace,
    Operation,
    Place,
    ReportWaiting,
    ResumeInvocations,
    SpawnChildren,
    Told,
)
from broadaxe.core.commands.workers import OpenDurableStream
from broadaxe.core.decision import (
    DropInvocation,
    DurableAnswer,
    DurableRefusal,
    EntryCompleted,
    EvictionAck,
    WaitAck,
)
from broadaxe.core.durations import US_PER_S
from broadaxe.engine.clock import Clock
from broadaxe.errors import BroadaxeError

ITEMS_MAX: Final = 100_000
#: How long a request is submitted again while the engine cannot decide: as long as clients wait for an answer. And how
#: long it rests in between.
PATIENCE_S: Final = 60.0
AGAIN_AFTER_S: Final = 0.5
#: After so long on its stream a result is taken to have reached its worker.
ARRIVES_WITHIN_US: Final = US_PER_S
#: Entries that one invocation is known to wait for; a log has no more.
WAITING_MAX: Final = 100_000


class Answer(msgspec.Struct, frozen=True):
    """An answer with what had to be read for it. `error` is set for a failed child."""

    effect: DurableAnswer
    payload: str | None = None
    is_failure: bool = False
    error: str | None = None


class _Speaker:
    """An invocation that speaks on a stream."""

    __slots__ = (
        "asked", "has_gone_on", "is_asking", "leaving", "node", "order", "order_at_us", "sent_at_most", "waiting",
    )  # fmt: skip

    def __init__(self) -> None:
        self.is_asking = False
        """An operation of it is not answered yet."""
        self.asked: Operation | None = None
        """That operation, once it is known where it belongs."""
        self.node: int | None = None
        """That of the last operation that was answered, None if it was not on this stream."""
        self.order: int | None = None
        """The last place in the order of results that was put here or on an earlier stream, None if nobody knows."""
        self.order_at_us = 0
        self.sent_at_most: int | None = None
        """Nothing after this place was ever sent to it before it spoke here; None if nobody knows."""
        self.waiting: dict[tuple[int, int], None] = {}
        """(branch, node) of entries it waits for that were not put here yet."""
        self.leaving: EvictInvocation | None = None
        """Its wish to be evicted, until it is answered."""
        self.has_gone_on = False
        """The operation was asked after that wish: a result had passed it."""


class DurableStream:
    """What was asked and told is remembered for as long as it may be needed: an operation until it is answered, a memo
    until it is kept, of each invocation how far it has come until it is over. So everything can be asked again of a
    tenant that was loaded anew, and nobody is answered twice."""

    __slots__ = ("_clock", "_is_closed", "_items", "_memos", "_numbers", "_speakers", "_wake", "number", "worker_id")

    def __init__(self, number: int, clock: Clock) -> None:
        self.number = number
        self.worker_id: str | None = None
        """The worker it was registered for."""
        self._clock = clock
        self._numbers = 0
        self._speakers: dict[tuple[str, int], _Speaker] = {}
        self._memos: dict[CompleteMemo, None] = {}
        self._items: deque[Answer] = deque()
        self._wake = asyncio.Event()
        self._is_closed = False

    # What is asked -------------------------------------------------------------------------------------------------

    def ask(self, command: Command) -> Command:
        """Notes what the worker asks for; returns it as it is to be submitted. An operation gets a number, unless
        another one of its invocation is not answered yet: then nobody can tell them apart, and it is not repeated."""
        match command:
            case BeginMemo() | SpawnChildren() | BeginWait():
                speaker = self._speaker(command.task_id, command.invocation_count)
                if speaker.is_asking:
                    return command
                speaker.is_asking, speaker.has_gone_on = True, speaker.leaving is not None
                self._numbers += 1
                return msgspec.structs.replace(command, number=self._numbers, after=speaker.node)
            case CompleteMemo():
                self._memos[command] = None
            case EvictInvocation():
                speaker = self._speaker(command.task_id, command.invocation_count)
                if speaker.order is not None:
                    has_arrived = self._clock.now_us() - speaker.order_at_us >= ARRIVES_WITHIN_US
                    command = msgspec.structs.replace(command, arrived_order=speaker.order if has_arrived else 0)
                speaker.leaving = command
            case ReportWaiting():
                for ref in command.entries:
                    waiting = self._speaker(ref.task_id, ref.invocation_count).waiting
                    if len(waiting) < WAITING_MAX:
                        waiting[ref.branch_id, ref.node_id] = None
                for task_id, invocation_count, order in command.received:
                    speaker = self._speaker(task_id, invocation_count)
                    speaker.order = max(order, speaker.order or 0)
        return command

    async def decide(self, command: Command, submit: Callable[[Command], Awaitable[Reply]]) -> None:
        """Submits what `ask` returned, again and again while its client waits for the answer: a client that is told the
        stream has failed lets the attempts fail whose operations were under way. Raises the command's error."""
        loop = asyncio.get_running_loop()
        give_up_at_s = loop.time() + PATIENCE_S
        has_begun = False
        while True:
            try:
                if isinstance(command, Operation) and command.number and not has_begun:
                    place: Reply = None
                    if command.after is None:
                        place = await submit(FindPlace(command.task_id, command.invocation_count))
                    assert place is None or isinstance(place, Place)
                    command, has_begun = self._begin(command, place), True
                await submit(command)
                self._done(command)
                return
            except BroadaxeError as error:
                if not error.retryable:
                    self._refuse(command)
                if not error.retryable or not command.is_repeatable or loop.time() >= give_up_at_s:
                    raise
            if isinstance(command, Operation) and has_begun and not self._is_asked(command):
                # The tenant that was loaded meanwhile has heard of it by the announcement.
                return
            await asyncio.sleep(AGAIN_AFTER_S)

    def _is_asked(self, operation: Operation) -> bool:
        """Whether the operation is still not answered."""
        speaker = self._speakers.get((operation.task_id, operation.invocation_count))
        return speaker is not None and speaker.asked is not None and speaker.asked.number == operation.number

    def _begin(self, operation: Operation, place: Place | None) -> Operation:
        """The operation is about to be submitted. `place` is where its invocation is, if it had to be asked for."""
        if place is not None and operation.after is None:
            # Also where the stream has ended meanwhile: what may be decided twice must be known the second time.
            operation = msgspec.structs.replace(operation, after=place.node, told=place.sent_at_most)
        speaker = self._speakers.get((operation.task_id, operation.invocation_count))
        if speaker is None:
            return operation
        if place is not None:
            speaker.node, speaker.sent_at_most = operation.after, place.sent_at_most
            if speaker.order is None:
                speaker.order = place.order
        if speaker.order is not None:
            operation = msgspec.structs.replace(operation, told=speaker.order)
        if operation.number:
            speaker.asked = operation
        return operation

    def _done(self, command: Command) -> None:
        """The command is decided, and committed."""
        if isinstance(command, CompleteMemo):
            self._memos.pop(command, None)

    def _refuse(self, command: Command) -> None:
        """The command cannot be done; the worker was told."""
        self._done(command)
        if isinstance(command, Operation | EvictInvocation):
            speaker = self._speakers.get((command.task_id, command.invocation_count))
            if speaker is not None and isinstance(command, EvictInvocation):
                speaker.leaving = None
            elif speaker is not None:
                speaker.asked, speaker.is_asking = None, False

    def announcement(self) -> list[Command]:
        """What a tenant that was loaded anew has to be told of the stream, in this order: whose it is, what was told on
        it, and what was asked on it and not answered."""
        commands: list[Command] = []
        if self.worker_id is not None:
            commands.append(OpenDurableStream(self.worker_id, self.number))
        told = [
            Told(task_id, invocation_count, s.node, s.order, s.order_at_us, tuple(s.waiting), s.sent_at_most)
            for (task_id, invocation_count), s in self._speakers.items()
        ]
        if told:
            commands.append(ResumeInvocations(self.number, tuple(told)))
        commands += self._memos
        speakers = self._speakers.values()
        # An eviction that was decided after what the program did next would leave it asleep for ever.
        commands += (s.leaving for s in speakers if s.leaving is not None and s.has_gone_on)
        commands += (s.asked for s in speakers if s.asked is not None)
        commands += (s.leaving for s in speakers if s.leaving is not None and not s.has_gone_on)
        return commands

    # What is answered ----------------------------------------------------------------------------------------------

    def put(self, answer: Answer) -> None:
        if self._is_closed or not self._is_wanted(answer.effect):
            return
        if len(self._items) >= ITEMS_MAX:
            self.close()
            return
        self._items.append(answer)
        self._wake.set()

    def forget(self, ref: EntryRef) -> None:
        """The invocation is over."""
        self._speakers.pop((ref.task_id, ref.invocation_count), None)

    async def next(self) -> Answer | None:
        """The next answer; None once the stream is closed."""
        while not self._items and not self._is_closed:
            self._wake.clear()
            await self._wake.wait()
        return None if self._is_closed else self._items.popleft()

    def close(self) -> None:
        self._is_closed = True
        self._items.clear()
        self._speakers.clear()
        self._memos.clear()
        self._wake.set()

    def _is_wanted(self, effect: DurableAnswer) -> bool:
        """Notes what the worker is told. False for what it is not to be told: the answer to an operation that was
        answered before would be taken for that to the next one."""
        ref = effect.ref
        key = (ref.task_id, ref.invocation_count)
        speaker = self._speakers.get(key)
        match effect:
            case DropInvocation() | EvictionAck():
                self.forget(ref)
                return True
            case EntryCompleted():
                if speaker is not None:
                    speaker.waiting.pop((ref.branch_id, ref.node_id), None)
                    if effect.order is not None:
                        speaker.order, speaker.order_at_us = max(effect.order, speaker.order or 0), self._clock.now_us()
                return True
            case DurableRefusal(number=0):
                if speaker is not None:
                    speaker.leaving = None
                return True
        if effect.number == 0:
            if speaker is not None:
                speaker.node = ref.node_id
            return True
        if speaker is None or speaker.asked is None or speaker.asked.number != effect.number:
            return False
        speaker.asked, speaker.is_asking, speaker.node = None, False, ref.node_id
        if isinstance(effect, WaitAck):
            speaker.waiting[ref.branch_id, ref.node_id] = None
        return True

    def _speaker(self, task_id: str, invocation_count: int) -> _Speaker:
        speaker = self._speakers.get((task_id, invocation_count))
        if speaker is None:
            speaker = self._speakers[task_id, invocation_count] = _Speaker()
        return speaker


class SignalSubscription:
    """(task id, key, data) of signals that fired, for one listener."""

    __slots__ = ("_fired", "_wake", "wanted")

    def __init__(self) -> None:
        self.wanted: set[tuple[str, str]] = set()
        self._fired: deque[tuple[str, str, str]] = deque()
        self._wake = asyncio.Event()

    def fire(self, task_id: str, key: str, data: str) -> None:
        if (task_id, key) in self.wanted:
            self.wanted.discard((task_id, key))
            self._fired.append((task_id, key, data))
            self._wake.set()

    async def next(self) -> tuple[str, str, str]:
        while not self._fired:
            self._wake.clear()
            await self._wake.wait()
        return self._fired.popleft()
