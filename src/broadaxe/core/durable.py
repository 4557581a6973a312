"""What durable tasks ask for and are told: memos, waits, children, eviction and restore, branches.

A request names its invocation; one that is not the present one changes nothing and its worker is told to drop it. Every
operation takes the next node. Done for the first time it is recorded; done again it must be the same operation and is
answered with the recorded entry, or with `NonDeterminism`.

Results reach an invocation in the order in which they came true the first time (`durable_results.py`). A child's result
is sent only when the worker lists the child as awaited, because clients are stopped by a result nobody waits for.

Invariants: answers and results of a task are effects of the commit that records them; a task that is evicted and has
news is restored; waits are armed exactly while the task is live, the entry open and on the task's path.

Cost: O(1) per operation plus the depth of branches; a new invocation re-sends results, one per operation done again.

Source: semantics 6, grpc specification 7.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from broadaxe.core import attempts, durable_results, fleet, quotas, triggers, waits
from broadaxe.core.commands.durable import (
    BeginMemo,
    BeginWait,
    CompleteMemo,
    DurableOperation,
    DurableRequest,
    EntryRef,
    EvictInvocation,
    FindPlace,
    Place,
    RegisterSignal,
    ReportWaiting,
    ResumeInvocations,
    SpawnChildren,
)
from broadaxe.core.commands.quotas import Resource
from broadaxe.core.commands.tasks import BranchTask
from broadaxe.core.commands.triggers import RunRequest
from broadaxe.core.decision import (
    ChildrenAck,
    DropInvocation,
    DurableBranchRow,
    DurableRefusal,
    EvictionAck,
    MemoAck,
    MemoRow,
    NonDeterminism,
    SignalFired,
    WaitAck,
)
from broadaxe.core.durable_log import DurableLog, Entry
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TERMINAL_RUN, EntryKind, TaskStatus
from broadaxe.core.model import Run, Task, Worker
from broadaxe.core.state import State
from broadaxe.core.waits import PastEvent, Wait
from broadaxe.errors import BroadaxeError, NotFound, QuotaReached

#: How long a result is taken to be under way to its program when its worker asks for the eviction meanwhile: of clients
#: that show by nothing what they have received (section 13.5), and of others, who are believed the second time.
UNDER_WAY_US: Final = US_PER_S
UNDER_WAY_UNSHOWN_US: Final = 10 * US_PER_S
#: Languages whose clients never show it; restoring their tasks at once costs an invocation for every result.
TERSE_LANGUAGES: Final = ("TYPESCRIPT", "GO")
#: Operations in the log of one task, over all branches.
ENTRIES_MAX: Final = 100_000

_LABEL_LENGTH_MAX: Final = 1_000


# Requests of an invocation -------------------------------------------------------------------------------------------


def begin_memo(state: State, request: BeginMemo, now_us: int) -> None:
    log = _log_at_hand(state, request, now_us)
    if log is None:
        return
    entry = _same_entry(state, log, request, EntryKind.MEMO, "", "memo")
    if entry is None:
        return
    if isinstance(entry, int):
        entry = _new_entry(state, log, EntryKind.MEMO, "", "", now_us)
    state.ledger.emit(
        MemoAck(
            stream=request.stream,
            ref=durable_results.ref(entry),
            is_kept=entry.is_satisfied,
            payload=entry.result,
            number=request.number,
        )
    )


def complete_memo(state: State, request: CompleteMemo, now_us: int) -> None:
    """Keeps the value whatever has become of the task meanwhile: nothing orders this message and the report that the
    attempt is over (section 13.3). Only of an older invocation it is too late once a newer one computes its own."""
    task = state.tasks.get(request.task_id)
    if task is None:
        row = MemoRow(request.task_id, request.branch_id, request.node_id, now_us, request.payload)
        state.ledger.keep_memo(row)
        return
    log = task.log
    entry = None if log is None else log.entries.get((request.branch_id, request.node_id))
    is_present = log is not None and log.invocation_count == request.invocation_count
    if not is_present:
        _drop(state, request, "another invocation of the task has begun")
    if log is None or entry is None or entry.kind is not EntryKind.MEMO or entry.is_satisfied:
        return
    is_running = task.status is TaskStatus.RUNNING
    if is_running and not is_present and entry.is_on_path and entry.node_id <= log.cursor:
        return
    entry.satisfied_at_us = now_us
    entry.result = request.payload
    state.ledger.touch_entry(entry)
    if is_running and is_present:
        log.stream = request.stream
        if entry.wanted_by == log.invocation_count:
            durable_results.send(state, log, entry, now_us)


def begin_wait(state: State, request: BeginWait, past: Sequence[PastEvent], now_us: int) -> None:
    log = _log_at_hand(state, request, now_us)
    if log is None:
        return
    waits.check(request.conditions, field="wait_for_conditions")
    described = "wait for " + ", ".join(sorted(c.event_key or f"sleep {c.sleep}" for c in request.conditions))
    entry = _same_entry(state, log, request, EntryKind.WAIT_FOR, waits.identity(request.conditions), described)
    if entry is None:
        return
    if isinstance(entry, int):
        identity = waits.identity(request.conditions)
        entry = _new_entry(state, log, EntryKind.WAIT_FOR, identity, request.label[:_LABEL_LENGTH_MAX], now_us)
        entry.is_awaited = True
        entry.wait = Wait(entry, request.conditions, now_us)
        waits.look_at_once(state, entry.wait, past, now_us)
        waits.arm(state, entry.wait)
    state.ledger.emit(WaitAck(stream=request.stream, ref=durable_results.ref(entry), number=request.number))
    durable_results.want(state, log, entry, now_us)


def spawn(state: State, request: SpawnChildren, now_us: int) -> None:
    """Everything is checked before anything is made; what is recorded already is not checked again.

    A spawn that is refused takes its nodes all the same. Done again it is tried once more if nothing was recorded after
    it; once the program has gone on without the child, it is refused for good, so that the program does the same again.
    So is one that a branch shares with the branch it was taken off, where something else follows it.
    """
    log = _log_at_hand(state, request, now_us)
    if log is None:
        return
    plan = _planned(state, log, request)
    if plan is None:
        return
    end = log.cursor
    is_last = log.find(end + 1) is None
    refused = ""
    wanted: dict[int, RunRequest] = {}
    for child, planned in zip(request.requests, plan, strict=True):
        if isinstance(planned, int):
            wanted.setdefault(planned, child)
        elif planned.child_run_id is None:
            if is_last and planned.branch_id == log.branch_id:
                wanted.setdefault(planned.node_id, child)
            else:
                refused = planned.label
    _check_room(log, len({planned for planned in plan if isinstance(planned, int)}))
    refused = refused or _reason_to_refuse(state, list(wanted.values()), now_us)
    for node_id, child in wanted.items():
        log.cursor = node_id
        _spawn_one(state, log, child, refused, now_us)
    log.cursor = end
    entries = [log.find(planned) if isinstance(planned, int) else planned for planned in plan]
    acks: list[tuple[int, int, str]] = []
    for entry in entries:
        assert entry is not None
        if entry.child_run_id is None:
            ref, number = _invocation_ref(log), request.number
            state.ledger.emit(DurableRefusal(stream=request.stream, ref=ref, message=entry.label, number=number))
            return
        acks.append((entry.branch_id, entry.node_id, entry.child_run_id))
    ref, number = _invocation_ref(log), request.number
    state.ledger.emit(ChildrenAck(stream=request.stream, ref=ref, children=tuple(acks), number=number))


def evict(state: State, request: EvictInvocation, now_us: int) -> None:
    task = state.tasks.get(request.task_id)
    log = None if task is None else task.log
    ref = EntryRef(request.task_id, request.invocation_count, 0, 0)
    if task is None and _is_evicted(state, request.task_id):
        state.ledger.emit(EvictionAck(stream=request.stream, ref=ref))
        return
    if task is None or log is None or log.invocation_count != request.invocation_count:
        _drop(state, request, "another invocation of the task has begun")
        return
    if task.status is TaskStatus.RUNNING:
        if task.due_at_us is not None and task.due_at_us <= now_us:
            message = "the execution timeout has passed"
            state.ledger.emit(DurableRefusal(stream=request.stream, ref=ref, message=message))
            return
        _evict(state, task, log, request.reason or "evicted by its worker", request.arrived_order, now_us)
    state.ledger.emit(EvictionAck(stream=request.stream, ref=ref))


def report_waiting(state: State, report: ReportWaiting, now_us: int) -> None:
    for task_id, invocation_count, order in report.received:
        log = _log_of_invocation(state, task_id, invocation_count)
        if log is not None:
            if log.is_unsure:
                durable_results.take_back(log, order)
            log.is_unsure = False
            durable_results.received(log, order)
            if order >= log.told_order:
                log.told_order = 0
    wanted: list[tuple[DurableLog, Entry]] = []
    dropped: set[tuple[str, int]] = set()
    for ref in report.entries:
        log = _log_of_invocation(state, ref.task_id, ref.invocation_count)
        if log is None:
            if (ref.task_id, ref.invocation_count) not in dropped:
                dropped.add((ref.task_id, ref.invocation_count))
                here = EntryRef(ref.task_id, ref.invocation_count, 0, 0)
                reason = "this invocation is over"
                state.ledger.emit(DropInvocation(stream=report.stream, ref=here, reason=reason))
            continue
        log.stream = report.stream
        log.is_unsure = False
        entry = log.entries.get((ref.branch_id, ref.node_id))
        if entry is not None and entry.is_on_path:
            wanted.append((log, entry))
    wanted.sort(key=lambda pair: durable_results.in_order(pair[1]))
    for log, entry in wanted:
        durable_results.want(state, log, entry, now_us)


def find_place(state: State, command: FindPlace) -> Place | None:
    log = _log_of_invocation(state, command.task_id, command.invocation_count)
    if log is None or log.is_adrift:
        return None
    order = log.queue[log.next - 1].order if log.next else 0
    return Place(log.cursor, None if log.is_unsure else order, order)


def resume(state: State, command: ResumeInvocations, now_us: int) -> None:
    """What was committed before the load and not put on the stream is sent; nothing else is sent again."""
    for told in command.invocations:
        log = _log_of_invocation(state, told.task_id, told.invocation_count)
        if log is None:
            # One that was evicted asks for that again, if its worker has not heard of it.
            if not _is_evicted(state, told.task_id):
                ref = EntryRef(told.task_id, told.invocation_count, 0, 0)
                state.ledger.emit(DropInvocation(stream=command.stream, ref=ref, reason="this invocation is over"))
            continue
        log.stream = command.stream
        if told.node is not None:
            log.cursor, log.is_adrift = told.node, False
        if told.order is not None:
            log.is_unsure = False
            log.told_order, log.told_at_us = told.order, told.order_at_us
            durable_results.take_back(log, told.order)
        elif told.sent_at_most is not None:
            durable_results.take_back(log, told.sent_at_most)
        entries = [log.entries[place] for place in told.waiting if place in log.entries]
        for entry in sorted(entries, key=durable_results.in_order):
            if entry.is_on_path:
                durable_results.want(state, log, entry, now_us)


# Other commands ------------------------------------------------------------------------------------------------------


def open_stream(state: State, worker: Worker, stream: int, now_us: int) -> None:
    """The durable tasks of the worker speak on this stream from now on."""
    before = worker.durable_stream
    fleet.open_durable_stream(state, worker, stream, now_us)
    if before is not None and before != worker.durable_stream:
        _cut_off(worker, before, now_us)


def close_stream(state: State, worker: Worker, stream: int, now_us: int) -> None:
    fleet.close_durable_stream(state, worker, stream, now_us)
    _cut_off(worker, stream, now_us)


def register_signal(state: State, command: RegisterSignal, past: Sequence[PastEvent], now_us: int) -> None:
    """The older protocol's wait, which is known by a key of the task and has no node."""
    task = state.tasks.get(command.task_id)
    has_begun = task is not None and (task.log is not None or task.assigned_at_us is not None or task.retry_count > 0)
    if task is None or task.is_terminal or not has_begun:
        raise NotFound(f"task run {command.task_id} is not running", field="task_id")
    waits.check(command.conditions, field="conditions")
    log = _log_of(task)
    if command.key in log.signals:
        return
    _check_room(log)
    identity = waits.identity(command.conditions)
    entry = Entry(log, EntryKind.SIGNAL, 0, len(log.signals) + 1, identity, command.key, now_us)
    entry.wait = Wait(entry, command.conditions, now_us)
    log.add(entry)
    state.ledger.touch_log(log)
    state.ledger.touch_entry(entry)
    waits.look_at_once(state, entry.wait, past, now_us)
    waits.arm(state, entry.wait)


