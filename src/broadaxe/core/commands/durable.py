"""Commands of durable tasks: what an invocation asks for, what its worker says of it, signals of the older protocol."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING, Needs, looked_back_at
from broadaxe.core.commands.triggers import RunRequest
from broadaxe.core.waits import Condition


class EntryRef(msgspec.Struct, frozen=True, gc=False):
    """The address of an entry of a durable task's log."""

    task_id: str
    invocation_count: int
    branch_id: int
    node_id: int


class DurableRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What an invocation of a durable task asks for, on the stream numbered `stream`. Reply: None; the answer is an
    effect, so that answers and results of one task leave in the order they were decided. One of a stale invocation
    is answered by telling its worker to drop it, and changes nothing."""

    stream: int
    task_id: str
    invocation_count: int


class DurableOperation(DurableRequest, frozen=True, kw_only=True):
    """A request that takes the next node. `after` is the node its invocation had come to when it was asked, None if
    that is not known: then the tenant's own count stands. `told` is the last place in the order of results that it can
    have been sent by then, None if that is not known: it counts where the tenant was loaded since. The answer has the
    `number` by which the stream knows the request; one that has a number may be decided again, and is answered with
    what was recorded the first time."""

    number: int = 0
    after: int | None = None
    told: int | None = None


class Place(msgspec.Struct, frozen=True, gc=False):
    """How far an invocation has come: the node of its latest operation, and the last place in the order of results it
    was sent, None if that is not known. Nothing after the place `sent_at_most` was ever sent to it."""

    node: int
    order: int | None
    sent_at_most: int | None = None


class FindPlace(msgspec.Struct, frozen=True):
    """Asks how far an invocation has come. Reply: `Place`; None when it is over or nobody knows."""

    task_id: str
    invocation_count: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class Told(msgspec.Struct, frozen=True, gc=False):
    """What a stream knows of an invocation that speaks on it. `waiting` are (branch, node) of entries it waits for
    whose results were not put on the stream; `order_at_us` is when the last one was. Where `order` is not known,
    `sent_at_most` may be, as of `Place`."""

    task_id: str
    invocation_count: int
    node: int | None
    order: int | None
    order_at_us: int
    waiting: tuple[tuple[int, int], ...]
    sent_at_most: int | None = None


class ResumeInvocations(msgspec.Struct, frozen=True):
    """The stream has outlived the tenant's memory: invocations go on from what was told on it. Reply: None."""

    stream: int
    invocations: tuple[Told, ...]

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class BeginMemo(DurableOperation, frozen=True):
    """Asks for the memo at the next node."""

    @property
    def is_repeatable(self) -> bool:
        return self.number > 0

    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class CompleteMemo(DurableRequest, frozen=True):
    """Keeps the value of a memo (JSON text). Not answered."""

    branch_id: int
    node_id: int
    payload: str

    is_repeatable: ClassVar = True
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.payload)


class SpawnChildren(DurableOperation, frozen=True):
    """Creates a run per request, each at a node of its own; all or none. InvalidArgument as for `TriggerRuns`."""

    requests: tuple[RunRequest, ...]

    @property
    def is_repeatable(self) -> bool:
        return self.number > 0

    @property
    def chars(self) -> int:
        return sum(request.chars for request in self.requests)

    @property
    def needs(self) -> Needs:
        keys = frozenset(request.child_key for request in self.requests if request.child_key)
        return Needs(children=frozenset((self.task_id, key) for key in keys)) if keys else NOTHING


class BeginWait(DurableOperation, frozen=True):
    """Waits for the conditions, at the next node."""

    conditions: tuple[Condition, ...]
    label: str = ""

    @property
    def is_repeatable(self) -> bool:
        return self.number > 0

    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(events=looked_back_at(self.conditions))


Operation = BeginMemo | SpawnChildren | BeginWait


class EvictInvocation(DurableRequest, frozen=True):
    """The worker gives a waiting invocation back. `arrived_order` is the last place in the order of results that had
    surely arrived there when it said so; None if nobody knows."""

    reason: str = ""
    arrived_order: int | None = None

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class ReportWaiting(msgspec.Struct, frozen=True):
    """A worker lists the entries its durable tasks wait for. `received` are (task id, invocation, place in the order
    up to which it has results). Reply: None."""

    stream: int
    entries: tuple[EntryRef, ...]
    received: tuple[tuple[str, int, int], ...] = ()

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class RegisterSignal(msgspec.Struct, frozen=True):
    """A wait of the older protocol, known by (task, key); repeating it changes nothing. Reply: None. NotFound for a
    task that is not running."""

    task_id: str
    key: str
    conditions: tuple[Condition, ...]

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(live_tasks=frozenset((self.task_id,)), events=looked_back_at(self.conditions))
