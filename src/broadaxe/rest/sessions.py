"""The session cookie: how a browser is known after it was let in."""

from __future__ import annotations

import time
from typing import Final

from fastapi import Request, Response

from broadaxe.core.audit import Action, Subject, Value
from broadaxe.core.commands.asked import Initiator, InitiatorKind
from broadaxe.errors import InvalidArgument, ResourceExhausted
from broadaxe.rest.bursts import Bursts
from broadaxe.rest.client_address import client_address
from broadaxe.rest.context import Context
from broadaxe.storage import accounts, audit, second_factors
from broadaxe.storage.audit_groups import AuditGroups

#: Logins refused for addresses that nobody has, which a process writes down.
UNKNOWN_LOGINS_PER_S: Final = 0.2
UNKNOWN_LOGINS_BURST: Final = 100

CODE_NEEDED: Final = "give the code that your authenticator app shows, or a recovery code"
#: Codes of a second factor that may be tried at an account, from wherever: whoever tries one has its password.
CODE_TRIES_PER_S: Final = 1 / 30
CODE_TRIES_BURST: Final = 10

__all__ = [
    "CODE_TRIES_BURST",
    "CODE_TRIES_PER_S",
    "UNKNOWN_LOGINS_BURST",
    "UNKNOWN_LOGINS_PER_S",
    "check_second_factor",
    "note_refused_login",
    "open_session",
]


async def open_session(
    context: Context, request: Request, response: Response, account_id: str, told: Value | None = None
) -> None:
    """Begins a session of the account and puts its cookie into the answer. `told` is what the audit log says
    besides, of what let them in."""
    device = request.headers.get("user-agent", "")
    address = client_address(request, context.settings.trusted_proxies)
    async with context.pool.acquire() as connection, connection.transaction():
        cookie = await accounts.open_session(connection, account_id, device)
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
