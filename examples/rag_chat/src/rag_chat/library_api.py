"""The routes about the library. It belongs to the installation: everybody who uses the chat sees all of it.

    GET    /sources              what was given, the newest first
    POST   /sources              read an address for good: {url, site?, pagesMax?, rereadDays?}
    POST   /sources/files?name=  give a file: its bytes are the body, its Content-Type says what it is
    GET    /sources/{id}         one, with its pages     DELETE takes it out
    POST   /sources/{id}/read    read it again now
    GET    /sources/{id}/file    a file as it was given
    GET    /pages/{id}           a page that was read: its passages, which answers cite each, and how it changed

A question is about a source when it names `source:{id}` as an address.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from rag_chat.addresses import URL_CHARS_MAX, parse_web_address
from rag_chat.edge import Edge, EdgeOf, Problem
from rag_chat.errors import AddressRefused, EngineError
from rag_chat.evaluation_runs import ended_badly
from rag_chat.library_store import LibraryStore, OwnAnswer, Source, SourceFile, SourceKind, source_address
from rag_chat.library_workflow import SOURCE_WORKFLOW, SourceInput
from rag_chat.people import KnownPerson

SITE_PAGES_MAX = 500
FILE_NAME_CHARS_MAX = 200
FILE_TYPES = ("application/pdf", "text/plain", "text/markdown")
#: What browsers call a Markdown file, or do not call at all, goes by its name.
TYPE_BY_ENDING = {"pdf": "application/pdf", "md": "text/markdown", "markdown": "text/markdown", "txt": "text/plain"}

router = APIRouter()


class Wanted(BaseModel):
    """The body of POST /sources."""

    url: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=URL_CHARS_MAX)]
    # All pages below the address, by the sitemap or by links.
    site: bool = False
    pagesMax: Annotated[int, Field(ge=1, le=SITE_PAGES_MAX)] = 100
    rereadDays: Annotated[int, Field(ge=1, le=365)] | None = None


class ShownSource(BaseModel):
    """`pages` of `found` pages are read; `found` may grow while links are followed."""

    sourceId: UUID
    address: str
    kind: SourceKind
    url: str
    status: Literal["reading", "ready", "failed"]
    error: str | None
    runId: str | None
    pages: int
    found: int
    rereadDays: int | None
    createdAt: datetime
    readAt: datetime | None


class Listed(BaseModel):
    sources: list[ShownSource]


class ShownPage(BaseModel):
    pageId: int
    url: str
    title: str
    checkedAt: datetime
    passages: int
    changes: int


class WholeSource(ShownSource):
    pageList: list[ShownPage]


class ShownPassage(BaseModel):
    passageId: int
    heading: str
    url: str
    body: str
    # How many answers cite it, and the latest of them that the person was given.
    answers: int
    ownAnswers: list[OwnAnswer]


class ShownChange(BaseModel):
    changedAt: datetime
    added: list[str]
    removed: list[str]


class WholePage(BaseModel):
    pageId: int
    url: str
    title: str
    checkedAt: datetime
    indexedAt: datetime
    passages: list[ShownPassage]
    changes: list[ShownChange]


@router.get("/sources")
async def library(edge: EdgeOf) -> Listed:
    """What was given to read, the newest first."""
    return Listed(sources=[_shown(source) for source in await LibraryStore(edge.database).latest()])


@router.post("/sources", status_code=202)
async def add(wanted: Wanted, edge: EdgeOf) -> ShownSource:
    """Read an address for good: one page, or the whole site below it."""
    try:
        url = parse_web_address(wanted.url).geturl()
    except AddressRefused as error:
        raise Problem(422, error.code, str(error), field="url") from None
    kind = SourceKind.SITE if wanted.site else SourceKind.PAGE
    store = LibraryStore(edge.database)
    source_id = await store.add(kind, url, wanted.pagesMax if wanted.site else 1, wanted.rereadDays)
    return await _read(edge, store, source_id)


@router.post("/sources/files", status_code=202)
async def add_file(
    request: Request,
    edge: EdgeOf,
    name: Annotated[str, Query(min_length=1, max_length=FILE_NAME_CHARS_MAX)],
) -> ShownSource:
    """Give a PDF document, a Markdown or a text file. The middleware bounds its size."""
    # Only what names it: browsers of old send whole paths.
    name = name.replace("\x00", "").replace("\\", "/").rpartition("/")[2].strip()
    if not name:
        raise Problem(422, "invalid", "name: give the name of the file", field="name")
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    content_type = declared if declared in FILE_TYPES else TYPE_BY_ENDING.get(name.rpartition(".")[2].lower())
    if content_type is None:
        raise Problem(
            415,
            "unknown_type",
            f"{name} is no PDF, Markdown or text file, which are what the chat reads.",
            field="name",
        )
    body = await request.body()
    if not body:
        raise Problem(422, "empty", f"{name} is empty.", field="name")
    if content_type != "application/pdf" and b"\x00" in body:
        raise Problem(415, "unknown_type", f"{name} is not text, whatever its name says.", field="name")
    store = LibraryStore(edge.database)
    source_id = await store.add(SourceKind.FILE, name, 1, None, SourceFile(name, content_type, body))
    return await _read(edge, store, source_id)


@router.get("/sources/{source_id}")
async def one(source_id: UUID, edge: EdgeOf) -> WholeSource:
    """One source, as far as it was read."""
    store = LibraryStore(edge.database)
    source = await _source(store, source_id)
    if source.status == "reading" and source.run_id is not None:
        await _settle(edge, store, source_id, source.run_id)
        source = await _source(store, source_id)
    pages = [
        ShownPage(
            pageId=page.page_id,
            url=page.url,
            title=page.title,
            checkedAt=page.checked_at,
            passages=page.passages,
            changes=page.changes,
        )
        for page in await store.pages(source_id)
    ]
    return WholeSource(**_shown(source).model_dump(), pageList=pages)


@router.post("/sources/{source_id}/read", status_code=202)
async def read_again(source_id: UUID, edge: EdgeOf) -> ShownSource:
    """Read it again now. One that is being read already is left alone."""
    store = LibraryStore(edge.database)
    source = await _source(store, source_id)
    if source.status == "reading" and source.run_id is not None:
        await _settle(edge, store, source_id, source.run_id)
        source = await _source(store, source_id)
        if source.status == "reading":
            return _shown(source)
    return await _read(edge, store, source_id)


@router.delete("/sources/{source_id}", status_code=204)
async def take_out(source_id: UUID, edge: EdgeOf) -> Response:
    """Take it out of the library; a file is forgotten with what was read of it."""
    store = LibraryStore(edge.database)
    await _source(store, source_id)
    await store.delete(source_id)
    return Response(status_code=204)


@router.get("/sources/{source_id}/file")
async def file(source_id: UUID, edge: EdgeOf) -> Response:
    """A file as it was given. A browser shows it, and runs nothing in it."""
    found = await LibraryStore(edge.database).file(source_id)
    if found is None:
        raise Problem(404, "unknown_source", f"There is no file {source_id}.")
    is_pdf = found.content_type == "application/pdf"
    headers = {"Content-Disposition": "inline", "X-Content-Type-Options": "nosniff", "Cache-Control": "private"}
    if not is_pdf:
        # The viewer of a browser for PDF documents does not work in a sandbox, and has one of its own.
        headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    media_type = found.content_type if is_pdf else "text/plain; charset=utf-8"
    return Response(found.body, media_type=media_type, headers=headers)


@router.get("/pages/{page_id}")
async def page(page_id: int, edge: EdgeOf, person: KnownPerson) -> WholePage:
    """A page that was read, as it was cut into passages. Of answers that cite one only the person's own are named."""
    store = LibraryStore(edge.database)
    found = await store.page(page_id) if 0 < page_id < 2**63 else None
    if found is None:
        raise Problem(404, "unknown_page", f"No page {page_id} was read.")
    return WholePage(
        pageId=found.page_id,
        url=found.url,
        title=found.title,
        checkedAt=found.checked_at,
        indexedAt=found.indexed_at,
        passages=[
            ShownPassage(
                passageId=each.passage_id,
                heading=each.heading,
                url=each.url,
                body=each.body,
                answers=each.answers,
                ownAnswers=each.own_answers,
            )
            for each in await store.passages(page_id, person)
        ],
        changes=[
            ShownChange(changedAt=each.changed_at, added=each.added, removed=each.removed)
            for each in await store.changes(page_id)
        ],
    )


