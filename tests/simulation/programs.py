"""Programs of durable tasks, and the workers that run them as an SDK does.

A program is deterministic: its task's id and the order in which results came decide what it does. It is run from the
top at every invocation. A worker has at most one request of an invocation under way, hands results to the program in
the order they were delivered, holds one back for as long as nobody waits for it, and lists what its programs wait for.
When its stream breaks, what was asked and not answered fails the attempt.

The transcripts of all invocations of a task on one branch are prefixes of each other: that is the promise of section
6.2, and `Invocation._note` checks it.
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from broadaxe.core.commands.durable import (
    BeginMemo,
    BeginWait,
    CompleteMemo,
    DurableRequest,
    EntryRef,
    EvictInvocation,
    ReportWaiting,
    SpawnChildren,
)
from broadaxe.core.commands.triggers import RunRequest
from broadaxe.core.decision import (
    ChildrenAck,
    DropInvocation,
    DurableAnswer,
    DurableRefusal,
    EntryCompleted,
    EvictionAck,
    MemoAck,
    NonDeterminism,
    WaitAck,
)
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import EntryKind
from broadaxe.core.waits import Condition
from tests.simulation.books import hold
from tests.simulation.tables import Place, Tables

#: They start no run: nobody declares them.
EVENT_KEYS = ("go", "stop")
EXPRESSIONS = ("", "", "input.n > 1", "input.nowhere == 1")
SCOPES = (None, None, "S", "T")
LOOK_BACK_US = 10 * US_PER_S


# What programs do ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wait:
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Memo:
    pass


@dataclass(frozen=True, slots=True)
class Spawn:
    """Answered by the places of the children."""

    requests: tuple[RunRequest, ...]


@dataclass(frozen=True, slots=True)
class Take:
    """Waits until `count` of these have come; answered by their places in the order they came."""

    places: tuple[Place, ...]
    count: int


Step = Wait | Memo | Spawn | Take
Program = Generator[Step, Any, None]


def program(seed: str, workflows: tuple[str, ...]) -> Program:
    """A program that spawns children of these workflows, if there are any, and awaits each of them at most once."""
    chance = random.Random(seed)
    spawned: list[Place] = []
    known: set[Place] = set()
    kinds = ["wait", "wait", "gather", "race", "memo"] + ["spawn", "spawn", "await", "mix"] * bool(workflows)
    for _ in range(chance.randint(1, 5)):
        match chance.choice(kinds):
            case "wait":
                yield Take(((yield Wait(_conditions(chance))),), 1)
            case "gather":
                first = yield Wait(_conditions(chance))
                second = yield Wait(_conditions(chance))
                yield Take((first, second), 2)
            case "race":
                first = yield Wait(_conditions(chance))
                second = yield Wait(_conditions(chance))
                (winner,) = yield Take((first, second), 1)
                # What follows depends on who won, so a race that ends otherwise another time is noticed.
                chance = random.Random(f"{seed}/{winner}")
            case "memo":
                yield Memo()
            case "spawn":
                places = yield Spawn(_requests(chance, workflows))
                spawned += [place for place in dict.fromkeys(places) if place not in known]
                known.update(places)
            case "await":
                if spawned:
                    yield Take((spawned.pop(chance.randrange(len(spawned))),), 1)
            case _:
                if spawned:
                    wait = yield Wait(_conditions(chance))
                    (winner,) = yield Take((wait, spawned.pop()), 1)
                    chance = random.Random(f"{seed}/{winner}")
    if spawned and chance.random() < 0.6:
        yield Take(tuple(spawned), len(spawned))


def some_conditions(chance: random.Random, now_us: int) -> tuple[Condition, ...]:
    """What somebody outside of a program waits for."""
    return _looking_back(_conditions(chance), now_us)


def _conditions(chance: random.Random) -> tuple[Condition, ...]:
    return tuple(_condition(chance) for _ in range(chance.choice((1, 1, 1, 2, 3))))


def _condition(chance: random.Random) -> Condition:
    group = chance.randint(0, 1)
    if chance.random() < 0.5:
        ms = chance.choice((0, 1, 1_000, 10_000, 60_000))
        return Condition(group=group, data_key=f"sleep:{ms}ms", sleep=f"{ms}ms", sleep_us=ms * 1_000)
    key, scope = chance.choice(EVENT_KEYS), chance.choice(SCOPES)
    looks_back = scope is not None and chance.random() < 0.5
    # The instant is filled in by whoever sends it: it is no part of what makes two waits the same.
    since_us = 0 if looks_back else None
    expression = chance.choice(EXPRESSIONS)
    return Condition(group=group, data_key=key, event_key=key, scope=scope, expression=expression, since_us=since_us)


def _requests(chance: random.Random, workflows: tuple[str, ...]) -> tuple[RunRequest, ...]:
    return tuple(
        RunRequest(
            workflow_name=chance.choice(workflows),
            input=msgspec.json.encode(
                {"k": chance.choice("AB"), "u": "x", "n": chance.choice((0, 1, 2))},
            ).decode(),
            child_key=chance.choice((None, None, "k", "l")),
        )
        for _ in range(chance.choice((1, 1, 2)))
    )


# Who runs them -------------------------------------------------------------------------------------------------------


class Transcripts:
    """What the programs of all invocations did and got: one is a prefix of the other, per task and branch."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.known: dict[tuple[str, int], list[tuple[object, ...]]] = {}
        self.asked: dict[int, int] = {}
        """By the `id` of a request: the number of the operation it asks for, from 0."""
        self.forked: set[str] = set()
        """Tasks of which a child was replayed: its outcome, and when it came, is another one."""

    def note(self, invocation: Invocation, happened: tuple[object, ...]) -> None:
        invocation.transcript.append(happened)
        if invocation.task_id in self.forked:
            return
        known = self.known.setdefault((invocation.task_id, invocation.branch_id), [])
        place = len(invocation.transcript) - 1
        if place == len(known):
            known.append(happened)
        hold(known[place] == happened, "another story", invocation.key, place, known[place], "now", happened)


