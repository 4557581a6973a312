"""How the log of a durable task, read back from its rows, becomes memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from broadaxe.core import durable_results, waits
from broadaxe.core.decision import DurableBranchRow, DurableEntryRow, DurableTaskRow
from broadaxe.core.durable_log import DurableLog, Entry
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.model import Task
from broadaxe.core.state import State
from broadaxe.core.waits import PastEvent, Wait


def restore_log(
    state: State,
    task: Task,
    row: DurableTaskRow,
    branches: Sequence[DurableBranchRow],
    entries: Sequence[tuple[DurableEntryRow, bool]],
    news: Sequence[PastEvent],
    now_us: int,
) -> None:
    """Gives a loaded task its log. The flag beside an entry says that its child run has ended; `news` are events that
    came while the task was not in memory.

    An invocation that was running is taken to have been sent everything: what it missed, its worker lists, and until it
    does an eviction is not believed to know of all. How far it has come is known if it has recorded something, for that
    is done at the end of the log only. If not, it starts over when it asks for anything.
    """
    log = task.log = DurableLog(task)
    log.branch_id, log.branch_count = row.branch_id, row.branch_count
    log.invocation_count = row.invocation_count
    log.order_at_eviction = row.order_at_eviction
    log.branches = {branch.branch_id: (branch.parent_branch_id, branch.fork_node_id) for branch in branches}
    ended: list[Entry] = []
    for kept, is_child_over in entries:
        entry = Entry(log, kept.kind, kept.branch_id, kept.node_id, kept.identity, kept.label, kept.created_at_us)
        entry.child_run_id, entry.child_key, entry.workflow_name = kept.child_run_id, kept.child_key, kept.workflow_name
        entry.is_awaited, entry.is_on_path = kept.is_awaited, kept.is_on_path
        entry.satisfied_at_us, entry.order = kept.satisfied_at_us, kept.order
        if kept.wait is not None:
            entry.wait = Wait.restored(entry, kept.wait)
        log.add(entry)
        log.order_count = max(log.order_count, entry.order or 0)
        if is_child_over and not entry.is_satisfied:
            ended.append(entry)
        entry.has_woken = entry.is_satisfied
    for entry in log.entries.values():
        if entry.child_key and entry.is_on_path and entry.child_run_id is not None:
            if task.children is None:
                task.children = {}
            task.children[entry.child_key] = entry.child_run_id
    _place_cursor(log)
    durable_results.sort_queue(log)
    told = log.order_count if log.order_at_eviction is None else log.order_at_eviction
    durable_results.received(log, told)
    log.is_unsure = task.status is TaskStatus.RUNNING
    for entry in ended:
        assert entry.child_run_id is not None
        state.ledger.finish_child(task.id, entry.child_run_id)
        state.ledger.touch_entry(entry)
        entry.satisfied_at_us = now_us
        if entry.is_awaited and entry.is_on_path:
            durable_results.take_place(log, entry)
    if not task.is_terminal:
        waits.arm_log(state, log)
        waits.show_past(state, log, news)
    if news:
        state.ledger.touch_log(log)


def restore_indexes(log: DurableLog, children: Iterable[tuple[str, str, str]]) -> None:
    """Call after `restore_log`. `children` are (task id, dedupe key, run id): without a key of its own a child has its
    index for one."""
    for _, key, run_id in children:
        entry = log.by_child.get(run_id)
        if entry is not None and not entry.child_key and key.isdecimal():
            entry.child_index = int(key)
    log.index_children()


def _place_cursor(log: DurableLog) -> None:
    """After a load: which operation of the present invocation was the latest."""
    path = [entry for entry in log.entries.values() if entry.is_on_path]
    began_at_us = log.task.assigned_at_us
    log.cursor = max((entry.node_id for entry in path), default=0)
    has_recorded = began_at_us is not None and any(entry.created_at_us > began_at_us for entry in path)
    log.is_adrift = bool(path) and not has_recorded
