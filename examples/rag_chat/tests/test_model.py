"""Speaking the OpenAI protocol with a real server."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from rag_chat.errors import ModelRefused, ModelUnavailable, ModelUnreachable
from rag_chat.model import Model, ModelClient, PromptMessage
from rag_chat.settings import ModelSettings

from .model_server import ModelServer

MODEL = Model("tiny-chat", ("tiny-chat",), None)
PROMPT = [PromptMessage("user", "hello")]


async def answer(client: ModelClient) -> str:
    return "".join([piece async for piece in client.stream(MODEL, PROMPT)])


async def test_an_answer_is_streamed_in_pieces(model_client: ModelClient, model_server: ModelServer) -> None:
    pieces = [piece async for piece in model_client.stream(MODEL, PROMPT)]
    assert pieces == model_server.pieces
    assert model_server.chats[0]["messages"] == [{"role": "user", "content": "hello"}]
    assert model_server.authorizations[-1] == "Bearer test-key"


async def test_the_first_chat_model_is_found_and_embedding_models_are_not_offered(
    model_client: ModelClient, model_server: ModelServer
) -> None:
    model_server.models = ["nomic-embed-text", "tiny-chat", "big-chat"]
    found = await model_client.find()
    assert found is not None
    assert (found.name, found.names) == ("tiny-chat", ("tiny-chat", "big-chat"))
    wanted = await model_client.find("big-chat")
    assert wanted is not None
    assert wanted.name == "big-chat"


async def test_ollama_at_its_usual_place_also_embeds(model_server: ModelServer) -> None:
    model_server.models = ["tiny-chat", "nomic-embed-text"]
    client = ModelClient(ModelSettings(model_server.base_url, None, None, None, explicit=False))
    found = await client.find()
    await client.close()
    assert found is not None
    assert found.embedding_model == "nomic-embed-text"


async def test_nothing_listening_means_no_model(unused_tcp_port: int) -> None:
    client = ModelClient(ModelSettings(f"http://127.0.0.1:{unused_tcp_port}/v1", None, None, None, explicit=False))
    assert await client.find() is None
    with pytest.raises(ModelUnreachable):
        await answer(client)
    await client.close()


@pytest.mark.parametrize(
    ("status", "error"), [(500, ModelUnavailable), (429, ModelUnavailable), (401, ModelRefused), (404, ModelRefused)]
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


async def test_a_silent_model_is_given_up(model_client: ModelClient, model_server: ModelServer) -> None:
    model_server.gate = asyncio.Event()
    with pytest.raises(ModelUnavailable, match="silent for 2 s"):
        await answer(model_client)


async def test_leaving_the_stream_hangs_up_on_the_server(model_client: ModelClient, model_server: ModelServer) -> None:
    model_server.gate = asyncio.Event()
    async with aclosing(model_client.stream(MODEL, PROMPT)) as pieces:  # type: ignore[type-var]
        assert await anext(pieces) == model_server.pieces[0]
    await asyncio.wait_for(model_server.hung_up.wait(), 5)


async def test_an_endless_answer_ends_at_the_bound(model_server: ModelServer) -> None:
    model_server.pieces = ["x" * 100] * 100
    client = ModelClient(
        ModelSettings(model_server.base_url, None, "tiny-chat", None, explicit=True, answer_chars_max=500)
    )
    assert len(await answer(client)) == 600
    await client.close()


async def test_embeddings_come_in_order(model_client: ModelClient, model_server: ModelServer) -> None:
    model = Model("tiny-chat", (), "tiny-embed")
    one, two = await model_client.embed(model, ["car", "tree"])
    assert one != two
    assert [one] == await model_client.embed(model, ["automobile"])


async def test_a_model_that_just_started_is_found_at_once(model_client: ModelClient, model_server: ModelServer) -> None:
    model_server.models, listed = [], model_server.models
    assert await model_client.find() is None
    model_server.models = listed
    assert await model_client.find() is not None
