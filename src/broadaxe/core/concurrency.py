"""Concurrency groups: at most `max_runs` holders per key, and what a full group does to the rest (section 3).

A *holder* is a task, or a DAG run under workflow-level rules. It acquires the slots of its rules strictly one after
another and keeps what it has while it waits for the next; when its attempt ends (a run: when its last counted task
does) it lets go of all. A group is decided once per round, when everything that entered or left in the round is known,
so a burst is judged as a whole.

A group ranks by the priority and the age of the *run*, never by when an attempt was queued: that a task is tried again
makes it no newcomer. The precedence of retries is for the queues of workers only.

Between two attempts a task *rests*: it holds no slot, so whoever waits under a strategy that only queues goes on. But
it is still under way, and strategies that cancel treat it so: a newcomer displaces it under CANCEL_IN_PROGRESS, and is
itself refused under CANCEL_NEWEST.

Invariants: `len(filled) <= max_runs` after each decision (strategies that only ever admit never exceed it; one that
displaces frees before it fills); a holder waits in at most one group; an empty group is forgotten.

Cost: entering and leaving O(log waiting); a decision O(admitted + cancelled), for CANCEL_IN_PROGRESS O(max_runs) more.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from broadaxe.core.definition import ConcurrencyRule, LimitStrategy
from broadaxe.core.heaps import in_order
from broadaxe.core.keys import GroupKey
from broadaxe.core.model import NOTHING_HELD_BACK, Run, Task
from broadaxe.core.state import State

Holder: TypeAlias = Task | Run
#: (what the rule belongs to, its place there, key)
GroupId: TypeAlias = tuple[str, str, str]
#: When the holder's run was created, that run, and the place of the holder in it. It is in the rows, so a load ranks
#: everyone as before.
Arrival: TypeAlias = tuple[int, str, int]
Rank: TypeAlias = tuple[int, Arrival]

_DEAD_MIN: Final = 1024
#: Under which a task between two attempts counts.
_CANCELLING: Final = (LimitStrategy.CANCEL_NEWEST, LimitStrategy.CANCEL_IN_PROGRESS)


class Ticket:
    """One holder in one group. `holder` is None once it has left."""

    __slots__ = ("arrival", "group", "holder", "is_filled", "priority", "was_under_way")

    def __init__(self, holder: Holder, group: Group, priority: int, arrival: Arrival) -> None:
        self.holder: Holder | None = holder
        self.group = group
        self.priority = priority
        self.arrival = arrival
        self.is_filled = False
        self.was_under_way = False
        """It had a slot here in its last attempt."""

    def rank(self) -> Rank:
        """First in, by priority."""
        return -self.priority, self.arrival

    def __lt__(self, other: Ticket) -> bool:
        return self.rank() < other.rank()


class Verdict(NamedTuple):
    admitted: list[Ticket]
    losers: list[Ticket]


class Group:
    __slots__ = ("_dead", "_queue", "filled", "id", "max_runs", "resting", "strategy", "told_by")

    def __init__(self, group_id: GroupId, strategy: LimitStrategy) -> None:
        self.id = group_id
        self.strategy = strategy
        self.max_runs = 0
        self.told_by: Arrival = (-1, "", 0)
        """Who said the present `max_runs` and `strategy`."""
        self.filled: dict[Ticket, None] = {}
        self.resting: dict[Ticket, None] = {}
        self._queue: list[Ticket] = []
        self._dead = 0

    def push(self, ticket: Ticket) -> None:
        heapq.heappush(self._queue, ticket)

    def bury(self) -> None:
        """A waiting ticket has left."""
        self._dead += 1
        if self._dead > _DEAD_MIN and self._dead * 2 > len(self._queue):
            self._queue = [ticket for ticket in self._queue if ticket.holder is not None]
            heapq.heapify(self._queue)
            self._dead = 0

    @property
    def waiting_count(self) -> int:
        return len(self._queue) - self._dead

    def waiting_in_order(self) -> Iterator[Ticket]:
        """Those who wait, first in line first. The first k cost O(k log k), and as much for the dead among them."""
        return (ticket for ticket in in_order(self._queue) if ticket.holder is not None)

    def is_empty(self) -> bool:
        return not self.filled and not self.resting and len(self._queue) == self._dead

    def decide(self) -> Verdict:
        """Who gets a slot now, and who is cancelled. Admitted tickets have left the queue and fill their slot."""
        if self.strategy is LimitStrategy.CANCEL_IN_PROGRESS:
            return self._displace()
        if self.strategy is LimitStrategy.CANCEL_NEWEST:
            return self._refuse()
        admitted: list[Ticket] = []
        while len(self.filled) < self.max_runs and (ticket := self._pop()) is not None:
            self._fill(ticket)
            admitted.append(ticket)
        match self.strategy:
            case LimitStrategy.GROUP_ROUND_ROBIN:
                losers: list[Ticket] = []
            case LimitStrategy.CANCEL_QUEUED_EXCEPT_NEWEST:
                losers = sorted(self._waiting(), key=lambda ticket: ticket.arrival)[:-1]
            case _:
                losers = sorted(self._waiting(), key=lambda ticket: ticket.arrival)[1:]
        return Verdict(admitted, losers)

    def _displace(self) -> Verdict:
        """The best `max_runs` of all keep or get a slot: by priority, then newest first."""
        waiting = self._waiting()
        if not waiting:
            return Verdict([], [])
        newest_first = sorted([*self.filled, *self.resting, *waiting], key=lambda ticket: ticket.arrival, reverse=True)
        everyone = sorted(newest_first, key=lambda ticket: -ticket.priority)
        keep = set(everyone[: max(0, self.max_runs)])
        losers = [ticket for ticket in everyone if ticket not in keep]
        return self._admit(sorted((ticket for ticket in waiting if ticket in keep), key=Ticket.rank), losers)

    def _refuse(self) -> Verdict:
        """What is under way is never displaced: who is tried again goes before every newcomer."""
        waiting = sorted(self._waiting(), key=lambda ticket: (not ticket.was_under_way, ticket.rank()))
        room = max(0, self.max_runs - len(self.filled) - len(self.resting))
        return self._admit(waiting[:room], waiting[room:])

    def _admit(self, admitted: list[Ticket], losers: list[Ticket]) -> Verdict:
        """Of those who wait nobody is left but the losers among them."""
        self._queue = [ticket for ticket in losers if not ticket.is_filled and ticket not in self.resting]
        heapq.heapify(self._queue)
        self._dead = 0
        for ticket in admitted:
            self._fill(ticket)
        return Verdict(admitted, losers)

    def _fill(self, ticket: Ticket) -> None:
        ticket.is_filled = True
        self.filled[ticket] = None

    def _pop(self) -> Ticket | None:
        while self._queue:
            ticket = heapq.heappop(self._queue)
            if ticket.holder is not None:
                return ticket
            self._dead -= 1
        return None

    def _waiting(self) -> list[Ticket]:
        return [ticket for ticket in self._queue if ticket.holder is not None]


def enter(state: State, task: Task) -> bool:
    """A queued task asks for its slots. True when it holds all it needs and may go to its worker queue."""
    run = task.run
    if run.keys is None:
        return True
    if run.keys.groups and task.position != run.version.on_failure_position and run.held < len(run.keys.groups):
        if run.held_back is NOTHING_HELD_BACK:
            run.held_back = {}
        run.held_back[task.id] = task
        if run.waiting_ticket is None:
            _wait(state, run, run.version.definition.concurrency, run.keys.groups, "workflow")
        return False
    return proceed(state, task)


def proceed(state: State, task: Task) -> bool:
    """Like `enter`, for a task that got a slot or whose run did."""
    assert task.run.keys is not None
    groups = task.run.keys.tasks[task.position].groups
    if task.held == len(groups):
        return True
    _wait(state, task, task.run.version.rules_of(task.position), groups, task.definition.name)
    return False


def proceed_run(state: State, run: Run) -> bool:
    """True when the run holds all its slots; its held-back tasks may then proceed."""
    assert run.keys is not None
    if run.held == len(run.keys.groups):
        return True
    _wait(state, run, run.version.definition.concurrency, run.keys.groups, "workflow")
    return False


def admit(ticket: Ticket) -> Holder:
    """Counts the slot for its holder, who no longer waits in this group."""
    holder = ticket.holder
    assert holder is not None
    holder.waiting_ticket = None
    holder.tickets = (*holder.tickets, ticket)
    holder.held += 1
    return holder


def leave(state: State, holder: Holder) -> None:
    """The holder lets go of every slot and leaves the group it waits in."""
    if isinstance(holder, Task):
        if holder.run.keys is None:
            return
        run = holder.run
        if holder.id in run.held_back:
            del run.held_back[holder.id]
            if not run.held_back:
                # What else there is of the run waits for conditions, and these need no slot.
                _stop_waiting(state, run)
        if holder.resting is not None:
            for place in list(holder.resting):
                _stop_resting(state, holder, place)
            holder.resting = None
    _stop_waiting(state, holder)
    for ticket in holder.tickets:
        ticket.holder = None
        ticket.group.filled.pop(ticket, None)
        _touch(state, ticket.group)
    holder.tickets = ()
    holder.held = 0


def rest(state: State, task: Task) -> None:
    """The task is between two attempts: it is still under way where it has yet to acquire a slot again."""
    run = task.run
    if run.keys is None:
        return
    rules, groups = run.version.rules_of(task.position), run.keys.tasks[task.position].groups
    for place in range(task.held, len(groups)):
        if rules[place].strategy in _CANCELLING:
            group, ticket = _ticket(state, task, rules, groups, task.definition.name, place)
            group.resting[ticket] = None
            if task.resting is None:
                task.resting = {}
            task.resting[place] = ticket


def _stop_resting(state: State, task: Task, place: int) -> bool:
    """True if it rested there."""
    ticket = None if task.resting is None else task.resting.pop(place, None)
    if ticket is None:
        return False
    ticket.holder = None
    ticket.group.resting.pop(ticket, None)
    _touch(state, ticket.group)
    return True


def _stop_waiting(state: State, holder: Holder) -> None:
    waiting = holder.waiting_ticket
    if waiting is None:
        return
    holder.waiting_ticket = None
    waiting.holder = None
    if waiting.is_filled:
        # Its slot was just decided, and the same decision brought its holder to an end.
        waiting.group.filled.pop(waiting, None)
    else:
        waiting.group.bury()
    _touch(state, waiting.group)


def restore(state: State, holder: Holder, held: int) -> None:
    """After a load: the holder has the slots of its first `held` rules again, and rests where it did."""
    version, keys = (holder.version, holder.keys) if isinstance(holder, Run) else (holder.run.version, holder.run.keys)
    if keys is None:
        return
    if isinstance(holder, Run):
        rules, groups, scope = version.definition.concurrency, keys.groups, "workflow"
    else:
        rules, groups = version.rules_of(holder.position), keys.tasks[holder.position].groups
        scope = holder.definition.name
    for place in range(min(held, len(groups))):
        group, ticket = _ticket(state, holder, rules, groups, scope, place)
        group._fill(ticket)
        holder.tickets = (*holder.tickets, ticket)
        holder.held += 1
        _touch(state, group)
    if isinstance(holder, Task) and holder.is_tried_again:
        rest(state, holder)


def _wait(
    state: State, holder: Holder, rules: tuple[ConcurrencyRule, ...], groups: tuple[GroupKey, ...], scope: str
) -> None:
    place = holder.held
    group, ticket = _ticket(state, holder, rules, groups, scope, place)
    if isinstance(holder, Task):
        ticket.was_under_way = _stop_resting(state, holder, place)
    holder.waiting_ticket = ticket
    group.push(ticket)
    _touch(state, group)


def _ticket(
    state: State,
    holder: Holder,
    rules: tuple[ConcurrencyRule, ...],
    groups: tuple[GroupKey, ...],
    scope: str,
    place: int,
) -> tuple[Group, Ticket]:
    """The holder's group under the rule at `place`, and its ticket there."""
    run = holder if isinstance(holder, Run) else holder.run
    position = -1 if isinstance(holder, Run) else holder.position
    arrival = run.row.created_at_us, run.id, position
    group = _group(state, run.version.id, scope, place, rules[place], groups[place], arrival)
    return group, Ticket(holder, group, run.row.priority, arrival)


def _group(
    state: State,
    version_id: str,
    scope: str,
    place: int,
    rule: ConcurrencyRule,
    wanted: GroupKey,
    arrival: Arrival,
) -> Group:
    """The group of `wanted` under a rule. The newest run's word on `max_runs` and the strategy counts."""
    group_id = ("", rule.name, wanted.key) if rule.is_tenant_scoped else (version_id, f"{scope}/{place}", wanted.key)
    group = state.groups.get(group_id)
    if group is None:
        group = state.groups[group_id] = Group(group_id, rule.strategy)
    if arrival > group.told_by:
        group.max_runs, group.strategy, group.told_by = wanted.max_runs, rule.strategy, arrival
    return group


def _touch(state: State, group: Group) -> None:
    state.undecided[group.id] = group
