"""Searches in payloads: which place of an input or output has to have which value.

There is no index over what programs put into their payloads, so they are read, parsed and looked into, and only so
many of them: the newest runs that pass everything else that is asked for. Whoever asks is told how far that went, and
looks further by naming an earlier time range, or a workflow.

Owns the reading of `customer.id=acme` and the bounds. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from broadaxe.errors import InvalidArgument

__all__ = ["LOOKED_AT_BYTES_MAX", "LOOKED_AT_MAX", "PayloadSearch", "PayloadTerm", "Searched", "payload_terms"]

#: Runs whose payloads one search looks into, and the size of these together, as they are stored.
LOOKED_AT_MAX: Final = 10_000
LOOKED_AT_BYTES_MAX: Final = 64 * 1024 * 1024
TERMS_MAX: Final = 10
TERM_LENGTH_MAX: Final = 1_000

_STEP: Final = re.compile(
    r"""
    (?P<dot>\.)? (?: (?P<name>[^\s.\[\]="]+) | (?P<quoted>"(?:[^"\\]|\\.)*") )
    | \[ \s* (?: (?P<index>[0-9]{1,9}) | \* | (?P<key>"(?:[^"\\]|\\.)*") ) \s* \]
    """,
    re.VERBOSE,
)
_HOW: Final = 'write path=value, like customer.id=acme, items[0].sku=17 or "odd key".x=true'


class PayloadTerm(msgspec.Struct, frozen=True, gc=False):
    place: str
    """A jsonpath; each value there counts, each item of a list too."""
    value: str
    """As text: of a string what is in it, of everything else its JSON."""


class PayloadSearch(msgspec.Struct, frozen=True):
    """All of it must be so; an output term of any task of the run."""

    inputs: tuple[PayloadTerm, ...] = ()
    outputs: tuple[PayloadTerm, ...] = ()


class Searched(msgspec.Struct, frozen=True):
    """What a search found, and how far it looked."""

    ids: tuple[str, ...]
    looked_at: int
    oldest: datetime | None
    """When the oldest run that was looked at was made; None when there was none."""
    is_cut: bool
    """Whether there may be older ones that pass everything else."""


def payload_terms(texts: Sequence[str] | None, *, field: str) -> tuple[PayloadTerm, ...]:
    """Terms from texts `path=value`. InvalidArgument, naming the field, for one that cannot be read."""
    distinct = tuple(dict.fromkeys(texts or ()))
    if len(distinct) > TERMS_MAX:
        raise InvalidArgument(f"at most {TERMS_MAX} values may be asked for", field=field)
    return tuple(_term(text, field) for text in distinct)


def _term(text: str, field: str) -> PayloadTerm:
    shown = repr(text[:80])
    if len(text) > TERM_LENGTH_MAX:
        raise InvalidArgument(f"{shown} has more than {TERM_LENGTH_MAX} characters", field=field)
    if "\x00" in text or not text.isprintable():
        # Neither could be in a payload that was taken, nor be told from a mistake.
        raise InvalidArgument(f"{shown} has a character that cannot be printed", field=field)
    place, at = ["$"], 0
    if text.startswith("$") and text[1:2] in (".", "["):
        at = 1
    while not text.startswith("=", at):
        step = _STEP.match(text, at)
        is_first = len(place) == 1
        if step is None or ((step["name"] or step["quoted"] or "") and bool(step["dot"]) is (is_first and at == 0)):
            raise InvalidArgument(f"{shown} cannot be read; {_HOW}", field=field)
        place.append(_jsonpath(step, shown, field))
        at = step.end()
    if len(place) == 1:
        raise InvalidArgument(f"{shown} names no place; {_HOW}", field=field)
    return PayloadTerm("".join((*place, "[*]")), text[at + 1 :])


def _jsonpath(step: re.Match[str], shown: str, field: str) -> str:
    if step["name"] is not None:
        return ".*" if step["name"] == "*" else f".{json.dumps(step['name'], ensure_ascii=False)}"
    quoted = step["quoted"] or step["key"]
    if quoted is None:
        return "[*]" if step["index"] is None else f"[{int(step['index'])}]"
    try:
        key = json.loads(quoted)
        key.encode()
    except ValueError:
        key = "\x00"
    if "\x00" in key:
        raise InvalidArgument(f"{shown} has a quoted key that no JSON object can have", field=field)
    return f".{json.dumps(key, ensure_ascii=False)}"
