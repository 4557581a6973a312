"""Wires an engine process together: Postgres, schema, engine, gRPC edge, HTTP edge. The only place that knows them all.

Start order: database, pools, HTTP (answers `live`), engine, gRPC (workers may come), `ready`. Stop order:
gRPC first, so that streams end with OK and what they had not sent goes back to the queue; then HTTP, engine (commits
what it accepted, gives its leases back), logs and spans, pools, Postgres.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from broadaxe import dev_secrets
from broadaxe.alerting.lookout import AlertLookout
from broadaxe.alerting.pump import AlertPump
from broadaxe.alerting.sending import Sender
from broadaxe.config import DEFAULT_HOST, Settings
from broadaxe.core.durations import US_PER_S
from broadaxe.database import Access, Database, no_connection
from broadaxe.engine.changes import Kind
from broadaxe.engine.clock import Clock, SystemClock
from broadaxe.engine.edge_store import EdgeStore
from broadaxe.engine.engine import Engine
from broadaxe.engine.postgres_store import PostgresStore
from broadaxe.errors import ConfigurationError, PermissionDenied, Unauthenticated
from broadaxe.example import ExampleWorker
from broadaxe.loops import Loops
from broadaxe.mail import Mailer
from broadaxe.metrics import Tallies, Tally, observer
from broadaxe.parts import Part
from broadaxe.rest.edge import HttpEdge
from broadaxe.rest.server import HttpServer
from broadaxe.rest.settings import Entry, HttpSettings
from broadaxe.rpc.askers import Askers
from broadaxe.rpc.audited import AuditedCallers
from broadaxe.rpc.http2.carrier import Http2Carrier, server_tls_context
from broadaxe.rpc.services.admin import AdminService
from broadaxe.rpc.services.dispatcher import DispatcherService
from broadaxe.rpc.services.durable import DurableService
from broadaxe.rpc.services.events import EventsService
from broadaxe.rpc.services.health import HealthService
from broadaxe.rpc.services.session import SessionService
from broadaxe.rpc.services.streams import StreamsService
from broadaxe.rpc.services.traces import TraceService
from broadaxe.rpc.services.workflows import WorkflowService
from broadaxe.rpc.transport import Metadata, Principal
from broadaxe.secret_keys import key_from_file
from broadaxe.storage import accounts, audit, retention, setup, tenant_deletion, tokens
from broadaxe.storage.accounts import Role
from broadaxe.storage.alerts import Alerts
from broadaxe.storage.audit_groups import AuditGroups
from broadaxe.storage.connections import connect, connection_pool
from broadaxe.storage.embedded import MAIN_DATABASE
from broadaxe.storage.event_reads import EventReads
from broadaxe.storage.ids import drawn_by
from broadaxe.storage.journal import CONNECTION_SETTINGS
from broadaxe.storage.logs import LogStore
from broadaxe.storage.outage import OUTAGE, UNANSWERED
from broadaxe.storage.outbox import Outbox, OutboxListener, OutboxLookout
from broadaxe.storage.partitions import ensure_partitions
from broadaxe.storage.read_replica import ReadReplica
from broadaxe.storage.reads import POOL_SETTINGS, Reads
from broadaxe.storage.revocations import Revocations
from broadaxe.storage.spans import SpanStore
from broadaxe.storage.statements import statement
from broadaxe.storage.token_addresses import TokenAddresses
from broadaxe.storage.token_verifier import TokenVerifier
from broadaxe.storage.topics import StreamPayloads
from broadaxe.storage.vault import Vault

if TYPE_CHECKING:
    from fastapi import FastAPI

    from broadaxe.link.host import Host
    from broadaxe.link.tls import LinkTls
    from broadaxe.link.visitor import Visitor

GRPC_GRACE_S: Final = 5.0
JOURNAL_CONNECTIONS_MAX: Final = 8
READ_CONNECTIONS_MAX: Final = 10
#: How often partitions are made ahead and old ones dropped; both go by days, so nothing depends on the exact moment.
PARTITIONS_EVERY_S: Final = 6 * 3600.0
PARTITIONS_AGAIN_AFTER_S: Final = 60.0

SECRET_KEY_FILE: Final = "secret.key"

DEV_TENANT_NAME: Final = "Development"
DEV_TENANT_SLUG: Final = "dev"
DEV_EMAIL: Final = "admin@example.com"
DEV_TOKEN_NAME: Final = "broadaxe dev"
DEV_TOKEN_LIFE_S: Final = 365 * 86_400
ENTRY_KEY_BYTES: Final = 16

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DevCredentials:
    """`password` is None when the account was there already and its password is not known any more."""

    tenant_id: str
    email: str
    password: str | None
    token: str
    entry_key: str
    """What lets a browser in, by the link of `rest/entry.py`."""


class App:
    """A running engine process. Create it with `await App.start(settings)`."""

    engine: Engine
    """Once it has started."""

    def __init__(
        self, settings: Settings, database: Database, part: Part | None = None, clock: Clock | None = None
    ) -> None:
        self.settings = settings
        self._part = part
        self._clock = clock or SystemClock()
        self._decides = part is None or part.edge is None
        self._has_edges = part is None or part.edge is not None
        self._stack = contextlib.AsyncExitStack()
        self._revocations = Revocations()
        self._stack.push_async_callback(database.close)
        self._database = database
        self._pool: asyncpg.Pool
        self._verifier: TokenVerifier
        self._http: HttpEdge
        self._dev: tuple[accounts.Tenant, accounts.Account, str | None] | None = None
        self._stopped = False

    @property
    def grpc_address(self) -> str:
        return self.settings.grpc_address

    @property
    def http_url(self) -> str:
        return self.settings.http_url

    @classmethod
    async def start(
        cls,
        settings: Settings,
        database: Database | None = None,
        part: Part | None = None,
        clock: Clock | None = None,
    ) -> App:
        """Returns once workers and people can connect. Cleans up after itself if it fails or is cancelled.

        `part`: which one of a node that runs in several processes; None when this process is all of it.

        `database` is the one of these settings, which may be opening already; from here on it is the engine's to
        close.
        """
        app = cls(settings, database or Database(settings), part, clock)
        try:
            await app._start()
        except BaseException:
            await app.stop()
            raise
        return app

    async def _start(self) -> None:
        stack, settings = self._stack, self.settings
        access = await self._database.ready()
        pool = self._pool = await stack.enter_async_context(
            _pool(access, READ_CONNECTIONS_MAX, {**POOL_SETTINGS, "application_name": "broadaxe"})
        )
        verifier = self._verifier = TokenVerifier(pool, self._revocations)
        stack.push_async_callback(verifier.stop)
        clock = self._clock
        tallies = Tallies()
        store = await self._store(access, pool)
        # A private database has one engine.
        visitor = None if settings.embedded else await self._visitor(store)
        engine = self.engine = Engine(
            store,
            clock=clock,
            fresh_id=drawn_by(clock.now_us),
            observe=observer(tallies),
            prioritise_across_queues=settings.priority_across_tasks,
            cron_catch_up_us=settings.cron_catch_up_minutes * 60 * US_PER_S,
            enforce_quotas=settings.enforce_limits,
            retention_days=settings.retention_days,
            connect=visitor,
            nodes=store.nodes if visitor is not None and self._decides else None,
            is_reached=self._is_reached(visitor),
        )
        logs = LogStore(pool, lambda tenant_id, ids: engine.note_change(tenant_id, Kind.LOGS, ids))
        logs.start()
        stack.push_async_callback(logs.stop)
        spans = SpanStore(pool, lambda tenant_id, ids: engine.note_change(tenant_id, Kind.TRACES, ids))
        spans.start()
        stack.push_async_callback(spans.stop)
        replica = None
        if access.read_dsn is not None:
            replica = await stack.enter_async_context(_replica(access, pool))
        reads = Reads(pool)
        open_account_id = None
        if settings.embedded or not settings.require_login:
            open_account_id = await self._ensure_dev(pool)
        parts = None if visitor is None or self._part is None else _Parts(self._part, visitor)
        http = HttpServer()
        background = Loops("http")
        stack.push_async_callback(background.close)
        mailer = _mailer(settings)
        example = None
        if settings.embedded and settings.loopback_only and settings.tls_certificate is None:
            example = ExampleWorker(settings.data_dir)
            stack.push_async_callback(example.stop)

        def http_app(settings: HttpSettings) -> FastAPI:
            from broadaxe.rest.app import create_http_app

            return create_http_app(
                pool=pool,
                replica=replica,
                example=example,
                mailer=mailer,
                background=background,
                engine=engine,
                verifier=verifier,
                revocations=self._revocations,
                tallies=tallies,
                parts=parts,
                settings=settings,
            )

        edge = self._http = HttpEdge(
            HttpSettings(
                server_url=settings.http_url,
                grpc_address=settings.grpc_address,
                tls_strategy=settings.tls_strategy,
                open_account_id=None if settings.require_login else open_account_id,
                is_cookie_secure=settings.http_url.startswith("https://"),
                openid_providers=settings.openid_providers,
                secret_keys=_secret_keys(settings),
                enforce_limits=settings.enforce_limits,
                retention_days=settings.retention_days,
                trusted_proxies=settings.trusted_proxies,
                alert_networks=settings.alert_networks,
            ),
            http_app,
        )
        if visitor is not None:
            # Stopped after the engine, which tells the others before it goes.
            stack.push_async_callback(visitor.close)
            if self._decides:
                host = await self._host_of_links(engine, store, tallies)
                stack.push_async_callback(host.stop)
        stack.push_async_callback(engine.stop)
        http_port = settings.http_port
        if settings.serve_http and self._has_edges:
            shares_port = self._part is not None
            http_port = await http.start(edge, settings.host, settings.http_port, shares_port=shares_port)
            stack.push_async_callback(http.stop)
            stack.callback(edge.end_streams)
        await engine.start()
        if self._decides:
            await self._look_after(access, pool, engine)
        if not self._has_edges:
            stack.push_async_callback(engine.leave)
            return
        askers = Askers(engine)
        methods = [
            *DispatcherService(engine, reads, clock).methods(),
            *AdminService(engine, reads, askers).methods(),
            *WorkflowService(engine, askers).methods(),
            *EventsService(engine, EventReads(pool), logs).methods(),
            *TraceService(spans).methods(),
            *DurableService(engine).methods(),
            *StreamsService(engine, StreamPayloads(pool)).methods(),
            *SessionService(engine, logs, clock).methods(),
        ]
        refusals = AuditGroups(pool)
        stack.callback(refusals.close)
        carrier = Http2Carrier(
            [*methods, *HealthService(engine.is_ready, methods).methods()],
            self._authenticate,
            settings.host,
            settings.grpc_port,
            tls=_tls(settings),
            watch=self._watch,
            witness=AuditedCallers(refusals, TokenAddresses(pool, background), background),
            shares_port=self._part is not None,
        )
        stack.push_async_callback(carrier.stop, GRPC_GRACE_S)
        grpc_port = await carrier.start()
        self.settings = replace(settings, grpc_port=grpc_port, http_port=http_port)
        edge.readdress(server_url=self.http_url, grpc_address=self.grpc_address)
        # First of all at a stop: clients here go on by way of the nodes that have the tenants then.
        stack.push_async_callback(engine.leave)

    async def _store(self, access: Access, pool: asyncpg.Pool) -> PostgresStore:
        settings, part = self.settings, self._part
        if part is not None and not self._decides:
            return EdgeStore(pool=pool, node_id=part.node_id, link_address=part.link_address)
        opening = _pool(access, JOURNAL_CONNECTIONS_MAX, CONNECTION_SETTINGS)
        return PostgresStore(
            journal_pool=await self._stack.enter_async_context(opening),
            pool=pool,
            node_id=_node_id(settings) if part is None else part.node_id,
            address=settings.grpc_address,
            with_quotas=settings.enforce_limits,
            connect=_node_session(access),
        )

    async def _visitor(self, store: PostgresStore) -> Visitor:
        from broadaxe.link.visitor import Visitor

        return Visitor(await store.link_secret(), self._link_tls())

    def _link_tls(self) -> LinkTls | None:
        from broadaxe.link.tls import link_tls

        settings = self.settings
        return link_tls(settings.link_tls_certificate, settings.link_tls_key, settings.link_tls_ca)

    def _is_reached(self, visitor: Visitor | None) -> Callable[[], bool]:
        """Whether whoever decides can be asked."""
        if visitor is None or self._part is None or self._decides:
            return lambda: True
        home = self._part.link_address
        visitor.keep((home,), lambda: None)
        return lambda: visitor.is_open(home)

    async def _look_after(self, access: Access, pool: asyncpg.Pool, engine: Engine) -> None:
        """What goes on in the background, once in a node."""
        keeping = asyncio.create_task(_keep_partitions(pool, engine, self.settings), name="partitions")
        self._stack.push_async_callback(_cancelled, keeping)
        alerts = Alerts(pool, Vault(_secret_keys(self.settings)))
        pump = AlertPump(
            alerts,
            Sender(self.settings.alert_networks, lambda: self.http_url, _mailer(self.settings)),
            lambda tenant_id: engine.note_change(tenant_id, Kind.ALERTS),
        )
        self._stack.push_async_callback(pump.stop)
        pump.start()
        lookout = AlertLookout(alerts, engine.submit)
        self._stack.push_async_callback(lookout.stop)
        lookout.start()
        sweeping = Loops("deleted tenants")
        self._stack.push_async_callback(sweeping.close)
        sweeping.go("sweep what was left", _sweep_tenants(pool))

        def deleted(tenant_id: str) -> None:
            engine.tenant_deleted(tenant_id)
            sweeping.go(f"sweep {tenant_id}", _sweep_tenants(pool))

        listener: OutboxListener | OutboxLookout
        if access.session_dsn is None:

            def unsure() -> None:
                engine.outbox_unsure()
                pump.tell()

            listener = OutboxLookout(Outbox(pool), unsure)
        else:
            listener = OutboxListener(
                access.session_dsn,
                engine.outbox_told,
                engine.outbox_unsure,
                engine.quotas_told,
                self._revocations,
                pump.tell,
                deleted,
            )
        self._stack.push_async_callback(listener.stop)
        await listener.start()

    async def _host_of_links(self, engine: Engine, store: PostgresStore, tallies: Tallies) -> Host:
        """Where the other nodes on this database reach the tenants of this one."""
        from broadaxe.link.host import Host

        settings = self.settings
        host = Host(engine, await store.link_secret(), tallies)
        if self._part is not None:
            await host.start_for_edges(self._part.socket)
        port = await host.start(settings.host, settings.link_port, self._link_tls())
        store.reached_at(settings.public_link or f"{await _own_address(settings, self._pool)}:{port}")
        return host

    async def bootstrap_dev(self, *, is_passing: bool = False) -> DevCredentials:
        """The development tenant, account and token; made on first use, the same ever after.

        A token names the addresses of the engine, so other addresses need another one. With `is_passing` nobody goes on
        using this one when that happens, and it is removed then.
        """
        if self._dev is None:
            await self._ensure_dev(self._pool)
        assert self._dev is not None
        tenant, account, password = self._dev
        token = await self._dev_token(tenant.id, is_passing)
        entry_key = self._entry_key()
        self._http.admit(Entry(account.id, entry_key), f"hatchet-{self.settings.http_port}")
        return DevCredentials(tenant.id, account.email, password, token, entry_key)

    async def offer_setup(self) -> None:
        """Where nobody can log in yet, says in the log how the first account is made."""
        code = await setup.new_code(self._pool)
        if code is not None:
            _log.warning(
                "nobody can log in yet: open the page and give the code", page=f"{self.http_url}/setup", code=code
            )

    async def database_dsn(self, name: str = MAIN_DATABASE) -> str:
        """The URL, for other programs, of a database on the embedded server, which is made if it is missing."""
        return await self._database.dsn_of(name)

    async def run_until(self, stop: asyncio.Event) -> None:
        """Serve until then. What was left out to be ready soon is imported now."""
        if self.settings.serve_http and self._has_edges and not stop.is_set():
            self._http.load()
        await stop.wait()

    async def stop(self) -> None:
        """Stops in the reverse order of the start. Safe to call twice."""
        if not self._stopped:
            self._stopped = True
            await self._stack.aclose()

    async def _authenticate(self, metadata: Metadata) -> Principal:
        header = metadata.get("authorization")
        if not isinstance(header, str):
            raise Unauthenticated("the call carries no token; set HATCHET_CLIENT_TOKEN")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("the token is not valid")
        found = self._verifier.cached(token) or await self._verifier.verify(token)
        if found.topic is not None:
            raise PermissionDenied(f"this token reads the topic {found.topic.name!r} over HTTP and does nothing else")
        may_change = found.role.reaches(Role.MEMBER)
        return Principal(found.tenant_id, found.token_id, found.expires_at, may_change)

    def _watch(self, principal: Principal, on_end: Callable[[], None]) -> Callable[[], None]:
        return self._verifier.watch(principal.token_id, principal.expires_at, on_end)

    async def _ensure_dev(self, pool: asyncpg.Pool) -> str:
        path = dev_secrets.place(self.settings.data_dir)
        kept = dev_secrets.read(path)
        password = kept.password or f"Axe-{secrets.token_urlsafe(12)}7a"
        account, is_new = await accounts.ensure_account(pool, "Admin", DEV_EMAIL, password)
        tenant = await accounts.ensure_tenant(pool, DEV_TENANT_NAME, DEV_TENANT_SLUG)
        await accounts.add_member(pool, tenant.id, account.id, Role.OWNER)
        await accounts.set_operator(pool, account.id, True)
        if is_new:
            kept.password = password
            dev_secrets.write(path, kept)
        self._dev = (tenant, account, kept.password)
        return account.id

    async def _dev_token(self, tenant_id: str, is_passing: bool) -> str:
        path = dev_secrets.place(self.settings.data_dir)
        kept = dev_secrets.read(path)
        if kept.token and (kept.server_url, kept.grpc_address) == (self.http_url, self.grpc_address):
            with contextlib.suppress(Unauthenticated):
                if (await self._verifier.verify(kept.token)).tenant_id == tenant_id:
                    return kept.token
        issued = await tokens.create_token(
            self._pool, tenant_id, DEV_TOKEN_NAME, DEV_TOKEN_LIFE_S, self.http_url, self.grpc_address
        )
        gone = kept.token if kept.is_passing else None
        kept.token, kept.server_url, kept.grpc_address = issued.token, self.http_url, self.grpc_address
        kept.is_passing = is_passing
        dev_secrets.write(path, kept)
        if gone is not None:
            await tokens.delete_token(self._pool, gone)
        return issued.token

    def _entry_key(self) -> str:
        path = dev_secrets.place(self.settings.data_dir)
        kept = dev_secrets.read(path)
        if not kept.entry_key:
            kept.entry_key = secrets.token_urlsafe(ENTRY_KEY_BYTES)
            dev_secrets.write(path, kept)
        return kept.entry_key


class _Parts:
    """The processes of the node, as an edge shows them (`rest.metrics.Parts`)."""

    def __init__(self, part: Part, visitor: Visitor) -> None:
        self._visitor = visitor
        self._link_address = part.link_address
        self.running = part.running

    async def tallies(self) -> dict[str, Tally]:
        return await self._visitor.tallies(self._link_address)


@contextlib.asynccontextmanager
async def _pool(access: Access, connections_max: int, settings: dict[str, str]) -> AsyncIterator[asyncpg.Pool]:
    async with contextlib.AsyncExitStack() as stack:
        opening = connection_pool(access.dsn, connections_max, settings, access.pooling)
        try:
            pool = await stack.enter_async_context(opening)
        except UNANSWERED as error:
            raise ConfigurationError(no_connection(access.dsn, error), field="database_url") from error
        yield pool


@contextlib.asynccontextmanager
async def _replica(access: Access, primary: asyncpg.Pool) -> AsyncIterator[ReadReplica]:
    assert access.read_dsn is not None
    settings = {**POOL_SETTINGS, "application_name": "broadaxe reads"}
    pooling = access.read_pooling
    async with connection_pool(access.read_dsn, READ_CONNECTIONS_MAX, settings, pooling, connections_min=0) as pool:
        replica = ReadReplica(primary, pool, pooling)
        replica.start()
        try:
            yield replica
        finally:
            await replica.stop()


async def _keep_partitions(pool: asyncpg.Pool, engine: Engine, settings: Settings) -> None:
    retention_days = settings.retention_days
    while True:
        try:
            made = await ensure_partitions(pool, datetime.now(UTC), retention_days)
            if made:
                _log.debug("made partitions", count=made)
            if retention_days:
                gone = await retention.enforce(pool, datetime.now(UTC), retention_days)
                if gone:
                    _log.info("old history was dropped", partitions=gone)
                await engine.forget_unused()
            gone = await retention.enforce_messages(pool, datetime.now(UTC))
            if gone:
                _log.info("old messages were dropped", partitions=gone)
            if settings.audit_retention_days:
                deleted = await audit.trim(pool, datetime.now(UTC), settings.audit_retention_days)
                if deleted:
                    _log.info("old entries of the audit log are gone", count=deleted)
            await tenant_deletion.sweep(pool)
            wait_s = PARTITIONS_EVERY_S
        except Exception as error:
            # Whatever it is: an engine that makes no partitions any more stops in a few days.
            wait_s = PARTITIONS_AGAIN_AFTER_S
            if isinstance(error, OUTAGE):
                _log.warning("partitions could not be made or dropped; trying again", error=str(error))
            else:
                _log.exception("partitions could not be made or dropped; trying again")
        await asyncio.sleep(wait_s)


async def _sweep_tenants(pool: asyncpg.Pool) -> None:
    """Until nothing is left of those that were deleted."""
    while True:
        try:
            if not await tenant_deletion.sweep(pool):
                return
        except OUTAGE as error:
            _log.warning("deleted tenants could not be swept; trying again", error=str(error))
        await asyncio.sleep(tenant_deletion.SETTLE_S)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """How gRPC is encrypted; None for plaintext."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None and settings.tls_client_ca is None:
        return None
    if certificate is None or key is None:
        raise ConfigurationError(
            "TLS needs both --tls-certificate and --tls-key (and --tls-client-ca for mTLS)", field="--tls-certificate"
        )
    return server_tls_context(certificate, key, settings.tls_client_ca)


