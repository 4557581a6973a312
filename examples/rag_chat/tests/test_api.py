"""The edge over real HTTP: what it accepts, what it streams, what it keeps."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx
import pytest

from rag_chat import answer_feed
from rag_chat.messages import DraftChunk, Mode, Outcome, ProgressChunk, Step, StepChunk, TokenChunk
from rag_chat.settings import Settings

from .scripted_run import ScriptedRun
from .serving import ANSWER, ORIGIN, ask, body, serving
from .watching import Watcher


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_feed, "POLL_EVERY_S", 0.1)
    monkeypatch.setattr(answer_feed, "SAVE_EVERY_S", 0.05)


def started(step: Step, status: str, phase: str = "started", attempt: int = 1) -> StepChunk:
    return StepChunk.model_validate({"step": step, "phase": phase, "attempt": attempt, "status": status})


async def test_further_addresses_are_checked_and_handed_on(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    refused = await client.post("/message", json=body(sources=["https://e.org/", "localhost"]))
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "sources.1")
    many = await client.post("/message", json=body(sources=["https://e.org/"] * 11))
    assert (many.status_code, many.json()["error"]["field"]) == (422, "sources")
    assert (await client.post("/message", json=body(sources=["https://e.org/a"]))).status_code == 202
    [(question, _metadata)] = run.asked
    assert question.sources == ["https://e.org/a"]


async def test_an_answer_streams_from_the_first_step_to_the_result(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    accepted = await ask(client)
    watcher = Watcher(client, accepted["messageId"])
    await run.listening.wait()
    run.tell(started(Step.START, "starting"))
    run.tell(started(Step.START, "reading", "finished"))
    run.tell(ProgressChunk(step=Step.LOAD_DOCS, detail="Reading https://example.org/docs/"))
    await watcher.until("progress")
    run.tell(started(Step.LOAD_DOCS, "making sense", "finished"))
    run.tell(started(Step.REASON_DOCS, "writing", "finished"))
    run.tell(TokenChunk(attempt=1, offset=0, text="With "))
    run.tell(TokenChunk(attempt=1, offset=5, text="pip"))
    await watcher.until("token")
    run.end(Outcome.COMPLETE, generate_response=ANSWER)

    events = await watcher.to_the_end()
    assert all(event.keys() == {"type", "payload", "messageId"} for event in events)
    assert {event["messageId"] for event in events} == {accepted["messageId"]}
    finished = [e["payload"] for e in events if e["type"] == "step" and e["payload"]["phase"] == "finished"]
    assert [step["status"] for step in finished] == ["reading", "making sense", "writing", "complete"]
    assert finished[-1]["message"] == "With pip [1]."
    assert events[-1]["type"] == "result"
    assert events[-1]["payload"].items() >= ANSWER.items()
    question, metadata = run.asked[0]
    assert (question.url, metadata["message_id"]) == ("https://example.org/docs/", accepted["messageId"])


async def test_a_page_that_reloads_gets_everything_so_far_and_then_the_rest(
    client: httpx.AsyncClient, run: ScriptedRun
) -> None:
    accepted = await ask(client)
    first = Watcher(client, accepted["messageId"])
    await run.listening.wait()
    run.tell(started(Step.START, "reading", "finished"))
    run.tell(TokenChunk(attempt=1, offset=0, text="With "))
    await first.until("token")
    await first.leave()

    second = Watcher(client, accepted["messageId"])
    await second.until("token")
    assert second.text() == "With "
    run.tell(TokenChunk(attempt=1, offset=5, text="pip"))
    await second.until("token", 2)
    run.end(Outcome.COMPLETE, generate_response=ANSWER)
    assert (await second.to_the_end())[-1]["type"] == "result"
    assert second.text() == "With pip"


async def test_a_finished_answer_is_told_again_in_full(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    accepted = await ask(client)
    run.end(Outcome.COMPLETE, start={"status": "reading"}, generate_response=ANSWER)
    await Watcher(client, accepted["messageId"]).to_the_end()
    events = await Watcher(client, accepted["messageId"]).to_the_end()
    assert [event["type"] for event in events] == ["step", "step", "step", "result"]
    assert events[2]["payload"]["message"] == "With pip [1]."


async def test_steps_the_stream_lost_are_read_from_the_run(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    accepted = await ask(client)
    run.end(
        Outcome.COMPLETE, start={"status": "reading"}, load_docs={"status": "making sense"}, generate_response=ANSWER
    )
    events = await Watcher(client, accepted["messageId"]).to_the_end()
    assert [e["payload"].get("status") for e in events if e["type"] == "step"] == [
        "reading",
        "making sense",
        "complete",
    ]


async def test_a_broken_stream_is_opened_again_and_the_draft_fills_the_gap(
    client: httpx.AsyncClient, run: ScriptedRun
) -> None:
    accepted = await ask(client)
    watcher = Watcher(client, accepted["messageId"])
    await run.listening.wait()
    run.tell(TokenChunk(attempt=1, offset=0, text="With "))
    await watcher.until("token")
    run.hang_up()
    await run.listening.wait()
    run.tell(TokenChunk(attempt=1, offset=9, text="lost"))
    run.tell(DraftChunk(attempt=1, text="With pip and lost"))
    await watcher.until("token", 2)
    assert watcher.text() == "With pip and lost"
    run.end(Outcome.COMPLETE, generate_response=ANSWER)
    await watcher.to_the_end()


async def test_an_engine_that_goes_away_and_comes_back_still_answers(
    client: httpx.AsyncClient, run: ScriptedRun
) -> None:
    accepted = await ask(client)
    watcher = Watcher(client, accepted["messageId"])
    await run.listening.wait()
    run.available = False
    run.hang_up()
    notices = await watcher.until("notice")
    assert "the answer continues" in notices[0]["message"]
    run.available = True
    notices = await watcher.until("notice", 2)
    assert notices[1]["message"] == ""
    run.end(Outcome.COMPLETE, generate_response=ANSWER)
    assert (await watcher.to_the_end())[-1]["payload"]["message"] == "With pip [1]."


async def test_a_restarted_edge_goes_on_where_the_old_one_was(settings: Settings, run: ScriptedRun) -> None:
    async with serving(settings, run) as client:
        accepted = await ask(client)
        watcher = Watcher(client, accepted["messageId"])
        await run.listening.wait()
        run.tell(started(Step.START, "reading", "finished"))
        run.tell(started(Step.GENERATE_RESPONSE, "writing"))
        run.tell(TokenChunk(attempt=1, offset=0, text="With "))
        await watcher.until("token")
        run.listening.clear()
    async with serving(settings, run) as client:
        await run.listening.wait()
        watcher = Watcher(client, accepted["messageId"])
        run.tell(TokenChunk(attempt=1, offset=5, text="pip"))
        await watcher.until("token")
        run.end(Outcome.COMPLETE, generate_response=ANSWER)
        events = await watcher.to_the_end()
        assert watcher.text() == "With pip"
        assert events[0]["payload"]["status"] == "reading"
        assert events[-1]["type"] == "result"


async def test_a_second_attempt_begins_the_text_again(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    accepted = await ask(client)
    watcher = Watcher(client, accepted["messageId"])
    await run.listening.wait()
    run.tell(TokenChunk(attempt=1, offset=0, text="Half a"))
    await watcher.until("token")
    run.tell(TokenChunk(attempt=2, offset=0, text="Whole"))
    await watcher.until("token", 2)
    assert watcher.text() == "Whole"
    run.end(Outcome.COMPLETE, generate_response=ANSWER)
    await watcher.to_the_end()


async def test_stop_cancels_the_run_and_keeps_what_was_written(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    accepted = await ask(client)
    watcher = Watcher(client, accepted["messageId"])
    await run.listening.wait()
    run.tell(TokenChunk(attempt=1, offset=0, text="With "))
    await watcher.until("token")
    assert (await client.post(f"/message/{accepted['messageId']}/stop")).status_code == 202
    events = await watcher.to_the_end()
    assert run.cancelled == ["run-1"]
    assert (events[-1]["payload"]["status"], events[-1]["payload"]["message"]) == ("cancelled", "With ")
    again = await client.post(f"/message/{accepted['messageId']}/stop")
    assert again.json() == {"status": "cancelled"}


async def test_a_failure_is_an_error_and_a_result_with_the_reason(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    accepted = await ask(client)
    run.fail(Step.LOAD_DOCS, "https://example.org/docs/ answered with HTTP 404 (there is no such page).")
    events = await Watcher(client, accepted["messageId"]).to_the_end()
    assert [event["type"] for event in events[-2:]] == ["error", "result"]
    assert "no such page" in events[-2]["payload"]["message"]
    assert events[-1]["payload"]["status"] == "failed"


async def test_a_conversation_is_kept_and_can_be_forgotten(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    accepted = await ask(client)
    run.end(Outcome.COMPLETE, generate_response=ANSWER)
    await Watcher(client, accepted["messageId"]).to_the_end()
    again = await ask(client, question="And then?", conversationId=accepted["conversationId"])
    assert again["conversationId"] == accepted["conversationId"]
    await Watcher(client, again["messageId"]).to_the_end()
    kept = (await client.get(f"/conversations/{accepted['conversationId']}")).json()["messages"]
    assert [(message["role"], message["content"]) for message in kept] == [
        ("user", "How do I install it?"), ("assistant", "With pip [1]."),
        ("user", "And then?"), ("assistant", "With pip [1]."),
    ]  # fmt: skip
    assert kept[1]["runId"] == "run-1"
    assert kept[1]["result"]["citations"][0]["url"] == "https://e.org/i#pip"
    assert (await client.delete(f"/conversations/{accepted['conversationId']}")).status_code == 204
    assert (await client.get(f"/conversations/{accepted['conversationId']}")).json()["messages"] == []


async def test_an_engine_that_is_away_is_said_plainly_and_kept_in_the_conversation(
    client: httpx.AsyncClient, run: ScriptedRun
) -> None:
    run.available = False
    conversation_id = str(uuid4())
    response = await client.post("/message", json=body(conversationId=conversation_id))
    assert response.status_code == 503
    assert "engine does not answer" in response.json()["error"]["message"]
    kept = (await client.get(f"/conversations/{conversation_id}")).json()["messages"]
    assert [message["status"] for message in kept] == ["complete", "failed"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "x" * 9_000}]}, "messages"),
        ({"messages": [{"role": "user", "content": "x"}] * 101}, "messages"),
        ({"url": ""}, "url"),
        ({"url": "ftp://example.org/"}, "url"),
        ({"url": 7}, "url"),
        ({"mode": "slow"}, "mode"),
        ({"conversationId": "mine"}, "conversationId"),
    ],
)
async def test_what_is_wrong_with_a_question_is_named(
    client: httpx.AsyncClient, run: ScriptedRun, change: dict[str, object], field: str
) -> None:
    response = await client.post("/message", json=body() | change)
    assert response.status_code == 422
    assert response.json()["error"]["field"] == field
    assert run.asked == []


async def test_bodies_are_bounded_and_have_to_be_json(client: httpx.AsyncClient) -> None:
    assert (await client.post("/message", content=b"x" * 1_000_001)).status_code == 413
    assert (
        await client.post("/message", content=b"{", headers={"content-type": "application/json"})
    ).status_code == 400


async def test_an_unknown_message_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/message/{uuid4()}")).status_code == 404
    assert (await client.post(f"/message/{uuid4()}/stop")).status_code == 404
    assert (await client.get("/message/nonsense")).status_code == 422


async def test_only_the_configured_origin_may_call(client: httpx.AsyncClient) -> None:
    allowed = await client.get("/config", headers={"Origin": ORIGIN})
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    other = await client.get("/config", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


async def test_the_page_its_configuration_and_health_are_served(client: httpx.AsyncClient) -> None:
    assert "The chat" in (await client.get("/")).text
    opened = await client.get("/c/anything", headers={"Accept": "text/html"})
    assert (opened.status_code, "The chat" in opened.text) == (200, True)
    assert opened.headers["referrer-policy"] == "no-referrer"
    assert (await client.get("/assets/gone.js", headers={"Accept": "*/*"})).status_code == 404
    config = (await client.get("/config")).json()
    assert config["defaultUrl"] == "http://127.0.0.1:8080/docs/"
    assert (config["models"], config["model"], config["modelProblem"]) == (["tiny-chat"], "tiny-chat", None)
    assert (await client.get("/health")).json() == {"status": "ok"}


async def test_the_mode_of_a_question_chooses_its_workflow_and_is_kept_with_what_it_is_about(
    client: httpx.AsyncClient, run: ScriptedRun
) -> None:
    await ask(client)
    accepted = await ask(client, mode="thorough", sources=["https://example.org/more"])
    assert run.modes == [Mode.BALANCED, Mode.THOROUGH]
    kept = (await client.get(f"/conversations/{accepted['conversationId']}")).json()["messages"]
    assert [(each["mode"], each["sources"]) for each in kept] == [("thorough", ["https://example.org/more"])] * 2


async def test_what_is_planned_and_searched_for_is_told(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    accepted = await ask(client, mode="thorough")
    watcher = Watcher(client, accepted["messageId"])
    await asyncio.wait_for(run.listening.wait(), 10)
    run.tell(StepChunk(step=Step.PLAN, phase="started", attempt=1, status="planning"))
    run.tell(StepChunk(step=Step.PLAN, phase="finished", attempt=1, status="reading", searched_for=["How?", "Why?"]))
    run.tell(StepChunk(step=Step.READ_MORE, phase="started", attempt=1, status="reading"))
    steps = await watcher.until("step", 5)
    assert [(step["step"], step["status"]) for step in steps] == [
        ("start", "planning"), ("plan", "planning"), ("plan", "reading"), ("load_docs", "reading"),
        ("read_more", "reading"),
    ]  # fmt: skip
    assert steps[2]["searched_for"] == ["How?", "Why?"]
    plan = {"status": "reading", "questions": ["How?", "Why?"], "by_model": True}
    more = {"status": "making sense", "page_ids": [1, 2], "tried": 3, "skipped": ["One was gone."]}
    reasons = {"status": "writing", "method": "text", "passages": [], "searched_for": ["How?", "Why?"]}
    answer = ANSWER | {"not_said": True, "citations": []}
    run.end(Outcome.COMPLETE, plan=plan, read_more=more, reason_docs=reasons, generate_response=answer)
    result = await watcher.result()
    assert (result["searched_for"], result["not_said"]) == (["How?", "Why?"], True)
    notes = {step["step"]: step["notes"] for step in result["steps"]}
    assert notes["plan"] == ["Looked for:", "How?", "Why?"]
    assert notes["read_more"] == ["Read 2 of 3 further pages.", "One was gone."]
