"""The language model behind an OpenAI-compatible API.

Owns finding it (settings, or Ollama at its usual address), listing its models, streaming chat completions and computing
embeddings. Every call is bounded in time and size. Leaving the stream early, as a cancelled task does, closes the
connection, which is what makes the server stop generating. Failures are sorted: ModelUnreachable (nothing answers),
ModelUnavailable (try again), ModelRefused (do not).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import cast

import httpx

from rag_chat.errors import ModelRefused, ModelUnavailable, ModelUnreachable
from rag_chat.settings import ModelSettings

LIST_TIMEOUT_S = 3.0
LIST_FRESH_FOR_S = 5.0
MODELS_MAX = 200
LINE_CHARS_MAX = 1_000_000
EMBEDDING_TEXT_CHARS_MAX = 6_000
EMBEDDING_MODEL_MARKS = ("embed", "bge-", "minilm", "e5-")


@dataclass(frozen=True, slots=True)
class Model:
    """What can be asked right now."""

    name: str
    names: tuple[str, ...]
    embedding_model: str | None


@dataclass(frozen=True, slots=True)
class PromptMessage:
    role: str
    content: str


class ModelClient:
    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(settings.silence_timeout_s, connect=settings.connect_timeout_s),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=8),
        )
        self._found: tuple[float, Model] | None = None
        self._finding = asyncio.Lock()

    @property
    def address(self) -> str:
        return self._settings.base_url

    @property
    def explicit(self) -> bool:
        return self._settings.explicit

    async def close(self) -> None:
        await self._http.aclose()

    async def find(self, wanted: str | None = None) -> Model | None:
        """The model to ask, or None when nothing answers at its address.

        What was found is remembered for a few seconds; that nothing was is not, so a model that just started counts.
        """
        async with self._finding:
            if self._found is None or time.monotonic() - self._found[0] > LIST_FRESH_FOR_S:
                model = await self._find()
                self._found = None if model is None else (time.monotonic(), model)
            else:
                model = self._found[1]
        if model is not None and wanted is not None and wanted in model.names:
            return Model(wanted, model.names, model.embedding_model)
        return model

    async def _find(self) -> Model | None:
        try:
            async with asyncio.timeout(LIST_TIMEOUT_S):
                response = await self._http.get(f"{self._settings.base_url}/models")
        except (httpx.HTTPError, TimeoutError):
            return None
        names = _model_names(response) if response.status_code == 200 else ()
        chatting = tuple(name for name in names if not _is_embedding_model(name))
        # Some servers do not list their models; a configured name is enough to ask.
        name = self._settings.model or (chatting[0] if chatting else None)
        if name is None:
            return None
        embedding_model = self._settings.embedding_model
        if embedding_model is None and not self._settings.explicit:
            embedding_model = next((each for each in names if _is_embedding_model(each)), None)
        return Model(name, tuple(dict.fromkeys((name, *chatting))), embedding_model)

    async def stream(self, model: Model, messages: Sequence[PromptMessage]) -> AsyncIterator[str]:
        """The answer, piece by piece. Raises when the server fails or breaks off before the answer is complete."""
        body = {
            "model": model.name,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "stream": True,
            "temperature": 0.2,
        }
        finished = False
        sent_chars = 0
        try:
            async with self._http.stream("POST", f"{self._settings.base_url}/chat/completions", json=body) as response:
                if response.status_code != 200:
                    await self._raise_for_status(response)
                async for line in response.aiter_lines():
                    if len(line) > LINE_CHARS_MAX:
                        raise ModelRefused("The model's server sent a line that is too long to be an answer.")
                    if not line.startswith("data:"):
                        continue
                    data = line[5:].strip()
                    if data == "[DONE]":
                        return
                    piece, ended = _read_piece(data)
                    finished = finished or ended
                    if piece:
                        sent_chars += len(piece)
                        yield piece
                    if sent_chars > self._settings.answer_chars_max:
                        return
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise ModelUnreachable(f"No language model answers at {self._settings.base_url}.") from None
        except httpx.TimeoutException:
            raise ModelUnavailable(
                f"The language model {model.name} was silent for {self._settings.silence_timeout_s:g} s."
            ) from None
        except httpx.HTTPError as error:
            raise ModelUnavailable(
                f"The connection to the language model broke off ({type(error).__name__})."
            ) from None
        if not finished:
            raise ModelUnavailable("The language model stopped before its answer was complete.")

    async def embed(self, model: Model, texts: Sequence[str]) -> list[list[float]]:
        """One embedding per text, in order."""
        body = {"model": model.embedding_model, "input": [text[:EMBEDDING_TEXT_CHARS_MAX] for text in texts]}
        try:
            async with asyncio.timeout(self._settings.embedding_timeout_s):
                response = await self._http.post(f"{self._settings.base_url}/embeddings", json=body)
        except (httpx.HTTPError, TimeoutError):
            raise ModelUnavailable(f"The embedding model {model.embedding_model} did not answer.") from None
        if response.status_code != 200:
            raise ModelUnavailable(
                f"The embedding model {model.embedding_model} answered with HTTP {response.status_code}: "
                f"{_error_text(response.content)}"
            )
        try:
            entries = sorted(response.json()["data"], key=lambda entry: int(entry["index"]))
            embeddings = [[float(value) for value in entry["embedding"]] for entry in entries]
        except (ValueError, KeyError, TypeError):
            raise ModelUnavailable("The embedding model sent something that is not a list of embeddings.") from None
        if len(embeddings) != len(texts) or not all(embeddings):
            raise ModelUnavailable(f"The embedding model sent {len(embeddings)} embeddings for {len(texts)} texts.")
        return embeddings

    async def _raise_for_status(self, response: httpx.Response) -> None:
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > 20_000:
                break
        text = f"The language model answered with HTTP {response.status_code}: {_error_text(bytes(body))}"
        if response.status_code in (408, 409, 425, 429) or response.status_code >= 500:
            raise ModelUnavailable(text)
        raise ModelRefused(text)


def _read_piece(data: str) -> tuple[str, bool]:
    """The text of one stream event, and whether it ends the answer."""
    try:
        event: object = json.loads(data)
    except ValueError:
        raise ModelUnavailable("The language model sent something that is not JSON.") from None
    if not isinstance(event, dict):
        return "", False
    if event.get("error"):
        raise ModelUnavailable(f"The language model failed: {_error_text(data.encode())}")
    choices = event.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return "", False
    delta = choices[0].get("delta")
    content = delta.get("content") if isinstance(delta, dict) else None
    return content if isinstance(content, str) else "", choices[0].get("finish_reason") is not None


def _model_names(response: httpx.Response) -> tuple[str, ...]:
    try:
        listed = cast(object, response.json())
    except ValueError:
        return ()
    entries = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(entries, list):
        return ()
    names = [entry["id"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
    return tuple(names[:MODELS_MAX])


def _is_embedding_model(name: str) -> bool:
    return any(mark in name.lower() for mark in EMBEDDING_MODEL_MARKS)


def _error_text(body: bytes) -> str:
    """The sentence inside an OpenAI-style error, or the start of whatever was sent."""
    text = body.decode("utf-8", errors="replace")
    try:
        event: object = json.loads(text)
    except ValueError:
        return " ".join(text.split())[:300] or "no explanation"
    error = event.get("error") if isinstance(event, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message[:300] if isinstance(message, str) and message else text[:300]
