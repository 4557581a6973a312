"""A page that watches an answer, without a browser."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx


class Watcher:
    """Reads an answer's events as they come. `patience_s` bounds every wait."""

    def __init__(self, client: httpx.AsyncClient, message_id: str, patience_s: float = 10.0) -> None:
        self.events: list[dict[str, Any]] = []
        self._client = client
        self._message_id = message_id
        self._patience_s = patience_s
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        async with self._client.stream("GET", f"/message/{self._message_id}", timeout=None) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    self.events.append(json.loads(line[6:]))
                    self._changed.set()

    async def until(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """The payloads of all events of a kind, once there are `count`."""
        async with asyncio.timeout(self._patience_s):
            while len(found := [event["payload"] for event in self.events if event["type"] == kind]) < count:
                await self._changed.wait()
                self._changed.clear()
        return found

    async def to_the_end(self) -> list[dict[str, Any]]:
        await asyncio.wait_for(self._task, self._patience_s)
        return self.events

    async def result(self) -> dict[str, Any]:
        events = await self.to_the_end()
        assert events[-1]["type"] == "result", events
        payload: dict[str, Any] = events[-1]["payload"]
        return payload

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    def text(self) -> str:
        text = ""
        for event in self.events:
            if event["type"] == "token":
                text = text[: event["payload"]["offset"]] + event["payload"]["text"]
        return text

    def statuses(self) -> list[str]:
        """What the finished steps announced."""
        return [
            event["payload"]["status"]
            for event in self.events
            if event["type"] == "step" and event["payload"]["phase"] == "finished"
        ]
