"""Memory is a cache of the tables: thrown away at any moment, it comes back the same."""

from __future__ import annotations

import asyncio
import random
import time

import asyncpg
import pytest

from broadaxe.core.attempts import CONFIRM_US
from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.asked import Asked, Initiator, InitiatorKind
from broadaxe.core.commands.attempts import FailDelivery, Outcome, RefreshTimeout, ReleaseSlot, ReportAttempt
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.tasks import CancelTasks, ReplayTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import (
    CloseStream,
    Heartbeat,
    OpenStream,
    PauseWorker,
    PutWorkerLabels,
    RegisterWorker,
    UnregisterWorker,
)
from broadaxe.core.commands.workflows import DeleteWorkflow, PutWorkflow
from broadaxe.core.decision import Decision, StartAttempt
from broadaxe.core.definition import WorkflowSpec
from broadaxe.core.durations import US_PER_S
from broadaxe.core.lifecycle import TaskEventType, TaskStatus
from broadaxe.core.loaded import Missing
from broadaxe.core.tenant import Tenant
from broadaxe.errors import BroadaxeError, LeaseLost
from broadaxe.storage.ids import new_id
from broadaxe.storage.journal import CONNECTION_SETTINGS, Journal
from broadaxe.storage.loader import load_live, load_missing
from tests.core.world import task
from tests.storage.ground import NODE, OTHER_NODE, contents, make_journal, make_tenant, picture, take_lease

RUNNING = TaskStatus.RUNNING
ANN = Initiator(InitiatorKind.ACCOUNT, "", "ann@example.com")
STEPS = 50

SPECS = [
    WorkflowSpec(name="one", tasks=(task("a", service="s", retries=2),), event_triggers=("k*",)),
    WorkflowSpec(name="one", tasks=(task("a", service="s", retries=1, slots={"gpu": 1}),), label="v2"),
    WorkflowSpec(
        name="dag",
        tasks=(
            task("a", service="s", retries=1, backoff_factor=2.0, execution_timeout="20s"),
            task("b", "a", service="s", schedule_timeout="10s"),
            task("c", "a", service="s", execution_timeout="5s"),
            task("d", "b", "c", service="s", slots={"default": 2}),
        ),
        on_failure=task("oops", service="s"),
        default_priority=2,
    ),
    WorkflowSpec(name="pair", tasks=(task("a", service="s"), task("x", service="s", schedule_timeout="1h"))),
]


