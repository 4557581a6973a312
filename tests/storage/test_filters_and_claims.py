"""Event filters, idempotency claims and failed expressions: written by the journal, read back by the loader."""

from __future__ import annotations

import asyncpg
import msgspec

from broadaxe.core import ledger
from broadaxe.core.commands import Command
from broadaxe.core.commands.attempts import Outcome, ReportAttempt
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.filters import ChangeFilter, CreateFilter, DeleteFilter
from broadaxe.core.commands.tasks import ReplayTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import OpenStream, RegisterWorker
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.decision import Decision
from broadaxe.core.definition import ClaimMethod, FilterSpec, IdempotencyRule, WorkflowSpec
from broadaxe.core.durations import US_PER_S
from broadaxe.core.tenant import Tenant
from broadaxe.errors import BroadaxeError, IdempotencyCollision
from broadaxe.storage import journal as journal_module
from broadaxe.storage.ids import new_id
from broadaxe.storage.journal import Journal
from broadaxe.storage.loader import load_live, load_missing
from tests.core.world import task
from tests.storage.ground import make_journal, make_tenant

START_US = 1_800_000_000 * US_PER_S

ONCE = WorkflowSpec(
    name="once",
    tasks=(task("a"),),
    idempotency=IdempotencyRule(expression="input.k", ttl_us=60 * US_PER_S),
)
ONE_AT_A_TIME = WorkflowSpec(
    name="one-at-a-time",
    tasks=(task("a"),),
    idempotency=IdempotencyRule(expression="input.k", ttl_us=60 * US_PER_S, method=ClaimMethod.STATUS),
)
PICKY = WorkflowSpec(
    name="picky",
    tasks=(task("a"),),
    event_triggers=("go",),
    default_filters=(FilterSpec(expression="input.n > 1", scope="S", payload='{"f":"ž"}'),),
)


class Ground:
    """A tenant on its tables."""

    def __init__(self, pool: asyncpg.Pool, tenant_id: str, journal: Journal) -> None:
        self.pool = pool
        self.tenant_id = tenant_id
        self.journal = journal
        self.now_us = START_US
        self.tenant = Tenant(new_id)

    async def do(self, command: Command) -> object:
        missing = self.tenant.missing(command)
        if missing:
            self.tenant.adopt(await load_missing(self.pool, self.tenant_id, missing), self.now_us)
        (reply,) = (await self.decide(command)).replies
        if isinstance(reply, BroadaxeError) and not isinstance(reply, IdempotencyCollision):
            raise reply
        return reply

    async def decide(self, *commands: Command) -> Decision:
        decision = self.tenant.decide(commands, self.now_us)
        if decision.writes:
            await self.journal.commit(decision.writes)
        return decision

    async def crash(self) -> None:
        self.tenant = Tenant(new_id)
        self.tenant.adopt(await load_live(self.pool, self.tenant_id, self.now_us), self.now_us)

    async def trigger(self, name: str, key: str = "A") -> object:
        return await self.do(TriggerRuns((RunRequest(workflow_name=name, input=f'{{"k":"{key}"}}'),)))

    async def count(self, table: str) -> int:
        found: int = await self.pool.fetchval(f"select count(*) from broadaxe.{table}")
        return found


async def begin(pool: asyncpg.Pool, *specs: WorkflowSpec) -> Ground:
    tenant_id = await make_tenant(pool)
    ground = Ground(pool, tenant_id, await make_journal(pool, tenant_id))
    for spec in specs:
        await ground.do(PutWorkflow(spec))
    return ground


async def test_a_claim_outlives_memory_and_ends_in_its_time(pool: asyncpg.Pool) -> None:
    ground = await begin(pool, ONCE)
    (first,) = await ground.trigger("once")  # type: ignore[misc]
    await ground.trigger("once", "x" * 4_000)
    await ground.crash()
    collision = await ground.trigger("once")
    assert isinstance(collision, IdempotencyCollision)
    assert collision.collisions[0][0] == first
    assert isinstance(await ground.trigger("once", "x" * 4_000), IdempotencyCollision), "longer than an index entry"
    ground.now_us += 61 * US_PER_S
    assert (ground.tenant.next_due_us() or 0) <= ground.now_us
    await ground.decide()
    assert await ground.count("idempotency_claim") == 0
    await ground.crash()
    assert isinstance(await ground.trigger("once"), tuple)


