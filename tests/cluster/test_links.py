"""What a node asks of a tenant that another one owns, and what it is told: the same as if the tenant were here."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, cast

import asyncpg
import pytest

from broadaxe.core.attempts import CONFIRM_US
from broadaxe.core.commands.asked import Initiator, InitiatorKind
from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.commands.durable import BeginMemo, CompleteMemo
from broadaxe.core.commands.events import EventRequest, PushedEvent, PushEvents
from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.commands.topics import MessageRequest, PublishMessages
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import Heartbeat, OpenStream, RegisterWorker
from broadaxe.core.decision import MemoAck
from broadaxe.core.questions import QueuesInUse, WhyWaiting
from broadaxe.core.topics import topic_id
from broadaxe.engine.changes import Kind
from broadaxe.engine.guests import Audience, Guest
from broadaxe.engine.sessions import Assignment, Outgoing
from broadaxe.engine.subscriptions import LiveKind
from broadaxe.errors import HeldElsewhere, InvalidArgument, NotFound, Unavailable
from broadaxe.link import visitor
from broadaxe.link.connection import Connection
from broadaxe.storage import audit
from tests.cluster.nodes import node, pair
from tests.core.world import task
from tests.engine.house import PATIENCE_S, House, ManualClock, assigned, house
from tests.storage.ground import make_tenant

UNKNOWN = "00000000-0000-7000-8000-000000000000"


async def test_a_worker_and_a_caller_at_another_node(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, home):
        session = await home.session()
        results = await other.engine.results(tenant_id)
        run_id = await home.trigger('{"n": 1}')
        results.add(run_id)
        got = await assigned(session)
        assert (got.attempt.task_id, got.run_input) == (run_id, '{"n": 1}')
        await home.report(run_id, Outcome.STARTED)
        assert await home.report(run_id, Outcome.COMPLETED, '{"m": 2}')
        outcome = await asyncio.wait_for(results.next(), PATIENCE_S)
        assert outcome is not None
        assert [(t.name, t.output) for t in outcome.tasks] == [("a", '{"m": 2}')]
        assert owner.owns(tenant_id)
        assert not other.owns(tenant_id)


async def test_an_outcome_that_came_before_it_was_asked_for(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (_, other, home):
        session = await home.session()
        run_id = await home.trigger()
        await assigned(session)
        await home.report(run_id, Outcome.COMPLETED, "{}")
        results = await other.engine.results(tenant_id)
        results.add(run_id)
        outcome = await asyncio.wait_for(results.next(), PATIENCE_S)
        assert outcome is not None
        assert outcome.run_id == run_id


async def test_events_and_chunks_of_a_run_followed_at_another_node(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, _):
        there = House(owner.engine, tenant_id, pool)
        session = await there.session()
        by_metadata = await other.engine.watch_metadata(tenant_id, "chat", "7")
        run_id = await there.trigger(metadata='{"chat": "7"}')
        by_run = await other.engine.watch_run(tenant_id, run_id)
        assert await other.engine.is_live(tenant_id, run_id)
        await assigned(session)
        await there.report(run_id, Outcome.STARTED)
        await other.engine.put_chunk(tenant_id, run_id, "one", 0)
        await owner.engine.put_chunk(tenant_id, run_id, "two", 1)
        await there.report(run_id, Outcome.COMPLETED, "{}")
        for subscription in (by_run, by_metadata):
            seen = []
            while True:
                event = await asyncio.wait_for(subscription.next(), PATIENCE_S)
                assert event is not None
                seen.append(event)
                if event.is_last:
                    break
            assert [e.payload for e in seen if e.kind is LiveKind.CHUNK] == ["one", "two"]
            assert seen[-1].kind is LiveKind.FINISHED
            other.engine.unwatch(tenant_id, subscription)


@pytest.mark.parametrize("is_late", [False, True], ids=["the link breaks", "it was said late"])
async def test_a_run_that_began_and_ended_before_it_was_known_who_follows_its_metadata(
    database: str, pool: asyncpg.Pool, is_late: bool
) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, home):
        there = House(owner.engine, tenant_id, pool)
        session = await there.session()
        await home.trigger(metadata='{"chat": "7"}')
        await there.report((await assigned(session)).attempt.task_id, Outcome.COMPLETED, "{}")
        remote, (link,) = home.activation._remote, other.visitor._links.values()
        assert remote is not None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(remote, "want_metadata", lambda key, value: None)
            follower = await other.engine.watch_metadata(tenant_id, "chat", "7")
        run_id = await there.trigger(metadata='{"chat": "7"}')
        await there.report((await assigned(session)).attempt.task_id, Outcome.COMPLETED, "{}")
        if is_late:
            remote.want_metadata("chat", "7")
        else:
            link.connection.close("a test cuts it")
        event = await asyncio.wait_for(follower.next(), PATIENCE_S)
        assert event is not None
        # The one that had ended before is nothing to whoever follows later.
        assert (event.kind, event.run_id, event.is_last) == (LiveKind.FINISHED, run_id, True)
        other.engine.unwatch(tenant_id, follower)


async def test_durable_tasks_of_a_worker_at_another_node(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, home):
        await home.put(task("a", is_durable=True))
        worker_id = await home.submit(RegisterWorker("worker", ("flow:a",), {"durable": 10}))
        assert isinstance(worker_id, str)
        session = await other.engine.open_session(tenant_id, worker_id)
        stream = await other.engine.open_durable_stream(tenant_id)
        await other.engine.register_durable_stream(tenant_id, stream, session.worker_id)
        run_id = await home.trigger()
        attempt = (await assigned(session)).attempt
        assert attempt.invocation_count is not None
        begin = stream.ask(BeginMemo(stream=stream.number, task_id=run_id, invocation_count=attempt.invocation_count))
        await stream.decide(begin, home.submit)
        answer = await asyncio.wait_for(stream.next(), PATIENCE_S)
        assert answer is not None
        assert isinstance(answer.effect, MemoAck)
        ref = answer.effect.ref
        done = stream.ask(
            CompleteMemo(
                stream=stream.number,
                task_id=run_id,
                invocation_count=attempt.invocation_count,
                branch_id=ref.branch_id,
                node_id=ref.node_id,
                payload='"kept"',
            )
        )
        # The owner goes; the stream stays, and what is said on it now is decided here.
        await owner.engine.stop()
        await stream.decide(done, home.submit)
        assert other.owns(tenant_id)
        assert await pool.fetchval("select count(*) from broadaxe.durable_entry") == 1


async def test_what_changes_is_told_to_who_looks_at_another_node(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, _):
        changes = other.engine.follow_changes(tenant_id)
        await changes.next()
        there = House(owner.engine, tenant_id, pool)
        run_id = await there.trigger()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                told = await changes.next()
                assert told is not None
                if Kind.RUNS in told.kinds and (told.ids is None or run_id in told.ids):
                    break
            at_owner = owner.engine.follow_changes(tenant_id)
            await at_owner.next()
            other.engine.note_change(tenant_id, Kind.LOGS, [run_id])
            while (told := await at_owner.next()) is not None and Kind.LOGS not in told.kinds:
                pass
            assert told is not None
            assert told.ids == {run_id}


async def test_errors_questions_and_partial_replies_come_over_the_link(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (_, other, home):
        with pytest.raises(NotFound, match="there is no task run"):
            await other.engine.check_task(tenant_id, UNKNOWN)
        with pytest.raises(InvalidArgument, match="no workflow is registered"):
            await home.submit(TriggerRuns((RunRequest(workflow_name="nobody's", input="{}"),)))
        run_id = await home.trigger()
        why = await other.engine.ask(tenant_id, WhyWaiting((run_id,)))
        assert [entry.task_id for entry in why.tasks] == [run_id]
        assert await other.engine.ask(tenant_id, QueuesInUse()) is not None
        pushed = await other.engine.submit(tenant_id, PushEvents((EventRequest(key="key", payload="{}"),)))
        assert isinstance(pushed, tuple)
        assert type(pushed[0]).__name__ == "PushedEvent"
        ann = Initiator(InitiatorKind.ACCOUNT, "ann-id", "ann@example.com", "192.0.2.7")
        assert await other.engine.submit(tenant_id, CancelTasks((run_id,)), by=ann) == (run_id,)
    (entry,) = (await audit.page(pool, tenant_id, audit.AuditFilter(), limit=9)).rows
    assert (entry.row.action, entry.row.object_id, entry.row.by_name) == ("run.cancel", run_id, "ann@example.com")


async def test_a_worker_that_comes_back_at_another_node_leaves_its_older_stream(
    database: str, pool: asyncpg.Pool
) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, home):
        worker_id = await home.worker()
        older = await other.engine.open_session(tenant_id, worker_id)
        newer = await owner.engine.open_session(tenant_id, worker_id)
        assert await asyncio.wait_for(older.next(), PATIENCE_S) is None
        run_id = await home.trigger()
        assert (await assigned(newer)).attempt.task_id == run_id
        newest = await other.engine.open_session(tenant_id, worker_id)
        assert await asyncio.wait_for(newer.next(), PATIENCE_S) is None
        assert not newest.is_closed


class Told:
    """The way to a guest, which notes what is sent to workers there and what stream it is told to be replaced."""

    def __init__(self) -> None:
        self.streams: list[tuple[str, int]] = []
        self.sent: list[Outgoing] = []

    def send(self, worker_id: str, item: Outgoing) -> None:
        self.sent.append(item)

    def replaced(self, worker_id: str, session: int) -> None:
        self.streams.append((worker_id, session))

    def shown_out(self, *, is_at_rest: bool) -> None:
        pass

    def attempt_begins(self, task_id: str) -> None:
        pass


@pytest.mark.parametrize("newest_is_here", [True, False])
async def test_a_node_that_comes_back_with_an_older_stream_of_a_worker_ends_no_newer_one(
    newest_is_here: bool, database: str, pool: asyncpg.Pool
) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, home):
        worker_id = await home.worker()
        newest = await (owner if newest_is_here else other).engine.open_session(tenant_id, worker_id)
        told = Told()
        frozen = Guest(cast(Audience, told))
        await owner.engine.welcome(tenant_id, frozen)
        older = newest.number - 1
        await owner.engine.submit_of_guest(tenant_id, frozen, OpenStream(worker_id, older))
        assert told.streams == [(worker_id, older)]
        run_id = await home.trigger()
        assert (await assigned(newest)).attempt.task_id == run_id
        assert not newest.is_closed


async def test_what_was_sent_over_a_way_that_broke_unnoticed_is_sent_again_over_the_next(
    database: str, pool: asyncpg.Pool
) -> None:
    """A node comes back over a new link, with the streams it had, before the owner notices that the old one is gone."""
    clock = ManualClock(time.time_ns() // 1000)
    async with house(database, pool, clock=clock) as home:
        await home.put()
        worker_id, engine, tenant_id = await home.worker(), home.engine, home.tenant_id
        number = await engine.next_number(tenant_id)
        broken, next_ = Told(), Told()
        for told in (broken, next_):
            guest = Guest(cast(Audience, told))
            await engine.welcome(tenant_id, guest)
            await engine.submit_of_guest(tenant_id, guest, OpenStream(worker_id, number))
            if told is broken:
                run_id = await home.trigger()
                assert [item.attempt.task_id for item in broken.sent if isinstance(item, Assignment)] == [run_id]
        assert next_.sent == []
        clock.us += CONFIRM_US
        await home.submit(Heartbeat(worker_id))
        assert [item.attempt.task_id for item in next_.sent if isinstance(item, Assignment)] == [run_id]
        engine.part_with(tenant_id, guest)


async def test_what_a_guest_asks_is_decided_by_the_memory_that_knows_what_it_has_open(
    database: str, pool: asyncpg.Pool
) -> None:
    """After a load it says that first, and asks again then."""
    async with house(database, pool) as home:
        await home.put()
        guest, command = Guest(cast(Audience, Told())), TriggerRuns((RunRequest(workflow_name="flow", input="{}"),))
        await home.engine.welcome(home.tenant_id, guest)
        assert await home.engine.submit_for_guest(home.tenant_id, guest, command, "caller")
        # The tenant is loaded anew over the next commit.
        await pool.execute("update broadaxe.lease set epoch = epoch + 1")
        with pytest.raises(HeldElsewhere):
            await home.engine.submit_for_guest(home.tenant_id, guest, command, "caller")
        await home.engine.welcome(home.tenant_id, guest)
        assert await home.engine.submit_for_guest(home.tenant_id, guest, command, "caller")
        assert await home.count("run") == 2


async def test_a_link_that_was_given_up_brings_nothing_once_there_is_a_newer_one(
    database: str, pool: asyncpg.Pool
) -> None:
    """What was on its way over it is asked for again over the newer one, and would come a second time."""
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (_, other, home):
        await home.trigger()
        (given_up,) = other.visitor._links.values()
        # As one is of which nothing was heard: the owner has not noticed.
        other.visitor._links.clear()
        newer = await other.visitor._link(given_up.address)
        await asyncio.wait_for(given_up.gone_away.wait(), PATIENCE_S)
        assert newer.connection.is_open
        await home.trigger()


async def test_who_asks_during_a_hand_over_opens_no_second_way_to_the_new_owner(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, _):
        home = House(owner.engine, tenant_id, pool)
        (successor,) = owner.store.nodes.others()
        is_let_go = asyncio.Event()
        release = owner.store.release

        async def release_and_tell(tenant_id: str, successor: str | None = None) -> None:
            is_let_go.set()
            await release(tenant_id, successor)

        monkeypatch.setattr(owner.store, "release", release_and_tell)
        moving = asyncio.ensure_future(owner.engine._activations[tenant_id].hand_over(successor))
        await asyncio.wait_for(is_let_go.wait(), PATIENCE_S)
        assert not owner.owns(tenant_id)
        await home.trigger()
        await moving
        activation = owner.engine._activations[tenant_id]
        if activation._loading is not None:
            await asyncio.wait((activation._loading,))
        assert len(other.engine._activations[tenant_id].streams.guests._all) == 1


async def test_a_tenant_that_moves_on_in_the_moment_it_is_attached_to_is_looked_for_again(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner's answer and the word that it has moved on come in one read, so the way is lost before it is used."""
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, home):
        attach = visitor._Link.attach
        lost: list[visitor._Remote] = []

        async def attach_and_lose(link: visitor._Link, *args: Any) -> visitor._Remote:
            remote = await attach(link, *args)
            if not lost:
                lost.append(remote)
                is_lost = asyncio.Event()
                on_lost = remote._on_lost

                def lose(is_at_rest: bool) -> None:
                    on_lost(is_at_rest)
                    is_lost.set()

                remote._on_lost = lose
                owner.engine._activations[tenant_id].streams.guests.show_out()
                await asyncio.wait_for(is_lost.wait(), PATIENCE_S)
            return remote

        monkeypatch.setattr(visitor._Link, "attach", attach_and_lose)
        await home.trigger()
        assert lost[0].is_lost
        assert other.engine._activations[tenant_id]._remote not in (None, lost[0])


