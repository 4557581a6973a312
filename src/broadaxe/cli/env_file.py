"""The file of `KEY=value` lines through which a ready engine tells scripts how to reach it.

Owns its format: one variable per line, values taken literally, readable by its owner alone because it holds a token.
Invariant: the file appears complete or not at all. A starting engine removes what an earlier one left, so that its
appearance means ready; after a stop it stays, because the token in it stays valid.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from broadaxe.errors import ConfigurationError

__all__ = ["check_writable", "read", "write"]

FILE_BYTES_MAX = 65_536


def write(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file in one step."""
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise ConfigurationError(f"the value of {name} has a line break and cannot go into {path}", field=name)
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    _write_beside(path, text).replace(path)


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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        # Tried beside it: whoever waits for the file takes its appearance for readiness.
        _write_beside(path, "").unlink()
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}; see --env-file", field="--env-file") from None


def _write_beside(path: Path, text: str) -> Path:
    """A file for the owner alone, next to `path` so that it can be moved there in one step."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(text)
    return new
