"""Pages and their passages in Postgres.

Owns when a page is indexed: only when the text or the address of its passages changed since it was last seen. Writing a
page and its passages is one transaction, so a reader sees the old passages or the new ones, never a mixture.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rag_chat.chunking import Passage, split_into_passages
from rag_chat.database import Database
from rag_chat.extraction import Document, Link
from rag_chat.queries import query

# A change of how passages are cut has to index again pages that did not change themselves.
INDEX_FORMAT = "1"
#: How much of a change is kept.
CHANGED_PASSAGES_MAX = 50


@dataclass(frozen=True, slots=True)
class StoredPage:
    page_id: int
    final_url: str
    title: str
    content_hash: str
    etag: str | None
    last_modified: str | None
    links: tuple[Link, ...]
    age_s: float


@dataclass(frozen=True, slots=True)
class StoredPassage:
    passage_id: int
    page_id: int
    title: str
    heading: str
    url: str
    body: str


class PageStore:
    def __init__(self, database: Database) -> None:
        self._pool = database.pool
        self._has_vectors = database.has_vectors

    async def find(self, url: str) -> StoredPage | None:
        row = await self._pool.fetchrow(query("find_page"), url)
        if row is None:
            return None
        return StoredPage(
            page_id=row["page_id"],
            final_url=row["final_url"],
            title=row["title"],
            content_hash=row["content_hash"],
            etag=row["etag"],
            last_modified=row["last_modified"],
            links=tuple(Link(entry["url"], entry["text"]) for entry in row["links"]),
            age_s=row["age_s"],
        )

    async def touch(self, page_id: int) -> None:
        """The page was looked at and its server says it is unchanged."""
        await self._pool.execute(query("touch_page"), page_id, None, None, None)

    async def put(
        self, url: str, document: Document, etag: str | None, last_modified: str | None, known: StoredPage | None
    ) -> tuple[int, bool]:
        """Store a page under the address it was asked by; returns its id and whether it had to be indexed."""
        content_hash = hash_of(document)
        links = [{"url": link.url, "text": link.text} for link in document.links]
        if known is not None and known.content_hash == content_hash:
            await self._pool.execute(query("touch_page"), known.page_id, etag, last_modified, links)
            return known.page_id, False
        passages: Sequence[Passage] = split_into_passages(document)
        async with self._pool.acquire() as connection, connection.transaction():
            page_id: int = await connection.fetchval(
                query("put_page"), url, document.url, document.title, content_hash, etag, last_modified, links
            )
            bodies = [passage.body for passage in passages]
            await connection.execute(query("insert_page_change"), page_id, bodies, CHANGED_PASSAGES_MAX)
            await connection.execute(query("delete_passages"), page_id)
            await connection.execute(
                query("insert_passages"),
                page_id,
                [passage.position for passage in passages],
                [passage.heading for passage in passages],
                [passage.url for passage in passages],
                bodies,
            )
        return page_id, True

    async def count_unembedded(self, page_ids: Sequence[int], model: str) -> int:
        count: int = await self._pool.fetchval(query("count_unembedded"), page_ids, model)
        return count

    async def unembedded(self, page_ids: Sequence[int], model: str, limit: int) -> list[tuple[int, str]]:
        rows = await self._pool.fetch(query("find_unembedded"), page_ids, model, limit)
        return [(row["passage_id"], f"{row['heading']}\n{row['body']}") for row in rows]

    async def set_embeddings(
        self, passage_ids: Sequence[int], embeddings: Sequence[Sequence[float]], model: str
    ) -> None:
        await self._pool.execute(query("set_embeddings"), passage_ids, [as_array(each) for each in embeddings], model)

    async def search_all_words(self, page_ids: Sequence[int], question: str, limit: int) -> list[int]:
        rows = await self._pool.fetch(query("search_all_words"), page_ids, question, limit)
        return [row["passage_id"] for row in rows]

    async def search_any_word(self, page_ids: Sequence[int], question: str, limit: int) -> list[int]:
        rows = await self._pool.fetch(query("search_any_word"), page_ids, question, limit)
        return [row["passage_id"] for row in rows]

    async def share_of_known_words(self, page_ids: Sequence[int], question: str) -> float:
        """Which share of a question's words stand on these pages, 0 to 1; common words of English do not count."""
        row = await self._pool.fetchrow(query("count_known_words"), page_ids, question)
        return 1.0 if row is None or not row["words"] else row["known"] / row["words"]

    async def search_by_meaning(
        self, page_ids: Sequence[int], embedding: Sequence[float], model: str, limit: int
    ) -> list[int]:
        statement = query("search_by_meaning" if self._has_vectors else "search_by_meaning_plainly")
        rows = await self._pool.fetch(statement, page_ids, of_length_one(embedding), model, limit)
        return [row["passage_id"] for row in rows]

    async def leads(self, page_ids: Sequence[int], limit: int) -> list[int]:
        rows = await self._pool.fetch(query("lead_passages"), page_ids, limit)
        return [row["passage_id"] for row in rows]

    async def passages(self, passage_ids: Sequence[int]) -> list[StoredPassage]:
        rows = await self._pool.fetch(query("get_passages"), passage_ids)
        return [StoredPassage(*row.values()) for row in rows]


def hash_of(document: Document) -> str:
    """What must be equal for the passages to be equal."""
    digest = hashlib.sha256()
    for part in (INDEX_FORMAT, document.url, document.title, document.markdown, repr(document.anchors)):
        digest.update(part.encode("utf-8", errors="surrogatepass"))
        digest.update(b"\x00")
    return digest.hexdigest()


def of_length_one(embedding: Sequence[float]) -> list[float]:
    """The direction of an embedding, which is all that is compared."""
    length = math.sqrt(sum(value * value for value in embedding)) or 1.0
    return [value / length for value in embedding]


def as_array(embedding: Sequence[float]) -> str:
    """Postgres's text form of an embedding's direction."""
    return "{" + ",".join(repr(value) for value in of_length_one(embedding)) + "}"
