"""What a command lists: lines or a table for people, JSON for programs.

The keys of the objects are what scripts hold on to. They are those of the REST API where it has the same, instants are
RFC 3339 in UTC, and nothing but JSON is written to standard output then. What a command reads from its own database is
one array; what it asks a server for is JSON Lines, one object each, because there may be many and they come bit by bit.
"""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click

__all__ = [
    "Column",
    "ago",
    "at",
    "between",
    "json_line",
    "json_lines",
    "lines_or_table",
    "plain",
    "show",
    "slots",
    "status",
]

Entry = TypeVar("Entry")

#: A column is never made narrower than this to fit the terminal.
NARROWEST: Final = 8
GAP: Final = "  "
COLOURS: Final = {
    "Queued": "yellow",
    "Running": "blue",
    "Completed": "green",
    "Failed": "red",
    "Cancelled": "magenta",
}

json_lines = click.option("--json", "as_json", is_flag=True, help="JSON Lines, for programs.")


@dataclass(frozen=True, slots=True)
class Column:
    """`is_whole`: never cut, because people copy it."""

    heading: str
    text: Callable[[Mapping[str, Any]], str]
    is_whole: bool = False


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


def lines_or_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], *, as_json: bool, empty: str) -> int:
    """Prints what a server listed, and answers how many rows that were; `empty` is said on standard error."""
    if as_json:
        number = 0
        for row in rows:
            click.echo(json_line(row))
            number += 1
        return number
    known = list(rows)
    if not known:
        click.echo(empty, err=True)
        return 0
    cells = [[plain(column.text(row)).strip() for column in columns] for row in known]
    # What nobody has is not shown.
    shown = [at for at in range(len(columns)) if any(row[at] for row in cells)]
    table = [[columns[at].heading for at in shown], *([row[at] for at in shown] for row in cells)]
    whole = [columns[at].is_whole for at in shown]
    widths = _fitted([max(_width(row[at]) for row in table) for at in range(len(shown))], whole)
    for number, line in enumerate(table):
        texts = [_padded(text, width) for text, width in zip(line, widths, strict=True)]
        if number == 0:
            click.secho(GAP.join(texts).rstrip(), dim=True)
        else:
            click.echo(GAP.join(_coloured(text) for text in texts).rstrip())
    return len(known)


def json_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_text)


def status(text: object) -> str:
    """A status as the console calls it."""
    return str(text or "").capitalize()


def at(text: object) -> str:
    """An instant in the time of this machine; empty for what is none."""
    moment = _moment(text)
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def ago(text: object, now: datetime | None = None) -> str:
    """How long ago an instant was, or how far ahead it is."""
    moment = _moment(text)
    if moment is None:
        return ""
    passed = ((now or datetime.now(UTC)) - moment).total_seconds()
    return f"in {_span(-passed)}" if passed < -1 else f"{_span(max(passed, 0))} ago"


def between(start: object, end: object) -> str:
    """How long it took; until now for what has not ended."""
    first = _moment(start)
    last = _moment(end) or datetime.now(UTC)
    return "" if first is None else _span(max((last - first).total_seconds(), 0))


def slots(worker: Mapping[str, Any]) -> str:
    """What is taken of each kind of slot."""
    return ", ".join(
        f"{slots['limit'] - slots['available']}/{slots['limit']}" + ("" if kind == "default" else f" {kind}")
        for kind, slots in worker["slotConfig"].items()
    )


def plain(text: str) -> str:
    """In one line, without what a terminal would obey: it was written by others."""
    return "".join(letter if letter.isprintable() else " " for letter in text).rstrip()


def _span(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.0f}s" if seconds >= 10 else f"{seconds:.1f}s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes}m"
    hours = minutes // 60
    return f"{hours}h{minutes % 60:02d}m" if hours < 48 else f"{hours // 24}d"


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")) if isinstance(text, str) and text else None
    except ValueError:
        return None


def _fitted(widths: list[int], whole: list[bool]) -> list[int]:
    """The widths, the widest made narrower until the terminal holds them. Whoever reads a pipe gets all of it."""
    if not sys.stdout.isatty():
        return widths
    room = shutil.get_terminal_size((100, 24)).columns - len(GAP) * (len(widths) - 1)
    fitted = list(widths)
    while sum(fitted) > room:
        narrowable = [n for n, width in enumerate(fitted) if not whole[n] and width > NARROWEST]
        if not narrowable:
            break
        widest = max(narrowable, key=lambda n: fitted[n])
        fitted[widest] -= 1
    return fitted


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _padded(text: str, width: int) -> str:
    taken = _width(text)
    if taken <= width:
        return text + " " * (width - taken)
    kept = ""
    for letter in text:
        if _width(kept + letter) > width - 1:
            break
        kept += letter
    return f"{kept}…" + " " * (width - 1 - _width(kept))


def _coloured(text: str) -> str:
    colour = COLOURS.get(text.strip())
    return text if colour is None else click.style(text, fg=colour)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return str(value)
