"""What metadata may be: a JSON object that can be computed with, here and in the database.

Metadata is read again and again (children inherit it, events pass it on, lists filter by it), long after whoever sent
it was answered. So it is checked whole at every door, by this one rule, and nothing that passed can fail later. Inputs
and payloads need no such rule: they stay the text they came as.

Refuses: what is no JSON object; numbers that no type of ours or of the database holds; more than `DEPTH_MAX` levels;
NUL characters.

Cost: one decoding.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

#: Levels of objects and lists in each other. Far below every stack it will be read on.
DEPTH_MAX: Final = 100
#: Digits behind the point, written or meant. The database spells every one of them out.
DIGITS_MAX: Final = 1_000

_object: Final = msgspec.json.Decoder(dict[str, Any])
_ESCAPED_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
#: Only texts with such a stretch can have a number with too many digits; most of those are words like "1e-1234".
_MANY_DIGITS: Final = re.compile(rf"[0-9][eE][-+]?[0-9]{{3}}|\.[0-9]{{{DIGITS_MAX}}}")


class _TooManyDigits(ValueError):
    pass


def problem_of(text: str) -> str | None:
    """Why this text cannot be metadata, or None when it can."""
    try:
        found = _object.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        return f"not a JSON object that can be read: {error}"
    if text.count("{") + text.count("[") > DEPTH_MAX and _depth(found) > DEPTH_MAX:
        return f"nested more than {DEPTH_MAX} levels deep"
    if has_nul(text):
        return "contains a NUL character, which cannot be stored"
    if _MANY_DIGITS.search(text) is not None:
        try:
            json.loads(text, parse_float=_check_digits)
        except _TooManyDigits:
            return f"has a number with more than {DIGITS_MAX} digits behind the point"
    return None


def has_nul(json_text: str) -> bool:
    """Whether this JSON text has a NUL character, as it is or escaped."""
    return "\x00" in json_text or ("\\u0000" in json_text and _ESCAPED_NUL.search(json_text) is not None)


def _depth(value: object) -> int:
    """Levels in each other; it stops counting behind `DEPTH_MAX`."""
    depth, level = 0, [value]
    while level and depth <= DEPTH_MAX:
        inner: list[object] = []
        for each in level:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        depth += 1
        level = [each for each in inner if isinstance(each, dict | list)]
    return depth


def _check_digits(number: str) -> float:
    mantissa, _, exponent = number.lower().partition("e")
    # An exponent of many digits need not be computed to be too large.
    if len(mantissa) > DIGITS_MAX or len(exponent) > 6 or abs(int(exponent or 0)) > DIGITS_MAX:
        raise _TooManyDigits
    return 0.0
