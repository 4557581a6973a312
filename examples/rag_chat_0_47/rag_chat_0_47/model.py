"""A language model behind any server of the OpenAI protocol, such as Ollama."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator

import httpx

#: Where Ollama listens when nobody says otherwise.
DEFAULT_BASE_URL = "http://127.0.0.1:11434/v1"
DEFAULT_MODEL = "llama3.2"


async def say(messages: list[dict[str, str]]) -> AsyncIterator[str]:
    """The model's answer, piece by piece."""
    base_url = os.environ.get("OPENAI_BASE_URL", DEFAULT_BASE_URL).rstrip("/")
    headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"}
    body = {"model": os.environ.get("OPENAI_MODEL", DEFAULT_MODEL), "messages": messages, "stream": True}
    async with (
        httpx.AsyncClient(timeout=httpx.Timeout(120, connect=5)) as client,
        client.stream("POST", f"{base_url}/chat/completions", json=body, headers=headers) as response,
    ):
        response.raise_for_status()
        async for line in response.aiter_lines():
            if line == "data: [DONE]":
                return
            if line.startswith("data: "):
                for choice in json.loads(line.removeprefix("data: ")).get("choices", ()):
                    piece = (choice.get("delta") or {}).get("content")
                    if piece:
                        yield piece


async def whole(messages: list[dict[str, str]]) -> str:
    return "".join([piece async for piece in say(messages)])
