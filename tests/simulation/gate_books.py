"""Books of a DAG's progress: what each task must be, from what its parents came to, its conditions and the time.

Kept from committed rows, the commands of a round and what each of them added to the history; section 6.8 is computed
here once more, with expressions in Python, and the core is never asked. `observe` is called after every commit, when
`tables` has it already. Not in these books: on-failure tasks, and what becomes of a task once it has been let through.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

import msgspec

from broadaxe.core.commands import Command
from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.decision import Decision, EventRow, StartAttempt, TaskEventRow
from broadaxe.core.definition import (
    KEY_TASK_NAME,
    ConditionAction,
    ConditionRule,
    LimitStrategy,
    TaskDefinition,
    WorkflowDefinition,
)
from broadaxe.core.lifecycle import TERMINAL, TaskEventType, TaskStatus
from tests.simulation.books import Books, attempts, hold
from tests.simulation.chances import EVENT_CONDITIONS, PARENT_CONDITIONS
from tests.simulation.tables import Tables

QUEUE, SKIP, CANCEL = ConditionAction.QUEUE, ConditionAction.SKIP, ConditionAction.CANCEL
UNHAPPY: Final = (TaskStatus.FAILED, TaskStatus.CANCELLED)
ENDS: Final = {
    TaskEventType.FINISHED: TaskStatus.COMPLETED,
    TaskEventType.SKIPPED: TaskStatus.SKIPPED,
    TaskEventType.CANCELLED: TaskStatus.CANCELLED,
    TaskEventType.SCHEDULING_TIMED_OUT: TaskStatus.CANCELLED,
}
NEVER: Final = 1 << 62
#: How many entries of the history and how many events a round had after each of its commands.
Marks = Sequence[tuple[int, int]]
#: A task by its run and its name.
Place = tuple[str, str]


class Stand(Enum):
    ABSENT = auto()
    """Its parents are not over."""
    POSTPONED = auto()
    """The root of a debounced run, whose burst is not over."""
    OPEN = auto()
    """Its parents are well over: its conditions decide."""
    DOOMED = auto()
    """A parent failed or was cancelled."""
    PASSED = auto()
    """It was let through."""
    OVER = auto()


@dataclass(slots=True)
class Element:
    rule: ConditionRule
    true_at_us: int
    """Since when it is true; when it will be, of a sleep; `NEVER` while that is not known."""
    brings: object = None


@dataclass(slots=True)
class Gate:
    """Where a task stands before it is let through."""

    stand: Stand = Stand.ABSENT
    elements: list[Element] = field(default_factory=list)
    at_once: ConditionAction | None = None
    """What its parents alone decided."""
    required: list[str] = field(default_factory=list)
    """What its attempts must be told of."""
    allowed: dict[str, list[object]] = field(default_factory=dict)
    """What they may be told."""


class GateBooks:
    def __init__(self, tables: Tables, books: Books) -> None:
        self.tables = tables
        self.books = books
        self.gates: dict[str, dict[str, Gate]] = {}
        """By run, then by name of the task."""
        self.statuses: dict[str, dict[str, TaskStatus]] = {}
        """Of the tasks of each run that are over."""
        self.outputs: dict[Place, str] = {}
        self.live: set[str] = set()
        """Runs that were not over after the commit before, or have come since."""
        self.changed: set[str] = set()
        """Runs that something was written or begun of in this round: of others only what time brings is looked at."""
        self.task_ids: dict[Place, str] = {}
        self.replayed: set[str] = set()
        """Runs of which tasks begin anew, and nothing has been decided since."""
        self.verdicts: dict[str, int] = defaultdict(int)
        """How often conditions decided what; tests look at it."""

    def observe(
        self, decision: Decision, commands: Sequence[Command], marks: Marks, now_us: int, *, is_at_rest: bool
    ) -> None:
        writes = decision.writes
        entries, events = writes.task_events, writes.events
        rows = self.tables.task_rows
        self.changed = {rows[task.id].run_id for task in writes.tasks} | {new.row.run_id for new in writes.new_tasks}
        self.changed |= {rows[gate.task_id].run_id for gate in writes.gates}
        entry, event = 0, 0
        for command, (entries_then, events_then) in zip(commands, marks, strict=True):
            self._happen(events[event:events_then], entries[entry:entries_then], entries[entry:], command, now_us)
            entry, event = entries_then, events_then
        self._release(now_us)
        self._happen(events[event:], entries[entry:], entries[entry:], None, now_us)
        for start in attempts(decision.effects):
            self._check_start(start)
        for run_id in self.live:
            is_changed = run_id in self.changed
            for name, gate in self.gates[run_id].items():
                if is_changed or gate.stand is Stand.OPEN:
                    self._check(run_id, name, gate, now_us, is_at_rest=is_at_rest)
        self.live &= self.tables.live.keys()

    def first_due_us(self, now_us: int) -> int | None:
        """When the first sleep that may still decide something is over."""
        return min((due_us for gate in self._open() for due_us in _dues(gate, now_us)), default=None)

    def wanted(self) -> dict[str, set[str]]:
        """Keys of events that may still decide something, and the runs in which they do."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for run_id in sorted(self.live):
            for gate in self.gates[run_id].values():
                for element in gate.elements if gate.stand is Stand.OPEN else ():
                    if element.rule.event_key and element.true_at_us == NEVER:
                        wanted[element.rule.event_key].add(run_id)
        return wanted

    def _open(self) -> list[Gate]:
        return [gate for run_id in self.live for gate in self.gates[run_id].values() if gate.stand is Stand.OPEN]

    # What happened, in order ---------------------------------------------------------------------------------------

    def _happen(
        self,
        events: Sequence[EventRow],
        entries: Sequence[TaskEventRow],
        rest: Sequence[TaskEventRow],
        command: Command | None,
        now_us: int,
    ) -> None:
        """One command, or what is decided after all of them (None). `rest` is the history from here on."""
        for event in events:
            self._push(event)
        for number, entry in enumerate(entries):
            run_id = self.tables.task_rows[entry.task_id].run_id
            if run_id not in self.gates:
                self._begin(run_id, now_us)
            if entry.type is TaskEventType.RETRIED_BY_USER:
                self._reset(run_id, self.tables.task_rows[entry.task_id].name)
                continue
            self._open_replayed(now_us)
            self._enter(run_id, entry, rest[number + 1 :], command, now_us)
        self._open_replayed(now_us)
        if isinstance(command, CancelTasks):
            for run_id in {self.tables.task_rows[i].run_id for i in command.ids if i in self.tables.task_rows}:
                for name, gate in self.gates[run_id].items():
                    is_meant = run_id in command.ids or self._task_id(run_id, name) in command.ids
                    hold(not is_meant or gate.stand is not Stand.OPEN, "cancelled and still there", run_id, name)

    def _push(self, event: EventRow) -> None:
        payload = msgspec.json.decode(event.payload)
        for gate in self._open():
            for element in gate.elements:
                rule = element.rule
                is_new = rule.event_key == event.key and element.true_at_us == NEVER
                if is_new and _is_true(EVENT_CONDITIONS, rule.expression, payload):
                    element.true_at_us, element.brings = event.seen_at_us, payload

    def _begin(self, run_id: str, now_us: int) -> None:
        workflow = self._workflow(run_id)
        self.gates[run_id] = {task.name: Gate() for task in workflow.tasks}
        self.statuses[run_id] = {}
        self.live.add(run_id)
        if self.books.releases.get(run_id, 0) >= now_us:
            for task in workflow.tasks:
                if not _parents(workflow, task):
                    self.gates[run_id][task.name].stand = Stand.POSTPONED
        self._open_ready(run_id, now_us)

    def _release(self, now_us: int) -> None:
        for run_id in list(self.live):
            if self.books.releases.get(run_id, NEVER) <= now_us:
                for gate in self.gates[run_id].values():
                    if gate.stand is Stand.POSTPONED:
                        gate.stand = Stand.ABSENT
                self._open_ready(run_id, now_us)

    def _reset(self, run_id: str, name: str) -> None:
        self.changed.add(run_id)
        self.live.add(run_id)
        self.statuses[run_id].pop(name, None)
        if name in self.gates[run_id]:
            self.gates[run_id][name] = Gate()
        self.replayed.add(run_id)

    def _open_replayed(self, now_us: int) -> None:
        for run_id in self.replayed:
            self._open_ready(run_id, now_us)
        self.replayed.clear()

    def _open_ready(self, run_id: str, now_us: int) -> None:
        """Gates of tasks whose parents have just come to their end."""
        self.changed.add(run_id)
        workflow, statuses = self._workflow(run_id), self.statuses[run_id]
        for task in workflow.tasks:
            gate = self.gates[run_id][task.name]
            if gate.stand is not Stand.ABSENT:
                continue
            parents = _parents(workflow, task)
            ends = [statuses.get(name) for name in parents]
            if any(status in UNHAPPY for status in ends):
                gate.stand = Stand.DOOMED
            elif None not in ends:
                self._open_up(run_id, task, gate, ends, now_us)

    def _open_up(
        self, run_id: str, task: TaskDefinition, gate: Gate, ends: list[TaskStatus | None], now_us: int
    ) -> None:
        gate.stand = Stand.OPEN
        skips_itself = any(rule.parent and rule.action is SKIP for rule in task.conditions)
        if ends and set(ends) == {TaskStatus.SKIPPED} and not skips_itself:
            gate.at_once = SKIP
            return
        for rule in task.conditions:
            element = Element(rule, NEVER)
            if rule.parent:
                output = msgspec.json.decode(self.outputs.get((run_id, rule.parent), "null"))
                element.true_at_us = -NEVER if _is_true(PARENT_CONDITIONS, rule.expression, output) else NEVER
            elif rule.sleep:
                element.true_at_us, element.brings = now_us + rule.sleep_us, {"sleep_duration": rule.sleep}
            gate.elements.append(element)
        said = {action: _moment(gate, action, lambda element: bool(element.rule.parent)) for action in ConditionAction}
        if said[CANCEL] == -NEVER:
            gate.at_once = CANCEL
        elif said[SKIP] == -NEVER:
            gate.at_once = SKIP
        elif said[QUEUE] == -NEVER:
            gate.at_once = QUEUE
        elif _is_impossible(gate, QUEUE):
            gate.at_once = SKIP

    def _enter(
        self,
        run_id: str,
        entry: TaskEventRow,
        rest: Sequence[TaskEventRow],
        command: Command | None,
        now_us: int,
    ) -> None:
        self.changed.add(run_id)
        name = self.tables.task_rows[entry.task_id].name
        gate = self.gates[run_id].get(name)
        if gate is not None and gate.stand not in (Stand.PASSED, Stand.OVER):
            self._decide(run_id, name, gate, entry, command, now_us)
        ended = self._end_of(entry, rest)
        if ended is not None and name not in self.statuses[run_id]:
            self.statuses[run_id][name] = ended
            if ended is TaskStatus.COMPLETED:
                self.outputs[run_id, name] = self.tables.outputs[entry.task_id, entry.retry_count]
            elif ended is TaskStatus.SKIPPED:
                self.outputs[run_id, name] = '{"skipped":true}'
            if gate is not None:
                gate.stand = Stand.OVER
            self._open_ready(run_id, now_us)

    def _end_of(self, entry: TaskEventRow, rest: Sequence[TaskEventRow]) -> TaskStatus | None:
        """What the task ended as with this entry, None if it goes on."""
        if entry.type in ENDS:
            return ENDS[entry.type]
        after = next((other.type for other in rest if other.task_id == entry.task_id), None)
        if after is None:
            is_failed = self.tables.tasks[entry.task_id].status is TaskStatus.FAILED
            return TaskStatus.FAILED if is_failed else None
        return TaskStatus.FAILED if after is TaskEventType.RETRIED_BY_USER else None

    # What must follow ----------------------------------------------------------------------------------------------

    def _decide(
        self, run_id: str, name: str, gate: Gate, entry: TaskEventRow, command: Command | None, now_us: int
    ) -> None:
        """The task goes on from its gate: as it must?"""
        story = run_id, name, gate, entry
        if entry.type is TaskEventType.CANCELLED:
            if gate.stand is Stand.DOOMED or self._may_be_cancelled(run_id, entry, command):
                return
            hold(gate.stand is Stand.OPEN and self._verdict(gate, now_us) is CANCEL, "cancelled for nothing", *story)
            self.verdicts["cancelled"] += len(gate.elements) > 0
            return
        if gate.stand is Stand.POSTPONED and entry.type in (TaskEventType.CREATED, TaskEventType.FAILED):
            return
        hold(gate.stand is Stand.OPEN, "went on before its time", *story)
        verdict = self._verdict(gate, now_us)
        match entry.type:
            case TaskEventType.CREATED:
                hold(gate.at_once is None, "waits though its parents have decided", *story)
            case TaskEventType.SKIPPED:
                hold(verdict is SKIP, "skipped, and should be", verdict, *story)
                self.verdicts["skipped"] += len(gate.elements) > 0
            case TaskEventType.QUEUED | TaskEventType.FAILED:
                is_right = entry.type is TaskEventType.QUEUED or self.books._task_words(entry.task_id).fails
                hold(verdict is QUEUE and is_right, "let through, and should be", verdict, *story)
                gate.stand = Stand.PASSED
                self._note_what_fired(gate, now_us)
                self.verdicts["let through"] += len(gate.elements) > 0
            case _:
                hold(False, "an entry of a task that waits", *story)

    def _may_be_cancelled(self, run_id: str, entry: TaskEventRow, command: Command | None) -> bool:
        """Whether something other than its conditions can have ended the task."""
        if isinstance(command, CancelTasks) and {run_id, entry.task_id} & set(command.ids):
            return True
        rules = self._workflow(run_id).concurrency
        is_loser = any(rule.strategy is not LimitStrategy.GROUP_ROUND_ROBIN for rule in rules)
        return is_loser or "superseded by run" in entry.message

    def _verdict(self, gate: Gate, now_us: int) -> ConditionAction | None:
        """The list that was fulfilled first; at the same instant to cancel goes before to skip before to go on."""
        if gate.at_once is not None:
            return gate.at_once
        moments = {action: _moment(gate, action) for action in (CANCEL, SKIP, QUEUE)}
        first = min(moments.values())
        return next((action for action in moments if moments[action] == first), None) if first <= now_us else None

    def _note_what_fired(self, gate: Gate, now_us: int) -> None:
        """What the list to wait for brought; nothing if parents alone let the task through. Sleeps that were over only
        after the list was fulfilled, but before the engine looked, may be told of."""
        if gate.at_once is not None:
            return
        fulfilled_us = _moment(gate, QUEUE)
        known = {e.rule.group for e in gate.elements if e.rule.parent and e.true_at_us != NEVER}
        for element in gate.elements:
            rule = element.rule
            if rule.action is QUEUE and not rule.parent and element.true_at_us <= now_us:
                gate.allowed.setdefault(rule.data_key, []).append(element.brings)
                if element.true_at_us <= fulfilled_us and rule.group not in known:
                    gate.required.append(rule.data_key)

    def _check_start(self, start: StartAttempt) -> None:
        row = self.tables.task_rows[start.task_id]
        gate = self.gates[row.run_id].get(row.name)
        if gate is None:
            return
        fired: dict[str, object] = msgspec.json.decode(start.fired or "{}", type=dict[str, Any])
        is_told = set(gate.required) <= fired.keys() and all(
            value in gate.allowed.get(key, ()) for key, value in fired.items()
        )
        hold(is_told, "told of other conditions", start.task_id, fired, gate)
        self.verdicts["told"] += bool(fired)

    def _check(self, run_id: str, name: str, gate: Gate, now_us: int, *, is_at_rest: bool) -> None:
        task_id = self._task_id(run_id, name)
        status = None if task_id is None else self.tables.tasks[task_id].status
        story = run_id, name, status, gate
        row = None if task_id is None else self.tables.gates.get(task_id)
        match gate.stand:
            case Stand.ABSENT:
                hold(status in (None, TaskStatus.WAITING), "before its parents are over", *story)
            case Stand.POSTPONED:
                hold(status is TaskStatus.BACKOFF, "does not wait for its burst", *story)
            case Stand.DOOMED:
                hold(False, "goes on after a parent that failed or was cancelled", *story)
            case Stand.OPEN:
                hold(status is TaskStatus.WAITING, "does not wait for its conditions", *story)
                hold(row is not None and row.is_open, "what it waits for is not stored", *story)
                verdict = self._verdict(gate, now_us)
                hold(verdict is None or not is_at_rest, "nothing follows from conditions:", verdict, *story)
            case Stand.PASSED:
                hold(status not in (TaskStatus.WAITING, TaskStatus.SKIPPED, None), "was let through", *story)
            case Stand.OVER:
                hold(status in TERMINAL, "was over", *story)
        hold(row is None or row.is_open is (gate.stand is Stand.OPEN), "stored as what it is not", row, *story)

    # Looking up ----------------------------------------------------------------------------------------------------

    def _workflow(self, run_id: str) -> WorkflowDefinition:
        return self.tables.versions[self.tables.run_rows[run_id].version_id].definition

    def _task_id(self, run_id: str, name: str) -> str | None:
        task_id = self.task_ids.get((run_id, name))
        if task_id is None:
            task_id = next((i for i in self.tables.tasks_of[run_id] if self.tables.task_rows[i].name == name), None)
            if task_id is not None:
                self.task_ids[run_id, name] = task_id
        return task_id


