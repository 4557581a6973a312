"""Finding passages by words, by meaning, and by both."""

from __future__ import annotations

import asyncio
import dataclasses
from importlib.resources import files

import pytest

from rag_chat.database import Database, open_database
from rag_chat.embedding import Indexer, ServerEmbedder, choose_embedder
from rag_chat.errors import DatabaseError
from rag_chat.extraction import Document
from rag_chat.model import ModelClient
from rag_chat.page_store import PageStore
from rag_chat.retrieval import PASSAGES_MAX, PASSAGES_PER_PAGE_MAX, WORDS_WEIGHT, fuse, retrieve

from .model_server import ModelServer

MARKDOWN = """# Guide

## Install
Install the engine with pip, in a virtual environment of its own.

## Vehicles
A car needs fuel, and now and then a new set of tyres.

## Retries
A failing task is tried again, each time after a longer pause.
"""


async def put(store: PageStore, url: str, markdown: str) -> int:
    page_id, _ = await store.put(url, Document(url, "Guide", markdown, (), ()), None, None, None)
    return page_id


async def headings(store: PageStore, page_ids: list[int], question: str) -> list[str]:
    found = await retrieve(store, page_ids, question, None)
    return [passage.heading.rpartition(" / ")[2] for passage in found.passages]


async def test_the_section_about_the_question_comes_first(store: PageStore) -> None:
    page_id = await put(store, "https://e.org/guide", MARKDOWN)
    assert (await headings(store, [page_id], "How do I install the engine?"))[0] == "Install"
    assert (await headings(store, [page_id], "what about failing tasks"))[0] == "Retries"


async def test_a_question_with_words_the_page_lacks_still_finds_what_it_has(store: PageStore) -> None:
    page_id = await put(store, "https://e.org/guide", MARKDOWN)
    assert await headings(store, [page_id], "installing zanzibar quokka thing") == ["Install"]


@pytest.mark.parametrize(
    "question", ["'; drop table page; --", "a & b | !c:*", "\\", '"unbalanced', "<script>", "it's", "\x00"]
)
async def test_no_question_is_a_syntax_error(store: PageStore, question: str) -> None:
    page_id = await put(store, "https://e.org/guide", MARKDOWN)
    assert len((await retrieve(store, [page_id], question, None)).passages) > 0


async def test_a_question_that_matches_nothing_gets_the_openings(store: PageStore) -> None:
    page_id = await put(store, "https://e.org/guide", MARKDOWN)
    found = await retrieve(store, [page_id], "quokka?", None)
    assert found.method == "openings"
    assert found.passages[0].heading.endswith("Install")


async def test_only_the_pages_of_this_question_are_searched(store: PageStore) -> None:
    here = await put(store, "https://e.org/here", "# Here\n\nNothing about that.")
    await put(store, "https://e.org/there", MARKDOWN)
    assert await headings(store, [here], "install the engine") == ["Here"]


async def test_one_page_does_not_crowd_out_another(store: PageStore) -> None:
    many = await put(
        store, "https://e.org/many", "\n\n".join(f"# Install {n}\n\ninstall install {n}" for n in range(20))
    )
    other = await put(store, "https://e.org/other", "# Other\n\nA passing word on how to install, among many others.")
    found = await retrieve(store, [many, other], "install", None)
    assert len(found.passages) == PASSAGES_PER_PAGE_MAX + 1 + (PASSAGES_MAX - PASSAGES_PER_PAGE_MAX - 1)
    assert other in [passage.page_id for passage in found.passages]


@pytest.mark.parametrize(
    ("question", "share"),
    [
        ("How do I install the engine?", 1.0),
        ("Wie installiere ich die engine?", 0.2),
        ("エンジンをインストールする", 0.0),
        ("how?", 1.0),
        ("a & b | !c:* '\\", 0.0),
    ],
    ids=["English", "German", "Japanese", "common words alone", "syntax"],
)
async def test_the_share_of_words_that_pages_have_is_known(store: PageStore, question: str, share: float) -> None:
    page_id = await put(store, "https://e.org/guide", MARKDOWN)
    other = await put(store, "https://e.org/other", "# Wie\n\nWie es euch gefällt.")
    assert await store.share_of_known_words([page_id], question) == share
    assert await store.share_of_known_words([other], "Wie es euch gefällt") == 1.0


async def silent(detail: str) -> None:
    """Nobody listens to the progress."""


async def test_meaning_finds_what_words_do_not(store: PageStore, indexer: Indexer, model_client: ModelClient) -> None:
    page_id = await put(store, "https://e.org/guide", MARKDOWN)
    embedder = ServerEmbedder(model_client, "tiny-embed")
    assert await indexer.prepare([page_id], embedder, silent)
    found = await retrieve(store, [page_id], "automobile", embedder)
    assert found.method == "text+meaning"
    assert found.passages[0].heading.endswith("Vehicles")


async def test_meaning_is_compared_without_pgvector_the_same(
    database: Database, store: PageStore, indexer: Indexer, model_client: ModelClient
) -> None:
    assert database.has_vectors, "the test server offers pgvector"
    page_id = await put(store, "https://e.org/guide", MARKDOWN)
    embedder = ServerEmbedder(model_client, "tiny-embed")
    assert await indexer.prepare([page_id], embedder, silent)
    [vector] = await embedder.embed(["automobile"])
    plain = PageStore(dataclasses.replace(database, has_vectors=False))
    with_pgvector = await store.search_by_meaning([page_id], vector, "tiny-embed", 10)
    assert len(with_pgvector) == 3
    assert await plain.search_by_meaning([page_id], vector, "tiny-embed", 10) == with_pgvector
    assert await plain.search_by_meaning([page_id], [*vector, 0.5], "tiny-embed", 10) == [], "another dimension"