def _secret_keys(settings: Settings) -> tuple[bytes, ...]:
    """Those given; an engine that brings its own database keeps one beside it. None means that it keeps no secrets."""
    if settings.secret_key or not settings.embedded:
        return settings.secret_key
    return (key_from_file(settings.data_dir / SECRET_KEY_FILE),)


def _mailer(settings: Settings) -> Mailer | None:
    if settings.smtp_url is None or settings.mail_from is None:
        return None
    return Mailer(settings.smtp_url, settings.mail_from)


def _node_id(settings: Settings) -> str:
    """An engine with a private database is its data directory, and gets its own leases back after a restart; nodes on a
    shared database are nobody but themselves."""
    if settings.embedded:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"broadaxe:{settings.data_dir.resolve()}"))
    return str(uuid.uuid4())


def _node_session(access: Access) -> Callable[[], Awaitable[asyncpg.Connection]] | None:
    """Opens the session that tells other nodes of this one's death; None where connections have no session."""
    dsn = access.session_dsn
    return None if dsn is None else lambda: connect(dsn, server_settings={"application_name": "broadaxe node"})


async def _own_address(settings: Settings, pool: asyncpg.Pool) -> str:
    """Where other nodes find this one: where it listens, or else where the database sees it."""
    if not settings.all_interfaces:
        return f"[{settings.host}]" if ":" in settings.host else settings.host
    seen: str | None = await pool.fetchval(statement("nodes/own_address"))
    if seen is None:
        return DEFAULT_HOST
    return f"[{seen}]" if ":" in seen else seen
