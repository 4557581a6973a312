"""What is read of a server's lists: of each shape only what is moved, in the words of the REST specification.

Inputs and metadata stay the text they are, so that what arrives is what was sent: no number is rounded on the way.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["MOVED_FROM", "object_text", "with_origin"]

#: The key of the metadata that says where a moved run or schedule comes from: the id it had there. The engine does not
#: hand such keys on to children, so whoever has it was moved.
MOVED_FROM: Final = "broadaxe__moved_from"

_NOTHING: Final = msgspec.Raw(b"{}")
_NULL: Final = msgspec.Raw(b"null")
_metadata: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    created_at: str = ""


class Tenant(msgspec.Struct, frozen=True):
    name: str


class Workflow(msgspec.Struct, frozen=True, rename="camel"):
    metadata: Meta
    name: str
    is_paused: bool | None = False


class Cron(msgspec.Struct, frozen=True, rename="camel"):
    metadata: Meta
    workflow_name: str
    cron: str
    method: str
    enabled: bool
    name: str | None = None
    input: msgspec.Raw = _NOTHING
    additional_metadata: msgspec.Raw = _NOTHING
    priority: int | None = None


class Schedule(msgspec.Struct, frozen=True, rename="camel"):
    metadata: Meta
    workflow_name: str
    trigger_at: str
    method: str
    workflow_run_id: str | None = None
    input: msgspec.Raw = _NOTHING
    additional_metadata: msgspec.Raw = _NOTHING
    priority: int | None = None


class Filter(msgspec.Struct, frozen=True, rename="camel"):
    workflow_id: str
    scope: str
    expression: str
    payload: msgspec.Raw = _NOTHING
    is_declarative: bool | None = False


class RateLimit(msgspec.Struct, frozen=True, rename="camel"):
    key: str
    limit_value: int
    window: str


class Webhook(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    source_name: str
    event_key_expression: str
    auth_type: str
    scope_expression: str | None = None
    static_payload: msgspec.Raw = _NULL
    return_event_as_response_payload: bool | None = None


class ListedRun(msgspec.Struct, frozen=True, rename="camel"):
    """A row of the run list."""

    metadata: Meta
    created_at: str
    workflow_id: str
    workflow_name: str | None = None
    parent_task_external_id: str | None = None
    additional_metadata: msgspec.Raw = _NOTHING


class RunList(msgspec.Struct, frozen=True):
    rows: list[ListedRun] = []


class Run(msgspec.Struct, frozen=True, rename="camel"):
    status: str
    input: msgspec.Raw
    additional_metadata: msgspec.Raw = _NOTHING
    payloads_restricted: bool | None = False
    priority: int | None = None
    """Only Broadaxe tells it."""


class RunDetails(msgspec.Struct, frozen=True):
    run: Run


class StatusCount(msgspec.Struct, frozen=True):
    status: str
    count: int


def object_text(raw: msgspec.Raw) -> msgspec.Raw:
    """The text of an object; that of an empty one where there is none."""
    return _NOTHING if bytes(raw) in (b"null", b"") else raw


def with_origin(metadata: msgspec.Raw, source_id: str) -> dict[str, msgspec.Raw]:
    """The metadata, and where it comes from. msgspec.MsgspecError for what is no object."""
    return {**_metadata.decode(object_text(metadata)), MOVED_FROM: msgspec.Raw(msgspec.json.encode(source_id))}


def origin_of(metadata: msgspec.Raw) -> str | None:
    """The id that something had where it was moved from; None for what was not moved."""
    found = _metadata.decode(object_text(metadata)).get(MOVED_FROM)
    return None if found is None else msgspec.json.decode(found, type=str)
