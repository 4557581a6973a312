"""What callers of gRPC leave in the audit log besides what they change: refusals, and tokens from new addresses."""

from __future__ import annotations

from typing import Final

from broadaxe.core.audit import Action, Subject
from broadaxe.errors import BroadaxeError
from broadaxe.loops import Loops
from broadaxe.rpc.transport import Call
from broadaxe.storage import audit
from broadaxe.storage.audit_groups import AuditGroups
from broadaxe.storage.token_addresses import TokenAddresses

__all__ = ["AuditedCallers"]

#: Refusals that are being written; of one caller there are few (`AuditGroups`), so more are many callers at once.
UNDER_WAY_MAX: Final = 64


class AuditedCallers:
    """The carrier's witness. `background` is closed by whoever gives it."""

    def __init__(self, refusals: AuditGroups, addresses: TokenAddresses, background: Loops) -> None:
        self._refusals = refusals
        self._addresses = addresses
        self._background = background
        self._under_way = 0

    def token_used(self, call: Call) -> None:
        self._addresses.note(call.principal.tenant_id, call.by)

    def refused(self, call: Call, error: BroadaxeError) -> None:
        if self._under_way < UNDER_WAY_MAX:
            self._under_way += 1
            self._background.go("refusals of gRPC", self._note(call, error.message))

    async def _note(self, call: Call, refusal: str) -> None:
        tenant_id, by = call.principal.tenant_id, call.by

        async def write(connection: audit.Queryable, subject: Subject, why: str) -> None:
            await audit.write(connection, tenant_id, by, Action.ACCESS_REFUSED, subject, refusal=why)

        try:
            await self._refusals.note((tenant_id, by.kind, by.id), write, Subject("", call.path, None), refusal)
        finally:
            self._under_way -= 1