class Life:
    """A tenant with a real journal, a clock of its own and a seeded will."""

    def __init__(self, pool: asyncpg.Pool, tenant_id: str, journal: Journal, seed: int = 0) -> None:
        self.pool = pool
        self.tenant_id = tenant_id
        self.journal = journal
        self.chance = random.Random(seed)
        self.now_us = time.time_ns() // 1000
        self.tenant = Tenant(new_id)
        self.sessions: dict[str, int] = {}
        self.opened = 0
        self.seen: dict[str, int] = {}
        """Task id -> latest retry count, of every task ever sent."""
        self.outputs: dict[tuple[str, int], str] = {}

    async def do(self, *commands: Command) -> list[Reply | BroadaxeError]:
        replies, decision = await self.decide(*commands)
        await self.commit(decision)
        return replies

    async def decide(self, *commands: Command) -> tuple[list[Reply | BroadaxeError], Decision]:
        tasks: set[str] = set()
        workers: set[str] = set()
        for command in commands:
            missing = self.tenant.missing(command)
            tasks |= missing.tasks
            workers |= missing.workers
        if tasks or workers:
            loaded = await load_missing(self.pool, self.tenant_id, Missing(frozenset(tasks), frozenset(workers)))
            self.tenant.adopt(loaded, self.now_us)
        decision = self.tenant.decide(commands, self.now_us)
        return list(decision.replies), decision

    async def commit(self, decision: Decision) -> None:
        if decision.writes:
            await self.journal.commit(decision.writes)
        for effect in decision.effects:
            if isinstance(effect, StartAttempt):
                self.seen[effect.task_id] = effect.retry_count
        for state in (*decision.writes.tasks, *(new.state for new in decision.writes.new_tasks)):
            if state.output is not None:
                self.outputs[state.id, state.retry_count] = state.output
        for kept in decision.writes.replaced_outputs:
            self.outputs[kept.task_id, kept.retry_count] = kept.output

    async def reload(self) -> Tenant:
        tenant = Tenant(new_id)
        tenant.adopt(await load_live(self.pool, self.tenant_id, self.now_us), self.now_us)
        return tenant

    async def crash(self) -> None:
        """Throws memory away; workers come back with their ids."""
        self.tenant = await self.reload()
        listening, self.sessions = list(self.sessions), {}
        for worker_id in listening:
            if self.chance.random() < 0.8:
                await self.do(self.open(worker_id))

    def open(self, worker_id: str) -> OpenStream:
        self.opened += 1
        self.sessions[worker_id] = self.opened
        return OpenStream(worker_id, self.opened)

    def tasks(self) -> list[str]:
        return sorted({*self.tenant._state.tasks, *self.seen})

    def next_commands(self) -> list[Command]:
        """A batch of one to three random commands, or only the passing of time."""
        commands = [command for _ in range(self.chance.randint(1, 3)) if (command := self.next_command()) is not None]
        self.now_us += self.chance.choice([0, 0, 1, 200_000, 4 * US_PER_S, 12 * US_PER_S, 31 * US_PER_S])
        return commands

    def next_command(self) -> Command | None:
        chance = self.chance
        tasks, workers = self.tasks(), sorted(self.sessions)
        roll = chance.randint(0, 25)
        if roll <= 4:
            names = chance.choices(["one", "dag", "pair"], k=chance.randint(1, 4))
            return TriggerRuns(
                tuple(
                    RunRequest(
                        workflow_name=name,
                        input='{"n":1}',
                        priority=chance.choice([None, 1, 3]),
                        additional_metadata=chance.choice([None, '{"user":"u","n":{"x":[1,2]}}']),
                    )
                    for name in names
                )
            )
        if roll == 5:
            return PushEvents((EventRequest(key="key", payload="{}", additional_metadata='{"m":1}', scope="s"),))
        if roll == 6 or not workers:
            actions = tuple(chance.sample(["s:a", "s:b", "s:c", "s:d", "s:x", "s:oops"], k=chance.randint(2, 6)))
            return RegisterWorker("worker", actions, {"default": chance.randint(1, 4), "gpu": 1}, {"l": 1}, {"os": "x"})
        worker_id = chance.choice(workers)
        match roll:
            case 7:
                return self.open(worker_id)
            case 8:
                return CloseStream(worker_id, self.sessions[worker_id])
            case 9:
                return Asked(PauseWorker(worker_id, chance.random() < 0.4), ANN)
            case 10:
                return PutWorkerLabels(worker_id, {"n": chance.randint(0, 9)})
            case 11:
                return UnregisterWorker(worker_id)
            case 12:
                return PutWorkflow(chance.choice(SPECS))
        if not tasks:
            return Heartbeat(worker_id)
        task_id = chance.choice(tasks)
        live = self.tenant._state.tasks.get(task_id)
        has_run = live is None or live.assigned_at_us is not None or live.retry_count > 0
        current = self.seen.get(task_id, 0)
        match roll:
            case 13 if has_run:
                return TriggerRuns(
                    (
                        RunRequest(
                            workflow_name="one", input="{}", parent_task_id=task_id, child_index=chance.randint(0, 2)
                        ),
                    )
                )
            case 14:
                return FailDelivery(task_id, current, "gone")
            case 15:
                return ReleaseSlot(task_id)
            case 16:
                return RefreshTimeout(task_id, US_PER_S)
            case 17:
                return CancelTasks((task_id,))
            case 18:
                return ReplayTasks((task_id,))
            case 19 | 20 if live is not None:
                return (CancelTasks if roll == 19 else ReplayTasks)((live.run.id,))
            case 21:
                return Heartbeat(worker_id)
            case _:
                outcome = chance.choice([Outcome.STARTED, Outcome.COMPLETED, Outcome.COMPLETED, Outcome.FAILED])
                payload = f'{{"by":"{task_id}","attempt":{current}}}' if outcome is Outcome.COMPLETED else "broken"
                return ReportAttempt(task_id, current, outcome, payload, chance.random() < 0.9)


