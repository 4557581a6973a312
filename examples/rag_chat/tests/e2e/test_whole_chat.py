"""Questions through the whole chat, with a real engine between the edge and the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
from hatchet_sdk import ClientConfig, Hatchet
from hatchet_sdk.clients.rest.models.v1_task_status import V1TaskStatus
from hatchet_sdk.config import ClientTLSConfig

from rag_chat.answering import EXTRACTIVE_NOTICE
from rag_chat.workflow import ANSWERS_PER_PERSON_MAX

from ..model_server import ModelServer
from ..watching import Watcher
from ..web_site import Page, WebSite
from .stack import PATIENCE_S, Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
STATUSES = ["reading", "making sense", "writing", "complete"]


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.chat_url, timeout=30) as opened:
        yield opened


@pytest.fixture
def hatchet(stack: Stack) -> Hatchet:
    env = stack.engine_env()
    return Hatchet(
        config=ClientConfig(
            token=env["HATCHET_CLIENT_TOKEN"],
            host_port=env["HATCHET_CLIENT_HOST_PORT"],
            server_url=env["HATCHET_CLIENT_SERVER_URL"],
            tls_config=ClientTLSConfig(strategy="none"),
        )
    )


def question(url: str, text: str = "How do I install broadaxe?") -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], "url": url}


async def ask(client: httpx.AsyncClient, url: str, text: str = "How do I install broadaxe?") -> dict[str, str]:
    response = await client.post("/message", json=question(url, text))
    assert response.status_code == 202, response.text
    accepted: dict[str, str] = response.json()
    return accepted


async def watch(client: httpx.AsyncClient, url: str, patience_s: float = PATIENCE_S) -> Watcher:
    return Watcher(client, (await ask(client, url))["messageId"], patience_s)


@pytest.mark.usefixtures("no_model")
async def test_a_question_about_the_engines_own_documentation_is_answered_from_it(
    client: httpx.AsyncClient, stack: Stack
) -> None:
    watcher = await watch(client, stack.docs_url)
    result = await watcher.result()
    assert result["status"] == "complete", (result, stack.said("worker"))
    assert result["extractive"]
    assert result["message"].startswith(EXTRACTIVE_NOTICE)
    assert "install" in result["message"].lower()
    assert all(citation["url"].startswith(stack.docs_url) for citation in result["citations"])
    assert watcher.statuses() == STATUSES


async def test_a_models_answer_streams_with_its_citations(
    client: httpx.AsyncClient, site: WebSite, model_server: ModelServer
) -> None:
    model_server.gate, model_server.pieces_before_gate = asyncio.Event(), 2
    watcher = await watch(client, f"{site.address}/docs/")
    await watcher.until("token")
    # The answer is on the page while the model still speaks.
    assert "Install it with pip [1].".startswith(watcher.text())
    model_server.gate.set()
    result = await watcher.result()
    assert (result["status"], result["message"], result["model"]) == (
        "complete",
        "Install it with pip [1].",
        "tiny-chat",
    )
    assert result["citations"][0]["url"] == f"{site.address}/docs/install.html#with-pip"
    assert watcher.text() == result["message"]
    assert watcher.statuses() == STATUSES


async def test_stop_cancels_the_run_and_the_models_call(
    client: httpx.AsyncClient, site: WebSite, model_server: ModelServer, hatchet: Hatchet
) -> None:
    model_server.gate = asyncio.Event()
    accepted = await ask(client, f"{site.address}/docs/")
    watcher = Watcher(client, accepted["messageId"], PATIENCE_S)
    await watcher.until("token")
    assert (await client.post(f"/message/{accepted['messageId']}/stop")).status_code == 202
    result = await watcher.result()
    assert (result["status"], result["message"]) == ("cancelled", "Install it ")
    await asyncio.wait_for(model_server.hung_up.wait(), PATIENCE_S)
    assert await hatchet.runs.aio_get_status(accepted["runId"]) is V1TaskStatus.CANCELLED


async def test_a_page_that_is_not_there_fails_in_the_chat_and_in_the_run_with_the_same_words(
    client: httpx.AsyncClient, site: WebSite, hatchet: Hatchet
) -> None:
    accepted = await ask(client, f"{site.address}/missing")
    result = await Watcher(client, accepted["messageId"], PATIENCE_S).result()
    assert result["status"] == "failed"
    assert result["message"] == f"{site.address}/missing answered with HTTP 404 (there is no such page)."
    details = await hatchet.runs.aio_get_details(accepted["runId"])
    assert result["message"] in (details.task_runs["load_docs"].error or "")
    assert site.paths() == ["/missing"]


async def test_a_private_address_is_refused(client: httpx.AsyncClient) -> None:
    result = await (await watch(client, "http://127.0.0.1:22/")).result()
    assert result["status"] == "failed"
    assert "private network" in result["message"]


async def test_a_model_that_fails_at_first_is_asked_again(
    client: httpx.AsyncClient, site: WebSite, model_server: ModelServer
) -> None:
    model_server.fail_times, model_server.fail_status = 1, 503
    watcher = await watch(client, f"{site.address}/docs/")
    result = await watcher.result()
    assert (result["status"], len(model_server.chats)) == ("complete", 2)
    retrying = [e["payload"] for e in watcher.events if e["type"] == "step" and e["payload"]["phase"] == "retrying"]
    assert "the model fell over" in retrying[0]["detail"]


async def test_a_model_that_refuses_is_quoted_and_the_passages_answer(
    client: httpx.AsyncClient, site: WebSite, model_server: ModelServer
) -> None:
    model_server.fail_times, model_server.fail_status, model_server.fail_message = 9, 401, "wrong key"
    result = await (await watch(client, f"{site.address}/docs/")).result()
    assert (result["status"], result["extractive"]) == ("complete", True)
    assert "refuses the key (HTTP 401: wrong key): check OPENAI_API_KEY. Here are the passages" in result["message"]
    assert model_server.fail_times == 8


async def test_an_answer_survives_a_restart_of_the_models_server(
    client: httpx.AsyncClient, site: WebSite, model_server: ModelServer
) -> None:
    model_server.gate, model_server.break_off = asyncio.Event(), True
    watcher = await watch(client, f"{site.address}/docs/")
    await watcher.until("token")
    await model_server.stop()
    model_server.gate.set()
    async with asyncio.timeout(PATIENCE_S):
        while not any("went away" in str(payload["detail"]) for payload in await watcher.until("progress")):
            await watcher.until("progress", sum(event["type"] == "progress" for event in watcher.events) + 1)
    # What was written stays on the page until the new text begins.
    assert watcher.text().startswith("Install it ")
    model_server.break_off = False
    await model_server.start()
    result = await watcher.result()
    assert (result["status"], result["message"]) == ("complete", "Install it with pip [1].")


async def test_a_page_that_comes_back_is_read_on_the_second_try(
    client: httpx.AsyncClient, site: WebSite, model_server: ModelServer
) -> None:
    good, site.pages["/docs/install.html"] = site.pages["/docs/install.html"], Page(b"", status=503)
    watcher = await watch(client, f"{site.address}/docs/install.html")
    async with asyncio.timeout(PATIENCE_S):
        while not any(e["payload"].get("phase") == "retrying" for e in await _events(watcher)):
            pass
    site.pages["/docs/install.html"] = good
    assert (await watcher.result())["status"] == "complete"
    assert len(model_server.chats) == 1


async def _events(watcher: Watcher) -> list[dict[str, dict[str, object]]]:
    await watcher.until("step", sum(e["type"] == "step" for e in watcher.events) + 1)
    return watcher.events


async def run_of_event(hatchet: Hatchet, mark: str) -> str:
    """The run an event started, known by its metadata; the engine has no signal for it, so it is asked again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            rows = (await hatchet.runs.aio_list(additional_metadata={"mark": mark}, only_tasks=False)).rows
            if rows:
                return rows[0].metadata.id
            await asyncio.sleep(0.2)


