"""What stands at the model's address: which kind of server, which models, how much one reads, or why none can be asked.

Owns looking, never asking. Ollama and llama.cpp's server are recognised by what only they answer (`/api/version`,
`/props`), whatever the address was called in the settings; everything else is a server of the OpenAI protocol. A look
never raises: what is wrong is part of what was seen, as the error that asking would end with.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import httpx

from rag_chat.errors import ModelError, ModelLoading, ModelMissing, ModelRefused, ModelUnavailable, ModelUnreachable
from rag_chat.settings import OPENAI_BASE_URL, ModelSettings

MODELS_MAX = 200
ANSWER_BYTES_MAX = 4_000_000
EMBEDDING_MODEL_MARKS = ("embed", "bge-", "minilm", "e5-")
SUGGESTED_MODEL = "llama3.2"


class ServerKind(StrEnum):
    OPENAI = "openai"
    OLLAMA = "ollama"
    LLAMA_CPP = "llama.cpp"


@dataclass(frozen=True, slots=True)
class ServerView:
    """A look at the server. `chat_models` begins with the one that is asked when nobody chooses."""

    kind: ServerKind
    chat_models: tuple[str, ...]
    embedding_model: str | None
    problem: ModelError | None


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """What is known of one model. `window_tokens` is None where the server does not tell."""

    window_tokens: int | None = None
    thinks: bool = False


@dataclass(frozen=True, slots=True)
class _Listed:
    name: str
    created: int
    embeds: bool


async def look_at(http: httpx.AsyncClient, settings: ModelSettings, patience_s: float) -> ServerView:
    """Ask for the list of models and for the kind of server, within `patience_s`."""
    problem: ModelError
    try:
        async with asyncio.timeout(patience_s):
            kind, listing = await asyncio.gather(_kind_of(http, settings), http.get(f"{settings.base_url}/models"))
    except TimeoutError:
        problem = ModelUnavailable(f"The model's server at {settings.base_url} did not answer within {patience_s:g} s.")
        return _blind(settings, problem)
    except (httpx.ConnectError, httpx.ConnectTimeout):
        problem = ModelUnreachable(f"Nothing answers at {settings.base_url}.")
        return ServerView(ServerKind.OPENAI, (), settings.embedding_model, problem)
    except httpx.HTTPError as error:
        problem = ModelUnavailable(f"The model's server at {settings.base_url} broke off ({type(error).__name__}).")
        return _blind(settings, problem)
    if listing.status_code == 200:
        return _view(kind, _listed(listing), settings)
    problem = problem_of(listing.status_code, listing.content, settings.base_url)
    # Some servers do not list their models at all; a configured name is enough to ask one of those.
    blind = listing.status_code in (404, 405) or listing.status_code >= 500
    if blind and not isinstance(problem, ModelLoading):
        return _blind(settings, problem, kind)
    return ServerView(kind, (), settings.embedding_model, problem)


async def traits_of(http: httpx.AsyncClient, settings: ModelSettings, kind: ServerKind, model: str) -> ModelTraits:
    """How much a model reads at once and whether it thinks aloud, as far as its server tells."""
    try:
        async with asyncio.timeout(settings.look_timeout_s):
            match kind:
                case ServerKind.OLLAMA:
                    return await _ollama_traits(http, settings, model)
                case ServerKind.LLAMA_CPP:
                    props = _fields(await http.get(f"{settings.root_url}/props"))
                    return ModelTraits(_positive(_inside(props, "default_generation_settings").get("n_ctx")))
                case ServerKind.OPENAI:
                    listed = _fields(await http.get(f"{settings.base_url}/models")).get("data")
                    entries = [entry for entry in cast(list[object], listed or []) if isinstance(entry, dict)]
                    # vLLM and some gateways say it in the list.
                    return ModelTraits(
                        next((_positive(e.get("max_model_len")) for e in entries if e.get("id") == model), None)
                    )
    except (httpx.HTTPError, TimeoutError, TypeError):
        return ModelTraits()


async def is_in_memory(http: httpx.AsyncClient, settings: ModelSettings, model: str) -> bool:
    """Whether Ollama has the model in memory already; it loads one with the first question."""
    try:
        async with asyncio.timeout(settings.look_timeout_s):
            return model in await _loaded(http, settings)
    except (httpx.HTTPError, TimeoutError):
        return True


def problem_of(status: int, body: bytes, address: str) -> ModelError:
    """An unwanted answer of a model's server, as the error a person is told."""
    said = error_text(body)
    if status in (401, 403):
        return ModelRefused(
            f"The model's server at {address} refuses the key (HTTP {status}: {said}): check OPENAI_API_KEY."
        )
    if status == 503 and "load" in said.lower():
        return ModelLoading(f"The model's server at {address} is still loading its model.")
    text = f"The language model answered with HTTP {status}: {said}"
    if status in (408, 409, 425, 429) or status >= 500:
        return ModelUnavailable(text)
    return ModelMissing(text) if status == 404 else ModelRefused(text)


