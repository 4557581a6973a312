"""The library in Postgres: sources that were given, the pages they brought, and how these changed.

Owns the state of a source: `reading`, then `ready` or `failed`, and `reading` again whenever it is read again. Progress
is the number of its pages beside how many were found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

import asyncpg
from pydantic import BaseModel, TypeAdapter

from rag_chat.addresses import parse_web_address
from rag_chat.database import Database
from rag_chat.errors import AddressRefused
from rag_chat.queries import query

SOURCES_LISTED_MAX = 200
PAGES_LISTED_MAX = 1_000
CHANGES_LISTED_MAX = 20
OWN_ANSWERS_LISTED_MAX = 10
DUE_MAX = 100
ADDRESS_SCHEME = "source:"


class SourceKind(StrEnum):
    PAGE = "page"
    SITE = "site"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Source:
    """`url` is the address, or the name of a file."""

    source_id: UUID
    kind: SourceKind
    url: str
    content_type: str | None
    pages_max: int
    reread_days: int | None
    status: str
    error: str | None
    run_id: str | None
    found: int
    created_at: datetime
    read_at: datetime | None
    pages: int


@dataclass(frozen=True, slots=True)
class SourceFile:
    name: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class SourcePage:
    page_id: int
    url: str
    title: str
    checked_at: datetime
    passages: int
    changes: int


@dataclass(frozen=True, slots=True)
class PageRecord:
    page_id: int
    url: str
    title: str
    checked_at: datetime
    indexed_at: datetime


class OwnAnswer(BaseModel):
    """An answer the person was given: where it stands and what was asked, shortened."""

    conversationId: UUID
    question: str


OWN_ANSWERS = TypeAdapter(list[OwnAnswer])


@dataclass(frozen=True, slots=True)
class PassageRecord:
    """`answers` counts those that cite it; `own_answers` are the latest of them that the person was given."""

    passage_id: int
    heading: str
    url: str
    body: str
    answers: int
    own_answers: list[OwnAnswer]


@dataclass(frozen=True, slots=True)
class PageChange:
    changed_at: datetime
    added: list[str]
    removed: list[str]


def source_address(source_id: UUID) -> str:
    """How a question names a source."""
    return f"{ADDRESS_SCHEME}{source_id}"


def source_id_in(address: str) -> UUID | None:
    """The source an address names; None for one of the web. Raises AddressRefused for a malformed one."""
    if not address.startswith(ADDRESS_SCHEME):
        return None
    try:
        return UUID(address.removeprefix(ADDRESS_SCHEME))
    except ValueError:
        raise AddressRefused(f"{address!r} is no address of something in the library.") from None


def checked_address(text: str) -> str:
    """The address of a page or of something in the library as it is kept; raises AddressRefused."""
    source_id = source_id_in(text.strip())
    return parse_web_address(text).geturl() if source_id is None else source_address(source_id)


class LibraryStore:
    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    async def add(
        self, kind: SourceKind, url: str, pages_max: int, reread_days: int | None, file: SourceFile | None = None
    ) -> UUID:
        source_id = uuid4()
        content_type, body = (None, None) if file is None else (file.content_type, file.body)
        await self._pool.execute(
            query("insert_source"), source_id, kind, url, content_type, body, pages_max, reread_days
        )
        return source_id

    async def begin(self, source_id: UUID, run_id: str | None = None) -> None:
        await self._pool.execute(query("begin_source"), source_id, run_id)

    async def set_found(self, source_id: UUID, found: int) -> None:
        await self._pool.execute(query("set_source_found"), source_id, found)

    async def finish(self, source_id: UUID, error: str | None = None) -> None:
        await self._pool.execute(query("finish_source"), source_id, "ready" if error is None else "failed", error)

    async def get(self, source_id: UUID) -> Source | None:
        row = await self._pool.fetchrow(query("get_source"), source_id)
        return None if row is None else _source(row)

    async def latest(self) -> list[Source]:
        return [_source(row) for row in await self._pool.fetch(query("list_sources"), SOURCES_LISTED_MAX)]

    async def due(self) -> list[UUID]:
        return [row["source_id"] for row in await self._pool.fetch(query("list_due_sources"), DUE_MAX)]

    async def file(self, source_id: UUID) -> SourceFile | None:
        row = await self._pool.fetchrow(query("get_source_file"), source_id)
        return None if row is None else SourceFile(*row.values())

    async def delete(self, source_id: UUID) -> None:
        await self._pool.execute(query("delete_source"), source_id)

    async def add_page(self, source_id: UUID, page_id: int) -> None:
        await self._pool.execute(query("put_source_page"), source_id, page_id)

    async def keep_pages(self, source_id: UUID, page_ids: Sequence[int]) -> None:
        """Forget the pages that belonged to it before and do not any more."""
        await self._pool.execute(query("keep_source_pages"), source_id, page_ids)

    async def pages(self, source_id: UUID) -> list[SourcePage]:
        rows = await self._pool.fetch(query("list_source_pages"), source_id, PAGES_LISTED_MAX)
        return [SourcePage(*row.values()) for row in rows]

    async def page(self, page_id: int) -> PageRecord | None:
        row = await self._pool.fetchrow(query("get_page"), page_id)
        return None if row is None else PageRecord(*row.values())

    async def passages(self, page_id: int, person: str | None = None) -> list[PassageRecord]:
        rows = await self._pool.fetch(query("list_passages"), page_id, person, OWN_ANSWERS_LISTED_MAX)
        return [
            PassageRecord(**{**dict(row), "own_answers": OWN_ANSWERS.validate_python(row["own_answers"])})
            for row in rows
        ]

    async def changes(self, page_id: int) -> list[PageChange]:
        rows = await self._pool.fetch(query("list_page_changes"), page_id, CHANGES_LISTED_MAX)
        return [PageChange(*row.values()) for row in rows]


def _source(row: asyncpg.Record) -> Source:
    return Source(**{**dict(row), "kind": SourceKind(row["kind"])})
