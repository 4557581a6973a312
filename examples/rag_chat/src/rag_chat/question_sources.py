"""What one question is about: pages of the web, which are read now, and the library, which was read before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from rag_chat.errors import ChatError, PageEmpty
from rag_chat.library_store import LibraryStore, Source, SourcePage, source_id_in
from rag_chat.reading import ReadPage, ReadSite, Report
from rag_chat.resources import Resources

#: How long a question waits for a file or a site that was given a moment ago, and how often it looks.
LIBRARY_WAIT_S = 60.0
LOOK_EVERY_S = 0.25


async def read_all(
    resources: Resources, addresses: Sequence[str], question: str, report: Report, attempt: int = 1
) -> ReadSite:
    """All pages of these addresses, one address after the other. One that cannot be read costs only itself, as long as
    another can; raises the reason of the first when none can."""
    sites: list[ReadSite] = []
    failures: list[ChatError] = []
    for address in addresses:
        try:
            source_id = source_id_in(address)
            if source_id is None:
                sites.append(await resources.reader.read(address, question, report, attempt))
            else:
                sites.append(await _in_the_library(resources, source_id, report))
        except ChatError as error:
            # What may work at another try is tried again, before an answer does without it.
            if error.retryable and attempt == 1:
                raise
            failures.append(error)
    if not sites:
        raise failures[0]
    pages = {page.page_id: page for site in sites for page in site.pages}
    skipped = [str(failure) for failure in failures] + [sentence for site in sites for sentence in site.skipped]
    return ReadSite(tuple(pages.values()), tuple(skipped))


async def _in_the_library(resources: Resources, source_id: UUID, report: Report) -> ReadSite:
    source, pages = await _look(resources.library, source_id)
    if source is not None and source.status == "reading" and not pages:
        # It was given a moment ago. A large site is asked about with what there is of it so far.
        await report(f"Waiting until {source.url} has been read")
        with suppress(TimeoutError):
            async with asyncio.timeout(LIBRARY_WAIT_S):
                while source is not None and source.status == "reading" and not pages:
                    await asyncio.sleep(LOOK_EVERY_S)
                    source, pages = await _look(resources.library, source_id)
    if source is None:
        raise PageEmpty("What the question is about is not in the library any more.")
    if not pages:
        raise PageEmpty(f"{source.url} has not been read yet." if source.error is None else source.error)
    skipped = (f"{source.url} is still being read.",) if source.status == "reading" else ()
    return ReadSite(
        tuple(ReadPage(page.page_id, page.url, page.title, (), 0, indexed=False) for page in pages), skipped
    )


async def _look(library: LibraryStore, source_id: UUID) -> tuple[Source | None, list[SourcePage]]:
    return await library.get(source_id), await library.pages(source_id)
