"""The edge: `python -m rag_chat.api`. HTTP in, runs out, server-sent events back, and the chat page itself.

    POST /message               ask: {messages, url, sources?, mode?, model?, conversationId?, parentId?, questionId?}
                                -> {messageId, questionId, conversationId, runId}
    GET  /message/{id}          server-sent events of that answer, from its beginning, the last of type `result`
    POST /message/{id}/stop     cancel the run, and with it the model's call
    GET  /config                what the page needs to know  GET /health  whether this process can work

What was asked before is in `conversations_api`. Owns the bounds on requests, and that every other address is the
page's. Answers are followed by `answer_feed`, conversations kept by `conversation_store`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import FrameType
from uuid import UUID, uuid4

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from rag_chat import conversations_api, evaluation_api, library_api, passages_api
from rag_chat.answer_feed import AnswerFeeds, FeedEvent, finished_events
from rag_chat.conversation_store import About, ConversationStore, Place, StoredMessage, terminal
from rag_chat.database import Database, open_database
from rag_chat.edge import Edge, EdgeOf, Problem
from rag_chat.engine import HatchetGateway, RunGateway
from rag_chat.engine_connection import connect, wait_for_engine
from rag_chat.errors import AddressRefused, ChatError, EngineError, ModelUnreachable, SettingsError, UnknownPlace
from rag_chat.library_store import checked_address
from rag_chat.messages import Mode, Outcome, Question, Result
from rag_chat.model import ModelClient
from rag_chat.people import KnownPerson, NamedPerson
from rag_chat.settings import Settings, read_settings

BODY_SIZE_BYTES_MAX = 1_000_000
#: Where files are given, which may be larger than a question.
FILES_PATH = "/sources/files"
HEARTBEAT_EVERY_S = 15.0
WATCHERS_MAX = 1_000
SHUTDOWN_GRACE_S = 3

logger = logging.getLogger(__name__)


class Asked(Question):
    """The body of POST /message. `mode` says how much is done for the answer. The conversation is created when none is
    named. The question goes behind the answer `parentId`, null being the beginning, and where the conversation left off
    when that is not given. `questionId` is a question of this conversation that gets another answer."""

    mode: Mode = Mode.BALANCED
    conversationId: UUID | None = None
    parentId: UUID | None = None
    questionId: UUID | None = None

    @property
    def place(self) -> Place:
        return Place(self.parentId, self.questionId, latest="parentId" not in self.model_fields_set)


class Accepted(BaseModel):
    messageId: UUID
    questionId: UUID
    conversationId: UUID
    runId: str


class Config(BaseModel):
    defaultUrl: str
    dashboardUrl: str
    models: list[str]
    model: str | None
    modelAddress: str
    # Why no model can be asked, in a sentence with what to do; null when one can.
    modelProblem: str | None


router = APIRouter()


@router.post("/message", status_code=202)
async def ask(asked: Asked, edge: EdgeOf, person: KnownPerson) -> Accepted:
    """Ask a question about a page. The answer is made by a run; watch it at GET /message/{messageId}."""
    url = _address(asked.url, "url")
    sources = [_address(source, f"sources.{number}") for number, source in enumerate(asked.sources)]
    conversation_id = asked.conversationId or uuid4()
    question = Question(messages=asked.messages, url=url, sources=sources, model=asked.model)
    content = asked.messages[-1].content
    try:
        about = About(url, sources, asked.mode)
        placed = await edge.conversations.ask(conversation_id, person, content, about, asked.place)
    except UnknownPlace as error:
        raise Problem(404, error.code, str(error), field=error.field) from None
    message_id = placed.answer_id
    metadata = {
        "message_id": str(message_id),
        "conversation_id": str(conversation_id),
        # Who takes turns with others.
        "person": person[:16] if person is not None else str(conversation_id),
    }
    try:
        run_id = await edge.gateway.trigger(question, asked.mode, metadata)
    except EngineError as error:
        failure = Result(status=Outcome.FAILED, message=str(error), error=str(error))
        await edge.conversations.finish(message_id, [], failure)
        raise Problem(503, error.code, str(error)) from None
    await edge.conversations.set_run(message_id, run_id)
    await edge.feeds.attach(await _message(edge, message_id, person))
    return Accepted(messageId=message_id, questionId=placed.question_id, conversationId=conversation_id, runId=run_id)


@router.get("/message/{message_id}")
async def watch(message_id: UUID, edge: EdgeOf, person: KnownPerson) -> StreamingResponse:
    """Server-sent events of one answer: all that happened so far, then what happens, at last the result."""
    message = await _message(edge, message_id, person)
    if edge.watchers >= WATCHERS_MAX:
        raise Problem(503, "too_many_watchers", "Too many answers are being watched. Try again in a moment.")
    return StreamingResponse(
        _server_sent(edge, message, person),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.post("/message/{message_id}/stop", status_code=202)
async def stop(message_id: UUID, edge: EdgeOf, person: KnownPerson) -> dict[str, str]:
    """Cancel the run. The answer's events end with a result of status `cancelled`."""
    message = await _message(edge, message_id, person)
    if terminal(message.status):
        return {"status": message.status}
    if message.run_id is None:
        raise Problem(409, "not_started", "The question is only just being sent. Try again in a moment.")
    try:
        await edge.gateway.cancel(message.run_id)
    except EngineError as error:
        raise Problem(503, error.code, str(error)) from None
    return {"status": "stopping"}


