"""Who belongs to a tenant: members and their roles, and invites, by which somebody else gets in.

An invite's link carries its secret behind a `#`, which no browser sends to a server and no log gets to see. Whoever has
it sees what they are asked into, and makes the account with the invite's address, or logs in with it. The requests that
carry the secret in their body are open to anybody: the secret is the proof.
"""

from __future__ import annotations

import logging
from typing import Annotated, Final, Literal

from fastapi import Query, Request, Response

from broadaxe.core.audit import Action
from broadaxe.core.commands.asked import Initiator, InitiatorKind
from broadaxe.errors import BroadaxeError, FailedPrecondition, PermissionDenied
from broadaxe.rest import letters
from broadaxe.rest.attempts import AttemptsDep
from broadaxe.rest.client_address import client_address
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import AdminPersonScope, AdminScope, PersonScope, Scope
from broadaxe.rest.parameters import Body, Id, PathId
from broadaxe.rest.routers.route import API, STABLE, router
from broadaxe.rest.sessions import open_session
from broadaxe.rest.shapes import people as shapes
from broadaxe.storage import accounts, invites
from broadaxe.storage.accounts import Role
from broadaxe.storage.pages import ByTime

_MEMBERS: Final = Listing(ByTime, "members")

RoleName = Literal["OWNER", "ADMIN", "MEMBER", "VIEWER"]

routes = router("members and invites")

_log = logging.getLogger(__name__)


class RoleChange(Body):
    role: RoleName


class NewInvite(Body):
    email: str
    role: RoleName


class InviteId(Body):
    invite: Id


class InviteSecret(Body):
    secret: str


class NewcomersInvite(Body):
    secret: str
    name: str = ""
    password: str


# Members ------------------------------------------------------------------------------------------------------------


@routes.get(f"{API}/tenants/{{tenant}}/members")
async def list_members(
    scope: AdminScope,
    context: ContextDep,
    limit: Annotated[int, Query(ge=1, le=accounts.MEMBERS_LISTED_MAX)] = accounts.MEMBERS_LISTED_MAX,
    cursor: Cursor = None,
) -> shapes.TenantMembers:
    """Who belongs to the tenant, in the order they joined."""
    page = await accounts.members_of_tenant(context.pool, scope.tenant_id, limit=limit, after=_MEMBERS.after(cursor))
    return shapes.TenantMembers(
        rows=[shapes.member(row, context.settings.server_url) for row in page.rows],
        pagination=_MEMBERS.only_cursor(page.end),
    )


@routes.patch(f"{API}/tenants/{{tenant}}/members/{{member}}")
async def change_member(
    member: PathId, body: RoleChange, scope: AdminPersonScope, context: ContextDep
) -> shapes.TenantMember:
    """Gives somebody another role. Only an owner makes owners or changes one; nobody changes their own role; the last
    owner stays one."""
    changed = await accounts.change_member(
        context.pool, scope.tenant_id, member, Role(body.role), scope.caller.by, scope.role
    )
    return shapes.member(changed, context.settings.server_url)


@routes.delete(f"{API}/tenants/{{tenant}}/members/{{member}}", status_code=204)
async def remove_member(member: PathId, scope: AdminPersonScope, context: ContextDep) -> Response:
    """Ends a membership at once. The account stays, and so do its other tenants."""
    await accounts.end_member(context.pool, scope.tenant_id, member, scope.caller.by, scope.role)
    return Response(status_code=204)


# Inviting -----------------------------------------------------------------------------------------------------------


@routes.get(f"{API}/tenants/{{tenant}}/invites")
async def list_invites(scope: AdminScope, context: ContextDep) -> shapes.TenantInvites:
    """Invites that count, newest first."""
    found = await invites.of_tenant(context.pool, scope.tenant_id)
    return shapes.TenantInvites(rows=[shapes.invite(row) for row in found])


@routes.post(f"{API}/tenants/{{tenant}}/invites", status_code=201)
async def create_invite(
    body: NewInvite, request: Request, scope: AdminPersonScope, context: ContextDep
) -> shapes.TenantInvite:
    """Asks somebody in, for seven days. `link` is what they open; it is shown this once, and goes to them by mail where
    this server sends mails."""
    role = _grantable(body.role, scope)
    invite, secret = await invites.make(context.pool, scope.tenant_id, body.email, role, scope.caller.by)
    return await _sent(invite, secret, request, context)


@routes.patch(f"{API}/tenants/{{tenant}}/invites/{{invite}}")
async def change_invite(
    invite: PathId, body: RoleChange, scope: AdminPersonScope, context: ContextDep
) -> shapes.TenantInvite:
    """Gives an invite another role."""
    role = _grantable(body.role, scope)
    async with context.pool.acquire() as connection, connection.transaction():
        found = await invites.of_tenant_by_id(connection, scope.tenant_id, invite)
        return shapes.invite(await invites.change(connection, found, role, scope.caller.by))


@routes.delete(f"{API}/tenants/{{tenant}}/invites/{{invite}}")
async def revoke_invite(invite: PathId, scope: AdminPersonScope, context: ContextDep) -> shapes.TenantInvite:
    """Ends an invite; its link does not count any more. Answers what it was."""
    async with context.pool.acquire() as connection, connection.transaction():
        found = await invites.of_tenant_by_id(connection, scope.tenant_id, invite)
        await invites.drop(connection, found, Action.INVITE_REVOKE, scope.caller.by)
    return shapes.invite(found)


