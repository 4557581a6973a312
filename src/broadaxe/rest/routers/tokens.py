"""API tokens: people with the role ADMIN make, list and revoke them; a token itself may not."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import Query, Response
from pydantic import Field

from broadaxe.core.durations import US_PER_S, parse_duration
from broadaxe.rest.context import ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import AdminPersonCaller, AdminPersonScope, missing
from broadaxe.rest.parameters import Body, PathId, plain_text
from broadaxe.rest.routers.route import API, STABLE, router
from broadaxe.rest.shapes import tokens as shapes
from broadaxe.storage import tokens
from broadaxe.storage.accounts import Role
from broadaxe.storage.pages import ById

_TOKENS: Final = Listing(ById, "tokens")

routes = router("API tokens")


class OnlyTopic(Body):
    name: str
    namespace: str = ""


class NewToken(Body):
    name: str
    expires_in: str | None = None
    role: Literal["ADMIN", "MEMBER", "VIEWER"] = Field(
        default="ADMIN", description="A token for a topic is a `VIEWER`, also without saying so."
    )
    topic: OnlyTopic | None = Field(
        default=None, description="A durable stream: the token reads this one over HTTP and does nothing else."
    )


class Rotation(Body):
    overlap: str = "24h"


@routes.get(f"{API}/tenants/{{tenant}}/api-tokens")
async def list_tokens(
    scope: AdminPersonScope,
    context: ContextDep,
    search: Annotated[str | None, Query(max_length=255, description="Only those whose names contain this.")] = None,
    limit: Annotated[int, Query(ge=1, le=tokens.TOKENS_LISTED_MAX)] = tokens.TOKENS_LISTED_MAX,
    cursor: Cursor = None,
) -> shapes.ApiTokens:
    """Tokens that are not revoked, newest first."""
    page = await tokens.list_tokens(
        context.pool,
        scope.tenant_id,
        search=None if search is None else plain_text(search, field="search"),
        limit=limit,
        after=_TOKENS.after(cursor),
    )
    return shapes.ApiTokens(rows=[shapes.api_token(row) for row in page.rows], pagination=_TOKENS.only_cursor(page.end))


@routes.post(f"{API}/tenants/{{tenant}}/api-tokens")
async def create_token(body: NewToken, scope: AdminPersonScope, context: ContextDep) -> shapes.CreatedToken:
    """`expiresIn` is a duration such as `2160h`; 90 days without one. A `VIEWER` token reads and changes nothing; one
    for a `topic` is for browsers of people who see nothing else. The token is shown this once."""
    life_s = tokens.DEFAULT_LIFE_S
    if body.expires_in:
        life_s = parse_duration(body.expires_in, field="expiresIn") // US_PER_S
    issued = await tokens.create_token(
        context.pool,
        scope.tenant_id,
        body.name,
        life_s,
        context.settings.server_url,
        context.settings.grpc_address,
        role=Role.VIEWER if body.topic is not None and "role" not in body.model_fields_set else Role(body.role),
        topic=None if body.topic is None else tokens.TopicName(body.topic.namespace, body.topic.name),
        by=scope.caller.by,
    )
    return shapes.CreatedToken(token=issued.token)


@routes.post(f"{STABLE}/api-tokens/{{token}}/rotate")
async def rotate_token(
    token: PathId, body: Rotation, caller: AdminPersonCaller, context: ContextDep
) -> shapes.RotatedToken:
    """Makes another token with the name, role, topic and life of this one, which goes on counting for `overlap` (a
    duration, 24h without one), so that programs are changed over one after the other. It is shown this once."""
    tenant_id = await tokens.tenant_of_token(context.pool, token)
    if tenant_id is None or tenant_id not in caller.roles:
        raise missing("API token", token)
    caller.enter(tenant_id)
    overlap_s = parse_duration(body.overlap, field="overlap") // US_PER_S
    settings = context.settings
    rotated = await tokens.rotate_token(
        context.pool, token, overlap_s, settings.server_url, settings.grpc_address, caller.by
    )
    return shapes.RotatedToken(token=rotated.issued.token, old_expires_at=rotated.old_expires_at)


@routes.post(f"{API}/api-tokens/{{token}}", status_code=204)
async def revoke_token(token: PathId, caller: AdminPersonCaller, context: ContextDep) -> Response:
    """Revokes a token for good."""
    tenant_id = await tokens.tenant_of_token(context.pool, token)
    if tenant_id is None or tenant_id not in caller.roles:
        raise missing("API token", token)
    caller.enter(tenant_id)
    await tokens.revoke_token(context.pool, token, caller.by)
    context.verifier.forget(token)
    return Response(status_code=204)