async def test_an_overdue_claim_is_taken_over_before_it_is_swept(pool: asyncpg.Pool) -> None:
    ground = await begin(pool, ONCE)
    await ground.trigger("once")
    ground.now_us += 60 * US_PER_S
    await ground.crash()
    (second,) = await ground.trigger("once")  # type: ignore[misc]
    row = await pool.fetchrow("select run_id::text, expires_at from broadaxe.idempotency_claim")
    assert row["run_id"] == second
    assert row["expires_at"].timestamp() == ground.now_us / 1e6 + 60


async def test_a_status_claim_is_released_by_a_run_that_was_read_back(pool: asyncpg.Pool) -> None:
    ground = await begin(pool, ONE_AT_A_TIME)
    worker_id = await ground.do(RegisterWorker("w", ("flow:a",), {"default": 5}))
    assert isinstance(worker_id, str)
    await ground.do(OpenStream(worker_id, 1))
    (first,) = await ground.trigger("one-at-a-time")  # type: ignore[misc]
    await ground.crash()
    assert isinstance(await ground.trigger("one-at-a-time"), IdempotencyCollision)
    await ground.do(ReportAttempt(first, 0, Outcome.COMPLETED, "{}"))
    assert await ground.count("idempotency_claim") == 0
    (second,) = await ground.trigger("one-at-a-time")  # type: ignore[misc]
    await ground.crash()
    await ground.do(ReplayTasks((first,)))
    await ground.do(ReportAttempt(first, 1, Outcome.COMPLETED, "{}"))
    collision = await ground.trigger("one-at-a-time")
    assert isinstance(collision, IdempotencyCollision)
    assert collision.collisions[0][0] == second, "the replayed run let go of nothing"


async def test_filters_are_read_back_as_they_were(pool: asyncpg.Pool) -> None:
    ground = await begin(pool, PICKY)
    (workflow,) = ground.tenant._state.workflows.values()
    made = await ground.do(CreateFilter(workflow_id=workflow.id, scope="S", expression="true"))
    gone = await ground.do(CreateFilter(workflow_id=workflow.id, scope="S", expression="true"))
    assert isinstance(made, str) and isinstance(gone, str)
    ground.now_us += 1
    await ground.do(ChangeFilter(filter_id=made, scope="T", payload='{"f":2}'))
    await ground.do(DeleteFilter(gone))
    before = {filter_.id: filter_.row() for filter_ in ground.tenant._state.filters.values()}
    await ground.crash()
    assert {filter_.id: filter_.row() for filter_ in ground.tenant._state.filters.values()} == before
    for scope, payloads in (("S", ['{"f":"ž"}']), ("T", ['{"f":2}']), (None, [])):
        event = EventRequest(key="go", payload='{"n":2}', scope=scope, triggering_webhook_name="shop")
        (pushed,) = await ground.do(PushEvents((event,)))  # type: ignore[misc]
        found = await pool.fetch(
            "select filter_id::text, filter_payload from broadaxe.run where triggering_event_id = $1", pushed.event_id
        )
        assert [row["filter_payload"] for row in found] == payloads
        assert {row["filter_id"] for row in found} <= before.keys()
    assert await pool.fetchval("select count(*) from broadaxe.event where triggering_webhook_name = 'shop'") == 3
    await ground.crash()
    assert {run.row.filter_payload for run in ground.tenant._state.runs.values()} == {'{"f":"ž"}', '{"f":2}'}


async def test_the_newest_failures_are_kept(pool: asyncpg.Pool) -> None:
    ground = await begin(pool, msgspec.structs.replace(ONCE, event_triggers=("go",)))
    kept, per_batch = journal_module.FAILURES_KEPT_MAX, ledger.FAILURES_MAX
    for _ in range(kept // per_batch + 2):
        await ground.do(PushEvents(tuple(EventRequest(key="go", payload="{}") for _ in range(per_batch + 5))))
    assert await ground.count("expression_failure") == kept
    oldest = await pool.fetchval("select min(id::text) from broadaxe.expression_failure")
    assert await pool.fetchval("select count(*) from broadaxe.event where id::text < $1", oldest) > 0