def restore_by_user(state: State, task_id: str, now_us: int) -> bool:
    task = state.tasks.get(task_id)
    if task is None or task.status is not TaskStatus.EVICTED:
        return False
    attempts.restore(state, task, now_us)
    return True


def branch(state: State, task: Task, command: BranchTask) -> EntryRef:
    """Takes the branch of a task that is over; the caller replays it. NotFound when there is nothing to take it off."""
    log = task.log
    if log is None:
        raise NotFound(f"task run {task.id} has no durable log", field="task_external_id")
    branch_id = command.branch_id or log.branch_id
    if not 1 <= branch_id <= log.branch_count:
        raise NotFound(f"the task has no branch {branch_id}", field="branch_id")
    before, log.branch_id = log.branch_id, branch_id
    nodes = 0
    while log.find(nodes + 1) is not None:
        nodes += 1
    if not 1 <= command.node_id <= nodes:
        log.branch_id = before
        raise NotFound(f"branch {branch_id} has no node {command.node_id}", field="node_id")
    log.branch_count += 1
    log.branch_id = log.branch_count
    log.branches[log.branch_id] = (branch_id, command.node_id)
    state.ledger.add_branch(DurableBranchRow(task.id, log.branch_id, branch_id, command.node_id))
    state.ledger.touch_log(log)
    for entry in log.entries.values():
        is_on_path = entry.node_id < command.node_id and log.find(entry.node_id) is entry
        if is_on_path == entry.is_on_path:
            continue
        entry.is_on_path = is_on_path
        state.ledger.touch_entry(entry)
        if not is_on_path:
            # Nothing is armed in the log of a task that is over.
            _forget_key(task, entry)
    log.index_children()
    durable_results.sort_queue(log)
    return EntryRef(task.id, log.invocation_count, log.branch_id, command.node_id)


