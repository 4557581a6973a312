"""The chat of `examples/rag_chat_0_47` answers a question about a page, end to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from wirekit import EngineProcess, Rest, eventually, free_port
from wirekit.engine_process import START_WITHIN_S

from .conftest import WIRE, environment

EXAMPLES: Final = WIRE.parent.parent / "examples"
sys.path += [str(EXAMPLES / "rag_chat" / "tests"), str(EXAMPLES / "rag_chat_0_47")]

from model_server import ModelServer  # noqa: E402 the path to it has only now been laid
from rag_chat_0_47 import model as old_model  # noqa: E402
from web_site import INSTALL_PAGE  # noqa: E402


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture
async def page_url() -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        status, body = ("200 OK", INSTALL_PAGE) if b"/install" in request.split(b"\r\n")[0] else ("404 No", b"")
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\nConnection: close"
        writer.write(head.encode() + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.fixture
async def chat(
    engine: EngineProcess, rest: Rest, model: ModelServer, old_python: str, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """The example's two programs, as its README starts them."""
    port = free_port()
    variables = environment(engine) | {
        "OPENAI_BASE_URL": model.base_url,
        "OPENAI_MODEL": "tiny-chat",
        "PYTHONPATH": str(EXAMPLES / "rag_chat_0_47"),
    }
    programs = (
        ["-m", "rag_chat_0_47.worker"],
        ["-m", "uvicorn", "rag_chat_0_47.api:app", "--host", "127.0.0.1", "--port", str(port)],
    )
    processes = [_start([old_python, *arguments], tmp_path, variables) for arguments in programs]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

            async def is_up() -> bool:
                try:
                    answered = (await client.get("/")).status_code == 200
                except httpx.TransportError:
                    return False
                return answered and any(
                    row["name"] == "rag-chat-0-47" and row["status"] == "ACTIVE" and row.get("lastListenerEstablished")
                    for row in await rest.workers()
                )

            await eventually(is_up, what="the chat is up", within_s=START_WITHIN_S)
            yield client
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _start(command: list[str], directory: Path, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    with (directory / "chat.log").open("ab") as log:
        return subprocess.Popen(command, cwd=directory, env=variables, stdout=log, stderr=log, start_new_session=True)


async def told(chat: httpx.AsyncClient, message_id: str) -> list[tuple[str, str]]:
    answer = await chat.get(f"/message/{message_id}")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [block.splitlines() for block in answer.text.split("\n\n") if block]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))["text"]) for name, data in events]


async def test_a_question_about_a_page_is_answered(chat: httpx.AsyncClient, model: ModelServer, page_url: str) -> None:
    question = {"role": "user", "content": "How do I install it?"}
    asked = await chat.post("/message", json={"url": f"{page_url}/install", "messages": [question]})
    message_id = asked.json()["messageId"]
    answer = "Install it with pip [1]."
    events = await told(chat, message_id)
    assert events[-1] == ("answer", answer)
    reasoning, answering = model.chats
    assert "pip install broadaxe" in reasoning["messages"][-1]["content"]
    assert answer in answering["messages"][0]["content"] and answering["messages"][-1] == question
    assert await told(chat, message_id) == [("answer", answer)], "who comes late still gets the end"


async def test_tokens_arrive_while_the_model_speaks(chat: httpx.AsyncClient, model: ModelServer, page_url: str) -> None:
    model.pieces = [f"{number} " for number in range(60)]
    model.pause_s = 0.05
    question = {"role": "user", "content": "How do I install it?"}
    asked = await chat.post("/message", json={"url": f"{page_url}/install", "messages": [question]})
    events = await told(chat, asked.json()["messageId"])
    assert events[-1] == ("answer", "".join(model.pieces))
    tokens = [text for name, text in events if name == "token"]
    first = model.pieces.index(tokens[0])
    assert tokens == model.pieces[first : first + len(tokens)] and len(tokens) > 20
    assert ("status", "The answer is thought out.") in events


