"""What the HTTP edge is given: its settings, the pool, the engine and the verifier of tokens.

Owns nothing. The engine is reached through its port only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, cast

import asyncpg
from fastapi import Depends, Request

from broadaxe.engine.port import EnginePort
from broadaxe.example import ExampleWorker
from broadaxe.storage.calendar import CalendarReads
from broadaxe.storage.catalogue import Catalogue
from broadaxe.storage.durable_reads import DurableReads
from broadaxe.storage.event_reads import EventReads
from broadaxe.storage.failure_reads import FailureReads
from broadaxe.storage.load_reads import LoadReads
from broadaxe.storage.log_reads import LogReads
from broadaxe.storage.reads import Reads
from broadaxe.storage.token_verifier import TokenVerifier
from broadaxe.storage.trace_reads import TraceReads
from broadaxe.storage.webhooks import Webhooks

__all__ = ["Context", "ContextDep", "Entry", "HttpSettings"]


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
    secret_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """What secrets of webhooks are sealed with; the first seals, all of them open."""


@dataclass(frozen=True, slots=True)
class Context:
    pool: asyncpg.Pool
    engine: EnginePort
    verifier: TokenVerifier
    settings: HttpSettings
    reads: Reads
    event_reads: EventReads
    failure_reads: FailureReads
    load_reads: LoadReads
    log_reads: LogReads
    trace_reads: TraceReads
    durable_reads: DurableReads
    catalogue: Catalogue
    calendar: CalendarReads
    webhooks: Webhooks
    example: ExampleWorker | None = None
    """What an engine on somebody's own machine offers to newcomers; None elsewhere."""


def _context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


ContextDep = Annotated[Context, Depends(_context)]
