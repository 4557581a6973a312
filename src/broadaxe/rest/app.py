"""The HTTP application: the API under /api, the documentation under /docs, metrics, and the dashboard for the rest.

Owns how the parts are put together and how errors become answers. Refuses unknown paths under /api with JSON, whatever
the method; they never fall through to the dashboard. Invariant: every error body has the shape of `statuses.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from typing import Final

import asyncpg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from broadaxe.engine.port import EnginePort
from broadaxe.errors import BroadaxeError, InvalidArgument, PermissionDenied, Unavailable
from broadaxe.example import ExampleWorker
from broadaxe.loops import Loops
from broadaxe.mail import Mailer
from broadaxe.metrics import Tallies
from broadaxe.rest.api_description import describe, operation_id
from broadaxe.rest.api_reference import ApiReference
from broadaxe.rest.attempts import Attempts
from broadaxe.rest.bursts import Bursts
from broadaxe.rest.context import Context
from broadaxe.rest.dashboard_site import DashboardSite
from broadaxe.rest.docs_site import DocsSite
from broadaxe.rest.entry import enter
from broadaxe.rest.gate import Gate
from broadaxe.rest.letters import MailBursts
from broadaxe.rest.metrics import Metrics, Parts
from broadaxe.rest.open_streams import OpenStreams
from broadaxe.rest.openid_client import clients
from broadaxe.rest.refusals import note_refusal
from broadaxe.rest.routers import (
    alerting,
    alerts,
    audit,
    changes,
    cluster,
    counts,
    crons,
    durable,
    events,
    failures,
    filters,
    limits,
    load,
    logs,
    members,
    older,
    older_steps,
    openid,
    password_resets,
    people,
    quotas,
    run_facts,
    run_files,
    run_values,
    runs,
    schedules,
    second_factors,
    server,
    setup,
    streams,
    tasks,
    tenant_files,
    tokens,
    traces,
    waiting,
    webhooks,
    workers,
    workflows,
)
from broadaxe.rest.routers import example as example_routes
from broadaxe.rest.sessions import CODE_TRIES_BURST, CODE_TRIES_PER_S, UNKNOWN_LOGINS_BURST, UNKNOWN_LOGINS_PER_S
from broadaxe.rest.settings import ENTRY_PATH, HttpSettings
from broadaxe.rest.statuses import INTERNAL_MESSAGE, error_response, refusal, status_of
from broadaxe.storage.alerts import Alerts
from broadaxe.storage.audit_groups import AuditGroups
from broadaxe.storage.calendar import CalendarReads
from broadaxe.storage.catalogue import Catalogue
from broadaxe.storage.count_reads import CountReads
from broadaxe.storage.durable_reads import DurableReads
from broadaxe.storage.event_reads import EventReads
from broadaxe.storage.failure_reads import FailureReads
from broadaxe.storage.load_reads import LoadReads
from broadaxe.storage.log_reads import LogReads
from broadaxe.storage.outage import OUTAGE, OUTAGE_MESSAGE
from broadaxe.storage.rate_limit_reads import RateLimitReads
from broadaxe.storage.read_replica import Queries, ReadReplica
from broadaxe.storage.reads import Reads
from broadaxe.storage.revocations import Revocations
from broadaxe.storage.token_addresses import TokenAddresses
from broadaxe.storage.token_verifier import TokenVerifier
from broadaxe.storage.topics import STORED_BYTES_MAX, StreamPayloads, TopicReads
from broadaxe.storage.trace_reads import TraceReads
from broadaxe.storage.vault import Vault
from broadaxe.storage.webhooks import Webhooks

__all__ = ["ROUTERS", "create_http_app", "end_streams", "settle"]

_log = logging.getLogger(__name__)

# The order matters where a fixed word stands beside an id: `…/workflow-runs/count` before `…/workflow-runs/{run}`.
ROUTERS: Final = (
    server.routes,
    people.routes,
    password_resets.routes,
    second_factors.routes,
    openid.routes,
    members.routes,
    setup.routes,
    tokens.routes,
    runs.routes,
    run_values.routes,
    run_facts.routes,
    run_files.routes,
    tenant_files.routes,
    tasks.routes,
    durable.routes,
    example_routes.routes,
    load.routes,
    changes.routes,
    logs.routes,
    traces.routes,
    counts.routes,
    failures.routes,
    crons.by_name,
    schedules.by_name,
    crons.routes,
    schedules.routes,
    workflows.routes,
    workers.routes,
    events.routes,
    filters.routes,
    limits.routes,
    streams.routes,
    quotas.routes,
    waiting.routes,
    webhooks.routes,
    older.routes,
    older_steps.routes,
    cluster.routes,
    audit.routes,
    alerts.routes,
    alerting.routes,
)


def create_http_app(
    *,
    pool: asyncpg.Pool,
    engine: EnginePort,
    verifier: TokenVerifier,
    settings: HttpSettings,
    revocations: Revocations | None = None,
    tallies: Tallies | None = None,
    parts: Parts | None = None,
    example: ExampleWorker | None = None,
    mailer: Mailer | None = None,
    background: Loops | None = None,
    replica: ReadReplica | None = None,
) -> FastAPI:
    """The application. `pool` is best made with `storage.reads.POOL_SETTINGS` as server settings. What people look at
    is read from the `replica`, if there is one; accounts, tokens and webhooks never are. `parts`: the processes of the
    node, when this is one of several. Whoever gives `background` closes it."""
    app = FastAPI(
        title="Broadaxe",
        version=version("broadaxe"),
        summary="The HTTP API of the Broadaxe engine.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,
        separate_input_output_schemas=False,
        generate_unique_id_function=operation_id,
    )
    vault = Vault(settings.secret_keys)
    background = background or Loops("http")
    looked_at: Queries = pool if replica is None else replica
    app.state.context = Context(
        pool,
        engine,
        verifier,
        settings,
        Reads(looked_at),
        CountReads(looked_at),
        RateLimitReads(looked_at),
        EventReads(looked_at),
        FailureReads(looked_at),
        LoadReads(looked_at),
        LogReads(looked_at),
        TraceReads(looked_at),
        TopicReads(looked_at),
        StreamPayloads(pool),
        DurableReads(looked_at),
        Catalogue(looked_at),
        CalendarReads(looked_at),
        Webhooks(pool, vault),
        Alerts(pool, vault),
        vault,
        clients(settings.openid_providers),
        TokenAddresses(pool, background),
        background,
        mailer,
        example,
        replica,
    )
    app.state.attempts = Attempts()
    app.state.mail_bursts = MailBursts()
    app.state.code_tries = Bursts(rate_per_s=CODE_TRIES_PER_S, burst=CODE_TRIES_BURST)
    app.state.unknown_logins = Bursts(rate_per_s=UNKNOWN_LOGINS_PER_S, burst=UNKNOWN_LOGINS_BURST)
    app.state.open_streams = OpenStreams(pool, revocations or Revocations())
    app.state.stream_uploads = asyncio.Semaphore(streams.UPLOADS_AT_ONCE_MAX)
    app.state.refusals = AuditGroups(pool)
    app.state.webhook_door = webhooks.Door()
    app.state.alert_tests = Bursts(rate_per_s=alerts.TESTS_PER_S, burst=alerts.TESTS_BURST)
    for routes in ROUTERS:
        app.include_router(routes)
    # FastAPI's own way to give the document another form is to replace the method.
    app.openapi = cache(partial(describe, app, ROUTERS))  # type: ignore[method-assign]
    reference = ApiReference(app.openapi)
    dashboard = DashboardSite(settings.dashboard_dir)
    numbers = app.state.metrics = Metrics(tallies or Tallies(), parts)
    if replica is not None:
        numbers.watch_replica(lambda: replica.condition)
    app.add_api_route("/api/docs", reference.page, methods=["GET"], include_in_schema=False)
    app.add_api_route("/metrics", numbers.page, methods=["GET"], include_in_schema=False)
    app.add_api_route(ENTRY_PATH, enter, methods=["GET"], include_in_schema=False)
    app.router.routes.extend(DocsSite(settings.docs_dir).routes())
    app.router.default = _otherwise(dashboard.page)
    app.add_exception_handler(BroadaxeError, _on_our_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    for lost in OUTAGE:
        app.add_exception_handler(lost, _on_lost_database)
    app.add_exception_handler(asyncpg.DataError, _on_unstorable)
    app.add_exception_handler(Exception, _on_mistake)
    app.add_middleware(Gate, body_bytes_max=settings.body_bytes_max, larger=("/streams/payloads", STORED_BYTES_MAX))
    return app


def settle(app: FastAPI, settings: HttpSettings) -> None:
    """From here on the application behaves so."""
    context: Context = app.state.context
    app.state.context = replace(context, settings=settings)


def end_streams(app: FastAPI) -> None:
    """Ends what would never end by itself, before a stop waits for requests."""
    streams: OpenStreams = app.state.open_streams
    streams.close()
    refusals: AuditGroups = app.state.refusals
    refusals.close()


def _otherwise(page: Callable[[Request], Awaitable[Response]]) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """What answers when no route does."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        path = request.url.path
        if path == "/api" or path.startswith("/api/"):
            description = f"there is nothing at {request.method} {path} in this version of Broadaxe"
            response: Response = refusal(404, description, code="NOT_FOUND")
        elif request.method in ("GET", "HEAD"):
            response = await page(request)
        else:
            response = refusal(404, f"there is nothing at {request.method} {path}", code="NOT_FOUND")
        await response(scope, receive, send)

    return answer


