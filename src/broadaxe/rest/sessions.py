"""The session cookie: how a browser is known after it was let in."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from fastapi import Request, Response

from broadaxe.core.audit import Action, Subject, Value
from broadaxe.core.commands.asked import Initiator, InitiatorKind
from broadaxe.errors import BroadaxeError, FailedPrecondition, InvalidArgument, ResourceExhausted
from broadaxe.rest.bursts import Bursts
from broadaxe.rest.client_address import client_address
from broadaxe.rest.context import Context
from broadaxe.storage import accounts, audit, second_factors
from broadaxe.storage.accounts import Vouched
from broadaxe.storage.audit_groups import AuditGroups

#: Logins refused for addresses that nobody has, which a process writes down.
UNKNOWN_LOGINS_PER_S: Final = 0.2
UNKNOWN_LOGINS_BURST: Final = 100

CODE_NEEDED: Final = "give the code that your authenticator app shows, or a recovery code"
#: Codes of a second factor that may be tried at an account, from wherever: whoever tries one has its password.
CODE_TRIES_PER_S: Final = 1 / 30
CODE_TRIES_BURST: Final = 10

#: How long a provider may take to say where people log out; longer than that nobody waits to leave.
LEAVING_S: Final = 3.0
#: Of an ID token, which goes into an address; servers refuse addresses of some 8,000.
ID_TOKEN_CHARS_MAX: Final = 4_000

_log = logging.getLogger(__name__)

__all__ = [
    "CODE_TRIES_BURST",
    "CODE_TRIES_PER_S",
    "UNKNOWN_LOGINS_BURST",
    "UNKNOWN_LOGINS_PER_S",
    "check_second_factor",
    "leave",
    "note_refused_login",
    "open_session",
    "sealed_id_token",
]


async def open_session(
    context: Context,
    request: Request,
    response: Response,
    account_id: str,
    told: Value | None = None,
    vouched: Vouched | None = None,
) -> None:
    """Begins a session of the account and puts its cookie into the answer. `told` is what the audit log says
    besides, of what let them in; `vouched` the provider that did."""
    device = request.headers.get("user-agent", "")
    address = client_address(request, context.settings.trusted_proxies)
    async with context.pool.acquire() as connection, connection.transaction():
        cookie = await accounts.open_session(connection, account_id, device, vouched)
        person = await accounts.person_of_account(connection, account_id)
        if person is not None:
            email = person.account.email
            by = Initiator(InitiatorKind.ACCOUNT, account_id, email, address)
            subject = Subject(account_id, email, {"device": device} | (told or {}))
            await audit.write_of_account(connection, account_id, by, Action.ACCOUNT_LOG_IN, subject)
    response.set_cookie(
        context.settings.cookie_name,
        cookie,
        max_age=accounts.SESSION_LIFE_S,
        path="/",
        httponly=True,
        samesite="lax",
        secure=context.settings.is_cookie_secure,
    )


async def leave(context: Context, vouched: Vouched | None, account_id: str) -> str:
    """Where the browser of a session that has ended goes to end the one at the provider that let it in; empty if there
    is no such place, or the provider cannot say: that keeps nobody here."""
    client = None if vouched is None else context.openid.get(vouched.provider)
    if client is None or vouched is None:
        return ""
    id_token = ""
    try:
        if vouched.id_token is not None:
            place = _place(account_id, vouched.provider)
            id_token = context.vault.open(vouched.id_token, place=place)
    except BroadaxeError as error:
        _log.warning("the ID token of a session could not be opened: %s", error.message)
    try:
        async with asyncio.timeout(LEAVING_S):
            return await client.logout_address(f"{context.settings.server_url}/login", id_token)
    except (BroadaxeError, TimeoutError) as error:
        _log.warning("somebody stays logged in at %s: %s", vouched.provider, error)
        return ""


def sealed_id_token(context: Context, account_id: str, provider: str, id_token: str) -> bytes | None:
    """What a session keeps of the ID token; None if it is too long for an address, or there is no key to seal with."""
    if len(id_token) > ID_TOKEN_CHARS_MAX:
        return None
    try:
        return context.vault.seal(id_token, place=_place(account_id, provider))
    except FailedPrecondition:
        return None


def _place(account_id: str, provider: str) -> str:
    return f"id token {account_id} {provider}"


async def check_second_factor(context: Context, request: Request, account_id: str, code: str) -> Value:
    """What the audit log says of the code that let somebody in; nothing where none is asked for. InvalidArgument, which
    names the field `code`, when one is missing or wrong."""
    if not await second_factors.is_on(context.pool, account_id):
        return {}
    if not code:
        raise InvalidArgument(CODE_NEEDED, field="code")
    tries: Bursts = request.app.state.code_tries
    if not tries.take(account_id):
        raise ResourceExhausted("too many codes were tried at this account; wait some minutes")
    return {"second_factor": await second_factors.check(context.pool, context.vault, account_id, code, time.time())}


async def note_refused_login(context: Context, request: Request, email: str, refusal: str) -> None:
    """Somebody gave a wrong password; many in a short time are counted. For an account that there is not it is the
    installation's business, at most so often: whoever guesses addresses shall not fill the log, nor learn from the time
    it takes which there are."""
    try:
        account = await accounts.account_by_email(context.pool, email)
    except InvalidArgument:
        return
    address = client_address(request, context.settings.trusted_proxies)
    name = email.strip().lower()
    by, action = Initiator(InitiatorKind.NOBODY, "", name, address), Action.ACCOUNT_LOG_IN
    unknown: Bursts = request.app.state.unknown_logins
    if account is None and not unknown.take(""):
        return
    account_id = audit.INSTALLATION if account is None else account.id

    async def write(connection: audit.Queryable, subject: Subject, refusal: str) -> None:
        await audit.write_of_account(connection, account_id, by, action, subject, refusal=refusal)

    groups: AuditGroups = request.app.state.refusals
    await groups.note(("login", account_id), write, Subject("" if account is None else account.id, name, None), refusal)