@router.get("/config")
async def config(edge: EdgeOf, _: NamedPerson) -> Config:
    """What the page needs to know; a browser without a name gets one. When no language model can be asked,
    `modelProblem` says why."""
    view = await edge.model.look()
    absent = isinstance(view.problem, ModelUnreachable) and not edge.settings.model.explicit
    return Config(
        defaultUrl=edge.settings.default_url,
        dashboardUrl=edge.settings.dashboard_url,
        models=list(view.chat_models),
        model=next(iter(view.chat_models), None) if view.problem is None else None,
        modelAddress=edge.model.address,
        modelProblem=None
        if view.problem is None
        else "No language model is reachable."
        if absent
        else str(view.problem),
    )


@router.get("/health")
async def health(edge: EdgeOf) -> JSONResponse:
    """200 while the database answers; the engine may be away for a moment without harm."""
    try:
        async with asyncio.timeout(3):
            await edge.database.pool.fetchval("select 1")
    except Exception as error:
        logger.warning("health: the database does not answer: %s", error)
        return JSONResponse({"status": "unhealthy", "reason": "the database does not answer"}, status_code=503)
    return JSONResponse({"status": "ok"})


def create_app(settings: Settings, lifespan: Callable[[FastAPI], AsyncIterator[None]] | None = None) -> FastAPI:
    """The application. Tests pass a lifespan of their own; otherwise the edge opens its database and engine itself."""
    app = FastAPI(
        title="RAG chat", lifespan=asynccontextmanager(lifespan or _lifespan(settings)), docs_url=None, redoc_url=None
    )
    app.include_router(router)
    app.include_router(conversations_api.router)
    app.include_router(passages_api.router)
    app.include_router(evaluation_api.router)
    app.include_router(library_api.router)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_middleware(BoundedBody, file_bytes_max=settings.reading.document_size_bytes_max)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["content-type"],
            max_age=600,
        )
    _serve_page(app, settings.web_dist)
    return app


def open_edge(settings: Settings, database: Database, gateway: RunGateway) -> Edge:
    conversations = ConversationStore(database)
    return Edge(
        settings=settings,
        database=database,
        conversations=conversations,
        gateway=gateway,
        feeds=AnswerFeeds(gateway, conversations),
        model=ModelClient(settings.model),
    )


async def close_edge(edge: Edge) -> None:
    """Feeds stop writing before the pool closes; what they had not saved is read from the run again."""
    await edge.feeds.close()
    await edge.model.close()
    await edge.database.close()


def _lifespan(settings: Settings) -> Callable[[FastAPI], AsyncIterator[None]]:
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = await open_database(settings.database_url)
        # One try per call: the edge answers at once and its feeds repeat by themselves.
        edge = open_edge(settings, database, HatchetGateway(connect(attempts_max=1)))
        app.state.edge = edge
        try:
            await edge.feeds.resume()
            yield
        finally:
            await close_edge(edge)

    return lifespan


def _address(text: str, field: str) -> str:
    try:
        return checked_address(text)
    except AddressRefused as error:
        raise Problem(422, error.code, str(error), field=field) from None


async def _message(edge: Edge, message_id: UUID, person: str | None) -> StoredMessage:
    message = await edge.conversations.get(message_id, person)
    if message is None or message.role != "assistant":
        raise Problem(404, "unknown_message", f"There is no answer {message_id}.")
    return message


async def _server_sent(edge: Edge, message: StoredMessage, person: str | None) -> AsyncIterator[str]:
    """The events as text, with a comment now and then so that nothing between here and the browser gives up."""
    edge.watchers += 1
    try:
        yield "retry: 1000\n\n"
        async for event in _with_heartbeats(_events(edge, message, person), edge.closing):
            yield ": still here\n\n" if event is None else _as_text(event, message.message_id)
    finally:
        edge.watchers -= 1


async def _events(edge: Edge, message: StoredMessage, person: str | None) -> AsyncIterator[FeedEvent]:
    feed = None if terminal(message.status) else await edge.feeds.attach(message)
    if feed is not None:
        async for event in feed.events():
            yield event
        return
    finished = await _message(edge, message.message_id, person)
    for event in finished_events(finished):
        yield event


