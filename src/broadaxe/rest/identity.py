"""Who is calling, and what they may touch.

Owns the order of credentials (bearer token, then session cookie, then the open mode), the roles, and the two guards
that keep other web sites from acting through a person's browser. A *scope* is a caller together with the tenant they
address, already checked.

Refuses: missing or bad credentials (403), a tenant or resource of somebody else (403), a role that does not suffice
(401). Invariants: a token reaches one tenant only; the open mode answers programs of this machine only, not what came
through a proxy, and under loopback host names only, so that a page whose name was rebound to 127.0.0.1 gets nothing; a
request that changes something and carries a foreign `Origin` is refused
unless it brings a token, which no browser attaches by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request

from broadaxe.core.commands.asked import TOKEN_NAME, Initiator, InitiatorKind
from broadaxe.errors import NotFound, PermissionDenied, Unauthenticated
from broadaxe.rest.client_address import client_address, is_direct_and_local
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.parameters import PathId
from broadaxe.storage.accounts import Account, Person, Role, is_operator, person_of_account, person_of_session
from broadaxe.storage.token_verifier import TokenPrincipal

__all__ = [
    "AdminScope",
    "Caller",
    "CallerDep",
    "MemberScope",
    "OperatorDep",
    "PersonDep",
    "Scope",
    "ViewerScope",
    "needs_caller",
    "needs_operator",
    "needs_person",
]

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent the request: a token of one tenant, or a person with roles in some."""

    roles: dict[str, Role]
    account: Account | None
    token: TokenPrincipal | None = None
    address: str = ""
    """Where the request came from."""

    @property
    def is_token(self) -> bool:
        return self.account is None

    @property
    def name(self) -> str:
        """Who it is, for people to read."""
        return TOKEN_NAME if self.account is None else self.account.email

    @property
    def by(self) -> Initiator:
        """Who they are to the audit log."""
        if self.account is not None:
            return Initiator(InitiatorKind.ACCOUNT, self.account.id, self.account.email, self.address)
        return Initiator(
            InitiatorKind.TOKEN, "" if self.token is None else self.token.token_id, self.name, self.address
        )

    @property
    def tenant_ids(self) -> list[str]:
        return list(self.roles)

    def require(self, tenant_id: str, needed: Role) -> None:
        """Raises unless the caller belongs to the tenant with at least this role."""
        role = self.roles.get(tenant_id)
        if role is None:
            # The same words for a tenant that is not there: existence is nobody else's business.
            raise Unauthenticated("these credentials do not give access to this tenant")
        if not role.reaches(needed):
            raise PermissionDenied(f"this needs the role {needed} in the tenant; yours is {role}")


@dataclass(frozen=True, slots=True)
class Scope:
    """A caller within a tenant they may enter."""

    tenant_id: str
    caller: Caller


async def needs_caller(request: Request, context: ContextDep) -> Caller:
    address = client_address(request, context.settings.trusted_proxies)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    has_token = scheme.lower() == "bearer"
    if has_token:
        try:
            return _of_token(await context.verifier.verify(token.strip()), address)
        except Unauthenticated:
            # The protocol falls back to the cookie; without one the request is refused below.
            pass
    cookie = request.cookies.get(context.settings.cookie_name)
    person = await person_of_session(context.pool, cookie) if cookie else None
    if person is None and context.settings.open_account_id is not None and not has_token:
        _check_loopback(request)
        person = await person_of_account(context.pool, context.settings.open_account_id)
    if person is None:
        by_link = "" if context.settings.entry is None else "open the link that the engine printed when it started, "
        raise Unauthenticated(f"{by_link}log in, or send a valid API token as 'Authorization: Bearer …'")
    _check_origin(request, context)
    return _of_person(person, address)


CallerDep = Annotated[Caller, Depends(needs_caller)]


async def needs_person(caller: CallerDep) -> Account:
    if caller.account is None:
        raise Unauthenticated("this belongs to people; log in instead of sending an API token")
    return caller.account


#: The account of a logged-in person; refuses tokens.
PersonDep = Annotated[Account, Depends(needs_person)]


async def needs_operator(account: PersonDep, context: ContextDep) -> Account:
    if not await is_operator(context.pool, account.id):
        raise PermissionDenied(
            "this is for operators of the installation; whoever runs it makes you one with: "
            f"broadaxe account operator {account.email}"
        )
    return account


#: The account of a logged-in person who may see and change what concerns the whole installation.
OperatorDep = Annotated[Account, Depends(needs_operator)]


def _scope(needed: Role) -> Callable[[str, Caller], Awaitable[Scope]]:
    async def dependency(tenant: PathId, caller: CallerDep) -> Scope:
        caller.require(tenant, needed)
        return Scope(tenant, caller)

    return dependency


ViewerScope = Annotated[Scope, Depends(_scope(Role.VIEWER))]
MemberScope = Annotated[Scope, Depends(_scope(Role.MEMBER))]
AdminScope = Annotated[Scope, Depends(_scope(Role.ADMIN))]


def names_this_machine(host: str) -> bool:
    """Whether a Host header, or the authority of a URL, is one of `LOOPBACK_NAMES`, with or without a port. One that
    cannot be read, or that has a user in it, is not."""
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname in LOOPBACK_NAMES and parts.netloc == host and "@" not in host and parts.port != 0
    except ValueError:
        return False


def missing(kind: str, id_text: str) -> NotFound:
    """What to raise when nothing with this id is within the caller's reach."""
    return NotFound(f"there is no {kind} {id_text}")


def _of_token(principal: TokenPrincipal, address: str) -> Caller:
    return Caller({principal.tenant_id: Role.ADMIN}, None, principal, address)


def _of_person(person: Person, address: str) -> Caller:
    return Caller(person.roles, person.account, address=address)


def _check_loopback(request: Request) -> None:
    if not is_direct_and_local(request):
        raise Unauthenticated(
            "without a login the engine answers programs of its own machine only, and not through a proxy; "
            "log in, or send a valid API token as 'Authorization: Bearer …'"
        )
    if not names_this_machine(request.headers.get("host", "")):
        raise Unauthenticated(
            "without a login the engine answers to 127.0.0.1 and localhost only; use one of these names"
        )


def _check_origin(request: Request, context: Context) -> None:
    if request.method in _READING:
        return
    origin = request.headers.get("origin")
    if origin is not None:
        ours = {request.headers.get("host", ""), urlsplit(context.settings.server_url).netloc}
        place = _place(origin)
        if not place or place not in ours:
            raise Unauthenticated("a page of another origin may not do this")
    elif request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise Unauthenticated("a page of another origin may not do this")


def _place(origin: str) -> str:
    """Host and port of an Origin header; empty when it has none (`null`) or cannot be read."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