async def test_two_hosts_that_give_out_the_same_address_do_not_take_the_tenant_from_each_other(
    database: str, pool: asyncpg.Pool
) -> None:
    """As two machines do on which nobody has said another one: their ids tell them apart."""
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, _):
        rows = await pool.fetch("select id::text, address from broadaxe.node")
        assert len({row["id"] for row in rows}) == 2
        assert len({row["address"] for row in rows}) == 1
        epoch = await pool.fetchval("select epoch from broadaxe.lease")
        for each in (owner, other) * 3:
            await House(each.engine, tenant_id, pool).trigger()
        assert await pool.fetchval("select epoch from broadaxe.lease") == epoch
        assert owner.owns(tenant_id)
        assert not other.owns(tenant_id)


# Losing the owner ----------------------------------------------------------------------------------------------------


async def test_a_killed_owner_costs_nobody_a_call(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, home):
        session = await home.session()
        results = await other.engine.results(tenant_id)
        before = await home.trigger()
        results.add(before)
        await assigned(session)
        await home.report(before, Outcome.STARTED)
        await owner.kill()
        assert await home.report(before, Outcome.COMPLETED, "{}")
        after = await home.trigger()
        assert other.owns(tenant_id)
        assert (await assigned(session)).attempt.task_id == after
        outcome = await asyncio.wait_for(results.next(), PATIENCE_S)
        assert outcome is not None
        assert outcome.run_id == before


