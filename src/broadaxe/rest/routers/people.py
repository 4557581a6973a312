"""People: registering, logging in and out, passwords, memberships, tenants.

Attempts to log in are bounded per account and address, because guessing a password is the one thing a caller may want
to do a million times; those to register per address.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Request, Response
from pydantic import Field
from pydantic.alias_generators import to_camel

from broadaxe.errors import FailedPrecondition, InvalidArgument
from broadaxe.rest.attempts import AttemptsDep
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import (
    AdminScope,
    CallerDep,
    OwnerPersonScope,
    PersonDep,
    PersonScope,
    Scope,
    ViewerScope,
    missing,
)
from broadaxe.rest.parameters import Body, PathId, plain_text
from broadaxe.rest.routers.alerting import settings_of
from broadaxe.rest.routers.route import API, STABLE, router
from broadaxe.rest.sessions import check_second_factor, leave, note_refused_login, open_session
from broadaxe.rest.shapes import people as shapes
from broadaxe.storage import accounts, tenant_deletion
from broadaxe.storage.pages import ByTime

_SESSIONS: Final = Listing(ByTime, "sessions")

routes = router("people and tenants")


class Registration(Body):
    name: str
    email: str
    password: str


class Login(Body):
    email: str
    password: str
    code: str = ""
    """Of the second factor, where the account has one."""


class PasswordChange(Body):
    password: str
    new_password: str


class NewTenant(Body):
    name: str
    slug: str


class TenantChange(Body):
    """What is said of alerts has to be what their rules come to already."""

    name: str | None = None
    alert_member_emails: bool | None = None
    enable_workflow_run_failure_alerts: bool | None = None
    enable_expiring_token_alerts: bool | None = None
    enable_tenant_resource_limit_alerts: bool | None = None
    max_alerting_frequency: Annotated[str, Field(max_length=100)] | None = None


@routes.post(f"{API}/users/register")
async def register(
    body: Registration, request: Request, response: Response, context: ContextDep, attempts: AttemptsDep
) -> shapes.User:
    if not context.settings.allows_signup:
        # 400 by the protocol: the sign-up form shows it.
        raise InvalidArgument("signing up is switched off on this server; ask its administrator for an account")
    attempts.count(request, "")
    account = await accounts.register(context.pool, body.name, body.email, body.password)
    await open_session(context, request, response, account.id)
    return shapes.user(account)


@routes.post(f"{API}/users/login")
async def login(
    body: Login, request: Request, response: Response, context: ContextDep, attempts: AttemptsDep
) -> shapes.User:
    """`code` is asked for, by an error that names it, where the account has a second factor."""
    attempts.count(request, body.email)
    try:
        account = await accounts.login(context.pool, body.email, body.password)
    except InvalidArgument as error:
        await note_refused_login(context, request, body.email, error.message)
        raise
    attempts.forgive(request, body.email)
    try:
        told = await check_second_factor(context, request, account.id, body.code)
    except InvalidArgument as error:
        if body.code:
            attempts.count(request, body.email)
            await note_refused_login(context, request, body.email, error.message)
        raise
    await open_session(context, request, response, account.id, told)
    return shapes.user(account)


@routes.post(f"{API}/users/logout")
async def logout(
    request: Request, response: Response, context: ContextDep, account: PersonDep, caller: CallerDep
) -> shapes.LoggedOut:
    """Ends the session. `providerLogoutUrl` is where the browser goes next to end the one at the OpenID provider that
    let it in; left out if there is none, or it cannot say where."""
    cookie = _cookie(request, context)
    vouched = await accounts.close_session(context.pool, cookie, caller.by) if cookie else None
    response.delete_cookie(context.settings.cookie_name, path="/", httponly=True, samesite="lax")
    return shapes.logged_out(account, await leave(context, vouched, account.id))


@routes.get(f"{API}/users/current")
async def current(account: PersonDep) -> shapes.User:
    return shapes.user(account)


@routes.post(f"{API}/users/password")
async def change_password(
    body: PasswordChange,
    request: Request,
    context: ContextDep,
    caller: CallerDep,
    account: PersonDep,
    attempts: AttemptsDep,
) -> shapes.User:
    """Ends every other session of the account."""
    attempts.count(request, account.email)
    changed = await accounts.change_password(
        context.pool,
        account.id,
        body.password,
        body.new_password,
        by=caller.by,
        keep_cookie=_cookie(request, context),
    )
    return shapes.user(changed)


@routes.get(f"{STABLE}/users/sessions")
async def list_sessions(
    request: Request,
    context: ContextDep,
    account: PersonDep,
    limit: Annotated[int, Query(ge=1, le=accounts.SESSIONS_LISTED_MAX)] = accounts.SESSIONS_LISTED_MAX,
    cursor: Cursor = None,
) -> shapes.Sessions:
    """Where the caller is logged in, newest first. `lastUsedAt` is exact to ten minutes."""
    page = await accounts.sessions_of_account(
        context.pool, account.id, _cookie(request, context), limit=limit, after=_SESSIONS.after(cursor)
    )
    return shapes.Sessions(rows=[shapes.session(row) for row in page.rows], pagination=_SESSIONS.only_cursor(page.end))


@routes.delete(f"{STABLE}/users/sessions")
async def end_other_sessions(request: Request, context: ContextDep, person: PersonScope) -> shapes.EndedSessions:
    """Logs the caller out everywhere but here."""
    cookie = _cookie(request, context)
    ended = await accounts.end_other_sessions(context.pool, person.account.id, cookie, person.caller.by)
    return shapes.EndedSessions(ended=ended)


@routes.delete(f"{STABLE}/users/sessions/{{session}}", status_code=204)
async def end_session(session: PathId, context: ContextDep, person: PersonScope) -> Response:
    """Logs one browser of the caller's out."""
    if not await accounts.end_session(context.pool, person.account.id, session, person.caller.by):
        raise missing("session", session)
    return Response(status_code=204)


