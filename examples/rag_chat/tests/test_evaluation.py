"""Measuring how well passages are found: the measures, the routes, and the floor below which finding may not fall."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from hatchet_sdk import Hatchet

from rag_chat.database import Database
from rag_chat.evaluate import main
from rag_chat.evaluation import (
    KnownQuestion,
    Method,
    Score,
    page_name,
    questions_about_the_docs,
    score,
    summarise,
)
from rag_chat.evaluation_store import EvaluationStore
from rag_chat.evaluation_workflow import QuestionInput, build_evaluation
from rag_chat.extraction import Document
from rag_chat.messages import Outcome, Step
from rag_chat.page_store import PageStore
from rag_chat.resources import Resources
from rag_chat.retrieval import retrieve
from rag_chat.settings import Settings, read_settings

from .scripted_run import ScriptedRun
from .serving import serving

DOCS = Path(__file__).parents[3] / "docs"
INSTALLING = KnownQuestion(question="How do I install it?", pages=["install"])


def test_the_rank_is_that_of_the_first_right_page() -> None:
    found = score(INSTALLING, ["https://e.org/docs/", "https://e.org/docs/install.html#pip", "https://e.org/install/"])
    assert found == Score(rank=2, precision=0.667, pages=["docs", "install", "install"])
    assert score(INSTALLING, ["https://e.org/docs/concepts"]).rank is None
    assert score(INSTALLING, []) == Score(rank=None, precision=0.0)
    assert page_name("https://e.org/a/install.html?x#y") == "install"


def test_methods_are_compared_over_the_questions_they_were_used_for() -> None:
    first, second, missed = (Score(rank=rank, precision=0.5) for rank in (1, 2, None))
    found = summarise([{Method.WORDS: second, Method.BOTH: first}, {Method.WORDS: missed, Method.BOTH: second}])
    assert list(found) == [Method.WORDS, Method.BOTH]
    assert (found[Method.WORDS].found, found[Method.WORDS].first, found[Method.WORDS].recall) == (1, 0, 0.5)
    assert (found[Method.BOTH].found, found[Method.BOTH].first, found[Method.BOTH].reciprocal_rank) == (2, 1, 0.75)
    assert summarise([]) == {}


async def test_words_alone_find_most_of_our_documentation(store: PageStore) -> None:
    """What `make demo` does before any model is there. `python -m rag_chat.evaluate` measures the rest."""
    page_ids: list[int] = []
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8").partition("\n---\n")[2]
        url = f"https://e.org/docs/{path.stem}"
        page_id, _ = await store.put(url, Document(url, path.stem, text, (), ()), None, None, None)
        page_ids.append(page_id)
    questions = questions_about_the_docs()
    assert len(questions) >= 20
    assert {page for question in questions for page in question.pages} <= {path.stem for path in DOCS.glob("*.md")}
    scores: list[dict[Method, Score]] = []
    for question in questions:
        found = await retrieve(store, page_ids, question.question, None)
        scores.append({Method.WORDS: score(question, [passage.url for passage in found.passages])})
    words = summarise(scores)[Method.WORDS]
    assert words.found >= 20, words
    assert words.first >= 15, words


async def test_a_question_is_asked_by_each_method_and_kept_once(
    resources: Resources, store: PageStore, database: Database, unconnected: Hatchet
) -> None:
    evaluations = EvaluationStore(database)
    evaluation_id = uuid4()
    await evaluations.begin(evaluation_id, "https://e.org/docs/", 1)
    url = "https://e.org/docs/install"
    markdown = "# Install\n\nInstall it with pip.\n\n# Vehicles\n\nA car needs fuel."
    page_id, _ = await store.put(url, Document(url, "Install", markdown, (), ()), None, None, None)
    find = build_evaluation(unconnected).find
    asked = QuestionInput(
        evaluation_id=evaluation_id, position=0, question=INSTALLING, page_ids=[page_id], embedder="tiny-embed"
    )
    embedder = dataclasses.replace(resources, local_embedder=None)
    [vectorless] = [await find.aio_mock_run(asked.model_copy(update={"embedder": None}), lifespan=embedder)]
    assert list(vectorless.scores) == [Method.WORDS]
    for _attempt in range(2):
        answer = await find.aio_mock_run(asked, lifespan=embedder)
        assert list(answer.scores) == [Method.WORDS, Method.MEANING, Method.BOTH]
    [kept] = await evaluations.questions(evaluation_id)
    assert (kept.question, kept.scores[Method.WORDS].rank) == (INSTALLING, 1)


@pytest.fixture
def run() -> ScriptedRun:
    return ScriptedRun()


@pytest.fixture
async def client(database_url: str, run: ScriptedRun) -> AsyncIterator[httpx.AsyncClient]:
    settings: Settings = read_settings({"RAG_CHAT_DATABASE_URL": database_url, "RAG_CHAT_EMBEDDING_DIR": "off"})
    async with serving(settings, run) as opened:
        yield opened


async def test_an_evaluation_is_begun_shown_and_listed(
    client: httpx.AsyncClient, run: ScriptedRun, database: Database
) -> None:
    begun = (await client.post("/evaluations", json={})).json()
    assert (begun["status"], begun["runId"], begun["questions"]) == (
        "running",
        "run-1",
        len(questions_about_the_docs()),
    )
    assert [name for name, _job in run.started] == ["rag-chat-evaluation"]
    store, evaluation_id = EvaluationStore(database), begun["evaluationId"]
    await store.add(evaluation_id, 3, INSTALLING, {Method.WORDS: Score(rank=1, precision=0.5, pages=["install"])})
    shown = (await client.get(f"/evaluations/{evaluation_id}")).json()
    assert (shown["status"], shown["done"], shown["summaries"]["words"]["first"]) == ("running", 1, 1)
    assert shown["answers"][0]["scores"]["words"]["pages"] == ["install"]
    await store.finish(evaluation_id, embedder="tiny")
    [listed] = (await client.get("/evaluations")).json()["evaluations"]
    assert (listed["evaluationId"], listed["status"], listed["embedder"]) == (evaluation_id, "complete", "tiny")


async def test_an_evaluation_whose_run_fails_says_why(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    begun = (await client.post("/evaluations", json={"questions": [INSTALLING.model_dump()]})).json()
    run.fail(Step.LOAD_DOCS, "The page cannot be read.")
    for _look in range(2):
        shown = (await client.get(f"/evaluations/{begun['evaluationId']}")).json()
        assert (shown["status"], shown["error"]) == ("failed", "The page cannot be read.")


async def test_a_cancelled_run_ends_its_evaluation(client: httpx.AsyncClient, run: ScriptedRun) -> None:
    begun = (await client.post("/evaluations", json={})).json()
    run.end(Outcome.CANCELLED)
    shown = (await client.get(f"/evaluations/{begun['evaluationId']}")).json()
    assert (shown["status"], shown["error"]) == ("failed", "The run was cancelled.")


async def test_what_cannot_be_evaluated_is_refused_by_the_name_of_its_field(
    client: httpx.AsyncClient, run: ScriptedRun
) -> None:
    for body, field in (
        ({"url": "ftp://e.org"}, "url"),
        ({"questions": []}, "questions"),
        ({"questions": [{"question": "?", "pages": []}]}, "questions.0.pages"),
    ):
        answer = await client.post("/evaluations", json=body)
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    assert (await client.get(f"/evaluations/{uuid4()}")).status_code == 404
    run.available = False
    assert (await client.post("/evaluations", json={})).status_code == 503
    [kept] = (await client.get("/evaluations")).json()["evaluations"]
    assert (kept["status"], "engine" in kept["error"]) == ("failed", True)


def test_mistakes_of_the_command_are_told_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "questions.json"
    for text, said in (
        ("[", "is no list of questions"),
        ("[]", "has 0 questions"),
        ('[{"question": "Why?"}]', "0.pages: Field required"),
    ):
        broken.write_text(text)
        assert main(["--questions", str(broken)]) == 2
        assert said in capsys.readouterr().err
    assert main(["--questions", str(tmp_path / "none.json")]) == 2
    assert "No such file" in capsys.readouterr().err
    assert main(["--url", "localhost"]) == 2