async def test_scores_are_shares_of_all_votes(store: PageStore) -> None:
    page_id = await put(store, "https://e.org/guide", MARKDOWN)
    found = await retrieve(store, [page_id], "install the engine", None)
    assert found.scores[0] == 1.0
    assert list(found.scores) == sorted(found.scores, reverse=True)


async def test_nobody_waits_for_many_vectors(
    store: PageStore, indexer: Indexer, model_client: ModelClient, model_server: ModelServer
) -> None:
    model_server.embedding_gate = asyncio.Event()
    page_id = await put(store, "https://e.org/long", "\n\n".join(f"# Part {n}\n\nText {n}." for n in range(80)))
    told: list[str] = []

    async def hear(detail: str) -> None:
        told.append(detail)

    assert not await indexer.prepare([page_id], ServerEmbedder(model_client, "tiny-embed"), hear)
    assert told == ["Searching by words, while 80 passages are prepared to be found by meaning as well"]


async def test_a_pulled_model_goes_before_the_installed_one(model_client: ModelClient) -> None:
    installed = ServerEmbedder(model_client, "installed")
    assert choose_embedder(model_client, None, installed) is installed
    assert choose_embedder(model_client, None, None) is None
    chosen = choose_embedder(model_client, "pulled", installed)
    assert chosen is not None and chosen.name == "pulled"


async def test_a_passage_is_embedded_once_per_model(
    store: PageStore, indexer: Indexer, model_client: ModelClient, model_server: ModelServer
) -> None:
    page_id = await put(store, "https://e.org/guide", MARKDOWN)
    for name, embedded in (("tiny-embed", 3), ("tiny-embed", 3), ("other-embed", 6)):
        assert await indexer.prepare([page_id], ServerEmbedder(model_client, name), silent)
        assert len(model_server.embedded) == embedded


async def test_a_failing_embedding_model_costs_only_its_vote(
    store: PageStore, indexer: Indexer, model_client: ModelClient, model_server: ModelServer
) -> None:
    model_server.fail_embeddings = True
    page_id = await put(store, "https://e.org/guide", MARKDOWN)
    embedder = ServerEmbedder(model_client, "tiny-embed")
    assert not await indexer.prepare([page_id], embedder, silent)
    found = await retrieve(store, [page_id], "install", embedder)
    assert (found.method, found.passages[0].heading) == ("text", "Guide / Install")


async def test_vectors_that_take_long_are_made_for_the_next_question(
    store: PageStore,
    indexer: Indexer,
    model_client: ModelClient,
    model_server: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rag_chat.embedding.PATIENCE_S", 0.01)
    model_server.embedding_gate = asyncio.Event()
    page_id = await put(store, "https://e.org/guide", MARKDOWN)
    embedder = ServerEmbedder(model_client, "tiny-embed")
    told: list[str] = []

    async def hear(detail: str) -> None:
        told.append(detail)

    assert not await indexer.prepare([page_id], embedder, hear)
    assert told == [
        "Preparing 3 passages to be found by meaning",
        "Searching by words; the next question is also searched by meaning",
    ]
    model_server.embedding_gate.set()
    monkeypatch.setattr("rag_chat.embedding.PATIENCE_S", 10)
    assert await indexer.prepare([page_id], embedder, hear)
    assert len(model_server.embedded) == 3, "what was being made is not made twice"


def test_fusion_prefers_what_several_rankings_agree_on() -> None:
    assert list(fuse([(1, [1, 2, 3]), (1, [2, 4]), (1, [2, 1])])) == [2, 1, 4, 3]
    assert fuse([]) == {}


def test_what_meaning_puts_first_comes_before_what_both_rankings_by_words_put_far_down() -> None:
    far_down = [*range(100, 119), 1]
    assert list(fuse([(WORDS_WEIGHT, far_down), (WORDS_WEIGHT, far_down), (1.0, [2])]))[:2] == [100, 2]
    assert list(fuse([(1.0, far_down), (1.0, far_down), (1.0, [2])])).index(2) == 20, "as it was with whole votes"


async def test_migrations_run_once_and_agree_when_two_processes_start_together(new_database_url: str) -> None:
    import asyncio

    first, second = await asyncio.gather(open_database(new_database_url), open_database(new_database_url))
    try:
        applied = await first.pool.fetch("select name from migration order by name")
        names = sorted(path.name for path in files("rag_chat").joinpath("migrations").iterdir())
        assert [row["name"] for row in applied] == [name for name in names if name.endswith(".sql")]
        assert first.has_vectors and second.has_vectors
    finally:
        await first.close()
        await second.close()


async def test_a_missing_database_server_is_one_clear_sentence(unused_tcp_port: int) -> None:
    with pytest.raises(DatabaseError, match="RAG_CHAT_DATABASE_URL") as caught:
        await open_database(f"postgresql://me:secret@127.0.0.1:{unused_tcp_port}/chat")
    assert "secret" not in str(caught.value)


async def test_deleting_a_page_takes_its_passages_along(database: Database, store: PageStore) -> None:
    page_id = await put(store, "https://e.org/guide", MARKDOWN)
    await database.pool.execute("delete from page where page_id = $1", page_id)
    assert await database.pool.fetchval("select count(*) from passage") == 0
