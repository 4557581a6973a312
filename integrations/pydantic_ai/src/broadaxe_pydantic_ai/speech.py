"""What the model says goes to the run's stream while it says it."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import AgentStreamEvent, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

from broadaxe_pydantic_ai.durable_run import current_run


async def stream_text(_: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
    """`BroadaxeDurability(event_stream_handler=stream_text)`: text reaches `hatchet.runs.subscribe_to_stream(run_id)`
    piece by piece. A step that is done again after a crash says its text from the beginning."""
    run = current_run()
    async for event in events:
        match event:
            case PartStartEvent(part=TextPart(content=text)) | PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                if run is not None and text:
                    await run.context.aio_put_stream(text)
            case _:
                pass
