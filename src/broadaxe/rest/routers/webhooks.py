"""Incoming webhooks: managing them, and the public door through which their senders push events.

The door is open to strangers. What a request costs before its sender is known is bounded: a bucket per webhook, the
size of the body, one look-up by index, one signature. Refusals are kept for people to see, at most `FAILURES_PER_S`
of each webhook. Source: behaviour specification 5.8, REST specification 4.11 and 7.10.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Final, Literal, cast

import msgspec
from fastapi import Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel, Field
from starlette.exceptions import HTTPException

from broadaxe.core.commands.events import EventRequest, PushedEvent, PushEvents
from broadaxe.core.commands.quotas import Resource
from broadaxe.core.expressions import Environment
from broadaxe.core.expressions import check as check_expression
from broadaxe.core.metadata import has_nul
from broadaxe.errors import BroadaxeError, Internal, InvalidArgument, ResourceExhausted, Unauthenticated, Unavailable
from broadaxe.rest import wire
from broadaxe.rest.bursts import Bursts
from broadaxe.rest.context import Context, ContextDep
from broadaxe.rest.cursors import Cursor, Listing
from broadaxe.rest.identity import MemberScope, ViewerScope, missing
from broadaxe.rest.parameters import LIST_VALUES_MAX, Body, Limit, Offset, PathId, json_text
from broadaxe.rest.routers.quotas import quotas_of
from broadaxe.rest.routers.route import STABLE, router
from broadaxe.rest.shapes import events as event_shapes
from broadaxe.rest.shapes import webhooks as shapes
from broadaxe.rest.webhook_intake import Reason, Refused, challenge_of, evaluated, payload_of
from broadaxe.rest.webhook_proofs import (
    REPLAY_WINDOWS_S,
    Algorithm,
    ApiKeyProof,
    BasicProof,
    Encoding,
    HmacProof,
    MalformedProof,
    NotProven,
    Proof,
    Source,
    check,
    svix_key,
)
from broadaxe.storage.outage import OUTAGE
from broadaxe.storage.pages import ById, BySlot
from broadaxe.storage.webhooks import WEBHOOKS_MAX, WebhookRecord

RATE_PER_S: Final = 50.0
BURST: Final = 100
FAILURES_PER_S: Final = 1.0
FAILURES_BURST: Final = 20
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
STATIC_PAYLOAD_BYTES_MAX: Final = 64 * 1024
NAME_LENGTH_MAX: Final = 255
SECRET_LENGTH_MAX: Final = 4_096
HEADER_NAME_LENGTH_MAX: Final = 200

_log = logging.getLogger(__name__)

_WEBHOOKS: Final = Listing(ById, "webhooks")
_FAILURES: Final = Listing(BySlot, "webhook failures")

routes = router("webhooks")


def _printable(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("write a name of printable characters")
    return text


def _header_name(text: str) -> str:
    # RFC 9110, 5.1: what a header may be called.
    if not all(letter.isascii() and (letter.isalnum() or letter in "!#$%&'*+-.^_`|~") for letter in text):
        raise ValueError("this is not the name of a header")
    return text


HeaderName = Annotated[str, Field(min_length=1, max_length=HEADER_NAME_LENGTH_MAX), AfterValidator(_header_name)]
Secret = Annotated[str, Field(min_length=1, max_length=SECRET_LENGTH_MAX)]
#: Names may have a slash, which arrives decoded.
NamePath = Annotated[str, Path(max_length=NAME_LENGTH_MAX)]


class BasicAuth(Body):
    username: Secret
    password: Secret


class ApiKeyAuth(Body):
    header_name: HeaderName
    api_key: Secret


class HmacAuth(Body):
    algorithm: Algorithm
    encoding: Encoding
    signature_header_name: HeaderName
    signing_secret: Secret


class _NewWebhook(Body):
    source_name: Source
    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX), AfterValidator(_printable)]
    event_key_expression: str
    scope_expression: str | None = None
    static_payload: dict[str, object] | None = None
    return_event_as_response_payload: bool | None = None


class NewBasicWebhook(_NewWebhook):
    auth_type: Literal["BASIC"]
    auth: BasicAuth

    def proof(self) -> Proof:
        if ":" in self.auth.username:
            raise InvalidArgument("a user name for HTTP basic credentials has no colon", field="auth.username")
        return BasicProof(self.auth.username, self.auth.password)


class NewApiKeyWebhook(_NewWebhook):
    auth_type: Literal["API_KEY"]
    auth: ApiKeyAuth

    def proof(self) -> Proof:
        return ApiKeyProof(self.auth.header_name, self.auth.api_key)


class NewHmacWebhook(_NewWebhook):
    auth_type: Literal["HMAC"]
    auth: HmacAuth

    def proof(self) -> Proof:
        auth = self.auth
        if self.source_name == "SVIX":
            try:
                svix_key(auth.signing_secret)
            except ValueError as error:
                raise InvalidArgument(str(error), field="auth.signingSecret") from None
        return HmacProof(auth.algorithm, auth.encoding, auth.signature_header_name, auth.signing_secret)


NewWebhook = Annotated[NewBasicWebhook | NewApiKeyWebhook | NewHmacWebhook, Field(discriminator="auth_type")]


class WebhookChange(Body):
    """How senders prove themselves cannot be changed; make a new webhook for that."""

    event_key_expression: str | None = None
    scope_expression: str | None = None
    static_payload: dict[str, object] | None = None
    return_event_as_response_payload: bool | None = None


class WebhookListQuery(BaseModel):
    offset: Offset = 0
    limit: Limit = 1_000
    cursor: Cursor = None
    source_names: list[Source] | None = Field(default=None, alias="sourceNames")
    webhook_names: list[str] | None = Field(default=None, alias="webhookNames", max_length=LIST_VALUES_MAX)


class FailureListQuery(BaseModel):
    offset: Offset = 0
    limit: Limit = 100
    cursor: Cursor = None
    webhook_names: list[str] | None = Field(default=None, alias="webhookNames", max_length=LIST_VALUES_MAX)


class Door:
    """What the public door counts, per webhook and process."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.requests = Bursts(rate_per_s=RATE_PER_S, burst=BURST, clock=clock)
        self.failures = Bursts(rate_per_s=FAILURES_PER_S, burst=FAILURES_BURST, clock=clock)
        self._under_way: dict[tuple[str, bytes], asyncio.Event] = {}

    @contextlib.asynccontextmanager
    async def alone_with(self, webhook_id: str, digest: bytes) -> AsyncIterator[None]:
        """No two of the same signed request are at work at once: the second finds what came of the first."""
        key = (webhook_id, digest)
        while key in self._under_way:
            await self._under_way[key].wait()
        done = self._under_way[key] = asyncio.Event()
        try:
            yield
        finally:
            del self._under_way[key]
            done.set()