async def _read(edge: Edge, store: LibraryStore, source_id: UUID) -> ShownSource:
    metadata = {"source_id": str(source_id)}
    await store.begin(source_id)
    try:
        run_id = await edge.gateway.start(SOURCE_WORKFLOW, SourceInput(source_id=source_id), metadata)
    except EngineError as error:
        # It stays, so that a file need not be given again.
        await store.finish(source_id, str(error))
        raise Problem(503, error.code, str(error)) from None
    await store.begin(source_id, run_id)
    return _shown(await _source(store, source_id))


async def _settle(edge: Edge, store: LibraryStore, source_id: UUID, run_id: str) -> None:
    """A run that was cancelled, or failed without a word, says nothing to its source, so whoever looks finds out."""
    try:
        error = await ended_badly(edge.gateway, run_id)
    except EngineError:
        return
    if error is not None:
        await store.finish(source_id, error)


async def _source(store: LibraryStore, source_id: UUID) -> Source:
    source = await store.get(source_id)
    if source is None:
        raise Problem(404, "unknown_source", f"There is no source {source_id} in the library.")
    return source


def _shown(source: Source) -> ShownSource:
    return ShownSource.model_validate(
        {
            "sourceId": source.source_id,
            "address": source_address(source.source_id),
            "kind": source.kind,
            "url": source.url,
            "status": source.status,
            "error": source.error,
            "runId": source.run_id,
            "pages": source.pages,
            "found": source.found,
            "rereadDays": source.reread_days,
            "createdAt": source.created_at,
            "readAt": source.read_at,
        }
    )
