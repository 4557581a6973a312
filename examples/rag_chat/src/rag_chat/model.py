"""Asking the language model: finding it, streaming its answers, computing embeddings.

Every call is bounded in time and size. Leaving the stream early, as a cancelled task does, closes the connection, which
is what makes the server stop generating. Patience is long before the first token, when a model is loaded from disk and
reads its prompt, and short between two tokens. What stands at the address is told by `model_servers`, how it is spoken
to by `dialects`, what went wrong by `errors`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import httpx

from rag_chat.dialects import (
    OPTIONAL_FIELDS,
    Piece,
    PromptMessage,
    ThoughtSplitter,
    ollama_body,
    openai_body,
    read_ollama,
    read_openai,
    read_whole,
    refused_field,
    too_long,
)
from rag_chat.errors import ModelMissing, ModelRefused, ModelSilent, ModelUnavailable, ModelUnreachable
from rag_chat.model_servers import (
    ServerKind,
    ServerView,
    error_text,
    is_in_memory,
    look_at,
    missing,
    problem_of,
    same_model,
    traits_of,
)
from rag_chat.settings import ModelSettings

LOOK_FRESH_FOR_S = 5.0
LINE_CHARS_MAX = 1_000_000
ERROR_BYTES_MAX = 20_000
WHOLE_BYTES_MAX = 200_000
EMBEDDING_TEXT_CHARS_MAX = 6_000
WINDOWS_LEARNED_MAX = 100


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be asked right now. `window_tokens` is None where nobody knows."""

    name: str
    kind: ServerKind = ServerKind.OPENAI
    window_tokens: int | None = None
    thinks: bool = False


