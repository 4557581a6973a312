"""What the HTTP application is given: its settings, the pool, the engine and the verifier of tokens.

Owns nothing. The engine is reached through its port only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, cast

import asyncpg
from fastapi import Depends, Request

from broadaxe.engine.port import EnginePort
from broadaxe.example import ExampleWorker
from broadaxe.loops import Loops
from broadaxe.mail import Mailer
from broadaxe.rest.settings import HttpSettings
from broadaxe.rest.vouching import Client
from broadaxe.storage.alerts import Alerts
from broadaxe.storage.calendar import CalendarReads
from broadaxe.storage.catalogue import Catalogue
from broadaxe.storage.count_reads import CountReads
from broadaxe.storage.durable_reads import DurableReads
from broadaxe.storage.event_reads import EventReads
from broadaxe.storage.failure_reads import FailureReads
from broadaxe.storage.load_reads import LoadReads
from broadaxe.storage.log_reads import LogReads
from broadaxe.storage.rate_limit_reads import RateLimitReads
from broadaxe.storage.read_replica import ReadReplica
from broadaxe.storage.reads import Reads
from broadaxe.storage.token_addresses import TokenAddresses
from broadaxe.storage.token_verifier import TokenVerifier
from broadaxe.storage.topics import StreamPayloads, TopicReads
from broadaxe.storage.trace_reads import TraceReads
from broadaxe.storage.vault import Vault
from broadaxe.storage.webhooks import Webhooks

__all__ = ["Context", "ContextDep"]


@dataclass(frozen=True, slots=True)
class Context:
    pool: asyncpg.Pool
    engine: EnginePort
    verifier: TokenVerifier
    settings: HttpSettings
    reads: Reads
    count_reads: CountReads
    rate_limit_reads: RateLimitReads
    event_reads: EventReads
    failure_reads: FailureReads
    load_reads: LoadReads
    log_reads: LogReads
    trace_reads: TraceReads
    topic_reads: TopicReads
    stream_payloads: StreamPayloads
    durable_reads: DurableReads
    catalogue: Catalogue
    calendar: CalendarReads
    webhooks: Webhooks
    alerts: Alerts
    vault: Vault
    openid: Mapping[str, Client]
    """By the id of the provider."""
    token_addresses: TokenAddresses
    background: Loops
    """What goes on after an answer."""
    mailer: Mailer | None = None
    """None where no mails are sent."""
    example: ExampleWorker | None = None
    """What an engine on somebody's own machine offers to newcomers; None elsewhere."""
    replica: ReadReplica | None = None
    """Where people's reads go first; None if there is but the primary."""


def _context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


ContextDep = Annotated[Context, Depends(_context)]
