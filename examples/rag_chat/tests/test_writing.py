"""One attempt at an answer, with a model server of every habit."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rag_chat.errors import ModelMissing, ModelRefused, ModelSilent, ModelUnavailable, PromptTooLong
from rag_chat.messages import ChatMessage, Citation
from rag_chat.model import ModelClient
from rag_chat.settings import ModelSettings
from rag_chat.token_stream import TokenStream
from rag_chat.writing import Writer, Written

from .model_server import ModelServer

ANSWER = "Install it with pip [1]."
ASKED = [ChatMessage(role="user", content="How do I install it?")]
PASSAGES = [
    Citation(index=n, title="Guide", heading=f"Part {n}", url=f"https://e.org/{n}", quote="q", text="one two " * 100)
    for n in range(1, 7)
]


class Attempt:
    """An attempt by a client of some settings, and what it told meanwhile."""

    def __init__(self, settings: ModelSettings) -> None:
        self.client = ModelClient(settings)
        self.told: list[str] = []
        self.heard = asyncio.Condition()

    async def report(self, detail: str) -> None:
        async with self.heard:
            self.told.append(detail)
            self.heard.notify_all()

    async def until_told(self, words: str) -> None:
        async with asyncio.timeout(10), self.heard:
            await self.heard.wait_for(lambda: any(words in detail for detail in self.told))

    async def write(self, wanted: str | None = None, seen: bool = False) -> Written:
        async def nobody(chunk: str) -> None:
            """The stream's listener."""

        async with TokenStream(nobody, 1) as answer:
            writer = Writer(self.client, self.report, lambda text: None, seen)
            return await writer.write(ASKED, PASSAGES, wanted, answer)


@asynccontextmanager
async def attempt(settings: ModelSettings, **changes: object) -> AsyncIterator[Attempt]:
    opened = Attempt(dataclasses.replace(settings, **changes))  # type: ignore[arg-type]
    yield opened
    await opened.client.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_chat.writing.LOOK_AGAIN_S", 0.01)
    monkeypatch.setattr("rag_chat.writing.WAIT_TOLD_EVERY_S", 0.01)


@pytest.fixture
async def ollama() -> AsyncIterator[ModelServer]:
    async with ModelServer(kind="ollama") as started:
        yield started


async def test_a_server_that_loads_its_model_is_waited_for(
    model_settings: ModelSettings, model_server: ModelServer
) -> None:
    model_server.loading_times = 5
    async with attempt(model_settings) as trying:
        assert (await trying.write()).text == ANSWER
        assert any("is loading" in detail for detail in trying.told)


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, ModelRefused, "refuses the key .* check OPENAI_API_KEY"),
        (500, ModelUnavailable, "HTTP 500: the model fell"),
    ],
    ids=["wrong key", "failing"],
)
async def test_a_server_that_does_not_list_its_models_says_why(
    model_settings: ModelSettings, model_server: ModelServer, status: int, error: type[Exception], said: str
) -> None:
    model_server.list_status = status
    async with attempt(model_settings) as trying:
        with pytest.raises(error, match=said):
            await trying.write()


async def test_a_slow_list_is_no_missing_model(model_settings: ModelSettings, model_server: ModelServer) -> None:
    model_server.list_gate = asyncio.Event()
    async with attempt(model_settings, list_patience_s=0.05) as trying:
        with pytest.raises(ModelUnavailable, match=r"did not answer within 0\.05 s"):
            await trying.write()
    # A name that is configured can be asked for without a list.
    async with attempt(model_settings, list_patience_s=0.05, look_timeout_s=0.05, model="tiny-chat") as trying:
        assert (await trying.write()).text == ANSWER


async def test_silence_before_the_first_token_is_borne_and_told(
    model_settings: ModelSettings, model_server: ModelServer
) -> None:
    model_server.gate, model_server.pieces_before_gate = asyncio.Event(), 0
    async with attempt(model_settings, silence_timeout_s=5.0, first_token_wait_s=60.0) as trying:
        writing = asyncio.create_task(trying.write())
        await trying.until_told("tiny-chat is reading the passages")
        await asyncio.wait_for(model_server.asked.wait(), 10)
        assert not model_server.hung_up.is_set()
        model_server.gate.set()
        assert (await writing).text == ANSWER