class ModelClient:
    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        # No timeout for reading: each wait has its own bound here.
        self._http = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=settings.connect_timeout_s),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=8),
        )
        self._seen: tuple[float, ServerView] | None = None
        self._looking = asyncio.Lock()
        self._learned: dict[str, int] = {}

    @property
    def settings(self) -> ModelSettings:
        return self._settings

    @property
    def address(self) -> str:
        return self._settings.base_url

    async def close(self) -> None:
        await self._http.aclose()

    async def look(self, patience_s: float | None = None) -> ServerView:
        """What stands at the address. Remembered for a few seconds unless something was wrong with it."""
        async with self._looking:
            if self._seen is not None and time.monotonic() - self._seen[0] <= LOOK_FRESH_FOR_S:
                return self._seen[1]
            view = await look_at(self._http, self._settings, patience_s or self._settings.look_timeout_s)
            self._seen = None if view.problem is not None else (time.monotonic(), view)
            return view

    async def find(self, wanted: str | None = None) -> Model:
        """The model to ask; raises ModelError with the reason when it, or its server, cannot be asked."""
        view = await self.look(self._settings.list_patience_s)
        if view.problem is not None and not (wanted and isinstance(view.problem, ModelMissing) and view.chat_models):
            raise view.problem
        name = next((each for each in view.chat_models if wanted is None or same_model(wanted, each)), None)
        if name is None:
            raise missing(wanted or "", view)
        traits = await traits_of(self._http, self._settings, view.kind, name)
        window = min((size for size in (traits.window_tokens, self._learned.get(name)) if size), default=None)
        return Model(name, view.kind, window, traits.thinks)

    def learn_window(self, model: Model, tokens: int) -> None:
        """A server cut a prompt without a word: what it read is what fits."""
        if len(self._learned) < WINDOWS_LEARNED_MAX:
            self._learned[model.name] = tokens

    async def is_loaded(self, model: Model) -> bool:
        """False while Ollama has still to load it; other servers have loaded their model before they answer."""
        return model.kind is not ServerKind.OLLAMA or await is_in_memory(self._http, self._settings, model.name)

    async def stream(
        self, model: Model, messages: Sequence[PromptMessage], answer_tokens_max: int | None = None
    ) -> AsyncGenerator[Piece, None]:
        """The answer, piece by piece, the last of which has `finish`. Raises ModelError when the server fails, refuses,
        stays silent, or breaks off before the answer is complete."""
        url, body = self._request(model, messages, answer_tokens_max or self._settings.answer_tokens_max)
        read = read_ollama if model.kind is ServerKind.OLLAMA else read_openai
        first_by = asyncio.get_running_loop().time() + self._settings.first_token_wait_s
        try:
            response = await self._send(url, body, first_by)
            try:
                async with aclosing(self._read(response, read, first_by, model)) as pieces:
                    async for piece in pieces:
                        yield piece
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise ModelUnreachable(f"Nothing answers at {self._settings.base_url}.") from None
        except httpx.HTTPError as error:
            raise ModelUnavailable(
                f"The connection to the language model broke off ({type(error).__name__})."
            ) from None

    async def say(self, model: Model, messages: Sequence[PromptMessage], answer_tokens_max: int) -> str:
        """A short answer as a whole, without thoughts. Raises ModelError; whoever calls bounds its time, and gives up
        by leaving, which hangs up on the server."""
        url, body = self._request(model, messages, answer_tokens_max)
        body["stream"] = False
        body.pop("stream_options", None)
        if "think" in body:
            body["think"] = False
        first_by = asyncio.get_running_loop().time() + self._settings.first_token_wait_s
        try:
            return read_whole(await _bounded(await self._send(url, body, first_by), WHOLE_BYTES_MAX))
        except httpx.HTTPError as error:
            raise ModelUnavailable(
                f"The connection to the language model broke off ({type(error).__name__})."
            ) from None

    def _request(
        self, model: Model, messages: Sequence[PromptMessage], tokens_max: int
    ) -> tuple[str, dict[str, object]]:
        """Where the model is asked for a streamed answer, and with what."""
        if model.kind is ServerKind.OLLAMA:
            window = model.window_tokens or self._settings.window_tokens
            body = ollama_body(model.name, messages, tokens_max, window, model.thinks)
            return f"{self._settings.root_url}/api/chat", body
        return f"{self._settings.base_url}/chat/completions", openai_body(model.name, messages, tokens_max)

    async def _send(self, url: str, body: dict[str, object], first_by: float) -> httpx.Response:
        """The response whose body is the answer. A server that does not know a field of ours is asked without it."""
        while True:
            try:
                async with asyncio.timeout_at(first_by):
                    response = await self._http.send(self._http.build_request("POST", url, json=body), stream=True)
            except TimeoutError:
                raise self._silent(str(body["model"])) from None
            if response.status_code == 200:
                return response
            said = await _bounded(response)
            field = refused_field(said, body) if response.status_code in (400, 422) else None
            fault = too_long(response.status_code, said)
            if fault is not None or field is None:
                raise fault or problem_of(response.status_code, said, self._settings.base_url)
            value, instead = body.pop(field), OPTIONAL_FIELDS[field]
            if instead is not None:
                body[instead] = value

    async def _read(
        self, response: httpx.Response, read: Callable[[str], Piece | None], first_by: float, model: Model
    ) -> AsyncGenerator[Piece, None]:
        loop = asyncio.get_running_loop()
        thoughts = ThoughtSplitter()
        spoke = finished = False
        async with aclosing(response.aiter_lines()) as lines:  # type: ignore[type-var]
            while True:
                # A line without words, which some servers send at once, is no first token.
                by = loop.time() + self._settings.silence_timeout_s if spoke else first_by
                try:
                    async with asyncio.timeout_at(by):
                        line = await anext(lines, None)
                except TimeoutError:
                    raise self._interrupted(model.name) if spoke else self._silent(model.name) from None
                if line is None or line.removeprefix("data:").strip() == "[DONE]":
                    break
                if len(line) > LINE_CHARS_MAX:
                    raise ModelRefused("The model's server sent a line that is too long to be an answer.")
                piece = read(line)
                if piece is None:
                    continue
                piece = thoughts.split(piece)
                spoke = spoke or bool(piece.text or piece.reasoning)
                finished = finished or piece.finish is not None
                yield piece
        if not finished:
            raise ModelUnavailable("The language model stopped before its answer was complete.")

    def _silent(self, name: str) -> ModelSilent:
        return ModelSilent(
            f"The language model {name} did not say a word within {self._settings.first_token_wait_s:g} s "
            "(RAG_CHAT_FIRST_TOKEN_WAIT_S)."
        )

    def _interrupted(self, name: str) -> ModelUnavailable:
        return ModelUnavailable(
            f"The language model {name} fell silent in the middle of its answer, for "
            f"{self._settings.silence_timeout_s:g} s (RAG_CHAT_TOKEN_WAIT_S)."
        )

    async def embed(self, embedding_model: str, texts: Sequence[str]) -> list[list[float]]:
        """One embedding per text, in order."""
        body = {"model": embedding_model, "input": [text[:EMBEDDING_TEXT_CHARS_MAX] for text in texts]}
        try:
            async with asyncio.timeout(self._settings.embedding_timeout_s):
                response = await self._http.post(f"{self._settings.base_url}/embeddings", json=body)
        except (httpx.HTTPError, TimeoutError):
            raise ModelUnavailable(f"The embedding model {embedding_model} did not answer.") from None
        if response.status_code != 200:
            raise ModelUnavailable(
                f"The embedding model {embedding_model} answered with HTTP {response.status_code}: "
                f"{error_text(response.content)}"
            )
        try:
            entries = sorted(response.json()["data"], key=lambda entry: int(entry["index"]))
            embeddings = [[float(value) for value in entry["embedding"]] for entry in entries]
        except (ValueError, KeyError, TypeError):
            raise ModelUnavailable("The embedding model sent something that is not a list of embeddings.") from None
        if len(embeddings) != len(texts) or not all(embeddings):
            raise ModelUnavailable(f"The embedding model sent {len(embeddings)} embeddings for {len(texts)} texts.")
        return embeddings


async def _bounded(response: httpx.Response, bytes_max: int = ERROR_BYTES_MAX) -> bytes:
    """The start of a body."""
    body = bytearray()
    try:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > bytes_max:
                break
    finally:
        await response.aclose()
    return bytes(body)
