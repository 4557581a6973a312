"""One queue per action id: who waits, and in which order.

Order inside a queue is (priority, fairness, arrival), section 2.2. Queues are independent of each other. What a task
needs splits its queue twice, so that a task which cannot go holds up only those that cannot go either:

    queue (action)  ->  shapes (units, labels, sticky worker)  ->  lanes (rate limits)  ->  levels (priority)
                                                                                              -> keys (fairness)

- A *shape* is blocked as a whole while no worker fits it, until a worker changes. It also says whose tasks these are:
  the shapes of a paused workflow are not looked at.
- A *lane* is parked as a whole while its rate limits lack units, until they refill.
- Inside a level the keys of a `GROUP_ROUND_ROBIN` strategy take turns, whatever shapes and lanes their tasks are in,
  so a flood on one key delays another key by at most one task's turn. Tasks without a key share one. Items that gather
  for a batch take no slot, so they have turns of their own beside those of the tasks that do.

Turns: a queue counts the tasks it has given away, and each key remembers the count of its last one; the least goes
first. A key that comes anew starts with the present count, behind everyone who waits already. The memory of a key only
ever grows, so an order that was written down is never later than the true one, and is corrected when it surfaces.
While a key has no rival its turns are not noted, so many lanes without keys cost nothing.

A task that leaves other than by assignment (a cancel, a timeout) leaves a dead entry behind, which is dropped when it
surfaces or when the dead outnumber the living; it does not keep the task in memory.

Cost: entering, leaving and taking are O(log lanes + log keys) amortised, and O(open lanes of the key) for a key that
has rivals; looking for work is O(open shapes). None grows with the backlog.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from broadaxe.core.crews import Crew, RoomKey, Slots
from broadaxe.core.definition import LabelRequirement
from broadaxe.core.model import RETRY_PRIORITY, Task, Workflow

if TYPE_CHECKING:
    from broadaxe.core.batching import BatchGroup

_DEAD_MIN: Final = 1024
_READY_MIN: Final = 64
ID_BYTES: Final = 16

#: (rate limit key, units) of every limit a task is under.
LimitNeeds: TypeAlias = tuple[tuple[str, int], ...]
#: (minus priority, last turn of the key, arrival): smaller goes first.
Order: TypeAlias = tuple[int, int, int]


class ShapeKey(NamedTuple):
    """What a task needs of a worker, and the workflow it belongs to."""

    workflow: Workflow
    slots: Slots
    labels: tuple[LabelRequirement, ...]
    sticky_worker: str | None
    is_hard: bool
    gathers: bool = False
    """Items of a batch task: they need no worker yet, only their rate limits."""
    is_durable: bool = False
    """They need a worker whose durable stream is there."""


class Turn:
    """A key's place among its rivals: the keys of a queue within one priority, of items that gather or of tasks that
    need a slot."""

    __slots__ = ("key", "last", "rivals", "waiting")

    def __init__(self, rivals: Rivals, key: str | None, last: int) -> None:
        self.rivals = rivals
        self.key = key
        self.last = last
        """How many tasks the queue had given away after the key's last one, or when the key came."""
        self.waiting = 0
        """Tasks in memory that wait under the key."""


class Rivals:
    """Keys that take turns with each other."""

    __slots__ = ("turns", "waiting")

    def __init__(self) -> None:
        self.turns: dict[str | None, Turn] = {}
        self.waiting = 0
        """Keys under which tasks in memory wait."""


class Waiting:
    """One stay of a task in a queue. `task` is None once it has left."""

    __slots__ = ("arrival", "lane", "task", "turn")

    def __init__(self, task: Task, arrival: int, lane: Lane, turn: Turn) -> None:
        self.task: Task | None = task
        self.arrival = arrival
        self.lane = lane
        self.turn = turn


