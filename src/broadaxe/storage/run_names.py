"""Texts that people look for among the names of runs.

A run is called `<workflow>-<milliseconds since 1970>`, so its name says nothing that its workflow and its birth do not
say, and a text is looked for among the names of workflows, which are few, and as a range of time. No run is read for
it.

Owns the reading of such a text. Refuses parts of the number that are not its beginning: they would name no range.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

__all__ = ["BornBetween", "NameSearch", "name_search"]

#: Of the milliseconds of any birth between 2001 and 2286.
_DIGITS: Final = 13
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WITH_NUMBER: Final = re.compile(r"(?:(.*)-)?([0-9]{0,13})", re.DOTALL)


class BornBetween(msgspec.Struct, frozen=True, gc=False):
    """Both ends included."""

    since: datetime
    until: datetime


class NameSearch(msgspec.Struct, frozen=True):
    """What a text may mean: a part of a workflow's name, or the end of one and the beginning of a number."""

    contains: str
    ends_with: str | None
    """None when the text cannot be the end of a name and a number."""
    born: BornBetween | None
    """What the number says; None when any will do."""


def name_search(text: str) -> NameSearch:
    match = _WITH_NUMBER.fullmatch(text)
    if match is None or not text:
        return NameSearch(text, None, None)
    digits = match[2]
    if not digits:
        return NameSearch(text, match[1] or "", None)
    width = 10 ** (_DIGITS - len(digits))
    first = _EPOCH + timedelta(milliseconds=int(digits) * width)
    return NameSearch(text, match[1] or "", BornBetween(first, first + timedelta(milliseconds=width, microseconds=-1)))
