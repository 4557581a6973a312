"""The engine over a real database: nothing leaves before the commit, and a broken tenant comes back by itself."""

from __future__ import annotations

import asyncio
import time

import asyncpg
import pytest

from broadaxe.core.attempts import CONFIRM_US
from broadaxe.core.commands import Reply
from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import Heartbeat
from broadaxe.core.decision import CancelAttempt, Decision
from broadaxe.core.lifecycle import RunStatus
from broadaxe.engine import activation as activation_module
from broadaxe.engine import backpressure, inbox, subscriptions
from broadaxe.engine.subscriptions import LiveKind
from broadaxe.errors import NotFound, ResourceExhausted, Unavailable
from broadaxe.rpc import assignments
from broadaxe.storage.ids import id_time
from tests.core.world import task
from tests.engine.house import PATIENCE_S, House, LosingAnswers, ManualClock, Seen, assigned, house, nothing_waits
from tests.storage.ground import OTHER_NODE, contents, take_lease

UNKNOWN = "00000000-0000-7000-8000-000000000000"
TRIGGER = TriggerRuns((RunRequest(workflow_name="flow", input="{}"),))


# Commit before anything else -----------------------------------------------------------------------------------------


async def test_no_reply_and_no_assignment_leaves_before_the_commit(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        session = await home.session()
        async with home.held_journal():
            reply = asyncio.ensure_future(home.engine.submit(home.tenant_id, TRIGGER))
            await home.journal_waits()
            assert not reply.done()
            assert nothing_waits(session)
        (run_id,) = await reply  # type: ignore[misc]
        assignment = await assigned(session)
        assert assignment.attempt.task_id == run_id
        assert await home.count("run") == 1


async def test_commands_that_come_during_a_commit_share_the_next_one(database: str, pool: asyncpg.Pool) -> None:
    decisions: list[Decision] = []
    async with house(database, pool, observe=lambda _, decision: decisions.append(decision)) as home:
        await home.put()
        async with home.held_journal():
            first = asyncio.ensure_future(home.engine.submit(home.tenant_id, TRIGGER))
            await home.journal_waits()
            others = [asyncio.ensure_future(home.engine.submit(home.tenant_id, TRIGGER)) for _ in range(20)]
            decisions.clear()
        await asyncio.gather(first, *others)
        assert [len(d.writes.new_runs) for d in decisions if d.writes.new_runs] == [1, 20]


async def test_after_a_failed_commit_the_decided_are_decided_again_and_the_waiting_were_held(
    database: str, pool: asyncpg.Pool
) -> None:
    async with house(database, pool) as home:
        await home.put()
        session = await home.session()
        async with home.held_journal():
            deciding = asyncio.ensure_future(home.engine.submit(home.tenant_id, TRIGGER))
            pids = await home.journal_waits()
            waiting = asyncio.ensure_future(home.engine.submit(home.tenant_id, TRIGGER))
            await asyncio.sleep(0)
            await home.cut_off(pids)
        made = {(await asyncio.wait_for(reply, PATIENCE_S))[0] for reply in (deciding, waiting)}  # type: ignore[index]
        assert len(made) == 2
        assert not session.is_closed
        assert {(await assigned(session)).attempt.task_id for _ in made} == made
        assert await home.count("run") == 2
        for run_id in made:
            assert await home.report(run_id, Outcome.COMPLETED, '{"x":1}')


async def test_a_report_under_way_when_the_commit_fails_is_decided_again(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        session = await home.session()
        run_id = await home.trigger()
        await assigned(session)
        async with home.held_journal():
            report = asyncio.ensure_future(home.report(run_id, Outcome.COMPLETED, '{"x":1}', retry_count=0))
            await home.cut_off(await home.journal_waits())
        assert await asyncio.wait_for(report, PATIENCE_S)
        assert await pool.fetchval("select output from broadaxe.task") == '{"x":1}'


async def test_a_stream_whose_opening_failed_leaves_the_older_one_at_work(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(database, pool) as home:
        await home.put()
        session = await home.session()
        async with home.held_journal():
            monkeypatch.setattr(activation_module, "HOLD_S", 3.0)
            opening = asyncio.ensure_future(home.engine.open_session(home.tenant_id, session.worker_id))
            await home.cut_off(await home.journal_waits())
            with pytest.raises(Unavailable):
                await asyncio.wait_for(opening, PATIENCE_S)
        monkeypatch.undo()
        run_id = await home.trigger()
        assert (await assigned(session)).attempt.task_id == run_id


async def test_a_full_inbox_refuses_callers_but_not_the_engine_itself(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(database, pool) as home:
        await home.put()
        session = await home.session()
        monkeypatch.setattr(backpressure, "UNDER_WAY_MAX", 2)
        async with home.held_journal():
            first = asyncio.ensure_future(home.engine.submit(home.tenant_id, TRIGGER))
            await home.journal_waits()
            second = asyncio.ensure_future(home.engine.submit(home.tenant_id, CancelTasks(())))
            await asyncio.sleep(0)
            with pytest.raises(ResourceExhausted):
                await home.engine.submit(home.tenant_id, TRIGGER)
            home.engine.close_session(home.tenant_id, session)
        await asyncio.gather(first, second)
        await home.engine.submit(home.tenant_id, CancelTasks(()))
        assert await pool.fetchval("select is_listening from broadaxe.worker") is False


async def test_a_refused_command_of_a_batch_does_not_spoil_the_others(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        good, bad = await asyncio.gather(
            home.engine.submit(home.tenant_id, TRIGGER),
            home.engine.submit(home.tenant_id, Heartbeat(UNKNOWN)),
            return_exceptions=True,
        )
        assert isinstance(bad, NotFound)
        assert isinstance(good, tuple)


# What was committed but not told -------------------------------------------------------------------------------------


async def test_waiters_hear_of_a_run_whose_end_was_committed_but_not_told(database: str, pool: asyncpg.Pool) -> None:
    losing = LosingAnswers(lambda writes: any(run.status is RunStatus.COMPLETED for run in writes.runs))
    async with house(database, pool, losing=losing) as home:
        await home.put()
        await home.session()
        run_id = await home.trigger(metadata='{"chat":"c1"}')
        results = await home.engine.results(home.tenant_id)
        results.add(run_id)
        live = await home.engine.watch_run(home.tenant_id, run_id)
        by_metadata = await home.engine.watch_metadata(home.tenant_id, "chat", "c1")
        assert not await home.report(run_id, Outcome.COMPLETED, '{"x":1}', retry_count=0), "decided a second time"
        outcome = await asyncio.wait_for(results.next(), PATIENCE_S)
        assert losing.lost == 1
        assert outcome is not None
        assert (outcome.run_id, outcome.status, outcome.tasks[0].output) == (run_id, RunStatus.COMPLETED, '{"x":1}')
        for subscription in (live, by_metadata):
            last = await asyncio.wait_for(subscription.next(), PATIENCE_S)
            assert (last.kind, last.status, last.is_last) == (LiveKind.FINISHED, RunStatus.COMPLETED, True)


async def test_an_assignment_that_was_committed_but_not_sent_is_sent_again(database: str, pool: asyncpg.Pool) -> None:
    clock = ManualClock(time.time_ns() // 1000)
    losing = LosingAnswers(lambda writes: bool(writes.new_runs))
    async with house(database, pool, losing=losing, clock=clock) as home:
        await home.put()
        session = await home.session()
        await home.trigger()
        assert losing.lost == 1
        assert nothing_waits(session)
        await home.engine.submit(home.tenant_id, Heartbeat(session.worker_id))
        clock.us += CONFIRM_US
        await home.engine.submit(home.tenant_id, CancelTasks(()))
        # The doubtful attempt is called off first, in case it arrived after all.
        stop = await asyncio.wait_for(session.next(), PATIENCE_S)
        assert isinstance(stop, CancelAttempt)
        again = await assigned(session)
        assert again.attempt.retry_count == 1
        assert await home.count("run") == 1


# Leases --------------------------------------------------------------------------------------------------------------


async def test_a_second_engine_waits_for_the_lease_and_goes_on_when_it_is_given_back(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation_module, "HOLD_S", 3.0)
    async with house(database, pool) as first:
        await first.put()
        run_id = await first.trigger()
        async with house(database, pool, tenant_id=first.tenant_id, node_id=OTHER_NODE) as second:
            with pytest.raises(Unavailable, match=r"here:7077"):
                await second.trigger()
            await first.engine.stop()
            session = await second.session()
            assert (await assigned(session)).attempt.task_id == run_id
            with pytest.raises(Unavailable):
                await first.trigger()


async def test_a_stolen_lease_stops_this_engine_from_writing(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation_module, "HOLD_S", 3.0)
    async with house(database, pool) as home:
        await home.put()
        await pool.execute("update broadaxe.lease set expires_at = 'epoch'")
        assert await take_lease(pool, home.tenant_id, OTHER_NODE) == 2
        before = await contents(pool)
        with pytest.raises(Unavailable, match=r"here:1"):
            await home.trigger()
        assert await contents(pool) == before
        await pool.execute("update broadaxe.lease set expires_at = 'epoch'")
        assert await home.trigger()


async def test_an_unknown_tenant_is_not_found(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        with pytest.raises(NotFound):
            await home.engine.submit(UNKNOWN, TRIGGER)


# Stopping ------------------------------------------------------------------------------------------------------------


async def test_stopping_commits_what_was_accepted_and_refuses_what_comes_after(
    database: str, pool: asyncpg.Pool
) -> None:
    async with house(database, pool) as home:
        await home.put()
        session = await home.session()
        async with home.held_journal():
            first = asyncio.ensure_future(home.engine.submit(home.tenant_id, TRIGGER))
            await home.journal_waits()
            others = [asyncio.ensure_future(home.engine.submit(home.tenant_id, TRIGGER)) for _ in range(5)]
            await asyncio.sleep(0)
            stopping = asyncio.ensure_future(home.engine.stop())
            await asyncio.sleep(0)
            assert not home.engine.is_ready()
        await asyncio.wait_for(stopping, PATIENCE_S)
        assert len({reply[0] for reply in await asyncio.gather(first, *others)}) == 6  # type: ignore[index]
        assert await home.count("run") == 6
        assert session.is_closed
        with pytest.raises(Unavailable):
            await home.trigger()
        await home.engine.stop()


async def test_a_tenant_being_activated_at_the_stop_does_not_outlive_it(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        activating = asyncio.ensure_future(home.engine.submit(home.tenant_id, CancelTasks(())))
        await asyncio.sleep(0)
        await home.engine.stop()
        await asyncio.gather(activating, return_exceptions=True)
        assert await pool.fetchval("select count(*) from broadaxe.lease where expires_at > now()") == 0


async def test_a_start_goes_on_with_the_runs_it_finds(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as before:
        await before.put(task("a", schedule_timeout="1s"))
        run_id = await before.trigger()
        tenant_id = before.tenant_id
    async with house(database, pool, tenant_id=tenant_id) as after:
        results = await after.engine.results(tenant_id)
        results.add(run_id)
        # Nobody submits anything: the deadline alone must wake the tenant.
        outcome = await asyncio.wait_for(results.next(), PATIENCE_S)
        assert outcome is not None
        assert outcome.status is RunStatus.CANCELLED


# Streams -------------------------------------------------------------------------------------------------------------


async def test_what_a_closed_stream_had_not_sent_goes_to_another(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        closing = await home.session()
        run_id = await home.trigger()
        other = await home.session()
        home.engine.close_session(home.tenant_id, closing)
        assert await closing.next() is None
        again = await assigned(other)
        assert (again.attempt.task_id, again.attempt.retry_count) == (run_id, 1)


async def test_a_newer_stream_of_the_same_worker_replaces_the_older(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        older = await home.session()
        unsent = await home.trigger()
        newer = await home.engine.open_session(home.tenant_id, older.worker_id)
        assert await older.next() is None
        assert (await assigned(newer)).attempt.task_id == unsent
        home.engine.close_session(home.tenant_id, older)
        fresh = await home.trigger()
        assert (await assigned(newer)).attempt.task_id == fresh


async def test_an_unknown_worker_has_no_stream(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        with pytest.raises(NotFound):
            await home.engine.open_session(home.tenant_id, UNKNOWN)


async def test_an_assignment_carries_input_and_outputs_of_parents(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put(task("a"), task("b", "a"))
        session = await home.session("flow:a", "flow:b")
        await home.trigger('{"question":"why"}')
        first = await assigned(session)
        assert assignments.payload(first).startswith('{"input":{"question":"why"},"parents":{},')
        await home.report(first.attempt.task_id, Outcome.COMPLETED, '{"answer":42}')
        second = await assigned(session)
        assert '"parents":{"a":{"answer":42}}' in assignments.payload(second)


# Followers -----------------------------------------------------------------------------------------------------------


async def test_results_are_told_to_who_asks_before_and_after_the_end(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        await home.session()
        run_id = await home.trigger()
        early, late = await home.engine.results(home.tenant_id), await home.engine.results(home.tenant_id)
        early.add(UNKNOWN)
        early.add(run_id)
        await home.report(run_id, Outcome.COMPLETED, '{"x":1}')
        told = await asyncio.wait_for(early.next(), PATIENCE_S)
        late.add(run_id)
        assert await asyncio.wait_for(late.next(), PATIENCE_S) == told
        late.add(run_id)
        assert await asyncio.wait_for(late.next(), PATIENCE_S) == told, "asked again, told again"
        assert early.awaited == {UNKNOWN}
        early.close()
        late.close()
        assert await early.next() is None
        assert not home.hub._waiting


async def test_a_failed_run_tells_its_error(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        await home.session()
        run_id = await home.trigger()
        results = await home.engine.results(home.tenant_id)
        results.add(run_id)
        await home.report(run_id, Outcome.FAILED, "it broke")
        outcome = await asyncio.wait_for(results.next(), PATIENCE_S)
        assert outcome is not None
        assert (outcome.status, outcome.tasks[0].error, outcome.tasks[0].output) == (
            RunStatus.FAILED,
            "it broke",
            None,
        )


async def test_a_followed_run_tells_starts_chunks_and_its_end(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        await home.session()
        run_id = await home.trigger()
        live = await home.engine.watch_run(home.tenant_id, run_id)
        await home.report(run_id, Outcome.STARTED)
        await home.engine.put_chunk(home.tenant_id, run_id, "b", 1)
        await home.engine.put_chunk(home.tenant_id, run_id, "a", 0)
        await home.report(run_id, Outcome.COMPLETED, "{}")
        told = [await asyncio.wait_for(live.next(), PATIENCE_S) for _ in range(5)]
        assert [(event.kind, event.payload) for event in told] == [
            (LiveKind.PROGRESS, ""),
            (LiveKind.CHUNK, "a"),
            (LiveKind.CHUNK, "b"),
            (LiveKind.PROGRESS, "{}"),
            (LiveKind.FINISHED, ""),
        ]
        assert [event.is_last for event in told] == [False] * 4 + [True]
        await home.engine.put_chunk(home.tenant_id, run_id, "late", 2)
        with pytest.raises(NotFound):
            await home.engine.put_chunk(home.tenant_id, UNKNOWN, "x", 0)


async def test_runs_are_followed_by_metadata_until_none_is_left(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        await home.session()
        first = await home.trigger(metadata='{"chat":"c1"}')
        await home.trigger(metadata='{"chat":"other"}')
        live = await home.engine.watch_metadata(home.tenant_id, "chat", "c1")
        second = await home.trigger(metadata='{"chat":"c1"}')
        for run_id in (first, second):
            await home.report(run_id, Outcome.COMPLETED, "{}")
        told = [await asyncio.wait_for(live.next(), PATIENCE_S) for _ in range(4)]
        ends = [(event.run_id, event.is_last) for event in told if event.kind is LiveKind.FINISHED]
        assert ends == [(first, False), (second, True)]


async def frozen_backlog(home: House, metadata: str) -> list[str]:
    """Six waiting runs, of which all but the first are known to memory by their ids only."""
    await home.put()
    tenant = home.tenant
    tenant._state.hot_tasks_max = 1
    runs = [await home.trigger(metadata=metadata) for _ in range(6)]
    assert tenant.counts()["tasks"] < 3
    return runs


async def test_followers_by_metadata_wait_for_a_backlog_that_is_not_in_memory(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "ACTIVE_RUNS_MAX", 4)
    async with house(database, pool) as home:
        runs = await frozen_backlog(home, '{"chat":"c1"}')
        live = await home.engine.watch_metadata(home.tenant_id, "chat", "c1")
        session = await home.session(slots=1)
        ends: list[tuple[str, bool]] = []
        for _ in runs:
            attempt = (await assigned(session)).attempt
            await home.report(attempt.task_id, Outcome.COMPLETED, "{}")
            while True:
                event = await asyncio.wait_for(live.next(), PATIENCE_S)
                assert event is not None
                if event.kind is LiveKind.FINISHED:
                    ends.append((event.run_id, event.is_last))
                    break
        assert sorted(run_id for run_id, _ in ends) == sorted(runs)
        assert [is_last for _, is_last in ends] == [False] * 5 + [True]


async def test_a_backlog_that_is_not_in_memory_can_be_cancelled(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        runs = await frozen_backlog(home, "{}")
        ended = await home.engine.submit(home.tenant_id, CancelTasks(tuple(runs)))
        assert isinstance(ended, tuple) and sorted(map(str, ended)) == sorted(runs)
        session = await home.session()
        fresh = await home.trigger()
        assert (await assigned(session)).attempt.run_id == fresh
        assert nothing_waits(session)


async def test_a_live_run_goes_on_after_its_day_was_dropped(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        await home.session()
        over, live = await home.trigger(), await home.trigger('{"n":1}')
        await home.report(over, Outcome.COMPLETED, "{}")
        await home.report(live, Outcome.STARTED)
        for table in ("run", "task", "task_event"):
            today = f"{table}_{id_time(live):%Y%m%d}"
            await pool.execute("select broadaxe.drop_partition($1, $2, 'infinity')", table, today)
        assert await home.count("run") == 1
        assert await home.report(live, Outcome.COMPLETED, '{"done":true}')
        row = await pool.fetchrow("select r.status, t.output from broadaxe.run r join broadaxe.task t on t.id = r.id")
        assert row is not None and tuple(row) == ("COMPLETED", '{"done":true}')
        types = [row["type"] for row in await pool.fetch("select type from broadaxe.task_event order by seq")]
        assert types == ["QUEUED", "ASSIGNED", "SENT_TO_WORKER", "STARTED", "FINISHED"]
        # Today has no partition any more, and work goes on all the same.
        assert await home.report(await home.trigger(), Outcome.COMPLETED, "{}")


async def test_large_payloads_share_a_batch_up_to_a_bound_and_wait_up_to_another(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "HEAVY_CHARS", 50)
    monkeypatch.setattr(backpressure, "HEAVY_CHARS", 50)
    monkeypatch.setattr(inbox, "ROUND_CHARS_MAX", 300)
    monkeypatch.setattr(backpressure, "CHARS_UNDER_WAY_MAX", 1_000)
    seen = Seen()
    async with house(database, pool, observe=seen) as home:
        await home.put()

        def trigger(chars: int) -> asyncio.Task[Reply]:
            run_input = '{"a":"' + "x" * (chars - 8) + '"}'
            command = TriggerRuns((RunRequest(workflow_name="flow", input=run_input),))
            return asyncio.ensure_future(home.engine.submit(home.tenant_id, command))

        # Tasks begin in the order they are made, so all of these are in the inbox before the first is decided.
        waiting = [trigger(chars) for chars in (20, 100, 20, 100, 20, 100, 100, 20, 500, 20)]
        refused = trigger(101)
        waiting.append(trigger(20))
        with pytest.raises(ResourceExhausted):
            await refused
        await asyncio.gather(*waiting)
        batches = [[len(new.input) for new in decision.writes.new_runs] for decision in seen.decisions]
        assert [batch for batch in batches if batch] == [[20, 100, 20, 100, 20, 100], [100, 20], [500, 20, 20]]
        # There is room again.
        await trigger(900)