async def test_a_model_that_breaks_off_is_asked_again_and_what_was_written_stays_till_then(
    chat: httpx.AsyncClient, model: ModelServer, page_url: str
) -> None:
    # The first chat is that of the step before; in the second one the server goes away, the third is held back.
    model.breaks_off_at = {2}
    model.gate, model.gated_from = asyncio.Event(), 3
    question = {"role": "user", "content": "How do I install it?"}
    asked = await chat.post("/message", json={"url": f"{page_url}/install", "messages": [question]})
    attempts: list[int] = []
    name = ""
    async with chat.stream("GET", f"/message/{asked.json()['messageId']}") as events:
        async for line in events.aiter_lines():
            name = line.removeprefix("event: ") if line.startswith("event: ") else name
            if not line.startswith("data: "):
                continue
            data = json.loads(line.removeprefix("data: "))
            if name == "token":
                attempts.append(data["attempt"])
                if data["attempt"] == 1:
                    model.gate.set()
    assert (name, data) == ("answer", {"text": "Install it with pip [1]."})
    assert len(model.chats) == 3
    assert attempts == sorted(attempts) and attempts[-1] == 1


async def test_a_page_that_is_not_there_is_said_to_be_so(
    chat: httpx.AsyncClient, model: ModelServer, page_url: str
) -> None:
    question = {"role": "user", "content": "What is this?"}
    asked = await chat.post("/message", json={"url": f"{page_url}/nowhere", "messages": [question]})
    name, text = (await told(chat, asked.json()["messageId"]))[-1]
    assert name == "error" and "404" in text and "Traceback" not in text
    assert model.chats == []


@pytest.fixture
def asking(model: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    """The model's server, which the example's own module is told to ask."""
    monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
    monkeypatch.setenv("OPENAI_MODEL", "tiny-chat")
    monkeypatch.setattr(old_model, "LOOK_AGAIN_S", 0.01)
    return model


ASKED: Final = [{"role": "user", "content": "How do I install it?"}]


async def test_a_server_that_loads_its_model_is_waited_for_with_progress(asking: ModelServer) -> None:
    asking.fail_times, asking.fail_status = 3, 503
    told: list[str] = []
    assert await old_model.whole(ASKED, told.append) == "Install it with pip [1]."
    assert len(told) == 3 and all(words.startswith("The model is loading (") for words in told)


async def test_a_server_that_restarts_is_waited_for(asking: ModelServer) -> None:
    await asking.stop()
    away = asyncio.Event()
    answer = asyncio.create_task(old_model.whole(ASKED, lambda words: away.set()))
    await asyncio.wait_for(away.wait(), 30)
    await asking.start()
    assert await answer == "Install it with pip [1]."


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"break_off": True}, old_model.ModelGone, "before its answer was complete"),
        (
            {"models": ["nomic-embed-text"]},
            old_model.ModelRefused,
            "A server answers at .* run `ollama pull tiny-chat`",
        ),
        ({"fail_times": 1, "fail_status": 401}, old_model.ModelRefused, "check OPENAI_API_KEY"),
        ({"fail_times": 1, "fail_status": 500}, old_model.ModelGone, "HTTP 500: .*the model fell over"),
    ],
    ids=["broke off", "no such model", "wrong key", "failing"],
)
async def test_what_is_wrong_with_the_model_is_a_sentence(
    asking: ModelServer, change: dict[str, object], error: type[Exception], said: str
) -> None:
    for name, value in change.items():
        setattr(asking, name, value)
    with pytest.raises(error, match=said):
        await old_model.whole(ASKED)


async def test_that_nothing_is_there_is_said(asking: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_model, "RETURN_S", 0.0)
    await asking.stop()
    with pytest.raises(old_model.ModelGone, match="start Ollama, or set OPENAI_BASE_URL"):
        await old_model.whole(ASKED)
