"""An engine on a real database, and the two ways to hold its journal up: a lock, and the loss of its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.attempts import Accepted, Outcome, ReportAttempt
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import RegisterWorker
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.decision import Decision, Writes
from broadaxe.core.definition import TaskSpec, WorkflowSpec
from broadaxe.core.tenant import Tenant
from broadaxe.engine.activation import Activation
from broadaxe.engine.clock import Clock
from broadaxe.engine.engine import Engine
from broadaxe.engine.postgres_store import PostgresStore, PostgresTenantStore
from broadaxe.engine.sessions import Assignment, WorkerSession
from broadaxe.engine.subscriptions import Hub
from broadaxe.errors import Unavailable
from broadaxe.storage.journal import CONNECTION_SETTINGS
from broadaxe.storage.outbox import OutboxListener
from tests.core.world import task
from tests.storage.ground import NODE, make_tenant

PATIENCE_S = 20.0


class ManualClock:
    """Stands until it is moved."""

    def __init__(self, now_us: int) -> None:
        self.us = now_us
        self.jumps = 0

    def now_us(self) -> int:
        return self.us


class House:
    """One engine with its tenant."""

    def __init__(self, engine: Engine, tenant_id: str, pool: asyncpg.Pool) -> None:
        self.engine = engine
        self.tenant_id = tenant_id
        self.pool = pool

    @property
    def activation(self) -> Activation:
        return self.engine._activations[self.tenant_id]

    @property
    def tenant(self) -> Tenant:
        """Its memory, as long as it is active."""
        assert self.activation.present is not None
        return self.activation.present.tenant

    @property
    def hub(self) -> Hub:
        return self.activation.streams.hub

    async def submit(self, command: Command) -> Reply:
        return await self.engine.submit(self.tenant_id, command)

    async def put(self, *tasks: TaskSpec, name: str = "flow", event_triggers: tuple[str, ...] = ()) -> None:
        spec = WorkflowSpec(name=name, tasks=tasks or (task("a"),), event_triggers=event_triggers)
        await self.engine.submit(self.tenant_id, PutWorkflow(spec))

    async def worker(self, *actions: str, slots: int = 100) -> str:
        command = RegisterWorker("worker", actions or ("flow:a",), {"default": slots})
        worker_id = await self.engine.submit(self.tenant_id, command)
        assert isinstance(worker_id, str)
        return worker_id

    async def session(self, *actions: str, slots: int = 100) -> WorkerSession:
        return await self.engine.open_session(self.tenant_id, await self.worker(*actions, slots=slots))

    async def trigger(self, run_input: str = "{}", metadata: str | None = None) -> str:
        request = RunRequest(workflow_name="flow", input=run_input, additional_metadata=metadata)
        reply = await self.engine.submit(self.tenant_id, TriggerRuns((request,)))
        assert isinstance(reply, tuple)
        (run_id,) = reply
        assert isinstance(run_id, str)
        return run_id

    async def report(self, task_id: str, outcome: Outcome, payload: str = "", retry_count: int | None = None) -> bool:
        reply = await self.engine.submit(self.tenant_id, ReportAttempt(task_id, retry_count, outcome, payload))
        assert isinstance(reply, Accepted)
        return reply.is_current

    async def count(self, table: str) -> int:
        count: int = await self.pool.fetchval(f"select count(*) from broadaxe.{table}")
        return count

    @asynccontextmanager
    async def held_journal(self) -> AsyncIterator[None]:
        """Commits wait inside: the lease row they check is locked."""
        connection = await self.pool.acquire()
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("select 1 from broadaxe.lease for update")
        try:
            yield
        finally:
            await transaction.rollback()
            await self.pool.release(connection)

    async def journal_waits(self) -> list[int]:
        """Returns the server processes of commits that wait for the lock, once there are any."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                rows = await self.pool.fetch(
                    "select pid from pg_stat_activity where datname = current_database() "
                    "and application_name = 'broadaxe journal' and wait_event_type = 'Lock'"
                )
                if rows:
                    return [row["pid"] for row in rows]
                await asyncio.sleep(0.005)

    async def cut_off(self, pids: list[int]) -> None:
        for pid in pids:
            await self.pool.execute("select pg_terminate_backend($1)", pid)