# What happens to durable tasks ---------------------------------------------------------------------------------------


def advance(state: State, entry: Entry, now_us: int) -> None:
    """A condition of the entry's wait came true."""
    wait = entry.wait
    assert wait is not None
    if entry.is_satisfied:
        return
    if not wait.is_over():
        state.ledger.touch_entry(entry)
        return
    waits.disarm(state, wait)
    data = waits.encoded({"CREATE": wait.fired()})
    if entry.kind is EntryKind.SIGNAL:
        entry.satisfied_at_us = now_us
        entry.result = data
        state.ledger.touch_entry(entry)
        state.ledger.emit(SignalFired(entry.log.task.id, entry.label, data))
        if entry.log.task.status is TaskStatus.EVICTED:
            attempts.restore(state, entry.log.task, now_us)
        return
    durable_results.satisfy(state, entry, data, now_us)


def child_finished(state: State, run: Run, now_us: int) -> None:
    """Call when a run has ended."""
    parent_id = run.row.parent_task_id
    if parent_id is None:
        return
    task = state.tasks.get(parent_id)
    if task is None:
        if parent_id in state.dormant:
            state.waking[parent_id] = None
        return
    entry = None if task.log is None else task.log.by_child.get(run.id)
    if entry is not None and not entry.is_satisfied:
        state.ledger.finish_child(task.id, run.id)
        durable_results.satisfy(state, entry, None, now_us)


