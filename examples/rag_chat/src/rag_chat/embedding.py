"""Vectors of passages: who makes them, and making them without holding up an answer.

Owns who makes them: an embedding model of the model's server where it has one, else the one in this process, else
nobody. Owns the work in the background. A page that was just read is searched by words at once; a few vectors get a
few seconds, and what is not ready by then is made for the next question. One batch at a time, however many ask. What
was made is in Postgres, so whoever comes next goes on where an earlier one, or a killed worker, stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from rag_chat.errors import ChatError
from rag_chat.model import ModelClient
from rag_chat.page_store import PageStore

PATIENCE_S = 4.0
#: More than this are not ready within that time, so nobody waits for them.
WAITED_FOR_MAX = 64
BATCH_MAX = 32
PASSAGES_MAX = 20_000

Report = Callable[[str], Awaitable[None]]
logger = logging.getLogger(__name__)


class Embedder(Protocol):
    """Makes vectors. Those of one `name` can be compared."""

    @property
    def name(self) -> str: ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in order; raises ChatError."""
        ...


class ServerEmbedder:
    """An embedding model behind the model's server."""

    def __init__(self, client: ModelClient, model: str) -> None:
        self._client = client
        self._model = model

    @property
    def name(self) -> str:
        return self._model

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return await self._client.embed(self._model, texts)


def choose_embedder(client: ModelClient, server_model: str | None, local: Embedder | None) -> Embedder | None:
    """Who makes vectors now. The model a person pulled goes before the one that came with the chat."""
    return local if server_model is None else ServerEmbedder(client, server_model)


class Indexer:
    """One per worker; close it before the store's database."""

    def __init__(self, store: PageStore) -> None:
        self._store = store
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[bool]] = set()

    async def prepare(self, page_ids: Sequence[int], embedder: Embedder, report: Report) -> bool:
        """Whether all passages of these pages have a vector, after waiting a little for those that do not."""
        waiting = await self._store.count_unembedded(page_ids, embedder.name)
        if waiting == 0:
            return True
        work = asyncio.create_task(self._embed(tuple(page_ids), embedder))
        self._tasks.add(work)
        work.add_done_callback(self._tasks.discard)
        if waiting > WAITED_FOR_MAX:
            await report(f"Searching by words, while {waiting} passages are prepared to be found by meaning as well")
            return False
        await report(f"Preparing {waiting} passages to be found by meaning")
        await asyncio.wait({work}, timeout=PATIENCE_S)
        if not work.done():
            await report("Searching by words; the next question is also searched by meaning")
        return work.done() and not work.cancelled() and work.result()

    async def complete(self, page_ids: Sequence[int], embedder: Embedder) -> bool:
        """Make all that is missing, however long it takes; whether that succeeded."""
        return await self._embed(tuple(page_ids), embedder)

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _embed(self, page_ids: Sequence[int], embedder: Embedder) -> bool:
        """Make what is missing; False when the model failed, which costs its vote and nothing else."""
        try:
            for _batch in range(PASSAGES_MAX // BATCH_MAX):
                async with self._turn:
                    batch = await self._store.unembedded(page_ids, embedder.name, BATCH_MAX)
                    if not batch:
                        return True
                    vectors = await embedder.embed([text for _, text in batch])
                    await self._store.set_embeddings([identity for identity, _ in batch], vectors, embedder.name)
        except ChatError as error:
            logger.warning("searching by words only: %s", error)
        except Exception:
            # Nobody may be waiting any more, and then nobody would hear of it.
            logger.exception("embedding failed")
        return False
