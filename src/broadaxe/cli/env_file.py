"""The file of `KEY=value` lines through which a ready engine tells scripts how to reach it.

Owns its format: one variable per line, values taken literally. A starting engine removes what an earlier one left, so
that its appearance means ready; after a stop it stays, because the token in it stays valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from broadaxe.cli import appearing_file
from broadaxe.errors import ConfigurationError

__all__ = ["check_writable", "read", "write"]

FILE_BYTES_MAX = 65_536


def write(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file in one step."""
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise ConfigurationError(f"the value of {name} has a line break and cannot go into {path}", field=name)
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    appearing_file.write(path, text)


def read(path: Path) -> dict[str, str] | None:
    """The variables of the file, or None while there is none."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(FILE_BYTES_MAX)
    except FileNotFoundError:
        return None
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, separator, value in pairs if separator}


def check_writable(path: Path) -> None:
    """Remove what an earlier engine left, and fail now rather than after the start if the place is no good."""
    appearing_file.check_writable(path, "--env-file")