def child_replayed(state: State, run: Run) -> None:
    """Call when a finished run starts anew: its outcome in its parent's log is none any more (section 5.3)."""
    parent_id = run.row.parent_task_id
    if parent_id is None:
        return
    state.ledger.reopen_child(parent_id, run.id)
    task = state.tasks.get(parent_id)
    entry = None if task is None or task.log is None else task.log.by_child.get(run.id)
    if entry is None or not entry.is_satisfied:
        return
    log = entry.log
    entry.satisfied_at_us = entry.order = entry.result = None
    if entry in log.queue:
        if log.queue.index(entry) < log.next:
            log.next -= 1
        elif entry.wanted_by == log.invocation_count:
            log.wanted_ahead -= 1
        log.queue.remove(entry)
    entry.sent_by = 0
    state.ledger.withdraw(durable_results.ref(entry))
    state.ledger.touch_entry(entry)


def stall(state: State, log: DurableLog, now_us: int) -> None:
    """Something was held back for too long: the invocation is dropped and the task starts again."""
    log.stalled_at_us = None
    task = log.task
    if task.status is not TaskStatus.RUNNING or not durable_results.is_holding(log):
        return
    _start_over(state, log, "a recorded result that should come first was not asked for again", now_us)


# Loading -------------------------------------------------------------------------------------------------------------


