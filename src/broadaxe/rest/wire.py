"""What every shape of the HTTP API is made of: how names, instants, ids, pages, refusals and payloads look.

Keys are camelCase unless the protocol says otherwise (`pagination`, triggers). A key whose value is unknown is left
out, never null: dashboards show null dates as dates. Instants are UTC with `Z` and exactly six digits, because some
clients sort them as text. A payload that is not a JSON object is shown as `{}`, because clients decode nothing else.

The shapes themselves stand by subject in `shapes/`. Source: REST specification, sections 1 to 3.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

JsonObject = dict[str, object]
NIL_UUID = "00000000-0000-0000-0000-000000000000"


def format_instant(at: datetime) -> str:
    # `strftime` would write the year 305 with three digits.
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


Instant = Annotated[
    datetime,
    PlainSerializer(format_instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class SnakeWire(BaseModel):
    model_config = ConfigDict(frozen=True)


class Metadata(Wire):
    id: str
    created_at: Instant
    updated_at: Instant


class Pagination(SnakeWire):
    """Page numbers are told of pages by `limit` and `offset`; with a `cursor` nobody knows them."""

    current_page: int | None = None
    next_page: int | None = None
    num_pages: int | None = None
    next_cursor: str | None = None
    """Give it as `cursor` for the page behind this one. Missing when there are no more rows."""


class ApiError(SnakeWire):
    description: str
    field: str | None = None


class ApiErrors(SnakeWire):
    """Every refusal has this body. `code` is a stable name for the reason."""

    errors: list[ApiError]
    message: str = ""
    code: str | None = None


class Deleted(SnakeWire):
    """The answer to a deletion where a client reads one. The Go SDK takes anything but 200 for a failure there."""


class NoRows(Wire):
    """A list that is always empty in this version because nothing can create its rows."""

    rows: list[JsonObject] = []


#: JavaScript holds integers exactly up to here, so a number made from an id keeps this many bits.
_NUMBER_BITS: Final = 52
#: Levels of a payload that are shown as such. What writes the answers knows 255, those around the payload included.
DEPTH_MAX: Final = 200


def metadata_of(id_text: str, created_at: datetime, updated_at: datetime | None) -> Metadata:
    return Metadata(id=id_text, created_at=created_at, updated_at=updated_at or created_at)


def json_object(text: str | None) -> JsonObject:
    """The object a text holds; `{}` for none and for anything else. What lies deeper than `DEPTH_MAX` is shown as the
    JSON text it is."""
    value = json_value(text) if text else None
    return value if isinstance(value, dict) else {}


def json_value(text: str) -> object:
    """What a JSON text holds. What lies deeper than `DEPTH_MAX` is shown as the JSON text it is, and so is all of a
    text that no reader of ours could take in: PostgreSQL keeps numbers and depths that are beyond it."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    if isinstance(value, dict | list) and text.count("{") + text.count("[") > DEPTH_MAX:
        _flatten(value)
    return value


def _flatten(value: JsonObject | list[Any]) -> None:
    level: list[Any] = [value]
    for _ in range(DEPTH_MAX - 1):
        level = [child for parent in level for _, child in _members(parent) if isinstance(child, dict | list)]
    for parent in level:
        for key, child in _members(parent):
            if isinstance(child, dict | list):
                parent[key] = msgspec.json.encode(child).decode()


def _members(parent: Any) -> list[tuple[Any, Any]]:
    return list(parent.items() if isinstance(parent, dict) else enumerate(parent))


def number_of(id_text: str) -> int:
    """A number that stands in for an id where the protocol wants one: its low bits, which are random."""
    return uuid.UUID(id_text).int & ((1 << _NUMBER_BITS) - 1)


def duration_ms(started_at: datetime | None, finished_at: datetime | None) -> int | None:
    if started_at is None or finished_at is None:
        return None
    return max(0, round((finished_at - started_at).total_seconds() * 1000))