async def _with_heartbeats(events: AsyncIterator[FeedEvent], closing: asyncio.Event) -> AsyncIterator[FeedEvent | None]:
    """Pass events on, and None after each HEARTBEAT_EVERY_S of silence; end when the process is closing."""
    closed = asyncio.create_task(closing.wait())
    waiting: asyncio.Future[FeedEvent] | None = None
    try:
        while not closing.is_set():
            if waiting is None:
                waiting = asyncio.ensure_future(anext(events))
            watched: set[asyncio.Future[object]] = {waiting, closed}  # type: ignore[arg-type]
            await asyncio.wait(watched, timeout=HEARTBEAT_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                yield None
                continue
            try:
                event = waiting.result()
            except StopAsyncIteration:
                return
            waiting = None
            yield event
    finally:
        closed.cancel()
        if waiting is not None:
            waiting.cancel()


def _as_text(event: FeedEvent, message_id: UUID) -> str:
    body = {"type": event.type, "payload": event.payload, "messageId": str(message_id)}
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.as_response()


async def _on_invalid(request: Request, error: Exception) -> Response:
    """The first thing wrong with a request, by the name of its field."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    location = [str(part) for part in first["loc"] if part not in ("body", "path", "query")]
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return Problem(400, "invalid_json", "The body is not valid JSON.").as_response()
    field = ".".join(location) or "messages"
    return Problem(422, "invalid", f"{field}: {message}", field=field).as_response()


class BoundedBody:
    """Refuses a body whose declared size is too large, and one that does not declare it."""

    def __init__(self, app: ASGIApp, file_bytes_max: int) -> None:
        self._app = app
        self._file_bytes_max = file_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._problem(scope) if scope["type"] == "http" else None
        await (self._app if problem is None else problem.as_response())(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        if b"transfer-encoding" in headers:
            return Problem(411, "length_required", "Send the body with a Content-Length.")
        declared = headers.get(b"content-length", b"0")
        if scope["path"] == FILES_PATH:
            if not declared.isdigit() or int(declared) > self._file_bytes_max:
                message = f"The file is larger than {self._file_bytes_max / 1_000_000:g} MB, more than the chat reads."
                return Problem(413, "too_large", message, field="name")
            return None
        if not declared.isdigit() or int(declared) > BODY_SIZE_BYTES_MAX:
            message = f"The body is larger than {BODY_SIZE_BYTES_MAX} bytes: send fewer or shorter messages."
            return Problem(413, "too_large", message, field="messages")
        return None


class PageFiles(StaticFiles):
    """The built page, at every address that is nothing else and that a browser opens: its router reads the address."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            accepts = Headers(scope=scope).get("accept", "")
            if error.status_code != 404 or "text/html" not in accepts:
                raise
            response = await super().get_response("index.html", scope)
        # Addresses of conversations and shared links are nobody else's business.
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


def _serve_page(app: FastAPI, web_dist: Path) -> None:
    if (web_dist / "index.html").is_file():
        app.mount("/", PageFiles(directory=web_dist, html=True), name="page")
        return

    @app.get("/", response_class=HTMLResponse)
    async def not_built() -> HTMLResponse:
        return HTMLResponse(
            "<!doctype html><title>RAG chat</title><p>The chat page is not built yet. "
            "Run <code>npm ci &amp;&amp; npm run build</code> in <code>examples/rag_chat/web</code> and restart.",
            status_code=503,
        )


class EdgeServer(uvicorn.Server):
    """Ends the event streams as soon as it is asked to stop; browsers reconnect to whatever comes next."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app = self.config.app
        if isinstance(app, FastAPI) and isinstance(getattr(app.state, "edge", None), Edge):
            app.state.edge.closing.set()
        super().handle_exit(sig, frame)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        settings = read_settings()
        listener = _listen(settings)
        asyncio.run(_check(settings))
    except ChatError as error:
        sys.exit(f"rag_chat.api: {error}")
    except KeyboardInterrupt:
        sys.exit(0)
    host, port = listener.getsockname()[:2]
    logger.info("the chat is at http://%s:%s", f"[{host}]" if ":" in host else host, port)
    server = EdgeServer(
        uvicorn.Config(
            create_app(settings),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
            limit_concurrency=WATCHERS_MAX + 200,
        )
    )
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _listen(settings: Settings) -> socket.socket:
    """Take the port before anything else, so that a taken one is the first thing that is said."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        raise SettingsError(
            f"Port {settings.port} on {settings.host} cannot be used: {os.strerror(error.errno or 0)}. "
            "Stop what uses it, or set RAG_CHAT_PORT to another port."
        ) from None


async def _check(settings: Settings) -> None:
    """Find out now, and say plainly, what would otherwise end in a stack trace."""
    database = await open_database(settings.database_url)
    await database.close()
    await wait_for_engine(connect(attempts_max=1), settings.engine_wait_s)


if __name__ == "__main__":
    main()
