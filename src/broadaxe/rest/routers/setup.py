"""The first start of an engine: whoever has the code from its log makes the first account and tenant."""

from __future__ import annotations

from fastapi import Request, Response

from broadaxe.errors import InvalidArgument
from broadaxe.rest.attempts import AttemptsDep
from broadaxe.rest.client_address import client_address
from broadaxe.rest.context import ContextDep
from broadaxe.rest.parameters import Body
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.sessions import open_session
from broadaxe.rest.shapes import people as shapes
from broadaxe.storage import setup

routes = router("setup")


class Setup(Body):
    code: str
    name: str = ""
    email: str
    password: str
    tenant_name: str
    tenant_slug: str


@routes.post(f"{STABLE}/setup")
async def set_up(
    body: Setup, request: Request, response: Response, context: ContextDep, attempts: AttemptsDep
) -> shapes.User:
    """Makes the first account, which operates the installation, and the first tenant, which it owns, and logs in.
    Refused once there is an account."""
    attempts.count(request, "")
    address = client_address(request, context.settings.trusted_proxies)
    try:
        account = await setup.complete(
            context.pool,
            body.code,
            body.name,
            body.email,
            body.password,
            body.tenant_name,
            body.tenant_slug,
            address,
        )
    except InvalidArgument as error:
        # Two things have a name here.
        field = {"slug": "tenantSlug"}.get(error.field or "", error.field)
        if error.field == "name" and "tenant" in error.message:
            field = "tenantName"
        raise InvalidArgument(error.message, field=field) from None
    await open_session(context, request, response, account.id)
    return shapes.user(account)
