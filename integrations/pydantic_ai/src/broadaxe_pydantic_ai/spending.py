"""What a run of an agent cost, in a form that fits into a task's output and its log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_ai.run import AgentRunResult


class Spent(BaseModel):
    """`cost_usd` is an estimate from public prices, and None when the price of a model is not known."""

    requests: int
    tool_calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None


def spent(result: AgentRunResult[Any]) -> Spent:
    """What the whole run took, whichever attempts and workers it took it on; for the task's output."""
    usage = result.usage
    return Spent(
        requests=usage.requests,
        tool_calls=usage.tool_calls,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cost_usd=None if usage.cost is None else float(usage.cost),
    )


def line_about(response: object) -> str:
    """A line of the run's log about a model's response, which comes in its JSON form."""
    if not isinstance(response, Mapping):
        return "a model answered"
    usage = response.get("usage") or {}
    cost = usage.get("cost")
    price = "" if cost is None else f", ${float(cost):.6f}"
    return (
        f"model {response.get('model_name') or 'unknown'}: {usage.get('input_tokens') or 0} tokens in, "
        f"{usage.get('output_tokens') or 0} out{price}"
    )
