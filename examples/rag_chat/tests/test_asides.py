"""Short questions to the model beside the answer: what comes of them, and that none can hold up or fail an answer."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from rag_chat.asides import in_other_words, next_questions, plan_of
from rag_chat.messages import ChatMessage
from rag_chat.model import ModelClient
from rag_chat.settings import ModelSettings

from .model_server import ModelServer

FOLLOW_UP = [
    ChatMessage(role="user", content="How do I install the engine?"),
    ChatMessage(role="assistant", content="With pip [1]."),
    ChatMessage(role="user", content="And on Windows?"),
]


async def test_a_follow_up_is_put_in_words_that_are_understood_alone(
    model_client: ModelClient, model_server: ModelServer
) -> None:
    model_server.replies["Rewrite"] = ' "How do I install the engine on Windows?" \nI hope that helps.'
    assert await in_other_words(model_client, FOLLOW_UP, None) == "How do I install the engine on Windows?"
    [asked] = model_server.asides
    assert (
        "Person: How do I install the engine?\nAnswer: With pip .\nPerson: And on Windows?"
        in asked["messages"][1]["content"]
    )
    assert (asked["stream"], asked["max_tokens"]) == (False, 200)


async def test_a_first_question_is_not_reworded(model_client: ModelClient, model_server: ModelServer) -> None:
    assert await in_other_words(model_client, FOLLOW_UP[:1], None) is None
    assert model_server.asides == []


@pytest.mark.parametrize("said", ["", "And on Windows?", "x" * 500], ids=["nothing", "the same", "a novel"])
async def test_a_rewording_that_is_none_falls_back(
    model_client: ModelClient, model_server: ModelServer, said: str
) -> None:
    model_server.replies["Rewrite"] = said
    assert await in_other_words(model_client, FOLLOW_UP, None) is None


async def test_what_takes_too_long_is_given_up_and_the_server_is_hung_up_on(
    model_client: ModelClient, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_chat.asides.TIME_S_MAX", 0.2)
    await model_client.look()
    model_server.reply_gate = asyncio.Event()
    assert await in_other_words(model_client, FOLLOW_UP, None) is None
    if model_server.asides:
        await asyncio.wait_for(model_server.hung_up.wait(), 10)


async def test_a_failing_or_missing_model_costs_nothing(model_client: ModelClient, model_server: ModelServer) -> None:
    assert await in_other_words(model_client, FOLLOW_UP, "big-chat") is None
    model_server.models = []
    assert await plan_of(model_client, FOLLOW_UP, None, 5.0) == []
    await model_server.stop()
    assert await next_questions(model_client, "How?", "So.", ["Install"], None) == []


async def test_a_model_that_is_not_in_memory_is_not_loaded_for_it(model_settings: ModelSettings) -> None:
    # Hanging up on Ollama while it loads would make it begin again for the answer.
    async with ModelServer(kind="ollama") as ollama:
        client = ModelClient(dataclasses.replace(model_settings, base_url=ollama.base_url))
        ollama.replies = {"Rewrite": "How do I install it on Windows?", "Split": "How?\nWhere to?"}
        assert await in_other_words(client, FOLLOW_UP, None) is None
        assert ollama.asides == []
        # A plan is worth waiting for.
        assert await plan_of(client, FOLLOW_UP, None, 30.0) == ["How?", "Where to?"]
        ollama.in_memory = {"tiny-chat": 8_192}
        assert await in_other_words(client, FOLLOW_UP, None) == "How do I install it on Windows?"
        assert ollama.asides[-1]["options"]["num_predict"] == 200
        await client.close()


async def test_lists_of_small_models_are_read(model_client: ModelClient, model_server: ModelServer) -> None:
    model_server.replies["Split"] = (
        "<think>Well.</think>Here are the questions:\n1. How is it installed?\n- **How is it started?**\n\n"
        "How is it started?\n• Where is its data?\n4) What does it need?\n5. One too many?"
    )
    assert await plan_of(model_client, FOLLOW_UP, None, 30.0) == [
        "How is it installed?",
        "How is it started?",
        "Where is its data?",
        "What does it need?",
    ]


async def test_what_might_be_asked_next_is_three_questions(
    model_client: ModelClient, model_server: ModelServer
) -> None:
    model_server.replies["Suggest"] = "Sure!\nHow is it updated?\nHow?\nIs it fast?\nHow is it stopped?\nAnd more?"
    asked = await next_questions(model_client, "How?", "With pip [1].", ["Install", "Update", "Install"], None)
    assert asked == ["How is it updated?", "Is it fast?", "How is it stopped?"]
    said = str(model_server.asides[0]["messages"][1]["content"])
    assert said == "Question: How?\n\nAnswer: With pip .\n\nSections: Install; Update"
