"""What comes in: parsing and bounds for path, query and body values.

Owns the texts clients write instants, ids and metadata pairs in, and the largest page of each list. Refuses whatever
does not parse, naming the parameter; nothing is corrected silently. Unknown parameters and keys are ignored, as the
protocol asks. Source: REST specification 1.1, 1.4, 1.6, 1.7.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel

from broadaxe.core.lifecycle import RunStatus
from broadaxe.core.metadata import has_nul, problem_of
from broadaxe.errors import InvalidArgument
from broadaxe.rest.wire import Pagination
from broadaxe.storage.ids import is_id

__all__ = [
    "NO_NAMESPACE",
    "Body",
    "Id",
    "InputInstant",
    "Limit",
    "Offset",
    "json_text",
    "metadata_pairs",
    "metadata_text",
    "page_of",
    "parse_instant",
    "plain_text",
    "strict_metadata_pairs",
]

EARLIEST: Final = datetime(1000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
PAGE_ROWS_MAX: Final = 20_000
OFFSET_MAX: Final = 10_000_000
#: Values of one name in a query. An address line has its bound as well (`server.HEADERS_BYTES_MAX`).
LIST_VALUES_MAX: Final = 1_000
#: Values of one list in a body.
BODY_VALUES_MAX: Final = 20_000
METADATA_PAIRS_MAX: Final = 50
JSON_BYTES_MAX: Final = 4 * 1024 * 1024
#: How the empty namespace of a topic is spelled in an address.
NO_NAMESPACE: Final = "-"

_INSTANT: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?\s*(?:([Zz])|([+-])(\d{2}):?(\d{2}))?"
)


def parse_instant(text: object) -> datetime:
    """RFC 3339, with or without fraction, zone or the colon in it; without a zone it is UTC.

    Nothing happened before `EARLIEST` or will after `LATEST`, so an instant beyond them counts as them, and there is
    room around every instant to reckon with. Some clients write an instant they do not have as the year 1.
    """
    if isinstance(text, datetime):
        return text
    # A `+` that a client forgot to escape arrives as a space.
    match = _INSTANT.fullmatch(re.sub(r" (\d{2}:?\d{2})$", r"+\1", text.strip())) if isinstance(text, str) else None
    if match is None:
        raise ValueError("write an instant like 2025-01-31T09:15:00Z")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, _, sign, zone_hours, zone_minutes = match.groups()[6:]
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    zone = UTC
    if sign is not None:
        offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
        zone = timezone(-offset if sign == "-" else offset)
    try:
        at = datetime(year, month, day, hour, minute, min(second, 59), microsecond, tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return EARLIEST if year < LATEST.year else LATEST
    return min(max(at, EARLIEST), LATEST)


def _parse_id(text: object) -> str:
    if not isinstance(text, str) or not is_id(text):
        raise ValueError("this is not a UUID; ids have 36 characters, like 0b1d2c3e-0000-4000-8000-000000000001")
    return text.lower()


InputInstant = Annotated[
    datetime, BeforeValidator(parse_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
Id = Annotated[str, BeforeValidator(_parse_id), WithJsonSchema({"type": "string", "format": "uuid"})]
PathId = Annotated[Id, Path()]
Limit = Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)]
Offset = Annotated[int, Query(ge=0, le=OFFSET_MAX)]
IdList = Annotated[list[Id] | None, Query(max_length=LIST_VALUES_MAX)]
TextList = Annotated[list[str] | None, Query(max_length=LIST_VALUES_MAX)]
StatusList = Annotated[list[RunStatus] | None, Query()]


class Body(BaseModel):
    """A request body: camelCase, unknown keys ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


def metadata_pairs(texts: list[str] | None) -> tuple[tuple[str, str], ...]:
    """`key:value` split at the first colon, each pair once; texts without a colon are ignored."""
    pairs = dict.fromkeys(text.partition(":")[::2] for text in texts or () if ":" in text)
    if len(pairs) > METADATA_PAIRS_MAX:
        raise InvalidArgument(f"at most {METADATA_PAIRS_MAX} metadata pairs", field="additional_metadata")
    return tuple(pairs)


def strict_metadata_pairs(texts: list[str] | None, *, field: str) -> tuple[tuple[str, str], ...]:
    """Like `metadata_pairs`, but a text without a colon is refused."""
    for text in texts or ():
        if ":" not in text:
            raise InvalidArgument(f"{text[:80]!r} is not a pair; write key:value", field=field)
    return metadata_pairs(texts)


def json_text(value: object, *, field: str) -> str:
    """The JSON text of a decoded value; refuses what the tables cannot hold."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size_bytes = len(text.encode())
    except (ValueError, RecursionError):
        raise InvalidArgument(
            "the value has a number that is not finite, a broken character, or is nested too deeply", field=field
        ) from None
    if has_nul(text):
        raise InvalidArgument("the value has a NUL character (\\u0000), which cannot be stored", field=field)
    if size_bytes > JSON_BYTES_MAX:
        raise InvalidArgument(f"the value is larger than {JSON_BYTES_MAX} bytes", field=field)
    return text


def metadata_text(value: dict[str, object], *, field: str) -> str:
    """The JSON text of metadata."""
    text = json_text(value, field=field)
    problem = problem_of(text)
    if problem is not None:
        raise InvalidArgument(problem, field=field)
    return text


def plain_text(text: str, *, field: str) -> str:
    """A short text that is stored and looked up."""
    if "\x00" in text:
        raise InvalidArgument("contains a NUL character, which cannot be stored", field=field)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument("is not valid Unicode: it holds a lone surrogate", field=field) from None
    return text


def page_of(offset: int, limit: int, total: int, *, stops: bool = True) -> Pagination:
    """The page numbers of a list; `stops` when the last page names itself as the next one."""
    current = offset // limit + 1
    pages = -(-total // limit)
    return Pagination(
        current_page=current, next_page=current if stops and current >= pages else current + 1, num_pages=pages
    )