class LosingAnswers:
    """Commits of which nobody hears whether they were made: the first that is wanted, or as many as `times`. They are,
    unless `was_made` says otherwise."""

    def __init__(self, is_wanted: Callable[[Writes], bool], times: int = 1, *, was_made: bool = True) -> None:
        self.is_wanted = is_wanted
        self.times = times
        self.was_made = was_made
        self.lost = 0


class LosingStore(PostgresStore):
    losing: LosingAnswers

    async def open(self, tenant_id: str, *, here: bool = False) -> PostgresTenantStore:
        kept = await super().open(tenant_id, here=here)
        losing, commit = self.losing, kept.commit

        async def commit_and_lose(writes: Writes) -> None:
            is_lost = losing.lost < losing.times and losing.is_wanted(writes)
            if not is_lost or losing.was_made:
                await commit(writes)
            if is_lost:
                losing.lost += 1
                raise Unavailable("the connection was lost in the middle of the commit")

        kept.commit = commit_and_lose
        return kept


@asynccontextmanager
async def house(
    database: str,
    pool: asyncpg.Pool,
    *,
    tenant_id: str | None = None,
    node_id: str = NODE,
    clock: Clock | None = None,
    observe: Callable[[str, Decision], None] | None = None,
    enforce_quotas: bool = False,
    losing: LosingAnswers | None = None,
) -> AsyncIterator[House]:
    settings = {name: str(value) for name, value in CONNECTION_SETTINGS.items()}
    tenant_id = tenant_id or await make_tenant(pool)
    async with asyncpg.create_pool(database, min_size=1, max_size=2, server_settings=settings) as journal_pool:
        kind = PostgresStore if losing is None else LosingStore
        store = kind(
            journal_pool=journal_pool, pool=pool, node_id=node_id, address="here:7077", with_quotas=enforce_quotas
        )
        if losing is not None:
            store.losing = losing
        engine = Engine(store, clock=clock, observe=observe, enforce_quotas=enforce_quotas)
        await engine.start()
        try:
            yield House(engine, tenant_id, pool)
        finally:
            await engine.stop()


@asynccontextmanager
async def listening_house(
    database: str,
    pool: asyncpg.Pool,
    *,
    tenant_id: str | None = None,
    observe: Callable[[str, Decision], None] | None = None,
    node_id: str = NODE,
) -> AsyncIterator[House]:
    """A house that hears of the outbox, as `app.py` wires it."""
    async with house(database, pool, tenant_id=tenant_id, observe=observe, node_id=node_id) as home:
        listener = OutboxListener(database, home.engine.outbox_told, home.engine.outbox_unsure)
        await listener.start()
        try:
            yield home
        finally:
            await listener.stop()


class Seen:
    """What was committed, as it comes: ids of runs, and decisions."""

    def __init__(self) -> None:
        self.runs: asyncio.Queue[str] = asyncio.Queue()
        self.decisions: list[Decision] = []

    def __call__(self, tenant_id: str, decision: Decision) -> None:
        self.decisions.append(decision)
        for new in decision.writes.new_runs:
            self.runs.put_nowait(new.row.id)

    async def next_runs(self, count: int) -> list[str]:
        async with asyncio.timeout(PATIENCE_S):
            return [await self.runs.get() for _ in range(count)]


async def assigned(session: WorkerSession) -> Assignment:
    item = await asyncio.wait_for(session.next(), PATIENCE_S)
    assert isinstance(item, Assignment), f"{item!r} came; None says that the stream was ended"
    return item


def nothing_waits(session: WorkerSession) -> bool:
    return not session._items
