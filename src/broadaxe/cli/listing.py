"""What a command lists: lines for people, or with `--json` one array of objects for programs.

The keys of the objects are what scripts hold on to. They are those of the REST API where it has the same, instants are
RFC 3339 in UTC, and nothing but the array is written to standard output.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import click

__all__ = ["show"]

Entry = TypeVar("Entry")


def show(
    entries: Sequence[Entry],
    *,
    as_json: bool,
    line: Callable[[Entry], str],
    fields: Callable[[Entry], dict[str, object]],
    empty: str = "",
) -> None:
    """Prints the entries; `empty` tells people what to do when there are none."""
    if as_json:
        click.echo(json.dumps([fields(entry) for entry in entries], indent=2, default=_text))
        return
    if not entries and empty:
        click.echo(empty)
    for entry in entries:
        click.echo(line(entry))


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return str(value)