@routes.post(f"{STABLE}/tenants/{{tenant}}/invites/{{invite}}/resend")
async def resend_invite(
    invite: PathId, request: Request, scope: AdminPersonScope, context: ContextDep
) -> shapes.TenantInvite:
    """Makes a new link, which counts for seven days, and mails it like the first; the one before ends."""
    async with context.pool.acquire() as connection, connection.transaction():
        found = await invites.of_tenant_by_id(connection, scope.tenant_id, invite)
        _grantable(found.role, scope)
        renewed, secret = await invites.renew(connection, found, scope.caller.by)
    return await _sent(renewed, secret, request, context)


# Being invited ------------------------------------------------------------------------------------------------------


@routes.get(f"{API}/users/invites")
async def my_invites(person: PersonScope, context: ContextDep) -> shapes.TenantInvites:
    """Invites for the address of whoever is logged in."""
    found = await invites.for_email(context.pool, person.account.email)
    return shapes.TenantInvites(rows=[shapes.invite(row) for row in found])


@routes.post(f"{API}/users/invites/accept", response_class=Response)
async def accept_invite(body: InviteId, person: PersonScope, context: ContextDep) -> Response:
    async with context.pool.acquire() as connection, connection.transaction():
        invite = await invites.of_email_by_id(connection, person.account.email, body.invite)
        await invites.accept(connection, invite, person.account, person.caller.by)
    return Response()


@routes.post(f"{API}/users/invites/reject", response_class=Response)
async def reject_invite(body: InviteId, person: PersonScope, context: ContextDep) -> Response:
    async with context.pool.acquire() as connection, connection.transaction():
        invite = await invites.of_email_by_id(connection, person.account.email, body.invite)
        await invites.drop(connection, invite, Action.INVITE_REJECT, person.caller.by)
    return Response()


@routes.post(f"{STABLE}/invites/look")
async def look_at_invite(body: InviteSecret, context: ContextDep) -> shapes.OpenInvite:
    """What the link with this secret asks somebody into, and whether they have an account already."""
    invite = await invites.with_secret(context.pool, body.secret)
    known = await accounts.account_by_email(context.pool, invite.email)
    return shapes.open_invite(invite, has_account=known is not None)


@routes.post(f"{STABLE}/invites/join")
async def join(
    body: NewcomersInvite, request: Request, response: Response, context: ContextDep, attempts: AttemptsDep
) -> shapes.User:
    """Makes the account with the invite's address, accepts the invite, and logs in. Whoever has an account logs in
    instead, and accepts with `POST /api/v1/users/invites/accept`."""
    attempts.count(request, "")
    async with context.pool.acquire() as connection, connection.transaction():
        invite = await invites.with_secret(connection, body.secret)
        if await accounts.account_by_email(connection, invite.email) is not None:
            raise FailedPrecondition(f"there is an account {invite.email} already; log in with it, then accept")
        account = await accounts.register(connection, body.name, invite.email, body.password)
        await invites.accept(connection, invite, account, _newcomer(account, request, context))
    await open_session(context, request, response, account.id)
    return shapes.user(account)


@routes.post(f"{STABLE}/invites/reject", response_class=Response)
async def reject_by_link(body: InviteSecret, request: Request, context: ContextDep) -> Response:
    """Ends the invite whose link has this secret."""
    async with context.pool.acquire() as connection, connection.transaction():
        invite = await invites.with_secret(connection, body.secret)
        by = Initiator(InitiatorKind.NOBODY, "", invite.email, _address(request, context))
        await invites.drop(connection, invite, Action.INVITE_REJECT, by)
    return Response()


# ----------------------------------------------------------------------------------------------------------------------


def _grantable(role: str, scope: Scope) -> Role:
    if role == Role.OWNER and scope.role is not Role.OWNER:
        raise PermissionDenied("only an owner makes somebody an owner")
    return Role(role)


async def _sent(invite: invites.Invite, secret: str, request: Request, context: Context) -> shapes.TenantInvite:
    """The invite with its link, which was mailed if this server sends mails. One that could not be is there all the
    same: the link can be sent by hand."""
    link = f"{context.settings.server_url}/invite#{secret}"
    mailer = context.mailer
    if mailer is None:
        return shapes.invite(invite, link=link)
    bursts: letters.MailBursts = request.app.state.mail_bursts
    if not bursts.invites.take(invite.tenant_id):
        return shapes.invite(invite, link=link, mailed=False, mail_problem="too many invites were mailed just now")
    try:
        await mailer.send(invite.email, *letters.invite(invite, link))
    except BroadaxeError as error:
        _log.warning("an invite could not be mailed: %s", error.message)
        return shapes.invite(invite, link=link, mailed=False, mail_problem=error.message)
    return shapes.invite(invite, link=link, mailed=True)


def _address(request: Request, context: Context) -> str:
    return client_address(request, context.settings.trusted_proxies)


def _newcomer(account: accounts.Account, request: Request, context: Context) -> Initiator:
    return Initiator(InitiatorKind.ACCOUNT, account.id, account.email, _address(request, context))
