"""Two nodes on one database: an official worker and its caller at the one that does not own the tenant."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from gallery.cue import Cue
from lean_client import LeanClient, Task
from wirekit import EngineProcess, Rest, Stage, StartWorker

from broadaxe.storage.nodes import drain_node, nodes


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_who_is_at_another_node_does_not_notice_that_the_owner_is_gone(
    database: str, start_worker: StartWorker, stage: Stage, key: str, tmp_path: Path, how: str
) -> None:
    """One task runs meanwhile, one waits for a slot, and one is asked for when the owner is gone already."""
    for name in ("owner", "other"):
        (tmp_path / name).mkdir()
    owner, other = (EngineProcess(tmp_path / name, database) for name in ("owner", "other"))
    try:
        await owner.start()
        async with LeanClient(owner.address, owner.token) as first:
            await first.put_workflow(f"{key}-first", [Task("only")])
        await other.start()
        # So that the tenant stays where it is.
        await _drain_youngest(database)
        _, worker_id = await start_worker(engine=other, slots=1)
        client = other.client()
        hold = client.stubs.workflow(name="hold", input_validator=Cue)
        during = await hold.aio_run(Cue(key=f"{key}-during", n=1), wait_for_result=False)
        await stage.heard(f"{key}-during", "started")
        waiting = await hold.aio_run(Cue(key=f"{key}-waiting", n=2), wait_for_result=False)
        awaited = asyncio.create_task(during.aio_result())

        if how == "killed":
            await owner.kill()
        else:
            await _drain_youngest(database, is_undone=True)
            assert await owner.stop() == 0
        after = await hold.aio_run(Cue(key=f"{key}-after", n=3), wait_for_result=False)
        for which in ("during", "waiting", "after"):
            stage.open(f"{key}-{which}")
        assert await awaited == {"hold": {"n": 1, "retry_count": 0}}
        assert await waiting.aio_result() == {"hold": {"n": 2, "retry_count": 0}}
        assert await after.aio_result() == {"hold": {"n": 3, "retry_count": 0}}
        told = [stage.told(f"{key}-{which}", "started") for which in ("during", "waiting", "after")]
        assert [len(signals) for signals in told] == [1, 1, 1], "nobody ran twice"
        async with Rest(other.url, other.token, client.tenant_id) as rest:
            assert [row["metadata"]["id"] for row in await rest.workers()] == [worker_id], "it did not register anew"
    finally:
        for engine in (owner, other):
            await engine.dispose()


async def _drain_youngest(database: str, *, is_undone: bool = False) -> None:
    connection = await asyncpg.connect(database)
    try:
        await drain_node(connection, (await nodes(connection))[-1].id, is_undone=is_undone)
    finally:
        await connection.close()