class Segment:
    """Tasks that wait in a line but are not in memory: their ids in order, 16 bytes each (`backlog.py`)."""

    __slots__ = (
        "arrival", "created_at_us", "due_at_us", "ids", "is_wanted", "lane", "priority", "schedule_timeout_us",
    )  # fmt: skip

    def __init__(self, lane: Lane, priority: int, arrival: int) -> None:
        self.lane = lane
        self.priority = priority
        self.arrival = arrival
        """Arrival of the first; the others follow it."""
        self.ids = bytearray()
        self.due_at_us: int | None = None
        """The earliest schedule timeout among them, as their rows say; None once it is being read back."""
        self.created_at_us = 0
        """When the oldest of them was made."""
        self.schedule_timeout_us = 0
        """The shortest schedule timeout that one of them has."""
        self.is_wanted = False

    def __len__(self) -> int:
        return len(self.ids) // ID_BYTES

    def append(self, ids: bytes, created_at_us: int, due_at_us: int, schedule_timeout_us: int) -> None:
        """Tasks join at the end; their earliest creation, schedule timeout and deadline are given."""
        self.ids += ids
        if self.due_at_us is None:
            self.created_at_us, self.due_at_us = created_at_us, due_at_us
            self.schedule_timeout_us = schedule_timeout_us
        else:
            self.created_at_us = min(self.created_at_us, created_at_us)
            self.due_at_us = min(self.due_at_us, due_at_us)
            self.schedule_timeout_us = min(self.schedule_timeout_us, schedule_timeout_us)

    @property
    def deadline_us(self) -> int | None:
        """No later than the first deadline among its tasks; None once it is being read back."""
        if self.due_at_us is None:
            return None
        workflow = self.lane.shape.key.workflow
        return workflow.queue_deadline_us(self.created_at_us, self.due_at_us, self.schedule_timeout_us)


class Line:
    """Tasks of one priority and one key in order: those in memory, then segments, then what joined behind those."""

    __slots__ = ("back", "front", "segments", "turn")

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.front: deque[Waiting] = deque()
        self.segments: deque[Segment] = deque()
        self.back: deque[Waiting] = deque()

    def __bool__(self) -> bool:
        return bool(self.front or self.segments or self.back)

    def __iter__(self) -> Iterator[Waiting]:
        """The places that are in memory."""
        yield from self.front
        yield from self.back

    def places(self) -> Iterator[tuple[int, Waiting | None]]:
        """(arrival, place) of the living, in order; None for each one that is not in memory."""
        for waiting in self.front:
            if waiting.task is not None:
                yield waiting.arrival, waiting
        for segment in self.segments:
            for offset in range(len(segment)):
                yield segment.arrival + offset, None
        for waiting in self.back:
            if waiting.task is not None:
                yield waiting.arrival, waiting

    def append(self, waiting: Waiting) -> None:
        (self.back if self.segments else self.front).append(waiting)

    def head(self) -> tuple[Waiting | None, int]:
        """The first living place and how many dead ones were dropped before it. None while a segment is first, or at
        the end."""
        dropped = 0
        while self.front and self.front[0].task is None:
            self.front.popleft()
            dropped += 1
        return (self.front[0] if self.front else None), dropped

    @property
    def place(self) -> tuple[int, int]:
        """The order among the lines of a level, by the first; there must be one."""
        return self.turn.last, (self.front[0] if self.front else self.segments[0]).arrival

    def sweep(self) -> None:
        """Drops all dead places."""
        self.front = deque(waiting for waiting in self.front if waiting.task is not None)
        self.back = deque(waiting for waiting in self.back if waiting.task is not None)


class Level(dict[str | None, Line]):
    """The lines of one priority by key, with an order that may be outdated. Every line has one entry in it."""

    __slots__ = ("order",)

    def __init__(self) -> None:
        super().__init__()
        self.order: list[tuple[int, int, str | None]] = []

    def first(self) -> tuple[Line | None, int]:
        """The line whose turn it is, and how many dead places were dropped on the way."""
        dropped = 0
        while self.order:
            last, arrival, key = self.order[0]
            line = self[key]
            dropped += line.head()[1]
            if not line:
                heapq.heappop(self.order)
                del self[key]
            elif line.place == (last, arrival):
                return line, dropped
            else:
                heapq.heapreplace(self.order, (*line.place, key))
        return None, dropped

    def sweep(self) -> None:
        """Drops all dead places, and the lines that had nothing else."""
        for key, line in list(self.items()):
            line.sweep()
            if not line:
                del self[key]
        self.order = [(*line.place, key) for key, line in self.items()]
        heapq.heapify(self.order)