async def begin(pool: asyncpg.Pool, seed: int = 0) -> Life:
    tenant_id = await make_tenant(pool)
    life = Life(pool, tenant_id, await make_journal(pool, tenant_id), seed)
    for spec in (SPECS[0], *SPECS[2:]):
        await life.do(PutWorkflow(spec))
    return life


async def worker(life: Life, *actions: str, slots: dict[str, int] | None = None) -> str:
    (worker_id,) = await life.do(RegisterWorker("worker", actions, slots or {"default": 10}))
    assert isinstance(worker_id, str)
    await life.do(life.open(worker_id))
    return worker_id


async def trigger(life: Life, name: str = "one") -> str:
    ((run_id,),) = await life.do(TriggerRuns((RunRequest(workflow_name=name, input="{}"),)))  # type: ignore[misc]
    assert isinstance(run_id, str)
    return run_id


def same(loaded: Tenant, live: Tenant) -> None:
    known = set(live._state.workers)
    assert known <= set(loaded._state.workers)
    ours, theirs = picture(live), picture(loaded, known)
    for part, expected in ours.items():
        assert theirs[part] == expected, part


@pytest.mark.parametrize("seed", range(5))
async def test_a_tenant_thrown_away_at_any_step_comes_back_the_same(pool: asyncpg.Pool, seed: int) -> None:
    life = await begin(pool, seed)
    for _ in range(STEPS):
        commands = life.next_commands()
        registered = [reply for reply in await life.do(*commands) if isinstance(reply, str)]
        for worker_id in registered:
            await life.do(life.open(worker_id))
        if life.chance.random() < 0.4:
            same(await life.reload(), life.tenant)
        if life.chance.random() < 0.1:
            await life.crash()
    assert life.seen, "the seed must do something"
    stored = await pool.fetch(
        "select id::text as task_id, retry_count, output from broadaxe.task where output is not null "
        "union all select task_id::text, retry_count, output from broadaxe.task_event where output is not null"
    )
    assert {(row["task_id"], row["retry_count"]): row["output"] for row in stored} == life.outputs
    gaps = await pool.fetchval(
        "select count(*) from (select task_id from broadaxe.task_event group by task_id "
        "having max(seq) <> count(*) or min(seq) <> 1) as g"
    )
    assert gaps == 0


@pytest.mark.parametrize("seed", range(100, 102))
async def test_what_was_not_committed_did_not_happen(pool: asyncpg.Pool, seed: int) -> None:
    life = await begin(pool, seed)
    await worker(life, "s:a", "s:b", "s:c", slots={"default": 3, "gpu": 1})
    for step in range(STEPS):
        before = picture(life.tenant)
        known = set(life.tenant._state.workers)
        _, decision = await life.decide(*life.next_commands())
        if step % 3:
            await life.commit(decision)
            continue
        assert picture(await life.reload(), known) == before
        await life.crash()


async def test_an_attempt_whose_effects_were_lost_is_sent_again_within_the_confirm_window(pool: asyncpg.Pool) -> None:
    life = await begin(pool)
    worker_id = await worker(life, "s:a")
    confirmed, lost = await trigger(life), await trigger(life)
    await life.do(ReportAttempt(confirmed, 0, Outcome.STARTED))
    await life.crash()
    await life.do(life.open(worker_id))
    assert life.tenant._state.tasks[confirmed].started_at_us is not None
    life.now_us += CONFIRM_US
    _, decision = await life.decide()
    await life.commit(decision)
    starts = [effect for effect in decision.effects if isinstance(effect, StartAttempt)]
    assert [(start.task_id, start.retry_count) for start in starts] == [(lost, 1)]
    assert life.tenant._state.tasks[confirmed].retry_count == 0


