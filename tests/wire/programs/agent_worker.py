"""A worker that offers agents (`python -m programs.agent_worker`), and is there again when it was killed."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from broadaxe_pydantic_ai import BroadaxeDurability, Spent, announce, durable_run, spent, stream_text
from gallery.cue import Cue, gate, tell
from hatchet_sdk import DurableContext, EvictionPolicy, Hatchet
from programs.reborn import keep_alive
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext, Tool
from pydantic_ai.capabilities import RequestInput
from pydantic_ai.exceptions import ModelRetry
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.models.test import TestModel

#: A model is not handed what the run depends on.
heard: ContextVar[Cue] = ContextVar("heard")


class Said(BaseModel):
    text: str
    spent: Spent


def returned(messages: list[ModelMessage]) -> list[str]:
    return [str(part.content) for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]


# Looks a word up with a tool, asks an MCP server for its price, and says both; every step waits at a gate -------------


async def step(cue: Cue, name: str) -> None:
    await tell(cue, "begun", step=name, group=os.getpgrp())
    await gate(cue, name)
    await tell(cue, "done", step=name)


async def think(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    known = returned(messages)
    cue = heard.get()
    await step(cue, f"model {len(known) + 1}")
    if not known:
        return ModelResponse([ToolCallPart("look_up", {"word": "lamp"}, "call-1")])
    if len(known) == 1:
        return ModelResponse([ToolCallPart("price", {"word": "lamp", "key": cue.key}, "call-2")])
    return ModelResponse([TextPart(" and ".join(known))])


thinker = Agent(
    FunctionModel(think),
    name="thinker",
    deps_type=Cue,
    toolsets=[MCPToolset(os.environ["PRICES_URL"], id="prices", init_timeout=60)],
    capabilities=[BroadaxeDurability()],
)


@thinker.tool
async def look_up(ctx: RunContext[Cue], word: str) -> str:
    await step(ctx.deps, "tool")
    return f"a {word} gives light"


# Pays twice, once people have agreed ----------------------------------------------------------------------------------


async def pay(messages: list[ModelMessage], _: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    known = returned(messages)
    await tell(heard.get(), "asked", known=known)
    if known:
        yield "It is "
        yield f"done: {'; '.join(known)}"
    else:
        yield {0: DeltaToolCall("refund", '{"order": 17}', tool_call_id="call-a")}
        yield {1: DeltaToolCall("refund", '{"order": 18}', tool_call_id="call-b")}


async def refund(ctx: RunContext[Cue], order: int) -> str:
    await tell(ctx.deps, "paid", order=order)
    return f"paid {order}"


def payer(name: str, waits: timedelta) -> Agent[Cue, str]:
    return Agent(
        FunctionModel(stream_function=pay),
        name=name,
        deps_type=Cue,
        tools=[Tool(refund, requires_approval=True)],
        capabilities=[
            BroadaxeDurability(event_stream_handler=stream_text),
            RequestInput(ask=announce, timeout=waits),
        ],
    )


patient, hasty = payer("patient", timedelta(days=1)), payer("hasty", timedelta(milliseconds=100))


# Its tools get things wrong -------------------------------------------------------------------------------------------


moody = Agent(TestModel(), name="moody", deps_type=Cue, capabilities=[BroadaxeDurability()])
attempt: ContextVar[int] = ContextVar("attempt")


@moody.tool(metadata={"broadaxe": False})
async def compute(ctx: RunContext[Cue]) -> str:
    await tell(ctx.deps, "compute")
    return "computed"


@moody.tool(retries=2)
async def guess(ctx: RunContext[Cue]) -> str:
    await tell(ctx.deps, "guess")
    if ctx.retry == 0:
        raise ModelRetry("think again")
    return "guessed"


@moody.tool
async def fall(ctx: RunContext[Cue]) -> str:
    await tell(ctx.deps, "fall")
    if attempt.get() == 0:
        raise ConnectionError("the shop is away")
    return "stood up"


def workflows(hatchet: Hatchet) -> list[Any]:
    @hatchet.durable_task(name="think", input_validator=Cue, execution_timeout=timedelta(minutes=5), retries=1)
    async def think_durably(input: Cue, ctx: DurableContext) -> Said:
        heard.set(input)
        with durable_run(ctx):
            result = await thinker.run(input.text, deps=input)
        return Said(text=result.output, spent=spent(result))

    @hatchet.durable_task(
        name="pay", input_validator=Cue, eviction_policy=EvictionPolicy(ttl=timedelta(milliseconds=200))
    )
    async def pay_durably(input: Cue, ctx: DurableContext) -> Said:
        heard.set(input)
        with durable_run(ctx):
            result = await (hasty if input.fail else patient).run(input.text, deps=input)
        return Said(text=result.output, spent=spent(result))

    @hatchet.durable_task(name="moody", input_validator=Cue, execution_timeout=timedelta(minutes=5), retries=1)
    async def moody_durably(input: Cue, ctx: DurableContext) -> Said:
        attempt.set(ctx.retry_count)
        with durable_run(ctx):
            result = await moody.run(input.text, deps=input)
        return Said(text=result.output, spent=spent(result))

    @hatchet.durable_task(name="changed", input_validator=Cue, execution_timeout=timedelta(minutes=5), retries=3)
    async def changed(input: Cue, ctx: DurableContext) -> dict[str, str]:
        async def done() -> str:
            return "done"

        await tell(input, "attempt")
        with durable_run(ctx) as run:
            await run.step("a" if ctx.retry_count == 0 else "b", done)
        raise RuntimeError("so that it is tried again")

    return [think_durably, pay_durably, moody_durably, changed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--slots", type=int, required=True)
    given = parser.parse_args()

    def run() -> None:
        hatchet = Hatchet()
        hatchet.worker(given.name, slots=given.slots, durable_slots=10, workflows=workflows(hatchet)).start()

    keep_alive(run)


if __name__ == "__main__":
    main()