class Lane:
    """Waiting tasks of one shape under the same rate limits."""

    __slots__ = ("_dead", "_levels", "_living", "cold", "limits", "parked_until_us", "place", "shape", "waits_for")

    def __init__(self, shape: Shape, limits: LimitNeeds) -> None:
        self.shape = shape
        self.limits = limits
        self.parked_until_us: int | None = None
        """While set, the lane is not looked at; the alarm of that instant or a new limit ends it."""
        self.waits_for: str | None = None
        """The key of the rate limit it is parked for."""
        self.place: Order | None = None
        """Where its shape has it in line, None while it is in none."""
        self._levels: dict[int, Level] = {}
        self._living = 0
        self._dead = 0
        self.cold = 0
        """How many of the living are in segments."""

    def __len__(self) -> int:
        return self._living

    @property
    def hot(self) -> int:
        """Waiting tasks that are in memory."""
        return self._living - self.cold

    def push(self, waiting: Waiting, task: Task) -> None:
        self._join(task.queue_priority, task.fairness_key, waiting.turn, waiting)
        self._living += 1

    def _join(self, priority: int, key: str | None, turn: Turn, place: Waiting | Segment) -> None:
        level = self._levels.get(priority)
        if level is None:
            level = self._levels[priority] = Level()
        line = level.get(key)
        is_new = line is None
        if line is None:
            line = level[key] = Line(turn)
        # A line whose places have all died may still be there with the turn of a key that was forgotten.
        line.turn = turn
        if isinstance(place, Segment):
            line.segments.append(place)
        else:
            line.append(place)
        if is_new:
            heapq.heappush(level.order, (*line.place, key))

    def turn(self, priority: int, key: str | None) -> Turn:
        """The turn of tasks of this lane; a key that comes anew stands behind those who wait already."""
        return self.shape.queue.turn(self.shape.key.gathers, priority, key)

    def line(self, priority: int) -> Line:
        """The line of tasks without a key within a priority; there must be one."""
        return self._levels[priority][None]

    def lines(self) -> Iterator[tuple[int, Line]]:
        """(priority, line) of all lines, in no order."""
        for priority, level in self._levels.items():
            for line in level.values():
                yield priority, line

    def cold_lines(self) -> Iterator[Line]:
        """Lines that have segments."""
        for level in self._levels.values():
            line = level.get(None)
            if line is not None and line.segments:
                yield line

    def append_segment(self, segment: Segment) -> None:
        """Tasks that were never in memory take their place at the end of their line."""
        self._join(segment.priority, None, self.turn(segment.priority, None), segment)
        self._living += len(segment)
        self.cold += len(segment)

    def replace_segment(self, segment: Segment, waitings: list[Waiting]) -> None:
        """Tasks of `segment`, the first of its line, are in memory again; those missing here have ended meanwhile."""
        line = self.line(segment.priority)
        line.segments.remove(segment)
        line.front.extend(waitings)
        if not line.segments:
            line.front.extend(line.back)
            line.back.clear()
        self.cold -= len(segment)
        self._living -= len(segment) - len(waitings)

    def bury(self) -> None:
        """One place has died where it stands."""
        self._living -= 1
        self._dead += 1
        if self._dead > _DEAD_MIN and self._dead > self._living:
            for level in self._levels.values():
                level.sweep()
            self._dead = 0

    def head(self) -> tuple[Order, Task] | None:
        """The task to go next. None also while that one is not in memory; it is being read back then."""
        for priority in range(RETRY_PRIORITY, 0, -1):
            level = self._levels.get(priority)
            if level is None:
                continue
            line, dropped = level.first()
            self._dead -= dropped
            if line is not None:
                first = line.head()[0]
                if first is None:
                    return None
                assert first.task is not None
                return (-priority, *line.place), first.task
        return None

    def pop_head(self) -> Waiting:
        """Removes what `head` has just returned."""
        for priority in range(RETRY_PRIORITY, 0, -1):
            level = self._levels.get(priority)
            line = None if level is None else level.first()[0]
            if level is not None and line is not None:
                self._living -= 1
                waiting = line.front.popleft()
                if not line:
                    _, _, key = heapq.heappop(level.order)
                    del level[key]
                return waiting
        raise AssertionError("there was a head")