async def test_overdue_deadlines_fire_at_once_after_a_load(pool: asyncpg.Pool) -> None:
    life = await begin(pool)
    run_id = await trigger(life, "pair")
    life.now_us += 3_601 * US_PER_S
    await life.crash()
    assert (life.tenant.next_due_us() or 0) < life.now_us
    await life.do()
    assert life.tenant._state.runs == {}
    assert await pool.fetchval("select status::text from broadaxe.run where id = $1", run_id) == "CANCELLED"


async def test_a_replayed_run_is_read_back_with_its_version_and_children(pool: asyncpg.Pool) -> None:
    life = await begin(pool)
    await worker(life, "s:a")
    run_id = await trigger(life)
    ((child,),) = await life.do(  # type: ignore[misc]
        TriggerRuns((RunRequest(workflow_name="one", input="{}", parent_task_id=run_id, child_key="k"),))
    )
    await life.do(ReportAttempt(run_id, 0, Outcome.COMPLETED, '{"first":1}'))
    await life.do(PutWorkflow(SPECS[1]))
    life.tenant = await life.reload()
    await life.do(life.open(next(iter(life.sessions))))
    assert not life.tenant.is_live(run_id)
    assert await life.do(ReplayTasks((run_id,))) == [(run_id,)]
    assert life.tenant._state.tasks[run_id].definition.slots == {"default": 1}, "the version it was made with"
    assert life.tenant._state.tasks[run_id].children == {"k": child}
    assert await life.do(ReportAttempt(run_id, 1, Outcome.COMPLETED, '{"second":1}'))
    rows = await pool.fetch(
        "select retry_count, output from broadaxe.task_event where task_id = $1 and type = 'FINISHED' order by seq",
        run_id,
    )
    assert [tuple(row) for row in rows] == [(0, '{"first":1}'), (1, None)]
    assert await pool.fetchval("select output from broadaxe.task where id = $1", run_id) == '{"second":1}'


async def test_children_of_a_finished_task_in_a_live_run_are_found_again_after_a_load(pool: asyncpg.Pool) -> None:
    life = await begin(pool)
    await worker(life, "s:a")
    run_id = await trigger(life, "pair")
    parent = next(task.id for task in life.tenant._state.tasks.values() if task.definition.name == "a")
    request = TriggerRuns((RunRequest(workflow_name="one", input="{}", parent_task_id=parent, child_index=0),))
    first = await life.do(request)
    await life.do(ReportAttempt(parent, 0, Outcome.COMPLETED, "{}"))
    await life.crash()
    assert life.tenant.is_live(run_id)
    assert await life.do(request) == first


async def test_report_and_replay_in_one_batch_keep_the_output(pool: asyncpg.Pool) -> None:
    life = await begin(pool)
    await worker(life, "s:a")
    run_id = await trigger(life)
    await life.do(ReportAttempt(run_id, 0, Outcome.COMPLETED, '{"kept":1}'), ReplayTasks((run_id,)))
    found = await pool.fetch("select type::text, output from broadaxe.task_event where output is not null")
    assert [tuple(row) for row in found] == [("FINISHED", '{"kept":1}')]


async def test_a_name_is_free_again_in_the_batch_that_deletes_it(pool: asyncpg.Pool) -> None:
    life = await begin(pool)
    workflow = life.tenant._state.workflows_by_name["one"]
    await life.do(DeleteWorkflow(workflow.id), PutWorkflow(SPECS[0]))
    loaded = await life.reload()
    assert loaded._state.workflows_by_name["one"].id != workflow.id
    same(loaded, life.tenant)


# The fence -----------------------------------------------------------------------------------------------------------


async def test_an_older_epoch_writes_nothing(pool: asyncpg.Pool) -> None:
    life = await begin(pool)
    assert await take_lease(pool, life.tenant_id) == 2
    before = await contents(pool)
    for command in (
        TriggerRuns((RunRequest(workflow_name="dag", input="{}"),)),
        PutWorkflow(SPECS[1]),
        PushEvents((EventRequest(key="key", payload="{}"),)),
        RegisterWorker("w", ("s:a",), {"default": 1}),
    ):
        with pytest.raises(LeaseLost):
            await life.do(command)
        assert await contents(pool) == before, command


