"""A language model behind any server of the OpenAI protocol, such as Ollama.

It says what is wrong in a sentence, and knows what will pass: a server that loads its model is waited for, one that was
there a moment ago may come back. `ModelGone` is for the engine to try again; `ModelRefused` would only be said again.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable

import httpx

#: Where Ollama listens when nobody says otherwise.
DEFAULT_BASE_URL = "http://127.0.0.1:11434/v1"
DEFAULT_MODEL = "llama3.2"
#: How long a model may load and read before its first word, and be away while its server restarts.
PATIENCE_S = float(os.environ.get("MODEL_PATIENCE_S", "600"))
RETURN_S = 10.0
LOOK_AGAIN_S = 0.5


class ModelGone(Exception):
    """The model's server failed or went away; trying again may help."""


class ModelRefused(Exception):
    """The model's server said no, and will say it again."""


def _nobody(words: str) -> None:
    """Nobody listens."""


async def say(messages: list[dict[str, str]], tell: Callable[[str], object] = _nobody) -> AsyncIterator[str]:
    """The model's answer, piece by piece. `tell` hears what is waited for meanwhile."""
    base_url = os.environ.get("OPENAI_BASE_URL", DEFAULT_BASE_URL).rstrip("/")
    headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', 'none')}"}
    body = {"model": os.environ.get("OPENAI_MODEL", DEFAULT_MODEL), "messages": messages, "stream": True}
    begun = time.monotonic()
    async with httpx.AsyncClient(timeout=httpx.Timeout(PATIENCE_S, connect=5), headers=headers) as client:
        while True:
            waited_s = time.monotonic() - begun
            try:
                async with client.stream("POST", f"{base_url}/chat/completions", json=body) as response:
                    if response.status_code == 200:
                        async for piece in _pieces(response):
                            yield piece
                        return
                    problem = _problem(response.status_code, await response.aread(), base_url, str(body["model"]))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                problem = ModelGone(f"Nothing answers at {base_url}: start Ollama, or set OPENAI_BASE_URL.")
                if waited_s >= RETURN_S:
                    raise problem from None
                tell(f"Waiting for the model's server to come back ({waited_s:.0f} s)")
            except httpx.HTTPError as error:
                raise ModelGone(f"The connection to the language model broke off ({type(error).__name__}).") from None
            else:
                loading = response.status_code == 503 and waited_s < PATIENCE_S
                if not loading:
                    raise problem
                tell(f"The model is loading ({waited_s:.0f} s)")
            await asyncio.sleep(LOOK_AGAIN_S)


async def _pieces(response: httpx.Response) -> AsyncIterator[str]:
    finished = False
    async for line in response.aiter_lines():
        if line == "data: [DONE]":
            return
        if line.startswith("data: "):
            for choice in json.loads(line.removeprefix("data: ")).get("choices", ()):
                finished = finished or choice.get("finish_reason") is not None
                piece = (choice.get("delta") or {}).get("content")
                if piece:
                    yield piece
    if not finished:
        raise ModelGone("The language model stopped before its answer was complete.")


def _problem(status: int, body: bytes, base_url: str, model: str) -> Exception:
    said = " ".join(body.decode("utf-8", errors="replace").split())[:300]
    if status in (401, 403):
        return ModelRefused(f"The model's server at {base_url} refuses the key: check OPENAI_API_KEY.")
    if status == 404:
        return ModelRefused(
            f"A server answers at {base_url}, but does not have the model {model}: run `ollama pull {model}`, "
            "or set OPENAI_MODEL."
        )
    if status in (408, 429) or status >= 500:
        return ModelGone(f"The language model answered with HTTP {status}: {said}")
    return ModelRefused(f"The language model answered with HTTP {status}: {said}")


async def whole(messages: list[dict[str, str]], tell: Callable[[str], object] = _nobody) -> str:
    return "".join([piece async for piece in say(messages, tell)])