async def test_silence_that_does_not_end_is_told_once_and_not_repeated(
    model_settings: ModelSettings, model_server: ModelServer
) -> None:
    model_server.gate, model_server.pieces_before_gate = asyncio.Event(), 0
    async with attempt(model_settings, first_token_wait_s=0.2) as trying:
        with pytest.raises(ModelSilent, match=r"did not say a word within 0\.2 s") as caught:
            await trying.write()
        assert not caught.value.retryable


async def test_ollama_that_loads_a_model_says_so(ollama: ModelServer, model_settings: ModelSettings) -> None:
    ollama.gate, ollama.pieces_before_gate = asyncio.Event(), 0
    async with attempt(model_settings, base_url=ollama.base_url, first_token_wait_s=60.0) as trying:
        writing = asyncio.create_task(trying.write())
        await trying.until_told("tiny-chat is being loaded into memory")
        ollama.in_memory = {"tiny-chat": 8_192}
        await trying.until_told("tiny-chat is reading the passages")
        ollama.gate.set()
        await writing


async def test_ollama_is_given_a_window_and_a_prompt_that_fits_it(
    ollama: ModelServer, model_settings: ModelSettings
) -> None:
    ollama.context_length = 1_024
    async with attempt(model_settings, base_url=ollama.base_url) as trying:
        written = await trying.write()
    [asked] = ollama.chats
    assert "/api/chat" in ollama.paths and "/v1/chat/completions" not in ollama.paths
    assert (asked["options"]["num_ctx"], asked["options"]["num_predict"], asked["truncate"]) == (1_024, 341, False)
    assert "think" not in asked
    assert [passage.index for passage in written.passages] == [1]
    assert "Part 1" in asked["messages"][0]["content"] and "Part 2" not in asked["messages"][0]["content"]
    assert "given 1 of the 6 passages" in written.notices[0]
    assert written.text == ANSWER


@pytest.mark.parametrize(("loaded", "asked_for"), [(4_096, 8_192), (32_768, 32_768)])
async def test_a_model_in_memory_is_not_loaded_again_for_a_smaller_window(
    ollama: ModelServer, model_settings: ModelSettings, loaded: int, asked_for: int
) -> None:
    ollama.in_memory = {"tiny-chat": loaded}
    async with attempt(model_settings, base_url=ollama.base_url) as trying:
        await trying.write()
    assert ollama.chats[0]["options"]["num_ctx"] == asked_for


async def test_thoughts_are_kept_apart_from_the_answer(ollama: ModelServer, model_settings: ModelSettings) -> None:
    ollama.capabilities, ollama.reasoning = ["completion", "thinking"], ["Let me ", "see."]
    ollama.gate, ollama.pieces_before_gate = asyncio.Event(), 0
    async with attempt(model_settings, base_url=ollama.base_url, silence_timeout_s=60.0) as trying:
        writing = asyncio.create_task(trying.write())
        await trying.until_told("is thinking (3 words so far)")
        ollama.gate.set()
        written = await writing
    assert ollama.chats[0]["think"] is True
    assert (written.reasoning, written.text) == ("Let me see.", ANSWER)


async def test_thoughts_alone_are_no_answer(model_settings: ModelSettings, model_server: ModelServer) -> None:
    model_server.reasoning, model_server.pieces, model_server.finish = ["Hmm."], [], "length"
    async with attempt(model_settings) as trying:
        with pytest.raises(ModelRefused, match="thought until its limit"):
            await trying.write()


async def test_the_window_of_llama_cpp_is_known(model_settings: ModelSettings, model_server: ModelServer) -> None:
    model_server.kind, model_server.window_tokens = "llama.cpp", 1_024
    async with attempt(model_settings) as trying:
        written = await trying.write()
    assert len(model_server.chats) == 1
    assert [passage.index for passage in written.passages] == [1]


