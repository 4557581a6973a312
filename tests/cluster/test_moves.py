"""Tenants go where they belong: nodes come, drain and stop, and no call fails over it."""

from __future__ import annotations

import asyncio
from typing import cast

import asyncpg
import pytest

from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.commands.triggers import Promise, RunRequest, TriggerRuns
from broadaxe.core.commands.workers import PutWorkerLabels
from broadaxe.core.decision import Writes
from broadaxe.core.loaded import Loaded
from broadaxe.engine import activation, moves
from broadaxe.engine.changes import Kind
from broadaxe.engine.guests import Audience, Guest
from broadaxe.engine.postgres_store import PostgresStore, PostgresTenantStore
from broadaxe.errors import HeldElsewhere, Unavailable
from broadaxe.storage.connections import KeptConnections
from broadaxe.storage.ids import new_id
from broadaxe.storage.journal import CONNECTION_SETTINGS
from broadaxe.storage.nodes import drain_node, nodes
from tests.cluster.nodes import Node, node, see_each_other
from tests.engine.house import PATIENCE_S, House, assigned
from tests.storage.ground import NODE, make_tenant

#: Of loading a tenant that has definitions and workers at most: to begin, to hold, five questions, to end.
ROUND_TRIPS_MAX = 8


async def owner_becomes(pool: asyncpg.Pool, tenant_id: str, wanted: Node) -> None:
    """Waits for the tenant to be loaded there."""
    async with asyncio.timeout(PATIENCE_S):
        while not wanted.owns(tenant_id):
            await wanted.engine._activation(tenant_id)._changed.wait()


def belongs_at(owner: Node, *nodes: Node) -> None:
    """Every tenant does, as these nodes see it."""
    for each in nodes:
        members = each.store._leases.members
        members.place = lambda *_, of=members, **__: of.named(owner.store._leases.node_id)  # type: ignore[method-assign]


async def tenant_of(pool: asyncpg.Pool, owner: Node) -> str:
    """A tenant that belongs to this node."""
    while True:
        tenant_id = await make_tenant(pool)
        if owner.store.nodes.place(tenant_id) is None:
            return tenant_id


async def test_a_tenant_that_nobody_has_is_taken_where_it_belongs(database: str, pool: asyncpg.Pool) -> None:
    async with node(database, pool) as one, node(database, pool) as two, node(database, pool) as three:
        await see_each_other(one, two, three)
        tenant_id = await tenant_of(pool, three)
        await House(one.engine, tenant_id, pool).put()
        await House(two.engine, tenant_id, pool).trigger()
        assert [each.owns(tenant_id) for each in (one, two, three)] == [False, False, True]


async def test_a_tenant_whose_node_cannot_be_reached_is_taken_by_who_asks(database: str, pool: asyncpg.Pool) -> None:
    async with node(database, pool) as one:
        await pool.execute(
            "insert into broadaxe.node (id, address, link_address, version, expires_at)"
            " select $1, 'far:7077', '127.0.0.1:1', version, now() + interval '1 hour' from broadaxe.node",
            new_id(),
        )
        await one.look()
        while one.store.nodes.place(tenant_id := await make_tenant(pool)) is None:
            pass
        await House(one.engine, tenant_id, pool).put()
        assert one.owns(tenant_id)
        assert not one.engine.is_ready(), "a call for a tenant that the other one owns would not be taken"


