"""Noticing that a model says the same over and over, which small ones do until somebody stops them. Pure."""

from __future__ import annotations

import re

LOOKED_AT_CHARS = 2_400
PERIOD_CHARS_MAX = 600
SENTENCE_CHARS_MIN = 40
ROUNDS_MIN = 4
REPEATED_CHARS_MIN = 240


def repetition_begins(text: str) -> int | None:
    """Where the second of at least ROUNDS_MIN equal rounds begins, when the text ends in such rounds; else None.

    Numbers may differ from round to round, as in a list that counts on and says nothing new.
    """
    tail = text[-LOOKED_AT_CHARS:]
    alike = re.sub(r"\d", "0", tail)
    for period in range(1, min(PERIOD_CHARS_MAX, len(tail) // ROUNDS_MIN) + 1):
        if not re.search(r"[^\W\d]", tail[-period:]):
            # Columns of figures and rules of tables repeat, and are meant to.
            continue
        enough = max(period * (ROUNDS_MIN - 1), REPEATED_CHARS_MIN)
        repeated = _repeated(tail, period)
        if repeated < enough:
            repeated = _repeated(alike, period)
            if repeated >= enough and period < SENTENCE_CHARS_MIN:
                # Rows of a table may differ by their figures alone; a sentence that does says nothing new.
                return None
        if repeated >= enough:
            return len(text) - repeated
    return None


def _repeated(text: str, period: int) -> int:
    """How many characters at the end equal those one period before them."""
    if text[-period:] != text[-2 * period : -period]:
        return 0
    count = period
    while count < len(text) - period and text[-count - 1] == text[-count - 1 - period]:
        count += 1
    return count
