"""A JSON object from the command line: from a file, standard input, and single fields."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from broadaxe.cli.options import Decorated
from broadaxe.errors import InvalidArgument

__all__ = ["fields_of", "giving", "json_or_text", "object_of"]

BYTES_MAX: Final = 4 * 1024 * 1024
FIELDS_MAX: Final = 1_000


def giving(command: Decorated) -> Decorated:
    """`--input` and `--field`."""
    for option in (
        click.option(
            "--field",
            "fields",
            multiple=True,
            metavar="NAME=VALUE",
            help="A field, over the file's: --field customer.id=acme. A value that is JSON is taken as such.",
        ),
        click.option("--input", "file", metavar="FILE", help="A file with a JSON object; `-` is standard input."),
    ):
        command = option(command)
    return command


def object_of(file: str | None, fields: Sequence[str]) -> dict[str, Any]:
    """The object of the file with the fields in it. InvalidArgument names the flag that is wrong."""
    given = {} if file is None else _read(file)
    if len(fields) > FIELDS_MAX:
        raise InvalidArgument(f"--field: {FIELDS_MAX} at most; put them into a file for --input", field="--field")
    for text in fields:
        _put(given, text, "--field")
    return given


def fields_of(texts: Sequence[str], flag: str) -> dict[str, Any] | None:
    """`a=b` pairs whose names are taken as they are; None for none."""
    given: dict[str, Any] = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not name or not mark:
            raise InvalidArgument(f"{flag} {text[:80]!r}: write a name and its value, like tenant=acme", field=flag)
        given[name] = value
    return given or None


def _read(file: str) -> dict[str, Any]:
    where = "standard input" if file == "-" else file
    try:
        if file == "-":
            content = sys.stdin.buffer.read(BYTES_MAX + 1)
        else:
            with Path(file).open("rb") as source:
                content = source.read(BYTES_MAX + 1)
        if len(content) > BYTES_MAX:
            raise InvalidArgument(f"--input {where}: more than {BYTES_MAX >> 20} MiB", field="--input")
        value = json.loads(content)
    except OSError as error:
        raise InvalidArgument(f"--input {where}: {error.strerror}", field="--input") from None
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"--input {where}: this is no JSON: {error}", field="--input") from None
    if not isinstance(value, dict):
        raise InvalidArgument(
            f'--input {where}: the input of a run is a JSON object, like {{"name": "value"}}', field="--input"
        )
    return value


def _put(given: dict[str, Any], text: str, flag: str) -> None:
    path, mark, value = text.partition("=")
    names = path.split(".")
    if not mark or not all(names):
        raise InvalidArgument(f"{flag} {text[:80]!r}: write a name and its value, like customer.id=acme", field=flag)
    place = given
    for name in names[:-1]:
        inner = place.setdefault(name, {})
        if not isinstance(inner, dict):
            raise InvalidArgument(f"{flag} {text[:80]!r}: {name} has a value already and is no object", field=flag)
        place = inner
    place[names[-1]] = json_or_text(value)


def json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
