"""The session cookie: how a browser is known after it was let in."""

from __future__ import annotations

from typing import Final

from fastapi import Request, Response

from broadaxe.core.audit import Action, Subject
from broadaxe.core.commands.asked import Initiator, InitiatorKind
from broadaxe.errors import InvalidArgument
from broadaxe.rest.bursts import Bursts
from broadaxe.rest.client_address import client_address
from broadaxe.rest.context import Context
from broadaxe.storage import accounts, audit
from broadaxe.storage.audit_groups import AuditGroups

#: Logins refused for addresses that nobody has, which a process writes down.
UNKNOWN_LOGINS_PER_S: Final = 0.2
UNKNOWN_LOGINS_BURST: Final = 100

__all__ = ["UNKNOWN_LOGINS_BURST", "UNKNOWN_LOGINS_PER_S", "note_refused_login", "open_session"]


async def open_session(context: Context, request: Request, response: Response, account_id: str) -> None:
    """Begins a session of the account and puts its cookie into the answer."""
    device = request.headers.get("user-agent", "")
    address = client_address(request, context.settings.trusted_proxies)
    async with context.pool.acquire() as connection, connection.transaction():
        cookie = await accounts.open_session(connection, account_id, device)
        person = await accounts.person_of_account(connection, account_id)
        if person is not None:
            email = person.account.email
            by = Initiator(InitiatorKind.ACCOUNT, account_id, email, address)
            subject = Subject(account_id, email, {"device": device})
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
