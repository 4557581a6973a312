"""The chat and a real llama.cpp server with a real, small model: what is asserted is the protocol, never what it says.

Run by `make test-models`, which prepares the environment that RAG_CHAT_TEST_MODELS_PYTHON names. Not part of `make
test`: a model of a hundred megabytes is slow where there are two cores.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from rag_chat.dialects import PromptMessage
from rag_chat.errors import ModelUnavailable
from rag_chat.messages import ChatMessage, Citation
from rag_chat.model import ModelClient
from rag_chat.model_servers import ServerKind
from rag_chat.settings import ModelSettings
from rag_chat.token_stream import TokenStream
from rag_chat.writing import Writer, Written

pytestmark = pytest.mark.timeout(300)
WINDOW_TOKENS = 768
ASKED = [ChatMessage(role="user", content="How do I install it?")]
PASSAGES = [
    Citation(
        index=n,
        title="Guide",
        heading="Install",
        url=f"https://e.org/{n}",
        quote="q",
        text="Install it with pip. " * 20,
    )
    for n in range(1, 7)
]


class LlamaServer:
    """The server as a process that can be killed."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        python = os.environ.get("RAG_CHAT_TEST_MODELS_PYTHON")
        assert python, "run these with: make test-models"
        script = Path(__file__).with_name("llama_server.py")
        self._process = subprocess.Popen(
            [python, str(script), str(self.port), str(WINDOW_TOKENS)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(20)
            self._process = None


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaServer]:
    started = LlamaServer()
    started.start()
    yield started
    started.kill()


class Attempt:
    def __init__(self, client: ModelClient) -> None:
        self.client = client
        self.told: list[str] = []
        self.wrote = asyncio.Event()

    async def report(self, detail: str) -> None:
        self.told.append(detail)

    async def write(self, question: str | None = None) -> Written:
        async def heard(chunk: str) -> None:
            self.wrote.set()

        asked = ASKED if question is None else [ChatMessage(role="user", content=question)]
        async with TokenStream(heard, 1) as answer:
            return await Writer(self.client, self.report, print, seen=True).write(asked, PASSAGES, None, answer)


@pytest.fixture
async def attempt(server: LlamaServer, request: pytest.FixtureRequest) -> AsyncIterator[Attempt]:
    settings = ModelSettings(
        server.base_url,
        None,
        None,
        None,
        explicit=True,
        list_patience_s=60,
        return_wait_s=120,
        answer_tokens_max=getattr(request, "param", 12),
    )
    client = ModelClient(settings)
    yield Attempt(client)
    await client.close()


async def test_a_server_that_is_just_starting_is_waited_for_and_answers(attempt: Attempt) -> None:
    written = await attempt.write()
    # It was started a moment ago: nobody listened yet, or the weights were still being loaded.
    assert any("is loading" in detail or "went away" in detail for detail in attempt.told)
    assert written.text.strip() and attempt.wrote.is_set()


async def test_its_kind_its_model_and_its_window_are_known(attempt: Attempt) -> None:
    assert (await attempt.client.look()).kind is ServerKind.LLAMA_CPP
    model = await attempt.client.find()
    assert (model.name, model.window_tokens) == ("smollm2", WINDOW_TOKENS)


async def test_what_does_not_fit_its_window_is_left_out(attempt: Attempt) -> None:
    written = await attempt.write()
    assert 0 < len(written.passages) < len(PASSAGES)
    assert "of the 6 passages" in written.notices[0]


async def test_a_short_question_beside_the_answer_is_answered_whole(attempt: Attempt) -> None:
    model = await attempt.client.find()
    prompt = [PromptMessage("system", "Reply with one question."), PromptMessage("user", "Ask me about pip.")]
    assert await attempt.client.say(model, prompt, 8)


@pytest.mark.parametrize("attempt", [4], indirect=True, ids=["four tokens"])
async def test_an_answer_that_reaches_its_limit_says_so(attempt: Attempt) -> None:
    assert any("reached its limit of 4 tokens" in notice for notice in (await attempt.write()).notices)


async def test_a_prompt_that_was_thought_to_fit_is_sent_again_with_less(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with a server that does not tell its window; what it refuses with tells it then.
    monkeypatch.setattr(Writer, "_room", lambda self, model: None)
    written = await attempt.write("What is this about? " + "Tell me in a few words. " * 10)
    assert 0 < len(written.passages) < len(PASSAGES)


@pytest.mark.parametrize("attempt", [400], indirect=True, ids=["long"])
async def test_stop_frees_the_server_at_once(server: LlamaServer, attempt: Attempt) -> None:
    writing = asyncio.create_task(attempt.write("Write a very long story."))
    await asyncio.wait_for(attempt.wrote.wait(), 120)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    # Its one slot is free again, so a short question is answered.
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    async with httpx.AsyncClient(timeout=60) as http:
        assert (await http.post(f"{server.base_url}/chat/completions", json=body)).status_code == 200


@pytest.mark.parametrize("attempt", [400], indirect=True, ids=["long"])
async def test_a_server_killed_in_mid_answer_is_waited_for_by_the_next_attempt(
    server: LlamaServer, attempt: Attempt
) -> None:
    writing = asyncio.create_task(attempt.write("Write a very long story."))
    await asyncio.wait_for(attempt.wrote.wait(), 120)
    await asyncio.to_thread(server.kill)
    with pytest.raises(ModelUnavailable):
        await writing
    again = asyncio.create_task(Attempt(attempt.client).write())
    server.start()
    assert (await again).text.strip()