# Managing -----------------------------------------------------------------------------------------------------------


@routes.get(f"{STABLE}/tenants/{{tenant}}/webhooks")
async def list_webhooks(
    scope: ViewerScope, context: ContextDep, query: Annotated[WebhookListQuery, Query()]
) -> shapes.WebhookList:
    """Webhooks, newest first. Their secrets are never shown."""
    page = await context.webhooks.page(
        scope.tenant_id,
        sources=query.source_names or None,
        names=query.webhook_names or None,
        limit=query.limit,
        offset=query.offset,
        after=_WEBHOOKS.after(query.cursor, query.offset),
    )
    return shapes.WebhookList(
        rows=[shapes.webhook(record) for record in page.rows], pagination=_WEBHOOKS.only_cursor(page.end)
    )


@routes.post(f"{STABLE}/tenants/{{tenant}}/webhooks")
async def create_webhook(body: NewWebhook, scope: MemberScope, context: ContextDep) -> shapes.Webhook:
    """Its address is `…/webhooks/{name}`; whoever can prove themselves there may push events."""
    _check_expressions(body.event_key_expression, body.scope_expression)
    returns_event = body.return_event_as_response_payload
    limits = {quota.resource: quota.limit for quota in await quotas_of(context, scope.tenant_id)}
    record = await context.webhooks.create(
        scope.tenant_id,
        name=body.name,
        source=body.source_name,
        proof=body.auth_type,
        secret=msgspec.json.encode(body.proof()).decode(),
        event_key_expression=body.event_key_expression,
        scope_expression=body.scope_expression,
        static_payload=_static_payload(body.static_payload),
        returns_event=True if returns_event is None else returns_event,
        by=scope.caller.by,
        webhooks_max=limits.get(Resource.INCOMING_WEBHOOK, WEBHOOKS_MAX),
    )
    return shapes.webhook(record)


