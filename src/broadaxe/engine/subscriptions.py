"""People and programs that wait for runs: results, and live events with streamed chunks.

Everything here is told after the commit. A waiter for results is registered first and the tables are looked at second,
so no finish falls between the two. Live events are not kept: who subscribes late misses what was before.

Bounds: a subscription to events holds at most `EVENTS_BUFFERED_MAX` undelivered events and `CHARS_BUFFERED_MAX`
characters in them; a reader slower than that loses events, never the last one. Chunks of a task are put in order of
their index before anyone gets them; a gap is waited for `GAP_WAIT_S`, which begin anew when the tenant has been away
(the call of the missing chunk may have been held), while at most `HELD_CHUNKS_MAX` chunks of a task and
`HELD_CHARS_MAX` characters of all tasks are held. Who follows runs by metadata is told the end when none is left, those
of a backlog that is not in memory included: `ACTIVE_RUNS_MAX` of them are known at a time, and more are looked for when
these have ended.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

import msgspec
import structlog

from broadaxe.core.decision import Progress, RunFinished, RunStarted, TaskProgressed
from broadaxe.core.lifecycle import RunStatus
from broadaxe.loops import Loops

EVENTS_BUFFERED_MAX: Final = 4096
GAP_WAIT_S: Final = 5.0
HELD_CHUNKS_MAX: Final = 1024
#: Chunks of a task that may be on their way at once, unanswered.
REPEATED_CHUNKS_MAX: Final = 64
#: Texts are counted in characters: what they weigh in memory is within a small factor of it.
CHARS_BUFFERED_MAX: Final = 16 * 1024 * 1024
HELD_CHARS_MAX: Final = 32 * 1024 * 1024
ACTIVE_RUNS_MAX: Final = 1_000
#: More than are found at a time, of which some may have ended long before.
ENDED_RUNS_MAX: Final = 2 * ACTIVE_RUNS_MAX
LOOK_UP_RETRY_S: Final = 1.0

_log = structlog.get_logger(__name__)


class TaskOutcome(msgspec.Struct, frozen=True, gc=False):
    """One task of a finished run. `output` only when completed, `error` only when failed: that a task was cancelled is
    no error to whoever waits for its run (section 13.2)."""

    task_id: str
    name: str
    output: str | None
    error: str | None


class RunOutcome(msgspec.Struct, frozen=True):
    run_id: str
    status: RunStatus
    tasks: tuple[TaskOutcome, ...]


LookUp = Callable[[list[str]], Awaitable[list[RunOutcome]]]
#: Ids of runs whose metadata has the key with the value: of the unfinished ones, or if an instant is given of all that
#: have begun since; at most so many.
FindRuns = Callable[[str, str, int | None, int], Awaitable[list[str]]]


class ResultSubscription:
    """Outcomes of the runs asked for, each once per time it is asked for."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._ready: deque[RunOutcome] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self.awaited: set[str] = set()

    def add(self, run_id: str) -> None:
        """Asks for a run; an unknown one is waited for."""
        if run_id not in self.awaited and not self._closed:
            self.awaited.add(run_id)
            self._hub._wait_for(run_id, self)

    def deliver(self, outcome: RunOutcome) -> None:
        if outcome.run_id in self.awaited:
            self.awaited.discard(outcome.run_id)
            self._ready.append(outcome)
            self._wake.set()

    async def next(self) -> RunOutcome | None:
        """The next outcome; None once the subscription is closed and everything it had is taken."""
        while not self._ready and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        return self._ready.popleft() if self._ready else None

    async def some(self) -> list[RunOutcome]:
        """Every outcome there is, at least one; nothing once the subscription is closed and all it had is taken."""
        while not self._ready and not self._closed:
            self._wake.clear()
            await self._wake.wait()
        taken = list(self._ready)
        self._ready.clear()
        return taken

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        for run_id in self.awaited:
            self._hub._stop_waiting(run_id, self)
        self.awaited.clear()
        self._hub._results.discard(self)


class LiveKind(StrEnum):
    PROGRESS = "PROGRESS"
    CHUNK = "CHUNK"
    FINISHED = "FINISHED"


class LiveEvent(msgspec.Struct, frozen=True, gc=False):
    """Something that happened in a run. `is_last` closes the subscription."""

    kind: LiveKind
    run_id: str
    resource_id: str
    at_us: int
    payload: str = ""
    progress: Progress | None = None
    status: RunStatus | None = None
    retry_count: int = 0
    retries: int = 0
    index: int | None = None
    is_last: bool = False


