"""From the body of a webhook request to an event: payload, key and scope. Pure.

Owns which bodies are understood and what becomes of them. Values that are kept are kept as the text they came in, so
that no number changes on its way. Refuses with `Refused`, whose reason is one of the words that failures are listed by.
Source: behaviour specification 5.8, REST specification 7.10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import parse_qsl

import msgspec

from broadaxe.core.expressions import Environment, Failure, evaluate_string

__all__ = ["Reason", "Refused", "challenge_of", "evaluated", "payload_of"]

FORM_FIELDS_MAX: Final = 1_000

#: Why a request was refused: its proof, its body, the expressions of the webhook, or the engine's lack of the key.
Reason = Literal["PROOF", "MALFORMED_PROOF", "BODY", "EVENT_KEY", "SCOPE", "SECRET"]

#: What the protocol takes out of every payload.
_DROPPED: Final = ("tenant", "v1-webhook")
_FORM: Final = "application/x-www-form-urlencoded"


class Refused(Exception):
    """The request cannot become an event."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def challenge_of(source: str, content_type: str, body: bytes) -> str | None:
    """The challenge with which Slack asks whether this address is meant for it; None for every other request."""
    if source != "SLACK" or b'"challenge"' not in body or _is_form(content_type):
        return None
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    challenge = value.get("challenge") if isinstance(value, dict) else None
    return challenge if isinstance(challenge, str) and challenge else None


def payload_of(source: str, content_type: str, body: bytes, static_payload: str | None) -> str:
    """The event's payload as the text of a JSON object; keys of the static payload win."""
    fields = _form_fields(source, body) if _is_form(content_type) else _object(body)
    for name in _DROPPED:
        fields.pop(name, None)
    if static_payload is not None:
        fields |= _object(static_payload.encode())
    try:
        return msgspec.json.encode(fields).decode()
    except UnicodeDecodeError:
        raise Refused("BODY", "the body is not UTF-8") from None


def evaluated(expression: str, payload: object, headers: Mapping[str, str], *, reason: Reason) -> str:
    """The text an expression gives for this request."""
    result = evaluate_string(expression, Environment.WEBHOOK, {"input": payload, "headers": dict(headers)})
    if isinstance(result, Failure):
        raise Refused(reason, result.message)
    return result


def _is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == _FORM


def _form_fields(source: str, body: bytes) -> dict[str, msgspec.Raw]:
    if source not in ("SLACK", "GENERIC"):
        raise Refused("BODY", f"a webhook of {source} takes JSON, not a form")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        raise Refused("BODY", f"the form is not UTF-8, or has more than {FORM_FIELDS_MAX} fields") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    if source == "SLACK" and "payload" in fields:
        return _object(fields["payload"].encode())
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}


def _object(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        # Raw values are passed over without a look inside, so the whole is decoded once for the sake of its errors.
        if not isinstance(msgspec.json.decode(body), dict):
            raise Refused("BODY", "the body must be a JSON object")
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("BODY", f"the body is not JSON: {str(error)[:200]}") from None
