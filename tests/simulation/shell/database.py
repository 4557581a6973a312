"""The database of a shell's life: `Tables` behind the engine's `Store`, away whenever the weather likes.

A call takes a moment, and fails before or after it did something: a commit may be made without anybody hearing of it,
at once or while the next owner is already asking for the lease. What a process has asked for goes on while the process
is frozen or dead. Owns nodes and leases with their epochs, payloads and the outbox, which `Tables` leaves out. Refuses
to write anything under an epoch that is over.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Final

import msgspec

from broadaxe.cluster.leases import LOOK_AT_LEASES_EVERY_S
from broadaxe.core.commands.events import EventRequest
from broadaxe.core.commands.quotas import Resource
from broadaxe.core.commands.triggers import RunRequest
from broadaxe.core.decision import Writes
from broadaxe.core.lifecycle import TERMINAL_RUN, EntryKind, TaskStatus
from broadaxe.core.loaded import Loaded, Missing
from broadaxe.core.state import HOT_TASKS_MAX
from broadaxe.core.topics import Position
from broadaxe.engine.doubt import Witness, WitnessKind
from broadaxe.engine.store import DurableResult, EntryPlace
from broadaxe.engine.subscriptions import RunOutcome, TaskOutcome
from broadaxe.errors import HeldElsewhere, LeaseLost, NotFound, Unavailable
from broadaxe.storage.outbox import OutboxPage
from broadaxe.storage.topics import TopicPage
from tests.simulation.books import hold
from tests.simulation.shell.loop import WORLD
from tests.simulation.shell.members import Members, NodeRow
from tests.simulation.tables import Tables

TENANT: Final = "0197a000-0000-7000-8000-000000000001"
#: How long a call waits for a database that does not answer.
PATIENCE_S: Final = 12.0
ROWS_PER_PAGE: Final = 3


class Database:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(f"{seed}/database")
        self.tables = Tables()
        self.inputs: dict[str, str] = {}
        self.outbox: dict[str, tuple[tuple[int, int], RunRequest | EventRequest]] = {}
        """By promise: (transaction, position) and what is asked for."""
        self.refused: list[str] = []
        self.epoch = 0
        self.holder: str | None = None
        self.is_given_back = True
        self.successor: str | None = None
        """Whom it was given back for."""
        self.listeners: list[Callable[[], None]] = []
        """Nodes that are told news of nodes."""
        self.nodes: dict[str, NodeRow] = {}
        self.owners: dict[int, str] = {}
        """By epoch, which node committed under it."""
        self.cut_until_s: dict[str, float] = {}
        """Nodes that cannot reach it."""
        self.away_until_s = 0.0
        self.is_silent = False
        """Whether calls wait while it is away, instead of failing at once."""
        self.failing = 0.0
        """The part of calls that fail for no reason."""
        self.reads_failing = 0.0
        self.unheard = 0.0
        """The part of commits that are made, or not, and nobody hears which."""
        self.latency_s = 0.002
        self.opened_at_s = 0.0
        """When the present epoch was taken."""

    def is_well(self, node: str) -> bool:
        """Whether the node owns the tenant, and every call is answered at once."""
        away_until_s = max(self.away_until_s, self.cut_until_s.get(node, 0.0))
        is_there = self.holder == node and not self.is_given_back and _now_s() >= away_until_s and self.latency_s < 0.01
        return is_there and not (self.failing or self.reads_failing or self.unheard)

    def heal(self) -> None:
        self.away_until_s, self.failing, self.reads_failing, self.unheard = 0.0, 0.0, 0.0, 0.0
        self.latency_s = 0.002
        self.cut_until_s.clear()

    def take_lease(self, node: str, seconds: float) -> None:
        """Another node takes the tenant and does nothing with it."""
        self.epoch += 1
        self.holder, self.is_given_back = node, False
        self.nodes[node] = NodeRow(node, None, _now_s() + seconds)

    def is_held_from(self, node: str) -> bool:
        """Whether another node has it, and lives."""
        return self.holder != node and not self.is_free()

    def is_free(self) -> bool:
        row = None if self.is_given_back or self.holder is None else self.nodes.get(self.holder)
        return row is None or not row.lives()

    def tell_nodes(self) -> None:
        for listener in self.listeners:
            if self.random.random() < 0.9:
                asyncio.get_running_loop().call_later(self.random.uniform(0, 0.01), listener, context=WORLD)

    def commit(self, writes: Writes, epoch: int, node: str) -> None:
        hold(self.owners.setdefault(epoch, node) == node, "two nodes commit in one epoch", epoch, node)
        hold(epoch == max(self.owners), "a commit in an epoch that is over", epoch, max(self.owners), node)
        for promise_id in writes.taken:
            hold(promise_id in self.outbox, "a row of the outbox is taken twice", promise_id)
            del self.outbox[promise_id]
        self.refused += [refused.id for refused in writes.refused]
        self.tables.commit(writes)
        for run in writes.new_runs:
            self.inputs[run.row.id] = run.input

    async def reach(self, node: str, *, is_read: bool) -> None:
        """One way of a call to the database. Unavailable when it does not get there."""
        await asyncio.sleep(self.random.uniform(0.1, 2) * self.latency_s)
        away_until_s = max(self.away_until_s, self.cut_until_s.get(node, 0.0))
        if _now_s() < away_until_s:
            if self.is_silent:
                await asyncio.sleep(min(PATIENCE_S, away_until_s - _now_s()))
            if _now_s() < away_until_s:
                raise Unavailable("the database is away")
        failing = max(self.failing, self.reads_failing if is_read else 0.0)
        if failing and self.random.random() < failing:
            raise Unavailable("the database did not answer")


def _forget(task: asyncio.Task[None]) -> None:
    """Who asked may be gone by now."""
    if not task.cancelled():
        task.exception()


def _now_s() -> float:
    return asyncio.get_running_loop().time()


class ProcessStore:
    """The store of one process."""

    def __init__(self, database: Database, node: str) -> None:
        self.database = database
        self.node = node
        self.epoch: int | None = None
        self.is_dead = False
        self.members = Members(database, node)
        database.listeners.append(self.members.look)
        self.loops: tuple[asyncio.Task[None], ...] = ()
        self.last_read_s = (0.0, 0.0)
        """When what a round lacked was read last: from and until."""
        self._on_lost: Callable[[str], None] = lambda _: None

    async def _reach(self, *, is_read: bool = True) -> None:
        await self.database.reach(self.node, is_read=is_read)
        if self.is_dead:
            # A dead process hears nothing any more.
            await asyncio.get_running_loop().create_future()

    async def reach(self) -> None:
        """The way to something that is read."""
        await self._reach()

    async def at_database(self, work: Coroutine[Any, Any, None]) -> None:
        """What was asked for is done, whatever becomes of the process."""
        task = asyncio.get_running_loop().create_task(work, context=WORLD.copy())
        task.add_done_callback(_forget, context=WORLD)
        await asyncio.shield(task)
        if self.is_dead:
            await asyncio.get_running_loop().create_future()

    # Leases --------------------------------------------------------------------------------------------------------

    async def open(self, tenant_id: str, *, here: bool = False) -> TenantRows:
        await self._reach(is_read=False)
        database = self.database
        if tenant_id != TENANT:
            raise NotFound(f"there is no tenant {tenant_id}")
        members = self.members
        await members.join()
        if (not here or members.is_draining()) and members.place(tenant_id) is not None:
            await self._leave_to_another(tenant_id)
        if database.is_held_from(self.node):
            await self._raise_held()
        database.epoch += 1
        database.opened_at_s = _now_s()
        database.holder, database.is_given_back, database.successor = self.node, False, None
        self.epoch = database.epoch
        epoch = database.epoch
        await self._reach(is_read=False)
        return TenantRows(self, epoch)

    async def _leave_to_another(self, tenant_id: str) -> None:
        """As of `cluster/leases.py`."""
        await self._reach(is_read=False)
        database, members = self.database, self.members
        gone: tuple[str | None, ...] = ()
        if database.holder is not None:
            if database.holder == self.node and not database.is_free():
                return
            if not database.is_free():
                await self._raise_held()
            if not database.is_given_back:
                gone = (database.holder,)
                members.look()
        if database.successor == self.node and not members.is_draining():
            return
        place = members.named(database.successor) or members.member_for(tenant_id, without=gone)
        if place is not None:
            raise HeldElsewhere("the tenant belongs to another node", link_address=place.link_address, is_free=True)

    async def _raise_held(self) -> None:
        holder = self.database.holder
        row = None if holder is None else self.database.nodes.get(holder)
        await self._reach(is_read=False)
        raise HeldElsewhere(f"the tenant is held by {holder}", link_address=None if row is None else row.link_address)

    async def release(self, tenant_id: str, successor: str | None = None) -> None:
        epoch, self.epoch = self.epoch, None
        await self._reach(is_read=False)
        if epoch is not None and self.database.epoch == epoch:
            self.database.is_given_back, self.database.successor = True, successor

    def watch_leases(self, on_lost: Callable[[str], None]) -> None:
        self._on_lost = on_lost

    async def look_at_leases_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_AT_LEASES_EVERY_S)
            epoch = self.epoch
            if epoch is None:
                continue
            try:
                await self._reach(is_read=False)
            except Unavailable:
                continue
            if self.database.epoch != epoch and self.epoch == epoch:
                self.epoch = None
                self._on_lost(TENANT)

    async def close(self) -> None:
        for task in self.loops:
            task.cancel()
        try:
            await self.release(TENANT)
            self.database.nodes.pop(self.node, None)
            self.database.tell_nodes()
        except Unavailable:
            return

    # Reads ---------------------------------------------------------------------------------------------------------

    async def warm(self) -> None:
        await self._reach()

    async def read_ahead(self, tenant_id: str, now_us: int) -> Loaded:
        await self._reach()
        loaded = self.database.tables.load_live(now_us, HOT_TASKS_MAX)
        await self._reach()
        return loaded

    async def tenants_with_work(self) -> list[str]:
        await self._reach()
        tables = self.database.tables
        return [TENANT] if tables.live or tables.crons or tables.schedules else []

    async def tenants_with_outbox(self) -> list[str]:
        await self._reach()
        return [TENANT] if self.database.outbox else []

    async def outbox_told(self, tenant_id: str, transactions: Mapping[int, int]) -> OutboxPage:
        await self._reach()
        rows = sorted(
            (place, request)
            for place, request in self.database.outbox.values()
            if place[0] in transactions and place[1] > transactions[place[0]]
        )
        order = list(transactions)
        return _page(sorted(rows, key=lambda row: (order.index(row[0][0]), row[0][1])))

    async def outbox_waiting(self, tenant_id: str, after: tuple[int, int]) -> OutboxPage:
        await self._reach()
        rows = [(place, request) for place, request in self.database.outbox.values() if place > after]
        return _page(sorted(rows, key=lambda row: row[0]))

    async def quotas(self, tenant_id: str) -> dict[Resource, int | None]:
        await self._reach()
        return {}

    async def results(self, tenant_id: str, run_ids: Sequence[str]) -> list[RunOutcome]:
        await self._reach()
        found = [outcome for run_id in run_ids if (outcome := outcome_of(self.database.tables, run_id)) is not None]
        await self._reach()
        return found

    async def runs_with_metadata(
        self, tenant_id: str, key: str, value: str, since_us: int | None, limit: int
    ) -> list[str]:
        await self._reach()
        rows, live = self.database.tables.run_rows, self.database.tables.live
        found = [
            run_id
            for run_id, row in rows.items()
            if (run_id in live if since_us is None else row.created_at_us >= since_us)
            and _has(row.additional_metadata, key, value)
        ]
        await self._reach()
        return sorted(found)[:limit]

    async def is_there(self, tenant_id: str, witness: Witness) -> bool:
        await self._reach()
        tables = self.database.tables
        kinds: dict[WitnessKind, Collection[str]] = {
            WitnessKind.RUN: tables.run_rows,
            WitnessKind.EVENT: tables.pushed,
            WitnessKind.VERSION: tables.versions,
            WitnessKind.WORKER: tables.workers,
            WitnessKind.CRON: tables.crons,
            WitnessKind.SCHEDULE: tables.schedules,
            WitnessKind.MESSAGE: [f"{row.topic_id}/{row.id}" for kept in tables.messages.values() for row in kept],
        }
        found = witness.id in kinds[witness.kind]
        await self._reach()
        return found

    async def task_exists(self, tenant_id: str, task_id: str) -> bool:
        await self._reach()
        return task_id in self.database.tables.tasks

    async def topic_page(self, tenant_id: str, topic_id: str, after: Position | None) -> TopicPage:
        await self._reach()
        page = self.database.tables.topic_page(topic_id, after)
        await self._reach()
        return page

    async def signals(self, tenant_id: str, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
        await self._reach()
        found = [(task_id, key, data) for task_id, key in wanted if (data := fired(self.database.tables, task_id, key))]
        await self._reach()
        return found


class TenantRows:
    """The tenant under one epoch."""

    def __init__(self, store: ProcessStore, epoch: int) -> None:
        self._store = store
        self._database = store.database
        self._tables = store.database.tables
        self._remembered: set[str] = set()
        """Runs and tasks whose payloads passed by."""
        self.epoch = epoch

    async def load_live(self, now_us: int) -> Loaded:
        await self._store._reach()
        loaded = self._tables.load_live(now_us, HOT_TASKS_MAX)
        await self._store._reach()
        return loaded

    async def load_missing(self, missing: Missing) -> Loaded:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await self._store._reach()
        loaded = self._tables.load_missing(missing)
        await self._store._reach()
        self._store.last_read_s = began_s, loop.time()
        return loaded

    async def commit(self, writes: Writes) -> None:
        await self._store.at_database(self._commit(writes))

    async def confirm(self) -> None:
        await self._store._reach()
        if self._database.epoch != self.epoch:
            raise LeaseLost()
        await self._store._reach()

    async def _commit(self, writes: Writes) -> None:
        database, node = self._database, self._store.node
        await database.reach(node, is_read=False)
        if database.unheard and database.random.random() < database.unheard:
            await self._commit_unheard(writes)
        self._write(writes)
        await database.reach(node, is_read=False)

    async def _commit_unheard(self, writes: Writes) -> None:
        chance = self._database.random
        match chance.choice(("made", "made", "lost", "late")):
            case "made":
                self._write(writes)
            case "late":
                # Still on its way when the caller gives up; whoever takes the lease meanwhile shuts it out.
                asyncio.get_running_loop().call_later(chance.uniform(0, 0.3), self._write_late, writes)
            case _:
                pass
        await asyncio.sleep(chance.uniform(0, 0.05))
        raise Unavailable("nobody can tell whether the batch was written")

    def _write_late(self, writes: Writes) -> None:
        if self._database.epoch == self.epoch:
            self._database.commit(writes, self.epoch, self._store.node)

    def _write(self, writes: Writes) -> None:
        if self._database.epoch != self.epoch:
            raise LeaseLost()
        self._database.commit(writes, self.epoch, self._store.node)

    def remember(self, writes: Writes) -> None:
        self._remembered |= {run.row.id for run in writes.new_runs}
        self._remembered |= {task.id for task in writes.tasks if task.output is not None}

    async def inputs(self, run_ids: Collection[str]) -> dict[str, str]:
        if not self._remembered.issuperset(run_ids):
            await self._store._reach()
        return {run_id: self._database.inputs[run_id] for run_id in run_ids}

    async def outputs(self, task_ids: Collection[str]) -> dict[str, str]:
        if not self._remembered.issuperset(task_ids):
            await self._store._reach()
        return {i: output for i in task_ids if (output := self._tables.tasks[i].output) is not None}

    async def durable_results(self, entries: Collection[EntryPlace]) -> dict[EntryPlace, DurableResult]:
        await self._store._reach()
        return {place: durable_result(self._tables, place) for place in entries}


# What rows say -------------------------------------------------------------------------------------------------------


def outcome_of(tables: Tables, run_id: str) -> RunOutcome | None:
    """How a run ended; None for one that has not."""
    run = tables.runs.get(run_id)
    if run is None or run.status not in TERMINAL_RUN:
        return None
    tasks = []
    for task_id in sorted(tables.tasks_of[run_id]):
        task = tables.tasks[task_id]
        output = task.output if task.status in (TaskStatus.COMPLETED, TaskStatus.SKIPPED) else None
        # Who was cancelled is told no error.
        error = None if task.status is TaskStatus.CANCELLED else task.error
        tasks.append(TaskOutcome(task_id, tables.task_rows[task_id].name, output, error))
    return RunOutcome(run_id, run.status, tuple(tasks))


def fired(tables: Tables, task_id: str, key: str) -> str | None:
    """The data of a signal; None when it has not fired."""
    for entry in tables.entries.get(task_id, {}).values():
        if entry.kind is EntryKind.SIGNAL and entry.label == key and entry.satisfied_at_us is not None:
            return entry.result
    return None


def durable_result(tables: Tables, place: EntryPlace) -> DurableResult:
    task_id, branch_id, node_id = place
    outcome = tables.outcomes.get((task_id, (branch_id, node_id)))
    if outcome is not None:
        is_failure, result, error = outcome
        return result, is_failure, error
    return tables.entries[task_id][branch_id, node_id].result, False, None


def _page(rows: list[tuple[tuple[int, int], RunRequest | EventRequest]]) -> OutboxPage:
    taken = rows[:ROWS_PER_PAGE]
    last = taken[-1][0] if taken else (0, 0)
    return OutboxPage(tuple(request for _, request in taken), last, len(rows) <= ROWS_PER_PAGE)


def _has(metadata: str | None, key: str, value: str) -> bool:
    return metadata is not None and msgspec.json.decode(metadata).get(key) == value