def error_text(body: bytes) -> str:
    """The sentence inside an error of OpenAI's, Ollama's or llama.cpp's form, or the start of whatever was sent."""
    text = body.decode("utf-8", errors="replace")
    try:
        event: object = json.loads(text)
    except ValueError:
        return " ".join(text.split())[:300] or "no explanation"
    error = event.get("error") if isinstance(event, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return message[:300] if isinstance(message, str) and message else text[:300]


def same_model(wanted: str, name: str) -> bool:
    """Ollama lists `llama3.2:latest` for what people call `llama3.2`."""
    return wanted == name or f"{wanted}:latest" == name


def missing(wanted: str, view: ServerView) -> ModelMissing:
    """The sentence about a model that is not there, with what to do."""
    there = f" It has {', '.join(view.chat_models[:5])}." if view.chat_models else ""
    pull = f" Pull it with `ollama pull {wanted}`." if view.kind is ServerKind.OLLAMA else ""
    return ModelMissing(f"The model's server does not have the model {wanted}.{there}{pull}")


def _view(kind: ServerKind, listed: Sequence[_Listed], settings: ModelSettings) -> ServerView:
    # Oldest first: what was pulled last is an experiment, not what everybody is to get from now on.
    chatting = [each.name for each in sorted(listed, key=lambda each: each.created) if not each.embeds]
    embedding_model = settings.embedding_model
    if embedding_model is None and kind is ServerKind.OLLAMA:
        embedding_model = next((each.name for each in listed if each.embeds), None)
    problem: ModelError | None = None
    if settings.model is not None:
        known = next((name for name in chatting if same_model(settings.model, name)), None)
        if known is None and kind is ServerKind.OLLAMA:
            problem = missing(settings.model, ServerView(kind, tuple(chatting), None, None))
        else:
            # A gateway may list less than it serves, so elsewhere the configured name is believed.
            chatting = list(dict.fromkeys((known or settings.model, *chatting)))
    elif not chatting:
        problem = _no_chat_model(kind, settings)
    return ServerView(kind, tuple(chatting), embedding_model, problem)


def _no_chat_model(kind: ServerKind, settings: ModelSettings) -> ModelMissing:
    if kind is ServerKind.OLLAMA:
        return ModelMissing(
            f"Ollama answers at {settings.root_url}, but has no language model yet. "
            f"Pull one with `ollama pull {SUGGESTED_MODEL}`."
        )
    return ModelMissing(f"The model's server at {settings.base_url} lists no language model: set OPENAI_MODEL.")


def _blind(settings: ModelSettings, problem: ModelError, kind: ServerKind = ServerKind.OPENAI) -> ServerView:
    """A server that does not list its models can still be asked for one that is named."""
    if settings.model is not None:
        return ServerView(kind, (settings.model,), settings.embedding_model, None)
    return ServerView(kind, (), settings.embedding_model, problem)


async def _kind_of(http: httpx.AsyncClient, settings: ModelSettings) -> ServerKind:
    if settings.base_url == OPENAI_BASE_URL:
        return ServerKind.OPENAI
    version, props = await asyncio.gather(
        http.get(f"{settings.root_url}/api/version"), http.get(f"{settings.root_url}/props")
    )
    if isinstance(_fields(version).get("version"), str):
        return ServerKind.OLLAMA
    if "default_generation_settings" in _fields(props):
        return ServerKind.LLAMA_CPP
    return ServerKind.OPENAI


async def _ollama_traits(http: httpx.AsyncClient, settings: ModelSettings, model: str) -> ModelTraits:
    shown, loaded = await asyncio.gather(
        http.post(f"{settings.root_url}/api/show", json={"model": model}), _loaded(http, settings)
    )
    fields = _fields(shown)
    info = _inside(fields, "model_info")
    most = next((_positive(value) for key, value in info.items() if key.endswith(".context_length")), None)
    wanted = min(settings.window_tokens, most or settings.window_tokens)
    # Asking for another window than the one it is loaded with would make Ollama load the model again.
    window = max(wanted, loaded.get(model) or 0)
    capabilities = fields.get("capabilities")
    return ModelTraits(window, isinstance(capabilities, list) and "thinking" in capabilities)


async def _loaded(http: httpx.AsyncClient, settings: ModelSettings) -> dict[str, int | None]:
    """The models Ollama has in memory, with the window of each."""
    models = _fields(await http.get(f"{settings.root_url}/api/ps")).get("models")
    entries = [entry for entry in cast(list[object], models or []) if isinstance(entry, dict)]
    return {str(entry.get("name")): _positive(entry.get("context_length")) for entry in entries[:MODELS_MAX]}


def _listed(response: httpx.Response) -> list[_Listed]:
    entries = _fields(response).get("data")
    if not isinstance(entries, list):
        return []
    return [
        _Listed(name, entry["created"] if isinstance(entry.get("created"), int) else 0, _is_embedding_model(name))
        for entry in entries[:MODELS_MAX]
        if isinstance(entry, dict) and isinstance(name := entry.get("id"), str)
    ]


def _is_embedding_model(name: str) -> bool:
    return any(mark in name.lower() for mark in EMBEDDING_MODEL_MARKS)


def _fields(response: httpx.Response) -> dict[str, object]:
    """The JSON object of a good answer, or nothing."""
    if response.status_code != 200 or len(response.content) > ANSWER_BYTES_MAX:
        return {}
    try:
        body: object = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _inside(fields: Mapping[str, object], name: str) -> dict[str, object]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None
