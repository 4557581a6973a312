"""The session cookie: how a browser is known after it was let in."""

from __future__ import annotations

from fastapi import Request, Response

from broadaxe.rest.context import Context
from broadaxe.storage import accounts

__all__ = ["open_session"]


async def open_session(context: Context, request: Request, response: Response, account_id: str) -> None:
    """Begins a session of the account and puts its cookie into the answer."""
    cookie = await accounts.open_session(context.pool, account_id, request.headers.get("user-agent", ""))
    response.set_cookie(
        context.settings.cookie_name,
        cookie,
        max_age=accounts.SESSION_LIFE_S,
        path="/",
        httponly=True,
        samesite="lax",
        secure=context.settings.is_cookie_secure,
    )
