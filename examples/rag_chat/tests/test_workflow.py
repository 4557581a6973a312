"""The four steps, run as the SDK runs them, with a real database, a real site and a real model server."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from hatchet_sdk import ClientConfig, Hatchet, NonRetryableException
from hatchet_sdk.config import ClientTLSConfig

from rag_chat.errors import ModelUnavailable, PageUnavailable
from rag_chat.messages import ChatMessage, LoadDocsOutput, Question, ReasonDocsOutput, StartOutput
from rag_chat.workflow import RagWorkflow, Resources, build_workflow

from .model_server import ModelServer
from .web_site import Page, WebSite, html


def unsigned_token() -> str:
    """A token in the form the SDK reads its tenant from; nothing checks it, since no engine is asked."""
    claims = {"sub": "00000000-0000-0000-0000-000000000001", "server_url": "http://x", "grpc_broadcast_address": "x:1"}
    parts = ({"alg": "none"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), ""])


@pytest.fixture
def rag() -> RagWorkflow:
    config = ClientConfig(token=unsigned_token(), host_port="127.0.0.1:1", tls_config=ClientTLSConfig(strategy="none"))
    return build_workflow(Hatchet(config=config))


@pytest.fixture(autouse=True)
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the steps put on the engine's stream, since a step run by itself has no engine to send it to."""
    from hatchet_sdk import Context

    sent: list[dict[str, Any]] = []

    async def keep(self: Context, data: str | bytes) -> None:
        sent.append(json.loads(data))

    monkeypatch.setattr(Context, "aio_put_stream", keep)
    return sent


def ask(url: str, question: str = "How do I install broadaxe?") -> Question:
    return Question(messages=[ChatMessage(role="user", content=question)], url=url)


async def run_to(rag: RagWorkflow, resources: Resources, question: Question, last: str, **attempt: int) -> Any:
    """Run the steps in order, each with the outputs of those before it, and return the output of the last."""
    outputs: dict[str, Any] = {}
    for name in ("start", "load_docs", "reason_docs", "generate_response"):
        task = getattr(rag, name)
        output = await task.aio_mock_run(
            input=question,
            parent_outputs={step: value.model_dump(mode="json") for step, value in outputs.items()},
            lifespan=resources,
            retry_count=attempt.get("retry_count", 0) if name == last else 0,
        )
        if name == last:
            return output
        outputs[name] = output
    raise AssertionError(last)


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
    [reasoned] = [chunk for chunk in streamed if chunk.get("step") == "reason_docs" and chunk["phase"] == "finished"]
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
    assert answer.message.startswith("No language model is reachable")
    assert "> pip install broadaxe" in answer.message
    assert answer.citations[0].url.endswith("/docs/install.html#with-pip")


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
    monkeypatch.setattr("rag_chat.workflow.RETELL_EVERY_S", 0.01)
    site.pages["/docs/"].gate = asyncio.Event()
    running = asyncio.create_task(run_to(rag, resources, ask(f"{site.address}/docs/"), "load_docs"))
    await asyncio.wait_for(told_again.wait(), 10)
    assert set(told) == {f"Reading {site.address}/docs/"}
    site.pages["/docs/"].gate.set()
    await running
