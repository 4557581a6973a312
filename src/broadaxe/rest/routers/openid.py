"""Signing in through OpenID providers: to the provider, and back.

A sign-in that comes to nothing leads back to the sign-in page, which says why: a person is looking, not a program.
Invariants: nobody is sent anywhere but to the provider and to a path of our own; a session begins for the browser that
began the sign-in, and for no other.
"""

from __future__ import annotations

import logging
import re
import secrets
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import Query, Request, Response
from starlette.responses import RedirectResponse

from broadaxe.errors import BroadaxeError, InvalidArgument, NotFound
from broadaxe.rest.attempts import AttemptsDep
from broadaxe.rest.client_address import client_address
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.sessions import open_session, sealed_id_token
from broadaxe.rest.shapes import people as shapes
from broadaxe.rest.vouching import Client
from broadaxe.storage import openid
from broadaxe.storage.accounts import Vouched

PROBLEM_COOKIE: Final = "hatchet-problem"
COOKIE_SUFFIX: Final = "-openid"
CHARS_MAX: Final = 4_000
#: A path of ours: neither of another host nor one that a browser takes for it.
_OWN_PATH: Final = re.compile(r"/(?![/\\])[^\x00-\x20\\]{0,2000}")

routes = router("people and tenants")

_log = logging.getLogger(__name__)


@routes.get(f"{STABLE}/openid/providers")
async def openid_providers(context: ContextDep) -> shapes.OpenIdProviders:
    """Through whom people may sign in."""
    rows = [shapes.OpenIdProvider(id=found.provider.id, name=found.provider.name) for found in context.openid.values()]
    return shapes.OpenIdProviders(rows=rows)


@routes.get(f"{STABLE}/openid/{{provider}}/begin", response_class=RedirectResponse)
async def begin_openid_sign_in(
    provider: str,
    context: ContextDep,
    next_path: Annotated[str, Query(alias="next", max_length=CHARS_MAX)] = "/",
) -> Response:
    """Sends a browser to the provider."""
    client = _client(context, provider)
    if not _OWN_PATH.fullmatch(next_path):
        next_path = "/"
    browser = secrets.token_urlsafe(32)
    state, made = await openid.begin(context.pool, client.provider.id, browser, next_path)
    try:
        address = await client.address(_callback(context, client), state, made.nonce, made.verifier)
    except BroadaxeError as error:
        return _back(error, client)
    answer = RedirectResponse(address, status_code=303)
    answer.set_cookie(
        context.settings.cookie_name + COOKIE_SUFFIX,
        browser,
        max_age=openid.LIFE_S,
        path=f"{STABLE}/openid",
        httponly=True,
        samesite="lax",
        secure=context.settings.is_cookie_secure,
    )
    return answer


@routes.get(f"{STABLE}/openid/{{provider}}/callback", response_class=RedirectResponse)
async def finish_openid_sign_in(
    provider: str,
    request: Request,
    context: ContextDep,
    attempts: AttemptsDep,
    state: Annotated[str, Query(max_length=CHARS_MAX)] = "",
    code: Annotated[str, Query(max_length=CHARS_MAX)] = "",
    error: Annotated[str, Query(max_length=CHARS_MAX)] = "",
    iss: Annotated[str, Query(max_length=CHARS_MAX)] = "",
) -> Response:
    """Where the provider sends the browser back to. Begins a session for whom it vouches."""
    client = _client(context, provider)
    browser = request.cookies.get(context.settings.cookie_name + COOKIE_SUFFIX, "")
    address = client_address(request, context.settings.trusted_proxies)
    try:
        attempts.count(request, f"openid {client.provider.id}")
        taken = await openid.take(context.pool, client.provider.id, browser, state)
        if iss and not client.is_named(iss):
            raise InvalidArgument(f"the answer is not from {client.provider.name}")
        if error or not code:
            raise InvalidArgument(f"{client.provider.name} did not let you in: {error[:80] or 'no code'}")
        voucher = await client.voucher(code, _callback(context, client), taken.nonce, taken.verifier)
        account = await openid.enter(
            context.pool,
            client.provider,
            voucher.subject,
            voucher.email,
            voucher.is_verified,
            voucher.name,
            voucher.groups,
            address,
        )
    except BroadaxeError as refusal:
        return _back(refusal, client)
    attempts.forgive(request, f"openid {client.provider.id}")
    answer = RedirectResponse(taken.next, status_code=303)
    through = client.provider.id
    vouched = Vouched(through, sealed_id_token(context, account.id, through, voucher.id_token))
    await open_session(context, request, answer, account.id, {"through": through}, vouched)
    answer.delete_cookie(context.settings.cookie_name + COOKIE_SUFFIX, path=f"{STABLE}/openid")
    return answer


def _client(context: Context, provider: str) -> Client:
    found = context.openid.get(provider)
    if found is None:
        raise NotFound(f"there is no OpenID provider {provider[:80]}")
    return found


def _callback(context: Context, client: Client) -> str:
    return f"{context.settings.server_url}{STABLE}/openid/{client.provider.id}/callback"


def _back(error: BroadaxeError, client: Client) -> Response:
    """To the sign-in page, which says why."""
    _log.warning("nobody was signed in through %s: %s", client.provider.id, error.message)
    answer = RedirectResponse("/login", status_code=303)
    # In a cookie, which no link of somebody else's can bring along; the page shows it and takes it away.
    answer.set_cookie(PROBLEM_COOKIE, quote(error.message[:300], safe=""), max_age=60, path="/login", samesite="lax")
    return answer
