"""Concurrency groups: at most `max_runs` holders per key, and what a full group does to the rest (section 3).

A *holder* is a task, or a DAG run under workflow-level rules. It acquires the slots of its rules strictly one after
another and keeps what it has while it waits for the next; when its attempt ends (a run: when its last counted task
does) it lets go of all. A group is decided once per batch, when everything that entered or left in the batch is known,
so a burst is judged as a whole.

Invariants: `len(filled) <= max_runs` after each decision (strategies that only ever admit never exceed it; one that
displaces frees before it fills); a holder waits in at most one group; an empty group is forgotten.

Cost: entering and leaving O(log waiting); a decision O(admitted + cancelled), for CANCEL_IN_PROGRESS O(max_runs) more.
"""

from __future__ import annotations

import heapq
from typing import Final, NamedTuple, TypeAlias

from broadaxe.core.definition import ConcurrencyRule, LimitStrategy
from broadaxe.core.keys import GroupKey
from broadaxe.core.model import NOTHING_HELD_BACK, Run, Task
from broadaxe.core.state import State

Holder: TypeAlias = Task | Run
#: (what the rule belongs to, its place there, key)
GroupId: TypeAlias = tuple[str, str, str]
#: (age, order within one instant): of a task the instant it was queued, of a run the one it was created. It is in the
#: rows, so a load ranks everyone as before.
Arrival: TypeAlias = tuple[int, int]
Rank: TypeAlias = tuple[int, Arrival]

_DEAD_MIN: Final = 1024


class Entry:
    """One holder in one group. `holder` is None once it has left."""

    __slots__ = ("arrival", "group", "holder", "is_filled", "priority")

    def __init__(self, holder: Holder, group: Group, priority: int, arrival: Arrival) -> None:
        self.holder: Holder | None = holder
        self.group = group
        self.priority = priority
        self.arrival = arrival
        self.is_filled = False

    def rank(self) -> Rank:
        """First in, by priority."""
        return -self.priority, self.arrival


class Verdict(NamedTuple):
    admitted: list[Entry]
    losers: list[Entry]


class Group:
    __slots__ = ("_dead", "_queue", "filled", "id", "max_runs", "strategy", "told_by")

    def __init__(self, group_id: GroupId, strategy: LimitStrategy) -> None:
        self.id = group_id
        self.strategy = strategy
        self.max_runs = 0
        self.told_by: Arrival = (0, 0)
        """Who said the present `max_runs` and `strategy`."""
        self.filled: dict[Entry, None] = {}
        self._queue: list[tuple[Rank, Entry]] = []
        self._dead = 0

    def push(self, entry: Entry) -> None:
        heapq.heappush(self._queue, (entry.rank(), entry))

    def bury(self) -> None:
        """A waiting entry has left."""
        self._dead += 1
        if self._dead > _DEAD_MIN and self._dead * 2 > len(self._queue):
            self._queue = [pair for pair in self._queue if pair[1].holder is not None]
            heapq.heapify(self._queue)
            self._dead = 0

    def is_empty(self) -> bool:
        return not self.filled and len(self._queue) == self._dead

    def decide(self) -> Verdict:
        """Who gets a slot now, and who is cancelled. Admitted entries have left the queue and fill their slot."""
        if self.strategy is LimitStrategy.CANCEL_IN_PROGRESS:
            return self._displace()
        admitted: list[Entry] = []
        while len(self.filled) < self.max_runs and (entry := self._pop()) is not None:
            self._fill(entry)
            admitted.append(entry)
        match self.strategy:
            case LimitStrategy.GROUP_ROUND_ROBIN:
                losers: list[Entry] = []
            case LimitStrategy.CANCEL_NEWEST:
                losers = self._waiting()
            case LimitStrategy.CANCEL_QUEUED_EXCEPT_NEWEST:
                losers = sorted(self._waiting(), key=lambda entry: entry.arrival)[:-1]
            case _:
                losers = sorted(self._waiting(), key=lambda entry: entry.arrival)[1:]
        return Verdict(admitted, losers)

    def _displace(self) -> Verdict:
        """The best `max_runs` of all keep or get a slot: by priority, then newest first."""
        waiting = self._waiting()
        if not waiting:
            return Verdict([], [])
        newest_first = sorted([*self.filled, *waiting], key=lambda entry: entry.arrival, reverse=True)
        everyone = sorted(newest_first, key=lambda entry: -entry.priority)
        keep = set(everyone[: max(0, self.max_runs)])
        losers = [entry for entry in everyone if entry not in keep]
        admitted = sorted((entry for entry in waiting if entry in keep), key=Entry.rank)
        self._queue = [(entry.rank(), entry) for entry in losers if not entry.is_filled]
        heapq.heapify(self._queue)
        self._dead = 0
        for entry in admitted:
            self._fill(entry)
        return Verdict(admitted, losers)

    def _fill(self, entry: Entry) -> None:
        entry.is_filled = True
        self.filled[entry] = None

    def _pop(self) -> Entry | None:
        while self._queue:
            entry = heapq.heappop(self._queue)[1]
            if entry.holder is not None:
                return entry
            self._dead -= 1
        return None

    def _waiting(self) -> list[Entry]:
        return [entry for _, entry in self._queue if entry.holder is not None]