async def test_what_a_killed_owner_decided_and_did_not_tell_goes_out_as_soon_as_somebody_decides(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what came is with its worker: nobody waits for a confirmation that may take as long as it likes."""
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, home):
        session = await home.session()
        came = await home.trigger()
        await assigned(session)
        guests = owner.engine._activations[tenant_id].streams.guests
        monkeypatch.setattr(guests, "send", lambda *_: True)
        untold = await home.trigger()
        await owner.kill()
        attempt = (await assigned(session)).attempt
        assert (attempt.task_id, attempt.retry_count) == (untold, 1)
        assert other.owns(tenant_id)
        why = "select message from broadaxe.task_event where task_id = $1 and type = 'COULD_NOT_SEND_TO_WORKER'"
        assert [row["message"] for row in await pool.fetch(why, untold)] == [
            "it was not told before the tenant was loaded anew"
        ]
        present = other.engine._activations[tenant_id].present
        assert present is not None
        running = present.tenant._state.tasks[came]
        assert (running.retry_count, running.confirm_by_us) == (0, None)


@pytest.mark.parametrize("is_push", [False, True], ids=["a trigger", "a push"])
@pytest.mark.parametrize("is_made", [True, False], ids=["made", "not made"])
async def test_what_was_under_way_when_the_owner_was_killed_makes_one_run_and_is_answered(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch, is_made: bool, is_push: bool
) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, home):
        await home.put(event_triggers=("order",))

        async def ask() -> str:
            if not is_push:
                return await home.trigger('{"key": 1}')
            reply = await home.submit(PushEvents((EventRequest(key="order", payload='{"key": 1}'),)))
            (pushed,) = cast(tuple[PushedEvent, ...], reply)
            (run_id,) = pushed.run_ids
            return run_id

        await home.trigger()
        if is_made:
            is_decided = asyncio.Event()
            (visit,) = owner.host._visits
            monkeypatch.setattr(visit.connection, "post", lambda *_, **__: is_decided.set())
            calling = asyncio.ensure_future(ask())
            await asyncio.wait_for(is_decided.wait(), PATIENCE_S)
            await owner.kill()
        else:
            async with home.held_journal():
                calling = asyncio.ensure_future(ask())
                await home.journal_waits()
                await owner.kill()
        run_id = await calling
        assert other.owns(tenant_id)
        rows = await pool.fetch("select id::text, input::text from broadaxe.run order by id")
        assert [(row["id"], row["input"]) for row in rows[1:]] == [(run_id, '{"key": 1}')]
        assert await home.count("event") == is_push


async def test_an_owner_that_stops_hands_over(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, home):
        session = await home.session()
        under_way = [asyncio.ensure_future(home.trigger()) for _ in range(20)]
        stopping = asyncio.ensure_future(owner.engine.stop())
        later = [asyncio.ensure_future(home.trigger()) for _ in range(20)]
        runs = await asyncio.gather(*under_way, *later)
        await stopping
        assert len(set(runs)) == 40
        assert await home.count("run") == 40
        assert other.owns(tenant_id)
        assert {(await assigned(session)).attempt.task_id for _ in runs} == set(runs)


async def test_a_tenant_at_rest_is_put_away_though_another_node_knows_it(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant_id = await make_tenant(pool)
    async with pair(database, pool, tenant_id) as (owner, other, home):
        await home.put()
        monkeypatch.setattr("broadaxe.engine.engine.IDLE_S", 0.0)
        await owner.engine._put_idle_away()
        assert not owner.owns(tenant_id)
        # Who asks next has it; which of them that is depends on whether the news was there before the question.
        await home.put(name="another")
        assert owner.owns(tenant_id) != other.owns(tenant_id)


async def test_a_node_that_only_claims_to_be_of_the_cluster_is_refused(database: str, pool: asyncpg.Pool) -> None:
    tenant_id = await make_tenant(pool)
    async with node(database, pool) as owner:
        await House(owner.engine, tenant_id, pool).put()
        address = await pool.fetchval("select link_address from broadaxe.node")
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(b"a guess of thirty-two bytes or so", is_caller=True), host, int(port)
        )
        with pytest.raises(Unavailable):
            await asyncio.wait_for(connection.proved, PATIENCE_S)
        assert not connection.is_open
        # What is no frame at all, and one that says that it is larger than all that may come before the proof.
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x05hello", b"\x7f\xff\xff\xff"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(garbage)
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
            writer.close()


async def test_topics_are_published_to_and_read_at_another_node_whoever_decides(
    database: str, pool: asyncpg.Pool
) -> None:
    tenant_id, news = await make_tenant(pool), topic_id("", "news")
    async with pair(database, pool, tenant_id) as (owner, other, home):
        there = House(owner.engine, tenant_id, pool)
        reader = await other.engine.follow_topic(tenant_id, news, None)
        seen: list[bytes] = []

        async def until(count: int) -> None:
            while len(seen) < count:
                seen.extend(m.payload for m in await asyncio.wait_for(reader.next(), PATIENCE_S))

        for number in range(10):
            at = there if number % 2 else home
            await at.submit(PublishMessages((MessageRequest(topic="news", payload=b"%d" % number),)))
            await until(number + 1)
        # More than readers are given at once over the link.
        await there.submit(PublishMessages(tuple(MessageRequest(topic="news", payload=bytes(600_000)) for _ in "ab")))
        await until(12)
        await owner.kill()
        await home.submit(PublishMessages((MessageRequest(topic="news", payload=b"after"),)))
        await until(13)
        assert seen == [*(b"%d" % number for number in range(10)), bytes(600_000), bytes(600_000), b"after"]
        assert other.owns(tenant_id)
        other.engine.unfollow_topic(tenant_id, reader)
