"""The shapes of webhooks and what they refused, made from stored records."""

from __future__ import annotations

from typing import Literal

from broadaxe.rest.shapes.events import Event
from broadaxe.rest.wire import Instant, JsonObject, Metadata, Pagination, Wire, json_object, metadata_of
from broadaxe.storage.webhooks import WebhookRecord


class Webhook(Wire):
    metadata: Metadata
    tenant_id: str
    name: str
    source_name: Literal["GENERIC", "GITHUB", "STRIPE", "SLACK", "LINEAR", "SVIX"]
    event_key_expression: str
    scope_expression: str | None = None
    static_payload: JsonObject | None = None
    auth_type: Literal["BASIC", "API_KEY", "HMAC"]
    return_event_as_response_payload: bool


class WebhookList(Wire):
    rows: list[Webhook]
    pagination: Pagination | None = None


class WebhookFailure(Wire):
    """A request that a webhook refused, and why."""

    webhook_name: str
    reason: Literal["PROOF", "MALFORMED_PROOF", "BODY", "EVENT_KEY", "SCOPE", "SECRET"]
    message: str
    at: Instant


class WebhookFailureList(Wire):
    rows: list[WebhookFailure]
    pagination: Pagination | None = None


class WebhookAnswer(Wire):
    message: str = "ok"
    event: Event


class WebhookChallenge(Wire):
    """Slack's question whether an address is meant for it, sent back."""

    challenge: str


def webhook(record: WebhookRecord) -> Webhook:
    return Webhook.model_validate(
        {
            "metadata": metadata_of(record.id, record.created_at, record.updated_at),
            "tenant_id": record.tenant_id,
            "name": record.name,
            "source_name": record.source,
            "event_key_expression": record.event_key_expression,
            "scope_expression": record.scope_expression,
            "static_payload": None if record.static_payload is None else json_object(record.static_payload),
            "auth_type": record.proof,
            "return_event_as_response_payload": record.returns_event,
        }
    )
