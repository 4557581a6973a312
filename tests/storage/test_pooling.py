"""The database behind a real PgBouncer, in each of its modes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from broadaxe.cli import database_checks
from broadaxe.errors import ConfigurationError
from broadaxe.storage import connections
from broadaxe.storage.connections import Pooling, connect, connection_pool, pooling_of
from broadaxe.storage.journal import CONNECTION_SETTINGS
from broadaxe.storage.migrate import migrate, schema_of
from tests.conftest import with_database
from tests.pooler import pooler

MODES = (Pooling.SESSION, Pooling.TRANSACTION)
PREPARED = "select count(*) from pg_prepared_statements"


@pytest.fixture(params=MODES, ids=[mode.value.lower() for mode in MODES])
def mode(request: pytest.FixtureRequest) -> Pooling:
    assert isinstance(request.param, Pooling)
    return request.param


@pytest.fixture
async def pooled(database: str, mode: Pooling, tmp_path: Path) -> AsyncIterator[str]:
    async with pooler(database, mode.value.lower(), tmp_path / "pooler") as dsn:
        yield dsn


async def test_what_stands_before_the_server_shows_by_itself(pooled: str, database: str, mode: Pooling) -> None:
    assert await pooling_of(pooled) is mode
    assert await pooling_of(database) is Pooling.NONE


async def test_transactions_of_one_session_alone_are_told_from_sessions(database: str, tmp_path: Path) -> None:
    async with pooler(database, "transaction", tmp_path / "pooler", size=1) as dsn:
        assert await pooling_of(dsn) is Pooling.TRANSACTION


async def test_a_pooler_that_leaves_no_transactions_is_refused_in_our_words(database: str, tmp_path: Path) -> None:
    async with pooler(database, "statement", tmp_path / "pooler") as dsn:
        with pytest.raises(ConfigurationError, match="pool transactions or sessions"):
            await pooling_of(dsn)


async def test_a_pooler_without_room_is_refused_in_our_words(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ANOTHER_SESSION_S", 0.5)
    async with pooler(database, "session", tmp_path / "pooler", size=1) as dsn:
        with pytest.raises(ConfigurationError, match="default_pool_size"):
            await pooling_of(dsn)


async def test_every_statement_has_the_settings_of_the_pool_and_leaves_none_behind(pooled: str, mode: Pooling) -> None:
    asked = "select current_setting('enable_hashjoin'), current_setting('enable_seqscan')"
    async with connection_pool(pooled, 3, CONNECTION_SETTINGS, mode) as pool:

        async def busy() -> None:
            for _ in range(10):
                assert tuple(await pool.fetchrow(asked)) == ("off", "off")
                async with pool.acquire() as connection, connection.transaction():
                    assert tuple(await connection.fetchrow(asked)) == ("off", "off")

        await asyncio.gather(*(busy() for _ in range(6)))
    other = await connect(pooled)
    try:
        for _ in range(10):
            assert tuple(await other.fetchrow(asked)) == ("on", "on")
    finally:
        await other.close()


async def test_nothing_is_prepared_where_transactions_are_pooled(database: str, tmp_path: Path) -> None:
    async with (
        pooler(database, "transaction", tmp_path / "pooler", size=2) as dsn,
        connection_pool(dsn, 4, CONNECTION_SETTINGS, Pooling.TRANSACTION) as pool,
    ):

        async def busy(number: int) -> None:
            for n in range(10):
                # Types the driver has to look up, other statements between, rows in pages.
                state = await pool.fetchval("select $1::broadaxe.run_status[]", ["QUEUED"])
                assert state == ["QUEUED"]
                assert await pool.fetchval("select $1::int + $2::int", number, n) == number + n
                async with pool.acquire() as connection, connection.transaction():
                    rows = connection.cursor("select n from generate_series(1, $1::int) as n", 7, prefetch=3)
                    assert [row["n"] async for row in rows] == [1, 2, 3, 4, 5, 6, 7]
                await pool.executemany("select $1::int", [(1,), (2,)])
                await pool.execute("select 1")

        await asyncio.gather(*(busy(number) for number in range(8)))
        for _ in range(6):
            assert await pool.fetchval(PREPARED) == 0


async def test_a_failed_statement_is_undone_and_the_connection_goes_on(pooled: str, mode: Pooling) -> None:
    async with connection_pool(pooled, 1, CONNECTION_SETTINGS, mode) as pool:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await pool.fetchval("select 1 / $1::int", 0)
        assert await pool.fetchval("select 1") == 1


async def test_engines_that_migrate_at_once_through_a_pooler_take_turns(
    postgres: str, mode: Pooling, tmp_path: Path
) -> None:
    name = f"test_{uuid4().hex}"
    server = await asyncpg.connect(postgres)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.close)
        await server.execute(f"create database {name}")
        stack.push_async_callback(server.execute, f"drop database {name} with (force)")
        fresh = with_database(postgres, name)
        dsn = await stack.enter_async_context(pooler(fresh, mode.value.lower(), tmp_path / "pooler"))
        applied = await asyncio.gather(*(migrate(dsn) for _ in range(3)))
        assert len({*applied[0], *applied[1], *applied[2]}) == sum(map(len, applied))
        assert (await schema_of(dsn)).lacks == []


async def test_doctor_says_what_a_pooler_means(pooled: str, database: str, mode: Pooling) -> None:
    findings = [finding async for finding in database_checks.findings_of(pooled)]
    assert {finding.subject for finding in findings if finding.remedy is not None} <= {"durability"}
    (found,) = [finding for finding in findings if finding.subject == "connection pooler"]
    assert found.detail.startswith(f"pools {mode.value.lower()}s")
    assert ("--direct-database-url" in found.detail) == (mode is Pooling.TRANSACTION)
    past_it = [finding async for finding in database_checks.findings_of(pooled, database)]
    (found,) = [finding for finding in past_it if finding.subject == "connection pooler"]
    assert "leads past it" in found.detail


@pytest.mark.parametrize(
    ("direct", "problem"),
    [("the pooler", "pools transactions as well"), ("another database", "another database")],
    ids=["the-same-pooler", "another-database"],
)
async def test_doctor_refuses_a_direct_url_that_is_none(
    database: str, postgres: str, tmp_path: Path, direct: str, problem: str
) -> None:
    async with pooler(database, "transaction", tmp_path / "pooler") as dsn:
        direct_dsn = dsn if direct == "the pooler" else postgres
        findings = [finding async for finding in database_checks.findings_of(dsn, direct_dsn)]
    (found,) = [finding for finding in findings if finding.subject == "connection pooler"]
    assert problem in found.detail
    assert found.remedy is not None
