"""Which trace a run belongs to, and how that is told to workers: W3C trace context in the run's metadata.

A run whose metadata carries a valid `traceparent` belongs to that trace. Every other run has a trace of its own, whose
id is the run's: nothing needs to be drawn or stored for it, and the trigger path pays nothing. A worker is told the
trace with each attempt; children inherit it with the other metadata. Ids of the engine's own spans follow from the ids
of what they are about, so they are the same whenever they are asked for.

Source: semantics 5.10 and 8.5, grpc specification 9.3.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any, Final

import msgspec

TRACEPARENT: Final = "traceparent"

_QUOTED: Final = f'"{TRACEPARENT}"'
_VALID: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")


class Trace(msgspec.Struct, frozen=True):
    """`trace_id` has 32 hex digits; `parent_span_id`, the caller's span if the run came with one, has 16."""

    trace_id: str
    parent_span_id: str | None


def given_trace(metadata: str | None) -> Trace | None:
    """The trace that metadata (a JSON object text) names, unless what it says is not valid."""
    # Most metadata does not even have the word, and looking for it is much cheaper than decoding.
    if not metadata or _QUOTED not in metadata:
        return None
    return _parsed(msgspec.json.decode(metadata, type=dict[str, Any]).get(TRACEPARENT))


def trace_of(run_id: str, metadata: str | None) -> Trace:
    """The trace of a run."""
    return given_trace(metadata) or Trace(run_id.replace("-", ""), None)


def run_span_id(run_id: str) -> str:
    return _span_id(run_id, "run")


def queued_span_id(task_id: str, retry_count: int) -> str:
    return _span_id(task_id, f"queued/{retry_count}")


def attempt_span_id(task_id: str, retry_count: int) -> str:
    return _span_id(task_id, f"attempt/{retry_count}")


def event_span_id(event_id: str) -> str:
    return _span_id(event_id, "event")


def emitted_span_id(event_id: str) -> str:
    return _span_id(event_id, "emitted")


def traced_metadata(metadata: str | None, run_id: str) -> str:
    """The metadata a worker gets: always with a valid `traceparent`, the same for every attempt. O(its size)."""
    if metadata and _QUOTED in metadata:
        decoded = msgspec.json.decode(metadata, type=dict[str, Any])
        if _parsed(decoded.get(TRACEPARENT)) is not None:
            return metadata
        decoded[TRACEPARENT] = _traceparent(run_id)
        return msgspec.json.encode(decoded).decode()
    pair = f'{{"{TRACEPARENT}":"{_traceparent(run_id)}"'
    rest = metadata.lstrip()[1:].lstrip() if metadata else "}"
    return pair + rest if rest.startswith("}") else f"{pair},{rest}"


def pass_on(metadata: dict[str, Any], run_id: str) -> None:
    """Puts a child's metadata (changed in place) into the trace of the run that spawned it, unless it names one."""
    if _parsed(metadata.get(TRACEPARENT)) is None:
        metadata[TRACEPARENT] = _traceparent(run_id)


def _traceparent(run_id: str) -> str:
    return f"00-{run_id.replace('-', '')}-{run_span_id(run_id)}-01"


def _parsed(text: object) -> Trace | None:
    match = _VALID.fullmatch(text) if isinstance(text, str) else None
    return None if match is None else Trace(match[1], match[2])


def _span_id(subject_id: str, part: str) -> str:
    return blake2b(f"{subject_id}/{part}".encode(), digest_size=8).hexdigest()
