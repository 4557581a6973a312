"""Who is calling, and what they may touch.

Owns the order of credentials (bearer token, then session cookie, then the open mode), the roles, and the two guards
that keep other web sites from acting through a person's browser. A *scope* is a caller together with the tenant they
address, already checked.

What a route asks of its callers is the annotation of one parameter of its function: `ViewerScope` to `AdminScope` where
the tenant is in the path; `ViewerCaller` and its like where it is found by what the path names, and `Caller.enter`
checks it there; `AdminPersonScope` and its like for what no token may do; `PersonDep` and `OperatorDep` for what is of
no tenant. `access_of` reads it back: the table in the documentation is made of it.

Refuses: missing or bad credentials (403), a tenant or resource of somebody else (403), a role that does not suffice
(401). Invariants: a token reaches one tenant only; the open mode answers programs of this machine only, not what came
through a proxy, and under loopback host names only, so that a page whose name was rebound to 127.0.0.1 gets nothing; a
request that changes something and carries a foreign `Origin` is refused
unless it brings a token, which no browser attaches by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from broadaxe.core.commands.asked import TOKEN_NAME, Initiator, InitiatorKind
from broadaxe.errors import NotFound, PermissionDenied, Unauthenticated
from broadaxe.rest.client_address import client_address, is_direct_and_local
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.parameters import NO_NAMESPACE, PathId
from broadaxe.storage.accounts import Account, Role, cookie_hash, is_operator, person_of_account, person_of_session
from broadaxe.storage.token_verifier import TokenPrincipal
from broadaxe.storage.tokens import TopicName

__all__ = [
    "Access",
    "AdminPersonCaller",
    "AdminPersonScope",
    "AdminScope",
    "Caller",
    "CallerDep",
    "MemberCaller",
    "MemberScope",
    "OperatorDep",
    "OwnerPersonScope",
    "PersonDep",
    "PersonScope",
    "PersonalScope",
    "Scope",
    "TopicReaderScope",
    "ViewerCaller",
    "ViewerScope",
    "access_of",
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
    login: bytes | None = None
    """The hash of the cookie that a person came with; None for tokens and in the open mode."""
    needed: Role = Role.VIEWER
    """What the route asks for in the tenant that `enter` is given."""
    refused_in: list[str] = field(default_factory=list, compare=False, repr=False)
    """The tenant in which the role did not suffice; shared with what is made of this caller, for the audit log."""

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

    def enter(self, tenant_id: str) -> Scope:
        """Raises unless the caller belongs to the tenant with at least the role that the route asks for."""
        role = self.roles.get(tenant_id)
        if role is None:
            # The same words for a tenant that is not there: existence is nobody else's business.
            raise Unauthenticated("these credentials do not give access to this tenant")
        if not role.reaches(self.needed):
            self.refused_in.append(tenant_id)
            whose = "this token's" if self.is_token else "yours"
            raise PermissionDenied(f"this needs the role {self.needed} in the tenant; {whose} is {role}")
        return Scope(tenant_id, self)


@dataclass(frozen=True, slots=True)
class Scope:
    """A caller within a tenant they may enter."""

    tenant_id: str
    caller: Caller

    @property
    def role(self) -> Role:
        return self.caller.roles[self.tenant_id]


@dataclass(frozen=True, slots=True)
class PersonalScope:
    """A person who is logged in, whatever their tenants."""

    account: Account
    caller: Caller


async def needs_caller(request: Request, context: ContextDep) -> Caller:
    caller = request.state.caller = await _caller_of(request, context)
    _refuse_narrowed(caller, None)
    return caller


def _refuse_narrowed(caller: Caller, asked: TopicName | None) -> None:
    """A token for one topic, unless that is what it asks for."""
    if caller.token is not None and (only := caller.token.topic) is not None and only != asked:
        caller.refused_in.append(caller.token.tenant_id)
        raise PermissionDenied(f"this token reads the topic {only.name!r} and does nothing else")


async def _caller_of(request: Request, context: Context) -> Caller:
    address = client_address(request, context.settings.trusted_proxies)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    has_token = scheme.lower() == "bearer"
    if has_token:
        try:
            return _of_token(await context.verifier.verify(token.strip()), address, context)
        except Unauthenticated:
            # The protocol falls back to the cookie; without one the request is refused below.
            pass
    cookie = request.cookies.get(context.settings.cookie_name)
    person = await person_of_session(context.pool, cookie) if cookie else None
    login = cookie_hash(cookie) if cookie and person is not None else None
    if person is None and context.settings.open_account_id is not None and not has_token:
        _check_loopback(request)
        person = await person_of_account(context.pool, context.settings.open_account_id)
    if person is None:
        by_link = "" if context.settings.entry is None else "open the link that the engine printed when it started, "
        raise Unauthenticated(f"{by_link}log in, or send a valid API token as 'Authorization: Bearer …'")
    _check_origin(request, context)
    return Caller(person.roles, person.account, address=address, login=login)


CallerDep = Annotated[Caller, Depends(needs_caller)]


async def needs_person(caller: CallerDep) -> Account:
    if caller.account is None:
        raise Unauthenticated("this belongs to people; log in instead of sending an API token")
    return caller.account


#: The account of a logged-in person; refuses tokens.
PersonDep = Annotated[Account, Depends(needs_person)]


async def _personal(account: PersonDep, caller: CallerDep) -> PersonalScope:
    return PersonalScope(account, caller)


#: The same, for what is written into the audit log.
PersonScope = Annotated[PersonalScope, Depends(_personal)]


async def needs_operator(account: PersonDep, context: ContextDep) -> Account:
    if not await is_operator(context.pool, account.id):
        raise PermissionDenied(
            "this is for operators of the installation; whoever runs it makes you one with: "
            f"broadaxe account operator {account.email}"
        )
    return account


#: The account of a logged-in person who may see and change what concerns the whole installation.
OperatorDep = Annotated[Account, Depends(needs_operator)]


@dataclass(frozen=True, slots=True)
class Access:
    """What a route asks of its callers."""

    role: Role | None = None
    """In the tenant it concerns; None where it concerns none."""
    needs_caller: bool = True
    """Whether it wants credentials at all."""
    takes_tokens: bool = True
    is_for_operators: bool = False


_ACCESS: Final[dict[object, Access]] = {
    needs_operator: Access(takes_tokens=False, is_for_operators=True),
    needs_person: Access(takes_tokens=False),
}


def access_of(dependant: Dependant) -> Access:
    """What the route with these dependencies asks of its callers."""
    return next((_ACCESS[call] for call in _calls(dependant) if call in _ACCESS), Access(needs_caller=False))


def _calls(dependant: Dependant) -> Iterator[object]:
    """What a route depends on, the outermost first."""
    yield dependant.call
    for dependency in dependant.dependencies:
        yield from _calls(dependency)


def _narrowed(caller: Caller, needed: Role, takes_tokens: bool) -> Caller:
    if not takes_tokens and caller.is_token:
        raise PermissionDenied("no token may do this; log in as a person")
    return replace(caller, needed=needed)


def _caller(needed: Role, *, takes_tokens: bool = True) -> Callable[[Caller], Awaitable[Caller]]:
    async def dependency(caller: CallerDep) -> Caller:
        return _narrowed(caller, needed, takes_tokens)

    _ACCESS[dependency] = Access(needed, takes_tokens=takes_tokens)
    return dependency


def _scope(needed: Role, *, takes_tokens: bool = True) -> Callable[[str, Caller], Awaitable[Scope]]:
    async def dependency(tenant: PathId, caller: CallerDep) -> Scope:
        return _narrowed(caller, needed, takes_tokens).enter(tenant)

    _ACCESS[dependency] = Access(needed, takes_tokens=takes_tokens)
    return dependency


async def _topic_reader(tenant: PathId, namespace: str, topic: str, request: Request, context: ContextDep) -> Scope:
    """Whoever reads the tenant, and a token for this one topic."""
    caller = request.state.caller = await _caller_of(request, context)
    _refuse_narrowed(caller, TopicName("" if namespace == NO_NAMESPACE else namespace, topic))
    return caller.enter(tenant)


_ACCESS[_topic_reader] = Access(Role.VIEWER)

TopicReaderScope = Annotated[Scope, Depends(_topic_reader)]
ViewerScope = Annotated[Scope, Depends(_scope(Role.VIEWER))]
MemberScope = Annotated[Scope, Depends(_scope(Role.MEMBER))]
AdminScope = Annotated[Scope, Depends(_scope(Role.ADMIN))]
AdminPersonScope = Annotated[Scope, Depends(_scope(Role.ADMIN, takes_tokens=False))]
OwnerPersonScope = Annotated[Scope, Depends(_scope(Role.OWNER, takes_tokens=False))]
ViewerCaller = Annotated[Caller, Depends(_caller(Role.VIEWER))]
MemberCaller = Annotated[Caller, Depends(_caller(Role.MEMBER))]
AdminCaller = Annotated[Caller, Depends(_caller(Role.ADMIN))]
AdminPersonCaller = Annotated[Caller, Depends(_caller(Role.ADMIN, takes_tokens=False))]


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


def _of_token(principal: TokenPrincipal, address: str, context: Context) -> Caller:
    caller = Caller({principal.tenant_id: principal.role}, None, principal, address)
    context.token_addresses.note(principal.tenant_id, caller.by)
    return caller


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
