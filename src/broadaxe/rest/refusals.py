"""What a role did not allow, for the audit log of the tenant it was asked in."""

from __future__ import annotations

from fastapi import Request

from broadaxe.core.audit import Action, Subject
from broadaxe.errors import PermissionDenied
from broadaxe.rest.identity import Caller
from broadaxe.storage import audit
from broadaxe.storage.audit_groups import AuditGroups

__all__ = ["note_refusal"]


async def note_refusal(request: Request, error: PermissionDenied) -> None:
    """The request was refused to somebody who is known. What concerns no tenant of theirs is the installation's."""
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        return
    tenant_id, by = _tenant_of(request, caller), caller.by

    async def write(connection: audit.Queryable, subject: Subject, refusal: str) -> None:
        await audit.write(connection, tenant_id, by, Action.ACCESS_REFUSED, subject, refusal=refusal)

    asked = f"{request.method} {request.scope['route'].path}"
    groups: AuditGroups = request.app.state.refusals
    await groups.note((tenant_id, by.kind, by.id), write, Subject("", asked, None), error.message)


def _tenant_of(request: Request, caller: Caller) -> str:
    if caller.refused_in:
        return caller.refused_in[-1]
    if caller.token is not None:
        return caller.token.tenant_id
    named = str(request.path_params.get("tenant", "")).lower()
    return named if named in caller.roles else audit.INSTALLATION
