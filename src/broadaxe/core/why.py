"""Why a task does not run: the one thing that holds it, found where the task is held.

A task that is live and not running stands in exactly one place: behind its parents or a gate (WAITING), before an
instant (BACKOFF), before its concurrency key, in a lane of its action's queue or in a batch group (QUEUED), or outside
a worker while it waits for its log (EVICTED). A paused workflow holds whatever is QUEUED, wherever it stands. What
holds a lane is what `admission` found there: a limit that parked it, or no worker that could take its first task.

Refuses to decide or change anything: nothing here touches the ledger, a queue or a heap. Call between two rounds, when
everything that can move has moved; `InTurn` is what is left then only for what is being read back.

Cost: each lane, shape, group and queue is looked at once per question, however many tasks are asked about. A line is
counted off up to `IN_LINE_MAX`. Nothing is kept for it while nobody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from broadaxe.core import affinity, ratelimits
from broadaxe.core.batching import BatchGroup
from broadaxe.core.concurrency import Group, Ticket
from broadaxe.core.conditions import Gate
from broadaxe.core.definition import ConcurrencyRule, ConditionAction
from broadaxe.core.interests import Interest
from broadaxe.core.lifecycle import TERMINAL, TaskStatus
from broadaxe.core.model import Run, Task, Worker
from broadaxe.core.questions import (
    IN_LINE_MAX,
    NAMED_MAX,
    WAITING_MAX,
    WAITS_MAX,
    Absence,
    AbsentWorker,
    Backoff,
    Batch,
    Children,
    ChildSeen,
    Conditions,
    ConditionSeen,
    Debounce,
    Evicted,
    Holder,
    InTurn,
    Key,
    Labels,
    NoWorker,
    Parents,
    ParentSeen,
    Paused,
    RateLimit,
    Reason,
    Slot,
    StickyWorker,
    TooLarge,
    Unconfirmed,
    Waiting,
    WaitingTasks,
    WaitSeen,
    WhyWaiting,
    WorkerName,
    WorkersAway,
)
from broadaxe.core.queues import ID_BYTES, ActionQueue, Lane, Shape
from broadaxe.core.state import State
from broadaxe.core.waits import Wait

#: Lines of a queue beyond which nobody is told a place: each is looked at to find the first.
_LINES_MAX: Final = 5_000


def why(state: State, question: WhyWaiting, now_us: int) -> WaitingTasks:
    """Every task among the ids, or of the runs among them, that waits for something."""
    look = _Look(state, now_us)
    found: list[Waiting] = []
    live: set[str] = set()
    for asked in dict.fromkeys(question.ids):
        rows = look.at(asked)
        if rows is not None:
            live.add(asked)
            found += islice(rows, WAITING_MAX + 1 - len(found))
    return WaitingTasks(tuple(found[:WAITING_MAX]), frozenset(live), is_cut=len(found) > WAITING_MAX)


def holder_of(ticket: Ticket) -> Holder:
    """Who holds the ticket, which somebody must."""
    holder = ticket.holder
    assert holder is not None
    if isinstance(holder, Run):
        since_us = holder.row.created_at_us if holder.started_at_us is None else holder.started_at_us
        is_running = any(task.status is TaskStatus.RUNNING for task in holder.existing())
        return Holder(holder.id, holder.row.display_name, None, None, since_us, is_running)
    is_running = holder.status is TaskStatus.RUNNING
    since_us = (holder.assigned_at_us if is_running else holder.queued_at_us) or holder.created_at_us
    row = holder.run.row
    return Holder(row.id, row.display_name, holder.id, holder.definition.name, since_us, is_running)


def rule_of(group: Group, ticket: Ticket) -> tuple[ConcurrencyRule, str | None]:
    """The rule that the ticket's holder is in the group by, and the task that declares it; None for the workflow's."""
    holder = ticket.holder
    assert holder is not None
    if isinstance(holder, Run):
        return holder.version.definition.concurrency[_position(group, holder.version.definition.concurrency)], None
    version = holder.run.version
    rules = version.rules_of(holder.position)
    place = _position(group, rules)
    is_of_workflow = not version.is_dag and place < len(version.definition.concurrency)
    return rules[place], None if is_of_workflow else holder.definition.name


def _position(group: Group, rules: Sequence[ConcurrencyRule]) -> int:
    owner, place, _ = group.id
    if owner:
        return int(place.rpartition("/")[2])
    return next(number for number, rule in enumerate(rules) if rule.is_tenant_scoped and rule.name == place)


class _Look:
    """One look at a tenant, which remembers what it has seen."""

    __slots__ = ("_now_us", "_places", "_state", "_workers")

    def __init__(self, state: State, now_us: int) -> None:
        self._state = state
        self._now_us = now_us
        self._places: dict[object, dict[str, int] | None] = {}
        """Places in line by task, for each queue, lane and group that was counted off; None where that was too much."""
        self._workers: dict[Shape, Reason] = {}
        """What keeps workers from taking the tasks of a shape; places are not told here."""

    def at(self, asked: str) -> Iterator[Waiting] | None:
        """The tasks that wait; None for an id that is not live."""
        state = self._state
        task = state.tasks.get(asked)
        if task is not None and not task.is_terminal:
            return self._of_tasks((task,))
        run = state.runs.get(asked)
        if run is not None and run.finished_at_us is None and run.version.is_dag:
            return self._of_run(run)
        if asked in state.dormant:
            return iter((self._of_dormant(asked),))
        return self._of_cold(asked)

    def _of_tasks(self, tasks: Iterable[Task]) -> Iterator[Waiting]:
        for task in tasks:
            reason = self._of_task(task)
            if reason is not None:
                is_queued = task.status is TaskStatus.QUEUED
                since_us = task.queued_at_us if is_queued else task.created_at_us
                expires_at_us = task.deadline_us if is_queued else None
                yield Waiting(task.run.id, task.id, task.definition.name, task.status, reason, since_us, expires_at_us)

    def _of_run(self, run: Run) -> Iterator[Waiting]:
        for position, task in enumerate(run.tasks):
            if task is not None:
                yield from self._of_tasks((task,))
            elif position != run.version.on_failure_position:
                name = run.version.definitions[position].name
                yield Waiting(run.id, None, name, None, self._parents(run, position), run.row.created_at_us)

    def _of_task(self, task: Task) -> Reason | None:
        match task.status:
            case TaskStatus.WAITING:
                if task.gate is not None and task.gate.is_open:
                    return self._gate(task.gate)
                return self._parents(task.run, task.position)
            case TaskStatus.BACKOFF:
                until_us = self._now_us if task.due_at_us is None else task.due_at_us
                if task.retry_count == 0:
                    return Debounce("" if task.run.burst is None else task.run.burst.id[1], until_us)
                return Backoff(task.retry_count + 1, until_us)
            case TaskStatus.QUEUED:
                return self._queued(task)
            case TaskStatus.EVICTED:
                return self._log(task, is_evicted=True) or Evicted()
            case TaskStatus.RUNNING if task.confirm_by_us is not None:
                return Unconfirmed(_name(task.worker), task.confirm_by_us)
            case TaskStatus.RUNNING:
                return self._log(task, is_evicted=False)
            case _:
                return None

    # Before its queue ------------------------------------------------------------------------------------------------

    def _parents(self, run: Run, position: int) -> Reason:
        parents = [(parent, run.tasks[parent]) for parent in run.version.parents[position]]
        if position == run.version.on_failure_position:
            parents = [(other, task) for other, task in enumerate(run.tasks) if other != position]
        names = run.version.definitions
        left = [
            ParentSeen(names[parent].name, None if task is None else task.id, None if task is None else task.status)
            for parent, task in parents
            if task is None or task.status not in TERMINAL
        ]
        return Parents(tuple(left[:NAMED_MAX]), len(left)) if left else InTurn()

    def _gate(self, gate: Gate) -> Reason:
        # What lets the task go on is told first.
        in_order = sorted(gate.waits.items(), key=lambda pair: pair[0] is not ConditionAction.QUEUE)
        waits = tuple(WaitSeen(_conditions(wait), action.value) for action, wait in in_order)
        return Conditions(waits, len(waits), is_evicted=False)

    def _log(self, task: Task, *, is_evicted: bool) -> Reason | None:
        """What a durable task waits for, None if that is nothing."""
        log = task.log
        if log is None:
            return None
        awaited = [entry for entry in log.all_entries() if log.awaits(entry, is_evicted=is_evicted)]
        waits = [entry.wait for entry in awaited if entry.wait is not None]
        if waits:
            seen = tuple(WaitSeen(_conditions(wait)) for wait in waits[:WAITS_MAX])
            return Conditions(seen, len(waits), is_evicted)
        children = [
            ChildSeen(entry.child_run_id, entry.workflow_name or "")
            for entry in awaited
            if entry.child_run_id is not None
        ]
        return Children(tuple(children[:NAMED_MAX]), len(children), is_evicted) if children else None

    def _of_dormant(self, task_id: str) -> Waiting:
        dormant = self._state.dormant[task_id]
        conditions = [_event(interest) for interest in dormant.events]
        if dormant.due_at_us is not None:
            conditions.append(ConditionSeen(0, is_met=False, until_us=dormant.due_at_us))
        reason: Reason = Evicted()
        if conditions:
            reason = Conditions((WaitSeen(tuple(conditions[:WAITS_MAX])),), 1, is_evicted=True)
        return Waiting(task_id, task_id, "", TaskStatus.EVICTED, reason)

    # In its queue ----------------------------------------------------------------------------------------------------

    def _queued(self, task: Task) -> Reason:
        run = task.run
        workflow = run.version.workflow
        if workflow.pause is not None:
            return Paused(workflow.id, workflow.name, workflow.pause.since_us, workflow.pause.by)
        ticket = run.waiting_ticket if task.id in run.held_back else task.waiting_ticket
        if ticket is not None:
            return self._key(ticket)
        if task.waiting is not None:
            return self._lane(task.waiting.lane, task.id)
        if task.gathering is not None:
            return self._batch(task.gathering.group)
        return InTurn()

    def _key(self, ticket: Ticket) -> Reason:
        group = ticket.group
        rule, _ = rule_of(group, ticket)
        holders = tuple(holder_of(held) for held in islice(group.filled, NAMED_MAX) if held.holder is not None)
        if group not in self._places:
            first = islice(group.waiting_in_order(), IN_LINE_MAX)
            self._places[group] = {t.holder.id: place for place, t in enumerate(first, 1) if t.holder is not None}
        assert ticket.holder is not None
        place = self._place_at(group, ticket.holder.id)
        is_of_run = isinstance(ticket.holder, Run)
        held, max_runs, strategy = len(group.filled), group.max_runs, group.strategy
        return Key(group.id[2], rule.expression, strategy, held, max_runs, holders, place, is_of_run)

    def _lane(self, lane: Lane, task_id: str | None) -> Reason:
        shape = lane.shape
        workflow = shape.key.workflow
        if workflow.pause is not None:
            return Paused(workflow.id, workflow.name, workflow.pause.since_us, workflow.pause.by)
        if lane.parked_until_us is not None:
            return self._limit(lane, self._place(lane, (lane,), task_id))
        if not shape.is_blocked:
            return InTurn()
        place = None
        if not shape.key.is_hard:
            place = self._place(shape.queue, _open_lanes(shape.queue), task_id)
        return self._worker(shape, place)

    def _limit(self, lane: Lane, place: int | None) -> Reason:
        denial = ratelimits.denial(self._state, lane.limits, self._now_us)
        if denial is None:
            return InTurn()
        limit = self._state.limits.get(denial.key)
        paused_until_us = None if limit is None else limit.paused_until_us
        is_paused = paused_until_us is not None and paused_until_us > self._now_us
        size = None if limit is None else limit.limit
        return RateLimit(denial.key, denial.wanted, denial.left, size, denial.until_us, is_paused, place)

    def _batch(self, group: BatchGroup) -> Reason:
        if group.reason_to_flush() is not None:
            return self._worker(group.shape, None)
        rule, running = group.rule, len(group.running)
        return Batch(group.id[1], group.count, rule.max_size, group.flush_at_us, running, rule.group_max_runs)

    def _of_cold(self, asked: str) -> Iterator[Waiting] | None:
        """A task of a backlog that is not in memory."""
        if not self._state.cold_lanes:
            return None
        try:
            id_bytes = bytes.fromhex(asked.replace("-", ""))
        except ValueError:
            return None
        for lane in self._state.cold_lanes:
            for line in lane.cold_lines():
                for segment in line.segments:
                    if _holds(segment.ids, id_bytes):
                        reason = self._lane(lane, None)
                        return iter((Waiting(asked, asked, "", TaskStatus.QUEUED, reason),))
        return None

    def _place(self, line: object, lanes: Iterable[Lane], task_id: str | None) -> int | None:
        """The task's place among those of `lanes`, which are counted off once for each `line`."""
        if line not in self._places:
            self._places[line] = _counted_off(list(lanes))
        return self._place_at(line, task_id)

    def _place_at(self, line: object, holder_id: str | None) -> int | None:
        places = self._places[line]
        if places is None:
            return None
        return IN_LINE_MAX + 1 if holder_id is None else places.get(holder_id, IN_LINE_MAX + 1)

    # Workers ---------------------------------------------------------------------------------------------------------

    def _worker(self, shape: Shape, place: int | None) -> Reason:
        reason = self._workers.get(shape)
        if reason is None:
            reason = self._workers[shape] = self._look_at_workers(shape)
        match reason:
            case Slot(action_id, slot_type, units, used, total, workers, worker_count):
                return Slot(action_id, slot_type, units, used, total, workers, worker_count, place)
            case _:
                return reason

    def _look_at_workers(self, shape: Shape) -> Reason:
        action_id, labels = shape.queue.action_id, shape.key.labels
        crew = list(shape.queue.crew)
        if shape.key.is_hard and shape.key.sticky_worker is not None:
            return self._sticky(shape, shape.key.sticky_worker)
        if not crew:
            return NoWorker(action_id)
        absences = [(worker, self._absence(worker, shape)) for worker in crew]
        able = [worker for worker, absence in absences if absence is None]
        if not able:
            absent = tuple(
                AbsentWorker(WorkerName(worker.id, worker.name), absence, worker.last_heartbeat_at_us)
                for worker, absence in absences[:NAMED_MAX]
                if absence is not None
            )
            return WorkersAway(action_id, absent, len(crew))
        fitting = [worker for worker in able if affinity.score(worker, labels) is not None]
        if not fitting:
            required = [label for label in labels if label.required]
            unmet = [
                label for label in required if not any(affinity.is_met(w.labels.get(label.key), label) for w in able)
            ]
            return Labels(action_id, tuple(unmet or required), len(able))
        if any(worker.has_room_for(shape.slots) for worker in fitting):
            return InTurn()
        large = [worker for worker in fitting if all(worker.slots.get(t, 0) >= n for t, n in shape.slots.items())]
        if not large:
            slot_type = max(shape.slots, key=lambda t: shape.slots[t] - max(w.slots.get(t, 0) for w in fitting))
            units_max = max(worker.slots.get(slot_type, 0) for worker in fitting)
            return TooLarge(action_id, slot_type, shape.slots[slot_type], units_max, len(fitting))
        slot_type = _scarcest(shape, large)
        used, total = _use_of(large, slot_type)
        names = tuple(WorkerName(worker.id, worker.name) for worker in large[:NAMED_MAX])
        return Slot(action_id, slot_type, shape.slots[slot_type], used, total, names, len(large), None)

    def _sticky(self, shape: Shape, worker_id: str) -> Reason:
        worker = shape.queue.crew.find(worker_id)
        if worker is None:
            known = self._state.workers.get(worker_id)
            return StickyWorker(shape.queue.action_id, _name(known), worker_id, None, 0, 0, None)
        absence = self._absence(worker, shape)
        if absence is None and affinity.score(worker, shape.key.labels) is None:
            absence = Absence.OTHER_LABELS
        if absence is None and worker.has_room_for(shape.slots):
            return InTurn()
        used, total = _use_of((worker,), _scarcest(shape, (worker,)))
        return StickyWorker(shape.queue.action_id, _name(worker), worker_id, absence, used, total, None)

    def _absence(self, worker: Worker, shape: Shape) -> Absence | None:
        if worker.session is None:
            return Absence.DISCONNECTED
        if worker.is_paused:
            return Absence.PAUSED
        if not affinity.is_schedulable(worker, self._now_us):
            return Absence.SILENT
        return Absence.NO_DURABLE_STREAM if shape.key.is_durable and not worker.takes_durable_tasks else None


