"""Books of durable tasks: what a log may never do, and what must have come true by now.

Kept from committed rows, released effects and what workers listed, like `books.py`. `observe` is called after every
commit, when `tables` has it already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from broadaxe.core.commands.durable import ReportWaiting
from broadaxe.core.decision import Decision, DurableEntryRow, EntryCompleted, EventRow, SignalFired, StartAttempt
from broadaxe.core.lifecycle import TERMINAL, EntryKind, TaskStatus
from broadaxe.core.waits import Condition, ConditionState
from tests.simulation.books import hold
from tests.simulation.programs import Transcripts
from tests.simulation.tables import Place, Tables


class DurableBooks:
    def __init__(self, tables: Tables, transcripts: Transcripts) -> None:
        self.tables = tables
        self.transcripts = transcripts
        self.before: dict[str, dict[Place, DurableEntryRow]] = {}
        """Entries as they were after the commit before."""
        self.outcomes: dict[tuple[str, Place], Any] = {}
        self.orders: dict[str, int] = defaultdict(int)
        """The highest place in the order ever given."""
        self.invocations: dict[str, int] = {}
        self.listed: set[tuple[str, int, Place]] = set()
        """(task, invocation, place) that a worker has listed as awaited."""
        self.sent: dict[tuple[str, int], int] = {}
        """The highest place in the order an invocation was sent by this engine process."""
        self.signals: set[tuple[str, str]] = set()
        """(task, key) of the older protocol's waits that were acknowledged."""
        self.keys: dict[str, set[str]] = {}
        """Those that are recorded, by task."""
        self.recorded: dict[str, list[tuple[object, ...]]] = defaultdict(list)
        """What each log has recorded, in the order it was done: a prefix of what it will have recorded."""
        self.owed: set[tuple[str, Place, int]] = set()
        """(task, entry, position) of conditions for which an event was noted that the task was not shown yet."""
        self.live: set[str] = set()
        """Durable tasks that were not over after the commit before."""

    def forget_memory(self) -> None:
        self.sent.clear()

    def list(self, report: ReportWaiting) -> None:
        self.listed |= {(r.task_id, r.invocation_count, (r.branch_id, r.node_id)) for r in report.entries}

    def observe(self, decision: Decision, *, replayed: set[str], is_at_rest: bool) -> None:
        """`replayed` are runs that a replay of this round was accepted for."""
        writes = decision.writes
        reopened = {
            (task_id, entry.child_run_id)
            for run_id in replayed
            if (task_id := self.tables.run_rows[run_id].parent_task_id)
            for entry in self.tables.entries[task_id].values()
            if entry.child_run_id == run_id
        }
        hold({run_id for _, run_id in writes.reopened_children} <= replayed, "reopened without a replay", replayed)
        self.transcripts.forked |= {task_id for task_id, _ in reopened}
        touched = {entry.task_id for entry in writes.durable_entries} | {row.task_id for row in writes.durable_tasks}
        touched |= {task_id for task_id, _ in (*writes.finished_children, *writes.reopened_children)}
        self._check_events(writes.events)
        self._check_signals(decision)
        for task_id in sorted(touched & self.tables.logs.keys()):
            self._check_log(task_id, reopened)
            self._check_growth(task_id)
        for effect in decision.effects:
            if isinstance(effect, EntryCompleted):
                self._check_result(effect, reopened)
            elif isinstance(effect, StartAttempt) and effect.invocation_count is not None:
                known = self.invocations.get(effect.task_id, 0)
                hold(effect.invocation_count > known, "an invocation begins twice", effect.task_id, known)
                self.invocations[effect.task_id] = effect.invocation_count
        for task_id in touched:
            self.before[task_id] = dict(self.tables.entries[task_id])
        self.live = {t for t in self.tables.logs if self.tables.tasks[t].status not in TERMINAL}
        if is_at_rest:
            self._check_news()

    def first_due_us(self) -> int | None:
        """When the first sleep that is still needed is over."""
        return min(
            (
                entry.due_at_us
                for task_id in self.live
                for entry in self.tables.entries[task_id].values()
                if entry.is_on_path and entry.due_at_us is not None
            ),
            default=None,
        )

    # ---------------------------------------------------------------------------------------------------------------

    def _check_log(self, task_id: str, reopened: set[tuple[str, str]]) -> None:
        entries, before = self.tables.entries[task_id], self.before.get(task_id, {})
        for place, was in before.items():
            entry = entries.get(place)
            hold(entry is not None, "an entry is gone", task_id, place)
            assert entry is not None
            for name in ("kind", "identity", "label", "created_at_us", "child_run_id", "child_key", "workflow_name"):
                # A spawn that was refused may be tried again for as long as nothing came after it, in any branch.
                is_spawned = name in ("label", "child_run_id") and was.kind is EntryKind.RUN and not was.child_run_id
                is_shared = place[0] != self.tables.logs[task_id].branch_id
                may_change = is_spawned and not is_shared and self._is_last(before, place)
                hold(may_change or getattr(entry, name) == getattr(was, name), "an entry is another", task_id, place)
            self._check_wait(was, entry)
            hold(entry.is_awaited or not was.is_awaited, "not awaited any more", task_id, place)
            if was.satisfied_at_us is None or (task_id, was.child_run_id) in reopened:
                continue
            for name in ("satisfied_at_us", "result"):
                hold(getattr(entry, name) == getattr(was, name), "a result has changed", task_id, place, name)
            hold(was.order is None or entry.order == was.order, "another place in the order", task_id, place)
            hold(
                entry.kind is not EntryKind.RUN
                or self.tables.outcomes.get((task_id, place)) == self.outcomes.get((task_id, place)),
                "another outcome of a child",
                task_id,
                place,
                self.outcomes.get((task_id, place)),
                self.tables.outcomes.get((task_id, place)),
            )
        for place, entry in entries.items():
            if entry.kind is EntryKind.RUN:
                outcome = self.tables.outcomes.get((task_id, place))
                hold((outcome is None) is (entry.satisfied_at_us is None), "an outcome of nothing", task_id, place)
                if outcome is not None:
                    self.outcomes[task_id, place] = outcome
            hold(entry.order is None or entry.satisfied_at_us is not None, "a place for nothing", task_id, place)
            hold(entry.order is None or entry.is_awaited, "a place for what nobody waits for", task_id, place)
            if place not in before or before[place].wait != entry.wait:
                self._check_data(entry)
            is_placed = entry.order is not None or not entry.is_awaited or not entry.is_on_path
            hold(entry.satisfied_at_us is None or is_placed, "no place in the order", task_id, place)
        fresh = sorted(
            entry.order
            for place, entry in entries.items()
            if entry.order is not None and (place not in before or before[place].order != entry.order)
        )
        if task_id in self.transcripts.forked:
            self.orders[task_id] = max([0, *(entry.order or 0 for entry in entries.values())])
        else:
            highest = self.orders[task_id]
            hold(fresh == list(range(highest + 1, highest + 1 + len(fresh))), "gap in the order", task_id, fresh)
            self.orders[task_id] = highest + len(fresh)
        given = [entry.order for entry in entries.values() if entry.order is not None]
        hold(len(given) == len(set(given)), "a place in the order given twice", task_id, given)

    def _check_growth(self, task_id: str) -> None:
        """A log only grows, at the end of the present branch, and has no gaps."""
        entries, log = self.tables.entries[task_id], self.tables.logs[task_id]
        before, known = self.recorded[task_id], {row[0] for row in self.recorded[task_id]}
        operations = {place: e for place, e in entries.items() if e.kind is not EntryKind.SIGNAL}
        ordered = sorted(operations.items(), key=lambda pair: (pair[1].created_at_us, *pair[0]))
        recorded = [(place, e.kind, e.identity, e.created_at_us, e.child_key, e.workflow_name) for place, e in ordered]
        hold(recorded[: len(before)] == before, "the log is no prefix of what it became", task_id, before, recorded)
        forks = {row.branch_id: (row.parent_branch_id, row.fork_node_id) for row in self.tables.branches[task_id]}
        path = sorted(place for place in operations if place[0] == _owner(forks, log.branch_id, place[1]))
        hold([node_id for _, node_id in path] == list(range(1, len(path) + 1)), "a gap in the log", task_id, path)
        is_on_path = {place: entry.is_on_path for place, entry in operations.items()}
        hold(path == sorted(p for p, is_on in is_on_path.items() if is_on), "another path", task_id, path, is_on_path)
        fresh = [place for place in operations if place not in known]
        hold(all(branch_id == log.branch_id for branch_id, _ in fresh), "recorded elsewhere", task_id, fresh, log)
        hold(sorted(fresh) == path[len(path) - len(fresh) :], "recorded before the end", task_id, fresh, path)
        self.recorded[task_id] = recorded

    def _is_last(self, before: dict[Place, DurableEntryRow], place: Place) -> bool:
        """Whether all there was behind the place was spawned, or refused, together with it."""
        at_us = before[place].created_at_us
        behind = [
            entry
            for (_, node_id), entry in before.items()
            if node_id > place[1] and entry.is_on_path and entry.kind is not EntryKind.SIGNAL
        ]
        return all(entry.kind is EntryKind.RUN and entry.created_at_us == at_us for entry in behind)

    def _check_wait(self, was: DurableEntryRow, entry: DurableEntryRow) -> None:
        for before, after in zip(_conditions(was), _conditions(entry), strict=True):
            is_kept = before.due_at_us == after.due_at_us or (before.due_at_us is None and after.data is not None)
            hold(before.condition == after.condition and is_kept, "a condition moved", entry)
            hold(before.data is None or before.data == after.data, "other data of a condition", entry)

    def _check_data(self, entry: DurableEntryRow) -> None:
        """An event that a wait took is one it waits for, and came since it began."""
        for state in _conditions(entry):
            condition, data = state.condition, state.data
            if data is None or condition.is_sleep:
                continue
            since_us = entry.created_at_us if condition.since_us is None else condition.since_us
            fits = any(
                event.payload == data and event.seen_at_us >= since_us and matches(condition, event)
                for event in self.tables.pushed.values()
            )
            hold(fits, "an event that was not waited for", entry, data)

    def _check_events(self, events: list[EventRow]) -> None:
        """An event reaches every wait for it that was there before, or is noted for its task and reaches it later."""
        for task_id, place, position in sorted(self.owed):
            entry = self.tables.entries[task_id][place]
            if (
                not entry.is_on_path
                or entry.satisfied_at_us is not None
                or self.tables.tasks[task_id].status in TERMINAL
            ):
                self.owed.discard((task_id, place, position))
            elif not self.tables.news.get(task_id):
                hold(_conditions(entry)[position].data is not None, "a noted event was lost", task_id, place)
                self.owed.discard((task_id, place, position))
        if not events:
            return
        for task_id in self.live:
            if self.tables.tasks[task_id].status in TERMINAL:
                continue
            for place, was in self.before.get(task_id, {}).items():
                entry = self.tables.entries[task_id][place]
                if was.satisfied_at_us is not None or not (was.is_on_path and entry.is_on_path):
                    continue
                pairs = zip(_conditions(was), _conditions(entry), strict=True)
                befores = _conditions(was)
                for position, (before, after) in enumerate(pairs):
                    fitting = {
                        event.id
                        for event in events
                        if matches(before.condition, event) and not _was_over(befores, event.seen_at_us)
                    }
                    if before.data is not None or after.data is not None or not fitting:
                        continue
                    is_noted = bool(fitting & set(self.tables.news.get(task_id, ())))
                    is_owed = (task_id, place, position) in self.owed
                    hold(is_noted or is_owed, "an event was missed", task_id, place, after)
                    self.owed.add((task_id, place, position))

    def _check_signals(self, decision: Decision) -> None:
        """A key has one wait, which is never lost, and is told in the commit in which it comes true."""
        for task_id in {entry.task_id for entry in decision.writes.durable_entries}:
            entries = self.tables.entries[task_id].values()
            keys = [entry.label for entry in entries if entry.kind is EntryKind.SIGNAL]
            hold(len(keys) == len(set(keys)), "two signals of one key", task_id, keys)
            self.keys[task_id] = set(keys)
        lost = [(task_id, key) for task_id, key in self.signals if key not in self.keys.get(task_id, ())]
        hold(not lost, "an acknowledged signal is lost", lost)
        told = [(e.task_id, e.key, e.payload) for e in decision.effects if isinstance(e, SignalFired)]
        fired = [
            (entry.task_id, entry.label, entry.result)
            for entry in decision.writes.durable_entries
            if entry.kind is EntryKind.SIGNAL and entry.result is not None
        ]
        hold(sorted(told) == sorted(fired), "signals that fired", fired, "told", told)

    def _check_result(self, effect: EntryCompleted, reopened: set[tuple[str, str | None]]) -> None:
        ref = effect.ref
        place = ref.branch_id, ref.node_id
        entry = self.tables.entries[ref.task_id][place]
        # One that was decided before its child was replayed in the same round is nothing any more.
        is_taken_back = (ref.task_id, entry.child_run_id) in reopened
        hold(entry.satisfied_at_us is not None or is_taken_back, "a result of nothing", effect)
        if entry.kind is EntryKind.RUN:
            is_listed = (ref.task_id, ref.invocation_count, place) in self.listed
            hold(is_listed, "a child's result that nobody waits for", effect)
        if entry.kind is EntryKind.MEMO or ref.task_id in self.transcripts.forked:
            return
        hold(effect.order == entry.order, "another place in the order", effect, entry)

    def _check_news(self) -> None:
        """An evicted task that something has come for is not left asleep."""
        for task_id in self.live:
            if self.tables.tasks[task_id].status is not TaskStatus.EVICTED:
                continue
            hold(not self.tables.news.get(task_id), "sleeps though an event is noted for it", task_id)
            told = self.tables.logs[task_id].order_at_eviction
            for place, entry in self.tables.entries[task_id].items():
                if not entry.is_on_path:
                    continue
                hold(not self.tables.is_child_over(entry), "sleeps though a child has ended", task_id, place)
                is_new = entry.order is not None and (told is None or entry.order > told)
                hold(not is_new, "sleeps though something came", task_id, place, told)


