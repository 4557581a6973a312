"""Transactional enqueue over a real database: from the commit of an application to the worker, whatever dies."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.commands.workflows import PutWorkflow
from broadaxe.core.definition import WorkflowSpec
from broadaxe.engine import outbox as pump_module
from broadaxe.rpc import assignments
from broadaxe.storage import outbox as outbox_module
from broadaxe.storage.outbox import CHANNEL
from tests.core.world import task
from tests.engine.house import PATIENCE_S, House, Seen, assigned, house, listening_house, nothing_waits
from tests.storage.ground import OTHER_NODE, make_tenant


async def enqueue(
    db: asyncpg.Pool | asyncpg.Connection, tenant_id: str, run_input: str = "{}", name: str = "flow"
) -> str:
    run_id: str = await db.fetchval("select broadaxe.enqueue($1, $2, tenant => $3)::text", name, run_input, tenant_id)
    return run_id


async def listener_pids(pool: asyncpg.Pool) -> list[int]:
    rows = await pool.fetch(
        "select pid from pg_stat_activity where datname = current_database() and application_name = 'broadaxe outbox'"
    )
    return [row["pid"] for row in rows]


async def test_a_committed_run_reaches_the_worker_and_a_rolled_back_one_does_not(
    database: str, pool: asyncpg.Pool
) -> None:
    async with listening_house(database, pool) as home:
        await home.put()
        session = await home.session()
        async with pool.acquire() as connection:
            with pytest.raises(ZeroDivisionError):
                async with connection.transaction():
                    await enqueue(connection, home.tenant_id, '{"n": 0}')
                    raise ZeroDivisionError
            async with connection.transaction():
                run_id = await enqueue(connection, home.tenant_id, '{"n": 1}')
                assert nothing_waits(session)
        assignment = await assigned(session)
        assert assignment.attempt.run_id == run_id
        assert '"input":{"n": 1}' in assignments.payload(assignment)
        assert await home.count("run") == 1
        assert await home.count("outbox") == 0
        # The id is good for every call, as any other.
        assert await home.report(run_id, Outcome.COMPLETED, '{"done":1}')


async def test_an_event_reaches_the_workflows_that_wait_for_it(database: str, pool: asyncpg.Pool) -> None:
    async with listening_house(database, pool) as home:
        spec = WorkflowSpec(name="flow", tasks=(task("a"),), event_triggers=("order:*",))
        await home.engine.submit(home.tenant_id, PutWorkflow(spec))
        session = await home.session()
        event_id = await pool.fetchval("select broadaxe.push_event('order:made', '{\"n\": 1}')::text")
        attempt = (await assigned(session)).attempt
        assert (attempt.triggering_event_id, attempt.triggering_event_key) == (event_id, "order:made")
        assert await pool.fetchval("select payload from broadaxe.event where id = $1", event_id) == '{"n": 1}'


async def test_a_thousand_of_one_transaction_start_in_the_order_of_the_calls(database: str, pool: asyncpg.Pool) -> None:
    seen = Seen()
    async with listening_house(database, pool, observe=seen) as home:
        await home.put()
        async with pool.acquire() as connection, connection.transaction():
            ids = [await enqueue(connection, home.tenant_id, f'{{"n": {n}}}') for n in range(1000)]
            # Not before: a thousand calls take a busy machine longer than a worker may be silent.
            session = await home.session(slots=2000)
        assert await seen.next_runs(1000) == ids
        assert [(await assigned(session)).attempt.run_id for _ in ids] == ids
        batches = [len(decision.writes.taken) for decision in seen.decisions if decision.writes.taken]
        assert batches == [500, 500]
        assert await home.count("outbox") == 0


async def test_many_transactions_at_once_share_commits_and_keep_their_order(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump_module, "READ_TRANSACTIONS_MAX", 7)
    seen = Seen()
    async with listening_house(database, pool, observe=seen) as home:
        await home.put()
        async with home.held_journal():
            ids = [await enqueue(pool, home.tenant_id) for _ in range(30)]
            await home.journal_waits()
        assert await seen.next_runs(30) == ids
        assert len([decision for decision in seen.decisions if decision.writes.taken]) < 10


async def test_more_transactions_than_are_remembered_are_read_all_at_once(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump_module, "TOLD_MAX", 3)
    seen = Seen()
    async with listening_house(database, pool, observe=seen) as home:
        await home.put()
        async with home.held_journal():
            ids = [await enqueue(pool, home.tenant_id) for _ in range(20)]
            await home.journal_waits()
        assert sorted(await seen.next_runs(20)) == sorted(ids)
        assert await home.count("outbox") == 0


async def test_a_row_that_cannot_be_done_is_put_aside_and_does_not_hold_up_the_rest(
    database: str, pool: asyncpg.Pool
) -> None:
    async with listening_house(database, pool) as home:
        await home.put()
        session = await home.session()
        async with pool.acquire() as connection, connection.transaction():
            first = await enqueue(connection, home.tenant_id)
            # Gone by the time the engine comes to it.
            await connection.execute(
                "insert into broadaxe.workflow (tenant_id, id, name, created_at, updated_at) "
                "values ($1, gen_random_uuid(), 'fleeting', now(), now())",
                home.tenant_id,
            )
            refused = await enqueue(connection, home.tenant_id, '{"keep": "me"}', "fleeting")
            last = await enqueue(connection, home.tenant_id)
        assert [(await assigned(session)).attempt.run_id for _ in range(2)] == [first, last]
        (row,) = await pool.fetch("select *, id::text as id_text from broadaxe.outbox_refused")
        assert (row["id_text"], row["name"], row["payload"]) == (refused, "fleeting", '{"keep": "me"}')
        assert "fleeting" in row["reason"]
        assert await home.count("outbox") == 0


async def test_two_tenants_do_not_get_each_others_runs(database: str, pool: asyncpg.Pool) -> None:
    async with listening_house(database, pool) as home:
        other = House(home.engine, await make_tenant(pool), pool)
        sessions = {}
        for each in (home, other):
            await each.put()
            sessions[each.tenant_id] = await each.session()
        async with pool.acquire() as connection, connection.transaction():
            for n in range(3):
                for each in (home, other):
                    await enqueue(connection, each.tenant_id, f'{{"mine": "{each.tenant_id}", "n": {n}}}')
        for tenant_id, session in sessions.items():
            payloads = [assignments.payload(await assigned(session)) for _ in range(3)]
            assert all(f'"mine": "{tenant_id}"' in payload for payload in payloads)
            assert nothing_waits(session)


# What dies, and what is missed ---------------------------------------------------------------------------------------


async def test_an_inactive_tenant_is_woken_by_the_notification(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
    seen = Seen()
    async with listening_house(database, pool, tenant_id=home.tenant_id, observe=seen):
        # Nothing is live, so nobody has activated the tenant.
        run_id = await enqueue(pool, home.tenant_id)
        assert await seen.next_runs(1) == [run_id]


async def test_what_was_committed_while_no_engine_ran_is_done_at_the_start(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
    ids = [await enqueue(pool, home.tenant_id) for _ in range(3)]
    seen = Seen()
    async with listening_house(database, pool, tenant_id=home.tenant_id, observe=seen):
        assert await seen.next_runs(3) == ids


async def test_what_was_committed_while_the_listener_was_cut_off_is_done(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "RECONNECT_AFTER_S", 0.01)
    seen = Seen()
    async with listening_house(database, pool, observe=seen) as home:
        await home.put()
        for _ in range(3):
            (pid,) = await listener_pids(pool)
            # In one statement, so that the notification finds nobody.
            run_id = await pool.fetchval(
                "with cut as materialized (select pg_terminate_backend($1, 10000) as is_gone) "
                "select broadaxe.enqueue('flow')::text from cut where is_gone",
                pid,
            )
            assert await seen.next_runs(1) == [run_id]
        assert await home.count("run") == 3


async def test_a_failed_commit_leaves_the_rows_which_become_runs_once(database: str, pool: asyncpg.Pool) -> None:
    seen = Seen()
    async with listening_house(database, pool, observe=seen) as home:
        await home.put()
        for _ in range(3):
            async with home.held_journal():
                async with pool.acquire() as connection, connection.transaction():
                    ids = [await enqueue(connection, home.tenant_id) for _ in range(5)]
                await home.cut_off(await home.journal_waits())
            assert await seen.next_runs(5) == ids
        assert await home.count("run") == 15
        assert await home.count("outbox") == 0


async def test_another_node_takes_the_outbox_of_a_tenant_whose_owner_died(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
    seen = Seen()
    # The lease of a node that is no more, and has a second left.
    await pool.execute(
        "update broadaxe.lease set node_id = $1, expires_at = clock_timestamp() + interval '1 second'", OTHER_NODE
    )
    async with listening_house(database, pool, tenant_id=home.tenant_id, observe=seen) as second:
        second.engine._wake_again_after_s = 0.5
        run_id = await enqueue(pool, home.tenant_id)
        assert await seen.next_runs(1) == [run_id]


async def test_notifications_of_strangers_do_no_harm(database: str, pool: asyncpg.Pool) -> None:
    seen = Seen()
    async with listening_house(database, pool, observe=seen) as home:
        await home.put()
        for payload in (
            "",
            "nonsense",
            "00000000-0000-7000-8000-000000000000 5",
            f"{home.tenant_id}",
            f"{home.tenant_id} ",
            f"{home.tenant_id} -1",
            f"{home.tenant_id} \N{ARABIC-INDIC DIGIT ONE}",
            f"{home.tenant_id} {'9' * 30}",
            f"{home.tenant_id} 999999999999999999",
            f"{home.tenant_id.upper()} 7",
        ):
            await pool.execute("select pg_notify($1, $2)", CHANNEL, payload)
        run_id = await enqueue(pool, home.tenant_id)
        assert await seen.next_runs(1) == [run_id]
        assert home.engine.tenants_in_memory() == [home.tenant_id]


async def test_the_stop_leaves_what_it_did_not_do(database: str, pool: asyncpg.Pool) -> None:
    seen = Seen()
    async with listening_house(database, pool, observe=seen) as home:
        await home.put()
        async with pool.acquire() as connection, connection.transaction():
            ids = [await enqueue(connection, home.tenant_id) for _ in range(1200)]
        await seen.next_runs(1)
    done = await home.count("run")
    assert done + await home.count("outbox") == 1200
    async with listening_house(database, pool, tenant_id=home.tenant_id) as again:
        # A command behind the pages: when it is answered and nothing is left, all is done.
        async with asyncio.timeout(PATIENCE_S):
            while await again.count("outbox"):
                await again.engine.submit(again.tenant_id, CancelTasks(()))
        rows = await pool.fetch("select id::text as id from broadaxe.run order by id")
        assert sorted(row["id"] for row in rows) == sorted(ids)


async def again(db: asyncpg.Pool | asyncpg.Connection, tenant_id: str, run_id: str) -> None:
    """Puts a row into the outbox that promises the id of a run there is. No commit can ever make that run."""
    await db.execute(
        "insert into broadaxe.outbox (tenant_id, id, transaction_id, kind, name, payload, created_at) "
        "values ($1, $2, pg_current_xact_id()::text::bigint, 'RUN', 'flow', '{}', now())",
        tenant_id,
        run_id,
    )


@pytest.mark.parametrize("count", [0, 4], ids=["alone", "among-others"])
async def test_a_row_that_breaks_the_tenant_is_put_aside_and_the_others_go_on(
    database: str, pool: asyncpg.Pool, count: int
) -> None:
    seen = Seen()
    async with listening_house(database, pool, observe=seen) as home:
        await home.put()
        session = await home.session()
        await enqueue(pool, home.tenant_id)
        (first,) = await seen.next_runs(1)
        assert await home.report((await assigned(session)).attempt.task_id, Outcome.COMPLETED, '{"n":1}')
        async with pool.acquire() as connection, connection.transaction():
            ids = [await enqueue(connection, home.tenant_id) for _ in range(count)]
            await again(connection, home.tenant_id, first)
            ids += [await enqueue(connection, home.tenant_id) for _ in range(count)]
            await connection.execute("select pg_notify($1, $2)", CHANNEL, f"{home.tenant_id} {await xid(connection)}")
        assert await seen.next_runs(2 * count) == ids
        refused = await until_refused(pool)
        assert str(refused["id"]) == first
        assert "broke over it 3 times" in refused["reason"]
        assert await home.count("outbox") == 0
        # It is over: the tenant stays as it is, and the run that was there is untouched.
        epoch = await pool.fetchval("select epoch from broadaxe.lease")
        assert await enqueue(pool, home.tenant_id) == (await seen.next_runs(1))[0]
        assert await pool.fetchval("select epoch from broadaxe.lease") == epoch
        assert await pool.fetchval("select output from broadaxe.task where id = $1", first) == '{"n":1}'


async def xid(connection: asyncpg.Connection) -> int:
    transaction: int = await connection.fetchval("select pg_current_xact_id()::text::bigint")
    return transaction


async def until_refused(pool: asyncpg.Pool) -> asyncpg.Record:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            rows = await pool.fetch("select * from broadaxe.outbox_refused")
            if rows:
                (row,) = rows
                return row
            await asyncio.sleep(0.005)