async def test_the_event_question_create_starts_the_same_workflow(
    site: WebSite, hatchet: Hatchet, model_server: ModelServer
) -> None:
    mark = uuid4().hex
    event = question(f"{site.address}/docs/")
    await hatchet.event.aio_push("question:create", event, additional_metadata={"mark": mark})
    run_id = await run_of_event(hatchet, mark)
    async with asyncio.timeout(120):
        outputs = await hatchet.runs.get_run_ref(run_id).aio_result()
    assert outputs["generate_response"]["message"] == "Install it with pip [1]."
    assert len(model_server.chats) == 1


async def has_begun(hatchet: Hatchet, run_id: str, step: str) -> None:
    """The engine has given a step to a worker; it has no signal for it, so it is asked again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            task = (await hatchet.runs.aio_get_details(run_id)).task_runs.get(step)
            if task is not None and task.status is V1TaskStatus.RUNNING:
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("killed", ["worker", "engine"])
@pytest.mark.parametrize("step", ["start", "load_docs", "reason_docs", "generate_response"])
async def test_an_answer_survives_a_kill_in_each_step(
    client: httpx.AsyncClient,
    site: WebSite,
    model_server: ModelServer,
    stack: Stack,
    hatchet: Hatchet,
    step: str,
    killed: str,
) -> None:
    # Each step is held where it waits for something: the worker's attention, a page, a short reply, the answer.
    gate = asyncio.Event()
    page = site.pages["/docs/"]
    page.etag = False
    model_server.replies["Translate"] = "How do I install broadaxe?"
    match step:
        case "start":
            # One that has answered is known to the engine, so that the next step is given to it.
            await (await watch(client, f"{site.address}/docs/")).result()
            stack.freeze("worker")
        case "load_docs":
            page.gate = gate
        case "reason_docs":
            model_server.reply_gate = gate
        case "generate_response":
            model_server.gate = gate
    accepted = await ask(client, f"{site.address}/docs/", "Wie installiere ich das?")
    watcher = Watcher(client, accepted["messageId"], 150)
    match step:
        case "start":
            try:
                await has_begun(hatchet, accepted["runId"], step)
            except BaseException:
                stack.thaw("worker")
                raise
        case "load_docs":
            await asyncio.wait_for(page.asked.wait(), PATIENCE_S)
        case "reason_docs":
            await asyncio.wait_for(model_server.replying.wait(), PATIENCE_S)
        case "generate_response":
            await watcher.until("token")
    await asyncio.to_thread(stack.kill, killed)
    if killed == "worker":
        gate.set()
        stack.start_worker()
    else:
        if step != "start":
            assert "the answer continues" in (await watcher.until("notice"))[0]["message"]
        await asyncio.to_thread(stack.start_engine)
        if step == "start":
            stack.thaw("worker")
        gate.set()
    result = await watcher.result()
    assert (result["status"], result["message"]) == ("complete", "Install it with pip [1]."), stack.said("worker")
    # What was written before the edge heard again comes as a whole, with the result.
    assert result["message"].startswith(watcher.text())
    assert result["searched_for"] == ["How do I install broadaxe?"]
    assert [each["step"] for each in result["steps"]] == ["start", "load_docs", "reason_docs", "generate_response"]


async def test_an_answer_survives_a_killed_edge(
    client: httpx.AsyncClient, site: WebSite, model_server: ModelServer, stack: Stack
) -> None:
    model_server.gate = asyncio.Event()
    accepted = await ask(client, f"{site.address}/docs/")
    first = Watcher(client, accepted["messageId"], PATIENCE_S)
    await first.until("token")
    await asyncio.to_thread(stack.kill, "edge")
    await first.leave()
    await asyncio.to_thread(stack.start_edge)
    second = Watcher(client, accepted["messageId"], PATIENCE_S)
    model_server.gate.set()
    assert (await second.result())["message"] == "Install it with pip [1]."


async def test_worker_and_edge_stop_cleanly_when_asked(stack: Stack) -> None:
    assert await asyncio.to_thread(stack.stop, "edge") == 0
    assert await asyncio.to_thread(stack.stop, "worker") == 0
    stack.start_worker()
    await asyncio.to_thread(stack.start_edge)


async def test_one_persons_many_questions_do_not_hold_up_anothers(
    stack: Stack, site: WebSite, model_server: ModelServer
) -> None:
    model_server.gate = asyncio.Event()
    async with (
        httpx.AsyncClient(base_url=stack.chat_url, timeout=30) as busy,
        httpx.AsyncClient(base_url=stack.chat_url, timeout=30) as other,
    ):
        for person in (busy, other):
            await person.get("/config")
        asked = [await ask(busy, f"{site.address}/docs/") for _ in range(ANSWERS_PER_PERSON_MAX + 1)]
        many = [Watcher(busy, each["messageId"], PATIENCE_S) for each in asked]
        one = await watch(other, f"{site.address}/docs/")
        await one.until("token")
        for watcher in many[:-1]:
            await watcher.until("token")
        # The last one has not begun; it does when there is room.
        assert many[-1].events == []
        model_server.gate.set()
        for watcher in [*many, one]:
            assert (await watcher.result())["status"] == "complete"
