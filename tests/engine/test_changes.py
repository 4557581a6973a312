"""Who looks at a tenant is told what has changed, after the commit, and of nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.commands.crons import CreateCron
from broadaxe.core.commands.workers import Heartbeat, PauseWorker
from broadaxe.engine.changes import FOLLOWERS_MAX, IDS_MAX, RECENT_S, ChangeFeed, Changes, ChangeSubscription, Kind
from broadaxe.errors import ResourceExhausted
from tests.engine.house import PATIENCE_S, House, assigned, house


async def heard(subscription: ChangeSubscription) -> Changes:
    changes = await asyncio.wait_for(subscription.next(), PATIENCE_S)
    assert changes is not None
    return changes


async def named(subscription: ChangeSubscription, ids: set[str]) -> None:
    """Returns when all of these runs and tasks have been named."""
    while ids:
        changes = await heard(subscription)
        ids = ids - (changes.ids or frozenset())


@asynccontextmanager
async def follower(home: House) -> AsyncIterator[ChangeSubscription]:
    """One that has heard what came before it."""
    subscription = home.engine.follow_changes(home.tenant_id)
    await heard(subscription)
    yield subscription
    home.engine.unfollow_changes(home.tenant_id, subscription)


async def test_a_run_is_told_with_its_tasks_from_trigger_to_end(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        session = await home.session()
        async with follower(home) as changes:
            run_id = await home.trigger()
            attempt = (await assigned(session)).attempt
            await named(changes, {run_id, attempt.task_id})
            await home.report(attempt.task_id, Outcome.COMPLETED, "{}")
            await named(changes, {run_id, attempt.task_id})


async def test_a_change_is_told_after_its_commit(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        async with follower(home) as changes:
            async with home.held_journal():
                triggered = asyncio.ensure_future(home.trigger())
                await home.journal_waits()
                hearing = asyncio.ensure_future(changes.next())
                await asyncio.sleep(0)
                assert not hearing.done()
            await triggered
            told = await asyncio.wait_for(hearing, PATIENCE_S)
            assert told is not None and Kind.RUNS in told.kinds


async def test_a_worker_that_is_only_alive_changes_nothing(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        session = await home.session()
        async with follower(home) as changes:
            # The first time it is not known how it was before.
            await home.engine.submit(home.tenant_id, Heartbeat(session.worker_id))
            await heard(changes)
            await home.engine.submit(home.tenant_id, Heartbeat(session.worker_id))
            alive = await heard(changes)
            assert alive.kinds == frozenset()
            assert set(alive.heartbeats) == {session.worker_id}
            await home.engine.submit(home.tenant_id, PauseWorker(session.worker_id, True))
            assert (await heard(changes)).kinds == {Kind.WORKERS}


async def test_a_tenant_that_was_loaded_anew_has_changed_in_everything(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        async with follower(home) as changes:
            async with home.held_journal():
                triggered = asyncio.ensure_future(home.trigger())
                await home.cut_off(await home.journal_waits())
            await triggered
            kinds: set[Kind] = set()
            while kinds != set(Kind):
                kinds |= (await heard(changes)).kinds


async def test_who_only_follows_does_not_keep_a_tenant_in_memory(
    database: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broadaxe.engine.engine.IDLE_S", -1.0)
    async with house(database, pool) as home:
        await home.put()
        async with follower(home) as changes:
            await home.engine._put_idle_away()
            assert home.engine.tenants_in_memory() == []
            await home.trigger()
            assert Kind.RUNS in (await heard(changes)).kinds


async def test_a_stop_ends_it(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        subscription = home.engine.follow_changes(home.tenant_id)
        await heard(subscription)
        ending = asyncio.ensure_future(subscription.next())
        await home.engine.stop()
        assert await asyncio.wait_for(ending, PATIENCE_S) is None


async def test_a_cron_is_told_as_one(database: str, pool: asyncpg.Pool) -> None:
    async with house(database, pool) as home:
        await home.put()
        async with follower(home) as changes:
            await home.engine.submit(
                home.tenant_id, CreateCron(workflow_name="flow", name="nightly", expression="0 0 * * *", input="{}")
            )
            assert Kind.CRONS in (await heard(changes)).kinds


# The feed alone ------------------------------------------------------------------------------------------------


async def test_a_newcomer_is_told_what_changed_while_it_read_its_page() -> None:
    at_s = 100.0
    feed = ChangeFeed(lambda: at_s)
    at_s += RECENT_S + 1
    feed.note(Kind.CRONS, None)
    at_s += RECENT_S - 1
    subscription = feed.follow()
    assert await heard(subscription) == Changes(frozenset({Kind.CRONS}), None, {})
    feed.note(Kind.RUNS, ["a"])
    feed.note(Kind.LOGS, ["b"])
    assert await heard(subscription) == Changes(frozenset({Kind.RUNS, Kind.LOGS}), frozenset("ab"), {})


async def test_of_too_many_runs_only_the_kind_is_told() -> None:
    feed = ChangeFeed(lambda: 0.0)
    subscription = feed.follow()
    await heard(subscription)
    feed.note(Kind.RUNS, map(str, range(IDS_MAX + 1)))
    assert (await heard(subscription)).ids is None
    feed.note(Kind.RUNS, ["one"])
    assert (await heard(subscription)).ids == {"one"}


async def test_readers_are_bounded() -> None:
    feed = ChangeFeed(lambda: 0.0)
    readers = [feed.follow() for _ in range(FOLLOWERS_MAX)]
    with pytest.raises(ResourceExhausted):
        feed.follow()
    feed.unfollow(readers[0])
    feed.follow()
