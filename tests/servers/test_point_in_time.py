"""The drill of docs/deploy.md, "Back to a moment": its own commands, a server that burns, and what comes back."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from broadaxe.storage.embedded import postgres_bin_dir
from broadaxe.storage.migrate import migrate
from tests.engine.house import House, house
from tests.servers.external import ExternalPostgres

CHAPTER = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text().partition("### Back to a moment")[2]
ALLOW, RECEIVE, BASE_BACKUP, RECOVER, NAME_THE_MOMENT, WAIT = re.findall(
    r"```bash\n(.*?)```", CHAPTER.partition("### ")[0], re.DOTALL
)


@pytest.fixture
def machine() -> Iterator[Path]:
    """A directory that another account may pass through, which pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="broadaxe-drill-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


async def trigger(home: House, names: list[str]) -> None:
    for name in names:
        await home.trigger(f'{{"name": "{name}"}}')


async def names(pool: asyncpg.Pool) -> list[str]:
    rows = await pool.fetch("select input::jsonb ->> 'name' as name from broadaxe.run order by id")
    return [row["name"] for row in rows]


async def test_what_was_acknowledged_comes_back_and_any_moment_before_it(machine: Path) -> None:
    server = ExternalPostgres(postgres_bin_dir(), machine / "data")
    base, wal = machine / "base", server.own(machine / "wal")
    server.own(base)
    server.create()
    server.start()
    await migrate(server.dsn())
    receiver = server.service(RECEIVE, WAL=wal)
    try:
        server.shell(ALLOW)
        async with asyncpg.create_pool(server.dsn(), min_size=1, max_size=5) as pool:
            async with house(server.dsn(), pool) as home:
                await home.put()
                await trigger(home, ["before-1", "before-2"])
                server.shell(BASE_BACKUP, BASE=base)
                await trigger(home, ["since-1", "since-2"])
                moment = await pool.fetchval("select clock_timestamp()")
                await trigger(home, ["after-1", "after-2"])
            # The last of them is acknowledged, and then there is no server any more.
            server.lose()
            pool.terminate()
    finally:
        os.killpg(receiver.pid, signal.SIGTERM)
        receiver.wait(30)

    everything = ["before-1", "before-2", "since-1", "since-2", "after-1", "after-2"]
    for target, expected in ((None, everything), (moment, everything[:4])):
        recovered = ExternalPostgres(postgres_bin_dir(), machine / ("end" if target is None else "moment") / "data")
        script = RECOVER + (NAME_THE_MOMENT if target else "")
        recovered.own(recovered.data.parent)
        recovered.shell(script, BASE=base, WAL=wal, DATA=recovered.data, MOMENT=target)
        recovered.start()
        try:
            recovered.shell(WAIT)
            async with asyncpg.create_pool(recovered.dsn(), min_size=1, max_size=5) as pool:
                assert await names(pool) == expected
                # Whoever held the tenant is gone; a lease that was not given back would run out by itself.
                await pool.execute("update broadaxe.lease set expires_at = now()")
                async with house(recovered.dsn(), pool, tenant_id=await only_tenant(pool)) as home:
                    await trigger(home, ["anew"])
                assert await names(pool) == [*expected, "anew"]
        finally:
            recovered.stop()


async def only_tenant(pool: asyncpg.Pool) -> str:
    return str(await pool.fetchval("select id from broadaxe.tenant"))
