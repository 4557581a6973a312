"""Limits of a tenant with the real SDK (checklist line 62): what it is told, and that nothing happened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import grpc
import grpc.aio
import pytest
from hatchet_sdk import Hatchet
from lean_client import LeanClient, Task
from wirekit import EngineProcess, Rest, eventually

from broadaxe.core.commands.quotas import Resource
from broadaxe.storage.audit import command_line
from broadaxe.storage.quotas import change_quotas

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture
async def strict(database: str, tmp_path: Path) -> AsyncIterator[EngineProcess]:
    """An engine that enforces limits, on the database that the test's `pool` leads to."""
    engine = EngineProcess(tmp_path, database_url=database, flags=("--enforce-limits",))
    try:
        await engine.start()
        yield engine
    finally:
        await engine.dispose()


def impatient(engine: EngineProcess) -> Hatchet:
    """A client that takes the first no. By default the SDK tries a refused call four times more, for many seconds."""
    client = engine.client()
    client.config.tenacity.max_attempts = 1
    return client


async def limit(pool: asyncpg.Pool, tenant_id: str, rest: Rest, **limits: int) -> None:
    """Sets them, and waits until the engine shows them."""
    async with pool.acquire() as connection:
        await change_quotas(
            connection, tenant_id, command_line("root"), {Resource(name): value for name, value in limits.items()}
        )
    await eventually(lambda: _are_in_force(rest, limits), what="the limits are in force")


async def _are_in_force(rest: Rest, limits: dict[str, int]) -> bool:
    shown = await rest.limits()
    return all(shown[name]["limitValue"] == value for name, value in limits.items())


async def test_the_sdk_is_told_that_a_resource_is_exhausted(strict: EngineProcess, pool: asyncpg.Pool) -> None:
    client = impatient(strict)
    async with (
        Rest(strict.url, strict.token, client.tenant_id) as rest,
        LeanClient(strict.address, strict.token) as lean,
    ):
        await lean.put_workflow("flow", [Task("a")], event_triggers=["wire:limited"])
        await limit(pool, client.tenant_id, rest, TASK_RUN=2, EVENT=1, WORKER=1)
        flow = client.stubs.workflow(name="flow")

        # Runs: two fit, a bulk that does not is refused whole, and so is an event that would start one.
        await flow.aio_run(wait_for_result=False)
        with pytest.raises(grpc.RpcError) as bulk:
            await flow.aio_run_many([flow.create_bulk_run_item() for _ in range(2)], wait_for_result=False)
        await flow.aio_run(wait_for_result=False)
        with pytest.raises(grpc.RpcError) as started:
            await client.event.aio_push("wire:limited", {})
        # Events: one fits.
        await client.event.aio_push("wire:unheard", {})
        with pytest.raises(grpc.RpcError) as pushed:
            await client.event.aio_push("wire:unheard", {})
        # Workers: one fits.
        await lean.register(["flow:a"], 1)
        with pytest.raises(grpc.RpcError) as registered:
            await lean.register(["flow:a"], 1)

        for error, resource in ((bulk, "TASK_RUN"), (started, "TASK_RUN"), (pushed, "EVENT"), (registered, "WORKER")):
            assert error.value.code() is EXHAUSTED
            assert f"limit {resource} is reached" in str(error.value.details())
        shown = await rest.limits()
        assert {name: shown[name]["value"] for name in ("TASK_RUN", "EVENT", "WORKER")} == {
            "TASK_RUN": 2,
            "EVENT": 1,
            "WORKER": 1,
        }
        assert await pool.fetchval("select count(*) from broadaxe.run") == 2
        assert await pool.fetchval("select count(*) from broadaxe.event") == 1
        assert await pool.fetchval("select count(*) from broadaxe.worker") == 1


async def test_the_window_ends_and_there_is_room_again(strict: EngineProcess, pool: asyncpg.Pool) -> None:
    client = impatient(strict)
    async with Rest(strict.url, strict.token, client.tenant_id) as rest:
        await limit(pool, client.tenant_id, rest, EVENT=1)
        await client.event.aio_push("wire:unheard", {})
        with pytest.raises(grpc.RpcError):
            await client.event.aio_push("wire:unheard", {})
        # A day passes while the engine is away; it was killed, and what was used is known all the same.
        await strict.kill()
        await pool.execute("update broadaxe.quota_usage set since = since - interval '23 hours'")
        await strict.start()
        with pytest.raises(grpc.RpcError):
            await client.event.aio_push("wire:unheard", {})
        await strict.kill()
        await pool.execute("update broadaxe.quota_usage set since = since - interval '1 hour'")
        await strict.start()
        await client.event.aio_push("wire:unheard", {})
        assert (await rest.limits())["EVENT"]["value"] == 1