@dataclass(slots=True)
class Invocation:
    """One run of a program from the top."""

    task_id: str
    retry_count: int
    number: int
    branch_id: int
    program: Program
    asks: Step | None = None
    """What the program wants and has not asked for yet."""
    sent: Step | None = None
    """What was asked for and is not answered yet."""
    takes: Take | None = None
    """What the program waits for."""
    is_leaving: bool = False
    """Its eviction was asked for."""
    has_started: bool = False
    outcome: str | None = None
    """How it ended: an error, or an empty text when all went well."""
    waiting: dict[Place, None] = field(default_factory=dict)
    come: deque[Place] = field(default_factory=deque)
    """Results that were delivered while nobody waited for them, in order."""
    delivered: set[Place] = field(default_factory=set)
    ready: list[Place] = field(default_factory=list)
    """Results that were handed over and that the program has not looked at."""
    highest: int = 0
    """The highest place in the order that was received."""
    transcript: list[tuple[object, ...]] = field(default_factory=list)
    ops: int = 0
    """Operations that were answered."""
    values: dict[Place, object] = field(default_factory=dict)
    """What results brought."""

    def output(self) -> str:
        """All that the program did and got."""
        digest = hashlib.sha256(repr([told(happened) for happened in self.transcript]).encode()).hexdigest()
        return msgspec.json.encode({"steps": len(self.transcript), "story": digest}).decode()

    @property
    def key(self) -> tuple[str, int]:
        return self.task_id, self.number

    @property
    def is_suspended(self) -> bool:
        return self.takes is not None and self.outcome is None


