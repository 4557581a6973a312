"""What stands between the core and the sockets, whatever fails: streams are told or ended, poison is found, nobody is
held for ever, and a process that stood still does not hold it against its workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import pytest

from broadaxe.core import tenant as tenant_module
from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.commands.crons import CreateCron, DeleteCron
from broadaxe.core.commands.durable import RegisterSignal
from broadaxe.core.commands.events import EventRequest, PushEvents
from broadaxe.core.commands.schedules import ScheduleRuns
from broadaxe.core.commands.tasks import CancelTasks
from broadaxe.core.commands.triggers import RunRequest, TriggerRuns
from broadaxe.core.commands.workers import PutWorkerLabels, RegisterWorker
from broadaxe.core.decision import Decision
from broadaxe.core.fleet import SILENCE_US
from broadaxe.core.waits import Condition
from broadaxe.engine import activation as activation_module
from broadaxe.engine import engine as engine_module
from broadaxe.engine import pulse as pulse_module
from broadaxe.engine.clock import SystemClock
from broadaxe.engine.pulse import Pulse
from broadaxe.errors import HeldElsewhere, Internal, ResourceExhausted, Unavailable
from broadaxe.rpc._gen import dispatcher_pb2
from broadaxe.rpc.services.dispatcher import DispatcherService
from broadaxe.rpc.transport import Call, Principal
from broadaxe.storage.reads import Reads
from tests.core.world import task
from tests.engine.house import PATIENCE_S, House, LosingAnswers, ManualClock, assigned, house, nothing_waits


async def loads(home: House, pool: asyncpg.Pool) -> int:
    """How often the tenant was loaded: every load takes a new epoch."""
    epoch: int = await pool.fetchval("select epoch from broadaxe.lease where tenant_id = $1", home.tenant_id)
    return epoch


# Poison ----------------------------------------------------------------------------------------------------


async def test_a_command_that_breaks_the_core_is_refused_and_nobody_else_is(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = tenant_module.Tenant.decide

    def break_over_labels(self: tenant_module.Tenant, commands: Sequence[Command], now_us: int) -> Decision:
        if any(isinstance(command, PutWorkerLabels) for command in commands):
            raise AssertionError("a mistake of ours")
        return decide(self, commands, now_us)

    async with house(database, pool) as home:
        await home.put()
        session = await home.session()
        before = await loads(home, pool)
        monkeypatch.setattr(tenant_module.Tenant, "decide", break_over_labels)
        poison = asyncio.ensure_future(home.engine.submit(home.tenant_id, PutWorkerLabels(session.worker_id, {})))
        innocent = [asyncio.ensure_future(home.trigger()) for _ in range(20)]
        with pytest.raises(Internal):
            await asyncio.wait_for(poison, PATIENCE_S)
        runs = await asyncio.wait_for(asyncio.gather(*innocent), PATIENCE_S)
        assert len(set(runs)) == 20
        assert await home.count("run") == 20
        assert await loads(home, pool) - before <= 2


# Streams ----------------------------------------------------------------------------------------------------


def losing_streams(home: House, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """The next stream's opening waits for the second event and is refused then; the first says that it waits."""
    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def refuse(command: Command) -> Reply:
        waiting.set()
        await go_on.wait()
        raise Unavailable("the tenant could not be had in time")

    monkeypatch.setattr(home.activation, "submit_own", refuse)
    return waiting, go_on


