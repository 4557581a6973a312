"""A support agent that looks orders up, and pays money back once a person has agreed."""

from datetime import timedelta

from broadaxe_pydantic_ai import BroadaxeDurability, Spent, announce, durable_run, spent, stream_text
from hatchet_sdk import DurableContext, EvictionPolicy, Hatchet
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.capabilities import RequestInput

hatchet = Hatchet()
agent = Agent(
    "openai-chat:gpt-5-mini",
    name="support",
    instructions="You help customers of a lamp shop. Look an order up before you say anything about it.",
    capabilities=[
        BroadaxeDurability(event_stream_handler=stream_text),
        RequestInput(ask=announce, timeout=timedelta(days=3)),
    ],
)


@agent.tool_plain
def find_order(order_id: str) -> dict[str, str]:
    """What is known of an order."""
    return {"order_id": order_id, "item": "lamp", "state": "arrived broken", "price": "19.00"}


@agent.tool_plain(requires_approval=True)
def refund(order_id: str) -> str:
    """Pays the price of an order back."""
    return f"19.00 were paid back for order {order_id}"


class Question(BaseModel):
    prompt: str


class Answer(BaseModel):
    text: str
    spent: Spent


@hatchet.durable_task(
    input_validator=Question,
    execution_timeout=timedelta(minutes=10),
    eviction_policy=EvictionPolicy(ttl=timedelta(seconds=30)),
    retries=3,
)
async def support(input: Question, ctx: DurableContext) -> Answer:
    with durable_run(ctx):
        result = await agent.run(input.prompt)
    return Answer(text=result.output, spent=spent(result))


if __name__ == "__main__":
    hatchet.worker("support", workflows=[support]).start()