class EventSubscription:
    """What one reader has yet to read, and for who follows metadata, the runs that are still under way."""

    def __init__(self, metadata: tuple[str, str] | None = None, since_us: int = 0) -> None:
        """`since_us`: since when it follows metadata."""
        self._events: deque[LiveEvent] = deque()
        self._chars = 0
        self._wake = asyncio.Event()
        self.is_closed = False
        self.metadata = metadata
        """The key and value it follows."""
        self.since_us = since_us
        self.active_runs: set[str] = set()
        self._ended_runs: dict[str, None] = {}
        """Those of which it has been told the end, the latest `ENDED_RUNS_MAX`."""
        self.may_have_more = False
        """Whether there may be active runs beyond those it knows."""
        self.end: LiveEvent | None = None
        """The end of the last run it knew, held back while more runs are looked for."""
        self.appeared = asyncio.Event()
        """Set when a run that did not exist at the time of subscribing comes to be."""
        self.lost = 0

    def has_ended(self, run_id: str) -> bool:
        """Whether it has been told so."""
        return run_id in self._ended_runs

    def note_end(self, run_id: str) -> None:
        self.active_runs.discard(run_id)
        self._ended_runs[run_id] = None
        if len(self._ended_runs) > ENDED_RUNS_MAX:
            del self._ended_runs[next(iter(self._ended_runs))]

    def deliver(self, event: LiveEvent) -> None:
        is_full = len(self._events) >= EVENTS_BUFFERED_MAX or self._chars + len(event.payload) > CHARS_BUFFERED_MAX
        if is_full and not event.is_last:
            self.lost += 1
            return
        self._events.append(event)
        self._chars += len(event.payload)
        self._wake.set()

    async def next(self) -> LiveEvent | None:
        """The next event; None once the subscription is closed."""
        while not self._events and not self.is_closed:
            self._wake.clear()
            await self._wake.wait()
        if self.is_closed:
            return None
        event = self._events.popleft()
        self._chars -= len(event.payload)
        return event

    def close(self) -> None:
        """Nothing more is read from it."""
        self.is_closed = True
        self._wake.set()


class Elsewhere(Protocol):
    """Who is told what is followed here, while another node tells of the tenant."""

    def want_outcomes(self, run_ids: Collection[str]) -> None:
        """Answered by `Hub.found_ended` with those that are not live."""
        ...

    def want_no_outcome(self, run_id: str) -> None: ...

    def want_run(self, run_id: str) -> None: ...

    def want_no_run(self, run_id: str) -> None: ...

    def want_metadata(self, key: str, value: str) -> None:
        """Answered by `Hub.metadata_wanted` once they are told of."""
        ...

    def want_no_metadata(self, key: str, value: str) -> None: ...


class _ChunkOrder:
    """Chunks of one task of a run with this metadata, released by ascending index."""

    __slots__ = ("_came", "expected", "held", "metadata", "timer")

    def __init__(self, metadata: str | None) -> None:
        self.metadata = metadata
        self.expected = 0
        self.held: dict[int, LiveEvent] = {}
        self.timer: asyncio.TimerHandle | None = None
        self._came: dict[int, int] = {}
        """The hash of what came last, by index."""

    def is_repeated(self, index: int, text: str) -> bool:
        """Whether it came a moment ago. Whoever heard no answer sends it again, a node also several at once."""
        hashed = hash(text)
        if self._came.get(index) == hashed:
            return True
        self._came.pop(index, None)
        self._came[index] = hashed
        if len(self._came) > REPEATED_CHUNKS_MAX:
            del self._came[next(iter(self._came))]
        return False


