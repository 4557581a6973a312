"""Modes: what a quick answer leaves out, and what a thorough one does first."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hatchet_sdk import Hatchet

from rag_chat.answer_steps import QUICK
from rag_chat.further_pages import further_pages
from rag_chat.library_workflow import PageInput, build_library
from rag_chat.messages import ChatMessage, Question, ReadMoreOutput
from rag_chat.model import ModelClient
from rag_chat.reading import SiteReader
from rag_chat.resources import Resources
from rag_chat.thorough_workflow import ThoroughWorkflow, build_thorough
from rag_chat.workflow import build_workflow

from .model_server import ModelServer
from .steps import ask, run_one, run_to
from .web_site import Page, WebSite, html

pytestmark = pytest.mark.usefixtures("streamed")


@pytest.fixture
def thorough(unconnected: Hatchet) -> ThoroughWorkflow:
    return build_thorough(unconnected, build_library(unconnected).page)


def link(name: str) -> str:
    return f'<li><a href="{name}.html">{name}</a></li>'


async def test_a_quick_answer_is_given_three_passages_by_the_small_model_and_nothing_beside_it(
    unconnected: Hatchet, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    model_server.models = ["tiny-chat", "small-chat"]
    model_server.replies = {"Rewrite": "How is it installed?", "Suggest": "What else?"}
    settings = dataclasses.replace(resources.model.settings, quick_model="small-chat")
    quick = dataclasses.replace(resources, model=ModelClient(settings))
    workflow = build_workflow(unconnected, QUICK)
    question = ask(f"{site.address}/docs/", "How are tasks of a workflow tried again, and how do I install broadaxe?")
    before = [ChatMessage(role="user", content="What is it?"), ChatMessage(role="assistant", content="An engine.")]
    question = question.model_copy(update={"messages": [*before, *question.messages]})
    reasons = await run_to(workflow, quick, question, "reason_docs")
    assert len(reasons.passages) == 3
    answer = await run_to(workflow, quick, question, "generate_response")
    assert (answer.model, answer.given) == ("small-chat", 3)
    assert model_server.asides == []
    # Whoever chose a model gets that one.
    chosen = question.model_copy(update={"model": "tiny-chat"})
    assert (await run_to(workflow, quick, chosen, "generate_response")).model == "tiny-chat"
    await quick.model.close()


async def test_a_small_model_that_is_not_there_is_named(
    unconnected: Hatchet, resources: Resources, site: WebSite
) -> None:
    settings = dataclasses.replace(resources.model.settings, quick_model="small-chat")
    quick = dataclasses.replace(resources, model=ModelClient(settings))
    answer = await run_to(build_workflow(unconnected, QUICK), quick, ask(f"{site.address}/docs/"), "generate_response")
    assert answer.extractive and "does not have the model small-chat" in answer.message
    await quick.model.close()


async def test_a_thorough_answer_is_planned_reads_what_the_pages_link_to_and_covers_the_plan(
    thorough: ThoroughWorkflow,
    unconnected: Hatchet,
    resources: Resources,
    site: WebSite,
    model_server: ModelServer,
    streamed: list[dict[str, Any]],
) -> None:
    site.pages["/docs/install.html"] = Page(html("Install", f"<h1>Install</h1><p>Run pip.</p>{link('upgrade')}"))
    site.pages["/docs/upgrade.html"] = Page(html("Upgrade", "<h1>Upgrade</h1><p>Stop the zanzibar valve first.</p>"))
    model_server.replies["Split"] = "How is it installed?\nHow is it upgraded with the zanzibar valve?"
    question = ask(f"{site.address}/docs/install.html", "How do I install and keep it up to date?")

    outputs: dict[str, Any] = {}
    for name in ("start", "plan", "load_docs"):
        outputs[name] = await run_one(thorough, resources, question, name, outputs)
    plan = ["How is it installed?", "How is it upgraded with the zanzibar valve?"]
    assert (outputs["plan"].questions, outputs["plan"].by_model) == (plan, True)
    assert [outputs[name].status for name in outputs] == ["planning", "reading", "reading"]
    [told] = [chunk for chunk in streamed if chunk.get("step") == "plan" and chunk.get("phase") == "finished"]
    assert told["searched_for"] == plan
    assert outputs["load_docs"].further == [f"{site.address}/docs/upgrade.html"]

    # The engine runs this step's children; here they are run by hand.
    [further] = outputs["load_docs"].further
    page = build_library(unconnected).page
    outcome = await page.aio_mock_run(PageInput(url=further, host="e"), lifespan=resources)
    outputs["read_more"] = ReadMoreOutput(status="making sense", page_ids=[outcome.page_id], tried=1, skipped=[])

    outputs["reason_docs"] = await run_one(thorough, resources, question, "reason_docs", outputs)
    assert outputs["reason_docs"].searched_for == plan
    assert any("zanzibar" in passage.text for passage in outputs["reason_docs"].passages)
    answer = await run_one(thorough, resources, question, "generate_response", outputs)
    assert answer.message == "Install it with pip [1]."
    asked = model_server.chats[-1]["messages"][0]["content"]
    assert f"- {plan[0]}\n- {plan[1]}\n\nPassages:" in asked


async def test_without_a_model_the_question_is_the_plan(
    thorough: ThoroughWorkflow, resources: Resources, site: WebSite, model_server: ModelServer
) -> None:
    await model_server.stop()
    question = ask(f"{site.address}/docs/")
    begun = await run_one(thorough, resources, question, "start", {})
    plan = await run_one(thorough, resources, question, "plan", {"start": begun})
    assert (plan.questions, plan.by_model) == ([begun.search_text], False)


async def test_further_pages_are_those_of_the_site_the_most_promising_first(reader: SiteReader, site: WebSite) -> None:
    links = "".join(link(name) for name in ("apples", "retries", "pears", "secret"))
    site.pages["/docs/hub.html"] = Page(html("Hub", f"<p>Read on here.</p>{links}<a href='/elsewhere'>retries</a>"))
    site.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /docs/secret.html", content_type="text/plain")
    hub = f"{site.address}/docs/hub.html"

    async def quietly(detail: str) -> None:
        """Nobody watches."""

    found = await reader.read(hub, "", quietly)
    further = await further_pages(
        reader, [hub, "source:00000000-0000-0000-0000-000000000001"], found, "What of retries?"
    )
    assert [url.rpartition("/")[2] for url in further] == ["retries.html", "apples.html", "pears.html"]


def test_a_thorough_answer_takes_turns_and_has_its_own_graph(thorough: ThoroughWorkflow) -> None:
    declared = thorough.workflow.to_proto()
    assert (declared.name, list(declared.event_triggers)) == ("rag-chat-thorough", [])
    assert {task.readable_id: list(task.parents) for task in declared.tasks} == {
        "start": [],
        "plan": ["start"],
        "load_docs": ["start", "plan"],
        "read_more": ["load_docs"],
        "reason_docs": ["start", "plan", "load_docs", "read_more"],
        "generate_response": ["start", "plan", "reason_docs"],
    }
    turns = declared.concurrency
    assert (turns.max_runs, "person" in turns.expression) == (1, True)


def test_questions_of_events_are_answered_in_balance(unconnected: Hatchet) -> None:
    quick = build_workflow(unconnected, QUICK).workflow.to_proto()
    assert (quick.name, list(quick.event_triggers)) == ("rag-chat-quick", [])
    assert Question.model_fields.keys() == {"messages", "url", "sources", "model"}
