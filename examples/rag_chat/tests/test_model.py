"""Speaking the OpenAI protocol with a real server."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

import pytest

from rag_chat.dialects import Piece, PromptMessage, ThoughtSplitter, too_long
from rag_chat.errors import ModelMissing, ModelRefused, ModelUnavailable, ModelUnreachable
from rag_chat.model import Model, ModelClient
from rag_chat.settings import ModelSettings

from .model_server import ModelServer

MODEL = Model("tiny-chat")
PROMPT = [PromptMessage("user", "hello")]


async def answer(client: ModelClient) -> str:
    return "".join([piece.text async for piece in client.stream(MODEL, PROMPT)])


async def test_an_answer_is_streamed_in_pieces(model_client: ModelClient, model_server: ModelServer) -> None:
    pieces = [piece.text async for piece in model_client.stream(MODEL, PROMPT)]
    assert [piece for piece in pieces if piece] == model_server.pieces
    assert model_server.chats[0]["messages"] == [{"role": "user", "content": "hello"}]
    assert model_server.authorizations[-1] == "Bearer test-key"


async def test_the_first_chat_model_is_found_and_embedding_models_are_not_offered(
    model_client: ModelClient, model_server: ModelServer
) -> None:
    model_server.models = ["nomic-embed-text", "tiny-chat", "big-chat"]
    assert (await model_client.look()).chat_models == ("tiny-chat", "big-chat")
    assert (await model_client.find()).name == "tiny-chat"
    assert (await model_client.find("big-chat")).name == "big-chat"


async def test_what_was_pulled_last_is_not_asked_by_accident(
    model_client: ModelClient, model_server: ModelServer
) -> None:
    model_server.models = ["new-chat", "tiny-chat"]
    model_server.created = {"new-chat": 200, "tiny-chat": 100}
    assert (await model_client.find()).name == "tiny-chat"


@pytest.mark.parametrize("explicit", [True, False], ids=["by address", "at its usual place"])
async def test_ollama_also_embeds(model_server: ModelServer, explicit: bool) -> None:
    model_server.kind, model_server.models = "ollama", ["tiny-chat", "nomic-embed-text"]
    client = ModelClient(ModelSettings(model_server.base_url, None, None, None, explicit=explicit))
    assert (await client.look()).embedding_model == "nomic-embed-text"
    await client.close()


async def test_ollama_without_a_chat_model_says_what_to_pull_and_embeds_all_the_same(model_server: ModelServer) -> None:
    model_server.kind, model_server.models = "ollama", ["nomic-embed-text"]
    client = ModelClient(ModelSettings(model_server.base_url, None, None, None, explicit=False))
    with pytest.raises(ModelMissing, match=r"Ollama answers at .* `ollama pull llama3\.2`"):
        await client.find()
    assert (await client.look()).embedding_model == "nomic-embed-text"
    await client.close()


async def test_people_call_a_model_of_ollama_without_its_tag(model_server: ModelServer) -> None:
    model_server.kind, model_server.models = "ollama", ["tiny-chat:latest", "big-chat:7b"]
    client = ModelClient(ModelSettings(model_server.base_url, None, "tiny-chat", None, explicit=False))
    assert (await client.find()).name == "tiny-chat:latest"
    await client.close()


async def test_nothing_listening_means_no_model(unused_tcp_port: int) -> None:
    client = ModelClient(ModelSettings(f"http://127.0.0.1:{unused_tcp_port}/v1", None, None, None, explicit=False))
    with pytest.raises(ModelUnreachable):
        await client.find()
    with pytest.raises(ModelUnreachable):
        await answer(client)
    await client.close()


@pytest.mark.parametrize(
    ("status", "error"), [(500, ModelUnavailable), (429, ModelUnavailable), (401, ModelRefused), (404, ModelMissing)]
)
async def test_failures_are_sorted_and_say_what_the_server_said(
    model_client: ModelClient, model_server: ModelServer, status: int, error: type[Exception]
) -> None:
    model_server.fail_times, model_server.fail_status = 1, status
    with pytest.raises(error, match=f"HTTP {status}: the model fell over"):
        await answer(model_client)


async def test_an_answer_that_breaks_off_is_no_answer(model_client: ModelClient, model_server: ModelServer) -> None:
    model_server.break_off = True
    with pytest.raises(ModelUnavailable, match="before its answer was complete"):
        await answer(model_client)


async def test_a_model_that_falls_silent_is_given_up(model_server: ModelServer) -> None:
    model_server.gate = asyncio.Event()
    client = ModelClient(ModelSettings(model_server.base_url, None, None, None, explicit=True, silence_timeout_s=0.1))
    with pytest.raises(ModelUnavailable, match=r"fell silent in the middle of its answer, for 0\.1 s"):
        await answer(client)
    await client.close()


async def test_leaving_the_stream_hangs_up_on_the_server(model_client: ModelClient, model_server: ModelServer) -> None:
    model_server.gate = asyncio.Event()
    async with aclosing(model_client.stream(MODEL, PROMPT)) as pieces:
        assert (await anext(pieces)).text == model_server.pieces[0]
    await asyncio.wait_for(model_server.hung_up.wait(), 5)


async def test_embeddings_come_in_order(model_client: ModelClient) -> None:
    one, two = await model_client.embed("tiny-embed", ["car", "tree"])
    assert one != two
    assert [one] == await model_client.embed("tiny-embed", ["automobile"])


async def test_a_model_that_just_started_is_found_at_once(model_client: ModelClient, model_server: ModelServer) -> None:
    model_server.models, listed = [], model_server.models
    with pytest.raises(ModelMissing):
        await model_client.find()
    model_server.models = listed
    assert (await model_client.find()).name == "tiny-chat"


@pytest.mark.parametrize(
    ("pieces", "thought", "text"),
    [
        (["<think>Hmm.</think>\n\nYes."], "Hmm.", "Yes."),
        (["<th", "ink>H", "m</", "think", ">Y", "es"], "Hm", "Yes"),
        (["<", "b>", " </think>"], "", "<b> </think>"),
        (["<think>", "a < b </thing>"], "a < b </thing>", ""),
        (["<thi"], "", "<thi"),
    ],
    ids=["whole", "in bits", "other mark", "open", "cut"],
)
def test_thoughts_in_the_text_are_told_apart(pieces: list[str], thought: str, text: str) -> None:
    splitter = ThoughtSplitter()
    split = [splitter.split(Piece(piece)) for piece in pieces] + [splitter.split(Piece(finish="stop"))]
    assert "".join(piece.reasoning for piece in split) == thought
    assert "".join(piece.text for piece in split) == text
    assert split[-1].finish == "stop"


@pytest.mark.parametrize(
    "error",
    [
        {"message": "This model's maximum context length is 2048 tokens.", "code": 400},
        {"message": "x", "code": "context_length_exceeded"},
        {"message": "x", "type": "exceed_context_size_error", "n_ctx": 512},
        {"message": "the prompt is too long"},
    ],
    ids=["vllm", "openai", "llama.cpp", "ollama"],
)
def test_a_prompt_that_does_not_fit_is_recognised(error: dict[str, object]) -> None:
    found = too_long(400, json.dumps({"error": error}).encode())
    assert found is not None
    assert found.window_tokens == error.get("n_ctx")
    assert too_long(400, b'{"error": {"message": "wrong field"}}') is None
