"""How the HTTP edge behaves, and the link that lets a browser in.

Imports nothing that an engine can do without while it starts: the edge has its settings long before it has its code
(`edge.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from broadaxe.openid_providers import OpenIdProvider

__all__ = ["ENTRY_PATH", "Entry", "HttpSettings", "entry_link"]

#: The page behind the link is `entry.py`.
ENTRY_PATH: Final = "/enter"


@dataclass(frozen=True, slots=True)
class Entry:
    """Whoever brings the key acts as the account."""

    account_id: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """How the HTTP edge behaves. `open_account_id` switches the login off: every request without credentials acts as
    that account, provided it comes from this machine's own browser or shell and through no proxy."""

    server_url: str
    """REST base URL that goes into tokens and tells which `Origin` is ours."""
    grpc_address: str
    """host:port that goes into tokens."""
    tls_strategy: str | None = None
    """What SDKs have to use there; None if it is not known."""
    open_account_id: str | None = None
    entry: Entry | None = None
    """Lets browsers in by a link; see `entry.py`."""
    alert_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Private networks that messages of alerts may be sent to."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Peers whose X-Forwarded-For is believed."""
    open_token: str | None = None
    """An API token to show in the dashboard while the login is off."""
    cookie_name: str = "hatchet"
    is_cookie_secure: bool = False
    allows_signup: bool = False
    allows_tenant_creation: bool = True
    dashboard_dir: Path | None = None
    """Where the built dashboard is; None looks in the checkout, then in the package."""
    docs_dir: Path | None = None
    """Where the documentation is; None looks in the checkout, then in the package."""
    body_bytes_max: int = 6 * 1024 * 1024
    enforce_limits: bool = False
    """Whether tenants are held to their limits."""
    retention_days: int = 0
    """Days that finished runs and their history are kept; 0 for ever."""
    openid_providers: tuple[OpenIdProvider, ...] = ()
    """Through whom people may sign in."""
    secret_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """What stored secrets are sealed with; the first seals, all of them open."""


def entry_link(server_url: str, key: str, to: str | None = None) -> str:
    """What a browser opens; `to` is where it ends up, the dashboard unless given."""
    return f"{server_url}{ENTRY_PATH}?{urlencode({'key': key} | ({} if to is None else {'to': to}))}"
