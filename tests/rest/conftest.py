"""A real HTTP server over a real database, with rows written the way the journal writes them.

The engine behind the port is the one part that is not real here: it records the commands it is given. What the engine
makes of them is tested with the engine.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import argon2
import asyncpg
import httpx
import msgspec
import pytest
from fastapi import FastAPI

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.asked import Initiator
from broadaxe.core.commands.events import PushEvents
from broadaxe.core.commands.quotas import ShowQuotas
from broadaxe.core.definition import TaskSpec, WorkflowDefinition, WorkflowSpec, normalise
from broadaxe.core.questions import AnswerT, Question
from broadaxe.engine.changes import ChangeFeed, ChangeSubscription, Kind
from broadaxe.loops import Loops
from broadaxe.mail import Mailer
from broadaxe.rest.app import create_http_app, settle
from broadaxe.rest.server import HttpServer
from broadaxe.rest.settings import HttpSettings
from broadaxe.storage import accounts
from broadaxe.storage.ids import new_id
from broadaxe.storage.token_verifier import TokenVerifier
from broadaxe.storage.tokens import create_token
from tests.core.world import World

PASSWORD = "Correct-horse-7"


#: A cheap hash of PASSWORD: the parameters travel in the hash, so checking it is cheap as well.
PASSWORD_HASH = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


async def make_account(pool: asyncpg.Pool, name: str, email: str) -> accounts.Account:
    """An account with PASSWORD, without the deliberate slowness of registering one."""
    insert = "insert into broadaxe.account (id, email, name, password_hash) values ($1, $2, $3, $4)"
    await pool.execute(insert, new_id(), email, name, PASSWORD_HASH)
    return await accounts.login(pool, email, PASSWORD)


class Seeds:
    """Writes rows of one tenant."""

    def __init__(self, pool: asyncpg.Pool, tenant_id: str) -> None:
        self.pool = pool
        self.tenant_id = tenant_id
        self.now = datetime.now(UTC)

    async def workflow(
        self, name: str, tasks: tuple[TaskSpec, ...], **spec: Any
    ) -> tuple[str, str, WorkflowDefinition]:
        definition = normalise(WorkflowSpec(name=name, tasks=tasks, **spec), new_id)
        workflow_id, version_id = new_id(), new_id()
        await self._insert(
            "workflow", id=workflow_id, name=name, created_at=self.now, updated_at=self.now, description="what it does"
        )
        await self._insert(
            "workflow_version",
            id=version_id,
            workflow_id=workflow_id,
            ordinal=1,
            label="v1",
            checksum="00",
            definition=msgspec.json.encode(definition).decode(),
            created_at=self.now,
        )
        return workflow_id, version_id, definition

    async def account(self, name: str, email: str) -> accounts.Account:
        return await make_account(self.pool, name, email)

    async def single(self, name: str = "greet") -> tuple[str, str, WorkflowDefinition]:
        return await self.workflow(name, (TaskSpec(name=name, action_id=f"{name}:{name}"),))

    async def run(self, made: tuple[str, str, WorkflowDefinition], **columns: Any) -> str:
        """A run; with `task={...}` also the task of a single-task run."""
        workflow_id, version_id, definition = made
        task = columns.pop("task", None)
        run_id = columns.pop("id", None) or new_id()
        metadata = columns.pop("metadata", None)
        row: dict[str, Any] = {
            "id": run_id,
            "workflow_id": workflow_id,
            "workflow_version_id": version_id,
            "is_dag": definition.is_dag,
            "display_name": f"{definition.name}-1",
            "status": "QUEUED",
            "priority": 1,
            "input": "{}",
            "created_at": self.now,
            "additional_metadata": None if metadata is None else json.dumps(metadata),
        } | columns
        if row["status"] in ("COMPLETED", "FAILED", "CANCELLED"):
            row.setdefault("started_at", self.now)
            row.setdefault("finished_at", self.now + timedelta(seconds=2))
        await self._insert("run", **row)
        if task is not None:
            await self.task(made, run_id, definition.tasks[0].name, id=run_id, **task)
        return run_id

    async def task(self, made: tuple[str, str, WorkflowDefinition], run_id: str, name: str, **columns: Any) -> str:
        workflow_id, _, definition = made
        declared = next(task for task in definition.tasks if task.name == name)
        row: dict[str, Any] = {
            "id": new_id(),
            "run_id": run_id,
            "workflow_id": workflow_id,
            "definition_id": declared.id,
            "name": name,
            "action_id": declared.action_id,
            "display_name": f"{name}-1",
            "status": "QUEUED",
            "queue_priority": 1,
            "event_count": 0,
            "created_at": self.now,
            "queued_at": self.now,
        } | columns
        if row["status"] == "RUNNING":
            row.setdefault("assigned_at", self.now)
        if row["status"] in ("COMPLETED", "SKIPPED", "FAILED", "CANCELLED"):
            row.setdefault("started_at", self.now)
            row.setdefault("finished_at", self.now + timedelta(seconds=2))
        await self._insert("task", **row)
        return str(row["id"])

    async def history(self, task_id: str, *entries: tuple[str, int] | tuple[str, int, dict[str, Any]]) -> None:
        """Entries as (type, retry_count[, more columns]), one second apart."""
        for seq, (kind, retry_count, *more) in enumerate(entries, 1):
            columns = {"at": self.now + timedelta(seconds=seq)} | (more[0] if more else {})
            await self._insert("task_event", task_id=task_id, seq=seq, type=kind, retry_count=retry_count, **columns)

    async def worker(self, **columns: Any) -> str:
        row: dict[str, Any] = {
            "id": new_id(),
            "name": "worker-a",
            "actions": ["greet:greet"],
            "slots": json.dumps({"default": 10}),
            "labels": json.dumps({"gpu": 2}),
            "runtime": json.dumps({"language": "PYTHON", "sdkVersion": "1.43.1", "os": "linux"}),
            "created_at": self.now,
            "updated_at": self.now,
            "last_heartbeat_at": self.now,
        } | columns
        await self._insert("worker", **row)
        return str(row["id"])

    async def event(self, key: str, **columns: Any) -> str:
        row: dict[str, Any] = {"id": new_id(), "key": key, "payload": '{"n":1}', "seen_at": self.now} | columns
        await self._insert("event", **row)
        return str(row["id"])

    async def _insert(self, table: str, **columns: Any) -> None:
        columns["tenant_id"] = self.tenant_id
        places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
        await self.pool.execute(
            f"insert into broadaxe.{table} ({', '.join(columns)}) values ({places})", *columns.values()
        )


@dataclass
class RecordingEngine:
    """The engine port: keeps what it is given, answers what the test says."""

    commands: list[tuple[str, Command]] = field(default_factory=list)
    asked_by: list[Initiator | None] = field(default_factory=list)
    answer: Callable[[Command], Awaitable[Reply]] | None = None
    ready: bool = True
    feed: ChangeFeed = field(default_factory=lambda: ChangeFeed(time.monotonic))
    is_unfollowed: asyncio.Event = field(default_factory=asyncio.Event)

    def follow_changes(self, tenant_id: str) -> ChangeSubscription:
        return self.feed.follow()

    def unfollow_changes(self, tenant_id: str, subscription: ChangeSubscription) -> None:
        self.feed.unfollow(subscription)
        self.is_unfollowed.set()

    def note_change(self, tenant_id: str, kind: Kind, ids: Iterable[str] | None = None) -> None:
        self.feed.note(kind, ids)

    memories: dict[str, World] = field(default_factory=dict)
    """What `ask` is answered from, by tenant: nothing is in memory of others."""

    async def ask(self, tenant_id: str, question: Question[AnswerT]) -> AnswerT:
        memory = self.memories.setdefault(tenant_id, World())
        return memory.tenant.answer(question, memory.now_us)

    async def submit(self, tenant_id: str, command: Command, *, by: Initiator | None = None) -> Reply:
        # Whatever people or programs change over HTTP says who they are; a webhook's sender is nobody of ours.
        assert by is not None or isinstance(command, ShowQuotas | PushEvents), command
        self.commands.append((tenant_id, command))
        self.asked_by.append(by)
        return None if self.answer is None else await self.answer(command)

    def is_ready(self) -> bool:
        return self.ready


@dataclass
class Site:
    """A running server and what a test needs to talk to it."""

    url: str
    engine: RecordingEngine
    seeds: Seeds
    owner: accounts.Account
    token: str
    client: httpx.AsyncClient
    """Sends the token."""
    anonymous: httpx.AsyncClient
    app: FastAPI

    @property
    def tenant(self) -> str:
        return f"/api/v1/tenants/{self.seeds.tenant_id}"

    @property
    def stable(self) -> str:
        return f"/api/v1/stable/tenants/{self.seeds.tenant_id}"

    async def stranger(self) -> dict[str, str]:
        """Headers of somebody of another tenant."""
        account = await self.seeds.account("Eve", "eve@example.com")
        theirs = await accounts.create_tenant(self.seeds.pool, "Eve's", "eve", account.id)
        issued = await create_token(self.seeds.pool, theirs.id, "t", 60, self.url, "127.0.0.1:2")
        return {"Authorization": f"Bearer {issued.token}"}


Serve = Callable[..., Awaitable[Site]]


@pytest.fixture
async def serve(pool: asyncpg.Pool, tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts a server; keyword arguments are fields of HttpSettings, `open_mode` switches the login off, and the server
    asks the database `through` another pool and sends mails by `mailer`."""
    servers: list[HttpServer] = []
    background = Loops("tests")
    clients: list[httpx.AsyncClient] = []

    async def start(
        *, open_mode: bool = False, through: Any = pool, mailer: Mailer | None = None, **settings: Any
    ) -> Site:
        owner = await make_account(pool, "Ada", "ada@example.com")
        tenant = await accounts.create_tenant(pool, "Default", "default", owner.id)
        engine = RecordingEngine()
        if open_mode:
            settings["open_account_id"] = owner.id
        wanted = HttpSettings(server_url="http://127.0.0.1:1", grpc_address="127.0.0.1:2", **settings)
        app = create_http_app(
            pool=through,
            engine=engine,
            verifier=TokenVerifier(through),
            settings=wanted,
            mailer=mailer,
            background=background,
        )
        server = HttpServer(grace_s=1)
        servers.append(server)
        url = f"http://127.0.0.1:{await server.start(app, '127.0.0.1', 0)}"
        settle(app, replace(wanted, server_url=url))
        issued = await create_token(pool, tenant.id, "tests", 3600, url, "127.0.0.1:2")
        # A busy machine is slow; no test measures how fast an answer comes.
        bearer = httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {issued.token}"}, timeout=60)
        anonymous = httpx.AsyncClient(base_url=url, timeout=60)
        clients.extend((bearer, anonymous))
        return Site(url, engine, Seeds(pool, tenant.id), owner, issued.token, bearer, anonymous, app)

    yield start
    for client in clients:
        await client.aclose()
    for server in servers:
        await server.stop()
    await background.close()


@pytest.fixture
async def site(serve: Serve) -> Site:
    return await serve()
