"""Forgotten passwords: a link by mail, and the password that is set with it.

Invariants: whoever asks is answered the same, and after the same work, whether there is such an account or not; links
point to the server's own address, never to the one that a request names.
"""

from __future__ import annotations

from typing import Final

from fastapi import Request, Response

from broadaxe.core.commands.asked import Initiator, InitiatorKind
from broadaxe.errors import FailedPrecondition, ResourceExhausted
from broadaxe.mail import Mailer
from broadaxe.rest import letters
from broadaxe.rest.attempts import AttemptsDep
from broadaxe.rest.client_address import client_address
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.parameters import Body
from broadaxe.rest.routers.route import API, router
from broadaxe.rest.shapes import people as shapes
from broadaxe.storage import accounts, password_resets

#: Mails that are on their way at a time.
ON_THEIR_WAY_MAX: Final = 50
#: Stands for an account where attempts of an address are counted, whatever account they are about.
_ANY: Final = "a forgotten password"

routes = router("people and tenants")


class ForgottenPassword(Body):
    email: str


class ResetPassword(Body):
    secret: str
    new_password: str


@routes.post(f"{API}/users/password/forgot", response_class=Response)
async def forgot_password(
    body: ForgottenPassword, request: Request, context: ContextDep, attempts: AttemptsDep
) -> Response:
    """Mails a link that sets another password, for an hour and once, to the account with this address, if there is
    one. The answer is the same if there is none."""
    mailer = context.mailer
    if mailer is None:
        raise FailedPrecondition(
            "this server sends no mail; whoever runs it makes a link for you with: broadaxe account reset EMAIL"
        )
    email = accounts.checked_email(body.email)
    attempts.count(request, _ANY)
    bursts: letters.MailBursts = request.app.state.mail_bursts
    if len(context.background) >= ON_THEIR_WAY_MAX:
        raise ResourceExhausted("too many mails are on their way; try again in a minute")
    if bursts.resets.take(email):
        address = client_address(request, context.settings.trusted_proxies)
        context.background.go("mail of a forgotten password", _mail_link(context, mailer, email, address))
    return Response()


@routes.post(f"{API}/users/password/reset")
async def reset_password(
    body: ResetPassword, request: Request, context: ContextDep, attempts: AttemptsDep
) -> shapes.User:
    """Sets another password with the secret of a link, and ends every session of the account. Whoever it is logs in
    with it then."""
    attempts.count(request, _ANY)
    address = client_address(request, context.settings.trusted_proxies)
    return shapes.user(await password_resets.use(context.pool, body.secret, body.new_password, address))


async def _mail_link(context: Context, mailer: Mailer, email: str, address: str) -> None:
    account = await accounts.account_by_email(context.pool, email)
    if account is None:
        return
    by = Initiator(InitiatorKind.NOBODY, "", email, address)
    secret = await password_resets.make(context.pool, account, by)
    server_url = context.settings.server_url
    await mailer.send(email, *letters.password_reset(email, server_url, f"{server_url}/reset-password#{secret}"))
