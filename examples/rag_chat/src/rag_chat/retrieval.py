"""Finding the passages that answer a question.

Owns how rankings are combined. Full text has one vote in two halves: one for passages that match the whole question,
one for those that match any word of it. Where embeddings exist, nearness of meaning has a vote of the same weight; with
two whole votes for words, what both put far down came before what meaning put first. Votes are combined by reciprocal
rank fusion, which needs no common scale. A question that matches nothing gets the pages' openings. A model that fails
to embed only costs its vote.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rag_chat.embedding import Embedder
from rag_chat.errors import ChatError
from rag_chat.page_store import PageStore, StoredPassage

PASSAGES_MAX = 6
PASSAGES_PER_PAGE_MAX = 4
CANDIDATES_MAX = 40
QUESTION_TIME_S_MAX = 5.0
FUSION_CONSTANT = 60
#: What a ranking by words weighs, of which there are two, beside one by meaning, which weighs 1.
WORDS_WEIGHT = 0.5
QUESTION_CHARS_MAX = 2_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Passages, best first, with the score of each: the share of the most votes it could have got, 0 to 1. `method` is
    `text`, `meaning`, `text+meaning` or `openings`."""

    passages: tuple[StoredPassage, ...]
    scores: tuple[float, ...]
    method: str


def fuse(rankings: Sequence[tuple[float, Sequence[int]]]) -> dict[int, float]:
    """Reciprocal rank fusion of rankings, each with its weight: ids and the sum of weight/(60 + rank), best first, ties
    by first appearance."""
    scores: dict[int, float] = {}
    for weight, ranking in rankings:
        for rank, identity in enumerate(ranking, start=1):
            scores[identity] = scores.get(identity, 0.0) + weight / (FUSION_CONSTANT + rank)
    return {identity: scores[identity] for identity in sorted(scores, key=lambda each: -scores[each])}


async def retrieve(
    store: PageStore,
    page_ids: Sequence[int],
    question: str,
    embedder: Embedder | None,
    *,
    besides: Sequence[str] = (),
    passages_max: int = PASSAGES_MAX,
    by_words: bool = True,
) -> Retrieved:
    """The best passages of these pages for a question, at most `passages_max`. An `embedder` has seen them all.
    `besides` are other questions to find passages for, of equal weight. Only an evaluation asks for one without
    words."""
    rankings: list[tuple[float, list[int]]] = []
    methods = ["text"] if by_words else []
    for asked in dict.fromkeys([question, *besides]):
        asked = asked[:QUESTION_CHARS_MAX].replace("\x00", " ")
        if by_words:
            rankings.append((WORDS_WEIGHT, await store.search_all_words(page_ids, asked, CANDIDATES_MAX)))
            rankings.append((WORDS_WEIGHT, await store.search_any_word(page_ids, asked, CANDIDATES_MAX)))
        by_meaning = await _search_by_meaning(store, page_ids, asked, embedder)
        if by_meaning:
            rankings.append((1.0, by_meaning))
            methods.append("meaning")
    methods = list(dict.fromkeys(methods))
    scores = fuse(rankings)
    if not scores:
        scores = dict.fromkeys(await store.leads(page_ids, passages_max), 0.0)
        methods = ["openings"]
    passages = _spread(await store.passages(list(scores)[:CANDIDATES_MAX]), passages_max)
    best_possible = sum(weight for weight, _ in rankings) / (FUSION_CONSTANT + 1) or 1.0
    shares = tuple(round(scores[passage.passage_id] / best_possible, 3) for passage in passages)
    return Retrieved(passages, shares, "+".join(methods))


async def _search_by_meaning(
    store: PageStore, page_ids: Sequence[int], question: str, embedder: Embedder | None
) -> list[int]:
    if embedder is None:
        return []
    try:
        async with asyncio.timeout(QUESTION_TIME_S_MAX):
            [vector] = await embedder.embed([question])
    except (ChatError, TimeoutError) as error:
        logger.warning("searching by words only: %s", error or "the embedding model did not answer in time")
        return []
    return await store.search_by_meaning(page_ids, vector, embedder.name, CANDIDATES_MAX)


def _spread(passages: Sequence[StoredPassage], passages_max: int) -> tuple[StoredPassage, ...]:
    """The best passages, without letting one page crowd out the others while others have something to say."""
    per_page: Counter[int] = Counter()
    kept: list[StoredPassage] = []
    spare: list[StoredPassage] = []
    for passage in passages:
        if per_page[passage.page_id] < PASSAGES_PER_PAGE_MAX:
            per_page[passage.page_id] += 1
            kept.append(passage)
        else:
            spare.append(passage)
    return tuple((kept + spare)[:passages_max])
