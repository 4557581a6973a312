"""Workflows with event filters and with idempotency keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gallery.cue import tell
from hatchet_sdk import Context, DefaultFilter, Hatchet, StatusBasedIdempotencyConfig, TTLBasedIdempotencyConfig
from hatchet_sdk.runnables.workflow import BaseWorkflow
from programs.flow_cue import Flow, brief, held

HOUR = timedelta(hours=1)


def workflows(hatchet: Hatchet) -> list[BaseWorkflow[Any]]:
    @hatchet.task(
        name="flow-once",
        input_validator=Flow,
        on_events=["flow:once"],
        idempotency=TTLBasedIdempotencyConfig(key_expression="input.user", ttl=HOUR),
    )
    async def once(cue: Flow, ctx: Context) -> dict[str, Any]:
        return await brief(cue, ctx)

    @hatchet.task(
        name="flow-briefly-once",
        input_validator=Flow,
        idempotency=TTLBasedIdempotencyConfig(key_expression="input.user", ttl=timedelta(milliseconds=200)),
    )
    async def briefly_once(cue: Flow, ctx: Context) -> dict[str, Any]:
        return await brief(cue, ctx)

    @hatchet.task(
        name="flow-one-at-a-time",
        input_validator=Flow,
        retries=1,
        idempotency=StatusBasedIdempotencyConfig(key_expression="input.user", fallback_ttl=HOUR),
    )
    async def one_at_a_time(cue: Flow, ctx: Context) -> dict[str, Any]:
        return await held(cue, ctx)

    @hatchet.task(name="flow-spawns-once", input_validator=Flow)
    async def spawns_once(cue: Flow, ctx: Context) -> dict[str, Any]:
        """Spawns the same child twice by its key: the second is the first."""
        first = await once.aio_run(cue, wait_for_result=False, child_key="the-one")
        again = await once.aio_run(cue, wait_for_result=False, child_key="the-one")
        return {"ids": [first.workflow_run_id, again.workflow_run_id]}

    @hatchet.task(
        name="flow-filtered",
        input_validator=Flow,
        on_events=["flow:filtered:*"],
        default_filters=[
            DefaultFilter(
                expression="input.units >= payload.least", scope="large", payload={"least": 10, "name": "large"}
            ),
            DefaultFilter(expression="additional_metadata.region == 'eu'", scope="large", payload={"name": "european"}),
            DefaultFilter(expression="event_key.endsWith(':late')", scope="late", payload={"name": "late"}),
        ],
    )
    async def filtered(cue: Flow, ctx: Context) -> dict[str, Any]:
        await tell(cue, "filtered", payload=ctx.filter_payload, event=ctx.triggering_event_key)
        return {"payload": ctx.filter_payload}

    @hatchet.task(name="flow-picky", input_validator=Flow, on_events=["flow:picky"])
    async def picky(cue: Flow, ctx: Context) -> dict[str, Any]:
        await tell(cue, "picky", payload=ctx.filter_payload)
        return {"payload": ctx.filter_payload}

    return [once, briefly_once, one_at_a_time, spawns_once, filtered, picky]
