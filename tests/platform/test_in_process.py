"""An engine inside the program that uses it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import pytest
from hatchet_sdk import ClientConfig, Hatchet
from hatchet_sdk.config import ClientTLSConfig

import broadaxe
from broadaxe.errors import ConfigurationError
from tests.conftest import with_database


def client(engine: broadaxe.Engine) -> Hatchet:
    return Hatchet(config=ClientConfig(token=engine.token, tls_config=ClientTLSConfig(strategy="none")))


async def test_the_sdk_of_the_same_program_is_served_and_finds_its_data_again(database: str, tmp_path: Path) -> None:
    async with broadaxe.Engine(database_url=database, data_dir=tmp_path) as engine:
        hatchet = client(engine)
        pushed = await hatchet.event.aio_push("kept", {"over": "a restart"})
        tenant_id = engine.tenant_id
        assert hatchet.tenant_id == tenant_id
        assert engine.environment["HATCHET_CLIENT_HOST_PORT"] == engine.grpc_address
    async with broadaxe.Engine(database_url=database, data_dir=tmp_path) as engine:
        assert engine.tenant_id == tenant_id
        listed = await client(engine).event.aio_list()
        assert [row.metadata.id for row in listed.rows or []] == [pushed.event_id]


def test_the_program_of_the_documentation_leaves_nothing_running(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "embedded.md"
    program = page.read_text().split("```python\n# embedded_service.py\n")[1].split("```")[0]
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("dashboard: http://127.0.0.1:")
    assert not [p.pid for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or ())]


async def test_one_engine_has_a_directory_and_starts_once(database: str, tmp_path: Path) -> None:
    async with broadaxe.Engine(database_url=database, data_dir=tmp_path) as engine:
        async with httpx.AsyncClient(base_url=engine.http_url, timeout=60) as http:
            assert (await http.get("/api/ready")).status_code == 200
        with pytest.raises(ConfigurationError, match=f"process {os.getpid()}.*data_dir"):
            await broadaxe.Engine(database_url=database, data_dir=tmp_path).start()
    await engine.stop()
    with pytest.raises(RuntimeError, match="starts once"):
        await engine.start()


async def test_without_http_there_is_no_port_of_it(database: str, tmp_path: Path) -> None:
    async with broadaxe.Engine(database_url=database, data_dir=tmp_path, http_port=None) as engine:
        assert engine.http_url.endswith(":0")
        await client(engine).event.aio_push("over", {"grpc": "only"})


async def test_a_port_in_use_is_named_and_nothing_is_left_behind(database: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=str(port)):
            await broadaxe.Engine(database_url=database, data_dir=tmp_path, http_port=port).start()
    async with broadaxe.Engine(database_url=database, data_dir=tmp_path):
        pass


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"edges": 3}, "edges is no setting"),
        ({"colour": "green"}, "colour is no setting"),
        ({"grpc_port": 70000}, "grpc_port: '70000' is no port"),
        ({"retention_days": "soon"}, "retention_days: 'soon'"),
        ({"database_url": "mysql://here"}, "database_url: a database URL looks like"),
    ],
    ids=["a process's", "unknown", "port", "days", "url"],
)
def test_what_is_wrong_is_named_as_the_argument(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        broadaxe.Engine(**arguments)


def test_an_engine_that_has_not_started_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        _ = broadaxe.Engine().token


async def test_a_database_without_a_schema_is_refused_and_migrated_if_asked(
    postgres: str, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    await pool.execute("create database without_schema")
    empty_database = with_database(postgres, "without_schema")
    with pytest.raises(ConfigurationError, match="broadaxe migrate"):
        await broadaxe.Engine(database_url=empty_database, data_dir=tmp_path).start()
    async with broadaxe.Engine(database_url=empty_database, data_dir=tmp_path, migrate=True) as engine:
        assert engine.tenant_id
    await pool.execute("drop database without_schema")


def test_the_programs_own_logging_is_left_alone() -> None:
    program = (
        "import asyncio, logging, sys, broadaxe\n"
        "logging.basicConfig(level='WARNING', format='MINE %(name)s %(message)s', stream=sys.stderr)\n"
        "from broadaxe import logs\n"
        "logs.leave_to_the_program()\n"
        "import structlog\n"
        "structlog.get_logger('broadaxe.engine').warning('it happened', seconds=3)\n"
        "structlog.get_logger('broadaxe.engine').info('nobody asked')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "MINE broadaxe.engine it happened\n"
    assert done.stdout == ""


def test_importing_the_package_imports_next_to_nothing() -> None:
    program = "import sys, broadaxe; print(sorted(name for name in sys.modules if name.startswith('broadaxe')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['broadaxe']\n"


async def test_a_start_that_is_cancelled_lets_the_directory_go(database: str, tmp_path: Path) -> None:
    starting = asyncio.create_task(broadaxe.Engine(database_url=database, data_dir=tmp_path).start())
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    async with broadaxe.Engine(database_url=database, data_dir=tmp_path) as engine:
        assert engine.token