def enter(state: State, task: Task) -> bool:
    """A queued task asks for its slots. True when it holds all it needs and may go to its worker queue."""
    run = task.run
    if run.keys is None:
        return True
    if run.keys.groups and task.position != run.version.on_failure_position and run.held < len(run.keys.groups):
        if run.held_back is NOTHING_HELD_BACK:
            run.held_back = {}
        run.held_back[task.id] = task
        if run.waiting_entry is None:
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


def admit(entry: Entry) -> Holder:
    """Counts the slot for its holder, who no longer waits in this group."""
    holder = entry.holder
    assert holder is not None
    holder.waiting_entry = None
    holder.entries = (*holder.entries, entry)
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
    _stop_waiting(state, holder)
    for entry in holder.entries:
        entry.holder = None
        entry.group.filled.pop(entry, None)
        _touch(state, entry.group)
    holder.entries = ()
    holder.held = 0


def _stop_waiting(state: State, holder: Holder) -> None:
    waiting = holder.waiting_entry
    if waiting is None:
        return
    holder.waiting_entry = None
    waiting.holder = None
    if waiting.is_filled:
        # Its slot was just decided, and the same decision brought its holder to an end.
        waiting.group.filled.pop(waiting, None)
    else:
        waiting.group.bury()
    _touch(state, waiting.group)


def restore(state: State, holder: Holder, held: int) -> None:
    """After a load: the holder has the slots of its first `held` rules again."""
    version, keys = (holder.version, holder.keys) if isinstance(holder, Run) else (holder.run.version, holder.run.keys)
    if keys is None or not held:
        return
    if isinstance(holder, Run):
        rules, groups, scope = version.definition.concurrency, keys.groups, "workflow"
    else:
        rules, groups = version.rules_of(holder.position), keys.tasks[holder.position].groups
        scope = holder.definition.name
    for place in range(min(held, len(groups))):
        arrival = _arrival(state, holder)
        group = _group(state, version.id, scope, place, rules[place], groups[place], arrival)
        entry = Entry(holder, group, _priority(holder), arrival)
        group._fill(entry)
        holder.entries = (*holder.entries, entry)
        holder.held += 1
        _touch(state, group)


def _wait(
    state: State, holder: Holder, rules: tuple[ConcurrencyRule, ...], groups: tuple[GroupKey, ...], scope: str
) -> None:
    version = holder.version if isinstance(holder, Run) else holder.run.version
    place = holder.held
    arrival = _arrival(state, holder)
    group = _group(state, version.id, scope, place, rules[place], groups[place], arrival)
    entry = Entry(holder, group, _priority(holder), arrival)
    holder.waiting_entry = entry
    group.push(entry)
    _touch(state, group)


def _group(
    state: State,
    version_id: str,
    scope: str,
    place: int,
    rule: ConcurrencyRule,
    wanted: GroupKey,
    arrival: Arrival,
) -> Group:
    """The group of `wanted` under a rule. The newest comer's word on `max_runs` and the strategy counts."""
    group_id = ("", rule.name, wanted.key) if rule.is_tenant_scoped else (version_id, f"{scope}/{place}", wanted.key)
    group = state.groups.get(group_id)
    if group is None:
        group = state.groups[group_id] = Group(group_id, rule.strategy)
    if arrival > group.told_by:
        group.max_runs, group.strategy, group.told_by = wanted.max_runs, rule.strategy, arrival
    return group


def _touch(state: State, group: Group) -> None:
    state.undecided[group.id] = group


def _priority(holder: Holder) -> int:
    return holder.row.priority if isinstance(holder, Run) else holder.queue_priority


def _arrival(state: State, holder: Holder) -> Arrival:
    state.arrivals += 1
    age_us = holder.row.created_at_us if isinstance(holder, Run) else holder.queued_at_us
    return age_us or 0, state.arrivals
