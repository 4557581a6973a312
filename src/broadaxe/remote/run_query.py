"""Which runs are meant: the words of the console's search box, and the parameters of the REST API that say the same.

Owns the check of each word, which names the flag or argument it came by. What is listed, counted and acted on is one
query, said once as the parameters of an address and once as the filter of a body. Refuses to read runs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from broadaxe.core.durations import parse_duration
from broadaxe.errors import InvalidArgument

__all__ = ["CAUSES", "PLACES", "STATUSES", "RunQuery", "checked_id", "instant"]

#: As people write them, and as the engine does. `waiting` and `succeeded` are what the search box takes as well.
STATUSES: Final = {
    "queued": "QUEUED",
    "running": "RUNNING",
    "completed": "COMPLETED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
    "waiting": "QUEUED",
    "succeeded": "COMPLETED",
}
CAUSES: Final = ("manual", "event", "cron", "schedule")
PLACES: Final = {"evicted": "EVICTED", "on-worker": "ON_WORKER"}
EVER: Final = "1970-01-01T00:00:00Z"
DEFAULT_SINCE: Final = "24h"

_CRON_NAME_KEY: Final = "hatchet__cron_name"
_SCHEDULE_ID_KEY: Final = "broadaxe__schedule_id"
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_ID_PREFIX: Final = re.compile(r"[0-9a-f-]{1,36}", re.IGNORECASE)
_INSTANT: Final = re.compile(r"\d{4}-\d{2}-\d{2}([Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:?\d{2})?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Each word as it was given; `parameters` and `body` raise InvalidArgument for one that cannot be meant."""

    statuses: Sequence[str] = ()
    workflows: Sequence[str] = ()
    """Names or ids."""
    metadata: Sequence[str] = ()
    """`key=value`."""
    any_metadata: bool = False
    place: str | None = None
    causes: Sequence[str] = ()
    id: str | None = None
    cron: str | None = None
    schedule: str | None = None
    event: str | None = None
    parent: str | None = None
    worker: str | None = None
    keys: Sequence[str] = ()
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    text: str | None = None
    since: str = DEFAULT_SINCE
    until: str | None = None

    def body(self, now: datetime) -> dict[str, str | list[str]]:
        """As the filter of a body."""
        places = self.place and _one_of(self.place, PLACES, "is")
        # Runs that do not run are on no worker, and not asleep either.
        statuses = list(dict.fromkeys(_one_of(word, STATUSES, "status") for word in _words(self.statuses)))
        metadata = [_pair(text, "=", "metadata").replace("=", ":", 1) for text in self.metadata]
        if self.cron:
            metadata.append(f"{_CRON_NAME_KEY}:{self.cron}")
        if self.schedule:
            metadata.append(f"{_SCHEDULE_ID_KEY}:{checked_id(self.schedule, 'schedule')}")
        workflows = [name for name in self.workflows if name]
        said: dict[str, str | list[str] | None] = {
            "since": instant(self.since, "since", now),
            "until": None if self.until is None else instant(self.until, "until", now),
            "statuses": statuses or (["RUNNING"] if places else []),
            "workflowIds": [name for name in workflows if _UUID.fullmatch(name)],
            "workflowNames": [name for name in workflows if not _UUID.fullmatch(name)],
            "additionalMetadata": metadata,
            "additionalMetadataOperator": "AND" if len(metadata) > 1 and not self.any_metadata else None,
            "runningFilter": places,
            "causes": [_one_of(word, {cause: cause.upper() for cause in CAUSES}, "cause") for word in self.causes],
            "externalIdPrefix": self.id and _id_prefix(self.id),
            "triggeringEventExternalId": self.event and checked_id(self.event, "event"),
            "parentRunExternalId": self.parent and checked_id(self.parent, "parent"),
            "workerId": self.worker and checked_id(self.worker, "worker"),
            "idempotencyKeys": list(self.keys),
            "input": [_pair(text, "=", "input") for text in self.inputs],
            "output": [_pair(text, "=", "output") for text in self.outputs],
            "search": self.text,
        }
        return {name: value for name, value in said.items() if value}

    def parameters(self, now: datetime) -> dict[str, str | int | list[str]]:
        """As the parameters of an address."""
        return {_snake(name): value for name, value in self.body(now).items()}


def instant(text: str, name: str, now: datetime) -> str:
    """RFC 3339 of an instant, a day, a duration before `now` (`2h`, `7d`), or `ever`."""
    if text == "ever":
        return EVER
    try:
        if _INSTANT.fullmatch(text):
            at = datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
            at = at if at.tzinfo else at.astimezone()
        else:
            at = now - timedelta(microseconds=parse_duration(text, field=name))
        return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, InvalidArgument):
        raise InvalidArgument(
            f"{name} {text[:80]!r}: write how long ago, like 2h or 7d, an instant like 2026-01-31T09:15:00Z, or ever",
            field=name,
        ) from None


def checked_id(text: str, name: str) -> str:
    if not _UUID.fullmatch(text):
        raise InvalidArgument(
            f"{name} {text[:80]!r}: an id has 36 characters, like 0b1d2c3e-0000-4000-8000-000000000001", field=name
        )
    return text.lower()


def _id_prefix(text: str) -> str:
    if not _ID_PREFIX.fullmatch(text):
        raise InvalidArgument(
            f"id {text[:80]!r}: an id has the digits 0 to 9, the letters a to f, and hyphens", field="id"
        )
    return text.lower()


def _words(texts: Sequence[str]) -> list[str]:
    return [word for text in texts for word in text.split(",") if word]


def _one_of(word: str, known: dict[str, str], name: str) -> str:
    found = known.get(word.lower())
    if found is None:
        raise InvalidArgument(f"{name} {word[:80]!r}: there are {', '.join(known)}", field=name)
    return found


def _pair(text: str, mark: str, name: str) -> str:
    if not text.partition(mark)[0] or mark not in text:
        example = "tenant=acme" if name == "metadata" else "customer.id=acme"
        raise InvalidArgument(f"{name} {text[:80]!r}: write a name and its value, like {example}", field=name)
    return text


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
