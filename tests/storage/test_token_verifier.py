"""Verdicts on tokens: from memory, in one question for many, through an outage, and for streams that are open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from broadaxe.errors import Unauthenticated, Unavailable
from broadaxe.storage import accounts, token_verifier, tokens
from broadaxe.storage.accounts import Role
from broadaxe.storage.audit import command_line
from broadaxe.storage.outbox import OutboxListener
from broadaxe.storage.revocations import HEARD_EVERY_S, Revocations
from broadaxe.storage.token_verifier import CACHE_TTL_S, GRACE_S, TokenPrincipal, TokenVerifier
from tests.storage.road import Road, road_to

LIFE_S = 7_200


class Town:
    """A tenant, and a verifier whose clocks stand still and whose road to the database can be closed."""

    def __init__(
        self, pool: asyncpg.Pool, tenant_id: str, road: Road, over_road: asyncpg.Pool, asked: list[str]
    ) -> None:
        self.pool = pool
        self.tenant_id = tenant_id
        self.road = road
        self.asked = asked
        """The questions about tokens that were asked."""
        self.clock_s = 100.0
        self.now = datetime.now(UTC)
        self.revocations = Revocations()
        self.verifier = TokenVerifier(over_road, self.revocations, clock=lambda: self.clock_s, now=lambda: self.now)

    async def issue(self, life_s: int = LIFE_S) -> tokens.IssuedToken:
        return await tokens.create_token(self.pool, self.tenant_id, "n", life_s, "http://x", "x:1")

    async def known(self) -> tuple[tokens.IssuedToken, TokenPrincipal]:
        """A token that was verified, and whose verdict is not fresh any more."""
        issued = await self.issue()
        principal = await self.verifier.verify(issued.token)
        self.clock_s += CACHE_TTL_S
        return issued, principal


@pytest.fixture
async def town(pool: asyncpg.Pool, database: str, tmp_path: Path) -> AsyncIterator[Town]:
    tenant = await accounts.ensure_tenant(pool, "T", "t")
    asked: list[str] = []

    async def overhear(connection: asyncpg.Connection) -> None:
        connection.add_query_logger(
            lambda record: asked.append(record.query) if "broadaxe.api_token" in record.query else None
        )

    async with road_to(database, tmp_path) as road:
        over_road = await asyncpg.create_pool(road.dsn, min_size=1, max_size=2, init=overhear)
        town = Town(pool, tenant.id, road, over_road, asked)
        yield town
        await town.verifier.stop()
        over_road.terminate()


async def test_a_verified_token_is_answered_from_memory_until_it_is_forgotten(town: Town) -> None:
    issued = await town.issue()
    assert town.verifier.cached(issued.token) is None
    principal = await town.verifier.verify(issued.token)
    assert town.verifier.cached(issued.token) == principal
    assert principal == TokenPrincipal(town.tenant_id, issued.id, issued.expires_at, Role.ADMIN)
    await tokens.revoke_token(town.pool, issued.id, command_line("root"))
    assert town.verifier.cached(issued.token) == principal
    town.clock_s += CACHE_TTL_S
    assert town.verifier.cached(issued.token) is None
    with pytest.raises(Unauthenticated):
        await town.verifier.verify(issued.token)
    second = await town.issue()
    await town.verifier.verify(second.token)
    town.verifier.forget(second.id)
    assert town.verifier.cached(second.token) is None


async def test_an_expired_token_is_refused(town: Town) -> None:
    issued = await town.issue()
    await town.pool.execute("update broadaxe.api_token set expires_at = now() - interval '1 second'")
    with pytest.raises(Unauthenticated):
        await town.verifier.verify(issued.token)


async def test_many_calls_ask_the_database_together(town: Town) -> None:
    issued = [await town.issue() for _ in range(100)]
    texts = [token.token for token in issued] * 5 + ["eyJ.unknown"]
    found = await asyncio.gather(*(town.verifier.verify(text) for text in texts), return_exceptions=True)
    assert isinstance(found.pop(), Unauthenticated)
    assert [principal.token_id for principal in found if isinstance(principal, TokenPrincipal)] == [
        token.id for token in issued
    ] * 5
    assert len(town.asked) <= 2


async def test_a_verdict_goes_on_counting_while_the_database_is_away(town: Town) -> None:
    issued, principal = await town.known()
    await town.road.close()
    assert await town.verifier.verify(issued.token) == principal
    town.clock_s += GRACE_S - CACHE_TTL_S - 1
    assert await town.verifier.verify(issued.token) == principal


async def test_a_verdict_counts_for_an_hour_at_most_without_the_database(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued, _ = await town.known()
    await town.road.close()
    monkeypatch.setattr(token_verifier, "HOLD_S", 0.1)
    town.clock_s += GRACE_S
    with pytest.raises(Unavailable):
        await town.verifier.verify(issued.token)


async def test_a_verdict_never_outlives_its_token(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    issued, _ = await town.known()
    await town.road.close()
    monkeypatch.setattr(token_verifier, "HOLD_S", 0.1)
    town.now = issued.expires_at
    with pytest.raises(Unavailable):
        await town.verifier.verify(issued.token)


async def test_a_revocation_in_this_process_counts_at_once_also_while_the_database_is_away(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued, _ = await town.known()
    await town.road.close()
    monkeypatch.setattr(token_verifier, "HOLD_S", 0.1)
    town.verifier.forget(issued.id)
    with pytest.raises(Unavailable):
        await town.verifier.verify(issued.token)


async def test_the_grace_ends_when_the_database_is_back(town: Town) -> None:
    issued, principal = await town.known()
    await town.road.close()
    assert await town.verifier.verify(issued.token) == principal
    await tokens.revoke_token(town.pool, issued.id, command_line("root"))
    await town.road.open()
    async with asyncio.timeout(20):
        with pytest.raises(Unauthenticated):
            while True:
                await town.verifier.verify(issued.token)
                await asyncio.sleep(0.01)


async def test_a_call_with_an_unknown_token_waits_for_the_database(town: Town) -> None:
    issued = await town.issue()
    await town.road.close()
    good = asyncio.create_task(town.verifier.verify(issued.token))
    bad = asyncio.create_task(town.verifier.verify("eyJ.unknown"))
    done, _ = await asyncio.wait({good, bad}, timeout=0.5)
    assert not done, "nobody can say yet"
    await town.road.open()
    assert (await good).token_id == issued.id
    with pytest.raises(Unauthenticated):
        await bad


async def test_a_call_that_gives_up_takes_no_other_with_it(town: Town) -> None:
    issued = await town.issue()
    await town.road.close()
    impatient, patient = (asyncio.create_task(town.verifier.verify(issued.token)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await town.road.open()
    assert (await patient).token_id == issued.id


async def test_the_engines_stop_ends_the_waiting(town: Town) -> None:
    issued = await town.issue()
    await town.road.close()
    waiting = asyncio.create_task(town.verifier.verify(issued.token))
    await asyncio.sleep(0)
    await town.verifier.stop()
    with pytest.raises(Unavailable, match="shutting down"):
        await waiting


# Open streams ------------------------------------------------------------------------------------------------------


class Stream:
    def __init__(self, town: Town, token_id: str, expires_at: datetime | None = None) -> None:
        self.ended = asyncio.Event()
        self.unwatch = town.verifier.watch(token_id, expires_at, self.ended.set)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_verifier, "WATCH_EVERY_S", 0.02)
    monkeypatch.setattr(token_verifier, "WATCH_SOON_S", 0.0)


def test_streams_end_within_five_seconds() -> None:
    """A stream is let in by a verdict as old as may be, and its token is looked at soon; then every turn."""
    assert CACHE_TTL_S + token_verifier.WATCH_SOON_S < 5
    assert token_verifier.WATCH_EVERY_S + token_verifier.WATCHED_SLACK_S < 5


@pytest.mark.usefixtures("quick")
async def test_the_streams_of_a_revoked_token_end_and_those_of_others_do_not(town: Town) -> None:
    gone, kept = await town.issue(), await town.issue()
    first, second, other = Stream(town, gone.id), Stream(town, gone.id), Stream(town, kept.id)
    await tokens.revoke_token(town.pool, gone.id, command_line("root"))
    async with asyncio.timeout(10):
        await asyncio.gather(first.ended.wait(), second.ended.wait())
    assert not other.ended.is_set()


async def test_calls_beside_an_open_stream_ask_nothing(town: Town) -> None:
    issued = await town.issue()
    principal = await town.verifier.verify(issued.token)
    stream = Stream(town, issued.id)
    town.asked.clear()
    for _ in range(3):
        town.clock_s += token_verifier.WATCH_EVERY_S
        await town.verifier._look_at_streams()
        assert town.verifier.cached(issued.token) == principal
    assert len(town.asked) == 3
    # Its use is to be noted now and then.
    town.clock_s += token_verifier.UNASKED_MAX_S
    await town.verifier._look_at_streams()
    assert town.verifier.cached(issued.token) is None
    assert await town.verifier.verify(issued.token) == principal
    await tokens.revoke_token(town.pool, issued.id, command_line("root"))
    await town.verifier._look_at_streams()
    assert stream.ended.is_set()
    assert town.verifier.cached(issued.token) is None


async def test_streams_are_looked_at_when_something_is_revoked(
    town: Town, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever process, and without a turn in between."""
    monkeypatch.setattr(token_verifier, "WATCH_EVERY_S", 3_600.0)
    monkeypatch.setattr(token_verifier, "WATCH_SOON_S", 0.0)
    listener = OutboxListener(database, lambda *_: None, lambda: None, revocations=town.revocations)
    await listener.start()
    try:
        gone, kept = await town.issue(), await town.issue()
        stream, other = Stream(town, gone.id), Stream(town, kept.id)
        await tokens.revoke_token(town.pool, gone.id, command_line("root"))
        async with asyncio.timeout(10):
            await stream.ended.wait()
        assert not other.ended.is_set()
    finally:
        await listener.stop()


