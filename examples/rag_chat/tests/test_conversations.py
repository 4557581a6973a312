"""What is kept of conversations: whose they are, how they branch, who may read them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import httpx
import pytest

from rag_chat import answer_feed
from rag_chat.conversation_store import excerpt_of
from rag_chat.messages import Outcome

from .scripted_run import ScriptedRun
from .serving import ANSWER, ask, body
from .watching import Watcher

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_feed, "POLL_EVERY_S", 0.1)


@pytest.fixture
async def stranger(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=client.base_url, timeout=10) as opened:
        await opened.get("/config")
        yield opened


@pytest.fixture
async def person(client: httpx.AsyncClient, run: ScriptedRun) -> httpx.AsyncClient:
    """A browser with a name, whose questions are all answered at once."""
    await client.get("/config")
    run.end(Outcome.COMPLETE, generate_response=ANSWER)
    return client


async def answered(client: httpx.AsyncClient, question: str = "How do I install it?", **more: object) -> dict[str, str]:
    accepted = await ask(client, question, **more)
    await Watcher(client, accepted["messageId"]).to_the_end()
    return accepted


async def listed(client: httpx.AsyncClient, **query: str) -> list[str]:
    response = await client.get("/conversations", params=query)
    return [each["title"] for each in response.json()["conversations"]]


async def test_a_browser_gets_a_name_that_scripts_cannot_read_and_only_its_hash_is_stored(
    client: httpx.AsyncClient, database_url: str
) -> None:
    response = await client.get("/config")
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and response.headers["cache-control"] == "no-store"
    name = client.cookies["rag_chat_person"]
    await client.get("/config")
    assert client.cookies["rag_chat_person"] == name
    await ask(client)
    connection = await asyncpg.connect(database_url)
    [owner] = [row["owner_hash"] for row in await connection.fetch("select owner_hash from conversation")]
    await connection.close()
    assert len(owner) == 64 and name not in owner


async def test_conversations_are_listed_for_their_person_the_latest_first(
    person: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    first = await answered(person, "How do I install it?")
    await answered(person, "What are retries?")
    assert await listed(person) == ["What are retries?", "How do I install it?"]
    await answered(person, "And then?", conversationId=first["conversationId"])
    assert await listed(person) == ["How do I install it?", "What are retries?"]
    assert await listed(stranger) == []


async def test_a_search_finds_all_words_in_names_and_messages_and_shows_where(
    person: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    await answered(person, "What are 100% retries_of tasks?")
    await answered(person, "Something else")
    assert await listed(person, search="RETRIES what") == ["What are 100% retries_of tasks?"]
    # Signs of patterns are letters like any other.
    assert await listed(person, search="100%") == ["What are 100% retries_of tasks?"]
    assert await listed(person, search="retries%of") == []
    assert await listed(person, search="retriesxof") == []
    found = (await person.get("/conversations", params={"search": "pip"})).json()["conversations"]
    assert [each["excerpt"] for each in found] == ["With pip [1].", "With pip [1]."]
    assert await listed(stranger, search="retries") == []
    assert (await person.get("/conversations", params={"search": "x" * 201})).status_code == 422


async def test_the_list_goes_on_where_it_ended(person: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_chat.conversations_api.LISTED_MAX", 2)
    for number in range(3):
        await answered(person, f"Question {number}")
    first = (await person.get("/conversations")).json()
    assert [each["title"] for each in first["conversations"]] == ["Question 2", "Question 1"]
    assert await listed(person, before=first["next"]) == ["Question 0"]


async def test_somebody_elses_conversation_looks_like_none(
    person: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    mine = await answered(person)
    address, message = f"/conversations/{mine['conversationId']}", f"/message/{mine['messageId']}"
    assert (await stranger.get(address)).json()["messages"] == []
    assert (await stranger.patch(address, json={"title": "Mine now"})).status_code == 404
    assert (await stranger.delete(address)).status_code == 204
    assert (await stranger.get(message)).status_code == 404
    assert (await stranger.post(f"{message}/stop")).status_code == 404
    assert (await stranger.put(f"{message}/feedback", json={"feedback": "bad"})).status_code == 404
    assert (await stranger.post(f"{address}/share", json={"messageId": mine["messageId"]})).status_code == 404
    refused = await stranger.post("/message", json=body("And me?", conversationId=mine["conversationId"]))
    assert (refused.status_code, refused.json()["error"]["field"]) == (404, "conversationId")
    kept = (await person.get(address)).json()
    assert (kept["title"], len(kept["messages"])) == ("How do I install it?", 2)


async def test_a_conversation_is_renamed_and_forgotten(person: httpx.AsyncClient) -> None:
    address = f"/conversations/{(await answered(person))['conversationId']}"
    assert (await person.patch(address, json={"title": "  Installing  "})).json() == {"title": "Installing"}
    assert await listed(person) == ["Installing"]
    for title in ("  ", "x" * 121):
        refused = await person.patch(address, json={"title": title})
        assert (refused.status_code, refused.json()["error"]["field"]) == (422, "title")
    assert (await person.delete(address)).status_code == 204
    assert await listed(person) == []
    assert (await person.patch(address, json={"title": "Gone"})).status_code == 404


async def test_forgetting_stops_what_is_still_being_made(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    accepted = await ask(client)
    await client.delete(f"/conversations/{accepted['conversationId']}")
    assert run.cancelled == ["run-1"]


async def test_questions_and_answers_have_versions(person: httpx.AsyncClient) -> None:
    first = await answered(person, "How?")
    there = first["conversationId"]
    follow_up = await answered(person, "And then?", conversationId=there)
    again = await answered(person, "How?", conversationId=there, questionId=first["questionId"])
    edited = await answered(person, "How so?", conversationId=there, parentId=None)
    behind = await answered(person, "And when?", conversationId=there, parentId=first["messageId"])
    kept = {each["messageId"]: each for each in (await person.get(f"/conversations/{there}")).json()["messages"]}
    assert len(kept) == 9
    assert again["questionId"] == first["questionId"] != edited["questionId"]
    parents = {
        first["questionId"]: None,
        first["messageId"]: first["questionId"],
        again["messageId"]: first["questionId"],
        edited["questionId"]: None,
        follow_up["questionId"]: first["messageId"],
        behind["questionId"]: first["messageId"],
    }
    assert {name: kept[name]["parentId"] for name in parents} == parents


@pytest.mark.parametrize("field", ["parentId", "questionId"])
async def test_a_place_in_no_such_conversation_is_refused_and_nothing_is_kept(
    person: httpx.AsyncClient, field: str
) -> None:
    elsewhere = await answered(person, "Elsewhere?")
    there = (await answered(person, "How?"))["conversationId"]
    names = [str(uuid4()), elsewhere["messageId"], elsewhere["questionId"]]
    for name in names:
        refused = await person.post("/message", json=body("How?", conversationId=there) | {field: name})
        assert (refused.status_code, refused.json()["error"]["field"]) == (404, field)
    assert len((await person.get(f"/conversations/{there}")).json()["messages"]) == 2


async def test_another_question_is_not_smuggled_in_as_an_old_one(person: httpx.AsyncClient) -> None:
    first = await answered(person, "How?")
    changed = body("Why?", conversationId=first["conversationId"], questionId=first["questionId"])
    assert (await person.post("/message", json=changed)).status_code == 404


async def test_what_a_person_thinks_of_an_answer_is_kept(person: httpx.AsyncClient) -> None:
    accepted = await answered(person)
    judged = f"/message/{accepted['messageId']}/feedback"
    address = f"/conversations/{accepted['conversationId']}"
    for feedback in ("good", "bad", None):
        assert (await person.put(judged, json={"feedback": feedback})).json() == {"feedback": feedback}
        assert (await person.get(address)).json()["messages"][1]["feedback"] == feedback
    assert (await person.put(judged, json={"feedback": "odd"})).status_code == 422
    question = f"/message/{accepted['questionId']}/feedback"
    assert (await person.put(question, json={"feedback": "good"})).status_code == 404


async def test_a_link_shows_one_branch_to_anybody_until_it_is_taken_back(
    person: httpx.AsyncClient, stranger: httpx.AsyncClient, database_url: str
) -> None:
    first = await answered(person, "How?")
    there = first["conversationId"]
    await answered(person, "A slip", conversationId=there)
    second = await answered(person, "And then?", conversationId=there, parentId=first["messageId"])
    sharing = f"/conversations/{there}/share"
    link = (await person.post(sharing, json={"messageId": second["messageId"]})).json()["link"]
    await answered(person, "Later, and private", conversationId=there)

    response = await stranger.get(f"/shared/{link}")
    seen = response.json()
    assert (seen["title"], [each["content"] for each in seen["messages"]]) == (
        "How?",
        ["How?", "With pip [1].", "And then?", "With pip [1]."],
    )
    # Nothing in it opens or changes anything.
    assert all(name not in response.text for name in (there, first["messageId"], second["messageId"], "run-1"))
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("select count(*) from share where link_hash = $1", link) == 0
    await connection.close()
    assert (await person.get(f"/conversations/{there}")).json()["sharedAt"] is not None

    newer = (await person.post(sharing, json={"messageId": first["messageId"]})).json()["link"]
    assert (await stranger.get(f"/shared/{link}")).status_code == 404
    assert len((await stranger.get(f"/shared/{newer}")).json()["messages"]) == 2
    assert (await stranger.delete(sharing)).status_code == 204
    assert (await stranger.get(f"/shared/{newer}")).status_code == 200
    assert (await person.delete(sharing)).status_code == 204
    assert (await stranger.get(f"/shared/{newer}")).status_code == 404
    assert (await stranger.get("/shared/short")).status_code == 422


async def test_an_unfinished_answer_is_not_shared(client: httpx.AsyncClient) -> None:
    accepted = await ask(client)
    sharing = f"/conversations/{accepted['conversationId']}/share"
    assert (await client.post(sharing, json={"messageId": accepted["messageId"]})).status_code == 404


FOUND = {
    "index": 1,
    "title": "Install",
    "heading": "With pip",
    "url": "https://e.org/i#pip",
    "quote": "pip",
    "page_id": 1,
    "passage_id": 2,
    "score": 0.9,
    "text": "pip install broadaxe",
}


async def test_a_citation_opens_the_passage_in_its_surroundings_and_says_when_the_page_has_changed(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, run: ScriptedRun, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    page = "insert into page (url, final_url, title, content_hash) values ('u', 'u', 'Install', 'h') returning page_id"
    page_id = await connection.fetchval(page)
    await connection.executemany(
        "insert into passage (page_id, position, heading, url, body) values ($1, $2, $3, 'u', $4)",
        [(page_id, 0, "Install", "Before."), (page_id, 1, "With pip", FOUND["text"]), (page_id, 2, "Next", "After.")],
    )
    await client.get("/config")
    reasons = {"status": "writing", "method": "text", "passages": [FOUND | {"page_id": page_id}]}
    run.end(Outcome.COMPLETE, reason_docs=reasons, generate_response=ANSWER)
    accepted = await answered(client)
    address = f"/message/{accepted['messageId']}/passages"
    opened = (await client.get(f"{address}/1")).json()
    assert (opened["text"], opened["score"], opened["changed"]) == ("pip install broadaxe", 0.9, False)
    assert opened["before"] == [{"heading": "Install", "text": "Before."}]
    assert opened["after"] == [{"heading": "Next", "text": "After."}]

    await connection.execute("update passage set body = 'uv add broadaxe' where position = 1")
    await connection.close()
    opened = (await client.get(f"{address}/1")).json()
    assert (opened["text"], opened["before"], opened["changed"]) == ("pip install broadaxe", [], True)
    assert (await client.get(f"{address}/2")).status_code == 404
    assert (await stranger.get(f"{address}/1")).status_code == 404

    sharing = f"/conversations/{accepted['conversationId']}/share"
    link = (await client.post(sharing, json={"messageId": accepted["messageId"]})).json()["link"]
    assert (await stranger.get(f"/shared/{link}/passages/1/1")).json()["text"] == "pip install broadaxe"
    for place in ("0/1", "1/2", "2/1", "-1/1"):
        assert (await stranger.get(f"/shared/{link}/passages/{place}")).status_code == 404


def test_an_excerpt_is_a_line_round_the_words() -> None:
    assert excerpt_of("With\n pip  [1].", ["PIP"]) == "With pip [1]."
    long = "before " * 50 + "needle" + " after" * 50
    excerpt = excerpt_of(long, ["needle"])
    assert excerpt.startswith("…") and excerpt.endswith("…") and "needle" in excerpt and len(excerpt) <= 162
