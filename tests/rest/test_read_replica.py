"""People's reads on a real streaming replica: never older than what they were told, and answered while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from broadaxe.app import App
from broadaxe.cli import database_checks
from broadaxe.config import Settings
from broadaxe.errors import ConfigurationError
from broadaxe.storage import read_replica
from broadaxe.storage.connections import connection_pool
from broadaxe.storage.migrate import migrate
from broadaxe.storage.read_replica import ReadReplica, ReplicaState
from tests.own_postgres import OwnPostgres, own_postgres, replica_of

PATIENCE_S = 30.0
HERE = "select not pg_is_in_recovery()"
NEWEST = "select max(n) from said"


@dataclass(frozen=True, slots=True)
class Pair:
    primary: OwnPostgres
    replica: OwnPostgres


@pytest.fixture(scope="module")
def pair(_fixture_loop: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    stack = AsyncExitStack()

    async def start() -> Pair:
        directory = tmp_path_factory.mktemp("pair")
        primary = await stack.enter_async_context(own_postgres(directory / "primary"))
        connection = await asyncpg.connect(primary.url())
        await connection.execute("create database broadaxe")
        await connection.close()
        await migrate(primary.url("broadaxe"))
        replica = await stack.enter_async_context(replica_of(primary, directory / "replica"))
        return Pair(primary, replica)

    yield _fixture_loop.run(start())
    _fixture_loop.run(stack.aclose())


@dataclass(frozen=True, slots=True)
class Room:
    primary: asyncpg.Pool
    replica: asyncpg.Pool
    reads: ReadReplica

    async def pause(self) -> None:
        await self.replica.execute("select pg_wal_replay_pause()")
        # It is asked for at once and happens between two records.
        async with asyncio.timeout(PATIENCE_S):
            while await self.replica.fetchval("select pg_get_wal_replay_pause_state() from pg_sleep(0.01)") != "paused":
                pass

    async def resume(self) -> None:
        await self.replica.execute("select pg_wal_replay_resume()")

    async def say(self) -> int:
        said: int = await self.primary.fetchval("insert into said select coalesce(max(n), 0) + 1 from said returning n")
        return said


@pytest.fixture
async def room(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    # Whoever was behind or away is asked again at once, so that nothing here depends on how long that lasts.
    monkeypatch.setattr(read_replica, "BEHIND_FOR_S", 0.0)
    monkeypatch.setattr(read_replica, "AWAY_FOR_S", 0.0)
    async with (
        connection_pool(pair.primary.url(), 3, {}) as primary,
        connection_pool(pair.replica.url(), 3, {}, connections_min=0) as replica,
    ):
        await primary.execute("create table if not exists said (n int)")
        made = Room(primary, replica, ReadReplica(primary, replica))
        yield made
        await made.resume()


async def test_a_read_has_what_was_committed_before_it(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    # However slow this machine is, the replica comes.
    monkeypatch.setattr(read_replica, "WAIT_S", PATIENCE_S)
    for _ in range(20):
        said = await room.say()
        assert await room.reads.fetchval(NEWEST) == said
    assert room.reads.condition.reads == {"replica": 20, "primary": 0}
    assert await room.reads.fetchval(HERE) is False


async def test_a_replica_that_stands_still_answers_until_something_new_is_there(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_replica, "WAIT_S", PATIENCE_S)
    before = await room.say()
    assert await room.reads.fetchval(NEWEST) == before
    await room.pause()
    monkeypatch.setattr(read_replica, "WAIT_S", 0.05)
    said = await room.say()
    assert await room.reads.fetchval(NEWEST) == said
    assert await room.replica.fetchval(NEWEST) == before
    found = room.reads.condition
    assert found.state is ReplicaState.BEHIND
    assert found.lag_s > 0
    assert await room.reads.fetchval(HERE) is True
    await room.resume()
    monkeypatch.setattr(read_replica, "WAIT_S", PATIENCE_S)
    assert await room.reads.fetchval(HERE) is False
    assert (room.reads.condition.state, room.reads.condition.lag_s) == (ReplicaState.IN_USE, 0.0)


async def test_a_read_waits_for_a_replica_that_comes_in_time(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_replica, "WAIT_S", PATIENCE_S)
    await room.pause()
    said = await room.say()
    reading = asyncio.create_task(room.reads.fetchrow("select max(n) as n, pg_is_in_recovery() as there from said"))
    await room.resume()
    row = await reading
    assert (row["n"], row["there"]) == (said, True)


async def test_nobody_waits_again_for_a_replica_that_was_behind_just_now(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_replica, "WAIT_S", 0.0)
    monkeypatch.setattr(read_replica, "BEHIND_FOR_S", PATIENCE_S)
    await room.pause()
    await room.say()
    assert await room.reads.fetchval(HERE) is True
    await room.resume()
    assert await room.reads.fetchval(HERE) is True
    assert room.reads.condition.state is ReplicaState.BEHIND
    await room.reads.look()


async def test_a_read_that_the_replica_breaks_off_is_answered_by_the_primary(room: Room, monkeypatch: Any) -> None:
    monkeypatch.setattr(read_replica, "WAIT_S", PATIENCE_S)
    conflict = (
        "do $$ begin if pg_is_in_recovery() then raise exception using errcode = '40001', "
        "message = 'canceling statement due to conflict with recovery'; end if; end $$"
    )
    await room.reads.fetch(conflict)
    assert room.reads.condition.reads == {"replica": 0, "primary": 1}
    assert room.reads.condition.state is ReplicaState.IN_USE


@pytest.mark.parametrize("what", ["nothing listens", "no replica"])
async def test_without_a_replica_the_primary_answers_and_it_is_said_why(pair: Pair, room: Room, what: str) -> None:
    url = pair.primary.url() if what == "no replica" else "postgresql://nobody@127.0.0.1:1/none"
    async with connection_pool(url, 1, {}, connections_min=0) as there:
        reads = ReadReplica(room.primary, there)
        assert await reads.fetchval(HERE) is True
        found = reads.condition
        assert found.state is ReplicaState.AWAY
        assert found.reads == {"replica": 0, "primary": 1}
        assert found.problem


async def test_a_value_that_cannot_be_sent_says_nothing_of_the_replica(room: Room, monkeypatch: Any) -> None:
    monkeypatch.setattr(read_replica, "WAIT_S", PATIENCE_S)
    with pytest.raises(asyncpg.DataError):
        await room.reads.fetchval("select $1::int", "no number")
    assert room.reads.condition.state is ReplicaState.IN_USE


async def test_an_engine_reads_for_people_on_the_replica_and_tells_of_it(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_replica, "WAIT_S", PATIENCE_S)
    async with AsyncExitStack() as stack:
        app = await App.start(
            Settings(
                database_url=pair.primary.url("broadaxe"),
                read_database_url=pair.replica.url("broadaxe"),
                grpc_port=0,
                http_port=0,
                data_dir=tmp_path / "data",
            )
        )
        stack.push_async_callback(app.stop)
        credentials = await app.bootstrap_dev()
        http = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=app.http_url, headers={"Authorization": f"Bearer {credentials.token}"}, timeout=PATIENCE_S
            )
        )
        tenant = f"/api/v1/stable/tenants/{credentials.tenant_id}"
        made = await http.put(f"{tenant}/rate-limits", json={"key": "openai", "limit": 5, "window": "1m"})
        assert made.is_success, made.text
        listed = await http.get(f"/api/v1/tenants/{credentials.tenant_id}/rate-limits")
        assert [row["key"] for row in listed.json()["rows"]] == ["openai"]
        runs = await http.get(f"{tenant}/workflow-runs", params={"since": "2020-01-01T00:00:00Z", "only_tasks": False})
        assert runs.json()["rows"] == []
        assert (await http.get("/api/v1/meta")).json()["readReplica"] == {"state": "IN_USE", "lagSeconds": 0.0}
        figures = (await http.get("/metrics")).text
        assert "broadaxe_read_replica_in_use 1.0" in figures
        assert "broadaxe_read_replica_lag_seconds 0.0" in figures
        assert 'broadaxe_reads_total{server="primary"} 0.0' in figures


@pytest.mark.parametrize(
    ("url", "said"),
    [("replica", "follows the primary"), ("primary", "not a replica"), ("gone", "--read-database-url")],
)
async def test_doctor_says_what_the_read_url_leads_to(pair: Pair, url: str, said: str) -> None:
    primary = pair.primary.url("broadaxe")
    read = {"replica": pair.replica.url("broadaxe"), "primary": primary, "gone": "postgresql://nobody@127.0.0.1:1/x"}[
        url
    ]
    findings = [finding async for finding in database_checks.findings_of(primary, read_dsn=read)]
    (found,) = [finding for finding in findings if finding.subject == "read replica"]
    assert said in found.detail
    assert (found.remedy is None) == (url == "replica")
    assert {finding.subject for finding in findings if finding.remedy is not None} <= {"read replica", "durability"}


async def test_doctor_refuses_a_standby_as_the_database(pair: Pair) -> None:
    findings = [finding async for finding in database_checks.findings_of(pair.replica.url("broadaxe"))]
    (found,) = [finding for finding in findings if finding.subject == "server"]
    assert "hot standby" in found.detail
    assert found.remedy is not None
    assert "target_session_attrs" in found.remedy


async def test_an_engine_does_not_start_with_the_replica_of_another_primary(
    pair: Pair, database: str, tmp_path: Path
) -> None:
    settings = Settings(
        database_url=pair.primary.url("broadaxe"), read_database_url=database, grpc_port=0, data_dir=tmp_path / "data"
    )
    with pytest.raises(ConfigurationError, match="follows another primary"):
        await App.start(settings)
