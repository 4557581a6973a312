"""The shapes of API tokens, made from stored records."""

from __future__ import annotations

from typing import Literal

from broadaxe.rest.wire import Instant, Metadata, Pagination, Wire, metadata_of
from broadaxe.storage import tokens


class TopicName(Wire):
    namespace: str
    name: str


class ApiToken(Wire):
    metadata: Metadata
    name: str
    expires_at: Instant
    last_used_at: Instant | None = None
    """Exact to ten minutes; missing when it was never used."""
    role: Literal["OWNER", "ADMIN", "MEMBER", "VIEWER"]
    made_by: str | None = None
    """Who made it; missing when nobody knows."""
    replaced_by: str | None = None
    """The token that took its place when it was rotated; it ends at `expiresAt` then."""
    topic: TopicName | None = None
    """The one durable stream that it reads; missing for tokens of the whole tenant."""


class ApiTokens(Wire):
    rows: list[ApiToken]
    pagination: Pagination | None = None


class CreatedToken(Wire):
    token: str


class RotatedToken(CreatedToken):
    old_expires_at: Instant
    """Until when the token before goes on counting."""


def api_token(record: tokens.ApiToken) -> ApiToken:
    return ApiToken(
        metadata=metadata_of(record.id, record.created_at, record.updated_at),
        name=record.name,
        expires_at=record.expires_at,
        last_used_at=record.last_used_at,
        role=record.role.value,
        made_by=record.made_by or None,
        replaced_by=record.replaced_by,
        topic=None if record.topic is None else TopicName(namespace=record.topic.namespace, name=record.topic.name),
    )