@routes.get(f"{STABLE}/tenants/{{tenant}}/webhook-failures")
async def list_webhook_failures(
    scope: ViewerScope, context: ContextDep, query: Annotated[FailureListQuery, Query()]
) -> shapes.WebhookFailureList:
    """The latest requests that webhooks refused, newest first; up to a hundred of each."""
    page = await context.webhooks.failures(
        scope.tenant_id,
        names=query.webhook_names or None,
        limit=query.limit,
        offset=query.offset,
        after=_FAILURES.after(query.cursor, query.offset),
    )
    return shapes.WebhookFailureList(
        rows=[
            shapes.WebhookFailure(
                webhook_name=record.webhook_name,
                reason=cast(Reason, record.reason),
                message=record.message,
                at=record.at,
            )
            for record in page.rows
        ],
        pagination=_FAILURES.only_cursor(page.end),
    )


@routes.get(f"{STABLE}/tenants/{{tenant}}/webhooks/{{webhook:path}}")
async def get_webhook(webhook: NamePath, scope: ViewerScope, context: ContextDep) -> shapes.Webhook:
    return shapes.webhook(_found(await context.webhooks.get(scope.tenant_id, webhook), webhook))


@routes.patch(f"{STABLE}/tenants/{{tenant}}/webhooks/{{webhook:path}}")
async def change_webhook(
    webhook: NamePath, body: WebhookChange, scope: MemberScope, context: ContextDep
) -> shapes.Webhook:
    """Changes what is given; an empty scope expression removes it."""
    _check_expressions(body.event_key_expression, body.scope_expression)
    record = await context.webhooks.change(
        scope.tenant_id,
        webhook,
        event_key_expression=body.event_key_expression,
        scope_expression=body.scope_expression,
        static_payload=_static_payload(body.static_payload),
        returns_event=body.return_event_as_response_payload,
        by=scope.caller.by,
    )
    return shapes.webhook(_found(record, webhook))


@routes.delete(f"{STABLE}/tenants/{{tenant}}/webhooks/{{webhook:path}}")
async def delete_webhook(webhook: NamePath, scope: MemberScope, context: ContextDep) -> shapes.Webhook:
    """Answers what was deleted."""
    return shapes.webhook(_found(await context.webhooks.delete(scope.tenant_id, webhook, scope.caller.by), webhook))


# The door -----------------------------------------------------------------------------------------------------------


@routes.post(
    f"{STABLE}/tenants/{{tenant}}/webhooks/{{webhook:path}}",
    response_model=shapes.WebhookAnswer | shapes.WebhookChallenge,
    responses={
        200: {"description": "Taken, now or when the same signed request came before."},
        204: {"description": "Taken; this webhook does not return its events."},
        413: {"model": wire.ApiErrors, "description": "The body is too large."},
        429: {
            "model": wire.ApiErrors,
            "description": "Too many requests to this webhook, or a limit of the tenant is reached; wait.",
        },
    },
    openapi_extra={
        "requestBody": {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
            },
        }
    },
)
async def receive(
    webhook: NamePath, tenant: PathId, request: Request, context: ContextDep
) -> shapes.WebhookAnswer | shapes.WebhookChallenge | Response:
    """Pushes an event, if the request proves itself as the webhook wants it. Takes no token.

    A signed request that was taken already is answered 200 with the event of the first time, and pushes none.
    """
    door = cast(Door, request.app.state.webhook_door)
    if not door.requests.take((tenant, webhook)):
        raise ResourceExhausted(f"more than {RATE_PER_S:g} requests per second for this webhook; wait")
    record = await context.webhooks.get(tenant, webhook)
    if record is None:
        # 400 by the protocol, in the same words for a tenant that is not there.
        raise InvalidArgument("there is no such webhook", field="webhook")
    body = await _body(request)
    content_type = request.headers.get("content-type", "")
    challenge = challenge_of(record.source, content_type, body)
    if challenge is not None:
        return shapes.WebhookChallenge(challenge=challenge)
    headers = _headers(request)
    try:
        digest = _check_proof(context, record, headers, body)
        event = _event(record, content_type, headers, body)
    except Refused as refused:
        if door.failures.take((tenant, webhook)):
            await context.webhooks.record_failure(record, refused.reason, refused.message)
        raise _error_of(refused) from None
    if digest is None:
        return await _answer(context, record, await _push(context, tenant, event))
    async with door.alone_with(record.id, digest):
        event_id = await context.webhooks.delivered(record, digest, REPLAY_WINDOWS_S[record.source])
        if event_id is None:
            event_id = await _push(context, tenant, event)
            try:
                await context.webhooks.remember_delivery(record, digest, event_id)
            except OUTAGE as error:
                # The event is there; an error would make the sender send it again.
                _log.warning("a delivery to the webhook %r could not be remembered: %s", record.name, error)
        elif not record.returns_event:
            return Response(status_code=200)
    return await _answer(context, record, event_id)


