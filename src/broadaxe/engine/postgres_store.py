"""The engine's store on PostgreSQL: leases, journal, loader, payloads, reads, behind one way to say "away".

Owns the translation of the driver's errors into Unavailable. Refuses everything else: what the statements are is the
business of `storage/`, who owns a tenant that of `cluster/`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import asyncpg

from broadaxe.cluster.leases import LEASE_TTL_S, Leases
from broadaxe.cluster.members import Members
from broadaxe.cluster.placement import Member
from broadaxe.core.commands.quotas import Resource
from broadaxe.core.decision import Writes
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskStatus
from broadaxe.core.loaded import Loaded, Missing
from broadaxe.core.topics import Position
from broadaxe.engine.doubt import Witness
from broadaxe.engine.nodes import Place
from broadaxe.engine.store import DurableResult, EntryPlace
from broadaxe.engine.subscriptions import RunOutcome, TaskOutcome
from broadaxe.errors import NotFound, Unavailable
from broadaxe.storage.connections import KeptConnections
from broadaxe.storage.durable_reads import DurableReads
from broadaxe.storage.journal import Journal
from broadaxe.storage.loader import load_live, load_missing
from broadaxe.storage.migrate import known_schema
from broadaxe.storage.outage import OUTAGE, OUTAGE_MESSAGE
from broadaxe.storage.outbox import Outbox, OutboxPage
from broadaxe.storage.payloads import Payloads
from broadaxe.storage.quotas import quotas_of
from broadaxe.storage.reads import Reads
from broadaxe.storage.run_filter import LIVE_RUN, RunFilter
from broadaxe.storage.statements import statement
from broadaxe.storage.topics import TopicPage, read_page

__all__ = ["PostgresStore", "PostgresTenantStore", "outage_is_unavailable"]

EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: No tenant has this id.
NOBODY: Final = "00000000-0000-0000-0000-000000000000"
#: Of each pool: for a tenant that comes alone, and for one beside it.
WARM_CONNECTIONS: Final = 2
NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)


@asynccontextmanager
async def outage_is_unavailable() -> AsyncIterator[None]:
    """Says the one way an outage is spelled in this package."""
    try:
        yield
    except OUTAGE as error:
        raise Unavailable(f"{OUTAGE_MESSAGE} ({error})") from error


class PostgresStore:
    def __init__(
        self,
        *,
        journal_pool: asyncpg.Pool,
        pool: asyncpg.Pool,
        node_id: str,
        address: str,
        lease_ttl_s: float = LEASE_TTL_S,
        with_quotas: bool = False,
        connect: Callable[[], Awaitable[asyncpg.Connection]] | None = None,
    ) -> None:
        """`with_quotas`: whether limits of tenants are loaded with them. `connect` opens a session of its own."""
        self._journal_connections = KeptConnections(journal_pool)
        self._pool = pool
        self._reads = Reads(pool)
        self._durable_reads = DurableReads(pool)
        self._outbox = Outbox(pool)
        self._with_quotas = with_quotas
        self._on_lost: Callable[[str], None] = lambda _: None
        self._leases = Leases(
            pool,
            node_id,
            address,
            lambda tenant_id: self._on_lost(tenant_id),
            lease_ttl_s,
            enforces_limits=with_quotas,
            schema_known=known_schema(),
            connect=connect,
        )
        self.nodes = PostgresNodes(self._leases.members)
        self.reached_at = self._leases.reached_at
        self.link_secret = self._leases.link_secret

    # Leases --------------------------------------------------------------------------------------------------------

    async def open(self, tenant_id: str, *, here: bool = False) -> PostgresTenantStore:
        try:
            async with outage_is_unavailable():
                epoch = await self._leases.acquire(tenant_id, here=here)
        except asyncpg.ForeignKeyViolationError:
            raise NotFound(f"there is no tenant {tenant_id}") from None
        journal = Journal(self._journal_connections, tenant_id, self._leases.node_id, epoch)
        return PostgresTenantStore(self._pool, tenant_id, epoch, journal, self._with_quotas)

    async def release(self, tenant_id: str, successor: str | None = None) -> None:
        async with outage_is_unavailable():
            await self._leases.release(tenant_id, successor)

    def watch_leases(self, on_lost: Callable[[str], None]) -> None:
        self._on_lost = on_lost

    async def close(self) -> None:
        with contextlib.suppress(*OUTAGE):
            await self._leases.stop()
        await self._journal_connections.close()

    async def warm(self) -> None:
        async def load() -> None:
            async with outage_is_unavailable():
                await load_live(self._pool, NOBODY, 0, with_quotas=self._with_quotas, asks_everything=True)

        async def commit() -> None:
            async with outage_is_unavailable():
                await Journal(self._journal_connections, NOBODY, self._leases.node_id, 0).warm()

        await asyncio.gather(*(work() for _ in range(WARM_CONNECTIONS) for work in (load, commit)))

    async def read_ahead(self, tenant_id: str, now_us: int) -> Loaded | None:
        async with outage_is_unavailable():
            loaded = await load_live(self._pool, tenant_id, now_us, with_quotas=self._with_quotas)
            await Journal(self._journal_connections, NOBODY, self._leases.node_id, 0).warm()
        # Limits are changed past the owner.
        return None if self._with_quotas else loaded

    # Reads ---------------------------------------------------------------------------------------------------------

    async def tenants_with_work(self) -> list[str]:
        async with outage_is_unavailable():
            return [str(row["tenant_id"]) for row in await self._pool.fetch(statement("loader/tenants_with_work"))]

    async def tenants_with_outbox(self) -> list[str]:
        async with outage_is_unavailable():
            return await self._outbox.tenants()

    async def outbox_told(self, tenant_id: str, transactions: Mapping[int, int]) -> OutboxPage:
        async with outage_is_unavailable():
            return await self._outbox.told(tenant_id, transactions)

    async def outbox_waiting(self, tenant_id: str, after: tuple[int, int]) -> OutboxPage:
        async with outage_is_unavailable():
            return await self._outbox.waiting(tenant_id, after)

    async def quotas(self, tenant_id: str) -> dict[Resource, int | None]:
        async with outage_is_unavailable():
            return await quotas_of(self._pool, tenant_id)

    async def results(self, tenant_id: str, run_ids: Sequence[str]) -> list[RunOutcome]:
        async with outage_is_unavailable():
            found = await self._reads.run_results(tenant_id, list(run_ids))
        return [
            RunOutcome(
                result.id,
                result.status,
                tuple(
                    TaskOutcome(
                        task.id, task.name, task.output, None if task.status is TaskStatus.CANCELLED else task.error
                    )
                    for task in result.tasks
                ),
            )
            for result in found
        ]

    async def runs_with_metadata(
        self, tenant_id: str, key: str, value: str, since_us: int | None, limit: int
    ) -> list[str]:
        since = EVER if since_us is None else datetime.fromtimestamp(since_us / US_PER_S, UTC)
        statuses = LIVE_RUN if since_us is None else None
        wanted = RunFilter(tenant_id=tenant_id, since=since, until=NEVER, statuses=statuses, metadata=((key, value),))
        async with outage_is_unavailable():
            return await self._reads.run_ids(wanted, limit=limit)

    async def topic_page(self, tenant_id: str, topic_id: str, after: Position | None) -> TopicPage:
        async with outage_is_unavailable():
            return await read_page(self._pool, tenant_id, topic_id, after)

    async def is_there(self, tenant_id: str, witness: Witness) -> bool:
        async with outage_is_unavailable():
            found: bool = await self._pool.fetchval(
                statement("journal/is_there"), tenant_id, witness.kind.value, witness.id
            )
        return found

    async def task_exists(self, tenant_id: str, task_id: str) -> bool:
        async with outage_is_unavailable():
            return await self._pool.fetchval(statement("loader/task_exists"), tenant_id, task_id) is not None

    async def signals(self, tenant_id: str, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
        async with outage_is_unavailable():
            return await self._durable_reads.signals(tenant_id, wanted)


class PostgresNodes:
    """What `cluster/` knows of the nodes, as the engine asks for it (`nodes.Nodes`)."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def watch(self, on_change: Callable[[], None]) -> None:
        self._members.on_change = on_change

    async def join(self) -> None:
        async with outage_is_unavailable():
            await self._members.register()

    async def step_down(self) -> None:
        async with outage_is_unavailable():
            await self._members.step_down()

    def place(self, tenant_id: str) -> Place | None:
        member = self._members.place(tenant_id)
        return None if member is None else _place(member)

    def others(self) -> list[Place]:
        members = self._members
        return [_place(m) for m in members.all if m.id != members.node_id and m.link_address is not None]

    def look(self) -> None:
        self._members.look()

    def is_draining(self) -> bool:
        return self._members.is_draining

    def is_alive(self) -> bool:
        return self._members.is_alive()