def _open_lanes(queue: ActionQueue) -> Iterator[Lane]:
    """The lanes whose tasks wait for a worker only."""
    for shape in queue.shapes.values():
        if shape.key.workflow.pause is None and not shape.key.gathers:
            yield from (lane for lane in shape.lanes.values() if lane.parked_until_us is None)


def _counted_off(lanes: list[Lane]) -> dict[str, int] | None:
    """Places of the first in line; None if there are too many lines to look at."""
    lines = sum(1 for _ in islice((line for lane in lanes for line in lane.lines()), _LINES_MAX + 1))
    if not lanes or lines > _LINES_MAX:
        return None
    first = islice(lanes[0].shape.queue.in_order(lanes), IN_LINE_MAX)
    numbered = enumerate(first, 1)
    return {w.task.id: place for place, w in numbered if w is not None and w.task is not None}


def _holds(ids: bytearray, id_bytes: bytes) -> bool:
    at = ids.find(id_bytes)
    while at >= 0 and at % ID_BYTES:
        at = ids.find(id_bytes, at + 1)
    return at >= 0


def _conditions(wait: Wait) -> tuple[ConditionSeen, ...]:
    seen = []
    for condition, due_us, data in islice(zip(wait.conditions, wait.due, wait.data, strict=True), WAITS_MAX):
        is_met = data is not None
        if condition.is_sleep:
            seen.append(ConditionSeen(condition.group, is_met, until_us=due_us))
        else:
            seen.append(_event(condition.interest, condition.group, is_met=is_met))
    return tuple(seen)


def _event(interest: Interest, group: int = 0, *, is_met: bool = False) -> ConditionSeen:
    return ConditionSeen(
        group, is_met, event_key=interest.key, scope=interest.scope, expression=interest.expression.strip()
    )


def _scarcest(shape: Shape, workers: Sequence[Worker]) -> str:
    """The type of slot that the fewest of the workers have enough of."""
    return min(
        shape.slots, key=lambda t: sum(worker.free.get(t, 0) >= shape.slots[t] for worker in workers), default=""
    )


def _use_of(workers: Sequence[Worker], slot_type: str) -> tuple[int, int]:
    """(taken, there) of the workers' slots of a type."""
    total = sum(worker.slots.get(slot_type, 0) for worker in workers)
    return total - sum(max(0, worker.free.get(slot_type, 0)) for worker in workers), total


def _name(worker: Worker | None) -> WorkerName | None:
    return None if worker is None else WorkerName(worker.id, worker.name)