class Shape:
    """Lanes whose tasks need the same of a worker."""

    __slots__ = ("_pushes", "_ready", "is_blocked", "key", "lanes", "queue", "room", "slots")

    def __init__(self, queue: ActionQueue, key: ShapeKey) -> None:
        self.queue = queue
        self.key = key
        self.slots = dict(key.slots)
        self.room: RoomKey = (key.slots, key.is_durable)
        self.lanes: dict[LimitNeeds, Lane] = {}
        self.is_blocked = False
        # Lanes by the order of their heads. Only an entry that agrees with its lane's `place` counts.
        self._ready: list[tuple[Order, int, Lane]] = []
        self._pushes = 0

    def announce(self, lane: Lane) -> None:
        """The lane may have a new head, or may go on."""
        head = lane.head() if lane.parked_until_us is None else None
        if head is None:
            lane.place = None
        elif lane.place != head[0]:
            lane.place = head[0]
            self._pushes += 1
            heapq.heappush(self._ready, (head[0], self._pushes, lane))
            if len(self._ready) > _READY_MIN and len(self._ready) > 4 * len(self.lanes):
                self._renew()

    def peek(self) -> tuple[Order, Lane, Task] | None:
        """The task to go first among lanes that are not parked."""
        ready = self._ready
        while ready:
            order, _, lane = ready[0]
            if lane.place == order:
                head = lane.head() if lane.parked_until_us is None else None
                if head is not None and head[0] == order:
                    return order, lane, head[1]
                lane.place = None
            heapq.heappop(ready)
            if lane.place is None:
                self.announce(lane)
                ready = self._ready
        return None

    def take(self, lane: Lane) -> None:
        """Removes what `peek` has just returned."""
        heapq.heappop(self._ready)
        lane.place = None
        waiting = lane.pop_head()
        assert waiting.task is not None
        waiting.task.waiting = None
        self.queue.had_turn(waiting.turn)
        self.announce(lane)
        self.queue.left(waiting)

    def _renew(self) -> None:
        """Drops outdated entries, so that a long-lived lane does not leave a trail of them."""
        self._ready = [(lane.place, number, lane) for number, lane in enumerate(self.lanes.values()) if lane.place]
        heapq.heapify(self._ready)
        self._pushes = len(self._ready)