def _place(member: Member) -> Place:
    assert member.link_address is not None
    return Place(member.id, member.link_address, member.age_s)


class PostgresTenantStore:
    def __init__(self, pool: asyncpg.Pool, tenant_id: str, epoch: int, journal: Journal, with_quotas: bool) -> None:
        self._pool = pool
        self._tenant_id = tenant_id
        self.epoch = epoch
        self.commit = journal.commit
        self.confirm = journal.confirm
        self._payloads = Payloads(pool, tenant_id)
        self._with_quotas = with_quotas

    async def load_live(self, now_us: int) -> Loaded:
        async with outage_is_unavailable():
            return await load_live(self._pool, self._tenant_id, now_us, with_quotas=self._with_quotas)

    async def load_missing(self, missing: Missing) -> Loaded:
        async with outage_is_unavailable():
            return await load_missing(self._pool, self._tenant_id, missing)

    def remember(self, writes: Writes) -> None:
        payloads = self._payloads
        for run in writes.new_runs:
            payloads.put_input(run.row.id, run.input)
        for task in writes.new_tasks:
            if task.state.output is not None:
                payloads.put_output(task.state.id, task.state.output)
        for state in writes.tasks:
            if state.output is not None:
                payloads.put_output(state.id, state.output)
        for task_id in writes.archived_outputs:
            payloads.drop_output(task_id)

    async def inputs(self, run_ids: Collection[str]) -> dict[str, str]:
        async with outage_is_unavailable():
            return await self._payloads.inputs(run_ids)

    async def outputs(self, task_ids: Collection[str]) -> dict[str, str]:
        async with outage_is_unavailable():
            return await self._payloads.outputs(task_ids)

    async def durable_results(self, entries: Collection[EntryPlace]) -> dict[EntryPlace, DurableResult]:
        async with outage_is_unavailable():
            return await self._payloads.durable_results(entries)
