"""The way in by a link: whoever has its key gets a session of one account.

`broadaxe dev` prints such a link, so that the person who started the engine is let in by one click, and other accounts
of the machine are not. Owns the page `/enter`, which exchanges the key for a session cookie and leads on. Refuses a
wrong key with a page that says which link to open; who is logged in already is led on all the same. Invariant: it leads
to pages of this server, or of another port of this machine (the demo's chat), and nowhere else.
"""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from broadaxe.rest.context import Context
from broadaxe.rest.identity import names_this_machine
from broadaxe.rest.sessions import open_session
from broadaxe.storage.accounts import person_of_session

__all__ = ["enter"]

_WRONG_KEY: Final = (
    "This link does not open this engine. Open the one that the engine printed when it started; `broadaxe dev` and "
    "`broadaxe demo` keep it in the file dashboard.url of their data directory.\n"
)


async def enter(request: Request) -> Response:
    context: Context = request.app.state.context
    entry = context.settings.entry
    key = request.query_params.get("key", "")
    answer = RedirectResponse(_place(request.query_params.get("to", "/")), status_code=303)
    answer.headers["Cache-Control"] = "no-store"
    cookie = request.cookies.get(context.settings.cookie_name)
    if cookie and await person_of_session(context.pool, cookie) is not None:
        return answer
    if entry is not None and hmac.compare_digest(key.encode(), entry.key.encode()):
        await open_session(context, request, answer, entry.account_id)
        return answer
    return PlainTextResponse(_WRONG_KEY, status_code=403)


def _place(to: str) -> str:
    """Where to lead; the dashboard instead of anywhere else."""
    try:
        parts = urlsplit(to)
        is_local = parts.scheme == "http" and names_this_machine(parts.netloc)
    except ValueError:
        return "/"
    # Browsers take a backslash for a slash, and two slashes for the beginning of another server's name.
    is_ours = not (parts.scheme or parts.netloc) and to.startswith("/") and not to.startswith("//") and "\\" not in to
    return to if is_local or is_ours else "/"
