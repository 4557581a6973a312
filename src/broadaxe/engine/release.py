"""Letting out what a committed round decided, in the order it was decided.

    read what the effects need (again and again, while the database is away)  ->  tell, without waiting for anything

A commit that was made is told: reading is repeated until it succeeds, and while it is, nothing else of the tenant is
decided. Telling is synchronous, so it is never half done; an effect that cannot be told for a mistake of ours is
logged, does not hold up the others, and if it was an assignment goes back to the tenant.

Refuses knowing what a payload looks like on the wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog

from broadaxe.core.commands import Command
from broadaxe.core.commands.attempts import FailDelivery
from broadaxe.core.decision import (
    CancelAttempt,
    ChildrenAck,
    Decision,
    DropInvocation,
    DurableRefusal,
    Effect,
    EntryCompleted,
    EvictionAck,
    InvocationOver,
    MemoAck,
    NonDeterminism,
    OutboxHasRoom,
    RunFinished,
    RunStarted,
    SignalFired,
    StartAttempt,
    StartBatch,
    TaskProgressed,
    TopicGrew,
    WaitAck,
    WorkerHeard,
)
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.engine.durable_streams import Answer
from broadaxe.engine.sessions import Assignment, BatchAssignment
from broadaxe.engine.store import DurableResult, EntryPlace, TenantStore
from broadaxe.engine.streams import TenantStreams
from broadaxe.engine.subscriptions import RunOutcome, TaskOutcome
from broadaxe.errors import Unavailable

__all__ = ["Release"]

#: Pauses between reads that fail: the first, doubled each time up to the second.
READ_AGAIN_FIRST_S: Final = 0.05
READ_AGAIN_MAX_S: Final = 1.0

_log = structlog.get_logger(__name__)


class _Read(msgspec.Struct, frozen=True):
    """What the effects of a round need beside themselves."""

    inputs: dict[str, str]
    outputs: dict[str, str]
    results: dict[EntryPlace, DurableResult]
    awaited: frozenset[str]
    """Runs that somebody waited for when it was read. Who came later has asked the tables, and is told from there."""


_NOTHING_READ: Final = _Read({}, {}, {}, frozenset())


class Release:
    """The way out of one activation of a tenant."""

    def __init__(
        self,
        tenant_id: str,
        kept: TenantStore,
        streams: TenantStreams,
        *,
        observe: Callable[[str, Decision], None] | None,
        tell: Callable[[Command], None],
        on_room: Callable[[], None],
        on_finished: Callable[[Sequence[str]], None],
    ) -> None:
        """`tell` submits a command of the engine's own; `on_room` hears that the outbox may be read again, and
        `on_finished` which tasks have ended with their run."""
        self._tenant_id = tenant_id
        self._kept = kept
        self._streams = streams
        self._observe = observe
        self._submit = tell
        self._on_room = on_room
        self._on_finished = on_finished

    async def __call__(self, decision: Decision) -> None:
        self._kept.remember(decision.writes)
        self._streams.changes.note_writes(decision.writes)
        if self._observe is not None:
            try:
                self._observe(self._tenant_id, decision)
            except Exception:
                _log.exception("a commit was not counted", tenant=self._tenant_id)
        if decision.effects:
            read = await self._read_in_time(decision.effects)
            for effect in decision.effects:
                try:
                    self._tell(effect, read)
                except Exception:
                    _log.exception("an effect was not told", tenant=self._tenant_id, effect=type(effect).__name__)
                    if isinstance(effect, StartAttempt | StartBatch):
                        self._give_back(effect, "the engine could not put the assignment together")

    # Reading -------------------------------------------------------------------------------------------------------

    async def _read_in_time(self, effects: Sequence[Effect]) -> _Read:
        pause_s = READ_AGAIN_FIRST_S
        while True:
            try:
                return await self._read(effects)
            except Unavailable as error:
                _log.warning("what was committed cannot be told yet", tenant=self._tenant_id, error=str(error))
            await asyncio.sleep(pause_s)
            pause_s = min(READ_AGAIN_MAX_S, 2 * pause_s)

    async def _read(self, effects: Sequence[Effect]) -> _Read:
        runs: list[str] = []
        tasks: set[str] = set()
        entries: set[EntryPlace] = set()
        awaited: list[str] = []
        for effect in effects:
            match effect:
                case StartAttempt():
                    runs.append(effect.run_id)
                    tasks.update(task_id for _, task_id in effect.parents)
                case StartBatch():
                    for item in effect.items:
                        runs.append(item.run_id)
                        tasks.update(task_id for _, task_id in item.parents)
                case RunFinished() if self._streams.has_waiter(effect.run_id):
                    awaited.append(effect.run_id)
                    tasks.update(_with_outputs(effect))
                case EntryCompleted(payload=None):
                    entries.add((effect.ref.task_id, effect.ref.branch_id, effect.ref.node_id))
                case MemoAck(payload=None, is_kept=True):
                    entries.add((effect.ref.task_id, effect.ref.branch_id, effect.ref.node_id))
                case _:
                    pass
        if not (runs or tasks or entries or awaited):
            return _NOTHING_READ
        kept = self._kept
        return _Read(
            await kept.inputs(runs) if runs else {},
            await kept.outputs(tasks) if tasks else {},
            await kept.durable_results(entries) if entries else {},
            frozenset(awaited),
        )

    # Telling -------------------------------------------------------------------------------------------------------

    def _tell(self, effect: Effect, read: _Read) -> None:
        streams = self._streams
        match effect:
            case StartAttempt():
                streams.attempt_begins(effect)
                if not streams.send(effect.worker_id, _assignment(effect, read)):
                    self._give_back(effect, "the worker's stream is closed")
            case StartBatch():
                for item in effect.items:
                    streams.attempt_begins(item)
                items = tuple(_assignment(item, read) for item in effect.items)
                if not streams.send(effect.worker_id, BatchAssignment(effect, items)):
                    self._give_back(effect, "the worker's stream is closed")
            case CancelAttempt(worker_id):
                streams.send(worker_id, effect)
            case TaskProgressed() | RunStarted():
                streams.news(effect)
            case RunFinished():
                self._finish(effect, read)
            case SignalFired(task_id, key, payload):
                streams.fire(task_id, key, payload)
            case WorkerHeard(worker_id, at_us):
                streams.changes.note_heartbeat(worker_id, at_us)
            case TopicGrew(topic_id, messages):
                streams.topic_grew(topic_id, messages)
            case OutboxHasRoom():
                self._on_room()
            case InvocationOver(stream=number, ref=ref):
                streams.end_invocation(number, ref)
            case (
                MemoAck()
                | ChildrenAck()
                | WaitAck()
                | EntryCompleted()
                | NonDeterminism()
                | DurableRefusal()
                | EvictionAck()
                | DropInvocation()
            ):
                own: str | None = getattr(effect, "payload", None)
                found = read.results.get((effect.ref.task_id, effect.ref.branch_id, effect.ref.node_id))
                answer = Answer(effect, *found) if own is None and found is not None else Answer(effect, own)
                streams.answer(answer)

    def _finish(self, effect: RunFinished, read: _Read) -> None:
        if effect.run_id in read.awaited:
            outputs = read.outputs
            tasks = tuple(
                TaskOutcome(
                    r.task_id, r.name, outputs.get(r.task_id), None if r.status is TaskStatus.CANCELLED else r.error
                )
                for r in effect.results
            )
            self._streams.deliver(RunOutcome(effect.run_id, effect.status, tasks))
        self._streams.news(effect)
        self._on_finished([result.task_id for result in effect.results])

    def _give_back(self, effect: StartAttempt | StartBatch, reason: str) -> None:
        for attempt in effect.items if isinstance(effect, StartBatch) else (effect,):
            self._submit(FailDelivery(attempt.task_id, attempt.retry_count, reason))


def _assignment(attempt: StartAttempt, read: _Read) -> Assignment:
    outputs = {task_id: read.outputs[task_id] for _, task_id in attempt.parents if task_id in read.outputs}
    return Assignment(attempt, read.inputs.get(attempt.run_id, "{}"), outputs)


def _with_outputs(effect: RunFinished) -> list[str]:
    return [r.task_id for r in effect.results if r.status in (TaskStatus.COMPLETED, TaskStatus.SKIPPED)]
