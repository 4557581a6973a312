"""One attempt at an answer: waiting for the model, giving it what it can hold, listening, stopping it when it rambles.

Owns what happens between a step that wants an answer and a model that is loading, away, too small or endless. Raises
ModelError when there is none this time; whether that is the end is for the workflow to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from rag_chat.answering import Opening, Prompt, build_prompt, tokens_of
from rag_chat.dialects import Piece
from rag_chat.errors import ModelLoading, ModelRefused, ModelUnavailable, ModelUnreachable, PromptTooLong
from rag_chat.messages import ChatMessage, Citation
from rag_chat.model import Model, ModelClient
from rag_chat.repetition import repetition_begins
from rag_chat.token_stream import TokenStream

LOOK_AGAIN_S = 1.0
WAIT_TOLD_EVERY_S = 5.0
REPETITION_CHECKED_EVERY_CHARS = 120
REASONING_CHARS_MAX = 20_000
WINDOW_TOKENS_MIN = 256
# What a refused prompt is cut to, again and again.
SMALLER_BY = 0.6
SMALLER_TIMES_MAX = 5
# No tokenizer makes one token of so many bytes of ordinary text, so fewer tokens than that were not all of it.
BYTES_PER_TOKEN_MAX = 8

Report = Callable[[str], Awaitable[None]]


@dataclass(slots=True)
class Written:
    """An answer. `notices` are sentences about what is missing from it, `passages` what the model was given, `not_said`
    that it told the passages do not contain an answer."""

    model: str
    text: str = ""
    reasoning: str = ""
    passages: tuple[Citation, ...] = ()
    not_said: bool = False
    notices: list[str] = field(default_factory=list)


class Writer:
    """Lives for one attempt. `seen` says that a model's server was there before, in an earlier step or attempt."""

    def __init__(self, client: ModelClient, report: Report, log: Callable[[str], object], seen: bool) -> None:
        self._client = client
        self._settings = client.settings
        self._report = report
        self._log = log
        self._seen = seen

    async def write(
        self,
        messages: Sequence[ChatMessage],
        passages: Sequence[Citation],
        wanted: str | None,
        answer: TokenStream,
        covering: Sequence[str] = (),
    ) -> Written:
        """The model's answer, streamed into `answer` while it is written. `covering` are smaller questions it answers
        on the way."""
        begun = asyncio.get_running_loop().time()
        room: int | None = None
        smaller_times = 0
        while True:
            waited_s = asyncio.get_running_loop().time() - begun
            try:
                model = await self._client.find(wanted)
                self._seen = True
                room = room if smaller_times else self._room(model)
                prompt = build_prompt(messages, passages, room, covering)
                return await self._ask(model, prompt, answer)
            except ModelLoading:
                if waited_s >= self._settings.first_token_wait_s:
                    raise
                self._seen = True
                await self._report(f"The language model is loading ({waited_s:.0f} s)")
            except ModelUnreachable:
                if not self._seen or waited_s >= self._settings.return_wait_s:
                    raise
                await self._report("The language model's server went away; waiting for it to come back")
            except PromptTooLong as error:
                smaller_times += 1
                if smaller_times > SMALLER_TIMES_MAX or not prompt.passages:
                    raise
                room = self._smaller(prompt, error.window_tokens)
                self._log(f"{error} Asking again with less.")
                continue
            await asyncio.sleep(LOOK_AGAIN_S)

    def _room(self, model: Model) -> int | None:
        """How many tokens the prompt may have; None when the window is not known."""
        if model.window_tokens is None:
            return None
        return max(WINDOW_TOKENS_MIN // 2, model.window_tokens - self._answer_tokens(model.window_tokens))

    def _answer_tokens(self, window_tokens: int | None) -> int:
        most = self._settings.answer_tokens_max
        return most if window_tokens is None else min(most, max(WINDOW_TOKENS_MIN // 4, window_tokens // 3))

    def _smaller(self, prompt: Prompt, window_tokens: int | None) -> int:
        sent = sum(tokens_of(message.content) for message in prompt.messages)
        told = None if window_tokens is None else window_tokens - self._answer_tokens(window_tokens)
        # Estimates err, so one that was wrong before is not trusted again.
        return told if told is not None and told < sent else int(sent * SMALLER_BY)

    async def _ask(self, model: Model, prompt: Prompt, answer: TokenStream) -> Written:
        self._log(f"Asking {model.name} at {self._client.address}")
        written = Written(model.name, passages=prompt.passages)
        if prompt.left_out or prompt.shortened:
            written.notices.append(_left_out(model, prompt))
        loop = asyncio.get_running_loop()
        end_by: float | None = None
        checked_chars = 0
        opening = Opening()
        answer_tokens = self._answer_tokens(model.window_tokens)
        async with (
            self._telling_of_waiting(model, written),
            aclosing(self._client.stream(model, prompt.messages, answer_tokens)) as pieces,
        ):
            async for piece in pieces:
                if piece.text or piece.reasoning:
                    end_by = end_by or loop.time() + self._settings.answer_time_s_max
                if piece.reasoning:
                    written.reasoning = (written.reasoning + piece.reasoning)[:REASONING_CHARS_MAX]
                text = opening.take(piece.text) + (opening.rest() if piece.finish else "")
                if text:
                    answer.add(text)
                    written.text += text
                self._compare(model, prompt, piece, written)
                if piece.finish == "length":
                    written.notices.append(
                        f"The answer ends here because it reached its limit of {answer_tokens} tokens, or the end of "
                        "the model's window (RAG_CHAT_ANSWER_TOKENS_MAX, RAG_CHAT_WINDOW_TOKENS)."
                    )
                elif piece.finish == "content_filter":
                    written.notices.append("The model's server cut the answer off (content_filter).")
                if len(written.text) - checked_chars >= REPETITION_CHECKED_EVERY_CHARS:
                    checked_chars = len(written.text)
                    begins = repetition_begins(written.text)
                    if begins is not None:
                        written.text = written.text[:begins].rstrip()
                        written.notices.append("The model began to repeat itself and was stopped.")
                        break
                if len(written.text) > self._settings.answer_chars_max:
                    written.notices.append(f"The answer was cut after {len(written.text)} characters.")
                    break
                if end_by is not None and loop.time() > end_by:
                    minutes = self._settings.answer_time_s_max / 60
                    written.notices.append(f"The answer was cut after {minutes:g} minutes of writing.")
                    break
        written.not_said = opening.not_said
        if written.text.strip():
            return written
        if end_by is not None and written.notices:
            raise ModelRefused(
                f"The language model {model.name} thought until its limit and did not come to an answer."
            )
        raise ModelUnavailable(f"The language model {model.name} sent an empty answer.")

    def _compare(self, model: Model, prompt: Prompt, piece: Piece, written: Written) -> None:
        """What the server says it read, with what it was sent: some cut a long prompt without a word."""
        if piece.prompt_tokens is None:
            return
        sent_bytes = sum(len(message.content.encode()) for message in prompt.messages)
        self._log(f"{model.name} read {piece.prompt_tokens} tokens of {sent_bytes} bytes")
        if piece.prompt_tokens * BYTES_PER_TOKEN_MAX < sent_bytes:
            self._client.learn_window(model, piece.prompt_tokens)
            written.notices.append(
                f"The model's server cut what it was sent and read only {piece.prompt_tokens} tokens of it, so "
                "passages may be missing. The next question is kept that short."
            )

    @asynccontextmanager
    async def _telling_of_waiting(self, model: Model, written: Written) -> AsyncIterator[None]:
        telling = asyncio.create_task(self._tell_of_waiting(model, written))
        try:
            yield
        finally:
            telling.cancel()

    async def _tell_of_waiting(self, model: Model, written: Written) -> None:
        """Says what a model without an answer is doing, until it answers."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            if written.reasoning:
                doing = f"is thinking ({len(written.reasoning.split())} words so far)"
            else:
                loaded = await self._client.is_loaded(model)
                doing = "is reading the passages" if loaded else "is being loaded into memory"
                waited_s = loop.time() - begun
                doing += f" ({waited_s:.0f} s)" if waited_s >= 1 else ""
            if written.text:
                return
            await self._report(f"{model.name} {doing}")
            await asyncio.sleep(WAIT_TOLD_EVERY_S)


def _left_out(model: Model, prompt: Prompt) -> str:
    asked = prompt.left_out + len(prompt.passages)
    window = f" of {model.window_tokens} tokens" if model.window_tokens else ""
    cut = "; the first was shortened" if prompt.shortened else ""
    return (
        f"The model's window{window} is small: it was given {len(prompt.passages)} of the {asked} passages that were "
        f"found{cut}."
    )
