"""The four steps, run as the SDK runs them, with a real database, a real site and a real model server."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import pytest
from hatchet_sdk import Hatchet, NonRetryableException

from rag_chat.answer_steps import QUICK
from rag_chat.errors import ModelUnavailable, ModelUnreachable, PageUnavailable
from rag_chat.foreign_questions import NOTICE
from rag_chat.messages import ChatMessage, LoadDocsOutput, ReasonDocsOutput, StartOutput
from rag_chat.model import ModelClient
from rag_chat.resources import Resources
from rag_chat.settings import ModelSettings
from rag_chat.workflow import RagWorkflow, build_workflow

from .model_server import ModelServer
from .steps import ask, run_before, run_one, run_to
from .web_site import Page, WebSite, html

pytestmark = pytest.mark.usefixtures("streamed")


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_chat.writing.LOOK_AGAIN_S", 0.01)


async def test_each_step_announces_what_comes_next_and_the_last_one_answers(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer, streamed: list[dict[str, Any]]
) -> None:
    question = ask(f"{site.address}/docs/")
    started = await run_to(rag, resources, question, "start")
    assert isinstance(started, StartOutput)
    assert started.status == "reading"
    loaded = await run_to(rag, resources, question, "load_docs")
    assert isinstance(loaded, LoadDocsOutput)
    assert (loaded.status, len(loaded.page_ids)) == ("making sense", 3)
    reasons = await run_to(rag, resources, question, "reason_docs")
    assert isinstance(reasons, ReasonDocsOutput)
    assert (reasons.status, reasons.passages[0].title) == ("writing", "Install")

    streamed.clear()
    answer = await run_to(rag, resources, question, "generate_response")
    assert (answer.status, answer.message) == ("complete", "Install it with pip [1].")
    assert [(citation.index, citation.text) for citation in answer.citations] == [(1, "")]
    assert (answer.model, answer.extractive) == ("tiny-chat", False)
    told = [(chunk["step"], chunk["phase"]) for chunk in streamed if chunk["type"] == "step"]
    assert told == [
        ("start", "started"), ("start", "finished"), ("load_docs", "started"), ("load_docs", "finished"),
        ("reason_docs", "started"), ("reason_docs", "finished"), ("generate_response", "started"),
    ]  # fmt: skip
    [reasoned] = [
        chunk for chunk in streamed if chunk.get("step") == "reason_docs" and chunk.get("phase") == "finished"
    ]
    assert (reasoned["citations"][0]["index"], "text" in reasoned["citations"][0]) == (1, False)
    tokens = [chunk for chunk in streamed if chunk["type"] == "token"]
    assert "".join(token["text"] for token in tokens) == answer.message
    assert "pip install broadaxe" in model_server.chats[-1]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("path", "page", "reason"),
    [
        ("/missing", None, "no such page"),
        ("/empty", Page(html("x", "")), "no text to read"),
        ("/big", Page(b"x" * 100_000), "larger than"),
        ("/image", Page(b"x", content_type="image/png"), "image/png"),
    ],
)
async def test_a_page_that_cannot_be_read_fails_for_good_with_the_reason(
    rag: RagWorkflow, resources: Resources, site: WebSite, path: str, page: Page | None, reason: str
) -> None:
    if page is not None:
        site.pages[path] = page
    with pytest.raises(NonRetryableException, match=reason):
        await run_to(rag, resources, ask(f"{site.address}{path}"), "load_docs")


async def test_a_private_address_fails_for_good(rag: RagWorkflow, resources: Resources) -> None:
    with pytest.raises(NonRetryableException, match="private network"):
        await run_to(rag, resources, ask("http://127.0.0.1:22/"), "load_docs")


async def test_a_page_that_is_down_is_tried_again(
    rag: RagWorkflow, resources: Resources, site: WebSite, streamed: list[dict[str, Any]]
) -> None:
    site.pages["/down"] = Page(b"", status=503)
    with pytest.raises(PageUnavailable, match="HTTP 503"):
        await run_to(rag, resources, ask(f"{site.address}/down"), "load_docs")
    assert streamed[-1]["phase"] == "retrying"
    assert "HTTP 503" in streamed[-1]["detail"]


async def test_a_failing_model_is_tried_again_and_then_the_passages_answer(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    model_server.fail_times, model_server.fail_status = 1, 503
    with pytest.raises(ModelUnavailable, match="the model fell over"):
        await run_to(rag, resources, ask(f"{site.address}/docs/"), "generate_response")
    model_server.fail_times = 1
    answer = await run_to(rag, resources, ask(f"{site.address}/docs/"), "generate_response", retry_count=3)
    assert (answer.extractive, answer.model) == (True, None)
    assert "could not answer" in answer.message and "the model fell over" in answer.message
    assert "> pip install broadaxe" in answer.message
    assert answer.citations[0].url.endswith("/docs/install.html#with-pip")


async def test_a_refusing_model_is_not_tried_again_and_the_passages_answer(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    model_server.fail_times, model_server.fail_status = 1, 400
    answer = await run_to(rag, resources, ask(f"{site.address}/docs/"), "generate_response")
    assert (answer.extractive, answer.model) == (True, None)
    assert "the model fell over" in answer.message
    assert "> pip install broadaxe" in answer.message


async def test_an_empty_answer_is_a_failure_and_tried_again(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    model_server.pieces = []
    with pytest.raises(ModelUnavailable, match="empty answer"):
        await run_to(rag, resources, ask(f"{site.address}/docs/"), "generate_response")


async def test_without_a_model_the_passages_themselves_answer(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    model_server.models = []
    answer = await run_to(rag, resources, ask(f"{site.address}/docs/"), "generate_response")
    assert answer.extractive
    assert answer.model is None
    assert "lists no language model: set OPENAI_MODEL. Here are the passages" in answer.message
    assert "> pip install broadaxe" in answer.message
    assert answer.citations[0].url.endswith("/docs/install.html#with-pip")


async def test_where_nobody_named_a_model_its_absence_is_told_at_once(
    rag: RagWorkflow, resources: Resources, site: WebSite, unused_tcp_port: int
) -> None:
    nothing = ModelSettings(f"http://127.0.0.1:{unused_tcp_port}/v1", None, None, None, explicit=False)
    resources = dataclasses.replace(resources, model=ModelClient(nothing))
    answer = await run_to(rag, resources, ask(f"{site.address}/docs/"), "generate_response")
    await resources.model.close()
    assert answer.message.startswith("No language model is reachable")


async def test_a_named_server_that_does_not_answer_is_no_missing_model_until_the_last_attempt(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    await model_server.stop()
    question = ask(f"{site.address}/docs/")
    outputs = await run_before(rag, resources, question, "generate_response")
    with pytest.raises(ModelUnreachable):
        await run_one(rag, resources, question, "generate_response", outputs)
    answer = await run_one(rag, resources, question, "generate_response", outputs, retry_count=3)
    failure = f"Nothing answers at {model_server.base_url}."
    assert answer.message.startswith(f"The language model could not answer: {failure}")


async def test_a_model_server_that_restarts_in_mid_answer_is_waited_for(
    rag: RagWorkflow,
    resources: Resources,
    site: WebSite,
    model_server: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from hatchet_sdk import Context

    told: list[dict[str, Any]] = []
    away = asyncio.Event()

    async def listen(self: Context, data: str | bytes) -> None:
        told.append(json.loads(data))
        if "went away" in str(told[-1].get("detail")):
            away.set()

    question = ask(f"{site.address}/docs/")
    outputs = await run_before(rag, resources, question, "generate_response")
    model_server.break_off = True
    with pytest.raises(ModelUnavailable, match="before its answer was complete"):
        await run_one(rag, resources, question, "generate_response", outputs)
    await model_server.stop()
    model_server.break_off = False
    monkeypatch.setattr(Context, "aio_put_stream", listen)
    again = asyncio.create_task(run_one(rag, resources, question, "generate_response", outputs, retry_count=1))
    await asyncio.wait_for(away.wait(), 30)
    # Nothing that replaces what the first attempt wrote was sent meanwhile.
    assert not [chunk for chunk in told if chunk["type"] in ("token", "draft")]
    await model_server.start()
    answer = await again
    assert (answer.message, answer.extractive) == ("Install it with pip [1].", False)


async def test_a_server_that_was_there_and_stays_away_is_tried_again(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    question = ask(f"{site.address}/docs/")
    outputs = await run_before(rag, resources, question, "generate_response")
    settings = dataclasses.replace(resources.model.settings, explicit=False, return_wait_s=0.0)
    gone = dataclasses.replace(resources, model=ModelClient(settings))
    await model_server.stop()
    with pytest.raises(ModelUnreachable):
        await run_one(rag, gone, question, "generate_response", outputs)
    answer = await run_one(rag, gone, question, "generate_response", outputs, retry_count=3)
    await gone.model.close()
    assert "No language model is reachable" not in answer.message


async def test_cancelling_the_step_hangs_up_on_the_model(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    model_server.gate = asyncio.Event()
    running = asyncio.create_task(run_to(rag, resources, ask(f"{site.address}/docs/"), "generate_response"))
    await asyncio.wait_for(model_server.speaking.wait(), 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(model_server.hung_up.wait(), 5)


async def test_a_page_for_scripts_only_is_not_answered_from_its_noscript(
    rag: RagWorkflow, resources: Resources, site: WebSite
) -> None:
    body = '<noscript>You need to enable JavaScript to run this app.</noscript><div id="root"></div>'
    site.pages["/app"] = Page(html("App", body))
    with pytest.raises(NonRetryableException, match="built by scripts"):
        await run_to(rag, resources, ask(f"{site.address}/app"), "load_docs")


async def test_a_slow_page_says_that_it_is_waited_for(
    rag: RagWorkflow, resources: Resources, site: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hatchet_sdk import Context

    told: list[str] = []
    waits = asyncio.Event()

    async def listen(self: Context, data: str | bytes) -> None:
        detail = json.loads(data).get("detail")
        told.append(detail)
        if detail is not None and detail.startswith("Waiting for"):
            waits.set()

    monkeypatch.setattr(Context, "aio_put_stream", listen)
    monkeypatch.setattr("rag_chat.reading.WAIT_TOLD_EVERY_S", 0.01)
    site.pages["/docs/"].gate = asyncio.Event()
    question = ask(f"{site.address}/docs/")
    running = asyncio.create_task(run_to(rag, resources, question, "load_docs", retry_count=1))
    await asyncio.wait_for(waits.wait(), 10)
    assert f"Reading {site.address}/docs/, try 2" in told
    site.pages["/docs/"].gate.set()
    await running


def test_the_workflow_declares_its_graph_and_its_event(rag: RagWorkflow) -> None:
    declared = rag.workflow.to_proto()
    assert (declared.name, list(declared.event_triggers)) == ("rag-chat", ["question:create"])
    graph = {task.readable_id: (list(task.parents), task.retries) for task in declared.tasks}
    assert graph == {
        "start": ([], 0),
        "load_docs": (["start"], 2),
        "reason_docs": (["start", "load_docs"], 2),
        "generate_response": (["start", "reason_docs"], 3),
    }


async def test_a_long_step_tells_again_what_it_does_for_those_who_came_late(
    rag: RagWorkflow, resources: Resources, site: WebSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hatchet_sdk import Context

    told: list[str] = []
    told_again = asyncio.Event()

    async def listen(self: Context, data: str | bytes) -> None:
        detail = json.loads(data).get("detail")
        if detail in told:
            told_again.set()
        if detail is not None:
            told.append(detail)

    monkeypatch.setattr(Context, "aio_put_stream", listen)
    monkeypatch.setattr("rag_chat.step_voice.RETELL_EVERY_S", 0.01)
    site.pages["/docs/"].gate = asyncio.Event()
    running = asyncio.create_task(run_to(rag, resources, ask(f"{site.address}/docs/"), "load_docs"))
    await asyncio.wait_for(told_again.wait(), 10)
    assert set(told) == {f"Reading {site.address}/docs/"}
    site.pages["/docs/"].gate.set()
    await running


async def test_a_question_may_be_about_several_pages(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    urls = [f"{site.address}/docs/{name}.html" for name in ("install", "concepts", "install")]
    question = ask(urls[0], "How is a task retried, and how do I install it?").model_copy(update={"sources": urls[1:]})
    loaded = await run_to(rag, resources, question, "load_docs")
    assert loaded.pages == urls[:2]
    reasons = await run_to(rag, resources, question, "reason_docs")
    assert {passage.title for passage in reasons.passages} == {"Install", "Concepts"}


async def test_a_page_that_cannot_be_read_costs_only_itself_among_several(
    rag: RagWorkflow, resources: Resources, site: WebSite
) -> None:
    good, bad = f"{site.address}/docs/install.html", f"{site.address}/nothing.html"
    for first, second in ((good, bad), (bad, good)):
        question = ask(first).model_copy(update={"sources": [second]})
        loaded = await run_to(rag, resources, question, "load_docs")
        assert loaded.pages == [good]
        assert any("there is no such page" in sentence for sentence in loaded.skipped)
    with pytest.raises(NonRetryableException, match="there is no such page"):
        await run_to(rag, resources, ask(bad).model_copy(update={"sources": [bad + "x"]}), "load_docs")


async def test_that_the_sources_do_not_say_it_is_said_and_nothing_is_cited_for_it(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer, streamed: list[dict[str, Any]]
) -> None:
    model_server.pieces = ["[", "0", "] ", "The pages do not say ", "who wrote it."]
    answer = await run_to(rag, resources, ask(f"{site.address}/docs/", "Who wrote broadaxe?"), "generate_response")
    assert (answer.message, answer.not_said) == ("The pages do not say who wrote it.", True)
    assert answer.citations == [], "no passage is listed as a source of what none says"
    assert answer.given == 3 and not answer.extractive
    tokens = "".join(chunk["text"] for chunk in streamed if chunk["type"] == "token")
    assert tokens == answer.message, "the mark is for the chat, not for people"
    assert "begin with [0]" in model_server.chats[0]["messages"][0]["content"]


async def test_without_a_model_a_question_that_matches_nothing_is_said_not_to_be_answered(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    model_server.models = []
    answer = await run_to(rag, resources, ask(f"{site.address}/docs/", "zanzibar quokka"), "generate_response")
    assert (answer.extractive, answer.not_said) == (True, True)


async def test_a_follow_up_is_searched_for_in_the_models_words_and_says_so(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer, streamed: list[dict[str, Any]]
) -> None:
    model_server.replies["Rewrite"] = "How often is a failing task retried with backoff?"
    before = [ChatMessage(role="user", content="What is a task?"), ChatMessage(role="assistant", content="Work [1].")]
    question = ask(f"{site.address}/docs/", "And when it breaks?")
    question = question.model_copy(update={"messages": [*before, *question.messages]})
    reasons = await run_to(rag, resources, question, "reason_docs")
    assert reasons.searched_for == ["How often is a failing task retried with backoff?"]
    assert any(passage.heading.endswith("Retries") for passage in reasons.passages)
    [told] = [chunk for chunk in streamed if chunk.get("step") == "reason_docs" and chunk.get("phase") == "finished"]
    assert told["searched_for"] == reasons.searched_for
    # Without a model, the words of the conversation do.
    model_server.replies = {}
    reasons = await run_to(rag, resources, question, "reason_docs")
    assert reasons.searched_for == ["And when it breaks? What is a task?"]


@pytest.mark.parametrize(
    "foreign",
    [
        "Wie oft wird eine Aufgabe wiederholt?",
        "Combien de fois une tâche est-elle relancée ?",
        "タスクは何回やり直されますか",
    ],
    ids=["German", "French", "Japanese"],
)
async def test_a_question_in_another_language_is_searched_for_in_that_of_the_pages_and_says_so(
    rag: RagWorkflow,
    resources: Resources,
    site: WebSite,
    model_server: ModelServer,
    streamed: list[dict[str, Any]],
    foreign: str,
) -> None:
    model_server.replies["Translate"] = "How often is a failing task tried again?"
    question = ask(f"{site.address}/docs/", foreign)
    reasons = await run_to(rag, resources, question, "reason_docs")
    assert reasons.searched_for == ["How often is a failing task tried again?"]
    assert reasons.passages[0].heading.endswith("Retries")
    assert reasons.notices == []
    [asked] = [each for each in model_server.asides if "Translate" in each["messages"][0]["content"]]
    assert asked["messages"][1]["content"].endswith(f"\n\nQuestions:\n{foreign}")
    assert "Everything about the engine" in asked["messages"][1]["content"], "it is told which language"
    assert "Putting the question into the language of the pages" in [chunk.get("detail") for chunk in streamed]
    # The model that writes the answer is asked what the person asked.
    await run_to(rag, resources, question, "generate_response")
    assert model_server.chats[-1]["messages"][-1]["content"] == foreign


@pytest.mark.parametrize("said", ["", "Wie oft?", "Zanzibar quokka gnu?"], ids=["nothing", "the same", "nonsense"])
async def test_a_question_in_another_language_that_no_model_translates_says_what_that_means(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer, said: str
) -> None:
    model_server.replies["Translate"] = said
    answer = await run_to(rag, resources, ask(f"{site.address}/docs/", "Wie oft?"), "generate_response")
    assert answer.notices == [NOTICE]
    assert (await run_to(rag, resources, ask(f"{site.address}/docs/", "Wie oft?"), "reason_docs")).searched_for == []


async def test_without_a_model_a_question_in_another_language_is_quoted_with_the_same_notice(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    model_server.models = []
    url = f"{site.address}/docs/"
    answer = await run_to(rag, resources, ask(url, "Wie installiere ich Broadaxe?"), "generate_response")
    assert (answer.extractive, answer.notices) == (True, [NOTICE])
    assert (await run_to(rag, resources, ask(url), "generate_response")).notices == [], "one in theirs has none"


async def test_a_quick_answer_asks_for_no_translation(
    unconnected: Hatchet, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    model_server.replies["Translate"] = "How often is a failing task tried again?"
    question = ask(f"{site.address}/docs/", "Wie oft wird eine Aufgabe wiederholt?")
    answer = await run_to(build_workflow(unconnected, QUICK), resources, question, "generate_response")
    assert (answer.notices, model_server.asides) == ([NOTICE], [])


async def test_what_might_be_asked_next_is_the_models_idea_or_what_was_found_and_not_used(
    rag: RagWorkflow, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    question = ask(f"{site.address}/docs/")
    certain = (await run_to(rag, resources, question, "generate_response")).suggestions
    assert certain and all(each.startswith("What about") for each in certain)
    model_server.replies["Suggest"] = "How is it started?\nDoes it need a server?\nHow is it updated?"
    ideas = (await run_to(rag, resources, question, "generate_response")).suggestions
    assert ideas == ["How is it started?", "Does it need a server?", "How is it updated?"]
