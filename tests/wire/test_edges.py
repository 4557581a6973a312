"""`serve --edges`: an official worker and its caller at the edges of a node, parts of which are killed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import psutil
import pytest
from gallery.cue import Cue
from lean_client import LeanClient
from wirekit import PATIENCE_S, NodeProcess, Rest, Stage, StartWorker, eventually


@pytest.fixture
async def node(database: str, tmp_path: Path) -> AsyncIterator[NodeProcess]:
    node = NodeProcess(tmp_path, database, edges=2)
    try:
        await node.start()
        yield node
    finally:
        node.resume()
        await node.dispose()


async def are_gone(parts: dict[str, psutil.Process]) -> None:
    _, left = await asyncio.to_thread(psutil.wait_procs, list(parts.values()), PATIENCE_S)
    assert left == []


async def test_nobody_at_the_edges_notices_that_the_engine_process_is_killed(
    node: NodeProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    """One task ends and is reported while nobody decides, one waits for its slot, and one is asked for meanwhile."""
    _, worker_id = await start_worker(engine=node, slots=1)
    client = node.client()
    hold = client.stubs.workflow(name="hold", input_validator=Cue)
    during = await hold.aio_run(Cue(key=f"{key}-during", n=1), wait_for_result=False)
    await stage.heard(f"{key}-during", "started")
    waiting = await hold.aio_run(Cue(key=f"{key}-waiting", n=2), wait_for_result=False)
    awaited = asyncio.create_task(during.aio_result())
    stage.open(f"{key}-waiting")
    stage.open(f"{key}-after")

    node.pause()  # so that the engine process is not started again before that
    parts = node.parts()
    parts["engine"].kill()
    stage.open(f"{key}-during")
    await stage.heard(f"{key}-during", "ended")
    after = asyncio.create_task(hold.aio_run(Cue(key=f"{key}-after", n=3), wait_for_result=False))
    async with httpx.AsyncClient(base_url=node.url, timeout=PATIENCE_S) as http:

        async def ready() -> int:
            return (await http.get("/api/ready")).status_code

        await eventually(ready, until=lambda status: status == 500, what="the edges say that nobody decides")
        assert not after.done()
        node.resume()
        await eventually(ready, until=lambda status: status == 200, what="they say that somebody decides")

    assert await awaited == {"hold": {"n": 1, "retry_count": 0}}
    assert await waiting.aio_result() == {"hold": {"n": 2, "retry_count": 0}}
    assert await (await after).aio_result() == {"hold": {"n": 3, "retry_count": 0}}
    told = [stage.told(f"{key}-{which}", "started") for which in ("during", "waiting", "after")]
    assert [len(signals) for signals in told] == [1, 1, 1], "nobody ran twice"
    async with Rest(node.url, node.token, client.tenant_id) as rest:
        assert [row["metadata"]["id"] for row in await rest.workers()] == [worker_id], "it did not register anew"
        assert await rest.finished(during.workflow_run_id) == "COMPLETED"
    async with httpx.AsyncClient(base_url=node.url, timeout=PATIENCE_S) as http:
        shown = (await http.get("/metrics")).text.splitlines()
    assert "hatchet_succeeded_tasks_total 3.0" in shown, "an edge shows what the engine process has counted"
    named = [line for line in shown if line.startswith("broadaxe_process_resident_memory_bytes{")]
    assert [line.split('"')[1] for line in named] == ["edge-1", "edge-2", "engine"]
    now = node.parts()
    assert [now[name].pid for name in ("edge-1", "edge-2")] == [parts[name].pid for name in ("edge-1", "edge-2")]

    assert await node.stop() == 0
    await are_gone(now)
    with socket.create_server(("127.0.0.1", node.port)):
        pass  # nobody has it any more


async def test_an_edge_that_is_killed_takes_only_its_own_clients_with_it(
    node: NodeProcess, start_worker: StartWorker, stage: Stage, key: str
) -> None:
    """And nothing is left of a node whose first process is killed."""
    _, worker_id = await start_worker(engine=node)
    client = node.client()
    hold = client.stubs.workflow(name="hold", input_validator=Cue)
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(LeanClient(node.address, node.token)) for _ in range(8)]
        for caller in callers:
            await caller.get_version()
        parts = node.parts()
        others = clients_of(parts["edge-2"], node)
        running = await hold.aio_run(Cue(key=f"{key}-running", n=1), wait_for_result=False)
        await stage.heard(f"{key}-running", "started")

        parts["edge-1"].kill()
        await eventually(lambda: again(node, parts["edge-1"]), what="the edge is started again")
        stage.open(f"{key}-running")
        async with Rest(node.url, node.token, client.tenant_id) as rest:
            assert await rest.finished(running.workflow_run_id) == "COMPLETED"
            assert [row["metadata"]["id"] for row in await rest.workers()] == [worker_id]
        assert len(stage.told(f"{key}-running", "started")) == 1
        assert others <= clients_of(node.parts()["edge-2"], node), "those of the other edge stayed connected"

        now = node.parts()
        await node.kill()
        await are_gone(now)


async def again(node: NodeProcess, killed: psutil.Process) -> bool:
    """Whether another one listens in its place."""
    found = node.parts().get("edge-1")
    return found is not None and found.pid != killed.pid and bool(listeners_of(found))


def clients_of(edge: psutil.Process, node: NodeProcess) -> set[int]:
    """Their ports."""
    return {
        connection.raddr.port
        for connection in edge.net_connections("tcp")
        if connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == node.port
    }


def listeners_of(part: psutil.Process) -> list[int]:
    return [c.laddr.port for c in part.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
