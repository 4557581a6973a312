"""What the steps of one worker share: opened by the worker's lifespan, found at `ctx.lifespan`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from hatchet_sdk import Context

from rag_chat.database import Database, open_database
from rag_chat.embedding import Embedder, Indexer
from rag_chat.evaluation_store import EvaluationStore
from rag_chat.fetching import Fetcher
from rag_chat.library_store import LibraryStore
from rag_chat.local_embedding import LocalEmbedder
from rag_chat.model import ModelClient
from rag_chat.page_store import PageStore
from rag_chat.reading import SiteReader
from rag_chat.settings import Settings


@dataclass(frozen=True, slots=True)
class Resources:
    store: PageStore
    reader: SiteReader
    model: ModelClient
    indexer: Indexer
    evaluations: EvaluationStore
    library: LibraryStore
    # The embedding model in this process, where one is installed.
    local_embedder: Embedder | None = None


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    database: Database = await open_database(settings.database_url)
    fetcher = Fetcher(settings.reading, settings.allowed_private_hosts)
    model = ModelClient(settings.model)
    store = PageStore(database)
    indexer = Indexer(store)
    weights = settings.embedding_weights
    try:
        yield Resources(
            store=store,
            reader=SiteReader(fetcher, store, settings.reading),
            model=model,
            indexer=indexer,
            evaluations=EvaluationStore(database),
            library=LibraryStore(database),
            local_embedder=None if weights is None else LocalEmbedder(weights),
        )
    finally:
        await indexer.close()
        await model.close()
        await fetcher.close()
        await database.close()


def resources_of(ctx: Context) -> Resources:
    return cast(Resources, ctx.lifespan)
