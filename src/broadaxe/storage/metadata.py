"""What is asked of the metadata of runs, events, crons and schedules, as statements take it.

A key that is asked for with several values means any of these; `match_all` is about the keys.

Owns the comparison's two halves: pairs compared as text, which decides, and JSON objects that any match contains, with
which an index finds candidates. Refuses to be exact about the second: there may be more candidates than matches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

import msgspec

__all__ = ["metadata_arguments", "metadata_candidates"]

CANDIDATES_MAX: Final = 64


def metadata_arguments(pairs: Sequence[tuple[str, str]], *, match_all: bool) -> tuple[object, ...]:
    """Candidates for an index on the metadata, keys, values and whether all keys must match, as `run_list` has them."""
    if not pairs:
        return None, None, None, None
    candidates = metadata_candidates(pairs, match_all=match_all)
    return candidates, [key for key, _ in pairs], [value for _, value in pairs], match_all


def metadata_candidates(pairs: Sequence[tuple[str, str]], *, match_all: bool) -> list[str]:
    """JSON objects one of which any match contains, for the index to find; the statement then compares the texts.

    Each pair stands for its value as a JSON string and as the JSON it may have been. With `match_all` an object has
    several keys, as many as keep the number of objects small: the further ones are left to the comparison.
    """
    if not match_all:
        return [_object({key: one}) for key, value in pairs for one in _as_json(value)]
    found: list[dict[str, msgspec.Raw]] = [{}]
    options_of: dict[str, list[msgspec.Raw]] = {}
    for key, value in pairs:
        options_of.setdefault(key, []).extend(_as_json(value))
    for key, options in options_of.items():
        if len(found) * len(options) > CANDIDATES_MAX:
            break
        found = [chosen | {key: option} for chosen in found for option in options]
    return [_object(chosen) for chosen in found]


def _as_json(value: str) -> list[msgspec.Raw]:
    """The value as a JSON string, and as the JSON that it may be the text of."""
    options = [msgspec.Raw(msgspec.json.encode(value))]
    with contextlib.suppress(msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        msgspec.json.decode(value)
        options.append(msgspec.Raw(value.encode()))
    return options


def _object(pairs: dict[str, msgspec.Raw]) -> str:
    return msgspec.json.encode(pairs).decode()
