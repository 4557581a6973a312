"""Durable Pydantic AI agents on the Hatchet SDK: a crash makes no model call and no tool call twice.

`BroadaxeDurability` goes to the agent, `durable_run(ctx)` round its run in a durable task. See docs/agents.md.
"""

from broadaxe_pydantic_ai.answers import announce, answer, decline
from broadaxe_pydantic_ai.durability import BroadaxeDurability
from broadaxe_pydantic_ai.durable_run import DurableRun, StepChanged, current_run, durable_run
from broadaxe_pydantic_ai.speech import stream_text
from broadaxe_pydantic_ai.spending import Spent, spent

__all__ = [
    "BroadaxeDurability",
    "DurableRun",
    "Spent",
    "StepChanged",
    "announce",
    "answer",
    "current_run",
    "decline",
    "durable_run",
    "spent",
    "stream_text",
]