def _was_over(states: Sequence[ConditionState], at_us: int) -> bool:
    """Whether its sleeps had ended the wait before that instant, rung or not: then no event is for it."""

    def is_met(state: ConditionState) -> bool:
        is_slept = state.condition.is_sleep and state.due_at_us is not None and state.due_at_us < at_us
        return state.data is not None or is_slept

    return {state.condition.group for state in states} == {s.condition.group for s in states if is_met(s)}


def _owner(forks: dict[int, tuple[int, int]], branch_id: int, node_id: int) -> int:
    """The branch that records the node on the path of `branch_id`."""
    while branch_id in forks and node_id < forks[branch_id][1]:
        branch_id = forks[branch_id][0]
    return branch_id


def matches(condition: Condition, event: EventRow) -> bool:
    """Whether the event is what the condition waits for; expressions are computed here."""
    if condition.is_sleep or event.key != condition.event_key:
        return False
    if condition.scope is not None and condition.scope != event.scope:
        return False
    payload = msgspec.json.decode(event.payload, type=dict[str, Any])
    match condition.expression:
        case "":
            return True
        case "input.n > 1":
            return "n" in payload and payload["n"] > 1
        case "input.nowhere == 1":
            return payload.get("nowhere") == 1
        case _:
            raise AssertionError(condition.expression)


def _conditions(entry: DurableEntryRow) -> tuple[ConditionState, ...]:
    return () if entry.wait is None else msgspec.json.decode(entry.wait, type=tuple[ConditionState, ...])