class Hub:
    """All subscriptions to one tenant's runs on this node."""

    def __init__(
        self,
        look_up: LookUp,
        find_runs: FindRuns,
        is_live: Callable[[str], bool],
        is_here: Callable[[], bool],
        now_us: Callable[[], int],
        loops: Loops,
    ) -> None:
        self._look_up = look_up
        self._find_runs = find_runs
        self._is_live = is_live
        self._is_here = is_here
        self._now_us = now_us
        self._loops = loops
        self._results: set[ResultSubscription] = set()
        """Those that are open."""
        self._waiting: dict[str, set[ResultSubscription]] = {}
        self._to_look_up: set[str] = set()
        self._looking: asyncio.Task[None] | None = None
        self._by_run: dict[str, set[EventSubscription]] = {}
        self._by_metadata: dict[str, dict[str, set[EventSubscription]]] = {}
        """By key, then by value."""
        self._orders: dict[str, _ChunkOrder] = {}
        self._held_chars = 0
        self.elsewhere: Elsewhere | None = None
        """Set while another node owns the tenant."""

    def tell_elsewhere(self, elsewhere: Elsewhere) -> None:
        """From here on that node tells; it hears what is followed already."""
        self.elsewhere = elsewhere
        if self._waiting:
            elsewhere.want_outcomes(list(self._waiting))
        for run_id in self._by_run:
            elsewhere.want_run(run_id)
        for key, values in self._by_metadata.items():
            for value in values:
                elsewhere.want_metadata(key, value)

    def metadata_wanted(self, key: str, value: str) -> None:
        """From here on that node tells of runs with this metadata; of what came before it has not."""
        for subscription in self._by_metadata.get(key, {}).get(value, ()):
            self._start_refill(subscription)

    def found_ended(self, run_ids: list[str]) -> None:
        """Nobody will be told of these runs any more; they are looked up."""
        self._want_look_up(run_ids)

    # Results -------------------------------------------------------------------------------------------------------

    def is_followed(self) -> bool:
        """Whether anybody waits for results, may, or follows events."""
        return bool(self._results or self._by_run or self._by_metadata)

    def results(self) -> ResultSubscription:
        subscription = ResultSubscription(self)
        self._results.add(subscription)
        return subscription

    def has_waiter(self, run_id: str) -> bool:
        return run_id in self._waiting

    def deliver(self, outcome: RunOutcome) -> None:
        for subscription in self._waiting.pop(outcome.run_id, ()):
            subscription.deliver(outcome)

    def _wait_for(self, run_id: str, subscription: ResultSubscription) -> None:
        self._waiting.setdefault(run_id, set()).add(subscription)
        if self.elsewhere is not None:
            self.elsewhere.want_outcomes([run_id])
        elif not self._is_live(run_id):
            self._want_look_up([run_id])

    def _stop_waiting(self, run_id: str, subscription: ResultSubscription) -> None:
        waiting = self._waiting.get(run_id)
        if waiting is not None:
            waiting.discard(subscription)
            if not waiting:
                del self._waiting[run_id]
                if self.elsewhere is not None:
                    self.elsewhere.want_no_outcome(run_id)

    def look_again(self) -> None:
        """Call after the tenant was loaded anew: what the last round before that had to tell may never have been told.
        The tables are asked for every run somebody follows and that is not live, and for runs with followed metadata
        that nobody was told of. Chunks that wait for earlier ones of a task that is over wait no longer, and those of
        others once more for `GAP_WAIT_S`: the earlier ones come now."""
        for run_id, subscriptions in self._by_run.items():
            if self._is_live(run_id):
                for subscription in subscriptions:
                    subscription.appeared.set()
        for task_id in [task_id for task_id in self._orders if not self._is_live(task_id)]:
            self._flush_chunks(task_id)
        for order in self._orders.values():
            if order.timer is not None:
                self._wait_for_gap(order)
        followed = {*self._waiting, *self._by_run}
        for subscription in self._metadata_subscriptions():
            followed |= subscription.active_runs
            self._start_refill(subscription)
        self._want_look_up([run_id for run_id in followed if not self._is_live(run_id)])

    def _want_look_up(self, run_ids: list[str]) -> None:
        self._to_look_up.update(run_ids)
        if self._to_look_up and (self._looking is None or self._looking.done()):
            self._looking = self._loops.go("look up results of runs", self._look())

    async def _look(self) -> None:
        while self._to_look_up:
            # Cleared before the query: who asks while it runs may have missed its snapshot and is looked up again.
            run_ids = list(self._to_look_up)
            self._to_look_up.clear()
            try:
                outcomes = await self._look_up(run_ids)
            except Exception as error:
                # They wait for nothing else, so there is no giving up.
                _log.warning("results could not be looked up", runs=len(run_ids), error=str(error))
                self._to_look_up.update(run_ids)
                await asyncio.sleep(LOOK_UP_RETRY_S)
                continue
            for outcome in outcomes:
                self.deliver(outcome)
                self._hang_up(outcome.run_id, outcome.status)
                if self.elsewhere is not None:
                    self.elsewhere.want_no_outcome(outcome.run_id)
                    self.elsewhere.want_no_run(outcome.run_id)

    def _hang_up(self, run_id: str, status: RunStatus) -> None:
        """The end of a run that was found in the tables instead of being told."""
        event = LiveEvent(LiveKind.FINISHED, run_id, run_id, self._now_us(), status=status, is_last=True)
        for subscription in self._by_run.pop(run_id, ()):
            subscription.deliver(event)
        for subscription in self._metadata_subscriptions():
            if run_id in subscription.active_runs:
                self._run_ended(subscription, event)

    # Live events ---------------------------------------------------------------------------------------------------

    def watch_run(self, run_id: str) -> EventSubscription:
        subscription = EventSubscription()
        self._by_run.setdefault(run_id, set()).add(subscription)
        if self.elsewhere is not None:
            self.elsewhere.want_run(run_id)
        return subscription

    async def watch_metadata(self, key: str, value: str) -> EventSubscription:
        """Follows every run whose metadata has `key` = `value`, those that run already included."""
        subscription = EventSubscription((key, value), self._now_us())
        # Registered first and looked up second, so that no run falls between the two.
        self._by_metadata.setdefault(key, {}).setdefault(value, set()).add(subscription)
        if self.elsewhere is not None:
            self.elsewhere.want_metadata(key, value)
        try:
            await self._find_more(subscription, key, value)
        except BaseException:
            self.unwatch(subscription)
            raise
        return subscription

    async def _find_more(self, subscription: EventSubscription, key: str, value: str) -> None:
        found = await self._find_runs(key, value, None, ACTIVE_RUNS_MAX)
        subscription.may_have_more = len(found) >= ACTIVE_RUNS_MAX
        self._follow_too(subscription, found)

    def _follow_too(self, subscription: EventSubscription, run_ids: list[str]) -> None:
        found = [run_id for run_id in run_ids if not subscription.has_ended(run_id)]
        subscription.active_runs.update(found)
        # Of those that have ended, while the query ran or before, nobody would be told any more.
        self._want_look_up([run_id for run_id in found if not self._is_live(run_id)])

    def _run_ended(self, subscription: EventSubscription, event: LiveEvent) -> None:
        """Tells a follower of metadata that a run has ended; and that this is the end, if no other is left."""
        if subscription.has_ended(event.run_id):
            return
        subscription.note_end(event.run_id)
        is_last = not subscription.active_runs
        if not is_last or not subscription.may_have_more:
            subscription.deliver(msgspec.structs.replace(event, is_last=is_last))
            return
        earlier, subscription.end = subscription.end, event
        if earlier is not None:
            subscription.deliver(msgspec.structs.replace(earlier, is_last=False))
            return
        self._start_refill(subscription)

    def _start_refill(self, subscription: EventSubscription) -> None:
        self._loops.go("look for more runs to follow", self._refill(subscription))

    async def _refill(self, subscription: EventSubscription) -> None:
        assert subscription.metadata is not None
        key, value = subscription.metadata
        while not subscription.is_closed:
            try:
                await self._find_more(subscription, key, value)
                # They may have begun and ended while nobody told this node of any.
                begun = await self._find_runs(key, value, subscription.since_us, ACTIVE_RUNS_MAX)
                self._follow_too(subscription, begun)
                break
            except Exception as error:
                _log.warning("runs to follow could not be looked up", error=str(error))
                await asyncio.sleep(LOOK_UP_RETRY_S)
        event, subscription.end = subscription.end, None
        if event is not None:
            subscription.deliver(msgspec.structs.replace(event, is_last=not subscription.active_runs))

    def unwatch(self, subscription: EventSubscription) -> None:
        subscription.close()
        if subscription.lost:
            _log.info("a subscriber that reads slowly lost events", lost=subscription.lost)
        for run_id in _discard(self._by_run, subscription):
            if self.elsewhere is not None:
                self.elsewhere.want_no_run(run_id)
        if subscription.metadata is not None:
            key, value = subscription.metadata
            if _discard(self._by_metadata.get(key, {}), subscription) and self.elsewhere is not None:
                self.elsewhere.want_no_metadata(key, value)
            if not self._by_metadata.get(key):
                self._by_metadata.pop(key, None)

    def is_watched(self, run_id: str) -> bool:
        return run_id in self._by_run or bool(self._by_metadata)

    def run_started(self, effect: RunStarted) -> None:
        for subscription in self._by_run.get(effect.run_id, ()):
            subscription.appeared.set()
        if self._by_metadata:
            for subscription in self._metadata_watchers(effect.additional_metadata):
                subscription.active_runs.add(effect.run_id)

    def attempt_begins(self, task_id: str) -> None:
        """Its chunks are counted from 0, whichever of them arrives first: an attempt that was lost has told no end."""
        if self._orders:
            self._flush_chunks(task_id)

    def progressed(self, effect: TaskProgressed) -> None:
        metadata = effect.additional_metadata
        if effect.progress is not Progress.STARTED:
            self._flush_chunks(effect.task_id)
        if not self.is_watched(effect.run_id):
            return
        event = LiveEvent(
            LiveKind.PROGRESS,
            effect.run_id,
            effect.task_id,
            effect.at_us,
            effect.payload,
            progress=effect.progress,
            retry_count=effect.retry_count,
            retries=effect.retries,
        )
        self._tell(event, metadata)

    def run_finished(self, effect: RunFinished) -> None:
        for result in effect.results:
            # A chunk that came after its task's end has begun a new order.
            self._flush_chunks(result.task_id)
        event = LiveEvent(
            LiveKind.FINISHED, effect.run_id, effect.run_id, effect.at_us, status=effect.status, is_last=True
        )
        for subscription in self._by_run.pop(effect.run_id, ()):
            subscription.deliver(event)
        if self._by_metadata:
            for subscription in self._metadata_watchers(effect.additional_metadata):
                self._run_ended(subscription, event)

    def chunk(self, run_id: str, task_id: str, text: str, index: int | None, at_us: int, metadata: str | None) -> None:
        """A piece of a task's stream. Index 0 starts a stream anew (another attempt)."""
        event = LiveEvent(LiveKind.CHUNK, run_id, task_id, at_us, text, index=index)
        if index is None:
            self._tell(event, metadata)
            return
        order = self._orders.get(task_id)
        if order is None:
            order = self._orders[task_id] = _ChunkOrder(metadata)
        if order.is_repeated(index, text):
            return
        if index == 0 and order.expected:
            self._release_held(order)
            order.expected = 0
        if not self.is_watched(run_id):
            # Nobody to put them in order for; who comes later begins with what comes then.
            order.expected = max(order.expected, index + 1)
            return
        has_room = len(order.held) < HELD_CHUNKS_MAX and self._held_chars + len(text) <= HELD_CHARS_MAX
        if index > order.expected and not has_room:
            self._release_held(order)
        if index > order.expected:
            repeated = order.held.get(index)
            self._held_chars += len(text) - (0 if repeated is None else len(repeated.payload))
            order.held[index] = event
            if order.timer is None:
                self._wait_for_gap(order)
            return
        self._tell(event, metadata)
        order.expected = max(order.expected, index + 1)
        while (held := order.held.pop(order.expected, None)) is not None:
            self._held_chars -= len(held.payload)
            self._tell(held, metadata)
            order.expected += 1
        if not order.held and order.timer is not None:
            order.timer.cancel()
            order.timer = None

    def _wait_for_gap(self, order: _ChunkOrder) -> None:
        if order.timer is not None:
            order.timer.cancel()
        order.timer = asyncio.get_running_loop().call_later(GAP_WAIT_S, self._leave_gap, order)

    def _leave_gap(self, order: _ChunkOrder) -> None:
        if self._is_here():
            self._release_held(order)
        else:
            self._wait_for_gap(order)

    def _release_held(self, order: _ChunkOrder) -> None:
        for index in sorted(order.held):
            held = order.held[index]
            self._held_chars -= len(held.payload)
            self._tell(held, order.metadata)
            order.expected = index + 1
        order.held.clear()
        if order.timer is not None:
            order.timer.cancel()
            order.timer = None

    def _flush_chunks(self, task_id: str) -> None:
        order = self._orders.pop(task_id, None)
        if order is not None:
            self._release_held(order)

    def _tell(self, event: LiveEvent, metadata: str | None) -> None:
        for subscription in self._by_run.get(event.run_id, ()):
            subscription.deliver(event)
        if self._by_metadata:
            for subscription in self._metadata_watchers(metadata):
                subscription.deliver(event)

    def _metadata_watchers(self, metadata: str | None) -> list[EventSubscription]:
        """Who follows a run with this metadata. The text is decoded once, however many follow."""
        watchers: list[EventSubscription] = []
        if metadata:
            for key, found in msgspec.json.decode(metadata, type=dict[str, Any]).items():
                values = self._by_metadata.get(key)
                if values and found is not None:
                    watchers += values.get(as_text(found), ())
        return watchers

    def _metadata_subscriptions(self) -> list[EventSubscription]:
        return [
            subscription
            for values in self._by_metadata.values()
            for subscriptions in values.values()
            for subscription in subscriptions
        ]


_KeyT = TypeVar("_KeyT")


def _discard(watchers: dict[_KeyT, set[EventSubscription]], subscription: EventSubscription) -> list[_KeyT]:
    """Returns the keys that nobody watches any more."""
    gone: list[_KeyT] = []
    for key in [key for key, group in watchers.items() if subscription in group]:
        watchers[key].discard(subscription)
        if not watchers[key]:
            del watchers[key]
            gone.append(key)
    return gone


def as_text(found: object) -> str:
    """A value of metadata as followers write it."""
    return found if isinstance(found, str) else msgspec.json.encode(found).decode()
