"""Workflows under rate limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hatchet_sdk import Context, Hatchet
from hatchet_sdk.rate_limit import RateLimit, RateLimitDuration
from hatchet_sdk.runnables.workflow import BaseWorkflow
from programs.flow_cue import Flow, brief

MINUTE = RateLimitDuration.MINUTE


def workflows(hatchet: Hatchet) -> list[BaseWorkflow[Any]]:
    offered: list[BaseWorkflow[Any]] = []

    def offer(name: str, *limits: RateLimit, **options: Any) -> None:
        @hatchet.task(name=name, input_validator=Flow, rate_limits=list(limits), **options)
        async def task(cue: Flow, ctx: Context) -> dict[str, Any]:
            return await brief(cue, ctx)

        offered.append(task)

    offer("flow-paced", RateLimit(static_key="flow:paced"))
    offer("flow-lowered", RateLimit(static_key="flow:lowered"))
    offer("flow-never-put", RateLimit(static_key="flow:never"), schedule_timeout=timedelta(seconds=1))
    offer("flow-per-user", RateLimit(dynamic_key="input.user", limit=1, duration=MINUTE), retries=1)
    offer("flow-units", RateLimit(dynamic_key="input.user", units="input.units", limit="input.limit", duration=MINUTE))
    offer("flow-bad-units", RateLimit(dynamic_key="input.user", units="input.text", limit=1), retries=3)
    offer(
        "flow-both",
        RateLimit(dynamic_key="input.user", limit=2, duration=MINUTE),
        RateLimit(dynamic_key="input.other", limit=1, duration=MINUTE),
    )
    return offered
