"""A file whose appearance says that something is ready.

Owns that it appears complete or not at all, and that its owner alone can read it, because such files hold tokens.
Refuses a place that cannot be written before anything is started, rather than after.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from broadaxe import private_file
from broadaxe.errors import ConfigurationError

__all__ = ["check_writable", "write"]


def write(path: Path, text: str) -> None:
    """Replace the file in one step."""
    _write_beside(path, text).replace(path)


def check_writable(path: Path, flag: str) -> None:
    """Remove what an earlier engine left, and fail now if the place, given with `flag`, is no good.

    A directory that is missing is made, and named on stderr.
    """
    try:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            # Said, because a slip in the path would otherwise leave a directory behind that nobody knows of.
            click.echo(f"broadaxe: made the directory {path.parent} for {flag}", err=True)
        path.unlink(missing_ok=True)
        # Tried beside it: whoever waits for the file takes its appearance for readiness.
        _write_beside(path, "").unlink()
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}; see {flag}", field=flag) from None


def _write_beside(path: Path, text: str) -> Path:
    """A file for the owner alone, next to `path` so that it can be moved there in one step."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(private_file.create(new), "w") as file:
        file.write(text)
    return new
