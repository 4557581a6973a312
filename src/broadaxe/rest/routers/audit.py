"""The audit log, for those who may see who did what: page by page, and whole as JSON Lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from broadaxe.core.audit import Action
from broadaxe.core.commands.asked import InitiatorKind
from broadaxe.rest.context import ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import AdminScope
from broadaxe.rest.parameters import InputInstant, plain_text
from broadaxe.rest.routers.route import API, router
from broadaxe.rest.shapes import audit as shapes
from broadaxe.storage import audit
from broadaxe.storage.pages import ById

ENTRIES_LISTED_MAX: Final = 1_000
_TEXT_LENGTH_MAX: Final = 255
_ENTRIES: Final = Listing(ById, "audit")

routes = router("audit log")


class AuditQuery(BaseModel):
    action: Action | None = None
    initiator: str | None = Field(
        default=None, max_length=_TEXT_LENGTH_MAX, description="Id of the account or the token."
    )
    initiator_kind: InitiatorKind | None = Field(default=None, alias="initiatorKind")
    object: str | None = Field(default=None, max_length=_TEXT_LENGTH_MAX, description="Id of what it was done to.")
    refused: bool = Field(default=False, description="Only what was refused.")
    since: InputInstant | None = None
    until: InputInstant | None = None

    def wanted(self) -> audit.AuditFilter:
        return audit.AuditFilter(
            action=self.action,
            by_id=None if self.initiator is None else plain_text(self.initiator, field="initiator"),
            by_kind=self.initiator_kind,
            object_id=None if self.object is None else plain_text(self.object, field="object"),
            is_refused=self.refused,
            since=self.since,
            until=self.until,
        )


class AuditListQuery(AuditQuery):
    limit: int = Field(default=100, ge=1, le=ENTRIES_LISTED_MAX)
    cursor: Cursor = None


@routes.get(f"{API}/tenants/{{tenant}}/audit")
async def list_audit_entries(
    scope: AdminScope, context: ContextDep, query: Annotated[AuditListQuery, Query()]
) -> shapes.AuditLog:
    """Who did what in the tenant, newest first."""
    page = await audit.page(
        context.pool, scope.tenant_id, query.wanted(), limit=query.limit, after=_ENTRIES.after(query.cursor)
    )
    return shapes.AuditLog(rows=list(map(shapes.entry, page.rows)), pagination=_ENTRIES.only_cursor(page.end))


@routes.get(
    f"{API}/tenants/{{tenant}}/audit/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}},
)
async def export_audit_log(
    scope: AdminScope, context: ContextDep, query: Annotated[AuditQuery, Query()]
) -> StreamingResponse:
    """All entries that the filters let through as JSON Lines: one entry a line, as the list has them, newest first."""
    wanted = query.wanted()

    async def lines() -> AsyncIterator[bytes]:
        async for found in audit.entries(context.pool, scope.tenant_id, wanted):
            yield shapes.entry(found).model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n"

    return StreamingResponse(
        lines(),
        media_type="application/x-ndjson",
        headers={"Content-Disposition": 'attachment; filename="audit.jsonl"', "Cache-Control": "no-store"},
    )