async def _push(context: Context, tenant_id: str, event: EventRequest) -> str:
    (pushed,) = cast(tuple[object, ...], await context.engine.submit(tenant_id, PushEvents((event,))))
    if not isinstance(pushed, PushedEvent):
        raise Internal(f"the engine answered {type(pushed).__name__} where an event was due")
    return pushed.event_id


async def _answer(context: Context, record: WebhookRecord, event_id: str) -> shapes.WebhookAnswer | Response:
    if not record.returns_event:
        return Response(status_code=204)
    stored = await context.event_reads.event([record.tenant_id], event_id)
    if stored is None:
        raise Unavailable("the event is stored, but cannot be read just now")
    return shapes.WebhookAnswer(event=event_shapes.event(stored))


def _check_proof(context: Context, record: WebhookRecord, headers: dict[str, str], body: bytes) -> bytes | None:
    try:
        proof = msgspec.json.decode(context.webhooks.secret_of(record), type=Proof)
    except Unavailable as error:
        _log.warning("the webhook %r of tenant %s cannot check its senders: %s", record.name, record.tenant_id, error)
        raise Refused("SECRET", error.message) from None
    try:
        return check(proof, record.source, headers, body, now_s=time.time())
    except NotProven as error:
        raise Refused("PROOF", str(error)) from None
    except MalformedProof as error:
        raise Refused("MALFORMED_PROOF", str(error)) from None


def _event(record: WebhookRecord, content_type: str, headers: dict[str, str], body: bytes) -> EventRequest:
    payload = payload_of(record.source, content_type, body, record.static_payload)
    if has_nul(payload):
        raise Refused("BODY", "the body has a NUL character, which cannot be stored")
    value = msgspec.json.decode(payload)
    key = evaluated(record.event_key_expression, value, headers, reason="EVENT_KEY")
    if not key:
        raise Refused("EVENT_KEY", f"the event key expression {record.event_key_expression!r} gives an empty text")
    scope = None
    if record.scope_expression is not None:
        scope = evaluated(record.scope_expression, value, headers, reason="SCOPE")
    return EventRequest(key=key, payload=payload, scope=scope, triggering_webhook_name=record.name)


def _error_of(refused: Refused) -> BroadaxeError:
    match refused.reason:
        case "PROOF":
            return Unauthenticated(refused.message)
        case "SECRET":
            # Senders try again after a 503, and by then somebody may have put the key back.
            return Unavailable("this webhook cannot check its senders just now; its owner has been told why")
        case _:
            return InvalidArgument(refused.message)


def _headers(request: Request) -> dict[str, str]:
    """By lower-cased name, the first value of each."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers.setdefault(name.lower(), value)
    return headers


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise HTTPException(413, f"the request body is larger than {BODY_BYTES_MAX} bytes")
        parts.append(part)
    return b"".join(parts)


def _check_expressions(event_key: str | None, scope: str | None) -> None:
    if event_key is not None:
        check_expression(event_key, Environment.WEBHOOK, field="eventKeyExpression")
    if scope:
        check_expression(scope, Environment.WEBHOOK, field="scopeExpression")


def _static_payload(value: dict[str, object] | None) -> str | None:
    if value is None:
        return None
    text = json_text(value, field="staticPayload")
    if len(text) > STATIC_PAYLOAD_BYTES_MAX:
        raise InvalidArgument(
            f"the static payload is larger than {STATIC_PAYLOAD_BYTES_MAX} bytes", field="staticPayload"
        )
    return text


def _found(record: WebhookRecord | None, name: str) -> WebhookRecord:
    if record is None:
        raise missing("webhook", name)
    return record