def wake(state: State, task: Task, now_us: int) -> None:
    """Call once a loaded task is in its place: an evicted one that has news is restored, another may sleep again."""
    log = task.log
    if task.status is not TaskStatus.EVICTED or log is None:
        return
    if log.has_news():
        attempts.restore(state, task, now_us)
    elif unasked := durable_results.unasked_news(log):
        durable_results.mark_woken(unasked)
        attempts.restore(state, task, now_us)
    else:
        state.evicted.append(task)


# ---------------------------------------------------------------------------------------------------------------------


def _log_of_invocation(state: State, task_id: str, invocation_count: int) -> DurableLog | None:
    """The log of a task of which this is the present invocation."""
    task = state.tasks.get(task_id)
    log = None if task is None else task.log
    if task is None or log is None or task.status is not TaskStatus.RUNNING:
        return None
    return log if log.invocation_count == invocation_count else None


def _is_evicted(state: State, task_id: str) -> bool:
    """Whether the task waits off its worker, in memory or out of it."""
    task = state.tasks.get(task_id)
    return task_id in state.dormant if task is None else task.status is TaskStatus.EVICTED


def _present_log(state: State, request: DurableRequest) -> DurableLog | None:
    """The log the request is about; None, and the worker is told, when its invocation is not the present one."""
    log = _log_of_invocation(state, request.task_id, request.invocation_count)
    if log is None:
        _drop(state, request, "another invocation of the task has begun, or it has ended")
        return None
    log.stream = request.stream
    return log


def _log_at_hand(state: State, request: DurableOperation, now_us: int) -> DurableLog | None:
    """The same for an operation, which needs to know its node."""
    log = _present_log(state, request)
    if log is None:
        return None
    log.told_order = 0
    if log.is_unsure and request.told is not None:
        durable_results.take_back(log, request.told)
    log.is_unsure = False
    if request.after is not None:
        # Of an operation that was decided before, this is where it began.
        log.cursor, log.is_adrift = request.after, False
    if not log.is_adrift:
        return log
    _start_over(state, log, "the engine has lost its place in the log", now_us)
    return None


def _start_over(state: State, log: DurableLog, reason: str, now_us: int) -> None:
    """The present invocation is dropped and another one begins."""
    if log.stream is not None:
        state.ledger.emit(DropInvocation(stream=log.stream, ref=_invocation_ref(log), reason=reason))
    _evict(state, log.task, log, f"restarted: {reason}", None, now_us)
    if log.task.status is TaskStatus.EVICTED:
        attempts.restore(state, log.task, now_us)


def _cut_off(worker: Worker, stream: int, now_us: int) -> None:
    """The stream is gone: what was asked or told on it last may never have arrived."""
    for task in worker.running.values():
        log = task.log
        if log is not None and log.stream in (stream, None):
            task.cut_off_at_us = now_us
            log.stream, log.is_unsure = None, True


