"""The shapes of the audit log."""

from __future__ import annotations

import msgspec
from pydantic import Field

from broadaxe.core.audit import Action
from broadaxe.core.commands.asked import InitiatorKind
from broadaxe.rest.wire import Instant, JsonObject, Pagination, Wire
from broadaxe.storage import audit
from broadaxe.storage.audit import Chain


class AuditInitiator(Wire):
    """Who did it. A token has no name of its own here; its id is that of the list of tokens."""

    kind: InitiatorKind
    id: str | None = None
    name: str
    address: str | None = Field(default=None, description="The network address they came from.")


class AuditObject(Wire):
    """What it was done to; of several objects `after` has the ids."""

    id: str | None = None
    name: str | None = None


class AuditEntry(Wire):
    """`before` is missing for what was made, `after` for what is gone."""

    id: str
    at: Instant
    initiator: AuditInitiator
    action: Action
    object: AuditObject
    before: JsonObject | None = None
    after: JsonObject | None = None
    refusal: str | None = Field(default=None, description="Why it was not done; missing for what was.")
    chain: Chain
    seq: int
    hash: str


class AuditLog(Wire):
    rows: list[AuditEntry]
    pagination: Pagination | None = None


def entry(found: audit.AuditEntry) -> AuditEntry:
    row = found.row
    return AuditEntry(
        id=row.id,
        at=found.at,
        initiator=AuditInitiator(
            kind=InitiatorKind(row.by_kind), id=row.by_id or None, name=row.by_name, address=row.by_address or None
        ),
        action=Action(row.action),
        object=AuditObject(id=row.object_id or None, name=row.object_name or None),
        before=_object(row.before),
        after=_object(row.after),
        refusal=row.refusal or None,
        chain=found.chain,
        seq=found.seq,
        hash=found.hash.hex(),
    )


def _object(text: str | None) -> JsonObject | None:
    return None if text is None else msgspec.json.decode(text, type=JsonObject)