def _parents(workflow: WorkflowDefinition, task: TaskDefinition) -> tuple[str, ...]:
    """A run's key is asked for before anything else."""
    return task.parents or (() if workflow.key_task is None else (KEY_TASK_NAME,))


def _groups(gate: Gate, action: ConditionAction) -> list[list[Element]]:
    groups: dict[int, list[Element]] = defaultdict(list)
    for element in gate.elements:
        if element.rule.action is action:
            groups[element.rule.group].append(element)
    return list(groups.values())


def _moment(gate: Gate, action: ConditionAction, counts: Callable[[Element], bool] = lambda _: True) -> int:
    """When all groups of the list had one that was true; an empty list to wait for is, the other two never are."""
    groups = _groups(gate, action)
    if not groups:
        return -NEVER if action is QUEUE else NEVER
    return max(min((e.true_at_us for e in group if counts(e)), default=NEVER) for group in groups)


def _is_impossible(gate: Gate, action: ConditionAction) -> bool:
    return any(
        all(element.rule.parent and element.true_at_us == NEVER for element in group) for group in _groups(gate, action)
    )


def _dues(gate: Gate, now_us: int) -> list[int]:
    """When sleeps end on which something may depend."""
    return [
        element.true_at_us
        for action in ConditionAction
        if not _is_impossible(gate, action)
        for group in _groups(gate, action)
        if not any(element.true_at_us <= now_us for element in group)
        for element in group
        if element.rule.sleep
    ]


def _is_true(twins: Mapping[str, Callable[[Any], object]], expression: str, about: object) -> bool:
    try:
        return twins[expression](about) is True
    except (KeyError, TypeError):
        return False
