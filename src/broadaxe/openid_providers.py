"""Who may vouch for people: the OpenID providers, and GitHub, that an installation trusts, as a file names them.

Owns the form of that file and the presets. Refuses to reach a network: what a provider says of itself is found out by
`rest/openid_client.py` and `rest/github_client.py`. Invariants: ids are unique; a provider's secret is in no error and
no `repr`; an issuer is https, but for one on this machine.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["LOOPBACK", "GroupRole", "OpenIdProvider", "Speaks", "parse_openid_providers"]

PROVIDERS_MAX: Final = 16
GROUP_ROLES_MAX: Final = 1_000
FILE_BYTES_MAX: Final = 1_000_000
SCOPES: Final = ("openid", "email", "profile")
ROLES: Final = ("OWNER", "ADMIN", "MEMBER", "VIEWER")
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

#: What is known of a provider beforehand; the others have an issuer of each customer's own.
PRESETS: Final[dict[str, dict[str, Any]]] = {
    "google": {"name": "Google", "issuer": "https://accounts.google.com"},
    "microsoft": {"name": "Microsoft"},
    "okta": {"name": "Okta", "scopes": ["openid", "email", "profile", "groups"]},
    "keycloak": {"name": "Keycloak"},
    "github": {"name": "GitHub", "issuer": "https://github.com", "scopes": ["read:user", "user:email"]},
}
_KEYS: Final = frozenset(
    {
        *("id", "preset", "name", "issuer", "client_id", "client_secret", "client_secret_file", "scopes", "domains"),
        *("creates_accounts", "groups_claim", "roles", "signs_out"),
    }
)


class Speaks(StrEnum):
    """What a provider is spoken to in."""

    OPENID = "openid"
    GITHUB = "github"


@dataclass(frozen=True, slots=True)
class GroupRole:
    """Whoever is in the group has the role in the tenant."""

    group: str
    tenant: str
    """Its slug."""
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdProvider:
    """One who vouches for people."""

    id: str
    name: str
    """On the button of the sign-in page."""
    issuer: str
    client_id: str
    speaks: Speaks = Speaks.OPENID
    client_secret: str = field(default="", repr=False)
    """Empty for a public client, which proves itself by PKCE alone."""
    scopes: tuple[str, ...] = SCOPES
    domains: tuple[str, ...] = ()
    """Of e-mail addresses that are let in; empty lets in all."""
    creates_accounts: bool = False
    """Whether whoever signs in for the first time gets an account; otherwise there has to be one with their address."""
    groups_claim: str = "groups"
    signs_out: bool = True
    """Whether who logs out is logged out at the provider as well, if it has a place for that."""
    roles: tuple[GroupRole, ...] = ()
    """In the tenants named here the groups decide who is a member, at each sign-in."""


def parse_openid_providers(text: str) -> tuple[OpenIdProvider, ...]:
    """The providers of the TOML file with this path. ValueError, without any secret, that names the place."""
    path = Path(text).expanduser()
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ValueError("the file is too large")
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror or error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"the file is not valid TOML: {error}") from None
    tables = document.pop("provider", [])
    if document or not isinstance(tables, list) or not tables:
        raise ValueError("the file has one [[provider]] for each provider, and nothing else")
    if len(tables) > PROVIDERS_MAX:
        raise ValueError(f"{len(tables)} providers are too many; at most {PROVIDERS_MAX}")
    providers = tuple(_provider(table, number, path.parent) for number, table in enumerate(tables, 1))
    ids = [provider.id for provider in providers]
    if len(set(ids)) < len(ids):
        raise ValueError("two providers have the same id")
    return providers


def _provider(table: Any, number: int, directory: Path) -> OpenIdProvider:
    place = f"provider {number}"
    if not isinstance(table, dict):
        raise ValueError(f"{place}: write [[provider]]")
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise ValueError(f"{place}: there is no {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    preset = _text(table, "preset", place)
    if preset and preset not in PRESETS:
        raise ValueError(f"{place}: preset is one of {', '.join(PRESETS)}")
    known = PRESETS.get(preset, {}) | table
    provider_id = _text(known, "id", place) or preset
    if not re.fullmatch(r"[a-z0-9-]{1,40}", provider_id):
        raise ValueError(f"{place}: id is 1 to 40 small letters, digits and hyphens")
    place = f"provider {provider_id!r}"
    roles = known.get("roles", [])
    if not isinstance(roles, list) or len(roles) > GROUP_ROLES_MAX:
        raise ValueError(f"{place}: write [[provider.roles]], at most {GROUP_ROLES_MAX}")
    client_id = _text(known, "client_id", place)
    if not client_id:
        raise ValueError(f"{place}: client_id is missing")
    speaks = Speaks.GITHUB if preset == "github" else Speaks.OPENID
    scopes = _texts(known, "scopes", place) or SCOPES
    if speaks is Speaks.OPENID and "openid" not in scopes:
        raise ValueError(f"{place}: scopes have to have openid among them")
    client_secret = _secret(known, place, directory)
    if speaks is Speaks.GITHUB:
        if "groups_claim" in known:
            raise ValueError(
                f"{place}: groups_claim is not for GitHub; a group is an organisation or organisation/team"
            )
        if not client_secret:
            raise ValueError(f"{place}: client_secret or client_secret_file is missing")
        if roles and "read:org" not in scopes:
            scopes = (*scopes, "read:org")
    return OpenIdProvider(
        id=provider_id,
        name=_text(known, "name", place) or provider_id,
        issuer=_issuer(_text(known, "issuer", place), place),
        client_id=client_id,
        client_secret=client_secret,
        speaks=speaks,
        scopes=scopes,
        domains=tuple(domain.lower().removeprefix("@") for domain in _texts(known, "domains", place)),
        creates_accounts=_choice(known, "creates_accounts", place, default=False),
        groups_claim=_text(known, "groups_claim", place) or "groups",
        signs_out=_choice(known, "signs_out", place, default=True),
        roles=tuple(_group_role(role, place, speaks) for role in roles),
    )


def _issuer(text: str, place: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    is_local = parts.scheme == "http" and parts.hostname in LOOPBACK
    if (parts.scheme != "https" and not is_local) or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{place}: issuer is the https address that the provider calls itself by")
    return text


def _secret(table: dict[str, Any], place: str, directory: Path) -> str:
    file = _text(table, "client_secret_file", place)
    if not file:
        return _text(table, "client_secret", place)
    try:
        return (directory / Path(file).expanduser()).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{place}: client_secret_file cannot be read: {error}") from None


def _group_role(table: Any, place: str, speaks: Speaks) -> GroupRole:
    if not isinstance(table, dict) or set(table) != {"group", "tenant", "role"}:
        raise ValueError(f"{place}: each of roles has a group, a tenant and a role")
    role = _text(table, "role", place).upper()
    if role not in ROLES:
        raise ValueError(f"{place}: a role is one of {', '.join(ROLES)}")
    group = _text(table, "group", place)
    # GitHub takes small and large letters of its names for the same.
    return GroupRole(group.lower() if speaks is Speaks.GITHUB else group, _text(table, "tenant", place), role)


def _text(table: dict[str, Any], key: str, place: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise ValueError(f"{place}: {key} is a text")
    return value.strip()


def _choice(table: dict[str, Any], key: str, place: str, *, default: bool) -> bool:
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise ValueError(f"{place}: {key} is true or false")
    return value


def _texts(table: dict[str, Any], key: str, place: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise ValueError(f"{place}: {key} is a list of texts")
    return tuple(value)
