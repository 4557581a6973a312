"""The event log of a durable task: its entries, its branches, and how far the present invocation has come.

A durable task's code runs from the top at every *invocation* (every assignment). Each operation it does takes the next
node; a node that has an entry already is the same operation done again and gets the recorded result. A *branch* shares
its parent's entries before the node it was taken off at and records its own from there. Entries are addressed by
(branch that recorded them, node).

An entry that is satisfied and awaited has a place in the *order*: results reach every later invocation in that order,
so races end the same way each time. Nodes, branches and places count from 1.

Only data and look-ups; `durable.py` decides.

Source: semantics 6.1, 6.2 and 6.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from broadaxe.core.decision import DurableEntryRow, DurableTaskRow
from broadaxe.core.lifecycle import EntryKind

if TYPE_CHECKING:
    from broadaxe.core.model import Task
    from broadaxe.core.waits import Wait


class Entry:
    __slots__ = (
        "branch_id", "child_index", "child_key", "child_run_id", "created_at_us", "has_woken", "identity", "is_awaited",
        "is_on_path", "is_touched", "kind", "label", "log", "node_id", "order", "result",
        "satisfied_at_us", "sent_by", "wait", "wanted_by", "workflow_name",
    )  # fmt: skip

    def __init__(
        self, log: DurableLog, kind: EntryKind, branch_id: int, node_id: int, identity: str, label: str, now_us: int
    ) -> None:
        self.log = log
        self.kind = kind
        self.branch_id = branch_id
        self.node_id = node_id
        self.identity = identity
        self.label = label
        self.created_at_us = now_us
        self.wait: Wait | None = None
        self.child_run_id: str | None = None
        self.child_key: str | None = None
        self.child_index: int | None = None
        """Of a child without a key. Its run's row has it."""
        self.workflow_name: str | None = None
        self.is_awaited = False
        """The program waits for it, or did: it takes a place in the order when it is satisfied."""
        self.is_on_path = True
        """Whether the task's present branch goes through it."""
        self.satisfied_at_us: int | None = None
        self.order: int | None = None
        self.result: str | None = None
        """JSON text on its way to the row; None when the row has it."""
        self.wanted_by = 0
        """The invocation that waits for it, or did."""
        self.sent_by = 0
        """The invocation that was sent it in its turn."""
        self.has_woken = False
        """An evicted task was restored for it once, although nobody was known to wait for it."""
        self.is_touched = False

    @property
    def is_satisfied(self) -> bool:
        return self.satisfied_at_us is not None

    def row(self) -> DurableEntryRow:
        wait = self.wait
        is_open = wait is not None and not self.is_satisfied
        return DurableEntryRow(
            self.log.task.id,
            self.branch_id,
            self.node_id,
            self.kind,
            self.identity,
            self.label,
            self.created_at_us,
            self.child_run_id,
            self.child_key,
            self.workflow_name,
            None if wait is None else wait.kept(),
            wait.earliest_us() if wait is not None and is_open else None,
            tuple(sorted({event.key for event in wait.open_events()})) if wait is not None and is_open else (),
            self.is_awaited,
            self.is_on_path,
            self.satisfied_at_us,
            self.order,
            self.result,
        )


class DurableLog:
    __slots__ = (
        "branch_count", "branch_id", "branches", "by_child", "by_index", "cursor", "doubted_order", "entries",
        "invocation_count", "is_adrift", "is_touched", "is_unsure", "next", "order_at_eviction", "order_count",
        "queue", "signals", "stalled_at_us", "stream", "task", "told_at_us", "told_order", "wanted_ahead",
    )  # fmt: skip

    def __init__(self, task: Task) -> None:
        self.task = task
        self.branch_id = 1
        self.branch_count = 1
        self.branches: dict[int, tuple[int, int]] = {}
        """By branch: the one it was taken off, and at which node."""
        self.entries: dict[tuple[int, int], Entry] = {}
        self.signals: dict[str, Entry] = {}
        self.by_child: dict[str, Entry] = {}
        self.by_index: dict[int, Entry] = {}
        """Children on the present path that have no key, by their index: the first of each."""
        self.invocation_count = 0
        self.cursor = 0
        """The node of the latest operation of this invocation."""
        self.told_order = 0
        """The last place in the order this invocation was sent; 0 if it has shown since then that it has it."""
        self.told_at_us = 0
        """When that was."""
        self.doubted_order = 0
        """The last place that may have passed an eviction on its way, for which the task was restored."""
        self.is_unsure = False
        """The invocation goes on since before a load, and nobody has said yet which results it was sent."""
        self.is_adrift = False
        """The invocation goes on since before a load, and which recorded operations it has done is not known."""
        self.queue: list[Entry] = []
        """Entries of the present path that have a place in the order, in order."""
        self.next = 0
        """Index in `queue` of the first entry this invocation has not been sent."""
        self.wanted_ahead = 0
        """How many entries from there on this invocation waits for."""
        self.order_count = 0
        self.order_at_eviction: int | None = None
        """`order_count` when the task was evicted; None when it is not."""
        self.stream: int | None = None
        """The stream this invocation speaks on, once it was heard of."""
        self.stalled_at_us: int | None = None
        """When an entry that is out of turn has been held back long enough."""
        self.is_touched = False

    def find(self, node_id: int) -> Entry | None:
        """The entry of `node_id` on the present path."""
        return self.entries.get((self.owner_of(node_id), node_id))

    def owner_of(self, node_id: int) -> int:
        """The branch that records `node_id` on the present path."""
        branch_id = self.branch_id
        while (fork := self.branches.get(branch_id)) is not None and node_id < fork[1]:
            branch_id = fork[0]
        return branch_id

    def add(self, entry: Entry) -> None:
        if entry.kind is EntryKind.SIGNAL:
            self.signals[entry.label] = entry
        else:
            self.entries[entry.branch_id, entry.node_id] = entry
        if entry.child_run_id is not None:
            self.by_child[entry.child_run_id] = entry

    def index_children(self) -> None:
        """Finds `by_index` anew."""
        on_path = sorted((e for e in self.by_child.values() if e.is_on_path), key=lambda entry: entry.node_id)
        self.by_index = {}
        for entry in on_path:
            if entry.child_index is not None:
                self.by_index.setdefault(entry.child_index, entry)

    def all_entries(self) -> list[Entry]:
        return [*self.entries.values(), *self.signals.values()]

    def begin_invocation(self) -> None:
        """The task was assigned: its program starts from the top."""
        self.invocation_count += 1
        self.cursor = self.next = self.wanted_ahead = 0
        self.is_adrift = self.is_unsure = False
        self.stream = None
        self.told_order = 0
        self.order_at_eviction = None

    def has_news(self) -> bool:
        """Whether something came that the present invocation was not told."""
        return self.next < len(self.queue)

    def awaits(self, entry: Entry, *, is_evicted: bool) -> bool:
        """Whether the task waits for the entry: as far as its present invocation has said, if it runs."""
        if entry.is_satisfied or not entry.is_on_path:
            return False
        if entry.kind is EntryKind.SIGNAL:
            return True
        return entry.is_awaited if is_evicted else entry.wanted_by == self.invocation_count

    def row(self) -> DurableTaskRow:
        return DurableTaskRow(
            self.task.id, self.branch_id, self.branch_count, self.invocation_count, self.order_at_eviction
        )
