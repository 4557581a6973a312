"""One engine per data directory, and which directory that is.

Owns the lock file in that directory. The kernel lets go of the lock when its holder dies, whatever it dies of, so there
is nothing to clean up after a kill. Refuses to guess whether the other engine is still needed: it only names it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from broadaxe import file_lock, private_file
from broadaxe.config import DEFAULT_DATABASE_SCHEMA, Settings
from broadaxe.errors import ConfigurationError

__all__ = ["engine_pid", "only_engine", "state_dir"]

LOOK_EVERY_S: Final = 0.05


def state_dir(settings: Settings) -> Path:
    """Where the token and the lock of an engine that belongs to a program are: for each database of the user's a place
    of its own."""
    if settings.database_url is None:
        return settings.data_dir
    place = settings.database_url
    if settings.database_schema != DEFAULT_DATABASE_SCHEMA:
        place += f" {settings.database_schema}"
    name = hashlib.sha256(place.encode()).hexdigest()[:16]
    return settings.data_dir / "databases" / name


def engine_pid(data_dir: Path) -> int | None:
    """The process id of the engine that holds a data directory, or None."""
    path = data_dir / "engine.lock"
    try:
        with path.open("r+", encoding="ascii") as file:
            return None if file_lock.take(file.fileno()) else int(file.read(20) or 0)
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def only_engine(data_dir: Path, flag: str = "--data-dir", *, patience_s: float = 0.0) -> Iterator[None]:
    """Hold the data directory, made when missing. Another engine gets `patience_s` to leave.

    Raises ConfigurationError that names the holder and `flag`, with which another directory is chosen.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(private_file.open_to_append(data_dir / "engine.lock"), "a+", encoding="ascii")
    except OSError as error:
        raise ConfigurationError(
            f"cannot use {data_dir} as data directory: {error.strerror}; choose another with {flag}", field=flag
        ) from None
    with file:
        deadline = time.monotonic() + patience_s
        while not file_lock.take(file.fileno()):
            if time.monotonic() >= deadline:
                raise ConfigurationError(
                    f"an engine (process {engine_pid(data_dir) or 'unknown'}) already runs on {data_dir}; "
                    f"stop it, or choose another directory with {flag}",
                    field=flag,
                )
            # A lock of the system can be waited for without a limit or not at all; looking again is how to give up.
            time.sleep(LOOK_EVERY_S)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
