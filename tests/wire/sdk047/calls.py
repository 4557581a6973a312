"""What tests ask of `hatchet-sdk` 0.47.1 through `caller.py`: each function is a small script of 2025."""

from __future__ import annotations

import asyncio
from typing import Any

from hatchet_sdk import Hatchet
from hatchet_sdk.rate_limit import RateLimitDuration


async def run(hatchet: Hatchet, workflow: str, input: dict[str, Any], **options: Any) -> str:
    """Starts a run and returns its id."""
    ref = await hatchet.admin.aio.run_workflow(workflow, input, options=options or None)
    return ref.workflow_run_id


async def result(hatchet: Hatchet, workflow: str, input: dict[str, Any], **options: Any) -> Any:
    ref = await hatchet.admin.aio.run_workflow(workflow, input, options=options or None)
    return await ref.result()


async def result_of(hatchet: Hatchet, run_id: str) -> Any:
    return await hatchet.admin.get_workflow_run(run_id).result()


def sync_result(hatchet: Hatchet, workflow: str, input: dict[str, Any]) -> Any:
    return hatchet.admin.run_workflow(workflow, input).sync_result()


async def results_of_many(hatchet: Hatchet, workflow: str, inputs: list[dict[str, Any]]) -> list[Any]:
    refs = await hatchet.admin.aio.run_workflows(
        [{"workflow_name": workflow, "input": input, "options": {}} for input in inputs]
    )
    return await asyncio.gather(*(ref.result() for ref in refs))


async def stream(hatchet: Hatchet, run_id: str) -> list[tuple[str, str]]:
    """What a follower of the run hears, until it is over."""
    return [(str(event.type), event.payload) async for event in hatchet.admin.get_workflow_run(run_id).stream()]


async def stream_by_metadata(hatchet: Hatchet, workflow: str, input: dict[str, Any], key: str, value: str) -> list[str]:
    follower = hatchet.listener.stream_by_additional_metadata(key, value)
    await hatchet.admin.aio.run_workflow(workflow, input, options={"additional_metadata": {key: value}})
    return [str(event.type) async for event in follower]


def push(hatchet: Hatchet, key: str, payload: dict[str, Any], **options: Any) -> str:
    return str(hatchet.event.push(key, payload, options or None).eventId)


def bulk_push(hatchet: Hatchet, key: str, payloads: list[dict[str, Any]]) -> list[str]:
    events = hatchet.event.bulk_push(
        [{"key": key, "payload": payload, "additional_metadata": {}} for payload in payloads]
    )
    return [event.eventId for event in events]


def put_rate_limit(hatchet: Hatchet, key: str, limit: int) -> None:
    hatchet.admin.put_rate_limit(key, limit, RateLimitDuration.HOUR)
