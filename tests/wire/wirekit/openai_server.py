"""A model behind the OpenAI protocol that calls the tools it is told to, in that order, and then answers.

The HTTP part and what a stream looks like are those of the chat's model server (`examples/rag_chat/tests`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[3] / "examples" / "rag_chat" / "tests"))

from model_server import ModelServer, _event  # type: ignore[import-not-found]


class ToolCallingServer(ModelServer):  # type: ignore[misc]
    """`calls` are (tool, arguments). A request is held back at the gate of its place in the conversation, if there is
    one; `asked_for` has the place of each request: how many tools had answered by then."""

    def __init__(self, calls: list[tuple[str, dict[str, Any]]], answer: list[str]) -> None:
        super().__init__()
        self.calls = calls
        self.answer = answer
        self.gates: dict[int, asyncio.Event] = {}
        self.asked_for: list[int] = []
        self.came = asyncio.Condition()

    async def until_asked(self, times: int) -> None:
        async with self.came:
            await self.came.wait_for(lambda: len(self.asked_for) >= times)

    async def _chat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        place = sum(message["role"] == "tool" for message in body["messages"])
        async with self.came:
            self.asked_for.append(place)
            self.came.notify_all()
        if place in self.gates:
            await self.gates[place].wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        if place < len(self.calls):
            name, arguments = self.calls[place]
            function = {"name": name, "arguments": json.dumps(arguments)}
            call = {"index": 0, "id": f"call-{place}", "type": "function", "function": function}
            self._put(writer, body, {"role": "assistant", "tool_calls": [call]}, None)
            self._put(writer, body, {}, "tool_calls")
        else:
            for piece in self.answer:
                self._put(writer, body, {"role": "assistant", "content": piece}, None)
            self._put(writer, body, {}, "stop")
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        writer.write(_event(_chunk(body) | {"choices": [], "usage": usage}) + b"data: [DONE]\n\n")
        await writer.drain()

    def _put(self, writer: asyncio.StreamWriter, body: dict[str, Any], delta: dict[str, Any], end: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": end}
        writer.write(_event(_chunk(body) | {"choices": [choice]}))


def _chunk(body: dict[str, Any]) -> dict[str, Any]:
    return {"id": "chat-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": body["model"]}
