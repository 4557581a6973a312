"""The shapes of people, tenants, members and sessions, made from stored records."""

from __future__ import annotations

from typing import Literal

from broadaxe.rest.wire import Instant, Metadata, Pagination, Wire, metadata_of
from broadaxe.storage import accounts
from broadaxe.storage.invites import Invite


class User(Wire):
    metadata: Metadata
    email: str
    name: str | None = None
    email_verified: bool = True
    has_password: bool = True


class LoggedOut(User):
    provider_logout_url: str | None = None


class Tenant(Wire):
    metadata: Metadata
    name: str
    slug: str
    version: Literal["V1"] = "V1"
    environment: Literal["local", "development", "production"] | None = None
    server_url: str | None = None


class MemberUser(Wire):
    email: str
    name: str | None = None


class TenantMember(Wire):
    metadata: Metadata
    user: MemberUser
    role: Literal["OWNER", "ADMIN", "MEMBER", "VIEWER"]
    tenant: Tenant | None = None
    can_view_payloads: bool = True


class TenantMembers(Wire):
    rows: list[TenantMember]
    pagination: Pagination | None = None


class TenantInvite(Wire):
    metadata: Metadata
    email: str
    role: Literal["OWNER", "ADMIN", "MEMBER", "VIEWER"]
    tenant_id: str
    tenant_name: str
    expires: Instant
    invited_by: str
    can_view_payloads: bool = True
    link: str | None = None
    """What the invited person opens; only in the answer that made it."""
    mailed: bool | None = None
    """Whether the link went to them by mail; absent where this server sends no mail."""
    mail_problem: str | None = None
    """Why it did not."""


class TenantInvites(Wire):
    rows: list[TenantInvite]


class OpenInvite(Wire):
    """An invite as whoever has its link sees it."""

    id: str
    email: str
    role: Literal["OWNER", "ADMIN", "MEMBER", "VIEWER"]
    tenant_id: str
    tenant_name: str
    expires: Instant
    invited_by: str
    has_account: bool


class Session(Wire):
    """A browser that is logged in."""

    id: str
    device: str
    """What it called itself."""
    created_at: Instant
    last_used_at: Instant
    expires_at: Instant
    is_current: bool


class Sessions(Wire):
    rows: list[Session]
    pagination: Pagination | None = None


class SecondFactor(Wire):
    is_on: bool
    since: Instant | None = None
    recovery_codes_left: int | None = None


class NewSecondFactor(Wire):
    secret: str
    """In base32, for who types it."""
    address: str
    """`otpauth:`, for an app on the same device."""
    picture: str
    """The address as a QR code: SVG in a `data:` URI."""


class RecoveryCodes(Wire):
    codes: list[str]


class OpenIdProvider(Wire):
    id: str
    name: str


class OpenIdProviders(Wire):
    rows: list[OpenIdProvider]


class EndedSessions(Wire):
    ended: int


def user(account: accounts.Account) -> User:
    return User(
        metadata=metadata_of(account.id, account.created_at, account.updated_at),
        email=account.email,
        name=account.name or None,
    )


def logged_out(account: accounts.Account, provider_logout_url: str) -> LoggedOut:
    return LoggedOut(**dict(user(account)), provider_logout_url=provider_logout_url or None)


def tenant(record: accounts.Tenant, server_url: str) -> Tenant:
    return Tenant(
        metadata=metadata_of(record.id, record.created_at, record.updated_at),
        name=record.name,
        slug=record.slug,
        server_url=server_url,
    )


def member(record: accounts.Membership, server_url: str) -> TenantMember:
    return TenantMember(
        metadata=metadata_of(record.id, record.created_at, record.updated_at),
        user=MemberUser(email=record.email, name=record.account_name or None),
        role=record.role.value,
        tenant=tenant(record.tenant, server_url),
    )


def invite(
    record: Invite, *, link: str | None = None, mailed: bool | None = None, mail_problem: str | None = None
) -> TenantInvite:
    return TenantInvite(
        metadata=metadata_of(record.id, record.created_at, record.updated_at),
        email=record.email,
        role=record.role.value,
        tenant_id=record.tenant_id,
        tenant_name=record.tenant_name,
        expires=record.expires_at,
        invited_by=record.made_by,
        link=link,
        mailed=mailed,
        mail_problem=mail_problem,
    )


def open_invite(record: Invite, *, has_account: bool) -> OpenInvite:
    return OpenInvite(
        id=record.id,
        email=record.email,
        role=record.role.value,
        tenant_id=record.tenant_id,
        tenant_name=record.tenant_name,
        expires=record.expires_at,
        invited_by=record.made_by,
        has_account=has_account,
    )


def session(record: accounts.Session) -> Session:
    return Session(
        id=record.id,
        device=record.device,
        created_at=record.created_at,
        last_used_at=record.last_used_at,
        expires_at=record.expires_at,
        is_current=record.is_current,
    )