async def _on_our_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, BroadaxeError)
    if isinstance(error, PermissionDenied):
        await note_refusal(request, error)
    if status_of(type(error)) == 500:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_response(error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problem = error.errors()[0]
    place = [str(part) for part in problem["loc"] if part not in ("body", "query", "path")]
    # The choice among several shapes of a body is part of the place, as the value that made it: HMAC in HMAC.auth.
    place = [part for part in place if not part.isupper()]
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "json_invalid":
        return refusal(400, f"the body is not valid JSON: {problem.get('ctx', {}).get('error', message)}")
    field = ".".join(place) or None
    return refusal(400, message if field is None else f"{field}: {message}", field=field, code="INVALID_ARGUMENT")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = refusal(error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _on_lost_database(request: Request, error: Exception) -> Response:
    _log.warning("%s %s could not reach the database: %s", request.method, request.url.path, error)
    return error_response(Unavailable(OUTAGE_MESSAGE))


async def _on_unstorable(request: Request, error: Exception) -> Response:
    # The edges check what they can name; a NUL inside some text, or a number out of range, is left to Postgres.
    _log.info("%s %s has a value the database refuses: %s", request.method, request.url.path, error)
    return error_response(InvalidArgument("a value has a character or a number that cannot be stored"))


async def _on_mistake(request: Request, error: Exception) -> Response:
    # The server logs the traceback; it is raised again after this answer.
    return refusal(500, INTERNAL_MESSAGE, code="INTERNAL")