async def test_another_node_shuts_this_one_out_once_the_lease_ran_out(pool: asyncpg.Pool) -> None:
    life = await begin(pool)
    run_id = await trigger(life)
    assert await take_lease(pool, life.tenant_id, OTHER_NODE) is None
    await pool.execute("update broadaxe.lease set expires_at = now() - interval '1 second'")
    # Late, but nobody else took it: the lease still stands.
    await life.do(CancelTasks((run_id,)))
    assert await take_lease(pool, life.tenant_id, OTHER_NODE) == 2
    before = await contents(pool)
    with pytest.raises(LeaseLost):
        await trigger(life)
    assert await contents(pool) == before
    assert NODE != OTHER_NODE


@pytest.mark.parametrize("taken", [False, True], ids=["renewed", "taken"])
async def test_a_batch_that_waits_for_its_lease(database: str, pool: asyncpg.Pool, taken: bool) -> None:
    """The batch finds the lease locked, waits, and then finds another version of the row than the one it looked for."""
    life = await begin(pool)
    run_id = await trigger(life)
    settings = {name: str(value) for name, value in CONNECTION_SETTINGS.items()}
    async with asyncpg.create_pool(database, min_size=1, max_size=1, server_settings=settings) as connections:
        life.journal = Journal(connections, life.tenant_id, NODE, 1)
        await wait_for_the_lease(life, pool, run_id, taken)


async def wait_for_the_lease(life: Life, pool: asyncpg.Pool, run_id: str, taken: bool) -> None:
    requests = tuple(RunRequest(workflow_name="dag", input="{}") for _ in range(100))
    (others,), decision = await life.decide(TriggerRuns(requests))
    await life.commit(decision)
    _, decision = await life.decide(CancelTasks((run_id, *others)), TriggerRuns(requests))
    before = await contents(pool)
    async with pool.acquire() as renewing:
        transaction = renewing.transaction()
        await transaction.start()
        await renewing.execute(
            "update broadaxe.lease set expires_at = expires_at + interval '1 second', epoch = epoch + $1", int(taken)
        )
        committing = asyncio.create_task(life.commit(decision))
        while not await pool.fetchval("select exists (select 1 from pg_locks where not granted)"):
            assert not committing.done()
        await transaction.commit()
    if taken:
        with pytest.raises(LeaseLost):
            await committing
        del before["lease"]
        assert before.items() <= (await contents(pool)).items()
    else:
        await committing
        assert await pool.fetchval("select status::text from broadaxe.run where id = $1", run_id) == "CANCELLED"


async def test_the_tables_of_one_tenant_are_not_those_of_another(pool: asyncpg.Pool) -> None:
    one, other = await begin(pool, 1), await begin(pool, 2)
    await trigger(one)
    loaded = await other.reload()
    assert loaded.counts()["runs"] == 0
    same(await one.reload(), one.tenant)


async def test_history_of_a_plain_life(pool: asyncpg.Pool) -> None:
    life = await begin(pool)
    worker_id = await worker(life, "s:a")
    run_id = await trigger(life)
    await life.do(ReportAttempt(run_id, 0, Outcome.STARTED))
    await life.do(ReportAttempt(run_id, 0, Outcome.FAILED, "no"))
    await life.do(ReportAttempt(run_id, 1, Outcome.COMPLETED, '{"x":1}'))
    rows = await pool.fetch(
        "select seq, type::text, retry_count, worker_id::text, error from broadaxe.task_event order by seq"
    )
    assert [tuple(row) for row in rows] == [
        (1, TaskEventType.QUEUED, 0, None, None),
        (2, TaskEventType.ASSIGNED, 0, worker_id, None),
        (3, TaskEventType.SENT_TO_WORKER, 0, worker_id, None),
        (4, TaskEventType.STARTED, 0, worker_id, None),
        (5, TaskEventType.FAILED, 0, worker_id, "no"),
        (6, TaskEventType.RETRYING, 1, None, None),
        (7, TaskEventType.QUEUED, 1, None, None),
        (8, TaskEventType.ASSIGNED, 1, worker_id, None),
        (9, TaskEventType.SENT_TO_WORKER, 1, worker_id, None),
        (10, TaskEventType.FINISHED, 1, worker_id, None),
    ]
