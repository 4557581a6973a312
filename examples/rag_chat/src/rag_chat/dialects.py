"""How a question is put to a model's server, and how its streamed answer is read: OpenAI's way, and Ollama's own.

Ollama also speaks OpenAI's, but only its own API takes the size of the window (`num_ctx`), and tells it apart from a
prompt that was cut. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag_chat.errors import ModelUnavailable, PromptTooLong
from rag_chat.model_servers import error_text

TEMPERATURE = 0.2
#: Fields some servers refuse, and what is sent in their place.
OPTIONAL_FIELDS: Mapping[str, str | None] = {
    "max_tokens": "max_completion_tokens",
    "temperature": None,
    "stream_options": None,
}
TOO_LONG = re.compile(
    r"context (length|size|window)|maximum context|prompt (is )?too long|input length|exceed\w* .{0,40}context",
    re.IGNORECASE,
)
THINK_BEGIN, THINK_END = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class PromptMessage:
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Piece:
    """What one event of the stream says. `finish` is set once, by the event that ends the answer: `stop`, `length`…"""

    text: str = ""
    reasoning: str = ""
    finish: str | None = None
    prompt_tokens: int | None = None


def openai_body(model: str, messages: Sequence[PromptMessage], answer_tokens_max: int) -> dict[str, object]:
    return {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": TEMPERATURE,
        "max_tokens": answer_tokens_max,
    }


def ollama_body(
    model: str, messages: Sequence[PromptMessage], answer_tokens_max: int, window_tokens: int, thinks: bool
) -> dict[str, object]:
    """The body of `POST /api/chat`. A prompt that does not fit is to be refused instead of losing its beginning."""
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "stream": True,
        "truncate": False,
        "shift": False,
        "options": {"num_ctx": window_tokens, "num_predict": answer_tokens_max, "temperature": TEMPERATURE},
    }
    # A model that cannot think refuses to be asked for it.
    return body | ({"think": True} if thinks else {})


def read_openai(line: str) -> Piece | None:
    """One line of server-sent events; None for a line that says nothing. `[DONE]` is for the reader of lines."""
    if not line.startswith("data:"):
        return None
    event = _event(line[5:])
    choices = event.get("choices")
    prompt_tokens = _count(event.get("usage"), "prompt_tokens")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return Piece(prompt_tokens=prompt_tokens) if prompt_tokens else None
    delta = choices[0].get("delta")
    said: dict[str, object] = delta if isinstance(delta, dict) else {}
    # llama.cpp, vLLM and DeepSeek say `reasoning_content`, Ollama and OpenRouter `reasoning`.
    reasoning = _text(said.get("reasoning_content")) or _text(said.get("reasoning"))
    finish = choices[0].get("finish_reason")
    return Piece(_text(said.get("content")), reasoning, finish if isinstance(finish, str) else None, prompt_tokens)


def read_ollama(line: str) -> Piece | None:
    """One line of Ollama's JSON lines."""
    if not line.strip():
        return None
    event = _event(line)
    message = event.get("message")
    said: dict[str, object] = message if isinstance(message, dict) else {}
    finish = (_text(event.get("done_reason")) or "stop") if event.get("done") is True else None
    return Piece(_text(said.get("content")), _text(said.get("thinking")), finish, _count(event, "prompt_eval_count"))


def read_whole(body: bytes) -> str:
    """The text of an answer that was not streamed, in either dialect, without thoughts; empty when it has none."""
    answer = _event(body.decode("utf-8", errors="replace"))
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else answer
    message = first.get("message") if isinstance(first, dict) else None
    text = _text(message.get("content")) if isinstance(message, dict) else ""
    return ThoughtSplitter().split(Piece(text, finish="stop")).text.strip()


def too_long(status: int, body: bytes) -> PromptTooLong | None:
    """Whether a refusal says that the prompt does not fit, in the words of any of the servers."""
    said = error_text(body)
    try:
        event: object = json.loads(body)
    except ValueError:
        event = None
    error = event.get("error") if isinstance(event, dict) else None
    fields: dict[str, object] = error if isinstance(error, dict) else {}
    named = "exceed_context_size_error" in (fields.get("type"), fields.get("code"))
    named = named or fields.get("code") == "context_length_exceeded"
    if not named and not (status in (400, 413, 500) and TOO_LONG.search(said)):
        return None
    window = _count(fields, "n_ctx")
    holds = f" ({window} tokens)" if window else ""
    return PromptTooLong(f"The question and its passages do not fit into the model's window{holds}: {said}", window)


def refused_field(body: bytes, sent: Mapping[str, object]) -> str | None:
    """The optional field of ours that a refusal is about."""
    said = body.decode("utf-8", errors="replace")
    return next((name for name in OPTIONAL_FIELDS if name in sent and re.search(rf"\b{name}\b", said)), None)


class ThoughtSplitter:
    """Tells thoughts from the answer where a server leaves `<think>…</think>` in the text itself."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking: bool | None = None

    def split(self, piece: Piece) -> Piece:
        if self._thinking is False:
            return piece
        self._held += piece.text
        if self._thinking is None:
            begun = self._held.lstrip()
            if piece.finish is None and len(begun) < len(THINK_BEGIN) and THINK_BEGIN.startswith(begun):
                return Piece("", piece.reasoning, None, piece.prompt_tokens)
            self._thinking = begun.startswith(THINK_BEGIN)
            if not self._thinking:
                return self._let_go(piece, "", self._held)
            self._held = begun.removeprefix(THINK_BEGIN)
        thought, end, text = self._held.partition(THINK_END)
        if end:
            self._thinking = False
            return self._let_go(piece, thought, text.lstrip())
        # What may be the start of the closing mark waits for the next piece.
        kept = 0 if piece.finish else _mark_begun(self._held)
        self._held, thought = self._held[len(self._held) - kept :], self._held[: len(self._held) - kept]
        return Piece("", piece.reasoning + thought, piece.finish, piece.prompt_tokens)

    def _let_go(self, piece: Piece, thought: str, text: str) -> Piece:
        self._held = ""
        return Piece(text, piece.reasoning + thought, piece.finish, piece.prompt_tokens)


def _mark_begun(text: str) -> int:
    """How many characters at the end of the text may be the beginning of the closing mark."""
    return next((size for size in range(len(THINK_END) - 1, 0, -1) if text.endswith(THINK_END[:size])), 0)


def _event(data: str) -> dict[str, object]:
    try:
        event: object = json.loads(data)
    except ValueError:
        raise ModelUnavailable("The language model sent something that is not JSON.") from None
    if not isinstance(event, dict):
        return {}
    if event.get("error"):
        body = data.encode()
        raise too_long(500, body) or ModelUnavailable(f"The language model failed: {error_text(body)}")
    return event


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(fields: object, name: str) -> int | None:
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if isinstance(value, int) and value > 0 else None
