"""The library: giving it something, what its steps read, how pages change, and asking about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hatchet_sdk import Hatchet, NonRetryableException

from rag_chat.database import Database
from rag_chat.extraction import Document
from rag_chat.library_store import LibraryStore, SourceFile, SourceKind, source_address
from rag_chat.library_workflow import PageInput, SourceInput, build_library
from rag_chat.messages import Outcome, Step
from rag_chat.page_store import PageStore
from rag_chat.resources import Resources
from rag_chat.settings import read_settings
from rag_chat.workflow import RagWorkflow

from .pdf_document import pdf
from .scripted_run import ScriptedRun
from .serving import body, serving
from .steps import ask, run_to
from .web_site import Page, WebSite, html

pytestmark = pytest.mark.usefixtures("streamed")
SITEMAP = "<urlset><url><loc>{0}/docs/concepts.html</loc></url><url><loc>{0}/elsewhere</loc></url></urlset>"


@pytest.fixture
def run() -> ScriptedRun:
    return ScriptedRun()


@pytest.fixture
async def client(database_url: str, run: ScriptedRun) -> AsyncIterator[httpx.AsyncClient]:
    settings = read_settings(
        {
            "RAG_CHAT_DATABASE_URL": database_url,
            "RAG_CHAT_EMBEDDING_DIR": "off",
            "RAG_CHAT_DOCUMENT_SIZE_BYTES_MAX": "2000000",
        }
    )
    async with serving(settings, run) as opened:
        yield opened


@pytest.fixture
def library(database: Database) -> LibraryStore:
    return LibraryStore(database)


async def give(client: httpx.AsyncClient, name: str, content: bytes, content_type: str = "") -> httpx.Response:
    return await client.post(
        "/sources/files", params={"name": name}, content=content, headers={"content-type": content_type}
    )


async def test_a_site_is_given_listed_and_taken_out(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    given = await client.post("/sources", json={"url": "https://e.org/docs/", "site": True, "rereadDays": 7})
    assert given.status_code == 202
    source = given.json()
    assert (source["kind"], source["status"], source["runId"], source["rereadDays"]) == ("site", "reading", "run-1", 7)
    assert [name for name, _job in run.started] == ["rag-chat-source"]
    [listed] = (await client.get("/sources")).json()["sources"]
    assert listed == source
    assert (await client.delete(f"/sources/{source['sourceId']}")).status_code == 204
    assert (await client.get("/sources")).json() == {"sources": []}
    assert (await client.get(f"/sources/{source['sourceId']}")).status_code == 404


async def test_a_file_is_given_and_shown_as_it_is(client: httpx.AsyncClient) -> None:
    document = pdf("Install it with pip.")
    source = (await give(client, "C:\\papers\\manual.pdf", document, "application/pdf")).json()
    assert (source["kind"], source["url"]) == ("file", "manual.pdf")
    shown = await client.get(f"/sources/{source['sourceId']}/file")
    assert (shown.content, shown.headers["content-type"]) == (document, "application/pdf")
    notes = (await give(client, "notes.md", b"# <script>alert(1)</script>")).json()
    shown = await client.get(f"/sources/{notes['sourceId']}/file")
    assert shown.headers["content-type"] == "text/plain; charset=utf-8"
    assert (shown.headers["x-content-type-options"], "sandbox" in shown.headers["content-security-policy"]) == (
        "nosniff",
        True,
    )


@pytest.mark.parametrize(
    ("name", "content", "status", "said"),
    [
        ("photo.png", b"\x89PNG", 415, "PDF, Markdown or text"),
        ("notes.txt", b"a\x00b", 415, "not text"),
        ("notes.txt", b"", 422, "is empty"),
        ("folder/", b"text", 422, "name of the file"),
        ("large.txt", b"x" * 2_000_001, 413, "larger than 2 MB"),
    ],
    ids=["picture", "binary", "empty", "nameless", "large"],
)
async def test_a_file_that_cannot_be_read_is_refused_at_once(
    client: httpx.AsyncClient, name: str, content: bytes, status: int, said: str
) -> None:
    refused = await give(client, name, content)
    error = refused.json()["error"]
    assert (refused.status_code, error["field"], said in error["message"]) == (status, "name", True), error
    assert (await client.get("/sources")).json() == {"sources": []}


async def test_wrong_fields_of_a_source_are_named(client: httpx.AsyncClient) -> None:
    for given, field in (
        ({"url": "localhost"}, "url"),
        ({"url": "https://e.org/", "pagesMax": 0}, "pagesMax"),
        ({"url": "https://e.org/", "rereadDays": 0}, "rereadDays"),
    ):
        refused = await client.post("/sources", json=given)
        assert (refused.status_code, refused.json()["error"]["field"]) == (422, field)
    assert (await client.get("/pages/99999999999999999999")).status_code in (404, 422)
    assert (await client.get("/pages/12345")).status_code == 404


async def test_a_source_is_kept_when_the_engine_is_away(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    run.available = False
    assert (await give(client, "notes.md", b"# Notes")).status_code == 503
    [kept] = (await client.get("/sources")).json()["sources"]
    assert (kept["status"], "engine" in kept["error"]) == ("failed", True)
    run.available = True
    again = await client.post(f"/sources/{kept['sourceId']}/read")
    assert (again.status_code, again.json()["status"], again.json()["error"]) == (202, "reading", None)


async def test_a_run_that_ends_badly_ends_its_source(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    source = (await client.post("/sources", json={"url": "https://e.org/"})).json()
    run.end(Outcome.CANCELLED)
    shown = (await client.get(f"/sources/{source['sourceId']}")).json()
    assert (shown["status"], shown["error"]) == ("failed", "The run was cancelled.")
    run.fail(Step.LOAD_DOCS, "The page is gone.")
    await client.post(f"/sources/{source['sourceId']}/read")
    assert (await client.get(f"/sources/{source['sourceId']}")).json()["error"] == "The page is gone."


async def plan(unconnected: Hatchet, resources: Resources, source_id: object) -> Any:
    task = next(task for task in build_library(unconnected).workflow.tasks if task.name == "plan")
    return await task.aio_mock_run(SourceInput.model_validate({"source_id": source_id}), lifespan=resources)


async def test_a_site_with_a_sitemap_is_read_by_it(
    unconnected: Hatchet, resources: Resources, library: LibraryStore, site: WebSite
) -> None:
    site.pages["/robots.txt"] = Page(b"Sitemap: /map.xml", content_type="text/plain")
    site.pages["/map.xml"] = Page(SITEMAP.format(site.address).encode(), content_type="application/xml")
    source_id = await library.add(SourceKind.SITE, f"{site.address}/docs/", 50, None)
    planned = await plan(unconnected, resources, source_id)
    assert planned.urls == [f"{site.address}/docs/", f"{site.address}/docs/concepts.html"]
    assert not planned.by_links


async def test_a_site_without_one_is_followed_by_its_links(
    unconnected: Hatchet, resources: Resources, library: LibraryStore, site: WebSite
) -> None:
    source_id = await library.add(SourceKind.SITE, f"{site.address}/docs/", 50, None)
    planned = await plan(unconnected, resources, source_id)
    assert (planned.urls, planned.by_links) == ([f"{site.address}/docs/"], True)
    asked = PageInput(source_id=source_id, url=planned.urls[0], host="e")
    outcome = await build_library(unconnected).page.aio_mock_run(asked, lifespan=resources)
    assert f"{site.address}/docs/concepts.html" in outcome.links
    [page] = await library.pages(source_id)
    assert (page.page_id, page.title) == (outcome.page_id, "Docs")


async def test_a_page_that_cannot_be_read_is_an_outcome(
    unconnected: Hatchet, resources: Resources, library: LibraryStore, site: WebSite
) -> None:
    source_id = await library.add(SourceKind.SITE, f"{site.address}/docs/", 50, None)
    asked = PageInput(source_id=source_id, url=f"{site.address}/nothing", host="e")
    outcome = await build_library(unconnected).page.aio_mock_run(asked, lifespan=resources)
    assert (outcome.page_id, "no such page" in outcome.error) == (None, True)


async def test_a_file_becomes_a_page_whose_passages_lead_into_it(
    unconnected: Hatchet, resources: Resources, library: LibraryStore
) -> None:
    file = SourceFile("manual.pdf", "application/pdf", pdf("One.", "Two."))
    source_id = await library.add(SourceKind.FILE, file.name, 1, None, file)
    planned = await plan(unconnected, resources, source_id)
    passages = await library.passages(planned.file_page_id)
    assert [(passage.url, passage.body) for passage in passages] == [
        (f"/sources/{source_id}/file#page=1", "One."),
        (f"/sources/{source_id}/file#page=2", "Two."),
    ]
    await library.delete(source_id)
    assert await library.page(planned.file_page_id) is None, "what was read of a file goes with it"


async def test_a_file_without_text_says_so_and_ends_its_source(
    unconnected: Hatchet, resources: Resources, library: LibraryStore
) -> None:
    file = SourceFile("scan.pdf", "application/pdf", pdf(""))
    source_id = await library.add(SourceKind.FILE, file.name, 1, None, file)
    with pytest.raises(NonRetryableException, match="scanned"):
        await plan(unconnected, resources, source_id)
    source = await library.get(source_id)
    assert source is not None
    assert (source.status, "scanned" in (source.error or "")) == ("failed", True)


async def test_what_changed_between_two_readings_is_kept(store: PageStore, library: LibraryStore) -> None:
    url = "https://e.org/guide"

    async def put(*sections: str) -> int:
        markdown = "\n\n".join(f"## Part {n}\n\n{text}" for n, text in enumerate(sections))
        page_id, _ = await store.put(url, Document(url, "Guide", markdown, (), ()), None, None, await store.find(url))
        return page_id

    page_id = await put("Install it with pip.", "Retries are ten.")
    assert await library.changes(page_id) == [], "a first reading changes nothing"
    await put("Install it with pip.", "Retries are twelve.")
    await put("Install it with pip.", "Retries are twelve.")
    [change] = await library.changes(page_id)
    assert (change.added, change.removed) == (["Retries are twelve."], ["Retries are ten."])


async def test_answers_that_cite_a_passage_are_counted_and_a_person_s_own_are_named(
    client: httpx.AsyncClient, run: ScriptedRun, store: PageStore, library: LibraryStore
) -> None:
    url = "https://e.org/guide"
    markdown = "# One\n\nInstall it.\n\n# Two\n\nRetry it."
    page_id, _ = await store.put(url, Document(url, "Guide", markdown, (), ()), None, None, None)
    [first, _second] = await library.passages(page_id)
    await client.get("/conversations")  # the browser gets a name
    asked = (await client.post("/message", json=body())).json()
    await run.listening.wait()
    cited = {"index": 1, "title": "Guide", "heading": "One", "url": url, "quote": "q"}
    cited |= {"page_id": page_id, "passage_id": first.passage_id}
    output = {"status": "complete", "message": "So [1].", "citations": [cited], "model": "m", "extractive": False}
    run.end(Outcome.COMPLETE, generate_response=output)
    async with client.stream("GET", f"/message/{asked['messageId']}") as events:
        async for line in events.aiter_lines():
            if '"result"' in line:
                break
    shown = (await client.get(f"/pages/{page_id}")).json()
    assert [passage["answers"] for passage in shown["passages"]] == [1, 0]
    own = {"conversationId": asked["conversationId"], "question": "How do I install it?"}
    assert [passage["ownAnswers"] for passage in shown["passages"]] == [[own], []]
    client.cookies.clear()
    strange = (await client.get(f"/pages/{page_id}")).json()
    assert [(passage["answers"], passage["ownAnswers"]) for passage in strange["passages"]] == [(1, []), (0, [])]


async def test_a_question_about_the_library_reads_nothing_again(
    rag: RagWorkflow, resources: Resources, library: LibraryStore, store: PageStore, site: WebSite
) -> None:
    url = "https://e.org/guide"
    page_id, _ = await store.put(url, Document(url, "Guide", "Install it with pip.", (), ()), None, None, None)
    source_id = await library.add(SourceKind.SITE, url, 10, None)
    await library.add_page(source_id, page_id)
    question = ask(source_address(source_id)).model_copy(update={"sources": [f"{site.address}/docs/concepts.html"]})
    loaded = await run_to(rag, resources, question, "load_docs")
    assert loaded.pages == [url, f"{site.address}/docs/concepts.html"]
    assert loaded.skipped == [f"{url} is still being read."]
    with pytest.raises(NonRetryableException, match="not in the library"):
        await run_to(rag, resources, ask(source_address(uuid4())), "load_docs")


async def test_a_question_waits_for_a_file_that_was_given_a_moment_ago(
    rag: RagWorkflow, resources: Resources, library: LibraryStore, store: PageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag_chat.question_sources.LOOK_EVERY_S", 0.01)
    url = "manual.md"
    source_id = await library.add(SourceKind.PAGE, url, 1, None)
    asking = asyncio.create_task(run_to(rag, resources, ask(source_address(source_id)), "load_docs"))
    page_id, _ = await store.put(url, Document(url, "Manual", "Open the valve.", (), ()), None, None, None)
    await library.add_page(source_id, page_id)
    await library.finish(source_id)
    assert (await asking).page_ids == [page_id]
    never = await library.add(SourceKind.PAGE, "other.md", 1, None)
    monkeypatch.setattr("rag_chat.question_sources.LIBRARY_WAIT_S", 0.0)
    with pytest.raises(NonRetryableException, match=r"other\.md has not been read yet"):
        await run_to(rag, resources, ask(source_address(never)), "load_docs")


async def test_only_what_is_due_is_read_again(library: LibraryStore, database: Database) -> None:
    due, early, never = [await library.add(SourceKind.PAGE, "https://e.org/", 1, days) for days in (1, 7, None)]
    for source_id in (due, early, never):
        await library.finish(source_id)
    await database.pool.execute("update source set read_at = now() - interval '25 hours'")
    assert await library.due() == [due]
    await library.begin(due)
    assert await library.due() == [], "it is being read"


async def test_a_page_of_scripts_with_a_noscript_is_not_answered_from(
    rag: RagWorkflow, resources: Resources, site: WebSite
) -> None:
    site.pages["/app"] = Page(html("App", "<noscript><p>You need to enable JavaScript to run this.</p></noscript>"))
    with pytest.raises(NonRetryableException, match="built by scripts"):
        await run_to(rag, resources, ask(f"{site.address}/app"), "load_docs")