def _drop(state: State, request: DurableRequest, reason: str) -> None:
    ref = EntryRef(request.task_id, request.invocation_count, 0, 0)
    state.ledger.emit(DropInvocation(stream=request.stream, ref=ref, reason=reason))


def _log_of(task: Task) -> DurableLog:
    if task.log is None:
        task.log = DurableLog(task)
    return task.log


def _invocation_ref(log: DurableLog) -> EntryRef:
    return EntryRef(log.task.id, log.invocation_count, log.branch_id, log.cursor)


def _same_entry(
    state: State, log: DurableLog, request: DurableOperation, kind: EntryKind, identity: str, described: str
) -> Entry | int | None:
    """Takes the next node: its entry, or its number if nothing is recorded there yet. None, and the worker is told,
    when what is recorded there is another operation."""
    log.cursor += 1
    entry = log.find(log.cursor)
    if entry is None:
        return log.cursor
    if entry.kind is kind and entry.identity == identity:
        return entry
    recorded = entry.kind.value.lower().replace("_", " ")
    if entry.workflow_name:
        recorded += f" of {entry.workflow_name}"
    message = f"non-determinism: operation {log.cursor} was recorded as a {recorded}, and is now a {described}"
    state.ledger.emit(
        NonDeterminism(stream=request.stream, ref=durable_results.ref(entry), message=message, number=request.number)
    )
    return None


def _new_entry(state: State, log: DurableLog, kind: EntryKind, identity: str, label: str, now_us: int) -> Entry:
    _check_room(log)
    entry = Entry(log, kind, log.branch_id, log.cursor, identity, label, now_us)
    log.add(entry)
    state.ledger.touch_entry(entry)
    return entry


def _check_room(log: DurableLog, count: int = 1) -> None:
    if len(log.entries) + len(log.signals) + count > ENTRIES_MAX:
        raise QuotaReached(
            f"a durable task may record at most {ENTRIES_MAX} operations; spawn child workflows that take a part each"
        )


def _planned(state: State, log: DurableLog, request: SpawnChildren) -> list[Entry | int] | None:
    """For each child the entry that is recorded for it, or the node that is free for it; None once the worker was told
    that the program is another one. The cursor comes to the last of the nodes."""
    plan: list[Entry | int] = []
    keys: dict[str, Entry | int] = {}
    for child in request.requests:
        known = _keyed(log, child)
        if known is not None:
            # The same key is the same child, and a node of its own only where it was spawned (section 6.2).
            log.cursor += known.node_id == log.cursor + 1
            plan.append(known)
            continue
        if child.child_key and child.child_key in keys:
            plan.append(keys[child.child_key])
            continue
        known = _indexed(log, child)
        if known is not None and known.workflow_name == child.workflow_name:
            plan.append(known)
            continue
        if known is not None:
            message = (
                f"non-determinism: child {child.child_index} was a run of {known.workflow_name}, "
                f"and is now one of {child.workflow_name}"
            )
            ref, number = _invocation_ref(log), request.number
            state.ledger.emit(NonDeterminism(stream=request.stream, ref=ref, message=message, number=number))
            return None
        described = f"run of {child.workflow_name} with this input"
        found = _same_entry(state, log, request, EntryKind.RUN, _child_identity(child), described)
        if found is None:
            return None
        if child.child_key and (isinstance(found, int) or found.child_run_id is None):
            keys[child.child_key] = found
        plan.append(found)
    return plan


def _child_identity(child: RunRequest) -> str:
    return hashlib.sha256(f"{child.workflow_name}\0{child.input}".encode()).hexdigest()


def _keyed(log: DurableLog, child: RunRequest) -> Entry | None:
    """The entry of the child that this key already stands for."""
    if not child.child_key or log.task.children is None:
        return None
    run_id = log.task.children.get(child.child_key)
    return None if run_id is None else log.by_child.get(run_id)


def _indexed(log: DurableLog, child: RunRequest) -> Entry | None:
    """The entry of a child that this invocation has spawned under the same index before (section 13.6)."""
    if child.child_key or child.child_index is None:
        return None
    entry = log.by_index.get(child.child_index)
    return entry if entry is not None and entry.node_id <= log.cursor else None