async def test_what_was_assigned_to_a_stream_that_did_not_open_goes_over_the_older_one(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(database, pool) as home:
        await home.put()
        older = await home.session()
        waiting, go_on = losing_streams(home, monkeypatch)
        opening = asyncio.ensure_future(home.engine.open_session(home.tenant_id, older.worker_id))
        await waiting.wait()
        run_id = await home.trigger()
        go_on.set()
        with pytest.raises(Unavailable):
            await opening
        assert (await assigned(older)).attempt.run_id == run_id


async def test_what_was_assigned_to_a_first_stream_that_did_not_open_goes_back_to_the_queue(
    database: str, pool: asyncpg.Pool
) -> None:
    async with house(database, pool) as home:
        await home.put()
        gone = await home.worker()
        async with home.held_journal():
            first = asyncio.ensure_future(home.trigger())
            await home.journal_waits()
            opening = asyncio.ensure_future(home.engine.open_session(home.tenant_id, gone))
            await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        await first
        # Whoever asks now is behind what the engine told of its own accord.
        await home.engine.submit(home.tenant_id, CancelTasks(()))
        assert await pool.fetchval("select is_listening from broadaxe.worker where id = $1", gone) is False
        session = await home.session()
        assert (await assigned(session)).attempt.retry_count == 0


async def test_a_signal_that_fired_in_a_commit_nobody_heard_of_is_told(database: str, pool: asyncpg.Pool) -> None:
    losing = LosingAnswers(lambda writes: bool(writes.events))
    async with house(database, pool, losing=losing) as home:
        await home.put(task("a", is_durable=True))
        worker_id = await home.engine.submit(
            home.tenant_id, RegisterWorker("worker", ("flow:a",), {"default": 1, "durable": 1})
        )
        assert isinstance(worker_id, str)
        await home.engine.open_session(home.tenant_id, worker_id)
        run_id = await home.trigger()
        await home.report(run_id, Outcome.STARTED)
        listener = await home.engine.listen_for_signals(home.tenant_id)
        condition = Condition(group=0, data_key="k", event_key="now")
        await home.engine.submit(home.tenant_id, RegisterSignal(run_id, "k", (condition,)))
        await home.engine.want_signal(home.tenant_id, listener, run_id, "k")
        await home.engine.submit(home.tenant_id, PushEvents((EventRequest(key="now", payload="{}"),)))
        assert losing.lost == 1
        task_id, key, _ = await asyncio.wait_for(listener.next(), PATIENCE_S)
        assert (task_id, key) == (run_id, "k")


@pytest.mark.parametrize("was_made", [True, False], ids=["made", "not made"])
@pytest.mark.parametrize("what", ["run", "event", "worker", "cron", "schedule"])
async def test_a_caller_is_answered_once_it_is_known_whether_a_commit_was_made(
    database: str, pool: asyncpg.Pool, what: str, was_made: bool
) -> None:
    commands: dict[str, tuple[Command, str]] = {
        "run": (TriggerRuns((RunRequest(workflow_name="flow", input="{}"),)), "run"),
        "event": (PushEvents((EventRequest(key="now", payload="{}"),)), "event"),
        "worker": (RegisterWorker("worker", ("flow:a",), {"default": 1}), "worker"),
        "cron": (CreateCron(workflow_name="flow", name="daily", expression="0 4 * * *", input="{}"), "cron"),
        "schedule": (ScheduleRuns(workflow_name="flow", at_us=(4_000_000_000_000_000,), input="{}"), "schedule"),
    }
    command, table = commands[what]
    tables = {"run": "new_runs", "event": "events", "worker": "workers", "cron": "crons", "schedule": "schedules"}
    losing = LosingAnswers(lambda writes: bool(getattr(writes, tables[what])), was_made=was_made)
    async with house(database, pool, losing=losing) as home:
        await home.put()
        reply = await home.submit(command)
        assert losing.lost == 1
        row_id = await pool.fetchval(f"select id::text from broadaxe.{table}")
        assert await home.count(table) == 1
        assert row_id in str(reply)


async def test_a_commit_that_made_no_row_to_tell_by_leaves_the_caller_in_doubt(
    database: str, pool: asyncpg.Pool
) -> None:
    losing = LosingAnswers(lambda writes: bool(writes.deleted_crons))
    async with house(database, pool, losing=losing) as home:
        await home.put()
        cron_id = await home.submit(CreateCron(workflow_name="flow", name="daily", expression="0 4 * * *", input="{}"))
        assert isinstance(cron_id, str)
        with pytest.raises(Unavailable):
            await home.submit(DeleteCron(cron_id))


async def test_who_lost_the_tenant_unnoticed_answers_nothing_from_what_it_remembers(
    database: str, pool: asyncpg.Pool
) -> None:
    """Nothing is written of a report that is too late, so no commit tells that this memory is the older one."""
    async with house(database, pool) as home:
        await home.put()
        session = await home.session()
        run_id = await home.trigger()
        attempt = (await assigned(session)).attempt
        # Another node has taken it, and made of the run what this one does not know.
        await pool.execute("update broadaxe.lease set epoch = epoch + 1")
        await pool.execute("update broadaxe.task set retry_count = retry_count + 1 where id = $1", run_id)
        assert await home.report(run_id, Outcome.COMPLETED, "{}", attempt.retry_count + 1)


async def test_a_run_that_began_in_a_commit_nobody_heard_of_is_followed_by_metadata(
    database: str, pool: asyncpg.Pool
) -> None:
    losing = LosingAnswers(lambda writes: bool(writes.new_runs))
    async with house(database, pool, losing=losing) as home:
        await home.put()
        live = await home.engine.watch_metadata(home.tenant_id, "chat", "c1")
        run_id = await home.trigger(metadata='{"chat":"c1"}')
        assert losing.lost == 1
        session = await home.session()
        attempt = (await assigned(session)).attempt
        await home.report(run_id, Outcome.COMPLETED, "{}", retry_count=attempt.retry_count)
        event = await asyncio.wait_for(live.next(), PATIENCE_S)
        while event is not None and not event.is_last:
            event = await asyncio.wait_for(live.next(), PATIENCE_S)
        assert event is not None and event.run_id == run_id


async def test_effects_wait_for_payloads_that_cannot_be_read_and_are_told_then(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(database, pool) as home:
        await home.put()
        session = await home.session()
        epoch = await loads(home, pool)
        active = home.activation.present
        assert active is not None
        failing = failing_twice(active.kept.inputs)
        monkeypatch.setattr(active.kept, "inputs", failing)
        run_id = await home.trigger('{"n":1}')
        assignment = await assigned(session)
        assert (assignment.attempt.run_id, assignment.run_input) == (run_id, '{"n":1}')
        assert await loads(home, pool) == epoch, "memory was right and stays"


def failing_twice(read: Callable[[Any], Awaitable[dict[str, str]]]) -> Callable[[Any], Awaitable[dict[str, str]]]:
    failures = iter((Unavailable("away"), Unavailable("away")))

    async def fail_first(ids: Any) -> dict[str, str]:
        if (error := next(failures, None)) is not None:
            raise error
        return await read(ids)

    return fail_first


# Holding ----------------------------------------------------------------------------------------------------


async def test_calls_held_while_the_tenant_is_away_are_bounded(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation_module, "HOLD_S", 3.0)
    monkeypatch.setattr("broadaxe.engine.backpressure.UNDER_WAY_MAX", 3)
    async with house(database, pool) as home:
        await home.put()
        await pool.execute(
            "update broadaxe.lease set node_id = gen_random_uuid(), expires_at = '9999-01-01', epoch = epoch + 1"
        )
        held = [asyncio.ensure_future(home.trigger()) for _ in range(5)]
        results = await asyncio.gather(*held, return_exceptions=True)
        assert [type(result) for result in results] == [HeldElsewhere] * 3 + [ResourceExhausted] * 2


async def test_what_a_worker_reports_is_held_longer_than_what_a_caller_asks(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One refused report costs the worker all others under way on its connection."""
    monkeypatch.setattr(activation_module, "HOLD_S", 0.5)
    async with house(database, pool) as home:
        await home.put()
        session = await home.session()
        run_id = await home.trigger()
        attempt = (await assigned(session)).attempt
        epoch = await pool.fetchval("select epoch from broadaxe.lease")
        await pool.execute(
            "update broadaxe.lease set node_id = gen_random_uuid(), expires_at = '9999-01-01', epoch = epoch + 1"
        )
        dispatcher = DispatcherService(home.engine, Reads(pool), SystemClock())
        report = asyncio.ensure_future(
            dispatcher.report(
                dispatcher_pb2.StepActionEvent(
                    task_run_external_id=run_id,
                    retry_count=attempt.retry_count,
                    event_type=dispatcher_pb2.STEP_EVENT_TYPE_COMPLETED,
                    event_payload="{}",
                ),
                Call("/Report", {}, "here", Principal(home.tenant_id, "token"), asyncio.Event(), object()),
            )
        )
        with pytest.raises(Unavailable):
            await home.trigger()
        with pytest.raises(Unavailable):
            await home.trigger()
        assert not report.done()
        await pool.execute("update broadaxe.lease set expires_at = 'epoch', epoch = $1", epoch + 2)
        await asyncio.wait_for(report, PATIENCE_S)
        assert await pool.fetchval("select status from broadaxe.run") == "COMPLETED"


# A process that stood still ------------------------------------------------------------------------------------------


async def test_workers_get_their_time_anew_when_the_process_stood_still(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(time.time_ns() // 1000)
    async with house(database, pool, clock=clock) as home:
        await home.put()
        session = await home.session()
        run_id = await home.trigger()
        attempt = (await assigned(session)).attempt
        await home.report(run_id, Outcome.STARTED)
        monkeypatch.setattr(Pulse, "stalls", lambda self: 1)
        clock.us += SILENCE_US + 1
        await home.engine.submit(home.tenant_id, CancelTasks(()))
        assert nothing_waits(session), "the task was not given to anybody again"
        assert await home.report(run_id, Outcome.COMPLETED, "{}", retry_count=attempt.retry_count)


async def test_a_worker_that_is_silent_while_the_engine_lives_is_lost(database: str, pool: asyncpg.Pool) -> None:
    clock = ManualClock(time.time_ns() // 1000)
    async with house(database, pool, clock=clock) as home:
        await home.put()
        session = await home.session()
        run_id = await home.trigger()
        await assigned(session)
        await home.report(run_id, Outcome.STARTED)
        clock.us += SILENCE_US + 1
        await home.engine.submit(home.tenant_id, CancelTasks(()))
        assert not await home.report(run_id, Outcome.COMPLETED, "{}", retry_count=0)


async def test_the_pulse_counts_beats_that_are_overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    pulse = Pulse()
    beating = asyncio.create_task(pulse.beat_for_ever())
    await asyncio.sleep(0)
    assert pulse.stalls() == 0
    assert pulse._beat_at_s is not None
    pulse._beat_at_s -= pulse_module.BEAT_S + pulse_module.STALL_S + 1
    assert pulse.stalls() == 1
    assert pulse.stalls() == 1
    beating.cancel()


# Idle tenants ----------------------------------------------------------------------------------------------------


async def test_an_idle_tenant_is_put_away_and_comes_back_when_it_is_asked(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "IDLE_S", -1.0)
    async with house(database, pool) as home:
        await home.put()
        await home.engine._put_idle_away()
        assert home.engine.tenants_in_memory() == []
        assert await pool.fetchval("select expires_at <= 'epoch' from broadaxe.lease"), "the lease is given back"
        await home.trigger()
        await home.engine._put_idle_away()
        assert home.engine.tenants_in_memory() == [home.tenant_id], "a run waits"


async def test_a_tenant_somebody_listens_to_is_not_put_away(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "IDLE_S", -1.0)
    async with house(database, pool) as home:
        await home.put()
        results = await home.engine.results(home.tenant_id)
        await home.engine._put_idle_away()
        assert home.engine.tenants_in_memory() == [home.tenant_id]
        results.close()
        await home.engine._put_idle_away()
        assert home.engine.tenants_in_memory() == []