async def test_a_tenant_is_handed_over_under_load_and_no_call_fails(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers and a worker at the owner, at its successor and at a third node, none of whom notices."""
    monkeypatch.setattr(moves, "SETTLED_S", 0.0)
    monkeypatch.setattr(moves, "BUSY_LOOKS_MAX", 0)
    async with node(database, pool) as one, node(database, pool) as two, node(database, pool) as three:
        await see_each_other(one, two, three)
        tenant_id = await tenant_of(pool, one)
        houses = [House(each.engine, tenant_id, pool) for each in (one, two, three)]
        await houses[0].put()
        session = await houses[2].session(slots=400)
        results = await three.engine.results(tenant_id)
        is_over = asyncio.Event()
        acknowledged: list[str] = []

        async def call(home: House) -> None:
            while not is_over.is_set():
                acknowledged.append(await home.trigger())

        callers = [asyncio.ensure_future(call(home)) for home in houses for _ in range(3)]
        started: list[str] = []
        epochs = [await _epoch(pool, tenant_id)]
        for successor in (two, three, one):
            for _ in range(10):
                attempt = (await assigned(session)).attempt
                started.append(attempt.task_id)
                results.add(attempt.task_id)
                assert await houses[2].report(attempt.task_id, Outcome.COMPLETED, "{}")
            holder = next(each for each in (one, two, three) if each.owns(tenant_id))
            belongs_at(successor, one, two, three)
            assert holder.engine._moves is not None
            await holder.engine._moves._move_out()
            assert successor.owns(tenant_id)
            epochs.append(await _epoch(pool, tenant_id))
        is_over.set()
        await asyncio.gather(*callers)
        assert epochs == [epochs[0] + n for n in range(4)], "it was loaded once by each"
        assert len(set(acknowledged)) == len(acknowledged)
        rows = await pool.fetch("select id from broadaxe.run where tenant_id = $1", tenant_id)
        assert {str(row["id"]) for row in rows} == set(acknowledged), "nothing lost, nothing doubled"
        told = {outcome.run_id for _ in started if (outcome := await asyncio.wait_for(results.next(), PATIENCE_S))}
        assert told == set(started)


async def test_a_draining_node_hands_over_takes_nothing_and_goes_on_serving(database: str, pool: asyncpg.Pool) -> None:
    async with node(database, pool) as one, node(database, pool) as two:
        await see_each_other(one, two)
        tenant_id, other_id = await tenant_of(pool, one), await tenant_of(pool, one)
        home = House(one.engine, tenant_id, pool)
        await home.put()
        assert one.owns(tenant_id)
        await drain_node(pool, one.store._leases.node_id[:13])
        await owner_becomes(pool, tenant_id, two)
        await home.trigger()
        await House(one.engine, other_id, pool).put()
        assert two.owns(other_id)
        assert one.engine.tenants_in_memory() == []
        assert {row.id: (row.tenants, row.draining_at is not None) for row in await nodes(pool)} == {
            one.store._leases.node_id: (0, True),
            two.store._leases.node_id: (2, False),
        }


async def test_a_node_that_comes_gets_its_share_and_again_after_a_drain_is_undone(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "SETTLED_S", 0.0)
    async with node(database, pool) as one:
        tenants = [await make_tenant(pool) for _ in range(8)]
        for tenant_id in tenants:
            await House(one.engine, tenant_id, pool).put()
        async with node(database, pool) as two:
            await see_each_other(one, two)
            share = [tenant_id for tenant_id in tenants if two.store.nodes.place(tenant_id) is None]
            for tenant_id in share:
                await owner_becomes(pool, tenant_id, two)
            assert sorted(one.engine.tenants_in_memory()) == sorted(set(tenants) - set(share))
            node_id = two.store._leases.node_id
            await drain_node(pool, node_id)
            for tenant_id in share:
                await owner_becomes(pool, tenant_id, one)
            await drain_node(pool, node_id, is_undone=True)
            for tenant_id in share:
                await owner_becomes(pool, tenant_id, two)
        for tenant_id in tenants:
            await House(one.engine, tenant_id, pool).trigger()
            assert one.owns(tenant_id), "the other one stopped and handed everything back"


async def test_work_of_a_killed_node_is_taken_up_without_a_call(database: str, pool: asyncpg.Pool) -> None:
    async with node(database, pool) as one, node(database, pool) as two:
        await see_each_other(one, two)
        tenant_id = await tenant_of(pool, two)
        home = House(two.engine, tenant_id, pool)
        await home.put()
        await home.trigger()
        assert two.owns(tenant_id)
        await two.kill()
        await owner_becomes(pool, tenant_id, one)
        assert one.store.nodes.others() == []


async def test_a_node_that_cannot_reach_the_database_sends_others_away_and_they_take_its_tenants(
    database: str, pool: asyncpg.Pool
) -> None:
    """Links to it are as good as ever. A call that is under way there ends with its link, and is made again."""
    async with node(database, pool) as one, node(database, pool) as two:
        await see_each_other(one, two)
        tenant_id = await tenant_of(pool, one)
        home = House(two.engine, tenant_id, pool)
        await home.put()
        session = await home.session()
        assert one.owns(tenant_id)
        async with House(one.engine, tenant_id, pool).held_journal():
            telling = asyncio.ensure_future(home.submit(PutWorkerLabels(session.worker_id, {"zone": "a"})))
            await home.journal_waits()
            await one.cut_off()
        await telling
        run_id = await home.trigger()
        assert two.owns(tenant_id)
        assert (await assigned(session)).attempt.task_id == run_id
        with pytest.raises(HeldElsewhere):
            await one.engine.welcome(tenant_id, Guest(cast(Audience, None)))


async def test_a_node_is_ready_to_load_and_commit_before_the_first_tenant_comes(
    database: str, pool: asyncpg.Pool
) -> None:
    """Statements are prepared on connections; each costs a round trip and its plan, which for tables with so many
    partitions takes longer than the load."""
    tenant_id = await make_tenant(pool)
    one = {"min_size": 1, "max_size": 1}
    async with (
        asyncpg.create_pool(database, reset=_keep, **one) as reading,
        asyncpg.create_pool(database, server_settings=dict(CONNECTION_SETTINGS), **one) as writing,
    ):
        store = PostgresStore(journal_pool=writing, pool=reading, node_id=NODE, address="here:7077")
        kept = await store.open(tenant_id)
        await store.warm()
        # Where the journal's connections are between two commits.
        pools = (reading, store._journal_connections)
        counts = [await _prepared(each) for each in pools]
        asked: list[str] = []
        async with reading.acquire() as connection:
            connection.add_query_logger(lambda query: asked.append(query.query))
        await kept.load_live(0)
        assert len(asked) <= ROUND_TRIPS_MAX, asked
        await kept.commit(Writes())
        assert [await _prepared(each) for each in pools] == counts
        await store.close()


async def _keep(_: asyncpg.Connection) -> None:
    """As our own pools do."""


async def _prepared(pool: asyncpg.Pool | KeptConnections) -> int:
    async with pool.acquire() as connection:
        await connection.execute("select 1")
        count: int = await connection.fetchval(r"select count(*) from pg_prepared_statements")
        return count


async def test_who_looks_at_the_nodes_is_told_that_one_has_come(database: str, pool: asyncpg.Pool) -> None:
    async with node(database, pool) as one:
        await one.look()
        tenant_id = await tenant_of(pool, one)
        changes = one.engine.follow_changes(tenant_id)
        await changes.next()
        async with node(database, pool) as two:
            await see_each_other(one, two)
            async with asyncio.timeout(PATIENCE_S):
                while Kind.NODES not in (await changes.next() or pytest.fail("the stream ended")).kinds:
                    pass


async def test_two_nodes_that_see_each_other_as_the_place_of_a_tenant_agree(database: str, pool: asyncpg.Pool) -> None:
    """For a moment nodes may see different nodes."""
    async with node(database, pool) as one, node(database, pool) as two:
        await see_each_other(one, two)
        tenant_id = await make_tenant(pool)
        belongs_at(two, one)
        belongs_at(one, two)
        await asyncio.gather(*(House(each.engine, tenant_id, pool).put() for each in (one, two)))
        assert [one.owns(tenant_id), two.owns(tenant_id)].count(True) == 1


async def test_nodes_that_look_for_a_tenant_at_each_other_do_not_wait_for_each_other(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has not heard yet that the other drains, and so each says that the tenant is the other's."""
    monkeypatch.setattr(activation, "HOLD_S", 30 * PATIENCE_S)
    async with node(database, pool) as one, node(database, pool) as two:
        await see_each_other(one, two)
        tenant_id = await make_tenant(pool)
        belongs_at(two, one)
        belongs_at(one, two)
        await drain_node(pool, two.store._leases.node_id)
        await two.look()
        sent_away = asyncio.Event()
        asked = activation.Activation.welcome

        async def welcome(which: activation.Activation, guest: Guest, unchanged_epoch: int | None) -> None:
            try:
                await asked(which, guest, unchanged_epoch)
            except HeldElsewhere:
                sent_away.set()
                raise

        monkeypatch.setattr(activation.Activation, "welcome", welcome)
        putting = asyncio.ensure_future(House(one.engine, tenant_id, pool).put())
        await asyncio.wait_for(sent_away.wait(), PATIENCE_S)
        belongs_at(one, one)
        await asyncio.wait_for(putting, PATIENCE_S)
        assert one.owns(tenant_id)


async def _epoch(pool: asyncpg.Pool, tenant_id: str) -> int:
    epoch: int = await pool.fetchval("select epoch from broadaxe.lease where tenant_id = $1", tenant_id)
    return epoch


@pytest.mark.parametrize("is_changed", [False, True], ids=["nothing since", "a commit since"])
async def test_a_tenant_is_read_before_it_is_let_go_and_again_only_if_something_was_committed_since(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, is_changed: bool
) -> None:
    async with node(database, pool) as one, node(database, pool) as two:
        await see_each_other(one, two)
        tenant_id = await tenant_of(pool, one)
        home = House(one.engine, tenant_id, pool)
        await home.put()
        runs = [await home.trigger()]
        loads: list[str] = []
        load_live, prepare = PostgresTenantStore.load_live, two.engine.prepare

        async def load_and_note(kept: PostgresTenantStore, now_us: int) -> Loaded:
            loads.append("anew")
            return await load_live(kept, now_us)

        async def prepare_and_change(tenant_id: str) -> bool:
            is_ahead = await prepare(tenant_id)
            loads.append("ahead")
            if is_changed:
                runs.append(await home.trigger())
            return is_ahead

        monkeypatch.setattr(PostgresTenantStore, "load_live", load_and_note)
        monkeypatch.setattr(two.engine, "prepare", prepare_and_change)
        (successor,) = one.store.nodes.others()
        await home.activation.hand_over(successor)
        assert two.owns(tenant_id)
        assert loads == (["ahead", "anew"] if is_changed else ["ahead"])
        session = await home.session()
        assert {(await assigned(session)).attempt.task_id for _ in runs} == set(runs)


async def test_what_was_read_ahead_of_a_hand_over_that_came_to_nothing_is_not_used_for_a_later_epoch(
    database: str, pool: asyncpg.Pool
) -> None:
    async with node(database, pool) as one, node(database, pool) as two:
        await see_each_other(one, two)
        tenant_id = await tenant_of(pool, one)
        home = House(one.engine, tenant_id, pool)
        await home.put()
        (successor,) = one.store.nodes.others()
        assert await two.engine.prepare(tenant_id)
        ahead = two.engine._activations[tenant_id]._ahead
        epoch = await _epoch(pool, tenant_id)
        run_id = await home.trigger()
        # Loaded anew, by whatever broke it: another epoch, and what was committed in the one before was not seen.
        home.activation.lease_lost()
        await home.trigger()
        await home.activation.hand_over(successor)
        await home.activation.put_away()
        behind = two.engine._activations[tenant_id]
        await behind.put_away()
        behind._ahead, behind._unchanged_epoch = ahead, epoch
        await House(two.engine, tenant_id, pool).trigger()
        assert await two.engine.is_live(tenant_id, run_id)


async def test_a_node_of_before_promises_is_asked_without_them_and_not_again(database: str, pool: asyncpg.Pool) -> None:
    async with node(database, pool) as one, node(database, pool) as two:
        await see_each_other(one, two)
        tenant_id = await tenant_of(pool, one)
        home = House(two.engine, tenant_id, pool)
        await home.put()
        (link,) = two.visitor._links.values()
        link.connection.peer_minor = 0
        promised = "00000000-0000-7000-8000-000000000000"
        first = TriggerRuns((RunRequest(workflow_name="flow", input="{}", promise=Promise(promised)),))
        (run_id,) = cast(tuple[str, ...], await home.submit(first))
        assert run_id != promised, "the older owner would not understand it"
        again = first.again()
        assert again is not None
        with pytest.raises(Unavailable, match="older version"):
            await home.submit(again)
        assert await home.count("run") == 1


async def test_a_node_that_knows_no_preparing_is_not_asked_for_it(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(database, pool) as one, node(database, pool) as two:
        await see_each_other(one, two)
        tenant_id = await tenant_of(pool, one)
        home = House(one.engine, tenant_id, pool)
        await home.put()
        (successor,) = one.store.nodes.others()
        assert await one.visitor.prepare(successor.link_address, tenant_id)
        one.visitor._links[successor.link_address].connection.peer_minor = 0
        monkeypatch.setattr(two.engine, "prepare", pytest.fail)
        await home.activation.hand_over(successor)
        assert two.owns(tenant_id)