class ActionQueue:
    __slots__ = (
        "_arrivals",
        "_given",
        "_rivals",
        "_waiting",
        "action_id",
        "are_batches_blocked",
        "crew",
        "ripe",
        "shapes",
    )

    def __init__(self, action_id: str) -> None:
        self.action_id = action_id
        self.crew = Crew()
        self.shapes: dict[ShapeKey, Shape] = {}
        self.ripe: dict[tuple[str, str], BatchGroup] = {}
        """Batch groups that wait for a worker."""
        self.are_batches_blocked = False
        self._arrivals = 0
        self._given = 0
        self._rivals: dict[tuple[bool, int], Rivals] = {}
        self._waiting = 0

    def __len__(self) -> int:
        """Tasks and ripe batch groups that wait."""
        return self._waiting + len(self.ripe)

    def next_arrival(self, count: int = 1) -> int:
        """The arrival number of the next task, the first of `count`."""
        self._arrivals += count
        return self._arrivals - count + 1

    def lane(self, shape_key: ShapeKey, limits: LimitNeeds = ()) -> Lane:
        """The lane for these needs, made if there is none."""
        shape = self.shapes.get(shape_key)
        if shape is None:
            shape = self.shapes[shape_key] = Shape(self, shape_key)
        lane = shape.lanes.get(limits)
        if lane is None:
            lane = shape.lanes[limits] = Lane(shape, limits)
        return lane

    def count(self, change: int) -> None:
        """So many more wait, without having been pushed."""
        self._waiting += change

    def push(self, task: Task, shape_key: ShapeKey, limits: LimitNeeds) -> Lane:
        lane = self.lane(shape_key, limits)
        shape = lane.shape
        turn = lane.turn(task.queue_priority, task.fairness_key)
        self.joined(turn)
        waiting = task.waiting = Waiting(task, self.next_arrival(), lane, turn)
        lane.push(waiting, task)
        self._waiting += 1
        head = lane.head()
        if head is not None and head[1] is task:
            shape.announce(lane)
        return lane

    def bury(self, task: Task) -> None:
        """The waiting `task` leaves from where it stands."""
        waiting = task.waiting
        if waiting is None:
            return
        waiting.task = None
        task.waiting = None
        waiting.lane.bury()
        self.left(waiting)

    def turn(self, gathers: bool, priority: int, key: str | None) -> Turn:
        rivals = self._rivals.get((gathers, priority))
        if rivals is None:
            rivals = self._rivals[gathers, priority] = Rivals()
        turn = rivals.turns.get(key)
        if turn is None:
            turn = rivals.turns[key] = Turn(rivals, key, self._given)
        return turn

    def had_turn(self, turn: Turn) -> None:
        self._given += 1
        if turn.rivals.waiting > 1:
            turn.last = self._given

    def joined(self, turn: Turn, count: int = 1) -> None:
        """So many more wait in memory under a key (less than none: they are remembered elsewhere, or gone)."""
        rivals, had_any = turn.rivals, turn.waiting > 0
        turn.waiting += count
        rivals.waiting += (turn.waiting > 0) - had_any
        if not turn.waiting and turn.key is not None and rivals.turns.get(turn.key) is turn:
            del rivals.turns[turn.key]

    def left(self, waiting: Waiting) -> None:
        """A task has left its lane. A key that nobody waits under is forgotten."""
        self._waiting -= 1
        self.joined(waiting.turn, -1)
        self.tidy(waiting.lane)

    def tidy(self, lane: Lane) -> None:
        """Forgets what is empty by now; a parked lane is looked at again when its time comes."""
        if not len(lane) and lane.parked_until_us is None:
            shape = lane.shape
            # Another lane may have taken its place since; the same goes for its shape.
            if shape.lanes.get(lane.limits) is lane:
                del shape.lanes[lane.limits]
            if not shape.lanes and self.shapes.get(shape.key) is shape:
                del self.shapes[shape.key]

    def in_order(self, lanes: Iterable[Lane]) -> Iterator[Waiting | None]:
        """Who waits in these lanes, in the order in which they would go if nobody came and each could; None for one
        that is not in memory. Changes nothing. O(lines) to begin with, O(log lines) for each place."""
        given = self._given
        turns: dict[Turn, int] = {}
        heap: list[tuple[Order, int, Turn, Waiting | None, Iterator[tuple[int, Waiting | None]]]] = []
        for lane in lanes:
            for priority, line in lane.lines():
                places = line.places()
                first = next(places, None)
                if first is not None:
                    turns[line.turn] = line.turn.last
                    order = (-priority, line.turn.last, first[0])
                    heap.append((order, len(heap), line.turn, first[1], places))
        heapq.heapify(heap)
        while heap:
            (priority, last, arrival), number, turn, place, places = heap[0]
            if last != turns[turn]:
                heapq.heapreplace(heap, ((priority, turns[turn], arrival), number, turn, place, places))
                continue
            yield place
            given += 1
            if turn.rivals.waiting > 1:
                turns[turn] = given
            following = next(places, None)
            if following is None:
                heapq.heappop(heap)
            else:
                order = (priority, turns[turn], following[0])
                heapq.heapreplace(heap, (order, number, turn, following[1], places))

    def open_shapes(self) -> list[tuple[Order, int, Shape]]:
        """A heap of the shapes that somebody waits in and that are neither blocked nor paused, by the order of their
        first task."""
        heap = [
            (found[0], number, shape)
            for number, shape in enumerate(self.shapes.values())
            if not shape.is_blocked and shape.key.workflow.pause is None and (found := shape.peek()) is not None
        ]
        heapq.heapify(heap)
        return heap

    def unblock(self) -> None:
        """A worker has changed: every shape is looked at again."""
        self.are_batches_blocked = False
        for shape in self.shapes.values():
            shape.is_blocked = False
