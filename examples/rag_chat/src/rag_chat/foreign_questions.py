"""Questions in another language than the pages they are about: noticed by their words, put into the pages' language.

Owns when a question counts as foreign, and what is searched for then. Words of one language find nothing in another,
and a small embedding model knows one language only; the model that writes the answer knows many. Without one, or when
it has no better words, the question is searched for as it stands, and the answer says what that means.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag_chat.asides import in_the_language_of
from rag_chat.embedding import Report
from rag_chat.model import ModelClient
from rag_chat.page_store import PageStore

#: Of the words of English questions about English pages 67 to 100 % stand there, of German, French and Japanese ones
#: about the same 0 to 50 %, but for the shortest, which find what they ask for.
KNOWN_SHARE_MIN = 0.6
#: A model that has still to be loaded is waited for, which it would be for the answer anyway.
PATIENCE_S_MAX = 900.0
OPENINGS_MAX = 3
NOTICE = (
    "Few words of the question stand on these pages. If they are in another language, ask in that one to find more."
)


async def are_foreign(store: PageStore, page_ids: Sequence[int], questions: Sequence[str]) -> bool:
    return await store.share_of_known_words(page_ids, " ".join(questions)) < KNOWN_SHARE_MIN


async def translated(
    store: PageStore,
    client: ModelClient,
    page_ids: Sequence[int],
    questions: Sequence[str],
    wanted: str | None,
    report: Report,
) -> list[str]:
    """The questions in the language of the pages; empty when no model says them in words that these have more of."""
    await report("Putting the question into the language of the pages")
    openings = [passage.body for passage in await store.passages(await store.leads(page_ids, OPENINGS_MAX))]
    patience_s = min(client.settings.first_token_wait_s, PATIENCE_S_MAX)
    others = await in_the_language_of(client, questions, openings, wanted, patience_s)
    if not others:
        return []
    before = await store.share_of_known_words(page_ids, " ".join(questions))
    return others if await store.share_of_known_words(page_ids, " ".join(others)) > before else []
