"""The second factor of whoever is logged in: turned on with an app, off with the password."""

from __future__ import annotations

import time

import segno
from fastapi import Request, Response

from broadaxe.rest.attempts import AttemptsDep
from broadaxe.rest.context import ContextDep
from broadaxe.rest.identity import PersonScope
from broadaxe.rest.parameters import Body
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import people as shapes
from broadaxe.storage import accounts, second_factors

routes = router("people and tenants")


class Password(Body):
    password: str


class Code(Body):
    code: str


@routes.get(f"{STABLE}/users/second-factor")
async def second_factor(person: PersonScope, context: ContextDep) -> shapes.SecondFactor:
    """Whether the caller is asked for a code when they log in."""
    found = await second_factors.find(context.pool, person.account.id)
    if found is None or found.since is None:
        return shapes.SecondFactor(is_on=False)
    return shapes.SecondFactor(is_on=True, since=found.since, recovery_codes_left=found.codes_left)


@routes.post(f"{STABLE}/users/second-factor")
async def begin_second_factor(
    body: Password, request: Request, person: PersonScope, context: ContextDep, attempts: AttemptsDep
) -> shapes.NewSecondFactor:
    """A secret for an authenticator app. It counts once a code of it is confirmed."""
    attempts.count(request, person.account.email)
    await accounts.check_password(context.pool, person.account.id, body.password)
    attempts.forgive(request, person.account.email)
    secret, address = await second_factors.begin(context.pool, context.vault, person.account)
    return shapes.NewSecondFactor(
        secret=secret,
        address=address,
        picture=segno.make(address, error="m").svg_data_uri(scale=4, border=2, light="#fff"),
    )


@routes.post(f"{STABLE}/users/second-factor/confirm")
async def confirm_second_factor(
    body: Code, request: Request, person: PersonScope, context: ContextDep, attempts: AttemptsDep
) -> shapes.RecoveryCodes:
    """Turns it on. `codes` let the caller in without the app, each once; they are shown this once."""
    attempts.count(request, person.account.email)
    codes = await second_factors.confirm(
        context.pool, context.vault, person.account, body.code, time.time(), person.caller.by
    )
    attempts.forgive(request, person.account.email)
    return shapes.RecoveryCodes(codes=codes)


@routes.post(f"{STABLE}/users/second-factor/off", response_class=Response)
async def turn_off_second_factor(
    body: Password, request: Request, person: PersonScope, context: ContextDep, attempts: AttemptsDep
) -> Response:
    """Turns it off; the recovery codes end with it."""
    attempts.count(request, person.account.email)
    await accounts.check_password(context.pool, person.account.id, body.password)
    attempts.forgive(request, person.account.email)
    await second_factors.remove(context.pool, person.account, person.caller.by)
    return Response()
