"""What every request passes before anything else, and every answer on its way out.

Owns the bound on request bodies, the refusal of NUL characters (which Postgres cannot hold), cross-origin preflights
and the security headers. Refuses bodies that are too large with 413.

Cross-origin calls are allowed for requests that carry a bearer token and for no others: a browser never attaches one by
itself, so a foreign page can only speak for somebody who gave it a token. Credentials (cookies) are never allowed
across origins. Source: REST specification 1.1.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broadaxe.rest.statuses import refusal

__all__ = ["Gate"]

_METHODS: Final = "GET,POST,PUT,PATCH,DELETE,OPTIONS"
_SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "script-src 'self'; frame-ancestors 'none'; object-src 'none'; base-uri 'self'",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Gate:
    """ASGI middleware; no task of its own, so streamed answers pass untouched."""

    def __init__(self, app: ASGIApp, *, body_bytes_max: int, larger: tuple[str, int] = ("\0", 0)) -> None:
        """`larger`: requests to addresses that end so may have so many bytes."""
        self._app = app
        self._body_bytes_max = body_bytes_max
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        allows_origin = headers.get("authorization", "").lower().startswith("bearer ")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    answer.setdefault(name, value)
                if allows_origin and "origin" in headers:
                    answer["Access-Control-Allow-Origin"] = "*"
            await send(message)

        ending, larger_bytes_max = self._larger
        bytes_max = larger_bytes_max if scope["path"].endswith(ending) else self._body_bytes_max
        answer = _refused(scope, headers, bytes_max)
        if answer is not None:
            await answer(scope, receive, send_guarded)
        else:
            await self._app(scope, _bounded(receive, bytes_max), send_guarded)


def _refused(scope: Scope, headers: Headers, bytes_max: int) -> Response | None:
    if scope["method"] == "OPTIONS" and scope["path"].startswith("/api"):
        return _preflight(headers)
    if "\0" in scope["path"] or b"%00" in scope.get("query_string", b""):
        return refusal(400, "the address contains a NUL character (%00)", code="INVALID_ARGUMENT")
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > bytes_max:
        return refusal(413, _too_large(bytes_max), code="RESOURCE_EXHAUSTED")
    return None


def _bounded(receive: Receive, bytes_max: int) -> Receive:
    received = 0

    async def bounded() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > bytes_max:
                raise HTTPException(413, _too_large(bytes_max))
        return message

    return bounded


def _too_large(bytes_max: int) -> str:
    return f"the request body is larger than {bytes_max} bytes"


def _preflight(headers: Headers) -> Response:
    requested = headers.get("access-control-request-headers", "")
    if "authorization" not in {name.strip().lower() for name in requested.split(",")}:
        return Response()
    return Response(
        headers={
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": requested,
            "Access-Control-Max-Age": "600",
            "Vary": "Access-Control-Request-Headers",
        }
    )
