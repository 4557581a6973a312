"""What tests ask of `hatchet-sdk` 0.47.1 through `caller.py`: each function is a small script of 2025."""

from __future__ import annotations

import asyncio
import inspect
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from gallery.cue import Cue, tell
from hatchet_sdk import Hatchet
from hatchet_sdk.clients.rest.models.log_line_order_by_direction import LogLineOrderByDirection
from hatchet_sdk.clients.rest.models.log_line_order_by_field import LogLineOrderByField
from hatchet_sdk.clients.rest.models.workflow_run_order_by_field import WorkflowRunOrderByField
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


async def stream(hatchet: Hatchet, run_id: str, key: str) -> list[tuple[str, str]]:
    """What a follower of the run hears, until it is over. Tells the stage each piece."""
    heard: list[tuple[str, str]] = []
    async for event in hatchet.admin.get_workflow_run(run_id).stream():
        heard.append((str(event.type), event.payload))
        await tell(Cue(key=key), f"heard {event.payload}")
    return heard


async def stream_by_metadata(hatchet: Hatchet, name: str, value: str, key: str) -> list[tuple[str, str]]:
    """What a follower of all runs with this metadata hears, until none is left. Tells the stage each piece."""
    heard: list[tuple[str, str]] = []
    async for event in hatchet.listener.stream_by_additional_metadata(name, value):
        heard.append((str(event.type), event.payload))
        await tell(Cue(key=key), f"heard {event.payload}")
    return heard


def push(hatchet: Hatchet, key: str, payload: dict[str, Any], **options: Any) -> str:
    return str(hatchet.event.push(key, payload, options or None).eventId)


def bulk_push(hatchet: Hatchet, key: str, payloads: list[dict[str, Any]]) -> list[str]:
    events = hatchet.event.bulk_push(
        [{"key": key, "payload": payload, "additional_metadata": {}} for payload in payloads]
    )
    return [event.eventId for event in events]


def put_rate_limit(hatchet: Hatchet, key: str, limit: int) -> None:
    hatchet.admin.put_rate_limit(key, limit, RateLimitDuration.HOUR)


def cancel_run(hatchet: Hatchet, run_id: str) -> None:
    hatchet.rest.workflow_run_cancel(run_id)


def make_cron(hatchet: Hatchet, workflow: str, name: str, expression: str, input: dict[str, Any]) -> Any:
    return _plain(hatchet.cron.create(workflow, name, expression, input, {}))


def delete_cron(hatchet: Hatchet, cron_id: str) -> None:
    hatchet.cron.delete(cron_id)


def schedule(hatchet: Hatchet, workflow: str, input: dict[str, Any], in_s: float) -> None:
    hatchet.admin.schedule_workflow(workflow, [datetime.now(UTC) + timedelta(seconds=in_s)], input)


def make_schedule(hatchet: Hatchet, workflow: str, input: dict[str, Any], in_s: float) -> Any:
    return _plain(hatchet.scheduled.create(workflow, datetime.now(UTC) + timedelta(seconds=in_s), input, {}))


def delete_schedule(hatchet: Hatchet, schedule_id: str) -> None:
    hatchet.scheduled.delete(schedule_id)


def rest(hatchet: Hatchet, method: str, **arguments: Any) -> Any:
    """What a method of the REST client answers, as JSON."""
    return _plain(getattr(hatchet.rest, method)(**_enums(arguments)))


async def rest_in_loop(hatchet: Hatchet, method: str, **arguments: Any) -> Any:
    answer = await getattr(hatchet.rest.aio, method)(**_enums(arguments))
    if inspect.isawaitable(answer):  # one of its methods forgets to wait
        answer = await answer
    return _plain(answer)


async def rest_api(hatchet: Hatchet, api: str, method: str, **arguments: Any) -> Any:
    """What a method of one of the generated API classes answers, as JSON. Its models check every field."""
    ask = getattr(getattr(hatchet.rest.aio, api), method)
    if "tenant" in inspect.signature(ask).parameters:
        arguments["tenant"] = hatchet.rest.aio.tenant_id
    answer = await ask(**arguments)
    return _plain(answer) if hasattr(answer, "model_dump_json") else answer


def workflow_named(hatchet: Hatchet, name: str) -> Any:
    found = hatchet.rest.workflow_list()
    return next(_plain(row) for row in found.rows or [] if row.name == name)


def _plain(answer: Any) -> Any:
    return json.loads(answer.model_dump_json(by_alias=True))


def _enums(arguments: dict[str, Any]) -> dict[str, Any]:
    """The client wants members of its enumerations; they are found by their values."""
    known = {
        "order_by_field": (WorkflowRunOrderByField, LogLineOrderByField),
        "order_by_direction": (LogLineOrderByDirection,),
    }
    for name, kinds in known.items():
        if name in arguments:
            value = arguments[name]
            arguments[name] = next(kind(value) for kind in kinds if value in [member.value for member in kind])
    return arguments
