"""Workflows under concurrency limits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hatchet_sdk import ConcurrencyExpression, ConcurrencyLimitStrategy, Context, Hatchet
from hatchet_sdk.runnables.workflow import BaseWorkflow
from programs.flow_cue import Flow, held

LONG = timedelta(minutes=5)


def _limit(expression: str, max_runs: int, strategy: str = "GROUP_ROUND_ROBIN") -> ConcurrencyExpression:
    return ConcurrencyExpression(
        expression=expression, max_runs=max_runs, limit_strategy=ConcurrencyLimitStrategy(strategy)
    )


def workflows(hatchet: Hatchet) -> list[BaseWorkflow[Any]]:
    offered: list[BaseWorkflow[Any]] = []

    def offer(name: str, limits: Any, **options: Any) -> None:
        @hatchet.task(name=name, input_validator=Flow, execution_timeout=LONG, concurrency=limits, **options)
        async def task(cue: Flow, ctx: Context) -> dict[str, Any]:
            return await held(cue, ctx)

        offered.append(task)

    offer("flow-turns", [_limit("input.user", 1)], retries=1)
    offer("flow-newest", [_limit("input.user", 1, "CANCEL_NEWEST")])
    offer("flow-in-progress", [_limit("input.user", 1, "CANCEL_IN_PROGRESS")])
    offer("flow-two-limits", [_limit("input.user", 2), _limit("input.other", 1)])
    offer("flow-bad-key", [_limit("input.missing", 1)], retries=3)
    offer("flow-number-key", [_limit("input.n", 1)])
    offer("flow-integer", 2)
    offer("flow-fair", [_limit("input.user", 100)])
    offer("flow-backs-off", [_limit("input.user", 1)], retries=1, backoff_factor=2, backoff_max_seconds=2)

    offer("flow-keeps-newest", [_limit("input.user", 1, "CANCEL_QUEUED_EXCEPT_NEWEST")])
    offer("flow-keeps-oldest", [_limit("input.user", 1, "CANCEL_QUEUED_EXCEPT_OLDEST")])
    shared = ConcurrencyExpression(
        expression="input.user",
        max_runs="input.limit",
        limit_strategy=ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN,
        name="flow-shared",
        is_tenant_scoped=True,
    )
    offer("flow-shared-1", [shared])
    offer("flow-shared-2", [shared])

    for name, strategy in (("flow-chain", "GROUP_ROUND_ROBIN"), ("flow-chain-in-progress", "CANCEL_IN_PROGRESS")):
        chain = hatchet.workflow(name=name, input_validator=Flow, concurrency=_limit("input.user", 1, strategy))

        @chain.task(name="first", execution_timeout=LONG)
        async def first(cue: Flow, ctx: Context) -> dict[str, Any]:
            return await held(cue, ctx, "first")

        @chain.task(name="second", execution_timeout=LONG, parents=[first])
        async def second(cue: Flow, ctx: Context) -> dict[str, Any]:
            return await held(cue.model_copy(update={"way": f"second-{cue.way}"}), ctx, "second")

        offered.append(chain)
    return offered