class Worker:
    """What a worker process knows of its durable tasks, and its stream to the engine."""

    def __init__(self, transcripts: Transcripts, id_: str) -> None:
        self.id = id_
        self.transcripts = transcripts
        self.tables = transcripts.tables
        self.stream: int | None = None
        self.invocations: dict[tuple[str, int], Invocation] = {}
        self.outbox: deque[DurableRequest | ReportWaiting] = deque()
        """Their stream is filled in when they are sent."""
        self.inbox: deque[DurableAnswer] = deque()

    def start(self, task_id: str, retry_count: int, number: int, steps: Program) -> None:
        branch_id = self.tables.logs[task_id].branch_id
        invocation = Invocation(task_id, retry_count, number, branch_id, steps)
        self.invocations[invocation.key] = invocation
        self._go_on(invocation, None)

    def drop(self, task_id: str, number: int) -> None:
        """This invocation and older ones are over."""
        for key in [key for key in self.invocations if key[0] == task_id and key[1] <= number]:
            del self.invocations[key]

    def open(self, stream: int) -> None:
        """A new stream: the worker lists first what it waits for."""
        self.lose_stream()
        self.stream = stream
        waiting = [(invocation, place) for invocation in self.invocations.values() for place in invocation.waiting]
        if waiting:
            self.outbox.appendleft(self._list(waiting))

    def lose_stream(self) -> None:
        """What was asked and not answered fails its attempt; what was not sent yet is kept."""
        self.stream = None
        self.inbox.clear()
        for invocation in self.invocations.values():
            self._stay(invocation)
            invocation.is_leaving = False
            if invocation.sent is not None:
                invocation.sent = None
                invocation.outcome = "the stream broke"

    def list_again(self) -> None:
        waiting = [(invocation, place) for invocation in self.invocations.values() for place in invocation.waiting]
        if waiting and self.stream is not None:
            self.outbox.append(self._list(waiting))

    def leave_all(self, reason: str) -> int:
        """How many invocations it asks to be evicted that it had not asked for yet."""
        leaving = [i for i in self.invocations.values() if i.is_suspended and not i.is_leaving]
        if self.stream is None:
            return 0
        for invocation in leaving:
            self.leave(invocation, reason)
        return len(leaving)

    def leave(self, invocation: Invocation, reason: str) -> None:
        invocation.is_leaving = True
        task_id, number = invocation.key
        self.outbox.append(EvictInvocation(stream=0, task_id=task_id, invocation_count=number, reason=reason))

    def send(self, count: int, now_us: int) -> list[DurableRequest | ReportWaiting]:
        """The next messages on the stream."""
        sent: list[DurableRequest | ReportWaiting] = []
        while self.stream is not None and self.outbox and len(sent) < count:
            message = msgspec.structs.replace(self.outbox.popleft(), stream=self.stream)
            if not isinstance(message, ReportWaiting):
                invocation = self.invocations.get((message.task_id, message.invocation_count))
                if invocation is None:
                    continue
                if isinstance(message, BeginWait):
                    message = msgspec.structs.replace(message, conditions=_looking_back(message.conditions, now_us))
                if not isinstance(message, EvictInvocation | CompleteMemo):
                    invocation.sent, invocation.asks = invocation.asks, None
                    self.transcripts.asked[id(message)] = invocation.ops
            sent.append(message)
        return sent

    def hear(self, answer: DurableAnswer) -> None:
        ref = answer.ref
        if isinstance(answer, DropInvocation):
            self.drop(ref.task_id, ref.invocation_count)
            return
        invocation = self.invocations.get((ref.task_id, ref.invocation_count))
        if invocation is None:
            return
        place = ref.branch_id, ref.node_id
        match answer:
            case EntryCompleted():
                self._come(invocation, place, answer)
            case EvictionAck():
                self.drop(ref.task_id, ref.invocation_count)
            case DurableRefusal():
                self.refuse(invocation.key, answer.message)
            case NonDeterminism():
                hold(ref.task_id in self.transcripts.forked, "called non-deterministic", answer)
                invocation.sent, invocation.outcome = None, answer.message
            case WaitAck():
                step = self._answered(invocation, Wait)
                self.transcripts.note(invocation, ("waits", place, step.conditions))
                self._register(invocation, [place])
                self._go_on(invocation, place)
            case MemoAck():
                self._answered(invocation, Memo)
                self.transcripts.note(invocation, ("memo", place))
                entry = self.tables.entries[ref.task_id][place]
                hold(not answer.is_kept or entry.satisfied_at_us is not None, "a memo of nothing", answer)
                hold(answer.payload is None or answer.payload == entry.result, "another memo", answer, entry)
                if not answer.is_kept:
                    self.outbox.append(
                        CompleteMemo(
                            stream=0,
                            task_id=ref.task_id,
                            invocation_count=ref.invocation_count,
                            branch_id=ref.branch_id,
                            node_id=ref.node_id,
                            payload=msgspec.json.encode({"of": invocation.key}).decode(),
                        )
                    )
                invocation.waiting[place] = None
                self._hand_out(invocation)
                self._go_on(invocation, None)
            case ChildrenAck():
                step = self._answered(invocation, Spawn)
                hold(len(answer.children) == len(step.requests), "children are missing", answer)
                self.transcripts.note(invocation, ("spawns", answer.children))
                self._go_on(invocation, [(branch_id, node_id) for branch_id, node_id, _ in answer.children])

    def refuse(self, key: tuple[str, int], message: str) -> None:
        """A request of the invocation cannot be done."""
        invocation = self.invocations.get(key)
        if invocation is not None:
            invocation.is_leaving = False
            if invocation.sent is not None:
                invocation.sent, invocation.outcome = None, message

    # ---------------------------------------------------------------------------------------------------------------

    def _answered(self, invocation: Invocation, kind: type[Step]) -> Any:
        step, invocation.sent = invocation.sent, None
        invocation.ops += 1
        hold(isinstance(step, kind), "an answer to something else", invocation.key, step, kind)
        return step

    def _go_on(self, invocation: Invocation, answer: object) -> None:
        """Runs the program up to what it does next."""
        if invocation.is_leaving:
            self._stay(invocation)
        try:
            step = invocation.program.send(answer)
        except StopIteration:
            invocation.outcome = ""
            return
        if isinstance(step, Take):
            invocation.takes = step
            absent = [p for p in step.places if p not in invocation.waiting and p not in invocation.ready]
            self._register(invocation, absent)
            self._take(invocation)
            return
        invocation.asks = step
        task_id, number = invocation.key
        match step:
            case Wait(conditions):
                message: DurableRequest = BeginWait(
                    stream=0, task_id=task_id, invocation_count=number, conditions=conditions
                )
            case Memo():
                message = BeginMemo(stream=0, task_id=task_id, invocation_count=number)
            case Spawn(requests):
                message = SpawnChildren(stream=0, task_id=task_id, invocation_count=number, requests=requests)
        self.outbox.append(message)

    def _stay(self, invocation: Invocation) -> None:
        """An eviction that was not asked for yet is not wanted any more."""
        for message in list(self.outbox):
            if isinstance(message, EvictInvocation) and (message.task_id, message.invocation_count) == invocation.key:
                self.outbox.remove(message)
                invocation.is_leaving = False

    def _register(self, invocation: Invocation, places: list[Place]) -> None:
        """The program waits for these from now on; those that have not come yet are listed."""
        for place in places:
            invocation.waiting[place] = None
        self._hand_out(invocation)
        absent = [(invocation, place) for place in places if place in invocation.waiting]
        if absent:
            self.outbox.append(self._list(absent))

    def _list(self, waiting: list[tuple[Invocation, Place]]) -> ReportWaiting:
        return ReportWaiting(
            0,
            tuple(EntryRef(*invocation.key, *place) for invocation, place in waiting),
            tuple((*key, highest) for key, highest in {i.key: i.highest for i, _ in waiting}.items() if highest),
        )

    def _come(self, invocation: Invocation, place: Place, answer: EntryCompleted) -> None:
        entry = self.tables.entries[invocation.task_id][place]
        if entry.satisfied_at_us is not None and invocation.task_id not in self.transcripts.forked:
            hold(answer.payload is None or answer.payload == entry.result, "another result", answer, entry)
            hold(answer.order is None or answer.order == entry.order, "another place in the order", answer, entry)
        outcome = self.tables.outcomes.get((invocation.task_id, place))
        invocation.values[place] = outcome if entry.kind is EntryKind.RUN else entry.result
        invocation.highest = max(invocation.highest, answer.order or 0)
        if place not in invocation.delivered:
            invocation.delivered.add(place)
            invocation.come.append(place)
            self._hand_out(invocation)
        elif place not in invocation.come and place in invocation.waiting:
            self._hand(invocation, place)
        self._take(invocation)

    def _hand_out(self, invocation: Invocation) -> None:
        while invocation.come and invocation.come[0] in invocation.waiting:
            self._hand(invocation, invocation.come.popleft())

    def _hand(self, invocation: Invocation, place: Place) -> None:
        del invocation.waiting[place]
        invocation.ready.append(place)

    def _take(self, invocation: Invocation) -> None:
        step = invocation.takes
        if step is None or invocation.outcome is not None:
            return
        taken = [place for place in invocation.ready if place in step.places][: step.count]
        if len(taken) == step.count:
            for place in taken:
                invocation.ready.remove(place)
            invocation.takes = None
            self.transcripts.note(invocation, ("took", taken, [invocation.values[place] for place in taken]))
            self._go_on(invocation, taken)


def told(happened: tuple[object, ...]) -> tuple[object, ...]:
    """What happened, without ids of runs: those that a tenant gives are its own."""
    if happened[0] != "spawns":
        return happened
    children: Any = happened[1]
    return "spawns", tuple((branch_id, node_id) for branch_id, node_id, _ in children)


def _looking_back(conditions: tuple[Condition, ...], now_us: int) -> tuple[Condition, ...]:
    return tuple(
        c if c.since_us is None else msgspec.structs.replace(c, since_us=now_us - LOOK_BACK_US) for c in conditions
    )
