"""Reading what is in the library, as durable runs.

    plan ──▶ read ──▶ rag-chat-source-page, once for each page; pages that are found on these come next

A page that was read is kept and belongs to its source at once, so progress survives whatever is killed. How often a
host is asked is a rate limit of the engine, so that it holds for all workers and all sources together. Each night a
cron reads again what is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from hatchet_sdk import Context, DurableContext, EmptyModel, Hatchet, NonRetryableException
from hatchet_sdk.rate_limit import RateLimit, RateLimitDuration
from hatchet_sdk.runnables.workflow import BaseWorkflow, Standalone, Workflow
from pydantic import BaseModel, ConfigDict

from rag_chat.crawling import belonging, read_sitemap, robots_rules, sitemaps_in
from rag_chat.embedding import choose_embedder
from rag_chat.errors import ChatError, PageEmpty
from rag_chat.fetching import FetchedPage
from rag_chat.library_store import Source, SourceKind, source_address
from rag_chat.resources import Resources, resources_of

SOURCE_WORKFLOW = "rag-chat-source"
PAGE_TASK = "rag-chat-source-page"
REREAD_TASK = "rag-chat-reread"
REREAD_CRON = "23 3 * * *"
ROBOTS_CHARS_MAX = 100_000
LINKS_PER_PAGE_MAX = 400
#: How far from the address that was given pages are followed by their links.
DEPTH_MAX = 5
PAGES_PER_HOST_AND_SECOND = 2
SITEMAPS_READ_MAX = 5


class SourceInput(BaseModel):
    model_config = ConfigDict(frozen=True)

    source_id: UUID


class Plan(BaseModel):
    """Where reading begins. `by_links` says that there is no sitemap, so pages are found by their links."""

    kind: SourceKind
    url: str
    pages_max: int
    urls: list[str]
    by_links: bool
    robots: str = ""
    file_page_id: int | None = None


class PageInput(BaseModel):
    """A page to read, for a source of the library, or for one answer when it names none."""

    model_config = ConfigDict(frozen=True)

    source_id: UUID | None = None
    url: str
    host: str


class PageOutcome(BaseModel):
    """A page, or why it could not be read."""

    page_id: int | None = None
    links: list[str] = []
    error: str | None = None


class SourceRead(BaseModel):
    pages: int
    skipped: list[str]


class Reread(BaseModel):
    sources: int


@dataclass(frozen=True, slots=True)
class Library:
    """What a worker runs for the library."""

    workflow: Workflow[SourceInput]
    page: Standalone[PageInput, PageOutcome]
    reread: Standalone[EmptyModel, Reread]

    def workflows(self) -> list[BaseWorkflow[Any]]:
        return [self.workflow, self.page, self.reread]


def build_library(hatchet: Hatchet) -> Library:
    """Declare them on a client."""

    @hatchet.task(
        name=PAGE_TASK,
        description="Reads one page, for a source of the library or for a thorough answer.",
        input_validator=PageInput,
        execution_timeout=timedelta(minutes=2),
        schedule_timeout=timedelta(hours=6),
        retries=2,
        backoff_factor=2.0,
        backoff_max_seconds=30,
        rate_limits=[
            RateLimit(
                dynamic_key="'read:' + input.host",
                units=1,
                limit=PAGES_PER_HOST_AND_SECOND,
                duration=RateLimitDuration.SECOND,
            )
        ],
    )
    async def page(asked: PageInput, ctx: Context) -> PageOutcome:
        """Read a page and index it; what cannot be read is an outcome, since it costs only itself."""
        resources = resources_of(ctx)
        try:
            found = await resources.reader.read_page(asked.url)
        except ChatError as error:
            if error.retryable and ctx.attempt_number < ctx.max_attempts:
                raise
            return PageOutcome(error=str(error))
        if asked.source_id is not None:
            await resources.library.add_page(asked.source_id, found.page_id)
        return PageOutcome(page_id=found.page_id, links=[link.url for link in found.links[:LINKS_PER_PAGE_MAX]])

    workflow = hatchet.workflow(
        name=SOURCE_WORKFLOW,
        description="Reads a source of the library: a page, a whole site, or a file.",
        input_validator=SourceInput,
    )

    @workflow.task(name="plan", execution_timeout=timedelta(minutes=5), schedule_timeout=timedelta(hours=1), retries=2)
    async def plan(asked: SourceInput, ctx: Context) -> Plan:
        """Find out where to begin: robots.txt, the sitemap. A file is read at once."""
        resources = resources_of(ctx)
        source = await resources.library.get(asked.source_id)
        if source is None:
            raise NonRetryableException("This source is not in the library any more.")
        await resources.library.begin(source.source_id)
        try:
            return await _plan(resources, source)
        except ChatError as error:
            if error.retryable and ctx.attempt_number < ctx.max_attempts:
                raise
            await resources.library.finish(source.source_id, str(error))
            raise NonRetryableException(str(error)) from None

    @workflow.durable_task(
        name="read",
        parents=[plan],
        execution_timeout=timedelta(hours=12),
        schedule_timeout=timedelta(hours=1),
        retries=3,
    )
    async def read(asked: SourceInput, ctx: DurableContext) -> SourceRead:
        """Read page after page, those of one depth side by side, until there are no more or enough."""
        begun = ctx.task_output(plan)
        library = resources_of(ctx).library
        page_ids = [] if begun.file_page_id is None else [begun.file_page_id]
        rules = robots_rules(begun.robots)
        skipped: list[str] = []
        known: list[str] = []
        frontier = begun.urls
        for _depth in range(DEPTH_MAX + 1):
            if not frontier:
                break
            known += frontier
            await library.set_found(asked.source_id, len(known))
            children = [
                page.create_bulk_run_item(
                    PageInput(source_id=asked.source_id, url=url, host=urlsplit(url).netloc), child_key=url
                )
                for url in frontier
            ]
            outcomes = await page.aio_run_many(children)
            page_ids += [outcome.page_id for outcome in outcomes if outcome.page_id is not None]
            skipped += [outcome.error for outcome in outcomes if outcome.error is not None]
            links = (link for outcome in outcomes for link in outcome.links)
            room = begun.pages_max - len(known)
            frontier = belonging(links, begun.url, rules, known, room) if begun.by_links else []
        await library.keep_pages(asked.source_id, page_ids)
        if not page_ids:
            error = skipped[0] if skipped else f"{begun.url} was not read: robots.txt asks readers not to."
            await library.finish(asked.source_id, error)
            raise NonRetryableException(error)
        await library.set_found(asked.source_id, len(known) or 1)
        await library.finish(asked.source_id)
        return SourceRead(pages=len(page_ids), skipped=skipped)

    @workflow.task(
        name="embed",
        parents=[read],
        execution_timeout=timedelta(hours=2),
        schedule_timeout=timedelta(hours=1),
        retries=2,
    )
    async def embed(asked: SourceInput, ctx: Context) -> EmptyModel:
        """Make the vectors, so that the first question about it is searched by meaning."""
        resources = resources_of(ctx)
        view = await resources.model.look()
        embedder = choose_embedder(resources.model, view.embedding_model, resources.local_embedder)
        pages = [each.page_id for each in await resources.library.pages(asked.source_id)]
        if embedder is not None and not await resources.indexer.complete(pages, embedder):
            ctx.log(f"{embedder.name} failed to embed the passages; they are found by words.")
        return EmptyModel()

    @hatchet.task(
        name=REREAD_TASK,
        description="Begins to read again what is due in the library.",
        on_crons=[REREAD_CRON],
        execution_timeout=timedelta(minutes=5),
        retries=2,
    )
    async def reread(asked: EmptyModel, ctx: Context) -> Reread:
        """Start a run for each source that is due, without waiting for it."""
        due = await resources_of(ctx).library.due()
        for source_id in due:
            await workflow.aio_run(SourceInput(source_id=source_id), wait_for_result=False, child_key=str(source_id))
        return Reread(sources=len(due))

    return Library(workflow, page, reread)


async def _plan(resources: Resources, source: Source) -> Plan:
    if source.kind is SourceKind.FILE:
        page_id = await _read_file(resources, source)
        return Plan(kind=source.kind, url=source.url, pages_max=1, urls=[], by_links=False, file_page_id=page_id)
    if source.kind is SourceKind.PAGE:
        return Plan(kind=source.kind, url=source.url, pages_max=1, urls=[source.url], by_links=False)
    robots = (await resources.reader.robots_text(source.url))[:ROBOTS_CHARS_MAX]
    rules = robots_rules(robots)
    listed: list[str] = []
    sitemaps = sitemaps_in(robots, source.url)
    for _sitemap in range(SITEMAPS_READ_MAX):
        if not sitemaps:
            break
        body = await resources.reader.fetch_if_there(sitemaps.pop(0))
        pages, further = read_sitemap(body)
        listed += pages
        sitemaps += further
    first = belonging([source.url], source.url, rules, [], 1)
    urls = first + belonging(listed, source.url, rules, first, source.pages_max - len(first))
    return Plan(
        kind=source.kind,
        url=source.url,
        pages_max=source.pages_max,
        urls=urls,
        by_links=len(urls) <= 1,
        robots=robots,
    )


async def _read_file(resources: Resources, source: Source) -> int:
    """A file becomes a page whose passages lead to the file."""
    file = await resources.library.file(source.source_id)
    if file is None:
        raise PageEmpty("This file is not in the library any more.")
    found = FetchedPage(f"/sources/{source.source_id}/file", file.content_type, "utf-8", file.body, None, None)
    page_id = await resources.reader.keep(source_address(source.source_id), found, file.name)
    await resources.library.add_page(source.source_id, page_id)
    return page_id