async def test_the_next_turn_is_far_off_only_while_somebody_listens(town: Town) -> None:
    issued = await town.issue()
    Stream(town, issued.id, issued.expires_at)
    assert town.verifier._pause_s() == token_verifier.WATCH_EVERY_S
    town.revocations.listens(True)
    assert town.verifier._pause_s() == HEARD_EVERY_S
    principal = await town.verifier.verify(issued.token)
    assert await town.verifier._look_at_streams()
    town.clock_s += HEARD_EVERY_S
    assert town.verifier.cached(issued.token) == principal
    # A token's end is no news.
    town.now = issued.expires_at - timedelta(seconds=2)
    assert town.verifier._pause_s() == 2
    town.revocations.listens(False)
    assert town.verifier._is_due.is_set()
    await town.road.close()
    assert not await town.verifier._look_at_streams()


@pytest.mark.usefixtures("quick")
async def test_the_streams_of_a_removed_tenant_end(town: Town) -> None:
    stream = Stream(town, (await town.issue()).id)
    await town.pool.execute("delete from broadaxe.tenant")
    async with asyncio.timeout(10):
        await stream.ended.wait()


async def test_a_revocation_in_this_process_ends_streams_at_once(town: Town) -> None:
    issued = await town.issue()
    stream = Stream(town, issued.id)
    town.verifier.forget(issued.id)
    assert stream.ended.is_set()


@pytest.mark.usefixtures("quick")
async def test_streams_live_through_an_outage_but_not_past_their_tokens_end(town: Town) -> None:
    issued = await town.issue()
    await town.road.close()
    lasting = Stream(town, issued.id, issued.expires_at)
    passing = Stream(town, (await town.issue()).id, town.now + timedelta(seconds=1))
    town.now += timedelta(seconds=1)
    async with asyncio.timeout(10):
        await passing.ended.wait()
    assert not lasting.ended.is_set()


@pytest.mark.usefixtures("quick")
async def test_nothing_is_asked_when_no_stream_is_open(town: Town) -> None:
    stream = Stream(town, (await town.issue()).id)
    watching: Any = town.verifier._watching
    stream.unwatch()
    stream.unwatch()
    async with asyncio.timeout(10):
        await watching
    assert town.asked == []
    assert not stream.ended.is_set()