def _reason_to_refuse(state: State, children: list[RunRequest], now_us: int) -> str:
    """Why these children cannot be made, empty if they can."""
    try:
        triggers.check(state, children)
        if state.quotas is not None:
            tasks = sum(quotas.tasks_of(state.workflows_by_name[child.workflow_name]) for child in children)
            quotas.check(state, Resource.TASK_RUN, tasks, now_us)
    except BroadaxeError as error:
        return str(error)
    return ""


def _spawn_one(state: State, log: DurableLog, child: RunRequest, refused: str, now_us: int) -> None:
    """Records the child at the cursor, and makes its run unless that is `refused` already. What cannot be made has an
    entry without a run, whose label says why."""
    entry = log.find(log.cursor)
    if entry is None:
        entry = _new_entry(state, log, EntryKind.RUN, _child_identity(child), "", now_us)
        entry.child_key = child.child_key or None
        entry.workflow_name = child.workflow_name
    state.ledger.touch_entry(entry)
    try:
        run_id = None if refused else triggers.spawn(state, log.task, child, now_us)
    except BroadaxeError as error:
        run_id, refused = None, str(error)
    entry.label = refused.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:_LABEL_LENGTH_MAX]
    if run_id is None:
        return
    entry.child_run_id = run_id
    log.by_child[run_id] = entry
    if not child.child_key and child.child_index is not None:
        entry.child_index = child.child_index
        log.by_index.setdefault(child.child_index, entry)
    run = state.runs.get(run_id)
    if run is None or run.status in TERMINAL_RUN:
        # It ended in the moment it was made, or it is an older run that the key stands for.
        state.ledger.finish_child(log.task.id, run_id)
        durable_results.satisfy(state, entry, None, now_us)


def absent_children(state: State, keys: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Runs that (task id, child key) stand for and whose end has to be looked up."""
    absent: set[str] = set()
    for task_id, key in keys:
        task = state.tasks.get(task_id)
        run_id = None if task is None or not task.children else task.children.get(key)
        if task is None or task.log is None or run_id is None:
            continue
        if run_id not in task.log.by_child and run_id not in state.runs:
            absent.add(run_id)
    return frozenset(absent)


def _evict(state: State, task: Task, log: DurableLog, reason: str, arrived_order: int | None, now_us: int) -> None:
    log.order_at_eviction = log.order_count
    unasked = durable_results.unasked_news(log)
    durable_results.mark_woken(unasked)
    has_news = bool(unasked) or log.has_news() or _may_have_missed(log, arrived_order, now_us)
    if has_news and log.next < len(log.queue):
        log.order_at_eviction = (log.queue[log.next].order or 1) - 1
    durable_results.calm(state, log)
    state.ledger.touch_log(log)
    attempts.evict(state, task, reason, now_us)
    if has_news:
        attempts.restore(state, task, now_us)


def _may_have_missed(log: DurableLog, arrived_order: int | None, now_us: int) -> bool:
    """Whether a result and the wish to be evicted may have passed each other, or the result was never sent, so that
    nobody has looked at it."""
    if log.is_unsure:
        return log.order_count > 0
    if arrived_order is not None and arrived_order < log.told_order:
        # However long ago it was decided: committing it and letting it out may have taken as long.
        return True
    age_us = now_us - log.told_at_us
    if log.told_order == 0 or age_us < UNDER_WAY_US:
        return log.told_order > 0
    worker = log.task.worker
    is_terse = worker is not None and worker.runtime.get("language") in TERSE_LANGUAGES
    if is_terse or (log.told_order == log.doubted_order and age_us >= UNDER_WAY_UNSHOWN_US):
        return False
    log.doubted_order = log.told_order
    return True


def _forget_key(task: Task, entry: Entry) -> None:
    """The key of a discarded child does not stand for it any more."""
    key, run_id = entry.child_key, entry.child_run_id
    if task.children and key and run_id is not None and task.children.get(key) == run_id:
        del task.children[key]