async def test_a_prompt_that_is_too_long_is_sent_again_with_fewer_passages(
    model_settings: ModelSettings, model_server: ModelServer
) -> None:
    model_server.window_tokens = 700
    async with attempt(model_settings) as trying:
        written = await trying.write()
    assert len(model_server.chats) == 2
    assert 0 < len(written.passages) < 6
    assert f"given {len(written.passages)} of the 6 passages" in written.notices[0]


async def test_a_question_that_alone_is_too_long_is_refused(
    model_settings: ModelSettings, model_server: ModelServer
) -> None:
    model_server.window_tokens = 10
    async with attempt(model_settings) as trying:
        with pytest.raises(PromptTooLong, match="do not fit into the model's window"):
            await trying.write()


async def test_a_server_that_cuts_the_prompt_without_a_word_is_found_out(
    model_settings: ModelSettings, model_server: ModelServer
) -> None:
    model_server.window_tokens, model_server.cuts_silently = 512, True
    async with attempt(model_settings) as trying:
        assert "read only 512 tokens" in (await trying.write()).notices[0]
        again = await trying.write()
    assert len(again.passages) < 6
    assert not any("read only" in notice for notice in again.notices)


async def test_an_answer_that_reached_its_limit_says_so(
    model_settings: ModelSettings, model_server: ModelServer
) -> None:
    model_server.finish = "length"
    async with attempt(model_settings, answer_tokens_max=77) as trying:
        written = await trying.write()
    assert model_server.chats[0]["max_tokens"] == 77
    assert "reached its limit of 77 tokens" in written.notices[0]


async def test_an_answer_without_end_is_cut_at_its_bound(
    model_settings: ModelSettings, model_server: ModelServer
) -> None:
    model_server.pieces = [f"{number} is a number. " for number in range(2_000)]
    async with attempt(model_settings, answer_chars_max=500) as trying:
        written = await trying.write()
    assert 500 < len(written.text) < 600
    assert written.notices == [f"The answer was cut after {len(written.text)} characters."]


async def test_a_model_that_repeats_itself_is_stopped(model_settings: ModelSettings, model_server: ModelServer) -> None:
    model_server.pieces, model_server.endless = ["Install it with pip [1]. "], True
    async with attempt(model_settings) as trying:
        written = await trying.write()
        await asyncio.wait_for(model_server.hung_up.wait(), 10)
    assert written.notices == ["The model began to repeat itself and was stopped."]
    assert written.text.startswith(ANSWER) and len(written.text) < 60


async def test_a_model_that_rambles_is_cut_and_not_asked_again(
    model_settings: ModelSettings, model_server: ModelServer
) -> None:
    model_server.gate = asyncio.Event()
    async with attempt(model_settings, answer_time_s_max=0.0) as trying:
        written = await trying.write()
        await asyncio.wait_for(model_server.hung_up.wait(), 10)
    assert (written.text, len(model_server.chats)) == (model_server.pieces[0], 1)
    assert written.notices == ["The answer was cut after 0 minutes of writing."]


async def test_a_model_that_is_gone_is_named_and_not_replaced(
    ollama: ModelServer, model_settings: ModelSettings
) -> None:
    async with attempt(model_settings, base_url=ollama.base_url) as trying:
        with pytest.raises(ModelMissing, match=r"have the model big-chat\. It has tiny-chat\. Pull it with `ollama"):
            await trying.write("big-chat")
    async with attempt(model_settings, base_url=ollama.base_url, model="big-chat") as trying:
        with pytest.raises(ModelMissing, match="big-chat"):
            await trying.write()
        assert (await trying.write("tiny-chat")).model == "tiny-chat"
    assert len(ollama.chats) == 1


async def test_a_field_the_server_does_not_know_is_left_out(
    model_settings: ModelSettings, model_server: ModelServer
) -> None:
    model_server.refused_fields = {"max_tokens", "temperature", "stream_options"}
    async with attempt(model_settings) as trying:
        assert (await trying.write()).text == ANSWER
    assert not model_server.refused_fields & model_server.chats[-1].keys()
    assert model_server.chats[-1]["max_completion_tokens"] == 2_048