@routes.get(f"{API}/users/memberships")
async def memberships(context: ContextDep, account: PersonDep) -> shapes.TenantMembers:
    found = await accounts.memberships_of_account(context.pool, account.id)
    return shapes.TenantMembers(rows=[shapes.member(row, context.settings.server_url) for row in found])


@routes.post(f"{API}/tenants")
async def create_tenant(body: NewTenant, context: ContextDep, caller: CallerDep, account: PersonDep) -> shapes.Tenant:
    """The creator becomes its owner."""
    if not context.settings.allows_tenant_creation:
        raise InvalidArgument("creating tenants is switched off on this server")
    made = await accounts.create_tenant(context.pool, body.name, body.slug, account.id, caller.by)
    return shapes.tenant(made, context.settings.server_url)


@routes.get(f"{API}/tenants/{{tenant}}")
async def get_tenant(scope: ViewerScope, context: ContextDep) -> shapes.Tenant:
    found = await accounts.tenant(context.pool, scope.tenant_id)
    if found is None:
        raise missing("tenant", scope.tenant_id)
    return shapes.tenant(found, context.settings.server_url)


@routes.patch(f"{API}/tenants/{{tenant}}")
async def change_tenant(body: TenantChange, scope: AdminScope, context: ContextDep) -> shapes.Tenant:
    """Only the name can be changed here; what is said of alerts is refused unless it is so already, other keys are
    ignored."""
    await _check_alerts(body, scope, context)
    changed = await accounts.rename_tenant(context.pool, scope.tenant_id, body.name, scope.caller.by)
    return shapes.tenant(changed, context.settings.server_url)


@routes.delete(f"{API}/tenants/{{tenant}}", status_code=204)
async def delete_tenant(
    scope: OwnerPersonScope,
    context: ContextDep,
    confirm: Annotated[str, Query(max_length=255, description="The slug of the tenant.")],
) -> Response:
    """Deletes a tenant with everything in it, for good: nobody gets in from this moment, its tokens end, and its rows
    are gone within minutes."""
    slug = plain_text(confirm, field="confirm")
    await tenant_deletion.delete_tenant(context.pool, scope.tenant_id, slug, scope.caller.by)
    return Response(status_code=204)


async def _check_alerts(body: TenantChange, scope: Scope, context: Context) -> None:
    wanted = {name: value for name in _OF_ALERTS if (value := getattr(body, name)) is not None}
    if not wanted:
        return
    present = await settings_of(context, scope.tenant_id)
    for name, value in wanted.items():
        if getattr(present, name) != value:
            raise FailedPrecondition(
                "alerts are told by rules; make, change or delete one on the page Alerts, or with "
                f"{STABLE}/tenants/{scope.tenant_id}/alert-rules",
                field=to_camel(name),
            )


_OF_ALERTS: Final = tuple(name for name in TenantChange.model_fields if name != "name")


def _cookie(request: Request, context: Context) -> str | None:
    return request.cookies.get(context.settings.cookie_name)
