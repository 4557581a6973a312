"""`broadaxe mcp`: a server of the Model Context Protocol, so that a language model can look at runs, and act on them.

Owns the transports: standard input and output, or streamable HTTP on loopback behind a token. What the tools do is in
`broadaxe.remote.tools`. It stands on the official package `mcp`, which is an extra.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any, Final

import click

from broadaxe.cli.connection import Connection, connecting
from broadaxe.errors import BroadaxeError, ConfigurationError

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from starlette.types import ASGIApp

    from broadaxe.remote.tools import Tools

__all__ = ["mcp"]

TOKEN: Final = "BROADAXE_MCP_TOKEN"
TOKEN_LENGTH_MIN: Final = 16
#: What the question to the person is called between two calls.
CONFIRM: Final = "confirm"
#: From this version of the protocol on a server asks in its answer, and before it by a request of its own.
INPUT_REQUIRED_SINCE: Final = "2026-07-28"


@click.command(short_help="Let a language model look at runs, over the Model Context Protocol.")
@click.option("--allow-changes", is_flag=True, help="Also let it trigger, cancel, replay and send events.")
@click.option("--http", is_flag=True, help="Serve streamable HTTP instead of standard input and output.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="0 picks a free one.")
@connecting
def mcp(allow_changes: bool, http: bool, host: str, port: int, connection: Connection) -> None:
    """Serve the Model Context Protocol, so that a language model can find runs, read them, and explain why they wait.

    A client starts this command by itself and talks to it over standard input and output. With --http it listens on
    http://127.0.0.1:8090/mcp, and wants the token in BROADAXE_MCP_TOKEN, or one that it makes and prints.

    It only reads, unless --allow-changes; what changes something is done when the person was asked.

    \b
    Examples:
      broadaxe mcp
      broadaxe mcp --profile staging --allow-changes
      broadaxe mcp --http --port 8090
    """
    import asyncio

    server = connection.open()
    try:
        import mcp as package
    except ImportError:
        raise ConfigurationError("this needs one more package: pip install 'broadaxe[mcp]'") from None
    del package
    from broadaxe.remote.tools import Tools

    # Said now, while somebody reads it.
    server.get(server.tenant, dict[str, object])
    tools = Tools(server, may_change=allow_changes)
    if http:
        asyncio.run(_serve_http(tools, host, port))
    else:
        asyncio.run(_serve_stdio(tools))


def _server_of(tools: Tools) -> Server[Any]:
    import asyncio

    import mcp_types as types
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server
    from mcp.shared.exceptions import NoBackChannelError

    from broadaxe.remote.tools import CODE, INSTRUCTIONS, Question
    from broadaxe.version import describe

    async def list_tools(
        _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        found = await asyncio.to_thread(tools.all)
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=tool.name,
                    description=tool.description,
                    input_schema=dict(tool.schema),
                    annotations=types.ToolAnnotations(read_only_hint=not tool.changes),
                )
                for tool in found
            ]
        )

    async def call_tool(
        context: ServerRequestContext[Any], asked: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        given = dict(asked.arguments or {})
        reply = (asked.input_responses or {}).get(CONFIRM)
        try:
            if isinstance(reply, types.ElicitResult):
                text = await _do_if(reply, asked.name, given, asked.request_state or "")
            else:
                answer = await asyncio.to_thread(tools.call, asked.name, given)
                if not isinstance(answer, Question):
                    text = answer
                elif not _can_ask(context):
                    text = answer.for_model
                elif context.protocol_version >= INPUT_REQUIRED_SINCE:
                    request = types.ElicitRequest(params=_form(answer))
                    return types.InputRequiredResult(input_requests={CONFIRM: request}, request_state=answer.code)
                else:
                    text = await _ask(context, answer, asked.name, given)
            is_error = False
        except BroadaxeError as error:
            text, is_error = error.message, True
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=is_error)

    async def _ask(context: ServerRequestContext[Any], question: Question, name: str, given: dict[str, Any]) -> str:
        form = _form(question)
        try:
            reply = await context.session.elicit_form(form.message, form.requested_schema, context.request_id)
        except NoBackChannelError:
            return question.for_model
        return await _do_if(reply, name, given, question.code)

    async def _do_if(reply: types.ElicitResult, name: str, given: dict[str, Any], code: str) -> str:
        if reply.action != "accept":
            tools.withdraw(code)
            return "Nothing was done: the person was asked, and does not want it."
        answer = await asyncio.to_thread(tools.call, name, {**given, CODE: code})
        return answer.for_model if isinstance(answer, Question) else answer

    def _can_ask(context: ServerRequestContext[Any]) -> bool:
        known = context.session.client_capabilities
        return known is not None and known.elicitation is not None

    def _form(question: Question) -> types.ElicitRequestFormParams:
        """A form without fields: to be sent, or to be refused."""
        return types.ElicitRequestFormParams(
            message=question.for_person, requested_schema={"type": "object", "properties": {}}
        )

    return Server(
        "broadaxe", version=describe(), instructions=INSTRUCTIONS, on_list_tools=list_tools, on_call_tool=call_tool
    )


async def _serve_stdio(tools: Tools) -> None:
    from mcp.server.stdio import stdio_server

    server = _server_of(tools)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


async def _serve_http(tools: Tools, host: str, port: int) -> None:
    import asyncio
    import signal

    from broadaxe.cli.stop_signals import on_signals
    from broadaxe.rest.server import HttpServer

    token = os.environ.get(TOKEN) or ""
    is_made = not token
    if is_made:
        token = secrets.token_urlsafe(32)
    if len(token) < TOKEN_LENGTH_MIN or not token.isascii():
        raise ConfigurationError(f"{TOKEN}: a token has at least {TOKEN_LENGTH_MIN} ASCII characters", field=TOKEN)
    server = _server_of(tools)
    app = server.streamable_http_app(host=host)
    over = asyncio.Event()
    on_signals((signal.SIGINT, signal.SIGTERM), lambda _: over.set())
    listening = HttpServer(grace_s=1)
    async with server.session_manager.run():
        bound = await listening.start(_guarded(app, token), host, port)
        click.echo(f"http://{host}:{bound}/mcp  (Ctrl-C ends it)")
        if is_made:
            click.echo(f"Authorization: Bearer {token}")
        await over.wait()
        await listening.stop()


def _guarded(app: ASGIApp, token: str) -> ASGIApp:
    """Answers 401 to whoever does not have the token."""
    from starlette.responses import JSONResponse
    from starlette.types import Receive, Scope, Send

    expected = f"Bearer {token}".encode()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            if not secrets.compare_digest(given, expected):
                refusal = JSONResponse(
                    {"error": "the token of this server is needed"}, 401, {"WWW-Authenticate": "Bearer"}
                )
                await refusal(scope, receive, send)
                return
        await app(scope, receive, send)

    return guarded
